//! What text does a template give?

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::{Bytes, Diagnostic, Place, RepoPath, Template};

/// What a template sees: the named data and nothing else.
#[derive(Debug, Clone)]
pub struct Context(Map<String, Value>);

impl Context {
    /// The context with these names.
    pub fn new(names: Map<String, Value>) -> Self {
        Self(names)
    }
}

/// The text that `template`, found at `place`, gives.
///
/// # Errors
/// When it is no template, or fails on this data.
pub fn text(_template: &str, _place: &Place, _context: &Context) -> Result<String, Diagnostic> {
    todo!()
}

/// `template` with every string in it rendered; a string that is one whole `{{ expression }}` keeps its type.
///
/// # Errors
/// As [`text`].
pub fn value(_template: &Value, _place: &Place, _context: &Context) -> Result<Value, Diagnostic> {
    todo!()
}

/// The path that `template` gives. What an expression gives never adds a segment.
///
/// # Errors
/// As [`text`], and when the result is no path inside the repository.
pub fn path(_template: &str, _place: &Place, _context: &Context) -> Result<RepoPath, Diagnostic> {
    todo!()
}

/// The files that a template gives, each looked at by [`super::inspect`].
///
/// # Errors
/// Everything that is wrong with it on this data.
pub fn files(_template: &Template, _context: &Context) -> Result<BTreeMap<RepoPath, Bytes>, Vec<Diagnostic>> {
    todo!()
}
