//! A stream's state, and what a segment is held against.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::boxes::{self, Boxed};
use super::cbor::{self, Value};
use super::cose::PublicKey;
use super::jumbf::LABEL_BYTES_MAX;
use super::manifest::{Manifest, ManifestError, Signer, sha256};
use super::segment_info::SegmentInfo;
use super::sequence::{Mark, Order, Sequence, Splice};
use super::session_keys::{self, OutOfLife, SessionKey, SessionKeyError};
use super::{INIT_BYTES_MAX, LiveError, SEGMENT_BYTES_MAX, SESSION_KEYS_MAX, SegmentError, SegmentVerdict};
use crate::content::text;
use crate::evidence::chain::Anchors;

/// Label of the assertion on a segment (§19.3.2).
const SEGMENT_ASSERTION: &str = "c2pa.livevideo.segment";
const CONTINUITY_BY_MANIFEST: &str = "c2pa.manifestId";
/// Manifests of a stream whose late segments are still known, the one in force included.
const MANIFESTS_KNOWN_MAX: usize = 4;

/// How a stream's segments are signed (§19.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// By session keys, in event messages (§19.4).
    SegmentInfo,
    /// By the signer, with a manifest in each (§19.3).
    ManifestBox,
}

/// A stream that was opened by an init segment.
pub struct LiveStream {
    anchors: Arc<Anchors>,
    method: Method,
    signer: Signer,
    signer_key: PublicKey,
    signer_expires_ms: u64,
    /// Identifiers of manifests, the one in force last.
    manifests: Vec<String>,
    keys: Vec<SessionKey>,
    /// What the first accepted segment called the stream.
    stream_id: Option<String>,
    sequence: Sequence,
}

/// What a check found, before anything is changed.
struct Found<'a> {
    number: u64,
    mark: Mark,
    splice: Option<Splice>,
    integrity: Result<Change<'a>, SegmentError>,
}

/// What an accepted segment changes beside the sequence.
#[derive(Default)]
struct Change<'a> {
    stream_id: Option<&'a str>,
    renewal: Option<Renewal<'a>>,
}

/// A manifest that came in a segment, and the keys that it brings.
struct Renewal<'a> {
    manifest_id: &'a str,
    signer_expires_ms: u64,
    keys: Vec<SessionKey>,
}

impl LiveStream {
    /// Verifies an init segment by the policy's anchors.
    ///
    /// # Errors
    /// See [`LiveError`]: the first check that fails.
    pub fn open(init: &[u8], anchors: &Arc<Anchors>, now_ms: u64) -> Result<Self, LiveError> {
        Self::open_requiring(init, anchors, &BTreeSet::new(), now_ms)
    }

    /// Verifies an init segment by the policy's anchors, whose manifest must hold assertions of all these labels.
    ///
    /// # Errors
    /// See [`LiveError`]: the first check that fails.
    pub fn open_requiring(
        init: &[u8],
        anchors: &Arc<Anchors>,
        required: &BTreeSet<String>,
        now_ms: u64,
    ) -> Result<Self, LiveError> {
        // 1. Bounds and boxes: one movie, one manifest, no media (§19.2.3, §19.7.1).
        if init.len() > INIT_BYTES_MAX {
            return Err(LiveError::TooLong);
        }
        let boxes = boxes::split(init).map_err(|_| LiveError::Boxes)?;
        let count = |kind: &[u8; 4]| boxes.iter().filter(|boxed| boxed.kind == *kind).count();
        if count(b"mdat") + count(b"moof") > 0 {
            return Err(LiveError::Media);
        }
        if count(b"moov") != 1 {
            return Err(LiveError::NoMovie);
        }
        let boxed = boxes::single(&boxes, boxes::is_manifest).map_err(|_| LiveError::Boxes)?;
        let store = boxes::manifest_store(boxed.ok_or(LiveError::NoManifest)?).map_err(|_| LiveError::Boxes)?;
        // 2. The manifest, and that it is about these bytes.
        let manifest = Manifest::verify(store, anchors, now_ms)?;
        manifest.check_hash(&boxes).map_err(ManifestError::Hash)?;
        if !required.iter().all(|label| manifest.has(label)) {
            return Err(LiveError::Required);
        }
        // 3. The session keys, which say the method.
        let keys = session_keys_of(&manifest)?;
        let method = if keys.is_empty() { Method::ManifestBox } else { Method::SegmentInfo };
        Ok(Self {
            anchors: Arc::clone(anchors),
            method,
            signer: manifest.signer,
            signer_key: manifest.key,
            signer_expires_ms: manifest.expires_ms,
            manifests: vec![manifest.id.to_owned()],
            keys,
            stream_id: None,
            sequence: Sequence::default(),
        })
    }

