//! `chandlery forge`: serves the local forge until it is told to stop.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use crate::local_forge::{self, Listen, Options, Seed};

/// Serve a forge on loopback that behaves like GitHub
///
/// Exit codes: 0 it was told to stop, 2 wrong usage, 3 its files or its address could not be used.
#[derive(Debug, Args)]
pub struct ForgeArgs {
    /// Folder of the repositories and the state; made when missing
    #[arg(long, value_name = "DIR")]
    root: PathBuf,
    /// Loopback address, where port 0 takes a free one, or unix:PATH for a Unix socket, where the API is that of
    /// api.github.com; may be given more than once
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: Vec<Listen>,
    /// Users, organisations and repositories to begin with (YAML)
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Append every REST exchange to this file, one JSON object a line
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Stop when standard input ends
    #[arg(long)]
    exit_with_parent: bool,
}

/// Serves until it is told to stop.
///
/// # Errors
/// When its files or its address cannot be used.
pub fn run(args: ForgeArgs) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        let seed = args.seed.as_deref().map(Seed::read).transpose()?;
        let options = Options { root: args.root, listen: args.listen, seed, record: args.record };
        let forge = local_forge::start(options).await?;
        let mut output = std::io::stdout().lock();
        for listens in &forge.listens {
            writeln!(output, "listening on {listens}")?;
        }
        output.flush()?;
        drop(output);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            () = parent_gone(), if args.exit_with_parent => {}
        }
        forge.shutdown().await
    })?;
    // Reading standard input cannot be cancelled; whatever still waits there is given up.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}

async fn parent_gone() {
    let read_all = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    drop(tokio::task::spawn_blocking(read_all).await);
}
