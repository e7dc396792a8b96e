//! What does a YAML text say, and where?
//!
//! Reads exactly one document of plain YAML 1.2 (JSON included) into a tree in which every key
//! and value knows its place. What different programs read differently, or what hides text from a
//! reviewer, is refused in words: anchors, tags, merge keys, repeated keys, several documents.
//! Without aliases a tree is never larger than its text, so the limits of size and depth are enough.

mod broken;
mod plain;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use super::values::{Segment, field_name};
use crate::domain::{Diagnostic, Fix, Place, Related, Replacement, Span};

/// The largest text that is read: people write these files, and people read them.
const MAX_BYTES: usize = 1024 * 1024;
/// The deepest nesting that is read; everything that walks a tree may be recursive.
const MAX_DEPTH: usize = 48;

/// A document that remembers where everything stands.
#[derive(Debug, Clone)]
pub struct Document {
    source: String,
    text: String,
    root: Node,
}

#[derive(Debug, Clone)]
struct Node {
    span: Span,
    kind: Kind,
}

#[derive(Debug, Clone)]
enum Kind {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone)]
struct Key {
    text: String,
    span: Span,
}

/// Reads one YAML document.
///
/// # Errors
/// What a person has to mend before it can be read.
pub fn parse(source: &str, bytes: &[u8]) -> Result<Document, Vec<Diagnostic>> {
    let text = decode(source, bytes)?;
    let mut builder = Builder::new(source, text);
    builder.read();
    if !builder.found.is_empty() {
        return Err(builder.found);
    }
    match builder.root {
        Some(Node { kind: Kind::Scalar(Value::Null), .. }) | None => Err(vec![
            Diagnostic::error("yaml-empty", Place::file(source), format!("`{source}` says nothing"))
                .help("write its fields, or remove the file"),
        ]),
        Some(root) => Ok(Document { source: source.to_owned(), text: text.to_owned(), root }),
    }
}

/// What a document says, key by key; none if it is no mapping, or anything is wrong with it. Where [`parse`] would also say where
/// everything stands, this says it sooner.
pub fn entries(source: &str, bytes: &[u8]) -> Option<Vec<(String, Value)>> {
    let text = decode(source, bytes).ok()?;
    plain::entries(text).or_else(|| parse(source, bytes).ok()?.into_entries())
}

/// Whether a text is a stream of YAML documents of any kind.
pub(super) fn is_yaml(text: &str) -> bool {
    text.len() <= MAX_BYTES && Parser::new_from_str(text).all(|event| event.is_ok())
}

/// The keys of the outermost mapping of a text, if it is YAML and one.
pub(super) fn first_keys(text: &str) -> Option<Vec<String>> {
    let (mut keys, mut depth, mut at_key) = (Vec::new(), 0_usize, true);
    for event in Parser::new_from_str(text) {
        match event.ok()?.0 {
            Event::SequenceStart(..) if depth == 0 => return None,
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => {
                depth -= 1;
                at_key ^= depth == 1;
            }
            Event::Scalar(..) | Event::Alias(_) if depth == 0 => return None,
            Event::Scalar(key, ..) if depth == 1 => {
                keys.extend(at_key.then(|| key.into_owned()));
                at_key = !at_key;
            }
            Event::Alias(_) if depth == 1 => at_key = !at_key,
            _ => {}
        }
    }
    Some(keys)
}

fn decode<'a>(source: &str, bytes: &'a [u8]) -> Result<&'a str, Vec<Diagnostic>> {
    let refuse = |code, place, message: &str, help: &str| {
        Err(vec![Diagnostic::error(code, place, format!("`{source}` {message}")).help(help)])
    };
    let file = Place::file(source);
    if bytes.len() > MAX_BYTES {
        let message = format!("has {} bytes, and at most {MAX_BYTES} are read", bytes.len());
        return refuse("yaml-too-large", file, &message, "split it, or keep such data elsewhere");
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return refuse("yaml-encoding", file, "is written in UTF-16", "save it as UTF-8");
    }
    if bytes.starts_with("\u{feff}".as_bytes()) {
        let span = Span { start: 0, end: 3, line: 1, column: 1 };
        let fix = Fix {
            title: "remove the byte order mark".to_owned(),
            edits: vec![Replacement { span, text: String::new() }],
        };
        let message = format!("`{source}` begins with a byte order mark");
        let found = Diagnostic::error("yaml-encoding", file, message).fix(Some(fix));
        return Err(vec![found.help("save it as UTF-8 without a byte order mark")]);
    }
    std::str::from_utf8(bytes).or_else(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        let place = Place {
            span: Some(Span { start: before.len(), end: before.len(), line, column }),
            ..Place::file(source)
        };
        refuse("yaml-encoding", place, "is not written in UTF-8", "save it as UTF-8")
    })
}

