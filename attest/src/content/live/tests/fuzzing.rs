use proptest::prelude::*;

use super::super::fuzz;
use super::setting;

proptest! {
    #[test]
    fn any_bytes_are_read_without_a_panic(data in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz::boxes(&data);
        fuzz::manifest(&data);
        fuzz::segment_info(&data);
    }

    #[test]
    fn bytes_that_nearly_are_read_without_a_panic(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let (source, _) = setting();
        for mut bytes in [source.init(), source.segment(1), source.manifest_segment(1, "x").0] {
            let at = at.index(bytes.len());
            bytes[at] = byte;
            fuzz::boxes(&bytes);
            // The manifest store and the message, wherever their boxes begin.
            fuzz::manifest(bytes.get(at..).unwrap_or_default());
            fuzz::segment_info(bytes.get(at..).unwrap_or_default());
        }
    }
}
