//! What would a change of definitions do to requests? Those that are open, and the last that were carried out, are planned twice:
//! with the definitions of the default branch, and with those that it would have. What differs is told.
//!
//! What was carried out is planned against the catalog and the files that it changed as they were before it. The rest of the
//! targets is as it is now, for both plans alike.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::super::{
    group,
    request::{Asked, judge_all},
};
use crate::{
    catalog::{self, Definitions, MOST_TRIED, TooMany, report, values::Segment},
    domain::{
        Diagnostic, Login, ObjectId, Place, PolicyId, PullState, RepoName, RepoPath, RequestFile, RequestId,
        Run, Stage, StepId, Timestamp,
    },
    plan::{
        admit,
        asking::{self, Asking},
        build::{Built, Site},
        facts::{Arrival, Looked, Pending, Then},
        message,
        plan_file::{self, Plan, PlannedStep},
        policy, read, ttl,
    },
};

/// So many open requests are planned once more; more are named as not tried.
const MOST_OPEN: usize = 50;
/// How far back is looked for what was carried out, in seconds: ninety days. Counted in whole days, so that it is seldom asked anew.
const LOOK_BACK: i64 = 90 * DAY;
const DAY: i64 = 24 * 3600;
/// Among so many times as many requests is looked for those that were carried out.
const SIFTED: usize = 3;
/// The most names of files or entities that one line holds.
const MOST_NAMES: usize = 5;

/// What becomes of requests.
#[derive(Debug, Default)]
pub(super) struct Tried {
    /// Those that are open.
    pub(super) open: Group,
    /// The last that were carried out.
    pub(super) past: Group,
    /// Derived values and levels that entities would lose, a line each.
    pub(super) derived: Vec<String>,
    /// What was not tried, and why.
    pub(super) untried: Vec<String>,
}

/// Requests that were tried.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// How many.
    pub(super) all: usize,
    /// Those that would come out otherwise, a line each.
    pub(super) otherwise: Vec<String>,
}

/// Whether a change touches what requests are judged by, or what values are derived by.
pub(super) fn concerns(site: &Site<'_>, diff: &super::Diff) -> bool {
    let folders = &site.definitions.settings.folders;
    derives(site, diff) || touches(site, diff, &[&folders.actions, &folders.templates, &folders.policies])
}

/// Whether a change touches what values are derived by.
pub(super) fn derives(site: &Site<'_>, diff: &super::Diff) -> bool {
    let folders = &site.definitions.settings.folders;
    touches(site, diff, &[&folders.blueprints, &folders.scorecards])
}

fn touches(site: &Site<'_>, diff: &super::Diff, folders: &[&RepoPath]) -> bool {
    let settings = site.definitions.root.settings_path();
    diff.keys().any(|path| *path == settings || folders.iter().any(|folder| path.under(folder).is_some()))
}

