//! What a log sends to a witness (C2SP tlog-witness, `add-checkpoint`), and what comes back.

use std::fmt::Write as _;

use super::line;
use super::note::{NOTE_BYTES_MAX, NoteSignature, SIGNATURES_MAX};
use super::tree::PROOF_HASHES_MAX;
use crate::Digest;

/// Bytes of a request.
pub const REQUEST_BYTES_MAX: usize = 32 + 64 * 64 + NOTE_BYTES_MAX;
/// Media type of the answer that tells which size the witness has.
pub const SIZE_MEDIA_TYPE: &str = "text/x.tlog.size";

/// The bytes are not of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not of the witnesses' protocol")]
pub struct MalformedRequest;

/// A checkpoint to be cosigned, and that it extends the one that the witness has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size that the witness is thought to have.
    pub old_size: u64,
    /// The proof of consistency from there.
    pub proof: Vec<Digest>,
    /// The new checkpoint's note.
    pub checkpoint: Vec<u8>,
}

impl AddCheckpoint {
    /// Reads a request.
    ///
    /// # Errors
    /// It is too long, or not of the form.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedRequest> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(MalformedRequest);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| MalformedRequest)?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or(MalformedRequest)?;
        let mut lines = head.split('\n');
        let old_size = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(line::decimal);
        let old_size = old_size.ok_or(MalformedRequest)?;
        let proof: Vec<_> =
            lines.take(PROOF_HASHES_MAX + 1).map(line::digest).collect::<Option<_>>().ok_or(MalformedRequest)?;
        if proof.len() > PROOF_HASHES_MAX {
            return Err(MalformedRequest);
        }
        Ok(Self { old_size, proof, checkpoint: checkpoint.as_bytes().to_vec() })
    }

    /// The request's body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut text = format!("old {}\n", self.old_size);
        for hash in &self.proof {
            // Writing to a String does not fail.
            let _ = writeln!(text, "{}", line::encoded(hash.as_bytes()));
        }
        text.push('\n');
        let mut bytes = text.into_bytes();
        bytes.extend_from_slice(&self.checkpoint);
        bytes
    }
}

/// Reads the signature lines of an answer of success.
///
/// # Errors
/// It is too long, or not of the form.
pub fn parse_cosignatures(bytes: &[u8]) -> Result<Vec<NoteSignature>, MalformedRequest> {
    if bytes.len() > NOTE_BYTES_MAX {
        return Err(MalformedRequest);
    }
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n')).ok_or(MalformedRequest)?;
    let lines = text.split('\n').take(SIGNATURES_MAX);
    lines.map(NoteSignature::parse).collect::<Option<_>>().ok_or(MalformedRequest)
}

/// Reads the size that a witness has, from its answer of conflict: a decimal and a newline.
///
/// # Errors
/// It is not of the form.
pub fn parse_size(bytes: &[u8]) -> Result<u64, MalformedRequest> {
    let text = std::str::from_utf8(bytes).ok().and_then(|text| text.strip_suffix('\n'));
    text.and_then(line::decimal).ok_or(MalformedRequest)
}
