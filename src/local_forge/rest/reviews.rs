//! Reviews, review requests and comments on lines.

use serde_json::{Value, json};

use super::pulls::{find_pull, pull_mut};
use crate::local_forge::motion::tell;
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, invalid, not_found, ok, refuse};
use crate::local_forge::store::{Event, EventKind, Permission, Remark, Review, ReviewState};

pub(crate) fn list(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let (_, pull) = find_pull(call, key, number)?;
    let view = call.view();
    call.page(&pull.reviews.iter().collect::<Vec<_>>(), |review| {
        view.review(call.repository(key), number, review)
    })
}

fn find_review<'a>(call: &'a Call<'_>, key: &str, number: u64, id: u64) -> Result<&'a Review, Refusal> {
    let (_, pull) = find_pull(call, key, number)?;
    pull.reviews.iter().find(|review| review.id == id).ok_or_else(not_found)
}

pub(crate) fn get(call: &Call<'_>, key: &str, number: u64, id: u64) -> Answer {
    ok(call.view().review(call.repository(key), number, find_review(call, key, number, id)?))
}

/// Anybody who can read may review, also after the merge; nobody judges their own pull request.
pub(crate) fn create(call: &mut Call<'_>, key: &str, number: u64) -> Answer {
    let author = call.actor()?;
    let (issue, pull) = find_pull(call, key, number)?;
    let own = issue.author == author;
    let locked = issue.locked;
    let commit = call.text("commit_id").unwrap_or(&pull.head).to_owned();
    let body = call.text("body").unwrap_or_default().to_owned();
    let state = match call.text("event") {
        Some("APPROVE") => ReviewState::Approved,
        Some("REQUEST_CHANGES") => ReviewState::ChangesRequested,
        Some("COMMENT") => ReviewState::Commented,
        _ => {
            return Err(invalid(
                "PullRequestReview",
                "event",
                "invalid",
                Some("the local forge keeps no pending reviews"),
            ));
        }
    };
    if own && state != ReviewState::Commented {
        let what = if state == ReviewState::Approved { "approve" } else { "request changes on" };
        return Err(refuse(
            422,
            format!("Unprocessable Entity: Review Can not {what} your own pull request"),
        ));
    }
    if body.is_empty() && state != ReviewState::Approved && call.body.get("comments").is_none() {
        return Err(refuse(422, "Unprocessable Entity: Review Body can't be blank"));
    }
    if locked && call.require(key, Permission::Write).is_err() {
        return Err(refuse(403, "Unable to review because the pull request is locked."));
    }
    let review = add(call, key, number, state, body, &commit)?;
    created(call.view().review(call.repository(key), number, &review))
        .map(|reply| Reply { status: 200, ..reply })
}

fn add(
    call: &mut Call<'_>,
    key: &str,
    number: u64,
    state: ReviewState,
    body: String,
    commit: &str,
) -> Result<Review, Refusal> {
    let author = call.actor()?;
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let review =
        Review { id, author: author.clone(), state, body, submitted_at: at, commit: commit.to_owned() };
    let pull = pull_mut(call, key, number)?;
    pull.reviews.push(review.clone());
    pull.requested_users.remove(&author);
    call.repository_mut(key).issues.get_mut(&number).ok_or_else(not_found)?.updated_at = at;
    tell_review(call, key, number, "submitted", id);
    Ok(review)
}

fn tell_review(call: &mut Call<'_>, key: &str, number: u64, action: &str, id: u64) {
    tell(call, key, "pull_request_review", |call| {
        let view = call.view();
        let repository = call.repository(key);
        let review = find_review(call, key, number, id).map(|review| view.review(repository, number, review));
        json!({
            "action": action, "review": review.unwrap_or_default(),
            "pull_request": view.pull_simple(repository, &repository.issues[&number]),
        })
    });
}

pub(crate) fn dismiss(call: &mut Call<'_>, key: &str, number: u64, id: u64) -> Answer {
    call.require(key, Permission::Write)?;
    call.needed("PullRequestReview", "message")?;
    let state = find_review(call, key, number, id)?.state;
    if !matches!(state, ReviewState::Approved | ReviewState::ChangesRequested) {
        return Err(refuse(422, "Can not dismiss a commented pull request review"));
    }
    let actor = Some(call.actor()?);
    let (event, at) = (call.state.next_id(), call.state.stamp());
    let pull = pull_mut(call, key, number)?;
    for review in pull.reviews.iter_mut().filter(|review| review.id == id) {
        review.state = ReviewState::Dismissed;
    }
    let issue = call.repository_mut(key).issues.get_mut(&number).ok_or_else(not_found)?;
    issue.updated_at = at;
    issue.events.push(Event {
        id: event,
        kind: EventKind::ReviewDismissed { review: id, was: state },
        actor,
        at,
    });
    tell_review(call, key, number, "dismissed", id);
    get(call, key, number, id)
}