    /// The identifier of the manifest in force as it may stand in answers, cut and cleaned.
    #[must_use]
    pub fn manifest_name(&self) -> String {
        text::bounded(self.manifest_id()).unwrap_or_default()
    }

    /// How its segments are signed.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The identifier of the manifest in force.
    #[must_use]
    pub fn manifest_id(&self) -> &str {
        self.manifests.last().map_or("", String::as_str)
    }

    /// Who signed it.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// When nothing of the stream can verify any more, unless a segment renews it: the signer's certificate or the last of
    /// the session keys has ended. Unix ms.
    #[must_use]
    pub fn expires_ms(&self) -> u64 {
        let keys = self.keys.iter().map(|key| key.ends_ms).max();
        keys.map_or(self.signer_expires_ms, |keys| keys.min(self.signer_expires_ms))
    }

    /// The number of the segment that is furthest ahead.
    #[must_use]
    pub fn last_number(&self) -> Option<u64> {
        self.sequence.last()
    }

    /// Verifies one segment. Nothing of a segment that is not accepted changes the stream.
    pub fn segment(&mut self, segment: &[u8], now_ms: u64) -> SegmentVerdict {
        let found = match self.examine(segment, now_ms) {
            Ok(found) => found,
            Err((error, splice)) => {
                let order = splice.map_or(Order::Unknown, Order::Spliced);
                return SegmentVerdict { number: None, order, integrity: Err(error) };
            }
        };
        let order = found.splice.map_or_else(|| self.sequence.place(found.number, &found.mark), Order::Spliced);
        let (change, integrity) = match found.integrity {
            Ok(change) => (change, Ok(())),
            Err(error) => (Change::default(), Err(error)),
        };
        let verdict = SegmentVerdict { number: Some(found.number), order, integrity };
        if verdict.accepted() {
            self.sequence.accept(found.number, found.mark);
            self.apply(&change, order, now_ms);
        }
        verdict
    }

