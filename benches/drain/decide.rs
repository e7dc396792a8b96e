//! What does deciding cost? A thousand open requests in a catalog of a hundred thousand entities, approvals and policies
//! included, beside reading the files of the same requests with `git cat-file --batch`.
//!
//! Each round is a process of its own, which has decided nothing before. Of its pass only what the core takes is counted: what
//! it looks at, over HTTP and in Git, is told beside. `-- decide 50 5000` is a smaller one.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chandlery::reconcile::{Input, Output, Turn};
use serde_json::json;

use crate::{
    bare, git, letters, run,
    side::{self, Bars, By, Cost},
    world::{
        Ask, Deed, Repo, World,
        local::{Local, token},
        reconcile,
    },
};

const REQUESTS: usize = 1_000;
const ENTITIES: usize = 100_000;
/// When all of it was written: as the forge's clock begins.
const WRITTEN: u64 = 1_795_000_000;
const GROUP: usize = 500;
const ROUNDS: usize = 7;
/// Reading takes a few hundredths of a second, so it is done so often for each pass.
const READS: u32 = 10;

const POLICIES: [(&str, &str); 4] = [
    ("large", "{ identifier: large, when: .inputs.size > 8, deny: Too large. }"),
    (
        "second",
        "{ identifier: second, when: .inputs.size > 4, requireApproval: { rules: [{ name: eve, users: [eve] }] } }",
    ),
    ("often", "{ identifier: often, limit: { count: 5000, of: requests, per: user, within: 1d } }"),
    (
        "quiet",
        "{ identifier: quiet, freeze: { timeZone: UTC, windows: [{ from: 2020-01-01, to: 2020-12-31 }] } }",
    ),
];

/// Policies that look at all of the entities, too.
const COUNTED: (&str, &str) =
    ("many", "{ identifier: many, limit: { count: 200000, of: entities, blueprint: bucket } }");

/// How many requests and entities there are.
#[derive(Debug, Clone, Copy)]
struct Size {
    requests: usize,
    entities: usize,
}

impl Size {
    /// As it is said behind the name of this part.
    fn said() -> Self {
        let mut numbers = std::env::args().filter_map(|word| word.parse().ok());
        Self { requests: numbers.next().unwrap_or(REQUESTS), entities: numbers.next().unwrap_or(ENTITIES) }
    }
}

pub(crate) fn measure(bench: &side::World) {
    let size = Size::said();
    let Size { requests, entities } = size;
    let title = format!("Deciding {requests} open requests, {entities} entities");
    side::heading(&title, "chandlery", "cat-file");
    let saved = prepared(size);
    for counted in [false, true] {
        if counted {
            let mut local = Local::at(saved.path());
            let (name, text) = COUNTED;
            let deed = Deed::Write { path: format!("policies/{name}.yaml"), text: format!("{text}\n") };
            assert!(local.deed(&deed));
            settle(&mut local);
            drop(local);
        }
        let repository = bare(saved.path(), Repo::Catalog);
        let blobs = blobs(&repository, requests);
        let what =
            if counted { "with a limit on all entities" } else { "rules, approvals and four policies" };
        let (mut looked, mut rounds) = (Vec::new(), 0);
        let pairs = side::pairs(
            ROUNDS,
            || {
                let [decided, looks, asked] = decided_by_a_process(saved.path(), requests);
                looked.push(looks);
                rounds = asked as usize;
                let decided = Duration::from_secs_f64(decided);
                Cost { wall: decided, cpu: decided }
            },
            || read(&repository, &blobs),
        );
        bench.row(what, By::Wall, &pairs, Bars::NONE.aim(3.0));
        let looked = side::quartiles(looked)[1];
        println!(
            "  it asked {rounds} times; what that took, of the forge, of Git and of the catalog: {looked:.2} s"
        );
    }
}

/// A forge with all of it: asked, planned, and every second one approved.
fn prepared(size: Size) -> tempfile::TempDir {
    let start = Instant::now();
    let told = |what: &str| println!("  {what} after {:.0} s", start.elapsed().as_secs_f64());
    let saved = Local::new().saved();
    hold_entities(&bare(saved.path(), Repo::Catalog), size.entities);
    told("the catalog is there");
    let mut local = Local::at(saved.path());
    ask(&local, &bare(saved.path(), Repo::Catalog), size.requests);
    told("all is asked");
    settle(&mut local);
    told("all is planned");
    for number in (1..=size.requests as u64).step_by(2) {
        assert!(local.deed(&Deed::Approve { who: "bo".into(), at: (Repo::Catalog, number) }));
    }
    settle(&mut local);
    drop(local);
    // As a forge keeps it.
    let mut repack = git(&bare(saved.path(), Repo::Catalog));
    repack.args(["repack", "-adq"]);
    run(repack);
    told("half of it is approved");
    saved
}

/// Puts the entities and policies on `main`.
fn hold_entities(repository: &Path, entities: usize) {
    let mut stream = begun("refs/heads/main", "ada", "refs/heads/main^0");
    for (name, text) in POLICIES {
        put(&mut stream, &format!("policies/{name}.yaml"), &format!("{text}\n"));
    }
    for number in 0..entities {
        let path = format!("entities/bucket/group-{:04}/held-{number:06}.yaml", number / GROUP);
        let size = number % 9 + 1;
        let text =
            format!("identifier: held-{number:06}\nblueprint: bucket\nproperties: {{ size: {size} }}\n");
        put(&mut stream, &path, &text);
    }
    import(repository, &stream);
}

