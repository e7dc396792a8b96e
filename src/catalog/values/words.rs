//! How is a value, or its type, called in a sentence?

use jsonschema::JsonType;
use serde_json::Value;

pub(super) fn type_words(kind: JsonType) -> &'static str {
    match kind {
        JsonType::String => "text",
        JsonType::Number => "a number",
        JsonType::Integer => "a whole number",
        JsonType::Boolean => "true or false",
        JsonType::Array => "a list",
        JsonType::Object => "a mapping",
        JsonType::Null => "nothing",
    }
}

pub(in crate::catalog) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "empty".into(),
        Value::Bool(_) => format!("`{value}`"),
        Value::Number(_) => format!("the number {value}"),
        Value::String(text) => format!("the text {}", short_quoted(text)),
        Value::Array(_) => "a list".into(),
        Value::Object(_) => "a mapping".into(),
    }
}

pub(in crate::catalog) fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(in crate::catalog) fn show(value: &Value) -> String {
    format!("`{}`", short(&bare(value)))
}

pub(super) fn short_quoted(text: &str) -> String {
    format!("`{}`", short(text))
}

/// The beginning of a text, in one line.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 60;
    let line = text.replace(['\n', '\r'], "↵");
    if line.chars().count() <= MAX { line } else { line.chars().take(MAX).chain(['…']).collect() }
}

pub(super) fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

pub(super) fn length(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(entries) => entries.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}
