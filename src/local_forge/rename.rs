//! What follows when a branch or a repository gets another name?
//!
//! A branch goes by its new name at once. Pull requests into it go on, those from it are closed, since what they were opened from is
//! gone. A repository is found by its old name, too, until another takes it: who reads is sent on, who writes by REST is told to ask
//! again elsewhere, and Git and GraphQL go on as if nothing had happened.
//! <https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-branches-in-your-repository/renaming-a-branch>
//! <https://docs.github.com/repositories/creating-and-managing-repositories/renaming-a-repository>

use serde_json::json;

use super::motion;
use super::reply::{Answer, Body, Call, Refusal, Reply, invalid, refuse};
use super::rest::repos;
use super::store::{Permission, State};

/// Gives a branch another name.
pub(crate) fn branch(call: &mut Call<'_>, key: &str, name: &str) -> Answer {
    let is_default = call.repository(key).default_branch == name;
    call.require(key, if is_default { Permission::Admin } else { Permission::Write })?;
    let new = call.needed("Branch", "new_name")?;
    let (old_ref, new_ref) = (format!("refs/heads/{name}"), format!("refs/heads/{new}"));
    let Some(tip) = call.repository(key).refs.get(&old_ref).cloned() else {
        return Err(refuse(404, "Branch not found"));
    };
    if call.repository(key).refs.contains_key(&new_ref) || !git2::Reference::is_valid_name(&new_ref) {
        return Err(invalid("Branch", "new_name", "custom", Some("The new name is invalid or taken.")));
    }
    motion::set(call, key, &new_ref, Some(&tip), None)?;
    if is_default {
        call.git(key)?.set_head(&new_ref)?;
    }
    let repository = call.repository_mut(key);
    if is_default {
        repository.default_branch.clone_from(&new);
    }
    if let Some(rules) = repository.protections.remove(name) {
        repository.protections.insert(new.clone(), rules);
    }
    if let Some(queue) = repository.queues.remove(name) {
        repository.queues.insert(new.clone(), queue);
    }
    let open = repository.issues.values_mut().filter(|issue| issue.open);
    for pull in open.filter_map(|issue| issue.pull.as_mut()).filter(|pull| pull.base_branch == name) {
        pull.base_branch.clone_from(&new);
    }
    motion::set(call, key, &old_ref, None, None)?;
    Ok(Reply { status: 201, ..repos::branch(call, key, &new)? })
}

/// Gives a repository another name, and says what it is known by then.
pub(crate) fn repository(call: &mut Call<'_>, key: &str, name: &str) -> Result<String, Refusal> {
    if !repos::is_name(name) {
        return Err(invalid("Repository", "name", "invalid", None));
    }
    let owner = call.repository(key).owner.clone();
    let new = format!("{owner}/{name}");
    if call.state.repository_key(&owner, name).is_some_and(|known| known != key) {
        return Err(invalid("Repository", "name", "custom", Some("name already exists on this account")));
    }
    std::fs::rename(call.shared.git_dir(key), call.shared.git_dir(&new))?;
    let mut moved = call.state.repositories.remove(key).expect("the key was just looked up");
    name.clone_into(&mut moved.name);
    call.state.repositories.insert(new.clone(), moved);
    let follow = |known: &mut String| {
        if known == key {
            known.clone_from(&new);
        }
    };
    for repository in call.state.repositories.values_mut() {
        repository.fork_of.iter_mut().for_each(follow);
        let pulls = repository.issues.values_mut().filter_map(|issue| issue.pull.as_mut());
        pulls.map(|pull| &mut pull.head_repository).for_each(follow);
    }
    let teams =
        call.state.organizations.values_mut().flat_map(|organization| organization.teams.values_mut());
    for team in teams {
        if let Some(may) = team.repositories.remove(key) {
            team.repositories.insert(new.clone(), may);
        }
    }
    let old = key.rsplit('/').next().unwrap_or_default();
    let installations = call.state.apps.values_mut().flat_map(|app| &mut app.installations);
    let of_owner = installations.filter(|installation| installation.account == owner);
    for names in of_owner.filter_map(|installation| installation.repositories.as_mut()) {
        if names.remove(old) {
            names.insert(name.to_owned());
        }
    }
    call.state.renamed.values_mut().for_each(follow);
    call.state.renamed.remove(&new);
    call.state.renamed.insert(key.to_owned(), new.clone());
    Ok(new)
}

/// What a repository is called by now that was called so, where no other is.
pub(crate) fn present(state: &State, owner: &str, name: &str) -> Option<String> {
    let old = format!("{owner}/{name}");
    if state.repository_key(owner, name).is_some() {
        return None;
    }
    state.renamed.iter().find(|(known, _)| known.eq_ignore_ascii_case(&old)).map(|(_, new)| new.clone())
}

/// Sends a client on that asks for a repository by its old name.
/// <https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects>
pub(crate) fn send_on(call: &Call<'_>, key: &str, rest: &[&str]) -> Refusal {
    let query: Vec<String> = call.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut location = format!("{}/repositories/{}", call.api, call.repository(key).id);
    for part in rest {
        location.push('/');
        location.push_str(part);
    }
    if !query.is_empty() {
        location.push('?');
        location.push_str(&query.join("&"));
    }
    let (status, words) =
        if call.method == "GET" { (301, "Moved Permanently") } else { (307, "Temporary Redirect") };
    let mut refusal = refuse(status, words);
    if let Body::Json(body) = &mut refusal.0.body {
        body["url"] = json!(location);
    }
    refusal.0.headers.push(("location", location));
    refusal
}
