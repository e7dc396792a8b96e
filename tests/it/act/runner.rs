//! What does GitHub do with the workflows of a repository when something happens in it?
//!
//! The runner hears of it by signed webhooks, takes the workflows from the commit that GitHub would take them from, and
//! hands the event to `act`. Expressions, steps, the composite action, secrets and variables are `act`'s business. What it
//! leaves out is done here, as GitHub's documentation has it:
//! - `on:` with its types and branches, and `workflow_run` after a workflow has ended;
//! - on the commit of a pull request or of a merge queue each job is a check, which may be required (here a status);
//! - a run that somebody starts over the API waits at the forge until it is taken, and the forge hears what became of it, with
//!   its jobs and their logs;
//! - in a concurrency group one job runs and one waits, and a newer one takes the place of the one that waits; a job whose
//!   `if` says no takes nobody's place;
//! - what an environment keeps reaches its jobs only, and only on the default branch;
//! - every job begins on a machine with nothing on it.
//!
//! What a job does with its GITHUB_TOKEN starts nothing on GitHub. The generated jobs that act are given none, here neither,
//! so there is nothing to hold back; what the App does starts workflows as everybody's deeds do.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    forge_helper::{TestForge, git},
    hook::{self, Delivery},
};

const DEFAULT_BRANCH: &str = "refs/heads/main";
const FOLDER: &str = ".github/workflows";
/// The events that the generated workflows start on, as webhooks know them.
const TOLD: [&str; 5] = ["issues", "merge_group", "pull_request", "pull_request_review", "push"];
/// A repository where nothing happens but that somebody rings.
const BELL: &str = "acme/bell";
/// What every shell of a job does at its end: `act` loses what was said right before.
const LINGER: &str = "trap 'sleep 0.2' EXIT\n";
/// How long the forge may take to deliver what it has.
const PATIENCE: Duration = Duration::from_secs(20);

/// How a delivery fares on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Once,
    Lost,
    Twice,
    /// After those that came later.
    Late,
}

/// What the administrators of a repository keep for a job.
#[derive(Debug, Clone, Default)]
pub(super) struct Environment {
    pub(super) secrets: Vec<(&'static str, String)>,
    pub(super) variables: Vec<(&'static str, String)>,
}

/// What every job needs to know.
pub(super) struct Setup {
    /// `OWNER/NAME@COMMIT`, and the folder that is found there.
    pub(super) action: (String, PathBuf),
    /// By repository and name.
    pub(super) environments: BTreeMap<(String, String), Environment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The job's `if` said no.
    Skipped,
    /// A newer one took its place before it began.
    Superseded,
    Success,
    Failure,
}

/// What ran and came to its end.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) workflow: String,
    pub(super) event: String,
    pub(super) by: String,
    pub(super) outcome: Outcome,
    pub(super) began: Instant,
    pub(super) ended: Instant,
    /// All that `act` printed.
    pub(super) output: String,
}

/// A workflow that may run.
struct Run {
    repository: String,
    /// The file's name.
    file: String,
    workflow: Value,
    event: Delivery,
    reference: String,
    checkout: Arc<TempDir>,
}

pub(super) struct Runner<'a> {
    forge: &'a TestForge,
    repositories: Vec<String>,
    setup: Setup,
    heard: Receiver<Delivery>,
    fates: &'static [Fate],
    /// How many were heard, the bell's aside.
    deliveries: usize,
    /// Where a run says that it has ended, and where that is heard.
    tells: Sender<(Run, Ran)>,
    ends: Receiver<(Run, Ran)>,
    running: usize,
    /// By concurrency group: whether one runs, and the one that waits.
    groups: BTreeMap<String, (bool, Option<Run>)>,
    pub(super) ran: Vec<Ran>,
    /// How often `act` had to judge whether any job may run.
    pub(super) asked: usize,
}

