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

use std::{cell::Cell, collections::BTreeSet, path::PathBuf};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    config::clock,
    misuse::{misuse, unknown},
    output,
    validate::{commit, files_of_work_tree, no_catalog},
};
use crate::{
    catalog::{Definitions, Files, Store, entity_at, load_definitions, load_settings, view::View},
    domain::{
        Blueprint, BlueprintId, EntityId, Identifier, InvalidId, ObjectId, RepoPath, Timestamp, counted,
        nearest,
    },
    git::objects::{NoCommit, Node, Objects},
    index::{Commit, Index, Kept, Whole},
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

/// Which entity is meant.
#[derive(Debug, Args)]
pub struct Meant {
    /// The entity, as BLUEPRINT/IDENTIFIER or with a space between them; its identifier alone where no other has the same
    #[arg(value_name = "ENTITY", required = true, num_args = 1..=2)]
    words: Vec<String>,
}

impl Meant {
    /// Its blueprint and its identifier, as they were written.
    fn names<'a>(&'a self, read: &'a Read) -> anyhow::Result<(&'a str, &'a str)> {
        match read.named(&self.words)? {
            (kind, identifier, []) => Ok((kind, identifier)),
            (kind, identifier, [more, ..]) => {
                Err(misuse(format!("`{kind}/{identifier}` says which entity is meant; `{more}` is too much")))
            }
        }
    }
}

