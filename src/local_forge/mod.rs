//! What would GitHub do?
//!
//! A server on loopback that speaks the part of GitHub's API that Chandlery uses, over real
//! bare repositories. It shares no code with the client, so that a wrong belief about GitHub
//! cannot confirm itself. See docs/local-forge.md.

mod clock;
mod store;
mod setup;
mod seed;
mod objects;
mod reply;
mod render;
mod motion;
mod rules;
mod queue;
mod rename;
mod limits;
mod exchange;
mod faults;
mod webhooks;
mod git_http;
mod apps;
mod rest;
mod graphql;
mod control;
mod listen;
mod server;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub use faults::{Action, Fault};
pub use listen::Listen;
pub use seed::{
    Seed, SeedApp, SeedEnvironment, SeedInstallation, SeedOrganization, SeedProtection, SeedRepository,
    SeedTeam, SeedUser,
};

/// What addresses in answers begin with when there is no other door than a Unix socket.
const NOWHERE: &str = "http://localhost";

/// Where the forge keeps its things and where it listens.
#[derive(Debug, Clone)]
pub struct Options {
    /// Holds `repositories/OWNER/NAME.git` and `state.json`; made when missing.
    pub root: PathBuf,
    pub listen: Vec<Listen>,
    pub seed: Option<Seed>,
    /// Appends every REST exchange to this file, one JSON object a line.
    pub record: Option<PathBuf>,
}

/// A forge that serves until it is shut down or dropped.
#[derive(Debug)]
pub struct Running {
    /// Such as `http://127.0.0.1:40123`; the REST API is below `/api/v3`.
    pub url: String,
    /// All that it listens on, as people write it.
    pub listens: Vec<String>,
    stop: watch::Sender<bool>,
    served: JoinHandle<Result<()>>,
}

impl Running {
    /// Stops serving and writes what is not written yet.
    pub async fn shutdown(self) -> Result<()> {
        self.stop.send_replace(true);
        self.served.await.context("the forge panicked")?
    }

    /// Serves until the process ends.
    pub async fn wait(self) -> Result<()> {
        self.served.await.context("the forge panicked")?
    }
}

/// What every handler may know besides the state.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) root: PathBuf,
    pub(crate) url: String,
    pub(crate) limits: limits::Limits,
}

impl Shared {
    pub(crate) fn git_dir(&self, key: &str) -> PathBuf {
        self.root.join("repositories").join(format!("{key}.git"))
    }
}

/// Starts a forge; it serves when this returns.
pub async fn start(options: Options) -> Result<Running> {
    std::fs::create_dir_all(options.root.join("repositories"))
        .with_context(|| format!("cannot make the folder `{}`", options.root.display()))?;
    let root = std::path::absolute(&options.root)?;
    git_http::install_hook(&root)?;
    let mut doors = Vec::new();
    for listen in &options.listen {
        doors.push(listen::Door::open(listen).await?);
    }
    let listens = doors.iter().map(ToString::to_string).collect();
    let url = doors.iter().find_map(|door| door.url().transpose()).transpose()?;
    let url = url.unwrap_or_else(|| NOWHERE.to_owned());
    let shared = Shared { root, url: url.clone(), limits: limits::Limits::default() };
    let mut state = load(&shared.root.join("state.json"))?;
    if let Some(seed) = &options.seed {
        seed::plant(&mut state, &shared, seed)?;
    }
    let exchanges =
        exchange::Exchanges::recording_to(options.record.as_deref()).context("cannot open the recording")?;
    let forge = server::Forge::new(shared, state, exchanges);
    forge.catch_up()?;
    forge.save()?;
    let (stop, stopped) = watch::channel(false);
    let served = tokio::spawn(server::serve(forge, doors, stopped));
    Ok(Running { url, listens, stop, served })
}

fn load(path: &Path) -> Result<store::State> {
    #[expect(clippy::disallowed_methods, reason = "the forge's own state file")]
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(store::State::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    };
    serde_json::from_slice(&text).with_context(|| {
        format!(
            "cannot read `{}`: if another version wrote it, remove the folder and seed again",
            path.display()
        )
    })
}
