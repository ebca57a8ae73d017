//! Boxes of ISO BMFF (ISO/IEC 14496-12 §4.2), which JUMBF shares; event messages (ISO/IEC 23009-1 §5.10.3.3); and the
//! box in which C2PA puts a manifest store (§A.5.1).

use super::{BOXES_MAX, MANIFEST_BYTES_MAX, SEGMENT_INFO_BYTES_MAX, SEGMENT_INFO_SCHEME};

/// The user type of C2PA's `uuid` box.
pub(super) const C2PA_UUID: [u8; 16] =
    [0xd8, 0xfe, 0xc3, 0xd6, 0x1b, 0x0e, 0x48, 0x3c, 0x92, 0x97, 0x58, 0x28, 0x87, 0x7e, 0xc4, 0x81];
/// The `value` of an event message with segment information.
const SEGMENT_INFO_VALUE: &[u8] = b"fseg";

/// Boxes that do not fill their bytes, or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the boxes are malformed, or too many")]
pub(super) struct Malformed;

/// A box in the bytes that hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Boxed<'a> {
    /// Four characters.
    pub(super) kind: [u8; 4],
    /// Where it begins.
    pub(super) offset: u64,
    /// All of it.
    pub(super) whole: &'a [u8],
    /// What follows size and type.
    pub(super) body: &'a [u8],
}

/// The boxes that fill `bytes`, one after the other.
pub(super) fn split(bytes: &[u8]) -> Result<Vec<Boxed<'_>>, Malformed> {
    let mut boxes = Vec::new();
    let mut offset = 0;
    while offset < bytes.len() {
        if boxes.len() == BOXES_MAX {
            return Err(Malformed);
        }
        let next = one(&bytes[offset..], offset)?;
        offset += next.whole.len();
        boxes.push(next);
    }
    Ok(boxes)
}

fn one(rest: &[u8], offset: usize) -> Result<Boxed<'_>, Malformed> {
    let (size, after) = rest.split_first_chunk::<4>().ok_or(Malformed)?;
    let (kind, after) = after.split_first_chunk::<4>().ok_or(Malformed)?;
    let (header, size) = match u32::from_be_bytes(*size) {
        // To the end of what holds it.
        0 => (8, rest.len()),
        1 => {
            let large = after.first_chunk::<8>().ok_or(Malformed)?;
            (16, usize::try_from(u64::from_be_bytes(*large)).map_err(|_| Malformed)?)
        }
        size => (8, usize::try_from(size).map_err(|_| Malformed)?),
    };
    if size < header || size > rest.len() {
        return Err(Malformed);
    }
    Ok(Boxed { kind: *kind, offset: offset as u64, whole: &rest[..size], body: &rest[header..size] })
}

/// Whether this is an event message under C2PA's scheme: such boxes are left out of the hash of a segment.
pub(super) fn is_segment_info(boxed: &Boxed<'_>) -> bool {
    let scheme = boxed.body.get(4..).and_then(|after| split_text(after)).map(|(scheme, _)| scheme);
    boxed.kind == *b"emsg" && scheme == Some(SEGMENT_INFO_SCHEME.as_bytes())
}

/// Whether this is C2PA's `uuid` box: left out of every hash.
pub(super) fn is_manifest(boxed: &Boxed<'_>) -> bool {
    boxed.kind == *b"uuid" && boxed.body.starts_with(&C2PA_UUID)
}

/// The message of a box that [`is_segment_info`] (C2PA §19.4.2). Its time fields are under no signature, so that nothing
/// but their being in place is asked of them.
pub(super) fn segment_info<'a>(boxed: &Boxed<'a>) -> Result<&'a [u8], Malformed> {
    // Version 0, no flags.
    let after = boxed.body.strip_prefix(&[0; 4]).ok_or(Malformed)?;
    let (_, after) = split_text(after).ok_or(Malformed)?;
    let (value, after) = split_text(after).ok_or(Malformed)?;
    let (times, message) = after.split_first_chunk::<16>().ok_or(Malformed)?;
    let at_once = times[4..8] == [0; 4];
    if value == SEGMENT_INFO_VALUE && at_once && message.len() <= SEGMENT_INFO_BYTES_MAX {
        Ok(message)
    } else {
        Err(Malformed)
    }
}

/// The manifest store in a box that [`is_manifest`].
pub(super) fn manifest_store<'a>(boxed: &Boxed<'a>) -> Result<&'a [u8], Malformed> {
    let after = boxed.body.strip_prefix(&C2PA_UUID).and_then(|after| after.strip_prefix(&[0; 4])).ok_or(Malformed)?;
    let (purpose, after) = split_text(after).ok_or(Malformed)?;
    // The offset of a first Merkle box, of which there is none in a stream.
    let (_, store) = after.split_first_chunk::<8>().ok_or(Malformed)?;
    if purpose == b"manifest" && store.len() <= MANIFEST_BYTES_MAX { Ok(store) } else { Err(Malformed) }
}

/// A text that ends in a zero byte, and what follows it.
pub(super) fn split_text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// The one box of a kind, if there is any.
pub(super) fn single<'b, 'a>(
    boxes: &'b [Boxed<'a>],
    wanted: impl Fn(&Boxed<'a>) -> bool,
) -> Result<Option<&'b Boxed<'a>>, Malformed> {
    let mut found = boxes.iter().filter(|boxed| wanted(boxed));
    let first = found.next();
    if found.next().is_some() { Err(Malformed) } else { Ok(first) }
}
