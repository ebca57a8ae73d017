//! One node: its parts, its start, its background work and its drain.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aggregator::release::{EntropyError, Ledger, Noise, StoreError};
use arc_swap::ArcSwapOption;
use attest::{AdmissionMode, ApiKeyHash, PairwiseSecret, Pseudonym, SigningKey, VerifyingKey};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use policies::log::LogKeys;
use policies::{Bundle, Digest, NodeId, PolicySet, Question, RegionId, TenantId, WindowId};
use prometheus::Registry;
use tokio::sync::Semaphore;

use super::admission::Admissions;
use super::api::SessionCreated;
use super::api::devices::Devices;
use super::content::{Content, ContentError, ContentOptions};
use super::countersign::Waiting;
use super::identity::{Identity, IdentityError, IdentityOptions};
use super::metrics::NodeMetrics;
use super::outbox::Sent;
use super::policies::{InForce, Policies};
use super::release_tick::ReleaseTick;
use super::sessions::{Live, SessionLimits, Sessions};
use super::streams::Streams;
use super::tenant::Tenant;
use crate::attester::{AttestationOptions, Attester, AttesterError};
use crate::client::Client;
use crate::environment::{Environment, NoiseMode};
use crate::http::{Condition, Drain};
use crate::log::watch::LogWatch;
use crate::store::Store;

/// How often expiries are swept and the window's end is looked for.
const TICK: Duration = Duration::from_millis(500);
/// Idempotency keys remembered, and for how long.
const CREATED_MAX: u64 = 65_536;
const CREATED_TTL: Duration = Duration::from_secs(600);
/// Evidence that is made for viewers at a time.
const ATTESTING_MAX: usize = 4;

/// How the node reaches its centre.
pub struct CentreLink {
    /// A connection that believes the centre's pinned roots.
    pub client: Client,
    /// The centre's name, to which tokens of a pinned key are addressed.
    pub name: String,
    /// The key that signs models.
    pub key: VerifyingKey,
    /// Its transparency log's keys: what is not logged is not taken.
    pub log: LogKeys,
    /// By what it admits this node.
    pub admission: AdmissionMode,
    /// How often models and catalogues are pulled and waiting releases sent.
    pub interval: Duration,
}

/// Who may call for one tenant.
pub struct TenantAccess {
    /// Hashes of bearer keys.
    pub api_keys: Vec<ApiKeyHash>,
    /// SHA-256 of client certificates.
    pub certificates: Vec<Digest>,
}

