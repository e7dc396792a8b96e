//! How does one step stand? Its follow-up pull request is found by its branch, in all states, and
//! adopted only if our App opened it; where there is none, it is opened.

use std::collections::{BTreeMap, BTreeSet};

use super::{Job, consent::changed_consent, why_not};
use crate::{
    catalog::{self, values::Segment},
    domain::{
        Changes, Comment, Diagnostic, FileMode, Known, Login, ObjectId, Pull, PullState, RepoName,
        RequestFile, RunPull, RunStep, StepId, StepState, Timestamp,
    },
    plan::{
        admit, adopt,
        build::{self, Recipe, Site},
        facts::{File, Looked, Pending},
        message::{self, FollowUp},
        plan_file::{FileChange, Plan, PlannedPull, PlannedStep},
        read, review, say,
        step::{Call, Commit, Step},
        target,
    },
};

/// Our follow-up pull requests by step, the newest of each.
pub(super) type FollowUps<'a> = BTreeMap<StepId, &'a Pull>;

pub(super) fn follow_ups<'a>(site: &Site<'a>, plan: &Plan) -> Looked<Result<FollowUps<'a>, String>> {
    let mut found = BTreeMap::new();
    let mut pending = false;
    for (step, planned) in pulls_of(plan) {
        match site.look.pulls_from(&planned.repository, &planned.branch) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => {
                return Ok(Err(format!(
                    "the pull requests in `{}` could not be read: {why}",
                    planned.repository
                )));
            }
            Ok(Ok(pulls)) => {
                let marker = message::follow_up_marker(&plan.request, step.id.as_str());
                if let Some(why) = adopt::opened_by_others(site, pulls) {
                    return Ok(Err(why));
                }
                // A text that somebody wrote anew has no marker. One of another request, whose name gives the same branch, has that.
                let ours = pulls.iter().filter(|pull| {
                    let found = message::marker_of(&pull.body);
                    pull.author.as_ref() == Some(&site.here.me)
                        && (found == marker || pulls.len() == 1 && !message::is_marker(found))
                });
                if let Some(pull) = ours.max_by_key(|pull| pull.number) {
                    found.insert(step.id.clone(), pull.as_ref());
                }
            }
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(found)) }
}

/// The pull requests that are planned and change something.
pub(super) fn pulls_of(plan: &Plan) -> impl Iterator<Item = (&PlannedStep, &PlannedPull)> {
    let pulls = plan.steps.iter().filter_map(|step| Some((step, step.pull_request.as_ref()?)));
    pulls.filter(|(_, pull)| !pull.changes.is_empty())
}

/// How one step stands.
pub(super) enum Progress {
    /// Nothing is to be done in this repository.
    Nothing,
    /// Steps to take now.
    Act(Vec<Step>),
    /// It waits for people or checks, and perhaps something is to be said meanwhile; or it may be merged by us.
    Waits(FollowUp, Vec<Step>, Option<Step>),
    /// Merged, when, and who approved it anew there.
    Done(RunPull, Option<Timestamp>, BTreeSet<Login>),
    Closed(RunPull, Option<Login>),
    Denied(RunPull, String),
    /// It could not be opened, and may be once the cause is mended: every pass tries it again, for a while.
    Stuck(String),
    Failed(String),
    Unclear(String),
}

