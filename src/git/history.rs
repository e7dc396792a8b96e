//! How did a branch come to its head, and in which commits did a path appear?

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use git2::{Commit, MergeOptions, Oid, Sort, Tree};

use super::objects::{Objects, Read, ReadError, from_git, to_git};
use crate::{
    domain::{ObjectId, RepoPath, Timestamp},
    plan::facts::{Appearance, ChainCommit, ChainKind},
};

/// A branch under review with more commits than this is not judged.
const LONGEST_CHAIN: usize = 5_000;

/// How many folders are kept at hand while walking the history.
const FOLDERS_AT_HAND: usize = 4_096;

/// What was found out about the history before, so that the next look goes only through what is
/// new: for each path, up to which commit it is known, and its appearances from there on.
pub type Remembered = HashMap<RepoPath, (ObjectId, Vec<Appearance>)>;

impl Objects {
    /// The first-parent chain from a head down to the first commit that the base contains (which
    /// is left out), newest first.
    ///
    /// # Errors
    /// When a commit is missing, the chain is too long, or a path cannot be named.
    pub fn chain(&self, head: ObjectId, base: ObjectId) -> Read<Vec<ChainCommit>> {
        for id in [head, base] {
            self.root(id)?;
        }
        let beyond = self.beyond(head, base)?;
        let mut chain = Vec::new();
        let mut next = Some(to_git(head));
        while let Some(id) = next.filter(|id| beyond.contains(id)) {
            if chain.len() == LONGEST_CHAIN {
                return Err(ReadError::Strange(format!("the branch has more than {LONGEST_CHAIN} commits; make it anew")));
            }
            let commit = self.commit(id)?;
            let parent = commit.parent_id(0).ok();
            let before = parent.map(|parent| self.root(from_git(parent))).transpose()?;
            let changes = self.changes(before, from_git(commit.tree_id()))?;
            chain.push(ChainCommit {
                id: from_git(id),
                kind: self.kind(&commit, &beyond)?,
                paths: changes.into_keys().collect(),
            });
            next = parent;
        }
        Ok(chain)
    }

    /// The commits that the base does not contain.
    fn beyond(&self, head: ObjectId, base: ObjectId) -> Read<HashSet<Oid>> {
        let walk = || -> Result<HashSet<Oid>, git2::Error> {
            let mut walk = self.repository.revwalk()?;
            walk.set_sorting(Sort::NONE)?;
            walk.push(to_git(head))?;
            walk.hide(to_git(base))?;
            walk.collect()
        };
        walk().map_err(|error| ReadError::broken(&error))
    }

    fn kind(&self, commit: &Commit<'_>, beyond: &HashSet<Oid>) -> Read<ChainKind> {
        let parents: Vec<Oid> = commit.parent_ids().collect();
        let [ours, theirs] = parents[..] else {
            return Ok(if parents.len() < 2 { ChainKind::Ordinary } else { ChainKind::OtherMerge });
        };
        let of_base = !beyond.contains(&theirs);
        if of_base && self.merges_cleanly(ours, theirs, commit.tree_id())? {
            return Ok(ChainKind::CleanMergeOfBase);
        }
        Ok(ChainKind::OtherMerge)
    }

    /// Whether merging anew gives exactly this tree. libgit2 is asked first, being quick; forges
    /// merge as the git program does, which follows renames further, so it has the last word.
    fn merges_cleanly(&self, ours: Oid, theirs: Oid, tree: Oid) -> Read<bool> {
        if self.merge(ours, theirs)? == Some(tree) {
            return Ok(true);
        }
        let merged = self.git.merge_tree(from_git(ours), from_git(theirs));
        merged.map(|merged| merged == Some(from_git(tree))).map_err(|error| ReadError::Broken(error.to_string()))
    }

    fn merge(&self, ours: Oid, theirs: Oid) -> Read<Option<Oid>> {
        let (ours, theirs) = (self.commit(ours)?, self.commit(theirs)?);
        let merge = || {
            let mut index = self.repository.merge_commits(&ours, &theirs, Some(&MergeOptions::new()))?;
            if index.has_conflicts() {
                return Ok(None);
            }
            index.write_tree_to(&self.repository).map(Some)
        };
        merge().map_err(|error: git2::Error| ReadError::broken(&error))
    }

    /// The commits on the first-parent chain of `head` in which each path appeared, newest first.
    /// A path that went away and came back has appeared twice, so the walk goes to the very
    /// beginning, or to where it came the last time.
    ///
    /// # Errors
    /// When a commit or folder is missing.
    pub fn appearances(
        &self,
        head: ObjectId,
        paths: &BTreeSet<RepoPath>,
        remembered: &mut Remembered,
    ) -> Read<BTreeMap<RepoPath, Vec<Appearance>>> {
        let mut found: BTreeMap<&RepoPath, Vec<Appearance>> = paths.iter().map(|path| (path, Vec::new())).collect();
        let mut open: BTreeMap<&RepoPath, bool> = paths.iter().map(|path| (path, false)).collect();
        let mut folders = HashMap::new();
        let mut child: Option<(ObjectId, Timestamp)> = None;
        let mut next = Some(to_git(head));
        while let Some(id) = next.filter(|_| !open.is_empty()) {
            let commit = self.commit(id)?;
            let here = from_git(id);
            let mut settled = Vec::new();
            for (path, present_in_child) in &mut open {
                let present = self.is_present(commit.tree_id(), path, &mut folders)?;
                let appearances = found.get_mut(path).expect("every path has a list");
                if let Some((commit, at)) = child.filter(|_| *present_in_child && !present) {
                    appearances.push(Appearance { commit, parent: Some(here), at });
                }
                *present_in_child = present;
                if let Some((known, older)) = remembered.get(*path)
                    && *known == here
                {
                    appearances.extend(older);
                    settled.push(*path);
                }
            }
            for path in settled {
                open.remove(path);
            }
            child = Some((here, Timestamp::from_seconds(commit.time().seconds())));
            next = commit.parent_id(0).ok();
        }
        for (path, present) in open {
            if let Some((commit, at)) = child.filter(|_| present) {
                found.entry(path).or_default().push(Appearance { commit, parent: None, at });
            }
        }
        let found: BTreeMap<RepoPath, Vec<Appearance>> =
            found.into_iter().map(|(path, appearances)| (path.clone(), appearances)).collect();
        remembered.extend(found.iter().map(|(path, appearances)| (path.clone(), (head, appearances.clone()))));
        Ok(found)
    }

    fn is_present<'a>(&'a self, root: Oid, path: &RepoPath, folders: &mut HashMap<Oid, Tree<'a>>) -> Read<bool> {
        if folders.len() > FOLDERS_AT_HAND {
            folders.clear();
        }
        let mut folder = Some(root);
        for segment in path.as_str().split('/') {
            let Some(id) = folder else {
                return Ok(false);
            };
            let tree = match folders.entry(id) {
                std::collections::hash_map::Entry::Occupied(slot) => slot.into_mut(),
                std::collections::hash_map::Entry::Vacant(slot) => slot.insert(self.tree(from_git(id))?),
            };
            let Some(entry) = tree.get_name(segment) else {
                return Ok(false);
            };
            folder = (entry.filemode() == 0o040_000).then(|| entry.id());
        }
        Ok(true)
    }

    fn commit(&self, id: Oid) -> Read<Commit<'_>> {
        self.repository.find_commit(id).map_err(|error| match error.code() {
            git2::ErrorCode::NotFound => ReadError::Missing(from_git(id)),
            _ => ReadError::broken(&error),
        })
    }
}