/// What a node is made of.
pub struct NodeOptions {
    /// Its name.
    pub name: NodeId,
    /// The region it answers for.
    pub region: RegionId,
    /// The policies in force at the start, signed.
    pub policies: Bundle,
    /// Its tenants. Those whom the policies grant nothing here are not served, until they do.
    pub tenants: BTreeMap<TenantId, TenantAccess>,
    /// Signs releases, and what vouches for the node where nothing better does.
    pub node_key: SigningKey,
    /// Signs answers.
    pub answer_key: SigningKey,
    /// Makes viewers' pseudonyms.
    pub pairwise: PairwiseSecret,
    /// Its centre.
    pub centre: CentreLink,
    /// How it attests.
    pub attestation: AttestationOptions,
    /// SHA-256 of the subject public key info that its listener serves with: [`crate::http::Identity::spki`].
    pub tls_spki: Digest,
    /// SHA-256 of its config file.
    pub config: Digest,
    /// Its ledger and outbox; nothing where the file cannot be read: the node ranks, and releases nothing.
    pub store: Option<Store>,
    /// Sessions alive at most, in equal shares of the tenants.
    pub sessions_max: usize,
    /// The identity service, if this node offers it.
    pub identity: Option<IdentityOptions>,
    /// The content oracle, if this node offers it.
    pub content: Option<ContentOptions>,
    /// Where the node's metrics are registered.
    pub registry: Registry,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The policies know no such region.
    #[error("the policies have no region `{0}`")]
    UnknownRegion(RegionId),
    /// The ledger was never initialised here. It is not a fresh budget.
    #[error("the ledger is missing: initialise it once, with `siwa ledger init`")]
    MissingLedger,
    /// The operating system gave no randomness for the noise.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The operating system gave no randomness for the nonces.
    #[error(transparent)]
    Randomness(#[from] crate::environment::EntropyError),
    /// Metrics could not be registered.
    #[error("metrics could not be registered")]
    Metrics(#[from] prometheus::Error),
    /// It cannot attest as the config says.
    #[error("the node cannot attest as its config says")]
    Attester(#[from] AttesterError),
    /// The identity service.
    #[error("the identity service does not start")]
    Identity(#[from] IdentityError),
    /// The content oracle.
    #[error("the content oracle does not start")]
    Content(#[from] ContentError),
}

/// Why nothing is released now, in the order of what an operator should look at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Suspension {
    /// The ledger can't be read or written.
    Ledger,
    /// The ledger was put back to an earlier state.
    RolledBack,
    /// The ledger has other entries than the centre has seen.
    Forked,
    /// The centre knows this node by another ledger.
    OtherLedger,
    /// The centre has lost entries that it had confirmed.
    CentreBehind,
    /// The centre refuses an entry of the ledger.
    EntryRefused,
    /// Releases were charged, and so many windows wait for the centre that the oldest was dropped.
    Dropped,
    /// A privacy budget is spent.
    Budget,
    /// The operating system gives no randomness.
    Entropy,
    /// No plan can be made of policy and model.
    Plan,
}

impl Suspension {
    /// Whether it is the centre that speaks against the ledger.
    const fn is_of_centre(self) -> bool {
        matches!(self, Self::RolledBack | Self::Forked | Self::OtherLedger | Self::CentreBehind | Self::EntryRefused)
    }

    const fn condition(self) -> (&'static str, &'static str) {
        match self {
            Self::Ledger => ("ledger", "the ledger cannot be read or written: rankings go on, nothing is released"),
            Self::RolledBack => (
                "ledger-rolled-back",
                "the centre has seen more of this ledger than it holds: an older file was put back, and nothing is released",
            ),
            Self::Forked => (
                "ledger-forked",
                "the centre has seen other entries than this ledger holds: the file was exchanged or put back, and nothing is released",
            ),
            Self::OtherLedger => {
                ("ledger-changed", "the centre knows this node by another ledger: nothing is released")
            }
            Self::CentreBehind => (
                "ledger-centre-behind",
                "the centre has lost entries that it had confirmed: nothing is released until an operator has looked",
            ),
            Self::EntryRefused => ("ledger-refused", "the centre refuses an entry of this ledger: nothing is released"),
            Self::Dropped => {
                ("countersigning", "the centre was away for too long: windows that were charged are not released")
            }
            Self::Budget => ("budget", "a privacy budget is spent: rankings go on, what it covers is not released"),
            Self::Entropy => ("entropy", "no randomness: nothing is released"),
            Self::Plan => ("plan", "policy and model give no plan for a window: nothing is counted"),
        }
    }
}

/// A regional node.
pub struct Node {
    pub(crate) name: NodeId,
    pub(crate) region: RegionId,
    pub(crate) policies: Policies,
    /// Where bundles that were taken are kept; nothing where the file cannot be read.
    pub(crate) policy_store: Option<Store>,
    pub(crate) environment: Environment,
    pub(crate) answer_key: SigningKey,
    pub(crate) node_key: Arc<SigningKey>,
    pub(crate) centre: CentreLink,
    pub(crate) attester: Attester,
    /// Evidence that is made for viewers at a time.
    pub(crate) attesting: Arc<Semaphore>,
    pub(crate) admissions: Admissions,
    /// What viewers' devices prove of themselves.
    pub(crate) devices: Devices,
    pub(crate) tls_spki: Digest,
    /// SHA-256 of the config file.
    pub(crate) config: Digest,
    /// Nothing where the ledger could not be opened: the node ranks and releases nothing.
    pub(crate) ledger: Option<Ledger<Store>>,
    pub(crate) noise: Arc<Mutex<Noise>>,
    pub(super) streams: Streams,
    pub(crate) sessions: Sessions,
    /// Answers to creations with an idempotency key.
    pub(crate) created: Cache<Digest, Arc<SessionCreated>>,
    pub(crate) metrics: NodeMetrics,
    /// The open window's number. Its lock is held for a whole turn.
    pub(crate) turn: tokio::sync::Mutex<WindowId>,
    pub(crate) outbox: tokio::sync::Mutex<()>,
    /// The centre's transparency log as this node has seen it.
    pub(crate) log: LogWatch,
    /// Statements of key epochs that the centre has; `u64::MAX` before it said how many.
    pub(crate) epochs_brought: AtomicU64,
    /// Holds what a window's end noised until its tick.
    leaving: Mutex<ReleaseTick>,
    /// Charged releases that the centre has not confirmed yet.
    pub(crate) waiting: Waiting,
    /// Nothing where this node checks no identity.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Nothing where this node checks no content.
    pub(crate) content: ArcSwapOption<Content>,
    /// What the content oracle is made of, if the config has one.
    pub(crate) content_options: Option<ContentOptions>,
    tenants: BTreeMap<TenantId, Arc<Tenant>>,
    pairwise: PairwiseSecret,
    suspensions: Mutex<BTreeMap<Suspension, WindowId>>,
    outbox_state: Mutex<Sent>,
    pulled_ms: AtomicU64,
    draining: AtomicBool,
}

impl Node {
    /// Makes a node ready to serve: opens the ledger, burns what an earlier process charged and did not persist, and
    /// opens the window that the clock is in, or the one after the last closed.
    ///
    /// # Errors
    /// A region that the policies do not know, or a ledger that was never initialised. A ledger that cannot
    /// be read is no error: the node ranks, releases nothing, and `/readyz` says so.
    pub async fn start(options: NodeOptions, environment: Environment) -> Result<Arc<Self>, StartError> {
        let first = InForce::first(options.policies, &options.region);
        let first = first.ok_or_else(|| StartError::UnknownRegion(options.region.clone()))?;
        let (policies, rule) = (Arc::clone(first.policies()), first.rule.clone());
        let metrics = NodeMetrics::register(&options.registry)?;
        let tenants = served(options.tenants, &policies, &options.region, &metrics);
        let policy_store = options.store.clone();
        let log = LogWatch::new(options.centre.log.clone(), options.store.clone());
        let ledger = open_ledger(options.store, &environment).await?;
        let limits = SessionLimits::of(&rule.retention, options.sessions_max);
        let identity = match options.identity {
            None => None,
            Some(parts) => {
                let rule = rule.identity.clone().ok_or(IdentityError::NotInPolicy)?;
                let names: Vec<TenantId> = tenants.keys().cloned().collect();
                Some(Identity::start(parts, rule, &policies, &names, &environment)?)
            }
        };
        let now_ms = environment.clock.now_ms();
        let start_content = |parts| Content::start(parts, &policies, tenants.keys(), identity.as_deref(), now_ms);
        let content = options.content.clone().map(start_content).transpose()?;
        let node_key = Arc::new(options.node_key);
        let attester = Attester::open(&options.attestation, Arc::clone(&node_key), environment.clock.clone()).await?;
        let node = Self {
            identity,
            content: ArcSwapOption::from(content),
            content_options: options.content,
            attester,
            attesting: Arc::new(Semaphore::new(ATTESTING_MAX)),
            admissions: Admissions::default(),
            devices: Devices::new(&environment.entropy, tenants.len())?,
            tls_spki: options.tls_spki,
            config: options.config,
            name: options.name,
            region: options.region,
            policies: Policies::new(first),
            policy_store,
            answer_key: options.answer_key,
            node_key,
            centre: options.centre,
            noise: Arc::new(Mutex::new(noise(environment.noise)?)),
            streams: Streams::default(),
            sessions: Sessions::new(limits, tenants.keys().cloned()),
            created: created(),
            metrics,
            turn: tokio::sync::Mutex::new(WindowId(0)),
            outbox: tokio::sync::Mutex::default(),
            log,
            epochs_brought: AtomicU64::new(u64::MAX),
            leaving: Mutex::default(),
            waiting: Waiting::default(),
            tenants,
            pairwise: options.pairwise,
            suspensions: Mutex::default(),
            outbox_state: Mutex::default(),
            pulled_ms: AtomicU64::new(0),
            draining: AtomicBool::new(false),
            ledger,
            environment,
        };
        if node.ledger.is_none() {
            node.suspend(Suspension::Ledger, WindowId(0));
        }
        node.pull().await;
        node.open_first_windows().await;
        // Whether the ledger is the one that the centre knows is asked before anything is charged.
        node.settle().await;
        Ok(Arc::new(node))
    }

    /// The store of its ledger, for reports.
    pub(crate) fn ledger_store(&self) -> Option<Store> {
        self.ledger.as_ref().map(|ledger| ledger.store().clone())
    }

    /// The node's tenants.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// A content oracle under these policies.
    ///
    /// # Errors
    /// See [`ContentError`].
    pub(crate) fn start_content(
        &self,
        options: ContentOptions,
        policies: &PolicySet,
    ) -> Result<Arc<Content>, ContentError> {
        let now_ms = self.environment.clock.now_ms();
        Content::start(options, policies, self.tenants.keys(), self.identity.as_deref(), now_ms)
    }

    /// The tenant of this name.
    pub(crate) fn tenant(&self, id: &TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.get(id)
    }

    /// The version of the model that ranks for `tenant` now; nothing before its catalogue arrived.
    #[must_use]
    pub fn model_version(&self, tenant: &TenantId) -> Option<u64> {
        Some(self.tenant(tenant)?.serving()?.model.version())
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn pseudonym(&self, tenant: &TenantId, viewer: &[u8]) -> Pseudonym {
        self.pairwise.pseudonym(tenant, viewer)
    }

    /// Moves a session to what the tenant is served with now.
    #[expect(clippy::unused_self, reason = "reads as the node's doing at its callers")]
    pub(crate) fn renew(&self, tenant: &Tenant, live: &mut Live) {
        if let Some(serving) = tenant.serving()
            && !Arc::ptr_eq(&serving, &live.serving)
        {
            live.serving = serving;
        }
    }

    pub(crate) fn pulled(&self) {
        self.pulled_ms.store(self.environment.clock.now_ms(), Ordering::Relaxed);
    }

    pub(crate) fn note_outbox(&self, pass: Sent) {
        *self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner) = pass;
    }

    /// Notes that releases are suspended, since `window`.
    pub(crate) fn suspend(&self, why: Suspension, window: WindowId) {
        let mut suspensions = self.suspensions.lock().unwrap_or_else(PoisonError::into_inner);
        suspensions.entry(why).or_insert(window);
        self.metrics.releases_suspended.set(1);
    }

    /// Notes how a whole turn went: what did not happen again is over.
    pub(crate) fn resume_but(&self, standing: &[Suspension]) {
        let mut suspensions = self.suspensions.lock().unwrap_or_else(PoisonError::into_inner);
        suspensions.retain(|why, _| standing.contains(why));
        self.metrics.releases_suspended.set(i64::from(!suspensions.is_empty()));
    }

    /// Notes that what the centre had against the ledger is over.
    pub(crate) fn resume_ledger(&self) {
        let mut suspensions = self.suspensions.lock().unwrap_or_else(PoisonError::into_inner);
        suspensions.retain(|why, _| !why.is_of_centre());
        self.metrics.releases_suspended.set(i64::from(!suspensions.is_empty()));
    }

    /// What `/readyz` says. A node without releases or without its centre still ranks: degraded, not unready.
    #[must_use]
    pub fn conditions(&self) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if self.is_draining() {
            conditions.push(Condition::unmet("draining", "this node is about to stop"));
        }
        let suspensions = self.suspensions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if suspensions.is_empty() {
            conditions.push(Condition::met("releases"));
        }
        for (why, since) in suspensions {
            let (name, detail) = why.condition();
            conditions.push(Condition::degraded(name, format!("{detail}; since window {since}")));
        }
        let outbox = *self.outbox_state.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.push(match outbox {
            Sent { refused: 0, interrupted: false, .. } => Condition::met("outbox"),
            Sent { refused: 0, .. } => Condition::degraded("outbox", "releases wait: the centre was not reached"),
            Sent { refused, .. } => Condition::degraded("outbox", format!("the centre refuses {refused} releases")),
        });
        conditions.push(self.waiting.condition());
        conditions.extend(self.admission_condition());
        if let Some(identity) = &self.identity {
            conditions.push(identity.condition(self.environment.clock.now_s()));
        }
        if let Some(lists) = self.content.load().as_ref().and_then(|content| content.lists.as_ref()) {
            conditions.push(lists.condition(self.environment.clock.now_ms()));
        }
        conditions.extend(self.policy_conditions());
        let served = self.tenants().filter(|tenant| self.allows(tenant, Question::Serve));
        let missing = served.filter(|tenant| tenant.serving().is_none()).count();
        conditions.push(match missing {
            0 => Condition::met("catalogues"),
            missing => Condition::degraded("catalogues", format!("{missing} tenants have no catalogue here yet")),
        });
        let age_s = self.environment.clock.now_ms().saturating_sub(self.pulled_ms.load(Ordering::Relaxed)) / 1000;
        let limit_s = self.centre.interval.as_secs().saturating_mul(3).max(30);
        conditions.push(if age_s <= limit_s {
            Condition::met("models")
        } else {
            Condition::degraded("models", format!("the last pull from the centre was {age_s} s ago, limit {limit_s} s"))
        });
        conditions
    }

    /// Sweeps, closes windows, pulls and sends until the order to drain. What a window's end noised leaves at its tick.
    pub async fn run_background(self: Arc<Self>, mut drain: Drain) {
        let mut tick = tokio::time::interval(TICK);
        // Ticks stay multiples of their period from the start on, however long the work of one took.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut exchanged_ms = 0;
        loop {
            tokio::select! {
                () = drain.ordered() => return,
                _ = tick.tick() => {}
            }
            self.sweep();
            let now_ms = self.environment.clock.now_ms();
            let interval_ms = u64::try_from(self.centre.interval.as_millis()).unwrap_or(u64::MAX);
            // Before anything is noised: it is not to leave by the tick of what was noised earlier.
            if now_ms.saturating_sub(exchanged_ms) >= interval_ms && self.leaving().may_leave(now_ms) {
                exchanged_ms = now_ms;
                self.send_waiting().await;
                self.pull_policies().await;
                self.pull().await;
                self.bring_key_epochs().await;
                self.open_missing_windows().await;
                let begun_ms = self.environment.clock.now_ms();
                if self.settle().await.released > 0 {
                    self.leaving().hold(begun_ms, self.environment.clock.now_ms());
                    exchanged_ms = 0;
                }
            }
            let begun_ms = self.environment.clock.now_ms();
            if self.window_at(begun_ms) > *self.turn.lock().await {
                self.close_window().await;
                self.leaving().hold(begun_ms, self.environment.clock.now_ms());
                exchanged_ms = 0;
            }
        }
    }

    /// Lets the identity service do what is due, until the order to drain. Apart from the rest: it may wait for others.
    pub async fn run_identity(self: Arc<Self>, mut drain: Drain) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = drain.ordered() => return,
                _ = tick.tick() => self.maintain_identity().await,
            }
        }
    }

