//! The two forges of the story, and how they are asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::Receiver,
    time::{Duration, Instant},
};

use chandlery::{
    domain::{RepoName, Secret},
    forge::{
        client::{Reader, Writer, connect},
        identity::Credentials,
    },
    local_forge::{self, Options, Running, Seed},
    plan::{
        facts::{Answer, Question},
        step::{Acted, Call},
    },
};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::hook::{self, Delivery};

const APP: u64 = 4711;
const PEOPLE: [&str; 4] = ["ada", "bo", "eve", "zoe"];
/// How long a delivery may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// One of the two forges.
pub(super) struct Side {
    pub(super) api: String,
    pub(super) catalog: RepoName,
    pub(super) reader: Reader,
    pub(super) writer: Writer,
    pub(super) heard: Heard,
    pub(super) notes: Vec<(String, String)>,
    _runs: Runs,
}

/// What keeps a forge running.
enum Runs {
    Local { _forge: Running, _folder: TempDir },
    Emulate(Child),
}

impl Drop for Runs {
    fn drop(&mut self) {
        if let Self::Emulate(child) = self {
            // Its standard input ends, and with that emulate.
            drop(child.stdin.take());
            child.wait().unwrap();
        }
    }
}

fn permissions() -> Value {
    let write =
        ["checks", "contents", "issues", "pull_requests"].map(|name| (name.to_owned(), "write".into()));
    let read = ["members", "metadata"].map(|name| (name.to_owned(), "read".into()));
    Value::Object(write.into_iter().chain(read).collect())
}