/// A step that has no follow-up yet.
pub(super) fn begin(
    job: &Job<'_>,
    pull: &Pull,
    recipe: &Recipe<'_>,
    (step, planned): (&PlannedStep, &PlannedPull),
    file: &RequestFile,
    document: &catalog::yaml::Document,
) -> Looked<Progress> {
    let site = job.site;
    let place = |path: &[Segment]| document.place(path);
    let head = site.look.head(&planned.repository, &planned.branch);
    // Asked early so that it is answered together with what the inputs need.
    let _unused = site.look.repository(&planned.repository);
    let accepted = match admit::accept(site, recipe.action, job.id, file, &job.requesters, &place)? {
        Ok(accepted) => accepted,
        Err(problems) => return Ok(Progress::Stuck(first(&problems))),
    };
    let id = &step.id;
    let found = recipe.action.steps.iter().find(|step| step.id == *id);
    let Some((step, pull_step)) = found.and_then(|step| Some((step, step.pull_request()?))) else {
        return Ok(Progress::Failed(format!("the action has no step `{id}` that opens a pull request")));
    };
    let context = build::context(recipe.action, &accepted);
    let done = match target::plan_step(site, recipe, step, pull_step, job.id, &context)? {
        Ok(done) => done,
        Err(problems) if problems.iter().any(|problem| problem.code.0 == "repository-unreachable") => {
            return Ok(Progress::Unclear(first(&problems)));
        }
        Err(problems) => return Ok(Progress::Stuck(first(&problems))),
    };
    if done.planned.changes.is_empty() {
        return Ok(Progress::Nothing);
    }
    let changed = done.planned.changes != planned.changes;
    let marker = message::follow_up_marker(job.id, id.as_str());
    let body = message::follow_up_body(
        &marker,
        &done.planned.body,
        job.id,
        &read::reference(&site.here.catalog, pull.number),
        &message::OnWhoseWord { requesters: &job.requesters, approved: &job.approved, glass: job.glass },
        changed,
    );
    match head? {
        Err(why) => Ok(Progress::Unclear(format!("`{}` could not be looked at: {why}", planned.branch))),
        Ok(None) => {
            let target = match site.look.repository(&planned.repository)? {
                Ok(Some(known)) => known.default_branch.clone(),
                _ => {
                    return Ok(Progress::Unclear(format!("`{}` could not be looked at", planned.repository)));
                }
            };
            let Some((_, target)) = target else {
                return Ok(first_commit(job, planned, pull));
            };
            Ok(Progress::Act(vec![Step::Commit(Commit {
                repository: planned.repository.clone(),
                branch: done.planned.branch.clone(),
                expect: None,
                parent: Some(target),
                changes: done.changes,
                message: commit_message(job, id, &done.planned, pull),
                at: job.at,
            })]))
        }
        Ok(Some(commit)) => {
            // The branch is there and no pull request is: adopted only if it is what we would have pushed.
            let mut pending = false;
            for change in &done.planned.changes {
                match site.look.file(&planned.repository, commit, &change.path) {
                    Err(Pending) => pending = true,
                    Ok(Ok(found)) if is_version(change, Side::After, found) => {}
                    Ok(Ok(_)) => {
                        return Ok(Progress::Stuck(format!(
                            "the branch `{}` of `{}` exists with other content",
                            planned.branch, planned.repository
                        )));
                    }
                    Ok(Err(why)) => return Ok(Progress::Unclear(why.to_string())),
                }
            }
            if pending {
                return Err(Pending);
            }
            Ok(Progress::Act(vec![Step::Call(Call::OpenPull {
                repository: planned.repository.clone(),
                branch: done.planned.branch.clone(),
                base: done.planned.base.clone(),
                title: done.planned.title.clone(),
                body,
                draft: done.planned.draft,
            })]))
        }
    }
}

/// A forge opens no pull request in an empty repository: its default branch begins with a commit that holds no file, so that
/// all that was approved, and nothing else, comes by the pull request. The same step makes the same commit.
fn first_commit(job: &Job<'_>, planned: &PlannedPull, pull: &Pull) -> Progress {
    if !planned.first_commit {
        let why = format!("`{}` has become empty since the plan was made", planned.repository);
        return Progress::Stuck(why);
    }
    let from = read::reference(&job.site.here.catalog, pull.number);
    Progress::Act(vec![Step::Commit(Commit {
        repository: planned.repository.clone(),
        branch: planned.base.clone(),
        expect: None,
        parent: None,
        changes: Changes::new(),
        message: format!(
            "Begin\n\nWithout a file, so that there is something to open pull requests against. Follows from {from}.\n\nChandlery-Request: {}\n",
            job.id
        ),
        at: job.at,
    })])
}