impl<'a> Runner<'a> {
    /// Listens to these repositories from now on.
    pub(super) fn new(
        forge: &'a TestForge,
        repositories: &[&str],
        setup: Setup,
        fates: &'static [Fate],
    ) -> Self {
        let (url, heard) = hook::listen();
        let config = json!({ "url": url, "content_type": "json", "secret": hook::SECRET });
        for repository in repositories.iter().chain([&BELL]) {
            let hook = json!({ "name": "web", "events": TOLD, "config": config });
            forge.post("ada", &format!("/repos/{repository}/hooks"), hook).expect(201);
        }
        let (ran, groups) = (Vec::new(), BTreeMap::new());
        let (tells, ends) = channel();
        let repositories = repositories.iter().map(|&name| name.to_owned()).collect();
        let (deliveries, running, asked) = (0, 0, 0);
        Self {
            forge,
            repositories,
            setup,
            heard,
            fates,
            deliveries,
            tells,
            ends,
            running,
            groups,
            ran,
            asked,
        }
    }

    /// Lets everything follow from what happened, until nothing runs and nothing waits.
    pub(super) fn settle(&mut self) {
        let mut free = None;
        loop {
            // What came while something ran finds its group taken, as it did when it came.
            for event in self.hear().into_iter().chain(self.take()) {
                self.start(&event);
            }
            if let Some(group) = free.take() {
                let (busy, waits) = self.groups.entry(group).or_default();
                *busy = false;
                if let Some(run) = waits.take() {
                    self.enter(run);
                }
            }
            if self.running == 0 {
                return;
            }
            let (run, ran) = self.ends.recv().unwrap();
            self.running -= 1;
            free = run.group();
            self.ended(&run, ran);
        }
    }

    /// The hour is over.
    pub(super) fn schedule(&mut self, repository: &str) {
        let payload = json!({ "schedule": "23 * * * *", "repository": { "full_name": repository } });
        self.start(&Delivery { event: "schedule".to_owned(), payload, signed: true });
        self.settle();
    }

    /// What came since, as it fared. The forge delivers one after another, so what happened before the bell rang has
    /// come when the bell is heard.
    fn hear(&mut self) -> Vec<Delivery> {
        self.forge.post("ada", &format!("/repos/{BELL}/issues"), json!({ "title": "ring" })).expect(201);
        let (mut events, mut late) = (Vec::new(), Vec::new());
        loop {
            let event = self.heard.recv_timeout(PATIENCE).expect("the bell is heard");
            assert!(event.signed, "{event:?}");
            if event.repository() == BELL {
                events.append(&mut late);
                return events;
            }
            let fate = self.fates[self.deliveries % self.fates.len()];
            self.deliveries += 1;
            match fate {
                Fate::Once => events.push(event),
                Fate::Lost => {}
                Fate::Twice => events.extend([event.clone(), event]),
                Fate::Late => late.push(event),
            }
        }
    }

    /// Takes the runs that wait at the forge since somebody started them there, oldest first.
    fn take(&self) -> Vec<Delivery> {
        let mut taken = Vec::new();
        for repository in &self.repositories {
            let path = format!("/repos/{repository}/actions/runs?status=queued");
            let waits = self.forge.get("ada", &path).expect(200).body["workflow_runs"].take();
            for run in waits.as_array().unwrap().iter().rev() {
                let begins = json!({ "repository": repository, "run": run["id"], "status": "in_progress" });
                let begun = self.forge.control("POST", "runs", begins).expect(200);
                let payload = json!({
                    "ref": format!("refs/heads/{}", run["head_branch"].as_str().unwrap()), "workflow": run["path"],
                    "inputs": begun.body["inputs"], "repository": run["repository"], "sender": run["actor"], "run": run["id"],
                });
                taken.push(Delivery { event: "workflow_dispatch".to_owned(), payload, signed: true });
            }
        }
        taken
    }

