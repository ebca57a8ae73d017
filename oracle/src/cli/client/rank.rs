//! `siwa client rank`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;

use super::files::TokenFile;
use super::{Pins, Reach, Route};
use crate::environment::Environment;
use crate::identity_client::DeviceSession;

/// Begin a session with one anonymous token, rank candidates, and end it. Prints the order.
///
/// Nobody is named: the token alone admits, and the session's name is the key to it. Calls go in capsules through the
/// node's oblivious gateway.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client rank --url https://node.example --ca ca.pem --tenant demo-platform \
                        --tokens tokens.json --candidates clip-1,clip-2 --relay https://relay.example")]
pub(super) struct Rank {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    #[command(flatten)]
    route: Route,
    /// What `tokens` wrote.
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Ids of the catalogue.
    #[arg(long, value_name = "ID,…", value_delimiter = ',', required = true)]
    candidates: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Rank {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let (device, relay) = (self.reach.device(environment)?, self.route.relay(&self.reach)?);
        let way = self.route.way(&device, relay.as_ref(), &self.pins).await?;
        let token = TokenFile::take(&self.tokens, Some(device.tenant()))?;
        let session = DeviceSession::begin(&way, &token).await.context("no session")?;
        let ranking = session.rank(&self.candidates).await;
        // Also after a refusal: nothing is left behind at the node.
        let ended = session.end().await;
        let ranking = ranking.context("no ranking")?;
        ended.context("the session was not ended")?;
        if self.json {
            return Ok(writeln!(out, "{}", serde_json::to_string(&ranking)?)?);
        }
        for ranked in &ranking.order {
            writeln!(out, "{}", ranked.item)?;
        }
        Ok(())
    }
}
