//! What becomes of an export of Port? Each `import/*.json` is one; beside it, as `*.txt`, stand the report and the
//! files that come of it. `UPDATE_STORIES=1` writes them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

/// Runs the command in a folder: what it prints, and its exit code where it is not 0.
fn import(arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
        .args(["import", "port"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    if !output.status.success() {
        text.push_str(&format!("(exit code {})\n", output.status.code().unwrap()));
    }
    text
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read_to_string(path).unwrap());
            }
        }
    }
    found
}

#[test]
fn an_export_becomes_files_and_what_is_lost_is_told() {
    let stories = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/import");
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(&stories).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    names.sort();
    let mut changed = String::new();
    for path in names {
        let folder = tempfile::tempdir().unwrap();
        std::fs::copy(&path, folder.path().join("export.json")).unwrap();
        std::fs::write(folder.path().join("logins.yaml"), "ada@acme.example: ada\n").unwrap();
        let arguments = ["export.json", "--into", "catalog", "--logins", "logins.yaml"];
        let mut told = import(&arguments, folder.path());
        for (name, text) in files(&folder.path().join("catalog")) {
            told.push_str(&format!("--- {name}\n{text}"));
        }
        let expected = path.with_extension("txt");
        if std::env::var_os("UPDATE_STORIES").is_some() {
            std::fs::write(&expected, &told).unwrap();
        }
        let before = std::fs::read_to_string(&expected).unwrap_or_default();
        if before != told {
            changed.push_str(&similar::TextDiff::from_lines(&before, &told).unified_diff().to_string());
        }
    }
    assert!(changed.is_empty(), "{changed}\nUPDATE_STORIES=1 accepts this");
}

/// Whether an export is one object or a folder with a file for each thing, the files are the same; and what people have
/// written since is never overwritten.
#[test]
fn a_folder_says_the_same_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let export: serde_json::Value = serde_json::from_str(include_str!("import/kept.json")).unwrap();
    std::fs::write(folder.path().join("whole.json"), export.to_string()).unwrap();
    std::fs::write(folder.path().join("logins.yaml"), "ada@acme.example: ada\n").unwrap();
    for (kind, things) in export.as_object().unwrap() {
        for (index, thing) in things.as_array().into_iter().flatten().enumerate() {
            let file = folder.path().join(format!("parts/{kind}/{index}.json"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, thing.to_string()).unwrap();
        }
    }
    let said = import(&["parts", "--into", "parted", "--logins", "logins.yaml"], folder.path());
    import(&["whole.json", "--into", "whole", "--logins", "logins.yaml"], folder.path());
    let whole = files(&folder.path().join("whole"));
    assert!(whole.len() > 8, "{whole:?}");
    assert_eq!(files(&folder.path().join("parted")), whole, "{said}");

    // Entities alone are read by the blueprints that are there: what is computed is not stored, people have logins.
    std::fs::remove_dir_all(folder.path().join("whole/entities")).unwrap();
    for kind in ["users", "teams", "entities"] {
        import(&[&format!("parts/{kind}"), "--into", "whole", "--logins", "logins.yaml"], folder.path());
    }
    assert_eq!(files(&folder.path().join("whole")), whole);

    // Where one happens to stand nothing is written.
    let nowhere = import(&["whole.json"], folder.path());
    assert!(nowhere.contains("--into <DIR>") && nowhere.contains("(exit code 2)"), "{nowhere}");
    assert!(!folder.path().join("chandlery.yaml").exists());

    let again = import(&["whole.json", "--into", "whole", "--logins", "logins.yaml"], folder.path());
    assert!(again.contains("wrote 0 files into whole\n") && !again.contains("exit code"), "{again}");
    let mine =
        "identifier: search\nblueprint: service\nproperties: { tier: gold }\nrelations: { system: shop }\n";
    std::fs::write(folder.path().join("whole/entities/service/search.yaml"), mine).unwrap();
    std::fs::remove_file(folder.path().join("whole/entities/system/shop.yaml")).unwrap();
    let dry =
        import(&["whole.json", "--into", "whole", "--logins", "logins.yaml", "--dry-run"], folder.path());
    assert!(dry.contains("would write 1 file into whole\n  whole/entities/system/: 1 file\n"), "{dry}");
    assert!(!folder.path().join("whole/entities/system/shop.yaml").exists());
    let again = import(&["whole.json", "--into", "whole", "--logins", "logins.yaml"], folder.path());
    assert!(again.contains("error[import-file-exists]: this file is there already"), "{again}");
    assert!(
        again.contains("--> whole/entities/service/search.yaml") && again.contains("(exit code 1)"),
        "{again}"
    );
    let now = files(&folder.path().join("whole"));
    assert_eq!(now["entities/service/search.yaml"], mine);
    assert_eq!(now.len(), whole.len());
}
