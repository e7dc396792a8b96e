//! A world in which stories happen: people do deeds, a reconciler looks and acts.
//!
//! Two implementations: `simulated` (persistent data, for thousands of histories) and `local` (the
//! local forge over HTTP and real Git). Both must print the same view for the same story.

pub mod backends;
pub mod deeds;
pub mod fixture;

pub mod simulated;
pub mod local;
pub mod large;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chandlery::{
    domain::{Execute, Known, PullState, RepoName, RepoPath, RequestId},
    plan::{
        facts::{Answer, Question},
        step::{Act, Acted},
    },
    reconcile::{Input, Output, Report, Turn},
};

/// A world.
pub trait World {
    /// Answers as the product's looker would.
    fn ask(&mut self, questions: &std::collections::BTreeSet<Question>) -> Vec<(Question, Answer)>;
    /// Carries out an act.
    fn act(&mut self, act: &Act) -> Acted;
    /// Somebody does something; false when the forge refuses.
    fn deed(&mut self, deed: &Deed) -> bool;
    /// What follows is another process's doing: one that finds what was kept, or, as on a new machine, nothing.
    fn begin_anew(&mut self, _finds_what_was_kept: bool) {}
    /// Whether passes hold each decision against one that begins anew.
    fn is_doubted(&self) -> bool {
        false
    }
}

/// What people do. Numbers are those of the forge; `repository` is `catalog` or `infra`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Deed {
    /// Files an issue with the form of an action; `entity` goes into its field, answers are by heading.
    File {
        who: String,
        ask: Ask,
    },
    /// Rewrites the text of an issue.
    EditIssue {
        who: String,
        issue: u64,
        ask: Ask,
    },
    /// Writes something into the issue that is no form.
    SpoilIssue {
        who: String,
        issue: u64,
    },
    CloseIssue {
        who: String,
        issue: u64,
    },
    LockIssue {
        who: String,
        issue: u64,
    },
    /// Opens a pull request with one request file.
    Ask {
        who: String,
        id: String,
        ask: Ask,
    },
    /// Opens a pull request with one request file from a fork of their own.
    Offer {
        who: String,
        id: String,
        ask: Ask,
    },
    /// Opens another pull request of the very commit that one has, from a branch of its own.
    Repeat {
        who: String,
        pull: u64,
    },
    /// Opens a pull request that asks nothing: a file of the catalog says something else, or there is a new policy.
    Propose {
        who: String,
        path: String,
        text: String,
    },
    /// The platform team sets the mode of the catalog: `on`, `observe` or `off`; or on, with records `by-pull` or
    /// commits `by-api`.
    Mode {
        mode: String,
    },
    /// From now on merges go through a queue, for all but administrators and our App.
    Queue {
        at: Repo,
    },
    /// Pushes another request file to a pull request's branch.
    Push {
        who: String,
        pull: u64,
        ask: Ask,
    },
    /// Pushes other bytes for a file of the request: `plan.diff`, `plan.yaml`, `run.yaml`.
    Tamper {
        who: String,
        pull: u64,
        file: String,
    },
    /// Moves the branch back to its first commit, by force.
    Rewind {
        who: String,
        pull: u64,
    },
    /// Merges the base into the branch, as the button does.
    UpdateBranch {
        who: String,
        pull: u64,
    },
    Approve {
        who: String,
        at: (Repo, u64),
    },
    RequestChanges {
        who: String,
        at: (Repo, u64),
    },
    Remark {
        who: String,
        at: (Repo, u64),
    },
    /// Writes a comment.
    Say {
        who: String,
        at: (Repo, u64),
        text: String,
    },
    /// Edits the last command that they wrote.
    Unsay {
        who: String,
        at: (Repo, u64),
    },
    /// Dismisses the last review of somebody.
    Dismiss {
        who: String,
        at: (Repo, u64),
        whose: String,
    },
    Merge {
        who: String,
        at: (Repo, u64),
        how: How,
    },
    Close {
        who: String,
        at: (Repo, u64),
    },
    Reopen {
        who: String,
        at: (Repo, u64),
    },
    /// Has a pull request ask to change another branch, which is made where it is not there.
    Retarget {
        who: String,
        at: (Repo, u64),
        branch: String,
    },
    /// Gives the branch of an open pull request another name.
    RenameBranch {
        who: String,
        at: (Repo, u64),
        name: String,
    },
    /// Says that a draft is ready for review.
    Ready {
        who: String,
        at: (Repo, u64),
    },
    /// Pushes a request straight to the default branch.
    Smuggle {
        who: String,
        id: String,
        ask: Ask,
    },
    /// Restores a file of a request on the default branch, or removes all of it.
    Remove {
        who: String,
        id: String,
    },
    /// Somebody becomes a member of the team `platform`, or ceases to be.
    Join {
        who: String,
    },
    Leave {
        who: String,
    },
    /// The platform team changes the title that `create-bucket` gives its pull requests.
    ChangeAction,
    /// The platform team writes a file of the catalog, or removes it where nothing is to stand in it.
    Write {
        path: String,
        text: String,
    },
    /// Somebody commits to the target: a file of their own, or other bytes where a request wants to write.
    ChangeTarget {
        path: String,
        text: String,
    },
    /// Somebody pushes to the branch of a follow-up.
    Meddle {
        who: String,
        at: u64,
    },
    /// The server says what it will answer next.
    Answers {
        status: u16,
        json: String,
    },
    /// The newest run of a workflow ends, having given these outputs.
    Ends {
        workflow: String,
        conclusion: String,
        outputs: Vec<(String, String)>,
    },
    /// Somebody's program sets a status on the head of a pull request: `pending`, `success` or `failure`.
    Checks {
        who: String,
        at: (Repo, u64),
        context: String,
        state: String,
    },
    /// The next workflow is started, and nobody hears of it.
    Loses,
    /// A backend reports how a step of a request stands, in a comment.
    Reports {
        who: String,
        at: (Repo, u64),
        step: String,
        success: bool,
        outputs: Vec<(String, String)>,
    },
    /// Time passes, in seconds.
    Wait {
        seconds: i64,
    },
}

