//! `siwa verify-node`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use attest::VerifyingKey;
use clap::Args;
use policies::{NodeId, PolicySet, RegionId, Status};
use rand_core::{OsRng, TryRngCore as _};

use crate::client::ClientOptions;
use crate::environment::Environment;
use crate::http::certificates_from_pem_file;
use crate::node_check::{Checked, Reviewed, check};
use crate::policy_folder;

/// Hold a node against the policy files that you reviewed: is it what it says it is, and does it run under exactly these?
///
/// Asks the node for evidence with a nonce of its own. Recomputes the digest of the reviewed files; verifies the evidence
/// by the trust anchors and reference values in them; checks that the evidence covers that digest, the nonce, and the key
/// that this very connection is served with, so that nobody stands between; and looks the node's keys for capsules and
/// tokens up in its log of keys. Prints yes or no, and why.
///
/// Exit codes: 0 yes, 1 no, 2 the node gave no evidence, or the arguments or files are wrong.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  siwa verify-node https://eu-north.example --region eu-north --ca ca.pem --policy policies\n  siwa \
                        verify-node https://127.0.0.1:8443 --region eu-west --ca ca.pem --policy policies --node-key \
                        KEY --json"
)]
pub(crate) struct VerifyNodeCommand {
    /// The node's address.
    #[arg(value_name = "https://HOST[:PORT]")]
    url: String,
    /// The roots (PEM) of which one vouches for the node's certificate.
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// The reviewed policy folder.
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// The region that the node is meant to be of: its rule applies, whatever the node says.
    #[arg(long, value_name = "NAME")]
    region: RegionId,
    /// The name that the node is meant to have.
    #[arg(long, value_name = "NAME")]
    node: Option<NodeId>,
    /// Reference values of your own, in the form of the folder's `attestation.toml`, which they replace for this check.
    #[arg(long, value_name = "FILE")]
    reference: Option<PathBuf>,
    /// The node's public key, as its operator published it. A node in software is known by nothing else.
    #[arg(long, value_name = "KEY")]
    node_key: Option<VerifyingKey>,
    /// The attestation key of a centre that you believe where it says that a TPM is genuine. Can be repeated.
    #[arg(long, value_name = "KEY")]
    enrolled_by: Vec<VerifyingKey>,
    /// The key that signs the node's log of keys, as its operator published it.
    #[arg(long, value_name = "KEY")]
    log_key: Option<VerifyingKey>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Code 1: no.
const NO: u8 = 1;
/// Code 2, as clap gives it too.
const USAGE: u8 = 2;

impl VerifyNodeCommand {
    /// Asks, checks and prints.
    ///
    /// # Errors
    /// When standard output or standard error cannot be written.
    pub(crate) fn run(self, environment: &Environment) -> anyhow::Result<ExitCode> {
        match self.checked(environment) {
            Ok(checked) => {
                self.print(&checked, &mut std::io::stdout().lock())?;
                Ok(if checked.yes { ExitCode::SUCCESS } else { ExitCode::from(NO) })
            }
            Err(error) => {
                writeln!(std::io::stderr().lock(), "error: {error:#}")?;
                Ok(ExitCode::from(USAGE))
            }
        }
    }

    fn checked(&self, environment: &Environment) -> anyhow::Result<Checked> {
        let mut files = policy_folder::read(&self.policy)?;
        let policies = parsed(&files)?;
        let reference = match &self.reference {
            None => None,
            Some(path) => {
                let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
                files.insert("attestation.toml".to_owned(), text);
                Some(parsed(&files)?)
            }
        };
        let reviewed = Reviewed {
            policies: &policies,
            reference: reference.as_ref(),
            region: &self.region,
            node: self.node.as_ref(),
            log_key: self.log_key.as_ref(),
            node_key: self.node_key.as_ref(),
            enrolled_by: &self.enrolled_by,
        };
        let options = ClientOptions::new(self.url.clone(), certificates_from_pem_file(&self.ca)?);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let now_ms = environment.clock.now_ms();
        Ok(runtime.block_on(check(options, &reviewed, now_ms, &mut OsRng.unwrap_err()))?)
    }

    fn print(&self, checked: &Checked, out: &mut impl Write) -> anyhow::Result<()> {
        if self.json {
            writeln!(out, "{}", serde_json::to_string(checked)?)?;
            return Ok(());
        }
        writeln!(out, "{}: {} in {}", if checked.yes { "yes" } else { "no" }, checked.node, checked.region)?;
        writeln!(out, "  verdict   {}", checked.verdict)?;
        writeln!(out, "  policy    {}", checked.policy)?;
        writeln!(out, "  config    {}, compared with nothing", checked.config)?;
        let profile = checked.profile.as_deref().unwrap_or("none");
        writeln!(out, "  evidence  {}, profile {profile}, tier {}", checked.evidence, word(checked.tier)?)?;
        writeln!(out, "  status    {}", word(checked.status)?)?;
        for claim in &checked.claims {
            let mark = match claim.status {
                Status::Affirming => "ok  ",
                Status::Warning => "warn",
                Status::Contraindicated => "NO  ",
            };
            writeln!(out, "  {mark}  {}", claim.sentence)?;
        }
        Ok(())
    }
}

/// A value's word, as it stands in JSON.
fn word(value: impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_value(value)?.as_str().unwrap_or_default().to_owned())
}

fn parsed(files: &std::collections::BTreeMap<String, Vec<u8>>) -> anyhow::Result<PolicySet> {
    PolicySet::parse(files).map_err(|findings| {
        let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the policy files have errors:\n{}", texts.join("\n"))
    })
}
