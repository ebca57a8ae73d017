//! Everything with a socket, a file or a clock, and the siwa program.

pub mod clock;
pub mod http;
