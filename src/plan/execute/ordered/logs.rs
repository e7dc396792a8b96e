//! Where does the whole log of a step stay? In a check run of its own on the merge commit, one for each attempt that has
//! ended: made once, and never changed. The comment shows its end only.
//!
//! Caveat: a pass that ends between the record and the check leaves the end of the log to a later one, unless the forge
//! still has it; where that was the record of the whole run, the check is missing.

use serde_json::Value;

use super::Course;
use crate::{
    domain::{Conclusion, RunStep, StepState},
    plan::{
        facts::Looked,
        message,
        plan_file::Does,
        step::{CHECK, Call, Outcome, Step},
    },
};

impl Course<'_> {
    /// Adds the checks that are not there yet.
    pub(super) fn keep_logs(&mut self) -> Looked<()> {
        let (site, Some(merge)) = (self.job.site, self.merged.pull.merge_commit) else { return Ok(()) };
        let ended = self.records.values().filter(|record| record.attempt > 0 && conclusion(record).is_some());
        let ended: Vec<RunStep> = ended.cloned().collect();
        if ended.is_empty() {
            return Ok(());
        }
        // What cannot be learnt now is learnt in the next pass; nothing waits for a log.
        let Ok(there) = site.look.checks(merge, &site.here.me)? else { return Ok(()) };
        for record in ended {
            let attempt = self.attempt(&record).to_string();
            if there.contains(&attempt) {
                continue;
            }
            let lines = self.lines(&record)?;
            let step = self.merged.plan.steps.iter().find(|step| step.id == record.step);
            let name = step.map_or_else(|| record.step.to_string(), |step| step.name().to_owned());
            let shown = message::step_line(&name, &record, None);
            self.logs.push(Step::Call(Call::Check {
                repository: site.here.catalog.clone(),
                commit: merge,
                name: format!("{CHECK}/{}/{}", self.job.id, record.step),
                external_id: attempt,
                conclusion: conclusion(&record),
                title: message::check_title_of_step(&name, record.state),
                summary: format!("{}: {}", shown.reference, shown.state),
                text: message::whole_log(&lines),
                run: None,
            }));
        }
        Ok(())
    }

    /// All that a step said, as far as it is known now.
    fn lines(&self, record: &RunStep) -> Looked<Vec<String>> {
        let site = self.job.site;
        match site.look.outcome(&self.attempt(record)) {
            Some(Outcome::Ran { lines, .. }) => return Ok(lines.clone()),
            Some(Outcome::Answered { status, body, .. }) => {
                let said = body.as_str().map_or_else(|| pretty(body), str::to_owned);
                let answered = format!("The server answered {status}.");
                return Ok([answered].into_iter().chain(said.lines().map(str::to_owned)).collect());
            }
            _ => {}
        }
        let step = self.merged.plan.steps.iter().find(|step| step.id == record.step);
        if let (Some(Does::Workflow(workflow)), Some(run)) =
            (step.and_then(|step| step.does()), record.external_id)
            && let Ok(Some(run)) = site.look.workflow_run(&workflow.repository, run)?
            && let Some(Ok(lines)) = &run.log
        {
            return Ok(lines.clone());
        }
        Ok(record.log.clone())
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// How the check of a step ends; none while the step has not, or where it was left out.
fn conclusion(record: &RunStep) -> Option<Conclusion> {
    match record.state {
        StepState::Success => Some(Conclusion::Success),
        StepState::Failure | StepState::TimedOut => Some(Conclusion::Failure),
        StepState::Unknown => Some(Conclusion::ActionRequired),
        StepState::Started | StepState::Waiting | StepState::Skipped => None,
    }
}