/// Tries requests, and what is derived where that may change, with the definitions of `merged`, which is what merging pull
/// request `own` would give.
pub(super) fn tried(site: &Site<'_>, own: u64, merged: ObjectId, derives: bool) -> Looked<Tried> {
    let untried = |why: String| Ok(Tried { untried: vec![why], ..Tried::default() });
    let after = site.look.definitions(merged);
    let (open, arrivals) = (site.look.open(), arrivals(site));
    let derived = derives.then(|| site.look.derived(site.catalog, merged)).transpose();
    let after = match after? {
        Ok(Ok(after)) => known_targets(site.definitions, after),
        Ok(Err(_)) => return untried("no request was tried, since the settings have mistakes".to_owned()),
        Err(why) => {
            return untried(format!("no request was tried, since the definitions could not be read: {why}"));
        }
    };
    let mut tried = Tried::default();
    let would_be = Site::new(site.look, site.here, &after, merged);
    let mut pending = false;
    match derived {
        Err(Pending) => pending = true,
        Ok(None) => {}
        Ok(Some(Err(why))) => {
            tried.untried.push(format!("what is derived, since it could not be read: {why}"));
        }
        Ok(Some(Ok(Err(TooMany(count))))) => tried
            .untried
            .push(format!("what is derived, since there are {count} entities: up to {MOST_TRIED} are tried")),
        Ok(Some(Ok(Ok(lines)))) => tried.derived = lines.to_vec(),
    }
    match open {
        Err(Pending) => pending = true,
        Ok(Err(why)) => tried.untried.push(format!("open requests, since they could not be listed: {why}")),
        Ok(Ok(open)) => {
            let others = open.pulls.iter().copied().filter(|number| *number != own);
            pending |= try_open(site, &would_be, others, &mut tried).is_err();
        }
    }
    match arrivals {
        Err(Pending) => pending = true,
        Ok(Err(why)) => {
            tried.untried.push(format!("what was carried out, since that could not be read: {why}"));
        }
        Ok(Ok(arrivals)) => pending |= try_past(site, &after, arrivals, &mut tried).is_err(),
    }
    if pending { Err(Pending) } else { Ok(tried) }
}

/// These definitions, but for repositories that nobody has agreed to yet: nothing is read there on the word of a branch.
fn known_targets<'a>(present: &Definitions, after: &'a Definitions) -> Cow<'a, Definitions> {
    let is_known = |name: &RepoName| present.settings.repositories.contains_key(name);
    if after.settings.repositories.keys().all(is_known) {
        return Cow::Borrowed(after);
    }
    let mut after = after.clone();
    after.settings.repositories.retain(|name, _| is_known(name));
    Cow::Owned(after)
}

fn try_open(
    site: &Site<'_>,
    would_be: &Site<'_>,
    pulls: impl Iterator<Item = u64>,
    tried: &mut Tried,
) -> Looked<()> {
    let (catalog, mut pending, mut left) = (&site.here.catalog, false, 0);
    for number in pulls {
        let pull = match site.look.pull(number) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Ok(Some(pull))) => pull,
            Ok(Ok(None)) => continue,
            Ok(Err(why)) => {
                tried.untried.push(format!("#{number}, which could not be read: {why}"));
                continue;
            }
        };
        let is_ours = pull.state == PullState::Open
            && pull.base_branch == site.here.branch
            && pull.head_repository.as_ref() == Some(catalog);
        if !is_ours {
            continue;
        }
        let diff = match site.look.diff(catalog, site.catalog, pull.head) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Ok(diff)) => diff,
            Ok(Err(why)) => {
                tried.untried.push(format!("#{number}, whose changes could not be read: {why}"));
                continue;
            }
        };
        let (groups, others) = group(site, diff);
        let asks = |name: &str| groups[name].get("request.yaml").is_some_and(|entry| entry.before.is_none());
        let count = groups.keys().filter(|name| asks(name)).count();
        if count == 0 {
            continue;
        }
        if tried.open.all + count > MOST_OPEN {
            left += count;
            continue;
        }
        tried.open.all += count;
        let judged = |site: &Site<'_>| judge_all(site, pull, &groups, &others);
        let (now, then) = match (judged(site), judged(would_be)) {
            (Ok(now), Ok(then)) => (now, then),
            (Err(Pending), _) | (_, Err(Pending)) => {
                pending = true;
                continue;
            }
        };
        for (now, then) in now.iter().zip(&then).filter(|(one, _)| asks(&one.name)) {
            let frozen = match newly_frozen(site, would_be, now, then) {
                Err(Pending) => {
                    pending = true;
                    continue;
                }
                Ok(frozen) => frozen,
            };
            let parts: Vec<String> =
                difference(&now.planned, &then.planned).into_iter().chain(frozen).collect();
            if !parts.is_empty() {
                let name = message::quoted(&now.name);
                tried.open.otherwise.push(format!("{name} in #{number} {}", parts.join("; ")));
            }
        }
    }
    if left > 0 {
        tried.untried.push(format!("{left} more open requests: at most {MOST_OPEN} are"));
    }
    if pending { Err(Pending) } else { Ok(()) }
}

