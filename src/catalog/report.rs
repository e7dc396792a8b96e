//! How do people and programs read what was found?
//!
//! Everything printed may come from strangers: control characters never reach a terminal, line
//! breaks never begin a new command of a workflow, and nothing poses as Markdown.

use std::{borrow::Cow, collections::BTreeMap};

use annotate_snippets::{
    Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str,
};
use serde_json::{Value, json};

pub use super::sarif::sarif;
use super::{check::Counts, secret};
use crate::domain::{Bytes, Diagnostic, Place, Related, Severity, counted};

/// As a compiler prints it; `sources` finds the text of a file.
pub fn text(diagnostics: &[Diagnostic], sources: &dyn Fn(&str) -> Option<Bytes>) -> String {
    let diagnostics = &secret::fit_to_read(diagnostics)[..];
    let renderer = Renderer::plain();
    let mut texts: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut printed = String::new();
    for diagnostic in diagnostics {
        let places = diagnostic.related.iter().map(|related| &related.place);
        for place in [&diagnostic.place].into_iter().chain(places) {
            texts.entry(&place.source).or_insert_with(|| {
                // What is no text is shown as far as it is, so that places stay where they are.
                sources(&place.source).map(|bytes| {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    secret::hidden(text, &place.source, diagnostics)
                })
            });
        }
        let text_of = |place: &Place| texts.get(place.source.as_str()).and_then(Option::as_deref);
        printed.push_str(&renderer.render(&groups(diagnostic, &text_of)));
        printed.push_str("\n\n");
    }
    printed
}

fn groups<'a>(diagnostic: &'a Diagnostic, text_of: &dyn Fn(&Place) -> Option<&'a str>) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(&diagnostic.message)).id(diagnostic.code.0);
    let label = diagnostic.label.as_deref();
    let (primary, context) = (AnnotationKind::Primary, AnnotationKind::Context);
    let mut group = match snippet(&diagnostic.place, text_of(&diagnostic.place), primary, label) {
        Ok(mut snippet) => {
            // What stands in the same file is shown with it.
            for related in diagnostic.related.iter().filter(|one| one.place.source == diagnostic.place.source)
            {
                if let Some(span) = related.place.span.filter(|span| span.start <= span.end) {
                    let there = context.span(span.start..span.end).label(clean(&related.message));
                    snippet = snippet.annotation(there);
                }
            }
            title.element(snippet)
        }
        Err(origin) => {
            let group = title.element(origin);
            match label {
                Some(label) => group.element(Level::NOTE.message(clean(label))),
                None => group,
            }
        }
    };
    for related in diagnostic.related.iter().filter(|one| one.place.source != diagnostic.place.source) {
        group = match snippet(&related.place, text_of(&related.place), context, Some(&related.message)) {
            Ok(snippet) => group.element(snippet),
            Err(origin) => group.element(origin).element(Level::NOTE.message(clean(&related.message))),
        };
    }
    let help =
        diagnostic.help.as_ref().map(|help| Group::with_title(Level::HELP.secondary_title(clean(help))));
    [group].into_iter().chain(help).collect()
}

fn clean(text: &str) -> Cow<'_, str> {
    normalize_untrusted_str(text).into()
}

/// The lines around a place, or where it is if its text is not at hand.
fn snippet<'a>(
    place: &'a Place,
    text: Option<&'a str>,
    kind: AnnotationKind,
    label: Option<&'a str>,
) -> Result<Snippet<'a, Annotation<'a>>, Origin<'a>> {
    let span = place.span.zip(text).filter(|(span, text)| {
        span.start <= span.end && text.is_char_boundary(span.start) && text.is_char_boundary(span.end)
    });
    let path = clean(&place.source);
    match (span, place.span) {
        (Some((span, text)), _) => {
            let mut annotation = kind.span(span.start..span.end);
            if let Some(label) = label {
                annotation = annotation.label(clean(label));
            }
            Ok(Snippet::source(text).path(path).annotation(annotation))
        }
        (None, Some(span)) => Err(Origin::path(path).line(span.line).char_column(span.column)),
        (None, None) => Err(Origin::path(path)),
    }
}

/// The last line: how much was looked at and what was found.
pub fn summary(diagnostics: &[Diagnostic], counts: &Counts) -> String {
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let warned = match warnings {
        0 => String::new(),
        warnings => format!(", {}", counted(warnings, "warning", "warnings")),
    };
    let mended = match diagnostics.iter().filter(|diagnostic| diagnostic.fix.is_some()).count() {
        0 => String::new(),
        fixes => format!("; `chandlery validate --fix` mends {fixes}"),
    };
    format!(
        "checked {}, {}, {}, {}, {}: {}{warned}{mended}",
        counted(counts.blueprints, "blueprint", "blueprints"),
        counted(counts.entities, "entity", "entities"),
        counted(counts.actions, "action", "actions"),
        counted(counts.templates, "template", "templates"),
        counted(counts.requests, "open request", "open requests"),
        if errors == 0 { "no problems".to_owned() } else { counted(errors, "problem", "problems") },
    )
}

