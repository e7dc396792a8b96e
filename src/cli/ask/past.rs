//! What was changed in an entity, when, and by whom? From Git alone.

use std::{
    collections::{
        BTreeMap, BTreeSet, HashMap,
        hash_map::{DefaultHasher, Entry},
    },
    hash::{Hash, Hasher},
};

use anyhow::Context;
use serde_json::Value;

use super::Read;
use crate::{
    catalog::{Deed, Life, Past, yaml},
    cli::{misuse::misuse, output},
    domain::{BlueprintId, EntityId, ObjectId, RepoPath, Run, Timestamp, whole_numbers},
    git::{
        bulk::read_blobs,
        objects::{Objects, ReadError},
    },
    index::{
        Kept,
        history::{self, Authored, Turn},
    },
    plan::plan_file,
};

/// What a shallow clone hears.
const CUT_OFF: &str = "the history is cut off here, so what was before is not known: `git fetch --unshallow`";

/// What an entity says, by `properties.tier` and the like.
pub(super) type Values = BTreeMap<String, Value>;

/// A value that differs: its name, before and after.
pub(super) type Differing = (String, Value, Value);

/// One change of an entity.
pub(super) struct Change {
    pub(super) commit: ObjectId,
    pub(super) at: Timestamp,
    /// Who wrote the commit, as it says.
    pub(super) author: String,
    /// The first line of its message.
    pub(super) subject: String,
    /// The run that it records, if it was no hand of somebody's.
    pub(super) run: Option<Run>,
    /// Each value that changed: before and after.
    pub(super) values: Vec<Differing>,
    pub(super) kind: Kind,
}

impl Change {
    /// Who asked for it, or who wrote the commit.
    pub(super) fn people(&self) -> Vec<String> {
        match &self.run {
            Some(run) => run.requesters.iter().map(ToString::to_string).collect(),
            None => vec![self.author.clone()],
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Added,
    Changed,
    Removed,
}

impl Kind {
    fn of(before: Option<ObjectId>, after: Option<ObjectId>) -> Self {
        match (before, after) {
            (None, _) => Self::Added,
            (_, None) => Self::Removed,
            _ => Self::Changed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Removed => "removed",
        }
    }
}

/// Every change of an entity, newest first. What only moved a file or worded it otherwise is none.
pub(super) fn changes(read: &Read, id: &EntityId) -> anyhow::Result<Vec<Change>> {
    let objects = Objects::open(&read.catalog)
        .ok()
        .with_context(|| format!("`{}` is not in a Git repository", read.catalog.display()))?;
    let head = read.commit(&objects)?;
    let settings = &read.definitions.settings;
    let kept = Kept::beside(objects.common_folder());
    let (turns, is_cut) = history::ask(&objects, &settings.folders.entities, head, &kept, |history| {
        let authored = |turn: Turn| Some((history.authored(turn.number)?, turn));
        Ok((history.life(id).into_iter().filter_map(authored).collect::<Vec<_>>(), history.is_cut()))
    })?;
    if turns.is_empty() && !is_cut {
        return Err(misuse(format!("`{id}` was never in the catalog, as far as its commits tell")));
    }
    if is_cut {
        output::complain(CUT_OFF);
    }
    let mut changes = Vec::new();
    for (authored, turn) in turns {
        let (before, after) = blobs(&turn);
        let kind = Kind::of(before, after);
        let values = differences(&parsed(&objects, before)?, &parsed(&objects, after)?);
        if values.is_empty() && kind == Kind::Changed {
            continue;
        }
        let runs = runs_of(&objects, &settings.folders.requests, &authored);
        let messages = objects.made(authored.commit)?.messages;
        let subject = messages.first().and_then(|message| message.lines().next()).unwrap_or_default();
        changes.push(Change {
            commit: authored.commit,
            at: authored.at,
            author: authored.author,
            subject: subject.to_owned(),
            run: run_for(&runs, id).cloned(),
            values,
            kind,
        });
    }
    Ok(changes)
}

/// The blobs of a turn, before and after.
fn blobs(turn: &Turn) -> (Option<ObjectId>, Option<ObjectId>) {
    let blob = |file: &Option<(RepoPath, ObjectId)>| file.as_ref().map(|(_, blob)| *blob);
    (blob(&turn.before), blob(&turn.after))
}

/// The runs that a commit records; what is said of one that cannot be read would be taken for done by hand.
fn runs_of(objects: &Objects, requests: &RepoPath, authored: &Authored) -> Vec<Run> {
    let read = |request: &String| -> anyhow::Result<Option<Run>> {
        let path = requests.join(&format!("{request}/run.yaml"))?;
        let file = objects.file(authored.commit, &path)?;
        Ok(file.map(|file| plan_file::read_run(&file.bytes)).transpose()?)
    };
    let told = |request: &String| {
        read(request).unwrap_or_else(|why| {
            let (commit, request) = (authored.commit.short(), output::plain(request));
            output::complain(&format!(
                "who asked for `{request}`, which {commit} records, is not known: its record cannot be read: {why:#}"
            ));
            None
        })
    };
    authored.runs.iter().filter_map(told).collect()
}

/// The one among them that changed the entity.
fn run_for<'a>(runs: &'a [Run], id: &EntityId) -> Option<&'a Run> {
    let id = id.to_string();
    runs.iter().find(|run| run.entities.iter().any(|entity| entity.entity == id))
}

/// An entity's values by their names; nothing where there is no file, or none that can be read.
fn parsed(objects: &Objects, blob: Option<ObjectId>) -> Result<Values, ReadError> {
    let Some(blob) = blob else { return Ok(BTreeMap::new()) };
    Ok(values(&objects.blob(blob)?))
}

