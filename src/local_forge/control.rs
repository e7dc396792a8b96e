//! What may a test do that no GitHub user could?
//!
//! Set faults, move the clock, count exchanges, delete or transfer an issue.

use serde::Deserialize;
use serde_json::{Value, json};

use super::faults::Fault;
use super::motion;
use super::reply::{Answer, Refusal, Reply, not_found, ok, refuse};
use super::server::{Forge, Incoming};
use super::store::Gone;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    #[serde(alias = "advance_seconds")]
    advance_seconds: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GoneIssue {
    repository: String,
    number: u64,
    /// Another repository, for a transfer; absent for a deletion.
    #[serde(default)]
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewUser {
    login: String,
    token: String,
    #[serde(default)]
    email: Option<String>,
}

fn read<T: serde::de::DeserializeOwned>(incoming: &Incoming) -> Result<T, Refusal> {
    serde_json::from_slice(&incoming.body)
        .map_err(|error| refuse(400, format!("cannot read the body: {error}")))
}

pub(crate) fn answer(forge: &Forge, incoming: &Incoming) -> Answer {
    let path = incoming.path.strip_prefix("/_control/").unwrap_or_default();
    match (incoming.method.as_str(), path) {
        ("GET", "faults") => ok(forge.faults.show()),
        ("POST", "faults") => {
            let body: Value = read(incoming)?;
            let faults: Vec<Fault> = match body {
                Value::Array(_) => read(incoming)?,
                _ => vec![read(incoming)?],
            };
            for fault in faults {
                forge
                    .faults
                    .add(fault)
                    .map_err(|error| refuse(400, format!("cannot read the path: {error}")))?;
            }
            Ok(Reply::json(201, forge.faults.show()))
        }
        ("DELETE", "faults") => {
            forge.faults.clear();
            Ok(Reply::empty())
        }
        ("GET", "waiting") => ok(json!({"waiting": forge.faults.waiting()})),
        ("GET", "exchanges") => ok(forge.exchanges.show()),
        ("DELETE", "exchanges") => {
            forge.exchanges.clear();
            Ok(Reply::empty())
        }
        ("GET", "clock") => forge.with_call(incoming, |call| ok(json!({"now": call.state.now()}))),
        ("POST", "clock") => {
            let advance: Advance = read(incoming)?;
            forge.with_change(incoming, |call| {
                call.state.advanced_seconds += advance.advance_seconds;
                ok(json!({"now": call.state.now()}))
            })
        }
        ("POST", "users") => {
            let user: NewUser = read(incoming)?;
            forge.with_change(incoming, |call| {
                super::seed::add_user(call.state, &user.login, &user.token, user.email.clone());
                Ok(Reply::json(201, call.view().user(&user.login)))
            })
        }
        ("DELETE", login) if login.starts_with("users/") => forge.with_change(incoming, |call| {
            let login = login.trim_start_matches("users/");
            call.state.users.remove(login).ok_or_else(not_found)?;
            Ok(Reply::empty())
        }),
        ("POST", "runs") => {
            let wanted: super::rest::runs::Move = read(incoming)?;
            forge.with_change(incoming, |call| super::rest::runs::move_on(call, &wanted))
        }
        ("POST", "issues") => {
            let gone: GoneIssue = read(incoming)?;
            forge.with_change(incoming, |call| remove_issue(call, &gone))
        }
        _ => Err(not_found()),
    }
}

fn remove_issue(call: &mut super::reply::Call<'_>, gone: &GoneIssue) -> Answer {
    let repository = call.state.repositories.get(&gone.repository).ok_or_else(not_found)?;
    let mut issue = repository.issues.get(&gone.number).cloned().ok_or_else(not_found)?;
    let (fate, action) = match &gone.to {
        None => (Gone::Deleted, "deleted"),
        Some(target) => {
            let target_repository = call.state.repositories.get_mut(target).ok_or_else(not_found)?;
            target_repository.last_number += 1;
            issue.number = target_repository.last_number;
            let number = issue.number;
            target_repository.issues.insert(number, issue);
            (Gone::MovedTo { repository: target.clone(), number }, "transferred")
        }
    };
    motion::tell_issue(call, &gone.repository, gone.number, action);
    let repository = call.repository_mut(&gone.repository);
    if let Some(issue) = repository.issues.get_mut(&gone.number) {
        issue.gone = Some(fate);
    }
    Ok(Reply::empty())
}
