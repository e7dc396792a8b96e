//! What is a field of a thing?
//!
//! One arm for each type of the schema. The checker has already refused unknown fields.

use git2::Oid;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::issues::{comment_field, issue_field, issues, pull_connection, pull_field, pulls, review_field};
use super::{Arguments, Mistake, Walk, queue};
use crate::local_forge::objects;
use crate::local_forge::queue::Waiting;
use crate::local_forge::rename;
use crate::local_forge::render::node;
use crate::local_forge::rest::{checks, commits::associated};
use crate::local_forge::store::{
    CheckRun, Comment, Edit, Event, EventKind, Issue, Label, Permission, Pull, Repository, Review, Status,
    Team,
};

/// Anything that has fields.
#[derive(Clone)]
pub(super) enum Thing<'a> {
    Query,
    /// The pull requests that were changed, by repository and number.
    Mutation(Vec<(String, u64)>),
    /// What a change answers.
    Changed(String, u64),
    RateLimit,
    /// An account as an actor: the login of an App comes without `[bot]`.
    Actor(&'a str),
    /// An account as a user: the login of an App comes with `[bot]`.
    User(&'a str),
    Repository(&'a Repository),
    /// The merge queue of a branch.
    Queue(&'a Repository, &'a str),
    /// The pull request at a place of it, counted from one.
    Waiting(&'a Repository, usize, &'a Waiting),
    Ref(&'a Repository, &'a str, &'a str),
    Object(&'a Repository, &'static str, Oid),
    Issue(&'a Repository, &'a Issue),
    Pull(&'a Repository, &'a Issue, &'a Pull),
    PullCommit(&'a Repository, Oid),
    Review(&'a Repository, &'a Review),
    Comment(&'a Repository, &'a Issue, &'a Comment),
    Edit(&'a Edit),
    Event(&'a Repository, &'a Event),
    Label(&'a Label),
    Team(&'a Team),
    ReviewRequest(Box<Self>),
    GitActor {
        name: String,
        email: String,
        date: Timestamp,
    },
    CheckSuite(&'a Repository, u64, &'a CheckRun),
    CheckRun(&'a Repository, &'a CheckRun),
    App(&'a str),
    /// The newest status of each context of a commit.
    Status(Vec<&'a Status>),
    StatusContext(&'a Status),
    Connection {
        type_name: &'static str,
        total: usize,
        nodes: Vec<(usize, Self)>,
    },
    PageInfo {
        start: Option<String>,
        end: Option<String>,
        before: bool,
        after: bool,
    },
}

pub(super) enum Found<'a> {
    Leaf(Value),
    One(Thing<'a>),
    Many(Vec<Thing<'a>>),
}

pub(super) type Answer<'a> = Result<Found<'a>, Mistake>;

pub(super) fn leaf<'a>(value: impl Into<Value>) -> Answer<'a> {
    Ok(Found::Leaf(value.into()))
}

pub(super) fn time<'a>(at: Timestamp) -> Answer<'a> {
    leaf(at.to_string())
}

pub(super) fn maybe_time<'a>(at: Option<Timestamp>) -> Answer<'a> {
    leaf(at.map(|at| at.to_string()))
}

pub(super) fn one<'a>(thing: Option<Thing<'a>>) -> Answer<'a> {
    Ok(thing.map_or(Found::Leaf(Value::Null), Found::One))
}

impl Thing<'_> {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Thing::Query => "Query",
            Thing::Mutation(_) => "Mutation",
            Thing::Changed(..) => "MarkPullRequestReadyForReviewPayload",
            Thing::Queue(..) => "MergeQueue",
            Thing::Waiting(..) => "MergeQueueEntry",
            Thing::RateLimit => "RateLimit",
            Thing::Actor(login) if login.ends_with("[bot]") => "Bot",
            Thing::Actor(_) | Thing::User(_) => "User",
            Thing::Repository(_) => "Repository",
            Thing::Ref(..) => "Ref",
            Thing::Object(_, kind, _) => kind,
            Thing::Issue(..) => "Issue",
            Thing::Pull(..) => "PullRequest",
            Thing::PullCommit(..) => "PullRequestCommit",
            Thing::Review(..) => "PullRequestReview",
            Thing::Comment(..) => "IssueComment",
            Thing::Edit(_) => "UserContentEdit",
            Thing::Event(_, event) => match event.kind {
                EventKind::Closed => "ClosedEvent",
                EventKind::Reopened => "ReopenedEvent",
                EventKind::Merged => "MergedEvent",
                EventKind::HeadRefForcePushed => "HeadRefForcePushedEvent",
                EventKind::HeadRefDeleted => "HeadRefDeletedEvent",
                EventKind::RemovedFromMergeQueue => "RemovedFromMergeQueueEvent",
                EventKind::ReviewDismissed { .. } => "ReviewDismissedEvent",
            },
            Thing::Label(_) => "Label",
            Thing::Team(_) => "Team",
            Thing::ReviewRequest(_) => "ReviewRequest",
            Thing::GitActor { .. } => "GitActor",
            Thing::CheckSuite(..) => "CheckSuite",
            Thing::CheckRun(..) => "CheckRun",
            Thing::App(_) => "App",
            Thing::Status(_) => "Status",
            Thing::StatusContext(_) => "StatusContext",
            Thing::Connection { type_name, .. } => type_name,
            Thing::PageInfo { .. } => "PageInfo",
        }
    }
}

/// Cuts a page out of a list, as `first`, `last`, `after` and `before` say.
pub(super) fn connection<'a>(
    type_name: &'static str,
    things: Vec<Thing<'a>>,
    arguments: &Arguments,
) -> Answer<'a> {
    let total = things.len();
    let at = |name: &str| {
        arguments
            .get(name)
            .and_then(Value::as_str)
            .and_then(|cursor| cursor.strip_prefix("c:")?.parse::<usize>().ok())
    };
    let size =
        |name: &str| arguments.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
    let mut start = at("after").map_or(0, |at| at + 1).min(total);
    let mut end = at("before").unwrap_or(total).clamp(start, total);
    if let Some(first) = size("first") {
        end = end.min(start + first);
    }
    if let Some(last) = size("last") {
        start = start.max(end.saturating_sub(last));
    }
    let nodes = things.into_iter().enumerate().skip(start).take(end - start).collect();
    Ok(Found::One(Thing::Connection { type_name, total, nodes }))
}

pub(super) fn actor<'a>(walk: &Walk<'a>, login: Option<&'a str>) -> Answer<'a> {
    one(login.filter(|login| walk.call.state.users.contains_key(*login)).map(Thing::Actor))
}

/// The words of an argument that is a list.
pub(super) fn words<'b>(arguments: &'b Arguments, name: &str) -> Option<Vec<&'b str>> {
    arguments.get(name).map(read_words)
}

pub(super) fn read_words(value: &Value) -> Vec<&str> {
    // A single value stands for a list of one.
    value.as_array().map_or_else(
        || value.as_str().into_iter().collect(),
        |list| list.iter().filter_map(Value::as_str).collect(),
    )
}

pub(super) fn field<'a>(walk: &Walk<'a>, thing: &Thing<'a>, name: &str, arguments: &Arguments) -> Answer<'a> {
    match thing {
        Thing::Query => query(walk, name, arguments),
        Thing::RateLimit => rate_limit(walk, name),
        Thing::Actor(login) => account(walk, name, login, login.trim_end_matches("[bot]")),
        Thing::User(login) => account(walk, name, login, login),
        Thing::Repository(found) => repository(walk, found, name, arguments),
        Thing::Ref(found, reference, target) => ref_field(walk, found, reference, target, name),
        Thing::Object(found, kind, id) => object(walk, found, kind, *id, name, arguments),
        Thing::Issue(found, issue) => issue_field(walk, found, issue, name, arguments),
        Thing::Pull(found, issue, pull) => pull_field(walk, found, issue, pull, name, arguments),
        Thing::PullCommit(found, id) => match name {
            "commit" => Ok(Found::One(Thing::Object(found, "Commit", *id))),
            _ => leaf(format!("PURC_{id}")),
        },
        Thing::Review(found, review) => review_field(walk, found, review, name),
        Thing::Comment(found, issue, comment) => comment_field(walk, found, issue, comment, name),
        Thing::Edit(edit) => match name {
            "editedAt" => time(edit.at),
            "editor" => actor(walk, Some(&edit.editor)),
            _ => leaf(format!("UCE_{}", edit.at.as_second())),
        },
        Thing::Event(found, event) => match (name, event.kind) {
            ("actor", _) => actor(walk, event.actor.as_deref()),
            ("createdAt", _) => time(event.at),
            ("previousReviewState", EventKind::ReviewDismissed { was, .. }) => leaf(was.name()),
            ("review", EventKind::ReviewDismissed { review, .. }) => {
                let pulls = found.issues.values().filter_map(|issue| issue.pull.as_ref());
                let reviews = pulls.flat_map(|pull| &pull.reviews);
                one(reviews
                    .filter(|known| known.id == review)
                    .map(|review| Thing::Review(found, review))
                    .next())
            }
            _ => leaf(node("EV", event.id)),
        },
        Thing::Label(label) => match name {
            "color" => leaf(label.color.as_str()),
            "description" => leaf(label.description.clone()),
            "id" => leaf(node("LA", label.id)),
            _ => leaf(label.name.as_str()),
        },
        Thing::Team(team) => match name {
            "databaseId" => leaf(team.id),
            "id" => leaf(node("T", team.id)),
            "name" => leaf(team.name.as_str()),
            _ => leaf(team.slug.as_str()),
        },
        Thing::ReviewRequest(who) => match name {
            "requestedReviewer" => Ok(Found::One(who.as_ref().clone())),
            _ => leaf("RR"),
        },
        Thing::GitActor { name: who, email, date } => match name {
            "date" => time(*date),
            "email" => leaf(email.as_str()),
            "name" => leaf(who.as_str()),
            _ => one(walk.call.state.user_of_email(email).map(|user| Thing::User(&user.login))),
        },
        Thing::CheckSuite(found, id, run) => suite(found, *id, run, walk, name, arguments),
        Thing::CheckRun(found, run) => check_run(walk, found, run, name),
        Thing::App(login) => {
            let slug = login.trim_end_matches("[bot]");
            let id = walk.call.state.users.get(*login).map(|user| user.id);
            match name {
                "databaseId" => leaf(id),
                "id" => leaf(node("A", id.unwrap_or_default())),
                _ => leaf(slug),
            }
        }
        // One mutation is made at a time.
        Thing::Mutation(changed) => {
            one(changed.first().map(|(key, number)| Thing::Changed(key.clone(), *number)))
        }
        Thing::Changed(key, number) => match name {
            "clientMutationId" => leaf(Value::Null),
            "mergeQueueEntry" => queue::entry_of(walk, key, *number),
            _ => {
                let found = walk.call.state.repositories.get(key);
                let issue = found.and_then(|found| found.issues.get(number));
                one(found
                    .zip(issue)
                    .and_then(|(found, issue)| Some(Thing::Pull(found, issue, issue.pull.as_ref()?))))
            }
        },
        Thing::Queue(found, branch) => queue::queue_field(walk, found, branch, name, arguments),
        Thing::Waiting(found, at, waiting) => queue::entry_field(walk, found, *at, waiting, name),
        Thing::Status(latest) => match name {
            "context" => {
                let wanted = arguments.get("name").and_then(Value::as_str);
                let found = latest.iter().find(|status| Some(status.context.as_str()) == wanted);
                one(found.map(|status| Thing::StatusContext(status)))
            }
            "contexts" => Ok(Found::Many(latest.iter().map(|status| Thing::StatusContext(status)).collect())),
            "id" => leaf(node("S", latest.first().map_or(0, |status| status.id))),
            _ => leaf(checks::combined_state(latest).to_uppercase()),
        },
        Thing::StatusContext(status) => match name {
            "context" => leaf(status.context.as_str()),
            "createdAt" => time(status.created_at),
            "creator" => one(Some(Thing::Actor(&status.creator))),
            "description" => leaf(status.description.clone()),
            "id" => leaf(node("SC", status.id)),
            "state" => leaf(status.state.to_uppercase()),
            _ => leaf(status.target_url.clone()),
        },
        Thing::Connection { total, nodes, .. } => match name {
            "totalCount" => leaf(*total),
            "nodes" => Ok(Found::Many(nodes.iter().map(|(_, thing)| thing.clone()).collect())),
            _ => {
                let cursor = |node: Option<&(usize, Thing<'_>)>| node.map(|(at, _)| format!("c:{at}"));
                let before = nodes.first().is_some_and(|(at, _)| *at > 0);
                let after = nodes.last().is_some_and(|(at, _)| at + 1 < *total);
                let (start, end) = (cursor(nodes.first()), cursor(nodes.last()));
                Ok(Found::One(Thing::PageInfo { start, end, before, after }))
            }
        },
        Thing::PageInfo { start, end, before, after } => match name {
            "startCursor" => leaf(start.clone()),
            "endCursor" => leaf(end.clone()),
            "hasPreviousPage" => leaf(*before),
            _ => leaf(*after),
        },
    }
}

fn query<'a>(walk: &Walk<'a>, name: &str, arguments: &Arguments) -> Answer<'a> {
    let call = walk.call;
    match name {
        "viewer" => one(call.actor.as_deref().map(Thing::User)),
        "rateLimit" => Ok(Found::One(Thing::RateLimit)),
        _ => {
            let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
            let (owner, repository) = (text("owner"), text("name"));
            let now = rename::present(call.state, owner, repository);
            let (owner, repository) =
                now.as_ref().and_then(|now| now.split_once('/')).unwrap_or((owner, repository));
            match call.repository_key(owner, repository, Permission::Read) {
                Ok(key) => Ok(Found::One(Thing::Repository(&call.state.repositories[&key]))),
                Err(_) => Err(Mistake::not_found(format!(
                    "Could not resolve to a Repository with the name '{owner}/{repository}'."
                ))),
            }
        }
    }
}

fn rate_limit<'a>(walk: &Walk<'a>, name: &str) -> Answer<'a> {
    let limit = walk.call.shared.limits.peek(walk.call.actor.as_deref(), walk.call.state.now());
    match name {
        "cost" => leaf(walk.cost.points()),
        "nodeCount" => leaf(walk.cost.nodes),
        "limit" => leaf(limit.limit),
        "remaining" => leaf(limit.remaining),
        "used" => leaf(limit.used),
        _ => time(Timestamp::from_second(limit.reset).unwrap_or_default()),
    }
}

fn account<'a>(walk: &Walk<'a>, name: &str, login: &str, shown: &str) -> Answer<'a> {
    let id = walk.call.state.users.get(login).map_or(0, |user| user.id);
    match name {
        "databaseId" => leaf(id),
        "id" => leaf(node("U", id)),
        "url" => leaf(format!("{}/{shown}", walk.call.shared.url)),
        _ => leaf(shown),
    }
}

