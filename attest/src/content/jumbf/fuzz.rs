//! Body of the fuzz target of manifest stores.

use super::{BOXES_MAX, DEPTH_MAX, Store, read};

/// Body of the fuzz target `jumbf_store`: any bytes as a store.
///
/// # Panics
/// When a limit does not hold.
pub fn store(data: &[u8]) {
    if let Ok(Store { parts, boxes }) = read(data) {
        assert!(boxes.len() + parts.len() < BOXES_MAX, "boxes are bounded");
        assert!(boxes.iter().all(|found| found.kind != *b"brob"), "nothing is compressed");
        assert!(boxes.iter().all(|found| found.path.len() <= DEPTH_MAX), "depth is bounded");
        let held: usize = boxes.iter().map(|found| found.content.len()).sum();
        assert!(held <= data.len(), "no byte is held twice");
    }
}
