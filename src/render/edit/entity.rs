//! How is an entity's file written, and changed in place?

use serde_json::{Map, Value};

use super::{
    UNTOUCHED, Writer, place_in, read,
    splice::{Source, Splice},
    spliced, text_of,
    tree::{Kind, Node},
    unsupported, write,
};
use crate::domain::{Bytes, Diagnostic, Entity, Place, RepoPath};

/// A merge patch makes at most this many single edits; an entity with more fields is no entity.
const MAX_EDITS: usize = 2000;

/// The entity file `old` with this merge patch (RFC 7386) applied in place: null clears.
///
/// # Errors
/// When it cannot be changed without touching anything else.
pub fn merge_entity(path: &RepoPath, old: &[u8], fields: &Map<String, Value>) -> Result<Vec<u8>, Diagnostic> {
    let here = Place::file(path.as_str());
    let mut text = text_of(path, old)?.to_owned();
    for _ in 0..MAX_EDITS {
        let source = Source::new(&text, path);
        let documents = read(path, &source)?;
        let [root] = &documents[..] else {
            return Err(unsupported(here, "an entity file holds one document"));
        };
        let Some(Edit { splices, intended }) = next_edit(&source, root, root, fields).map_err(|key| {
            unsupported(place_in(path, key), "it has an anchor, alias or tag, or is not a mapping")
        })?
        else {
            return Ok(text.into_bytes());
        };
        text =
            spliced(path, &source, splices, &[intended]).map_err(|_| unsupported(here.clone(), UNTOUCHED))?;
    }
    Err(unsupported(here, "it has too many fields"))
}

/// The file of a new entity.
pub fn new_entity(entity: &Entity) -> Bytes {
    let mut fields = Map::new();
    fields.insert("identifier".into(), entity.identifier.as_str().into());
    fields.insert("blueprint".into(), entity.blueprint.as_str().into());
    if let Some(title) = &entity.title {
        fields.insert("title".into(), title.as_str().into());
    }
    match &entity.team[..] {
        [] => {}
        [team] => drop(fields.insert("team".into(), team.as_str().into())),
        teams => drop(fields.insert("team".into(), teams.into())),
    }
    if !entity.properties.is_empty() {
        fields.insert("properties".into(), Value::Object(entity.properties.clone()));
    }
    if !entity.relations.is_empty() {
        fields.insert("relations".into(), Value::Object(entity.relations.clone().into_iter().collect()));
    }
    write::document(&fields).into_bytes().into()
}

/// One edit of a merge patch, and what the document then says.
struct Edit {
    splices: Vec<Splice>,
    intended: Value,
}

/// The first edit that is left to do below `map`; `Err` names a key that cannot be edited.
fn next_edit(
    source: &Source<'_>,
    root: &Node,
    map: &Node,
    patch: &Map<String, Value>,
) -> Result<Option<Edit>, String> {
    let intend = |key: &str, value: Option<Value>| {
        let mut intended = root.value();
        change_below(&mut intended, root, map, key, value);
        intended
    };
    let Kind::Map { entries, .. } = &map.kind else { return Err("the document".to_owned()) };
    for (key, value) in patch {
        let entry = entries.iter().find(|(name, _)| name.key() == *key);
        let edit = match (entry, value) {
            (None, Value::Null) => continue,
            (None, value) => {
                let value = without_nulls(value);
                (source.insert(map, key, &value), intend(key, Some(value)))
            }
            (Some((name, node)), _) if map.special || name.has_special() || node.has_special() => {
                if node.value() == *value && !node.has_special() {
                    continue;
                }
                return Err(key.clone());
            }
            (Some((name, node)), Value::Null) => (source.remove(root, map, name, node), intend(key, None)),
            (Some((_, node)), Value::Object(inner)) if matches!(node.kind, Kind::Map { .. }) => {
                match next_edit(source, root, node, inner).map_err(|below| format!("{key}.{below}"))? {
                    None => continue,
                    edit => return Ok(edit),
                }
            }
            (Some((_, node)), value) => {
                let value = without_nulls(value);
                if node.value() == value {
                    continue;
                }
                (source.replace(root, node, &value), intend(key, Some(value)))
            }
        };
        return Ok(Some(Edit { splices: edit.0, intended: edit.1 }));
    }
    Ok(None)
}

/// Changes `key` in the part of `value` that is written as `map`.
fn change_below(value: &mut Value, node: &Node, map: &Node, key: &str, to: Option<Value>) {
    if std::ptr::eq(node, map) {
        if let Value::Object(fields) = value {
            match to {
                Some(to) => drop(fields.insert(key.to_owned(), to)),
                None => drop(fields.shift_remove(key)),
            }
        }
        return;
    }
    if let (Value::Object(fields), Kind::Map { entries, .. }) = (value, &node.kind) {
        let inside = entries.iter().find(|(_, child)| child.start <= map.start && map.end <= child.end);
        if let Some((name, child)) = inside
            && let Some(field) = fields.get_mut(&name.key())
        {
            change_below(field, child, map, key, to);
        }
    }
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key.clone(), without_nulls(value))).collect())
        }
        other => other.clone(),
    }
}
