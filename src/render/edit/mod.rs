//! How is a value set inside a file that people wrote, so that everything else stays byte for byte?
//!
//! Only the bytes of the value itself are replaced, where our parser says that they are. Then the whole
//! file is read again: if it does not say exactly what was intended, the edit is refused.

pub(super) mod tree;
pub(super) mod write;
mod place;
mod splice;

use regex::RegexBuilder;
use serde_json::{Map, Value};

use crate::domain::{Bytes, Diagnostic, EditTarget, Entity, Place, RepoPath};

use place::{Found, Step};
use splice::{Source, Splice};
use tree::{Kind, Node};

use super::{Context, template};

/// A merge patch makes at most this many single edits; an entity with more fields is no entity.
const MAX_EDITS: usize = 2000;

/// The target with its expressions rendered. What an expression gives never adds a step to the place.
///
/// # Errors
/// When it is no place, or its expressions fail.
pub fn target(target: &EditTarget, at: &Place, context: &Context) -> Result<EditTarget, Diagnostic> {
    let EditTarget::At { at: written, document } = target else { return Ok(target.clone()) };
    let render = |text: String| template::text(&text, at, context);
    let steps = place::read(written).map_err(|problem| bad_place(at.clone(), written, &problem))?;
    let steps = steps.into_iter().map(|step| {
        Ok(match step {
            Step::Key(key) => Step::Key(render(key)?),
            Step::Index(index) => Step::Index(index),
            Step::Where(key, value) => Step::Where(render(key)?, render(value)?),
        })
    });
    let steps: Vec<_> = steps.collect::<Result<_, Diagnostic>>()?;
    Ok(EditTarget::At { at: place::show(&steps), document: *document })
}

/// What is wrong with a target whatever it is filled with.
pub(super) fn check_target(target: &EditTarget, at: &Place) -> Option<Diagnostic> {
    let EditTarget::At { at: written, .. } = target else { return None };
    place::read(written).err().map(|problem| bad_place(at.clone(), written, &problem))
}

/// The file `old` with `value` at `target`.
///
/// # Errors
/// When there is no such place, or it cannot be changed without touching anything else.
pub fn set(path: &RepoPath, old: &[u8], target: &EditTarget, value: &Value) -> Result<Vec<u8>, Diagnostic> {
    match target {
        EditTarget::Match(pattern) => set_line(path, text_of(path, old)?, pattern, value),
        EditTarget::At { at, document } => {
            let here = place_in(path, at);
            if !matches!(path.extension().as_deref(), Some("yaml" | "yml" | "json")) {
                return Err(unsupported(
                    here,
                    "a place is found in .yaml, .yml and .json files only; use `match`",
                ));
            }
            let steps = place::read(at).map_err(|problem| bad_place(here.clone(), at, &problem))?;
            let source = Source::new(text_of(path, old)?, path);
            let documents = read(path, &source)?;
            let Some(root) = documents.get(*document) else {
                let problem =
                    format!("`{path}` has {} documents, so no document {document}", documents.len());
                return Err(missing(here, &problem));
            };
            let splices = match place::find(root, &steps) {
                Found::Value(node) if node.value() == *value => return Ok(old.to_vec()),
                Found::Value(node) => source.replace(root, node, value),
                Found::Missing(map, key) => source.insert(map, key, value),
                Found::Nowhere(problem) => return Err(missing(here, &problem)),
            };
            let mut intended: Vec<_> = documents.iter().map(Node::value).collect();
            put(&mut intended[*document], &steps, value);
            apply(path, &here, &source, splices, &intended)
        }
    }
}

/// The entity file `old` with this merge patch (RFC 7386) applied in place: null clears.
///
/// # Errors
/// As [`set`].
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
        let bytes = apply(path, &here, &source, splices, &[intended])?;
        text = String::from_utf8(bytes).map_err(|_| unsupported(here.clone(), "the result is not UTF-8"))?;
    }
    Err(unsupported(here, "it has too many fields"))
}

