//! Everything with a socket, a file or a clock, and the siwa program.
