//! A segment's forms.

use policies::Rho;

use super::{CborError, Integers, name, rho};
use crate::release::cbor::{Reader, Writer};
use crate::release::plan::{CELLS_MAX, SegmentKind};

/// Segments of a release at most.
const SEGMENTS_MAX: usize = 4;
/// Items of a segment that stands for its window and holds every cell, and of another.
const SEGMENT_ITEMS: (usize, usize) = (5, 7);

/// One segment of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentBody<V> {
    /// What it holds.
    pub kind: SegmentKind,
    /// Δ, in integer units.
    pub sensitivity: u64,
    /// What it spends.
    pub rho: Rho,
    /// Integer units of 1.
    pub scale: u64,
    /// The noised sums.
    pub values: V,
    /// Which cells the sums are of, for a kind that does not release all.
    pub sparse: Option<SparseBody<V>>,
    /// Where the row stands, for a kind that is one.
    pub stream: Option<StreamBody>,
}

/// Where a row stands in its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamBody {
    /// The window of the stream's first row.
    pub first: u64,
    /// Rows of the stream before this one.
    pub step: u32,
}

/// What a sparse segment says on top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SparseBody<V> {
    /// τ: no key with a smaller noised sum is here.
    pub threshold: i64,
    /// The keys of the sums, rising.
    pub keys: V,
}

impl SegmentBody<Integers<'_>> {
    pub(super) fn to_owned(&self) -> SegmentBody<Vec<i64>> {
        let Self { kind, sensitivity, rho, scale, values, sparse, stream } = self;
        let keys =
            |sparse: &SparseBody<Integers<'_>>| SparseBody { threshold: sparse.threshold, keys: sparse.keys.to_vec() };
        SegmentBody {
            kind: *kind,
            sensitivity: *sensitivity,
            rho: *rho,
            scale: *scale,
            values: values.to_vec(),
            sparse: sparse.as_ref().map(keys),
            stream: *stream,
        }
    }
}

/// Writes all segments.
pub(super) fn write<V: AsRef<[i64]>>(writer: &mut Writer, segments: &[SegmentBody<V>]) {
    writer.array(segments.len());
    for segment in segments {
        let every_cell = segment.sparse.is_none() && segment.stream.is_none();
        writer.array(if every_cell { SEGMENT_ITEMS.0 } else { SEGMENT_ITEMS.1 });
        writer.text(segment.kind.as_str());
        writer.unsigned(segment.sensitivity);
        writer.unsigned(segment.rho.picos());
        writer.unsigned(segment.scale);
        integers(writer, segment.values.as_ref());
        if let Some(sparse) = &segment.sparse {
            writer.integer(sparse.threshold);
            integers(writer, sparse.keys.as_ref());
        }
        if let Some(stream) = segment.stream {
            writer.unsigned(stream.first);
            writer.unsigned(u64::from(stream.step));
        }
    }
}

fn integers(writer: &mut Writer, values: &[i64]) {
    writer.array(values.len());
    values.iter().for_each(|value| writer.integer(*value));
}

/// Reads all segments.
pub(super) fn read<'a>(reader: &mut Reader<'a>) -> Result<Vec<SegmentBody<Integers<'a>>>, CborError> {
    let count = reader.array(SEGMENTS_MAX)?;
    let mut segments = Vec::with_capacity(count);
    for _ in 0..count {
        let items = reader.array(SEGMENT_ITEMS.1)?;
        let kind: SegmentKind = name(reader)?;
        if items != if kind.is_sparse() || kind.is_stream() { SEGMENT_ITEMS.1 } else { SEGMENT_ITEMS.0 } {
            return Err(CborError::OutOfBounds);
        }
        segments.push(SegmentBody {
            kind,
            sensitivity: reader.unsigned()?,
            rho: rho(reader)?,
            scale: reader.unsigned()?,
            values: reader.integers(CELLS_MAX)?,
            sparse: match kind.is_sparse() {
                true => Some(SparseBody { threshold: reader.integer()?, keys: reader.integers(CELLS_MAX)? }),
                false => None,
            },
            stream: match kind.is_stream() {
                true => Some(StreamBody { first: reader.unsigned()?, step: step(reader)? }),
                false => None,
            },
        });
    }
    Ok(segments)
}

fn step(reader: &mut Reader<'_>) -> Result<u32, CborError> {
    u32::try_from(reader.unsigned()?).map_err(|_| CborError::OutOfBounds)
}
