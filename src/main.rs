//! The program: parse, run, exit code.

use std::process::ExitCode;

use chandlery::cli::{Cli, run};
use clap::Parser;

/// Reading a catalog is making very many small things, in which the allocator of a C library is slow, and musl's very.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(Cli::parse())
}
