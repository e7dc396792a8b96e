//! Does our client play on a GitHub that nobody here wrote?
//!
//! `emulate` answers as GitHub's REST API does, without GraphQL and without Git over HTTP, so no pass of
//! Chandlery can run on it. But an App signs in there, writes what our client writes, and hears of it by
//! webhook. The same story is told on the local forge, and where the two differ is written in
//! docs/emulate.md: a difference that is new wants to be judged by GitHub's documentation and written
//! there, and one that is gone to be struck out.

mod side;

use std::{collections::BTreeSet, process::Command};

use chandlery::{
    domain::{CheckId, Conclusion, RepoName},
    plan::{
        facts::{Answer, Question},
        step::Call,
    },
};
use serde_json::{Value, json};

use self::side::{Side, status_in};
use crate::{hook, world::local::key_pair};

/// Where the two answer differently: the step, the local forge, emulate, and why ours is as it is.
const KNOWN: &str = include_str!("../../docs/emulate.md");

/// What our client does must be done on both, so that they do not agree in refusing it.
const DONE: [&str; 12] = [
    "pull: opened",
    "comment: written",
    "comment: changed",
    "comment: removed",
    "comment: removed again",
    "check: begun",
    "check: ended",
    "reviewers: asked",
    "reviewers: a team that is none among them",
    "merge: the head",
    "closing: closed",
    "issue: closed",
];

/// A field as people read it.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// One field of each thing in a list.
fn names(list: &Value, field: &str) -> String {
    let names: Vec<&str> =
        list.as_array().into_iter().flatten().filter_map(|one| one[field].as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(" ") }
}

/// Everything that can be played on both.
async fn story(side: &mut Side) {
    let catalog = side.catalog.clone();
    who_is_who(side).await;
    let (number, head) = asked(side).await;
    written(side, number, &head).await;
    reviewed(side, number).await;
    merged(side, number).await;
    looked(side, &catalog).await;
    for what in [
        "issues opened by eve",
        "issues closed by chandlery[bot]",
        "issue_comment created by chandlery[bot]",
        "issue_comment edited by chandlery[bot]",
        "issue_comment deleted by chandlery[bot]",
        "pull_request opened by chandlery[bot]",
        "pull_request review_requested by chandlery[bot]",
        "pull_request synchronize by bo",
        "pull_request closed by chandlery[bot]",
        "pull_request_review submitted by bo",
        "check_run created by chandlery[bot]",
        "check_run completed by chandlery[bot]",
        "push - by bo",
    ] {
        let came = side.heard.hears(&format!("{what}, signed"));
        side.note(&format!("webhook: {what}"), if came { "came, signed" } else { "never came" });
    }
}

