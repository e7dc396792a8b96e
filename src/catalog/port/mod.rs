//! What does an export of Port say, in the formats of a catalog?
//!
//! An export is JSON in any of the shapes that Port's API and its users keep: one thing, a list, or an object with
//! lists under their names. Everything in it becomes a file, or something that is told with its place.

mod read;
mod blueprint;
mod entity;
mod action;
mod step;
mod form;
mod people;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Map, Value};

use super::{Settings, entity_path};
use crate::domain::{
    Blueprint, BlueprintId, Diagnostic, EntityId, Format, Login, Ownership, Place, Property, RepoPath,
};

/// What the catalog and people add to an export.
pub struct Known<'a> {
    /// Where files of each kind go.
    pub settings: &'a Settings,
    /// The login on the forge of each person, by e-mail address in lower case.
    pub logins: &'a BTreeMap<String, Login>,
    /// The blueprints that the catalog has already.
    pub blueprints: &'a BTreeMap<BlueprintId, Blueprint>,
    /// The entities that it has already.
    pub entities: &'a BTreeSet<EntityId>,
}

/// What became of an export.
#[must_use]
pub struct Imported {
    /// The files, as data.
    pub files: BTreeMap<RepoPath, Value>,
    /// What could not be kept as it was. The place's field is a JSON pointer.
    pub found: Vec<Diagnostic>,
    /// The repositories and servers that steps name, for the settings.
    pub needed: [BTreeSet<String>; 2],
}

/// Turns exports, each with the name of its file, into files of a catalog.
pub fn import(known: &Known<'_>, exports: &[(String, Value)]) -> Imported {
    let mut porter = Porter {
        known,
        files: BTreeMap::new(),
        found: Vec::new(),
        repositories: BTreeSet::new(),
        webhooks: BTreeSet::new(),
        spellings: BTreeSet::new(),
        shapes: known.blueprints.iter().map(|(name, one)| (name.to_string(), Shape::of(one))).collect(),
        people: people::People::default(),
        dated: None,
        dated_count: 0,
    };
    let mut things = Vec::new();
    for (name, export) in exports {
        porter.read(name, export, &mut things);
    }
    // Blueprints say how entities are to be read, and teams how they are called.
    things.sort_by_key(|thing| thing.kind);
    for thing in &things {
        porter.thing(thing);
    }
    porter.write_people();
    if let Some(spot) = porter.dated.take() {
        let message =
            format!("when and by whom {} things were made and changed is not kept", porter.dated_count);
        porter.not_kept(&spot, message, "from now on Git's history tells");
    }
    Imported { files: porter.files, found: porter.found, needed: [porter.repositories, porter.webhooks] }
}

/// The kinds of things, in the order in which they are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Blueprint,
    Team,
    User,
    Entity,
    Scorecard,
    Action,
}

/// One thing of an export.
struct Thing<'a> {
    kind: Kind,
    entries: &'a Map<String, Value>,
    spot: Spot,
    /// The blueprint under which it stands, where that is said outside of it.
    blueprint: Option<String>,
}

/// A place in an export.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spot {
    source: String,
    pointer: String,
}

impl Spot {
    fn at(&self, step: impl fmt::Display) -> Self {
        let step = step.to_string().replace('~', "~0").replace('/', "~1");
        Self { source: self.source.clone(), pointer: format!("{}/{step}", self.pointer) }
    }

    fn place(&self) -> Place {
        Place { source: self.source.clone(), span: None, field: Some(self.pointer.clone()) }
    }
}

/// What entities of a blueprint are like, as far as it matters here.
#[derive(Default)]
struct Shape {
    /// Properties that name users or teams.
    formats: BTreeMap<String, String>,
    properties: BTreeSet<String>,
    /// What is computed is not stored.
    computed: BTreeSet<String>,
    /// Relations with their targets.
    relations: BTreeMap<String, String>,
    /// Whether the team is that of another entity.
    inherits: bool,
}

impl Shape {
    fn of(blueprint: &Blueprint) -> Self {
        let named = |property: &Property| {
            let format = property.format.or_else(|| property.items.as_ref()?.format)?;
            matches!(format, Format::User | Format::Team).then(|| format.name().to_owned())
        };
        let computed = blueprint.mirrors.keys().chain(blueprint.calculations.keys());
        Self {
            formats: blueprint
                .properties
                .iter()
                .filter_map(|(name, property)| Some((name.clone(), named(property)?)))
                .collect(),
            properties: blueprint.properties.iter().map(|(name, _)| name.clone()).collect(),
            computed: computed.chain(blueprint.aggregations.keys()).cloned().collect(),
            relations: blueprint
                .relations
                .iter()
                .map(|(name, relation)| (name.clone(), relation.target.to_string()))
                .collect(),
            inherits: matches!(blueprint.ownership, Some(Ownership::Inherited { .. })),
        }
    }
}

