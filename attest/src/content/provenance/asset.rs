//! Media types, and the manifest store in a container.

use c2pa::Error;
use c2pa::jumbf_io::load_jumbf_from_memory;

use super::binding::Extent;
use super::{Input, ProvenanceError, film, picture};

/// What can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// `image/jpeg`
    Jpeg,
    /// `image/png`
    Png,
    /// `image/webp`
    WebP,
    /// `video/mp4`, fragmented or not.
    Mp4,
}

impl MediaType {
    /// Every media type.
    pub const ALL: [Self; 4] = [Self::Jpeg, Self::Png, Self::WebP, Self::Mp4];

    /// Its name (RFC 6838).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Mp4 => "video/mp4",
        }
    }

    /// The media type of that name, whatever its parameters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let essence = text.split_once(';').map_or(text, |(essence, _)| essence).trim();
        Self::ALL.into_iter().find(|media_type| media_type.as_str().eq_ignore_ascii_case(essence))
    }

    fn begins(self, bytes: &[u8]) -> bool {
        match self {
            Self::Jpeg => bytes.starts_with(&[0xff, 0xd8, 0xff]),
            Self::Png => bytes.starts_with(b"\x89PNG\r\n\x1a\n"),
            Self::WebP => bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"),
            Self::Mp4 => bytes.get(4..8) == Some(b"ftyp"),
        }
    }
}

/// What of the clip is there. The bytes begin as those of the media type do, and a film's boxes or a picture's segments
/// are of a number and a shape that `c2pa` can be given.
pub(super) fn extent(media_type: MediaType, input: Input<'_>) -> Result<Extent, ProvenanceError> {
    let (Input::Whole(begin) | Input::Fragment { init: begin, .. }) = input else { return Ok(Extent::Nothing) };
    if !media_type.begins(begin) {
        return Err(ProvenanceError::MediaType);
    }
    picture::bounded(media_type, begin)?;
    let fragments = media_type == MediaType::Mp4 && film::has_fragments(begin)?;
    match input {
        Input::Fragment { fragment, .. } => {
            film::has_fragments(fragment)?;
            Ok(Extent::Fragment)
        }
        _ if fragments => Ok(Extent::WholeOfFragments),
        _ => Ok(Extent::Whole),
    }
}

/// The manifest store in a container, if it has one. One that stands elsewhere is not looked for.
pub(super) fn store(media_type: MediaType, bytes: &[u8]) -> Result<Option<Vec<u8>>, ProvenanceError> {
    match load_jumbf_from_memory(media_type.as_str(), bytes) {
        Ok(store) => Ok(Some(store)),
        Err(Error::JumbfNotFound) => Ok(None),
        Err(_) => Err(ProvenanceError::Container),
    }
}
