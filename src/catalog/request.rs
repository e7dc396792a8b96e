//! What does a request file ask?

use super::yaml::Document;
use crate::domain::{Diagnostic, RepoPath, RequestFile};

/// Reads a request file, without holding it against its action.
///
/// # Errors
/// Everything that is wrong with its form.
pub fn read_request(_path: &RepoPath, _bytes: &[u8]) -> Result<(RequestFile, Document), Vec<Diagnostic>> {
    todo!()
}