pub(crate) fn remarks(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let (_, pull) = find_pull(call, key, number)?;
    let view = call.view();
    call.page(&pull.remarks.iter().collect::<Vec<_>>(), |remark| {
        view.remark(call.repository(key), number, pull, remark)
    })
}

/// A comment on a line, or a reply to one: GitHub makes a COMMENTED review of each.
pub(crate) fn remark(call: &mut Call<'_>, key: &str, number: u64, parent: Option<u64>) -> Answer {
    let author = call.actor()?;
    let body = call.needed("PullRequestReviewComment", "body")?;
    let (_, pull) = find_pull(call, key, number)?;
    let head = pull.head.clone();
    let parent = parent.or_else(|| call.number("in_reply_to"));
    let (path, line, commit) = match parent {
        Some(parent) => {
            let parent = pull.remarks.iter().find(|remark| remark.id == parent).ok_or_else(not_found)?;
            (parent.path.clone(), parent.line, parent.commit.clone())
        }
        None => {
            let path = call.needed("PullRequestReviewComment", "path")?;
            (path, call.number("line"), call.text("commit_id").unwrap_or(&head).to_owned())
        }
    };
    let review = add(call, key, number, ReviewState::Commented, String::new(), &commit)?;
    let id = call.state.next_id();
    let remark = Remark {
        id,
        review: review.id,
        author,
        body,
        path,
        line,
        commit,
        reply_to: parent,
        created_at: review.submitted_at,
    };
    pull_mut(call, key, number)?.remarks.push(remark.clone());
    let (_, pull) = find_pull(call, key, number)?;
    created(call.view().remark(call.repository(key), number, pull, &remark))
}

pub(crate) fn requested(call: &Call<'_>, key: &str, number: u64) -> Answer {
    let (issue, _) = find_pull(call, key, number)?;
    let shown = call.view().pull_simple(call.repository(key), issue);
    ok(json!({"users": shown["requested_reviewers"], "teams": shown["requested_teams"]}))
}

pub(crate) fn request(call: &mut Call<'_>, key: &str, number: u64, adds: bool) -> Answer {
    call.require(key, Permission::Triage)?;
    let users = call.names("reviewers").unwrap_or_default();
    let teams = call.names("team_reviewers").unwrap_or_default();
    let (issue, _) = find_pull(call, key, number)?;
    let repository = call.repository(key);
    if adds {
        if users.contains(&issue.author) {
            return Err(refuse(422, "Review cannot be requested from pull request author."));
        }
        let reads = |login: &String| {
            call.state.users.contains_key(login)
                && call.state.permission(repository, Some(login)) >= Permission::Read
        };
        let direct = |login: &String| {
            call.state.permission(repository, Some(login)) > Permission::Read
                || repository.collaborators.contains_key(login)
                || call
                    .state
                    .organizations
                    .get(&repository.owner)
                    .is_some_and(|owner| owner.members.contains(login))
        };
        if !users.iter().all(|login| reads(login) && direct(login)) {
            return Err(refuse(
                422,
                "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator.",
            ));
        }
        let known = call.state.organizations.get(&repository.owner);
        if !teams.iter().all(|slug| known.is_some_and(|owner| owner.teams.contains_key(slug))) {
            return Err(refuse(422, "Could not resolve to a node with the global id of one of the teams."));
        }
    }
    let at = call.state.stamp();
    let pull = pull_mut(call, key, number)?;
    if adds {
        pull.requested_users.extend(users);
        pull.requested_teams.extend(teams);
    } else {
        pull.requested_users.retain(|login| !users.contains(login));
        pull.requested_teams.retain(|slug| !teams.contains(slug));
    }
    call.repository_mut(key).issues.get_mut(&number).ok_or_else(not_found)?.updated_at = at;
    crate::local_forge::motion::tell_pull(
        call,
        key,
        number,
        if adds { "review_requested" } else { "review_request_removed" },
    );
    let (issue, _) = find_pull(call, key, number)?;
    let shown: Value = call.view().pull_simple(call.repository(key), issue);
    Ok(Reply::json(if adds { 201 } else { 200 }, shown))
}
