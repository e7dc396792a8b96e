//! Does a request mean the same whichever way it was asked: an issue form, the terminal, or a file?
//!
//! A row is a kind of input, and what is answered in each of the three ways. The file says what must come of it: the value
//! that stands in the plan, or what is wrong, word for word.

use std::{collections::BTreeMap, fs, path::Path};

use chandlery::{
    catalog::{Definitions, Files, Root, load_definitions, load_settings},
    intake::issue_form::{self, Reading},
};
use serde_json::{Value, json};

use crate::demo::chandlery;

/// A kind of input: what it is called, and how it is defined.
struct Kind(&'static str, &'static str, &'static [Answered]);

/// What is answered: in a file, in the form and in the terminal, and a part of what comes of it.
struct Answered {
    file: &'static str,
    form: &'static str,
    words: &'static [&'static str],
    told: &'static str,
}

/// One answer that is written the same everywhere.
const fn same(text: &'static str, words: &'static [&'static str], told: &'static str) -> Answered {
    Answered { file: text, form: text, words, told }
}

const fn each(
    file: &'static str,
    form: &'static str,
    words: &'static [&'static str],
    told: &'static str,
) -> Answered {
    Answered { file, form, words, told }
}

/// Nothing is answered.
const fn nothing(told: &'static str) -> Answered {
    Answered { file: "", form: "", words: &[], told }
}

