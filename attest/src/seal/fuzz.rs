//! Body of the fuzz target of sealed secrets.

use zeroize::Zeroizing;

use super::{OVERHEAD_BYTES, OperatorKey};

/// Body of the fuzz target `sealed`: opens any bytes under a fixed key.
///
/// # Panics
/// When something opens that has no room for it.
pub fn sealed(data: &[u8]) {
    let key = OperatorKey(Zeroizing::new([7; 32]));
    if let Ok(plaintext) = key.open("fuzz", data) {
        assert_eq!(plaintext.len() + OVERHEAD_BYTES, data.len(), "sealing adds a fixed number of bytes");
    }
}
