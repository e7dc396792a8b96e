//! What does a repository say? Answers about Git's objects, where the catalog's own layout must be known.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, OnceLock},
};

use tracing::warn;

use crate::{
    catalog::{self, Definitions, Files, Folders, MOST_TRIED, Root, Settings, Side, TooMany},
    domain::{
        BlueprintId, Bytes, Change, Changes, Diagnostic, EntityId, Identifier, ObjectId, RepoPath, RequestId,
        Search, Timestamp, TreeEntry,
    },
    git::{
        history::Remembered,
        mirror::{Mirror, chain},
        objects::{Node, Objects, Read, ReadError},
        write::write_tree,
    },
    index::{Commit, Index, Kept},
    plan::facts::{Answer, Question},
};

/// How many old definitions and lists of entities are kept at hand.
const AT_HAND: usize = 16;
/// How many answers to searches are.
const FOUND: usize = 64;

const UNREAD: &str = "the entities could not be read";

type LoadedSettings = Result<Settings, Vec<Diagnostic>>;
type Loaded = Result<Arc<Definitions>, Arc<Vec<Diagnostic>>>;
type Found = Arc<Vec<Vec<Identifier>>>;
type Entities = Arc<Named>;

/// The entities of a blueprint.
#[derive(Default)]
struct Named {
    /// Where each lies.
    paths: BTreeMap<Identifier, RepoPath>,
    /// Those that differ in case at most, by how they are in lower case; made when somebody asks.
    alike: OnceLock<HashMap<String, BTreeSet<Identifier>>>,
}

impl Named {
    fn alike(&self, identifier: &Identifier) -> BTreeSet<Identifier> {
        let all = self.alike.get_or_init(|| {
            let mut all: HashMap<String, BTreeSet<Identifier>> = HashMap::new();
            for known in self.paths.keys() {
                all.entry(known.as_str().to_lowercase()).or_default().insert(known.clone());
            }
            all
        });
        all.get(&identifier.as_str().to_lowercase()).cloned().unwrap_or_default()
    }
}

/// One repository: our copy, and what was worked out about it.
pub(super) struct Contents {
    pub(super) mirror: Mirror,
    reader: Reader,
}

/// What was worked out about a repository. All of it goes by object ids, so nothing in it can grow old.
pub struct Reader {
    root: Root,
    settings: Option<(Option<ObjectId>, LoadedSettings)>,
    definitions: VecDeque<(Vec<Option<ObjectId>>, Loaded)>,
    entities: VecDeque<(ObjectId, Entities)>,
    /// What was found in a tree.
    found: VecDeque<((ObjectId, Search), Found)>,
    /// What is wrong with the catalog of a tree.
    wrong: VecDeque<(ObjectId, Arc<Vec<Diagnostic>>)>,
    remembered: Remembered,
    /// The records that were read, and whether their runs have ended.
    ended: HashMap<ObjectId, bool>,
}

impl Contents {
    pub(super) fn new(mirror: Mirror, root: Root) -> Self {
        Self { mirror, reader: Reader::new(root) }
    }

    /// Answers all of these questions; `pulls` are the heads of pull requests that may be needed.
    pub(super) fn answer(
        &mut self,
        questions: Vec<Question>,
        pulls: &BTreeMap<u64, ObjectId>,
    ) -> Vec<(Question, Answer)> {
        let (mut answers, mut open) = (Vec::new(), questions);
        for last in [false, true] {
            let (mut again, mut broken) = (Vec::new(), false);
            for (question, answer) in self.try_all(open) {
                match answer {
                    Ok(answer) => answers.push((question, answer)),
                    Err(error) if last || matches!(error, ReadError::Strange(_)) => {
                        answers.push((question, Answer::Unknown(error.to_string().into())));
                    }
                    Err(error) => {
                        broken |= matches!(error, ReadError::Broken(_));
                        again.push(question);
                    }
                }
            }
            if again.is_empty() {
                break;
            }
            open = again;
            let renewed = if broken { self.mirror.renew() } else { self.mirror.fetch(&self.needed(pulls)) };
            if let Err(error) = renewed {
                let why: Arc<str> = chain(&error).into();
                answers
                    .extend(open.into_iter().map(|question| (question, Answer::Unknown(Arc::clone(&why)))));
                break;
            }
        }
        answers
    }

