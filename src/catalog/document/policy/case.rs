//! What may an example for policies say, and what is expected of it?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    catalog::{
        Decision, Merged, PolicyCase,
        document::{Reader, join, kind},
        values::{Wrong, trail},
    },
    domain::{RequestFile, Timestamp},
};

/// An example of a request and what policies are expected to say of it, `policies/<policy>.tests/<case>.yaml`, or
/// `policies/all.tests/<case>.yaml` for all of them together; `chandlery policy test` reads it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct PolicyCaseDocument {
    /// What it shows.
    description: Option<String>,
    /// What is asked.
    request: CaseRequest,
    /// Who asks: a login.
    #[serde(rename = "as")]
    requester: String,
    /// When: `2026-11-27T16:30:00Z`; the first of January 2026 if not said.
    at: Option<String>,
    /// Entities that are in the catalog, too, and stand for those of the same name.
    #[serde(default)]
    catalog: Vec<Map<String, Value>>,
    /// What is in the target repositories: for each `owner/name` a folder, as seen from this file. Others hold a README.
    #[serde(default)]
    targets: BTreeMap<String, String>,
    /// Requests that were merged before.
    #[serde(default)]
    history: Vec<MergedDocument>,
    /// What is expected.
    expect: ExpectDocument,
}

kind!(PolicyCaseDocument, "policy-case", definition: true);

/// The request, without who asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CaseRequest {
    /// The identifier of the action.
    action: String,
    /// For DAY-2 and DELETE: the identifier of the entity that it is about.
    entity: Option<String>,
    /// The inputs by name.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// Why, for those who approve.
    reason: Option<String>,
}

/// A request that was merged before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MergedDocument {
    /// The identifier of its action.
    action: String,
    /// Who asked: a login.
    #[serde(rename = "as")]
    requester: String,
    /// When it was merged.
    at: String,
    /// What was asked, with what had a default, where a limit is `matching`; it counts whatever `when` says, if not said.
    inputs: Option<Map<String, Value>>,
}

/// What is expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectDocument {
    /// `allowed`, `denied`, or `frozen`: allowed, and not carried out yet.
    decision: DecisionDocument,
    /// Why it is denied: codes, or parts of what is told; all of them, and no others.
    #[serde(default)]
    because: Vec<String>,
    /// The rules of approval that policies add, by name: `policy: rule`. None if not said.
    #[serde(default)]
    approvals: Vec<String>,
    /// Until when it is frozen: `2026-11-28T00:00:00Z`.
    until: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum DecisionDocument {
    Allowed,
    Denied,
    Frozen,
}

impl PolicyCaseDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<PolicyCase> {
        let Self { description, request, requester, at, catalog, targets, history, expect } = self;
        let mut time = |path: &[_], text: &str| -> Option<Timestamp> {
            let read = text.parse();
            if read.is_err() {
                let wrong =
                    Wrong::new("wrong-value", path, format!("is `{text}`, which is no date and time"));
                reader.wrong(wrong.help("write it as `2026-11-27T16:30:00Z`"));
            }
            read.ok()
        };
        let at = at.map(|text| time(&trail!["at"], &text)).unwrap_or_default();
        let until =
            expect.until.as_ref().map(|text| time(&trail!["expect", "until"], text)).unwrap_or_default();
        let times: Vec<Option<Timestamp>> = history
            .iter()
            .enumerate()
            .map(|(index, one)| time(&trail!["history", index, "at"], &one.at))
            .collect();
        let mut misplaced = |key: &str, help: &str| {
            let wrong = Wrong::new("misplaced-key", &trail!["expect", key], "does not go with this decision");
            reader.wrong(wrong.about_key().help(help));
        };
        let decision = expect.decision;
        if !expect.because.is_empty() && decision != DecisionDocument::Denied {
            misplaced("because", "say `decision: denied`, or leave it out");
        }
        if !expect.approvals.is_empty() && decision == DecisionDocument::Denied {
            misplaced("approvals", "who is refused needs no approval: leave it out");
        }
        if until.is_some() && decision != DecisionDocument::Frozen {
            misplaced("until", "say `decision: frozen`, or leave it out");
        }
        if expect.because.is_empty() && decision == DecisionDocument::Denied {
            let wrong = Wrong::new("missing-key", &trail!["expect", "because"], "is missing");
            reader.wrong(
                wrong.help("say why it is denied: a code such as `policy-limit`, or a part of the message"),
            );
        }
        let mut merged = Vec::new();
        for (index, (one, at)) in history.iter().zip(times).enumerate() {
            let path = trail!["history", index];
            let action = reader.name(&join(&path, "action"), &one.action);
            let requester = reader.name(&join(&path, "as"), &one.requester);
            if let (Some(action), Some(requester), Some(at)) = (action, requester, at) {
                merged.push(Merged { action, requester, at, inputs: one.inputs.clone() });
            }
        }
        let mut folders = BTreeMap::new();
        for (name, folder) in targets {
            folders.insert(reader.name(&join(&trail!["targets"], name.as_str()), &name)?, folder);
        }
        let entity = match &request.entity {
            Some(entity) => Some(reader.name(&trail!["request", "entity"], entity)?),
            None => None,
        };
        Some(PolicyCase {
            description,
            request: RequestFile {
                action: reader.name(&trail!["request", "action"], &request.action)?,
                entity,
                inputs: request.inputs,
                reason: request.reason,
                on_behalf_of: None,
            },
            requester: reader.name(&trail!["as"], &requester)?,
            at,
            entities: catalog,
            targets: folders,
            history: merged,
            expected: match decision {
                DecisionDocument::Allowed => Decision::Allowed { approvals: expect.approvals },
                DecisionDocument::Denied => Decision::Denied { because: expect.because },
                DecisionDocument::Frozen => Decision::Frozen { approvals: expect.approvals, until },
            },
        })
    }
}
