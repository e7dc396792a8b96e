//! Which definitions do these files hold?

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Defined, Definitions, Files, Root, Settings, cross, derived,
    document::{
        Reader, action::ActionDocument, blueprint::BlueprintDocument, read, scorecard::ScorecardDocument,
        settings::SettingsDocument,
    },
    policy, template,
    values::{Wrong, trail},
    yaml,
};
use crate::domain::{
    Action, ActionId, Blueprint, BlueprintId, Bytes, Diagnostic, Format, ObjectId, Place, Property,
    PropertyType, Relation, RepoPath,
};

/// Reads `chandlery.yaml`.
///
/// # Errors
/// What is wrong with it, or that it is missing.
pub fn load_settings(root: &Root, file: Option<&Bytes>) -> Result<Settings, Vec<Diagnostic>> {
    let path = root.settings_path();
    let Some(bytes) = file else {
        let place = Place::file(path.as_str());
        return Err(vec![
            Diagnostic::error("settings-missing", place, format!("there is no `{path}`")).help(
                "a catalog begins with this file; `version: 1` is enough. Is this the catalog's folder?",
            ),
        ]);
    };
    let (document, mut reader) = read::<SettingsDocument>(path.as_str(), bytes)?;
    if let Some(newer) = document.newer_than_us(&reader) {
        // What else such a file says is not ours to judge.
        return Err(vec![newer]);
    }
    let settings = document.into_domain(root, &mut reader);
    reader.finish(settings)
}

/// Reads every definition among `files`: what is usable, and everything that is wrong.
pub fn load_definitions(root: &Root, settings: Settings, files: &Files) -> (Definitions, Vec<Diagnostic>) {
    let mut definitions = Definitions::new(root.clone(), settings);
    let mut found = blueprints(&mut definitions, files);
    found.extend(scorecards(&mut definitions, files));
    found.extend(template::load(&mut definitions, files));
    found.extend(actions(&mut definitions, files));
    found.extend(policy::load(&mut definitions, files));
    (definitions, found)
}

/// Reads one action, without holding it against anything else.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_action(path: &RepoPath, bytes: &[u8]) -> Result<Action, Vec<Diagnostic>> {
    let (action, reader) = examine_action(path, bytes)?;
    reader.finish(Some(action))
}

/// Reads an action as far as it can be read, noting everything that is wrong with it.
pub(super) fn examine_action(path: &RepoPath, bytes: &[u8]) -> Result<(Action, Reader), Vec<Diagnostic>> {
    let (document, mut reader) = read::<ActionDocument>(path.as_str(), bytes)?;
    let Some(action) = document.into_domain(&mut reader) else { return Err(reader.found) };
    check_file_name(action.identifier.as_str(), path, &mut reader);
    Ok((action, reader))
}

/// The files of a folder that hold documents.
pub(super) fn documents_below<'a>(
    files: &'a Files,
    folder: &'a RepoPath,
) -> impl Iterator<Item = (&'a RepoPath, &'a Bytes)> + use<'a> {
    files.iter().filter(move |(path, _)| path.under(folder).is_some() && is_document(path))
}

/// The files of a folder of actions that hold one: what is below `<action>.tests/` is about it.
pub(super) fn actions_below<'a>(
    files: &'a Files,
    folder: &'a RepoPath,
) -> impl Iterator<Item = (&'a RepoPath, &'a Bytes)> + use<'a> {
    documents_below(files, folder).filter(|(path, _)| !path.as_str().contains(TESTS))
}

/// How the name of a folder ends that holds the cases of the action before it.
pub const TESTS: &str = ".tests/";

/// Whether a file holds a document, going by its ending.
pub fn is_document(path: &RepoPath) -> bool {
    matches!(path.extension().as_deref(), Some("yaml" | "yml" | "json"))
}

