//! The `siwa` command line: one file a subcommand.

mod account;
mod audit;
mod bench;
mod client;
mod demo;
mod identity;
mod keys;
mod ledger;
mod list;
mod log;
mod model;
mod policy;
mod replay;
mod report;
mod serve;
mod verify_node;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::environment::Environment;

/// Privacy-preserving oracle and personalization service for streaming platforms.
///
/// Regional nodes rank clips for viewers, and check who they are without learning it, on signals that stay in memory and
/// in the region. What leaves a region is differentially private counts; a centre retrains the models from those alone.
/// Start with `siwa demo`.
#[derive(Parser)]
#[command(name = "siwa", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Demo(demo::DemoCommand),
    Replay(replay::ReplayCommand),
    Serve(serve::ServeCommand),
    Policy(policy::PolicyCommand),
    Account(account::AccountCommand),
    Model(model::ModelCommand),
    Ledger(ledger::LedgerCommand),
    Audit(audit::AuditCommand),
    Keys(keys::KeysCommand),
    Identity(identity::IdentityCommand),
    List(list::ListCommand),
    Log(log::LogCommand),
    Client(client::ClientCommand),
    #[command(name = "verify-node")]
    VerifyNode(verify_node::VerifyNodeCommand),
    Bench(bench::BenchCommand),
}

/// Runs the program with these arguments, the first of which is its name, and says how it ended.
///
/// Exit codes: 0 done, 1 it could not be done (the reason is on standard error), 2 the arguments are not understood.
pub fn run(arguments: impl IntoIterator<Item = OsString>, environment: Environment) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(message) => {
            // Help and version end here as well, with code 0. A closed pipe has nobody left to tell.
            let _ = message.print();
            return ExitCode::from(u8::try_from(message.exit_code()).unwrap_or(2));
        }
    };
    dispatch(arguments.command, environment).unwrap_or_else(|error| {
        // Whoever read the output has seen enough, as in `siwa … | head`.
        let closed = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::BrokenPipe;
        if error.downcast_ref::<std::io::Error>().is_some_and(closed) {
            return ExitCode::SUCCESS;
        }
        let _ = writeln!(std::io::stderr(), "siwa: {error:#}");
        ExitCode::FAILURE
    })
}

fn dispatch(command: Command, environment: Environment) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Serve(command) => command.run(environment),
        Command::Policy(command) => command.run(),
        Command::Account(command) => command.run(),
        Command::Model(command) => command.run(),
        Command::Ledger(command) => command.run(),
        Command::Audit(command) => command.run(),
        Command::Keys(command) => command.run(),
        Command::Identity(command) => command.run(&environment),
        Command::List(command) => command.run(&environment),
        Command::Log(command) => command.run(&environment),
        Command::Client(command) => command.run(environment),
        Command::VerifyNode(command) => command.run(&environment),
        Command::Bench(command) => command.run(),
    }
}
