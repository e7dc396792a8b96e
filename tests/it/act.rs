//! Do the workflows that `init` writes carry a request from its issue to the catalog?
//!
//! `act` runs them as they are, on this machine, against the local forge: an issue's event goes in, a merged change and an
//! updated catalog come out. Only the release's number is replaced by the program that was just built. Once everything
//! arrives; then events get lost, come twice and out of order, or never come, and the schedule has to make up for it.

mod runner;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::json;

use self::runner::{Environment, Fate, Outcome, Ran, Runner, Setup};
use crate::{
    demo::{chandlery, printed},
    forge_helper::TestForge,
    gh::filled_in,
    identity::PERMISSIONS,
    world::local::key_pair,
};

const CATALOG: &str = "acme/catalog";
const TARGET: &str = "acme/infrastructure";
const ACTION: &str = "acme/chandlery@0123456789abcdef0123456789abcdef01234567";
const SHA256: &str = "abababababababababababababababababababababababababababababababab";
const APP: u64 = 4711;

const FAIR: &[Fate] = &[Fate::Once];
/// Every second is lost; of the others every third comes twice, and every third too late.
const ROUGH: &[Fate] = &[Fate::Once, Fate::Lost, Fate::Twice, Fate::Lost, Fate::Late, Fate::Lost];

/// Nothing is told at all.
const SILENT: &[Fate] = &[Fate::Lost];

