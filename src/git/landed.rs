//! How did the default branch come to be what it is, as far as some folders go?

use std::{collections::BTreeMap, path::Path};

use super::{
    objects::{Node, Objects, Read, ReadError, from_git, to_git},
    sign,
    touched::{End, Made, touched},
};
use crate::{
    domain::{ObjectId, RepoPath},
    plan::audit::{Landed, Signature},
};

impl Objects {
    /// The commits on the first-parent line of a head that changed something below these folders, oldest first; and
    /// every commit of the line.
    ///
    /// # Errors
    /// When an object is missing, or the clone is shallow.
    pub fn landed(&self, head: ObjectId, folders: &[&RepoPath]) -> Read<(Vec<Landed>, Vec<ObjectId>)> {
        let mut made: Vec<Made> = Vec::new();
        if self.line(head, &mut |_| false, &mut |one| made.push(one))? == End::CutOff {
            return Err(ReadError::Strange(
                "the clone is shallow, so what was before is not known: `git fetch --unshallow`".to_owned(),
            ));
        }
        made.reverse();
        let mut trees = vec![None];
        trees.extend(made.iter().map(|made| Some(made.tree)));
        let mut steps: Vec<usize> = Vec::new();
        for folder in folders {
            steps.extend(touched(self.folder(), &trees, folder)?.iter().map(|touched| touched.step));
        }
        steps.sort_unstable();
        steps.dedup();
        let mut landed = Vec::new();
        for step in steps {
            landed.push(self.landed_at(&made[step], trees[step], folders)?);
        }
        Ok((landed, made.iter().map(|made| made.commit).collect()))
    }

    fn landed_at(&self, made: &Made, before: Option<ObjectId>, folders: &[&RepoPath]) -> Read<Landed> {
        let commit = self.commit(to_git(made.commit))?;
        let words = |commit: &git2::Commit<'_>| String::from_utf8_lossy(commit.message_bytes()).into_owned();
        let mut changes = BTreeMap::new();
        let mut unreadable = None;
        for folder in folders {
            let tree = |root| match self.find(root, folder.as_str()) {
                Ok(Some(Node::Folder(tree))) => Ok(Some(tree)),
                Ok(_) => Ok(None),
                Err(error) => Err(error),
            };
            let (before, after) = (before.map(tree).transpose()?.flatten(), tree(made.tree)?);
            let found = self.compare(before, after, folder.as_str(), &mut |path, before, after| {
                match path.parse::<RepoPath>() {
                    Ok(path) => drop(changes.insert(path, crate::plan::facts::DiffEntry { before, after })),
                    Err(error) => unreadable = Some(error.to_string()),
                }
                Ok(())
            });
            match found {
                Err(ReadError::Strange(why)) => unreadable = Some(why),
                found => found?,
            }
        }
        let merged = commit.parent(1).ok();
        Ok(Landed {
            commit: made.commit,
            parent: commit.parent_id(0).ok().map(from_git),
            merged: merged.as_ref().map(|merged| from_git(merged.id())),
            at: made.at,
            author: made.author.clone(),
            messages: std::iter::once(words(&commit)).chain(merged.as_ref().map(words)).collect(),
            changes,
            unreadable,
            signature: Signature::NotAsked,
        })
    }

    /// Whether a commit is signed by one of these people: a file of allowed signers, as ssh-keygen reads it.
    pub fn signature(&self, commit: ObjectId, signers: &Path) -> Signature {
        match sign::verify(self.folder(), commit, signers) {
            Ok(()) => Signature::Good,
            Err(why) => Signature::Bad(why),
        }
    }
}