    /// The pull requests whose head is not here.
    fn needed(&self, pulls: &BTreeMap<u64, ObjectId>) -> BTreeSet<u64> {
        let Ok(objects) = self.mirror.objects() else {
            return BTreeSet::new();
        };
        pulls.iter().filter(|(_, head)| !objects.has(**head)).map(|(number, _)| *number).collect()
    }

    fn try_all(&mut self, questions: Vec<Question>) -> Vec<(Question, Read<Answer>)> {
        let objects = match self.mirror.objects() {
            Ok(objects) => objects,
            Err(error) => {
                return questions.into_iter().map(|question| (question, Err(error.clone()))).collect();
            }
        };
        self.reader.answer(&objects, questions)
    }

    /// The requests of a commit that have no record of an end.
    pub(super) fn unfinished(&mut self, head: ObjectId) -> Result<BTreeSet<RequestId>, String> {
        let found = match self.read_unfinished(head) {
            Err(ReadError::Missing(_)) => {
                self.mirror.fetch(&BTreeSet::new()).map_err(|error| chain(&error))?;
                self.read_unfinished(head)
            }
            Err(ReadError::Broken(_)) => {
                self.mirror.renew().map_err(|error| chain(&error))?;
                self.read_unfinished(head)
            }
            found => found,
        };
        found.map_err(|error| error.to_string())
    }

    fn read_unfinished(&mut self, head: ObjectId) -> Read<BTreeSet<RequestId>> {
        let objects = self.mirror.objects()?;
        self.reader.unfinished(&objects, head)
    }
}

impl Reader {
    /// For a catalog that lies there.
    pub fn new(root: Root) -> Self {
        Self {
            root,
            settings: None,
            definitions: VecDeque::new(),
            entities: VecDeque::new(),
            found: VecDeque::new(),
            wrong: VecDeque::new(),
            remembered: HashMap::new(),
            ended: HashMap::new(),
        }
    }

    /// Answers questions about content from these objects.
    pub fn answer(&mut self, objects: &Objects, questions: Vec<Question>) -> Vec<(Question, Read<Answer>)> {
        // All paths looked for from the same commit are found in one walk.
        let mut paths: BTreeMap<ObjectId, BTreeSet<RepoPath>> = BTreeMap::new();
        for question in &questions {
            if let Question::Appearances(commit, path) = question {
                paths.entry(*commit).or_default().insert(path.clone());
            }
        }
        let appeared: BTreeMap<ObjectId, _> = paths
            .into_iter()
            .map(|(commit, paths)| (commit, objects.appearances(commit, &paths, &mut self.remembered)))
            .collect();
        let mut answers = Vec::new();
        for question in questions {
            let answer = match &question {
                Question::Appearances(commit, path) => appeared[commit]
                    .clone()
                    .map(|found| Answer::Appearances(Arc::new(found.get(path).cloned().unwrap_or_default()))),
                _ => self.one(objects, &question),
            };
            answers.push((question, answer));
        }
        answers
    }

