//! Do the steps of an action fit the settings and each other? What they may speak of that is known only later: outputs of
//! the steps before, and secrets, each alone between its brackets.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::{Names, repository, template};
use crate::{
    catalog::{
        Definitions,
        document::{Reader, is_template, join, step::origin},
        values::{Segment, Wrong, trail},
    },
    domain::{Action, Step, StepKind, Timestamp, later},
};

/// References, alone between their brackets; the groups are those of [`later::REFERENCE`].
static REFERENCES: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!(r"\{{\{{{}\}}\}}", later::REFERENCE)).expect("it is a pattern"));

/// Whether secrets may be named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrets {
    Allowed,
    /// Only inputs that say where a secret is.
    OfInputs,
    Refused,
}

/// Where a text stands: which steps are before it, and whether secrets may be named there.
pub(super) struct Later<'a> {
    pub(super) before: BTreeSet<&'a str>,
    pub(super) secrets: Secrets,
}

impl Later<'_> {
    /// Judges a value whose texts may speak of what is known later.
    pub(super) fn check(&self, names: &Names<'_>, value: &Value, path: &[Segment], reader: &mut Reader) {
        match value {
            Value::String(text) => self.check_text(names, text, path, reader),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.check(names, item, &join(path, index), reader);
                }
            }
            Value::Object(entries) => {
                if entries.contains_key(later::PIECES) {
                    let wrong = Wrong::new(
                        "wrong-value",
                        path,
                        format!("has the key `{}`, which is kept for plans", later::PIECES),
                    );
                    reader.wrong(wrong.help("give it another name"));
                }
                for (key, value) in entries {
                    self.check(names, value, &join(path, key.as_str()), reader);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn check_text(&self, names: &Names<'_>, text: &str, path: &[Segment], reader: &mut Reader) {
        for said in REFERENCES.captures_iter(text) {
            if let Some(step) = said.get(1).or(said.get(2)) {
                let step = step.as_str();
                if !self.before.contains(step) {
                    let message = format!("speaks of the step `{step}`, which does not come before");
                    let wrong = Wrong::new("unknown-step", path, message);
                    reader.wrong(wrong.did_you_mean(step, self.before.iter().copied()));
                }
            } else if let Some(wrong) = said.get(8).and_then(|amount| no_amount(amount.as_str(), path)) {
                reader.wrong(wrong);
            } else if said.get(4).is_some() && self.secrets != Secrets::Allowed {
                let wrong = Wrong::new("output-out-of-place", path, "would hold a secret");
                reader.wrong(wrong.help("secrets may stand in the headers, the body and the environment of `webhook` and `script` steps"));
            }
        }
        // What is left is known when it is planned.
        let known = REFERENCES.replace_all(text, |said: &Captures<'_>| {
            match (said.get(5).or(said.get(6)), said.get(8)) {
                (Some(input), _) if self.secrets != Secrets::Refused && names.is_secret(input.as_str()) => {
                    String::new()
                }
                (Some(_), _) => said[0].to_owned(),
                (None, Some(added)) => format!("{{{{ {} }}}}", added.as_str()),
                (None, None) => String::new(),
            }
        });
        names.check(&known, path, reader);
    }
}

/// Where a step stands in its document: those that could not be read stand there, too.
fn path_of(step: &Step, reader: &Reader) -> Vec<Segment> {
    let steps = reader.value.get("steps").and_then(Value::as_array);
    let is_it = |said: &Value| said.get("id").and_then(Value::as_str) == Some(step.id.as_str());
    let index = steps.and_then(|steps| steps.iter().position(is_it)).unwrap_or_default();
    trail!["steps", index].to_vec()
}

/// Notes everything in which a step does not fit the definitions.
pub(super) fn check_step(definitions: &Definitions, step: &Step, reader: &mut Reader) {
    let path = path_of(step, reader);
    match &step.does {
        StepKind::PullRequest(pull) => {
            let path = join(&path, "pullRequest");
            template(definitions, &pull.template, &join(&path, "template"), reader);
            repository(definitions, &pull.repository, &join(&path, "repository"), reader);
        }
        StepKind::Workflow(workflow) => {
            let path = join(&join(&path, "workflow"), "repository");
            repository(definitions, &workflow.repository, &path, reader);
        }
        StepKind::Webhook(webhook) => {
            let known = &definitions.settings.webhooks;
            if let Some(origin) = origin(&webhook.url).filter(|origin| !known.contains(origin)) {
                let path = join(&join(&path, "webhook"), "url");
                let message = format!("calls `{origin}`, which is not among the `webhooks` of the settings");
                let wrong = Wrong::new("webhook-not-allowed", &path, message);
                reader.wrong(
                    wrong.help(format!("add it to `webhooks` in `{}`", definitions.root.settings_path())),
                );
            }
        }
        StepKind::Script(_) if definitions.settings.scripts_as.is_none() => {
            let message = "runs a script, and the settings do not say as whom";
            let wrong = Wrong::new("scripts-not-isolated", &join(&path, "script"), message);
            reader.wrong(wrong.help(format!(
                "say `scripts: {{ as: USER }}` in `{}`: a user of the machine that cannot read what Chandlery can",
                definitions.root.settings_path()
            )));
        }
        StepKind::Script(_) if matches!(definitions.settings.scripts_as.as_deref(), Some("root" | "0")) => {
            let message = "runs a script, and the settings say as root, who can read everything";
            let wrong = Wrong::new("scripts-not-isolated", &join(&path, "script"), message);
            reader.wrong(wrong.help(format!(
                "name another user in `scripts` of `{}`, such as `nobody`",
                definitions.root.settings_path()
            )));
        }
        StepKind::Script(_) => {}
    }
}

