//! Does the local forge bite where GitHub bites? Each story is a line of docs/local-forge.md.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::forge_helper::{TestForge, git};

const R: &str = "/repos/acme/catalog";

#[test]
fn an_approval_follows_the_head_to_text_that_nobody_read() {
    let forge = TestForge::start("repointed");
    let pull = format!("{R}/pulls/{}", forge.open("bo", "one"));
    let review = forge.post("di", &format!("{pull}/reviews"), json!({"event": "APPROVE"})).expect(200);
    let new = forge.write("bo", "one", "one.txt", "something else\n");
    let now = forge.get("bo", &format!("{pull}/reviews")).expect(200);
    assert_eq!((now.text("/0/state"), now.text("/0/commit_id")), ("APPROVED", new.as_str()));
    assert_eq!(now.text("/0/submitted_at"), review.text("/submitted_at"));
}

#[test]
fn edits_of_an_issue_are_kept_with_their_editor() {
    let forge = TestForge::start("edits");
    forge.post("cy", &format!("{R}/issues"), json!({"title": "Please", "body": "one"})).expect(201);
    forge.patch("bo", &format!("{R}/issues/1"), json!({"body": "two"})).expect(200);
    let query = r#"{ repository(owner: "acme", name: "catalog") { issue(number: 1) {
        author { login } editor { login }
        userContentEdits(first: 10) { nodes { editor { login } } pageInfo { hasNextPage } } } } }"#;
    assert_eq!(
        forge.graphql("bo", query)["data"]["repository"]["issue"],
        json!({
            "author": {"login": "cy"}, "editor": {"login": "bo"},
            "userContentEdits": {
                "nodes": [{"editor": {"login": "bo"}}, {"editor": {"login": "cy"}}],
                "pageInfo": {"hasNextPage": false},
            },
        })
    );
}