/// A collection that is still being read.
enum Open {
    List { span: Span, items: Vec<Node> },
    Map { span: Span, entries: Vec<(Key, Node)>, key: Option<Key> },
}

struct Builder<'a> {
    source: &'a str,
    text: &'a str,
    /// The byte at which each character begins; none when all characters are single bytes.
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    root: Option<Node>,
    found: Vec<Diagnostic>,
}

impl<'a> Builder<'a> {
    fn new(source: &'a str, text: &'a str) -> Self {
        let offsets = (!text.is_ascii())
            .then(|| text.char_indices().map(|(at, _)| at).chain([text.len()]).collect::<Vec<_>>());
        Self { source, text, offsets, open: Vec::new(), root: None, found: Vec::new() }
    }

    fn read(&mut self) {
        let mut documents = 0;
        for event in Parser::new_from_str(self.text) {
            let (event, span) = match event {
                Ok((event, span)) => (event, self.span(span)),
                Err(error) => return self.broken(&error),
            };
            match event {
                Event::DocumentStart(_) => {
                    documents += 1;
                    if documents == 2 {
                        return self.refuse(
                            "yaml-several-documents",
                            span,
                            "a second document begins here",
                            "keep one document in a file: split it at `---`",
                        );
                    }
                }
                Event::Alias(_) => {
                    self.refuse("yaml-alias", span, "an alias stands here", "write the value out");
                    self.push(Node { span, kind: Kind::Scalar(Value::Null) }, false);
                }
                Event::Scalar(text, style, anchor, tag) => {
                    self.refuse_decoration(span, anchor, tag.is_some());
                    let plain = matches!(style, ScalarStyle::Plain);
                    if plain && text == "<<" && self.at_key() {
                        self.refuse(
                            "yaml-merge-key",
                            span,
                            "a merge key stands here",
                            "write the merged keys out",
                        );
                    }
                    if self.at_key() {
                        self.key(text.into_owned(), span);
                        continue;
                    }
                    let value = if plain {
                        plain_value(&text).unwrap_or_else(|| {
                            let help = "put it in quotes to mean text";
                            self.refuse(
                                "yaml-number",
                                span,
                                &format!("`{text}` is a number that JSON cannot hold"),
                                help,
                            );
                            Value::Null
                        })
                    } else {
                        Value::String(text.into_owned())
                    };
                    self.push(Node { span, kind: Kind::Scalar(value) }, true);
                }
                Event::SequenceStart(anchor, tag) => {
                    self.refuse_decoration(span, anchor, tag.is_some());
                    self.open.push(Open::List { span, items: Vec::new() });
                }
                Event::MappingStart(anchor, tag) => {
                    self.refuse_decoration(span, anchor, tag.is_some());
                    self.open.push(Open::Map { span, entries: Vec::new(), key: None });
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let node = match self.open.pop() {
                        Some(Open::List { span: start, items }) => {
                            let last = items.last().map(|item| item.span);
                            Node { span: until(start, span, last), kind: Kind::List(items) }
                        }
                        Some(Open::Map { span: start, entries, .. }) => {
                            let last = entries.last().map(|(_, node)| node.span);
                            Node { span: until(start, span, last), kind: Kind::Map(entries) }
                        }
                        None => continue,
                    };
                    self.push(node, true);
                }
                Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
            }
            if self.open.len() > MAX_DEPTH {
                let message = format!("this is nested more than {MAX_DEPTH} deep");
                return self.refuse("yaml-too-deep", span, &message, "make it flatter");
            }
        }
    }

