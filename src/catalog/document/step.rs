//! What may a step of an action say?

use std::collections::BTreeMap;

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Reader, action::MergeDocument, is_template, join};
use crate::{
    catalog::{
        form::check_program,
        values::{Segment, Wrong, trail},
    },
    domain::{
        Branch, Interpreter, OnFailure, PullRequestStep, RepoName, RepoPath, ScriptStep, Step, StepKind,
        WebhookStep, WorkflowStep,
    },
};

/// GitHub takes no more inputs of a workflow: <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#onworkflow_dispatchinputs>
pub(in crate::catalog) const MOST_INPUTS: usize = 25;

/// The longest that a step may take, in seconds: thirty days.
const LONGEST: i64 = 30 * 24 * 3600;

/// The longest that one call of a server may take, in seconds: another pass takes what is not answered for ten minutes as lost.
const LONGEST_CALL: i64 = 300;

/// One thing that happens: exactly one of `pullRequest`, `workflow`, `webhook` and `script`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StepDocument {
    /// Its identifier among the steps.
    id: String,
    /// The name that people read.
    title: Option<String>,
    /// Whether it happens: jq over `.inputs`, `.entity`, `.entities`, `.request`, `.action` and `.steps`.
    #[serde(rename = "if")]
    when: Option<String>,
    /// How long it may take, such as `30m`, `12h` or `7d`.
    timeout: Option<String>,
    /// What follows if it fails: `stop` (if not said) or `continue`.
    on_failure: Option<OnFailureDocument>,
    /// Renders a template into a pull request in another repository.
    pull_request: Option<PullRequestDocument>,
    /// Starts a workflow of GitHub Actions and follows it.
    workflow: Option<WorkflowDocument>,
    /// Calls a server.
    webhook: Option<WebhookDocument>,
    /// Runs a file of the catalog's folder `scripts`.
    script: Option<ScriptDocument>,
}

/// What follows when a step fails.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OnFailureDocument {
    Stop,
    Continue,
}

/// A pull request in another repository. Texts are templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PullRequestDocument {
    /// The repository, `owner/name`, one of those in the settings.
    repository: String,
    /// The folder of templates to render.
    template: String,
    /// The title of the pull request.
    title: Option<String>,
    /// The text of the pull request.
    body: Option<String>,
    /// Its branch.
    branch: Option<String>,
    /// Who merges it; people if not said.
    #[serde(default)]
    merge: MergeDocument,
    /// Files that no step may change unless it is said here, as paths with `*` and `**`: workflows, CODEOWNERS, and the
    /// definitions of the catalog itself.
    #[serde(default)]
    may_change: Vec<String>,
    /// Labels that it gets.
    #[serde(default)]
    labels: Vec<String>,
    /// Whose review is asked for: logins, and teams as `organisation/slug`.
    #[serde(default)]
    reviewers: Vec<String>,
    /// Whether it is opened as a draft, which nobody merges before somebody says that it is ready.
    #[serde(default)]
    draft: bool,
}

/// A workflow of GitHub Actions with `on: workflow_dispatch`. Texts are templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WorkflowDocument {
    /// The repository, `owner/name`, one of those in the settings.
    repository: String,
    /// Its file in `.github/workflows`, such as `apply.yml`.
    workflow: String,
    /// The branch or tag that it runs on; the default branch if not said.
    #[serde(rename = "ref")]
    reference: Option<String>,
    /// Its inputs.
    #[serde(default)]
    inputs: Map<String, Value>,
    /// The one input that gets all of `inputs` as JSON.
    inputs_as: Option<String>,
    /// The input that gets `request/step/attempt`; the workflow puts it into its `run-name`, so that a run is found whose
    /// start was not answered.
    correlation: Option<String>,
    /// Whether it may be started again where it is not known whether it was.
    #[serde(default)]
    repeatable: bool,
}

