//! Commit statuses, which every writer can set, and check runs, which only Apps can.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::local_forge::motion::tell;
use crate::local_forge::objects;
use crate::local_forge::reply::{Answer, Call, Refusal, created, not_found, ok, refuse};
use crate::local_forge::rules;
use crate::local_forge::store::{CheckRun, Permission, Repository, Status};

fn commit(call: &Call<'_>, key: &str, name: &str) -> Result<String, Refusal> {
    let git = call.git(key)?;
    let commit =
        objects::resolve(&git, name).map_err(|_| refuse(422, format!("No commit found for SHA: {name}")))?;
    Ok(commit.id().to_string())
}

pub(crate) fn create_status(call: &mut Call<'_>, key: &str, sha: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let sha = commit(call, key, sha)?;
    let state = call.needed("Status", "state")?;
    if !["error", "failure", "pending", "success"].contains(&state.as_str()) {
        return Err(crate::local_forge::reply::invalid("Status", "state", "invalid", None));
    }
    let creator = call.actor()?;
    let text = |field: &str| call.text(field).map(str::to_owned);
    let (context, description, target_url) = (text("context"), text("description"), text("target_url"));
    let (id, created_at) = (call.state.next_id(), call.state.stamp());
    let context = context.unwrap_or_else(|| "default".to_owned());
    let status = Status { id, sha, state, context, description, target_url, creator, created_at };
    let shown = call.view().status(call.repository(key), &status);
    call.repository_mut(key).statuses.push(status);
    tell(call, key, "status", |_| shown.clone());
    created(shown)
}

pub(crate) fn statuses(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let sha = commit(call, key, name)?;
    let repository = call.repository(key);
    let found: Vec<&Status> = repository.statuses.iter().rev().filter(|status| status.sha == sha).collect();
    let view = call.view();
    call.page(&found, |status| view.status(repository, status))
}

/// The latest status of each context of a commit.
pub(crate) fn latest<'a>(repository: &'a Repository, sha: &str) -> Vec<&'a Status> {
    let mut latest: Vec<&Status> = Vec::new();
    for status in repository.statuses.iter().rev().filter(|status| status.sha == sha) {
        if !latest.iter().any(|known| known.context == status.context) {
            latest.push(status);
        }
    }
    latest
}

/// What the latest statuses come to.
pub(crate) fn combined_state(latest: &[&Status]) -> &'static str {
    let any = |state: &str| latest.iter().any(|status| status.state == state);
    if any("error") || any("failure") {
        "failure"
    } else if latest.is_empty() || any("pending") {
        "pending"
    } else {
        "success"
    }
}

/// The latest status of each context, and what they come to.
pub(crate) fn combined(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let sha = commit(call, key, name)?;
    let repository = call.repository(key);
    let latest = latest(repository, &sha);
    let state = combined_state(&latest);
    let view = call.view();
    call.page_as(&latest, |page| json!({
        "state": state, "sha": sha, "total_count": latest.len(), "repository": view.repository_minimal(repository),
        "statuses": page.iter().map(|status| {
            let mut shown = view.status(repository, status);
            if let Some(fields) = shown.as_object_mut() {
                fields.remove("creator");
            }
            shown
        }).collect::<Vec<_>>(),
        "commit_url": view.api(&format!("repos/{key}/commits/{sha}")),
        "url": view.api(&format!("repos/{key}/commits/{sha}/status")),
    }))
}

fn require_app(call: &Call<'_>, key: &str) -> Result<String, Refusal> {
    call.require(key, Permission::Write)?;
    let user = call.actor_user()?;
    if !user.is_app() {
        return Err(refuse(403, "You must authenticate via a GitHub App."));
    }
    Ok(user.login.clone())
}

/// Takes over what the body says; a conclusion completes the run.
fn fill(call: &Call<'_>, run: &mut CheckRun, at: Timestamp) -> Result<(), Refusal> {
    let text = |field: &str| call.text(field).map(str::to_owned);
    run.name = text("name").unwrap_or_else(|| run.name.clone());
    run.external_id = text("external_id").unwrap_or_else(|| run.external_id.clone());
    run.details_url = text("details_url").or_else(|| run.details_url.take());
    run.status = text("status").unwrap_or_else(|| run.status.clone());
    let time = |field: &str| call.text(field).and_then(|text| text.parse::<Timestamp>().ok());
    run.started_at = time("started_at").or(run.started_at);
    if let Some(conclusion) = text("conclusion") {
        run.conclusion = Some(conclusion);
        "completed".clone_into(&mut run.status);
        run.completed_at = Some(time("completed_at").unwrap_or(at));
    } else if run.status == "completed" && run.conclusion.is_none() {
        return Err(refuse(422, "Invalid request.\n\nMissing required keys: conclusion."));
    } else if run.status != "completed" {
        run.conclusion = None;
        run.completed_at = None;
    }
    if let Some(output) = call.body.get("output").filter(|output| output.is_object()) {
        let field = |name: &str| output[name].as_str().map(str::to_owned);
        run.title = field("title").or_else(|| run.title.take());
        run.summary = field("summary").or_else(|| run.summary.take());
        run.text = field("text").or_else(|| run.text.take());
    }
    Ok(())
}

