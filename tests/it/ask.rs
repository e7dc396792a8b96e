//! What does the catalog say when it is asked? Commands with what they print, over the example's catalog.
//!
//! `ask/stories.txt` holds them; UPDATE_STORIES=1 writes what is printed into it.

use std::{path::Path, process::Command};

fn run(line: &str, folder: &Path) -> String {
    let words = shell_words(line);
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).args(&words).current_dir(folder).output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        text.push_str(&format!("(exit code {})\n", output.status.code().unwrap()));
    }
    text
}

/// Words with spaces between, or in single quotes.
fn shell_words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_catalog_answers() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = package.join("tests/it/ask/stories.txt");
    let story = std::fs::read_to_string(&file).unwrap();
    let mut seen = String::new();
    for line in story.lines() {
        if let Some(command) = line.strip_prefix("$ chandlery ") {
            seen.push_str(&format!("{line}\n"));
            for line in run(command, &package.join("catalog-example")).lines() {
                seen.push_str(format!("| {line}").trim_end());
                seen.push('\n');
            }
        } else if !line.starts_with('|') {
            seen.push_str(&format!("{line}\n"));
        }
    }
    if std::env::var("UPDATE_STORIES").is_ok() {
        std::fs::write(&file, &seen).unwrap();
    } else if seen != story {
        panic!("{}", similar::TextDiff::from_lines(&story, &seen).unified_diff());
    }
}

/// A catalog is asked as it was on a day, straight from Git.
#[test]
fn the_past_answers_too() {
    let folder = tempfile::tempdir().unwrap();
    let git = |day: &str, arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@b.test"])
            .args(arguments)
            .current_dir(folder.path())
            .env("GIT_COMMITTER_DATE", format!("{day}T12:00:00Z"))
            .env("GIT_AUTHOR_DATE", format!("{day}T12:00:00Z"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    let write = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    git("2026-01-01", &["init", "-q"]);
    write("chandlery.yaml", "version: 1\n");
    write("blueprints/thing.yaml", "identifier: thing\nschema: { properties: { size: { type: number } } }\n");
    for (day, size) in [("2026-02-01", 1), ("2026-03-01", 2)] {
        write(
            "entities/thing/a.yaml",
            &format!("identifier: a\nblueprint: thing\nproperties: {{ size: {size} }}\n"),
        );
        git(day, &["add", "."]);
        git(day, &["commit", "-q", "-m", "x"]);
    }
    write("entities/thing/a.yaml", "identifier: a\nblueprint: thing\nproperties: { size: 3 }\n");
    let size = |at: &str| {
        let answer = run(&format!("list thing --format csv {at}"), folder.path());
        answer.lines().last().unwrap().to_owned()
    };
    assert_eq!(size(""), "a,3");
    assert_eq!(size("--at HEAD"), "a,2");
    assert_eq!(size("--at HEAD~1"), "a,1");
    assert_eq!(size("--at 2026-02-28"), "a,1");
    assert_eq!(size("--at 2026-03-01"), "a,2");
    assert_eq!(size("--at 2026-03-01T11:59:59Z"), "a,1");
    assert!(run("list thing --at 2025-12-31", folder.path()).contains("the catalog is younger than that"));
}
