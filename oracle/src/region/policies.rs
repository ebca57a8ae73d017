//! The policies that a node enforces, and how a newer bundle of them takes the place of the older.
//!
//! What a newer bundle no longer allows ends at once: from the moment it is taken, a question is answered with yes only
//! if both say yes. What it newly allows, and everything that a window is planned by (unit, budget, tasks, the digest in
//! releases and evidence), begins with the next window: within one, nothing changes. A window that is open when a bundle
//! is taken is released by the policy under which it was counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aggregator::log::LogEntry;
use arc_swap::{ArcSwap, ArcSwapOption};
use policies::bundle::{DELIVERY_BYTES_MAX, MalformedDelivery};
use policies::{
    Bundle, BundleError, Delivery, Digest, PolicySet, Question, Reason, RegionId, RegionPolicy, SignalKind, WindowId,
};

use super::content::ContentError;
use super::identity::IdentityError;
use super::node::Node;
use super::tenant::Tenant;
use crate::client::{Client, ClientError};
use crate::http::Condition;
use crate::log::watch::LogRefusal;
use crate::log::{SourceError, TileFetch};
use crate::store::KeepError;

/// Why a newer bundle was not taken. The one in force stays.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("the centre did not answer")]
    Centre(#[from] ClientError),
    #[error(transparent)]
    Delivery(#[from] MalformedDelivery),
    #[error("the centre's policy bundle is refused")]
    Bundle(#[from] BundleError),
    #[error("the policy bundle came without a proof that the transparency log holds it")]
    NoProof,
    #[error("the policy bundle is not in the transparency log")]
    Log(#[from] LogRefusal),
    #[error("the policy bundle cannot be kept")]
    Keep(#[from] KeepError),
    #[error("the identity service cannot follow the policy bundle")]
    Identity(#[from] IdentityError),
    #[error("the content oracle cannot follow the policy bundle")]
    Content(#[from] ContentError),
}

/// The centre's log as anyone reads it, without an admission.
struct PublicLog<'a>(&'a Client);

impl TileFetch for PublicLog<'_> {
    async fn fetch(&self, path: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, SourceError> {
        match self.0.get(&format!("/log/{path}")).send().await {
            Ok(answer) if answer.body.len() > bytes_max => Err(SourceError::Form),
            Ok(answer) => Ok(Some(answer.body.to_vec())),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// One bundle, as one region's node enforces it.
pub(crate) struct InForce {
    pub(crate) bundle: Bundle,
    /// The region's policy; the last that there was, where the bundle has none: by it the sessions that live end.
    pub(crate) rule: RegionPolicy,
    /// Whether the bundle has the region.
    pub(crate) known: bool,
}

impl InForce {
    /// Nothing where the bundle has no such region.
    pub(crate) fn first(bundle: Bundle, region: &RegionId) -> Option<Self> {
        let rule = bundle.policies().region(region)?.clone();
        Some(Self { bundle, rule, known: true })
    }

    fn after(bundle: Bundle, last: &Self) -> Self {
        let rule = bundle.policies().region(&last.rule.region).cloned();
        let known = rule.is_some();
        Self { bundle, rule: rule.unwrap_or_else(|| last.rule.clone()), known }
    }

    pub(crate) const fn policies(&self) -> &Arc<PolicySet> {
        self.bundle.policies()
    }

    /// The digest that stands in answers, releases and evidence.
    pub(crate) fn digest(&self) -> Digest {
        self.policies().digest()
    }
}

/// What is in force, and what will be.
pub(crate) struct Policies {
    in_force: ArcSwap<InForce>,
    /// Taken, and in force from the next window on.
    coming: ArcSwapOption<InForce>,
    /// Why the last attempt to take a newer one failed, if it did.
    trouble: Mutex<Option<String>>,
}

impl Policies {
    pub(crate) fn new(first: InForce) -> Self {
        Self { in_force: ArcSwap::from_pointee(first), coming: ArcSwapOption::empty(), trouble: Mutex::default() }
    }

    /// What is in force now.
    pub(crate) fn now(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// What is in force, then what will be: what either refuses is refused.
    fn both(&self) -> impl Iterator<Item = Arc<InForce>> {
        // What is coming is read first: were it put in force between the two, it would be asked twice, not never.
        let coming = self.coming.load_full();
        std::iter::once(self.now()).chain(coming)
    }

    /// The newest that was taken.
    fn newest(&self) -> Arc<InForce> {
        self.coming.load_full().unwrap_or_else(|| self.now())
    }

    fn offer(&self, bundle: Bundle) {
        let next = InForce::after(bundle, &self.now());
        self.coming.store(Some(Arc::new(next)));
    }

    /// Puts in force what was taken; nothing where nothing was.
    fn turn(&self) -> Option<Arc<InForce>> {
        let next = self.coming.load_full()?;
        self.in_force.store(Arc::clone(&next));
        self.coming.store(None);
        Some(next)
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// The policies in force.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.policies.now()
    }

    /// The digest of the policies in force.
    pub(crate) fn policy(&self) -> Digest {
        self.in_force().digest()
    }

    /// The version of the policies in force.
    #[must_use]
    pub fn policy_version(&self) -> u64 {
        self.in_force().bundle.version()
    }

    /// What the policies in force, and those that will be, answer to a question about this region.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) fn decide(&self, question: &Question) -> Result<(), Reason> {
        self.policies.both().try_for_each(|policies| policies.policies().decide(question))
    }

    /// As [`Node::decide`], for a question about one of the node's tenants.
    pub(crate) fn allows(
        &self,
        tenant: &Tenant,
        question: impl FnOnce(policies::TenantId, RegionId) -> Question,
    ) -> bool {
        self.decide(&question(tenant.id.clone(), self.region.clone())).is_ok()
    }

    /// Whether sessions may send the signal.
    pub(crate) fn takes(&self, signal: SignalKind) -> bool {
        self.decide(&Question::Signal(self.region.clone(), signal)).is_ok()
    }

    /// Takes a newer bundle from the centre, if there is one. One attempt: a failure keeps what is in force, counts, and
    /// stands in `/readyz` until an attempt succeeds.
    pub(crate) async fn pull_policies(&self) {
        let outcome = self.take_newer().await;
        let label = match &outcome {
            Ok(None) => "unchanged",
            Ok(Some(_)) => "taken",
            Err(PolicyError::Centre(_)) => "unreachable",
            Err(_) => "refused",
        };
        self.metrics.policies.with_label_values(&[label]).inc();
        match outcome {
            Ok(taken) => {
                *self.policies.trouble() = None;
                if let Some(version) = taken {
                    tracing::info!(version, "policies taken: in force from the next window on");
                }
            }
            // That the centre is not reached is said elsewhere.
            Err(PolicyError::Centre(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "policies were not pulled");
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a policy bundle is refused");
                let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                *self.policies.trouble() = Some(why);
            }
        }
    }

    /// 1. Asks the centre, and reads what it says within bounds.
    /// 2. Verifies: signatures from the newest held on, version, files.
    /// 3. That the transparency log holds it.
    /// 4. That the services of this node can follow it.
    /// 5. Keeps it durably: from here on no older one is ever enforced.
    /// 6. Lets it wait for the next window.
    async fn take_newer(&self) -> Result<Option<u64>, PolicyError> {
        // By no admission: a node whose region vanished is admitted no more, and must learn of it.
        let answer = self.centre.client.get("/v1/policies/current").send().await?;
        if answer.body.len() > DELIVERY_BYTES_MAX {
            return Err(MalformedDelivery.into());
        }
        let delivery = Delivery::decode(&answer.body)?;
        let newest = self.policies.newest();
        let bundle = Bundle::follow(&delivery, newest.bundle.statement())?;
        if bundle.version() == newest.bundle.version() {
            return Ok(None);
        }
        self.check_policies_logged(&bundle, &delivery).await?;
        self.can_follow(&bundle)?;
        if let Some(store) = &self.policy_store {
            store.keep_bundle(&bundle, self.environment.clock.now_ms()).await?;
        }
        let version = bundle.version();
        self.policies.offer(bundle);
        Ok(Some(version))
    }

    /// That the centre's log holds the bundle: its entry says the same of it, and the proof leads to a checkpoint that the
    /// log signed.
    async fn check_policies_logged(&self, bundle: &Bundle, delivery: &Delivery) -> Result<(), PolicyError> {
        let proof = delivery.proof.as_deref().ok_or(PolicyError::NoProof)?;
        let LogEntry::Policy(logged) = self.log.logged(proof.as_bytes(), &PublicLog(&self.centre.client)).await? else {
            return Err(LogRefusal::OtherEntry.into());
        };
        let named = (logged.version, logged.digest, logged.bundle);
        let same = named == (bundle.version(), bundle.policies().digest(), bundle.digest());
        if same { Ok(()) } else { Err(LogRefusal::OtherEntry.into()) }
    }

    /// That the services can be made of what the bundle says, before it is kept.
    fn can_follow(&self, bundle: &Bundle) -> Result<(), PolicyError> {
        if let Some(identity) = &self.identity {
            identity.can_follow(bundle.policies())?;
        }
        Ok(())
    }

    /// The turn of the policies, together with a window's: the services and tenants follow. Returns the first window that
    /// may open under them, no earlier than `after`, the one that closes.
    pub(crate) fn turn_policies(&self, after: WindowId) -> Option<WindowId> {
        let last = self.in_force();
        let now = self.policies.turn()?;
        let rule = &now.rule;
        for tenant in self.tenants() {
            tenant.set_rules(now.policies().tasks_for(&self.region, &tenant.id));
        }
        self.sessions.follow(&rule.retention);
        if let Some(identity) = &self.identity
            && let Err(error) = identity.follow(rule.identity.as_ref(), now.policies())
        {
            // It could when the bundle was taken; what is trusted less is refused by the grants.
            tracing::error!(error = &error as &dyn std::error::Error, "the identity service keeps its earlier rules");
        }
        self.follow_content(&last, &now);
        tracing::info!(version = now.bundle.version(), policy = %now.digest(), "policies in force");
        let (from, to) = (last.rule.unit.window_seconds, rule.unit.window_seconds);
        Some(first_after(after, from, to))
    }

    fn follow_content(&self, last: &InForce, now: &InForce) {
        if last.policies().content() == now.policies().content() {
            return;
        }
        let made = self.content_options.clone().map(|options| self.start_content(options, now.policies()));
        match made.transpose() {
            Ok(content) => self.content.store(content),
            Err(error) => {
                // Rather no answer than one by whom nobody may believe any more.
                tracing::error!(error = &error as &dyn std::error::Error, "the content oracle is off");
                self.content.store(None);
            }
        }
    }

    /// What `/readyz` says of the policies.
    pub(crate) fn policy_conditions(&self) -> Vec<Condition> {
        let now = self.in_force();
        let mut conditions = vec![match &*self.policies.trouble() {
            None => Condition::met("policies"),
            Some(why) => {
                let version = now.bundle.version();
                Condition::degraded("policies", format!("a newer bundle is refused, {version} stays: {why}"))
            }
        }];
        let newest = self.policies.newest();
        if !newest.known {
            conditions.push(Condition::degraded("region", "the policies no longer have this region: nobody is served"));
        }
        let refused = self.tenants().filter(|tenant| !self.allows(tenant, Question::Serve)).count();
        if refused > 0 {
            let detail = format!("the policies grant {refused} tenants of the config nothing here");
            conditions.push(Condition::degraded("grants", detail));
        }
        conditions
    }
}

/// The first window of `to` seconds that begins when the window `after` of `from` seconds has ended, or later: no second
/// is counted in two windows.
const fn first_after(after: WindowId, from: u32, to: u32) -> WindowId {
    if from == to {
        return WindowId(after.0 + 1);
    }
    let end_s = (after.0 + 1).saturating_mul(from as u64);
    WindowId(end_s.div_ceil(to as u64))
}

#[cfg(test)]
mod tests;
