//! JUMBF (ISO/IEC 19566-5) as far as its shape goes, and that of the CBOR (RFC 8949) in it.
//!
//! Looked at before any decoder that allocates and recurses by what the bytes claim: here nothing is allocated but the
//! list of boxes, nothing recurses, and every count has a limit. Compressed boxes (`brob`) are refused wherever they
//! stand, since no limit holds for what is in them.

mod cbor;
pub mod fuzz;

/// Bytes of a manifest store at most.
pub const BYTES_MAX: usize = 8 * 1024 * 1024;
/// Superboxes within superboxes at most. A store of C2PA has five levels.
pub const DEPTH_MAX: usize = 12;
/// Boxes of a store at most.
pub const BOXES_MAX: usize = 8192;
/// Containers within containers of a CBOR item at most.
pub const CBOR_DEPTH_MAX: usize = 48;
/// Items of all CBOR of a store at most.
pub const CBOR_ITEMS_MAX: usize = 262_144;

/// Bytes of a box's head: its length and its type.
const HEAD_BYTES: usize = 8;
/// Bytes of a description box before its label: a type and the toggles.
const DESCRIPTION_BYTES: usize = 17;
/// Bytes of a superbox's type.
const KIND_BYTES: usize = 16;
/// The toggle that a label is there (ISO/IEC 19566-5 §A.3).
const LABEL_TOGGLE: u8 = 0x02;

/// Why a store is not looked at further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JumbfError {
    /// Longer than [`BYTES_MAX`].
    #[error("the manifest store is too long")]
    TooLong,
    /// Deeper than [`DEPTH_MAX`], or CBOR deeper than [`CBOR_DEPTH_MAX`].
    #[error("the manifest store is nested too deeply")]
    TooDeep,
    /// More than [`BOXES_MAX`], or [`CBOR_ITEMS_MAX`].
    #[error("the manifest store has too many parts")]
    TooMany,
    /// A length that leads out of what encloses it.
    #[error("a box of the manifest store is longer than what encloses it")]
    Length,
    /// No superbox, or one without a description or label.
    #[error("the manifest store is not made of described boxes")]
    Description,
    /// A compressed box, whose content has not been looked at.
    #[error("the manifest store has a compressed box")]
    Compressed,
    /// CBOR that ends early or breaks its rules.
    #[error("CBOR in the manifest store is malformed")]
    Cbor,
}

/// A box that holds no boxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentBox<'a> {
    /// The labels of the superboxes around it, the outermost first.
    pub path: Vec<&'a str>,
    /// Its type, such as `cbor`.
    pub kind: [u8; 4],
    /// What it holds.
    pub content: &'a [u8],
    /// What the innermost superbox holds, its description too. It is what a hashed URI's hash is of (C2PA §8.4.2).
    pub hashed: &'a [u8],
}

/// A superbox right below the outermost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part<'a> {
    /// The type that its description gives it.
    pub kind: [u8; KIND_BYTES],
    /// Its label.
    pub label: &'a str,
}

/// What a store is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store<'a> {
    /// The superboxes right below the outermost in their order, those too that hold nothing.
    pub parts: Vec<Part<'a>>,
    /// The content boxes in their order.
    pub boxes: Vec<ContentBox<'a>>,
}

/// A superbox that is being read.
struct Superbox<'a> {
    kind: [u8; KIND_BYTES],
    label: &'a str,
    /// All that it holds.
    inner: &'a [u8],
    /// What of it is still to be read.
    rest: &'a [u8],
}

/// A box's type, what it holds, and what follows.
type Split<'a> = ([u8; 4], &'a [u8], &'a [u8]);

/// The content boxes of a store. See [`read`].
///
/// # Errors
/// The first rule that is broken.
pub fn content_boxes(store: &[u8]) -> Result<Vec<ContentBox<'_>>, JumbfError> {
    read(store).map(|store| store.boxes)
}

/// Reads a store. What follows the one superbox is not part of it.
///
/// # Errors
/// The first rule that is broken.
pub fn read(store: &[u8]) -> Result<Store<'_>, JumbfError> {
    if store.len() > BYTES_MAX {
        return Err(JumbfError::TooLong);
    }
    let (mut parts, mut found, mut boxes, mut items) = (Vec::new(), Vec::new(), 1, 0);
    let (kind, inner, _) = split(store)?;
    if kind != *b"jumb" {
        return Err(JumbfError::Description);
    }
    let mut open = vec![superbox(inner)?];
    while let Some(this) = open.last_mut() {
        if this.rest.is_empty() {
            open.pop();
            continue;
        }
        boxes += 1;
        if boxes > BOXES_MAX {
            return Err(JumbfError::TooMany);
        }
        let (kind, content, after) = split(this.rest)?;
        this.rest = after;
        let hashed = this.inner;
        match &kind {
            b"jumb" if open.len() >= DEPTH_MAX => return Err(JumbfError::TooDeep),
            b"jumb" => {
                let below = superbox(content)?;
                if open.len() == 1 {
                    parts.push(Part { kind: below.kind, label: below.label });
                }
                open.push(below);
                continue;
            }
            b"brob" => return Err(JumbfError::Compressed),
            b"cbor" => cbor::check(content, &mut items)?,
            _ => {}
        }
        let path = open.iter().map(|superbox| superbox.label).collect();
        found.push(ContentBox { path, kind, content, hashed });
    }
    Ok(Store { parts, boxes: found })
}

/// The first box. Lengths of 64 bits and those that mean "to the end" are refused:
/// within [`BYTES_MAX`] nobody needs them.
fn split(bytes: &[u8]) -> Result<Split<'_>, JumbfError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(JumbfError::Length)?;
    let (kind, _) = rest.split_first_chunk::<4>().ok_or(JumbfError::Length)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| JumbfError::Length)?;
    if length < HEAD_BYTES || length > bytes.len() {
        return Err(JumbfError::Length);
    }
    let (this, after) = bytes.split_at(length);
    Ok((*kind, &this[HEAD_BYTES..], after))
}

/// A superbox with its description read.
fn superbox(inner: &[u8]) -> Result<Superbox<'_>, JumbfError> {
    let (kind, description, rest) = split(inner)?;
    if kind != *b"jumd" {
        return Err(JumbfError::Description);
    }
    let (fixed, label) = description.split_first_chunk::<DESCRIPTION_BYTES>().ok_or(JumbfError::Description)?;
    let [kind @ .., toggles] = *fixed;
    if toggles & LABEL_TOGGLE == 0 {
        return Err(JumbfError::Description);
    }
    let end = label.iter().position(|byte| *byte == 0).ok_or(JumbfError::Description)?;
    let label = std::str::from_utf8(&label[..end]).map_err(|_| JumbfError::Description)?;
    Ok(Superbox { kind, label, inner, rest })
}

#[cfg(test)]
mod tests;
