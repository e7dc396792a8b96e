//! What may a decision depend on? Questions, and the answers that have come.
//!
//! Questions about **content** name objects and never change their answer. Questions about the
//! **present** are asked once a turn. A part of a decision that misses an answer is *pending*: it
//! notes its question and gives up, the other parts go on, and all questions are asked together.

mod kept;
mod told;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
    sync::Arc,
};

use serde_json::Value;

use crate::{
    catalog::{Definitions, TooMany},
    domain::{
        Activity, BlueprintId, Branch, Bytes, Diagnostic, EntityId, Identifier, Issue, Login, ObjectId,
        Permission, Pull, RepoName, RepoPath, RequestId, Search, Timestamp, TreeEntry,
    },
    plan::step::{Attempt, Outcome},
};

use kept::Kept;
pub(super) use kept::{Draft, Part, PlanOf};

pub use told::{
    Appearance, Arrival, ChainCommit, ChainKind, DiffEntry, File, Group, Here, Job, Mergeable, Open, Queued,
    Repository, RunsOn, Workflow, WorkflowRun,
};

/// Something to be asked of Git or the forge.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Question {
    // --- the present
    /// Which catalog is this, and who are we? → `Here`
    Here,
    /// What is the time, by the forge's clock? → `Now`
    Now,
    /// What is there to look at in the catalog? → `Open`
    Open,
    /// Where does a branch point? → `Head`
    Head(RepoName, Branch),
    /// What is known of a repository? → `Repository`
    Repository(RepoName),
    /// An issue of the catalog. → `Issue`
    Issue(u64),
    /// A pull request of the catalog. → `Pull`
    Pull(u64),
    /// The pull requests from a branch of the same repository, in all states, oldest first. → `Pulls`
    PullsFrom(RepoName, Branch),
    /// The pull requests that brought a commit to the catalog's default branch. → `Pulls`
    PullsOf(ObjectId),
    /// What was pushed to a branch, oldest first. → `Activity`
    Activity(RepoName, Branch),
    /// What somebody may do. → `Permission`
    Permission(RepoName, Login),
    /// The members of a team of the forge, `organisation/slug`. → `Members`
    Members(String),
    /// What waits to be merged into a branch, where merges go through a queue. → `Queue`
    Queue(RepoName, Branch),
    /// What keeps the head of a pull request from being merged. → `Mergeable`
    Mergeable(RepoName, u64, ObjectId),
    /// What the checks on a commit of the catalog speak of that somebody, we, made. → `Checks`
    Checks(ObjectId, Login),
    /// The workflow of this file, and what it says on a branch or tag, if one is meant. → `Workflow`
    Workflow(RepoName, String, Option<Branch>),
    /// What keeps us from making a branch of this name. → `Barred`
    Barred(RepoName, Branch),
    /// A run of a workflow. → `WorkflowRun`
    WorkflowRun(RepoName, u64),
    /// The run of a workflow's file whose name holds this text. → `FoundRun`
    FindRun(RepoName, String, String),
    // --- this pass
    /// What this pass is called, and no other. → `Pass`
    Pass,
    /// What came of an attempt at a step that this pass made. → `Outcome`
    Outcome(Attempt),
    // --- content
    /// What the platform team wrote at this commit of the catalog. → `Definitions`
    Definitions(ObjectId),
    /// One file of a commit. → `File`
    File(RepoName, ObjectId, RepoPath),
    /// All files below a folder of a commit. → `Files`
    Files(RepoName, ObjectId, RepoPath),
    /// When a commit of the catalog was made, as it says (its committer's clock). → `Now`
    CommittedAt(ObjectId),
    /// The bytes of a blob. → `Blob`
    Blob(RepoName, ObjectId),
    /// The file of an entity at this commit of the catalog. → `Entity`
    Entity(ObjectId, EntityId),
    /// The identifiers of a blueprint's entities at this commit of the catalog. → `Entities`
    Entities(ObjectId, BlueprintId),
    /// The identifiers of a blueprint's entities that differ from this one in case at most. → `Entities`
    Alike(ObjectId, EntityId),
    /// The entities that point at this one at this commit of the catalog. → `Pointing`
    Pointing(ObjectId, EntityId),
    /// The entities that queries ask for at this commit of the catalog. → `Found`
    Search(ObjectId, Search),
    /// How far an entity has come by the scorecards of its blueprint at this commit of the catalog, seen from a time
    /// where one of them asks for the time. → `Levels`
    Levels(ObjectId, EntityId, Option<Timestamp>),
    /// The sums of a property over the entities that queries ask for at this commit of the catalog. → `Sums`
    Sums(ObjectId, Search, String),
    /// The first-parent chain from a head down to the first commit that the base contains, newest first. → `Chain`
    Chain {
        /// Where.
        repository: RepoName,
        /// The newest commit.
        head: ObjectId,
        /// A commit of the base branch.
        base: ObjectId,
    },
    /// What a branch changes against where it left the base. → `Diff`
    Diff {
        /// Where.
        repository: RepoName,
        /// A commit of the base branch.
        base: ObjectId,
        /// The newest commit of the branch.
        head: ObjectId,
    },
    /// The commit that merging a branch into the base gives, made for looking at; none where they conflict. → `Head`
    Merged {
        /// A commit of the base branch.
        base: ObjectId,
        /// The newest commit of the branch.
        head: ObjectId,
    },
    /// What is wrong with the catalog at the head of a branch, and was not where it left the base. → `Judged`
    Judged {
        /// A commit of the base branch.
        base: ObjectId,
        /// The newest commit of the branch.
        head: ObjectId,
    },
    /// Which derived values and levels are lost between two commits of the catalog. → `Derived`
    Derived {
        /// The commit before.
        base: ObjectId,
        /// The commit after.
        head: ObjectId,
    },
    /// The commits on the first-parent chain of this catalog commit in which a path appeared, newest first. → `Appearances`
    Appearances(ObjectId, RepoPath),
    /// The blobs that a path has been on the first-parent chain of this catalog commit, newest first. → `Versions`
    Versions(ObjectId, RepoPath),
    /// The requests of this catalog commit that have no record of an end. → `Requests`
    Unfinished(ObjectId),
    /// The requests that came to the first-parent chain of this catalog commit since then, oldest first. → `Arrivals`
    Arrivals(ObjectId, Timestamp),
}

