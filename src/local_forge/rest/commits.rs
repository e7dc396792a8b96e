//! Commits, and the difference between two of them.

use git2::{Oid, Sort};
use serde_json::json;

use crate::local_forge::objects;
use crate::local_forge::render::extend;
use crate::local_forge::reply::{Answer, Call, Reply, ok, refuse};
use crate::local_forge::store::{Issue, Pull};

/// A comparison lists at most this many commits.
const MOST_COMMITS: usize = 250;

pub(crate) fn list(call: &Call<'_>, key: &str) -> Answer {
    let git = call.git(key)?;
    if call.repository(key).refs.is_empty() {
        return Err(refuse(409, "Git Repository is empty."));
    }
    let start = call.parameter("sha").unwrap_or(&call.repository(key).default_branch);
    let start = objects::resolve(&git, start)?.id();
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL)?;
    walk.push(start)?;
    let mut found = Vec::new();
    for id in walk {
        let id = id?;
        if touches(&git, id, call.parameter("path"))? {
            found.push(id);
        }
    }
    let view = call.view();
    call.page(&found, |id| git.find_commit(*id).map(|commit| view.commit(key, &commit)).unwrap_or_default())
}

fn touches(git: &git2::Repository, id: Oid, path: Option<&str>) -> Result<bool, git2::Error> {
    let Some(path) = path else {
        return Ok(true);
    };
    let commit = git.find_commit(id)?;
    let path = std::path::Path::new(path);
    let entry = |commit: &git2::Commit<'_>| {
        commit.tree().and_then(|tree| tree.get_path(path)).ok().map(|entry| entry.id())
    };
    let here = entry(&commit);
    match commit.parent_count() {
        0 => Ok(here.is_some()),
        _ => Ok(commit.parents().all(|parent| entry(&parent) != here)),
    }
}

pub(crate) fn get(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let git = call.git(key)?;
    let commit =
        objects::resolve(&git, name).map_err(|_| refuse(422, format!("No commit found for SHA: {name}")))?;
    let parent = commit.parents().next().map(|parent| parent.tree()).transpose()?;
    let diff = objects::diff(&git, parent.as_ref(), &commit.tree()?)?;
    if call.accept.contains("diff") {
        return Ok(Reply::raw("application/vnd.github.diff; charset=utf-8", objects::unified(&diff)?));
    }
    let view = call.view();
    let totals = objects::totals(&diff)?;
    let html = format!("{}/{key}", call.shared.url);
    let files = objects::files(&diff, &view.api(&format!("repos/{key}")), &html, &commit.id().to_string())?;
    let mut shown = view.commit(key, &commit);
    extend(
        &mut shown,
        json!({
            "stats": {
                "additions": totals.additions, "deletions": totals.deletions, "total": totals.additions + totals.deletions,
            },
            "files": files,
        }),
    );
    ok(shown)
}

/// Pull requests that brought this commit: the one merged as it, else all that contain it.
pub(crate) fn associated<'a>(
    call: &'a Call<'_>,
    key: &str,
    git: &git2::Repository,
    id: Oid,
) -> Vec<&'a Issue> {
    let repository = call.repository(key);
    let sha = id.to_string();
    let pulls = || repository.issues.values().filter_map(|issue| Some((issue, issue.pull.as_ref()?)));
    let merged_as = pulls().find(|(_, pull)| {
        pull.merged.as_ref().is_some_and(|merged| merged.commit == sha || merged.rebased.contains(&sha))
    });
    // Looking for it in every branch means walking them.
    if let Some((issue, _)) = merged_as {
        return vec![issue];
    }
    let contains = |pull: &Pull| {
        let (Ok(head), Ok(base)) = (objects::oid(&pull.head), objects::oid(&pull.base)) else { return false };
        objects::is_ancestor(git, id, head) && !objects::is_ancestor(git, id, base)
    };
    pulls().filter(|(_, pull)| contains(pull)).map(|(issue, _)| issue).collect()
}

pub(crate) fn pulls(call: &Call<'_>, key: &str, sha: &str) -> Answer {
    let git = call.git(key)?;
    let commit =
        objects::resolve(&git, sha).map_err(|_| refuse(422, format!("No commit found for SHA: {sha}")))?;
    let found = associated(call, key, &git, commit.id());
    let view = call.view();
    call.page(&found, |issue| view.pull_simple(call.repository(key), issue))
}

pub(crate) fn compare(call: &Call<'_>, key: &str, basehead: &str) -> Answer {
    let (base, head) = basehead.split_once("...").ok_or_else(|| refuse(404, "Not Found"))?;
    let git = call.git(key)?;
    let strip = |name: &str| name.rsplit(':').next().unwrap_or(name).to_owned();
    let (base, head) = (objects::resolve(&git, &strip(base))?, objects::resolve(&git, &strip(head))?);
    let diff = objects::three_dots(&git, base.id(), head.id())?;
    if call.accept.contains("diff") {
        return Ok(Reply::raw("application/vnd.github.diff; charset=utf-8", objects::unified(&diff)?));
    }
    let merge_base = git
        .merge_base(base.id(), head.id())
        .map_err(|_| refuse(404, format!("No common ancestor between {} and {}.", base.id(), head.id())))?;
    let (ahead, behind) = git.graph_ahead_behind(head.id(), base.id())?;
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let view = call.view();
    let html = format!("{}/{key}", call.shared.url);
    let commits = objects::commits_between(&git, base.id(), head.id())?;
    let page: Vec<_> = commits
        .iter()
        .take(MOST_COMMITS)
        .filter_map(|id| git.find_commit(*id).ok())
        .map(|commit| view.commit(key, &commit))
        .collect();
    let pair = format!("{}...{}", base.id(), head.id());
    ok(json!({
        "url": view.api(&format!("repos/{key}/compare/{basehead}")), "html_url": format!("{html}/compare/{basehead}"),
        "permalink_url": format!("{html}/compare/{pair}"), "diff_url": format!("{html}/compare/{basehead}.diff"),
        "patch_url": format!("{html}/compare/{basehead}.patch"), "base_commit": view.commit(key, &base),
        "merge_base_commit": view.commit(key, &git.find_commit(merge_base)?), "status": status, "ahead_by": ahead,
        "behind_by": behind, "total_commits": commits.len(), "commits": page,
        "files": objects::files(&diff, &view.api(&format!("repos/{key}")), &html, &head.id().to_string())?,
    }))
}