fn repository<'a>(walk: &Walk<'a>, found: &'a Repository, name: &str, arguments: &Arguments) -> Answer<'a> {
    let reference = |wanted: &str| {
        let full = [wanted.to_owned(), format!("refs/heads/{wanted}"), format!("refs/tags/{wanted}")];
        let hit = full.iter().find_map(|name| found.refs.get_key_value(name));
        hit.map(|(name, target)| Thing::Ref(found, name, target))
    };
    let number = arguments.get("number").and_then(Value::as_u64).unwrap_or_default();
    let issue = found.issues.get(&number).filter(|issue| issue.gone.is_none());
    match name {
        "databaseId" => leaf(found.id),
        "id" => leaf(node("R", found.id)),
        "name" => leaf(found.name.as_str()),
        "nameWithOwner" => leaf(found.key()),
        "url" => leaf(format!("{}/{}", walk.call.shared.url, found.key())),
        "isPrivate" => leaf(found.private),
        "isArchived" => leaf(found.archived),
        "isFork" => leaf(found.fork_of.is_some()),
        "owner" => Ok(Found::One(Thing::Actor(&found.owner))),
        "viewerPermission" => {
            let permission = walk.call.permission(found);
            leaf((permission > Permission::None).then(|| permission.role().to_uppercase()))
        }
        "defaultBranchRef" => one(reference(&found.default_branch)),
        "ref" => one(reference(arguments.get("qualifiedName").and_then(Value::as_str).unwrap_or_default())),
        "object" => find_object(walk, found, arguments),
        "issue" => match issue.filter(|issue| issue.pull.is_none()) {
            Some(issue) => Ok(Found::One(Thing::Issue(found, issue))),
            None => {
                Err(Mistake::not_found(format!("Could not resolve to an Issue with the number of {number}.")))
            }
        },
        "pullRequest" => match issue.and_then(|issue| Some((issue, issue.pull.as_ref()?))) {
            Some((issue, pull)) => Ok(Found::One(Thing::Pull(found, issue, pull))),
            None => Err(Mistake::not_found(format!(
                "Could not resolve to a PullRequest with the number of {number}."
            ))),
        },
        "mergeQueue" => queue::of_repository(found, arguments),
        "issues" => issues(found, arguments),
        _ => pulls(found, arguments),
    }
}

