//! What do the forge's small answers mean? What is missing or new becomes an error in words, never a guess.

use std::sync::Arc;

use serde_json::Value;

use super::{look::Known, reply::GraphError};
use crate::{
    domain::{Activity, ActivityKind, ObjectId, Permission, RepoName, Timestamp},
    plan::facts::{Here, Repository},
};

pub(super) fn numbers(list: &Value) -> Vec<(u64, Option<String>)> {
    let nodes = list["nodes"].as_array().into_iter().flatten();
    nodes
        .filter_map(|node| Some((node["number"].as_u64()?, node["baseRefName"].as_str().map(str::to_owned))))
        .collect()
}

/// The numbers of a list that must be whole.
pub(super) fn complete(list: &Value) -> Known<Vec<u64>> {
    if list["nodes"].is_null() {
        return Err("the forge does not give the pull requests".to_owned());
    }
    if list["pageInfo"]["hasNextPage"] == true {
        return Err("there are too many pull requests of one branch or commit".to_owned());
    }
    Ok(numbers(list).into_iter().map(|(number, _)| number).collect())
}

/// Why the forge left something away.
pub(super) fn reason(errors: &[GraphError], path: &[&str], otherwise: &str) -> String {
    let about =
        |error: &&GraphError| error.path.is_empty() || path.iter().zip(&error.path).all(|(a, b)| a == b);
    match errors.iter().find(about) {
        Some(error) if error.not_found => format!("{otherwise} ({})", error.words),
        Some(error) => error.words.clone(),
        None => otherwise.to_owned(),
    }
}

pub(super) fn read_here(catalog: &RepoName, data: &Value, errors: &[GraphError]) -> Known<Here> {
    let node = if data["here"].is_null() { &data["r0"] } else { &data["here"] };
    if node.is_null() {
        return Err(reason(
            errors,
            &["here"],
            &format!("the repository {catalog} does not exist, or we may not see it"),
        ));
    }
    if let Some(why) = renamed(catalog, node) {
        return Err(why);
    }
    let me = data["viewer"]["login"].as_str().ok_or("the forge does not say who we are")?;
    if matches!(node["viewerPermission"].as_str(), Some("READ" | "TRIAGE")) {
        return Err(format!(
            "`{me}` may only read {catalog}: give it write access, or use the token of somebody who has it"
        ));
    }
    let branch = node["defaultBranchRef"]["name"]
        .as_str()
        .ok_or_else(|| format!("the repository {catalog} is empty; push a first commit"))?;
    Ok(Here {
        catalog: catalog.clone(),
        branch: branch.parse().map_err(|error| format!("the default branch cannot be handled: {error}"))?,
        me: me.parse().map_err(|error| format!("{error}"))?,
    })
}

/// What a repository is called by now, if that is another name. The forge still finds it by the old one, but changes nothing
/// by it: <https://docs.github.com/graphql/reference/queries#repository>
fn name_now<'a>(name: &RepoName, node: &'a Value) -> Option<&'a str> {
    node["nameWithOwner"].as_str().filter(|now| !now.eq_ignore_ascii_case(name.as_str()))
}

/// That a repository has another name by now: whoever takes the old one next would get what was meant for the other.
pub(super) fn renamed(name: &RepoName, node: &Value) -> Option<String> {
    name_now(name, node)
        .map(|now| format!("`{name}` is called `{now}` by now: write that wherever it is named"))
}

pub(super) fn read_head(node: &Value) -> Known<Option<ObjectId>> {
    if node.is_null() {
        return Ok(None);
    }
    let id = node["target"]["oid"].as_str().ok_or("the forge does not say where the branch points")?;
    id.parse().map(Some).map_err(|error| format!("{error}"))
}

pub(super) fn read_repository(
    asked: &RepoName,
    node: &Value,
    errors: &[GraphError],
    alias: &str,
) -> Known<Option<Arc<Repository>>> {
    if node.is_null() {
        let about = |error: &&GraphError| error.path.first().is_none_or(|first| first == alias);
        return match errors.iter().find(about) {
            Some(error) if !error.not_found => Err(error.words.clone()),
            _ => Ok(None),
        };
    }
    let branch = &node["defaultBranchRef"];
    let default_branch = match (branch["name"].as_str(), branch["target"]["oid"].as_str()) {
        (Some(name), Some(head)) => {
            let bad = |error| format!("the default branch cannot be handled: {error}");
            Some((name.parse().map_err(bad)?, head.parse().map_err(bad)?))
        }
        _ => None,
    };
    let renamed = name_now(asked, node).and_then(|name| name.parse().ok());
    Ok(Some(Arc::new(Repository { default_branch, archived: node["isArchived"] == true, renamed })))
}

/// <https://docs.github.com/en/rest/repos/repos#list-repository-activities>
pub(super) fn read_activity(item: &Value) -> Known<Activity> {
    let kind = match item["activity_type"].as_str().unwrap_or_default() {
        "branch_creation" => ActivityKind::Created,
        "push" => ActivityKind::Pushed,
        "force_push" => ActivityKind::Forced,
        "branch_deletion" => ActivityKind::Deleted,
        "pr_merge" | "merge_queue_merge" => ActivityKind::Merged,
        other => return Err(format!("the branch was moved by `{other}`, which is not known here")),
    };
    let commit = |key: &str| {
        let id: ObjectId = item[key].as_str()?.parse().ok()?;
        (id.bytes() != &[0; 20]).then_some(id)
    };
    let at: Option<Timestamp> = item["timestamp"].as_str().and_then(|text| text.parse().ok());
    Ok(Activity {
        actor: item["actor"]["login"].as_str().and_then(|login| login.parse().ok()),
        kind,
        before: commit("before"),
        after: commit("after"),
        at: at.ok_or("the forge does not say when the branch was moved")?,
    })
}

pub(super) fn read_permission(word: &str) -> Option<Permission> {
    Some(match word {
        "none" => Permission::None,
        "read" | "pull" => Permission::Read,
        "triage" => Permission::Triage,
        "write" | "push" => Permission::Write,
        "maintain" => Permission::Maintain,
        "admin" => Permission::Admin,
        _ => return None,
    })
}
