//! The kernel's log of the files that it measured (IMA), replayed to register 10.
//!
//! The binary form is read (`/sys/kernel/security/ima/binary_runtime_measurements`), since the digest of an entry is
//! that of the template's bytes: the text form leaves lengths out and escapes paths, so that the bytes cannot be made
//! again from it for sure. Numbers are little-endian, as all machines write them that we know of with a TPM, and others
//! with `ima_canonical_fmt`.
//!
//! What the log shows is that the kernel measured a file of this digest before it ran it, mapped it or (by some policies)
//! let root read it; which file each process is, it does not show. Whoever may talk to the TPM can add entries that no
//! kernel made, and cannot take back those of what ran before: the entries beside the policy's programs are not judged.

use std::collections::BTreeSet;

use policies::Digest;

use super::wire::{Malformed, Reader};

/// Bytes of a log at most: some 3,000 files.
pub const IMA_LOG_BYTES_MAX: usize = 384 * 1024;
/// The register that the kernel extends.
pub const IMA_REGISTER: u8 = 10;
/// Bytes of a template's name at most, and of its data.
const NAME_BYTES_MAX: usize = 64;
const DATA_BYTES_MAX: usize = 64 * 1024;
const DIGEST_NAME: &[u8] = b"sha256:\0";

/// Why a log was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ImaError {
    Malformed,
    Replay,
}

impl From<Malformed> for ImaError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// The digests of the files in a log that replays to exactly `register`.
pub(super) fn replay(log: &[u8], register: Digest) -> Result<BTreeSet<Digest>, ImaError> {
    if log.len() > IMA_LOG_BYTES_MAX {
        return Err(ImaError::Malformed);
    }
    let mut reader = Reader::new(log);
    let mut value = ZERO;
    let mut programs = BTreeSet::new();
    while !reader.is_empty() {
        let entry = Entry::parse(&mut reader)?;
        value = entry.extend(value);
        programs.extend(entry.file);
    }
    if value == register { Ok(programs) } else { Err(ImaError::Replay) }
}

/// The part of a log that was there when register 10 had this value: the kernel goes on writing while a quote is made.
///
/// # Errors
/// The log cannot be read, or no part of it replays to that value.
pub fn until(log: &[u8], register: Digest) -> Result<&[u8], Malformed> {
    let mut reader = Reader::new(log);
    let mut value = ZERO;
    while value != register {
        value = Entry::parse(&mut reader)?.extend(value);
    }
    Ok(&log[..log.len() - reader.rest().len()])
}

const ZERO: Digest = Digest::from_bytes([0; 32]);

struct Entry {
    register: u32,
    /// What the register was extended by.
    digest: Digest,
    /// SHA-256 of a file, where the entry is about one.
    file: Option<Digest>,
}

impl Entry {
    fn parse(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let register = reader.u32_le()?;
        let sha1: [u8; 20] = reader.array()?;
        let name = reader.sized_le(NAME_BYTES_MAX)?;
        let data = reader.sized_le(DATA_BYTES_MAX)?;
        // The oldest template is hashed in another form than it is written.
        if name == b"ima" {
            return Err(Malformed);
        }
        // Who opened a file for writing while it was measured: the kernel logs zeros and extends by ones.
        let violation = sha1 == [0; 20];
        let digest = if violation { Digest::from_bytes([0xff; 32]) } else { Digest::of(data) };
        let counts = !violation && register == u32::from(IMA_REGISTER);
        let file = match name {
            b"ima-ng" | b"ima-sig" => file_digest(data, name == b"ima-sig")?.filter(|_| counts),
            _ => None,
        };
        Ok(Self { register, digest, file })
    }

    fn extend(&self, value: Digest) -> Digest {
        // An entry of another register says nothing about this one.
        if self.register != u32::from(IMA_REGISTER) {
            return value;
        }
        Digest::of_parts(&[value.as_bytes(), self.digest.as_bytes()])
    }
}

/// The file's digest from the fields `d-ng|n-ng` and, if `signed`, `sig`. None where it is by another algorithm.
fn file_digest(data: &[u8], signed: bool) -> Result<Option<Digest>, Malformed> {
    let mut reader = Reader::new(data);
    let digest = reader.sized_le(DATA_BYTES_MAX)?;
    let _path = reader.sized_le(DATA_BYTES_MAX)?;
    if signed {
        let _signature = reader.sized_le(DATA_BYTES_MAX)?;
    }
    reader.finish()?;
    match digest.strip_prefix(DIGEST_NAME) {
        Some(digest) => digest.try_into().map(|bytes| Some(Digest::from_bytes(bytes))).map_err(|_| Malformed),
        None => Ok(None),
    }
}
