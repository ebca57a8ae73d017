//! A manifest's hard binding (C2PA §9.2): which it is, what it comes to where only the clip's digest is there, and how
//! much of the clip it leaves out.

mod hash;

use c2pa::Reader;
use minicbor::Decoder;
use minicbor::data::Type;
use policies::Digest;

use super::ProvenanceError;
use crate::content::jumbf::ContentBox;
use hash::whole_hash;

/// Where a manifest's assertions are.
const ASSERTIONS: &str = "c2pa.assertions";
/// How the label of every hard binding begins.
const HASHES: &str = "c2pa.hash.";
const DATA_HASH: &str = "c2pa.hash.data";
const BOXES_HASH: &str = "c2pa.hash.boxes";
const BMFF_HASH: &str = "c2pa.hash.bmff";
/// Boxes of a film that signers leave out as a rule, wholly or for the offsets in them: none holds picture or sound
/// (C2PA §18.7).
const BMFF_LEFT_OUT: [&str; 12] = [
    "/uuid",
    "/ftyp",
    "/mfra",
    "/free",
    "/skip",
    "/emsg",
    "/meta/iloc",
    "/mfra/tfra",
    "/moov/trak/mdia/minf/stbl/stco",
    "/moov/trak/mdia/minf/stbl/co64",
    "/moof/traf/tfhd",
    "/moof/traf/trun",
];
/// What a film's picture and sound are in. Left out where Merkle trees bind it instead.
const BMFF_MEDIA: &str = "/mdat";
/// Bytes around a store in a container, beside a thousandth of its length for the heads of a JPEG's segments.
const AROUND_BYTES: u64 = 256;
/// Exclusions of a binding at most, and parts of boxes that they name.
const EXCLUSIONS_MAX: u64 = 64;
/// Members of a data hash looked at.
const MEMBERS_MAX: u64 = 32;

/// What of a film the binding was recomputed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it, in one piece. A picture too.
    Whole,
    /// All of it, which has fragments (`moof`).
    WholeOfFragments,
    /// The initialisation segment and one fragment.
    Fragment,
    /// None: only the manifest came.
    Nothing,
}

/// An assertion that the signed claim names: its label, and the hash of its superbox.
type Named = (String, Vec<u8>);

/// The active manifest's hard binding, if it has one and that is the one which its signer named.
pub(super) fn signed<'a, 'b>(reader: &Reader, boxes: &'a [ContentBox<'b>]) -> Option<&'a ContentBox<'b>> {
    let references = reader.active_manifest()?.assertion_references();
    let named: Vec<Named> = references
        .filter_map(|reference| Some((reference.url().rsplit('/').next()?.to_owned(), reference.hash())))
        .collect();
    the_binding(boxes, reader.active_label()?, &named)
}

/// Which manifest is active, only `c2pa` says: it passes over what our own walk would see. What stands under its label is
/// not believed either, but the hash that the claim gives for it, which its signature covers.
fn the_binding<'a, 'b>(boxes: &'a [ContentBox<'b>], active: &str, named: &[Named]) -> Option<&'a ContentBox<'b>> {
    // 1. The claim names one binding. One that only updates another has none.
    let mut bindings = named.iter().filter(|(label, _)| label.starts_with(HASHES));
    let (label, hash) = bindings.next()?;
    // 2. The manifest holds one.
    let mut found = boxes.iter().filter(|found| match found.path.as_slice() {
        [_, manifest, store, label, ..] => *manifest == active && *store == ASSERTIONS && label.starts_with(HASHES),
        _ => false,
    });
    let binding = found.next()?;
    if bindings.next().is_some() || found.next().is_some() {
        return None;
    }
    // 3. It is the one that is named, to the byte.
    let is_named = binding.path.len() == 4
        && binding.path.last() == Some(&label.as_str())
        && binding.kind == *b"cbor"
        && Digest::of(binding.hashed).as_bytes().as_slice() == hash.as_slice();
    is_named.then_some(binding)
}

/// Whether the digest is that which the binding is to; nothing where it cannot tell, since the manifest leaves bytes out
/// or binds otherwise.
pub(super) fn by_digest(binding: &ContentBox<'_>, digest: &Digest) -> Option<bool> {
    if binding.path.get(3) != Some(&DATA_HASH) {
        return None;
    }
    let hash = whole_hash(binding.content)?;
    Some(hash == digest.as_bytes())
}

