//! Which issue forms change with the catalog, and does the schema of requests? They list the entities that may be chosen,
//! so the commit that adds or removes some writes those that list them anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::{Definitions, entity_at},
    domain::{ActionId, BlueprintId, Bytes, Change, Changes, Identifier, RepoPath, Search},
    intake::{
        issue_form::{self, Listed},
        request_schema,
    },
    plan::{
        facts::{Facts, Here, Looked, Looker, Pending, Question},
        step::Commit,
    },
};

/// The forms that a commit of the catalog must write too. Only files that were generated are ever
/// written, and only where they are.
///
/// # Errors
/// What must be known first.
pub fn regenerated(
    definitions: &Definitions,
    facts: &Facts,
    here: &Here,
    commit: &Commit,
) -> Result<Changes, BTreeSet<Question>> {
    let look = Looker::new(facts);
    changes(definitions, &look, here, commit).map_err(|Pending| look.missing())
}

fn changes(definitions: &Definitions, look: &Looker<'_>, here: &Here, commit: &Commit) -> Looked<Changes> {
    let mut changed: BTreeMap<BlueprintId, Vec<(Identifier, bool)>> = BTreeMap::new();
    for (path, change) in &commit.changes {
        if let Some(id) = entity_at(&definitions.settings, path) {
            let stays = change.bytes().is_some();
            changed.entry(id.blueprint).or_default().push((id.identifier, stays));
        }
    }
    let Some(parent) = commit.parent else { return Ok(Changes::new()) };
    let files: Vec<(RepoPath, Option<Bytes>)> = commit
        .changes
        .iter()
        .filter(|(path, _)| entity_at(&definitions.settings, path).is_some())
        .map(|(path, change)| (path.clone(), change.bytes().cloned()))
        .collect();
    // What a query asks for may change with any entity.
    let is_touched = |listed: &Listed| {
        if listed.search.is_some() { !changed.is_empty() } else { changed.contains_key(&listed.blueprint) }
    };
    let actions: Vec<(&ActionId, BTreeSet<Listed>)> = definitions
        .actions
        .iter()
        .map(|(id, action)| (id, issue_form::lists(&action.value)))
        .filter(|(_, lists)| lists.iter().any(is_touched))
        .collect();
    let mut pending = false;
    let schema_path: RepoPath = request_schema::PATH.parse().expect("it is a path");
    let schema = match (!changed.is_empty()).then(|| look.file(&here.catalog, parent, &schema_path)) {
        Some(Err(Pending)) => {
            pending = true;
            None
        }
        Some(Ok(Ok(Some(file)))) if file.bytes.starts_with(request_schema::HEADER.as_bytes()) => {
            Some(&file.bytes)
        }
        Some(Ok(_)) | None => None,
    };
    // The schema lists what any form does.
    let all = definitions.actions.values().filter(|_| schema.is_some());
    let in_schema: BTreeSet<Listed> = all.flat_map(|action| issue_form::lists(&action.value)).collect();
    let mut entities: BTreeMap<&BlueprintId, BTreeSet<Identifier>> = BTreeMap::new();
    let mut found: BTreeMap<&Listed, Vec<Identifier>> = BTreeMap::new();
    for listed in actions.iter().flat_map(|(_, lists)| lists).chain(&in_schema) {
        if let Some(search) = &listed.search {
            let search = Search { changes: files.clone(), ..search.clone() };
            match look.search(parent, search) {
                Err(Pending) => pending = true,
                Ok(Err(_)) => return Ok(Changes::new()),
                Ok(Ok(answer)) => drop(found.insert(listed, answer.first().cloned().unwrap_or_default())),
            }
            continue;
        }
        let blueprint = &listed.blueprint;
        match look.entities(parent, blueprint) {
            Err(Pending) => pending = true,
            // What is not known is not written; the next change of entities tries again.
            Ok(Err(_)) => return Ok(Changes::new()),
            Ok(Ok(known)) => {
                let known = entities.entry(blueprint).or_insert_with(|| known.clone());
                for (identifier, stays) in changed.get(blueprint).into_iter().flatten() {
                    if *stays {
                        known.insert(identifier.clone())
                    } else {
                        known.remove(identifier)
                    };
                }
            }
        }
    }
    let paths: Vec<RepoPath> = actions.iter().filter_map(|(id, _)| issue_form::path_of(id)).collect();
    let old: Vec<_> = paths.iter().map(|path| look.file(&here.catalog, parent, path)).collect();
    if pending || old.iter().any(Result::is_err) {
        return Err(Pending);
    }
    let listed = |listed: &Listed| match found.get(listed) {
        Some(found) => found.iter().map(|id| (id.clone(), None)).collect(),
        None => entities.get(&listed.blueprint).into_iter().flatten().map(|id| (id.clone(), None)).collect(),
    };
    let mut forms = issue_form::generate(definitions, &listed);
    let new = schema.map(|old| (old, request_schema::generate(definitions, &listed).into_bytes()));
    let new = new.filter(|(old, new)| old[..] != new[..]);
    let schema = new.map(|(_, new)| (schema_path, Change::Put(new.into())));
    Ok(paths
        .into_iter()
        .zip(old)
        .filter_map(|(path, old)| {
            let old: &Bytes = &old.ok()?.ok()??.bytes;
            let new = forms.remove(&path)?.into_bytes();
            let ours = old.starts_with(issue_form::HEADER.as_bytes()) && **old != *new;
            ours.then(|| (path, Change::Put(new.into())))
        })
        .chain(schema)
        .collect())
}
