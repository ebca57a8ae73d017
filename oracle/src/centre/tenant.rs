//! What the centre keeps in memory of one tenant: parsed catalogues and the frames that releases may be frozen to.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use attest::ApiKeyHash;
use personalize::{Catalogue, Frame};
use policies::{Digest, TenantId};

use super::training::TrainingReport;

/// Catalogues kept parsed, the latest: releases frozen to an older one are refused.
pub(super) const CATALOGUES_KEPT: usize = 4;
/// Frames kept of published models, the latest.
pub(super) const FRAMES_KEPT: usize = 32;

/// One tenant.
pub(super) struct Tenant {
    pub(super) id: TenantId,
    pub(super) api_keys: Vec<ApiKeyHash>,
    known: RwLock<Known>,
    /// Held through an upload, so that versions follow one another.
    pub(super) upload: tokio::sync::Mutex<()>,
    /// Held through a training.
    pub(super) training: tokio::sync::Mutex<()>,
    /// Read by every intake, written by a training while it reads what was released and its sums: both then agree.
    pub(super) intake: tokio::sync::RwLock<()>,
    /// How the last training ended, if one did since the start.
    last_training: RwLock<Option<TrainingReport>>,
}

#[derive(Default)]
struct Known {
    /// By version.
    catalogues: BTreeMap<u64, Arc<Catalogue>>,
    /// In the order in which they became known.
    frames: Vec<(Digest, Frame)>,
}

impl Tenant {
    pub(super) fn new(id: TenantId, api_keys: Vec<ApiKeyHash>) -> Self {
        let (known, upload, training, intake, last_training) = Default::default();
        Self { id, api_keys, known, upload, training, intake, last_training }
    }

    /// The current catalogue.
    pub(super) fn catalogue(&self) -> Option<Arc<Catalogue>> {
        self.read().catalogues.last_key_value().map(|(_, catalogue)| Arc::clone(catalogue))
    }

    /// The latest catalogue that has this digest.
    pub(super) fn catalogue_of(&self, digest: Digest) -> Option<Arc<Catalogue>> {
        self.read().catalogues.values().rev().find(|catalogue| catalogue.digest() == digest).cloned()
    }

    /// The kept catalogues, the latest first.
    pub(super) fn catalogues(&self) -> Vec<Arc<Catalogue>> {
        self.read().catalogues.values().rev().cloned().collect()
    }

    /// A catalogue was kept. The oldest makes room.
    pub(super) fn add_catalogue(&self, catalogue: Arc<Catalogue>) {
        let mut known = self.write();
        known.catalogues.insert(catalogue.version(), catalogue);
        while known.catalogues.len() > CATALOGUES_KEPT {
            known.catalogues.pop_first();
        }
    }

    /// The frame of a published model.
    pub(super) fn frame_of(&self, digest: Digest) -> Option<Frame> {
        self.read().frames.iter().find(|(known, _)| *known == digest).map(|(_, frame)| frame.clone())
    }

    /// The frame of the model published last.
    pub(super) fn newest_frame(&self) -> Option<Frame> {
        self.read().frames.last().map(|(_, frame)| frame.clone())
    }

    /// A model with this frame was published. The oldest makes room.
    pub(super) fn add_frame(&self, frame: Frame) {
        let (digest, mut known) = (frame.digest(), self.write());
        if known.frames.iter().any(|(known, _)| *known == digest) {
            return;
        }
        if known.frames.len() == FRAMES_KEPT {
            known.frames.remove(0);
        }
        known.frames.push((digest, frame));
    }

    /// How the last training ended.
    pub(super) fn last_training(&self) -> Option<TrainingReport> {
        self.last_training.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A training ended.
    pub(super) fn set_last_training(&self, report: TrainingReport) {
        *self.last_training.write().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }
}
