//! What may the definition of a property or an input say?

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Reader, join};
use crate::{
    catalog::values::{Schema, Segment, Wrong, bare, check_value, schema_problem},
    domain::{Format, Property, PropertyType, Spec},
};

/// What a value may be. Properties of blueprints and inputs of actions are defined alike.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PropertyDocument {
    /// Its type.
    #[serde(rename = "type")]
    kind: TypeDocument,
    /// What a text must be beyond being text.
    #[serde(default)]
    #[schemars(schema_with = "formats")]
    format: Option<String>,
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    description: Option<String>,
    /// The name of a picture; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    icon: Option<String>,
    /// What it is when it is not given.
    default: Option<Value>,
    /// The only values that are allowed.
    #[serde(rename = "enum")]
    #[schemars(length(min = 1))]
    choices: Option<Vec<Value>>,
    /// The colours of these values; kept for other programs.
    enum_colors: Option<BTreeMap<String, String>>,
    /// The regular expression that a text must match. It is matched in linear time, so it has no look-around.
    pattern: Option<String>,
    /// The least number of characters.
    min_length: Option<u64>,
    /// The greatest number of characters.
    max_length: Option<u64>,
    /// The least number.
    #[serde(default)]
    #[schemars(schema_with = "number")]
    minimum: Option<Value>,
    /// The greatest number.
    #[serde(default)]
    #[schemars(schema_with = "number")]
    maximum: Option<Value>,
    /// A number must be greater than this.
    #[serde(default)]
    #[schemars(schema_with = "number")]
    exclusive_minimum: Option<Value>,
    /// A number must be less than this.
    #[serde(default)]
    #[schemars(schema_with = "number")]
    exclusive_maximum: Option<Value>,
    /// A number must be a multiple of this.
    #[serde(default)]
    #[schemars(schema_with = "number")]
    multiple_of: Option<Value>,
    /// What each item of a list may be.
    items: Option<Box<Self>>,
    /// The least number of items.
    min_items: Option<u64>,
    /// The greatest number of items.
    max_items: Option<u64>,
    /// Whether no item may come twice.
    unique_items: Option<bool>,
    /// With the format `entity`: the blueprint whose entities may be chosen.
    blueprint: Option<String>,
    /// What the keys of a mapping may hold, as JSON Schema.
    properties: Option<Map<String, Value>>,
    /// What the keys of a mapping that match a regular expression may hold, as JSON Schema.
    pattern_properties: Option<Map<String, Value>>,
    /// Whether a mapping may have other keys, or what they may hold, as JSON Schema.
    #[serde(default)]
    #[schemars(schema_with = "any_schema")]
    additional_properties: Option<Value>,
    /// The keys that a mapping must have.
    required: Option<Vec<String>>,
    /// What kind of specification a URL leads to, or a YAML document is.
    #[serde(default)]
    #[schemars(schema_with = "specs")]
    spec: Option<String>,
    /// With the specification `embedded-url`: how whoever looks at a private page signs in; kept for other programs.
    spec_authentication: Option<SpecAuthenticationDocument>,
    /// How a date is shown; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    date_format: Option<String>,
}

/// How whoever looks at a private page signs in, by OpenID Connect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "read by other programs")]
struct SpecAuthenticationDocument {
    /// The name of the client there.
    client_id: String,
    /// Where people sign in.
    authorization_url: String,
    /// Where tokens are given.
    token_url: String,
    /// What the token is for.
    authorization_scope: Option<Vec<String>>,
}

/// The types.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum TypeDocument {
    String,
    Number,
    Boolean,
    Object,
    Array,
}

impl TypeDocument {
    pub(super) fn into_domain(self) -> PropertyType {
        match self {
            Self::String => PropertyType::String,
            Self::Number => PropertyType::Number,
            Self::Boolean => PropertyType::Boolean,
            Self::Object => PropertyType::Object,
            Self::Array => PropertyType::Array,
        }
    }
}

fn formats(_: &mut SchemaGenerator) -> schemars::Schema {
    let names: Vec<Value> =
        Format::ALL.iter().map(|format| format.name().into()).chain([Value::Null]).collect();
    json!({ "enum": names }).try_into().unwrap_or_default()
}

fn specs(_: &mut SchemaGenerator) -> schemars::Schema {
    let names: Vec<Value> = Spec::ALL.iter().map(|spec| spec.name().into()).chain([Value::Null]).collect();
    json!({ "enum": names }).try_into().unwrap_or_default()
}

