//! Do the actions that come with Chandlery work from their asking to their end? One company on the local forge puts all of
//! them into a new catalog and asks for each, one after the other: what one makes the next one uses.

use std::{fs, path::Path, process::Command};

use chandlery::{
    domain::Timestamp,
    local_forge::{self, Options, Running, Seed},
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{demo::printed, world::backends::Server};

const CATALOG: &str = "acme/catalog";
const TARGETS: [&str; 4] = ["acme/deployments", "acme/infrastructure", "acme/packages", "acme/services"];
const ME: &str = "chandlery[bot]";
const PEOPLE: [&str; 4] = ["ada", "bo", "cleo", ME];
/// What the environments' server of the action is called; the story's own listens elsewhere.
const ENVIRONMENTS: &str = "https://environments.acme.example";

/// One action, asked for.
struct Story {
    action: &'static str,
    entity: Option<&'static str>,
    inputs: &'static [&'static str],
    /// What the server of environments answers.
    server: Option<(u16, &'static str)>,
    /// What a workflow logs.
    log: &'static str,
    /// Everything that people and backends did for it.
    deeds: &'static [&'static str],
    /// Files of the catalog and of targets in the end; `-` where there is none. Moments are `TIME`.
    then: &'static [(&'static str, &'static str, &'static str)],
    /// The entity's `expiresAt` is so long after the merge.
    lasts: Option<&'static str>,
}

const PLAIN: Story = Story {
    action: "",
    entity: None,
    inputs: &[],
    server: None,
    log: "",
    deeds: &[],
    then: &[],
    lasts: None,
};

