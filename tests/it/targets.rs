//! What is whoever asks told where a target cannot be worked with? While it is planned, on the request itself: nobody
//! approves what then fails. Once that is mended, the next pass plans it.

use serde_json::{Value, json};

use crate::world::{Repo, World, local::Local, reconcile, told};

const FILE: &str = ".github/workflows/apply.yml";
const RESIZE: &str = "resize-bucket of old size=2";
const APPLY: &str = "apply-bucket of old";

/// What was done to the target, and how it is undone; what is asked; what is told.
struct Row {
    done: fn(&Local),
    undone: fn(&Local),
    asked: &'static str,
    code: &'static str,
    words: &'static [&'static str],
}

fn forge(world: &Local, method: &str, path: &str, body: &Value) {
    let (status, answer) = world.tries("ada", method, &format!("/api/v3/repos/acme/{path}"), body);
    assert!(status < 300, "{method} {path}: {status} {answer}");
}

/// Has the workflow say something else, or be gone.
fn workflow(world: &Local, text: Option<&str>) {
    assert!(world.replaced(Repo::Infra, FILE, text), "{text:?}");
}

const SOUND: &str = "name: apply\nrun-name: apply ${{ inputs.correlation }}\non:\n  workflow_dispatch:\n    inputs: { bucket: {}, correlation: {} }\njobs: {}\n";

fn sound(world: &Local) {
    workflow(world, Some(SOUND));
}

/// Has the action name another repository.
fn names(world: &Local, from: &str, to: &str) {
    let path = "actions/apply-bucket.yaml";
    let old = world.read(Repo::Catalog, path);
    assert!(old.contains(from), "{old}");
    assert!(world.replaced(Repo::Catalog, path, Some(&old.replace(from, to))));
}

const ARCHIVE: fn(&Local) = |world| forge(world, "PATCH", "infra", &json!({ "archived": true }));
const UNARCHIVE: fn(&Local) = |world| forge(world, "PATCH", "infra", &json!({ "archived": false }));
const RENAME: fn(&Local) = |world| forge(world, "PATCH", "infra", &json!({ "name": "platform" }));
const BACK: fn(&Local) = |world| forge(world, "PATCH", "platform", &json!({ "name": "infra" }));

/// Has the step name a branch or tag, or none.
const ON_RELEASE: fn(&Local) =
    |world| names(world, "workflow: apply.yml", "workflow: apply.yml, ref: release");
const ON_MAIN: fn(&Local) = |world| names(world, "workflow: apply.yml, ref: release", "workflow: apply.yml");

/// Gives the target a branch or tag `release` as its default branch is now.
fn release(world: &Local, kind: &str) {
    let (status, main) =
        world.tries("ada", "GET", "/api/v3/repos/acme/infra/git/ref/heads/main", &Value::Null);
    assert_eq!(status, 200, "{main}");
    let new = json!({ "ref": format!("refs/{kind}/release"), "sha": main["object"]["sha"] });
    forge(world, "POST", "infra/git/refs", &new);
}

fn switch(world: &Local, to: &str) {
    forge(world, "PUT", &format!("infra/actions/workflows/apply.yml/{to}"), &Value::Null);
}

/// Lets nobody make branches of ours but these.
fn rule(world: &Local, method: &str, path: &str, but: &Value) {
    let branches = "refs/heads/chandlery/**/*";
    ruleset(world, method, path, branches, but, &json!({ "type": "creation" }));
}

fn ruleset(world: &Local, method: &str, path: &str, branches: &str, but: &Value, rule: &Value) {
    let ruleset = json!({
        "name": "no robots", "target": "branch", "enforcement": "active", "bypass_actors": but,
        "conditions": { "ref_name": { "include": [branches], "exclude": [] } },
        "rules": [rule],
    });
    forge(world, method, path, &ruleset);
}

const FORBID: fn(&Local) = |world| rule(world, "POST", "infra/rulesets", &json!([]));
const LET_BY: fn(&Local) = |world| {
    let (status, me) = world.tries("ada", "GET", "/api/v3/users/chandlery%5Bbot%5D", &Value::Null);
    assert_eq!(status, 200, "{me}");
    let but = json!([{ "actor_type": "Integration", "actor_id": me["id"], "bypass_mode": "always" }]);
    rule(world, "PUT", &of_the_ruleset(world), &but);
};

/// Has all branches be named so.
fn names_must(world: &Local, method: &str, path: &str, operator: &str, pattern: &str) {
    let rule = json!({ "type": "branch_name_pattern", "parameters": { "name": "", "negate": false, "operator": operator, "pattern": pattern } });
    ruleset(world, method, path, "~ALL", &json!([]), &rule);
}

/// The path of the only ruleset.
fn of_the_ruleset(world: &Local) -> String {
    let (_, all) = world.tries("ada", "GET", "/api/v3/repos/acme/infra/rulesets", &Value::Null);
    format!("infra/rulesets/{}", all[0]["id"])
}

