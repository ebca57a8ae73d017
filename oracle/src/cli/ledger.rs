//! `siwa ledger`

mod budgets;
mod forecast;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aggregator::release::Ledger;
use anyhow::Context as _;
use attest::LedgerCheckpoint;
use attest::ledger_checkpoint::CheckpointExpectation;
use clap::{Args, Subcommand};
use policies::RegionPolicy;
use rand_core::{OsRng, TryRngCore as _};

use self::budgets::Budgets;
use crate::client::{Client, ClientOptions};
use crate::config::{Config, RegionConfig};
use crate::serve::read_policies;
use crate::store::{LedgerFile, LedgerReport, Store};

/// A node's ledger: the durable record of every privacy charge.
#[derive(Args)]
pub(crate) struct LedgerCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make a node's ledger, once in its life.
    ///
    /// A node does not start without its ledger: a missing one means that what was spent is unknown, never that
    /// nothing was. The centre pins the new ledger's id when the node first offers it, and refuses another later.
    ///
    ///   siwa ledger init --config region.toml
    Init {
        /// The node's config file, whose `[region]` names the store.
        #[arg(long)]
        config: PathBuf,
    },
    /// Show what was spent, of which budget.
    ///
    ///   siwa ledger show --config region.toml
    ///   siwa ledger show --store node.sqlite --json
    Show {
        #[command(flatten)]
        source: Source,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Recompute the whole ledger of a stopped node: chain, charges, sums, outbox, and what the centre has confirmed.
    ///
    ///   siwa ledger verify --config region.toml --centre copy-of-centre.sqlite
    Verify {
        #[command(flatten)]
        source: Source,
        /// A centre's store, stopped or copied: what it has followed is compared as well.
        #[arg(long, value_name = "FILE")]
        centre: Option<PathBuf>,
    },
    /// Say how long each yearly budget lasts, at the pace of the last windows and by the policy's plan.
    ///
    ///   siwa ledger forecast --config region.toml --windows 8
    Forecast {
        #[command(flatten)]
        source: Source,
        /// Windows whose pace counts.
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        windows: u32,
        /// Draw with ASCII alone.
        #[arg(long)]
        ascii: bool,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// After a centre has lost its store: have the whole ledger offered to it anew.
    ///
    /// Until then a node releases nothing, since a centre that has less than it once confirmed cannot vouch for what is
    /// missing. Do this only when you know that it was the centre's file that was lost, and not the node's that was
    /// exchanged: compare both with the public log first.
    Reintroduce {
        /// The node's config file.
        #[arg(long)]
        config: PathBuf,
    },
}

/// Where the ledger is, and by which policy it is judged.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The node's config file. A running node is asked at its admin listener.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The store of a stopped node. Budgets stand in the policy, which a store does not name: they are not shown.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

/// A ledger's content, and the node's config where there is one.
struct Opened {
    report: LedgerReport,
    region: Option<(RegionConfig, RegionPolicy)>,
}

impl LedgerCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Init { config } => init(&config),
            Action::Show { source, json } => show(&source, json),
            Action::Verify { source, centre } => verify(&source, centre.as_deref()),
            Action::Forecast { source, windows, ascii, json } => {
                let opened = source.open()?;
                let Opened { report, region } = opened;
                let (_, policy) = region.context("a forecast needs the policy: give --config")?;
                let forecasts = forecast::forecast(&report, &policy, windows);
                let text = if json { forecast::json(&forecasts)? } else { forecast::table(&forecasts, ascii) };
                write!(std::io::stdout(), "{text}")?;
                Ok(ExitCode::SUCCESS)
            }
            Action::Reintroduce { config } => reintroduce(&config),
        }
    }
}

fn region_of(config: &Path) -> anyhow::Result<(Config, RegionConfig)> {
    let config = Config::load(config)?;
    let region = config.region.clone().context("the config has no [region]: a centre keeps no ledger")?;
    Ok((config, region))
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("no runtime")
}

fn init(config: &Path) -> anyhow::Result<ExitCode> {
    let (_, region) = region_of(config)?;
    let made = runtime()?.block_on(async {
        let store = Store::create_sqlite(&region.store)?;
        anyhow::Ok(Ledger::initialise(&store, &mut OsRng.unwrap_err()).await?)
    })?;
    let id = made.with_context(|| format!("{} holds a ledger already; it is never reset", region.store.display()))?;
    writeln!(std::io::stdout(), "made ledger {id} in {}", region.store.display())?;
    Ok(ExitCode::SUCCESS)
}

