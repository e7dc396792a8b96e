//! What becomes of a merged request? It is judged once more as of its merge, carried out, and
//! recorded. What was merged past the rules is recorded as denied and never executed.
//!
//! Assumptions: the follow-up pull request of a step is found by its branch, in all states, and
//! adopted only if our App opened it. Once one exists, consent has been judged and is not judged
//! again: somebody who leaves a team later does not undo what was agreed.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::{self, values::Segment},
    domain::{
        Action, Conclusion, Diagnostic, Known, Login, ObjectId, Pull, PullState, RepoName, RepoPath,
        RequestId, Rule, Run, RunEntity, RunPull, Stage, Template, TemplateName, Timestamp,
    },
    plan::{
        Decision, admit,
        approval::{self, Case, Judgement},
        build::{self, FORMAT, Plan, PlannedRule, PlannedStep, Recipe, Site},
        facts::{Looked, Pending},
        message::{self, FollowUp},
        read, review, say,
        step::{Call, CatalogChange, Commit, Step},
        writeback,
    },
};

/// How long the forge may take to say which pull request brought a commit, in seconds. Until then
/// a request without one waits; after that it was pushed past the door.
const PATIENCE: i64 = 120;

/// The record of a request that has ended, if there is one at the catalog's head.
pub(super) fn recorded(site: &Site<'_>, id: &RequestId) -> Looked<Option<Result<Run, String>>> {
    let path = read::request_path(site.definitions, id, "run.yaml");
    Ok(match site.look.file(&site.here.catalog, site.catalog, &path)? {
        Ok(None) => None,
        Ok(Some(file)) => {
            Some(read_run(&file.bytes).map_err(|why| format!("`{path}` cannot be read: {why}")))
        }
        Err(why) => Some(Err(format!("`{path}` could not be looked at: {why}"))),
    })
}

fn read_run(bytes: &[u8]) -> Result<Run, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let run: Run = serde_yaml::from_str(text).map_err(|problem| problem.to_string())?;
    if run.version > FORMAT {
        return Err(format!(
            "it is written in version {} of the format, which is newer than this program",
            run.version
        ));
    }
    Ok(run)
}