    fn at_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Map { key: None, .. }))
    }

    fn key(&mut self, text: String, span: Span) {
        if let Some(Open::Map { key, .. }) = self.open.last_mut() {
            *key = Some(Key { text, span });
        }
    }

    /// Keeps a value under its key, and says so if the key is there already.
    fn entry(&mut self, value: Node) {
        let Some(Open::Map { entries, key, .. }) = self.open.last_mut() else { return };
        let Some(key) = key.take() else { return };
        let first = entries.iter().find(|(first, _)| first.text == key.text);
        let again = first.map(|(first, said)| {
            (first.span, said.value() == value.value(), key.text.clone(), key.span, value.span)
        });
        entries.push((key, value));
        let Some((first, is_same, name, span, value_span)) = again else { return };
        let message = format!("the key `{name}` is written twice, first in line {}", first.line);
        self.refuse("yaml-duplicate-key", span, &message, "keep one of the two");
        let fix = if is_same { self.line_removed(&name, span, value_span) } else { None };
        let place = Place { source: self.source.to_owned(), span: Some(first), field: None };
        if let Some(found) = self.found.last_mut() {
            found.fix = fix.map(Box::new);
            found.related.push(Related { place, message: "first written here".to_owned() });
        }
    }

    /// Takes away an entry that has a line of its own.
    fn line_removed(&self, name: &str, key: Span, value: Span) -> Option<Fix> {
        let start = self.text[..key.start].rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[key.start..].find('\n').map_or(self.text.len(), |at| key.start + at + 1);
        let alone = self.text[start..key.start].trim().is_empty()
            && (key.end..end).contains(&value.start)
            && value.end <= end
            && self.text[value.start..end].starts_with(|first: char| !"|>".contains(first))
            && self.text[value.end..end].trim().is_empty();
        let title = format!("remove line {}, which says `{name}` again", key.line);
        let span = Span { start, end, line: key.line, column: 1 };
        alone.then(|| Fix { title, edits: vec![Replacement { span, text: String::new() }] })
    }

    fn push(&mut self, node: Node, scalar_or_collection: bool) {
        if self.at_key() {
            // An alias has been refused already.
            if scalar_or_collection {
                let before = node.span.start.saturating_sub(1)..node.span.start + 1;
                let is_template = self.text.as_bytes().get(before) == Some(b"{{");
                let help = match is_template {
                    true => "use text as the key; what is filled in later stands in quotes: `\"{{ … }}\"`",
                    false => "use text as the key",
                };
                self.refuse("yaml-key", node.span, "a list or mapping is used as a key", help);
            }
            return self.key_placeholder(node.span);
        }
        match self.open.last_mut() {
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { .. }) => self.entry(node),
            None => self.root = Some(node),
        }
    }

    /// Stands for a key that has been refused, and is like no other.
    fn key_placeholder(&mut self, span: Span) {
        self.key(format!("\0{}", span.start), span);
    }

    fn refuse_decoration(&mut self, span: Span, anchor: usize, tagged: bool) {
        if anchor != 0 {
            self.refuse("yaml-alias", span, "this value has an anchor", "remove `&…`, and write values out");
        }
        if tagged {
            self.refuse(
                "yaml-tag",
                span,
                "this value has a tag",
                "remove `!…`: types come from the definitions",
            );
        }
    }

    fn refuse(&mut self, code: &'static str, span: Span, message: &str, help: &str) {
        let line =
            self.text.get(span.start..span.end).and_then(|shown| shown.split('\n').next()).unwrap_or("");
        let span = broken::inside(self.text, Span { end: span.start + line.trim_end().len(), ..span });
        let place = Place { source: self.source.to_owned(), span: Some(span), field: None };
        self.found.push(Diagnostic::error(code, place, message).help(help));
    }

    fn span(&self, span: saphyr_parser::Span) -> Span {
        let byte = |index: usize| match &self.offsets {
            Some(offsets) => offsets.get(index).copied().unwrap_or(self.text.len()),
            None => index.min(self.text.len()),
        };
        let start = byte(span.start.index());
        Span {
            start,
            end: byte(span.end.index()).max(start),
            line: span.start.line().max(1),
            column: span.start.col() + 1,
        }
    }
}

/// A collection reaches to its bracket or, without one, to the end of its last value.
fn until(start: Span, end: Span, last: Option<Span>) -> Span {
    let bracket = (end.end > end.start).then_some(end.end);
    let end = bracket.or(last.map(|last| last.end)).unwrap_or(start.end);
    Span { end: end.max(start.end), ..start }
}

