//! What does an example of a request say?

use std::collections::BTreeMap;

use super::document::{case::CaseDocument, read};
use crate::domain::{ActionId, Diagnostic, Login, RepoName, RepoPath, RequestFile};

/// An example of a request, and what is expected of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// What it shows.
    pub description: Option<String>,
    /// What is asked.
    pub request: RequestFile,
    /// Who asks.
    pub requester: Option<Login>,
    /// The folder with the files of each target, as seen from the case.
    pub targets: BTreeMap<RepoName, String>,
    /// The folder of entities that are there, too, as seen from the case.
    pub entities: Option<String>,
    /// The file with the diff, as seen from the case.
    pub diff: Option<String>,
    /// Why it is refused: codes, or parts of what is told. Empty: it is planned.
    pub errors: Vec<String>,
    /// Who may approve, by rule.
    pub approvers: Option<BTreeMap<String, Vec<String>>>,
}

/// Reads an example of a request for this action.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_case(path: &RepoPath, bytes: &[u8], action: &ActionId) -> Result<Case, Vec<Diagnostic>> {
    let (document, mut reader) = read::<CaseDocument>(path.as_str(), bytes)?;
    let case = document.into_domain(action, &mut reader);
    reader.finish(case)
}
