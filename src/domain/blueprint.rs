//! What kinds of things are there?

use std::collections::BTreeMap;

use super::{BlueprintId, Property};

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
}

impl Blueprint {
    /// The property of this name.
    pub fn property(&self, name: &str) -> Option<&Property> {
        self.properties.iter().find(|(key, _)| key == name).map(|(_, property)| property)
    }
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