pub(super) fn first(problems: &[Diagnostic]) -> String {
    problems.first().map_or_else(|| "it is no longer valid".to_owned(), |problem| problem.message.clone())
}

fn commit_message(job: &Job<'_>, step: &StepId, planned: &PlannedPull, pull: &Pull) -> String {
    format!(
        "{}\n\nFollows from {}.\n\nChandlery-Request: {}\nChandlery-Step: {}\n",
        planned.title,
        read::reference(&job.site.here.catalog, pull.number),
        job.id,
        step
    )
}

/// A step whose follow-up exists.
pub(super) fn follow(
    job: &Job<'_>,
    (step, planned): (&PlannedStep, &PlannedPull),
    follow_up: &Pull,
) -> Looked<Progress> {
    let site = job.site;
    let reference = read::reference(&follow_up.repository, follow_up.number);
    let run_pull = |differs_in: Vec<String>| RunPull {
        step: Some(step.id.clone()),
        repository: follow_up.repository.clone(),
        number: follow_up.number,
        merge_commit: follow_up.merge_commit.map(|commit| commit.to_string()),
        differs_in,
    };
    if follow_up.state == PullState::Closed {
        return Ok(Progress::Closed(run_pull(Vec::new()), follow_up.closed_by.clone()));
    }
    let branch = message::quoted(follow_up.base_branch.as_str());
    match is_astray(site, planned, follow_up)? {
        Ok(false) => {}
        Err(why) => return Ok(Progress::Unclear(format!("where {reference} goes is not known: {why}"))),
        Ok(true) => {
            return Ok(match follow_up.state {
                PullState::Merged => Progress::Failed(format!(
                    "{reference} was merged into {branch}, which nobody agreed to: revert it there, and ask again"
                )),
                PullState::Open | PullState::Closed => {
                    let base = message::quoted(planned.base.as_str());
                    let state =
                        format!("asks to change {branch}: it goes on when it asks to change {base} again");
                    Progress::Waits(FollowUp { reference, state, log: Vec::new() }, Vec::new(), None)
                }
            });
        }
    }
    // Is what we pushed what was approved?
    let first = match &follow_up.commits {
        Known::Yes(commits) => match commits.first() {
            Some(first) => first,
            None => return Ok(Progress::Unclear(format!("{reference} has no commits"))),
        },
        Known::Unknown(why) => {
            return Ok(Progress::Unclear(format!("the commits of {reference} could not be read: {why}")));
        }
    };
    // The same bytes may come from others: what they replace was read by those who approved, too.
    let from =
        first.parents.first().map(|base| differing(site, &planned.repository, *base, planned, Side::Before));
    let to = differing(site, &planned.repository, first.id, planned, Side::After);
    let approved = match (from.transpose()?.unwrap_or(Ok(Vec::new())), to?) {
        (Ok(from), Ok(to)) => from.is_empty() && to.is_empty(),
        (Err(why), _) | (_, Err(why)) => return Ok(Progress::Unclear(why)),
    };
    let mut steps = dress(job, planned, follow_up)?;
    let waits = |state: &str, may_merge: bool, steps| -> Looked<Progress> {
        let (why_not, merge) = match may_merge && planned.auto_merge {
            true => merge_now(job, follow_up)?,
            false => (None, None),
        };
        let state = match why_not {
            _ if follow_up.draft && planned.auto_merge => {
                "a draft: Chandlery merges it when somebody has marked it as ready for review".to_owned()
            }
            _ if follow_up.draft => {
                "a draft: waits until somebody marks it as ready for review, and merges it".to_owned()
            }
            Some(why_not) => format!("open; {why_not}"),
            None => state.to_owned(),
        };
        Ok(Progress::Waits(FollowUp { reference: reference.clone(), state, log: Vec::new() }, steps, merge))
    };
    let mut approvers = BTreeSet::new();
    if !approved {
        match changed_consent(job, follow_up, first)? {
            Err(why) => return Ok(Progress::Unclear(why)),
            Ok((judgement, check)) => {
                if follow_up.state == PullState::Merged && !judgement.is_given() {
                    let why = format!(
                        "{reference} had changed since its approval and was merged without a new one: {}",
                        why_not(&judgement)
                    );
                    return Ok(Progress::Denied(run_pull(Vec::new()), why));
                }
                let ready = check.is_none() && judgement.is_given();
                approvers = judgement.approved_by();
                steps.extend(check);
                if follow_up.state == PullState::Open {
                    let state = if ready {
                        "open, approved, waits to be merged"
                    } else {
                        "changed since its approval: waits for approval there"
                    };
                    return waits(state, ready, steps);
                }
            }
        }
    }
    match follow_up.state {
        PullState::Open => {
            // Merged by us only while it is exactly what was approved.
            waits("open, waits to be merged", follow_up.head == first.id, steps)
        }
        PullState::Merged | PullState::Closed => {
            let Some(merge) = follow_up.merge_commit else {
                return Ok(Progress::Unclear(format!(
                    "the forge does not say yet how {reference} was merged"
                )));
            };
            let differs = if approved {
                differing(site, &planned.repository, merge, planned, Side::After)?
            } else {
                Ok(Vec::new())
            };
            match differs {
                Ok(differs) => Ok(Progress::Done(run_pull(differs), follow_up.merged_at, approvers)),
                Err(why) => Ok(Progress::Unclear(why)),
            }
        }
    }
}

