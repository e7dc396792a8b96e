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
    let block = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    fs::write(folder.path().join("chandlery.yaml"), block).unwrap();
    let chandlery = || Command::new(env!("CARGO_BIN_EXE_chandlery"));
    let output = chandlery().arg("validate").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
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
