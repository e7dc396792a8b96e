//! What is kept of the history says what a walk through it says: over made-up histories with every trap that is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use chandlery::{
    domain::{BlueprintId, EntityId, Identifier, ObjectId, RepoPath},
    git::objects::Objects,
    index::{
        Kept,
        history::{History, ask},
    },
};
use git2::{Oid, Repository, Signature, Time};
use proptest::prelude::*;

use crate::index::{damage, entry};

const KINDS: [&str; 2] = ["x", "y"];
const NAMES: [&str; 3] = ["a", "b", "A"];
const FOLDERS: [&str; 4] = ["", "p/", "p/q/", "q/"];

/// What somebody does; numbers choose among what there is.
#[derive(Debug, Clone)]
enum Deed {
    Write {
        kind: usize,
        name: usize,
        folder: usize,
        text: usize,
    },
    Remove(usize),
    Move {
        which: usize,
        folder: usize,
    },
    /// A file is copied, so that its entity is there twice.
    Copy {
        which: usize,
        folder: usize,
    },
    /// All files of a folder go to another one.
    MoveFolder {
        from: usize,
        to: usize,
    },
    /// A file becomes a folder, a link, a program, another repository.
    Become {
        which: usize,
        what: usize,
    },
    /// A file that is no entity's comes beside them.
    Other(usize),
    /// The files are again as they were so many commits ago.
    Revert(usize),
    /// A commit that was made elsewhere comes with a merge, or its files do not.
    Merge {
        with: usize,
        takes: bool,
    },
    /// The branch is forced back, or to another one.
    Force(usize),
    /// The clone becomes shallow, or whole again.
    Shallow(usize),
    /// What is kept is damaged.
    Damage {
        how: usize,
        at: usize,
    },
}

fn deeds() -> impl Strategy<Value = Vec<(Deed, usize)>> {
    let n = 0..64_usize;
    let deed = prop_oneof![
        8 => (n.clone(), n.clone(), n.clone(), n.clone())
            .prop_map(|(kind, name, folder, text)| Deed::Write { kind, name, folder, text }),
        3 => n.clone().prop_map(Deed::Remove),
        3 => (n.clone(), n.clone()).prop_map(|(which, folder)| Deed::Move { which, folder }),
        2 => (n.clone(), n.clone()).prop_map(|(which, folder)| Deed::Copy { which, folder }),
        2 => (n.clone(), n.clone()).prop_map(|(from, to)| Deed::MoveFolder { from, to }),
        2 => (n.clone(), n.clone()).prop_map(|(which, what)| Deed::Become { which, what }),
        1 => n.clone().prop_map(Deed::Other),
        2 => n.clone().prop_map(Deed::Revert),
        2 => (n.clone(), any::<bool>()).prop_map(|(with, takes)| Deed::Merge { with, takes }),
        2 => n.clone().prop_map(Deed::Force),
        1 => n.clone().prop_map(Deed::Shallow),
        1 => (n.clone(), 0..100_000_usize).prop_map(|(how, at)| Deed::Damage { how, at }),
    ];
    proptest::collection::vec((deed, n), 1..40)
}

/// What lies at a path: its mode and bytes.
type Tree = BTreeMap<String, (u32, String)>;

struct Made {
    id: ObjectId,
    first_parent: Option<usize>,
    second_parent: Option<usize>,
    tree: Tree,
}

struct World {
    repository: Repository,
    tree: Tree,
    made: Vec<Made>,
    head: Option<usize>,
    second: Option<usize>,
    /// The commit whose parents the clone lacks.
    cut: Option<usize>,
}

impl World {
    /// What stood in the way of a path, as a file or a folder, is gone.
    fn put(&mut self, path: &str, mode: u32, text: String) {
        let below = format!("{path}/");
        self.tree.retain(|other, _| !other.starts_with(&below) && !path.starts_with(&format!("{other}/")));
        self.tree.insert(path.to_owned(), (mode, text));
    }

    fn pick(&self, which: usize) -> Option<(String, (u32, String))> {
        let (path, file) = self.tree.iter().nth(which % self.tree.len().max(1))?;
        Some((path.clone(), file.clone()))
    }

