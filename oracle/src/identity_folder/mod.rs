//! The folder with a region's identity keys: `siwa identity` makes and turns them, nodes read them.
//!
//! ```text
//! setup.sealed       what must never change: the OPAQUE setup, the log's key, the access key, the key of records
//! epochs.log         every key epoch as a signed statement, one a line; each names the one before it
//! keys/NUMBER.key    the secret half of an epoch, sealed; erased when the epoch ends
//! identity.sqlite    accounts, invites, issued counts and spent tokens
//! ```
//!
//! Everything secret is sealed under the operator's key, which lives elsewhere. Losing `setup.sealed` loses every account.

mod files;
mod secret;
mod setup;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use attest::key_epoch::{Epoch, EpochLog, EpochLogError, KeyKind, KeyUse, Period, Span};
use attest::seal::{OperatorKey, SealError};
use policies::{IdentityRule, TenantId};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use crate::store::{OpenError, Store};
use files::{Lock, create_new, read, replace};
pub(crate) use secret::Secret;
use secret::{generate, parse};
pub(crate) use setup::Setup;

const SETUP: &str = "setup.sealed";
const LOG: &str = "epochs.log";
const KEYS: &str = "keys";
const STORE: &str = "identity.sqlite";
const DAY_SECONDS: u64 = 86_400;
/// Why a seal takes what this module seals.
const SHORT: &str = "keys and setups are far below what a seal takes";

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is no setup. It is made once, by `siwa identity init`.
    #[error("{} has no identity setup: make it once, with `siwa identity init`", .0.display())]
    Missing(PathBuf),
    /// The store of accounts and tokens.
    #[error("the identity store cannot be used")]
    Store(#[from] OpenError),
    /// There is a setup: another one would lose every account.
    #[error("{} has an identity setup already: another one would lose every account", .0.display())]
    Exists(PathBuf),
    /// A file can't be read or written.
    #[error("cannot use {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not sealed under this operator key.
    #[error("{} does not open with this operator key", path.display())]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        source: SealError,
    },
    /// What was sealed is not what belongs there.
    #[error("{} holds something else than it should", .0.display())]
    Content(PathBuf),
    /// The log of epochs contradicts itself, or is another issuer's.
    #[error("{} is refused", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: EpochLogError,
    },
    /// A key could not be made.
    #[error("a key of kind {0} could not be made")]
    Generate(&'static str),
}

/// How long keys of each kind are used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Periods {
    tokens: Period,
    credentials: Period,
}

impl Periods {
    /// As the region's policy says. A credential's key is accepted as long as the last credential lives.
    pub(crate) const fn of(rule: &IdentityRule) -> Self {
        let issues_s = rule.token_key_days as u64 * DAY_SECONDS;
        let overlap_s = rule.token_key_overlap_days as u64 * DAY_SECONDS;
        let credential_s = rule.credential_days as u64 * DAY_SECONDS;
        Self { tokens: Period { issues_s, overlap_s }, credentials: Period { issues_s, overlap_s: credential_s } }
    }

    const fn of_kind(&self, kind: KeyKind) -> Period {
        match kind {
            KeyKind::TokenVoprf | KeyKind::TokenBlindRsa | KeyKind::Oblivious => self.tokens,
            KeyKind::Credential => self.credentials,
        }
    }
}

/// A key made ahead of its turn begins only when every directory that a cache may still hold has run out.
pub(crate) const DIRECTORY_CACHE_S: u64 = 3600;

/// The folder, with the operator's key.
pub(crate) struct IdentityFolder {
    path: PathBuf,
    operator: OperatorKey,
    /// The service's name: `https://` and its host.
    issuer: String,
    /// What keys are needed for.
    uses: Vec<KeyUse>,
}

impl IdentityFolder {
    /// The folder at `path` of the service called `issuer`, which issues tokens to the viewers of `tenants`.
    pub(crate) fn new(path: PathBuf, operator: OperatorKey, issuer: String, tenants: &[TenantId]) -> Self {
        Self { path, operator, issuer, uses: KeyUse::all(tenants) }
    }

    /// What keys are needed for.
    pub(crate) fn uses(&self) -> &[KeyUse] {
        &self.uses
    }

    /// The service's name.
    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Opens what this region's operator sealed.
    pub(crate) const fn operator(&self) -> &OperatorKey {
        &self.operator
    }

    /// Where accounts and spent tokens are kept.
    pub(crate) fn store_file(&self) -> PathBuf {
        self.path.join(STORE)
    }

