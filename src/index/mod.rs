//! What is where in a catalog, at any commit, at a cost that follows what changed.
//!
//! One *base* for a tree, kept beside the repository and made by whoever needs it first (`build`,
//! `base`, `pages`); for any other tree the nearest base and what differs from it, in memory
//! (`change`). A base may be deleted at any time, and one that is damaged is not believed.

mod pages;
mod sorted;
mod base;
mod walk;
mod build;
mod before;
mod change;
mod keep;
mod commit;
mod ask;
pub mod probe;
pub mod history;

use std::collections::{BTreeMap, BTreeSet};

use base::{Base, FileRecord, Folder, Row, Table};
use before::Before;
use build::BuildError;
use change::{Change, Walked, id_of};
use sha2::{Digest, Sha256};
use walk::Below;

use crate::{
    catalog::{Checked, Definitions, Known, Settings, Store, names_blueprints},
    domain::{
        Blueprint, BlueprintId, Bytes, Diagnostic, EntityId, Identifier, ObjectId, Ownership, RepoPath,
    },
    git::objects::{Node, Objects, Read},
};

pub use commit::{Commit, Whole};
pub use keep::Kept;
pub use walk::{Listed, list};

/// What judged the entities: another program may judge otherwise, and does not believe this one.
const PROGRAM: &str = concat!(env!("CARGO_PKG_VERSION"), "-", env!("CHANDLERY_SOURCES"));

/// A base is made anew when so much of it is not so any more, as a share of its files.
const STALE: usize = 50;

/// A catalog at one commit.
pub struct Index {
    base: Base,
    change: Change,
    below: [Below; 2],
    is_new: bool,
}

/// The base that is nearest to a tree, and the files in which the two differ.
struct Near {
    below: [Below; 2],
    /// None where no base can be used.
    found: Option<(Base, Walked)>,
}

impl Near {
    /// Looks for it. Definitions are not needed, so this may be done while they are made ready.
    fn find(
        objects: &Objects,
        settings: &Settings,
        tree: ObjectId,
        since: Option<ObjectId>,
        kept: &Kept,
    ) -> Read<Self> {
        let below = below(objects, settings, tree)?;
        let walk = |base: Base| Walked::find(&base, objects, &below).map(|walked| (base, walked));
        let found = kept.near(tree, since, &below).map(walk).transpose()?;
        Ok(Self { below, found })
    }
}

impl Index {
    /// Looks at a commit's tree. `since` is the tree that is likely to be the nearest of those looked at before.
    ///
    /// # Errors
    /// When an object is missing, or nothing can be written at all.
    pub fn open(
        objects: &Objects,
        definitions: &Definitions,
        tree: ObjectId,
        since: Option<ObjectId>,
        kept: &Kept,
    ) -> anyhow::Result<Self> {
        let near = Near::find(objects, &definitions.settings, tree, since, kept)?;
        Self::from_near(near, objects, definitions, tree, kept)
    }

    fn from_near(
        Near { below, found }: Near,
        objects: &Objects,
        definitions: &Definitions,
        tree: ObjectId,
        kept: &Kept,
    ) -> anyhow::Result<Self> {
        let defined = defined(definitions);
        if let Some((base, walked)) = found {
            let change = walked.read(&base, objects, definitions, &defined)?;
            if !base.pages.is_damaged() {
                return Ok(Self { base, change, below, is_new: false });
            }
            kept.clear();
        }
        let base = Self::build(objects, definitions, tree, &below, &defined, None, kept)?;
        Ok(Self { base, change: Change::default(), below, is_new: true })
    }

    fn build(
        objects: &Objects,
        definitions: &Definitions,
        tree: ObjectId,
        below: &[Below; 2],
        defined: &BTreeMap<BlueprintId, String>,
        before: Option<Before<'_>>,
        kept: &Kept,
    ) -> Result<Base, BuildError> {
        let place = match kept.begin() {
            Some(file) => {
                let file = build::build(objects, definitions, below, defined, before, file)?;
                if before.is_some_and(|before| before.base.pages.is_damaged()) {
                    return Err(BuildError::Write(std::io::ErrorKind::InvalidData.into()));
                }
                pages::Place::File(kept.finish(file, tree)?)
            }
            None => {
                let bytes = build::build(objects, definitions, below, defined, before, Vec::new())?;
                pages::Place::Memory(bytes)
            }
        };
        Base::open(place).ok_or_else(|| BuildError::Write(std::io::ErrorKind::InvalidData.into()))
    }

