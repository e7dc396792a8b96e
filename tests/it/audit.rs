//! Does `verify` find the commit that does not follow, and does `audit` tell what was done? On the history of a catalog on
//! the local forge, and on the same with one thing tampered with.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use chandlery::{domain::ObjectId, plan::plan_file::Plan};
use serde_json::Value;
use tempfile::TempDir;

use crate::world::{World, local::Local, reconcile};

/// What happens in the catalog: a new entity, one change by an action that needs no approval, one with what a workflow
/// gave, a request pushed past the door, a change by hand.
const STORY: &str = "
dan files create-bucket name=logs size=3
reconcile
bo approves catalog#2
dan merges catalog#2
reconcile
bo merges infra#1 squash
reconcile
dan files label-bucket of old label=blue
reconcile
dan files apply-bucket of old
reconcile
backend ends apply success url=https://acme.test
reconcile
ada proposes entities/bucket/old.yaml identifier: old\\nblueprint: bucket\\nproperties: { size: 2 }
ada merges catalog#7 squash
reconcile
ada smuggles quick create-bucket name=quick
everybody waits 300
reconcile
dan files label-bucket of logs label=green
reconcile
";

struct Base {
    _folder: TempDir,
    catalog: PathBuf,
    signers: PathBuf,
    stranger: PathBuf,
}

/// The history, made once.
fn base() -> &'static Base {
    static BASE: OnceLock<Base> = OnceLock::new();
    BASE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let [ours, stranger] = ["ours", "stranger"].map(|name| {
            let key = folder.path().join(name);
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
            assert!(made.unwrap().success());
            key
        });
        let public = std::fs::read_to_string(ours.with_extension("pub")).unwrap();
        let signers = folder.path().join("signers");
        std::fs::write(&signers, format!("chandlery@acme.test {public}")).unwrap();
        let mut world = Local::new();
        world.signing(&ours);
        tell(&mut world, STORY);
        let catalog = folder.path().join("catalog.git");
        run(Command::new("git").args(["clone", "-q", "--bare"]).arg(world.catalog()).arg(&catalog));
        Base { _folder: folder, catalog, signers, stranger }
    })
}

pub fn tell(world: &mut dyn World, story: &str) {
    for line in story.lines().filter(|line| !line.is_empty()) {
        match line {
            "reconcile" => {
                let report = reconcile(world);
                assert!(report.left.is_empty() && report.stopped.is_none(), "{report:#?}");
            }
            deed => assert!(world.deed(&deed.parse().unwrap()), "{deed}"),
        }
    }
}

fn run(command: &mut Command) -> String {
    let output = command
        .envs([("GIT_AUTHOR_NAME", "mallory"), ("GIT_COMMITTER_NAME", "mallory")])
        .envs([("GIT_AUTHOR_EMAIL", "m@acme.test"), ("GIT_COMMITTER_EMAIL", "m@acme.test")])
        .env("GIT_EDITOR", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A clone to tamper with.
struct Clone(TempDir);

impl Clone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("git").args(["clone", "-q"]).arg(&base().catalog).arg(folder.path()));
        Self(folder)
    }

    fn git(&self, words: &[&str]) -> String {
        run(Command::new("git").arg("-C").arg(self.0.path()).args(words))
    }

    /// The newest commit of which the first line of the message holds this.
    fn commit(&self, words: &str) -> String {
        let log = self.git(&["log", "--first-parent", "--format=%H %s"]);
        let found =
            log.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words} in {log}"));
        found.split(' ').next().unwrap().to_owned()
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    /// The folder of the request that an issue became.
    fn request(&self, issue: u64) -> String {
        let files = self.git(&["ls-files", "requests"]);
        let end = format!("/issue-{issue}/request.yaml");
        files.lines().find(|line| line.ends_with(&end)).unwrap().trim_end_matches("/request.yaml").to_owned()
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(self.path(path), text.replacen(from, to, 1)).unwrap();
        self.git(&["add", "--all"]);
    }

    fn write(&self, path: &str, text: &str) {
        std::fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        std::fs::write(self.path(path), text).unwrap();
        self.git(&["add", "--all"]);
    }

    fn verify(&self, words: &[&str]) -> (i32, Value) {
        let (code, text) = chandlery(self.0.path(), &[&["verify", "--format", "json"], words].concat());
        (code, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{code}: {text}")))
    }

    /// Verifies, and expects that this is what is found first, in this commit.
    fn is_found(&self, kind: &str, commit: &str, words: &[&str]) {
        let (code, said) = self.verify(words);
        assert_eq!(code, 1, "{said:#}");
        assert_eq!(said["first"], commit, "{said:#}");
        let findings = said["findings"].as_array().unwrap();
        let of_first = findings.iter().filter(|finding| finding["commit"] == commit);
        assert!(of_first.clone().any(|finding| finding["kind"] == kind), "{kind}: {said:#}");
    }
}

