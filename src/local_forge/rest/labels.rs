//! Labels of a repository and of its issues.

use serde_json::Value;

use crate::local_forge::reply::{Answer, Call, Reply, created, invalid, not_found, ok};
use crate::local_forge::store::{Label, Permission};

/// What GitHub gives a label that was made in passing.
const GREY: &str = "ededed";

pub(crate) fn list(call: &Call<'_>, key: &str) -> Answer {
    let repository = call.repository(key);
    let labels: Vec<&Label> = repository.labels.values().collect();
    let view = call.view();
    call.page(&labels, |label| view.label(repository, label))
}

pub(crate) fn create(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Triage)?;
    let name = call.needed("Label", "name")?;
    if call.repository(key).labels.contains_key(&name) {
        return Err(invalid("Label", "name", "already_exists", None));
    }
    let color = call.text("color").unwrap_or(GREY).to_owned();
    let description = call.text("description").map(str::to_owned);
    add(call, key, &name, color, description);
    created(call.view().label(call.repository(key), &call.repository(key).labels[&name]))
}

fn add(call: &mut Call<'_>, key: &str, name: &str, color: String, description: Option<String>) {
    let id = call.state.next_id();
    let label = Label { id, name: name.to_owned(), color, description };
    call.repository_mut(key).labels.insert(name.to_owned(), label);
}

pub(crate) fn get(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let repository = call.repository(key);
    ok(call.view().label(repository, repository.labels.get(name).ok_or_else(not_found)?))
}

pub(crate) fn update(call: &mut Call<'_>, key: &str, name: &str) -> Answer {
    call.require(key, Permission::Triage)?;
    let (color, description) =
        (call.text("color").map(str::to_owned), call.text("description").map(str::to_owned));
    let new_name = call.text("new_name").unwrap_or(name).to_owned();
    let repository = call.repository_mut(key);
    let mut label = repository.labels.remove(name).ok_or_else(not_found)?;
    label.color = color.unwrap_or(label.color);
    label.description = description.or(label.description);
    label.name.clone_from(&new_name);
    for issue in repository.issues.values_mut() {
        if issue.labels.remove(name) {
            issue.labels.insert(new_name.clone());
        }
    }
    repository.labels.insert(new_name.clone(), label);
    get(call, key, &new_name)
}

pub(crate) fn delete(call: &mut Call<'_>, key: &str, name: &str) -> Answer {
    call.require(key, Permission::Triage)?;
    let repository = call.repository_mut(key);
    repository.labels.remove(name).ok_or_else(not_found)?;
    for issue in repository.issues.values_mut() {
        issue.labels.remove(name);
    }
    Ok(Reply::empty())
}

/// Makes the labels that are not there yet.
pub(crate) fn ensure(call: &mut Call<'_>, key: &str, names: &[String]) {
    for name in names {
        if !call.repository(key).labels.contains_key(name) {
            add(call, key, name, GREY.to_owned(), Some(String::new()));
        }
    }
}

pub(crate) fn of_issue(call: &mut Call<'_>, key: &str, number: u64, rest: &[&str]) -> Answer {
    super::issues::find(call, key, number)?;
    // The body is a list of names, an object with one, or names directly.
    let names = if call.body.is_array() {
        call.body.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    } else {
        call.names("labels").unwrap_or_default()
    };
    if call.method != "GET" {
        call.require(key, Permission::Triage)?;
        let at = call.state.stamp();
        ensure(call, key, &names);
        let method = call.method;
        let issue = call.repository_mut(key).issues.get_mut(&number).ok_or_else(not_found)?;
        issue.updated_at = at;
        match (method, rest) {
            ("POST", []) => issue.labels.extend(names),
            ("PUT", []) => issue.labels = names.into_iter().collect(),
            ("DELETE", []) => {
                issue.labels.clear();
                return Ok(Reply::empty());
            }
            ("DELETE", [name]) => {
                if !issue.labels.remove(*name) {
                    return Err(crate::local_forge::reply::refuse(404, "Label does not exist"));
                }
            }
            _ => return Err(not_found()),
        }
    }
    let repository = call.repository(key);
    let view = call.view();
    let labels: Vec<&Label> =
        repository.issues[&number].labels.iter().filter_map(|name| repository.labels.get(name)).collect();
    call.page(&labels, |label| view.label(repository, label))
}
