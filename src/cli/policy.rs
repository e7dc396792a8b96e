//! `chandlery policy`: what is to be done with policies.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::test::policy::{PolicyTestArgs, run as test};

/// Try the policies of a catalog
#[derive(Debug, Args)]
pub struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    Test(PolicyTestArgs),
}

/// Does what was asked and says how it went.
///
/// # Errors
/// When something cannot be read.
pub fn run(args: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &args.command {
        PolicyCommand::Test(args) => test(args),
    }
}
