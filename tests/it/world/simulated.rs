//! GitHub and Git as plain data: cheap to clone, so that every crash point can be branched.
//!
//! Models what hurts: numbers shared by issues and pull requests, heads frozen by merge and close,
//! re-pointed reviews, activity by account, lists and reviews that lag one change behind, effects
//! that are done but not told. What was pushed is learnt as the product learns it, from lists that it keeps.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex},
};

use chandlery::{
    catalog::{self, Definitions, Root},
    domain::{
        Activity, ActivityKind, Attribution, Branch, Bytes, Change, Changes, CheckId, CheckRun, Comment,
        Conclusion, Dismissal, Edit, FileMode, Identifier, Issue, Known, Login, ObjectId, Permission, Pull,
        PullCommit, PullState, Remark, RepoName, RepoPath, RequestId, Review, ReviewState, Timestamp,
        TreeEntry,
    },
    forge::moves::Moves,
    plan::{
        facts::{
            Answer, Appearance, Arrival, ChainCommit, ChainKind, DiffEntry, File, Here, Open, Question,
            Repository,
        },
        facts::{Group, Job, Mergeable, Queued, WorkflowRun},
        step::{Act, Acted, Backend, CHECK, Call, Commit, Outcome, Work},
    },
};
use serde_json::{Value, json};

use super::{Ask, Deed, How, Repo, World, fixture, tampered};

type Tree = Arc<BTreeMap<RepoPath, (ObjectId, Bytes)>>;

#[derive(Debug)]
struct GitCommit {
    parents: Vec<ObjectId>,
    tree: Tree,
    people: Vec<Attribution>,
    at: Timestamp,
}

#[derive(Debug, Clone)]
struct SimPull {
    pull: Pull,
    /// Our comments are in `pull.comments`; what is kept here is what the fields above cannot say.
    base_at_end: Option<ObjectId>,
    checks: BTreeMap<ObjectId, Vec<CheckRun>>,
}

impl SimPull {
    fn is_open_from(&self, repository: &RepoName, branch: &Branch) -> bool {
        self.pull.state == PullState::Open
            && self.pull.head_repository.as_ref() == Some(repository)
            && self.pull.head_branch.as_ref() == Some(branch)
    }
}

/// A run of a workflow.
#[derive(Debug, Clone)]
struct SimRun {
    workflow: String,
    correlation: Option<String>,
    conclusion: Option<String>,
    log: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct Store {
    branches: BTreeMap<Branch, ObjectId>,
    pulls: BTreeMap<u64, Arc<SimPull>>,
    issues: BTreeMap<u64, Arc<Issue>>,
    /// Which pull request brought a commit of the default branch.
    brought: BTreeMap<ObjectId, u64>,
    activity: BTreeMap<Branch, Vec<Activity>>,
    /// The newest status of each context of a commit.
    statuses: BTreeMap<ObjectId, BTreeMap<String, String>>,
    /// What the checks of a commit speak of that hold the logs of steps.
    logs: BTreeMap<ObjectId, BTreeSet<String>>,
    /// What waits to be merged, where merges go through a queue.
    queue: Option<Vec<Waiting>>,
    next: u64,
}

/// A pull request in the merge queue.
#[derive(Debug, Clone)]
struct Waiting {
    number: u64,
    /// The head that was put there.
    pinned: ObjectId,
    /// What it is tried on, and what it is tried as.
    group: Option<(ObjectId, ObjectId)>,
}

/// What the log of effects remembers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    Pushed {
        repository: RepoName,
        branch: Branch,
        existed: bool,
        changes: Arc<Changes>,
    },
    /// A push of ours took commits away.
    Lost {
        repository: RepoName,
        branch: Branch,
    },
    Called(Call),
    Asked(Backend),
    Deed(Deed),
    /// Somebody approved or asked for changes, having these request folders before them.
    Reviewed {
        who: String,
        at: (Repo, u64),
        approves: bool,
        folders: Folders,
    },
    /// A pass looked: what happens later it does not know when it acts.
    Looked,
    /// A pull request was merged, which brought these request folders: before it they were not there.
    Merged {
        repository: Repo,
        number: u64,
        folders: Folders,
        /// Whether our check let it through a queue while all was told as it was.
        let_through: bool,
    },
}

/// The files of each request in a tree, by its identifier.
pub type Folders = Vec<(String, Arc<BTreeMap<RepoPath, ObjectId>>)>;

/// How the next act goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It is not done and fails.
    NotDone,
    /// It is done, and the answer is lost.
    DoneNotTold,
    /// The forge takes no more calls for a while.
    Postponed,
}

/// The simulated world.
#[derive(Debug, Clone)]
pub struct Simulated {
    repos: BTreeMap<RepoName, Arc<Store>>,
    /// The repositories one change ago.
    before: BTreeMap<RepoName, Arc<Store>>,
    commits: Arc<HashMap<ObjectId, Arc<GitCommit>>>,
    now: i64,
    next_id: u64,
    seen_deeds: u64,
    /// Lists and reviews are told as they were one change ago.
    pub lags: bool,
    pub mishap: Option<Mishap>,
    /// Whether passes hold each decision against one that begins anew.
    pub doubted: bool,
    /// What the product keeps of branches from pass to pass, and how long the log was then.
    moves: BTreeMap<RepoName, (usize, Arc<Moves>)>,
    /// Kept lists are used whatever the log says; only a careless program does that.
    pub believes_what_was_kept: bool,
    looks: usize,
    /// What the server answers next.
    answers: VecDeque<(u16, String)>,
    /// Whether the next start of a workflow is not told.
    loses: bool,
    runs: BTreeMap<u64, SimRun>,
    /// Everything that happened, oldest first.
    pub log: Arc<Vec<Effect>>,
}

/// One entry of a branch's list, as the forge would name it.
fn entry(branch: &Branch, at: usize) -> Value {
    json!({ "ref": branch.full(), "at": at })
}

fn me() -> Login {
    fixture::ME.parse().unwrap()
}

fn main_branch() -> Branch {
    "main".parse().unwrap()
}

fn login(text: &str) -> Login {
    text.parse().unwrap()
}

impl Simulated {
    /// The company of the fixture.
    pub fn new() -> Self {
        let mut world = Self {
            repos: BTreeMap::new(),
            before: BTreeMap::new(),
            commits: Arc::default(),
            now: 1_795_000_000,
            next_id: 1000,
            seen_deeds: 0,
            lags: false,
            mishap: None,
            doubted: false,
            moves: BTreeMap::new(),
            believes_what_was_kept: false,
            looks: 0,
            answers: VecDeque::new(),
            loses: false,
            runs: BTreeMap::new(),
            log: Arc::default(),
        };
        for (name, files) in
            [(fixture::CATALOG, fixture::catalog_files()), (fixture::INFRA, fixture::infra_files())]
        {
            let tree = files
                .iter()
                .map(|(path, text)| {
                    let bytes: Bytes = text.as_bytes().into();
                    (path.parse().unwrap(), (ObjectId::of_blob(&bytes), bytes))
                })
                .collect();
            let commit = world.commit(Vec::new(), Arc::new(tree), vec![Attribution::Account(login("ada"))]);
            let store = Store { branches: [(main_branch(), commit)].into(), next: 1, ..Store::default() };
            world.repos.insert(name.parse().unwrap(), Arc::new(store));
        }
        let empty = Store { next: 1, ..Store::default() };
        world.repos.insert(fixture::FRESH.parse().unwrap(), Arc::new(empty));
        world.before = world.repos.clone();
        world
    }

    fn tick(&mut self) -> Timestamp {
        self.now += 1;
        Timestamp::from_seconds(self.now)
    }

    fn commit(&mut self, parents: Vec<ObjectId>, tree: Tree, people: Vec<Attribution>) -> ObjectId {
        let at = self.tick();
        self.commit_at(parents, tree, people, at)
    }

    fn commit_at(
        &mut self,
        parents: Vec<ObjectId>,
        tree: Tree,
        people: Vec<Attribution>,
        at: Timestamp,
    ) -> ObjectId {
        let mut text = format!("{parents:?}{people:?}{at}");
        for (path, (id, _)) in tree.iter() {
            text.push_str(&format!("{path}{id}"));
        }
        let id = ObjectId::of_blob(text.as_bytes());
        Arc::make_mut(&mut self.commits).insert(id, Arc::new(GitCommit { parents, tree, people, at }));
        id
    }

    fn store(&self, repository: &RepoName) -> &Arc<Store> {
        &self.repos[repository]
    }

    fn edit(&mut self, repository: &RepoName) -> &mut Store {
        let old = Arc::clone(&self.repos[repository]);
        self.before.insert(repository.clone(), old);
        Arc::make_mut(self.repos.get_mut(repository).expect("a known repository"))
    }

    fn tree(&self, commit: ObjectId) -> &Tree {
        &self.commits[&commit].tree
    }