pub(super) fn decide(site: &Site<'_>, id: &RequestId) -> Looked<Decision> {
    match recorded(site, id)? {
        None => {}
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
    if appeared.len() > 1 || !ended_before.is_empty() {
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
        Ok(Some(found)) => match review::read_plan(found) {
            Ok(plan) => plan,
            Err(why) => return Ok(Decision::waiting(format!("the plan of `{id}` cannot be read: {why}"))),
        },
        Ok(None) => return job.denied("it was merged before it was planned"),
        Err(why) => return Ok(Decision::waiting(&*why)),
    };
    if was_merged != was_reviewed {
        return job.denied("what was merged is not what was reviewed");
    }
    if plan.request != *id {
        return job.denied("its plan is that of another request");
    }
    job.plan = Some(&plan);

    // The follow-ups that exist; the consent, if none does.
    let follow_ups = follow_ups(site, &plan);
    let judgement = consent(site, &job, pull, introduced.parent, &plan, merged_at);
    let pinned = pinned(site, &plan);
    // Asked early so that it is answered together with the rest; used only when all agreed.
    let _unused = writeback::apply(site, &plan.entities, request_path.as_str());
    if let (Ok(Ok(follow_ups)), Ok(Ok(pinned))) = (&follow_ups, &pinned)
        && follow_ups.is_empty()
    {
        for step in plan.steps.iter().filter(|step| !step.changes.is_empty()) {
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
    if !judgement.is_given() && follow_ups.is_empty() {
        return job.denied(&why_not(&judgement));
    }

    // What it is made from, pinned.
    let pinned = match pinned? {
        Ok(pinned) => pinned,
        Err(why) => return job.fails(&why),
    };
    job.action = Some(&pinned.action);
    let recipe = pinned.recipe(&plan);
    carry_out(&job, pull, &plan, &recipe, &file, &document, &follow_ups)
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
            approved_by: self.approved.iter().cloned().collect(),
            pull_request: self.pull.map(|pull| RunPull {
                step: None,
                repository: pull.repository.clone(),
                number: pull.number,
                merge_commit: pull.merge_commit.map(|commit| commit.to_string()),
                differs_in: Vec::new(),
            }),
            steps,
            entities,
            finished_at: Some(self.at),
        }
    }

    /// Merged past the rules: said first, then recorded, so that the record never stands unsaid.
    fn denied(&self, why: &str) -> Looked<Decision> {
        let why = format!("It was merged past the rules and nothing was executed: {why}");
        if let Some(pull) = self.pull {
            let steps = self.speak(
                pull,
                Stage::Denied,
                &[],
                Some(&why),
                "nothing more. Ask again under another name.",
            );
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
            trailer: writeback::trailer(&run, self.plan.map(|plan| plan.pins.action)),
            at: self.at,
        };
        let stages = [(self.id.clone(), run.status)].into();
        Decision { stages, steps: vec![Step::CatalogChange(change)], ..Decision::nothing() }
    }

    fn speak(
        &self,
        pull: &Pull,
        stage: Stage,
        follow_ups: &[FollowUp],
        reason: Option<&str>,
        next: &str,
    ) -> Vec<Step> {
        let action = self.action.or_else(|| {
            let action = &self.plan?.asked.action;
            self.site.definitions.actions.get(action).map(|defined| &defined.value)
        });
        let about = message::About { id: self.id.as_str(), action, requesters: &self.requesters, stage };
        let body = message::progress(&about, follow_ups, reason, next);
        let comments = review::spoken_of(pull).remove(self.id).unwrap_or_default();
        say(&self.site.here.catalog, pull.number, &comments, body)
    }
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
    missing.join(", ")
}

/// Our follow-up pull requests by step, the newest of each.
type FollowUps<'a> = BTreeMap<crate::domain::StepId, &'a Pull>;

fn follow_ups<'a>(site: &Site<'a>, plan: &Plan) -> Looked<Result<FollowUps<'a>, String>> {
    let mut found = BTreeMap::new();
    let mut pending = false;
    for step in plan.steps.iter().filter(|step| !step.changes.is_empty()) {
        match site.look.pulls_from(&step.repository, &step.branch) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => {
                return Ok(Err(format!(
                    "the pull requests in `{}` could not be read: {why}",
                    step.repository
                )));
            }
            Ok(Ok(pulls)) => {
                let marker = message::follow_up_marker(&plan.request, step.id.as_str());
                let ours = pulls.iter().filter(|pull| {
                    pull.author.as_ref() == Some(&site.here.me)
                        && (message::marker_of(&pull.body) == marker || pulls.len() == 1)
                });
                if let Some(pull) = ours.max_by_key(|pull| pull.number) {
                    found.insert(step.id.clone(), pull.as_ref());
                }
            }
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(found)) }
}

/// The judgement as of the merge.
fn consent(
    site: &Site<'_>,
    job: &Job<'_>,
    pull: &Pull,
    before: Option<ObjectId>,
    plan: &Plan,
    merged_at: Timestamp,
) -> Looked<Result<Judgement, String>> {
    let catalog = &site.here.catalog;
    let Some(before) = before else { return Ok(Err("the catalog has no commit before the merge".into())) };
    let chain = site.look.chain(catalog, pull.head, before);
    let activity = match &pull.head_branch {
        Some(branch) => site.look.activity(catalog, branch),
        None => Ok(Ok(&[][..])),
    };
    let key = reviewed_key(site, pull, plan);
    let (chain, activity) = match (chain?, activity?) {
        (Ok(chain), Ok(activity)) => (chain, activity),
        (chain, activity) => {
            let why = chain.err().or(activity.err()).unwrap_or_else(|| "no answer".into());
            return Ok(Err(format!("the history of #{} could not be read: {why}", pull.number)));
        }
    };
    let key = match key? {
        Ok(key) => key,
        Err(why) => return Ok(Err(why)),
    };
    let rules: Vec<Rule> = plan.approval.iter().map(PlannedRule::rule).collect();
    let case = Case {
        rules: &rules,
        requesters: &job.requesters,
        pull,
        activity,
        chain,
        key: &key,
        until: Some(merged_at),
        catalog: site.catalog,
    };
    Ok(Ok(approval::judge(site.look, site.here, site.definitions, &case)?))
}

