//! How does a run go on whose steps come one after the other? What was begun is remembered in `run.yaml` on the default
//! branch, or on one of its own. A step is claimed there first, by the name of this pass; only who finds their own name there acts, once.
//!
//! Guarantees: a workflow or a script is begun at most once for each attempt; what is not known is not guessed. A server
//! is called at least once, with the same key for each try.
//!
//! Where records come by pull requests, which may wait for long, what was begun is remembered on a branch of its own instead
//! (`kept.rs`); a claim that has landed on neither allows nothing.

mod backend;
mod stop;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    Job, cancelled,
    follow_up::{
        FollowUps, Progress, begin, first, follow, given_up_at, merged_early, stuck, take_back, to_revert,
        until_then, waits_for,
    },
    kept, logs,
};
use crate::{
    catalog,
    domain::{Login, Pull, RequestFile, Run, RunPull, RunStep, Stage, StepId, StepState, Timestamp, later},
    expr::Expression,
    plan::{
        Decision, admit,
        build::{self, Recipe},
        facts::{Looked, Pending},
        message::{self, FollowUp},
        plan_file::{Does, Plan, PlannedPull, PlannedStep},
        read,
        step::Step,
        writeback,
    },
};

/// Whether the steps of a plan must be taken one after the other: pull requests alone need not.
pub(super) fn is_ordered(plan: &Plan) -> bool {
    let plain = |step: &PlannedStep| {
        step.pull_request.is_some()
            && step.when.is_none()
            && step.timeout.is_none()
            && step.on_failure.stops()
    };
    !plan.steps.iter().all(plain)
        || plan.entities.iter().any(|entity| entity.fields.values().any(later::needs_outputs))
}

/// Why a pull request is done without that nobody merged until its `timeout`.
const NOT_IN_TIME: &str = "it was not merged in its time";

/// The request as it was merged.
#[derive(Clone, Copy)]
pub(super) struct Merged<'a> {
    pub(super) pull: &'a Pull,
    pub(super) plan: &'a Plan,
    pub(super) recipe: &'a Recipe<'a>,
    pub(super) file: &'a RequestFile,
    pub(super) document: &'a catalog::yaml::Document,
    pub(super) follow_ups: &'a FollowUps<'a>,
}

/// What follows from how one step stands.
enum Flow {
    /// The next step.
    Next,
    /// It must end first.
    Wait,
    /// Nothing more, until somebody says so.
    Halt,
    /// The run ends.
    End(Stage, String),
}

/// A run on its way.
struct Course<'a> {
    job: &'a Job<'a>,
    merged: Merged<'a>,
    now: Timestamp,
    records: BTreeMap<StepId, RunStep>,
    /// What ended steps gave.
    outputs: BTreeMap<StepId, (StepState, Map<String, Value>)>,
    /// Whether the records say something that the default branch does not.
    is_new: bool,
    decision: Decision,
    shown: Vec<FollowUp>,
    done: Vec<RunPull>,
    open: Vec<&'a Pull>,
    /// What we may merge, and how many of the other pull requests are not merged yet.
    merges: Vec<Step>,
    unready: usize,
    approved: BTreeSet<Login>,
    finished: Timestamp,
    /// How the run ends whose pull requests we closed, if nothing else says it.
    taken_back: Option<(Stage, String)>,
    /// What people are told to do.
    next: Option<String>,
    /// The checks that hold the logs of steps that have ended.
    logs: Vec<Step>,
}

