//! How is a value set inside a file that people wrote, so that everything else stays byte for byte?
//!
//! Only the bytes of the value itself are replaced, where our parser says that they are. Then the whole
//! file is read again: if it does not say exactly what was intended, the edit is refused.

pub(super) mod tree;
pub(super) mod write;
mod place;
mod splice;
mod lines;
mod assigned;
mod toml;
mod hcl;

use serde_json::{Map, Value};

use crate::domain::{Bytes, Diagnostic, DocumentPlace, EditChange, EditTarget, Entity, Place, RepoPath};

use place::{Found, Step};
use splice::{Source, Splice};
use tree::{Kind, Node};

use super::{Context, inspect::Language, template};

/// A merge patch makes at most this many single edits; an entity with more fields is no entity.
const MAX_EDITS: usize = 2000;

/// A change with its expressions rendered. What an expression gives never adds a step to a place.
///
/// # Errors
/// When a place is none, or an expression fails.
pub(super) fn rendered(change: &EditChange, at: &Place, context: &Context) -> Result<EditChange, Diagnostic> {
    let value = |value: &Value| template::value(value, at, context);
    let place = |place: &DocumentPlace| rendered_place(place, at, context);
    Ok(match change {
        EditChange::Set { target: EditTarget::At(target), value: new } => {
            EditChange::Set { target: EditTarget::At(place(target)?), value: value(new)? }
        }
        EditChange::Set { target: EditTarget::Match(line), value: new } => {
            EditChange::Set { target: EditTarget::Match(line.clone()), value: value(new)? }
        }
        EditChange::Delete(gone) => EditChange::Delete(place(gone)?),
        EditChange::Absent => EditChange::Absent,
        EditChange::Remove { list, value: gone } => {
            EditChange::Remove { list: place(list)?, value: value(gone)? }
        }
        EditChange::Append { list, value: new } => {
            EditChange::Append { list: place(list)?, value: value(new)? }
        }
        EditChange::Insert { position, value: new } => {
            EditChange::Insert { position: place(position)?, value: value(new)? }
        }
        EditChange::Line { text, after } => {
            EditChange::Line { text: template::text(text, at, context)?, after: after.clone() }
        }
        EditChange::Block { header, value: new } => {
            EditChange::Block { header: hcl::rendered_header(header, at, context)?, value: value(new)? }
        }
    })
}

fn rendered_place(place: &DocumentPlace, at: &Place, context: &Context) -> Result<DocumentPlace, Diagnostic> {
    let DocumentPlace { at: written, document } = place;
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
    Ok(DocumentPlace { at: place::show(&steps), document: *document })
}

/// What is wrong with a change whatever it is filled with.
pub(super) fn check_change(change: &EditChange, at: &Place) -> Option<Diagnostic> {
    let place = match change {
        EditChange::Set { target: EditTarget::At(place), .. }
        | EditChange::Remove { list: place, .. }
        | EditChange::Append { list: place, .. } => place,
        EditChange::Delete(place) => {
            if matches!(place::read(&place.at).as_deref(), Ok([.., Step::Index(_)])) {
                let problem = "what is at a position is another item afterwards; name the item, as in `[name=web]`, or say its `value`";
                return Some(bad_place(at.clone(), &place.at, problem));
            }
            place
        }
        EditChange::Insert { position, .. } => {
            let is_position =
                matches!(place::read(&position.at).as_deref(), Ok([.., Step::Index(_)]) | Err(_));
            if !is_position {
                return Some(bad_place(at.clone(), &position.at, "it names no position of a list"));
            }
            position
        }
        EditChange::Set { target: EditTarget::Match(_), .. }
        | EditChange::Line { .. }
        | EditChange::Absent => return None,
        EditChange::Block { header, .. } => return hcl::check_header(header, at),
    };
    place::read(&place.at).err().map(|problem| bad_place(at.clone(), &place.at, &problem))
}

/// The file `old` with a change in it; what is so already stays byte for byte. None: there is no such file.
///
/// # Errors
/// When there is no such place, or it cannot be changed without touching anything else.
pub fn apply(
    path: &RepoPath,
    old: Option<&[u8]>,
    change: &EditChange,
) -> Result<Option<Vec<u8>>, Diagnostic> {
    match change {
        EditChange::Absent => Ok(None),
        EditChange::Line { text, after } => {
            lines::add(path, text_of(path, old.unwrap_or_default())?, text, after.as_deref()).map(Some)
        }
        inside => applied_inside(path, old, inside).map(Some),
    }
}

