//! What do we read of GitHub's GraphQL schema, and what do its answers mean?
//! <https://docs.github.com/en/graphql/reference/objects>
//!
//! Nothing here trusts that a value is one we know: what is new or missing becomes `Other`,
//! `None` or `Unknown`, never a guess.

mod nodes;

use std::collections::BTreeSet;

use nodes::{
    ChecksNode, CommentNode, CommitFields, ContextNode, EditNode, GitActor, IssueNode, LabelNode, List,
    PullNode, ReviewNode, RunNode, StatusNode, SuiteNode, login,
};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::act::PLAN_STATUS;
use crate::domain::{
    Attribution, CheckId, CheckRun, Comment, Conclusion, Dismissal, Edit, Issue, Known, Login, Pull,
    PullCommit, PullState, Remark, RepoName, Review, ReviewState,
};
use crate::plan::step::CHECK;

/// The lists of an issue that may have more pages; `PAGE` stands for `first: n, after: …`.
pub(super) const ISSUE_LISTS: [(&str, &str); 2] = [("userContentEdits", EDITS), ("comments", COMMENTS)];
/// The lists of a pull request that may have more pages.
pub(super) const PULL_LISTS: [(&str, &str); 4] =
    [("comments", COMMENTS), ("reviews", REVIEWS), ("timelineItems", TIMELINE), ("commits", COMMITS)];

const EDITS: &str = "userContentEdits(PAGE) { nodes { editedAt editor { login __typename } } pageInfo { hasNextPage endCursor } }";
const COMMENTS: &str = "comments(PAGE) { nodes { url author { login __typename } body createdAt lastEditedAt } pageInfo { hasNextPage endCursor } }";
const REVIEWS: &str = "reviews(PAGE) { nodes { url author { login __typename } state submittedAt commit { oid } } \
    pageInfo { hasNextPage endCursor } }";
const TIMELINE: &str = "timelineItems(PAGE, itemTypes: [CLOSED_EVENT, REVIEW_DISMISSED_EVENT, REMOVED_FROM_MERGE_QUEUE_EVENT]) { nodes { __typename \
    ... on ClosedEvent { actor { login __typename } createdAt } \
    ... on RemovedFromMergeQueueEvent { createdAt } \
    ... on ReviewDismissedEvent { createdAt previousReviewState review { url } } } \
    pageInfo { hasNextPage endCursor } }";
const COMMITS: &str = "commits(PAGE) { nodes { commit { oid parents(first: 3) { nodes { oid } } \
    committer { email user { login __typename } } \
    authors(first: 20) { nodes { email user { login __typename } } pageInfo { hasNextPage endCursor } } \
    CHECKS } } \
    pageInfo { hasNextPage endCursor } }";

/// Our check runs on a commit.
pub(super) const CHECKS: &str = "checkSuites(first: 10) { nodes { app { slug } \
    checkRuns(first: 10, filterBy: { checkType: ALL, checkName: \"chandlery\" }) { nodes { \
    url status conclusion startedAt completedAt externalId title } } } } STATUS";

/// The statuses that stand for our check where we can make none.
const STATUS: &str = "status { says: context(name: \"chandlery\") { createdAt creator { login __typename } description state } \
    plan: context(name: \"chandlery/plan\") { createdAt creator { login __typename } description } }";

/// The lists of a pull request with what is read where our token is no App's.
pub(super) fn with_statuses(fields: &str, is_one_token: bool) -> String {
    fields.replace("CHECKS", CHECKS).replace("STATUS", if is_one_token { STATUS } else { "" })
}

const LABELLED: &str = "labels(first: 100) { nodes { name } }";

/// What is read of an issue.
pub(super) fn issue_fields() -> String {
    format!(
        "number title body state locked createdAt lastEditedAt author {{ login __typename }} {LABELLED} {} {} \
         timelineItems(last: 1, itemTypes: [CLOSED_EVENT]) {{ nodes {{ ... on ClosedEvent {{ actor {{ login __typename }} createdAt }} }} }}",
        EDITS.replace("PAGE", "first: 100"),
        COMMENTS.replace("PAGE", "first: 100")
    )
}

