//! What lies in a folder of a tree?

use crate::{
    domain::{FileMode, ObjectId, RepoPath},
    git::objects::{Node, Objects, Read},
};

/// One of the folders that a catalog keeps much in, at one commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Below {
    pub(super) path: RepoPath,
    /// None where there is no such folder.
    pub(super) tree: Option<ObjectId>,
}

impl Below {
    pub(super) fn new(objects: &Objects, root: ObjectId, path: &RepoPath) -> Read<Self> {
        let tree = match objects.find(root, path.as_str())? {
            Some(Node::Folder(tree)) => Some(tree),
            Some(Node::File(_)) | None => None,
        };
        Ok(Self { path: path.clone(), tree })
    }
}

/// What one folder holds. Links and other repositories hold no document.
#[derive(Debug, Default)]
pub struct Listed {
    /// Its folders.
    pub folders: Vec<(RepoPath, ObjectId)>,
    /// In the order of their names.
    pub files: Vec<(RepoPath, ObjectId)>,
    /// Names that no file of a catalog can have.
    pub refused: Vec<String>,
}

impl Listed {
    fn file(&self, name: &str) -> Option<&(RepoPath, ObjectId)> {
        self.files.iter().find(|(path, _)| path.file_name() == name)
    }

    /// Whether it is the folder of a request that is not over.
    pub(super) fn is_open_request(&self) -> bool {
        self.file("request.yaml").is_some() && self.file("run.yaml").is_none()
    }
}

/// Reads one folder.
///
/// # Errors
/// When it is missing.
pub fn list(objects: &Objects, path: &RepoPath, tree: ObjectId) -> Read<Listed> {
    let mut listed = Listed::default();
    objects.each_entry(tree, &mut |name, node| {
        let Some(path) = std::str::from_utf8(name).ok().and_then(|name| path.join(name).ok()) else {
            listed.refused.push(String::from_utf8_lossy(name).into_owned());
            return;
        };
        match node {
            Node::Folder(tree) => listed.folders.push((path, tree)),
            Node::File(file) if matches!(file.mode, FileMode::File | FileMode::Executable) => {
                listed.files.push((path, file.id));
            }
            Node::File(_) => {}
        }
    })?;
    Ok(listed)
}

/// Whether a file holds a document.
pub(super) fn is_document(path: &RepoPath) -> bool {
    crate::catalog::is_document(path)
}