    fn play(&mut self, deed: &Deed, kept: &Path) {
        match *deed {
            Deed::Write { kind, name, folder, text } => {
                let (kind, name, folder) = (KINDS[kind % 2], NAMES[name % 3], FOLDERS[folder % 4]);
                let ending = if text % 8 == 7 { "yml" } else { "yaml" };
                self.put(
                    &format!("entities/{kind}/{folder}{name}.{ending}"),
                    0o100_644,
                    format!("n: {}\n", text % 5),
                );
            }
            Deed::Remove(which) => {
                if let Some((path, _)) = self.pick(which) {
                    self.tree.remove(&path);
                }
            }
            Deed::Move { which, folder } | Deed::Copy { which, folder } => {
                let Some((path, (mode, text))) = self.pick(which) else { return };
                let (Some(kind), Some(name)) = (path.split('/').nth(1), path.rsplit('/').next()) else {
                    return;
                };
                if matches!(deed, Deed::Move { .. }) {
                    self.tree.remove(&path);
                }
                self.put(&format!("entities/{kind}/{}{name}", FOLDERS[folder % 4]), mode, text);
            }
            Deed::MoveFolder { from, to } => {
                let (from, to) =
                    (format!("entities/x/{}", FOLDERS[from % 4]), format!("entities/x/{}", FOLDERS[to % 4]));
                let gone: Vec<String> =
                    self.tree.keys().filter(|path| path.starts_with(&from)).cloned().collect();
                for path in gone {
                    // One that was moved before may have taken its place.
                    let Some((mode, text)) = self.tree.remove(&path) else { continue };
                    self.put(&path.replacen(&from, &to, 1), mode, text);
                }
            }
            Deed::Become { which, what } => {
                let Some((path, (_, text))) = self.pick(which) else { return };
                match what % 4 {
                    0 => self.put(&format!("{path}/a.yaml"), 0o100_644, text),
                    1 => self.put(&path, 0o120_000, "elsewhere".to_owned()),
                    2 => self.put(&path, 0o100_755, text),
                    _ => self.put(&path, 0o160_000, String::new()),
                }
            }
            Deed::Other(which) => {
                let paths = [
                    "entities/x/a.txt",
                    "entities/a.yaml",
                    "entities/x/a:b/a.yaml",
                    "entities/BAD!/a.yaml",
                    "x/a.yaml",
                ];
                self.put(paths[which % 5], 0o100_644, "n: 9\n".to_owned());
            }
            Deed::Revert(commits) => {
                if let Some(made) = self.made.iter().rev().nth(commits % 6) {
                    self.tree = made.tree.clone();
                }
            }
            Deed::Merge { with, takes } => {
                self.second = self.made.len().checked_sub(1 + with % 6);
                if let (Some(second), true) = (self.second, takes) {
                    self.tree.extend(self.made[second].tree.clone().into_iter().take(2));
                    // What was a folder in one of them may be a file in the other.
                    let paths: Vec<String> = self.tree.keys().cloned().collect();
                    self.tree
                        .retain(|path, _| !paths.iter().any(|other| path.starts_with(&format!("{other}/"))));
                }
            }
            Deed::Force(commits) => {
                self.head = self.made.len().checked_sub(1 + commits % 8);
                self.tree = self.head.map(|head| self.made[head].tree.clone()).unwrap_or_default();
            }
            Deed::Shallow(which) => {
                let file = self.repository.path().join("shallow");
                self.cut = (which % 3 > 0).then(|| self.made.len().checked_sub(1 + which % 5)).flatten();
                match self.cut {
                    Some(cut) => std::fs::write(file, format!("{}\n", self.made[cut].id)).unwrap(),
                    None => drop(std::fs::remove_file(file)),
                }
            }
            Deed::Damage { how, at } => damage(kept, how, at),
        }
    }

    fn commit(&mut self) {
        let mut index = git2::Index::new().unwrap();
        for (path, (mode, text)) in &self.tree {
            let id = match *mode {
                0o160_000 => Oid::from_bytes(&[7; 20]).unwrap(),
                _ => self.repository.blob(text.as_bytes()).unwrap(),
            };
            index.add(&entry(path, *mode, id)).unwrap();
        }
        let tree = index.write_tree_to(&self.repository).unwrap();
        let number = self.made.len();
        let who = Signature::new("ada", "ada@b.test", &Time::new(1_000 + number as i64, 0)).unwrap();
        let message = if number.is_multiple_of(3) {
            format!("x\n\nChandlery-Run: r-{number} success\n")
        } else if number % 3 == 1 {
            // What people quote is no trailer.
            "x\n\nIt said\nChandlery-Run: quoted success\nand was wrong.\n".to_owned()
        } else {
            "Chandlery-Run: subject success".to_owned()
        };
        let repository = Repository::open(self.repository.path()).unwrap();
        let second_parent = self.second.take().filter(|second| self.head.is_some_and(|head| head != *second));
        let parents = self.head.into_iter().chain(second_parent);
        let commits: Vec<_> =
            parents.map(|parent| repository.find_commit(to_git(self.made[parent].id)).unwrap()).collect();
        let id = repository.commit(
            None,
            &who,
            &who,
            &message,
            &repository.find_tree(tree).unwrap(),
            &commits.iter().collect::<Vec<_>>(),
        );
        let id = ObjectId::from_bytes(id.unwrap().as_bytes().try_into().unwrap());
        self.made.push(Made { id, first_parent: self.head, second_parent, tree: self.tree.clone() });
        self.head = Some(number);
    }

