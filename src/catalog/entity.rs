//! Is this entity what its blueprint wants?

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::{Map, Value};

use super::{
    Definitions, Settings,
    cross::{team_without_effect, unknown_property, unknown_relation},
    document::{Reader, entity::EntityDocument, join, read},
    load::unknown_blueprint,
    values::{Segment, Wrong, check_value, field_name, trail, without_echoes},
    yaml,
};
use crate::domain::{
    Blueprint, BlueprintId, Diagnostic, Entity, EntityId, Format, Identifier, InvalidId, Login, Place,
    Property, RepoPath, TeamSlug,
};

/// The entity that the file at this path must hold; none if entities do not lie there.
pub fn entity_at(settings: &Settings, path: &RepoPath) -> Option<EntityId> {
    let (blueprint, below) = path.under(&settings.folders.entities)?.split_once('/')?;
    Some(EntityId { blueprint: blueprint.parse().ok()?, identifier: Identifier::of_file(below)? })
}

/// Where a new entity's file lies.
///
/// # Errors
/// When its identifier is too long for a path.
pub fn entity_path(settings: &Settings, id: &EntityId) -> Result<RepoPath, InvalidId> {
    settings.folders.entities.join(&format!("{}/{}.yaml", id.blueprint, id.identifier.file_stem()))
}

/// Reads an entity and holds it against its blueprint. What it points at is not looked up.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_entity(
    path: &RepoPath,
    bytes: &[u8],
    definitions: &Definitions,
) -> Result<Entity, Vec<Diagnostic>> {
    let (entity, reader) = examine(path, bytes, definitions)?;
    reader.finish(Some(entity))
}

/// What the file of an entity says, for whoever keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// The entity, as far as it can be read.
    pub entity: Option<Entity>,
    /// Whether nothing is wrong with it, seen alone.
    pub sound: bool,
}

/// Reads an entity as far as it can be read, and says whether anything is wrong with it, but not what.
pub fn store_entity(path: &RepoPath, bytes: &[u8], definitions: &Definitions) -> Stored {
    // Nearly all are sound, and that is found out sooner than what is wrong.
    if let Some(entity) = quick(path, bytes) {
        let sound = places(&entity, path, definitions).is_empty() && judge(definitions, &entity).is_empty();
        return Stored { entity: Some(entity), sound };
    }
    match examine(path, bytes, definitions) {
        Ok((entity, reader)) => Stored { entity: Some(entity), sound: reader.found.is_empty() },
        Err(_) => Stored { entity: None, sound: false },
    }
}

/// An entity in whose form nothing is wrong, as [`EntityDocument`] would read it; none where anything is unusual.
fn quick(path: &RepoPath, bytes: &[u8]) -> Option<Entity> {
    let (mut identifier, mut blueprint, mut title, mut icon) = (None, None, None, None);
    let mut team = Vec::new();
    let (mut properties, mut relations) = (Map::new(), BTreeMap::new());
    for (key, value) in yaml::entries(path.as_str(), bytes)? {
        match (key.as_str(), value) {
            ("identifier", Value::String(text)) => identifier = text.parse().ok(),
            ("blueprint", Value::String(text)) => blueprint = text.parse().ok(),
            ("title", Value::String(text)) => title = Some(text),
            ("icon", Value::String(text)) => icon = Some(text),
            ("team", Value::String(one)) => team = vec![one],
            ("properties", Value::Object(entries)) => properties = entries,
            ("relations", Value::Object(entries)) => relations = entries.into_iter().collect(),
            _ => return None,
        }
    }
    let named = team.iter().all(|team: &String| team.parse::<TeamSlug>().is_ok());
    named.then_some(Entity {
        identifier: identifier?,
        blueprint: blueprint?,
        title,
        icon,
        team,
        properties,
        relations,
    })
}

/// Whether nothing is wrong with the form and the place of an entity of whose blueprint nothing is known.
pub fn is_well_formed(path: &RepoPath, bytes: &[u8], definitions: &Definitions) -> bool {
    match quick(path, bytes) {
        Some(entity) => places(&entity, path, definitions).is_empty(),
        None => examine_form(path, bytes, definitions).is_ok_and(|(_, reader)| reader.found.is_empty()),
    }
}

/// Reads an entity as far as it can be read, noting what is wrong with its form and its place.
pub(super) fn examine_form(
    path: &RepoPath,
    bytes: &[u8],
    definitions: &Definitions,
) -> Result<(Entity, Reader), Vec<Diagnostic>> {
    let (document, mut reader) = read::<EntityDocument>(path.as_str(), bytes)?;
    let Some(entity) = document.into_domain(&mut reader) else { return Err(reader.found) };
    for wrong in places(&entity, path, definitions) {
        reader.wrong(wrong);
    }
    Ok((entity, reader))
}

