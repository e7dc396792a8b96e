//! Which definitions do these files hold?

use std::collections::BTreeMap;

use super::{Definitions, Files, Root, Settings};
use crate::domain::{Action, Blueprint, BlueprintId, Bytes, Diagnostic, RepoPath};

/// Reads `chandlery.yaml`.
///
/// # Errors
/// What is wrong with it, or that it is missing.
pub fn load_settings(_root: &Root, _file: Option<&Bytes>) -> Result<Settings, Vec<Diagnostic>> {
    todo!()
}

/// Reads every definition among `files`: what is usable, and everything that is wrong.
pub fn load_definitions(_root: &Root, _settings: Settings, _files: &Files) -> (Definitions, Vec<Diagnostic>) {
    todo!()
}

/// Reads one action, without holding it against anything else.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_action(_path: &RepoPath, _bytes: &[u8]) -> Result<Action, Vec<Diagnostic>> {
    todo!()
}

pub(super) fn built_in() -> BTreeMap<BlueprintId, Blueprint> {
    todo!()
}
