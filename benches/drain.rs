//! How much dearer is Chandlery than plain git?
//!
//! * Draining 1, 10 and 100 requests on the local forge, from the form to the record, beside the
//!   pushes that this took, replayed with plain git against the same forge; and what a pass costs
//!   that finds nothing to do.
//! * Writing ten entities back in a catalog of 100,000, beside `git add` and `git commit` in a
//!   work tree, and both with their push.
//! * Deciding 1,000 open requests, beside reading their files.
//! * A step of a run, by its kind, beside the bare act.
//!
//! `cargo bench --bench drain` measures all parts, and `cargo bench --bench drain -- decide` one; the
//! others are `drain` and `steps`.
//!
//! Both sides of each ratio are measured in one run. An aim that is missed is said to be missed.
#![allow(
    clippy::unwrap_used,
    clippy::semicolon_if_nothing_returned,
    clippy::disallowed_methods,
    clippy::print_stdout,
    dead_code,
    unreachable_pub,
    reason = "a measurement touches the world and may panic; it shares the company of the tests"
)]

#[path = "drain/decide.rs"]
mod decide;
#[path = "catalog/side.rs"]
mod side;
#[path = "drain/steps.rs"]
mod steps;
#[path = "../tests/it/world/mod.rs"]
mod world;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use chandlery::{
    domain::{Change, ObjectId, RepoPath},
    git::{mirror::Mirror, wire::Remote, write::write_commit},
    plan::{
        facts::{Answer, Question},
        step::{Act, Acted, Commit},
    },
    reconcile::Counts,
};
use serde_json::Value;

use world::{Ask, Deed, How, Repo, World, fixture, local::Local, reconcile};

const ENTITIES: usize = 100_000;
const FOLDERS: usize = 200;
const WRITTEN: usize = 10;
const ROUNDS: usize = 7;

type Part = (&'static str, fn(&side::World));

/// Each part, by its name.
const PARTS: [Part; 3] = [("drain", |_| draining()), ("decide", decide::measure), ("steps", steps::measure)];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [deciding, saved, requests] = words.as_slice()
        && deciding == "deciding"
    {
        decide::deciding(saved.as_ref(), requests.parse().unwrap());
        return;
    }
    side::noise("before");
    let bench = side::World::new(env!("CARGO_BIN_EXE_chandlery"));
    for (name, measure) in PARTS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            measure(&bench);
        }
    }
    side::noise("after");
    bench.conclude();
}

fn draining() {
    println!("Draining requests, beside their pushes replayed with plain git");
    println!(
        "{:>8} {:>9} {:>9} {:>7}   {:>6} {:>8} {:>7} {:>16}   {:>20}",
        "requests",
        "drained",
        "replayed",
        "ratio",
        "calls",
        "contents",
        "pushes",
        "catalog commits",
        "idle: calls, spared"
    );
    let mut aims = Vec::new();
    for requests in [1, 10, 100] {
        let drained = drain(requests);
        let ratio = drained.took.as_secs_f64() / drained.replayed.as_secs_f64();
        let each = |count: u64| count as f64 / requests as f64;
        println!(
            "{requests:>8} {:>8.2}s {:>8.2}s {ratio:>7.2}   {:>6.1} {:>8.1} {:>7.2} {:>16.2}   {:>11}, {:>7}",
            drained.took.as_secs_f64(),
            drained.replayed.as_secs_f64(),
            each(drained.calls),
            each(drained.contents),
            each(drained.pushes),
            each(drained.commits),
            drained.idle.calls,
            drained.idle.spared,
        );
        aims.push((format!("{requests} requests drained within 1.3 times plain git's pushes"), ratio <= 1.3));
        aims.push((format!("at most one push a repository and pass ({requests})"), drained.most_pushes <= 1));
        // Issues and pull requests go 25 into a call, and what is asked of branches 60.
        let most = 12 + requests as u64 / 8;
        let Counts { calls, writes, pushes, spared, .. } = drained.idle;
        aims.push((
            format!("an idle pass writes nothing and makes at most {most} calls ({requests})"),
            writes + pushes == 0 && calls <= most && (requests < 2 || spared == requests as u64),
        ));
    }
    println!(
        "calls, contents, pushes and catalog commits are per request; a content is what GitHub's secondary limit counts\n"
    );

    let [plain, pushed, ours, ours_pushed] = write_back();
    println!("Writing {WRITTEN} entities back in a catalog of {ENTITIES}, the median of {ROUNDS} rounds");
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let faster = plain.as_secs_f64() / ours.as_secs_f64();
    let faster_pushed = (plain + pushed).as_secs_f64() / ours_pushed.as_secs_f64();
    println!("{:>24} {:>10} {:>10} {:>8}", "", "git", "chandlery", "faster");
    println!(
        "{:>24} {:>8.1}ms {:>8.1}ms {faster:>7.1}x",
        "the commit",
        milliseconds(plain),
        milliseconds(ours)
    );
    println!(
        "{:>24} {:>8.1}ms {:>8.1}ms {faster_pushed:>7.1}x\n",
        "with its push",
        milliseconds(plain + pushed),
        milliseconds(ours_pushed)
    );
    aims.push(("the commit is 20 times faster".to_owned(), faster >= 20.0));
    aims.push(("with its push it is 3 times faster".to_owned(), faster_pushed >= 3.0));
    for (aim, met) in aims {
        println!("{} {aim}", if met { "met   " } else { "MISSED" });
    }
}

