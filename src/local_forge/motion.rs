//! What follows when a ref moves?
//!
//! Pushes, merges and the refs API all end here: the activity log, the pull requests whose
//! head or base it is, their reviews, and the webhooks.

use serde_json::json;

use super::objects::{self, EMPTY};
use super::reply::{Call, HookEvent, Refusal};
use super::store::{Activity, ActivityKind, Event, EventKind, Merged, State};

/// Notes where a ref is without any consequence.
pub(crate) fn remember(state: &mut State, key: &str, reference: &str, target: Option<&str>) {
    let repository = state.repositories.get_mut(key).expect("the repository exists");
    match target {
        Some(target) => drop(repository.refs.insert(reference.to_owned(), target.to_owned())),
        None => drop(repository.refs.remove(reference)),
    }
}

/// Moves, makes or deletes a ref and lets everything follow.
pub(crate) fn set(
    call: &mut Call<'_>,
    key: &str,
    reference: &str,
    target: Option<&str>,
    cause: Option<ActivityKind>,
) -> Result<(), Refusal> {
    let git = call.git(key)?;
    match target {
        Some(target) => drop(git.reference(reference, objects::oid(target)?, true, "forge")?),
        None => git.find_reference(reference)?.delete()?,
    }
    noticed(call, key, reference, target, cause)
}

/// Compares the repository with what was known and lets every difference follow.
pub(crate) fn notice_all(call: &mut Call<'_>, key: &str) -> Result<(), Refusal> {
    let now = objects::all_refs(&*call.git(key)?)?;
    let known = call.repository(key).refs.clone();
    for name in known.keys().filter(|name| !now.contains_key(*name)) {
        noticed(call, key, name, None, None)?;
    }
    for (name, target) in &now {
        if known.get(name) != Some(target) {
            noticed(call, key, name, Some(target), None)?;
        }
    }
    Ok(())
}

fn noticed(
    call: &mut Call<'_>,
    key: &str,
    reference: &str,
    after: Option<&str>,
    cause: Option<ActivityKind>,
) -> Result<(), Refusal> {
    let before = call.repository(key).refs.get(reference).cloned();
    if before.as_deref() == after {
        return Ok(());
    }
    remember(call.state, key, reference, after);
    let Some(branch) = reference.strip_prefix("refs/heads/") else {
        return Ok(());
    };
    let git = call.git(key)?;
    let forced = match (&before, after) {
        (Some(before), Some(after)) => {
            !objects::is_ancestor(&git, objects::oid(before)?, objects::oid(after)?)
        }
        _ => false,
    };
    let kind = cause.unwrap_or(match (&before, after) {
        (None, _) => ActivityKind::BranchCreation,
        (_, None) => ActivityKind::BranchDeletion,
        _ if forced => ActivityKind::ForcePush,
        _ => ActivityKind::Push,
    });
    let actor = call.actor.clone().unwrap_or_else(|| "ghost".to_owned());
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let before = before.unwrap_or_else(|| EMPTY.to_owned());
    let shown_after = after.unwrap_or(EMPTY).to_owned();
    tell(call, key, "push", |_| {
        json!({
            "ref": reference, "before": before, "after": shown_after, "forced": forced,
            "created": before == EMPTY, "deleted": shown_after == EMPTY,
        })
    });
    let repository = call.repository_mut(key);
    repository.pushed_at = at;
    repository.activity.push(Activity {
        id,
        reference: reference.to_owned(),
        before: before.clone(),
        after: shown_after,
        at,
        kind,
        actor: actor.clone(),
    });
    for (base_key, number) in
        open_pulls(call.state, |pull| pull.head_repository == key && pull.head_branch == branch)
    {
        head_moved(call, &base_key, number, after, forced)?;
    }
    let based = open_pulls(call.state, |pull| pull.base_branch == branch);
    let based: Vec<u64> =
        based.into_iter().filter(|(base_key, _)| base_key == key).map(|(_, number)| number).collect();
    let Some(after) = after else {
        return based.into_iter().try_for_each(|number| close(call, key, number, None));
    };
    let gained = objects::gained(&git, &before, after)?;
    for number in based {
        let pull = call.repository_mut(key).issues.get_mut(&number).and_then(|issue| issue.pull.as_mut());
        let pull = pull.expect("it was listed as a pull");
        pull.mergeable = None;
        // A head that arrives in its base by any road counts as merged by whoever pushed it.
        if gained.contains(&pull.head) {
            merged(call, key, number, &actor, after);
        }
    }
    Ok(())
}

fn open_pulls(state: &State, wanted: impl Fn(&super::store::Pull) -> bool) -> Vec<(String, u64)> {
    let issues = state
        .repositories
        .iter()
        .flat_map(|(key, repository)| repository.issues.values().map(move |issue| (key, issue)));
    issues
        .filter(|(_, issue)| issue.open && issue.pull.as_ref().is_some_and(&wanted))
        .map(|(key, issue)| (key.clone(), issue.number))
        .collect()
}

