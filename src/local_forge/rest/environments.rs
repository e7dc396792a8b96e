//! Environments: which branches may use them, their variables, and the names of their secrets.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::local_forge::reply::{Answer, Call, Refusal, Reply, encode, not_found, ok, refuse};
use crate::local_forge::setup::{Environment, Policy};
use crate::local_forge::store::Permission;

pub(crate) fn route(call: &mut Call<'_>, key: &str, rest: &[&str]) -> Answer {
    match (call.method, rest) {
        ("GET", [] | [_]) => {}
        // What it holds is seen by those only who may write.
        ("GET", _) => call.require(key, Permission::Write)?,
        _ => call.require(key, Permission::Admin)?,
    }
    match (call.method, rest) {
        ("GET", []) => {
            let all: Vec<_> = call.repository(key).setup.environments.iter().collect();
            call.page_as(&all, |page| {
                let shown: Vec<Value> = page.iter().map(|(name, one)| show(call, key, name, one)).collect();
                json!({"total_count": all.len(), "environments": shown})
            })
        }
        ("GET", [name]) => ok(show(call, key, name, find(call, key, name)?)),
        ("PUT", [name]) => put(call, key, name),
        ("DELETE", [name]) => {
            call.repository_mut(key).setup.environments.remove(*name).ok_or_else(not_found)?;
            Ok(Reply::empty())
        }
        (_, [name, "deployment-branch-policies", rest @ ..]) => policies(call, key, name, rest),
        (_, [name, "variables", rest @ ..]) => variables(call, key, name, rest),
        (_, [name, "secrets", rest @ ..]) => {
            find(call, key, name)?;
            super::actions::secrets(call, key, rest, |repository| {
                repository.setup.environments.get_mut(*name).map(|environment| &mut environment.secrets)
            })
        }
        _ => Err(not_found()),
    }
}

fn find<'a>(call: &'a Call<'_>, key: &str, name: &str) -> Result<&'a Environment, Refusal> {
    call.repository(key).setup.environments.get(name).ok_or_else(not_found)
}

fn find_mut<'a>(call: &'a mut Call<'_>, key: &str, name: &str) -> Result<&'a mut Environment, Refusal> {
    call.repository_mut(key).setup.environments.get_mut(name).ok_or_else(not_found)
}

fn show(call: &Call<'_>, key: &str, name: &str, environment: &Environment) -> Value {
    let id = environment.id;
    let rules = environment
        .policy
        .iter()
        .map(|_| json!({"id": id, "node_id": format!("GA_{id}"), "type": "branch_policy"}));
    json!({
        "id": id, "node_id": format!("EN_{id}"), "name": name,
        "url": call.view().api(&format!("repos/{key}/environments/{}", encode(name))),
        "html_url": format!("{}/{key}/deployments/activity_log?environments_filter={}", call.shared.url, encode(name)),
        "created_at": environment.created_at, "updated_at": environment.created_at,
        "protection_rules": rules.collect::<Vec<_>>(),
        "deployment_branch_policy": environment.policy.as_ref().map(|policy| {
            let protected = matches!(policy, Policy::Protected);
            json!({"protected_branches": protected, "custom_branch_policies": !protected})
        }),
    })
}

fn put(call: &mut Call<'_>, key: &str, name: &str) -> Answer {
    let (id, at) = (call.state.next_id(), call.state.stamp());
    let wanted = call.body.get("deployment_branch_policy").cloned().unwrap_or_default();
    let old = call.repository(key).setup.environments.get(name).cloned();
    let mut environment = old.unwrap_or_else(|| Environment { id, created_at: at, ..Environment::default() });
    environment.policy = match (
        wanted["protected_branches"].as_bool(),
        wanted["custom_branch_policies"].as_bool(),
    ) {
        (None, None) => None,
        (Some(true), Some(false)) => Some(Policy::Protected),
        (Some(false), Some(true)) => match environment.policy.take() {
            Some(named @ Policy::Named(_)) => Some(named),
            _ => Some(Policy::Named(BTreeMap::new())),
        },
        _ => {
            return Err(refuse(
                422,
                "Invalid request.\n\nprotected_branches and custom_branch_policies cannot have the same value.",
            ));
        }
    };
    let shown = show(call, key, name, &environment);
    call.repository_mut(key).setup.environments.insert(name.to_owned(), environment);
    ok(shown)
}

fn policies(call: &mut Call<'_>, key: &str, name: &str, rest: &[&str]) -> Answer {
    let show = |id: u64, pattern: &str| json!({"id": id, "node_id": format!("GBP_{id}"), "name": pattern, "type": "branch"});
    let named = match &find(call, key, name)?.policy {
        Some(Policy::Named(named)) => named.clone(),
        Some(Policy::Protected) | None if call.method == "GET" => BTreeMap::new(),
        Some(Policy::Protected) | None => return Err(not_found()),
    };
    match (call.method, rest) {
        ("GET", []) => {
            let all: Vec<_> = named.iter().collect();
            call.page_as(&all, |page| {
                let shown: Vec<Value> = page.iter().map(|(id, pattern)| show(**id, pattern)).collect();
                json!({"total_count": all.len(), "branch_policies": shown})
            })
        }
        ("POST", []) => {
            let pattern = call.needed("DeploymentBranchPolicy", "name")?;
            let id = call.state.next_id();
            if let Some(Policy::Named(named)) = &mut find_mut(call, key, name)?.policy {
                named.insert(id, pattern.clone());
            }
            ok(show(id, &pattern))
        }
        ("DELETE", [id]) => {
            let id: u64 = id.parse().map_err(|_| not_found())?;
            if let Some(Policy::Named(named)) = &mut find_mut(call, key, name)?.policy {
                named.remove(&id).ok_or_else(not_found)?;
            }
            Ok(Reply::empty())
        }
        _ => Err(not_found()),
    }
}

fn variables(call: &mut Call<'_>, key: &str, name: &str, rest: &[&str]) -> Answer {
    let at = find(call, key, name)?.created_at;
    let show =
        |name: &str, value: &str| json!({"name": name, "value": value, "created_at": at, "updated_at": at});
    let known = find(call, key, name)?.variables.clone();
    match (call.method, rest) {
        ("GET", []) => {
            let all: Vec<_> = known.iter().collect();
            call.page_as(&all, |page| {
                let shown: Vec<Value> = page.iter().map(|(name, value)| show(name, value)).collect();
                json!({"total_count": all.len(), "variables": shown})
            })
        }
        ("GET", [variable]) => ok(show(variable, known.get(*variable).ok_or_else(not_found)?)),
        ("POST", []) => {
            let (variable, value) = (call.needed("Variable", "name")?, call.needed("Variable", "value")?);
            if known.contains_key(&variable) {
                return Err(refuse(409, "Already exists - Variable already exists"));
            }
            find_mut(call, key, name)?.variables.insert(variable.to_uppercase(), value);
            Ok(Reply::json(201, json!({})))
        }
        ("PATCH", [variable]) => {
            let value = call.needed("Variable", "value")?;
            let slot = find_mut(call, key, name)?.variables.get_mut(*variable);
            *slot.ok_or_else(not_found)? = value;
            Ok(Reply::empty())
        }
        ("DELETE", [variable]) => {
            find_mut(call, key, name)?.variables.remove(*variable).ok_or_else(not_found)?;
            Ok(Reply::empty())
        }
        _ => Err(not_found()),
    }
}
