//! What is a field of a thing?
//!
//! One arm for each type of the schema. The checker has already refused unknown fields.

use git2::Oid;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Arguments, Mistake, Walk};
use crate::local_forge::objects;
use crate::local_forge::render::node;
use crate::local_forge::rest::commits::associated;
use crate::local_forge::store::{
    CheckRun, Comment, Edit, Event, EventKind, Issue, Label, Organization, Permission, Pull, Repository, Review, Team,
};

/// Anything that has fields.
#[derive(Clone)]
pub(super) enum Thing<'a> {
    Query,
    RateLimit,
    /// An account as an actor: the login of an App comes without `[bot]`.
    Actor(&'a str),
    /// An account as a user: the login of an App comes with `[bot]`.
    User(&'a str),
    Repository(&'a Repository),
    Ref(&'a Repository, &'a str, &'a str),
    Object(&'a Repository, &'static str, Oid),
    Issue(&'a Repository, &'a Issue),
    Pull(&'a Repository, &'a Issue, &'a Pull),
    PullCommit(&'a Repository, Oid),
    Review(&'a Repository, &'a Review),
    Comment(&'a Repository, &'a Issue, &'a Comment),
    Edit(&'a Edit),
    Event(&'a Event),
    Label(&'a Label),
    Team(&'a Team),
    ReviewRequest(Box<Thing<'a>>),
    GitActor { name: String, email: String, date: Timestamp },
    CheckSuite(&'a Repository, u64, &'a CheckRun),
    CheckRun(&'a Repository, &'a CheckRun),
    App(&'a str),
    Connection { type_name: &'static str, total: usize, nodes: Vec<(usize, Thing<'a>)> },
    PageInfo { start: Option<String>, end: Option<String>, before: bool, after: bool },
}

pub(super) enum Found<'a> {
    Leaf(Value),
    One(Thing<'a>),
    Many(Vec<Thing<'a>>),
}

type Answer<'a> = Result<Found<'a>, Mistake>;

fn leaf<'a>(value: impl Into<Value>) -> Answer<'a> {
    Ok(Found::Leaf(value.into()))
}

fn time<'a>(at: Timestamp) -> Answer<'a> {
    leaf(at.to_string())
}

fn maybe_time<'a>(at: Option<Timestamp>) -> Answer<'a> {
    leaf(at.map(|at| at.to_string()))
}

fn one<'a>(thing: Option<Thing<'a>>) -> Answer<'a> {
    Ok(thing.map_or(Found::Leaf(Value::Null), Found::One))
}

impl Thing<'_> {
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Thing::Query => "Query",
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
            Thing::Event(event) => match event.kind {
                EventKind::Closed => "ClosedEvent",
                EventKind::Reopened => "ReopenedEvent",
                EventKind::Merged => "MergedEvent",
                EventKind::HeadRefForcePushed => "HeadRefForcePushedEvent",
                EventKind::HeadRefDeleted => "HeadRefDeletedEvent",
            },
            Thing::Label(_) => "Label",
            Thing::Team(_) => "Team",
            Thing::ReviewRequest(_) => "ReviewRequest",
            Thing::GitActor { .. } => "GitActor",
            Thing::CheckSuite(..) => "CheckSuite",
            Thing::CheckRun(..) => "CheckRun",
            Thing::App(_) => "App",
            Thing::Connection { type_name, .. } => type_name,
            Thing::PageInfo { .. } => "PageInfo",
        }
    }
}

/// Cuts a page out of a list, as `first`, `last`, `after` and `before` say.
fn connection<'a>(type_name: &'static str, things: Vec<Thing<'a>>, arguments: &Arguments) -> Answer<'a> {
    let total = things.len();
    let at = |name: &str| arguments.get(name).and_then(Value::as_str).and_then(|cursor| cursor.strip_prefix("c:")?.parse::<usize>().ok());
    let size = |name: &str| arguments.get(name).and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok());
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

fn actor<'a>(walk: &Walk<'a>, login: Option<&'a str>) -> Answer<'a> {
    one(login.filter(|login| walk.call.state.users.contains_key(*login)).map(Thing::Actor))
}

/// The words of an argument that is a list.
fn words<'b>(arguments: &'b Arguments, name: &str) -> Option<Vec<&'b str>> {
    arguments.get(name).map(read_words)
}

fn read_words(value: &Value) -> Vec<&str> {
    // A single value stands for a list of one.
    value.as_array().map_or_else(|| value.as_str().into_iter().collect(), |list| list.iter().filter_map(Value::as_str).collect())
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
        Thing::Event(event) => match name {
            "actor" => actor(walk, event.actor.as_deref()),
            "createdAt" => time(event.at),
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
            let permission = walk.call.state.permission(found, walk.call.actor.as_deref());
            leaf((permission > Permission::None).then(|| permission.role().to_uppercase()))
        }
        "defaultBranchRef" => one(reference(&found.default_branch)),
        "ref" => one(reference(arguments.get("qualifiedName").and_then(Value::as_str).unwrap_or_default())),
        "object" => find_object(walk, found, arguments),
        "issue" => match issue.filter(|issue| issue.pull.is_none()) {
            Some(issue) => Ok(Found::One(Thing::Issue(found, issue))),
            None => Err(Mistake::not_found(format!("Could not resolve to an Issue with the number of {number}."))),
        },
        "pullRequest" => match issue.and_then(|issue| Some((issue, issue.pull.as_ref()?))) {
            Some((issue, pull)) => Ok(Found::One(Thing::Pull(found, issue, pull))),
            None => Err(Mistake::not_found(format!("Could not resolve to a PullRequest with the number of {number}."))),
        },
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

fn issues<'a>(found: &'a Repository, arguments: &Arguments) -> Answer<'a> {
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
        .filter(|issue| labels.as_ref().is_none_or(|wanted| wanted.iter().any(|name| issue.labels.contains(*name))))
        .filter(|issue| since.is_none_or(|since| issue.updated_at >= since))
        .filter(|issue| creator.is_none_or(|login| issue.author == login))
        .collect();
    order(&mut list, arguments);
    connection("IssueConnection", list.into_iter().map(|issue| Thing::Issue(found, issue)).collect(), arguments)
}

fn pulls<'a>(found: &'a Repository, arguments: &Arguments) -> Answer<'a> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let (states, labels) = (words(arguments, "states"), words(arguments, "labels"));
    let mut list: Vec<&Issue> = found
        .issues
        .values()
        .filter(|issue| issue.pull.as_ref().is_some_and(|pull| {
            text("headRefName").is_none_or(|name| pull.head_branch == name)
                && text("baseRefName").is_none_or(|name| pull.base_branch == name)
        }))
        .filter(|issue| states.as_ref().is_none_or(|states| states.contains(&issue_state(issue))))
        .filter(|issue| labels.as_ref().is_none_or(|wanted| wanted.iter().any(|name| issue.labels.contains(*name))))
        .collect();
    order(&mut list, arguments);
    pull_connection(found, list, arguments)
}

fn pull_connection<'a>(found: &'a Repository, list: Vec<&'a Issue>, arguments: &Arguments) -> Answer<'a> {
    let things = list.into_iter().filter_map(|issue| Some(Thing::Pull(found, issue, issue.pull.as_ref()?)));
    connection("PullRequestConnection", things.collect(), arguments)
}

fn ref_field<'a>(walk: &Walk<'a>, found: &'a Repository, reference: &str, target: &str, name: &str) -> Answer<'a> {
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
            let people = people.map(|person| Thing::GitActor { name: person.name, email: person.email, date });
            connection("GitActorConnection", people.collect(), arguments)
        }
        "parents" => {
            let parents = commit.parent_ids().map(|parent| Thing::Object(found, "Commit", parent));
            connection("CommitConnection", parents.collect(), arguments)
        }
        "associatedPullRequests" => pull_connection(found, associated(walk.call, &found.key(), &git, id), arguments),
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
            let app = walk.call.state.users.get(&run.app).map(|user| user.id);
            let mut runs: Vec<&CheckRun> = found
                .check_runs
                .values()
                .filter(|run| run.suite == id)
                .filter(|run| filter["checkName"].as_str().is_none_or(|name| run.name == name))
                .filter(|run| filter["status"].as_str().is_none_or(|status| run.status.eq_ignore_ascii_case(status)))
                .filter(|_| filter["appId"].as_u64().is_none_or(|id| app == Some(id)))
                .collect();
            if filter["checkType"].as_str() == Some("LATEST") {
                let later = |run: &CheckRun| runs.iter().any(|other| other.name == run.name && other.id > run.id);
                let latest: Vec<&CheckRun> = runs.iter().copied().filter(|run| !later(run)).collect();
                runs = latest;
            }
            connection("CheckRunConnection", runs.into_iter().map(|run| Thing::CheckRun(found, run)).collect(), arguments)
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

/// The fields that issues and pull requests share.
fn issue_field<'a>(
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
                };
                wanted.as_ref().is_none_or(|wanted| wanted.contains(&name))
            };
            let events = issue.events.iter().filter(shown).map(Thing::Event).collect();
            let type_name = match issue.pull {
                Some(_) => "PullRequestTimelineItemsConnection",
                None => "IssueTimelineItemsConnection",
            };
            connection(type_name, events, arguments)
        }
    }
}

fn pull_field<'a>(
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
            let ids = git.zip(range.ok()).and_then(|(git, (base, head))| objects::commits_between(&git, base, head).ok());
            let commits = ids.unwrap_or_default().into_iter().map(|id| Thing::PullCommit(found, id));
            connection("PullRequestCommitConnection", commits.collect(), arguments)
        }
        "reviews" => {
            let (states, author) = (words(arguments, "states"), arguments.get("author").and_then(Value::as_str));
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
            let teams = pull.requested_teams.iter().filter_map(|slug| owner?.teams.get(slug)).map(Thing::Team);
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
            if *answer { "MERGEABLE" } else { "CONFLICTING" }
        }
        _ => {
            walk.asked.borrow_mut().push((found.key(), issue.number));
            "UNKNOWN"
        }
    }
}

fn review_field<'a>(walk: &Walk<'a>, found: &'a Repository, review: &'a Review, name: &str) -> Answer<'a> {
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

fn comment_field<'a>(
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
