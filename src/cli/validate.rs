//! Is the catalog in this folder, or at this commit, sound?

pub mod try_out;

use std::{
    fs,
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use super::{config::clock, output};
use crate::{
    catalog::{Definitions, Files, Report, Root, check_all, load_definitions, load_settings, report},
    domain::{Bytes, Diagnostic, Place, RepoPath, Severity},
    git::objects::commit_named,
    render,
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
    /// The folder of the repository that holds the catalog, instead of PATH itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// Try only those expressions that are new or changed since this commit, not all
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
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

/// The files of a catalog and where it lies.
pub(super) struct Found {
    pub(super) root: Root,
    pub(super) files: Files,
    /// What cannot be read because of its path.
    pub(super) unreadable: Vec<Diagnostic>,
}

impl Found {
    fn new(root: Root) -> Self {
        Self { root, files: Files::new(), unreadable: Vec::new() }
    }

    /// Some names are files in one system and not in another; a catalog has only those that are in all.
    fn refuse(&mut self, folder: &RepoPath, name: &str) {
        let message = format!("`{name}` is not a name that a file of a catalog can have");
        let found = Diagnostic::error("invalid-path", Place::file(folder.as_str()), message);
        self.unreadable.push(found.help("rename it: no \\ : * ? \" < > |, and no space or dot at the end"));
    }
}

/// Checks the catalog and prints what is wrong.
///
/// # Errors
/// When the files cannot be read.
pub fn run(args: &ValidateArgs) -> anyhow::Result<ExitCode> {
    let found = match &args.at {
        Some(rev) => files_at(&args.path, args.root.as_ref(), rev)?,
        None => files_of_work_tree(&args.path, args.root.as_ref())?,
    };
    let Report { mut diagnostics, counts } = check(&found);
    let before = match &args.base {
        Some(rev) => definitions_at(args, rev)?,
        None => None,
    };
    diagnostics.extend(try_out::try_out(&found, before.as_ref(), clock())?);
    let summary = report::summary(&diagnostics, &counts);
    match args.format {
        Format::Text => {
            let files = found.files;
            let source = |path: &str| files.get(&path.parse().ok()?).cloned();
            output::print(&report::text(&diagnostics, &source))?;
            output::print(&format!("{summary}\n"))?;
        }
        Format::Json => output::print(&format!("{}\n", report::json(&diagnostics, &counts)))?,
        Format::Sarif => output::print(&format!("{}\n", report::sarif(&diagnostics)))?,
        Format::Github => output::print(&format!("{}{summary}\n", report::github(&diagnostics)))?,
    }
    let sound = diagnostics.iter().all(|diagnostic| diagnostic.severity == Severity::Warning);
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

fn definitions_at(args: &ValidateArgs, rev: &str) -> anyhow::Result<Option<Definitions>> {
    let Found { root, files, .. } = files_at(&args.path, args.root.as_ref(), rev)?;
    let settings = load_settings(&root, files.get(&root.settings_path()));
    Ok(settings.ok().map(|settings| load_definitions(&root, settings, &files).0))
}

/// Everything that is wrong with a catalog, its templates among it.
pub(super) fn check(found: &Found) -> Report {
    let Report { mut diagnostics, counts } = check_all(&found.root, &found.files);
    diagnostics.extend(found.unreadable.iter().cloned());
    if let Ok(settings) = load_settings(&found.root, found.files.get(&found.root.settings_path())) {
        let folder = settings.folders.templates.clone();
        let (definitions, _) = load_definitions(&found.root, settings, &found.files);
        for (name, template) in &definitions.templates {
            diagnostics.extend(render::check(template, &format!("{folder}/{name}")));
        }
    }
    Report { diagnostics, counts }
}

/// Where the catalog lies: the top of the repository on disk, and its folder below that.
pub(super) struct Location {
    pub(super) top: PathBuf,
    root: Root,
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
pub(super) fn files_of_work_tree(path: &Path, folder: Option<&RepoPath>) -> anyhow::Result<Found> {
    let Location { top, root } = locate(path, folder)?;
    let settings_path = root.settings_path();
    let mut found = Found::new(root);
    read_into(&top.join(settings_path.as_str()), &settings_path, &mut found.files)?;
    if let Ok(settings) = load_settings(&found.root, found.files.get(&settings_path)) {
        for folder in settings.folders.all() {
            walk(&top.join(folder.as_str()), folder, &mut found)?;
        }
    }
    Ok(found)
}

/// Links are not followed: in Git they are files of their own, which hold no document.
fn walk(disk: &Path, folder: &RepoPath, found: &mut Found) -> anyhow::Result<()> {
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
            found.refuse(folder, &name.to_string_lossy());
            continue;
        };
        let kind = entry.file_type().with_context(|| format!("cannot look at `{path}`"))?;
        if kind.is_dir() {
            walk(&entry.path(), &path, found)?;
        } else if kind.is_file() {
            read_into(&entry.path(), &path, &mut found.files)?;
        }
    }
    Ok(())
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
pub(super) fn files_at(path: &Path, folder: Option<&RepoPath>, rev: &str) -> anyhow::Result<Found> {
    let repository = git2::Repository::discover(path)
        .with_context(|| format!("`{}` is not in a Git repository", path.display()))?;
    let root = match (folder, repository.workdir()) {
        (None, Some(_)) => locate(path, None)?.root,
        (folder, _) => Root(folder.cloned()),
    };
    let object = commit_named(&repository, rev)
        .with_context(|| format!("`{rev}` is not a commit here"))?
        .into_object();
    let tree = object.peel_to_tree().with_context(|| format!("`{rev}` is not a commit here"))?;
    let settings_path = root.settings_path();
    let mut found = Found::new(root);
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
    found: &mut Found,
) -> anyhow::Result<()> {
    for entry in tree {
        let Some(path) = entry.name().ok().and_then(|name| folder.join(name).ok()) else {
            found.refuse(folder, &String::from_utf8_lossy(entry.name_bytes()));
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