    /// Makes the folder and its setup, once.
    ///
    /// # Errors
    /// There is one already, or a file can't be written.
    pub(crate) fn initialise(&self, rng: &mut impl CryptoRng) -> Result<(), FolderError> {
        let keys = self.path.join(KEYS);
        files::create_folder(&keys)?;
        let _lock = Lock::take(&self.path)?;
        let file = self.path.join(SETUP);
        if file.try_exists().map_err(|source| FolderError::Io { path: file.clone(), source })? {
            return Err(FolderError::Exists(self.path.clone()));
        }
        // The setup last: where it is, the rest is too, and what a crash left half-made is made again.
        drop(Store::create_sqlite(&self.store_file())?);
        let sealed = self.operator.seal(SETUP, &Setup::generate(rng).to_bytes(), rng).expect(SHORT);
        create_new(&file, &sealed).map_err(|error| match error {
            FolderError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                FolderError::Exists(self.path.clone())
            }
            other => other,
        })
    }

    /// Opens the setup.
    ///
    /// # Errors
    /// It is missing, does not open, or is no setup.
    pub(crate) fn setup(&self) -> Result<Setup, FolderError> {
        let file = self.path.join(SETUP);
        let sealed = read(&file)?.ok_or_else(|| FolderError::Missing(self.path.clone()))?;
        Setup::from_bytes(&self.open(&file, SETUP, &sealed)?).ok_or(FolderError::Content(file))
    }

    /// Reads and verifies the log of epochs; an empty one where no key was made yet.
    ///
    /// # Errors
    /// A log that can't be read, or is refused.
    pub(crate) fn log(&self, setup: &Setup) -> Result<EpochLog, FolderError> {
        let path = self.path.join(LOG);
        let text = read(&path)?.unwrap_or_default();
        let text = std::str::from_utf8(&text).map_err(|_| FolderError::Content(path.clone()))?;
        let log = EpochLog::verify(text, &self.issuer, &setup.log_key.verifying_key());
        log.map_err(|source| FolderError::Log { path, source })
    }

    /// Makes every key that is due, and those of the kinds `ahead` before they are. Returns the log after that.
    ///
    /// The secret half is durable before the log names the key. Processes that share the folder take turns.
    ///
    /// # Errors
    /// A key that can't be made, or a file that can't be written.
    pub(crate) fn turn(
        &self,
        setup: &Setup,
        periods: &Periods,
        ahead: &BTreeSet<KeyKind>,
        now_s: u64,
        rng: &mut impl CryptoRng,
    ) -> Result<EpochLog, FolderError> {
        let _lock = Lock::take(&self.path)?;
        let mut log = self.log(setup)?;
        let here = self.key_numbers(&log, now_s)?;
        for of in &self.uses {
            let due = due(&log, &here, of, periods, now_s);
            let early = || {
                let begins_s = now_s + DIRECTORY_CACHE_S;
                ahead.contains(&of.kind).then(|| EpochLog::span(begins_s, periods.of_kind(of.kind)))
            };
            let Some(span) = due.or_else(early) else { continue };
            let (secret, public) = generate(of, &log, now_s, rng)?;
            let number = log.epochs().len();
            let label = key_label(number);
            replace(&self.key_file(number), &self.operator.seal(&label, &secret, rng).expect(SHORT))?;
            let path = self.path.join(LOG);
            log.append(&self.issuer, of, &public, span, &setup.log_key)
                .map_err(|source| FolderError::Log { path: path.clone(), source })?;
            replace(&path, (log.texts().join("\n") + "\n").as_bytes())?;
        }
        Ok(log)
    }

    /// Whether a key is due.
    pub(crate) fn is_due(&self, log: &EpochLog, here: &BTreeSet<u32>, periods: &Periods, now_s: u64) -> bool {
        self.uses.iter().any(|of| due(log, here, of, periods, now_s).is_some())
    }

    /// The secret half of an epoch; nothing where it was erased.
    ///
    /// # Errors
    /// A file that can't be read, does not open, or holds another key.
    pub(crate) fn secret(&self, epoch: &Epoch) -> Result<Option<Secret>, FolderError> {
        let number = epoch.number as usize;
        let file = self.key_file(number);
        let Some(sealed) = read(&file)? else { return Ok(None) };
        let bytes = self.open(&file, &key_label(number), &sealed)?;
        parse(epoch, &bytes).map(Some).ok_or(FolderError::Content(file))
    }

    /// The epochs in use or to come whose secret half is there.
    ///
    /// # Errors
    /// A file that can't be looked at.
    pub(crate) fn key_numbers(&self, log: &EpochLog, now_s: u64) -> Result<BTreeSet<u32>, FolderError> {
        self.numbers_of(log, |epoch| epoch.accepts(now_s))
    }

    /// The epochs that have ended and whose secret half is there.
    ///
    /// # Errors
    /// A file that can't be looked at.
    pub(crate) fn ended_numbers(&self, log: &EpochLog, now_s: u64) -> Result<BTreeSet<u32>, FolderError> {
        self.numbers_of(log, |epoch| !epoch.accepts(now_s))
    }

    fn numbers_of(&self, log: &EpochLog, wanted: impl Fn(&Epoch) -> bool) -> Result<BTreeSet<u32>, FolderError> {
        let mut numbers = BTreeSet::new();
        for epoch in log.epochs().iter().filter(|epoch| wanted(epoch)) {
            let path = self.key_file(epoch.number as usize);
            if path.try_exists().map_err(|source| FolderError::Io { path, source })? {
                numbers.insert(epoch.number);
            }
        }
        Ok(numbers)
    }

    /// Erases the secret half of an epoch, for good. Says whether it was there.
    ///
    /// # Errors
    /// A file that can't be removed.
    pub(crate) fn erase(&self, number: usize) -> Result<bool, FolderError> {
        let _lock = Lock::take(&self.path)?;
        files::remove(&self.key_file(number))
    }

    fn key_file(&self, number: usize) -> PathBuf {
        self.path.join(KEYS).join(format!("{number:05}.key"))
    }

    fn open(&self, file: &Path, label: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, FolderError> {
        let refused = |source| FolderError::Sealed { path: file.to_owned(), source };
        self.operator.open(label, sealed).map_err(refused)
    }
}

/// When the next key of a use shall begin, if it is time to make one: on schedule, or at once where the key that should
/// issue was erased. `here` are the epochs whose secret half is there.
fn due(log: &EpochLog, here: &BTreeSet<u32>, of: &KeyUse, periods: &Periods, now_s: u64) -> Option<Span> {
    let period = periods.of_kind(of.kind);
    let erased = log.issuing(of, now_s).is_some_and(|epoch| !here.contains(&epoch.number));
    if erased { Some(EpochLog::span(now_s, period)) } else { log.due(of, period, now_s) }
}

/// What a key's file is sealed for: a file under another's name does not open.
fn key_label(number: usize) -> String {
    format!("{KEYS}/{number:05}")
}
