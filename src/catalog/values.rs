//! Is this value what its definition allows?
//!
//! Knows nothing of files: entities, defaults, request files and issue forms are all judged here.

use serde_json::Value;

use crate::domain::{Diagnostic, Place, Property};

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// To the value of this key.
    Key(String),
    /// To this item, from 0.
    Index(usize),
}

/// One thing that is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Wrong {
    /// Where, below the value judged.
    pub path: Vec<Segment>,
    /// Which kind of diagnostic.
    pub code: &'static str,
    /// What is wrong, as it follows the name of the field: "must be at least 1, and is 0".
    pub message: String,
    /// A few words under the very place.
    pub label: Option<String>,
    /// What to do.
    pub help: Option<String>,
}

impl Wrong {
    /// The diagnostic at this place, about a field of this name.
    pub fn at(self, _place: Place, _subject: &str) -> Diagnostic {
        todo!()
    }
}

/// A path in the words of its author: `steps[0].pullRequest`.
pub fn field_name(_path: &[Segment]) -> String {
    todo!()
}

/// Everything that is wrong with a value, by its type, its choices and its limits.
pub fn check_value(_property: &Property, _value: &Value) -> Vec<Wrong> {
    todo!()
}
