//! The segments of a picture, counted before `c2pa` reads it.
//!
//! It keeps some two hundred bytes for each: a picture of millions of empty segments takes it gigabytes. A scan allocates
//! nothing and ends where there are too many: that of a JPEG looks at each byte once, the others at the head of each
//! chunk.

use std::iter;

use super::{MediaType, ProvenanceError};

/// Segments of a picture at most: markers of a JPEG, chunks of a PNG or WebP.
pub(super) const SEGMENTS_MAX: usize = 131_072;
/// Bytes of a chunk's length and type.
const HEAD_BYTES: usize = 8;
/// Bytes of a PNG before its first chunk.
const PNG_SIGNATURE_BYTES: usize = 8;
/// Bytes of a PNG chunk's checksum.
const CHECKSUM_BYTES: usize = 4;
/// Bytes of a WebP before its first chunk: the head of the chunk around all, and its type.
const WEBP_HEAD_BYTES: usize = 12;

/// Counts the segments. Whether they hold what they should is for `c2pa` to say: a count ends where no segment can be
/// read. A film has none.
///
/// # Errors
/// [`ProvenanceError::Segments`].
pub(super) fn bounded(media_type: MediaType, picture: &[u8]) -> Result<(), ProvenanceError> {
    let most = SEGMENTS_MAX + 1;
    let count = match media_type {
        MediaType::Jpeg => markers(picture).take(most).count(),
        MediaType::Png => png_chunks(picture).take(most).count(),
        MediaType::WebP => webp_chunks(picture).take(most).count(),
        MediaType::Mp4 => 0,
    };
    if count > SEGMENTS_MAX { Err(ProvenanceError::Segments) } else { Ok(()) }
}

/// Whatever a reader may take for a marker (ITU-T T.81 §B.1.1.2), within segments and behind the picture too. `c2pa` has
/// two readers, who differ in where a segment ends and in where the picture does: what is within a segment for one can
/// be segments for the other, but neither finds more than this. In a scan every 0xff begins a marker or is followed by a
/// nought; of bytes that are not a scan's, one in 256 looks so.
fn markers(picture: &[u8]) -> impl Iterator<Item = ()> {
    picture.windows(2).filter(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff)).map(|_| ())
}

/// The chunks of a PNG (ISO/IEC 15948 §5.3) up to `IEND`.
fn png_chunks(picture: &[u8]) -> impl Iterator<Item = ()> {
    let mut next = Some(PNG_SIGNATURE_BYTES);
    iter::from_fn(move || {
        let at = next?;
        let (length, kind) = picture.get(at..)?.first_chunk::<HEAD_BYTES>()?.split_at(4);
        let content = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        next = (kind != b"IEND").then(|| at.saturating_add(HEAD_BYTES + CHECKSUM_BYTES).saturating_add(content));
        Some(())
    })
}

