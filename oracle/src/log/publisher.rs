//! From the store's queue to a published checkpoint.
//!
//! A pass, in this order: 1 rows that are new are read from the store; 2 the tiles that they change are written; 3 the
//! new checkpoint is signed, and cosigned by enough witnesses; 4 it takes the old one's place; 5 partial tiles that were
//! filled are removed. The same rows give the same bytes, so that a pass which was cut off anywhere is done again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aggregator::release::StoreError;
use attest::note::NoteSigner;
use policies::log::bundle::MalformedBundle;
use policies::log::{
    Checkpoint, CheckpointError, LogKeys, LogKeysError, LogProof, MalformedNote, Note, Tile, VerifiedCheckpoint,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::builder::{Builder, TileBytes};
use super::cosign::WitnessLink;
use super::folder::{Folder, FolderError};
use super::source::{SourceError, inclusion};
use crate::http::{Condition, Drain};
use crate::store::Store;

/// Rows read from the store at a time: at most 16 MiB.
const ROWS_MAX: usize = 256;

/// What a log is published with.
pub struct LogOptions {
    /// Where its files stand.
    pub folder: PathBuf,
    /// Its key; the name is its origin.
    pub signer: NoteSigner,
    /// Who cosigns.
    pub witnesses: Vec<WitnessLink>,
    /// How many of them must.
    pub witnesses_min: usize,
    /// From one checkpoint to the next at least.
    pub interval: Duration,
}

/// Why nothing was published. What was published stands.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The keys cannot be a log's and its witnesses'.
    #[error("the log's keys cannot be used")]
    Keys(#[from] LogKeysError),
    /// The folder holds a checkpoint that this log's key did not sign.
    #[error("the folder holds a checkpoint that is not this log's")]
    Foreign(#[source] CheckpointError),
    /// The store has fewer entries than were published: it was rolled back, or is another.
    #[error("the store has {rows} entries, and {published} were published: it was rolled back or is another's")]
    Behind {
        /// In the store.
        rows: u64,
        /// In the folder's checkpoint.
        published: u64,
    },
    /// The store has other entries than were published.
    #[error("the store's entries are not those that were published")]
    Forked,
    /// The folder.
    #[error("the log's files")]
    Folder(#[from] FolderError),
    /// The files could not be read back.
    #[error("the log's files cannot be read back")]
    Source(#[from] SourceError),
    /// The store.
    #[error("the log's entries cannot be read")]
    Store(#[from] StoreError),
    /// An entry is too long.
    #[error("an entry does not fit the log")]
    Entry(#[from] MalformedBundle),
    /// The origin.
    #[error("the log's origin cannot stand in a checkpoint")]
    Note(#[from] MalformedNote),
    /// Too few witnesses cosigned. The checkpoint waits.
    #[error("{signed} witnesses cosigned, and {least} must")]
    Witnesses {
        /// That did.
        signed: usize,
        /// That must.
        least: usize,
    },
    /// There is no such entry.
    #[error("there is no such entry in the log")]
    NoEntry,
    /// A thread that wrote files ended without a word.
    #[error("a computation was cut off")]
    CutOff,
}

struct State {
    builder: Builder,
    published_at: Option<Instant>,
}

/// The one who writes the log's files.
pub struct Publisher {
    folder: Folder,
    signer: NoteSigner,
    keys: LogKeys,
    witnesses: Vec<Arc<WitnessLink>>,
    interval: Duration,
    store: Store,
    /// Its lock is held for a whole pass.
    state: tokio::sync::Mutex<State>,
    published: watch::Sender<Option<Arc<VerifiedCheckpoint>>>,
    failure: std::sync::Mutex<Option<String>>,
}

impl Publisher {
    /// Opens the folder, and compares what was published with the store's entries, all of them.
    ///
    /// # Errors
    /// They disagree, or cannot be read. Nothing is published then.
    pub async fn open(options: LogOptions, store: Store) -> Result<Self, LogError> {
        let LogOptions { folder, signer, witnesses, witnesses_min, interval } = options;
        let known = witnesses.iter().map(|link| link.key().clone()).collect();
        let keys = LogKeys::new(signer.verifier_key().clone(), known, witnesses_min)?;
        let folder = Folder::open(folder).map_err(FolderError::Io)?;
        let kept = folder.checkpoint().map_err(FolderError::Io)?;
        // Witnesses may have changed since: that it is this log's is what matters.
        let kept = kept.map(|note| keys.without_witnesses().verify(&note)).transpose().map_err(LogError::Foreign)?;
        let published = kept.as_ref().map_or(0, VerifiedCheckpoint::size);
        let rows = store.log_size().await?;
        if rows < published {
            return Err(LogError::Behind { rows, published });
        }
        let mut builder = Builder::default();
        while builder.size() < published {
            let limit = usize::try_from(published - builder.size()).unwrap_or(usize::MAX).min(ROWS_MAX);
            let mut full = Vec::new();
            let entries = store.log_entries(builder.size(), limit).await?;
            if entries.is_empty() {
                return Err(LogError::Behind { rows: builder.size(), published });
            }
            entries.iter().try_for_each(|entry| builder.append(entry, &mut full))?;
        }
        if kept.as_ref().is_some_and(|kept| kept.root() != builder.root()) {
            return Err(LogError::Forked);
        }
        // A checkpoint with too few cosignatures for today's readers is signed anew.
        let kept = kept.filter(|kept| keys.verify(kept.note()).is_ok());
        Ok(Self {
            folder,
            signer,
            keys,
            witnesses: witnesses.into_iter().map(Arc::new).collect(),
            interval,
            store,
            state: tokio::sync::Mutex::new(State { builder, published_at: None }),
            published: watch::Sender::new(kept.map(Arc::new)),
            failure: std::sync::Mutex::default(),
        })
    }

    /// Whom readers believe: its key and its witnesses'.
    #[must_use]
    pub const fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// The folder of its files.
    pub(crate) const fn folder(&self) -> &Folder {
        &self.folder
    }

    /// The newest published checkpoint.
    #[must_use]
    pub fn checkpoint(&self) -> Option<Arc<VerifiedCheckpoint>> {
        self.published.borrow().clone()
    }

    /// Publishes what is new, until the order to drain.
    pub async fn run(self: Arc<Self>, mut drain: Drain) {
        let mut tick = tokio::time::interval(self.interval.max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = drain.ordered() => break,
                _ = tick.tick() => {}
            }
            // What failed is logged, shown by `/readyz`, and tried again.
            let _ = self.publish().await;
        }
        let _ = self.publish().await;
    }

    /// Publishes every entry that the store has, and says how many there are.
    ///
    /// # Errors
    /// What kept it from being published. It is logged.
    pub async fn publish(&self) -> Result<u64, LogError> {
        self.publish_through(None).await
    }

    /// The proof that an entry is in the log, by the newest checkpoint; waits for one that has it.
    ///
    /// # Errors
    /// There is no such entry, or it could not be published.
    pub async fn proof(&self, index: u64, leaf: Vec<u8>) -> Result<LogProof, LogError> {
        self.publish_through(Some(index)).await?;
        let checkpoint = self.checkpoint().filter(|it| index < it.size()).ok_or(LogError::NoEntry)?;
        let hashes = inclusion(&self.folder, index, checkpoint.size()).await?;
        Ok(LogProof { index, hashes, extra: Some(leaf), checkpoint: checkpoint.note().to_vec() })
    }

    /// Publishes, unless there is nothing new, or the entry that is asked for is published already.
    async fn publish_through(&self, index: Option<u64>) -> Result<u64, LogError> {
        let mut state = self.state.lock().await;
        let published = self.checkpoint();
        if let (Some(index), Some(kept)) = (index, &published)
            && index < kept.size()
        {
            return Ok(kept.size());
        }
        let rows = self.store.log_size().await?;
        if let Some(kept) = published
            && kept.size() == rows
        {
            return Ok(rows);
        }
        if let Some(last) = state.published_at {
            tokio::time::sleep_until(last + self.interval).await;
        }
        let outcome = self.pass(&mut state).await;
        let failure = outcome.as_ref().err().map(ToString::to_string);
        if let Err(error) = &outcome {
            tracing::error!(error = error as &dyn std::error::Error, "the transparency log could not be published");
        }
        *self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = failure;
        state.published_at = Some(Instant::now());
        outcome
    }

    async fn pass(&self, state: &mut State) -> Result<u64, LogError> {
        let mut builder = state.builder.clone();
        let mut filled = Vec::new();
        // 1, 2. Rows to tiles.
        loop {
            let entries = self.store.log_entries(builder.size(), ROWS_MAX).await?;
            if entries.is_empty() {
                break;
            }
            let mut full = Vec::new();
            entries.iter().try_for_each(|entry| builder.append(entry, &mut full))?;
            filled.extend(full.iter().map(|(tile, _)| *tile));
            self.write(full).await?;
        }
        self.write(builder.edge()).await?;
        // 3. The checkpoint.
        let (size, root) = (builder.size(), builder.root());
        let checkpoint = Checkpoint { origin: self.keys.origin().to_owned(), size, root };
        let note = self.cosigned(self.signer.checkpoint(&checkpoint)?, size).await?;
        let note = note.to_string().into_bytes();
        let verified = self.keys.verify(&note).map_err(LogError::Foreign)?;
        // 4. In the old one's place: from here on it is published.
        let folder = self.folder.clone();
        blocking(move || folder.write_checkpoint(&note)).await??;
        state.builder = builder;
        self.published.send_replace(Some(Arc::new(verified)));
        // 5. What nobody needs any more.
        let folder = self.folder.clone();
        blocking(move || filled.into_iter().try_for_each(|tile: Tile| folder.remove_partials(tile))).await??;
        Ok(size)
    }

    async fn write(&self, tiles: Vec<TileBytes>) -> Result<(), LogError> {
        let folder = self.folder.clone();
        let write = move || tiles.iter().try_for_each(|(tile, bytes)| folder.write_tile(*tile, bytes));
        Ok(blocking(write).await??)
    }

    /// All witnesses are asked at once; every cosignature that comes in time is taken.
    async fn cosigned(&self, mut note: Note, size: u64) -> Result<Note, LogError> {
        let mut asked = JoinSet::new();
        for witness in &self.witnesses {
            let (witness, note, folder) = (Arc::clone(witness), note.clone(), self.folder.clone());
            asked.spawn(async move { (witness.cosign(&note, size, &folder).await, witness.key().name().to_owned()) });
        }
        let mut signatures = Vec::new();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((Ok(signature), _)) => signatures.push(signature),
                Ok((Err(error), witness)) => {
                    tracing::warn!(witness, error = &error as &dyn std::error::Error, "a witness did not cosign");
                }
                Err(_) => return Err(LogError::CutOff),
            }
        }
        let (signed, least) = (signatures.len(), self.keys.witnesses_min());
        if signed < least {
            return Err(LogError::Witnesses { signed, least });
        }
        // In one order, whoever was the first to answer.
        signatures.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
        signatures.into_iter().for_each(|signature| note.add(signature));
        Ok(note)
    }

    /// What `/readyz` says of it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let failure = self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        match failure {
            None => Condition::met("log"),
            Some(why) => Condition::degraded("log", format!("the transparency log is not published: {why}")),
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, LogError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| LogError::CutOff)
}
