//! What happens when a request is carried out? Steps, each of one kind, in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Glob, MergeMode, RepoPath, SecretRef, StepId, TemplateName};

/// One thing that happens when a request is executed. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its identifier.
    pub id: StepId,
    /// The name that people read.
    pub title: Option<String>,
    /// The program that says whether it happens at all.
    pub when: Option<String>,
    /// How long it may take, in seconds.
    pub timeout: Option<i64>,
    /// What follows if it fails.
    pub on_failure: OnFailure,
    /// What it does.
    pub does: StepKind,
}

impl Step {
    /// The pull request that it opens, if it does.
    pub fn pull_request(&self) -> Option<&PullRequestStep> {
        match &self.does {
            StepKind::PullRequest(pull) => Some(pull),
            StepKind::Workflow(_) | StepKind::Webhook(_) | StepKind::Script(_) => None,
        }
    }
}

/// What follows when a step fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Nothing more happens until somebody says so.
    #[default]
    Stop,
    /// The next step.
    Continue,
}

impl OnFailure {
    /// Whether the run stops there.
    pub fn stops(&self) -> bool {
        *self == Self::Stop
    }
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum StepKind {
    /// Opens a pull request in a target repository.
    PullRequest(PullRequestStep),
    /// Starts a workflow of the forge.
    Workflow(WorkflowStep),
    /// Calls a server.
    Webhook(WebhookStep),
    /// Runs a program from the catalog.
    Script(ScriptStep),
}

impl StepKind {
    /// The word in definitions and records.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PullRequest(_) => "pullRequest",
            Self::Workflow(_) => "workflow",
            Self::Webhook(_) => "webhook",
            Self::Script(_) => "script",
        }
    }
}

/// Opens a pull request in a target repository. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct PullRequestStep {
    /// Which repository, `owner/name`; a template.
    pub repository: String,
    /// The template that is rendered.
    pub template: TemplateName,
    /// The title of the pull request.
    pub title: Option<String>,
    /// The text of the pull request.
    pub body: Option<String>,
    /// Its branch.
    pub branch: Option<String>,
    /// Whether Chandlery merges it.
    pub merge: MergeMode,
    /// What it may change that no step may otherwise.
    pub may_change: Vec<Glob>,
    /// The labels that it gets.
    pub labels: Vec<String>,
    /// Whose review is asked for: logins, and teams as `organisation/slug`.
    pub reviewers: Vec<String>,
    /// Whether it is opened as a draft.
    pub draft: bool,
}

/// Starts a workflow. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkflowStep {
    /// Which repository, `owner/name`; a template.
    pub repository: String,
    /// The file of the workflow in `.github/workflows`.
    pub workflow: String,
    /// The branch or tag that it runs on; the default branch if not said.
    pub reference: Option<String>,
    /// Its inputs.
    pub inputs: Map<String, Value>,
    /// The one input that gets all of them as JSON.
    pub inputs_as: Option<String>,
    /// The input that gets what a lost run is found by.
    pub correlation: Option<String>,
    /// Whether it may be started again if it is not known whether it was.
    pub repeatable: bool,
}

/// Calls a server. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookStep {
    /// Where.
    pub url: String,
    /// How: `POST`, …
    pub method: String,
    /// Further headers.
    pub headers: Map<String, Value>,
    /// What is sent, as JSON.
    pub body: Option<Value>,
    /// What signs it.
    pub secret: Option<SecretRef>,
    /// How often it is tried again.
    pub retries: u32,
    /// The answers that mean success; those from 200 to 299 if empty.
    pub success_codes: Vec<u16>,
    /// What its answer gives: programs over `.status`, `.headers` and `.body`.
    pub outputs: BTreeMap<String, String>,
    /// Links, by their title; programs as above.
    pub links: BTreeMap<String, String>,
    /// Whether the step ends only when the server reports.
    pub callback: bool,
}

/// Runs a program from the catalog. Texts are templates.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptStep {
    /// The file below `scripts`.
    pub run: RepoPath,
    /// What runs it.
    pub interpreter: Interpreter,
    /// Its environment.
    pub env: Map<String, Value>,
    /// Whether it may be run again if it is not known whether it was.
    pub repeatable: bool,
}

/// What runs a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interpreter {
    /// `bash`.
    Bash,
    /// `python3`.
    Python,
}

impl Interpreter {
    /// The name of the program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Python => "python3",
        }
    }
}