fn number(_: &mut SchemaGenerator) -> schemars::Schema {
    json!({ "type": ["number", "null"] }).try_into().unwrap_or_default()
}

fn any_schema(_: &mut SchemaGenerator) -> schemars::Schema {
    json!({ "type": ["boolean", "object", "null"] }).try_into().unwrap_or_default()
}

/// Where a property is defined; some formats only make sense in forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Home {
    Blueprint,
    Action,
}

impl PropertyDocument {
    /// The property, and notes about everything in its definition that contradicts itself.
    pub(super) fn into_domain(self, path: &[Segment], home: Home, reader: &mut Reader) -> Option<Property> {
        let before = reader.found.len();
        let kind = self.kind.into_domain();
        let format = self.format.as_deref().and_then(Format::named);
        if let Some(format) = format {
            check_format(format, kind, home, path, reader);
        }
        let spec = self.spec.as_deref().and_then(Spec::named);
        if let Some(spec) = spec {
            check_spec(spec, format, path, reader);
        }
        if self.spec_authentication.is_some() && spec != Some(Spec::EmbeddedUrl) {
            let wrong = Wrong::new("misplaced-key", &join(path, "specAuthentication"), "has no effect here");
            reader.wrong(wrong.about_key().help("it goes with `spec: embedded-url`"));
        }
        let blueprint = match (self.blueprint, format) {
            (Some(name), Some(Format::Entity)) => reader.name(&join(path, "blueprint"), &name),
            (Some(_), _) => {
                let wrong =
                    Wrong::new("misplaced-key", &join(path, "blueprint"), "has no effect here").about_key();
                reader.wrong(wrong.help("it goes with `format: entity`"));
                None
            }
            (None, Some(Format::Entity)) if home == Home::Action => {
                let wrong = Wrong::new("missing-key", &join(path, "blueprint"), "is missing");
                reader.wrong(wrong.help("say whose entities may be chosen, such as `blueprint: service`"));
                None
            }
            (None, _) => None,
        };
        let of_items = self.items.as_ref().and_then(|items| items.format.as_deref()).and_then(Format::named);
        if of_items == Some(Format::Secret) {
            let wrong = Wrong::new(
                "misplaced-key",
                &join(&join(path, "items"), "format"),
                "is `secret`, which an item of a list cannot have",
            );
            reader.wrong(wrong.help("ask each secret as an input of its own"));
        }
        if format == Some(Format::Secret) && self.choices.is_some() {
            reader.wrong(limited_secret(path, "enum"));
        }
        let items = match self.items {
            Some(items) if kind == PropertyType::Array => {
                items.into_domain(&join(path, "items"), home, reader).map(Box::new)
            }
            Some(_) => {
                reader.wrong(misplaced(path, "items", kind, "array"));
                None
            }
            None => None,
        };
        let keywords = [
            ("pattern", self.pattern.clone().map(Value::from), PropertyType::String),
            ("minLength", self.min_length.map(Value::from), PropertyType::String),
            ("maxLength", self.max_length.map(Value::from), PropertyType::String),
            ("minimum", self.minimum, PropertyType::Number),
            ("maximum", self.maximum, PropertyType::Number),
            ("exclusiveMinimum", self.exclusive_minimum, PropertyType::Number),
            ("exclusiveMaximum", self.exclusive_maximum, PropertyType::Number),
            ("multipleOf", self.multiple_of, PropertyType::Number),
            ("minItems", self.min_items.map(Value::from), PropertyType::Array),
            ("maxItems", self.max_items.map(Value::from), PropertyType::Array),
            ("uniqueItems", self.unique_items.map(Value::from), PropertyType::Array),
            ("properties", self.properties.map(Value::from), PropertyType::Object),
            ("patternProperties", self.pattern_properties.map(Value::from), PropertyType::Object),
            ("additionalProperties", self.additional_properties, PropertyType::Object),
            ("required", self.required.map(Value::from), PropertyType::Object),
        ];
        let mut kept = Map::new();
        for (name, value, wanted) in keywords {
            let Some(value) = value else { continue };
            if wanted != kind {
                reader.wrong(misplaced(path, name, kind, wanted.name()));
            } else if format == Some(Format::LabeledUrl) {
                let wrong =
                    Wrong::new("misplaced-key", &join(path, name), "has no effect on `format: labeled-url`");
                reader.wrong(wrong.about_key().help("remove it: the format says what the mapping holds"));
            }
            if format == Some(Format::Secret) {
                reader.wrong(limited_secret(path, name));
            }
            kept.insert(name.to_owned(), value);
        }
        for (least, most) in [("minLength", "maxLength"), ("minimum", "maximum"), ("minItems", "maxItems")] {
            if let (Some(low), Some(high)) = (kept.get(least), kept.get(most))
                && low.as_f64() > high.as_f64()
            {
                let message = format!("is {low}, which is more than `{most}`, so nothing is allowed");
                reader.wrong(
                    Wrong::new("contradictory-limits", &join(path, least), message).help("swap the two"),
                );
            }
        }
        let property = Property {
            kind,
            format,
            spec,
            title: self.title,
            description: self.description,
            default: None,
            choices: Vec::new(),
            blueprint,
            items,
            keywords: kept,
        };
        // A pattern is made ready with the rest, and looked at alone only where something is wrong.
        let problem = schema_problem(&property);
        if problem.is_some() || reader.found.len() > before {
            if let Some(pattern) = &self.pattern {
                check_pattern(pattern, &join(path, "pattern"), reader);
            }
            if let Some(why) = problem
                && reader.found.len() == before
            {
                let wrong = Wrong::new("invalid-schema", path, format!("is not a JSON Schema: {why}"));
                let help = "it stands on its own: patterns without look-around, no `$ref` to elsewhere";
                reader.wrong(wrong.help(help));
            }
            return None;
        }
        let property = with_examples(property, self.choices, self.default, path, reader);
        check_colors(self.enum_colors.unwrap_or_default().keys(), &property, path, reader);
        (reader.found.len() == before).then_some(property)
    }
}