/// By which freezes a request would be held up now that do not hold it up as things are.
fn newly_frozen(site: &Site<'_>, would_be: &Site<'_>, now: &Asked, then: &Asked) -> Looked<Option<String>> {
    let (before, after) = (freezes(site, now), freezes(would_be, then));
    let (before, after) = (before?, after?);
    let new: Vec<String> = after
        .into_iter()
        .filter(|(policy, _)| !before.contains_key(policy))
        .map(|(policy, until)| format!("would be frozen {until} by `{policy}`"))
        .collect();
    Ok((!new.is_empty()).then(|| new.join("; ")))
}

/// The freezes that hold now for a request, with until when; of one that cannot be asked none is known.
fn freezes(site: &Site<'_>, asked: &Asked) -> Looked<BTreeMap<PolicyId, String>> {
    let Ok(built) = asked.plan() else { return Ok(BTreeMap::new()) };
    let plan = &built.plan;
    let Some(action) = site.definitions.actions.get(&plan.asked.action) else { return Ok(BTreeMap::new()) };
    let Ok(accepted) = asking::accepted(site, &action.value, plan)? else { return Ok(BTreeMap::new()) };
    let asking = Asking {
        action: &action.value,
        accepted: &accepted,
        people: &asked.requesters,
        steps: &plan.steps,
        entities: &plan.entities,
    };
    let frozen = policy::frozen(site, &asking)?.unwrap_or_default();
    Ok(frozen.into_iter().map(|freeze| (freeze.policy.clone(), freeze.until())).collect())
}

/// What came to the default branch lately, oldest first.
fn arrivals<'a>(site: &Site<'a>) -> Looked<Result<&'a [Arrival], String>> {
    if site.definitions.settings.replay == 0 {
        return Ok(Ok(&[]));
    }
    let now = match ttl::now(site)? {
        Ok(now) => now,
        Err(why) => return Ok(Err(why)),
    };
    let since = now.seconds() - LOOK_BACK;
    let since = Timestamp::from_seconds(since - since.rem_euclid(DAY));
    Ok(site.look.arrivals(site.catalog, since)?.map_err(|why| why.to_string()))
}

/// A request that was carried out.
struct Past<'a> {
    arrival: &'a Arrival,
    run: Run,
}

fn try_past(site: &Site<'_>, after: &Definitions, arrivals: &[Arrival], tried: &mut Tried) -> Looked<()> {
    let most = site.definitions.settings.replay;
    let (mut found, mut pending) = (Vec::new(), false);
    for arrival in arrivals.iter().rev().take(most.saturating_mul(SIFTED)) {
        let path = read::request_path(site.definitions, &arrival.request, "run.yaml");
        match site.look.file(&site.here.catalog, site.catalog, &path) {
            Err(Pending) => pending = true,
            Ok(Ok(Some(file))) => {
                let run = plan_file::read_run(&file.bytes).ok();
                let run = run.filter(|run| run.status == Stage::Success);
                found.extend(run.map(|run| Past { arrival, run }));
            }
            Ok(Ok(None) | Err(_)) => {}
        }
    }
    if pending {
        return Err(Pending);
    }
    let mut not_again = 0;
    for past in found.iter().take(most) {
        match try_again(site, after, past) {
            Err(Pending) => pending = true,
            Ok(None) => not_again += 1,
            Ok(Some(what)) => {
                tried.past.all += 1;
                let name = message::quoted(past.arrival.request.as_str());
                let pull = past.run.pull_request.as_ref();
                let pull = pull.map(|pull| format!(" in #{}", pull.number)).unwrap_or_default();
                tried.past.otherwise.extend(what.map(|what| format!("{name}{pull} {what}")));
            }
        }
    }
    if not_again > 0 {
        tried.untried.push(format!(
            "{not_again} of what was carried out, which cannot be planned again with the definitions of today either"
        ));
    }
    if pending { Err(Pending) } else { Ok(()) }
}

