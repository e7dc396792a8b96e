//! The small company on the local forge: people act over its API with their own tokens, the
//! product looks and acts with its own hands, over real HTTP and real Git.
//!
//! A deed looks at the forge first where the simulated world does, so that both refuse alike.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use chandlery::{
    catalog::{Definitions, Root},
    domain::{ObjectId, Secret},
    forge::{client::Manners, identity::Credentials, pace::Pace},
    local_forge::{
        self, Options, Running, Seed, SeedApp, SeedInstallation, SeedOrganization, SeedRepository, SeedUser,
    },
    plan::{
        facts::{Answer, Question},
        step::{Act, Acted},
    },
    reconcile::{Hands, Settings},
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

use super::{
    Ask, Deed, How, Repo, World,
    backends::{NOWHERE, Server},
    fixture, tampered,
};

/// The local forge with the company of the fixture.
pub struct Local {
    runtime: Runtime,
    forge: Option<Running>,
    url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    credentials: Credentials,
    hands: Hands,
    folder: TempDir,
    changes_of_the_action: usize,
    /// What the actions call.
    pub server: Server,
}

/// A file and what it becomes; none when it goes.
type Change<'a> = (&'a str, Option<&'a str>);

impl Local {
    /// A forge of its own for each.
    pub fn new() -> Self {
        Self::start(None)
    }

    /// As `new`; its exchanges are recorded where the environment says, to be judged afterwards.
    pub fn recorded() -> Self {
        Self::start(std::env::var_os("CHANDLERY_RECORD").map(|folder| Path::new(&folder).join("world.jsonl")))
    }

    /// As `new`; the catalog holds these files, too.
    #[allow(dead_code, reason = "the benches make other catalogs")]
    pub fn holding(files: &mut dyn Iterator<Item = (String, String)>) -> Self {
        Self::start_with(None, files)
    }

    fn start(record: Option<PathBuf>) -> Self {
        Self::start_with(record, &mut std::iter::empty())
    }

