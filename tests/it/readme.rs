//! Does the README tell the truth? Its YAML is a catalog that validates, and its commands run.

use std::{fs, path::Path, process::Command};

fn text() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

#[test]
fn readme_yaml_makes_a_valid_catalog() {
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let readme = text();
    let mut blocks = 0;
    for block in readme.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let path = block
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# "))
            .expect("a block begins with its path");
        put(path, block);
        blocks += 1;
    }
    assert_eq!(blocks, 2);
    put("chandlery.yaml", "version: 1\nrepositories: [acme/infrastructure]\n");
    put(
        "blueprints/bucket.yaml",
        "identifier: bucket\ntitle: Bucket\nschema: { properties: { size: { type: number } }, required: [] }\n",
    );
    put("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n");
    put(
        "entities/_team/platform.yaml",
        "identifier: platform\nblueprint: _team\nrelations: { members: [ada] }\n",
    );
    put("action-templates/bucket/files/{{ inputs.name }}.tf", "# {{ inputs.size }}\n");
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Commands are run in a copy of what they need; `make test` is what runs this, and `reconcile` wants a forge, so
/// of it only the options are checked (the demo's tests run it).
#[test]
fn readme_commands_run() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let copied =
        Command::new("cp").arg("-r").arg(root.join("catalog-example")).arg(folder.path()).status().unwrap();
    assert!(copied.success());
    let mut ran = Vec::new();
    for line in text().lines().filter_map(|line| line.strip_prefix("    $ ")) {
        let line = line.split('#').next().unwrap().trim();
        let arguments = match line
            .strip_prefix("cargo run --release --locked -- ")
            .or_else(|| line.strip_prefix("chandlery "))
        {
            Some(arguments) => arguments.split(' ').collect::<Vec<_>>(),
            None => {
                assert_eq!(line, "make test");
                continue;
            }
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command.args(&arguments).current_dir(folder.path());
        match arguments[0] {
            "reconcile" => drop(command.arg("--help")),
            "demo" => drop(command.arg("--dir").arg(folder.path().join("demo"))),
            _ => {}
        }
        let output = command.output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{said}");
        ran.push(arguments[0].to_owned());
    }
    assert_eq!(ran, ["demo", "validate", "generate", "reconcile"]);
}

/// The page of settings: its YAML validates, and every option and variable of its table is there.
#[test]
fn settings_page_tells_the_truth() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let chandlery = || Command::new(env!("CARGO_BIN_EXE_chandlery"));
    for block in page.split("```yaml\n").skip(1) {
        fs::write(folder.path().join("chandlery.yaml"), block.split("```").next().unwrap()).unwrap();
        let output = chandlery().arg("validate").arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let help = String::from_utf8(chandlery().args(["reconcile", "--help"]).output().unwrap().stdout).unwrap();
    let mut options = 0;
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        for word in line.split('`').filter(|word| word.starts_with("--") || word.starts_with("CHANDLERY_")) {
            assert!(help.contains(word), "{word}");
            options += 1;
        }
    }
    assert!(options > 15);
}

