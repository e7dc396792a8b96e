//! Pull requests: opening, reading, editing.

use serde_json::{Value, json};

use super::issues::{edit, find, new_issue, reopen};
use super::repos::tip;
use crate::local_forge::motion::{close, keep_head, tell_pull};
use crate::local_forge::objects::{self, EMPTY};
use crate::local_forge::render::extend;
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, invalid, not_found, ok, refuse};
use crate::local_forge::store::{Issue, Permission, Pull};

pub(crate) fn find_pull<'a>(
    call: &'a Call<'_>,
    key: &str,
    number: u64,
) -> Result<(&'a Issue, &'a Pull), Refusal> {
    let issue = find(call, key, number)?;
    Ok((issue, issue.pull.as_ref().ok_or_else(not_found)?))
}

pub(crate) fn pull_mut<'a>(call: &'a mut Call<'_>, key: &str, number: u64) -> Result<&'a mut Pull, Refusal> {
    let issue = call.repository_mut(key).issues.get_mut(&number).ok_or_else(not_found)?;
    issue.pull.as_mut().ok_or_else(not_found)
}

pub(crate) fn list(call: &Call<'_>, key: &str) -> Answer {
    let repository = call.repository(key);
    let state = call.parameter("state").unwrap_or("open");
    let head = call.parameter("head").and_then(|text| text.split_once(':'));
    let base = call.parameter("base");
    let mut found: Vec<(&Issue, &Pull)> = repository
        .issues
        .values()
        .filter_map(|issue| Some((issue, issue.pull.as_ref()?)))
        .filter(|(issue, _)| state == "all" || issue.open == (state == "open"))
        .filter(|(_, pull)| base.is_none_or(|base| pull.base_branch == base))
        .filter(|(_, pull)| {
            head.is_none_or(|(owner, branch)| {
                pull.head_branch == branch && pull.head_repository.starts_with(&format!("{owner}/"))
            })
        })
        .collect();
    let sort = call.parameter("sort").unwrap_or("created");
    if sort == "updated" {
        found.sort_by_key(|(issue, _)| issue.updated_at);
    }
    let default = if sort == "created" { "desc" } else { "asc" };
    if call.parameter("direction").unwrap_or(default) == "desc" {
        found.reverse();
    }
    let view = call.view();
    call.page(&found, |(issue, _)| view.pull_simple(repository, issue))
}

fn custom(message: &str) -> Refusal {
    let mut refusal = invalid("PullRequest", "head", "custom", Some(message));
    if let crate::local_forge::reply::Body::Json(body) = &mut refusal.0.body
        && let Some(error) = body["errors"][0].as_object_mut()
    {
        error.remove("field");
    }
    refusal
}

/// Where a head such as `branch` or `owner:branch` is.
fn locate_head(call: &Call<'_>, key: &str, head: &str) -> Result<(String, String), Refusal> {
    let repository = call.repository(key);
    let (owner, branch) = head.split_once(':').unwrap_or((&repository.owner, head));
    if owner.eq_ignore_ascii_case(&repository.owner) {
        return Ok((key.to_owned(), branch.to_owned()));
    }
    let forks = call.state.repositories.values();
    let fork = forks.into_iter().find(|fork| fork.owner == owner && fork.fork_of.as_deref() == Some(key));
    let fork = fork.ok_or_else(|| invalid("PullRequest", "head", "invalid", None))?;
    Ok((fork.key(), branch.to_owned()))
}

pub(crate) fn create(call: &mut Call<'_>, key: &str) -> Answer {
    let (head, base_branch) = (call.needed("PullRequest", "head")?, call.needed("PullRequest", "base")?);
    let title = call.needed("PullRequest", "title")?;
    let body = call.text("body").map(str::to_owned);
    super::issues::check_length("PullRequest", body.as_deref().unwrap_or_default())?;
    let (head_repository, head_branch) = locate_head(call, key, &head)?;
    call.require(&head_repository, Permission::Write)?;
    let (head, base) = (tip(call, &head_repository, &head_branch), tip(call, key, &base_branch));
    for (field, sha) in [("base", &base), ("head", &head)] {
        if sha == EMPTY {
            return Err(invalid("PullRequest", field, "invalid", None));
        }
    }
    let exists = call.repository(key).issues.values().filter(|issue| issue.open).any(|issue| {
        issue.pull.as_ref().is_some_and(|pull| {
            pull.head_repository == head_repository
                && pull.head_branch == head_branch
                && pull.base_branch == base_branch
        })
    });
    let owner = head_repository.split('/').next().unwrap_or_default();
    if exists {
        return Err(custom(&format!("A pull request already exists for {owner}:{head_branch}.")));
    }
    if head_repository != key {
        objects::share_objects(&call.shared.git_dir(&head_repository), &call.shared.git_dir(key))?;
    }
    if objects::is_ancestor(&*call.git(key)?, objects::oid(&head)?, objects::oid(&base)?) {
        return Err(custom(&format!("No commits between {base_branch} and {head_branch}")));
    }
    let draft = call.flag("draft").unwrap_or(false);
    let mut issue = new_issue(call, key, title, body)?;
    let number = issue.number;
    issue.pull = Some(Pull {
        head_repository,
        head_branch,
        head: head.clone(),
        base_branch,
        base,
        draft,
        merged: None,
        reviews: Vec::new(),
        remarks: Vec::new(),
        requested_users: std::collections::BTreeSet::new(),
        requested_teams: std::collections::BTreeSet::new(),
        mergeable: None,
    });
    call.repository_mut(key).issues.insert(number, issue);
    keep_head(call, key, number, &head)?;
    tell_pull(call, key, number, "opened");
    created(show(call, key, number)?)
}

