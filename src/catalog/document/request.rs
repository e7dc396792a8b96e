//! What may a request file say, whatever its action?

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Reader, kind};
use crate::{catalog::values::trail, domain::RequestFile};

/// One asking, `requests/<id>/request.yaml`. Who asks is never read from it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct RequestDocument {
    /// The identifier of the action asked for.
    action: String,
    /// For DAY-2 and DELETE: the identifier of the entity that it is about.
    entity: Option<String>,
    /// The inputs by name.
    inputs: Option<Map<String, Value>>,
    /// Why, for those who approve.
    reason: Option<String>,
    /// The login of the person it is for, where somebody asks for another and the action lets them.
    on_behalf_of: Option<String>,
}

kind!(RequestDocument, "request", definition: false);

impl RequestDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<RequestFile> {
        let action = reader.name(&trail!["action"], &self.action);
        let entity = match &self.entity {
            Some(entity) => Some(reader.name(&trail!["entity"], entity)?),
            None => None,
        };
        let on_behalf_of = match &self.on_behalf_of {
            Some(login) => Some(reader.name(&trail!["onBehalfOf"], login)?),
            None => None,
        };
        Some(RequestFile {
            on_behalf_of,
            action: action?,
            entity,
            inputs: self.inputs.unwrap_or_default(),
            reason: self.reason,
        })
    }
}
