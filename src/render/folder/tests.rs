use serde_json::json;

use super::*;
use crate::domain::{DocumentPlace, TemplateManifest};

fn context() -> Context {
    let names = json!({ "inputs": {
        "name": "pay", "tags": ["a", "b"], "alias": "*secret", "slash": "a/b", "evil": "x\nadmin: true", "quote": "a\" #b",
        "hcl": "${file(\"/x\")}", "toml": "\"\nadmin = true\nx = \"", "close": "*/ admin = true /*", "apostrophe": "'\nadmin = true\nx = '", "public": false, "none": [], "version": "1.10", "word": "yes", "count": 3,
    }});
    Context::new(names.as_object().unwrap().clone())
}

fn template(files: &[(&str, &[u8])]) -> Template {
    with_partials(files, &[])
}

fn with_partials(files: &[(&str, &[u8])], partials: &[(&str, &str)]) -> Template {
    let file = |bytes: &[u8]| TemplateFile { bytes: Bytes::from(bytes), executable: false };
    Template {
        name: "service".parse().unwrap(),
        manifest: TemplateManifest::default(),
        files: files.iter().map(|(path, bytes)| ((*path).to_owned(), file(bytes))).collect(),
        partials: partials
            .iter()
            .map(|(name, text)| ((*name).to_owned(), Bytes::from(text.as_bytes())))
            .collect(),
        pins: BTreeMap::new(),
    }
}

