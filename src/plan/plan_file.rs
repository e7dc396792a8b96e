//! What does `plan.yaml` say? The effect of a request and nothing of its causes: no commit ids,
//! times, people or review states. Its key therefore stays as it is until the effect changes. What
//! it was made from is pinned beside it, by the ids of blobs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        ActionId, Branch, EntityId, Identifier, Interpreter, Login, Memo, ObjectId, OnDelete, OnFailure, Pin,
        RepoName, RepoPath, RequestId, Run, SecretRef, StepId, TeamSlug, TemplateName,
    },
    plan::facts::File,
};

/// The version of `plan.yaml` and `run.yaml`.
pub const FORMAT: u32 = 2;

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
    /// What would be done, in order.
    pub steps: Vec<PlannedStep>,
    /// Whether the pull requests are merged together or not at all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub atomic: bool,
    /// The entities that would change.
    pub entities: Vec<PlannedEntity>,
    /// Who must approve; empty where nobody must.
    pub approval: Vec<PlannedRule>,
    /// What it was made from. Not part of the key.
    pub pins: Pins,
}

impl Plan {
    /// The key that follows from its effect, and from whether Chandlery merges the request.
    pub fn key_of(&self, merges: bool) -> String {
        #[derive(Serialize)]
        struct Effect<'a> {
            version: u32,
            request: &'a RequestId,
            asked: &'a Asked,
            steps: &'a [PlannedStep],
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            atomic: bool,
            entities: &'a [PlannedEntity],
            approval: &'a [PlannedRule],
            merge: bool,
        }
        let Self { version, request, asked, key: _, steps, atomic, entities, approval, pins: _ } = self;
        let (version, atomic, merge) = (*version, *atomic, merges);
        digest(&Effect { version, request, asked, steps, atomic, entities, approval, merge })
    }

    /// Whether both do the same; what they were made from may differ.
    pub fn is_same_but_for_pins(&self, other: &Self) -> bool {
        let Self { version, request, asked, key, steps, atomic, entities, approval, pins: _ } = self;
        (version, request, asked, key) == (&other.version, &other.request, &other.asked, &other.key)
            && (steps, atomic, entities, approval)
                == (&other.steps, &other.atomic, &other.entities, &other.approval)
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
    /// For whom, if not for whoever asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Login>,
}

impl Asked {
    /// Those who ask, and whom they ask for: all of whom an approval must not come from.
    pub fn concerned(&self, requesters: &BTreeSet<Login>) -> BTreeSet<Login> {
        requesters.iter().chain(&self.on_behalf_of).cloned().collect()
    }
}

/// A step that would be taken: one of the four is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedStep {
    /// The step.
    pub id: StepId,
    /// The name that people read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The program that says whether it is taken at all.
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// How long it may take, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// What follows if it fails.
    #[serde(default, skip_serializing_if = "OnFailure::stops")]
    pub on_failure: OnFailure,
    /// A pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<PlannedPull>,
    /// A workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<PlannedWorkflow>,
    /// A call of a server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<PlannedWebhook>,
    /// A script.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<PlannedScript>,
}

/// What a planned step does.
#[derive(Debug, Clone, Copy)]
pub enum Does<'a> {
    /// Opens a pull request.
    Pull(&'a PlannedPull),
    /// Starts a workflow.
    Workflow(&'a PlannedWorkflow),
    /// Calls a server.
    Webhook(&'a PlannedWebhook),
    /// Runs a script.
    Script(&'a PlannedScript),
}

impl PlannedStep {
    /// What it does; none if the file that it was read from does not say.
    pub fn does(&self) -> Option<Does<'_>> {
        let pull = self.pull_request.as_ref().map(Does::Pull);
        let workflow = self.workflow.as_ref().map(Does::Workflow);
        let webhook = self.webhook.as_ref().map(Does::Webhook);
        let script = self.script.as_ref().map(Does::Script);
        pull.or(workflow).or(webhook).or(script)
    }

    /// Whether nothing would come of it.
    pub fn is_nothing(&self) -> bool {
        match self.does() {
            Some(Does::Pull(pull)) => pull.changes.is_empty(),
            Some(Does::Workflow(_) | Does::Webhook(_) | Does::Script(_)) => false,
            None => true,
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        self.title.as_deref().unwrap_or(self.id.as_str())
    }
}

/// A pull request that would be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedPull {
    /// Where.
    pub repository: RepoName,
    /// Into which branch.
    pub base: Branch,
    /// Whether the repository is empty and gets a first commit, without files.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_commit: bool,
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
    /// The labels that it gets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whose review is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reviewers: Vec<String>,
    /// Whether it is opened as a draft.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// Every file that changes.
    pub changes: Vec<FileChange>,
}

/// A workflow that would be started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedWorkflow {
    /// Where.
    pub repository: RepoName,
    /// Its file in `.github/workflows`.
    pub workflow: String,
    /// The branch or tag that it runs on.
    #[serde(rename = "ref")]
    pub reference: Branch,
    /// Its inputs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// The one input that gets all of them as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs_as: Option<String>,
    /// The input that gets what a lost run is found by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// Whether it may be started again if it is not known whether it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
}

/// A call that would be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedWebhook {
    /// How.
    pub method: String,
    /// Where.
    pub url: String,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub headers: Map<String, Value>,
    /// What is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// What signs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretRef>,
    /// How often it is tried again.
    pub retries: u32,
    /// The answers that mean success.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub success_codes: Vec<u16>,
    /// What the answer gives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outputs: BTreeMap<String, String>,
    /// Links in the answer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// Whether the step ends only when somebody reports.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub callback: bool,
}

