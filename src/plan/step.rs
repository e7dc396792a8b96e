//! What is to be done? Steps need no further choice: each names its whole result and what it
//! expects to find. If the world moved, the step is refused and the next turn decides again.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::{
    catalog::CommitBy,
    domain::{
        Branch, Bytes, Changes, CheckId, Conclusion, FileMode, Interpreter, Login, Notice, ObjectId,
        RepoName, RepoPath, RequestId, SecretRef, StepId, Timestamp,
    },
};

/// One thing to do.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Puts one commit on a branch.
    Commit(Commit),
    /// Changes files on the catalog's default branch; merged with others of the same pass.
    CatalogChange(CatalogChange),
    /// Something that the forge does when it is called.
    Call(Call),
    /// Somebody outside the forge hears of a request. What cannot be delivered stops nothing.
    Notify(Box<Notice>),
    /// Something asked of a backend, at most once for each attempt.
    Backend(Box<Backend>),
}

impl Step {
    /// Whether this is all that a catalog that only observes does: comments and checks.
    pub(super) fn only_speaks(&self) -> bool {
        match self {
            Self::Call(Call::Say { .. } | Call::Unsay { .. } | Call::Check { .. }) => true,
            Self::Call(
                Call::OpenPull { .. }
                | Call::ClosePull { .. }
                | Call::DropBranch { .. }
                | Call::Merge { .. }
                | Call::Enqueue { .. }
                | Call::AskReviewers { .. }
                | Call::CloseIssue { .. }
                | Call::Label { .. },
            )
            | Self::Commit(_)
            | Self::CatalogChange(_)
            | Self::Notify(_)
            | Self::Backend(_) => false,
        }
    }
}

/// A commit for a branch, pushed only if the branch is where it is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Where.
    pub repository: RepoName,
    /// Which branch.
    pub branch: Branch,
    /// Where the branch must point; none: it must not exist.
    pub expect: Option<ObjectId>,
    /// The parent of the new commit, whose files are changed; none: it is the first of an empty repository.
    pub parent: Option<ObjectId>,
    /// The files that change.
    pub changes: Changes,
    /// The message, with its trailers.
    pub message: String,
    /// The commit's time; from facts, so that the same step makes the same commit.
    pub at: Timestamp,
}

/// The folders that a commit makes, for a forge that writes it itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trees {
    /// The root folder of the parent.
    pub before: ObjectId,
    /// The root folder of the commit.
    pub after: ObjectId,
    /// What is done at each path that differs: the mode of the file there, or none where it goes.
    pub files: BTreeMap<RepoPath, Option<FileMode>>,
}

/// What one run changes on the catalog's default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogChange {
    /// Which run.
    pub request: RequestId,
    /// The commit of the default branch that this was decided on.
    pub base: ObjectId,
    /// The files that change.
    pub changes: Changes,
    /// One line for the commit's message.
    pub summary: String,
    /// The trailer `Chandlery-Run: …`, without its key; none while the run goes on.
    pub trailer: Option<String>,
    /// The time of what happened last.
    pub at: Timestamp,
}

/// The name of the check that says whether a pull request may be merged.
pub const CHECK: &str = "chandlery";

/// Something the forge is called for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Opens a pull request. "Already exists" is success.
    OpenPull {
        /// Where.
        repository: RepoName,
        /// From which branch.
        branch: Branch,
        /// Into which.
        base: Branch,
        /// Its title.
        title: String,
        /// Its text.
        body: String,
        /// Whether it is a draft, where the repository has such.
        draft: bool,
    },
    /// Closes a pull request without merging it.
    ClosePull {
        /// Where.
        repository: RepoName,
        /// Which.
        number: u64,
    },
    /// Removes a branch of ours that nobody needs any more. "Is not there" is success.
    DropBranch {
        /// Where.
        repository: RepoName,
        /// Which.
        branch: Branch,
    },
    /// Merges a pull request, if its head is still this commit.
    Merge {
        /// Where.
        repository: RepoName,
        /// Which.
        number: u64,
        /// The head that was judged.
        head: ObjectId,
    },
    /// Puts a pull request into the merge queue of its base, if its head is still this commit.
    Enqueue {
        /// Where.
        repository: RepoName,
        /// Which.
        number: u64,
        /// The head that was judged.
        head: ObjectId,
    },
    /// Requests reviews. A person or team that cannot be asked stops nothing.
    AskReviewers {
        /// Where.
        repository: RepoName,
        /// Which pull request.
        number: u64,
        /// People.
        users: Vec<Login>,
        /// Teams of the repository's organisation, by slug.
        teams: Vec<String>,
    },
    /// Writes our one comment of this purpose, or changes it.
    Say {
        /// Where.
        repository: RepoName,
        /// Which issue or pull request.
        number: u64,
        /// The text, beginning with its marker.
        body: String,
        /// The comment to change; none writes a new one.
        comment: Option<u64>,
    },
    /// Removes a comment that we made twice.
    Unsay {
        /// Where.
        repository: RepoName,
        /// Which comment.
        comment: u64,
    },
    /// Makes a check run on a commit, or changes it. Where we may make none, commit statuses say the same.
    Check {
        /// Where.
        repository: RepoName,
        /// On which commit.
        commit: ObjectId,
        /// What it is called.
        name: String,
        /// The plan key, or the attempt at a step, that it speaks of.
        external_id: String,
        /// None while people are awaited.
        conclusion: Option<Conclusion>,
        /// One line.
        title: String,
        /// The same in a few lines.
        summary: String,
        /// Everything, such as a log; for check runs only.
        text: Option<String>,
        /// The one to change; none makes a new one.
        run: Option<CheckId>,
    },
    /// Puts labels on an issue or pull request, and takes others away.
    Label {
        /// Where.
        repository: RepoName,
        /// Which.
        number: u64,
        /// What it gets.
        add: Vec<String>,
        /// What it loses.
        remove: Vec<String>,
    },
    /// Closes an issue of the catalog.
    CloseIssue {
        /// Which.
        number: u64,
        /// Whether what it asked for was done.
        completed: bool,
    },
}

