//! What fuzzing calls.

use super::{PdqHash, PictureType, luminance};

/// Body of the fuzz target `pdq_hash_text`: text that reads as a hash writes as the same text.
pub fn hash_text(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(hash) = text.parse::<PdqHash>() {
        assert_eq!(hash.to_string(), text.to_ascii_lowercase());
    }
}

/// Body of the fuzz target `pdq_picture`: the first byte chooses the form.
pub fn picture(data: &[u8]) {
    let Some((form, bytes)) = data.split_first() else { return };
    let form = [PictureType::Jpeg, PictureType::Png, PictureType::WebP][usize::from(form % 3)];
    if let Ok((luminance, width, height)) = luminance(bytes, form) {
        assert_eq!(luminance.len(), width * height);
    }
}
