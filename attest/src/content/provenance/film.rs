//! The boxes of a film (ISO/IEC 14496-12 §4.2), counted before `c2pa` reads it.
//!
//! It keeps a node for every box, of those within boxes too, and looks for each at each that a binding leaves out: a film
//! of millions of empty boxes takes it gigabytes and hours.

use super::ProvenanceError;

/// Boxes of a film at most, of all levels.
pub(super) const BOXES_MAX: usize = 4096;
/// Boxes within boxes at most.
const DEPTH_MAX: usize = 16;
/// Boxes that `c2pa` looks into.
const CONTAINERS: [&[u8; 4]; 16] = [
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"moof", b"traf", b"edts", b"udta", b"dinf", b"tref", b"treg",
    b"mvex", b"mfra", b"meta", b"schi",
];
/// Boxes of C2PA (§A.5.1).
const C2PA: [u8; 16] = [0xd8, 0xfe, 0xc3, 0xd6, 0x1b, 0x0e, 0x48, 0x3c, 0x92, 0x97, 0x58, 0x28, 0x87, 0x7e, 0xc4, 0x81];
/// What boxes of C2PA are for, as far as it is let through. A store in two boxes (`original`, `update`) is put together by
/// `c2pa` before anybody can look at its shape.
const PURPOSES: [&[u8]; 2] = [b"manifest", b"merkle"];
/// Bytes of a box's head, and of one with a length of 64 bits.
const HEAD_BYTES: usize = 8;
const LARGE_HEAD_BYTES: usize = 16;
/// Bytes of version and flags.
const VERSION_BYTES: usize = 4;

/// A box.
struct Found {
    kind: [u8; 4],
    /// Where its content begins and where it ends.
    content: usize,
    end: usize,
}

/// Looks at every box, and says whether there are fragments.
///
/// # Errors
/// [`ProvenanceError::Boxes`], [`ProvenanceError::Purpose`]; [`ProvenanceError::Container`] where a length leads out of
/// what encloses it.
pub(super) fn has_fragments(film: &[u8]) -> Result<bool, ProvenanceError> {
    let (mut fragments, mut boxes, mut at) = (false, 0, 0);
    let mut ends = vec![film.len()];
    while let Some(end) = ends.last().copied() {
        // What is left of a film is nobody's; within a box it has to come out even.
        if at == end || (ends.len() == 1 && end - at < HEAD_BYTES) {
            ends.pop();
            continue;
        }
        boxes += 1;
        if boxes > BOXES_MAX {
            return Err(ProvenanceError::Boxes);
        }
        let found = head(film, at, end, ends.len() == 1)?;
        fragments |= found.kind == *b"moof";
        if found.kind == *b"uuid" {
            purpose(film, at, &found)?;
        }
        if !CONTAINERS.contains(&&found.kind) {
            at = found.end;
            continue;
        }
        if ends.len() > DEPTH_MAX {
            return Err(ProvenanceError::Boxes);
        }
        at = if found.kind == *b"meta" { after_version(film, &found)? } else { found.content };
        ends.push(found.end);
    }
    Ok(fragments)
}

/// The head of the box at `at`. On the first level a length of nought leads to the end, and media may be cut off.
fn head(film: &[u8], at: usize, end: usize, outermost: bool) -> Result<Found, ProvenanceError> {
    let rest = &film[at..end];
    let (length, after) = rest.split_first_chunk::<4>().ok_or(ProvenanceError::Container)?;
    let (kind, after) = after.split_first_chunk::<4>().ok_or(ProvenanceError::Container)?;
    let (head, length) = match u32::from_be_bytes(*length) {
        0 if outermost => (HEAD_BYTES, rest.len()),
        1 => {
            let (length, _) = after.split_first_chunk::<8>().ok_or(ProvenanceError::Container)?;
            (LARGE_HEAD_BYTES, usize::try_from(u64::from_be_bytes(*length)).unwrap_or(usize::MAX))
        }
        length => (HEAD_BYTES, usize::try_from(length).unwrap_or(usize::MAX)),
    };
    let length = if outermost && kind == b"mdat" { length.min(rest.len()) } else { length };
    if length < head || length > rest.len() {
        return Err(ProvenanceError::Container);
    }
    Ok(Found { kind: *kind, content: at + head, end: at + length })
}

/// Where the boxes in a `meta` box begin: QuickTime's has no version.
fn after_version(film: &[u8], found: &Found) -> Result<usize, ProvenanceError> {
    let content = &film[found.content..found.end];
    if content.get(4..8) == Some(b"hdlr") {
        return Ok(found.content);
    }
    if content.len() < VERSION_BYTES { Err(ProvenanceError::Container) } else { Ok(found.content + VERSION_BYTES) }
}

