//! Merging a pull request, and bringing its branch up to date.

use serde_json::json;

use super::pulls::find_pull;
use super::repos::tip;
use crate::local_forge::motion;
use crate::local_forge::objects::{self, EMPTY, Person};
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, not_found, ok, refuse};
use crate::local_forge::rules::{self, Way};
use crate::local_forge::store::{ActivityKind, Permission, Pull};

pub(crate) fn is_merged(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let (_, pull) = find_pull(call, key, number)?;
    if pull.merged.is_some() { Ok(Reply::empty()) } else { Err(not_found()) }
}

/// The first required check that keeps this pull request from merging, in GitHub's words.
fn missing_check(call: &Call<'_>, key: &str, pull: &Pull) -> Option<String> {
    let repository = call.repository(key);
    let rules = repository.protections.get(&pull.base_branch)?;
    let admin = call.permission(repository) >= Permission::Admin;
    if admin && !rules.enforce_admins {
        return None;
    }
    rules.required_checks.iter().find_map(|check| {
        rules::missing_check(call.state, repository, &pull.head, &check.context, check.app_id)
    })
}

/// What keeps this pull request from merging, by its branch's protection or by rules.
pub(crate) fn blocked(call: &Call<'_>, key: &str, pull: &Pull) -> Result<Option<String>, Refusal> {
    if let Some(words) = missing_check(call, key, pull) {
        return Ok(Some(words));
    }
    let git = call.git(key)?;
    let found = rules::violations(call, key, &pull.base_branch, Some(&pull.head), Way::Merge, Some(&git))?;
    Ok((!found.is_empty()).then(|| rules::told(&found)))
}

pub(crate) fn merge(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    call.require(key, Permission::Write)?;
    let (issue, pull) = find_pull(call, key, number)?;
    if !issue.open {
        return Err(refuse(405, "Pull Request is not mergeable"));
    }
    if pull.draft {
        return Err(refuse(405, "Pull Request is still a draft"));
    }
    if call.text("sha").is_some_and(|sha| sha != pull.head) {
        return Err(refuse(409, "Head branch was modified. Review and try the merge again."));
    }
    if let Some(message) = blocked(call, key, pull)? {
        return Err(refuse(405, message));
    }
    let method = call.text("merge_method").unwrap_or("merge");
    let known = match method {
        "merge" => "Merge commits are",
        "squash" => "Squash merges are",
        _ => "Rebase merges are",
    };
    if ["merge", "squash", "rebase"].contains(&method)
        && !rules::allows_method(call, key, &pull.base_branch, method)
    {
        return Err(refuse(405, format!("{known} not allowed on this repository.")));
    }
    let (title, head, branch) = (issue.title.clone(), pull.head.clone(), pull.base_branch.clone());
    let source =
        format!("{}/{}", pull.head_repository.split('/').next().unwrap_or_default(), pull.head_branch);
    let git = call.git(key)?;
    let (base_id, head_id) = (objects::oid(&tip(call, key, &branch))?, objects::oid(&head)?);
    let at = call.state.stamp();
    let user = call.actor_user()?;
    let (actor, author) = (user.login.clone(), Person { name: user.login.clone(), email: user.noreply() });
    let (author, committer) = (author.sign(at)?, Person::github().sign(at)?);
    let conflict = || refuse(405, "Pull Request is not mergeable");
    let tree = objects::merge(&git, base_id, head_id)?.ok_or_else(conflict)?;
    let told = |fallback_title: String, fallback_body: String| {
        let title = call.text("commit_title").map_or(fallback_title, str::to_owned);
        let body = call.text("commit_message").map_or(fallback_body, str::to_owned);
        if body.is_empty() { title } else { format!("{title}\n\n{body}") }
    };
    let commit = match call.text("merge_method").unwrap_or("merge") {
        "merge" => {
            let message = told(format!("Merge pull request #{number} from {source}"), title);
            objects::write_commit(&git, tree, &[base_id, head_id], &message, &author, &committer)?
        }
        "squash" => {
            let message = told(format!("{title} (#{number})"), squash_body(&git, base_id, head_id)?);
            objects::write_commit(&git, tree, &[base_id], &message, &author, &committer)?
        }
        "rebase" => objects::rebase(&git, base_id, head_id, &committer)?.ok_or_else(conflict)?,
        _ => return Err(refuse(422, "merge_method is not one of merge, squash, rebase")),
    };
    let rebases = call.text("merge_method") == Some("rebase");
    let rebased = if rebases { objects::commits_between(&git, base_id, commit)? } else { Vec::new() };
    let commit = commit.to_string();
    motion::merged(call, key, number, &actor, &commit);
    if let Some(merged) = &mut super::pulls::pull_mut(call, key, number)?.merged {
        merged.rebased = rebased.iter().map(ToString::to_string).collect();
    }
    motion::set(call, key, &format!("refs/heads/{branch}"), Some(&commit), Some(ActivityKind::PrMerge))?;
    ok(json!({"sha": commit, "merged": true, "message": "Pull Request successfully merged"}))
}

