//! A release as bytes: a deterministic CBOR body inside a signed envelope.
//!
//! ```text
//! envelope = [ bstr body, bstr signature ]          signature: Ed25519 over "siwa release v1" ‖ 0 ‖ body
//! body     = [ 2, tenant, task, region, node, window,
//!              [ unit, window seconds, quota, region factor, nodes ],
//!              policy, catalogue, frame, model version, ledger, sequence,
//!              purpose, rho in 10⁻¹², delta in 10⁻¹⁸, private,
//!              [ *segment ] ]
//! segment  = [ kind, sensitivity, rho in 10⁻¹², scale, [ *integer ] ]
//!          / [ kind, sensitivity, rho in 10⁻¹², scale, [ *integer ], threshold, [ *key ] ]      a sparse kind
//!          / [ kind, sensitivity, rho in 10⁻¹², scale, [ *integer ], first window, step ]       a row of a stream
//! ```
//! A sparse segment holds as many keys as numbers, rising. Its kind says which form a segment has.
//! Digests are byte strings of 32, the ledger of 16; names are text. One release has one form: a decoder that meets
//! any other refuses it, so that signed bytes, stored bytes and meaning are one.

mod segment;

use std::str::FromStr;

use attest::{Context, Signature, SigningKey, VerifyingKey};
use policies::{Delta, Digest, PrivacyUnit, PurposeId, Rho, UnitRule, WindowId};

pub use self::segment::{SegmentBody, SparseBody, StreamBody};
pub use super::cbor::{CborError, Integers};
use super::cbor::{Reader, Writer};
use super::plan::CELLS_MAX;
use super::{LedgerId, ReleaseId};

/// The form's version.
const VERSION: u64 = 2;
/// Items of a body.
const BODY_ITEMS: usize = 18;
/// Names are labels of at most 63 bytes.
const NAME_BYTES_MAX: usize = 63;
/// An envelope is never longer: two full segments, and what stands around them.
pub const ENVELOPE_BYTES_MAX: usize = 2 * 9 * CELLS_MAX + 4096;

/// What a release says. `V` holds a segment's numbers: a slice to write, [`Integers`] when read.
#[derive(Clone, PartialEq)]
pub struct ReleaseBody<V> {
    /// Its name.
    pub id: ReleaseId,
    /// The privacy unit and what bounds it.
    pub unit: UnitRule,
    /// Digest of the policy set in force.
    pub policy: Digest,
    /// Digest of the catalogue.
    pub catalogue: Digest,
    /// Digest of the frame that encodings follow.
    pub frame: Digest,
    /// The model that the frame was published with.
    pub model_version: u64,
    /// The node's ledger.
    pub ledger: LedgerId,
    /// The number of the charge in that ledger.
    pub sequence: u64,
    /// The purpose.
    pub purpose: PurposeId,
    /// What was charged.
    pub rho: Rho,
    /// What was charged on top: 0 but for sparse keysets.
    pub delta: Delta,
    /// False where noise was seeded or off.
    pub private: bool,
    /// The numbers.
    pub segments: Vec<SegmentBody<V>>,
}

/// An envelope whose form is sound and whose signature was not yet looked at.
pub struct Envelope<'a> {
    body: &'a [u8],
    signature: Signature,
}

impl<'a> Envelope<'a> {
    /// Reads an envelope without copying it.
    ///
    /// # Errors
    /// Too long, or not in the one form.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CborError> {
        if bytes.len() > ENVELOPE_BYTES_MAX {
            return Err(CborError::OutOfBounds);
        }
        let mut reader = Reader::new(bytes);
        reader.tuple(2)?;
        let body = reader.bytes()?;
        let signature = Signature(reader.fixed()?);
        reader.finish()?;
        Ok(Self { body, signature })
    }

    /// The body, whoever signed it.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The body, where `key` signed it.
    #[must_use]
    pub fn verified_body(&self, key: &VerifyingKey) -> Option<&'a [u8]> {
        key.verifies(Context::RELEASE, self.body, &self.signature).then_some(self.body)
    }
}

/// Signs a body and puts it into its envelope.
pub(crate) fn seal(body: &[u8], key: &SigningKey) -> Vec<u8> {
    let signature = key.sign(Context::RELEASE, body);
    let mut writer = Writer::with_capacity(body.len() + 80);
    writer.array(2);
    writer.bytes(body);
    writer.bytes(&signature.0);
    writer.finish()
}

