//! Which issue forms change with the catalog? A form lists the entities that may be chosen, so the
//! commit that adds or removes some writes the forms that list them anew.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::{Definitions, entity_at},
    domain::{ActionId, BlueprintId, Bytes, Change, Changes, Identifier, RepoPath},
    intake::issue_form,
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
            let stays = matches!(change, Change::Put(_));
            changed.entry(id.blueprint).or_default().push((id.identifier, stays));
        }
    }
    let actions: Vec<(&ActionId, BTreeSet<BlueprintId>)> = definitions
        .actions
        .iter()
        .map(|(id, action)| (id, issue_form::lists(&action.value)))
        .filter(|(_, lists)| lists.iter().any(|blueprint| changed.contains_key(blueprint)))
        .collect();
    let mut pending = false;
    let mut entities: BTreeMap<&BlueprintId, BTreeSet<Identifier>> = BTreeMap::new();
    for blueprint in actions.iter().flat_map(|(_, lists)| lists) {
        match look.entities(commit.parent, blueprint) {
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
    let old: Vec<_> = paths.iter().map(|path| look.file(&here.catalog, commit.parent, path)).collect();
    if pending || old.iter().any(Result::is_err) {
        return Err(Pending);
    }
    let listed = |blueprint: &BlueprintId| {
        entities.get(blueprint).into_iter().flatten().map(|id| (id.clone(), None)).collect()
    };
    let mut forms = issue_form::generate(definitions, &listed);
    Ok(paths
        .into_iter()
        .zip(old)
        .filter_map(|(path, old)| {
            let old: &Bytes = &old.ok()?.ok()??.bytes;
            let new = forms.remove(&path)?.into_bytes();
            let ours = old.starts_with(issue_form::HEADER.as_bytes()) && **old != *new;
            ours.then(|| (path, Change::Put(new.into())))
        })
        .collect())
}
