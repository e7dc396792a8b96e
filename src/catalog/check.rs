//! Is this whole catalog sound?

use super::{Files, Root};
use crate::domain::Diagnostic;

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Blueprint files.
    pub blueprints: usize,
    /// Entity files.
    pub entities: usize,
    /// Action files.
    pub actions: usize,
    /// Template folders.
    pub templates: usize,
    /// Request files.
    pub requests: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// Everything, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was looked at.
    pub counts: Counts,
}

/// Looks at everything and never stops at the first mistake.
pub fn check_all(_root: &Root, _files: &Files) -> Report {
    todo!()
}