/// Whether a follow-up was sent to another branch than was agreed to. What the forge made of it when the default branch got
/// another name is no other branch.
fn is_astray(site: &Site<'_>, planned: &PlannedPull, follow_up: &Pull) -> Looked<Result<bool, String>> {
    if follow_up.base_branch == planned.base {
        return Ok(Ok(false));
    }
    Ok(match site.look.repository(&planned.repository)? {
        Ok(Some(known)) => {
            let default = known.default_branch.as_ref();
            Ok(default.is_none_or(|(branch, _)| *branch != follow_up.base_branch))
        }
        Ok(None) => Err(format!("`{}` is not there, or we may not see it", planned.repository)),
        Err(why) => Err(why.to_string()),
    })
}

/// The step that merges a pull request, or why that is not done now. What the target requires besides, it says itself.
fn merge_now(job: &Job<'_>, pull: &Pull) -> Looked<(Option<String>, Option<Step>)> {
    let atomic = job.plan.is_some_and(|plan| plan.atomic);
    if pull.draft {
        return Ok((None, None));
    }
    let found = match job.site.look.mergeable(pull)? {
        Ok(found) => found,
        Err(why) => {
            return Ok((Some(format!("whether it can be merged could not be read: {why}")), None));
        }
    };
    let names = |names: &BTreeSet<String>| {
        names.iter().take(10).map(|name| message::quoted(name)).collect::<Vec<_>>().join(", ")
    };
    let why_not = if found.conflicts == Some(true) {
        "it conflicts with its base, and is not merged before that is mended".to_owned()
    } else if !found.failed.is_empty() {
        format!("{} failed, and it is not merged before that is mended", names(&found.failed))
    } else if !found.running.is_empty() {
        format!("waits for {} to end", names(&found.running))
    } else if found.conflicts.is_none() && atomic {
        "the forge works out whether it can be merged".to_owned()
    } else {
        match review::merge(job.site.look, pull)? {
            Ok(Some(step)) => return Ok((None, Some(step))),
            Ok(None) => "waits in the merge queue".to_owned(),
            Err(why) => why,
        }
    };
    Ok((Some(why_not), None))
}

/// How long after it was opened a pull request gets its labels and reviewers if it lacks them, in seconds; after that
/// somebody took them away, or cannot be asked. However old it is, it gets them before the comment on the request first
/// names it: that comment is written after they were set, so a pass that comes late sets them once.
const FRESH: i64 = 2 * 3600;

