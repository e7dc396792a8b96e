//! Runs of workflows. Nothing runs here: a run that was started is queued until the control endpoint says what became of it.
//! <https://docs.github.com/rest/actions/workflow-runs>, <https://docs.github.com/rest/actions/workflow-jobs>

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::actions::{find, workflow_id};
use crate::local_forge::objects;
use crate::local_forge::render::node;
use crate::local_forge::reply::{Answer, Body, Call, Refusal, Reply, not_found, ok, refuse};
use crate::local_forge::store::Permission;

/// A run that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Run {
    id: u64,
    number: u64,
    path: String,
    name: String,
    title: String,
    actor: String,
    branch: String,
    commit: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// `queued`, `in_progress` or `completed`.
    status: String,
    conclusion: Option<String>,
    /// One that waits, until it is told which there are.
    #[serde(default)]
    jobs: Vec<Job>,
    pub(crate) inputs: Value,
}

/// A job of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Job {
    id: u64,
    name: String,
    status: String,
    conclusion: Option<String>,
    log: String,
}

/// What the control endpoint is told.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Move {
    repository: String,
    /// The newest that has not ended when absent.
    run: Option<u64>,
    /// Of this workflow's file only.
    workflow: Option<String>,
    #[serde(default = "completed")]
    status: String,
    conclusion: Option<String>,
    /// What the newest job said.
    #[serde(default)]
    log: String,
    /// The jobs that there are, instead of those known before.
    #[serde(default)]
    jobs: Vec<MovedJob>,
}

/// A job as the control endpoint is told of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MovedJob {
    name: String,
    #[serde(default = "completed")]
    status: String,
    conclusion: Option<String>,
    #[serde(default)]
    log: String,
}

/// What has ended has a conclusion.
fn conclusion(status: &str, said: Option<&String>) -> Option<String> {
    (status == "completed").then(|| said.map_or_else(|| "success".to_owned(), String::clone))
}

fn completed() -> String {
    "completed".to_owned()
}

/// Starts a run; gives back its number.
pub(super) fn start(
    call: &mut Call<'_>,
    key: &str,
    path: &str,
    name: &str,
    run_name: Option<&str>,
    branch: &str,
    inputs: &Value,
) -> Result<u64, Refusal> {
    let mut title = run_name.unwrap_or(name).to_owned();
    for (name, value) in inputs.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        title = title.replace(&format!("${{{{ inputs.{name} }}}}"), &value);
    }
    let git = call.git(key)?;
    let commit = objects::resolve(&git, branch)?.id().to_string();
    let (id, at, actor) = (call.state.next_id(), call.state.stamp(), call.actor()?);
    let runs = &mut call.repository_mut(key).runs;
    let number = runs.len() as u64 + 1;
    runs.push(Run {
        id,
        number,
        path: path.to_owned(),
        name: name.to_owned(),
        title,
        actor,
        branch: branch.to_owned(),
        commit,
        created_at: at,
        updated_at: at,
        status: "queued".to_owned(),
        conclusion: None,
        jobs: vec![Job {
            id,
            name: "run".to_owned(),
            status: "queued".to_owned(),
            conclusion: None,
            log: String::new(),
        }],
        inputs: inputs.clone(),
    });
    Ok(id)
}

/// The control endpoint moves a run.
pub(crate) fn move_on(call: &mut Call<'_>, wanted: &Move) -> Answer {
    let at = call.state.stamp();
    let ids: Vec<u64> = wanted.jobs.iter().map(|_| call.state.next_id()).collect();
    let repository = call.state.repositories.get_mut(&wanted.repository).ok_or_else(not_found)?;
    let is_meant = |run: &&mut Run| match (wanted.run, &wanted.workflow) {
        (Some(id), _) => run.id == id,
        (None, Some(file)) => run.status != "completed" && run.path.ends_with(&format!("/{file}")),
        (None, None) => run.status != "completed",
    };
    let run = repository.runs.iter_mut().rev().find(is_meant).ok_or_else(not_found)?;
    run.status.clone_from(&wanted.status);
    run.conclusion = conclusion(&wanted.status, wanted.conclusion.as_ref());
    run.updated_at = at;
    if wanted.jobs.is_empty() {
        for job in &mut run.jobs {
            job.status.clone_from(&run.status);
            job.conclusion.clone_from(&run.conclusion);
        }
    } else {
        let told = |(id, MovedJob { name, status, conclusion: said, log }): (u64, MovedJob)| Job {
            id,
            name,
            conclusion: conclusion(&status, said.as_ref()),
            status,
            log,
        };
        run.jobs = ids.into_iter().zip(wanted.jobs.clone()).map(told).collect();
    }
    if let Some(job) = run.jobs.last_mut() {
        job.log.push_str(&wanted.log);
    }
    ok(json!({ "id": run.id, "status": run.status, "inputs": run.inputs }))
}

