//! Which filters are ours? Those that write a value so that a file's reader gets the same value back.

use minijinja::{Environment, Error, ErrorKind, Value};
use serde_json::Value as Json;

use crate::{domain::Identifier, render::edit::write};

/// Adds our filters.
pub(super) fn add(environment: &mut Environment<'_>) {
    environment.add_filter("tojson", |value: Value| json(&value).map(Value::from_safe_string));
    environment.add_filter("yaml", |value: Value| {
        Ok::<_, Error>(Value::from_safe_string(match plain(&value)? {
            Json::String(text) => write::yaml_scalar(&text, true),
            other => write::json(&other),
        }))
    });
    environment
        .add_filter("hcl", |value: Value| plain(&value).map(|value| Value::from_safe_string(hcl(&value))));
    environment.add_filter("slug", |text: &str| slug(text));
    environment.add_filter("filename", |text: &str| {
        let identifier = text.parse::<Identifier>();
        identifier.map(|identifier| identifier.file_stem()).map_err(|problem| {
            Error::new(ErrorKind::InvalidOperation, "this is no identifier").with_source(problem)
        })
    });
}

fn plain(value: &Value) -> Result<Json, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "this is no plain data").with_source(error))
}

/// The value as JSON on one line.
pub(super) fn json(value: &Value) -> Result<String, Error> {
    plain(value).map(|value| write::json(&value))
}

/// The value as HCL on one line: texts quoted, so that no `${` or `%{` in them is evaluated.
fn hcl(value: &Json) -> String {
    match value {
        // `$${` stands for `${`, but after another `$` readers differ; the letter's number is read alike by all.
        Json::String(text) if text.contains("$${") || text.contains("%%{") => {
            write::quoted(text).replace("${", "\\u0024{").replace("%{", "\\u0025{")
        }
        Json::String(text) => write::quoted(text).replace("${", "$${").replace("%{", "%%{"),
        Json::Array(items) => format!("[{}]", items.iter().map(hcl).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| format!("{} = {}", hcl(&Json::from(key.as_str())), hcl(value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => value.to_string(),
    }
}

/// Lower-case letters, digits and single dashes, for names that machines want.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => slug.push(c),
            'ä' => slug.push_str("ae"),
            'ö' => slug.push_str("oe"),
            'ü' => slug.push_str("ue"),
            'ß' => slug.push_str("ss"),
            _ if slug.is_empty() || slug.ends_with('-') => {}
            _ => slug.push('-'),
        }
    }
    slug.truncate(slug.trim_end_matches('-').len());
    slug
}