    fn ancestors(&self, commit: ObjectId) -> BTreeSet<ObjectId> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![commit];
        while let Some(next) = todo.pop() {
            if seen.insert(next) {
                todo.extend(self.commits[&next].parents.iter().copied());
            }
        }
        seen
    }

    fn merge_base(&self, a: ObjectId, b: ObjectId) -> ObjectId {
        let known = self.ancestors(a);
        let mut todo = std::collections::VecDeque::from([b]);
        while let Some(next) = todo.pop_front() {
            if known.contains(&next) {
                return next;
            }
            todo.extend(self.commits[&next].parents.iter().copied());
        }
        panic!("unrelated histories")
    }

    /// The tree of a clean merge.
    fn merged_tree(&self, ours: ObjectId, theirs: ObjectId) -> Option<Tree> {
        let base = self.tree(self.merge_base(ours, theirs));
        three_way(base, self.tree(ours), self.tree(theirs))
    }

    /// The commit that merging gives, and what must be kept of it if it is a new one.
    fn merged(&self, base: ObjectId, head: ObjectId) -> Option<(ObjectId, Option<Arc<GitCommit>>)> {
        let fork = self.merge_base(base, head);
        if fork == base || fork == head {
            return Some((if fork == base { head } else { base }, None));
        }
        let tree = self.merged_tree(base, head)?;
        let id = ObjectId::of_blob(format!("merging {head} into {base}").as_bytes());
        let at = self.commits[&base].at.max(self.commits[&head].at);
        Some((id, Some(Arc::new(GitCommit { parents: vec![base, head], tree, people: Vec::new(), at }))))
    }

    fn changed_tree(&self, commit: ObjectId, changes: &Changes) -> Tree {
        let mut tree = BTreeMap::clone(self.tree(commit));
        for (path, change) in changes {
            match change.bytes() {
                Some(bytes) => tree.insert(path.clone(), (ObjectId::of_blob(bytes), bytes.clone())),
                None => tree.remove(path),
            };
        }
        Arc::new(tree)
    }

    /// The request folders of a tree.
    fn folders(&self, commit: ObjectId) -> Folders {
        let mut folders: BTreeMap<String, BTreeMap<RepoPath, ObjectId>> = BTreeMap::new();
        for (path, (id, _)) in self.tree(commit).iter() {
            if let Some((folder, _)) =
                path.as_str().strip_prefix("requests/").and_then(|rest| rest.rsplit_once('/'))
            {
                folders.entry(folder.to_owned()).or_default().insert(path.clone(), *id);
            }
        }
        folders.into_iter().map(|(id, files)| (id, Arc::new(files))).collect()
    }

    /// The numbers of the pull requests of a repository.
    pub fn numbers(&self, repository: Repo) -> Vec<u64> {
        self.store(&repository.name()).pulls.keys().copied().collect()
    }

    /// The numbers of the issues.
    pub fn issues(&self) -> Vec<u64> {
        self.store(&Repo::Catalog.name()).issues.keys().copied().collect()
    }

    /// The pull requests of a repository.
    pub fn pulls(&self, repository: Repo) -> Vec<Pull> {
        self.store(&repository.name()).pulls.values().map(|sim| sim.pull.clone()).collect()
    }

    /// Who asked: the author of the issue behind a pull request, or its own.
    pub fn author(&self, pull: u64, issue: Option<u64>) -> Option<String> {
        let store = self.store(&Repo::Catalog.name());
        let author = match issue {
            Some(number) => store.issues.get(&number)?.author.clone(),
            None => store.pulls.get(&pull)?.pull.author.clone(),
        };
        author.map(|login| login.to_string())
    }

    /// A file of a request that was merged, as YAML; null if there is none.
    pub fn merged_file(
        &self,
        id: &str,
        folder: &BTreeMap<RepoPath, ObjectId>,
        name: &str,
    ) -> serde_yaml::Value {
        let path: RepoPath = format!("requests/{id}/{name}").parse().unwrap();
        let blob = folder.get(&path);
        let bytes = self.commits.values().find_map(|commit| {
            commit.tree.get(&path).filter(|(id, _)| Some(id) == blob).map(|(_, bytes)| bytes.clone())
        });
        bytes.and_then(|bytes| serde_yaml::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// The time, in seconds.
    pub fn now(&self) -> i64 {
        self.now
    }

    /// The files of the catalog's default branch.
    pub fn catalog_files(&self) -> catalog::Files {
        let head = self.store(&Repo::Catalog.name()).branches[&main_branch()];
        self.tree(head).iter().map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect()
    }

    /// Moves a branch as `who`, and what follows from it.
    fn move_branch(
        &mut self,
        repository: &RepoName,
        branch: &Branch,
        to: ObjectId,
        who: &Login,
        kind: ActivityKind,
    ) {
        let at = self.tick();
        let before = self.store(repository).branches.get(branch).copied();
        let store = self.edit(repository);
        store.branches.insert(branch.clone(), to);
        let activity = Activity { actor: Some(who.clone()), kind, before, after: Some(to), at };
        store.activity.entry(branch.clone()).or_default().push(activity);
        for pull in store.pulls.values_mut() {
            if pull.is_open_from(repository, branch) {
                let pull = &mut Arc::make_mut(pull).pull;
                pull.head = to;
                // The forge re-points what was said to the new head.
                if let Known::Yes(reviews) = &mut pull.reviews {
                    for review in reviews {
                        review.commit = Some(to);
                    }
                }
            }
        }
    }

    fn push_commit(&mut self, repository: &RepoName, branch: &Branch, changes: &Changes, who: &Login) {
        let head = self.store(repository).branches[branch];
        let tree = self.changed_tree(head, changes);
        let commit = self.commit(vec![head], tree, vec![Attribution::Account(who.clone())]);
        self.move_branch(repository, branch, commit, who, ActivityKind::Pushed);
    }

    fn pull_commits(&self, sim: &SimPull) -> Vec<PullCommit> {
        let base =
            sim.base_at_end.unwrap_or_else(|| self.store(&sim.pull.repository).branches[&main_branch()]);
        let known = self.ancestors(base);
        let mut commits = Vec::new();
        let mut todo = vec![sim.pull.head];
        let mut seen = BTreeSet::new();
        while let Some(id) = todo.pop() {
            if known.contains(&id) || !seen.insert(id) {
                continue;
            }
            let commit = &self.commits[&id];
            commits.push((
                commit.at,
                PullCommit {
                    id,
                    parents: commit.parents.clone(),
                    people: commit.people.clone(),
                    checks: sim.checks.get(&id).cloned().unwrap_or_default(),
                },
            ));
            todo.extend(commit.parents.iter().copied());
        }
        // Oldest first: parents stand before their children.
        let mut ordered: Vec<PullCommit> = Vec::new();
        while !commits.is_empty() {
            let next = commits
                .iter()
                .position(|(_, commit)| commits.iter().all(|(_, other)| !commit.parents.contains(&other.id)))
                .expect("history has no loops");
            ordered.push(commits.remove(next).1);
        }
        ordered
    }

    fn shown(&self, sim: &SimPull) -> Arc<Pull> {
        let mut pull = sim.pull.clone();
        pull.commits = Known::Yes(self.pull_commits(sim));
        if self.lags
            && let Some(old) =
                self.before.get(&pull.repository).and_then(|store| store.pulls.get(&pull.number))
        {
            pull.reviews = old.pull.reviews.clone();
        }
        Arc::new(pull)
    }

    fn listed(&self, repository: &RepoName) -> &Arc<Store> {
        if self.lags { &self.before[repository] } else { &self.repos[repository] }
    }

    /// Brings what is kept of a repository's branches up to its log.
    fn follow(&mut self, repository: &RepoName) {
        let lags = self.lags && self.looks % 3 != 2;
        let store = if lags { &self.before[repository] } else { &self.repos[repository] };
        let length = store.activity.values().map(Vec::len).sum();
        let (known, moves) = self.moves.entry(repository.clone()).or_default();
        if self.believes_what_was_kept || std::mem::replace(known, length) == length {
            return;
        }
        let entries = store
            .activity
            .iter()
            .flat_map(|(branch, list)| list.iter().enumerate().map(move |(at, one)| (one.at, branch, at)));
        let mut log: Vec<_> = entries.collect();
        log.sort_unstable_by(|a, b| b.cmp(a));
        let log = log.into_iter().take(100).map(|(_, branch, at)| entry(branch, at)).collect();
        Arc::make_mut(moves).follow(log);
    }

    /// What was pushed to a branch, as the product learns it: from its list, or from what it keeps of that.
    fn pushes(&mut self, repository: &RepoName, branch: &Branch) -> Answer {
        let lags = self.lags && self.looks % 3 != 1;
        let store = if lags { &self.before[repository] } else { &self.repos[repository] };
        let full = branch.full();
        let (_, moves) = self.moves.entry(repository.clone()).or_default();
        let list = match moves.list(&full) {
            Some(list) => list.to_vec(),
            None => {
                let count = store.activity.get(branch).map_or(0, Vec::len);
                let list: Vec<Value> = (0..count).rev().map(|at| entry(branch, at)).collect();
                Arc::make_mut(moves).learn(&full, &list);
                list
            }
        };
        let all = self.repos[repository].activity.get(branch);
        let one = |entry: &Value| Some(all?[usize::try_from(entry["at"].as_u64()?).ok()?].clone());
        Answer::Activity(Arc::new(list.iter().rev().map(|entry| one(entry).expect("it happened")).collect()))
    }

    fn permission_of(who: &str) -> Permission {
        match fixture::PEOPLE.iter().find(|(name, _)| *name == who).map(|(_, permission)| *permission) {
            Some("admin") => Permission::Admin,
            Some("write") => Permission::Write,
            Some("read") => Permission::Read,
            _ => Permission::None,
        }
    }

    fn definitions(&self, commit: ObjectId) -> Answer {
        type Memo = Mutex<HashMap<u64, Answer>>;
        static MEMO: std::sync::LazyLock<Memo> = std::sync::LazyLock::new(Memo::default);
        let mut files = catalog::Files::new();
        let mut key = std::hash::DefaultHasher::new();
        for (path, (id, bytes)) in self.tree(commit).iter() {
            let text = path.as_str();
            if text == "chandlery.yaml"
                || [
                    "blueprints/",
                    "actions/",
                    "timed/",
                    "action-templates/",
                    "scripts/",
                    "policies/",
                    "scorecards/",
                ]
                .iter()
                .any(|folder| text.starts_with(folder))
            {
                std::hash::Hash::hash(&(path, id), &mut key);
                files.insert(path.clone(), bytes.clone());
            }
        }
        let key = std::hash::Hasher::finish(&key);
        MEMO.lock()
            .unwrap()
            .entry(key)
            .or_insert_with(|| {
                let root = Root::default();
                match catalog::load_settings(&root, files.get(&root.settings_path())) {
                    Ok(settings) => {
                        // Stories may break some; the fixture itself is looked at where it is made.
                        let (definitions, _) = catalog::load_definitions(&root, settings, &files);
                        Answer::Definitions(Ok(Arc::new(definitions)))
                    }
                    Err(problems) => Answer::Definitions(Err(Arc::new(problems))),
                }
            })
            .clone()
    }

    /// The definitions at the head of the catalog.
    pub fn present_definitions(&self) -> Arc<Definitions> {
        let head = self.store(&Repo::Catalog.name()).branches[&main_branch()];
        match self.definitions(head) {
            Answer::Definitions(Ok(definitions)) => definitions,
            other => panic!("{other:?}"),
        }
    }

    fn open(&self) -> Open {
        let catalog = Repo::Catalog.name();
        let store = self.listed(&catalog);
        let head = self.store(&catalog).branches[&main_branch()];
        Open {
            issues: store.issues.values().filter(|issue| issue.open).map(|issue| issue.number).collect(),
            pulls: store.pulls.keys().copied().collect(),
            requests: self.unfinished(head),
        }
    }

    fn unfinished(&self, commit: ObjectId) -> BTreeSet<RequestId> {
        let tree = self.tree(commit);
        let mut requests = BTreeSet::new();
        for path in tree.keys() {
            let record = |id: &str| tree.get(&format!("requests/{id}/run.yaml").parse().unwrap());
            let has_ended =
                |bytes: &Bytes| !String::from_utf8_lossy(bytes).contains("\nstatus: in_progress\n");
            if let Some(id) =
                path.as_str().strip_prefix("requests/").and_then(|rest| rest.strip_suffix("/request.yaml"))
                && !record(id).is_some_and(|(_, bytes)| has_ended(bytes))
            {
                requests.extend(id.parse::<RequestId>().ok());
            }
        }
        requests
    }

    fn arrivals(&self, head: ObjectId, since: Timestamp) -> Vec<Arrival> {
        let mut found = Vec::new();
        let mut id = Some(head);
        while let Some(commit) = id {
            let data = &self.commits[&commit];
            let parent = data.parents.first().copied();
            let is_new =
                |path: &&RepoPath| !parent.is_some_and(|parent| self.tree(parent).contains_key(*path));
            let requests: Vec<RequestId> = data
                .tree
                .keys()
                .filter(is_new)
                .filter_map(|path| {
                    path.as_str().strip_prefix("requests/")?.strip_suffix("/request.yaml")?.parse().ok()
                })
                .collect();
            found.push((commit, data.at, requests));
            id = parent;
        }
        let mut latest = Timestamp::from_seconds(i64::MIN);
        let mut arrivals = Vec::new();
        for (commit, at, requests) in found.into_iter().rev() {
            latest = latest.max(at);
            let arrived = requests.into_iter().map(|request| Arrival { request, commit, at: latest });
            arrivals.extend(arrived.filter(|arrival| arrival.at >= since));
        }
        arrivals
    }

    fn answer(&self, question: &Question) -> Answer {
        let catalog = Repo::Catalog.name();
        match question {
            Question::Here => Answer::Here(Arc::new(Here { catalog, branch: main_branch(), me: me() })),
            Question::Now => Answer::Now(Timestamp::from_seconds(self.now)),
            Question::Open => Answer::Open(Arc::new(self.open())),
            Question::Head(repository, branch) => {
                Answer::Head(self.repos.get(repository).and_then(|store| store.branches.get(branch).copied()))
            }
            Question::Repository(repository) => Answer::Repository(self.repos.get(repository).map(|store| {
                let head = store.branches.get(&main_branch());
                let default_branch = head.map(|head| (main_branch(), *head));
                Arc::new(Repository { default_branch, archived: false, renamed: None })
            })),
            Question::Issue(number) => Answer::Issue(self.store(&catalog).issues.get(number).cloned()),
            Question::Pull(number) => {
                Answer::Pull(self.store(&catalog).pulls.get(number).map(|sim| self.shown(sim)))
            }
            Question::PullsFrom(repository, branch) => Answer::Pulls(
                self.listed(repository)
                    .pulls
                    .values()
                    .filter(|sim| {
                        sim.pull.head_branch.as_ref() == Some(branch)
                            && sim.pull.head_repository.as_ref() == Some(repository)
                    })
                    .map(|sim| self.shown(sim))
                    .collect(),
            ),
            Question::PullsOf(commit) => {
                let store = self.listed(&catalog);
                let number = store.brought.get(commit);
                Answer::Pulls(
                    number
                        .and_then(|number| store.pulls.get(number))
                        .map(|sim| self.shown(sim))
                        .into_iter()
                        .collect(),
                )
            }
            Question::Mergeable(repository, number, head) => {
                let store = self.store(repository);
                let mut found = Mergeable::default();
                if let Some(sim) = store.pulls.get(number) {
                    let base = store.branches[&main_branch()];
                    found.conflicts = Some(self.merged_tree(base, sim.pull.head).is_none());
                }
                for (context, state) in store.statuses.get(head).into_iter().flatten() {
                    match state.as_str() {
                        "success" => {}
                        "pending" => drop(found.running.insert(context.clone())),
                        _ => drop(found.failed.insert(context.clone())),
                    }
                }
                Answer::Mergeable(Arc::new(found))
            }
            Question::Queue(repository, _) => {
                Answer::Queue(self.listed(repository).queue.as_ref().map(|queue| {
                    let queued = queue.iter().map(|waiting| Queued {
                        number: waiting.number,
                        group: waiting.group.map(|(base, head)| Group {
                            base,
                            head,
                            checks: self.checks_of(repository, waiting.number, head).to_vec(),
                        }),
                    });
                    Arc::new(queued.collect())
                }))
            }
            Question::Checks(commit, _) => {
                let found = self.store(&catalog).logs.get(commit).into_iter().flatten();
                Answer::Checks(Arc::new(found.cloned().collect()))
            }
            Question::Workflow(..) => Answer::Workflow(Arc::default()),
            Question::Barred(..) => Answer::Barred(None),
            Question::WorkflowRun(_, run) => Answer::WorkflowRun(self.runs.get(run).map(|run| {
                Arc::new(WorkflowRun {
                    conclusion: run.conclusion.clone(),
                    url: None,
                    jobs: vec![Job {
                        name: "run".to_owned(),
                        state: run.conclusion.clone().unwrap_or_else(|| "queued".to_owned()),
                    }],
                    log: run.conclusion.is_some().then(|| Ok(run.log.clone())),
                })
            })),
            Question::FindRun(_, workflow, correlation) => Answer::FoundRun(
                self.runs
                    .iter()
                    .find(|(_, run)| {
                        run.workflow == *workflow && run.correlation.as_ref() == Some(correlation)
                    })
                    .map(|(id, _)| *id),
            ),
            Question::Pass | Question::Outcome(_) => unreachable!("the pass answers it itself"),
            Question::Activity(..) => unreachable!("`ask` answers it"),
            Question::Permission(_, login) => Answer::Permission(Self::permission_of(login.as_str())),
            Question::Members(team) => Answer::Unknown(format!("there is no team {team}").into()),
            Question::Definitions(commit) => self.definitions(*commit),
            Question::File(_, commit, path) => {
                Answer::File(self.tree(*commit).get(path).map(|(id, bytes)| File {
                    mode: FileMode::File,
                    id: *id,
                    bytes: bytes.clone(),
                }))
            }
            Question::Files(_, commit, folder) => Answer::Files(Arc::new(
                self.tree(*commit)
                    .iter()
                    .filter(|(path, _)| path.under(folder).is_some())
                    .map(|(path, (id, _))| (path.clone(), TreeEntry { mode: FileMode::File, id: *id }))
                    .collect(),
            )),
            Question::CommittedAt(commit) => Answer::Now(self.commits[commit].at),
            Question::Blob(_, id) => Answer::Blob(
                self.commits
                    .values()
                    .find_map(|commit| commit.tree.values().find(|(blob, _)| blob == id))
                    .map(|(_, bytes)| bytes.clone()),
            ),
            Question::Entity(commit, id) => {
                let path: RepoPath =
                    format!("entities/{}/{}.yaml", id.blueprint, id.identifier.file_stem()).parse().unwrap();
                Answer::Entity(self.tree(*commit).get(&path).map(|(_, bytes)| (path, bytes.clone())))
            }
            Question::Entities(commit, blueprint) => {
                let folder: RepoPath = format!("entities/{blueprint}").parse().unwrap();
                Answer::Entities(Arc::new(
                    self.tree(*commit)
                        .keys()
                        .filter_map(|path| {
                            Identifier::of_file(path.under(&folder).filter(|below| below.ends_with(".yaml"))?)
                        })
                        .collect(),
                ))
            }
            Question::Pointing(commit, id) => {
                let Answer::Definitions(Ok(definitions)) = self.definitions(*commit) else {
                    return Answer::Unknown("no definitions".into());
                };
                let files = self.tree(*commit).iter();
                let files = files.map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect();
                Answer::Pointing(Arc::new(catalog::pointing(&definitions, &files, id)))
            }
            Question::Alike(commit, wanted) => {
                let all = Question::Entities(*commit, wanted.blueprint.clone());
                let Answer::Entities(all) = self.answer(&all) else { unreachable!("they are told") };
                let lower = wanted.identifier.as_str().to_lowercase();
                let is_alike = |known: &&Identifier| known.as_str().to_lowercase() == lower;
                Answer::Entities(Arc::new(all.iter().filter(is_alike).cloned().collect()))
            }
            Question::Search(commit, search) => {
                let Answer::Definitions(Ok(definitions)) = self.definitions(*commit) else {
                    return Answer::Unknown("no definitions".into());
                };
                let files = self
                    .tree(*commit)
                    .iter()
                    .map(|(path, (_, bytes))| (path.clone(), bytes.clone()))
                    .collect();
                match catalog::search(&definitions, &files, search) {
                    Ok(found) => Answer::Found(Arc::new(found)),
                    Err(why) => Answer::Unknown(why.into()),
                }
            }
            Question::Levels(commit, id, now) => {
                let Answer::Definitions(Ok(definitions)) = self.definitions(*commit) else {
                    return Answer::Unknown("no definitions".into());
                };
                let files = self.tree(*commit).iter();
                let files = files.map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect();
                Answer::Levels(Arc::new(catalog::levels(&definitions, &files, id, *now)))
            }
            Question::Sums(commit, search, property) => {
                let Answer::Definitions(Ok(definitions)) = self.definitions(*commit) else {
                    return Answer::Unknown("no definitions".into());
                };
                let files = self.tree(*commit).iter();
                let files = files.map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect();
                match catalog::sums(&definitions, &files, search, property) {
                    Ok(sums) => Answer::Sums(Arc::new(sums)),
                    Err(why) => Answer::Unknown(why.into()),
                }
            }
            Question::Chain { head, base, .. } => Answer::Chain(Arc::new(self.chain(*head, *base))),
            Question::Diff { base, head, .. } => {
                let from = self.tree(self.merge_base(*base, *head));
                let to = self.tree(*head);
                Answer::Diff(Arc::new(diff(from, to)))
            }
            Question::Merged { base, head } => Answer::Head(self.merged(*base, *head).map(|(id, _)| id)),
            Question::Judged { base, head } => {
                let report = |commit| {
                    let mut whole = chandlery::index::Whole::new(Root::default());
                    let tree = self.tree(commit).iter();
                    whole.files = tree.map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect();
                    whole.check().diagnostics
                };
                let (before, after) = (report(self.merge_base(*base, *head)), report(*head));
                Answer::Judged(Arc::new(catalog::newly(&before, &after)))
            }
            Question::Derived { base, head } => {
                let (Answer::Definitions(Ok(before)), Answer::Definitions(Ok(after))) =
                    (self.definitions(*base), self.definitions(*head))
                else {
                    return Answer::Unknown("no definitions".into());
                };
                let entities = |commit| -> catalog::Files {
                    let files = self.tree(commit).iter();
                    let files = files.filter(|(path, _)| path.as_str().starts_with("entities/"));
                    files.map(|(path, (_, bytes))| (path.clone(), bytes.clone())).collect()
                };
                let files = [entities(*base), entities(*head)];
                let side = |definitions, files| catalog::Side { definitions, files };
                let (before, after) = (side(&before, &files[0]), side(&after, &files[1]));
                Answer::Derived(catalog::lost(before, after, self.commits[head].at).map(Arc::new))
            }
            Question::Appearances(commit, path) => {
                Answer::Appearances(Arc::new(self.appearances(*commit, path)))
            }
            Question::Unfinished(commit) => Answer::Requests(Arc::new(self.unfinished(*commit))),
            Question::Arrivals(commit, since) => Answer::Arrivals(Arc::new(self.arrivals(*commit, *since))),
            Question::Versions(commit, path) => Answer::Versions(Arc::new(self.versions(*commit, path))),
        }
    }

    fn chain(&self, head: ObjectId, base: ObjectId) -> Vec<ChainCommit> {
        let known = self.ancestors(base);
        let mut chain = Vec::new();
        let mut id = head;
        while !known.contains(&id) {
            let commit = &self.commits[&id];
            let kind = match commit.parents.as_slice() {
                [ours, theirs] => {
                    let clean = known.contains(theirs)
                        && self.merged_tree(*ours, *theirs).is_some_and(|tree| same(&tree, &commit.tree));
                    if clean { ChainKind::CleanMergeOfBase } else { ChainKind::OtherMerge }
                }
                _ => ChainKind::Ordinary,
            };
            let Some(first) = commit.parents.first() else { break };
            let paths = diff(self.tree(*first), &commit.tree).into_keys().collect();
            chain.push(ChainCommit { id, kind, paths });
            id = *first;
        }
        chain
    }

    fn appearances(&self, head: ObjectId, path: &RepoPath) -> Vec<Appearance> {
        let mut found = Vec::new();
        let mut id = Some(head);
        while let Some(commit) = id {
            let data = &self.commits[&commit];
            let parent = data.parents.first().copied();
            let was = parent.is_some_and(|parent| self.tree(parent).contains_key(path));
            if data.tree.contains_key(path) && !was {
                found.push(Appearance { commit, parent, at: data.at });
            }
            id = parent;
        }
        found
    }

    fn versions(&self, head: ObjectId, path: &RepoPath) -> Vec<ObjectId> {
        let mut versions = Vec::new();
        let mut next = Some(head);
        while let Some(id) = next {
            let commit = &self.commits[&id];
            if let Some((blob, _)) = commit.tree.get(path)
                && !versions.contains(blob)
            {
                versions.push(*blob);
            }
            next = commit.parents.first().copied();
        }
        versions
    }

    fn settle_queues(&mut self) {
        for repository in [Repo::Catalog, Repo::Infra] {
            self.settle_queue(&repository.name());
        }
    }

    fn do_act(&mut self, act: &Act) -> Acted {
        match act {
            Act::Push { repository, commits, .. } => {
                let mut refused = Vec::new();
                for commit in commits {
                    if let Err(why) = self.push(repository, commit) {
                        refused.push(why);
                    }
                }
                if refused.is_empty() { Acted::Done } else { Acted::Refused(refused.join("; ")) }
            }
            Act::Backend(backend) => {
                Arc::make_mut(&mut self.log).push(Effect::Asked((**backend).clone()));
                self.backend(&backend.work)
            }
            Act::Call(call) => {
                let acted = self.call(call);
                if acted == Acted::Done {
                    Arc::make_mut(&mut self.log).push(Effect::Called(call.clone()));
                }
                acted
            }
            Act::Notify(_) => Acted::Done,
        }
    }

    fn backend(&mut self, work: &Work) -> Acted {
        match work {
            Work::Cancel { run, .. } => match self.runs.get_mut(run) {
                Some(run) => {
                    run.conclusion.get_or_insert_with(|| "cancelled".to_owned());
                    Acted::Told(Outcome::Cancelled)
                }
                None => Acted::Told(Outcome::Refused("there is no such run".into())),
            },
            Work::Dispatch { workflow, inputs, .. } => {
                self.next_id += 1;
                let id = self.next_id;
                let run = SimRun {
                    workflow: workflow.clone(),
                    correlation: inputs.get("correlation").cloned(),
                    conclusion: None,
                    log: Vec::new(),
                };
                self.runs.insert(id, run);
                if std::mem::take(&mut self.loses) {
                    return Acted::Failed("no answer".into());
                }
                Acted::Told(Outcome::Dispatched(Some(id)))
            }
            Work::Send(call) => {
                let (mut status, mut json) = self.answers.pop_front().unwrap_or((200, "{}".into()));
                for _ in 0..call.retries {
                    if call.is_success(status) || status < 500 {
                        break;
                    }
                    (status, json) = self.answers.pop_front().unwrap_or((200, "{}".into()));
                }
                let body = serde_json::from_str(&json).unwrap();
                Acted::Told(Outcome::Answered { status, headers: BTreeMap::new(), body })
            }
            Work::Run(script) => {
                let lines = fixture::said_by(&script.name).lines().map(str::to_owned).collect();
                Acted::Told(Outcome::Ran { problem: None, lines, timed_out: false })
            }
        }
    }

    fn push(&mut self, repository: &RepoName, commit: &Commit) -> Result<(), String> {
        let now = self.store(repository).branches.get(&commit.branch).copied();
        let tree = match commit.parent {
            Some(parent) => self.changed_tree(parent, &commit.changes),
            None => Tree::default(),
        };
        // The same step makes the same commit.
        let people = vec![Attribution::Account(me())];
        let id = self.commit_at(commit.parent.into_iter().collect(), tree, people, commit.at);
        if now == Some(id) {
            return Ok(());
        }
        if now != commit.expect {
            return Err(format!("`{}` moved", commit.branch));
        }
        let kind = if now.is_some() { ActivityKind::Pushed } else { ActivityKind::Created };
        if now.is_some_and(|now| !self.ancestors(id).contains(&now)) {
            let lost = Effect::Lost { repository: repository.clone(), branch: commit.branch.clone() };
            Arc::make_mut(&mut self.log).push(lost);
        }
        self.move_branch(repository, &commit.branch, id, &me(), kind);
        Arc::make_mut(&mut self.log).push(Effect::Pushed {
            repository: repository.clone(),
            branch: commit.branch.clone(),
            existed: now.is_some(),
            changes: Arc::new(commit.changes.clone()),
        });
        Ok(())
    }

    fn open_pull(
        &mut self,
        repository: &RepoName,
        branch: &Branch,
        title: &str,
        body: &str,
        who: &Login,
    ) -> Result<u64, Acted> {
        let store = self.store(repository);
        if store.pulls.values().any(|sim| sim.is_open_from(repository, branch)) {
            return Err(Acted::Done);
        }
        let Some(head) = store.branches.get(branch).copied() else {
            return Err(Acted::Refused("no such branch".into()));
        };
        let base = store.branches[&main_branch()];
        if self.ancestors(base).contains(&head) {
            return Err(Acted::Refused("no commits between".into()));
        }
        Ok(self.new_pull(repository, repository, branch, head, (title, body), who))
    }

    fn new_pull(
        &mut self,
        repository: &RepoName,
        from: &RepoName,
        branch: &Branch,
        head: ObjectId,
        (title, body): (&str, &str),
        who: &Login,
    ) -> u64 {
        let at = self.tick();
        let store = self.edit(repository);
        let number = store.next;
        store.next += 1;
        let pull = Pull {
            repository: repository.clone(),
            number,
            author: Some(who.clone()),
            title: title.to_owned(),
            body: body.to_owned(),
            state: PullState::Open,
            draft: false,
            head_repository: Some(from.clone()),
            head_branch: Some(branch.clone()),
            head,
            base_branch: main_branch(),
            created_at: at,
            merged_at: None,
            merged_by: None,
            merge_commit: None,
            closed_at: None,
            closed_by: None,
            last_closed: None,
            left_queue: None,
            reviews: Known::Yes(Vec::new()),
            commits: Known::Yes(Vec::new()),
            comments: Vec::new(),
            remarks: Vec::new(),
            requested: Vec::new(),
            labels: BTreeSet::new(),
            url: String::new(),
        };
        store.pulls.insert(number, Arc::new(SimPull { pull, base_at_end: None, checks: BTreeMap::new() }));
        number
    }

    fn pull_mut(&mut self, repository: &RepoName, number: u64) -> Option<&mut SimPull> {
        self.edit(repository).pulls.get_mut(&number).map(Arc::make_mut)
    }

    fn call(&mut self, call: &Call) -> Acted {
        match call {
            Call::OpenPull { repository, branch, title, body, draft, .. } => {
                match self.open_pull(repository, branch, title, body, &me()) {
                    Ok(number) => {
                        if let Some(sim) = self.pull_mut(repository, number) {
                            sim.pull.draft = *draft;
                        }
                        Acted::Done
                    }
                    Err(acted) => acted,
                }
            }
            Call::ClosePull { repository, number } => self.close(repository, *number, &me()),
            Call::Merge { repository, number, head } => {
                let Some(sim) = self.store(repository).pulls.get(number) else {
                    return Acted::Refused("gone".into());
                };
                if sim.pull.head != *head {
                    return Acted::Refused("head moved".into());
                }
                if self.merge(repository, *number, How::Merge, &me()) {
                    Acted::Done
                } else {
                    Acted::Refused("not mergeable".into())
                }
            }
            Call::Enqueue { repository, number, head } => {
                match self.enqueue(repository, *number, Some(*head)) {
                    Ok(()) => Acted::Done,
                    Err(why) => Acted::Refused(why.into()),
                }
            }
            Call::AskReviewers { repository, number, users, teams } => {
                let Some(sim) = self.pull_mut(repository, *number) else {
                    return Acted::Refused("gone".into());
                };
                for user in users {
                    sim.pull.requested.push(user.to_string());
                }
                sim.pull.requested.extend(teams.iter().cloned());
                Acted::Done
            }
            Call::Say { repository, number, body, comment } => {
                self.next_id += 1;
                let id = self.next_id;
                let store = self.edit(repository);
                let comments = match store.pulls.get_mut(number) {
                    Some(sim) => &mut Arc::make_mut(sim).pull.comments,
                    None => match store.issues.get_mut(number) {
                        Some(issue) => &mut Arc::make_mut(issue).comments,
                        None => return Acted::Refused("gone".into()),
                    },
                };
                match comment {
                    None => comments.push(Comment { id, body: body.clone() }),
                    Some(old) => match comments.iter_mut().find(|comment| comment.id == *old) {
                        Some(found) => found.body = body.clone(),
                        None => return Acted::Refused("the comment is gone".into()),
                    },
                }
                Acted::Done
            }
            Call::DropBranch { repository, branch } => {
                let at = self.tick();
                let store = self.edit(repository);
                if let Some(before) = store.branches.remove(branch) {
                    let kind = ActivityKind::Deleted;
                    let gone = Activity { actor: Some(me()), kind, before: Some(before), after: None, at };
                    store.activity.entry(branch.clone()).or_default().push(gone);
                }
                Acted::Done
            }
            Call::Unsay { repository, comment } => {
                let store = self.edit(repository);
                for sim in store.pulls.values_mut() {
                    Arc::make_mut(sim).pull.comments.retain(|known| known.id != *comment);
                }
                for issue in store.issues.values_mut() {
                    Arc::make_mut(issue).comments.retain(|known| known.id != *comment);
                }
                Acted::Done
            }
            Call::Check { repository, commit, name, external_id, .. } if name != CHECK => {
                self.edit(repository).logs.entry(*commit).or_default().insert(external_id.clone());
                Acted::Done
            }
            Call::Check { repository, commit, external_id, conclusion, title, run, .. } => {
                let at = self.tick();
                self.next_id += 1;
                let id = self.next_id;
                let store = self.edit(repository);
                for sim in store.pulls.values_mut() {
                    let sim = Arc::make_mut(sim);
                    let checks = sim.checks.entry(*commit).or_default();
                    match run {
                        Some(run) => {
                            if let Some(check) = checks.iter_mut().find(|check| check.id == *run) {
                                check.external_id.clone_from(external_id);
                                check.conclusion = *conclusion;
                                check.title.clone_from(title);
                            }
                        }
                        None => checks.push(CheckRun {
                            id: CheckId::Run(id),
                            external_id: external_id.clone(),
                            conclusion: *conclusion,
                            started_at: at,
                            title: title.clone(),
                        }),
                    }
                }
                Acted::Done
            }
            Call::Label { repository, number, add, remove } => {
                let store = self.edit(repository);
                let labels = match store.pulls.get_mut(number) {
                    Some(sim) => &mut Arc::make_mut(sim).pull.labels,
                    None => match store.issues.get_mut(number) {
                        Some(issue) => &mut Arc::make_mut(issue).labels,
                        None => return Acted::Refused("gone".into()),
                    },
                };
                labels.extend(add.iter().cloned());
                labels.retain(|label| !remove.contains(label));
                Acted::Done
            }
            Call::CloseIssue { number, .. } => {
                let store = self.edit(&Repo::Catalog.name());
                match store.issues.get_mut(number) {
                    Some(issue) => {
                        let issue = Arc::make_mut(issue);
                        issue.open = false;
                        issue.closed_by = Some(me());
                        Acted::Done
                    }
                    None => Acted::Refused("gone".into()),
                }
            }
        }
    }

    fn close(&mut self, repository: &RepoName, number: u64, who: &Login) -> Acted {
        let at = self.tick();
        let base = self.store(repository).branches[&main_branch()];
        match self.pull_mut(repository, number) {
            Some(sim) if sim.pull.state == PullState::Open => {
                sim.pull.state = PullState::Closed;
                sim.pull.closed_at = Some(at);
                sim.pull.closed_by = Some(who.clone());
                sim.pull.last_closed = Some(at);
                sim.base_at_end = Some(base);
                Acted::Done
            }
            Some(_) => Acted::Done,
            None => Acted::Refused("gone".into()),
        }
    }

    fn merge(&mut self, repository: &RepoName, number: u64, how: How, who: &Login) -> bool {
        let Some(sim) = self.store(repository).pulls.get(&number).cloned() else { return false };
        if sim.pull.state != PullState::Open || sim.pull.draft {
            return false;
        }
        let base = self.store(repository).branches[&sim.pull.base_branch];
        let Some(tree) = self.merged_tree(base, sim.pull.head) else { return false };
        let merger = Attribution::Account(who.clone());
        let mut brought = Vec::new();
        let commit = match how {
            How::Queue => unreachable!("the queue merges"),
            How::Merge => self.commit(vec![base, sim.pull.head], tree, vec![merger, Attribution::Forge]),
            How::Squash => self.commit(vec![base], tree, vec![merger, Attribution::Forge]),
            How::Rebase => {
                let mut tip = base;
                for commit in self.pull_commits(&sim) {
                    // Merges are left out; what they brought of the base is there already.
                    let [parent] = commit.parents.as_slice() else { continue };
                    let Some(next) = three_way(self.tree(*parent), self.tree(tip), self.tree(commit.id))
                    else {
                        return false;
                    };
                    tip = self.commit(vec![tip], next, commit.people.clone());
                    brought.push(tip);
                }
                tip
            }
        };
        brought.push(commit);
        self.land(repository, number, commit, brought, who);
        true
    }

    /// The base moves to a commit that merges a pull request.
    fn land(
        &mut self,
        repository: &RepoName,
        number: u64,
        commit: ObjectId,
        brought: Vec<ObjectId>,
        who: &Login,
    ) {
        let branch = self.store(repository).pulls[&number].pull.base_branch.clone();
        let base = self.store(repository).branches[&branch];
        self.move_branch(repository, &branch, commit, who, ActivityKind::Merged);
        let all = [Repo::Catalog, Repo::Infra, Repo::Fresh];
        let kind = all.into_iter().find(|kind| kind.name() == *repository).expect("a known repository");
        let known: BTreeSet<String> = self.folders(base).into_iter().map(|(id, _)| id).collect();
        let mut folders = self.folders(commit);
        folders.retain(|(id, _)| !known.contains(id));
        let let_through = who.as_str() == fixture::QUEUE && !self.lags;
        if branch == main_branch() {
            let merged = Effect::Merged { repository: kind, number, folders, let_through };
            Arc::make_mut(&mut self.log).push(merged);
        }
        let at = self.tick();
        let store = self.edit(repository);
        for id in brought {
            store.brought.insert(id, number);
        }
        let sim = Arc::make_mut(store.pulls.get_mut(&number).expect("it was there"));
        sim.pull.state = PullState::Merged;
        sim.pull.merged_at = Some(at);
        sim.pull.merged_by = Some(who.clone());
        sim.pull.merge_commit = Some(commit);
        sim.pull.closed_at = Some(at);
        sim.base_at_end = Some(base);
    }

    fn checks_of(&self, repository: &RepoName, number: u64, commit: ObjectId) -> &[CheckRun] {
        let sim = self.store(repository).pulls.get(&number);
        sim.and_then(|sim| sim.checks.get(&commit)).map_or(&[], Vec::as_slice)
    }

    /// Puts a pull request into the queue, with the head that it has, or that it must have.
    fn enqueue(
        &mut self,
        repository: &RepoName,
        number: u64,
        expected: Option<ObjectId>,
    ) -> Result<(), &'static str> {
        let store = self.store(repository);
        let Some(queue) = &store.queue else { return Err("there is no merge queue") };
        let Some(sim) = store.pulls.get(&number) else { return Err("gone") };
        let head = sim.pull.head;
        if sim.pull.state != PullState::Open || sim.pull.draft {
            return Err("it cannot be merged");
        }
        if expected.is_some_and(|expected| expected != head) {
            return Err("head moved");
        }
        if queue.iter().any(|waiting| waiting.number == number) {
            return Ok(());
        }
        if !self.is_green(repository, number, head).unwrap_or(false) {
            return Err("a required check is missing");
        }
        let waiting = Waiting { number, pinned: head, group: None };
        self.edit(repository).queue.as_mut().expect("it is there").push(waiting);
        Ok(())
    }

    /// What the required check says of a commit: only the catalog requires one.
    fn is_green(&self, repository: &RepoName, number: u64, commit: ObjectId) -> Option<bool> {
        if *repository != Repo::Catalog.name() {
            return Some(true);
        }
        let conclusion = self.checks_of(repository, number, commit).last()?.conclusion?;
        Some(matches!(conclusion, Conclusion::Success | Conclusion::Neutral))
    }

    /// What the queue does by itself: tries each on what goes before it, throws out what fails, merges what is green.
    fn settle_queue(&mut self, repository: &RepoName) {
        while let Some(queue) = self.store(repository).queue.clone() {
            let main = self.store(repository).branches[&main_branch()];
            let mut base = main;
            let mut out = None;
            for (at, waiting) in queue.iter().enumerate() {
                let pull = &self.store(repository).pulls[&waiting.number].pull;
                let fits = pull.state == PullState::Open
                    && !pull.draft
                    && pull.head == waiting.pinned
                    && pull.base_branch == main_branch();
                if !fits {
                    out = Some(at);
                    break;
                }
                let head = match waiting.group {
                    Some((on, head)) if on == base => head,
                    _ => {
                        let Some(tree) = self.merged_tree(base, waiting.pinned) else {
                            out = Some(at);
                            break;
                        };
                        let people = vec![Attribution::Account(login(fixture::QUEUE)), Attribution::Forge];
                        let head = self.commit(vec![base, waiting.pinned], tree, people);
                        self.edit(repository).queue.as_mut().expect("it is there")[at].group =
                            Some((base, head));
                        head
                    }
                };
                match self.is_green(repository, waiting.number, head) {
                    Some(false) => {
                        out = Some(at);
                        break;
                    }
                    Some(true) if base == main => {
                        self.edit(repository).queue.as_mut().expect("it is there").remove(at);
                        self.land(repository, waiting.number, head, vec![head], &login(fixture::QUEUE));
                        out = Some(usize::MAX);
                        break;
                    }
                    Some(true) | None => base = head,
                }
            }
            match out {
                None => return,
                Some(usize::MAX) => {}
                Some(at) => {
                    let now = self.tick();
                    let store = self.edit(repository);
                    let gone = store.queue.as_mut().expect("it is there").remove(at);
                    let sim = Arc::make_mut(store.pulls.get_mut(&gone.number).expect("it is there"));
                    sim.pull.left_queue = Some(now);
                }
            }
        }
    }

    /// The pull requests that wait to be merged into the default branch.
    pub fn waiting(&self, repository: Repo) -> Vec<u64> {
        let queue = &self.store(&repository.name()).queue;
        queue.iter().flatten().map(|waiting| waiting.number).collect()
    }

    /// Whether a commit tries something that waits to be merged.
    pub fn is_group(&self, repository: Repo, commit: ObjectId) -> bool {
        let queue = &self.store(&repository.name()).queue;
        queue.iter().flatten().any(|waiting| waiting.group.is_some_and(|(_, head)| head == commit))
    }

    /// Whether merges into a repository go through a queue.
    pub fn has_queue(&self, repository: Repo) -> bool {
        self.store(&repository.name()).queue.is_some()
    }

    fn review(&mut self, who: &str, at: (Repo, u64), state: ReviewState) -> bool {
        let now = self.tick();
        self.next_id += 1;
        let id = self.next_id;
        let author = login(who);
        match self.pull_mut(&at.0.name(), at.1) {
            // Nobody approves or refuses their own; merged and closed ones can still be reviewed.
            Some(sim) if state == ReviewState::Commented || sim.pull.author.as_ref() != Some(&author) => {
                let head = sim.pull.head;
                sim.pull.requested.retain(|name| name != author.as_str());
                if let Known::Yes(reviews) = &mut sim.pull.reviews {
                    reviews.push(Review {
                        id,
                        author: Some(author),
                        state,
                        submitted_at: now,
                        commit: Some(head),
                        dismissed: None,
                    });
                }
                if state != ReviewState::Commented {
                    let folders = self.folders(head);
                    let approves = state == ReviewState::Approved;
                    Arc::make_mut(&mut self.log).push(Effect::Reviewed {
                        who: who.to_owned(),
                        at,
                        approves,
                        folders,
                    });
                }
                true
            }
            _ => false,
        }
    }

    fn file_issue(&mut self, who: &str, body: String) -> bool {
        let at = self.tick();
        let store = self.edit(&Repo::Catalog.name());
        let number = store.next;
        store.next += 1;
        let issue = Issue {
            number,
            author: Some(login(who)),
            edits: Known::Yes(Vec::new()),
            title: "Please".into(),
            body,
            open: true,
            locked: false,
            created_at: at,
            closed_by: None,
            last_closed: None,
            comments: Vec::new(),
            labels: BTreeSet::new(),
            remarks: Vec::new(),
        };
        store.issues.insert(number, Arc::new(issue));
        true
    }

    fn edit_issue(&mut self, who: &str, number: u64, change: impl FnOnce(&mut Issue, &Login)) -> bool {
        let can_write = Self::permission_of(who) >= Permission::Write;
        let who = login(who);
        let store = self.edit(&Repo::Catalog.name());
        match store.issues.get_mut(&number) {
            Some(issue) if can_write || issue.author.as_ref() == Some(&who) => {
                change(Arc::make_mut(issue), &who);
                true
            }
            _ => false,
        }
    }

    fn ask_branch(&mut self, who: &str, id: &str, ask: &Ask) -> bool {
        let catalog = Repo::Catalog.name();
        let taken = |branch: &Branch| self.store(&catalog).branches.contains_key(branch);
        let mut branch: Branch = format!("ask/{}", id.replace('/', "-")).parse().unwrap();
        if taken(&branch) {
            branch = format!("{branch}-again").parse().unwrap();
        }
        if Self::permission_of(who) < Permission::Write || taken(&branch) {
            return false;
        }
        let base = self.store(&catalog).branches[&main_branch()];
        let who = login(who);
        let path: RepoPath = format!("requests/{id}/request.yaml").parse().unwrap();
        let bytes: Bytes = ask.file().into_bytes().into();
        if self.tree(base).get(&path).is_some_and(|(_, old)| *old == bytes) {
            return false;
        }
        let changes = [(path, Change::Put(bytes))].into();
        let tree = self.changed_tree(base, &changes);
        let commit = self.commit(vec![base], tree, vec![Attribution::Account(who.clone())]);
        self.move_branch(&catalog, &branch, commit, &who, ActivityKind::Created);
        self.open_pull(&catalog, &branch, "Please", "", &who).is_ok()
    }

    /// A pull request from a fork; what lies in the fork besides is not modelled.
    fn offer(&mut self, who: &str, id: &str, ask: &Ask) -> bool {
        let catalog = Repo::Catalog.name();
        let branch: Branch = format!("offer/{}", id.replace('/', "-")).parse().unwrap();
        let fork: RepoName = format!("{who}/catalog").parse().unwrap();
        let taken = self.store(&catalog).pulls.values().any(|sim| {
            sim.pull.head_repository.as_ref() == Some(&fork) && sim.pull.head_branch.as_ref() == Some(&branch)
        });
        let base = self.store(&catalog).branches[&main_branch()];
        let path: RepoPath = format!("requests/{id}/request.yaml").parse().unwrap();
        if taken || self.tree(base).contains_key(&path) {
            return false;
        }
        let who = login(who);
        let changes = [(path, Change::Put(ask.file().into_bytes().into()))].into();
        let tree = self.changed_tree(base, &changes);
        let commit = self.commit(vec![base], tree, vec![Attribution::Account(who.clone())]);
        self.new_pull(&catalog, &fork, &branch, commit, ("Please", ""), &who);
        true
    }

    /// The open pull request, its branch, and the request in it.
    fn open_request(&self, number: u64) -> Option<(Branch, ObjectId, String)> {
        let sim = self.store(&Repo::Catalog.name()).pulls.get(&number)?;
        if sim.pull.state != PullState::Open
            || sim.pull.head_repository.as_ref() != Some(&Repo::Catalog.name())
        {
            return None;
        }
        let base = self.store(&Repo::Catalog.name()).branches[&main_branch()];
        let from = self.tree(self.merge_base(base, sim.pull.head));
        let id = diff(from, self.tree(sim.pull.head)).into_keys().find_map(|path| {
            Some(path.as_str().strip_prefix("requests/")?.strip_suffix("/request.yaml")?.to_owned())
        })?;
        Some((sim.pull.head_branch.clone()?, sim.pull.head, id))
    }

    /// The request that a merged pull request brought.
    fn merged_request(&self, number: u64) -> Option<String> {
        let sim = self.store(&Repo::Catalog.name()).pulls.get(&number)?;
        let ours =
            sim.pull.comments.iter().find_map(|comment| chandlery::plan::message::request_of(&comment.body));
        ours.map(|id| id.to_string())
    }

    fn put(&mut self, repository: &RepoName, branch: &Branch, path: &str, text: &str, who: &str) -> bool {
        let path: RepoPath = path.parse().unwrap();
        let bytes: Bytes = text.as_bytes().into();
        let head = self.store(repository).branches[branch];
        if self.tree(head).get(&path).is_some_and(|(_, old)| *old == bytes) {
            return false;
        }
        self.push_commit(repository, branch, &[(path, Change::Put(bytes))].into(), &login(who));
        true
    }

    fn do_deed(&mut self, deed: &Deed) -> bool {
        let catalog = Repo::Catalog.name();
        let infra = Repo::Infra.name();
        let writes = |who: &str| Self::permission_of(who) >= Permission::Write;
        match deed {
            Deed::File { who, ask } => {
                let body = ask.issue(&self.present_definitions());
                self.file_issue(who, body)
            }
            Deed::EditIssue { who, issue, ask } => {
                let body = ask.issue(&self.present_definitions());
                let at = self.tick();
                self.edit_issue(who, *issue, |issue, who| set_body(issue, who, at, body))
            }
            Deed::SpoilIssue { who, issue } => {
                let at = self.tick();
                self.edit_issue(who, *issue, |issue, who| {
                    set_body(issue, who, at, format!("{}\n\n### Approved\n\nyes\n", issue.body))
                })
            }
            Deed::CloseIssue { who, issue } => self.edit_issue(who, *issue, |issue, who| {
                issue.open = false;
                issue.closed_by = Some(who.clone());
            }),
            Deed::LockIssue { who, issue } => {
                writes(who) && self.edit_issue(who, *issue, |issue, _| issue.locked = true)
            }
            Deed::Ask { who, id, ask } => self.ask_branch(who, id, ask),
            Deed::Offer { who, id, ask } => self.offer(who, id, ask),
            Deed::Repeat { who, pull } => {
                let branch: Branch = format!("repeat/{pull}").parse().unwrap();
                let taken = self.store(&catalog).branches.contains_key(&branch);
                let Some((_, head, _)) = self.open_request(*pull).filter(|_| writes(who) && !taken) else {
                    return false;
                };
                self.move_branch(&catalog, &branch, head, &login(who), ActivityKind::Created);
                self.open_pull(&catalog, &branch, "Please, too", "", &login(who)).is_ok()
            }
            Deed::Propose { who, path, text } => {
                let branch: Branch = format!("propose/{}", path.replace('/', "-")).parse().unwrap();
                let base = self.store(&catalog).branches[&main_branch()];
                let path: RepoPath = path.parse().unwrap();
                let taken = self.store(&catalog).branches.contains_key(&branch);
                let is_new = !self.tree(base).contains_key(&path) && !path.as_str().starts_with("policies/");
                if !writes(who) || taken || is_new {
                    return false;
                }
                let tree = self.changed_tree(base, &[(path, Change::Put(text.as_bytes().into()))].into());
                let commit = self.commit(vec![base], tree, vec![Attribution::Account(login(who))]);
                self.move_branch(&catalog, &branch, commit, &login(who), ActivityKind::Created);
                self.open_pull(&catalog, &branch, "Better so", "", &login(who)).is_ok()
            }
            Deed::Mode { mode } => {
                let text = fixture::settings(mode);
                self.put(&catalog, &main_branch(), "chandlery.yaml", &text, "ada")
            }
            Deed::Push { who, pull, ask } => {
                let Some((branch, _, id)) = self.open_request(*pull).filter(|_| writes(who)) else {
                    return false;
                };
                self.put(&catalog, &branch, &format!("requests/{id}/request.yaml"), &ask.file(), who)
            }
            Deed::Tamper { who, pull, file } => {
                let Some((branch, _, id)) = self.open_request(*pull).filter(|_| writes(who)) else {
                    return false;
                };
                self.put(&catalog, &branch, &tampered(&id, file), "looks: fine\n", who)
            }
            Deed::Rewind { who, pull } => {
                let Some((branch, head, _)) = self.open_request(*pull).filter(|_| writes(who)) else {
                    return false;
                };
                let sim = Arc::clone(&self.store(&catalog).pulls[pull]);
                let Some(first) = self.pull_commits(&sim).first().map(|commit| commit.id) else {
                    return false;
                };
                if first == head {
                    return false;
                }
                self.move_branch(&catalog, &branch, first, &login(who), ActivityKind::Forced);
                true
            }
            Deed::UpdateBranch { who, pull } => {
                let Some((branch, head, _)) = self.open_request(*pull).filter(|_| writes(who)) else {
                    return false;
                };
                let base = self.store(&catalog).branches[&main_branch()];
                if self.ancestors(head).contains(&base) {
                    return false;
                }
                let Some(tree) = self.merged_tree(head, base) else { return false };
                let people = vec![Attribution::Account(login(who)), Attribution::Forge];
                let commit = self.commit(vec![head, base], tree, people);
                self.move_branch(&catalog, &branch, commit, &login(who), ActivityKind::Pushed);
                true
            }
            Deed::Approve { who, at } => self.review(who, *at, ReviewState::Approved),
            Deed::RequestChanges { who, at } => self.review(who, *at, ReviewState::ChangesRequested),
            Deed::Remark { who, at } => self.review(who, *at, ReviewState::Commented),
            Deed::Say { who, at, text } => {
                let now = self.tick();
                self.next_id += 1;
                let id = self.next_id;
                let author = Some(login(who));
                let remark = Remark { id, author, body: text.clone(), at: now, edited: false };
                let store = self.edit(&at.0.name());
                let remarks = match (store.pulls.get_mut(&at.1), store.issues.get_mut(&at.1)) {
                    (Some(sim), _) => &mut Arc::make_mut(sim).pull.remarks,
                    (None, Some(issue)) if !issue.locked => &mut Arc::make_mut(issue).remarks,
                    _ => return false,
                };
                if Remark::is_one(&remark.body) {
                    remarks.push(remark);
                }
                true
            }
            Deed::Unsay { who, at } => {
                let author = Some(login(who));
                let store = self.edit(&at.0.name());
                let remarks = match (store.pulls.get_mut(&at.1), store.issues.get_mut(&at.1)) {
                    (Some(sim), _) => &mut Arc::make_mut(sim).pull.remarks,
                    (None, Some(issue)) => &mut Arc::make_mut(issue).remarks,
                    _ => return false,
                };
                match remarks.iter_mut().rfind(|remark| remark.author == author) {
                    Some(remark) => {
                        remark.edited = true;
                        remark.body.push_str(" (edited)");
                        true
                    }
                    None => false,
                }
            }
            Deed::Dismiss { who, at, whose } => {
                let now = self.tick();
                let whose = login(whose);
                if !writes(who) {
                    return false;
                }
                let Some(sim) = self.pull_mut(&at.0.name(), at.1) else { return false };
                let Known::Yes(reviews) = &mut sim.pull.reviews else { return false };
                let last = reviews.iter_mut().rfind(|review| {
                    review.author.as_ref() == Some(&whose)
                        && matches!(review.state, ReviewState::Approved | ReviewState::ChangesRequested)
                });
                match last {
                    Some(review) => {
                        review.dismissed = Some(Dismissal { at: now, was: review.state });
                        review.state = ReviewState::Dismissed;
                        true
                    }
                    None => false,
                }
            }
            Deed::Merge { who, at, how: How::Queue } => {
                let repository = at.0.name();
                let is_new = self
                    .store(&repository)
                    .queue
                    .as_ref()
                    .is_some_and(|queue| queue.iter().all(|waiting| waiting.number != at.1));
                writes(who) && is_new && self.enqueue(&repository, at.1, None).is_ok()
            }
            Deed::Merge { who, at, how } => {
                let is_let_by = Self::permission_of(who) >= Permission::Admin || !self.has_queue(at.0);
                writes(who) && is_let_by && self.merge(&at.0.name(), at.1, *how, &login(who))
            }
            Deed::Queue { at } => {
                let is_new = !self.has_queue(*at);
                self.edit(&at.name()).queue.get_or_insert_with(Vec::new);
                is_new
            }
            Deed::Close { who, at } => {
                let repository = at.0.name();
                let author = self.store(&repository).pulls.get(&at.1).and_then(|sim| sim.pull.author.clone());
                let open = self
                    .store(&repository)
                    .pulls
                    .get(&at.1)
                    .is_some_and(|sim| sim.pull.state == PullState::Open);
                (writes(who) || author == Some(login(who)))
                    && open
                    && self.close(&repository, at.1, &login(who)) == Acted::Done
            }
            Deed::Ready { who, at } => {
                let repository = at.0.name();
                let Some(sim) = self.store(&repository).pulls.get(&at.1) else { return false };
                let may = writes(who) || sim.pull.author == Some(login(who));
                if !may || sim.pull.state != PullState::Open || !sim.pull.draft {
                    return false;
                }
                self.pull_mut(&repository, at.1).unwrap().pull.draft = false;
                true
            }
            Deed::RenameBranch { who, at, name } => {
                let repository = at.0.name();
                let Some(sim) = self.store(&repository).pulls.get(&at.1).cloned() else { return false };
                let (new, old): (Branch, _) = (name.parse().unwrap(), sim.pull.head_branch.clone().unwrap());
                let is_taken = self.store(&repository).branches.contains_key(&new);
                if !writes(who) || is_taken || !sim.is_open_from(&repository, &old) {
                    return false;
                }
                self.move_branch(&repository, &new, sim.pull.head, &login(who), ActivityKind::Created);
                let at_once = self.tick();
                let store = self.edit(&repository);
                let before = store.branches.remove(&old);
                let kind = ActivityKind::Deleted;
                let gone = Activity { actor: Some(login(who)), kind, before, after: None, at: at_once };
                store.activity.entry(old).or_default().push(gone);
                self.close(&repository, at.1, &login(who)) == Acted::Done
            }
            Deed::Retarget { who, at, branch } => {
                let (catalog, pull) = (at.0.name(), &at.1);
                let Some(sim) = self.store(&catalog).pulls.get(pull).cloned() else { return false };
                let may = writes(who) || sim.pull.author == Some(login(who));
                if !may || sim.pull.state != PullState::Open || sim.pull.base_branch.as_str() == branch {
                    return false;
                }
                let branch: Branch = branch.parse().unwrap();
                let main = self.store(&catalog).branches[&main_branch()];
                self.edit(&catalog).branches.entry(branch.clone()).or_insert(main);
                self.pull_mut(&catalog, *pull).expect("it is there").pull.base_branch = branch;
                true
            }
            Deed::Reopen { who, at } => {
                let repository = at.0.name();
                let store = Arc::clone(self.store(&repository));
                let Some(sim) = store.pulls.get(&at.1) else { return false };
                let branch = sim.pull.head_branch.clone().unwrap();
                let from = sim.pull.head_repository.clone().unwrap();
                let taken = store.pulls.values().any(|other| other.is_open_from(&from, &branch));
                let is_there = from != repository || store.branches.get(&branch) == Some(&sim.pull.head);
                let may = writes(who) || sim.pull.author == Some(login(who));
                if !may || sim.pull.state != PullState::Closed || taken || !is_there {
                    return false;
                }
                let sim = self.pull_mut(&repository, at.1).unwrap();
                sim.pull.state = PullState::Open;
                sim.pull.closed_at = None;
                sim.pull.closed_by = None;
                sim.base_at_end = None;
                true
            }
            Deed::Smuggle { who, .. } | Deed::Remove { who, .. }
                if self.has_queue(Repo::Catalog) && Self::permission_of(who) < Permission::Admin =>
            {
                false
            }
            Deed::Smuggle { who, id, ask } => {
                writes(who)
                    && self.put(
                        &catalog,
                        &main_branch(),
                        &format!("requests/{id}/request.yaml"),
                        &ask.file(),
                        who,
                    )
            }
            Deed::Remove { who, id } => {
                let head = self.store(&catalog).branches[&main_branch()];
                let folder: RepoPath = format!("requests/{id}").parse().unwrap();
                let changes: Changes = self
                    .tree(head)
                    .keys()
                    .filter(|path| path.under(&folder).is_some())
                    .map(|path| (path.clone(), Change::Delete))
                    .collect();
                if changes.is_empty() || !writes(who) {
                    return false;
                }
                self.push_commit(&catalog, &main_branch(), &changes, &login(who));
                true
            }
            Deed::Join { who } | Deed::Leave { who } => {
                let mut members: BTreeSet<&str> = ["bo", "cleo"].into();
                match deed {
                    Deed::Join { .. } => members.insert(who),
                    _ => members.remove(who.as_str()),
                };
                let list: Vec<&str> = members.into_iter().collect();
                let text = fixture::PLATFORM.replace("[bo, cleo]", &format!("[{}]", list.join(", ")));
                self.put(&catalog, &main_branch(), "entities/_team/platform.yaml", &text, "ada")
            }
            Deed::ChangeAction => {
                self.seen_deeds += 1;
                let text = fixture::changed_action(self.seen_deeds as usize);
                self.put(&catalog, &main_branch(), "actions/create-bucket.yaml", &text, "ada")
            }
            Deed::Write { path, text } if text.trim().is_empty() => {
                let path: RepoPath = path.parse().unwrap();
                let is_there = self.tree(self.store(&catalog).branches[&main_branch()]).contains_key(&path);
                if is_there {
                    let gone = [(path, Change::Delete)].into();
                    self.push_commit(&catalog, &main_branch(), &gone, &login("ada"));
                }
                is_there
            }
            Deed::Write { path, text } => self.put(&catalog, &main_branch(), path, text, "ada"),
            Deed::ChangeTarget { path, text } => self.put(&infra, &main_branch(), path, text, "ada"),
            Deed::Meddle { who, at } => {
                let Some(sim) = self.store(&infra).pulls.get(at).cloned() else { return false };
                if sim.pull.state != PullState::Open || !writes(who) {
                    return false;
                }
                let Some((path, _)) = self.tree(sim.pull.head).iter().find(|(path, _)| {
                    path.as_str().starts_with("buckets/") && path.as_str() != "buckets/old.yaml"
                }) else {
                    return false;
                };
                let path = path.to_string();
                self.put(&infra, &sim.pull.head_branch.clone().unwrap(), &path, "size: 9\n", who)
            }
            Deed::Answers { status, json } => {
                self.answers.push_back((*status, json.clone()));
                true
            }
            Deed::Ends { workflow, conclusion, outputs } => {
                let file = format!("{workflow}.yml");
                let open = |run: &&mut SimRun| run.conclusion.is_none() && run.workflow == file;
                let Some(run) = self.runs.values_mut().rev().find(open) else { return false };
                run.conclusion = Some(conclusion.clone());
                run.log = outputs.iter().map(|(name, value)| format!("::output {name}={value}")).collect();
                true
            }
            Deed::Checks { who, at, context, state } => {
                let Some(head) = self.store(&at.0.name()).pulls.get(&at.1).map(|sim| sim.pull.head) else {
                    return false;
                };
                if !writes(who) {
                    return false;
                }
                let statuses = &mut self.edit(&at.0.name()).statuses;
                statuses.entry(head).or_default().insert(context.clone(), state.clone());
                true
            }
            Deed::Loses => {
                self.loses = true;
                true
            }
            Deed::Reports { who, at, step, success, outputs } => {
                let Some(id) = self.merged_request(at.1) else { return false };
                let text = super::report(&id, step, *success, outputs);
                self.do_deed(&Deed::Say { who: who.clone(), at: *at, text })
            }
            Deed::Wait { seconds } => {
                self.now += seconds;
                true
            }
        }
    }
}

