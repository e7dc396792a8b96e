//! Stories, one file each in `scenarios/`, held in the simulated world and on the local forge alike.
//!
//! A line is a comment (`#`), a deed, `refused: DEED`, `reconcile`, or `view`, `read catalog#NUMBER` (what our comment says) or
//! `asked catalog#NUMBER` (who is to review it), followed by what people must then see (lines that begin with `|`). UPDATE=1 writes what is seen into the files.

use std::path::{Path, PathBuf};

use crate::world::{World, asked, reconcile, simulated::Simulated, told, view};

/// Plays a story; gives it back with what was seen.
pub fn play(world: &mut dyn World, story: &str) -> String {
    play_with(world, story, &|_, _| {})
}

/// As `play`, each pass by a process of its own: one that finds what was kept, and after it one that looks at everything
/// and must find no more to do.
pub fn play_anew(world: &mut dyn World, story: &str) -> String {
    play_with(world, story, &|world, finds_what_was_kept| world.begin_anew(finds_what_was_kept))
}

fn play_with(world: &mut dyn World, story: &str, begin: &dyn Fn(&mut dyn World, bool)) -> String {
    let mut seen = String::new();
    for (number, line) in story.lines().enumerate() {
        if line.starts_with('|') {
            continue;
        }
        seen.push_str(line);
        seen.push('\n');
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line {
            "reconcile" => {
                begin(world, true);
                let report = reconcile(world);
                assert!(
                    report.stopped.is_none() && report.left.is_empty(),
                    "line {}: {report:#?}",
                    number + 1
                );
                begin(world, false);
                let again = reconcile(world);
                assert_eq!(again.acts, 0, "line {}: the second pass still acts: {again:#?}", number + 1);
            }
            "view" => {
                for line in view(world).lines() {
                    seen.push_str(&format!("| {line}\n"));
                }
            }
            _ if let Some(number) = line.strip_prefix("read catalog#") => {
                for line in told(world, number.parse().unwrap()).lines() {
                    seen.push_str(format!("| {line}").trim_end());
                    seen.push('\n');
                }
            }
            _ if let Some(number) = line.strip_prefix("asked catalog#") => {
                seen.push_str(format!("| {}", asked(world, number.parse().unwrap())).trim_end());
                seen.push('\n');
            }
            _ => {
                let (expected, text) = match line.strip_prefix("refused: ") {
                    Some(text) => (false, text),
                    None => (true, line),
                };
                let deed = text.parse().unwrap_or_else(|why| panic!("line {}: {why}", number + 1));
                assert_eq!(world.deed(&deed), expected, "line {}: {line}", number + 1);
            }
        }
    }
    seen
}

/// The story files.
pub fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/scenarios");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn core_stories_go_as_told_in_the_simulated_world() {
    let mut wrong = Vec::new();
    for path in files() {
        let story = std::fs::read_to_string(&path).unwrap();
        let seen = play_anew(&mut Simulated::new(), &story);
        if std::env::var("UPDATE").is_ok() {
            std::fs::write(&path, &seen).unwrap();
        } else if seen != story {
            let diff = similar::TextDiff::from_lines(&story, &seen).unified_diff().to_string();
            wrong.push(format!("{}:\n{diff}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