/// What would come out otherwise of a request that was carried out; none where it cannot be planned again.
fn try_again(site: &Site<'_>, after: &Definitions, past: &Past<'_>) -> Looked<Option<Option<String>>> {
    let id = &past.arrival.request;
    let read = |name: &str| {
        let path = read::request_path(site.definitions, id, name);
        site.look.file(&site.here.catalog, site.catalog, &path).map(|file| (path, file.ok().flatten()))
    };
    let (asked, plan) = (read("request.yaml"), read("plan.yaml"));
    let path = read::request_path(site.definitions, id, "request.yaml");
    let appeared = site.look.appearances(site.catalog, &path);
    let ((path, asked), (_, plan), appeared) = (asked?, plan?, appeared?);
    let (Some(asked), Some(plan), Ok(appeared)) = (asked, plan, appeared) else { return Ok(None) };
    let parent = appeared.iter().find(|one| one.commit == past.arrival.commit).and_then(|one| one.parent);
    let (Some(parent), Ok(plan), Ok((file, _))) =
        (parent, plan_file::read_plan(plan), catalog::read_request(&path, &asked.bytes))
    else {
        return Ok(None);
    };
    let then = site
        .look
        .as_of(Then { now: past.run.merged_at.unwrap_or(past.arrival.at), files: files_before(&plan) });
    let people: BTreeSet<Login> = past.run.requesters.iter().cloned().collect();
    let with = |definitions: &Definitions| {
        planned(&Site::new(&then, site.here, definitions, parent), id, &file, &people, &path)
    };
    let (now, then) = (with(site.definitions), with(after));
    let (now, then) = (now?, then?);
    Ok(match (&now, &then) {
        (Err(_), Err(_)) => None,
        _ => Some(difference(&now, &then)),
    })
}

/// The blobs that the files of a plan were before it.
fn files_before(plan: &Plan) -> BTreeMap<(RepoName, RepoPath), Option<ObjectId>> {
    let pulls = plan.steps.iter().filter_map(|step| step.pull_request.as_ref());
    pulls
        .flat_map(|pull| pull.changes.iter().map(|change| (pull.repository.clone(), change)))
        .map(|(repository, change)| ((repository, change.path.clone()), change.before))
        .collect()
}

