//! The hash of a segment (C2PA §18.6, `c2pa.hash.bmff.v3`): over each top-level box that is not left out, its offset as
//! eight bytes and then the box.

use ring::digest::{self, Context, SHA256, SHA384, SHA512};

use super::SEGMENT_INFO_SCHEME;
use super::boxes::{self, Boxed, C2PA_UUID};
use super::cbor::Value;

/// Where the user type of a `uuid` box stands.
const UUID_OFFSET: u64 = 8;
/// Where the scheme of an event message stands. §19.4.1 writes 0, at which no box has it; signers write either.
const SCHEME_OFFSETS: [u64; 2] = [12, 0];
/// Exclusions of a map at most.
const EXCLUSIONS_MAX: usize = 16;

/// Why a hash of a segment is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// There is none, or more than one.
    #[error("there is no hash of the bytes")]
    Missing,
    /// Not a `bmff-hash-map`.
    #[error("the hash's structure is malformed")]
    Malformed,
    /// Not SHA-256, SHA-384 or SHA-512.
    #[error("the hash's algorithm is not supported")]
    Algorithm,
    /// A Merkle tree, which segments of a live stream don't have (§19.4.1).
    #[error("the hash is a Merkle tree")]
    Merkle,
    /// Something is left out beyond what may be without leaving out media.
    #[error("the hash leaves out what it must cover")]
    Exclusion,
    /// The bytes are not those that were signed.
    #[error("the bytes are not those that were hashed")]
    Mismatch,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exclusion {
    /// C2PA's `uuid` boxes.
    Manifest,
    /// Event messages with segment information.
    SegmentInfo,
    /// Boxes that play no part in presentation, or move.
    Kind([u8; 4]),
}

/// Digest algorithms of C2PA (§13.1), by their names.
pub(super) fn algorithm(name: &str) -> Option<&'static digest::Algorithm> {
    match name {
        "sha256" => Some(&SHA256),
        "sha384" => Some(&SHA384),
        "sha512" => Some(&SHA512),
        _ => None,
    }
}

/// What a segment's bytes must hash to.
pub(super) struct BmffHash<'a> {
    algorithm: &'static digest::Algorithm,
    hash: &'a [u8],
    exclusions: Vec<Exclusion>,
}

impl<'a> BmffHash<'a> {
    /// Reads a `bmff-hash-map`; a claim's algorithm is taken where it names none.
    pub(super) fn read(map: &Value<'a>, claim_algorithm: Option<&str>) -> Result<Self, HashError> {
        if map.field("merkle").is_some() {
            return Err(HashError::Merkle);
        }
        let named = match map.field("alg") {
            Some(alg) => alg.text().ok_or(HashError::Malformed)?,
            None => claim_algorithm.ok_or(HashError::Malformed)?,
        };
        let algorithm = algorithm(named).ok_or(HashError::Algorithm)?;
        let hash = map.field("hash").and_then(Value::bytes).ok_or(HashError::Malformed)?;
        let exclusions = map.field("exclusions").and_then(Value::array).ok_or(HashError::Malformed)?;
        if hash.len() != algorithm.output_len() || exclusions.len() > EXCLUSIONS_MAX {
            return Err(HashError::Malformed);
        }
        let exclusions = exclusions.iter().map(exclusion).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { algorithm, hash, exclusions })
    }

    /// Whether segment information is left out, as it must be of a hash that it holds.
    pub(super) fn leaves_out_segment_info(&self) -> bool {
        self.exclusions.contains(&Exclusion::SegmentInfo)
    }

    /// Holds the boxes of a segment against the hash.
    pub(super) fn check(&self, boxes: &[Boxed<'_>]) -> Result<(), HashError> {
        let hash = hash(self.algorithm, boxes, |boxed| self.exclusions.iter().any(|exclusion| exclusion.covers(boxed)));
        if hash.as_ref() == self.hash { Ok(()) } else { Err(HashError::Mismatch) }
    }
}

fn hash(
    algorithm: &'static digest::Algorithm,
    boxes: &[Boxed<'_>],
    left_out: impl Fn(&Boxed<'_>) -> bool,
) -> digest::Digest {
    let mut context = Context::new(algorithm);
    for boxed in boxes.iter().filter(|boxed| !left_out(boxed)) {
        context.update(&boxed.offset.to_be_bytes());
        context.update(boxed.whole);
    }
    context.finish()
}

impl Exclusion {
    fn covers(self, boxed: &Boxed<'_>) -> bool {
        match self {
            Self::Manifest => boxes::is_manifest(boxed),
            Self::SegmentInfo => boxes::is_segment_info(boxed),
            Self::Kind(kind) => boxed.kind == kind,
        }
    }
}

/// Reads an `exclusions-map`. Only whole top-level boxes that hold no media may be left out: whoever signs `/mdat` away
/// signs nothing.
fn exclusion(map: &Value<'_>) -> Result<Exclusion, HashError> {
    let path = map.field("xpath").and_then(Value::text).ok_or(HashError::Malformed)?;
    if ["length", "version", "flags", "exact", "subset"].iter().any(|name| map.field(name).is_some()) {
        return Err(HashError::Exclusion);
    }
    let data = match map.field("data").map(|data| data.array().ok_or(HashError::Malformed)).transpose()? {
        None => None,
        Some([one]) => {
            let offset = one.field("offset").and_then(Value::unsigned).ok_or(HashError::Malformed)?;
            Some((offset, one.field("value").and_then(Value::bytes).ok_or(HashError::Malformed)?))
        }
        Some(_) => return Err(HashError::Exclusion),
    };
    match (path, data) {
        ("/uuid", Some((UUID_OFFSET, value))) if value == C2PA_UUID => Ok(Exclusion::Manifest),
        ("/emsg", Some((offset, value)))
            if SCHEME_OFFSETS.contains(&offset) && value == SEGMENT_INFO_SCHEME.as_bytes() =>
        {
            Ok(Exclusion::SegmentInfo)
        }
        ("/ftyp", None) => Ok(Exclusion::Kind(*b"ftyp")),
        ("/free", None) => Ok(Exclusion::Kind(*b"free")),
        ("/skip", None) => Ok(Exclusion::Kind(*b"skip")),
        ("/mfra", None) => Ok(Exclusion::Kind(*b"mfra")),
        _ => Err(HashError::Exclusion),
    }
}