/// The labels and reviewers that a pull request does not have yet.
fn dress(job: &Job<'_>, planned: &PlannedPull, pull: &Pull) -> Looked<Vec<Step>> {
    if pull.state != PullState::Open {
        return Ok(Vec::new());
    }
    let has = |label: &&String| pull.labels.iter().any(|known| known.eq_ignore_ascii_case(label));
    let add: Vec<String> = planned.labels.iter().filter(|label| !has(label)).cloned().collect();
    let reviewed = |login: Option<&str>| match &pull.reviews {
        Known::Yes(reviews) => reviews.iter().any(|review| {
            login.is_none() || review.author.as_ref().is_some_and(|author| Some(author.as_str()) == login)
        }),
        Known::Unknown(_) => true,
    };
    let is_asked = |name: &str| pull.requested.iter().any(|known| known == name);
    let (mut users, mut teams) = (Vec::new(), Vec::new());
    for reviewer in &planned.reviewers {
        match reviewer.split_once('/') {
            Some((_, slug)) if !is_asked(slug) && !reviewed(None) => teams.push(slug.to_owned()),
            None if !is_asked(reviewer) && !reviewed(Some(reviewer)) => users.extend(reviewer.parse().ok()),
            _ => {}
        }
    }
    if add.is_empty() && users.is_empty() && teams.is_empty() {
        return Ok(Vec::new());
    }
    let named = format!("- {}: ", read::reference(&pull.repository, pull.number));
    let own = job.pull.map_or(&[][..], |own| &own.comments);
    let of_request = |comment: &&Comment| message::request_of(&comment.body).as_ref() == Some(job.id);
    let was_named = own.iter().filter(of_request).any(|comment| comment.body.contains(&named));
    let is_young = job.site.look.now()?.is_ok_and(|now| now.seconds() - pull.created_at.seconds() <= FRESH);
    let is_fresh = is_young || !was_named;
    let (repository, number) = (pull.repository.clone(), pull.number);
    let mut steps = Vec::new();
    if is_fresh && !add.is_empty() {
        steps.push(Step::Call(Call::Label {
            repository: repository.clone(),
            number,
            add,
            remove: Vec::new(),
        }));
    }
    if is_fresh && !(users.is_empty() && teams.is_empty()) {
        steps.push(Step::Call(Call::AskReviewers { repository, number, users, teams }));
    }
    Ok(steps)
}

/// When a step that could not be opened is given up: so long after all before it had ended, as with any other step.
pub(super) fn given_up_at(site: &Site<'_>, since: Timestamp) -> Timestamp {
    Timestamp::from_seconds(since.seconds() + site.definitions.settings.retry_for)
}

/// What people can do about it until then.
pub(super) fn until_then(site: &Site<'_>, step: &PlannedStep, until: Timestamp) -> String {
    let help = message::who_helps(site.definitions.settings.contact.as_deref());
    format!(
        "mend the cause; each pass tries `{}` again, and a comment `/retry` does so at once. `/cancel` ends it here. At {until} it ends by itself.{help}",
        step.id
    )
}

/// How a step is told that could not be opened.
pub(super) fn stuck(step: &PlannedStep, why: &str) -> FollowUp {
    let failed = RunStep::new(step.id.clone(), "pullRequest", StepState::Failure);
    message::step_line(step.name(), &RunStep { reason: Some(why.to_owned()), ..failed }, None)
}

/// Closes follow-ups that are still open, each with a word why.
pub(super) fn take_back(job: &Job<'_>, own: &Pull, open: &[&Pull], why: &str) -> Vec<Step> {
    let asked_in = read::reference(&job.site.here.catalog, own.number);
    let one = |pull: &&Pull| {
        let body = message::taken_back(job.id, &asked_in, why);
        let mut steps = say(&pull.repository, pull.number, &pull.comments, body);
        steps.push(Step::Call(Call::ClosePull { repository: pull.repository.clone(), number: pull.number }));
        steps
    };
    open.iter().flat_map(one).collect()
}

