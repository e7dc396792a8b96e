//! What does a merge queue do?
//!
//! Where a ruleset says `merge_queue`, pull requests are put into a line. For each the forge makes a branch
//! `gh-readonly-queue/BASE/pr-N-SHA` with what the base would become after all that wait before it, and tells of it by `merge_group`.
//! Whoever fails a required check there, conflicts, or is pushed to leaves the line, and what stood behind it is made anew; whose checks
//! are green and who is first moves the base to that commit.
//! <https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/configuring-pull-request-merges/managing-a-merge-queue>

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::motion;
use super::objects::{self, Person};
use super::reply::{Call, Refusal};
use super::rules;
use super::store::{ActivityKind, Event, EventKind, Repository};

/// Who merges what waited.
const QUEUE: &str = "github-merge-queue[bot]";

/// A pull request that waits.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) id: u64,
    pub(crate) number: u64,
    /// The head that was put there.
    pub(crate) pinned: String,
    pub(crate) enqueuer: String,
    pub(crate) at: Timestamp,
    /// What it is tried as, once that is made.
    pub(crate) group: Option<Group>,
}

/// A commit that tries a pull request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) base: String,
    pub(crate) head: String,
    pub(crate) branch: String,
}

/// How merges into a branch go through a queue, if they do.
pub(crate) fn of_branch<'a>(repository: &'a Repository, branch: &str) -> Option<&'a Value> {
    let mut rules = rules::of_branch(repository, branch).flat_map(|ruleset| &ruleset.rules);
    rules.find(|rule| rule["type"] == "merge_queue")
}

/// Puts a pull request into the queue of its base.
///
/// # Errors
/// Why the queue does not take it.
pub(crate) fn enqueue(call: &mut Call<'_>, key: &str, number: u64, head: Option<&str>) -> Result<(), String> {
    let repository = call.repository(key);
    let issue = &repository.issues[&number];
    let Some(pull) = &issue.pull else { return Err("it is no pull request".to_owned()) };
    let branch = pull.base_branch.clone();
    if of_branch(repository, &branch).is_none() {
        return Err("Pull request's base branch has no merge queue".to_owned());
    }
    if !issue.open || pull.draft {
        return Err("Pull request is not mergeable".to_owned());
    }
    if head.is_some_and(|head| head != pull.head) {
        return Err("Head sha didn't match expected head sha".to_owned());
    }
    if repository.queues.get(&branch).into_iter().flatten().any(|waiting| waiting.number == number) {
        return Err("Pull request is already in the queue".to_owned());
    }
    if let Some((_, words)) = checks(call, key, &branch, &pull.head).into_iter().next() {
        return Err(words);
    }
    let pinned = pull.head.clone();
    let enqueuer = call.actor.clone().unwrap_or_default();
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let waiting = Waiting { id, number, pinned, enqueuer, at, group: None };
    call.repository_mut(key).queues.entry(branch).or_default().push(waiting);
    Ok(())
}

/// The required checks that a commit has not passed: whether each has failed, and GitHub's words.
fn checks(call: &Call<'_>, key: &str, branch: &str, commit: &str) -> Vec<(bool, String)> {
    let repository = call.repository(key);
    let required = rules::of_branch(repository, branch)
        .flat_map(|ruleset| &ruleset.rules)
        .filter(|rule| rule["type"] == "required_status_checks")
        .flat_map(|rule| rule["parameters"]["required_status_checks"].as_array().into_iter().flatten());
    required
        .filter_map(|check| {
            let (context, app) =
                (check["context"].as_str().unwrap_or_default(), check["integration_id"].as_u64());
            rules::missing_check(call.state, repository, commit, context, app)
        })
        .map(|words| (words.ends_with("failing."), words))
        .collect()
}

