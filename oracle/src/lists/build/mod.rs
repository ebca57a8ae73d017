//! Building an epoch: evaluate every line, spread the tags over buckets, fill these, sign.
//!
//! Lines are read in chunks, evaluated on all threads, and each finished chunk is a file. Whatever stops the process,
//! the next run goes on behind the last finished chunk and ends in the same bytes: the function's key, the epoch's number
//! and its times were fixed before the first chunk. In memory are one chunk, a 256th of the list and the tree.

mod chunk;
mod input;
mod publish;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use attest::SigningKey;
use attest::content::list::{Geometry, InvalidGeometry, ListKey};
use attest::seal::OperatorKey;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use super::files::{self, create_folder, replace};
use super::{ListFolder, ListFolderError};
use chunk::Finished;
use input::Input;
pub(crate) use input::{Format, LineError};

/// Lines of a chunk: some seconds of work for one core.
pub(crate) const CHUNK_LINES: usize = 1 << 17;
/// Members of one list.
const ENTRIES_MAX: u64 = 1 << 30;
const PLAN: &str = "plan.json";
const KEY: &str = super::epoch::KEY;
const LOCK: &str = "lock";
const VERSION: u8 = 1;

/// Why nothing is built.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildError {
    /// The list's folder, or the input.
    #[error(transparent)]
    Folder(#[from] ListFolderError),
    /// A line of the input.
    #[error("line {line} of the input is refused")]
    Line {
        /// Counted from one.
        line: u64,
        /// Why.
        source: LineError,
    },
    /// An interrupted build was of another file, or of another format.
    #[error("an interrupted build was of another input: give the same file again, or --restart")]
    OtherInput,
    /// More entries than a list has.
    #[error("a list has up to {ENTRIES_MAX} entries")]
    TooMany,
    /// The fullest bucket is too full.
    #[error("the fullest bucket would be too large")]
    Geometry(#[from] InvalidGeometry),
    /// Another build of this list is under way.
    #[error("another build of this list is under way")]
    Locked,
    /// Whoever was told of the progress said to stop.
    #[error("stopped: run it again to go on")]
    Stopped,
    /// The manifest could not be signed.
    #[error("the manifest could not be signed")]
    Sign(#[from] attest::JwsError),
}

/// What is built, of what and how.
pub(crate) struct Build<'a> {
    pub(crate) folder: &'a ListFolder,
    /// Seals the epoch's key.
    pub(crate) operator: &'a OperatorKey,
    /// Signs the epoch's manifest: [`ListFolder::signing_key`].
    pub(crate) signer: &'a SigningKey,
    pub(crate) input: &'a Path,
    pub(crate) format: Format,
    pub(crate) threads: usize,
    /// [`CHUNK_LINES`], but in tests.
    pub(crate) chunk_lines: usize,
    /// How long the epoch is good for.
    pub(crate) seconds: u64,
    /// Forget an interrupted build.
    pub(crate) restart: bool,
    pub(crate) now_s: u64,
}

/// How far a build is, told after every chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) bytes_done: u64,
    pub(crate) bytes_total: u64,
    /// Identifiers that are done, repeated ones included.
    pub(crate) entries: u64,
    /// Whether this chunk was done by an earlier run.
    pub(crate) resumed: bool,
}

/// What was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Built {
    pub(crate) epoch: u64,
    /// Members, each once.
    pub(crate) entries: u64,
    /// Lines that said what another had said.
    pub(crate) duplicates: u64,
    pub(crate) bits: u8,
    pub(crate) slots: u32,
    /// Bytes of one bucket with its path.
    pub(crate) bucket_bytes: usize,
    /// Unix seconds at which the epoch ends.
    pub(crate) expires_s: u64,
}

/// What is fixed before the first chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    version: u8,
    epoch: u64,
    format: Format,
    chunk_lines: usize,
    input_bytes: u64,
    created_s: u64,
    expires_s: u64,
}