/// A filled-in request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ask {
    pub action: String,
    pub entity: Option<String>,
    pub inputs: BTreeMap<String, String>,
}

impl Ask {
    /// The bytes of `request.yaml`.
    pub fn file(&self) -> String {
        let mut text = format!("action: {}\n", self.action);
        if let Some(entity) = &self.entity {
            let _ = writeln!(text, "entity: {entity}");
        }
        text.push_str("inputs:\n");
        if self.inputs.is_empty() {
            text = text.replace("inputs:\n", "inputs: {}\n");
        }
        for (name, value) in &self.inputs {
            let _ = writeln!(text, "  {name}: {value}");
        }
        text
    }

    /// The text that the forge makes of the filled-in form.
    pub fn issue(&self, definitions: &chandlery::catalog::Definitions) -> String {
        let Some(action) = self.action.parse().ok().and_then(|id| definitions.actions.get(&id)) else {
            return "What is this?".into();
        };
        let hash = chandlery::intake::issue_form::hash(&action.value);
        let mut text = format!("### Action\n\n{} (form {hash})\n\n", self.action);
        if let Some(entity) = &self.entity {
            let _ = write!(text, "### Entity\n\n{entity}\n\n");
        }
        for (name, input) in &action.value.inputs {
            let value = self.inputs.get(name).map_or("_No response_", String::as_str);
            let heading = input.title.as_deref().unwrap_or(name);
            let _ = write!(text, "### {heading}\n\n{value}\n\n");
        }
        if matches!(&action.value.execute, Execute::Named(askers) if askers.on_behalf.is_some()) {
            let value = self.inputs.get("onBehalfOf").map_or("_No response_", String::as_str);
            let _ = write!(text, "### On behalf of\n\n{value}\n\n");
        }
        text.push_str("### Reason\n\n_No response_\n");
        text
    }
}

