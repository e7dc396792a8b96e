//! What kinds of things are there?

use std::collections::BTreeMap;

use super::{BlueprintId, Hop, Period, Property, PropertyType, Query};

/// A kind of thing.
#[derive(Debug, Clone, PartialEq)]
pub struct Blueprint {
    /// Its identifier.
    pub identifier: BlueprintId,
    /// The name that people read.
    pub title: String,
    /// What its entities may say, in the order written.
    pub properties: Vec<(String, Property)>,
    /// The properties that must be there.
    pub required: Vec<String>,
    /// What its entities may point at.
    pub relations: BTreeMap<String, Relation>,
    /// Where the owning team comes from.
    pub ownership: Option<Ownership>,
    /// Properties of related entities, shown here.
    pub mirrors: BTreeMap<String, Mirror>,
    /// Properties computed from others of the same entity.
    pub calculations: BTreeMap<String, Calculation>,
    /// Properties computed over related entities.
    pub aggregations: BTreeMap<String, Aggregation>,
}

impl Blueprint {
    /// The property of this name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|(key, _)| key == name).map(|(_, property)| property)
    }
}

/// A property of a related entity, shown here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// The name that people read.
    pub title: Option<String>,
    /// The relations that lead there.
    pub path: Vec<String>,
    /// The property there, or a meta-property such as `$title`.
    pub property: String,
}

/// A property computed in jq from the others of its entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calculation {
    /// The name that people read.
    pub title: Option<String>,
    /// Its type.
    pub kind: PropertyType,
    /// What computes it.
    pub text: String,
}

/// A number computed over related entities.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregation {
    /// The name that people read.
    pub title: Option<String>,
    /// The blueprint of the related entities.
    pub target: BlueprintId,
    /// What is computed.
    pub measure: Measure,
    /// Which of them count; all if not said.
    pub query: Option<Query>,
    /// The way to them, if not any; from there to here where the flag says so.
    pub path: Option<(Vec<Hop>, bool)>,
}

/// What is computed over entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// How many there are.
    Count,
    /// How many come in a period, on average.
    Frequency(Over),
    /// Over the numbers that a property of theirs holds.
    Of {
        /// Which: `sum`, `min`, `max`, `median` or `average`.
        function: String,
        /// The property.
        property: String,
        /// For an average: each period counts once, instead of each number.
        over: Option<Over>,
    },
}

impl Measure {
    /// What puts entities into periods.
    pub fn over(&self) -> Option<&Over> {
        match self {
            Self::Count => None,
            Self::Frequency(over) => Some(over),
            Self::Of { over, .. } => over.as_ref(),
        }
    }
}

/// Entities by when they were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// The stretch of time.
    pub period: Period,
    /// The property that says when.
    pub by: String,
}

/// A pointer from entities of one blueprint to those of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// The name that people read.
    pub title: Option<String>,
    /// Where it points.
    pub target: BlueprintId,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is a list.
    pub many: bool,
}

/// Who owns an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Its own `team`.
    Direct,
    /// The team of the entity at the end of this path of relations.
    Inherited {
        /// Relation identifiers, joined by dots.
        path: String,
    },
}
