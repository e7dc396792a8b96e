//! What was asked?

use serde_json::{Map, Value};

use super::{ActionId, Identifier, Login, RequestId};

/// What a `request.yaml` says, well formed but not yet checked against its action.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestFile {
    /// The action asked for.
    pub action: ActionId,
    /// The entity it is about, for DAY-2 and DELETE.
    pub entity: Option<Identifier>,
    /// The inputs as given.
    pub inputs: Map<String, Value>,
    /// Why.
    pub reason: Option<String>,
    /// For whom, if not for whoever asks.
    pub on_behalf_of: Option<Login>,
}

/// One asking, checked: the inputs have their defaults and types.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Its identifier.
    pub id: RequestId,
    /// The action asked for.
    pub action: ActionId,
    /// The entity it is about, for DAY-2 and DELETE.
    pub entity: Option<Identifier>,
    /// Every input that has a value.
    pub inputs: Map<String, Value>,
    /// Why.
    pub reason: Option<String>,
    /// For whom, if not for whoever asks.
    pub on_behalf_of: Option<Login>,
}