fn chandlery(folder: &Path, words: &[&str]) -> (i32, String) {
    let output =
        Command::new(env!("CARGO_BIN_EXE_chandlery")).args(words).current_dir(folder).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), said + &String::from_utf8_lossy(&output.stderr))
}

/// The kinds of faults that are found in the history of a repository.
pub fn faults(catalog: &Path) -> String {
    let (_, said) = chandlery(catalog, &["verify", "--format", "json"]);
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"));
    let findings = said["findings"].as_array().unwrap().iter();
    let faults = findings.filter(|finding| finding["weight"] == "error");
    let kinds: std::collections::BTreeSet<&str> =
        faults.map(|finding| finding["kind"].as_str().unwrap()).collect();
    kinds.into_iter().collect::<Vec<_>>().join(" ")
}

const HEAD: &[&str] = &["rev-parse", "HEAD"];

fn an_honest_history_follows_and_says_what_was_done_by_hand() {
    let clone = Clone::new();
    let signers = base().signers.to_str().unwrap();
    let (code, said) = clone.verify(&["--signer", signers]);
    assert_eq!((code, &said["follows"]), (0, &true.into()), "{said:#}");
    let kinds: Vec<&str> = said["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["changed-round-chandlery", "changed-round-chandlery", "denied"], "{said:#}");
    assert_eq!((&said["requests"], &said["ended"]), (&5.into(), &5.into()));
    // By hand is a fault for whoever says so; what came before the range is not looked at.
    assert_eq!(clone.verify(&["--strict"]).0, 1);
    let before = clone.commit("apply-bucket");
    assert_eq!(clone.verify(&["--strict", &format!("{before}..")]).0, 1);
    let after = clone.commit("denied");
    let (code, said) = clone.verify(&["--strict", &format!("{after}..")]);
    assert_eq!((code, said["commits"].as_u64()), (0, Some(2)), "{said:#}");
    let (code, text) = chandlery(clone.0.path(), &["verify"]);
    assert!(code == 0 && text.contains("not checked: signatures"), "{text}");
    assert!(text.contains("every commit follows from what was before it"), "{text}");
}

fn audit_tells_who_asked_who_approved_and_what_changed() {
    let clone = Clone::new();
    let audit = |words: &[&str]| {
        let (code, text) = chandlery(clone.0.path(), &[&["audit", "--format", "csv"], words].concat());
        assert_eq!(code, 0, "{text}");
        let rows = text.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            format!("{} {} {} {} {}", cells[3], cells[4], cells[5], cells[6], cells[7]).trim().to_owned()
        });
        rows.collect::<Vec<_>>()
    };
    assert_eq!(
        audit(&["--entity", "bucket/logs"]),
        ["label-bucket success dan  update bucket/logs", "create-bucket success dan bo create bucket/logs"]
    );
    let (code, text) = chandlery(clone.0.path(), &["audit", "--entity", "logs"]);
    assert!(code == 2 && text.contains("a blueprint and an identifier with `/` between them"), "{text}");
    assert_eq!(audit(&["--actor", "bo"]), ["create-bucket success dan bo create bucket/logs"]);
    let since = clone.commit("denied");
    assert_eq!(audit(&["--since", &since]), ["label-bucket success dan  update bucket/logs"]);
    assert_eq!(audit(&["--since", "2000-01-01"]).len(), 7);
    assert_eq!(audit(&["--since", "2100-01-01"]).len(), 0);
    let (code, text) = chandlery(clone.0.path(), &["audit", "--format", "json", "--entity", "bucket/logs"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told[1]["run"]["approvedBy"][0], &told[1]["kind"]), (0, &"bo".into(), &"run".into()));
    let (_, text) = chandlery(clone.0.path(), &["audit"]);
    assert!(text.contains("by hand") && text.contains("acme/infra#1"), "{text}");
    // A name obeys nobody's wishes about the terminal.
    clone.write("entities/bucket/odd.yaml", "identifier: odd\nblueprint: bucket\nproperties: { size: 1 }\n");
    clone.git(&["commit", "-q", "-m", "Odd", "--author", "a\u{1b}[31mb\u{202e}c <a@b>"]);
    for words in [&["audit"][..], &["audit", "--format", "csv"], &["verify"]] {
        let (_, text) = chandlery(clone.0.path(), words);
        assert!(text.contains("a\u{fffd}[31mb\u{fffd}c") && !text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    // What cannot be read is not left out.
    clone.edit(&format!("{}/run.yaml", clone.request(1)), "version: 2", "version: 9");
    clone.git(&["commit", "-q", "-m", "Mend it"]);
    let (code, text) = chandlery(clone.0.path(), &["audit", "--format", "json"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &told[0]["kind"]), (0, &"unreadable".into()), "{text}");
    assert!(told[0]["why"].as_str().unwrap().contains("newer than this program"), "{text}");
}

fn a_trailer_in_text_of_people_is_found() {
    let clone = Clone::new();
    let id = clone.request(1).trim_start_matches("requests/").to_owned();
    clone.edit("entities/bucket/old.yaml", "size: 2", "size: 9");
    let message = format!("Tidy\n\nChandlery-Run: {id} action=create-bucket@- plan=- by=dan approved=bo");
    clone.git(&["commit", "-q", "-m", &message]);
    clone.is_found("forged-trailer", &clone.git(HEAD), &[]);
}

fn a_record_that_was_edited_afterwards_is_found() {
    let clone = Clone::new();
    clone.edit(&format!("{}/run.yaml", clone.request(1)), "- bo", "- cleo");
    clone.git(&["commit", "-q", "-m", "Mend a name"]);
    clone.is_found("changed-afterwards", &clone.git(HEAD), &[]);
}

fn a_name_added_to_the_approvals_of_a_record_is_found() {
    let clone = Clone::new();
    clone.edit(&format!("{}/run.yaml", clone.request(8)), "approvedBy: []", "approvedBy:\n- bo");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("trailer-differs", &clone.git(HEAD), &[]);
}

fn a_record_with_its_trailer_removed_is_found() {
    let clone = Clone::new();
    clone.git(&["commit", "-q", "--amend", "-m", "Nothing to see"]);
    clone.is_found("missing-trailer", &clone.git(HEAD), &[]);
}

fn a_forged_record_that_agrees_with_itself_is_found_by_its_signature() {
    let clone = Clone::new();
    let signers = base().signers.to_str().unwrap().to_owned();
    clone.edit(&format!("{}/run.yaml", clone.request(8)), "approvedBy: []", "approvedBy:\n- bo");
    let message = clone.git(&["log", "-1", "--format=%B"]).replace("approved=-", "approved=bo");
    clone.git(&["commit", "-q", "--amend", "-m", &message]);
    assert_eq!(clone.verify(&[]).0, 0);
    clone.is_found("bad-signature", &clone.git(HEAD), &["--signer", &signers]);
    // Signed, but by somebody else.
    let key = format!("user.signingkey={}", base().stranger.display());
    clone.git(&["-c", "gpg.format=ssh", "-c", &key, "commit", "-q", "--amend", "-S", "--no-edit"]);
    clone.is_found("bad-signature", &clone.git(HEAD), &["--signer", &signers]);
}

fn an_entity_changed_by_hand_in_a_commit_of_ours_is_found() {
    let clone = Clone::new();
    clone.edit("entities/bucket/logs.yaml", "label: green", "label: red");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("entities-differ", &clone.git(HEAD), &[]);
}

fn another_commit_squashed_into_one_of_ours_is_found() {
    let clone = Clone::new();
    clone
        .write("entities/bucket/mine.yaml", "identifier: mine\nblueprint: bucket\nproperties: { size: 9 }\n");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("entities-differ", &clone.git(HEAD), &[]);
}

fn a_change_that_was_left_out_of_a_record_is_found() {
    let clone = Clone::new();
    clone.git(&["checkout", "-q", "HEAD~", "--", "entities/bucket/logs.yaml"]);
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("entities-differ", &clone.git(HEAD), &[]);
}

fn a_record_or_plan_that_went_away_is_found() {
    for file in ["run.yaml", "plan.yaml"] {
        let clone = Clone::new();
        clone.git(&["rm", "-q", &format!("{}/{file}", clone.request(1))]);
        clone.git(&["commit", "-q", "-m", "Tidy"]);
        clone.is_found("removed", &clone.git(HEAD), &[]);
    }
}

fn a_request_that_is_replayed_is_found() {
    let clone = Clone::new();
    let folder = clone.request(1);
    clone.git(&["rm", "-q", "-r", &folder]);
    clone.git(&["commit", "-q", "-m", "Tidy"]);
    let removed = clone.git(HEAD);
    clone.git(&["checkout", "-q", "HEAD~", "--", &folder]);
    clone.git(&["commit", "-q", "-m", "Back again"]);
    clone.is_found("removed", &removed, &[]);
    clone.is_found("replayed", &clone.git(HEAD), &[&format!("{removed}..")]);
}

/// Before the last record, so that it is on top of the last merge: the plan says something else than its key.
fn at_the_last_merge(clone: &Clone) -> String {
    clone.git(&["reset", "-q", "--hard", "HEAD~"]);
    let folder = clone.request(8);
    let brings = clone.git(&["log", "-1", "--format=%H", "--", &format!("{folder}/plan.yaml")]);
    assert_ne!(brings, "");
    folder
}

fn a_diff_that_was_edited_in_its_merge_is_found() {
    let clone = Clone::new();
    let folder = at_the_last_merge(&clone);
    clone.edit(&format!("{folder}/plan.diff"), "label: green", "label: red");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("diff-differs", &clone.git(HEAD), &[]);
}

/// Changes a plan, and makes its key anew.
fn forge(clone: &Clone, folder: &str, merges: bool, change: impl Fn(&str) -> String) {
    let path = clone.path(&format!("{folder}/plan.yaml"));
    let text = change(&std::fs::read_to_string(&path).unwrap());
    let mut plan: Plan = serde_yaml::from_str(&text).unwrap();
    let old = std::mem::take(&mut plan.key);
    plan.key = plan.key_of(merges);
    assert_ne!(plan.key, old);
    std::fs::write(&path, text.replace(&old, &plan.key)).unwrap();
}

fn a_plan_whose_key_was_made_anew_is_found_by_what_it_was_made_from() {
    let clone = Clone::new();
    let folder = at_the_last_merge(&clone);
    // Another effect, and the same effect of another request.
    forge(&clone, &folder, true, |text| text.replacen("label: green", "label: red", 1));
    clone.git(&["commit", "-q", "--amend", "--no-edit", "-a"]);
    clone.is_found("plan-differs", &clone.git(HEAD), &[]);
    forge(&clone, &folder, true, |text| text.replace("label: green", "label: red"));
    clone.edit(&format!("{folder}/plan.diff"), "label: green", "label: red");
    clone.git(&["commit", "-q", "--amend", "--no-edit", "-a"]);
    clone.is_found("plan-differs", &clone.git(HEAD), &[]);
    // However many commits it could have been made at.
    let (mut tip, before) = (clone.git(&["rev-parse", "HEAD~"]), clone.git(&["rev-parse", "HEAD~^{tree}"]));
    for _ in 0..60 {
        tip = clone.git(&["commit-tree", &before, "-p", &tip, "-m", "nothing"]);
    }
    let forged = clone.git(&["commit-tree", "HEAD^{tree}", "-p", &tip, "-m", "a merge"]);
    clone.git(&["reset", "-q", "--hard", &forged]);
    clone.is_found("plan-differs", &forged, &[]);
}

fn a_diff_of_a_target_that_was_edited_in_its_merge_is_found() {
    let clone = Clone::new();
    let folder = clone.request(1);
    let merge =
        clone.git(&["log", "-1", "--format=%H", "--first-parent", "--", &format!("{folder}/plan.yaml")]);
    clone.git(&["reset", "-q", "--hard", &merge]);
    clone.edit(&format!("{folder}/plan.diff"), "+size: 3", "+size: 4");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("diff-differs", &clone.git(HEAD), &[]);
    // With the blob of that, too, the template tells.
    let blob = |size: u8| {
        ObjectId::of_blob(format!("# Made by a request.\nname: logs\nsize: {size}\n").as_bytes()).to_string()
    };
    forge(&clone, &folder, false, |text| text.replace(&blob(3), &blob(4)));
    clone.git(&["commit", "-q", "--amend", "--no-edit", "-a"]);
    clone.is_found("plan-differs", &clone.git(HEAD), &[]);
}

fn a_plan_that_was_edited_in_its_merge_is_found() {
    let clone = Clone::new();
    let folder = at_the_last_merge(&clone);
    clone.edit(&format!("{folder}/plan.yaml"), "label: green", "label: red");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("plan-differs", &clone.git(HEAD), &[]);
}

fn a_plan_that_is_pinned_to_what_never_was_is_found() {
    let clone = Clone::new();
    let folder = at_the_last_merge(&clone);
    let plan = std::fs::read_to_string(clone.path(&format!("{folder}/plan.yaml"))).unwrap();
    let pin = plan.lines().find(|line| line.starts_with("  action: ") && line.len() > 45).unwrap().to_owned();
    clone.edit(&format!("{folder}/plan.yaml"), &pin, "  action: 0123456789012345678901234567890123456789");
    clone.git(&["commit", "-q", "--amend", "--no-edit"]);
    clone.is_found("pin-missing", &clone.git(HEAD), &[]);
}

fn a_plan_that_was_edited_after_its_merge_is_found() {
    let clone = Clone::new();
    clone.git(&["branch", "was"]);
    let folder = at_the_last_merge(&clone);
    clone.edit(&format!("{folder}/plan.diff"), "green", "red");
    clone.git(&["commit", "-q", "-m", "Mend the words"]);
    let edited = clone.git(HEAD);
    clone.git(&["cherry-pick", "was"]);
    clone.is_found("changed-afterwards", &edited, &[]);
}

fn a_record_of_what_nobody_asked_is_found() {
    let clone = Clone::new();
    let record = std::fs::read_to_string(clone.path(&format!("{}/run.yaml", clone.request(8)))).unwrap();
    clone.write("requests/made-up/run.yaml", &record);
    clone.git(&["commit", "-q", "-m", "Record"]);
    clone.is_found("no-request", &clone.git(HEAD), &[]);
    clone.is_found("record-differs", &clone.git(HEAD), &[]);
}

fn a_request_that_brings_entities_along_is_found() {
    let clone = Clone::new();
    clone.write("requests/more/request.yaml", "action: label-bucket\nentity: old\ninputs: { label: x }\n");
    clone
        .write("entities/bucket/mine.yaml", "identifier: mine\nblueprint: bucket\nproperties: { size: 9 }\n");
    clone.git(&["commit", "-q", "-m", "Please"]);
    clone.is_found("mixed-change", &clone.git(HEAD), &[]);
}

fn a_branch_that_was_forced_elsewhere_is_found_by_whoever_kept_a_commit() {
    let clone = Clone::new();
    let kept = clone.git(HEAD);
    clone.git(&["reset", "-q", "--hard", "HEAD~2"]);
    clone.write("README.md", "x");
    clone.git(&["commit", "-q", "-m", "Elsewhere"]);
    clone.is_found("history-rewritten", &kept, &[&format!("{kept}..HEAD")]);
    let shallow = tempfile::tempdir().unwrap();
    let url = format!("file://{}", base().catalog.display());
    run(Command::new("git").args(["clone", "-q", "--depth", "2", &url]).arg(shallow.path()));
    let (code, said) = chandlery(shallow.path(), &["verify"]);
    assert!(code == 3 && said.contains("git fetch --unshallow"), "{said}");
}

/// The page: every finding is there with its weight, and its commands run.
fn the_page_tells_the_truth() {
    use chandlery::plan::audit::{Kind, Weight};
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md");
    let page = std::fs::read_to_string(page).unwrap();
    for kind in Kind::ALL {
        let weight = match kind.weight() {
            Weight::Fault => "error",
            Weight::Hand => "by hand",
            Weight::Note => "note",
        };
        let row = format!("| `{}` | {weight} |", kind.name());
        assert!(page.contains(&row), "{row}");
    }
    let clone = Clone::new();
    let commands: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("    $ chandlery ")).collect();
    assert_eq!(commands.len(), 9);
    let request = clone.request(1);
    let request = request.strip_prefix("requests/").unwrap();
    let settings = tempfile::tempdir().unwrap();
    let block = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    std::fs::write(settings.path().join("chandlery.yaml"), block).unwrap();
    assert_eq!(chandlery(settings.path(), &["validate"]).0, 0);
    for line in commands {
        let line = line.replace("SIGNERS", base().signers.to_str().unwrap()).replace("REQUEST", request);
        let (code, said) = chandlery(clone.0.path(), &line.split(' ').collect::<Vec<_>>());
        assert_eq!(code, 0, "{line}: {said}");
    }
}

/// Over the forge, as whoever runs it: only an administrator, with a reason, and only what waits for it.
#[test]
fn an_administrator_breaks_the_glass_and_it_stands_out() {
    let mut world = Local::new();
    tell(
        &mut world,
        "
ada sets-mode released
dan files create-bucket name=logs size=3
dan files create-bucket name=data size=3
reconcile
ada merges catalog#3
reconcile
",
    );
    let id = |world: &Local, issue: u64| {
        let issue = world.get(crate::world::Repo::Catalog, &format!("issues/{issue}")).unwrap();
        let month = issue["created_at"].as_str().unwrap()[..7].replace('-', "/");
        format!("{month}/issue-{}", issue["number"])
    };
    let (merged, open) = (id(&world, 1), id(&world, 2));
    let (url, caches) = (world.url().to_owned(), world.folder().to_owned());
    let break_glass = move |who: &str, request: &str, reason: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_chandlery"))
            .args(["approve-break-glass", request, "--reason", reason])
            .args(["--repository", "acme/catalog", "--api-url", &format!("{url}/api/v3")])
            .args(["--git-url", &url])
            .env("CHANDLERY_TOKEN", format!("{who}-token"))
            .env("CHANDLERY_CACHE", caches.join(who))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().unwrap(), said + &String::from_utf8_lossy(&output.stderr))
    };
    for (who, request, reason, what) in [
        ("dan", &merged, "now", "is no administrator"),
        ("ada", &merged, "  ", "say why"),
        ("ada", &open, "now", "is not merged"),
    ] {
        let (code, said) = break_glass(who, request, reason);
        assert!(code == 3 && said.contains(what), "{said}");
    }
    tell(&mut world, "ada sets-mode observe");
    let (code, said) = break_glass("ada", &merged, "now");
    assert!(
        code == 3 && said.contains("carries nothing out while chandlery.yaml does not say `mode: on`"),
        "{said}"
    );
    tell(&mut world, "ada sets-mode released");
    let (code, said) = break_glass("ada", &merged, "the shop\nis down");
    assert!(code == 0 && said.contains("acme/catalog#3 as `ada`"), "{said}");
    tell(&mut world, "reconcile\nada merges infra#1\nreconcile");
    let comments = world.get(crate::world::Repo::Catalog, "issues/3/comments").unwrap().to_string();
    assert!(comments.contains("**BREAK-GLASS**") && comments.contains("the shop is down"), "{comments}");
    let follow_up = world.get(crate::world::Repo::Infra, "pulls/1").unwrap().to_string();
    assert!(follow_up.contains("**BREAK-GLASS**") && follow_up.contains("(asked by `dan`)"), "{follow_up}");
    let (_, table) = chandlery(&world.catalog(), &["audit"]);
    assert!(table.contains("BREAK-GLASS by ada"), "{table}");
    let (code, said) = chandlery(&world.catalog(), &["verify"]);
    assert!(code == 0 && said.contains("note[break-glass]") && said.contains("the shop is down"), "{said}");
    let log =
        run(Command::new("git").arg("-C").arg(world.catalog()).args(["log", "-1", "--format=%B", "main"]));
    assert!(log.contains("approved=- break-glass=ada"), "{log}");
}