/// Adds the choices and the default, each judged by what stands before it.
fn with_examples(
    mut property: Property,
    choices: Option<Vec<Value>>,
    default: Option<Value>,
    path: &[Segment],
    reader: &mut Reader,
) -> Property {
    for (index, choice) in choices.iter().flatten().enumerate() {
        for wrong in check_value(&property, choice) {
            let place = join(&join(path, "enum"), index);
            reader.wrong(Wrong { code: "invalid-choice", ..wrong.below(&place) });
        }
    }
    property.choices = choices.unwrap_or_default();
    for wrong in default.iter().flat_map(|default| check_value(&property, default)) {
        let wrong = wrong.below(&join(path, "default"));
        // What may be a secret stays hidden by its code.
        let is_hidden = wrong.code == "secret-in-plain";
        reader.wrong(if is_hidden { wrong } else { Wrong { code: "invalid-default", ..wrong } });
    }
    property.default = default;
    property
}

/// Each colour is of one of the choices. Where these are computed, nothing is known of them.
fn check_colors<'a>(
    names: impl Iterator<Item = &'a String>,
    property: &Property,
    path: &[Segment],
    reader: &mut Reader,
) {
    let known: Vec<String> = property.choices.iter().map(bare).collect();
    for name in names.filter(|name| !known.is_empty() && !known.contains(name)) {
        let place = join(&join(path, "enumColors"), name.as_str());
        let wrong = Wrong::new("not-a-choice", &place, format!("colours `{name}`, which is not in `enum`"));
        reader.wrong(wrong.about_key().did_you_mean(name, known.iter().map(String::as_str)));
    }
}

fn check_format(format: Format, kind: PropertyType, home: Home, path: &[Segment], reader: &mut Reader) {
    let place = join(path, "format");
    let name = format.name();
    let wanted = if format == Format::LabeledUrl { PropertyType::Object } else { PropertyType::String };
    if kind != wanted {
        let wanted = wanted.name();
        let message = format!("is `{name}`, which only `type: {wanted}` can have");
        let wrong = Wrong::new("misplaced-key", &place, message);
        let help = match kind {
            PropertyType::Array => format!("write `items: {{ type: {wanted}, format: {name} }}`"),
            _ => format!("use `type: {wanted}`, or remove the format"),
        };
        reader.wrong(wrong.help(help));
    } else if home == Home::Blueprint
        && matches!(format, Format::Entity | Format::MultiLine | Format::Duration | Format::Secret)
    {
        let wrong = Wrong::new(
            "misplaced-key",
            &place,
            format!("is `{name}`, which only inputs of actions can have"),
        );
        reader.wrong(wrong.help(match format {
            Format::Entity => "use a relation to point at entities",
            Format::Duration => {
                "use `format: timer` for the moment at which an entity expires, or plain text"
            }
            Format::Secret => "keep it out of the catalog: an entity is read by everybody",
            _ => "remove it: every text may have several lines",
        }));
    }
}

