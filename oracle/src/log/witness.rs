//! A witness (C2SP tlog-witness): cosigns checkpoints of one log, each of which extends the one before it.
//!
//! Its state is one file, the newest checkpoint that it cosigned. It is on disk before the cosignature leaves.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use attest::note::NoteSigner;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use policies::log::note::NOTE_BYTES_MAX;
use policies::log::tree::empty_root;
use policies::log::witness::{AddCheckpoint, REQUEST_BYTES_MAX, SIZE_MEDIA_TYPE};
use policies::log::{
    Checkpoint, CheckpointError, LogKeys, LogKeysError, Note, NoteSignature, ProofError, VerifiedCheckpoint,
    VerifierKey,
};
use tokio::sync::Mutex;

use super::folder::bounded;
use crate::clock::Clock;

/// Why a witness does not cosign.
#[derive(Debug, thiserror::Error)]
pub enum WitnessRefusal {
    /// The request is not of the protocol, or its old size is above its new one.
    #[error("the request is not of the witnesses' protocol")]
    Request,
    /// Another log's checkpoint.
    #[error("this witness does not know the log")]
    Origin,
    /// The log's key did not sign it.
    #[error("the log's key did not sign the checkpoint")]
    Signature,
    /// The witness has another size than the request says.
    #[error("the witness has another size")]
    Size(u64),
    /// Another tree of the size that it has.
    #[error("the witness has cosigned another tree of this size")]
    Fork,
    /// The proof does not show that the checkpoint extends the one that the witness has.
    #[error("the proof does not show that the log only grew")]
    Proof(#[source] ProofError),
    /// The state could not be kept: nothing was cosigned.
    #[error("the witness's state cannot be kept")]
    State(#[source] io::Error),
}

/// Why a witness does not start.
#[derive(Debug, thiserror::Error)]
pub enum WitnessStartError {
    /// The log's key.
    #[error("the log's key cannot be used")]
    Key(#[from] LogKeysError),
    /// The state is another log's, or damaged.
    #[error("the state is not a checkpoint of this log")]
    State(#[source] CheckpointError),
    /// The state cannot be read.
    #[error("the state cannot be read")]
    Io(#[from] io::Error),
}

/// A witness of one log.
pub struct Witness {
    signer: NoteSigner,
    keys: LogKeys,
    file: PathBuf,
    clock: Clock,
    /// Its lock is held until what is cosigned is on disk.
    newest: Mutex<Option<VerifiedCheckpoint>>,
}

impl Witness {
    /// Opens a witness. A file that does not exist is one that has cosigned nothing.
    ///
    /// # Errors
    /// A state that is not this log's, or cannot be read: starting afresh would cosign a fork.
    pub fn open(signer: NoteSigner, log: VerifierKey, file: PathBuf, clock: Clock) -> Result<Self, WitnessStartError> {
        let keys = LogKeys::new(log, Vec::new(), 0)?;
        let kept = bounded(&file, NOTE_BYTES_MAX)?;
        let newest = kept.map(|note| keys.verify(&note)).transpose().map_err(WitnessStartError::State)?;
        Ok(Self { signer, keys, file, clock, newest: Mutex::new(newest) })
    }

    /// Its key, for those who believe it.
    #[must_use]
    pub const fn verifier_key(&self) -> &VerifierKey {
        self.signer.verifier_key()
    }

    /// Cosigns a checkpoint, in the specification's order of checks.
    ///
    /// # Errors
    /// The first check that fails.
    pub async fn add_checkpoint(&self, body: &[u8]) -> Result<NoteSignature, WitnessRefusal> {
        // 1. Form, log and signature.
        let request = AddCheckpoint::parse(body).map_err(|_| WitnessRefusal::Request)?;
        let seen = self.keys.verify(&request.checkpoint).map_err(|error| match error {
            CheckpointError::Note(_) | CheckpointError::Form => WitnessRefusal::Request,
            CheckpointError::Origin => WitnessRefusal::Origin,
            CheckpointError::Unsigned | CheckpointError::BadSignature | CheckpointError::Witnesses => {
                WitnessRefusal::Signature
            }
        })?;
        if request.old_size > seen.size() {
            return Err(WitnessRefusal::Request);
        }
        // 2. What this witness has.
        let mut newest = self.newest.lock().await;
        let empty = || Checkpoint { origin: self.keys.origin().to_owned(), size: 0, root: empty_root() };
        let kept = newest.as_ref().map_or_else(empty, |kept| kept.checkpoint().clone());
        if request.old_size != kept.size {
            return Err(WitnessRefusal::Size(kept.size));
        }
        if kept.size == seen.size() && kept.root != seen.root() {
            return Err(WitnessRefusal::Fork);
        }
        // 3. That the log only grew.
        kept.is_extended_by(seen.checkpoint(), &request.proof).map_err(WitnessRefusal::Proof)?;
        // 4. On disk before it is signed.
        let note = Note::parse(seen.note()).map_err(|_| WitnessRefusal::Request)?;
        let (file, bytes) = (self.file.clone(), seen.note().to_vec());
        let written = tokio::task::spawn_blocking(move || replace(&file, &bytes)).await;
        written.map_err(io::Error::other).and_then(|written| written).map_err(WitnessRefusal::State)?;
        *newest = Some(seen);
        Ok(self.signer.sign(&note, self.clock.now_s()))
    }
}

/// A file's new content, whole or not at all, durable when this returns.
fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let temporary = file.with_extension("new");
    let mut new = File::create(&temporary)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    std::fs::rename(&temporary, file)?;
    File::open(folder)?.sync_all()
}

/// The witness's one route.
pub fn router(witness: Arc<Witness>) -> Router {
    Router::new()
        .route("/add-checkpoint", post(add_checkpoint))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(witness)
}

async fn add_checkpoint(State(witness): State<Arc<Witness>>, body: Bytes) -> Response {
    let refusal = match witness.add_checkpoint(&body).await {
        Ok(signature) => return signature.to_string().into_response(),
        Err(refusal) => refusal,
    };
    tracing::warn!(error = &refusal as &dyn std::error::Error, "a checkpoint was not cosigned");
    let status = match &refusal {
        WitnessRefusal::Request => StatusCode::BAD_REQUEST,
        WitnessRefusal::Origin => StatusCode::NOT_FOUND,
        WitnessRefusal::Signature => StatusCode::FORBIDDEN,
        WitnessRefusal::Size(size) => {
            let has = format!("{size}\n");
            return (StatusCode::CONFLICT, [(header::CONTENT_TYPE, SIZE_MEDIA_TYPE)], has).into_response();
        }
        WitnessRefusal::Fork | WitnessRefusal::Proof(_) => StatusCode::UNPROCESSABLE_ENTITY,
        WitnessRefusal::State(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, format!("{refusal}\n")).into_response()
}
