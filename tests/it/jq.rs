//! Does an expression mean here what it means to the real jq? The expressions that people use, over a few entities.
//!
//! Where the two differ stands in docs/asking.md, and nowhere else: a difference that is not there fails, and so does a
//! row of that table that is not needed any more.

use std::{
    collections::BTreeSet,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use chandlery::expr::Expression;
use serde_json::{Value, json};

#[test]
fn expressions_mean_what_they_mean_to_jq() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(package.join(path)).unwrap();
    let inputs: Vec<Value> = serde_json::from_str(&read("tests/jq/inputs.json")).unwrap();
    let expressions = read("tests/jq/expressions.txt");
    let cases: Vec<(&str, &Value)> =
        expressions.lines().flat_map(|line| inputs.iter().map(move |input| (line, input))).collect();
    let python =
        std::env::var("CHANDLERY_PYTHON").expect("CHANDLERY_PYTHON names a Python with `jq`: `make tools`");
    let mut asked = Command::new(python)
        .arg(package.join("tests/jq/ask.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    asked.stdin.take().unwrap().write_all(json!(cases).to_string().as_bytes()).unwrap();
    let output = asked.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Option<Vec<Value>>> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    let mut differ: BTreeSet<&str> = BTreeSet::new();
    let mut told = String::new();
    for ((expression, input), theirs) in cases.iter().zip(answers) {
        let ours = Expression::parse(expression).ok().and_then(|expression| expression.all(*input).ok());
        if !are_alike(ours.as_ref(), theirs.as_ref()) && differ.insert(expression) {
            told.push_str(&format!("{expression}\n  jq {theirs:?}\n  we {ours:?}\n"));
        }
    }
    let page = read("docs/asking.md");
    let table = page.split("## Where it differs from jq").nth(1).unwrap();
    let known: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |").map(|(expression, _)| expression))
        .collect();
    let known: BTreeSet<String> = known.iter().map(|known| known.replace("\\|", "|")).collect();
    let differ: BTreeSet<String> = differ.into_iter().map(str::to_owned).collect();
    assert_eq!(differ, known, "{told}");
    assert!(cases.len() > 500);
}

/// The same values; numbers may be written differently.
fn are_alike(ours: Option<&Vec<Value>>, theirs: Option<&Vec<Value>>) -> bool {
    fn same(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
            }
            (one, other) => one == other,
        }
    }
    match (ours, theirs) {
        (None, None) => true,
        (Some(ours), Some(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| same(ours, theirs))
        }
        _ => false,
    }
}