/// Reads an entity as far as it can be read, noting everything that is wrong with it.
pub(super) fn examine(
    path: &RepoPath,
    bytes: &[u8],
    definitions: &Definitions,
) -> Result<(Entity, Reader), Vec<Diagnostic>> {
    let (entity, mut reader) = examine_form(path, bytes, definitions)?;
    for wrong in judge(definitions, &entity) {
        reader.wrong(wrong);
    }
    Ok((entity, reader))
}

/// The file says twice what it holds: in its path and in its text.
fn places(entity: &Entity, path: &RepoPath, definitions: &Definitions) -> Vec<Wrong> {
    let mut found = Vec::new();
    let entities = &definitions.settings.folders.entities;
    let folder = path.under(entities).and_then(|below| below.split_once('/')).map(|(folder, _)| folder);
    if folder != Some(entity.blueprint.as_str()) {
        let message =
            format!("is `{}`, and the file lies in `{}`", entity.blueprint, folder.unwrap_or(path.as_str()));
        let help = format!("move it to `{entities}/{}/`, or change its blueprint", entity.blueprint);
        found.push(Wrong::new("wrong-folder", &trail!["blueprint"], message).help(help));
    }
    let stem = entity.identifier.file_stem();
    let below = path.under(entities).unwrap_or_default();
    let (called, ending) = below.rsplit_once('.').unwrap_or((below, "yaml"));
    if called.strip_suffix(stem.as_str()).is_none_or(|folders| !folders.ends_with('/')) {
        let message = format!("is `{}`, and the file is called `{}`", entity.identifier, path.file_name());
        let wrong = Wrong::new("wrong-file-name", &trail!["identifier"], message);
        found.push(wrong.help(format!("call the file `{stem}.{ending}`, or change the identifier")));
    }
    found
}

/// Everything that is wrong with an entity that has no file yet.
pub fn check_entity(
    definitions: &Definitions,
    entity: &Entity,
    place: &dyn Fn(&[Segment]) -> Place,
) -> Vec<Diagnostic> {
    let tell = |wrong: Wrong| {
        let (place, subject) = (place(&wrong.path), field_name(&wrong.path));
        wrong.at(place, &subject)
    };
    judge(definitions, entity).into_iter().map(tell).collect()
}

fn judge(definitions: &Definitions, entity: &Entity) -> Vec<Wrong> {
    let Some(blueprint) = definitions.blueprints.get(&entity.blueprint) else {
        if definitions.unusable.blueprints.contains(&entity.blueprint) {
            let message = format!("is `{}`, which has mistakes of its own", entity.blueprint);
            let wrong = Wrong::new("unusable-blueprint", &trail!["blueprint"], message);
            return vec![wrong.help("mend the blueprint first")];
        }
        let known = definitions.blueprints.keys().collect();
        return vec![unknown_blueprint(&trail!["blueprint"], &entity.blueprint, &known)];
    };
    let mut found = Vec::new();
    if !entity.team.is_empty() {
        found.extend(team_without_effect(blueprint, &trail!["team"]));
    }
    if entity.blueprint.as_str() == "_user" {
        let login = entity.identifier.as_str();
        if login.parse::<Login>().is_ok_and(|known| known.as_str() != login) {
            let wrong = Wrong::new("invalid-name", &trail!["identifier"], "must be a login in lower case");
            found.push(wrong.help(format!("write `{}`, and call the file so", login.to_lowercase())));
        } else if login.parse::<Login>().is_err() {
            let wrong = Wrong::new("invalid-name", &trail!["identifier"], "must be a login on the forge");
            found.push(wrong.help("it has letters, digits and -"));
        }
    }
    let schemas = definitions.schemas.of(&definitions.blueprints, &entity.blueprint);
    for (at, (name, value)) in entity.properties.iter().enumerate() {
        let path = || trail!["properties", name.as_str()];
        // Most write them in the order of the blueprint.
        let here = blueprint.properties.get(at).filter(|(key, _)| key == name).map(|_| at);
        let found_at = here.or_else(|| blueprint.properties.iter().position(|(key, _)| key == name));
        match found_at.map(|at| (&blueprint.properties[at].1, &schemas[at])) {
            None => found.push(unknown_property(blueprint, name, &path())),
            // Nothing there is the same as not there; `required` sees to the rest.
            Some(_) if value.is_null() => {}
            Some((property, schema)) => {
                if !schema.as_ref().is_ok_and(|schema| schema.is_valid(value)) {
                    found.extend(check_value(property, value).into_iter().map(|wrong| wrong.below(&path())));
                }
                if names_blueprints(property) {
                    blueprints(definitions, property, value, &path(), &mut found);
                }
            }
        }
    }
    for name in &blueprint.required {
        let said = entity.properties.get(name).is_some_and(|value| !value.is_null());
        let has_default = blueprint.property(name).is_some_and(|property| property.default.is_some());
        if !said && !has_default {
            found.push(missing(blueprint, &trail!["properties", name.as_str()], name));
        }
    }
    relations(blueprint, entity, &mut found);
    without_echoes(found)
}

