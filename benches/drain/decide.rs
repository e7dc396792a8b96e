//! What does deciding cost? A thousand open requests in a catalog of a hundred thousand entities, approvals and policies
//! included, beside reading the files of the same requests with `git cat-file --batch`.
//!
//! Each round is a process of its own, which has decided nothing before. Of its pass only what the core takes is counted: what
//! it looks at, over HTTP and in Git, is told beside.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chandlery::reconcile::{Input, Output, Turn};

use crate::{
    bare, letters,
    side::{self, Bars, By, Cost},
    world::{Ask, Deed, Repo, World, local::Local, reconcile},
};

const REQUESTS: u64 = 1_000;
const ENTITIES: usize = 100_000;
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

pub(crate) fn measure(bench: &side::World) {
    side::heading(
        &format!("Deciding {REQUESTS} open requests, {ENTITIES} entities"),
        "chandlery",
        "cat-file",
    );
    for counted in [false, true] {
        let saved = prepared(counted);
        let repository = bare(saved.path(), Repo::Catalog);
        let blobs = blobs(&repository);
        let what =
            if counted { "with a limit on all entities" } else { "rules, approvals and four policies" };
        let mut looked = Vec::new();
        let pairs = side::pairs(
            ROUNDS,
            || {
                let [decided, looks] = decided_by_a_process(saved.path());
                looked.push(looks);
                Cost { wall: decided, cpu: decided }
            },
            || read(&repository, &blobs),
        );
        bench.row(what, By::Wall, &pairs, Bars::NONE.aim(3.0));
        looked.sort();
        let looked = looked[looked.len() / 2].as_secs_f64();
        println!("  what it asked of the forge and of Git, and made of the catalog, took {looked:.2} s");
    }
}

/// A forge with all of it: asked, planned, and every second one approved.
fn prepared(counted: bool) -> tempfile::TempDir {
    let entities = (0..ENTITIES).map(|number| {
        let path = format!("entities/bucket/group-{:04}/held-{number:06}.yaml", number / GROUP);
        (
            path,
            format!(
                "identifier: held-{number:06}\nblueprint: bucket\nproperties: {{ size: {} }}\n",
                number % 9 + 1
            ),
        )
    });
    let policies = POLICIES.into_iter().chain(counted.then_some(COUNTED));
    let policies = policies.map(|(name, text)| (format!("policies/{name}.yaml"), format!("{text}\n")));
    let mut local = Local::holding(&mut entities.chain(policies));
    for number in 1..=REQUESTS {
        let inputs = [
            ("name".to_owned(), letters(number as usize)),
            ("size".to_owned(), (number % 8 + 1).to_string()),
        ];
        let ask = Ask { action: "create-bucket".into(), entity: None, inputs: inputs.into() };
        let deed = Deed::Ask { who: "dan".into(), id: format!("asked-{number}"), ask };
        assert!(local.deed(&deed), "{deed}");
    }
    settle(&mut local);
    for number in (1..=REQUESTS).step_by(2) {
        assert!(local.deed(&Deed::Approve { who: "bo".into(), at: (Repo::Catalog, number) }));
    }
    settle(&mut local);
    local.saved()
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
fn blobs(repository: &Path) -> Vec<u8> {
    let files = ["request.yaml", "plan.yaml", "plan.diff"];
    let names = (1..=REQUESTS).flat_map(|number| {
        files.map(|file| format!("refs/heads/ask/asked-{number}:requests/asked-{number}/{file}\n"))
    });
    let found = cat(repository, "--batch-check=%(objectname)", names.collect::<String>().as_bytes());
    assert_eq!(found.iter().filter(|byte| **byte == b'\n').count(), 3 * REQUESTS as usize);
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

fn decided_by_a_process(saved: &Path) -> [Duration; 2] {
    let output = Command::new(std::env::current_exe().unwrap()).arg("deciding").arg(saved).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let seconds: Vec<f64> = text.split_whitespace().map(|word| word.parse().unwrap()).collect();
    [0, 1].map(|at| Duration::from_secs_f64(seconds[at]))
}

/// The process that decides: tells what the core took, and all that was asked.
pub(crate) fn deciding(saved: &Path) {
    let mut local = Local::resumed(saved);
    let mut turn = Turn::new("a pass");
    let mut input = Input::Start;
    let (mut decided, mut looked) = (Duration::ZERO, Duration::ZERO);
    loop {
        let start = Instant::now();
        let output = turn.next(input);
        decided += start.elapsed();
        let start = Instant::now();
        input = match output {
            Output::Look(questions) => Input::Answers(local.ask(&questions)),
            Output::Act(act) => panic!("nothing was to be done: {act:?}"),
            Output::Done(report) => {
                assert!(report.stages.len() >= REQUESTS as usize, "{}", report.stages.len());
                break;
            }
        };
        looked += start.elapsed();
    }
    println!("{} {}", decided.as_secs_f64(), looked.as_secs_f64());
}
