//! A look at what differs says what a look at everything says: over made-up histories with every trap that is known.

use std::collections::BTreeMap;
use std::path::Path;

use chandlery::{
    catalog::{Files, Past, Report, Root, load_definitions, load_settings, view::View},
    domain::{BlueprintId, Bytes, Entity, EntityId, ObjectId, RepoPath, Timestamp},
    git::objects::Objects,
    index::{Commit, Kept, Whole},
};
use git2::{IndexEntry, IndexTime, Oid, Repository};
use proptest::prelude::*;

const BLUEPRINTS: [&str; 4] = ["x", "y", "_team", "_user"];
const NAMES: [&str; 5] = ["a", "b", "A", "d", "B"];
const FOLDERS: [&str; 4] = ["", "p/", "p/q/", "q/"];

/// What somebody does to the files of a catalog; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Deed {
    /// An entity is written: its blueprint, its name, its folder, what is wrong with it, and whom it points at.
    Write {
        blueprint: usize,
        name: usize,
        folder: usize,
        wrong: usize,
        target: usize,
    },
    Remove(usize),
    /// A file goes to another folder; the entity stays the same.
    Move {
        which: usize,
        folder: usize,
    },
    /// A file is copied, so that its entity is there twice.
    Copy {
        which: usize,
        folder: usize,
    },
    Blueprint {
        blueprint: usize,
        kind: usize,
    },
    Action(usize),
    /// A request is asked, recorded, forgotten, or asked where no request lies.
    Request {
        name: usize,
        kind: usize,
    },
    /// A file becomes a folder, a link, a program, another repository.
    Become {
        which: usize,
        what: usize,
    },
    BadName(usize),
    /// The folder of the entities is called otherwise, or the settings say nothing at all.
    Settings(usize),
    /// The world goes back to where it was so many commits ago.
    Back(usize),
    /// What is kept is damaged: cut, changed in the middle, changed at the end, another program's.
    Damage {
        how: usize,
        at: usize,
    },
}

fn deeds() -> impl Strategy<Value = Vec<(Deed, usize)>> {
    let n = 0..64_usize;
    let deed = prop_oneof![
        8 => (n.clone(), n.clone(), n.clone(), n.clone(), n.clone())
            .prop_map(|(blueprint, name, folder, wrong, target)| Deed::Write { blueprint, name, folder, wrong, target }),
        3 => n.clone().prop_map(Deed::Remove),
        2 => (n.clone(), n.clone()).prop_map(|(which, folder)| Deed::Move { which, folder }),
        2 => (n.clone(), n.clone()).prop_map(|(which, folder)| Deed::Copy { which, folder }),
        4 => (n.clone(), n.clone()).prop_map(|(blueprint, kind)| Deed::Blueprint { blueprint, kind }),
        1 => n.clone().prop_map(Deed::Action),
        2 => (n.clone(), n.clone()).prop_map(|(name, kind)| Deed::Request { name, kind }),
        2 => (n.clone(), n.clone()).prop_map(|(which, what)| Deed::Become { which, what }),
        1 => n.clone().prop_map(Deed::BadName),
        1 => n.clone().prop_map(Deed::Settings),
        1 => n.clone().prop_map(Deed::Back),
        1 => (n.clone(), 0..100_000_usize).prop_map(|(how, at)| Deed::Damage { how, at }),
    ];
    proptest::collection::vec((deed, n), 1..40)
}

/// What lies at a path: its mode and bytes.
type Tree = BTreeMap<String, (u32, String)>;

struct World {
    repository: Repository,
    /// The catalog's folder, with a slash, or nothing.
    root: &'static str,
    entities: &'static str,
    tree: Tree,
    past: Vec<(Tree, &'static str, ObjectId)>,
}

impl World {
    fn put(&mut self, path: &str, text: impl Into<String>) {
        self.put_as(path, 0o100_644, text);
    }

    /// What stood in the way of a path, as a file or a folder, is gone.
    fn put_as(&mut self, path: &str, mode: u32, text: impl Into<String>) {
        let below = format!("{path}/");
        self.tree.retain(|other, _| !other.starts_with(&below) && !path.starts_with(&format!("{other}/")));
        self.tree.insert(path.to_owned(), (mode, text.into()));
    }

