//! What lies in a folder of a tree?

use crate::{
    domain::{FileMode, ObjectId, RepoPath, TreeEntry},
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
    list_new(objects, path, tree, &mut |_, _| false)
}

/// Reads one folder but for the files that are known already, which are told by name and blob, in the order of their names.
pub(super) fn list_new(
    objects: &Objects,
    path: &RepoPath,
    tree: ObjectId,
    is_known: &mut dyn FnMut(&[u8], ObjectId) -> bool,
) -> Read<Listed> {
    let mut listed = Listed::default();
    objects.each_entry(tree, &mut |name, node| {
        let file = match node {
            Node::File(TreeEntry { mode: FileMode::File | FileMode::Executable, id }) => Some(id),
            _ => None,
        };
        if file.is_some_and(|id| is_known(name, id)) {
            return;
        }
        let Some(path) = std::str::from_utf8(name).ok().and_then(|name| path.join(name).ok()) else {
            listed.refused.push(String::from_utf8_lossy(name).into_owned());
            return;
        };
        match node {
            Node::Folder(tree) => listed.folders.push((path, tree)),
            Node::File(_) => listed.files.extend(file.map(|id| (path, id))),
        }
    })?;
    Ok(listed)
}

/// Whether a file holds a document.
pub(super) fn is_document(path: &RepoPath) -> bool {
    crate::catalog::is_document(path)
}
