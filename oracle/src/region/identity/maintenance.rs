//! What happens by itself: keys turn on their schedule, and what belongs to ended ones is forgotten.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use attest::key_epoch::Epoch;
use rand_core::{OsRng, TryRngCore as _};

use super::Identity;
use super::ring::KeyRing;
use crate::http::Condition;
use crate::identity_folder::{FolderError, Periods};

/// How often the folder is looked at.
const LOOK_MS: u64 = 10_000;
/// From a key's end to the moment its nonces are forgotten.
const FORGET_AFTER_S: u64 = 3600;

impl Identity {
    /// Looks at the folder, if it is time to: makes keys that are due, takes up what `siwa identity` changed, and erases
    /// what has ended, key and nonces. A failure keeps the keys that are in use, and is tried again.
    pub(crate) async fn maintain(self: &Arc<Self>, now_ms: u64) {
        let looked_ms = self.looked_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(looked_ms) < LOOK_MS {
            return;
        }
        self.looked_ms.store(now_ms, Ordering::Relaxed);
        let now_s = now_ms / 1000;
        let identity = Arc::clone(self);
        // Files, and a new RSA key takes a second.
        let turned = tokio::task::spawn_blocking(move || identity.turn(now_s)).await;
        let usable = match turned {
            Ok(Ok(Some(ring))) => {
                self.ring.store(Arc::new(ring));
                true
            }
            Ok(Ok(None)) => true,
            Ok(Err(error)) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the identity folder cannot be used: the keys in use stay");
                false
            }
            Err(_) => {
                tracing::error!("looking at the identity folder panicked");
                false
            }
        };
        self.folder_usable.store(usable, Ordering::Relaxed);
        self.rules().issuers.refresh(now_ms).await;
        self.forget(now_s).await;
    }

    /// What `/readyz` says of the identity service.
    pub(crate) fn condition(&self, now_s: u64) -> Condition {
        const NAME: &str = "identity";
        let ring = self.ring.load();
        match ring.lacks(self.folder.uses(), now_s) {
            Some(of) => Condition::degraded(NAME, format!("no key of kind {} issues", of.kind.as_str())),
            None if !self.folder_usable.load(Ordering::Relaxed) => {
                Condition::degraded(NAME, "the identity folder cannot be used: the keys in use stay, and end")
            }
            None => Condition::met(NAME),
        }
    }

    fn forgotten(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new ring, if anything changed.
    fn turn(&self, now_s: u64) -> Result<Option<KeyRing>, FolderError> {
        let periods = Periods::of(&self.rules().rule);
        let mut log = self.folder.log(&self.setup)?;
        let here = self.folder.key_numbers(&log, now_s)?;
        if self.folder.is_due(&log, &here, &periods, now_s) {
            log = self.folder.turn(&self.setup, &periods, &BTreeSet::new(), now_s, &mut OsRng.unwrap_err())?;
            tracing::info!(epochs = log.epochs().len(), "keys were made for the next epoch");
        }
        let ring = self.ring.load();
        for number in self.folder.ended_numbers(&log, now_s)? {
            if self.folder.erase(number as usize)? {
                tracing::info!(epoch = number, "an epoch ended: its key is erased");
            }
        }
        let changed = ring.is_overtaken(now_s)
            || log.head() != ring.log.head()
            || self.folder.key_numbers(&log, now_s)? != *ring.numbers();
        if changed { KeyRing::load(&self.folder, log, now_s).map(Some) } else { Ok(None) }
    }

    /// Forgets the nonces of token keys that are accepted no more, and counts of windows that are over.
    async fn forget(&self, now_s: u64) {
        let ring = self.ring.load_full();
        // Not before the key itself is gone, nor while a token that was verified in time may still be on its way.
        let over = |epoch: &&Epoch| {
            epoch.kind.is_of_tenants()
                && epoch.accepted_until_s.saturating_add(FORGET_AFTER_S) <= now_s
                && !ring.numbers().contains(&epoch.number)
                && !self.forgotten().contains(&epoch.number)
        };
        for epoch in ring.log.epochs().iter().filter(over) {
            let key_id = *policies::Digest::of(&epoch.public_bytes()).as_bytes();
            match self.store.forget_tokens(key_id).await {
                Ok(()) => {
                    self.forgotten().insert(epoch.number);
                }
                Err(_) => {
                    tracing::warn!(epoch = epoch.number, "nonces of an ended key stay until they can be forgotten")
                }
            }
        }
        let window = now_s / u64::from(self.rules().rule.token_window_seconds);
        if self.store.forget_issued(window).await.is_err() {
            tracing::warn!("counts of ended windows stay until they can be forgotten");
        }
    }
}