    /// Whether what was read from the disk cannot be believed, and so nothing that this said.
    pub fn is_damaged(&self) -> bool {
        self.base.pages.is_damaged()
    }

    /// Writes a base of this commit if the one that was used has grown old. To be called when all is answered.
    pub fn renew(&self, objects: &Objects, definitions: &Definitions, tree: ObjectId, kept: &Kept) {
        let files = self.base.count(Table::Files) as usize;
        if !self.is_new && self.change.len() * STALE > files && kept.is_writable() {
            let defined = defined(definitions);
            let before = Before { base: &self.base, change: &self.change };
            // It is only an aid: without it the next look takes longer.
            if let Err(error) =
                Self::build(objects, definitions, tree, &self.below, &defined, Some(before), kept)
            {
                tracing::warn!("the index could not be written: {error}");
            }
        }
    }

    /// How many entity files there are.
    pub fn entities(&self) -> usize {
        self.base.count(Table::Files) as usize - self.change.gone.len() + self.change.added.len()
    }

    /// The folders of the requests that are not over.
    pub fn open_requests(&self) -> BTreeSet<RepoPath> {
        let mut open = self.change.open.clone();
        let Some(root) = self.base.folder(self.below[1].path.as_str()) else { return open };
        let end = self.base.record::<Folder>(root).end;
        for (number, folder) in (root..end).zip(self.base.records::<Folder>(root..end)) {
            if folder.open && !self.change.has_folder(number) {
                open.extend(self.base.look_text(folder.path, str::parse));
            }
        }
        open
    }

    /// Names that no file of a catalog can have, each with its folder.
    pub fn refused(&self) -> Vec<(RepoPath, String)> {
        let kept = self.base.head.refused.iter().filter(|(folder, _)| !self.change.has_folder(*folder));
        let named = kept.filter_map(|(folder, name)| {
            let path = self.base.record::<Folder>(*folder).path;
            Some((self.base.look_text(path, str::parse).ok()?, name.clone()))
        });
        named.chain(self.change.refused.iter().cloned()).collect()
    }

    /// Files of the base that may have something wrong.
    fn candidates(&self) -> BTreeSet<u32> {
        let problems = self.base.problems().into_iter();
        problems
            .chain(self.change.affected.iter().copied())
            .filter(|file| !self.change.gone.contains(file))
            .collect()
    }

    /// Everything that is wrong with entities and open requests: what `check_all` says of them.
    ///
    /// # Errors
    /// When an object is missing.
    pub fn check(&self, objects: &Objects, checked: &Checked<'_>, tree: ObjectId) -> Read<Vec<Diagnostic>> {
        let mut found = Vec::new();
        for file in self.candidates() {
            let Some(path) = self.base.path(file) else { continue };
            let bytes = objects.blob(self.base.record::<FileRecord>(file).blob)?;
            found.extend(checked.entity_file(&path, &bytes));
        }
        for (path, added) in &self.change.added {
            let is_alone =
                added.id.as_ref().is_some_and(|id| self.paths(id).len() == 1 && self.alike(id).len() == 1);
            let dangles = added.targets.iter().any(|target| !self.has(target));
            if !added.sound || !is_alone || dangles {
                found.extend(checked.entity_file(path, &objects.blob(added.blob)?));
            }
        }
        let counts = self.of_blueprints();
        found.extend(checked.without_blueprint(counts.iter().map(|(name, count)| (name, *count))));
        for folder in self.open_requests() {
            let Ok(path) = folder.join("request.yaml") else { continue };
            if let Some(Node::File(file)) = objects.find(tree, path.as_str())? {
                found.extend(checked.request_file(&path, &objects.blob(file.id)?));
            }
        }
        found.extend(checked.teams());
        Ok(found)
    }

    /// How many entities each blueprint has, going by their folders.
    fn of_blueprints(&self) -> BTreeMap<BlueprintId, usize> {
        let mut counts: BTreeMap<BlueprintId, usize> = BTreeMap::new();
        for (number, name) in (0..).zip(&self.base.head.blueprints) {
            if let Ok(name) = name.parse() {
                counts.insert(name, self.base.rows_of(number).len());
            }
        }
        for file in &self.change.gone {
            if let Some(id) = id_of(&self.base, self.base.record::<FileRecord>(*file).row) {
                counts.entry(id.blueprint).and_modify(|count| *count -= 1);
            }
        }
        for id in self.change.added.values().filter_map(|added| added.id.as_ref()) {
            *counts.entry(id.blueprint.clone()).or_default() += 1;
        }
        counts
    }

