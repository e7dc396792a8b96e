//! A healthy catalog on a local forge, what can be done to it, and the doctor that is sent there.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use chandlery::local_forge::{
    self, Options, Running, Seed, SeedApp, SeedEnvironment, SeedInstallation, SeedOrganization,
    SeedRepository, SeedTeam, SeedUser,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::world::local::key_pair;

pub const APP: u64 = 4711;
pub const CATALOG: &str = "acme/catalog";
pub const TARGET: &str = "acme/infrastructure";
const ACTION: &str = "acme/chandlery@0123456789abcdef0123456789abcdef01234567";

const PUBLISH: &str = "identifier: publish
trigger: { operation: CREATE, blueprintIdentifier: site, userInputs: { properties: { name: { type: string } }, required: [name] } }
steps:
  - { id: publish, workflow: { repository: REPOSITORY, workflow: publish.yml } }
entities:
  - create: { blueprint: site, identifier: \"{{ inputs.name }}\" }
";

/// The forge before it is started, and who is to be sent.
pub struct Beginning {
    pub seed: Seed,
    folder: TempDir,
    pub visit: Visit,
}

/// How the doctor is called.
#[derive(Clone)]
pub struct Visit {
    pub app: bool,
    pub key: PathBuf,
    pub token: String,
    pub admin: Option<String>,
    pub folder: Option<PathBuf>,
    pub repository: String,
}

/// The forge at work.
pub struct Clinic {
    runtime: Runtime,
    forge: Option<Running>,
    url: String,
    folder: TempDir,
    pub visit: Visit,
}

/// What the doctor said.
pub struct Said {
    pub code: Option<i32>,
    pub report: Value,
    pub errors: String,
}

impl Said {
    pub fn codes(&self) -> Vec<&str> {
        let findings = self.report["findings"].as_array().unwrap_or_else(|| panic!("{}", self.errors));
        findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
    }

    pub fn finding(&self, code: &str) -> Option<&Value> {
        self.report["findings"].as_array().unwrap().iter().find(|finding| finding["code"] == code)
    }
}

fn keys() -> &'static (String, String) {
    static KEYS: OnceLock<(String, String)> = OnceLock::new();
    KEYS.get_or_init(key_pair)
}

