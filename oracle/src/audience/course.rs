//! A course of windows: sessions are driven, the window turns, the centre learns; and what it all came to.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use indicatif::ProgressBar;
use serde::Serialize;

use super::{Audience, Drive, Driver};
use crate::centre::models::{ModelLine, ModelList};
use crate::centre::reports::{RegionTotal, ReleaseTotals};
use crate::centre::training::TrainingOutcome;
use crate::cluster::Cluster;

/// How an audience is served.
pub(crate) struct Course {
    pub(crate) audience: Arc<Audience>,
    /// Windows of about as many sessions each.
    pub(crate) windows: usize,
    /// Connections to each node.
    pub(crate) connections: usize,
    /// The first so many sessions are ranked at random.
    pub(crate) uniform_sessions: usize,
}

/// What a course came to.
pub(crate) struct Outcome {
    pub(crate) drive: Drive,
    /// What left each region, as the centre reports it.
    pub(crate) regions: Vec<RegionTotal>,
    /// Every model that the centre published.
    pub(crate) models: Vec<ModelLine>,
    /// Why no model was published at the end of a window, where none was.
    pub(crate) refusals: Vec<Refused>,
}

/// A window whose releases gave no model.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Refused {
    /// 1 for the first window of the course.
    pub(crate) window: usize,
    pub(crate) reason: String,
}

impl Course {
    /// Runs the course; `progress` counts sessions.
    pub(crate) async fn run(&self, cluster: &Cluster, progress: &ProgressBar) -> anyhow::Result<Outcome> {
        let sessions = self.audience.visits.len();
        let driver = Driver {
            nodes: cluster.node_urls(),
            roots: cluster.roots(),
            api_key: cluster.api_key().to_owned(),
            connections: self.connections,
            uniform_sessions: self.uniform_sessions,
            last_third_from: sessions - sessions / 3,
        };
        let mut drive = Drive::default();
        let mut refusals = Vec::new();
        let operator = cluster.operator()?;
        let list = format!("/v1/models/{}", cluster.tenant());
        let mut models = BTreeMap::new();
        for window in 0..self.windows {
            progress.set_message(format!("window {} of {}", window + 1, self.windows));
            let range = sessions * window / self.windows..sessions * (window + 1) / self.windows;
            let bar = progress.clone();
            drive.add(&driver.run(&self.audience, range, move || bar.inc(1)).await?);
            progress.set_message(format!("window {} of {}: releasing and learning", window + 1, self.windows));
            cluster.turn().await?;
            match cluster.learn().await? {
                // The centre tells the origin of its latest models only: each is noted when it is new.
                TrainingOutcome::Published { pointer, .. } => {
                    let known: ModelList = operator.get(&list).send().await.context("no models")?.json()?;
                    let newest = known.models.into_iter().find(|model| model.version == pointer.version);
                    models.insert(pointer.version, newest.context("a published model is not listed")?);
                }
                TrainingOutcome::Refused { reason } => refusals.push(Refused { window: window + 1, reason }),
                TrainingOutcome::Nothing => anyhow::bail!("the centre has nothing to learn from after a window"),
            }
        }
        let totals = format!("/v1/releases/totals?tenant={}", cluster.tenant());
        let ReleaseTotals { regions } = operator.get(&totals).send().await.context("no totals")?.json()?;
        Ok(Outcome { drive, regions, models: models.into_values().collect(), refusals })
    }
}
