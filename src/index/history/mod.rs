//! What became of the entities of a catalog, commit by commit?
//!
//! Only first parents are followed: what a merge brought, it brought. For each entity, which commits touched its
//! files and what they were then is kept in a file beside the repository (`file`), for the line of one commit. Any other
//! commit is answered from where its own line leaves that one, and from what is walked beyond, in memory. Commits
//! are numbered from the oldest, so a branch that was forced back is simply told less of what is kept.

mod file;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::PathBuf,
};

use file::Written;
use sha2::{Digest, Sha256};

use super::{
    Kept, STALE,
    keep::{HISTORY, history_name},
    pages::Place,
    walk::is_document,
};
use crate::{
    domain::{BlueprintId, EntityId, Identifier, ObjectId, RUN_TRAILER, RepoPath, Timestamp, trailers},
    git::{
        objects::{Objects, Read},
        touched::{End, Made, touched},
    },
};

/// A commit, as far as it matters to the entities that it touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authored {
    /// Which one.
    pub commit: ObjectId,
    /// When, as it says.
    pub at: Timestamp,
    /// Who wrote it, as it says.
    pub author: String,
    /// The requests whose runs it records.
    pub runs: Vec<String>,
}

impl Authored {
    fn of(made: &Made) -> Self {
        let named = made.messages.iter().flat_map(|message| trailers(message, RUN_TRAILER));
        let named = named.filter_map(|trailer| trailer.split(' ').next());
        let runs = named.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        Self { commit: made.commit, at: made.at, author: made.author.clone(), runs }
    }
}

/// That an entity's file came, went, moved or became another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    /// The commit, to be asked for with [`History::authored`].
    pub number: u32,
    /// Where the file was, and what.
    pub before: Option<(RepoPath, ObjectId)>,
    /// Where it is, and what.
    pub after: Option<(RepoPath, ObjectId)>,
}

/// That a commit touched a file.
#[derive(Debug, Clone)]
struct Touch {
    number: u32,
    path: RepoPath,
    after: Option<ObjectId>,
}

/// A stretch of a line of commits, in memory.
#[derive(Debug, Default)]
struct Stretch {
    /// The number of its first commit.
    first: u32,
    commits: Vec<Authored>,
    /// What was touched of each entity, oldest first.
    entities: BTreeMap<String, Vec<Touch>>,
    /// Whether something came before it that a shallow clone has left out. What its first commit brought is not known
    /// then; all that is there counts as touched by it.
    is_cut: bool,
}

impl Stretch {
    fn len(&self) -> usize {
        self.commits.len() + self.entities.values().map(Vec::len).sum::<usize>()
    }
}

/// The history of a catalog up to a commit.
pub struct History {
    /// What is kept, and how many of its commits are of this history.
    kept: Option<(Written, u32)>,
    beyond: Stretch,
}

/// Asks the history of the entities below a folder up to a commit. It is asked again if what was kept turns out to be damaged.
///
/// # Errors
/// When an object is missing, or those of the question.
pub fn ask<T>(
    objects: &Objects,
    entities: &RepoPath,
    head: ObjectId,
    kept: &Kept,
    question: impl Fn(&History) -> Read<T>,
) -> Read<T> {
    let mut history = History::open(objects, entities, head, kept)?;
    let mut answer = question(&history);
    if history.is_damaged() {
        kept.remove(HISTORY);
        history = History::open(objects, entities, head, &Kept::nowhere())?;
        answer = question(&history);
    }
    if answer.is_ok() {
        history.renew(objects, entities, head, kept);
    }
    answer
}

impl History {
    fn open(objects: &Objects, entities: &RepoPath, head: ObjectId, kept: &Kept) -> Read<Self> {
        let cut = cut(objects);
        let open = |path: PathBuf| {
            let file = File::open(&path).ok()?;
            let Some(written) = Written::open(Place::File(file)) else {
                drop(fs::remove_file(&path));
                return None;
            };
            let is_cut_there = || written.oldest().is_some_and(|commit| objects.is_cut_at(commit));
            let is_so = written.head.folder == entities.as_str()
                && written.head.cut == cut
                && (!written.head.is_cut || is_cut_there());
            is_so.then_some(written)
        };
        let mut known: Vec<Written> = kept.files(HISTORY).into_iter().filter_map(open).collect();
        let (mut met, mut made) = (None, Vec::new());
        let mut is_known = |commit| {
            met = known.iter().enumerate().find_map(|(at, written)| Some((at, written.number(commit)?)));
            met.is_some()
        };
        let end = objects.line(head, &mut is_known, &mut |one| made.push(one))?;
        if known.iter().any(Written::is_damaged) {
            kept.remove(HISTORY);
            return Self::open(objects, entities, head, &Kept::nowhere());
        }
        made.reverse();
        let mut trees = vec![match end {
            End::Known(commit) => Some(objects.root(commit)?),
            End::Beginning | End::CutOff => None,
        }];
        trees.extend(made.iter().map(|made| Some(made.tree)));
        let kept = met.map(|(at, number)| (known.swap_remove(at), number + 1));
        let mut beyond = Stretch {
            first: kept.as_ref().map_or(0, |(_, count)| *count),
            commits: made.iter().map(Authored::of).collect(),
            entities: BTreeMap::new(),
            is_cut: end == End::CutOff,
        };
        for touch in touched(objects.folder(), &trees, entities)? {
            let Ok(path) = touch.path.parse::<RepoPath>() else { continue };
            if let Some(key) = key_of(entities, &path) {
                let number = beyond.first + touch.step as u32;
                beyond.entities.entry(key).or_default().push(Touch { number, path, after: touch.after });
            }
        }
        Ok(Self { kept, beyond })
    }

