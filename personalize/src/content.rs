//! What items are about, as unit vectors over public tags.
//!
//! Every item gets a vector over [`SLOTS`] slots: the catalogue's most frequent words (tags, `kind`, decade of
//! publication) own a slot each, and rarer ones share the last slots by their digest. A slot's weight is its inverse
//! document frequency ln(items ÷ items that have it) + ½, and each vector has length 1 (the usual tf-idf of information
//! retrieval; Salton and Buckley 1988). An item with no word at all has the zero vector.

use std::collections::BTreeMap;

use policies::Digest;

use crate::catalogue::{Item, ItemIndex};

/// Length of a content vector.
pub const SLOTS: usize = 64;
/// Slots at the end that rare words share.
const SHARED: usize = 16;
const OWNED: usize = SLOTS - SHARED;

/// One slot of an item's content vector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// Which slot, below [`SLOTS`].
    pub slot: u8,
    /// Its value, above 0.
    pub value: f32,
}

/// The content vectors of a catalogue, sparse.
#[derive(Debug)]
pub struct Content {
    entries: Vec<Entry>,
    ends: Vec<u32>,
}

impl Content {
    pub(crate) fn of(items: &[Item]) -> Self {
        let words = items.iter().map(words).collect::<Vec<_>>();
        let slots = assign(&words);
        let mut items_with = [0.0f64; SLOTS];
        let taken = words.iter().map(|words| taken(words, &slots)).collect::<Vec<_>>();
        taken.iter().flatten().for_each(|slot| items_with[usize::from(*slot)] += 1.0);
        let mut content = Self { entries: Vec::new(), ends: Vec::with_capacity(items.len()) };
        for slots in &taken {
            let weight = |slot: u8| (count(items) / items_with[usize::from(slot)]).ln() + 0.5;
            let norm = slots.iter().map(|slot| weight(*slot).powi(2)).sum::<f64>().sqrt();
            #[expect(clippy::cast_possible_truncation, reason = "rounds to f32, which the ranker computes in")]
            content
                .entries
                .extend(slots.iter().map(|slot| Entry { slot: *slot, value: (weight(*slot) / norm) as f32 }));
            content.ends.push(u32::try_from(content.entries.len()).expect("ITEMS_MAX × (TAGS_MAX + 2) entries fit"));
        }
        content
    }

    /// The vector of one item, by rising slot. Its length is 1, or 0 where nothing is known.
    #[must_use]
    pub fn of_item(&self, item: ItemIndex) -> &[Entry] {
        let end = |place: usize| self.ends[place] as usize;
        let start = if item.0 == 0 { 0 } else { end(item.offset() - 1) };
        &self.entries[start..end(item.offset())]
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most ITEMS_MAX")]
fn count(items: &[Item]) -> f64 {
    items.len() as f64
}

/// Tags, kind and decade, each marked so that a tag `vod` is not the kind `vod`.
fn words(item: &Item) -> Vec<String> {
    let decade = item.year.map(|year| format!("decade {}", year / 10));
    let tags = item.tags.iter().map(|tag| format!("tag {tag}"));
    tags.chain([format!("kind {}", item.kind)]).chain(decade).collect()
}

/// Own slots to the most frequent words, by falling count and then by name.
fn assign(words: &[Vec<String>]) -> BTreeMap<&str, u8> {
    let mut counts = BTreeMap::<&str, u32>::new();
    words.iter().flatten().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut ranked = counts.into_iter().collect::<Vec<_>>();
    ranked.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
    let owned = u8::try_from(OWNED).expect("64 slots fit into u8");
    ranked.into_iter().map(|(word, _)| word).zip(0..owned).collect()
}

fn taken(words: &[String], slots: &BTreeMap<&str, u8>) -> Vec<u8> {
    let shared = |word: &str| {
        let byte = usize::from(Digest::of(word.as_bytes()).as_bytes()[0]);
        u8::try_from(OWNED + byte % SHARED).expect("64 slots fit into u8")
    };
    let slot = |word: &String| slots.get(word.as_str()).copied().unwrap_or_else(|| shared(word));
    let mut taken = words.iter().map(slot).collect::<Vec<_>>();
    taken.sort_unstable();
    taken.dedup();
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn item(tags: &[String], year: Option<u16>) -> Item {
        let tags = tags.iter().map(|tag| tag.as_str().into()).collect();
        Item { id: "i".into(), title: "".into(), kind: "vod".into(), tags, year }
    }

    /// Two of four items have the tag: its weight is ln 2 + ½; the kind, in all four, has ½.
    #[test]
    #[expect(clippy::cast_possible_truncation, reason = "rounds to f32, as the vectors do")]
    fn known_answer() {
        let (with, without) = (item(&["a".into()], None), item(&[], None));
        let content = Content::of(&[with.clone(), without.clone(), with, without]);
        let (tag, kind) = (2f64.ln() + 0.5, 0.5f64);
        let norm = tag.hypot(kind);
        let expected = [Entry { slot: 0, value: (kind / norm) as f32 }, Entry { slot: 1, value: (tag / norm) as f32 }];
        assert_eq!(content.of_item(ItemIndex(2)), expected);
        assert_eq!(content.of_item(ItemIndex(3)), [Entry { slot: 0, value: 1.0 }]);
    }

    proptest! {
        #[test]
        fn vectors_have_length_one(
            items in proptest::collection::vec((proptest::collection::vec(0..200u8, 0..6), 1..9999u16), 1..50),
        ) {
            let named = |tags: &Vec<u8>| tags.iter().map(|tag| format!("t{tag}")).collect::<Vec<_>>();
            let items = items.iter().map(|(tags, year)| item(&named(tags), Some(*year))).collect::<Vec<_>>();
            let content = Content::of(&items);
            for place in (0..).map(ItemIndex).take(items.len()) {
                let entries = content.of_item(place);
                let square = entries.iter().map(|entry| entry.value * entry.value).sum::<f32>();
                prop_assert!((square - 1.0).abs() < 1e-5);
                prop_assert!(entries.windows(2).all(|pair| pair[0].slot < pair[1].slot));
                prop_assert!(entries.iter().all(|entry| usize::from(entry.slot) < SLOTS));
            }
        }
    }
}
