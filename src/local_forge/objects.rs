//! What is in a Git repository, and how is something put there?
//!
//! Everything here works on one bare repository and knows nothing of issues or users.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use git2::{Commit, Delta, Diff, DiffFindOptions, DiffOptions, Oid, Repository, Signature, Sort, Time, Tree};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) const EMPTY: &str = "0000000000000000000000000000000000000000";

/// GitHub shows this many files of a comparison at most.
const MOST_FILES: usize = 300;

pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) email: String,
}

impl Person {
    pub(crate) fn github() -> Self {
        Self { name: "GitHub".to_owned(), email: "noreply@github.com".to_owned() }
    }

    pub(crate) fn sign(&self, at: Timestamp) -> Result<Signature<'static>, git2::Error> {
        Signature::new(&self.name, &self.email, &Time::new(at.as_second(), 0))
    }
}

/// Makes an empty bare repository that `git http-backend` may serve.
pub(crate) fn init(path: &Path) -> Result<(), git2::Error> {
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).mkpath(true).initial_head("main").external_template(false);
    let repository = Repository::init_opts(path, &options)?;
    let mut config = repository.config()?;
    config.set_bool("http.receivepack", true)?;
    // Clients ask for single commits of pull requests whose branch has been deleted.
    config.set_bool("uploadpack.allowAnySHA1InWant", true)?;
    config.set_bool("uploadpack.allowFilter", true)?;
    config.set_str("gc.auto", "0")?;
    config.set_bool("receive.autogc", false)?;
    // Pull refs are the forge's own: a push to them is refused.
    config.set_str("receive.hideRefs", "refs/pull")
}

/// Opened repositories that a thread keeps at most.
const MOST_OPENED: usize = 64;

thread_local! {
    static OPENED: RefCell<HashMap<(PathBuf, u64, u64), Rc<Repository>>> = RefCell::default();
}

/// Opens a repository, or gives the one that this thread opened before: opening costs more than
/// most requests. `id` tells a repository from an older one of the same name.
pub(crate) fn open(id: u64, path: &Path) -> Result<Rc<Repository>, git2::Error> {
    // libgit2 reads the list of alternates once, so another list is another repository.
    let alternates = path.join("objects/info/alternates").metadata().map_or(0, |file| file.len());
    let key = (path.to_owned(), id, alternates);
    OPENED.with_borrow_mut(|opened| {
        if let Some(known) = opened.get(&key) {
            return Ok(Rc::clone(known));
        }
        if opened.len() >= MOST_OPENED {
            opened.clear();
        }
        let repository = Rc::new(Repository::open_bare(path)?);
        opened.insert(key, Rc::clone(&repository));
        Ok(repository)
    })
}

pub(crate) fn oid(text: &str) -> Result<Oid, git2::Error> {
    if text.len() != 40 {
        return Err(git2::Error::new(
            git2::ErrorCode::NotFound,
            git2::ErrorClass::Reference,
            "not a full object id",
        ));
    }
    Oid::from_str(text)
}

/// A branch, a tag, a full ref or an object id (also shortened), as GitHub takes them in paths.
pub(crate) fn resolve<'repo>(git: &'repo Repository, name: &str) -> Result<Commit<'repo>, git2::Error> {
    for prefix in ["refs/heads/", "refs/tags/", "refs/", ""] {
        if let Ok(reference) = git.find_reference(&format!("{prefix}{name}")) {
            return reference.peel_to_commit();
        }
    }
    git.revparse_single(name)?.peel_to_commit()
}

pub(crate) fn message(commit: &Commit<'_>) -> String {
    String::from_utf8_lossy(commit.message_raw_bytes()).into_owned()
}

/// The message as GitHub shows it: without the newline at its end.
pub(crate) fn shown_message(commit: &Commit<'_>) -> String {
    message(commit).trim_end_matches('\n').to_owned()
}

pub(crate) fn email(signature: &Signature<'_>) -> String {
    String::from_utf8_lossy(signature.email_bytes()).into_owned()
}

pub(crate) fn name(signature: &Signature<'_>) -> String {
    String::from_utf8_lossy(signature.name_bytes()).into_owned()
}

pub(crate) fn when(signature: &Signature<'_>) -> Timestamp {
    Timestamp::from_second(signature.when().seconds()).unwrap_or_default()
}