/// Asks for everything: one push of all branches, and a call for each pull request.
fn ask(local: &Local, repository: &Path, requests: usize) {
    let scratch = tempfile::tempdir().unwrap();
    let mut init = git(scratch.path());
    init.args(["init", "--quiet", "--bare"]);
    run(init);
    let objects = format!("{}\n", repository.join("objects").display());
    std::fs::write(scratch.path().join("objects/info/alternates"), objects).unwrap();
    let main = local.tip(Repo::Catalog, "main").unwrap();
    let mut stream = String::new();
    for number in 1..=requests {
        let inputs =
            [("name".to_owned(), letters(number)), ("size".to_owned(), (number % 8 + 1).to_string())];
        let ask = Ask { action: "create-bucket".into(), entity: None, inputs: inputs.into() };
        stream.push_str(&begun(&format!("refs/heads/ask/asked-{number}"), "dan", &main));
        put(&mut stream, &format!("requests/asked-{number}/request.yaml"), &ask.file());
    }
    import(scratch.path(), &stream);
    let host = local.url().replace("http://", &format!("http://x:{}@", token("dan")));
    let mut push = git(scratch.path());
    push.args([
        "push",
        "--quiet",
        &format!("{host}/{}.git", Repo::Catalog.name()),
        "refs/heads/*:refs/heads/*",
    ]);
    run(push);
    let path = format!("/api/v3/repos/{}/pulls", Repo::Catalog.name());
    for number in 1..=requests {
        let head = format!("ask/asked-{number}");
        let body = json!({ "title": "Please", "body": "", "head": head, "base": "main" });
        let (status, answer) = local.tries("dan", "POST", &path, &body);
        assert_eq!(status, 201, "{answer}");
    }
}

/// A commit for `git fast-import`, as far as its files.
fn begun(reference: &str, who: &str, from: &str) -> String {
    let by = format!("{who} <{who}@users.noreply.github.com> {WRITTEN} +0000");
    format!("commit {reference}\nauthor {by}\ncommitter {by}\ndata 4\nAll\n\nfrom {from}\n")
}

fn put(stream: &mut String, path: &str, text: &str) {
    let _ = write!(stream, "M 100644 inline {path}\ndata {}\n{text}\n", text.len());
}

fn import(repository: &Path, stream: &str) {
    let mut command = git(repository);
    let mut child = command.args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Passes until nothing is left to do: the forge takes so many calls in an hour and no more.
fn settle(local: &mut Local) {
    for _ in 0..20 {
        local.deed(&Deed::Wait { seconds: 3_600 });
        if reconcile(local).acts == 0 {
            return;
        }
    }
    panic!("it does not settle");
}

/// What each request's branch holds of it.
fn blobs(repository: &Path, requests: usize) -> Vec<u8> {
    let files = ["request.yaml", "plan.yaml", "plan.diff"];
    let names = (1..=requests).flat_map(|number| {
        files.map(|file| format!("refs/heads/ask/asked-{number}:requests/asked-{number}/{file}\n"))
    });
    let found = cat(repository, "--batch-check=%(objectname)", names.collect::<String>().as_bytes());
    assert_eq!(found.iter().filter(|byte| **byte == b'\n').count(), 3 * requests);
    assert!(!String::from_utf8_lossy(&found).contains("missing"));
    found
}

fn cat(repository: &Path, how: &str, names: &[u8]) -> Vec<u8> {
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(repository)
        .args(["cat-file", how, "--buffer"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let names = names.to_owned();
    let feeding = std::thread::spawn(move || input.write_all(&names).unwrap());
    let output = child.wait_with_output().unwrap();
    feeding.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn read(repository: &Path, blobs: &[u8]) -> Cost {
    let cost = side::spent(|| {
        for _ in 0..READS {
            drop(cat(repository, "--batch", blobs));
        }
    });
    Cost { wall: cost.wall / READS, cpu: cost.cpu / READS }
}

/// What the core took, and what looking did, in seconds; and how often it looked.
fn decided_by_a_process(saved: &Path, requests: usize) -> [f64; 3] {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.arg("deciding").arg(saved).arg(requests.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let numbers: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// The process that decides: tells what the core took, what all took that was asked, and how often it asked.
pub(crate) fn deciding(saved: &Path, requests: usize) {
    let mut local = Local::at(saved);
    let mut turn = Turn::new("a pass");
    let mut input = Input::Start;
    let (mut decided, mut looked, mut rounds) = (Duration::ZERO, Duration::ZERO, 0);
    loop {
        let start = Instant::now();
        let output = turn.next(input);
        decided += start.elapsed();
        let start = Instant::now();
        input = match output {
            Output::Look(questions) => Input::Answers(local.ask(&questions)),
            Output::Act(act) => panic!("nothing was to be done: {act:?}"),
            Output::Done(report) => {
                assert!(report.stages.len() >= requests, "{}", report.stages.len());
                break;
            }
        };
        looked += start.elapsed();
        rounds += 1;
    }
    println!("{} {} {rounds}", decided.as_secs_f64(), looked.as_secs_f64());
}