    /// Starts every workflow that this event starts.
    fn start(&mut self, event: &Delivery) {
        let repository = event.repository().to_owned();
        for (name, reference) in event.workflows() {
            let Some(checkout) = self.check_out(&repository, &reference) else { continue };
            let event = Delivery { event: name.to_owned(), ..event.clone() };
            let mut files: Vec<PathBuf> = fs::read_dir(checkout.path().join(FOLDER))
                .map(|entries| entries.map(|entry| entry.unwrap().path()).collect())
                .unwrap_or_default();
            files.sort();
            for path in files {
                let file = path.file_name().unwrap().to_string_lossy().into_owned();
                let workflow: Value = serde_yaml::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
                if !event.starts(&file, &workflow) {
                    continue;
                }
                let run = Run {
                    repository: repository.clone(),
                    file,
                    workflow,
                    event: event.clone(),
                    reference: reference.clone(),
                    checkout: Arc::clone(&checkout),
                };
                if self.is_let(&run) {
                    self.enter(run);
                } else {
                    self.never_ran(&run, Outcome::Skipped);
                }
            }
        }
    }

    /// A commit in a folder of its own; none when it is not there any more.
    fn check_out(&self, repository: &str, reference: &str) -> Option<Arc<TempDir>> {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("{}/{repository}.git", self.forge.url);
        assert!(git(folder.path(), &["init", "--quiet"]).0);
        let (fetched, _) = git(folder.path(), &["fetch", "--quiet", "--depth", "1", &url, reference]);
        if !fetched {
            return None;
        }
        assert!(git(folder.path(), &["checkout", "--quiet", "FETCH_HEAD"]).0);
        Some(Arc::new(folder))
    }

    /// Whether any job's `if` lets it run. `act` is the judge: it gets the workflow with nothing to do in it.
    fn is_let(&mut self, run: &Run) -> bool {
        self.asked += 1;
        let mut workflow = run.workflow.clone();
        for job in workflow["jobs"].as_object_mut().unwrap().values_mut() {
            job["steps"] = json!([{ "run": ":" }]);
        }
        let machine = tempfile::tempdir().unwrap();
        let file = machine.path().join("asked.yml");
        fs::write(&file, workflow.to_string()).unwrap();
        let output =
            run.act(&file, machine.path(), &self.setup.action, &self.forge.url, &Environment::default());
        let text = text(&output);
        assert!(output.status.success(), "{text}");
        !jobs(&text).is_empty()
    }

    /// Lets it run, or wait for its turn.
    fn enter(&mut self, run: Run) {
        let Some(group) = run.group() else { return self.run(run) };
        let (busy, waits) = self.groups.entry(group).or_default();
        if *busy {
            if let Some(older) = waits.replace(run) {
                self.never_ran(&older, Outcome::Superseded);
            }
            return;
        }
        *busy = true;
        self.run(run);
    }

    fn run(&mut self, run: Run) {
        let environment = run.said_by_its_job("environment").as_str().map(|name| {
            assert_eq!(run.reference, DEFAULT_BRANCH, "`{name}` is for the default branch");
            self.setup.environments[&(run.repository.clone(), name.to_owned())].clone()
        });
        let (action, url) = (self.setup.action.clone(), self.forge.url.clone());
        let tells = self.tells.clone();
        self.running += 1;
        std::thread::spawn(move || {
            let machine = tempfile::tempdir().unwrap();
            let file = run.checkout.path().join(FOLDER).join(&run.file);
            let began = Instant::now();
            let output = run.act(&file, machine.path(), &action, &url, &environment.unwrap_or_default());
            let text = text(&output);
            let jobs = jobs(&text);
            let is_good = !jobs.is_empty() && jobs.iter().all(|job| job["conclusion"] == "success");
            let outcome =
                if output.status.success() && is_good { Outcome::Success } else { Outcome::Failure };
            let ran = Ran { began, output: text, ..run.ran(outcome) };
            drop(tells.send((run, ran)));
        });
    }

    fn never_ran(&mut self, run: &Run, outcome: Outcome) {
        self.ended(run, run.ran(outcome));
    }

