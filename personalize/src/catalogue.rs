//! What a tenant can show: an immutable, versioned list of items.
//!
//! A catalogue is public input. It never derives from viewers' signals, so its keys may stand in
//! releases, and its [digest](Catalogue::digest) stands in every release and every model.

mod parse;

use std::collections::HashMap;

use policies::{Digest, TenantId};
use serde::{Deserialize, Serialize};

use crate::content::Content;

pub use parse::{CatalogueError, Fault};

/// Items of one catalogue at most.
pub const ITEMS_MAX: usize = 1 << 18;
/// Bytes of one line at most, its line end not counted.
pub const LINE_BYTES_MAX: usize = 8 << 10;
/// Bytes of an item's id at most.
pub const ID_BYTES_MAX: usize = 128;
/// Bytes of an item's title at most.
pub const TITLE_BYTES_MAX: usize = 1024;
/// Bytes of an item's kind, and of each of its tags, at most.
pub const TAG_BYTES_MAX: usize = 64;
/// Tags of one item at most.
pub const TAGS_MAX: usize = 32;

/// An item's place in its catalogue, from 0. Meaningless without the catalogue's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ItemIndex(pub u32);

impl ItemIndex {
    /// The place as an offset into a slice of the catalogue's length.
    #[must_use]
    pub const fn offset(self) -> usize {
        self.0 as usize
    }
}

/// One thing to show: a film, a clip, a live channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The tenant's name for it, 1 to [`ID_BYTES_MAX`] bytes.
    pub id: Box<str>,
    /// Its title, at most [`TITLE_BYTES_MAX`] bytes.
    pub title: Box<str>,
    /// The tenant's word for its form: `vod`, `live`, `clip` and the like.
    pub kind: Box<str>,
    /// At most [`TAGS_MAX`] distinct tags in the tenant's order.
    pub tags: Vec<Box<str>>,
    /// Year of publication, 1 to 9999.
    pub year: Option<u16>,
}

/// An immutable catalogue. Callers share it as `Arc<Catalogue>`.
#[derive(Debug)]
pub struct Catalogue {
    tenant: TenantId,
    version: u64,
    digest: Digest,
    items: Vec<Item>,
    places: HashMap<Box<str>, ItemIndex>,
    content: Content,
}

impl Catalogue {
    /// Reads one JSON object a line: `{"id","title","kind","tags":[…],"year":null|int}`.
    ///
    /// # Errors
    /// Names the first line that is not such an object, breaks a bound, or repeats an id. Its content is not echoed.
    pub fn parse(tenant: TenantId, version: u64, jsonl: &[u8]) -> Result<Self, CatalogueError> {
        let items = parse::items(jsonl)?;
        let places = (0u32..).zip(&items).map(|(place, item)| (item.id.clone(), ItemIndex(place))).collect();
        let (digest, content) = (parse::digest(&items), Content::of(&items));
        Ok(Self { tenant, version, digest, items, places, content })
    }

    /// The tenant it belongs to.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Its version: it only rises.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// SHA-256 of the items in order, whatever the spelling of the lines. Tenant and version are not part of it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// How many items it has: at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a catalogue is never empty")]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether `index` lies in this catalogue.
    #[must_use]
    pub fn contains(&self, index: ItemIndex) -> bool {
        index.offset() < self.items.len()
    }

    /// The item at `index`.
    ///
    /// # Panics
    /// When `index` did not come from this catalogue; [`Catalogue::contains`] tells.
    #[must_use]
    pub fn item(&self, index: ItemIndex) -> &Item {
        &self.items[index.offset()]
    }

    /// Every item, in the order of their indices.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Where the item named `id` stands.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<ItemIndex> {
        self.places.get(id).copied()
    }

    /// What the items are about, as vectors.
    #[must_use]
    pub fn content(&self) -> &Content {
        &self.content
    }
}

#[cfg(test)]
mod tests;