/// What draining took.
struct Drained {
    took: Duration,
    replayed: Duration,
    calls: u64,
    contents: u64,
    pushes: u64,
    commits: u64,
    /// The most pushes to one repository in one pass.
    most_pushes: usize,
    /// A pass of another process that finds nothing to do, while all requests wait.
    idle: Counts,
}

/// What one pass pushed, and where `main` was when it began.
#[derive(Default)]
struct Passed {
    mains: Vec<(Repo, String)>,
    pushes: Vec<(Repo, Vec<(String, String)>)>,
}

/// Notes what is pushed. The new tips are read from the forge's disk, which costs next to nothing.
struct Noting<'a> {
    local: &'a mut Local,
    passed: Passed,
}

impl World for Noting<'_> {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        self.local.ask(questions)
    }

    fn act(&mut self, act: &Act) -> Acted {
        let acted = self.local.act(act);
        if let Act::Push { repository, commits, .. } = act {
            let at = if *repository == Repo::Catalog.name() { Repo::Catalog } else { Repo::Infra };
            let git = git2::Repository::open_bare(bare(self.local.folder(), at)).unwrap();
            let tip = |commit: &Commit| {
                let tip = git.refname_to_id(&commit.branch.full()).ok()?;
                Some((commit.branch.to_string(), tip.to_string()))
            };
            self.passed.pushes.push((at, commits.iter().filter_map(tip).collect()));
        }
        acted
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        self.local.deed(deed)
    }
}

fn bare(folder: &Path, at: Repo) -> std::path::PathBuf {
    folder.join("forge/repositories").join(format!("{}.git", at.name()))
}