impl Question {
    /// Whether its answer never changes.
    pub fn is_content(&self) -> bool {
        match self {
            Self::Here
            | Self::Now
            | Self::Open
            | Self::Head(..)
            | Self::Repository(_)
            | Self::Issue(_)
            | Self::Pull(_)
            | Self::PullsFrom(..)
            | Self::PullsOf(_)
            | Self::Activity(..)
            | Self::Permission(..)
            | Self::Members(_)
            | Self::Queue(..)
            | Self::Mergeable(..)
            | Self::Checks(..)
            | Self::Workflow(..)
            | Self::Barred(..)
            | Self::WorkflowRun(..)
            | Self::FindRun(..)
            | Self::Pass
            | Self::Outcome(_) => false,
            Self::Definitions(_)
            | Self::File(..)
            | Self::Files(..)
            | Self::CommittedAt(_)
            | Self::Blob(..)
            | Self::Entity(..)
            | Self::Entities(..)
            | Self::Alike(..)
            | Self::Pointing(..)
            | Self::Search(..)
            | Self::Levels(..)
            | Self::Sums(..)
            | Self::Chain { .. }
            | Self::Diff { .. }
            | Self::Merged { .. }
            | Self::Judged { .. }
            | Self::Derived { .. }
            | Self::Appearances(..)
            | Self::Versions(..)
            | Self::Unfinished(_)
            | Self::Arrivals(..) => true,
        }
    }
}

