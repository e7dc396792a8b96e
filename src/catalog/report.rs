//! How do people and programs read what was found?

use super::check::Counts;
use crate::domain::{Bytes, Diagnostic};

/// As a compiler prints it; `sources` finds the text of a file.
pub fn text(_diagnostics: &[Diagnostic], _sources: &dyn Fn(&str) -> Option<Bytes>) -> String {
    todo!()
}

/// As one JSON object.
pub fn json(_diagnostics: &[Diagnostic], _counts: &Counts) -> String {
    todo!()
}

/// As annotations of a GitHub workflow, one line each.
pub fn github(_diagnostics: &[Diagnostic]) -> String {
    todo!()
}

/// As a Markdown list for a comment; nothing in it can pose as Markdown.
pub fn markdown(_diagnostics: &[Diagnostic]) -> String {
    todo!()
}