const KINDS: &[Kind] = &[
    Kind(
        "text",
        "type: string, pattern: '^[a-z]+$', minLength: 2",
        &[
            same("logs", &["logs"], "- it: `logs`"),
            same("Logs", &["Logs"], "pattern-mismatch"),
            same("l", &["l"], "wrong-length"),
        ],
    ),
    Kind(
        "text-choice",
        "type: string, enum: [gold, silver], enumColors: { gold: yellow }",
        &[same("gold", &["gold"], "- it: `gold`"), same("lead", &["lead"], "not-a-choice")],
    ),
    Kind(
        "text-default",
        "type: string, default: plain",
        &[nothing("- it: `plain`"), same("fine", &["fine"], "- it: `fine`")],
    ),
    Kind(
        "number",
        "type: number, minimum: 1, exclusiveMaximum: 9, multipleOf: 0.5",
        &[
            same("2.5", &["2.5"], "- it: `2.5`"),
            same("9", &["9"], "out-of-range"),
            same("2.3", &["2.3"], "it"),
            same("many", &["many"], "wrong-type"),
        ],
    ),
    Kind(
        "number-choice",
        "type: number, enum: [80, 443]",
        &[same("443", &["443"], "- it: `443`"), same("8080", &["8080"], "not-a-choice")],
    ),
    Kind(
        "flag",
        "type: boolean",
        &[
            each("true", "Yes", &["yes"], "- it: `true`"),
            each("false", "No", &["false"], "- it: `false`"),
            same("maybe", &["maybe"], "wrong-type"),
        ],
    ),
    Kind(
        "object",
        "type: object, additionalProperties: { type: string }",
        &[
            same("{ tier: gold }", &["{ tier: gold }"], "- it: `{\"tier\":\"gold\"}`"),
            same("{ tier: 1 }", &["{ tier: 1 }"], "wrong-type"),
            same("[gold]", &["[gold]"], "wrong-type"),
        ],
    ),
    Kind(
        "labeled-url",
        "type: object, format: labeled-url",
        &[
            same(
                "{ url: 'https://acme.test', displayText: Acme }",
                &["{ url: 'https://acme.test', displayText: Acme }"],
                "acme.test",
            ),
            same("{ url: acme }", &["{ url: acme }"], "wrong-format"),
        ],
    ),
    Kind(
        "list",
        "type: array, items: { type: string, pattern: '^[a-z]+$' }, minItems: 1, maxItems: 2, uniqueItems: true",
        &[
            each("[one, two]", "one\ntwo", &["one", "two"], "- it: `[\"one\",\"two\"]`"),
            each("[one, two, three]", "one\ntwo\nthree", &["one", "two", "three"], "wrong-item-count"),
            each("[one, one]", "one\none", &["one", "one"], "it"),
            each("[One]", "One", &["One"], "pattern-mismatch"),
        ],
    ),
    Kind(
        "list-choice",
        "type: array, items: { type: string, enum: [red, blue] }",
        &[
            each("[red, blue]", "red, blue", &["red", "blue"], "- it: `[\"red\",\"blue\"]`"),
            each("[red, pink]", "red, pink", &["red", "pink"], "not-a-choice"),
        ],
    ),
    Kind(
        "list-of-numbers",
        "type: array, items: { type: number, maximum: 9 }",
        &[
            each("[1, 2.5]", "1\n2.5", &["1", "2.5"], "- it: `[1,2.5]`"),
            each("[10]", "10", &["10"], "out-of-range"),
        ],
    ),
    Kind(
        "list-of-objects",
        "type: array, items: { type: object }",
        &[
            each("[{ a: 1 }]", "[{ a: 1 }]", &["[{ a: 1 }]"], "- it: `[{\"a\":1}]`"),
            each("[a]", "[a]", &["[a]"], "wrong-type"),
        ],
    ),
    Kind(
        "date-time",
        "type: string, format: date-time",
        &[
            same("'2026-11-30T10:00:00Z'", &["2026-11-30T10:00:00Z"], "- it: `2026-11-30T10:00:00Z`"),
            same("tomorrow", &["tomorrow"], "wrong-format"),
        ],
    ),
    Kind(
        "timer",
        "type: string, format: timer",
        &[
            same("'2026-11-30T10:00:00Z'", &["2026-11-30T10:00:00Z"], "- it: `2026-11-30T10:00:00Z`"),
            same("soon", &["soon"], "wrong-format"),
        ],
    ),
    Kind(
        "duration",
        "type: string, format: duration",
        &[same("12h", &["12h"], "- it: `12h`"), same("-3d", &["-3d"], "wrong-format")],
    ),
    Kind(
        "url",
        "type: string, format: url",
        &[
            same("https://acme.test/x", &["https://acme.test/x"], "- it: `https://acme.test/x`"),
            same("acme", &["acme"], "wrong-format"),
        ],
    ),
    Kind(
        "email",
        "type: string, format: email",
        &[
            same("ada@acme.test", &["ada@acme.test"], "- it: `ada@acme.test`"),
            same("ada", &["ada"], "wrong-format"),
        ],
    ),
    Kind(
        "idn-email",
        "type: string, format: idn-email",
        &[same("ä@acme.test", &["ä@acme.test"], "acme.test`"), same("ä", &["ä"], "wrong-format")],
    ),
    Kind(
        "ipv4",
        "type: string, format: ipv4",
        &[
            same("192.0.2.1", &["192.0.2.1"], "- it: `192.0.2.1`"),
            same("192.0.2", &["192.0.2"], "wrong-format"),
        ],
    ),
    Kind(
        "ipv6",
        "type: string, format: ipv6",
        &[same("'2001:db8::1'", &["2001:db8::1"], "- it: `2001:db8::1`"), same("x", &["x"], "wrong-format")],
    ),
    Kind(
        "yaml",
        "type: string, format: yaml",
        &[
            each("'a: [1]'", "a: [1]", &["a: [1]"], "- it: `a: [1]`"),
            each("'a: ['", "a: [", &["a: ["], "wrong-format"),
        ],
    ),
    Kind("markdown", "type: string, format: markdown", &[same("'# It'", &["# It"], "- it: `# It`")]),
    Kind(
        "proto",
        "type: string, format: proto",
        &[same("'message A {}'", &["message A {}"], "- it: `message A {}`")],
    ),
    Kind(
        "multi-line",
        "type: string, format: multi-line, maxLength: 7",
        &[
            each("\"one\\ntwo\"", "one\ntwo", &["one\ntwo"], "- it: `one two`"),
            each("\"one\\ntwo\\nthree\"", "one\ntwo\nthree", &["one\ntwo\nthree"], "wrong-length"),
        ],
    ),
    Kind(
        "blueprints",
        "type: string, format: blueprints",
        &[same("thing", &["thing"], "- it: `thing`"), same("thin", &["thin"], "thin")],
    ),
    Kind(
        "entity",
        "type: string, format: entity, blueprint: thing, dataset: { combinator: and, rules: [{ property: size, operator: '>', value: 1 }] }, sort: { property: size, order: DESC }",
        &[
            same("two", &["two"], "- it: `two`"),
            same("one", &["one"], "not-in-dataset"),
            same("tow", &["tow"], "unknown-entity"),
        ],
    ),
    Kind(
        "entities",
        "type: array, items: { type: string, format: entity, blueprint: thing }",
        &[
            each("[two, one]", "two, one", &["two", "one"], "- it: `[\"two\",\"one\"]`"),
            each("[two, tow]", "two, tow", &["two", "tow"], "unknown-entity"),
        ],
    ),
    Kind(
        "user",
        "type: string, format: user",
        &[same("ada", &["ada"], "- it: `ada`"), same("nobody", &["nobody"], "unknown-entity")],
    ),
    Kind(
        "teams",
        "type: array, items: { type: string, format: team }",
        &[
            each("[platform]", "platform", &["platform"], "- it: `[\"platform\"]`"),
            each("[platfrom]", "platfrom", &["platfrom"], "unknown-entity"),
        ],
    ),
    Kind(
        "secret",
        "type: string, format: secret",
        &[
            same("env:DB", &["env:DB"], "- it: `env:DB`"),
            same("github-secret:DB", &["github-secret:DB"], "- it: `github-secret:DB`"),
            same("env:OTHER", &["env:OTHER"], "unknown-secret"),
            same("swordfish", &["swordfish"], "secret-in-plain"),
        ],
    ),
    Kind("required", "type: string", &[same("x", &["x"], "- it: `x`"), nothing("missing-input")]),
    Kind(
        "hidden",
        "type: string, default: plain, visible: { jqQuery: .user.login == \"bo\" }",
        &[nothing("- it: `plain`"), same("fine", &["fine"], "hidden-input")],
    ),
    Kind(
        "disabled",
        "type: string, default: plain, disabled: { jqQuery: .user.login == \"ada\" }",
        &[nothing("- it: `plain`"), same("fine", &["fine"], "disabled-input")],
    ),
    Kind(
        "read-only",
        "type: string, default: { jqQuery: .user.login }, readOnly: { jqQuery: .user.login == \"ada\" }",
        &[
            nothing("- it: `ada`"),
            same("ada", &["ada"], "- it: `ada`"),
            same("bo", &["bo"], "read-only-input"),
        ],
    ),
    Kind(
        "depends",
        "type: string, dependsOn: [other]",
        &[nothing("- nobody"), same("fine", &["fine"], "disabled-input")],
    ),
    Kind(
        "computed",
        "type: string, enum: { jqQuery: '[.user.login, \"us\"]' }, default: { jqQuery: .user.login }",
        &[nothing("- it: `ada`"), same("us", &["us"], "- it: `us`"), same("eu", &["eu"], "not-a-choice")],
    ),
    Kind(
        "computed-limits",
        "type: array, items: { type: string, pattern: { jqQuery: '\"^\" + .user.login' } }, minItems: { jqQuery: '1' }, maxItems: { jqQuery: .user.login | length }",
        &[
            each("[ada-1]", "ada-1", &["ada-1"], "- it: `[\"ada-1\"]`"),
            each(
                "[ada, ada, ada, ada]",
                "ada\nada\nada\nada",
                &["ada", "ada", "ada", "ada"],
                "wrong-item-count",
            ),
            each("[bo]", "bo", &["bo"], "pattern-mismatch"),
        ],
    ),
    Kind(
        "validated",
        "type: number",
        &[same("4", &["4"], "- it: `4`"), same("3", &["3"], "validation-failed")],
    ),
];

