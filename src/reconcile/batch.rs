//! How do many steps become few acts? The commits for one repository go in one push, and the
//! records of all runs of a wave share one commit of the catalog where their paths are disjoint.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::{CommitBy, Definitions, RecordBy, Settings, entity_at},
    domain::{Branch, Change, RUN_TRAILER, RepoName, RepoPath},
    plan::{
        Key,
        facts::{Facts, Here, Question},
        forms,
        record::{self, Delivery},
        step::{Act, Call, CatalogChange, Commit, Step},
    },
};

/// An act with the keys whose steps it carries out.
#[derive(Debug)]
pub(super) struct Batched {
    pub(super) act: Act,
    pub(super) keys: Vec<Key>,
}

/// Cuts the steps of one wave into acts: pushes first, then calls, then who hears of it. Says what else people must know.
///
/// # Errors
/// What must be known first.
pub(super) fn cut(
    settings: &Settings,
    facts: &Facts,
    here: &Here,
    steps: Vec<(Key, Step)>,
) -> Result<(Vec<Batched>, Vec<String>), BTreeSet<Question>> {
    let mut commits: BTreeMap<RepoName, BTreeMap<Branch, (Commit, Vec<Key>)>> = BTreeMap::new();
    let mut wanted: Vec<(Key, CatalogChange)> = Vec::new();
    let mut calls: Vec<(Vec<Key>, Call)> = Vec::new();
    let mut notices: Vec<Batched> = Vec::new();
    let mut asked: Vec<Batched> = Vec::new();
    let mut commit_once = |commit: Commit, keys: Vec<Key>| {
        // Two steps for one branch: the first is done, the other is decided anew in the next wave.
        let branches = commits.entry(commit.repository.clone()).or_default();
        branches.entry(commit.branch.clone()).or_insert((commit, keys));
    };
    for (key, step) in steps {
        match step {
            Step::Commit(commit) => commit_once(commit, vec![key]),
            Step::CatalogChange(change) => wanted.push((key, change)),
            Step::Call(call) => calls.push((vec![key], call)),
            Step::Notify(notice) => notices.push(Batched { act: Act::Notify(notice), keys: vec![key] }),
            Step::Backend(backend) => asked.push(Batched { act: Act::Backend(backend), keys: vec![key] }),
        }
    }
    // Who was first comes first; what touches the same files is decided anew in the next wave.
    wanted.sort_by_key(|(_, change)| change.at);
    let mut changes: Vec<(Key, CatalogChange)> = Vec::new();
    for (key, change) in wanted {
        let is_apart = |other: &CatalogChange| {
            change.is_disjoint(other)
                && !ends_beside(settings, &change, other)
                && !ends_beside(settings, other, &change)
        };
        if changes.iter().all(|(_, other)| change.base == other.base && is_apart(other)) {
            changes.push((key, change));
        }
    }
    let mut waits = Vec::new();
    if !changes.is_empty() {
        let list: Vec<&CatalogChange> = changes.iter().map(|(_, change)| change).collect();
        let delivery = match settings.state {
            RecordBy::Push => Delivery {
                about: (0..list.len()).collect(),
                steps: vec![Step::Commit(catalog_commit(here, &list))],
                waits: Vec::new(),
            },
            RecordBy::PullRequest => {
                let is_entity = |path: &RepoPath| entity_at(settings, path).is_some();
                record::deliver(facts, here, &list, &is_entity, &|list| catalog_commit(here, list))?
            }
        };
        let keys: Vec<Key> = delivery.about.iter().map(|index| changes[*index].0.clone()).collect();
        for step in delivery.steps {
            match step {
                Step::Commit(commit) => commit_once(commit, keys.clone()),
                Step::Call(call) => calls.push((keys.clone(), call)),
                Step::CatalogChange(_) | Step::Notify(_) | Step::Backend(_) => {
                    unreachable!("a change is delivered by commits and calls")
                }
            }
        }
        waits = delivery.waits;
    }
    let pushes = commits.into_iter().map(|(repository, branches)| {
        let mut keys = Vec::new();
        let mut list = Vec::new();
        for (commit, of) in branches.into_values() {
            keys.extend(of);
            list.push(commit);
        }
        // The forge makes no commit itself where there is none yet.
        let is_first = list.iter().any(|commit: &Commit| commit.parent.is_none());
        let by = if is_first { CommitBy::Push } else { settings.commits_to(&repository, &here.catalog) };
        Batched { act: Act::Push { repository, commits: list, by }, keys }
    });
    let calls =
        most_awaited_first(calls).into_iter().map(|(keys, call)| Batched { act: Act::Call(call), keys });
    Ok((pushes.chain(asked).chain(calls).chain(notices).collect(), waits))
}

