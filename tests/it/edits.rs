//! Setting a value inside a file leaves everything else byte for byte, whatever the file's layout.
//!
//! Files are generated with every layout that people use; a parser that the product does not use for
//! edits then says what the new file means.

use chandlery::{
    domain::{DocumentPlace, EditTarget, RepoPath},
    render::edit,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// A value and where it stands in the generated text.
#[derive(Debug, Clone)]
struct Written {
    /// Behind the `:` or `-` before it.
    from: usize,
    /// Behind its last byte.
    to: usize,
    /// How it is reached.
    at: String,
    value: Value,
}

/// Writes a value in a layout that a stream of choices decides.
struct Writer {
    text: String,
    choices: Vec<u8>,
    next: usize,
    json: bool,
    newline: &'static str,
    written: Vec<Written>,
}

impl Writer {
    fn choose(&mut self, of: usize) -> usize {
        self.next += 1;
        usize::from(self.choices[self.next % self.choices.len()]).wrapping_add(self.next) % of
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.choose(of.len())]
    }

    fn put(&mut self, text: &str) {
        self.text.push_str(text);
    }

    fn line(&mut self) {
        let newline = self.newline;
        self.put(newline);
    }

    fn gap(&mut self) {
        let gap =
            if self.json { self.pick(&["", " ", "\t", "\n  ", "\r\n"]) } else { self.pick(&["", " ", "  "]) };
        self.put(gap);
    }

    fn quoted(&mut self, text: &str) {
        let quoted = Value::from(text).to_string();
        self.put(&quoted.replace('\u{7f}', "\\u007f").replace('\u{feff}', "\\ufeff"));
    }

    fn key(&mut self, key: &str) {
        if self.json || self.choose(4) == 0 || !key.chars().all(|c| c.is_ascii_alphanumeric()) {
            self.quoted(key);
        } else {
            self.put(key);
        }
    }

    fn scalar(&mut self, value: &Value) {
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_lowercase()) && text.len() > 4;
        match value {
            Value::String(text) if self.json => self.quoted(text),
            Value::String(text) => match self.choose(3) {
                0 if plain(text) => self.put(text),
                1 if !text.contains(|c: char| c.is_control() || c == '\u{feff}') => {
                    self.put(&format!("'{}'", text.replace('\'', "''")));
                }
                _ => self.quoted(text),
            },
            Value::Null if !self.json => {
                let null = self.pick(&["null", "~"]);
                self.put(null);
            }
            other => self.put(&other.to_string()),
        }
    }

    fn flow(&mut self, value: &Value, at: &str) {
        match value {
            Value::Object(fields) => {
                self.put("{");
                self.gap();
                for (index, (key, field)) in fields.iter().enumerate() {
                    if index > 0 {
                        self.put(",");
                        self.gap();
                    }
                    self.key(key);
                    self.put(":");
                    let from = self.text.len();
                    self.put(" ");
                    self.node_in_flow(from, field, &below(at, key));
                    self.gap();
                }
                self.put("}");
            }
            Value::Array(items) => {
                self.put("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.put(",");
                    }
                    self.gap();
                    let from = self.text.len();
                    self.node_in_flow(from, item, &format!("{at}[{index}]"));
                    self.gap();
                }
                self.put("]");
            }
            scalar => self.scalar(scalar),
        }
    }

    fn node_in_flow(&mut self, from: usize, value: &Value, at: &str) {
        self.flow(value, at);
        self.written.push(Written { from, to: self.text.len(), at: at.to_owned(), value: value.clone() });
    }

    /// The rest of a line: a comment, perhaps, and perhaps lines that mean nothing.
    fn end_of_line(&mut self) {
        let comment = self.pick(&["", "", " # kept: [yes]", "  # 'ö'", "   "]);
        self.put(comment);
        self.line();
        match self.choose(6) {
            0 => self.line(),
            1 => {
                self.put("# between | these > lines");
                self.line();
            }
            _ => {}
        }
    }

    /// What follows `key:` or `-`, with the end of its line.
    fn block_value(&mut self, value: &Value, indent: usize, at: &str) {
        let from = self.text.len();
        match value {
            Value::Object(fields) if !fields.is_empty() && self.choose(3) > 0 => {
                self.end_of_line();
                let indent = indent + 2 * (1 + self.choose(2));
                self.block_map(fields, indent, at);
            }
            Value::Array(items) if !items.is_empty() && self.choose(3) > 0 => {
                self.end_of_line();
                let indent = indent + 2 * (1 + self.choose(2));
                self.block_list(items, indent, at);
            }
            Value::String(text) if is_block_text(text) && self.choose(2) == 0 => {
                let header = self.pick(&["|", "|+", ">"]);
                self.put(&format!(" {header}"));
                self.line();
                let separator = if header == ">" { 2 } else { 1 };
                for line in text.lines() {
                    self.put(&format!("{}{line}", " ".repeat(indent + 3)));
                    for _ in 0..separator {
                        self.line();
                    }
                }
                let end = self.text.trim_end().len();
                // `>` wrote an empty line behind the last one; with `|+` there must be none.
                if header == ">" {
                    self.text.truncate(end);
                    self.line();
                }
            }
            Value::Null if self.choose(2) == 0 => {
                self.written.push(Written { from, to: from, at: at.to_owned(), value: Value::Null });
                self.end_of_line();
                return;
            }
            other => {
                let space = self.pick(&[" ", "  "]);
                self.put(space);
                self.flow(other, at);
                self.written.push(Written {
                    from,
                    to: self.text.len(),
                    at: at.to_owned(),
                    value: other.clone(),
                });
                self.end_of_line();
                return;
            }
        }
        let ends: Vec<_> = self
            .written
            .iter()
            .filter(|inner| inner.at.starts_with(at) && inner.from > from)
            .map(|inner| inner.to)
            .collect();
        let to = ends.into_iter().max().unwrap_or_else(|| self.text.trim_end().len());
        self.written.push(Written { from, to, at: at.to_owned(), value: value.clone() });
    }

    fn block_map(&mut self, fields: &Map<String, Value>, indent: usize, at: &str) {
        for (key, field) in fields {
            self.put(&" ".repeat(indent));
            self.key(key);
            self.put(":");
            self.block_value(field, indent, &below(at, key));
        }
    }

    fn block_list(&mut self, items: &[Value], indent: usize, at: &str) {
        for (index, item) in items.iter().enumerate() {
            self.put(&" ".repeat(indent));
            self.put("-");
            self.block_value(item, indent, &format!("{at}[{index}]"));
        }
    }
}