/// The App gets its tokens, people their roles.
async fn who_is_who(side: &mut Side) {
    let catalog = side.catalog.clone();
    let (read, write) = (side.reader.git_token(&catalog).await, side.writer.git_token(&catalog).await);
    side.note(
        "App: its tokens",
        match (&read, &write) {
            (Ok(_), Ok(_)) => "both were made".to_owned(),
            (read, write) => format!("{:?} {:?}", read.as_ref().err(), write.as_ref().err()),
        },
    );
    let elsewhere: RepoName = "acme/other".parse().unwrap();
    let elsewhere = side.writer.git_token(&elsewhere).await;
    side.note(
        "App: where it is not installed",
        elsewhere.map_or_else(|error| error.to_string(), |_| "made".to_owned()),
    );
    let read = read.unwrap();
    let (status, _) =
        side.with(read.expose(), "POST /repos/acme/catalog/issues", json!({ "title": "x" })).await;
    side.note("App: writes with the token that reads", status);
    let (status, _) = side.with(read.expose(), "GET /user", Value::Null).await;
    side.note("App: has a user", status);
    let (status, _) = side.with("nonsense", "GET /user", Value::Null).await;
    side.note("a token that is none", status);
    let (status, _) = side.with("", "GET /repos/acme/other", Value::Null).await;
    side.note("nobody looks at what is private", status);
    let (status, _) = side.tries("zoe", "GET /repos/acme/other", Value::Null).await;
    side.note("a stranger looks at what is private", status);

    side.asks("roles: given by the owner", "ada", "PUT /collaborators/bo", json!({ "permission": "push" }))
        .await;
    side.asks("roles: given by a stranger", "zoe", "PUT /collaborators/zoe", json!({ "permission": "push" }))
        .await;
    let team = json!({ "name": "platform" });
    let (status, team) = side.tries("ada", "POST /orgs/acme/teams", team).await;
    side.note("team: made", format!("{status} {}", word(&team["slug"])));
    let (status, _) =
        side.tries("ada", "PUT /orgs/acme/teams/platform/memberships/bo", json!({ "role": "member" })).await;
    side.note("team: joined", status);
    let (status, _) = side
        .tries("ada", "PUT /orgs/acme/teams/platform/repos/acme/catalog", json!({ "permission": "push" }))
        .await;
    side.note("team: may write", status);

    let config = json!({ "url": side.heard.url, "content_type": "json", "secret": hook::SECRET });
    let events = ["issues", "issue_comment", "pull_request", "pull_request_review", "check_run", "push"];
    side.asks(
        "webhook: made",
        "ada",
        "POST /hooks",
        json!({ "name": "web", "events": events, "config": config }),
    )
    .await;
}

/// eve files an issue; bo brings a commit; we open a pull request from it.
async fn asked(side: &mut Side) -> (u64, String) {
    let issue = json!({ "title": "Please", "body": "### Action\n\nx", "labels": ["wish"] });
    let issue = side.asks("issue: filed by who may read", "eve", "POST /issues", issue).await;
    side.note(
        "issue: filed, and then",
        format!(
            "{} {} {}",
            word(&issue["number"]),
            word(&issue["state"]),
            word(&issue["author_association"])
        ),
    );
    side.note("issue: the label of who may not label", names(&issue["labels"], "name"));
    side.asks("issue: edited by its author", "eve", "PATCH /issues/1", json!({ "body": "### Action\n\ny" }))
        .await;
    side.asks("issue: edited by a stranger", "zoe", "PATCH /issues/1", json!({ "body": "mine" })).await;
    side.asks("issue: none there", "eve", "GET /issues/99", Value::Null).await;

    let main = side.does("bo", "GET /git/ref/heads/main", Value::Null).await["object"]["sha"].clone();
    let blob = json!({ "content": "action: x\n", "encoding": "utf-8" });
    let blob = side.does("bo", "POST /git/blobs", blob).await["sha"].clone();
    side.note("git: a blob", word(&blob));
    let entry = json!({ "path": "requests/r/request.yaml", "mode": "100644", "type": "blob", "sha": blob });
    let base = side.does("bo", &format!("GET /git/commits/{}", main.as_str().unwrap()), Value::Null).await["tree"]["sha"].clone();
    let tree = side.does("bo", "POST /git/trees", json!({ "base_tree": base, "tree": [entry] })).await["sha"]
        .clone();
    side.note("git: a tree", word(&tree));
    let commit = json!({ "message": "Ask", "tree": tree, "parents": [main] });
    let commit = side.does("bo", "POST /git/commits", commit).await;
    side.note("git: a commit names", word(&commit["author"]["name"]));
    let head = commit["sha"].as_str().unwrap().to_owned();
    let ask = json!({ "ref": "refs/heads/ask", "sha": head });
    side.asks("git: a branch", "bo", "POST /git/refs", ask.clone()).await;
    side.asks("git: a branch that is there", "bo", "POST /git/refs", ask).await;
    side.asks(
        "git: a branch of nothing",
        "bo",
        "POST /git/refs",
        json!({ "ref": "refs/heads/no", "sha": "0".repeat(40) }),
    )
    .await;
    side.asks(
        "git: a branch by who may only read",
        "eve",
        "POST /git/refs",
        json!({ "ref": "refs/heads/no", "sha": head }),
    )
    .await;
    side.asks("git: no such branch", "bo", "GET /git/ref/heads/none", Value::Null).await;

    let open = || Call::OpenPull {
        repository: "acme/catalog".parse().unwrap(),
        branch: "ask".parse().unwrap(),
        base: "main".parse().unwrap(),
        title: "Ask".to_owned(),
        body: "b".to_owned(),
        draft: false,
    };
    side.acts("pull: opened", open()).await;
    side.acts("pull: opened again", open()).await;
    let listed = side.does("ada", "GET /pulls?state=all&head=acme:ask", Value::Null).await;
    let listed = listed.as_array().unwrap();
    side.note("pull: how many from the branch", listed.len());
    let pull = listed.last().unwrap();
    let number = pull["number"].as_u64().unwrap();
    side.note(
        "pull: its number and author",
        format!("{number} {} {}", word(&pull["user"]["login"]), word(&pull["user"]["type"])),
    );
    side.note("pull: its head", pull["head"]["sha"] == head.as_str());
    (number, head)
}

