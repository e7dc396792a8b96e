//! What does a person do on the forge? Calls its API with a token of their own, and pushes with Git.
//!
//! Nothing here knows how Chandlery asks: people have clients of their own.

use std::path::PathBuf;

use anyhow::{Context, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;
use tokio::task::spawn_blocking;

use crate::{
    domain::{Branch, Change, Login, ObjectId, RepoName, RepoPath, Secret, Timestamp},
    git::{mirror::Mirror, wire::Remote},
    plan::step::{Acted, Commit},
};

/// Somebody with a token.
pub(super) struct Person {
    pub(super) login: Login,
    forge: String,
    token: Secret,
    /// Where they keep their copies of repositories.
    copies: PathBuf,
    environment: Vec<(String, String)>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Person {
    pub(super) fn new(
        forge: &str,
        login: Login,
        token: Secret,
        copies: PathBuf,
        environment: Vec<(String, String)>,
    ) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { login, forge: forge.to_owned(), token, copies, environment, client }
    }

    /// What the forge says at a path below `/repos/`.
    pub(super) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.call("GET", path, &Value::Null).await
    }

    /// One call of the API; anything but a good answer is an error.
    pub(super) async fn call(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let what = || format!("{}: {method} {path}", self.login);
        let sent = if body.is_null() { Bytes::new() } else { Bytes::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/api/v3/repos/{path}", self.forge))
            .header("authorization", format!("Bearer {}", self.token.expose()))
            .header("accept", "application/vnd.github+json")
            .body(Full::new(sent))?;
        let response = self.client.request(request).await.with_context(what)?;
        let status = response.status();
        let bytes = response.into_body().collect().await.with_context(what)?.to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !status.is_success() {
            bail!(
                "{}: the forge answers {status}: {}",
                what(),
                answer["message"].as_str().unwrap_or_default()
            );
        }
        Ok(answer)
    }

    /// A file of the default branch; none when it is not there.
    pub(super) async fn file(&self, repository: &str, path: &str) -> anyhow::Result<Option<String>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        // Asking for the folder first tells a file that is missing from a call that failed.
        let Ok(listed) = self.get(&format!("{repository}/contents/{folder}")).await else { return Ok(None) };
        if !listed.as_array().into_iter().flatten().any(|entry| entry["name"] == name) {
            return Ok(None);
        }
        let found = self.get(&format!("{repository}/contents/{path}")).await?;
        let coded: String = found["content"].as_str().unwrap_or_default().split_whitespace().collect();
        Ok(Some(String::from_utf8(STANDARD.decode(coded)?)?))
    }

    /// Clones a repository, commits one file to a new branch, and pushes that.
    pub(super) async fn pushes(
        &self,
        repository: &str,
        branch: &str,
        path: &str,
        text: &str,
        message: &str,
    ) -> anyhow::Result<()> {
        let known = self.get(repository).await?;
        let at: Timestamp = known["pushed_at"].as_str().unwrap_or_default().parse()?;
        let main = known["default_branch"].as_str().unwrap_or_default();
        let head = self.get(&format!("{repository}/git/ref/heads/{main}")).await?;
        let parent: ObjectId = head["object"]["sha"].as_str().unwrap_or_default().parse()?;
        let repository: RepoName = repository.parse()?;
        let (branch, path): (Branch, RepoPath) = (branch.parse()?, path.parse()?);
        let remote = Remote {
            url: format!("{}/{repository}.git", self.forge),
            token: Some(self.token.clone()),
            environment: self.environment.clone(),
        };
        let (copies, me) = (self.copies.clone(), self.login.clone());
        let (text, message) = (text.as_bytes().into(), message.to_owned());
        let push = move || -> anyhow::Result<()> {
            let mut copy = Mirror::open(&copies, &repository, remote)?;
            copy.fetch(&[].into())?;
            let changes = [(path, Change::Put(text))].into();
            let commit =
                Commit { repository, branch, expect: None, parent: Some(parent), changes, message, at };
            match copy.push(&[commit], &me) {
                Acted::Done | Acted::Told(_) => Ok(()),
                Acted::Refused(why) | Acted::Failed(why) | Acted::Untold(why) => bail!("{me}: {why}"),
                Acted::Postponed { seconds } => bail!("{me} must wait {seconds} seconds"),
            }
        };
        spawn_blocking(push).await?
    }
}