    /// The forge hears of it, if it is the forge's; and other workflows may wait for that.
    fn ended(&mut self, run: &Run, ran: Ran) {
        let Delivery { event, payload, .. } = &run.event;
        let tried = match event.as_str() {
            "pull_request" => payload["pull_request"]["head"]["sha"].as_str(),
            "merge_group" => payload["merge_group"]["head_sha"].as_str(),
            _ => None,
        };
        for job in tried.iter().flat_map(|_| jobs(&ran.output)) {
            let known = &run.workflow["jobs"][job["name"].as_str().unwrap()]["name"];
            let context = known.as_str().or(job["name"].as_str());
            let state = if job["conclusion"] == "success" { "success" } else { "failure" };
            let path = format!("/repos/{}/statuses/{}", run.repository, tried.unwrap_or_default());
            self.forge.post("ada", &path, json!({ "context": context, "state": state })).expect(201);
        }
        if !payload["run"].is_null() {
            let conclusion = match ran.outcome {
                Outcome::Skipped => "skipped",
                Outcome::Superseded => "cancelled",
                Outcome::Success => "success",
                Outcome::Failure => "failure",
            };
            let end = json!({
                "repository": run.repository, "run": payload["run"], "conclusion": conclusion, "jobs": jobs(&ran.output),
            });
            self.forge.control("POST", "runs", end).expect(200);
        }
        self.ran.push(ran);
        let payload = json!({
            "action": "completed", "workflow_run": { "name": run.workflow["name"], "event": event },
            "repository": payload["repository"], "sender": payload["sender"],
        });
        self.start(&Delivery { event: "workflow_run".to_owned(), payload, signed: true });
    }
}

impl Delivery {
    fn repository(&self) -> &str {
        self.word("/repository/full_name")
    }

    /// What it is called in workflows, and where these are read.
    /// <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows>
    fn workflows(&self) -> Vec<(&'static str, String)> {
        let main = || DEFAULT_BRANCH.to_owned();
        let of_pull = || format!("refs/pull/{}/head", self.payload["pull_request"]["number"]);
        match self.event.as_str() {
            "issues" => vec![("issues", main())],
            "pull_request" => vec![("pull_request", of_pull()), ("pull_request_target", main())],
            "pull_request_review" => vec![("pull_request_review", of_pull())],
            "merge_group" if self.word("/action") == "checks_requested" => {
                vec![("merge_group", self.word("/merge_group/head_ref").to_owned())]
            }
            "merge_group" => Vec::new(),
            "push" if self.payload["deleted"] == true => Vec::new(),
            "push" => vec![("push", self.word("/ref").to_owned())],
            "workflow_dispatch" => vec![("workflow_dispatch", self.word("/ref").to_owned())],
            "workflow_run" => vec![("workflow_run", main())],
            "schedule" => vec![("schedule", main())],
            other => panic!("nothing is known of the event `{other}`"),
        }
    }

    /// Whether a workflow wants to hear of this.
    fn starts(&self, file: &str, workflow: &Value) -> bool {
        let filter = &workflow["on"][&self.event];
        if !workflow["on"].as_object().unwrap().contains_key(&self.event) {
            return false;
        }
        let among = |field: &str, word: &str| {
            filter[field].as_array().is_none_or(|list| list.iter().any(|known| known == word))
        };
        let action = self.word("/action");
        let type_fits = match (filter["types"].is_null(), self.event.as_str()) {
            (true, "pull_request" | "pull_request_target") => {
                ["opened", "synchronize", "reopened"].contains(&action)
            }
            _ => among("types", action),
        };
        type_fits
            && among("branches", self.word("/ref").trim_start_matches("refs/heads/"))
            && among("workflows", self.word("/workflow_run/name"))
            // Who starts one by hand says which.
            && (self.event != "workflow_dispatch" || self.word("/workflow") == format!("{FOLDER}/{file}"))
    }
}

impl Run {
    /// What its only job says of something that only workflows of one job may have here.
    fn said_by_its_job(&self, what: &str) -> &Value {
        let jobs = self.workflow["jobs"].as_object().unwrap();
        let said = jobs.values().map(|job| &job[what]).find(|said| !said.is_null());
        assert!(said.is_none() || jobs.len() == 1, "`{what}` in {} jobs", jobs.len());
        said.unwrap_or(&Value::Null)
    }

