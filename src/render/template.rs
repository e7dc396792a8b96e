//! What text does a template give?
//!
//! A template sees its context and nothing else: no clock, environment, chance, file or other
//! template. Time and memory are bounded by fuel. What an input says can fill a file, never add a
//! folder to a path nor structure to a YAML or JSON document.

mod engine;
mod filters;
mod later;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::{Bytes, Delimiters, Diagnostic, Place, RepoPath, Template};

use super::inspect::{self, Written};
pub use later::payload;

/// The most bytes that all files of one template may give together: a pull request beyond this is not read by people.
const MAX_OUTPUT: usize = 4 << 20;

/// What a template sees.
#[derive(Debug, Clone)]
pub struct Context {
    names: Map<String, Value>,
    value: minijinja::Value,
}

impl Context {
    /// The context with these names.
    pub fn new(names: Map<String, Value>) -> Self {
        let value = minijinja::Value::from(minijinja::value::Serde(&names));
        Self { names, value }
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
    Ok(engine::render(template, None, place, &context.value)?.text)
}

/// The address that `template` gives; what an expression gives is escaped, so that it stays one part of a path or value.
///
/// # Errors
/// As [`text`].
pub fn url(template: &str, place: &Place, context: &Context) -> Result<String, Diagnostic> {
    let Written { text, expressions } = engine::render(template, None, place, &context.value)?;
    let (mut made, mut told) = (String::new(), 0);
    for expression in &expressions {
        made.push_str(text.get(told..expression.output.start).unwrap_or_default());
        for byte in text.get(expression.output.clone()).unwrap_or_default().bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => made.push(char::from(byte)),
                // Two dots would climb.
                byte => made.push_str(&format!("%{byte:02X}")),
            }
        }
        told = expression.output.end;
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

/// The inside of `{{ … }}` when that is all there is. `{{ a }}-{{ b }}` also begins and ends so; its
/// inside is no expression.
fn whole_expression(template: &str) -> Option<&str> {
    let inside = template.strip_prefix("{{")?.strip_suffix("}}")?;
    let trimmed = inside.starts_with(['-', '+']) || inside.ends_with(['-', '+']);
    (!trimmed && engine::is_expression(inside)).then_some(inside)
}

/// The path that `template` gives. What an expression gives never adds a segment.
///
/// # Errors
/// As [`text`], and when the result is no path inside the repository.
pub fn path(template: &str, place: &Place, context: &Context) -> Result<RepoPath, Diagnostic> {
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
    let mut found = engine::check(template, None, place)?;
    // Its lines are not those of the file.
    found.place.span = None;
    Some(found)
}

/// What is wrong with a folder of templates whatever it is filled with; `folder` is where it lies.
pub fn check(template: &Template, folder: &str) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (name, content) in &template.files {
        let place = Place::file(format!("{folder}/files/{name}"));
        // A file's name has no lines that a place could be in.
        problems.extend(engine::check(name, None, &Place { span: None, ..place.clone() }).map(
            |mut problem| {
                problem.place.span = None;
                problem
            },
        ));
        if let Ok(source) = std::str::from_utf8(content) {
            problems.extend(engine::check(source, template.manifest.delimiters.as_ref(), &place));
        }
    }
    for edit in &template.manifest.set {
        problems
            .extend(super::edit::check_target(&edit.target, &Place::file(format!("{folder}/template.yaml"))));
    }
    problems
}

