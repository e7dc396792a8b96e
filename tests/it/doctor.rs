//! Does the doctor find each thing that can be set up wrongly, and mend those it says it can?
//!
//! Each row spoils one thing of a healthy catalog; that code must appear, and no other.

mod clinic;

use std::{collections::BTreeSet, path::Path};

use serde_json::{Value, json};

use clinic::{APP, Beginning, CATALOG, Clinic, TARGET};

/// One thing that is wrong.
struct Row {
    code: &'static str,
    mended: bool,
    spoil: Spoil,
}

enum Spoil {
    /// Before the forge starts.
    Before(fn(&mut Beginning)),
    /// While it runs.
    While(fn(&mut Clinic)),
    Both(fn(&mut Beginning), fn(&mut Clinic)),
}

use Spoil::{Before, Both, While};

const fn row(code: &'static str, spoil: Spoil) -> Row {
    Row { code, mended: false, spoil }
}

/// A rule that merges go through a queue.
fn queue(strategy: &str, minutes: u64) -> Value {
    json!({"type": "merge_queue", "parameters": {
        "check_response_timeout_minutes": minutes, "grouping_strategy": strategy, "max_entries_to_build": 5,
        "max_entries_to_merge": 5, "merge_method": "MERGE", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 5,
    }})
}

const fn mended(code: &'static str, spoil: Spoil) -> Row {
    Row { code, mended: true, spoil }
}

const WORKFLOW: &str = "catalog/.github/workflows/chandlery.yml";

fn as_token(beginning: &mut Beginning) {
    beginning.visit.app = false;
}

/// Who is let in, and whether it can be reached.
const ACCESS: &[Row] = &[
    row(
        "key-refused",
        Before(|b| {
            let (other, _) = crate::world::local::key_pair();
            b.write("other.pem", &other);
            b.visit.key = b.file("other.pem");
        }),
    ),
    row(
        "key-refused",
        Before(|b| {
            b.write("other.pem", "no key at all\n");
            b.visit.key = b.file("other.pem");
        }),
    ),
    row(
        "token-refused",
        Before(|b| {
            as_token(b);
            b.visit.token = "nobody-token".to_owned();
        }),
    ),
    row("not-an-app", Before(as_token)),
    row(
        "app-not-installed",
        Before(|b| b.seed.apps[0].installations[0].repositories = Some(vec!["infrastructure".into()])),
    ),
    row("installation-suspended", Before(|b| b.seed.apps[0].installations[0].suspended = true)),
    row("permission-missing", Before(|b| drop(b.permissions().remove("contents")))),
    // A template that writes workflows makes the optional permission a needed one.
    row(
        "permission-missing",
        Before(|b| {
            b.permissions().remove("workflows");
            let files = b.file("catalog/action-templates/pipeline/files/.github/workflows");
            std::fs::create_dir_all(&files).unwrap();
            std::fs::write(files.join("ci.yml"), "on: push\n").unwrap();
        }),
    ),
    row(
        "permission-missing",
        Before(|b| drop(b.permissions().insert("pull_requests".into(), "read".into()))),
    ),
    row("permission-missing", Before(|b| drop(b.permissions().remove("issues")))),
    row("permission-missing", Before(|b| drop(b.permissions().insert("checks".into(), "read".into())))),
    row("permission-missing", Before(|b| drop(b.permissions().remove("members")))),
    row(
        "permission-unneeded",
        Before(|b| drop(b.permissions().insert("administration".into(), "read".into()))),
    ),
    row("permission-unneeded", Before(|b| drop(b.permissions().insert("members".into(), "write".into())))),
    row("clock-off", While(|c| c.control("POST", "clock", &json!({"advanceSeconds": 600})))),
    row("catalog-missing", Before(|b| b.visit.repository = "acme/katalog".to_owned())),
    row(
        "catalog-archived",
        While(|c| drop(c.call("PATCH", &format!("/repos/{CATALOG}"), &json!({"archived": true})))),
    ),
    row(
        "catalog-read-only",
        Before(|b| {
            as_token(b);
            b.catalog().collaborators.insert("dee".into(), "read".into());
        }),
    ),
    row("forge-version", Before(|b| b.seed.version = Some("3.19.2".to_owned()))),
    row(
        "shallow-clone",
        Before(|b| {
            let clone = b.file("clone/.git");
            std::fs::create_dir_all(&clone).unwrap();
            std::fs::write(clone.join("shallow"), "").unwrap();
            b.visit.folder = Some(b.file("clone"));
        }),
    ),
    row("target-not-installed", Before(|b| b.replace("catalog/chandlery.yaml", TARGET, "acme/elsewhere"))),
    row(
        "target-missing",
        Before(|b| {
            as_token(b);
            b.replace("catalog/chandlery.yaml", TARGET, "acme/elsewhere");
        }),
    ),
    row(
        "target-read-only",
        Before(|b| {
            as_token(b);
            b.seed.repositories[1].collaborators.insert("dee".into(), "read".into());
        }),
    ),
    row(
        "target-archived",
        While(|c| drop(c.call("PATCH", &format!("/repos/{TARGET}"), &json!({"archived": true})))),
    ),
    row("target-without-wake", Before(|b| b.remove("infrastructure/.github/workflows/chandlery-wake.yml"))),
];

