//! Users, repositories, branches, their protection, collaborators and the activity log.

use serde_json::{Value, json};

use crate::local_forge::motion;
use crate::local_forge::objects::{self, EMPTY};
use crate::local_forge::rename;
use crate::local_forge::render::node;
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, invalid, not_found, ok, refuse};
use crate::local_forge::rules::{self, Way};
use crate::local_forge::seed;
use crate::local_forge::store::{Permission, Protection, RequiredCheck};

pub(crate) fn meta(call: &Call<'_>) -> Answer {
    let mut shown = json!({"verifiable_password_authentication": false});
    if let Some(version) = &call.state.version {
        shown["installed_version"] = version.as_str().into();
    }
    ok(shown)
}

pub(crate) fn rate_limit(call: &Call<'_>) -> Answer {
    let limit = call.shared.limits.peek(call.actor.as_deref(), call.state.now());
    let rate =
        json!({"limit": limit.limit, "remaining": limit.remaining, "reset": limit.reset, "used": limit.used});
    ok(json!({"resources": {"core": rate, "search": rate, "graphql": rate}, "rate": rate}))
}

pub(crate) fn myself(call: &Call<'_>) -> Answer {
    let user = call.actor_user()?;
    if user.is_app() {
        return Err(refuse(403, "Resource not accessible by integration"));
    }
    ok(call.view().user_full(&user.login))
}

pub(crate) fn user(call: &Call<'_>, login: &str) -> Answer {
    let login = match (call.state.user(login), call.state.organization(login)) {
        (Some(user), _) => &user.login,
        (None, Some(organization)) => &organization.login,
        (None, None) => return Err(not_found()),
    };
    ok(call.view().user_full(login))
}

pub(crate) fn get(call: &Call<'_>, key: &str) -> Answer {
    let mut shown = call.view().repository(call.repository(key), call.actor.as_deref());
    // A token that may not write sees nothing of merging, whatever its App may do with another.
    if call.grant.as_ref().is_some_and(|grant| grant.level("contents") < 2)
        && let Some(fields) = shown.as_object_mut()
    {
        fields.retain(|name, _| !name.starts_with("allow_") || name == "allow_forking");
    }
    ok(shown)
}

pub(crate) fn create(call: &mut Call<'_>, organization: Option<&str>) -> Answer {
    let actor = call.actor()?;
    let owner = match organization {
        None => actor.clone(),
        Some(login) => {
            let organization = call.state.organization(login).ok_or_else(not_found)?;
            if !organization.members.contains(&actor) && !organization.owners.contains(&actor) {
                return Err(refuse(
                    403,
                    "You need to be a member of this organization to create a repository.",
                ));
            }
            organization.login.clone()
        }
    };
    let name = call.needed("Repository", "name")?;
    if !is_name(&name) {
        return Err(invalid("Repository", "name", "invalid", None));
    }
    if call.state.repository_key(&owner, &name).is_some() {
        return Err(invalid("Repository", "name", "custom", Some("name already exists on this account")));
    }
    let private = call.flag("private").unwrap_or(false) || call.text("visibility") == Some("private");
    seed::add_repository(call.state, call.shared, &owner, &name, private)
        .map_err(|error| refuse(500, format!("Server Error: {error:#}")))?;
    let key = format!("{owner}/{name}");
    let description = call.text("description").map(str::to_owned);
    let repository = call.repository_mut(&key);
    repository.description = description;
    if owner != actor {
        repository.collaborators.insert(actor, Permission::Admin);
    }
    if call.flag("auto_init") == Some(true) {
        let git = call.git(&key)?;
        let user = call.actor_user()?;
        let author = objects::Person { name: user.login.clone(), email: user.noreply() };
        let signature = author.sign(call.state.stamp())?;
        let blob = git.blob(format!("# {name}\n").as_bytes())?;
        let tree = objects::with_file(&git, None, "README.md", Some(blob))?;
        let commit = objects::write_commit(&git, tree, &[], "Initial commit", &signature, &signature)?;
        motion::set(call, &key, "refs/heads/main", Some(&commit.to_string()), None)?;
    }
    created(call.view().repository(call.repository(&key), call.actor.as_deref()))
}

