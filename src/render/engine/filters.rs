//! Which filters are ours? Those that write a value so that a file's reader gets the same value back.

use minijinja::{Environment, Error, ErrorKind, State, Value, value::ValueKind};
use serde_json::Value as Json;

use super::marks::{self, Quoting};
use crate::{
    domain::Identifier,
    render::{edit::write, quote},
};

/// Adds our filters; `marked` has them mark what they give.
pub(super) fn add(environment: &mut Environment<'_>, marked: bool) {
    // Jinja's own word for "I answer for it" means HTML.
    environment.remove_filter("safe");
    let mut quoting = |name: &'static str, by: Quoting, write: fn(&Json) -> Result<String, &'static str>| {
        environment.add_filter(name, move |state: &State, value: Value| {
            let text =
                write(&plain(state, &value)?).map_err(|why| Error::new(ErrorKind::InvalidOperation, why))?;
            Ok::<_, Error>(Value::from(if marked { marks::quoted(by, &text) } else { text }))
        });
    };
    quoting("json", Quoting::Json, |value| Ok(write::json(value)));
    quoting("tojson", Quoting::Json, |value| Ok(write::json(value)));
    quoting("yaml", Quoting::Yaml, |value| {
        Ok(match value {
            Json::String(text) => write::yaml_scalar(text, true),
            other => write::json(other),
        })
    });
    quoting("hcl", Quoting::Hcl, |value| Ok(quote::hcl(value)));
    quoting("toml", Quoting::Toml, quote::toml);
    quoting("raw", Quoting::Raw, |value| {
        Ok(match value {
            Json::String(text) => text.clone(),
            other => write::json(other),
        })
    });
    environment.add_filter("shell", |state: &State, value: Value| {
        quote::shell(&plain(state, &value)?).map_err(|why| Error::new(ErrorKind::InvalidOperation, why))
    });
    environment.add_filter("regex", |text: &str| regex::escape(text));
    environment.add_filter("slug", |text: &str| slug(text));
    environment.add_filter("filename", |text: &str| {
        let identifier = text.parse::<Identifier>();
        identifier.map(|identifier| identifier.file_stem()).map_err(|problem| {
            Error::new(ErrorKind::InvalidOperation, "this is no identifier").with_source(problem)
        })
    });
}

fn plain(state: &State, value: &Value) -> Result<Json, Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    pay(state, value)?;
    serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::BadSerialization, "this is no plain data").with_source(error))
}

/// Takes fuel for all that a value comes to when it is written out: what stands in it often counts each time.
fn pay(state: &State, value: &Value) -> Result<(), Error> {
    state.consume_fuel(1)?;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.try_for_each(|item| pay(state, &item)),
        ValueKind::Map => value.try_iter()?.try_for_each(|key| pay(state, &value.get_item(&key)?)),
        _ => Ok(()),
    }
}

/// The value as JSON on one line.
pub(super) fn json(state: &State, value: &Value) -> Result<String, Error> {
    plain(state, value).map(|value| write::json(&value))
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
