//! What a clip's C2PA manifest says, who signed it, and whether it holds (C2PA 2.x, by the crate `c2pa`).
//!
//! Who takes part: a *signer* made a manifest, a *platform* sends the clip, a *policy* says whom to believe. Everything
//! in the clip is hostile. `c2pa` decides whether signature, assertions and hard binding hold; what it is given has been
//! looked at by [`jumbf`], it can reach no network and no file, and a panic of it is an error here.
//! Whom to believe is decided a second time: the chain of certificates has to lead to an anchor of the policy by
//! RFC 5280 §6 too, since `c2pa` does not ask whether an intermediate certificate may issue any.
//!
//! Times: the chain is verified at `now_ms`, or at the time of a trusted time stamp. `c2pa` itself reads the system's
//! clock to see whether the signer's certificate has expired, which no argument changes. A time stamp is trusted where
//! `c2pa` trusts its authority by the same anchors; that authority's chain is not verified a second time.
//!
//! Not done: revocation is known only from OCSP responses within the manifest; manifests that stand elsewhere (XMP
//! `provenance`) are not fetched, such a clip has none; CAWG identities are not decoded.

mod assertions;
mod asset;
mod binding;
mod failure;
mod film;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixtures;
pub mod fuzz;
mod picture;
mod read;
mod signer;

use std::collections::BTreeSet;
use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

pub use super::TEXT_BYTES_MAX;
use super::text;
use c2pa::{Context, Reader, Settings};
use policies::{Digest, ProvenanceRule};
use serde::{Deserialize, Serialize};

use crate::content::jumbf::{self, JumbfError};
use crate::evidence::chain::{AnchorError, Anchors};

pub use assertions::{Ai, AiUse, Edit, Ingredients, Mining, MiningUse};
pub use asset::MediaType;
pub use failure::{Failure, Part};
use read::Bound;
pub use signer::{SignedAt, Signer};

/// Manifests of one store at most.
pub const MANIFESTS_MAX: usize = 64;
/// How the types of manifests begin: standard ones, twice, and those that update another (C2PA §11.1.4). Compressed ones
/// (`c2cm`) are not among them.
const MANIFEST_KINDS: [[u8; 4]; 3] = [*b"c2ma", *b"c2md", *b"c2um"];
/// How all types of C2PA go on.
const KIND_REST: [u8; 12] = [0, 0x11, 0, 0x10, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
/// Failures told at most.
pub const FAILURES_MAX: usize = 12;
/// Edits told at most.
pub const EDITS_MAX: usize = 24;

/// What it comes to. The order is from worst to best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A manifest that does not hold.
    Invalid,
    /// No manifest. That says nothing about the clip.
    None,
    /// The signature holds, and nobody looked whether the clip is the one that was signed: only the manifest came.
    Unbound,
    /// Signature, assertions and binding hold; whether the signer can be believed is not known.
    Valid,
    /// As [`State::Valid`], the signer's chain ends in an anchor of the policy, the assertions that the policy asks for
    /// are there, and the binding leaves nothing [open to change](Provenance::open_to_change).
    Trusted,
}

/// Whether the clip's bytes are those that were signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// The manifest's hard binding (C2PA §9) was recomputed: over the clip, or from its digest where the manifest binds
    /// nothing else.
    Checked,
    /// It could not be, since the clip did not come.
    NotChecked,
}

/// What is known of a clip's origin. Of a manifest whose signature or assertions do not hold, nothing is told but why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// What it comes to.
    pub state: State,
    /// SHA-256 of the clip: computed, or as it was told where only the manifest came.
    pub digest: Digest,
    /// Whether the clip is the one that was signed. Absent without a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asset: Option<Binding>,
    /// The active manifest's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Who signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signer: Option<Signer>,
    /// The software that made the manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_generator: Option<String>,
    /// The clip's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What is said of artificial intelligence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai: Option<Ai>,
    /// What was done to the clip, in the manifest's order, [`EDITS_MAX`] at most.
    pub edits: Vec<Edit>,
    /// How many edits are not told.
    pub edits_left_off: usize,
    /// What the clip was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingredients: Option<Ingredients>,
    /// Assertions that the policy asks for and the active manifest lacks.
    pub missing_assertions: Vec<String>,
    /// What failed, each once, [`FAILURES_MAX`] at most.
    pub failures: Vec<Failure>,
    /// Whether the signer left more of the clip open to change than the manifest's own place: what was signed may then
    /// be less than what is seen. Also where the binding's extent cannot be told, as of a manifest that only updates
    /// another. Such a clip is [`State::Valid`] at best.
    pub open_to_change: bool,
}

