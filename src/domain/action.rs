//! What may people ask for?

use serde::{Deserialize, Serialize};
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
    /// Whether its pull requests are merged together or not at all.
    pub atomic: bool,
    /// How the catalog changes when the steps have succeeded.
    pub entities: Vec<EntityChange>,
    /// When Chandlery asks for it itself.
    pub ttl: Option<Ttl>,
}

/// The end of an entity whose time is over is asked for without anybody doing so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ttl {
    /// The property that says when its time is over.
    pub property: String,
    /// How long before that people are warned, in seconds; zero warns nobody.
    pub warn_before: i64,
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
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Create, Self::Day2, Self::Delete];

    /// The word in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Day2 => "DAY-2",
            Self::Delete => "DELETE",
        }
    }

    /// Whether a change of an entity is what it promises.
    pub fn is_done_by(self, change: ChangeKind) -> bool {
        match change {
            ChangeKind::Create => self == Self::Create,
            ChangeKind::Update => self == Self::Day2,
            ChangeKind::Upsert => self != Self::Delete,
            ChangeKind::Delete(_) => self == Self::Delete,
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

/// One change of the catalog, or of each thing of a list. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct EntityChange {
    /// What gives the list, each `item` of which makes one change.
    pub for_each: Option<String>,
    /// What becomes of the entity.
    pub kind: ChangeKind,
    /// Of what kind it is.
    pub blueprint: BlueprintId,
    /// Its identifier.
    pub identifier: String,
    /// Its other fields as written (title, team, properties, relations), or those that change; none where it ends.
    pub fields: Map<String, Value>,
}

/// What becomes of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It begins.
    Create,
    /// It is patched: null clears.
    Update,
    /// It is patched if it is there, and begins otherwise.
    Upsert,
    /// It ends.
    Delete(OnDelete),
}

impl ChangeKind {
    /// The word in a definition.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete(_) => "delete",
        }
    }
}

/// What becomes of entities that point at one that ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// While there are some, it does not end.
    #[default]
    Restrict,
    /// They end, too, and so on.
    Cascade,
    /// They no longer point at it.
    Nullify,
}

impl OnDelete {
    /// Whether it is what holds if nothing is said.
    pub fn is_restrict(&self) -> bool {
        *self == Self::Restrict
    }
}