/// The key that our check had to name: over all requests of the pull request.
fn reviewed_key(site: &Site<'_>, pull: &Pull, plan: &Plan) -> Looked<Result<String, String>> {
    let requests = &site.definitions.settings.folders.requests;
    let siblings = review::spoken_of(pull);
    if siblings.len() <= 1 {
        return Ok(Ok(plan.key.clone()));
    }
    let mut keys = Vec::new();
    let mut pending = false;
    for id in siblings.keys() {
        let path = read::request_path(site.definitions, id, "plan.yaml");
        match site.look.file(&site.here.catalog, pull.head, &path) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => return Ok(Err(format!("`{requests}/{id}` could not be read: {why}"))),
            Ok(Ok(None)) => {}
            Ok(Ok(Some(file))) => {
                if let Ok(plan) = review::read_plan(file) {
                    keys.push((id.as_str(), plan.key.clone()));
                }
            }
        }
    }
    if pending {
        return Err(Pending);
    }
    let keys: Vec<(&str, &str)> = keys.iter().map(|(id, key)| (*id, key.as_str())).collect();
    Ok(Ok(review::combine(&keys)))
}

struct Pinned {
    action: Action,
    templates: BTreeMap<TemplateName, Template>,
}

impl Pinned {
    fn recipe(&self, plan: &Plan) -> Recipe<'_> {
        Recipe {
            action: &self.action,
            blob: plan.pins.action,
            templates: self.templates.iter().map(|(name, template)| (name.clone(), template)).collect(),
        }
    }
}

/// The action and templates that the plan was made from, read by their blobs.
fn pinned(site: &Site<'_>, plan: &Plan) -> Looked<Result<Pinned, String>> {
    let present = Recipe::present(site.definitions, &plan.asked.action);
    if let Some(recipe) = present.filter(|recipe| recipe.blob == plan.pins.action) {
        let same = recipe
            .templates
            .iter()
            .all(|(name, template)| plan.pins.templates.get(name) == Some(&template.pins));
        if same && recipe.templates.len() == plan.pins.templates.len() {
            let templates =
                recipe.templates.iter().map(|(name, template)| (name.clone(), (*template).clone())).collect();
            return Ok(Ok(Pinned { action: recipe.action.clone(), templates }));
        }
    }
    let mut pending = false;
    let mut blob = |id: ObjectId| match site.look.blob(&site.here.catalog, id) {
        Err(Pending) => {
            pending = true;
            Ok(None)
        }
        Ok(Ok(Some(bytes))) => Ok(Some(bytes.clone())),
        Ok(Ok(None)) => Err(format!("the pinned object {id} is gone")),
        Ok(Err(why)) => Err(format!("the pinned object {id} could not be read: {why}")),
    };
    let action = match blob(plan.pins.action) {
        Ok(action) => action,
        Err(why) => return Ok(Err(why)),
    };
    let mut templates = BTreeMap::new();
    for (name, files) in &plan.pins.templates {
        let mut read = BTreeMap::new();
        for (path, id) in files {
            match blob(*id) {
                Ok(Some(bytes)) => {
                    read.insert(path.clone(), bytes);
                }
                Ok(None) => {}
                Err(why) => return Ok(Err(why)),
            }
        }
        templates.insert(name.clone(), read);
    }
    if pending {
        return Err(Pending);
    }
    let Some(action) = action else { return Err(Pending) };
    let source = format!("{}/{}.yaml", site.definitions.settings.folders.actions, plan.asked.action);
    let Ok(source) = source.parse() else { return Ok(Err("the action's name makes no path".into())) };
    let Ok(action) = catalog::read_action(&source, &action) else {
        return Ok(Err("the pinned action cannot be read".into()));
    };
    let mut checked = BTreeMap::new();
    for (name, files) in templates {
        match catalog::read_template(&name, &files) {
            Ok(template) => checked.insert(name, template),
            Err(_) => return Ok(Err(format!("the pinned template `{name}` cannot be read"))),
        };
    }
    Ok(Ok(Pinned { action, templates: checked }))
}

