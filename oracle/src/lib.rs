//! Everything with a socket, a file or a clock, and the siwa program.

pub mod attester;
mod audience;
pub mod centre;
pub mod cli;
pub mod client;
pub mod clock;
mod cluster;
pub mod config;
pub mod environment;
pub mod http;
mod identity_client;
mod identity_folder;
mod lists;
pub mod log;
pub mod node_check;
mod policy_folder;
mod policy_signing;
pub mod region;
mod serve;
#[cfg(test)]
mod simulation;
pub mod store;
mod workers;

pub use cli::run;
