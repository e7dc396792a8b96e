//! What may an example of a request say, and what is expected of it?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Reader, join, kind};
use crate::{
    catalog::{Case, values::trail},
    domain::{ActionId, RequestFile},
};

/// An example of a request and what is expected of it, `actions/<action>.tests/<case>.yaml`; `chandlery test` reads it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct CaseDocument {
    /// What it shows.
    description: Option<String>,
    /// What is asked.
    #[serde(default)]
    request: CaseRequest,
    /// Who asks: a login. Whether they may is looked at, too.
    #[serde(rename = "as")]
    requester: Option<String>,
    /// What is in the target repositories: for each `owner/name` a folder, as seen from this file. Others hold a README.
    targets: Option<BTreeMap<String, String>>,
    /// Entities that are in the catalog, too, and stand for those of the same name: a folder as seen from this file, with
    /// `<blueprint>/<identifier>.yaml` in it.
    entities: Option<String>,
    /// What is expected. Where nothing is said, the plan is to be as `<case>.diff` beside this file has it.
    #[serde(default)]
    expect: ExpectDocument,
}

kind!(CaseDocument, "case", definition: true);

/// The request, without who asks; its action is the one whose example it is.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CaseRequest {
    /// The identifier of the action, where it is to be said.
    action: Option<String>,
    /// For DAY-2 and DELETE: the identifier of the entity that it is about.
    entity: Option<String>,
    /// The inputs by name.
    inputs: Option<Map<String, Value>>,
    /// Why, for those who approve.
    reason: Option<String>,
    /// The login of the person it is for, if not for who asks.
    on_behalf_of: Option<String>,
}

/// What is expected.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectDocument {
    /// The file with the diff of the plan, as seen from this one; `chandlery test --update` writes it.
    diff: Option<String>,
    /// The request is refused, for these reasons and no others: codes, or parts of what is told.
    errors: Option<Vec<String>>,
    /// Each rule of approval with those who may give it, by login and in order; `writers` for all who may write.
    approvers: Option<BTreeMap<String, Vec<String>>>,
}

impl CaseDocument {
    pub(in crate::catalog) fn into_domain(self, action: &ActionId, reader: &mut Reader) -> Option<Case> {
        let Self { description, request, requester, targets, entities, expect } = self;
        let named = match &request.action {
            Some(named) => reader.name(&trail!["request", "action"], named)?,
            None => action.clone(),
        };
        let entity = match &request.entity {
            Some(entity) => Some(reader.name(&trail!["request", "entity"], entity)?),
            None => None,
        };
        let on_behalf_of = match &request.on_behalf_of {
            Some(login) => Some(reader.name(&trail!["request", "onBehalfOf"], login)?),
            None => None,
        };
        let requester = match &requester {
            Some(login) => Some(reader.name(&trail!["as"], login)?),
            None => None,
        };
        let mut folders = BTreeMap::new();
        for (name, folder) in targets.unwrap_or_default() {
            folders.insert(reader.name(&join(&trail!["targets"], name.as_str()), &name)?, folder);
        }
        let inputs = request.inputs.unwrap_or_default();
        Some(Case {
            description,
            request: RequestFile { action: named, entity, inputs, reason: request.reason, on_behalf_of },
            requester,
            targets: folders,
            entities,
            diff: expect.diff,
            errors: expect.errors.unwrap_or_default(),
            approvers: expect.approvers,
        })
    }
}
