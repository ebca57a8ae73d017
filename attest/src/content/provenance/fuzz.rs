//! Bodies of the fuzz targets of provenance. Whatever is asked is asked of two checkers: one trusts nobody, the other
//! who signed the seeds, so that a fuzzer comes to what follows upon trust. The latter is there with the feature
//! `fixtures` alone.

use std::sync::LazyLock;

use policies::{Anchor, Digest, ProvenanceRule};

use super::{Binding, Checker, MediaType, Provenance, ProvenanceError, State};

/// A checker that trusts nobody.
static NOBODY: LazyLock<Checker> = LazyLock::new(|| believing(None));
/// A checker that trusts who signed the seeds, where it is known who did.
static SOMEBODY: LazyLock<Option<Checker>> = LazyLock::new(|| anchor().map(|anchor| believing(Some(anchor))));

/// Unix milliseconds at which things are checked.
const NOW_MS: u64 = 1_700_000_000_000;

fn believing(anchor: Option<Anchor>) -> Checker {
    let anchors = anchor.into_iter().collect();
    let rule = ProvenanceRule { anchors, required_assertions: [].into(), answer_seconds: 60 };
    Checker::new(&rule).expect("no anchor is broken")
}

/// The root of who signed the seeds.
#[cfg(any(test, feature = "fixtures"))]
fn anchor() -> Option<Anchor> {
    let pem = super::fixtures::Signatory::fixed().root_pem.into_bytes();
    Some(Anchor { path: "anchors/pictures.pem".to_owned(), pem })
}

#[cfg(not(any(test, feature = "fixtures")))]
const fn anchor() -> Option<Anchor> {
    None
}

/// What both checkers say of the same, as far as there is something to say.
pub(super) fn judge(ask: impl Fn(&Checker) -> Result<Provenance, ProvenanceError>) -> Option<Provenance> {
    let checked = ask(&NOBODY);
    if let Ok(checked) = &checked {
        assert!(checked.state != State::Trusted, "nobody is trusted");
        assert!(checked.state != State::Invalid || !checked.failures.is_empty(), "what is invalid says why");
    }
    let believed = ask(SOMEBODY.as_ref()?);
    match (&checked, &believed) {
        (Ok(checked), Ok(believed)) => {
            assert_eq!(checked.digest, believed.digest, "the same was looked at");
            assert_eq!(checked.state, believed.state.min(State::Valid), "whom one trusts decides nothing but trust");
            expect_sound(believed);
        }
        (Err(checked), Err(believed)) => assert_eq!(checked, believed, "whom one trusts does not change what is read"),
        _ => panic!("whom one trusts does not change what can be read"),
    }
    believed.ok()
}

/// What is trusted is trusted for a reason, and nothing speaks against it.
fn expect_sound(believed: &Provenance) {
    assert!(believed.state != State::Invalid || !believed.failures.is_empty(), "what is invalid says why");
    if believed.state == State::Trusted {
        assert_eq!(believed.asset, Some(Binding::Checked), "what is trusted is bound to the clip");
        assert!(
            believed.signer.as_ref().is_some_and(|signer| signer.trusted),
            "what is trusted was signed by somebody"
        );
        assert_eq!(believed.failures, Vec::new(), "what is trusted has not failed");
        assert!(!believed.open_to_change, "what is trusted is all that is seen");
    }
}

/// Body of the fuzz target `provenance_clip`: any bytes as a clip of each media type.
///
/// # Panics
/// When a clip comes out trusted though there is no anchor or something failed, or invalid without a reason; when trust
/// in the signer of the seeds changes anything but trust.
pub fn clip(data: &[u8]) {
    for media_type in MediaType::ALL {
        let _ = judge(|checker| checker.check(media_type, data, NOW_MS));
    }
}

/// Body of the fuzz target `provenance_manifest`: any bytes as a manifest store without its clip.
///
/// # Panics
/// As [`clip`].
pub fn manifest(data: &[u8]) {
    let _ = judge(|checker| checker.check_manifest(data, Digest::of(b""), NOW_MS));
}

/// Body of the fuzz target `provenance_fragment`: the first byte says where, in parts of 256, the fragment begins.
///
/// # Panics
/// As [`clip`].
pub fn fragment(data: &[u8]) {
    let Some((at, data)) = data.split_first() else { return };
    let (init, fragment) = data.split_at(data.len() * usize::from(*at) / 256);
    let _ = judge(|checker| checker.check_fragment(init, fragment, NOW_MS));
}
