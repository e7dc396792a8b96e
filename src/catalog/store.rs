//! Where does whoever asks a catalog find its entities?

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap},
};

use regex::bytes::{Regex, RegexBuilder};

use super::{
    Definitions, Field, Files,
    entity::{each_reference, entity_at, read_entity},
    load::documents_below,
};
use crate::domain::{BlueprintId, Entity, EntityId, Identifier, RepoPath};

/// What must stand in an entity's JSON, but for letters that are not ASCII, where a text stands in one of its values as people
/// read it: its longest part that looks the same in both.
pub(super) fn pattern(text: &str) -> Regex {
    let parts = text.split(|c: char| !c.is_ascii() || c.is_ascii_control() || matches!(c, '"' | '\\' | ','));
    let longest = parts.map(str::trim).max_by_key(|part| part.len()).unwrap_or_default();
    RegexBuilder::new(&regex::escape(longest))
        .case_insensitive(true)
        .unicode(false)
        .build()
        .expect("a text is a pattern")
}

/// What points at an entity: which one, and by which relation.
pub type Pointing = (EntityId, String);

/// The entities of a catalog, as far as they can be read; of several files of one entity the first one counts.
pub trait Store {
    /// The identifiers of a blueprint's entities, whether they can be read or not.
    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier>;

    /// An entity.
    fn one(&self, id: &EntityId) -> Option<Entity>;

    /// The entities of a blueprint; of several with one identifier the first one counts.
    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity>;

    /// The entities in whose JSON a pattern may be found, in any order; it need not be in all that are told.
    fn suspects(&self, pattern: &Regex) -> Vec<EntityId>;

    /// What points at an entity by a relation.
    fn pointing_at(&self, id: &EntityId) -> Vec<Pointing>;

    /// How many files hold an entity that cannot be used.
    fn unreadable(&self) -> usize;
}

impl<T: Store + ?Sized> Store for &T {
    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier> {
        (**self).identifiers(blueprint)
    }

    fn one(&self, id: &EntityId) -> Option<Entity> {
        (**self).one(id)
    }

    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity> {
        (**self).of(blueprint)
    }

    fn suspects(&self, pattern: &Regex) -> Vec<EntityId> {
        (**self).suspects(pattern)
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

/// A file, and what it holds; nothing where that cannot be used.
type InFile<'a> = (&'a RepoPath, OnceCell<Option<Entity>>);

/// Entities in files, each read when it is asked for.
pub(super) struct InFiles<'a> {
    definitions: &'a Definitions,
    files: &'a Files,
    /// The files of each entity, by their paths.
    found: BTreeMap<BlueprintId, BTreeMap<Identifier, Vec<InFile<'a>>>>,
    pointing: OnceCell<HashMap<EntityId, Vec<Pointing>>>,
}

impl<'a> InFiles<'a> {
    pub(super) fn new(definitions: &'a Definitions, files: &'a Files) -> Self {
        let mut found: BTreeMap<BlueprintId, BTreeMap<Identifier, Vec<InFile<'_>>>> = BTreeMap::new();
        for (path, _) in documents_below(files, &definitions.settings.folders.entities) {
            if let Some(id) = entity_at(&definitions.settings, path) {
                let files = found.entry(id.blueprint).or_default().entry(id.identifier).or_default();
                files.push((path, OnceCell::new()));
            }
        }
        Self { definitions, files, found, pointing: OnceCell::new() }
    }

    fn read<'s>(&'s self, (path, held): &'s InFile<'_>) -> Option<&'s Entity> {
        let read = || read_entity(path, &self.files[*path], self.definitions).ok();
        held.get_or_init(read).as_ref()
    }

    /// What each file holds.
    fn all(&self) -> impl Iterator<Item = Option<&Entity>> {
        self.found.values().flat_map(BTreeMap::values).flatten().map(|file| self.read(file))
    }
}

impl Store for InFiles<'_> {
    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier> {
        self.found.get(blueprint).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    fn one(&self, id: &EntityId) -> Option<Entity> {
        let files = self.found.get(&id.blueprint)?.get(&id.identifier)?;
        files.iter().find_map(|file| self.read(file)).cloned()
    }

    fn of(&self, blueprint: &BlueprintId) -> Vec<Entity> {
        let files = self.found.get(blueprint).into_iter().flat_map(BTreeMap::values).flatten();
        files.filter_map(|file| self.read(file)).cloned().collect()
    }

    fn suspects(&self, _: &Regex) -> Vec<EntityId> {
        let of = |(blueprint, found): (&BlueprintId, &BTreeMap<Identifier, _>)| -> Vec<EntityId> {
            let id = |identifier: &Identifier| EntityId {
                blueprint: blueprint.clone(),
                identifier: identifier.clone(),
            };
            found.keys().map(id).collect()
        };
        self.found.iter().flat_map(of).collect()
    }

    fn pointing_at(&self, id: &EntityId) -> Vec<Pointing> {
        let all = || {
            let mut pointing: HashMap<EntityId, Vec<Pointing>> = HashMap::new();
            for entity in self.all().flatten() {
                for (relation, to) in relations(self.definitions, entity) {
                    pointing.entry(to).or_default().push((entity.id(), relation.to_owned()));
                }
            }
            pointing
        };
        self.pointing.get_or_init(all).get(id).cloned().unwrap_or_default()
    }

    fn unreadable(&self) -> usize {
        self.all().filter(Option::is_none).count()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_people_read_is_found_in_what_is_stored() {
        let stored: [(Value, &str); 8] = [
            (json!("Looked at in round 7"), "IN ROUND"),
            (json!("says \"no\" to all"), "\"No\" to"),
            (json!(["one two", "three"]), "two, Three"),
            (json!({ "a": [1.5, true] }), "\"a\":[1.5,true"),
            (json!("over\tthere\nand on"), "THERE\nand"),
            (json!("back\\slash"), "k\\s"),
            (json!("naïve Ångström"), "ïve å"),
            (json!("anything"), ""),
        ];
        for (value, text) in stored {
            assert!(pattern(text).is_match(value.to_string().as_bytes()), "{text} in {value}");
        }
        assert!(!pattern("round 8").is_match(b"\"Looked at in round 7\""));
    }
}
