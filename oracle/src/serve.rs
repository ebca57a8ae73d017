//! A process as its config describes it: the roles, their listeners, and the way down.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use attest::note::NoteSigner;
use attest::seal::OperatorKey;
use attest::{PairwiseSecret, SigningKey};
use axum::Router;
use policies::PolicySet;
use prometheus::Registry;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

use crate::centre::{self, Centre, CentreLimits, CentreParts};
use crate::client::{Client, ClientOptions};
use crate::config::{CentreConfig, Config, ConfigLimits, IdentityConfig, LogConfig, RegionConfig, WitnessConfig};
use crate::environment::Environment;
use crate::http::{
    Condition, ConnectionMetrics, Drain, Identity, Server, ServerTls, admin_router, certificates_from_pem_file,
};
use crate::log::{LogOptions, WitnessLink};
use crate::policy_folder;
use crate::region::{self, CentreLink, IdentityLimits, IdentityOptions, Node, NodeOptions, TenantAccess};
use crate::store::{OpenError, Store};

/// How long a call to the centre may take: a release of a large Gram is megabytes.
const CENTRE_DEADLINE: Duration = Duration::from_secs(60);

/// The listeners and tasks of a process.
struct Process {
    config: Config,
    registry: Registry,
    drain: Drain,
    servers: JoinSet<usize>,
    tasks: JoinSet<()>,
}

/// Runs the roles of `config` until SIGTERM or SIGINT, then drains.
///
/// # Errors
/// What keeps a role from starting: files, keys, policies, addresses, a missing ledger.
pub(crate) async fn serve(config: Config, environment: Environment) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let hangup = signal(SignalKind::hangup())?;
    let (stop, drain) = Drain::new();
    let deadline = config.limits.http.drain_deadline;
    let (servers, tasks) = (JoinSet::new(), JoinSet::new());
    let mut process = Process { config, registry: Registry::new(), drain, servers, tasks };
    // The centre first: a node of the same process pulls from it at its start.
    let centre = match process.config.centre.clone() {
        Some(config) => Some(process.start_centre(config, &environment).await?),
        None => None,
    };
    let node = match process.config.region.clone() {
        Some(config) => Some(process.start_node(config, environment).await?),
        None => None,
    };
    if let Some(centre) = centre.clone() {
        process.tasks.spawn(reload_on(hangup, centre, process.drain.clone()));
    }
    process.listen_admin(centre, node.clone()).await?;
    tracing::info!("serving");
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    let Process { mut servers, mut tasks, .. } = process;
    let down = async {
        if let Some(node) = &node {
            node.begin_drain();
        }
        stop.order();
        let mut cut_off = 0;
        while let Some(server) = servers.join_next().await {
            cut_off += server.unwrap_or(0);
        }
        while tasks.join_next().await.is_some() {}
        if let Some(node) = &node {
            let sent = node.drain().await;
            tracing::info!(sent = sent.sent, interrupted = sent.interrupted, "outbox offered");
        }
        cut_off
    };
    // Servers cut their connections off at the deadline; the rest may take as long again, and no longer.
    match tokio::time::timeout(deadline * 2, down).await {
        Ok(0) => tracing::info!("drained"),
        Ok(cut_off) => tracing::warn!(cut_off, "drained, with connections cut off at the deadline"),
        Err(_) => tracing::warn!("the drain deadline passed; what was persisted is sent after the next start"),
    }
    Ok(())
}

impl Process {
    async fn start_centre(&mut self, config: CentreConfig, environment: &Environment) -> anyhow::Result<Arc<Centre>> {
        let store = Store::create_sqlite(&config.store)?;
        let policies = policy_folder::at_start(&config.policies, &config.policy_signers, Some(&store)).await?;
        let earlier = config.earlier_policies.iter().map(|folder| read_policies(folder));
        let earlier_policies = earlier.collect::<Result<_, _>>()?;
        let limits = CentreLimits {
            catalogue_bytes_max: self.config.limits.catalogue_bytes_max,
            training_grace_ms: config.training_grace_ms,
            policy_interval_ms: config.policy_interval_ms,
        };
        let centre = Centre::start(CentreParts {
            name: config.name,
            key: read_key(&config.key)?,
            attestation_key: read_key(&config.attestation_key)?,
            admission: config.admission,
            nodes: config.nodes,
            tenants: config.tenants,
            operators: config.operators,
            policies,
            policy_folder: Some(config.policies),
            earlier_policies,
            limits,
            // Releases without calibrated noise are never taken by a centre that serves.
            measurement: false,
            clock: environment.clock.clone(),
            store,
            log: log_options(config.log)?,
            registry: self.registry.clone(),
        })
        .await?;
        let address = self.config.listen.centre.context("the config has no listen.centre")?;
        self.listen("centre", address, centre::router(Arc::clone(&centre))).await?;
        self.tasks.spawn(Arc::clone(&centre).run_background(self.drain.clone()));
        self.tasks.spawn(centre.publisher().run(self.drain.clone()));
        Ok(centre)
    }

