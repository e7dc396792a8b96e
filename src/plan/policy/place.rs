//! Where may a request write?

use std::collections::BTreeSet;

use super::{
    super::{asking, build::Site},
    Case, Finding,
};
use crate::domain::{Glob, RepoName, RepoPath};

/// The most paths that one refusal names.
const MOST_NAMED: usize = 5;

/// The repositories and the files that a policy allows.
pub(super) fn judge(case: &Case<'_>) -> Vec<Finding> {
    let effects = &case.policy.effects;
    let mut found = Vec::new();
    if !effects.repositories.is_empty() {
        for name in asking::repositories(case.asking.steps) {
            if effects.repositories.iter().any(|glob| glob.matches(name)) {
                continue;
            }
            let allowed: Vec<String> = effects.repositories.iter().map(|glob| format!("`{glob}`")).collect();
            let message = format!("allows {} only, and this goes to `{name}`", allowed.join(", "));
            let help =
                "ask for something that goes elsewhere; the platform team says in the policy what is allowed";
            found.push(Finding::Refused(case.refusal(
                "policy-repository",
                "repositories.allow",
                &message,
                help,
            )));
        }
    }
    for (index, paths) in effects.paths.iter().enumerate() {
        for pull in case.asking.steps.iter().filter_map(|step| step.pull_request.as_ref()) {
            let repository = pull.repository.as_str();
            if paths.repository.as_ref().is_some_and(|glob| !glob.matches(repository)) {
                continue;
            }
            let deny: Vec<Glob> = paths.deny.iter().map(Glob::in_any_case).collect();
            let is_denied = |path: &str| {
                deny.iter().any(|glob| glob.matches(path))
                    || !paths.allow.is_empty() && !paths.allow.iter().any(|glob| glob.matches(path))
            };
            let changed = pull.changes.iter().map(|change| change.path.as_str());
            let denied: BTreeSet<&str> = changed.filter(|path| is_denied(path)).collect();
            if denied.is_empty() {
                continue;
            }
            let message = format!("does not let requests change {} of `{repository}`", some(&denied));
            let help = "ask for something that leaves them as they are; the platform team says in the policy what is allowed";
            found.push(Finding::Refused(case.refusal(
                "policy-path",
                &format!("paths[{index}]"),
                &message,
                help,
            )));
        }
    }
    found
}

fn some(paths: &BTreeSet<&str>) -> String {
    let named: Vec<String> = paths.iter().take(MOST_NAMED).map(|path| format!("`{path}`")).collect();
    match paths.len().saturating_sub(MOST_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// Why a follow-up may not change a file, whatever policies there are, unless its step grants it: what runs with rights of its
/// own, who must approve, and what this very catalog means.
pub(in crate::plan) fn not_granted(
    site: &Site<'_>,
    repository: &RepoName,
    path: &RepoPath,
    granted: &[Glob],
) -> Option<String> {
    let text = path.as_str().to_lowercase();
    if granted.iter().any(|glob| glob.matches(path.as_str())) {
        return None;
    }
    if text.starts_with(".github/workflows/") {
        return Some(format!("`{path}` is a workflow: it runs with rights of its own"));
    }
    if path.file_name().eq_ignore_ascii_case("CODEOWNERS") {
        return Some(format!("`{path}` says who must approve changes of `{repository}`"));
    }
    if *repository != site.here.catalog {
        return None;
    }
    let folders = &site.definitions.settings.folders;
    let own = [
        &folders.blueprints,
        &folders.actions,
        &folders.templates,
        &folders.policies,
        &folders.scorecards,
        &folders.requests,
    ];
    let scripts = match &site.definitions.root.0 {
        Some(root) => format!("{}/scripts/", root.as_str().to_lowercase()),
        None => "scripts/".to_owned(),
    };
    let is_own = *path == site.definitions.root.settings_path()
        || text.starts_with(&scripts)
        || own.iter().any(|folder| text.starts_with(&format!("{}/", folder.as_str().to_lowercase())));
    is_own.then(|| format!("`{path}` is a definition of this very catalog"))
}
