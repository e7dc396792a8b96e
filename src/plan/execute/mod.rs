//! What becomes of a merged request? It is judged once more as of its merge, carried out, and
//! recorded. What was merged past the rules is recorded as denied and never executed.
//!
//! Assumptions: the follow-up pull request of a step is found by its branch, in all states, and
//! adopted only if our App opened it. Once one exists, consent has been judged and is not judged
//! again: somebody who leaves a team later does not undo what was agreed.

mod consent;
mod follow_up;
pub(super) mod pinned;
mod standing;
mod ordered;
mod break_glass;
mod spoken;
mod logs;
mod told;
mod begun;
mod kept;
mod together;

use std::collections::{BTreeMap, BTreeSet};

use begun::{Begun, begun_by_us};
use break_glass::Broken;
use consent::consent;
use follow_up::{begin, follow_ups, pulls_of};
pub use kept::branch as branch_of_run;
use kept::{Kept, kept};
use ordered::Merged;
use pinned::pinned;
use spoken::cancelled;
use standing::{Seen, Standing};
use together::carry_out;
pub(super) use told::{last_word, who_helps};

use crate::{
    catalog::{self, RecordBy},
    domain::{
        Action, BreakGlass, Login, ObjectId, Pull, PullState, RepoPath, RequestId, Run, RunEntity, RunPull,
        Stage, Timestamp,
    },
    plan::{
        Decision, admit,
        approval::Judgement,
        build::Site,
        facts::{Appearance, Looked},
        message::{self, FollowUp},
        notice,
        plan_file::{self, FORMAT, Plan},
        policy, read,
        step::{CatalogChange, Step},
        ttl, writeback,
    },
};

/// How long the forge may take to say which pull request brought a commit, in seconds. Until then
/// a request without one waits; after that it was pushed past the door.
const PATIENCE: i64 = 120;
/// So many people or files are named in a reason.
const MOST_NAMED: usize = 3;

/// The record of a request that has ended, if there is one at the catalog's head.
pub(super) fn recorded(site: &Site<'_>, id: &RequestId) -> Looked<Option<Result<Run, String>>> {
    Ok(match written(site, id)? {
        Some(Ok(run)) if !run.status.is_end() => None,
        written => written,
    })
}

/// The record of a request at the catalog's head, of one in progress too.
fn written(site: &Site<'_>, id: &RequestId) -> Looked<Option<Result<Run, String>>> {
    let path = read::request_path(site.definitions, id, "run.yaml");
    Ok(match site.look.file(&site.here.catalog, site.catalog, &path)? {
        Ok(None) => None,
        Ok(Some(file)) => {
            let run = plan_file::read_run(&file.bytes);
            Some(run.map_err(|why| format!("`{path}` cannot be read: {why}")))
        }
        Err(why) => Some(Err(format!("`{path}` could not be looked at: {why}"))),
    })
}