/// The page about asking: its commands run, and its YAML is part of a catalog that validates.
#[test]
fn asking_page_tells_the_truth() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/asking.md")).unwrap();
    let mut ran = 0;
    for line in page.lines().filter_map(|line| line.strip_prefix("    $ chandlery ")) {
        let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .args(line.split(' '))
            .current_dir(root)
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        ran += 1;
    }
    assert_eq!(ran, 6);
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [derived, scorecard] = blocks[..] else { panic!("two blocks") };
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("chandlery.yaml", "version: 1\n");
    put("blueprints/domain.yaml", "identifier: domain\n");
    put("blueprints/system.yaml", "identifier: system\nrelations: { domain: { target: domain } }\n");
    let service = "identifier: service\nschema: { properties: { runbook: { type: string } } }\nrelations:\n  system: { target: system }\n  dependsOn: { target: service, many: true }\n";
    put("blueprints/service.yaml", &format!("{service}{derived}"));
    put("scorecards/readiness.yaml", scorecard);
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The page of stages: its settings validate, and every stage is there with its label.
#[test]
fn stages_page_tells_the_truth() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/stages.md")).unwrap();
    for stage in chandlery::domain::Stage::ALL {
        let line = format!("| `{stage}` | `{}` |", stage.label());
        assert!(page.contains(&line), "{line}");
    }
    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("chandlery.yaml"), block).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .arg("validate")
            .arg(folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

/// The page about time to live: its YAML is a catalog that validates.
#[test]
fn ttl_page_tells_the_truth() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ttl.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let blocks = page.split("```yaml\n# ").skip(1);
    let paths = blocks.map(|block| {
        let (path, text) = block.split("```").next().unwrap().split_once('\n').unwrap();
        let disk = folder.path().join(path);
        fs::create_dir_all(disk.parent().unwrap()).unwrap();
        fs::write(disk, text).unwrap();
        path.to_owned()
    });
    assert_eq!(paths.collect::<Vec<_>>().len(), 5);
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The page about asking for things: its commands run in the example; `rerun` wants a past request, so of it only the
/// options are checked.
#[test]
fn requests_page_tells_the_truth() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/requests.md")).unwrap();
    let mut ran = Vec::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("    $ chandlery ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command.args(&words).current_dir(root.join("catalog-example"));
        if words[0] == "rerun" {
            command.arg("--help");
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        ran.push(words[0].to_owned());
    }
    assert_eq!(ran, ["request", "rerun", "link"]);
}

/// The page about steps: its YAML is an action of a catalog that validates, and its command is one.
#[test]
fn steps_page_tells_the_truth() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/steps.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let settings = "version: 1\nrepositories: [acme/infrastructure]\nwebhooks: [https://hooks.acme.test]\n";
    put("chandlery.yaml", settings);
    put("blueprints/bucket.yaml", "identifier: bucket\nschema: { properties: { size: { type: number } } }\n");
    put("actions/create-queue.yaml", page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap());
    let chandlery = || Command::new(env!("CARGO_BIN_EXE_chandlery"));
    let output = chandlery().arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let line = page.lines().find_map(|line| line.strip_prefix("    chandlery ")).unwrap();
    let line = line.replace("REQUEST", "2026/11/issue-1");
    // It is understood, and then misses the catalog.
    let output = chandlery().args(line.split(' ')).current_dir(folder.path()).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The page about approvals: its YAML is the actions of a catalog that validates.
#[test]
fn approvals_page_tells_the_truth() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/approvals.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("chandlery.yaml", "version: 1\nrepositories: [acme/infrastructure]\n");
    put("blueprints/service.yaml", "identifier: service\n");
    put(
        "blueprints/sandbox.yaml",
        "identifier: sandbox\nschema: { properties: { owner: { type: string } } }\n",
    );
    put(
        "blueprints/database.yaml",
        "identifier: database\nschema: { properties: { size: { type: number } } }\nrelations: { service: { target: service } }\n",
    );
    put("entities/_user/sam.yaml", "identifier: sam\nblueprint: _user\n");
    put(
        "entities/_team/platform.yaml",
        "identifier: platform\nblueprint: _team\nrelations: { members: [sam] }\n",
    );
    put("action-templates/database/files/{{ entity.identifier }}.txt", "{{ inputs.size }}\n");
    let actions: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert_eq!(actions.len(), 2);
    for action in actions {
        let name = action.lines().next().unwrap().strip_prefix("identifier: ").unwrap();
        put(&format!("actions/{name}.yaml"), action);
    }
    let chandlery = || Command::new(env!("CARGO_BIN_EXE_chandlery"));
    let output = chandlery().arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The page about actions: its YAML is an action of a catalog that validates.
#[test]
fn actions_page_tells_the_truth() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/actions.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["blueprints", "actions"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let put = |path: &str, text: &str| fs::write(folder.path().join(path), text).unwrap();
    put("chandlery.yaml", "version: 1\n");
    put("blueprints/bucket.yaml", "identifier: bucket\nschema: { properties: { size: { type: number } } }\n");
    put("actions/open-market.yaml", page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap());
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The page about templates: its commands run, and its YAML is a template and an example that are used as they stand.
#[test]
fn templates_page_tells_the_truth() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join("docs/templates.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for part in ["catalog-example", "action-templates"] {
        let copied = Command::new("cp").arg("-r").arg(root.join(part)).arg(folder.path()).status().unwrap();
        assert!(copied.success());
    }
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let chandlery = |line: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        let output = command.args(line.split(' ')).current_dir(folder.path()).output().unwrap();
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{said}");
    };
    let request =
        fs::read_to_string(root.join("catalog-example/.demo/requests/scaffold-service/request.yaml"));
    put("inputs.yaml", &request.unwrap());
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    $ chandlery ")).collect();
    assert_eq!(commands.len(), 3);
    commands.into_iter().for_each(&chandlery);

    let blocks: Vec<&str> =
        page.split("```yaml\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [template, case] = blocks[..] else { panic!("two blocks") };
    put("page/chandlery.yaml", "version: 1\nrepositories: [acme/infrastructure]\n");
    put("page/blueprints/bucket.yaml", "identifier: bucket\n");
    put("page/entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n");
    put("page/entities/_user/bo.yaml", "identifier: bo\nblueprint: _user\n");
    put("page/entities/_user/cleo.yaml", "identifier: cleo\nblueprint: _user\n");
    put(
        "page/entities/_team/platform.yaml",
        "identifier: platform\nblueprint: _team\nrelations: { members: [ada, bo, cleo] }\n",
    );
    put(
        "page/actions/add-bucket.yaml",
        r#"identifier: add-bucket
trigger:
  operation: CREATE
  blueprintIdentifier: bucket
  userInputs:
    properties:
      name: { type: string, pattern: "^[a-z]+$" }
      public: { type: boolean }
      count: { type: number, default: 1 }
      readers: { type: array, items: { type: string, pattern: "^[a-z]+$" }, uniqueItems: true, default: [ada] }
    required: [name, public]
approval: { rules: [{ name: platform, teams: [platform], count: 1 }] }
steps:
  - { id: add, pullRequest: { repository: acme/infrastructure, template: bucket } }
entities:
  - create: { blueprint: bucket, identifier: "{{ inputs.name }}" }
"#,
    );
    put("page/actions/add-bucket.tests/invoices.yaml", case);
    for (path, text) in [
        ("buckets.yaml", "limits: {}\n"),
        (".gitignore", "# caches\n"),
        ("owners.toml", "[teams]\nstorage = []\n"),
        ("main.tf", ""),
    ] {
        put(&format!("page/actions/add-bucket.tests/infrastructure/{path}"), text);
    }
    put("page/action-templates/bucket/template.yaml", template);
    put("page/action-templates/bucket/files/scripts/start", "echo [[ inputs.name | shell ]]\n");
    put("page/action-templates/bucket/files/readers/{{ item }}.tf", "reader = [[ item | hcl ]]\n");
    put("page/action-templates/bucket/files/public.tf", "public = true\n");
    put("page/action-templates/bucket/files/x.tmpl", "[[ .Values.x ]]\n");
    chandlery("validate page");
    chandlery("test --catalog page --update");
    let diff = fs::read_to_string(folder.path().join("page/actions/add-bucket.tests/invoices.diff")).unwrap();
    for line in [
        "new file mode 100755",
        "+/invoices/cache/",
        "+storage = [\"invoices\"]",
        "+module \"invoices\" {",
        "+reader = \"ada\"",
    ] {
        assert!(diff.contains(line), "no {line} in\n{diff}");
    }
}
