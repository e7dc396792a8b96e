//! A repository for the unit tests.

use git2::{Repository, Signature, Time};
use tempfile::TempDir;

use super::{
    objects::{Objects, from_git, to_git},
    wire::{Git, Remote},
    write::write_tree,
};
use crate::domain::{Change, Changes, ObjectId};

pub(super) struct Fixture {
    pub(super) objects: Objects,
    pub(super) folder: TempDir,
}

/// `path text`, one a line; `-path` deletes.
pub(super) fn changes(text: &str) -> Changes {
    text.lines()
        .map(|line| match line.trim().strip_prefix('-') {
            Some(path) => (path.parse().unwrap(), Change::Delete),
            None => {
                let (path, text) = line.trim().split_once(' ').unwrap();
                (
                    path.parse().unwrap(),
                    Change::Put(format!("{}\n", text.replace('|', "\n")).as_bytes().into()),
                )
            }
        })
        .collect()
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init_bare(folder.path()).unwrap();
        let path = std::env::vars().filter(|(name, _)| name == "PATH").collect();
        let remote =
            Remote { url: format!("file://{}", folder.path().display()), token: None, environment: path };
        let git = Git { folder: folder.path().to_owned(), remote };
        Self { objects: Objects::new(repository, git), folder }
    }

    /// A commit that changes its first parent's files.
    pub(super) fn commit(&self, parents: &[ObjectId], text: &str) -> ObjectId {
        self.commit_at(parents, text, 1_000)
    }

    /// The same, by another clock.
    pub(super) fn commit_at(&self, parents: &[ObjectId], text: &str, seconds: i64) -> ObjectId {
        let empty = self.objects.store(git2::ObjectType::Tree, &[]).unwrap();
        let before = parents.first().map_or(empty, |parent| self.objects.root(*parent).unwrap());
        let tree = write_tree(&self.objects, before, &changes(text)).unwrap();
        self.commit_tree_at(parents, tree, seconds)
    }

    pub(super) fn commit_tree(&self, parents: &[ObjectId], tree: ObjectId) -> ObjectId {
        self.commit_tree_at(parents, tree, 1_000)
    }

    fn commit_tree_at(&self, parents: &[ObjectId], tree: ObjectId, seconds: i64) -> ObjectId {
        let repository = &self.objects.repository;
        let parents: Vec<_> = parents.iter().map(|id| repository.find_commit(to_git(*id)).unwrap()).collect();
        let parents: Vec<_> = parents.iter().collect();
        let who = Signature::new("a", "a@b.test", &Time::new(seconds, 0)).unwrap();
        let tree = repository.find_tree(to_git(tree)).unwrap();
        from_git(repository.commit(None, &who, &who, "x", &tree, &parents).unwrap())
    }

    /// The files of a commit, as `path mode`.
    pub(super) fn files(&self, commit: ObjectId) -> Vec<String> {
        let mut files = Vec::new();
        let root = self.objects.root(commit).unwrap();
        self.objects
            .walk(root, "", &mut |path, entry| {
                files.push(format!("{path} {:?}", entry.mode));
                Ok(())
            })
            .unwrap();
        files
    }
}
