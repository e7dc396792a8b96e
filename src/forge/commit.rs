//! How does the forge make a commit itself? An App's commit without author, committer and signature is signed by
//! the forge: <https://docs.github.com/authentication/managing-commit-signature-verification/about-commit-signature-verification#signature-verification-for-bots>.

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Method;
use serde_json::{Value, json};
use tracing::info;

use super::{act::judge, client::Writer, reply::Reply};
use crate::{
    domain::{Change, FileMode},
    plan::step::{Acted, Commit, Trees},
};

impl Writer {
    /// Makes a commit and moves its branch there, which nobody else must have moved meanwhile: the move is never
    /// forced, so it is refused unless the new commit contains where the branch is.
    pub async fn commit(&self, commit: &Commit, trees: &Trees) -> Acted {
        let acted = match self.make(commit, trees).await {
            Ok(id) => self.land(commit, &id).await,
            Err(acted) => acted,
        };
        info!(repository = %commit.repository, branch = %commit.branch, outcome = ?acted, "committed");
        acted
    }

    /// The id of the new commit.
    async fn make(&self, commit: &Commit, trees: &Trees) -> Result<String, Acted> {
        let mut entries = Vec::new();
        for (path, mode) in &trees.files {
            let mut entry = json!({ "path": path.as_str(), "mode": octal(*mode), "type": "blob" });
            match commit.changes.get(path) {
                Some(Change::Put(bytes) | Change::PutExecutable(bytes)) => match std::str::from_utf8(bytes) {
                    Ok(text) => entry["content"] = text.into(),
                    Err(_) => {
                        let body = json!({ "content": STANDARD.encode(bytes), "encoding": "base64" });
                        entry["sha"] = self.post(commit, "/git/blobs", &body).await?.into();
                    }
                },
                Some(Change::Delete) | None => entry["sha"] = Value::Null,
            }
            entries.push(entry);
        }
        let body = json!({ "base_tree": trees.before.to_string(), "tree": entries });
        let tree = if entries_are_empty(&body) {
            trees.before.to_string()
        } else {
            self.post(commit, "/git/trees", &body).await?
        };
        if tree != trees.after.to_string() {
            let why = format!(
                "the forge made another folder of the changes than we did: {tree}, not {}",
                trees.after
            );
            return Err(Acted::Failed(why));
        }
        let message = commit.message.trim_end();
        let parents: Vec<String> = commit.parent.iter().map(ToString::to_string).collect();
        let body = json!({ "message": message, "tree": tree, "parents": parents });
        self.post(commit, "/git/commits", &body).await
    }

    async fn land(&self, commit: &Commit, id: &str) -> Acted {
        let sent = match commit.expect {
            Some(_) => {
                let path = format!("/git/refs/heads/{}", commit.branch);
                let body = json!({ "sha": id, "force": false });
                self.send(&commit.repository, Method::PATCH, &path, &body).await
            }
            None => {
                let body = json!({ "ref": commit.branch.full(), "sha": id });
                self.send(&commit.repository, Method::POST, "/git/refs", &body).await
            }
        };
        judge(sent, &|_| false)
    }

    /// Makes an object of Git; gives its id.
    async fn post(&self, commit: &Commit, path: &str, body: &Value) -> Result<String, Acted> {
        let made = self.send(&commit.repository, Method::POST, path, body).await.and_then(Reply::success);
        let id = |reply: &Reply| reply.json().ok()?["sha"].as_str().map(str::to_owned);
        match made {
            Ok(reply) => id(&reply).ok_or_else(|| Acted::Failed(format!("the forge made no object: {path}"))),
            Err(error) => Err(judge(Err(error), &|_| false)),
        }
    }
}

fn entries_are_empty(body: &Value) -> bool {
    body["tree"].as_array().is_none_or(Vec::is_empty)
}

/// What goes has no mode of its own; the forge wants one all the same.
fn octal(mode: Option<FileMode>) -> &'static str {
    match mode {
        Some(FileMode::Executable) => "100755",
        Some(FileMode::Link) => "120000",
        Some(FileMode::Submodule) => "160000",
        Some(FileMode::File) | None => "100644",
    }
}