    /// Its concurrency group, which is the repository's own.
    fn group(&self) -> Option<String> {
        let concurrency = self.said_by_its_job("concurrency");
        let name = concurrency["group"].as_str()?;
        assert!(!name.contains("${{") && concurrency["cancel-in-progress"] == false, "{concurrency}");
        Some(format!("{} {name}", self.repository))
    }

    /// It ended just now, without anything printed.
    fn ran(&self, outcome: Outcome) -> Ran {
        let (now, action) = (Instant::now(), self.event.word("/action"));
        Ran {
            workflow: format!("{} {}", self.repository, self.file.trim_end_matches(".yml")),
            event: format!("{} {action}", self.event.event).trim_end_matches(" -").to_owned(),
            by: self.event.word("/sender/login").to_owned(),
            outcome,
            began: now,
            ended: now,
            output: String::new(),
        }
    }

    /// Lets `act` do what a workflow in a file says, on a machine of its own.
    fn act(
        &self,
        file: &Path,
        machine: &Path,
        (name, folder): &(String, PathBuf),
        url: &str,
        given: &Environment,
    ) -> Output {
        let write = |name: &str, text: String| {
            let path = machine.join(name);
            fs::write(&path, text).unwrap();
            path
        };
        let lines = |pairs: &[(&str, String)]| {
            // As `act` reads it back: in quotes, a line's end as \n.
            pairs.iter().map(|(name, value)| format!("{name}=\"{}\"\n", value.replace('\n', "\\n"))).collect()
        };
        let owner = self.repository.split('/').next().unwrap();
        let known = [
            ("GITHUB_REPOSITORY", self.repository.clone()),
            ("GITHUB_REPOSITORY_OWNER", owner.to_owned()),
            ("GITHUB_SERVER_URL", url.to_owned()),
            ("GITHUB_API_URL", format!("{url}/api/v3")),
            ("GITHUB_GRAPHQL_URL", format!("{url}/api/graphql")),
            ("BASH_ENV", write("linger", LINGER.to_owned()).display().to_string()),
        ];
        Command::new("act")
            .arg(&self.event.event)
            .args(["--json", "--platform", "ubuntu-24.04=-self-hosted"])
            .args(["--no-cache-server", "--action-offline-mode", "--pull=false"])
            .args(["--local-repository", &format!("{name}={}", folder.display())])
            .args(["--actor", self.event.word("/sender/login")])
            .arg("--directory")
            .arg(self.checkout.path())
            .arg("--workflows")
            .arg(file)
            .arg("--eventpath")
            .arg(write("event.json", self.event.payload.to_string()))
            .arg("--env-file")
            .arg(write("known", lines(&known)))
            .arg("--secret-file")
            .arg(write("secrets", lines(&given.secrets)))
            .arg("--var-file")
            .arg(write("variables", lines(&given.variables)))
            .arg("--input-file")
            .arg(write("inputs", String::new()))
            .current_dir(machine)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", machine)
            .env("TMPDIR", machine)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("`act` cannot be run: {error}; `make tools` fetches it"))
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// What `act` says of each job that its `if` let run, as the forge is told: how it ended, and its log in GitHub's form.
fn jobs(output: &str) -> Vec<Value> {
    let mut jobs = Vec::<Value>::new();
    for line in output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(name) = line["jobID"].as_str() else { continue };
        let at = jobs.iter().position(|job| job["name"] == name).unwrap_or_else(|| {
            jobs.push(json!({ "name": name, "log": "" }));
            jobs.len() - 1
        });
        if line["raw_output"] == true || line["level"] == "error" {
            let said = line["msg"].as_str().unwrap().trim_end();
            let log =
                format!("{}{} {said}\n", jobs[at]["log"].as_str().unwrap(), line["time"].as_str().unwrap());
            jobs[at]["log"] = log.into();
        }
        if let Some(result) = line["jobResult"].as_str() {
            jobs[at]["conclusion"] = result.into();
        }
    }
    jobs.retain(|job| !job["conclusion"].is_null());
    jobs
}
