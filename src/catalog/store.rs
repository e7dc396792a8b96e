//! Where does whoever asks a catalog find its entities?

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
};

use super::{
    Definitions, Field, Files,
    entity::{each_reference, entity_at, read_entity, with_defaults},
    load::documents_below,
};
use crate::domain::{BlueprintId, Entity, EntityId, RepoPath};

/// What points at an entity: which one, and by which relation.
pub type Pointing = (EntityId, String);

/// The entities of a catalog, as far as they can be read; of several files of one entity the first one counts.
pub trait Store {
    /// The entities of a blueprint.
    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity>;

    /// What points at an entity by a relation.
    fn pointing_at(&self, id: &EntityId) -> Vec<Pointing>;

    /// How many files hold an entity that cannot be used.
    fn unreadable(&self) -> usize;
}

impl<T: Store + ?Sized> Store for &T {
    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity> {
        (**self).of(blueprint)
    }

    fn pointing_at(&self, id: &EntityId) -> Vec<Pointing> {
        (**self).pointing_at(id)
    }

    fn unreadable(&self) -> usize {
        (**self).unreadable()
    }
}

/// The relations by which an entity points at others.
pub(super) fn relations<'a>(definitions: &'a Definitions, entity: &Entity) -> Vec<(&'a str, EntityId)> {
    let mut found = Vec::new();
    each_reference(definitions, entity, &mut |field, _, blueprint, text| {
        if let (Field::Relation(name), Ok(identifier)) = (field, text.parse()) {
            found.push((name, EntityId { blueprint: blueprint.clone(), identifier }));
        }
    });
    found
}

/// Entities in files, each blueprint's read when it is asked for.
pub(super) struct InFiles<'a> {
    definitions: &'a Definitions,
    files: &'a Files,
    paths: BTreeMap<BlueprintId, Vec<&'a RepoPath>>,
    /// What the files of each blueprint hold; none where it cannot be used.
    read: BTreeMap<BlueprintId, OnceCell<Vec<Option<Entity>>>>,
    pointing: OnceCell<HashMap<EntityId, Vec<Pointing>>>,
}

impl<'a> InFiles<'a> {
    pub(super) fn new(definitions: &'a Definitions, files: &'a Files) -> Self {
        let mut paths: BTreeMap<BlueprintId, Vec<&RepoPath>> = BTreeMap::new();
        for (path, _) in documents_below(files, &definitions.settings.folders.entities) {
            if let Some(id) = entity_at(&definitions.settings, path) {
                paths.entry(id.blueprint).or_default().push(path);
            }
        }
        let read = paths.keys().map(|blueprint| (blueprint.clone(), OnceCell::new())).collect();
        Self { definitions, files, paths, read, pointing: OnceCell::new() }
    }

    fn read(&self, blueprint: &BlueprintId) -> &[Option<Entity>] {
        let Some((cell, paths)) = self.read.get(blueprint).zip(self.paths.get(blueprint)) else { return &[] };
        let one = |path: &&RepoPath| read_entity(path, &self.files[*path], self.definitions).ok();
        cell.get_or_init(|| paths.iter().map(one).collect())
    }
}

impl Store for InFiles<'_> {
    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity> {
        self.read(blueprint).iter().flatten().cloned().collect()
    }

    fn pointing_at(&self, id: &EntityId) -> Vec<Pointing> {
        let all = || {
            let mut pointing: HashMap<EntityId, Vec<Pointing>> = HashMap::new();
            for entity in self.paths.keys().flat_map(|blueprint| self.read(blueprint)).flatten() {
                for (relation, to) in relations(self.definitions, entity) {
                    pointing.entry(to).or_default().push((entity.id(), relation.to_owned()));
                }
            }
            pointing
        };
        self.pointing.get_or_init(all).get(id).cloned().unwrap_or_default()
    }

    fn unreadable(&self) -> usize {
        self.paths.keys().flat_map(|blueprint| self.read(blueprint)).filter(|read| read.is_none()).count()
    }
}

/// The entities of a blueprint by their identifiers, with defaults where they say nothing.
pub(super) fn by_identifier(
    definitions: &Definitions,
    store: &dyn Store,
    blueprint: &BlueprintId,
) -> BTreeMap<crate::domain::Identifier, Entity> {
    let mut found = BTreeMap::new();
    let Some(defined) = definitions.blueprints.get(blueprint) else { return found };
    for entity in store.of(blueprint) {
        found.entry(entity.identifier.clone()).or_insert_with(|| with_defaults(defined, entity));
    }
    found
}
