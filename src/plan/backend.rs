//! What would a step ask of a backend: a workflow, a server, a script? Everything that can be seen to be wrong before is
//! told here: a workflow that is missing or wants other inputs, a server that may not be called.

use serde_json::{Map, Value};

use crate::{
    catalog::origin,
    domain::{
        Branch, Diagnostic, FileMode, InvalidId, Place, RepoName, RepoPath, ScriptStep, Step, WebhookStep,
        WorkflowStep,
        later::{self, Piece},
        nearest,
    },
    plan::{
        build::{Recipe, Site},
        facts::{Looked, RunsOn},
        plan_file::{PlannedScript, PlannedWebhook, PlannedWorkflow},
        target,
    },
    render,
};

/// The longest address that a server is called by.
const LONGEST_URL: usize = 4_000;

/// Where a step stands in its action.
pub(super) struct Standing<'a> {
    pub(super) site: &'a Site<'a>,
    pub(super) step: &'a Step,
    source: String,
}

impl<'a> Standing<'a> {
    pub(super) fn new(site: &'a Site<'a>, recipe: &Recipe<'_>, step: &'a Step) -> Self {
        let folder = &site.definitions.settings.folders.actions;
        Self { site, step, source: format!("{folder}/{}.yaml", recipe.action.identifier) }
    }

    fn place(&self, field: &str) -> Place {
        let mut place = Place::file(self.source.clone());
        place.field = Some(format!("steps.{}.{}.{field}", self.step.id, self.step.does.name()));
        place
    }

    fn map(
        &self,
        field: &str,
        map: &Map<String, Value>,
        context: &render::Context,
        problems: &mut Vec<Diagnostic>,
    ) -> Map<String, Value> {
        let mut made = Map::new();
        for (name, value) in map {
            match render::payload(value, &self.place(&format!("{field}.{name}")), context) {
                Ok(value) => drop(made.insert(name.clone(), value)),
                Err(problem) => problems.push(problem),
            }
        }
        made
    }
}

pub(super) fn plan_workflow(
    at: &Standing<'_>,
    workflow: &WorkflowStep,
    context: &render::Context,
) -> Looked<Result<PlannedWorkflow, Vec<Diagnostic>>> {
    let place = at.place("repository");
    let (repository, base, head) = match target::repository(at.site, &workflow.repository, &place, context)? {
        Ok((repository, Some((base, head)))) => (repository, base, head),
        Ok((repository, None)) => {
            let problem = Diagnostic::error("repository-empty", place, format!("`{repository}` is empty"));
            return Ok(Err(vec![problem.help("give it the workflow, with a first commit")]));
        }
        Err(problem) => return Ok(Err(vec![problem])),
    };
    let mut problems = Vec::new();
    let path: RepoPath = match format!(".github/workflows/{}", workflow.workflow).parse() {
        Ok(path) => path,
        Err(_) => {
            return Ok(Err(vec![Diagnostic::error(
                "workflow-not-found",
                at.place("workflow"),
                "there is no such workflow",
            )]));
        }
    };
    let reference = match &workflow.reference {
        None => Some(base.clone()),
        Some(template) => match render::text(template, &at.place("ref"), context) {
            Ok(text) => match text.parse::<Branch>() {
                Ok(branch) => Some(branch),
                Err(problem) => {
                    let problem: InvalidId = problem;
                    problems.push(Diagnostic::error("bad-branch", at.place("ref"), problem.to_string()));
                    None
                }
            },
            Err(problem) => {
                problems.push(problem);
                None
            }
        },
    };
    if let Some(reference) = &reference {
        let on = Some(reference).filter(|reference| **reference != base);
        let file = at.site.look.file(&repository, head, &path);
        let seen = at.site.look.workflow(&repository, &workflow.workflow, on);
        let missing = |branch: &Branch| {
            let message = format!("`{repository}` has no `{path}` on its branch `{branch}`");
            let problem = Diagnostic::error("workflow-not-found", at.place("workflow"), message);
            problem.help("the platform team must add it there, or name another")
        };
        match (file?, seen?) {
            (Ok(Some(file)), Ok(seen)) => {
                problems.extend(is_off(at, &repository, &workflow.workflow, seen.state.as_deref()));
                match &seen.on {
                    RunsOn::Unasked => problems.extend(misfits(at, workflow, &file.bytes)),
                    RunsOn::File(bytes) => problems.extend(misfits(at, workflow, bytes)),
                    RunsOn::NoFile => problems.push(missing(reference)),
                    RunsOn::Nothing => {
                        let message = format!("`{repository}` has no branch or tag `{reference}`");
                        let problem = Diagnostic::error("ref-not-found", at.place("ref"), message);
                        problems.push(problem.help("make it there, or have the step name another"));
                    }
                }
            }
            // https://docs.github.com/actions/using-workflows/events-that-trigger-workflows#workflow_dispatch: it must be
            // on the default branch, whatever it runs on.
            (Ok(None), _) => problems.push(missing(&base)),
            (Err(why), _) | (_, Err(why)) => {
                let message = format!("`{path}` could not be read in `{repository}`: {why}");
                let problem = Diagnostic::error("repository-unreachable", at.place("workflow"), message);
                problems.push(problem.help("nothing to do: it is tried again on the next pass"));
            }
        }
    }
    let mut inputs = at.map("inputs", &workflow.inputs, context, &mut problems);
    for (name, value) in &mut inputs {
        problems.extend(name_secrets(at, name, value).err());
    }
    Ok(match reference {
        Some(reference) if problems.is_empty() => Ok(PlannedWorkflow {
            repository,
            workflow: workflow.workflow.clone(),
            reference,
            inputs,
            inputs_as: workflow.inputs_as.clone(),
            correlation: workflow.correlation.clone(),
            repeatable: workflow.repeatable,
        }),
        _ => Err(problems),
    })
}