/// The rules of branches.
const BRANCHES: &[Row] = &[
    row("plan-without-rules", Before(|b| b.catalog().no_rules = true)),
    mended("no-required-check", Before(|b| b.drop_rule(0, "required_status_checks"))),
    mended(
        "check-from-anybody",
        Before(|b| {
            b.rule("required_status_checks")["required_status_checks"] = json!([{"context": "chandlery"}]);
        }),
    ),
    mended(
        "check-not-from-app",
        Before(|b| {
            b.rule("required_status_checks")["required_status_checks"][0]["integration_id"] = 15368.into();
        }),
    ),
    mended(
        "check-strict",
        Before(|b| b.rule("required_status_checks")["strict_required_status_checks_policy"] = true.into()),
    ),
    row(
        "check-strict",
        Before(|b| {
            b.foreign(json!({"type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": true, "required_status_checks": [{"context": "lint"}],
            }}))
        }),
    ),
    mended("no-bypass", Before(|b| b.catalog().rulesets[0]["bypass_actors"] = json!([]))),
    mended(
        "no-bypass",
        Before(|b| b.catalog().rulesets[0]["bypass_actors"][0]["bypass_mode"] = "pull_request".into()),
    ),
    mended(
        "no-bypass",
        Before(|b| b.catalog().rulesets[1]["bypass_actors"][0]["actor_id"] = (APP + 1).into()),
    ),
    mended("force-push-allowed", Before(|b| b.drop_rule(0, "non_fast_forward"))),
    mended("deletion-allowed", Before(|b| b.drop_rule(0, "deletion"))),
    mended("bare-push-allowed", Before(|b| b.drop_rule(0, "pull_request"))),
    mended("ruleset-inactive", Before(|b| b.catalog().rulesets[0]["enforcement"] = "disabled".into())),
    mended("ruleset-inactive", Before(|b| b.catalog().rulesets[1]["enforcement"] = "evaluate".into())),
    mended(
        "native-approvals",
        Before(|b| b.rule("pull_request")["required_approving_review_count"] = 2.into()),
    ),
    row("signatures-required", Before(|b| b.foreign(json!({"type": "required_signatures"})))),
    row("merge-queue", Before(|b| b.foreign(queue("ALLGREEN", 60)))),
    row("merge-queue-skips-checks", Before(|b| b.foreign(queue("HEADGREEN", 60)))),
    row("merge-queue-hurries", Before(|b| b.foreign(queue("ALLGREEN", 5)))),
    mended("own-branches-open", Before(|b| drop(b.catalog().rulesets.remove(1)))),
    // `**` stops at a slash.
    mended(
        "own-branches-open",
        Before(|b| {
            b.catalog().rulesets[1]["conditions"]["ref_name"]["include"] = json!(["refs/heads/chandlery/**"]);
        }),
    ),
    row(
        "older-protection",
        While(|c| {
            let body = json!({
                "required_status_checks": null, "enforce_admins": true, "required_pull_request_reviews": null, "restrictions": null,
            });
            c.call("PUT", &format!("/repos/{CATALOG}/branches/main/protection"), &body);
        }),
    ),
    mended(
        "no-merge-method",
        While(|c| {
            c.call(
                "PATCH",
                &format!("/repos/{CATALOG}"),
                &json!({"allow_squash_merge": false, "allow_rebase_merge": false}),
            );
            let path = format!("/repos/{CATALOG}/rulesets");
            let id = c.call("GET", &path, &json!(null))[0]["id"].clone();
            let mut whole = c.call("GET", &format!("{path}/{id}"), &json!(null));
            whole["rules"][2]["parameters"]["allowed_merge_methods"] = json!(["squash"]);
            c.call("PUT", &format!("{path}/{id}"), &json!({"rules": whole["rules"]}));
        }),
    ),
];

