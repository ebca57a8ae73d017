//! A whole installation in one process on loopback: one centre, nodes of several regions, real TLS between them.
//!
//! `demo`, `replay` and `bench` drive it as platforms would, over HTTPS. Its clock is moved by hand, a window's length
//! at each turn, so that weeks pass in seconds; everything else is what `serve` runs.

mod loopback;
mod measurement;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aggregator::release::Ledger;
use anyhow::Context as _;
use attest::note::NoteSigner;
use attest::seal::OperatorKey;
use attest::{AdmissionMode, ApiKey, KnownNode, KnownNodes, PairwiseSecret, SigningKey, VerifyingKey};
use policies::{Bundle, ContentRule, Digest, NodeId, PolicySet, RegionId, TenantId};
use rand_core::{OsRng, TryRngCore as _};
use rustls_pki_types::CertificateDer;

pub(crate) use loopback::{Listening, Loopback};
pub(crate) use measurement::{DELTA, MeasurementPolicies, TENANT, measurement_policies};

use crate::attester::{AttestationOptions, EvidenceChoice};
use crate::centre::training::TrainingOutcome;
use crate::centre::{self, Centre, CentreLimits, CentreParts};
use crate::client::{Client, ClientOptions};
use crate::clock::Clock;
use crate::environment::{Entropy, Environment, NoiseMode};
use crate::identity_folder::IdentityFolder;
use crate::lists;
use crate::log::LogOptions;
use crate::region::{
    self, CentreLink, ContentOptions, IdentityLimits, IdentityOptions, Node, NodeOptions, TenantAccess, Turn,
};
use crate::store::Store;
use crate::{policy_folder, policy_signing};

/// The centre's name in tokens.
const CENTRE: &str = "siwa-centre";
/// The name of its transparency log.
const LOG: &str = "siwa-centre/log";
/// How long a loopback call may take: a release of a large Gram is megabytes.
const CALL_DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of an answer: a catalogue or a model.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Sessions alive at one node at most.
const SESSIONS_MAX: usize = 100_000;

/// What to start.
pub(crate) struct ClusterOptions {
    /// One node is started for each.
    pub(crate) regions: Vec<RegionId>,
    pub(crate) policies: PolicySet,
    pub(crate) tenant: TenantId,
    pub(crate) noise: NoiseMode,
    /// Seeds everything but noise, for a replay that repeats.
    pub(crate) seed: Option<u64>,
    /// Whether the nodes check identities; the policies must say how.
    pub(crate) identity: bool,
    /// How a region's node attests; by its own word where nothing stands here.
    pub(crate) attestation: BTreeMap<RegionId, AttestationOptions>,
}

impl ClusterOptions {
    /// One region with calibrated noise, for benches.
    pub(crate) fn for_bench() -> anyhow::Result<Self> {
        let MeasurementPolicies { regions, set, .. } = measurement_policies(1, Some(2.0))?;
        Ok(Self {
            regions,
            policies: set,
            tenant: TENANT.parse()?,
            noise: NoiseMode::Calibrated,
            seed: None,
            identity: false,
            attestation: BTreeMap::new(),
        })
    }
}

/// A running installation. Its files go with it.
pub(crate) struct Cluster {
    centre: Arc<Centre>,
    nodes: Vec<Arc<Node>>,
    loopback: Loopback,
    tenant: TenantId,
    api_key: ApiKey,
    operator_key: ApiKey,
    clock: Clock,
    window_ms: u64,
    files: tempfile::TempDir,
    #[cfg(test)]
    policy_key: SigningKey,
}

