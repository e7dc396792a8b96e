//! What do answers say that are more than a word?

use std::collections::BTreeSet;

use crate::domain::{
    Branch, Bytes, CheckRun, FileMode, Login, ObjectId, RepoName, RepoPath, RequestId, Timestamp, TreeEntry,
};

/// Where we are and who we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// The catalog's repository.
    pub catalog: RepoName,
    /// Its default branch.
    pub branch: Branch,
    /// Our own login.
    pub me: Login,
}

/// What there is to look at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Open {
    /// Open issues.
    pub issues: BTreeSet<u64>,
    /// Open pull requests to the default branch, and those closed or merged lately.
    pub pulls: BTreeSet<u64>,
    /// Requests on the default branch that have no record of an end.
    pub requests: BTreeSet<RequestId>,
}

/// What is known of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its default branch and the newest commit there; none when it is empty.
    pub default_branch: Option<(Branch, ObjectId)>,
    /// Whether it takes no changes any more.
    pub archived: bool,
    /// What the forge calls it now, where that is another name than it was asked by.
    pub renamed: Option<RepoName>,
}

/// A file and what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its mode.
    pub mode: FileMode,
    /// Its blob.
    pub id: ObjectId,
    /// Its bytes; empty for a submodule.
    pub bytes: Bytes,
}

/// A commit on the first-parent chain of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainCommit {
    /// Which.
    pub id: ObjectId,
    /// How it follows from what was before.
    pub kind: ChainKind,
    /// The paths that differ from its first parent.
    pub paths: BTreeSet<RepoPath>,
}

/// How a commit of a branch follows from what was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// One parent.
    Ordinary,
    /// A merge of a commit that the base contains, with exactly the tree that merging them anew gives.
    CleanMergeOfBase,
    /// Any other merge.
    OtherMerge,
}

/// That a path appeared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appearance {
    /// In this commit.
    pub commit: ObjectId,
    /// Which followed this one.
    pub parent: Option<ObjectId>,
    /// When, as the commit says (its committer's clock).
    pub at: Timestamp,
}

/// That a request came to the default branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Which.
    pub request: RequestId,
    /// With this commit.
    pub commit: ObjectId,
    /// When: as this commit says, or an earlier one that says a later time.
    pub at: Timestamp,
}

/// What a path was and became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffEntry {
    /// Where the branch left the base.
    pub before: Option<TreeEntry>,
    /// At the head.
    pub after: Option<TreeEntry>,
}

/// What keeps the head of a pull request from being merged, besides approvals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mergeable {
    /// Whether it conflicts with its base; none while the forge works it out.
    pub conflicts: Option<bool>,
    /// The checks of others that have not ended.
    pub running: BTreeSet<String>,
    /// Those that ended otherwise than well.
    pub failed: BTreeSet<String>,
}

/// A pull request that waits in a merge queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Which.
    pub number: u64,
    /// What is tried before it is merged, once the forge has made that.
    pub group: Option<Group>,
}

/// What the base becomes if a pull request is merged after all that wait before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The base with all that wait before it.
    pub base: ObjectId,
    /// That with the pull request: the base moves there when the required checks of this commit are green.
    pub head: ObjectId,
    /// Our check runs on it, oldest first.
    pub checks: Vec<CheckRun>,
}

/// A workflow that a step may start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Workflow {
    /// How it stands, in the forge's word (`active`, `disabled_manually`, …); none where the forge does not say.
    pub state: Option<String>,
    /// What it says where it is to run.
    pub on: RunsOn,
}

/// What a workflow says on the branch or tag that was asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RunsOn {
    /// None was asked about, or what is there is not known here.
    #[default]
    Unasked,
    /// There is no such branch or tag.
    Nothing,
    /// It has no such file.
    NoFile,
    /// The bytes of its file.
    File(Bytes),
}

/// A run of a workflow, as the forge tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkflowRun {
    /// How it ended: `success`, `failure`, …; none while it has not.
    pub conclusion: Option<String>,
    /// Where people see it.
    pub url: Option<String>,
    /// Its jobs, in order.
    pub jobs: Vec<Job>,
    /// The lines of its log, once it has ended; or why they could not be read.
    pub log: Option<Result<Vec<String>, String>>,
}

/// A job of a workflow's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// How it stands: `queued`, `in_progress`, or how it ended.
    pub state: String,
}