    fn one(&mut self, objects: &Objects, question: &Question) -> Read<Answer> {
        Ok(match question {
            Question::Definitions(commit) => Answer::Definitions(self.definitions(objects, *commit)?),
            Question::File(_, commit, path) => Answer::File(objects.file(*commit, path)?),
            Question::Files(_, commit, folder) => Answer::Files(Arc::new(objects.files(*commit, folder)?)),
            Question::CommittedAt(commit) => Answer::Now(objects.made(*commit)?.at),
            Question::Blob(_, id) => Answer::Blob(Some(objects.blob(*id)?)),
            Question::Entity(commit, id) => Answer::Entity(self.entity(objects, *commit, id)?),
            Question::Entities(commit, blueprint) => {
                let found = match self.folder(objects, *commit, blueprint)? {
                    Some((tree, path)) => self.entities(objects, tree, &path)?,
                    None => Entities::default(),
                };
                Answer::Entities(Arc::new(found.paths.keys().cloned().collect()))
            }
            Question::Alike(commit, id) => {
                let found = match self.folder(objects, *commit, &id.blueprint)? {
                    Some((tree, path)) => self.entities(objects, tree, &path)?,
                    None => Entities::default(),
                };
                Answer::Entities(Arc::new(found.alike(&id.identifier)))
            }
            Question::Pointing(commit, id) => self.pointing(objects, *commit, id)?,
            Question::Search(commit, search) => self.search(objects, *commit, search)?,
            Question::Levels(commit, id, now) => self.levels(objects, *commit, id, *now)?,
            Question::Sums(commit, search, property) => self.sums(objects, *commit, search, property)?,
            Question::Chain { head, base, .. } => Answer::Chain(Arc::new(objects.chain(*head, *base)?)),
            Question::Diff { base, head, .. } => Answer::Diff(Arc::new(objects.diff(*base, *head)?)),
            Question::Merged { base, head } => Answer::Head(objects.merged(*base, *head)?),
            Question::Judged { base, head } => self.judged(objects, *base, *head)?,
            Question::Derived { base, head } => self.derived(objects, *base, *head)?,
            Question::Unfinished(commit) => Answer::Requests(Arc::new(self.unfinished(objects, *commit)?)),
            Question::Arrivals(commit, since) => {
                let Ok(settings) = self.settings(objects, *commit)? else {
                    return Ok(Answer::Unknown("the settings of the catalog have mistakes".into()));
                };
                Answer::Arrivals(Arc::new(objects.arrivals(*commit, &settings.folders.requests, *since)?))
            }
            Question::Versions(commit, path) => Answer::Versions(Arc::new(objects.versions(*commit, path)?)),
            other => Answer::Unknown(format!("{other:?} is nothing that a repository can answer").into()),
        })
    }

    fn settings(&mut self, objects: &Objects, commit: ObjectId) -> Read<LoadedSettings> {
        let file = objects.file(commit, &self.root.settings_path())?;
        let id = file.as_ref().map(|file| file.id);
        if let Some((known, settings)) = &self.settings
            && *known == id
        {
            return Ok(settings.clone());
        }
        let settings = catalog::load_settings(&self.root, file.as_ref().map(|file| &file.bytes));
        self.settings = Some((id, settings.clone()));
        Ok(settings)
    }

    fn definitions(&mut self, objects: &Objects, commit: ObjectId) -> Read<Loaded> {
        let settings = match self.settings(objects, commit)? {
            Ok(settings) => settings,
            Err(diagnostics) => return Ok(Err(Arc::new(diagnostics))),
        };
        let folders = Definitions::paths_to_read(&settings);
        let id = |path: &RepoPath| -> Read<Option<ObjectId>> {
            Ok(objects.at(commit, path)?.map(|node| match node {
                Node::Folder(id) | Node::File(TreeEntry { id, .. }) => id,
            }))
        };
        let mut key = vec![id(&self.root.settings_path())?];
        for folder in folders {
            key.push(id(folder)?);
        }
        if let Some((_, loaded)) = self.definitions.iter().find(|(known, _)| *known == key) {
            return Ok(loaded.clone());
        }
        let mut files = Files::new();
        let mut executables = Vec::new();
        for folder in folders {
            for (path, entry) in objects.files(commit, folder)? {
                if entry.mode == crate::domain::FileMode::Executable {
                    executables.push(path.clone());
                }
                if matches!(entry.mode, crate::domain::FileMode::File | crate::domain::FileMode::Executable) {
                    files.insert(path, objects.blob(entry.id)?);
                }
            }
        }
        // What is wrong with single definitions is in `broken`; `validate` is who says it all.
        let (mut definitions, _) = catalog::load_definitions(&self.root, settings, &files);
        definitions.mark_executables(&executables);
        let loaded: Loaded = Ok(Arc::new(definitions));
        self.definitions.push_front((key, loaded.clone()));
        self.definitions.truncate(AT_HAND);
        Ok(loaded)
    }