/// One of the repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Repo {
    Catalog,
    Infra,
    /// Empty at first.
    Fresh,
}

impl Repo {
    pub fn name(self) -> RepoName {
        match self {
            Self::Catalog => fixture::CATALOG,
            Self::Infra => fixture::INFRA,
            Self::Fresh => fixture::FRESH,
        }
        .parse()
        .unwrap()
    }
}

/// How a pull request is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum How {
    Merge,
    Squash,
    Rebase,
    /// It is put into the merge queue, which merges it under its own name.
    Queue,
}

/// The file that somebody tampers with: one of the request, or, after a slash, any.
pub fn tampered(id: &str, file: &str) -> String {
    file.strip_prefix('/').map_or_else(|| format!("requests/{id}/{file}"), str::to_owned)
}

/// The text of a report, about the request that a story calls so.
pub fn report(request: &str, step: &str, success: bool, outputs: &[(String, String)]) -> String {
    use chandlery::plan::report::{Report, Status, write};
    let report = Report {
        status: if success { Status::Success } else { Status::Failure },
        outputs: outputs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect(),
        links: BTreeMap::new(),
        message: None,
    };
    write(&request.parse().unwrap(), &step.parse().unwrap(), &report)
}

/// A name that no other pass of this process has.
pub fn name_of_pass() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static PASSES: AtomicU64 = AtomicU64::new(0);
    format!("pass-{}", PASSES.fetch_add(1, Ordering::Relaxed))
}

/// Runs one pass of the reconciler.
pub fn reconcile(world: &mut dyn World) -> Report {
    let mut turn = begin(world);
    let mut input = Input::Start;
    loop {
        match turn.next(input) {
            Output::Look(questions) => input = Input::Answers(world.ask(&questions)),
            Output::Act(act) => input = Input::Acted(world.act(&act)),
            Output::Done(report) => return report,
        }
    }
}

/// A pass that has not begun.
pub fn begin(world: &dyn World) -> Turn {
    let turn = Turn::new(&name_of_pass());
    if world.is_doubted() { turn.doubting() } else { turn }
}