fn rendered(template: &Template) -> Vec<(String, String, bool)> {
    let files = files(template, "", &context()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let shown = |(path, file): (&RepoPath, &Rendered)| {
        (path.to_string(), String::from_utf8_lossy(&file.bytes).into_owned(), file.executable)
    };
    files.iter().map(shown).collect()
}

/// What is told of each text as a file of this name: none where it is good.
fn judged(name: &str, text: &str, partials: &[(&str, &str)]) -> Option<(&'static str, Diagnostic)> {
    let problems = files(&with_partials(&[(name, text.as_bytes())], partials), "", &context()).err()?;
    problems.into_iter().next().map(|problem| (problem.code.0, problem))
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
    let good = rendered(&good);
    assert_eq!(good[0].1, "\0{{ broken");
    assert_eq!(good[1].0, "pay/app.yaml");
    assert_eq!(good[1].1, "name: pay # a/b\ntags: [\"a\", \"b\"]\n");

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
    let problems = files(&bad, "", &context()).unwrap_err();
    let told: Vec<_> =
        problems.iter().map(|problem| (problem.code.0, problem.place.source.as_str())).collect();
    assert_eq!(
        told,
        [
            ("template-structure", "service/files/a.yaml"),
            ("template-structure", "service/files/b.yaml"),
            ("template-structure", "service/files/c.json"),
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
fn no_input_adds_structure_to_any_file_that_we_can_read() {
    for (name, text) in [
        ("a.yaml", "a: {{ inputs.evil | yaml }}\nb: {{ inputs.tags | json }}\n{{ inputs.evil | yaml }}: 1\n"),
        ("a.yaml", "{{ inputs.evil | replace('x', 'b: 1') | raw }}\n"),
        ("a.json", "{\"a\": {{ inputs.evil | json }}, \"{{ inputs.name }}\": {{ inputs.public }}}"),
        (
            "a.toml",
            "# {{ inputs.slash }}\n[{{ inputs.name }}]\na = {{ inputs.toml | toml }}\nb = \"{{ inputs.name }}-x\"\nc = {{ inputs.tags | toml }}\n",
        ),
        (
            "a.tf",
            "/* {{ inputs.evil }} */\nresource \"x\" \"{{ inputs.name }}\" {\n  a = {{ inputs.hcl | hcl }}\n  b = \"${var.x}-{{ inputs.name }}\"\n  c = x.{{ inputs.name }}.id\n  {{ inputs.name }} = {{ inputs.tags | hcl }} # {{ inputs.slash }}\n}\n",
        ),
        ("a.hcl", "a = <<EOT\n{{ inputs.evil }}\nEOT\n"),
        ("a.yaml", "{% set x = inputs.evil | yaml %}a: {{ x }}\n"),
        (
            "a.yaml",
            "{% macro row(key, value) %}{{ key }}: {{ value | yaml }}\n{% endmacro %}{{ row('a', inputs.evil) }}{{ row('b', inputs.tags) }}",
        ),
        ("a.yaml", "{% include 'row.yaml' %}\n"),
        ("a.yaml", "{% import 'rows' as rows %}{{ rows.row('a', inputs.evil) }}"),
    ] {
        let partials = [
            ("row.yaml", "a: {{ inputs.evil | yaml }}\n"),
            ("rows", "{% macro row(key, value) %}{{ key }}: {{ value | yaml }}\n{% endmacro %}"),
        ];
        let told = judged(name, text, &partials);
        assert!(told.is_none(), "{name}: {text}\n{told:#?}");
    }
    for (name, text) in [
        ("a.toml", "a = \"{{ inputs.toml }}\"\n"),
        ("a.toml", "a = {{ inputs.name | yaml }} # {{ inputs.evil }}\n"),
        ("a.toml", "a = '{{ inputs.toml }}{{ inputs.apostrophe | toml }}'\n"),
        ("a.tf", "a = \"{{ inputs.hcl }}\"\n"),
        ("a.tf", "a = {{ inputs.hcl | json }}\n"),
        ("a.tf", "a = {{ inputs.name }}\n"),
        ("a.tf", "a = \"{{ inputs.quote }}\"\n"),
        ("a.tf", "/* {{ inputs.close }} */\n"),
        ("a.tf", "# {{ inputs.evil }}\n"),
        ("a.yaml", "a: {{ inputs.evil | hcl | replace('\"', '') }}\n"),
        ("a.yaml", "{% set x = inputs.evil %}a: {{ x }}\n"),
        (
            "a.yaml",
            "{% macro row(key, value) %}{{ key }}: {{ value }}\n{% endmacro %}{{ row('a', inputs.evil) }}",
        ),
        ("a.yaml", "{% macro row(key) %}{{ key }}: {% endmacro %}{{ row('a') ~ inputs.evil }}\n"),
        // It looks at what its macro wrote: then only the outermost expressions are known, and none is let off.
        (
            "a.yaml",
            "{% macro row(value) %}{{ value }}{% endmacro %}{% if row('x') == 'x' %}a: {{ row(inputs.evil) }}\n{% endif %}",
        ),
        ("a.yaml", "{% include 'row.yaml' %}\n"),
        ("a.yaml", "{a: '{{ inputs.apostrophe | yaml }}'}\n"),
    ] {
        let told = judged(name, text, &[("row.yaml", "a: {{ inputs.evil }}")]);
        let code = told.as_ref().map(|(code, _)| *code);
        assert!(matches!(code, Some("template-structure" | "broken-output")), "{name}: {text}\n{told:#?}");
    }
    let (_, told) =
        judged("a.yaml", "{% include 'row.yaml' %}\n", &[("row.yaml", "x: 1\na: {{ inputs.evil }}")])
            .unwrap();
    assert_eq!(told.place.source, "service/partials/row.yaml");
    assert_eq!(told.place.span.unwrap().line, 2);
}

#[test]
fn a_text_stays_a_text_for_whoever_reads_the_file() {
    let with = |text: &str, value: &str| {
        let names = json!({ "inputs": { "x": value, "n": 10 } });
        let context = Context::new(names.as_object().unwrap().clone());
        files(&template(&[("a.yaml", text.as_bytes())]), "", &context).err().map(|told| told[0].code.0)
    };
    for other in [
        "1.10",
        "yes",
        "No",
        "on",
        "null",
        "~",
        "true",
        "0x1F",
        "0o17",
        "017",
        "1e3",
        "-3",
        "+1",
        "1_000",
        "12:30:45",
        "2024-01-01",
        "2024-01-01T10:00:00Z",
        ".5",
        ".inf",
        "-.INF",
        "0b11",
    ] {
        for text in [
            "a: {{ inputs.x }}\n",
            "- {{ inputs.x }} # it\n",
            "a: [b, {{ inputs.x }}]\n",
            "{{ inputs.x }}: b\n",
        ] {
            assert_eq!(with(text, other), Some("text-without-quotes"), "{text} with {other}");
        }
        for text in [
            "a: {{ inputs.x | yaml }}\n",
            "a: '{{ inputs.x }}'\n",
            "a: \"{{ inputs.x }}\"\n",
            "a: {{ inputs.x | raw }}\n",
            "a: |\n  {{ inputs.x }}\n",
            "a: v{{ inputs.x }}\n",
            "# {{ inputs.x }}\na: 1\n",
        ] {
            assert_eq!(with(text, other), None, "{text} with {other}");
        }
    }
    for same in ["main", "v1.10", "1.10.2", "1.10-rc1", "10m", "yes please", "nothing", "2024-week-1", "a:b"]
    {
        assert_eq!(with("a: {{ inputs.x }}\n", same), None, "{same}");
    }
    // A number may be one.
    assert_eq!(with("a: {{ inputs.n }}\nb: {{ inputs.x | int }}\n", "1"), None);
    // What two of them make.
    assert_eq!(with("a: {{ inputs.x }}.{{ inputs.x }}\n", "1"), Some("text-without-quotes"));

    for (name, bad, good) in [
        ("a.toml", "a = {{ inputs.version }}\n", "a = \"{{ inputs.version }}\"\nb = {{ inputs.count }}\n"),
        (
            "a.json",
            "{\"a\": {{ inputs.version }}}",
            "{\"a\": {{ inputs.version | json }}, \"b\": {{ inputs.count }}}",
        ),
        (
            "a.tf",
            "a = {{ inputs.version }}\n",
            "a = {{ inputs.version | hcl }}\nb = {{ inputs.count }}\nc = \"x-{{ inputs.version }}\"\n",
        ),
    ] {
        let (code, told) = judged(name, bad, &[]).unwrap();
        assert_eq!(code, "text-without-quotes", "{name}");
        assert!(told.message.contains("`1.10`") && told.place.span.is_some(), "{told:?}");
        assert!(judged(name, good, &[]).is_none(), "{name}");
    }
    let in_a_macro = "{% macro row(value) %}a: {{ value }}\n{% endmacro %}{{ row(inputs.word) }}";
    assert_eq!(judged("a.yaml", in_a_macro, &[]).unwrap().0, "text-without-quotes");
}

#[test]
fn a_raw_file_is_written_as_it_is() {
    let mut helm = template(&[
        ("chart/x.yaml", b"{{ inputs.evil }}: [{{ '{{' }} .Values.x }}\n"),
        ("y.yaml", b"a: {{ inputs.evil }}\n"),
    ]);
    helm.manifest.rules =
        vec![FileRule { path: "chart/*".to_owned(), raw: Some(true), ..FileRule::default() }];
    let told = files(&helm, "", &context()).unwrap_err();
    assert_eq!((told.len(), told[0].code.0), (1, "template-structure"));
    helm.files.remove("y.yaml");
    assert_eq!(rendered(&helm)[0].1, "x\nadmin: true: [{{ .Values.x }}\n");
    assert!(is_raw(&helm, "chart/x.yaml") && !is_raw(&helm, "other"));
}

#[test]
fn rules_say_which_files_there_are_and_how() {
    let mut ruled = template(&[
        ("bin/run.sh", b"echo {{ inputs.name | shell }}\n"),
        ("bin/[[ item ]].txt", b"x"),
        ("bin/{{ item }}.txt", b"{{ item }} of {{ inputs.name }}\n"),
        ("docs/public.md", b"{{ inputs.nmae }}"),
        ("chart/x.yaml", b"a: {{ .Values.x }}\n"),
        ("ci/x.yml", b"a: ${{ github.ref }} << inputs.name >>\n"),
    ]);
    let rule = |path: &str| FileRule { path: path.to_owned(), ..FileRule::default() };
    ruled.manifest.rules = vec![
        FileRule { executable: Some(true), ..rule("**/*.sh") },
        FileRule { for_each: Some("inputs.tags".to_owned()), ..rule("bin/{{*") },
        FileRule { when: Some("item != 'b'".to_owned()), ..rule("bin/{{ item }}.txt") },
        FileRule { when: Some("inputs.public".to_owned()), ..rule("docs/**") },
        FileRule { copy: Some(true), ..rule("chart/*") },
        FileRule {
            delimiters: Some(Delimiters {
                variable: ("<<".to_owned(), ">>".to_owned()),
                block: ("<%".to_owned(), "%>".to_owned()),
                comment: ("<#".to_owned(), "#>".to_owned()),
            }),
            ..rule("ci/*")
        },
    ];
    ruled.files.remove("bin/[[ item ]].txt");
    let expected = [
        ("bin/a.txt", "a of pay\n", false),
        ("bin/run.sh", "echo pay\n", true),
        ("chart/x.yaml", "a: {{ .Values.x }}\n", false),
        ("ci/x.yml", "a: ${{ github.ref }} pay\n", false),
    ];
    assert_eq!(
        rendered(&ruled),
        expected.map(|(path, text, may_run)| (path.to_owned(), text.to_owned(), may_run))
    );

    ruled.manifest.rules = vec![FileRule { for_each: Some("inputs.name".to_owned()), ..rule("bin/*") }];
    let problems = files(&ruled, "", &context()).unwrap_err();
    assert!(problems[0].message.contains("which is no list"), "{problems:#?}");
}

#[test]
fn only_partials_can_be_included() {
    let (code, told) = judged("a.txt", "{% include 'labls' %}", &[("labels", "x")]).unwrap();
    assert_eq!((code, told.help.as_deref()), ("template-failed", Some("did you mean `labels`?")));
    assert!(judged("a.txt", "{% include '../x' %}", &[]).is_some());
    let fine = with_partials(
        &[("a.txt", b"[{% include 'in/ner' %}]\n")],
        &[("in/ner", "{% include 'row' %}\n"), ("row", "{{ inputs.name }}\n")],
    );
    assert_eq!(rendered(&fine)[0].1, "[pay]\n");
}

#[test]
fn other_delimiters_leave_workflow_expressions_alone() {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let mut workflow = template(&[("ci.yml", b"name: [[ inputs.name ]]\nif: ${{ github.ref }}\n")]);
    workflow.manifest.delimiters =
        Some(Delimiters { variable: pair("[[", "]]"), block: pair("[%", "%]"), comment: pair("[#", "#]") });
    assert_eq!(rendered(&workflow)[0].1, "name: pay\nif: ${{ github.ref }}\n");
}

#[test]
fn what_is_wrong_whatever_is_asked_is_told_before() {
    let mut wrong = template(&[
        ("run.sh", b"rm {{ inputs.name }} {{ inputs.name | shell }} {{ inputs.x | default('') | shell }}\n"),
        ("a.txt", b"{{ inputs.nmae }} {{ inputs.size }} {{ inputs.tags | default([]) }} {% if inputs.port is defined %}{{ inputs.port }}{% endif %}"),
    ]);
    wrong.manifest.rules =
        vec![FileRule { path: "*".to_owned(), when: Some("inputs.".to_owned()), ..FileRule::default() }];
    let codes = |found: Vec<Diagnostic>| found.into_iter().map(|one| one.code.0).collect::<Vec<_>>();
    assert_eq!(codes(check(&wrong, "t/service")), ["unquoted-shell", "template-syntax"]);
    let inputs =
        Inputs { known: ["name", "size", "tags", "port"].into(), optional: ["size", "tags", "port"].into() };
    wrong.manifest.rules = vec![
        FileRule { path: "*.txt".to_owned(), when: Some("input.size > 3".to_owned()), ..FileRule::default() },
        FileRule {
            path: "*.sh".to_owned(),
            when: Some("range(3) and item".to_owned()),
            ..FileRule::default()
        },
    ];
    let append = EditChange::Append {
        list: DocumentPlace { at: "list[name={{ what.x }}]".to_owned(), document: 0 },
        value: json!({ "a": ["{{ inputs.nmae }}", "{{ item }}"] }),
    };
    wrong.manifest.edits = vec![TextEdit {
        path: "{{ inputs.name }}.yaml".to_owned(),
        when: None,
        for_each: Some("[1]".to_owned()),
        change: append,
    }];
    let told = check_names(&wrong, "t/service", "start", &inputs);
    let messages: Vec<_> =
        told.iter().map(|one| (one.code.0, one.message.split(',').next().unwrap())).collect();
    assert_eq!(
        messages,
        [
            ("unknown-name", "`t/service/files/a.txt` speaks of `inputs.nmae`"),
            ("unknown-name", "`t/service/template.yaml` speaks of `input`"),
            ("unknown-name", "`t/service/template.yaml` speaks of `inputs.nmae`"),
            ("unknown-name", "`t/service/template.yaml` speaks of `item`"),
            ("unknown-name", "`t/service/template.yaml` speaks of `what`"),
            ("optional-input", "`inputs.size` may have no value: the action `start` does not require it"),
        ]
    );
}
