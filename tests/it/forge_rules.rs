//! Does the local forge hold branches to their rules, and does it keep what administrators set up?

use serde_json::{Value, json};

use crate::forge_helper::{TestForge, base64, git};

const R: &str = "/repos/acme/catalog";

fn at(path: &str) -> String {
    format!("{R}{path}")
}

fn ruleset(rules: &Value, bypass: &Value) -> Value {
    json!({
        "name": "lines", "target": "branch", "enforcement": "active", "bypass_actors": bypass, "rules": rules,
        "conditions": {"ref_name": {"include": ["refs/heads/line/**/*"], "exclude": []}},
    })
}

/// A branch with a ruleset of these rules; gives the ruleset's id and the App's.
fn ruled(forge: &TestForge, rules: &Value) -> (u64, u64) {
    let app = forge.get("ada", "/users/chandlery%5Bbot%5D").expect(200).number("/id");
    let bypass = json!([{"actor_type": "Integration", "actor_id": app}]);
    forge.write("bo", "line/one", "one.txt", "1\n");
    let made = forge.post("ada", &at("/rulesets"), ruleset(rules, &bypass)).expect(201);
    (made.number("/id"), app)
}

/// A commit of Git's own making that adds a file to a branch.
fn commit(forge: &TestForge, who: &str, branch: &str, more: Value) -> String {
    let head = forge.get(who, &at(&format!("/git/ref/heads/{branch}"))).expect(200);
    let head = head.text("/object/sha");
    let base = forge.get(who, &at(&format!("/git/commits/{head}"))).expect(200);
    let entry = json!({"path": "more.txt", "mode": "100644", "type": "blob", "content": "more\n"});
    let tree = json!({"base_tree": base.text("/tree/sha"), "tree": [entry]});
    let tree = forge.post(who, &at("/git/trees"), tree).expect(201);
    let mut body = json!({"message": "More", "tree": tree.text("/sha"), "parents": [head]});
    for (field, value) in more.as_object().into_iter().flatten() {
        body[field] = value.clone();
    }
    forge.post(who, &at("/git/commits"), body).expect(201).text("/sha").to_owned()
}

#[test]
fn rulesets_are_kept_and_their_bypass_is_the_administrators() {
    let forge = TestForge::start("rulesets");
    let (id, app) = ruled(&forge, &json!([{"type": "deletion"}]));
    forge.post("bo", &at("/rulesets"), ruleset(&json!([]), &json!([]))).expect(403);
    let twice = forge.post("ada", &at("/rulesets"), ruleset(&json!([]), &json!([]))).expect(422);
    assert!(twice.text("/message").contains("unique"));
    let whole = forge.get("ada", &at(&format!("/rulesets/{id}"))).expect(200);
    assert_eq!(whole.number("/bypass_actors/0/actor_id"), app);
    assert_eq!(whole.text("/bypass_actors/0/bypass_mode"), "always");
    let shy = forge.get("bo", &at(&format!("/rulesets/{id}"))).expect(200);
    assert_eq!(shy.body.get("bypass_actors"), None);
    assert_eq!(shy.text("/current_user_can_bypass"), "never");
    assert_eq!(forge.get("", &at("/rulesets")).expect(200).body.as_array().unwrap().len(), 1);
    let rules = forge.get("bo", &at("/rules/branches/line/one")).expect(200);
    assert_eq!((rules.text("/0/type"), rules.number("/0/ruleset_id")), ("deletion", id));
    assert_eq!(forge.get("bo", &at("/rules/branches/main")).expect(200).body, json!([]));

    forge.delete("bo", &at("/git/refs/heads/line/one")).expect(422);
    forge.put("ada", &at(&format!("/rulesets/{id}")), json!({"enforcement": "disabled"})).expect(200);
    assert_eq!(forge.get("bo", &at("/rules/branches/line/one")).expect(200).body, json!([]));
    forge.delete("bo", &at("/git/refs/heads/line/one")).expect(204);
    forge.delete("ada", &at(&format!("/rulesets/{id}"))).expect(204);
    forge.get("ada", &at(&format!("/rulesets/{id}"))).expect(404);
}

