//! What differs between a base and another tree, found without looking at what is equal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    base::{Base, FileRecord, Folder, NONE, Row},
    walk::{Below, child, document, is_document, listed},
};
use crate::{
    catalog::{Definitions, Field, Pointing, Stored, each_reference, entity_at, store_entity},
    domain::{BlueprintId, Entity, EntityId, Identifier, ObjectId, RepoPath},
    git::{
        objects::{Node, Objects, Read},
        tree::{Difference, differences, entries},
    },
};

/// An entity file that the base does not have so.
pub(super) struct Added {
    pub(super) blob: ObjectId,
    /// None where it does not lie where entities lie.
    pub(super) id: Option<EntityId>,
    /// What it says, as far as it can be read.
    pub(super) entity: Option<Entity>,
    /// Whether it was judged and nothing is wrong with it, seen alone.
    pub(super) sound: bool,
    /// What it points at of the blueprints that there are.
    pub(super) targets: Vec<EntityId>,
}

/// What differs.
#[derive(Default)]
pub(super) struct Change {
    /// Files of the base that are gone, or are in `added` as they are now.
    pub(super) gone: HashSet<u32>,
    pub(super) added: BTreeMap<RepoPath, Added>,
    /// The files in `added`, by what they hold.
    pub(super) by_id: BTreeMap<EntityId, BTreeSet<RepoPath>>,
    /// The entities in `added` by their blueprint and how they are in lower case.
    pub(super) folded: BTreeMap<(BlueprintId, String), BTreeSet<Identifier>>,
    /// What those in `added` that can be used point at: from where, by which relation.
    pub(super) pointing: HashMap<EntityId, Vec<Pointing>>,
    /// Files of the base that must be looked at again, because of what changed elsewhere.
    pub(super) affected: HashSet<u32>,
    /// Folders whose refused names are not those of the base.
    folders: HashSet<u32>,
    pub(super) refused: Vec<(RepoPath, String)>,
    /// Requests that are not over, but for those of folders that did not change.
    pub(super) open: BTreeSet<RepoPath>,
}

impl Change {
    /// How much differs, in files.
    pub(super) fn len(&self) -> usize {
        self.gone.len() + self.added.len()
    }

    pub(super) fn has_folder(&self, folder: u32) -> bool {
        self.folders.contains(&folder)
    }

    /// Finds out what differs, and what that does to others.
    pub(super) fn find(
        base: &Base,
        objects: &Objects,
        definitions: &Definitions,
        below: &[Below; 2],
        defined: &BTreeMap<BlueprintId, String>,
    ) -> Read<Self> {
        let mut change = Self::default();
        let mut walk = Walk { base, objects, change: &mut change, found: BTreeMap::new() };
        for (root, keeps) in below.iter().zip([Keeps::Entities, Keeps::Requests]) {
            let before = base.folder(root.path.as_str());
            walk.folder(keeps, before, root.tree.map(|tree| (&root.path, tree)))?;
        }
        let mut found = walk.found;
        change.redefined(base, defined, &mut found);
        for (path, blob) in found {
            let bytes = objects.blob(blob)?;
            change.add(definitions, path, blob, &bytes);
        }
        change.consequences(base, defined);
        Ok(change)
    }

    /// Entities of blueprints that are defined otherwise now are judged again; so is what points at
    /// entities of those that came or went.
    fn redefined(
        &mut self,
        base: &Base,
        defined: &BTreeMap<BlueprintId, String>,
        found: &mut BTreeMap<RepoPath, ObjectId>,
    ) {
        for (number, (name, before)) in (0..).zip(base.head.blueprints.iter().zip(&base.head.defined)) {
            let now = name.parse::<BlueprintId>().ok().and_then(|name| defined.get(&name));
            if now == before.as_ref() {
                continue;
            }
            for row in base.records::<Row>(base.rows_of(number)) {
                if self.gone.insert(row.file)
                    && let Some(path) = base.path(row.file)
                {
                    found.insert(path, base.record::<FileRecord>(row.file).blob);
                }
            }
            if now.is_some() != before.is_some() {
                for edge in base.edges_to(number) {
                    self.affected.insert(base.record::<Row>(edge.source).file);
                }
            }
        }
    }

    fn add(&mut self, definitions: &Definitions, path: RepoPath, blob: ObjectId, bytes: &[u8]) {
        let id = entity_at(&definitions.settings, &path);
        let is_defined = id.as_ref().is_some_and(|id| definitions.blueprints.contains_key(&id.blueprint));
        let Stored { entity, sound } = match is_defined {
            true => store_entity(&path, bytes, definitions),
            false => Stored { entity: None, sound: false },
        };
        let entity = entity.filter(|entity| id.as_ref().is_some_and(|id| entity.blueprint == id.blueprint));
        let mut targets = Vec::new();
        if let Some(entity) = &entity {
            each_reference(definitions, entity, &mut |field, _, blueprint, text| {
                let Ok(identifier) = text.parse() else { return };
                let target = EntityId { blueprint: blueprint.clone(), identifier };
                if let (Field::Relation(name), true) = (field, sound) {
                    let pointing = self.pointing.entry(target.clone()).or_default();
                    pointing.push((entity.id(), name.to_owned()));
                }
                if definitions.blueprints.contains_key(blueprint) {
                    targets.push(target);
                }
            });
        }
        if let Some(id) = &id {
            let folded = (id.blueprint.clone(), id.identifier.as_str().to_lowercase());
            self.folded.entry(folded).or_default().insert(id.identifier.clone());
            self.by_id.entry(id.clone()).or_default().insert(path.clone());
        }
        self.added.insert(path, Added { blob, id, entity, sound, targets });
    }

