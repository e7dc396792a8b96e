//! `chandlery demo` (being written)
use clap::Args;
use std::process::ExitCode;
/// What `demo` takes.
#[derive(Debug, Args)]
pub struct DemoArgs {}
/// Runs the command.
pub fn run(_: &DemoArgs) -> anyhow::Result<ExitCode> { anyhow::bail!("being written") }