fn catalog() -> (tempfile::TempDir, Definitions) {
    let folder = tempfile::tempdir().unwrap();
    git2::Repository::init(folder.path()).unwrap();
    let mut files: BTreeMap<String, String> = [
        ("chandlery.yaml", "version: 1\nrepository: acme/catalog\nsecrets: [DB]\n"),
        ("blueprints/thing.yaml", "identifier: thing\nschema: { properties: { size: { type: number } } }\n"),
        ("entities/thing/one.yaml", "identifier: one\nblueprint: thing\nproperties: { size: 1 }\n"),
        ("entities/thing/two.yaml", "identifier: two\nblueprint: thing\nproperties: { size: 2 }\n"),
        ("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n"),
        ("entities/_team/platform.yaml", "identifier: platform\nblueprint: _team\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into();
    for Kind(kind, definition, _) in KINDS {
        let required = if *kind == "required" { "[it]" } else { "[]" };
        let validations = match *kind {
            "validated" => "[{ message: It is even, jqQuery: '.form.it % 2 == 0' }]",
            _ => "[]",
        };
        let text = format!(
            "identifier: {kind}\ntrigger:\n  operation: CREATE\n  blueprintIdentifier: thing\n  userInputs:\n    properties:\n      it: {{ {definition} }}\n      other: {{ type: string }}\n    required: {required}\n    validations: {validations}\napproval: none\nentities:\n  - create: {{ blueprint: thing, identifier: three }}\n"
        );
        files.insert(format!("actions/{kind}.yaml"), text);
    }
    for (path, text) in &files {
        let disk = folder.path().join(path);
        fs::create_dir_all(disk.parent().unwrap()).unwrap();
        fs::write(disk, text).unwrap();
    }
    let files: Files =
        files.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().into())).collect();
    let root = Root::default();
    let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
    let (definitions, problems) = load_definitions(&root, settings, &files);
    assert!(problems.is_empty(), "{problems:#?}");
    (folder, definitions)
}