fn applied_inside(path: &RepoPath, old: Option<&[u8]>, change: &EditChange) -> Result<Vec<u8>, Diagnostic> {
    let Some(old) = old else {
        let message = format!("`{path}` is not there, so nothing can be changed in it");
        return Err(Diagnostic::error("no-such-file", Place::file(path.as_str()), message)
            .help("check that what you ask to change exists"));
    };
    match change {
        EditChange::Set { target, value } => set(path, old, target, value),
        EditChange::Delete(place) => at_place(path, old, place, Deed::Delete),
        EditChange::Remove { list, value } => at_place(path, old, list, Deed::Remove(value)),
        EditChange::Append { list, value } => at_place(path, old, list, Deed::Append(value)),
        EditChange::Insert { position, value } => at_place(path, old, position, Deed::Insert(value)),
        EditChange::Block { header, value } => hcl::add_block(path, text_of(path, old)?, header, value),
        EditChange::Line { .. } | EditChange::Absent => Ok(old.to_vec()),
    }
}

/// The file `old` with `value` at `target`.
///
/// # Errors
/// As [`apply`].
pub fn set(path: &RepoPath, old: &[u8], target: &EditTarget, value: &Value) -> Result<Vec<u8>, Diagnostic> {
    match target {
        EditTarget::Match(pattern) => lines::set(path, text_of(path, old)?, pattern, value),
        EditTarget::At(place) => at_place(path, old, place, Deed::Set(value)),
    }
}

