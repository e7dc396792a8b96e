//! What was answered before? A forge that is asked "has this changed since?" says no for nothing: such an answer does
//! not count against its limits.
//! <https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate>
//!
//! Decisions rest on what was answered, so all that lies in the folder is sealed with our credentials: what is damaged, or
//! was put there by somebody else, is as good as nothing.
#![expect(clippy::disallowed_methods, reason = "answers are kept in the cache's folder")]

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::moves::Moves;
use crate::domain::{RepoName, Secret};

/// The largest answer that is kept, in bytes.
const LARGEST: usize = 1_000_000;
/// How long a seal is, in bytes.
const SEAL: usize = 32;
/// So many files are kept; then all are thrown away.
const MOST: usize = 10_000;

/// An answer and what it is known by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Answer {
    path: String,
    pub(super) etag: String,
    pub(super) link: Option<String>,
    pub(super) body: String,
}

/// The answers kept, in memory and in a folder. What cannot be read there or written is done without.
pub(super) struct Kept {
    folder: Option<PathBuf>,
    /// What seals them.
    key: Secret,
    memory: Mutex<HashMap<String, Answer>>,
    moves: Mutex<HashMap<RepoName, Moves>>,
}

impl Kept {
    pub(super) fn new(folder: Option<PathBuf>, key: Secret) -> Self {
        if let Some(folder) = &folder
            && fs::read_dir(folder).is_ok_and(|entries| entries.count() > MOST)
        {
            fs::remove_dir_all(folder).ok();
        }
        Self { folder, key, memory: Mutex::default(), moves: Mutex::default() }
    }

    pub(super) fn get(&self, path: &str) -> Option<Answer> {
        if let Some(answer) = self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Some(answer.clone());
        }
        let answer: Answer = self.read(path)?;
        (answer.path == path).then_some(answer)
    }

    pub(super) fn keep(&self, path: &str, etag: &str, link: Option<&str>, body: &[u8]) {
        let Ok(body) = std::str::from_utf8(body) else { return };
        if body.len() > LARGEST {
            return;
        }
        let answer = Answer {
            path: path.to_owned(),
            etag: etag.to_owned(),
            link: link.map(str::to_owned),
            body: body.to_owned(),
        };
        self.write(path, &answer);
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), answer);
    }

    /// What is known of a repository's branches.
    pub(super) fn moves(&self, of: &RepoName) -> Moves {
        let known = self.moves.lock().unwrap_or_else(PoisonError::into_inner).get(of).cloned();
        known.or_else(|| self.read(&moves_of(of))).unwrap_or_default()
    }

    pub(super) fn keep_moves(&self, of: &RepoName, moves: Moves) {
        let mut all = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        if all.get(of) != Some(&moves) {
            self.write(&moves_of(of), &moves);
            all.insert(of.clone(), moves);
        }
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        let bytes = fs::read(self.file(name)?).ok()?;
        let (seal, body) = bytes.split_at_checked(SEAL)?;
        self.seal(name, body).verify_slice(seal).ok()?;
        serde_json::from_slice(body).ok()
    }

    /// Two processes may write the same: each writes a file of its own and puts it in place whole.
    fn write(&self, name: &str, what: &impl Serialize) {
        let write = || {
            let file = self.file(name)?;
            let folder = file.parent()?;
            let body = serde_json::to_vec(what).ok()?;
            fs::create_dir_all(folder).ok()?;
            let mut new = tempfile::NamedTempFile::new_in(folder).ok()?;
            new.write_all(&self.seal(name, &body).finalize().into_bytes()).ok()?;
            new.write_all(&body).ok()?;
            new.persist(&file).ok()
        };
        drop(write());
    }

    /// Proves that we wrote this under this name.
    fn seal(&self, name: &str, body: &[u8]) -> Hmac<Sha256> {
        let key = self.key.expose().as_bytes();
        let mut seal = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
        for part in [b"what is kept", name.as_bytes(), body] {
            seal.update(&(part.len() as u64).to_be_bytes());
            seal.update(part);
        }
        seal
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        let name = hex::encode(Sha256::digest(name));
        Some(self.folder.as_ref()?.join(name))
    }
}

fn moves_of(repository: &RepoName) -> String {
    format!("moves of {repository}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_again_by_another_process_of_ours_alone() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("answers");
        let open = |key: &str| Kept::new(Some(place.clone()), Secret::new(key));
        open("ours").keep("/a", "\"1\"", Some("<x>; rel=\"next\""), b"[1]");
        let found = open("ours").get("/a").unwrap();
        assert_eq!((found.etag.as_str(), found.body.as_str()), ("\"1\"", "[1]"));
        assert_eq!(open("ours").get("/b"), None);
        assert_eq!(open("theirs").get("/a"), None);

        let file = open("ours").file("/a").unwrap();
        let whole = fs::read(&file).unwrap();
        let mut altered = whole.clone();
        *altered.iter_mut().rfind(|byte| **byte == b'1').unwrap() = b'2';
        for damaged in [altered, whole[..whole.len() - 1].to_vec(), Vec::new()] {
            fs::write(&file, damaged).unwrap();
            assert_eq!(open("ours").get("/a"), None);
        }
        // Nor is it believed under another name.
        fs::write(open("ours").file("/b").unwrap(), whole).unwrap();
        assert_eq!(open("ours").get("/b"), None);
    }

    #[test]
    fn what_moved_is_found_again_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Kept::new(Some(folder.path().to_owned()), Secret::new("ours"));
        let name: RepoName = "acme/catalog".parse().unwrap();
        let mut moves = Moves::default();
        moves.follow(vec![serde_json::json!({ "id": 1, "ref": "refs/heads/main" })]);
        open().keep_moves(&name, moves.clone());
        assert_eq!(open().moves(&name), moves);
        fs::write(open().file(&moves_of(&name)).unwrap(), "{").unwrap();
        assert_eq!(open().moves(&name), Moves::default());
    }
}