impl Cluster {
    /// Starts a centre and one node a region, each with a store, keys and TLS of its own.
    pub(crate) async fn start(options: ClusterOptions) -> anyhow::Result<Self> {
        let files = tempfile::tempdir().context("no place for the stores")?;
        let clock = Clock::manual(Clock::system().now_ms());
        let mut rng = OsRng.unwrap_err();
        let (api_key, operator_key) = (ApiKey::generate(&mut rng), ApiKey::generate(&mut rng));
        let keys: Vec<SigningKey> = options.regions.iter().map(|_| SigningKey::generate(&mut rng)).collect();
        let pinned = options.regions.iter().zip(&keys).map(|(region, key)| {
            anyhow::Ok(KnownNode { node: node_id(region)?, region: region.clone(), key: Some(key.verifying_key()) })
        });
        // An installation of one process signs its own policies.
        let policy_key = SigningKey::generate(&mut rng);
        #[cfg(test)]
        let kept = SigningKey::from_pem(&policy_key.to_pem())?;
        let bundle = policy_signing::self_signed(&options.policies, 1, policy_key)?;
        let policy_folder = files.path().join("policies");
        policy_folder::write(&policy_folder, &bundle)?;
        let registry = prometheus::Registry::new();
        let centre = Centre::start(CentreParts {
            name: CENTRE.to_owned(),
            key: SigningKey::generate(&mut rng),
            attestation_key: SigningKey::generate(&mut rng),
            admission: AdmissionMode::Attested,
            nodes: KnownNodes::new(pinned.collect::<Result<Vec<_>, _>>()?)?,
            tenants: BTreeMap::from([(options.tenant.clone(), vec![api_key.hash()])]),
            operators: vec![operator_key.hash()],
            policies: bundle.clone(),
            policy_folder: Some(policy_folder),
            earlier_policies: Vec::new(),
            limits: CentreLimits::default(),
            measurement: !options.noise.is_private(),
            clock: clock.clone(),
            store: Store::create_sqlite(&files.path().join("centre.sqlite"))?,
            log: LogOptions {
                folder: files.path().join("log"),
                signer: NoteSigner::of_notes(LOG, SigningKey::generate(&mut rng))?,
                witnesses: Vec::new(),
                witnesses_min: 0,
                interval: Duration::ZERO,
            },
            registry: registry.clone(),
        })
        .await?;
        let mut loopback = Loopback::new()?;
        let identity = loopback.identity()?;
        loopback.serve("centre", identity, centre::router(Arc::clone(&centre)), &registry, Vec::new).await?;
        let window_ms = window_ms(&options)?;
        let tenant = options.tenant.clone();
        let mut cluster = Self {
            centre,
            nodes: Vec::new(),
            loopback,
            tenant,
            api_key,
            operator_key,
            clock,
            window_ms,
            files,
            #[cfg(test)]
            policy_key: kept,
        };
        for (number, (region, key)) in (0..).zip(options.regions.iter().zip(keys)) {
            let node = cluster.start_node(&options, &bundle, region, key, number).await?;
            cluster.nodes.push(node);
        }
        Ok(cluster)
    }

    async fn start_node(
        &mut self,
        options: &ClusterOptions,
        policies: &Bundle,
        region: &RegionId,
        node_key: SigningKey,
        number: u8,
    ) -> anyhow::Result<Arc<Node>> {
        let mut rng = OsRng.unwrap_err();
        let store = Store::create_sqlite(&self.files.path().join(format!("{region}.sqlite")))?;
        Ledger::initialise(&store, &mut rng).await?;
        // Each node draws other noise, also from a seed.
        let noise = match options.noise {
            NoiseMode::Seeded(mut bytes) => {
                bytes[31] ^= number;
                NoiseMode::Seeded(bytes)
            }
            other => other,
        };
        let seed = options.seed;
        let access = TenantAccess { api_keys: vec![self.api_key.hash()], certificates: Vec::new() };
        let client = Client::new(ClientOptions {
            deadline: CALL_DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
            ..ClientOptions::new(self.loopback.listening[0].url.clone(), self.roots())
        })?;
        let centre = CentreLink {
            client,
            name: CENTRE.to_owned(),
            key: self.centre.verifying_key(),
            log: self.centre.log_keys().clone(),
            admission: AdmissionMode::Attested,
            interval: Duration::from_secs(30),
        };
        let registry = prometheus::Registry::new();
        let served = self.loopback.identity()?;
        let identity = if options.identity { Some(self.identity(region)?) } else { None };
        let content =
            policies.policies().content().map(|rule| self.content(region, rule, identity.as_ref())).transpose()?;
        let parts = NodeOptions {
            name: node_id(region)?,
            region: region.clone(),
            policies: policies.clone(),
            tenants: BTreeMap::from([(self.tenant.clone(), access)]),
            node_key,
            answer_key: SigningKey::generate(&mut rng),
            pairwise: PairwiseSecret::generate(&mut rng),
            centre,
            attestation: options
                .attestation
                .get(region)
                .cloned()
                .unwrap_or(AttestationOptions { evidence: EvidenceChoice::Software, ..AttestationOptions::default() }),
            tls_spki: served.spki()?,
            // There is no file: what it would say is in the code.
            config: Digest::of(b""),
            store: Some(store),
            sessions_max: SESSIONS_MAX,
            identity,
            content,
            registry: registry.clone(),
        };
        let environment = Environment {
            clock: self.clock.clone(),
            entropy: seed.map_or(Entropy::Os, |seed| Entropy::seeded(seed.wrapping_add(number.into()))),
            noise,
            stop_at: None,
        };
        let node = Node::start(parts, environment).await?;
        let router = region::router(Arc::clone(&node));
        let conditions = Arc::clone(&node);
        self.loopback.serve(region.as_str(), served, router, &registry, move || conditions.conditions()).await?;
        Ok(node)
    }

