//! Where in the bytes of a YAML or JSON file is each value?

mod json;

use std::borrow::Cow;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// The deepest nesting that is read: people stop long before.
const MAX_DEPTH: usize = 100;

/// A value and where it is written.
#[derive(Debug, Clone)]
pub(in crate::render) struct Node {
    /// First byte.
    pub(in crate::render) start: usize,
    /// First byte after it.
    pub(in crate::render) end: usize,
    /// What it is.
    pub(in crate::render) kind: Kind,
    /// Whether it has an anchor or a tag, or is an alias: it means more than its text.
    pub(in crate::render) special: bool,
}

/// What is written.
#[derive(Debug, Clone)]
pub(in crate::render) enum Kind {
    /// One value without parts.
    Scalar { value: Value, style: Style },
    /// A mapping; `flow` when in braces.
    Map { flow: bool, entries: Vec<(Node, Node)> },
    /// A list; `flow` when in brackets.
    List { flow: bool, items: Vec<Node> },
    /// A reference to an anchor.
    Alias,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::render) enum Style {
    /// Without quotes; also what is not written at all.
    Plain,
    /// `'…'`.
    Single,
    /// `"…"`.
    Double,
    /// After `|` or `>`, with lines of its own.
    Block,
}

/// Why a file is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::render) struct Unreadable {
    /// Why, in words.
    pub(in crate::render) message: String,
    /// Where: line and column, from 1.
    pub(in crate::render) at: Option<(usize, usize)>,
}

impl Unreadable {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), at: None }
    }
}

impl Node {
    /// The plain data. Aliases are null: nothing that holds one is compared.
    pub(in crate::render) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar { value, .. } => value.clone(),
            Kind::Alias => Value::Null,
            Kind::List { items, .. } => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map { entries, .. } => Value::Object(
                entries.iter().map(|(key, value)| (key.key(), value.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The text of a key.
    pub(in crate::render) fn key(&self) -> String {
        match &self.kind {
            Kind::Scalar { value: Value::String(text), .. } => text.clone(),
            _ => self.value().to_string(),
        }
    }

    /// Whether something in here means more than its text.
    pub(in crate::render) fn has_special(&self) -> bool {
        self.special
            || match &self.kind {
                Kind::Scalar { .. } | Kind::Alias => false,
                Kind::List { items, .. } => items.iter().any(Self::has_special),
                Kind::Map { entries, .. } => {
                    entries.iter().any(|(key, value)| key.has_special() || value.has_special())
                }
            }
    }

    /// Whether it is written in braces or brackets.
    pub(in crate::render) fn is_flow(&self) -> bool {
        matches!(self.kind, Kind::Map { flow: true, .. } | Kind::List { flow: true, .. })
    }
}

/// The one document of a JSON file.
pub(in crate::render) fn json(text: &str) -> Result<Node, Unreadable> {
    json::read(text)
}

/// The documents of a YAML stream.
pub(in crate::render) fn yaml(text: &str) -> Result<Vec<Node>, Unreadable> {
    let mut reader = Reader { bytes: byte_offsets(text), text, open: Vec::new(), documents: Vec::new() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Unreadable {
            message: error.info().to_owned(),
            at: Some((error.marker().line(), error.marker().col() + 1)),
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.documents)
}

/// Positions of the parser count characters; this gives their bytes. `None` where both are the same.
fn byte_offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(byte, _)| byte).chain([text.len()]).collect())
}

struct Reader<'a> {
    text: &'a str,
    bytes: Option<Vec<usize>>,
    open: Vec<Open>,
    documents: Vec<Node>,
}