fn letters(mut number: usize) -> String {
    let mut name = String::from("b");
    for _ in 0..3 {
        name.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    name
}

fn drain(requests: usize) -> Drained {
    let count = requests as u64;
    let infra = |number: u64| (Repo::Infra, number);
    let asked = |number: u64| (Repo::Catalog, count + number);
    let deeds: [Box<dyn Fn(u64) -> Deed>; 4] = [
        Box::new(|number| {
            let inputs = [("name".to_owned(), letters(number as usize))].into();
            Deed::File {
                who: "dan".into(),
                ask: Ask { action: "create-bucket".into(), entity: None, inputs },
            }
        }),
        Box::new(|number| Deed::Approve { who: "bo".into(), at: asked(number) }),
        Box::new(|number| Deed::Merge { who: "dan".into(), at: asked(number), how: How::Merge }),
        Box::new(|number| Deed::Merge { who: "bo".into(), at: infra(number), how: How::Squash }),
    ];
    let saved = Local::new().saved();
    let mut local = Local::resumed(saved.path());
    let mut drained = Drained {
        took: Duration::ZERO,
        replayed: Duration::ZERO,
        calls: 0,
        contents: 0,
        pushes: 0,
        commits: 0,
        most_pushes: 0,
        idle: Counts::default(),
    };
    let mut passes = Vec::new();
    for (index, deed) in deeds.iter().enumerate() {
        for number in 1..=count {
            let deed = deed(number);
            assert!(local.deed(&deed), "{deed}");
        }
        // Whoever drains so many at once has waited for the limits of the hour before.
        local.deed(&Deed::Wait { seconds: 3600 });
        let mains = [Repo::Catalog, Repo::Infra].map(|at| (at, local.tip(at, "main").unwrap()));
        let mut noting =
            Noting { local: &mut local, passed: Passed { mains: mains.to_vec(), pushes: Vec::new() } };
        noting.local.control("DELETE", "exchanges", &Value::Null);
        let start = Instant::now();
        let report = reconcile(&mut noting);
        drained.took += start.elapsed();
        assert!(report.left.is_empty() && report.stopped.is_none(), "{report:#?}");
        let passed = noting.passed;
        let exchanges = local.control("GET", "exchanges", &Value::Null);
        let number = |name: &str| exchanges[name].as_u64().unwrap();
        drained.calls += number("rest") + number("graphql");
        drained.contents += number("contentCreating");
        drained.pushes += passed.pushes.len() as u64;
        for at in [Repo::Catalog, Repo::Infra] {
            let pushes = passed.pushes.iter().filter(|(to, _)| *to == at).count();
            drained.most_pushes = drained.most_pushes.max(pushes);
        }
        drained.commits += passed
            .pushes
            .iter()
            .filter(|(at, refs)| *at == Repo::Catalog && refs.iter().any(|(branch, _)| branch == "main"))
            .count() as u64;
        passes.push(passed);
        if index == 0 {
            local.begin_anew(true);
            assert_eq!(reconcile(&mut local).acts, 0);
            drained.idle = local.counts();
        }
    }
    let ended = local.files(Repo::Catalog, "main").iter().filter(|path| path.ends_with("/run.yaml")).count();
    assert_eq!(ended, requests, "not all came to their end");
    drained.replayed = replay(local.saved().path(), saved.path(), &passes);
    drained
}

/// Pushes what was pushed, with plain git and one `git push` for each push.
fn replay(after: &Path, before: &Path, passes: &[Passed]) -> Duration {
    let local = Local::resumed(before);
    let remote = |at: Repo| {
        let host = local.url().replace("http://", &format!("http://x:{}@", world::local::token(fixture::ME)));
        format!("{host}/{}.git", at.name())
    };
    let mut took = Duration::ZERO;
    let push = |at: Repo, refs: &[(String, String)]| {
        let mut command = git(&bare(after, at));
        command.args(["push", "--quiet", &remote(at)]);
        command.args(refs.iter().map(|(branch, tip)| format!("{tip}:refs/heads/{branch}")));
        let start = Instant::now();
        run(command);
        start.elapsed()
    };
    for passed in passes {
        // What people merged meanwhile is there already, and is not counted.
        for (at, tip) in &passed.mains {
            push(*at, &[("main".to_owned(), tip.clone())]);
        }
        for (at, refs) in &passed.pushes {
            took += push(*at, refs);
        }
    }
    took
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "gc.auto=0"])
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn path_of(entity: usize) -> String {
    format!("entities/service/{:03}/service-{entity:06}.yaml", entity % FOLDERS)
}

fn text_of(entity: usize, round: usize) -> String {
    format!(
        "identifier: service-{entity:06}\nblueprint: service\ntitle: Service {entity}\nteam: team-{}\nproperties:\n  tier: gold\n  replicas: {round}\nrelations:\n  system: system-{}\n",
        entity % 40,
        entity % 300
    )
}

