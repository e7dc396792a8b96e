//! Issues and the comments under issues and pull requests.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::labels;
use crate::local_forge::motion::{close, tell, tell_issue, tell_pull};
use crate::local_forge::render::node;
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, invalid, not_found, ok, refuse};
use crate::local_forge::store::{Comment, Edit, Event, EventKind, Gone, Issue, Permission};

/// Longer bodies and comments are refused by GitHub.
const LONGEST_TEXT: usize = 65_536;

pub(crate) fn find<'a>(call: &'a Call<'_>, key: &str, number: u64) -> Result<&'a Issue, Refusal> {
    let issue = call.repository(key).issues.get(&number).ok_or_else(not_found)?;
    match &issue.gone {
        None => Ok(issue),
        Some(Gone::Deleted) => Err(refuse(410, "This issue was deleted")),
        Some(Gone::MovedTo { repository, number }) => {
            let url = call.view().api(&format!("repos/{repository}/issues/{number}"));
            let mut moved = refuse(301, "Moved Permanently");
            moved.0.headers.push(("location", url));
            Err(moved)
        }
    }
}

fn find_mut<'a>(call: &'a mut Call<'_>, key: &str, number: u64) -> Result<&'a mut Issue, Refusal> {
    find(call, key, number)?;
    call.repository_mut(key).issues.get_mut(&number).ok_or_else(not_found)
}

pub(crate) fn check_length(resource: &str, text: &str) -> Result<(), Refusal> {
    if text.chars().count() > LONGEST_TEXT {
        let message = format!("body is too long (maximum is {LONGEST_TEXT} characters)");
        return Err(invalid(resource, "body", "custom", Some(&message)));
    }
    Ok(())
}

pub(crate) fn list(call: &Call<'_>, key: &str) -> Answer {
    let repository = call.repository(key);
    let state = call.parameter("state").unwrap_or("open");
    let wanted: Vec<&str> = call
        .parameter("labels")
        .into_iter()
        .flat_map(|text| text.split(','))
        .filter(|name| !name.is_empty())
        .collect();
    let since = call.parameter("since").and_then(|text| text.parse::<Timestamp>().ok());
    let mut found: Vec<&Issue> = repository
        .issues
        .values()
        .filter(|issue| issue.gone.is_none())
        .filter(|issue| state == "all" || issue.open == (state == "open"))
        .filter(|issue| wanted.iter().all(|name| issue.labels.contains(*name)))
        .filter(|issue| since.is_none_or(|since| issue.updated_at >= since))
        .filter(|issue| call.parameter("creator").is_none_or(|login| issue.author == login))
        .collect();
    match call.parameter("sort") {
        Some("updated") => found.sort_by_key(|issue| issue.updated_at),
        Some("comments") => found.sort_by_key(|issue| issue.comments.len()),
        _ => found.sort_by_key(|issue| issue.created_at),
    }
    if call.parameter("direction") != Some("asc") {
        found.reverse();
    }
    let view = call.view();
    call.page(&found, |issue| view.issue(repository, issue))
}

pub(crate) fn new_issue(
    call: &mut Call<'_>,
    key: &str,
    title: String,
    body: Option<String>,
) -> Result<Issue, Refusal> {
    let author = call.actor()?;
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let repository = call.repository_mut(key);
    repository.last_number += 1;
    Ok(Issue {
        id,
        number: repository.last_number,
        title,
        body,
        author,
        open: true,
        state_reason: None,
        labels: std::collections::BTreeSet::new(),
        assignees: std::collections::BTreeSet::new(),
        locked: false,
        lock_reason: None,
        comments: Vec::new(),
        created_at: at,
        updated_at: at,
        closed_at: None,
        closed_by: None,
        edits: Vec::new(),
        events: Vec::new(),
        gone: None,
        pull: None,
    })
}

pub(crate) fn create(call: &mut Call<'_>, key: &str) -> Answer {
    if !call.repository(key).setup.has_issues {
        return Err(refuse(410, "Issues are disabled for this repo"));
    }
    let title = call.needed("Issue", "title")?;
    let body = call.text("body").map(str::to_owned);
    check_length("Issue", body.as_deref().unwrap_or_default())?;
    let names = call.names("labels").unwrap_or_default();
    let assignees = call.names("assignees").unwrap_or_default();
    let mut issue = new_issue(call, key, title, body)?;
    // Who may not label has the wish dropped in silence, as on GitHub.
    if call.require(key, Permission::Triage).is_ok() {
        labels::ensure(call, key, &names);
        issue.labels = names.into_iter().collect();
        issue.assignees = assignees.into_iter().collect();
    }
    let number = issue.number;
    call.repository_mut(key).issues.insert(number, issue);
    tell_issue(call, key, number, "opened");
    created(call.view().issue(call.repository(key), &call.repository(key).issues[&number]))
}

