//! What differs between a base and another tree, found without looking at what is equal.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{
    base::{Base, FileRecord, Folder, NONE, Row},
    walk::{Below, child, document, is_document, listed},
};
use crate::{
    catalog::{
        Definitions, Field, Pointing, Stored, each_reference, entity_at, is_well_formed, store_entity,
    },
    domain::{BlueprintId, Entity, EntityId, Identifier, ObjectId, RepoPath},
    git::{
        bulk::read_blobs,
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
    /// Whether nothing is wrong with it, seen alone; of a blueprint that cannot be used, with its form.
    pub(super) sound: bool,
    /// What it points at of the blueprints that there are.
    pub(super) targets: Vec<EntityId>,
}

impl Added {
    /// Reads and judges a file, seen alone; what it points at is not asked yet.
    pub(super) fn read(definitions: &Definitions, path: &RepoPath, blob: ObjectId, bytes: &[u8]) -> Self {
        let id = entity_at(&definitions.settings, path);
        let (entity, sound) = match &id {
            None => (None, false),
            Some(id) if !definitions.blueprints.contains_key(&id.blueprint) => {
                (None, is_well_formed(path, bytes, definitions))
            }
            Some(id) => {
                let Stored { entity, sound } = store_entity(path, bytes, definitions);
                let entity = entity.filter(|entity| entity.blueprint == id.blueprint);
                let sound = sound && entity.is_some();
                (entity, sound)
            }
        };
        Self { blob, id, entity, sound, targets: Vec::new() }
    }
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

    fn add(&mut self, definitions: &Definitions, path: &RepoPath, mut added: Added) {
        if let Some(entity) = &added.entity {
            each_reference(definitions, entity, &mut |field, _, blueprint, text| {
                let Ok(identifier) = text.parse() else { return };
                let target = EntityId { blueprint: blueprint.clone(), identifier };
                if let (Field::Relation(name), true) = (field, added.sound) {
                    let pointing = self.pointing.entry(target.clone()).or_default();
                    pointing.push((entity.id(), name.to_owned()));
                }
                if definitions.blueprints.contains_key(blueprint) {
                    added.targets.push(target);
                }
            });
        }
        if let Some(id) = &added.id {
            let folded = (id.blueprint.clone(), id.identifier.as_str().to_lowercase());
            self.folded.entry(folded).or_default().insert(id.identifier.clone());
            self.by_id.entry(id.clone()).or_default().insert(path.clone());
        }
        self.added.insert(path.clone(), added);
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

/// The files that differ, of which nothing was read yet.
pub(super) struct Walked {
    change: Change,
    /// Documents that the base does not have so.
    found: BTreeMap<RepoPath, ObjectId>,
}

impl Walked {
    /// Finds out which files differ. What they are about is not asked, so no definitions are needed.
    pub(super) fn find(base: &Base, objects: &Objects, below: &[Below; 2]) -> Read<Self> {
        let mut change = Change::default();
        let mut walk = Walk { base, objects, change: &mut change, found: BTreeMap::new() };
        for (root, keeps) in below.iter().zip([Keeps::Entities, Keeps::Requests]) {
            let before = base.folder(root.path.as_str());
            walk.folders(keeps, vec![(root.path.clone(), before, root.tree)])?;
        }
        let found = walk.found;
        Ok(Self { change, found })
    }

    /// Reads them, and finds out what they do to others.
    pub(super) fn read(
        self,
        base: &Base,
        objects: &Objects,
        definitions: &Definitions,
        defined: &BTreeMap<BlueprintId, String>,
    ) -> Read<Change> {
        let Self { mut change, mut found } = self;
        change.redefined(base, defined, &mut found);
        let (paths, blobs): (Vec<RepoPath>, Vec<ObjectId>) = found.into_iter().unzip();
        let read = read_blobs(objects, &blobs, Vec::new, |read, at, bytes| {
            read.push((at, Added::read(definitions, &paths[at], blobs[at], bytes)));
        })?;
        for (at, added) in read.into_iter().flatten() {
            change.add(definitions, &paths[at], added);
        }
        change.consequences(base, defined);
        Ok(change)
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

/// What differs in a folder.
#[derive(Default)]
struct Compared {
    /// By name: before and after.
    differences: Vec<(Vec<u8>, Option<Node>, Option<Node>)>,
    /// Whether it is that of a request that is not over.
    is_open: bool,
    /// All refused names that it has, if it had one before.
    refused: Option<Vec<String>>,
}

/// Compares a folder of the base with its text now.
fn compare(
    base: &Base,
    keeps: Keeps,
    path: &RepoPath,
    before: Option<(u32, Folder)>,
    is: &[u8],
    room: &mut Vec<u8>,
) -> Read<Compared> {
    let was = before.map(|(_, folder)| base.folder_text(&folder, room)).unwrap_or_default();
    let found = match differences(was, is) {
        Ok(found) => found,
        Err(_) if entries(was).any(|entry| entry.is_err()) => {
            base.pages.damage();
            return Ok(Compared::default());
        }
        Err(error) => return Err(error),
    };
    let had_refused =
        before.is_some_and(|(number, _)| base.head.refused.iter().any(|(folder, _)| *folder == number));
    let differences =
        found.into_iter().map(|Difference { name, before, after }| (name.to_vec(), before, after));
    Ok(Compared {
        differences: differences.collect(),
        is_open: keeps == Keeps::Request && listed(path, is)?.is_open_request(),
        refused: if had_refused { Some(listed(path, is)?.refused) } else { None },
    })
}

impl Walk<'_> {
    /// Folders, before and after, of which those that differ are looked at.
    fn folders(&mut self, keeps: Keeps, folders: Vec<(RepoPath, Option<u32>, Option<ObjectId>)>) -> Read<()> {
        let mut changed = Vec::new();
        let mut trees = Vec::new();
        for (path, before, after) in folders {
            let before: Option<(u32, Folder)> = before.map(|number| (number, self.base.record(number)));
            if before.map(|(_, folder)| folder.tree) != after {
                changed.push((path, before));
                trees.push(after);
            }
        }
        let base = self.base;
        let compared = self.objects.look_at_folders(&trees, Vec::new, |room, at, is| {
            let (path, before) = &changed[at];
            compare(base, keeps, path, *before, is, room)
        })?;
        for ((path, before), compared) in changed.iter().zip(compared) {
            self.take(keeps, path, *before, compared)?;
        }
        Ok(())
    }

    /// Notes what differs in a folder, and goes on with the folders in it.
    fn take(
        &mut self,
        keeps: Keeps,
        path: &RepoPath,
        before: Option<(u32, Folder)>,
        Compared { differences, is_open, refused }: Compared,
    ) -> Read<()> {
        if let Some((number, _)) = before {
            self.change.folders.insert(number);
        }
        if is_open {
            self.change.open.insert(path.clone());
        }
        let had_refused = refused.is_some();
        self.change.refused.extend(refused.into_iter().flatten().map(|name| (path.clone(), name)));
        let mut folders = Vec::new();
        for (name, was, is) in differences {
            let Some(child) = child(path, &name) else {
                if is.is_some() && !had_refused {
                    let name = String::from_utf8_lossy(&name).into_owned();
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
            let known = folder(was).and_then(|_| self.base.folder(child.as_str()));
            if known.is_some() || folder(is).is_some() {
                folders.push((child, known, folder(is)));
            }
        }
        let below = if keeps == Keeps::Entities { Keeps::Entities } else { Keeps::Request };
        self.folders(below, folders)
    }
}