/// Author and each `Co-authored-by` of the message, the author first.
pub(crate) fn authors(commit: &Commit<'_>) -> Vec<Person> {
    let mut people = vec![Person { name: name(&commit.author()), email: email(&commit.author()) }];
    for line in message(commit).lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        if !key.trim().eq_ignore_ascii_case("co-authored-by") {
            continue;
        }
        if let Some((name, rest)) = value.split_once('<')
            && let Some((email, _)) = rest.split_once('>')
            && !people.iter().any(|person| person.email == email)
        {
            people.push(Person { name: name.trim().to_owned(), email: email.to_owned() });
        }
    }
    people
}

/// Writes a commit whose message is kept byte for byte.
pub(crate) fn write_commit(
    git: &Repository,
    tree: Oid,
    parents: &[Oid],
    message: &str,
    author: &Signature<'_>,
    committer: &Signature<'_>,
) -> Result<Oid, git2::Error> {
    let tree = git.find_tree(tree)?;
    let parents = parents.iter().map(|parent| git.find_commit(*parent)).collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    git.commit(None, author, committer, message, &tree, &parents)
}

/// By this line a signature is known as the forge's own.
pub(crate) const SIGNER: &str = "Signed by the local forge as GitHub signs for Apps";

/// As `write_commit`, signed by the forge.
pub(crate) fn write_signed(
    git: &Repository,
    tree: Oid,
    parents: &[Oid],
    message: &str,
    person: &Signature<'_>,
) -> Result<Oid, git2::Error> {
    let tree = git.find_tree(tree)?;
    let parents = parents.iter().map(|parent| git.find_commit(*parent)).collect::<Result<Vec<_>, _>>()?;
    let parents: Vec<&Commit<'_>> = parents.iter().collect();
    let content = git.commit_create_buffer(person, person, message, &tree, &parents)?;
    let content = content.as_str().map_err(|_| git2::Error::from_str("the message is no text"))?.to_owned();
    let signature = format!("-----BEGIN PGP SIGNATURE-----\n\n{SIGNER}\n-----END PGP SIGNATURE-----");
    git.commit_signed(&content, &signature, None)
}

/// The signature of a commit, if the forge made it.
pub(crate) fn signature_of(commit: &Commit<'_>) -> Option<String> {
    let field = commit.header_field_bytes("gpgsig").ok()?;
    let text = String::from_utf8_lossy(&field).into_owned();
    text.contains(SIGNER).then_some(text)
}

pub(crate) fn is_signed(commit: &Commit<'_>) -> bool {
    signature_of(commit).is_some()
}

/// Turns a folder into the first commit; hidden Git folders stay out.
pub(crate) fn commit_folder(git: &Repository, folder: &Path, at: Timestamp) -> anyhow::Result<Oid> {
    let tree = write_folder(git, folder)?;
    let signature = Person::github().sign(at)?;
    Ok(write_commit(git, tree, &[], "Initial commit\n", &signature, &signature)?)
}

fn write_folder(git: &Repository, folder: &Path) -> anyhow::Result<Oid> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = git.treebuilder(None)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let kind = entry.file_type()?;
        if name == ".git" {
            continue;
        }
        if kind.is_dir() {
            let tree = write_folder(git, &entry.path())?;
            if !git.find_tree(tree)?.is_empty() {
                builder.insert(&name, tree, 0o040_000)?;
            }
        } else if kind.is_file() {
            let mode =
                if entry.metadata()?.permissions().mode() & 0o111 == 0 { 0o100_644 } else { 0o100_755 };
            builder.insert(&name, git.blob_path(&entry.path())?, mode)?;
        }
    }
    Ok(builder.write()?)
}

/// The tree with one file set or, given no content, removed.
pub(crate) fn with_file(
    git: &Repository,
    base: Option<&Tree<'_>>,
    path: &str,
    blob: Option<Oid>,
) -> Result<Oid, git2::Error> {
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let mut builder = git.treebuilder(base)?;
    let Some(rest) = rest else {
        match blob {
            Some(blob) => drop(builder.insert(first, blob, 0o100_644)?),
            None => builder.remove(first)?,
        }
        return builder.write();
    };
    let below = match base.and_then(|tree| tree.get_name(first)) {
        Some(entry) => entry.to_object(git)?.into_tree().ok(),
        None => None,
    };
    let tree = with_file(git, below.as_ref(), rest, blob)?;
    if git.find_tree(tree)?.is_empty() {
        builder.remove(first)?;
    } else {
        builder.insert(first, tree, 0o040_000)?;
    }
    builder.write()
}