/// What `init` writes, once for all tests of a process.
fn template() -> &'static TempDir {
    static TEMPLATE: OnceLock<TempDir> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let init = |name: &str, more: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
            command.arg("init").arg(folder.path().join(name)).args(["--repository", CATALOG]).args(more);
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        let sha256 = "ab".repeat(32);
        init("catalog", &["--action", ACTION, "--sha256", &sha256, "--app-id", &APP.to_string()]);
        init("infrastructure", &["--target", TARGET]);
        let settings = folder.path().join("catalog/chandlery.yaml");
        let text = fs::read_to_string(&settings).unwrap();
        fs::write(settings, text.replace("repositories: []", &format!("repositories: [{TARGET}]"))).unwrap();
        folder
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Beginning {
    /// Everything as it should be.
    pub fn healthy() -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(template().path(), folder.path());
        let (key, public_key) = keys();
        let key_file = folder.path().join("key.pem");
        fs::write(&key_file, key).unwrap();
        let ruleset = |name: &str| -> Value {
            let path = folder.path().join("catalog/.github/rulesets").join(name);
            serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
        };
        let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|(name, word)| (name.to_string(), word.to_string())).collect()
        };
        let user =
            |login: &str| SeedUser { login: login.to_owned(), token: format!("{login}-token"), email: None };
        let repository = |name: &str| SeedRepository {
            owner: "acme".to_owned(),
            name: name.to_owned(),
            from: Some(folder.path().join(name)),
            private: true,
            collaborators: map(&[("dee", "write")]),
            ..SeedRepository::default()
        };
        let catalog = SeedRepository {
            rulesets: vec![ruleset("default-branch.json"), ruleset("chandlery-branches.json")],
            environments: vec![SeedEnvironment {
                name: "chandlery".to_owned(),
                branches: Some(vec!["main".to_owned()]),
                variables: map(&[("CHANDLERY_APP_ID", &APP.to_string())]),
                secrets: vec!["CHANDLERY_APP_KEY".to_owned()],
            }],
            ..repository("catalog")
        };
        let app = SeedApp {
            id: APP,
            slug: "chandlery".to_owned(),
            public_key: public_key.clone(),
            permissions: map(&[
                ("metadata", "read"),
                ("contents", "write"),
                ("pull_requests", "write"),
                ("issues", "write"),
                ("checks", "write"),
                ("statuses", "read"),
                ("merge_queues", "write"),
                ("members", "read"),
                ("workflows", "write"),
                ("actions", "write"),
            ]),
            installations: vec![SeedInstallation {
                account: "acme".to_owned(),
                ..SeedInstallation::default()
            }],
        };
        let team = SeedTeam {
            slug: "platform".to_owned(),
            members: vec!["bo".to_owned()],
            repositories: map(&[("catalog", "write")]),
        };
        let seed = Seed {
            users: ["ada", "bo", "dee"].map(user).into(),
            orgs: vec![SeedOrganization {
                login: "acme".to_owned(),
                owners: vec!["ada".to_owned()],
                teams: vec![team],
                ..SeedOrganization::default()
            }],
            repositories: vec![catalog, repository("infrastructure")],
            apps: vec![app],
            ..Seed::default()
        };
        let visit = Visit {
            app: true,
            key: key_file,
            token: "dee-token".to_owned(),
            admin: Some("ada-token".to_owned()),
            folder: None,
            repository: CATALOG.to_owned(),
        };
        Self { seed, folder, visit }
    }

    pub fn catalog(&mut self) -> &mut SeedRepository {
        &mut self.seed.repositories[0]
    }

    pub fn environment(&mut self) -> &mut SeedEnvironment {
        &mut self.catalog().environments[0]
    }

    pub fn permissions(&mut self) -> &mut BTreeMap<String, String> {
        &mut self.seed.apps[0].permissions
    }

    /// The ruleset of the default branch: its rules by kind.
    pub fn rule(&mut self, kind: &str) -> &mut Value {
        let rules = self.catalog().rulesets[0]["rules"].as_array_mut().unwrap();
        &mut rules.iter_mut().find(|rule| rule["type"] == kind).unwrap()["parameters"]
    }

    pub fn drop_rule(&mut self, ruleset: usize, kind: &str) {
        let rules = self.catalog().rulesets[ruleset]["rules"].as_array_mut().unwrap();
        rules.retain(|rule| rule["type"] != kind);
    }

    /// A ruleset of somebody else's making, for the default branch, that lets the App by.
    pub fn foreign(&mut self, rule: Value) {
        let mut ruleset = self.catalog().rulesets[0].clone();
        ruleset["name"] = "Security".into();
        ruleset["rules"] = json!([rule]);
        self.catalog().rulesets.push(ruleset);
    }

    pub fn file(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub fn remove(&self, path: &str) {
        fs::remove_file(self.file(path)).unwrap();
    }

    pub fn write(&self, path: &str, text: &str) {
        fs::write(self.file(path), text).unwrap();
    }

    pub fn replace(&self, path: &str, from: &str, to: &str) {
        let old = fs::read_to_string(self.file(path)).unwrap();
        assert!(old.contains(from), "{path} does not say {from}");
        self.write(path, &old.replace(from, to));
    }

    /// Has an action start the workflow `publish` of this repository, which says what starts it.
    pub fn publishes(&self, repository: &str, on: &str) {
        let name = repository.split('/').nth(1).unwrap();
        for folder in ["catalog/blueprints", "catalog/actions", &format!("{name}/.github/workflows")] {
            fs::create_dir_all(self.file(folder)).unwrap();
        }
        self.write("catalog/blueprints/site.yaml", "identifier: site\n");
        self.write("catalog/actions/publish.yaml", &PUBLISH.replace("REPOSITORY", repository));
        if repository == CATALOG {
            self.replace("catalog/chandlery.yaml", &format!("[{TARGET}]"), &format!("[{TARGET}, {CATALOG}]"));
        }
        self.write(
            &format!("{name}/.github/workflows/publish.yml"),
            &format!("name: publish it\non: {on}\n"),
        );
        self.generate();
    }

    /// Writes what `init` would write.
    pub fn init(&self, folder: &str, more: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command.arg("init").arg(self.file(folder)).args(["--repository", CATALOG]).args(more);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    /// Makes the issue forms that follow from the actions.
    pub fn generate(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        let made = command.args(["generate", "issue-forms"]).arg(self.file("catalog")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }

    pub fn open(self) -> Clinic {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let options = Options {
            root: self.folder.path().join("forge"),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            seed: Some(self.seed),
            // Judged with the other exchanges of the suite.
            record: std::env::var_os("CHANDLERY_RECORD")
                .map(|folder| Path::new(&folder).join("doctor.jsonl")),
        };
        let forge = runtime.block_on(local_forge::start(options)).unwrap();
        let clinic = Clinic {
            runtime,
            url: forge.url.clone(),
            forge: Some(forge),
            folder: self.folder,
            visit: self.visit,
        };
        for stage in chandlery::domain::Stage::ALL {
            let label = json!({ "name": stage.label(), "color": stage.color() });
            clinic.call("POST", &format!("/repos/{CATALOG}/labels"), &label);
        }
        clinic
    }
}

impl Clinic {
    /// One request of the administrator.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(method, &format!("/api/v3{path}"), body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    pub fn control(&self, method: &str, path: &str, body: &Value) {
        let (status, answer) = self.request(method, &format!("/_control/{path}"), body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        use http_body_util::{BodyExt, Full};
        use hyper::body::Bytes;
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = hyper::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", "Bearer ada-token")
            .body(Full::<Bytes>::from(text))
            .unwrap();
        let client = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
        self.runtime.block_on(async {
            let response = client.build_http().request(request).await.unwrap();
            let status = response.status().as_u16();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&bytes).unwrap_or_default())
        })
    }

    /// Sends the doctor.
    pub fn doctor(&self, more: &[&str]) -> Said {
        let Visit { app, key, token, admin, folder, repository } = &self.visit;
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command
            .args(["doctor", "--format", "json", "--repository", repository])
            .args(["--api-url", &format!("{}/api/v3", self.url), "--git-url", &self.url, "--cache"])
            .arg(self.folder.path().join("cache"))
            .args(more)
            .current_dir(folder.as_deref().unwrap_or(self.folder.path()));
        for name in [
            "CHANDLERY_APP_ID",
            "CHANDLERY_APP_KEY",
            "CHANDLERY_TOKEN",
            "GITHUB_TOKEN",
            "CHANDLERY_ADMIN_TOKEN",
        ] {
            command.env_remove(name);
        }
        if *app {
            command.args(["--app-id", &APP.to_string(), "--app-key-file"]).arg(key);
        } else {
            command.env("CHANDLERY_TOKEN", token);
        }
        if let Some(admin) = admin {
            command.env("CHANDLERY_ADMIN_TOKEN", admin);
        }
        let output = command.output().unwrap();
        Said {
            code: output.status.code(),
            report: serde_json::from_slice(&output.stdout).unwrap_or_default(),
            errors: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn stop(&mut self) {
        if let Some(forge) = self.forge.take() {
            self.runtime.block_on(forge.shutdown()).unwrap();
        }
    }
}

impl Drop for Clinic {
    fn drop(&mut self) {
        self.stop();
    }
}
