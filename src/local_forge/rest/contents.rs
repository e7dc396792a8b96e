//! Files of a branch, one at a time.

use git2::ObjectType;
use serde_json::{Value, json};

use super::git::{person, read_base64, write_base64};
use super::repos::{may_push, refused_move, tip};
use crate::local_forge::motion;
use crate::local_forge::objects::{self, EMPTY};
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, not_found, ok, refuse};
use crate::local_forge::store::Permission;

fn show(
    call: &Call<'_>,
    key: &str,
    path: &str,
    revision: &str,
    entry: (&str, ObjectType, git2::Oid, usize),
) -> Value {
    let (name, kind, id, size) = entry;
    let (word, git_kind) = if kind == ObjectType::Tree { ("dir", "trees") } else { ("file", "blobs") };
    let view = call.view();
    let api = view.api(&format!("repos/{key}/contents/{path}?ref={revision}"));
    let git_url = view.api(&format!("repos/{key}/git/{git_kind}/{id}"));
    let html = format!("{}/{key}/blob/{revision}/{path}", call.shared.url);
    let download = (word == "file").then(|| format!("{}/{key}/raw/{revision}/{path}", call.shared.url));
    json!({
        "type": word, "size": size, "name": name, "path": path, "sha": id.to_string(), "url": api,
        "git_url": git_url, "html_url": html, "download_url": download,
        "_links": {"git": git_url, "html": html, "self": api},
    })
}

pub(crate) fn get(call: &Call<'_>, key: &str, path: &str) -> Answer {
    let git = call.git(key)?;
    let revision = call.parameter("ref").unwrap_or(&call.repository(key).default_branch);
    let commit = objects::resolve(&git, revision)
        .map_err(|_| refuse(404, format!("No commit found for the ref {revision}")))?;
    let tree = commit.tree()?;
    let object = match path {
        "" => tree.into_object(),
        _ => tree.get_path(std::path::Path::new(path))?.to_object(&git)?,
    };
    if let Some(folder) = object.as_tree() {
        let entries = folder.iter().map(|entry| {
            let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
            let below = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
            let size = git.find_blob(entry.id()).map_or(0, |blob| blob.size());
            let kind = entry.kind().unwrap_or(ObjectType::Blob);
            show(call, key, &below, revision, (&name, kind, entry.id(), size))
        });
        return ok(entries.collect());
    }
    let blob = object.as_blob().ok_or_else(not_found)?;
    if call.accept.contains("raw") {
        return Ok(Reply::raw("application/vnd.github.raw; charset=utf-8", blob.content().to_vec()));
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut shown = show(call, key, path, revision, (name, ObjectType::Blob, blob.id(), blob.size()));
    shown["content"] = write_base64(blob.content()).into();
    shown["encoding"] = "base64".into();
    ok(shown)
}

pub(crate) fn put(call: &mut Call<'_>, key: &str, path: &str) -> Answer {
    let content = call.needed("Contents", "content")?;
    let content = read_base64(&content)?;
    change(call, key, path, Some(&content))
}

pub(crate) fn delete(call: &mut Call<'_>, key: &str, path: &str) -> Answer {
    if call.body.is_null() {
        let query = call.query.iter().map(|(name, value)| (name.clone(), Value::from(value.clone())));
        call.body = Value::Object(query.collect());
    }
    change(call, key, path, None)
}

fn change(call: &mut Call<'_>, key: &str, path: &str, content: Option<&[u8]>) -> Answer {
    call.require(key, Permission::Write)?;
    let message = call.needed("Contents", "message")?;
    let branch = call.text("branch").unwrap_or(&call.repository(key).default_branch).to_owned();
    if !may_push(call, key, &branch) {
        return Err(refuse(409, "Could not update file: Changes must be made through a pull request."));
    }
    let git = call.git(key)?;
    let before = tip(call, key, &branch);
    if before == EMPTY && !call.repository(key).refs.is_empty() {
        return Err(refuse(404, format!("Branch {branch} not found")));
    }
    let parent = (before != EMPTY).then(|| objects::oid(&before)).transpose()?;
    let tree = parent.map(|parent| git.find_commit(parent)?.tree()).transpose()?;
    let old =
        tree.as_ref().and_then(|tree| tree.get_path(std::path::Path::new(path)).ok()).map(|entry| entry.id());
    check_old(path, old, call.text("sha"), content.is_none())?;
    let blob = content.map(|content| git.blob(content)).transpose()?;
    let new_tree = objects::with_file(&git, tree.as_ref(), path, blob)?;
    call.state.stamp();
    let author_field = if call.body.get("author").is_some() { "author" } else { "committer" };
    let author = person(call, author_field)?;
    let committer = match call.body.get("committer") {
        Some(_) => person(call, "committer")?,
        None => objects::Person::github().sign(call.state.now())?,
    };
    let parents: Vec<git2::Oid> = parent.into_iter().collect();
    let commit = objects::write_commit(&git, new_tree, &parents, &message, &author, &committer)?;
    if let Some(words) = refused_move(call, key, &branch, Some(&commit.to_string()))? {
        return Err(refuse(409, words));
    }
    motion::set(call, key, &format!("refs/heads/{branch}"), Some(&commit.to_string()), None)?;
    let mut shown = call.view().git_commit(key, &git.find_commit(commit)?);
    shown["html_url"] = format!("{}/{key}/commit/{commit}", call.shared.url).into();
    let Some((blob, content)) = blob.zip(content) else {
        return ok(json!({"content": null, "commit": shown}));
    };
    let name = path.rsplit('/').next().unwrap_or(path);
    let file = show(call, key, path, &branch, (name, ObjectType::Blob, blob, content.len()));
    let body = json!({"content": file, "commit": shown});
    if old.is_some() { ok(body) } else { created(body) }
}

/// Who changes a file must say which one they saw.
fn check_old(path: &str, old: Option<git2::Oid>, given: Option<&str>, deletes: bool) -> Result<(), Refusal> {
    match (old.map(|id| id.to_string()), given) {
        (None, _) if deletes => Err(not_found()),
        (None, _) => Ok(()),
        (Some(_), None) => Err(refuse(422, "Invalid request.\n\n\"sha\" wasn't supplied.")),
        (Some(old), Some(given)) if old != given => {
            Err(refuse(409, format!("{path} does not match {given}")))
        }
        (Some(_), Some(_)) => Ok(()),
    }
}