/// Commits reachable from `head` and not from `base`, oldest first.
pub(crate) fn commits_between(git: &Repository, base: Oid, head: Oid) -> Result<Vec<Oid>, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
    walk.push(head)?;
    walk.hide(base)?;
    walk.collect()
}

/// The commits that a branch gained by moving.
pub(crate) fn gained(git: &Repository, before: &str, after: &str) -> Result<HashSet<String>, git2::Error> {
    let mut walk = git.revwalk()?;
    walk.push(oid(after)?)?;
    if before != EMPTY {
        walk.hide(oid(before)?)?;
    }
    walk.map(|id| Ok(id?.to_string())).collect()
}

pub(crate) fn is_ancestor(git: &Repository, old: Oid, new: Oid) -> bool {
    old == new || git.graph_descendant_of(new, old).unwrap_or(false)
}

/// The change from the merge base to the head: what a pull request shows.
pub(crate) fn three_dots<'repo>(
    git: &'repo Repository,
    base: Oid,
    head: Oid,
) -> Result<Diff<'repo>, git2::Error> {
    let old = git.merge_base(base, head).ok().map(|base| git.find_commit(base)?.tree()).transpose()?;
    diff(git, old.as_ref(), &git.find_commit(head)?.tree()?)
}

pub(crate) fn diff<'repo>(
    git: &'repo Repository,
    old: Option<&Tree<'_>>,
    new: &Tree<'_>,
) -> Result<Diff<'repo>, git2::Error> {
    let Some(old) = old else { return git.diff_tree_to_tree(None, Some(new), None) };
    let mut paths = Vec::new();
    differing(git, old, new, &[], &mut paths)?;
    if paths.is_empty() {
        return git.diff_tree_to_tree(None, None, None);
    }
    // Without being told where to look, libgit2 reads every folder of both, those that are equal, too.
    let mut options = DiffOptions::new();
    options.disable_pathspec_match(true);
    for path in &paths {
        options.pathspec(path.as_slice());
    }
    let mut diff = git.diff_tree_to_tree(Some(old), Some(new), Some(&mut options))?;
    diff.find_similar(Some(DiffFindOptions::new().renames(true)))?;
    Ok(diff)
}

/// Where two folders differ.
fn differing(
    git: &Repository,
    old: &Tree<'_>,
    new: &Tree<'_>,
    above: &[u8],
    paths: &mut Vec<Vec<u8>>,
) -> Result<(), git2::Error> {
    let names: BTreeSet<Vec<u8>> =
        old.iter().chain(new.iter()).map(|entry| entry.name_bytes().to_vec()).collect();
    for name in names {
        let (before, after) = (old.get_name_bytes(&name), new.get_name_bytes(&name));
        let said = |entry: &git2::TreeEntry<'_>| (entry.id(), entry.filemode());
        if before.as_ref().map(said) == after.as_ref().map(said) {
            continue;
        }
        let path = [above, name.as_slice()].concat();
        let folder = |entry: Option<git2::TreeEntry<'_>>| entry?.to_object(git).ok()?.into_tree().ok();
        match (folder(before), folder(after)) {
            (Some(before), Some(after)) => {
                differing(git, &before, &after, &[path.as_slice(), b"/"].concat(), paths)?;
            }
            _ => paths.push(path),
        }
    }
    Ok(())
}

pub(crate) struct Totals {
    pub(crate) files: usize,
    pub(crate) additions: usize,
    pub(crate) deletions: usize,
}

pub(crate) fn totals(diff: &Diff<'_>) -> Result<Totals, git2::Error> {
    let stats = diff.stats()?;
    Ok(Totals { files: stats.files_changed(), additions: stats.insertions(), deletions: stats.deletions() })
}