/// Goes on with a run; `record` is what the default branch says of it.
pub(super) fn carry_out(job: &Job<'_>, merged: Merged<'_>, record: Option<&Run>) -> Looked<Decision> {
    let now = match job.site.look.now()? {
        Ok(now) => now,
        Err(why) => return Ok(Decision::waiting(format!("the time could not be learnt: {why}"))),
    };
    let records = record.iter().flat_map(|run| &run.progress).map(|step| (step.step.clone(), step.clone()));
    let mut course = Course {
        job,
        merged,
        now,
        records: records.collect(),
        outputs: BTreeMap::new(),
        is_new: job.glass.is_some() && record.is_none(),
        decision: Decision { stages: [(job.id.clone(), Stage::InProgress)].into(), ..Decision::nothing() },
        shown: Vec::new(),
        done: Vec::new(),
        open: Vec::new(),
        merges: Vec::new(),
        unready: 0,
        approved: job.approved.clone(),
        finished: job.at,
        taken_back: None,
        next: None,
        logs: Vec::new(),
    };
    if let Some(by) = cancelled(job, merged.pull)? {
        // What is open must be known, so that it can be taken back.
        for pull in merged.follow_ups.values().filter(|pull| pull.state == crate::domain::PullState::Open) {
            course.open.push(pull);
        }
        let why = format!("`{by}` cancelled it");
        if course.stop()? {
            let back = take_back(job, merged.pull, &course.open, &why);
            course.decision.steps.extend(back);
            course.next = Some("it ends when its workflow has stopped.".to_owned());
            course.keep_logs()?;
            return Ok(course.rest());
        }
        return course.end(Stage::Cancelled, &why);
    }
    course.go()
}

impl<'a> Course<'a> {
    fn go(mut self) -> Looked<Decision> {
        let plan = self.merged.plan;
        let mut waits = false;
        for step in plan.steps.iter().filter(|step| !step.is_nothing()) {
            let Some(does) = step.does() else { continue };
            // Pull requests that stand next to each other are open together.
            let is_beside = matches!(does, Does::Pull(_)) && step.when.is_none();
            if waits && !is_beside {
                break;
            }
            let flow = match does {
                Does::Pull(planned) => self.pull(step, planned)?,
                Does::Workflow(_) | Does::Webhook(_) | Does::Script(_) => self.backend(step, does)?,
            };
            match flow {
                Flow::Next => {}
                Flow::Wait => {
                    waits = true;
                    if !matches!(does, Does::Pull(_)) {
                        break;
                    }
                }
                Flow::Halt => return self.goes_on(),
                Flow::End(stage, why) => return self.end(stage, &why),
            }
        }
        if let Some((stage, why)) = self.taken_back.take() {
            return self.end(stage, &why);
        }
        if !plan.atomic || self.unready == 0 {
            self.decision.steps.append(&mut self.merges);
        }
        let is_at_work = waits || !self.decision.steps.is_empty() || !self.decision.waits.is_empty();
        if is_at_work || self.must_be_kept_first() {
            return self.goes_on();
        }
        self.succeed()
    }

    fn goes_on(mut self) -> Looked<Decision> {
        self.keep_logs()?;
        self.show_what_is_to_come();
        Ok(self.rest())
    }

    /// Whether what is new must be remembered before the run ends: its record may wait for long, and must say the same each time.
    fn must_be_kept_first(&self) -> bool {
        self.is_new && self.job.memory.is_some()
    }

    /// Whether a step is taken; none where it cannot be said, and the step fails.
    fn is_taken(&mut self, step: &PlannedStep) -> Looked<Result<bool, String>> {
        let Some(text) = &step.when else { return Ok(Ok(true)) };
        let mut names = match self.names()? {
            Ok(names) => names,
            Err(why) => return Ok(Err(why)),
        };
        names.insert("steps".into(), self.steps());
        let expression = match Expression::parse(text) {
            Ok(expression) => expression,
            Err(refusal) => return Ok(Err(format!("its `if` may not be asked: {}", refusal.message))),
        };
        Ok(expression.holds(&Value::Object(names)).map_err(|why| format!("its `if` has no answer: {why}")))
    }

    /// The names that templates of this request may use.
    fn names(&self) -> Looked<Result<Map<String, Value>, String>> {
        let Merged { recipe, file, document, .. } = self.merged;
        let place = |path: &[catalog::values::Segment]| document.place(path);
        let job = self.job;
        Ok(match admit::accept(job.site, recipe.action, job.id, file, &job.requesters, &place)? {
            Ok(accepted) => Ok(build::context(recipe.action, &accepted).names().clone()),
            Err(problems) => Err(first(&problems)),
        })
    }

