//! What happens at a place of a document: which bytes change, and what is it to say then?

use serde_json::Value;

use super::{
    place::{self, Found, Step},
    splice::{self, Splice},
    tree::{self, Kind, Node},
};

/// What happens at a place.
#[derive(Debug, Clone, Copy)]
pub(super) enum Deed<'a> {
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
pub(super) enum Refusal {
    /// There is no such place.
    Missing(String),
    /// It cannot be done without touching anything else.
    Unsupported(String),
}

/// Says which bytes change.
pub(super) trait Writer {
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
pub(super) fn splices(
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

/// What the document is to say then.
pub(super) fn intend(value: &mut Value, steps: &[Step], deed: Deed<'_>) {
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
