//! What does a killed reconciler leave behind? Nothing that the next one does not finish.
//!
//! In each pass of a story, from the form to the record, `chandlery reconcile` is killed at every
//! call of the API and at every push: before the forge acted and, where something changes, after
//! it acted and before it told. The reconciler that comes next must bring the catalog, the target
//! and all that people see to where they are when nobody was killed, and then find nothing to do.

use std::{
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::world::{
    Repo, World, fixture,
    local::{Local, token},
    reconcile, view,
};

/// The deed before each pass.
const STORY: [&str; 4] = [
    "dan files create-bucket name=logs size=3",
    "bo approves catalog#2",
    "dan merges catalog#2",
    "bo merges infra#1 squash",
];

/// What a kill can meet: method (any when empty), path, and whether the forge has acted.
const POINTS: [(&str, &str, bool); 6] = [
    ("", "^/api/|git-receive-pack$", false),
    ("POST", "^/api/v3/", true),
    ("PATCH", "^/api/v3/", true),
    ("PUT", "^/api/v3/", true),
    ("DELETE", "^/api/v3/", true),
    ("POST", "git-receive-pack$", true),
];

/// How long the forge holds a request whose sender is to be killed.
const HELD: u64 = 60_000;

fn reconciler(world: &Local) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
    command
        .args(["reconcile", "--format", "json", "--repository", fixture::CATALOG])
        .args(["--api-url", &format!("{}/api/v3", world.url())])
        .arg("--cache")
        .arg(world.folder().join("cache"))
        .env("CHANDLERY_TOKEN", token(fixture::ME))
        .stdin(Stdio::null());
    command
}

/// Lets a reconciler pass; how many acts it took.
fn passes(world: &Local) -> u64 {
    let output = reconciler(world).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str::<Value>(&told).unwrap()["acts"].as_u64().unwrap()
}

fn fault(point: (&str, &str, bool), nth: usize, milliseconds: u64) -> Value {
    let (method, path, after) = point;
    let times = (milliseconds > 0).then_some(1);
    let action = json!({ "kind": "delay", "milliseconds": milliseconds, "after": after });
    let method = (!method.is_empty()).then_some(method);
    json!({ "method": method, "path": path, "nth": nth, "times": times, "action": action })
}

/// Starts a reconciler, waits until the forge holds its `nth` request of this kind, and kills it.
/// False when it came to its end before, having asked less than others.
fn killed(world: &Local, point: (&str, &str, bool), nth: usize) -> bool {
    world.control("POST", "faults", &fault(point, nth, HELD));
    let mut child =
        reconciler(world).process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let reached = loop {
        if world.control("GET", "waiting", &Value::Null)["waiting"] != 0 {
            break true;
        }
        if child.try_wait().unwrap().is_some() {
            break false;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    if reached {
        kill(&mut child);
    }
    world.control("DELETE", "faults", &Value::Null);
    reached
}

/// As when its machine goes down: git, which it started, goes with it.
fn kill(child: &mut Child) {
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-KILL", "--", &group]).status().unwrap().success());
    child.wait().unwrap();
}

/// All that there is: what people see, the files of both repositories, and the commits of the catalog.
fn everything(world: &mut Local) -> String {
    let mut told = view(world);
    for at in [Repo::Catalog, Repo::Infra] {
        let tree = world.get(at, "git/trees/main?recursive=1").unwrap();
        for entry in tree["tree"].as_array().unwrap() {
            told.push_str(&format!("{} {} {}\n", at.name(), entry["path"], entry["sha"]));
        }
        let commits = world.get(at, "commits?sha=main&per_page=100").unwrap();
        for commit in commits.as_array().unwrap() {
            told.push_str(&format!("{} {}\n", at.name(), commit["commit"]["message"]));
        }
    }
    told
}

/// The world right before pass number `number`.
fn before(number: usize) -> tempfile::TempDir {
    let mut world = Local::new();
    for (index, deed) in STORY.iter().enumerate().take(number + 1) {
        assert!(world.deed(&deed.parse().unwrap()), "{deed}");
        if index < number {
            let report = reconcile(&mut world);
            assert!(report.left.is_empty() && report.stopped.is_none(), "{report:#?}");
        }
    }
    world.saved()
}

/// What there is when nobody is killed, and how many requests of each kind it takes.
fn undisturbed(saved: &Path) -> (String, Vec<usize>) {
    let mut world = Local::resumed(saved);
    for point in POINTS {
        world.control("POST", "faults", &fault(point, 1, 0));
    }
    passes(&world);
    let shown = world.control("GET", "faults", &Value::Null);
    let counts = shown.as_array().unwrap().iter().map(|fault| fault["met"].as_u64().unwrap() as usize);
    let counts = counts.collect();
    world.control("DELETE", "faults", &Value::Null);
    (everything(&mut world), counts)
}

/// Kills at every point of a pass, once each.
fn crash(number: usize) {
    let saved = before(number);
    let (expected, counts) = undisturbed(saved.path());
    let (mut kills, mut missed, mut wrong) = (0, 0, Vec::new());
    for (point, count) in POINTS.into_iter().zip(&counts) {
        for nth in 1..=*count {
            let mut world = Local::resumed(saved.path());
            if !killed(&world, point, nth) {
                missed += 1;
                continue;
            }
            kills += 1;
            passes(&world);
            let found = everything(&mut world);
            let again = passes(&world);
            if found != expected || again != 0 {
                let diff = similar::TextDiff::from_lines(&expected, &found).unified_diff().to_string();
                wrong.push(format!("killed at {point:?} number {nth}; then {again} acts were left\n{diff}"));
            }
        }
    }
    println!("pass {}: {kills} kills, requests {counts:?}", number + 1);
    assert!(wrong.is_empty(), "{} of {kills}:\n{}", wrong.len(), wrong.join("\n"));
    // Calls that go out together come in any order, so that the last may be one fewer.
    assert!(kills > 10 && missed <= 3, "{kills} kills, {missed} points were not reached");
}

#[test]
fn a_job_of_github_actions_gets_a_summary() {
    let mut world = Local::new();
    assert!(world.deed(&STORY[0].parse().unwrap()));
    let file = world.folder().join("summary.md");
    let output = reconciler(&world).env("GITHUB_STEP_SUMMARY", &file).output().unwrap();
    assert!(output.status.success());
    let told = std::fs::read_to_string(&file).unwrap();
    assert!(told.starts_with("### Chandlery\n\n| request | stage |\n"), "{told}");
    assert!(told.contains("issue-1` | waiting_for_approval |"), "{told}");
    assert!(told.contains(" GraphQL points), "), "{told}");
}

#[test]
fn killed_while_a_form_becomes_a_plan() {
    crash(0);
}

#[test]
fn killed_while_an_approval_is_judged() {
    crash(1);
}

#[test]
fn killed_while_a_request_is_executed() {
    crash(2);
}

#[test]
fn killed_while_an_end_is_recorded() {
    crash(3);
}
