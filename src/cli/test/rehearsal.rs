//! What would a request do in a world that is made up? The planner's questions are answered from memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value};

use crate::{
    catalog::{self, Definitions, Files, entity_at},
    cli::{
        plan::{WORK_TREE, of_catalog},
        rounds,
    },
    domain::{
        BlueprintId, Bytes, Change, FileMode, Identifier, Login, ObjectId, Permission, RepoName, RepoPath,
        RequestFile, RequestId, Timestamp,
    },
    plan::{
        self, Preview,
        build::Built,
        facts::{Answer, Arrival, Facts, File, Here, Question, Repository},
    },
};

/// When everything happens: 1 January 2026. Golden diffs must not change with the day.
const NOW: i64 = 1_767_225_600;

/// The files of one repository.
pub(super) type Tree = BTreeMap<RepoPath, (Bytes, FileMode)>;

/// A made-up world.
pub(super) struct Rehearsal<'a> {
    definitions: &'a Definitions,
    files: Arc<Files>,
    here: Arc<Here>,
    /// Each with the commit that it has.
    targets: BTreeMap<RepoName, (ObjectId, Tree)>,
    facts: Facts,
    commits: u64,
    now: Timestamp,
    /// The requests that were merged, oldest first.
    arrivals: Arc<Vec<Arrival>>,
}

impl<'a> Rehearsal<'a> {
    /// With this catalog; repositories that are not among `targets` hold a README.
    pub(super) fn new(
        definitions: &'a Definitions,
        files: Arc<Files>,
        targets: BTreeMap<RepoName, Tree>,
    ) -> anyhow::Result<Self> {
        let me = "chandlery[bot]".parse()?;
        let catalog = match &definitions.settings.repository {
            Some(name) => name.clone(),
            None => "local/catalog".parse()?,
        };
        let here = Arc::new(Here { catalog, branch: "main".parse()?, me });
        let mut rehearsal = Self {
            definitions,
            files,
            here,
            targets: BTreeMap::new(),
            facts: Facts::default(),
            commits: 0,
            now: Timestamp::from_seconds(NOW),
            arrivals: Arc::default(),
        };
        for name in definitions.settings.repositories.keys() {
            let readme = (Bytes::from(format!("# {name}\n").into_bytes()), FileMode::File);
            rehearsal.push(name.clone(), [("README.md".parse()?, readme)].into());
        }
        for (name, tree) in targets {
            rehearsal.push(name, tree);
        }
        Ok(rehearsal)
    }

    /// At another time, after these requests were merged.
    pub(super) fn at(self, now: Option<Timestamp>, arrivals: Vec<Arrival>) -> Self {
        Self { now: now.unwrap_or(self.now), arrivals: Arc::new(arrivals), ..self }
    }

    fn push(&mut self, name: RepoName, tree: Tree) {
        self.commits += 1;
        let commit = ObjectId::of_blob(format!("commit {}", self.commits).as_bytes());
        self.targets.insert(name, (commit, tree));
        self.facts.forget_the_present();
    }

    /// The plan of a request, or what is wrong with it.
    pub(super) fn plan(
        &mut self,
        id: &RequestId,
        request: &RequestFile,
        requester: Option<&Login>,
    ) -> anyhow::Result<Preview> {
        let path: RepoPath =
            format!("{}/{id}/request.yaml", self.definitions.settings.folders.requests).parse()?;
        let bytes = text_of(request)?.into_bytes();
        let definitions = self.definitions;
        self.until(&mut |facts| match plan::preview(
            definitions,
            facts,
            WORK_TREE,
            id,
            &path,
            &bytes,
            requester,
        ) {
            Preview::Ask(questions) => Err(questions),
            done => Ok(done),
        })
    }