pub(super) fn decide(site: &Site<'_>, id: &RequestId) -> Looked<Decision> {
    let mut record = None;
    match written(site, id)? {
        None => {}
        Some(Ok(run)) if !run.status.is_end() => record = Some(run),
        Some(Ok(Run { pull_request: Some(own), .. })) => {
            // The record stands; here it is told as well, since not every pull request merged lately is looked at.
            let said = match site.look.pull(own.number)? {
                Ok(Some(pull)) => last_word(site, pull, id)?,
                Ok(None) | Err(_) => None,
            };
            let (stage, steps) = match said {
                Some((stage, steps)) => (Some((id.clone(), stage)), steps),
                None => (None, Vec::new()),
            };
            return Ok(Decision { stages: stage.into_iter().collect(), steps, ..Decision::nothing() });
        }
        Some(Ok(_) | Err(_)) => return Ok(Decision::nothing()),
    }
    let _unused = policy::ask_early(site);
    let catalog = &site.here.catalog;
    let request_path = read::request_path(site.definitions, id, "request.yaml");
    let run_path = read::request_path(site.definitions, id, "run.yaml");
    let present = site.look.file(catalog, site.catalog, &request_path);
    let appeared = site.look.appearances(site.catalog, &request_path);
    let ended_before = site.look.appearances(site.catalog, &run_path);
    match present? {
        Ok(Some(_)) => {}
        Ok(None) => return Ok(Decision::nothing()),
        Err(why) => return Ok(Decision::waiting(&*why)),
    }
    let (appeared, ended_before) = match (appeared?, ended_before?) {
        (Ok(appeared), Ok(ended_before)) => (appeared, ended_before),
        (appeared, ended_before) => {
            let why = appeared.err().or(ended_before.err()).unwrap_or_else(|| "no answer".into());
            return Ok(Decision::waiting(format!("the catalog's history could not be read: {why}")));
        }
    };
    let Some(introduced) = appeared.first().copied() else {
        return Ok(Decision::waiting(format!("the commit that brought `{id}` was not found")));
    };
    let mut job = Job {
        site,
        id,
        pull: None,
        plan: None,
        action: None,
        requesters: BTreeSet::new(),
        approved: BTreeSet::new(),
        glass: None,
        memory: None,
        at: introduced.at,
    };
    let pulls = match site.look.pulls_of(introduced.commit)? {
        Ok(pulls) => pulls,
        Err(why) => {
            return Ok(Decision::waiting(format!(
                "which pull request brought `{id}` could not be learnt: {why}"
            )));
        }
    };
    let pull = pulls.iter().find(|pull| {
        pull.state == PullState::Merged && pull.base_branch == site.here.branch && pull.repository == *catalog
    });
    let Some(pull) = pull else {
        if site.look.now()?.ok().is_none_or(|now| now.seconds() - introduced.at.seconds() <= PATIENCE) {
            return Ok(Decision {
                stages: [(id.clone(), Stage::InProgress)].into(),
                waits: vec![format!("the forge does not say yet which pull request brought `{id}`")],
                ..Decision::nothing()
            });
        }
        return job.denied("it was pushed straight to the default branch, past a pull request");
    };
    job.pull = Some(pull);
    let (Some(merged_at), Some(merge)) = (pull.merged_at, pull.merge_commit) else {
        return Ok(Decision::waiting(format!("the forge does not say yet when #{} was merged", pull.number)));
    };
    job.at = merged_at;
    // The record of a run in progress came after the request, and once.
    let is_ours = |record: &Appearance| record.commit != introduced.commit;
    let used_before = match &record {
        None => !ended_before.is_empty(),
        Some(_) => ended_before.len() != 1 || !ended_before.iter().all(is_ours),
    };
    if appeared.len() > 1 || used_before {
        return job.denied("this identifier was used before: a request is asked once, and reverting or restoring it executes nothing");
    }

    // What was merged, against what was reviewed.
    let folder: RepoPath = match format!("{}/{id}", site.definitions.settings.folders.requests).parse() {
        Ok(folder) => folder,
        Err(_) => return Ok(Decision::nothing()),
    };
    let plan_path = read::request_path(site.definitions, id, "plan.yaml");
    let was_merged = site.look.files(catalog, merge, &folder);
    let was_reviewed = site.look.files(catalog, pull.head, &folder);
    let plan_file = site.look.file(catalog, pull.head, &plan_path);
    let request_file = site.look.file(catalog, pull.head, &request_path);
    let requesters = admit::requesters(site, pull, id);
    let (was_merged, was_reviewed) = match (was_merged?, was_reviewed?) {
        (Ok(merged), Ok(reviewed)) => (merged, reviewed),
        (merged, reviewed) => {
            let why = merged.err().or(reviewed.err()).unwrap_or_else(|| "no answer".into());
            return Ok(Decision::waiting(format!("what was merged could not be read: {why}")));
        }
    };
    job.requesters = match requesters? {
        Ok(people) => people,
        Err(why) => return job.denied(&why),
    };
    let request_bytes = match request_file? {
        Ok(Some(file)) => file.bytes.clone(),
        Ok(None) => return job.denied("what was merged is not what was reviewed"),
        Err(why) => return Ok(Decision::waiting(&*why)),
    };
    let Ok((file, document)) = catalog::read_request(&request_path, &request_bytes) else {
        return job.denied("it was merged with mistakes in it");
    };
    let plan = match plan_file? {
        Ok(Some(found)) => match plan_file::read_plan(found) {
            Ok(plan) => plan,
            Err(why @ plan_file::Unreadable::Newer(_)) => {
                return Ok(Decision::waiting(format!("the plan of `{id}` cannot be read: {why}")));
            }
            Err(plan_file::Unreadable::Wrong(_)) => {
                return job.denied("its plan.yaml is none that Chandlery wrote");
            }
        },
        Ok(None) => return job.denied("it was merged before it was planned"),
        Err(why) => return Ok(Decision::waiting(&*why)),
    };
    if was_merged != was_reviewed {
        return job.denied(&what_differs(was_merged, was_reviewed));
    }
    if plan.request != *id {
        return job.denied("its plan is that of another request");
    }
    job.plan = Some(&plan);

    // The follow-ups that exist; the consent, if none does.
    let follow_ups = follow_ups(site, &plan);
    let judgement = consent(site, &job, pull, introduced.parent, &plan, &plan.approval, merged_at);
    let pinned = pinned(site, &plan);
    // What was begun, where the default branch does not say it.
    let is_ordered = ordered::is_ordered(&plan);
    let remembers = is_ordered || site.definitions.settings.break_glass.is_some();
    let mut is_kept = false;
    match if remembers { kept(site, id)? } else { Ok(Kept::OnDefault) } {
        Ok(Kept::OnDefault) => {}
        Ok(Kept::OnBranch(head, run)) => {
            job.memory = Some(head);
            is_kept = run.is_some();
            record = run.map(|run| *run).or(record);
        }
        Ok(Kept::Spoilt(why)) => {
            let run = job.run(Stage::Unknown, Some(&why), Vec::new(), Vec::new());
            return Ok(job.record(run, BTreeMap::new()));
        }
        Err(why) => return Ok(Decision::waiting(why)),
    }
    // Once something was begun, policies were asked, too.
    let not_begun = record.is_none() && matches!(&follow_ups, Ok(Ok(follow_ups)) if follow_ups.is_empty());
    let standing = match &pinned {
        Ok(Ok(pinned)) if not_begun => {
            Seen::new(&job, pull, introduced.parent, &pinned.action, &plan, merged_at).stand(&file, &document)
        }
        _ => Ok(Standing::Free(BTreeSet::new())),
    };
    // Asked early so that it is answered together with the rest; used only when all agreed.
    let _unused = writeback::apply(site, &plan.entities, request_path.as_str());
    if is_ordered {
        ordered::ask_early(&job);
    }
    if let (Ok(Ok(follow_ups)), Ok(Ok(pinned))) = (&follow_ups, &pinned)
        && follow_ups.is_empty()
        && !is_ordered
    {
        for step in pulls_of(&plan) {
            let _unused = begin(&job, pull, &pinned.recipe(&plan), step, &file, &document);
        }
    }
    let follow_ups = match follow_ups? {
        Ok(follow_ups) => follow_ups,
        Err(why) => return Ok(Decision::waiting(why)),
    };
    let judgement = match judgement? {
        Ok(judgement) => judgement,
        Err(why) => return Ok(Decision::waiting(why)),
    };
    job.approved = judgement.approved_by();
    let mut glass = record.as_ref().and_then(|record| record.break_glass.clone());
    if !judgement.is_given() && (follow_ups.is_empty() || glass.is_some()) {
        let begun = match &record {
            Some(run) if is_kept => Begun::Yes(run.approved_by.iter().cloned().collect()),
            _ => begun_by_us(site, record.as_ref(), ended_before)?,
        };
        if let Begun::Yes(approved) = begun {
            job.approved = approved;
        } else {
            match (break_glass::broken(&job, pull, &judgement)?, begun) {
                (Broken::Yes(by), _) => {
                    glass = Some(by);
                    job.approved.clear();
                }
                (_, Begun::Unclear(why)) | (Broken::Unclear(why), _) => return Ok(Decision::waiting(why)),
                (Broken::Waits(until), _) => {
                    return Ok(break_glass::wait(&job, pull, &why_not(&judgement), until));
                }
                (Broken::No, _) => return job.denied(&why_not(&judgement)),
            }
        }
    }
    job.glass = glass.as_ref().filter(|_| !judgement.is_given());

    // Kept longer since it was looked at: nothing was begun, and nothing is.
    if id.is_ttl() && follow_ups.is_empty() && record.is_none() {
        match ttl::moved(site, id, &file)? {
            Ok(None) => {}
            Ok(Some(why)) => {
                let run = job.run(Stage::Cancelled, Some(&why), Vec::new(), Vec::new());
                return Ok(job.record(run, BTreeMap::new()));
            }
            Err(why) => return Ok(Decision::waiting(why)),
        }
    }

    // What it is made from, pinned.
    let pinned = match pinned? {
        Ok(pinned) => pinned,
        Err(why) => return job.fails(&why),
    };
    job.action = Some(&pinned.action);
    if not_begun {
        match standing? {
            Standing::Free(approved) => job.approved.extend(approved),
            Standing::Denied(why) => return job.denied(&why),
            Standing::Waits(why) => return job.waits(pull, &why),
        }
    }
    let recipe = pinned.recipe(&plan);
    // What is carried out past the rules is recorded before anything of it is done.
    if is_ordered || job.glass.is_some() {
        let merged = Merged {
            pull,
            plan: &plan,
            recipe: &recipe,
            file: &file,
            document: &document,
            follow_ups: &follow_ups,
        };
        let decision = ordered::carry_out(&job, merged, record.as_ref())?;
        return Seen::new(&job, pull, introduced.parent, &pinned.action, &plan, merged_at)
            .without_merges(decision);
    }
    let decision = carry_out(&job, pull, &plan, &recipe, &file, &document, &follow_ups)?;
    Seen::new(&job, pull, introduced.parent, &pinned.action, &plan, merged_at).without_merges(decision)
}

