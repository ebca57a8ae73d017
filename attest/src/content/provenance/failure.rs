//! What failed: C2PA's status codes (§15.2.2) with a sentence each.

use std::borrow::Cow;

use c2pa::validation_status::{self as codes, ValidationStatus};
use serde::{Deserialize, Serialize};

use super::FAILURES_MAX;

/// Whose failure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The active manifest's.
    Manifest,
    /// An ingredient's.
    Ingredient,
}

/// One thing that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The status code of C2PA.
    pub code: Cow<'static, str>,
    /// Whose it is.
    pub part: Part,
    /// The same in plain words.
    pub sentence: Cow<'static, str>,
}

/// Every code that can be told, with its sentence. A code that is not here becomes `general.error`.
const SENTENCES: [(&str, &str); 40] = [
    (codes::CLAIM_MISSING, "the manifest has no claim"),
    (codes::CLAIM_MULTIPLE, "the manifest has more than one claim"),
    (codes::CLAIM_MALFORMED, "the claim cannot be read"),
    (codes::CLAIM_CBOR_INVALID, "the claim is not CBOR"),
    (codes::CLAIM_REQUIRED_MISSING, "the claim lacks a field that it must have"),
    (codes::CLAIM_SIGNATURE_MISSING, "the claim is not signed"),
    (codes::CLAIM_SIGNATURE_MISMATCH, "the claim's signature does not verify"),
    (codes::CLAIM_SIGNATURE_OUTSIDE_VALIDITY, "the claim was signed outside its certificate's time"),
    (codes::SIGNING_CREDENTIAL_UNTRUSTED, "the signer's certificates do not lead to an anchor of the policy"),
    (codes::SIGNING_CREDENTIAL_INVALID, "the signer's certificate is not for signing content"),
    (codes::SIGNING_CREDENTIAL_REVOKED, "the signer's certificate was revoked"),
    (codes::SIGNING_CREDENTIAL_EXPIRED, "the signer's certificate has expired"),
    (codes::SIGNING_CREDENTIAL_OCSP_UNKNOWN, "the signer's certificate is unknown to its issuer"),
    (codes::HARD_BINDINGS_MISSING, "the manifest is bound to no content"),
    (codes::HARD_BINDINGS_MULTIPLE, "the manifest is bound to content more than once"),
    (codes::ASSERTION_DATAHASH_MISMATCH, "the content was changed after it was signed"),
    (codes::ASSERTION_DATAHASH_MALFORMED, "the binding to the content cannot be read"),
    (codes::ASSERTION_BMFFHASH_MISMATCH, "the content was changed after it was signed"),
    (codes::ASSERTION_BMFFHASH_MALFORMED, "the binding to the content cannot be read"),
    (codes::ASSERTION_BOXHASH_MISMATCH, "the content was changed after it was signed"),
    (codes::ASSERTION_BOXHASH_UNKNOWN_BOX, "the content has a part that was not signed"),
    (codes::ASSERTION_COLLECTIONHASH_MISMATCH, "the content was changed after it was signed"),
    (codes::ASSERTION_HASHEDURI_MISMATCH, "an assertion was changed after it was signed"),
    (codes::ASSERTION_MISSING, "an assertion that was signed is missing"),
    (codes::ASSERTION_UNDECLARED, "an assertion is there that was not signed"),
    (codes::ASSERTION_INACCESSIBLE, "an assertion stands elsewhere"),
    (codes::ASSERTION_NOT_REDACTED, "an assertion that was to be removed is there"),
    (codes::ASSERTION_SELF_REDACTED, "the manifest removes its own assertions"),
    (codes::ASSERTION_REQUIRED_MISSING, "an assertion lacks a field that it must have"),
    (codes::ASSERTION_JSON_INVALID, "an assertion is not JSON"),
    (codes::ASSERTION_CBOR_INVALID, "an assertion is not CBOR"),
    (codes::ASSERTION_ACTION_MALFORMED, "an action does not keep the rules of actions"),
    (codes::ASSERTION_ACTION_INGREDIENT_MISMATCH, "an action names an ingredient that is not there"),
    (codes::ASSERTION_INGREDIENT_MALFORMED, "an ingredient cannot be read"),
    (codes::INGREDIENT_MANIFEST_MISSING, "an ingredient's manifest is missing"),
    (codes::INGREDIENT_MANIFEST_MISMATCH, "an ingredient's manifest was changed"),
    (codes::MANIFEST_MULTIPLE_PARENTS, "the manifest has more than one parent"),
    (codes::MANIFEST_UPDATE_INVALID, "an update of the manifest does what updates may not"),
    (codes::ALGORITHM_UNSUPPORTED, "an algorithm is not known, or not allowed"),
    (codes::GENERAL_ERROR, "the manifest could not be verified"),
];

