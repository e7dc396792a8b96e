//! How does a step become a commit? In memory: only the folders on the way to a change are
//! written, everything else is taken over as it is, and the same step makes the same commit.

use std::collections::BTreeMap;

use git2::{ObjectType, Signature, Time};

use super::{
    objects::{Objects, Read, ReadError, to_git},
    sign::Signer,
};
use crate::{
    domain::{Change, Changes, Login, ObjectId},
    plan::step::{Commit, Trees},
};

const FOLDER: &[u8] = b"40000";
const FILE: &[u8] = b"100644";
const EXECUTABLE: &[u8] = b"100755";

/// Writes the commit; it is not pushed, and no ref points to it.
///
/// # Errors
/// When the parent is missing, or a change would replace something that is no ordinary file.
pub fn write_commit(
    objects: &Objects,
    commit: &Commit,
    me: &Login,
    signer: Option<&Signer>,
) -> Read<ObjectId> {
    let root = commit.parent.map(|parent| objects.root(parent)).transpose()?;
    let tree = changed(objects, root, &commit.changes)?;
    let mail = format!("{me}@users.noreply.github.com");
    let mut message = commit.message.trim_end().to_owned();
    message.push('\n');
    let bytes = || {
        let who = Signature::new(me.as_str(), &mail, &Time::new(commit.at.seconds(), 0))?;
        let repository = &objects.repository;
        let tree = repository.find_tree(to_git(tree))?;
        let parent = commit.parent.map(|parent| repository.find_commit(to_git(parent))).transpose()?;
        let parents: Vec<&git2::Commit<'_>> = parent.iter().collect();
        repository.commit_create_buffer(&who, &who, &message, &tree, &parents)
    };
    let bytes = bytes().map_err(|error: git2::Error| ReadError::broken(&error))?;
    match signer {
        Some(signer) => objects.store(ObjectType::Commit, &signer.sign(&bytes)?),
        None => objects.store(ObjectType::Commit, &bytes),
    }
}

/// The folders that a commit makes, and what differs; the commit itself is not written.
///
/// # Errors
/// As [`write_commit`].
pub fn trees(objects: &Objects, commit: &Commit) -> Read<Trees> {
    let Some(parent) = commit.parent else {
        return Err(ReadError::Strange("the first commit of a repository is pushed".to_owned()));
    };
    let before = objects.root(parent)?;
    let after = write_tree(objects, before, &commit.changes)?;
    let changes = objects.changes(Some(before), after)?;
    let files =
        changes.into_iter().map(|(path, entry)| (path, entry.after.map(|after| after.mode))).collect();
    Ok(Trees { before, after, files })
}

/// Writes the tree that these changes make of another one.
///
/// # Errors
/// When a folder is missing, or a change would replace something that is no ordinary file.
pub fn write_tree(objects: &Objects, root: ObjectId, changes: &Changes) -> Read<ObjectId> {
    changed(objects, Some(root), changes)
}

fn changed(objects: &Objects, root: Option<ObjectId>, changes: &Changes) -> Read<ObjectId> {
    let edits: Vec<(&str, &Change)> = changes.iter().map(|(path, change)| (path.as_str(), change)).collect();
    match edit(objects, root, "", &edits)? {
        Some(tree) => Ok(tree),
        None => objects.store(ObjectType::Tree, &[]),
    }
}

struct Entry {
    mode: Vec<u8>,
    id: ObjectId,
}

/// Mode, name and id, as they stand in a folder's bytes.
type Raw<'a> = (&'a [u8], &'a [u8], ObjectId);