/// One history for all of them: each is about one thing that was tampered with, or none.
#[test]
fn verify_and_audit_tell_what_happened() {
    for case in [
        the_page_tells_the_truth,
        an_honest_history_follows_and_says_what_was_done_by_hand,
        audit_tells_who_asked_who_approved_and_what_changed,
        a_trailer_in_text_of_people_is_found,
        a_record_that_was_edited_afterwards_is_found,
        a_name_added_to_the_approvals_of_a_record_is_found,
        a_record_with_its_trailer_removed_is_found,
        a_forged_record_that_agrees_with_itself_is_found_by_its_signature,
        an_entity_changed_by_hand_in_a_commit_of_ours_is_found,
        another_commit_squashed_into_one_of_ours_is_found,
        a_change_that_was_left_out_of_a_record_is_found,
        a_record_or_plan_that_went_away_is_found,
        a_request_that_is_replayed_is_found,
        a_plan_that_was_edited_in_its_merge_is_found,
        a_diff_that_was_edited_in_its_merge_is_found,
        a_diff_of_a_target_that_was_edited_in_its_merge_is_found,
        a_plan_whose_key_was_made_anew_is_found_by_what_it_was_made_from,
        a_plan_that_is_pinned_to_what_never_was_is_found,
        a_plan_that_was_edited_after_its_merge_is_found,
        a_record_of_what_nobody_asked_is_found,
        a_request_that_brings_entities_along_is_found,
        a_branch_that_was_forced_elsewhere_is_found_by_whoever_kept_a_commit,
    ] {
        case();
    }
}
