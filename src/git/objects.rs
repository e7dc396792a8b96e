//! What does a commit hold? Files, folders, and what differs between two trees.

use std::{
    cell::{OnceCell, RefCell, RefMut},
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{self, AtomicUsize},
    },
};

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree};

use super::{
    bulk::Hand,
    packs::{Packs, Reader},
    tree::{Difference, differences, entries, node_named},
    wire::{Git, Remote},
};
use crate::{
    domain::{Branch, Bytes, FileMode, ObjectId, RepoPath, Timestamp, TreeEntry},
    plan::facts::{DiffEntry, File},
};

/// Why an object could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// It is not here, and nothing says that it should be.
    #[error("the object {0} is not in the repository")]
    Missing(ObjectId),
    /// The copy is broken.
    #[error("the copy of the repository cannot be read: {0}")]
    Broken(String),
    /// It is here and cannot be used.
    #[error("{0}")]
    Strange(String),
}

impl ReadError {
    pub(super) fn broken(error: &git2::Error) -> Self {
        Self::Broken(error.message().to_owned())
    }

    pub(super) fn of(id: ObjectId) -> impl Fn(git2::Error) -> Self {
        move |error| match error.code() {
            ErrorCode::NotFound => Self::Missing(id),
            _ => Self::broken(&error),
        }
    }
}

/// What reading gives.
pub type Read<T> = Result<T, ReadError>;

/// What a tree holds under one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A folder.
    Folder(ObjectId),
    /// Anything else.
    File(TreeEntry),
}

/// What is done with each file that differs: its path, before and after.
type VisitChange<'a> = dyn FnMut(&str, Option<TreeEntry>, Option<TreeEntry>) -> Read<()> + 'a;

/// The objects of one repository.
pub struct Objects {
    pub(super) repository: Repository,
    pub(super) git: Git,
    /// Whether its objects are not held against their ids.
    is_believed: bool,
    /// What was stored last.
    stored: RefCell<Vec<Oid>>,
    /// The packs that it had when it was first read from.
    packs: OnceCell<Arc<Packs>>,
    /// Reads what lies in them.
    reader: RefCell<Option<Reader>>,
}

/// How many objects one is thought to read of a repository.
const SOME: usize = 500;

pub(super) fn to_git(id: ObjectId) -> Oid {
    Oid::from_bytes(id.bytes()).expect("an object id has twenty bytes")
}

pub(super) fn from_git(id: Oid) -> ObjectId {
    ObjectId::from_bytes(id.as_bytes().try_into().expect("these repositories use SHA-1"))
}

impl Objects {
    pub(super) fn new(repository: Repository, git: Git) -> Self {
        Self {
            repository,
            git,
            is_believed: false,
            stored: RefCell::default(),
            packs: OnceCell::new(),
            reader: RefCell::default(),
        }
    }

    /// The same repository, for somebody who keeps it.
    ///
    /// # Errors
    /// When it is broken.
    pub fn again(&self) -> Read<Self> {
        let repository = Repository::open(self.folder()).map_err(|error| ReadError::broken(&error))?;
        Ok(Self { is_believed: self.is_believed, ..Self::new(repository, self.git.clone()) })
    }

