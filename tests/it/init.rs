//! Is a new catalog sound, and are its workflows safe with the key of every target?

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde_json::Value;

const ACTION: &str = "acme/chandlery@0123456789abcdef0123456789abcdef01234567";
/// The events whose workflow GitHub takes from the default branch:
/// <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows>.
const FROM_DEFAULT_BRANCH: [&str; 7] = [
    "issues",
    "issue_comment",
    "pull_request_target",
    "workflow_run",
    "push",
    "repository_dispatch",
    "schedule",
];

fn init(folder: &Path, more: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
    command.arg("init").arg(folder).args(["--repository", "acme/catalog", "--action", ACTION]).args(more);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn yaml(path: &Path) -> Value {
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The workflows below a folder, parsed, by name of their file.
fn workflows(folder: &Path) -> BTreeMap<String, Value> {
    let entries = fs::read_dir(folder.join(".github/workflows")).unwrap();
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), yaml(&entry.path())))
        .collect()
}

fn events(workflow: &Value) -> Vec<&str> {
    let on = &workflow["on"];
    match on {
        Value::Object(events) => events.keys().map(String::as_str).collect(),
        Value::String(event) => vec![event],
        _ => panic!("no events: {workflow}"),
    }
}

fn steps(workflow: &Value) -> Vec<&Value> {
    let jobs = workflow["jobs"].as_object().unwrap().values();
    jobs.flat_map(|job| job["steps"].as_array().unwrap()).collect()
}

#[test]
fn a_new_catalog_validates_and_nothing_is_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog");
    let said = init(&catalog, &["--app-id", "7", "--sha256", &"ab".repeat(32)]);
    assert!(said.contains("wrote: chandlery.yaml\n"), "{said}");
    assert!(said.contains("changed: .github/ISSUE_TEMPLATE/register-service.yml\n"), "{said}");
    let validate =
        || Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("validate").arg(&catalog).output().unwrap();
    let output = validate();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));

    let settings: Value =
        serde_json::from_str(&fs::read_to_string(catalog.join(".vscode/settings.json")).unwrap()).unwrap();
    for schema in settings["yaml.schemas"].as_object().unwrap().keys() {
        assert!(catalog.join(schema).is_file(), "{schema}");
    }
    let ruleset: Value = serde_json::from_str(
        &fs::read_to_string(catalog.join(".github/rulesets/default-branch.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(ruleset["bypass_actors"][0]["actor_id"], 7);

    fs::write(catalog.join("chandlery.yaml"), "version: 1\n").unwrap();
    fs::remove_file(catalog.join("blueprints/service.yaml")).unwrap();
    fs::remove_file(catalog.join(".github/CODEOWNERS")).unwrap();
    let said = init(&catalog, &[]);
    let wrote: Vec<_> = said.lines().filter(|line| line.starts_with("wrote")).collect();
    assert_eq!(wrote, ["wrote: .github/CODEOWNERS"], "a catalog that is there keeps what it says");
    assert_eq!(fs::read_to_string(catalog.join("chandlery.yaml")).unwrap(), "version: 1\n");
    assert!(said.contains("no issue forms: the catalog has mistakes"), "{said}");
}

/// The first form that a new user files: what may be left out is left out.
#[test]
fn what_a_new_catalog_offers_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog");
    init(&catalog, &[]);
    let request = catalog.join("requests/first/request.yaml");
    fs::create_dir_all(request.parent().unwrap()).unwrap();
    fs::write(&request, "action: register-service\ninputs: { name: checkout }\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("plan").arg(&request).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("+identifier: checkout"), "{said}");
}

#[test]
fn init_does_not_mix_things_up() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog");
    let refused = |arguments: &[&str], words: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        let output = command.arg("init").args(arguments).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{arguments:?}: {said}");
    };
    init(&catalog, &[]);
    refused(&["catalog", "--repository", "acme/other"], "says that it is `acme/catalog`");
    refused(&["x", "--repository", "acme/catalog", "--target", "acme/catalog"], "is the catalog");
    fs::create_dir_all(folder.path().join("linked")).unwrap();
    std::os::unix::fs::symlink("../catalog", folder.path().join("linked/.github")).unwrap();
    refused(&["linked", "--repository", "acme/catalog"], "a folder on the way is a link");
    // Owners follow the folders that the settings name.
    let own = folder.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("chandlery.yaml"), "version: 1\nfolders: { actions: offers }\n").unwrap();
    init(&own, &[]);
    assert!(
        fs::read_to_string(own.join(".github/CODEOWNERS")).unwrap().contains("/offers/ @acme/platform\n")
    );
}

