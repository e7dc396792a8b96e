//! What was changed in an entity, when, and by whom? From Git alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::Read;
use crate::{
    catalog::{Deed, Life, Past, entity_at},
    cli::output,
    domain::{EntityId, ObjectId, RepoPath, Run, Timestamp},
    git::{
        history::Lived,
        objects::{Objects, ReadError},
    },
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
    let folder = settings.folders.entities.join(id.blueprint.as_str())?;
    let (lived, is_cut) = objects.life(head, &folder, &id.identifier)?;
    if lived.is_empty() && !is_cut {
        bail!("`{id}` was never in the catalog, as far as its commits tell");
    }
    if is_cut {
        output::complain(CUT_OFF);
    }
    let mut changes = Vec::new();
    for one in lived {
        let blob = |file: &Option<(RepoPath, ObjectId)>| file.as_ref().map(|(_, blob)| *blob);
        let (before, after) = (parsed(&objects, blob(&one.before))?, parsed(&objects, blob(&one.after))?);
        let kind = match (&one.before, &one.after) {
            (None, _) => Kind::Added,
            (_, None) => Kind::Removed,
            _ => Kind::Changed,
        };
        let values = differences(&before, &after);
        if values.is_empty() && kind == Kind::Changed {
            continue;
        }
        let run = run_of(&objects, &settings.folders.requests, &one, id);
        changes.push(Change {
            commit: one.commit,
            at: one.at,
            author: one.author,
            subject: one.message.lines().next().unwrap_or_default().to_owned(),
            run,
            values,
            kind,
        });
    }
    Ok(changes)
}

/// The run among those that a commit records which changed the entity.
fn run_of(objects: &Objects, requests: &RepoPath, lived: &Lived, id: &EntityId) -> Option<Run> {
    let named =
        lived.message.lines().filter_map(|line| line.strip_prefix("Chandlery-Run: ")?.split(' ').next());
    named
        .filter_map(|request| {
            let path = requests.join(&format!("{request}/run.yaml")).ok()?;
            let file = objects.file(lived.commit, &path).ok()??;
            serde_yaml::from_slice::<Run>(&file.bytes).ok()
        })
        .find(|run| run.entities.iter().any(|entity| entity.entity == id.to_string()))
}

/// An entity's values by their names; nothing where there is no file, or none that can be read.
fn parsed(objects: &Objects, blob: Option<ObjectId>) -> Result<Values, ReadError> {
    let Some(blob) = blob else { return Ok(BTreeMap::new()) };
    let bytes = objects.blob(blob)?;
    let Ok(Value::Object(entries)) = serde_yaml::from_slice::<Value>(&bytes) else {
        return Ok(BTreeMap::new());
    };
    let mut values = BTreeMap::new();
    for (name, value) in entries {
        match value {
            Value::Object(inner) if name == "properties" || name == "relations" => {
                values.extend(inner.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
            }
            value => drop(values.insert(name, value)),
        }
    }
    values.retain(|name, value| !value.is_null() && name != "identifier" && name != "blueprint");
    Ok(values)
}

/// When all entities came and were changed last, and who did it: one walk through the history. What it cannot tell is
/// said here, once.
pub(super) fn lives(read: &Read) -> Past {
    let past = told(read);
    match &past {
        Past::Told { is_cut: true, .. } => output::complain(CUT_OFF),
        Past::Told { is_cut: false, .. } => {}
        Past::Silent(why) => output::complain(&format!("when entities came and changed is not known: {why}")),
    }
    past
}

fn told(read: &Read) -> Past {
    let Ok(objects) = Objects::open(&read.catalog) else {
        return Past::Silent("there is no Git repository here".to_owned());
    };
    let Ok(head) = read.commit(&objects) else { return Past::Silent("nothing is committed yet".to_owned()) };
    match all_lives(read, &objects, head) {
        Ok((lives, is_cut)) => Past::Told { lives, is_cut },
        Err(why) => Past::Silent(why.to_string()),
    }
}

/// The commits between which an entity lived.
#[derive(Default)]
struct Ends {
    created: Option<Rc<Lived>>,
    updated: Option<Rc<Lived>>,
}

fn all_lives(
    read: &Read,
    objects: &Objects,
    head: ObjectId,
) -> Result<(HashMap<EntityId, Life>, bool), ReadError> {
    let settings = &read.definitions.settings;
    let mut ends: HashMap<EntityId, Ends> = HashMap::new();
    let is_cut = objects.lives(head, &settings.folders.entities, &mut |commit, changed| {
        let commit = Rc::new(commit.clone());
        // A file that only moved is one entity before and after.
        let mut turned: BTreeMap<EntityId, (Option<ObjectId>, Option<ObjectId>)> = BTreeMap::new();
        for (path, before, after) in changed {
            let Some(id) = path.parse().ok().and_then(|path| entity_at(settings, &path)) else { continue };
            let sides = turned.entry(id).or_default();
            *sides = (sides.0.or(*before), sides.1.or(*after));
        }
        for (id, (before, after)) in turned {
            let ends = ends.entry(id).or_default();
            let is_change = match (before, after) {
                (Some(before), Some(after)) => {
                    before != after
                        && ends.updated.is_none()
                        && parsed(objects, Some(before))? != parsed(objects, Some(after))?
                }
                _ => true,
            };
            if is_change {
                ends.updated.get_or_insert_with(|| Rc::clone(&commit));
            }
            match (before, after) {
                (None, _) => ends.created = Some(Rc::clone(&commit)),
                (_, None) => ends.created = None,
                (Some(_), Some(_)) => {}
            }
        }
        Ok(())
    })?;
    let deed = |commit: &Rc<Lived>, id: &EntityId| {
        let by = match run_of(objects, &settings.folders.requests, commit, id) {
            Some(run) => run.requesters.iter().map(ToString::to_string).collect(),
            None => vec![commit.author.clone()],
        };
        Deed { at: commit.at, by }
    };
    let life = |(id, ends): (EntityId, Ends)| {
        let created = ends.created.as_ref().map(|commit| deed(commit, &id));
        let updated = ends.updated.as_ref().map(|commit| deed(commit, &id));
        (id, Life { created, updated })
    };
    Ok((ends.into_iter().map(life).collect(), is_cut))
}

/// What differs, by name: before and after.
pub(super) fn differences(before: &Values, after: &Values) -> Vec<Differing> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let at = |values: &Values, name: &String| values.get(name).cloned().unwrap_or(Value::Null);
    let both = names.into_iter().map(|name| (name.clone(), at(before, name), at(after, name)));
    both.filter(|(_, before, after)| before != after).collect()
}
