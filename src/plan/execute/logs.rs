//! Where does the whole log of a step stay? In a check run of its own on the merge commit, one for each attempt that has
//! ended: made once, and never changed. The comment shows its end only.
//!
//! Caveat: a pass that ends between the record and the check leaves the check to the next one. What a script or a server
//! said is gone by then but for its last lines; the log of a workflow is still on the forge.

use serde_json::Value;

use crate::{
    domain::{Conclusion, ObjectId, RequestId, RunStep, StepState},
    plan::{
        build::Site,
        facts::Looked,
        message,
        plan_file::{Does, Plan},
        step::{Attempt, CHECK, Call, Outcome, Step},
    },
};

/// The checks of a run that are not there yet.
pub(super) fn missing<'a>(
    site: &Site<'_>,
    id: &RequestId,
    merge: Option<ObjectId>,
    plan: &Plan,
    records: impl Iterator<Item = &'a RunStep>,
) -> Looked<Vec<Step>> {
    let ended: Vec<&RunStep> =
        records.filter(|record| record.attempt > 0 && conclusion(record).is_some()).collect();
    let Some(merge) = merge.filter(|_| !ended.is_empty()) else { return Ok(Vec::new()) };
    // What cannot be learnt now is learnt in the next pass; nothing waits for a log.
    let Ok(there) = site.look.checks(merge, &site.here.me)? else { return Ok(Vec::new()) };
    let mut missing = Vec::new();
    for record in ended {
        let attempt = Attempt { request: id.clone(), step: record.step.clone(), number: record.attempt };
        if there.contains(&attempt.to_string()) {
            continue;
        }
        let lines = lines(site, plan, record, &attempt)?;
        let step = plan.steps.iter().find(|step| step.id == record.step);
        let name = step.map_or_else(|| record.step.to_string(), |step| step.name().to_owned());
        let shown = message::step_line(&name, record, None);
        missing.push(Step::Call(Call::Check {
            repository: site.here.catalog.clone(),
            commit: merge,
            name: format!("{CHECK}/{id}/{}", record.step),
            external_id: attempt.to_string(),
            conclusion: conclusion(record),
            title: message::check_title_of_step(&name, record.state),
            summary: format!("{}: {}", shown.reference, shown.state),
            text: message::whole_log(&lines),
            run: None,
        }));
    }
    Ok(missing)
}

/// All that a step said, as far as it is known now.
fn lines(site: &Site<'_>, plan: &Plan, record: &RunStep, attempt: &Attempt) -> Looked<Vec<String>> {
    match site.look.outcome(attempt) {
        Some(Outcome::Ran { lines, .. }) => return Ok(lines.clone()),
        Some(Outcome::Answered { status, body, .. }) => {
            let said = body.as_str().map_or_else(|| pretty(body), str::to_owned);
            let answered = format!("The server answered {status}.");
            return Ok([answered].into_iter().chain(said.lines().map(str::to_owned)).collect());
        }
        _ => {}
    }
    let step = plan.steps.iter().find(|step| step.id == record.step);
    if let (Some(Does::Workflow(workflow)), Some(run)) =
        (step.and_then(|step| step.does()), record.external_id)
        && let Ok(Some(run)) = site.look.workflow_run(&workflow.repository, run)?
        && let Some(Ok(lines)) = &run.log
    {
        return Ok(lines.clone());
    }
    Ok(record.log.clone())
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