/// Whether the head merges cleanly: unknown at the first look, computed for the next.
pub(crate) fn mergeable(call: &mut Call<'_>, key: &str, number: u64) -> Result<Option<bool>, Refusal> {
    let (issue, pull) = find_pull(call, key, number)?;
    if !issue.open {
        return Ok(None);
    }
    let base = tip(call, key, &pull.base_branch);
    let head = pull.head.clone();
    if let Some((known_head, known_base, answer)) = &pull.mergeable
        && *known_head == head
        && *known_base == base
    {
        return Ok(Some(*answer));
    }
    let answer = objects::merge(&*call.git(key)?, objects::oid(&base)?, objects::oid(&head)?)?.is_some();
    pull_mut(call, key, number)?.mergeable = Some((head, base, answer));
    Ok(None)
}

/// The pull request in full, as `GET` answers it.
pub(crate) fn show(call: &mut Call<'_>, key: &str, number: u64) -> Result<Value, Refusal> {
    let mergeable = mergeable(call, key, number)?;
    let (issue, pull) = find_pull(call, key, number)?;
    let git = call.git(key)?;
    let (base, head) = (objects::oid(&pull.base)?, objects::oid(&pull.head)?);
    let totals = objects::totals(&objects::three_dots(&git, base, head)?)?;
    let state = match (mergeable, pull.draft) {
        (None, _) => "unknown",
        (Some(false), _) => "dirty",
        (Some(true), true) => "draft",
        (Some(true), false) if super::merge::blocked(call, key, pull)?.is_some() => "blocked",
        (Some(true), false) => "clean",
    };
    let view = call.view();
    let mut shown = view.pull_simple(call.repository(key), issue);
    extend(
        &mut shown,
        json!({
            "merged": pull.merged.is_some(), "mergeable": mergeable, "rebaseable": mergeable, "mergeable_state": state,
            "merged_by": pull.merged.as_ref().map_or(Value::Null, |merged| view.user(&merged.by)),
            "comments": issue.comments.len(), "review_comments": pull.remarks.len(), "maintainer_can_modify": false,
            "commits": objects::commits_between(&git, base, head)?.len(), "additions": totals.additions,
            "deletions": totals.deletions, "changed_files": totals.files,
        }),
    );
    Ok(shown)
}

pub(crate) fn get(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    if call.accept.contains("diff") {
        let (_, pull) = find_pull(call, key, number)?;
        let git = call.git(key)?;
        let diff = objects::three_dots(&git, objects::oid(&pull.base)?, objects::oid(&pull.head)?)?;
        return Ok(Reply::raw("application/vnd.github.diff; charset=utf-8", objects::unified(&diff)?));
    }
    ok(show(call, key, number)?)
}

pub(crate) fn update(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    let actor = call.actor()?;
    let (issue, pull) = find_pull(call, key, number)?;
    if issue.author != actor {
        call.require(key, Permission::Write)?;
    }
    let (merged, head) = (pull.merged.is_some(), pull.head.clone());
    let (head_repository, head_branch) = (pull.head_repository.clone(), pull.head_branch.clone());
    let base_branch = call.text("base").map(str::to_owned);
    if let Some(branch) = base_branch {
        let base = tip(call, key, &branch);
        if base == EMPTY {
            return Err(invalid("PullRequest", "base", "invalid", None));
        }
        if objects::is_ancestor(&*call.git(key)?, objects::oid(&head)?, objects::oid(&base)?) {
            return Err(custom(&format!(
                "There are no new commits between base branch '{branch}' and head branch '{head_branch}'"
            )));
        }
        let pull = pull_mut(call, key, number)?;
        pull.base_branch = branch;
        pull.base = base;
        pull.mergeable = None;
    }
    edit(call, key, number)?;
    match call.text("state") {
        Some("closed") => close(call, key, number, None)?,
        Some("open") if merged => return Err(refuse(422, "Cannot reopen a merged pull request")),
        Some("open") => {
            // What was pushed while it was closed is seen only now; a deleted branch cannot come back.
            let now = tip(call, &head_repository, &head_branch);
            if now == EMPTY {
                return Err(invalid(
                    "PullRequest",
                    "state",
                    "invalid",
                    Some("state cannot be changed. The head branch was deleted."),
                ));
            }
            reopen(call, key, number)?;
            let pull = pull_mut(call, key, number)?;
            pull.head.clone_from(&now);
            pull.mergeable = None;
            for review in &mut pull.reviews {
                review.commit.clone_from(&now);
            }
            keep_head(call, key, number, &now)?;
        }
        _ => {}
    }
    ok(show(call, key, number)?)
}

pub(crate) fn files(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let (_, pull) = find_pull(call, key, number)?;
    let git = call.git(key)?;
    let diff = objects::three_dots(&git, objects::oid(&pull.base)?, objects::oid(&pull.head)?)?;
    let html = format!("{}/{key}", call.shared.url);
    let files = objects::files(&diff, &call.view().api(&format!("repos/{key}")), &html, &pull.head)?;
    call.page(&files, Value::clone)
}

pub(crate) fn commits(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let (_, pull) = find_pull(call, key, number)?;
    let git = call.git(key)?;
    let ids = objects::commits_between(&git, objects::oid(&pull.base)?, objects::oid(&pull.head)?)?;
    let view = call.view();
    call.page(&ids, |id| git.find_commit(*id).map(|commit| view.commit(key, &commit)).unwrap_or_default())
}
