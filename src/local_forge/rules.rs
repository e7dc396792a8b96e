//! What do the rules of a branch forbid, and to whom?
//!
//! The older protection of a single branch and rulesets, both at once; a ruleset binds everybody but those whom it
//! lets by: <https://docs.github.com/repositories/configuring-branches-and-merges-in-your-repository/managing-rulesets/about-rulesets>.

use serde_json::Value;

use super::objects;
use super::reply::{Call, Refusal};
use super::setup::Ruleset;
use super::store::{Permission, Repository, State};

/// How a branch is to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By Git or by the API, without a pull request.
    Bare,
    /// By merging a pull request.
    Merge,
}

/// What a push breaks only if it brings this; told when its objects are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unless {
    Forward,
    Signed,
}

/// Why a branch may not move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) words: String,
    pub(crate) unless: Option<Unless>,
}

/// The id by which rules name an App: that of its registration.
pub(crate) fn app_id(state: &State, login: &str) -> Option<u64> {
    let registered = state.apps.values().find(|app| app.login() == login).map(|app| app.id);
    registered.or_else(|| state.users.get(login).map(|user| user.id))
}

/// The active rulesets of a branch.
pub(crate) fn of_branch<'a>(
    repository: &'a Repository,
    branch: &str,
) -> impl Iterator<Item = &'a Ruleset> + use<'a> {
    let branch = branch.to_owned();
    repository.setup.rulesets.values().filter(move |ruleset| {
        ruleset.enforcement == "active" && ruleset.covers(&branch, &repository.default_branch)
    })
}

/// Whether the caller is let by.
pub(crate) fn lets_by(call: &Call<'_>, repository: &Repository, ruleset: &Ruleset, way: Way) -> bool {
    let Some(login) = call.actor.as_deref() else {
        return false;
    };
    let organization = call.state.organizations.get(&repository.owner);
    let permission = call.permission(repository);
    ruleset.bypass_actors.iter().any(|actor| {
        let id = actor["actor_id"].as_u64();
        let named = match actor["actor_type"].as_str().unwrap_or_default() {
            "Integration" => login.ends_with("[bot]") && id == app_id(call.state, login),
            "User" => id == call.state.users.get(login).map(|user| user.id),
            "OrganizationAdmin" => organization.is_some_and(|known| known.owners.contains(login)),
            "Team" => organization.is_some_and(|known| {
                known.teams.values().any(|team| Some(team.id) == id && team.members.contains(login))
            }),
            // <https://docs.github.com/rest/repos/rules>: the roles have these numbers.
            "RepositoryRole" => match id {
                Some(5) => permission >= Permission::Admin,
                Some(2) => permission >= Permission::Maintain,
                Some(4) => permission >= Permission::Write,
                _ => false,
            },
            _ => false,
        };
        named && (actor["bypass_mode"] != "pull_request" || way == Way::Merge)
    })
}

/// What keeps a required check from counting as passed, in GitHub's words.
pub(crate) fn missing_check(
    state: &State,
    repository: &Repository,
    head: &str,
    context: &str,
    app: Option<u64>,
) -> Option<String> {
    let run = repository
        .check_runs
        .values()
        .filter(|run| run.head == head && run.name == context)
        .rfind(|run| app.is_none() || app == app_id(state, &run.app));
    // A status counts only where no App was named: every writer can set one.
    let status = repository
        .statuses
        .iter()
        .rfind(|status| status.sha == head && status.context == context && app.is_none());
    let passed = match (run, status) {
        (Some(run), _) => run.conclusion.is_some().then(|| run.passed()),
        (None, Some(status)) => (status.state != "pending").then_some(status.state == "success"),
        (None, None) => None,
    };
    match passed {
        Some(true) => None,
        Some(false) => Some(format!("Required status check \"{context}\" is failing.")),
        None => Some(format!("Required status check \"{context}\" is expected.")),
    }
}

