//! What are the fields of issues and pull requests, and which of them are listed?

use jiff::Timestamp;
use serde_json::Value;

use super::resolve::{Answer, Thing, actor, connection, leaf, maybe_time, one, read_words, time, words};
use super::{Arguments, Walk};
use crate::local_forge::objects;
use crate::local_forge::render::node;
use crate::local_forge::store::{
    Comment, Edit, Event, EventKind, Issue, Organization, Pull, Repository, Review,
};

/// Sorts by `orderBy`; by creation, oldest first, where nothing is said.
fn order(list: &mut [&Issue], arguments: &Arguments) {
    let by = arguments.get("orderBy").cloned().unwrap_or_default();
    match by["field"].as_str() {
        Some("UPDATED_AT") => list.sort_by_key(|issue| issue.updated_at),
        Some("COMMENTS") => list.sort_by_key(|issue| issue.comments.len()),
        _ => list.sort_by_key(|issue| issue.created_at),
    }
    if by["direction"].as_str() == Some("DESC") {
        list.reverse();
    }
}

fn issue_state(issue: &Issue) -> &'static str {
    match &issue.pull {
        Some(Pull { merged: Some(_), .. }) => "MERGED",
        _ if issue.open => "OPEN",
        _ => "CLOSED",
    }
}

pub(super) fn issues<'a>(found: &'a Repository, arguments: &Arguments) -> Answer<'a> {
    let filter = arguments.get("filterBy").cloned().unwrap_or_default();
    let within = |name: &str| filter.get(name).filter(|value| !value.is_null());
    let states = words(arguments, "states").or_else(|| within("states").map(read_words));
    let labels = words(arguments, "labels").or_else(|| within("labels").map(read_words));
    let since = within("since").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let creator = within("createdBy").and_then(Value::as_str);
    let mut list: Vec<&Issue> = found
        .issues
        .values()
        .filter(|issue| issue.pull.is_none() && issue.gone.is_none())
        .filter(|issue| states.as_ref().is_none_or(|states| states.contains(&issue_state(issue))))
        .filter(|issue| {
            labels.as_ref().is_none_or(|wanted| wanted.iter().any(|name| issue.labels.contains(*name)))
        })
        .filter(|issue| since.is_none_or(|since| issue.updated_at >= since))
        .filter(|issue| creator.is_none_or(|login| issue.author == login))
        .collect();
    order(&mut list, arguments);
    connection(
        "IssueConnection",
        list.into_iter().map(|issue| Thing::Issue(found, issue)).collect(),
        arguments,
    )
}

pub(super) fn pulls<'a>(found: &'a Repository, arguments: &Arguments) -> Answer<'a> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let (states, labels) = (words(arguments, "states"), words(arguments, "labels"));
    let mut list: Vec<&Issue> = found
        .issues
        .values()
        .filter(|issue| {
            issue.pull.as_ref().is_some_and(|pull| {
                text("headRefName").is_none_or(|name| pull.head_branch == name)
                    && text("baseRefName").is_none_or(|name| pull.base_branch == name)
            })
        })
        .filter(|issue| states.as_ref().is_none_or(|states| states.contains(&issue_state(issue))))
        .filter(|issue| {
            labels.as_ref().is_none_or(|wanted| wanted.iter().any(|name| issue.labels.contains(*name)))
        })
        .collect();
    order(&mut list, arguments);
    pull_connection(found, list, arguments)
}

pub(super) fn pull_connection<'a>(
    found: &'a Repository,
    list: Vec<&'a Issue>,
    arguments: &Arguments,
) -> Answer<'a> {
    let things = list.into_iter().filter_map(|issue| Some(Thing::Pull(found, issue, issue.pull.as_ref()?)));
    connection("PullRequestConnection", things.collect(), arguments)
}

