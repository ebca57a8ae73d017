//! What is wrong with a config, and where.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// A mistake in a config file: `file:line: sentence`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    file: PathBuf,
    line: Option<usize>,
    sentence: String,
}

impl ConfigError {
    pub(super) fn new(file: &Path, line: Option<usize>, sentence: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, sentence: sentence.into() }
    }

    pub(super) fn unreadable(file: &Path, source: &io::Error) -> Self {
        Self::new(file, None, format!("cannot be read: {source}"))
    }

    /// Places the parser's error in the text.
    pub(super) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_at(text, span.start));
        Self::new(file, line, error.message())
    }

    /// The line, counted from 1, if the mistake is on one.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        self.line
    }
}

/// The line of a byte, counted from 1.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        write!(f, " {}", self.sentence)
    }
}

impl std::error::Error for ConfigError {}