/// Whether a value of the property is judged by what blueprints there are.
pub fn names_blueprints(property: &Property) -> bool {
    property.format == Some(Format::Blueprints) || property.items.as_deref().is_some_and(names_blueprints)
}

/// The blueprints that a value names must be there.
fn blueprints(
    definitions: &Definitions,
    property: &Property,
    value: &Value,
    path: &[Segment],
    found: &mut Vec<Wrong>,
) {
    match (property.format, value) {
        (Some(Format::Blueprints), Value::String(name)) => {
            let Ok(name) = name.parse() else { return };
            let known = definitions.known_blueprints();
            if !known.contains(&name) {
                found.push(unknown_blueprint(path, &name, &known));
            }
        }
        (None, Value::Array(items)) => {
            let Some(each) = &property.items else { return };
            let items = items.iter().enumerate();
            items.for_each(|(index, item)| blueprints(definitions, each, item, &join(path, index), found));
        }
        _ => {}
    }
}

fn missing(blueprint: &Blueprint, path: &[Segment], name: &str) -> Wrong {
    let message = format!("is missing, and the blueprint `{}` requires it", blueprint.identifier);
    Wrong::new("missing-key", path, message).help(format!("add `{name}`"))
}

fn relations(blueprint: &Blueprint, entity: &Entity, found: &mut Vec<Wrong>) {
    for (name, value) in &entity.relations {
        let path = || trail!["relations", name.as_str()];
        let Some(relation) = blueprint.relations.get(name) else {
            found.push(unknown_relation(blueprint, name, &path()));
            continue;
        };
        match (value, relation.many) {
            (Value::Null, _) => {}
            (Value::String(target), false) => found.extend(invalid_target(target, &|| path().to_vec())),
            (Value::Array(targets), true) => {
                for (index, target) in targets.iter().enumerate() {
                    let item = || join(&path(), index);
                    match target {
                        Value::String(target) => found.extend(invalid_target(target, &item)),
                        _ => found.push(not_an_identifier(target, &item())),
                    }
                    if targets[..index].contains(target) {
                        let wrong = Wrong::new("repeated-item", &item(), "is in the list already");
                        found.push(wrong.help("remove one of the two"));
                    }
                }
            }
            (Value::String(target), true) => {
                let wrong = Wrong::new("wrong-type", &path(), "must be a list of identifiers");
                found.push(wrong.help(format!("write it as a list: [{target}]")));
            }
            (Value::Array(_), false) => {
                let wrong = Wrong::new("wrong-type", &path(), "must be one identifier, and is a list");
                found.push(wrong.help(format!("`{name}` points at one `{}`: keep one", relation.target)));
            }
            (Value::Bool(_) | Value::Number(_) | Value::Object(_), _) => {
                found.push(not_an_identifier(value, &path()));
            }
        }
    }
    for (name, relation) in &blueprint.relations {
        if relation.required && entity.relations.get(name).is_none_or(Value::is_null) {
            found.push(missing(blueprint, &trail!["relations", name.as_str()], name));
        }
    }
}

fn invalid_target(target: &str, path: &dyn Fn() -> Vec<Segment>) -> Option<Wrong> {
    let error = target.parse::<Identifier>().err()?;
    Some(
        Wrong::new("invalid-name", &path(), format!("must be {}, and is `{target}`", error.what))
            .help(error.rule),
    )
}

fn not_an_identifier(value: &Value, path: &[Segment]) -> Wrong {
    let wrong = Wrong::new("wrong-type", path, "must be the identifier of an entity");
    if value.is_object() { wrong } else { wrong.help(format!("put it in quotes: \"{value}\"")) }
}