    /// Lets the identity service do what is due.
    pub(crate) async fn maintain_identity(&self) {
        if let Some(identity) = &self.identity {
            identity.maintain(self.environment.clock.now_ms()).await;
        }
    }

    /// Ends the sessions whose time is over, and counts them.
    pub(crate) fn sweep(&self) {
        for entry in self.sessions.sweep(self.environment.clock.now_ms()) {
            if let Some(tenant) = self.tenant(&entry.tenant) {
                tenant.end(&entry);
                tenant.metrics.expired.inc();
            }
        }
        for tenant in self.tenants() {
            tenant.metrics.live.set(i64::try_from(self.sessions.count(&tenant.id)).unwrap_or(i64::MAX));
        }
    }

    fn leaving(&self) -> MutexGuard<'_, ReleaseTick> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses new sessions from now on; what lives is served on.
    pub fn begin_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Ends every session, discards the open window (nothing is released early), and offers the centre what waits.
    pub async fn drain(&self) -> Sent {
        self.begin_drain();
        let _turn = self.turn.lock().await;
        for tenant in self.tenants() {
            *tenant.window() = None;
        }
        for entry in self.sessions.drain() {
            if let Some(tenant) = self.tenant(&entry.tenant) {
                tenant.end(&entry);
            }
        }
        let begun_ms = self.environment.clock.now_ms();
        if self.settle().await.released > 0 && !self.environment.clock.is_manual() {
            self.leaving().hold(begun_ms, self.environment.clock.now_ms());
        }
        let wait_ms = self.leaving().wait_ms(self.environment.clock.now_ms());
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        self.send_waiting().await
    }
}

