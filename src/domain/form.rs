//! What does a form decide while it is filled in?

use std::collections::BTreeMap;

use serde_json::Value;

use super::{BlueprintId, Bytes, RepoPath, Timestamp};

/// Said, or computed by jq from what was given so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dynamic<T> {
    /// Said.
    Fixed(T),
    /// Computed by this program.
    Computed(String),
}

/// Everything about a form that is not in the definition of one value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Form {
    /// What inputs do, of those that do anything.
    pub inputs: BTreeMap<String, Behaviour>,
    /// The program that names the inputs that must be given, where they are not listed.
    pub required: Option<String>,
    /// Inputs and titles in the order shown; with `steps`, that of all of them.
    pub order: Vec<String>,
    /// Headings among the inputs, by the name they have in an order.
    pub titles: BTreeMap<String, Heading>,
    /// The pages.
    pub steps: Vec<FormStep>,
    /// What must hold of several inputs together.
    pub validations: Vec<Validation>,
    /// A query for the entities that the action can be run on.
    pub condition: Option<Value>,
}

/// What one input does while a form is filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    /// Whether it is asked.
    pub visible: Dynamic<bool>,
    /// Whether it cannot be answered.
    pub disabled: Dynamic<bool>,
    /// Whether it has its default and no other value.
    pub read_only: Dynamic<bool>,
    /// It cannot be answered before these are.
    pub depends_on: Vec<String>,
    /// Programs by the key of the definition that they make (`default`, `enum`, `maximum` …).
    pub computed: BTreeMap<String, String>,
    /// The same for the items of a list.
    pub computed_items: BTreeMap<String, String>,
    /// Which entities can be chosen, if not all.
    pub dataset: Option<Dataset>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            visible: Dynamic::Fixed(true),
            disabled: Dynamic::Fixed(false),
            read_only: Dynamic::Fixed(false),
            depends_on: Vec::new(),
            computed: BTreeMap::new(),
            computed_items: BTreeMap::new(),
            dataset: None,
        }
    }
}

/// Some entities of a blueprint, in some order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Dataset {
    /// A query in which values may be `{ jqQuery: … }`; none asks for all.
    pub query: Option<Value>,
    /// By which property they are sorted, and whether the greatest comes first.
    pub sort: Option<(String, bool)>,
}

/// A heading among inputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// What it says.
    pub title: String,
    /// A sentence below it.
    pub description: Option<String>,
    /// Whether it is shown.
    pub visible: Dynamic<bool>,
}

/// One page of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormStep {
    /// Its name.
    pub title: String,
    /// Whether it is shown, and its inputs asked.
    pub visible: Dynamic<bool>,
    /// Its inputs and titles.
    pub order: Vec<String>,
}

/// What must hold of several inputs together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// What people are told if it does not.
    pub message: String,
    /// The program that says whether it does.
    pub holds: String,
}

/// A question to a catalog: which entities answer these queries?
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Search {
    /// Of which blueprint.
    pub blueprint: BlueprintId,
    /// The queries, as JSON; each is answered for itself.
    pub queries: Vec<String>,
    /// By which property they are sorted, and whether the greatest comes first; by identifier if not said.
    pub sort: Option<(String, bool)>,
    /// What words such as `lastWeek` are seen from; none where no query has any.
    pub now: Option<Timestamp>,
    /// Files that are as if they were otherwise; none is one that is gone.
    pub changes: Vec<(RepoPath, Option<Bytes>)>,
}