    /// An identity service with a folder of its own, as `siwa identity init` makes it.
    fn identity(&self, region: &RegionId) -> anyhow::Result<IdentityOptions> {
        let path = self.files.path().join(format!("{region}-identity"));
        let operator = OperatorKey::generate(&mut OsRng.unwrap_err());
        let issuer = format!("https://{}.localhost", node_id(region)?);
        let kept = OperatorKey::parse(&operator.to_text())?;
        let folder = IdentityFolder::new(path.clone(), kept, issuer.clone(), std::slice::from_ref(&self.tenant));
        folder.initialise(&mut OsRng.unwrap_err())?;
        Ok(IdentityOptions {
            folder: path,
            operator,
            issuer,
            issuers_ca: Vec::new(),
            limits: IdentityLimits::default(),
        })
    }

    /// A content oracle. Where identities are checked, whose tokens pay, it has the lists of the policies, with made-up clips.
    fn content(
        &self,
        region: &RegionId,
        rule: &ContentRule,
        identity: Option<&IdentityOptions>,
    ) -> anyhow::Result<ContentOptions> {
        let Some(IdentityOptions { operator, .. }) = identity else { return Ok(ContentOptions::default()) };
        let root = self.files.path().join(format!("{region}-lists"));
        lists::sample::make(&root, rule, &self.tenant, operator, self.clock.now_s())?;
        Ok(ContentOptions { lists: Some(root), ..ContentOptions::default() })
    }

    /// Where the centre (first) and the nodes listen.
    pub(crate) fn listening(&self) -> &[Listening] {
        &self.loopback.listening
    }

    /// The nodes' addresses, in the order of the regions.
    pub(crate) fn node_urls(&self) -> Vec<String> {
        self.listening()[1..].iter().map(|role| role.url.clone()).collect()
    }

    /// The nodes, in the order of the regions.
    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// By whose statements a TPM is known to be genuine.
    pub(crate) fn enrolled_by(&self) -> VerifyingKey {
        self.centre.attestation_verifying_key()
    }

