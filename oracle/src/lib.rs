//! Everything with a socket, a file or a clock, and the siwa program.

pub mod centre;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod environment;
pub mod http;
mod policy_folder;
pub mod store;

pub use cli::run;
