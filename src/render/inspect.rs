//! Is a file what its name says?

use crate::domain::{Diagnostic, RepoPath};

/// What is wrong with this YAML or JSON file; nothing for other files.
pub fn inspect(_path: &RepoPath, _bytes: &[u8]) -> Option<Diagnostic> {
    todo!()
}
