//! `siwa bench`: how fast a node answers, measured as its clients see it.

mod echo;
mod identity;
mod load;
mod rank;

use std::process::ExitCode;

use clap::{Args, Subcommand};

/// Measures a node under load.
#[derive(Args)]
pub(crate) struct BenchCommand {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    Rank(rank::RankBench),
    Identity(identity::IdentityBench),
    List(identity::ListBench),
}

impl BenchCommand {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self.subject {
            Subject::Rank(bench) => bench.run(),
            Subject::Identity(bench) => bench.run(),
            Subject::List(bench) => bench.run(),
        }
    }
}