    /// What nobody vouches for is an error, with a splice where it is plainly another stream's.
    fn examine<'a>(&self, segment: &'a [u8], now_ms: u64) -> Result<Found<'a>, (SegmentError, Option<Splice>)> {
        let plain = |error| (error, None);
        // 1. Bounds and boxes. A hash leaves every message and manifest out, so that a second one is nobody's.
        if segment.len() > SEGMENT_BYTES_MAX {
            return Err(plain(SegmentError::TooLong));
        }
        let boxes = boxes::split(segment).map_err(|_| plain(SegmentError::Boxes))?;
        let info = boxes::single(&boxes, boxes::is_segment_info).map_err(|_| plain(SegmentError::Boxes))?;
        let manifest = boxes::single(&boxes, boxes::is_manifest).map_err(|_| plain(SegmentError::Boxes))?;
        let info = info.map(boxes::segment_info).transpose().map_err(|_| plain(SegmentError::Boxes))?;
        let store = manifest.map(boxes::manifest_store).transpose().map_err(|_| plain(SegmentError::Boxes))?;
        // 2. By the method.
        match self.method {
            Method::SegmentInfo => {
                let info = info.ok_or(plain(SegmentError::Unsigned))?;
                let info = SegmentInfo::read(info).map_err(plain)?;
                self.by_segment_info(&info, &boxes, store, now_ms)
            }
            Method::ManifestBox => {
                let store = store.ok_or(plain(SegmentError::Unsigned))?;
                self.by_manifest(store, &boxes, now_ms).map_err(plain)
            }
        }
    }

    /// §19.7.3.
    fn by_segment_info<'a>(
        &self,
        info: &SegmentInfo<'a>,
        boxes: &[Boxed<'a>],
        store: Option<&'a [u8]>,
        now_ms: u64,
    ) -> Result<Found<'a>, (SegmentError, Option<Splice>)> {
        // 1. A manifest that comes along, and the keys that it brings.
        let renewal = store.map(|store| self.renewal(store, boxes, info.number, now_ms)).transpose()?;
        // 2. The key by its identifier, among those that the stream knew before: a signer of many streams could otherwise
        // have one's manifest and keys put into another, since nothing but these keys tells the two apart.
        let key = self.keys.iter().find(|key| key.kid == info.kid);
        let key = key.ok_or((SegmentError::UnknownKey, Some(Splice::Key)))?;
        // 3. The signature. Before it verifies, what the information says of its manifest is a hint, no more.
        let splice = self.foreign(info, renewal.as_ref()).then_some(Splice::Manifest);
        let verified = info.signature.verify(&key.key, info.payload);
        verified.map_err(|error| (SegmentError::Signature(error), splice))?;
        // 4. What the key may sign and when; then the bytes.
        let integrity = self
            .check_key(key, info, now_ms)
            .and_then(|()| Ok(info.check_hash(boxes)?))
            .map(|()| Change { stream_id: None, renewal });
        Ok(Found { number: info.number, mark: Mark { signed: info.digest(), chained: None }, splice, integrity })
    }

    fn check_key(&self, key: &SessionKey, info: &SegmentInfo<'_>, now_ms: u64) -> Result<(), SegmentError> {
        if info.number < key.first_number {
            return Err(SegmentError::BeforeKey);
        }
        // The time of signing is the signer's word, so that the time of the check counts as well: a key that was stolen
        // after its end could date its segments back.
        let signed_ms = info.signature.iat_s.map(|seconds| seconds.saturating_mul(1000));
        for at_ms in signed_ms.into_iter().chain([now_ms]) {
            key.check_life(at_ms).map_err(|out| match out {
                OutOfLife::NotYetValid => SegmentError::KeyNotYetValid,
                OutOfLife::Expired => SegmentError::KeyExpired,
            })?;
        }
        if now_ms > self.signer_expires_ms { Err(SegmentError::SignerExpired) } else { Ok(()) }
    }

    /// Whether information belongs to a manifest that is not this stream's. An earlier manifest is for late segments.
    fn foreign(&self, info: &SegmentInfo<'_>, renewal: Option<&Renewal<'_>>) -> bool {
        if let Some(renewal) = renewal {
            return info.manifest_id != renewal.manifest_id;
        }
        let late = self.sequence.last().is_some_and(|last| info.number < last);
        let earlier = late && self.manifests.iter().any(|known| known == info.manifest_id);
        info.manifest_id != self.manifest_id() && !earlier
    }

    /// A manifest within a segment: by this stream's signer, about this segment (§19.4.3). Its keys are for the segments
    /// after it.
    fn renewal<'a>(
        &self,
        store: &'a [u8],
        boxes: &[Boxed<'a>],
        number: u64,
        now_ms: u64,
    ) -> Result<Renewal<'a>, (SegmentError, Option<Splice>)> {
        let refused = |error: ManifestError| (SegmentError::Manifest(error), None);
        let manifest = Manifest::verify(store, &self.anchors, now_ms).map_err(refused)?;
        if manifest.key != self.signer_key {
            return Err((SegmentError::UnknownKey, Some(Splice::Key)));
        }
        manifest.check_hash(boxes).map_err(|error| refused(ManifestError::Hash(error)))?;
        let keys = session_keys_of(&manifest).map_err(|error| (SegmentError::SessionKeys(error), None))?;
        // One that is known may come again as it was.
        let known = |key: &SessionKey| self.keys.iter().any(|known| known.kid == key.kid && known.key == key.key);
        if keys.iter().any(|key| key.first_number < number && !known(key)) {
            return Err((SegmentError::SessionKeys(SessionKeyError::MinimumNumber), None));
        }
        Ok(Renewal { manifest_id: manifest.id, signer_expires_ms: manifest.expires_ms, keys })
    }

    /// §19.7.2.
    fn by_manifest<'a>(&self, store: &'a [u8], boxes: &[Boxed<'a>], now_ms: u64) -> Result<Found<'a>, SegmentError> {
        // 1. The manifest, by whom the policy believes.
        let manifest = Manifest::verify(store, &self.anchors, now_ms)?;
        // 2. What it says of the segment.
        let assertion = manifest.assertion(SEGMENT_ASSERTION).ok_or(SegmentError::Assertion)?;
        let assertion = cbor::decode(assertion).map_err(|_| SegmentError::Assertion)?;
        let text = |name| {
            let text = assertion.field(name).and_then(Value::text);
            text.filter(|text| !text.is_empty() && text.len() <= LABEL_BYTES_MAX)
        };
        let number = assertion.field("sequenceNumber").and_then(Value::unsigned).ok_or(SegmentError::Assertion)?;
        let stream_id = text("streamId").ok_or(SegmentError::Assertion)?;
        if text("continuityMethod") != Some(CONTINUITY_BY_MANIFEST) {
            return Err(SegmentError::ContinuityMethod);
        }
        let previous = text("previousManifestId").ok_or(SegmentError::ContinuityMethod)?;
        // 3. Whether it is this stream's: by its signer, under its name.
        let splice = if manifest.key != self.signer_key {
            Some(Splice::Key)
        } else if self.stream_id.as_deref().is_some_and(|known| known != stream_id) {
            Some(Splice::Stream)
        } else {
            None
        };
        // 4. The bytes.
        let change = Change { stream_id: Some(stream_id), renewal: None };
        let integrity = manifest.check_hash(boxes).map(|()| change).map_err(SegmentError::Hash);
        let chained = [sha256(manifest.id.as_bytes()), sha256(previous.as_bytes())];
        Ok(Found { number, mark: Mark { signed: manifest.claim, chained: Some(chained) }, splice, integrity })
    }

    fn apply(&mut self, change: &Change<'_>, order: Order, now_ms: u64) {
        if self.stream_id.is_none() {
            self.stream_id = change.stream_id.map(str::to_owned);
        }
        // A late segment's manifest was replaced already.
        let Some(renewal) = change.renewal.as_ref().filter(|_| order != Order::Reordered) else { return };
        self.manifests.push(renewal.manifest_id.to_owned());
        if self.manifests.len() > MANIFESTS_KNOWN_MAX {
            self.manifests.remove(0);
        }
        self.signer_expires_ms = renewal.signer_expires_ms;
        self.keys.retain(|key| key.check_life(now_ms) != Err(OutOfLife::Expired));
        for key in &renewal.keys {
            self.keys.retain(|known| known.kid != key.kid);
            self.keys.push(key.clone());
        }
        let surplus = self.keys.len().saturating_sub(SESSION_KEYS_MAX);
        self.keys.drain(..surplus);
    }
}

/// The session keys of a manifest; none where it has no such assertion.
fn session_keys_of(manifest: &Manifest<'_>) -> Result<Vec<SessionKey>, SessionKeyError> {
    if !manifest.has(session_keys::LABEL) {
        return Ok(Vec::new());
    }
    let assertion = manifest.assertion(session_keys::LABEL).ok_or(SessionKeyError::Malformed)?;
    session_keys::read(assertion, &manifest.certificate)
}
