//! Which bytes change in a file of `key = value`, TOML or HCL, when a value changes?

use std::ops::Range;

use serde_json::Value;

use super::{
    Deed, Refusal, Step, UNTOUCHED, Writer, intend,
    splice::{self, Splice, after_last, space_before},
    splices,
    tree::{Kind, Node, Style},
};
use crate::render::quote;

/// What was read of such a file.
pub(super) struct Read {
    /// The whole of it.
    pub(super) root: Node,
    /// Where single lines of it belong together.
    pub(super) sections: Vec<Section>,
}

/// A value of this kind, written here.
pub(super) fn node(range: Range<usize>, kind: Kind) -> Node {
    Node { start: range.start, end: range.end, kind, special: false }
}

/// A single value, written here.
pub(super) fn scalar(range: Range<usize>, value: Value) -> Node {
    node(range, Kind::Scalar { value, style: Style::Plain })
}

/// A table of TOML, a block of HCL, or the top of either.
#[derive(Debug, Clone)]
pub(super) struct Section {
    /// The mapping that it is.
    pub(super) map: Range<usize>,
    /// With its header and braces; none where it cannot be taken out.
    pub(super) whole: Option<Range<usize>>,
    /// Behind what a new line comes, as a place on that line, and how it is indented; none where it is the first of the file.
    pub(super) last: Option<(usize, String)>,
    /// Braces on one line with nothing between them.
    pub(super) empty: Option<(Range<usize>, String)>,
}

/// How such a language reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Language {
    pub(super) read: fn(&str) -> Result<Read, Refusal>,
    pub(super) value: fn(&Value) -> Result<String, &'static str>,
    pub(super) key: fn(&str) -> String,
    /// Whether a section that nothing is left in is as good as none.
    pub(super) prunes: bool,
}

/// The text after a deed; the same where it is so already.
pub(super) fn edit(
    text: &str,
    steps: &[Step],
    deed: Deed<'_>,
    language: Language,
) -> Result<String, Refusal> {
    let before = (language.read)(text)?;
    if let Deed::Set(value) | Deed::Append(value) | Deed::Insert(value) = deed {
        (language.value)(value).map_err(|why| Refusal::Unsupported(why.to_owned()))?;
    }
    let writer = Assigned::new(text, language, &before.sections);
    let Some(found) = splices(&writer, &before.root, steps, deed)? else { return Ok(text.to_owned()) };
    let new = splice::apply(text, found);
    let mut intended = before.root.value();
    intend(&mut intended, steps, deed);
    let after = (language.read)(&new).map_err(|_| Refusal::Unsupported(UNTOUCHED.to_owned()))?;
    let mut after = after.root.value();
    if language.prunes {
        prune(&mut after);
        prune(&mut intended);
    }
    if after == intended { Ok(new) } else { Err(Refusal::Unsupported(UNTOUCHED.to_owned())) }
}

fn prune(value: &mut Value) {
    if let Value::Object(fields) = value {
        fields.values_mut().for_each(prune);
        fields.retain(|_, value| value.as_object().is_none_or(|fields| !fields.is_empty()));
    }
}

/// Writes into such a file.
pub(super) struct Assigned<'a> {
    text: &'a str,
    newline: &'static str,
    language: Language,
    sections: &'a [Section],
}

impl<'a> Assigned<'a> {
    fn new(text: &'a str, language: Language, sections: &'a [Section]) -> Self {
        let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { text, newline, language, sections }
    }

    fn value(&self, value: &Value) -> String {
        (self.language.value)(value).unwrap_or_default()
    }

    fn section(&self, map: &Node) -> Option<&Section> {
        self.sections.iter().find(|section| section.map == (map.start..map.end))
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline);
        if end > at && self.text[..end].ends_with('\r') { end - 1 } else { end }
    }

    /// The lines of a part, where it shares them with nothing but a comma and a comment behind it.
    fn lines(&self, part: Range<usize>) -> Option<Range<usize>> {
        let (start, end) = (self.line_start(part.start), self.line_end(part.end));
        let behind = self.text[part.end..end].trim_start().trim_start_matches(',').trim_start();
        let is_alone = self.text[start..part.start].trim().is_empty()
            && (behind.is_empty() || behind.starts_with('#') || behind.starts_with("//"));
        let next = self.text[end..].find('\n').map_or(self.text.len(), |newline| end + newline + 1);
        is_alone.then_some(start..next)
    }
}

