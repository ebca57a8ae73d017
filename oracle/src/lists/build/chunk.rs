//! What is evaluated of one chunk, and the file that keeps it: the checkpoints of a build.
//!
//! Form: magic ‖ digest of the lines ‖ entries ‖ 257 offsets ‖ records in ascending order, where offset `n` counts the
//! records whose prefix begins with a byte below `n`. A record is a prefix (2 bytes) and a tag (8).

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;

use attest::content::list::{Identifier, ListKey, TAG_BYTES, Tag};
use policies::Digest;

use super::BuildError;
use crate::lists::ListFolderError;
use crate::lists::files::replace;

const MAGIC: &[u8; 8] = b"siwachk1";
const RECORD_BYTES: usize = 2 + TAG_BYTES;
/// First bytes of prefixes: chunks are merged one of these at a time.
pub(super) const PARTS: usize = 256;
const HEAD_BYTES: usize = MAGIC.len() + 32 + 4 + (PARTS + 1) * 4;

/// One member: the first bits of its unkeyed hash, and its tag.
pub(super) type Record = (u16, Tag);

/// A finished chunk on disk.
pub(super) struct Finished {
    path: PathBuf,
    /// Identifiers that were read, repeated ones included.
    pub(super) entries: u32,
    offsets: Vec<u32>,
}

/// Evaluates identifiers on `threads` threads: each once, in ascending order.
pub(super) fn evaluate(identifiers: &[Identifier], key: &ListKey, threads: usize) -> Vec<Record> {
    let share = identifiers.len().div_ceil(threads.max(1)).max(1);
    let mut records: Vec<Record> = thread::scope(|scope| {
        let evaluate = |part: &[Identifier]| -> Vec<Record> {
            part.iter().map(|identifier| (identifier.prefix(), key.tag(identifier))).collect()
        };
        let crews: Vec<_> = identifiers.chunks(share).map(|part| scope.spawn(move || evaluate(part))).collect();
        crews.into_iter().flat_map(|crew| crew.join().expect("an evaluation does not panic")).collect()
    });
    records.sort_unstable();
    records.dedup();
    records
}

impl Finished {
    /// Writes a chunk, whole and durable before this returns.
    pub(super) fn write(path: PathBuf, digest: &Digest, entries: u32, records: &[Record]) -> Result<Self, BuildError> {
        let mut offsets = Vec::with_capacity(PARTS + 1);
        for part in 0..=PARTS {
            let before = records.partition_point(|(prefix, _)| usize::from(prefix >> 8) < part);
            offsets.push(u32::try_from(before).map_err(|_| BuildError::TooMany)?);
        }
        let mut bytes = Vec::with_capacity(HEAD_BYTES + records.len() * RECORD_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(digest.as_bytes());
        bytes.extend_from_slice(&entries.to_be_bytes());
        bytes.extend(offsets.iter().flat_map(|offset| offset.to_be_bytes()));
        for (prefix, tag) in records {
            bytes.extend_from_slice(&prefix.to_be_bytes());
            bytes.extend_from_slice(tag.as_bytes());
        }
        replace(&path, &bytes)?;
        Ok(Self { path, entries, offsets })
    }

    /// A chunk that was finished before; nothing where there is none.
    ///
    /// # Errors
    /// It is of other lines: the input was changed in between.
    pub(super) fn read(path: PathBuf, digest: &Digest) -> Result<Option<Self>, BuildError> {
        if !path.try_exists().map_err(ListFolderError::io(&path))? {
            return Ok(None);
        }
        let mut file = File::open(&path).map_err(ListFolderError::io(&path))?;
        let mut head = [0; HEAD_BYTES];
        file.read_exact(&mut head).map_err(ListFolderError::io(&path))?;
        let (magic, rest) = head.split_at(MAGIC.len());
        let (lines, rest) = rest.split_at(32);
        let (numbers, _) = rest.as_chunks::<4>();
        let mut numbers = numbers.iter().map(|bytes| u32::from_be_bytes(*bytes));
        let entries = numbers.next().unwrap_or_default();
        let offsets: Vec<u32> = numbers.collect();
        let records = u64::from(offsets.last().copied().unwrap_or_default());
        let bytes = file.metadata().map_err(ListFolderError::io(&path))?.len();
        if magic != MAGIC || !offsets.is_sorted() || bytes != HEAD_BYTES as u64 + records * RECORD_BYTES as u64 {
            return Err(ListFolderError::Content(path).into());
        }
        if lines != digest.as_bytes() {
            return Err(BuildError::OtherInput);
        }
        Ok(Some(Self { path, entries, offsets }))
    }

    /// Adds the records of one part to `records`.
    fn load(&self, part: usize, records: &mut Vec<Record>) -> Result<(), BuildError> {
        let (from, until) = (self.offsets[part] as usize, self.offsets[part + 1] as usize);
        if from == until {
            return Ok(());
        }
        let mut bytes = vec![0; (until - from) * RECORD_BYTES];
        let mut read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start((HEAD_BYTES + from * RECORD_BYTES) as u64))?;
            file.read_exact(&mut bytes)
        };
        read().map_err(ListFolderError::io(&self.path))?;
        let (whole, _) = bytes.as_chunks::<RECORD_BYTES>();
        records
            .extend(whole.iter().map(|[one, two, tag @ ..]| (u16::from_be_bytes([*one, *two]), Tag::from_bytes(*tag))));
        Ok(())
    }
}

/// The members of one part, of all chunks together, each once and in ascending order.
pub(super) fn merged(chunks: &[Finished], part: usize) -> Result<Vec<Record>, BuildError> {
    let mut records = Vec::new();
    for chunk in chunks {
        chunk.load(part, &mut records)?;
    }
    records.sort_unstable();
    records.dedup();
    Ok(records)
}

/// The file of chunk `number`.
pub(super) fn file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:07}.chunk"))
}