    /// Who may approve it, by rule.
    pub(super) fn approvers(
        &mut self,
        built: &Built,
        requester: Option<&Login>,
    ) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
        let definitions = self.definitions;
        self.until(&mut |facts| plan::approvers(definitions, facts, WORK_TREE, &built.plan, requester))
    }

    /// The freezes that hold for it, or why that cannot be said.
    pub(super) fn freezes(
        &mut self,
        built: &Built,
        people: &BTreeSet<Login>,
    ) -> anyhow::Result<Result<plan::Freezes, String>> {
        let definitions = self.definitions;
        self.until(&mut |facts| plan::freezes(definitions, facts, WORK_TREE, &built.plan, people))
    }

    fn until<T>(
        &mut self,
        ask: &mut dyn FnMut(&Facts) -> Result<T, BTreeSet<Question>>,
    ) -> anyhow::Result<T> {
        let mut facts = std::mem::take(&mut self.facts);
        let mut answer = |questions: &BTreeSet<Question>| {
            Ok(questions.iter().map(|question| (question.clone(), self.answer(question))).collect())
        };
        let known = rounds::until(&mut facts, ask, &mut answer);
        self.facts = facts;
        known
    }

    /// The identifiers of all entities.
    pub(super) fn known(&self) -> BTreeMap<BlueprintId, Vec<Identifier>> {
        let mut known: BTreeMap<BlueprintId, Vec<Identifier>> = BTreeMap::new();
        for id in self.files.keys().filter_map(|path| entity_at(&self.definitions.settings, path)) {
            known.entry(id.blueprint).or_default().push(id.identifier);
        }
        known
    }

    /// What the repositories that a plan writes to hold when it is merged.
    pub(super) fn merged(&mut self, built: &Built) -> BTreeMap<RepoName, Tree> {
        let before = self.apply(built);
        let changed = |name: &RepoName| Some((name.clone(), self.targets.get(name)?.1.clone()));
        let merged = before.keys().filter_map(changed).collect();
        self.restore(before);
        merged
    }

    /// Merges everything that a plan writes; gives back what was there.
    pub(super) fn apply(&mut self, built: &Built) -> BTreeMap<RepoName, Tree> {
        let mut before = BTreeMap::new();
        for step in &built.plan.steps {
            let (Some(changes), Some(pull)) = (built.contents.get(&step.id), &step.pull_request) else {
                continue;
            };
            let Some((_, mut tree)) = self.targets.get(&pull.repository).cloned() else { continue };
            before.entry(pull.repository.clone()).or_insert_with(|| tree.clone());
            for (path, change) in changes {
                let old = tree.get(path).map(|(_, mode)| *mode).unwrap_or_default();
                match change {
                    Change::Put(bytes) => drop(tree.insert(path.clone(), (bytes.clone(), old))),
                    Change::PutExecutable(bytes) => {
                        tree.insert(path.clone(), (bytes.clone(), FileMode::Executable));
                    }
                    Change::Delete => drop(tree.remove(path)),
                }
            }
            self.push(pull.repository.clone(), tree);
        }
        before
    }

    /// Puts back what was there.
    pub(super) fn restore(&mut self, before: BTreeMap<RepoName, Tree>) {
        for (name, tree) in before {
            self.push(name, tree);
        }
    }

    fn answer(&self, question: &Question) -> Answer {
        if let Some(answer) = of_catalog(self.definitions, &self.files, question) {
            return answer;
        }
        match question {
            Question::Here => Answer::Here(Arc::clone(&self.here)),
            Question::Now | Question::CommittedAt(_) => Answer::Now(self.now),
            Question::Permission(..) => Answer::Permission(Permission::Write),
            Question::Unfinished(_) => Answer::Requests(Arc::default()),
            Question::Arrivals(..) => Answer::Arrivals(Arc::clone(&self.arrivals)),
            Question::Members(team) => Answer::Members(Arc::new(self.members(team))),
            Question::Repository(name) => Answer::Repository(self.targets.get(name).map(|(commit, _)| {
                let default_branch = Some((self.here.branch.clone(), *commit));
                Arc::new(Repository { default_branch, archived: false, renamed: None })
            })),
            Question::Workflow(..) => Answer::Workflow(Arc::default()),
            Question::Barred(..) => Answer::Barred(None),
            Question::File(name, commit, path) => {
                let tree = self.targets.get(name).filter(|(now, _)| now == commit).map(|(_, tree)| tree);
                Answer::File(tree.and_then(|tree| tree.get(path)).map(|(bytes, mode)| File {
                    mode: *mode,
                    id: ObjectId::of_blob(bytes),
                    bytes: bytes.clone(),
                }))
            }
            other => Answer::Unknown(format!("a rehearsal does not know {other:?}").into()),
        }
    }

    /// The members of a team of the forge: those that the catalog gives the team that names it.
    fn members(&self, team: &str) -> BTreeSet<Login> {
        let is_team = |path: &RepoPath| {
            entity_at(&self.definitions.settings, path).is_some_and(|id| id.blueprint.as_str() == "_team")
        };
        let teams = self.files.iter().filter(|(path, _)| is_team(path));
        let read =
            |(path, bytes): (&RepoPath, &Bytes)| catalog::read_entity(path, bytes, self.definitions).ok();
        let named = teams
            .filter_map(read)
            .filter(|entity| entity.properties.get("github").and_then(Value::as_str) == Some(team));
        let members = named.flat_map(|entity| {
            entity.related("members").into_iter().filter_map(|login| login.parse().ok()).collect::<Vec<_>>()
        });
        members.collect()
    }
}

/// The file of a request.
fn text_of(request: &RequestFile) -> anyhow::Result<String> {
    let mut fields = Map::new();
    fields.insert("action".into(), request.action.as_str().into());
    if let Some(entity) = &request.entity {
        fields.insert("entity".into(), entity.as_str().into());
    }
    fields.insert("inputs".into(), Value::Object(request.inputs.clone()));
    if let Some(reason) = &request.reason {
        fields.insert("reason".into(), reason.as_str().into());
    }
    // JSON is YAML, and no text in it can be taken for anything else.
    Ok(serde_json::to_string(&fields)?)
}