/// What the platform team adds to a new catalog.
const DEFINITIONS: [(&str, &str); 4] = [
    (
        "blueprints/bucket.yaml",
        "identifier: bucket
title: Bucket
schema:
  properties:
    size: { type: number, minimum: 1, maximum: 500 }
  required: [size]
",
    ),
    (
        "actions/create-bucket.yaml",
        "identifier: create-bucket
title: Create a bucket
trigger:
  operation: CREATE
  blueprintIdentifier: bucket
  userInputs:
    properties:
      name: { type: string, title: Name, pattern: \"^[a-z-]+$\" }
      size: { type: number, title: Size, minimum: 1, maximum: 500, default: 10 }
    required: [name]
steps:
  - id: code
    pullRequest: { repository: acme/infrastructure, template: bucket, title: \"Bucket {{ inputs.name }}\" }
entities:
  - create: { blueprint: bucket, identifier: \"{{ inputs.name }}\", properties: { size: \"{{ inputs.size }}\" } }
",
    ),
    ("action-templates/bucket/template.yaml", "description: A bucket\n"),
    (
        "action-templates/bucket/files/buckets/{{ inputs.name }}.yaml",
        "name: {{ inputs.name }}\nsize: {{ inputs.size }}\n",
    ),
];

/// The company: its forge, what its administrators set up, and the form that people fill in.
struct Company {
    forge: TestForge,
    form: PathBuf,
    key: String,
}

/// How a story went.
struct Told {
    ran: Vec<Ran>,
    asked: usize,
    /// How often somebody had to wait for the schedule.
    hours: usize,
    /// The files of both repositories, without what differs from forge to forge.
    files: BTreeMap<String, String>,
}

impl Company {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (catalog, target) = (folder.path().join("catalog"), folder.path().join("target"));
        let path = |folder: &Path| folder.to_str().unwrap().to_owned();
        let named = ["--repository", CATALOG, "--action", ACTION, "--sha256", SHA256, "--app", "chandlery"];
        printed(&chandlery(&[&["init", &path(&catalog)], &named[..]].concat()));
        printed(&chandlery(&["init", &path(&target), "--repository", CATALOG, "--target", TARGET]));
        for (file, text) in DEFINITIONS {
            fs::create_dir_all(catalog.join(file).parent().unwrap()).unwrap();
            fs::write(catalog.join(file), text).unwrap();
        }
        replace(&catalog.join("chandlery.yaml"), "repositories: []", &format!("repositories: [{TARGET}]"));
        printed(&chandlery(&["generate", "issue-forms", &path(&catalog)]));
        let release = format!("version: {}\n          sha256: {SHA256}\n", env!("CARGO_PKG_VERSION"));
        let built = format!("binary: {}\n", env!("CARGO_BIN_EXE_chandlery"));
        for file in ["chandlery.yml", "chandlery-validate.yml"] {
            replace(&catalog.join(".github/workflows").join(file), &release, &built);
        }

        let (key, public_key) = key_pair();
        let users = ["ada", "bo", "cleo", "dan", "keeper"]
            .map(|who| json!({ "login": who, "token": format!("t-{who}") }));
        let writers = json!({ "bo": "write", "cleo": "write", "dan": "write", "keeper": "write" });
        let seed = json!({
            "users": users,
            "orgs": [{ "login": "acme", "owners": ["ada"], "members": ["bo", "cleo", "dan", "keeper"] }],
            "repositories": [
                { "owner": "acme", "name": "catalog", "from": catalog, "collaborators": writers, "protected": [
                    { "branch": "main", "requiredChecks": ["chandlery"], "push": ["chandlery[bot]"] },
                ] },
                { "owner": "acme", "name": "infrastructure", "from": target, "collaborators": writers },
                { "owner": "acme", "name": "bell" },
            ],
            "apps": [{
                "id": APP, "slug": "chandlery", "publicKey": public_key, "permissions": BTreeMap::from(PERMISSIONS),
                "installations": [{ "account": "acme", "repositories": ["catalog", "infrastructure"] }],
            }],
        });
        fs::write(folder.path().join("seed.yaml"), seed.to_string()).unwrap();
        let form = catalog.join(".github/ISSUE_TEMPLATE/create-bucket.yml");
        Self { forge: TestForge::seeded(name, folder), form, key }
    }

    fn setup(&self) -> Setup {
        let acts = Environment {
            secrets: vec![("CHANDLERY_APP_KEY", self.key.clone())],
            variables: vec![("CHANDLERY_APP_ID", APP.to_string())],
        };
        let wakes = Environment {
            secrets: vec![("CHANDLERY_WAKE_TOKEN", "t-keeper".to_owned())],
            ..Environment::default()
        };
        let at = |repository: &str, name: &str| (repository.to_owned(), name.to_owned());
        Setup {
            action: (ACTION.to_owned(), self.action()),
            environments: [(at(CATALOG, "chandlery"), acts), (at(TARGET, "chandlery-wake"), wakes)].into(),
        }
    }

    /// Our action, as its repository has it.
    fn action(&self) -> PathBuf {
        let folder = self.forge.folder.path().join("action");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("action.yml"), folder.join("action.yml"))
            .unwrap();
        folder
    }

    /// From the issue to the catalog, as fast as what has arrived allows.
    fn tells(&self, fates: &'static [Fate]) -> Told {
        let (forge, api) = (&self.forge, |path: &str| format!("/repos/{CATALOG}/{path}"));
        let mut runner = Runner::new(forge, &[CATALOG, TARGET], self.setup(), fates);
        let mut hours = 0;

        let body = |size| filled_in(&self.form, &[("name", "invoices"), ("size", size)]);
        let filed = json!({ "title": "Please", "body": body("200") });
        let issue = forge.post("dan", &api("issues"), filed).expect(201).number("/number");
        // He looks at it once more while the first job runs already.
        for change in [json!({ "title": "A bucket for invoices" }), json!({ "body": body("20") })] {
            forge.patch("dan", &api(&format!("issues/{issue}")), change).expect(200);
        }
        let pull = wait(&mut runner, &mut hours, || open_pull(forge, CATALOG));

        let merge = json!({ "merge_method": "merge" });
        let merges = || forge.put("dan", &api(&format!("pulls/{pull}/merge")), merge.clone());
        merges().expect(405);
        for who in ["bo", "cleo"] {
            let review = json!({ "event": "APPROVE" });
            forge.post(who, &api(&format!("pulls/{pull}/reviews")), review).expect(200);
        }
        wait(&mut runner, &mut hours, || (merges().status == 200).then_some(()));

        let follow_up = wait(&mut runner, &mut hours, || open_pull(forge, TARGET));
        forge.put("bo", &format!("/repos/{TARGET}/pulls/{follow_up}/merge"), merge.clone()).expect(200);
        wait(&mut runner, &mut hours, || {
            let issue = forge.get("dan", &api(&format!("issues/{issue}")));
            (issue.text("/state") == "closed").then_some(())
        });
        let files = [CATALOG, TARGET].iter().flat_map(|repository| files(forge, repository)).collect();
        Told { ran: runner.ran, asked: runner.asked, hours, files }
    }
}

/// What somebody waits for; when all is quiet and it is not there, until the hour is over.
#[track_caller]
fn wait<T>(runner: &mut Runner<'_>, hours: &mut usize, is_there: impl Fn() -> Option<T>) -> T {
    runner.settle();
    is_there().unwrap_or_else(|| {
        *hours += 1;
        runner.schedule(CATALOG);
        is_there().unwrap_or_else(|| panic!("it never came: {:#?}", runner.ran))
    })
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert_eq!(text.matches(from).count(), 1, "{from:?} in {}", file.display());
    fs::write(file, text.replace(from, to)).unwrap();
}

fn open_pull(forge: &TestForge, repository: &str) -> Option<u64> {
    let open = forge.get("ada", &format!("/repos/{repository}/pulls?state=open"));
    open.body.as_array().unwrap().first()?["number"].as_u64()
}

/// The default branch's files, by repository and path. Commits, times and the forge's port are its own.
fn files(forge: &TestForge, repository: &str) -> BTreeMap<String, String> {
    let own =
        regex::Regex::new(r"[0-9a-f]{40,}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|127\.0\.0\.1:\d+").unwrap();
    let git = git2::Repository::open_bare(
        forge.folder.path().join("forge/repositories").join(format!("{repository}.git")),
    )
    .unwrap();
    let tree = git.revparse_single("main").unwrap().peel_to_tree().unwrap();
    let mut files = BTreeMap::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        if let Ok(blob) = entry.to_object(&git).unwrap().into_blob() {
            let text = String::from_utf8_lossy(blob.content()).into_owned();
            let path = format!("{repository}/{folder}{}", entry.name().unwrap());
            files.insert(path, own.replace_all(&text, "…").into_owned());
        }
        git2::TreeWalkResult::Ok
    })
    .unwrap();
    files
}