pub(super) fn route(call: &mut Call<'_>, key: &str, rest: &[&str]) -> Answer {
    match (call.method, rest) {
        ("GET", ["runs"]) => list(call, key, None),
        ("GET", ["workflows", file, "runs"]) => {
            let path = find(call, key, file)?.path;
            list(call, key, Some(&path))
        }
        ("GET", ["runs", id]) => ok(show(call, key, run(call, key, id)?)),
        ("GET", ["runs", id, "jobs"]) => {
            let run = run(call, key, id)?;
            call.page_as(&run.jobs, |page| {
                let shown: Vec<Value> = page.iter().map(|job| show_job(call, key, run, job)).collect();
                json!({ "total_count": run.jobs.len(), "jobs": shown })
            })
        }
        ("GET", ["jobs", id]) => {
            let (run, job) = job(call, key, id)?;
            ok(show_job(call, key, run, job))
        }
        ("GET", ["jobs", id, "logs"]) => {
            let id = job(call, key, id)?.1.id;
            let location = call.view().api(&format!("repos/{key}/actions/jobs/{id}/log-file"));
            Ok(Reply { status: 302, body: Body::Empty, headers: vec![("location", location)] })
        }
        ("GET", ["jobs", id, "log-file"]) => {
            let log = job(call, key, id)?.1.log.clone();
            Ok(Reply::raw("text/plain; charset=utf-8", log.into_bytes()))
        }
        ("POST", ["runs", id, "cancel"]) => {
            call.require(key, Permission::Write)?;
            let (id, at) = (run(call, key, id)?.id, call.state.stamp());
            let runs = &mut call.repository_mut(key).runs;
            let open = runs.iter_mut().find(|run| run.id == id && run.status != "completed");
            let run = open.ok_or_else(|| refuse(409, "Cannot cancel a workflow run that is completed."))?;
            run.status = completed();
            run.conclusion = Some("cancelled".to_owned());
            for job in run.jobs.iter_mut().filter(|job| job.status != "completed") {
                job.status = completed();
                job.conclusion.clone_from(&run.conclusion);
            }
            run.updated_at = at;
            Ok(Reply::json(202, json!({})))
        }
        _ => Err(not_found()),
    }
}

/// A run by its number.
fn run<'a>(call: &'a Call<'_>, key: &str, id: &str) -> Result<&'a Run, Refusal> {
    let runs = &call.repository(key).runs;
    runs.iter().find(|run| run.id.to_string() == id).ok_or_else(not_found)
}

/// A job by its number, and its run.
fn job<'a>(call: &'a Call<'_>, key: &str, id: &str) -> Result<(&'a Run, &'a Job), Refusal> {
    let all = call.repository(key).runs.iter().flat_map(|run| run.jobs.iter().map(move |job| (run, job)));
    let mut found = all.filter(|(_, job)| job.id.to_string() == id);
    found.next().ok_or_else(not_found)
}

fn list(call: &Call<'_>, key: &str, path: Option<&str>) -> Answer {
    let (event, status) = (call.parameter("event"), call.parameter("status"));
    let runs = call.repository(key).runs.iter().rev();
    let found: Vec<&Run> = runs
        .filter(|run| path.is_none_or(|path| run.path == path))
        .filter(|_| event.is_none_or(|event| event == "workflow_dispatch"))
        .filter(|run| status.is_none_or(|word| run.status == word || run.conclusion.as_deref() == Some(word)))
        .collect();
    call.page_as(&found, |page| {
        let shown: Vec<Value> = page.iter().map(|run| show(call, key, run)).collect();
        json!({ "total_count": found.len(), "workflow_runs": shown })
    })
}

fn show(call: &Call<'_>, key: &str, run: &Run) -> Value {
    let repository = call.repository(key);
    let view = call.view();
    let Run {
        id, number, path, name, title, branch, commit, created_at, updated_at, status, conclusion, ..
    } = run;
    let api = |path: &str| view.api(&format!("repos/{key}/actions/{path}"));
    let at = format!("runs/{id}");
    let workflow = workflow_id(path);
    json!({
        "id": id, "node_id": node("WFR", *id), "name": name, "display_title": title, "run_number": number, "run_attempt": 1,
        "event": "workflow_dispatch", "status": status, "conclusion": conclusion, "head_branch": branch, "head_sha": commit,
        "path": path, "workflow_id": workflow, "check_suite_id": id, "check_suite_node_id": node("CS", *id),
        "pull_requests": [], "created_at": created_at, "updated_at": updated_at, "run_started_at": created_at,
        "actor": view.user(&run.actor), "triggering_actor": view.user(&run.actor),
        "url": api(&at), "html_url": format!("{}/{key}/actions/{at}", call.shared.url), "jobs_url": api(&format!("{at}/jobs")),
        "logs_url": api(&format!("{at}/logs")), "check_suite_url": view.api(&format!("repos/{key}/check-suites/{id}")),
        "artifacts_url": api(&format!("{at}/artifacts")), "cancel_url": api(&format!("{at}/cancel")),
        "rerun_url": api(&format!("{at}/rerun")), "previous_attempt_url": null, "workflow_url": api(&format!("workflows/{workflow}")),
        "head_commit": {"id": commit, "tree_id": commit, "message": "", "timestamp": created_at, "author": null, "committer": null},
        "repository": view.repository_minimal(repository), "head_repository": view.repository_minimal(repository),
    })
}

fn show_job(call: &Call<'_>, key: &str, run: &Run, job: &Job) -> Value {
    let Run { id: of, name: workflow, branch, commit, created_at, updated_at, .. } = run;
    let Job { id, name, status, conclusion, .. } = job;
    let view = call.view();
    let api = |path: &str| view.api(&format!("repos/{key}/{path}"));
    let completed = (status == "completed").then_some(updated_at);
    json!({
        "id": id, "run_id": of, "run_url": api(&format!("actions/runs/{of}")), "run_attempt": 1, "node_id": node("CR", *id),
        "head_sha": commit, "head_branch": branch, "url": api(&format!("actions/jobs/{id}")),
        "html_url": format!("{}/{key}/actions/runs/{of}/job/{id}", call.shared.url), "status": status, "conclusion": conclusion,
        "created_at": created_at, "started_at": created_at, "completed_at": completed, "name": name, "steps": [],
        "check_run_url": api(&format!("check-runs/{id}")), "labels": ["ubuntu-latest"], "runner_id": null, "runner_name": null,
        "runner_group_id": null, "runner_group_name": null, "workflow_name": workflow,
    })
}