/// Whether a repository may be called so.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=100).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.')
}

pub(crate) fn update(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    let mut key = key.to_owned();
    if let Some(name) =
        call.text("name").map(str::to_owned).filter(|name| *name != call.repository(&key).name)
    {
        key = rename::repository(call, &key, &name)?;
    }
    let key = key.as_str();
    let at = call.state.stamp();
    let (archived, private) = (call.flag("archived"), call.flag("private"));
    let branch = call.text("default_branch").map(str::to_owned);
    let description = call.text("description").map(str::to_owned);
    if let Some(branch) = &branch {
        let reference = format!("refs/heads/{branch}");
        if !call.repository(key).refs.contains_key(&reference) {
            return Err(invalid(
                "Repository",
                "default_branch",
                "invalid",
                Some("The branch does not exist."),
            ));
        }
        call.git(key)?.set_head(&reference)?;
    }
    let (has_issues, auto_merge) = (call.flag("has_issues"), call.flag("allow_auto_merge"));
    let mut methods = call.repository(key).setup.merge_methods.clone();
    for (field, method) in
        [("allow_merge_commit", "merge"), ("allow_squash_merge", "squash"), ("allow_rebase_merge", "rebase")]
    {
        match call.flag(field) {
            Some(true) => drop(methods.insert(method.to_owned())),
            Some(false) => drop(methods.remove(method)),
            None => {}
        }
    }
    if methods.is_empty() {
        return Err(invalid(
            "Repository",
            "merge_commit_allowed",
            "invalid",
            Some("Sorry, you need to allow at least one merge strategy. (no_merge_method)"),
        ));
    }
    let repository = call.repository_mut(key);
    repository.setup.merge_methods = methods;
    repository.setup.has_issues = has_issues.unwrap_or(repository.setup.has_issues);
    repository.setup.auto_merge = auto_merge.unwrap_or(repository.setup.auto_merge);
    repository.updated_at = at;
    repository.archived = archived.unwrap_or(repository.archived);
    repository.private = private.unwrap_or(repository.private);
    repository.default_branch = branch.unwrap_or_else(|| repository.default_branch.clone());
    repository.description = description.or_else(|| repository.description.take());
    get(call, key)
}

pub(crate) fn delete(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    std::fs::remove_dir_all(call.shared.git_dir(key))?;
    call.state.repositories.remove(key);
    Ok(Reply::empty())
}

/// A fork is a plain copy that remembers where it came from.
pub(crate) fn fork(call: &mut Call<'_>, key: &str) -> Answer {
    let actor = call.actor()?;
    let owner = call.text("organization").map_or(actor, str::to_owned);
    let name = call.text("name").map_or_else(|| call.repository(key).name.clone(), str::to_owned);
    let fork = format!("{owner}/{name}");
    if fork == key {
        return Err(refuse(403, "You cannot fork your own repository into itself."));
    }
    if !call.state.repositories.contains_key(&fork) {
        let private = call.repository(key).private;
        seed::add_repository(call.state, call.shared, &owner, &name, private)
            .map_err(|error| refuse(500, format!("Server Error: {error:#}")))?;
        copy_folder(&call.shared.git_dir(key).join("objects"), &call.shared.git_dir(&fork).join("objects"))?;
        let refs = call.repository(key).refs.clone();
        let git = call.git(&fork)?;
        for (reference, target) in refs.iter().filter(|(name, _)| name.starts_with("refs/heads/")) {
            drop(git.reference(reference, objects::oid(target)?, true, "fork")?);
            motion::remember(call.state, &fork, reference, Some(target));
        }
        call.repository_mut(&fork).fork_of = Some(key.to_owned());
    }
    Ok(Reply::json(202, call.view().repository(call.repository(&fork), call.actor.as_deref())))
}