/// What was answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// To `Here`.
    Here(Arc<Here>),
    /// To `Now` and `CommittedAt`.
    Now(Timestamp),
    /// To `Open`.
    Open(Arc<Open>),
    /// To `Head` and `Merged`.
    Head(Option<ObjectId>),
    /// To `Repository`; none when it does not exist or we may not see it.
    Repository(Option<Arc<Repository>>),
    /// To `Issue`; none when it was deleted or moved.
    Issue(Option<Arc<Issue>>),
    /// To `Pull`.
    Pull(Option<Arc<Pull>>),
    /// To `PullsFrom` and `PullsOf`.
    Pulls(Vec<Arc<Pull>>),
    /// To `Activity`.
    Activity(Arc<Vec<Activity>>),
    /// To `Permission`.
    Permission(Permission),
    /// To `Members`.
    Members(Arc<BTreeSet<Login>>),
    /// To `Definitions`: or what is wrong with the settings.
    Definitions(Result<Arc<Definitions>, Arc<Vec<Diagnostic>>>),
    /// To `File`.
    File(Option<File>),
    /// To `Files`, by full path.
    Files(Arc<BTreeMap<RepoPath, TreeEntry>>),
    /// To `Blob`.
    Blob(Option<Bytes>),
    /// To `Entity`.
    Entity(Option<(RepoPath, Bytes)>),
    /// To `Entities` and `Alike`.
    Entities(Arc<BTreeSet<Identifier>>),
    /// To `Pointing`.
    Pointing(Arc<BTreeSet<EntityId>>),
    /// To `Search`: those that each query asks for, in their order.
    Found(Arc<Vec<Vec<Identifier>>>),
    /// To `Levels`, as expressions see them.
    Levels(Arc<Value>),
    /// To `Sums`: of those that each query asks for, in their order.
    Sums(Arc<Vec<f64>>),
    /// To `Chain`.
    Chain(Arc<Vec<ChainCommit>>),
    /// To `Diff`.
    Diff(Arc<BTreeMap<RepoPath, DiffEntry>>),
    /// To `Judged`.
    Judged(Arc<Vec<Diagnostic>>),
    /// To `Derived`: a line each.
    Derived(Result<Arc<Vec<String>>, TooMany>),
    /// To `Appearances`.
    Appearances(Arc<Vec<Appearance>>),
    /// To `Versions`.
    Versions(Arc<Vec<ObjectId>>),
    /// To `Unfinished`.
    Requests(Arc<BTreeSet<RequestId>>),
    /// To `Arrivals`.
    Arrivals(Arc<Vec<Arrival>>),
    /// To `Queue`, in their order; none where merges go through no queue.
    Queue(Option<Arc<Vec<Queued>>>),
    /// To `Mergeable`.
    Mergeable(Arc<Mergeable>),
    /// To `Checks`.
    Checks(Arc<BTreeSet<String>>),
    /// To `Workflow`.
    Workflow(Arc<Workflow>),
    /// To `Barred`: whose rules do; none where none does.
    Barred(Option<Arc<str>>),
    /// To `WorkflowRun`; none when it is not there.
    WorkflowRun(Option<Arc<WorkflowRun>>),
    /// To `FindRun`.
    FoundRun(Option<u64>),
    /// To `Pass`.
    Pass(Arc<str>),
    /// To `Outcome`.
    Outcome(Arc<Outcome>),
    /// It could not be learnt; the reason in words. Legal everywhere; every rule fails closed on it.
    Unknown(Arc<str>),
}

/// The answers that have come.
#[derive(Debug, Default, Clone)]
pub struct Facts {
    answers: HashMap<Question, Answer>,
    /// What was worked out from them; no copy has it.
    kept: Kept,
}

impl Facts {
    /// Notes an answer.
    pub fn insert(&mut self, question: Question, answer: Answer) {
        if self.answers.insert(question, answer).is_some() {
            self.kept.forget();
        }
    }

    /// The answer, if it has come.
    pub fn get(&self, question: &Question) -> Option<&Answer> {
        self.answers.get(question)
    }

    /// Forgets what was true a moment ago. What is true for ever stays, and so does where and who we are and what
    /// this pass has done.
    pub fn forget_the_present(&mut self) {
        let stays = |question: &Question| match question {
            Question::Here | Question::Pass | Question::Outcome(_) => true,
            other => other.is_content(),
        };
        self.answers.retain(|question, _| stays(question));
        self.kept.forget();
    }

