//! Does Chandlery act as a GitHub App? With its key, and with no more than each purpose needs.

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use crate::{
    scenarios,
    world::{Repo, World, local::Local, reconcile, simulated::Simulated},
};

const ID: u64 = 4711;

/// What the manifest asks for.
pub(crate) const PERMISSIONS: [(&str, &str); 7] = [
    ("checks", "write"),
    ("contents", "write"),
    ("issues", "write"),
    ("members", "read"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("statuses", "read"),
];

fn exchanges(record: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(record).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_app_tells_the_same_story_with_tokens_that_reach_no_further_than_they_must() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("exchanges.jsonl");
    let story = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenarios/form-to-catalog.txt"),
    )
    .unwrap();
    let mut world = Local::as_app(ID, &PERMISSIONS, &record);
    assert_eq!(scenarios::play(&mut world, &story), scenarios::play(&mut Simulated::new(), &story));

    let minted: Vec<Value> = exchanges(&record)
        .into_iter()
        .filter(|exchange| exchange["path"].as_str().unwrap().ends_with("/access_tokens"))
        .map(|exchange| exchange["request"].clone())
        .collect();
    let read = json!({ "permissions": {
        "checks": "read", "contents": "read", "issues": "read", "members": "read", "pull_requests": "read",
        "statuses": "read",
    }});
    let catalog = json!({ "permissions": {
        "checks": "write", "contents": "write", "issues": "write", "pull_requests": "write",
    }, "repositories": ["catalog"] });
    let target = json!({ "permissions": {
        "checks": "write", "contents": "write", "pull_requests": "write",
    }, "repositories": ["infra"] });
    let wanted: BTreeSet<String> = [read, catalog, target].iter().map(Value::to_string).collect();
    let found: BTreeSet<String> = minted.iter().map(Value::to_string).collect();
    assert_eq!(found, wanted);
    assert_eq!(minted.len(), 3, "each is made once and kept: {minted:#?}");
    // Judged with the other exchanges of the suite.
    if let Some(folder) = std::env::var_os("CHANDLERY_RECORD") {
        std::fs::copy(&record, Path::new(&folder).join("identity.jsonl")).unwrap();
    }
}

/// A person makes no check runs, so commit statuses say what they would: the stories go as with an App.
#[test]
fn with_a_persons_token_commit_statuses_tell_the_same_stories() {
    let folder = tempfile::tempdir().unwrap();
    for (index, name) in ["form-to-catalog", "stale-approvals", "moved-target", "edited-after-the-merge"]
        .into_iter()
        .enumerate()
    {
        let record = folder.path().join(format!("{name}.jsonl"));
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/it/scenarios/{name}.txt"));
        let story = std::fs::read_to_string(path).unwrap();
        let mut world = Local::as_person("robot", &record);
        let expected = scenarios::play(&mut Simulated::new(), &story).replace("chandlery[bot]", "robot");
        assert_eq!(
            scenarios::play(&mut world, &story.replace("chandlery[bot]", "robot")),
            expected,
            "{name}"
        );

        let exchanges = exchanges(&record);
        let of = |method: &str, part: &str| {
            let is_one = |one: &&Value| {
                one["method"] == method && one["path"].as_str().is_some_and(|path| path.contains(part))
            };
            exchanges.iter().filter(is_one).cloned().collect::<Vec<_>>()
        };
        let stories: std::collections::BTreeSet<String> =
            of("POST", "/check-runs").iter().map(|one| one["status"].to_string()).collect();
        assert_eq!(stories, ["403".to_owned()].into());
        let statuses = of("POST", "/statuses/");
        let contexts: BTreeSet<&str> =
            statuses.iter().filter_map(|one| one["request"]["context"].as_str()).collect();
        assert_eq!(contexts, ["chandlery", "chandlery/plan"].into());
        if let (Some(folder), 0) = (std::env::var_os("CHANDLERY_RECORD"), index) {
            std::fs::copy(&record, Path::new(&folder).join("person.jsonl")).unwrap();
        }
    }
}