    /// A walk through all commits of the line, as plain as can be.
    fn told(&self, head: usize) -> (BTreeMap<String, Vec<String>>, bool) {
        let mut line = vec![head];
        let mut is_cut = false;
        while let Some(parent) = self.made[line[line.len() - 1]].first_parent {
            if self.cut == line.last().copied() {
                is_cut = true;
                break;
            }
            line.push(parent);
        }
        let files: Vec<_> = line.iter().map(|at| entities(&self.made[*at].tree)).collect();
        let all: BTreeSet<&String> = files.iter().flat_map(BTreeMap::keys).collect();
        let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for id in all {
            let nothing = BTreeMap::new();
            let last = |files: &BTreeMap<String, String>| {
                files.last_key_value().map(|(path, text)| (path.clone(), text.clone()))
            };
            let mut here = last(files[0].get(id).unwrap_or(&nothing));
            for (at, commit) in line.iter().enumerate() {
                let before = match files.get(at + 1) {
                    Some(files) => {
                        let files = files.get(id).unwrap_or(&nothing);
                        let same = here
                            .as_ref()
                            .and_then(|(path, _)| Some((path.clone(), files.get(path)?.clone())));
                        same.or_else(|| last(files))
                    }
                    None if is_cut => here.clone(),
                    None => None,
                };
                if before != here {
                    // What was merged says more in its own commit than where it was merged.
                    let told_by = std::iter::once(*commit).chain(self.made[*commit].second_parent);
                    let runs: Vec<String> = told_by
                        .filter(|commit| commit % 3 == 0)
                        .map(|commit| format!("r-{commit}"))
                        .collect();
                    told.entry(id.clone()).or_default().push(turn(
                        self.made[*commit].id,
                        1_000 + *commit as i64,
                        &runs,
                        &before,
                        &here,
                    ));
                }
                here = before;
            }
        }
        (told, is_cut)
    }
}

fn to_git(id: ObjectId) -> Oid {
    Oid::from_bytes(id.bytes()).unwrap()
}

fn turn(
    commit: ObjectId,
    at: i64,
    runs: &[String],
    before: &Option<(String, String)>,
    after: &Option<(String, String)>,
) -> String {
    format!("{commit:?} {at} {runs:?}: {before:?} -> {after:?}")
}

/// The files of each entity, with their blobs.
fn entities(tree: &Tree) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (path, (mode, text)) in tree {
        let parts: Vec<&str> = path.split('/').collect();
        let is_entity = parts[0] == "entities" && parts.len() > 2 && parts[1].parse::<BlueprintId>().is_ok();
        let is_document = path.ends_with(".yaml") || path.ends_with(".yml");
        if is_entity
            && is_document
            && path.parse::<RepoPath>().is_ok()
            && matches!(mode, 0o100_644 | 0o100_755)
        {
            let below = parts[2..].join("/");
            let id = format!("{}/{}", parts[1], Identifier::of_file(&below).unwrap());
            let blob = ObjectId::of_blob(text.as_bytes()).to_string();
            found.entry(id).or_default().insert(path.clone(), blob);
        }
    }
    found
}

fn turns(history: &History, turns: Vec<chandlery::index::history::Turn>) -> Vec<String> {
    let side =
        |side: Option<(RepoPath, ObjectId)>| side.map(|(path, blob)| (path.to_string(), blob.to_string()));
    let told = turns.into_iter().filter_map(|one| {
        let authored = history.authored(one.number)?;
        Some(turn(
            authored.commit,
            authored.at.seconds(),
            &authored.runs,
            &side(one.before),
            &side(one.after),
        ))
    });
    told.collect()
}

fn histories() -> u32 {
    std::env::var("HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_shrink_iters: 3000, ..ProptestConfig::with_cases(histories()) })]

    #[test]
    fn what_is_kept_tells_what_a_walk_tells(deeds in deeds()) {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let kept = folder.path().join("chandlery");
        let mut world = World { repository, tree: Tree::new(), made: Vec::new(), head: None, second: None, cut: None };
        for (deed, choice) in &deeds {
            world.play(deed, &kept);
            // Several deeds make one commit at times, and several commits come between two questions.
            if choice % 3 == 0 {
                continue;
            }
            world.commit();
            if choice % 4 == 0 {
                continue;
            }
            let objects = Objects::open(folder.path()).unwrap();
            let asked = if choice % 5 == 0 { choice % world.made.len() } else { world.made.len() - 1 };
            let (expected, is_cut) = world.told(asked);
            let kinds = expected.keys().filter_map(|id| id.split('/').next()).chain(KINDS);
            let blueprints: BTreeSet<BlueprintId> = kinds.map(|kind| kind.parse().unwrap()).collect();
            let look = |history: &History| {
                let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
                let mut alone: BTreeMap<String, Vec<String>> = BTreeMap::new();
                for blueprint in &blueprints {
                    history.each(blueprint, &mut |id, lived| {
                        alone.insert(id.to_string(), turns(history, history.life(&id)));
                        told.insert(id.to_string(), turns(history, lived));
                    });
                }
                let never = EntityId { blueprint: "x".parse().unwrap(), identifier: "never".parse().unwrap() };
                let of_never = history.life(&never).len();
                told.retain(|_, lived| !lived.is_empty());
                alone.retain(|_, lived| !lived.is_empty());
                Ok((told, alone, of_never, history.is_cut()))
            };
            let entities: RepoPath = "entities".parse().unwrap();
            let found = ask(&objects, &entities, world.made[asked].id, &Kept::beside(folder.path()), look).unwrap();
            let expected = (expected.clone(), expected, 0, is_cut);
            prop_assert_eq!(found, expected, "after {:?}: {:#?}", deed, world.tree);
        }
    }
}
