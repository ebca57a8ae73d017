//! The `siwa` program, which tests can have stand still where they want to kill it: `--stop-at=NAME` comes first.

use std::ffi::OsString;
use std::process::ExitCode;

use oracle::environment::{Environment, StopPoint};

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let mut environment = Environment::production();
    let name = arguments.get(1).and_then(|first| first.to_str()?.strip_prefix("--stop-at=")).map(str::to_owned);
    if let Some(name) = name {
        environment.stop_at = StopPoint::ALL.into_iter().find(|point| point.as_str() == name);
        if environment.stop_at.is_none() {
            return ExitCode::from(2);
        }
        arguments.remove(1);
    }
    oracle::run(arguments, environment)
}
