//! Does `plan` show what the pull request would show, without a forge?

use std::path::{Path, PathBuf};

use git2::build::RepoBuilder;

use crate::demo::{Told, chandlery, printed};

fn clone(told: &Told, repository: &str, branch: &str, into: &str) -> PathBuf {
    let folder = told.folder.path().join(into);
    let from = told.repository(repository);
    RepoBuilder::new().branch(branch).clone(from.to_str().unwrap(), &folder).unwrap();
    folder
}

fn plan(request: &Path, more: &[&str]) -> std::process::Output {
    chandlery(&[&["plan", request.to_str().unwrap()], more].concat())
}

#[test]
fn the_plan_of_a_work_tree_is_the_plan_on_the_branch() {
    let told = Told::new();
    let waiting = told.outcome["requests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|request| request["status"] == "waiting_for_approval");
    let id = waiting.unwrap()["id"].as_str().unwrap();
    let branch = format!("chandlery/request/{}", id.replace('/', "-"));
    let catalog = clone(&told, "acme/catalog", &branch, "catalog");
    let infrastructure = clone(&told, "acme/infrastructure", "main", "infrastructure");
    let request = catalog.join(format!("requests/{id}/request.yaml"));
    let target = format!("acme/infrastructure={}", infrastructure.display());

    let planned = told.file("acme/catalog", &branch, &format!("requests/{id}/plan.yaml")).unwrap();
    let key = planned.lines().find_map(|line| line.strip_prefix("key: ")).unwrap();
    let shown = printed(&plan(&request, &["--target", &target, "--as", "finn"]));
    assert!(shown.contains(&format!("Plan `{key}`")), "{shown}\n{planned}");
    let diff = told.file("acme/catalog", &branch, &format!("requests/{id}/plan.diff")).unwrap();
    assert!(shown.contains(&diff), "{shown}");
    for words in [
        "**budget**: 1 of the team `budget`",
        "the team `platform`",
        "`cloud-account/basket-tryout` is added",
    ] {
        assert!(shown.contains(words), "no {words} in {shown}");
    }

    // Without its target it says which is missing; nothing was written anywhere.
    let refused = plan(&request, &[]);
    assert_eq!(refused.status.code(), Some(3));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("--target acme/infrastructure=FOLDER"), "{said}");
    let outsider = plan(&request, &["--target", &target, "--as", "zoe"]);
    assert!(printed_anyway(&outsider).contains("Assumed: `zoe` has write access"));
    let repository = git2::Repository::open(&catalog).unwrap();
    assert!(repository.statuses(None).unwrap().is_empty());

    // Mistakes have their places.
    let text = std::fs::read_to_string(&request).unwrap();
    std::fs::write(&request, text.replace("system: checkout", "system: chekout")).unwrap();
    let wrong = plan(&request, &["--target", &target]);
    assert_eq!(wrong.status.code(), Some(1));
    let said = printed_anyway(&wrong);
    assert!(said.contains("error[unknown-entity]") && said.contains("did you mean `checkout`?"), "{said}");
    assert!(said.contains(&format!("requests/{id}/request.yaml:")), "{said}");
}

fn printed_anyway(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A new entity gets a file that every system can have, and none that another entity's would be on some of them.
#[test]
fn a_new_entity_has_a_portable_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    git2::Repository::init(folder.path()).unwrap();
    let put = |path: &str, text: &str| {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("chandlery.yaml", "version: 1\nrepository: acme/catalog\n");
    put("blueprints/thing.yaml", "identifier: thing\n");
    put("entities/thing/Shop.yaml", "identifier: Shop\nblueprint: thing\n");
    put("entities/_user/ada.yaml", "identifier: ada\nblueprint: _user\n");
    put(
        "actions/add.yaml",
        "identifier: add
trigger:
  operation: CREATE
  blueprintIdentifier: thing
  userInputs: { properties: { name: { type: string } }, required: [name] }
approval: none
entities:
  - create: { blueprint: thing, identifier: \"{{ inputs.name }}\" }
",
    );
    let planned_as = |id: &str, name: &str| {
        let path = format!("requests/{id}/request.yaml");
        put(&path, &format!("action: add\ninputs: {{ name: {name:?} }}\n"));
        plan(&folder.path().join(path), &["--as", "ada"])
    };
    let planned = |name: &str| planned_as("one", name);
    // What the forge would refuse for its name is refused here.
    for (id, code) in [("2026/issue-7", "reserved-request-id"), ("One more", "bad-request-id")] {
        let refused = planned_as(id, "tea");
        let said = printed_anyway(&refused);
        assert!(refused.status.code() == Some(1) && said.contains(code), "{id}: {said}");
        std::fs::remove_dir_all(folder.path().join("requests").join(id)).unwrap();
    }
    let shown = printed(&planned("shop/cart"));
    assert!(shown.contains("entities/thing/shop%2Fcart.yaml"), "{shown}");
    let refused = planned("shop");
    assert_eq!(refused.status.code(), Some(1));
    let said = printed_anyway(&refused);
    assert!(
        said.contains("`thing/shop` and `Shop`, which is in the catalog, differ in nothing but case"),
        "{said}"
    );
}
