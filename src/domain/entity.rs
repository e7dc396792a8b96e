//! What is one thing of the catalog?

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BlueprintId, EntityId, Identifier};

/// One thing of a kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entity {
    /// Which one, among those of its blueprint.
    pub identifier: Identifier,
    /// Of what kind.
    pub blueprint: BlueprintId,
    /// The name that people read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The name of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// The teams that own it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub team: Vec<String>,
    /// What it says.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub properties: Map<String, Value>,
    /// What it points at: one identifier, a list, or null.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub relations: BTreeMap<String, Value>,
}

impl Entity {
    /// Its identity in the whole catalog.
    pub fn id(&self) -> EntityId {
        EntityId { blueprint: self.blueprint.clone(), identifier: self.identifier.clone() }
    }

    /// The identifiers that a relation points at.
    pub fn related(&self, relation: &str) -> Vec<&str> {
        match self.relations.get(relation) {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}
