//! What becomes of a pull request of the catalog? While it is open, each of its requests is
//! checked and planned, the plan is committed onto its branch, and one comment a request and one
//! check say what would change and who must agree.

mod answers;
mod branch;
mod by_hand;
mod comment;
mod freeze;
mod glass;
mod queue;
mod request;
mod reviewers;
mod standing;

use std::collections::BTreeMap;

use branch::{PlanOnBranch, plan_commit};
use comment::comment;
pub(super) use freeze::{Held, held};
pub(super) use queue::merge;
use request::{Asked, judge_all, stage_of};
use standing::combined_key;
pub(super) use standing::{Standing, standing};

use crate::{
    catalog::{self, Mode},
    domain::{Activity, CheckRun, Conclusion, Known, MergeMode, ObjectId, Pull, PullState, RequestId, Stage},
    plan::{
        Decision, admit,
        approval::{self, Case, Judgement},
        build::{Built, Site},
        execute,
        facts::{ChainCommit, DiffEntry, Looked, Pending},
        fork, labels, message, notice,
        plan_file::PlannedRule,
        react::{self, Ended},
        read, record, say,
        step::{CHECK, Call, Step},
        ttl,
    },
};

/// What the check says where nothing is asked.
const NO_REQUEST: &str = "no request in this pull request";
const ELSEWHERE: &str = "Only what lies in the folder of requests is judged here; the repository's own rules say who must approve the rest.";
const IN_COMMENT: &str = "What would change and who must approve stands in the comment on the pull request.";

pub(super) fn decide(site: &Site<'_>, number: u64) -> Looked<Decision> {
    let pull = match site.look.pull(number)? {
        Ok(Some(pull)) => pull,
        Ok(None) => return Ok(Decision::nothing()),
        Err(why) => return Ok(Decision::waiting(format!("pull request #{number} could not be read: {why}"))),
    };
    if pull.base_branch != site.here.branch {
        return Ok(Decision::nothing());
    }
    let mut decision = match pull.state {
        PullState::Open => {
            let queued = queue::decide(site, pull);
            let mut decision = open(site, pull)?;
            decision.extend(queued?);
            decision
        }
        PullState::Closed => closed(site, pull)?,
        PullState::Merged => merged(site, pull)?,
    };
    // What is not settled is not told.
    let settled =
        decision.waits.is_empty() && !decision.steps.iter().any(|step| matches!(step, Step::Commit(_)));
    if settled {
        let stages = decision.stages.values().copied();
        decision.steps.extend(labels::step(site, number, &pull.labels, stages));
    }
    Ok(decision)
}

