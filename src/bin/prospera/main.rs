//! The `prospera` command line.
fn main() {}
