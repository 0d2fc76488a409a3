//! Parse, logging, run, exit code.

fn main() {}