/// What is given for a secret is a reference, of which nothing can be asked.
fn limited_secret(path: &[Segment], key: &str) -> Wrong {
    let wrong = Wrong::new("misplaced-key", &join(path, key), "has no effect on `format: secret`");
    wrong.about_key().help("remove it: what is given says where the secret is, and nobody looks at that here")
}

/// A specification is text of its own, or a URL that leads to it.
fn check_spec(spec: Spec, format: Option<Format>, path: &[Segment], reader: &mut Reader) {
    let formats = match spec {
        Spec::OpenApi | Spec::AsyncApi => [Format::Url, Format::Yaml].as_slice(),
        Spec::EmbeddedUrl => &[Format::Url],
    };
    if format.is_none_or(|format| !formats.contains(&format)) {
        let names: Vec<String> =
            formats.iter().map(|format| format!("`format: {}`", format.name())).collect();
        let names = names.join(" or ");
        let message = format!("is `{}`, which goes with {names}", spec.name());
        reader.wrong(Wrong::new("misplaced-key", &join(path, "spec"), message).help(format!("add {names}")));
    }
}

/// Whether a regular expression can be used; people's patterns must not take long to match.
pub(super) fn check_pattern(pattern: &str, path: &[Segment], reader: &mut Reader) {
    if Schema::compile(json!({ "pattern": pattern })).is_ok() {
        return;
    }
    // The validator says no more than that it is no regular expression.
    let why = match regex::Regex::new(pattern) {
        Err(regex::Error::Syntax(why)) => why
            .lines()
            .rfind(|line| line.starts_with("error:"))
            .map(|line| line["error:".len()..].trim().to_owned()),
        Err(regex::Error::CompiledTooBig(_)) => Some("it is too large".to_owned()),
        _ => None,
    };
    let why = why.unwrap_or_else(|| "it cannot be compiled".to_owned());
    let wrong = Wrong::new("invalid-pattern", path, format!("is not a regular expression: {why}"));
    let help = if pattern.contains("(?=") || pattern.contains("(?!") || pattern.contains("(?<") {
        "patterns are matched in linear time: look-around is not known"
    } else {
        "mend it; in YAML a pattern is best put in single quotes"
    };
    reader.wrong(wrong.help(help));
}

fn misplaced(path: &[Segment], key: &str, kind: PropertyType, wanted: &str) -> Wrong {
    let message = format!("has no effect on `type: {}`", kind.name());
    Wrong::new("misplaced-key", &join(path, key), message)
        .about_key()
        .help(format!("remove it, or use `type: {wanted}`"))
}

/// The definitions of a form or a blueprint in the order written.
pub(super) fn properties(
    mut documents: BTreeMap<String, PropertyDocument>,
    path: &[Segment],
    home: Home,
    reader: &mut Reader,
) -> Vec<(String, Property)> {
    let mut made = Vec::new();
    for name in reader.keys(path) {
        let Some(document) = documents.remove(&name) else { continue };
        let place = join(path, name.as_str());
        check_name(&name, &place, reader);
        made.extend(document.into_domain(&place, home, reader).map(|property| (name, property)));
    }
    made
}

/// Names of properties, inputs and relations.
pub(super) fn check_name(name: &str, path: &[Segment], reader: &mut Reader) {
    let fits = (1..=100).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "@_=-".contains(c));
    if !fits {
        let wrong = Wrong::new("invalid-name", path, "is not a name that can be used here").about_key();
        reader.wrong(wrong.help("use letters, digits and @ _ = -, at most 100"));
    }
}

/// Names that must be among those defined beside them.
pub(super) fn check_listed(
    names: &[String],
    known: &[String],
    path: &[Segment],
    code: &'static str,
    reader: &mut Reader,
) {
    for (index, name) in names.iter().enumerate() {
        let place = join(path, index);
        if names[..index].contains(name) {
            reader.wrong(
                Wrong::new("repeated-item", &place, format!("repeats `{name}`"))
                    .help("remove one of the two"),
            );
        } else if !known.contains(name) {
            let wrong = Wrong::new(code, &place, format!("names `{name}`, which is not defined"));
            reader.wrong(wrong.did_you_mean(name, known.iter().map(String::as_str)));
        }
    }
}
