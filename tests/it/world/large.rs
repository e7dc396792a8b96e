//! A catalog of any size with a history: twelve blueprints with ten properties and three relations each. Half of the
//! kinds lie flat in their folder, as `init` and the write-back make them, and half in groups of fifty, as people sort them.
//!
//! The same size gives the same commits. It is written with `git fast-import`, as fast as anything can write it.

use std::{
    fmt::Write as _,
    io::{BufWriter, Write},
    path::Path,
    process::{Command, Stdio},
};

pub const KINDS: [&str; 12] = [
    "account",
    "bucket",
    "cluster",
    "database",
    "deployment",
    "domain",
    "environment",
    "notebook",
    "package",
    "queue",
    "service",
    "workload",
];
const FOLDER: usize = 50;

/// How a repository's objects lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packs {
    /// As `git fast-import` leaves them.
    Imported,
    /// As `git repack -ad` leaves them.
    Repacked,
}

/// What is written: so many entities, and so many commits after the first, each of which changes so many of them.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    pub entities: usize,
    pub commits: usize,
    pub changes: usize,
}

fn mixed(seed: usize, salt: usize) -> usize {
    let mut x =
        (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (salt as u64).wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^= x >> 32;
    x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
    (x ^ (x >> 29)) as usize
}

pub fn identifier(number: usize) -> String {
    format!("{}-{:05}", KINDS[number % KINDS.len()], number / KINDS.len())
}

pub fn path(number: usize) -> String {
    let kind = number % KINDS.len();
    let (folder, id) = (KINDS[kind], identifier(number));
    match is_grouped(kind) {
        true => format!("entities/{folder}/group-{:04}/{id}.yaml", number / KINDS.len() / FOLDER),
        false => format!("entities/{folder}/{id}.yaml"),
    }
}

/// Whether a kind's entities lie in groups.
pub fn is_grouped(kind: usize) -> bool {
    kind % 2 == 1
}

/// So many entities of these kinds, spread in the same way whatever the size: one kind after the other, far apart.
pub fn spread(count: usize, kinds: &[usize], entities: usize) -> Vec<usize> {
    let each = entities / KINDS.len();
    (0..count).map(|at| at * each / count * KINDS.len() + kinds[at % kinds.len()]).collect()
}

/// The text of an entity in its `version`th form. Its date is quoted: some readers of YAML make something else of a bare one.
pub fn entity(number: usize, version: usize, entities: usize) -> String {
    let kind = number % KINDS.len();
    let some = |salt: usize| mixed(number + version * 7_919, salt);
    let other = |kind: usize, salt: usize, next: usize| {
        let kind = kind % KINDS.len();
        let count = (entities + KINDS.len() - 1 - kind) / KINDS.len();
        identifier((mixed(number, salt) + next) % count.max(1) * KINDS.len() + kind)
    };
    let mut text = String::with_capacity(700);
    let tier = ["gold", "silver", "bronze"][some(1) % 3];
    let id = identifier(number);
    let _ = write!(
        text,
        "identifier: {id}\nblueprint: {}\ntitle: The {} number {number}\nteam: team-{}\nproperties:\n  tier: {tier}\n  \
         url: https://{id}.acme.example/{}\n  replicas: {}\n  public: {}\n  contact: team-{}@acme.example\n  created: \
         '2026-{:02}-{:02}T08:30:00Z'\n  cost: {}.{:02}\n  region: {}\n  labels:\n    - cost-center-{}\n    - {tier}\n  note: \
         Looked at in round {} by whoever was on call, and found to be in order.\nrelations:\n  owner: {}\n  parent: {}\n  uses:\n    \
         - {}\n    - {}\n",
        KINDS[kind],
        KINDS[kind],
        number % teams(entities),
        some(2) % 1000,
        some(3) % 9 + 1,
        some(4) % 2 == 0,
        number % teams(entities),
        some(5) % 12 + 1,
        some(6) % 28 + 1,
        some(7) % 900,
        some(8) % 100,
        ["eu-west-1", "eu-north-1", "us-east-1"][some(9) % 3],
        some(10) % 90,
        some(11) % 10_000,
        other(kind + 1, 12, 0),
        other(kind + 3, 13, 0),
        other(kind + 5, 14, 0),
        other(kind + 5, 14, 1),
    );
    text
}

fn teams(entities: usize) -> usize {
    (entities / 500).max(1)
}

pub fn blueprint(kind: usize) -> String {
    let name = KINDS[kind];
    let at = |other: usize| KINDS[(kind + other) % KINDS.len()];
    format!(
        "identifier: {name}\ntitle: {name}\nschema:\n  properties:\n    tier: {{ type: string, enum: [gold, silver, bronze] }}\n    \
         url: {{ type: string, format: url }}\n    replicas: {{ type: number, minimum: 1, maximum: 9 }}\n    public: {{ type: \
         boolean }}\n    contact: {{ type: string, format: email }}\n    created: {{ type: string, format: date-time }}\n    cost: {{ \
         type: number, minimum: 0 }}\n    region: {{ type: string, pattern: '^[a-z]+-[a-z]+-[0-9]$' }}\n    labels: {{ type: array, \
         items: {{ type: string, maxLength: 40 }}, maxItems: 8 }}\n    note: {{ type: string, maxLength: 200 }}\n  required: [tier, \
         url]\nrelations:\n  owner: {{ target: {}, required: true }}\n  parent: {{ target: {} }}\n  uses: {{ target: {}, many: true \
         }}\n",
        at(1),
        at(3),
        at(5),
    )
}

/// The definitions and teams that the entities need.
pub fn rest(entities: usize) -> Vec<(String, String)> {
    let mut files = vec![("chandlery.yaml".to_owned(), "version: 1\n".to_owned())];
    files.extend((0..KINDS.len()).map(|kind| (format!("blueprints/{}.yaml", KINDS[kind]), blueprint(kind))));
    files.extend((0..teams(entities)).map(|team| {
        (format!("entities/_team/team-{team}.yaml"), format!("identifier: team-{team}\nblueprint: _team\n"))
    }));
    files
}

/// Which entities the commit of this number changes, from 1.
pub fn changed_by(commit: usize, size: Size) -> Vec<usize> {
    (0..size.changes).map(|change| mixed(commit, 100 + change) % size.entities).collect()
}

fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    command
}