/// The fields that issues and pull requests share.
pub(super) fn issue_field<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    issue: &'a Issue,
    name: &str,
    arguments: &Arguments,
) -> Answer<'a> {
    // The first entry is the original text; what follows are edits.
    let last_edit = issue.edits.get(1..).and_then(<[Edit]>::last);
    match name {
        "author" => actor(walk, Some(&issue.author)),
        "body" => leaf(issue.body.clone().unwrap_or_default()),
        "closed" => leaf(!issue.open),
        "closedAt" => maybe_time(issue.closed_at),
        "createdAt" => time(issue.created_at),
        "updatedAt" => time(issue.updated_at),
        "lastEditedAt" => maybe_time(last_edit.map(|edit| edit.at)),
        "editor" => actor(walk, last_edit.map(|edit| edit.editor.as_str())),
        "databaseId" => leaf(issue.id),
        "id" => leaf(node(if issue.pull.is_some() { "PR" } else { "I" }, issue.id)),
        "locked" => leaf(issue.locked),
        "number" => leaf(issue.number),
        "state" => leaf(issue_state(issue)),
        "stateReason" => leaf(issue.state_reason.as_ref().map(|text| text.to_uppercase())),
        "title" => leaf(issue.title.as_str()),
        "url" => {
            let page = if issue.pull.is_some() { "pull" } else { "issues" };
            leaf(format!("{}/{}/{page}/{}", walk.call.shared.url, found.key(), issue.number))
        }
        "comments" => {
            let comments = issue.comments.iter().map(|comment| Thing::Comment(found, issue, comment));
            connection("IssueCommentConnection", comments.collect(), arguments)
        }
        "labels" => {
            let labels = issue.labels.iter().filter_map(|name| found.labels.get(name)).map(Thing::Label);
            connection("LabelConnection", labels.collect(), arguments)
        }
        "userContentEdits" => {
            let edits = issue.edits.iter().rev().map(Thing::Edit);
            connection("UserContentEditConnection", edits.collect(), arguments)
        }
        _ => {
            let wanted = words(arguments, "itemTypes");
            let shown = |event: &&Event| {
                let name = match event.kind {
                    EventKind::Closed => "CLOSED_EVENT",
                    EventKind::Reopened => "REOPENED_EVENT",
                    EventKind::Merged => "MERGED_EVENT",
                    EventKind::HeadRefForcePushed => "HEAD_REF_FORCE_PUSHED_EVENT",
                    EventKind::HeadRefDeleted => "HEAD_REF_DELETED_EVENT",
                    EventKind::RemovedFromMergeQueue => "REMOVED_FROM_MERGE_QUEUE_EVENT",
                    EventKind::ReviewDismissed { .. } => "REVIEW_DISMISSED_EVENT",
                };
                wanted.as_ref().is_none_or(|wanted| wanted.contains(&name))
            };
            let events = issue.events.iter().filter(shown).map(|event| Thing::Event(found, event)).collect();
            let type_name = match issue.pull {
                Some(_) => "PullRequestTimelineItemsConnection",
                None => "IssueTimelineItemsConnection",
            };
            connection(type_name, events, arguments)
        }
    }
}

