//! The node that is measured: in threads of its own, so that its share of the processors can be told from the load's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use attest::Pseudonym;
use attest::opaque::{ClientLogin, ClientRegistration, Stretching};
use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policies::PolicySet;
use rand_core::{OsRng, TryRngCore as _};
use rustls_pki_types::CertificateDer;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::oneshot;

use crate::client::{Client, ClientError, ClientOptions};
use crate::cluster::{Cluster, ClusterOptions};
use crate::environment::NoiseMode;
use crate::region::Node;
use crate::region::identity::Identity;

/// The name of the thread that serves.
pub(super) const THREAD: &str = "siwa-bench-node";
const REGION: &str = "us-east";
pub(super) const TENANT: &str = "demo-platform";
pub(super) const PASSWORD: &[u8] = b"correct horse battery staple";
/// Limits of the sample policy, raised to what a policy may say, so that a few accounts can ask as much as a crowd.
const RAISED: [(&str, &str); 2] = [
    ("login_starts_per_hour = 20", "login_starts_per_hour = 10000"),
    ("tokens_per_window = 64", "tokens_per_window = 10000"),
];

/// An account of the bench.
pub(super) struct Account {
    pub(super) user: String,
    /// `Authorization` of its device.
    pub(super) access: HeaderValue,
}

/// A running node with its identity service and some accounts.
pub(super) struct Service {
    url: String,
    roots: Vec<CertificateDer<'static>>,
    pub(super) node: Arc<Node>,
    pub(super) identity: Arc<Identity>,
    pub(super) accounts: Arc<[Account]>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

type Started = (String, Vec<CertificateDer<'static>>, Arc<Node>);

impl Service {
    /// Starts a node and registers `accounts` accounts at it, over its API.
    pub(super) async fn start(accounts: usize) -> anyhow::Result<Self> {
        let (started, starts) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || serve(started, stopped))?;
        let Ok((url, roots, node)) = starts.await else {
            let ended = thread.join().map_err(|_| anyhow::anyhow!("the node panicked"))?;
            return Err(ended.err().unwrap_or_else(|| anyhow::anyhow!("the node ended at once")));
        };
        let identity = node.identity.clone().context("the node checks no identity")?;
        let mut service = Self { url, roots, node, identity, accounts: Arc::new([]), stop, thread };
        let client = Client::new(service.client_options())?;
        let mut made = Vec::new();
        for number in 0..accounts {
            made.push(account(&client, format!("viewer-{number}")).await.context("no account could be made")?);
        }
        service.accounts = made.into();
        Ok(service)
    }

    /// The first account's subject, as its access names it.
    pub(super) fn subject(&self) -> anyhow::Result<Pseudonym> {
        let access = self.accounts.first().context("no account was made")?.access.to_str()?;
        let access = access.strip_prefix("Bearer ").context("an access is a bearer token")?;
        Ok(self.identity.verify_access(access, self.node.environment.clock.now_ms())?.sub)
    }

    /// How to reach the node.
    pub(super) fn client_options(&self) -> ClientOptions {
        ClientOptions::new(self.url.clone(), self.roots.clone())
    }

    /// Drains the node and ends its threads.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        let Self { node, identity, stop, thread, .. } = self;
        drop((node, identity));
        // Whoever is gone has stopped.
        let _ = stop.send(());
        thread.join().map_err(|_| anyhow::anyhow!("the node panicked"))?
    }
}

/// The body of the node's thread.
fn serve(started: oneshot::Sender<Started>, stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().thread_name(THREAD).enable_all().build()?;
    runtime.block_on(async move {
        let cluster = Cluster::start(ClusterOptions {
            regions: vec![REGION.parse()?],
            policies: policies()?,
            tenant: TENANT.parse()?,
            noise: NoiseMode::Calibrated,
            seed: None,
            identity: true,
            attestation: BTreeMap::new(),
        });
        let cluster = cluster.await?;
        let (url, node) = (cluster.node_urls().swap_remove(0), Arc::clone(&cluster.nodes()[0]));
        if started.send((url, cluster.roots(), node)).is_ok() {
            // An error means that nobody is left to wait for.
            let _ = stopped.await;
        }
        cluster.stop().await;
        Ok(())
    })
}

/// The sample policies with raised limits.
fn policies() -> anyhow::Result<PolicySet> {
    let mut files: BTreeMap<String, Vec<u8>> = policies::sample::files();
    let region = files.get_mut(&format!("regions/{REGION}.toml")).context("the sample has no such region")?;
    let mut text = String::from_utf8(std::mem::take(region))?;
    for (said, raised) in RAISED {
        anyhow::ensure!(text.contains(said), "the sample does not say `{said}`");
        text = text.replacen(said, raised, 1);
    }
    *region = text.into_bytes();
    PolicySet::parse(&files).map_err(|findings| anyhow::anyhow!("the policies are refused: {findings:?}"))
}

async fn account(client: &Client, user: String) -> anyhow::Result<Account> {
    let mut rng = OsRng.unwrap_err();
    let (pending, message) = ClientRegistration::start(PASSWORD, &mut rng)?;
    let start = json!({"tenant": TENANT, "user": user, "message": text_of(&message)});
    let started = client.post("/v1/identity/accounts/registration/start").json(&start).send().await?;
    let response = bytes_of(&started.json::<Message>()?.message)?;
    let (upload, _) = pending.finish(PASSWORD, &response, &mut rng, &Stretching::fast_for_tests())?;
    let finish = json!({"tenant": TENANT, "user": user, "message": text_of(&upload)});
    client.post("/v1/identity/accounts/registration/finish").json(&finish).send().await?;
    let finish = begin_login(client, &user).await?;
    let logged_in = client.post(LOGIN_FINISH).bytes("application/json", finish).send().await?;
    let access = logged_in.json::<LoggedIn>()?.access;
    Ok(Account { user, access: HeaderValue::try_from(format!("Bearer {access}"))? })
}

pub(super) const LOGIN_FINISH: &str = "/v1/identity/accounts/login/finish";

/// Asks to log in, and makes the second message of the answer, as JSON.
pub(super) async fn begin_login(client: &Client, user: &str) -> Result<Vec<u8>, ClientError> {
    let mut rng = OsRng.unwrap_err();
    let (pending, ke1) = ClientLogin::start(PASSWORD, &mut rng).map_err(|_| ClientError::Request)?;
    let start = json!({"tenant": TENANT, "user": user, "message": text_of(&ke1)});
    let started = client.post("/v1/identity/accounts/login/start").json(&start).send().await?;
    let started: Message = started.json()?;
    let ke2 = bytes_of(&started.message)?;
    let finished = pending.finish(PASSWORD, &ke2, &mut rng, &Stretching::fast_for_tests());
    let (ke3, _) = finished.map_err(|_| ClientError::AnswerForm)?;
    let finish = json!({"login": started.login, "message": text_of(&ke3), "nonce": "bench"});
    Ok(finish.to_string().into_bytes())
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    login: String,
    message: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    access: String,
}

fn text_of(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn bytes_of(text: &str) -> Result<Vec<u8>, ClientError> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| ClientError::AnswerForm)
}