    fn is_damaged(&self) -> bool {
        self.kept.as_ref().is_some_and(|(written, _)| written.is_damaged())
    }

    /// Writes a file for this commit if there is none yet, or much was walked beyond it.
    fn renew(mut self, objects: &Objects, entities: &RepoPath, head: ObjectId, kept: &Kept) {
        if let Some((written, count)) = &self.kept {
            if self.beyond.len() * STALE <= written.len() {
                return;
            }
            let mut whole = written.stretch(*count);
            for (key, touches) in std::mem::take(&mut self.beyond.entities) {
                whole.entities.entry(key).or_default().extend(touches);
            }
            whole.commits.append(&mut self.beyond.commits);
            if written.is_damaged() {
                kept.remove(HISTORY);
                return;
            }
            self.beyond = whole;
        }
        let Some(out) = kept.begin() else { return };
        let written = file::write(&self.beyond, entities, cut(objects), out);
        // It is only an aid: without it the next question takes longer.
        if let Err(error) = written.and_then(|out| kept.put(out, &history_name(head, entities))) {
            tracing::warn!("the index of the history could not be written: {error}");
        }
    }

    /// Whether the history is cut off: what its oldest commit brought is not known then.
    pub fn is_cut(&self) -> bool {
        self.kept.as_ref().map_or(self.beyond.is_cut, |(written, _)| written.head.is_cut)
    }

    /// The commit of this number.
    pub fn authored(&self, number: u32) -> Option<Authored> {
        match &self.kept {
            Some((written, count)) if number < *count => written.authored(number),
            _ => self.beyond.commits.get(number.checked_sub(self.beyond.first)? as usize).cloned(),
        }
    }

    /// What became of an entity, newest first. It may be moved to another folder and stays the same.
    pub fn life(&self, id: &EntityId) -> Vec<Turn> {
        let key = id.to_string();
        let mut touches = Vec::new();
        if let Some((written, count)) = &self.kept {
            touches = written.touches(&key, *count);
        }
        touches.extend(self.beyond.entities.get(&key).into_iter().flatten().cloned());
        turns(&touches, self.is_cut())
    }

    /// Visits all entities that there ever were of a blueprint, with what became of each.
    pub fn each(&self, blueprint: &BlueprintId, visit: &mut dyn FnMut(EntityId, Vec<Turn>)) {
        let begin = format!("{blueprint}/");
        let mut beyond: BTreeMap<&String, &Vec<Touch>> = self
            .beyond
            .entities
            .range(begin.clone()..)
            .take_while(|(key, _)| key.starts_with(&begin))
            .collect();
        let mut visit = |key: &str, touches: &[Touch]| {
            if let Some(id) = id_of(key) {
                visit(id, turns(touches, self.is_cut()));
            }
        };
        if let Some((written, count)) = &self.kept {
            written.each(&begin, *count, &mut |key, mut touches| {
                touches.extend(beyond.remove(&key).into_iter().flatten().cloned());
                visit(&key, &touches);
            });
        }
        for (key, touches) in beyond {
            visit(key, touches);
        }
    }
}

/// The entity that a file is about: its blueprint, and what the file is called.
fn key_of(entities: &RepoPath, path: &RepoPath) -> Option<String> {
    let (blueprint, below) = path.under(entities)?.split_once('/')?;
    let blueprint: BlueprintId = blueprint.parse().ok()?;
    let identifier = Identifier::of_file(below).filter(|_| is_document(path))?;
    Some(EntityId { blueprint, identifier }.to_string())
}

fn id_of(key: &str) -> Option<EntityId> {
    let (blueprint, identifier) = key.split_once('/')?;
    Some(EntityId { blueprint: blueprint.parse().ok()?, identifier: identifier.parse().ok()? })
}

/// What a shallow clone lacks. Git keeps it in files, and what is kept of a history holds only while they say the same.
fn cut(objects: &Objects) -> String {
    let mut sum = Sha256::new();
    for name in ["shallow", "info/grafts"] {
        #[expect(clippy::disallowed_methods, reason = "this module keeps files beside the repository")]
        let bytes = fs::read(objects.common_folder().join(name)).unwrap_or_default();
        sum.update((bytes.len() as u64).to_le_bytes());
        sum.update(bytes);
    }
    hex::encode(&sum.finalize()[..12])
}

/// Follows an entity back through its files. There may be several at once, though a catalog is not sound then: the one
/// seen last is followed, and where it is not there, the last one.
fn turns(touches: &[Touch], is_cut: bool) -> Vec<Turn> {
    let mut states: Vec<BTreeMap<&RepoPath, ObjectId>> = vec![BTreeMap::new()];
    let mut numbers = Vec::new();
    for touched in touches.chunk_by(|a, b| a.number == b.number) {
        let mut state = states.last().cloned().unwrap_or_default();
        for touch in touched {
            match touch.after {
                Some(blob) => drop(state.insert(&touch.path, blob)),
                None => drop(state.remove(&touch.path)),
            }
        }
        states.push(state);
        numbers.push(touched[0].number);
    }
    let last = |state: &BTreeMap<&RepoPath, ObjectId>| {
        state.last_key_value().map(|(path, blob)| ((*path).clone(), *blob))
    };
    let mut after = states.pop().and_then(|state| last(&state));
    let mut turns = Vec::new();
    for (number, state) in numbers.into_iter().zip(states).rev() {
        if is_cut && number == 0 {
            break;
        }
        let same = after.as_ref().and_then(|(path, _)| Some((path.clone(), *state.get(path)?)));
        let before = same.or_else(|| last(&state));
        if before != after {
            turns.push(Turn { number, before: before.clone(), after });
        }
        after = before;
    }
    turns
}