fn find_object<'a>(walk: &Walk<'a>, found: &'a Repository, arguments: &Arguments) -> Answer<'a> {
    let Ok(git) = walk.call.git(&found.key()) else {
        return leaf(Value::Null);
    };
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let id = match (text("oid"), text("expression")) {
        (Some(id), _) => objects::oid(id).ok(),
        (None, Some(expression)) => git.revparse_single(expression).ok().map(|object| object.id()),
        (None, None) => None,
    };
    let object = id.and_then(|id| git.find_object(id, None).ok());
    one(object.and_then(|object| {
        let kind = match object.kind()? {
            git2::ObjectType::Commit => "Commit",
            git2::ObjectType::Tree => "Tree",
            git2::ObjectType::Blob => "Blob",
            _ => return None,
        };
        Some(Thing::Object(found, kind, object.id()))
    }))
}

fn ref_field<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    reference: &str,
    target: &str,
    name: &str,
) -> Answer<'a> {
    let (prefix, short) = match reference.match_indices('/').nth(1) {
        Some((at, _)) => reference.split_at(at + 1),
        None => ("", reference),
    };
    match name {
        "id" => leaf(format!("REF_{reference}")),
        "name" => leaf(short),
        "prefix" => leaf(prefix),
        _ => find_object(walk, found, &[("oid".to_owned(), Value::from(target))].into()),
    }
}

