//! What can be brought into a catalog from elsewhere?

use std::process::ExitCode;

use clap::{Args, Subcommand};

mod port;

/// Bring in what is kept elsewhere
#[derive(Debug, Args)]
pub struct ImportArgs {
    #[command(subcommand)]
    from: From,
}

#[derive(Debug, Subcommand)]
enum From {
    Port(port::PortArgs),
}

/// Runs the command.
///
/// # Errors
/// When files cannot be read or written.
pub fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    match &args.from {
        From::Port(args) => port::run(args),
    }
}
