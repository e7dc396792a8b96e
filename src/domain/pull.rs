//! What does a forge have? Plain data; nothing here believes more than the forge said.

use std::collections::BTreeSet;

use super::{Branch, Login, ObjectId, RepoName, Timestamp};

/// Something the forge was asked for: what it said, or why it could not be learnt.
/// Every rule fails closed on `Unknown`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Known<T> {
    /// What it is.
    Yes(T),
    /// Why it is not known, in words.
    Unknown(String),
}

/// That somebody edited a text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edit {
    /// Who.
    pub by: Login,
    /// When.
    pub at: Timestamp,
}

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issue {
    /// Its number.
    pub number: u64,
    /// Who filed it; none for a deleted account.
    pub author: Option<Login>,
    /// The edits of its text; the filing may be among them.
    pub edits: Known<Vec<Edit>>,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Whether it is open.
    pub open: bool,
    /// Whether it is locked.
    pub locked: bool,
    /// When it was filed.
    pub created_at: Timestamp,
    /// Who closed it last.
    pub closed_by: Option<Login>,
    /// When it was closed last, though it may have been opened again since.
    pub last_closed: Option<Timestamp>,
    /// The comments that we made on it, oldest first.
    pub comments: Vec<Comment>,
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// The comments that may ask us for something, whoever wrote them, oldest first.
    pub remarks: Vec<Remark>,
}

/// A comment made by our App.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Comment {
    /// Its id on the forge.
    pub id: u64,
    /// Its text.
    pub body: String,
}

/// A comment by anybody that may ask us for something: its first line begins with `/`, or it reports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remark {
    /// Its id on the forge.
    pub id: u64,
    /// Who wrote it; none for a deleted account.
    pub author: Option<Login>,
    /// Its text.
    pub body: String,
    /// When it was written, by the forge's clock.
    pub at: Timestamp,
    /// Whether it says something else now than it did then.
    pub edited: bool,
}

impl Remark {
    /// What the first line of a report of a backend begins with.
    pub const REPORT: &'static str = "<!-- chandlery:report ";

    /// Whether a comment with this text may ask us for something.
    pub fn is_one(body: &str) -> bool {
        body.starts_with('/') || body.starts_with(Self::REPORT)
    }
}

/// What state a pull request is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PullState {
    /// Open.
    Open,
    /// Closed and not merged.
    Closed,
    /// Merged.
    Merged,
}

/// A pull request with everything that approval depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pull {
    /// Where it is.
    pub repository: RepoName,
    /// Its number there.
    pub number: u64,
    /// Who opened it; none for a deleted account.
    pub author: Option<Login>,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// Open, closed or merged.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The repository of its branch; none when that was deleted.
    pub head_repository: Option<RepoName>,
    /// Its branch; none when its name is no branch we could write.
    pub head_branch: Option<Branch>,
    /// The newest commit of its branch (as it was when merged or closed).
    pub head: ObjectId,
    /// The branch it asks to change.
    pub base_branch: Branch,
    /// When it was opened.
    pub created_at: Timestamp,
    /// When it was merged.
    pub merged_at: Option<Timestamp>,
    /// Who merged it.
    pub merged_by: Option<Login>,
    /// The commit on the base branch that merged it.
    pub merge_commit: Option<ObjectId>,
    /// When it was closed or merged.
    pub closed_at: Option<Timestamp>,
    /// Who closed it last.
    pub closed_by: Option<Login>,
    /// When it was closed last, though it may have been opened again since.
    pub last_closed: Option<Timestamp>,
    /// When it last left a merge queue, however that came.
    pub left_queue: Option<Timestamp>,
    /// Its reviews, oldest first.
    pub reviews: Known<Vec<Review>>,
    /// The commits that it adds, oldest first, as the forge attributes them.
    pub commits: Known<Vec<PullCommit>>,
    /// The comments that we made on it, oldest first.
    pub comments: Vec<Comment>,
    /// The comments that may ask us for something, whoever wrote them, oldest first.
    pub remarks: Vec<Remark>,
    /// The people and teams (by slug) whose review is requested now.
    pub requested: Vec<String>,
    /// Its labels.
    pub labels: BTreeSet<String>,
    /// Where people read it.
    pub url: String,
}