fn head_moved(
    call: &mut Call<'_>,
    key: &str,
    number: u64,
    after: Option<&str>,
    forced: bool,
) -> Result<(), Refusal> {
    let actor = call.actor.clone();
    let Some(after) = after else {
        let (id, at) = (call.state.next_id(), call.state.stamp());
        let issue = call.repository_mut(key).issues.get_mut(&number).expect("it was just listed");
        issue.events.push(Event { id, kind: EventKind::HeadRefDeleted, actor, at });
        return close(call, key, number, None);
    };
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let repository = call.repository_mut(key);
    let refs = repository.refs.clone();
    let issue = repository.issues.get_mut(&number).expect("it was just listed");
    issue.updated_at = at;
    if forced {
        issue.events.push(Event { id, kind: EventKind::HeadRefForcePushed, actor, at });
    }
    let pull = issue.pull.as_mut().expect("it was listed as a pull");
    after.clone_into(&mut pull.head);
    pull.mergeable = None;
    // GitHub points every review at the new head, so its commit is no evidence of what was read.
    for review in &mut pull.reviews {
        after.clone_into(&mut review.commit);
    }
    let base =
        refs.get(&format!("refs/heads/{}", pull.base_branch)).cloned().unwrap_or_else(|| pull.base.clone());
    pull.base.clone_from(&base);
    keep_head(call, key, number, after)?;
    let git = call.git(key)?;
    tell_pull(call, key, number, "synchronize");
    if objects::is_ancestor(&git, objects::oid(after)?, objects::oid(&base)?) {
        close(call, key, number, None)?;
    }
    Ok(())
}

/// Points `refs/pull/N/head` at the head, so that it survives its branch.
pub(crate) fn keep_head(call: &mut Call<'_>, key: &str, number: u64, head: &str) -> Result<(), Refusal> {
    let reference = format!("refs/pull/{number}/head");
    drop(call.git(key)?.reference(&reference, objects::oid(head)?, true, "forge")?);
    remember(call.state, key, &reference, Some(head));
    Ok(())
}

/// Marks a pull request as merged.
pub(crate) fn merged(call: &mut Call<'_>, key: &str, number: u64, by: &str, commit: &str) {
    let (id, at, closed) = (call.state.next_id(), call.state.stamp(), call.state.next_id());
    let issue = call.repository_mut(key).issues.get_mut(&number).expect("the pull exists");
    let actor = Some(by.to_owned());
    issue.open = false;
    issue.closed_at = Some(at);
    issue.closed_by.clone_from(&actor);
    issue.updated_at = at;
    issue.events.push(Event { id, kind: EventKind::Merged, actor: actor.clone(), at });
    issue.events.push(Event { id: closed, kind: EventKind::Closed, actor, at });
    let pull = issue.pull.as_mut().expect("the pull exists");
    pull.merged = Some(Merged { at, by: by.to_owned(), commit: commit.to_owned(), rebased: Vec::new() });
    tell_pull(call, key, number, "closed");
}

/// Closes an issue or a pull request.
pub(crate) fn close(
    call: &mut Call<'_>,
    key: &str,
    number: u64,
    reason: Option<String>,
) -> Result<(), Refusal> {
    let actor = call.actor.clone();
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let issue = call.repository_mut(key).issues.get_mut(&number).expect("it was just looked up");
    if !issue.open {
        return Ok(());
    }
    issue.open = false;
    issue.closed_at = Some(at);
    issue.closed_by.clone_from(&actor);
    issue.updated_at = at;
    issue.state_reason = reason.or_else(|| issue.pull.is_none().then(|| "completed".to_owned()));
    issue.events.push(Event { id, kind: EventKind::Closed, actor, at });
    let is_pull = issue.pull.is_some();
    if is_pull {
        tell_pull(call, key, number, "closed");
    } else {
        tell_issue(call, key, number, "closed");
    }
    Ok(())
}

pub(crate) fn tell_pull(call: &mut Call<'_>, key: &str, number: u64, action: &str) {
    tell(call, key, "pull_request", |call| {
        let view = call.view();
        let repository = call.repository(key);
        json!({"action": action, "number": number, "pull_request": view.pull_simple(repository, &repository.issues[&number])})
    });
}

pub(crate) fn tell_issue(call: &mut Call<'_>, key: &str, number: u64, action: &str) {
    tell(call, key, "issues", |call| {
        let repository = call.repository(key);
        json!({"action": action, "issue": call.view().issue(repository, &repository.issues[&number])})
    });
}

/// Queues a webhook event, if anybody listens.
pub(crate) fn tell(
    call: &mut Call<'_>,
    key: &str,
    name: &'static str,
    payload: impl FnOnce(&Call<'_>) -> serde_json::Value,
) {
    let repository = call.repository(key);
    let listens = |hook: &super::store::Hook| {
        hook.active && hook.events.iter().any(|event| event == name || event == "*")
    };
    if !repository.hooks.values().any(listens) {
        return;
    }
    let mut payload = payload(call);
    let view = call.view();
    payload["repository"] = view.repository_minimal(call.repository(key));
    payload["sender"] = view.user(call.actor.as_deref().unwrap_or("ghost"));
    call.events.push(HookEvent { repository: key.to_owned(), name, payload });
}
