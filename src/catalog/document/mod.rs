//! What may each kind of document say?
//!
//! One documented struct a kind. Its JSON Schema, made from the struct, judges the whole document
//! at once; then serde reads what is known to be good; then it becomes a noun of the domain, and
//! what only the domain knows (names, limits that contradict each other) is judged on the way.

pub(super) mod settings;
mod sink;
pub(super) mod property;
pub(super) mod blueprint;
pub(super) mod input;
pub(super) mod form;
pub(super) mod step;
pub(super) mod action;
pub(super) mod template;
pub(super) mod entity;
pub(super) mod request;
mod rule;
pub(super) mod case;
pub(super) mod query;
pub(super) mod scorecard;
pub(super) mod policy;

use std::{collections::BTreeMap, str::FromStr, sync::OnceLock};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    judged, mend,
    values::{Schema, Segment, Wrong, field_name},
    yaml::{self, Document},
};
use crate::domain::{Diagnostic, InvalidId};

/// A kind of document.
pub(super) trait Kind: JsonSchema + DeserializeOwned {
    /// The word for it, which names its schema's file too.
    const NAME: &'static str;

    /// Whether a catalog has few of them, which are read again and again.
    const IS_DEFINITION: bool;

    /// Its schema, compiled once.
    fn schema() -> &'static Schema;
}

/// Ties a struct to its name and its one compiled schema.
macro_rules! kind {
    ($document:ty, $name:literal, definition: $is_definition:literal) => {
        impl $crate::catalog::document::Kind for $document {
            const NAME: &'static str = $name;
            const IS_DEFINITION: bool = $is_definition;

            fn schema() -> &'static $crate::catalog::values::Schema {
                static SCHEMA: std::sync::OnceLock<$crate::catalog::values::Schema> =
                    std::sync::OnceLock::new();
                $crate::catalog::document::compiled::<Self>(&SCHEMA)
            }
        }
    };
}
use kind;

fn compiled<T: Kind>(kept: &'static OnceLock<Schema>) -> &'static Schema {
    kept.get_or_init(|| Schema::compile(schema_of::<T>()).expect("our own schemas are schemas"))
}

/// The JSON Schema of each kind of document, by name.
pub fn schemas() -> BTreeMap<&'static str, Value> {
    fn one<T: Kind>() -> (&'static str, Value) {
        (T::NAME, schema_of::<T>())
    }
    BTreeMap::from([
        one::<settings::SettingsDocument>(),
        one::<blueprint::BlueprintDocument>(),
        one::<action::ActionDocument>(),
        one::<template::TemplateDocument>(),
        one::<entity::EntityDocument>(),
        one::<request::RequestDocument>(),
        one::<case::CaseDocument>(),
        one::<scorecard::ScorecardDocument>(),
        one::<policy::PolicyDocument>(),
        one::<policy::case::PolicyCaseDocument>(),
    ])
}

fn schema_of<T: Kind>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    without_widths(&mut schema);
    schema
}

/// JSON has no `uint32`; the limits that go with such a format say the same.
fn without_widths(schema: &mut Value) {
    match schema {
        Value::Object(entries) => {
            let width =
                |format: &str| ["uint", "int", "float", "double"].iter().any(|kind| format.starts_with(kind));
            if entries.get("format").and_then(Value::as_str).is_some_and(width) {
                entries.shift_remove("format");
            }
            entries.values_mut().for_each(without_widths);
        }
        Value::Array(items) => items.iter_mut().for_each(without_widths),
        _ => {}
    }
}

/// A schema written by hand: a text or a list of texts.
fn text_or_list(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let schema = json!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" } },
        { "type": "null" },
    ]});
    schema.try_into().unwrap_or_default()
}

