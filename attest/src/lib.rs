//! Signed answers, keys, pseudonyms and admission of nodes.
//!
//! Who takes part: a *node* signs answers for a platform and tokens for the centre ([`NodeToken`]); the
//! *centre* admits nodes ([`Admission`]) and signs which model is current ([`ModelPointer`]); *platforms* and
//! *operators* hold bearer keys of which only hashes are stored ([`ApiKeyHash`]). Everything that arrives as
//! text is hostile until a function here has returned the verified type.
//!
//! All signatures are Ed25519 (RFC 8032). Tokens are compact JWS (RFC 7515) with `EdDSA` (RFC 8037) and a
//! required `typ` of their own each ([`Typ`]); bytes are signed under a [`Context`]. No token's signing input
//! can equal a context's, so a signature made for one purpose says nothing for another.
//!
//! The crate reads no clock, file or global randomness: `now_ms` (Unix milliseconds) and a generator are arguments.

pub mod access;
pub mod admission;
pub mod answer;
pub mod api_key;
pub mod appraisal;
pub mod binding;
pub mod challenge;
pub mod content;
pub mod device;
pub mod ear;
pub mod enrolment;
pub mod evidence;
pub mod jws;
pub mod key_epoch;
pub mod keys;
pub mod ledger_checkpoint;
pub mod model_pointer;
pub mod note;
pub mod oblivious;
pub mod opaque;
pub mod pairwise;
pub mod pdq;
pub mod privacy_pass;
mod randomness;
pub mod sd_jwt;
pub mod seal;
mod time;

pub use admission::{Admission, AdmissionError, AdmissionMode, KnownNode, KnownNodes, NodeToken, NotAdmitted};
pub use answer::{Answer, AnswerError, AnswerExpectation, Confidence};
pub use api_key::{ApiKey, ApiKeyHash};
pub use appraisal::{Claim, Subject, Verdict};
pub use device::{DeviceEvidence, appraise_device};
pub use ear::{Ear, EarError};
pub use evidence::{Attestation, Evidence};
pub use jws::{JwsError, Typ};
pub use keys::{Context, InvalidKey, KeyId, Signature, SigningKey, VerifyingKey};
pub use ledger_checkpoint::{CheckpointError, LedgerCheckpoint, VerifiedCheckpoint};
pub use model_pointer::{ModelPointer, PointerError};
pub use oblivious::{Gateway, GatewayKey, InnerRequest, ObliviousError, Responder};
pub use opaque::{AccountRecord, CredentialId, OpaqueError, OpaqueServer, PendingLogin};
pub use pairwise::{PairwiseSecret, Pseudonym};
pub use seal::{OperatorKey, SealError};
