//! Do policies say what they are written to say? The page about them is a catalog whose examples come out as it has them, and
//! each of a number of planted faults in a policy is noticed by one of them.

use std::{fs, path::Path, process::Command};

const CATALOG: &[(&str, &str)] = &[
    ("chandlery.yaml", "version: 1\nrepositories: [acme/deployments]\n"),
    ("blueprints/cluster.yaml", "identifier: cluster\n"),
    (
        "blueprints/environment.yaml",
        "identifier: environment\nschema:\n  properties:\n    stage: { type: string, enum: [preview, production] }\n    monthlyCost: { type: number }\n    expiresAt: { type: string, format: timer }\n",
    ),
    (
        "actions/create-environment.yaml",
        r#"identifier: create-environment
trigger:
  operation: CREATE
  blueprintIdentifier: environment
  userInputs:
    properties:
      name: { type: string, pattern: "^[a-z-]+$" }
      team: { type: string, format: team }
      stage: { type: string, enum: [preview, production], default: preview }
      cost: { type: number, default: 1 }
      ttl: { type: string, format: duration, default: 2d }
    required: [name, team]
approval: { rules: [{ name: platform, teams: [platform] }] }
steps:
  - { id: files, pullRequest: { repository: acme/deployments, template: environment } }
entities:
  - create:
      blueprint: environment
      identifier: "{{ inputs.name }}"
      team: "{{ inputs.team }}"
      properties: { stage: "{{ inputs.stage }}", monthlyCost: "{{ inputs.cost }}", expiresAt: "{{ request.mergedAt + inputs.ttl }}" }
"#,
    ),
    (
        "actions/remove-environment.yaml",
        r#"identifier: remove-environment
trigger: { operation: DELETE, blueprintIdentifier: environment, userInputs: { properties: {} } }
approval: none
entities:
  - delete: { blueprint: environment, identifier: "{{ entity.identifier }}" }
"#,
    ),
    (
        "action-templates/environment/files/{{ 'shared' if inputs.name == 'shared' else 'environments' }}/{{ inputs.name }}.yaml",
        "name: {{ inputs.name }}\n",
    ),
    ("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n"),
    ("entities/_user/bo.yaml", "identifier: bo\nblueprint: _user\n"),
    (
        "entities/_team/platform.yaml",
        "identifier: platform\nblueprint: _team\nrelations: { members: [bo] }\n",
    ),
    ("entities/_team/shop.yaml", "identifier: shop\nblueprint: _team\nrelations: { members: [ada] }\n"),
];

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The catalog of the page.
fn catalog() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in CATALOG {
        put(folder.path(), path, text);
    }
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policies.md")).unwrap();
    let mut blocks = 0;
    for block in page.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let path = block.lines().next().and_then(|line| line.strip_prefix("# ")).expect("a path");
        put(folder.path(), path, block);
        blocks += 1;
    }
    assert!(blocks > 15, "{blocks}");
    folder
}

fn chandlery(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).args(arguments).current_dir(folder).output().unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), said)
}

