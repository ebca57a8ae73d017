//! Texts of manifests on their way into signed answers.

/// Bytes of a text that comes from a manifest at most.
pub const TEXT_BYTES_MAX: usize = 96;

/// A text without control characters and without those that turn or hide others (UTS #39), cut after
/// [`TEXT_BYTES_MAX`] bytes. What is left empty is no text.
pub(super) fn bounded(text: &str) -> Option<String> {
    let mut out = String::new();
    for character in text.chars().filter(|character| shown(*character)) {
        if out.len() + character.len_utf8() > TEXT_BYTES_MAX {
            break;
        }
        out.push(character);
    }
    let out = out.trim();
    (!out.is_empty()).then(|| out.to_owned())
}

fn shown(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_cut_and_cleaned() {
        assert_eq!(bounded("A name"), Some("A name".to_owned()));
        assert_eq!(bounded(" a\u{0}b\nc\u{202e}d\u{200b}e "), Some("abcde".to_owned()));
        for empty in ["", " ", "\u{7}\u{feff}\u{e0041}"] {
            assert_eq!(bounded(empty), None);
        }
        assert_eq!(bounded(&"x".repeat(500)).map(|text| text.len()), Some(TEXT_BYTES_MAX));
        // Never within a character.
        assert_eq!(bounded(&format!("x{}", "€".repeat(50))).map(|text| text.len()), Some(94));
    }

    proptest! {
        #[test]
        fn every_text_is_bounded(text in ".{0,200}") {
            if let Some(out) = bounded(&text) {
                prop_assert!(!out.is_empty() && out.len() <= TEXT_BYTES_MAX && !out.chars().any(char::is_control));
                prop_assert_eq!(bounded(&out), Some(out.clone()));
            }
        }
    }
}