fn object<'a>(
    walk: &Walk<'a>,
    found: &'a Repository,
    kind: &str,
    id: Oid,
    name: &str,
    arguments: &Arguments,
) -> Answer<'a> {
    match (kind, name) {
        (_, "oid") => return leaf(id.to_string()),
        (_, "id") => return leaf(format!("GO_{id}")),
        _ => {}
    }
    let broken = |_| Mistake::new("Something went wrong while executing your query.", json!({}));
    let git = walk.call.git(&found.key()).map_err(|_| broken(git2::Error::from_str("")))?;
    if kind == "Blob" {
        let blob = git.find_blob(id).map_err(broken)?;
        return match name {
            "byteSize" => leaf(blob.size()),
            "isBinary" => leaf(blob.is_binary()),
            _ => leaf(std::str::from_utf8(blob.content()).ok()),
        };
    }
    let commit = git.find_commit(id).map_err(broken)?;
    let signed = |signature: &git2::Signature<'_>| Thing::GitActor {
        name: objects::name(signature),
        email: objects::email(signature),
        date: objects::when(signature),
    };
    let message = objects::shown_message(&commit);
    match name {
        "author" => Ok(Found::One(signed(&commit.author()))),
        "committer" => Ok(Found::One(signed(&commit.committer()))),
        "authoredDate" => time(objects::when(&commit.author())),
        "committedDate" => time(objects::when(&commit.committer())),
        "message" => leaf(message),
        "messageHeadline" => leaf(message.lines().next().unwrap_or_default()),
        "tree" => Ok(Found::One(Thing::Object(found, "Tree", commit.tree_id()))),
        "authors" => {
            let date = objects::when(&commit.author());
            let people = objects::authors(&commit).into_iter();
            let people =
                people.map(|person| Thing::GitActor { name: person.name, email: person.email, date });
            connection("GitActorConnection", people.collect(), arguments)
        }
        "parents" => {
            let parents = commit.parent_ids().map(|parent| Thing::Object(found, "Commit", parent));
            connection("CommitConnection", parents.collect(), arguments)
        }
        "status" => {
            let latest = checks::latest(found, &id.to_string());
            one((!latest.is_empty()).then_some(Thing::Status(latest)))
        }
        "associatedPullRequests" => {
            pull_connection(found, associated(walk.call, &found.key(), &git, id), arguments)
        }
        _ => {
            let sha = id.to_string();
            let mut suites: Vec<(u64, &CheckRun)> = Vec::new();
            for run in found.check_runs.values().filter(|run| run.head == sha) {
                if !suites.iter().any(|(suite, _)| *suite == run.suite) {
                    suites.push((run.suite, run));
                }
            }
            let suites = suites.into_iter().map(|(suite, run)| Thing::CheckSuite(found, suite, run));
            connection("CheckSuiteConnection", suites.collect(), arguments)
        }
    }
}