fn set_body(issue: &mut Issue, who: &Login, at: Timestamp, body: String) {
    if let Known::Yes(edits) = &mut issue.edits {
        edits.push(Edit { by: who.clone(), at });
    }
    issue.body = body;
}

/// By file; none when both sides changed one file differently.
fn three_way(base: &Tree, ours: &Tree, theirs: &Tree) -> Option<Tree> {
    let mut tree = BTreeMap::clone(ours);
    let paths: BTreeSet<&RepoPath> = base.keys().chain(theirs.keys()).collect();
    for path in paths {
        let id = |tree: &Tree| tree.get(path).map(|(id, _)| *id);
        if id(base) == id(theirs) || id(ours) == id(theirs) {
            continue;
        }
        if id(ours) != id(base) {
            return None;
        }
        match theirs.get(path) {
            Some(entry) => tree.insert(path.clone(), entry.clone()),
            None => tree.remove(path),
        };
    }
    Some(Arc::new(tree))
}

fn same(a: &Tree, b: &Tree) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b.iter())
            .all(|((path, (id, _)), (other, (other_id, _)))| path == other && id == other_id)
}

fn diff(from: &Tree, to: &Tree) -> BTreeMap<RepoPath, DiffEntry> {
    let entry = |tree: &Tree, path: &RepoPath| {
        tree.get(path).map(|(id, _)| TreeEntry { mode: FileMode::File, id: *id })
    };
    let paths: BTreeSet<&RepoPath> = from.keys().chain(to.keys()).collect();
    paths
        .into_iter()
        .map(|path| (path.clone(), DiffEntry { before: entry(from, path), after: entry(to, path) }))
        .filter(|(_, entry)| entry.before != entry.after)
        .collect()
}

