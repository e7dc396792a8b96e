use serde_json::json;

use super::*;
use crate::{domain::Entity, render::Context};

fn at(file: &str, old: &str, place: &str, value: Value) -> Result<String, Diagnostic> {
    let target = EditTarget::At(DocumentPlace { at: place.to_owned(), document: 0 });
    set(&file.parse().unwrap(), old.as_bytes(), &target, &value)
        .map(|bytes| String::from_utf8(bytes).unwrap())
}

const DEPLOYMENT: &str = "\
# The shop window.
spec:
    replicas: 2   # enough for autumn
    template:
      containers:
      - name: web   # first
        image: 'acme/web:1.0'
      - {name: side, image: acme/side, env: [a , b]}
    note: |
      one
      two

    empty:
    \"odd.key\": {}
";

#[test]
fn only_the_value_changes() {
    for (place, value, old, new) in [
        ("spec.replicas", json!(5), "replicas: 2  ", "replicas: 5  "),
        ("spec.replicas", json!("two"), "replicas: 2  ", "replicas: two  "),
        ("spec.replicas", json!("2"), "replicas: 2  ", "replicas: \"2\"  "),
        ("spec.template.containers[name=web].image", json!("it's"), "'acme/web:1.0'", "'it''s'"),
        ("spec.template.containers[1].image", json!("a: b"), "acme/side", "\"a: b\""),
        ("spec.template.containers[1].env", json!(["c"]), "[a , b]", "[c]"),
        ("spec.template.containers[1].env[1]", json!(true), "[a , b]", "[a , true]"),
        ("spec.template.containers[1].new", json!(1), "[a , b]}", "[a , b], new: 1}"),
        ("spec.template.containers[0].tag", json!("x"), "web:1.0'\n", "web:1.0'\n        tag: x\n"),
        ("spec.note", json!("three\nfour\n"), "|\n      one\n      two", "|\n      three\n      four"),
        ("spec.note", json!("short"), "|\n      one\n      two", "short"),
        ("spec.empty", json!({"a": [1]}), "empty:", "empty: { a: [1] }"),
        ("spec.\"odd.key\".x", json!(null), "{}", "{ x: null }"),
        (
            "spec.more",
            json!({"a": {"b": {"c": 1}}}),
            "{}\n",
            "{}\n    more:\n      a:\n        b: { c: 1 }\n",
        ),
        (
            "spec.template",
            json!("gone"),
            &DEPLOYMENT
                [DEPLOYMENT.find(":\n      containers").unwrap()..DEPLOYMENT.find("\n    note").unwrap()],
            ": gone",
        ),
    ] {
        let expected = DEPLOYMENT.replacen(old, new, 1);
        let changed = at("a.yaml", DEPLOYMENT, place, value.clone());
        assert_eq!(changed.as_deref(), Ok(expected.as_str()), "{place} = {value}");
        let windows = at("a.yml", &DEPLOYMENT.replace('\n', "\r\n"), place, value.clone());
        assert_eq!(windows.as_deref(), Ok(expected.replace('\n', "\r\n").as_str()), "{place} = {value}");
    }
    assert_eq!(at("a.yaml", DEPLOYMENT, "spec.replicas", json!(2)).as_deref(), Ok(DEPLOYMENT));
}

#[test]
fn json_keeps_its_layout() {
    let old = "{\n\t\"a\": {\"b\": [ {\"c\": \"\\u00e9\\/\"}, 2 ]},\n\t\"n\": -1.5e3\n}\n";
    for (place, value, old_part, new_part) in [
        ("a.b[0].c", json!("x\"y"), "\"\\u00e9\\/\"", "\"x\\\"y\""),
        ("a.b[1]", json!([]), "2 ", "[] "),
        ("n", json!({"x": null}), "-1.5e3", "{\"x\": null}"),
        ("z", json!(1), "-1.5e3", "-1.5e3,\n\t\"z\": 1"),
        ("a.d", json!(1), "]}", "], \"d\": 1}"),
    ] {
        assert_eq!(
            at("a.json", old, place, value).as_deref(),
            Ok(old.replacen(old_part, new_part, 1).as_str()),
            "{place}"
        );
    }
}

#[test]
fn what_cannot_be_edited_is_refused_in_words() {
    for (file, old, place, code, message) in [
        ("a.yaml", "a: &x 1\nb: *x\n", "a", "edit-missing", "anchor"),
        ("a.yaml", "a: &x {c: 1}\nb: *x\n", "b.c", "edit-missing", "anchor"),
        ("a.yaml", "a: 1\n", "b.c", "edit-missing", "the document has no key `b`"),
        ("a.yaml", "a: 1\n", "a.c", "edit-missing", "`a` is no mapping"),
        ("a.yaml", "a: []\n", "a[0]", "edit-missing", "0 items"),
        ("a.yaml", "- {n: x}\n- {n: x}\n", "[n=x].y", "edit-missing", "2 items"),
        ("a.yaml", "a: [\n", "a", "broken-output", "cannot be read"),
        ("a.yaml", "a: 1\na: 2\n", "a", "broken-output", "twice"),
        ("a.json", "{\"a\": 1, \"a\": 2}", "a", "broken-output", "twice"),
        ("main.rs", "a: 1\n", "a", "edit-unsupported", "use `match`"),
        ("main.tf", "a: 1\n", "a", "edit-unsupported", "cannot be read"),
        ("a.yaml", "a: 1\n", "a..b", "edit-place", "a key is missing"),
    ] {
        let problem = at(file, old, place, json!(7)).unwrap_err();
        assert_eq!(problem.code.0, code, "{old}: {}", problem.message);
        assert!(problem.message.contains(message), "{old}: {}", problem.message);
        assert!(problem.help.is_some());
    }
}

