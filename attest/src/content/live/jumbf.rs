//! JUMBF (ISO/IEC 19566-5) as far as a C2PA manifest store needs it (C2PA §11.1). How deep boxes lie is fixed by what is
//! looked for: store, manifest, assertion store, assertion.

use super::boxes::{self, Boxed, Malformed};

/// Manifests of a store at most, earlier ones included.
const MANIFESTS_MAX: usize = 64;
/// Assertions of a manifest at most.
pub(super) const ASSERTIONS_MAX: usize = 64;
/// Bytes of a label at most.
pub(super) const LABEL_BYTES_MAX: usize = 256;

pub(super) const fn content_type(code: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = code;
    [a, b, c, d, 0, 0x11, 0, 0x10, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]
}

pub(super) const STORE: [u8; 16] = content_type(*b"c2pa");
pub(super) const MANIFEST: [u8; 16] = content_type(*b"c2ma");
pub(super) const ASSERTIONS: [u8; 16] = content_type(*b"c2as");
pub(super) const CLAIM: [u8; 16] = content_type(*b"c2cl");
pub(super) const SIGNATURE: [u8; 16] = content_type(*b"c2cs");

/// A superbox: a description and what it describes.
pub(super) struct Superbox<'a> {
    pub(super) content_type: [u8; 16],
    pub(super) label: &'a str,
    /// Everything that follows size and type: what hashed URIs cover (C2PA §8.4.2.3).
    pub(super) contents: &'a [u8],
    pub(super) children: Vec<Boxed<'a>>,
}

impl<'a> Superbox<'a> {
    pub(super) fn parse(boxed: &Boxed<'a>) -> Result<Self, Malformed> {
        if boxed.kind != *b"jumb" {
            return Err(Malformed);
        }
        let mut children = boxes::split(boxed.body)?;
        if children.first().is_none_or(|child| child.kind != *b"jumd") {
            return Err(Malformed);
        }
        let description = children.remove(0).body;
        let (content_type, after) = description.split_first_chunk::<16>().ok_or(Malformed)?;
        let (toggles, after) = after.split_first().ok_or(Malformed)?;
        // Requestable and labelled; what may follow the label, an id, a hash or a salt, says nothing here.
        if toggles & 0b11 != 0b11 {
            return Err(Malformed);
        }
        let (label, _) = boxes::split_text(after).ok_or(Malformed)?;
        if label.is_empty() || label.len() > LABEL_BYTES_MAX {
            return Err(Malformed);
        }
        let label = std::str::from_utf8(label).map_err(|_| Malformed)?;
        Ok(Self { content_type: *content_type, label, contents: boxed.body, children })
    }

    /// The one content box, if it is of this kind.
    pub(super) fn content(&self, kind: [u8; 4]) -> Option<&'a [u8]> {
        match self.children.as_slice() {
            [child] if child.kind == kind => Some(child.body),
            _ => None,
        }
    }
}

/// The parts of a store's active manifest, its last (C2PA §15.5).
pub(super) struct ManifestBoxes<'a> {
    /// The manifest's identifier (C2PA §8.1).
    pub(super) label: &'a str,
    pub(super) claim: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) assertions: Vec<Superbox<'a>>,
}

impl<'a> ManifestBoxes<'a> {
    pub(super) fn active(store: &'a [u8]) -> Result<Self, Malformed> {
        let [store] = boxes::split(store)?[..] else { return Err(Malformed) };
        let store = Superbox::parse(&store)?;
        let manifest = store.children.last().ok_or(Malformed)?;
        if store.content_type != STORE || store.label != "c2pa" || store.children.len() > MANIFESTS_MAX {
            return Err(Malformed);
        }
        let manifest = Superbox::parse(manifest)?;
        if manifest.content_type != MANIFEST {
            return Err(Malformed);
        }
        let (mut claim, mut signature, mut assertions) = (None, None, None);
        for child in &manifest.children {
            let child = Superbox::parse(child)?;
            let place = match (child.content_type, child.label) {
                (CLAIM, "c2pa.claim" | "c2pa.claim.v2") => &mut claim,
                (SIGNATURE, "c2pa.signature") => &mut signature,
                (ASSERTIONS, "c2pa.assertions") => &mut assertions,
                // Data boxes and credential stores: under no signature unless an assertion refers to them.
                _ => continue,
            };
            if place.replace(child).is_some() {
                return Err(Malformed);
            }
        }
        let cbor = |part: Option<Superbox<'a>>| part.and_then(|part| part.content(*b"cbor")).ok_or(Malformed);
        let assertions = assertions.ok_or(Malformed)?;
        if assertions.children.len() > ASSERTIONS_MAX {
            return Err(Malformed);
        }
        Ok(Self {
            label: manifest.label,
            claim: cbor(claim)?,
            signature: cbor(signature)?,
            assertions: assertions.children.iter().map(Superbox::parse).collect::<Result<_, _>>()?,
        })
    }
}