/// A script that would be run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PlannedScript {
    /// Its file in the catalog.
    pub run: RepoPath,
    /// What it says.
    pub blob: ObjectId,
    /// What runs it.
    pub interpreter: Interpreter,
    /// Its environment.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub env: Map<String, Value>,
    /// Whether it may be run again if it is not known whether it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub repeatable: bool,
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
    /// What becomes of those that point at it, if it ends.
    #[serde(rename = "onDelete", default, skip_serializing_if = "OnDelete::is_restrict")]
    pub on_delete: OnDelete,
    /// The entities that it points at and that end, where it changes for no other reason.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub follows: BTreeSet<String>,
}

/// How an entity changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EntityOperation {
    /// It begins.
    Create,
    /// It is patched.
    Update,
    /// It is patched if it is there, and begins otherwise.
    Upsert,
    /// It ends.
    Delete,
}

impl EntityOperation {
    /// The word in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Upsert => "upsert",
            Self::Delete => "delete",
        }
    }
}

/// A rule of approval, as data. Whoever one of `users`, `teams`, `forgeTeams` and `owners` names may approve.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Teams of the forge whose members may, `organisation/slug`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forge_teams: Vec<String>,
    /// Entities whose owners may, `blueprint/identifier`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<EntityId>,
    /// Whether everybody with write access may.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub writers: bool,
    /// The repository that they must have write access to as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes_to: Option<RepoName>,
    /// How many must; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// Whether nobody who counts for it counts for another rule that says the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub distinct: bool,
    /// How long an approval counts, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<i64>,
    /// Whether whoever asked, or put something on the branch, counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_approval: bool,
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

/// Why a file that should be ours cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A newer program wrote it.
    #[error("it is written in version {0} of the format, which is newer than this program")]
    Newer(u32),
    /// It is nothing that any version writes.
    #[error("{0}")]
    Wrong(String),
}

/// Reads a `plan.yaml`.
///
/// # Errors
/// Why it is none.
pub fn read_plan(file: &File) -> Result<Arc<Plan>, Unreadable> {
    static READ: Memo<ObjectId, Arc<Plan>> = Memo::new(1_000);
    READ.get(&file.id, || read_plan_text(&file.bytes).map(Arc::new))
}

/// What was planned in version 1 of the format holds pull requests alone, which lie directly in their steps there.
fn read_plan_text(bytes: &[u8]) -> Result<Plan, Unreadable> {
    let mut value: Value = read_versioned(bytes)?;
    if value["version"] == 1 {
        for step in value["steps"].as_array_mut().into_iter().flatten() {
            let Some(fields) = step.as_object_mut() else { continue };
            let id = fields.shift_remove("id");
            *step = serde_json::json!({ "id": id, "pullRequest": fields });
        }
    }
    let plan: Plan =
        serde_json::from_value(value).map_err(|problem| Unreadable::Wrong(problem.to_string()))?;
    match plan.steps.iter().find(|step| step.does().is_none()) {
        Some(step) => Err(Unreadable::Wrong(format!("the step `{}` does nothing", step.id))),
        None => Ok(plan),
    }
}

/// Reads a `run.yaml`.
///
/// # Errors
/// Why it is none.
pub fn read_run(bytes: &[u8]) -> Result<Run, Unreadable> {
    read_versioned(bytes)
}

/// Reads a file that we wrote, if this program knows its version of the format: what a newer one wrote is told by
/// its number, before anything else in it is looked at.
fn read_versioned<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    #[derive(Deserialize)]
    struct Versioned {
        version: u32,
    }
    let wrong = |problem: serde_yaml::Error| Unreadable::Wrong(problem.to_string());
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Wrong("it is not text".to_owned()))?;
    let Versioned { version } = serde_yaml::from_str(text).map_err(wrong)?;
    if version > FORMAT {
        return Err(Unreadable::Newer(version));
    }
    serde_yaml::from_str(text).map_err(wrong)
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
        let told = read_run(b"version: 3\nsomething: new\n").unwrap_err().to_string();
        assert!(told.contains("version 3 of the format, which is newer"), "{told}");
        assert!(read_run(b"version: 1\nsomething: new\n").is_err());
    }

    #[test]
    fn a_plan_of_the_first_version_is_read() {
        let old = b"version: 1\nrequest: a\nasked: { action: x, inputs: {} }\nkey: k\nsteps:\n- { id: code, repository: a/b, base: main, branch: c, title: t, changes: [] }\nentities: []\napproval: []\npins: { action: 0000000000000000000000000000000000000000, templates: {} }\n";
        let plan = read_plan_text(old).unwrap();
        assert!(matches!(plan.steps[0].does(), Some(Does::Pull(pull)) if pull.title == "t"));
    }
}
