//! What does a YAML text say, and where?

use serde_json::Value;

use super::values::Segment;
use crate::domain::{Diagnostic, Place};

/// A document that remembers where everything stands.
#[derive(Debug, Clone)]
pub struct Document {}

/// Reads one YAML document.
///
/// # Errors
/// What a person has to mend before it can be read.
pub fn parse(_source: &str, _bytes: &[u8]) -> Result<Document, Vec<Diagnostic>> {
    todo!()
}

impl Document {
    /// What it says.
    pub fn value(&self) -> Value {
        todo!()
    }

    /// Where the value at this path stands; of the nearest value around it if there is none.
    pub fn place(&self, _path: &[Segment]) -> Place {
        todo!()
    }

    /// Where the key of the value at this path stands.
    pub fn place_of_key(&self, _path: &[Segment]) -> Place {
        todo!()
    }
}