pub(crate) fn create(call: &mut Call<'_>, key: &str) -> Answer {
    let app = require_app(call, key)?;
    let name = call.needed("CheckRun", "name")?;
    let head = call.needed("CheckRun", "head_sha")?;
    let head = commit(call, key, &head)?;
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let suites = call.repository(key).check_runs.values();
    let suite = suites.into_iter().find(|run| run.app == app && run.head == head).map(|run| run.suite);
    let suite = suite.unwrap_or_else(|| call.state.next_id());
    let mut run = CheckRun {
        id,
        suite,
        name,
        head,
        status: "queued".to_owned(),
        conclusion: None,
        started_at: Some(at),
        completed_at: None,
        external_id: String::new(),
        details_url: None,
        title: None,
        summary: None,
        text: None,
        app,
    };
    fill(call, &mut run, at)?;
    call.repository_mut(key).check_runs.insert(id, run);
    tell_run(call, key, id, "created");
    created(show(call, key, id)?)
}

fn show(call: &Call<'_>, key: &str, id: u64) -> Result<Value, Refusal> {
    let repository = call.repository(key);
    Ok(call.view().check_run(repository, repository.check_runs.get(&id).ok_or_else(not_found)?))
}

fn tell_run(call: &mut Call<'_>, key: &str, id: u64, action: &str) {
    tell(
        call,
        key,
        "check_run",
        |call| json!({"action": action, "check_run": show(call, key, id).unwrap_or_default()}),
    );
}

pub(crate) fn get(call: &Call<'_>, key: &str, id: u64) -> Answer {
    ok(show(call, key, id)?)
}

pub(crate) fn update(call: &mut Call<'_>, key: &str, id: u64) -> Answer {
    let app = require_app(call, key)?;
    let mut run = call.repository(key).check_runs.get(&id).cloned().ok_or_else(not_found)?;
    if run.app != app {
        return Err(refuse(
            403,
            "Invalid app_id. The check run can only be modified by the GitHub App that created it.",
        ));
    }
    let at = call.state.stamp();
    fill(call, &mut run, at)?;
    let action = if run.conclusion.is_some() { "completed" } else { "created" };
    call.repository_mut(key).check_runs.insert(id, run);
    tell_run(call, key, id, action);
    ok(show(call, key, id)?)
}

pub(crate) fn of_commit(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let sha = commit(call, key, name)?;
    let repository = call.repository(key);
    let (wanted, status) = (call.parameter("check_name"), call.parameter("status"));
    let app = call.parameter("app_id").and_then(|id| id.parse::<u64>().ok());
    let everything = call.parameter("filter") == Some("all");
    let mut found: Vec<&CheckRun> = Vec::new();
    for run in repository.check_runs.values().rev().filter(|run| run.head == sha) {
        let by = rules::app_id(call.state, &run.app);
        let fits = wanted.is_none_or(|name| run.name == name)
            && status.is_none_or(|status| run.status == status)
            && app.is_none_or(|id| by == Some(id));
        let newest = !found.iter().any(|known| known.name == run.name && known.app == run.app);
        if fits && (everything || newest) {
            found.push(run);
        }
    }
    let view = call.view();
    call.page_as(&found, |page| {
        json!({
            "total_count": found.len(),
            "check_runs": page.iter().map(|run| view.check_run(repository, run)).collect::<Vec<_>>(),
        })
    })
}

pub(crate) fn suites(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let sha = commit(call, key, name)?;
    let git = call.git(key)?;
    let head = objects::resolve(&git, &sha)?;
    let repository = call.repository(key);
    let view = call.view();
    let mut suites: Vec<&CheckRun> = Vec::new();
    for run in repository.check_runs.values().filter(|run| run.head == sha) {
        if !suites.iter().any(|known| known.suite == run.suite) {
            suites.push(run);
        }
    }
    call.page_as(&suites, |page| {
        let shown = page.iter().map(|run| {
            let runs: Vec<&CheckRun> = repository.check_runs.values().filter(|known| known.suite == run.suite).collect();
            let done = runs.iter().all(|run| run.conclusion.is_some());
            let good = runs.iter().all(|run| run.passed());
            let url = view.api(&format!("repos/{key}/check-suites/{}", run.suite));
            let commit = view.git_commit(key, &head);
            json!({
                "id": run.suite, "node_id": format!("CS_{}", run.suite), "head_branch": null, "head_sha": sha,
                "status": if done { "completed" } else { "in_progress" },
                "conclusion": done.then_some(if good { "success" } else { "failure" }), "url": url, "before": null,
                "after": sha, "pull_requests": [], "app": view.app(&run.app),
                "repository": view.repository_minimal(repository), "created_at": run.started_at,
                "updated_at": run.completed_at.or(run.started_at),
                "head_commit": {
                    "id": sha, "tree_id": head.tree_id().to_string(), "message": commit["message"],
                    "timestamp": commit["committer"]["date"], "author": commit["author"], "committer": commit["committer"],
                },
                "latest_check_runs_count": runs.len(), "check_runs_url": format!("{url}/check-runs"),
            })
        });
        json!({"total_count": suites.len(), "check_suites": shown.collect::<Vec<_>>()})
    })
}
