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
