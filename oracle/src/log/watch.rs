//! A node's half: what is not in the log is not taken, and a log that was seen once may only grow.

use aggregator::log::{LogEntry, MalformedEntry};
use aggregator::release::StoreError;
use policies::TenantId;
use policies::log::{LogKeys, LogProof, LogProofError, ProofError, VerifiedCheckpoint};
use tokio::sync::Mutex;

use super::source::{SourceError, TileFetch, consistency};
use crate::store::Store;

/// Why something is not taken: the log does not speak for it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogRefusal {
    /// The proof, its checkpoint or its signatures.
    #[error("the log's proof is refused")]
    Proof(#[from] LogProofError),
    /// The checkpoint and the newest one that was seen are not of one log that only grew.
    #[error("the log was forked or rolled back: its checkpoint does not go with the newest one that was seen")]
    Forked(#[source] ProofError),
    /// The log's tiles could not be had.
    #[error("the log's tiles cannot be had")]
    Tiles(#[from] SourceError),
    /// The leaf is no entry.
    #[error(transparent)]
    Entry(#[from] MalformedEntry),
    /// The entry speaks of something else.
    #[error("the log's entry speaks of something else")]
    OtherEntry,
    /// The checkpoint that was kept is not this log's any more.
    #[error("the checkpoint that was kept cannot be read back")]
    Kept,
    /// The newest checkpoint could not be kept or read.
    #[error("the newest checkpoint cannot be kept")]
    Store(#[from] StoreError),
}

/// One log, as a node has seen it.
pub(crate) struct LogWatch {
    keys: LogKeys,
    /// Nothing where the node's store cannot be opened: it is remembered until the process ends.
    store: Option<Store>,
    newest: Mutex<Newest>,
}

#[derive(Default)]
struct Newest {
    /// Whether the store was asked.
    is_read: bool,
    checkpoint: Option<VerifiedCheckpoint>,
}

impl LogWatch {
    pub(crate) fn new(keys: LogKeys, store: Option<Store>) -> Self {
        Self { keys, store, newest: Mutex::default() }
    }

    /// The entry that a proof brings, once it is shown to be in the log, and the log to be the one that was seen.
    pub(crate) async fn logged(&self, proof: &[u8], tiles: &impl TileFetch) -> Result<LogEntry, LogRefusal> {
        // 1. Signatures and inclusion.
        let proof = LogProof::parse(proof)?;
        let (leaf, checkpoint) = proof.verified_leaf(&self.keys)?;
        // 2. The entry.
        let entry = LogEntry::decode(leaf)?;
        // 3. One log, which only grows.
        self.see(checkpoint, tiles).await?;
        Ok(entry)
    }

    /// Takes a checkpoint as one of the log, and keeps it if it is the newest.
    async fn see(&self, seen: VerifiedCheckpoint, tiles: &impl TileFetch) -> Result<(), LogRefusal> {
        let key = self.keys.log().to_string();
        let mut newest = self.newest.lock().await;
        if let (false, Some(store)) = (newest.is_read, &self.store) {
            let kept = store.checkpoint_seen(key.clone()).await?;
            // Its witnesses may have been others.
            let alone = self.keys.without_witnesses();
            newest.checkpoint = kept.map(|note| alone.verify(&note)).transpose().map_err(|_| LogRefusal::Kept)?;
            newest.is_read = true;
        }
        if let Some(kept) = &newest.checkpoint {
            let (older, newer) = if kept.size() <= seen.size() { (kept, &seen) } else { (&seen, kept) };
            let proof = consistency(tiles, older.size(), newer.size()).await?;
            older.checkpoint().is_extended_by(newer.checkpoint(), &proof).map_err(LogRefusal::Forked)?;
            if kept.size() >= seen.size() {
                return Ok(());
            }
        }
        if let Some(store) = &self.store {
            store.keep_checkpoint_seen(key, seen.note().to_vec()).await?;
        }
        newest.checkpoint = Some(seen);
        Ok(())
    }

    /// The highest serial of a tenant's pointer that was taken, over restarts; 0 before the first.
    pub(crate) async fn serial_seen(&self, tenant: &TenantId) -> Result<u64, LogRefusal> {
        match &self.store {
            Some(store) => Ok(store.serial_seen(tenant).await?),
            None => Ok(0),
        }
    }

    /// A pointer was taken: none with a lower serial is from now on.
    pub(crate) async fn keep_serial(&self, tenant: &TenantId, serial: u64) -> Result<(), LogRefusal> {
        match &self.store {
            Some(store) => Ok(store.keep_serial(tenant, serial).await?),
            None => Ok(()),
        }
    }
}
