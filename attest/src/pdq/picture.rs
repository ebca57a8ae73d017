//! From an encoded picture to luminances.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// Pixels of a side at most.
pub const PICTURE_SIDE_MAX: u32 = 4096;
/// Bytes that decoding may take: a picture of that size in four channels, and what decoders need beside it.
const DECODING_BYTES_MAX: u64 = 128 << 20;

/// Forms of pictures that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureType {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`
    WebP,
}

/// Why a picture was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// A side is longer than [`PICTURE_SIDE_MAX`], or decoding would take too much memory.
    #[error("the picture is larger than {PICTURE_SIDE_MAX} pixels a side")]
    TooLarge,
    /// Not a picture of this form.
    #[error("the picture cannot be read")]
    Malformed,
}

impl PictureType {
    /// The form of a media type.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "image/jpeg" => Some(Self::Jpeg),
            "image/png" => Some(Self::Png),
            "image/webp" => Some(Self::WebP),
            _ => None,
        }
    }

    const fn format(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::WebP => ImageFormat::WebP,
        }
    }
}

/// Reads a picture: luminances (ITU-R BT.601: 0.299 R + 0.587 G + 0.114 B) row by row, width, height.
///
/// # Errors
/// A picture that is too large or not of its form.
pub fn luminance(bytes: &[u8], form: PictureType) -> Result<(Vec<f32>, usize, usize), PictureError> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), form.format());
    let mut limits = Limits::default();
    limits.max_image_width = Some(PICTURE_SIDE_MAX);
    limits.max_image_height = Some(PICTURE_SIDE_MAX);
    limits.max_alloc = Some(DECODING_BYTES_MAX);
    reader.limits(limits);
    let decoded = reader.decode().map_err(|error| match error {
        image::ImageError::Limits(_) => PictureError::TooLarge,
        _ => PictureError::Malformed,
    })?;
    let picture = decoded.into_rgb8();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let weigh = |pixel: &image::Rgb<u8>| {
        let [r, g, b] = pixel.0.map(f32::from);
        0.299 * r + 0.587 * g + 0.114 * b
    };
    Ok((picture.pixels().map(weigh).collect(), width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdq::PdqHash;

    /// A picture of 96 × 64 pixels, encoded.
    fn encoded(form: PictureType) -> Vec<u8> {
        // Blocks of 12 pixels in shades that do not repeat.
        let shade = |x: u32, y: u32| {
            let block = x / 12 + 8 * (y / 12);
            image::Rgb([37, 91, 53].map(|step| u8::try_from(block * block * step % 256).unwrap()))
        };
        let picture = image::RgbImage::from_fn(96, 64, shade);
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), form.format()).unwrap();
        bytes
    }

    #[test]
    fn all_forms_of_a_picture_are_near() {
        let hash = |form| {
            let (luminance, width, height) = luminance(&encoded(form), form).unwrap();
            assert_eq!((luminance.len(), width, height), (96 * 64, 96, 64));
            PdqHash::of(luminance, width, height).unwrap().hash
        };
        let [jpeg, png, webp] = [PictureType::Jpeg, PictureType::Png, PictureType::WebP].map(hash);
        assert_eq!(png, webp, "both are lossless");
        assert!(png.distance(&jpeg) <= crate::pdq::DISTANCE_MAX, "{}", png.distance(&jpeg));
        assert_eq!(["image/jpeg", "image/gif"].map(PictureType::of), [Some(PictureType::Jpeg), None]);
    }

    #[test]
    fn what_is_no_picture_of_its_form_is_refused() {
        let png = encoded(PictureType::Png);
        assert_eq!(luminance(&png, PictureType::Jpeg), Err(PictureError::Malformed));
        for end in [0, 8, 30, png.len() / 2] {
            assert_eq!(luminance(&png[..end], PictureType::Png), Err(PictureError::Malformed));
        }
    }

    /// A head that claims a picture of 2³⁰ pixels a side costs nothing.
    #[test]
    fn claimed_sizes_are_not_believed() {
        let mut png = encoded(PictureType::Png);
        // The width is at byte 16 of a PNG; its chunk's checksum covers bytes 12 to 28.
        png[16..20].copy_from_slice(&(1_u32 << 30).to_be_bytes());
        let mut crc = flate2::Crc::new();
        crc.update(&png[12..29]);
        png[29..33].copy_from_slice(&crc.sum().to_be_bytes());
        assert_eq!(luminance(&png, PictureType::Png), Err(PictureError::TooLarge));
    }
}
