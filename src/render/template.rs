//! What text does a template give?
//!
//! A template sees its context and its folder's partials, and nothing else: no clock, environment, chance or file. Time and
//! memory are bounded by fuel. What an input says can fill a file, never add a folder to a path nor structure to a document
//! that has a reader.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::{Diagnostic, Place, RepoPath, SecretRef};

use super::engine::{self, Dialect};

/// What a template sees.
#[derive(Debug, Clone)]
pub struct Context {
    names: Map<String, Value>,
    pub(super) value: minijinja::Value,
    /// Inputs that say where a secret is; only a payload may hold them.
    secrets: BTreeMap<String, SecretRef>,
}

impl Context {
    /// The context with these names.
    pub fn new(names: Map<String, Value>) -> Self {
        let value = minijinja::Value::from(minijinja::value::Serde(&names));
        Self { names, value, secrets: BTreeMap::new() }
    }

    /// The same with one name more, or another meaning of one.
    #[must_use]
    pub fn with(&self, name: &str, value: Value) -> Self {
        let mut names = self.names.clone();
        names.insert(name.to_owned(), value);
        Self::new(names)
    }

    /// The names as the engine takes them.
    pub(super) fn value(&self) -> &minijinja::Value {
        &self.value
    }

    /// With these inputs that say where a secret is.
    #[must_use]
    pub fn with_secrets(self, secrets: BTreeMap<String, SecretRef>) -> Self {
        Self { secrets, ..self }
    }

    /// The inputs that say where a secret is.
    pub(super) fn secrets(&self) -> &BTreeMap<String, SecretRef> {
        &self.secrets
    }

    /// The names and what they stand for.
    pub fn names(&self) -> &Map<String, Value> {
        &self.names
    }
}

/// The text that `template`, found at `place`, gives.
///
/// # Errors
/// When it is no template, or fails on this data.
pub fn text(template: &str, place: &Place, context: &Context) -> Result<String, Diagnostic> {
    if !template.contains('{') {
        return Ok(template.to_owned());
    }
    Ok(engine::render(template, Dialect::PLAIN, place, &context.value, false)?.text)
}

/// The address that `template` gives; what an expression gives is escaped, so that it stays one part of a path or value.
///
/// # Errors
/// As [`text`].
pub fn url(template: &str, place: &Place, context: &Context) -> Result<String, Diagnostic> {
    let (text, expressions) = engine::parts(template, place, &context.value)?;
    let (mut made, mut told) = (String::new(), 0);
    for (output, _) in expressions {
        made.push_str(text.get(told..output.start).unwrap_or_default());
        for byte in text.get(output.clone()).unwrap_or_default().bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => made.push(char::from(byte)),
                // Two dots would climb.
                byte => made.push_str(&format!("%{byte:02X}")),
            }
        }
        told = output.end;
    }
    made.push_str(text.get(told..).unwrap_or_default());
    Ok(made)
}