    /// Every question answered, in order.
    pub fn questions(&self) -> BTreeSet<&Question> {
        self.answers.keys().collect()
    }
}

/// This part waits for an answer; the question is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending;

/// What was looked at, or that it is still awaited.
pub type Looked<T> = Result<T, Pending>;

/// Whether all of these have come; each is looked at, so that what is missing is asked for together.
pub(super) fn all<T>(looks: impl IntoIterator<Item = Looked<T>>) -> Looked<()> {
    let awaited = looks.into_iter().filter(Result::is_err).count();
    if awaited == 0 { Ok(()) } else { Err(Pending) }
}

/// Reads facts and notes what is missing.
pub struct Looker<'a> {
    facts: &'a Facts,
    missing: Rc<RefCell<BTreeSet<Question>>>,
    then: Option<Then>,
}

/// What was once, where something is looked at as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Then {
    /// The time.
    pub now: Timestamp,
    /// The blobs that files in targets were, and those that were not there.
    pub files: BTreeMap<(RepoName, RepoPath), Option<ObjectId>>,
}

macro_rules! looks {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $type:ty),*) -> $out:ty, $question:expr, $pattern:pat => $value:expr;)*) => {$(
        $(#[$doc])*
        pub fn $name(&self, $($arg: $type),*) -> Looked<Result<$out, Arc<str>>> {
            match self.look($question)? {
                $pattern => Ok(Ok($value)),
                Answer::Unknown(why) => Ok(Err(why.clone())),
                other => unreachable!("the answer is of another kind: {other:?}"),
            }
        }
    )*};
}

impl<'a> Looker<'a> {
    /// Looks at these facts.
    pub fn new(facts: &'a Facts) -> Self {
        Self { facts, missing: Rc::default(), then: None }
    }

    /// Looks at the same facts, but for what was otherwise then.
    pub fn as_of(&self, then: Then) -> Self {
        Self { facts: self.facts, missing: Rc::clone(&self.missing), then: Some(then) }
    }

    /// What was looked for in vain.
    pub fn missing(self) -> BTreeSet<Question> {
        self.missing.take()
    }

    /// Whether something is looked at as it was, or would be, at another time.
    pub fn is_of_then(&self) -> bool {
        self.then.is_some()
    }

    /// The blob that a file in a target was, or that it was not there; nothing where that is as now.
    pub fn once(&self, repository: &RepoName, path: &RepoPath) -> Option<Option<ObjectId>> {
        self.then.as_ref()?.files.get(&(repository.clone(), path.clone())).copied()
    }

    /// The time, by the forge's clock.
    pub fn now(&self) -> Looked<Result<Timestamp, Arc<str>>> {
        match &self.then {
            Some(then) => Ok(Ok(then.now)),
            None => self.now_of_forge(),
        }
    }