impl Writer for Assigned<'_> {
    fn replace(&self, _: &Node, node: &Node, value: &Value) -> Vec<Splice> {
        match &node.kind {
            // A table or a block is more than its value.
            Kind::Map { flow: false, .. } | Kind::List { flow: false, .. } => Vec::new(),
            Kind::Scalar { .. } | Kind::Alias | Kind::Map { .. } | Kind::List { .. } => {
                vec![Splice::new(node.start..node.end, self.value(value))]
            }
        }
    }

    fn insert(&self, map: &Node, key: &str, value: &Value) -> Vec<Splice> {
        let pair = format!("{} = {}", (self.language.key)(key), self.value(value));
        let Kind::Map { flow, entries } = &map.kind else { return Vec::new() };
        if !flow {
            return match self.section(map) {
                Some(Section { empty: Some((braces, indent)), .. }) => {
                    let text = format!("{{{}{indent}  {pair}{}{indent}}}", self.newline, self.newline);
                    vec![Splice::new(braces.clone(), text)]
                }
                Some(Section { last: Some((last, indent)), .. }) => {
                    let end = self.line_end(*last);
                    vec![Splice::new(end..end, format!("{}{indent}{pair}", self.newline))]
                }
                Some(Section { last: None, .. }) => {
                    vec![Splice::new(0..0, format!("{pair}{}", self.newline))]
                }
                None => Vec::new(),
            };
        }
        let Some(((first, _), (_, last))) = entries.first().zip(entries.last()) else {
            return vec![Splice::new(map.start..map.end, format!("{{ {pair} }}"))];
        };
        let space = space_before(self.text, map.start + 1, first.start);
        let rest = self.text[last.end..map.end].trim_start_matches([' ', '\t']);
        if space.contains('\n') && !rest.starts_with(',') {
            // Each on a line of its own, without commas.
            let end = self.line_end(last.end);
            return vec![Splice::new(end..end, format!("{space}{pair}"))];
        }
        after_last(self.text, last.end..map.end, space, &pair)
    }

    fn remove(&self, root: &Node, map: &Node, key: &Node, value: &Node) -> Vec<Splice> {
        let block = self.section(value).and_then(|section| section.whole.clone());
        let part = block.unwrap_or(key.start..value.end);
        if let Some(lines) = self.lines(part) {
            return vec![Splice::new(lines, "")];
        }
        let Kind::Map { flow: true, entries } = &map.kind else { return Vec::new() };
        let Some(index) = entries.iter().position(|(name, _)| name.start == key.start) else {
            return Vec::new();
        };
        let next = entries.get(index + 1).map(|(name, _)| name.start);
        let previous = index.checked_sub(1).map(|index| entries[index].1.end);
        match (next, previous) {
            (Some(next), _) => vec![Splice::new(key.start..next, "")],
            (None, Some(previous)) => vec![Splice::new(previous..value.end, "")],
            (None, None) => self.replace(root, map, &Value::Object(serde_json::Map::new())),
        }
    }

    fn insert_item(&self, root: &Node, list: &Node, index: usize, value: &Value) -> Vec<Splice> {
        let Kind::List { flow: true, items } = &list.kind else { return Vec::new() };
        let Some((first, last)) = items.first().zip(items.last()) else {
            return self.replace(root, list, &Value::Array(vec![value.clone()]));
        };
        let space = space_before(self.text, list.start + 1, first.start);
        match items.get(index) {
            Some(next) => {
                vec![Splice::new(next.start..next.start, format!("{},{space}", self.value(value)))]
            }
            None => after_last(self.text, last.end..list.end, space, &self.value(value)),
        }
    }

    fn remove_item(&self, root: &Node, list: &Node, index: usize) -> Vec<Splice> {
        let Kind::List { flow: true, items } = &list.kind else { return Vec::new() };
        let Some(item) = items.get(index) else { return Vec::new() };
        if let Some(lines) = self.lines(item.start..item.end) {
            return vec![Splice::new(lines, "")];
        }
        let next = items.get(index + 1).map(|next| next.start);
        let previous = index.checked_sub(1).map(|index| items[index].end);
        match (next, previous) {
            (Some(next), _) => vec![Splice::new(item.start..next, "")],
            (None, Some(previous)) => vec![Splice::new(previous..item.end, "")],
            (None, None) => self.replace(root, list, &Value::Array(Vec::new())),
        }
    }
}

/// The words that HCL and TOML share for what cannot be read.
pub(super) fn unreadable(problem: &super::tree::Unreadable) -> Refusal {
    Refusal::Unsupported(format!("it cannot be read: {}", problem.message))
}

/// The language TOML.
pub(super) const TOML: Language =
    Language { read: super::toml::read, value: quote::toml, key: quote::toml_key, prunes: false };

/// The language HCL.
pub(super) const HCL: Language = Language {
    read: super::hcl::read,
    value: |value| Ok(quote::hcl(value)),
    key: super::hcl::key,
    prunes: true,
};