    fn start_with(record: Option<PathBuf>, files: &mut dyn Iterator<Item = (String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed(folder.path());
        for (path, text) in files {
            let path = folder.path().join("seed/catalog").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let server = Server::start();
        point_at(&folder.path().join("seed/catalog"), &server.address);
        let mut world = Self::serve(folder, Some(seed), record, None);
        world.server = server;
        world
    }

    /// As `new`, but we are a person, who may make no check runs.
    pub fn as_person(login: &str, record: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut seed = seed(folder.path());
        for user in seed.users.iter_mut().filter(|user| user.login == fixture::ME) {
            (user.login, user.token) = (login.to_owned(), token(login));
        }
        for repository in &mut seed.repositories {
            if let Some(may) = repository.collaborators.remove(fixture::ME) {
                repository.collaborators.insert(login.to_owned(), may);
            }
        }
        let person = Credentials::Token(Secret::new(&token(login)));
        Self::serve(folder, Some(seed), Some(record.to_owned()), Some(person))
    }

    /// As `new`, but we are an App with this id and these permissions; `record` is told every exchange.
    pub fn as_app(id: u64, permissions: &[(&str, &str)], record: &Path) -> Self {
        Self::as_app_with_key(id, permissions, record).0
    }

    /// As `as_app`, with the App's private key.
    pub fn as_app_with_key(id: u64, permissions: &[(&str, &str)], record: &Path) -> (Self, String) {
        let folder = tempfile::tempdir().unwrap();
        let mut seed = seed(folder.path());
        let (key, public_key) = key_pair();
        seed.users.retain(|user| user.login != fixture::ME);
        for repository in &mut seed.repositories {
            repository.collaborators.remove(fixture::ME);
            repository.private = true;
        }
        let installation = SeedInstallation {
            account: "acme".to_owned(),
            repositories: Some(vec!["catalog".into(), "infra".into()]),
            suspended: false,
        };
        seed.apps = vec![SeedApp {
            id,
            slug: fixture::ME.trim_end_matches("[bot]").to_owned(),
            public_key,
            permissions: permissions
                .iter()
                .map(|(name, word)| (name.to_string(), word.to_string()))
                .collect(),
            installations: vec![installation],
        }];
        let app = Credentials::App { id, key: Secret::new(&key) };
        (Self::serve(folder, Some(seed), Some(record.to_owned()), Some(app)), key)
    }

    /// Stops the forge; the folder holds all that it knows.
    pub fn saved(mut self) -> TempDir {
        self.stop();
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    /// A world of its own that goes on from a saved one.
    pub fn resumed(saved: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        copy(&saved.join("forge"), &folder.path().join("forge"));
        Self::serve(folder, None, None, None)
    }

    /// Goes on with a saved world itself, with all that was kept there.
    #[allow(dead_code, reason = "the benches call it")]
    pub fn at(saved: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for kept in ["forge", "cache", "answers"] {
            std::fs::create_dir_all(saved.join(kept)).unwrap();
            std::os::unix::fs::symlink(saved.join(kept), folder.path().join(kept)).unwrap();
        }
        Self::serve(folder, None, None, None)
    }

    fn serve(
        folder: TempDir,
        seed: Option<Seed>,
        record: Option<PathBuf>,
        credentials: Option<Credentials>,
    ) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let root = folder.path().join("forge");
        let options = Options { root, listen: vec!["127.0.0.1:0".parse().unwrap()], seed, record };
        let forge = runtime.block_on(local_forge::start(options)).unwrap();
        let url = forge.url.clone();
        let mut settings = settings(&url, folder.path());
        settings.credentials = credentials.unwrap_or(settings.credentials);
        let credentials = settings.credentials.clone();
        let hands = runtime.block_on(async { Hands::new(settings) }).unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self {
            runtime,
            forge: Some(forge),
            url,
            client,
            credentials,
            hands,
            folder,
            changes_of_the_action: 0,
            server: Server {
                address: NOWHERE.into(),
                answers: Default::default(),
                heard: Default::default(),
            },
        }
    }

    /// From now on another process reconciles, which writes no faster than this.
    pub fn paced(&mut self, pace: Option<Pace>) {
        let mut settings = settings(&self.url, self.folder.path());
        settings.credentials = self.credentials.clone();
        settings.manners.pace = pace;
        self.hands = self.runtime.block_on(async { Hands::new(settings) }).unwrap();
    }

    /// From now on another process reconciles, which signs with the SSH key in this file.
    pub fn signing(&mut self, key: &Path) {
        let mut settings = settings(&self.url, self.folder.path());
        settings.credentials = self.credentials.clone();
        settings.signer = Some(std::sync::Arc::new(chandlery::git::sign::Signer::from_file(key).unwrap()));
        self.hands = self.runtime.block_on(async { Hands::new(settings) }).unwrap();
    }

    /// The bare repository of the catalog.
    pub fn catalog(&self) -> PathBuf {
        self.folder.path().join("forge/repositories/acme/catalog.git")
    }

    /// From now on another process reconciles, whose environment holds these secrets.
    pub fn knowing(&mut self, secrets: &[(&str, &str)]) {
        let mut settings = settings(&self.url, self.folder.path());
        settings.credentials = self.credentials.clone();
        settings.secrets =
            secrets.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(value))).collect();
        self.hands = self.runtime.block_on(async { Hands::new(settings) }).unwrap();
    }

    /// The platform team changes the settings.
    pub fn sets(&self, settings: &str) {
        self.put("ada", Repo::Catalog, "main", "chandlery.yaml", settings).unwrap();
    }

    fn stop(&mut self) {
        if let Some(forge) = self.forge.take() {
            self.runtime.block_on(forge.shutdown()).unwrap();
        }
    }