impl World for Simulated {
    fn ask(&mut self, questions: &BTreeSet<Question>) -> Vec<(Question, Answer)> {
        self.looks += 1;
        if self.log.last() != Some(&Effect::Looked) {
            Arc::make_mut(&mut self.log).push(Effect::Looked);
        }
        let asked = |question: &Question| match question {
            Question::Activity(repository, _) => Some(repository.clone()),
            _ => None,
        };
        for repository in questions.iter().filter_map(asked).collect::<BTreeSet<_>>() {
            self.follow(&repository);
        }
        for question in questions {
            if let Question::Merged { base, head } = question
                && let Some((id, Some(commit))) = self.merged(*base, *head)
            {
                Arc::make_mut(&mut self.commits).insert(id, commit);
            }
        }
        let mut answer = |question: &Question| match question {
            Question::Activity(repository, branch) => self.pushes(repository, branch),
            other => self.answer(other),
        };
        questions.iter().map(|question| (question.clone(), answer(question))).collect()
    }

    fn act(&mut self, act: &Act) -> Acted {
        match self.mishap.take() {
            None => {
                let acted = self.do_act(act);
                self.settle_queues();
                acted
            }
            Some(Mishap::NotDone) => Acted::Failed("no answer".into()),
            Some(Mishap::Postponed) => Acted::Postponed { seconds: 600 },
            Some(Mishap::DoneNotTold) => {
                self.do_act(act);
                self.settle_queues();
                Acted::Failed("no answer".into())
            }
        }
    }

    fn deed(&mut self, deed: &Deed) -> bool {
        let done = self.do_deed(deed);
        if done {
            Arc::make_mut(&mut self.log).push(Effect::Deed(deed.clone()));
        }
        self.settle_queues();
        done
    }

    fn is_doubted(&self) -> bool {
        self.doubted
    }

    fn begin_anew(&mut self, finds_what_was_kept: bool) {
        if !finds_what_was_kept {
            self.moves.clear();
        }
    }
}