    /// A repository of this machine, found from any of its folders. It is only read, and what its objects hold is believed as Git's
    /// own commands believe it: to compute their ids anew would take longer than all the rest of a small look.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(folder: &Path) -> Read<Self> {
        git2::opts::strict_hash_verification(false);
        let repository = Repository::discover(folder).map_err(|error| ReadError::broken(&error))?;
        let remote = Remote { url: String::new(), token: None, environment: Vec::new() };
        let git = Git { folder: repository.path().to_owned(), remote };
        Ok(Self { is_believed: true, ..Self::new(repository, git) })
    }

    /// Its Git folder.
    pub fn folder(&self) -> &Path {
        self.repository.path()
    }

    /// Whether files of it are on disk.
    pub fn has_work_tree(&self) -> bool {
        !self.repository.is_bare()
    }

    /// The Git folder that all its work trees share.
    pub fn common_folder(&self) -> &Path {
        self.repository.commondir()
    }

    /// The branch that is checked out, with its newest commit; none before the first commit.
    ///
    /// # Errors
    /// When no branch is checked out.
    pub fn checked_out(&self) -> Read<Option<(Branch, ObjectId)>> {
        let head = match self.repository.head() {
            Ok(head) => head,
            Err(error) if error.code() == ErrorCode::UnbornBranch => return Ok(None),
            Err(error) => return Err(ReadError::broken(&error)),
        };
        let name = head.name().ok().and_then(|name| name.strip_prefix("refs/heads/")?.parse().ok());
        match (name, head.target()) {
            (Some(branch), Some(commit)) => Ok(Some((branch, from_git(commit)))),
            _ => Err(ReadError::Strange("no branch is checked out".to_owned())),
        }
    }

    /// The commit of a branch, tag, id or day.
    ///
    /// # Errors
    /// When there is none.
    pub fn commit_named(&self, rev: &str, now: Timestamp) -> Result<ObjectId, NoCommit> {
        commit_named(&self.repository, rev, now).map(|commit| from_git(commit.id()))
    }

    /// Whether the repository has this commit.
    pub fn has(&self, commit: ObjectId) -> bool {
        self.repository.find_commit(to_git(commit)).is_ok()
    }

    /// The root folder of a commit.
    ///
    /// # Errors
    /// When the commit is missing.
    pub fn root(&self, commit: ObjectId) -> Read<ObjectId> {
        let found = self.repository.find_commit(to_git(commit)).map_err(ReadError::of(commit))?;
        Ok(from_git(found.tree_id()))
    }

    /// What is at a path below a folder.
    ///
    /// # Errors
    /// When a folder on the way is missing from the repository.
    pub fn find(&self, folder: ObjectId, path: &str) -> Read<Option<Node>> {
        let mut node = Node::Folder(folder);
        for segment in path.split('/') {
            let Node::Folder(id) = node else {
                return Ok(None);
            };
            match self.look_at_folder(id, |text| node_named(text, segment))? {
                Some(found) => node = found,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// What is at a path of a commit.
    ///
    /// # Errors
    /// When the commit or a folder on the way is missing.
    pub fn at(&self, commit: ObjectId, path: &RepoPath) -> Read<Option<Node>> {
        self.find(self.root(commit)?, path.as_str())
    }

    /// One file of a commit.
    ///
    /// # Errors
    /// When an object is missing.
    pub fn file(&self, commit: ObjectId, path: &RepoPath) -> Read<Option<File>> {
        match self.at(commit, path)? {
            Some(Node::File(TreeEntry { mode: FileMode::Submodule, id })) => {
                Ok(Some(File { mode: FileMode::Submodule, id, bytes: Bytes::from([]) }))
            }
            Some(Node::File(TreeEntry { mode, id })) => {
                // A commit is here with everything that it holds, or the copy is broken.
                let bytes = self.blob(id).map_err(|error| ReadError::Broken(error.to_string()))?;
                Ok(Some(File { mode, id, bytes }))
            }
            Some(Node::Folder(_)) | None => Ok(None),
        }
    }

    /// The bytes of a blob.
    ///
    /// # Errors
    /// When it is missing.
    pub fn blob(&self, id: ObjectId) -> Read<Bytes> {
        self.look(id, ObjectType::Blob, |bytes| Ok(bytes.into()))
    }

    /// Looks at the bytes of an object.
    fn look<T>(&self, id: ObjectId, kind: ObjectType, look: impl FnOnce(&[u8]) -> Read<T>) -> Read<T> {
        if let Some(mut reader) = self.reader()
            && let Some(bytes) = reader.find(id, kind)
        {
            return look(bytes);
        }
        read_slowly(&self.repository, id, kind, look)
    }

    /// Who looks at an object while looking at another does without.
    fn reader(&self) -> Option<RefMut<'_, Reader>> {
        let reader = self.reader.try_borrow_mut().ok()?;
        Some(RefMut::map(reader, |reader| reader.get_or_insert_with(|| Reader::new(self.packs(), SOME))))
    }

    /// The packs that it had when it was first read from; what came since is read more slowly.
    pub(super) fn packs(&self) -> Arc<Packs> {
        let find = || Arc::new(Packs::of(&self.repository.commondir().join("objects"), self.is_believed));
        self.packs.get_or_init(find).clone()
    }

    /// All files below a folder of a commit, by full path.
    ///
    /// # Errors
    /// When an object is missing, or a path is none that this program can name.
    pub fn files(&self, commit: ObjectId, folder: &RepoPath) -> Read<BTreeMap<RepoPath, TreeEntry>> {
        let mut files = BTreeMap::new();
        if let Some(Node::Folder(id)) = self.at(commit, folder)? {
            self.walk(id, folder.as_str(), &mut |path, entry| {
                files.insert(named(path)?, entry);
                Ok(())
            })?;
        }
        Ok(files)
    }

    /// Visits every file below a folder.
    ///
    /// # Errors
    /// When an object is missing, or the visitor's.
    pub fn walk(
        &self,
        folder: ObjectId,
        path: &str,
        visit: &mut dyn FnMut(&str, TreeEntry) -> Read<()>,
    ) -> Read<()> {
        let text = self.look_at_folder(folder, |text| Ok(text.to_vec()))?;
        for entry in entries(&text) {
            let entry = entry?;
            let path = below(path, entry.name);
            match entry.node {
                Node::Folder(id) => self.walk(id, &path, visit)?,
                Node::File(file) => visit(&path, file)?,
            }
        }
        Ok(())
    }

    /// Looks at the text of a folder, which [`super::tree::entries`] reads.
    ///
    /// # Errors
    /// When it is missing, and those of `look`.
    pub fn look_at_folder<T>(&self, folder: ObjectId, look: impl FnOnce(&[u8]) -> Read<T>) -> Read<T> {
        self.look(folder, ObjectType::Tree, look).map_err(|error| match error {
            // A commit is here with everything that it holds, or the copy is broken.
            ReadError::Missing(_) => ReadError::Broken(error.to_string()),
            error => error,
        })
    }

    /// Looks at the texts of several folders, each with its place in the list; of none, the text is empty. Large ones are
    /// looked at side by side, since to unpack them takes most of a small look. Each thread has a state of its own, made
    /// by `start`.
    ///
    /// # Errors
    /// When one is missing, and those of `look`.
    pub fn look_at_folders<S, T: Send>(
        &self,
        folders: &[Option<ObjectId>],
        start: impl Fn() -> S + Sync,
        look: impl Fn(&mut S, usize, &[u8]) -> Read<T> + Sync,
    ) -> Read<Vec<T>> {
        /// Bytes; to begin a thread costs as much as to unpack about so many.
        const LARGE: u64 = 1 << 18;
        let size = |id: &ObjectId| self.reader()?.size(*id);
        let threads = match folders.iter().flatten().filter_map(size).sum::<u64>() {
            size if size > LARGE => std::thread::available_parallelism().map_or(1, usize::from),
            _ => 1,
        };
        let next = AtomicUsize::new(0);
        let some = |read: &mut dyn FnMut(&mut S, usize, ObjectId) -> Read<T>| -> Read<Vec<(usize, T)>> {
            let (mut state, mut looked) = (start(), Vec::new());
            while let at = next.fetch_add(1, atomic::Ordering::Relaxed)
                && let Some(id) = folders.get(at)
            {
                let found = match id {
                    Some(id) => read(&mut state, at, *id),
                    None => look(&mut state, at, &[]),
                };
                looked.push((at, found?));
            }
            Ok(looked)
        };
        let (folder, packs) = (self.folder(), self.packs());
        let helper = || {
            let mut hand = Hand::new(folder, packs.clone(), folders.len());
            some(&mut |state, at, id| hand.look(id, ObjectType::Tree, |text| look(state, at, text)))
        };
        let parts = std::thread::scope(|scope| {
            let helpers: Vec<_> = (1..threads.min(folders.len())).map(|_| scope.spawn(helper)).collect();
            let mut parts =
                vec![some(&mut |state, at, id| self.look_at_folder(id, |text| look(state, at, text)))];
            parts.extend(helpers.into_iter().map(|thread| thread.join().expect("a reader does not panic")));
            parts
        });
        let mut looked: Vec<_> = parts.into_iter().collect::<Read<Vec<_>>>()?.into_iter().flatten().collect();
        looked.sort_unstable_by_key(|(at, _)| *at);
        Ok(looked.into_iter().map(|(_, one)| one).collect())
    }

    /// What a branch changes against where it left the base.
    ///
    /// # Errors
    /// When an object is missing, the two have no history in common, or a path cannot be named.
    pub fn diff(&self, base: ObjectId, head: ObjectId) -> Read<BTreeMap<RepoPath, DiffEntry>> {
        let (before, after) = (self.root(base)?, self.root(head)?);
        let fork = self.fork(base, head)?;
        let before = if fork == base { before } else { self.root(fork)? };
        self.changes(Some(before), after)
    }

    /// Where a branch left the base.
    ///
    /// # Errors
    /// When an object is missing, or the two have no history in common.
    pub fn fork(&self, base: ObjectId, head: ObjectId) -> Read<ObjectId> {
        match self.repository.merge_base(to_git(base), to_git(head)) {
            Ok(fork) => Ok(from_git(fork)),
            Err(error) if error.code() == ErrorCode::NotFound => Err(ReadError::Strange(format!(
                "{} and {} have no commit in common; make the branch anew from the base branch",
                base.short(),
                head.short()
            ))),
            Err(error) => Err(ReadError::broken(&error)),
        }
    }

    /// What differs between two folders.
    ///
    /// # Errors
    /// When an object is missing or a path cannot be named.
    pub fn changes(&self, before: Option<ObjectId>, after: ObjectId) -> Read<BTreeMap<RepoPath, DiffEntry>> {
        let mut changes: BTreeMap<RepoPath, DiffEntry> = BTreeMap::new();
        self.compare(before, Some(after), "", &mut |path, before, after| {
            changes.insert(named(path)?, DiffEntry { before, after });
            Ok(())
        })?;
        Ok(changes)
    }

    pub(super) fn compare(
        &self,
        before: Option<ObjectId>,
        after: Option<ObjectId>,
        path: &str,
        visit: &mut VisitChange<'_>,
    ) -> Read<()> {
        if before == after {
            return Ok(());
        }
        let text = |folder: Option<ObjectId>| match folder {
            Some(folder) => self.look_at_folder(folder, |text| Ok(text.to_vec())),
            None => Ok(Vec::new()),
        };
        let (before, after) = (text(before)?, text(after)?);
        for Difference { name, before, after } in differences(&before, &after)? {
            let path = below(path, name);
            let (old_folder, old_file) = split(before);
            let (new_folder, new_file) = split(after);
            self.compare(old_folder, new_folder, &path, visit)?;
            if old_file != new_file {
                visit(&path, old_file, new_file)?;
            }
        }
        Ok(())
    }

    /// Whether `commit` is `ancestor` or follows from it.
    ///
    /// # Errors
    /// When a commit is missing.
    pub fn contains(&self, commit: ObjectId, ancestor: ObjectId) -> Read<bool> {
        if commit == ancestor {
            return Ok(true);
        }
        for id in [commit, ancestor] {
            self.root(id)?;
        }
        self.repository
            .graph_descendant_of(to_git(commit), to_git(ancestor))
            .map_err(|error| ReadError::broken(&error))
    }

    pub(super) fn tree(&self, id: ObjectId) -> Read<Tree<'_>> {
        self.repository.find_tree(to_git(id)).map_err(|error| ReadError::broken(&error))
    }

    pub(super) fn store(&self, kind: ObjectType, bytes: &[u8]) -> Read<ObjectId> {
        let odb = self.repository.odb().map_err(|error| ReadError::broken(&error))?;
        let id = odb.write(kind, bytes).map_err(|error| ReadError::broken(&error))?;
        self.stored.borrow_mut().push(id);
        Ok(from_git(id))
    }

    /// Keeps what `write` stores in memory and puts it into the repository as one pack: many small files
    /// take longer to make than all the rest of a push.
    ///
    /// # Errors
    /// Those of `write`, or when the pack cannot be written.
    pub(super) fn packed<T>(&self, write: impl FnOnce(&Self) -> Read<T>) -> Read<T> {
        let broken = |error: git2::Error| ReadError::broken(&error);
        let odb = self.repository.odb().map_err(broken)?;
        let memory = odb.add_new_mempack_backend(1_000).map_err(broken)?;
        self.stored.borrow_mut().clear();
        let written = write(self);
        let pack = || -> Result<(), git2::Error> {
            let mut builder = self.repository.packbuilder()?;
            for id in self.stored.borrow().iter() {
                builder.insert_object(*id, None)?;
            }
            let folder = self.repository.path().join("objects/pack");
            if builder.object_count() > 0 { builder.write(&folder, 0) } else { Ok(()) }
        };
        let packed = if written.is_ok() { pack() } else { Ok(()) };
        memory.reset().map_err(broken)?;
        packed.map_err(broken)?;
        odb.refresh().map_err(broken)?;
        written
    }
}

