//! Is the catalog in this folder, or at this commit, sound?

pub mod try_out;

use std::{
    fs,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use super::{config::clock, output};
use crate::{
    catalog::{
        Definitions, Files, Mended, Report, Root, apply_fixes, load_definitions, load_settings, report,
        try_out::trials,
    },
    domain::{Bytes, Diagnostic, RepoPath, Severity, Timestamp},
    git::objects::{Objects, commit_named},
    index::{Commit, Kept, Whole},
};

/// Check a catalog: every problem, with its place and what to do
///
/// Exit codes: 0 sound, 1 problems, 2 wrong usage, 3 the files could not be read.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The folder of the catalog
    #[arg(default_value = ".")]
    path: PathBuf,
    /// Read this commit instead of the files on disk: a branch, a tag or an object id
    #[arg(long, value_name = "REV")]
    at: Option<String>,
    /// Read a commit (HEAD, or that of --at), and look only at what differs from this one: says what looking at all would
    #[arg(long, value_name = "REV")]
    since: Option<String>,
    /// The folder of the repository that holds the catalog, instead of PATH itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Mend in the files on disk what leaves no doubt about what was meant, and check again
    #[arg(long, conflicts_with_all = ["at", "since"])]
    fix: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One object, for programs
    Json,
    /// Annotations of a GitHub workflow
    Github,
    /// SARIF 2.1.0, for code scanning
    Sarif,
}

/// The bytes of a file by its path.
type Sources = Box<dyn Fn(&str) -> Option<Bytes>>;

/// Checks the catalog and prints what is wrong.
///
/// # Errors
/// When the files cannot be read.
pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let sources: Sources;
    let Report { diagnostics, counts } = match (&args.at, &args.since) {
        (None, None) => {
            let mut found = files_of_work_tree(&args.path, args.root.as_ref())?;
            if args.fix {
                mend_all(args, &mut found)?;
            }
            let mut report = found.check();
            report.diagnostics.extend(try_out::try_out(&found, None, clock())?);
            sources = Box::new(move |path| found.files.get(&path.parse().ok()?).cloned());
            report
        }
        (at, since) => {
            let rev = at.as_deref().unwrap_or("HEAD");
            let commit = commit(&args.path, args.root.as_ref(), rev)?;
            let since = match since {
                Some(rev) => Some(commit_beside(&commit, &args.path, rev)?),
                None => None,
            };
            let kept = Kept::beside(commit.objects.common_folder());
            let mut report = commit.check(since.as_ref().map(|since| since.tree), &kept)?;
            let now = commit.definitions()?;
            let before = since.as_ref().map(Commit::definitions).transpose()?;
            // The same definitions derive nothing new.
            if before.as_ref().is_none_or(|before| before.files != now.files) {
                let before = before.as_ref().and_then(definitions);
                if definitions(&now).is_some_and(|now| !trials(&now, before.as_ref()).is_empty()) {
                    // What is new is tried over all there is.
                    let whole = files_at(&args.path, args.root.as_ref(), rev)?;
                    report.diagnostics.extend(try_out::try_out(&whole, before.as_ref(), clock())?);
                }
            }
            sources = Box::new(move |path| commit.file(path));
            report
        }
    };
    let summary = report::summary(&diagnostics, &counts);
    match args.format {
        Format::Text => {
            output::print(&report::text(&diagnostics, &sources))?;
            output::print(&format!("{summary}\n"))?;
        }
        Format::Json => output::print(&format!("{}\n", report::json(&diagnostics, &counts)))?,
        Format::Sarif => output::print(&format!("{}\n", report::sarif(&diagnostics, &sources)))?,
        Format::Github => output::print(&format!("{}{summary}\n", report::github(&diagnostics)))?,
    }
    let sound = diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn commit_beside(commit: &Commit, path: &Path, rev: &str) -> anyhow::Result<Commit> {
    let objects = Objects::open(path)?;
    let tree = objects.root(objects.commit_named(rev, Timestamp::from_seconds(clock()))?)?;
    Ok(Commit::new(objects, tree, commit.root.clone()))
}

fn definitions(found: &Whole) -> Option<Definitions> {
    let settings = load_settings(&found.root, found.files.get(&found.root.settings_path())).ok()?;
    Some(load_definitions(&found.root, settings, &found.files).0)
}

/// Mends the files on disk and says what was done.
fn mend_all(args: &ValidateArgs, found: &mut Whole) -> anyhow::Result<()> {
    let top = locate(&args.path, args.root.as_ref())?.top;
    for line in mend(&top, found)? {
        match args.format {
            Format::Text | Format::Github => output::print(&format!("{}\n", output::plain(&line)))?,
            // Programs read what is printed.
            Format::Json | Format::Sarif => output::complain(&line),
        }
    }
    Ok(())
}

