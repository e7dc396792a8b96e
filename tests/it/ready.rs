//! What do the actions that come along become in a catalog? The example holds them as they are written there, each of them passes
//! its own examples in a new catalog and in an old one, and nothing that people wrote is lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use chandlery::{
    catalog::{self, Root},
    domain::{Format, Operation, Property, PropertyType},
};

use crate::{
    demo::{chandlery, printed},
    nine::ready,
};

fn ours(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The files below a folder, by their path there.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap()) {
            let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), found);
            } else {
                found.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found
}

fn put(folder: &Path, path: &str, bytes: &[u8]) {
    let path = folder.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn init(folder: &Path, more: &[&str]) -> (i32, String) {
    let output = chandlery(&[&["init", folder.to_str().unwrap()], more].concat());
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

fn with_all(folder: &Path, more: &[&str]) -> (i32, String) {
    let names = ready();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    init(folder, &[more, &["--with"], &names].concat())
}

/// `make gen` writes them there.
#[test]
fn the_example_holds_them_as_they_are_written() {
    let folders = ["actions/", "action-templates/", "scripts/"];
    let generated = |path: &str| folders.iter().any(|folder| path.starts_with(folder));
    let example = ours("catalog-example");
    let before = files(&example);
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("catalog");
    before.iter().filter(|(path, _)| !generated(path)).for_each(|(path, bytes)| put(&copy, path, bytes));
    let (code, said) = with_all(&copy, &["--repository", "acme/catalog"]);
    assert_eq!(code, 0, "{said}");
    let mut after = files(&copy);
    // Its blueprints ask for more than the entities of examples say.
    let elsewhere = |path: &str| path.starts_with('.') || path.contains(".tests/");
    after.retain(|path, _| !elsewhere(path) || before.contains_key(path) && !generated(path));
    if std::env::var_os("UPDATE_STORIES").is_some() {
        for folder in ["actions", "action-templates", "scripts"] {
            drop(fs::remove_dir_all(example.join(folder)));
        }
        after.iter().for_each(|(path, bytes)| put(&example, path, bytes));
        brings_back_diffs();
        return;
    }
    for (path, bytes) in &after {
        assert!(before.get(path) == Some(bytes), "{path} is not as it is written: `make gen`");
    }
    let gone: Vec<&String> = before.keys().filter(|path| !after.contains_key(*path)).collect();
    assert!(gone.is_empty(), "{gone:?} are not written: `make gen`");
    printed(&chandlery(&["validate", example.to_str().unwrap()]));
}

/// The diffs of examples as they are now, in the folders that they come from.
fn brings_back_diffs() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog");
    let (code, said) = with_all(&catalog, &["--repository", "acme/catalog"]);
    assert_eq!(code, 0, "{said}");
    printed(&chandlery(&["test", "--catalog", catalog.to_str().unwrap(), "--inputs", "0", "--update"]));
    let sources: Vec<String> = files(&ours("action-templates")).into_keys().collect();
    for (path, bytes) in files(&catalog.join("actions")) {
        let Some((folder, file)) = path.rsplit_once('/').filter(|(_, file)| file.ends_with(".diff")) else {
            continue;
        };
        let action = folder.trim_end_matches(".tests");
        let case = file.replace(".diff", ".yaml");
        let is_source = |path: &&String| {
            path.ends_with(&format!("{action}/tests/{case}")) || path.ends_with(&format!("/{folder}/{case}"))
        };
        let source = sources.iter().find(is_source).expect("each case comes from a folder");
        put(&ours("action-templates"), &source.replace(".yaml", ".diff"), &bytes);
    }
}

/// Those that rest on the same blueprint say the same of it.
#[test]
fn blueprints_are_the_same_in_every_folder() {
    let mut known: BTreeMap<String, (String, Vec<u8>)> = BTreeMap::new();
    for (path, bytes) in files(&ours("action-templates")) {
        let Some((_, name)) = path.split_once("/blueprints/") else { continue };
        let (first, same) = known.entry(name.to_owned()).or_insert_with(|| (path.clone(), bytes.clone()));
        assert!(*same == bytes, "{path} differs from {first}");
    }
    assert!(known.len() > 5);
}

/// Whoever writes an action finds each kind of input and each operation in one of them.
#[test]
fn between_them_they_use_every_kind_of_input_every_backend_and_every_operation() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog");
    let (code, said) = with_all(&catalog, &["--repository", "acme/catalog"]);
    assert_eq!(code, 0, "{said}");
    let mut found = catalog::Files::new();
    for (path, bytes) in files(&catalog) {
        if let Ok(path) = path.parse() {
            found.insert(path, bytes.into());
        }
    }
    let root = Root::default();
    let settings = catalog::load_settings(&root, found.get(&root.settings_path())).unwrap();
    let (definitions, problems) = catalog::load_definitions(&root, settings, &found);
    assert!(problems.is_empty(), "{problems:?}");

    fn note(property: &Property, types: &mut Vec<PropertyType>, formats: &mut Vec<Format>) {
        types.push(property.kind);
        formats.extend(property.format);
        property.items.iter().for_each(|items| note(items, types, formats));
    }
    let (mut types, mut formats, mut operations) = (Vec::new(), Vec::new(), Vec::new());
    for action in definitions.actions.values().map(|defined| &defined.value) {
        operations.push(action.operation);
        action.inputs.iter().for_each(|(_, input)| note(input, &mut types, &mut formats));
    }
    let unused: Vec<&str> = (PropertyType::ALL
        .into_iter()
        .filter(|kind| !types.contains(kind))
        .map(PropertyType::name))
    .chain(Format::ALL.into_iter().filter(|format| !formats.contains(format)).map(Format::name))
    .chain(
        Operation::ALL.into_iter().filter(|operation| !operations.contains(operation)).map(Operation::name),
    )
    .collect();
    assert!(unused.is_empty(), "no action that comes along uses {unused:?}");
    let steps = definitions.actions.values().flat_map(|defined| &defined.value.steps);
    let backends: BTreeSet<&str> = steps.map(|step| step.does.name()).collect();
    assert_eq!(backends, ["pullRequest", "script", "webhook", "workflow"].into());
}

