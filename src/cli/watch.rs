//! `chandlery watch`: what is wrong, and what would a request do, as soon as a file is saved?

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::mpsc,
    time::Duration,
};

use anyhow::Context;
use clap::Args;
use notify::{EventKind, RecursiveMode};
use notify_debouncer_full::{DebounceEventResult, new_debouncer};

use super::{
    output, plan,
    validate::{files_of_work_tree, locate},
};
use crate::{
    catalog::{Report, report},
    domain::{Diagnostic, RepoPath},
    index::Whole,
};

/// Editors write a file in several steps; they are waited for so long.
const SETTLED: Duration = Duration::from_millis(80);

/// Follow the files of a catalog, and tell what is wrong and what a request would do as soon as one is saved
///
/// It goes on until it is ended. Exit codes: 2 wrong usage, 3 the files could not be read or followed.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The folder of the catalog
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The folder of the repository that holds the catalog, instead of PATH itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// A local repository that stands for one on the forge, for the plans of requests; may be given several times
    #[arg(long = "target", value_name = "OWNER/NAME=FOLDER")]
    targets: Vec<plan::Target>,
}

/// Runs the command; it ends only when it fails.
///
/// # Errors
/// When the files cannot be read or followed.
pub fn run(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    let top = locate(&args.path, args.root.as_ref())?.top;
    let (sender, events) = mpsc::channel::<DebounceEventResult>();
    let mut watcher =
        new_debouncer(SETTLED, None, sender).context("files cannot be followed on this system")?;
    // The whole tree of the catalog, and where its settings say that parts of it lie.
    let found = files_of_work_tree(&args.path, args.root.as_ref())?;
    for folder in folders(&args.path, &top, &found) {
        watcher.watch(&folder, RecursiveMode::Recursive).with_context(|| {
            format!(
                "cannot follow `{}`; the system may allow more watches: fs.inotify.max_user_watches",
                folder.display()
            )
        })?;
    }
    let mut before = found.check();
    tell(&found, &before.diagnostics, &before)?;
    let mut files = found.files;
    while let Ok(batch) = events.recv() {
        let batch = batch.map_err(|errors| {
            let words: Vec<String> = errors.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("the files can no longer be followed: {}", words.join("; "))
        })?;
        if batch.iter().all(|event| matches!(event.kind, EventKind::Access(_))) {
            continue;
        }
        // What was saved is what reads otherwise: a file in a folder that was just made may have told nothing.
        let found = files_of_work_tree(&args.path, args.root.as_ref())?;
        let paths: BTreeSet<&RepoPath> = files.keys().chain(found.files.keys()).collect();
        let saved: Vec<&RepoPath> =
            paths.into_iter().filter(|path| files.get(*path) != found.files.get(*path)).collect();
        if saved.is_empty() {
            continue;
        }
        let now = found.check();
        output::print(&format!("\n# {}\n", names(&saved)))?;
        let is_saved =
            |diagnostic: &&Diagnostic| saved.iter().any(|path| path.as_str() == diagnostic.place.source);
        let is_new = |diagnostic: &&Diagnostic| !before.diagnostics.contains(diagnostic);
        let told: Vec<Diagnostic> =
            now.diagnostics.iter().filter(|one| is_saved(one) || is_new(one)).cloned().collect();
        tell(&found, &told, &now)?;
        for request in saved.iter().filter(|path| path.file_name() == "request.yaml") {
            let disk = top.join(request.as_str());
            if told.is_empty() && disk.is_file() {
                // What cannot be planned is told, and watching goes on.
                if let Err(error) = plan::show(disk, &args.targets) {
                    output::complain(&format!("no plan of `{request}`: {error:#}"));
                }
            }
        }
        before = now;
        files = found.files;
    }
    anyhow::bail!("the files can no longer be followed")
}

fn folders(path: &Path, top: &Path, found: &Whole) -> BTreeSet<PathBuf> {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let parts = found.files.keys().filter_map(|file| Some(top.join(file.as_str().split_once('/')?.0)));
    parts.filter(|folder| !folder.starts_with(&path)).chain([path.clone()]).collect()
}

fn names(saved: &[&RepoPath]) -> String {
    match saved {
        [one] => format!("{one} was saved"),
        [first, rest @ ..] => format!("{first} and {} more were saved", rest.len()),
        [] => String::new(),
    }
}

fn tell(found: &Whole, told: &[Diagnostic], all: &Report) -> anyhow::Result<()> {
    let source = |path: &str| found.files.get(&path.parse().ok()?).cloned();
    output::print(&report::text(told, &source))?;
    output::print(&format!("{}\n", report::summary(&all.diagnostics, &all.counts)))
}
