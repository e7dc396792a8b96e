//! `chandlery plan` (being written)
use clap::Args;
use std::process::ExitCode;
/// What `plan` takes.
#[derive(Debug, Args)]
pub struct PlanArgs {}
/// Runs the command.
pub fn run(_: &PlanArgs) -> anyhow::Result<ExitCode> { anyhow::bail!("being written") }