/// A catalog that has been read.
pub(super) struct Read {
    catalog: PathBuf,
    at: Option<String>,
    definitions: Definitions,
    source: Source,
    now: Timestamp,
    /// The commit that is asked, and the files of its definitions.
    commit: Option<(Commit, Whole)>,
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
        let (definitions, source, commit) = match &self.at {
            Some(rev) => {
                let commit = commit(&self.catalog, self.root.as_ref(), rev)?;
                let files = commit.definitions()?;
                let definitions = self.definitions(&files)?;
                let index = commit.index(&definitions, &Kept::beside(commit.objects.common_folder()))?;
                (definitions, Source::Commit(Box::new(index)), Some((commit, files)))
            }
            None => {
                let whole = files_of_work_tree(&self.catalog, self.root.as_ref())?;
                (self.definitions(&whole)?, Source::Files(whole.files), None)
            }
        };
        Ok(Read { catalog: self.catalog.clone(), at: self.at.clone(), definitions, source, now, commit })
    }

    fn definitions(&self, found: &Whole) -> anyhow::Result<Definitions> {
        let Ok(settings) = load_settings(&found.root, found.files.get(&found.root.settings_path())) else {
            return Err(no_catalog(found, &self.catalog));
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
        let is_told = Cell::new(false);
        let past = move |blueprint: &BlueprintId| {
            let past = past::lives(self, blueprint);
            if !is_told.replace(true) {
                past::tell_gaps(&past);
            }
            past
        };
        let view = match &self.source {
            Source::Files(files) => View::new(&self.definitions, files, self.now, past),
            Source::Commit(index) => View::over(&self.definitions, &**index, self.now, past),
        };
        let count = view.unreadable();
        if count > 0 {
            let left_out = counted(
                count,
                "entity has mistakes, and is left out",
                "entities have mistakes, and are left out",
            );
            output::complain(&format!("{left_out}: run `chandlery validate`"));
        }
        view
    }

    /// The entities whose files differ from an older catalog's, if nothing else does that decides what entities say; none
    /// if all of them must be looked at.
    fn touched_since(&self, older: &Self) -> anyhow::Result<Option<BTreeSet<EntityId>>> {
        let (Some((before, were)), Some((after, are))) = (&older.commit, &self.commit) else {
            return Ok(None);
        };
        if before.root != after.root || were.files != are.files || were.refused != are.refused {
            return Ok(None);
        }
        let settings = &self.definitions.settings;
        let folder = |commit: &Commit| -> anyhow::Result<Option<ObjectId>> {
            Ok(match commit.objects.find(commit.tree, settings.folders.entities.as_str())? {
                Some(Node::Folder(folder)) => Some(folder),
                Some(Node::File(_)) | None => None,
            })
        };
        let (Some(before), Some(now)) = (folder(before)?, folder(after)?) else { return Ok(None) };
        let mut touched = BTreeSet::new();
        for path in after.objects.changes(Some(before), now)?.keys() {
            touched.extend(entity_at(settings, &settings.folders.entities.join(path.as_str())?));
        }
        Ok(Some(touched))
    }

    /// The blueprint and the identifier that some words begin with, and what comes after them.
    fn named<'a>(&'a self, words: &'a [String]) -> anyhow::Result<(&'a str, &'a str, &'a [String])> {
        let (first, rest) = words.split_first().context("no entity is named")?;
        if let Some((kind, identifier)) = first.split_once('/') {
            return Ok((kind, identifier, rest));
        }
        let is_blueprint =
            first.parse().is_ok_and(|id: BlueprintId| self.definitions.blueprints.contains_key(&id));
        let kinds = if is_blueprint && !rest.is_empty() { Vec::new() } else { self.kinds_of(first) };
        match (kinds.as_slice(), rest) {
            ([kind], rest) => Ok((kind.as_str(), first, rest)),
            ([], [identifier, rest @ ..]) => Ok((first, identifier, rest)),
            ([], []) => Err(self.nobody(first)),
            (kinds, _) => {
                let all: Vec<String> = kinds.iter().map(|kind| format!("`{kind}/{first}`")).collect();
                Err(misuse(format!("`{first}` can be {}; write which", all.join(" or "))))
            }
        }
    }

    /// The blueprints of the entities that have this identifier.
    fn kinds_of(&self, identifier: &str) -> Vec<&BlueprintId> {
        let Ok(identifier) = identifier.parse::<Identifier>() else { return Vec::new() };
        let kinds = self.definitions.blueprints.keys();
        match &self.source {
            Source::Files(files) => {
                let like_it = self.in_files(files).filter(|id| id.identifier == identifier);
                let found: BTreeSet<BlueprintId> = like_it.map(|id| id.blueprint).collect();
                kinds.filter(|kind| found.contains(*kind)).collect()
            }
            Source::Commit(index) => {
                let one = |kind: &BlueprintId| {
                    index.one(&EntityId { blueprint: kind.clone(), identifier: identifier.clone() })
                };
                kinds.filter(|kind| one(kind).is_some()).collect()
            }
        }
    }

    /// That no entity has an identifier, and which may be meant.
    fn nobody(&self, identifier: &str) -> anyhow::Error {
        let all: Vec<EntityId> = match &self.source {
            Source::Files(files) => self.in_files(files).collect(),
            Source::Commit(index) => {
                let of = |kind: &BlueprintId| {
                    let identifiers = index.identifiers(kind).into_iter();
                    let id = |identifier| EntityId { blueprint: kind.clone(), identifier };
                    identifiers.map(id).collect::<Vec<_>>()
                };
                self.definitions.blueprints.keys().flat_map(of).collect()
            }
        };
        let near = nearest(identifier, all.iter().map(|id| id.identifier.as_str()));
        let near = all.iter().find(|id| Some(id.identifier.as_str()) == near);
        misuse(match near {
            Some(id) => format!("no entity has the identifier `{identifier}`; did you mean `{id}`?"),
            None => format!(
                "no entity has the identifier `{identifier}`; `chandlery search` finds it by other words, and one that is gone is written as BLUEPRINT/IDENTIFIER"
            ),
        })
    }

    /// The entities that files would hold, could they be read.
    fn in_files(&self, files: &Files) -> impl Iterator<Item = EntityId> {
        files.keys().filter_map(|path| entity_at(&self.definitions.settings, path))
    }

    /// The blueprint of this name.
    fn blueprint(&self, name: &str) -> anyhow::Result<&Blueprint> {
        let id = name.parse::<BlueprintId>().ok();
        let found = id.as_ref().and_then(|id| self.definitions.blueprints.get(id));
        if id.is_some_and(|id| self.definitions.unusable.blueprints.contains(&id)) {
            bail!("the blueprint `{name}` has mistakes, and is left out: run `chandlery validate`");
        }
        found.ok_or_else(|| {
            let known = self.definitions.blueprints.keys().map(BlueprintId::as_str);
            unknown(&format!("there is no blueprint `{name}`"), name, known)
        })
    }

    /// Whether a file would hold it, could it be read.
    fn has_file(&self, id: &EntityId) -> bool {
        match &self.source {
            Source::Files(files) => self.in_files(files).any(|found| found == *id),
            Source::Commit(_) => false,
        }
    }

    /// The entity `kind/id`.
    fn entity(&self, view: &View<'_>, kind: &str, identifier: &str) -> anyhow::Result<EntityId> {
        let blueprint = self.blueprint(kind)?.identifier.clone();
        let identifier = identifier.parse().map_err(|why: InvalidId| misuse(why.to_string()))?;
        let id = EntityId { identifier, blueprint };
        if view.entity(&id).is_some() {
            return Ok(id);
        }
        let known: Vec<&str> = view.of(&id.blueprint).map(|entity| entity.identifier.as_str()).collect();
        if self.has_file(&id) {
            bail!("`{id}` has mistakes: run `chandlery validate`");
        }
        Err(misuse(match nearest(id.identifier.as_str(), known) {
            Some(near) => format!("`{id}` is not in the catalog; did you mean `{kind}/{near}`?"),
            None => format!("`{id}` is not in the catalog; `chandlery list {kind}` names what is"),
        }))
    }
}