/// Writes one folder anew; none when nothing is left in it.
fn edit(
    objects: &Objects,
    folder: Option<ObjectId>,
    at: &str,
    edits: &[(&str, &Change)],
) -> Read<Option<ObjectId>> {
    let mut files: BTreeMap<&str, &Change> = BTreeMap::new();
    let mut folders: BTreeMap<&str, Vec<(&str, &Change)>> = BTreeMap::new();
    for &(path, change) in edits {
        match path.split_once('/') {
            Some((name, rest)) => folders.entry(name).or_default().push((rest, change)),
            None => drop(files.insert(path, change)),
        }
    }
    let place = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}/{name}") };
    let old = folder.map(|id| read_raw(objects, id)).transpose()?.unwrap_or_default();
    let touched = |name: &[u8]| {
        std::str::from_utf8(name).is_ok_and(|name| files.contains_key(name) || folders.contains_key(name))
    };
    let entries = parse(&old)?;
    let mut changed: BTreeMap<Vec<u8>, Entry> = BTreeMap::new();
    for &(mode, name, id) in entries.iter().filter(|(_, name, _)| touched(name)) {
        changed.insert(name.to_vec(), Entry { mode: mode.to_vec(), id });
    }
    for (&name, &change) in &files {
        let before = changed.get(name.as_bytes()).map(|entry| entry.mode.as_slice());
        let mode = match before {
            None | Some(FOLDER) => FILE,
            Some(EXECUTABLE) => EXECUTABLE,
            Some(mode) if mode.starts_with(b"100") => FILE,
            Some(_) => {
                return Err(ReadError::Strange(format!(
                    "`{}` is a symbolic link or a submodule; only ordinary files are written",
                    place(name)
                )));
            }
        };
        match change {
            Change::Put(bytes) | Change::PutExecutable(bytes) => {
                if before == Some(FOLDER) {
                    return Err(ReadError::Strange(format!(
                        "`{}` is a folder; a file cannot replace it",
                        place(name)
                    )));
                }
                let mode = if matches!(change, Change::PutExecutable(_)) { EXECUTABLE } else { mode };
                let id = objects.store(ObjectType::Blob, bytes)?;
                changed.insert(name.as_bytes().to_vec(), Entry { mode: mode.to_vec(), id });
            }
            Change::Delete if before == Some(FOLDER) => {}
            Change::Delete => drop(changed.remove(name.as_bytes())),
        }
    }
    for (&name, edits) in &folders {
        let before = changed.get(name.as_bytes());
        let inside = before.filter(|entry| entry.mode == FOLDER).map(|entry| entry.id);
        let puts = edits.iter().any(|(_, change)| change.bytes().is_some());
        if before.is_some() && inside.is_none() {
            if puts {
                return Err(ReadError::Strange(format!(
                    "`{}` is a file; nothing can be put below it",
                    place(name)
                )));
            }
            continue;
        }
        match edit(objects, inside, &place(name), edits)? {
            Some(id) => drop(changed.insert(name.as_bytes().to_vec(), Entry { mode: FOLDER.to_vec(), id })),
            None => drop(changed.remove(name.as_bytes())),
        }
    }
    let mut all: Vec<Raw<'_>> = entries.into_iter().filter(|(_, name, _)| !touched(name)).collect();
    all.extend(changed.iter().map(|(name, entry)| (entry.mode.as_slice(), name.as_slice(), entry.id)));
    if all.is_empty() {
        return Ok(None);
    }
    // Git sorts a folder as if its name ended in a slash.
    all.sort_by(|a, b| sort_key(a).cmp(sort_key(b)));
    let mut bytes = Vec::with_capacity(old.len() + 64 * changed.len());
    for (mode, name, id) in all {
        bytes.extend_from_slice(mode);
        bytes.push(b' ');
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.extend_from_slice(id.bytes());
    }
    objects.store(ObjectType::Tree, &bytes).map(Some)
}

fn sort_key<'a>((mode, name, _): &'a Raw<'_>) -> impl Iterator<Item = &'a u8> {
    name.iter().chain((*mode == FOLDER).then_some(&b'/'))
}

fn read_raw(objects: &Objects, id: ObjectId) -> Read<Vec<u8>> {
    let odb = objects.repository.odb().map_err(|error| ReadError::broken(&error))?;
    let object = odb.read(to_git(id)).map_err(|error| ReadError::broken(&error))?;
    Ok(object.data().to_vec())
}