fn open(site: &Site<'_>, pull: &Pull) -> Looked<Decision> {
    if let Some(decision) = record::decide(site, pull)? {
        return Ok(decision);
    }
    let catalog = &site.here.catalog;
    let is_fork = pull.head_repository.as_ref() != Some(catalog);
    let diff = site.look.diff(catalog, site.catalog, pull.head);
    let chain = site.look.chain(catalog, pull.head, site.catalog);
    let activity = match &pull.head_branch {
        Some(branch) if !is_fork => site.look.activity(catalog, branch),
        _ => Ok(Ok(&[][..])),
    };
    let diff = match diff? {
        Ok(diff) => diff,
        Err(why) => {
            return Ok(Decision::waiting(format!(
                "the changes of #{} could not be read: {why}",
                pull.number
            )));
        }
    };
    let (groups, others) = group(site, diff);
    if groups.is_empty() {
        if by_hand::touches_catalog(site, diff) {
            return by_hand::decide(site, pull, diff, chain, activity);
        }
        // The check may be required of every pull request, and there is nothing here for us to judge.
        let check = check_step(site, pull, "no request", Some(Conclusion::Success), (NO_REQUEST, ELSEWHERE));
        return Ok(Decision { steps: check.into_iter().collect(), ..Decision::nothing() });
    }
    if is_fork {
        return fork::decide(site, pull, &groups, &others);
    }
    approval::ask_early(site.look, pull);
    // The issue behind it is gone, closed or locked: it was taken back.
    if let Some(number) = issue_behind(site, pull, &groups) {
        match site.look.issue(number)? {
            Ok(Some(issue)) if issue.open && !issue.locked => {}
            Ok(issue) => {
                let mut steps = Vec::new();
                if let Some(issue) = issue {
                    let reference = read::reference(catalog, pull.number);
                    let body = message::issue_ended(Stage::Cancelled, Some(&reference), None, "");
                    steps = say(catalog, number, &issue.comments, body);
                    steps.extend(labels::step(site, number, &issue.labels, [Stage::Cancelled]));
                }
                steps.push(Step::Call(Call::ClosePull { repository: catalog.clone(), number: pull.number }));
                return Ok(Decision { steps, ..Decision::nothing() });
            }
            Err(why) => return Ok(Decision::waiting(format!("issue #{number} could not be read: {why}"))),
        }
    }

    match timer_behind(site, pull, &groups)? {
        Ok(None) => {}
        Ok(Some(_)) => {
            let close = Step::Call(Call::ClosePull { repository: catalog.clone(), number: pull.number });
            return Ok(Decision { steps: vec![close], ..Decision::nothing() });
        }
        Err(why) => return Ok(Decision::waiting(why)),
    }

    let asked = judge_all(site, pull, &groups, &others)?;
    let (chain, activity) = match (chain?, activity?) {
        (Ok(chain), Ok(activity)) => (chain, activity),
        (chain, activity) => {
            let why = chain.err().or(activity.err()).unwrap_or_else(|| "no answer".into());
            return Ok(Decision::waiting(format!(
                "the history of #{} could not be read: {why}",
                pull.number
            )));
        }
    };

    let mut decision = Decision::nothing();
    let is_timer = |request: &Asked| request.id.as_ref().is_some_and(RequestId::is_ttl);
    let waited = if asked.iter().any(is_timer) { Ok(None) } else { expired(site, pull, activity)? };
    match waited {
        Ok(None) => {}
        Ok(Some(why)) => return Ok(expire(site, pull, &asked, &why)),
        Err(why) => decision.waits.push(why),
    }
    let all_good = asked.iter().all(|request| request.plan().is_ok_and(|built| !built.is_noop()));
    for request in &asked {
        // What is on the default branch already speaks for itself, whatever somebody would do to it.
        let is_there = groups[&request.name].values().any(|entry| entry.before.is_some());
        if let Some(id) = request.id.as_ref().filter(|_| !is_there) {
            decision.stages.insert(id.clone(), stage_of(request));
        }
    }
    // 1. The plan goes onto the branch, so that it is part of what is reviewed.
    let observes = site.definitions.settings.mode == Mode::Observe;
    let on_branch =
        if observes { PlanOnBranch::There } else { plan_commit(site, pull, &asked, chain, activity)? };
    match on_branch {
        PlanOnBranch::Push(commit) => {
            decision.steps.push(Step::Commit(commit));
            return Ok(decision);
        }
        PlanOnBranch::Unclear(why) => decision.waits.push(why),
        PlanOnBranch::There => {}
    }
    // 2. Who agrees?
    let key = combined_key(&asked);
    let Agreed { judgements, held } = agreed(site, pull, &asked, &key, (chain, activity))?;
    let given = all_good && !pull.draft && judgements.values().all(Judgement::is_given);
    let frozen = held.values().flatten().next();

    // What was said in comments.
    let about = react::About {
        plan: plan_in_words(&asked),
        judgements: judgements.values().collect(),
        ..react::About::of_pull(pull, asked.iter().flat_map(|request| request.requesters.clone()).collect())
    };
    let (answers, ended) = react::react(site, &about)?;
    if ended.is_some() {
        decision.steps.push(Step::Call(Call::ClosePull { repository: catalog.clone(), number: pull.number }));
        return Ok(decision);
    }
    decision.steps.extend(answers);

    // 3. Say so.
    let first_time = !pull.comments.iter().any(|comment| message::request_of(&comment.body).is_some());
    let (title, conclusion) = if observes && all_good {
        ("planned; this catalog only observes".to_owned(), None)
    } else {
        check_text(&asked, &judgements, pull.draft, given, frozen)
    };
    let check = check_step(site, pull, &key, conclusion, (&title, IN_COMMENT));
    let check_is_there = check.is_none();
    // What counts depends on the check, so the comment is written once, when it is there.
    if let Some(Step::Call(Call::Check { run: None, .. })) = check {
        decision.steps.extend(check);
        return Ok(decision);
    }
    decision.steps.extend(check);
    let auto = asked.iter().all(|request| {
        request.plan().is_ok_and(|built| {
            site.definitions
                .actions
                .get(&built.plan.asked.action)
                .is_some_and(|action| action.value.merge == MergeMode::Auto)
        })
    });
    let queue = if given && frozen.is_none() && !auto { queue::again(site, pull)? } else { None };
    let mut comments = Vec::new();
    for request in &asked {
        let held = held.get(&request.name).map_or(&[][..], Vec::as_slice);
        let judgement = judgements.get(&request.name);
        comments.extend(comment(site, pull, request, judgement, given, (held, queue.as_ref())));
    }
    // Whoever finds the comment unsaid knows that a pass died there, and looks who is not asked yet: so it comes last.
    if first_time && all_good && !pull.draft {
        decision.steps.extend(reviewers::ask(site, pull, judgements.values())?);
    } else if all_good && !pull.draft && !comments.is_empty() {
        // Nobody is told that a comment has changed.
        decision.steps.extend(reviewers::ask_again(site, pull, judgements.values()));
    }
    decision.steps.extend(comments);
    // 4. Merge, where the action wants it and everything is said.
    if given && frozen.is_none() && auto && check_is_there && decision.steps.is_empty() {
        match queue::merge_of_catalog(site, pull)? {
            Ok(step) => decision.steps.extend(step),
            Err(why) => decision.waits.push(why),
        }
    }
    Ok(decision)
}