/// Removes what two passes at once said twice when they took follow-ups back: nobody looks at those for another reason.
pub(super) fn say_once(site: &Site<'_>, plan: &Plan) -> Looked<Vec<Step>> {
    let Ok(found) = follow_ups(site, plan)? else { return Ok(Vec::new()) };
    let mut steps = Vec::new();
    for pull in found.values().filter(|pull| pull.state == PullState::Closed) {
        let mut said = BTreeSet::new();
        for comment in &pull.comments {
            let marker = message::marker_of(&comment.body);
            if message::is_marker(marker) && !said.insert(marker) {
                let (repository, comment) = (pull.repository.clone(), comment.id);
                steps.push(Step::Call(Call::Unsay { repository, comment }));
            }
        }
    }
    Ok(steps)
}

/// What a run waits for whose pull requests are open.
pub(super) fn waits_for(plan: &Plan, is_merged_early: bool) -> &'static str {
    if is_merged_early {
        "merge what is not merged, or close it: then what was merged is to be reverted by people."
    } else if plan.atomic {
        "it waits for the pull requests above: none is merged by Chandlery before all of them can be."
    } else {
        "it waits for the pull requests above to be merged."
    }
}

/// Which pull requests of a run that is to be all or nothing were merged before all of them could be, and which remain. Nothing
/// undoes a merge, so people must know of it at once.
pub(super) fn merged_early(site: &Site<'_>, plan: &Plan, follow_ups: &FollowUps<'_>) -> Option<String> {
    if !plan.atomic {
        return None;
    }
    let (mut merged, mut rest) = (Vec::new(), Vec::new());
    for (step, planned) in pulls_of(plan) {
        match follow_ups.get(&step.id) {
            Some(pull) => {
                let reference = read::reference(&pull.repository, pull.number);
                match (pull.state, &pull.merged_by) {
                    (PullState::Merged, Some(login)) if *login != site.here.me => {
                        merged.push(format!("{reference} (by `{login}`)"));
                    }
                    (PullState::Merged, _) => merged.push(reference),
                    (PullState::Open | PullState::Closed, _) => rest.push(reference),
                }
            }
            None => rest.push(format!("the one in {}", planned.repository)),
        }
    }
    if merged.is_empty() || rest.is_empty() {
        return None;
    }
    Some(format!(
        "not all or nothing any more: merged before all of them could be: {}; not merged: {}",
        merged.join(", "),
        rest.join(", ")
    ))
}

/// Which pull requests of a run that was to be all or nothing were merged before it came to nothing.
pub(super) fn to_revert(plan: &Plan, done: &[RunPull]) -> String {
    let merged = done.iter().filter(|pull| pull.merge_commit.is_some());
    let merged: Vec<String> = merged.map(|pull| read::reference(&pull.repository, pull.number)).collect();
    if !plan.atomic || merged.is_empty() {
        return String::new();
    }
    format!("; merged before that, and to be reverted by people: {}", merged.join(", "))
}

/// The content before a plan, or after it.
#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

/// Whether a file is as it was before a planned change, or will be after it.
fn is_version(change: &FileChange, side: Side, found: Option<&File>) -> bool {
    let id = found.map(|file| file.id);
    let may_run = found.is_some_and(|file| file.mode == FileMode::Executable);
    match side {
        Side::Before => id == change.before && !(change.executable && may_run),
        Side::After => id == change.after && (may_run || !change.executable),
    }
}

/// The planned files that a commit has with other content than the plan names.
fn differing(
    site: &Site<'_>,
    repository: &RepoName,
    commit: ObjectId,
    planned: &PlannedPull,
    side: Side,
) -> Looked<Result<Vec<String>, String>> {
    let mut differs = Vec::new();
    let mut pending = false;
    for change in &planned.changes {
        match site.look.file(repository, commit, &change.path) {
            Err(Pending) => pending = true,
            Ok(Ok(found)) => {
                if !is_version(change, side, found) {
                    differs.push(change.path.to_string());
                }
            }
            Ok(Err(why)) => return Ok(Err(format!("`{}` could not be read: {why}", change.path))),
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(differs)) }
}