/// Mends the files on disk until nothing more can be, and says what was done. What is mended may bring to light
/// what can be mended, too.
fn mend(top: &Path, found: &mut Whole) -> anyhow::Result<Vec<String>> {
    /// Each round mends at least one thing; whatever would go on for ever ends here.
    const MAX_ROUNDS: usize = 50;
    let mut told = Vec::new();
    for _ in 0..MAX_ROUNDS {
        let mended = apply_fixes(&found.files, &found.check().diagnostics);
        if mended.is_empty() {
            break;
        }
        for Mended { path, bytes, done } in mended {
            replace(top, &path, found.files.get(&path), &bytes)?;
            for Diagnostic { place, code, fix, .. } in done {
                let line = place.span.map_or(1, |span| span.line);
                let title = fix.map(|fix| fix.title).unwrap_or_default();
                told.push(format!("mended {path}:{line}: {title} ({code})"));
            }
            found.files.insert(path, bytes);
        }
    }
    Ok(told)
}

/// Writes a file that still is what was looked at; what somebody saved in the meantime is theirs.
#[expect(clippy::disallowed_methods, reason = "the work tree is mended here")]
fn replace(top: &Path, path: &RepoPath, before: Option<&Bytes>, after: &Bytes) -> anyhow::Result<()> {
    let disk = top.join(path.as_str());
    let now = fs::read(&disk).with_context(|| format!("cannot read `{path}`"))?;
    if before.is_none_or(|before| before[..] != now[..]) || fs::symlink_metadata(&disk)?.is_symlink() {
        bail!("`{path}` was not mended: it is a link, or was saved a moment ago; run it again");
    }
    fs::write(&disk, after).with_context(|| format!("cannot write `{path}`"))
}

/// The catalog at a commit.
pub(super) fn commit(path: &Path, folder: Option<&RepoPath>, rev: &str) -> anyhow::Result<Commit> {
    let objects =
        Objects::open(path).with_context(|| format!("`{}` is not in a Git repository", path.display()))?;
    let root = match (folder, objects.has_work_tree()) {
        (None, true) => locate(path, None)?.root,
        (folder, _) => Root(folder.cloned()),
    };
    let tree = objects.root(objects.commit_named(rev, Timestamp::from_seconds(clock()))?)?;
    Ok(Commit::new(objects, tree, root))
}

/// Why nothing can be asked of what lies there: the wrong folder, or settings with mistakes.
pub(super) fn no_catalog(found: &Whole, folder: &Path) -> anyhow::Error {
    let path = found.root.settings_path();
    if found.files.contains_key(&path) {
        anyhow!("this is no catalog that can be read: run `chandlery validate {}`", folder.display())
    } else {
        anyhow!("there is no `{path}`, so this is no catalog; name the catalog's folder with --catalog DIR")
    }
}

/// Where the catalog lies: the top of the repository on disk, and its folder below that.
pub(super) struct Location {
    pub(super) top: PathBuf,
    pub(super) root: Root,
}

pub(super) fn locate(path: &Path, folder: Option<&RepoPath>) -> anyhow::Result<Location> {
    let path = path.canonicalize().with_context(|| format!("cannot find `{}`", path.display()))?;
    if !path.is_dir() {
        bail!("`{}` is not a folder", path.display());
    }
    // Without a repository the folder above stands for one, so that `../action-templates` is found.
    let top = match path.ancestors().find(|above| above.join(".git").exists()) {
        Some(top) => top.to_owned(),
        None if folder.is_some() => path.clone(),
        None => path.parent().unwrap_or(&path).to_owned(),
    };
    if let Some(folder) = folder {
        return Ok(Location { top, root: Root(Some(folder.clone())) });
    }
    let below = repo_path(path.strip_prefix(&top)?)
        .with_context(|| format!("`{}` cannot be a folder of a repository", path.display()))?;
    Ok(Location { top, root: Root(below) })
}

/// A path on disk, below the top of a repository; none for the top itself.
pub(super) fn repo_path(path: &Path) -> anyhow::Result<Option<RepoPath>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_str().context("a name is not UTF-8")?),
            _ => bail!("`{}` climbs", path.display()),
        }
    }
    if names.is_empty() { Ok(None) } else { Ok(Some(names.join("/").parse()?)) }
}

/// The files that matter, as they are on disk.
pub(super) fn files_of_work_tree(path: &Path, folder: Option<&RepoPath>) -> anyhow::Result<Whole> {
    let Location { top, root } = locate(path, folder)?;
    let settings_path = root.settings_path();
    let mut found = Whole::new(root);
    read_into(&top.join(settings_path.as_str()), &settings_path, &mut found.files)?;
    if let Ok(settings) = load_settings(&found.root, found.files.get(&settings_path)) {
        for folder in settings.folders.all() {
            walk(&top.join(folder.as_str()), folder, &mut found)?;
        }
    }
    // What steps run is no part of the catalog, but of plans.
    let scripts = match &found.root.0 {
        Some(root) => root.join("scripts")?,
        None => "scripts".parse()?,
    };
    walk(&top.join(scripts.as_str()), &scripts, &mut found)?;
    Ok(found)
}

