//! Does the branch carry the present plans, in a commit of ours? The plan is part of what is reviewed.

use std::collections::BTreeSet;

use super::request::Asked;
use crate::{
    domain::{Activity, Change, Pull, RequestId},
    plan::{
        build::{Built, Site},
        facts::{ChainCommit, ChainKind, File, Looked, Pending},
        plan_file, read,
        step::Commit,
    },
};

pub(super) enum PlanOnBranch {
    There,
    Push(Commit),
    Unclear(String),
}

/// Whether the branch carries the present plans, in a commit of ours.
pub(super) fn plan_commit(
    site: &Site<'_>,
    pull: &Pull,
    asked: &[Asked],
    chain: &[ChainCommit],
    activity: &[Activity],
) -> Looked<PlanOnBranch> {
    let (Some(branch), catalog) = (&pull.head_branch, &site.here.catalog) else {
        return Ok(PlanOnBranch::There);
    };
    let good: Vec<(&RequestId, &Built)> = asked
        .iter()
        .filter_map(|request| Some((request.id.as_ref()?, request.plan().ok()?)))
        .filter(|(_, built)| !built.is_noop())
        .collect();
    if good.is_empty() {
        return Ok(PlanOnBranch::There);
    }
    let mut allowed = BTreeSet::new();
    let mut same = true;
    let mut pending = false;
    for (id, built) in &good {
        let plan_path = read::request_path(site.definitions, id, "plan.yaml");
        let diff_path = read::request_path(site.definitions, id, "plan.diff");
        match (site.look.file(catalog, pull.head, &plan_path), site.look.file(catalog, pull.head, &diff_path))
        {
            (Ok(plan), Ok(diff)) => {
                let (Ok(plan), Ok(diff)) = (plan, diff) else {
                    return Ok(PlanOnBranch::Unclear(format!("the plan of `{id}` could not be read back")));
                };
                same &= plan.is_some_and(|file| says(file, built))
                    && diff.is_some_and(|file| *file.bytes == *built.diff.as_bytes());
            }
            _ => pending = true,
        }
        allowed.extend([plan_path, diff_path]);
        if id.is_reserved() {
            allowed.insert(read::request_path(site.definitions, id, "request.yaml"));
        }
    }
    if pending {
        return Err(Pending);
    }
    let newest = chain.iter().find(|commit| commit.kind != ChainKind::CleanMergeOfBase);
    if same && let Some(newest) = newest {
        let only_plans =
            newest.kind == ChainKind::Ordinary && newest.paths.iter().all(|path| allowed.contains(path));
        let pushed_by: Vec<_> =
            activity.iter().filter(|activity| activity.after == Some(newest.id)).collect();
        if only_plans && pushed_by.iter().any(|activity| activity.actor.as_ref() == Some(&site.here.me)) {
            return Ok(PlanOnBranch::There);
        }
        // It may be ours and the forge's list may lag: pushing again would only go round in circles.
        if only_plans && pushed_by.is_empty() {
            return Ok(PlanOnBranch::Unclear(format!(
                "the forge does not say yet who pushed {}",
                newest.id.short()
            )));
        }
    }
    let files = good.iter().flat_map(|(id, built)| {
        let path = |name| read::request_path(site.definitions, id, name);
        [("plan.yaml", built.plan_file()), ("plan.diff", built.diff_file())]
            .map(|(name, bytes)| (path(name), Change::Put(bytes)))
    });
    let names: Vec<String> = good.iter().map(|(id, _)| id.to_string()).collect();
    Ok(PlanOnBranch::Push(Commit {
        repository: catalog.clone(),
        branch: branch.clone(),
        expect: Some(pull.head),
        parent: Some(pull.head),
        changes: files.collect(),
        message: format!(
            "Plan {}\n\nWhat the request would do; the review is of these very bytes.\n",
            names.join(", ")
        ),
        at: pull.created_at,
    }))
}

/// Whether a file says what a plan says; what it was made from may differ.
fn says(file: &File, built: &Built) -> bool {
    // What we write today is told by its bytes, at less than reading it costs.
    file.bytes == built.plan_file()
        || plan_file::read_plan(file).is_ok_and(|found| found.is_same_but_for_pins(&built.plan))
}