/// A workflow is told the names of secrets that it has itself; others would stand in its log.
fn name_secrets(at: &Standing<'_>, name: &str, value: &mut Value) -> Result<(), Diagnostic> {
    let named = later::filled(value, &mut |piece| match piece {
        Piece::Secret(secret) if secret.as_str().starts_with("github-secret:") => {
            Ok(Some(Value::String(secret.as_str().to_owned())))
        }
        Piece::Secret(secret) => Err(format!("`{}` cannot be given to a workflow", secret.shown())),
        Piece::Output(..) | Piece::Merged(_) | Piece::Text(_) => Ok(None),
    });
    *value = named.map_err(|message| {
        Diagnostic::error("secret-for-workflow", at.place(&format!("inputs.{name}")), message)
            .help("a workflow takes secrets from its repository: name one as `github-secret:NAME`")
    })?;
    Ok(())
}

/// That a workflow is switched off.
fn is_off(at: &Standing<'_>, repository: &RepoName, file: &str, state: Option<&str>) -> Option<Diagnostic> {
    // https://docs.github.com/rest/actions/workflows#get-a-workflow
    let why = match state? {
        "disabled_inactivity" => ", by the forge, since nothing happened in the repository for long",
        "disabled_fork" => ", as all are in a new fork",
        state if state.starts_with("disabled") => "",
        _ => return None,
    };
    let message = format!("the workflow `{file}` of `{repository}` is switched off{why}");
    let problem = Diagnostic::error("workflow-disabled", at.place("workflow"), message);
    Some(problem.help(format!(
        "whoever may write to `{repository}` can switch it on: `gh workflow enable {file} --repo {repository}`"
    )))
}

/// In what a workflow's file does not go with the step.
fn misfits(at: &Standing<'_>, step: &WorkflowStep, bytes: &[u8]) -> Vec<Diagnostic> {
    let file = &step.workflow;
    let platform = "the platform team must mend the workflow or the action";
    let Ok(read) = serde_yaml::from_slice::<Value>(bytes) else {
        let message = format!("the workflow `{file}` cannot be read");
        return vec![Diagnostic::error("workflow-unusable", at.place("workflow"), message).help(platform)];
    };
    let on = &read["on"];
    let is_named = on == "workflow_dispatch"
        || on.as_array().is_some_and(|events| events.iter().any(|event| event == "workflow_dispatch"))
        || on.get("workflow_dispatch").is_some();
    if !is_named {
        let message = format!("the workflow `{file}` has no `workflow_dispatch` among its events");
        return vec![Diagnostic::error("workflow-unusable", at.place("workflow"), message).help(platform)];
    }
    let declared = on["workflow_dispatch"]["inputs"].as_object().cloned().unwrap_or_default();
    let sent: Vec<&String> = match &step.inputs_as {
        Some(one) => [one].into_iter().chain(&step.correlation).collect(),
        None => step.inputs.keys().chain(&step.correlation).collect(),
    };
    let mut problems = Vec::new();
    for name in &sent {
        if !declared.contains_key(*name) {
            let message = format!("the workflow `{file}` has no input `{name}`");
            let problem = Diagnostic::error("workflow-input", at.place("inputs"), message);
            problems.push(match nearest(name, declared.keys().map(String::as_str)) {
                Some(near) => problem.help(format!("did you mean `{near}`?")),
                None => problem.help(platform),
            });
        }
    }
    for (name, input) in &declared {
        let is_required = input["required"] == true && input.get("default").is_none_or(Value::is_null);
        if is_required && !sent.contains(&name) {
            let message =
                format!("the workflow `{file}` requires the input `{name}`, and the step does not give it");
            problems.push(Diagnostic::error("workflow-input", at.place("inputs"), message).help(platform));
        }
    }
    problems
}