/// The files that a template gives. YAML and JSON files are looked at: each must be readable, and no
/// input may have added structure to it.
///
/// # Errors
/// Everything that is wrong with it on this data.
pub fn files(template: &Template, context: &Context) -> Result<BTreeMap<RepoPath, Bytes>, Vec<Diagnostic>> {
    let mut files = BTreeMap::new();
    let mut spellings = BTreeSet::new();
    let mut problems = Vec::new();
    let mut size = 0;
    for (name, content) in &template.files {
        let place = Place::file(format!("{}/files/{name}", template.name));
        let rendered = path(name, &place, context).and_then(|path| {
            let bytes = file(&path, content, template.manifest.delimiters.as_ref(), &place, context)?;
            Ok((path, bytes))
        });
        match rendered {
            Err(problem) => problems.push(problem),
            Ok((path, _)) if !spellings.insert(path.as_str().to_lowercase()) => problems.push(
                Diagnostic::error(
                    "template-conflict",
                    place,
                    format!("two files of the template `{}` have the path `{path}`", template.name),
                )
                .help("give each file a path of its own; paths that differ in case only are the same on some disks"),
            ),
            Ok((path, bytes)) => {
                size += bytes.len();
                files.insert(path, bytes);
            }
        }
    }
    if size > MAX_OUTPUT {
        problems.push(
            Diagnostic::error(
                "template-too-large",
                Place::file(format!("{}/files", template.name)),
                format!("the files of the template `{}` have {size} bytes together, at most {MAX_OUTPUT} are allowed", template.name),
            )
            .help("split the action, or render less"),
        );
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

fn file(
    path: &RepoPath,
    content: &Bytes,
    delimiters: Option<&Delimiters>,
    place: &Place,
    context: &Context,
) -> Result<Bytes, Diagnostic> {
    let source = match std::str::from_utf8(content) {
        Ok(source) if !source.contains('\0') => source,
        _ => return Ok(content.clone()),
    };
    let Written { text, expressions } = engine::render(source, delimiters, place, &context.value)?;
    match inspect::written(path, &text, source, &expressions) {
        Some(problem) => Err(Diagnostic {
            help: problem.help.or_else(|| Some(format!("mend the template's file `{}`", place.source))),
            ..problem
        }),
        None => Ok(text.into_bytes().into()),
    }
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
        assert_eq!(problem.help.as_deref(), Some("did you mean `inputs.name`?"));
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
        assert_eq!(problem.help.as_deref(), Some("did you mean `inputs.name`?"));
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

    fn template(files: &[(&str, &[u8])]) -> Template {
        Template {
            name: "service".parse().unwrap(),
            manifest: crate::domain::TemplateManifest::default(),
            files: files.iter().map(|(path, bytes)| ((*path).to_owned(), Bytes::from(*bytes))).collect(),
            pins: BTreeMap::new(),
        }
    }

    #[test]
    fn files_are_rendered_and_everything_wrong_is_told_at_once() {
        let good = template(&[
            (
                "{{ inputs.name }}/app.yaml",
                b"name: {{ inputs.name }} # {{ inputs.slash }}\ntags: {{ inputs.tags | yaml }}\n",
            ),
            ("logo.png", b"\0{{ broken"),
        ]);
        let rendered = files(&good, &context()).unwrap();
        let as_text: Vec<_> =
            rendered.iter().map(|(path, bytes)| (path.as_str(), String::from_utf8_lossy(bytes))).collect();
        assert_eq!(as_text[0].1, "\0{{ broken");
        assert_eq!(as_text[1], ("pay/app.yaml", "name: pay # a/b\ntags: [\"a\", \"b\"]\n".into()));

        let bad = template(&[
            ("a.yaml", b"a: {{ inputs.evil }}\n"),
            ("b.yaml", b"a: \"{{ inputs.quote }}\"\n"),
            ("c.json", b"{\"a\": {{ inputs.name }}}"),
            ("d.txt", b"{{ inputs.nmae }}"),
            ("e.txt", b""),
            ("E.{{ 'txt' }}", b""),
            ("f.yaml", b"list: {{ inputs.tags }}"),
            ("g.yaml", b"# {{ inputs.evil }}\n"),
            ("h.yaml", b"a: &secret 1\nb: {{ inputs.alias }}\n"),
        ]);
        let problems = files(&bad, &context()).unwrap_err();
        let told: Vec<_> =
            problems.iter().map(|problem| (problem.code.0, problem.place.source.as_str())).collect();
        assert_eq!(
            told,
            [
                ("template-structure", "service/files/a.yaml"),
                ("template-structure", "service/files/b.yaml"),
                ("broken-output", "c.json"),
                ("template-failed", "service/files/d.txt"),
                ("template-conflict", "service/files/e.txt"),
                ("template-structure", "service/files/f.yaml"),
                ("template-structure", "service/files/g.yaml"),
                ("template-structure", "service/files/h.yaml"),
            ],
            "{:#?}",
            problems.iter().map(|problem| (&problem.place.source, &problem.message)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn other_delimiters_leave_workflow_expressions_alone() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        let mut workflow = template(&[("ci.yml", b"name: [[ inputs.name ]]\nif: ${{ github.ref }}\n")]);
        workflow.manifest.delimiters = Some(Delimiters {
            variable: pair("[[", "]]"),
            block: pair("[%", "%]"),
            comment: pair("[#", "#]"),
        });
        let rendered = files(&workflow, &context()).unwrap();
        assert_eq!(&*rendered[&"ci.yml".parse().unwrap()], b"name: pay\nif: ${{ github.ref }}\n");
    }
}
