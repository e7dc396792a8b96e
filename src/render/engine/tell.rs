//! How are a template's mistakes told?

use std::ops::Range;

use minijinja::{Error, ErrorKind, Value, value::ValueKind};

use super::{Dialect, MAIN, at};
use crate::domain::{Diagnostic, Place, Span, nearest};

/// Filters that people may mean: ours, and what is used most of Jinja's.
const FILTERS: [&str; 36] = [
    "yaml",
    "json",
    "tojson",
    "toml",
    "hcl",
    "shell",
    "regex",
    "raw",
    "slug",
    "filename",
    "abs",
    "bool",
    "capitalize",
    "default",
    "first",
    "float",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "map",
    "reject",
    "replace",
    "round",
    "select",
    "sort",
    "split",
    "string",
    "title",
    "trim",
    "upper",
];

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
    // Of a field only that is known, and not where in the file it stands.
    if place.span.is_none() && place.field.is_none() {
        place.span = range.clone().map(|range| locate(source, range));
    }
    match error.kind() {
        ErrorKind::OutOfFuel => too_large(&place),
        ErrorKind::UndefinedError => {
            let what = range.map_or("a name", |range| valueless(source, range, dialect));
            no_value(what, place, context)
        }
        ErrorKind::SyntaxError if let Some((open, tag)) = unclosed(error, source, dialect) => {
            if place.field.is_none() {
                place.span = Some(locate(source, open.clone()));
            }
            let opened = source.get(open).unwrap_or_default();
            let (start, end) = of_statements(dialect);
            let message = format!("the template is not well formed: `{opened}` has no `end{tag}`");
            Diagnostic::error("template-syntax", place, message)
                .help(format!("write `{start} end{tag} {end}` where it is to end"))
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
        ErrorKind::UnknownFilter => {
            let missing = words(error);
            let name = missing.split_whitespace().nth(1).unwrap_or_default();
            let help = match nearest(name, FILTERS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "there are `yaml`, `json`, `toml`, `hcl`, `shell`, `regex`, `raw`, `slug`, `filename`, and Jinja's own".to_owned(),
            };
            Diagnostic::error("template-failed", place, format!("the template failed: {missing}")).help(help)
        }
        ErrorKind::InvalidOperation if words(error).contains(" operator ") => {
            Diagnostic::error("template-failed", place, format!("the template failed: {}", words(error)))
                .help("texts are joined with `~`; `| int` makes a number of a text")
        }
        _ => Diagnostic::error("template-failed", place, format!("the template failed: {}", words(error)))
            .help("a template sees `inputs`, `entities`, `entity`, `request` and `action`, and Jinja's pure filters"),
    }
}

/// What opens and closes a statement.
fn of_statements<'a>(dialect: Dialect<'a>) -> (&'a str, &'a str) {
    dialect.delimiters.map_or(("{%", "%}"), |said| (said.block.0.as_str(), said.block.1.as_str()))
}

/// The statement that was begun last and does not end, where a text ends too early, and its name.
fn unclosed<'a>(error: &Error, source: &'a str, dialect: Dialect<'_>) -> Option<(Range<usize>, &'a str)> {
    const WITH_END: [&str; 8] = ["for", "if", "macro", "block", "filter", "with", "call", "autoescape"];
    if !words(error).contains("unexpected end of input") {
        return None;
    }
    let (open, close) = of_statements(dialect);
    let (remark, remark_end) =
        dialect.delimiters.map_or(("{#", "#}"), |said| (said.comment.0.as_str(), said.comment.1.as_str()));
    let (mut begun, mut at): (Vec<(Range<usize>, &str)>, usize) = (Vec::new(), 0);
    while let Some(start) = source[at..].find(open).map(|found| at + found) {
        // What comments say is no statement, nor is what stands in `raw`.
        if let Some(comment) = source[at..start].find(remark).map(|found| at + found) {
            at = comment + source[comment..].find(remark_end)? + remark_end.len();
            continue;
        }
        let end = start + source[start..].find(close)? + close.len();
        let inside = source[start + open.len()..end - close.len()].trim_matches(['-', '+', ' ', '\n', '\t']);
        let word = inside.split_whitespace().next().unwrap_or_default();
        at = end;
        if word == "raw" {
            at += source[end..].find("endraw")?;
            at += source[at..].find(close)? + close.len();
        } else if WITH_END.contains(&word) || word == "set" && !inside.contains('=') {
            begun.push((start..end, word));
        } else if begun.last().is_some_and(|(_, last)| word.strip_prefix("end") == Some(*last)) {
            begun.pop();
        }
    }
    begun.pop()
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
        None if dotted.starts_with("entities.") || dotted.starts_with("entity.") => {
            format!(
                "the entity does not say it: write `{{{{ {dotted} | default(…) }}}}`, or have its blueprint require it"
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
