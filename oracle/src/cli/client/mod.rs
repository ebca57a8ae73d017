//! `siwa client`: what a viewer's device does with a node's identity service.

mod account;
mod credential;
mod files;
mod keys;
mod list;
mod rank;
mod token;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use attest::VerifyingKey;
use attest::opaque::Stretching;
use clap::{Args, Subcommand};
use policies::TenantId;

use crate::client::{Client, ClientOptions};
use crate::environment::Environment;
use crate::http::certificates_from_pem_file;
use crate::identity_client::{ANSWER_BYTES_MAX, IdentityClient, ServiceKeys, Trust, Way};
use files::Seen;

/// Play a viewer's device: make an account, get credentials and anonymous tokens, and use them.
///
/// The reference client of a node's identity service; docs/identity.md walks through it. Secrets stand in files of mode
/// 0600 and are never arguments. What the node sends is verified before it is used.
#[derive(Args)]
#[command(
    after_help = "Example, each with --url, --ca and --tenant:\n  siwa client register --user ann --password-file \
                        password --invite CODE\n  siwa client login --user ann --password-file password --out \
                        access.json\n  siwa client tokens --access access.json --count 8 --out tokens.json\n  siwa \
                        client rank --tokens tokens.json --candidates clip-1,clip-2"
)]
pub(crate) struct ClientCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Register(account::Register),
    Login(account::Login),
    Erase(account::Erase),
    Credential(credential::Obtain),
    Check(credential::Ask),
    Tokens(token::Tokens),
    Take(token::Take),
    Redeem(token::Redeem),
    Rank(rank::Rank),
    Keys(keys::Keys),
    List(list::List),
}

/// The node, and whose viewer this is.
#[derive(Args)]
pub(super) struct Reach {
    /// The node's address.
    #[arg(long, value_name = "https://HOST[:PORT]")]
    url: String,
    /// The roots (PEM) of which one vouches for the node's certificate.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The platform whose viewer this is.
    #[arg(long, value_name = "NAME")]
    tenant: TenantId,
}

/// What is known of the service's keys beforehand.
#[derive(Args)]
pub(super) struct Pins {
    /// The key that signs the log of keys, as the operator published it elsewhere. Without it, the node is believed.
    #[arg(long, value_name = "KEY")]
    log_key: Option<VerifyingKey>,
    /// A file that remembers the log: a later one has to continue it. Made at the first use.
    #[arg(long, value_name = "FILE")]
    seen: Option<PathBuf>,
}

/// How calls that name no viewer reach the node.
#[derive(Args)]
pub(super) struct Route {
    /// Call the node as it is, in place of sealing calls for its oblivious gateway.
    #[arg(long, conflicts_with = "relay")]
    direct: bool,
    /// A relay that somebody else runs, which passes capsules on. Without it, the node sees this address all the same.
    #[arg(long, value_name = "https://HOST[:PORT]")]
    relay: Option<String>,
}

impl ClientCommand {
    /// Does what is asked, and prints what came of it.
    ///
    /// # Errors
    /// A file that cannot be read or written, a node that cannot be reached or refuses, or something of it that does
    /// not verify.
    pub(crate) fn run(self, environment: Environment) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.act(&Arc::new(environment), &mut std::io::stdout().lock()))?;
        Ok(ExitCode::SUCCESS)
    }

    async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        match self.action {
            Action::Register(command) => command.act(environment, out).await,
            Action::Login(command) => command.act(environment, out).await,
            Action::Erase(command) => command.act(environment, out).await,
            Action::Credential(command) => command.act(environment, out).await,
            Action::Check(command) => command.act(environment, out).await,
            Action::Tokens(command) => command.act(environment, out).await,
            Action::Take(command) => command.act(out),
            Action::Redeem(command) => command.act(environment, out).await,
            Action::Rank(command) => command.act(environment, out).await,
            Action::Keys(command) => command.act(environment, out).await,
            Action::List(command) => command.act(environment, out).await,
        }
    }
}

impl Reach {
    fn client(&self, url: &str) -> anyhow::Result<Client> {
        let roots = certificates_from_pem_file(&self.ca)?;
        let options = ClientOptions { answer_bytes_max: ANSWER_BYTES_MAX, ..ClientOptions::new(url, roots) };
        Client::new(options).with_context(|| format!("the address {url}"))
    }

    fn device(&self, environment: &Arc<Environment>) -> anyhow::Result<IdentityClient> {
        let (client, tenant) = (self.client(&self.url)?, self.tenant.clone());
        Ok(IdentityClient::new(client, tenant, Stretching::recommended(), Arc::clone(environment)))
    }
}

impl Pins {
    /// What was known before, and what is remembered once the keys have been verified.
    fn read(&self) -> anyhow::Result<(Trust, Seen)> {
        let seen = Seen::read(self.seen.as_deref())?;
        Ok((Trust { log_key: self.log_key, seen: seen.statements() }, seen))
    }

    /// The service's keys, verified and remembered.
    async fn keys(&self, device: &IdentityClient) -> anyhow::Result<ServiceKeys> {
        let (trust, seen) = self.read()?;
        let keys = device.keys(&trust).await.context("the service's keys")?;
        seen.remember(keys.log().texts())?;
        Ok(keys)
    }
}

impl Route {
    fn relay(&self, reach: &Reach) -> anyhow::Result<Option<Client>> {
        self.relay.as_deref().map(|url| reach.client(url)).transpose()
    }

    /// The way, and what it is checked by.
    async fn way<'a>(
        &self,
        device: &'a IdentityClient,
        relay: Option<&'a Client>,
        pins: &Pins,
    ) -> anyhow::Result<Way<'a>> {
        if self.direct {
            return Ok(device.direct());
        }
        let keys = pins.keys(device).await?;
        self.way_by(device, relay, &keys).await
    }

    /// The way, checked by keys that are known.
    async fn way_by<'a>(
        &self,
        device: &'a IdentityClient,
        relay: Option<&'a Client>,
        keys: &ServiceKeys,
    ) -> anyhow::Result<Way<'a>> {
        if self.direct {
            return Ok(device.direct());
        }
        device.oblivious(keys, relay).await.context("the oblivious gateway")
    }
}

/// The platform's nonce, or one of 16 random bytes.
fn nonce_or_random(nonce: Option<String>, environment: &Environment) -> anyhow::Result<String> {
    use base64::Engine as _;
    let random = || environment.entropy.bytes::<16>();
    match nonce {
        Some(nonce) => Ok(nonce),
        None => Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random()?)),
    }
}

#[cfg(test)]
mod tests;
