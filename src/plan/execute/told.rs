//! How is a request told that has ended?

use std::collections::BTreeSet;

use super::{follow_up::say_once, kept, logs, named, recorded};
use crate::{
    domain::{Login, Pull, RequestId, Stage, StepState},
    plan::{
        build::Site,
        facts::Looked,
        message::{self, FollowUp},
        notice, plan_file, read,
        step::Step,
    },
};

/// Who can help where something went wrong.
pub(in crate::plan) fn who_helps(site: &Site<'_>, stage: Stage) -> String {
    let went_wrong = matches!(stage, Stage::Failure | Stage::TimedOut | Stage::Unknown);
    message::who_helps(site.definitions.settings.contact.as_deref().filter(|_| went_wrong))
}

/// How a request that has ended is told on its pull request: its stage, and what is still unsaid.
pub(in crate::plan) fn last_word(
    site: &Site<'_>,
    pull: &Pull,
    id: &RequestId,
) -> Looked<Option<(Stage, Vec<Step>)>> {
    let Some(Ok(run)) = recorded(site, id)? else { return Ok(None) };
    if run.pull_request.as_ref().is_some_and(|own| own.number != pull.number) {
        return Ok(None);
    }
    let action = match &run.action {
        Some(action) => site.definitions.actions.get(action).map(|defined| &defined.value),
        None => named(site, pull, id)?,
    };
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
            log: Vec::new(),
        })
        .chain(run.progress.iter().filter(|step| step.state != StepState::Skipped).map(|step| {
            let planned = action.and_then(|action| action.steps.iter().find(|known| known.id == step.step));
            let name = planned.and_then(|known| known.title.as_deref()).unwrap_or(step.step.as_str());
            message::step_line(name, step, None)
        }))
        .collect();
    let again = message::ask_again(id);
    let has_closed = run.steps.iter().any(|step| step.merge_commit.is_none());
    let next = match run.status {
        Stage::Success => "nothing more: it is done, and the catalog says so.".to_owned(),
        Stage::Noop => "nothing more: there was nothing to change.".to_owned(),
        Stage::Failure | Stage::TimedOut | Stage::Unknown => {
            format!("nothing more is tried. Mend the cause. {again}")
        }
        Stage::Declined | Stage::Cancelled | Stage::Expired if has_closed => {
            format!("nothing more: a pull request that is opened again now is not followed. {again}")
        }
        Stage::Denied | Stage::Declined | Stage::Cancelled | Stage::Expired => {
            format!("nothing more. {again}")
        }
        Stage::Invalid | Stage::WaitingForApproval | Stage::InProgress => "it goes on.".to_owned(),
    };
    let reason = message::with_break_glass(run.break_glass.as_ref(), &requesters, run.reason.as_deref());
    let next = format!("{next}{}", who_helps(site, run.status));
    let body = message::progress(&about, &follow_ups, reason.as_deref(), &next);
    let told = notice::tell(site, pull, &about, reason.as_deref(), body);
    let has_logs = run.progress.iter().any(|step| step.attempt > 0);
    let mut steps = Vec::new();
    if run.plan.is_some() && (run.status != Stage::Success || has_logs && !told.is_empty()) {
        let path = read::request_path(site.definitions, id, "plan.yaml");
        if let Ok(Some(file)) = site.look.file(&site.here.catalog, pull.head, &path)?
            && let Ok(plan) = plan_file::read_plan(file)
        {
            // The last word comes after the logs: whoever finds it unsaid looks for those, too.
            if !told.is_empty() {
                steps.extend(logs::missing(site, id, pull.merge_commit, &plan, run.progress.iter())?);
            }
            if run.status != Stage::Success {
                steps.extend(say_once(site, &plan)?);
            }
        }
    }
    // What others wrote to the branch of a run stays there, for people to see.
    let has_branch = run.status != Stage::Unknown && (!run.progress.is_empty() || run.break_glass.is_some());
    if has_branch && !told.is_empty() {
        steps.extend(kept::sweep(site, id)?);
    }
    steps.extend(told);
    Ok(Some((run.status, steps)))
}