/// Who agrees to each request of a pull request, and what holds it up.
struct Agreed {
    judgements: BTreeMap<String, Judgement>,
    held: BTreeMap<String, Vec<Held>>,
}

fn agreed(
    site: &Site<'_>,
    pull: &Pull,
    asked: &[Asked],
    key: &str,
    (chain, activity): (&[ChainCommit], &[Activity]),
) -> Looked<Agreed> {
    let mut judgements = BTreeMap::new();
    let (mut held, mut pending) = (BTreeMap::new(), false);
    for request in asked {
        let Ok(built) = request.plan() else { continue };
        let concerned = built.plan.asked.concerned(&request.requesters);
        let judge = |rules: &[PlannedRule]| {
            let case = Case {
                rules,
                requesters: &concerned,
                pull,
                activity,
                chain,
                key,
                until: None,
                catalog: site.catalog,
            };
            approval::judge(site.look, site.here, site.definitions, &case)
        };
        match judge(&built.plan.approval) {
            Ok(judgement) => drop(judgements.insert(request.name.clone(), judgement)),
            Err(Pending) => pending = true,
        }
        match freeze::held(site, &request.requesters, &built.plan, &judge) {
            Ok(found) => drop(held.insert(request.name.clone(), found)),
            Err(Pending) => pending = true,
        }
    }
    if pending { Err(Pending) } else { Ok(Agreed { judgements, held }) }
}

type Files<'a> = BTreeMap<String, &'a DiffEntry>;