#[test]
fn policies_page_tells_the_truth() {
    let folder = catalog();
    let (code, said) = chandlery(folder.path(), &["validate"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = chandlery(folder.path(), &["policy", "test"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("10 policies, 12 examples: all is well"), "{said}");
    let (code, said) = chandlery(folder.path(), &["policy", "test", "weekend"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("1 policy, 2 examples: all is well"), "{said}");
    let (code, said) = chandlery(folder.path(), &["policy", "test", "weekends"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean `weekend`?"), "{said}");
    let (code, said) = chandlery(folder.path(), &["policy", "test", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(serde_json::from_str::<serde_json::Value>(&said).unwrap()["ok"] == true, "{said}");
}

#[test]
fn an_example_that_cannot_be_tried_is_told_with_the_others() {
    let folder = catalog();
    put(
        folder.path(),
        "policies/budget.tests/wrong.yaml",
        "request: { action: create-environment, inputs: { name: x, team: shop } }\nas: ada\ncatalog: [{ identifier: x, blueprint: environment, properties: { stage: nope } }]\nexpect: { decision: allowed }\n",
    );
    let (code, said) = chandlery(folder.path(), &["policy", "test"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("FAILED wrong\n    it cannot be tried: `environment/x` under `catalog`: "),
        "{said}"
    );
    assert!(said.contains("ok too-much") && said.contains("13 examples: 1 failed"), "{said}");
}

#[test]
fn every_planted_fault_in_a_policy_is_noticed() {
    for (policy, right, wrong) in [
        ("no-production", "== \"production\"", "!= \"production\""),
        ("no-production", "actions: [create-environment]", "actions: [remove-environment]"),
        ("careful", "\"shared/\"", "\"share/x\""),
        ("careful", "name: platform, teams", "name: others, teams"),
        ("few-environments", "count: 2", "count: 3"),
        ("few-environments", "per: team", "per: none"),
        ("two-a-day", "count: 2", "count: 3"),
        ("two-a-day", "within: 1d", "within: 20h"),
        ("two-a-day", "per: user", "per: action"),
        ("one-preview", ", matching: true", ""),
        ("one-preview", "== \"preview\"", "!= \"production\" and .inputs.name != \"first\""),
        ("short-lives", "maxTtl: 7d", "maxTtl: 9d"),
        ("short-lives", "\"preview\"", "\"previews\""),
        ("weekend", "from: \"16:00\"", "from: \"15:00\""),
        ("weekend", "Europe/Berlin", "America/New_York"),
        ("weekend", "days: [sat, sun]", "days: [sun]"),
        ("budget", "ceiling: 100", "ceiling: 101"),
        ("budget", ".monthlyCost // 0", ".monthlycost // 0"),
        ("places", "**/secret*", "**/secrets*"),
        ("removals", "share: 50", "share: 100"),
        ("removals", "name: platform", "name: unknown"),
    ] {
        let folder = catalog();
        let path = folder.path().join(format!("policies/{policy}.yaml"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(right), "{policy}: {right}");
        fs::write(&path, text.replacen(right, wrong, 1)).unwrap();
        let (code, said) = chandlery(folder.path(), &["policy", "test"]);
        assert_eq!(code, Some(1), "{policy}: {right} -> {wrong}\n{said}");
        assert!(said.contains("FAILED"), "{said}");
    }
}

/// A request of the page's catalog, planned in its work tree.
fn plan(folder: &Path, inputs: &str, who: Option<&str>) -> String {
    put(folder, "request.yaml", &format!("action: create-environment\ninputs: {inputs}\n"));
    put(folder, "deployments/README.md", "here\n");
    let git = |arguments: &[&str]| {
        let done =
            Command::new("git").args(arguments).current_dir(folder.join("deployments")).output().unwrap();
        assert!(done.status.success());
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]);
    let target = format!("acme/deployments={}", folder.join("deployments").display());
    let mut arguments = vec!["plan", "request.yaml", "--target", &target];
    arguments.extend(who.iter().flat_map(|who| ["--as", who]));
    chandlery(folder, &arguments).1
}

#[test]
fn a_plan_at_a_terminal_asks_the_policies_of_the_work_tree() {
    let folder = catalog();
    let said = plan(folder.path(), "{ name: live, team: shop, stage: production }", Some("ada"));
    assert!(said.contains("policy-denied") && said.contains("Ask in the channel"), "{said}");
    let said = plan(folder.path(), "{ name: shared, team: shop }", Some("ada"));
    assert!(said.contains("careful: platform"), "{said}");
    assert!(said.contains("Assumed: no other request is under way"), "{said}");
    // Who asks is not known, and one policy depends on it.
    put(folder.path(), "policies/who.yaml", "identifier: who\nwhen: .requester.login == \"bo\"\ndeny: No.\n");
    let said = plan(folder.path(), "{ name: shared, team: shop }", None);
    assert!(said.contains("requester-unknown") && said.contains("--as LOGIN"), "{said}");
}

#[test]
fn a_broken_policy_refuses_what_it_may_concern() {
    let folder = catalog();
    put(folder.path(), "policies/wrong.yaml", "identifier: wrong\nactions: [remove-environment]\ndeny: 3\n");
    let said = plan(folder.path(), "{ name: fine, team: shop }", Some("ada"));
    assert!(!said.contains("broken-policy"), "it says that it is about something else: {said}");
    for text in [
        "identifier: wrong\ndeny: 3\n",
        "identifier: [\n",
        "identifier: wrong\nactions: create-environment\n",
    ] {
        put(folder.path(), "policies/wrong.yaml", text);
        let said = plan(folder.path(), "{ name: fine, team: shop }", Some("ada"));
        assert!(said.contains("broken-policy"), "{text}: {said}");
        let (code, said) = chandlery(folder.path(), &["policy", "test"]);
        assert_eq!(code, Some(1), "{said}");
    }
}
