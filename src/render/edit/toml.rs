//! Where in the bytes of a TOML file is each value?

use std::ops::Range;

use serde_json::{Number, Value as Json};
use toml_edit::{Item, Key, Table, Value};

use super::{
    Refusal,
    assigned::{Read, Section, node, scalar, unreadable},
    tree::{Kind, Node},
};
use crate::render::inspect;

pub(super) fn read(text: &str) -> Result<Read, Refusal> {
    let document = inspect::toml::read(text).map_err(|problem| unreadable(&problem))?;
    let mut sections = Vec::new();
    let mut root = table(document.as_table(), text, 0, &mut sections);
    (root.start, root.end) = (0, text.len());
    let last = direct(document.as_table()).map(|range| (range.end, indent(text, range.start)));
    sections.push(Section { map: 0..text.len(), whole: None, last, empty: None });
    Ok(Read { root, sections })
}

/// The last line that a table holds itself, from its key to its value.
fn direct(table: &Table) -> Option<Range<usize>> {
    let values = table.iter().filter_map(|(name, item)| {
        let key = table.key(name)?.span()?;
        match item {
            Item::Value(value) => Some(key.start..value.span()?.end),
            Item::Table(inner) if inner.is_dotted() => Some(key.start..direct(inner)?.end),
            Item::None | Item::Table(_) | Item::ArrayOfTables(_) => None,
        }
    });
    values.max_by_key(|range| range.end)
}

fn indent(text: &str, at: usize) -> String {
    let line = &text[text[..at].rfind('\n').map_or(0, |newline| newline + 1)..at];
    line.chars().take_while(|c| c.is_whitespace()).collect()
}

fn key_node(key: Option<&Key>, name: &str, around: usize) -> Node {
    scalar(key.and_then(Key::span).unwrap_or(around..around), name.into())
}

/// A table; those that no header names begin where they are first spoken of.
fn table(found: &Table, text: &str, around: usize, sections: &mut Vec<Section>) -> Node {
    let span = found.span().filter(|_| !found.is_implicit() && !found.is_dotted());
    let around = span.as_ref().map_or(around, |span| span.start);
    let mut entries = Vec::new();
    for (name, item) in found {
        let key = key_node(found.key(name), name, around);
        let value = match item {
            Item::None => continue,
            Item::Value(inner) => value(inner, text),
            Item::Table(inner) => table(inner, text, key.start, sections),
            Item::ArrayOfTables(tables) => {
                let items: Vec<Node> =
                    tables.iter().map(|inner| table(inner, text, key.start, sections)).collect();
                let (start, end) =
                    items.first().zip(items.last()).map_or((0, 0), |(first, last)| (first.start, last.end));
                node(start..end, Kind::List { flow: false, items })
            }
        };
        entries.push((key, value));
    }
    let ends = entries.iter().map(|(_, value)| value.end).max();
    let start = entries.iter().map(|(key, _)| key.start).min().unwrap_or(around).min(around);
    let header_end =
        span.as_ref().map(|span| text[span.start..].find('\n').map_or(text.len(), |end| span.start + end));
    let end = ends.max(header_end).unwrap_or(start);
    if let Some(span) = span {
        let direct = direct(found);
        let at = direct.as_ref().map_or(span.start, |range| range.start);
        let last = (direct.map_or(span.start, |range| range.end), indent(text, at));
        sections.push(Section { map: start..end, whole: None, last: Some(last), empty: None });
    }
    node(start..end, Kind::Map { flow: false, entries })
}

fn value(found: &Value, text: &str) -> Node {
    let range = found.span().unwrap_or_default();
    let written = || text.get(range.clone()).unwrap_or_default().into();
    match found {
        Value::String(inner) => scalar(range, inner.value().as_str().into()),
        Value::Integer(inner) => scalar(range, (*inner.value()).into()),
        Value::Float(inner) => {
            let number = Number::from_f64(*inner.value()).map_or_else(written, Json::Number);
            scalar(range, number)
        }
        Value::Boolean(inner) => scalar(range, (*inner.value()).into()),
        Value::Datetime(_) => {
            let written = written();
            scalar(range, written)
        }
        Value::Array(array) => {
            let items = array.iter().map(|item| value(item, text)).collect();
            node(range, Kind::List { flow: true, items })
        }
        Value::InlineTable(fields) => {
            let entries = fields
                .iter()
                .map(|(name, inner)| (key_node(fields.key(name), name, range.start), value(inner, text)))
                .collect();
            node(range, Kind::Map { flow: true, entries })
        }
    }
}
