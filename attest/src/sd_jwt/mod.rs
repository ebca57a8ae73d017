//! Credentials that disclose claim by claim: SD-JWT (RFC 9901) as SD-JWT VC (draft-ietf-oauth-sd-jwt-vc), with the
//! Token Status List (draft-ietf-oauth-status-list).
//!
//! Actors: the *issuer* signs digests of salted claims together with the holder's key ([`IssueRequest`]). The
//! *holder* keeps the claims, picks some and signs for one audience and one nonce ([`present`]). The *verifier*, our
//! node, reads hostile text ([`Presentation`]), trusts the keys it was configured with ([`TrustedKeys`]) and learns
//! what was picked ([`VerifiedCredential`]). Key binding is always required: a credential alone is a bearer secret.
//! Whether it was revoked stands in a list that the caller fetches ([`StatusList`]).
//!
//! Linkable: the issuer's signature, the digests and the holder's key are the same whenever one credential is shown,
//! so two verifiers, or a verifier and the issuer, can tell that it is the same. What is not disclosed stays hidden,
//! its number up to a multiple of 8. Holders who must not be linked take several credentials with a key each and
//! times rounded by the issuer. Fetching a status list tells its host that someone asks about one of its many entries.
//!
//! Signatures of issuers and holders: ES256 or `EdDSA`, as the key says and never as the token says; ours are `EdDSA`.
//! Every limit is a constant of this module and is checked before the work that it bounds.

mod credential;
mod disclosure;
mod error;
pub mod fuzz;
mod holder;
mod issue;
mod jose;
mod json;
mod jwk;
mod key_binding;
mod predicates;
mod presentation;
mod proof;
mod status;

pub use credential::{StatusReference, VerifiedCredential};
pub use error::{JoseError, JwkError, SdJwtError, StatusError};
pub use holder::{present, receive};
pub use issue::IssueRequest;
pub use jwk::{JwkSet, PublicJwk, TrustedKeys};
pub use predicates::Predicate;
pub use presentation::{Expected, Presentation};
pub use proof::HolderProof;
pub use status::{Status, StatusList, StatusListRequest};

/// The longest presentation, and with it credential, that is read.
pub const PRESENTATION_BYTES_MAX: usize = 64 * 1024;
/// The longest proof of a holder's key that is read.
pub const PROOF_BYTES_MAX: usize = 4 * 1024;
/// The most disclosures of one presentation.
pub const DISCLOSURES_MAX: usize = 128;
/// How deep claims nest, disclosed ones counted where they belong. The claims themselves are level 1.
pub const DEPTH_MAX: usize = 16;
/// How old a key binding may be, in seconds: it is made for one request.
pub const KEY_BINDING_AGE_SECONDS_MAX: u64 = 300;
/// The longest JWK set that is read.
pub const JWK_SET_BYTES_MAX: usize = 16 * 1024;
/// The most keys of one issuer.
pub const JWK_SET_KEYS_MAX: usize = 32;
/// The longest status list token that is read: a full list that does not compress, in base64url twice.
pub const STATUS_TOKEN_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The longest status list, decompressed: 8 Mi entries of one bit.
pub const STATUS_LIST_BYTES_MAX: usize = 1024 * 1024;
/// The longest address of a status list.
pub const STATUS_URI_BYTES_MAX: usize = 1024;
/// How long a status list may be relied on, in seconds, whatever it says itself.
pub const STATUS_FRESH_SECONDS_MAX: u64 = 24 * 3600;

const CREDENTIAL_TYP: &str = "dc+sd-jwt";
const KEY_BINDING_TYP: &str = "kb+jwt";
/// `typ` of a holder's proof to an issuer.
const PROOF_TYP: &str = "openid4vci-proof+jwt";
const STATUS_TYP: &str = "statuslist+jwt";

/// Claims that steer verification or name the holder; they are not claims to rely on. Neither may be issued as one.
const REGISTERED: [&str; 11] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "vct", "vct#integrity", "status"];
/// Those of them that must stand in the issuer's payload itself (draft-ietf-oauth-sd-jwt-vc, registered claims).
const NEVER_DISCLOSED: [&str; 7] = ["iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status"];

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

#[cfg(test)]
mod tests;