#[test]
fn rules_bind_pushes_calls_and_merges_of_everybody_but_whom_they_let_by() {
    let forge = TestForge::start("rules");
    let (_, app) = ruled(
        &forge,
        &json!([
            {"type": "pull_request", "parameters": {
                "required_approving_review_count": 0, "dismiss_stale_reviews_on_push": false, "require_code_owner_review": false,
                "require_last_push_approval": false, "required_review_thread_resolution": false, "allowed_merge_methods": ["squash"],
            }},
            {"type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": false,
                "required_status_checks": [{"context": "chandlery", "integration_id": 0}],
            }},
            {"type": "non_fast_forward"},
        ]),
    );
    let listed = forge.get("ada", &at("/rulesets")).expect(200).number("/0/id");
    let mut rules = forge.get("ada", &at(&format!("/rulesets/{listed}"))).expect(200).body["rules"].clone();
    rules[1]["parameters"]["required_status_checks"][0]["integration_id"] = app.into();
    forge.put("ada", &at(&format!("/rulesets/{listed}")), json!({"rules": rules})).expect(200);

    // By the API.
    let more = json!({"message": "More", "branch": "line/one", "content": base64("2\n")});
    let refused = forge.put("bo", &at("/contents/two.txt"), more.clone()).expect(409);
    assert!(refused.text("/message").contains("Changes must be made through a pull request."), "{refused:?}");
    let sha = commit(&forge, "bo", "line/one", Value::Null);
    let moved = forge.patch("bo", &at("/git/refs/heads/line/one"), json!({"sha": sha})).expect(422);
    assert!(moved.text("/message").contains("Required status check \"chandlery\" is expected."));
    forge.put("chandlery", &at("/contents/two.txt"), more).expect(201);

    // By Git.
    let folder = tempfile::tempdir().unwrap();
    let clone = |who: &str| {
        let (fine, said) = git(folder.path(), &["clone", "-q", "-b", "line/one", &forge.remote(who), who]);
        assert!(fine, "{said}");
        folder.path().join(who)
    };
    let push = |who: &str, amend: &[&str]| {
        let work = clone(who);
        git(&work, &[&["commit", "-q", "--allow-empty", "-m", "More"], amend].concat());
        let pushed = git(&work, &["push", "-f", "origin", "HEAD"]);
        std::fs::remove_dir_all(work).unwrap();
        pushed
    };
    let (fine, said) = push("bo", &[]);
    assert!(
        !fine && said.contains("GH013") && said.contains("- Changes must be made through a pull request."),
        "{said}"
    );
    assert!(!said.contains("force-push"), "it goes forward: {said}");
    let (fine, said) = push("bo", &["--amend"]);
    assert!(!fine && said.contains("- Cannot force-push to this branch"), "{said}");
    let (fine, said) = push("chandlery", &["--amend"]);
    assert!(fine, "{said}");

    // By merging.
    forge.write("bo", "topic", "topic.txt", "t\n");
    let head = commit(&forge, "bo", "line/one", Value::Null);
    forge.post("bo", &at("/git/refs"), json!({"ref": "refs/heads/ready", "sha": head})).expect(201);
    let pull = json!({"title": "Ready", "head": "ready", "base": "line/one"});
    let pull = forge.post("bo", &at("/pulls"), pull).expect(201).number("/number");
    let merge =
        |method: &str| forge.put("bo", &at(&format!("/pulls/{pull}/merge")), json!({"merge_method": method}));
    // A status of the same name is nothing: the rule names the App.
    forge
        .post("bo", &at(&format!("/statuses/{head}")), json!({"state": "success", "context": "chandlery"}))
        .expect(201);
    let refused = merge("squash").expect(405);
    assert!(refused.text("/message").contains("is expected"), "{refused:?}");
    forge.pass(&head);
    assert_eq!(
        merge("merge").expect(405).text("/message"),
        "Merge commits are not allowed on this repository."
    );
    merge("squash").expect(200);
}

