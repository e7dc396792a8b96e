//! Where bases and histories are kept, and which base is the nearest.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;

use super::{base::Base, pages::Place, walk::Below};
use crate::{
    catalog::judged::{self, Digest},
    domain::{ObjectId, RepoPath},
};

/// The endings of what is kept.
const BASE: &str = "base";
pub(super) const HISTORY: &str = "history";
const JUDGED: &str = "judged";
/// How many are kept of each.
const MOST: usize = 4;
/// A file that was being written for so long was left by a process that was killed.
const LEFT: Duration = Duration::from_secs(3600);

/// The folder of what is kept of one repository.
#[derive(Debug, Clone)]
pub struct Kept {
    folder: Option<PathBuf>,
}

impl Kept {
    /// Beside the objects of a repository: `chandlery` in its Git folder.
    pub fn beside(repository: &Path) -> Self {
        Self { folder: Some(repository.join("chandlery")) }
    }

    /// Nowhere.
    pub fn nowhere() -> Self {
        Self { folder: None }
    }

    pub(super) fn is_writable(&self) -> bool {
        self.folder.is_some()
    }

    fn name(tree: ObjectId) -> String {
        format!("{tree}.{BASE}")
    }

    /// What is kept with this ending, the newest first.
    pub(super) fn files(&self, ending: &str) -> Vec<PathBuf> {
        let entries = self.folder.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        let mut files: Vec<_> = entries
            .into_iter()
            .flatten()
            .filter_map(|entry| {
                let path = entry.ok()?.path();
                let is_wanted = path.extension().is_some_and(|found| found == ending);
                Some((fs::metadata(&path).ok()?.modified().ok()?, path)).filter(|_| is_wanted)
            })
            .collect();
        files.sort_by(|a, b| b.cmp(a));
        files.into_iter().map(|(_, path)| path).collect()
    }

    /// The base of this tree, or that of `since`, or the newest that can be read.
    pub(super) fn near(&self, tree: ObjectId, since: Option<ObjectId>, below: &[Below; 2]) -> Option<Base> {
        let folder = self.folder.as_ref()?;
        let wanted = [Some(tree), since].into_iter().flatten().map(|tree| folder.join(Self::name(tree)));
        let roots = below.each_ref().map(|root| root.path.to_string());
        wanted.chain(self.files(BASE)).find_map(|path| {
            let file = File::open(&path).ok()?;
            match Base::open(Place::File(file)) {
                Some(base) => (base.head.roots == roots).then_some(base),
                None => {
                    drop(fs::remove_file(&path));
                    None
                }
            }
        })
    }

    /// A file to write to; none where nothing can be written.
    pub(super) fn begin(&self) -> Option<BufWriter<NamedTempFile>> {
        let folder = self.folder.as_ref()?;
        fs::create_dir_all(folder).ok()?;
        Some(BufWriter::with_capacity(1 << 18, NamedTempFile::new_in(folder).ok()?))
    }

    /// Gives a base that is whole its name.
    pub(super) fn finish(&self, file: BufWriter<NamedTempFile>, tree: ObjectId) -> std::io::Result<File> {
        self.put(file, &Self::name(tree))
    }

    /// Gives a file that is whole its name, and removes those that are too many.
    pub(super) fn put(&self, file: BufWriter<NamedTempFile>, name: &str) -> std::io::Result<File> {
        let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
        let Some(folder) = &self.folder else { return file.reopen() };
        let file = file.persist(folder.join(name)).map_err(|error| error.error)?;
        for ending in [BASE, HISTORY, JUDGED] {
            for old in self.files(ending).into_iter().skip(MOST) {
                drop(fs::remove_file(old));
            }
        }
        self.sweep();
        // Opened for writing; who reads it reads what was written.
        Ok(file)
    }

    /// Removes what was left half written.
    fn sweep(&self) {
        let entries = self.folder.as_ref().and_then(|folder| fs::read_dir(folder).ok());
        for entry in entries.into_iter().flatten().flatten() {
            let path = entry.path();
            let is_kept = path
                .extension()
                .is_some_and(|ending| [BASE, HISTORY, JUDGED].iter().any(|kept| ending == *kept));
            let age = entry.metadata().and_then(|metadata| metadata.modified()).map(|time| time.elapsed());
            if !is_kept && age.is_ok_and(|age| age.is_ok_and(|age| age > LEFT)) {
                drop(fs::remove_file(path));
            }
        }
    }

    /// Recalls which definitions earlier processes of this program found in order.
    #[expect(clippy::disallowed_methods, reason = "what is kept beside a repository is no part of it")]
    pub fn recall(&self) {
        let read = self.folder.as_ref().and_then(|folder| fs::read(folder.join(judged_name())).ok());
        judged::note_all(read.and_then(|bytes| unsealed(&bytes)).into_iter().flatten());
    }

    /// Keeps which definitions are in order, if more are than `recall` found.
    pub fn remember(&self) {
        let all = judged::all();
        let Some(folder) = &self.folder else { return };
        let known = fs::metadata(folder.join(judged_name())).map_or(0, |file| file.len());
        let bytes = sealed(&all);
        if bytes.len() as u64 > known
            && let Some(mut file) = self.begin()
            && let Err(error) = file.write_all(&bytes).and_then(|()| self.put(file, &judged_name()))
        {
            tracing::warn!("what was found in order could not be kept: {error}");
        }
    }

    /// Removes all bases: they cannot be believed.
    pub fn clear(&self) {
        self.remove(BASE);
    }

    /// Removes what has this ending.
    pub(super) fn remove(&self, ending: &str) {
        for path in self.files(ending) {
            drop(fs::remove_file(path));
        }
    }
}

/// Another program may judge otherwise.
fn judged_name() -> String {
    format!("{}.{JUDGED}", super::PROGRAM)
}

/// Digests with a checksum at the end.
fn sealed(digests: &BTreeSet<Digest>) -> Vec<u8> {
    let mut bytes: Vec<u8> = digests.iter().flatten().copied().collect();
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// What was sealed; none if it was damaged since.
fn unsealed(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (digests, sum) = bytes.split_last_chunk()?;
    let (digests, []) = digests.as_chunks() else { return None };
    (crc32fast::hash(digests.as_flattened()).to_le_bytes() == *sum).then(|| digests.to_vec())
}

/// What the history of a commit's line is called, going by the folder of its entities.
pub(super) fn history_name(commit: ObjectId, entities: &RepoPath) -> String {
    format!("{commit}-{:08x}.{HISTORY}", crc32fast::hash(entities.as_str().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_in_order_is_believed_whole_or_not_at_all() {
        let known: BTreeSet<Digest> = [[1; 32], [2; 32]].into();
        let bytes = sealed(&known);
        assert_eq!(unsealed(&bytes), Some(known.iter().copied().collect()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert_eq!(unsealed(&damaged), None, "byte {at}");
            assert_eq!(unsealed(&bytes[..at]), None, "cut at {at}");
        }
    }
}