impl Side {
    pub(super) async fn local(private: &str, public: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("files")).unwrap();
        std::fs::write(folder.path().join("files/README.md"), "# catalog\n").unwrap();
        let seed = json!({
            "users": PEOPLE.map(|who| json!({ "login": who, "token": format!("{who}-token") })),
            "orgs": [{ "login": "acme", "owners": ["ada"], "members": ["bo"] }],
            "repositories": [
                { "owner": "acme", "name": "catalog", "from": folder.path().join("files") },
                { "owner": "acme", "name": "other", "private": true },
            ],
            "apps": [{
                "id": APP, "slug": "chandlery", "publicKey": public, "permissions": permissions(),
                "installations": [{ "account": "acme", "repositories": ["catalog"] }],
            }],
        });
        let options = Options {
            root: folder.path().join("forge"),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            seed: Some(serde_json::from_value::<Seed>(seed).unwrap()),
            record: None,
        };
        let forge = local_forge::start(options).await.unwrap();
        let api = format!("{}/api/v3", forge.url);
        Self::at(api, private, Runs::Local { _forge: forge, _folder: folder })
    }

    pub(super) fn emulate(private: &str) -> Self {
        let folder = std::env::var_os("CHANDLERY_EMULATE").map(PathBuf::from).filter(|path| path.exists());
        let folder = folder.expect("CHANDLERY_EMULATE names no folder with emulate in it: run `make test`, or `make tools` and set it");
        let tokens: BTreeMap<String, Value> = PEOPLE
            .map(|who| (format!("{who}-token"), json!({ "login": who, "scopes": ["repo", "admin:org"] })))
            .into();
        let seed = json!({
            "tokens": tokens,
            "github": {
                "users": PEOPLE.map(|who| json!({ "login": who })),
                "orgs": [{ "login": "acme", "members": [{ "login": "ada", "role": "admin" }, { "login": "bo" }] }],
                "repos": [{ "owner": "acme", "name": "catalog" }, { "owner": "acme", "name": "other", "private": true }],
                "apps": [{
                    "app_id": APP, "slug": "chandlery", "name": "Chandlery", "private_key": private,
                    "permissions": permissions(),
                    "installations": [{
                        "installation_id": 7, "account": "acme", "repository_selection": "selected", "repositories": ["catalog"],
                    }],
                }],
            },
        });
        let place = tempfile::tempdir().unwrap();
        let seed_file = place.path().join("seed.json");
        std::fs::write(&seed_file, seed.to_string()).unwrap();
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emulate/serve.mjs"))
            .args([&folder, &seed_file])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("`node` can be run");
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "emulate did not start: {url}");
        Self::at(url.trim().to_owned(), private, Runs::Emulate(child))
    }

    fn at(api: String, private: &str, runs: Runs) -> Self {
        let catalog: RepoName = "acme/catalog".parse().unwrap();
        let app = Credentials::App { id: APP, key: Secret::new(private) };
        let (reader, writer) = connect(&api, &app, &catalog, Default::default()).unwrap();
        Self { api, catalog, reader, writer, heard: Heard::new(), notes: Vec::new(), _runs: runs }
    }

    /// One call as somebody with this token.
    pub(super) async fn with(&self, token: &str, call: &str, body: Value) -> (u16, Value) {
        let (method, path) = call.split_once(' ').unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.api));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let request = request.header("content-type", "application/json").body(Full::from(body)).unwrap();
        let response = client.request(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(super) async fn tries(&self, who: &str, call: &str, body: Value) -> (u16, Value) {
        self.with(&format!("{who}-token"), call, body).await
    }

    /// As `tries`, in the catalog; it must go well.
    #[track_caller]
    pub(super) fn does(&self, who: &str, call: &str, body: Value) -> impl Future<Output = Value> {
        let place = std::panic::Location::caller();
        let call = call.replacen(' ', " /repos/acme/catalog", 1);
        let who = who.to_owned();
        async move {
            let (status, answer) = self.tries(&who, &call, body).await;
            assert!((200..300).contains(&status), "{place}: {who} {call}: {status} {answer}");
            answer
        }
    }

    pub(super) fn note(&mut self, step: &str, seen: impl ToString) {
        self.notes.push((step.to_owned(), seen.to_string()));
    }

    /// Notes how a call in the catalog is answered, by its status alone.
    pub(super) async fn asks(&mut self, step: &str, who: &str, call: &str, body: Value) -> Value {
        let (status, answer) = self.tries(who, &call.replacen(' ', " /repos/acme/catalog", 1), body).await;
        self.note(step, status);
        answer
    }

    /// Notes what came of a call of our client: done, refused or failed, and the status.
    pub(super) async fn acts(&mut self, step: &str, call: Call) {
        let acted = match self.writer.act(&self.catalog, &call).await {
            Acted::Done | Acted::Told(_) => "done".to_owned(),
            Acted::Refused(why) => format!("refused{}", status_in(&why)),
            Acted::Failed(why) | Acted::Untold(why) => format!("failed{}", status_in(&why)),
            Acted::Postponed { .. } => "postponed".to_owned(),
        };
        self.note(step, acted);
    }

    pub(super) async fn one(&self, question: Question) -> Answer {
        self.reader.look(&self.catalog, &[question].into()).await.pop().unwrap().1
    }
}

pub(super) fn status_in(why: &str) -> String {
    let digits = why.split("answered ").nth(1).and_then(|rest| rest.split(' ').next());
    digits.map_or_else(|| format!(": {why}"), |status| format!(" {status}"))
}

/// What was heard by webhook: `event action by whom`, and whether it was signed.
pub(super) struct Heard {
    pub(super) url: String,
    deliveries: Receiver<Delivery>,
    all: BTreeSet<String>,
}

impl Heard {
    fn new() -> Self {
        let (url, deliveries) = hook::listen();
        Self { url, deliveries, all: BTreeSet::new() }
    }

    pub(super) fn hears(&mut self, what: &str) -> bool {
        let end = Instant::now() + PATIENCE;
        while !self.all.contains(what) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(delivery) = self.deliveries.recv_timeout(left) else { return false };
            let (action, by) = (delivery.word("/action"), delivery.word("/sender/login"));
            let signed = if delivery.signed { "signed" } else { "unsigned" };
            self.all.insert(format!("{} {action} by {by}, {signed}", delivery.event));
        }
        true
    }
}