/// GitHub lists the messages of several commits, and repeats the body of a single one.
fn squash_body(git: &git2::Repository, base: git2::Oid, head: git2::Oid) -> Result<String, git2::Error> {
    let commits = objects::commits_between(git, base, head)?;
    let messages = commits.iter().map(|id| git.find_commit(*id).map(|commit| objects::message(&commit)));
    let messages = messages.collect::<Result<Vec<_>, _>>()?;
    if let [single] = messages.as_slice() {
        return Ok(single.split_once('\n').map_or("", |(_, body)| body).trim().to_owned());
    }
    Ok(messages.iter().map(|message| format!("* {}", message.trim())).collect::<Vec<_>>().join("\n\n"))
}

pub(crate) fn update_branch(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    let (issue, pull) = find_pull(call, key, number)?;
    if !issue.open {
        return Err(refuse(422, "pull request is closed"));
    }
    let (head_key, branch, base_branch) =
        (pull.head_repository.clone(), pull.head_branch.clone(), pull.base_branch.clone());
    let head = pull.head.clone();
    call.require(&head_key, Permission::Write)?;
    if call.text("expected_head_sha").is_some_and(|sha| sha != head) {
        return Err(refuse(422, "expected head sha didn’t match current head ref."));
    }
    let base = tip(call, key, &base_branch);
    if base == EMPTY {
        return Err(refuse(422, "There are no new commits on the base branch."));
    }
    if head_key != key {
        objects::share_objects(&call.shared.git_dir(key), &call.shared.git_dir(&head_key))?;
    }
    let git = call.git(&head_key)?;
    let (base_id, head_id) = (objects::oid(&base)?, objects::oid(&head)?);
    if objects::is_ancestor(&git, base_id, head_id) {
        return Err(refuse(422, "There are no new commits on the base branch."));
    }
    let tree = objects::merge(&git, head_id, base_id)?
        .ok_or_else(|| refuse(422, "merge conflict between base and head"))?;
    let at = call.state.stamp();
    let user = call.actor_user()?;
    let author = Person { name: user.login.clone(), email: user.noreply() }.sign(at)?;
    let message = format!("Merge branch '{base_branch}' into {branch}");
    let commit = objects::write_commit(
        &git,
        tree,
        &[head_id, base_id],
        &message,
        &author,
        &Person::github().sign(at)?,
    )?;
    if let Some(words) = super::repos::refused_move(call, &head_key, &branch, Some(&commit.to_string()))? {
        return Err(refuse(422, words));
    }
    motion::set(call, &head_key, &format!("refs/heads/{branch}"), Some(&commit.to_string()), None)?;
    let url = call.view().api(&format!("repos/{key}/pulls/{number}"));
    Ok(Reply::json(202, json!({"message": "Updating pull request branch.", "url": url})))
}
