//! Which handler answers which method and path?
//!
//! One table, read from top to bottom; paths as in GitHub's REST reference.

pub(crate) mod actions;
pub(crate) mod runs;
pub(crate) mod checks;
pub(crate) mod commits;
pub(crate) mod contents;
pub(crate) mod environments;
pub(crate) mod git;
pub(crate) mod hooks;
pub(crate) mod issues;
pub(crate) mod labels;
pub(crate) mod merge;
pub(crate) mod pulls;
pub(crate) mod repos;
pub(crate) mod reviews;
pub(crate) mod rulesets;
pub(crate) mod teams;

use super::reply::{Answer, Call, Refusal, decode, not_found, refuse};
use super::store::Permission;
use super::{apps, rename};

pub(crate) fn route(call: &mut Call<'_>) -> Answer {
    let segments: Vec<String> =
        call.path.split('/').filter(|part| !part.is_empty()).map(|part| decode(part, false)).collect();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match (call.method, segments.as_slice()) {
        ("GET", [] | ["meta"]) => repos::meta(call),
        ("GET", ["rate_limit"]) => repos::rate_limit(call),
        ("GET", ["user"]) => repos::myself(call),
        ("GET", ["users", login]) => repos::user(call, login),
        ("POST", ["user", "repos"]) => repos::create(call, None),
        (_, ["app", rest @ ..]) => apps::route(call, rest),
        ("GET", ["repos", owner, name, "installation"]) => apps::installation_of(call, owner, name),
        ("GET", ["orgs", login]) => teams::organization(call, login),
        ("POST", ["orgs", login, "repos"]) => repos::create(call, Some(login)),
        (_, ["orgs", login, rest @ ..]) => teams::route(call, login, rest),
        (_, ["repos", owner, name, rest @ ..]) => repository(call, owner, name, rest),
        (_, ["repositories", id, rest @ ..]) => {
            let id = number(id)?;
            let found =
                call.state.repositories.values().find(|known| known.id == id).ok_or_else(not_found)?;
            let (owner, name) = (found.owner.clone(), found.name.clone());
            repository(call, &owner, &name, rest)
        }
        _ => Err(not_found()),
    }
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| not_found())
}

