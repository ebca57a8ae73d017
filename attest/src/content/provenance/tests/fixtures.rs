//! Policies, clips, and who signs them.

use image::{ExtendedColorType, ImageEncoder as _};
use policies::{Anchor, ProvenanceRule};

use super::super::MediaType;

pub(super) use super::super::fixtures::{CAPTURE, Signatory, actions, builder, definition, leaf, mp4};

/// 2027-01-15.
pub(super) const NOW_MS: u64 = 1_800_000_000_000;

pub(super) fn rule(anchors: &[&str]) -> ProvenanceRule {
    let anchor = |pem: &&str| Anchor { path: "anchors/pictures.pem".to_owned(), pem: pem.as_bytes().to_vec() };
    ProvenanceRule {
        anchors: anchors.iter().map(anchor).collect(),
        required_assertions: [].into(),
        answer_seconds: 300,
    }
}

/// A picture of 64 by 64 that does not compress to nothing.
fn pixels() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..64 * 64 * 3).map(|_| next()).collect()
}

pub(super) fn jpeg() -> Vec<u8> {
    let mut out = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 60);
    encoder.write_image(&pixels(), 64, 64, ExtendedColorType::Rgb8).unwrap();
    out
}

/// One clip of each media type.
pub(super) fn clips() -> [(MediaType, Vec<u8>); 4] {
    let (mut png, mut webp) = (Vec::new(), Vec::new());
    let encoder = image::codecs::png::PngEncoder::new(&mut png);
    encoder.write_image(&pixels(), 64, 64, ExtendedColorType::Rgb8).unwrap();
    let encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
    encoder.write_image(&pixels(), 64, 64, ExtendedColorType::Rgb8).unwrap();
    [(MediaType::Jpeg, jpeg()), (MediaType::Png, png), (MediaType::WebP, webp), (MediaType::Mp4, mp4(0))]
}