    /// The first of an entity's files that can be used.
    fn first_sound(&self, id: &EntityId) -> Option<RepoPath> {
        let added = self.change.by_id.get(id).into_iter().flatten();
        let added = added.filter(|path| self.change.added.get(*path).is_some_and(|added| added.sound));
        let rows = self.rows(id).into_iter().filter(|row| row.sound);
        rows.filter_map(|row| self.base.path(row.file)).chain(added.cloned()).min()
    }

    /// The rows of an entity that are still so.
    fn rows(&self, id: &EntityId) -> Vec<Row> {
        let Some(blueprint) = self.base.blueprint(&id.blueprint) else { return Vec::new() };
        let rows = self.base.rows(blueprint, id.identifier.as_str()).map(|row| self.base.record::<Row>(row));
        rows.filter(|row| !self.change.gone.contains(&row.file)).collect()
    }

    /// Whether an entity is there.
    fn has(&self, id: &EntityId) -> bool {
        self.change.by_id.contains_key(id) || !self.rows(id).is_empty()
    }

    /// The identifiers of its blueprint that differ from its own in nothing but case, itself among them, in order.
    fn alike(&self, id: &EntityId) -> Vec<Identifier> {
        let folded = (id.blueprint.clone(), id.identifier.as_str().to_lowercase());
        let mut found = self.change.folded.get(&folded).cloned().unwrap_or_default();
        if let Some(blueprint) = self.base.blueprint(&id.blueprint) {
            let rows = self.base.alike(blueprint, id.identifier.as_str());
            let left = rows.iter().filter(|row| !self.change.gone.contains(&row.file));
            found.extend(left.filter_map(|row| self.base.look_text(row.identifier, str::parse).ok()));
        }
        found.into_iter().collect()
    }

    /// The blob of an entity's file.
    fn blob(&self, path: &RepoPath) -> Option<ObjectId> {
        if let Some(added) = self.change.added.get(path) {
            return Some(added.blob);
        }
        let (folder, name) = path.as_str().rsplit_once('/')?;
        let folder: Folder = self.base.record(self.base.folder(folder)?);
        let file = self.base.file_in(&folder, name).filter(|file| !self.change.gone.contains(file))?;
        Some(self.base.record::<FileRecord>(file).blob)
    }

    /// The files of an entity.
    fn paths(&self, id: &EntityId) -> BTreeSet<RepoPath> {
        let mut paths: BTreeSet<RepoPath> = self.change.by_id.get(id).cloned().unwrap_or_default();
        paths.extend(self.rows(id).iter().filter_map(|row| self.base.path(row.file)));
        paths
    }
}

/// An index with the repository that it speaks of.
pub(super) struct Seen<'a> {
    pub(super) index: &'a Index,
    pub(super) objects: &'a Objects,
}

impl Known for Seen<'_> {
    fn has(&self, id: &EntityId) -> bool {
        self.index.has(id)
    }

    fn first(&self, id: &EntityId) -> Option<RepoPath> {
        self.index.paths(id).into_iter().next()
    }

    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier> {
        self.index.identifiers(blueprint)
    }

    fn alike(&self, id: &EntityId) -> Vec<Identifier> {
        self.index.alike(id)
    }

    fn read(&self, path: &RepoPath) -> Option<Bytes> {
        self.objects.blob(self.index.blob(path)?).ok()
    }
}

fn below(objects: &Objects, settings: &Settings, tree: ObjectId) -> Read<[Below; 2]> {
    let folders = &settings.folders;
    Ok([Below::new(objects, tree, &folders.entities)?, Below::new(objects, tree, &folders.requests)?])
}

/// What each blueprint asks of its entities, in few letters.
fn defined(definitions: &Definitions) -> BTreeMap<BlueprintId, String> {
    let known = definitions.known_blueprints();
    let one = |(name, blueprint): (&BlueprintId, &Blueprint)| {
        let names = blueprint.properties.iter().any(|(_, property)| names_blueprints(property));
        let known = names.then_some(&known);
        let inherits = matches!(blueprint.ownership, Some(Ownership::Inherited { .. }));
        let says = (&blueprint.properties, &blueprint.required, &blueprint.relations);
        let asks = format!("{:?}", (says, inherits, known));
        (name.clone(), hex::encode(&Sha256::digest(asks)[..12]))
    };
    definitions.blueprints.iter().map(one).collect()
}