impl Told {
    /// How often which job was started by what, and how it ended.
    fn summary(&self) -> String {
        let mut counts = BTreeMap::<String, usize>::new();
        for Ran { job, event, by, outcome, .. } in &self.ran {
            *counts.entry(format!("{job}, {event} by {by}: {outcome:?}")).or_default() += 1;
        }
        counts.iter().map(|(what, count)| format!("{count} {what}\n")).collect()
    }

    /// How many jobs `act` ran.
    fn acted(&self) -> usize {
        let ran = |one: &&Ran| matches!(one.outcome, Outcome::Success | Outcome::Failure);
        self.ran.iter().filter(ran).count()
    }

    fn of(&self, job: &str, outcome: Outcome) -> Vec<&Ran> {
        self.ran.iter().filter(|ran| ran.job == job && ran.outcome == outcome).collect()
    }

    /// What must be so however events fare.
    fn is_sound(&self, key: &str) {
        let summary = self.summary();
        assert!(self.ran.iter().all(|ran| ran.outcome != Outcome::Failure), "{:#?}", self.ran);

        let mut acting = self.of("acme/catalog chandlery", Outcome::Success);
        acting.sort_by_key(|ran| ran.began);
        assert!(acting.windows(2).all(|pair| pair[0].ended <= pair[1].began), "{acting:#?}");

        let ours: Vec<&Ran> = self
            .ran
            .iter()
            .filter(|ran| ran.job == "acme/catalog chandlery" && ran.by == "chandlery[bot]")
            .collect();
        assert!(ours.iter().all(|ran| ran.outcome == Outcome::Skipped), "{summary}");

        let secret =
            key.lines().filter(|line| !line.starts_with("-----")).chain(["PRIVATE KEY", "t-keeper", "ghs_"]);
        for word in secret {
            assert!(self.ran.iter().all(|ran| !ran.output.contains(word)), "a secret was printed");
        }
        assert!(acting.iter().all(|ran| ran.output.contains("Run Chandlery")), "{acting:#?}");
    }
}

/// What ran when everything arrived: how often, what, and why.
const FAIR_RUNS: &str = "\
1 acme/catalog chandlery, issues closed by chandlery[bot]: Skipped
1 acme/catalog chandlery, issues edited by dan: Success
1 acme/catalog chandlery, issues edited by dan: Superseded
1 acme/catalog chandlery, issues opened by dan: Success
1 acme/catalog chandlery, pull_request_target closed by dan: Success
1 acme/catalog chandlery, pull_request_target opened by chandlery[bot]: Skipped
1 acme/catalog chandlery, push by chandlery[bot]: Skipped
1 acme/catalog chandlery, push by dan: Success
1 acme/catalog chandlery, workflow_run completed by bo: Success
1 acme/catalog chandlery, workflow_run completed by cleo: Success
1 acme/catalog chandlery, workflow_run completed by keeper: Success
1 acme/catalog chandlery-validate, pull_request opened by chandlery[bot]: Success
1 acme/catalog chandlery-wake, pull_request_review submitted by bo: Success
1 acme/catalog chandlery-wake, pull_request_review submitted by cleo: Success
1 acme/catalog chandlery-wake, workflow_dispatch by keeper: Success
1 acme/infrastructure chandlery-wake, pull_request_target closed by bo: Success
";

#[test]
fn generated_workflows_carry_a_request_to_the_catalog_whatever_becomes_of_events() {
    let company = Company::new("act-fair");
    let fair = company.tells(FAIR);
    fair.is_sound(&company.key);
    assert_eq!(fair.summary(), FAIR_RUNS);
    assert_eq!(fair.hours, 0, "events are enough");
    // `act` is asked about every job, then lets it run.
    assert_eq!((fair.asked, fair.acted()), (16, 12));

    let issue = company.forge.get("dan", &format!("/repos/{CATALOG}/issues/1"));
    assert_eq!(issue.text("/state_reason"), "completed");
    assert!(fair.files["acme/catalog/entities/bucket/invoices.yaml"].contains("size: 20"));
    assert!(fair.files["acme/infrastructure/buckets/invoices.yaml"].contains("size: 20"));
    let log = company.forge.get("dan", &format!("/repos/{CATALOG}/commits"));
    let commits = log.body.as_array().unwrap().iter();
    let mut lines = commits.flat_map(|commit| commit["commit"]["message"].as_str().unwrap().lines());
    let trailer = lines.find(|line| line.starts_with("Chandlery-Run: ")).unwrap();
    assert!(trailer.contains(" by=dan ") && trailer.ends_with(" approved=bo,cleo"), "{trailer}");

    for (name, fates, hours) in [("act-rough", ROUGH, 1), ("act-silent", SILENT, 4)] {
        let company = Company::new(name);
        let told = company.tells(fates);
        told.is_sound(&company.key);
        assert_eq!(told.hours, hours, "{name}: {}", told.summary());
        assert_eq!(told.files, fair.files, "{name}");
    }
}