    async fn start_node(&mut self, config: RegionConfig, environment: Environment) -> anyhow::Result<Arc<Node>> {
        let ConfigLimits { sessions_max, catalogue_bytes_max, identity, .. } = self.config.limits;
        let client = Client::new(ClientOptions {
            deadline: CENTRE_DEADLINE,
            answer_bytes_max: catalogue_bytes_max.max(personalize::model::MODEL_BYTES_MAX),
            ..ClientOptions::new(config.centre.url, certificates_from_pem_file(&config.centre.ca)?)
        })?;
        let tenants = config.tenants.into_iter().map(|access| {
            let credentials = TenantAccess { api_keys: access.api_keys, certificates: access.certificates };
            (access.tenant, credentials)
        });
        let store = open_store(&config.store)?;
        let policies = policy_folder::at_start(&config.policies, &config.policy_signers, store.as_ref()).await?;
        if let Some(store) = &store {
            store.keep_bundle(&policies, environment.clock.now_ms()).await?;
        }
        let options = NodeOptions {
            name: config.node,
            region: config.region,
            policies,
            tenants: tenants.collect(),
            node_key: read_key(&config.node_key)?,
            answer_key: read_key(&config.answer_key)?,
            pairwise: read_pairwise(&config.pairwise_secret)?,
            centre: CentreLink {
                client,
                name: config.centre.name,
                key: config.centre.key,
                log: config.centre.log,
                admission: config.centre.admission,
                interval: Duration::from_millis(config.centre.pull_interval_ms),
            },
            attestation: config.attestation,
            tls_spki: self.identity()?.spki()?,
            config: self.config.digest,
            store,
            sessions_max,
            identity: config.identity.map(|config| identity_options(config, identity)).transpose()?,
            content: config.content,
            registry: self.registry.clone(),
        };
        let node = Node::start(options, environment).await?;
        let address = self.config.listen.region.context("the config has no listen.region")?;
        self.listen("region", address, region::router(Arc::clone(&node))).await?;
        self.tasks.spawn(Arc::clone(&node).run_background(self.drain.clone()));
        self.tasks.spawn(Arc::clone(&node).run_identity(self.drain.clone()));
        Ok(node)
    }

    /// What the listeners serve with.
    fn identity(&self) -> anyhow::Result<Identity> {
        Ok(Identity::from_pem_files(&self.config.tls.certificate, &self.config.tls.key)?)
    }

    async fn listen(&mut self, name: &'static str, address: SocketAddr, router: Router) -> anyhow::Result<()> {
        let identity = self.identity()?;
        let roots = self.config.tls.client_ca.as_deref().map(certificates_from_pem_file).transpose()?;
        let tls = ServerTls::new(identity, roots.as_deref())?;
        self.spawn(name, address, Some(tls), router).await
    }

    async fn listen_admin(&mut self, centre: Option<Arc<Centre>>, node: Option<Arc<Node>>) -> anyhow::Result<()> {
        let asked = node.clone();
        let conditions = move || {
            let mut conditions: Vec<Condition> = Vec::new();
            conditions.extend(centre.iter().flat_map(|centre| centre.conditions()));
            conditions.extend(asked.iter().flat_map(|node| node.conditions()));
            conditions
        };
        let ledger = node.as_ref().and_then(|node| node.ledger_store());
        let router = admin_router(self.registry.clone(), conditions);
        // The file is the node's alone while it runs: whoever wants to look asks here.
        let router = ledger.into_iter().fold(router, |router, store| router.merge(crate::store::admin::router(store)));
        self.spawn("admin", self.config.listen.admin, None, router).await
    }