/// The value of a plain scalar by YAML 1.2's core schema; none for numbers that JSON cannot hold.
/// Digits after a leading zero stay text: they are account numbers and post codes.
pub(super) fn plain_value(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Value::Null),
        "true" | "True" | "TRUE" => return Some(true.into()),
        "false" | "False" | "FALSE" => return Some(false.into()),
        _ => {}
    }
    // Nearly all is text, which its first letter tells.
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return Some(text.into());
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return None;
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            return u64::from_str_radix(digits, radix).ok().map(Value::from);
        }
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let padded = unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit();
    if padded {
        return Some(text.into());
    }
    if digits(unsigned) {
        let number = text.strip_prefix('+').unwrap_or(text);
        return number
            .parse::<i64>()
            .map(Value::from)
            .or_else(|_| number.parse::<u64>().map(Value::from))
            .ok();
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_float = (digits(whole) && (fraction.is_empty() || digits(fraction))
        || whole.is_empty() && digits(fraction))
        && digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    if !is_float {
        return Some(text.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64).map(Value::Number)
}

impl Document {
    /// What it says.
    pub fn value(&self) -> Value {
        self.root.value()
    }

    /// What it says, key by key, without where anything stands; none if it is no mapping.
    fn into_entries(self) -> Option<Vec<(String, Value)>> {
        match self.root.kind {
            Kind::Map(entries) => {
                Some(entries.into_iter().map(|(key, node)| (key.text, node.into_value())).collect())
            }
            Kind::Scalar(_) | Kind::List(_) => None,
        }
    }

    /// Where the value at this path stands; of the nearest value around it if there is none.
    /// A value of several lines is shown by its key.
    pub fn place(&self, path: &[Segment]) -> Place {
        let mut node = &self.root;
        let mut key = None;
        for segment in path {
            match node.child(segment) {
                Some((child_key, child)) => (key, node) = (child_key, child),
                None => break,
            }
        }
        self.at(path, node.shown(key, &self.text))
    }

    /// Where the key of the value at this path stands.
    pub fn place_of_key(&self, path: &[Segment]) -> Place {
        let Some((last, parents)) = path.split_last() else { return self.place(path) };
        match self.node(parents).and_then(|parent| parent.child(last)) {
            Some((Some(key), _)) => self.at(path, key.span),
            _ => self.place(path),
        }
    }

    /// The value at this path as it is written, if it is one of a single line.
    pub(super) fn written(&self, path: &[Segment]) -> Option<(Span, &str)> {
        let node = self.node(path)?;
        let text = self.text.get(node.span.start..node.span.end)?.trim_end();
        let plain = matches!(node.kind, Kind::Scalar(_)) && !text.is_empty() && !text.contains('\n');
        plain.then_some((Span { end: node.span.start + text.len(), ..node.span }, text))
    }

    /// The key of the value at this path as it is written.
    pub(super) fn written_key(&self, path: &[Segment]) -> Option<(Span, &str)> {
        let (last, parents) = path.split_last()?;
        let (key, _) = self.node(parents)?.child(last)?;
        let span = key?.span;
        let text = self.text.get(span.start..span.end)?.trim_end();
        (!text.contains('\n')).then_some((Span { end: span.start + text.len(), ..span }, text))
    }

    /// Whether there is a value at this path.
    pub(super) fn has(&self, path: &[Segment]) -> bool {
        self.node(path).is_some()
    }

    fn node(&self, path: &[Segment]) -> Option<&Node> {
        path.iter().try_fold(&self.root, |node, segment| Some(node.child(segment)?.1))
    }

    fn at(&self, path: &[Segment], span: Span) -> Place {
        let field = (!path.is_empty()).then(|| field_name(path));
        Place { source: self.source.clone(), span: Some(broken::inside(&self.text, span)), field }
    }
}

impl Node {
    fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Self::value).collect(),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|(key, node)| (key.text.clone(), node.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    fn into_value(self) -> Value {
        match self.kind {
            Kind::Scalar(value) => value,
            Kind::List(items) => items.into_iter().map(Self::into_value).collect(),
            Kind::Map(entries) => Value::Object(
                entries.into_iter().map(|(key, node)| (key.text, node.into_value())).collect::<Map<_, _>>(),
            ),
        }
    }

    fn child(&self, segment: &Segment) -> Option<(Option<&Key>, &Self)> {
        match (&self.kind, segment) {
            (Kind::Map(entries), Segment::Key(wanted)) => {
                entries.iter().find(|(key, _)| key.text == *wanted).map(|(key, node)| (Some(key), node))
            }
            (Kind::List(items), Segment::Index(index)) => items.get(*index).map(|node| (None, node)),
            _ => None,
        }
    }

    /// What to point at for this value: itself if it is in one line, else its key or its first part.
    fn shown(&self, key: Option<&Key>, text: &str) -> Span {
        let written = text.get(self.span.start..self.span.end).unwrap_or("");
        let first_line = written.split('\n').next().unwrap_or("").trim_end();
        if !written.is_empty() && first_line.len() == written.trim_end().len() {
            return Span { end: self.span.start + first_line.len(), ..self.span };
        }
        let first = match &self.kind {
            Kind::List(items) => items.first().map(|node| node.shown(None, text)),
            Kind::Map(entries) => entries.first().map(|(key, _)| key.span),
            Kind::Scalar(Value::Null) => None,
            Kind::Scalar(_) => Some(Span { end: self.span.start + first_line.len(), ..self.span }),
        };
        match (&self.kind, key, first) {
            (Kind::Scalar(_), _, Some(first)) | (_, None, Some(first)) => first,
            (_, Some(key), _) => key.span,
            (_, None, None) => self.span,
        }
    }
}

#[cfg(test)]
mod tests;
