//! How do many steps become few acts? The commits for one repository go in one push, and the
//! records of all runs of a wave share one commit of the catalog where their paths are disjoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::Definitions,
    domain::{Branch, RepoName},
    plan::{
        Key,
        facts::{Facts, Here, Question},
        forms,
        step::{Act, Call, CatalogChange, Commit, Step},
    },
};

/// An act with the keys whose steps it carries out.
#[derive(Debug)]
pub(super) struct Batched {
    pub(super) act: Act,
    pub(super) keys: Vec<Key>,
}

/// Cuts the steps of one wave into acts: pushes first, then calls.
pub(super) fn cut(here: &Here, steps: Vec<(Key, Step)>) -> Vec<Batched> {
    let mut commits: BTreeMap<RepoName, BTreeMap<Branch, (Commit, Vec<Key>)>> = BTreeMap::new();
    let mut wanted: Vec<(Key, CatalogChange)> = Vec::new();
    let mut calls: Vec<(Key, Call)> = Vec::new();
    for (key, step) in steps {
        match step {
            // Two steps for one branch: the first is done, the other is decided anew in the next wave.
            Step::Commit(commit) => {
                commits
                    .entry(commit.repository.clone())
                    .or_default()
                    .entry(commit.branch.clone())
                    .or_insert_with(|| (commit, vec![key]));
            }
            Step::CatalogChange(change) => wanted.push((key, change)),
            Step::Call(call) => calls.push((key, call)),
        }
    }
    // Who was first comes first; what touches the same files is decided anew in the next wave.
    wanted.sort_by_key(|(_, change)| change.at);
    let mut changes: Vec<(Key, CatalogChange)> = Vec::new();
    for (key, change) in wanted {
        if changes.iter().all(|(_, other)| change.base == other.base && change.is_disjoint(other)) {
            changes.push((key, change));
        }
    }
    if !changes.is_empty() {
        let keys = changes.iter().map(|(key, _)| key.clone()).collect();
        let commit = catalog_commit(here, changes.into_iter().map(|(_, change)| change).collect());
        commits.entry(here.catalog.clone()).or_default().insert(here.branch.clone(), (commit, keys));
    }
    let pushes = commits.into_iter().map(|(repository, branches)| {
        let mut keys = Vec::new();
        let mut list = Vec::new();
        for (commit, of) in branches.into_values() {
            keys.extend(of);
            list.push(commit);
        }
        Batched { act: Act::Push { repository, commits: list }, keys }
    });
    let calls = calls.into_iter().map(|(key, call)| Batched { act: Act::Call(call), keys: vec![key] });
    pushes.chain(calls).collect()
}

/// Adds the issue forms that the catalog's commit, if it is in this act, must write too.
pub(super) fn add_forms(
    definitions: &Definitions,
    facts: &Facts,
    here: &Here,
    batched: &mut Batched,
) -> Result<(), BTreeSet<Question>> {
    let Act::Push { repository, commits } = &mut batched.act else { return Ok(()) };
    if *repository == here.catalog
        && let Some(commit) = commits.iter_mut().find(|commit| commit.branch == here.branch)
    {
        let forms = forms::regenerated(definitions, facts, here, commit)?;
        commit.changes.extend(forms);
    }
    Ok(())
}

/// One commit for all of these changes.
fn catalog_commit(here: &Here, changes: Vec<CatalogChange>) -> Commit {
    let subject = match changes.as_slice() {
        [one] => one.summary.clone(),
        several => format!("Record {} runs", several.len()),
    };
    let mut message = format!("{subject}\n\n");
    if changes.len() > 1 {
        for change in &changes {
            message.push_str(&format!("* {}\n", change.summary));
        }
        message.push('\n');
    }
    for change in &changes {
        message.push_str(&format!("Chandlery-Run: {}\n", change.trailer));
    }
    let base = changes.first().expect("there is at least one change").base;
    Commit {
        repository: here.catalog.clone(),
        branch: here.branch.clone(),
        expect: Some(base),
        parent: base,
        at: changes.iter().map(|change| change.at).max().expect("there is at least one change"),
        changes: changes.into_iter().flat_map(|change| change.changes).collect(),
        message,
    }
}