/// The medians of: add and commit, their push, our commit, our commit with its push.
fn write_back() -> [Duration; 4] {
    let folder = tempfile::tempdir().unwrap();
    let origin = folder.path().join("origin.git");
    let work = folder.path().join("work");
    let mut init = git(folder.path());
    init.args(["init", "--quiet", "--bare", "--initial-branch=main", "origin.git"]);
    run(init);
    import(&origin);
    let mut clone = git(folder.path());
    clone.args(["clone", "--quiet", "origin.git", "work"]);
    run(clone);

    let environment = vec![("PATH".to_owned(), std::env::var("PATH").unwrap())];
    let remote = Remote { url: format!("file://{}", origin.display()), token: None, environment };
    let name = Repo::Catalog.name();
    let mut mirror = Mirror::open(&folder.path().join("cache"), &name, remote).unwrap();
    mirror.fetch(&BTreeSet::new()).unwrap();
    let me = fixture::ME.parse().unwrap();
    let tip_of = |branch: &str| {
        let tip =
            git2::Repository::open_bare(&origin).unwrap().refname_to_id(&format!("refs/heads/{branch}"));
        tip.unwrap().to_string().parse().unwrap()
    };
    let mut parent: ObjectId = tip_of("main");
    let mut tip = None;

    let mut times: [Vec<Duration>; 4] = Default::default();
    for round in 2..2 + ROUNDS {
        let entities: Vec<usize> =
            (0..WRITTEN).map(|index| (round * 7919 + index * 9973) % ENTITIES).collect();
        let paths: Vec<String> = entities.iter().map(|entity| path_of(*entity)).collect();
        for (entity, path) in entities.iter().zip(&paths) {
            std::fs::write(work.join(path), text_of(*entity, round)).unwrap();
        }
        let start = Instant::now();
        let mut add = git(&work);
        add.arg("add").args(&paths);
        run(add);
        let mut commit = git(&work);
        commit.args(["commit", "--quiet", "--message", "Write ten entities"]);
        run(commit);
        times[0].push(start.elapsed());
        let start = Instant::now();
        let mut push = git(&work);
        push.args(["push", "--quiet", "origin", "HEAD:main"]);
        run(push);
        times[1].push(start.elapsed());

        let changes: BTreeMap<RepoPath, Change> = entities
            .iter()
            .zip(&paths)
            .map(|(entity, path)| {
                (path.parse().unwrap(), Change::Put(text_of(*entity, round).into_bytes().into()))
            })
            .collect();
        let commit = |changes, parent, tip, seconds: i64| Commit {
            repository: name.clone(),
            branch: "ours".parse().unwrap(),
            expect: tip,
            parent,
            changes,
            message: "Write ten entities\n".to_owned(),
            at: chandlery::domain::Timestamp::from_seconds(1_795_000_000 + seconds),
        };
        // The commit alone is one that nobody has seen, so that its objects must be written.
        let alone = commit(changes.clone(), Some(parent), tip, 1000 + round as i64);
        let mut unseen = alone.clone();
        for change in unseen.changes.values_mut() {
            if let Change::Put(bytes) = change {
                *bytes = [&bytes[..], b"# alone\n"].concat().into();
            }
        }
        let start = Instant::now();
        write_commit(&mirror.objects().unwrap(), &unseen, &me, None).unwrap();
        times[2].push(start.elapsed());
        let start = Instant::now();
        assert_eq!(mirror.push(&[commit(changes, Some(parent), tip, round as i64)], &me), Acted::Done);
        times[3].push(start.elapsed());
        parent = tip_of("ours");
        tip = Some(parent);
    }
    times.map(|mut times| {
        times.sort();
        times[times.len() / 2]
    })
}

/// A catalog with one commit, made as git's importers do.
fn import(origin: &Path) {
    let mut stream = String::from(
        "commit refs/heads/main\ncommitter Ada <ada@example.com> 1795000000 +0000\ndata 5\nBegin\n",
    );
    for entity in 0..ENTITIES {
        let text = text_of(entity, 1);
        let _ = write!(stream, "M 100644 inline {}\ndata {}\n{text}\n", path_of(entity), text.len());
    }
    let mut child = git(origin).args(["fast-import", "--quiet"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}