const STORIES: &[Story] = &[
    Story {
        action: "create-cloud-account",
        inputs: &[
            "name=shop-live",
            "provider=aws",
            "stage=production",
            "system=shop",
            "team=platform",
            "owner=bo",
            "rootEmail=cloud+shop@acme.example",
            "monthlyBudget=400",
            "regions=frankfurt",
            "regions=london",
            "purpose=Everything that customers buy.",
        ],
        deeds: &["bo approves", "cleo approves", "ada merges", "ada merges acme/infrastructure"],
        then: &[
            (
                CATALOG,
                "entities/cloud-account/shop-live.yaml",
                "identifier: shop-live
blueprint: cloud-account
title: The shop, production
team: platform
properties:
  provider: aws
  stage: production
  rootEmail: cloud+shop@acme.example
  owner: bo
  monthlyBudget: 400
  regions: [frankfurt, london]
  internetAccess: false
  purpose: Everything that customers buy.
relations: { system: shop }
",
            ),
            ("acme/infrastructure", "accounts/shop-live.tf", "…  monthly_budget  = 400\n…"),
        ],
        ..PLAIN
    },
    Story {
        action: "create-cloud-resource",
        inputs: &[
            "kind=database",
            "name=ledger",
            "account=shop-live",
            "owner=bo",
            "engine=postgres",
            "size=40",
            "password=github-secret:LEDGER",
        ],
        log: "Apply complete!\n::output address=ledger.db.acme.example\n",
        deeds: &[
            "bo approves",
            "ada merges",
            "ada merges acme/infrastructure",
            "apply-resource.yml runs with password=github-secret:LEDGER resource=ledger",
        ],
        then: &[
            (
                CATALOG,
                "entities/cloud-resource/ledger.yaml",
                "identifier: ledger
blueprint: cloud-resource
title: ledger, a database
properties:
  kind: database
  region: eu-central-1
  engine: postgres
  size: 40
  keepDays: 14
  owner: bo
  address: ledger.db.acme.example
relations: { account: shop-live }
",
            ),
            ("acme/infrastructure", "resources/ledger/database.tf", "…  password = var.password\n…"),
            ("acme/infrastructure", "resources/ledger/bucket.tf", "-"),
        ],
        ..PLAIN
    },
    Story {
        action: "scaffold-service",
        inputs: &[
            "name=returns",
            "title=Returns",
            "summary=Takes goods back: by \"parcel\" or at the counter",
            "system=shop",
            "team=platform",
            "tier=silver",
            "environments=live",
            "replicas=2",
        ],
        deeds: &["bo approves", "ada merges", "ada merges acme/deployments", "ada merges acme/services"],
        then: &[
            (
                CATALOG,
                "entities/service/returns.yaml",
                "identifier: returns
blueprint: service
title: Returns
team: platform
properties:
  summary: \"Takes goods back: by \\\"parcel\\\" or at the counter\"
  tier: silver
  language: python
  replicas: 2
  port: 8080
  public: false
  version: \"0.1.0\"
relations: { environments: [live], system: shop }
",
            ),
            ("acme/services", "README.md", "-"),
            ("acme/services", "returns/server.py", "…def answer(path):\n…"),
            ("acme/services", ".github/workflows/returns.yml", "…name: returns\n…"),
            ("acme/deployments", "apps/returns.yaml", "…          image: acme/returns:0.1.0\n…"),
        ],
        ..PLAIN
    },
    Story {
        action: "change-replicas",
        entity: Some("returns"),
        inputs: &["replicas=12", "because=The sale begins on Monday"],
        deeds: &["bo approves", "ada merges", "ada merges acme/deployments"],
        then: &[
            (CATALOG, "entities/service/returns.yaml", "…  replicas: 12\n…"),
            ("acme/deployments", "apps/returns.yaml", "…  replicas: 12\n…"),
        ],
        ..PLAIN
    },
    Story {
        action: "redeploy-image",
        entity: Some("returns"),
        inputs: &["environment=live", "tag=0.2.0", "reason=Parcels from abroad"],
        log: "deployment.apps/returns image updated\n::output url=https://returns.live.acme.example\n",
        deeds: &[
            "bo approves",
            "ada merges",
            "deploy.yml runs with namespace=live service=returns tag=0.2.0",
        ],
        then: &[
            (
                CATALOG,
                "entities/service/returns.yaml",
                "…  version: \"0.2.0\"\n  url: https://returns.live.acme.example\n…",
            ),
            (
                CATALOG,
                "entities/deployment/returns-redeploy-image.yaml",
                "identifier: returns-redeploy-image
blueprint: deployment
title: returns 0.2.0 in live
properties:
  tag: \"0.2.0\"
  deployedAt: \"TIME\"
  reason: Parcels from abroad
  url: https://returns.live.acme.example
relations: { environment: live, service: returns }
",
            ),
        ],
        ..PLAIN
    },
    Story {
        action: "roll-back-service",
        entity: Some("returns"),
        inputs: &["deployment=returns-before", "why=Parcels are lost since noon"],
        deeds: &["bo approves", "ada merges"],
        then: &[
            (CATALOG, "entities/service/returns.yaml", "…  version: \"0.1.0\"\n…"),
            ("acme/deployments", "apps/returns.yaml", "…          image: acme/returns:0.1.0\n…"),
        ],
        ..PLAIN
    },
    Story {
        action: "scaffold-package",
        inputs: &[
            "language=python",
            "name=tax-rates",
            "summary=Knows what the state wants",
            "team=platform",
            "maintainers=ada",
            "maintainers=cleo",
            "documentation={url: 'https://docs.acme.example/tax', displayText: Rates}",
        ],
        deeds: &["bo approves", "ada merges", "ada merges acme/packages"],
        then: &[
            (
                CATALOG,
                "entities/package/tax-rates.yaml",
                "identifier: tax-rates
blueprint: package
title: tax-rates
team: platform
properties:
  language: python
  summary: Knows what the state wants
  folder: python/tax-rates
  maintainers: [ada, cleo]
  documentation: { url: https://docs.acme.example/tax, displayText: Rates }
",
            ),
            ("acme/packages", "pyproject.toml", "…members = [\"python/tax-rates\"]\n…"),
            (
                "acme/packages",
                "python/tax-rates/tests/test_tax_rates.py",
                "…from tax_rates import greeting  # noqa: E402\n…",
            ),
        ],
        ..PLAIN
    },
    Story {
        action: "start-notebook",
        inputs: &["name=prices", "image=scipy", "size=medium", "ttl=2d", "packages=altair"],
        deeds: &[],
        then: &[
            (
                CATALOG,
                "entities/notebook/prices.yaml",
                "identifier: prices
blueprint: notebook
title: prices, of ada
properties: { image: scipy, size: medium, owner: ada, expiresAt: \"TIME\" }
",
            ),
            ("acme/deployments", "notebooks/prices.yaml", "…  activeDeadlineSeconds: 172800\n…"),
        ],
        lasts: Some("2d"),
        ..PLAIN
    },
    Story {
        action: "create-dev-environment",
        inputs: &[
            "name=redesign",
            "cluster=main",
            "services=returns",
            "ttl=8h",
            "settings=colors: [red]",
            "team=platform",
        ],
        server: Some((201, r#"{"url":"https://redesign.dev.acme.example"}"#)),
        deeds: &[
            "bo approves",
            "ada merges",
            "ada merges acme/deployments",
            "POST /v1/environments {\"name\":\"redesign\",\"cluster\":\"main\",\"namespace\":\"dev-redesign\",\"cores\":1,\"ttl\":\"8h\"}",
        ],
        then: &[
            (
                CATALOG,
                "entities/environment/dev-redesign.yaml",
                "identifier: dev-redesign
blueprint: environment
title: redesign, for development
team: platform
properties:
  stage: preview
  namespace: dev-redesign
  expiresAt: \"TIME\"
  url: https://redesign.dev.acme.example
  frozen: false
relations: { cluster: main, services: [returns] }
",
            ),
            (
                "acme/deployments",
                "environments/dev-redesign/returns.yaml",
                "…          image: acme/returns:0.1.0\n…",
            ),
            ("acme/deployments", "environments/dev-redesign/namespace.yaml", "…kind: ResourceQuota\n…"),
        ],
        lasts: Some("8h"),
        ..PLAIN
    },
    Story {
        action: "remove-dev-environment",
        entity: Some("dev-redesign"),
        server: Some((204, "")),
        deeds: &[
            "bo approves",
            "ada merges",
            "ada merges acme/deployments",
            "DELETE /v1/environments/dev-redesign ",
        ],
        then: &[
            (CATALOG, "entities/environment/dev-redesign.yaml", "-"),
            ("acme/deployments", "environments/dev-redesign/namespace.yaml", "-"),
            ("acme/deployments", "environments/dev-redesign/returns.yaml", "-"),
        ],
        ..PLAIN
    },
];

/// What the company has beside the actions.
const ENTITIES: &[(&str, &str)] = &[
    ("_user/ada", "identifier: ada\nblueprint: _user\n"),
    ("_user/bo", "identifier: bo\nblueprint: _user\n"),
    ("_user/cleo", "identifier: cleo\nblueprint: _user\n"),
    ("_team/platform", "identifier: platform\nblueprint: _team\nrelations: { members: [ada, bo] }\n"),
    ("_team/budget", "identifier: budget\nblueprint: _team\nrelations: { members: [cleo] }\n"),
    (
        "system/shop",
        "identifier: shop\nblueprint: system\ntitle: The shop\nproperties: { lifecycle: live }\n",
    ),
    ("cluster/main", "identifier: main\nblueprint: cluster\n"),
    (
        "environment/live",
        "identifier: live\nblueprint: environment\nproperties: { stage: production, namespace: live }\nrelations: { cluster: main }\n",
    ),
];

/// A deployment of before the catalog was: what can be rolled back to.
const BEFORE: &str = "identifier: returns-before\nblueprint: deployment\nproperties: { tag: 0.1.0, deployedAt: \"2026-01-01T00:00:00Z\" }\nrelations: { service: returns }\n";

struct Company {
    folder: TempDir,
    runtime: Runtime,
    forge: Option<Running>,
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    server: Server,
}

/// Every action that comes along, by name.
pub(crate) fn ready() -> Vec<String> {
    let listed = printed(&crate::demo::chandlery(&["init", "--list"]));
    listed.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

impl Company {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().join("seed/catalog");
        let server = Server::start();
        let names = ready();
        let mut words = vec!["init", top.to_str().unwrap(), "--repository", CATALOG, "--with"];
        words.extend(names.iter().map(String::as_str));
        printed(&crate::demo::chandlery(&words));
        for (path, text) in ENTITIES {
            let path = top.join(format!("entities/{path}.yaml"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        // The server of environments is one of the story's own.
        let address = format!("http://{}", server.address);
        for path in
            ["chandlery.yaml", "actions/create-dev-environment.yaml", "actions/remove-dev-environment.yaml"]
        {
            let text = fs::read_to_string(top.join(path)).unwrap();
            assert!(text.contains(ENVIRONMENTS), "{path}: {text}");
            fs::write(top.join(path), text.replace(ENVIRONMENTS, &address)).unwrap();
        }
        printed(&crate::demo::chandlery(&["generate", "issue-forms", top.to_str().unwrap()]));
        printed(&crate::demo::chandlery(&["validate", top.to_str().unwrap()]));

        for target in TARGETS {
            let (_, name) = target.split_once('/').unwrap();
            let to = folder.path().join("seed").join(name);
            fs::create_dir_all(&to).unwrap();
            fs::write(to.join("README.md"), format!("# {name}\n")).unwrap();
            let mut words =
                vec!["init", to.to_str().unwrap(), "--repository", CATALOG, "--target", target, "--with"];
            words.extend(names.iter().map(String::as_str));
            printed(&crate::demo::chandlery(&words));
        }
        let mut seed = json!({
            "users": PEOPLE.map(|login| json!({ "login": login, "token": format!("{login}-token") })),
            "orgs": [{ "login": "acme", "members": ["ada", "bo", "cleo"], "teams": [] }],
            "repositories": [],
        });
        for name in TARGETS.into_iter().chain([CATALOG]) {
            let name = name.split_once('/').unwrap().1;
            let mut repository = json!({
                "owner": "acme", "name": name, "from": name,
                "collaborators": { ME: "admin", "ada": "admin", "bo": "write", "cleo": "write" },
            });
            // What is scaffolded begins in a repository without a commit.
            if name == "services" {
                repository.as_object_mut().unwrap().remove("from");
            }
            seed["repositories"].as_array_mut().unwrap().push(repository);
        }
        let file = folder.path().join("seed/seed.yaml");
        fs::write(&file, seed.to_string()).unwrap();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let options = Options {
            root: folder.path().join("forge"),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            seed: Some(Seed::read(&file).unwrap()),
            record: None,
        };
        let forge = runtime.block_on(local_forge::start(options)).unwrap();
        let url = forge.url.clone();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { folder, runtime, forge: Some(forge), url, client, server }
    }

    fn tries(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {who}-token"))
            .header("accept", "application/vnd.github+json")
            .body(Full::from(body))
            .unwrap();
        self.runtime.block_on(async {
            let response = self.client.request(request).await.unwrap();
            let status = response.status().as_u16();
            let bytes = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
        })
    }

    fn get(&self, path: &str) -> Value {
        self.tries("ada", "GET", &format!("/api/v3/repos/{path}"), &Value::Null).1
    }

    /// A program that somebody runs, told nothing but their token.
    fn command(&self, who: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chandlery"));
        command
            .env_clear()
            .env("PATH", std::env::var("PATH").unwrap())
            .env("CHANDLERY_TOKEN", format!("{who}-token"))
            .env("CHANDLERY_CACHE", self.folder.path().join(format!("cache-{who}")))
            .env("CHANDLERY_SECRET_ENVIRONMENTS", "between us");
        command
    }

    fn reconcile(&self) -> String {
        let api = format!("{}/api/v3", self.url);
        let mut command = self.command(ME);
        command.args(["reconcile", "--repository", CATALOG, "--api-url", &api]);
        printed(&command.output().unwrap())
    }

    fn text(&self, repository: &str, path: &str) -> Option<String> {
        let git = git2::Repository::open_bare(
            self.folder.path().join(format!("forge/repositories/{repository}.git")),
        )
        .unwrap();
        let tree = git.revparse_single("main").unwrap().peel_to_tree().unwrap();
        let blob = tree.get_path(Path::new(path)).ok()?.to_object(&git).unwrap().into_blob().ok()?;
        Some(String::from_utf8(blob.content().to_vec()).unwrap())
    }

    fn open_pulls(&self, repository: &str) -> Vec<u64> {
        let pulls = self.get(&format!("{repository}/pulls?state=open"));
        pulls.as_array().into_iter().flatten().filter_map(|pull| pull["number"].as_u64()).collect()
    }

    /// From the asking to the end: people approve and merge what is open, workflows end well. Gives back what they did.
    fn plays(&self, story: &Story) -> (Vec<String>, Value) {
        let clone = self.folder.path().join(format!("clone-{}", story.action));
        let bare = self.folder.path().join("forge/repositories/acme/catalog.git");
        let copy = git2::Repository::clone(bare.to_str().unwrap(), &clone).unwrap();
        copy.remote_set_url("origin", &format!("{}/{CATALOG}.git", self.url)).unwrap();
        let mut ask = self.command("ada");
        ask.current_dir(&clone).args(["request", story.action, "--yes", "--id", story.action]);
        ask.args(["--reason", "It is needed"]);
        ask.args(story.entity.iter().flat_map(|entity| ["--entity", entity]));
        ask.args(story.inputs.iter().flat_map(|input| ["--input", input]));
        printed(&ask.output().unwrap());
        if let Some((status, answer)) = story.server {
            self.server.answers.lock().unwrap().push_back((status, answer.to_owned()));
        }
        self.server.heard.lock().unwrap().clear();

        let mut deeds = Vec::new();
        let mut said = String::new();
        for _ in 0..12 {
            said = self.reconcile();
            if let Some(run) = self.text(CATALOG, &format!("requests/{}/run.yaml", story.action)) {
                let run: Value = serde_yaml::from_str(&run).unwrap();
                if run["status"] != "in_progress" {
                    for heard in self.server.heard.lock().unwrap().iter() {
                        let signature =
                            heard.headers.iter().find(|(name, _)| name == "x-chandlery-signature");
                        assert!(signature.is_some_and(|(_, value)| value.starts_with("v1,")), "{heard:?}");
                        deeds.push(format!("{} {}", heard.line.trim_end_matches(" HTTP/1.1"), heard.body));
                    }
                    return (deeds, run);
                }
            }
            self.helps(story, &mut deeds);
        }
        panic!("{} does not end: {said}", story.action);
    }

    /// What people and runners do who find something open.
    fn helps(&self, story: &Story, deeds: &mut Vec<String>) {
        for number in self.open_pulls(CATALOG) {
            let path = format!("/api/v3/repos/{CATALOG}/pulls/{number}");
            for who in ["bo", "cleo"] {
                let deed = format!("{who} approves");
                if story.deeds.contains(&deed.as_str()) && !deeds.contains(&deed) {
                    let review = json!({ "event": "APPROVE", "body": "so be it" });
                    assert_eq!(self.tries(who, "POST", &format!("{path}/reviews"), &review).0, 200);
                    deeds.push(deed);
                }
            }
            if !story.deeds.is_empty() {
                drop(self.reconcile());
                assert!(
                    self.tries("ada", "PUT", &format!("{path}/merge"), &json!({})).0 < 300,
                    "{}",
                    story.action
                );
                deeds.push("ada merges".to_owned());
            }
        }
        for target in TARGETS {
            for number in self.open_pulls(target) {
                let path = format!("/api/v3/repos/{target}/pulls/{number}/merge");
                assert!(self.tries("ada", "PUT", &path, &json!({})).0 < 300, "{target}#{number}");
                deeds.push(format!("ada merges {target}"));
            }
            let runs = self.get(&format!("{target}/actions/runs"));
            for run in runs["workflow_runs"].as_array().into_iter().flatten() {
                if run["status"] == "completed" {
                    continue;
                }
                let ended = json!({ "repository": target, "run": run["id"], "conclusion": "success", "log": story.log });
                let (status, told) = self.tries("ada", "POST", "/_control/runs", &ended);
                assert_eq!(status, 200, "{told}");
                let inputs = told["inputs"].as_object().unwrap().iter();
                let mut inputs: Vec<String> = inputs
                    .filter(|(name, _)| *name != "correlation")
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
                    .collect();
                inputs.sort();
                let file = run["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
                deeds.push(format!("{file} runs with {}", inputs.join(" ")));
            }
        }
    }
}

impl Drop for Company {
    fn drop(&mut self) {
        if let Some(forge) = self.forge.take() {
            self.runtime.block_on(forge.shutdown()).unwrap();
        }
    }
}

/// Whether a file is as expected; `…` around lines that stand somewhere in it.
fn is_as(found: Option<&str>, expected: &str) -> bool {
    match (found, expected.strip_prefix('…').and_then(|rest| rest.strip_suffix('…'))) {
        (None, _) => expected == "-",
        (Some(found), Some(lines)) => format!("\n{found}").contains(&format!("\n{lines}")),
        (Some(found), None) => found == expected,
    }
}

#[test]
fn all_nine_go_from_their_asking_to_their_end() {
    let company = Company::new();
    let moment = regex::Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").unwrap();
    let mut wrong = Vec::new();
    for story in STORIES {
        let (deeds, run) = company.plays(story);
        assert_eq!(run["status"], "success", "{}: {run:#}", story.action);
        if deeds != story.deeds {
            wrong.push(format!("{}: was done\n{deeds:#?}", story.action));
        }
        for (repository, path, expected) in story.then {
            let found = company.text(repository, path);
            let shown = found.as_deref().map(|text| moment.replace_all(text, "TIME"));
            if !is_as(shown.as_deref(), expected) {
                wrong.push(format!(
                    "{}: {repository} {path}\nexpected {expected}\nfound {}",
                    story.action,
                    shown.as_deref().unwrap_or("nothing")
                ));
            }
            if let (CATALOG, Some(lasts)) = (*repository, story.lasts) {
                let entity: Value = serde_yaml::from_str(&found.unwrap()).unwrap();
                let expires = &entity["properties"]["expiresAt"];
                let number = run["pullRequest"]["number"].as_u64().unwrap();
                let merged = company.get(&format!("{CATALOG}/pulls/{number}"))["merged_at"].clone();
                let merged: Timestamp = merged.as_str().unwrap().parse().unwrap();
                assert_eq!(*expires, merged.after(lasts).unwrap().to_string(), "{}", story.action);
            }
        }
        if story.action == "redeploy-image" {
            // Somebody enters a deployment by hand, for what comes next.
            company.enters("entities/deployment/returns-before.yaml", BEFORE);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let asked: Vec<&str> = STORIES.iter().map(|story| story.action).collect();
    for name in ready() {
        assert!(asked.contains(&name.as_str()), "nobody asked for {name}");
    }
}

impl Company {
    /// The platform team writes a file of the catalog.
    fn enters(&self, path: &str, text: &str) {
        let content = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
        let body = json!({ "message": "Enter", "content": content, "branch": "main" });
        let (status, told) =
            self.tries("ada", "PUT", &format!("/api/v3/repos/{CATALOG}/contents/{path}"), &body);
        assert!(status < 300, "{told}");
    }
}