    /// The development CA's certificate.
    pub(crate) fn roots(&self) -> Vec<CertificateDer<'static>> {
        vec![self.loopback.ca.certificate().clone()]
    }

    /// The same as PEM, for other programs.
    pub(crate) fn ca_pem(&self) -> &str {
        self.loopback.ca.certificate_pem()
    }

    /// The installation's time.
    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The one tenant.
    pub(crate) const fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// The tenant's bearer key.
    pub(crate) fn api_key(&self) -> &str {
        self.api_key.expose()
    }

    /// A client of the centre with the operator's key.
    pub(crate) fn operator(&self) -> anyhow::Result<Client> {
        self.centre_client(self.operator_key.expose())
    }

    fn centre_client(&self, key: &str) -> anyhow::Result<Client> {
        let options = ClientOptions::new(self.loopback.listening[0].url.clone(), self.roots());
        let bearer = Some(key.to_owned());
        Ok(Client::new(ClientOptions {
            bearer,
            deadline: CALL_DEADLINE,
            answer_bytes_max: ANSWER_BYTES_MAX,
            ..options
        })?)
    }

    /// Uploads the tenant's catalogue at the centre, as the platform does, and lets the nodes pull it.
    pub(crate) async fn upload_catalogue(&self, jsonl: &str) -> anyhow::Result<()> {
        let path = format!("/v1/catalogues/{}", self.tenant);
        let call = self.centre_client(self.api_key.expose())?;
        call.put(&path)
            .bytes("application/jsonl", jsonl.to_owned())
            .send()
            .await
            .context("the centre does not take the catalogue")?;
        self.pull().await;
        // Windows that opened without a catalogue count nothing: the first that has one begins now.
        self.turn().await?;
        Ok(())
    }

    /// Lets the clock pass a window's end, at which every node closes it, releases, and sends.
    ///
    /// # Errors
    /// When a release was withheld or not taken: in an installation of one's own nothing may be missing.
    pub(crate) async fn turn(&self) -> anyhow::Result<Turn> {
        self.clock.advance(self.window_ms);
        let mut total = Turn::default();
        for node in &self.nodes {
            let turn = node.close_window().await;
            node.maintain_identity().await;
            node.bring_key_epochs().await;
            let sent = node.send_waiting().await;
            anyhow::ensure!(
                turn.withheld == 0 && turn.waiting == 0 && sent.refused == 0 && !sent.interrupted,
                "a window's releases did not all reach the centre: {turn:?}, {sent:?}, {:?}",
                node.conditions()
            );
            total.released += turn.released;
        }
        Ok(total)
    }

    /// Signs other policies and puts them into the centre's folder, where it finds them by itself or is told to look.
    #[cfg(test)]
    pub(crate) fn put_policies(&self, policies: &PolicySet, version: u64) -> anyhow::Result<()> {
        self.put_bundle(&self.signed(policies, version)?)
    }

    /// Signs policies as this installation does.
    #[cfg(test)]
    pub(crate) fn signed(&self, policies: &PolicySet, version: u64) -> anyhow::Result<Bundle> {
        Ok(policy_signing::self_signed(policies, version, SigningKey::from_pem(&self.policy_key.to_pem())?)?)
    }

    /// Puts a bundle into the centre's folder.
    #[cfg(test)]
    pub(crate) fn put_bundle(&self, bundle: &Bundle) -> anyhow::Result<()> {
        Ok(policy_folder::write(&self.files.path().join("policies"), bundle)?)
    }

    /// The centre.
    #[cfg(test)]
    pub(crate) const fn centre(&self) -> &Arc<Centre> {
        &self.centre
    }

    /// Trains at the centre and lets the nodes take what it published.
    pub(crate) async fn learn(&self) -> anyhow::Result<TrainingOutcome> {
        let report = self.centre.train_now(&self.tenant).await.context("the centre could not train")?;
        self.pull().await;
        Ok(report.outcome)
    }

    async fn pull(&self) {
        for node in &self.nodes {
            node.pull().await;
        }
    }

    /// Drains the nodes, then the listeners.
    pub(crate) async fn stop(self) {
        for node in &self.nodes {
            node.drain().await;
        }
        self.loopback.stop().await;
    }
}

/// A region's one node.
fn node_id(region: &RegionId) -> anyhow::Result<NodeId> {
    Ok(format!("{region}-1").parse()?)
}

/// The longest window of the regions: a turn closes one window in each.
fn window_ms(options: &ClusterOptions) -> anyhow::Result<u64> {
    let seconds = options.regions.iter().filter_map(|region| options.policies.region(region));
    let longest = seconds.map(|rule| rule.unit.window_seconds).max().context("no region to start")?;
    Ok(u64::from(longest) * 1000)
}

#[cfg(test)]
mod tests;