/// The name of a file without its ending.
pub(super) fn stem(path: &RepoPath) -> &str {
    let name = path.file_name();
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

pub(super) fn check_file_name(identifier: &str, path: &RepoPath, reader: &mut Reader) {
    if identifier != stem(path) {
        let message = format!("is `{identifier}`, and the file is called `{}`", path.file_name());
        let ending = path.file_name().rsplit_once('.').map_or("yaml", |(_, ending)| ending);
        let wrong = Wrong::new("wrong-file-name", &trail!["identifier"], message);
        reader.wrong(wrong.help(format!("call the file `{identifier}.{ending}`, or change the identifier")));
    }
}

/// Where a file says what it holds.
pub(super) fn identified(path: &RepoPath, read: &dyn Fn(&RepoPath) -> Option<Bytes>) -> Place {
    let read = read(path).and_then(|bytes| yaml::parse(path.as_str(), &bytes).ok());
    read.map_or_else(|| Place::file(path.as_str()), |document| document.place(&trail!["identifier"]))
}

/// A definition that another file holds already.
pub(super) fn duplicate(
    what: &str,
    name: &str,
    read: &dyn Fn(&RepoPath) -> Option<Bytes>,
    first: &RepoPath,
    second: &RepoPath,
) -> Diagnostic {
    let place = |path: &RepoPath| identified(path, read);
    let message = format!("the {what} `{name}` is in `{first}` already");
    Diagnostic::error("duplicate-identifier", place(second), message)
        .related(place(first), "it is here already")
        .help("keep one of the two files")
}

fn blueprints(definitions: &mut Definitions, files: &Files) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut read: BTreeMap<BlueprintId, (RepoPath, Blueprint, Reader)> = BTreeMap::new();
    let unusable = &mut definitions.unusable.blueprints;
    let built_in = built_in();
    for (path, bytes) in documents_below(files, &definitions.settings.folders.blueprints) {
        match examine_blueprint(path, bytes, &built_in) {
            Ok((blueprint, reader)) => {
                let name = blueprint.identifier.clone();
                if let Some((first, ..)) = read.get(&name) {
                    found.push(duplicate(
                        "blueprint",
                        name.as_str(),
                        &|path| files.get(path).cloned(),
                        first,
                        path,
                    ));
                    found.extend(reader.found);
                    continue;
                }
                if !reader.found.is_empty() {
                    unusable.insert(name.clone());
                    unusable.extend(stem(path).parse());
                }
                read.insert(name, (path.clone(), blueprint, reader));
            }
            Err(wrong) => {
                found.extend(wrong);
                unusable.extend(stem(path).parse());
            }
        }
    }
    let known: BTreeSet<&BlueprintId> = built_in.keys().chain(read.keys()).chain(&*unusable).collect();
    let mut dangling: Vec<(BlueprintId, Wrong)> = Vec::new();
    for (name, (_, blueprint, _)) in &read {
        for (relation, Relation { target, .. }) in &blueprint.relations {
            if !known.contains(target) {
                let path = trail!["relations", relation.as_str(), "target"];
                dangling.push((name.clone(), unknown_blueprint(&path, target, &known)));
            }
        }
    }
    let made: BTreeMap<BlueprintId, Blueprint> = built_in
        .iter()
        .chain(read.iter().map(|(name, (_, blueprint, _))| (name, blueprint)))
        .map(|(name, blueprint)| (name.clone(), blueprint.clone()))
        .collect();
    for (name, (_, blueprint, reader)) in &read {
        let wrong = derived::check(blueprint, &reader.value, &made, unusable);
        dangling.extend(wrong.into_iter().map(|wrong| (name.clone(), wrong)));
    }
    for (name, (_, blueprint, mut reader)) in read {
        dangling.extract_if(.., |(of, _)| *of == name).for_each(|(_, wrong)| reader.wrong(wrong));
        found.append(&mut reader.found);
        definitions.blueprints.insert(name, blueprint);
    }
    // A broken extension of a built-in blueprint must not leave half of it in place either.
    definitions.blueprints.retain(|name, _| !definitions.unusable.blueprints.contains(name));
    found
}

/// A blueprint that nobody defined.
pub(super) fn unknown_blueprint(
    path: &[super::values::Segment],
    name: &BlueprintId,
    known: &BTreeSet<&BlueprintId>,
) -> Wrong {
    Wrong::new("unknown-blueprint", path, format!("names the blueprint `{name}`, which is not defined"))
        .did_you_mean(name.as_str(), known.iter().map(|known| known.as_str()))
}

type Examined = (Blueprint, Reader);

/// Reads a blueprint as far as it can be read, noting everything that is wrong with it.
fn examine_blueprint(
    path: &RepoPath,
    bytes: &[u8],
    built_in: &BTreeMap<BlueprintId, Blueprint>,
) -> Result<Examined, Vec<Diagnostic>> {
    let (document, mut reader) = read::<BlueprintDocument>(path.as_str(), bytes)?;
    let Some(mut blueprint) = document.into_domain(&mut reader) else { return Err(reader.found) };
    check_file_name(blueprint.identifier.as_str(), path, &mut reader);
    if let Some(base) = built_in.get(&blueprint.identifier) {
        extend(&mut blueprint, base, &mut reader);
    } else if blueprint.identifier.as_str().starts_with('_') {
        let wrong = Wrong::new(
            "invalid-name",
            &trail!["identifier"],
            "begins with `_`, as only `_user` and `_team` do",
        );
        reader.wrong(wrong.help("choose another identifier"));
    }
    Ok((blueprint, reader))
}