/// Our client comments, checks and asks for reviews.
async fn written(side: &mut Side, number: u64, head: &str) {
    let repository = side.catalog.clone();
    let say = |body: &str, comment| Call::Say {
        repository: "acme/catalog".parse().unwrap(),
        number,
        body: body.to_owned(),
        comment,
    };
    side.acts("comment: written", say("<!-- chandlery -->\nhello", None)).await;
    side.acts("comment: written twice", say("<!-- chandlery -->\nhello", None)).await;
    let comments = side.does("ada", &format!("GET /issues/{number}/comments"), Value::Null).await;
    let ids: Vec<u64> = comments.as_array().unwrap().iter().filter_map(|one| one["id"].as_u64()).collect();
    side.note("comment: by whom", word(&comments[0]["user"]["login"]));
    side.acts("comment: changed", say("<!-- chandlery -->\nchanged", Some(ids[0]))).await;
    side.acts("comment: removed", Call::Unsay { repository: repository.clone(), comment: ids[1] }).await;
    side.acts("comment: removed again", Call::Unsay { repository: repository.clone(), comment: ids[1] })
        .await;
    let comments = side.does("ada", &format!("GET /issues/{number}/comments"), Value::Null).await;
    side.note(
        "comment: at the end",
        format!("{} {}", comments.as_array().unwrap().len(), word(&comments[0]["body"])),
    );

    let check = |conclusion, run| Call::Check {
        repository: "acme/catalog".parse().unwrap(),
        commit: head.parse().unwrap(),
        name: "chandlery".to_owned(),
        external_id: "key".to_owned(),
        conclusion,
        title: "waits".to_owned(),
        summary: "for bo".to_owned(),
        text: Some("log".to_owned()),
        run,
    };
    side.acts("check: begun", check(None, None)).await;
    let runs = side.does("ada", &format!("GET /commits/{head}/check-runs"), Value::Null).await;
    let run = &runs["check_runs"][0];
    side.note(
        "check: begun, and then",
        format!(
            "{} {} {} {}",
            word(&run["name"]),
            word(&run["status"]),
            word(&run["external_id"]),
            word(&run["app"]["slug"])
        ),
    );
    side.acts("check: ended", check(Some(Conclusion::Success), run["id"].as_u64().map(CheckId::Run))).await;
    let runs =
        side.does("ada", &format!("GET /commits/{head}/check-runs?check_name=chandlery"), Value::Null).await;
    side.note(
        "check: ended, and then",
        format!("{} {}", word(&runs["total_count"]), word(&runs["check_runs"][0]["conclusion"])),
    );
    let run = json!({ "name": "chandlery", "head_sha": head });
    side.asks("check: made by a person", "bo", "POST /check-runs", run).await;
    let status = json!({ "context": "chandlery", "state": "pending", "description": "waits" });
    side.asks("status: set by a person", "bo", &format!("POST /statuses/{head}"), status).await;
    side.asks("status: what they come to", "ada", &format!("GET /commits/{head}/status"), Value::Null).await;

    let ask = |users: &[&str], teams: &[&str]| Call::AskReviewers {
        repository: "acme/catalog".parse().unwrap(),
        number,
        users: users.iter().map(|user| user.parse().unwrap()).collect(),
        teams: teams.iter().map(|team| (*team).to_owned()).collect(),
    };
    side.acts("reviewers: asked", ask(&["bo"], &["platform"])).await;
    side.acts("reviewers: a team that is none among them", ask(&["bo"], &["nobody"])).await;
    let asked = side.does("ada", &format!("GET /pulls/{number}"), Value::Null).await;
    side.note(
        "reviewers: asked, and then",
        format!(
            "{} {}",
            names(&asked["requested_reviewers"], "login"),
            names(&asked["requested_teams"], "slug")
        ),
    );
    let body = json!({ "reviewers": ["zoe"] });
    side.asks("reviewers: a stranger", "bo", &format!("POST /pulls/{number}/requested_reviewers"), body)
        .await;
    let body = json!({ "reviewers": ["nobody-at-all"] });
    side.asks("reviewers: nobody", "bo", &format!("POST /pulls/{number}/requested_reviewers"), body).await;
}

