//! Refs, blobs, trees and commits: Git's own objects over HTTP.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use git2::ObjectType;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::repos::{may_push, refused_move};
use crate::local_forge::motion;
use crate::local_forge::objects::{self, Person};
use crate::local_forge::reply::{Answer, Call, Refusal, Reply, created, not_found, ok, refuse};
use crate::local_forge::store::Permission;

fn show(call: &Call<'_>, key: &str, reference: &str, target: &str) -> Result<Value, Refusal> {
    let git = call.git(key)?;
    let kind = git.find_object(objects::oid(target)?, None)?.kind().unwrap_or(ObjectType::Commit);
    let view = call.view();
    Ok(json!({
        "ref": reference, "node_id": format!("REF_{reference}"), "url": view.api(&format!("repos/{key}/git/{reference}")),
        "object": {
            "sha": target, "type": kind.str(), "url": view.api(&format!("repos/{key}/git/{}s/{target}", kind.str())),
        },
    }))
}

pub(crate) fn reference(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let reference = format!("refs/{name}");
    let target = call.repository(key).refs.get(&reference).ok_or_else(not_found)?;
    ok(show(call, key, &reference, target)?)
}

pub(crate) fn matching(call: &Call<'_>, key: &str, prefix: &str) -> Answer {
    let prefix = format!("refs/{prefix}");
    let refs = call.repository(key).refs.iter().filter(|(name, _)| name.starts_with(&prefix));
    let refs: Vec<_> = refs.collect();
    call.page(&refs, |(name, target)| show(call, key, name, target).unwrap_or_default())
}

fn known_commit(call: &Call<'_>, key: &str, sha: &str) -> Result<(), Refusal> {
    let found = objects::oid(sha).and_then(|id| {
        call.git(key)
            .map_err(|_| git2::Error::from_str(""))
            .map(|git| git.odb().is_ok_and(|odb| odb.exists(id)))
    });
    if found.unwrap_or(false) { Ok(()) } else { Err(refuse(422, "Object does not exist")) }
}

fn check_protection(call: &Call<'_>, key: &str, reference: &str, after: Option<&str>) -> Result<(), Refusal> {
    call.require(key, Permission::Write)?;
    let Some(branch) = reference.strip_prefix("refs/heads/") else {
        return Ok(());
    };
    if !may_push(call, key, branch) {
        return Err(refuse(422, "Cannot update this protected branch"));
    }
    match refused_move(call, key, branch, after)? {
        Some(words) => Err(refuse(422, words)),
        None => Ok(()),
    }
}

pub(crate) fn create_reference(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let reference = call.needed("Reference", "ref")?;
    let sha = call.needed("Reference", "sha")?;
    if !reference.starts_with("refs/")
        || reference.matches('/').count() < 2
        || !git2::Reference::is_valid_name(&reference)
    {
        return Err(refuse(422, "Reference name must start with 'refs/' and be valid."));
    }
    if call.repository(key).refs.contains_key(&reference) {
        return Err(refuse(422, "Reference already exists"));
    }
    known_commit(call, key, &sha)?;
    check_protection(call, key, &reference, Some(&sha))?;
    motion::set(call, key, &reference, Some(&sha), None)?;
    created(show(call, key, &reference, &sha)?)
}

pub(crate) fn update_reference(call: &mut Call<'_>, key: &str, name: &str) -> Answer {
    let reference = format!("refs/{name}");
    let sha = call.needed("Reference", "sha")?;
    let Some(before) = call.repository(key).refs.get(&reference).cloned() else {
        return Err(refuse(422, "Reference does not exist"));
    };
    call.require(key, Permission::Write)?;
    known_commit(call, key, &sha)?;
    check_protection(call, key, &reference, Some(&sha))?;
    let forced = call.flag("force").unwrap_or(false);
    if !forced && !objects::is_ancestor(&*call.git(key)?, objects::oid(&before)?, objects::oid(&sha)?) {
        return Err(refuse(422, "Update is not a fast forward"));
    }
    motion::set(call, key, &reference, Some(&sha), None)?;
    ok(show(call, key, &reference, &sha)?)
}

