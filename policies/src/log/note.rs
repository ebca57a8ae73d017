//! Signed notes (C2SP signed-note): a text, an empty line, and a line for each signature.

use std::fmt::Write as _;

use super::key::{KeyAlgorithm, VerifierKey, is_name};
use super::line;

/// Bytes of a note, its signatures included.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;
/// Signatures of a note.
pub const SIGNATURES_MAX: usize = 64;
/// Bytes of a signature with its key's id: a time and Ed25519, or what a later algorithm may take.
const SIGNATURE_BYTES_MAX: usize = 4096;
/// Begins a line with a signature: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";
/// What a cosignature's message begins with (C2SP tlog-cosignature).
pub const COSIGNATURE_HEAD: &str = "cosignature/v1\n";

/// The bytes are not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are not a signed note")]
pub struct MalformedNote;

/// One line below a note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: String,
    /// The key's id.
    pub id: [u8; 4],
    /// The signature, as the key's algorithm writes it.
    pub bytes: Vec<u8>,
}

/// A note as it was read: who signed is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// What a key says of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureState {
    /// No line is this key's.
    Absent,
    /// A line of this key does not verify.
    Bad,
    /// It signed. With the time, Unix seconds, where it is a witness's.
    Good(Option<u64>),
}

impl Note {
    /// Reads a note.
    ///
    /// # Errors
    /// It is too long, not UTF-8, has control characters, or has not the form of a note with a signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, MalformedNote> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(MalformedNote);
        }
        let all = std::str::from_utf8(bytes).map_err(|_| MalformedNote)?;
        if all.chars().any(|letter| letter.is_control() && letter != '\n') {
            return Err(MalformedNote);
        }
        let at = all.rfind("\n\n").ok_or(MalformedNote)?;
        let (text, lines) = (&all[..=at], &all[at + 2..]);
        let lines = lines.strip_suffix('\n').ok_or(MalformedNote)?;
        let signatures: Vec<_> = lines
            .split('\n')
            .take(SIGNATURES_MAX + 1)
            .map(NoteSignature::parse)
            .collect::<Option<_>>()
            .ok_or(MalformedNote)?;
        if signatures.len() > SIGNATURES_MAX || text == "\n" {
            return Err(MalformedNote);
        }
        Ok(Self { text: text.to_owned(), signatures })
    }

    /// A note of this text, which ends with a newline, without signatures yet.
    ///
    /// # Errors
    /// The text cannot stand in a note, or would be a cosignature's message.
    pub fn of(text: String) -> Result<Self, MalformedNote> {
        let plain = text.chars().all(|letter| !letter.is_control() || letter == '\n');
        let ends = text.len() > 1 && text.ends_with('\n') && text.len() < NOTE_BYTES_MAX;
        if !plain || !ends || text.starts_with(COSIGNATURE_HEAD) {
            return Err(MalformedNote);
        }
        Ok(Self { text, signatures: Vec::new() })
    }

    /// What is signed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines below it.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Adds a line, unless it stands there or there is no room.
    pub fn add(&mut self, signature: NoteSignature) {
        if self.signatures.len() < SIGNATURES_MAX && !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }

    /// What a key says of this note. Lines of other keys, and of other algorithms, say nothing.
    #[must_use]
    pub fn state(&self, key: &VerifierKey) -> SignatureState {
        let id = key.id();
        let mut state = SignatureState::Absent;
        for line in self.signatures.iter().filter(|line| line.name == key.name() && line.id == id) {
            match line.time_where_good(&self.text, key) {
                Some(time) => state = SignatureState::Good(time),
                None => return SignatureState::Bad,
            }
        }
        state
    }
}

/// The note's bytes.
impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|line| write!(f, "{line}"))
    }
}

/// What a witness signs of a checkpoint's text, at a time in Unix seconds (C2SP tlog-cosignature).
#[must_use]
pub fn cosignature_message(text: &str, time_s: u64) -> String {
    let mut message = COSIGNATURE_HEAD.to_owned();
    // Writing to a String does not fail.
    let _ = writeln!(message, "time {time_s}");
    message.push_str(text);
    message
}

impl NoteSignature {
    /// The line of a key's signature.
    #[must_use]
    pub fn of(key: &VerifierKey, bytes: Vec<u8>) -> Self {
        Self { name: key.name().to_owned(), id: key.id(), bytes }
    }

    /// Reads a line without its newline.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (name, signature) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        if !is_name(name) || signature.len() > 2 * SIGNATURE_BYTES_MAX {
            return None;
        }
        let bytes = line::decoded(signature)?;
        let (id, rest) = bytes.split_first_chunk::<4>()?;
        (1..=SIGNATURE_BYTES_MAX).contains(&rest.len()).then(|| Self {
            name: name.to_owned(),
            id: *id,
            bytes: rest.to_vec(),
        })
    }

    fn time_where_good(&self, text: &str, key: &VerifierKey) -> Option<Option<u64>> {
        match key.algorithm() {
            KeyAlgorithm::Note => key.verifies(text.as_bytes(), &self.bytes).then_some(None),
            KeyAlgorithm::Cosignature => {
                let (time, signature) = self.bytes.split_first_chunk::<8>()?;
                let time_s = u64::from_be_bytes(*time);
                key.verifies(cosignature_message(text, time_s).as_bytes(), signature).then_some(Some(time_s))
            }
        }
    }
}

/// The line with its newline.
impl std::fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let signature = line::encoded(&[self.id.as_slice(), &self.bytes].concat());
        writeln!(f, "{SIGNATURE_MARK}{} {signature}", self.name)
    }
}
