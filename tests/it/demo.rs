//! Does the demo tell its story, and is everything there afterwards that it speaks of?

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use chandlery::domain::Run;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A story that was told.
pub(crate) struct Told {
    pub(crate) folder: TempDir,
    pub(crate) outcome: Value,
}

pub(crate) fn chandlery(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
    // What the machine that runs the tests is configured for is none of the story's business.
    for name in
        ["CHANDLERY_REPOSITORY", "CHANDLERY_API_URL", "CHANDLERY_TOKEN", "GITHUB_REPOSITORY", "GITHUB_TOKEN"]
    {
        command.env_remove(name);
    }
    command.args(arguments).output().unwrap()
}

#[track_caller]
pub(crate) fn printed(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    out.into_owned()
}

impl Told {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output =
            chandlery(&["demo", "--dir", folder.path().join("demo").to_str().unwrap(), "--format", "json"]);
        let text = printed(&output);
        let outcome = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        Self { folder, outcome }
    }

    pub(crate) fn path(&self, pointer: &str) -> PathBuf {
        PathBuf::from(self.outcome.pointer(pointer).unwrap().as_str().unwrap())
    }

    /// A file of a repository, at a branch.
    pub(crate) fn file(&self, repository: &str, branch: &str, path: &str) -> Option<String> {
        let git = git2::Repository::open_bare(self.repository(repository)).unwrap();
        let tree = git.revparse_single(branch).unwrap().peel_to_tree().unwrap();
        let blob = tree.get_path(Path::new(path)).ok()?.to_object(&git).unwrap().into_blob().ok()?;
        Some(String::from_utf8(blob.content().to_vec()).unwrap())
    }

    pub(crate) fn repository(&self, name: &str) -> PathBuf {
        self.path("/forge").join("repositories").join(format!("{name}.git"))
    }
}

#[test]
fn the_demo_tells_four_requests_from_their_asking_to_their_end() {
    let told = Told::new();
    let requests = told.outcome["requests"].as_array().unwrap();
    let seen: Vec<Value> =
        requests.iter().map(|request| json!([request["action"], request["status"]])).collect();
    assert_eq!(
        seen,
        [
            json!(["create-cloud-account", "success"]),
            json!(["change-replicas", "success"]),
            json!(["create-cloud-account", "waiting_for_approval"]),
            json!(["change-replicas", "denied"]),
        ]
    );
    let pulls: Vec<&Value> = requests.iter().map(|request| &request["pullRequests"]).collect();
    assert_eq!(pulls[0], &json!(["acme/catalog#2", "acme/infrastructure#1"]));
    assert_eq!(pulls[1], &json!(["acme/catalog#3", "acme/deployments#1"]));
    assert_eq!((pulls[2], pulls[3]), (&json!(["acme/catalog#5"]), &json!(["acme/catalog#6"])));
    assert!(told.path("/forge").is_absolute());
    assert_eq!(told.path("/catalog"), told.repository("acme/catalog"));

    // The catalog is sound, and has a record of each request that ended.
    let catalog = told.path("/catalog");
    printed(&chandlery(&["validate", catalog.to_str().unwrap(), "--at", "main"]));
    // Whoever clones it can try its policies, whatever happened since.
    let clone = tempfile::tempdir().unwrap();
    let cloned = Command::new("git").args(["clone", "-q"]).arg(&catalog).arg(clone.path()).status();
    assert!(cloned.unwrap().success());
    let tried = printed(&chandlery(&["policy", "test", "--catalog", clone.path().to_str().unwrap()]));
    assert!(tried.contains("examples: all is well"), "{tried}");
    for request in requests {
        let path = format!("requests/{}/run.yaml", request["id"].as_str().unwrap());
        let run = told.file("acme/catalog", "main", &path);
        let run: Option<Run> = run.map(|text| serde_yaml::from_str(&text).unwrap());
        let ended = (request["status"] != "waiting_for_approval").then(|| request["status"].clone());
        assert_eq!(run.map(|run| Value::from(run.status.name())), ended);
    }

    // The follow-ups were merged; what was denied was not executed.
    let account = told.file("acme/infrastructure", "main", "accounts/invoice-archive.tf").unwrap();
    assert!(
        account.contains("purpose         = \"Ten years of invoices, apart from everything else.\\n"),
        "{account}"
    );
    assert!(told.file("acme/catalog", "main", "entities/cloud-account/invoice-archive.yaml").is_some());
    let before = std::fs::read_to_string(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("catalog-example/.demo/deployments/apps/checkout.yaml"),
    );
    let after = told.file("acme/deployments", "main", "apps/checkout.yaml").unwrap();
    let changed: Vec<(String, &str)> = before
        .unwrap()
        .lines()
        .zip(after.lines())
        .filter(|(before, after)| before != after)
        .map(|(before, after)| (before.to_owned(), after))
        .collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert!(changed[0].1.starts_with("  replicas: 8"), "{changed:?}");
    let labels = told.file("acme/deployments", "main", "apps/shipping-labels.yaml").unwrap();
    assert!(!labels.contains("replicas: 5"), "{labels}");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.txt"), "mine").unwrap();
    let output = chandlery(&["demo", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not empty"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}