#[test]
fn deleted_issues_are_gone_and_transferred_ones_lead_on() {
    let forge = TestForge::start("gone");
    for title in ["one", "two"] {
        forge.post("bo", &format!("{R}/issues"), json!({"title": title})).expect(201);
    }
    forge.control("POST", "issues", json!({"repository": "acme/catalog", "number": 1})).expect(204);
    forge
        .control("POST", "issues", json!({"repository": "acme/catalog", "number": 2, "to": "acme/secret"}))
        .expect(204);
    forge.get("bo", &format!("{R}/issues/1")).expect(410);
    let moved = forge.get("bo", &format!("{R}/issues/2")).expect(301);
    assert!(moved.header("location").ends_with("/api/v3/repos/acme/secret/issues/1"));
    let answer = forge
        .graphql("bo", r#"{ repository(owner: "acme", name: "catalog") { issue(number: 1) { number } } }"#);
    assert_eq!(answer["data"]["repository"]["issue"], Value::Null);
    assert_eq!(answer["errors"][0]["type"], "NOT_FOUND");
}

#[test]
fn graphql_refuses_what_githubs_schema_refuses() {
    let forge = TestForge::start("graphql");
    for (inside, message) in [
        ("nonsense", "Field 'nonsense' doesn't exist on type 'Repository'"),
        (
            "issues { nodes { number } }",
            "You must provide a `first` or `last` value to properly paginate the `issues` connection.",
        ),
        (
            "issues(first: 101) { nodes { number } }",
            "Requesting 101 records on the `issues` connection exceeds the `first` limit of 100 records.",
        ),
        ("issues(first: 1, order: 2) { nodes { number } }", "Field 'issues' doesn't accept argument 'order'"),
        ("issue { number }", "Field 'issue' is missing required arguments: number"),
        (
            "issues(first: 100) { nodes { comments(first: 100) { nodes { author { login } } } userContentEdits(first: 100) { nodes { editedAt } } timelineItems(first: 100) { nodes { __typename } } labels(first: 100) { nodes { name } } } } \
             pullRequests(first: 100) { nodes { commits(first: 100) { nodes { commit { authors(first: 100) { nodes { email } } } } } } }",
            "This query requests up to 1050200 possible nodes which exceeds the maximum limit of 500000.",
        ),
    ] {
        let query = format!(r#"{{ repository(owner: "acme", name: "catalog") {{ {inside} }} }}"#);
        assert_eq!(forge.graphql("bo", &query)["errors"][0]["message"], message);
    }
    let ours = r#"query { viewer { login } b: repository(owner: "acme", name: "catalog") { defaultBranchRef { target { ... on Commit { author { user { login } } } } } } }"#;
    assert_eq!(
        forge.graphql("chandlery", ours)["data"],
        json!({"viewer": {"login": "chandlery[bot]"}, "b": {"defaultBranchRef": {"target": {"author": {"user": null}}}}})
    );
}

#[test]
fn an_app_has_another_login_in_graphql() {
    let forge = TestForge::start("bots");
    forge.post("chandlery", &format!("{R}/issues"), json!({"title": "By the App"})).expect(201);
    let query = r#"{ repository(owner: "acme", name: "catalog") { issue(number: 1) { author { login __typename } } } }"#;
    let author = forge.graphql("bo", query)["data"]["repository"]["issue"]["author"].clone();
    assert_eq!(author, json!({"login": "chandlery", "__typename": "Bot"}));
    assert_eq!(forge.get("bo", &format!("{R}/issues/1")).text("/user/login"), "chandlery[bot]");
}

#[test]
fn git_pushes_are_seen_and_rules_hold() {
    let mut forge = TestForge::start("git");
    let folder = forge.folder.path().to_owned();
    let work = folder.join("work");
    assert!(git(&folder, &["clone", "-q", &forge.remote("bo"), "work"]).0);
    std::fs::write(work.join("new.txt"), "new\n").unwrap();
    git(&work, &["add", "."]);
    git(&work, &["commit", "-qm", "New\n\nCo-authored-by: Di <di@users.noreply.github.com>"]);
    let (done, said) = git(&work, &["push", "origin", "HEAD:main", "HEAD:topic"]);
    assert!(!done && said.contains("GH006: Protected branch update failed for refs/heads/main."), "{said}");
    assert_eq!(
        forge.get("bo", &format!("{R}/git/ref/heads/topic")).expect(200).status,
        200,
        "the other ref went through"
    );
    assert!(!git(&work, &["push", &forge.remote("cy"), "HEAD:stranger"]).0);
    assert!(!git(&folder, &["clone", "-q", &format!("{}/acme/secret.git", forge.url), "nothing"]).0);

    let pull = forge
        .post("bo", &format!("{R}/pulls"), json!({"title": "T", "head": "topic", "base": "main"}))
        .expect(201);
    let first = pull.text("/head/sha").to_owned();
    git(&work, &["commit", "-q", "--amend", "-m", "Other"]);
    assert!(git(&work, &["push", "-qf", "origin", "HEAD:topic"]).0);
    let now = forge.get("bo", &format!("{R}/pulls/1")).expect(200);
    assert_ne!(now.text("/head/sha"), first);
    let log = forge.get("bo", &format!("{R}/activity?per_page=1")).expect(200);
    assert_eq!((log.text("/0/activity_type"), log.text("/0/before")), ("force_push", first.as_str()));

    forge.restart();
    assert!(git(&work, &["fetch", "-q", &forge.remote("bo"), "refs/pull/1/head"]).0);
    assert!(!git(&work, &["push", &forge.remote("bo"), "HEAD:refs/pull/1/head"]).0);
    assert!(git(&work, &["push", "-q", &forge.remote("chandlery"), "HEAD:main"]).0);
    let merged = forge.get("bo", &format!("{R}/pulls/1")).expect(200);
    assert_eq!(
        (merged.body["merged"].clone(), merged.text("/merged_by/login")),
        (true.into(), "chandlery[bot]")
    );
}

#[test]
fn a_deleted_or_emptied_branch_closes_its_pull_request() {
    let forge = TestForge::start("closing");
    let (one, two) = (forge.open("bo", "one"), forge.open("bo", "two"));
    forge.delete("bo", &format!("{R}/git/refs/heads/one")).expect(204);
    let main = forge.get("bo", &format!("{R}/git/ref/heads/main")).text("/object/sha").to_owned();
    forge.patch("bo", &format!("{R}/git/refs/heads/two"), json!({"sha": main, "force": true})).expect(200);
    for number in [one, two] {
        let pull = forge.get("bo", &format!("{R}/pulls/{number}")).expect(200);
        assert_eq!((pull.text("/state"), &pull.body["merged"]), ("closed", &Value::from(false)));
    }
    forge.patch("bo", &format!("{R}/pulls/{one}"), json!({"state": "open"})).expect(422);
}

#[test]
fn every_event_has_a_second_of_its_own() {
    let forge = TestForge::start("clock");
    let times: Vec<String> = (0..5)
        .map(|_| {
            forge.post("bo", &format!("{R}/issues"), json!({"title": "x"})).text("/created_at").to_owned()
        })
        .collect();
    assert!(times.is_sorted_by(|earlier, later| earlier < later), "{times:?}");
    let before = forge.get("bo", &format!("{R}/issues/1")).text("/created_at").to_owned();
    forge.control("POST", "clock", json!({"advance_seconds": 86_400 * 365})).expect(200);
    let later =
        forge.post("bo", &format!("{R}/issues"), json!({"title": "x"})).text("/created_at").to_owned();
    assert_eq!(later[..4].parse::<u32>().unwrap(), before[..4].parse::<u32>().unwrap() + 1);
}

#[test]
fn faults_meet_what_they_name() {
    let forge = TestForge::start("faults");
    let issues = format!("{R}/issues");
    let set = |action: Value| {
        forge.control("DELETE", "faults", Value::Null);
        forge
            .control(
                "POST",
                "faults",
                json!({"method": "POST", "path": "/issues$", "times": 1, "action": action}),
            )
            .expect(201);
    };
    let file =
        || forge.try_request("bo", "POST", &format!("/api/v3{issues}"), &[], Some(&json!({"title": "x"})));
    let count = || forge.get("bo", &issues).body.as_array().unwrap().len();

    set(json!({"kind": "failBefore", "status": 503}));
    assert_eq!((file().unwrap().status, count()), (503, 0));
    set(json!({"kind": "failAfter", "status": 502}));
    assert_eq!((file().unwrap().status, count()), (502, 1));
    set(json!({"kind": "dropBefore"}));
    assert!(file().is_err());
    assert_eq!(count(), 1);
    set(json!({"kind": "dropAfter"}));
    assert!(file().is_err());
    assert_eq!(count(), 2);
    set(json!({"kind": "delay", "milliseconds": 50}));
    let started = Instant::now();
    file().unwrap().expect(201);
    assert!(started.elapsed() >= Duration::from_millis(50));
    set(json!({"kind": "rateLimit"}));
    let spent = file().unwrap().expect(403);
    assert_eq!(spent.header("x-ratelimit-remaining"), "0");
    set(json!({"kind": "secondaryRateLimit", "status": 429, "retryAfterSeconds": 7}));
    assert_eq!(file().unwrap().expect(429).header("retry-after"), "7");
    file().unwrap().expect(201);
    assert_eq!(forge.control("GET", "faults", Value::Null).number("/0/met"), 1);
}

#[test]
fn lists_may_lag_one_change_behind() {
    let forge = TestForge::start("lag");
    let issues = format!("{R}/issues");
    forge.post("bo", &issues, json!({"title": "one"})).expect(201);
    let lag = json!({"method": "GET", "path": "/issues$", "times": 2, "action": {"kind": "lag"}});
    forge.control("POST", "faults", lag).expect(201);
    forge.post("bo", &issues, json!({"title": "two"})).expect(201);
    let seen: Vec<usize> = (0..3).map(|_| forge.get("bo", &issues).body.as_array().unwrap().len()).collect();
    assert_eq!(seen, [1, 1, 2]);
}

#[test]
fn webhooks_are_signed_and_may_be_lost_or_repeated() {
    let forge = TestForge::start("webhooks");
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = json!({"url": format!("http://{}/", receiver.local_addr().unwrap()), "content_type": "json", "secret": "s"});
    forge.post("ada", &format!("{R}/hooks"), json!({"events": ["issues"], "config": config})).expect(201);
    let file = |title: &str, action: Option<&str>| {
        forge.control("DELETE", "faults", Value::Null);
        if let Some(kind) = action {
            forge.control("POST", "faults", json!({"action": {"kind": kind}})).expect(201);
        }
        forge.post("bo", &format!("{R}/issues"), json!({"title": title})).expect(201);
    };
    file("lost", Some("loseWebhooks"));
    file("twice", Some("repeatWebhooks"));
    file("once", None);
    let mut heard = Vec::new();
    for _ in 0..3 {
        let (mut stream, _) = receiver.accept().unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4096];
        while !text.ends_with("}}") {
            let count = stream.read(&mut buffer).unwrap();
            text += std::str::from_utf8(&buffer[..count]).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        assert!(text.contains("x-github-event: issues\r\n") && text.contains("x-hub-signature-256: sha256="));
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        heard.push(body["issue"]["title"].as_str().unwrap().to_owned());
    }
    assert_eq!(heard, ["twice", "twice", "once"]);
}

#[test]
fn exchanges_are_counted_by_operation() {
    let forge = TestForge::start("counts");
    forge.control("DELETE", "exchanges", Value::Null).expect(204);
    forge.post("bo", &format!("{R}/issues"), json!({"title": "x"})).expect(201);
    forge.get("bo", &format!("{R}/issues/1")).expect(200);
    forge.graphql("bo", "{ viewer { login } }");
    let counts = forge.control("GET", "exchanges", Value::Null).body;
    assert_eq!(
        (&counts["rest"], &counts["contentCreating"], &counts["graphql"]),
        (&json!(2), &json!(1), &json!(1))
    );
    assert_eq!(counts["operations"]["GET /repos/{owner}/{repo}/issues/{number}"], 1);
}