/// A call of a server. Texts of headers and body are templates.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WebhookDocument {
    /// Where: its beginning, up to the path, is one of `webhooks` in the settings.
    url: String,
    /// `POST` if not said.
    method: Option<MethodDocument>,
    /// Further headers.
    #[serde(default)]
    headers: Map<String, Value>,
    /// What is sent, as JSON.
    body: Option<Value>,
    /// The secret that signs what is sent, `env:NAME`.
    secret: Option<String>,
    /// How often it is tried again where the server is not reached or fails; 2 if not said.
    #[schemars(range(max = 5))]
    retries: Option<u32>,
    /// The codes that mean success; 200 to 299 if not said.
    #[serde(default)]
    success_codes: Vec<u16>,
    /// What the answer gives, by name: jq over `.status`, `.headers` and `.body`.
    #[serde(default)]
    outputs: BTreeMap<String, String>,
    /// Links in the answer, by title: jq over the same.
    #[serde(default)]
    links: BTreeMap<String, String>,
    /// Whether the step ends only when `chandlery report` says so.
    #[serde(default)]
    callback: bool,
}

/// How a server is called.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum MethodDocument {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl MethodDocument {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A program of the catalog.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ScriptDocument {
    /// The file below the folder `scripts` of the catalog.
    run: String,
    /// `bash` or `python`; as the name's ending says if not said.
    interpreter: Option<InterpreterDocument>,
    /// Its environment; texts are templates.
    #[serde(default)]
    #[schemars(schema_with = "environment")]
    env: Map<String, Value>,
    /// Whether it may be run again where it is not known whether it was.
    #[serde(default)]
    repeatable: bool,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum InterpreterDocument {
    Bash,
    Python,
}

fn environment(_: &mut SchemaGenerator) -> schemars::Schema {
    let schema = json!({ "type": "object", "additionalProperties": { "type": ["string", "number", "boolean"] },
        "propertyNames": { "pattern": "^[A-Za-z_][A-Za-z0-9_]*$" } });
    schema.try_into().unwrap_or_default()
}

pub(super) fn steps(documents: Vec<StepDocument>, reader: &mut Reader) -> Vec<Step> {
    let mut made: Vec<Step> = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let path = trail!["steps", index];
        if made.iter().any(|step| step.id.as_str() == document.id) {
            let message = format!("is `{}`, which is another step already", document.id);
            reader.wrong(
                Wrong::new("duplicate-step", &join(&path, "id"), message).help("give each step its own `id`"),
            );
        }
        made.extend(document.into_domain(&path, reader));
    }
    made
}

/// An amount of time such as `30m`, in seconds.
pub(super) fn seconds(said: Option<&str>, path: &[Segment], reader: &mut Reader) -> Option<i64> {
    span(said, LONGEST, path, reader)
}

/// An amount of time of at most so many seconds, in seconds.
pub(super) fn span(said: Option<&str>, longest: i64, path: &[Segment], reader: &mut Reader) -> Option<i64> {
    let text = said?;
    let start = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    let end = text.parse::<jiff::Span>().ok().and_then(|span| start.checked_add(span).ok());
    let seconds = end.map(|end| end.timestamp().as_second()).filter(|length| (1..=longest).contains(length));
    if seconds.is_none() {
        let most = match longest / (24 * 3600) {
            0 => format!("{} minutes", longest / 60),
            days => format!("{days} days"),
        };
        let message = format!("is `{text}`, which is no amount of time of at most {most}");
        reader
            .wrong(Wrong::new("wrong-value", path, message).help("write it as `90s`, `30m`, `12h` or `7d`"));
    }
    seconds
}

