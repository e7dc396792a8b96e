//! GitHub Actions as far as it is set up: whether it runs, which workflows there are, secrets' names, and the calls
//! that start something. Nothing ever runs here; what was started is in `runs`.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use super::runs;
use crate::local_forge::motion::tell;
use crate::local_forge::objects;
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, invalid, not_found, ok, refuse};
use crate::local_forge::store::{Permission, Repository};

const FOLDER: &str = ".github/workflows";

/// A file of the default branch that GitHub takes for a workflow.
pub(super) struct Workflow {
    id: u64,
    name: String,
    pub(super) path: String,
    run_name: Option<String>,
}

pub(crate) fn route(call: &mut Call<'_>, key: &str, rest: &[&str]) -> Answer {
    match (call.method, rest) {
        (_, ["permissions"]) => permissions(call, key),
        ("GET", ["workflows"]) => {
            let all = workflows(call, key)?;
            call.page_as(&all, |page| {
                let shown: Vec<Value> = page.iter().map(|one| show(call, key, one)).collect();
                json!({"total_count": all.len(), "workflows": shown})
            })
        }
        ("GET", ["workflows", id]) => ok(show(call, key, &find(call, key, id)?)),
        ("PUT", ["workflows", id, "enable" | "disable"]) => {
            call.require(key, Permission::Write)?;
            let path = find(call, key, id)?.path;
            let disabled = &mut call.repository_mut(key).setup.disabled_workflows;
            let _ = if rest[2] == "enable" { disabled.remove(&path) } else { disabled.insert(path) };
            Ok(Reply::empty())
        }
        ("POST", ["workflows", id, "dispatches"]) => dispatch(call, key, id),
        (_, ["runs" | "jobs", ..]) | ("GET", ["workflows", _, "runs"]) => runs::route(call, key, rest),
        (_, ["secrets", rest @ ..]) => {
            call.require(key, if call.method == "GET" { Permission::Write } else { Permission::Admin })?;
            secrets(call, key, rest, |repository| Some(&mut repository.setup.secrets))
        }
        ("GET", ["organization-secrets"]) => {
            call.require(key, Permission::Write)?;
            let organization = call.state.organizations.get(&call.repository(key).owner);
            let names = organization.map(|known| known.secrets.clone()).unwrap_or_default();
            list_secrets(call, &names)
        }
        _ => Err(not_found()),
    }
}

fn permissions(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    match call.method {
        "GET" => {
            let mut shown = json!({"enabled": call.repository(key).setup.actions});
            if shown["enabled"] == true {
                shown["allowed_actions"] = "all".into();
            }
            ok(shown)
        }
        "PUT" => {
            let enabled =
                call.flag("enabled").ok_or_else(|| invalid("Actions", "enabled", "missing_field", None))?;
            call.repository_mut(key).setup.actions = enabled;
            Ok(Reply::empty())
        }
        _ => Err(not_found()),
    }
}

/// Secrets are remembered by name; what they hold is thrown away.
pub(crate) fn secrets(
    call: &mut Call<'_>,
    key: &str,
    rest: &[&str],
    of: impl for<'a> Fn(&'a mut Repository) -> Option<&'a mut BTreeSet<String>>,
) -> Answer {
    let names = of(call.repository_mut(key)).ok_or_else(not_found)?.clone();
    match (call.method, rest) {
        ("GET", []) => list_secrets(call, &names),
        ("PUT", [name]) => {
            call.needed("Secret", "encrypted_value")?;
            let slot = of(call.repository_mut(key)).ok_or_else(not_found)?;
            let new = slot.insert(name.to_uppercase());
            Ok(if new { Reply::json(201, json!({})) } else { Reply::empty() })
        }
        ("DELETE", [name]) => {
            let slot = of(call.repository_mut(key)).ok_or_else(not_found)?;
            if slot.remove(*name) { Ok(Reply::empty()) } else { Err(not_found()) }
        }
        _ => Err(not_found()),
    }
}

