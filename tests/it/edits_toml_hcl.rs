//! Changes inside TOML and HCL: everything else stays byte for byte, and what is so already stays as it is.

use chandlery::{
    domain::{Diagnostic, DocumentPlace, EditChange, EditTarget},
    render::edit,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn place(at: &str) -> DocumentPlace {
    DocumentPlace { at: at.to_owned(), document: 0 }
}

fn set(at: &str, value: Value) -> EditChange {
    EditChange::Set { target: EditTarget::At(place(at)), value }
}

fn append(at: &str, value: Value) -> EditChange {
    EditChange::Append { list: place(at), value }
}

fn insert(at: &str, value: Value) -> EditChange {
    EditChange::Insert { position: place(at), value }
}

fn remove(at: &str, value: Value) -> EditChange {
    EditChange::Remove { list: place(at), value }
}

fn delete(at: &str) -> EditChange {
    EditChange::Delete(place(at))
}

fn changed(file: &str, old: &str, change: &EditChange) -> Result<String, Diagnostic> {
    edit::apply(&file.parse().unwrap(), Some(old.as_bytes()), change)
        .map(Option::unwrap)
        .map(|new| String::from_utf8(new).unwrap())
}

/// `change` makes `old` of one part into `new`, in Windows' lines too, and the second time nothing.
fn check(file: &str, text: &str, change: &EditChange, old: &str, new: &str) {
    let expected = text.replacen(old, new, 1);
    assert!(text.contains(old), "{old}");
    for (text, expected) in
        [(text.to_owned(), expected.clone()), (text.replace('\n', "\r\n"), expected.replace('\n', "\r\n"))]
    {
        let once = changed(file, &text, change).unwrap_or_else(|problem| panic!("{change:?}: {problem:#?}"));
        assert_eq!(once, expected, "{change:?}");
        assert_eq!(changed(file, &once, change).as_deref(), Ok(expected.as_str()), "twice: {change:?}");
    }
}

const TOML: &str = r#"# Written by people
title = "Shop"   # the name
tags = [ "a", 'b' ]
"odd key" = 1

[server]  # where
port = 8080
hosts = [
  "one", # first
  "two",
]
tls = { on = true, key = "k" }

[server.limits]
cpu = 1.5

[[users]]
name = "ada"

[[users]]
name = "bo"
"#;

#[test]
fn toml_changes_in_one_place() {
    for (change, old, new) in [
        (set("title", json!("Say \"hi\"\n")), "\"Shop\"", "\"Say \\\"hi\\\"\\n\""),
        (set("\"odd key\"", json!(true)), "\"odd key\" = 1", "\"odd key\" = true"),
        (set("server.port", json!(9090)), "8080", "9090"),
        (set("server.tls.on", json!(false)), "on = true", "on = false"),
        (set("server.tls.extra", json!(["x"])), "key = \"k\"", "key = \"k\", extra = [\"x\"]"),
        (set("server.name", json!("s")), "key = \"k\" }\n", "key = \"k\" }\nname = \"s\"\n"),
        (
            set("server.limits.memory", json!({"a b": 1})),
            "cpu = 1.5\n",
            "cpu = 1.5\nmemory = { \"a b\" = 1 }\n",
        ),
        (set("users[name=bo].age", json!(3)), "\"bo\"\n", "\"bo\"\nage = 3\n"),
        (set("stage", json!("prod")), "\"odd key\" = 1\n", "\"odd key\" = 1\nstage = \"prod\"\n"),
        (append("tags", json!("c")), "'b' ]", "'b', \"c\" ]"),
        (append("server.hosts", json!("three")), "\"two\",", "\"two\",\n  \"three\","),
        (append("server.ports", json!(1)), "key = \"k\" }\n", "key = \"k\" }\nports = [1]\n"),
        (append("tags", json!("b")), "x", "x"),
        (insert("tags[0]", json!("z")), "[ \"a\"", "[ \"z\", \"a\""),
        (insert("server.hosts[1]", json!("half")), "  \"two\",", "  \"half\",\n  \"two\","),
        (remove("tags", json!("a")), "\"a\", ", ""),
        (remove("server.hosts", json!("one")), "  \"one\", # first\n", ""),
        (delete("title"), "title = \"Shop\"   # the name\n", ""),
        (delete("server.tls.key"), ", key = \"k\"", ""),
        (delete("server.none.at.all"), "x", "x"),
    ] {
        check(
            "a.toml",
            TOML,
            &change,
            if old == "x" { "Shop" } else { old },
            if new == "x" { "Shop" } else { new },
        );
    }
    for (change, code) in [
        (set("server", json!(1)), "edit-unsupported"),
        (set("server.limits.x", Value::Null), "edit-unsupported"),
        (set("nothing.here", json!(1)), "edit-missing"),
        (append("title", json!(1)), "edit-missing"),
        (delete("server"), "edit-unsupported"),
    ] {
        assert_eq!(changed("a.toml", TOML, &change).unwrap_err().code.0, code, "{change:?}");
    }
    assert_eq!(changed("a.toml", "a = [\n", &delete("a")).unwrap_err().code.0, "edit-unsupported");
}

const HCL: &str = r#"# Written by people
locals {
  stage = "test" # for now
  zones = ["a", "b"]
}

resource "aws_s3_bucket" "logs" {
  bucket = "acme-${local.stage}-logs"
  tags = {
    owner = "ada" // people
    cost  = 1
  }
  versioning { enabled = true }
  lifecycle {
  }
}

resource "aws_s3_bucket" "data" {
  acl = "private"
}

data "x" "y" {}
"#;

#[test]
fn hcl_changes_in_one_place() {
    for (change, old, new) in [
        (set("locals.stage", json!("${prod}")), "\"test\"", "\"$${prod}\""),
        (set("locals.count", json!(3)), "[\"a\", \"b\"]\n", "[\"a\", \"b\"]\n  count = 3\n"),
        (set("resource.aws_s3_bucket.logs.bucket", json!("x")), "\"acme-${local.stage}-logs\"", "\"x\""),
        (set("resource.aws_s3_bucket.logs.tags.owner", json!("bo")), "\"ada\"", "\"bo\""),
        (
            set("resource.aws_s3_bucket.logs.tags.team", json!("t")),
            "cost  = 1\n",
            "cost  = 1\n    team = \"t\"\n",
        ),
        (
            set("resource.aws_s3_bucket.data.tags", json!({"a b": [1]})),
            "\"private\"\n",
            "\"private\"\n  tags = { \"a b\" = [1] }\n",
        ),
        (
            set("resource.aws_s3_bucket.logs.versioning.enabled", json!(false)),
            "enabled = true",
            "enabled = false",
        ),
        (
            set("resource.aws_s3_bucket.logs.lifecycle.x", json!(1)),
            "lifecycle {\n",
            "lifecycle {\n    x = 1\n",
        ),
        (set("data.x.y.z", json!(1)), "\"y\" {}", "\"y\" {\n  z = 1\n}"),
        (append("locals.zones", json!("c")), "\"b\"]", "\"b\", \"c\"]"),
        (append("locals.zones", json!("a")), "locals", "locals"),
        (insert("locals.zones[0]", json!("z")), "[\"a\"", "[\"z\", \"a\""),
        (remove("locals.zones", json!("b")), ", \"b\"", ""),
        (delete("locals.stage"), "  stage = \"test\" # for now\n", ""),
        (delete("resource.aws_s3_bucket.logs.tags.owner"), "    owner = \"ada\" // people\n", ""),
        (
            delete("resource.aws_s3_bucket.data"),
            "resource \"aws_s3_bucket\" \"data\" {\n  acl = \"private\"\n}\n",
            "",
        ),
        (delete("resource.aws_s3_bucket.none"), "locals", "locals"),
        (
            EditChange::Block {
                header: "module \"m\"".to_owned(),
                value: json!({"source": "./m", "on": true}),
            },
            "\"y\" {}\n",
            "\"y\" {}\n\nmodule \"m\" {\n  source = \"./m\"\n  on = true\n}\n",
        ),
        (
            EditChange::Block {
                header: "resource \"aws_s3_bucket\" \"data\"".to_owned(),
                value: json!({"acl": "public"}),
            },
            "\"private\"",
            "\"public\"",
        ),
    ] {
        check("main.tf", HCL, &change, old, new);
    }
    for (change, code) in [
        (set("locals", json!(1)), "edit-unsupported"),
        (set("resource.none.x", json!(1)), "edit-missing"),
        (set("resource.aws_s3_bucket.logs.versioning.more", json!(1)), "edit-unsupported"),
    ] {
        assert_eq!(changed("main.tf", HCL, &change).unwrap_err().code.0, code, "{change:?}");
    }
}

#[test]
fn lists_of_yaml_and_json_and_lines_change_in_one_place() {
    let yaml =
        "# top\na:\n  - one # first\n  - two: 2\n    more: x\n  # last\n  - three\nb: [x, y]\nc:\nd: {}\n";
    for (change, old, new) in [
        (append("a", json!({"k": [1], "l": "m"})), "- three\n", "- three\n  - k: [1]\n    l: m\n"),
        (append("a", json!("three")), "top", "top"),
        (insert("a[0]", json!("zero")), "- one", "- zero\n  - one"),
        (insert("a[2]", json!("half")), "- three", "- half\n  - three"),
        (remove("a", json!("one")), "  - one # first\n", ""),
        (delete("a[two=2]"), "  - two: 2\n    more: x\n", ""),
        (delete("a[1].more"), "    more: x\n", ""),
        (append("b", json!("z")), "x, y]", "x, y, z]"),
        (remove("b", json!("y")), ", y", ""),
        (append("c", json!(1)), "c:", "c: [1]"),
        (append("d.e", json!("f")), "{}", "{ e: [f] }"),
        (delete("x.y"), "top", "top"),
    ] {
        check("a.yaml", yaml, &change, old, new);
    }
    let json = "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": []\n}\n";
    for (change, old, new) in [
        (append("a", json!("x")), "    2\n", "    2,\n    \"x\"\n"),
        (insert("a[0]", json!(0)), "    1,", "    0,\n    1,"),
        (append("b", json!(null)), "[]", "[null]"),
    ] {
        check("a.json", json, &change, old, new);
    }
    let line = |text: &str, after: Option<&str>| EditChange::Line {
        text: text.to_owned(),
        after: after.map(str::to_owned),
    };
    check(".gitignore", "# caches\nx\n", &line("y/", None), "x\n", "x\ny/\n");
    check(".gitignore", "# caches\nx\n", &line("y/", Some("^# ca")), "# caches\n", "# caches\ny/\n");
    assert_eq!(changed("x", "x", &line("y", None)).as_deref(), Ok("x\ny"));
    let made = edit::apply(&".gitignore".parse().unwrap(), None, &line("y", None)).unwrap().unwrap();
    assert_eq!(made, b"y\n");
    let missing = edit::apply(&"a.yaml".parse().unwrap(), None, &delete("a")).unwrap_err();
    assert_eq!(missing.code.0, "no-such-file");
    assert_eq!(changed("x", "a\na\n", &line("y", Some("a"))).unwrap_err().code.0, "edit-match");
    assert_eq!(changed("x", "a\n", &line("y\nz", None)).unwrap_err().code.0, "edit-match");
}