/// As one JSON object.
pub fn json(diagnostics: &[Diagnostic], counts: &Counts) -> String {
    let related = |related: &Related| -> Value {
        let span = related.place.span;
        json!({
            "file": related.place.source,
            "line": span.map(|span| span.line),
            "column": span.map(|span| span.column),
            "message": related.message,
        })
    };
    let one = |diagnostic: &Diagnostic| -> Value {
        let span = diagnostic.place.span;
        json!({
            "severity": diagnostic.severity,
            "code": diagnostic.code,
            "file": diagnostic.place.source,
            "line": span.map(|span| span.line),
            "column": span.map(|span| span.column),
            "field": diagnostic.place.field,
            "message": diagnostic.message,
            "label": diagnostic.label,
            "help": diagnostic.help,
            "related": diagnostic.related.iter().map(related).collect::<Vec<_>>(),
            "fix": diagnostic.fix,
            "page": diagnostic.page(),
        })
    };
    let diagnostics: Vec<Value> = secret::fit_to_read(diagnostics).iter().map(one).collect();
    json!({ "diagnostics": diagnostics, "counts": counts }).to_string()
}

/// As annotations of a GitHub workflow, one line each:
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>
pub fn github(diagnostics: &[Diagnostic]) -> String {
    let data = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let one = |diagnostic: &Diagnostic| {
        let command = match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let place = match diagnostic.place.span {
            Some(span) => format!(",line={},col={}", span.line, span.column),
            None => String::new(),
        };
        let mut message = diagnostic.message.clone();
        for more in diagnostic.label.iter().chain(&diagnostic.help) {
            message.push('\n');
            message.push_str(more);
        }
        for related in &diagnostic.related {
            let line = related.place.span.map_or_else(String::new, |span| format!(":{}", span.line));
            message.push_str(&format!("\n{}{line}: {}", related.place.source, related.message));
        }
        let (file, title) = (property(&diagnostic.place.source), property(diagnostic.code.0));
        format!("::{command} file={file}{place},title={title}::{}\n", printable(&data(&message)))
    };
    secret::fit_to_read(diagnostics).iter().map(one).collect()
}

/// A workflow's log is a terminal too; line breaks have been escaped before.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// As a Markdown list for a comment: field, what is wrong, what to do. Nothing in it can pose as Markdown.
pub fn markdown(diagnostics: &[Diagnostic]) -> String {
    let one = |diagnostic: &Diagnostic| {
        let place = &diagnostic.place;
        let place = match (&place.field, place.span) {
            (Some(field), Some(span)) => {
                format!("{} (`{}` line {})", code(field), bare(&place.source), span.line)
            }
            (Some(field), None) => code(field),
            (None, Some(span)) => format!("`{}` line {}", bare(&place.source), span.line),
            (None, None) => code(&place.source),
        };
        let mut line = format!("- **{place}**: {}", prose(&diagnostic.message));
        for more in diagnostic.label.iter().chain(&diagnostic.help) {
            line.push_str(". ");
            line.push_str(&capital(&prose(more)));
        }
        line.push_str(&format!(" <sub>[{}]</sub>\n", diagnostic.code));
        line
    };
    secret::fit_to_read(diagnostics).iter().map(one).collect()
}

/// What is wrong, as a sentence for a comment, without its place.
pub fn sentence(diagnostic: &Diagnostic) -> String {
    let shown = secret::fit_to_read(std::slice::from_ref(diagnostic));
    shown
        .iter()
        .map(|diagnostic| format!("{} <sub>[{}]</sub>", prose(&diagnostic.message), diagnostic.code))
        .collect()
}

fn bare(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '`' { '\u{fffd}' } else { c }).collect()
}

fn code(text: &str) -> String {
    format!("`{}`", bare(text))
}

/// Our sentences put in backticks what somebody typed. What is inside stays code; what is outside
/// is escaped. An odd backtick came from outside, so then everything is.
fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let paired = parts.len() % 2 == 1;
    let one = |(index, part): (usize, &&str)| {
        if paired && index % 2 == 1 && !part.is_empty() { code(part) } else { escape(part) }
    };
    parts.iter().enumerate().map(one).collect()
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            // Between a mention or a link and what it means to GitHub.
            '@' | '#' => escaped.push_str(&format!("{c}<!-- -->")),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '*' | '_' | '[' | ']' | '|' | '~' | '!' => {
                escaped.push('\\');
                escaped.push(c);
            }
            ':' => escaped.push_str("&#58;"),
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    // Bare hosts become links by themselves.
    escaped.replace("www.", "www<!-- -->.")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Span;

    fn hostile() -> Vec<Diagnostic> {
        let span = Span { start: 0, end: 1, line: 3, column: 2 };
        let place =
            Place { source: "a,b:c%.yaml".into(), span: Some(span), field: Some("inputs.na`me".into()) };
        let message = "`x` is </details> @ada **Approved** ![x](http://evil)\n::error::forged \u{1b}[31m";
        vec![Diagnostic::error("not-a-choice", place, message).help("write `#1`")]
    }

    #[test]
    fn nothing_typed_by_a_stranger_poses_as_ours() {
        insta::assert_snapshot!(github(&hostile()), @r"::error file=a%2Cb%3Ac%25.yaml,line=3,col=2,title=not-a-choice::`x` is </details> @ada **Approved** ![x](http://evil)%0A::error::forged �[31m%0Awrite `#1`");
        insta::assert_snapshot!(markdown(&hostile()), @r"- **`inputs.na�me` (`a,b:c%.yaml` line 3)**: `x` is &lt;/details&gt; @<!-- -->ada \*\*Approved\*\* \!\[x\](http&#58;//evil) &#58;&#58;error&#58;&#58;forged  \[31m. Write `#1` <sub>[not-a-choice]</sub>");
    }
}