    /// Who points at an entity that came or went, and who holds one that another file holds too.
    fn consequences(&mut self, base: &Base, defined: &BTreeMap<BlueprintId, String>) {
        let mut touched: BTreeSet<EntityId> = self.by_id.keys().cloned().collect();
        for file in &self.gone {
            touched.extend(id_of(base, base.record::<FileRecord>(*file).row));
        }
        for id in touched {
            let Some(blueprint) = base.blueprint(&id.blueprint) else { continue };
            let rows = base.rows(blueprint, id.identifier.as_str());
            let files: Vec<u32> = rows.clone().map(|row| base.record::<Row>(row).file).collect();
            let left: Vec<u32> = files.iter().copied().filter(|file| !self.gone.contains(file)).collect();
            let added = self.by_id.contains_key(&id);
            let (was, is) = (!files.is_empty(), !left.is_empty() || added);
            if was != is && defined.contains_key(&id.blueprint) {
                for edge in base.edges(blueprint, id.identifier.as_str()) {
                    self.affected.insert(base.record::<Row>(edge.source).file);
                }
            }
            // Which of several files is the first may have changed; and which of several in another case.
            self.affected.extend(left);
            self.affected.extend(base.alike(blueprint, id.identifier.as_str()).iter().map(|row| row.file));
        }
    }
}

/// What the row of a base is about.
pub(super) fn id_of(base: &Base, row: u32) -> Option<EntityId> {
    if row == NONE {
        return None;
    }
    let row: Row = base.record(row);
    let blueprint = base.head.blueprints.get(row.blueprint as usize)?.parse().ok()?;
    let identifier = base.look_text(row.identifier, str::parse::<Identifier>).ok()?;
    Some(EntityId { blueprint, identifier })
}

struct Walk<'a> {
    base: &'a Base,
    objects: &'a Objects,
    change: &'a mut Change,
    /// Documents that the base does not have so.
    found: BTreeMap<RepoPath, ObjectId>,
}

/// What is kept in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Entities,
    Requests,
    /// What belongs to one request.
    Request,
}

impl Walk<'_> {
    /// A folder, before and after.
    fn folder(
        &mut self,
        keeps: Keeps,
        before: Option<u32>,
        after: Option<(&RepoPath, ObjectId)>,
    ) -> Read<()> {
        let before: Option<(u32, Folder)> = before.map(|number| (number, self.base.record(number)));
        match (before, after) {
            (Some((_, folder)), Some((_, tree))) if folder.tree == tree => Ok(()),
            (before, Some((path, tree))) => {
                let was = before.map(|(_, folder)| self.base.folder_text(&folder)).unwrap_or_default();
                self.objects.look_at_folder(tree, |is| self.texts(keeps, path, before, &was, is))
            }
            (Some((_, folder)), None) => match self.base.look_text(folder.path, str::parse) {
                Ok(path) => self.texts(keeps, &path, before, &self.base.folder_text(&folder), &[]),
                Err(_) => {
                    self.base.pages.damage();
                    Ok(())
                }
            },
            (None, None) => Ok(()),
        }
    }

    /// The texts of a folder, before and after.
    fn texts(
        &mut self,
        keeps: Keeps,
        path: &RepoPath,
        before: Option<(u32, Folder)>,
        was: &[u8],
        is: &[u8],
    ) -> Read<()> {
        let differences = match differences(was, is) {
            Ok(differences) => differences,
            Err(_) if entries(was).any(|entry| entry.is_err()) => {
                self.base.pages.damage();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if let Some((number, _)) = before {
            self.change.folders.insert(number);
        }
        if keeps == Keeps::Request && listed(path, is)?.is_open_request() {
            self.change.open.insert(path.clone());
        }
        let refused = &self.base.head.refused;
        let had_refused =
            before.is_some_and(|(number, _)| refused.iter().any(|(folder, _)| *folder == number));
        if had_refused {
            let refused = listed(path, is)?.refused;
            self.change.refused.extend(refused.into_iter().map(|name| (path.clone(), name)));
        }
        for Difference { name, before: was, after: is } in differences {
            let Some(child) = child(path, name) else {
                if is.is_some() && !had_refused {
                    let name = String::from_utf8_lossy(name).into_owned();
                    self.change.refused.push((path.clone(), name));
                }
                continue;
            };
            if keeps == Keeps::Entities && is_document(&child) {
                if let (Some(_), Some((_, folder))) = (was.and_then(document), before) {
                    self.change.gone.extend(self.base.file_in(&folder, child.file_name()));
                }
                self.found.extend(is.and_then(document).map(|blob| (child.clone(), blob)));
            }
            let folder = |node| match node {
                Some(Node::Folder(tree)) => Some(tree),
                Some(Node::File(_)) | None => None,
            };
            let below = if keeps == Keeps::Entities { Keeps::Entities } else { Keeps::Request };
            let known = folder(was).and_then(|_| self.base.folder(child.as_str()));
            self.folder(below, known, folder(is).map(|tree| (&child, tree)))?;
        }
        Ok(())
    }
}