pub(crate) fn get(call: &Call<'_>, key: &str, number: u64) -> Answer {
    ok(call.view().issue(call.repository(key), find(call, key, number)?))
}

/// Changes title and body, keeping who edited the body.
pub(crate) fn edit(call: &mut Call<'_>, key: &str, number: u64) -> Result<(), Refusal> {
    let actor = call.actor()?;
    let (title, body) = (call.text("title").map(str::to_owned), call.text("body").map(str::to_owned));
    check_length("Issue", body.as_deref().unwrap_or_default())?;
    let at = call.state.stamp();
    let issue = find_mut(call, key, number)?;
    issue.updated_at = at;
    let renamed = title.is_some_and(|title| std::mem::replace(&mut issue.title, title.clone()) != title);
    let rewritten = body.is_some() && body != issue.body;
    let is_pull = issue.pull.is_some();
    if rewritten {
        // The first version counts as an edit by its author, once there is a second.
        if issue.edits.is_empty() {
            issue.edits.push(Edit { editor: issue.author.clone(), at: issue.created_at });
        }
        issue.edits.push(Edit { editor: actor, at });
        issue.body = body;
    }
    match (renamed || rewritten, is_pull) {
        (true, true) => tell_pull(call, key, number, "edited"),
        (true, false) => tell_issue(call, key, number, "edited"),
        (false, _) => {}
    }
    Ok(())
}

pub(crate) fn update(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    let actor = call.actor()?;
    let issue = find(call, key, number)?;
    if issue.author != actor {
        call.require(key, Permission::Triage)?;
    }
    let is_pull = issue.pull.is_some();
    let merged = issue.pull.as_ref().is_some_and(|pull| pull.merged.is_some());
    edit(call, key, number)?;
    if call.require(key, Permission::Triage).is_ok() {
        if let Some(names) = call.names("labels") {
            labels::ensure(call, key, &names);
            find_mut(call, key, number)?.labels = names.into_iter().collect();
        }
        if let Some(names) = call.names("assignees") {
            find_mut(call, key, number)?.assignees = names.into_iter().collect();
        }
    }
    let reason = call.text("state_reason").map(str::to_owned);
    match call.text("state") {
        Some("closed") => close(call, key, number, reason.filter(|_| !is_pull))?,
        Some("open") if merged => return Err(refuse(422, "Cannot reopen a merged pull request")),
        Some("open") => reopen(call, key, number)?,
        _ => {}
    }
    get(call, key, number)
}

pub(crate) fn reopen(call: &mut Call<'_>, key: &str, number: u64) -> Result<(), Refusal> {
    let actor = call.actor.clone();
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let issue = find_mut(call, key, number)?;
    if issue.open {
        return Ok(());
    }
    let is_pull = issue.pull.is_some();
    issue.open = true;
    issue.closed_at = None;
    issue.closed_by = None;
    issue.updated_at = at;
    issue.state_reason = (!is_pull).then(|| "reopened".to_owned());
    issue.events.push(Event { id, kind: EventKind::Reopened, actor, at });
    if is_pull {
        tell_pull(call, key, number, "reopened");
    } else {
        tell_issue(call, key, number, "reopened");
    }
    Ok(())
}

pub(crate) fn lock(call: &mut Call<'_>, key: &str, number: u64, locked: bool) -> Answer {
    call.require(key, Permission::Write)?;
    let reason = call.text("lock_reason").map(str::to_owned);
    let at = call.state.stamp();
    let issue = find_mut(call, key, number)?;
    issue.locked = locked;
    issue.lock_reason = reason.filter(|_| locked);
    issue.updated_at = at;
    tell_issue(call, key, number, if locked { "locked" } else { "unlocked" });
    Ok(Reply::empty())
}

pub(crate) fn assignees(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    call.require(key, Permission::Triage)?;
    let names = call.names("assignees").unwrap_or_default();
    let adds = call.method == "POST";
    let issue = find_mut(call, key, number)?;
    if adds {
        issue.assignees.extend(names);
    } else {
        issue.assignees.retain(|login| !names.contains(login));
    }
    let shown = call.view().issue(call.repository(key), find(call, key, number)?);
    Ok(Reply::json(if adds { 201 } else { 200 }, shown))
}

pub(crate) fn events(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let issue = find(call, key, number)?;
    let view = call.view();
    call.page(&issue.events.iter().collect::<Vec<_>>(), |event| {
        let name = match event.kind {
            EventKind::Closed => "closed",
            EventKind::Reopened => "reopened",
            EventKind::Merged => "merged",
            EventKind::HeadRefForcePushed => "head_ref_force_pushed",
            EventKind::HeadRefDeleted => "head_ref_deleted",
            EventKind::RemovedFromMergeQueue => "removed_from_merge_queue",
            EventKind::ReviewDismissed { .. } => "review_dismissed",
        };
        json!({
            "id": event.id, "node_id": node("EV", event.id), "event": name, "commit_id": null, "commit_url": null,
            "url": view.api(&format!("repos/{key}/issues/events/{}", event.id)),
            "actor": event.actor.as_deref().map_or(Value::Null, |login| view.user(login)), "created_at": event.at,
            "performed_via_github_app": null,
        })
    })
}

