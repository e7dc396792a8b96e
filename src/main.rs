//! The program: parse, run, exit code.

use std::process::ExitCode;

use chandlery::cli::{Cli, run};
use clap::Parser;

fn main() -> ExitCode {
    run(Cli::parse())
}
