//! Is every threat answered, and does everything exist that is said to show it? The table of `docs/security.md`.

use std::{collections::BTreeSet, path::Path};

/// The names of all tests, `module::name`, as the page writes them.
fn tests() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = BTreeSet::new();
    for (folder, prefix) in [("src", "src/"), ("tests/it", "tests/it/")] {
        let mut folders = vec![root.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs") {
                    let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                    let module = name.strip_prefix(prefix).unwrap().trim_end_matches(".rs");
                    let module = module.trim_end_matches("/mod").replace('/', "::");
                    found.extend(tests_of(&std::fs::read_to_string(&path).unwrap(), &module));
                }
            }
        }
    }
    found
}

fn tests_of(source: &str, module: &str) -> Vec<String> {
    let is_mark = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
    let mut found = Vec::new();
    let mut marked = false;
    for line in source.lines().map(str::trim) {
        marked |= is_mark(line);
        let name = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
        if let Some(name) = name.filter(|_| marked) {
            let name = name.split('(').next().unwrap();
            found.push(format!("{module}::{name}"));
            marked = false;
        }
        assert!(!line.starts_with("#[ignore"), "{module} leaves a test out");
    }
    found
}

#[test]
fn every_threat_has_its_answer_and_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/security.md")).unwrap();
    let known = tests();
    let mut numbers = Vec::new();
    let mut missing = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let Ok(number) = cells[0].parse::<u32>() else { continue };
        numbers.push(number);
        let shown: Vec<&str> = cells[3].split('`').skip(1).step_by(2).collect();
        assert!(!shown.is_empty(), "{number} is shown by nothing");
        for name in shown {
            let is_there = match name.strip_suffix(".txt") {
                Some(_) => root.join("tests/it").join(name).exists(),
                None => known.contains(name),
            };
            if !is_there {
                missing.push(format!("{number}: {name}"));
            }
        }
    }
    assert_eq!(numbers, (1..=60).collect::<Vec<_>>());
    assert!(missing.is_empty(), "{missing:#?}");
}
