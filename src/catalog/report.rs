//! How do people and programs read what was found?
//!
//! Everything printed may come from strangers: control characters never reach a terminal, line
//! breaks never begin a new command of a workflow, and nothing poses as Markdown.

use std::collections::{BTreeMap, BTreeSet};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};

use super::check::Counts;
use crate::domain::{Bytes, Diagnostic, Severity};

/// As a compiler prints it; `sources` finds the text of a file.
pub fn text(diagnostics: &[Diagnostic], sources: &dyn Fn(&str) -> Option<Bytes>) -> String {
    let renderer = Renderer::plain();
    let mut texts: BTreeMap<&str, Option<String>> = BTreeMap::new();
    let mut printed = String::new();
    for diagnostic in diagnostics {
        let source = diagnostic.place.source.as_str();
        let text = texts.entry(source).or_insert_with(|| {
            // What is no text is shown as far as it is, so that places stay where they are.
            sources(source).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        });
        printed.push_str(&renderer.render(&groups(diagnostic, text.as_deref())));
        printed.push_str("\n\n");
    }
    printed
}

fn groups<'a>(diagnostic: &'a Diagnostic, text: Option<&'a str>) -> Vec<Group<'a>> {
    let clean = |text: &str| normalize_untrusted_str(text);
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(clean(&diagnostic.message)).id(diagnostic.code.0);
    let path = clean(&diagnostic.place.source);
    let span = diagnostic.place.span.zip(text).filter(|(span, text)| {
        span.start <= span.end && text.is_char_boundary(span.start) && text.is_char_boundary(span.end)
    });
    let mut group = match span {
        Some((span, text)) => {
            let mut annotation = AnnotationKind::Primary.span(span.start..span.end);
            if let Some(label) = &diagnostic.label {
                annotation = annotation.label(clean(label));
            }
            title.element(Snippet::source(text).path(path).annotation(annotation))
        }
        None => {
            let origin = match diagnostic.place.span {
                Some(span) => Origin::path(path).line(span.line).char_column(span.column),
                None => Origin::path(path),
            };
            title.element(origin)
        }
    };
    if let (None, Some(label)) = (span, &diagnostic.label) {
        group = group.element(Level::NOTE.message(clean(label)));
    }
    let help =
        diagnostic.help.as_ref().map(|help| Group::with_title(Level::HELP.secondary_title(clean(help))));
    [group].into_iter().chain(help).collect()
}

/// The last line: how much was looked at and what was found.
pub fn summary(diagnostics: &[Diagnostic], counts: &Counts) -> String {
    let number = |number: usize, one: &str, many: &str| {
        if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
    };
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count();
    let warnings = diagnostics.len() - errors;
    let warned = match warnings {
        0 => String::new(),
        warnings => format!(", {}", number(warnings, "warning", "warnings")),
    };
    format!(
        "checked {}, {}, {}, {}, {}: {}{warned}",
        number(counts.blueprints, "blueprint", "blueprints"),
        number(counts.entities, "entity", "entities"),
        number(counts.actions, "action", "actions"),
        number(counts.templates, "template", "templates"),
        number(counts.requests, "open request", "open requests"),
        if errors == 0 { "no problems".to_owned() } else { number(errors, "problem", "problems") },
    )
}

/// As one JSON object.
pub fn json(diagnostics: &[Diagnostic], counts: &Counts) -> String {
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
        })
    };
    let diagnostics: Vec<Value> = diagnostics.iter().map(one).collect();
    json!({ "diagnostics": diagnostics, "counts": counts }).to_string()
}

/// As SARIF 2.1.0, which code scanning reads: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
pub fn sarif(diagnostics: &[Diagnostic]) -> String {
    let codes: BTreeSet<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| json!({ "id": code, "help": { "text": format!("See `{code}` in docs/diagnostics.md of Chandlery.") } }))
        .collect();
    let one = |diagnostic: &Diagnostic| {
        let mut message = diagnostic.message.clone();
        for more in diagnostic.label.iter().chain(&diagnostic.help) {
            message.push('\n');
            message.push_str(more);
        }
        // A path is a relative reference; what a URI has no room for is percent-encoded.
        let mut place = json!({ "artifactLocation": { "uri": as_uri(&diagnostic.place.source), "uriBaseId": "%SRCROOT%" } });
        if let Some(span) = diagnostic.place.span {
            place["region"] = json!({ "startLine": span.line, "startColumn": span.column });
        }
        json!({
            "ruleId": diagnostic.code.0,
            "ruleIndex": codes.iter().position(|code| *code == diagnostic.code.0),
            "level": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "message": { "text": message },
            "locations": [{ "physicalLocation": place }],
        })
    };
    let results: Vec<Value> = diagnostics.iter().map(one).collect();
    let driver = json!({ "name": "Chandlery", "version": env!("CARGO_PKG_VERSION"), "rules": rules });
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": driver }, "columnKind": "unicodeCodePoints", "results": results }],
    })
    .to_string()
}

fn as_uri(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
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
        let (file, title) = (property(&diagnostic.place.source), property(diagnostic.code.0));
        format!("::{command} file={file}{place},title={title}::{}\n", printable(&data(&message)))
    };
    diagnostics.iter().map(one).collect()
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
    diagnostics.iter().map(one).collect()
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
    use crate::domain::{Place, Span};

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

    #[test]
    fn sarif_places_what_it_tells() {
        let report: Value = serde_json::from_str(&sarif(&hostile())).unwrap();
        let run = &report["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "not-a-choice");
        let result = &run["results"][0];
        assert_eq!((&result["ruleIndex"], &result["level"]), (&json!(0), &json!("error")));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%2Cb%3Ac%25.yaml");
        assert_eq!(place["region"], json!({ "startLine": 3, "startColumn": 2 }));
        assert!(result["message"]["text"].as_str().unwrap().ends_with("\nwrite `#1`"));
    }
}