/// How one step stands.
enum Progress {
    /// Nothing is to be done in this repository.
    Nothing,
    /// Steps to take now.
    Act(Vec<Step>),
    /// It waits for people; perhaps something is to be said meanwhile.
    Waits(FollowUp, Vec<Step>),
    Done(RunPull, Option<Timestamp>),
    Closed(RunPull, Option<Login>),
    Denied(String),
    Failed(String),
    Unclear(String),
}

fn carry_out(
    job: &Job<'_>,
    pull: &Pull,
    plan: &Plan,
    recipe: &Recipe<'_>,
    file: &crate::domain::RequestFile,
    document: &catalog::yaml::Document,
    follow_ups: &FollowUps<'_>,
) -> Looked<Decision> {
    let mut progress = Vec::new();
    let mut pending = false;
    for step in plan.steps.iter().filter(|step| !step.changes.is_empty()) {
        let state = match follow_ups.get(&step.id) {
            Some(follow_up) => follow(job, step, follow_up),
            None => begin(job, pull, recipe, step, file, document),
        };
        match state {
            Ok(state) => progress.push((step, state)),
            Err(Pending) => pending = true,
        }
    }
    if pending {
        return Err(Pending);
    }

    let mut decision =
        Decision { stages: [(job.id.clone(), Stage::InProgress)].into(), ..Decision::nothing() };
    let mut shown = Vec::new();
    let mut done = Vec::new();
    let mut finished = job.at;
    let mut open = Vec::new();
    let mut refused = None;
    for (step, state) in progress {
        match state {
            Progress::Nothing => {}
            Progress::Act(steps) => decision.steps.extend(steps),
            Progress::Waits(follow_up, steps) => {
                open.extend(follow_ups.get(&step.id).copied());
                shown.push(follow_up);
                decision.steps.extend(steps);
            }
            Progress::Done(run_pull, at) => {
                finished = finished.max(at.unwrap_or(finished));
                shown.push(FollowUp {
                    reference: read::reference(&run_pull.repository, run_pull.number),
                    state: "merged".into(),
                });
                done.push(run_pull);
            }
            Progress::Closed(run_pull, by) => {
                let by = by.map_or_else(|| "somebody".to_owned(), |login| format!("`{login}`"));
                let what = read::reference(&run_pull.repository, run_pull.number);
                refused = Some((Stage::Declined, format!("{by} closed {what} without merging it")));
                done.push(run_pull);
            }
            Progress::Denied(why) => {
                refused = Some((Stage::Denied, why));
            }
            Progress::Failed(why) => {
                refused = refused.or(Some((Stage::Failure, why)));
            }
            Progress::Unclear(why) => decision.waits.push(why),
        }
    }
    let finishing =
        Job { at: finished, requesters: job.requesters.clone(), approved: job.approved.clone(), ..*job };

    if let Some((stage, why)) = refused {
        // What is still open is taken back first; then the end is recorded.
        if !open.is_empty() {
            decision.steps = open
                .iter()
                .map(|pull| {
                    Step::Call(Call::ClosePull { repository: pull.repository.clone(), number: pull.number })
                })
                .collect();
            return Ok(decision);
        }
        return Ok(finishing.record(finishing.run(stage, Some(&why), done, Vec::new()), BTreeMap::new()));
    }
    if !decision.steps.is_empty()
        || !decision.waits.is_empty()
        || !shown.is_empty() && done.len() < shown.len()
    {
        if !shown.is_empty() && decision.waits.is_empty() {
            let next = "it waits for the pull requests above to be merged.";
            decision.steps.extend(job.speak(pull, Stage::InProgress, &shown, None, next));
        }
        return Ok(decision);
    }

    // Everything is there: the catalog learns of it.
    let source = format!("{}/{}/request.yaml", job.site.definitions.settings.folders.requests, job.id);
    let files = match writeback::apply(job.site, &plan.entities, &source)? {
        Ok(files) => files,
        Err(problems) => {
            let why = problems.first().map_or("", |problem| problem.message.as_str());
            let why = format!("the catalog could not be changed: {why}");
            return Ok(finishing
                .record(finishing.run(Stage::Failure, Some(&why), done, Vec::new()), BTreeMap::new()));
        }
    };
    let entities = plan
        .entities
        .iter()
        .map(|entity| RunEntity { change: entity.change.name().to_owned(), entity: entity.entity.clone() })
        .collect::<Vec<_>>();
    let nothing = done.is_empty() && entities.is_empty();
    let (stage, reason) =
        if nothing { (Stage::Noop, Some("it was as asked already")) } else { (Stage::Success, None) };
    Ok(finishing.record(finishing.run(stage, reason, done, entities), files))
}