/// Whether one removes an entity while the other touches some: what it writes may point at what goes.
fn ends_beside(settings: &Settings, one: &CatalogChange, other: &CatalogChange) -> bool {
    let of_entities = |change: &CatalogChange, wanted: fn(&Change) -> bool| {
        let mut changes = change.changes.iter();
        changes.any(|(path, change)| entity_at(settings, path).is_some() && wanted(change))
    };
    of_entities(one, |change| *change == Change::Delete) && of_entities(other, |_| true)
}

/// Calls may have to wait for the forge's limits: first those of keys whose approved changes go on, then those that
/// people hear for the first time, last what only words it anew. The calls of a key stay in their order, and who asked
/// first comes first.
fn most_awaited_first(mut calls: Vec<(Vec<Key>, Call)>) -> Vec<(Vec<Key>, Call)> {
    let mut ranks: BTreeMap<Vec<Key>, u8> = BTreeMap::new();
    for (keys, call) in &calls {
        let rank = match call {
            Call::Merge { .. } | Call::Enqueue { .. } | Call::OpenPull { .. } => 0,
            Call::ClosePull { .. } | Call::CloseIssue { .. } => 1,
            Call::Say { comment: None, .. } | Call::Check { run: None, .. } | Call::AskReviewers { .. } => 2,
            Call::Say { .. }
            | Call::Check { .. }
            | Call::Unsay { .. }
            | Call::Label { .. }
            | Call::DropBranch { .. } => 3,
        };
        let least = ranks.entry(keys.clone()).or_insert(rank);
        *least = rank.min(*least);
    }
    calls.sort_by_key(|(keys, _)| ranks.get(keys).copied());
    calls
}

/// Adds the issue forms that the catalog's commit, if it is in this act, must write too.
pub(super) fn add_forms(
    definitions: &Definitions,
    facts: &Facts,
    here: &Here,
    batched: &mut Batched,
) -> Result<(), BTreeSet<Question>> {
    let Act::Push { repository, commits, .. } = &mut batched.act else { return Ok(()) };
    if *repository == here.catalog
        && let Some(commit) = commits
            .iter_mut()
            .find(|commit| commit.branch == here.branch || record::is_branch(&commit.branch))
    {
        let forms = forms::regenerated(definitions, facts, here, commit)?;
        commit.changes.extend(forms);
    }
    Ok(())
}

/// One commit for all of these changes.
fn catalog_commit(here: &Here, changes: &[&CatalogChange]) -> Commit {
    let subject = match changes {
        [one] => one.summary.clone(),
        several => format!("Record {} runs", several.len()),
    };
    let mut message = format!("{subject}\n\n");
    if changes.len() > 1 {
        for change in changes {
            message.push_str(&format!("* {}\n", change.summary));
        }
        message.push('\n');
    }
    for trailer in changes.iter().filter_map(|change| change.trailer.as_ref()) {
        message.push_str(&format!("{RUN_TRAILER}: {trailer}\n"));
    }
    let base = changes.first().expect("there is at least one change").base;
    Commit {
        repository: here.catalog.clone(),
        branch: here.branch.clone(),
        expect: Some(base),
        parent: Some(base),
        at: changes.iter().map(|change| change.at).max().expect("there is at least one change"),
        changes: changes.iter().flat_map(|change| change.changes.clone()).collect(),
        message,
    }
}