/// Lets every queue do what it does by itself.
pub(crate) fn settle(call: &mut Call<'_>) -> Result<(), Refusal> {
    let queues: Vec<(String, String)> = call
        .state
        .repositories
        .iter()
        .flat_map(|(key, repository)| {
            let waited = repository.queues.iter().filter(|(_, queue)| !queue.is_empty());
            waited.map(|(branch, _)| (key.clone(), branch.clone()))
        })
        .collect();
    if queues.is_empty() {
        return Ok(());
    }
    let actor = call.actor.replace(QUEUE.to_owned());
    let settled = queues.iter().try_for_each(|(key, branch)| {
        while step(call, key, branch)? {}
        Ok(())
    });
    call.actor = actor;
    settled
}

/// Does one thing; false when nothing is to be done.
fn step(call: &mut Call<'_>, key: &str, branch: &str) -> Result<bool, Refusal> {
    let repository = call.repository(key);
    let queue = repository.queues.get(branch).cloned().unwrap_or_default();
    let rule = of_branch(repository, branch).cloned();
    let Some(main) = repository.refs.get(&format!("refs/heads/{branch}")).cloned() else { return Ok(false) };
    let mut base = main.clone();
    for (at, waiting) in queue.iter().enumerate() {
        let issue = &call.repository(key).issues[&waiting.number];
        let fits = issue.open
            && issue
                .pull
                .as_ref()
                .is_some_and(|pull| !pull.draft && pull.head == waiting.pinned && pull.base_branch == branch);
        let Some(rule) = rule.as_ref().filter(|_| fits) else {
            return throw_out(call, key, branch, at, "dequeued");
        };
        let group = match &waiting.group {
            Some(group) if group.base == base => group.clone(),
            _ => return try_on(call, key, branch, at, &base, rule),
        };
        let missing = checks(call, key, branch, &group.head);
        if missing.iter().any(|(failed, _)| *failed) {
            return throw_out(call, key, branch, at, "invalidated");
        }
        if missing.is_empty() && base == main {
            land(call, key, branch, at, &group)?;
            return Ok(true);
        }
        base = group.head;
    }
    Ok(false)
}

/// Makes the commit that tries a pull request, and tells of it.
fn try_on(
    call: &mut Call<'_>,
    key: &str,
    branch: &str,
    at: usize,
    base: &str,
    rule: &Value,
) -> Result<bool, Refusal> {
    forget_group(call, key, branch, at, "invalidated")?;
    let waiting = &call.repository(key).queues[branch][at];
    let (number, pinned) = (waiting.number, waiting.pinned.clone());
    let title = call.repository(key).issues[&number].title.clone();
    let now = call.state.stamp();
    let git = call.git(key)?;
    let (base_id, head_id) = (objects::oid(base)?, objects::oid(&pinned)?);
    let committer = Person::github().sign(now)?;
    let author =
        Person { name: QUEUE.to_owned(), email: format!("{QUEUE}@users.noreply.github.com") }.sign(now)?;
    let tree = objects::merge(&git, base_id, head_id)?;
    let commit = match (rule["parameters"]["merge_method"].as_str(), tree) {
        (_, None) => None,
        (Some("REBASE"), _) => objects::rebase(&git, base_id, head_id, &committer)?,
        (Some("SQUASH"), Some(tree)) => {
            let message = format!("{title} (#{number})");
            Some(objects::write_commit(&git, tree, &[base_id], &message, &author, &committer)?)
        }
        (_, Some(tree)) => {
            let message = format!("Merge pull request #{number}\n\n{title}");
            Some(objects::write_commit(&git, tree, &[base_id, head_id], &message, &author, &committer)?)
        }
    };
    let Some(commit) = commit else { return throw_out(call, key, branch, at, "invalidated") };
    let group = Group {
        base: base.to_owned(),
        head: commit.to_string(),
        branch: format!("gh-readonly-queue/{branch}/pr-{number}-{base}"),
    };
    motion::set(call, key, &format!("refs/heads/{}", group.branch), Some(&group.head), None)?;
    tell(call, key, branch, &group, "checks_requested", None);
    if let Some(waiting) = call.repository_mut(key).queues.get_mut(branch).and_then(|queue| queue.get_mut(at))
    {
        waiting.group = Some(group);
    }
    Ok(true)
}