const ROWS: &[Row] = &[
    Row {
        done: ARCHIVE,
        undone: UNARCHIVE,
        asked: RESIZE,
        code: "repository-archived",
        words: &["`acme/infra` is archived", "unarchive it"],
    },
    Row { done: ARCHIVE, undone: UNARCHIVE, asked: APPLY, code: "repository-archived", words: &[] },
    Row {
        done: RENAME,
        undone: BACK,
        asked: RESIZE,
        code: "repository-renamed",
        words: &["`acme/infra` is called `acme/platform` now", "write `acme/platform` in the action"],
    },
    Row { done: RENAME, undone: BACK, asked: APPLY, code: "repository-renamed", words: &[] },
    Row {
        done: |world| workflow(world, None),
        undone: sound,
        asked: APPLY,
        code: "workflow-not-found",
        words: &["`acme/infra` has no `.github/workflows/apply.yml` on its branch `main`"],
    },
    Row {
        done: |world| workflow(world, Some("name: apply\non: push\njobs: {}\n")),
        undone: sound,
        asked: APPLY,
        code: "workflow-unusable",
        words: &["has no `workflow_dispatch` among its events"],
    },
    Row {
        done: |world| workflow(world, Some(&SOUND.replace("bucket: {}", "bucked: { required: true }"))),
        undone: sound,
        asked: APPLY,
        code: "workflow-input",
        words: &["has no input `bucket`", "Did you mean `bucked`?", "requires the input `bucked`"],
    },
    Row {
        done: |world| names(world, "acme/infra, workflow", "acme/fresh, workflow"),
        undone: |world| names(world, "acme/fresh, workflow", "acme/infra, workflow"),
        asked: APPLY,
        code: "repository-empty",
        words: &["`acme/fresh` is empty", "with a first commit"],
    },
    Row {
        done: |world| switch(world, "disable"),
        undone: |world| switch(world, "enable"),
        asked: APPLY,
        code: "workflow-disabled",
        words: &[
            "`apply.yml` of `acme/infra` is switched off",
            "gh workflow enable apply.yml --repo acme/infra",
        ],
    },
    Row {
        done: ON_RELEASE,
        undone: |world| release(world, "tags"),
        asked: APPLY,
        code: "ref-not-found",
        words: &["`acme/infra` has no branch or tag `release`"],
    },
    Row {
        done: |world| {
            workflow(world, None);
            release(world, "heads");
            sound(world);
            ON_RELEASE(world);
        },
        undone: ON_MAIN,
        asked: APPLY,
        code: "workflow-not-found",
        words: &["`acme/infra` has no `.github/workflows/apply.yml` on its branch `release`"],
    },
    Row {
        // What runs is what the branch says, whatever the default branch does.
        done: |world| {
            workflow(world, Some("name: apply\non: push\njobs: {}\n"));
            release(world, "heads");
            sound(world);
            ON_RELEASE(world);
        },
        undone: ON_MAIN,
        asked: APPLY,
        code: "workflow-unusable",
        words: &["has no `workflow_dispatch` among its events"],
    },
    Row {
        done: FORBID,
        undone: LET_BY,
        asked: RESIZE,
        code: "branch-forbidden",
        words: &[
            "the rules `no robots` of `acme/infra` do not let Chandlery make the branch `chandlery/",
            "leave `chandlery/*` out of those rules, or let Chandlery's account bypass them",
        ],
    },
    Row {
        done: |world| names_must(world, "POST", "infra/rulesets", "regex", "^(feature|fix)/"),
        // A pattern that fits this branch, and not each that we make.
        undone: |world| {
            names_must(world, "PUT", &of_the_ruleset(world), "regex", "^(feature/|chandlery/.*-code$)")
        },
        asked: RESIZE,
        code: "branch-forbidden",
        words: &[
            "do not let Chandlery make the branch `chandlery/",
            "has the step name a `branch` that they allow",
        ],
    },
    Row {
        // A new commit has no checks yet.
        done: |world| {
            let checks = json!({ "strict_required_status_checks_policy": false, "required_status_checks": [{ "context": "lint" }] });
            let rule = json!({ "type": "required_status_checks", "parameters": checks });
            ruleset(world, "POST", "infra/rulesets", "~ALL", &json!([]), &rule);
        },
        undone: |world| {
            let checks = json!({
                "strict_required_status_checks_policy": false, "required_status_checks": [{ "context": "lint" }],
                "do_not_enforce_on_create": true,
            });
            let rule = json!({ "type": "required_status_checks", "parameters": checks });
            ruleset(world, "PUT", &of_the_ruleset(world), "~ALL", &json!([]), &rule);
        },
        asked: RESIZE,
        code: "branch-forbidden",
        words: &["the rules `no robots` of `acme/infra` do not let Chandlery make the branch `chandlery/"],
    },
];