/// Everything that forbids the caller to move a branch from here to there. With `git`, what depends on the commits
/// is looked up; without, it is left to whoever has them.
pub(crate) fn violations(
    call: &Call<'_>,
    key: &str,
    branch: &str,
    after: Option<&str>,
    way: Way,
    git: Option<&git2::Repository>,
) -> Result<Vec<Violation>, Refusal> {
    let repository = call.repository(key);
    let mut found = Vec::new();
    if repository.setup.rulesets.is_empty() {
        return Ok(found);
    }
    let before = repository.refs.get(&format!("refs/heads/{branch}")).map(String::as_str);
    let mut say = |words: &str| found.push(Violation { words: words.to_owned(), unless: None });
    let mut left = Vec::new();
    for ruleset in of_branch(repository, branch) {
        if lets_by(call, repository, ruleset, way) {
            continue;
        }
        for rule in &ruleset.rules {
            let parameters = &rule["parameters"];
            let bare = way == Way::Bare;
            match (rule["type"].as_str().unwrap_or_default(), before, after) {
                ("creation", None, Some(_)) => say("Cannot create ref due to creations being restricted."),
                ("branch_name_pattern", None, Some(_)) if !is_named_well(parameters, branch) => {
                    say("Cannot create ref due to create name restrictions.");
                }
                ("update", Some(_), Some(_)) => say("Cannot update this protected ref."),
                ("deletion", Some(_), None) => say("Cannot delete this branch"),
                ("non_fast_forward", Some(_), Some(_)) if bare => {
                    left.push(("Cannot force-push to this branch", Unless::Forward));
                }
                // The first push of an empty repository makes the branch that is to be protected.
                ("pull_request", _, Some(_)) if bare && !repository.refs.is_empty() => {
                    say("Changes must be made through a pull request.");
                }
                ("merge_queue", Some(_), Some(_)) => say("Changes must be made through the merge queue"),
                ("required_signatures", _, Some(_)) => {
                    left.push(("Commits must have verified signatures.", Unless::Signed));
                }
                ("required_status_checks", _, Some(after)) => {
                    if before.is_none() && parameters["do_not_enforce_on_create"] == true {
                        continue;
                    }
                    let checks = parameters["required_status_checks"].as_array();
                    for check in checks.into_iter().flatten() {
                        let context = check["context"].as_str().unwrap_or_default();
                        let app = check["integration_id"].as_u64();
                        if let Some(words) = missing_check(call.state, repository, after, context, app) {
                            say(&words);
                        }
                    }
                    if parameters["strict_required_status_checks_policy"] == true && !bare {
                        left.push(("Head branch is out of date with the base branch.", Unless::Forward));
                    }
                }
                _ => {}
            }
        }
    }
    for (words, unless) in left {
        let broken = match git {
            Some(git) => !holds(git, before, after, unless)?,
            None => true,
        };
        if broken {
            let unless = git.is_none().then_some(unless);
            found.push(Violation { words: words.to_owned(), unless });
        }
    }
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|violation| seen.insert(violation.words.clone()));
    Ok(found)
}

/// Whether the name of a branch is as a rule wants it.
fn is_named_well(parameters: &Value, branch: &str) -> bool {
    let pattern = parameters["pattern"].as_str().unwrap_or_default();
    let fits = match parameters["operator"].as_str().unwrap_or_default() {
        "starts_with" => branch.starts_with(pattern),
        "ends_with" => branch.ends_with(pattern),
        "contains" => branch.contains(pattern),
        _ => regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(branch)),
    };
    fits != (parameters["negate"] == true)
}

fn holds(
    git: &git2::Repository,
    before: Option<&str>,
    after: Option<&str>,
    unless: Unless,
) -> Result<bool, Refusal> {
    let Some(after) = after.map(objects::oid).transpose()? else {
        return Ok(true);
    };
    let before = before.map(objects::oid).transpose()?;
    Ok(match unless {
        Unless::Forward => before.is_none_or(|before| objects::is_ancestor(git, before, after)),
        Unless::Signed => {
            let mut walk = git.revwalk()?;
            walk.push(after)?;
            if let Some(before) = before {
                walk.hide(before)?;
            }
            let mut all = true;
            for id in walk {
                all &= objects::is_signed(&git.find_commit(id?)?);
            }
            all
        }
    })
}

/// The ways of merging that both the repository and the rules of a branch allow to the caller.
pub(crate) fn allows_method(call: &Call<'_>, key: &str, branch: &str, method: &str) -> bool {
    let repository = call.repository(key);
    let by_rules = of_branch(repository, branch)
        .filter(|ruleset| !lets_by(call, repository, ruleset, Way::Merge))
        .flat_map(|ruleset| &ruleset.rules)
        .filter_map(|rule| rule["parameters"]["allowed_merge_methods"].as_array())
        .all(|methods| methods.iter().any(|known| known == method));
    by_rules && repository.setup.merge_methods.contains(method)
}

/// The words of a refusal by rules.
pub(crate) fn told(violations: &[Violation]) -> String {
    let words: Vec<&str> = violations.iter().map(|violation| violation.words.as_str()).collect();
    format!("Repository rule violations found\n\n{}\n\n", words.join("\n"))
}

/// The rules of a branch as they are listed, each with the ruleset that it comes from.
pub(crate) fn listed(repository: &Repository, branch: &str) -> Vec<Value> {
    of_branch(repository, branch)
        .flat_map(|ruleset| {
            ruleset.rules.iter().map(|rule| {
                let mut rule = rule.clone();
                rule["ruleset_source_type"] = "Repository".into();
                rule["ruleset_source"] = repository.key().into();
                rule["ruleset_id"] = ruleset.id.into();
                rule
            })
        })
        .collect()
}