#[test]
fn a_folder_of_a_repository_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .arg("init")
        .arg(folder.path().join("inner"))
        .args(["--repository", "acme/catalog"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("at its top only"));
}

/// Every workflow that may see a secret starts only on events whose file comes from the default branch, in an
/// environment, and runs nothing of a branch.
#[test]
fn workflows_are_safe() {
    let folder = tempfile::tempdir().unwrap();
    let (catalog, target) = (folder.path().join("catalog"), folder.path().join("target"));
    init(&catalog, &[]);
    init(&target, &["--target", "acme/infrastructure"]);
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut with_secrets = 0;
    for (origin, (name, workflow)) in [&catalog, &target, ours]
        .into_iter()
        .flat_map(|origin| workflows(origin).into_iter().map(move |w| (origin, w)))
    {
        let place = format!("{}: {name}", origin.display());
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{place}");
        for step in steps(&workflow) {
            let Some(uses) = step["uses"].as_str() else { continue };
            let commit = uses.split_once('@').expect("an action is named with a commit").1;
            assert!(commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit()), "{place}: {uses}");
            if uses.starts_with("actions/checkout@") {
                assert_eq!(step["with"]["persist-credentials"], false, "{place}");
                assert!(step["with"]["ref"].is_null(), "{place}");
            }
        }
        for (job, definition) in workflow["jobs"].as_object().unwrap() {
            assert!(definition["timeout-minutes"].is_u64(), "{place}: {job}");
            if !definition.to_string().contains("secrets.") {
                continue;
            }
            with_secrets += 1;
            for event in events(&workflow) {
                assert!(FROM_DEFAULT_BRANCH.contains(&event), "{place}: {event}");
            }
            assert!(definition["environment"].is_string(), "{place}: {job}");
            assert_eq!(definition["permissions"], serde_json::json!({}), "{place}: {job}");
            assert!(!definition.to_string().contains("checkout"), "{place}: {job}");
            assert!(definition["if"].is_string(), "{place}: {job} starts on what we did ourselves");
        }
    }
    assert_eq!(with_secrets, 2);

    let acting = &workflows(&catalog)["chandlery.yml"];
    let job = &acting["jobs"]["reconcile"];
    assert_eq!(job["concurrency"], serde_json::json!({ "group": "chandlery", "cancel-in-progress": false }));
    assert!(acting["concurrency"].is_null(), "a run that is skipped would take the place of one that waits");
    assert_eq!(
        acting["on"]["workflow_run"]["workflows"][0],
        workflows(&catalog)["chandlery-wake.yml"]["name"]
    );
    assert!(job["if"].as_str().unwrap().contains("'chandlery[bot]'"));
}

/// The action refuses what it cannot check, and what is not what was named.
#[test]
fn the_action_runs_only_what_its_checksum_names() {
    let action = yaml(&Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml"));
    let script = action["runs"]["steps"][0]["run"].as_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let releases = folder.path().join("releases");
    fs::create_dir_all(releases.join("v1.2.3")).unwrap();
    let program = "#!/bin/sh\n";
    fs::write(releases.join("v1.2.3/chandlery-x86_64-unknown-linux-musl"), program).unwrap();
    let sum = Command::new("sha256sum")
        .arg(releases.join("v1.2.3/chandlery-x86_64-unknown-linux-musl"))
        .output()
        .unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    let run = |version: &str, sha256: &str, architecture: &str| {
        let output = Command::new("bash")
            .args(["-c", script])
            .env("VERSION", version)
            .env("SHA256", sha256)
            .env("BINARY", "")
            .env("RELEASES", format!("file://{}", releases.display()))
            .env("ARCHITECTURE", architecture)
            .env("OS", "Linux")
            .env("FOLDER", folder.path())
            .env("GITHUB_OUTPUT", folder.path().join("output"))
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    assert!(run("1.2.3", &sum, "X64").0);
    let path = fs::read_to_string(folder.path().join("output")).unwrap();
    assert_eq!(fs::read_to_string(path.trim().strip_prefix("path=").unwrap()).unwrap(), program);
    for (version, sha256, architecture, words) in [
        ("1.2.3", "0".repeat(64), "X64", "is not the one that sha256 names"),
        ("1.2.3", String::new(), "X64", "is not a SHA-256"),
        ("main", sum.clone(), "X64", "is not a release"),
        ("1.2.3", sum, "RISCV", "there is no release for Linux on RISCV"),
    ] {
        let (fine, said) = run(version, &sha256, architecture);
        assert!(!fine && said.contains(words), "{said}");
    }
}
