//! From bytes to checked items.

use std::collections::HashSet;

use policies::Digest;
use serde::Deserialize;

use super::{ID_BYTES_MAX, ITEMS_MAX, Item, LINE_BYTES_MAX, TAG_BYTES_MAX, TAGS_MAX, TITLE_BYTES_MAX};

/// A catalogue was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("catalogue line {line}: {fault}")]
pub struct CatalogueError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with a catalogue's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is no item at all.
    #[error("a catalogue has at least one item")]
    Empty,
    /// More than [`ITEMS_MAX`] items.
    #[error("more than {ITEMS_MAX} items")]
    TooManyItems,
    /// More than [`LINE_BYTES_MAX`] bytes.
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    /// Not the JSON object that was asked for.
    #[error("not a JSON object of id, title, kind, tags and year")]
    Form,
    /// The id is empty, too long, or has control characters.
    #[error("an id is 1 to {ID_BYTES_MAX} bytes without control characters")]
    Id,
    /// Another line has the same id.
    #[error("the id stands in an earlier line")]
    DuplicateId,
    /// The title is too long.
    #[error("a title is at most {TITLE_BYTES_MAX} bytes")]
    Title,
    /// The kind is empty or too long.
    #[error("a kind is 1 to {TAG_BYTES_MAX} bytes")]
    Kind,
    /// Too many tags, or one is empty, too long or repeated.
    #[error("at most {TAGS_MAX} distinct tags of 1 to {TAG_BYTES_MAX} bytes")]
    Tags,
    /// Not a year.
    #[error("a year is 1 to 9999 or null")]
    Year,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: Box<str>,
    title: Box<str>,
    kind: Box<str>,
    tags: Vec<Box<str>>,
    year: Option<i64>,
}

pub(super) fn items(jsonl: &[u8]) -> Result<Vec<Item>, CatalogueError> {
    let text = jsonl.strip_suffix(b"\n").unwrap_or(jsonl);
    if text.is_empty() {
        return Err(CatalogueError { line: 1, fault: Fault::Empty });
    }
    let mut ids = HashSet::new();
    let mut items = Vec::new();
    for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let refuse = |fault| CatalogueError { line, fault };
        if line > ITEMS_MAX {
            return Err(refuse(Fault::TooManyItems));
        }
        let item = item(bytes.strip_suffix(b"\r").unwrap_or(bytes)).map_err(refuse)?;
        if !ids.insert(item.id.clone()) {
            return Err(refuse(Fault::DuplicateId));
        }
        items.push(item);
    }
    Ok(items)
}

fn item(bytes: &[u8]) -> Result<Item, Fault> {
    if bytes.len() > LINE_BYTES_MAX {
        return Err(Fault::LineTooLong);
    }
    let line: Line = serde_json::from_slice(bytes).map_err(|_| Fault::Form)?;
    if !(1..=ID_BYTES_MAX).contains(&line.id.len()) || line.id.chars().any(char::is_control) {
        return Err(Fault::Id);
    }
    if line.title.len() > TITLE_BYTES_MAX {
        return Err(Fault::Title);
    }
    let is_word = |text: &str| (1..=TAG_BYTES_MAX).contains(&text.len());
    if !is_word(&line.kind) {
        return Err(Fault::Kind);
    }
    let distinct = line.tags.iter().collect::<HashSet<_>>().len() == line.tags.len();
    if !distinct || line.tags.len() > TAGS_MAX || !line.tags.iter().all(|tag| is_word(tag)) {
        return Err(Fault::Tags);
    }
    let year = match line.year.map(u16::try_from) {
        None => None,
        Some(Ok(year @ 1..=9999)) => Some(year),
        Some(_) => return Err(Fault::Year),
    };
    Ok(Item { id: line.id, title: line.title, kind: line.kind, tags: line.tags, year })
}

/// Every field of every item, each text behind its length, so that no two lists share their bytes.
pub(super) fn digest(items: &[Item]) -> Digest {
    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u64).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    let mut bytes = b"siwa catalogue v1\0".to_vec();
    for item in items {
        text(&mut bytes, &item.id);
        text(&mut bytes, &item.title);
        text(&mut bytes, &item.kind);
        bytes.extend((item.tags.len() as u64).to_be_bytes());
        item.tags.iter().for_each(|tag| text(&mut bytes, tag));
        bytes.extend(item.year.unwrap_or(0).to_be_bytes());
    }
    Digest::of(&bytes)
}
