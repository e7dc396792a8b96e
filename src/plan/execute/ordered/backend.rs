//! How does a step stand that asks something of a backend, and what is asked next?

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Course, Flow};
use crate::{
    domain::{Permission, RunStep, Stage, StepState, Timestamp},
    expr::Expression,
    plan::{
        command,
        execute::spoken::spoken,
        facts::{Looked, Pending, WorkflowRun},
        log, message,
        plan_file::{Does, PlannedScript, PlannedStep, PlannedWebhook, PlannedWorkflow},
        report::{self, Status},
        step::{Attempt, Backend, Outcome, RunScript, Send, Step, Work, is_success},
    },
};

/// How long a claim of another pass is left alone, in seconds: that pass may still be waiting for an answer.
const GRACE: i64 = 600;

/// How long a step may take if it does not say, in seconds: a day, and ten minutes for a script.
const TIMEOUT: i64 = 24 * 3600;
const SCRIPT_TIMEOUT: i64 = 600;

/// How often an attempt that was not answered is made again, where that does no harm.
const MOST_ATTEMPTS: u32 = 3;

impl<'a> Course<'a> {
    pub(super) fn backend(&mut self, step: &'a PlannedStep, does: Does<'a>) -> Looked<Flow> {
        let Some(record) = self.records.get(&step.id).cloned() else {
            return match self.is_taken(step)? {
                Ok(true) => self.claim(step, kind(does), 1, 0),
                Ok(false) => {
                    self.skip(step, kind(does));
                    Ok(Flow::Next)
                }
                Err(why) => {
                    let mut record = self.begun(step, kind(does), 1, 0, None);
                    self.ends(&mut record, StepState::Failure, Some(why));
                    self.put(record)
                }
            };
        };
        let flow = match record.state {
            StepState::Success | StepState::Skipped => {
                self.outputs.insert(step.id.clone(), (record.state, record.outputs.clone()));
                Flow::Next
            }
            StepState::Failure | StepState::TimedOut | StepState::Unknown => {
                return self.ended_badly(step, does, record);
            }
            StepState::Started => return self.started(step, does, record),
            StepState::Waiting => match does {
                Does::Workflow(workflow) => return self.runs(step, workflow, record),
                _ => return self.is_awaited(step, record),
            },
        };
        if record.state != StepState::Skipped {
            self.show(step, &record, None);
        }
        Ok(flow)
    }

    fn begun(
        &self,
        step: &PlannedStep,
        kind: &str,
        attempt: u32,
        retries: u32,
        claim: Option<String>,
    ) -> RunStep {
        RunStep {
            attempt,
            retries,
            claim,
            started_at: Some(self.now),
            ..RunStep::new(step.id.clone(), kind, StepState::Started)
        }
    }

    /// Wants a record to be on the default branch. What ended well is recorded together with what comes next.
    fn put(&mut self, record: RunStep) -> Looked<Flow> {
        let ended_well = record.state == StepState::Success;
        if ended_well {
            self.outputs.insert(record.step.clone(), (record.state, record.outputs.clone()));
        }
        self.records.insert(record.step.clone(), record);
        self.is_new = true;
        Ok(if ended_well { Flow::Next } else { Flow::Wait })
    }

    pub(super) fn ends(&self, record: &mut RunStep, state: StepState, reason: Option<String>) {
        record.state = state;
        record.claim = None;
        record.ended_at = Some(self.now);
        record.reason = reason.map(|why| log::plain(&why, 500));
    }

    fn claim(&mut self, step: &PlannedStep, kind: &str, attempt: u32, retries: u32) -> Looked<Flow> {
        let pass = match self.job.site.look.pass()? {
            Ok(pass) => pass.to_owned(),
            Err(why) => {
                self.decision.waits.push(format!("this pass has no name: {why}"));
                return Ok(Flow::Wait);
            }
        };
        let record = self.begun(step, kind, attempt, retries, Some(pass));
        self.put(record)
    }

    pub(super) fn attempt(&self, record: &RunStep) -> Attempt {
        Attempt { request: self.job.id.clone(), step: record.step.clone(), number: record.attempt }
    }