/// Why a text names no commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoCommit {
    /// It looks like a day or a moment and is none.
    #[error("`{0}` is no day and no moment; write 2026-11-24, or 2026-11-24T08:30:00Z")]
    NoDay(String),
    /// It is a day that has not begun, or a moment that has not come.
    #[error("`{0}` is still to come")]
    Future(String),
    /// The first commit came later.
    #[error("the catalog is younger than `{0}`, as far as its commits tell")]
    Younger(String),
    /// It is a name that nothing has.
    #[error("`{0}` is not a commit here; it can be a branch, a tag, an object id or a day")]
    Unknown(String),
}

/// The commit that a text names: a branch, a tag, an object id, a day such as `2026-11-24` (its last second, in UTC), or a
/// moment. Of days and moments it is the first one on the way back from HEAD, by first parents, that is no younger.
///
/// # Errors
/// When there is none.
pub fn commit_named<'a>(
    repository: &'a Repository,
    rev: &str,
    now: Timestamp,
) -> Result<git2::Commit<'a>, NoCommit> {
    let looks_like_a_day = rev.len() >= 8
        && rev.chars().take(4).all(|c| c.is_ascii_digit())
        && rev[4..].starts_with('-')
        && rev.chars().all(|c| c.is_ascii_digit() || "-:.+TZ".contains(c));
    let Some((begin, end)) = span_of(rev) else {
        let found = repository.revparse_single(rev).and_then(|object| object.peel_to_commit());
        return found.map_err(|_| match looks_like_a_day {
            true => NoCommit::NoDay(rev.to_owned()),
            false => NoCommit::Unknown(rev.to_owned()),
        });
    };
    if begin > now.seconds() {
        return Err(NoCommit::Future(rev.to_owned()));
    }
    let younger = |_| NoCommit::Younger(rev.to_owned());
    let mut commit = repository.head().and_then(|head| head.peel_to_commit()).map_err(younger)?;
    while commit.time().seconds() > end {
        commit = commit.parent(0).map_err(younger)?;
    }
    Ok(commit)
}

