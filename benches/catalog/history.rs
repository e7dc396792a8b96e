//! What it costs to ask a catalog about its past and present, beside `sqlite3` with the same rows and `git log`.
//!
//! Whole processes are measured, in alternating pairs. Making the history index is measured beside `git log --raw`, which has
//! to look at the same folders; the rows of the database are made apart and not measured.

use std::{
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use super::large::{KINDS, Packs, Size, changed_by, entity, generate, identifier, path};

const ROUNDS: usize = 7;
/// Building takes long, and differs little.
const BUILDS: usize = 3;
const CHANGES: usize = 2;
/// How many commits `diff` is asked about.
const DIFFERENT: usize = 50;

/// Makes such a catalog in the folder, if there is none yet, measures and prints a table.
pub fn measure(folder: &Path, entities: usize, commits: usize) {
    let repository = folder.join(format!("history-{entities}-{commits}.git"));
    let size = Size { entities, commits, changes: CHANGES };
    if !repository.exists() {
        generate(&repository, size, Packs::Imported);
    }
    let database = Database::make(folder, size);
    let number = changed_by(commits, size)[0];
    let (kind, id) = (KINDS[number % KINDS.len()], identifier(number));
    let ours = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command.args(arguments).arg("--catalog").arg(&repository);
        command
    };
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        command.arg("-C").arg(&repository).args(arguments);
        command
    };
    println!("{entities} entities, {commits} commits of {CHANGES} changes: medians of whole processes");
    println!(
        "{:<34} {:>12}   {:<22} {:>12} {:>7}   spread",
        "chandlery", "milliseconds", "beside", "milliseconds", "ratio"
    );

    let file = path(number);
    let history = ["history", kind, &id, "--at", "HEAD"];
    let forget = || {
        for entry in std::fs::read_dir(repository.join("chandlery")).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|ending| ending == "history") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    };
    // What else is kept beside the repository is there from now on.
    run(&mut ours(&history));
    pairs(
        "history ENTITY, index built",
        "git log --raw",
        BUILDS,
        || {
            forget();
            ours(&history)
        },
        || git(&["log", "--raw"]),
    );

    let named = format!("{kind}/{id}");
    let columns = "id, title, tier, url, replicas, public, contact";
    let one = format!("kind = '{kind}' and id = '{id}'");
    let range = format!("HEAD~{DIFFERENT}..HEAD");
    let query = "{ property: tier, operator: '=', value: gold }";
    let questions: [(&str, Vec<&str>, String); 8] = [
        (
            "history ENTITY",
            history.to_vec(),
            format!(
                "select number, at, author, name, old, new from changes where {one} order by number desc, name"
            ),
        ),
        (
            "blame ENTITY",
            vec!["blame", kind, &id, "--at", "HEAD"],
            format!("select name, new, max(number), at, author from changes where {one} group by name"),
        ),
        ("get ENTITY", vec!["get", kind, &id, "--at", "HEAD"], format!("select * from entities where {one}")),
        (
            "list KIND --where tier = gold",
            vec!["list", kind, "--where", query, "--at", "HEAD"],
            format!("select {columns} from entities where kind = '{kind}' and tier = 'gold' order by id"),
        ),
        (
            "list KIND --sort -$updatedAt",
            vec!["list", kind, "--sort", "-$updatedAt", "--columns", "$createdAt,$updatedAt", "--at", "HEAD"],
            format!(
                "select id, min(at), max(at) as u from changes where kind = '{kind}' group by id order by u desc"
            ),
        ),
        (
            "search IDENTIFIER",
            vec!["search", &id, "--at", "HEAD"],
            format!(
                "select {columns} from entities where id like '%{id}%' or title like '%{id}%' or note like '%{id}%'"
            ),
        ),
        (
            "graph ENTITY",
            vec!["graph", &named, "--at", "HEAD"],
            format!(
                "select {columns} from entities where owner = '{id}' or parent = '{id}' or instr(uses, '{id}') or ({one})"
            ),
        ),
        (
            "diff HEAD~50..HEAD",
            vec!["diff", &range],
            format!(
                "select kind, id, name, old, new from changes where number > {} order by kind, id, name",
                commits - DIFFERENT
            ),
        ),
    ];
    for (name, arguments, sql) in &questions {
        if let Some(database) = &database {
            pairs(name, database.program, ROUNDS, || ours(arguments), || database.ask(sql));
        }
        if ["history ENTITY", "blame ENTITY"].contains(name) {
            pairs(name, "git log -- FILE", ROUNDS, || ours(arguments), || git(&["log", "--", &file]));
        }
    }
    println!();
}

/// Seconds that a process takes; what it prints is thrown away.
fn run(command: &mut Command) -> f64 {
    let start = Instant::now();
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let took = start.elapsed().as_secs_f64();
    // `diff` says by 1 that something differs.
    assert!(matches!(status.code(), Some(0 | 1)), "{command:?}: {status}");
    took
}

