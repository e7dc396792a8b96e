//! What does `plan.yaml` say? The effect of a request and nothing of its causes: no commit ids,
//! times, people or review states. Its key therefore stays as it is until the effect changes. What
//! it was made from is pinned beside it, by the ids of blobs.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        ActionId, Branch, Identifier, Login, Memo, ObjectId, Pin, Quorum, RepoName, RepoPath, RequestId,
        Rule, StepId, TeamSlug, TemplateName,
    },
    plan::facts::File,
};

/// The version of `plan.yaml` and `run.yaml`.
pub const FORMAT: u32 = 1;

/// What a request would do, `plan.yaml`.
#[must_use]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Plan {
    /// The version of this format.
    pub version: u32,
    /// Which request.
    pub request: RequestId,
    /// What was asked.
    pub asked: Asked,
    /// SHA-256 over the canonical JSON of the effect, in hexadecimal digits.
    pub key: String,
    /// The pull requests that would be opened.
    pub steps: Vec<PlannedStep>,
    /// The entities that would change.
    pub entities: Vec<PlannedEntity>,
    /// Who must approve; empty where nobody must.
    pub approval: Vec<PlannedRule>,
    /// What it was made from. Not part of the key.
    pub pins: Pins,
}

impl Plan {
    /// Whether both do the same; what they were made from may differ.
    pub fn is_same_but_for_pins(&self, other: &Self) -> bool {
        let Self { version, request, asked, key, steps, entities, approval, pins: _ } = self;
        (version, request, asked, key) == (&other.version, &other.request, &other.asked, &other.key)
            && (steps, entities, approval) == (&other.steps, &other.entities, &other.approval)
    }
}

/// What was asked, with defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Asked {
    /// The action.
    pub action: ActionId,
    /// The entity it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<Identifier>,
    /// Every input that has a value.
    pub inputs: Map<String, Value>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A pull request that would be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedStep {
    /// The step.
    pub id: StepId,
    /// Where.
    pub repository: RepoName,
    /// Into which branch.
    pub base: Branch,
    /// From which branch.
    pub branch: Branch,
    /// Its title.
    pub title: String,
    /// The text that the action gives it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// Whether Chandlery merges it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub auto_merge: bool,
    /// Every file that changes.
    pub changes: Vec<FileChange>,
}

/// A file that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileChange {
    /// Which.
    pub path: RepoPath,
    /// Its blob before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<ObjectId>,
    /// Its blob after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ObjectId>,
    /// Whether it may be executed afterwards, and could not before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// An entity that changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedEntity {
    /// How.
    pub change: EntityOperation,
    /// Which, `blueprint/identifier`.
    pub entity: String,
    /// The fields given, or patched (null clears).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
}

/// How an entity changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityOperation {
    /// It begins.
    Create,
    /// It is patched.
    Update,
    /// It ends.
    Delete,
}

impl EntityOperation {
    /// The word in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// A rule of approval, as data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedRule {
    /// Its name.
    pub name: String,
    /// People who may approve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Login>,
    /// Teams whose members may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<TeamSlug>,
    /// Whether everybody with write access may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writers: bool,
    /// How many must; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

impl PlannedRule {
    pub(super) fn of(rule: &Rule) -> Self {
        Self {
            name: rule.name.clone(),
            users: rule.users.clone(),
            teams: rule.teams.clone(),
            writers: rule.writers,
            count: match rule.quorum {
                Quorum::Count(count) => Some(count),
                Quorum::All => None,
            },
        }
    }

    /// The rule that this says.
    pub fn rule(&self) -> Rule {
        Rule {
            name: self.name.clone(),
            users: self.users.clone(),
            teams: self.teams.clone(),
            writers: self.writers,
            quorum: self.count.map_or(Quorum::All, Quorum::Count),
        }
    }
}

/// What a plan was made from: blobs, never commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// The action.
    pub action: ObjectId,
    /// The files of each template.
    pub templates: BTreeMap<TemplateName, BTreeMap<RepoPath, Pin>>,
}

/// The hexadecimal SHA-256 of the canonical JSON of a value.
pub fn digest(value: &impl Serialize) -> String {
    let bytes = serde_json_canonicalizer::to_vec(value).expect("plain data has a canonical form");
    hex::encode(Sha256::digest(bytes))
}

/// Reads a `plan.yaml`.
///
/// # Errors
/// Why it is none, in words.
pub(super) fn read_plan(file: &File) -> Result<Arc<Plan>, String> {
    static READ: Memo<ObjectId, Arc<Plan>> = Memo::new(1_000);
    READ.get(&file.id, || read_versioned(&file.bytes).map(Arc::new))
}

/// Reads a file that we wrote, if this program knows its version of the format: what a newer one wrote is told by
/// its number, before anything else in it is looked at.
///
/// # Errors
/// Why it cannot be read, in words.
pub(super) fn read_versioned<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text".to_owned())?;
    let Versioned { version } = serde_yaml::from_str(text).map_err(|problem| problem.to_string())?;
    if version > FORMAT {
        return Err(format!(
            "it is written in version {version} of the format, which is newer than this program"
        ));
    }
    serde_yaml::from_str(text).map_err(|problem| problem.to_string())
}

/// The key for several requests of one pull request, by name.
pub(super) fn combine(keys: &[(&str, &str)]) -> String {
    match keys {
        [(_, key)] => (*key).to_owned(),
        several => digest(&several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_newer_program_wrote_is_told_by_its_version() {
        let told = read_versioned::<crate::domain::Run>(b"version: 2\nsomething: new\n").unwrap_err();
        assert!(told.contains("version 2 of the format, which is newer"), "{told}");
        assert!(read_versioned::<crate::domain::Run>(b"version: 1\nsomething: new\n").is_err());
    }
}