impl Failure {
    pub(super) fn of_code(code: &str, part: Part) -> Self {
        let known = SENTENCES.iter().find(|(known, _)| *known == code);
        let (code, sentence) = known.copied().unwrap_or(SENTENCES[SENTENCES.len() - 1]);
        Self { code: Cow::Borrowed(code), part, sentence: Cow::Borrowed(sentence) }
    }

    pub(super) fn untrusted() -> Self {
        Self::of_code(codes::SIGNING_CREDENTIAL_UNTRUSTED, Part::Manifest)
    }

    /// What made `c2pa` give up.
    pub(super) fn of_error(error: &c2pa::Error) -> Self {
        use c2pa::Error as E;
        let code = match error {
            E::ClaimMissing { .. } | E::ProvenanceMissing => codes::CLAIM_MISSING,
            E::ClaimDecoding(_) | E::InvalidClaim(_) | E::ClaimInvalidContent | E::ClaimVersion => {
                codes::CLAIM_MALFORMED
            }
            E::ClaimMissingSignatureBox => codes::CLAIM_SIGNATURE_MISSING,
            E::ClaimMissingHardBinding => codes::HARD_BINDINGS_MISSING,
            E::ClaimMultipleHardBinding => codes::HARD_BINDINGS_MULTIPLE,
            E::ClaimSelfRedact => codes::ASSERTION_SELF_REDACTED,
            E::UpdateManifestInvalid => codes::MANIFEST_UPDATE_INVALID,
            E::AssertionMissing { .. } => codes::ASSERTION_MISSING,
            E::AssertionDecoding(_) => codes::ASSERTION_CBOR_INVALID,
            E::CoseSignature => codes::CLAIM_SIGNATURE_MISMATCH,
            E::CoseSignatureAlgorithmNotSupported | E::UnknownAlgorithm => codes::ALGORITHM_UNSUPPORTED,
            E::CoseX5ChainMissing | E::CoseInvalidCert => codes::SIGNING_CREDENTIAL_INVALID,
            E::HashMismatch(_) => codes::ASSERTION_DATAHASH_MISMATCH,
            _ => codes::GENERAL_ERROR,
        };
        Self::of_code(code, Part::Manifest)
    }

    /// Whether it says that the clip is not the one that was signed.
    pub(super) fn is_of_binding(&self) -> bool {
        const OF_BINDING: [&str; 5] = [
            codes::ASSERTION_DATAHASH_MISMATCH,
            codes::ASSERTION_BMFFHASH_MISMATCH,
            codes::ASSERTION_BOXHASH_MISMATCH,
            codes::ASSERTION_BOXHASH_UNKNOWN_BOX,
            codes::ASSERTION_COLLECTIONHASH_MISMATCH,
        ];
        self.part == Part::Manifest && OF_BINDING.contains(&&*self.code)
    }

    /// Whether what the manifest says is nevertheless what its signer said: the clip was changed, or it is not known who
    /// the signer is.
    pub(super) fn leaves_claims(&self) -> bool {
        self.is_of_binding() || (self.part == Part::Manifest && self.code.starts_with("signingCredential."))
    }

    pub(super) fn is_untrusted(&self) -> bool {
        self.code == codes::SIGNING_CREDENTIAL_UNTRUSTED
    }
}

/// Failures as they are told: each once, those of the manifest first.
pub(super) fn told<'a>(
    manifest: impl Iterator<Item = &'a ValidationStatus>,
    ingredients: impl Iterator<Item = &'a ValidationStatus>,
) -> Vec<Failure> {
    let manifest = manifest.map(|status| Failure::of_code(status.code(), Part::Manifest));
    let ingredients = ingredients.map(|status| Failure::of_code(status.code(), Part::Ingredient));
    let mut told: Vec<Failure> = Vec::new();
    for failure in manifest.chain(ingredients) {
        if !told.contains(&failure) {
            told.push(failure);
        }
    }
    told
}

/// Cuts the list for the answer. The rest is of the same manifests, and changes nothing.
pub(super) fn cut(failures: &mut Vec<Failure>) {
    failures.truncate(FAILURES_MAX);
}
