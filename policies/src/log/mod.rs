//! The transparency log, as whoever verifies it sees it: trees, tiles, notes, checkpoints, cosignatures and proofs.
//!
//! Actors: a *log* appends leaves and signs how many there are and what they hash to (a checkpoint); *witnesses* sign
//! only checkpoints that extend what they signed before; a *verifier* knows the public keys of both ([`LogKeys`]) and
//! believes nothing else. Data flow: bytes of a checkpoint, a tile, an entry bundle or a proof come from anywhere,
//! are read within named limits, and are compared with what was signed.
//!
//! Specifications: RFC 6962 §2.1 (hashing), RFC 9162 §2.1.3 and §2.1.4 (checking proofs), and of C2SP: tlog-tiles,
//! tlog-checkpoint, signed-note, tlog-cosignature, tlog-witness and tlog-proof, each in version 1. Signatures are
//! Ed25519 (RFC 8032). Whoever signs is elsewhere (`attest::note`): this crate has no private key.

pub mod bundle;
pub mod checkpoint;
pub mod fuzz;
pub mod key;
mod line;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;

pub use checkpoint::{Checkpoint, CheckpointError, LogKeys, LogKeysError, VerifiedCheckpoint};
pub use key::{InvalidVerifierKey, KeyAlgorithm, VerifierKey};
pub use note::{MalformedNote, Note, NoteSignature};
pub use proof::{LogProof, LogProofError};
pub use tile::{Tile, TileSet};
pub use tree::{Frontier, HashReader, ProofError, Subtree};

#[cfg(test)]
mod tests;