/// A document on its way into the domain.
pub(super) struct Reader {
    /// Where everything stands.
    pub(super) document: Document,
    /// What it says.
    pub(super) value: Value,
    /// What is wrong with it, so far.
    pub(super) found: Vec<Diagnostic>,
    /// Whether something was left out to read on, so that what is missing may not be.
    left_out: LeftOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum LeftOut {
    Nothing,
    /// Keys of the whole document.
    Fields,
    /// Something further inside, where names are defined.
    Definitions,
}

/// Reads a document of one kind. Where mistakes of form can be left out, the rest is read all the
/// same, so that its mistakes are told too: the reader has found something then.
pub(super) fn read<T: Kind>(source: &str, bytes: &[u8]) -> Result<(T, Reader), Vec<Diagnostic>> {
    let document = yaml::parse(source, bytes)?;
    let value = document.value();
    let mut reader = Reader { document, value, found: Vec::new(), left_out: LeftOut::Nothing };
    let mut pruned = reader.value.clone();
    let mut left_out = LeftOut::Nothing;
    let digest = T::IS_DEFINITION.then(|| judged::digest(T::NAME, bytes));
    if !digest.as_ref().is_some_and(judged::is_allowed) {
        for wrong in T::schema().judge(&reader.value) {
            left_out = left_out.max(leave_out(&mut pruned, &wrong));
            reader.wrong(of_another_world(T::NAME, wrong));
        }
        if reader.found.is_empty() {
            digest.into_iter().for_each(judged::note);
        }
    }
    match serde_json::from_value(pruned) {
        Ok(read) => {
            reader.left_out = left_out;
            Ok((read, reader))
        }
        Err(_) if !reader.found.is_empty() => Err(reader.found),
        Err(error) => {
            // Such as `1.0` for a whole number, which a schema allows.
            reader.wrong(Wrong::new("wrong-value", &[], format!("cannot be read: {error}")));
            Err(reader.found)
        }
    }
}

/// Keys that Port knows and a catalog does not, or has elsewhere, with what to do.
const ELSEWHERE: [(&str, &str, &str); 10] = [
    ("blueprint", "properties", "put it below `schema`: `schema: { properties: … }`"),
    ("blueprint", "required", "put it below `schema`: `schema: { required: … }`"),
    ("blueprint", "teamInheritance", "write `ownership: { type: Inherited, path: … }`"),
    ("blueprint", "changelogDestination", "remove it: the forge tells of changes by its own webhooks"),
    ("blueprint", "includeInGlobalSearch", "remove it: `chandlery search` looks at everything"),
    ("entity", "scorecards", "remove it: it is computed, and `chandlery scorecard` shows it"),
    ("entity", "createdAt", "remove it: Git's history tells"),
    ("entity", "createdBy", "remove it: Git's history tells"),
    ("entity", "updatedAt", "remove it: Git's history tells"),
    ("entity", "updatedBy", "remove it: Git's history tells"),
];

/// A key at the top of a document that is known from elsewhere, with what to do about that.
fn of_another_world(document: &str, wrong: Wrong) -> Wrong {
    let ("unknown-key", [Segment::Key(key)]) = (wrong.code, &wrong.path[..]) else { return wrong };
    let known = ELSEWHERE.iter().find(|(kind, name, _)| *kind == document && name == key);
    match known.map(|(_, _, help)| *help) {
        Some(help) => Wrong { mend: None, ..wrong.help(help) },
        None => wrong,
    }
}

/// Takes a mistake out of a document: an unknown key, a field of the document, or the whole
/// definition of a property.
fn leave_out(value: &mut Value, wrong: &Wrong) -> LeftOut {
    let definition = wrong.path.iter().position(|segment| *segment == Segment::from("properties"));
    let path = match definition {
        _ if wrong.code == "missing-key" => return LeftOut::Definitions,
        _ if wrong.about_key || wrong.path.len() == 1 => &wrong.path[..],
        Some(at) => wrong.path.get(..at + 2).unwrap_or_default(),
        None => return LeftOut::Definitions,
    };
    let Some((Segment::Key(last), parents)) = path.split_last() else { return LeftOut::Definitions };
    let parent = parents.iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get_mut(key),
        Segment::Index(index) => value.get_mut(index),
    });
    if let Some(entries) = parent.and_then(Value::as_object_mut) {
        entries.shift_remove(last);
    }
    if path.len() == 1 { LeftOut::Fields } else { LeftOut::Definitions }
}

impl Reader {
    /// Notes a mistake at its place, unless it may only be there because of what was left out.
    pub(super) fn wrong(&mut self, wrong: Wrong) {
        let absence =
            ["missing-key", "one-change", "operation-without-change", "nobody-named", "misplaced-key"];
        let absent_name = ["unknown-input", "unknown-property", "unknown-name"];
        let follows = match self.left_out {
            LeftOut::Nothing => false,
            LeftOut::Fields => absence.contains(&wrong.code),
            LeftOut::Definitions => absence.contains(&wrong.code) || absent_name.contains(&wrong.code),
        };
        if follows {
            return;
        }
        let diagnostic = located(&self.document, wrong);
        self.found.push(diagnostic);
    }

    /// A name of some kind, or the mistake in it.
    pub(super) fn name<T: FromStr<Err = InvalidId>>(&mut self, path: &[Segment], text: &str) -> Option<T> {
        match text.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.wrong(
                    Wrong::new(
                        "invalid-name",
                        path,
                        format!("must be {}, and is `{}`", error.what, error.text),
                    )
                    .help(error.rule),
                );
                None
            }
        }
    }

    /// Names of some kind in a list.
    pub(super) fn names<T: FromStr<Err = InvalidId>>(
        &mut self,
        path: &[Segment],
        texts: &[String],
    ) -> Vec<T> {
        let one = |(index, text): (usize, &String)| self.name(&join(path, index), text);
        texts.iter().enumerate().filter_map(one).collect()
    }

    /// The keys at this path in the order written.
    pub(super) fn keys(&self, path: &[Segment]) -> Vec<String> {
        self.mapping(path).keys().cloned().collect()
    }

    /// The mapping at this path as written.
    pub(super) fn mapping(&self, path: &[Segment]) -> Map<String, Value> {
        let found = path.iter().try_fold(&self.value, |value, segment| match segment {
            Segment::Key(key) => value.get(key),
            Segment::Index(index) => value.get(index),
        });
        found.and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// The result, if nothing was wrong.
    pub(super) fn finish<T>(self, made: Option<T>) -> Result<T, Vec<Diagnostic>> {
        match made {
            Some(made) if self.found.is_empty() => Ok(made),
            _ => Err(self.found),
        }
    }
}

/// A mistake in a document, with its place.
pub(super) fn located(document: &Document, wrong: Wrong) -> Diagnostic {
    let place =
        if wrong.about_key { document.place_of_key(&wrong.path) } else { document.place(&wrong.path) };
    let subject = field_name(&wrong.path);
    let fix = wrong.mend.as_ref().and_then(|mend| mend::fix(document, &wrong.path, mend));
    wrong.at(place, &subject).fix(fix)
}

/// A longer path.
pub(super) fn join(path: &[Segment], step: impl Into<Segment>) -> Vec<Segment> {
    path.iter().cloned().chain([step.into()]).collect()
}

/// Whether a text has to be rendered before it means something.
pub(super) fn is_template(text: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark))
}
