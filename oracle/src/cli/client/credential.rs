//! `siwa client credential` and `check`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use policies::Check;
use serde_json::json;
use zeroize::Zeroizing;

use super::files::{AccessFile, replace};
use super::{Pins, Reach, Route};
use crate::cli::keys::read_signing_key;
use crate::environment::Environment;

/// The type of the credentials that a node issues, as the sample policies name it.
const TYPE: &str = "urn:siwa:credential:viewer:1";

/// Get a credential (SD-JWT VC), bound to a key of this device, and verify it.
///
/// It says what the platform vouched for when it invited the viewer. `siwa keys new` makes a holder's key; who must not
/// be linked takes several credentials with a key each.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa keys new --out holder.key\n  siwa client credential --url \
                        https://node.example --ca ca.pem --tenant demo-platform --access access.json --holder-key \
                        holder.key --out viewer.sdjwt")]
pub(super) struct Obtain {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    /// What `login` wrote.
    #[arg(long, value_name = "FILE")]
    access: PathBuf,
    /// The holder's private key.
    #[arg(long, value_name = "FILE")]
    holder_key: PathBuf,
    /// The type that the credential has to be of.
    #[arg(long, value_name = "VCT", default_value = TYPE)]
    r#type: String,
    /// The file to write the credential to (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Obtain {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let (access, holder) = (AccessFile::read(&self.access)?, read_signing_key(&self.holder_key)?);
        let device = self.reach.device(environment)?;
        let keys = self.pins.keys(&device).await?;
        let credential = device.credential(&keys, &access.access, &holder, &self.r#type).await;
        let credential = credential.context("no credential")?;
        replace(&self.out, credential.text.as_bytes())?;
        if self.json {
            let shown = json!({"claims": credential.claims, "expires_s": credential.expires_s});
            return Ok(writeln!(out, "{shown}")?);
        }
        let can = if credential.claims.is_empty() { "nothing".to_owned() } else { credential.claims.join(", ") };
        Ok(writeln!(out, "wrote {}, which can show: {can}", self.out.display())?)
    }
}

/// Show one claim of a credential and nothing else. Prints the platform's signed answer.
///
/// Where the answer is yes, the file keeps what opens anonymous tokens, if the policy lets this check do so.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client check --url https://node.example --ca ca.pem --tenant demo-platform \
                        --credential viewer.sdjwt --holder-key holder.key --check age_over_18 --out access-age.json")]
pub(super) struct Ask {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    #[command(flatten)]
    route: Route,
    /// What `credential` wrote, or a credential of another issuer that the policy trusts.
    #[arg(long, value_name = "FILE")]
    credential: PathBuf,
    /// The holder's private key.
    #[arg(long, value_name = "FILE")]
    holder_key: PathBuf,
    /// What is asked: `age_over_18`, `subscriber_tier` or `region`.
    #[arg(long, value_name = "CHECK")]
    check: Check,
    /// For `subscriber_tier` and `region`: the value that is asked about.
    #[arg(long, value_name = "TEXT")]
    value: Option<String>,
    /// The file to write `{assertion, access, expires_s}` to (mode 0600), if the answer is yes.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object: the answer, whether it is yes, and its end.
    #[arg(long)]
    json: bool,
}

impl Ask {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let named = || format!("the credential {}", self.credential.display());
        let credential = Zeroizing::new(std::fs::read_to_string(&self.credential).with_context(named)?);
        let holder = read_signing_key(&self.holder_key)?;
        let device = self.reach.device(environment)?;
        let keys = self.pins.keys(&device).await?;
        let relay = self.route.relay(&self.reach)?;
        let way = self.route.way_by(&device, relay.as_ref(), &keys).await?;
        let checked = device.check(&keys, credential.trim(), &holder, self.check, self.value.as_deref(), &way).await;
        let checked = checked.context("no answer")?;
        let (assertion, expires_s, holds) = (checked.answer, checked.expires_s, checked.access.is_some());
        let shown = if self.json {
            json!({"answer": assertion, "holds": holds, "expires_s": expires_s}).to_string()
        } else {
            assertion.clone()
        };
        if let (Some(access), Some(file)) = (checked.access, &self.out) {
            AccessFile { assertion, access, expires_s }.write(file)?;
        }
        Ok(writeln!(out, "{shown}")?)
    }
}
