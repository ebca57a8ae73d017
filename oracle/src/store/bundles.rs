//! Durable verbs of policy bundles, the same at a node and at a centre.

use std::collections::BTreeMap;

use aggregator::log::{LogEntry, PolicyLogged};
use aggregator::release::StoreError;
use policies::Bundle;

use policies::bundle::{Statement, Trust};
use policies::log::Note;

use super::Store;
use super::sqlite::bundles;

/// Bundles kept: as many changes of policy may happen while a release is on its way.
pub(crate) const BUNDLES_KEPT: usize = 16;

/// A bundle as it is kept. It was verified before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptBundle {
    /// Its version.
    pub(crate) version: u64,
    /// The signed note.
    pub(crate) note: String,
    /// The files: a JSON object of text by path.
    pub(crate) files: Vec<u8>,
    /// Where it stands in the transparency log, at a centre.
    pub(crate) logged: Option<u64>,
}

/// Why a bundle is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeepError {
    /// A newer one is kept.
    #[error("a newer version of the policies was taken before")]
    Older,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KeptBundle {
    /// A bundle that is taken now.
    ///
    /// # Panics
    /// Never: texts have a JSON form.
    fn of(bundle: &Bundle) -> Self {
        let files = serde_json::to_vec(&bundle.delivery(&[]).files).expect("texts have a JSON form");
        Self { version: bundle.version(), note: bundle.note().to_owned(), files, logged: None }
    }

    /// What was signed.
    ///
    /// # Errors
    /// Not what was written.
    pub(crate) fn statement(&self) -> Result<Statement, StoreError> {
        let note = Note::parse(self.note.as_bytes()).map_err(|_| StoreError::Corrupt)?;
        let statement: Statement = note.text().parse().map_err(|_| StoreError::Corrupt)?;
        if statement.version == self.version { Ok(statement) } else { Err(StoreError::Corrupt) }
    }

    /// The bundle, its files held against the note once more.
    ///
    /// # Errors
    /// Not what was written.
    pub(crate) fn bundle(&self) -> Result<Bundle, StoreError> {
        let files: BTreeMap<String, String> = serde_json::from_slice(&self.files).map_err(|_| StoreError::Corrupt)?;
        let files = files.into_iter().map(|(path, text)| (path, text.into_bytes())).collect();
        let statement = self.statement()?;
        Bundle::open(self.note.as_bytes(), &files, Trust::After(&statement)).map_err(|_| StoreError::Corrupt)
    }
}

impl Store {
    /// Keeps a bundle that was verified. Keeping the newest again changes nothing.
    ///
    /// # Errors
    /// A newer one is kept: versions only rise, also across restarts.
    pub(crate) async fn keep_bundle(&self, bundle: &Bundle, now_ms: u64) -> Result<(), KeepError> {
        let bundle = KeptBundle::of(bundle);
        match self {
            Self::Sqlite(store) => {
                store.run(move |connection| bundles::keep(connection, &bundle, now_ms)).await.map(|_| ())
            }
        }
    }

    /// Keeps a bundle at a centre and logs it, both or neither; a note that was logged is not logged again.
    ///
    /// # Errors
    /// As [`Store::keep_bundle`].
    pub(crate) async fn log_bundle(&self, bundle: &Bundle, now_ms: u64) -> Result<(), KeepError> {
        let kept = KeptBundle::of(bundle);
        let entry = LogEntry::Policy(PolicyLogged {
            version: bundle.version(),
            digest: bundle.policies().digest(),
            bundle: bundle.digest(),
            logged_ms: now_ms,
        });
        match self {
            Self::Sqlite(store) => store.run(move |connection| bundles::log(connection, &kept, &entry, now_ms)).await,
        }
    }

    /// The bundles that are kept, the oldest first.
    ///
    /// # Errors
    /// The store.
    pub(crate) async fn bundles(&self) -> Result<Vec<KeptBundle>, StoreError> {
        match self {
            Self::Sqlite(store) => store.read(bundles::kept).await,
        }
    }
}
