//! How does code scanning read what was found?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::domain::{Bytes, Diagnostic, Place, Replacement, Severity, Span};

/// As SARIF 2.1.0, which code scanning reads: <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>.
/// `sources` finds the text of a file.
pub fn sarif(diagnostics: &[Diagnostic], sources: &dyn Fn(&str) -> Option<Bytes>) -> String {
    let diagnostics = &super::secret::fit_to_read(diagnostics)[..];
    let mut texts: BTreeMap<&str, Option<Bytes>> = BTreeMap::new();
    for diagnostic in diagnostics {
        let related = diagnostic.related.iter().map(|related| &related.place.source);
        for source in [&diagnostic.place.source].into_iter().chain(related) {
            texts.entry(source).or_insert_with(|| sources(source));
        }
    }
    let region = |source: &str, span: Span| {
        let text = texts.get(source).and_then(Option::as_ref);
        let (line, column) = text.and_then(|text| end(span, text)).unwrap_or((span.line, span.column));
        json!({ "startLine": span.line, "startColumn": span.column, "endLine": line, "endColumn": column })
    };
    // A file as a whole is its lines: code scanning shows nothing that stands nowhere.
    let whole = |source: &str| {
        let text = texts.get(source).and_then(Option::as_ref);
        let lines = text.map_or(1, |text| String::from_utf8_lossy(text).lines().count().max(1));
        json!({ "startLine": 1, "endLine": lines })
    };
    let location = |place: &Place| {
        let region = place.span.map_or_else(|| whole(&place.source), |span| region(&place.source, span));
        json!({ "artifactLocation": artifact(&place.source), "region": region })
    };
    let codes: BTreeSet<&str> = diagnostics.iter().map(|diagnostic| diagnostic.code.0).collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let one = |diagnostic: &Diagnostic| {
        let mut message = diagnostic.message.clone();
        for more in diagnostic.label.iter().chain(&diagnostic.help) {
            message.push('\n');
            message.push_str(more);
        }
        let mut result = json!({
            "ruleId": diagnostic.code.0,
            "ruleIndex": codes.iter().position(|code| *code == diagnostic.code.0),
            "level": match diagnostic.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "message": { "text": message },
            "locations": [{ "physicalLocation": location(&diagnostic.place) }],
        });
        let related = diagnostic.related.iter().enumerate().map(|(index, related)| {
            let place = location(&related.place);
            json!({ "id": index, "physicalLocation": place, "message": { "text": related.message } })
        });
        if !diagnostic.related.is_empty() {
            result["relatedLocations"] = related.collect();
        }
        if let Some(fix) = &diagnostic.fix {
            let source = &diagnostic.place.source;
            let replaced = |edit: &Replacement| {
                let region = region(source, edit.span);
                json!({ "deletedRegion": region, "insertedContent": { "text": edit.text } })
            };
            let edits: Vec<Value> = fix.edits.iter().map(replaced).collect();
            let change = json!({ "artifactLocation": artifact(source), "replacements": edits });
            result["fixes"] = json!([{ "description": { "text": fix.title }, "artifactChanges": [change] }]);
        }
        result
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

/// What a code means, as its page tells; code scanning shows all of it, and wants each part:
/// <https://docs.github.com/en/code-security/reference/code-scanning/sarif-support-for-code-scanning#reportingdescriptor-object>
fn rule(code: &str) -> Value {
    let page = page(code).unwrap_or_else(|| format!("See docs/diagnostics.md#{code} of Chandlery."));
    let cause = page.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    json!({
        "id": code,
        "shortDescription": { "text": code.replace('-', " ") },
        "fullDescription": { "text": cause },
        "help": { "text": page, "markdown": page },
    })
}

/// The section about a code: its cause, what to do, and an example.
fn page(code: &str) -> Option<String> {
    const PAGES: &str = include_str!("../../docs/diagnostics.md");
    let (_, page) = PAGES.split_once(&format!("\n### `{code}`\n"))?;
    let end = page.find("\n### ").into_iter().chain(page.find("\n## ")).min().unwrap_or(page.len());
    Some(page[..end].trim().to_owned())
}

/// The line and column after the last character of a span.
fn end(span: Span, text: &[u8]) -> Option<(usize, usize)> {
    let text = String::from_utf8_lossy(text.get(span.start..span.end)?).into_owned();
    let last = text.rsplit('\n').next().unwrap_or("").chars().count();
    Some(match text.matches('\n').count() {
        0 => (span.line, span.column + last),
        lines => (span.line + lines, last + 1),
    })
}

/// A path is a relative reference; what a URI has no room for is percent-encoded.
fn artifact(path: &str) -> Value {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let uri: String = path
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect();
    json!({ "uri": uri, "uriBaseId": "%SRCROOT%" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Fix;

    #[test]
    fn sarif_places_what_it_tells() {
        let span = Span { start: 9, end: 12, line: 2, column: 3 };
        let place = Place { source: "a,b:c%.yaml".into(), span: Some(span), field: None };
        let edits =
            vec![Replacement { span: Span { start: 0, end: 9, line: 1, column: 1 }, text: "x".into() }];
        let diagnostic = Diagnostic::error("not-a-choice", place.clone(), "cannot be `dür`")
            .help("write `#1`")
            .related(Place::file("b.yaml"), "declared here")
            .fix(Some(Fix { title: "mend it".into(), edits }));
        let source = |_: &str| Some(Bytes::from("12345\nß dür\n".as_bytes()));
        let report: Value = serde_json::from_str(&sarif(&[diagnostic], &source)).unwrap();
        let run = &report["runs"][0];
        let rule = &run["tool"]["driver"]["rules"][0];
        assert_eq!(rule["id"], "not-a-choice");
        let cause = rule["fullDescription"]["text"].as_str().unwrap();
        assert!(
            cause.starts_with("Only certain values are allowed here") && !cause.contains('\n'),
            "{cause}"
        );
        let help = rule["help"]["markdown"].as_str().unwrap();
        assert!(
            help.contains("*What to do:*") && help.contains("*Example:*") && !help.contains("###"),
            "{help}"
        );
        let result = &run["results"][0];
        assert_eq!((&result["ruleIndex"], &result["level"]), (&json!(0), &json!("error")));
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%2Cb%3Ac%25.yaml");
        let region = json!({ "startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 5 });
        assert_eq!(place["region"], region);
        assert!(result["message"]["text"].as_str().unwrap().ends_with("\nwrite `#1`"));
        let related = &result["relatedLocations"][0];
        let place = &related["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "b.yaml");
        assert_eq!(place["region"], json!({ "startLine": 1, "endLine": 2 }));
        let replaced = &result["fixes"][0]["artifactChanges"][0]["replacements"][0];
        assert_eq!(replaced["deletedRegion"]["endLine"], 2);
        assert_eq!(replaced["insertedContent"]["text"], "x");
    }
}