/// A review.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Review {
    /// Its id on the forge.
    pub id: u64,
    /// Who wrote it; none for a deleted account.
    pub author: Option<Login>,
    /// What it says.
    pub state: ReviewState,
    /// When it was submitted, by the forge's clock.
    pub submitted_at: Timestamp,
    /// The commit that the forge now says it is about. Forges re-point this: never evidence.
    pub commit: Option<ObjectId>,
    /// If it was dismissed: when, and what it said before.
    pub dismissed: Option<Dismissal>,
}

/// That a review was taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dismissal {
    /// When, by the forge's clock.
    pub at: Timestamp,
    /// What the review said before.
    pub was: ReviewState,
}

/// What a review says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReviewState {
    /// Yes.
    Approved,
    /// Not so.
    ChangesRequested,
    /// Taken back by somebody.
    Dismissed,
    /// Words only.
    Commented,
    /// Not submitted, or a state we do not know.
    Other,
}

/// A commit of a pull request, with the people that the forge sees in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PullCommit {
    /// Which commit.
    pub id: ObjectId,
    /// Its parents.
    pub parents: Vec<ObjectId>,
    /// Authors, committer and co-authors.
    pub people: Vec<Attribution>,
    /// Our check runs on it, oldest first.
    pub checks: Vec<CheckRun>,
}

/// One author, committer or co-author.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attribution {
    /// This account.
    Account(Login),
    /// The forge itself (`web-flow`), for merges and edits made in its pages.
    Forge,
    /// Nobody that the forge knows; the e-mail as written.
    Unknown(String),
}

/// What a check of ours is to the forge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckId {
    /// A check run, by its id.
    Run(u64),
    /// A commit status, where we may make no check run. It is never changed, but followed by another.
    Status,
}

/// A check run made by our App, or what stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CheckRun {
    /// Its id on the forge.
    pub id: CheckId,
    /// The plan key that it is about.
    pub external_id: String,
    /// None while it is not completed.
    pub conclusion: Option<Conclusion>,
    /// When it appeared, by the forge's clock.
    pub started_at: Timestamp,
    /// Its title, one line.
    pub title: String,
}

/// The longest description of a commit status, in characters.
/// <https://docs.github.com/rest/commits/statuses#create-a-commit-status>
const LONGEST_DESCRIPTION: usize = 140;

impl CheckRun {
    /// Whether it says this already.
    pub fn says(&self, title: &str, conclusion: Option<Conclusion>) -> bool {
        let said = match self.id {
            CheckId::Run(_) => title.to_owned(),
            CheckId::Status => Self::in_short(title),
        };
        self.title == said && self.conclusion == conclusion
    }

    /// A line that fits into the description of a commit status.
    pub fn in_short(text: &str) -> String {
        if text.chars().count() <= LONGEST_DESCRIPTION {
            return text.to_owned();
        }
        text.chars().take(LONGEST_DESCRIPTION - 1).chain(['…']).collect()
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Conclusion {
    /// Green.
    Success,
    /// Red.
    Failure,
    /// Somebody must do something.
    ActionRequired,
    /// Neither.
    Neutral,
}

/// A push to a branch.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Activity {
    /// Who pushed; none for a deleted account.
    pub actor: Option<Login>,
    /// How.
    pub kind: ActivityKind,
    /// The commit before.
    pub before: Option<ObjectId>,
    /// The commit after.
    pub after: Option<ObjectId>,
    /// When, by the forge's clock.
    pub at: Timestamp,
}

/// How a branch moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActivityKind {
    /// It was made.
    Created,
    /// Commits were added.
    Pushed,
    /// It was moved to a commit that does not contain the old one.
    Forced,
    /// It was deleted.
    Deleted,
    /// A pull request was merged into it.
    Merged,
}

/// What somebody may do in a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Permission {
    /// Nothing.
    None,
    /// Read.
    Read,
    /// Read and triage.
    Triage,
    /// Push.
    Write,
    /// Push and some settings.
    Maintain,
    /// Everything.
    Admin,
}
