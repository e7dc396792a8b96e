//! What may each kind of document say?

use std::collections::BTreeMap;

use serde_json::Value;

/// The JSON Schema of each kind of document, by name.
pub fn schemas() -> BTreeMap<&'static str, Value> {
    todo!()
}