/// What people see, without ids and times.
pub fn view(world: &mut dyn World) -> String {
    let mut out = String::new();
    let catalog = Repo::Catalog.name();
    let mut one = |question: Question| {
        let mut answers = world.ask(&[question].into());
        answers.pop().expect("an answer").1
    };
    let me = match one(Question::Here) {
        Answer::Here(here) => here.me.clone(),
        other => panic!("who we are: {other:?}"),
    };
    let mut pulls = Vec::new();
    for number in 1..100 {
        match one(Question::Pull(number)) {
            Answer::Pull(Some(pull)) => pulls.push(pull),
            Answer::Pull(None) => match one(Question::Issue(number)) {
                Answer::Issue(Some(issue)) => {
                    let state = if issue.open { "open" } else { "closed" };
                    let _ = writeln!(
                        out,
                        "issue #{number} {state}{}{}",
                        labelled(&issue.labels),
                        says(&issue.comments)
                    );
                }
                Answer::Issue(None) => break,
                other => panic!("issue #{number}: {other:?}"),
            },
            other => panic!("pull request #{number}: {other:?}"),
        }
    }
    let infra: RepoName = Repo::Infra.name();
    let mut seen_branches = std::collections::BTreeSet::new();
    for pull in &pulls {
        let mut line = pull_line(pull);
        if let Some(merge) = pull.merge_commit
            && let Answer::Checks(about) = one(Question::Checks(merge, me.clone()))
        {
            for attempt in about.iter() {
                // Requests of issues are named after the month.
                let month = attempt.get(..8).filter(|month| month.starts_with("20") && month.ends_with('/'));
                let shown = attempt.strip_prefix(month.unwrap_or_default()).unwrap_or(attempt);
                line.push_str(&format!(", has the log of {shown}"));
            }
        }
        let _ = writeln!(out, "{line}");
        for comment in &pull.comments {
            if let Some(id) = chandlery::plan::message::request_of(&comment.body) {
                seen_branches.insert(id);
            }
        }
    }
    for id in &seen_branches {
        let branch = format!("chandlery/{}-code", id.slug()).parse().unwrap();
        if let Answer::Pulls(list) = one(Question::PullsFrom(infra.clone(), branch)) {
            for pull in list {
                let _ = writeln!(out, "{}", pull_line(&pull));
            }
        }
    }
    let fresh = Repo::Fresh.name();
    for id in &seen_branches {
        let branch = format!("chandlery/{}-code", id.slug()).parse().unwrap();
        if let Answer::Pulls(list) = one(Question::PullsFrom(fresh.clone(), branch)) {
            for pull in list {
                let _ = writeln!(out, "{}", pull_line(&pull));
            }
        }
    }
    if let Answer::Head(Some(head)) = one(Question::Head(fresh.clone(), "main".parse().unwrap()))
        && let Answer::Files(files) = one(Question::Files(fresh.clone(), head, "buckets".parse().unwrap()))
    {
        let names: Vec<&str> = files.keys().map(|path| path.file_name()).collect();
        let _ = writeln!(out, "fresh holds [{}]", names.join(" "));
    }
    for name in [catalog.clone(), Repo::Infra.name()] {
        if let Answer::Queue(Some(queue)) = one(Question::Queue(name.clone(), "main".parse().unwrap())) {
            let waits: Vec<String> = queue.iter().map(|queued| format!("#{}", queued.number)).collect();
            let _ = writeln!(out, "the queue of {} holds [{}]", name.name(), waits.join(" "));
        }
    }
    let Answer::Head(Some(head)) = one(Question::Head(catalog.clone(), "main".parse().unwrap())) else {
        return out;
    };
    if let Answer::Files(files) =
        one(Question::Files(catalog.clone(), head, "entities/bucket".parse().unwrap()))
    {
        for path in files.keys() {
            if let Answer::File(Some(file)) = one(Question::File(catalog.clone(), head, path.clone())) {
                let text = without_times(&String::from_utf8_lossy(&file.bytes)).replace('\n', " | ");
                let _ = writeln!(out, "{}: {}", path.file_name(), text.trim_end_matches(" | "));
            }
        }
    }
    let form = chandlery::intake::issue_form::path_of(&"resize-bucket".parse().unwrap()).unwrap();
    if let Answer::File(Some(file)) = one(Question::File(catalog.clone(), head, form)) {
        let form: serde_json::Value = serde_yaml::from_slice(&file.bytes).unwrap();
        let field = form["body"].as_array().unwrap().iter().find(|field| field["id"] == "entity");
        let options = field.map(|field| field["attributes"]["options"].to_string());
        let _ = writeln!(out, "the form offers {}", options.unwrap_or_default());
    }
    if let Answer::Files(files) = one(Question::Files(catalog.clone(), head, "requests".parse().unwrap())) {
        // What is in progress may be remembered on a branch of its own.
        let mut records = Vec::new();
        for path in files.keys().filter(|path| path.file_name() == "request.yaml") {
            let folder = path.as_str().trim_end_matches("/request.yaml");
            let record: RepoPath = format!("{folder}/run.yaml").parse().unwrap();
            let slug = folder.trim_start_matches("requests/").replace('/', "-");
            let mut places = vec![head];
            let branch = format!("chandlery/run/{slug}").parse().unwrap();
            if let Answer::Head(Some(beside)) = one(Question::Head(catalog.clone(), branch)) {
                places.push(beside);
            }
            let file = places.into_iter().find_map(|at| {
                match one(Question::File(catalog.clone(), at, record.clone())) {
                    Answer::File(file) => file,
                    _ => None,
                }
            });
            records.extend(file.map(|file| (record, file)));
        }
        for (path, file) in records {
            let Ok(run) = serde_yaml::from_slice::<chandlery::domain::Run>(&file.bytes) else {
                let _ = writeln!(out, "{path} is no record");
                continue;
            };
            let people: Vec<_> = run.approved_by.iter().map(ToString::to_string).collect();
            let why = run.reason.as_ref().map(|why| format!(": {}", without_ids(why))).unwrap_or_default();
            let released = run.break_glass.as_ref();
            let released = released
                .map(|broken| format!(" past the rules by {} ({})", broken.by, broken.reason))
                .unwrap_or_default();
            let _ = writeln!(
                out,
                "run {} {} approved by [{}]{released}{why}",
                short(&run.request),
                run.status,
                people.join(", ")
            );
            for step in &run.progress {
                let why = step.reason.as_ref().map(|why| format!(": {}", without_ports(why)));
                let outputs: Vec<String> =
                    step.outputs.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                let _ = writeln!(
                    out,
                    "  {} {} {}{}{}",
                    step.kind,
                    step.step,
                    step.state.name(),
                    outputs.concat(),
                    why.unwrap_or_default()
                );
            }
        }
    }
    if let Answer::Head(Some(head)) = one(Question::Head(infra.clone(), "main".parse().unwrap()))
        && let Answer::Files(files) = one(Question::Files(infra.clone(), head, "buckets".parse().unwrap()))
    {
        let names: Vec<&str> = files.keys().map(|path| path.file_name()).collect();
        let _ = writeln!(out, "infra: {}", names.join(" "));
    }
    out
}