/// The changed files by request, and the others.
fn group<'a>(
    site: &Site<'_>,
    diff: &'a BTreeMap<crate::domain::RepoPath, DiffEntry>,
) -> (BTreeMap<String, Files<'a>>, Vec<&'a crate::domain::RepoPath>) {
    let mut groups: BTreeMap<String, Files<'a>> = BTreeMap::new();
    let mut others = Vec::new();
    for (path, entry) in diff {
        match read::request_of(site.definitions, path) {
            Some((id, file)) => {
                groups.entry(id).or_default().insert(file, entry);
            }
            None => others.push(path),
        }
    }
    (groups, others)
}

fn issue_behind(site: &Site<'_>, pull: &Pull, groups: &BTreeMap<String, Files<'_>>) -> Option<u64> {
    if pull.author.as_ref() != Some(&site.here.me) {
        return None;
    }
    groups.keys().find_map(|name| name.parse::<RequestId>().ok()?.issue())
}

/// Why what our request says of an entity's time is not so any more; nothing if it is, or if no timer is behind it.
fn timer_behind(
    site: &Site<'_>,
    pull: &Pull,
    groups: &BTreeMap<String, Files<'_>>,
) -> Looked<Result<Option<String>, String>> {
    let id = groups.keys().find_map(|name| name.parse::<RequestId>().ok().filter(RequestId::is_ttl));
    let Some(id) = id.filter(|_| pull.author.as_ref() == Some(&site.here.me)) else { return Ok(Ok(None)) };
    let path = read::request_path(site.definitions, &id, "request.yaml");
    let file = match site.look.file(&site.here.catalog, pull.head, &path)? {
        Ok(Some(file)) => catalog::read_request(&path, &file.bytes).ok(),
        Ok(None) => None,
        Err(why) => return Ok(Err(format!("`{path}` could not be read: {why}"))),
    };
    match file {
        Some((file, _)) => ttl::moved(site, &id, &file),
        None => Ok(Ok(Some("it does not say what Chandlery asked for".to_owned()))),
    }
}

/// Why a pull request has waited for too long, if it has: neither opened, opened again nor pushed to by people lately.
fn expired(site: &Site<'_>, pull: &Pull, activity: &[Activity]) -> Looked<Result<Option<String>, String>> {
    let settings = &site.definitions.settings;
    let Some(longest) = settings.expire_after.filter(|_| settings.mode == Mode::On) else {
        return Ok(Ok(None));
    };
    let now = match ttl::now(site)? {
        Ok(now) => now,
        Err(why) => return Ok(Err(why)),
    };
    let by_people = activity.iter().filter(|push| push.actor.as_ref() != Some(&site.here.me));
    let last = by_people.map(|push| push.at).chain([pull.created_at]).chain(pull.last_closed).max();
    let waited = now.seconds() - last.unwrap_or(pull.created_at).seconds();
    Ok(Ok(
        (waited > longest).then(|| format!("it waited for people for more than {}", message::days(longest)))
    ))
}

/// Says that requests have expired, then closes their pull request.
fn expire(site: &Site<'_>, pull: &Pull, asked: &[Asked], why: &str) -> Decision {
    let mut decision = Decision::nothing();
    for request in asked {
        let built = request.plan().ok();
        let action = built.and_then(|built| site.definitions.actions.get(&built.plan.asked.action));
        let about = message::About {
            id: &request.name,
            action: action.map(|defined| &defined.value),
            requesters: &request.requesters,
            stage: Stage::Expired,
        };
        let body = message::progress(&about, &[], Some(why), "nothing more. Opening it again asks again.");
        decision.steps.extend(notice::tell(site, pull, &about, Some(why), body));
        decision.stages.extend(request.id.clone().map(|id| (id, Stage::Expired)));
    }
    let (repository, number) = (site.here.catalog.clone(), pull.number);
    decision.steps.push(Step::Call(Call::ClosePull { repository, number }));
    decision
}

