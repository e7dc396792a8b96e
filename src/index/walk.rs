//! What lies in a folder of a tree?

use crate::{
    domain::{FileMode, ObjectId, RepoPath, TreeEntry},
    git::{
        objects::{Node, Objects, Read},
        tree::entries,
    },
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
    objects.look_at_folder(tree, |text| listed(path, text))
}

/// What the text of a folder at this path says.
pub(super) fn listed(path: &RepoPath, text: &[u8]) -> Read<Listed> {
    let mut listed = Listed::default();
    for entry in entries(text) {
        let entry = entry?;
        let Some(path) = child(path, entry.name) else {
            listed.refused.push(String::from_utf8_lossy(entry.name).into_owned());
            continue;
        };
        match entry.node {
            Node::Folder(tree) => listed.folders.push((path, tree)),
            Node::File(_) => listed.files.extend(document(entry.node).map(|blob| (path, blob))),
        }
    }
    Ok(listed)
}

/// The path of what has this name in a folder; none where no file of a catalog can have it.
pub(super) fn child(folder: &RepoPath, name: &[u8]) -> Option<RepoPath> {
    folder.join(std::str::from_utf8(name).ok()?).ok()
}

/// The blob of what may hold a document: no link and no other repository.
pub(super) fn document(node: Node) -> Option<ObjectId> {
    match node {
        Node::File(TreeEntry { mode: FileMode::File | FileMode::Executable, id }) => Some(id),
        Node::File(_) | Node::Folder(_) => None,
    }
}

/// Whether a file holds a document.
pub(super) fn is_document(path: &RepoPath) -> bool {
    crate::catalog::is_document(path)
}