/// Actions, the environment and the workflows.
const ACTIONS: &[Row] = &[
    mended("environment-missing", Before(|b| b.catalog().environments.clear())),
    mended("environment-open", Before(|b| b.environment().branches = None)),
    mended(
        "environment-open",
        Before(|b| b.environment().branches = Some(vec!["main".into(), "release/*".into()])),
    ),
    mended(
        "environment-open",
        While(|c| {
            let policy = json!({"deployment_branch_policy": {"protected_branches": true, "custom_branch_policies": false}});
            c.call("PUT", &format!("/repos/{CATALOG}/environments/chandlery"), &policy);
        }),
    ),
    mended(
        "environment-excludes-default-branch",
        Before(|b| b.environment().branches = Some(vec!["release".into()])),
    ),
    mended("app-id-missing", Before(|b| b.environment().variables.clear())),
    mended(
        "app-id-wrong",
        Before(|b| drop(b.environment().variables.insert("CHANDLERY_APP_ID".into(), "7".into()))),
    ),
    row("app-key-missing", Before(|b| b.environment().secrets.clear())),
    row("app-key-exposed", Before(|b| b.catalog().secrets = vec!["CHANDLERY_APP_KEY".into()])),
    row("app-key-exposed", Before(|b| b.seed.orgs[0].secrets = vec!["CHANDLERY_APP_KEY".into()])),
    row("workflow-missing", Before(|b| b.remove(WORKFLOW))),
    row("workflow-missing", Before(|b| b.remove("catalog/.github/workflows/chandlery-wake.yml"))),
    row(
        "workflow-changed",
        Before(|b| b.replace(WORKFLOW, "environment: chandlery\n", "environment: production\n")),
    ),
    row("workflow-changed", Before(|b| b.replace(WORKFLOW, "sha256: ab", "sha256: $(id)"))),
    row(
        "workflow-changed",
        Before(|b| {
            b.replace(
                "catalog/.github/workflows/chandlery-validate.yml",
                "contents: read",
                "contents: write",
            );
        }),
    ),
    mended(
        "labels-missing",
        While(|c| {
            c.call("DELETE", &format!("/repos/{CATALOG}/labels/chandlery:success"), &json!(null));
        }),
    ),
    row(
        "step-workflow-missing",
        Before(|b| {
            b.publishes(TARGET, "workflow_dispatch");
            b.remove("infrastructure/.github/workflows/publish.yml");
        }),
    ),
    row("step-workflow-missing", Before(|b| b.publishes(TARGET, "push"))),
    row(
        "step-workflow-disabled",
        Both(
            |b| {
                b.publishes(CATALOG, "workflow_dispatch");
                b.init("catalog", &["--workflow", "publish it"]);
            },
            |c| {
                let path = format!("/repos/{CATALOG}/actions/workflows/publish.yml/disable");
                c.call("PUT", &path, &json!(null));
            },
        ),
    ),
    row("step-workflow-unfollowed", Before(|b| b.publishes(TARGET, "workflow_dispatch"))),
    row("step-workflow-unfollowed", Before(|b| b.publishes(CATALOG, "workflow_dispatch"))),
    row(
        "permission-missing",
        Before(|b| {
            b.permissions().remove("actions");
            b.publishes(CATALOG, "workflow_dispatch");
            b.init("catalog", &["--workflow", "publish it"]);
        }),
    ),
    mended(
        "workflow-disabled",
        While(|c| {
            c.call("PUT", &format!("/repos/{CATALOG}/actions/workflows/chandlery.yml/disable"), &json!(null));
        }),
    ),
    row(
        "release-placeholder",
        Before(|b| {
            for name in ["chandlery.yml", "chandlery-validate.yml"] {
                b.replace(&format!("catalog/.github/workflows/{name}"), &"ab".repeat(32), &"0".repeat(64));
            }
        }),
    ),
    row(
        "workflow-wrong-branch",
        Before(|b| b.replace(WORKFLOW, "branches: [\"main\"]", "branches: [\"master\"]")),
    ),
    mended("actions-disabled", Before(|b| b.catalog().no_actions = true)),
    mended("issues-disabled", Before(|b| b.catalog().no_issues = true)),
];

