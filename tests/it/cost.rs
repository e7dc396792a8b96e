//! Looking at a change reads what the change is made of, and nothing that grows with the catalog: the repository that
//! is looked at holds no other objects.

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use crate::world::large::{self, KINDS, Packs, Size};

const FEW: usize = 10;

fn git(folder: &Path, words: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn validate(git: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("validate").arg(git).args(words).output().unwrap()
}

/// What a change is made of: its two commits and their root trees, the definitions, and of what differs the new side.
fn needed(folder: &Path, before: &str, after: &str) -> BTreeSet<String> {
    let mut objects: BTreeSet<String> = [before, after].map(str::to_owned).into();
    for commit in [before, after] {
        objects.insert(git(folder, &["rev-parse", &format!("{commit}^{{tree}}")]).trim().to_owned());
    }
    let changed = git(folder, &["diff-tree", "-r", "-t", "--no-commit-id", before, after]);
    objects.extend(changed.lines().map(|line| line.split(' ').nth(3).unwrap().to_owned()));
    let definitions =
        git(folder, &["ls-tree", "-r", "-t", "--object-only", after, "chandlery.yaml", "blueprints/"]);
    objects.extend(definitions.lines().map(str::to_owned));
    let blueprints = git(folder, &["rev-parse", &format!("{after}:blueprints")]);
    objects.insert(blueprints.trim().to_owned());
    objects
}

/// A repository that holds these objects and no others.
fn with_only(objects: &BTreeSet<String>, from: &Path, into: &Path) {
    git(into.parent().unwrap(), &["init", "--quiet", "--bare", into.to_str().unwrap()]);
    let mut pack = Command::new("git");
    pack.arg("-C").arg(from).args(["pack-objects", "--quiet"]).arg(into.join("objects/pack/pack"));
    let mut pack = pack.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    for object in objects {
        writeln!(pack.stdin.as_ref().unwrap(), "{object}").unwrap();
    }
    assert!(pack.wait().unwrap().success());
}

fn copy_kept(from: &Path, into: &Path) {
    std::fs::create_dir(into.join("chandlery")).unwrap();
    for file in std::fs::read_dir(from.join("chandlery")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), into.join("chandlery").join(file.file_name())).unwrap();
    }
}

/// How many objects were enough to look at ten changed files among so many.
fn objects_for_ten(entities: usize) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.git");
    large::generate(&whole, Size { entities, commits: 1, changes: 1 }, Packs::Imported);
    let kinds: Vec<usize> = (0..KINDS.len()).collect();
    large::commit(&whole, "ten", "main", &large::changed(&large::spread(FEW, &kinds, entities), entities));
    let [before, after] = ["main", "ten"].map(|name| git(&whole, &["rev-parse", name]).trim().to_owned());
    let look = ["--at", &after, "--since", &before];

    let expected = validate(&whole, &["--at", &after]);
    assert_eq!(expected.status.code(), Some(0), "{}", String::from_utf8_lossy(&expected.stdout));
    std::fs::remove_dir_all(whole.join("chandlery")).unwrap();
    validate(&whole, &["--at", &before]);

    let needed = needed(&whole, &before, &after);
    let small = folder.path().join("small.git");
    with_only(&needed, &whole, &small);
    copy_kept(&whole, &small);
    let found = validate(&small, &look);
    assert_eq!(found, expected, "{}", String::from_utf8_lossy(&found.stderr));

    // Where one is missing it is missed.
    let changed = git(&whole, &["diff-tree", "-r", &before, &after]);
    let one = changed.split(' ').nth(3).unwrap().to_owned();
    let less = folder.path().join("less.git");
    with_only(&needed.iter().filter(|id| **id != one).cloned().collect(), &whole, &less);
    copy_kept(&whole, &less);
    assert_eq!(validate(&less, &look).status.code(), Some(3));
    needed.len()
}

#[test]
fn ten_files_take_as_few_objects_among_ten_thousand_as_among_a_thousand() {
    let [few, many] = [1_000, 10_000].map(objects_for_ten);
    assert!(many * 10 <= few * 12, "{few} objects in 1,000 entities, {many} in 10,000");
    // Ten files and their folders, twelve blueprints, the settings, two commits.
    assert!(many < 60, "{many} objects");
}