impl StepDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<Step> {
        let id = reader.name(&join(path, "id"), &self.id);
        // While a server is called that does not report later, a pass waits for it.
        let longest = if self.webhook.as_ref().is_some_and(|webhook| !webhook.callback) {
            LONGEST_CALL
        } else {
            LONGEST
        };
        let timeout = span(self.timeout.as_deref(), longest, &join(path, "timeout"), reader);
        if let Some(text) = &self.when {
            check_program(text, &join(path, "if"), reader);
        }
        let mut kinds = Vec::new();
        if let Some(pull) = self.pull_request {
            kinds.push(pull.into_domain(&join(path, "pullRequest"), reader));
        }
        if let Some(workflow) = self.workflow {
            kinds.push(workflow.into_domain(&join(path, "workflow"), reader));
        }
        if let Some(webhook) = self.webhook {
            kinds.push(webhook.into_domain(&join(path, "webhook"), reader));
        }
        if let Some(script) = self.script {
            kinds.push(script.into_domain(&join(path, "script"), reader));
        }
        if kinds.len() != 1 {
            let message = "must have exactly one of `pullRequest`, `workflow`, `webhook` and `script`";
            let wrong = Wrong::new("one-kind", path, message);
            reader.wrong(wrong.help("write one step for each thing that happens"));
            return None;
        }
        Some(Step {
            id: id?,
            title: self.title,
            when: self.when,
            timeout,
            on_failure: match self.on_failure {
                None | Some(OnFailureDocument::Stop) => OnFailure::Stop,
                Some(OnFailureDocument::Continue) => OnFailure::Continue,
            },
            does: kinds.pop()??,
        })
    }
}

impl PullRequestDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<StepKind> {
        let Self { repository, template, title, body, branch, merge, labels, reviewers, draft, may_change } =
            self;
        if !is_template(&repository) {
            reader.name::<RepoName>(&join(path, "repository"), &repository);
        }
        if let Some(branch) = branch.as_deref().filter(|branch| !is_template(branch)) {
            reader.name::<Branch>(&join(path, "branch"), branch);
        }
        let template = reader.name(&join(path, "template"), &template)?;
        let may_change = reader.names(&join(path, "mayChange"), &may_change);
        let merge = merge.into();
        let pull = PullRequestStep {
            repository,
            template,
            title,
            body,
            branch,
            merge,
            labels,
            reviewers,
            draft,
            may_change,
        };
        Some(StepKind::PullRequest(pull))
    }
}

impl WorkflowDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<StepKind> {
        let Self { repository, workflow, reference, inputs, inputs_as, correlation, repeatable } = self;
        if !is_template(&repository) {
            reader.name::<RepoName>(&join(path, "repository"), &repository);
        }
        let is_file = workflow.parse::<RepoPath>().is_ok_and(|path| !path.as_str().contains('/'));
        if !is_file || ![".yml", ".yaml"].iter().any(|ending| workflow.ends_with(ending)) {
            let wrong =
                Wrong::new("wrong-value", &join(path, "workflow"), "is not the name of a workflow's file");
            reader.wrong(wrong.help("name a file of `.github/workflows`, such as `apply.yml`"));
        }
        if let Some(reference) = reference.as_deref().filter(|reference| !is_template(reference)) {
            reader.name::<Branch>(&join(path, "ref"), reference);
        }
        let sent = if inputs_as.is_some() { 1 } else { inputs.len() } + usize::from(correlation.is_some());
        if sent > MOST_INPUTS {
            let message = format!("has {sent} entries, and GitHub takes {MOST_INPUTS}");
            let wrong = Wrong::new("too-many-inputs", &join(path, "inputs"), message);
            reader.wrong(
                wrong.help(
                    "say `inputsAs: NAME`, and the workflow gets all of them as JSON in that one input",
                ),
            );
        }
        Some(StepKind::Workflow(WorkflowStep {
            repository,
            workflow,
            reference,
            inputs,
            inputs_as,
            correlation,
            repeatable,
        }))
    }
}

