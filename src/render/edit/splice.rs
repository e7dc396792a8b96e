//! Which bytes change when a value changes, and to what?

use std::ops::Range;

use serde_json::{Map, Value};

use crate::domain::RepoPath;

use super::{
    Writer,
    tree::{Kind, Node, Style},
    write,
};

/// These bytes become this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    range: Range<usize>,
    text: String,
}

impl Splice {
    pub(super) fn new(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }
}

/// The text with all splices applied; they do not overlap.
pub(super) fn apply(text: &str, mut splices: Vec<Splice>) -> String {
    splices.sort_by_key(|splice| splice.range.start);
    let mut result = text.to_owned();
    for splice in splices.into_iter().rev() {
        result.replace_range(splice.range, &splice.text);
    }
    result
}

/// A file's text and its habits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) json: bool,
    newline: &'static str,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str, path: &RepoPath) -> Self {
        let json = path.extension().as_deref() == Some("json");
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, json, newline }
    }

    fn scalar(&self, style: Style, value: &Value, in_flow: bool, indent: usize) -> String {
        let Value::String(text) = value else { return write::flow(value) };
        match style {
            Style::Single
                if !text
                    .chars()
                    .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}')) =>
            {
                format!("'{}'", text.replace('\'', "''"))
            }
            Style::Single | Style::Double => write::quoted(text),
            Style::Block => write::literal(text, indent, self.newline)
                .unwrap_or_else(|| write::yaml_scalar(text, in_flow)),
            Style::Plain => write::yaml_scalar(text, in_flow),
        }
    }

    /// The dash of an item of a block list.
    fn dash(&self, list: &Node, items: &[Node], index: usize) -> Option<usize> {
        let item = items.get(index)?;
        match index.checked_sub(1) {
            None => Some(list.start),
            Some(previous) => {
                let from = self.line_end(items[previous].end);
                self.text.get(from..item.start)?.rfind('-').map(|dash| from + dash)
            }
        }
    }

    fn layout(&self, end: usize) -> write::Layout {
        write::Layout { newline: self.newline, literals: self.text[end..self.line_end(end)].is_empty() }
    }

    /// How many characters are before this byte on its line.
    fn column(&self, byte: usize) -> usize {
        let line_start = self.text[..byte].rfind('\n').map_or(0, |newline| newline + 1);
        self.text[line_start..byte].chars().count()
    }

    fn line_end(&self, from: usize) -> usize {
        let end = self.text[from..].find('\n').map_or(self.text.len(), |newline| from + newline);
        if end > from && self.text[..end].ends_with('\r') { end - 1 } else { end }
    }

    /// The colon behind a key.
    fn colon(&self, key: &Node) -> Option<usize> {
        let rest = &self.text[key.end..];
        let spaces = rest.len() - rest.trim_start_matches(' ').len();
        rest[spaces..].starts_with(':').then_some(key.end + spaces)
    }
}