fn suite<'a>(
    found: &'a Repository,
    id: u64,
    run: &'a CheckRun,
    walk: &Walk<'a>,
    name: &str,
    arguments: &Arguments,
) -> Answer<'a> {
    match name {
        "app" => one(Some(Thing::App(&run.app))),
        "databaseId" => leaf(id),
        "id" => leaf(node("CS", id)),
        _ => {
            let filter = arguments.get("filterBy").cloned().unwrap_or_default();
            let app = crate::local_forge::rules::app_id(walk.call.state, &run.app);
            let mut runs: Vec<&CheckRun> = found
                .check_runs
                .values()
                .filter(|run| run.suite == id)
                .filter(|run| filter["checkName"].as_str().is_none_or(|name| run.name == name))
                .filter(|run| {
                    filter["status"].as_str().is_none_or(|status| run.status.eq_ignore_ascii_case(status))
                })
                .filter(|_| filter["appId"].as_u64().is_none_or(|id| app == Some(id)))
                .collect();
            if filter["checkType"].as_str() == Some("LATEST") {
                let later =
                    |run: &CheckRun| runs.iter().any(|other| other.name == run.name && other.id > run.id);
                let latest: Vec<&CheckRun> = runs.iter().copied().filter(|run| !later(run)).collect();
                runs = latest;
            }
            connection(
                "CheckRunConnection",
                runs.into_iter().map(|run| Thing::CheckRun(found, run)).collect(),
                arguments,
            )
        }
    }
}

fn check_run<'a>(walk: &Walk<'a>, found: &Repository, run: &CheckRun, name: &str) -> Answer<'a> {
    let url = format!("{}/{}/runs/{}", walk.call.shared.url, found.key(), run.id);
    match name {
        "completedAt" => maybe_time(run.completed_at),
        "startedAt" => maybe_time(run.started_at),
        "conclusion" => leaf(run.conclusion.as_ref().map(|text| text.to_uppercase())),
        "status" => leaf(run.status.to_uppercase()),
        "databaseId" => leaf(run.id),
        "id" => leaf(node("CR", run.id)),
        "detailsUrl" => leaf(run.details_url.clone().unwrap_or(url)),
        "externalId" => leaf(run.external_id.as_str()),
        "name" => leaf(run.name.as_str()),
        "summary" => leaf(run.summary.clone()),
        "text" => leaf(run.text.clone()),
        "title" => leaf(run.title.clone()),
        _ => leaf(url),
    }
}