/// What is read of a pull request. Most have few commits, and commits are dear: the cost of a
/// query follows the lists that it *could* return.
pub(super) fn pull_fields() -> String {
    format!(
        "number title body state isDraft url author {{ login __typename }} {LABELLED} headRefName headRefOid \
         headRepository {{ nameWithOwner }} baseRefName createdAt closedAt mergedAt mergedBy {{ login __typename }} \
         mergeCommit {{ oid }} {} {} {} {} \
         reviewRequests(first: 50) {{ nodes {{ requestedReviewer {{ ... on User {{ login }} ... on Team {{ slug }} }} }} }}",
        COMMENTS.replace("PAGE", "first: 100"),
        REVIEWS.replace("PAGE", "first: 100"),
        TIMELINE.replace("PAGE", "first: 100"),
        COMMITS.replace("PAGE", "first: 20"),
    )
}

fn read<T: DeserializeOwned>(node: Value) -> Result<T, String> {
    T::deserialize(node).map_err(|error| format!("the forge's answer cannot be read: {error}"))
}

/// An issue.
pub(super) fn read_issue(node: Value, me: &Login) -> Result<Issue, String> {
    let node: IssueNode = read(node)?;
    let edits = match node.user_content_edits.map(|edits| edits.known("edits")) {
        Some(Known::Yes(edits)) => {
            let read = |edit: EditNode| Some(Edit { by: login(edit.editor)?, at: edit.edited_at });
            let edits: Option<Vec<Edit>> = edits.into_iter().map(read).collect();
            edits.map_or_else(
                || Known::Unknown("somebody edited it whose account is gone; file it again".to_owned()),
                Known::Yes,
            )
        }
        Some(Known::Unknown(why)) => Known::Unknown(why),
        None if node.last_edited_at.is_none() => Known::Yes(Vec::new()),
        None => Known::Unknown("the forge does not say who edited it; file it again".to_owned()),
    };
    let (comments, remarks) = read_comments(node.comments, me)?;
    let closing = node.timeline_items.nodes.into_iter().flatten().next_back();
    Ok(Issue {
        number: node.number,
        author: login(node.author),
        edits,
        title: node.title,
        body: node.body,
        open: node.state == "OPEN",
        locked: node.locked,
        created_at: node.created_at,
        last_closed: closing.as_ref().and_then(|event| event.created_at),
        closed_by: closing.and_then(|event| login(event.actor)),
        labels: read_labels(node.labels),
        comments,
        remarks,
    })
}

/// A pull request.
pub(super) fn read_pull(repository: &RepoName, node: Value, me: &Login) -> Result<Pull, String> {
    let node: PullNode = read(node)?;
    let state = match node.state.as_str() {
        "OPEN" => PullState::Open,
        "CLOSED" => PullState::Closed,
        "MERGED" => PullState::Merged,
        other => {
            return Err(format!(
                "the forge says that the pull request is `{other}`, which is not known here"
            ));
        }
    };
    let events = match node.timeline_items.known("events") {
        Known::Yes(events) => events,
        Known::Unknown(why) => return Err(why),
    };
    let mut dismissed = Vec::new();
    let mut closed_by = None;
    let mut last_closed = None;
    let mut left_queue = None;
    for event in events {
        match (event.kind.as_deref(), event.created_at) {
            (Some("ClosedEvent"), at) => {
                closed_by = login(event.actor);
                last_closed = at.max(last_closed);
            }
            (Some("RemovedFromMergeQueueEvent"), at) => left_queue = at.max(left_queue),
            (Some("ReviewDismissedEvent"), Some(at)) => {
                let was = review_state(event.previous_review_state.as_deref().unwrap_or_default());
                dismissed.push((event.review.and_then(|review| read_id(&review.url)), Dismissal { at, was }));
            }
            _ => {}
        }
    }
    let reviews = match node.reviews.map(|reviews| reviews.known("reviews")) {
        Some(Known::Yes(reviews)) => Known::Yes(read_reviews(reviews, &dismissed)),
        Some(Known::Unknown(why)) => Known::Unknown(why),
        None => Known::Unknown("the forge does not give the reviews".to_owned()),
    };
    let commits = match node.commits.known("commits") {
        Known::Yes(commits) => {
            Known::Yes(commits.into_iter().map(|node| read_commit(node.commit, me)).collect())
        }
        Known::Unknown(why) => Known::Unknown(why),
    };
    let requests = node.review_requests.map(|list| list.nodes).unwrap_or_default();
    let requested = requests
        .into_iter()
        .filter_map(|request| request?.requested_reviewer)
        .filter_map(|reviewer| reviewer.login.map(|login| login.to_ascii_lowercase()).or(reviewer.slug))
        .collect();
    let (comments, remarks) = read_comments(node.comments, me)?;
    Ok(Pull {
        repository: repository.clone(),
        number: node.number,
        author: login(node.author),
        title: node.title,
        body: node.body,
        state,
        draft: node.is_draft,
        head_repository: node.head_repository.and_then(|head| head.name_with_owner.parse().ok()),
        head_branch: node.head_ref_name.parse().ok(),
        head: node.head_ref_oid,
        base_branch: node
            .base_ref_name
            .parse()
            .map_err(|error| format!("its base cannot be handled: {error}"))?,
        created_at: node.created_at,
        merged_at: node.merged_at,
        merged_by: login(node.merged_by),
        merge_commit: node.merge_commit.map(|commit| commit.oid),
        closed_at: node.closed_at,
        closed_by,
        last_closed,
        left_queue,
        reviews,
        commits,
        comments,
        remarks,
        requested,
        labels: read_labels(node.labels),
        url: node.url,
    })
}

