//! The operator's file: one identifier a line, read in chunks.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use attest::content::list::{IDENTIFIER_BYTES_MAX, Identifier};
use policies::Digest;
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::BuildError;
use crate::lists::ListFolderError;

/// What a line holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Format {
    /// The SHA-256 digest of a clip: 64 hexadecimal digits.
    Sha256,
    /// An id of the platform: 1 to 256 bytes of UTF-8, as they stand.
    Text,
}

/// Why a line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LineError {
    /// More bytes than an identifier of this format has.
    #[error("it is too long")]
    TooLong,
    /// Not a digest.
    #[error("it is not 64 hexadecimal digits")]
    Digest,
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    Text,
}

/// What is read at once.
pub(super) struct Chunk {
    pub(super) identifiers: Vec<Identifier>,
    /// SHA-256 of the lines: whether it is the chunk that was evaluated before.
    pub(super) digest: Digest,
}

/// The file, read on.
pub(super) struct Input {
    reader: BufReader<File>,
    format: Format,
    line: u64,
    pub(super) bytes_done: u64,
}

impl Input {
    pub(super) fn open(path: &Path, format: Format) -> Result<(Self, u64), BuildError> {
        let file = File::open(path).map_err(ListFolderError::io(path))?;
        let bytes = file.metadata().map_err(ListFolderError::io(path))?.len();
        Ok((Self { reader: BufReader::with_capacity(1 << 20, file), format, line: 0, bytes_done: 0 }, bytes))
    }

    /// Up to `lines` lines, empty ones among them; nothing at the end.
    pub(super) fn chunk(&mut self, path: &Path, lines: usize) -> Result<Option<Chunk>, BuildError> {
        let mut context = Context::new(&SHA256);
        let mut identifiers = Vec::with_capacity(lines);
        let mut line = Vec::new();
        for taken in 0..lines {
            line.clear();
            // The longest line, a carriage return and a line feed; one byte more shows a longer one.
            let limit = IDENTIFIER_BYTES_MAX as u64 + 3;
            let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut line);
            let read = read.map_err(ListFolderError::io(path))?;
            if read == 0 {
                if taken == 0 {
                    return Ok(None);
                }
                break;
            }
            self.line += 1;
            self.bytes_done += read as u64;
            context.update(&line);
            let refused = |source| BuildError::Line { line: self.line, source };
            identifiers.extend(parse(&line, self.format).map_err(refused)?);
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok(Some(Chunk { identifiers, digest: Digest::from_bytes(digest) }))
    }
}

/// The identifier of a line, whose end may be missing at the end of the file; nothing of an empty one.
fn parse(line: &[u8], format: Format) -> Result<Option<Identifier>, LineError> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        return Ok(None);
    }
    let identifier = match format {
        Format::Sha256 => {
            let mut digest = [0; 32];
            let digits = line.as_chunks::<2>();
            if line.len() != 64 {
                return Err(if line.len() > 64 { LineError::TooLong } else { LineError::Digest });
            }
            for (byte, [high, low]) in digest.iter_mut().zip(digits.0) {
                *byte = digit(*high)? << 4 | digit(*low)?;
            }
            Identifier::new(&digest)
        }
        Format::Text => {
            std::str::from_utf8(line).map_err(|_| LineError::Text)?;
            Identifier::new(line)
        }
    };
    identifier.map(Some).map_err(|_| LineError::TooLong)
}

fn digit(character: u8) -> Result<u8, LineError> {
    match character {
        b'0'..=b'9' => Ok(character - b'0'),
        b'a'..=b'f' => Ok(character - b'a' + 10),
        b'A'..=b'F' => Ok(character - b'A' + 10),
        _ => Err(LineError::Digest),
    }
}
