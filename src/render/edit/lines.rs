//! How does one line of any text change?

use regex::RegexBuilder;
use serde_json::Value;

use crate::domain::{Diagnostic, Place, RepoPath};

/// The largest pattern that is compiled.
const MAX_PATTERN: usize = 1 << 20;

/// Adds a line, unless it is there: behind the one line that a pattern matches, or as the last.
pub(super) fn add(
    path: &RepoPath,
    text: &str,
    line: &str,
    after: Option<&str>,
) -> Result<Vec<u8>, Diagnostic> {
    let here = Place::file(path.as_str());
    if line.contains(['\n', '\r']) || line.trim().is_empty() {
        let message = format!("{line:?} is not one line");
        return Err(Diagnostic::error("edit-match", here, message)
            .help("use a value without line breaks; each line is an edit of its own"));
    }
    if text.lines().any(|other| other == line) {
        return Ok(text.as_bytes().to_vec());
    }
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let at = match after {
        None => text.len(),
        Some(pattern) => {
            let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build().ok();
            let mut start = 0;
            let mut ends = Vec::new();
            for found in text.split_inclusive('\n') {
                start += found.len();
                let content = found.trim_end_matches(['\n', '\r']);
                if regex.as_ref().is_some_and(|regex| regex.is_match(content)) {
                    ends.push(start);
                }
            }
            let [end] = ends[..] else {
                let message =
                    format!("{} lines of `{path}` match `{pattern}`, and exactly one must", ends.len());
                return Err(Diagnostic::error("edit-match", here, message)
                    .help("make `after` match the one line that is meant, or leave it out to add the line at the end"));
            };
            end
        }
    };
    let (before, behind) = text.split_at(at);
    let begins = before.is_empty() || before.ends_with('\n');
    let written = if begins { format!("{line}{newline}") } else { format!("{newline}{line}") };
    Ok(format!("{before}{written}{behind}").into_bytes())
}

/// Replaces the first group of a pattern in the one line that it matches.
pub(super) fn set(path: &RepoPath, text: &str, pattern: &str, value: &Value) -> Result<Vec<u8>, Diagnostic> {
    let here = Place::file(path.as_str());
    let regex = RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
    let Some(regex) = regex.ok().filter(|regex| regex.captures_len() > 1) else {
        return Err(Diagnostic::error("edit-match", here, format!("`{pattern}` is not a pattern with a group"))
            .help("write a regular expression in which the part to replace is in parentheses, such as `^version = \"(.*)\"$`"));
    };
    let written = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if written.contains(['\n', '\r']) {
        return Err(Diagnostic::error(
            "edit-match",
            here,
            format!("the new value for `{pattern}` has several lines"),
        )
        .help("a `match` replaces part of one line: use a value without line breaks"));
    }
    let mut start = 0;
    let mut hits = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches(['\n', '\r']);
        if let Some(group) = regex.captures(content).and_then(|groups| groups.get(1)) {
            hits.push((start..start + content.len(), start + group.start()..start + group.end()));
        }
        start += line.len();
    }
    let [(line, group)] = &hits[..] else {
        return Err(Diagnostic::error(
            "edit-match",
            here,
            format!("{} lines of `{path}` match `{pattern}`, and exactly one must", hits.len()),
        )
        .help("make the pattern match the one line that is meant"));
    };
    let new_line = format!("{}{written}{}", &text[line.start..group.start], &text[group.end..line.end]);
    let again = regex.captures(&new_line).and_then(|groups| groups.get(1));
    if again.is_none_or(|group| group.as_str() != written) {
        return Err(Diagnostic::error(
            "edit-match",
            here,
            format!("with the value `{written}` the line no longer matches `{pattern}`"),
        )
        .help("use a value that fits the pattern"));
    }
    Ok(format!("{}{new_line}{}", &text[..line.start], &text[line.end..]).into_bytes())
}
