//! A local forge for one test, and a small blocking client for it that shares nothing with ours.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use chandlery::local_forge::{self, Options, Running, Seed};
use serde_json::{Value, json};

pub(crate) const SEED: &str = r#"
users:
  - {login: ada, token: t-ada, email: ada@example.com}
  - {login: bo, token: t-bo}
  - {login: cy, token: t-cy}
  - {login: di, token: t-di}
  - {login: "chandlery[bot]", token: t-chandlery}
orgs:
  - {login: acme, owners: [ada], members: [bo, di], teams: [{slug: platform, members: [bo]}]}
repositories:
  - owner: acme
    name: catalog
    from: files
    collaborators: {bo: write, "chandlery[bot]": admin}
    protected: [{branch: main, requiredChecks: [chandlery], push: ["chandlery[bot]"]}]
  - {owner: acme, name: secret, private: true, collaborators: {cy: read}}
"#;

pub(crate) struct TestForge {
    pub(crate) url: String,
    pub(crate) folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    running: Option<Running>,
    record: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Answered {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn number(&self, pointer: &str) -> u64 {
        self.body.pointer(pointer).and_then(Value::as_u64).unwrap_or_default()
    }
}

impl TestForge {
    /// Starts a forge with `SEED`, whose exchanges are recorded under this name.
    pub(crate) fn start(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join("files");
        std::fs::create_dir_all(files.join("apps")).unwrap();
        std::fs::write(files.join("README.md"), "# Catalog\n").unwrap();
        std::fs::write(files.join("apps/checkout.yaml"), "name: checkout\nreplicas: 1\n").unwrap();
        std::fs::write(folder.path().join("seed.yaml"), SEED).unwrap();
        Self::seeded(name, folder)
    }

    /// As `start`, with the file `seed.yaml` in this folder.
    pub(crate) fn seeded(name: &str, folder: tempfile::TempDir) -> Self {
        let exchanges = Path::new(env!("CARGO_TARGET_TMPDIR")).join("exchanges");
        std::fs::create_dir_all(&exchanges).unwrap();
        let record = exchanges.join(format!("{name}.jsonl"));
        drop(std::fs::remove_file(&record));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut forge = Self { url: String::new(), folder, runtime, running: None, record };
        forge.serve();
        forge
    }

    fn serve(&mut self) {
        let options = Options {
            root: self.folder.path().join("forge"),
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            seed: Some(Seed::read(&self.folder.path().join("seed.yaml")).unwrap()),
            record: Some(self.record.clone()),
        };
        let running = self.runtime.block_on(local_forge::start(options)).unwrap();
        self.url.clone_from(&running.url);
        self.running = Some(running);
    }

    pub(crate) fn restart(&mut self) {
        self.runtime.block_on(self.running.take().unwrap().shutdown()).unwrap();
        self.serve();
    }

    /// One request; an empty login asks as nobody. Fails when the connection ends early.
    pub(crate) fn try_request(
        &self,
        login: &str,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        body: Option<&Value>,
    ) -> std::io::Result<Answered> {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host)?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !login.is_empty() {
            head += &format!("authorization: Bearer t-{login}\r\n");
        }
        for (name, value) in more {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes())?;
        let mut text = Vec::new();
        stream.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        };
        let mut lines = head.lines();
        let status =
            lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().parse().unwrap();
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let body = serde_json::from_str(body).unwrap_or_else(|_| Value::from(body));
        Ok(Answered { status, headers: headers.collect(), body })
    }

    pub(crate) fn call(&self, login: &str, method: &str, path: &str, body: Value) -> Answered {
        let body = (!body.is_null()).then_some(body);
        self.try_request(login, method, &format!("/api/v3{path}"), &[], body.as_ref()).unwrap()
    }

    pub(crate) fn get(&self, login: &str, path: &str) -> Answered {
        self.call(login, "GET", path, Value::Null)
    }

    pub(crate) fn post(&self, login: &str, path: &str, body: Value) -> Answered {
        self.call(login, "POST", path, body)
    }

    pub(crate) fn put(&self, login: &str, path: &str, body: Value) -> Answered {
        self.call(login, "PUT", path, body)
    }

    pub(crate) fn patch(&self, login: &str, path: &str, body: Value) -> Answered {
        self.call(login, "PATCH", path, body)
    }

    pub(crate) fn delete(&self, login: &str, path: &str) -> Answered {
        self.call(login, "DELETE", path, Value::Null)
    }

    pub(crate) fn control(&self, method: &str, path: &str, body: Value) -> Answered {
        self.try_request("", method, &format!("/_control/{path}"), &[], Some(&body)).unwrap()
    }

    #[track_caller]
    pub(crate) fn graphql(&self, login: &str, query: &str) -> Value {
        let answer =
            self.try_request(login, "POST", "/api/graphql", &[], Some(&json!({"query": query}))).unwrap();
        answer.expect(200).body
    }

    /// Puts a file on a branch, made from `main` when it is not there, and says which commit that is.
    pub(crate) fn write(&self, login: &str, branch: &str, path: &str, content: &str) -> String {
        let repository = "/repos/acme/catalog";
        let main = self.get(login, &format!("{repository}/git/ref/heads/main")).expect(200);
        let new = json!({"ref": format!("refs/heads/{branch}"), "sha": main.text("/object/sha")});
        self.post(login, &format!("{repository}/git/refs"), new);
        let old = self.get(login, &format!("{repository}/contents/{path}?ref={branch}"));
        let mut file =
            json!({"message": format!("Write {path}"), "branch": branch, "content": base64(content)});
        if old.status == 200 {
            file["sha"] = old.text("/sha").into();
        }
        let written = self.put(login, &format!("{repository}/contents/{path}"), file);
        assert!([200, 201].contains(&written.status), "{written:?}");
        written.text("/commit/sha").to_owned()
    }

    /// Opens a pull request from a fresh branch with one new file.
    pub(crate) fn open(&self, login: &str, branch: &str) -> u64 {
        self.write(login, branch, &format!("{}.txt", branch.replace('/', "-")), "new\n");
        let pull =
            json!({"title": format!("Add {branch}"), "head": branch, "base": "main", "body": "please"});
        self.post(login, "/repos/acme/catalog/pulls", pull).expect(201).number("/number")
    }

    /// Lets the App say that the check has passed.
    pub(crate) fn pass(&self, sha: &str) {
        let run =
            json!({"name": "chandlery", "head_sha": sha, "status": "completed", "conclusion": "success"});
        self.post("chandlery", "/repos/acme/catalog/check-runs", run).expect(201);
    }

    pub(crate) fn remote(&self, login: &str) -> String {
        format!("{}/acme/catalog.git", self.url.replace("://", &format!("://{login}:t-{login}@")))
    }
}

/// Runs git in a folder and gives what it printed, errors included, and whether it went well.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = Command::new("git")
        .current_dir(folder)
        .args([
            "-c",
            "user.name=Bo",
            "-c",
            "user.email=bo@users.noreply.github.com",
            "-c",
            "credential.helper=",
        ])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