    fn entity(&self, which: usize) -> Option<(String, (u32, String))> {
        let folder = format!("{}{}/", self.root, self.entities);
        let found: Vec<_> = self.tree.iter().filter(|(path, _)| path.starts_with(&folder)).collect();
        let (path, file) = found.get(which % found.len().max(1))?;
        Some((path.to_string(), (*file).clone()))
    }

    fn place(&self, blueprint: &str, folder: usize, name: &str) -> String {
        format!("{}{}/{blueprint}/{}{name}.yaml", self.root, self.entities, FOLDERS[folder % FOLDERS.len()])
    }

    fn play(&mut self, deed: &Deed, kept: &Path) {
        let root = self.root;
        match *deed {
            Deed::Write { blueprint, name, folder, wrong, target } => {
                let (blueprint, name) = (BLUEPRINTS[blueprint % 4], NAMES[name % 5]);
                let path = self.place(blueprint, folder, name);
                let said = match wrong % 10 {
                    0 => "z",
                    _ => blueprint,
                };
                let mut text = format!(
                    "identifier: {}\nblueprint: {said}\n",
                    if wrong % 10 == 1 { "other" } else { name }
                );
                if !blueprint.starts_with('_') {
                    text += &format!("team: {}\nproperties:\n", NAMES[target % 5]);
                    text += &format!(
                        "  n: {}\n  lead: {}\n",
                        if wrong % 10 == 2 { "many".into() } else { wrong.to_string() },
                        NAMES[wrong % 5]
                    );
                    text += &format!(
                        "relations:\n  to: {}\n  all: [{}]\n",
                        NAMES[target % 5],
                        NAMES[(target / 5) % 5]
                    );
                }
                if wrong % 10 == 3 {
                    text += "\tbroken: [";
                }
                self.put(&path, text);
            }
            Deed::Remove(which) => {
                if let Some((path, _)) = self.entity(which) {
                    self.tree.remove(&path);
                }
            }
            Deed::Move { which, folder } | Deed::Copy { which, folder } => {
                let Some((path, (mode, text))) = self.entity(which) else { return };
                let parts: Vec<&str> = path.split('/').collect();
                let (Some(name), Some(blueprint)) = (parts.last(), parts.iter().rev().nth(1)) else { return };
                let to = self.place(blueprint, folder, name.trim_end_matches(".yaml"));
                if matches!(deed, Deed::Move { .. }) {
                    self.tree.remove(&path);
                }
                self.put_as(&to, mode, text);
            }
            Deed::Blueprint { blueprint, kind } => {
                let name = ["x", "y", "z"][blueprint % 3];
                let path = format!("{root}blueprints/{name}.yaml");
                let (required, limit, target) = match kind % 8 {
                    0 => ("", 100, "y"),
                    1 => ("  required: [n]\n", 100, "y"),
                    2 => ("", 5, "y"),
                    3 => ("", 100, "x"),
                    4 => ("", 100, "z"),
                    5 => ("ownership: { type: Inherited, path: to }\n", 100, "x"),
                    6 => return drop(self.tree.remove(&path)),
                    _ => return self.put(&path, "identifier: [broken\n"),
                };
                let text = format!(
                    "identifier: {name}\nschema:\n  properties:\n    n: {{ type: number, maximum: {limit} }}\n    lead: {{ type: string, format: \
                     user }}\n{required}relations:\n  to: {{ target: {target} }}\n  all: {{ target: x, many: true }}\n\
                     mirrorProperties:\n  far: {{ path: to.n }}\n"
                );
                self.put(&path, text);
            }
            Deed::Action(team) => {
                let text = format!(
                    "identifier: act\nexecute: {{ teams: [{}] }}\ntrigger:\n  type: self-service\n  operation: DELETE\n  blueprintIdentifier: x\nsteps: []\n",
                    NAMES[team % 5]
                );
                self.put(&format!("{root}actions/act.yaml"), text);
            }
            Deed::Request { name, kind } => {
                let folder =
                    format!("{root}requests/{}{}", ["", "2026/", "BAD/"][kind / 5 % 3], NAMES[name % 5]);
                let text = format!("action: act\nentity: {}\ninputs: {{}}\n", NAMES[kind % 5]);
                match kind % 4 {
                    0 | 1 => self.put(&format!("{folder}/request.yaml"), text),
                    2 => self.put(&format!("{folder}/run.yaml"), "state: success\n"),
                    _ => self.tree.retain(|path, _| !path.starts_with(&folder)),
                }
            }
            Deed::Become { which, what } => {
                let Some((path, (_, text))) = self.entity(which) else { return };
                match what % 4 {
                    0 => self.put(&format!("{path}/inner.yaml"), text),
                    1 => self.put_as(&path, 0o120_000, "elsewhere"),
                    2 => self.put_as(&path, 0o100_755, text),
                    _ => self.put_as(&path, 0o160_000, ""),
                }
            }
            Deed::BadName(which) => {
                let names = ["a:b.yaml", "x\\y.yaml", "CON.yaml", "end.", "notes.txt", "loose.yaml"];
                self.put(&format!("{root}{}/{}", self.entities, names[which % 6]), "identifier: a\n");
            }
            Deed::Settings(kind) => {
                let before = self.entities;
                self.entities = ["entities", "things"][kind % 2];
                let text = match kind % 7 {
                    6 => "version: [".to_owned(),
                    _ => format!("version: 1\nfolders: {{ entities: {} }}\n", self.entities),
                };
                self.put(&format!("{root}chandlery.yaml"), text);
                let (from, to) = (format!("{root}{before}/"), format!("{root}{}/", self.entities));
                // Half of what there is goes along.
                for path in self
                    .tree
                    .keys()
                    .filter(|path| path.starts_with(&from))
                    .step_by(2)
                    .cloned()
                    .collect::<Vec<_>>()
                {
                    let file = self.tree.remove(&path).unwrap();
                    self.tree.insert(path.replacen(&from, &to, 1), file);
                }
            }
            Deed::Back(commits) => {
                if let Some((tree, entities, _)) = self.past.iter().rev().nth(commits % 6) {
                    (self.tree, self.entities) = (tree.clone(), entities);
                }
            }
            Deed::Damage { how, at } => damage(kept, how, at),
        }
    }

