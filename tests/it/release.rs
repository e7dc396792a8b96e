//! Does a tag become a release, and does `action.yml` take what was released?
//!
//! `act` runs `release.yml` as it is, on this machine. Nothing is compiled and nothing leaves the machine: where a job calls
//! `cargo`, `rustup`, `sudo`, `gh` or an action of GitHub's, something small stands in for it and does what its documentation
//! says of the part that is used. Then the action fetches the release and runs it.
//!
//! Not run here: the cross compilation itself, GitHub's storage of artifacts and releases, and the proof of where the programs
//! were built, which only GitHub can make. Of that proof it is checked what it is about and that the job may make it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::{
    demo::{chandlery, printed},
    forge_helper::git,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = "acme/chandlery";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const TOKEN: &str = "the-token-of-the-job";
const TARGETS: [&str; 2] = ["aarch64-unknown-linux-musl", "x86_64-unknown-linux-musl"];

/// What stands in for GitHub's actions: `FOLDER` is where it leaves things.
const ACTIONS: [(&str, &str, &str); 3] = [
    // The files below a folder become an artifact, named from that folder on.
    (
        "actions/upload-artifact",
        "name path if-no-files-found",
        "mkdir -p FOLDER/artifacts && mkdir \"FOLDER/artifacts/$NAME\" && cp -r \"$IN_PATH\"/. \"FOLDER/artifacts/$NAME\" && ls \"$IN_PATH\"/*",
    ),
    // Without a name all artifacts are fetched; merged, they share one folder.
    (
        "actions/download-artifact",
        "path merge-multiple",
        "test \"$MERGE_MULTIPLE\" = true && mkdir -p \"$IN_PATH\" && cp FOLDER/artifacts/*/* \"$IN_PATH\"",
    ),
    ("actions/attest-build-provenance", "subject-path", "sha256sum $SUBJECT_PATH > FOLDER/attested"),
];

/// What stands in for programs. `cargo` leaves a program that is this one, but for a line that tells for what it was built.
const PROGRAMS: [(&str, &str); 4] = [
    ("sudo", ":"),
    ("rustup", ":"),
    (
        "cargo",
        "target=\"${@: -1}\"; program=\"$CARGO_TARGET_DIR/$target/dist/chandlery\"; mkdir -p \"$(dirname \"$program\")\"
printf '#!/bin/sh\\n# %s of %s\\nexec BINARY \"$@\"\\n' \"$target\" \"$CHANDLERY_RELEASE\" > \"$program\"; chmod +x \"$program\"",
    ),
    (
        "gh",
        "test \"$GH_TOKEN\" = the-token-of-the-job; mkdir -p \"FOLDER/releases/$3\"
for file; do test ! -f \"$file\" || cp \"$file\" \"FOLDER/releases/$3\"; done",
    ),
];