fn list_secrets(call: &Call<'_>, names: &BTreeSet<String>) -> Answer {
    let all: Vec<&String> = names.iter().collect();
    let at = call.state.now();
    call.page_as(&all, |page| {
        let shown: Vec<Value> =
            page.iter().map(|name| json!({"name": name, "created_at": at, "updated_at": at})).collect();
        json!({"total_count": all.len(), "secrets": shown})
    })
}

fn workflows(call: &Call<'_>, key: &str) -> Result<Vec<Workflow>, Refusal> {
    let git = call.git(key)?;
    let Ok(commit) = objects::resolve(&git, &call.repository(key).default_branch) else {
        return Ok(Vec::new());
    };
    let tree = commit.tree()?;
    let Ok(entry) = tree.get_path(std::path::Path::new(FOLDER)) else {
        return Ok(Vec::new());
    };
    let folder = entry.to_object(&git)?.peel_to_tree()?;
    let mut found = Vec::new();
    for entry in &folder {
        let file = String::from_utf8_lossy(entry.name_bytes()).into_owned();
        if !file.ends_with(".yml") && !file.ends_with(".yaml") {
            continue;
        }
        let Ok(blob) = git.find_blob(entry.id()) else { continue };
        let path = format!("{FOLDER}/{file}");
        let text: Value = serde_yaml::from_slice(blob.content()).unwrap_or_default();
        let name = text["name"].as_str().unwrap_or(&path).to_owned();
        let run_name = text["run-name"].as_str().map(str::to_owned);
        found.push(Workflow { id: workflow_id(&path), name, path, run_name });
    }
    Ok(found)
}

/// The number of the workflow with this path.
pub(super) fn workflow_id(path: &str) -> u64 {
    let digest = Sha1::digest(path.as_bytes());
    u64::from(u32::from_be_bytes([digest[0] >> 1, digest[1], digest[2], digest[3]]))
}

/// A workflow by its number or the name of its file.
pub(super) fn find(call: &Call<'_>, key: &str, id: &str) -> Result<Workflow, Refusal> {
    let is_meant = |one: &Workflow| one.id.to_string() == id || one.path == format!("{FOLDER}/{id}");
    workflows(call, key)?.into_iter().find(is_meant).ok_or_else(not_found)
}

fn show(call: &Call<'_>, key: &str, workflow: &Workflow) -> Value {
    let repository = call.repository(key);
    let Workflow { id, name, path, .. } = workflow;
    let state =
        if repository.setup.disabled_workflows.contains(path) { "disabled_manually" } else { "active" };
    let html = format!("{}/{key}", call.shared.url);
    json!({
        "id": id, "node_id": format!("W_{id}"), "name": name, "path": path, "state": state,
        "created_at": repository.created_at, "updated_at": repository.updated_at,
        "url": call.view().api(&format!("repos/{key}/actions/workflows/{id}")),
        "html_url": format!("{html}/blob/{}/{path}", repository.default_branch),
        "badge_url": format!("{html}/workflows/{}/badge.svg", super::super::reply::encode(name)),
    })
}

/// <https://docs.github.com/rest/actions/workflows#create-a-workflow-dispatch-event>
fn dispatch(call: &mut Call<'_>, key: &str, id: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let workflow = find(call, key, id)?;
    let reference = call.needed("Workflow", "ref")?;
    let Some(full) = branch_or_tag(call, key, &reference) else {
        return Err(refuse(422, format!("No ref found for: {reference}")));
    };
    let on = events(call, key, &full, &workflow.path)?;
    let by_hand = on.get("workflow_dispatch").is_some()
        || on == "workflow_dispatch"
        || on.as_array().is_some_and(|events| events.iter().any(|event| event == "workflow_dispatch"));
    if !by_hand {
        return Err(refuse(422, "Workflow does not have 'workflow_dispatch' trigger"));
    }
    if call.repository(key).setup.disabled_workflows.contains(&workflow.path) {
        return Err(refuse(422, "Cannot trigger a 'workflow_dispatch' on a disabled workflow"));
    }
    let inputs = call.body.get("inputs").cloned().unwrap_or(Value::Null);
    tell(
        call,
        key,
        "workflow_dispatch",
        |_| json!({"ref": full, "workflow": workflow.path, "inputs": inputs}),
    );
    let branch = full.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/").to_owned();
    let Workflow { path, name, run_name, .. } = &workflow;
    let run = runs::start(call, key, path, name, run_name.as_deref(), &branch, &inputs)?;
    if call.flag("return_run_details") != Some(true) {
        return Ok(Reply::empty());
    }
    ok(json!({
        "workflow_run_id": run, "run_url": call.view().api(&format!("repos/{key}/actions/runs/{run}")),
        "html_url": format!("{}/{key}/actions/runs/{run}", call.shared.url),
    }))
}