pub(super) fn plan_webhook(
    at: &Standing<'_>,
    webhook: &WebhookStep,
    context: &render::Context,
) -> Result<PlannedWebhook, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let allowed = &at.site.definitions.settings.webhooks;
    let server = origin(&webhook.url);
    if server.as_ref().is_none_or(|server| !allowed.contains(server)) {
        let server = server.unwrap_or_else(|| webhook.url.clone());
        let message = format!("`{server}` is not among the servers that may be called");
        let problem = Diagnostic::error("webhook-not-allowed", at.place("url"), message);
        problems.push(problem.help("the platform team must add it to `webhooks` in chandlery.yaml"));
    }
    let url = match render::url(&webhook.url, &at.place("url"), context) {
        Ok(url) if url.len() <= LONGEST_URL && origin(&url) == origin(&webhook.url) => url,
        Ok(_) => {
            let problem = Diagnostic::error("webhook-url", at.place("url"), "the address cannot be used");
            problems.push(problem.help("change the input that is part of it"));
            String::new()
        }
        Err(problem) => {
            problems.push(problem);
            String::new()
        }
    };
    let headers = at.map("headers", &webhook.headers, context, &mut problems);
    let body = match webhook.body.as_ref().map(|body| render::payload(body, &at.place("body"), context)) {
        None => None,
        Some(Ok(body)) => Some(body),
        Some(Err(problem)) => {
            problems.push(problem);
            None
        }
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(PlannedWebhook {
        method: webhook.method.clone(),
        url,
        headers,
        body,
        secret: webhook.secret.clone(),
        retries: webhook.retries,
        success_codes: webhook.success_codes.clone(),
        outputs: webhook.outputs.clone(),
        links: webhook.links.clone(),
        callback: webhook.callback,
    })
}

pub(super) fn plan_script(
    at: &Standing<'_>,
    script: &ScriptStep,
    context: &render::Context,
) -> Looked<Result<PlannedScript, Vec<Diagnostic>>> {
    let Site { look, here, definitions, catalog, .. } = at.site;
    let mut problems = Vec::new();
    if definitions.settings.scripts_as.is_none() {
        let problem = Diagnostic::error(
            "scripts-not-isolated",
            at.place("run"),
            "this catalog runs no scripts: its settings do not say as whom",
        );
        problems.push(problem.help("the platform team must say `scripts: { as: USER }` in chandlery.yaml"));
    }
    let folder = definitions.root.0.as_ref().map_or_else(String::new, |root| format!("{root}/"));
    let Ok(run) = format!("{folder}scripts/{}", script.run).parse::<RepoPath>() else {
        let message = format!("`scripts/{}` is no file", script.run);
        return Ok(Err(vec![Diagnostic::error("script-not-found", at.place("run"), message)]));
    };
    let blob = match look.file(&here.catalog, *catalog, &run)? {
        Ok(Some(file)) if matches!(file.mode, FileMode::File | FileMode::Executable) => Some(file.id),
        Ok(_) => {
            let message = format!("there is no file `{run}` in the catalog");
            let problem = Diagnostic::error("script-not-found", at.place("run"), message);
            problems.push(problem.help("the platform team must add it, or name another"));
            None
        }
        Err(why) => {
            let message = format!("`{run}` could not be read: {why}");
            let problem = Diagnostic::error("repository-unreachable", at.place("run"), message);
            problems.push(problem.help("nothing to do: it is tried again on the next pass"));
            None
        }
    };
    let env = at.map("env", &script.env, context, &mut problems);
    Ok(match blob {
        Some(blob) if problems.is_empty() => Ok(PlannedScript {
            run,
            blob,
            interpreter: script.interpreter,
            env,
            repeatable: script.repeatable,
        }),
        _ => Err(problems),
    })
}