pub(super) fn pull_field<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    issue: &'a Issue,
    pull: &'a Pull,
    name: &str,
    arguments: &Arguments,
) -> Answer<'a> {
    let call = walk.call;
    match name {
        "baseRefName" => leaf(pull.base_branch.as_str()),
        "baseRefOid" => leaf(pull.base.as_str()),
        "headRefName" => leaf(pull.head_branch.as_str()),
        "headRefOid" => leaf(pull.head.as_str()),
        "headRepository" => one(call.state.repositories.get(&pull.head_repository).map(Thing::Repository)),
        "isCrossRepository" => leaf(pull.head_repository != found.key()),
        "isDraft" => leaf(pull.draft),
        "merged" => leaf(pull.merged.is_some()),
        "mergedAt" => maybe_time(pull.merged.as_ref().map(|merged| merged.at)),
        "mergedBy" => actor(walk, pull.merged.as_ref().map(|merged| merged.by.as_str())),
        "mergeCommit" => {
            let id = pull.merged.as_ref().and_then(|merged| objects::oid(&merged.commit).ok());
            one(id.map(|id| Thing::Object(found, "Commit", id)))
        }
        "mergeable" => leaf(mergeable(walk, found, issue, pull)),
        "commits" => {
            let git = call.git(&found.key()).ok();
            let range = objects::oid(&pull.base).and_then(|base| Ok((base, objects::oid(&pull.head)?)));
            let ids = git
                .zip(range.ok())
                .and_then(|(git, (base, head))| objects::commits_between(&git, base, head).ok());
            let commits = ids.unwrap_or_default().into_iter().map(|id| Thing::PullCommit(found, id));
            connection("PullRequestCommitConnection", commits.collect(), arguments)
        }
        "reviews" => {
            let (states, author) =
                (words(arguments, "states"), arguments.get("author").and_then(Value::as_str));
            let reviews = pull.reviews.iter();
            let reviews = reviews
                .filter(|review| states.as_ref().is_none_or(|states| states.contains(&review.state.name())))
                .filter(|review| author.is_none_or(|login| review.author == login))
                .map(|review| Thing::Review(found, review));
            connection("PullRequestReviewConnection", reviews.collect(), arguments)
        }
        "reviewRequests" => {
            let owner: Option<&Organization> = call.state.organizations.get(&found.owner);
            let users = pull.requested_users.iter().map(|login| Thing::Actor(login));
            let teams =
                pull.requested_teams.iter().filter_map(|slug| owner?.teams.get(slug)).map(Thing::Team);
            let requests = users.chain(teams).map(|who| Thing::ReviewRequest(Box::new(who)));
            connection("ReviewRequestConnection", requests.collect(), arguments)
        }
        _ => issue_field(walk, found, issue, name, arguments),
    }
}

fn mergeable(walk: &Walk<'_>, found: &Repository, issue: &Issue, pull: &Pull) -> &'static str {
    if !issue.open {
        return "UNKNOWN";
    }
    let base = found.refs.get(&format!("refs/heads/{}", pull.base_branch));
    match &pull.mergeable {
        Some((head, known, answer)) if *head == pull.head && Some(known) == base => {
            if *answer {
                "MERGEABLE"
            } else {
                "CONFLICTING"
            }
        }
        _ => {
            walk.asked.borrow_mut().push((found.key(), issue.number));
            "UNKNOWN"
        }
    }
}

pub(super) fn review_field<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    review: &'a Review,
    name: &str,
) -> Answer<'a> {
    match name {
        "author" => actor(walk, Some(&review.author)),
        "body" => leaf(review.body.as_str()),
        "commit" => one(objects::oid(&review.commit).ok().map(|id| Thing::Object(found, "Commit", id))),
        "createdAt" | "submittedAt" => time(review.submitted_at),
        "databaseId" => leaf(review.id),
        "id" => leaf(node("PRR", review.id)),
        "state" => leaf(review.state.name()),
        _ => leaf(format!("{}/{}#pullrequestreview-{}", walk.call.shared.url, found.key(), review.id)),
    }
}

pub(super) fn comment_field<'a>(
    walk: &Walk<'a>,
    found: &Repository,
    issue: &Issue,
    comment: &'a Comment,
    name: &str,
) -> Answer<'a> {
    match name {
        "author" => actor(walk, Some(&comment.author)),
        "body" => leaf(comment.body.as_str()),
        "createdAt" => time(comment.created_at),
        "lastEditedAt" => maybe_time(comment.edited_at),
        "updatedAt" => time(comment.updated_at),
        "databaseId" => leaf(comment.id),
        "id" => leaf(node("IC", comment.id)),
        _ => leaf(format!(
            "{}/{}/issues/{}#issuecomment-{}",
            walk.call.shared.url,
            found.key(),
            issue.number,
            comment.id
        )),
    }
}