fn values(bytes: &[u8]) -> Values {
    let mut values = BTreeMap::new();
    for (name, value) in yaml::entries("", bytes).unwrap_or_default() {
        match value {
            Value::Object(inner) if name == "properties" || name == "relations" => {
                values.extend(inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => drop(values.insert(name, value)),
        }
    }
    values.retain(|name, value| !value.is_null() && name != "identifier" && name != "blueprint");
    values
}

/// When the entities of a blueprint came and were changed last, and who did it.
pub(super) fn lives(read: &Read, blueprint: &BlueprintId) -> Past {
    let Ok(objects) = Objects::open(&read.catalog) else {
        return Past::Silent("there is no Git repository here".to_owned());
    };
    let Ok(head) = read.commit(&objects) else { return Past::Silent("nothing is committed yet".to_owned()) };
    match all_lives(read, &objects, head, blueprint) {
        Ok((lives, is_cut)) => Past::Told { lives, is_cut },
        Err(why) => Past::Silent(why.to_string()),
    }
}

/// Says what the history cannot tell.
pub(super) fn tell_gaps(past: &Past) {
    match past {
        Past::Told { is_cut: true, .. } => output::complain(CUT_OFF),
        Past::Told { is_cut: false, .. } => {}
        Past::Silent(why) => output::complain(&format!("when entities came and changed is not known: {why}")),
    }
}

/// An entity, what became of it, newest first, and at which turn its values changed last, as far as that is known.
struct Lived {
    id: EntityId,
    turns: Vec<Turn>,
    updated: usize,
}

fn all_lives(
    read: &Read,
    objects: &Objects,
    head: ObjectId,
    blueprint: &BlueprintId,
) -> Result<(HashMap<EntityId, Life>, bool), ReadError> {
    let folders = &read.definitions.settings.folders;
    let kept = Kept::beside(objects.common_folder());
    history::ask(objects, &folders.entities, head, &kept, |history| {
        let mut all: Vec<Lived> = Vec::new();
        history.each(blueprint, &mut |id, turns| all.push(Lived { id, turns, updated: 0 }));
        find_updated(objects, &mut all)?;
        let mut runs: HashMap<u32, (Authored, Vec<Run>)> = HashMap::new();
        let mut lives = HashMap::with_capacity(all.len());
        for Lived { id, turns, updated } in all {
            let mut deed = |turn: &Turn| -> Option<Deed> {
                let (authored, runs) = match runs.entry(turn.number) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(open) => {
                        let authored = history.authored(turn.number)?;
                        let runs = runs_of(objects, &folders.requests, &authored);
                        open.insert((authored, runs))
                    }
                };
                let by = match run_for(runs, &id) {
                    Some(run) => run.requesters.iter().map(ToString::to_string).collect(),
                    None => vec![authored.author.clone()],
                };
                Some(Deed { at: authored.at, by })
            };
            // What was removed and came back is as old as when it came first.
            let first = turns.last().filter(|turn| turn.before.is_none());
            let created = first.and_then(&mut deed);
            let updated = turns.get(updated).and_then(&mut deed);
            lives.insert(id, Life { created, updated });
        }
        Ok((lives, history.is_cut()))
    })
}

/// Goes back with each entity to the last turn that changed its values; all are read together, in pack order.
fn find_updated(objects: &Objects, all: &mut [Lived]) -> Result<(), ReadError> {
    let mut open: Vec<usize> = (0..all.len()).collect();
    while !open.is_empty() {
        let mut asked: Vec<(usize, ObjectId, ObjectId)> = Vec::new();
        for at in open {
            let lived = &mut all[at];
            while let Some(turn) = lived.turns.get(lived.updated) {
                match blobs(turn) {
                    (Some(before), Some(after)) if before == after => lived.updated += 1,
                    (Some(before), Some(after)) => {
                        asked.push((at, before, after));
                        break;
                    }
                    _ => break,
                }
            }
        }
        let wanted: Vec<ObjectId> = asked.iter().flat_map(|(_, before, after)| [*before, *after]).collect();
        let sums = read_blobs(objects, &wanted, Vec::new, |sums, place, bytes| {
            let mut hasher = DefaultHasher::new();
            let said = values(bytes);
            let said = said.iter().map(|(name, value)| (name, as_meant(name, value)));
            said.collect::<Vec<_>>().hash(&mut hasher);
            sums.push((place, hasher.finish()));
        })?;
        let mut said = vec![0; wanted.len()];
        for (place, sum) in sums.into_iter().flatten() {
            said[place] = sum;
        }
        // What only was worded otherwise is none.
        let asked = asked.into_iter().zip(said.chunks_exact(2)).filter(|(_, said)| said[0] == said[1]);
        open = asked.map(|((at, ..), _)| at).collect();
        for at in &open {
            all[*at].updated += 1;
        }
    }
    Ok(())
}

/// What differs, by name: before and after.
pub(super) fn differences(before: &Values, after: &Values) -> Vec<Differing> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let at = |values: &Values, name: &String| values.get(name).cloned().unwrap_or(Value::Null);
    let both = names.into_iter().map(|name| (name.clone(), at(before, name), at(after, name)));
    both.filter(|(name, before, after)| as_meant(name, before) != as_meant(name, after)).collect()
}

/// What a value of this name says, however it is worded: 3 is 3.0, and a team is a list with it alone.
fn as_meant(name: &str, value: &Value) -> Value {
    match value {
        Value::String(_) if name == "team" => vec![value.clone()].into(),
        value => whole_numbers(value.clone()),
    }
}
