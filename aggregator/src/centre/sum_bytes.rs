//! A running sum as bytes, for the store to keep.

use policies::{Digest, TaskKind};

use super::merge::{SumSegment, TaskSum};
use crate::release::cbor::{CborError, Reader, Writer};
use crate::release::plan::{CELLS_MAX, SegmentKind};

/// Names are labels of at most 63 bytes.
const NAME_BYTES_MAX: usize = 63;
/// Segments of a task at most.
const SEGMENTS_MAX: usize = 4;
/// The form's version.
const VERSION: u64 = 1;

impl TaskSum {
    /// The sum as deterministic CBOR.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let cells: usize = self.segments.iter().map(|segment| segment.values.len()).sum();
        let mut writer = Writer::with_capacity(512 + 9 * cells);
        writer.array(9);
        writer.unsigned(VERSION);
        writer.text(self.tenant.as_str());
        writer.text(self.kind.as_str());
        writer.bytes(self.frame.as_bytes());
        [self.windows, self.last_window, self.releases].iter().for_each(|number| writer.unsigned(*number));
        writer.boolean(self.private);
        writer.array(self.segments.len());
        for segment in &self.segments {
            writer.array(if segment.keys.is_some() { 5 } else { 4 });
            writer.text(segment.kind.as_str());
            writer.unsigned(segment.scale);
            writer.unsigned(segment.noise_variance.to_bits());
            writer.array(segment.values.len());
            segment.values.iter().for_each(|value| writer.integer(*value));
            if let Some(keys) = &segment.keys {
                writer.array(keys.len());
                keys.iter().for_each(|key| writer.unsigned(*key));
            }
        }
        writer.finish()
    }

    /// Reads what [`TaskSum::encode`] wrote, and nothing else.
    ///
    /// # Errors
    /// Says how the bytes differ from that form.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut reader = Reader::new(bytes);
        reader.tuple(9)?;
        if reader.unsigned()? != VERSION {
            return Err(CborError::OutOfBounds);
        }
        let mut sum = Self {
            tenant: reader.text(NAME_BYTES_MAX)?.parse().map_err(|_| CborError::OutOfBounds)?,
            kind: reader.text(NAME_BYTES_MAX)?.parse::<TaskKind>().map_err(|_| CborError::OutOfBounds)?,
            frame: Digest::from_bytes(reader.fixed()?),
            windows: reader.unsigned()?,
            last_window: reader.unsigned()?,
            releases: reader.unsigned()?,
            private: reader.boolean()?,
            segments: Vec::new(),
        };
        for _ in 0..reader.array(SEGMENTS_MAX)? {
            let items = reader.array(5)?;
            let kind: SegmentKind = reader.text(NAME_BYTES_MAX)?.parse().map_err(|_| CborError::OutOfBounds)?;
            if items != if kind.is_sparse() { 5 } else { 4 } {
                return Err(CborError::OutOfBounds);
            }
            let scale = reader.unsigned()?;
            let noise_variance = finite(f64::from_bits(reader.unsigned()?))?;
            let values = reader.integers(CELLS_MAX)?.to_vec();
            let keys = if kind.is_sparse() { Some(keys(&mut reader, values.len())?) } else { None };
            sum.segments.push(SumSegment { kind, values, keys, scale, noise_variance });
        }
        reader.finish()?;
        Ok(sum)
    }
}

/// `count` rising keys.
fn keys(reader: &mut Reader<'_>, count: usize) -> Result<Vec<u64>, CborError> {
    reader.tuple(count)?;
    let keys = (0..count).map(|_| reader.unsigned()).collect::<Result<Vec<u64>, _>>()?;
    if keys.is_sorted_by(|one, next| one < next) { Ok(keys) } else { Err(CborError::OutOfBounds) }
}

fn finite(variance: f64) -> Result<f64, CborError> {
    if variance.is_finite() && variance.is_sign_positive() { Ok(variance) } else { Err(CborError::OutOfBounds) }
}