    /// What expressions and scripts see of the steps so far.
    fn steps(&self) -> Value {
        let one = |(id, (state, outputs)): (&StepId, &(StepState, Map<String, Value>))| {
            (id.to_string(), json!({ "state": state.name(), "outputs": outputs }))
        };
        Value::Object(self.outputs.iter().map(one).collect())
    }

    /// A value with the outputs of steps put into it.
    fn filled(&self, value: &Value) -> Result<Value, String> {
        let given = |step: &StepId, name: &str| self.outputs.get(step)?.1.get(name).cloned();
        writeback::filled(value, &given, self.merged.pull.merged_at)
    }

    fn filled_map(&self, map: &Map<String, Value>) -> Result<Map<String, Value>, String> {
        map.iter().map(|(name, value)| Ok((name.clone(), self.filled(value)?))).collect()
    }

    /// A pull request. What became of it is told by the forge; only that it was left out, or that the run goes on without
    /// it, must be remembered.
    fn pull(&mut self, step: &'a PlannedStep, planned: &'a PlannedPull) -> Looked<Flow> {
        let is_there = self.merged.follow_ups.contains_key(&step.id);
        if let Some(record) = self.records.get(&step.id).filter(|_| !is_there).cloned() {
            self.outputs.insert(step.id.clone(), (record.state, Map::new()));
            if record.state != StepState::Skipped {
                self.show(step, &record, None);
            }
            return Ok(Flow::Next);
        }
        let merged = self.merged;
        let progress = match merged.follow_ups.get(&step.id) {
            Some(follow_up) => follow(self.job, (step, planned), follow_up)?,
            None => match self.is_taken(step)? {
                Ok(true) => begin(
                    self.job,
                    merged.pull,
                    merged.recipe,
                    (step, planned),
                    merged.file,
                    merged.document,
                )?,
                Ok(false) => {
                    self.skip(step, "pullRequest");
                    return Ok(Flow::Next);
                }
                Err(why) => Progress::Failed(why),
            },
        };
        Ok(match progress {
            Progress::Nothing => Flow::Next,
            Progress::Act(steps) => {
                self.decision.steps.extend(steps);
                self.unready += 1;
                Flow::Wait
            }
            Progress::Waits(shown, steps, merge) => {
                let follow_up = merged.follow_ups.get(&step.id).copied();
                let begun = follow_up.map_or(self.now, |pull| pull.created_at);
                self.open.extend(follow_up);
                self.shown.push(shown);
                if self.is_overdue(step, begun) {
                    // Nobody needs it any more where the run goes on without it.
                    if !step.on_failure.stops() {
                        let why = format!("{NOT_IN_TIME}, and its request went on without it");
                        let late: Vec<&Pull> = follow_up.into_iter().collect();
                        self.decision.steps.extend(take_back(self.job, merged.pull, &late, &why));
                    }
                    return Ok(self.not_so(step, Stage::TimedOut, NOT_IN_TIME.to_owned()));
                }
                self.decision.steps.extend(steps);
                self.unready += usize::from(merge.is_none());
                self.merges.extend(merge);
                Flow::Wait
            }
            Progress::Done(run_pull, at, approvers) => {
                self.approved.extend(approvers);
                self.finished = self.finished.max(at.unwrap_or(self.finished));
                let reference = read::reference(&run_pull.repository, run_pull.number);
                self.shown.push(FollowUp { reference, state: "merged".into(), log: Vec::new() });
                self.outputs.insert(step.id.clone(), (StepState::Success, writeback::outputs_of(&run_pull)));
                self.done.push(run_pull);
                Flow::Next
            }
            Progress::Closed(run_pull, by) => {
                let is_ours = by.as_ref() == Some(&self.job.site.here.me);
                let by = by.map_or_else(|| "somebody".to_owned(), |login| format!("`{login}`"));
                let what = read::reference(&run_pull.repository, run_pull.number);
                let begun = merged.follow_ups.get(&step.id).map_or(self.now, |pull| pull.created_at);
                self.done.push(run_pull);
                let why = format!("{by} closed {what} without merging it");
                if is_ours && self.is_overdue(step, begun) {
                    self.not_so(step, Stage::TimedOut, NOT_IN_TIME.to_owned())
                } else if is_ours && step.on_failure.stops() {
                    // What we closed was closed because of something else.
                    self.taken_back = self.taken_back.take().or(Some((Stage::Declined, why)));
                    Flow::Wait
                } else {
                    self.not_so(step, Stage::Declined, why)
                }
            }
            Progress::Stuck(why) if step.on_failure.stops() => {
                let ended = self.records.values().filter_map(|record| record.ended_at).max();
                let until = given_up_at(self.job.site, ended.unwrap_or(self.finished).max(self.finished));
                if self.now > until {
                    self.finished = until;
                    return Ok(Flow::End(Stage::Failure, why));
                }
                self.shown.push(stuck(step, &why));
                self.next = Some(until_then(self.job.site, step, until));
                self.unready += 1;
                Flow::Wait
            }
            Progress::Denied(run_pull, why) => {
                self.done.push(run_pull);
                Flow::End(Stage::Denied, why)
            }
            Progress::Stuck(why) | Progress::Failed(why) => self.not_so(step, Stage::Failure, why),
            Progress::Unclear(why) => {
                self.decision.waits.push(why);
                self.unready += 1;
                Flow::Wait
            }
        })
    }

