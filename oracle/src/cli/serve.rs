//! `siwa serve`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tracing_subscriber::EnvFilter;

use crate::config::Config;
use crate::environment::Environment;
use crate::serve;

/// Run the roles that a config names: a regional node, a centre, or both.
///
/// On SIGTERM or Ctrl-C the process drains: nothing new begins, running requests finish, the open window is discarded,
/// persisted releases are offered once more, and it ends within `drain_deadline_ms`. Logs are JSON on standard error.
///
///   siwa ledger init --config region.toml     once, at a node
///   siwa serve --config region.toml
///
/// Samples of every setting are in deploy/config.
#[derive(Args)]
pub(crate) struct ServeCommand {
    /// The config file.
    #[arg(long)]
    config: PathBuf,
    /// What to log, such as `info` or `oracle=debug`.
    #[arg(long, default_value = "info")]
    log: String,
}

impl ServeCommand {
    pub(crate) fn run(self, environment: Environment) -> anyhow::Result<ExitCode> {
        let filter = EnvFilter::try_new(&self.log).context("--log is not a filter")?;
        tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
        let config = Config::load(&self.config)?;
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        runtime.block_on(serve::serve(config, environment))?;
        Ok(ExitCode::SUCCESS)
    }
}