impl Writer for Source<'_> {
    fn replace(&self, root: &Node, node: &Node, value: &Value) -> Vec<Splice> {
        let whole = node.start..node.end;
        let parent = parent_of(root, node);
        let in_flow = parent.as_ref().is_some_and(|(parent, _)| parent.is_flow());
        if self.json {
            return vec![Splice::new(whole, write::json(value))];
        }
        let key = parent.and_then(|(_, key)| key);
        match &node.kind {
            // Not written at all: `key:` or `-`.
            Kind::Scalar { .. } if node.start == node.end => {
                vec![Splice::new(whole, format!(" {}", write::flow(value)))]
            }
            Kind::Scalar { style: Style::Block, .. } => {
                let indent = key.map_or(0, |key| self.column(key.start));
                let text = self.scalar(Style::Block, value, in_flow, indent);
                let body = text.find(self.newline).unwrap_or(text.len());
                let header = &self.text[node.start..];
                let header = header.len()
                    - header.trim_start_matches(|c: char| c.is_ascii_digit() || "|>+-".contains(c)).len();
                vec![
                    Splice::new(node.start..node.start + header, &text[..body]),
                    Splice::new(self.line_end(node.start)..node.end, &text[body..]),
                ]
            }
            Kind::Scalar { style, .. } => {
                vec![Splice::new(
                    whole,
                    self.scalar(*style, value, in_flow, key.map_or(0, |key| self.column(key.start))),
                )]
            }
            Kind::Map { flow: true, .. } | Kind::List { flow: true, .. } | Kind::Alias => {
                vec![Splice::new(whole, write::flow(value))]
            }
            Kind::Map { flow: false, .. } | Kind::List { flow: false, .. } if has_parts(value) => {
                let text = write::block(value, self.column(node.start), self.layout(node.end));
                vec![Splice::new(whole, text.trim_start_matches(' '))]
            }
            // A block becomes one line: behind its key, before the comment that follows the key.
            Kind::Map { .. } | Kind::List { .. } => match key.and_then(|key| self.colon(key)) {
                Some(colon) if self.text[colon..node.start].contains('\n') => {
                    let rest_of_line = self.line_end(colon);
                    vec![
                        Splice::new(colon + 1..colon + 1, format!(" {}", write::flow(value))),
                        Splice::new(rest_of_line..node.end, ""),
                    ]
                }
                _ => vec![Splice::new(whole, write::flow(value))],
            },
        }
    }

    fn insert(&self, map: &Node, key: &str, value: &Value) -> Vec<Splice> {
        let Kind::Map { flow, entries } = &map.kind else { return Vec::new() };
        let pair = if self.json {
            format!("{}: {}", write::quoted(key), write::json(value))
        } else if *flow {
            format!("{}: {}", write::yaml_scalar(key, true), write::flow(value))
        } else {
            String::new()
        };
        let Some(((first, _), (_, last))) = entries.first().zip(entries.last()) else {
            let text = if self.json { format!("{{{pair}}}") } else { format!("{{ {pair} }}") };
            return vec![Splice::new(map.start..map.end, text)];
        };
        if !flow {
            let indent = self.column(first.start);
            let line_end = self.line_end(last.end);
            let line = format!(
                "{}{}{}:{}",
                self.newline,
                " ".repeat(indent),
                write::yaml_scalar(key, false),
                write::after_key(value, indent, self.layout(line_end))
            );
            return vec![Splice::new(line_end..line_end, line)];
        }
        // In braces: laid out as the first key is.
        let space = space_before(self.text, map.start + 1, first.start);
        after_last(self.text, last.end..map.end, space, &pair)
    }

    fn remove(&self, root: &Node, map: &Node, key: &Node, value: &Node) -> Vec<Splice> {
        let Kind::Map { flow, entries } = &map.kind else { return Vec::new() };
        let Some(index) = entries.iter().position(|(name, _)| name.start == key.start) else {
            return Vec::new();
        };
        let next = entries.get(index + 1).map(|(name, _)| name.start);
        let previous = index.checked_sub(1).map(|index| entries[index].1.end);
        match (next, previous) {
            (None, None) => self.replace(root, map, &Value::Object(Map::new())),
            (Some(next), _) if *flow => vec![Splice::new(key.start..next, "")],
            (None, Some(previous)) if *flow => vec![Splice::new(previous..value.end, "")],
            (next, _) => {
                let line_start = self.text[..key.start].rfind('\n').map_or(0, |newline| newline + 1);
                let alone = self.text[line_start..key.start].trim().is_empty();
                match next.filter(|_| !alone) {
                    // The first key of a list item: what is before it belongs to the item.
                    Some(next) => vec![Splice::new(key.start..next, "")],
                    None => {
                        let end = self.text[value.end..]
                            .find('\n')
                            .map_or(self.text.len(), |newline| value.end + newline + 1);
                        vec![Splice::new(line_start..end, "")]
                    }
                }
            }
        }
    }

    fn insert_item(&self, root: &Node, list: &Node, index: usize, value: &Value) -> Vec<Splice> {
        let Kind::List { flow, items } = &list.kind else { return Vec::new() };
        let item = if self.json { write::json(value) } else { write::flow(value) };
        let Some((first, last)) = items.first().zip(items.last()) else {
            return self.replace(root, list, &Value::Array(vec![value.clone()]));
        };
        if !flow {
            let indent = self.column(list.start);
            let block = write::block(value, indent + 2, self.layout(self.line_end(last.end)));
            let item = format!("- {}", block.trim_start_matches(' '));
            let space = format!("{}{}", self.newline, " ".repeat(indent));
            return match self.dash(list, items, index) {
                Some(dash) => vec![Splice::new(dash..dash, format!("{item}{space}"))],
                None => {
                    let end = self.line_end(last.end);
                    vec![Splice::new(end..end, format!("{space}{item}"))]
                }
            };
        }
        let space = space_before(self.text, list.start + 1, first.start);
        if let Some(next) = items.get(index) {
            return vec![Splice::new(next.start..next.start, format!("{item},{space}"))];
        }
        after_last(self.text, last.end..list.end, space, &item)
    }

    fn remove_item(&self, root: &Node, list: &Node, index: usize) -> Vec<Splice> {
        let Kind::List { flow, items } = &list.kind else { return Vec::new() };
        let Some(item) = items.get(index) else { return Vec::new() };
        let next = items.get(index + 1).map(|next| next.start);
        let previous = index.checked_sub(1).map(|index| items[index].end);
        match (next, previous) {
            (None, None) => self.replace(root, list, &Value::Array(Vec::new())),
            (Some(next), _) if *flow => vec![Splice::new(item.start..next, "")],
            (None, Some(previous)) if *flow => vec![Splice::new(previous..item.end, "")],
            _ => {
                let Some(dash) = self.dash(list, items, index) else { return Vec::new() };
                let line_start = self.text[..dash].rfind('\n').map_or(0, |newline| newline + 1);
                match self.dash(list, items, index + 1) {
                    // The first item of a list inside another's item: what is before it belongs to that.
                    Some(next) if !self.text[line_start..dash].trim().is_empty() => {
                        vec![Splice::new(dash..next, "")]
                    }
                    _ => {
                        let end = self.text[item.end.max(dash)..].find('\n');
                        let end = end.map_or(self.text.len(), |newline| item.end.max(dash) + newline + 1);
                        vec![Splice::new(line_start..end, "")]
                    }
                }
            }
        }
    }
}