    /// The folder of a blueprint's entities. Where the settings cannot be read, nothing can be found.
    fn folder(
        &mut self,
        objects: &Objects,
        commit: ObjectId,
        blueprint: &BlueprintId,
    ) -> Read<Option<(ObjectId, RepoPath)>> {
        let Ok(settings) = self.settings(objects, commit)? else {
            return Ok(None);
        };
        let Ok(path) = settings.folders.entities.join(blueprint.as_str()) else {
            return Ok(None);
        };
        Ok(match objects.at(commit, &path)? {
            Some(Node::Folder(id)) => Some((id, path)),
            Some(Node::File(_)) | None => None,
        })
    }

    fn entity(
        &mut self,
        objects: &Objects,
        commit: ObjectId,
        id: &EntityId,
    ) -> Read<Option<(RepoPath, Bytes)>> {
        let Some((tree, folder)) = self.folder(objects, commit, &id.blueprint)? else {
            return Ok(None);
        };
        // Most entities lie directly in their blueprint's folder; looking there is cheap in any catalog.
        let direct = match self.settings(objects, commit)? {
            Ok(settings) => catalog::entity_path(&settings, id).ok(),
            Err(_) => None,
        };
        let file = match &direct {
            Some(path) => objects.file(commit, path)?,
            None => None,
        };
        if let (Some(path), Some(file)) = (direct, file) {
            return Ok(Some((path, file.bytes)));
        }
        let Some(path) = self.entities(objects, tree, &folder)?.paths.get(&id.identifier).cloned() else {
            return Ok(None);
        };
        Ok(objects.file(commit, &path)?.map(|file| (path, file.bytes)))
    }

    /// The entities that queries ask for. What is kept beside our copy tells what is derived of the entities; only what
    /// differs from it is read, and of changes that no commit holds a tree is made first.
    fn search(&mut self, objects: &Objects, commit: ObjectId, search: &Search) -> Read<Answer> {
        let Ok(definitions) = self.definitions(objects, commit)? else {
            return Ok(Answer::Unknown("the settings of the catalog have mistakes".into()));
        };
        let changes = search.changes.iter().map(|(path, bytes)| match bytes {
            Some(bytes) => (path.clone(), Change::Put(bytes.clone())),
            None => (path.clone(), Change::Delete),
        });
        let tree = match changes.collect::<Changes>() {
            none if none.is_empty() => objects.root(commit)?,
            changes => write_tree(objects, objects.root(commit)?, &changes)?,
        };
        let asked = (tree, Search { changes: Vec::new(), ..search.clone() });
        if let Some((_, found)) = self.found.iter().find(|(known, _)| *known == asked) {
            return Ok(Answer::Found(Arc::clone(found)));
        }
        let found = match with_index(objects, &definitions, tree, |index| {
            catalog::search_in(&definitions, index, search)
        }) {
            None => return Ok(Answer::Unknown(UNREAD.into())),
            Some(Err(why)) => return Ok(Answer::Unknown(why.into())),
            Some(Ok(found)) => Arc::new(found),
        };
        self.found.push_front((asked, Arc::clone(&found)));
        self.found.truncate(FOUND);
        Ok(Answer::Found(found))
    }