    fn is_overdue(&self, step: &PlannedStep, begun: Timestamp) -> bool {
        step.timeout.is_some_and(|most| self.now.seconds() - begun.seconds() > most)
    }

    /// A pull request that does not come to its end.
    fn not_so(&mut self, step: &PlannedStep, stage: Stage, why: String) -> Flow {
        if step.on_failure.stops() {
            return Flow::End(stage, why);
        }
        let state = if stage == Stage::TimedOut { StepState::TimedOut } else { StepState::Failure };
        let record = RunStep { reason: Some(why), ..RunStep::new(step.id.clone(), "pullRequest", state) };
        self.outputs.insert(step.id.clone(), (state, Map::new()));
        self.show(step, &record, None);
        self.records.insert(step.id.clone(), record);
        Flow::Next
    }

    fn skip(&mut self, step: &PlannedStep, kind: &str) {
        let record = RunStep::new(step.id.clone(), kind, StepState::Skipped);
        self.outputs.insert(step.id.clone(), (StepState::Skipped, Map::new()));
        self.records.insert(step.id.clone(), record);
    }

    /// The records in the order of the plan.
    fn progress(&self) -> Vec<RunStep> {
        self.merged.plan.steps.iter().filter_map(|step| self.records.get(&step.id).cloned()).collect()
    }

    /// What is to be done while it goes on: what is new is recorded before anything else, then said.
    fn rest(mut self) -> Decision {
        if self.is_new {
            let mut run = self.job.run(Stage::InProgress, None, self.done.clone(), Vec::new());
            run.progress = self.progress();
            run.finished_at = None;
            let at = self.now;
            let summary = self.summary();
            let mut recorded = Job {
                at,
                requesters: self.job.requesters.clone(),
                approved: self.approved.clone(),
                ..*self.job
            }
            .record(run, BTreeMap::new());
            for step in &mut recorded.steps {
                if let Step::CatalogChange(change) = step {
                    change.trailer = None;
                    change.summary.clone_from(&summary);
                }
            }
            self.decision.steps.retain(|step| matches!(step, Step::Commit(_)));
            let (site, id) = (self.job.site, self.job.id);
            let steps = recorded.steps.into_iter().map(|step| match (step, self.job.memory) {
                (Step::CatalogChange(change), Some(head)) => {
                    Step::Commit(kept::commit(site, id, head, change))
                }
                (step, _) => step,
            });
            self.decision.steps.extend(steps);
            self.decision.steps.extend(self.logs);
            return self.decision;
        }
        if self.decision.steps.is_empty() && !self.shown.is_empty() {
            self.decision.steps.append(&mut self.logs);
            let early = merged_early(self.job.site, self.merged.plan, self.merged.follow_ups);
            let usual = match &early {
                Some(_) => waits_for(self.merged.plan, true),
                None => "it waits for the step above to end.",
            };
            let next = self.next.take().unwrap_or_else(|| usual.to_owned());
            let pull = self.merged.pull;
            let said = self.job.speak(pull, Stage::InProgress, &self.shown, early.as_deref(), &next);
            self.decision.steps.extend(said);
        }
        self.decision
    }