/// Why there is no [`Provenance`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// The bytes do not begin as those of the media type do.
    #[error("the content is not of the media type that it is said to be")]
    MediaType,
    /// The container is broken.
    #[error("the content cannot be read as its media type")]
    Container,
    /// A film of too many boxes: 4096 at most, of all levels, and 16 levels.
    #[error("the content has too many boxes")]
    Boxes,
    /// A picture of too many segments: 131,072 at most, of whatever in it a reader may take for one.
    #[error("the content has too many segments")]
    Segments,
    /// A box of C2PA for an update of a manifest, or for something else that is not looked at.
    #[error("the content has a C2PA box that is not looked at")]
    Purpose,
    /// A binding that cannot be read, or leaves out more parts than are looked at.
    #[error("a binding of the manifest store cannot be read, or leaves out too many parts")]
    Bindings,
    /// The store was not looked at further.
    #[error(transparent)]
    Store(#[from] JumbfError),
    /// More manifests than [`MANIFESTS_MAX`].
    #[error("the manifest store has too many manifests")]
    Manifests,
    /// A part of the store is no manifest, or a compressed one.
    #[error("the manifest store holds something that is no manifest")]
    ManifestKind,
    /// Two manifests of one label.
    #[error("the manifest store has two manifests of one label")]
    ManifestTwice,
    /// The decoder panicked.
    #[error("the content cannot be read")]
    Malformed,
}

/// What to check.
#[derive(Debug, Clone, Copy)]
enum Input<'a> {
    Whole(&'a [u8]),
    Fragment { init: &'a [u8], fragment: &'a [u8] },
    Manifest(&'a [u8]),
}

/// Checks clips by one policy.
pub struct Checker {
    anchors: Anchors,
    required: Vec<String>,
    context: Arc<Context>,
}

impl Checker {
    /// Reads the rule's anchors.
    ///
    /// # Errors
    /// An anchor without a certificate, or with a broken one.
    pub fn new(rule: &ProvenanceRule) -> Result<Self, AnchorError> {
        let anchors = Anchors::read(&rule.anchors)?;
        let mut pem = String::new();
        for anchor in &rule.anchors {
            pem.push_str(std::str::from_utf8(&anchor.pem).map_err(|_| AnchorError)?);
            pem.push('\n');
        }
        let context = Context::new().with_settings(settings(pem)).map_err(|_| AnchorError)?;
        let required = rule.required_assertions.iter().cloned().collect();
        Ok(Self { anchors, required, context: context.into_shared() })
    }

    /// Checks a whole clip.
    ///
    /// # Errors
    /// See [`ProvenanceError`]. A manifest that does not hold is no error.
    pub fn check(&self, media_type: MediaType, clip: &[u8], now_ms: u64) -> Result<Provenance, ProvenanceError> {
        self.guarded(media_type, Input::Whole(clip), Digest::of(clip), now_ms)
    }

    /// Checks a fragment of a fragmented MP4 with its initialisation segment, which holds the manifest. The digest is
    /// that of both, one after the other.
    ///
    /// # Errors
    /// As [`Checker::check`].
    pub fn check_fragment(&self, init: &[u8], fragment: &[u8], now_ms: u64) -> Result<Provenance, ProvenanceError> {
        let digest = Digest::of(&[init, fragment].concat());
        self.guarded(MediaType::Mp4, Input::Fragment { init, fragment }, digest, now_ms)
    }

    /// Checks a manifest store without the clip, of which only the SHA-256 is told. The result is [`State::Unbound`] at
    /// best, but where the manifest binds the clip's every byte by SHA-256, which the digest then answers for.
    ///
    /// # Errors
    /// As [`Checker::check`].
    pub fn check_manifest(&self, store: &[u8], digest: Digest, now_ms: u64) -> Result<Provenance, ProvenanceError> {
        self.guarded(MediaType::Mp4, Input::Manifest(store), digest, now_ms)
    }

    fn guarded(
        &self,
        media_type: MediaType,
        input: Input<'_>,
        digest: Digest,
        now_ms: u64,
    ) -> Result<Provenance, ProvenanceError> {
        guard(|| self.run(media_type, input, digest, now_ms))
    }

    fn run(
        &self,
        media_type: MediaType,
        input: Input<'_>,
        digest: Digest,
        now_ms: u64,
    ) -> Result<Provenance, ProvenanceError> {
        // 1. The container is of its media type and of a bounded number of parts, and the store is taken out of it.
        let extent = asset::extent(media_type, input)?;
        let store = match input {
            Input::Whole(bytes) | Input::Fragment { init: bytes, .. } => asset::store(media_type, bytes)?,
            Input::Manifest(store) => Some(store.to_vec()),
        };
        let Some(store) = store else { return Ok(Provenance::of_state(State::None, digest)) };
        // 2. Its shape is bounded, and so is what its bindings leave out.
        let jumbf::Store { parts, boxes } = jumbf::read(&store)?;
        manifests(&parts)?;
        binding::bounded(&boxes)?;
        // 3. Signatures, assertions, ingredients and the hard binding (C2PA §15).
        let reader = Reader::from_shared_context(&self.context);
        let format = media_type.as_str();
        let read = match input {
            Input::Whole(bytes) => reader.with_manifest_data_and_stream(&store, format, Cursor::new(bytes)),
            Input::Fragment { init, fragment } => {
                reader.with_fragment(format, Cursor::new(init), Cursor::new(fragment))
            }
            Input::Manifest(_) => {
                reader.with_manifest_data_and_stream(&store, "application/c2pa", Cursor::new(Vec::new()))
            }
        };
        let reader = match read {
            Ok(reader) => reader,
            Err(error) => return Ok(Provenance::unreadable(digest, &error)),
        };
        // 4. The binding that was signed: what it leaves out, and what it says where only the digest came.
        let signed = binding::signed(&reader, &boxes);
        let open = binding::leaves_open(signed, store.len(), extent);
        let bound = match input {
            Input::Manifest(_) => {
                signed.and_then(|signed| binding::by_digest(signed, &digest)).map_or(Bound::Unknown, Bound::ByDigest)
            }
            Input::Whole(_) | Input::Fragment { .. } => Bound::ByClip,
        };
        // 5. What the policy asks for beyond.
        Ok(read::provenance(self, &reader, read::Asset { bound, open, digest }, now_ms))
    }
}

/// A panic of the decoder is the input's doing, and nobody else's.
fn guard<T>(work: impl FnOnce() -> Result<T, ProvenanceError>) -> Result<T, ProvenanceError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(ProvenanceError::Malformed))
}