impl Build<'_> {
    /// Builds the next epoch, or goes on with the build that was interrupted, and puts it in force.
    ///
    /// # Errors
    /// See [`BuildError`]; what was finished is kept.
    pub(crate) fn run(
        &self,
        rng: &mut impl CryptoRng,
        told: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Built, BuildError> {
        let _lock = self.lock()?;
        let work = self.folder.build_folder();
        if self.restart {
            files::remove_folder(&work)?;
        }
        create_folder(&work)?;
        let (mut input, input_bytes) = Input::open(self.input, self.format)?;
        let (plan, key) = self.plan(&work, input_bytes, rng)?;
        let chunks = self.evaluate(&mut input, &plan, &key, &work, told)?;
        let entries: u64 = chunks.iter().map(|chunk| u64::from(chunk.entries)).sum();
        let (spread, members) = publish::spread(&chunks)?;
        let bits = Geometry::bits_for(members);
        let geometry = Geometry::fitting(bits, publish::fullest(&spread, bits))?;
        publish::publish(self, &plan, &key, geometry, members, &chunks)?;
        files::remove_folder(&work)?;
        Ok(Built {
            epoch: plan.epoch,
            entries: members,
            duplicates: entries - members,
            bits,
            slots: geometry.slots(),
            bucket_bytes: geometry.bucket_bytes(),
            expires_s: plan.expires_s,
        })
    }

    /// Held while the list is built; the system gives it back when the process ends.
    fn lock(&self) -> Result<File, BuildError> {
        let path = self.folder.path().join(LOCK);
        let mut options = File::options();
        let file = options.create(true).truncate(false).write(true).open(&path).map_err(ListFolderError::io(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(std::fs::TryLockError::WouldBlock) => Err(BuildError::Locked),
            Err(std::fs::TryLockError::Error(source)) => Err(ListFolderError::Io { path, source }.into()),
        }
    }

    /// The plan of the interrupted build, or a new one, and the epoch's key.
    fn plan(&self, work: &Path, input_bytes: u64, rng: &mut impl CryptoRng) -> Result<(Plan, ListKey), BuildError> {
        let (file, key_file) = (work.join(PLAN), work.join(KEY));
        let current = self.folder.current()?.unwrap_or(0);
        let kept = files::read(&file)?.map(|text| serde_json::from_slice::<Plan>(&text));
        let kept = kept.transpose().map_err(|_| ListFolderError::Content(file.clone()))?;
        // What is in force already was finished but for the removal of this folder.
        if let Some(plan) = kept.filter(|plan| plan.epoch > current) {
            let own = Plan { format: self.format, input_bytes, chunk_lines: self.chunk_lines, ..plan };
            if plan.version != VERSION || own != plan {
                return Err(BuildError::OtherInput);
            }
            let secret = self.folder.unseal(&key_file, &self.folder.epoch_label(plan.epoch), self.operator)?;
            let key = ListKey::from_secret_bytes(&secret).map_err(|_| ListFolderError::Content(key_file))?;
            return Ok((plan, key));
        }
        let plan = Plan {
            version: VERSION,
            epoch: current + 1,
            format: self.format,
            chunk_lines: self.chunk_lines,
            input_bytes,
            created_s: self.now_s,
            expires_s: self.now_s.saturating_add(self.seconds),
        };
        // Nothing of a build that was given up is taken for this one's.
        files::remove_folder(&self.folder.epoch_folder(plan.epoch))?;
        files::remove_folder(work)?;
        create_folder(work)?;
        let key = ListKey::generate(rng);
        let label = self.folder.epoch_label(plan.epoch);
        self.folder.seal(&key_file, &label, key.to_secret_bytes().as_slice(), self.operator, rng)?;
        // Last: where the plan is, the key is too.
        replace(&file, &serde_json::to_vec(&plan).expect("numbers serialise"))?;
        Ok((plan, key))
    }

    fn evaluate(
        &self,
        input: &mut Input,
        plan: &Plan,
        key: &ListKey,
        work: &Path,
        told: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Vec<Finished>, BuildError> {
        let (mut chunks, mut entries) = (Vec::new(), 0);
        while let Some(read) = input.chunk(self.input, plan.chunk_lines)? {
            let file: PathBuf = chunk::file(work, chunks.len());
            let before = Finished::read(file.clone(), &read.digest)?;
            let resumed = before.is_some();
            let finished = match before {
                Some(finished) => finished,
                None => {
                    let records = chunk::evaluate(&read.identifiers, key, self.threads);
                    let count = u32::try_from(read.identifiers.len()).map_err(|_| BuildError::TooMany)?;
                    Finished::write(file, &read.digest, count, &records)?
                }
            };
            entries += u64::from(finished.entries);
            if entries > ENTRIES_MAX {
                return Err(BuildError::TooMany);
            }
            chunks.push(finished);
            let progress = Progress { bytes_done: input.bytes_done, bytes_total: plan.input_bytes, entries, resumed };
            if told(progress).is_break() {
                return Err(BuildError::Stopped);
            }
        }
        if input.bytes_done == plan.input_bytes { Ok(chunks) } else { Err(BuildError::OtherInput) }
    }
}
