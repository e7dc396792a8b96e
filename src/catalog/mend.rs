//! What mends a mistake, where that leaves no doubt about what was meant?
//!
//! A fix is a change of the text by span, so that it can be shown before it is made and touches nothing else.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Files,
    values::{Segment, field_name},
    yaml::{Document, plain_value},
};
use crate::domain::{Bytes, Diagnostic, Fix, Replacement, RepoPath};

/// What mends a value or its key, before anybody knows where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mend {
    /// The key is called so.
    Rename(String),
    /// What is written is a text.
    Quote,
    /// The value is this one.
    Set(Value),
}

/// The change of a document that mends what is at this path.
pub(super) fn fix(document: &Document, path: &[Segment], mend: &Mend) -> Option<Fix> {
    let (span, text, title) = match mend {
        Mend::Rename(name) => {
            let (_, parents) = path.split_last()?;
            let renamed: Vec<Segment> = parents.iter().cloned().chain([name.as_str().into()]).collect();
            if document.has(&renamed) {
                return None;
            }
            let (span, written) = document.written_key(path)?;
            (span, like(written, name), format!("call it `{}`", field_name(&renamed)))
        }
        Mend::Quote => {
            let (span, written) = document.written(path)?;
            (span, Value::from(written).to_string(), format!("put `{}` in quotes", field_name(path)))
        }
        Mend::Set(value) => {
            let (span, written) = document.written(path)?;
            let text = value.as_str().map_or_else(|| value.to_string(), |text| like(written, text));
            let title = format!("set `{}` to `{}`", field_name(path), value.as_str().unwrap_or(&text));
            (span, text, title)
        }
    };
    Some(Fix { title, edits: vec![Replacement { span, text }] })
}

/// A text with the quotes that were there, or those that it needs.
fn like(written: &str, text: &str) -> String {
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_./@-".contains(c))
        && plain_value(text).is_some_and(|value| value.is_string());
    match written.chars().next() {
        Some('\'') if !text.contains(['\'', '\n']) => format!("'{text}'"),
        Some(quote) if quote != '"' && is_plain => text.to_owned(),
        _ => Value::from(text).to_string(),
    }
}

/// A file with its mistakes mended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Mended {
    /// Which file.
    pub path: RepoPath,
    /// What it says then.
    pub bytes: Bytes,
    /// The diagnostics that are mended, in the order of the text.
    pub done: Vec<Diagnostic>,
}

/// Takes away the fixes of a file that want the same, such as two keys to be called alike: which is meant, nobody knows.
pub(super) fn drop_rivals(diagnostics: &mut [Diagnostic]) {
    let mut wanted: BTreeMap<(String, String), usize> = BTreeMap::new();
    let key = |diagnostic: &Diagnostic| {
        Some((diagnostic.place.source.clone(), diagnostic.fix.as_ref()?.title.clone()))
    };
    for key in diagnostics.iter().filter_map(key) {
        *wanted.entry(key).or_default() += 1;
    }
    for diagnostic in diagnostics {
        if key(diagnostic).is_some_and(|key| wanted[&key] > 1) {
            diagnostic.fix = None;
        }
    }
}

/// Applies the fixes. Of two that reach into each other the later one is left, and may be offered again for
/// what came of the first.
pub fn apply_fixes(files: &Files, diagnostics: &[Diagnostic]) -> Vec<Mended> {
    let mut by_file: BTreeMap<&str, Vec<(&Fix, &Diagnostic)>> = BTreeMap::new();
    for diagnostic in diagnostics {
        if let Some(fix) = diagnostic.fix.as_deref() {
            by_file.entry(&diagnostic.place.source).or_default().push((fix, diagnostic));
        }
    }
    let one = |(source, mut fixes): (&str, Vec<(&Fix, &Diagnostic)>)| {
        let path: RepoPath = source.parse().ok()?;
        let text = files.get(&path)?;
        fixes.sort_by_key(|(fix, _)| fix.edits.first().map(|edit| edit.span.start));
        let (mut bytes, mut done, mut at) = (Vec::new(), Vec::new(), 0);
        for (fix, diagnostic) in fixes {
            let begins = fix.edits.first().map_or(0, |edit| edit.span.start);
            if begins < at {
                continue;
            }
            for edit in &fix.edits {
                bytes.extend_from_slice(text.get(at..edit.span.start)?);
                bytes.extend_from_slice(edit.text.as_bytes());
                at = edit.span.end;
            }
            done.push(diagnostic.clone());
        }
        bytes.extend_from_slice(text.get(at..)?);
        Some(Mended { path, bytes: Bytes::from(bytes), done })
    };
    by_file.into_iter().filter_map(one).collect()
}
