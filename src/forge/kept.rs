//! What was answered before? A forge that is asked "has this changed since?" says no for nothing: such an answer does
//! not count against its limits.
//! <https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate>
#![expect(clippy::disallowed_methods, reason = "answers are kept in the cache's folder")]

use std::{
    collections::HashMap,
    fs,
    io::Write,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The largest answer that is kept, in bytes.
const LARGEST: usize = 1_000_000;
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
#[derive(Debug, Default)]
pub(super) struct Kept {
    folder: Option<PathBuf>,
    memory: Mutex<HashMap<String, Answer>>,
}

impl Kept {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        if let Some(folder) = &folder
            && fs::read_dir(folder).is_ok_and(|entries| entries.count() > MOST)
        {
            fs::remove_dir_all(folder).ok();
        }
        Self { folder, memory: Mutex::default() }
    }

    pub(super) fn get(&self, path: &str) -> Option<Answer> {
        if let Some(answer) = self.memory.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Some(answer.clone());
        }
        let bytes = fs::read(self.file(path)?).ok()?;
        let answer: Answer = serde_json::from_slice(&bytes).ok()?;
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
        if let Some(file) = self.file(path) {
            // Two processes may write the same answer: each writes a file of its own and puts it in place whole.
            let write = || {
                let folder = file.parent()?;
                fs::create_dir_all(folder).ok()?;
                let mut new = tempfile::NamedTempFile::new_in(folder).ok()?;
                new.write_all(&serde_json::to_vec(&answer).ok()?).ok()?;
                new.persist(&file).ok()
            };
            drop(write());
        }
        self.memory.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), answer);
    }

    fn file(&self, path: &str) -> Option<PathBuf> {
        let name = hex::encode(Sha256::digest(path));
        Some(self.folder.as_ref()?.join(format!("{name}.json")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_found_again_by_another_process() {
        let folder = tempfile::tempdir().unwrap();
        let place = Some(folder.path().join("answers"));
        Kept::new(place.clone()).keep("/a", "\"1\"", Some("<x>; rel=\"next\""), b"[1]");
        let found = Kept::new(place.clone()).get("/a").unwrap();
        assert_eq!((found.etag.as_str(), found.body.as_str()), ("\"1\"", "[1]"));
        assert_eq!(Kept::new(place.clone()).get("/b"), None);
        let file = fs::read_dir(place.as_ref().unwrap()).unwrap().next().unwrap().unwrap().path();
        fs::write(file, "{").unwrap();
        assert_eq!(Kept::new(place).get("/a"), None);
    }
}