/// Reads every text of an action's steps that is a template.
pub(super) fn expressions(action: &Action, names: &Names<'_>, reader: &mut Reader) {
    let mut before = BTreeSet::new();
    for step in &action.steps {
        let path = path_of(step, reader);
        let later = |secrets| Later { before: before.clone(), secrets };
        let mut maps = |map: &Map<String, Value>, secrets, path: &[Segment]| {
            for (name, value) in map {
                later(secrets).check(names, value, &join(path, name.as_str()), reader);
            }
        };
        match &step.does {
            StepKind::PullRequest(pull) => {
                let path = join(&path, "pullRequest");
                let texts = [
                    ("repository", Some(&pull.repository)),
                    ("title", pull.title.as_ref()),
                    ("body", pull.body.as_ref()),
                    ("branch", pull.branch.as_ref()),
                ];
                for (name, text) in texts {
                    let Some(text) = text else { continue };
                    names.check(text, &join(&path, name), reader);
                }
                for (name, texts) in [("labels", &pull.labels), ("reviewers", &pull.reviewers)] {
                    for (index, text) in texts.iter().enumerate() {
                        names.check(text, &join(&join(&path, name), index), reader);
                    }
                }
            }
            StepKind::Workflow(workflow) => {
                let path = join(&path, "workflow");
                maps(&workflow.inputs, Secrets::OfInputs, &join(&path, "inputs"));
                names.check(&workflow.repository, &join(&path, "repository"), reader);
                if let Some(reference) = &workflow.reference {
                    names.check(reference, &join(&path, "ref"), reader);
                }
            }
            StepKind::Webhook(webhook) => {
                let path = join(&path, "webhook");
                maps(&webhook.headers, Secrets::Allowed, &join(&path, "headers"));
                if let Some(body) = &webhook.body {
                    later(Secrets::Allowed).check(names, body, &join(&path, "body"), reader);
                }
                names.check(&webhook.url, &join(&path, "url"), reader);
            }
            StepKind::Script(script) => {
                maps(&script.env, Secrets::Allowed, &join(&join(&path, "script"), "env"));
            }
        }
        before.insert(step.id.as_str());
    }
}

/// Whether a text refers to a step, a secret or the merge.
fn refers_later(text: &str) -> bool {
    REFERENCES.captures_iter(text).any(|said| said.get(5).or(said.get(6)).is_none())
}

/// Why what is added to the time of the merge, if it stands there in quotes, is no amount of time.
fn no_amount(added: &str, path: &[Segment]) -> Option<Wrong> {
    let amount = added.trim_matches(['"', '\'']);
    let is_text = amount != added;
    (is_text && Timestamp::from_seconds(0).after(amount).is_none()).then(|| {
        let wrong = Wrong::new("wrong-value", path, format!("adds `{amount}`, which is no amount of time"));
        wrong.help("write one such as `12h`, `2d` or `1d 12h`")
    })
}

/// Why a text may not speak of the moment of the merge as it does.
pub(super) fn not_merged_yet(text: &str, path: &[Segment]) -> Wrong {
    let wrong = |message| Wrong::new("output-out-of-place", path, message);
    match refers_later(text) {
        true => wrong("speaks of `request.mergedAt` where it is not known yet")
            .help("it may stand in titles and properties of `entities`"),
        false => wrong("works with `request.mergedAt`, which is known only when the request is merged")
            .help("write `{{ request.mergedAt }}` alone between the brackets, or add an amount of time to it: `{{ request.mergedAt + '2d' }}`, `{{ request.mergedAt + inputs.ttl }}`"),
    }
}

/// Why a text may not speak of `steps` or `secrets` where it does.
pub(super) fn out_of_place(first: &str, text: &str, path: &[Segment]) -> Option<Wrong> {
    if !["steps", "secrets"].contains(&first) {
        return None;
    }
    let wrong = if is_template(text) && !refers_later(text) {
        Wrong::new("output-out-of-place", path, format!("works with `{first}`, which are not known yet when it is planned"))
            .help("write `{{ steps.ID.outputs.NAME }}` or `{{ secrets.NAME }}` alone between the brackets, without filters")
    } else {
        Wrong::new("output-out-of-place", path, format!("speaks of `{first}`, which are not known yet when it is planned"))
            .help("outputs may stand in a workflow's inputs, a webhook's headers and body, a script's environment, and titles and properties of entities")
    };
    Some(wrong)
}