pub(crate) fn delete_reference(call: &mut Call<'_>, key: &str, name: &str) -> Answer {
    let reference = format!("refs/{name}");
    if !call.repository(key).refs.contains_key(&reference) || name.starts_with("pull/") {
        return Err(refuse(422, "Reference does not exist"));
    }
    check_protection(call, key, &reference, None)?;
    motion::set(call, key, &reference, None, None)?;
    Ok(Reply::empty())
}

pub(crate) fn create_blob(call: &Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let content = call.needed("Blob", "content")?;
    let bytes = match call.text("encoding") {
        Some("base64") => read_base64(&content)?,
        _ => content.into_bytes(),
    };
    let sha = call.git(key)?.blob(&bytes)?.to_string();
    created(json!({"url": call.view().api(&format!("repos/{key}/git/blobs/{sha}")), "sha": sha}))
}

pub(crate) fn read_base64(text: &str) -> Result<Vec<u8>, Refusal> {
    let plain: String = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    STANDARD.decode(plain).map_err(|_| refuse(422, "content is not valid Base64"))
}

/// Base64 in lines of sixty, as GitHub prints it.
pub(crate) fn write_base64(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut lines = String::with_capacity(encoded.len() + encoded.len() / 60 + 1);
    for (at, letter) in encoded.chars().enumerate() {
        lines.push(letter);
        if at % 60 == 59 {
            lines.push('\n');
        }
    }
    if !encoded.is_empty() && !lines.ends_with('\n') {
        lines.push('\n');
    }
    lines
}

pub(crate) fn blob(call: &Call<'_>, key: &str, sha: &str) -> Answer {
    let git = call.git(key)?;
    let blob = git.find_blob(objects::oid(sha)?)?;
    if call.accept.contains("raw") {
        return Ok(Reply::raw("application/vnd.github.raw; charset=utf-8", blob.content().to_vec()));
    }
    ok(json!({
        "sha": sha, "node_id": format!("B_{sha}"), "size": blob.size(),
        "url": call.view().api(&format!("repos/{key}/git/blobs/{sha}")), "content": write_base64(blob.content()),
        "encoding": "base64",
    }))
}

pub(crate) fn create_tree(call: &Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let git = call.git(key)?;
    let Some(entries) = call.body.get("tree").and_then(Value::as_array) else {
        return Err(refuse(422, "Invalid request.\n\n\"tree\" wasn't supplied."));
    };
    let base = match call.text("base_tree") {
        Some(base) => Some(git.find_object(objects::oid(base)?, None)?.peel_to_tree()?),
        None => None,
    };
    let mut update = git2::build::TreeUpdateBuilder::new();
    let empty = git.find_tree(git.treebuilder(None)?.write()?)?;
    for entry in entries {
        let Some(path) = entry["path"].as_str() else {
            return Err(refuse(422, "tree.path is missing"));
        };
        let id = match (entry.get("sha"), entry["content"].as_str()) {
            (_, Some(content)) => git.blob(content.as_bytes())?,
            (Some(Value::String(sha)), None) => objects::oid(sha)?,
            (Some(Value::Null), None) => {
                update.remove(path);
                continue;
            }
            _ => return Err(refuse(422, "tree.sha or tree.content is missing")),
        };
        if !git.odb()?.exists(id) {
            return Err(refuse(422, format!("tree.sha {id} is not a valid blob")));
        }
        let mode = match entry["mode"].as_str() {
            Some("100755") => git2::FileMode::BlobExecutable,
            Some("120000") => git2::FileMode::Link,
            Some("040000") => git2::FileMode::Tree,
            Some("160000") => git2::FileMode::Commit,
            _ => git2::FileMode::Blob,
        };
        update.upsert(path, id, mode);
    }
    let id = update.create_updated(&git, base.as_ref().unwrap_or(&empty))?;
    created(show_tree(call, key, &git, id, false)?)
}