#[test]
fn a_byte_order_mark_stays_in_front() {
    assert_eq!(at("a.yaml", "\u{feff}a: 1 # x\n", "a", json!(2)).as_deref(), Ok("\u{feff}a: 2 # x\n"));
}

#[test]
fn a_document_of_a_stream_is_named_by_its_number() {
    let old = "a: 1\n---\na: 2 # two\n...\n---\na: 3\n";
    let target = EditTarget::At(DocumentPlace { at: "a".to_owned(), document: 1 });
    let new = set(&"s.yaml".parse().unwrap(), old.as_bytes(), &target, &json!(9)).unwrap();
    assert_eq!(String::from_utf8(new).unwrap(), old.replace("2 #", "9 #"));
}

#[test]
fn a_line_is_found_by_its_pattern() {
    let path = "Dockerfile".parse().unwrap();
    let line = |old: &str, pattern: &str, value: Value| {
        set(&path, old.as_bytes(), &EditTarget::Match(pattern.to_owned()), &value)
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .map_err(|problem| problem.code.0)
    };
    let old = "FROM acme/app:1.0\r\nRUN x\r\n";
    assert_eq!(
        line(old, "^FROM acme/app:(.*)$", json!("2.0")).as_deref(),
        Ok("FROM acme/app:2.0\r\nRUN x\r\n")
    );
    assert_eq!(line(old, "^(F|R)", json!("x")), Err("edit-match"));
    assert_eq!(line(old, "^FROM acme/app:(.*)$", json!("2\nRUN evil")), Err("edit-match"));
    assert_eq!(line(old, "^FROM acme/app:([0-9.]+)$", json!("2.0 AS x")), Err("edit-match"));
    assert_eq!(line(old, "^FROM", json!("x")), Err("edit-match"));
}

#[test]
fn an_input_never_adds_a_step_to_a_place() {
    let context = Context::new(json!({"inputs": {"c": "we.b] \"", "k": "a.b"}}).as_object().unwrap().clone());
    let place = Place::file("x");
    let written = DocumentPlace { at: "spec.{{ inputs.k }}[name={{ inputs.c }}].x".to_owned(), document: 0 };
    let change = EditChange::Delete(written);
    let EditChange::Delete(DocumentPlace { at, .. }) = rendered(&change, &place, &context).unwrap() else {
        unreachable!()
    };
    assert_eq!(at, r#"spec."a.b"[name="we.b] \""].x"#);
    assert_eq!(place::read(&at).unwrap().len(), 4);
}

#[test]
fn an_entity_is_patched_in_place_and_a_new_one_is_written_plainly() {
    let old = "identifier: checkout # the id\nblueprint: service\nproperties: { tier: gold, replicas: 3 }\nrelations:\n  system: shop # of ours\n  uses:\n    - a\n";
    let patch = json!({
        "title": "Check: out", "team": ["a", "b"],
        "properties": { "replicas": 5, "tier": null, "url": "https://x.test", "gone": null },
        "relations": { "uses": ["b", "c"], "system": null },
    });
    let path = "entities/service/checkout.yaml".parse().unwrap();
    let new = merge_entity(&path, old.as_bytes(), patch.as_object().unwrap()).unwrap();
    assert_eq!(
        String::from_utf8(new.clone()).unwrap(),
        "identifier: checkout # the id\nblueprint: service\nproperties: { replicas: 5, url: https://x.test }\nrelations:\n  uses:\n    - b\n    - c\ntitle: \"Check: out\"\nteam: [a, b]\n"
    );
    assert_eq!(merge_entity(&path, &new, patch.as_object().unwrap()).unwrap(), new);

    let entity = Entity {
        identifier: "invoices".parse().unwrap(),
        blueprint: "bucket".parse().unwrap(),
        title: None,
        icon: None,
        team: vec!["payments".to_owned()],
        properties: json!({"public": false, "note": "a\nb\n", "yes": "no"}).as_object().unwrap().clone(),
        relations: [("service".to_owned(), json!("checkout"))].into(),
    };
    let bytes = new_entity(&entity);
    assert_eq!(
        std::str::from_utf8(&bytes).unwrap(),
        "identifier: invoices\nblueprint: bucket\nteam: payments\nproperties:\n  public: false\n  note: |\n    a\n    b\n  \"yes\": \"no\"\nrelations: { service: checkout }\n"
    );
}
