use proptest::prelude::*;

use super::*;

fn value(text: &str) -> Option<Value> {
    parse("x.yaml", format!("x: {text}\n").as_bytes()).ok().map(|document| document.value()["x"].clone())
}

#[test]
fn a_plain_word_means_what_yaml_1_2_says_and_account_numbers_stay_text() {
    for text in [
        "yes",
        "no",
        "on",
        "off",
        "y",
        "1_000",
        "1:30",
        "0123",
        "-012",
        "1.2.3",
        "2026-11-23",
        "0x",
        "+",
        ".",
    ] {
        assert_eq!(value(text), Some(text.into()), "{text}");
    }
    let numbers = [
        ("12", 12.0),
        ("-3", -3.0),
        ("+4", 4.0),
        ("0x1F", 31.0),
        ("0o14", 12.0),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("0", 0.0),
    ];
    for (text, number) in numbers {
        assert_eq!(value(text).and_then(|value| value.as_f64()), Some(number), "{text}");
    }
    assert_eq!(value("~"), Some(Value::Null));
    assert_eq!(value("True"), Some(true.into()));
    for text in [".inf", "-.INF", ".nan", "1e999", "123456789012345678901234567890"] {
        assert_eq!(value(text), None, "{text}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~äß🧀\n\t]{0,12}".prop_map(Value::from),
        proptest::sample::select(vec![
            "yes", "0123", "1e3", "~", "<<", "- a", "a: b", "# x", "|", "&x", "*x", "!x"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z. 0-9~#:-]{1,6}", inner, 0..4)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_we_write_is_read_as_it_was_meant(value in any_value()) {
        let value = serde_json::json!({ "x": value });
        for text in [serde_yaml::to_string(&value).unwrap(), serde_json::to_string_pretty(&value).unwrap()] {
            let read = parse("x.yaml", text.as_bytes());
            prop_assert_eq!(read.map(|document| document.value()), Ok(value.clone()), "{}", text);
        }
    }
}

/// Lines that are plain, nearly so, and not at all.
fn line() -> impl Strategy<Value = String> {
    let indent = prop_oneof![4 => Just(""), 3 => Just("  "), 1 => Just(" "), 1 => Just("    ")];
    let start = prop_oneof![
        6 => "[a-c]{1,2}: ",
        3 => "[a-c]{1,2}:",
        4 => Just("- ".to_owned()),
        1 => prop::sample::select(vec!["", "a.b-c: ", "<<: ", "? ", "-", "# ", "x :", "a:  ", "'a': ", "1: ", "---", "{"]).prop_map(str::to_owned),
    ];
    let value = prop_oneof![
        4 => Just(String::new()),
        4 => prop::sample::select(vec![
            "gold", "7", "-3", "1.50", "0x1F", "true", "~", "null", ".inf", "''", "\"\"", "[]", "{}", "[a, 2]", "[a, ]", "a: b", "a:b",
            "a #b", "a#b", "https://x.y/z#q", "a, b", "'a: b'", "\"a # b\"", "'it''s'", "\"\\n\"", "|", ">-", "&a", "*a", "!t", "a:", "-",
            "- a", "--", "...", "größe", "x\u{85}y", "x\u{2028}y", "a\tb", "x ", "@a", "`a`", "%a", "(a)", "$a", "+", "_", "/a", "[a: b]", "[a,b]c",
        ]).prop_map(str::to_owned),
        1 => "[a:#'\"\\[\\]{},&*!|>%@ \\-]{0,6}",
    ];
    (indent, start, value).prop_map(|(indent, start, value)| format!("{indent}{start}{value}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn what_is_read_in_one_go_is_what_the_parser_says(lines in prop::collection::vec(line(), 1..7), last in prop::sample::select(vec!["", "\n", "\n\n", "\r\n"])) {
        let text = lines.join("\n") + last;
        if let Some(plain) = plain::entries(&text) {
            let parsed = parse("x.yaml", text.as_bytes()).ok().and_then(Document::into_entries);
            prop_assert_eq!(Some(plain), parsed, "{}", text);
        }
    }
}

/// Otherwise nothing would be gained by it.
#[test]
fn entities_as_they_are_usually_written_are_read_in_one_go() {
    let text = "# The shop's\nidentifier: checkout\nblueprint: service\ntitle: 'The checkout: pays'\nteam: [payments, shop]\n\nproperties:\n  \
        url: https://checkout.acme.example/\n  replicas: 3\n  tags:\n  - a\n  - \"b # c\"\n  limits:\n    cpu: 1.5\n  empty: {}\nrelations:\n  system:\n";
    let parsed = parse("x.yaml", text.as_bytes()).ok().and_then(Document::into_entries);
    assert!(parsed.is_some());
    assert_eq!(plain::entries(text), parsed);
}