/// Whether we closed a pull request because its request had waited for too long: its comment says so.
pub(super) fn has_expired(site: &Site<'_>, pull: &Pull, id: &RequestId) -> bool {
    let says_so = |comment: &crate::domain::Comment| {
        message::request_of(&comment.body).as_ref() == Some(id)
            && message::stage_of(&comment.body) == Some(Stage::Expired)
    };
    pull.closed_by.as_ref() == Some(&site.here.me) && pull.comments.iter().any(says_so)
}

fn plan_in_words(asked: &[Asked]) -> String {
    let of = |request: &Asked| match request.plan() {
        Err(_) => format!("{} has mistakes", message::quoted(&request.name)),
        Ok(built) => format!("{} has the plan `{}`", message::quoted(&request.name), built.plan.key),
    };
    asked.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// What our check names: the key of the one plan, or a digest over all.
fn check_text(
    asked: &[Asked],
    judgements: &BTreeMap<String, Judgement>,
    draft: bool,
    given: bool,
    frozen: Option<&Held>,
) -> (String, Option<Conclusion>) {
    let wrong = asked.iter().filter(|request| request.plan().is_err()).count();
    if wrong > 0 {
        let what = if asked.len() == 1 {
            "the request has mistakes".into()
        } else {
            format!("{wrong} of {} requests have mistakes", asked.len())
        };
        return (what, Some(Conclusion::Failure));
    }
    if asked.iter().any(|request| request.plan().is_ok_and(Built::is_noop)) {
        return ("nothing would change".into(), Some(Conclusion::Failure));
    }
    if draft {
        return ("planned; a draft is not approved".into(), None);
    }
    if let Some(held) = frozen.filter(|_| given) {
        return (format!("approved; {}", held.short), None);
    }
    if given {
        return ("approved: it may be merged".into(), Some(Conclusion::Success));
    }
    let first =
        judgements.values().find(|judgement| !judgement.is_given()).or_else(|| judgements.values().next());
    (first.map_or_else(|| "waiting".into(), message::check_title), None)
}

/// Our newest check run on the head, if it says something else, is changed or followed by another.
pub(super) fn check_step(
    site: &Site<'_>,
    pull: &Pull,
    key: &str,
    conclusion: Option<Conclusion>,
    (title, summary): (&str, &str),
) -> Option<Step> {
    let Known::Yes(commits) = &pull.commits else { return None };
    let checks =
        commits.iter().find(|commit| commit.id == pull.head).map_or(&[][..], |commit| &commit.checks);
    check_on(site, (pull.head, checks), key, conclusion, (title, summary))
}

/// The same for any commit, with our check runs on it.
fn check_on(
    site: &Site<'_>,
    (commit, checks): (ObjectId, &[CheckRun]),
    key: &str,
    conclusion: Option<Conclusion>,
    (title, summary): (&str, &str),
) -> Option<Step> {
    let newest = checks.last();
    let same_key = newest.filter(|check| check.external_id == key);
    if same_key.is_some_and(|check| check.says(title, conclusion)) {
        return None;
    }
    Some(Step::Call(Call::Check {
        repository: site.here.catalog.clone(),
        commit,
        name: CHECK.to_owned(),
        external_id: key.to_owned(),
        conclusion,
        title: title.to_owned(),
        summary: summary.to_owned(),
        text: None,
        // A red check whose key stays is mended in place; once it was there for a plan, its time is evidence.
        run: same_key.map(|check| check.id),
    }))
}

/// A pull request that was closed without a merge: its comments say who ended it.
fn closed(site: &Site<'_>, pull: &Pull) -> Looked<Decision> {
    let mut decision = Decision::nothing();
    let mut pending = false;
    for id in spoken_of(pull).into_keys() {
        if has_expired(site, pull, &id) {
            decision.stages.insert(id, Stage::Expired);
            continue;
        }
        let requesters = match admit::requesters(site, pull, &id) {
            Ok(people) => people.unwrap_or_default(),
            Err(Pending) => {
                pending = true;
                continue;
            }
        };
        let by = pull.closed_by.as_ref();
        let said = match react::how_it_ended(site, pull, &requesters) {
            Ok(said) => said,
            Err(Pending) => {
                pending = true;
                continue;
            }
        };
        let taken_back = by.is_none_or(|login| requesters.contains(login) || *login == site.here.me);
        let usual = if taken_back { Stage::Cancelled } else { Stage::Declined };
        let stage = said.as_ref().map_or(usual, Ended::stage);
        let path = read::request_path(site.definitions, &id, "request.yaml");
        let action = match site.look.file(&site.here.catalog, pull.head, &path) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Ok(Some(file))) => catalog::read_request(&path, &file.bytes).ok(),
            Ok(Ok(None) | Err(_)) => None,
        };
        let action = action.and_then(|(asked, _)| site.definitions.actions.get(&asked.action));
        let action = action.map(|defined| &defined.value);
        let about = message::About { id: id.as_str(), action, requesters: &requesters, stage };
        let why = match by {
            _ if said.is_some() => said.map(|ended| ended.reason()).unwrap_or_default(),
            Some(login) if *login == site.here.me && id.is_ttl() => {
                "its time is another now, or it is gone already".to_owned()
            }
            Some(login) if *login == site.here.me => {
                "the issue was closed, moved, deleted or locked".to_owned()
            }
            Some(login) => format!("`{login}` closed it without merging"),
            None => "it was closed without merging".to_owned(),
        };
        let next = if id.is_reserved() {
            "nothing more. To ask again, file it anew."
        } else {
            "nothing more. Ask again whenever you like; reopening this tries again."
        };
        let body = message::progress(&about, &[], Some(&why), next);
        decision.steps.extend(notice::tell(site, pull, &about, Some(&why), body));
        decision.stages.insert(id, stage);
    }
    if pending { Err(Pending) } else { Ok(decision) }
}

