//! What may people ask for?

use serde_json::{Map, Value};

use super::{ActionId, Approval, BlueprintId, Execute, Form, Property, Step};

/// Something people may ask for.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// Its identifier.
    pub identifier: ActionId,
    /// The name that people read.
    pub title: String,
    /// What it is for.
    pub description: Option<String>,
    /// What it does to entities of its blueprint.
    pub operation: Operation,
    /// The blueprint it is about.
    pub blueprint: BlueprintId,
    /// What the form asks, in the order shown.
    pub inputs: Vec<(String, Property)>,
    /// The inputs that must be given.
    pub required: Vec<String>,
    /// What the form decides while it is filled in.
    pub form: Form,
    /// Who may ask.
    pub execute: Execute,
    /// Who must approve.
    pub approval: Approval,
    /// Whether Chandlery merges the approved request itself.
    pub merge: MergeMode,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// How the catalog changes when the steps have succeeded.
    pub entities: Vec<EntityChange>,
}

impl Action {
    /// The input of this name.
    pub fn input(&self, name: &str) -> Option<&Property> {
        self.inputs.iter().find(|(key, _)| key == name).map(|(_, property)| property)
    }
}

/// What an action does to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// A new entity.
    Create,
    /// A change of an existing one.
    Day2,
    /// Its end.
    Delete,
}

impl Operation {
    /// The word in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Day2 => "DAY-2",
            Self::Delete => "DELETE",
        }
    }
}

/// Who presses the merge button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeMode {
    /// People.
    Manual,
    /// Chandlery, once everything it needs is there.
    Auto,
}

/// One change of the catalog. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub enum EntityChange {
    /// A new entity.
    Create {
        /// Of what kind.
        blueprint: BlueprintId,
        /// Its identifier.
        identifier: String,
        /// Its other fields as written: title, team, properties, relations.
        fields: Map<String, Value>,
    },
    /// A merge patch of an existing entity: null clears.
    Update {
        /// Of what kind.
        blueprint: BlueprintId,
        /// Its identifier.
        identifier: String,
        /// The fields to change, as written.
        fields: Map<String, Value>,
    },
    /// The end of an entity.
    Delete {
        /// Of what kind.
        blueprint: BlueprintId,
        /// Its identifier.
        identifier: String,
    },
}
