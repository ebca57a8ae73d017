//! `siwa client register`, `login` and `erase`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::files::{AccessFile, TokenFile, read_password};
use super::{Reach, nonce_or_random};
use crate::environment::Environment;
use crate::identity_client::{Admission, IdentityClientError};

/// Whose account, and its password.
#[derive(Args)]
struct Owner {
    /// The account's name, 1 to 128 bytes. The service keeps a keyed hash of it.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// A file with the password, 1 to 1024 bytes, without a line break at its end; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
}

/// Make an account (OPAQUE, RFC 9807). The password does not leave this process.
///
/// The service says the same whether the account was made or existed before: `login` shows whose it is.
#[derive(Args)]
#[command(
    after_help = "Example:\n  siwa client register --url https://node.example --ca ca.pem --tenant demo-platform \
                        --user ann --password-file password --invite x2Jf…"
)]
pub(super) struct Register {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    owner: Owner,
    /// The platform's invite, where the region's policy asks for one.
    #[arg(long, value_name = "CODE", conflicts_with = "tokens")]
    invite: Option<String>,
    /// A file of anonymous tokens, one of which is spent, where the region's policy asks for one.
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

impl Register {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let Self { reach, owner, invite, tokens } = self;
        let password = read_password(&owner.password_file)?;
        let device = reach.device(environment)?;
        let token = tokens.map(|file| TokenFile::take(&file, Some(device.tenant()))).transpose()?;
        let admission = match (&invite, &token) {
            (Some(code), _) => Admission::Invite(code),
            (None, Some(token)) => Admission::Token(token),
            (None, None) => Admission::Open,
        };
        let registered = device.register(&owner.user, &password, admission).await;
        registered.context("the account was not asked for")?;
        writeln!(out, "accepted: log in to see whether the account is yours")?;
        Ok(())
    }
}

/// Log in. Prints the assertion, which is for the platform; the file keeps what opens credentials and tokens.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client login --url https://node.example --ca ca.pem --tenant demo-platform \
                        --user ann --password-file password --nonce PLATFORMS-NONCE --out access.json")]
pub(super) struct Login {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    owner: Owner,
    /// The platform's nonce, 1 to 128 bytes, to which the assertion is bound; a random one where none is given.
    #[arg(long, value_name = "TEXT")]
    nonce: Option<String>,
    /// The file to write `{assertion, access, expires_s}` to (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object: the assertion, its nonce and its end.
    #[arg(long)]
    json: bool,
}

impl Login {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let password = read_password(&self.owner.password_file)?;
        let nonce = nonce_or_random(self.nonce, environment)?;
        let logged_in = self.reach.device(environment)?.login(&self.owner.user, &password, &nonce).await;
        let logged_in = logged_in.map_err(|error| match error {
            IdentityClientError::Opaque(attest::OpaqueError::Refused) => {
                anyhow::anyhow!("not logged in: no such account, or another password")
            }
            other => anyhow::Error::new(other).context("not logged in"),
        })?;
        let (assertion, expires_s) = (logged_in.assertion, logged_in.expires_s);
        let kept = AccessFile { assertion, access: logged_in.access, expires_s };
        kept.write(&self.out)?;
        if self.json {
            let shown = json!({"assertion": kept.assertion, "nonce": nonce, "expires_s": expires_s});
            return Ok(writeln!(out, "{shown}")?);
        }
        Ok(writeln!(out, "{}", kept.assertion)?)
    }
}

/// Erase the account that one has logged in to. What it was issued ends by itself.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client erase --url https://node.example --ca ca.pem --tenant demo-platform \
                        --access access.json")]
pub(super) struct Erase {
    #[command(flatten)]
    reach: Reach,
    /// What `login` wrote.
    #[arg(long, value_name = "FILE")]
    access: PathBuf,
}

impl Erase {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let access = AccessFile::read(&self.access)?;
        self.reach.device(environment)?.erase(&access.access).await.context("the account was not erased")?;
        Ok(writeln!(out, "erased")?)
    }
}