/// Adds what the built-in blueprint has.
fn extend(blueprint: &mut Blueprint, base: &Blueprint, reader: &mut Reader) {
    for (name, property) in base.properties.iter().rev() {
        match blueprint.property(name) {
            None => blueprint.properties.insert(0, (name.clone(), property.clone())),
            Some(own) if own.kind == property.kind => {}
            Some(_) => {
                let message = format!("must be `type: {}`, as it is built in", property.kind.name());
                let path = trail!["schema", "properties", name.as_str(), "type"];
                reader.wrong(Wrong::new("built-in-changed", &path, message).help("use another name"));
            }
        }
    }
    for (name, relation) in &base.relations {
        match blueprint.relations.get(name) {
            None => drop(blueprint.relations.insert(name.clone(), relation.clone())),
            Some(own) if own.target == relation.target && own.many == relation.many => {}
            Some(_) => {
                let message = format!(
                    "must have `target: {}` and `many: {}`, as it is built in",
                    relation.target, relation.many
                );
                let path = trail!["relations", name.as_str()];
                reader.wrong(Wrong::new("built-in-changed", &path, message).help("use another name"));
            }
        }
    }
}

fn scorecards(definitions: &mut Definitions, files: &Files) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut first: BTreeMap<String, RepoPath> = BTreeMap::new();
    let folder = definitions.settings.folders.scorecards.clone();
    for (path, bytes) in documents_below(files, &folder) {
        let (document, mut reader) = match read::<ScorecardDocument>(path.as_str(), bytes) {
            Ok(read) => read,
            Err(wrong) => {
                found.extend(wrong);
                continue;
            }
        };
        let made = document.into_domain(&mut reader);
        if let Some(scorecard) = &made {
            check_file_name(&scorecard.identifier, path, &mut reader);
            cross::check_scorecard(definitions, scorecard, &mut reader);
            if let Some(first) = first.get(&scorecard.identifier) {
                found.push(duplicate(
                    "scorecard",
                    &scorecard.identifier,
                    &|path| files.get(path).cloned(),
                    first,
                    path,
                ));
                found.append(&mut reader.found);
                continue;
            }
            first.insert(scorecard.identifier.clone(), path.clone());
        }
        match reader.finish(made) {
            Ok(scorecard) => drop(definitions.scorecards.insert(scorecard.identifier.clone(), scorecard)),
            Err(wrong) => found.extend(wrong),
        }
    }
    found
}

fn actions(definitions: &mut Definitions, files: &Files) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut first: BTreeMap<ActionId, RepoPath> = BTreeMap::new();
    let folder = definitions.settings.folders.actions.clone();
    for (path, bytes) in actions_below(files, &folder) {
        let name: Option<ActionId> = stem(path).parse().ok();
        match examine_action(path, bytes) {
            Ok((action, mut reader)) => {
                let name = action.identifier.clone();
                if let Some(first) = first.get(&name) {
                    found.push(duplicate(
                        "action",
                        name.as_str(),
                        &|path| files.get(path).cloned(),
                        first,
                        path,
                    ));
                    found.append(&mut reader.found);
                    continue;
                }
                first.insert(name.clone(), path.clone());
                cross::check_action(definitions, &action, &mut reader);
                if reader.found.is_empty() && !cross::rests_on_unusable(definitions, &action) {
                    let blob = ObjectId::of_blob(bytes);
                    definitions.actions.insert(name, Defined { blob, value: action });
                } else {
                    definitions.broken.insert(name, reader.found.clone());
                    found.append(&mut reader.found);
                }
            }
            Err(wrong) => {
                if let Some(name) = name {
                    definitions.broken.insert(name, wrong.clone());
                }
                found.extend(wrong);
            }
        }
    }
    definitions.actions.retain(|name, _| !definitions.broken.contains_key(name));
    found
}

/// `_user` and `_team`, which every catalog has.
pub(super) fn built_in() -> BTreeMap<BlueprintId, Blueprint> {
    let text = |format| Property {
        kind: PropertyType::String,
        format,
        spec: None,
        title: None,
        description: None,
        default: None,
        choices: Vec::new(),
        blueprint: None,
        items: None,
        keywords: serde_json::Map::new(),
    };
    let id = |name: &str| name.parse::<BlueprintId>().expect("a built-in name is a name");
    let blueprint = |name: &str, title: &str, property: (&str, Property)| Blueprint {
        identifier: id(name),
        title: title.to_owned(),
        properties: vec![(property.0.to_owned(), property.1)],
        required: Vec::new(),
        relations: BTreeMap::new(),
        ownership: None,
        mirrors: BTreeMap::new(),
        calculations: BTreeMap::new(),
        aggregations: BTreeMap::new(),
    };
    let user = blueprint("_user", "User", ("email", text(Some(Format::Email))));
    let mut team = blueprint("_team", "Team", ("github", text(None)));
    let members =
        Relation { title: Some("Members".to_owned()), target: id("_user"), required: false, many: true };
    team.relations.insert("members".to_owned(), members);
    BTreeMap::from([(user.identifier.clone(), user), (team.identifier.clone(), team)])
}