pub(crate) fn comments(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let since = call.parameter("since").and_then(|text| text.parse::<Timestamp>().ok());
    let issue = find(call, key, number)?;
    let found: Vec<&Comment> = issue
        .comments
        .iter()
        .filter(|comment| since.is_none_or(|since| comment.updated_at >= since))
        .collect();
    let view = call.view();
    call.page(&found, |comment| view.comment(call.repository(key), number, comment))
}

pub(crate) fn all_comments(call: &Call<'_>, key: &str) -> Answer {
    let since = call.parameter("since").and_then(|text| text.parse::<Timestamp>().ok());
    let issues = call.repository(key).issues.values().filter(|issue| issue.gone.is_none());
    let mut found: Vec<(u64, &Comment)> = issues
        .flat_map(|issue| issue.comments.iter().map(|comment| (issue.number, comment)))
        .filter(|(_, comment)| since.is_none_or(|since| comment.updated_at >= since))
        .collect();
    found.sort_by_key(|(_, comment)| comment.id);
    let view = call.view();
    call.page(&found, |(number, comment)| view.comment(call.repository(key), *number, comment))
}

pub(crate) fn add_comment(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    let author = call.actor()?;
    let body = call.needed("IssueComment", "body")?;
    check_length("IssueComment", &body)?;
    if body.trim().is_empty() {
        return Err(invalid("IssueComment", "body", "missing_field", None));
    }
    if find(call, key, number)?.locked && call.require(key, Permission::Write).is_err() {
        return Err(refuse(403, "Unable to create comment because issue is locked."));
    }
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let comment = Comment { id, author, body, created_at: at, updated_at: at, edited_at: None };
    let issue = find_mut(call, key, number)?;
    issue.comments.push(comment.clone());
    issue.updated_at = at;
    let shown = call.view().comment(call.repository(key), number, &comment);
    tell_comment(call, key, number, "created", &shown);
    created(shown)
}

fn tell_comment(call: &mut Call<'_>, key: &str, number: u64, action: &str, comment: &Value) {
    tell(call, key, "issue_comment", |call| {
        let issue = call.view().issue(call.repository(key), &call.repository(key).issues[&number]);
        json!({"action": action, "issue": issue, "comment": comment})
    });
}

fn find_comment<'a>(call: &'a Call<'_>, key: &str, id: u64) -> Result<(u64, &'a Comment), Refusal> {
    let number = call.repository(key).issue_of_comment(id).ok_or_else(not_found)?;
    let comment =
        find(call, key, number)?.comments.iter().find(|comment| comment.id == id).ok_or_else(not_found)?;
    Ok((number, comment))
}

pub(crate) fn comment(call: &Call<'_>, key: &str, id: u64) -> Answer {
    let (number, comment) = find_comment(call, key, id)?;
    ok(call.view().comment(call.repository(key), number, comment))
}

pub(crate) fn update_comment(call: &mut Call<'_>, key: &str, id: u64) -> Answer {
    let body = call.needed("IssueComment", "body")?;
    check_length("IssueComment", &body)?;
    let (number, comment) = find_comment(call, key, id)?;
    if Some(&comment.author) != call.actor.as_ref() {
        call.require(key, Permission::Write)?;
    }
    let at = call.state.stamp();
    let issue = find_mut(call, key, number)?;
    issue.updated_at = at;
    let comment = issue.comments.iter_mut().find(|comment| comment.id == id).ok_or_else(not_found)?;
    comment.body = body;
    comment.updated_at = at;
    comment.edited_at = Some(at);
    let comment = comment.clone();
    let shown = call.view().comment(call.repository(key), number, &comment);
    tell_comment(call, key, number, "edited", &shown);
    ok(shown)
}

pub(crate) fn delete_comment(call: &mut Call<'_>, key: &str, id: u64) -> Answer {
    let (number, comment) = find_comment(call, key, id)?;
    if Some(&comment.author) != call.actor.as_ref() {
        call.require(key, Permission::Write)?;
    }
    let shown = call.view().comment(call.repository(key), number, comment);
    let at = call.state.stamp();
    let issue = find_mut(call, key, number)?;
    issue.updated_at = at;
    issue.comments.retain(|comment| comment.id != id);
    tell_comment(call, key, number, "deleted", &shown);
    Ok(Reply::empty())
}
