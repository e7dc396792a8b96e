//! What may a value be? The same for a property of a blueprint and an input of an action.

use serde_json::{Map, Value, json};

use super::BlueprintId;

/// The five types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PropertyType {
    /// Text.
    String,
    /// A number, whole or not.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A mapping.
    Object,
    /// A list.
    Array,
}

impl PropertyType {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::String, Self::Number, Self::Boolean, Self::Object, Self::Array];

    /// The name in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Object => "object",
            Self::Array => "array",
        }
    }
}

/// What a text must be beyond being text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// An absolute URL.
    Url,
    /// A mail address.
    Email,
    /// A mail address, for which every letter will do; Port tells the two apart.
    IdnEmail,
    /// RFC 3339.
    DateTime,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Markdown.
    Markdown,
    /// A YAML document.
    Yaml,
    /// A definition of Protocol Buffers.
    Proto,
    /// A mapping of a URL and the words that stand for it.
    LabeledUrl,
    /// The identifier of a blueprint.
    Blueprints,
    /// The identifier of a `_user` entity.
    User,
    /// The identifier of a `_team` entity.
    Team,
    /// The moment at which the entity expires, RFC 3339.
    Timer,
    /// An input that is an amount of time.
    Duration,
    /// An input of several lines.
    MultiLine,
    /// An input naming an entity of `Property::blueprint`.
    Entity,
    /// An input that says where a secret is, and never holds it.
    Secret,
}

impl Format {
    /// Every format, in the order of the docs.
    pub const ALL: [Self; 18] = [
        Self::Url,
        Self::Email,
        Self::IdnEmail,
        Self::DateTime,
        Self::Ipv4,
        Self::Ipv6,
        Self::Markdown,
        Self::Yaml,
        Self::Proto,
        Self::LabeledUrl,
        Self::Blueprints,
        Self::User,
        Self::Team,
        Self::Timer,
        Self::Duration,
        Self::MultiLine,
        Self::Entity,
        Self::Secret,
    ];

    /// The name in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Email => "email",
            Self::IdnEmail => "idn-email",
            Self::DateTime => "date-time",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Markdown => "markdown",
            Self::Yaml => "yaml",
            Self::Proto => "proto",
            Self::LabeledUrl => "labeled-url",
            Self::Blueprints => "blueprints",
            Self::User => "user",
            Self::Team => "team",
            Self::Timer => "timer",
            Self::Duration => "duration",
            Self::MultiLine => "multi-line",
            Self::Entity => "entity",
            Self::Secret => "secret",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What kind of specification a text is, or leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Spec {
    /// OpenAPI.
    OpenApi,
    /// AsyncAPI.
    AsyncApi,
    /// A page to show inside another.
    EmbeddedUrl,
}

impl Spec {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::OpenApi, Self::AsyncApi, Self::EmbeddedUrl];

    /// The name in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenApi => "open-api",
            Self::AsyncApi => "async-api",
            Self::EmbeddedUrl => "embedded-url",
        }
    }

    /// The specification of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|spec| spec.name() == name)
    }
}

/// What one property or input may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its type.
    pub kind: PropertyType,
    /// What its text must be.
    pub format: Option<Format>,
    /// What kind of specification it is.
    pub spec: Option<Spec>,
    /// The name that people read.
    pub title: Option<String>,
    /// One sentence for people.
    pub description: Option<String>,
    /// What it is when not given.
    pub default: Option<Value>,
    /// The only values allowed (`enum`); empty when free.
    pub choices: Vec<Value>,
    /// With `Format::Entity`: of which blueprint.
    pub blueprint: Option<BlueprintId>,
    /// With `PropertyType::Array`: what each item may be.
    pub items: Option<Box<Self>>,
    /// The remaining JSON Schema keywords as written (`pattern`, `minLength`, `maximum`, `properties` …).
    pub keywords: Map<String, Value>,
}

impl Property {
    /// The JSON Schema that a value of this property must satisfy. Formats are given under their own
    /// names, and specifications as formats, so the validator must know all of [`Format::ALL`] and [`Spec::ALL`].
    pub fn json_schema(&self) -> Value {
        let mut schema = self.keywords.clone();
        schema.insert("type".into(), self.kind.name().into());
        match (self.format, self.spec) {
            (Some(Format::LabeledUrl), _) => {
                let properties = json!({
                    "url": { "type": "string", "format": Format::Url.name() },
                    "displayText": { "type": "string" },
                    "label": { "type": "string" },
                });
                schema.insert("properties".into(), properties);
                schema.insert("required".into(), json!(["url"]));
                schema.insert("additionalProperties".into(), false.into());
            }
            (Some(Format::Yaml), Some(spec)) => drop(schema.insert("format".into(), spec.name().into())),
            (Some(format), _) => drop(schema.insert("format".into(), format.name().into())),
            (None, _) => {}
        }
        if !self.choices.is_empty() {
            schema.insert("enum".into(), Value::Array(self.choices.clone()));
        }
        if let Some(items) = &self.items {
            schema.insert("items".into(), items.json_schema());
        }
        Value::Object(schema)
    }
}
