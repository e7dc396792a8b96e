//! How is a value written? So that every reader of YAML 1.1, 1.2 or JSON gets the same value back.

use serde_json::{Map, Value};

use super::tree;

/// A collection of plain values up to this width stays on one line.
const WIDTH: usize = 90;

/// How lines are written.
#[derive(Debug, Clone, Copy)]
pub(in crate::render) struct Layout {
    /// What ends them.
    pub(in crate::render) newline: &'static str,
    /// Whether a text of several lines may be a literal block: not where a comment follows the value.
    pub(in crate::render) literals: bool,
}

/// JSON on one line, with a space after each comma and colon.
pub(in crate::render) fn json(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| format!("{}: {}", quoted(key), json(value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The text in double quotes, with escapes that JSON, YAML and HCL read alike.
pub(in crate::render) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A text as a YAML scalar on one line: plain where no reader could take it for something else.
pub(in crate::render) fn yaml_scalar(text: &str, flow: bool) -> String {
    if is_plain(text, flow) { text.to_owned() } else { quoted(text) }
}

fn is_plain(text: &str, flow: bool) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    let starts_well = text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '/');
    let characters =
        text.chars().all(|c| c.is_alphanumeric() || " _-./@+()=:".contains(c) || (c == ',' && !flow));
    starts_well
        && characters
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && text.len() <= 1000
        && !WORDS.contains(&text.to_lowercase().as_str())
        && tree::resolve(text).is_string()
}

/// The value as YAML on one line.
pub(in crate::render) fn flow(value: &Value) -> String {
    match value {
        Value::String(text) => yaml_scalar(text, true),
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(key, value)| format!("{}: {}", yaml_scalar(key, true), flow(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// What follows `key:` in a block mapping whose keys have this indentation: on the same line where it is short.
pub(in crate::render) fn after_key(value: &Value, indent: usize, layout: Layout) -> String {
    let one_line = match value {
        Value::String(text) => {
            let literal = literal(text, indent, layout.newline).filter(|_| layout.literals);
            return format!(" {}", literal.unwrap_or_else(|| yaml_scalar(text, false)));
        }
        Value::Array(items) => items.is_empty() || items.iter().all(is_short),
        Value::Object(fields) => {
            fields.is_empty() || fields.values().all(|value| is_short(value) || is_short_list(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    };
    let line = flow(value);
    if one_line && line.len() + indent <= WIDTH {
        return format!(" {line}");
    }
    format!("{}{}", layout.newline, block(value, indent + 2, layout))
}

fn is_short(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => !text.contains('\n'),
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn is_short_list(value: &Value) -> bool {
    matches!(value, Value::Array(items) if items.iter().all(is_short))
}

/// The value on lines of its own, each indented, without a newline at the end. Anything without parts is one line.
pub(in crate::render) fn block(value: &Value, indent: usize, layout: Layout) -> String {
    let space = " ".repeat(indent);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let lines = fields.iter().map(|(key, value)| {
                format!("{space}{}:{}", yaml_scalar(key, false), after_key(value, indent, layout))
            });
            lines.collect::<Vec<_>>().join(layout.newline)
        }
        Value::Array(items) if !items.is_empty() => {
            let lines = items.iter().map(|item| match item {
                Value::Object(fields) if !fields.is_empty() => {
                    let inner = block(item, indent + 2, layout);
                    format!("{space}- {}", inner.trim_start_matches(' '))
                }
                Value::Array(_) | Value::Object(_) => format!("{space}- {}", flow(item)),
                Value::String(text) => format!("{space}- {}", yaml_scalar(text, false)),
                Value::Null | Value::Bool(_) | Value::Number(_) => format!("{space}- {item}"),
            });
            lines.collect::<Vec<_>>().join(layout.newline)
        }
        Value::String(text) => format!("{space}{}", yaml_scalar(text, false)),
        _ => format!("{space}{}", flow(value)),
    }
}

/// A text of several lines as a literal block, where nothing in it would be lost.
pub(in crate::render) fn literal(text: &str, indent: usize, newline: &str) -> Option<String> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let printable = |c: char| {
        (c == '\n' || !c.is_control())
            && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    let fits = body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with(['\n', ' '])
        && text.chars().all(printable)
        && body.lines().all(|line| !line.trim().is_empty() || line.is_empty());
    fits.then(|| {
        let header = if text.ends_with('\n') { "|" } else { "|-" };
        let space = " ".repeat(indent + 2);
        body.split('\n').fold(header.to_owned(), |mut written, line| {
            written.push_str(newline);
            if !line.is_empty() {
                written.push_str(&space);
                written.push_str(line);
            }
            written
        })
    })
}

/// A whole YAML document: each field on a line of its own.
pub(super) fn document(fields: &Map<String, Value>) -> String {
    format!("{}\n", block(&Value::Object(fields.clone()), 0, Layout { newline: "\n", literals: true }))
}
