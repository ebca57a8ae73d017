//! `siwa demo`

mod attestation;
mod content;
mod emulator;
mod identity;

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use policies::RegionId;
use serde::Serialize;

use attestation::AttestationShown;
use content::ContentShown;
use identity::IdentityShown;

use super::replay::progress;
use super::report::Report;
use crate::audience::{Course, Synthetic};
use crate::cluster::{Cluster, ClusterOptions};
use crate::environment::NoiseMode;

/// The tenant that the sample policies grant this to.
const TENANT: &str = "demo-platform";
/// Regions of the sample policies, in two jurisdictions.
const REGIONS: [&str; 2] = ["eu-west", "us-east"];
/// Sessions at the start that are ranked at random.
const UNIFORM_SESSIONS: usize = 500;
const ITEMS: u64 = 200;
const DECISIONS: usize = 10;
const CANDIDATES: usize = 20;
const AUDIENCE_SEED: u64 = 20_260;

/// Start a centre and two regional nodes on this machine and watch the whole loop turn.
///
/// Everything is real but the viewers: TLS by a development CA made on the spot, the sample policies and their budgets,
/// calibrated noise, durable ledgers, models retrained from the releases alone. The audience is synthetic, and time is
/// accelerated: a window, a week by the sample policies, lasts a few seconds. At the end one viewer makes an account, shows
/// a credential, fetches anonymous tokens, is ranked for with one of them, and looks clips up in a private list with others;
/// and every node is held against the policies. Where swtpm is installed, the first region's node attests by an emulated TPM.
#[derive(Args)]
#[command(after_help = "Examples:\n  siwa demo            stays up until Ctrl-C, to be looked at\n  \
                        siwa demo --exit     ends after the last window")]
pub(crate) struct DemoCommand {
    /// End after the last window.
    #[arg(long)]
    exit: bool,
    /// Windows to run through.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=50))]
    windows: u16,
    /// Sessions in each window, over both regions.
    #[arg(long, default_value_t = 4000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    sessions: u32,
    /// Print one JSON object after the last window.
    #[arg(long)]
    json: bool,
}

/// The report and where to look.
#[derive(Serialize)]
struct DemoReport {
    #[serde(flatten)]
    report: Report,
    audience: &'static str,
    #[serde(flatten)]
    shown: Shown,
    addresses: Vec<Address>,
}

/// What a viewer and an auditor saw after the last window.
#[derive(Serialize)]
struct Shown {
    identity: IdentityShown,
    attestation: AttestationShown,
    content: ContentShown,
}

#[derive(Serialize)]
struct Address {
    role: String,
    url: String,
    admin: String,
}

impl DemoCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        runtime.block_on(self.demo())?;
        Ok(ExitCode::SUCCESS)
    }

    async fn demo(&self) -> anyhow::Result<()> {
        let regions: Vec<RegionId> = REGIONS.iter().map(|region| region.parse()).collect::<Result<_, _>>()?;
        let prepared = attestation::prepare(&regions[0]).await?;
        let budget = prepared.policies.region(&regions[0]).context("no such sample region")?.budget.clone();
        let epsilon = policies::zcdp::epsilon(budget.rho_per_window, budget.delta);
        let noise = NoiseMode::Calibrated;
        let options = ClusterOptions {
            regions,
            policies: prepared.policies.clone(),
            tenant: TENANT.parse()?,
            noise,
            seed: None,
            identity: true,
            attestation: prepared.attestation.clone(),
        };
        let cluster = Cluster::start(options).await?;
        let visits = usize::from(self.windows) * usize::try_from(self.sessions)?;
        let (catalogue, audience) = Synthetic {
            items: ITEMS,
            visits,
            decisions_per_visit: DECISIONS,
            candidates_per_decision: CANDIDATES,
            seed: AUDIENCE_SEED,
        }
        .generate();
        cluster.upload_catalogue(&catalogue).await?;
        let items = audience.items.clone();
        let bar = progress(self.json, visits as u64, "{bar:40} {pos}/{len} synthetic sessions, {eta} left, {msg}");
        let course = Course {
            audience: Arc::new(audience),
            windows: self.windows.into(),
            connections: 1,
            uniform_sessions: UNIFORM_SESSIONS.min(visits / 2),
        };
        let outcome = course.run(&cluster, &bar).await?;
        bar.finish_and_clear();
        let (identity, content) = identity::show(&cluster, &items).await.context("the identity service")?;
        let attestation = attestation::show(&cluster, &prepared).await.context("the nodes' evidence")?;
        let shown = Shown { identity, attestation, content };
        let names = REGIONS.map(String::from);
        let report = Report::new(outcome, &names, noise, Some(epsilon), budget.delta);
        self.print(report, shown, &cluster)?;
        if !self.exit {
            tokio::signal::ctrl_c().await.context("cannot wait for Ctrl-C")?;
        }
        cluster.stop().await;
        Ok(())
    }

    fn print(&self, report: Report, shown: Shown, cluster: &Cluster) -> anyhow::Result<()> {
        let mut out = std::io::stdout().lock();
        if self.json {
            let address = |role: &crate::cluster::Listening| Address {
                role: role.name.clone(),
                url: role.url.clone(),
                admin: role.admin.clone(),
            };
            let addresses = cluster.listening().iter().map(address).collect();
            let demo = DemoReport { report, audience: "synthetic", shown, addresses };
            writeln!(out, "{}", serde_json::to_string(&demo)?)?;
            return Ok(out.flush()?);
        }
        writeln!(out, "The audience is synthetic; model 0 is the prior, before anything was learned.\n")?;
        out.write_all(report.tables().as_bytes())?;
        writeln!(out)?;
        out.write_all(shown.identity.table().as_bytes())?;
        writeln!(out)?;
        out.write_all(shown.content.table().as_bytes())?;
        writeln!(out)?;
        out.write_all(shown.attestation.table()?.as_bytes())?;
        if self.exit {
            return Ok(());
        }
        let ca = std::env::temp_dir().join(format!("siwa-demo-ca-{}.pem", std::process::id()));
        std::fs::write(&ca, cluster.ca_pem()).with_context(|| format!("cannot write {}", ca.display()))?;
        writeln!(out, "\nTo look at, until Ctrl-C:")?;
        for role in cluster.listening() {
            writeln!(
                out,
                "  {:8} {}/openapi.json   {}/metrics   {}/readyz",
                role.name, role.url, role.admin, role.admin
            )?;
        }
        let node = &cluster.listening()[1];
        writeln!(
            out,
            "\n  curl --cacert {} -H 'Authorization: Bearer {}' \\\n       --json '{{}}' {}/v1/sessions",
            ca.display(),
            cluster.api_key(),
            node.url
        )?;
        Ok(out.flush()?)
    }
}
