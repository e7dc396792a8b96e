//! What may be asked of a catalog? Port's query language, as data.

use serde_json::Value;

use super::{BlueprintId, Format, Property, PropertyType, Timestamp};

/// A question that each entity answers with yes or no.
#[derive(Debug, Clone, PartialEq)]
pub enum Query {
    /// All of these hold.
    All(Vec<Self>),
    /// One of these holds.
    Any(Vec<Self>),
    /// A property is compared with a value.
    Compare {
        /// A property, or `$identifier` and the like.
        property: String,
        /// How.
        operator: Operator,
        /// With what; null where nothing is compared with.
        value: Value,
    },
    /// It is related to one of these, by any way.
    RelatedTo {
        /// The blueprint of the others.
        blueprint: BlueprintId,
        /// Their identifiers.
        identifiers: Vec<String>,
        /// Which way: upstream of something is what it points at, downstream what points at it.
        direction: Option<Direction>,
        /// Only by relations that are required, or only by others.
        required: Option<bool>,
    },
    /// It is related to one of these, by this way.
    Along {
        /// The relations from it, or to it where `from` names the blueprint that the way begins at.
        path: Vec<Hop>,
        /// Where the way begins, if not at the entity itself.
        from: Option<BlueprintId>,
        /// The identifiers at its other end.
        identifiers: Vec<String>,
    },
    /// Any property that is such is so.
    AnyOfType {
        /// What it is.
        schema: PropertySchema,
        /// How.
        operator: Operator,
        /// With what.
        value: Value,
    },
}

/// Which properties a rule asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PropertySchema {
    /// Those of this type.
    pub kind: Option<PropertyType>,
    /// Those of this format.
    pub format: Option<Format>,
    /// Lists whose items are such.
    pub items: Option<Box<Self>>,
}

impl PropertySchema {
    /// Whether it asks this one.
    pub fn fits(&self, property: &Property) -> bool {
        let fits = |asked: &Self| property.items.as_deref().is_some_and(|items| asked.fits(items));
        self.kind.is_none_or(|kind| property.kind == kind)
            && self.format.is_none_or(|format| property.format == Some(format))
            && self.items.as_deref().is_none_or(fits)
    }
}

/// Which way relations are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Found are those that the named ones point at.
    Upstream,
    /// Found are those that point at the named ones.
    Downstream,
}

/// A relation, followed once or up to so many times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Its name.
    pub relation: String,
    /// How often at most.
    pub most: usize,
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names in a query say what they are")]
pub enum Operator {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Contains,
    DoesNotContain,
    ContainsAny,
    BeginsWith,
    DoesNotBeginWith,
    EndsWith,
    DoesNotEndWith,
    In,
    NotIn,
    Between,
    NotBetween,
    IsEmpty,
    IsNotEmpty,
    IsExpired,
    IsNotExpired,
}

impl Operator {
    /// Every operator with its name in a query.
    pub const NAMES: [(&str, Self); 21] = [
        ("=", Self::Equal),
        ("!=", Self::NotEqual),
        (">", Self::Greater),
        (">=", Self::GreaterOrEqual),
        ("<", Self::Less),
        ("<=", Self::LessOrEqual),
        ("contains", Self::Contains),
        ("doesNotContains", Self::DoesNotContain),
        ("containsAny", Self::ContainsAny),
        ("beginsWith", Self::BeginsWith),
        ("doesNotBeginsWith", Self::DoesNotBeginWith),
        ("endsWith", Self::EndsWith),
        ("doesNotEndsWith", Self::DoesNotEndWith),
        ("in", Self::In),
        ("notIn", Self::NotIn),
        ("between", Self::Between),
        ("notBetween", Self::NotBetween),
        ("isEmpty", Self::IsEmpty),
        ("isNotEmpty", Self::IsNotEmpty),
        ("isExpired", Self::IsExpired),
        ("isNotExpired", Self::IsNotExpired),
    ];

    /// The operator of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, operator)| *operator)
    }

    /// Whether it compares with nothing.
    pub fn takes_no_value(self) -> bool {
        matches!(self, Self::IsEmpty | Self::IsNotEmpty | Self::IsExpired | Self::IsNotExpired)
    }
}

/// The days that a word such as `lastWeek` means, seen from a moment: from the first second to the last.
pub fn preset(name: &str, now: Timestamp) -> Option<(Timestamp, Timestamp)> {
    const DAY: i64 = 86_400;
    let midnight = now.seconds().div_euclid(DAY) * DAY;
    let at = Timestamp::from_seconds;
    let days = |days: i64| Some((at(now.seconds() - days * DAY), now));
    match name {
        "today" => Some((at(midnight), at(midnight + DAY - 1))),
        "yesterday" => Some((at(midnight - DAY), at(midnight - 1))),
        "tomorrow" => Some((at(midnight + DAY), at(midnight + 2 * DAY - 1))),
        "lastDay" => days(1),
        "lastWeek" => days(7),
        "last2Weeks" => days(14),
        "lastMonth" => days(30),
        "last3Months" => days(91),
        "last6Months" => days(182),
        "last12Months" => days(365),
        _ => None,
    }
}

/// The words that [`preset`] knows.
pub const PRESETS: [&str; 10] = [
    "today",
    "yesterday",
    "tomorrow",
    "lastDay",
    "lastWeek",
    "last2Weeks",
    "lastMonth",
    "last3Months",
    "last6Months",
    "last12Months",
];
