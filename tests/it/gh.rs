//! Can people play on the local forge with `gh`, GitHub's own program?
//!
//! It speaks to `api.github.com` and to nobody else, but does so over a Unix socket when its settings
//! name one. So dan asks with it, bo and hal approve with it, and Chandlery does its part over TCP.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use chandlery::local_forge::Seed;
use serde_json::Value;
use tempfile::TempDir;

use crate::demo::{chandlery, printed};

/// What dan fills in, by the id of the field.
const ANSWERS: [(&str, &str); 10] = [
    ("name", "label-printers"),
    ("provider", "aws"),
    ("stage", "production"),
    ("system", "fulfilment"),
    ("team", "logistics"),
    ("owner", "gia"),
    ("rootEmail", "cloud+label-printers@acme.example"),
    ("monthlyBudget", "300"),
    ("regions", "frankfurt"),
    ("purpose", "The printers in the warehouse ask here what to print: \"labels\", &c.\nNothing else."),
];

/// A forge in a process of its own, with the example's people and repositories.
struct Played {
    folder: TempDir,
    forge: Child,
    url: String,
}

impl Played {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = folder.path().join("seed.yaml");
        fs::write(&seed, serde_yaml::to_string(&seed_with(&catalog(folder.path()))).unwrap()).unwrap();
        let exchanges = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exchanges");
        fs::create_dir_all(&exchanges).unwrap();
        let record = exchanges.join("gh.jsonl");
        drop(fs::remove_file(&record));
        let socket = format!("unix:{}", folder.path().join("forge.sock").display());
        let mut forge = Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .args(["forge", "--exit-with-parent", "--listen", "127.0.0.1:0", "--listen", &socket])
            .arg("--root")
            .arg(folder.path().join("forge"))
            .arg("--seed")
            .arg(seed)
            .arg("--record")
            .arg(record)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(forge.stdout.take().unwrap()).lines();
        let mut listens = || lines.next().unwrap().unwrap().replace("listening on ", "");
        let url = listens();
        assert_eq!(listens(), socket);
        fs::create_dir(folder.path().join("gh")).unwrap();
        let setting = format!("http_unix_socket: {}\n", folder.path().join("forge.sock").display());
        fs::write(folder.path().join("gh/config.yml"), format!("version: \"1\"\n{setting}")).unwrap();
        Self { folder, forge, url }
    }

    /// Runs `gh api` as somebody.
    fn gh(&self, who: &str, arguments: &[&str]) -> Output {
        Command::new("gh")
            .arg("api")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", self.folder.path())
            .env("GH_CONFIG_DIR", self.folder.path().join("gh"))
            .env("GH_TOKEN", format!("{who}-token"))
            .env("GH_TELEMETRY", "0")
            .env("GH_NO_UPDATE_NOTIFIER", "1")
            .output()
            .unwrap_or_else(|error| panic!("`gh` cannot be run: {error}; `make tools` fetches it"))
    }

    /// As `gh`; what it printed, which must have gone well.
    #[track_caller]
    fn says(&self, who: &str, arguments: &[&str]) -> String {
        printed(&self.gh(who, arguments)).trim_end().to_owned()
    }

    /// One pass of Chandlery, over TCP; how each request stands.
    #[track_caller]
    fn reconcile(&self) -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .args(["reconcile", "--repository", "acme/catalog", "--format", "json"])
            .args(["--api-url", &format!("{}/api/v3", self.url)])
            .arg("--cache")
            .arg(self.folder.path().join("cache"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("CHANDLERY_TOKEN", "chandlery-token")
            .output()
            .unwrap();
        serde_json::from_str(&printed(&output)).unwrap()
    }
}

impl Drop for Played {
    fn drop(&mut self) {
        // Its standard input ends, and with that the forge.
        drop(self.forge.stdin.take());
        self.forge.wait().unwrap();
    }
}

/// The example's catalog as a repository of its own, its issue forms made.
fn catalog(folder: &Path) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let catalog = folder.join("catalog");
    copy(&package.join("catalog-example"), &catalog);
    printed(&chandlery(&["generate", "issue-forms", catalog.to_str().unwrap()]));
    catalog
}