    /// The last step that is recorded, in a line.
    fn summary(&self) -> String {
        let last = self.progress().pop();
        let last = last.map_or_else(String::new, |step| format!(" ({} {})", step.step, step.state.name()));
        format!("{}: {}{last}", self.merged.plan.asked.action, self.job.id)
    }

    /// The run ends otherwise than it should: what is open is taken back first.
    fn end(mut self, stage: Stage, why: &str) -> Looked<Decision> {
        if !self.open.is_empty() {
            self.decision.steps = take_back(self.job, self.merged.pull, &self.open, why);
            return Ok(self.decision);
        }
        if self.must_be_kept_first() {
            self.keep_logs()?;
            return Ok(self.rest());
        }
        let why = &format!("{why}{}", to_revert(self.merged.plan, &self.done));
        let mut run = self.job.run(stage, Some(why), self.done.clone(), Vec::new());
        run.progress = self.progress();
        self.keep_logs()?;
        let mut decision = self.finishing().record(run, BTreeMap::new());
        decision.steps.extend(self.logs);
        Ok(decision)
    }

    fn finishing(&self) -> Job<'a> {
        let finished = self.records.values().filter_map(|record| record.ended_at).max();
        let at = self.finished.max(finished.unwrap_or(self.finished));
        Job { at, requesters: self.job.requesters.clone(), approved: self.approved.clone(), ..*self.job }
    }

    /// Everything was done: the catalog learns of it.
    fn succeed(mut self) -> Looked<Decision> {
        let plan = self.merged.plan;
        let finishing = self.finishing();
        let source =
            format!("{}/{}/request.yaml", self.job.site.definitions.settings.folders.requests, self.job.id);
        let given = |step: &StepId, name: &str| self.outputs.get(step)?.1.get(name).cloned();
        let applied = match writeback::entities_filled(&plan.entities, &given, self.merged.pull.merged_at) {
            Err(why) => Err(why),
            Ok(planned) => {
                writeback::apply(self.job.site, &planned, &source)?.map_err(|problems| first(&problems))
            }
        };
        let (stage, reason, entities, files) = match applied {
            Ok(applied) => (Stage::Success, None, applied.entities, applied.files),
            Err(why) => {
                let why = format!("the catalog could not be changed: {why}");
                (Stage::Failure, Some(why), Vec::new(), BTreeMap::new())
            }
        };
        let mut run = finishing.run(stage, reason.as_deref(), self.done.clone(), entities);
        run.progress = self.progress();
        self.keep_logs()?;
        let mut decision = finishing.record(run, files);
        decision.steps.extend(self.logs);
        Ok(decision)
    }

    /// Adds the checks with the logs of steps that are not there yet.
    fn keep_logs(&mut self) -> Looked<()> {
        let Merged { pull, plan, .. } = self.merged;
        let missing =
            logs::missing(self.job.site, self.job.id, pull.merge_commit, plan, self.records.values())?;
        self.logs.extend(missing);
        Ok(())
    }

    /// The steps of which nothing was begun.
    fn show_what_is_to_come(&mut self) {
        for step in self.merged.plan.steps.iter().filter(|step| !step.is_nothing()) {
            let id = &step.id;
            let is_begun = self.records.contains_key(id)
                || self.outputs.contains_key(id)
                || self.merged.follow_ups.contains_key(id);
            if let (Some(does), false) = (step.does(), is_begun) {
                self.shown.push(message::step_to_come(step.name(), backend::kind(does)));
            }
        }
    }

    /// What people read of a step that is recorded.
    fn show(&mut self, step: &PlannedStep, record: &RunStep, more: Option<String>) {
        self.shown.push(message::step_line(step.name(), record, more.as_deref()));
    }
}

/// Asks early what is needed to begin.
pub(super) fn ask_early(job: &Job<'_>) {
    let _unused: Looked<_> = job.site.look.now();
    let _unused: Result<_, Pending> = job.site.look.pass();
}
