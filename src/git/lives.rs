//! How did the files of a folder change, commit by commit?

use git2::{Commit, Oid};

use super::{
    history::Lived,
    objects::{Node, Objects, Read, from_git, to_git},
};
use crate::domain::{ObjectId, RepoPath};

/// A file that differs: its path, what it was, and what it is.
pub type Differing = (String, Option<ObjectId>, Option<ObjectId>);

/// What comes before a commit, by first parents.
pub(super) enum Before {
    /// Nothing: it is the first.
    Nothing,
    /// This commit.
    Commit(Oid),
    /// What a shallow clone has left out.
    CutOff,
}

impl Objects {
    /// Visits the commits on the first-parent chain of `head` that changed files below a folder, newest first. Tells
    /// whether the history is cut off; what the oldest commit of such a one brought is not known and not visited.
    ///
    /// # Errors
    /// When a folder is missing, or the visitor's.
    pub fn lives(
        &self,
        head: ObjectId,
        folder: &RepoPath,
        visit: &mut dyn FnMut(&Lived, &[Differing]) -> Read<()>,
    ) -> Read<bool> {
        let folder_at = |commit: Oid| -> Read<Option<ObjectId>> {
            Ok(match self.at(from_git(commit), folder)? {
                Some(Node::Folder(id)) => Some(id),
                Some(Node::File(_)) | None => None,
            })
        };
        let (mut id, mut after) = (to_git(head), folder_at(to_git(head))?);
        loop {
            let commit = self.commit(id)?;
            let next = match self.before(&commit) {
                Before::CutOff => return Ok(true),
                Before::Nothing => None,
                Before::Commit(parent) => Some(parent),
            };
            let before = match next {
                Some(parent) => folder_at(parent)?,
                None => None,
            };
            if before != after {
                let mut changed: Vec<Differing> = Vec::new();
                self.compare(before, after, folder.as_str(), &mut |path, before, after| {
                    changed.push((path.to_owned(), before.map(|file| file.id), after.map(|file| file.id)));
                    Ok(())
                })?;
                visit(&Lived::of(&commit), &changed)?;
            }
            let Some(parent) = next else { return Ok(false) };
            (id, after) = (parent, before);
        }
    }

    pub(super) fn before(&self, commit: &Commit<'_>) -> Before {
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