#[test]
fn own_branches_are_made_moved_and_deleted_by_nobody_else() {
    let forge = TestForge::start("own-branches");
    ruled(&forge, &json!([{"type": "creation"}, {"type": "update"}, {"type": "deletion"}]));
    let main = forge.get("bo", &at("/git/ref/heads/main")).expect(200).text("/object/sha").to_owned();
    let new = json!({"ref": "refs/heads/line/deep/two", "sha": main});
    forge.post("bo", &at("/git/refs"), new.clone()).expect(422);
    forge.post("chandlery", &at("/git/refs"), new).expect(201);
    let sha = commit(&forge, "bo", "line/deep/two", Value::Null);
    forge.patch("bo", &at("/git/refs/heads/line/deep/two"), json!({"sha": sha})).expect(422);
    forge.patch("chandlery", &at("/git/refs/heads/line/deep/two"), json!({"sha": sha})).expect(200);
    forge.delete("bo", &at("/git/refs/heads/line/deep/two")).expect(422);
    let pull = json!({"title": "Line", "head": "line/one", "base": "main"});
    let pull = forge.post("bo", &at("/pulls"), pull).expect(201).number("/number");
    forge
        .put("chandlery", &at("/contents/x.txt"), json!({"message": "x", "content": base64("x\n")}))
        .expect(201);
    forge.put("bo", &at(&format!("/pulls/{pull}/update-branch")), json!({})).expect(422);
    forge.put("chandlery", &at(&format!("/pulls/{pull}/update-branch")), json!({})).expect(202);
}

#[test]
fn signed_commits_are_those_that_an_app_has_the_forge_make() {
    let forge = TestForge::start("signed");
    ruled(&forge, &json!([{"type": "required_signatures"}]));
    let someone = json!({"author": {"name": "x", "email": "x@example.com"}});
    for (who, more, verified) in
        [("chandlery", Value::Null, true), ("chandlery", someone, false), ("bo", Value::Null, false)]
    {
        let sha = commit(&forge, who, "line/one", more);
        let shown = forge.get("bo", &at(&format!("/commits/{sha}"))).expect(200);
        assert_eq!(shown.body["commit"]["verification"]["verified"], verified, "{who}");
        let moved = forge.patch(who, &at("/git/refs/heads/line/one"), json!({"sha": sha}));
        assert_eq!(moved.status == 422, who == "bo", "the App is let by: {moved:?}");
    }
    // Without a way round, what is signed goes in and the rest stays out.
    let id = forge.get("ada", &at("/rulesets")).expect(200).number("/0/id");
    forge.put("ada", &at(&format!("/rulesets/{id}")), json!({"bypass_actors": []})).expect(200);
    let sha = commit(&forge, "chandlery", "line/one", Value::Null);
    forge.patch("chandlery", &at("/git/refs/heads/line/one"), json!({"sha": sha})).expect(200);
    let folder = tempfile::tempdir().unwrap();
    git(folder.path(), &["clone", "-q", "-b", "line/one", &forge.remote("chandlery"), "work"]);
    let work = folder.path().join("work");
    git(&work, &["commit", "-q", "--allow-empty", "-m", "Unsigned"]);
    let (fine, said) = git(&work, &["push", "origin", "HEAD"]);
    assert!(!fine && said.contains("- Commits must have verified signatures."), "{said}");
}

