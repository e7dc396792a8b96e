//! Does CODEOWNERS mean for us what it means for others? Beside the npm package `codeowners-utils`, which matches as a gitignore
//! file does. One thing is meant to differ: GitHub says that `docs/*` is about the files directly in `docs`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use chandlery::plan::code_owners::CodeOwners;
use serde_json::{Value, json};

use crate::histories::Chance;

const ASK: &str = "
const { parse, matchFile } = require('codeowners-utils');
const cases = JSON.parse(require('fs').readFileSync(0, 'utf8'));
const answers = cases.map(({ file, paths }) => {
    const entries = parse(file);
    return paths.map(path => { const found = matchFile(path, entries); return found ? found.pattern : null; });
});
process.stdout.write(JSON.stringify(answers));
";

const NAMES: [&str; 8] = ["a", "b", "docs", "src", "x.js", "y.md", "b.js", "Makefile"];
const PARTS: [&str; 11] = ["*", "**", "*.js", "?.md", "a*", "docs", "src", "a", "b", "x.js", "Makefile"];

fn joined(chance: &mut Chance, of: &[&str], most: usize) -> String {
    let count = 1 + chance.below(most);
    (0..count).map(|_| *chance.pick(of)).collect::<Vec<_>>().join("/")
}

fn pattern(chance: &mut Chance) -> String {
    // What two of these in a row mean, or one before a slash at the end, nobody says.
    let inner = loop {
        let inner = joined(chance, &PARTS, 3);
        if !inner.contains("**/**") && !inner.ends_with("**") {
            break inner;
        }
    };
    let lead = if chance.one_in(3) { "/" } else { "" };
    let tail = if chance.one_in(4) { "/" } else { "" };
    format!("{lead}{inner}{tail}")
}

#[test]
fn code_owners_match_as_others_match_them() {
    let modules = std::env::var("CHANDLERY_SUITES").expect("CHANDLERY_SUITES names the suites: `make tools`");
    let mut chance = Chance::new(7);
    let cases: Vec<(String, Vec<String>)> = (0..2_000)
        .map(|_| {
            let count = 1 + chance.below(4);
            let lines: Vec<String> = (0..count).map(|_| format!("{} @ada", pattern(&mut chance))).collect();
            (lines.join("\n"), (0..10).map(|_| joined(&mut chance, &NAMES, 4)).collect())
        })
        .collect();
    let asked: Vec<Value> =
        cases.iter().map(|(file, paths)| json!({ "file": file, "paths": paths })).collect();
    let mut node = Command::new("node")
        .args(["-e", ASK])
        .env("NODE_PATH", format!("{modules}/node_modules"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    node.stdin.take().unwrap().write_all(json!(asked).to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    let answers: Vec<Vec<Option<String>>> = serde_json::from_slice(&output.stdout).unwrap();

    let (mut same, mut meant, mut wrong) = (0, 0, Vec::new());
    for ((file, paths), theirs) in cases.iter().zip(answers) {
        let owners = CodeOwners::parse(file.as_bytes()).unwrap();
        for (path, theirs) in paths.iter().zip(theirs) {
            let ours = owners.of(path).map(|owned| owned.pattern.to_owned());
            if ours == theirs {
                same += 1;
            } else if theirs.as_ref().is_some_and(|pattern| pattern.ends_with("/*") && pattern.len() > 2) {
                meant += 1;
            } else {
                wrong.push(format!("{path}: ours {ours:?}, theirs {theirs:?}, in\n{file}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n\n"));
    assert!(same > 15_000 && meant > 0, "{same} the same, {meant} meant to differ");
}
