//! What may a value be? The same for a property of a blueprint and an input of an action.

use serde_json::{Map, Value};

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
    /// The identifier of a `_user` entity.
    User,
    /// The identifier of a `_team` entity.
    Team,
    /// The moment at which the entity expires, RFC 3339.
    Timer,
    /// An input of several lines.
    MultiLine,
    /// An input naming an entity of `Property::blueprint`.
    Entity,
}

impl Format {
    /// Every format, in the order of the docs.
    pub const ALL: [Self; 12] = [
        Self::Url,
        Self::Email,
        Self::DateTime,
        Self::Ipv4,
        Self::Ipv6,
        Self::Markdown,
        Self::Yaml,
        Self::User,
        Self::Team,
        Self::Timer,
        Self::MultiLine,
        Self::Entity,
    ];

    /// The name in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Email => "email",
            Self::DateTime => "date-time",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Markdown => "markdown",
            Self::Yaml => "yaml",
            Self::User => "user",
            Self::Team => "team",
            Self::Timer => "timer",
            Self::MultiLine => "multi-line",
            Self::Entity => "entity",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What one property or input may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its type.
    pub kind: PropertyType,
    /// What its text must be.
    pub format: Option<Format>,
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
    /// The JSON Schema that a value of this property must satisfy. The format is given under its
    /// own name, so the validator must know all of [`Format::ALL`].
    pub fn json_schema(&self) -> Value {
        let mut schema = self.keywords.clone();
        schema.insert("type".into(), self.kind.name().into());
        if let Some(format) = self.format {
            schema.insert("format".into(), format.name().into());
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
