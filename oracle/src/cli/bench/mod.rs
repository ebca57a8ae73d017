//! `siwa bench`: how fast a node answers, measured as its clients see it.

mod audit;
mod echo;
mod identity;
mod load;
mod rank;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Measures a node under load, or an audit.
#[derive(Args)]
pub(crate) struct BenchCommand {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    Audit(audit::AuditBench),
    Rank(rank::RankBench),
    Identity(identity::IdentityBench),
    List(identity::ListBench),
}

impl BenchCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.subject {
            Subject::Audit(bench) => bench.run(),
            Subject::Rank(bench) => bench.run(),
            Subject::Identity(bench) => bench.run(),
            Subject::List(bench) => bench.run(),
        }
    }
}