/// Answers to creations, the least lately used of which go first.
fn created() -> Cache<Digest, Arc<SessionCreated>> {
    let bounded = Cache::builder().max_capacity(CREATED_MAX).time_to_live(CREATED_TTL);
    bounded.eviction_policy(EvictionPolicy::lru()).build()
}

fn noise(mode: NoiseMode) -> Result<Noise, EntropyError> {
    match mode {
        NoiseMode::Calibrated => Noise::from_os(),
        NoiseMode::Seeded(seed) => Ok(Noise::seeded(seed)),
        NoiseMode::Off => Ok(Noise::off()),
    }
}

/// The tenants, each with the tasks that the region releases for it: none where the policies do not let it be served.
fn served(
    tenants: BTreeMap<TenantId, TenantAccess>,
    policies: &PolicySet,
    region: &RegionId,
    metrics: &NodeMetrics,
) -> BTreeMap<TenantId, Arc<Tenant>> {
    let tenant = |(id, access): (TenantId, TenantAccess)| {
        let rules = policies.tasks_for(region, &id);
        let (counters, contributions) = (metrics.tenant(&id), metrics.contributions.clone());
        let tenant = Tenant::new(id.clone(), rules, access.api_keys, access.certificates, counters, contributions);
        (id, Arc::new(tenant))
    };
    tenants.into_iter().map(tenant).collect()
}

/// The ledger, with what an earlier process left unpersisted burned. Nothing where it cannot be read.
async fn open_ledger(store: Option<Store>, environment: &Environment) -> Result<Option<Ledger<Store>>, StartError> {
    let Some(store) = store else { return Ok(None) };
    match Ledger::open(store, &mut environment.rng()?).await {
        Ok(ledger) => {
            for burned in ledger.burned() {
                tracing::warn!(release = %burned, "charged before the last stop and never persisted: burned");
            }
            Ok(Some(ledger))
        }
        Err(StoreError::MissingLedger) => Err(StartError::MissingLedger),
        Err(error) => {
            tracing::error!(%error, "the ledger cannot be opened: nothing is released");
            Ok(None)
        }
    }
}