/// One request on its way, with all that its messages and its record need.
struct Job<'a> {
    site: &'a Site<'a>,
    id: &'a RequestId,
    pull: Option<&'a Pull>,
    plan: Option<&'a Plan>,
    action: Option<&'a Action>,
    requesters: BTreeSet<Login>,
    approved: BTreeSet<Login>,
    /// Who had it carried out past the rules.
    glass: Option<&'a BreakGlass>,
    /// Where the branch is that remembers it in the place of the default branch, if there is to be one.
    memory: Option<Option<ObjectId>>,
    at: Timestamp,
}

impl Job<'_> {
    fn run(&self, status: Stage, reason: Option<&str>, steps: Vec<RunPull>, entities: Vec<RunEntity>) -> Run {
        Run {
            version: FORMAT,
            request: self.id.clone(),
            action: self.plan.map(|plan| plan.asked.action.clone()),
            status,
            reason: reason.map(str::to_owned),
            plan: self.plan.map(|plan| plan.key.clone()),
            requesters: self.requesters.iter().cloned().collect(),
            on_behalf_of: self.plan.and_then(|plan| plan.asked.on_behalf_of.clone()),
            approved_by: self.approved.iter().cloned().collect(),
            pull_request: self.pull.map(|pull| RunPull {
                step: None,
                repository: pull.repository.clone(),
                number: pull.number,
                merge_commit: pull.merge_commit.map(|commit| commit.to_string()),
                differs_in: Vec::new(),
            }),
            steps,
            progress: Vec::new(),
            entities,
            break_glass: self.glass.cloned(),
            merged_at: self.pull.and_then(|pull| pull.merged_at),
            finished_at: Some(self.at),
        }
    }

    /// Merged past the rules: said first, then recorded, so that the record never stands unsaid.
    fn denied(&self, why: &str) -> Looked<Decision> {
        let why = format!("It was merged past the rules and nothing was executed: {why}");
        if let Some(pull) = self.pull {
            let action = match self.plan {
                Some(_) => self.action,
                None => named(self.site, pull, self.id)?,
            };
            let (requesters, approved) = (self.requesters.clone(), self.approved.clone());
            let titled = Job { action, requesters, approved, ..*self };
            let next = format!("nothing more. {}", message::ask_again(self.id));
            let steps = titled.speak(pull, Stage::Denied, &[], Some(&why), &next);
            if !steps.is_empty() {
                return Ok(Decision {
                    stages: [(self.id.clone(), Stage::Denied)].into(),
                    steps,
                    ..Decision::nothing()
                });
            }
        }
        Ok(self.record(self.run(Stage::Denied, Some(&why), Vec::new(), Vec::new()), BTreeMap::new()))
    }

    /// Nothing is done yet: it is told why, and may still be taken back.
    fn waits(&self, pull: &Pull, why: &str) -> Looked<Decision> {
        if let Some(by) = cancelled(self, pull)? {
            let why = format!("`{by}` cancelled it");
            let run = self.run(Stage::Cancelled, Some(&why), Vec::new(), Vec::new());
            return Ok(self.record(run, BTreeMap::new()));
        }
        let steps = self.speak(pull, Stage::InProgress, &[], None, &format!("it waits: {why}."));
        Ok(Decision { stages: [(self.id.clone(), Stage::InProgress)].into(), steps, ..Decision::nothing() })
    }

    fn fails(&self, why: &str) -> Looked<Decision> {
        Ok(self.record(self.run(Stage::Failure, Some(why), Vec::new(), Vec::new()), BTreeMap::new()))
    }

    fn record(&self, run: Run, files: BTreeMap<RepoPath, crate::plan::diff::Versions>) -> Decision {
        let summary = match &run.action {
            Some(action) => format!("{action}: {} ({})", run.request, run.status),
            None => format!("{} ({})", run.request, run.status),
        };
        let change = CatalogChange {
            request: self.id.clone(),
            base: self.site.catalog,
            changes: writeback::changes(self.site, &files, &run),
            summary,
            trailer: Some(writeback::trailer(&run, self.plan.map(|plan| plan.pins.action))),
            at: self.at,
        };
        let stages = [(self.id.clone(), run.status)].into();
        let mut steps = vec![Step::CatalogChange(change)];
        // With a pull request its comment tells; a record that is brought by one may be decided on several times.
        if self.pull.is_none() && self.site.definitions.settings.state == RecordBy::Push {
            steps.extend(notice::unheralded(
                self.site,
                self.id,
                &self.requesters,
                run.status,
                run.reason.as_deref(),
            ));
        }
        Decision { stages, steps, ..Decision::nothing() }
    }

    fn speak(
        &self,
        pull: &Pull,
        stage: Stage,
        follow_ups: &[FollowUp],
        reason: Option<&str>,
        next: &str,
    ) -> Vec<Step> {
        let planned = || self.site.definitions.actions.get(&self.plan?.asked.action);
        let action = self.action.or_else(|| planned().map(|defined| &defined.value));
        let about = message::About { id: self.id.as_str(), action, requesters: &self.requesters, stage };
        let reason = message::with_break_glass(self.glass, &self.requesters, reason);
        let body = message::progress(&about, follow_ups, reason.as_deref(), next);
        notice::tell(self.site, pull, &about, reason.as_deref(), body)
    }
}