/// A pull request that was merged: while its requests are carried out they speak for themselves;
/// when they have ended, the last word is said here.
fn merged(site: &Site<'_>, pull: &Pull) -> Looked<Decision> {
    let mut decision = Decision::nothing();
    let mut pending = false;
    match glass::answers(site, pull) {
        Err(Pending) => pending = true,
        Ok(steps) => decision.steps.extend(steps),
    }
    for (id, comments) in spoken_of(pull) {
        match execute::last_word(site, pull, &id) {
            Ok(Some((stage, steps))) => {
                decision.stages.insert(id, stage);
                decision.steps.extend(steps);
            }
            Ok(None) => {
                if matches!(execute::recorded(site, &id), Ok(None)) {
                    decision.stages.insert(id, in_progress(&comments));
                }
            }
            Err(Pending) => pending = true,
        }
    }
    match answers::answers(site, pull) {
        Err(Pending) => pending = true,
        Ok(steps) => decision.steps.extend(steps),
    }
    if pending { Err(Pending) } else { Ok(decision) }
}

/// How a merged request stands that has no record yet: while an administrator may still release it, it is denied.
pub(super) fn in_progress(comments: &[crate::domain::Comment]) -> Stage {
    let is_denied =
        |comment: &crate::domain::Comment| message::stage_of(&comment.body) == Some(Stage::Denied);
    if comments.iter().any(is_denied) { Stage::Denied } else { Stage::InProgress }
}

/// The requests that our comments on a pull request speak of, each with those comments.
pub(super) fn spoken_of(pull: &Pull) -> BTreeMap<RequestId, Vec<crate::domain::Comment>> {
    let mut requests: BTreeMap<RequestId, Vec<crate::domain::Comment>> = BTreeMap::new();
    for comment in &pull.comments {
        if let Some(id) = message::request_of(&comment.body) {
            requests.entry(id).or_default().push(comment.clone());
        }
    }
    requests
}
