//! What does an example for policies say?

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::document::{policy::case::PolicyCaseDocument, read};
use crate::domain::{ActionId, Diagnostic, Login, RepoName, RepoPath, RequestFile, Timestamp};

/// An example of a request, and what policies are expected to say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCase {
    /// What it shows.
    pub description: Option<String>,
    /// What is asked.
    pub request: RequestFile,
    /// Who asks.
    pub requester: Login,
    /// When.
    pub at: Option<Timestamp>,
    /// Entities that are there, too.
    pub entities: Vec<Map<String, Value>>,
    /// The folder with the files of each target, as seen from the case.
    pub targets: BTreeMap<RepoName, String>,
    /// What was merged before.
    pub history: Vec<Merged>,
    /// What is expected.
    pub expected: Decision,
}

/// A request that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Its action.
    pub action: ActionId,
    /// Who asked.
    pub requester: Login,
    /// When it was merged.
    pub at: Timestamp,
    /// What was asked; none where that is not known.
    pub inputs: Option<Map<String, Value>>,
}

/// What policies say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is planned.
    Allowed {
        /// The rules of approval that policies add, by name.
        approvals: Vec<String>,
    },
    /// It is refused.
    Denied {
        /// Codes, or parts of what is told.
        because: Vec<String>,
    },
    /// It is planned, and not carried out yet.
    Frozen {
        /// As above.
        approvals: Vec<String>,
        /// Until when, where that is expected.
        until: Option<Timestamp>,
    },
}

/// Reads an example for policies.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_policy_case(path: &RepoPath, bytes: &[u8]) -> Result<PolicyCase, Vec<Diagnostic>> {
    let (document, mut reader) = read::<PolicyCaseDocument>(path.as_str(), bytes)?;
    let case = document.into_domain(&mut reader);
    reader.finish(case)
}
