//! How does a run go on that only opens pull requests? They are open together, and nothing of it needs to be remembered: the
//! forge tells which there are and what became of them.

use std::collections::BTreeMap;

use super::{
    Job, cancelled,
    follow_up::{
        FollowUps, Progress, begin, follow, given_up_at, merged_early, pulls_of, stuck, take_back, to_revert,
        until_then, waits_for,
    },
};
use crate::{
    catalog,
    domain::{Pull, RequestFile, Stage},
    plan::{
        Decision,
        build::Recipe,
        facts::{Looked, Pending},
        message::FollowUp,
        plan_file::Plan,
        read, writeback,
    },
};

pub(super) fn carry_out(
    job: &Job<'_>,
    pull: &Pull,
    plan: &Plan,
    recipe: &Recipe<'_>,
    file: &RequestFile,
    document: &catalog::yaml::Document,
    follow_ups: &FollowUps<'_>,
) -> Looked<Decision> {
    let mut progress = Vec::new();
    let mut pending = false;
    for step in pulls_of(plan) {
        let state = match follow_ups.get(&step.0.id) {
            Some(follow_up) => follow(job, step, follow_up),
            None => begin(job, pull, recipe, step, file, document),
        };
        match state {
            Ok(state) => progress.push((step.0, state)),
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
    let mut approved = job.approved.clone();
    let mut open = Vec::new();
    let (mut refused, mut not_opened, mut is_taken_back) = (None, None, false);
    // What we may merge, and how many of the others are not merged yet.
    let (mut merges, mut unready) = (Vec::new(), 0);
    for (step, state) in progress {
        match state {
            Progress::Nothing => {}
            Progress::Act(steps) => {
                decision.steps.extend(steps);
                unready += 1;
            }
            Progress::Waits(follow_up, steps, merge) => {
                open.extend(follow_ups.get(&step.id).copied());
                shown.push(follow_up);
                decision.steps.extend(steps);
                unready += usize::from(merge.is_none());
                merges.extend(merge);
            }
            Progress::Done(run_pull, at, approvers) => {
                approved.extend(approvers);
                finished = finished.max(at.unwrap_or(finished));
                shown.push(FollowUp {
                    reference: read::reference(&run_pull.repository, run_pull.number),
                    state: "merged".into(),
                    log: Vec::new(),
                });
                done.push(run_pull);
            }
            Progress::Closed(run_pull, by) => {
                // What we closed was closed because of something else.
                let is_ours = by.as_ref() == Some(&job.site.here.me);
                is_taken_back |= is_ours;
                let by = by.map_or_else(|| "somebody".to_owned(), |login| format!("`{login}`"));
                let what = read::reference(&run_pull.repository, run_pull.number);
                if !is_ours || refused.is_none() {
                    refused = Some((Stage::Declined, format!("{by} closed {what} without merging it")));
                }
                done.push(run_pull);
            }
            Progress::Stuck(why) => {
                shown.push(stuck(step, &why));
                not_opened = not_opened.or(Some((step, why)));
                unready += 1;
            }
            Progress::Denied(run_pull, why) => {
                done.push(run_pull);
                refused = Some((Stage::Denied, why));
            }
            Progress::Failed(why) => {
                refused = refused.or(Some((Stage::Failure, why)));
            }
            Progress::Unclear(why) => {
                decision.waits.push(why);
                unready += 1;
            }
        }
    }
    if !plan.atomic || unready == 0 {
        decision.steps.extend(merges);
    }
    let mut next = None;
    if let Some((step, why)) = not_opened {
        let until = given_up_at(job.site, finished);
        next = Some(until_then(job.site, step, until));
        if job.site.look.now()?.is_ok_and(|now| now > until) {
            refused = refused.or(Some((Stage::Failure, why)));
            finished = until;
        }
    }
    let finishing = Job { at: finished, requesters: job.requesters.clone(), approved, ..*job };
    if !open.is_empty() || !decision.steps.is_empty() || next.is_some() || is_taken_back {
        let by = cancelled(job, pull)?;
        refused = by.map(|by| (Stage::Cancelled, format!("`{by}` cancelled it"))).or(refused);
    }

    if let Some((stage, why)) = refused {
        // What is still open is taken back first; then the end is recorded.
        if !open.is_empty() {
            decision.steps = take_back(job, pull, &open, &why);
            return Ok(decision);
        }
        let why = why + &to_revert(plan, &done);
        return Ok(finishing.record(finishing.run(stage, Some(&why), done, Vec::new()), BTreeMap::new()));
    }
    if !decision.steps.is_empty()
        || !decision.waits.is_empty()
        || !shown.is_empty() && done.len() < shown.len()
    {
        if !shown.is_empty() && decision.waits.is_empty() {
            let early = merged_early(job.site, plan, follow_ups);
            let next = next.unwrap_or_else(|| waits_for(plan, early.is_some()).to_owned());
            decision.steps.extend(job.speak(pull, Stage::InProgress, &shown, early.as_deref(), &next));
        }
        return Ok(decision);
    }

    // Everything is there: the catalog learns of it.
    let source = format!("{}/{}/request.yaml", job.site.definitions.settings.folders.requests, job.id);
    let writeback::Applied { files, entities } = match writeback::apply(job.site, &plan.entities, &source)? {
        Ok(applied) => applied,
        Err(problems) => {
            let why = problems.first().map_or("", |problem| problem.message.as_str());
            let why = format!("the catalog could not be changed: {why}");
            return Ok(finishing
                .record(finishing.run(Stage::Failure, Some(&why), done, Vec::new()), BTreeMap::new()));
        }
    };
    let nothing = done.is_empty() && entities.is_empty();
    let (stage, reason) =
        if nothing { (Stage::Noop, Some("it was as asked already")) } else { (Stage::Success, None) };
    Ok(finishing.record(finishing.run(stage, reason, done, entities), files))
}
