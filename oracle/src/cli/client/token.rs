//! `siwa client tokens`, `take` and `redeem`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use attest::privacy_pass::TokenType;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use policies::TenantId;
use serde_json::json;
use zeroize::Zeroizing;

use super::files::{AccessFile, TokenFile};
use super::{Pins, Reach, Route, nonce_or_random};
use crate::environment::Environment;
use crate::identity_client::IdentityClient;

/// Get anonymous tokens (Privacy Pass), ahead of use, and verify them.
///
/// The issuer sees blinded requests and cannot recognise the tokens later. Fetch more than are needed now, and use them
/// at another time: tokens that are fetched at the moment of use are linked to their holder by the clock.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client tokens --url https://node.example --ca ca.pem --tenant demo-platform \
                        --access access.json --count 8 --out tokens.json")]
pub(super) struct Tokens {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    /// What `login` or `check` wrote.
    #[arg(long, value_name = "FILE")]
    access: PathBuf,
    /// How many, up to 64; the region's policy limits how many a viewer gets in a day.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    count: u8,
    /// 2: verifiable by anyone (blind RSA). 1: by the issuer alone (VOPRF), shorter.
    #[arg(long, value_name = "1|2", default_value = "2", value_parser = token_type)]
    r#type: TokenType,
    /// The file to append the tokens to (mode 0600).
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

fn token_type(text: &str) -> Result<TokenType, String> {
    text.parse().ok().and_then(TokenType::from_code).ok_or_else(|| "a type is 1 or 2".to_owned())
}

impl Tokens {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let access = AccessFile::read(&self.access)?;
        let device = self.reach.device(environment)?;
        let keys = self.pins.keys(&device).await?;
        let tokens = device.tokens(&keys, &access.access, self.r#type, usize::from(self.count)).await;
        let tokens = tokens.context("no tokens")?;
        if tokens.is_empty() {
            bail!("no tokens: the issuer refused each of them");
        }
        let held = TokenFile::append(&self.out, device.tenant(), &tokens)?;
        if self.json {
            return Ok(writeln!(out, "{}", json!({"fetched": tokens.len(), "held": held}))?);
        }
        Ok(writeln!(out, "fetched {}, {} holds {held}", tokens.len(), self.out.display())?)
    }
}

/// Take one token out of the file and print it (base64url), for a call of one's own.
///
/// It goes into `Authorization: PrivateToken token="…"`, or into the platform's `proof.token`. It is good once.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client take --tokens tokens.json")]
pub(super) struct Take {
    /// What `tokens` wrote.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// The platform whose viewer the token is for; any where none is named.
    #[arg(long, value_name = "NAME")]
    tenant: Option<TenantId>,
}

impl Take {
    pub(super) fn act(self, out: &mut impl Write) -> anyhow::Result<()> {
        let token = TokenFile::take(&self.tokens, self.tenant.as_ref())?;
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(token.to_bytes()));
        Ok(writeln!(out, "{}", *text)?)
    }
}

/// Spend one token on a signed answer for the platform, which says: a verified viewer, nobody in particular.
///
/// The token leaves the file before it is shown, whatever becomes of the call.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client redeem --url https://node.example --ca ca.pem --tenant demo-platform \
                        --tokens tokens.json --nonce PLATFORMS-NONCE --relay https://relay.example")]
pub(super) struct Redeem {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    #[command(flatten)]
    route: Route,
    /// What `tokens` wrote.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// The platform's nonce, 1 to 128 bytes, to which the answer is bound; a random one where none is given.
    #[arg(long, value_name = "TEXT")]
    nonce: Option<String>,
    /// Print one JSON object: the answer and its nonce.
    #[arg(long)]
    json: bool,
}

impl Redeem {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let nonce = nonce_or_random(self.nonce, environment)?;
        let (device, relay) = (self.reach.device(environment)?, self.route.relay(&self.reach)?);
        let way = self.route.way(&device, relay.as_ref(), &self.pins).await?;
        let token = TokenFile::take(&self.tokens, Some(device.tenant()))?;
        let answer = IdentityClient::redeem(&way, &token, &nonce).await.context("the token was not redeemed")?;
        if self.json {
            return Ok(writeln!(out, "{}", json!({"answer": answer, "nonce": nonce}))?);
        }
        Ok(writeln!(out, "{answer}")?)
    }
}