/// What is really done at once: several commits of one repository go in one push.
#[must_use]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Pushes commits to branches of one repository, each on its own condition.
    Push {
        /// Where.
        repository: RepoName,
        /// One commit a branch.
        commits: Vec<Commit>,
        /// With Git, or by calls of the forge.
        by: CommitBy,
    },
    /// Calls the forge.
    Call(Call),
    /// Tells a sink.
    Notify(Box<Notice>),
    /// Asks a backend.
    Backend(Box<Backend>),
}

/// One attempt at a step.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// Of which request.
    pub request: RequestId,
    /// Which step.
    pub step: StepId,
    /// The first is 1; 0 is the attempt to stop the step.
    pub number: u32,
}

impl std::fmt::Display for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}/{}", self.request, self.step, self.number)
    }
}

/// Something asked of a backend. Whoever does it was the one to claim it on the catalog's default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backend {
    /// As which attempt.
    pub attempt: Attempt,
    /// What.
    pub work: Work,
}

/// What is asked of a backend. Secrets stand in it by their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Starts a workflow.
    Dispatch {
        /// Where.
        repository: RepoName,
        /// The file of the workflow.
        workflow: String,
        /// The branch or tag that it runs on.
        reference: Branch,
        /// Its inputs.
        inputs: BTreeMap<String, String>,
    },
    /// Stops a run of a workflow.
    Cancel {
        /// Where.
        repository: RepoName,
        /// Which.
        run: u64,
    },
    /// Calls a server.
    Send(Send),
    /// Runs a script.
    Run(RunScript),
}

/// A call of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Send {
    /// How.
    pub method: String,
    /// Where.
    pub url: String,
    /// Further headers.
    pub headers: Map<String, Value>,
    /// What is sent, as JSON.
    pub body: Option<Value>,
    /// What signs it.
    pub secret: Option<SecretRef>,
    /// The same for each try of the same attempt.
    pub idempotency_key: String,
    /// How often it is tried again.
    pub retries: u32,
    /// How long each try may take, in seconds, if the step says so.
    pub seconds: Option<u64>,
    /// The answers that mean success; those from 200 to 299 if empty.
    pub success_codes: Vec<u16>,
}

impl Send {
    /// Whether an answer means success.
    pub fn is_success(&self, status: u16) -> bool {
        is_success(&self.success_codes, status)
    }
}

/// Whether an answer is among those that mean success.
pub fn is_success(codes: &[u16], status: u16) -> bool {
    if codes.is_empty() { (200..300).contains(&status) } else { codes.contains(&status) }
}

/// A script and what it is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunScript {
    /// Its name, for people.
    pub name: String,
    /// What it says.
    pub text: Bytes,
    /// What runs it.
    pub interpreter: Interpreter,
    /// Its environment.
    pub env: Map<String, Value>,
    /// What it reads.
    pub input: Value,
    /// As which user of the machine.
    pub user: String,
    /// How long it may take.
    pub seconds: u64,
}

/// What a backend answered. No secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A workflow was started; the number of its run, if the forge told it.
    Dispatched(Option<u64>),
    /// A run of a workflow ends, or has ended.
    Cancelled,
    /// A server answered.
    Answered {
        /// With this code.
        status: u16,
        /// Its headers, with names in lower case.
        headers: BTreeMap<String, String>,
        /// JSON, or a text.
        body: Value,
    },
    /// A script ended.
    Ran {
        /// Why it did not do what it should; none if it did.
        problem: Option<String>,
        /// What it wrote.
        lines: Vec<String>,
        /// Whether it was stopped because its time was over.
        timed_out: bool,
    },
    /// It was refused, or could not be begun: nothing was done.
    Refused(String),
    /// Nothing was done; it may be tried in another pass.
    Postponed(String),
    /// No answer came: it may have been done.
    Lost(String),
}

/// What came of an act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acted {
    /// It is done, or was done before.
    Done,
    /// A backend answered.
    Told(Outcome),
    /// The world was not as expected (a branch moved, a pull request closed); look again.
    Refused(String),
    /// Nothing was done: the forge takes no more calls for so many seconds, and nobody may wait so long.
    Postponed {
        /// For how long.
        seconds: u64,
    },
    /// A notification could not be delivered, and will not be; nothing waits for it.
    Untold(String),
    /// The world failed (no answer, a server's error, a limit); it may or may not be done.
    Failed(String),
}

impl CatalogChange {
    /// Whether both could stand in one commit.
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.changes.keys().all(|path: &RepoPath| !other.changes.contains_key(path))
    }
}