/// The chunks of a WebP (RFC 9649 §2.3), those within the one that is around all, each padded to an even length.
fn webp_chunks(picture: &[u8]) -> impl Iterator<Item = ()> {
    let length = |at: usize| -> Option<usize> {
        let (_, length) = picture.get(at..)?.first_chunk::<HEAD_BYTES>()?.split_at(4);
        Some(length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte)))
    };
    let end = length(0).map_or(0, |length| length.saturating_add(HEAD_BYTES));
    let mut at = WEBP_HEAD_BYTES;
    iter::from_fn(move || {
        let content = length(at).filter(|_| at < end)?;
        at = at.saturating_add(HEAD_BYTES).saturating_add(content).saturating_add(content % 2);
        Some(())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A comment of a JPEG.
    const COMMENT: &[u8] = b"\xff\xfe\0\x02";

    fn jpeg(segments: &[u8]) -> Vec<u8> {
        [b"\xff\xd8", segments, b"\xff\xd9"].concat()
    }

    fn png_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap();
        [&length.to_be_bytes(), kind.as_slice(), content, &[0; CHECKSUM_BYTES]].concat()
    }

    fn png(chunks: &[u8]) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n", chunks].concat()
    }

    fn webp_chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let length = u32::try_from(content.len()).unwrap();
        let padding: &[u8] = if content.len() % 2 == 1 { &[0] } else { &[] };
        [kind.as_slice(), &length.to_le_bytes(), content, padding].concat()
    }

    fn webp(chunks: &[u8]) -> Vec<u8> {
        webp_chunk(b"RIFF", &[b"WEBP", chunks].concat())
    }

    /// How many segments there are, however many.
    fn count(media_type: MediaType, picture: &[u8]) -> usize {
        match media_type {
            MediaType::Jpeg => markers(picture).count(),
            MediaType::Png => png_chunks(picture).count(),
            MediaType::WebP => webp_chunks(picture).count(),
            MediaType::Mp4 => 0,
        }
    }

    #[test]
    fn markers_are_counted_wherever_they_stand() {
        let count = |segments: &[u8]| count(MediaType::Jpeg, &jpeg(segments)) - 2;
        assert_eq!(count(b""), 0);
        assert_eq!(count(&COMMENT.repeat(5)), 5);
        // Stuffed and filled bytes are none, a restart is one.
        assert_eq!(count(b"\xff\xda\0\x02\x01\xff\0\x02\xff\xff\xff\xd0\x03"), 2);
        // Within a segment and behind the end.
        assert_eq!(count(b"\xff\xe0\0\x06\xff\xfe\0\x02"), 2);
        assert_eq!(count(b"\xff\xd9\xff\xfe\0\x02"), 2);
    }

    #[test]
    fn chunks_of_a_png_are_counted_to_its_end() {
        let count = |chunks: &[u8]| count(MediaType::Png, &png(chunks));
        let end = png_chunk(b"IEND", &[]);
        assert_eq!(count(b""), 0);
        assert_eq!(count(&end), 1);
        assert_eq!(count(&[png_chunk(b"IHDR", &[7; 13]), png_chunk(b"IDAT", &end), end.clone()].concat()), 3);
        assert_eq!(count(&[end.clone(), png_chunk(b"tEXt", &[])].concat()), 1, "what is behind it is nobody's");
        // A length that leads out, and a head that is cut off.
        assert_eq!(count(b"\xff\xff\xff\xfftEXt"), 1);
        assert_eq!(count(&[png_chunk(b"tEXt", &[]).as_slice(), b"\0\0\0\0tEX"].concat()), 1);
    }

    #[test]
    fn chunks_of_a_webp_are_counted_to_its_end() {
        let count = |picture: &[u8]| count(MediaType::WebP, picture);
        let odd = webp_chunk(b"EXIF", &[7; 3]);
        assert_eq!(count(b"RIFF"), 0);
        assert_eq!(count(&webp(b"")), 0);
        assert_eq!(count(&webp(&[odd.clone(), webp_chunk(b"VP8L", &odd), odd.clone()].concat())), 3);
        assert_eq!(count(&[webp(&odd), odd.clone()].concat()), 1, "what is behind it is nobody's");
        // Lengths that lead out, and a head that is cut off.
        assert_eq!(count(b"RIFF\xff\xff\xff\xffWEBPEXIF\xff\xff\xff\xff"), 1);
        assert_eq!(count(&webp(&[odd.as_slice(), b"EXIF\0\0"].concat())), 1);
    }

    /// One segment more is refused, whatever is behind it: nobody looks there.
    #[test]
    fn a_count_ends_behind_the_last_that_may_be() {
        let check = |media_type, picture: Vec<u8>| bounded(media_type, &picture);
        let refused = Err(ProvenanceError::Segments);
        // The beginning and the end of a JPEG are two.
        let comments = |count: usize| jpeg(&COMMENT.repeat(count));
        assert_eq!(check(MediaType::Jpeg, comments(SEGMENTS_MAX - 2)), Ok(()));
        assert_eq!(check(MediaType::Jpeg, comments(SEGMENTS_MAX - 1)), refused);
        let texts = |count: usize, rest: &[u8]| png(&[png_chunk(b"tEXt", &[]).repeat(count).as_slice(), rest].concat());
        let end = png_chunk(b"IEND", &[]);
        assert_eq!(check(MediaType::Png, texts(SEGMENTS_MAX - 1, &end)), Ok(()));
        assert_eq!(check(MediaType::Png, texts(SEGMENTS_MAX, &end)), refused);
        assert_eq!(check(MediaType::Png, texts(SEGMENTS_MAX + 1, b"broken")), refused);
        let empty =
            |count: usize, rest: &[u8]| webp(&[webp_chunk(b"ANMF", &[]).repeat(count).as_slice(), rest].concat());
        assert_eq!(check(MediaType::WebP, empty(SEGMENTS_MAX, &[])), Ok(()));
        assert_eq!(check(MediaType::WebP, empty(SEGMENTS_MAX + 1, &[])), refused);
        assert_eq!(check(MediaType::WebP, empty(SEGMENTS_MAX + 1, b"broken")), refused);
        assert_eq!(check(MediaType::Mp4, comments(SEGMENTS_MAX)), Ok(()), "boxes are counted elsewhere");
    }

    proptest! {
        /// A segment has its head: no picture makes a scan longer than its bytes.
        #[test]
        fn a_scan_costs_no_more_than_the_bytes(data in proptest::collection::vec(any::<u8>(), 0..400)) {
            for (media_type, picture, head) in [
                (MediaType::Jpeg, jpeg(&data), 2),
                (MediaType::Png, png(&data), HEAD_BYTES),
                (MediaType::WebP, webp(&data), HEAD_BYTES),
            ] {
                prop_assert!(count(media_type, &picture) <= picture.len() / head, "{:?}", media_type);
                prop_assert_eq!(bounded(media_type, &picture), Ok(()));
            }
        }

        /// As many as were put in, of whatever length.
        #[test]
        fn every_chunk_is_counted(lengths in proptest::collection::vec(0_usize..300, 0..50)) {
            let all = |chunk: fn(&[u8; 4], &[u8]) -> Vec<u8>| -> Vec<u8> {
                lengths.iter().flat_map(|length| chunk(b"abcd", &vec![0xff; *length])).collect()
            };
            prop_assert_eq!(count(MediaType::Png, &png(&all(png_chunk))), lengths.len());
            prop_assert_eq!(count(MediaType::WebP, &webp(&all(webp_chunk))), lengths.len());
        }
    }
}