/// A step that has no follow-up yet.
fn begin(
    job: &Job<'_>,
    pull: &Pull,
    recipe: &Recipe<'_>,
    planned: &PlannedStep,
    file: &crate::domain::RequestFile,
    document: &catalog::yaml::Document,
) -> Looked<Progress> {
    let site = job.site;
    let place = |path: &[Segment]| document.place(path);
    let head = site.look.head(&planned.repository, &planned.branch);
    // Asked early so that it is answered together with what the inputs need.
    let _unused = site.look.repository(&planned.repository);
    let accepted = match admit::accept(site, recipe.action, job.id, file, &place)? {
        Ok(accepted) => accepted,
        Err(problems) => return Ok(Progress::Failed(first(&problems))),
    };
    let Some(step) = recipe.action.steps.iter().find(|step| step.id == planned.id) else {
        return Ok(Progress::Failed(format!("the action has no step `{}`", planned.id)));
    };
    let context = build::context(recipe.action, &accepted);
    let done = match build::plan_step(site, recipe, step, job.id, &context)? {
        Ok(done) => done,
        Err(problems) if problems.iter().any(|problem| problem.code.0 == "repository-unreachable") => {
            return Ok(Progress::Unclear(first(&problems)));
        }
        Err(problems) => return Ok(Progress::Failed(first(&problems))),
    };
    if done.planned.changes.is_empty() {
        return Ok(Progress::Nothing);
    }
    let changed = done.planned != *planned;
    let marker = message::follow_up_marker(job.id, planned.id.as_str());
    let body = message::follow_up_body(
        &marker,
        &done.planned.body,
        job.id,
        &read::reference(&site.here.catalog, pull.number),
        &job.requesters,
        &job.approved,
        changed,
    );
    match head? {
        Err(why) => Ok(Progress::Unclear(format!("`{}` could not be looked at: {why}", planned.branch))),
        Ok(None) => {
            let target = match site.look.repository(&planned.repository)? {
                Ok(Some(known)) => known.default_branch.clone(),
                _ => None,
            };
            let Some((_, target)) = target else {
                return Ok(Progress::Unclear(format!("`{}` could not be looked at", planned.repository)));
            };
            Ok(Progress::Act(vec![Step::Commit(Commit {
                repository: planned.repository.clone(),
                branch: done.planned.branch.clone(),
                expect: None,
                parent: target,
                changes: done.changes,
                message: commit_message(job, &done.planned, pull),
                at: job.at,
            })]))
        }
        Ok(Some(commit)) => {
            // The branch is there and no pull request is: adopted only if it is what we would have pushed.
            let mut pending = false;
            for change in &done.planned.changes {
                match site.look.file(&planned.repository, commit, &change.path) {
                    Err(Pending) => pending = true,
                    Ok(Ok(found)) if found.map(|file| file.id) == change.after => {}
                    Ok(Ok(_)) => {
                        return Ok(Progress::Failed(format!(
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
            })]))
        }
    }
}

fn first(problems: &[Diagnostic]) -> String {
    problems.first().map_or_else(|| "it is no longer valid".to_owned(), |problem| problem.message.clone())
}

fn commit_message(job: &Job<'_>, step: &PlannedStep, pull: &Pull) -> String {
    format!(
        "{}\n\nFollows from {}.\n\nChandlery-Request: {}\nChandlery-Step: {}\n",
        step.title,
        read::reference(&job.site.here.catalog, pull.number),
        job.id,
        step.id
    )
}

/// A step whose follow-up exists.
fn follow(job: &Job<'_>, planned: &PlannedStep, follow_up: &Pull) -> Looked<Progress> {
    let site = job.site;
    let reference = read::reference(&follow_up.repository, follow_up.number);
    let run_pull = |differs_in: Vec<String>| RunPull {
        step: Some(planned.id.clone()),
        repository: follow_up.repository.clone(),
        number: follow_up.number,
        merge_commit: follow_up.merge_commit.map(|commit| commit.to_string()),
        differs_in,
    };
    if follow_up.state == PullState::Closed {
        return Ok(Progress::Closed(run_pull(Vec::new()), follow_up.closed_by.clone()));
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
    let approved = match same_files(site, &planned.repository, first.id, planned)? {
        Ok(differs) => differs.is_empty(),
        Err(why) => return Ok(Progress::Unclear(why)),
    };
    let mut steps = Vec::new();
    if !approved {
        match changed_consent(job, follow_up, first)? {
            Err(why) => return Ok(Progress::Unclear(why)),
            Ok((judgement, check)) => {
                if follow_up.state == PullState::Merged && !judgement.is_given() {
                    return Ok(Progress::Denied(format!(
                        "{reference} had changed since its approval and was merged without a new one: {}",
                        why_not(&judgement)
                    )));
                }
                let ready = check.is_none() && judgement.is_given();
                steps.extend(check);
                if follow_up.state == PullState::Open {
                    let state = if ready {
                        "open, approved, waits to be merged"
                    } else {
                        "changed since its approval: waits for approval there"
                    };
                    if ready && planned.auto_merge && !follow_up.draft {
                        steps.push(merge(follow_up));
                    }
                    return Ok(Progress::Waits(FollowUp { reference, state: state.into() }, steps));
                }
            }
        }
    }
    match follow_up.state {
        PullState::Open => {
            // Merged by us only while it is exactly what was approved.
            if planned.auto_merge && !follow_up.draft && follow_up.head == first.id {
                steps.push(merge(follow_up));
            }
            Ok(Progress::Waits(FollowUp { reference, state: "open, waits to be merged".into() }, steps))
        }
        PullState::Merged | PullState::Closed => {
            let Some(merge) = follow_up.merge_commit else {
                return Ok(Progress::Unclear(format!(
                    "the forge does not say yet how {reference} was merged"
                )));
            };
            let differs = if approved {
                same_files(site, &planned.repository, merge, planned)?
            } else {
                Ok(Vec::new())
            };
            match differs {
                Ok(differs) => Ok(Progress::Done(run_pull(differs), follow_up.merged_at)),
                Err(why) => Ok(Progress::Unclear(why)),
            }
        }
    }
}

fn merge(pull: &Pull) -> Step {
    Step::Call(Call::Merge { repository: pull.repository.clone(), number: pull.number, head: pull.head })
}

/// The planned files that a commit has with other content.
fn same_files(
    site: &Site<'_>,
    repository: &RepoName,
    commit: ObjectId,
    planned: &PlannedStep,
) -> Looked<Result<Vec<String>, String>> {
    let mut differs = Vec::new();
    let mut pending = false;
    for change in &planned.changes {
        match site.look.file(repository, commit, &change.path) {
            Err(Pending) => pending = true,
            Ok(Ok(found)) => {
                if found.map(|file| file.id) != change.after {
                    differs.push(change.path.to_string());
                }
            }
            Ok(Err(why)) => return Ok(Err(format!("`{}` could not be read: {why}", change.path))),
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(differs)) }
}

/// The consent that a changed follow-up needs on its own pull request, and the check that says so there.
fn changed_consent(
    job: &Job<'_>,
    follow_up: &Pull,
    first: &crate::domain::PullCommit,
) -> Looked<Result<(Judgement, Option<Step>), String>> {
    let site = job.site;
    let plan = job.plan.ok_or(Pending)?;
    let Some(base) = first.parents.first().copied() else {
        return Ok(Err("the follow-up has no base".into()));
    };
    let chain = site.look.chain(&follow_up.repository, follow_up.head, base);
    let activity = match &follow_up.head_branch {
        Some(branch) => site.look.activity(&follow_up.repository, branch),
        None => Ok(Ok(&[][..])),
    };
    let (chain, activity) = match (chain?, activity?) {
        (Ok(chain), Ok(activity)) => (chain, activity),
        (chain, activity) => {
            let why = chain.err().or(activity.err()).unwrap_or_else(|| "no answer".into());
            return Ok(Err(format!("the history of the follow-up could not be read: {why}")));
        }
    };
    let rules: Vec<Rule> = plan.approval.iter().map(PlannedRule::rule).collect();
    let key = first.id.to_string();
    let case = Case {
        rules: &rules,
        requesters: &job.requesters,
        pull: follow_up,
        activity,
        chain,
        key: &key,
        until: follow_up.merged_at,
        catalog: site.catalog,
    };
    let judgement = approval::judge(site.look, site.here, site.definitions, &case)?;
    let title = message::check_title(&judgement);
    let conclusion = judgement.is_given().then_some(Conclusion::Success);
    let newest = match &follow_up.commits {
        Known::Yes(commits) => {
            commits.iter().find(|commit| commit.id == follow_up.head).and_then(|commit| commit.checks.last())
        }
        Known::Unknown(_) => None,
    };
    let said = newest.is_some_and(|check| {
        check.external_id == key && check.title == title && check.conclusion == conclusion
    });
    let check = (follow_up.state == PullState::Open && !said).then(|| {
        Step::Call(Call::Check {
            repository: follow_up.repository.clone(),
            commit: follow_up.head,
            external_id: key.clone(),
            conclusion,
            title,
            summary: "This repository changed after the request was approved, so what is merged here needs the same approvals here.".into(),
            run: newest.filter(|check| check.external_id == key).map(|check| check.id),
        })
    });
    Ok(Ok((judgement, check)))
}

/// How a request that has ended is told on its pull request: its stage, and what is still unsaid.
pub(super) fn last_word(site: &Site<'_>, pull: &Pull, id: &RequestId) -> Looked<Option<(Stage, Vec<Step>)>> {
    let Some(Ok(run)) = recorded(site, id)? else { return Ok(None) };
    if run.pull_request.as_ref().is_some_and(|own| own.number != pull.number) {
        return Ok(None);
    }
    let action = run
        .action
        .as_ref()
        .and_then(|action| site.definitions.actions.get(action))
        .map(|defined| &defined.value);
    let requesters: BTreeSet<Login> = run.requesters.iter().cloned().collect();
    let about = message::About { id: id.as_str(), action, requesters: &requesters, stage: run.status };
    let follow_ups: Vec<FollowUp> = run
        .steps
        .iter()
        .map(|step| FollowUp {
            reference: read::reference(&step.repository, step.number),
            state: match (&step.merge_commit, step.differs_in.is_empty()) {
                (None, _) => "closed without merging".into(),
                (Some(_), true) => "merged".into(),
                (Some(_), false) => {
                    let files: Vec<String> =
                        step.differs_in.iter().map(|path| message::quoted(path)).collect();
                    format!("merged with other content than planned in {}", files.join(", "))
                }
            },
        })
        .collect();
    let next = match run.status {
        Stage::Success => "nothing more: it is done, and the catalog says so.",
        Stage::Noop => "nothing more: there was nothing to change.",
        Stage::Denied => "nothing more. Ask again under another name.",
        Stage::Failure => "nothing more is tried. Mend the cause and ask again under another name.",
        Stage::Declined | Stage::Cancelled => "nothing more. Ask again under another name.",
        Stage::Invalid | Stage::WaitingForApproval | Stage::InProgress => "it goes on.",
    };
    let body = message::progress(&about, &follow_ups, run.reason.as_deref(), next);
    let comments = review::spoken_of(pull).remove(id).unwrap_or_default();
    Ok(Some((run.status, say(&site.here.catalog, pull.number, &comments, body))))
}
