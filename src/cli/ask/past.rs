//! What was changed in an entity, when, and by whom? From Git alone.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{Asked, Read};
use crate::{
    cli::output,
    domain::{EntityId, ObjectId, RepoPath, Run, Timestamp},
    git::{history::Lived, objects::Objects},
};

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
pub(super) fn changes(asked: &Asked, read: &Read, id: &EntityId) -> anyhow::Result<Vec<Change>> {
    let objects = Objects::open(&asked.catalog)
        .with_context(|| format!("`{}` is not in a Git repository", asked.catalog.display()))?;
    let head = asked.commit(&objects)?;
    let settings = &read.definitions.settings;
    let folder = settings.folders.entities.join(id.blueprint.as_str())?;
    let (lived, is_cut) = objects.life(head, &folder, &id.identifier)?;
    if lived.is_empty() && !is_cut {
        bail!("`{id}` was never in the catalog, as far as its commits tell");
    }
    if is_cut {
        output::complain(
            "the history is cut off here, so what was before is not known: `git fetch --unshallow`",
        );
    }
    let mut changes = Vec::new();
    for one in lived {
        let (before, after) = (parsed(&objects, &one.before)?, parsed(&objects, &one.after)?);
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
fn parsed(objects: &Objects, file: &Option<(RepoPath, ObjectId)>) -> anyhow::Result<Values> {
    let Some((_, blob)) = file else { return Ok(BTreeMap::new()) };
    let bytes = objects.blob(*blob)?;
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

/// What differs, by name: before and after.
pub(super) fn differences(before: &Values, after: &Values) -> Vec<Differing> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let at = |values: &Values, name: &String| values.get(name).cloned().unwrap_or(Value::Null);
    let both = names.into_iter().map(|name| (name.clone(), at(before, name), at(after, name)));
    both.filter(|(_, before, after)| before != after).collect()
}