    async fn spawn(
        &mut self,
        name: &'static str,
        address: SocketAddr,
        tls: Option<ServerTls>,
        router: Router,
    ) -> anyhow::Result<()> {
        let metrics = ConnectionMetrics::register(&self.registry, name)?;
        let server = Server::bind(address, tls, self.config.limits.http, metrics).await;
        let server = server.with_context(|| format!("cannot listen on {address}"))?;
        tracing::info!(listener = name, address = %server.local_address()?, "listening");
        self.servers.spawn(server.serve(router, self.drain.clone()));
        Ok(())
    }
}

/// Looks at the centre's policy folder at every SIGHUP, until the order to drain.
async fn reload_on(mut hangup: Signal, centre: Arc<Centre>, mut drain: Drain) {
    loop {
        tokio::select! {
            () = drain.ordered() => return,
            received = hangup.recv() => match received {
                // What went wrong was logged, counted, and stands in `/readyz`.
                Some(()) => { let _unchanged_or_noted = centre.reload_policies().await; }
                None => return,
            }
        }
    }
}

/// A node's store; nothing where it is damaged or cannot be read, since rankings need none. A missing or foreign file
/// is a mistake of the operator, and keeps the node from starting.
fn open_store(file: &Path) -> anyhow::Result<Option<Store>> {
    match Store::open_sqlite(file) {
        Ok(store) => Ok(Some(store)),
        Err(
            error @ (OpenError::Missing
            | OpenError::Foreign
            | OpenError::Newer
            | OpenError::Earlier
            | OpenError::EarlierLedger
            | OpenError::InUse),
        ) => Err(error).with_context(|| format!("cannot use {}", file.display())),
        Err(error @ (OpenError::Damaged | OpenError::Io(_) | OpenError::Sqlite(_))) => {
            tracing::error!(error = &error as &dyn std::error::Error, "no ledger: rankings go on, nothing is released");
            Ok(None)
        }
    }
}

fn log_options(config: LogConfig) -> anyhow::Result<LogOptions> {
    let LogConfig { folder, key, origin, interval_ms, witnesses, witnesses_min } = config;
    let witness = |WitnessConfig { url, key, ca }: WitnessConfig| {
        let roots = ca.as_deref().map(certificates_from_pem_file).transpose()?.unwrap_or_default();
        WitnessLink::new(&url, key, roots).with_context(|| format!("the witness {url} cannot be asked"))
    };
    Ok(LogOptions {
        folder,
        signer: NoteSigner::of_notes(&origin, read_key(&key)?)?,
        witnesses: witnesses.into_iter().map(witness).collect::<Result<_, _>>()?,
        witnesses_min,
        interval: Duration::from_millis(interval_ms),
    })
}

pub(crate) fn read_policies(folder: &Path) -> anyhow::Result<PolicySet> {
    PolicySet::parse(&policy_folder::read(folder)?).map_err(|findings| {
        anyhow::anyhow!("{} has {} findings: see `siwa policy lint`", folder.display(), findings.len())
    })
}

fn read_secret(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Zeroizing::new(text))
}

fn read_key(file: &Path) -> anyhow::Result<SigningKey> {
    SigningKey::from_pem(&read_secret(file)?).with_context(|| format!("{} is not a key", file.display()))
}

fn identity_options(config: IdentityConfig, limits: IdentityLimits) -> anyhow::Result<IdentityOptions> {
    let IdentityConfig { folder, operator_key, issuer, issuers_ca } = config;
    let operator = read_operator_key(&operator_key)?;
    let issuers_ca = issuers_ca.as_deref().map(certificates_from_pem_file).transpose()?.unwrap_or_default();
    Ok(IdentityOptions { folder, operator, issuer, issuers_ca, limits })
}

/// Reads the key under which a region's identity secrets are sealed.
pub(crate) fn read_operator_key(file: &Path) -> anyhow::Result<OperatorKey> {
    OperatorKey::parse(&read_secret(file)?).with_context(|| format!("{} is not an operator key", file.display()))
}

fn read_pairwise(file: &Path) -> anyhow::Result<PairwiseSecret> {
    PairwiseSecret::parse(&read_secret(file)?).with_context(|| format!("{} is not a secret", file.display()))
}
