//! What does the catalog say? The commands that only ask: each reads a folder or a commit, and prints.

pub mod get;
pub mod list;
pub mod search;
pub mod graph;
pub mod scorecard;
pub mod history;
pub mod blame;
pub mod diff;
mod past;
pub(super) mod print;

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;

use super::{
    config::clock,
    output,
    validate::{commit, files_of_work_tree},
};
use crate::{
    catalog::{Definitions, Files, load_definitions, load_settings, view::View},
    domain::{Blueprint, BlueprintId, EntityId, ObjectId, RepoPath, Timestamp, nearest},
    git::objects::{NoCommit, Objects},
    index::{Index, Kept, Whole},
};

/// Which catalog is asked.
#[derive(Debug, Args)]
pub struct Asked {
    /// The folder of the catalog
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    /// Ask this commit instead of the files on disk: a branch, a tag, an object id, or a day such as 2026-11-24
    #[arg(long, value_name = "REV|DATE")]
    at: Option<String>,
    /// What `lastWeek`, `isExpired` and the like are seen from, instead of now
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// The folder of the repository that holds the catalog, instead of DIR itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
}

/// A catalog that has been read.
pub(super) struct Read {
    catalog: PathBuf,
    at: Option<String>,
    definitions: Definitions,
    source: Source,
    now: Timestamp,
}

/// Where its entities are.
enum Source {
    /// In files on disk, all of which were read.
    Files(Files),
    /// In a commit, of which what is asked for is read.
    Commit(Box<Index>),
}

impl Asked {
    fn read(&self) -> anyhow::Result<Read> {
        let now = self.now.unwrap_or_else(|| Timestamp::from_seconds(clock()));
        let (definitions, source) = match &self.at {
            Some(rev) => {
                let commit = commit(&self.catalog, self.root.as_ref(), rev)?;
                let definitions = self.definitions(&commit.definitions()?)?;
                let index = commit.index(&definitions, &Kept::beside(commit.objects.common_folder()))?;
                (definitions, Source::Commit(Box::new(index)))
            }
            None => {
                let whole = files_of_work_tree(&self.catalog, self.root.as_ref())?;
                (self.definitions(&whole)?, Source::Files(whole.files))
            }
        };
        Ok(Read { catalog: self.catalog.clone(), at: self.at.clone(), definitions, source, now })
    }

    fn definitions(&self, found: &Whole) -> anyhow::Result<Definitions> {
        let Ok(settings) = load_settings(&found.root, found.files.get(&found.root.settings_path())) else {
            bail!("this is no catalog that can be read: run `chandlery validate {}`", self.catalog.display());
        };
        let (definitions, problems) = load_definitions(&found.root, settings, &found.files);
        if !problems.is_empty() {
            output::complain(
                "the definitions have problems, and what they touch is left out: run `chandlery validate`",
            );
        }
        Ok(definitions)
    }
}

impl Read {
    /// The commit that is asked, or the newest.
    fn commit(&self, objects: &Objects) -> Result<ObjectId, NoCommit> {
        objects.commit_named(self.at.as_deref().unwrap_or("HEAD"), Timestamp::from_seconds(clock()))
    }

    fn view(&self) -> View<'_> {
        let past = || past::lives(self);
        let view = match &self.source {
            Source::Files(files) => View::new(&self.definitions, files, self.now, past),
            Source::Commit(index) => View::over(&self.definitions, &**index, self.now, past),
        };
        let count = view.unreadable();
        if count > 0 {
            output::complain(&format!(
                "{count} entities have mistakes, and are left out: run `chandlery validate`"
            ));
        }
        view
    }

    /// The blueprint of this name.
    fn blueprint(&self, name: &str) -> anyhow::Result<&Blueprint> {
        let found = name.parse::<BlueprintId>().ok().and_then(|name| self.definitions.blueprints.get(&name));
        found.with_context(|| {
            let known: Vec<&str> = self.definitions.blueprints.keys().map(BlueprintId::as_str).collect();
            match nearest(name, known.iter().copied()) {
                Some(near) => format!("there is no blueprint `{name}`; did you mean `{near}`?"),
                None => format!("there is no blueprint `{name}`; there are {}", known.join(", ")),
            }
        })
    }

    /// The entity `kind/id`.
    fn entity(&self, view: &View<'_>, kind: &str, identifier: &str) -> anyhow::Result<EntityId> {
        let blueprint = self.blueprint(kind)?.identifier.clone();
        let id = EntityId { identifier: identifier.parse()?, blueprint };
        if view.entity(&id).is_some() {
            return Ok(id);
        }
        let known: Vec<&str> = view.of(&id.blueprint).map(|entity| entity.identifier.as_str()).collect();
        match nearest(identifier, known.iter().copied()) {
            Some(near) => bail!("`{id}` is not in the catalog; did you mean `{near}`?"),
            None => bail!("`{id}` is not in the catalog; `chandlery list {kind}` names what is"),
        }
    }
}
