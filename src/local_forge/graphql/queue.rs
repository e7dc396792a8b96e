//! What are the fields of a merge queue and of what waits in it?

use serde_json::Value;

use super::resolve::{Answer, Thing, actor, connection, leaf, one, time};
use super::{Arguments, Walk};
use crate::local_forge::objects;
use crate::local_forge::queue::{Waiting, of_branch};
use crate::local_forge::render::node;
use crate::local_forge::store::Repository;

/// The queue of a branch, where merges go through one.
pub(super) fn of_repository<'a>(found: &'a Repository, arguments: &Arguments) -> Answer<'a> {
    let wanted = arguments.get("branch").and_then(Value::as_str).unwrap_or(&found.default_branch);
    let mut branches = found.refs.keys().filter_map(|name| name.strip_prefix("refs/heads/"));
    let branch = branches.find(|name| *name == wanted).filter(|branch| of_branch(found, branch).is_some());
    one(branch.map(|branch| Thing::Queue(found, branch)))
}

pub(super) fn queue_field<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    branch: &'a str,
    name: &str,
    arguments: &Arguments,
) -> Answer<'a> {
    match name {
        "entries" => {
            let queue = found.queues.get(branch).into_iter().flatten();
            let things = (1..).zip(queue).map(|(at, waiting)| Thing::Waiting(found, at, waiting));
            connection("MergeQueueEntryConnection", things.collect(), arguments)
        }
        "url" => leaf(format!("{}/{}/queue/{branch}", walk.call.shared.url, found.key())),
        _ => leaf(node("MQ", found.id)),
    }
}

/// Where a pull request waits, if it does.
pub(super) fn entry_of<'a>(walk: &Walk<'a>, key: &str, number: u64) -> Answer<'a> {
    let found = walk.call.state.repositories.get(key);
    one(found.and_then(|found| {
        let mut all = found.queues.values().flat_map(|queue| (1..).zip(queue));
        let (at, waiting) = all.find(|(_, waiting)| waiting.number == number)?;
        Some(Thing::Waiting(found, at, waiting))
    }))
}

pub(super) fn entry_field<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    at: usize,
    waiting: &'a Waiting,
    name: &str,
) -> Answer<'a> {
    let commit = |id: Option<&String>| {
        one(id.and_then(|id| objects::oid(id).ok()).map(|id| Thing::Object(found, "Commit", id)))
    };
    match name {
        "position" => leaf(at),
        "enqueuedAt" => time(waiting.at),
        "enqueuer" => actor(walk, Some(&waiting.enqueuer)),
        "baseCommit" => commit(waiting.group.as_ref().map(|group| &group.base)),
        "headCommit" => commit(waiting.group.as_ref().map(|group| &group.head)),
        "jump" | "solo" => leaf(false),
        "state" => leaf(if waiting.group.is_some() { "AWAITING_CHECKS" } else { "QUEUED" }),
        "pullRequest" => {
            let issue = found.issues.get(&waiting.number);
            one(issue.and_then(|issue| Some(Thing::Pull(found, issue, issue.pull.as_ref()?))))
        }
        _ => leaf(node("MQE", waiting.id)),
    }
}