/// What people say to it, and what becomes of that when more is pushed.
async fn reviewed(side: &mut Side, number: u64) {
    let reviews = format!("POST /pulls/{number}/reviews");
    let review = side.asks("review: approved", "bo", &reviews, json!({ "event": "APPROVE" })).await;
    side.note(
        "review: approved, and then",
        format!(
            "{} {} {}",
            word(&review["state"]),
            word(&review["user"]["login"]),
            review["submitted_at"].is_string()
        ),
    );
    side.asks("review: by who may only read", "eve", &reviews, json!({ "event": "APPROVE" })).await;
    side.asks("review: with no word of what", "bo", &reviews, json!({ "event": "REQUEST_CHANGES" })).await;
    side.asks("review: of another kind", "bo", &reviews, json!({ "event": "LGTM" })).await;
    let own = side.writer.git_token(&side.catalog).await.unwrap();
    let path = format!("POST /repos/acme/catalog/pulls/{number}/reviews");
    let (status, _) = side.with(own.expose(), &path, json!({ "event": "APPROVE" })).await;
    side.note("review: of one's own", status);

    let file = json!({ "message": "More", "content": "bW9yZQo=", "branch": "ask" });
    side.asks("pushed: more", "bo", "PUT /contents/more.txt", file.clone()).await;
    side.asks("pushed: over a file without naming it", "bo", "PUT /contents/more.txt", file).await;
    let pull = side.does("ada", &format!("GET /pulls/{number}"), Value::Null).await;
    let list = side.does("ada", &format!("GET /pulls/{number}/reviews"), Value::Null).await;
    let branch = side.does("ada", "GET /git/ref/heads/ask", Value::Null).await;
    side.note("pushed: the pull request has the new head", pull["head"]["sha"] == branch["object"]["sha"]);
    side.note("pushed: the review is of the head", list[0]["commit_id"] == pull["head"]["sha"]);
    side.note("pushed: the review stays", word(&list[0]["state"]));
    side.note("pushed: mergeable at once", word(&pull["mergeable"]));
}

