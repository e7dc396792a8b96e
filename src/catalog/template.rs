//! What does a folder of templates hold?

use std::collections::BTreeMap;

use crate::domain::{Bytes, Diagnostic, RepoPath, Template, TemplateName};

/// Reads a folder of templates; the paths are inside it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_template(
    _name: &TemplateName,
    _files: &BTreeMap<RepoPath, Bytes>,
) -> Result<Template, Vec<Diagnostic>> {
    todo!()
}