/// What happens at a place.
#[derive(Debug, Clone, Copy)]
enum Deed<'a> {
    /// It has this value.
    Set(&'a Value),
    /// It goes.
    Delete,
    /// The list there has no such item.
    Remove(&'a Value),
    /// The list there has this item.
    Append(&'a Value),
    /// This item comes in before it.
    Insert(&'a Value),
}

/// Why a deed cannot be done.
enum Refusal {
    /// There is no such place.
    Missing(String),
    /// It cannot be done without touching anything else.
    Unsupported(String),
}

fn at_place(
    path: &RepoPath,
    old: &[u8],
    place: &DocumentPlace,
    deed: Deed<'_>,
) -> Result<Vec<u8>, Diagnostic> {
    let here = place_in(path, &place.at);
    let steps = place::read(&place.at).map_err(|problem| bad_place(here.clone(), &place.at, &problem))?;
    let text = text_of(path, old)?;
    let done = match Language::of(path) {
        Some(Language::Yaml | Language::Json) => in_tree(path, text, &steps, place.document, deed)?,
        Some(Language::Toml) => assigned::edit(text, &steps, deed, assigned::TOML),
        Some(Language::Hcl) => hcl::edit(text, &steps, deed),
        None => Err(Refusal::Unsupported(
            "a place is found in YAML, JSON, TOML and HCL files only; use `match` or `line`".to_owned(),
        )),
    };
    match done {
        Ok(new) => Ok(new.into_bytes()),
        Err(Refusal::Missing(problem)) => Err(missing(here, &problem)),
        Err(Refusal::Unsupported(problem)) => Err(unsupported(here, &problem)),
    }
}

fn in_tree(
    path: &RepoPath,
    text: &str,
    steps: &[Step],
    document: usize,
    deed: Deed<'_>,
) -> Result<Result<String, Refusal>, Diagnostic> {
    let source = Source::new(text, path);
    let documents = read(path, &source)?;
    let Some(root) = documents.get(document) else {
        let problem = format!("`{path}` has {} documents, so no document {document}", documents.len());
        return Ok(Err(Refusal::Missing(problem)));
    };
    let splices = match splices(&source, root, steps, deed) {
        Ok(Some(splices)) => splices,
        Ok(None) => return Ok(Ok(text.to_owned())),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut intended: Vec<_> = documents.iter().map(Node::value).collect();
    intend(&mut intended[document], steps, deed);
    Ok(spliced(path, &source, splices, &intended))
}

/// Says which bytes change.
trait Writer {
    /// A value is written in the place of `node`.
    fn replace(&self, root: &Node, node: &Node, value: &Value) -> Vec<Splice>;
    /// A mapping has one more key, as its last.
    fn insert(&self, map: &Node, key: &str, value: &Value) -> Vec<Splice>;
    /// A key and its value go out of a mapping.
    fn remove(&self, root: &Node, map: &Node, key: &Node, value: &Node) -> Vec<Splice>;
    /// A list has one more item, before the one at `index` or as its last.
    fn insert_item(&self, root: &Node, list: &Node, index: usize, value: &Value) -> Vec<Splice>;
    /// An item goes out of a list.
    fn remove_item(&self, root: &Node, list: &Node, index: usize) -> Vec<Splice>;
}

/// What of the text changes; nothing where it is so already.
fn splices(
    source: &dyn Writer,
    root: &Node,
    steps: &[Step],
    deed: Deed<'_>,
) -> Result<Option<Vec<Splice>>, Refusal> {
    let missing = |problem| Err(Refusal::Missing(problem));
    match deed {
        Deed::Set(value) => match place::find(root, steps) {
            Found::Value(node) if node.value() == *value => Ok(None),
            Found::Value(node) => Ok(Some(source.replace(root, node, value))),
            Found::Missing(map, key) => Ok(Some(source.insert(map, key, value))),
            Found::Absent(problem) | Found::Nowhere(problem) => missing(problem),
        },
        Deed::Delete => match place::find(root, steps) {
            Found::Value(node) => match splice::parent_of(root, node) {
                Some((map, Some(key))) => Ok(Some(source.remove(root, map, key, node))),
                Some((list, None)) => match &list.kind {
                    Kind::List { items, .. } => {
                        let index =
                            items.iter().position(|item| std::ptr::eq(item, node)).unwrap_or_default();
                        Ok(Some(source.remove_item(root, list, index)))
                    }
                    Kind::Map { .. } | Kind::Scalar { .. } | Kind::Alias => Ok(None),
                },
                None => missing("the whole document cannot be deleted".to_owned()),
            },
            Found::Missing(..) | Found::Absent(_) => Ok(None),
            Found::Nowhere(problem) => missing(problem),
        },
        Deed::Remove(value) => match place::find(root, steps) {
            Found::Value(node) => match &node.kind {
                Kind::List { items, .. } => {
                    let index = items.iter().position(|item| item.value() == *value);
                    Ok(index.map(|index| source.remove_item(root, node, index)))
                }
                Kind::Map { .. } | Kind::Scalar { .. } | Kind::Alias => {
                    missing(format!("`{}` is no list", place::show(steps)))
                }
            },
            Found::Missing(..) | Found::Absent(_) => Ok(None),
            Found::Nowhere(problem) => missing(problem),
        },
        Deed::Append(value) => match place::find(root, steps) {
            Found::Value(node) => match &node.kind {
                Kind::List { items, .. } if items.iter().any(|item| item.value() == *value) => Ok(None),
                Kind::List { items, .. } => Ok(Some(source.insert_item(root, node, items.len(), value))),
                Kind::Scalar { value: Value::Null, .. } => {
                    Ok(Some(source.replace(root, node, &Value::Array(vec![value.clone()]))))
                }
                Kind::Map { .. } | Kind::Scalar { .. } | Kind::Alias => {
                    missing(format!("`{}` is no list", place::show(steps)))
                }
            },
            Found::Missing(map, key) => Ok(Some(source.insert(map, key, &Value::Array(vec![value.clone()])))),
            Found::Absent(problem) | Found::Nowhere(problem) => missing(problem),
        },
        Deed::Insert(value) => {
            let (Some(Step::Index(index)), Some((_, list))) = (steps.last(), steps.split_last()) else {
                return missing("it names no position of a list".to_owned());
            };
            match place::find(root, list) {
                Found::Value(node) => match &node.kind {
                    Kind::List { items, .. } if items.iter().any(|item| item.value() == *value) => Ok(None),
                    Kind::List { .. } => Ok(Some(source.insert_item(root, node, *index, value))),
                    Kind::Map { .. } | Kind::Scalar { .. } | Kind::Alias => {
                        missing(format!("`{}` is no list", place::show(list)))
                    }
                },
                Found::Missing(_, key) => missing(format!("there is no `{key}`")),
                Found::Absent(problem) | Found::Nowhere(problem) => missing(problem),
            }
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
        text =
            spliced(path, &source, splices, &[intended]).map_err(|_| unsupported(here.clone(), UNTOUCHED))?;
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

/// What the document is to say then.
fn intend(value: &mut Value, steps: &[Step], deed: Deed<'_>) {
    match deed {
        Deed::Set(new) => {
            if let Some(place) = reach(value, steps) {
                *place = new.clone();
            }
        }
        Deed::Append(item) => match reach(value, steps) {
            Some(Value::Array(items)) => items.push(item.clone()),
            Some(place) => *place = Value::Array(vec![item.clone()]),
            None => {}
        },
        Deed::Remove(item) => {
            if let Some(Value::Array(items)) = reach(value, steps)
                && let Some(index) = items.iter().position(|other| other == item)
            {
                items.remove(index);
            }
        }
        Deed::Insert(item) => {
            let Some((Step::Index(index), list)) = steps.split_last() else { return };
            if let Some(Value::Array(items)) = reach(value, list) {
                items.insert((*index).min(items.len()), item.clone());
            }
        }
        Deed::Delete => {
            let Some((last, parent)) = steps.split_last() else { return };
            match (last, reach(value, parent)) {
                (Step::Key(key), Some(Value::Object(fields))) => drop(fields.shift_remove(key)),
                (Step::Index(index), Some(Value::Array(items))) if *index < items.len() => {
                    items.remove(*index);
                }
                (Step::Where(key, wanted), Some(Value::Array(items))) => {
                    items.retain(|item| !is_wanted(item, key, wanted));
                }
                _ => {}
            }
        }
    }
}

/// The value at a place; a last key that is missing is made.
fn reach<'a>(value: &'a mut Value, steps: &[Step]) -> Option<&'a mut Value> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    let next = match (step, value) {
        (Step::Key(key), Value::Object(fields)) => Some(fields.entry(key.clone()).or_insert(Value::Null)),
        (Step::Index(index), Value::Array(items)) => items.get_mut(*index),
        (Step::Where(key, wanted), Value::Array(items)) => {
            items.iter_mut().find(|item| is_wanted(item, key, wanted))
        }
        _ => None,
    };
    reach(next?, rest)
}

fn is_wanted(item: &Value, key: &str, wanted: &str) -> bool {
    match item.get(key) {
        Some(Value::String(text)) => text == wanted,
        Some(other) => tree::resolve(wanted) == *other,
        None => false,
    }
}

/// Applies the splices and reads the result again; only what was intended is let through.
fn spliced(
    path: &RepoPath,
    source: &Source<'_>,
    splices: Vec<Splice>,
    intended: &[Value],
) -> Result<String, Refusal> {
    let text = splice::apply(source.text, splices);
    let after = read(path, &Source::new(&text, path))
        .map(|documents| documents.iter().map(Node::value).collect::<Vec<_>>());
    match after {
        Ok(after) if after == intended => Ok(text),
        _ => Err(Refusal::Unsupported(UNTOUCHED.to_owned())),
    }
}

/// Why an edit is refused that would do more than was asked.
const UNTOUCHED: &str = "the value cannot be changed without touching what is around it";

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

fn bad_place(here: Place, at: &str, problem: &str) -> Diagnostic {
    Diagnostic::error("edit-place", here, format!("`{at}` is no place in a document: {problem}")).help(
        "write keys joined by dots, such as `spec.containers[name=web].ports[0]`; quote keys that hold a dot",
    )
}

fn missing(here: Place, problem: &str) -> Diagnostic {
    let field = here.field.clone().unwrap_or_default();
    Diagnostic::error("edit-missing", here, format!("`{field}` cannot be changed: {problem}"))
        .help("add the missing part to the file first, or change the action's `at`")
}

fn unsupported(here: Place, problem: &str) -> Diagnostic {
    let source = here.source.clone();
    Diagnostic::error("edit-unsupported", here, format!("`{source}` cannot be edited in place: {problem}"))
        .help("write this part of the file in a plainer way (no anchors, aliases, tags or odd layout), then try again")
}

#[cfg(test)]
mod tests;