    fn look(&self, question: Question) -> Looked<&'a Answer> {
        match self.facts.get(&question) {
            Some(answer) => Ok(answer),
            None => {
                self.missing.borrow_mut().insert(question);
                Err(Pending)
            }
        }
    }

    /// What came of an attempt, if this pass made it.
    pub fn outcome(&self, attempt: &Attempt) -> Option<&'a Outcome> {
        match self.facts.get(&Question::Outcome(attempt.clone())) {
            Some(Answer::Outcome(outcome)) => Some(outcome),
            _ => None,
        }
    }

    looks! {
        /// The time, by the forge's clock, whatever is looked at as it was.
        now_of_forge() -> Timestamp, Question::Now, Answer::Now(now) => *now;
        /// When a commit of the catalog was made, as it says.
        committed_at(commit: ObjectId) -> Timestamp, Question::CommittedAt(commit), Answer::Now(at) => *at;
        /// Which catalog, and who we are.
        here() -> &'a Here, Question::Here, Answer::Here(here) => here;
        /// What this pass is called.
        pass() -> &'a str, Question::Pass, Answer::Pass(pass) => pass.as_ref();
        /// What keeps the head of a pull request from being merged.
        mergeable(pull: &Pull) -> &'a Mergeable, Question::Mergeable(pull.repository.clone(), pull.number, pull.head), Answer::Mergeable(found) => found.as_ref();
        /// What our checks on a commit of the catalog speak of.
        checks(commit: ObjectId, by: &Login) -> &'a BTreeSet<String>, Question::Checks(commit, by.clone()), Answer::Checks(about) => about.as_ref();
        /// A workflow, and what it says on a branch or tag.
        workflow(repository: &RepoName, file: &str, on: Option<&Branch>) -> &'a Workflow, Question::Workflow(repository.clone(), file.to_owned(), on.cloned()), Answer::Workflow(workflow) => workflow.as_ref();
        /// Whose rules keep us from making a branch.
        barred(repository: &RepoName, branch: &Branch) -> Option<&'a str>, Question::Barred(repository.clone(), branch.clone()), Answer::Barred(by) => by.as_deref();
        /// A run of a workflow.
        workflow_run(repository: &RepoName, run: u64) -> Option<&'a WorkflowRun>, Question::WorkflowRun(repository.clone(), run), Answer::WorkflowRun(run) => run.as_deref();
        /// The run of a workflow whose name holds a text.
        find_run(repository: &RepoName, workflow: &str, correlation: &str) -> Option<u64>, Question::FindRun(repository.clone(), workflow.to_owned(), correlation.to_owned()), Answer::FoundRun(run) => *run;
        /// What there is to look at.
        open() -> &'a Open, Question::Open, Answer::Open(open) => open;
        /// Where a branch points.
        head(repository: &RepoName, branch: &Branch) -> Option<ObjectId>, Question::Head(repository.clone(), branch.clone()), Answer::Head(head) => *head;
        /// What is known of a repository.
        repository(repository: &RepoName) -> Option<&'a Repository>, Question::Repository(repository.clone()), Answer::Repository(known) => known.as_deref();
        /// An issue.
        issue(number: u64) -> Option<&'a Issue>, Question::Issue(number), Answer::Issue(issue) => issue.as_deref();
        /// A pull request of the catalog.
        pull(number: u64) -> Option<&'a Pull>, Question::Pull(number), Answer::Pull(pull) => pull.as_deref();
        /// Pull requests from a branch.
        pulls_from(repository: &RepoName, branch: &Branch) -> &'a [Arc<Pull>], Question::PullsFrom(repository.clone(), branch.clone()), Answer::Pulls(pulls) => pulls.as_slice();
        /// Pull requests that brought a commit.
        pulls_of(commit: ObjectId) -> &'a [Arc<Pull>], Question::PullsOf(commit), Answer::Pulls(pulls) => pulls.as_slice();
        /// What was pushed to a branch.
        activity(repository: &RepoName, branch: &Branch) -> &'a [Activity], Question::Activity(repository.clone(), branch.clone()), Answer::Activity(activity) => activity.as_slice();
        /// What somebody may do.
        permission(repository: &RepoName, login: &Login) -> Permission, Question::Permission(repository.clone(), login.clone()), Answer::Permission(permission) => *permission;
        /// The members of a team of the forge.
        members(team: &str) -> &'a BTreeSet<Login>, Question::Members(team.to_owned()), Answer::Members(members) => members.as_ref();
        /// One file of a commit.
        file(repository: &RepoName, commit: ObjectId, path: &RepoPath) -> Option<&'a File>, Question::File(repository.clone(), commit, path.clone()), Answer::File(file) => file.as_ref();
        /// All files below a folder.
        files(repository: &RepoName, commit: ObjectId, folder: &RepoPath) -> &'a BTreeMap<RepoPath, TreeEntry>, Question::Files(repository.clone(), commit, folder.clone()), Answer::Files(files) => files.as_ref();
        /// The bytes of a blob.
        blob(repository: &RepoName, id: ObjectId) -> Option<&'a Bytes>, Question::Blob(repository.clone(), id), Answer::Blob(bytes) => bytes.as_ref();
        /// The file of an entity.
        entity(commit: ObjectId, id: &EntityId) -> Option<&'a (RepoPath, Bytes)>, Question::Entity(commit, id.clone()), Answer::Entity(file) => file.as_ref();
        /// The identifiers of a blueprint's entities.
        entities(commit: ObjectId, blueprint: &BlueprintId) -> &'a BTreeSet<Identifier>, Question::Entities(commit, blueprint.clone()), Answer::Entities(identifiers) => identifiers.as_ref();
        /// The identifiers that differ from one in case at most.
        alike(commit: ObjectId, id: &EntityId) -> &'a BTreeSet<Identifier>, Question::Alike(commit, id.clone()), Answer::Entities(identifiers) => identifiers.as_ref();
        /// The entities that point at one.
        pointing(commit: ObjectId, id: &EntityId) -> &'a BTreeSet<EntityId>, Question::Pointing(commit, id.clone()), Answer::Pointing(found) => found.as_ref();
        /// The entities that queries ask for.
        search(commit: ObjectId, search: Search) -> &'a Arc<Vec<Vec<Identifier>>>, Question::Search(commit, search), Answer::Found(found) => found;
        /// How far an entity has come by its scorecards.
        levels(commit: ObjectId, id: &EntityId, now: Option<Timestamp>) -> &'a Value, Question::Levels(commit, id.clone(), now), Answer::Levels(levels) => levels.as_ref();
        /// The sums of a property.
        sums(commit: ObjectId, search: Search, property: &str) -> &'a [f64], Question::Sums(commit, search, property.to_owned()), Answer::Sums(sums) => sums.as_slice();
        /// The first-parent chain of a branch.
        chain(repository: &RepoName, head: ObjectId, base: ObjectId) -> &'a [ChainCommit], Question::Chain { repository: repository.clone(), head, base }, Answer::Chain(chain) => chain.as_slice();
        /// What a branch changes.
        diff(repository: &RepoName, base: ObjectId, head: ObjectId) -> &'a BTreeMap<RepoPath, DiffEntry>, Question::Diff { repository: repository.clone(), base, head }, Answer::Diff(diff) => diff.as_ref();
        /// What the platform team wrote at a commit.
        definitions(commit: ObjectId) -> Result<&'a Definitions, &'a [Diagnostic]>, Question::Definitions(commit), Answer::Definitions(found) => found.as_deref().map_err(|wrong| wrong.as_slice());
        /// What merging a branch gives.
        merged(base: ObjectId, head: ObjectId) -> Option<ObjectId>, Question::Merged { base, head }, Answer::Head(merged) => *merged;
        /// What a branch makes wrong in the catalog.
        judged(base: ObjectId, head: ObjectId) -> &'a [Diagnostic], Question::Judged { base, head }, Answer::Judged(found) => found.as_slice();
        /// Which derived values and levels are lost, a line each.
        derived(base: ObjectId, head: ObjectId) -> Result<&'a [String], TooMany>, Question::Derived { base, head }, Answer::Derived(lost) => lost.as_ref().map(|lines| lines.as_slice()).map_err(|many| *many);
        /// Where a path appeared.
        appearances(commit: ObjectId, path: &RepoPath) -> &'a [Appearance], Question::Appearances(commit, path.clone()), Answer::Appearances(list) => list.as_slice();
        /// The requests without a record of an end.
        unfinished(commit: ObjectId) -> &'a BTreeSet<RequestId>, Question::Unfinished(commit), Answer::Requests(requests) => requests.as_ref();
        /// The requests that came to the default branch, oldest first.
        arrivals(commit: ObjectId, since: Timestamp) -> &'a [Arrival], Question::Arrivals(commit, since), Answer::Arrivals(list) => list.as_slice();
        /// What waits in the merge queue of a branch, in order; none where there is no queue.
        queue(repository: &RepoName, branch: &Branch) -> Option<&'a [Queued]>, Question::Queue(repository.clone(), branch.clone()), Answer::Queue(queue) => queue.as_deref().map(Vec::as_slice);
        /// What a path has been, newest first.
        versions(commit: ObjectId, path: &RepoPath) -> &'a [ObjectId], Question::Versions(commit, path.clone()), Answer::Versions(list) => list.as_slice();
    }
}