/// Copies what is no part of the demo.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true if entry.file_name() == ".demo" => {}
            true => copy(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

fn seed_with(catalog: &Path) -> Seed {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seed = Seed::read(&package.join("catalog-example/.demo/seed.yaml")).unwrap();
    let known = seed.repositories.iter_mut().find(|repository| repository.name == "catalog");
    known.unwrap().from = Some(catalog.to_owned());
    seed
}

/// What GitHub makes of an issue form that is filled in with these answers.
pub(crate) fn filled_in(form: &Path, answers: &[(&str, &str)]) -> String {
    let form: Value = serde_yaml::from_str(&fs::read_to_string(form).unwrap()).unwrap();
    let sections = form["body"].as_array().unwrap().iter().map(|field| {
        let attributes = &field["attributes"];
        let given = answers.iter().find(|(id, _)| field["id"] == *id).map(|(_, answer)| *answer);
        let preselected =
            attributes["default"].as_u64().and_then(|at| attributes["options"][at as usize].as_str());
        let answer = given.or(preselected).unwrap_or("_No response_");
        format!("### {}\n\n{answer}", attributes["label"].as_str().unwrap())
    });
    sections.collect::<Vec<_>>().join("\n\n")
}

#[test]
fn a_request_goes_its_whole_way_with_gh() {
    let played = Played::new();
    let catalog = "repos/acme/catalog";
    let stage = |report: &Value| report["requests"].to_string();

    // Who am I, by either API.
    assert_eq!(played.says("dan", &["user", "--jq", ".login"]), "dan");
    let query = "query=query { viewer { login } }";
    assert_eq!(played.says("hal", &["graphql", "-f", query, "--jq", ".data.viewer.login"]), "hal");

    let form = played.folder.path().join("catalog/.github/ISSUE_TEMPLATE/create-cloud-account.yml");
    let body = format!("body={}", filled_in(&form, &ANSWERS));
    let issues = format!("{catalog}/issues");
    let filed = [&issues, "-f", "title=An account for the printers", "-f", &body, "--jq", ".number"];
    assert_eq!(played.says("dan", &filed), "1");
    let report = played.reconcile();
    assert!(stage(&report).contains("waiting_for_approval"), "{report}");

    // Not approved yet, so it cannot be merged; gh says why.
    let pull = format!("{catalog}/pulls/2");
    let merge = [&format!("{pull}/merge"), "-X", "PUT", "--jq", ".merged"];
    let refused = played.gh("dan", &merge);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("(HTTP 405)"), "{refused:?}");

    for who in ["bo", "hal"] {
        let review = [&format!("{pull}/reviews"), "-f", "event=APPROVE", "--jq", ".state"];
        assert_eq!(played.says(who, &review), "APPROVED");
    }
    let report = played.reconcile();
    assert!(stage(&report).contains("waiting_for_approval"), "{report}");
    assert_eq!(played.says("dan", &merge), "true");
    let report = played.reconcile();
    assert!(stage(&report).contains("in_progress"), "{report}");

    let follow_up = ["repos/acme/infrastructure/pulls/1/merge", "-X", "PUT", "--jq", ".merged"];
    assert_eq!(played.says("bo", &follow_up), "true");
    let report = played.reconcile();
    assert!(stage(&report).contains("success"), "{report}");

    let issue = [&format!("{catalog}/issues/1"), "--jq", ".state + \" \" + .state_reason"];
    assert_eq!(played.says("dan", &issue), "closed completed");
    // One page an entry, so gh has to follow the links from page to page.
    let log = [&format!("{catalog}/commits?per_page=1"), "--paginate", "--jq", ".[].commit.message"];
    let log = played.says("dan", &log);
    let trailer = log.lines().find(|line| line.starts_with("Chandlery-Run: ")).expect(&log);
    assert!(trailer.contains("action=create-cloud-account@") && trailer.contains(" by=dan "), "{trailer}");
    assert!(trailer.ends_with(" approved=bo,hal"), "{trailer}");
    assert!(log.lines().count() > 3, "{log}");
}