/// Makes a bare repository with the catalog on `main`.
pub fn generate(folder: &Path, size: Size, packs: Packs) {
    std::fs::create_dir_all(folder).unwrap();
    assert!(git(folder).args(["init", "-q", "--bare", "-b", "main"]).status().unwrap().success());
    let mut child =
        git(folder).args(["fast-import", "--quiet", "--done"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut out = BufWriter::new(child.stdin.take().unwrap());
    let mut commit = |number: usize, files: &mut dyn Iterator<Item = (String, String)>| {
        let when = 1_700_000_000 + number * 60;
        let message = format!("change {number}");
        write!(out, "commit refs/heads/main\ncommitter Ada <ada@acme.example> {when} +0000\n").unwrap();
        write!(out, "data {}\n{message}\n", message.len()).unwrap();
        for (path, text) in files {
            write!(out, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap();
        }
    };
    let entities = (0..size.entities).map(|number| (path(number), entity(number, 0, size.entities)));
    commit(0, &mut rest(size.entities).into_iter().chain(entities));
    for number in 1..=size.commits {
        let changed = changed_by(number, size).into_iter();
        commit(number, &mut changed.map(|changed| (path(changed), entity(changed, number, size.entities))));
    }
    writeln!(out, "done").unwrap();
    drop(out);
    assert!(child.wait().unwrap().success());
    if packs == Packs::Repacked {
        repack(folder);
    }
}

/// All objects in one pack, as `git clone` and `git gc` leave them.
pub fn repack(folder: &Path) {
    assert!(git(folder).args(["repack", "-adq"]).status().unwrap().success());
}

/// Makes `branch` from `from` with one more commit: files with their text, or without one where the file goes.
pub fn commit(folder: &Path, branch: &str, from: &str, files: &[(String, Option<String>)]) {
    let mut child =
        git(folder).args(["fast-import", "--quiet", "--done"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdin.take().unwrap();
    write!(out, "commit refs/heads/{branch}\ncommitter Ada <ada@acme.example> 1800000000 +0000\n").unwrap();
    write!(out, "data {}\n{branch}\nfrom refs/heads/{from}^0\n", branch.len()).unwrap();
    for (path, text) in files {
        match text {
            Some(text) => write!(out, "M 100644 inline {path}\ndata {}\n{text}\n", text.len()).unwrap(),
            None => writeln!(out, "D {path}").unwrap(),
        }
    }
    writeln!(out, "done").unwrap();
    drop(out);
    assert!(child.wait().unwrap().success());
}

/// These entities in another form, as files of a commit.
pub fn changed(numbers: &[usize], entities: usize) -> Vec<(String, Option<String>)> {
    /// A form that no commit of the history gave them.
    const FORM: usize = 1_000_000;
    numbers.iter().map(|number| (path(*number), Some(entity(*number, FORM, entities)))).collect()
}