/// What our comments on a pull request of the catalog say, without what is folded, and without ids.
pub fn told(world: &mut dyn World, number: u64) -> String {
    let comments = [Question::Pull(number), Question::Issue(number)].into_iter().find_map(|question| {
        match world.ask(&[question].into()).pop().expect("an answer").1 {
            Answer::Pull(Some(pull)) => Some(pull.comments.clone()),
            Answer::Issue(Some(issue)) => Some(issue.comments.clone()),
            _ => None,
        }
    });
    let mut out = String::new();
    for comment in
        comments.unwrap_or_else(|| panic!("there is neither a pull request nor an issue #{number}"))
    {
        let mut folded = false;
        for line in comment.body.lines() {
            folded |= line.starts_with("<details>");
            let is_shown = !folded && !line.trim().is_empty() && !line.starts_with("<!--");
            folded &= !line.starts_with("</details>");
            if is_shown && !line.starts_with("Plan `") {
                let _ = writeln!(
                    out,
                    "{}",
                    without_dates(&without_ends(&without_times(&without_durations(&without_runs(line)))))
                );
            }
        }
    }
    out
}

/// A text without links to where something runs: the simulated world has no such place.
fn without_runs(text: &str) -> String {
    let mut parts = text.split(" · [");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((link, rest)) if link.contains("](http://127.0.0.1") => out.push_str(rest),
            _ => out.push_str(&format!(" · [{part}")),
        }
    }
    out
}

/// A text with each duration as `…`.
fn without_durations(text: &str) -> String {
    let mut parts = text.split(" after ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        let is_one =
            rest.len() < part.len() && [" s", " min", " h"].iter().any(|unit| rest.starts_with(unit));
        let rest = if is_one { rest.trim_start_matches(|c: char| " minsh".contains(c)) } else { part };
        out.push_str(if is_one { " after …" } else { " after " });
        out.push_str(rest);
    }
    out
}

/// A text in which the names of requests do without the month that they were made in.
fn without_dates(text: &str) -> String {
    let shown = |part: &str| match part.parse::<RequestId>() {
        Ok(id) if part.starts_with("20") && part.contains('/') => short(&id),
        _ => part.to_owned(),
    };
    text.split('`').map(shown).collect::<Vec<_>>().join("`")
}

fn short(id: &RequestId) -> String {
    let name = id.as_str().rsplit('/').next().unwrap();
    // What follows is made from a time, and the worlds' clocks are not the same.
    if name.starts_with("ttl-") { "ttl-…".to_owned() } else { name.to_owned() }
}