/// The files of the default branch.
const CONTENT: &[Row] = &[
    row("settings-missing", Before(|b| b.remove("catalog/chandlery.yaml"))),
    row("mode-off", Before(|b| b.replace("catalog/chandlery.yaml", "mode: on", "mode: off"))),
    row("settings-mistaken", Before(|b| b.replace("catalog/chandlery.yaml", "mode: on", "mode: maybe"))),
    row(
        "definitions-mistaken",
        Before(|b| {
            b.replace(
                "catalog/actions/register-service.yaml",
                "blueprintIdentifier: service",
                "blueprintIdentifier: servicx",
            )
        }),
    ),
    row("codeowners-missing", Before(|b| b.remove("catalog/.github/CODEOWNERS"))),
    row(
        "codeowners-incomplete",
        Before(|b| b.replace("catalog/.github/CODEOWNERS", "/entities/ @acme/platform", "/entities/_team/")),
    ),
    row(
        "codeowners-mistaken",
        Before(|b| b.replace("catalog/.github/CODEOWNERS", "@acme/platform", "@acme/platfrom")),
    ),
    row(
        "requests-attributes",
        Before(|b| b.write("catalog/.gitattributes", "* text=auto\nrequests/** linguist-generated\n")),
    ),
    row("requests-attributes", Before(|b| b.write("catalog/.gitattributes", "*.diff -diff\n"))),
    row(
        "forms-differ",
        Before(|b| {
            b.replace("catalog/.github/ISSUE_TEMPLATE/register-service.yml", "Register a service", "Register")
        }),
    ),
    row("forms-differ", Before(|b| b.remove("catalog/.github/ISSUE_TEMPLATE/config.yml"))),
];

