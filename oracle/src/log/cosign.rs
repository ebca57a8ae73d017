//! Asking a witness to cosign a checkpoint (C2SP tlog-witness).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{StatusCode, header};
use policies::log::note::SignatureState;
use policies::log::witness::{AddCheckpoint, SIZE_MEDIA_TYPE, parse_cosignatures, parse_size};
use policies::log::{KeyAlgorithm, Note, NoteSignature, VerifierKey};
use rustls_pki_types::CertificateDer;

use super::folder::Folder;
use super::source::{SourceError, consistency};
use crate::client::{Client, ClientError, ClientOptions};

/// How long a witness may take. A checkpoint waits for enough of them.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why a witness did not cosign.
#[derive(Debug, thiserror::Error)]
pub(super) enum CosignError {
    /// No answer, or a refusal.
    #[error("the witness did not cosign")]
    Witness(#[from] ClientError),
    /// It has seen more of this log than there is: the log was rolled back, or its key signs another.
    #[error("the witness has seen a longer log than this one")]
    Ahead,
    /// What it answered is no cosignature by its key.
    #[error("the witness's answer is no cosignature by its key")]
    Answer,
    /// The proof for it could not be made.
    #[error("the proof of consistency could not be made")]
    Proof(#[from] SourceError),
}

/// A witness, and how it is reached.
pub struct WitnessLink {
    client: Client,
    path: String,
    key: VerifierKey,
    /// The size that it cosigned last, as far as is known here; it says so itself where that is wrong.
    size: AtomicU64,
}

impl WitnessLink {
    /// A witness at `https://host[:port][/path]`, for whose server one of `roots` vouches.
    ///
    /// # Errors
    /// An address, roots or a key that cannot be used.
    pub fn new(url: &str, key: VerifierKey, roots: Vec<CertificateDer<'static>>) -> Result<Self, SourceError> {
        let (scheme, rest) = url.split_once("://").ok_or(SourceError::Address)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = path.trim_end_matches('/');
        if key.algorithm() != KeyAlgorithm::Cosignature {
            return Err(SourceError::Address);
        }
        let path = if path.is_empty() { "/add-checkpoint".to_owned() } else { format!("/{path}/add-checkpoint") };
        let client = Client::new(ClientOptions {
            deadline: DEADLINE,
            answer_bytes_max: policies::log::note::NOTE_BYTES_MAX,
            ..ClientOptions::new(format!("{scheme}://{authority}"), roots)
        })?;
        Ok(Self { client, path, key, size: AtomicU64::new(0) })
    }

    /// Its key.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Has a checkpoint of `size` cosigned, whose tiles are in the folder.
    pub(super) async fn cosign(&self, note: &Note, size: u64, folder: &Folder) -> Result<NoteSignature, CosignError> {
        // The second attempt is for what the witness says that it has.
        for _ in 0..2 {
            let old_size = self.size.load(Ordering::Relaxed).min(size);
            let proof = consistency(folder, old_size, size).await?;
            let request = AddCheckpoint { old_size, proof, checkpoint: note.to_string().into_bytes() };
            let call = self.client.post(&self.path).bytes("text/plain", request.encode()).any_status();
            let answer = call.send().await?;
            let sizes = answer.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == SIZE_MEDIA_TYPE);
            if answer.status == StatusCode::CONFLICT && sizes {
                let has = parse_size(&answer.body).map_err(|_| CosignError::Answer)?;
                if has > size {
                    return Err(CosignError::Ahead);
                }
                self.size.store(has, Ordering::Relaxed);
                continue;
            }
            let lines = parse_cosignatures(&answer.judged()?.body).map_err(|_| CosignError::Answer)?;
            let signature = lines.into_iter().find(|line| self.is_good(note, line)).ok_or(CosignError::Answer)?;
            self.size.store(size, Ordering::Relaxed);
            return Ok(signature);
        }
        Err(CosignError::Answer)
    }

    fn is_good(&self, note: &Note, line: &NoteSignature) -> bool {
        let Ok(mut alone) = Note::of(note.text().to_owned()) else { return false };
        alone.add(line.clone());
        matches!(alone.state(&self.key), SignatureState::Good(_))
    }
}