/// `template` with every string in it rendered; a string that is one whole `{{ expression }}` keeps its type.
///
/// # Errors
/// As [`text`].
pub fn value(template: &Value, place: &Place, context: &Context) -> Result<Value, Diagnostic> {
    Ok(match template {
        Value::String(template) => match whole_expression(template) {
            Some(expression) => engine::evaluate(expression, template, place, &context.value)?,
            None => Value::String(text(template, place, context)?),
        },
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| value(item, place, context)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let rendered = fields.iter().map(|(key, field)| Ok((key.clone(), value(field, place, context)?)));
            Value::Object(rendered.collect::<Result<_, Diagnostic>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    })
}

/// What an expression without its braces gives.
///
/// # Errors
/// When it is none, or fails on this data.
pub(super) fn expression(source: &str, place: &Place, context: &Context) -> Result<Value, Diagnostic> {
    engine::evaluate(source, source, place, &context.value)
}

/// Whether an expression without its braces holds, as `{% if … %}` has it.
///
/// # Errors
/// As [`expression`].
pub(super) fn holds(source: &str, place: &Place, context: &Context) -> Result<bool, Diagnostic> {
    engine::holds(source, place, &context.value)
}

/// The inside of `{{ … }}` when that is all there is. `{{ a }}-{{ b }}` also begins and ends so; its
/// inside is no expression.
pub(super) fn whole_expression(template: &str) -> Option<&str> {
    let inside = template.strip_prefix("{{")?.strip_suffix("}}")?;
    let trimmed = inside.starts_with(['-', '+']) || inside.ends_with(['-', '+']);
    (!trimmed && engine::is_expression(inside)).then_some(inside)
}

/// The path that `template` gives. What an expression gives never adds a segment.
///
/// # Errors
/// As [`text`], and when the result is no path inside the repository.
pub(super) fn path(template: &str, place: &Place, context: &Context) -> Result<RepoPath, Diagnostic> {
    let mut segments = Vec::new();
    for segment in template.split('/') {
        let rendered = text(segment, place, context)?;
        if rendered.contains(['/', '\\']) || rendered.is_empty() {
            return Err(Diagnostic::error(
                "template-path",
                place.clone(),
                format!("`{segment}` in the path `{template}` gives `{rendered}`, which is not one name"),
            )
            .help("an expression may fill in a file's or folder's name, and never add a folder: use an input without `/`, or an identifier as `… | filename`"));
        }
        segments.push(rendered);
    }
    segments.join("/").parse().map_err(|problem| {
        Diagnostic::error(
            "template-path",
            place.clone(),
            format!("the path `{template}` cannot be used: {problem}"),
        )
        .help("change the input that is part of this path, or the template's path")
    })
}

/// What is wrong with a template in a file of definitions whatever it is filled with.
pub fn check_text(template: &str, place: &Place) -> Option<Diagnostic> {
    let mut found = engine::check(template, Dialect::PLAIN, place)?;
    // Its lines are not those of the file.
    found.place.span = None;
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn context() -> Context {
        let Value::Object(names) = json!({
            "inputs": {
                "name": "pay", "count": 3, "ratio": 0.5, "public": true, "nothing": null, "tags": ["a", "b"],
                "alias": "*secret", "climb": "../x", "slash": "a/b", "evil": "x\nadmin: true", "quote": "a\" #b", "hcl": "${file(\"/x\")} %{if}",
            },
            "entity": { "identifier": "checkout", "properties": { "tier": "gold" } },
        }) else {
            unreachable!()
        };
        Context::new(names)
    }

    fn place() -> Place {
        Place::file("actions/a.yaml")
    }

    #[test]
    fn text_is_written_in_the_spelling_of_json_and_fails_in_words() {
        for (template, expected) in [
            ("{{ inputs.public }} {{ inputs.nothing }} {{ inputs.ratio }}\n", "true null 0.5\n"),
            ("{{ inputs.tags }} {{ inputs.tags | tojson }}", r#"["a", "b"] ["a", "b"]"#),
            ("{{ inputs.quote | yaml }}", r#""a\" #b""#),
            ("{{ inputs.name | yaml }} {{ 'yes' | yaml }}", r#"pay "yes""#),
            ("{{ inputs.hcl | hcl }}", r#""$${file(\"/x\")} %%{if}""#),
            ("{{ 'Größe: Äpfel & Co' | slug }}", "groesse-aepfel-co"),
            ("{{ 'shop/cart' | filename }}", "shop%2Fcart"),
            ("{% for tag in inputs.tags %}{{ tag }};{% endfor %}", "a;b;"),
        ] {
            assert_eq!(text(template, &place(), &context()).as_deref(), Ok(expected), "{template}");
        }
        for (template, code, message) in [
            ("\n{{ inputs.nmae }}", "template-failed", "`inputs.nmae` has no value"),
            ("{{ missing.x }}", "template-failed", "`missing.x` has no value"),
            ("{{ inputs.name", "template-syntax", "unexpected end"),
            ("{% include 'x' %}", "template-failed", "x"),
            ("{{ now() }}", "template-failed", "now"),
            ("{{ 'x' * 1000000000 }}", "template-too-large", "too much"),
            (
                "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
                "template-too-large",
                "too much",
            ),
        ] {
            let problem = text(template, &place(), &context()).unwrap_err();
            assert_eq!(problem.code.0, code, "{template}: {problem:?}");
            assert!(problem.message.contains(message), "{template}: {}", problem.message);
            assert!(problem.help.is_some(), "{template}");
        }
        let problem = text("a\nb {{ inputs.nmae }}", &Place::file("t"), &context()).unwrap_err();
        assert_eq!(problem.place.span.map(|span| (span.line, span.column)), Some((2, 6)));
        assert!(problem.help.unwrap().starts_with("did you mean `inputs.name`? "));
    }

    #[test]
    fn one_whole_expression_keeps_its_type() {
        let template = json!({
            "n": "{{ inputs.count }}", "b": "{{ inputs.public }}", "l": ["{{ inputs.tags }}"], "z": "{{ inputs.nothing }}",
            "r": "{{ inputs.ratio }}", "t": "{{ inputs.count }} ", "two": "{{ inputs.name }}-{{ inputs.count }}", "fixed": 7,
            "e": "{{ entity.properties }}", "d": "{{ inputs.missing | default('x') }}", "m": "{{-inputs.count}}",
        });
        assert_eq!(
            value(&template, &place(), &context()).unwrap(),
            json!({
                "n": 3, "b": true, "l": [["a", "b"]], "z": null, "r": 0.5, "t": "3 ", "two": "pay-3", "fixed": 7,
                "e": { "tier": "gold" }, "d": "x", "m": "3",
            })
        );
        let problem = value(&json!("{{ inputs.nmae }}"), &place(), &context()).unwrap_err();
        assert!(problem.help.unwrap().starts_with("did you mean `inputs.name`? "));
    }

    #[test]
    fn an_input_never_adds_a_folder_to_a_path() {
        assert_eq!(path("a/{{ inputs.name }}.tf", &place(), &context()).unwrap().as_str(), "a/pay.tf");
        for template in [
            "a/{{ inputs.climb }}",
            "a/{{ inputs.slash }}.tf",
            "{{ inputs.evil }}",
            "a/{{ '' }}/b",
            "../x",
            "a/{{ '..' }}",
        ] {
            assert_eq!(
                path(template, &place(), &context()).unwrap_err().code.0,
                "template-path",
                "{template}"
            );
        }
    }
}
