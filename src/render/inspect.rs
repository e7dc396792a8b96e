//! Is a rendered file what its name says, and did its template make all of its structure?
//!
//! What an expression writes into YAML or JSON must stay inside one value, key or comment. An input
//! such as `x\nadmin: true` would otherwise add a key. `yaml` and `tojson` write any value safely, and
//! with them an expression may give a whole list or mapping.

use std::ops::Range;

use crate::domain::{Diagnostic, Place, RepoPath, Span};

use super::edit::tree::{self, Kind, Node, Style, Unreadable};

/// A rendered text.
#[derive(Debug, Clone)]
pub(super) struct Written {
    /// The text.
    pub(super) text: String,
    /// What of it expressions wrote.
    pub(super) expressions: Vec<Expression>,
}

/// An expression of a template that wrote something.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    /// What it wrote.
    pub(super) output: Range<usize>,
    /// Where it is in the template.
    pub(super) source: Range<usize>,
    /// The same, for people.
    pub(super) place: Place,
}

/// What is wrong with this YAML or JSON file; nothing for other files.
pub fn inspect(path: &RepoPath, bytes: &[u8]) -> Option<Diagnostic> {
    let problem = match std::str::from_utf8(bytes) {
        Ok(text) => documents(path, text)?.err()?,
        Err(_) => match language(path)? {
            Language::Yaml | Language::Json => Unreadable { message: "it is not UTF-8".to_owned(), at: None },
        },
    };
    Some(unreadable(path, &problem))
}

/// The same for what a template wrote, with a look at what its expressions did.
pub(super) fn written(
    path: &RepoPath,
    text: &str,
    source: &str,
    expressions: &[Expression],
) -> Option<Diagnostic> {
    let parsed = documents(path, text)?;
    let (documents, problem) = match parsed {
        Ok(documents) => (documents, None),
        Err(problem) => (Vec::new(), Some(unreadable(path, &problem))),
    };
    if problem.is_some() {
        return problem;
    }
    let mut scalars = Vec::new();
    documents.iter().for_each(|document| collect(document, &mut scalars));
    scalars.sort_by_key(|(range, _)| range.start);
    expressions.iter().find_map(|expression| {
        let writes_structure = expression_writes_structure(source.get(expression.source.clone()).unwrap_or_default());
        if writes_structure || stays_inside(text, expression.output.clone(), &scalars) {
            return None;
        }
        let wrote = text.get(expression.output.clone()).unwrap_or_default();
        let shown: String = wrote.chars().take(60).collect();
        Some(
            Diagnostic::error(
                "template-structure",
                expression.place.clone(),
                format!("this expression writes {shown:?} into `{path}`, which is more than one value there"),
            )
            .help("write `{{ … | yaml }}` (in JSON `{{ … | tojson }}`), without quotes around it: it quotes what needs quotes"),
        )
    })
}

/// Whether the author of a template says that this may be more than one scalar: by our filters, or by
/// calling a macro, whose own expressions cannot be told apart.
fn expression_writes_structure(source: &str) -> bool {
    let last_filter = source.rsplit('|').next().unwrap_or_default().trim();
    let filtered = source.contains('|') && matches!(last_filter, "yaml" | "tojson");
    filtered || (source.ends_with(')') && !source.contains('|') && !source.contains('~'))
}

fn collect(node: &Node, scalars: &mut Vec<(Range<usize>, Style)>) {
    match &node.kind {
        Kind::Scalar { style, .. } => scalars.push((node.start..node.end, *style)),
        // An alias stands for what is written elsewhere: no expression may write one.
        Kind::Alias => {}
        Kind::List { items, .. } => items.iter().for_each(|item| collect(item, scalars)),
        Kind::Map { entries, .. } => entries.iter().for_each(|(key, value)| {
            collect(key, scalars);
            collect(value, scalars);
        }),
    }
}

fn stays_inside(text: &str, output: Range<usize>, scalars: &[(Range<usize>, Style)]) -> bool {
    let wrote = &text[output.clone()];
    let start = output.start + (wrote.len() - wrote.trim_start().len());
    let end = start + wrote.trim().len();
    if start == end {
        return true;
    }
    let after = scalars.partition_point(|(range, _)| range.start <= start);
    let within = after.checked_sub(1).map(|index| &scalars[index]);
    if let Some((range, style)) = within.filter(|(range, _)| start < range.end) {
        // The quotes themselves are the template's.
        let quotes = usize::from(matches!(style, Style::Single | Style::Double));
        return start >= range.start + quotes && end <= range.end - quotes;
    }
    // No value here: a comment, where it must stay on its line and behind the `#`.
    let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let from = within.map_or(line_start, |(range, _)| range.end.max(line_start));
    !text[start..end].contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'])
        && text.get(from..start).is_some_and(|before| before.contains('#'))
}

enum Language {
    Yaml,
    Json,
}

fn language(path: &RepoPath) -> Option<Language> {
    match path.extension()?.as_str() {
        "yaml" | "yml" => Some(Language::Yaml),
        "json" => Some(Language::Json),
        _ => None,
    }
}

fn documents(path: &RepoPath, text: &str) -> Option<Result<Vec<Node>, Unreadable>> {
    Some(match language(path)? {
        Language::Yaml => tree::yaml(text),
        Language::Json => tree::json(text).map(|document| vec![document]),
    })
}

/// Tells that a file cannot be read.
pub(super) fn unreadable(path: &RepoPath, problem: &Unreadable) -> Diagnostic {
    let span = problem.at.map(|(line, column)| Span { start: 0, end: 0, line, column });
    Diagnostic::error(
        "broken-output",
        Place { span, ..Place::file(path.as_str()) },
        format!("`{path}` cannot be read: {}", problem.message),
    )
}