impl WebhookDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<StepKind> {
        if origin(&self.url).is_none() {
            let message = "must begin with `https://` and a server's name that is written out";
            let wrong = Wrong::new("webhook-url", &join(path, "url"), message);
            reader.wrong(
                wrong.help(
                    "inputs may fill in the path, never the server; `http://` is for this machine only",
                ),
            );
        }
        for (key, programs) in [("outputs", &self.outputs), ("links", &self.links)] {
            for (name, text) in programs {
                check_program(text, &join(&join(path, key), name.as_str()), reader);
            }
        }
        for name in self.headers.keys() {
            let is_token = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
            let is_ours = ["host", "content-length", "transfer-encoding", "connection", "idempotency-key"]
                .contains(&name.to_lowercase().as_str())
                || name.to_lowercase().starts_with("x-chandlery-");
            if !is_token || is_ours {
                let wrong = Wrong::new(
                    "wrong-value",
                    &join(&join(path, "headers"), name.as_str()),
                    "is no header that can be set",
                );
                reader.wrong(wrong.about_key().help("take it out, or give it another name"));
            }
        }
        let secret = match &self.secret {
            Some(secret) => {
                let secret = reader.name::<crate::domain::SecretRef>(&join(path, "secret"), secret)?;
                if !secret.as_str().starts_with("env:") {
                    let wrong =
                        Wrong::new("wrong-value", &join(path, "secret"), "is no secret that Chandlery has");
                    reader.wrong(wrong.help(
                        "write it as `env:NAME`; its value is in CHANDLERY_SECRET_NAME where Chandlery runs",
                    ));
                }
                Some(secret)
            }
            None => None,
        };
        Some(StepKind::Webhook(WebhookStep {
            url: self.url,
            method: self.method.unwrap_or(MethodDocument::Post).name().to_owned(),
            headers: self.headers,
            body: self.body,
            secret,
            retries: self.retries.unwrap_or(2),
            success_codes: self.success_codes,
            outputs: self.outputs,
            links: self.links,
            callback: self.callback,
        }))
    }
}

/// The scheme, server and port that an address begins with, if they are written out.
pub fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let is_plain = !authority.is_empty()
        && authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    let host = authority
        .rsplit_once(':')
        .filter(|(_, port)| port.parse::<u16>().is_ok())
        .map_or(authority, |(host, _)| host);
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    let is_fine = scheme == "https" || scheme == "http" && is_loopback;
    // Without a slash, what follows the server's name could make another name of it.
    let ends = rest.len() == authority.len() || rest[authority.len()..].starts_with(['/', '?']);
    (is_plain && is_fine && ends).then(|| format!("{scheme}://{}", authority.to_lowercase()))
}

impl ScriptDocument {
    fn into_domain(self, path: &[Segment], reader: &mut Reader) -> Option<StepKind> {
        let Ok(run) = self.run.parse::<RepoPath>() else {
            let wrong =
                Wrong::new("wrong-value", &join(path, "run"), "is no path below the folder `scripts`");
            reader.wrong(wrong.help("name a file as seen from `scripts`, such as `deploy.sh`"));
            return None;
        };
        let by_ending = match run.extension().as_deref() {
            Some("sh" | "bash") => Some(Interpreter::Bash),
            Some("py") => Some(Interpreter::Python),
            _ => None,
        };
        let said = self.interpreter.map(|said| match said {
            InterpreterDocument::Bash => Interpreter::Bash,
            InterpreterDocument::Python => Interpreter::Python,
        });
        let Some(interpreter) = said.or(by_ending) else {
            let wrong =
                Wrong::new("wrong-value", &join(path, "run"), "does not say by its ending what runs it");
            reader.wrong(wrong.help("call it `….sh` or `….py`, or say `interpreter: bash` or `python`"));
            return None;
        };
        Some(StepKind::Script(ScriptStep { run, interpreter, env: self.env, repeatable: self.repeatable }))
    }
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn the_server_of_an_address_is_written_out() {
        for (url, expected) in [
            ("https://Hooks.acme.test/a/{{ inputs.x }}", Some("https://hooks.acme.test")),
            ("https://hooks.acme.test", Some("https://hooks.acme.test")),
            ("http://127.0.0.1:4000/x", Some("http://127.0.0.1:4000")),
            ("http://hooks.acme.test/", None),
            ("https://{{ inputs.host }}/", None),
            ("https://hooks.acme.test{{ inputs.x }}/", None),
            ("https://hooks.acme.test@evil.test/", None),
            ("https://user:secret@hooks.acme.test/", None),
            ("ftp://hooks.acme.test/", None),
            ("{{ inputs.url }}", None),
        ] {
            assert_eq!(origin(url).as_deref(), expected, "{url}");
        }
    }
}