/// The end of a pull request, one way or the other.
async fn merged(side: &mut Side, number: u64) {
    let repository = side.catalog.clone();
    let merge = |head: &str| Call::Merge {
        repository: "acme/catalog".parse().unwrap(),
        number,
        head: head.parse().unwrap(),
    };
    let head = side.does("ada", &format!("GET /pulls/{number}"), Value::Null).await["head"]["sha"].clone();
    side.acts("merge: another head than was judged", merge(&"1".repeat(40))).await;
    side.acts("merge: the head", merge(head.as_str().unwrap())).await;
    side.acts("merge: again", merge(head.as_str().unwrap())).await;
    let pull = side.does("ada", &format!("GET /pulls/{number}"), Value::Null).await;
    side.note(
        "merge: and then",
        format!("{} {} {}", word(&pull["state"]), word(&pull["merged"]), word(&pull["merged_by"]["login"])),
    );
    side.asks("merge: is it?", "ada", &format!("GET /pulls/{number}/merge"), Value::Null).await;
    let brought = pull["merge_commit_sha"].as_str().unwrap_or_default().to_owned();
    let main = side.does("ada", "GET /git/ref/heads/main", Value::Null).await;
    side.note("merge: main is at the merge commit", main["object"]["sha"] == brought.as_str());
    let commit = side.does("ada", &format!("GET /git/commits/{brought}"), Value::Null).await;
    side.note("merge: its parents", commit["parents"].as_array().unwrap().len());
    side.note("merge: its message", word(&commit["message"]).replace("\n\n", " / "));
    side.asks("merge: what brought the commit", "ada", &format!("GET /commits/{brought}/pulls"), Value::Null)
        .await;
    side.asks(
        "merge: approved afterwards",
        "bo",
        &format!("POST /pulls/{number}/reviews"),
        json!({ "event": "APPROVE" }),
    )
    .await;

    side.asks(
        "closing: a branch",
        "bo",
        "POST /git/refs",
        json!({ "ref": "refs/heads/second", "sha": head }),
    )
    .await;
    let file = json!({ "message": "Second", "content": "Mgo=", "branch": "second" });
    side.asks("closing: a commit", "bo", "PUT /contents/second.txt", file).await;
    let open = json!({ "title": "Second", "head": "second", "base": "main" });
    let second =
        side.asks("closing: a pull request", "bo", "POST /pulls", open).await["number"].as_u64().unwrap();
    side.acts("closing: closed", Call::ClosePull { repository, number: second }).await;
    side.asks("closing: opened again", "bo", &format!("PATCH /pulls/{second}"), json!({ "state": "open" }))
        .await;
    side.asks("closing: its branch goes", "bo", "DELETE /git/refs/heads/second", Value::Null).await;
    let pull = side.does("ada", &format!("GET /pulls/{second}"), Value::Null).await;
    side.note("closing: its branch went, and then", word(&pull["state"]));
    side.asks(
        "closing: merged by who may only read",
        "eve",
        &format!("PUT /pulls/{second}/merge"),
        json!({}),
    )
    .await;

    side.acts("issue: closed", Call::CloseIssue { number: 1, completed: true }).await;
    let issue = side.does("ada", "GET /issues/1", Value::Null).await;
    side.note(
        "issue: closed, and then",
        format!(
            "{} {} {}",
            word(&issue["state"]),
            word(&issue["state_reason"]),
            word(&issue["closed_by"]["login"])
        ),
    );
    side.asks("issue: locked", "bo", "PUT /issues/1/lock", json!({ "lock_reason": "resolved" })).await;
    side.asks(
        "issue: a comment where it is locked",
        "eve",
        "POST /issues/1/comments",
        json!({ "body": "but" }),
    )
    .await;
    let listed = side.does("ada", "GET /issues?state=all", Value::Null).await;
    let kinds = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| if one["pull_request"].is_object() { "pull" } else { "issue" });
    side.note("issue: listed with pulls", kinds.collect::<Vec<_>>().join(" "));
}