#[test]
fn a_merge_queue_takes_no_merge_by_rest() {
    let forge = TestForge::start("queue");
    ruled(
        &forge,
        &json!([{"type": "merge_queue", "parameters": {
            "check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5, "max_entries_to_merge": 5,
            "merge_method": "MERGE", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5,
        }}]),
    );
    let head = commit(&forge, "bo", "line/one", Value::Null);
    forge.post("bo", &at("/git/refs"), json!({"ref": "refs/heads/ready", "sha": head})).expect(201);
    let pull = json!({"title": "Ready", "head": "ready", "base": "line/one"});
    let pull = forge.post("bo", &at("/pulls"), pull).expect(201).number("/number");
    let refused = forge.put("bo", &at(&format!("/pulls/{pull}/merge")), json!({})).expect(405);
    assert!(refused.text("/message").contains("Changes must be made through the merge queue"));
    // It is put there with the head that it has, and nothing is required of it.
    let id = forge.get("bo", &at(&format!("/pulls/{pull}"))).expect(200).body["node_id"].clone();
    let enqueue = |head: &str| {
        let input = format!("{{ pullRequestId: {id}, expectedHeadOid: \"{head}\" }}");
        forge.graphql(
            "bo",
            &format!(
                "mutation {{ enqueuePullRequest(input: {input}) {{ mergeQueueEntry {{ position }} }} }}"
            ),
        )
    };
    let moved = enqueue(&"0".repeat(40));
    assert!(moved["errors"][0]["message"].to_string().contains("expected head sha"), "{moved}");
    assert!(enqueue(&head).get("errors").is_none());
    let pull = forge.get("bo", &at(&format!("/pulls/{pull}"))).expect(200).body;
    assert_eq!(pull["merged"], true);
    let tip = forge.get("bo", &at("/git/ref/heads/line/one")).expect(200).body["object"]["sha"].clone();
    assert_eq!(tip, pull["merge_commit_sha"]);
}

#[test]
fn environments_secrets_and_workflows() {
    let forge = TestForge::start("environments");
    let environment = at("/environments/chandlery");
    forge.get("bo", &environment).expect(404);
    let named =
        json!({"deployment_branch_policy": {"protected_branches": false, "custom_branch_policies": true}});
    forge.put("bo", &environment, named.clone()).expect(403);
    let both =
        json!({"deployment_branch_policy": {"protected_branches": true, "custom_branch_policies": true}});
    forge.put("ada", &environment, both).expect(422);
    let made = forge.put("ada", &environment, named).expect(200);
    assert_eq!(made.body["deployment_branch_policy"]["custom_branch_policies"], true);
    let policies = format!("{environment}/deployment-branch-policies");
    let policy = forge.post("ada", &policies, json!({"name": "main"})).expect(200).number("/id");
    assert_eq!(forge.get("bo", &policies).expect(200).text("/branch_policies/0/name"), "main");
    forge.delete("ada", &format!("{policies}/{policy}")).expect(204);
    forge.post("ada", &format!("{environment}/variables"), json!({"name": "ID", "value": "7"})).expect(201);
    forge.post("ada", &format!("{environment}/variables"), json!({"name": "ID", "value": "8"})).expect(409);
    forge.patch("ada", &format!("{environment}/variables/ID"), json!({"value": "9"})).expect(204);
    assert_eq!(
        forge.get("bo", &format!("{environment}/variables")).expect(200).text("/variables/0/value"),
        "9"
    );
    assert_eq!(forge.get("bo", &format!("{environment}/variables/ID")).expect(200).text("/value"), "9");
    forge.delete("ada", &format!("{environment}/variables/ID")).expect(204);
    let secret = json!({"encrypted_value": "c2VhbGVk", "key_id": "1"});
    for folder in [format!("{environment}/secrets"), at("/actions/secrets")] {
        forge.put("ada", &format!("{folder}/KEY"), secret.clone()).expect(201);
        forge.put("ada", &format!("{folder}/KEY"), secret.clone()).expect(204);
        forge.get("cy", &folder).expect(403);
        assert_eq!(forge.get("bo", &folder).expect(200).text("/secrets/0/name"), "KEY");
        forge.delete("ada", &format!("{folder}/KEY")).expect(204);
    }
    forge.get("bo", &at("/actions/organization-secrets")).expect(200);
    assert_eq!(forge.get("ada", &at("/environments")).expect(200).number("/total_count"), 1);
    forge.delete("ada", &environment).expect(204);

    forge.put("ada", &at("/actions/permissions"), json!({"enabled": false})).expect(204);
    assert_eq!(forge.get("ada", &at("/actions/permissions")).expect(200).body, json!({"enabled": false}));
    forge.patch("ada", R, json!({"has_issues": false, "allow_merge_commit": false})).expect(200);
    let shown = forge.get("bo", R).expect(200);
    assert_eq!(
        (&shown.body["has_issues"], &shown.body["allow_merge_commit"]),
        (&json!(false), &json!(false))
    );
    assert_eq!(forge.get("cy", R).expect(200).body.get("allow_merge_commit"), None);
    forge.post("bo", &at("/issues"), json!({"title": "x"})).expect(410);
    forge.patch("ada", R, json!({"allow_squash_merge": false, "allow_rebase_merge": false})).expect(422);
}

