//! Did everybody agree whom the rules name, to what was merged? Where a target has changed since,
//! the follow-up there needs the same consent.

use super::Job;
use crate::{
    domain::{Conclusion, Known, ObjectId, Pull, PullCommit, PullState, Timestamp},
    plan::{
        approval::{self, Case, Judgement},
        build::Site,
        facts::{Looked, Pending},
        message,
        plan_file::{self, Plan, PlannedRule},
        read, review,
        step::{CHECK, Call, Step},
    },
};

/// The judgement as of the merge, by these rules.
pub(super) fn consent(
    site: &Site<'_>,
    job: &Job<'_>,
    pull: &Pull,
    before: Option<ObjectId>,
    plan: &Plan,
    rules: &[PlannedRule],
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
    let concerned = plan.asked.concerned(&job.requesters);
    let case = Case {
        rules,
        requesters: &concerned,
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
                if let Ok(plan) = plan_file::read_plan(file) {
                    keys.push((id.as_str(), plan.key.clone()));
                }
            }
        }
    }
    if pending {
        return Err(Pending);
    }
    let keys: Vec<(&str, &str)> = keys.iter().map(|(id, key)| (*id, key.as_str())).collect();
    Ok(Ok(plan_file::combine(&keys)))
}

/// The consent that a changed follow-up needs on its own pull request, and the check that says so there.
pub(super) fn changed_consent(
    job: &Job<'_>,
    follow_up: &Pull,
    first: &PullCommit,
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
    let concerned = plan.asked.concerned(&job.requesters);
    let key = first.id.to_string();
    let case = Case {
        rules: &plan.approval,
        requesters: &concerned,
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
    let said = newest.is_some_and(|check| check.external_id == key && check.says(&title, conclusion));
    let check = (follow_up.state == PullState::Open && !said).then(|| {
        Step::Call(Call::Check {
            repository: follow_up.repository.clone(),
            commit: follow_up.head,
            name: CHECK.to_owned(),
            external_id: key.clone(),
            conclusion,
            title,
            summary: "This repository changed after the request was approved, so what is merged here needs the same approvals here.".into(),
            text: None,
            run: newest.filter(|check| check.external_id == key).map(|check| check.id),
        })
    });
    Ok(Ok((judgement, check)))
}