    fn started(&mut self, step: &'a PlannedStep, does: Does<'a>, record: RunStep) -> Looked<Flow> {
        let pass = self.job.site.look.pass()?;
        let outcome = self.job.site.look.outcome(&self.attempt(&record));
        if record.claim.is_none() {
            // Nothing was done, and nobody has it.
            return match outcome {
                None => self.claim(step, kind(does), record.attempt, record.retries),
                Some(_) => {
                    self.decision.waits.push(format!("the step `{}` is begun in the next pass", step.id));
                    self.show(step, &record, None);
                    Ok(Flow::Wait)
                }
            };
        }
        if record.claim.as_deref() == pass.ok() {
            return match outcome {
                Some(outcome) => self.take(step, does, record, outcome),
                None => self.ask(does, record),
            };
        }
        let age = record.started_at.map_or(i64::MAX, |at| self.now.seconds() - at.seconds());
        if age <= GRACE {
            self.show(step, &record, Some("its answer is awaited".to_owned()));
            return Ok(Flow::Wait);
        }
        self.lost(step, does, record, "whoever began it ended before it was answered")
    }

    /// Asks the backend, now that the claim is ours.
    fn ask(&mut self, does: Does<'a>, mut record: RunStep) -> Looked<Flow> {
        let work = match does {
            Does::Workflow(workflow) => self.dispatch(workflow, &record),
            Does::Webhook(webhook) => self.send(webhook, &record),
            Does::Script(script) => match self.script(script)? {
                Ok(work) => Ok(work),
                Err(why) => Err(why),
            },
            Does::Pull(_) => return Ok(Flow::Next),
        };
        match work {
            Ok(work) => {
                let attempt = self.attempt(&record);
                self.decision.steps.push(Step::Backend(Box::new(Backend { attempt, work })));
                Ok(Flow::Wait)
            }
            Err(why) => {
                self.ends(&mut record, StepState::Failure, Some(why));
                self.put(record)
            }
        }
    }

    fn dispatch(&self, workflow: &PlannedWorkflow, record: &RunStep) -> Result<Work, String> {
        let filled = self.filled_map(&workflow.inputs)?;
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut inputs: BTreeMap<String, String> = match &workflow.inputs_as {
            Some(name) => [(name.clone(), Value::Object(filled).to_string())].into(),
            // An input without a value is not sent: the workflow has a default for it, or says that it needs it.
            None => filled
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
        };
        if let Some(name) = &workflow.correlation {
            inputs.insert(name.clone(), self.attempt(record).to_string());
        }
        Ok(Work::Dispatch {
            repository: workflow.repository.clone(),
            workflow: workflow.workflow.clone(),
            reference: workflow.reference.clone(),
            inputs,
        })
    }

    fn send(&self, webhook: &PlannedWebhook, record: &RunStep) -> Result<Work, String> {
        // Where a report is awaited, the step's time is that of the report.
        let step = self.merged.plan.steps.iter().find(|step| step.id == record.step);
        let most = step.and_then(|step| step.timeout).filter(|_| !webhook.callback);
        let seconds = most.map(i64::unsigned_abs);
        let key = match record.retries {
            0 => format!("{}/{}", self.job.id, record.step),
            times => format!("{}/{}/{times}", self.job.id, record.step),
        };
        Ok(Work::Send(Send {
            method: webhook.method.clone(),
            url: webhook.url.clone(),
            headers: self.filled_map(&webhook.headers)?,
            body: webhook.body.as_ref().map(|body| self.filled(body)).transpose()?,
            secret: webhook.secret.clone(),
            idempotency_key: key,
            retries: webhook.retries,
            seconds,
            success_codes: webhook.success_codes.clone(),
        }))
    }