#[test]
fn workflows_are_files_and_can_be_started() {
    let forge = TestForge::start("workflows");
    let put = |path: &str, text: &str| {
        let body = json!({"message": "A file", "content": base64(text)});
        forge.put("chandlery", &at(&format!("/contents/{path}")), body).expect(201);
    };
    put(".github/workflows/wake.yml", "name: wake\non:\n  workflow_dispatch:\n");
    put(".github/workflows/other.yml", "on: push\n");
    let all = forge.get("bo", &at("/actions/workflows")).expect(200);
    assert_eq!((all.number("/total_count"), all.text("/workflows/1/name")), (2, "wake"));
    let id = all.number("/workflows/1/id");
    assert_eq!(forge.get("bo", &at("/actions/workflows/wake.yml")).expect(200).number("/id"), id);
    let start = |file: &str, body: Value| {
        forge.post("bo", &at(&format!("/actions/workflows/{file}/dispatches")), body)
    };
    start("wake.yml", json!({"ref": "main"})).expect(204);
    start("wake.yml", json!({"ref": "main", "return_run_details": true})).expect(200);
    start("wake.yml", json!({"ref": "gone"})).expect(422);
    let head = forge.get("bo", &at("/git/ref/heads/main")).expect(200).body["object"]["sha"].clone();
    let tag = json!({"ref": "refs/tags/v1", "sha": head});
    forge.post("chandlery", &at("/git/refs"), tag).expect(201);
    for name in ["v1", "refs/tags/v1"] {
        start("wake.yml", json!({"ref": name})).expect(204);
    }
    start("other.yml", json!({"ref": "main"})).expect(422);
    start("none.yml", json!({"ref": "main"})).expect(404);
    forge.put("bo", &at(&format!("/actions/workflows/{id}/disable")), Value::Null).expect(204);
    assert_eq!(
        forge.get("bo", &at("/actions/workflows/wake.yml")).expect(200).text("/state"),
        "disabled_manually"
    );
    start("wake.yml", json!({"ref": "main"})).expect(422);
    forge.put("bo", &at(&format!("/actions/workflows/{id}/enable")), Value::Null).expect(204);
    forge.post("bo", &at("/dispatches"), json!({"event_type": "chandlery"})).expect(204);
    forge.post("cy", &at("/dispatches"), json!({"event_type": "chandlery"})).expect(403);

    forge.get("bo", &at("/codeowners/errors")).expect(404);
    put(".github/CODEOWNERS", "/a @bo @nobody\n/b bo # no\n* @acme/platform\n");
    let errors = forge.get("bo", &at("/codeowners/errors")).expect(200);
    let kinds: Vec<_> =
        errors.body["errors"].as_array().unwrap().iter().map(|error| error["kind"].clone()).collect();
    assert_eq!(kinds, ["Unknown owner", "Invalid owner", "Unknown owner"]);
}