fn pairs(name: &str, beside: &str, rounds: usize, ours: impl Fn() -> Command, theirs: impl Fn() -> Command) {
    let mut times: Vec<(f64, f64)> = Vec::new();
    for round in 0..=rounds {
        let pair = match round % 2 {
            0 => (run(&mut ours()), run(&mut theirs())),
            _ => {
                let their = run(&mut theirs());
                (run(&mut ours()), their)
            }
        };
        // The first round warms the caches of the system.
        if round > 0 {
            times.push(pair);
        }
    }
    let sorted = |by: fn(&(f64, f64)) -> f64| {
        let mut all: Vec<f64> = times.iter().map(by).collect();
        all.sort_by(f64::total_cmp);
        all
    };
    let (our, their, ratios) = (sorted(|pair| pair.0), sorted(|pair| pair.1), sorted(|pair| pair.0 / pair.1));
    let middle = times.len() / 2;
    println!(
        "{name:<34} {:>12.1}   {beside:<22} {:>12.1} {:>7.2}   {:.2} to {:.2}",
        our[middle] * 1000.0,
        their[middle] * 1000.0,
        ratios[middle],
        ratios[0],
        ratios[ratios.len() - 1],
    );
}

/// The same entities and changes in SQLite.
struct Database {
    file: PathBuf,
    program: &'static str,
}

const IN_PYTHON: &str =
    "import sqlite3, sys\nfor row in sqlite3.connect(sys.argv[1]).execute(sys.argv[2]): print(*row, sep='|')";
const LOAD_IN_PYTHON: &str =
    "import sqlite3, sys\nsqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())";

impl Database {
    fn make(folder: &Path, size: Size) -> Option<Self> {
        let works = |program: &str, argument: &[&str]| {
            Command::new(program).args(argument).output().is_ok_and(|output| output.status.success())
        };
        let program = match () {
            () if works("sqlite3", &["-version"]) => "sqlite3",
            () if works("python3", &["-c", "import sqlite3"]) => "python3 sqlite3",
            () => {
                println!("NOT CHECKED: there is neither sqlite3 nor python3 with it, to ask beside us");
                return None;
            }
        };
        let file = folder.join(format!("history-{}-{}.sqlite", size.entities, size.commits));
        let made = Self { file, program };
        if !made.file.exists() {
            let mut load = match program {
                "sqlite3" => Command::new("sqlite3"),
                _ => python(LOAD_IN_PYTHON),
            };
            let mut child = load.arg(&made.file).stdin(Stdio::piped()).spawn().unwrap();
            child.stdin.take().unwrap().write_all(rows(size).as_bytes()).unwrap();
            assert!(child.wait().unwrap().success());
        }
        Some(made)
    }

    fn ask(&self, sql: &str) -> Command {
        let mut command = match self.program {
            "sqlite3" => Command::new("sqlite3"),
            _ => python(IN_PYTHON),
        };
        command.arg(&self.file).arg(sql);
        command
    }
}

fn python(program: &str) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", program]);
    command
}

/// What an entity says, by name, as text.
fn values(number: usize, version: usize, entities: usize) -> Vec<(String, String)> {
    let text = entity(number, version, entities);
    let mut values: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match line.trim().split_once(": ") {
            Some((name, value)) => values.push((name.to_owned(), value.to_owned())),
            None if line.trim().starts_with("- ") => {
                let (_, list) = values.last_mut().unwrap();
                *list += &format!("{} ", line.trim().trim_start_matches("- "));
            }
            None => values.push((line.trim().trim_end_matches(':').to_owned(), String::new())),
        }
    }
    values
}

fn rows(size: Size) -> String {
    const NAMES: [&str; 15] = [
        "title", "team", "tier", "url", "replicas", "public", "contact", "created", "cost", "region",
        "labels", "note", "owner", "parent", "uses",
    ];
    let mut sql = String::from("pragma journal_mode = off;\nbegin;\n");
    let _ = writeln!(sql, "create table entities (kind, id, {});", NAMES.join(", "));
    sql += "create table changes (kind, id, number integer, at integer, author, name, old, new);\n";
    let mut latest: Vec<Vec<(String, String)>> =
        (0..size.entities).map(|number| values(number, 0, size.entities)).collect();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let changed = |sql: &mut String, commit: usize, number: usize, name: &str, old: &str, new: &str| {
        let (kind, id) = (KINDS[number % KINDS.len()], identifier(number));
        let at = 1_700_000_000 + commit * 60;
        let (old, new) = (if old.is_empty() { "null".to_owned() } else { quoted(old) }, quoted(new));
        let _ = writeln!(
            sql,
            "insert into changes values ('{kind}', '{id}', {commit}, {at}, 'Ada', '{name}', {old}, {new});"
        );
    };
    for (number, values) in latest.iter().enumerate() {
        for (name, value) in values.iter().filter(|(name, _)| NAMES.contains(&name.as_str())) {
            changed(&mut sql, 0, number, name, "", value);
        }
    }
    for commit in 1..=size.commits {
        for number in changed_by(commit, size) {
            let now = values(number, commit, size.entities);
            for ((name, old), (_, new)) in latest[number].iter().zip(&now).filter(|(old, new)| old != new) {
                changed(&mut sql, commit, number, name, old, new);
            }
            latest[number] = now;
        }
    }
    for (number, values) in latest.iter().enumerate() {
        let of = |wanted: &&str| {
            let found = values.iter().find(|(name, _)| name == wanted);
            quoted(found.map(|(_, value)| value.as_str()).unwrap_or_default())
        };
        let values: Vec<String> = NAMES.iter().map(of).collect();
        let kind = KINDS[number % KINDS.len()];
        let _ = writeln!(
            sql,
            "insert into entities values ('{kind}', '{}', {});",
            identifier(number),
            values.join(", ")
        );
    }
    sql += "create unique index by_id on entities (kind, id);\ncreate index by_entity on changes (kind, id, number);\n\
            create index by_number on changes (number);\ncommit;\nanalyze;\n";
    sql
}