    /// Sets faults, asks what waits, and so on: what no user of a forge could.
    pub fn control(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.tries("ada", method, &format!("/_control/{path}"), body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// Where the forge listens, such as `http://127.0.0.1:40123`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the product keeps what it was answered.
    pub fn answers(&self) -> PathBuf {
        self.folder().join("answers")
    }

    /// A place for files that goes with this world.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the hands asked of the world so far.
    #[allow(dead_code, reason = "the benches read it")]
    pub fn counts(&self) -> chandlery::reconcile::Counts {
        self.hands.counts()
    }

    /// One request as somebody; the status and what was answered.
    pub fn tries(&self, who: &str, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", token(who)))
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

    /// As `tries`, below a repository; none when it was refused.
    fn does(&self, who: &str, method: &str, at: Repo, path: &str, body: &Value) -> Option<Value> {
        let (status, answer) = self.tries(who, method, &format!("/api/v3/repos/{}/{path}", at.name()), body);
        assert!(status < 500, "{who} {method} {path}: {status} {answer}");
        (status < 300).then_some(answer)
    }

    /// What the forge shows to anybody; none when it is not there.
    pub fn get(&self, at: Repo, path: &str) -> Option<Value> {
        self.does("ada", "GET", at, path, &Value::Null)
    }

    /// Whether merges into the default branch go through a queue.
    fn has_queue(&self, at: Repo) -> bool {
        let rules = self.get(at, "rules/branches/main").unwrap_or_default();
        rules.as_array().into_iter().flatten().any(|rule| rule["type"] == "merge_queue")
    }

    /// Where a branch points.
    pub fn tip(&self, at: Repo, branch: &str) -> Option<String> {
        Some(self.get(at, &format!("git/ref/heads/{branch}"))?["object"]["sha"].as_str()?.to_owned())
    }

    /// Puts one commit on a branch, which is made from `main` where it is missing.
    fn commit(&self, who: &str, at: Repo, branch: &str, changes: &[Change<'_>]) -> Option<()> {
        let tip = self.tip(at, branch);
        let parent = tip.clone().or_else(|| self.tip(at, "main"))?;
        let entries = changes.iter().map(|(path, text)| match text {
            Some(text) => json!({ "path": path, "mode": "100644", "type": "blob", "content": text }),
            None => json!({ "path": path, "mode": "100644", "type": "blob", "sha": null }),
        });
        let base = self.get(at, &format!("git/commits/{parent}"))?["tree"]["sha"].clone();
        let tree = json!({ "base_tree": base, "tree": entries.collect::<Vec<_>>() });
        let tree = self.does(who, "POST", at, "git/trees", &tree)?["sha"].clone();
        let commit = json!({ "message": "A deed", "tree": tree, "parents": [parent] });
        let commit = self.does(who, "POST", at, "git/commits", &commit)?["sha"].clone();
        match tip {
            Some(_) => {
                self.does(who, "PATCH", at, &format!("git/refs/heads/{branch}"), &json!({ "sha": commit }))
            }
            None => {
                let reference = json!({ "ref": format!("refs/heads/{branch}"), "sha": commit });
                self.does(who, "POST", at, "git/refs", &reference)
            }
        }
        .map(drop)
    }

    /// Writes one file, unless it says this already.
    fn put(&self, who: &str, at: Repo, branch: &str, path: &str, text: &str) -> Option<()> {
        let same = ObjectId::of_blob(text.as_bytes()).to_string();
        // Files of templates have names that are no addresses.
        let address = path.replace('{', "%7B").replace('}', "%7D").replace(' ', "%20");
        let known = self.get(at, &format!("contents/{address}?ref={branch}"));
        if known.is_some_and(|file| file["sha"] == same.as_str()) {
            return None;
        }
        self.commit(who, at, branch, &[(path, Some(text))])
    }

    /// What a file of the default branch says.
    #[allow(dead_code, reason = "the benches read no file")]
    pub fn read(&self, at: Repo, path: &str) -> String {
        let found = self.get(at, &format!("contents/{path}")).unwrap();
        let lines = found["content"].as_str().unwrap().split_whitespace().collect::<String>();
        String::from_utf8(STANDARD.decode(lines).unwrap()).unwrap()
    }

    /// Has a file of the default branch say something else, or takes it away; whether that could be done.
    #[allow(dead_code, reason = "the benches spoil no target")]
    pub fn replaced(&self, at: Repo, path: &str, text: Option<&str>) -> bool {
        self.commit("ada", at, "main", &[(path, text)]).is_some()
    }

    /// The files of a commit or branch.
    pub fn files(&self, at: Repo, revision: &str) -> Vec<String> {
        let tree = self.get(at, &format!("git/trees/{revision}?recursive=1")).unwrap_or_default();
        let entries = tree["tree"].as_array().cloned().unwrap_or_default();
        let files = entries.iter().filter(|entry| entry["type"] == "blob");
        files.filter_map(|entry| Some(entry["path"].as_str()?.to_owned())).collect()
    }

    /// An issue that is no pull request.
    fn issue(&self, number: u64) -> Option<Value> {
        self.get(Repo::Catalog, &format!("issues/{number}")).filter(|issue| issue["pull_request"].is_null())
    }

    fn pull(&self, at: (Repo, u64)) -> Option<Value> {
        self.get(at.0, &format!("pulls/{}", at.1))
    }

    fn open_pull(&self, at: (Repo, u64)) -> Option<Value> {
        self.pull(at).filter(|pull| pull["state"] == "open")
    }

    /// The branch of an open pull request of the catalog, and the request in it.
    fn open_request(&self, number: u64) -> Option<(String, String)> {
        let head = self.open_pull((Repo::Catalog, number))?["head"].take();
        if head["repo"]["full_name"] != Repo::Catalog.name().as_str() {
            return None;
        }
        let branch = head["ref"].as_str()?.to_owned();
        let compared = self.get(Repo::Catalog, &format!("compare/main...{branch}"))?;
        let mut paths: Vec<&str> =
            compared["files"].as_array()?.iter().filter_map(|file| file["filename"].as_str()).collect();
        paths.sort_unstable();
        let id = paths.into_iter().find_map(|path| {
            path.strip_prefix("requests/")?.strip_suffix("/request.yaml").map(str::to_owned)
        })?;
        Some((branch, id))
    }

    /// The definitions at the head of the catalog, as the product reads them.
    fn definitions(&mut self) -> std::sync::Arc<Definitions> {
        let head = Question::Head(Repo::Catalog.name(), "main".parse().unwrap());
        let Answer::Head(Some(head)) = self.one(head) else { panic!("the catalog has no main") };
        match self.one(Question::Definitions(head)) {
            Answer::Definitions(Ok(definitions)) => definitions,
            other => panic!("{other:?}"),
        }
    }

    fn one(&mut self, question: Question) -> Answer {
        self.ask(&[question].into()).pop().expect("an answer").1
    }

    fn review(&self, who: &str, at: (Repo, u64), event: &str) -> Option<()> {
        let body = json!({ "event": event, "body": "so be it" });
        self.does(who, "POST", at.0, &format!("pulls/{}/reviews", at.1), &body).map(drop)
    }

    fn write_issue(&mut self, who: &str, number: u64, ask: &Ask) -> Option<()> {
        self.issue(number)?;
        let body = ask.issue(&self.definitions());
        self.does(who, "PATCH", Repo::Catalog, &format!("issues/{number}"), &json!({ "body": body }))
            .map(drop)
    }

    fn do_deed(&mut self, deed: &Deed) -> Option<()> {
        let catalog = Repo::Catalog;
        match deed {
            Deed::File { who, ask } => {
                let body = ask.issue(&self.definitions());
                self.does(who, "POST", catalog, "issues", &json!({ "title": "Please", "body": body }))
                    .map(drop)
            }
            Deed::EditIssue { who, issue, ask } => self.write_issue(who, *issue, ask),
            Deed::SpoilIssue { who, issue } => {
                let known = self.issue(*issue)?;
                let body = format!("{}\n\n### Approved\n\nyes\n", known["body"].as_str()?);
                self.does(who, "PATCH", catalog, &format!("issues/{issue}"), &json!({ "body": body }))
                    .map(drop)
            }
            Deed::CloseIssue { who, issue } => {
                self.issue(*issue)?;
                self.does(who, "PATCH", catalog, &format!("issues/{issue}"), &json!({ "state": "closed" }))
                    .map(drop)
            }
            Deed::LockIssue { who, issue } => {
                self.issue(*issue)?;
                let reason = json!({ "lock_reason": "resolved" });
                self.does(who, "PUT", catalog, &format!("issues/{issue}/lock"), &reason).map(drop)
            }
            Deed::Ask { who, id, ask } => {
                let mut branch = format!("ask/{}", id.replace('/', "-"));
                if self.tip(catalog, &branch).is_some() {
                    branch.push_str("-again");
                }
                if self.tip(catalog, &branch).is_some() {
                    return None;
                }
                let main = self.tip(catalog, "main")?;
                let path = format!("requests/{id}/request.yaml");
                let same = ObjectId::of_blob(ask.file().as_bytes()).to_string();
                if self
                    .get(catalog, &format!("contents/{path}?ref={main}"))
                    .is_some_and(|file| file["sha"] == same.as_str())
                {
                    return None;
                }
                self.commit(who, catalog, &branch, &[(&path, Some(&ask.file()))])?;
                let pull = json!({ "title": "Please", "body": "", "head": branch, "base": "main" });
                self.does(who, "POST", catalog, "pulls", &pull).map(drop)
            }
            Deed::Offer { who, id, ask } => {
                let branch = format!("offer/{}", id.replace('/', "-"));
                let fork = format!("/api/v3/repos/{who}/catalog");
                let makes = |path: &str, body: Value| {
                    let (status, answer) = self.tries(who, "POST", &format!("{fork}/{path}"), &body);
                    (status < 300).then_some(answer)
                };
                self.does(who, "POST", catalog, "forks", &json!({}))?;
                makes("merge-upstream", json!({ "branch": "main" }))?;
                let main = self.tip(catalog, "main")?;
                let path = format!("requests/{id}/request.yaml");
                if self.files(catalog, &main).contains(&path) {
                    return None;
                }
                let base = self.get(catalog, &format!("git/commits/{main}"))?["tree"]["sha"].clone();
                let entry = json!({ "path": path, "mode": "100644", "type": "blob", "content": ask.file() });
                let tree = makes("git/trees", json!({ "base_tree": base, "tree": [entry] }))?["sha"].clone();
                let commit = json!({ "message": "A deed", "tree": tree, "parents": [main] });
                let commit = makes("git/commits", commit)?["sha"].clone();
                makes("git/refs", json!({ "ref": format!("refs/heads/{branch}"), "sha": commit }))?;
                let head = format!("{who}:{branch}");
                let pull = json!({ "title": "Please", "body": "", "head": head, "base": "main" });
                self.does(who, "POST", catalog, "pulls", &pull).map(drop)
            }
            Deed::Repeat { who, pull } => {
                let branch = format!("repeat/{pull}");
                let (from, _) = self.open_request(*pull)?;
                let head = self.tip(catalog, &from)?;
                let made = json!({ "ref": format!("refs/heads/{branch}"), "sha": head });
                self.does(who, "POST", catalog, "git/refs", &made)?;
                let pull = json!({ "title": "Please, too", "body": "", "head": branch, "base": "main" });
                self.does(who, "POST", catalog, "pulls", &pull).map(drop)
            }
            Deed::Propose { who, path, text } => {
                let branch = format!("propose/{}", path.replace('/', "-"));
                let is_new = !self.files(catalog, "main").contains(path) && !path.starts_with("policies/");
                if self.tip(catalog, &branch).is_some() || is_new {
                    return None;
                }
                self.commit(who, catalog, &branch, &[(path, Some(text))])?;
                let pull = json!({ "title": "Better so", "body": "", "head": branch, "base": "main" });
                self.does(who, "POST", catalog, "pulls", &pull).map(drop)
            }
            Deed::Mode { mode } => {
                let text = fixture::settings(mode).replace(NOWHERE, &self.server.address);
                self.put("ada", catalog, "main", "chandlery.yaml", &text)
            }
            Deed::Push { who, pull, ask } => {
                let (branch, id) = self.open_request(*pull)?;
                self.put(who, catalog, &branch, &format!("requests/{id}/request.yaml"), &ask.file())
            }
            Deed::Tamper { who, pull, file } => {
                let (branch, id) = self.open_request(*pull)?;
                self.put(who, catalog, &branch, &tampered(&id, file), "looks: fine\n")
            }
            Deed::Rewind { who, pull } => {
                let (branch, _) = self.open_request(*pull)?;
                let commits = self.get(catalog, &format!("pulls/{pull}/commits?per_page=100"))?;
                let first = commits[0]["sha"].as_str()?.to_owned();
                if self.tip(catalog, &branch)? == first {
                    return None;
                }
                let moved = json!({ "sha": first, "force": true });
                self.does(who, "PATCH", catalog, &format!("git/refs/heads/{branch}"), &moved).map(drop)
            }
            Deed::UpdateBranch { who, pull } => {
                self.open_request(*pull)?;
                self.does(who, "PUT", catalog, &format!("pulls/{pull}/update-branch"), &json!({})).map(drop)
            }
            Deed::Approve { who, at } => self.review(who, *at, "APPROVE"),
            Deed::RequestChanges { who, at } => self.review(who, *at, "REQUEST_CHANGES"),
            Deed::Remark { who, at } => self.review(who, *at, "COMMENT"),
            Deed::Say { who, at, text } => {
                let comment = json!({ "body": text });
                self.does(who, "POST", at.0, &format!("issues/{}/comments", at.1), &comment).map(drop)
            }
            Deed::Unsay { who, at } => {
                let said = self.get(at.0, &format!("issues/{}/comments?per_page=100", at.1))?;
                let last =
                    said.as_array()?.iter().rfind(|comment| comment["user"]["login"] == who.as_str())?;
                let body = json!({ "body": format!("{} (edited)", last["body"].as_str()?) });
                self.does(who, "PATCH", at.0, &format!("issues/comments/{}", last["id"]), &body).map(drop)
            }
            Deed::Dismiss { who, at, whose } => {
                let reviews = self.get(at.0, &format!("pulls/{}/reviews?per_page=100", at.1))?;
                let last = reviews.as_array()?.iter().rfind(|review| {
                    review["user"]["login"] == whose.as_str()
                        && ["APPROVED", "CHANGES_REQUESTED"]
                            .contains(&review["state"].as_str().unwrap_or_default())
                })?;
                let path = format!("pulls/{}/reviews/{}/dismissals", at.1, last["id"]);
                self.does(who, "PUT", at.0, &path, &json!({ "message": "not so" })).map(drop)
            }
            Deed::Merge { who, at, how: How::Queue } => {
                let id = self.pull(*at)?["node_id"].clone();
                let query = "mutation($id: ID!) { enqueuePullRequest(input: { pullRequestId: $id }) { mergeQueueEntry { position } } }";
                let body = json!({ "query": query, "variables": { "id": id } });
                let (_, answer) = self.tries(who, "POST", "/api/graphql", &body);
                answer.get("errors").is_none().then_some(())
            }
            Deed::Merge { who, at, how } => {
                let method = match how {
                    How::Merge => "merge",
                    How::Squash => "squash",
                    How::Rebase => "rebase",
                    How::Queue => unreachable!("the queue merges"),
                };
                let path = format!("pulls/{}/merge", at.1);
                self.does(who, "PUT", at.0, &path, &json!({ "merge_method": method })).map(drop)
            }
            Deed::Queue { at } => {
                if self.has_queue(*at) {
                    return None;
                }
                let (_, us) = self.tries(fixture::ME, "GET", "/api/v3/user", &Value::Null);
                let mut rules = vec![json!({ "type": "merge_queue", "parameters": {
                    "check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5,
                    "max_entries_to_merge": 5, "merge_method": "MERGE", "min_entries_to_merge": 1,
                    "min_entries_to_merge_wait_minutes": 0,
                }})];
                let mut check = json!({ "context": "chandlery" });
                let mut bypass =
                    vec![json!({ "actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always" })];
                // As a person, what we say is a status, which is nobody's.
                if us["id"].is_u64() {
                    check["integration_id"] = us["id"].clone();
                    bypass.push(
                        json!({ "actor_id": us["id"], "actor_type": "Integration", "bypass_mode": "always" }),
                    );
                }
                if *at == Repo::Catalog {
                    rules.push(json!({ "type": "required_status_checks", "parameters": {
                        "strict_required_status_checks_policy": false, "do_not_enforce_on_create": false,
                        "required_status_checks": [check],
                    }}));
                }
                let ruleset = json!({
                    "name": "queue", "target": "branch", "enforcement": "active", "bypass_actors": bypass, "rules": rules,
                    "conditions": { "ref_name": { "include": ["~DEFAULT_BRANCH"], "exclude": [] } },
                });
                self.does("ada", "POST", *at, "rulesets", &ruleset).map(drop)
            }
            Deed::Close { who, at } => {
                self.open_pull(*at)?;
                self.does(who, "PATCH", at.0, &format!("pulls/{}", at.1), &json!({ "state": "closed" }))
                    .map(drop)
            }
            Deed::Reopen { who, at } => {
                let pull =
                    self.pull(*at).filter(|pull| pull["state"] == "closed" && pull["merged"] == false)?;
                let branch = pull["head"]["ref"].as_str()?;
                let is_fork = pull["head"]["repo"]["full_name"] != at.0.name().as_str();
                if !is_fork && self.tip(at.0, branch)? != pull["head"]["sha"].as_str()? {
                    return None;
                }
                self.does(who, "PATCH", at.0, &format!("pulls/{}", at.1), &json!({ "state": "open" }))
                    .map(drop)
            }
            Deed::Retarget { who, at, branch } => {
                if self.tip(at.0, branch).is_none() {
                    let main = self.tip(at.0, "main")?;
                    let made = json!({ "ref": format!("refs/heads/{branch}"), "sha": main });
                    self.does("ada", "POST", at.0, "git/refs", &made)?;
                }
                let path = format!("pulls/{}", at.1);
                self.does(who, "PATCH", at.0, &path, &json!({ "base": branch })).map(drop)
            }
            Deed::RenameBranch { who, at, name } => {
                let head = self.open_pull(*at)?["head"].take();
                if head["repo"]["full_name"] != at.0.name().as_str() {
                    return None;
                }
                let path = format!("branches/{}/rename", head["ref"].as_str()?);
                self.does(who, "POST", at.0, &path, &json!({ "new_name": name })).map(drop)
            }
            Deed::Ready { who, at } => {
                let pull = self.pull(*at).filter(|pull| pull["state"] == "open" && pull["draft"] == true)?;
                let query = "mutation($id: ID!) { markPullRequestReadyForReview(input: { pullRequestId: $id }) { pullRequest { isDraft } } }";
                let body = json!({ "query": query, "variables": { "id": pull["node_id"] } });
                let (_, answer) = self.tries(who, "POST", "/api/graphql", &body);
                let is_draft = &answer["data"]["markPullRequestReadyForReview"]["pullRequest"]["isDraft"];
                (*is_draft == false).then_some(())
            }
            Deed::Smuggle { who, id, ask } => {
                self.put(who, catalog, "main", &format!("requests/{id}/request.yaml"), &ask.file())
            }
            Deed::Remove { who, id } => {
                let folder = format!("requests/{id}/");
                let files = self.files(catalog, "main");
                let gone: Vec<Change<'_>> = files
                    .iter()
                    .filter(|path| path.starts_with(&folder))
                    .map(|path| (path.as_str(), None))
                    .collect();
                if gone.is_empty() {
                    return None;
                }
                self.commit(who, catalog, "main", &gone)
            }
            Deed::Join { who } | Deed::Leave { who } => {
                let mut members: BTreeSet<&str> = ["bo", "cleo"].into();
                match deed {
                    Deed::Join { .. } => members.insert(who),
                    _ => members.remove(who.as_str()),
                };
                let list: Vec<&str> = members.into_iter().collect();
                let text = fixture::PLATFORM.replace("[bo, cleo]", &format!("[{}]", list.join(", ")));
                self.put("ada", catalog, "main", "entities/_team/platform.yaml", &text)
            }
            Deed::ChangeAction => {
                self.changes_of_the_action += 1;
                let text = fixture::changed_action(self.changes_of_the_action);
                self.put("ada", catalog, "main", "actions/create-bucket.yaml", &text)
            }
            Deed::Write { path, text } if text.trim().is_empty() => {
                self.files(catalog, "main").contains(path).then_some(())?;
                self.commit("ada", catalog, "main", &[(path, None)])
            }
            Deed::Write { path, text } => self.put("ada", catalog, "main", path, text),
            Deed::ChangeTarget { path, text } => self.put("ada", Repo::Infra, "main", path, text),
            Deed::Meddle { who, at } => {
                let pull = self.open_pull((Repo::Infra, *at))?;
                let path = self
                    .files(Repo::Infra, pull["head"]["sha"].as_str()?)
                    .into_iter()
                    .find(|path| path.starts_with("buckets/") && path != "buckets/old.yaml")?;
                self.put(who, Repo::Infra, pull["head"]["ref"].as_str()?, &path, "size: 9\n")
            }
            Deed::Answers { status, json } => {
                self.server.answers.lock().unwrap().push_back((*status, json.clone()));
                Some(())
            }
            Deed::Ends { workflow, conclusion, outputs } => {
                let log: String =
                    outputs.iter().map(|(name, value)| format!("::output {name}={value}\n")).collect();
                let moved = json!({
                    "repository": Repo::Infra.name(), "workflow": format!("{workflow}.yml"), "conclusion": conclusion, "log": log,
                });
                let (status, _) = self.tries("ada", "POST", "/_control/runs", &moved);
                (status == 200).then_some(())
            }
            Deed::Checks { who, at, context, state } => {
                let head = self.pull(*at)?["head"]["sha"].as_str()?.to_owned();
                let status = json!({ "context": context, "state": state });
                self.does(who, "POST", at.0, &format!("statuses/{head}"), &status).map(drop)
            }
            Deed::Loses => {
                let lost = json!({ "method": "POST", "path": "/dispatches$", "times": 1, "action": { "kind": "dropAfter" } });
                self.control("POST", "faults", &lost);
                Some(())
            }
            Deed::Reports { who, at, step, success, outputs } => {
                let comments = self.get(at.0, &format!("issues/{}/comments?per_page=100", at.1))?;
                let id = comments
                    .as_array()?
                    .iter()
                    .find_map(|comment| chandlery::plan::message::request_of(comment["body"].as_str()?))?;
                let text = super::report(id.as_str(), step, *success, outputs);
                self.do_deed(&Deed::Say { who: who.clone(), at: *at, text })
            }
            Deed::Wait { seconds } => {
                let clock = json!({ "advanceSeconds": seconds });
                let (status, _) = self.tries("ada", "POST", "/_control/clock", &clock);
                (status == 200).then_some(())
            }
        }
    }
}

impl World for Local {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        self.runtime.block_on(self.hands.look(questions))
    }

    fn act(&mut self, act: &Act) -> Acted {
        self.runtime.block_on(self.hands.act(act))
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        self.do_deed(deed).is_some()
    }

    fn begin_anew(&mut self, finds_what_was_kept: bool) {
        if !finds_what_was_kept {
            drop(std::fs::remove_dir_all(self.answers()));
        }
        self.paced(None);
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Puts the address of a server into the files that speak of one.
fn point_at(folder: &Path, address: &str) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            point_at(&path, address);
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            std::fs::write(&path, text.replace(NOWHERE, address)).unwrap();
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A fresh key for an App, private and public, PEM.
pub fn key_pair() -> (String, String) {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
        rsa::{KeyPair, KeySize},
        signature::KeyPair as _,
    };
    let pem = |name: &str, der: &[u8]| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", lines.join("\n"))
    };
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let private = AsDer::<Pkcs8V1Der>::as_der(&pair).unwrap();
    let public = AsDer::<PublicKeyX509Der>::as_der(pair.public_key()).unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}

/// The token of somebody.
pub fn token(who: &str) -> String {
    format!("{}-token", who.trim_end_matches("[bot]"))
}

/// How the product reaches this forge.
pub fn settings(url: &str, folder: &Path) -> Settings {
    Settings {
        api_url: format!("{url}/api/v3"),
        git_url: url.to_owned(),
        credentials: Credentials::Token(Secret::new(&token(fixture::ME))),
        catalog: Repo::Catalog.name(),
        root: Root::default(),
        cache: folder.join("cache"),
        signer: None,
        manners: Manners { answers: Some(folder.join("answers")), ..Manners::default() },
        environment: vec![("PATH".to_owned(), std::env::var("PATH").unwrap())],
        secrets: [("HOOK".to_owned(), Secret::new("a-secret-of-the-hook"))].into(),
        identities: None,
    }
}

/// The forge's beginning: the people and the two repositories of the fixture.
pub fn seed(folder: &Path) -> Seed {
    let repository = |name: &str, files: &[(String, String)]| {
        let (owner, name) = name.split_once('/').unwrap();
        let from = folder.join("seed").join(name);
        for (path, text) in files {
            let path = from.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        SeedRepository {
            owner: owner.to_owned(),
            name: name.to_owned(),
            from: Some(from),
            collaborators: fixture::PEOPLE
                .iter()
                .map(|(who, may)| (who.to_string(), may.to_string()))
                .collect(),
            ..SeedRepository::default()
        }
    };
    let users = fixture::PEOPLE
        .iter()
        .map(|(who, _)| SeedUser { login: who.to_string(), token: token(who), email: None })
        .collect();
    Seed {
        apps: Vec::new(),
        version: None,
        now: Some("2026-11-18T11:06:40Z".parse().unwrap()),
        users,
        orgs: vec![SeedOrganization { login: "acme".to_owned(), ..SeedOrganization::default() }],
        repositories: vec![
            repository(fixture::CATALOG, &fixture::catalog_files()),
            repository(fixture::INFRA, &fixture::infra_files()),
            SeedRepository { from: None, ..repository(fixture::FRESH, &[]) },
        ],
    }
}