/// The first and the last second of a day or moment.
fn span_of(rev: &str) -> Option<(i64, i64)> {
    if let Ok(day) = rev.parse::<jiff::civil::Date>() {
        let midnight = day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second();
        return Some((midnight, midnight + 86_399));
    }
    let moment = (rev.len() >= 20).then(|| rev.parse::<Timestamp>().ok()).flatten()?;
    Some((moment.seconds(), moment.seconds()))
}

/// Looks at the bytes of an object that may lie anywhere in the repository.
pub(super) fn read_slowly<T>(
    repository: &Repository,
    id: ObjectId,
    kind: ObjectType,
    look: impl FnOnce(&[u8]) -> Read<T>,
) -> Read<T> {
    let odb = repository.odb().map_err(|error| ReadError::broken(&error))?;
    let read = odb.read(to_git(id)).map_err(ReadError::of(id))?;
    if read.kind() == kind { look(read.data()) } else { Err(ReadError::Missing(id)) }
}

fn split(node: Option<Node>) -> (Option<ObjectId>, Option<TreeEntry>) {
    match node {
        None => (None, None),
        Some(Node::Folder(id)) => (Some(id), None),
        Some(Node::File(file)) => (None, Some(file)),
    }
}

fn below(folder: &str, name: &[u8]) -> String {
    // No path has a NUL: a name that is not UTF-8 is never taken for another one.
    let name = std::str::from_utf8(name).unwrap_or("(not UTF-8)\0");
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn named(path: &str) -> Read<RepoPath> {
    path.parse().map_err(|error: crate::domain::InvalidId| {
        ReadError::Strange(format!("the commit holds a file that cannot be handled: {error}; rename it"))
    })
}
