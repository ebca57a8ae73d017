//! From what `c2pa` found to what is told.

use c2pa::validation_results::StatusCodes;
use c2pa::validation_status::{
    ASSERTION_DATAHASH_ADDITIONAL_EXCLUSIONS, ASSERTION_DATAHASH_MISMATCH, CLAIM_SIGNATURE_INSIDE_VALIDITY,
    CLAIM_SIGNATURE_VALIDATED, SIGNING_CREDENTIAL_TRUSTED, TIMESTAMP_TRUSTED, ValidationStatus,
};
use c2pa::{Manifest, Reader};
use policies::Digest;

use super::failure::{self, Failure, Part};
use super::{Binding, Checker, Provenance, State, assertions, signer, text};

/// How far it could be told that the clip is the one that was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bound {
    /// `c2pa` had the clip.
    ByClip,
    /// The manifest binds every byte, and the digest told is, or is not, the one that it binds.
    ByDigest(bool),
    /// Only the manifest came, and the digest does not answer for the clip.
    Unknown,
}

/// What is known of the clip itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asset {
    pub(super) bound: Bound,
    /// Whether the binding leaves more of it out than it has to.
    pub(super) open: bool,
    pub(super) digest: Digest,
}

/// What is known of a clip whose manifest was read.
pub(super) fn provenance(checker: &Checker, reader: &Reader, asset: Asset, now_ms: u64) -> Provenance {
    let Asset { bound, open, digest } = asset;
    let Some((active, results)) = reader.active_manifest().zip(reader.validation_results()) else {
        return Provenance::unreadable(digest, &c2pa::Error::ProvenanceMissing);
    };
    let none = StatusCodes::default();
    let codes = results.active_manifest().unwrap_or(&none);
    let succeeded = |code| codes.success().iter().any(|status| status.code() == code);
    let deltas = results.ingredient_deltas().into_iter().flatten();
    let of_ingredients = deltas.flat_map(|ingredient| ingredient.validation_deltas().failure().iter());
    let mut failures = failure::told(codes.failure().iter(), of_ingredients);
    rebind(&mut failures, bound);
    let mut told = Provenance::of_state(State::Invalid, digest);
    told.asset = Some(if bound == Bound::Unknown { Binding::NotChecked } else { Binding::Checked });
    // 1. The signature holds, at a time of its certificate, and nothing failed but that a signer is unknown.
    let signed = succeeded(CLAIM_SIGNATURE_VALIDATED);
    let holds = signed && succeeded(CLAIM_SIGNATURE_INSIDE_VALIDITY) && failures.iter().all(Failure::is_untrusted);
    // 2. What the manifest says is told if its signer said it.
    if signed && failures.iter().all(Failure::leaves_claims) {
        describe(&mut told, reader, active, succeeded(TIMESTAMP_TRUSTED));
    }
    // 3. An anchor vouches for the signer: by c2pa's judgement and by ours.
    let vouched = succeeded(SIGNING_CREDENTIAL_TRUSTED) && chain_holds(checker, active, &told, now_ms);
    let known = |failure: &Failure| failure.is_untrusted() && failure.part == Part::Manifest;
    if !vouched && !failures.iter().any(known) {
        failures.push(Failure::untrusted());
    }
    if let Some(signer) = &mut told.signer {
        signer.trusted = vouched && signed;
    }
    // 4. The assertions that the policy asks for.
    told.missing_assertions = missing(checker, active);
    // 5. What is seen is what was signed.
    let additional = |status: &ValidationStatus| status.code() == ASSERTION_DATAHASH_ADDITIONAL_EXCLUSIONS;
    told.open_to_change = open || codes.informational().iter().any(additional);
    let complete = failures.is_empty() && told.missing_assertions.is_empty() && !told.open_to_change;
    told.state = match (holds, bound) {
        (false, _) => State::Invalid,
        (true, Bound::Unknown) => State::Unbound,
        (true, _) if vouched && complete => State::Trusted,
        (true, _) => State::Valid,
    };
    failure::cut(&mut failures);
    told.failures = failures;
    told
}

/// Puts right what `c2pa` found of the binding where only the manifest came: it held that against nothing at all.
fn rebind(failures: &mut Vec<Failure>, bound: Bound) {
    if bound != Bound::ByClip {
        failures.retain(|failure| !failure.is_of_binding());
    }
    if bound == Bound::ByDigest(false) {
        failures.push(Failure::of_code(ASSERTION_DATAHASH_MISMATCH, Part::Manifest));
    }
}

fn describe(told: &mut Provenance, reader: &Reader, active: &Manifest, time_trusted: bool) {
    told.manifest = active.label().and_then(text::bounded);
    told.signer = active.signature_info().map(|info| signer::signer(info, time_trusted));
    told.claim_generator = generator(active);
    told.title = active.title().and_then(text::bounded);
    told.ai = Some(assertions::ai(reader, active));
    (told.edits, told.edits_left_off) = assertions::edits(active);
    told.ingredients = Some(assertions::ingredients(reader, active));
}

/// The first software that is named, with its version.
fn generator(active: &Manifest) -> Option<String> {
    let named = active.claim_generator_info.as_ref().and_then(|generators| generators.first());
    let named = named.map(|generator| match &generator.version {
        Some(version) => format!("{} {version}", generator.name),
        None => generator.name.clone(),
    });
    named.as_deref().or(active.claim_generator()).and_then(text::bounded)
}

fn chain_holds(checker: &Checker, active: &Manifest, told: &Provenance, now_ms: u64) -> bool {
    let signed_at = told.signer.as_ref().and_then(|signer| signer.signed_at);
    let Some(info) = active.signature_info() else { return false };
    signer::verify(info, signed_at, &checker.anchors, now_ms).is_ok()
}

/// Labels that the policy asks for and the active manifest has not.
fn missing(checker: &Checker, active: &Manifest) -> Vec<String> {
    let labels: Vec<String> = active
        .assertion_references()
        .filter_map(|reference| reference.url().rsplit('/').next().map(str::to_owned))
        .collect();
    let lacks = |wanted: &&String| !labels.iter().any(|label| assertions::is_version_of(label, wanted));
    checker.required.iter().filter(lacks).cloned().collect()
}
