//! Is this entity what its blueprint wants?

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Definitions, Settings,
    cross::{unknown_property, unknown_relation},
    document::{Reader, entity::EntityDocument, join, read},
    load::unknown_blueprint,
    values::{Segment, Wrong, check_value, field_name, trail, without_echoes},
};
use crate::domain::{
    Blueprint, Diagnostic, Entity, EntityId, Format, Identifier, InvalidId, Login, Place, Property, RepoPath,
    TeamSlug,
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

/// Reads an entity as far as it can be read, noting everything that is wrong with it.
pub(super) fn examine(
    path: &RepoPath,
    bytes: &[u8],
    definitions: &Definitions,
) -> Result<(Entity, Reader), Vec<Diagnostic>> {
    let (document, mut reader) = read::<EntityDocument>(path.as_str(), bytes)?;
    let Some(entity) = document.into_domain(&mut reader) else { return Err(reader.found) };
    check_place(&entity, path, definitions, &mut reader);
    for wrong in judge(definitions, &entity) {
        reader.wrong(wrong);
    }
    Ok((entity, reader))
}

/// The file says twice what it holds: in its path and in its text.
fn check_place(entity: &Entity, path: &RepoPath, definitions: &Definitions, reader: &mut Reader) {
    let entities = &definitions.settings.folders.entities;
    let folder = path.under(entities).and_then(|below| below.split_once('/')).map(|(folder, _)| folder);
    if folder != Some(entity.blueprint.as_str()) {
        let message =
            format!("is `{}`, and the file lies in `{}`", entity.blueprint, folder.unwrap_or(path.as_str()));
        let help = format!("move it to `{entities}/{}/`, or change its blueprint", entity.blueprint);
        reader.wrong(Wrong::new("wrong-folder", &trail!["blueprint"], message).help(help));
    }
    let stem = entity.identifier.file_stem();
    let below = path.under(entities).unwrap_or_default();
    let (called, ending) = below.rsplit_once('.').unwrap_or((below, "yaml"));
    if called.strip_suffix(stem.as_str()).is_none_or(|folders| !folders.ends_with('/')) {
        let message = format!("is `{}`, and the file is called `{}`", entity.identifier, path.file_name());
        let wrong = Wrong::new("wrong-file-name", &trail!["identifier"], message);
        reader.wrong(wrong.help(format!("call the file `{stem}.{ending}`, or change the identifier")));
    }
}

/// Entities whose names differ in nothing but case: their files are one where the file system takes no notice of it.
pub(super) fn collisions(identifiers: &BTreeMap<Identifier, RepoPath>) -> Vec<Diagnostic> {
    let mut seen: BTreeMap<String, &Identifier> = BTreeMap::new();
    let mut found = Vec::new();
    for (identifier, path) in identifiers {
        if let Some(other) = seen.insert(identifier.as_str().to_lowercase(), identifier) {
            let message = format!("`{identifier}` and `{other}` differ in nothing but case");
            let wrong = Diagnostic::error("case-collision", Place::file(path.as_str()), message);
            found.push(wrong.help("rename one of the two: on some systems their files would be the same"));
        }
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
    for (name, value) in &entity.properties {
        let path = trail!["properties", name.as_str()];
        match blueprint.property(name) {
            None => found.push(unknown_property(blueprint, name, &path)),
            // Nothing there is the same as not there; `required` sees to the rest.
            Some(_) if value.is_null() => {}
            Some(property) => {
                found.extend(check_value(property, value).into_iter().map(|wrong| wrong.below(&path)));
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

fn missing(blueprint: &Blueprint, path: &[Segment], name: &str) -> Wrong {
    let message = format!("is missing, and the blueprint `{}` requires it", blueprint.identifier);
    Wrong::new("missing-key", path, message).help(format!("add `{name}`"))
}

fn relations(blueprint: &Blueprint, entity: &Entity, found: &mut Vec<Wrong>) {
    for (name, value) in &entity.relations {
        let path = trail!["relations", name.as_str()];
        let Some(relation) = blueprint.relations.get(name) else {
            found.push(unknown_relation(blueprint, name, &path));
            continue;
        };
        match (value, relation.many) {
            (Value::Null, _) => {}
            (Value::String(target), false) => found.extend(invalid_target(target, &path)),
            (Value::Array(targets), true) => {
                for (index, target) in targets.iter().enumerate() {
                    let path = join(&path, index);
                    match target {
                        Value::String(target) => found.extend(invalid_target(target, &path)),
                        _ => found.push(not_an_identifier(target, &path)),
                    }
                    if targets[..index].contains(target) {
                        let wrong = Wrong::new("repeated-item", &path, "is in the list already");
                        found.push(wrong.help("remove one of the two"));
                    }
                }
            }
            (Value::String(target), true) => {
                let wrong = Wrong::new("wrong-type", &path, "must be a list of identifiers");
                found.push(wrong.help(format!("write it as a list: [{target}]")));
            }
            (Value::Array(_), false) => {
                let wrong = Wrong::new("wrong-type", &path, "must be one identifier, and is a list");
                found.push(wrong.help(format!("`{name}` points at one `{}`: keep one", relation.target)));
            }
            (Value::Bool(_) | Value::Number(_) | Value::Object(_), _) => {
                found.push(not_an_identifier(value, &path));
            }
        }
    }
    for (name, relation) in &blueprint.relations {
        if relation.required && entity.relations.get(name).is_none_or(Value::is_null) {
            found.push(missing(blueprint, &trail!["relations", name.as_str()], name));
        }
    }
}

fn invalid_target(target: &str, path: &[Segment]) -> Option<Wrong> {
    let error = target.parse::<Identifier>().err()?;
    Some(
        Wrong::new("invalid-name", path, format!("must be {}, and is `{target}`", error.what))
            .help(error.rule),
    )
}

fn not_an_identifier(value: &Value, path: &[Segment]) -> Wrong {
    let wrong = Wrong::new("wrong-type", path, "must be the identifier of an entity");
    if value.is_object() { wrong } else { wrong.help(format!("put it in quotes: \"{value}\"")) }
}

/// Everything that an entity points at, with the place in it. What is no identifier is left out.
pub fn references(definitions: &Definitions, entity: &Entity) -> Vec<(Vec<Segment>, EntityId)> {
    let mut found = Vec::new();
    let mut add = |path: &[Segment], blueprint: &str, name: &str| {
        let name = match blueprint {
            "_user" => {
                name.parse::<Login>().map_or_else(|_| name.to_owned(), |login| login.as_str().to_owned())
            }
            _ => name.to_owned(),
        };
        if let (Ok(blueprint), Ok(identifier)) = (blueprint.parse(), name.parse()) {
            found.push((path.to_vec(), EntityId { blueprint, identifier }));
        }
    };
    for (index, team) in entity.team.iter().enumerate() {
        if team.parse::<TeamSlug>().is_ok() {
            add(&trail!["team", index], "_team", team);
        }
    }
    let Some(blueprint) = definitions.blueprints.get(&entity.blueprint) else { return found };
    for (name, property) in &blueprint.properties {
        if let Some(value) = entity.properties.get(name) {
            people(property, value, &trail!["properties", name.as_str()], &mut add);
        }
    }
    for (name, relation) in &blueprint.relations {
        let path = trail!["relations", name.as_str()];
        match entity.relations.get(name) {
            Some(Value::String(target)) => add(&path, relation.target.as_str(), target),
            Some(Value::Array(targets)) => {
                for (index, target) in targets.iter().enumerate() {
                    if let Some(target) = target.as_str() {
                        add(&join(&path, index), relation.target.as_str(), target);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

/// The users and teams in a value.
fn people(property: &Property, value: &Value, path: &[Segment], add: &mut dyn FnMut(&[Segment], &str, &str)) {
    match (property.format, value) {
        (Some(Format::User), Value::String(login)) => add(path, "_user", login),
        (Some(Format::Team), Value::String(team)) => add(path, "_team", team),
        (None, Value::Array(items)) => {
            let Some(each) = &property.items else { return };
            items.iter().enumerate().for_each(|(index, item)| people(each, item, &join(path, index), add));
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
