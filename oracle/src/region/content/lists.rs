//! The private lists that a node serves: which epoch of each is in force, and the one before it for a while.
//!
//! An epoch is taken up when a call finds, some seconds after the last look, that the folder has a later one. The epoch
//! before it is answered for [`GRACE_MS`] more, so that a client that fetched the manifest before the change can finish.
//! What does not verify is not taken up: what is served stays, and `/readyz` says so.

mod refusal;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use attest::VerifyingKey;
use attest::content::list::{BlindedElement, Evaluation, ListName};
use attest::seal::OperatorKey;
use policies::{ContentRule, ListMeaning, TenantId};
use tracing::warn;

use crate::http::Condition;
use crate::lists::{DEPTH_MAX, ListEpoch, ListFolder, ListFolderError, check_unexposed};
use crate::region::identity::Identity;
use crate::region::identity::redeem::SPENT;
use crate::region::metrics::IdentityEvent;
use crate::region::node::Node;
use crate::region::tenant::Tenant;
use crate::store::identity::TokenName;
pub(crate) use refusal::ListRefusal;

/// How long the epoch before the one in force is still answered for.
const GRACE_MS: u64 = 600_000;
/// How often a call looks whether there is a later epoch.
const LOOK_MS: u64 = 5_000;

/// Every list of the node's tenants that the policy names.
pub(crate) struct Lists(BTreeMap<(TenantId, ListName), Arc<ServedList>>);

/// One list.
pub(crate) struct ServedList {
    root: PathBuf,
    tenant: TenantId,
    list: ListName,
    meaning: ListMeaning,
    serving: Mutex<Serving>,
    looked_ms: AtomicU64,
    /// Whether the last look found nothing wrong.
    sound: AtomicBool,
}

#[derive(Default)]
struct Serving {
    /// Signs the manifests. The first that was seen: another one is not believed before a restart.
    signer: Option<VerifyingKey>,
    current: Option<Arc<ListEpoch>>,
    /// With the Unix ms at which it ends.
    previous: Option<(Arc<ListEpoch>, u64)>,
}

impl Lists {
    /// Opens the lists of `tenants` in the folder `root`. One that cannot be used is no reason not to start: it is
    /// answered 503, and `/readyz` says so.
    ///
    /// # Errors
    /// [`ListFolderError::Exposed`]: a signing key lies in the folder, so that this node could sign for a list.
    pub(super) fn start<'a>(
        root: &Path,
        rule: &ContentRule,
        tenants: impl Iterator<Item = &'a TenantId> + Clone,
        operator: &OperatorKey,
        now_ms: u64,
    ) -> Result<Self, ListFolderError> {
        match check_unexposed(root, DEPTH_MAX) {
            Err(error @ ListFolderError::Exposed(_)) => return Err(error),
            // What cannot be read is for each list to say.
            Err(error) => warn!("{error}"),
            Ok(()) => {}
        }
        let own = rule.lists.iter().filter(|rule| tenants.clone().any(|tenant| rule.tenant == *tenant));
        let lists = own.filter_map(|rule| {
            // The policy's parser knows no other names.
            let list: ListName = rule.list.parse().ok()?;
            let served = ServedList {
                root: root.to_owned(),
                tenant: rule.tenant.clone(),
                list: list.clone(),
                meaning: rule.meaning,
                serving: Mutex::default(),
                looked_ms: AtomicU64::new(now_ms),
                sound: AtomicBool::new(false),
            };
            served.look(operator, now_ms);
            Some(((rule.tenant.clone(), list), Arc::new(served)))
        });
        Ok(Self(lists.collect()))
    }

    /// A list, after a look at its folder where it is time for one.
    ///
    /// # Errors
    /// [`ListRefusal::Unknown`].
    pub(crate) async fn find(
        &self,
        node: &Node,
        identity: &Arc<Identity>,
        (tenant, list): (TenantId, ListName),
    ) -> Result<Arc<ServedList>, ListRefusal> {
        let served = self.0.get(&(tenant, list)).ok_or(ListRefusal::Unknown)?;
        let now_ms = node.environment.clock.now_ms();
        let looked_ms = served.looked_ms.load(Ordering::Relaxed);
        let due = now_ms.saturating_sub(looked_ms) >= LOOK_MS;
        // One call looks, and the others go on with what there is.
        if due && served.looked_ms.compare_exchange(looked_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let (served, identity) = (Arc::clone(served), Arc::clone(identity));
            let look = tokio::task::spawn_blocking(move || served.look(identity.folder.operator(), now_ms));
            look.await.map_err(|_| ListRefusal::Unavailable)?;
        }
        Ok(Arc::clone(served))
    }

    /// What `/readyz` says.
    pub(crate) fn condition(&self, now_ms: u64) -> Condition {
        let usable = |served: &ServedList| served.sound.load(Ordering::Relaxed) && served.current(now_ms).is_ok();
        match self.0.values().filter(|served| !usable(served)).count() {
            0 => Condition::met("lists"),
            broken => Condition::degraded("lists", format!("{broken} lists of the policy have no usable epoch here")),
        }
    }
}