fn is_block_text(text: &str) -> bool {
    text.ends_with('\n')
        && text.lines().all(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()) && line.trim() == line)
}

fn below(at: &str, key: &str) -> String {
    let key = Value::from(key);
    if at.is_empty() { key.to_string() } else { format!("{at}.{key}") }
}

fn scalar() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("gold"),
        Just("plain"),
        Just("yes"),
        Just("no"),
        Just("null"),
        Just("~"),
        Just("1e3"),
        Just("0x1F"),
        Just("012"),
        Just("- a"),
        Just("a: b"),
        Just("a #b"),
        Just("# x"),
        Just("@x"),
        Just("---"),
        Just(".inf"),
        Just(""),
        Just(" lead"),
        Just("trail "),
        Just("it's \"x\""),
        Just("one\ntwo\n"),
        Just("one\ntwo"),
        Just("tab\there"),
        Just("\u{2028}"),
        Just("ö & 日本"),
        Just("[a]"),
        Just("{a: b}"),
        Just("a,b"),
        Just("*x"),
        Just("&x"),
        Just("!t"),
        Just("%d"),
        Just("|"),
        Just(">"),
        Just("a\r\nb"),
        Just("\u{7f}"),
        Just("\u{feff}"),
        Just("1:30"),
        Just("2026-11-23"),
        Just("back\\slash"),
        Just("{{ x }}"),
        Just("<<"),
        Just("=\u{0}"),
        Just("  \n x"),
    ];
    prop_oneof![
        4 => text.prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        2 => any::<i32>().prop_map(Value::from),
        1 => (-1000..1000_i32).prop_map(|number| Value::from(f64::from(number) / 8.0)),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        Just("a"),
        Just("b"),
        Just("name"),
        Just("with.dot"),
        Just("with space"),
        Just("no"),
        Just("ö")
    ];
    scalar().prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|fields| Value::Object(
                fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

fn document() -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((prop_oneof![Just("spec"), Just("a"), Just("metadata"), Just("x")], tree()), 1..4)
        .prop_map(|fields| fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

fn write(fields: &Map<String, Value>, choices: Vec<u8>, json: bool, crlf: bool) -> (String, Vec<Written>) {
    let newline = if crlf && !json { "\r\n" } else { "\n" };
    let mut writer = Writer { text: String::new(), choices, next: 0, json, newline, written: Vec::new() };
    if json {
        writer.flow(&Value::Object(fields.clone()), "");
    } else {
        writer.put("# Written by people: ö");
        writer.line();
        writer.block_map(fields, 0, "");
        writer.put("# the end");
        writer.line();
    }
    (writer.text, writer.written)
}

fn read(text: &str, json: bool) -> Value {
    if json {
        serde_json::from_str(text).unwrap()
    } else {
        serde_yaml::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }
}

/// Puts a value where `at` says; the places of this test are keys in quotes and positions.
fn put(value: &mut Value, at: &str, new: Value) {
    let mut here = value;
    let mut rest = at;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        if let Some(inside) = rest.strip_prefix('[') {
            let (index, after) = inside.split_once(']').unwrap();
            here = &mut here[index.parse::<usize>().unwrap()];
            rest = after;
        } else {
            let end = rest[1..].find('"').unwrap() + 2;
            let key: String = serde_json::from_str(&rest[..end]).unwrap();
            here = &mut here[key];
            rest = &rest[end..];
        }
    }
    *here = new;
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(3000) })]

    #[test]
    fn everything_outside_a_changed_value_survives(
        fields in document(), choices in prop::collection::vec(any::<u8>(), 16..64), json in any::<bool>(), crlf in any::<bool>(),
        which in any::<prop::sample::Index>(), new in tree(),
    ) {
        let (old, written) = write(&fields, choices, json, crlf);
        let before = read(&old, json);
        prop_assert_eq!(&before, &Value::Object(fields.clone()), "the generator is wrong:\n{}", old);
        let Written { from, to, at, value } = which.get(&written).clone();
        let path: RepoPath = if json { "a.json" } else { "a.yaml" }.parse().unwrap();
        let result = edit::set(&path, old.as_bytes(), &EditTarget::At(DocumentPlace { at: at.clone(), document: 0 }), &new);
        let changed = String::from_utf8(result.unwrap_or_else(|problem| panic!("{at} = {new}: {problem:?}\n{old}"))).unwrap();
        if value == new {
            prop_assert_eq!(&changed, &old);
        }
        prop_assert!(changed.starts_with(&old[..from]), "{} = {}\n{}\n=>\n{}", at, new, old, changed);
        prop_assert!(changed.ends_with(&old[to..]), "{} = {}\n{}\n=>\n{}", at, new, old, changed);
        let mut intended = before;
        put(&mut intended, &at, new.clone());
        prop_assert_eq!(read(&changed, json), intended, "{} = {}\n{}\n=>\n{}", at, new, old, changed);
    }

    #[test]
    fn a_new_key_is_one_insertion(
        fields in document(), choices in prop::collection::vec(any::<u8>(), 16..64), json in any::<bool>(), crlf in any::<bool>(),
        which in any::<prop::sample::Index>(), new in tree(),
    ) {
        let (old, mut written) = write(&fields, choices, json, crlf);
        written.retain(|written| written.value.as_object().is_some_and(|fields| !fields.is_empty()));
        let at = if written.is_empty() { String::new() } else { which.get(&written).at.clone() };
        let at = below(&at, "new key");
        let path: RepoPath = if json { "a.json" } else { "a.yaml" }.parse().unwrap();
        let result = edit::set(&path, old.as_bytes(), &EditTarget::At(DocumentPlace { at: at.clone(), document: 0 }), &new);
        let changed = String::from_utf8(result.unwrap_or_else(|problem| panic!("{at} = {new}: {problem:?}\n{old}"))).unwrap();
        let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
        let front = same(&mut old.bytes().zip(changed.bytes()));
        let back = same(&mut old.bytes().rev().zip(changed.bytes().rev()));
        prop_assert!(front + back >= old.len(), "{} = {}\n{}\n=>\n{}", at, new, old, changed);
        let mut intended = read(&old, json);
        put(&mut intended, &at, new.clone());
        prop_assert_eq!(read(&changed, json), intended, "{} = {}\n{}\n=>\n{}", at, new, old, changed);
    }

    #[test]
    fn an_entity_gets_exactly_its_patch(
        properties in tree(), choices in prop::collection::vec(any::<u8>(), 16..64), crlf in any::<bool>(), patch in tree(),
    ) {
        let fields = json!({ "identifier": "x", "properties": properties, "relations": { "a": "b" } });
        let (old, _) = write(fields.as_object().unwrap(), choices, false, crlf);
        let patch = json!({ "properties": patch, "title": "T", "relations": { "a": null, "c": ["d"] } });
        let path: RepoPath = "entities/s/x.yaml".parse().unwrap();
        let changed = edit::merge_entity(&path, old.as_bytes(), patch.as_object().unwrap())
            .unwrap_or_else(|problem| panic!("{patch}: {problem:?}\n{old}"));
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(read(&changed, false), merged(fields, &patch), "{}\n{}\n=>\n{}", patch, old, changed);
        prop_assert!(changed.starts_with("# Written by people: ö") && changed.contains("# the end"));
    }
}

/// RFC 7386, as it is printed there.
fn merged(target: Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut fields = if let Value::Object(fields) = target { fields } else { Map::new() };
    for (key, value) in patch {
        if value.is_null() {
            fields.shift_remove(key);
        } else {
            let old = fields.get(key).cloned().unwrap_or(Value::Null);
            fields.insert(key.clone(), merged(old, value));
        }
    }
    Value::Object(fields)
}