    /// How far an entity has come by its scorecards.
    fn levels(
        &mut self,
        objects: &Objects,
        commit: ObjectId,
        id: &EntityId,
        now: Option<Timestamp>,
    ) -> Read<Answer> {
        let Ok(definitions) = self.definitions(objects, commit)? else {
            return Ok(Answer::Unknown("the settings of the catalog have mistakes".into()));
        };
        let tree = objects.root(commit)?;
        let found =
            with_index(objects, &definitions, tree, |index| catalog::levels_in(&definitions, index, id, now));
        Ok(found.map_or_else(|| Answer::Unknown(UNREAD.into()), |levels| Answer::Levels(Arc::new(levels))))
    }

    /// The sums of a property over the entities that queries ask for, as they are at this commit.
    fn sums(&mut self, objects: &Objects, commit: ObjectId, search: &Search, property: &str) -> Read<Answer> {
        let Ok(definitions) = self.definitions(objects, commit)? else {
            return Ok(Answer::Unknown("the settings of the catalog have mistakes".into()));
        };
        let tree = objects.root(commit)?;
        let sums = with_index(objects, &definitions, tree, |index| {
            catalog::sums_in(&definitions, index, search, property)
        });
        Ok(match sums {
            None => Answer::Unknown(UNREAD.into()),
            Some(Err(why)) => Answer::Unknown(why.into()),
            Some(Ok(sums)) => Answer::Sums(Arc::new(sums)),
        })
    }

    /// What a branch makes wrong. The base is looked at first, so that of the head only what differs is read.
    fn judged(&mut self, objects: &Objects, base: ObjectId, head: ObjectId) -> Read<Answer> {
        let before = objects.root(objects.fork(base, head)?)?;
        let after = objects.root(head)?;
        let mut reports = Vec::new();
        for (tree, since) in [(before, None), (after, Some(before))] {
            match self.wrong(objects, tree, since)? {
                Ok(found) => reports.push(found),
                Err(why) => return Ok(Answer::Unknown(why.into())),
            }
        }
        Ok(Answer::Judged(Arc::new(catalog::newly(&reports[0], &reports[1]))))
    }

    /// Everything that is wrong with the catalog of a tree; or why that cannot be told.
    fn wrong(
        &mut self,
        objects: &Objects,
        tree: ObjectId,
        since: Option<ObjectId>,
    ) -> Read<Result<Arc<Vec<Diagnostic>>, String>> {
        if let Some((_, known)) = self.wrong.iter().find(|(known, _)| *known == tree) {
            return Ok(Ok(Arc::clone(known)));
        }
        let own = objects.again()?;
        let kept = Kept::beside(objects.common_folder());
        let commit = Commit::new(own, tree, self.root.clone());
        let found = match commit.check(since, &kept) {
            Ok(report) => Arc::new(report.diagnostics),
            Err(why) => {
                let read = why.chain().find_map(|cause| cause.downcast_ref::<ReadError>()).cloned();
                return read.map_or_else(|| Ok(Err(format!("{why:#}"))), Err);
            }
        };
        self.wrong.push_front((tree, Arc::clone(&found)));
        self.wrong.truncate(AT_HAND);
        Ok(Ok(found))
    }

    /// Which derived values and levels are lost; of too many entities not even the bytes are read.
    fn derived(&mut self, objects: &Objects, base: ObjectId, head: ObjectId) -> Read<Answer> {
        let (Ok(before), Ok(after)) = (self.definitions(objects, base)?, self.definitions(objects, head)?)
        else {
            return Ok(Answer::Unknown("the settings of the catalog have mistakes".into()));
        };
        let mut read = Vec::new();
        for (commit, definitions) in [(base, &before), (head, &after)] {
            let listed = objects.files(commit, &definitions.settings.folders.entities)?;
            if listed.len() > MOST_TRIED {
                return Ok(Answer::Derived(Err(TooMany(listed.len()))));
            }
            let bytes = listed.into_iter().map(|(path, entry)| Ok((path, objects.blob(entry.id)?)));
            read.push(bytes.collect::<Read<Files>>()?);
        }
        let sides = [(&before, &read[0]), (&after, &read[1])];
        let [before, after] = sides.map(|(definitions, files)| Side { definitions, files });
        Ok(Answer::Derived(catalog::lost(before, after, objects.made(head)?.at).map(Arc::new)))
    }