/// What our client learns without GraphQL, and what it does not.
async fn looked(side: &mut Side, catalog: &RepoName) {
    let shown = |answer: Answer| match answer {
        Answer::Permission(permission) => format!("{permission:?}"),
        Answer::Members(members) => format!("{members:?}"),
        Answer::Now(_) => "a time".to_owned(),
        Answer::Activity(activity) => format!("{} pushes", activity.len()),
        Answer::Unknown(why) => format!("unknown{}", status_in(&why)),
        other => format!("{other:?}"),
    };
    for who in ["ada", "bo", "eve", "zoe", "nobody-at-all"] {
        let answer = side.one(Question::Permission(catalog.clone(), who.parse().unwrap())).await;
        side.note(&format!("look: what {who} may do"), shown(answer));
    }
    let answer = side.one(Question::Members("acme/platform".to_owned())).await;
    side.note("look: who is in the team", shown(answer));
    let answer = side.one(Question::Members("acme/none".to_owned())).await;
    side.note("look: a team that is none", shown(answer));
    let answer = side.one(Question::Now).await;
    side.note("look: the time", shown(answer));
    let answer = side.one(Question::Activity(catalog.clone(), "ask".parse().unwrap())).await;
    side.note("look: what was pushed", shown(answer));
    let here = side.reader.here(catalog).await;
    side.note(
        "look: who we are",
        here.map_or_else(
            |error| format!("unknown{}", status_in(&error.to_string())),
            |here| here.me.to_string(),
        ),
    );
    let answer = side.one(Question::Pull(2)).await;
    side.note(
        "look: a pull request",
        match answer {
            Answer::Pull(Some(pull)) => {
                format!("by {}", pull.author.as_ref().map_or("nobody", |author| author.as_str()))
            }
            other => shown(other),
        },
    );
    let git = side.api.trim_end_matches("/api/v3").to_owned();
    let output = Command::new("git")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(["ls-remote", &format!("{git}/acme/catalog.git"), "refs/heads/main"])
        .output()
        .unwrap();
    side.note("git: over HTTP", if output.status.success() { "there" } else { "not there" });
}

/// The rows of the table: the step, what the local forge says, and what emulate says.
fn known() -> Vec<[String; 3]> {
    let rows = KNOWN.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.map(|row| {
        let cells: Vec<&str> =
            row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [step, here, there, why] = cells[..] else { panic!("a row has four cells: {row}") };
        assert!(!why.is_empty(), "{row}");
        [step, here, there].map(str::to_owned)
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_plays_on_a_github_that_nobody_here_wrote() {
    let (private, public) = key_pair();
    let (mut local, mut emulate) = (Side::local(&private, &public).await, Side::emulate(&private));
    story(&mut local).await;
    story(&mut emulate).await;

    assert_eq!(local.notes.len(), emulate.notes.len());
    for step in DONE {
        let seen = emulate.notes.iter().find(|(known, _)| known == step).map(|(_, seen)| seen.as_str());
        assert_eq!(seen, Some("done"), "{step}");
    }
    // What tokens our client asked for: one that reads, and one that writes in one repository.
    let (_, minted) = emulate.with("", "GET /_emulate/installation-tokens", Value::Null).await;
    let minted = minted["installation_tokens"].as_array().unwrap();
    let asked: Vec<String> = minted
        .iter()
        .map(|token| {
            let words: BTreeSet<String> =
                token["permissions"].as_object().unwrap().values().map(word).collect();
            let repositories = token["repository_ids"].as_array().unwrap().len();
            format!("{} in {repositories}", words.into_iter().collect::<Vec<_>>().join(" "))
        })
        .collect();
    assert_eq!(asked, ["read in 1", "write in 1"]);

    let pairs = local.notes.iter().zip(&emulate.notes);
    let found: Vec<[String; 3]> = pairs
        .filter(|((_, here), (_, there))| here != there)
        .map(|((step, here), (_, there))| [step.clone(), here.clone(), there.clone()])
        .collect();
    let known = known();
    let rows = |all: &[[String; 3]], but: &[[String; 3]]| {
        let rows = all
            .iter()
            .filter(|row| !but.contains(row))
            .map(|[step, here, there]| format!("| {step} | `{here}` | `{there}` |"));
        rows.collect::<Vec<_>>().join("\n")
    };
    let (new, gone) = (rows(&found, &known), rows(&known, &found));
    assert!(new.is_empty() && gone.is_empty(), "new differences:\n{new}\ndifferences that are gone:\n{gone}");
}
