//! What became of a request?

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ActionId, Login, RepoName, RequestId, StepId, Timestamp};

/// What the labels that tell a stage begin with.
pub const LABELS: &str = "chandlery:";

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It has mistakes; editing it tries again.
    Invalid,
    /// It is planned and waits for people.
    WaitingForApproval,
    /// It is approved and being carried out.
    InProgress,
    /// It was carried out and the catalog knows.
    Success,
    /// It could not be carried out.
    Failure,
    /// It was merged past the rules; nothing was executed.
    Denied,
    /// A person said no.
    Declined,
    /// The requester took it back.
    Cancelled,
    /// It waited for people for too long.
    Expired,
    /// There was nothing to change.
    Noop,
    /// A step did not end in its time.
    TimedOut,
    /// It is not known whether a step was taken, and nobody said what to do.
    Unknown,
}

impl Stage {
    /// Every stage that can be reached.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::WaitingForApproval,
        Self::InProgress,
        Self::Success,
        Self::Failure,
        Self::Denied,
        Self::Declined,
        Self::Cancelled,
        Self::Expired,
        Self::Noop,
        Self::TimedOut,
        Self::Unknown,
    ];

    /// The word in records and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::WaitingForApproval => "waiting_for_approval",
            Self::InProgress => "in_progress",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
            Self::Declined => "declined",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
            Self::Noop => "noop",
            Self::TimedOut => "timed_out",
            Self::Unknown => "unknown",
        }
    }

    /// The colour of its label, in hexadecimal digits.
    pub fn color(self) -> &'static str {
        match self {
            Self::WaitingForApproval => "fbca04",
            Self::InProgress => "1d76db",
            Self::Success => "0e8a16",
            Self::Invalid | Self::Failure | Self::Denied | Self::TimedOut | Self::Unknown => "d73a4a",
            Self::Declined | Self::Cancelled | Self::Expired | Self::Noop => "cfd3d7",
        }
    }

    /// The label of issues and pull requests with such a request.
    pub fn label(self) -> String {
        format!("{LABELS}{}", self.name().replace('_', "-"))
    }

    /// Whether nothing more will happen.
    pub fn is_end(self) -> bool {
        !matches!(self, Self::Invalid | Self::WaitingForApproval | Self::InProgress)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The record of a run, `run.yaml`: one that has ended, or one in progress whose steps must be remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Run {
    /// The version of this format.
    pub version: u32,
    /// Which request.
    pub request: RequestId,
    /// Which action; absent where the request could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionId>,
    /// How it ended; `in_progress` where it has not.
    pub status: Stage,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The key of the plan that was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Who asked.
    pub requesters: Vec<Login>,
    /// For whom, if not for who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Login>,
    /// Whose approval counted.
    pub approved_by: Vec<Login>,
    /// Who had it carried out although it was merged past the rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// The pull request that carried the request; absent when it was pushed past one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<RunPull>,
    /// The follow-up pull requests, one a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<RunPull>,
    /// The other steps that were begun or left out, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<RunStep>,
    /// The entities that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<RunEntity>,
    /// When the request was merged, by the forge's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_at: Option<Timestamp>,
    /// When the last thing that it depends on happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// That an administrator had something carried out past the rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BreakGlass {
    /// Who.
    pub by: Login,
    /// Why, in their words.
    pub reason: String,
}

/// A step of a run that asks something of a backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunStep {
    /// Which.
    pub step: StepId,
    /// What it does: `workflow`, `webhook`, `script`; `pullRequest` where one was left out, or the run went on without it.
    pub kind: String,
    /// How it stands.
    pub state: StepState,
    /// How often it was begun.
    pub attempt: u32,
    /// How often somebody wanted it again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub retries: u32,
    /// The pass that began it: no other may act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<String>,
    /// When it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its number where it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<u64>,
    /// Where to look, by title.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub links: BTreeMap<String, String>,
    /// What it gave.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map<String, Value>,
    /// The last lines of its log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
    /// Why it stands so, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl RunStep {
    /// One of which nothing more is known.
    pub fn new(step: StepId, kind: &str, state: StepState) -> Self {
        Self {
            step,
            kind: kind.to_owned(),
            state,
            attempt: 0,
            retries: 0,
            claim: None,
            started_at: None,
            ended_at: None,
            external_id: None,
            links: BTreeMap::new(),
            outputs: Map::new(),
            log: Vec::new(),
            reason: None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// How a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Whoever claimed it begins it, or has begun it.
    Started,
    /// It runs elsewhere.
    Waiting,
    /// It did what it should.
    Success,
    /// It did not.
    Failure,
    /// It did not end in its time.
    TimedOut,
    /// It was left out.
    Skipped,
    /// It is not known whether it was begun.
    Unknown,
}

impl StepState {
    /// The word in records and expressions.
    pub fn name(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Waiting => "waiting",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::TimedOut => "timed_out",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
        }
    }
}

/// A pull request of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunPull {
    /// The step it belongs to; absent for the request's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepId>,
    /// Where it is.
    pub repository: RepoName,
    /// Its number there.
    pub number: u64,
    /// The commit that merged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge_commit: Option<String>,
    /// Files that were merged with other content than planned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs_in: Vec<String>,
}

/// An entity that a run changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RunEntity {
    /// `create`, `update`, `upsert` or `delete`.
    pub change: String,
    /// The entity, `blueprint/identifier`.
    pub entity: String,
}