/// The space before the first part of a collection in braces or brackets: that of a new part, too.
pub(super) fn space_before(text: &str, open: usize, first: usize) -> &str {
    let before_first = &text[open..first];
    let space = before_first.rfind('\n').map_or(" ", |newline| {
        let from = if before_first[..newline].ends_with('\r') { newline - 1 } else { newline };
        &before_first[from..]
    });
    if space.trim().is_empty() { space } else { " " }
}

/// Writes a part behind the last one of a collection in braces or brackets; `rest` is from there to behind its end.
pub(super) fn after_last(text: &str, rest: Range<usize>, space: &str, part: &str) -> Vec<Splice> {
    let (last, rest) = (rest.start, &text[rest]);
    let comma = rest.len() - rest.trim_start().len();
    if rest[comma..].starts_with(',') {
        let at = last + comma + 1;
        vec![Splice::new(at..at, format!("{space}{part},"))]
    } else {
        vec![Splice::new(last..last, format!(",{space}{part}"))]
    }
}

fn has_parts(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The collection that holds `node`, with the node's key where it is a mapping.
pub(super) fn parent_of<'a>(root: &'a Node, node: &Node) -> Option<(&'a Node, Option<&'a Node>)> {
    let inside = |child: &Node| child.start <= node.start && node.end <= child.end;
    match &root.kind {
        Kind::Scalar { .. } | Kind::Alias => None,
        Kind::List { items, .. } => items.iter().find_map(|item| {
            if std::ptr::eq(item, node) {
                Some((root, None))
            } else {
                inside(item).then(|| parent_of(item, node))?
            }
        }),
        Kind::Map { entries, .. } => entries.iter().find_map(|(key, value)| {
            if std::ptr::eq(value, node) {
                Some((root, Some(key)))
            } else {
                inside(value).then(|| parent_of(value, node))?
            }
        }),
    }
}