/// A file of a few values, each written in one of several ways, in either language.
fn document() -> impl Strategy<Value = (bool, Vec<(String, Value, String)>)> {
    let scalar = prop_oneof![
        any::<i32>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        prop::sample::select(vec!["", "a", "it's", "${x}", "a # b", "\"", "\\", "ö🧀", "x = 1"])
            .prop_map(Value::from),
    ];
    let value = prop_oneof![
        2 => scalar.clone(),
        1 => prop::collection::vec(scalar, 0..4).prop_map(Value::Array),
    ];
    let behind = prop::sample::select(vec!["", " # it's = [1]", "   ", " # ö"]);
    (any::<bool>(), prop::collection::vec((value, behind), 1..6)).prop_map(|(toml, values)| {
        let named = values.into_iter().enumerate();
        (
            toml,
            named.map(|(index, (value, behind))| (format!("k{index}"), value, behind.to_owned())).collect(),
        )
    })
}

/// The text of a value in one of the layouts that people use.
fn written(toml: bool, value: &Value, broken: bool) -> String {
    match value {
        Value::Array(items) if broken && !items.is_empty() => {
            let items: Vec<String> =
                items.iter().map(|item| format!("  {}, # one", written(toml, item, false))).collect();
            format!("[\n{}\n]", items.join("\n"))
        }
        Value::Array(items) => {
            format!(
                "[{}]",
                items.iter().map(|item| written(toml, item, false)).collect::<Vec<_>>().join(" , ")
            )
        }
        Value::String(text) if toml && !text.contains(['\'', '\n']) => format!("'{text}'"),
        Value::String(text) if toml => Value::from(text.as_str()).to_string(),
        Value::String(text) => Value::from(text.as_str()).to_string().replace("${", "$${"),
        other => other.to_string(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// What is outside the change stays, and twice is once.
    #[test]
    fn everything_outside_a_change_survives((toml, values) in document(), which in any::<prop::sample::Index>(), how in 0..5_usize, broken in any::<bool>()) {
        let mut text = "# by people: ö\n".to_owned();
        let mut spans = Vec::new();
        for (key, value, behind) in &values {
            let line = text.len();
            text.push_str(&format!("{key} = "));
            let from = text.len();
            text.push_str(&written(toml, value, broken));
            spans.push((line, from..text.len()));
            text.push_str(&format!("{behind}\n"));
        }
        let index = which.index(values.len());
        let (key, value, _) = &values[index];
        let (line, span) = spans[index].clone();
        let change = match (how, value) {
            (0, _) => set(key, json!("new: ${y} \"q\"")),
            (1, _) => delete(key),
            (2, Value::Array(_)) => append(key, json!("added")),
            (3, Value::Array(_)) => insert(&format!("{key}[1]"), json!("added")),
            _ => set("other", json!([1, "x"])),
        };
        let file = if toml { "a.toml" } else { "a.tf" };
        let once = changed(file, &text, &change).unwrap_or_else(|problem| panic!("{change:?}: {problem:#?}\n{text}"));
        let twice = changed(file, &once, &change);
        prop_assert_eq!(twice.as_ref(), Ok(&once));
        let is_new = matches!(&change, EditChange::Set { target: EditTarget::At(at), .. } if at.at == "other");
        if is_new {
            let same = |pairs: &mut dyn Iterator<Item = (u8, u8)>| pairs.take_while(|(a, b)| a == b).count();
            let front = same(&mut text.bytes().zip(once.bytes()));
            let back = same(&mut text.bytes().rev().zip(once.bytes().rev()));
            prop_assert!(front + back >= text.len(), "{:?}\n{}\n=>\n{}", change, text, once);
        } else {
            let line_end = span.end + text[span.end..].find('\n').unwrap() + 1;
            let (before, after) = if how == 1 { (line, line_end) } else { (span.start, span.end) };
            let stays = once.starts_with(&text[..before]) && once.ends_with(&text[after..]);
            prop_assert!(stays, "{:?}\n{}\n=>\n{}", change, text, once);
        }
    }
}