/// The rules that `init` recommends and signatures on top, with nobody let by: what GitHub makes and signs for the App
/// goes in by pull requests. Pushed straight, it is refused.
#[test]
fn in_a_strict_catalog_verified_commits_and_records_by_pull_request_get_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = Local::as_app(ID, &PERMISSIONS, &folder.path().join("exchanges.jsonl"));
    let deed = |world: &mut Local, text: &str| assert!(world.deed(&text.parse().unwrap()), "{text}");
    let init = std::process::Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args(["init", "--repository", "acme/catalog", "--app-id", &ID.to_string()])
        .arg(folder.path().join("new"))
        .output()
        .unwrap();
    assert!(init.status.success());
    let file = folder.path().join("new/.github/rulesets/default-branch.json");
    let mut ruleset: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    ruleset["bypass_actors"] = json!([]);
    ruleset["rules"].as_array_mut().unwrap().push(json!({ "type": "required_signatures" }));
    deed(&mut world, "ada sets-mode by-both");
    deed(&mut world, "dan files create-bucket name=logs");
    let (status, answer) = world.tries("ada", "POST", "/api/v3/repos/acme/catalog/rulesets", &ruleset);
    assert_eq!(status, 201, "{answer}");

    assert!(reconcile(&mut world).left.is_empty());
    deed(&mut world, "bo approves catalog#2");
    assert!(reconcile(&mut world).left.is_empty());
    deed(&mut world, "dan merges catalog#2");
    assert!(reconcile(&mut world).left.is_empty());
    deed(&mut world, "ada merges infra#1");
    let report = reconcile(&mut world);
    assert!(report.left.is_empty() && report.waits.is_empty(), "{report:#?}");
    let seen = crate::world::view(&mut world);
    assert!(seen.contains("run issue-1 success approved by [bo]"), "{seen}");
    assert!(seen.contains("catalog#3 by chandlery[bot] merged, check success"), "{seen}");
    let ours = world.get(Repo::Catalog, "pulls/3/commits").unwrap();
    assert_eq!(ours[0]["commit"]["verification"]["verified"], true, "{ours:#}");
}

#[test]
fn a_token_is_made_anew_before_it_ends_and_when_it_was_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("exchanges.jsonl");
    let mut world = Local::as_app(ID, &PERMISSIONS, &record);
    let minted = || {
        exchanges(&record)
            .iter()
            .filter(|one| one["path"].as_str().unwrap().ends_with("/access_tokens"))
            .count()
    };
    assert!(reconcile(&mut world).stopped.is_none());
    assert_eq!(minted(), 1);
    world.control("POST", "clock", &json!({ "advanceSeconds": 3_300 }));
    // The time is heard with the first answer, and the token changed from the next call on.
    assert!(reconcile(&mut world).stopped.is_none());
    assert!(reconcile(&mut world).stopped.is_none());
    assert_eq!(minted(), 2);
    let fault =
        json!({ "path": "^/api/graphql$", "times": 1, "action": { "kind": "failBefore", "status": 401 } });
    world.control("POST", "faults", &fault);
    assert!(reconcile(&mut world).stopped.is_none());
    assert_eq!(minted(), 3);
}

#[test]
fn what_the_app_lacks_is_named_with_its_cure() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("exchanges.jsonl");
    let fewer: Vec<_> = PERMISSIONS.into_iter().filter(|(name, _)| *name != "checks").collect();
    let mut world = Local::as_app(ID, &fewer, &record);
    let stopped = format!("{:?}", reconcile(&mut world).stopped);
    assert!(stopped.contains("the App may not read `checks` at acme: give it that permission"), "{stopped}");

    // It may read everything, and write no checks.
    let weaker: Vec<_> = PERMISSIONS
        .into_iter()
        .map(|(name, word)| (name, if name == "checks" { "read" } else { word }))
        .collect();
    let mut world = Local::as_app(ID, &weaker, &record);
    assert!(world.deed(&"dan files create-bucket name=logs".parse().unwrap()));
    let report = reconcile(&mut world);
    let left = format!("{:?}", report.left);
    assert!(left.contains("the App may not write `checks` at acme"), "{left}");
}