    /// The entities that point at one.
    fn pointing(&mut self, objects: &Objects, commit: ObjectId, id: &EntityId) -> Read<Answer> {
        let Ok(definitions) = self.definitions(objects, commit)? else {
            return Ok(Answer::Unknown("the settings of the catalog have mistakes".into()));
        };
        let found = with_index(objects, &definitions, objects.root(commit)?, |index| index.sources(id));
        Ok(found.map_or_else(|| Answer::Unknown(UNREAD.into()), |found| Answer::Pointing(Arc::new(found))))
    }

    /// Where each entity below a folder lies.
    fn entities(&mut self, objects: &Objects, tree: ObjectId, folder: &RepoPath) -> Read<Entities> {
        if let Some((_, known)) = self.entities.iter().find(|(id, _)| *id == tree) {
            return Ok(Arc::clone(known));
        }
        let mut paths = BTreeMap::new();
        objects.walk(tree, folder.as_str(), &mut |path, _| {
            let Ok(path) = path.parse::<RepoPath>() else { return Ok(()) };
            let below = path.under(folder).filter(|below| below.ends_with(".yaml"));
            if let Some(identifier) = below.and_then(Identifier::of_file) {
                paths.entry(identifier).or_insert(path);
            }
            Ok(())
        })?;
        let found = Arc::new(Named { paths, ..Named::default() });
        self.entities.push_front((tree, Arc::clone(&found)));
        self.entities.truncate(AT_HAND);
        Ok(found)
    }

    fn unfinished(&mut self, objects: &Objects, head: ObjectId) -> Read<BTreeSet<RequestId>> {
        let Ok(Settings { folders: Folders { requests, .. }, .. }) = self.settings(objects, head)? else {
            return Ok(BTreeSet::new());
        };
        let (mut begun, mut ended) = (BTreeSet::new(), BTreeSet::new());
        if let Some(Node::Folder(tree)) = objects.at(head, &requests)? {
            objects.walk(tree, "", &mut |path, entry| {
                if let Some((id, name)) = path.rsplit_once('/')
                    && let Ok(id) = id.parse::<RequestId>()
                {
                    match name {
                        "run.yaml" if has_ended(objects, &mut self.ended, entry.id)? => {
                            ended.insert(id);
                        }
                        "request.yaml" | "plan.yaml" | "plan.diff" => drop(begun.insert(id)),
                        _ => {}
                    }
                }
                Ok(())
            })?;
        }
        Ok(begun.difference(&ended).cloned().collect())
    }
}

/// What is kept of the entities of a tree, asked; none where they cannot be read.
fn with_index<T>(
    objects: &Objects,
    definitions: &Definitions,
    tree: ObjectId,
    ask: impl Fn(&Index) -> T,
) -> Option<T> {
    for kept in [Kept::beside(objects.common_folder()), Kept::nowhere()] {
        let index = match Index::open(objects, definitions, tree, None, &kept) {
            Ok(index) => index,
            Err(why) => {
                warn!("what is kept of the catalog cannot be used: {why:#}");
                continue;
            }
        };
        let found = ask(&index);
        if index.is_damaged() {
            continue;
        }
        index.renew(objects, definitions, tree, &kept);
        return Some(found);
    }
    None
}

/// Whether a record is that of a run that has ended; each is read once.
fn has_ended(objects: &Objects, known: &mut HashMap<ObjectId, bool>, record: ObjectId) -> Read<bool> {
    if let Some(ended) = known.get(&record) {
        return Ok(*ended);
    }
    let ended = !is_in_progress(&objects.blob(record)?);
    known.insert(record, ended);
    Ok(ended)
}

fn is_in_progress(record: &[u8]) -> bool {
    record.split(|byte| *byte == b'\n').any(|line| line == b"status: in_progress")
}