/// The action that a request names in its pull request: the title of one that no plan can be believed of.
fn named<'s>(site: &'s Site<'_>, pull: &Pull, id: &RequestId) -> Looked<Option<&'s Action>> {
    let path = read::request_path(site.definitions, id, "request.yaml");
    let file = site.look.file(&site.here.catalog, pull.head, &path)?.ok().flatten();
    let asked = file.and_then(|file| catalog::read_request(&path, &file.bytes).ok());
    let defined = asked.and_then(|(asked, _)| site.definitions.actions.get(&asked.action));
    Ok(defined.map(|defined| &defined.value))
}

fn why_not(judgement: &Judgement) -> String {
    if let Some(login) = judgement.refused_by.iter().next() {
        return format!("`{login}` had asked for changes");
    }
    if let Some(why) = judgement.blocked.first() {
        return why.clone();
    }
    let missing: Vec<String> = judgement
        .rules
        .iter()
        .filter(|rule| !rule.holds())
        .map(|rule| format!("the rule `{}` was not satisfied", rule.name))
        .collect();
    let void = judgement.void.iter().take(MOST_NAMED);
    let void = void.map(|(login, why)| format!("; the approval of `{login}` did not count: {why}"));
    missing.join(", ") + &void.collect::<String>()
}

/// The first files of a request that were merged otherwise than they were reviewed.
fn what_differs<T: PartialEq>(merged: &BTreeMap<RepoPath, T>, reviewed: &BTreeMap<RepoPath, T>) -> String {
    let all: BTreeSet<&RepoPath> = merged.keys().chain(reviewed.keys()).collect();
    let differing = all.into_iter().filter(|path| merged.get(path) != reviewed.get(path));
    let names: Vec<String> = differing.map(|path| format!("`{path}`")).collect();
    let more = names.len().saturating_sub(MOST_NAMED);
    let shown = names[..names.len() - more].join(", ");
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("what was merged is not what was reviewed: {shown}{more}")
}