fn show_tree(
    call: &Call<'_>,
    key: &str,
    git: &git2::Repository,
    id: git2::Oid,
    deep: bool,
) -> Result<Value, Refusal> {
    let view = call.view();
    let mut entries = Vec::new();
    git.find_tree(id)?.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        let kind = entry.kind().unwrap_or(ObjectType::Blob);
        let path = format!("{folder}{}", String::from_utf8_lossy(entry.name_bytes()));
        let mut shown = json!({
            "path": path, "mode": format!("{:06o}", entry.filemode()), "type": kind.str(), "sha": entry.id().to_string(),
            "url": view.api(&format!("repos/{key}/git/{}s/{}", kind.str(), entry.id())),
        });
        if let Ok(blob) = git.find_blob(entry.id()) {
            shown["size"] = blob.size().into();
        }
        entries.push(shown);
        if deep { git2::TreeWalkResult::Ok } else { git2::TreeWalkResult::Skip }
    })?;
    Ok(json!({
        "sha": id.to_string(), "url": view.api(&format!("repos/{key}/git/trees/{id}")), "tree": entries,
        "truncated": false,
    }))
}

pub(crate) fn tree(call: &Call<'_>, key: &str, name: &str) -> Answer {
    let git = call.git(key)?;
    let id = match objects::oid(name) {
        Ok(id) => git.find_object(id, None)?.peel_to_tree()?.id(),
        Err(_) => objects::resolve(&git, name)?.tree_id(),
    };
    ok(show_tree(call, key, &git, id, call.parameter("recursive").is_some())?)
}

pub(crate) fn commit(call: &Call<'_>, key: &str, sha: &str) -> Answer {
    let git = call.git(key)?;
    let commit = git.find_commit(objects::oid(sha)?)?;
    ok(call.view().git_commit(key, &commit))
}

/// Author and committer default to the caller, and the time to the forge's.
pub(crate) fn person(call: &mut Call<'_>, field: &str) -> Result<git2::Signature<'static>, Refusal> {
    let user = call.actor_user()?;
    let mut person = Person { name: user.login.clone(), email: user.noreply() };
    let given = call.body.get(field).cloned().unwrap_or_default();
    if let (Some(name), Some(email)) = (given["name"].as_str(), given["email"].as_str()) {
        person = Person { name: name.to_owned(), email: email.to_owned() };
    }
    let at = match given["date"].as_str() {
        Some(date) => {
            date.parse::<Timestamp>().map_err(|_| refuse(422, format!("{field}.date is not a date")))?
        }
        None => call.state.now(),
    };
    Ok(person.sign(at)?)
}

pub(crate) fn create_commit(call: &mut Call<'_>, key: &str) -> Answer {
    call.require(key, Permission::Write)?;
    let message = call.needed("Commit", "message")?;
    let tree = call.needed("Commit", "tree")?;
    let git = call.git(key)?;
    let tree = objects::oid(&tree)
        .and_then(|id| git.find_tree(id))
        .map_err(|_| refuse(422, "Tree SHA does not exist"))?;
    let parents = call.names("parents").unwrap_or_default();
    let parents = parents.iter().map(|parent| objects::oid(parent)).collect::<Result<Vec<_>, _>>();
    let parents = parents.map_err(|_| refuse(422, "Parent SHA does not exist or is not a commit object"))?;
    if parents.iter().any(|parent| git.find_commit(*parent).is_err()) {
        return Err(refuse(422, "Parent SHA does not exist or is not a commit object"));
    }
    // <https://docs.github.com/authentication/managing-commit-signature-verification/about-commit-signature-verification#signature-verification-for-bots>
    let alone = ["author", "committer", "signature"].iter().all(|field| call.body.get(field).is_none());
    let author = person(call, "author")?;
    if alone && call.actor_user()?.is_app() {
        let id = objects::write_signed(&git, tree.id(), &parents, &message, &author)?;
        return created(call.view().git_commit(key, &git.find_commit(id)?));
    }
    let committer =
        if call.body.get("committer").is_some() { person(call, "committer")? } else { author.clone() };
    let id = objects::write_commit(&git, tree.id(), &parents, &message, &author, &committer)?;
    created(call.view().git_commit(key, &git.find_commit(id)?))
}