fn read_labels(labels: Option<List<LabelNode>>) -> BTreeSet<String> {
    labels.into_iter().flat_map(|labels| labels.nodes).flatten().map(|label| label.name).collect()
}

/// Our own, and what may ask us for something; what else people write is none of our business.
fn read_comments(comments: List<CommentNode>, me: &Login) -> Result<(Vec<Comment>, Vec<Remark>), String> {
    let comments = match comments.known("comments") {
        Known::Yes(comments) => comments,
        Known::Unknown(why) => return Err(why),
    };
    let (mut ours, mut remarks) = (Vec::new(), Vec::new());
    for CommentNode { url, author, body, created_at, last_edited_at } in comments {
        let author = login(author);
        let is_ours = author.as_ref() == Some(me);
        let is_remark = Remark::is_one(&body);
        if !is_ours && !is_remark {
            continue;
        }
        let id = read_id(&url).ok_or("the forge does not give the ids of comments")?;
        if is_remark {
            let edited = last_edited_at.is_some();
            remarks.push(Remark { id, author, body: body.clone(), at: created_at, edited });
        }
        if is_ours {
            ours.push(Comment { id, body });
        }
    }
    ours.sort_by_key(|comment| comment.id);
    remarks.sort_by_key(|remark| remark.id);
    Ok((ours, remarks))
}

fn read_reviews(reviews: Vec<ReviewNode>, dismissed: &[(Option<u64>, Dismissal)]) -> Vec<Review> {
    let mut reviews: Vec<Review> = reviews
        .into_iter()
        .filter_map(|review| {
            let (id, submitted_at) = (read_id(&review.url)?, review.submitted_at?);
            let dismissed =
                dismissed.iter().rev().find(|(of, _)| *of == Some(id)).map(|(_, dismissal)| *dismissal);
            Some(Review {
                id,
                author: login(review.author),
                state: review_state(&review.state),
                submitted_at,
                commit: review.commit.map(|commit| commit.oid),
                dismissed,
            })
        })
        .collect();
    reviews.sort_by_key(|review| (review.submitted_at, review.id));
    reviews
}