    fn script(&self, script: &PlannedScript) -> Looked<Result<Work, String>> {
        let site = self.job.site;
        let Some(user) = site.definitions.settings.scripts_as.clone() else {
            return Ok(Err("scripts-not-isolated: the settings do not say as whom scripts run".to_owned()));
        };
        let text = site.look.blob(&site.here.catalog, script.blob);
        let names = self.names();
        let text = match text? {
            Ok(Some(text)) => text.clone(),
            Ok(None) => return Ok(Err(format!("what `{}` said when it was approved is gone", script.run))),
            Err(why) => return Ok(Err(format!("`{}` could not be read: {why}", script.run))),
        };
        let names = match names? {
            Ok(names) => names,
            Err(why) => return Ok(Err(why)),
        };
        let env = match self.filled_map(&script.env) {
            Ok(env) => env,
            Err(why) => return Ok(Err(why)),
        };
        let name = |key: &str| names.get(key).cloned().unwrap_or(Value::Null);
        let input = json!({ "inputs": name("inputs"), "entity": name("entity"), "request": name("request"), "steps": self.steps() });
        let seconds = self.step_of(script).and_then(|step| step.timeout).unwrap_or(SCRIPT_TIMEOUT);
        Ok(Ok(Work::Run(RunScript {
            name: script.run.to_string(),
            text,
            interpreter: script.interpreter,
            env,
            input,
            user,
            seconds: seconds.unsigned_abs(),
        })))
    }

