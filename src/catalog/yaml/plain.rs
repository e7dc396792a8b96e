//! What does the plainest YAML say? Block mappings and lists of scalars of one line, which nearly all entities are, read in one go.
//! Anything else is left to the parser, which takes several times as long and says the same of what is read here.

use serde_json::{Map, Value};

use super::plain_value;

/// Deeper nesting is left to the parser.
const DEPTH: usize = 8;
/// Longer keys are left to the parser.
const KEY: usize = 128;

/// What a mapping of the plainest YAML says, key by key; none where anything is not that plain, well written or not.
pub(super) fn entries(text: &str) -> Option<Vec<(String, Value)>> {
    // Controls, and the first bytes of all characters that some programs take for a line's end or for nothing.
    let is_plain = |byte: u8| byte >= b' ' && !matches!(byte, 0x7f | 0xc2 | 0xe2 | 0xef) || byte == b'\n';
    if !text.bytes().all(is_plain) {
        return None;
    }
    let mut found: Vec<(String, Value)> = Vec::with_capacity(8);
    let mut lines = Lines { rest: text, line: None };
    lines.advance()?;
    lines.mapping(0, 0, &mut |key, value| {
        let is_new = found.iter().all(|(known, _)| known != key);
        is_new.then(|| found.push((key.to_owned(), value)))
    })?;
    (lines.line.is_none() && !found.is_empty()).then_some(found)
}

/// A line that says something.
#[derive(Clone, Copy)]
struct Line<'a> {
    indent: usize,
    text: &'a str,
}

impl Line<'_> {
    fn is_item(self) -> bool {
        matches!(self.text.as_bytes(), [b'-'] | [b'-', b' ', ..])
    }
}

struct Lines<'a> {
    /// What comes after that line.
    rest: &'a str,
    /// The line that is to be read next; none at the end.
    line: Option<Line<'a>>,
}

impl<'a> Lines<'a> {
    /// Goes on to the next line that says something.
    fn advance(&mut self) -> Option<()> {
        self.line = None;
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest.as_bytes()).unwrap_or(self.rest.len());
            let line = &self.rest[..end];
            self.rest = self.rest.get(end + 1..).unwrap_or_default();
            if line.as_bytes().last() == Some(&b' ') {
                return None;
            }
            let text = after_spaces(line);
            if !matches!(text.as_bytes().first(), None | Some(b'#')) {
                self.line = Some(Line { indent: line.len() - text.len(), text });
                break;
            }
        }
        Some(())
    }

    /// Whether the next line is further to the right, and so goes on with what came before.
    fn goes_on(&self, indent: usize) -> bool {
        self.line.is_some_and(|line| line.indent > indent)
    }

    fn mapping(
        &mut self,
        indent: usize,
        depth: usize,
        put: &mut dyn FnMut(&'a str, Value) -> Option<()>,
    ) -> Option<()> {
        while let Some(line) = self.line.filter(|line| line.indent == indent && !line.is_item()) {
            let end = line.text.bytes().position(|byte| !is_of_key(byte))?;
            let (key, rest) = line.text.split_at(end);
            let starts = key.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
            if !starts || key.len() > KEY {
                return None;
            }
            self.advance()?;
            let value = match rest.as_bytes() {
                [b':'] => self.nested(indent, depth)?,
                [b':', b' ', ..] => scalar(after_spaces(&rest[1..]))?,
                _ => return None,
            };
            if self.goes_on(indent) {
                return None;
            }
            put(key, value)?;
        }
        Some(())
    }

    /// What stands below a key.
    fn nested(&mut self, indent: usize, depth: usize) -> Option<Value> {
        let Some(line) = self.line else { return Some(Value::Null) };
        if line.is_item() && line.indent >= indent {
            return self.list(line.indent);
        }
        if line.indent <= indent {
            return Some(Value::Null);
        }
        if depth == DEPTH {
            return None;
        }
        let mut entries = Map::with_capacity(16);
        self.mapping(line.indent, depth + 1, &mut |key, value| {
            entries.insert(key.to_owned(), value).is_none().then_some(())
        })?;
        Some(Value::Object(entries))
    }

    fn list(&mut self, indent: usize) -> Option<Value> {
        let mut items = Vec::new();
        while let Some(line) = self.line.filter(|line| line.indent == indent && line.is_item()) {
            items.push(scalar(after_spaces(&line.text[1..]))?);
            self.advance()?;
            if self.goes_on(indent) {
                return None;
            }
        }
        Some(Value::Array(items))
    }
}

/// A text without the spaces that it begins with, byte by byte: this is asked of every line.
fn after_spaces(text: &str) -> &str {
    let spaces = text.bytes().position(|byte| byte != b' ');
    &text[spaces.unwrap_or(text.len())..]
}

fn is_of_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A scalar, a list of words in brackets, or an empty mapping, which is all that is left of its line.
fn scalar(text: &str) -> Option<Value> {
    let inside = |from: char, to: char| text.strip_prefix(from)?.strip_suffix(to);
    let first = text.bytes().next()?;
    match first {
        b'"' => inside('"', '"').filter(|text| !text.contains(['"', '\\'])).map(Value::from),
        b'\'' => inside('\'', '\'').filter(|text| !text.contains('\'')).map(Value::from),
        b'[' => match inside('[', ']')?.trim_matches(' ') {
            "" => Some(Value::Array(Vec::new())),
            items => items.split(',').map(word).collect(),
        },
        b'{' => (text == "{}").then(|| Value::Object(Map::new())),
        b'-' if !text[1..].starts_with(|next: char| next.is_ascii_alphanumeric()) => None,
        b'-' | b'+' | b'.' | b'/' | b'_' | b'~' | b'(' | b'$' | 0x80.. => plain(text),
        _ if first.is_ascii_alphanumeric() => plain(text),
        _ => None,
    }
}

fn plain(text: &str) -> Option<Value> {
    let bytes = text.as_bytes();
    let ends = |at: usize| match bytes[at] {
        b':' => bytes.get(at + 1).is_none_or(|next| *next == b' '),
        b'#' => bytes[at - 1] == b' ',
        _ => false,
    };
    if (1..bytes.len()).any(ends) { None } else { plain_value(text) }
}

/// An item of a list in brackets.
fn word(text: &str) -> Option<Value> {
    let text = text.trim_matches(' ');
    let is_word = text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| is_of_key(byte) || byte == b'/');
    if is_word { plain_value(text) } else { None }
}
