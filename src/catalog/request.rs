//! What does a request file ask?

use super::{
    document::{Reader, read, request::RequestDocument},
    yaml::Document,
};
use crate::domain::{Diagnostic, RepoPath, RequestFile};

/// Reads a request file, without holding it against its action.
///
/// # Errors
/// Everything that is wrong with its form.
pub fn read_request(path: &RepoPath, bytes: &[u8]) -> Result<(RequestFile, Document), Vec<Diagnostic>> {
    let (request, reader) = examine(path, bytes)?;
    if reader.found.is_empty() { Ok((request, reader.document)) } else { Err(reader.found) }
}

/// Reads a request file as far as it can be read, noting everything that is wrong with it.
pub(super) fn examine(path: &RepoPath, bytes: &[u8]) -> Result<(RequestFile, Reader), Vec<Diagnostic>> {
    let (document, mut reader) = read::<RequestDocument>(path.as_str(), bytes)?;
    match document.into_domain(&mut reader) {
        Some(request) => Ok((request, reader)),
        None => Err(reader.found),
    }
}