    fn step_of(&self, script: &PlannedScript) -> Option<&'a PlannedStep> {
        self.merged.plan.steps.iter().find(|step| step.script.as_ref() == Some(script))
    }

    /// Records what came of an attempt of ours.
    fn take(
        &mut self,
        step: &'a PlannedStep,
        does: Does<'a>,
        mut record: RunStep,
        outcome: &Outcome,
    ) -> Looked<Flow> {
        match (outcome, does) {
            (Outcome::Dispatched(Some(run)), _) => {
                record.state = StepState::Waiting;
                record.claim = None;
                record.external_id = Some(*run);
            }
            (Outcome::Dispatched(None), _) => {
                return self.lost(step, does, record, "the forge did not say which run it began");
            }
            (Outcome::Answered { status, headers, body }, Does::Webhook(webhook)) => {
                self.answered(webhook, &mut record, *status, headers, body);
            }
            (Outcome::Ran { problem, lines, timed_out }, _) => {
                let told = log::read(lines.iter().map(String::as_str));
                (record.outputs, record.links) = (told.outputs, told.links);
                match (problem, timed_out) {
                    (None, _) => self.ends(&mut record, StepState::Success, told.progress),
                    (Some(why), timed_out) => {
                        record.log = told.last;
                        let state = if *timed_out { StepState::TimedOut } else { StepState::Failure };
                        self.ends(&mut record, state, Some(why.clone()));
                    }
                }
            }
            (Outcome::Refused(why), _) => self.ends(&mut record, StepState::Failure, Some(why.clone())),
            (Outcome::Postponed(why), _) => {
                record.claim = None;
                record.reason = Some(why.clone());
            }
            (Outcome::Lost(why), _) => return self.lost(step, does, record, why),
            (Outcome::Answered { .. } | Outcome::Cancelled, _) => {
                self.ends(
                    &mut record,
                    StepState::Failure,
                    Some("it was answered by something else".to_owned()),
                );
            }
        }
        self.put(record)
    }

    /// What a server's answer means.
    fn answered(
        &self,
        webhook: &PlannedWebhook,
        record: &mut RunStep,
        status: u16,
        headers: &BTreeMap<String, String>,
        body: &Value,
    ) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if !is_success(&webhook.success_codes, status) {
            record.log = log::read(text(body).lines()).last;
            return self.ends(record, StepState::Failure, Some(format!("the server answered {status}")));
        }
        let answer = json!({ "status": status, "headers": headers, "body": body });
        let asked = |program: &String| {
            let expression = Expression::parse(program).map_err(|refusal| refusal.message)?;
            expression.first(&answer)
        };
        for (name, program) in &webhook.outputs {
            match asked(program) {
                Ok(value) => drop(record.outputs.insert(name.clone(), value)),
                Err(why) => {
                    let why = format!("the output `{name}` cannot be read from the answer: {why}");
                    return self.ends(record, StepState::Failure, Some(why));
                }
            }
        }
        for (title, program) in &webhook.links {
            if let Some(url) = asked(program).ok().and_then(|value| log::link(value.as_str()?)) {
                record.links.insert(log::plain(title, 80), url);
            }
        }
        if webhook.callback {
            record.state = StepState::Waiting;
            record.claim = None;
        } else {
            self.ends(record, StepState::Success, None);
        }
    }

    /// An attempt that was not answered: looked for, made again where that does no harm, or left to people.
    fn lost(
        &mut self,
        step: &'a PlannedStep,
        does: Does<'a>,
        mut record: RunStep,
        why: &str,
    ) -> Looked<Flow> {
        let again = match does {
            Does::Workflow(workflow) => {
                if workflow.correlation.is_some() {
                    let correlation = self.attempt(&record).to_string();
                    let found = self.job.site.look.find_run(
                        &workflow.repository,
                        &workflow.workflow,
                        &correlation,
                    )?;
                    match found {
                        Ok(Some(run)) => {
                            record.state = StepState::Waiting;
                            record.claim = None;
                            record.external_id = Some(run);
                            return self.put(record);
                        }
                        Ok(None) => {}
                        Err(why) => {
                            self.decision.waits.push(format!(
                                "the runs of `{}` could not be read: {why}",
                                workflow.workflow
                            ));
                            return Ok(Flow::Wait);
                        }
                    }
                    // Lists may lag: it is looked for until the time is over.
                    let age = record.started_at.map_or(i64::MAX, |at| self.now.seconds() - at.seconds());
                    if age <= GRACE {
                        self.show(step, &record, Some("its answer was lost; it is looked for".to_owned()));
                        return Ok(Flow::Wait);
                    }
                }
                workflow.repeatable
            }
            Does::Script(script) => script.repeatable,
            Does::Webhook(_) | Does::Pull(_) => true,
        };
        if again && record.attempt < MOST_ATTEMPTS * (record.retries + 1) {
            return self.claim(step, kind(does), record.attempt + 1, record.retries);
        }
        let (state, what) = if again {
            (StepState::Failure, "no answer came")
        } else {
            (StepState::Unknown, "it is not known whether it was done")
        };
        self.ends(&mut record, state, Some(format!("{what}: {why}")));
        self.put(record)
    }

    pub(super) fn is_late(&self, step: &PlannedStep, record: &RunStep) -> bool {
        let most = step.timeout.unwrap_or(TIMEOUT);
        record.started_at.is_some_and(|at| self.now.seconds() - at.seconds() > most)
    }

    /// A workflow that was begun.
    fn runs(
        &mut self,
        step: &'a PlannedStep,
        workflow: &PlannedWorkflow,
        mut record: RunStep,
    ) -> Looked<Flow> {
        let Some(number) = record.external_id else {
            self.ends(&mut record, StepState::Unknown, Some("its number is not known".to_owned()));
            return self.put(record);
        };
        let run = match self.job.site.look.workflow_run(&workflow.repository, number)? {
            Ok(Some(run)) => run,
            Ok(None) => {
                self.ends(
                    &mut record,
                    StepState::Unknown,
                    Some(format!("the run {number} is not there any more")),
                );
                return self.put(record);
            }
            Err(why) => {
                self.decision
                    .waits
                    .push(format!("the run {number} of `{}` could not be read: {why}", workflow.workflow));
                self.show(step, &record, None);
                return Ok(Flow::Wait);
            }
        };
        record.links.extend(run.url.as_deref().and_then(log::link).map(|url| ("the run".to_owned(), url)));
        let Some(conclusion) = &run.conclusion else {
            if self.is_late(step, &record) {
                self.ends(&mut record, StepState::TimedOut, Some("it did not end in its time".to_owned()));
                return self.put(record);
            }
            self.show(step, &record, Some(jobs_in_words(run)));
            return Ok(Flow::Wait);
        };
        let lines = match &run.log {
            Some(Ok(lines)) => lines.as_slice(),
            Some(Err(why)) => {
                self.decision.waits.push(format!("the log of the run {number} could not be read: {why}"));
                return Ok(Flow::Wait);
            }
            None => &[],
        };
        let told = log::read(lines.iter().map(String::as_str));
        record.outputs = told.outputs;
        record.links.extend(told.links);
        if conclusion == "success" {
            self.ends(&mut record, StepState::Success, told.progress);
        } else {
            record.log = told.last;
            let why = format!("the workflow ended as `{conclusion}` ({})", jobs_in_words(run));
            self.ends(&mut record, StepState::Failure, Some(why));
        }
        self.put(record)
    }

    /// A server that was called and will report.
    fn is_awaited(&mut self, step: &'a PlannedStep, mut record: RunStep) -> Looked<Flow> {
        let site = self.job.site;
        let since = record.started_at;
        let mut progress = None;
        let mut pending = false;
        for remark in self.merged.pull.remarks.iter().filter(|remark| Some(remark.at) >= since) {
            let Some(report) = report::read(remark, self.job.id, &step.id) else { continue };
            let Some(author) = &remark.author else { continue };
            match site.look.permission(&site.here.catalog, author) {
                Err(Pending) => pending = true,
                Ok(permission)
                    if permission.as_ref().is_ok_and(|permission| *permission >= Permission::Write) =>
                {
                    record.links.extend(report.links.clone());
                    let state = match report.status {
                        Status::Progress => {
                            progress = report.message;
                            continue;
                        }
                        Status::Success => StepState::Success,
                        Status::Failure => StepState::Failure,
                    };
                    if !pending {
                        record.outputs.extend(report.outputs);
                        let or = (state == StepState::Failure).then(|| "it reported a failure".to_owned());
                        self.ends(&mut record, state, report.message.or(or));
                        return self.put(record);
                    }
                }
                Ok(_) => {}
            }
        }
        if pending {
            return Err(Pending);
        }
        if self.is_late(step, &record) {
            self.ends(&mut record, StepState::TimedOut, Some("no report came in its time".to_owned()));
            return self.put(record);
        }
        self.show(step, &record, Some(progress.unwrap_or_else(|| "its report is awaited".to_owned())));
        Ok(Flow::Wait)
    }

    /// A step that did not do what it should: tried again if somebody says so, until that is too late.
    fn ended_badly(&mut self, step: &'a PlannedStep, does: Does<'a>, record: RunStep) -> Looked<Flow> {
        if !step.on_failure.stops() && record.state != StepState::Unknown {
            self.outputs.insert(step.id.clone(), (record.state, record.outputs.clone()));
            self.show(step, &record, None);
            return Ok(Flow::Next);
        }
        let ended = record.ended_at.unwrap_or(self.now);
        let all = spoken(self.job, self.merged.pull)?.into_iter();
        let asked = all.filter(|command| {
            command.word == "retry"
                && command.at > ended
                && (command.rest.is_empty() || command.rest == step.id.as_str())
        });
        if command::newest_allowed(self.job.site, asked, &self.job.requesters)?.is_some() {
            return self.claim(step, kind(does), record.attempt + 1, record.retries + 1);
        }
        let until = ended.seconds() + self.job.site.definitions.settings.retry_for;
        let name = message_name(step);
        if self.now.seconds() > until {
            let (stage, what) = match record.state {
                StepState::TimedOut => (Stage::TimedOut, "did not end in its time"),
                StepState::Unknown => (Stage::Unknown, "may have been taken or not"),
                _ => (Stage::Failure, "failed"),
            };
            let why = record.reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
            self.show(step, &record, None);
            return Ok(Flow::End(stage, format!("the step {name} {what}{why}")));
        }
        self.show(step, &record, None);
        let until = Timestamp::from_seconds(until);
        let what = if record.state == StepState::Unknown {
            format!("look whether {name} was done; if it was not, ")
        } else {
            "mend the cause; ".to_owned()
        };
        let help = message::who_helps(self.job.site.definitions.settings.contact.as_deref());
        self.next = Some(format!(
            "{what}comment `/retry` to try {name} again, or `/cancel` to end it here. At {until} it ends by itself.{help}"
        ));
        Ok(Flow::Halt)
    }
}

fn message_name(step: &PlannedStep) -> String {
    format!("`{}`", step.id)
}

pub(super) fn kind(does: Does<'_>) -> &'static str {
    match does {
        Does::Pull(_) => "pullRequest",
        Does::Workflow(_) => "workflow",
        Does::Webhook(_) => "webhook",
        Does::Script(_) => "script",
    }
}

fn jobs_in_words(run: &WorkflowRun) -> String {
    if run.jobs.is_empty() {
        return "no job yet".to_owned();
    }
    let job = |job: &crate::plan::facts::Job| format!("{}: {}", log::plain(&job.name, 60), job.state);
    run.jobs.iter().take(20).map(job).collect::<Vec<_>>().join(", ")
}
