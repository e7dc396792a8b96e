//! Which files of a folder did each commit touch, by first parents?
//!
//! The line is libgit2's; the folders are compared by the git program, which unpacks them in a fifth of the time
//! that libgit2 takes. Several of it have a stretch of the history each.

use std::{
    io::{self, BufRead, BufReader, Seek, SeekFrom, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    str,
};

use git2::{Commit, Oid};

use super::objects::{Objects, Read, ReadError, from_git, to_git};
use crate::domain::{ObjectId, RepoPath, Timestamp};

/// Fewer commits than this are not worth a process.
const FEW: usize = 256;
/// The tree without files; git knows it in every repository.
const NO_FILES: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A commit, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Which one.
    pub commit: ObjectId,
    /// Its files.
    pub tree: ObjectId,
    /// When.
    pub at: Timestamp,
    /// Who wrote it.
    pub author: String,
    /// Its message, and that of what it merged: what a pull request brought says more there than where it was merged.
    pub messages: Vec<String>,
}

impl Made {
    fn of(commit: &Commit<'_>) -> Self {
        let words = |commit: &Commit<'_>| String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let merged = commit.parent(1).ok().map(|merged| words(&merged));
        Self {
            commit: from_git(commit.id()),
            tree: from_git(commit.tree_id()),
            at: Timestamp::from_seconds(commit.time().seconds()),
            author: String::from_utf8_lossy(commit.author().name_bytes()).into_owned(),
            messages: std::iter::once(words(commit)).chain(merged).collect(),
        }
    }
}

/// Where a line of first parents ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the very first commit.
    Beginning,
    /// With the last that a shallow clone has.
    CutOff,
    /// Before this commit, which is known already.
    Known(ObjectId),
}

/// A file that became another one, came or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// Between this tree of the list and the next.
    pub step: usize,
    /// Its path.
    pub path: String,
    /// What it is then.
    pub after: Option<ObjectId>,
}

/// What comes before a commit, by first parents.
enum Before {
    Nothing,
    Commit(Oid),
    CutOff,
}

impl Objects {
    /// A commit.
    ///
    /// # Errors
    /// When it is missing.
    pub fn made(&self, commit: ObjectId) -> Read<Made> {
        Ok(Made::of(&self.commit(to_git(commit))?))
    }

    /// Visits a commit and its first parents, newest first, until one is known.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn line(
        &self,
        head: ObjectId,
        is_known: &mut dyn FnMut(ObjectId) -> bool,
        visit: &mut dyn FnMut(Made),
    ) -> Read<End> {
        let mut id = head;
        while !is_known(id) {
            let commit = self.commit(to_git(id))?;
            visit(Made::of(&commit));
            id = match self.before(&commit) {
                Before::Commit(parent) => from_git(parent),
                Before::Nothing => return Ok(End::Beginning),
                Before::CutOff => return Ok(End::CutOff),
            };
        }
        Ok(End::Known(id))
    }

    /// Whether a shallow clone has left out what comes before this commit.
    pub fn is_cut_at(&self, commit: ObjectId) -> bool {
        self.commit(to_git(commit)).is_ok_and(|commit| matches!(self.before(&commit), Before::CutOff))
    }

    fn before(&self, commit: &Commit<'_>) -> Before {
        match commit.parent_id(0) {
            Ok(parent) if self.has(from_git(parent)) => Before::Commit(parent),
            Ok(_) => Before::CutOff,
            // libgit2 hides the parents that a shallow clone has cut off; the commit itself still names them.
            Err(_)
                if commit
                    .raw_header()
                    .is_ok_and(|header| header.lines().any(|line| line.starts_with("parent "))) =>
            {
                Before::CutOff
            }
            Err(_) => Before::Nothing,
        }
    }
}

/// The files below a folder that differ from each tree to the next, in that order; no tree has no files. Links, other
/// repositories and what is no UTF-8 are no files.
///
/// # Errors
/// When an object is missing, or there is no git program.
pub fn touched(repository: &Path, trees: &[Option<ObjectId>], folder: &RepoPath) -> Read<Vec<Touched>> {
    let steps = trees.len().saturating_sub(1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = steps.div_ceil(threads).max(FEW);
    std::thread::scope(|scope| {
        let work = |from: usize| {
            let trees = &trees[from..=(from + share).min(steps)];
            scope.spawn(move || stretch(repository, trees, from, folder))
        };
        let workers: Vec<_> = (0..steps).step_by(share).map(work).collect();
        let mut all = Vec::new();
        for worker in workers {
            all.extend(worker.join().expect("a worker does not panic")?);
        }
        Ok(all)
    })
}

fn stretch(
    repository: &Path,
    trees: &[Option<ObjectId>],
    first: usize,
    folder: &RepoPath,
) -> Read<Vec<Touched>> {
    let broken = |error: io::Error| ReadError::Broken(format!("failed to run git: {error}"));
    let compare = || -> io::Result<(Vec<Touched>, usize, ExitStatus)> {
        // A file as input: git may answer before it has read all of it.
        let mut pairs = tempfile::tempfile()?;
        let name = |tree: &Option<ObjectId>| tree.map_or(NO_FILES.to_owned(), |tree| tree.to_string());
        let lines = trees.windows(2).map(|pair| format!("{} {}\n", name(&pair[0]), name(&pair[1])));
        pairs.write_all(lines.collect::<String>().as_bytes())?;
        pairs.seek(SeekFrom::Start(0))?;
        #[expect(clippy::disallowed_methods, reason = "only reads objects of this machine")]
        let mut child = Command::new("git")
            .arg("--git-dir")
            .arg(repository)
            .args(["--literal-pathspecs", "diff-tree", "--stdin", "-r", "-z", "--raw", "--no-abbrev"])
            .args(["--no-renames", "--", folder.as_str()])
            .env("GIT_NO_LAZY_FETCH", "1")
            .stdin(pairs)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let (found, steps) = match child.stdout.take() {
            Some(out) => read(BufReader::new(out), first)?,
            None => (Vec::new(), 0),
        };
        Ok((found, steps, child.wait()?))
    };
    let (found, steps, status) = compare().map_err(broken)?;
    if !status.success() || steps + 1 != trees.len() {
        return Err(ReadError::Broken("git could not compare the commits' files".to_owned()));
    }
    Ok(found)
}

/// Reads what `git diff-tree --stdin -z` prints: a line for each pair of trees, then for each file that differs its modes, ids and
/// status after a colon, NUL, its path, NUL. Tells how many pairs there were.
fn read(mut out: impl BufRead, first: usize) -> io::Result<(Vec<Touched>, usize)> {
    let (mut found, mut steps, mut bytes) = (Vec::new(), 0, Vec::new());
    while let Some(next) = out.fill_buf()?.first().copied() {
        bytes.clear();
        if next != b':' {
            out.read_until(b'\n', &mut bytes)?;
            steps += 1;
            continue;
        }
        out.read_until(0, &mut bytes)?;
        let fields = String::from_utf8_lossy(&bytes).into_owned();
        bytes.clear();
        out.read_until(0, &mut bytes)?;
        bytes.pop();
        let fields: Vec<&str> = fields[1..].split(' ').collect();
        let [old_mode, mode, before, after, _] = fields[..] else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let file = |mode: &str, id: &str| id.parse::<ObjectId>().ok().filter(|_| mode.starts_with("100"));
        let (before, after) = (file(old_mode, before), file(mode, after));
        if let Ok(path) = str::from_utf8(&bytes)
            && before != after
        {
            found.push(Touched { step: (first + steps).saturating_sub(1), path: path.to_owned(), after });
        }
    }
    Ok((found, steps))
}