/// That a box of C2PA is for something that is let through. Where its head is long, `c2pa` reads the purpose elsewhere.
fn purpose(film: &[u8], at: usize, found: &Found) -> Result<(), ProvenanceError> {
    let Some(content) = film[found.content..found.end].strip_prefix(&C2PA) else { return Ok(()) };
    let purpose = content.get(VERSION_BYTES..).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    if found.content != at + HEAD_BYTES || !PURPOSES.contains(&purpose) {
        return Err(ProvenanceError::Purpose);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bmff(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len() + HEAD_BYTES).unwrap();
        [&length.to_be_bytes(), kind.as_slice(), content].concat()
    }

    fn film(rest: &[u8]) -> Vec<u8> {
        [bmff(b"ftyp", b"isom\0\0\x02\0isom"), rest.to_vec()].concat()
    }

    #[test]
    fn fragments_are_found() {
        assert_eq!(has_fragments(&film(&bmff(b"moov", &bmff(b"mvhd", &[0; 100])))), Ok(false));
        assert_eq!(has_fragments(&film(&bmff(b"moof", &bmff(b"mfhd", &[0; 8])))), Ok(true));
        // Not what only looks so.
        assert_eq!(has_fragments(&film(&bmff(b"mdat", &bmff(b"moof", &[])))), Ok(false));
        // An empty film, what is left over, media to the end and media cut off.
        for rest in [&b""[..], b"\0\0\0\x08moo", b"\0\0\0\0mdat1234567890", b"\0\0\x10\0mdat1234567890"] {
            assert_eq!(has_fragments(&film(rest)), Ok(false), "{rest:?}");
        }
    }

    #[test]
    fn boxes_of_every_level_are_counted() {
        let flat = |count: usize| film(&bmff(b"free", &[]).repeat(count));
        assert_eq!(has_fragments(&flat(BOXES_MAX - 1)), Ok(false));
        assert_eq!(has_fragments(&flat(BOXES_MAX)), Err(ProvenanceError::Boxes));
        for container in CONTAINERS {
            let head: &[u8] = if container == b"meta" { &[0; 4] } else { &[] };
            let within = |count: usize| {
                let free = bmff(b"free", &[]).repeat(count);
                has_fragments(&film(&bmff(container, &[head, &free].concat())))
            };
            assert_eq!(within(BOXES_MAX - 2), Ok(container == b"moof"), "{container:?}");
            assert_eq!(within(BOXES_MAX - 1), Err(ProvenanceError::Boxes), "{container:?}");
        }
        // QuickTime's, without a version.
        let meta = [bmff(b"hdlr", &[]), bmff(b"free", &[]).repeat(BOXES_MAX)].concat();
        assert_eq!(has_fragments(&film(&bmff(b"meta", &meta))), Err(ProvenanceError::Boxes));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| (0..depth).fold(Vec::new(), |inner, _| bmff(b"moov", &inner));
        assert_eq!(has_fragments(&film(&nested(DEPTH_MAX))), Ok(false));
        assert_eq!(has_fragments(&film(&nested(DEPTH_MAX + 1))), Err(ProvenanceError::Boxes));
    }

    #[test]
    fn lengths_lead_nowhere_else() {
        let large = |length: u64| [&b"\0\0\0\x01free"[..], &length.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(has_fragments(&film(&large(20))), Ok(false));
        for rest in [
            b"\0\0\0\x07free".to_vec(),
            b"\0\0\0\x09free".to_vec(),
            large(0),
            large(15),
            large(21),
            large(u64::MAX),
            b"\0\0\0\x01free\0\0".to_vec(),
            // Within a box: to the end, over it, too little left, and media cut off.
            bmff(b"moov", b"\0\0\0\0free"),
            [bmff(b"moov", b"\0\0\0\x0afree"), bmff(b"free", &[])].concat(),
            bmff(b"udta", &[0; 4]),
            bmff(b"moov", b"\0\0\x01\0mdat"),
            bmff(b"meta", &[0; 3]),
        ] {
            assert_eq!(has_fragments(&film(&rest)), Err(ProvenanceError::Container), "{rest:x?}");
        }
    }

    #[test]
    fn only_known_purposes_are_let_through() {
        let content = |purpose: &[u8]| [&C2PA[..], &[0; 4], purpose, b"\0\0\0\0\0\0\0\0\0"].concat();
        for (purpose, expected) in [
            (&b"manifest"[..], Ok(false)),
            (b"merkle", Ok(false)),
            (b"update", Err(ProvenanceError::Purpose)),
            (b"original", Err(ProvenanceError::Purpose)),
            (b"", Err(ProvenanceError::Purpose)),
        ] {
            assert_eq!(has_fragments(&film(&bmff(b"uuid", &content(purpose)))), expected, "{purpose:?}");
            let within = bmff(b"moov", &bmff(b"uuid", &content(purpose)));
            assert_eq!(has_fragments(&film(&within)), expected, "{purpose:?}");
        }
        assert_eq!(has_fragments(&film(&bmff(b"uuid", &C2PA))), Err(ProvenanceError::Purpose));
        // Another's are nobody's business.
        assert_eq!(has_fragments(&film(&bmff(b"uuid", &[7; 30]))), Ok(false));
        let content = content(b"manifest");
        let length = u64::try_from(content.len() + LARGE_HEAD_BYTES).unwrap();
        let large = [&b"\0\0\0\x01uuid"[..], &length.to_be_bytes(), &content].concat();
        assert_eq!(has_fragments(&film(&large)), Err(ProvenanceError::Purpose));
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _: Result<bool, ProvenanceError> = has_fragments(&data);
            let _: Result<bool, ProvenanceError> = has_fragments(&film(&bmff(b"moov", &data)));
        }
    }
}