struct Porter<'a> {
    known: &'a Known<'a>,
    files: BTreeMap<RepoPath, Value>,
    found: Vec<Diagnostic>,
    /// The repositories and servers that steps name.
    repositories: BTreeSet<String>,
    webhooks: BTreeSet<String>,
    /// The paths in lower case: some file systems take no notice of case.
    spellings: BTreeSet<String>,
    shapes: BTreeMap<String, Shape>,
    people: people::People,
    /// Where the first date of Port's own stands, and how many things have some.
    dated: Option<Spot>,
    dated_count: usize,
}

/// What Port writes into everything, and Git says better.
const DATES: [&str; 4] = ["createdAt", "createdBy", "updatedAt", "updatedBy"];
/// What Port needs for itself.
const INTERNAL: [&str; 4] = ["id", "_id", "orgId", "_orgId"];

impl Porter<'_> {
    fn thing(&mut self, thing: &Thing<'_>) {
        if DATES.iter().any(|name| thing.entries.contains_key(*name)) {
            self.dated_count += 1;
            self.dated.get_or_insert_with(|| thing.spot.clone());
        }
        match thing.kind {
            Kind::Blueprint => self.blueprint(thing),
            Kind::Team => self.team(thing),
            Kind::User => self.user(thing),
            Kind::Entity => self.entity(thing),
            Kind::Scorecard => self.scorecard(thing),
            Kind::Action => self.action(thing),
        }
    }

    /// A key that nobody knows.
    fn unknown(&mut self, spot: &Spot, key: &str) {
        let message = format!("`{key}` is not a key that is known here, and is left out");
        self.found.push(
            Diagnostic::warning("port-unknown-key", spot.at(key).place(), message)
                .help("if it matters, say it by hand in the file that was written"),
        );
    }

    /// Something of Port's that has no like here.
    fn not_kept(&mut self, spot: &Spot, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::warning("port-not-kept", spot.place(), message).help(help));
    }

    /// Something that is said otherwise here.
    fn changed(&mut self, spot: &Spot, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::warning("port-changed", spot.place(), message).help(help));
    }

    /// A thing that has no file.
    fn left_out(&mut self, spot: &Spot, message: impl Into<String>, help: &str) {
        self.found.push(Diagnostic::error("port-left-out", spot.place(), message).help(help));
    }

    /// Those of the entries that a catalog keeps, in its order; others are told, but for Port's own.
    fn keep(
        &mut self,
        entries: &Map<String, Value>,
        spot: &Spot,
        kept: &[&str],
        dropped: &[(&str, &str)],
    ) -> Map<String, Value> {
        for (key, value) in entries {
            let is_own = DATES.contains(&key.as_str()) || INTERNAL.contains(&key.as_str());
            // What is empty says nothing that could be lost.
            let is_empty = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            if kept.contains(&key.as_str()) || is_own || is_empty {
                continue;
            }
            match dropped.iter().find(|(name, _)| name == key) {
                Some((_, help)) => self.not_kept(&spot.at(key), format!("`{key}` is not kept"), help),
                None => self.unknown(spot, key),
            }
        }
        let said = |name: &&str| {
            Some((*name).to_owned()).zip(entries.get(*name).filter(|value| !value.is_null()).cloned())
        };
        kept.iter().filter_map(said).collect()
    }

    /// A file of the catalog, unless another thing has it.
    fn put(&mut self, path: RepoPath, value: Value, spot: &Spot) {
        if self.spellings.insert(path.as_str().to_lowercase()) {
            self.files.insert(path, value);
        } else if self.files.contains_key(&path) {
            self.left_out(spot, format!("`{path}` is another thing's file already"), "keep one of the two");
        } else {
            let message = format!("`{path}` and another file differ in nothing but case");
            self.left_out(
                spot,
                message,
                "rename one of the two: on some systems their files would be the same",
            );
        }
    }

    fn put_entity(&mut self, id: &EntityId, value: Value, spot: &Spot) {
        match entity_path(self.known.settings, id) {
            Ok(path) => self.put(path, value, spot),
            Err(_) => self.left_out(
                spot,
                format!("`{id}` is too long to be the name of a file"),
                "give it a shorter identifier",
            ),
        }
    }

    /// `<folder>/<identifier>.yaml`, if that can be a file.
    fn put_definition(
        &mut self,
        folder: &RepoPath,
        identifier: &str,
        value: Map<String, Value>,
        spot: &Spot,
    ) {
        match folder.join(&format!("{identifier}.yaml")) {
            Ok(path) => self.put(path, value.into(), spot),
            Err(_) => {
                self.left_out(spot, format!("`{identifier}` cannot be the name of a file"), "rename it");
            }
        }
    }
}

/// A text of the entries.
fn text<'a>(entries: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    entries.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// What Port computes by jq.
fn is_computed(value: &Value) -> bool {
    value.get("jqQuery").is_some()
}