/// `mode SP name NUL id`, one after the other.
fn parse(bytes: &[u8]) -> Read<Vec<Raw<'_>>> {
    let mut entries = Vec::with_capacity(bytes.len() / 40);
    let mut rest = bytes;
    while !rest.is_empty() {
        let parsed = || {
            let space = rest.iter().position(|byte| *byte == b' ')?;
            let end = space + rest[space..].iter().position(|byte| *byte == 0)?;
            let id = rest.get(end + 1..end + 21)?.try_into().ok()?;
            Some((&rest[..space], &rest[space + 1..end], ObjectId::from_bytes(id), &rest[end + 21..]))
        };
        let Some((mode, name, id, after)) = parsed() else {
            return Err(ReadError::Broken("a folder cannot be read".to_owned()));
        };
        entries.push((mode, name, id));
        rest = after;
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{FileMode, RepoPath},
        git::fixture::{Fixture, changes},
        git::objects::Node,
    };

    #[test]
    fn a_file_keeps_its_mode_and_may_become_executable() {
        let repo = Fixture::new();
        let path: RepoPath = "bin/run".parse().unwrap();
        let mut tree = repo.objects.store(ObjectType::Tree, &[]).unwrap();
        for (change, mode) in [
            (Change::Put(b"1".as_slice().into()), FileMode::File),
            (Change::PutExecutable(b"1".as_slice().into()), FileMode::Executable),
            (Change::Put(b"2".as_slice().into()), FileMode::Executable),
        ] {
            tree = write_tree(&repo.objects, tree, &[(path.clone(), change)].into()).unwrap();
            let found = repo.objects.find(tree, path.as_str()).unwrap();
            assert!(matches!(found, Some(Node::File(entry)) if entry.mode == mode), "{found:?}");
        }
    }

    #[test]
    fn the_same_step_makes_the_same_commit() {
        let repo = Fixture::new();
        let parent = repo.commit(&[], "a 1\nd/b 2");
        let commit = Commit {
            repository: "acme/x".parse().unwrap(),
            branch: "b".parse().unwrap(),
            expect: None,
            parent: Some(parent),
            changes: changes("d/c 3\n-a"),
            message: "say\n".to_owned(),
            at: crate::domain::Timestamp::from_seconds(1_700_000_000),
        };
        let me: Login = "chandlery[bot]".parse().unwrap();
        let id = write_commit(&repo.objects, &commit, &me, None).unwrap();
        assert_eq!(id, write_commit(&repo.objects, &commit, &me, None).unwrap());
        let written = repo.objects.repository.find_commit(to_git(id)).unwrap();
        assert_eq!(written.author().to_string(), "chandlery[bot] <chandlery[bot]@users.noreply.github.com>");
        assert_eq!(written.committer().when().seconds(), 1_700_000_000);
        assert_eq!(repo.files(id), ["d/b File", "d/c File"]);
    }

    /// The git program itself finds the signature good; without the key there is no commit.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "ssh-keygen makes the key, the git program judges")]
    fn a_signed_commit_is_verified() {
        let repo = Fixture::new();
        let parent = repo.commit(&[], "a 1");
        let commit = Commit {
            repository: "acme/x".parse().unwrap(),
            branch: "b".parse().unwrap(),
            expect: None,
            parent: Some(parent),
            changes: changes("a 2"),
            message: "say\n".to_owned(),
            at: crate::domain::Timestamp::from_seconds(1_700_000_000),
        };
        let me: Login = "chandlery[bot]".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"])
            .arg(&key)
            .status()
            .unwrap();
        assert!(made.success());
        let text = crate::domain::Secret::new(&std::fs::read_to_string(&key).unwrap());
        let from_file = Signer::from_file(&key).unwrap();
        let id = write_commit(&repo.objects, &commit, &me, Some(&from_file)).unwrap();
        let from_text = Signer::from_text(&text).unwrap();
        assert_eq!(write_commit(&repo.objects, &commit, &me, Some(&from_text)).unwrap(), id);
        let allowed = folder.path().join("allowed");
        let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
        std::fs::write(&allowed, format!("chandlery@acme.test {public}")).unwrap();
        let verified = Command::new("git")
            .arg("--git-dir")
            .arg(repo.folder.path())
            .args(["-c", &format!("gpg.ssh.allowedSignersFile={}", allowed.display())])
            .args(["verify-commit", &id.to_string()])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&verified.stderr);
        assert!(verified.status.success() && said.contains("Good \"git\" signature"), "{said}");

        let gone = Signer::from_file(&folder.path().join("gone")).unwrap();
        let error = write_commit(&repo.objects, &commit, &me, Some(&gone)).unwrap_err();
        assert!(error.to_string().contains("could not be signed"), "{error}");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the git program makes what libgit2 is held against")]
    fn only_ordinary_files_are_written_and_they_keep_their_mode() {
        let repo = Fixture::new();
        let first = repo.commit(&[], "run x\nd/deep/file y");
        let git = |arguments: &[&str]| {
            let output = Command::new("git")
                .arg("--git-dir")
                .arg(repo.folder.path())
                .args(arguments)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        let index = repo.folder.path().join("index");
        git(&["read-tree", &first.to_string()]);
        let blob = ObjectId::of_blob(b"x\n").to_string();
        for (mode, id, path) in [
            ("100755", blob.as_str(), "run"),
            ("120000", &blob, "link"),
            ("160000", &first.to_string(), "module"),
        ] {
            git(&["update-index", "--add", "--cacheinfo", &format!("{mode},{id},{path}")]);
        }
        assert!(index.exists());
        let tree: ObjectId = git(&["write-tree"]).parse().unwrap();
        let root = |text: &str| write_tree(&repo.objects, tree, &changes(text));
        let changed = root("run changed\n-d/deep/file").unwrap();
        let commit = repo.commit_tree(&[], changed);
        assert_eq!(repo.files(commit), ["link Link", "module Submodule", "run Executable"]);
        assert!(repo.objects.find(changed, "d").unwrap().is_none());
        for (bad, words) in [
            ("link x", "symbolic link"),
            ("module x", "submodule"),
            ("d x", "is a folder"),
            ("run/below x", "is a file"),
        ] {
            assert!(root(bad).unwrap_err().to_string().contains(words), "{bad}");
        }
        // What is not there is deleted already.
        assert_eq!(root("-nothing/here\n-run/below").unwrap(), tree);
        git(&["fsck", "--strict"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// Whatever is put and deleted, the tree holds what a plain map would hold, in Git's order.
        #[test]
        fn a_tree_holds_what_was_put(edits in prop::collection::vec(
            prop::collection::vec(("[ab]{1,2}(/[ab.-]{1,2}x){0,2}", prop::option::of("[xy]")), 1..8), 1..5,
        )) {
            let repo = Fixture::new();
            let mut tree = repo.objects.store(ObjectType::Tree, &[]).unwrap();
            let mut model: BTreeMap<RepoPath, String> = BTreeMap::new();
            for edit in edits {
                let changes: Changes = edit.iter().filter_map(|(path, text)| {
                    let change = text.as_ref().map_or(Change::Delete, |text| Change::Put(text.as_bytes().into()));
                    Some((path.parse().ok()?, change))
                }).collect();
                let Ok(next) = write_tree(&repo.objects, tree, &changes) else { continue };
                tree = next;
                for (path, change) in changes {
                    match change.bytes() {
                        Some(bytes) => drop(model.insert(path, String::from_utf8(bytes.to_vec()).unwrap())),
                        None => drop(model.remove(&path)),
                    }
                }
            }
            let mut found = BTreeMap::new();
            repo.objects.walk(tree, "", &mut |path, entry| {
                let text = String::from_utf8(repo.objects.blob(entry.id)?.to_vec()).unwrap();
                found.insert(path.parse().unwrap(), text);
                Ok(())
            }).unwrap();
            prop_assert_eq!(&found, &model);
            let rebuilt: Changes =
                model.iter().map(|(path, text)| (path.clone(), Change::Put(text.as_bytes().into()))).collect();
            let empty = repo.objects.store(ObjectType::Tree, &[]).unwrap();
            prop_assert_eq!(write_tree(&repo.objects, empty, &rebuilt).unwrap(), tree);
        }
    }
}
