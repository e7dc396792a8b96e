//! Does `chandlery test` find what is wrong with a template, and say it so that it can be mended?

use std::{fs, path::Path};

use crate::demo::chandlery;

const CATALOG: &[(&str, &str)] = &[
    ("chandlery.yaml", "version: 1\nrepository: acme/catalog\nrepositories: [acme/infra]\n"),
    ("blueprints/bucket.yaml", "identifier: bucket\nschema: { properties: { title: { type: string } } }\n"),
    ("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n"),
    ("entities/_user/bo.yaml", "identifier: bo\nblueprint: _user\n"),
    ("entities/_team/platform.yaml", "identifier: platform\nblueprint: _team\nrelations: { members: [ada, bo] }\n"),
    (
        "actions/add-bucket.yaml",
        "identifier: add-bucket
trigger:
  operation: CREATE
  blueprintIdentifier: bucket
  userInputs:
    properties:
      name: { type: string, pattern: \"^[a-z][a-z0-9-]*$\", maxLength: 20 }
      title: { type: string, minLength: 1, maxLength: 60 }
      note: { type: string }
      public: { type: boolean, default: false }
      readers: { type: array, items: { type: string }, default: [] }
    required: [name, title]
approval: { rules: [{ name: platform, teams: [platform], count: 1 }] }
steps:
  - id: add
    pullRequest: { repository: acme/infra, template: bucket, branch: \"bucket/{{ inputs.name }}\" }
entities:
  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { title: \"{{ inputs.title }}\" } }
",
    ),
    (
        "actions/add-bucket.tests/plain.yaml",
        "description: what most people ask for
request: { inputs: { name: invoices, title: \"All invoices: of ten years\", public: true, readers: [\"#1\"] } }
as: ada
targets: { acme/infra: infra }
expect: { approvers: { platform: [bo] } }
",
    ),
    (
        "actions/add-bucket.tests/shouting.yaml",
        "request: { inputs: { name: INVOICES, title: x } }\nexpect: { errors: [pattern-mismatch] }\n",
    ),
    ("actions/add-bucket.tests/infra/hosts.toml", "hosts = [\"one\"] # by people\n"),
    ("action-templates/bucket/files/buckets/{{ inputs.name }}.yaml", "title: {{ inputs.title | yaml }}\nreaders: {{ inputs.readers | yaml }}\n"),
    ("action-templates/bucket/files/buckets/{{ inputs.name }}.tf", "bucket \"{{ inputs.name }}\" {\n  title = {{ inputs.title | hcl }}\n}\n"),
    ("action-templates/bucket/files/buckets/{{ inputs.name }}.toml", "title = {{ inputs.title | toml }}\n"),
    ("action-templates/bucket/files/buckets/{{ inputs.name }}.json", "{ \"title\": {{ inputs.title | json }} }\n"),
    ("action-templates/bucket/files/public/{{ inputs.name }}", "{{ inputs.title }}\n"),
    (
        "action-templates/bucket/template.yaml",
        "files: [{ path: \"public/*\", when: inputs.public }]
edits:
  - { path: .gitignore, line: \"/{{ inputs.name }}/\" }
  - { path: hosts.toml, append: hosts, value: \"{{ inputs.name }}\" }
",
    ),
];

fn put(folder: &Path, path: &str, text: &str) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A catalog whose examples are as they should be.
fn catalog() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    CATALOG.iter().for_each(|(path, text)| put(folder.path(), path, text));
    let (code, told) = test(folder.path(), &["--update", "--inputs", "0"]);
    assert_eq!(code, 0, "{told}");
    folder
}

fn test(folder: &Path, more: &[&str]) -> (i32, String) {
    let output = chandlery(&[&["test", "--catalog", folder.to_str().unwrap()], more].concat());
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[test]
fn a_sound_action_passes_and_its_examples_are_no_actions() {
    let folder = catalog();
    let (code, told) = test(folder.path(), &[]);
    assert_eq!(code, 0, "{told}");
    for words in [
        "ok       plain: what most people ask for",
        "ok       shouting",
        "1 action, 2 examples, 100 made-up inputs: all is well",
    ] {
        assert!(told.contains(words), "no {words:?} in\n{told}");
    }
    assert_eq!(test(folder.path(), &[]), (code, told), "the same each time");
    let planned: usize = test(folder.path(), &[])
        .1
        .split("made-up inputs: ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(planned >= 20, "only {planned} of what is made up gets through the form");
    let validated = chandlery(&["validate", folder.path().to_str().unwrap()]);
    assert_eq!(validated.status.code(), Some(0), "{}", String::from_utf8_lossy(&validated.stdout));
    let golden = fs::read_to_string(folder.path().join("actions/add-bucket.tests/plain.diff")).unwrap();
    for line in [
        "# acme/infra",
        "+title: \"All invoices: of ten years\"",
        "-hosts = [\"one\"] # by people",
        "+/invoices/",
        "# catalog",
    ] {
        assert!(golden.contains(line), "no {line} in\n{golden}");
    }
    let (_, told) = test(folder.path(), &["--format", "json", "add-bucket"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told["ok"], &told["actions"][0]["cases"][1]["name"]), (&true.into(), &"shouting".into()));
    assert_eq!(test(folder.path(), &["add-buket"]).0, 2);
}

/// Each fault: the file, what of it is replaced and by what, and what is told.
const FAULTS: &[(&str, &str, &str, &str, &[&str])] = &[
    (
        "unquoted YAML",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.yaml",
        "inputs.title | yaml",
        "inputs.title",
        &[
            "writes \"All invoices: of ten years\" into",
            "(template-structure)",
            "inputs.name }}.yaml:1:11",
            "= help: write `{{ … | yaml }}`",
        ],
    ),
    (
        "unquoted HCL",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.tf",
        "{{ inputs.title | hcl }}",
        "\"{{ inputs.title }}\"",
        &["made-up inputs", "inputs.name }}.tf", "with title=", "= help: write `{{ … | hcl }}`"],
    ),
    (
        "JSON injection",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.json",
        "{{ inputs.title | json }}",
        "\"{{ inputs.title }}\"",
        &[".json", "with title="],
    ),
    (
        "invalid TOML",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.toml",
        "title = ",
        "title == ",
        &["`buckets/invoices.toml` cannot be read", "(broken-output)", "FAILED   plain"],
    ),
    (
        "a way out of the folder",
        "action-templates/bucket/template.yaml",
        "path: .gitignore",
        "path: \"ignored/{{ inputs.title }}\"",
        &["which is not one name (template-path)", "with title=\"", "use an input without `/`"],
    ),
    (
        "an input that may be missing",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.toml",
        "inputs.title",
        "inputs.note",
        &[
            "FAILED   plain",
            "`inputs.note` has no value here",
            "What may be left out is written `{{ inputs.note | default(…) }}`",
        ],
    ),
    (
        "something that grows each time",
        "action-templates/bucket/template.yaml",
        "  - { path: hosts.toml, append: hosts, value: \"{{ inputs.name }}\" }",
        "  - { path: hosts.toml, insert: \"hosts[0]\", value: new }\n  - { path: hosts.toml, set: \"hosts[0]\", value: \"{{ inputs.name }}\" }",
        &["done twice, it changes `hosts.toml` once more", "+hosts = [\"invoices\", \"invoices\", \"one\"]"],
    ),
    (
        "another text than was agreed",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.tf",
        "  title",
        "  name",
        &[
            "the plan is another than expected",
            "-+  title = \"All invoices: of ten years\"",
            "++  name = ",
            "chandlery test --update",
        ],
    ),
    (
        "other approvers than were agreed",
        "actions/add-bucket.yaml",
        "teams: [platform]",
        "users: [ada]",
        &[
            "others may approve than expected",
            "expected  platform: bo",
            "came      platform: \n",
            "mend `approval`",
        ],
    ),
    (
        "a condition that never holds",
        "action-templates/bucket/template.yaml",
        "when: inputs.public",
        "when: inputs.public == 'yes'",
        &["the plan is another than expected", "-diff --git a/public/invoices b/public/invoices"],
    ),
    (
        "a name in a condition that nobody gives",
        "action-templates/bucket/template.yaml",
        "when: inputs.public",
        "when: inputs.publik",
        &[
            "`inputs.publik` has no value here",
            "did you mean `inputs.public`?",
            "action-templates/bucket/template.yaml, `when: inputs.publik`",
        ],
    ),
    (
        "a statement that does not end",
        "action-templates/bucket/files/buckets/{{ inputs.name }}.toml",
        "title = ",
        "{% for x in [1] %}{% if inputs.public %}{% endif %}{# {% if %} #}{% raw %}{% if %}{% endraw %}\ntitle = ",
        &[
            "`{% for x in [1] %}` has no `endfor`",
            "action-templates/bucket/files/buckets/{{ inputs.name }}.toml:1:1",
            "write `{% endfor %}` where it is to end",
        ],
    ),
    (
        "a branch that Git does not have",
        "actions/add-bucket.yaml",
        "branch: \"bucket/{{ inputs.name }}\"",
        "branch: \"bucket/{{ inputs.title }}\"",
        &["(bad-branch)"],
    ),
    (
        "a form that refuses what was to be planned",
        "actions/add-bucket.yaml",
        "maxLength: 60",
        "maxLength: 10",
        &["it is refused", "(wrong-length)"],
    ),
];

#[test]
fn planted_faults_are_found_and_told_usefully() {
    let folder = catalog();
    for (what, path, from, to, words) in FAULTS {
        let disk = folder.path().join(path);
        let sound = fs::read_to_string(&disk).unwrap();
        assert!(sound.contains(from), "{what}");
        fs::write(&disk, sound.replacen(from, to, 1)).unwrap();
        let (code, told) = test(folder.path(), &[]);
        fs::write(&disk, sound).unwrap();
        assert_eq!(code, 1, "{what}\n{told}");
        for word in *words {
            assert!(told.contains(word), "{what}: no {word:?} in\n{told}");
        }
    }
    assert_eq!(test(folder.path(), &[]).0, 0);
}

/// What is wrong whatever is asked is told before: which template takes what from which action.
#[test]
fn validate_holds_templates_against_the_actions_that_name_them() {
    let folder = catalog();
    let path = "action-templates/bucket/files/buckets/{{ inputs.name }}.toml";
    for (text, code, words) in [
        ("title = {{ inputs.note | toml }}\n", 0, "warning[optional-input]: `inputs.note` may have no value"),
        ("title = {{ inputs.titel | toml }}\n", 1, "did you mean `inputs.title`?"),
        ("title = {{ inputs.note | default('') | toml }}\n", 0, "no problems"),
        ("{% include 'title.toml' %}\n", 0, "no problems"),
    ] {
        put(folder.path(), path, text);
        let output = chandlery(&["validate", folder.path().to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(words), "{told}");
    }
    put(folder.path(), "action-templates/bucket/files/run.sh", "rm {{ inputs.name }}\n");
    put(folder.path(), "action-templates/bucket/partials/broken", "{% if %}");
    let output = chandlery(&["validate", folder.path().to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for words in
        ["warning[unquoted-shell]", "error[template-syntax]", "action-templates/bucket/partials/broken:1"]
    {
        assert!(told.contains(words), "{told}");
    }
}
