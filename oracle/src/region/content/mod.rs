//! The content oracle of a node: what a clip, a frame or a stream claims to be, checked for a tenant.
//!
//! Actors: tenants' backends, which upload (hostile bytes of hostile origin), and whoever relies on the signed answers.
//! Data flow: bytes are received into memory within a budget ([`Uploads`]), checked on threads of their own, and gone
//! with the answer. Trust boundary: content, names in it and its digests reach no disk, log line, label or error text.

pub(crate) mod lists;
pub(crate) mod live;
pub(crate) mod pictures;
pub(crate) mod refusal;
pub(crate) mod uploads;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use attest::content::provenance::Checker;
use attest::evidence::chain::AnchorError;
use policies::{ContentRule, PolicySet, TenantId};

use crate::region::identity::Identity;
use crate::workers::Workers;
use lists::Lists;
use live::Streams;
use pictures::{Pictures, PicturesError};
use uploads::Uploads;

/// What clients may make the content oracle hold. Each is a key of the config's `[region.content]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// Bytes of one upload; beyond it, 413.
    pub upload_bytes_max: usize,
    /// Bytes of all uploads that are in memory at once; beyond it, 503. One tenant has half of it, or one upload. A check may hold its upload twice.
    pub uploads_bytes_max: usize,
    /// Live streams of a tenant at once; beyond it, 503.
    pub streams_of_tenant_max: usize,
    /// A live stream is forgotten after so many ms without a segment: an outage of a source is shorter, a viewer's
    /// attention too.
    pub stream_idle_ms: u64,
    /// Checks that wait for the threads that do them; beyond it, 503.
    pub checks_queue_max: usize,
}

impl Default for ContentLimits {
    fn default() -> Self {
        Self {
            upload_bytes_max: 50_000_000,
            uploads_bytes_max: 256_000_000,
            streams_of_tenant_max: 64,
            stream_idle_ms: 300_000,
            checks_queue_max: 256,
        }
    }
}

/// What a node's content oracle is made of. What it may check, and for whom, stands in the policy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentOptions {
    /// What clients may make it hold.
    pub limits: ContentLimits,
    /// The folder of private lists, as `siwa list build` publishes them.
    pub lists: Option<PathBuf>,
    /// The folder of clear lists of pictures.
    pub pictures: Option<PathBuf>,
}

/// Why the content oracle does not start.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// There is no `content.toml`.
    #[error("the policies have no content.toml: what may be checked is for the policy to say")]
    NotInPolicy,
    /// Questions about private lists are paid for by tokens.
    #[error("`lists` needs [region.identity]: evaluations are paid for by its tokens")]
    ListsWithoutIdentity,
    /// Who serves lists must not be able to sign for one.
    #[error("the folder of `lists` cannot be served")]
    Lists(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gave no thread.
    #[error("no threads for the content oracle")]
    Threads(#[source] io::Error),
    /// A list of pictures.
    #[error("a list of pictures cannot be used")]
    Pictures(#[from] PicturesError),
    /// A file that `content.toml` names as an anchor.
    #[error("an anchor of content.toml holds no certificate, or a broken one")]
    Anchors(#[from] AnchorError),
}

/// The content oracle of a node.
pub(crate) struct Content {
    pub(crate) rule: ContentRule,
    pub(crate) options: ContentOptions,
    /// What is received and not yet checked.
    pub(crate) uploads: Uploads,
    /// Threads for what would hold up the reactor. A check costs one unit of the queue.
    pub(crate) workers: Workers,
    pub(crate) pictures: Pictures,
    pub(crate) provenance: Checker,
    /// Live streams under check.
    pub(crate) streams: Streams,
    /// Nothing where this node serves no private lists.
    pub(crate) lists: Option<Lists>,
}

impl Content {
    /// Ready to serve the tenants of a region.
    ///
    /// # Errors
    /// See [`ContentError`].
    pub(crate) fn start<'a>(
        options: ContentOptions,
        policies: &PolicySet,
        tenants: impl Iterator<Item = &'a TenantId> + Clone,
        identity: Option<&Identity>,
        now_ms: u64,
    ) -> Result<Arc<Self>, ContentError> {
        let rule = policies.content().cloned().ok_or(ContentError::NotInPolicy)?;
        let limits = options.limits;
        let lists = match (&options.lists, identity) {
            (None, _) => None,
            (Some(_), None) => return Err(ContentError::ListsWithoutIdentity),
            (Some(root), Some(identity)) => {
                let lists = Lists::start(root, &rule, tenants.clone(), identity.folder.operator(), now_ms);
                Some(lists.map_err(|error| ContentError::Lists(error.into()))?)
            }
        };
        let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let workers = Workers::start("siwa-content", threads, limits.checks_queue_max);
        let pictures = match &options.pictures {
            None => Pictures::default(),
            Some(folder) => Pictures::read(
                folder,
                rule.pictures.iter().filter(|list| tenants.clone().any(|tenant| *tenant == list.tenant)),
            )?,
        };
        let streams = Streams::new(&rule.provenance, limits)?;
        Ok(Arc::new(Self {
            streams,
            pictures,
            provenance: Checker::new(&rule.provenance)?,
            rule,
            lists,
            uploads: Uploads::new(limits.uploads_bytes_max, limits.upload_bytes_max),
            workers: workers.map_err(ContentError::Threads)?,
            options,
        }))
    }
}

#[cfg(test)]
mod tests;
