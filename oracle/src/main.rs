//! The `siwa` program.
fn main() {}
