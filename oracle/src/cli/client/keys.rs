//! `siwa client keys`.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context as _;
use attest::privacy_pass::IssuerDirectory;
use clap::Args;
use comfy_table::{Table, presets};
use serde_json::json;

use super::{Pins, Reach};
use crate::environment::Environment;
use crate::identity_client::ServiceKeys;

/// Verify the service's log of keys and its directory of token keys, and print them.
///
/// A key that was made for one viewer alone would undo what anonymous tokens promise. Compare what is printed with what
/// others see, pin the log's key, and let `--seen` remember the log.
#[derive(Args)]
#[command(after_help = "Example:\n  siwa client keys --url https://node.example --ca ca.pem --tenant demo-platform \
                        --seen service.log")]
pub(super) struct Keys {
    #[command(flatten)]
    reach: Reach,
    #[command(flatten)]
    pins: Pins,
    /// Print one JSON object, with the signed statements.
    #[arg(long)]
    json: bool,
}

impl Keys {
    pub(super) async fn act(self, environment: &Arc<Environment>, out: &mut impl Write) -> anyhow::Result<()> {
        let device = self.reach.device(environment)?;
        let keys = self.pins.keys(&device).await?;
        let directory = device.directory(&keys).await.context("the directory of token keys")?;
        if self.json {
            let directory: serde_json::Value = serde_json::from_str(&directory.to_json())?;
            let shown = json!({
                "issuer": keys.issuer(),
                "log_key": keys.log_key(),
                "head": keys.log().head(),
                "statements": keys.log().texts(),
                "directory": directory,
            });
            return Ok(writeln!(out, "{shown}")?);
        }
        write_tables(out, &keys, &directory, environment.clock.now_s())
    }
}

fn write_tables(
    out: &mut impl Write,
    keys: &ServiceKeys,
    directory: &IssuerDirectory,
    now_s: u64,
) -> anyhow::Result<()> {
    let (log_key, head) = (keys.log_key(), keys.log().head());
    writeln!(out, "{}\nthe log of keys is signed by {log_key} and ends in {head}", keys.issuer())?;
    let mut epochs = table(["epoch", "kind", "issues from", "issues until", "accepted until"]);
    for epoch in keys.log().epochs() {
        let times = [epoch.begins_s, epoch.issues_until_s, epoch.accepted_until_s].map(date);
        epochs.add_row([epoch.number.to_string(), epoch.kind.as_str().to_owned()].into_iter().chain(times));
    }
    writeln!(out, "{epochs}\ntoken requests go to {}", directory.request_uri())?;
    let mut listed = table(["type", "token key id", "issues"]);
    for entry in directory.keys() {
        let id: String = entry.key.id().as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let begins = entry.not_before_seconds.filter(|begins_s| *begins_s > now_s);
        let issues = begins.map_or_else(|| "now".to_owned(), |begins_s| format!("from {}", date(begins_s)));
        listed.add_row([entry.key.token_type().code().to_string(), id, issues]);
    }
    Ok(writeln!(out, "{listed}")?)
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(header);
    table
}

/// A day and time, from Unix seconds. A statement may name one that no calendar has.
fn date(seconds: u64) -> String {
    /// The end of the year 9999, where HTTP's dates end.
    const SECONDS_MAX: u64 = 253_402_300_799;
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds.min(SECONDS_MAX)))
}
