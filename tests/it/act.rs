//! Do the workflows that `init` writes carry a request from its issue to the catalog?
//!
//! `act` runs them as they are, on this machine, against the local forge: an issue's event goes in, a merged change and an
//! updated catalog come out. Only the release's number is replaced by the program that was just built. Once everything
//! arrives; then events get lost, come twice and out of order, or never come, and the schedule has to make up for it.
//! A workflow that a step starts runs there, too.

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
const DEFINITIONS: [(&str, &str); 5] = [
    (
        "blueprints/bucket.yaml",
        "identifier: bucket
title: Bucket
schema:
  properties:
    size: { type: number, minimum: 1, maximum: 500 }
    console: { type: string, format: url }
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
    (
        "actions/apply-bucket.yaml",
        "identifier: apply-bucket
title: Have a bucket made
trigger:
  operation: CREATE
  blueprintIdentifier: bucket
  userInputs:
    properties:
      name: { type: string, title: Name, pattern: \"^[a-z-]+$\" }
      size: { type: number, title: Size, minimum: 1, maximum: 500, default: 10 }
    required: [name]
steps:
  - id: apply
    title: Apply it
    workflow:
      repository: acme/infrastructure
      workflow: apply.yml
      inputs: { name: \"{{ inputs.name }}\", size: \"{{ inputs.size }}\" }
      correlation: correlation
entities:
  - create:
      blueprint: bucket
      identifier: \"{{ inputs.name }}\"
      properties: { size: \"{{ inputs.size }}\", console: \"{{ steps.apply.outputs.console }}\" }
",
    ),
    ("action-templates/bucket/template.yaml", "description: A bucket\n"),
    (
        "action-templates/bucket/files/buckets/{{ inputs.name }}.yaml",
        "name: {{ inputs.name }}\nsize: {{ inputs.size }}\n",
    ),
];

/// What the owners of the target have there already: a workflow of two jobs, and what it runs.
const APPLY: &str = r#"name: apply
run-name: Apply ${{ inputs.name }} (${{ inputs.correlation }})
on:
  workflow_dispatch:
    inputs:
      name: { required: true, type: string }
      size: { required: true, type: string }
      correlation: { required: false, type: string }
permissions: {}
jobs:
  quota:
    runs-on: ubuntu-24.04
    outputs: { left: "${{ steps.quota.outputs.left }}" }
    steps:
      - id: quota
        env: { SIZE: "${{ inputs.size }}" }
        run: |
          echo "left=$((100 - SIZE))" >> "$GITHUB_OUTPUT"
          echo "asked for $SIZE of 100"
  make:
    needs: quota
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683
        with: { persist-credentials: false }
      - env: { NAME: "${{ inputs.name }}", LEFT: "${{ needs.quota.outputs.left }}" }
        run: sh ./make-bucket.sh "$NAME" "$LEFT"
"#;
const MAKE: &str = r#"echo "::link Console=https://console.acme.test/$1"
if [ "$2" -lt 0 ]; then
  echo "no room for $1: $2 left" >&2
  exit 3
fi
echo "::progress made, and $2 left"
echo "::output console=https://console.acme.test/$1/$2"
"#;

/// The company: its forge, what its administrators set up, and the form that people fill in.
struct Company {
    forge: TestForge,
    /// The forms of the catalog.
    forms: PathBuf,
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
        let of_target = ["--repository", CATALOG, "--target", TARGET, "--workflow", "apply"];
        printed(&chandlery(&[&["init", &path(&target)], &of_target[..]].concat()));
        fs::write(target.join(".github/workflows/apply.yml"), APPLY).unwrap();
        fs::write(target.join("make-bucket.sh"), MAKE).unwrap();
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
                "id": APP, "slug": "chandlery", "publicKey": public_key,
                "permissions": PERMISSIONS.into_iter().chain([("actions", "write")]).collect::<BTreeMap<_, _>>(),
                "installations": [{ "account": "acme", "repositories": ["catalog", "infrastructure"] }],
            }],
        });
        fs::write(folder.path().join("seed.yaml"), seed.to_string()).unwrap();
        let forms = catalog.join(".github/ISSUE_TEMPLATE");
        Self { forge: TestForge::seeded(name, folder), forms, key }
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

    /// What the issue says of somebody who filled in the form of an action.
    fn filled_in(&self, action: &str, name: &str, size: &str) -> String {
        filled_in(&self.forms.join(format!("{action}.yml")), &[("name", name), ("size", size)])
    }

    /// Two approve the request that is open, and it is merged.
    fn agrees(&self, runner: &mut Runner<'_>, hours: &mut usize) {
        let forge = &self.forge;
        let pull = wait(runner, hours, || open_pull(forge, CATALOG));
        let path = format!("/repos/{CATALOG}/pulls/{pull}");
        let merges = || forge.put("dan", &format!("{path}/merge"), json!({ "merge_method": "merge" }));
        merges().expect(405);
        for who in ["bo", "cleo"] {
            forge.post(who, &format!("{path}/reviews"), json!({ "event": "APPROVE" })).expect(200);
        }
        wait(runner, hours, || (merges().status == 200).then_some(()));
    }

    /// Until the issue is closed.
    fn sees_the_end(&self, runner: &mut Runner<'_>, hours: &mut usize, issue: u64) {
        wait(runner, hours, || {
            let issue = self.forge.get("dan", &format!("/repos/{CATALOG}/issues/{issue}"));
            (issue.text("/state") == "closed").then_some(())
        });
    }

    /// From the issue to the catalog, as fast as what has arrived allows.
    fn tells(&self, fates: &'static [Fate]) -> Told {
        let (forge, api) = (&self.forge, |path: &str| format!("/repos/{CATALOG}/{path}"));
        let mut runner = Runner::new(forge, &[CATALOG, TARGET], self.setup(), fates);
        let mut hours = 0;

        let body = |size| self.filled_in("create-bucket", "invoices", size);
        let filed = json!({ "title": "Please", "body": body("200") });
        let issue = forge.post("dan", &api("issues"), filed).expect(201).number("/number");
        // He looks at it once more while the first job runs already.
        for change in [json!({ "title": "A bucket for invoices" }), json!({ "body": body("20") })] {
            forge.patch("dan", &api(&format!("issues/{issue}")), change).expect(200);
        }
        self.agrees(&mut runner, &mut hours);

        let follow_up = wait(&mut runner, &mut hours, || open_pull(forge, TARGET));
        let merge = json!({ "merge_method": "merge" });
        forge.put("bo", &format!("/repos/{TARGET}/pulls/{follow_up}/merge"), merge).expect(200);
        self.sees_the_end(&mut runner, &mut hours, issue);
        self.told(runner, hours)
    }

    fn told(&self, runner: Runner<'_>, hours: usize) -> Told {
        let files = [CATALOG, TARGET].iter().flat_map(|repository| files(&self.forge, repository)).collect();
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
    /// How often which workflow was started by what, and how it ended.
    fn summary(&self) -> String {
        let mut counts = BTreeMap::<String, usize>::new();
        for Ran { workflow, event, by, outcome, .. } in &self.ran {
            *counts.entry(format!("{workflow}, {event} by {by}: {outcome:?}")).or_default() += 1;
        }
        counts.iter().map(|(what, count)| format!("{count} {what}\n")).collect()
    }

    /// How many `act` ran.
    fn acted(&self) -> usize {
        let ran = |one: &&Ran| matches!(one.outcome, Outcome::Success | Outcome::Failure);
        self.ran.iter().filter(ran).count()
    }

    fn of(&self, workflow: &str, outcome: Outcome) -> Vec<&Ran> {
        self.ran.iter().filter(|ran| ran.workflow == workflow && ran.outcome == outcome).collect()
    }

    /// What must be so however events fare.
    fn is_sound(&self, key: &str) {
        let summary = self.summary();
        let failed = |ran: &Ran| ran.outcome == Outcome::Failure && !ran.workflow.ends_with(" apply");
        assert!(!self.ran.iter().any(failed), "{:#?}", self.ran);

        let mut acting = self.of("acme/catalog chandlery", Outcome::Success);
        acting.sort_by_key(|ran| ran.began);
        assert!(acting.windows(2).all(|pair| pair[0].ended <= pair[1].began), "{acting:#?}");

        let ours: Vec<&Ran> = self
            .ran
            .iter()
            .filter(|ran| ran.workflow == "acme/catalog chandlery" && ran.by == "chandlery[bot]")
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
    // `act` is asked about everything, then lets it run.
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

/// What ran when the default branch had a merge queue.
const QUEUE_RUNS: &str = "\
1 acme/catalog chandlery, issues opened by dan: Success
1 acme/catalog chandlery, pull_request_target closed by -: Superseded
1 acme/catalog chandlery, pull_request_target opened by chandlery[bot]: Skipped
1 acme/catalog chandlery, push by -: Success
1 acme/catalog chandlery, workflow_run completed by -: Success
1 acme/catalog chandlery, workflow_run completed by bo: Success
1 acme/catalog chandlery, workflow_run completed by cleo: Success
1 acme/catalog chandlery-validate, merge_group checks_requested by -: Success
1 acme/catalog chandlery-validate, pull_request opened by chandlery[bot]: Success
1 acme/catalog chandlery-wake, merge_group checks_requested by -: Success
1 acme/catalog chandlery-wake, pull_request_review submitted by bo: Success
1 acme/catalog chandlery-wake, pull_request_review submitted by cleo: Success
";

/// A merge queue waits for what is required of the commits that it makes: by Chandlery, and by the workflow that validates.
#[test]
fn a_merge_queue_gets_its_checks_from_the_generated_workflows() {
    let company = Company::new("act-queue");
    let forge = &company.forge;
    let ruleset = json!({
        "name": "queue", "target": "branch", "enforcement": "active",
        "conditions": { "ref_name": { "include": ["~DEFAULT_BRANCH"], "exclude": [] } },
        "bypass_actors": [{ "actor_id": APP, "actor_type": "Integration", "bypass_mode": "always" }],
        "rules": [
            { "type": "merge_queue", "parameters": {
                "check_response_timeout_minutes": 60, "grouping_strategy": "ALLGREEN", "max_entries_to_build": 5,
                "max_entries_to_merge": 5, "merge_method": "MERGE", "min_entries_to_merge": 1, "min_entries_to_merge_wait_minutes": 0,
            }},
            { "type": "required_status_checks", "parameters": {
                "strict_required_status_checks_policy": false, "do_not_enforce_on_create": false,
                "required_status_checks": [{ "context": "chandlery", "integration_id": APP }, { "context": "Validate" }],
            }},
        ],
    });
    forge.post("ada", &format!("/repos/{CATALOG}/rulesets"), ruleset).expect(201);
    let mut runner = Runner::new(forge, &[CATALOG, TARGET], company.setup(), FAIR);
    let filed = json!({ "title": "Please", "body": company.filled_in("create-bucket", "invoices", "20") });
    forge.post("dan", &format!("/repos/{CATALOG}/issues"), filed).expect(201);
    runner.settle();
    let pull = open_pull(forge, CATALOG).unwrap();
    let path = format!("/repos/{CATALOG}/pulls/{pull}");
    for who in ["bo", "cleo"] {
        forge.post(who, &format!("{path}/reviews"), json!({ "event": "APPROVE" })).expect(200);
    }
    runner.settle();
    let id = forge.get("dan", &path).text("/node_id").to_owned();
    let put = format!(
        "mutation {{ enqueuePullRequest(input: {{ pullRequestId: \"{id}\" }}) {{ mergeQueueEntry {{ position }} }} }}"
    );
    let put = forge.graphql("dan", &put);
    assert!(put.get("errors").is_none(), "{put}");
    assert_eq!(forge.get("dan", &path).text("/state"), "open", "it waits for its checks");
    runner.settle();
    assert_eq!(forge.get("dan", &path).text("/state"), "closed");
    assert!(open_pull(forge, TARGET).is_some(), "it goes on");
    let told = company.told(runner, 0);
    told.is_sound(&company.key);
    assert_eq!(told.summary(), QUEUE_RUNS);
}

/// What ran for two requests whose step starts a workflow: one that ends well, and one that does not.
const STEP_RUNS: &str = "\
2 acme/catalog chandlery, issues closed by chandlery[bot]: Skipped
2 acme/catalog chandlery, issues opened by dan: Success
2 acme/catalog chandlery, pull_request_target closed by dan: Success
2 acme/catalog chandlery, pull_request_target opened by chandlery[bot]: Skipped
7 acme/catalog chandlery, push by chandlery[bot]: Skipped
2 acme/catalog chandlery, push by dan: Success
1 acme/catalog chandlery, schedule by -: Success
2 acme/catalog chandlery, workflow_run completed by bo: Success
2 acme/catalog chandlery, workflow_run completed by cleo: Success
2 acme/catalog chandlery, workflow_run completed by keeper: Success
2 acme/catalog chandlery-validate, pull_request opened by chandlery[bot]: Success
2 acme/catalog chandlery-wake, pull_request_review submitted by bo: Success
2 acme/catalog chandlery-wake, pull_request_review submitted by cleo: Success
2 acme/catalog chandlery-wake, workflow_dispatch by keeper: Success
1 acme/infrastructure apply, workflow_dispatch by chandlery[bot]: Failure
1 acme/infrastructure apply, workflow_dispatch by chandlery[bot]: Success
2 acme/infrastructure chandlery-wake, workflow_run completed by chandlery[bot]: Success
";

/// The acting workflow starts one of the target's, which runs there and tells by its end, its log and the target's own
/// `chandlery wake`, which wakes the acting one again.
#[test]
fn a_workflow_that_a_step_starts_runs_and_its_end_reaches_the_catalog() {
    let company = Company::new("act-step");
    let forge = &company.forge;
    let of =
        |repository: &str, path: &str| forge.get("ada", &format!("/repos/{repository}/{path}")).expect(200);
    let said = |number: u64| {
        let comments = of(CATALOG, &format!("issues/{number}/comments")).body;
        comments
            .as_array()
            .unwrap()
            .iter()
            .map(|comment| comment["body"].as_str().unwrap())
            .collect::<String>()
    };
    let mut runner = Runner::new(forge, &[CATALOG, TARGET], company.setup(), FAIR);
    let mut hours = 0;
    let mut asks = |runner: &mut Runner<'_>, name, size| {
        let filed = json!({ "title": "Please", "body": company.filled_in("apply-bucket", name, size) });
        let issue =
            forge.post("dan", &format!("/repos/{CATALOG}/issues"), filed).expect(201).number("/number");
        company.agrees(runner, &mut hours);
        runner.settle();
        // Its pull request is the next that happened there.
        (issue, issue + 1)
    };
    let (good, good_pull) = asks(&mut runner, "invoices", "20");
    let (bad, bad_pull) = asks(&mut runner, "archive", "120");
    assert_eq!(hours, 0, "events are enough");

    assert_eq!(of(CATALOG, &format!("issues/{good}")).text("/state_reason"), "completed");
    let comment = said(good_pull);
    for words in [
        "**Apply it** (workflow): done",
        "made, and 80 left",
        "[Console](https://console.acme.test/invoices)",
    ] {
        assert!(comment.contains(words), "{words} in {comment}");
    }
    // What failed waits for a word, and people read why where they asked.
    let comment = said(bad_pull);
    for words in ["(quota: success, make: failure)", "no room for archive: -20 left", "/retry"] {
        assert!(comment.contains(words), "{words} in {comment}");
    }
    let merge = of(CATALOG, &format!("pulls/{bad_pull}")).text("/merge_commit_sha").to_owned();
    let checks = of(CATALOG, &format!("commits/{merge}/check-runs"));
    assert_eq!(checks.text("/check_runs/0/conclusion"), "failure");
    let log = checks.text("/check_runs/0/output/text");
    assert!(log.contains("asked for 120 of 100\n") && log.contains("-20 left\n"), "{log}");

    // Nobody says anything for a day.
    forge.control("POST", "clock", json!({ "advance_seconds": 25 * 3600 })).expect(200);
    runner.schedule(CATALOG);
    assert_eq!(of(CATALOG, &format!("issues/{bad}")).text("/state_reason"), "not_planned");
    let comment = said(bad_pull);
    assert!(
        comment.contains("made: failed") && comment.contains("no room for archive: -20 left"),
        "{comment}"
    );

    let told = company.told(runner, hours);
    told.is_sound(&company.key);
    assert_eq!(told.summary(), STEP_RUNS);
    let made = &told.files["acme/catalog/entities/bucket/invoices.yaml"];
    assert!(made.contains("console: https://console.acme.test/invoices/80"), "{made}");
    assert!(!told.files.contains_key("acme/catalog/entities/bucket/archive.yaml"));
    let runs = of(TARGET, "actions/runs").body["workflow_runs"].take();
    let ends = runs.as_array().unwrap().iter().map(|run| {
        let jobs = of(TARGET, &format!("actions/runs/{}/jobs", run["id"])).body["jobs"].take();
        let ends = jobs.as_array().unwrap().iter().map(|job| job["conclusion"].as_str().unwrap().to_owned());
        (run["display_title"].as_str().unwrap().to_owned(), ends.collect::<Vec<_>>())
    });
    let quota = |end: &str| vec!["success".to_owned(), end.to_owned()];
    let expected = [(bad, "failure"), (good, "success")];
    for ((title, jobs), (issue, end)) in ends.zip(expected) {
        assert!(title.contains(&format!("issue-{issue}/apply/1")), "{title}");
        assert_eq!(jobs, quota(end));
    }
}