/// A commit that is tried no more.
fn forget_group(call: &mut Call<'_>, key: &str, branch: &str, at: usize, why: &str) -> Result<(), Refusal> {
    let waiting = call.repository_mut(key).queues.get_mut(branch).and_then(|queue| queue.get_mut(at));
    let Some(group) = waiting.and_then(|waiting| waiting.group.take()) else { return Ok(()) };
    tell(call, key, branch, &group, "destroyed", Some(why));
    let reference = format!("refs/heads/{}", group.branch);
    if call.repository(key).refs.contains_key(&reference) {
        motion::set(call, key, &reference, None, None)?;
    }
    Ok(())
}

fn throw_out(call: &mut Call<'_>, key: &str, branch: &str, at: usize, why: &str) -> Result<bool, Refusal> {
    forget_group(call, key, branch, at, why)?;
    let (id, now) = (call.state.next_id(), call.state.stamp());
    let actor = call.actor.clone();
    let repository = call.repository_mut(key);
    let gone = repository.queues.get_mut(branch).map(|queue| queue.remove(at));
    if let Some(issue) = gone.and_then(|gone| repository.issues.get_mut(&gone.number)) {
        issue.updated_at = now;
        issue.events.push(Event { id, kind: EventKind::RemovedFromMergeQueue, actor, at: now });
    }
    Ok(true)
}

/// The base moves to what was tried.
fn land(call: &mut Call<'_>, key: &str, branch: &str, at: usize, group: &Group) -> Result<(), Refusal> {
    let landed = call.repository_mut(key).queues.get_mut(branch).map(|queue| queue.remove(at));
    let Some(landed) = landed else { return Ok(()) };
    let rebased = {
        let git = call.git(key)?;
        objects::commits_between(&git, objects::oid(&group.base)?, objects::oid(&group.head)?)?
    };
    motion::merged(call, key, landed.number, QUEUE, &group.head);
    let pull = call.repository_mut(key).issues.get_mut(&landed.number).and_then(|issue| issue.pull.as_mut());
    if let Some(merged) = pull.and_then(|pull| pull.merged.as_mut()) {
        merged.rebased = rebased.iter().map(ToString::to_string).filter(|id| *id != landed.pinned).collect();
    }
    let main = format!("refs/heads/{branch}");
    motion::set(call, key, &main, Some(&group.head), Some(ActivityKind::MergeQueueMerge))?;
    tell(call, key, branch, group, "destroyed", Some("merged"));
    motion::set(call, key, &format!("refs/heads/{}", group.branch), None, None)
}

/// <https://docs.github.com/webhooks/webhook-events-and-payloads#merge_group>
fn tell(call: &mut Call<'_>, key: &str, branch: &str, group: &Group, action: &str, why: Option<&str>) {
    motion::tell(call, key, "merge_group", |call| {
        let git = call.git(key).ok();
        let id = objects::oid(&group.head).ok();
        let commit = git.as_ref().zip(id).and_then(|(git, id)| git.find_commit(id).ok());
        let shown = commit.map_or(Value::Null, |commit| {
            json!({
                "id": group.head, "tree_id": commit.tree_id().to_string(), "message": objects::message(&commit),
                "timestamp": jiff::Timestamp::from_second(commit.time().seconds()).map(|at| at.to_string()).unwrap_or_default(),
                "author": { "name": QUEUE, "email": null }, "committer": { "name": "GitHub", "email": "noreply@github.com" },
            })
        });
        let mut told = json!({ "action": action, "merge_group": {
            "head_sha": group.head, "head_ref": format!("refs/heads/{}", group.branch),
            "base_sha": group.base, "base_ref": format!("refs/heads/{branch}"), "head_commit": shown,
        }});
        if let Some(why) = why {
            told["reason"] = why.into();
        }
        told
    });
}
