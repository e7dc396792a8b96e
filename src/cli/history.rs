//! Which commits of the catalog's line does a command look at?

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{config::clock, validate::locate};
use crate::{
    catalog::{Root, Settings, load_settings},
    domain::{ObjectId, RepoPath, Timestamp},
    git::objects::Objects,
    plan::audit::Landed,
};

/// Which catalog, in a local clone.
#[derive(Debug, Args)]
pub(super) struct Clone {
    /// The folder of the catalog, in a clone of its repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    /// The folder of the repository that holds the catalog, instead of DIR itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
}

/// The line of first parents of a commit.
pub(super) struct Line {
    pub(super) objects: Objects,
    pub(super) root: Root,
    pub(super) settings: Settings,
    /// Those that changed something in the catalog, oldest first.
    pub(super) landed: Vec<Landed>,
    /// All, oldest first.
    pub(super) all: Vec<ObjectId>,
}

impl Clone {
    /// The one in this folder.
    pub(super) fn at(catalog: PathBuf, root: Option<RepoPath>) -> Self {
        Self { catalog, root }
    }

    /// Reads the line of a commit.
    pub(super) fn line(&self, rev: &str) -> anyhow::Result<Line> {
        let objects = open(&self.catalog)?;
        let root = match (&self.root, objects.has_work_tree()) {
            (None, true) => locate(&self.catalog, None)?.root,
            (folder, _) => Root(folder.clone()),
        };
        let head = objects.commit_named(rev, Timestamp::from_seconds(clock()))?;
        let file = objects.file(head, &root.settings_path())?;
        let Ok(settings) = load_settings(&root, file.as_ref().map(|file| &file.bytes)) else {
            bail!("`{rev}` holds no catalog that can be read: run `chandlery validate`");
        };
        let folders = &settings.folders;
        let (landed, all) = objects.landed(head, &[&folders.entities, &folders.requests])?;
        Ok(Line { objects, root, settings, landed, all })
    }
}

fn open(folder: &Path) -> anyhow::Result<Objects> {
    Objects::open(folder).with_context(|| format!("`{}` is not in a Git repository", folder.display()))
}
