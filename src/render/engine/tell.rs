//! How are a template's mistakes told?

use std::ops::Range;

use minijinja::{Error, ErrorKind, Value, value::ValueKind};

use super::{Dialect, MAIN, at};
use crate::domain::{Diagnostic, Place, Span, nearest};

pub(super) fn too_large(place: &Place) -> Diagnostic {
    Diagnostic::error("template-too-large", place.clone(), "the template does or writes too much")
        .help("bound its loops and repetitions; large files belong into the target repository")
}

/// Tells people what went wrong. The place inside a template is added where `place` is a whole file.
pub(super) fn diagnostic(
    error: &Error,
    source: &str,
    dialect: Dialect<'_>,
    place: &Place,
    context: &Value,
) -> Diagnostic {
    let error = innermost(error);
    let (source, place) = at(error.name().unwrap_or(MAIN), source, dialect, place);
    let range = error.range().filter(|range| source.get(range.clone()).is_some());
    let mut place = place;
    if place.span.is_none() {
        place.span = range.clone().map(|range| locate(source, range));
    }
    match error.kind() {
        ErrorKind::OutOfFuel => too_large(&place),
        ErrorKind::UndefinedError => {
            let what = range.map_or("a name", |range| valueless(source, range, dialect));
            no_value(what, place, context)
        }
        ErrorKind::SyntaxError => {
            Diagnostic::error("template-syntax", place, format!("the template is not well formed: {}", words(error)))
                .help("expressions are written `{{ inputs.name }}`, statements `{% if … %}`; the syntax is Jinja's")
        }
        ErrorKind::TemplateNotFound => {
            let known = dialect.partials.texts.iter().map(|(name, _)| *name);
            let missing = words(error);
            let help = match nearest(quoted_name(&missing), known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a file may include what lies below `partials/` in its template's folder, by its path there".to_owned(),
            };
            Diagnostic::error("template-failed", place, format!("the template failed: {missing}")).help(help)
        }
        _ => Diagnostic::error("template-failed", place, format!("the template failed: {}", words(error)))
            .help("a template sees `inputs`, `entities`, `entity`, `request` and `action`, and Jinja's pure filters"),
    }
}

/// What has no value: where a filter complains, what it was given.
fn valueless<'a>(source: &'a str, range: Range<usize>, dialect: Dialect<'_>) -> &'a str {
    let found = source.get(range.clone()).unwrap_or_default().trim();
    let Some(before) = source.get(..range.start).and_then(|before| before.trim_end().strip_suffix('|'))
    else {
        return found;
    };
    let open = dialect.delimiters.map_or("{{", |delimiters| delimiters.variable.0.as_str());
    let from = before.rfind(open).map_or(0, |at| at + open.len());
    let given = before[from..].trim_start_matches(['-', '+']).split('|').next().unwrap_or(found).trim();
    let is_name = given.chars().all(|c| c.is_alphanumeric() || "._".contains(c));
    if is_name && !given.is_empty() { given } else { found }
}

/// The error of a partial itself, not that including it failed.
fn innermost(error: &Error) -> &Error {
    let inner = std::error::Error::source(error).and_then(|source| source.downcast_ref::<Error>());
    match inner {
        Some(inner) if error.kind() == ErrorKind::BadInclude => innermost(inner),
        _ => error,
    }
}

/// The name in quotes in a message.
fn quoted_name(message: &str) -> &str {
    message.split(['\'', '"']).nth(1).unwrap_or(message)
}

fn words(error: &Error) -> String {
    let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
    if detail.contains("too large") || detail.contains("too many") {
        format!("too much: {detail}")
    } else {
        detail
    }
}

pub(super) fn no_value(what: &str, place: Place, context: &Value) -> Diagnostic {
    let known = names(context);
    let dotted: String = what.chars().take_while(|c| c.is_alphanumeric() || "._".contains(*c)).collect();
    let help = match nearest(&dotted, known.iter().map(String::as_str)).filter(|near| *near != dotted) {
        Some(near) => {
            format!(
                "did you mean `{near}`? What may be left out is written `{{{{ {dotted} | default(…) }}}}`"
            )
        }
        None => format!("make the input required, or write `{{{{ {dotted} | default(…) }}}}`"),
    };
    Diagnostic::error("template-failed", place, format!("`{what}` has no value here")).help(help)
}

/// The dotted names that a template may use, two levels deep.
fn names(context: &Value) -> Vec<String> {
    let keys = |value: &Value| -> Vec<String> {
        match value.kind() {
            ValueKind::Map => {
                value.try_iter().map(|keys| keys.map(|key| key.to_string()).collect()).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    };
    let mut names = Vec::new();
    for outer in keys(context) {
        let inner = context.get_attr(&outer).unwrap_or_default();
        names.extend(keys(&inner).into_iter().map(|key| format!("{outer}.{key}")));
        names.push(outer);
    }
    names
}

pub(super) fn locate(source: &str, range: std::ops::Range<usize>) -> Span {
    let before = source.get(..range.start).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    Span {
        start: range.start,
        end: range.end,
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}
