//! Is this whole catalog sound?
//!
//! Looks at everything in one go: settings, definitions, entities, what they point at, and the
//! requests that are still open.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Definitions, Files, Root,
    document::join,
    entity::{collisions, entity_at, examine, references},
    load::{documents_below, duplicate, examine_action, load_definitions, load_settings},
    request, template,
    values::{Segment, Wrong, did_you_mean, trail},
};
use crate::domain::{
    Action, Approval, BlueprintId, Diagnostic, EntityId, Execute, Identifier, Operation, Place, RepoPath,
    RequestFile, RequestId, TeamSlug,
};

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Blueprint files.
    pub blueprints: usize,
    /// Entity files.
    pub entities: usize,
    /// Action files.
    pub actions: usize,
    /// Template folders.
    pub templates: usize,
    /// Request files.
    pub requests: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// Everything, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was looked at.
    pub counts: Counts,
}

/// Looks at everything and never stops at the first mistake.
pub fn check_all(root: &Root, files: &Files) -> Report {
    let settings = match load_settings(root, files.get(&root.settings_path())) {
        Ok(settings) => settings,
        Err(diagnostics) => return Report { diagnostics: in_order(diagnostics), counts: Counts::default() },
    };
    let (definitions, mut diagnostics) = load_definitions(root, settings, files);
    let folders = &definitions.settings.folders;
    let counts = Counts {
        blueprints: documents_below(files, &folders.blueprints).count(),
        entities: documents_below(files, &folders.entities).count(),
        actions: documents_below(files, &folders.actions).count(),
        templates: template::folders(&folders.templates, files).len(),
        requests: requests(&definitions, files).count(),
    };
    let index = Index::new(&definitions, files);
    diagnostics.extend(entities(&definitions, files, &index));
    diagnostics.extend(teams(&definitions, files, &index));
    for (path, id, bytes) in requests(&definitions, files) {
        diagnostics.extend(open_request(&definitions, &index, path, id, bytes));
    }
    Report { diagnostics: in_order(diagnostics), counts }
}

/// By file and place, each once.
fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|a, b| {
        (&a.place, a.severity, a.code, &a.message).cmp(&(&b.place, b.severity, b.code, &b.message))
    });
    diagnostics.dedup();
    diagnostics
}

/// Which entities there are, going by their paths: a file with mistakes is still there to point at.
struct Index {
    identifiers: BTreeMap<BlueprintId, BTreeMap<Identifier, RepoPath>>,
    duplicates: Vec<Diagnostic>,
}

impl Index {
    fn new(definitions: &Definitions, files: &Files) -> Self {
        let mut index = Self { identifiers: BTreeMap::new(), duplicates: Vec::new() };
        for (path, _) in documents_below(files, &definitions.settings.folders.entities) {
            let Some(id) = entity_at(&definitions.settings, path) else {
                index.duplicates.push(unplaced(definitions, path));
                continue;
            };
            let of_blueprint = index.identifiers.entry(id.blueprint.clone()).or_default();
            match of_blueprint.get(&id.identifier) {
                Some(first) => {
                    let name = id.to_string();
                    index.duplicates.push(duplicate("entity", &name, first, Place::file(path.as_str())));
                }
                None => drop(of_blueprint.insert(id.identifier, path.clone())),
            }
        }
        index.duplicates.extend(index.identifiers.values().flat_map(collisions));
        index
    }

    fn has(&self, id: &EntityId) -> bool {
        self.identifiers.get(&id.blueprint).is_some_and(|known| known.contains_key(&id.identifier))
    }

    fn help(&self, id: &EntityId) -> Option<String> {
        let known = self.identifiers.get(&id.blueprint).into_iter().flat_map(BTreeMap::keys);
        did_you_mean(id.identifier.as_str(), known.map(Identifier::as_str))
    }
}

fn unplaced(definitions: &Definitions, path: &RepoPath) -> Diagnostic {
    let folder = &definitions.settings.folders.entities;
    let message = format!("`{path}` does not lie where an entity lies");
    Diagnostic::error("wrong-folder", Place::file(path.as_str()), message)
        .help(format!("an entity is `{folder}/<blueprint>/<identifier>.yaml`"))
}

fn entities(definitions: &Definitions, files: &Files, index: &Index) -> Vec<Diagnostic> {
    let mut found = index.duplicates.clone();
    let mut without_blueprint: BTreeMap<BlueprintId, usize> = BTreeMap::new();
    for (path, bytes) in documents_below(files, &definitions.settings.folders.entities) {
        let Some(id) = entity_at(&definitions.settings, path) else { continue };
        if !definitions.blueprints.contains_key(&id.blueprint) {
            *without_blueprint.entry(id.blueprint).or_default() += 1;
            continue;
        }
        match examine(path, bytes, definitions) {
            Ok((entity, reader)) => {
                found.extend(reader.found);
                for (at, target) in references(definitions, &entity) {
                    if definitions.blueprints.contains_key(&target.blueprint) && !index.has(&target) {
                        found.push(dangle(&id, reader.document.place(&at), &target, index));
                    }
                }
            }
            Err(wrong) => found.extend(wrong),
        }
    }
    let folder = &definitions.settings.folders.entities;
    for (name, count) in without_blueprint {
        if definitions.unusable.blueprints.contains(&name) {
            continue;
        }
        let message = format!("`{folder}/{name}` holds {count} entities of a blueprint that is not defined");
        let mut diagnostic =
            Diagnostic::error("unknown-blueprint", Place::file(format!("{folder}/{name}")), message);
        diagnostic.help = did_you_mean(name.as_str(), definitions.blueprints.keys().map(BlueprintId::as_str));
        found.push(diagnostic);
    }
    found
}