/// That every part of a store is a manifest (C2PA §11.1.4), of a label of its own, and that there are not too many.
/// `c2pa` passes over parts of other types, and lets one manifest take the place of another of its label: what is looked
/// at there and here has to be the same.
fn manifests(parts: &[jumbf::Part<'_>]) -> Result<(), ProvenanceError> {
    if parts.len() > MANIFESTS_MAX {
        return Err(ProvenanceError::Manifests);
    }
    if !parts
        .iter()
        .all(|part| MANIFEST_KINDS.iter().any(|kind| part.kind.split_at(4) == (kind.as_slice(), &KIND_REST)))
    {
        return Err(ProvenanceError::ManifestKind);
    }
    let labels: BTreeSet<&str> = parts.iter().map(|part| part.label).collect();
    if labels.len() < parts.len() { Err(ProvenanceError::ManifestTwice) } else { Ok(()) }
}

/// Settings of a context of its own: nothing is fetched, nothing is written to a disk, trust is verified.
fn settings(anchors: String) -> Settings {
    let mut settings = Settings::new();
    settings.trust.trust_anchors = (!anchors.is_empty()).then_some(anchors);
    settings.verify.verify_after_reading = true;
    settings.verify.ocsp_fetch = false;
    settings.verify.remote_manifest_fetch = false;
    settings.core.allowed_network_hosts = Some(Vec::new());
    settings.core.decode_identity_assertions = false;
    settings.core.max_decompressed_manifest_size_in_mb = jumbf::BYTES_MAX >> 20;
    // Beyond it a temporary file would be used. No clip is that large.
    settings.core.backing_store_memory_threshold_in_mb = 1 << 20;
    settings
}

impl Provenance {
    fn of_state(state: State, digest: Digest) -> Self {
        Self {
            state,
            digest,
            asset: None,
            manifest: None,
            signer: None,
            claim_generator: None,
            title: None,
            ai: None,
            edits: Vec::new(),
            edits_left_off: 0,
            ingredients: None,
            missing_assertions: Vec::new(),
            failures: Vec::new(),
            open_to_change: false,
        }
    }

    /// A manifest of which no more is known than that it cannot be read.
    fn unreadable(digest: Digest, error: &c2pa::Error) -> Self {
        Self { failures: vec![Failure::of_error(error)], ..Self::of_state(State::Invalid, digest) }
    }
}

#[cfg(test)]
mod tests;