/// Sends the doctor to each.
fn examine(rows: &[Row]) {
    for (number, Row { code, mended, spoil }) in rows.iter().enumerate() {
        let place = format!("row {number}, {code}");
        let mut beginning = Beginning::healthy();
        if let Before(spoil) | Both(spoil, _) = spoil {
            spoil(&mut beginning);
        }
        let mut clinic = beginning.open();
        if let While(spoil) | Both(_, spoil) = spoil {
            spoil(&mut clinic);
        }
        let said = clinic.doctor(&[]);
        // That somebody acts with a plain token is said beside.
        let codes: BTreeSet<&str> = said
            .codes()
            .into_iter()
            .filter(|found| clinic.visit.app || found == code || *found != "not-an-app")
            .collect();
        assert_eq!(codes, [*code].into(), "{place}: {:#}\n{}", said.report, said.errors);
        let finding = said.finding(code).unwrap();
        assert!(!finding["cure"].as_str().unwrap().is_empty(), "{place}");
        let is_error =
            said.report["findings"].as_array().unwrap().iter().any(|one| one["severity"] == "error");
        assert_eq!(said.code, Some(i32::from(is_error)), "{place}");
        assert_eq!(finding["fix"], *mended, "{place}: what it says it can mend");
        if *mended {
            let said = clinic.doctor(&["--fix"]);
            assert_eq!(said.finding(code), None, "{place}: {:#}", said.report);
            assert!(
                said.report["mended"].as_array().unwrap().iter().all(|one| one["failed"].is_null()),
                "{place}"
            );
            // A secret is nobody's to make.
            let left: Vec<_> = said.codes().into_iter().filter(|left| *left != "app-key-missing").collect();
            assert!(left.is_empty(), "{place}: {left:?}");
        }
    }
}

#[test]
fn it_is_seen_who_is_let_in() {
    examine(ACCESS);
}

#[test]
fn it_is_seen_what_rules_branches() {
    examine(BRANCHES);
}

#[test]
fn it_is_seen_how_actions_are_set_up() {
    examine(ACTIONS);
}

#[test]
fn it_is_seen_what_lies_on_the_default_branch() {
    examine(CONTENT);
}

#[test]
fn a_healthy_catalog_has_nothing_wrong_and_nothing_unseen() {
    let mut clinic = Beginning::healthy().open();
    let said = clinic.doctor(&[]);
    assert_eq!((said.code, said.codes()), (Some(0), vec![]), "{:#}", said.report);
    assert_eq!(said.report["notSeen"], json!([]));
    // Nothing is to be mended, so nothing is touched.
    let said = clinic.doctor(&["--fix"]);
    assert_eq!((said.code, &said.report["mended"]), (Some(0), &json!([])));

    // The App alone sees less, and says so.
    clinic.visit.admin = None;
    let said = clinic.doctor(&[]);
    assert_eq!((said.code, said.codes()), (Some(0), vec![]), "{:#}", said.report);
    let unseen: BTreeSet<&str> =
        said.report["notSeen"].as_array().unwrap().iter().map(|one| one["what"].as_str().unwrap()).collect();
    assert!(
        unseen.contains("environment `chandlery`") && unseen.contains("secrets of the repository"),
        "{unseen:?}"
    );
    assert!(
        !unseen.iter().any(|what| what.contains("bypass")),
        "the App itself is told whether it is let by: {unseen:?}"
    );
    let said = clinic.doctor(&["--fix"]);
    assert!(said.code == Some(3) && said.errors.contains("CHANDLERY_ADMIN_TOKEN"), "{}", said.errors);

    // Nobody's word is taken for an administrator's.
    clinic.visit.admin = Some("dee-token".to_owned());
    let said = clinic.doctor(&[]);
    assert!(
        said.report["notSeen"].to_string().contains("nobody's who administers acme/catalog"),
        "{:#}",
        said.report
    );
}