/// The id by which REST knows a comment, review or check run, from the end of its address.
/// GraphQL's own `databaseId` has 32 bits, which today's ids do not fit into.
fn read_id(url: &str) -> Option<u64> {
    let marks = ["#issuecomment-", "#pullrequestreview-", "/runs/"];
    let rest = marks.iter().find_map(|mark| url.rsplit_once(mark))?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

fn review_state(word: &str) -> ReviewState {
    match word {
        "APPROVED" => ReviewState::Approved,
        "CHANGES_REQUESTED" => ReviewState::ChangesRequested,
        "DISMISSED" => ReviewState::Dismissed,
        "COMMENTED" => ReviewState::Commented,
        _ => ReviewState::Other,
    }
}

fn read_commit(commit: CommitFields, me: &Login) -> PullCommit {
    let mut people: Vec<Attribution> = match commit.authors.known("authors of a commit") {
        Known::Yes(authors) => authors.into_iter().map(attribute).collect(),
        Known::Unknown(why) => vec![Attribution::Unknown(why)],
    };
    people.push(match commit.committer {
        // What is made in the forge's own pages. Anybody can write this address; that is why such
        // a commit is believed only where Git shows the same.
        Some(GitActor { email: Some(email), .. }) if email == "noreply@github.com" => Attribution::Forge,
        Some(committer) => attribute(committer),
        None => Attribution::Unknown("no committer".to_owned()),
    });
    people.sort();
    people.dedup();
    let checks = checks_of(commit.check_suites, commit.status, me);
    PullCommit {
        id: commit.oid,
        parents: commit.parents.nodes.into_iter().flatten().map(|parent| parent.oid).collect(),
        people,
        checks,
    }
}

/// Our check runs on a commit, oldest first; or what stands for them.
fn checks_of(suites: Option<List<SuiteNode>>, status: Option<StatusNode>, me: &Login) -> Vec<CheckRun> {
    let suites = suites.map(|suites| suites.nodes).unwrap_or_default();
    let mut checks: Vec<CheckRun> = suites
        .into_iter()
        .flatten()
        .filter(|suite| suite.app.as_ref().is_some_and(|app| format!("{}[bot]", app.slug) == me.as_str()))
        .flat_map(|suite| suite.check_runs.map(|runs| runs.nodes).unwrap_or_default())
        .filter_map(|run| read_check(run?))
        .collect();
    checks.sort_by_key(|check| check.id);
    if checks.is_empty() {
        checks.extend(status.and_then(|status| read_status(status, me)));
    }
    checks
}

/// What was asked by [`CHECKS`].
pub(super) fn read_checks(node: Value, me: &Login) -> Result<Vec<CheckRun>, String> {
    let ChecksNode { check_suites, status } = read(node)?;
    Ok(checks_of(check_suites, status, me))
}

/// GitHub knows the account of a person's address, but not of an App's.
fn attribute(actor: GitActor) -> Attribution {
    let email = actor.email.unwrap_or_default();
    if let Some(login) = login(actor.user) {
        return Attribution::Account(login);
    }
    let app = || {
        let (name, host) = email.split_once('@')?;
        let name = name.split_once('+').map_or(name, |(_, name)| name);
        let ours = host.starts_with("users.noreply.") && name.ends_with("[bot]");
        ours.then(|| name.parse().ok()).flatten()
    };
    match app() {
        Some(login) => Attribution::Account(login),
        None => Attribution::Unknown(email),
    }
}

fn read_check(run: RunNode) -> Option<CheckRun> {
    let conclusion = match (run.status.as_str(), run.conclusion.as_deref()) {
        ("COMPLETED", Some("SUCCESS")) => Some(Conclusion::Success),
        ("COMPLETED", Some("ACTION_REQUIRED")) => Some(Conclusion::ActionRequired),
        ("COMPLETED", Some("NEUTRAL")) => Some(Conclusion::Neutral),
        // Cancelled, timed out, stale and what may come: never green.
        ("COMPLETED", _) => Some(Conclusion::Failure),
        _ => None,
    };
    Some(CheckRun {
        id: CheckId::Run(read_id(&run.url)?),
        external_id: run.external_id.unwrap_or_default(),
        conclusion,
        started_at: run.started_at.or(run.completed_at)?,
        title: run.title.unwrap_or_default(),
    })
}

/// Our check, where commit statuses stand for it. Everybody who may write sets statuses of any name, but only in their own.
fn read_status(status: StatusNode, me: &Login) -> Option<CheckRun> {
    let ours = |found: Option<ContextNode>| {
        let ContextNode { created_at, creator, description, state } = found?;
        let said = description.unwrap_or_default();
        (login(creator).as_ref() == Some(me)).then_some((created_at, said, state))
    };
    let (started_at, external_id, _) = ours(status.plan)?;
    let (title, state) = ours(status.says).map_or_else(Default::default, |(_, title, state)| (title, state));
    Some(CheckRun {
        id: CheckId::Status,
        external_id,
        conclusion: status_conclusion(state.as_deref()),
        started_at,
        title,
    })
}

/// What the state of a status means for a check.
pub(super) fn status_conclusion(state: Option<&str>) -> Option<Conclusion> {
    match state {
        Some("SUCCESS" | "success") => Some(Conclusion::Success),
        Some("FAILURE" | "failure") => Some(Conclusion::Failure),
        Some("ERROR" | "error") => Some(Conclusion::ActionRequired),
        _ => None,
    }
}

/// The names that the queries ask for are those that we give.
const _: () =
    assert!(matches!(CHECK.as_bytes(), b"chandlery") && matches!(PLAN_STATUS.as_bytes(), b"chandlery/plan"));

#[cfg(test)]
mod tests {
    use super::{nodes::Actor, *};

    fn actor(login: &str, kind: &str) -> Option<Actor> {
        Some(Actor { login: login.to_owned(), kind: Some(kind.to_owned()) })
    }

    #[test]
    fn an_app_is_called_the_same_everywhere() {
        for (name, kind, expected) in [
            ("chandlery", "Bot", "chandlery[bot]"),
            ("chandlery[bot]", "Bot", "chandlery[bot]"),
            // A person may have the name of an App.
            ("chandlery", "User", "chandlery"),
        ] {
            assert_eq!(login(actor(name, kind)).unwrap().as_str(), expected);
        }
        assert_eq!(login(None), None);
    }

    #[test]
    fn a_commit_that_nobody_can_be_named_for_says_so() {
        let by = |email: &str, user| attribute(GitActor { email: Some(email.to_owned()), user });
        assert_eq!(by("a@b.test", actor("Ada", "User")), Attribution::Account("ada".parse().unwrap()));
        assert_eq!(by("a@b.test", None), Attribution::Unknown("a@b.test".to_owned()));
        assert_eq!(
            by("7+chandlery[bot]@users.noreply.github.com", None),
            Attribution::Account("chandlery[bot]".parse().unwrap())
        );
        assert!(matches!(by("chandlery[bot]@evil.test", None), Attribution::Unknown(_)));
        // As an author, the forge's own address names nobody.
        assert!(matches!(by("noreply@github.com", None), Attribution::Unknown(_)));
    }

    #[test]
    fn ids_are_read_from_addresses() {
        for (url, id) in [
            ("https://github.com/a/b/issues/3#issuecomment-3318790123", Some(3_318_790_123)),
            ("https://github.com/a/b/pull/3#pullrequestreview-12", Some(12)),
            ("https://github.com/a/b/runs/40000000001?check_suite_focus=true", Some(40_000_000_001)),
            ("https://github.com/a/b/pull/3", None),
        ] {
            assert_eq!(read_id(url), id, "{url}");
        }
    }

    #[test]
    fn checks_and_statuses_of_others_are_not_seen() {
        let suite = |app: &str, title: &str| {
            let run = serde_json::json!({
                "status": "COMPLETED", "conclusion": "SUCCESS", "url": "https://github.com/a/b/runs/7", "externalId": "k",
                "startedAt": "2026-11-01T00:00:00Z", "completedAt": "2026-11-01T00:00:00Z", "title": title,
            });
            serde_json::json!({ "app": { "slug": app }, "checkRuns": { "nodes": [run] } })
        };
        let commit = serde_json::json!({
            "oid": "1".repeat(40), "parents": { "nodes": [] }, "authors": { "nodes": [] }, "committer": null,
            "checkSuites": { "nodes": [suite("evil", "forged"), suite("chandlery", "ours"), suite("chandlery-2", "alike")] },
        });
        let commit: CommitFields = serde_json::from_value(commit).unwrap();
        let read = read_commit(commit, &"chandlery[bot]".parse().unwrap());
        assert_eq!(read.checks.iter().map(|check| check.title.as_str()).collect::<Vec<_>>(), ["ours"]);
    }

    #[test]
    fn statuses_stand_for_our_check_only_if_we_set_them() {
        let read = |who: &str, planned_by: &str| {
            let by = |login: &str| serde_json::json!({ "login": login, "__typename": "User" });
            let commit = serde_json::json!({
                "oid": "1".repeat(40), "parents": { "nodes": [] }, "authors": { "nodes": [] }, "committer": null,
                "status": {
                    "says": { "createdAt": "2026-11-02T00:00:00Z", "creator": by(who), "description": "waits", "state": "PENDING" },
                    "plan": { "createdAt": "2026-11-01T00:00:00Z", "creator": by(planned_by), "description": "key" },
                },
            });
            let commit: CommitFields = serde_json::from_value(commit).unwrap();
            read_commit(commit, &"robot".parse().unwrap()).checks
        };
        assert!(read("robot", "eve").is_empty(), "the time of a plan is not anybody's to say");
        let ours = read("robot", "robot");
        assert_eq!((ours[0].external_id.as_str(), ours[0].title.as_str()), ("key", "waits"));
        assert_eq!(ours[0].started_at, "2026-11-01T00:00:00Z".parse().unwrap());
        assert_eq!(ours[0].conclusion, None);
        assert_eq!(read("eve", "robot")[0].title, "", "what somebody else says is said anew");
    }

    #[test]
    fn a_list_that_is_cut_short_is_not_taken_for_the_whole() {
        let list: List<EditNode> =
            serde_json::from_str(r#"{"nodes": [], "pageInfo": {"hasNextPage": true, "endCursor": "x"}}"#)
                .unwrap();
        assert!(matches!(list.known("edits"), Known::Unknown(_)));
    }
}
