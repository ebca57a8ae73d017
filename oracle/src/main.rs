//! The `siwa` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    oracle::run(std::env::args_os(), oracle::environment::Environment::production())
}