/// Brings a branch of a fork to where it is upstream; only forwards.
pub(crate) fn sync_fork(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let branch = call.needed("Repository", "branch")?;
    let upstream =
        call.repository(key).fork_of.clone().ok_or_else(|| refuse(422, "The repository is no fork."))?;
    let reference = format!("refs/heads/{branch}");
    let Some(target) = call.repository(&upstream).refs.get(&reference).cloned() else {
        return Err(refuse(422, "The branch does not exist upstream."));
    };
    copy_folder(&call.shared.git_dir(&upstream).join("objects"), &call.shared.git_dir(key).join("objects"))?;
    let known = call.repository(key).refs.get(&reference).cloned();
    let kind = if known.as_ref() == Some(&target) { "none" } else { "fast-forward" };
    if let Some(known) = &known
        && !objects::is_ancestor(&*call.git(key)?, objects::oid(known)?, objects::oid(&target)?)
    {
        return Err(refuse(409, "There are merge conflicts."));
    }
    motion::set(call, key, &reference, Some(&target), None)?;
    let owner = upstream.split('/').next().unwrap_or_default();
    ok(json!({
        "message": format!("Successfully fetched and fast-forwarded from upstream {owner}:{branch}."),
        "merge_type": kind, "base_branch": format!("{owner}:{branch}"),
    }))
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if !target.exists() {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

pub(crate) fn activity(call: &Call<'_>, key: &str) -> Answer {
    let wanted_ref = call.parameter("ref").map(|name| match name.strip_prefix("refs/") {
        Some(_) => name.to_owned(),
        None => format!("refs/heads/{name}"),
    });
    let (actor, kind) = (call.parameter("actor"), call.parameter("activity_type"));
    let mut found: Vec<_> = call
        .repository(key)
        .activity
        .iter()
        .filter(|entry| wanted_ref.as_ref().is_none_or(|name| &entry.reference == name))
        .filter(|entry| actor.is_none_or(|login| entry.actor == login))
        .filter(|entry| kind.is_none_or(|name| entry.kind.name() == name))
        .collect();
    if call.parameter("direction") != Some("asc") {
        found.reverse();
    }
    let view = call.view();
    call.page(&found, |entry| {
        json!({
            "id": entry.id, "node_id": node("PSH", entry.id), "before": entry.before, "after": entry.after,
            "ref": entry.reference, "timestamp": entry.at, "activity_type": entry.kind.name(),
            "actor": view.user(&entry.actor),
        })
    })
}

pub(crate) fn collaborators(call: &Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let view = call.view();
    let repository = call.repository(key);
    let able = |login: &&String| call.state.permission(repository, Some(login)) > Permission::Read;
    let people: Vec<&String> = call.state.users.keys().filter(able).collect();
    call.page(&people, |login| {
        let permission = call.state.permission(repository, Some(login));
        let mut user = view.user(login);
        user["role_name"] = permission.role().into();
        user["permissions"] = json!({
            "pull": true, "triage": permission >= Permission::Triage, "push": permission >= Permission::Write,
            "maintain": permission >= Permission::Maintain, "admin": permission >= Permission::Admin,
        });
        user
    })
}

pub(crate) fn is_collaborator(call: &Call<'_>, key: &str, login: &str) -> Answer {
    let user = call.state.user(login).ok_or_else(not_found)?;
    let repository = call.repository(key);
    let member = call.state.permission(repository, Some(&user.login)) > Permission::Read;
    if member || repository.collaborators.contains_key(&user.login) {
        return Ok(Reply::empty());
    }
    Err(not_found())
}

/// GitHub invites; here the invitation counts as accepted.
pub(crate) fn add_collaborator(call: &mut Call<'_>, key: &str, login: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    let login = call.state.user(login).ok_or_else(not_found)?.login.clone();
    let permission = call.text("permission").unwrap_or("push");
    let permission =
        Permission::parse(permission).ok_or_else(|| invalid("Repository", "permission", "invalid", None))?;
    call.repository_mut(key).collaborators.insert(login, permission);
    Ok(Reply::empty())
}

pub(crate) fn remove_collaborator(call: &mut Call<'_>, key: &str, login: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    call.repository_mut(key).collaborators.remove(login);
    Ok(Reply::empty())
}

pub(crate) fn permission(call: &Call<'_>, key: &str, login: &str) -> Answer {
    let user = call.state.user(login).ok_or_else(not_found)?;
    let permission = call.state.permission(call.repository(key), Some(&user.login));
    // The old field knows four words only: triage reads, maintain writes.
    let legacy = match permission {
        Permission::Triage => "read",
        Permission::Maintain => "write",
        Permission::None | Permission::Read | Permission::Write | Permission::Admin => permission.role(),
    };
    let mut shown = call.view().user(&user.login);
    shown["permissions"] = json!({
        "pull": permission >= Permission::Read, "triage": permission >= Permission::Triage,
        "push": permission >= Permission::Write, "maintain": permission >= Permission::Maintain,
        "admin": permission >= Permission::Admin,
    });
    shown["role_name"] = permission.role().into();
    ok(json!({"permission": legacy, "role_name": permission.role(), "user": shown}))
}

pub(crate) fn branches(call: &Call<'_>, key: &str) -> Answer {
    let repository = call.repository(key);
    let names =
        repository.refs.iter().filter_map(|(name, sha)| Some((name.strip_prefix("refs/heads/")?, sha)));
    let names: Vec<_> = names.collect();
    let view = call.view();
    call.page(&names, |(name, sha)| {
        json!({
            "name": name, "commit": {"sha": sha, "url": view.api(&format!("repos/{key}/commits/{sha}"))},
            "protected": repository.protections.contains_key(*name),
        })
    })
}

pub(crate) fn branch(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let repository = call.repository(key);
    let Some(sha) = repository.refs.get(&format!("refs/heads/{name}")) else {
        return Err(refuse(404, "Branch not found"));
    };
    let git = call.git(key)?;
    let view = call.view();
    let commit = view.commit(key, &git.find_commit(objects::oid(sha)?)?);
    let protected = repository.protections.get(name);
    let api = view.api(&format!("repos/{key}/branches/{name}"));
    let contexts: Vec<&String> =
        protected.iter().flat_map(|rules| &rules.required_checks).map(|check| &check.context).collect();
    ok(json!({
        "name": name, "commit": commit, "_links": {"self": api, "html": format!("{}/{key}/tree/{name}", call.shared.url)},
        "protected": protected.is_some(),
        "protection": {
            "enabled": protected.is_some(),
            "required_status_checks": {
                "enforcement_level": if contexts.is_empty() { "off" } else { "everyone" },
                "contexts": contexts, "checks": [],
            },
        },
        "protection_url": format!("{api}/protection"),
    }))
}

pub(crate) fn protection(call: &mut Call<'_>, key: &str, branch: &str) -> Answer {
    call.require(key, Permission::Admin)?;
    match call.method {
        "GET" => {}
        "PUT" => {
            if !call.repository(key).refs.contains_key(&format!("refs/heads/{branch}")) {
                return Err(refuse(404, "Branch not found"));
            }
            let rules = read_protection(call)?;
            call.repository_mut(key).protections.insert(branch.to_owned(), rules);
        }
        "DELETE" => {
            call.repository_mut(key)
                .protections
                .remove(branch)
                .ok_or_else(|| refuse(404, "Branch not protected"))?;
            return Ok(Reply::empty());
        }
        _ => return Err(not_found()),
    }
    let rules =
        call.repository(key).protections.get(branch).ok_or_else(|| refuse(404, "Branch not protected"))?;
    ok(show_protection(call, key, branch, rules))
}

fn read_protection(call: &Call<'_>) -> Result<Protection, Refusal> {
    for field in ["required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions"]
    {
        if call.body.get(field).is_none() {
            return Err(refuse(422, format!("Invalid request.\n\n\"{field}\" wasn't supplied.")));
        }
    }
    let checks = &call.body["required_status_checks"];
    let app = |check: &Value| check["app_id"].as_i64().and_then(|id| u64::try_from(id).ok());
    let mut required: Vec<RequiredCheck> = checks["checks"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|check| {
            Some(RequiredCheck { context: check["context"].as_str()?.to_owned(), app_id: app(check) })
        })
        .collect();
    for context in checks["contexts"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !required.iter().any(|check| check.context == context) {
            required.push(RequiredCheck { context: context.to_owned(), app_id: None });
        }
    }
    let restrictions = &call.body["restrictions"];
    let people =
        restrictions["users"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    let apps = restrictions["apps"].as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(Protection {
        required_checks: required,
        strict: checks["strict"].as_bool().unwrap_or(false),
        push: people.chain(apps.map(|slug| format!("{slug}[bot]"))).collect(),
        enforce_admins: call.flag("enforce_admins").unwrap_or(false),
        required_reviews: call.body["required_pull_request_reviews"]["required_approving_review_count"]
            .as_u64()
            .unwrap_or(0),
    })
}

fn show_protection(call: &Call<'_>, key: &str, branch: &str, rules: &Protection) -> Value {
    let view = call.view();
    let api = view.api(&format!("repos/{key}/branches/{branch}/protection"));
    let off = json!({"enabled": false});
    let mut shown = json!({
        "url": api, "enforce_admins": {"url": format!("{api}/enforce_admins"), "enabled": rules.enforce_admins},
        "required_linear_history": off, "allow_force_pushes": off, "allow_deletions": off, "block_creations": off,
        "required_conversation_resolution": off, "lock_branch": off, "allow_fork_syncing": off,
    });
    if !rules.required_checks.is_empty() {
        let contexts: Vec<&String> = rules.required_checks.iter().map(|check| &check.context).collect();
        let checks: Vec<Value> = rules
            .required_checks
            .iter()
            .map(|check| json!({"context": check.context, "app_id": check.app_id}))
            .collect();
        shown["required_status_checks"] = json!({
            "url": format!("{api}/required_status_checks"), "strict": rules.strict, "contexts": contexts,
            "contexts_url": format!("{api}/required_status_checks/contexts"), "checks": checks,
        });
    }
    if !rules.push.is_empty() {
        let (apps, users): (Vec<&String>, Vec<&String>) =
            rules.push.iter().partition(|login| login.ends_with("[bot]"));
        let url = format!("{api}/restrictions");
        shown["restrictions"] = json!({
            "url": url, "users_url": format!("{url}/users"), "teams_url": format!("{url}/teams"),
            "apps_url": format!("{url}/apps"), "teams": [],
            "users": users.iter().map(|login| view.user(login)).collect::<Vec<_>>(),
            "apps": apps.iter().map(|login| view.app(login)).collect::<Vec<_>>(),
        });
    }
    shown
}

/// Why this person may not move the branch without a pull request, in GitHub's words.
pub(crate) fn refused_move(
    call: &Call<'_>,
    key: &str,
    branch: &str,
    after: Option<&str>,
) -> Result<Option<String>, Refusal> {
    if !may_push(call, key, branch) {
        return Ok(Some("Changes must be made through a pull request.".to_owned()));
    }
    let git = call.git(key)?;
    let found = rules::violations(call, key, branch, after, Way::Bare, Some(&git))?;
    Ok((!found.is_empty()).then(|| rules::told(&found)))
}

/// May this person move the branch without a pull request, as far as its older protection says?
pub(crate) fn may_push(call: &Call<'_>, key: &str, branch: &str) -> bool {
    let repository = call.repository(key);
    let Some(rules) = repository.protections.get(branch) else {
        return true;
    };
    let Some(actor) = call.actor.as_deref() else {
        return false;
    };
    let admin = call.permission(repository) >= Permission::Admin;
    rules.push.contains(actor) || (admin && !rules.enforce_admins)
}

/// The object id of a branch in the store, `EMPTY` when there is none.
pub(crate) fn tip(call: &Call<'_>, key: &str, branch: &str) -> String {
    call.repository(key)
        .refs
        .get(&format!("refs/heads/{branch}"))
        .cloned()
        .unwrap_or_else(|| EMPTY.to_owned())
}
