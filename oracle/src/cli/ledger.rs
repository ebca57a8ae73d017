//! `siwa ledger`

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use aggregator::release::Ledger;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use rand_core::{OsRng, TryRngCore as _};

use crate::config::Config;
use crate::store::Store;

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
    /// nothing was. The centre pins the new ledger's id at the node's first release, and refuses another later.
    ///
    ///   siwa ledger init --config region.toml
    Init {
        /// The node's config file, whose `[region]` names the store.
        #[arg(long)]
        config: PathBuf,
    },
}

impl LedgerCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Action::Init { config } = self.action;
        let config = Config::load(&config)?;
        let region = config.region.context("the config has no [region]: a centre keeps no ledger")?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().context("no runtime")?;
        let made = runtime.block_on(async {
            let store = Store::create_sqlite(&region.store)?;
            anyhow::Ok(Ledger::initialise(&store, &mut OsRng.unwrap_err()).await?)
        })?;
        let id =
            made.with_context(|| format!("{} holds a ledger already; it is never reset", region.store.display()))?;
        writeln!(std::io::stdout(), "made ledger {id} in {}", region.store.display())?;
        Ok(ExitCode::SUCCESS)
    }
}