/// What is wrong, each in a line; or the values in the plan.
fn told(output: &std::process::Output) -> String {
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let is_told =
        |line: &&str| line.starts_with("error[") || output.status.success() && line.starts_with("- ");
    said.lines().filter(is_told).map(|line| format!("{line}\n")).collect()
}

/// What was told of each request so far: what was asked in other ways is often the same.
type Told = BTreeMap<String, String>;

fn of_file(folder: &Path, request: &str, known: &mut Told) -> String {
    let asked: Option<Value> = serde_yaml::from_str(request).ok();
    let asked =
        asked.map_or_else(|| request.to_owned(), |asked| format!("{} {}", asked["action"], asked["inputs"]));
    known.entry(asked).or_insert_with(|| planned(folder, request)).clone()
}

fn planned(folder: &Path, request: &str) -> String {
    let path = folder.join("requests/one/request.yaml");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, request).unwrap();
    let output = chandlery(&["plan", path.to_str().unwrap(), "--as", "ada"]);
    fs::remove_dir_all(folder.join("requests")).unwrap();
    told(&output)
}

/// As GitHub writes what was answered in the form.
fn of_form(folder: &Path, definitions: &Definitions, kind: &str, answer: &str, known: &mut Told) -> String {
    let action = &definitions.actions[&kind.parse().unwrap()].value;
    let answers = [("it".to_owned(), answer.trim_matches('\'').to_owned())];
    let answers = answers.into_iter().filter(|(_, answer)| !answer.is_empty()).collect();
    match issue_form::parse(&issue_form::fill(action, &answers), 7, definitions) {
        Reading::Read(file) => {
            let request = json!({ "action": file.action, "inputs": file.inputs });
            of_file(folder, &request.to_string(), known)
        }
        other => panic!("{kind}: {answer:?} is no answer: {other:?}"),
    }
}

/// As somebody says it on the command line: the file that it prints, or what it tells at once.
fn of_terminal(folder: &Path, kind: &str, words: &[&str], known: &mut Told) -> String {
    let given: Vec<String> = words.iter().map(|word| format!("it={word}")).collect();
    let mut line =
        vec!["request", kind, "--as", "ada", "--print-only", "--catalog", folder.to_str().unwrap()];
    line.extend(given.iter().flat_map(|given| ["--input", given.as_str()]));
    let output = chandlery(&line);
    if !output.status.success() {
        return told(&output);
    }
    of_file(folder, &String::from_utf8(output.stdout).unwrap(), known)
}

#[test]
fn every_kind_of_input_means_the_same_in_all_three_ways() {
    let (folder, definitions) = catalog();
    let (mut wrong, mut known) = (String::new(), Told::new());
    for Kind(kind, _, answers) in KINDS {
        for Answered { file, form, words, told } in *answers {
            let it = if file.is_empty() { "{}".to_owned() } else { format!("{{ it: {file} }}") };
            let by_file = of_file(folder.path(), &format!("action: {kind}\ninputs: {it}\n"), &mut known);
            if !by_file.contains(told) {
                wrong.push_str(&format!("{kind}, {file:?} in a file: no {told:?} in\n{by_file}\n"));
            }
            let others = [
                ("form", of_form(folder.path(), &definitions, kind, form, &mut known)),
                ("terminal", of_terminal(folder.path(), kind, words, &mut known)),
            ];
            for (way, told) in others {
                if told != by_file {
                    wrong.push_str(&format!(
                        "{kind}, {file:?}: in the {way}\n{told}and in a file\n{by_file}\n"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// No kind of input is left out: each type and format that an action may have stands in a row.
#[test]
fn tidy_every_format_of_an_input_is_tried_in_all_three_ways() {
    let schema: Value = serde_json::from_str(include_str!("../../schemas/action.json")).unwrap();
    let mut formats = Vec::new();
    each_enum(&schema["$defs"], &mut formats);
    let tried: Vec<&str> = KINDS.iter().map(|Kind(_, definition, _)| *definition).collect();
    let missing: Vec<&String> = formats
        .iter()
        .filter(|format| !tried.iter().any(|definition| definition.contains(&format!("format: {format}"))))
        .collect();
    assert!(missing.is_empty() && formats.len() > 15, "{missing:?} of {formats:?}");
}

/// The names of formats, wherever the schema lists them.
fn each_enum(value: &Value, formats: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            let listed = entries.get("enum").and_then(Value::as_array);
            if let Some(names) = listed.filter(|names| names.contains(&json!("multi-line"))) {
                formats.extend(names.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            entries.values().for_each(|value| each_enum(value, formats));
        }
        Value::Array(items) => items.iter().for_each(|item| each_enum(item, formats)),
        _ => {}
    }
}