    /// Stores the files, and what of them the program should see.
    fn commit(&self) -> (ObjectId, Whole) {
        let mut index = git2::Index::new().unwrap();
        for (path, (mode, text)) in &self.tree {
            let id = match *mode {
                0o160_000 => Oid::from_bytes(&[7; 20]).unwrap(),
                _ => self.repository.blob(text.as_bytes()).unwrap(),
            };
            index.add(&entry(path, *mode, id)).unwrap();
        }
        let tree = index.write_tree_to(&self.repository).unwrap();
        let mut files = Files::new();
        let mut refused: Vec<(RepoPath, String)> = Vec::new();
        for (path, (mode, text)) in &self.tree {
            match path.parse::<RepoPath>() {
                Ok(path) if matches!(mode, 0o100_644 | 0o100_755) => {
                    drop(files.insert(path, Bytes::from(text.as_bytes())))
                }
                Ok(_) => {}
                Err(_) => {
                    // The first part that is no name; nothing below it is looked at.
                    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
                    let bad = ends.map(|end| &path[..end]).find(|part| part.parse::<RepoPath>().is_err());
                    let (folder, name) = bad.and_then(|bad| bad.rsplit_once('/')).unwrap();
                    refused.push((folder.parse().unwrap(), name.to_owned()));
                }
            }
        }
        refused.dedup();
        let root = Root(self.root.strip_suffix('/').map(|root| root.parse().unwrap()));
        let settings = chandlery::catalog::load_settings(&root, files.get(&root.settings_path()));
        match settings {
            Ok(settings) => {
                let folders = settings.folders;
                let entities = &folders.entities;
                refused.retain(|(folder, _)| folder == entities || folder.under(entities).is_some());
                let above = root.settings_path();
                files.retain(|path, _| {
                    *path == above || folders.all().iter().any(|folder| path.under(folder).is_some())
                });
            }
            Err(_) => refused.clear(),
        }
        (
            tree.as_bytes().try_into().map(ObjectId::from_bytes).unwrap(),
            Whole { root, files, executables: Vec::new(), refused },
        )
    }
}

pub fn entry(path: &str, mode: u32, id: Oid) -> IndexEntry {
    let time = IndexTime::new(0, 0);
    IndexEntry {
        ctime: time,
        mtime: time,
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}

pub fn damage(kept: &Path, how: usize, at: usize) {
    for file in std::fs::read_dir(kept).into_iter().flatten().flatten() {
        let mut bytes = std::fs::read(file.path()).unwrap();
        let length = bytes.len();
        // Whoever was killed at once wrote nothing yet.
        if length == 0 {
            continue;
        }
        match how % 4 {
            0 => bytes.truncate(at % length),
            1 => bytes[at % length] ^= 1 << (at % 8),
            2 => bytes[length - 1 - at % 60] ^= 0xff,
            _ => bytes.extend([0; 3]),
        }
        // Another file of the same name: whoever reads the old one goes on reading it.
        std::fs::remove_file(file.path()).unwrap();
        std::fs::write(file.path(), bytes).unwrap();
    }
}

/// Whoever asks is told the same of both: entities, what points at them, and how many files cannot be used.
fn same_answers(commit: &Commit, whole: &Whole) -> Result<(), TestCaseError> {
    let Ok(settings) = load_settings(&whole.root, whole.files.get(&whole.root.settings_path())) else {
        return Ok(());
    };
    let (definitions, _) = load_definitions(&whole.root, settings, &whole.files);
    let index = commit.index(&definitions, &Kept::beside(commit.objects.common_folder())).unwrap();
    let silent = |_: &BlueprintId| Past::Silent(String::new());
    let now = Timestamp::from_seconds(0);
    let (one, other) =
        (View::over(&definitions, &index, now, silent), View::new(&definitions, &whole.files, now, silent));
    let alone = View::over(&definitions, &index, now, silent);
    prop_assert_eq!(one.all().collect::<Vec<_>>(), other.all().collect::<Vec<_>>());
    prop_assert_eq!(one.unreadable(), other.unreadable());
    for id in other.all().map(Entity::id) {
        prop_assert!(one.suspects(&id.identifier.as_str().to_uppercase()).contains(&id), "{}", id);
    }
    for name in NAMES {
        for blueprint in BLUEPRINTS {
            let id = EntityId { blueprint: blueprint.parse().unwrap(), identifier: name.parse().unwrap() };
            prop_assert_eq!(one.pointed_at_by(&id), other.pointed_at_by(&id), "{}", id);
            prop_assert_eq!(alone.entity(&id), other.entity(&id), "{}", id);
        }
    }
    Ok(())
}

fn histories() -> u32 {
    std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(400)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3000, ..ProptestConfig::with_cases(histories()) })]

    #[test]
    fn what_differs_tells_what_everything_tells(deeds in deeds(), in_folder in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let kept = folder.path().join("chandlery");
        let root = if in_folder { "portal/" } else { "" };
        let mut world = World { repository, root, entities: "entities", tree: Tree::new(), past: Vec::new() };
        world.put(&format!("{root}chandlery.yaml"), "version: 1\n");
        world.play(&Deed::Blueprint { blueprint: 0, kind: 0 }, &kept);
        world.play(&Deed::Blueprint { blueprint: 1, kind: 0 }, &kept);
        for (deed, choice) in &deeds {
            world.play(deed, &kept);
            // Several deeds make one commit at times.
            if choice % 3 == 0 {
                continue;
            }
            let (tree, whole) = world.commit();
            let since = world.past.iter().rev().nth(choice % 5).map(|(_, _, tree)| *tree);
            let objects = Objects::open(folder.path()).unwrap();
            let commit = Commit::new(objects, tree, whole.root.clone());
            let (found, expected) = (commit.check(since, &Kept::beside(folder.path())).unwrap(), whole.check());
            let told = |report: &Report| -> Vec<String> {
                report.diagnostics.iter().map(|one| format!("{one:?}")).chain([format!("{:?}", report.counts)]).collect()
            };
            let (found, expected) = (told(&found), told(&expected));
            same_answers(&commit, &whole)?;
            if found != expected {
                let only = |these: &[String], those: &[String]| -> Vec<String> {
                    these.iter().filter(|one| !those.contains(one)).cloned().collect()
                };
                let (more, less) = (only(&found, &expected), only(&expected, &found));
                return Err(TestCaseError::fail(format!("too much: {more:#?}\ntoo little: {less:#?}\nafter {deed:?}: {:#?}", world.tree)));
            }
            world.past.push((world.tree.clone(), world.entities, tree));
        }
    }
}