/// Whether the signer left more of the clip out of the binding than the manifest's own place, which is `store_bytes`
/// long. What cannot be read, or is not known, leaves it open.
pub(super) fn leaves_open(binding: Option<&ContentBox<'_>>, store_bytes: usize, extent: Extent) -> bool {
    let Some(binding) = binding else { return true };
    let closed = match binding.path.get(3).copied() {
        Some(DATA_HASH) => {
            let store_bytes = u64::try_from(store_bytes).unwrap_or(u64::MAX);
            let own = store_bytes.saturating_add(store_bytes / 1000).saturating_add(AROUND_BYTES);
            excluded_bytes(binding.content).is_some_and(|excluded| excluded <= own)
        }
        Some(BOXES_HASH) => hash::every_box(binding.content).unwrap_or(false),
        Some(label) if super::assertions::is_version_of(label, BMFF_HASH) => {
            film_is_closed(binding.content, extent).unwrap_or(false)
        }
        _ => false,
    };
    !closed
}

/// Whether all that is seen and heard of a film is bound. A Merkle tree is taken for the media only where `c2pa` holds
/// every block of it against the tree; elsewhere it follows boxes that nothing binds (C2PA §18.7).
fn film_is_closed(assertion: &[u8], extent: Extent) -> Option<bool> {
    let paths = excluded_boxes(assertion)?;
    let film = hash::film(assertion)?;
    let media_left_out = paths.contains(&BMFF_MEDIA);
    let only_usual = paths.iter().all(|path| BMFF_LEFT_OUT.contains(path) || *path == BMFF_MEDIA);
    let trees_hold = |hold: fn(&hash::Tree) -> bool| {
        film.trees.as_ref().is_some_and(|trees| !trees.is_empty() && trees.iter().all(hold))
    };
    let media_bound = match extent {
        Extent::Whole if film.trees.is_none() => film.hash && !media_left_out,
        Extent::Whole => film.hash && trees_hold(|tree| tree.blocks),
        Extent::WholeOfFragments => film.hash && film.trees.is_none() && !media_left_out,
        Extent::Fragment => trees_hold(|tree| tree.init_hash) && !media_left_out,
        Extent::Nothing if film.trees.is_none() => film.hash && !media_left_out,
        Extent::Nothing => false,
    };
    Some(only_usual && media_bound)
}

/// That every binding of every manifest leaves out a number of parts that `c2pa` can be given: it looks for each at each
/// box of the clip.
pub(super) fn bounded(boxes: &[ContentBox<'_>]) -> Result<(), ProvenanceError> {
    let is_binding = |found: &&ContentBox<'_>| {
        found.kind == *b"cbor" && found.path.last().is_some_and(|label| label.starts_with(HASHES))
    };
    for binding in boxes.iter().filter(is_binding) {
        subsets(binding.content).filter(|count| *count <= EXCLUSIONS_MAX).ok_or(ProvenanceError::Bindings)?;
    }
    Ok(())
}

/// How many parts of boxes a binding leaves out.
fn subsets(assertion: &[u8]) -> Option<u64> {
    let mut count = 0_u64;
    exclusions(assertion, |decoder| {
        for _ in 0..decoder.map().ok()?.filter(|members| *members <= MEMBERS_MAX)? {
            if decoder.str().ok()? == "subset" && decoder.datatype().ok()? != Type::Null {
                // Its length is told before its items, which are then skipped.
                count = count.saturating_add(decoder.probe().array().ok()??);
            }
            decoder.skip().ok()?;
        }
        Some(())
    })?;
    Some(count)
}

/// Runs `each` on every map of the assertion's `exclusions`.
fn exclusions<'a>(assertion: &'a [u8], mut each: impl FnMut(&mut Decoder<'a>) -> Option<()>) -> Option<()> {
    let mut decoder = Decoder::new(assertion);
    let members = decoder.map().ok()?.filter(|members| *members <= MEMBERS_MAX)?;
    for _ in 0..members {
        if decoder.str().ok()? != "exclusions" || decoder.datatype().ok()? == Type::Null {
            decoder.skip().ok()?;
            continue;
        }
        let count = decoder.array().ok()?.filter(|count| *count <= EXCLUSIONS_MAX)?;
        for _ in 0..count {
            each(&mut decoder)?;
        }
    }
    Some(())
}

fn excluded_bytes(assertion: &[u8]) -> Option<u64> {
    let mut sum = 0_u64;
    exclusions(assertion, |decoder| {
        for _ in 0..decoder.map().ok()?.filter(|members| *members <= MEMBERS_MAX)? {
            match decoder.str().ok()? {
                "length" => sum = sum.saturating_add(decoder.u64().ok()?),
                _ => decoder.skip().ok()?,
            }
        }
        Some(())
    })?;
    Some(sum)
}

fn excluded_boxes(assertion: &[u8]) -> Option<Vec<&str>> {
    let mut paths = Vec::new();
    exclusions(assertion, |decoder| {
        for _ in 0..decoder.map().ok()?.filter(|members| *members <= MEMBERS_MAX)? {
            match decoder.str().ok()? {
                "xpath" => paths.push(decoder.str().ok()?),
                _ => decoder.skip().ok()?,
            }
        }
        Some(())
    })?;
    Some(paths)
}

#[cfg(test)]
mod tests;