/// A collection that has not ended yet; of a map, `nodes` holds keys and values in turn.
struct Open {
    start: usize,
    flow: bool,
    map: bool,
    special: bool,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            None => character.min(self.text.len()),
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
        }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let (start, end) = (self.byte(span.start.index()), self.byte(span.end.index()));
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
            Event::Alias(_) => self.add(Node { start, end, kind: Kind::Alias, special: true })?,
            Event::Scalar(text, style, anchor, tag) => {
                let special = anchor != 0 || tag.is_some();
                let end = start + self.text[start..end].trim_end().len();
                let (start, end, style) = match style {
                    ScalarStyle::Plain if start == end => {
                        let behind = self.behind_mark(start);
                        (behind, behind.unwrap_or(end), Style::Plain)
                    }
                    ScalarStyle::Plain => (Some(start), end, Style::Plain),
                    ScalarStyle::SingleQuoted => {
                        (Some(start), self.quote_end(start, end, '\''), Style::Single)
                    }
                    ScalarStyle::DoubleQuoted => {
                        (Some(start), self.quote_end(start, end, '"'), Style::Double)
                    }
                    ScalarStyle::Literal | ScalarStyle::Folded => {
                        (self.block_header(start), end, Style::Block)
                    }
                };
                let value = if style == Style::Plain && tag.is_none() {
                    resolve(&text)
                } else {
                    text.into_owned().into()
                };
                let special = special || start.is_none();
                self.add(Node {
                    start: start.unwrap_or(end),
                    end,
                    kind: Kind::Scalar { value, style },
                    special,
                })?;
            }
            Event::SequenceStart(anchor, ref tag) | Event::MappingStart(anchor, ref tag) => {
                if self.open.len() >= MAX_DEPTH {
                    return Err(Unreadable::new(format!("it is nested more than {MAX_DEPTH} levels deep")));
                }
                let map = matches!(event, Event::MappingStart(..));
                let special = anchor != 0 || tag.is_some();
                let flow = end > start && self.text[start..].starts_with(['{', '[']);
                self.open.push(Open { start, flow, map, special, nodes: Vec::new() });
            }
            // The parser may count a comment behind the bracket in.
            Event::SequenceEnd | Event::MappingEnd => self.close(start + 1)?,
        }
        Ok(())
    }

    /// Behind the `:` or `-` of a value that is not written; the parser tells it there or behind a comment.
    fn behind_mark(&self, told: usize) -> Option<usize> {
        let mut before = &self.text[..told + usize::from(self.text[told..].starts_with([':', '-']))];
        loop {
            before = before.trim_end();
            if before.ends_with([':', '-']) {
                return Some(before.len());
            }
            let line = before.rfind('\n').map_or(0, |newline| newline + 1);
            before = &before[..line + before[line..].rfind('#')?];
        }
    }

    /// Behind the quote that ends a scalar; the parser may count a comment behind it in.
    fn quote_end(&self, start: usize, end: usize, quote: char) -> usize {
        let mut characters = self.text[start + 1..end].char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            let next = characters.peek().map(|(_, next)| *next);
            if c == '\\' && quote == '"' || c == quote && quote == '\'' && next == Some(quote) {
                characters.next();
            } else if c == quote {
                return start + 1 + at + 1;
            }
        }
        end
    }

    /// The `|` or `>` of a block scalar; the parser tells where its first line of text is.
    fn block_header(&self, content: usize) -> Option<usize> {
        let before = &self.text[..content];
        let above = before[..before.rfind('\n')?].trim_end();
        let line = above.rfind('\n').map_or(0, |newline| newline + 1);
        let is_header = |rest: &str| {
            let rest =
                rest[1..].trim_start_matches(|c: char| c.is_ascii_digit() || "+-".contains(c)).trim_start();
            rest.is_empty() || rest.starts_with('#')
        };
        above[line..].match_indices(['|', '>']).map(|(at, _)| line + at).find(|at| is_header(&above[*at..]))
    }

    fn close(&mut self, end: usize) -> Result<(), Unreadable> {
        let Some(Open { start, flow, map, special, nodes }) = self.open.pop() else {
            return Err(Unreadable::new("a collection ends that did not begin"));
        };
        let (first, last) = (nodes.first().map(|node| node.start), nodes.last().map(|node| node.end));
        let is_dash = !map && self.text[start..].starts_with('-');
        let start = if flow || is_dash { start } else { first.unwrap_or(start) };
        let end = if flow { end } else { last.unwrap_or(start) };
        let kind = if map {
            let mut entries: Vec<(Node, Node)> = Vec::new();
            let mut nodes = nodes.into_iter();
            while let (Some(key), Some(value)) = (nodes.next(), nodes.next()) {
                if entries.iter().any(|(other, _)| other.key() == key.key()) {
                    return Err(Unreadable::new(format!("the key `{}` is there twice", key.key())));
                }
                entries.push((key, value));
            }
            Kind::Map { flow, entries }
        } else {
            Kind::List { flow, items: nodes }
        };
        self.add(Node { start, end, kind, special })
    }

    fn add(&mut self, node: Node) -> Result<(), Unreadable> {
        match self.open.last_mut() {
            Some(open) => open.nodes.push(node),
            None => self.documents.push(node),
        }
        Ok(())
    }
}

/// What a plain scalar means, by the core schema of YAML 1.2.
pub(in crate::render) fn resolve(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    number(text).map_or_else(|| text.into(), Value::Number)
}

fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = |prefix, radix| {
        let digits = text.strip_prefix(prefix)?;
        u64::from_str_radix(digits, radix).ok().filter(|_| !digits.starts_with('+')).map(Number::from)
    };
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Some(number);
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || !digits.contains(|c: char| c.is_ascii_digit())
    {
        return None;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let unsigned = text.strip_prefix('+').unwrap_or(text);
        if let Some(whole) = unsigned
            .parse::<i64>()
            .ok()
            .map(Number::from)
            .or_else(|| unsigned.parse::<u64>().ok().map(Number::from))
        {
            return Some(whole);
        }
    }
    let legal = digits.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte));
    let text: Cow<'_, str> = text.strip_prefix('+').unwrap_or(text).into();
    text.parse::<f64>().ok().filter(|_| legal).and_then(Number::from_f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_those_of_the_written_value() {
        let text = "# ä\na: one  # x\nb:\n  - 'two'\n  - { c: [3 , \"ö\"] }\nd: |\n  text\n  more\n\ne:\nf: >-\n   g\n# end\n";
        let document = &yaml(text).unwrap()[0];
        let Kind::Map { entries, flow: false } = &document.kind else { panic!("{document:?}") };
        let written: Vec<_> =
            entries.iter().map(|(key, value)| (key.key(), &text[value.start..value.end])).collect();
        let expected = [
            ("a", "one"),
            ("b", "- 'two'\n  - { c: [3 , \"ö\"] }"),
            ("d", "|\n  text\n  more"),
            ("e", ""),
            ("f", ">-\n   g"),
        ];
        assert_eq!(written, expected.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(entries[3].1.start, text.find("e:").unwrap() + 2);
    }

    #[test]
    fn scalars_mean_what_the_core_schema_says() {
        for (text, value) in [
            ("1", serde_json::json!(1)),
            ("-1", serde_json::json!(-1)),
            ("0x1F", serde_json::json!(31)),
            ("1.50", serde_json::json!(1.5)),
            ("1e3", serde_json::json!(1000.0)),
            ("012", serde_json::json!(12)),
            ("1.2.3", serde_json::json!("1.2.3")),
            ("no", serde_json::json!("no")),
            ("1_000", serde_json::json!("1_000")),
            ("-", serde_json::json!("-")),
            ("1-2", serde_json::json!("1-2")),
            (".", serde_json::json!(".")),
            ("~", serde_json::json!(null)),
        ] {
            assert_eq!(resolve(text), value, "{text}");
        }
    }
}
