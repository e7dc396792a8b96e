//! How is a value set inside a file that people wrote, so that everything else stays byte for byte?

use serde_json::{Map, Value};

use super::Context;
use crate::domain::{Bytes, Diagnostic, EditTarget, Entity, Place, RepoPath};

/// The target with its expressions rendered. What an expression gives never adds a step to the place.
///
/// # Errors
/// When it is no place, or its expressions fail.
pub fn target(_target: &EditTarget, _place: &Place, _context: &Context) -> Result<EditTarget, Diagnostic> {
    todo!()
}

/// The file `old` with `value` at `target`.
///
/// # Errors
/// When there is no such place, or it cannot be changed without touching anything else.
pub fn set(
    _path: &RepoPath,
    _old: &[u8],
    _target: &EditTarget,
    _value: &Value,
) -> Result<Vec<u8>, Diagnostic> {
    todo!()
}

/// The entity file `old` with this merge patch (RFC 7386) applied in place: null clears.
///
/// # Errors
/// As [`set`].
pub fn merge_entity(
    _path: &RepoPath,
    _old: &[u8],
    _fields: &Map<String, Value>,
) -> Result<Vec<u8>, Diagnostic> {
    todo!()
}

/// The file of a new entity.
pub fn new_entity(_entity: &Entity) -> Bytes {
    todo!()
}