/// A machine that `act` may use, with what stands in for the rest of the world.
struct Machine {
    folder: TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().to_str().unwrap();
        for (name, script) in PROGRAMS {
            let script = script.replace("FOLDER", place).replace("BINARY", env!("CARGO_BIN_EXE_chandlery"));
            let path = folder.path().join("bin").join(name);
            write(
                &path,
                &format!("#!/bin/bash\nset -euo pipefail\necho \"{name} $*\" >> {place}/called\n{script}\n"),
            );
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        for (name, inputs, script) in ACTIONS {
            // PATH is where the shell finds its programs.
            let variable = |input: &str| match input {
                "path" => "IN_PATH".to_owned(),
                other => other.to_uppercase().replace('-', "_"),
            };
            let inputs: Vec<&str> = inputs.split(' ').collect();
            let given: BTreeMap<String, String> =
                inputs.iter().map(|input| (variable(input), format!("${{{{ inputs.{input} }}}}"))).collect();
            let known: BTreeMap<&str, Value> =
                inputs.iter().map(|input| (*input, json!({ "description": input }))).collect();
            let step = json!({ "shell": "bash", "run": script.replace("FOLDER", place), "env": given });
            let action = json!({
                "name": name, "description": name, "inputs": known,
                "runs": { "using": "composite", "steps": [step] },
            });
            write(&folder.path().join("actions").join(name).join("action.yml"), &action.to_string());
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Lets `act` run a workflow of a folder; whether all its jobs came to a good end, and what it printed.
    fn act(&self, folder: &Path, workflow: &str, tag: &str, actions: &[(String, PathBuf)]) -> (bool, String) {
        let place = |name: &str, text: String| {
            let path = self.path(name);
            fs::write(&path, text).unwrap();
            path
        };
        let event = json!({ "ref": format!("refs/tags/{tag}"), "repository": { "full_name": REPOSITORY } });
        let known = format!("GITHUB_REPOSITORY={REPOSITORY}\n");
        let home = self.path("home");
        fs::create_dir_all(&home).unwrap();
        let mut act = Command::new("act");
        act.arg("push")
            .args(["--json", "--no-cache-server", "--action-offline-mode", "--pull=false"])
            .args(["--platform", "ubuntu-24.04=-self-hosted", "--platform", "ubuntu-24.04-arm=-self-hosted"])
            .arg("--directory")
            .arg(folder)
            .arg("--workflows")
            .arg(folder.join(workflow))
            .arg("--eventpath")
            .arg(place("event.json", event.to_string()))
            .arg("--env-file")
            .arg(place("known", known))
            .arg("--secret-file")
            .arg(place("secrets", format!("GITHUB_TOKEN=\"{TOKEN}\"\n")));
        for (name, folder) in actions {
            act.args(["--local-repository", &format!("{name}={}", folder.display())]);
        }
        let path = std::env::var("PATH").unwrap();
        let output = act
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("`act` cannot be run: {error}; `make tools` fetches it"));
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs `release.yml` for a tag.
    fn release(&self, tag: &str) -> (bool, String) {
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = self.path("checkout");
        for file in ["Makefile", "Cargo.toml", ".github/workflows/release.yml"] {
            write(&checkout.join(file), &fs::read_to_string(ours.join(file)).unwrap());
        }
        let stand_in = |uses: String| {
            let name = uses.split_once('@').unwrap().0.to_owned();
            // `act` itself does what is to be checked out.
            (name != "actions/checkout").then(|| (uses, self.path("actions").join(name)))
        };
        let steps = steps(&workflow());
        let actions: Vec<_> =
            steps.iter().filter_map(|step| stand_in(step["uses"].as_str()?.to_owned())).collect();
        assert_eq!(actions.len(), ACTIONS.len());
        for arguments in
            [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "Release"]]
        {
            assert!(git(&checkout, arguments).0);
        }
        self.act(&checkout, ".github/workflows/release.yml", tag, &actions)
    }

    /// Runs our action in a new catalog, with this release and checksum.
    fn try_action(&self, sha256: &str) -> (bool, String) {
        let catalog = tempfile::tempdir().unwrap();
        let folder = catalog.path().join("catalog");
        printed(&chandlery(&["init", folder.to_str().unwrap(), "--repository", "acme/catalog"]));
        let releases = format!("file://{}", self.path("releases").display());
        let uses = format!("{REPOSITORY}@{COMMIT}");
        let with =
            json!({ "command": "validate", "version": VERSION, "sha256": sha256, "releases": releases });
        let checkout = steps(&workflow()).into_iter().find_map(|step| {
            step["uses"].as_str().filter(|uses| uses.starts_with("actions/checkout@")).map(str::to_owned)
        });
        let workflow = json!({
            "on": "push",
            "jobs": { "try": { "runs-on": "ubuntu-24.04", "steps": [{ "uses": checkout.unwrap() }, { "uses": uses, "with": with }] } },
        });
        write(&folder.join(".github/workflows/try.yml"), &workflow.to_string());
        let ours = self.path("ours");
        let action = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml")).unwrap();
        write(&ours.join("action.yml"), &action);
        self.act(&folder, ".github/workflows/try.yml", "v0.0.0", &[(uses, ours)])
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn yaml(file: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    serde_yaml::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn workflow() -> Value {
    yaml(".github/workflows/release.yml")
}

fn steps(workflow: &Value) -> Vec<Value> {
    let jobs = workflow["jobs"].as_object().unwrap().values();
    jobs.flat_map(|job| job["steps"].as_array().unwrap().clone()).collect()
}

#[test]
fn a_tag_becomes_a_release_that_the_action_takes() {
    let machine = Machine::new();
    let (good, output) = machine.release(&format!("v{VERSION}"));
    assert!(good, "{output}\n{}", machine.read("called"));

    let published = machine.path(&format!("releases/v{VERSION}"));
    let names: BTreeSet<String> = fs::read_dir(&published)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let programs = TARGETS.map(|target| format!("chandlery-{target}"));
    assert_eq!(names, programs.iter().cloned().chain(["SHA256SUMS".to_owned()]).collect());

    // Each program is what was built for its target, knowing where it comes from; the checksums are theirs, and so is the proof.
    let (_, commit) = git(&machine.path("checkout"), &["rev-parse", "HEAD"]);
    let mut sums = String::new();
    for (program, target) in programs.iter().zip(TARGETS) {
        let bytes = fs::read(published.join(program)).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(&format!("# {target} of {REPOSITORY}@{}\n", commit.trim())), "{text}");
        sums.push_str(&format!("{}  {program}\n", hex::encode(Sha256::digest(&bytes))));
    }
    assert_eq!(fs::read_to_string(published.join("SHA256SUMS")).unwrap(), sums);
    assert_eq!(machine.read("attested").replace("dist/", ""), sums);

    let called = machine.read("called");
    for target in TARGETS {
        assert!(
            called.contains(&format!("cargo build --locked --profile dist --target {target}\n")),
            "{called}"
        );
    }
    let release =
        format!("gh release create v{VERSION} --repo {REPOSITORY} --verify-tag --generate-notes dist/");
    assert!(called.lines().last().unwrap().starts_with(&release), "{called}");
    // The real `gh` knows what is asked of it.
    let help =
        Command::new("gh").args(["release", "create", "--help"]).output().expect("`make tools` fetches gh");
    let help = String::from_utf8(help.stdout).unwrap();
    for flag in ["--repo", "--verify-tag", "--generate-notes"] {
        assert!(help.contains(&format!("{flag} ")), "{flag}: {help}");
    }

    let sum = |target: &str| {
        let line = sums.lines().find(|line| line.ends_with(target)).unwrap();
        line.split(' ').next().unwrap().to_owned()
    };
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let (good, output) = machine.try_action(&sum(&target));
    assert!(good && output.contains("Success - Main Run Chandlery"), "{output}");
    let other = TARGETS.into_iter().find(|one| *one != target).unwrap();
    let (good, output) = machine.try_action(&sum(other));
    // The last words of a step that fails do not always come through `act`, so what counts is that nothing was run.
    let refused =
        output.contains("Failure - Main Get Chandlery") && !output.contains("Run Main Run Chandlery");
    assert!(!good && refused, "{output}");
}

#[test]
fn a_tag_that_is_not_the_version_becomes_nothing() {
    let machine = Machine::new();
    let (good, output) = machine.release("v9.9.9");
    assert!(!good, "{output}");
    assert!(!machine.path("artifacts").exists() && !machine.path("releases").exists());
    assert!(!machine.read("called").contains("cargo"), "{}", machine.read("called"));
}

/// What `act` does not look at: rights, and which machines there are.
#[test]
fn a_release_is_made_with_the_least_rights_for_every_machine_that_the_action_knows() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({}));
    let jobs = &workflow["jobs"];
    assert_eq!(jobs["build"]["permissions"], json!({ "contents": "read" }));
    // The proof needs an identity that GitHub signs for, and a place to be kept.
    let rights = json!({ "contents": "write", "id-token": "write", "attestations": "write" });
    assert_eq!(jobs["publish"]["permissions"], rights);
    assert_eq!(jobs["publish"]["needs"], "build");
    assert_eq!(jobs.as_object().unwrap().len(), 2);

    let built: BTreeMap<&str, &str> = jobs["build"]["strategy"]["matrix"]["include"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["target"].as_str().unwrap(), one["runner"].as_str().unwrap()))
        .collect();
    let expected = BTreeMap::from([(TARGETS[0], "ubuntu-24.04-arm"), (TARGETS[1], "ubuntu-24.04")]);
    assert_eq!(built, expected);
    let action = yaml("action.yml");
    let script = action["runs"]["steps"][0]["run"].as_str().unwrap();
    let taken: BTreeSet<&str> =
        script.split("target=").skip(1).filter_map(|rest| rest.split(' ').next()).collect();
    assert_eq!(taken, TARGETS.into());
}
