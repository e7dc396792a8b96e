//! Which rules should GitHub hold the catalog's branches to?

use serde_json::{Value, json};

use crate::plan::step::CHECK;

/// Where the rulesets are kept, to be imported.
pub(in crate::cli) const FOLDER: &str = ".github/rulesets";

/// The rulesets with the paths of their files, as GitHub imports them:
/// <https://docs.github.com/rest/repos/rules#create-a-repository-ruleset>.
pub(in crate::cli) fn all(app: Option<u64>) -> [(String, Value); 2] {
    [
        (format!("{FOLDER}/default-branch.json"), default_branch(app)),
        (format!("{FOLDER}/chandlery-branches.json"), own_branches(app)),
    ]
}

/// The App writes records past the rules; everybody else needs its check.
///
/// Not strict: each record moves the default branch, and would put every open request behind. No native
/// approvals: who must approve is said by actions, and may be nobody, or somebody without write access.
pub(in crate::cli) fn default_branch(app: Option<u64>) -> Value {
    let mut check = json!({ "context": CHECK });
    if let Some(app) = app {
        check["integration_id"] = app.into();
    }
    ruleset(
        "Chandlery: default branch",
        "~DEFAULT_BRANCH",
        app,
        json!([
            { "type": "deletion" },
            { "type": "non_fast_forward" },
            { "type": "pull_request", "parameters": {
                "required_approving_review_count": 0,
                "dismiss_stale_reviews_on_push": false,
                "require_code_owner_review": true,
                "require_last_push_approval": false,
                "required_review_thread_resolution": false,
                "allowed_merge_methods": ["merge", "squash", "rebase"],
            } },
            { "type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": false,
                "do_not_enforce_on_create": true,
                "required_status_checks": [check],
            } },
        ]),
    )
}

/// What Chandlery made for people's requests is changed by nobody else.
pub(in crate::cli) fn own_branches(app: Option<u64>) -> Value {
    ruleset(
        "Chandlery: its own branches",
        // `**` alone stops at a slash, and our branches have two or more.
        "refs/heads/chandlery/**/*",
        app,
        json!([{ "type": "creation" }, { "type": "update" }, { "type": "deletion" }, { "type": "non_fast_forward" }]),
    )
}

fn ruleset(name: &str, branches: &str, app: Option<u64>, rules: Value) -> Value {
    let bypass =
        app.map(|app| json!({ "actor_id": app, "actor_type": "Integration", "bypass_mode": "always" }));
    json!({
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": { "ref_name": { "include": [branches], "exclude": [] } },
        "rules": rules,
        "bypass_actors": bypass.into_iter().collect::<Vec<_>>(),
    })
}
