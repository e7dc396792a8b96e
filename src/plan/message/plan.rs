//! What would a plan do, in words and diffs that people read before they agree?

use std::fmt::Write as _;

use serde_json::Value;

use super::{LONGEST, fenced, listed, plain, quoted};
use crate::{
    domain::{SecretRef, later},
    plan::{
        build::Built,
        diff,
        plan_file::{
            Does, EntityOperation, FileChange, Plan, PlannedPull, PlannedRule, PlannedScript, PlannedWebhook,
            PlannedWorkflow,
        },
    },
};

/// What a plan changes, in words and folded diffs, behind so many bytes of the same comment.
pub(super) fn effect(built: &Built, before: usize) -> String {
    let mut text = risks(built);
    text.push_str("\n**What would change**\n\n");
    text.push_str(&summary(&built.plan));
    let tail =
        format!("\nPlan `{}`. `/help` in a comment says what else can be asked here.\n", built.plan.key);
    for section in sections(&built.diff) {
        let folded = format!(
            "\n<details><summary>{}</summary>\n\n{}\n</details>\n",
            section.title,
            fenced("diff", &diff::visible(&section.diff))
        );
        if before + text.len() + folded.len() + tail.len() > LONGEST {
            let _ = writeln!(
                text,
                "\nThe diff of {} is too long for a comment: read `plan.diff` on the branch.",
                section.title
            );
        } else {
            text.push_str(&folded);
        }
    }
    text.push_str(&tail);
    text
}

fn risks(built: &Built) -> String {
    let mut text = String::new();
    if !built.risks.is_empty() {
        text.push_str("\n**Read these twice**\n\n");
        for risk in &built.risks {
            let _ = writeln!(text, "- {risk}");
        }
    }
    text
}

pub(super) fn rules_as_written(plan: &Plan) -> String {
    let mut text = String::from("**Who must approve**\n\n");
    if plan.approval.is_empty() {
        text.push_str("- nobody: the action needs no approval\n");
    }
    for rule in &plan.approval {
        let _ = writeln!(text, "- {}", rule_as_written(rule));
    }
    text
}

/// The plan of a request that nobody has asked yet, for a terminal.
pub fn preview(title: &str, built: &Built) -> String {
    let plan = &built.plan;
    let mut text = format!("{title} (request {})\n{}\n", plan.request, asked(plan));
    text.push_str(&rules_as_written(plan));
    text.push_str(&risks(built));
    let _ = write!(text, "\n**What would change**\n\n{}", summary(plan));
    if built.is_noop() {
        text.push_str("\nNothing would change: it is as asked already.\n");
    }
    if !built.diff.is_empty() {
        let _ = write!(text, "\n{}", diff::visible(&built.diff));
    }
    let _ = writeln!(text, "\nPlan `{}`", plan.key);
    text
}

/// A rule of a plan, in words.
pub(in crate::plan) fn rule_as_written(rule: &PlannedRule) -> String {
    let users = rule.users.iter().map(|login| format!("`{login}`"));
    let teams = rule.teams.iter().map(|team| format!("the team `{team}`"));
    let of_forge = rule.forge_teams.iter().map(|team| format!("the team `{team}`"));
    let owners = rule.owners.iter().map(|id| format!("the owners of `{id}`"));
    let writers = rule.writers.then(|| "people with write access".to_owned());
    let who: Vec<String> = users.chain(teams).chain(of_forge).chain(owners).chain(writers).collect();
    match rule.count {
        Some(count) => format!("**{}**: {count} of {}", plain(&rule.name), listed(&who, "or")),
        None => format!("**{}**: all of {}", plain(&rule.name), listed(&who, "and")),
    }
}

struct Section {
    title: String,
    diff: String,
}

/// The diff, cut where a repository begins.
fn sections(diff: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for line in diff.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("# ") {
            sections
                .push(Section { title: format!("<code>{}</code>", name.trim_end()), diff: String::new() });
        } else if let Some(section) = sections.last_mut() {
            section.diff.push_str(line);
        }
    }
    for section in &mut sections {
        let files = section.diff.lines().filter(|line| line.starts_with("diff --git ")).count();
        let _ = write!(section.title, ": {files} file{}", if files == 1 { "" } else { "s" });
    }
    sections
}

pub(super) fn asked(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(entity) = &plan.asked.entity {
        let _ = writeln!(text, "\n- about {}", quoted(entity.as_str()));
    } else {
        text.push('\n');
    }
    for (name, value) in &plan.asked.inputs {
        let shown = match value {
            Value::String(text) => match text.parse::<SecretRef>() {
                Ok(secret) => quoted(&secret.shown()),
                Err(_) => quoted(text),
            },
            other => quoted(&other.to_string()),
        };
        let _ = writeln!(text, "- {}: {shown}", plain(name));
    }
    if let Some(login) = &plan.asked.on_behalf_of {
        let _ = writeln!(text, "- on behalf of: `{login}`");
    }
    if let Some(reason) = &plan.asked.reason {
        let _ = writeln!(text, "- because: {}", quoted(reason));
    }
    text
}