#[test]
fn a_target_that_cannot_be_worked_with_is_told_while_it_is_planned() {
    for Row { done, undone, asked, code, words } in ROWS {
        let mut world = Local::new();
        sound(&world);
        done(&world);
        assert!(world.deed(&format!("dan files {asked}").parse().unwrap()));
        assert!(reconcile(&mut world).left.is_empty(), "{code}");
        let seen = told(&mut world, 1);
        assert!(seen.contains("This request has mistakes") && seen.contains(code), "{code}\n{seen}");
        for word in *words {
            assert!(seen.contains(word), "{code}: no {word:?} in\n{seen}");
        }
        undone(&world);
        assert!(reconcile(&mut world).left.is_empty(), "{code}");
        let seen = told(&mut world, 1);
        assert!(!seen.contains(code) && !seen.contains("mistakes"), "{code}\n{seen}");
    }
}

/// What comes in the way of a pull request after people agreed ends nothing: it is mended, and the run goes on.
#[test]
fn what_keeps_a_pull_request_from_being_opened_can_be_mended() {
    for (done, undone, why) in
        [(ARCHIVE, UNARCHIVE, "is archived"), (FORBID, LET_BY, "the rules `no robots`")]
    {
        let mut world = Local::new();
        for deed in [format!("dan asks it {RESIZE}"), "bo approves catalog#1".into()] {
            assert!(world.deed(&deed.parse().unwrap()), "{deed}");
            assert!(reconcile(&mut world).left.is_empty(), "{deed}");
        }
        done(&world);
        assert!(world.deed(&"dan merges catalog#1".parse().unwrap()));
        assert!(reconcile(&mut world).left.is_empty());
        let seen = told(&mut world, 1);
        assert!(seen.contains(why) && seen.contains("a comment `/retry` does so at once"), "{seen}");
        undone(&world);
        for deed in ["dan says catalog#1 /retry", "bo merges infra#1"] {
            assert!(world.deed(&deed.parse().unwrap()), "{deed}");
            assert!(reconcile(&mut world).left.is_empty(), "{deed}");
        }
        assert!(
            told(&mut world, 1).contains("it is done, and the catalog says so"),
            "{}",
            told(&mut world, 1)
        );
    }
}

/// What nobody can see before, such as that Chandlery may open no pull request, is said where people look, once.
#[test]
fn what_the_forge_refuses_is_said_on_the_request() {
    let mut world = Local::new();
    for deed in [format!("dan asks it {RESIZE}"), "bo approves catalog#1".into()] {
        assert!(world.deed(&deed.parse().unwrap()), "{deed}");
        assert!(reconcile(&mut world).left.is_empty(), "{deed}");
    }
    let refuse = json!({ "method": "POST", "path": "/acme/infra/pulls$", "action": { "kind": "failBefore", "status": 403 } });
    world.control("POST", "faults", &refuse);
    assert!(world.deed(&"dan merges catalog#1".parse().unwrap()));
    assert_eq!(reconcile(&mut world).left.len(), 1);
    let seen = told(&mut world, 1);
    let words = "This waits: `the forge answered 403 to POST ";
    assert!(seen.contains(words) && seen.contains("each pass tries it again"), "{seen}");
    let again = reconcile(&mut world);
    assert_eq!((again.left.len(), again.acts), (1, 0), "{again:#?}");
    assert_eq!(told(&mut world, 1), seen);
    world.control("DELETE", "faults", &Value::Null);
    assert!(reconcile(&mut world).left.is_empty());
    let seen = told(&mut world, 1);
    assert!(seen.contains("acme/infra#1") && !seen.contains("This waits"), "{seen}");
}

/// A branch that is there needs no making: rules that came later stop nothing that was begun.
#[test]
fn rules_that_came_after_a_branch_do_not_stop_its_pull_request() {
    let mut world = Local::new();
    for deed in
        [format!("dan asks it {RESIZE}"), "bo approves catalog#1".into(), "dan merges catalog#1".into()]
    {
        assert!(world.deed(&deed.parse().unwrap()), "{deed}");
        assert!(reconcile(&mut world).left.is_empty(), "{deed}");
    }
    FORBID(&world);
    assert!(world.deed(&"bo merges infra#1".parse().unwrap()));
    assert!(reconcile(&mut world).left.is_empty());
    assert!(told(&mut world, 1).contains("it is done, and the catalog says so"), "{}", told(&mut world, 1));
}

/// The default branch of a target that nobody may push to is no hindrance: what is approved comes by pull request.
#[test]
fn a_protected_target_is_changed_by_pull_request() {
    let mut world = Local::new();
    let protection = json!({
        "required_status_checks": null, "enforce_admins": true, "required_pull_request_reviews": null,
        "restrictions": { "users": [], "teams": [], "apps": [] },
    });
    forge(&world, "PUT", "infra/branches/main/protection", &protection);
    for deed in
        [format!("dan asks it {RESIZE}"), "bo approves catalog#1".into(), "dan merges catalog#1".into()]
    {
        assert!(world.deed(&deed.parse().unwrap()), "{deed}");
        assert!(reconcile(&mut world).left.is_empty(), "{deed}");
    }
    assert!(told(&mut world, 1).contains("acme/infra#1"));
}