impl ServedList {
    /// Takes up a later epoch, if there is one. Reads some small files.
    fn look(&self, operator: &OperatorKey, now_ms: u64) {
        let sound = self.take_up(operator, now_ms).unwrap_or_else(|error| {
            warn!(list = %self.list, tenant = %self.tenant, "{error}");
            false
        });
        self.sound.store(sound, Ordering::Relaxed);
    }

    /// Whether there is an epoch in force that can be believed.
    fn take_up(&self, operator: &OperatorKey, now_ms: u64) -> Result<bool, ListFolderError> {
        // 1. The list says what the policy says, and is signed for by whom it was before.
        let folder = ListFolder::open(&self.root, &self.tenant, &self.list)?;
        check_unexposed(folder.path(), 0)?;
        let (signer, known) = {
            let serving = self.serving();
            (serving.signer, serving.current.as_ref().map_or(0, |epoch| epoch.manifest.epoch))
        };
        if folder.meaning != self.meaning || signer.is_some_and(|signer| signer != folder.key) {
            return Ok(false);
        }
        // 2. The epoch is the one that is served, or a later one whose parts belong together; never an earlier one.
        let Some(epoch) = folder.current()? else { return Ok(false) };
        if epoch <= known {
            return Ok(epoch == known);
        }
        let opened = ListEpoch::open(&folder, epoch, operator, now_ms)?;
        let mut serving = self.serving();
        serving.signer = Some(folder.key);
        let before = serving.current.replace(Arc::new(opened));
        serving.previous = before.map(|before| (before, now_ms.saturating_add(GRACE_MS)));
        Ok(true)
    }

    /// The key that signs manifests of this list.
    ///
    /// # Errors
    /// [`ListRefusal::Unavailable`]: none was taken up.
    pub(crate) fn key(&self) -> Result<VerifyingKey, ListRefusal> {
        self.serving().signer.ok_or(ListRefusal::Unavailable)
    }

    /// The epoch in force.
    ///
    /// # Errors
    /// [`ListRefusal::Unavailable`]: there is none, or it has run out.
    pub(crate) fn current(&self, now_ms: u64) -> Result<Arc<ListEpoch>, ListRefusal> {
        let current = self.serving().current.clone();
        current.filter(|epoch| epoch.manifest.is_in_force(now_ms)).ok_or(ListRefusal::Unavailable)
    }

    /// The epoch of this number, if it is answered for.
    ///
    /// # Errors
    /// [`ListRefusal::EpochEnded`] for an earlier one, [`ListRefusal::EpochUnknown`] for a later one,
    /// [`ListRefusal::Unavailable`] where there is none at all.
    pub(crate) fn epoch(&self, number: u64, now_ms: u64) -> Result<Arc<ListEpoch>, ListRefusal> {
        let current = self.current(now_ms)?;
        if number == current.manifest.epoch {
            return Ok(current);
        }
        if number > current.manifest.epoch {
            return Err(ListRefusal::EpochUnknown);
        }
        let previous = self.serving().previous.clone();
        let open = |(epoch, until_ms): &(Arc<ListEpoch>, u64)| {
            epoch.manifest.epoch == number && now_ms < *until_ms && epoch.manifest.is_in_force(now_ms)
        };
        previous.filter(open).map(|(epoch, _)| epoch).ok_or(ListRefusal::EpochEnded)
    }

    fn serving(&self) -> std::sync::MutexGuard<'_, Serving> {
        self.serving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Evaluates `elements`, 1 to 16 that were read as such, for one token, which is spent if they are.
///
/// # Errors
/// The token was spent before or another call has it; too much work waits.
pub(crate) async fn evaluate(
    node: &Node,
    identity: &Arc<Identity>,
    tenant: &Tenant,
    token: TokenName,
    epoch: Arc<ListEpoch>,
    elements: Vec<BlindedElement>,
) -> Result<Evaluation, ListRefusal> {
    let mut rng = node.environment.rng().map_err(|_| ListRefusal::NoEntropy)?;
    if elements.len() == 1 {
        // A seventh of a millisecond, and nothing that can fail: spent at once, and done here.
        identity.spend(node, &tenant.id, token).await?;
        return epoch.key.evaluate(&elements, &mut rng).ok_or(ListRefusal::Elements);
    }
    let reservation = identity.reserve(node, &tenant.id, token).await?;
    let work = move || epoch.key.evaluate(&elements, &mut rng);
    let evaluated = identity.workers.run(1, work).await.map_err(|_| ListRefusal::Busy);
    let evaluated = evaluated.and_then(|evaluation| evaluation.ok_or(ListRefusal::Elements));
    let settled = identity.settle(reservation, evaluated.is_ok()).await?;
    let evaluation = evaluated?;
    if !settled {
        return Err(identity.token_refused(node, &tenant.id, SPENT).into());
    }
    node.metrics.identity(&tenant.id, IdentityEvent::TokenSpent, 1);
    Ok(evaluation)
}