/// What it says is to be done where nothing tells that a workflow has ended does help.
#[test]
fn a_workflow_is_followed_once_init_was_told_of_it() {
    for (repository, folder) in [(TARGET, "infrastructure"), (CATALOG, "catalog")] {
        let beginning = Beginning::healthy();
        beginning.publishes(repository, "workflow_dispatch");
        if repository == TARGET {
            beginning.remove("infrastructure/.github/workflows/chandlery-wake.yml");
            beginning.init(folder, &["--target", TARGET, "--workflow", "publish it"]);
        } else {
            beginning.init(folder, &["--workflow", "publish it"]);
        }
        let clinic = beginning.open();
        let said = clinic.doctor(&[]);
        assert_eq!((said.code, said.codes()), (Some(0), vec![]), "{repository}: {:#}", said.report);
        // What is not ours is left as it is, and said.
        let path = format!("/repos/{repository}/actions/workflows/publish.yml/disable");
        clinic.call("PUT", &path, &json!(null));
        for options in [&[][..], &["--fix"]] {
            let said = clinic.doctor(options);
            let codes = vec!["step-workflow-disabled"];
            assert_eq!((said.code, said.codes()), (Some(1), codes), "{repository}: {:#}", said.report);
            let cure = said.finding("step-workflow-disabled").unwrap()["cure"].as_str().unwrap().to_owned();
            assert!(
                cure.contains(&format!("`gh workflow enable publish.yml --repo {repository}`")),
                "{cure}"
            );
        }
    }
    let beginning = Beginning::healthy();
    beginning.publishes(TARGET, "workflow_dispatch");
    let said = beginning.open().doctor(&[]);
    let cure = said.finding("step-workflow-unfollowed").unwrap()["cure"].as_str().unwrap().to_owned();
    assert!(cure.contains("--target acme/infrastructure --workflow 'publish it'`"), "{cure}");
}

#[test]
fn several_things_are_mended_at_once_and_the_rest_is_said() {
    let mut beginning = Beginning::healthy();
    beginning.foreign(queue("ALLGREEN", 60));
    beginning.catalog().rulesets.drain(..2);
    beginning.catalog().environments.clear();
    beginning.catalog().no_issues = true;
    let clinic = beginning.open();
    let said = clinic.doctor(&["--fix"]);
    assert_eq!(said.code, Some(1));
    assert_eq!(
        said.codes().into_iter().collect::<BTreeSet<_>>(),
        ["app-key-missing", "merge-queue"].into(),
        "{:#}",
        said.report
    );
    assert_eq!(said.report["mended"].as_array().unwrap().len(), 4);
    let rulesets = clinic.call("GET", &format!("/repos/{CATALOG}/rulesets"), &json!(null));
    let names: Vec<&str> =
        rulesets.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Security", "Chandlery: default branch", "Chandlery: its own branches"]);
}

#[test]
fn the_forge_that_is_not_there_is_the_worlds_failure() {
    let mut clinic = Beginning::healthy().open();
    clinic.stop();
    let said = clinic.doctor(&[]);
    assert!(said.code == Some(3) && said.errors.contains("no answer from the forge"), "{}", said.errors);
}

#[test]
fn tidy_every_code_of_the_doctor_is_tested_and_has_its_section() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = String::new();
    for file in
        ["judge.rs", "judge/access.rs", "judge/branch.rs", "judge/actions.rs", "judge/content.rs", "mod.rs"]
    {
        let text = std::fs::read_to_string(top.join("src/cli/doctor").join(file)).unwrap();
        texts.push_str(text.split("#[cfg(test)]").next().unwrap());
    }
    let code = r#"(?:Finding::(?:error|warning)|mistakes)\(\s*"([a-z-]+)"|\(\s*"[a-z_]+",\s*"([a-z-]+)",\s*"|Some\(\("([a-z-]+)","#;
    let used: BTreeSet<String> = regex::Regex::new(code)
        .unwrap()
        .captures_iter(&texts)
        .filter_map(|found| found.iter().skip(1).flatten().next().map(|code| code.as_str().to_owned()))
        .collect();
    let tested: BTreeSet<String> = [ACCESS, BRANCHES, ACTIONS, CONTENT]
        .iter()
        .flat_map(|rows| rows.iter())
        .map(|row| row.code.to_owned())
        .collect();
    let docs = std::fs::read_to_string(top.join("docs/doctor.md")).unwrap();
    let sections: BTreeSet<String> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'))
        .map(str::to_owned)
        .collect();
    assert_eq!(used, tested, "each code is planted once at least");
    assert_eq!(used, sections, "docs/doctor.md has a section for each");
}