/// An entity points at something that is not there.
fn dangle(id: &EntityId, place: Place, target: &EntityId, index: &Index) -> Diagnostic {
    let (code, message) = match target.blueprint.as_str() {
        "_user" => (
            "unknown-user",
            format!("`{id}` names the user `{}`, who is not in the catalog", target.identifier),
        ),
        "_team" => (
            "unknown-team",
            format!("`{id}` names the team `{}`, which is not in the catalog", target.identifier),
        ),
        _ => ("unknown-relation-target", format!("`{id}` points at `{target}`, which is not in the catalog")),
    };
    let mut diagnostic = Diagnostic::error(code, place, message)
        .label(format!("no `{}` has this identifier", target.blueprint));
    diagnostic.help = index.help(target);
    diagnostic
}

/// The teams that actions name must be there: nobody can be found in a team that is not.
fn teams(definitions: &Definitions, files: &Files, index: &Index) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (path, bytes) in documents_below(files, &definitions.settings.folders.actions) {
        let Ok((action, reader)) = examine_action(path, bytes) else { continue };
        for (at, team) in teams_of(&action) {
            let (Ok(blueprint), Ok(identifier)) = ("_team".parse(), team.as_str().parse()) else { continue };
            let id = EntityId { blueprint, identifier };
            if index.has(&id) {
                continue;
            }
            let message =
                format!("`{}` names the team `{team}`, which is not in the catalog", action.identifier);
            let mut diagnostic = Diagnostic::error("unknown-team", reader.document.place(&at), message);
            diagnostic.help = index.help(&id);
            found.push(diagnostic);
        }
    }
    found
}

fn teams_of(action: &Action) -> Vec<(Vec<Segment>, &TeamSlug)> {
    fn listed<'a>(path: &[Segment], teams: &'a [TeamSlug]) -> Vec<(Vec<Segment>, &'a TeamSlug)> {
        teams.iter().enumerate().map(|(index, team)| (join(path, index), team)).collect()
    }
    let mut found = Vec::new();
    if let Execute::Named { teams, .. } = &action.execute {
        found.extend(listed(&trail!["execute", "teams"], teams));
    }
    if let Approval::Rules(rules) = &action.approval {
        for (rule, one) in rules.iter().enumerate() {
            found.extend(listed(&trail!["approval", "rules", rule, "teams"], &one.teams));
        }
    }
    found
}

/// The requests that are not over; what was recorded is history and may speak of what is gone.
fn requests<'a>(
    definitions: &'a Definitions,
    files: &'a Files,
) -> impl Iterator<Item = (&'a RepoPath, &'a str, &'a crate::domain::Bytes)> {
    let folder = &definitions.settings.folders.requests;
    files.iter().filter_map(move |(path, bytes)| {
        let id = path.under(folder)?.strip_suffix("/request.yaml")?;
        let record = folder.join(&format!("{id}/run.yaml")).ok()?;
        (!files.contains_key(&record)).then_some((path, id, bytes))
    })
}

fn open_request(
    definitions: &Definitions,
    index: &Index,
    path: &RepoPath,
    id: &str,
    bytes: &[u8],
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Err(error) = id.parse::<RequestId>() {
        let message = format!("`{id}` is not {}", error.what);
        found.push(Diagnostic::error("invalid-name", Place::file(path.as_str()), message).help(error.rule));
    }
    match request::examine(path, bytes) {
        Ok((request, mut reader)) => {
            for wrong in against_action(definitions, index, &request) {
                reader.wrong(wrong);
            }
            found.extend(reader.found);
        }
        Err(wrong) => found.extend(wrong),
    }
    found
}

/// What can be said about a request without planning it.
fn against_action(definitions: &Definitions, index: &Index, request: &RequestFile) -> Vec<Wrong> {
    let mut found = Vec::new();
    let Some(action) = definitions.actions.get(&request.action).map(|defined| &defined.value) else {
        if !definitions.broken.contains_key(&request.action) {
            let message = format!("is `{}`, which is not an action of this catalog", request.action);
            let known: BTreeSet<&str> = definitions
                .actions
                .keys()
                .chain(definitions.broken.keys())
                .map(|name| name.as_str())
                .collect();
            let wrong = Wrong::new("unknown-action", &trail!["action"], message);
            found.push(wrong.did_you_mean(request.action.as_str(), known));
        }
        return found;
    };
    for name in request.inputs.keys().filter(|name| action.input(name).is_none()) {
        let message = format!("is not an input of `{}`", action.identifier);
        let wrong = Wrong::new("unknown-input", &trail!["inputs", name.as_str()], message).about_key();
        found.push(wrong.did_you_mean(name, action.inputs.iter().map(|(name, _)| name.as_str())));
    }
    match (action.operation, &request.entity) {
        (Operation::Create, Some(_)) => {
            let wrong =
                Wrong::new("misplaced-key", &trail!["entity"], "has no place here: the action creates one");
            found.push(wrong.about_key().help("remove it"));
        }
        (Operation::Day2 | Operation::Delete, None) => {
            let wrong = Wrong::new("missing-key", &trail!["entity"], "is missing");
            found.push(wrong.help(format!("name the `{}` that the request is about", action.blueprint)));
        }
        (Operation::Day2 | Operation::Delete, Some(entity)) => {
            let id = EntityId { blueprint: action.blueprint.clone(), identifier: entity.clone() };
            if !index.has(&id) {
                let message = format!("is `{entity}`, and no `{}` has this identifier", action.blueprint);
                let mut wrong = Wrong::new("unknown-entity", &trail!["entity"], message);
                wrong.help = index.help(&id);
                found.push(wrong);
            }
        }
        (Operation::Create, None) => {}
    }
    found
}