#[test]
fn another_key_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("exchanges.jsonl");
    let mut world = Local::as_app(ID, &PERMISSIONS, &record);
    let (other, _) = crate::world::local::key_pair();
    let file = folder.path().join("key.pem");
    std::fs::write(&file, other).unwrap();
    let run = |key: &Path| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .args([
                "reconcile",
                "--repository",
                "acme/catalog",
                "--app-id",
                &ID.to_string(),
                "--app-key-file",
            ])
            .arg(key)
            .args(["--api-url", &format!("{}/api/v3", world.url()), "--cache"])
            .arg(folder.path().join("cache"))
            .env_remove("CHANDLERY_TOKEN")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run(&file);
    assert!(code == Some(3) && said.contains("A JSON web token could not be decoded"), "{code:?} {said}");
    std::fs::write(&file, "not a key").unwrap();
    let (code, said) = run(&file);
    assert!(code == Some(3) && said.contains("the App's private key cannot be read"), "{code:?} {said}");
    assert!(!said.contains("not a key"));
    assert!(reconcile(&mut world).stopped.is_none());
}

/// Options, variables, the exit code, and what is said.
type Careless<'a> = (&'a [&'a [&'a str]], &'a [(&'a str, &'a str)], i32, &'a str);

/// Whoever sets it up carelessly is told what is wrong and what to do about it.
#[test]
fn careless_set_ups_are_answered_with_a_cure() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("exchanges.jsonl");
    let (world, key) = Local::as_app_with_key(ID, &PERMISSIONS, &record);
    let good = folder.path().join("key.pem");
    std::fs::write(&good, key).unwrap();
    let (api, good) = (format!("{}/api/v3", world.url()), good.to_str().unwrap().to_owned());
    let app = ["--app-id", "4711", "--app-key-file", &good];
    let (catalog, there) = (["--repository", "acme/catalog"], ["--api-url", &api]);
    let nowhere = ["--api-url", "http://127.0.0.1:1/api/v3"];
    let token = [("CHANDLERY_TOKEN", "made-up")];
    let rows: [Careless<'_>; 11] = [
        (&[], &[], 3, "no catalog is named; give --repository OWNER/NAME"),
        (&[&catalog, &there], &[], 3, "no token is given; set CHANDLERY_TOKEN"),
        (
            &[&["--repository", "acme"], &there, &app],
            &[],
            3,
            "`acme` is not a repository: it is written owner/name",
        ),
        (
            &[&["--repository", "acme/catalogue"], &there, &app],
            &[],
            3,
            "not installed on acme/catalogue, or there is no such repository",
        ),
        (
            &[&catalog, &there, &["--app-id", "4712"], &app[2..]],
            &[],
            3,
            "the App ID and the private key must be those of one App",
        ),
        (
            &[&catalog, &there, &["--app-id", "chandlery"]],
            &[],
            2,
            "the App ID is a number, which stands on the App's page; it is not its name",
        ),
        (
            &[&catalog, &there],
            &[("CHANDLERY_APP_ID", "chandlery")],
            3,
            "CHANDLERY_APP_ID is `chandlery`: the App ID is a number",
        ),
        (
            &[&catalog, &there, &app[..2]],
            &[],
            3,
            "the App's key is not given; set CHANDLERY_APP_KEY or name a file with --app-key-file",
        ),
        (&[&catalog, &there], &token, 3, "the token has ended, was revoked or is not whole"),
        (
            &[&catalog, &["--api-url", world.url()]],
            &token,
            3,
            "is this the address of an API? That of a GitHub Enterprise Server is https://HOST/api/v3",
        ),
        (&[&catalog, &nowhere], &token, 3, "is there a network, and is the address right?"),
    ];
    for (words, environment, code, told) in rows {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .arg("reconcile")
            .args(words.iter().copied().flatten())
            .current_dir(folder.path())
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("CHANDLERY_CACHE", folder.path().join("cache"))
            .envs(environment.iter().copied())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(told), "{words:?}: {said}");
    }
}
