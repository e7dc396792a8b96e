//! Does a file's own reader get back what a filter wrote?

use std::process::Command;

use chandlery::{domain::Place, render};
use proptest::prelude::*;
use serde_json::{Value, json};

fn written(filter: &str, value: &Value) -> String {
    let names = json!({ "inputs": { "x": value } });
    let context = render::Context::new(names.as_object().unwrap().clone());
    render::text(&format!("{{{{ inputs.x | {filter} }}}}"), &Place::file("x"), &context).unwrap()
}

/// What breaks out of something, in any of the languages.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,6}",
        any::<char>().prop_map(String::from),
        prop::sample::select(vec![
            "'", "\"", "\\", "\n", "\r\n", "${x}", "$${x}", "%{if}", "%%{if}", "{{ x }}", "#", " #", ": ",
            "- ", "---", "&a", "*a", "!!t", "'''", "\"\"\"", "`id`", "$(id)", "$x", "\t", "\u{2028}",
            "\u{feff}", "\u{7f}", "\u{85}", "é", "🧀", "EOF", "yes", "null", "~", "1e3", "0x1F", "012", "<<",
            "?", "|", ">", ".*", "[a-z]", "\\d",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => nasty().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => (-1000..1000_i32).prop_map(|number| Value::from(f64::from(number) / 8.0)),
    ]
}

fn tree() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
            prop::collection::vec((nasty(), inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// HCL has one kind of number.
fn of_hcl(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            match number.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15) {
                Some(whole) => (whole as i64).into(),
                None => value.clone(),
            }
        }
        Value::Array(items) => items.iter().map(of_hcl).collect(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.clone(), of_hcl(value))).collect())
        }
        other => other.clone(),
    }
}

/// What HCL says, its texts unescaped; the parser gives `$${` as it is written.
fn hcl(found: &hcl_edit::expr::Expression) -> Value {
    use hcl_edit::expr::{Expression, ObjectKey};
    let text = |text: &str| Value::from(text);
    match found {
        Expression::Bool(one) => (*one.value()).into(),
        Expression::Number(one) => serde_json::from_str(&one.value().to_string()).unwrap(),
        Expression::UnaryOp(negative) => serde_json::from_str(&format!("-{}", hcl(&negative.expr))).unwrap(),
        Expression::String(one) => text(one.value()),
        Expression::StringTemplate(template) => {
            let parts = template
                .iter()
                .map(|part| part.as_literal().expect("no input is evaluated").value().as_str());
            Value::from(parts.collect::<String>())
        }
        Expression::Array(items) => items.iter().map(hcl).collect(),
        Expression::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| {
                let key = match key {
                    ObjectKey::Ident(name) => name.as_str().to_owned(),
                    ObjectKey::Expression(key) => hcl(key).as_str().unwrap().to_owned(),
                };
                (key, hcl(value.expr()))
            });
            Value::Object(fields.collect())
        }
        other => panic!("{other:?} is no plain value"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1500) })]

    #[test]
    fn yaml_json_and_toml_are_read_back(value in tree()) {
        let json = written("json", &value);
        prop_assert_eq!(&serde_json::from_str::<Value>(&json).unwrap(), &value);
        let yaml = written("yaml", &value);
        prop_assert_eq!(&serde_yaml::from_str::<Value>(&format!("x: {yaml}\n")).unwrap()["x"], &value, "{}", yaml);
        prop_assert_eq!(&serde_yaml::from_str::<Value>(&format!("[{yaml}, 1]\n")).unwrap()[0], &value, "{}", yaml);
        let toml = written("toml", &value);
        let read: toml_edit::Document<String> = toml_edit::Document::parse(format!("x = {toml}\n")).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        prop_assert_eq!(&plain(read.as_table().get("x").unwrap().as_value().unwrap()), &value, "{}", toml);
    }

    #[test]
    fn hcl_is_read_back_and_nothing_is_evaluated(value in tree()) {
        let text = written("hcl", &value);
        let read: hcl_edit::expr::Expression = text.parse().unwrap_or_else(|error| panic!("{error}\n{text}"));
        prop_assert_eq!(hcl(&read), of_hcl(&value), "{}", text);
    }

    #[test]
    fn a_pattern_matches_the_text_alone(text in nasty(), other in nasty()) {
        let pattern = regex::Regex::new(&format!("^(?:{})$", written("regex", &json!(text)))).unwrap();
        prop_assert!(pattern.is_match(&text));
        prop_assert_eq!(pattern.is_match(&other), text == other);
    }
}

fn plain(found: &toml_edit::Value) -> Value {
    use toml_edit::Value as Toml;
    match found {
        Toml::String(one) => one.value().as_str().into(),
        Toml::Integer(one) => (*one.value()).into(),
        Toml::Float(one) => (*one.value()).into(),
        Toml::Boolean(one) => (*one.value()).into(),
        Toml::Datetime(one) => one.to_string().into(),
        Toml::Array(items) => items.iter().map(plain).collect(),
        Toml::InlineTable(fields) => {
            Value::Object(fields.iter().map(|(key, value)| (key.to_owned(), plain(value))).collect())
        }
    }
}

/// Hundreds of texts in one run of the shell: each is printed as it is, behind a mark that ends it.
#[test]
fn a_shell_gets_every_word_as_it_was() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let words: Vec<String> = (0..400)
        .map(|_| {
            proptest::strategy::ValueTree::current(&nasty().new_tree(&mut runner).unwrap()).replace('\0', "0")
        })
        .collect();
    let script: String =
        words.iter().map(|word| format!("printf '%s\\0' {}\n", written("shell", &json!(word)))).collect();
    let output = Command::new("/bin/sh").arg("-c").arg(script).env_clear().output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let read = String::from_utf8(output.stdout).unwrap();
    assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), words);
    assert_eq!(written("shell", &json!(["a b", "c"])), "'a b' c");
}