/// The field of an entity in which it points at others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field<'a> {
    /// The teams that own it.
    Team,
    /// A property with users or teams.
    Property(&'a str),
    /// A relation.
    Relation(&'a str),
}

impl Field<'_> {
    /// The way to an item in it.
    fn path(self, indices: &[usize]) -> Vec<Segment> {
        let indices = indices.iter().map(|index| Segment::from(*index));
        match self {
            Self::Team => trail!["team"].into_iter().chain(indices).collect(),
            Self::Property(name) => trail!["properties", name].into_iter().chain(indices).collect(),
            Self::Relation(name) => trail!["relations", name].into_iter().chain(indices).collect(),
        }
    }
}

/// Everything that an entity points at, with the place in it. What is no identifier is left out.
pub fn references(definitions: &Definitions, entity: &Entity) -> Vec<(Vec<Segment>, EntityId)> {
    let mut found = Vec::new();
    each_reference(definitions, entity, &mut |field, indices, blueprint, name| {
        if let Ok(identifier) = name.parse() {
            found.push((field.path(indices), EntityId { blueprint: blueprint.clone(), identifier }));
        }
    });
    found
}

/// What is done with each reference: field, place in it, blueprint, and what should be an identifier.
type Visit<'a, 'v> = dyn FnMut(Field<'a>, &[usize], &'a BlueprintId, &str) + 'v;

/// Visits everything that an entity points at: field, place in it, blueprint, and what should be an identifier.
pub fn each_reference<'a>(definitions: &'a Definitions, entity: &Entity, visit: &mut Visit<'a, '_>) {
    static PEOPLE: LazyLock<[BlueprintId; 2]> =
        LazyLock::new(|| ["_user", "_team"].map(|name| name.parse().expect("a built-in name is a name")));
    let [users, teams] = &*PEOPLE;
    for (index, team) in entity.team.iter().enumerate() {
        if team.parse::<TeamSlug>().is_ok() {
            visit(Field::Team, &[index], teams, team);
        }
    }
    let Some(blueprint) = definitions.blueprints.get(&entity.blueprint) else { return };
    for (name, property) in &blueprint.properties {
        if !names_people(property) {
            continue;
        }
        if let Some(value) = entity.properties.get(name) {
            people(property, value, &mut Vec::new(), &mut |format, indices, text| match format {
                // What is no login has been told, and is nobody's.
                Format::User => {
                    if let Ok(login) = text.parse::<Login>() {
                        visit(Field::Property(name), indices, users, login.as_str());
                    }
                }
                _ => visit(Field::Property(name), indices, teams, text),
            });
        }
    }
    for (name, relation) in &blueprint.relations {
        let login = |text: &str| text.parse::<Login>().map(|login| login.as_str().to_owned());
        let mut see = |indices: &[usize], target: &str| match relation.target == *users {
            true => {
                let target = login(target).unwrap_or_else(|_| target.to_owned());
                visit(Field::Relation(name), indices, &relation.target, &target);
            }
            false => visit(Field::Relation(name), indices, &relation.target, target),
        };
        match entity.relations.get(name) {
            Some(Value::String(target)) => see(&[], target),
            Some(Value::Array(targets)) => {
                for (index, target) in targets.iter().enumerate() {
                    if let Some(target) = target.as_str() {
                        see(&[index], target);
                    }
                }
            }
            _ => {}
        }
    }
}

fn names_people(property: &Property) -> bool {
    matches!(property.format, Some(Format::User | Format::Team))
        || property.items.as_deref().is_some_and(names_people)
}

/// The users and teams in a value, each with the way to it.
fn people(
    property: &Property,
    value: &Value,
    indices: &mut Vec<usize>,
    visit: &mut dyn FnMut(Format, &[usize], &str),
) {
    match (property.format, value) {
        (Some(format @ (Format::User | Format::Team)), Value::String(text)) => visit(format, indices, text),
        (None, Value::Array(items)) => {
            let Some(each) = &property.items else { return };
            for (index, item) in items.iter().enumerate() {
                indices.push(index);
                people(each, item, indices, visit);
                indices.pop();
            }
        }
        _ => {}
    }
}

/// The entity with the defaults of its blueprint where it says nothing.
pub fn with_defaults(blueprint: &Blueprint, mut entity: Entity) -> Entity {
    for (name, property) in &blueprint.properties {
        let silent = entity.properties.get(name).is_none_or(Value::is_null);
        if let (true, Some(default)) = (silent, &property.default) {
            entity.properties.insert(name.clone(), default.clone());
        }
    }
    entity
}
