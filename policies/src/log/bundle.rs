//! Bundles of entries (C2SP tlog-tiles): up to 256 leaves, each after its length in two bytes, big-endian.

use super::tile::TILE_WIDTH;

/// Bytes of one entry.
pub const ENTRY_BYTES_MAX: usize = 65_535;
/// Bytes of a full bundle.
pub const BUNDLE_BYTES_MAX: usize = TILE_WIDTH as usize * (2 + ENTRY_BYTES_MAX);

/// The bytes are no bundle of so many entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log's entries are not in the form of a bundle")]
pub struct MalformedBundle;

/// Appends an entry to a bundle.
///
/// # Errors
/// The entry is too long.
pub fn append(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), MalformedBundle> {
    let length = u16::try_from(entry.len()).map_err(|_| MalformedBundle)?;
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle of `width`.
///
/// # Errors
/// There are fewer or more, or the last is cut off.
pub fn decode(bundle: &[u8], width: u16) -> Result<Vec<&[u8]>, MalformedBundle> {
    if bundle.len() > BUNDLE_BYTES_MAX || width > TILE_WIDTH {
        return Err(MalformedBundle);
    }
    let (mut rest, mut entries) = (bundle, Vec::with_capacity(width.into()));
    for _ in 0..width {
        let (length, after) = rest.split_first_chunk::<2>().ok_or(MalformedBundle)?;
        let (entry, after) = after.split_at_checked(u16::from_be_bytes(*length).into()).ok_or(MalformedBundle)?;
        entries.push(entry);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(MalformedBundle) }
}