/// The files of a change as the REST API lists them (`diff-entry`).
pub(crate) fn files(diff: &Diff<'_>, api: &str, html: &str, commit: &str) -> Result<Vec<Value>, git2::Error> {
    let mut files = Vec::new();
    for index in 0..diff.deltas().len().min(MOST_FILES) {
        let Some(delta) = diff.get_delta(index) else { continue };
        let path = |file: git2::DiffFile<'_>| {
            String::from_utf8_lossy(file.path_bytes().unwrap_or_default()).into_owned()
        };
        let (old, new) = (path(delta.old_file()), path(delta.new_file()));
        let status = match delta.status() {
            Delta::Added => "added",
            Delta::Deleted => "removed",
            Delta::Renamed => "renamed",
            Delta::Copied => "copied",
            Delta::Typechange => "changed",
            _ => "modified",
        };
        let blob =
            if delta.status() == Delta::Deleted { delta.old_file().id() } else { delta.new_file().id() };
        let mut file = json!({
            "sha": blob.to_string(), "filename": new, "status": status, "additions": 0, "deletions": 0, "changes": 0,
            "blob_url": format!("{html}/blob/{commit}/{new}"), "raw_url": format!("{html}/raw/{commit}/{new}"),
            "contents_url": format!("{api}/contents/{new}?ref={commit}"),
        });
        if let Some(mut patch) = git2::Patch::from_diff(diff, index)? {
            let (_, additions, deletions) = patch.line_stats()?;
            file["additions"] = additions.into();
            file["deletions"] = deletions.into();
            file["changes"] = (additions + deletions).into();
            let text = patch.to_buf()?;
            let text = String::from_utf8_lossy(&text).into_owned();
            if let Some(start) = text.find("\n@@") {
                file["patch"] = text[start + 1..].trim_end_matches('\n').into();
            }
        }
        if status == "renamed" {
            file["previous_filename"] = old.into();
        }
        files.push(file);
    }
    Ok(files)
}

/// The whole change as a unified diff.
pub(crate) fn unified(diff: &Diff<'_>) -> Result<Vec<u8>, git2::Error> {
    let mut text = Vec::new();
    diff.print(git2::DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(u8::try_from(line.origin()).unwrap_or(b' '));
        }
        text.extend_from_slice(line.content());
        true
    })?;
    Ok(text)
}

/// The tree of a clean merge, or nothing when both sides changed the same lines.
pub(crate) fn merge(git: &Repository, ours: Oid, theirs: Oid) -> Result<Option<Oid>, git2::Error> {
    // Where one side holds all of the other, nothing is to be merged: libgit2 would read both trees whole to find that out.
    match git.merge_base(ours, theirs) {
        Ok(base) if base == ours => return git.find_commit(theirs).map(|theirs| Some(theirs.tree_id())),
        Ok(base) if base == theirs => return git.find_commit(ours).map(|ours| Some(ours.tree_id())),
        Ok(_) | Err(_) => {}
    }
    let mut index = git.merge_commits(&git.find_commit(ours)?, &git.find_commit(theirs)?, None)?;
    if index.has_conflicts() {
        return Ok(None);
    }
    index.write_tree_to(git).map(Some)
}

/// Replays the commits of `head` on `base`; merges among them are left out, as GitHub does.
pub(crate) fn rebase(
    git: &Repository,
    base: Oid,
    head: Oid,
    committer: &Signature<'_>,
) -> Result<Option<Oid>, git2::Error> {
    let mut tip = base;
    for id in commits_between(git, base, head)? {
        let commit = git.find_commit(id)?;
        if commit.parent_count() != 1 {
            continue;
        }
        let mut index = git.merge_trees(
            &commit.parent(0)?.tree()?,
            &git.find_commit(tip)?.tree()?,
            &commit.tree()?,
            None,
        )?;
        if index.has_conflicts() {
            return Ok(None);
        }
        let tree = index.write_tree_to(git)?;
        tip = write_commit(git, tree, &[tip], &message(&commit), &commit.author(), committer)?;
    }
    Ok(Some(tip))
}

/// Every ref that people see, with what it points at.
pub(crate) fn all_refs(git: &Repository) -> Result<BTreeMap<String, String>, git2::Error> {
    let mut refs = BTreeMap::new();
    for reference in git.references()? {
        let reference = reference?;
        if let (Ok(name), Some(target)) = (reference.name(), reference.target()) {
            refs.insert(name.to_owned(), target.to_string());
        }
    }
    Ok(refs)
}

/// Copies the objects of one repository under another so that its commits can be merged there.
pub(crate) fn share_objects(from: &Path, to: &Path) -> std::io::Result<()> {
    let line = format!("{}\n", from.join("objects").display());
    let info = to.join("objects/info");
    std::fs::create_dir_all(&info)?;
    let file = info.join("alternates");
    #[expect(clippy::disallowed_methods, reason = "a Git repository is files")]
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    if known.contains(&line) {
        return Ok(());
    }
    #[expect(clippy::disallowed_methods, reason = "a Git repository is files")]
    std::fs::write(file, known + &line)
}