/// What a plan does, in words.
fn summary(plan: &Plan) -> String {
    let mut text = String::new();
    for step in &plan.steps {
        let what = match step.does() {
            Some(Does::Pull(pull)) => pull_in_words(pull),
            Some(Does::Workflow(workflow)) => workflow_in_words(workflow),
            Some(Does::Webhook(webhook)) => webhook_in_words(webhook),
            Some(Does::Script(script)) => script_in_words(script),
            None => continue,
        };
        let when = step.when.as_ref().map_or_else(String::new, |when| format!(", if {}", quoted(when)));
        let on = if step.on_failure.stops() { "" } else { "; if it fails, it goes on" };
        let _ = writeln!(text, "- {what}{when}{on}");
    }
    if plan.atomic {
        text.push_str("- the pull requests are merged together or not at all\n");
    }
    for entity in &plan.entities {
        let follows: Vec<String> = entity.follows.iter().map(|id| quoted(id)).collect();
        let what = match (entity.change, &follows[..]) {
            (EntityOperation::Create, _) => "is added to the catalog".to_owned(),
            (EntityOperation::Update, []) => "changes in the catalog".to_owned(),
            (EntityOperation::Update, follows) => {
                format!("no longer points at {}", listed(follows, "and"))
            }
            (EntityOperation::Upsert, _) => "is added to the catalog, or changes if it is there".to_owned(),
            (EntityOperation::Delete, []) => "is removed from the catalog".to_owned(),
            (EntityOperation::Delete, follows) => {
                format!("is removed from the catalog, because it points at {}", listed(follows, "and"))
            }
        };
        let _ = writeln!(text, "- {} {what}", quoted(&entity.entity));
    }
    if text.is_empty() {
        text.push_str("- nothing\n");
    }
    text
}

fn pull_in_words(pull: &PlannedPull) -> String {
    let count = |which: fn(&FileChange) -> bool| pull.changes.iter().filter(|change| which(change)).count();
    let new = count(|change| change.before.is_none());
    let gone = count(|change| change.after.is_none());
    let changed = pull.changes.len() - new - gone;
    let mut parts = Vec::new();
    for (number, word) in [(new, "added"), (changed, "changed"), (gone, "deleted")] {
        if number > 0 {
            parts.push(format!("{number} file{} {word}", if number == 1 { "" } else { "s" }));
        }
    }
    let what = if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") };
    let merged = if pull.auto_merge { "merged by Chandlery" } else { "merged by people" };
    let mut text = format!("a pull request in `{}` ({what}), {merged}", pull.repository);
    if pull.first_commit {
        let first = "; the repository is empty, and its branch begins with a commit without files";
        let _ = write!(text, "{first} (`{}`)", pull.base);
    }
    if pull.draft {
        text.push_str(" once somebody says that it is ready (it begins as a draft)");
    }
    let names = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>();
    if !pull.labels.is_empty() {
        let _ = write!(text, "; labelled {}", listed(&names(&pull.labels), "and"));
    }
    if !pull.reviewers.is_empty() {
        let _ = write!(text, "; {} asked to review it", listed(&names(&pull.reviewers), "and"));
    }
    text
}

fn workflow_in_words(workflow: &PlannedWorkflow) -> String {
    let PlannedWorkflow { repository, workflow: file, reference, inputs, inputs_as, .. } = workflow;
    let mut text = format!("the workflow `{file}` of `{repository}` runs on `{reference}`");
    if !inputs.is_empty() {
        let one =
            inputs_as.as_ref().map_or_else(String::new, |name| format!(" (as JSON in {})", quoted(name)));
        let _ = write!(text, " with{one} {}", fields_in_words(inputs));
    }
    text
}

fn webhook_in_words(webhook: &PlannedWebhook) -> String {
    let mut text = format!("{} {}", webhook.method, quoted(&webhook.url));
    if let Some(body) = &webhook.body {
        let body = later::shown(body);
        match &body {
            Value::Object(fields) => {
                let _ = write!(text, " with {}", fields_in_words(fields));
            }
            other => {
                let _ = write!(text, " with {}", quoted(&other.to_string()));
            }
        }
    }
    if !webhook.headers.is_empty() {
        let _ = write!(text, "; headers {}", fields_in_words(&webhook.headers));
    }
    if let Some(secret) = &webhook.secret {
        let _ = write!(text, "; signed with `{secret}`");
    }
    if webhook.callback {
        text.push_str("; ends when it reports");
    }
    text
}

fn script_in_words(script: &PlannedScript) -> String {
    let mut text = format!("the script `{}` runs", script.run);
    if !script.env.is_empty() {
        let _ = write!(text, " with {}", fields_in_words(&script.env));
    }
    text
}

/// Names and values, with what is known later by its name.
fn fields_in_words(fields: &serde_json::Map<String, Value>) -> String {
    let one = |(name, value): (&String, &Value)| {
        let value = match later::shown(value) {
            Value::String(text) => quoted(&text),
            other => quoted(&other.to_string()),
        };
        format!("{} = {value}", plain(name))
    };
    fields.iter().map(one).collect::<Vec<_>>().join(", ")
}
