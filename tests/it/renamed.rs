//! What becomes of requests that are on their way when a branch or a repository gets another name? On the local forge, which
//! follows renames as GitHub does.

use serde_json::json;

use crate::world::{Ask, Deed, How, Repo, World, local::Local, reconcile, told};

fn asks(local: &mut Local, id: &str, name: &str) {
    let inputs = [("name".to_owned(), name.to_owned())].into();
    let ask = Ask { action: "create-bucket".into(), entity: None, inputs };
    assert!(local.deed(&Deed::Ask { who: "dan".into(), id: id.into(), ask }));
    quiet(local);
}

/// A pass, and another that finds nothing to do. Says what waits.
fn quiet(local: &mut Local) -> Vec<String> {
    let report = reconcile(local);
    assert!(report.stopped.is_none() && report.left.is_empty(), "{report:#?}");
    local.begin_anew(true);
    let again = reconcile(local);
    assert_eq!(again.acts, 0, "{again:#?}");
    again.waits.into_iter().collect()
}

fn renames_main(local: &Local, at: Repo) {
    let path = format!("/api/v3/repos/{}/branches/main/rename", at.name());
    let (status, answer) = local.tries("ada", "POST", &path, &json!({ "new_name": "trunk" }));
    assert_eq!((status, answer["name"].as_str()), (201, Some("trunk")), "{answer}");
}

fn calls_infra(local: &Local, from: &str, to: &str) {
    let (status, answer) =
        local.tries("ada", "PATCH", &format!("/api/v3/repos/{from}"), &json!({ "name": to }));
    assert_eq!((status, answer["name"].as_str()), (200, Some(to)), "{answer}");
}

fn approves(local: &mut Local, number: u64) {
    assert!(local.deed(&Deed::Approve { who: "bo".into(), at: (Repo::Catalog, number) }));
}

fn merges(local: &mut Local, who: &str, at: (Repo, u64)) {
    assert!(local.deed(&Deed::Merge { who: who.into(), at, how: How::Merge }));
}

#[test]
fn a_default_branch_with_another_name_changes_nothing_about_what_is_agreed() {
    let mut local = Local::recorded();
    asks(&mut local, "first", "logs");
    approves(&mut local, 1);
    quiet(&mut local);
    let head = local.tip(Repo::Catalog, "ask/first");
    renames_main(&local, Repo::Catalog);
    quiet(&mut local);
    assert_eq!(local.tip(Repo::Catalog, "ask/first"), head, "the plan is as it was");
    merges(&mut local, "dan", (Repo::Catalog, 1));
    quiet(&mut local);
    // The target's, while the follow-up is open.
    renames_main(&local, Repo::Infra);
    quiet(&mut local);
    merges(&mut local, "bo", (Repo::Infra, 1));
    quiet(&mut local);
    let files = local.files(Repo::Catalog, "trunk");
    for path in ["entities/bucket/logs.yaml", "requests/first/run.yaml"] {
        assert!(files.iter().any(|file| file == path), "{path}: {files:?}");
    }
}

#[test]
fn a_target_whose_default_branch_gets_another_name_is_planned_for_anew() {
    let mut local = Local::recorded();
    asks(&mut local, "first", "logs");
    approves(&mut local, 1);
    quiet(&mut local);
    assert!(told(&mut local, 1).contains("approved"));
    renames_main(&local, Repo::Infra);
    quiet(&mut local);
    // What was approved would have gone to another branch.
    let said = told(&mut local, 1);
    assert!(said.contains("waiting for approval"), "{said}");
    approves(&mut local, 1);
    quiet(&mut local);
    merges(&mut local, "dan", (Repo::Catalog, 1));
    quiet(&mut local);
    merges(&mut local, "bo", (Repo::Infra, 1));
    quiet(&mut local);
    assert!(local.files(Repo::Infra, "trunk").iter().any(|file| file == "buckets/logs.yaml"));
}

#[test]
fn a_target_with_another_name_is_not_written_to_by_its_old_one() {
    let mut local = Local::recorded();
    asks(&mut local, "first", "logs");
    approves(&mut local, 1);
    quiet(&mut local);
    merges(&mut local, "dan", (Repo::Catalog, 1));
    quiet(&mut local);
    let infra = Repo::Infra.name().to_string();
    calls_infra(&local, &infra, "storage");
    // Whoever reads is sent on, as on GitHub.
    let (status, answer) = local.tries("bo", "GET", &format!("/api/v3/repos/{infra}/pulls/1"), &json!(null));
    let there = answer["url"].as_str().unwrap().strip_prefix(local.url()).unwrap().to_owned();
    assert_eq!((status, local.tries("bo", "GET", &there, &json!(null)).0), (301, 200), "{answer}");
    let waits = quiet(&mut local);
    assert!(waits.iter().any(|why| why.contains("is called `acme/storage` by now")), "{waits:?}");
    asks(&mut local, "second", "data");
    let said = told(&mut local, 2);
    assert!(said.contains("is called `acme/storage` now"), "{said}");
    // As it was again, all of it goes on.
    calls_infra(&local, "acme/storage", "infra");
    quiet(&mut local);
    merges(&mut local, "bo", (Repo::Infra, 1));
    quiet(&mut local);
    assert!(local.files(Repo::Catalog, "main").iter().any(|file| file == "requests/first/run.yaml"));
    assert!(!told(&mut local, 2).contains("is called"));
}

#[test]
fn a_catalog_with_another_name_stops_until_it_is_called_so() {
    let mut local = Local::recorded();
    asks(&mut local, "first", "logs");
    calls_infra(&local, "acme/catalog", "shop");
    let report = reconcile(&mut local);
    assert!(
        report.acts == 0 && format!("{:?}", report.stopped).contains("is called `acme/shop` by now"),
        "{report:#?}"
    );
}