#[test]
fn each_passes_its_examples_in_a_catalog_of_its_own() {
    let listed = printed(&chandlery(&["init", "--list"]));
    assert_eq!(listed.lines().count(), 9, "{listed}");
    let folder = tempfile::tempdir().unwrap();
    for name in ready() {
        let catalog = folder.path().join(&name);
        let (code, said) = init(&catalog, &["--repository", "umbrella/catalog", "--with", &name]);
        assert_eq!(code, 0, "{said}");
        assert!(
            !catalog.join("actions/register-service.yaml").exists(),
            "what is to begin with is the action"
        );
        let left =
            files(&catalog).into_iter().find(|(_, bytes)| String::from_utf8_lossy(bytes).contains("acme/"));
        assert!(left.is_none(), "{left:?}");
        printed(&chandlery(&["validate", catalog.to_str().unwrap()]));
        let tested = printed(&chandlery(&["test", "--catalog", catalog.to_str().unwrap(), "--inputs", "20"]));
        assert!(tested.contains("all is well"), "{name}: {tested}");
    }
}

#[test]
fn a_catalog_that_is_there_keeps_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = folder.path().join("catalog");
    let (code, said) = init(&catalog, &["--repository", "acme/catalog"]);
    assert_eq!(code, 0, "{said}");
    let settings = fs::read_to_string(catalog.join("chandlery.yaml")).unwrap();
    let mine = settings.replace("repositories: []", "repositories:\n  - acme/mine # by hand\n");
    fs::write(catalog.join("chandlery.yaml"), &mine).unwrap();
    let blueprint = fs::read_to_string(catalog.join("blueprints/service.yaml")).unwrap();
    let workflow = fs::read_to_string(catalog.join(".github/workflows/chandlery.yml")).unwrap();

    let (code, said) = with_all(&catalog, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("CHANDLERY_SECRET_ENVIRONMENTS") && said.contains("--target acme/deployments"),
        "{said}"
    );
    let settings = fs::read_to_string(catalog.join("chandlery.yaml")).unwrap();
    for line in mine.lines().chain([
        "  - acme/deployments",
        "scripts: { as: nobody }",
        "https://environments.acme.example",
    ]) {
        assert!(settings.contains(line), "no {line} in\n{settings}");
    }
    let extended = fs::read_to_string(catalog.join("blueprints/service.yaml")).unwrap();
    assert!(
        blueprint.lines().all(|line| extended.contains(line)) && extended.contains("replicas:"),
        "{extended}"
    );
    let acting = catalog.join(".github/workflows/chandlery.yml");
    let handed_on = fs::read_to_string(&acting).unwrap();
    let line = "          CHANDLERY_SECRET_ENVIRONMENTS: ${{ secrets.CHANDLERY_SECRET_ENVIRONMENTS }}\n";
    assert_eq!(handed_on.replace(line, ""), workflow, "{said}");
    assert!(handed_on.contains(line) && said.contains("added to: .github/workflows/chandlery.yml"), "{said}");
    assert!(catalog.join(".github/ISSUE_TEMPLATE/create-dev-environment.yml").exists(), "{said}");
    printed(&chandlery(&["validate", catalog.to_str().unwrap()]));
    printed(&chandlery(&["test", "--catalog", catalog.to_str().unwrap(), "--inputs", "5"]));

    // Once more changes nothing; what was changed by hand is not written over, and nothing else is written.
    let all = files(&catalog);
    let (code, said) = with_all(&catalog, &[]);
    assert_eq!(code, 0, "{said}");
    assert!(files(&catalog) == all, "{said}");
    // A workflow of other making is left alone, and that is said.
    fs::write(&acting, "name: chandlery\non: push\njobs: {}\n").unwrap();
    let all = files(&catalog);
    let (code, said) = with_all(&catalog, &[]);
    assert!(code == 0 && said.contains("chandlery.yml` was changed by hand"), "{said}");
    assert!(files(&catalog) == all, "{said}");
    let action = catalog.join("actions/change-replicas.yaml");
    fs::write(&action, fs::read_to_string(&action).unwrap() + "# by hand\n").unwrap();
    fs::remove_file(catalog.join("actions/start-notebook.yaml")).unwrap();
    let all = files(&catalog);
    let (code, said) = with_all(&catalog, &[]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("`actions/change-replicas.yaml` is there with other content"), "{said}");
    assert!(files(&catalog) == all);

    let (code, said) = init(&catalog, &["--with", "change-replica"]);
    assert!(code != 0 && said.contains("did you mean `change-replicas`?"), "{said}");
}