/// The files below a folder on disk, as if they lay below `top` of a repository.
pub(super) fn files_below(disk: &Path, top: &RepoPath) -> anyhow::Result<Whole> {
    let mut found = Whole::new(Root(None));
    walk(disk, top, &mut found)?;
    Ok(found)
}

/// Links are not followed: in Git they are files of their own, which hold no document.
fn walk(disk: &Path, folder: &RepoPath, found: &mut Whole) -> anyhow::Result<()> {
    let is_folder = fs::symlink_metadata(disk).is_ok_and(|metadata| metadata.is_dir());
    if !is_folder {
        return Ok(());
    }
    let entries =
        fs::read_dir(disk).with_context(|| format!("cannot read the folder `{}`", disk.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read the folder `{}`", disk.display()))?;
        let name = entry.file_name();
        let Some(path) = name.to_str().and_then(|name| folder.join(name).ok()) else {
            found.refused.push((folder.clone(), name.to_string_lossy().into_owned()));
            continue;
        };
        let kind = entry.file_type().with_context(|| format!("cannot look at `{path}`"))?;
        if kind.is_dir() {
            walk(&entry.path(), &path, found)?;
        } else if kind.is_file() {
            if entry.metadata().is_ok_and(|metadata| may_be_executed(&metadata)) {
                found.executables.push(path.clone());
            }
            read_into(&entry.path(), &path, &mut found.files)?;
        }
    }
    Ok(())
}

/// As Git sees it; where files have no such mode, none may.
fn may_be_executed(metadata: &fs::Metadata) -> bool {
    #[cfg(unix)]
    return std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0;
    #[cfg(not(unix))]
    return false;
}

#[expect(clippy::disallowed_methods, reason = "the work tree is read here")]
fn read_into(disk: &Path, path: &RepoPath, files: &mut Files) -> anyhow::Result<()> {
    match fs::read(disk) {
        Ok(bytes) => drop(files.insert(path.clone(), Bytes::from(bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", disk.display())),
    }
    Ok(())
}

/// The files that matter, straight from the object database.
pub(super) fn files_at(path: &Path, folder: Option<&RepoPath>, rev: &str) -> anyhow::Result<Whole> {
    let repository = git2::Repository::discover(path)
        .ok()
        .with_context(|| format!("`{}` is not in a Git repository", path.display()))?;
    let root = match (folder, repository.workdir()) {
        (None, Some(_)) => locate(path, None)?.root,
        (folder, _) => Root(folder.cloned()),
    };
    let now = Timestamp::from_seconds(clock());
    let object = commit_named(&repository, rev, now)?.into_object();
    let tree = object.peel_to_tree().with_context(|| format!("`{rev}` is not a commit here"))?;
    let settings_path = root.settings_path();
    let mut found = Whole::new(root);
    if let Ok(entry) = tree.get_path(Path::new(settings_path.as_str())) {
        insert_blob(&repository, &entry, &settings_path, &mut found.files)?;
    }
    if let Ok(settings) = load_settings(&found.root, found.files.get(&settings_path)) {
        for folder in settings.folders.all() {
            let Ok(entry) = tree.get_path(Path::new(folder.as_str())) else { continue };
            if let Ok(tree) = entry.to_object(&repository)?.into_tree() {
                collect(&repository, &tree, folder, &mut found)?;
            }
        }
    }
    Ok(found)
}

fn collect(
    repository: &git2::Repository,
    tree: &git2::Tree<'_>,
    folder: &RepoPath,
    found: &mut Whole,
) -> anyhow::Result<()> {
    for entry in tree {
        let Some(path) = entry.name().ok().and_then(|name| folder.join(name).ok()) else {
            found.refused.push((folder.clone(), String::from_utf8_lossy(entry.name_bytes()).into_owned()));
            continue;
        };
        match entry.kind() {
            Some(git2::ObjectType::Tree) => {
                let object = entry.to_object(repository).with_context(|| format!("cannot read `{path}`"))?;
                if let Ok(tree) = object.into_tree() {
                    collect(repository, &tree, &path, found)?;
                }
            }
            Some(git2::ObjectType::Blob) => insert_blob(repository, &entry, &path, &mut found.files)?,
            _ => {}
        }
    }
    Ok(())
}

fn insert_blob(
    repository: &git2::Repository,
    entry: &git2::TreeEntry<'_>,
    path: &RepoPath,
    files: &mut Files,
) -> anyhow::Result<()> {
    /// The mode of a symbolic link, whose blob is no document.
    const LINK: i32 = 0o120_000;
    if entry.filemode() != LINK {
        let blob = repository.find_blob(entry.id()).with_context(|| format!("cannot read `{path}`"))?;
        files.insert(path.clone(), Bytes::from(blob.content()));
    }
    Ok(())
}