impl<V: AsRef<[i64]>> ReleaseBody<V> {
    /// The body's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let cells: usize = self.segments.iter().map(|segment| segment.values.as_ref().len()).sum();
        let mut writer = Writer::with_capacity(1024 + 9 * cells);
        writer.array(BODY_ITEMS);
        writer.unsigned(VERSION);
        writer.text(self.id.tenant.as_str());
        writer.text(self.id.task.as_str());
        writer.text(self.id.region.as_str());
        writer.text(self.id.node.as_str());
        writer.unsigned(self.id.window.0);
        write_unit(&mut writer, &self.unit);
        [self.policy, self.catalogue, self.frame].iter().for_each(|digest| writer.bytes(digest.as_bytes()));
        writer.unsigned(self.model_version);
        writer.bytes(&self.ledger.0);
        writer.unsigned(self.sequence);
        writer.text(self.purpose.as_str());
        writer.unsigned(self.rho.picos());
        writer.unsigned(self.delta.attos());
        writer.boolean(self.private);
        segment::write(&mut writer, &self.segments);
        writer.finish()
    }
}

impl<'a> ReleaseBody<Integers<'a>> {
    /// Reads a body without copying its numbers.
    ///
    /// # Errors
    /// Not in the one form, or outside of its bounds.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        reader.tuple(BODY_ITEMS)?;
        if reader.unsigned()? != VERSION {
            return Err(CborError::OutOfBounds);
        }
        let id = ReleaseId {
            tenant: name(&mut reader)?,
            task: name(&mut reader)?,
            region: name(&mut reader)?,
            node: name(&mut reader)?,
            window: WindowId(reader.unsigned()?),
        };
        let body = Self {
            id,
            unit: read_unit(&mut reader)?,
            policy: Digest::from_bytes(reader.fixed()?),
            catalogue: Digest::from_bytes(reader.fixed()?),
            frame: Digest::from_bytes(reader.fixed()?),
            model_version: reader.unsigned()?,
            ledger: LedgerId(reader.fixed()?),
            sequence: reader.unsigned()?,
            purpose: name(&mut reader)?,
            rho: rho(&mut reader)?,
            delta: delta(&mut reader)?,
            private: reader.boolean()?,
            segments: segment::read(&mut reader)?,
        };
        reader.finish()?;
        Ok(body)
    }

    /// The same with its numbers copied out of the bytes.
    #[must_use]
    pub fn to_owned(&self) -> ReleaseBody<Vec<i64>> {
        ReleaseBody {
            id: self.id.clone(),
            unit: self.unit.clone(),
            policy: self.policy,
            catalogue: self.catalogue,
            frame: self.frame,
            model_version: self.model_version,
            ledger: self.ledger,
            sequence: self.sequence,
            purpose: self.purpose.clone(),
            rho: self.rho,
            delta: self.delta,
            private: self.private,
            segments: self.segments.iter().map(SegmentBody::to_owned).collect(),
        }
    }
}

fn write_unit(writer: &mut Writer, unit: &UnitRule) {
    writer.array(5);
    writer.text(unit_name(unit.unit));
    [unit.window_seconds, unit.quota, unit.region_factor, unit.nodes]
        .iter()
        .for_each(|part| writer.unsigned(u64::from(*part)));
}

fn read_unit(reader: &mut Reader<'_>) -> Result<UnitRule, CborError> {
    reader.tuple(5)?;
    let unit = unit_kind(reader)?;
    let mut part = || reader.unsigned().and_then(|part| u32::try_from(part).map_err(|_| CborError::OutOfBounds));
    Ok(UnitRule { unit, window_seconds: part()?, quota: part()?, region_factor: part()?, nodes: part()? })
}

pub(super) fn unit_kind(reader: &mut Reader<'_>) -> Result<PrivacyUnit, CborError> {
    let text = reader.text(NAME_BYTES_MAX)?;
    let unit = [PrivacyUnit::ViewerWindow, PrivacyUnit::Session].into_iter().find(|unit| unit_name(*unit) == text);
    unit.ok_or(CborError::OutOfBounds)
}

pub(crate) const fn unit_name(unit: PrivacyUnit) -> &'static str {
    match unit {
        PrivacyUnit::ViewerWindow => "viewer-window",
        PrivacyUnit::Session => "session",
    }
}

pub(super) fn name<T: FromStr>(reader: &mut Reader<'_>) -> Result<T, CborError> {
    reader.text(NAME_BYTES_MAX)?.parse().map_err(|_| CborError::OutOfBounds)
}

pub(super) fn delta(reader: &mut Reader<'_>) -> Result<Delta, CborError> {
    Delta::from_attos(reader.unsigned()?).map_err(|_| CborError::OutOfBounds)
}

pub(super) fn rho(reader: &mut Reader<'_>) -> Result<Rho, CborError> {
    Rho::from_picos(reader.unsigned()?).map_err(|_| CborError::OutOfBounds)
}