fn repository(call: &mut Call<'_>, owner: &str, name: &str, rest: &[&str]) -> Answer {
    if let Some(key) = rename::present(call.state, owner, name) {
        call.require(&key, Permission::Read)?;
        return Err(rename::send_on(call, &key, rest));
    }
    let key = call.repository_key(owner, name, Permission::Read)?;
    if let Some(grant) = &call.grant {
        grant.require(call.method, rest)?;
    }
    if call.method != "GET" {
        call.actor()?;
        if call.repository(&key).archived && !rest.is_empty() {
            return Err(refuse(403, "Repository was archived so is read-only."));
        }
    }
    match (call.method, rest) {
        ("GET", []) => repos::get(call, &key),
        ("PATCH", []) => repos::update(call, &key),
        ("DELETE", []) => repos::delete(call, &key),
        ("POST", ["forks"]) => repos::fork(call, &key),
        ("POST", ["merge-upstream"]) => repos::sync_fork(call, &key),
        ("GET", ["activity"]) => repos::activity(call, &key),
        ("GET", ["collaborators"]) => repos::collaborators(call, &key),
        ("GET", ["collaborators", login]) => repos::is_collaborator(call, &key, login),
        ("PUT", ["collaborators", login]) => repos::add_collaborator(call, &key, login),
        ("DELETE", ["collaborators", login]) => repos::remove_collaborator(call, &key, login),
        ("GET", ["collaborators", login, "permission"]) => repos::permission(call, &key, login),
        ("GET", ["branches"]) => repos::branches(call, &key),
        ("POST", ["branches", branch @ .., "rename"]) => rename::branch(call, &key, &branch.join("/")),
        (_, ["branches", branch @ .., "protection"]) => repos::protection(call, &key, &branch.join("/")),
        ("GET", ["branches", branch @ ..]) => repos::branch(call, &key, &branch.join("/")),
        ("GET", ["teams"]) => teams::of_repository(call, &key),

        ("GET", ["git", "ref", reference @ ..]) => git::reference(call, &key, &reference.join("/")),
        ("GET", ["git", "matching-refs", prefix @ ..]) => git::matching(call, &key, &prefix.join("/")),
        ("POST", ["git", "refs"]) => git::create_reference(call, &key),
        ("PATCH", ["git", "refs", reference @ ..]) => git::update_reference(call, &key, &reference.join("/")),
        ("DELETE", ["git", "refs", reference @ ..]) => {
            git::delete_reference(call, &key, &reference.join("/"))
        }
        ("POST", ["git", "blobs"]) => git::create_blob(call, &key),
        ("GET", ["git", "blobs", sha]) => git::blob(call, &key, sha),
        ("POST", ["git", "trees"]) => git::create_tree(call, &key),
        ("GET", ["git", "trees", name @ ..]) => git::tree(call, &key, &name.join("/")),
        ("POST", ["git", "commits"]) => git::create_commit(call, &key),
        ("GET", ["git", "commits", sha]) => git::commit(call, &key, sha),

        ("GET", ["contents", path @ ..]) => contents::get(call, &key, &path.join("/")),
        ("PUT", ["contents", path @ ..]) => contents::put(call, &key, &path.join("/")),
        ("DELETE", ["contents", path @ ..]) => contents::delete(call, &key, &path.join("/")),
        ("GET", ["compare", basehead @ ..]) => commits::compare(call, &key, &basehead.join("/")),
        ("GET", ["commits"]) => commits::list(call, &key),
        ("GET", ["commits", sha, "pulls"]) => commits::pulls(call, &key, sha),
        ("GET", ["commits", name @ .., "check-runs"]) => checks::of_commit(call, &key, &name.join("/")),
        ("GET", ["commits", name @ .., "check-suites"]) => checks::suites(call, &key, &name.join("/")),
        ("GET", ["commits", name @ .., "status"]) => checks::combined(call, &key, &name.join("/")),
        ("GET", ["commits", name @ .., "statuses"]) => checks::statuses(call, &key, &name.join("/")),
        ("GET", ["commits", name @ ..]) => commits::get(call, &key, &name.join("/")),

        ("GET", ["labels"]) => labels::list(call, &key),
        ("POST", ["labels"]) => labels::create(call, &key),
        ("GET", ["labels", label]) => labels::get(call, &key, label),
        ("PATCH", ["labels", label]) => labels::update(call, &key, label),
        ("DELETE", ["labels", label]) => labels::delete(call, &key, label),

        ("GET", ["issues"]) => issues::list(call, &key),
        ("POST", ["issues"]) => issues::create(call, &key),
        ("GET", ["issues", "comments"]) => issues::all_comments(call, &key),
        ("GET", ["issues", "comments", id]) => issues::comment(call, &key, number(id)?),
        ("PATCH", ["issues", "comments", id]) => issues::update_comment(call, &key, number(id)?),
        ("DELETE", ["issues", "comments", id]) => issues::delete_comment(call, &key, number(id)?),
        ("GET", ["issues", issue]) => issues::get(call, &key, number(issue)?),
        ("PATCH", ["issues", issue]) => issues::update(call, &key, number(issue)?),
        ("PUT", ["issues", issue, "lock"]) => issues::lock(call, &key, number(issue)?, true),
        ("DELETE", ["issues", issue, "lock"]) => issues::lock(call, &key, number(issue)?, false),
        ("GET", ["issues", issue, "comments"]) => issues::comments(call, &key, number(issue)?),
        ("POST", ["issues", issue, "comments"]) => issues::add_comment(call, &key, number(issue)?),
        ("GET", ["issues", issue, "events"]) => issues::events(call, &key, number(issue)?),
        (_, ["issues", issue, "labels", rest @ ..]) => labels::of_issue(call, &key, number(issue)?, rest),
        (_, ["issues", issue, "assignees"]) => issues::assignees(call, &key, number(issue)?),

        ("GET", ["pulls"]) => pulls::list(call, &key),
        ("POST", ["pulls"]) => pulls::create(call, &key),
        ("GET", ["pulls", pull]) => pulls::get(call, &key, number(pull)?),
        ("PATCH", ["pulls", pull]) => pulls::update(call, &key, number(pull)?),
        ("GET", ["pulls", pull, "files"]) => pulls::files(call, &key, number(pull)?),
        ("GET", ["pulls", pull, "commits"]) => pulls::commits(call, &key, number(pull)?),
        ("GET", ["pulls", pull, "merge"]) => merge::is_merged(call, &key, number(pull)?),
        ("PUT", ["pulls", pull, "merge"]) => merge::merge(call, &key, number(pull)?),
        ("PUT", ["pulls", pull, "update-branch"]) => merge::update_branch(call, &key, number(pull)?),
        ("GET", ["pulls", pull, "reviews"]) => reviews::list(call, &key, number(pull)?),
        ("POST", ["pulls", pull, "reviews"]) => reviews::create(call, &key, number(pull)?),
        ("GET", ["pulls", pull, "reviews", id]) => reviews::get(call, &key, number(pull)?, number(id)?),
        ("PUT", ["pulls", pull, "reviews", id, "dismissals"]) => {
            reviews::dismiss(call, &key, number(pull)?, number(id)?)
        }
        ("GET", ["pulls", pull, "comments"]) => reviews::remarks(call, &key, number(pull)?),
        ("POST", ["pulls", pull, "comments"]) => reviews::remark(call, &key, number(pull)?, None),
        ("POST", ["pulls", pull, "comments", id, "replies"]) => {
            reviews::remark(call, &key, number(pull)?, Some(number(id)?))
        }
        ("GET", ["pulls", pull, "requested_reviewers"]) => reviews::requested(call, &key, number(pull)?),
        ("POST", ["pulls", pull, "requested_reviewers"]) => reviews::request(call, &key, number(pull)?, true),
        ("DELETE", ["pulls", pull, "requested_reviewers"]) => {
            reviews::request(call, &key, number(pull)?, false)
        }

        ("POST", ["statuses", sha]) => checks::create_status(call, &key, sha),
        ("POST", ["check-runs"]) => checks::create(call, &key),
        ("GET", ["check-runs", id]) => checks::get(call, &key, number(id)?),
        ("PATCH", ["check-runs", id]) => checks::update(call, &key, number(id)?),

        (_, ["rulesets" | "rules", ..]) if call.repository(&key).setup.no_rules => {
            Err(refuse(403, "Upgrade to GitHub Pro or make this repository public to enable this feature."))
        }
        (_, ["rulesets", rest @ ..]) => rulesets::route(call, &key, rest),
        ("GET", ["rules", "branches", branch @ ..]) => rulesets::of_branch(call, &key, &branch.join("/")),
        (_, ["environments", rest @ ..]) => environments::route(call, &key, rest),
        (_, ["actions", rest @ ..]) => actions::route(call, &key, rest),
        ("POST", ["dispatches"]) => actions::repository_dispatch(call, &key),
        ("GET", ["codeowners", "errors"]) => actions::codeowners_errors(call, &key),

        ("GET", ["hooks"]) => hooks::list(call, &key),
        ("POST", ["hooks"]) => hooks::create(call, &key),
        ("GET", ["hooks", id]) => hooks::get(call, &key, number(id)?),
        ("DELETE", ["hooks", id]) => hooks::delete(call, &key, number(id)?),
        _ => Err(not_found()),
    }
}
