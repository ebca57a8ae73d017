//! Bodies of the fuzz targets of provenance.

use std::sync::LazyLock;

use policies::{Digest, ProvenanceRule};

use super::{Checker, MediaType, Provenance, State};

/// A checker that trusts nobody.
static NOBODY: LazyLock<Checker> = LazyLock::new(|| {
    let rule = ProvenanceRule { anchors: Vec::new(), required_assertions: [].into(), answer_seconds: 60 };
    Checker::new(&rule).expect("there is no anchor to be broken")
});

/// Unix milliseconds at which things are checked.
const NOW_MS: u64 = 1_700_000_000_000;

fn expect_sound(checked: &Provenance) {
    assert!(checked.state != State::Trusted, "nobody is trusted");
    assert!(checked.state != State::Invalid || !checked.failures.is_empty(), "what is invalid says why");
}

/// Body of the fuzz target `provenance_clip`: any bytes as a clip of each media type.
///
/// # Panics
/// When a clip comes out trusted though there is no anchor, or invalid without a reason.
pub fn clip(data: &[u8]) {
    for media_type in MediaType::ALL {
        if let Ok(checked) = NOBODY.check(media_type, data, NOW_MS) {
            expect_sound(&checked);
        }
    }
}

/// Body of the fuzz target `provenance_manifest`: any bytes as a manifest store without its clip.
///
/// # Panics
/// As [`clip`].
pub fn manifest(data: &[u8]) {
    if let Ok(checked) = NOBODY.check_manifest(data, Digest::of(b""), NOW_MS) {
        expect_sound(&checked);
    }
}

/// Body of the fuzz target `provenance_fragment`: the first byte says where, in parts of 256, the fragment begins.
///
/// # Panics
/// As [`clip`].
pub fn fragment(data: &[u8]) {
    let Some((at, data)) = data.split_first() else { return };
    let (init, fragment) = data.split_at(data.len() * usize::from(*at) / 256);
    if let Ok(checked) = NOBODY.check_fragment(init, fragment, NOW_MS) {
        expect_sound(&checked);
    }
}