fn planned(
    site: &Site<'_>,
    id: &RequestId,
    file: &RequestFile,
    people: &BTreeSet<Login>,
    path: &RepoPath,
) -> Looked<Result<Built, Vec<Diagnostic>>> {
    let place = Place::file(path.as_str());
    let action = match admit::action(site.definitions, &file.action, place.clone()) {
        Ok(action) => action,
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let allowed = match ttl::asks(site, id, people) {
        true => Ok(Ok(())),
        false => admit::may_ask(site, action, people, &place),
    };
    let planned = admit::admit(site, id, file, people, &|_: &[Segment]| place.clone());
    match allowed? {
        Ok(()) => planned,
        Err(problem) => Ok(Err(vec![problem])),
    }
}

/// What comes out otherwise, as the rest of a sentence about a request.
fn difference(now: &Result<Built, Vec<Diagnostic>>, then: &Result<Built, Vec<Diagnostic>>) -> Option<String> {
    match (now, then) {
        (Err(_), Err(_)) => None,
        (Err(_), Ok(_)) => Some("would not be refused any more".to_owned()),
        (Ok(_), Err(problems)) => Some(refused(problems)),
        (Ok(now), Ok(then)) => {
            let parts: Vec<String> =
                [approvals(&now.plan, &then.plan), files(now, then), steps(now, then), entities(now, then)]
                    .into_iter()
                    .flatten()
                    .collect();
            match parts.is_empty() {
                false => Some(parts.join("; ")),
                true => (now.plan.key != then.plan.key).then(|| "would have another plan".to_owned()),
            }
        }
    }
}

fn refused(problems: &[Diagnostic]) -> String {
    let [first, more @ ..] = problems else { return "would be refused".to_owned() };
    if first.code.0 == "issue-differs" {
        return "would be planned anew, since its form is read otherwise".to_owned();
    }
    if first.code.0 == "repository-not-allowed" {
        let why = report::sentence(first);
        return format!(
            "was not tried where the settings do not name its target both before and after: {why}"
        );
    }
    let more = match more.len() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    format!("would be refused: {}{more}", report::sentence(first))
}

fn approvals(now: &Plan, then: &Plan) -> Option<String> {
    let (before, after) = (&now.approval, &then.approval);
    let mut parts = Vec::new();
    for rule in after.iter().filter(|rule| !before.contains(rule)) {
        let written = message::rule_as_written(rule);
        parts.push(match before.iter().any(|old| old.name == rule.name) {
            true => format!("would need other approvals, {written}"),
            false => format!("would also need the approval {written}"),
        });
    }
    for rule in before.iter().filter(|rule| !after.iter().any(|new| new.name == rule.name)) {
        parts.push(format!("would not need the approval **{}** any more", message::plain(&rule.name)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn files(now: &Built, then: &Built) -> Option<String> {
    let of = |built: &Built| -> BTreeMap<(RepoName, RepoPath), Option<ObjectId>> {
        let pulls = built.plan.steps.iter().filter_map(|step| Some((step, step.pull_request.as_ref()?)));
        let files = pulls.flat_map(|(step, pull)| {
            let files = built.files.get(&step.id).into_iter().flatten();
            files.map(|(path, blob)| ((pull.repository.clone(), path.clone()), *blob))
        });
        files.collect()
    };
    let (before, after) = (of(now), of(then));
    let all: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let names: Vec<String> = all
        .into_iter()
        .filter(|file| before.get(*file) != after.get(*file))
        .map(|(repository, path)| format!("{} in `{repository}`", message::quoted(path.as_str())))
        .collect();
    (!names.is_empty()).then(|| format!("would write {} otherwise", some(&names)))
}

/// What else a step does than write files.
fn steps(now: &Built, then: &Built) -> Option<String> {
    let of = |built: &Built| -> BTreeMap<StepId, PlannedStep> {
        let without_files = |step: &PlannedStep| {
            let mut step = step.clone();
            if let Some(pull) = &mut step.pull_request {
                pull.changes.clear();
            }
            (step.id.clone(), step)
        };
        built.plan.steps.iter().map(without_files).collect()
    };
    let (before, after) = (of(now), of(then));
    let all: BTreeSet<&StepId> = before.keys().chain(after.keys()).collect();
    let names: Vec<String> = all
        .into_iter()
        .filter(|id| before.get(*id) != after.get(*id))
        .map(|id| match (before.get(id), after.get(id)) {
            (None, _) => format!("would have another step `{id}`"),
            (_, None) => format!("would not have the step `{id}`"),
            _ => format!("would do the step `{id}` otherwise"),
        })
        .collect();
    (!names.is_empty()).then(|| some(&names))
}

fn entities(now: &Built, then: &Built) -> Option<String> {
    let (before, after) = (&now.plan.entities, &then.plan.entities);
    let differing = before
        .iter()
        .filter(|one| !after.contains(one))
        .chain(after.iter().filter(|one| !before.contains(one)));
    let names: BTreeSet<&str> = differing.map(|one| one.entity.as_str()).collect();
    let names: Vec<String> = names.into_iter().map(message::quoted).collect();
    (!names.is_empty()).then(|| format!("would leave {} otherwise", some(&names)))
}

fn some(names: &[String]) -> String {
    let shown = names[..names.len().min(MOST_NAMES)].join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
