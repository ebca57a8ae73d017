//! What hard bindings hold beside their exclusions.

use minicbor::Decoder;
use minicbor::data::Type;

use super::MEMBERS_MAX;

/// Boxes, or Merkle trees, of one assertion looked at.
const ENTRIES_MAX: u64 = 4096;

/// What a film's assertion holds.
pub(super) struct Film {
    /// Whether it has a hash of the film.
    pub(super) hash: bool,
    /// Its Merkle trees.
    pub(super) trees: Option<Vec<Tree>>,
}

/// A Merkle tree (C2PA §18.7.2).
#[derive(Default)]
pub(super) struct Tree {
    /// Whether it has a hash of the initialisation segment. Without one `c2pa` holds no fragment against it.
    pub(super) init_hash: bool,
    /// Whether it says of which length its blocks are.
    pub(super) blocks: bool,
}

/// Runs `each` on every member of a map: it reads the value.
fn members<'a>(decoder: &mut Decoder<'a>, mut each: impl FnMut(&'a str, &mut Decoder<'a>) -> Option<()>) -> Option<()> {
    for _ in 0..decoder.map().ok()?.filter(|members| *members <= MEMBERS_MAX)? {
        let name = decoder.str().ok()?;
        each(name, decoder)?;
    }
    Some(())
}

fn entries(decoder: &mut Decoder<'_>) -> Option<u64> {
    decoder.array().ok()?.filter(|count| *count <= ENTRIES_MAX)
}

/// Reads a film's assertion.
pub(super) fn film(assertion: &[u8]) -> Option<Film> {
    let mut film = Film { hash: false, trees: None };
    members(&mut Decoder::new(assertion), |name, decoder| {
        match (name, decoder.datatype().ok()?) {
            ("hash", Type::Bytes) => {
                film.hash = true;
                decoder.skip().ok()
            }
            ("merkle", Type::Null) | ("hash", Type::Null) => decoder.skip().ok(),
            // A name that comes twice is not read twice: which of the two counts is anybody's guess.
            ("merkle", _) if film.trees.is_none() => {
                film.trees = Some((0..entries(decoder)?).map(|_| tree(decoder)).collect::<Option<_>>()?);
                Some(())
            }
            ("merkle" | "hash", _) => None,
            _ => decoder.skip().ok(),
        }
    })?;
    Some(film)
}

fn tree(decoder: &mut Decoder<'_>) -> Option<Tree> {
    let mut tree = Tree::default();
    members(decoder, |name, decoder| {
        let there = decoder.datatype().ok()? != Type::Null;
        match name {
            "initHash" => tree.init_hash = there,
            "fixedBlockSize" | "variableBlockSizes" => tree.blocks |= there,
            _ => {}
        }
        decoder.skip().ok()
    })?;
    Some(tree)
}

/// Whether a hash by boxes leaves none of those out that it names (C2PA §18.8).
pub(super) fn every_box(assertion: &[u8]) -> Option<bool> {
    let (mut every, mut lists) = (true, 0);
    members(&mut Decoder::new(assertion), |name, decoder| {
        if name != "boxes" {
            return decoder.skip().ok();
        }
        lists += 1;
        for _ in 0..entries(decoder)? {
            members(decoder, |name, decoder| {
                // Anything but a plain no leaves it out.
                let kept = match decoder.datatype().ok()? {
                    _ if name != "excluded" => true,
                    Type::Bool => return decoder.bool().ok().map(|excluded| every &= !excluded),
                    kind => kind == Type::Null,
                };
                every &= kept;
                decoder.skip().ok()
            })?;
        }
        Some(())
    })?;
    Some(every && lists == 1)
}

/// The hash of a data hash by SHA-256 that leaves nothing out.
pub(super) fn whole_hash(assertion: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(assertion);
    let members = decoder.map().ok()??;
    if members > MEMBERS_MAX {
        return None;
    }
    let (mut hash, mut sha256, mut exclusions) = (None, false, false);
    for _ in 0..members {
        match decoder.str().ok()? {
            "hash" => hash = Some(decoder.bytes().ok()?),
            "alg" => sha256 = decoder.str().ok()? == "sha256",
            "exclusions" if decoder.datatype().ok()? == Type::Array => {
                exclusions = decoder.array().ok()? != Some(0) || exclusions;
                if exclusions {
                    return None;
                }
            }
            "exclusions" => return None,
            _ => decoder.skip().ok()?,
        }
    }
    hash.filter(|_| sha256 && !exclusions)
}