/// What starts a workflow, as its file on a branch or tag says.
fn events(call: &Call<'_>, key: &str, full: &str, path: &str) -> Result<Value, Refusal> {
    let git = call.git(key)?;
    let tree = objects::resolve(&git, full)?.tree()?;
    let Ok(entry) = tree.get_path(std::path::Path::new(path)) else {
        return Ok(Value::Null);
    };
    let blob = git.find_blob(entry.id())?;
    let text: Value = serde_yaml::from_slice(blob.content()).unwrap_or_default();
    Ok(text["on"].clone())
}

/// The full name of what a workflow is to run on; of a branch and a tag with one name, the branch.
fn branch_or_tag(call: &Call<'_>, key: &str, reference: &str) -> Option<String> {
    let refs = &call.repository(key).refs;
    let full = ["refs/heads/", "refs/tags/"]
        .map(|prefix| format!("{prefix}{}", reference.trim_start_matches(prefix)));
    full.into_iter().find(|full| refs.contains_key(full))
}

/// <https://docs.github.com/rest/repos/repos#create-a-repository-dispatch-event>
pub(crate) fn repository_dispatch(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let action = call.needed("RepositoryDispatch", "event_type")?;
    let payload = call.body.get("client_payload").cloned().unwrap_or_else(|| json!({}));
    tell(
        call,
        key,
        "repository_dispatch",
        |call| json!({"action": action, "branch": call.repository(key).default_branch, "client_payload": payload}),
    );
    Ok(Reply::empty())
}

/// Which lines of CODEOWNERS name somebody who cannot own: <https://docs.github.com/rest/repos/repos#list-codeowners-errors>.
pub(crate) fn codeowners_errors(call: &Call<'_>, key: &str) -> Answer {
    let git = call.git(key)?;
    let repository = call.repository(key);
    let revision = call.parameter("ref").unwrap_or(&repository.default_branch);
    let tree = objects::resolve(&git, revision)?.tree()?;
    let places = [".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"];
    let found = places.iter().find_map(|path| Some((*path, tree.get_path(std::path::Path::new(path)).ok()?)));
    let (path, entry) = found.ok_or_else(not_found)?;
    let blob = git.find_blob(entry.id())?;
    let text = String::from_utf8_lossy(blob.content()).into_owned();
    let mut errors = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        for owner in line.split_whitespace().skip(1) {
            let (kind, message) = match owner.strip_prefix('@') {
                Some(name) if can_own(call, repository, name) => continue,
                Some(_) => ("Unknown owner", "make sure it exists and has write access to the repository"),
                None if owner.contains('@') => continue,
                None => ("Invalid owner", "owners are @user, @organization/team or an e-mail address"),
            };
            let column = line.find(owner).unwrap_or_default() + 1;
            errors.push(json!({
                "line": index + 1, "column": column, "source": line, "kind": kind, "suggestion": null, "path": path,
                "message": format!("{kind} on line {}: {owner}: {message}", index + 1),
            }));
        }
    }
    ok(json!({"errors": errors}))
}

fn can_own(call: &Call<'_>, repository: &Repository, name: &str) -> bool {
    let writes = |permission: Option<Permission>| permission >= Some(Permission::Write);
    match name.split_once('/') {
        None => {
            let user = call.state.user(name);
            user.is_some_and(|user| writes(Some(call.state.permission(repository, Some(&user.login)))))
        }
        Some((organization, team)) => {
            let team = call.state.organization(organization).and_then(|known| known.teams.get(team));
            team.is_some_and(|team| writes(team.repositories.get(&repository.key()).copied()))
        }
    }
}
