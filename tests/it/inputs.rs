//! Is what an action says about its inputs enforced, and does the plan say every value?
//!
//! Each file in `inputs/` is a story: the files of a catalog, then requests (`=== LOGIN asks`), each with what `chandlery plan`
//! tells of it: the values that stand in the plan, or what is wrong. `UPDATE_STORIES=1` writes what is told.

use std::path::Path;

use chandlery::{
    catalog::{Files, Root, load_definitions, load_settings, search},
    intake::issue_form,
};

use crate::demo::chandlery;

struct Story {
    shows: String,
    files: Vec<(String, String)>,
    asked: Vec<(String, String)>,
}

fn read(text: &str) -> Story {
    let mut parts = text.split("\n=== ");
    let mut files = parts.next().unwrap().split("\n--- ");
    let shows = files.next().unwrap().to_owned();
    let files = files
        .map(|part| part.split_once('\n').unwrap())
        .map(|(path, text)| (path.to_owned(), format!("{text}\n")));
    let asked = parts.filter_map(|part| {
        let (head, request) = part.split_once('\n').unwrap();
        Some((head.strip_suffix(" asks")?.to_owned(), request.to_owned()))
    });
    Story { shows, files: files.collect(), asked: asked.collect() }
}

/// What `plan` tells of a request: the values in its plan, or its mistakes.
fn told(folder: &Path, login: &str, request: &str) -> String {
    let path = folder.join("requests/one/request.yaml");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, format!("{request}\n")).unwrap();
    let mut words = vec!["plan", path.to_str().unwrap()];
    if login != "somebody" {
        words.extend(["--as", login]);
    }
    let output = chandlery(&words);
    let printed = String::from_utf8(output.stdout).unwrap();
    match output.status.code() {
        Some(0) => {
            printed.lines().filter(|line| line.starts_with("- ")).map(|line| format!("{line}\n")).collect()
        }
        Some(1) => printed,
        code => panic!("{code:?}: {printed}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[test]
fn stories_of_inputs_go_as_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/inputs");
    let mut wrong = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let story = read(text.trim_end());
        let catalog = tempfile::tempdir().unwrap();
        git2::Repository::init(catalog.path()).unwrap();
        let mut seen = story.shows.clone();
        for (name, text) in &story.files {
            let file = catalog.path().join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
            seen.push_str(&format!("\n--- {name}\n{}", text.trim_end()));
        }
        for (login, request) in &story.asked {
            let told = told(catalog.path(), login, request);
            seen.push_str(&format!("\n=== {login} asks\n{request}\n=== told\n{}", told.trim_end()));
        }
        seen.push('\n');
        if std::env::var("UPDATE_STORIES").is_ok() {
            std::fs::write(&path, &seen).unwrap();
        } else if seen != text {
            wrong.push_str(&format!(
                "{}:\n{}",
                path.display(),
                similar::TextDiff::from_lines(&text, &seen).unified_diff()
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The form of the story's action: sections, dropdowns of what the dataset allows, and words for what GitHub cannot do.
#[test]
fn a_form_lists_what_its_dataset_allows() {
    let story = read(include_str!("inputs/dynamic.txt").trim_end());
    let files: Files =
        story.files.iter().map(|(path, text)| (path.parse().unwrap(), text.as_bytes().into())).collect();
    let root = Root::default();
    let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
    let (definitions, problems) = load_definitions(&root, settings, &files);
    assert!(problems.is_empty(), "{problems:#?}");
    let listed = |listed: &issue_form::Listed| {
        let found = search(&definitions, &files, listed.search.as_ref().unwrap()).unwrap().remove(0);
        found.into_iter().map(|identifier| (identifier, None)).collect()
    };
    let forms = issue_form::generate(&definitions, &listed);
    let form = &forms[&".github/ISSUE_TEMPLATE/deploy.yml".parse().unwrap()];
    insta::assert_snapshot!(form);
}