/// A text with each moment as `…`.
fn without_times(text: &str) -> String {
    let is_moment = |word: &str| word.len() == 20 && word.parse::<chandlery::domain::Timestamp>().is_ok();
    let words = text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"-:".contains(c));
    let shown = words.map(|word| {
        let end = word.len().min(20);
        match word.get(..end) {
            Some(start) if is_moment(start) => format!("…{}", &word[end..]),
            _ => word.to_owned(),
        }
    });
    shown.collect()
}

/// A text that does not say to the minute until when something counts or lives.
fn without_ends(text: &str) -> String {
    for before in [" counts until ", " is over at "] {
        if let Some((start, (_, rest))) =
            text.split_once(before).and_then(|(start, end)| Some((start, end.split_once(" UTC")?)))
        {
            return format!("{start}{before}…{rest}");
        }
    }
    text.to_owned()
}

/// Who is asked to review a pull request of the catalog.
pub fn asked(world: &mut dyn World, number: u64) -> String {
    match world.ask(&[Question::Pull(number)].into()).pop() {
        Some((_, Answer::Pull(Some(pull)))) => pull.requested.join(", "),
        other => panic!("#{number}: {other:?}"),
    }
}

/// A text with each commit's id as `…`.
fn without_ids(text: &str) -> String {
    let is_id = |word: &str| word.len() == 10 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.split(' ').map(|word| if is_id(word) { "…" } else { word }).collect::<Vec<_>>().join(" ")
}

/// A text without what the forge or a server numbers itself.
fn without_ports(text: &str) -> String {
    text.split(' ')
        .map(|word| if word.contains("127.0.0.1") { "…" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

fn says(comments: &[chandlery::domain::Comment]) -> String {
    let mut said = String::new();
    for comment in comments {
        match comment.body.lines().find_map(|line| line.strip_prefix("### ")) {
            Some(title) => write!(said, ", says \"{title}\""),
            None => write!(said, ", answers \"{}\"", comment.body.lines().nth(1).unwrap_or_default()),
        }
        .unwrap();
    }
    said
}

fn pull_line(pull: &chandlery::domain::Pull) -> String {
    let state = match pull.state {
        PullState::Open => "open",
        PullState::Closed => "closed",
        PullState::Merged => "merged",
    };
    let author = pull.author.as_ref().map_or("nobody", |login| login.as_str());
    let mut line = format!("{}#{} by {author} {state}", pull.repository.name(), pull.number);
    if let Known::Yes(commits) = &pull.commits
        && let Some(check) = commits
            .iter()
            .rev()
            .find_map(|commit| commit.checks.last().map(|check| (check, commit.id == pull.head)))
    {
        let (check, on_head) = check;
        let color = check
            .conclusion
            .map_or("pending".to_owned(), |conclusion| format!("{conclusion:?}").to_lowercase());
        let _ = write!(
            line,
            ", check {color} \"{}\"{}",
            without_time(&check.title),
            if on_head { "" } else { " (not on head)" }
        );
    }
    if let Known::Yes(reviews) = &pull.reviews {
        for review in reviews {
            let who = review.author.as_ref().map_or("nobody", |login| login.as_str());
            let _ = write!(line, ", {who} {}", format!("{:?}", review.state).to_lowercase());
        }
    }
    line.push_str(&labelled(&pull.labels));
    if pull.repository == Repo::Infra.name() {
        if pull.draft {
            line.push_str(", a draft");
        }
        pull.requested.iter().for_each(|name| line.push_str(&format!(", {name} is asked")));
    }
    line.push_str(&says(&pull.comments));
    line
}

/// The worlds' clocks are not the same to the minute.
fn without_time(title: &str) -> String {
    match title.split_once("until about ") {
        Some((before, _)) => format!("{before}until about … UTC"),
        None => title.to_owned(),
    }
}

fn labelled(labels: &std::collections::BTreeSet<String>) -> String {
    let stages = labels.iter().map(|label| label.strip_prefix(chandlery::domain::LABELS).unwrap_or(label));
    stages.map(|stage| format!(", labelled {stage}")).collect()
}