/// Of two files with one identifier the first by its path is right, also where the other lies above it.
#[test]
fn the_first_of_two_files_is_so_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::init_bare(folder.path()).unwrap();
    let mut world = World { repository, root: "", entities: "entities", tree: Tree::new(), past: Vec::new() };
    world.put("chandlery.yaml", "version: 1\n");
    world.play(&Deed::Blueprint { blueprint: 0, kind: 0 }, folder.path());
    for path in ["q/a.yaml/inner.yaml", "q/inner.yaml", "b/z.yaml", "b-c/z.yaml", "b.yaml/z.yaml"] {
        // Of a kind that nobody defined nothing else is wrong.
        world.put(&format!("entities/p/{path}"), "identifier: a\nblueprint: p\n");
    }
    let (tree, whole) = world.commit();
    let commit = Commit::new(Objects::open(folder.path()).unwrap(), tree, whole.root.clone());
    let told =
        |report: Report| -> Vec<String> { report.diagnostics.iter().map(|one| format!("{one:?}")).collect() };
    let expected = told(whole.check());
    assert!(expected.iter().any(|one| one.contains("duplicate-identifier")), "{expected:?}");
    assert_eq!(told(commit.check(None, &Kept::beside(folder.path())).unwrap()), expected);
}

/// Processes that write what is kept at once, some of them killed at any moment: what is there afterwards is whole or not
/// believed, and nobody is told anything else than of a repository where nothing was ever kept.
#[test]
fn processes_that_are_killed_leave_nothing_that_is_believed() {
    use std::process::{Command, Stdio};

    use crate::world::large;

    /// Enough that writing takes longer than a process needs to start.
    const ENTITIES: usize = 1_000;
    const ROUNDS: usize = 8;

    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("catalog.git");
    let size = large::Size { entities: ENTITIES, commits: 1, changes: 10 };
    large::generate(&repository, size, large::Packs::Imported);
    // Each round has its own commit: half of it changed, and some of what others point at gone.
    for round in 0..ROUNDS {
        let mut files = large::changed(&(round..ENTITIES).step_by(2).collect::<Vec<_>>(), ENTITIES);
        files.extend((0..3).map(|gone| (large::path((round * 7 + gone) * 2 + (round + 1) % 2), None)));
        let mut seen = std::collections::BTreeSet::new();
        files.retain(|(path, _)| seen.insert(path.clone()));
        large::commit(&repository, &format!("round-{round}"), "main", &files);
    }
    let validate = |revision: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command.current_dir(&repository).args(["validate", "--at", revision, "--format", "json", "."]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let kept = repository.join("chandlery");
    let mut dice = crate::histories::Chance::new(u64::from(std::process::id()));
    let mut killed = 0;
    for round in 0..ROUNDS {
        let revision = format!("round-{round}");
        let start = std::time::Instant::now();
        let expected = validate(&revision).output().unwrap();
        let usual = start.elapsed().as_micros() as usize;
        assert!(String::from_utf8_lossy(&expected.stdout).contains("unknown-relation-target"));
        std::fs::remove_dir_all(&kept).unwrap();
        let mut writing: Vec<_> = (0..3).map(|_| validate(&revision).spawn().unwrap()).collect();
        // SIGKILL, somewhere on its way; whoever has ended is not hurt.
        std::thread::sleep(std::time::Duration::from_micros(dice.below(usual * 3) as u64));
        writing[0].kill().unwrap();
        for (number, child) in writing.into_iter().enumerate() {
            let told = child.wait_with_output().unwrap();
            killed += usize::from(told.status.code().is_none());
            if number > 0 {
                assert_eq!(told.stdout, expected.stdout, "beside one that was killed");
            }
        }
        if dice.one_in(3) {
            damage(&kept, dice.below(4), dice.below(1 << 16));
        }
        let told = validate(&revision).output().unwrap();
        assert_eq!(told.stdout, expected.stdout, "after one was killed");
        assert_eq!(told.status, expected.status);
    }
    assert!(killed > 0, "nobody was killed on the way");
}