impl Source {
    fn open(&self) -> anyhow::Result<Opened> {
        if let Some(store) = &self.store {
            return Ok(Opened { report: open_file(store)?.report()?, region: None });
        }
        let config = self.config.as_deref().context("give --config or --store")?;
        let (config, region) = region_of(config)?;
        let policies = read_policies(&region.policies)?;
        let policy = policies.region(&region.region).context("the policies have no such region")?.clone();
        // A file that its node has open cannot be read beside it: its lock is what keeps two nodes off one ledger.
        let report = match LedgerFile::open(&region.store).map(|file| file.report()) {
            Ok(Ok(report)) => report,
            Ok(Err(_)) | Err(crate::store::OpenError::InUse) => ask(config.listen.admin)?,
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", region.store.display())),
        };
        Ok(Opened { report, region: Some((region, policy)) })
    }

    fn file(&self) -> anyhow::Result<(LedgerFile, Option<RegionConfig>)> {
        if let Some(store) = &self.store {
            return Ok((open_file(store)?, None));
        }
        let (_, region) = region_of(self.config.as_deref().context("give --config or --store")?)?;
        Ok((open_file(&region.store)?, Some(region)))
    }
}

fn open_file(store: &Path) -> anyhow::Result<LedgerFile> {
    LedgerFile::open(store).with_context(|| format!("cannot read {}", store.display()))
}

fn ask(admin: SocketAddr) -> anyhow::Result<LedgerReport> {
    let client = Client::new(ClientOptions::new(format!("http://{admin}"), Vec::new()))?;
    let answer = runtime()?.block_on(client.get("/ledger").send());
    Ok(answer.with_context(|| format!("the store cannot be read, and no node answers at {admin}"))?.json()?)
}

fn show(source: &Source, json: bool) -> anyhow::Result<ExitCode> {
    let Opened { report, region } = source.open()?;
    let budgets = Budgets::of(&report, region.as_ref().map(|(_, policy)| policy));
    let mut out = std::io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string_pretty(&budgets)?)?;
    } else {
        write!(out, "{budgets}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(source: &Source, centre: Option<&Path>) -> anyhow::Result<ExitCode> {
    let (file, region) = source.file()?;
    let mut out = std::io::stdout().lock();
    let ledger = file.report()?.ledger;
    // 1. The file against itself, and against the head that the centre last confirmed.
    let head = file.examine().context("the ledger contradicts itself")?;
    writeln!(
        out,
        "ledger {ledger}: {} entries, head {}: chain, charges, sums and outbox agree",
        head.entries, head.digest
    )?;
    // 2. That confirmation's signature.
    match (file.checkpoint()?, region) {
        (None, _) => writeln!(out, "the centre has confirmed nothing yet")?,
        (Some(kept), None) => writeln!(out, "confirmed up to entry {} (signature not checked)", kept.head.entries)?,
        (Some(kept), Some(region)) => {
            let name = ledger.to_string();
            let expected =
                CheckpointExpectation { ledger: &name, node: &region.node, region: &region.region, nonce: None };
            let verified = LedgerCheckpoint::verify(&kept.token, &region.centre.key, &expected)
                .context("the kept checkpoint is not the centre's")?;
            let claims = verified.claims();
            let same = (claims.entries, claims.head) == (kept.head.entries, kept.head.digest);
            anyhow::ensure!(same, "the kept checkpoint is not the one that was signed");
            writeln!(out, "confirmed by the centre up to entry {}, signed at {}", claims.entries, claims.iat)?;
        }
    }
    // 3. What a centre has.
    if let Some(centre) = centre {
        let followed = open_file(centre)?.followed(ledger)?.context("this centre knows no such ledger")?;
        let own = file.head_at(followed.entries)?;
        let own = own.with_context(|| format!("rolled back: the centre has {} entries", followed.entries))?;
        anyhow::ensure!(own == followed, "forked: the centre has other entries than this ledger");
        writeln!(out, "the centre's store has {} entries, the same ones", followed.entries)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn reintroduce(config: &Path) -> anyhow::Result<ExitCode> {
    let (_, region) = region_of(config)?;
    let forgotten = runtime()?.block_on(async {
        let store = Store::open_sqlite(&region.store)?;
        anyhow::Ok(store.forget_checkpoint().await?)
    })?;
    anyhow::ensure!(forgotten, "the centre had confirmed nothing: all of the ledger is offered as it is");
    writeln!(std::io::stdout(), "the whole ledger is offered to the centre when the node starts")?;
    Ok(ExitCode::SUCCESS)
}