fn place_in(path: &RepoPath, field: impl Into<String>) -> Place {
    Place { field: Some(field.into()), ..Place::file(path.as_str()) }
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

fn put(value: &mut Value, steps: &[Step], new: &Value) {
    let Some((step, rest)) = steps.split_first() else {
        *value = new.clone();
        return;
    };
    let next = match (step, value) {
        (Step::Key(key), Value::Object(fields)) => Some(fields.entry(key.clone()).or_insert(Value::Null)),
        (Step::Index(index), Value::Array(items)) => items.get_mut(*index),
        (Step::Where(key, wanted), Value::Array(items)) => {
            items.iter_mut().find(|item| match item.get(key) {
                Some(Value::String(text)) => text == wanted,
                Some(other) => tree::resolve(wanted) == *other,
                None => false,
            })
        }
        _ => None,
    };
    if let Some(next) = next {
        put(next, rest, new);
    }
}

/// Applies the splices and reads the result again; only what was intended is let through.
fn apply(
    path: &RepoPath,
    here: &Place,
    source: &Source<'_>,
    splices: Vec<Splice>,
    intended: &[Value],
) -> Result<Vec<u8>, Diagnostic> {
    let text = splice::apply(source.text, splices);
    let after = read(path, &Source::new(&text, path))
        .map(|documents| documents.iter().map(Node::value).collect::<Vec<_>>());
    match after {
        Ok(after) if after == intended => Ok(text.into_bytes()),
        _ => Err(unsupported(here.clone(), "the value cannot be changed without touching what is around it")),
    }
}

fn read(path: &RepoPath, source: &Source<'_>) -> Result<Vec<Node>, Diagnostic> {
    let documents =
        if source.json { tree::json(source.text).map(|root| vec![root]) } else { tree::yaml(source.text) };
    documents.map_err(|problem| {
        let problem = super::inspect::unreadable(path, &problem);
        Diagnostic { help: Some(format!("mend `{path}` first; it must be YAML or JSON")), ..problem }
    })
}

fn text_of<'a>(path: &RepoPath, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    std::str::from_utf8(bytes).map_err(|_| unsupported(Place::file(path.as_str()), "it is not UTF-8 text"))
}

/// Replaces the first group of a pattern in the one line that it matches.
fn set_line(path: &RepoPath, text: &str, pattern: &str, value: &Value) -> Result<Vec<u8>, Diagnostic> {
    let here = Place::file(path.as_str());
    let regex = RegexBuilder::new(pattern).size_limit(1 << 20).build();
    let Some(regex) = regex.ok().filter(|regex| regex.captures_len() > 1) else {
        return Err(Diagnostic::error("edit-match", here, format!("`{pattern}` is not a pattern with a group"))
            .help("write a regular expression in which the part to replace is in parentheses, such as `^version = \"(.*)\"$`"));
    };
    let written = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if written.contains(['\n', '\r']) {
        return Err(Diagnostic::error(
            "edit-match",
            here,
            format!("the new value for `{pattern}` has several lines"),
        )
        .help("a `match` replaces part of one line: use a value without line breaks"));
    }
    let mut start = 0;
    let mut hits = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if let Some(group) = regex.captures(content).and_then(|groups| groups.get(1)) {
            hits.push((start..start + content.len(), start + group.start()..start + group.end()));
        }
        start += line.len();
    }
    let [(line, group)] = &hits[..] else {
        return Err(Diagnostic::error(
            "edit-match",
            here,
            format!("{} lines of `{path}` match `{pattern}`, and exactly one must", hits.len()),
        )
        .help("make the pattern match the one line that is meant"));
    };
    let new_line = format!("{}{written}{}", &text[line.start..group.start], &text[group.end..line.end]);
    let again = regex.captures(&new_line).and_then(|groups| groups.get(1));
    if again.is_none_or(|group| group.as_str() != written) {
        return Err(Diagnostic::error(
            "edit-match",
            here,
            format!("with the value `{written}` the line no longer matches `{pattern}`"),
        )
        .help("use a value that fits the pattern"));
    }
    Ok(format!("{}{new_line}{}", &text[..line.start], &text[line.end..]).into_bytes())
}

fn bad_place(here: Place, at: &str, problem: &str) -> Diagnostic {
    Diagnostic::error("edit-place", here, format!("`{at}` is no place in a document: {problem}")).help(
        "write keys joined by dots, such as `spec.containers[name=web].ports[0]`; quote keys that hold a dot",
    )
}

fn missing(here: Place, problem: &str) -> Diagnostic {
    let field = here.field.clone().unwrap_or_default();
    Diagnostic::error("edit-missing", here, format!("`{field}` cannot be set: {problem}"))
        .help("add the missing part to the file first, or change the action's `at`")
}

fn unsupported(here: Place, problem: &str) -> Diagnostic {
    let source = here.source.clone();
    Diagnostic::error("edit-unsupported", here, format!("`{source}` cannot be edited in place: {problem}"))
        .help("write this part of the file in a plainer way (no anchors, aliases, tags or odd layout), then try again")
}

#[cfg(test)]
mod tests;
