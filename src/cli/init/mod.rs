//! What does a new catalog need on GitHub, and what does a target repository?
//!
//! Files that are there already are kept: whoever sets up a catalog that grew by hand gets what is missing. `with` are the
//! actions that this program brings along.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use include_dir::{Dir, DirEntry, include_dir};

use super::{generate, output};
use crate::{
    catalog::{Files, Root, Settings, load_settings},
    domain::{Bytes, RepoName, RepoPath},
};
use workflows::{Release, Words};

pub(super) mod workflows;
pub(super) mod rulesets;
mod with;

/// Definitions to begin with, where there are none.
static STARTER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/init/starter");
static SCHEMAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schemas");
/// Where editors find the schemas.
const SCHEMAS_FOLDER: &str = ".chandlery/schemas";

/// Write a catalog that is ready for GitHub, or the workflow of a target repository
///
/// Files that are there already are kept. With --with, actions that come with Chandlery are added, each with its templates,
/// examples and what it rests on, and the workflow hands on the secrets that it needs; into a catalog that is there, nothing
/// else is written.
///
/// Exit codes: 0 written, 1 nothing was written, since a file of an action is there with other content, 2 wrong usage,
/// 3 files could not be read or written.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The top of the repository; made when missing
    #[arg(required_unless_present = "list")]
    dir: Option<PathBuf>,
    /// Add these actions; with --target, write what they need there
    #[arg(long, value_name = "NAME", num_args = 1..)]
    with: Vec<String>,
    /// Show the actions that come with Chandlery, and end
    #[arg(long)]
    list: bool,
    /// The catalog's repository [env: CHANDLERY_REPOSITORY, GITHUB_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<RepoName>,
    /// DIR is this target repository: write the workflow that tells the catalog when a follow-up was merged
    #[arg(long, value_name = "OWNER/NAME")]
    target: Option<RepoName>,
    /// A workflow that steps start in this repository, by its `name`: its end wakes Chandlery, too
    #[arg(long, value_name = "NAME", value_parser = workflows::read_workflow)]
    workflow: Vec<String>,
    /// The App that Chandlery acts as; its account is NAME[bot]
    #[arg(long, default_value = "chandlery", value_name = "NAME", value_parser = workflows::read_name)]
    app: String,
    /// The App's id, for the rulesets; `chandlery doctor --fix` sets it later
    #[arg(long, value_name = "ID")]
    app_id: Option<u64>,
    /// Who reviews definitions [default: the team `platform` of the catalog's owner]
    #[arg(long, value_name = "@OWNER/TEAM", value_parser = workflows::read_owners)]
    owners: Option<String>,
    /// The catalog's default branch
    #[arg(long, default_value = "main", value_name = "NAME", value_parser = workflows::read_branch)]
    branch: String,
    /// The action that runs Chandlery, pinned [default: that of this release]
    #[arg(long, value_name = "OWNER/NAME@COMMIT", value_parser = workflows::read_action)]
    action: Option<workflows::Action>,
    /// The SHA-256 of the release's program for Linux, from its SHA256SUMS
    #[arg(long, value_name = "HEX", value_parser = workflows::read_sha256)]
    sha256: Option<String>,
}

/// Writes the files.
///
/// # Errors
/// When files cannot be read or written, or the catalog is not named.
pub fn run(args: &InitArgs) -> anyhow::Result<ExitCode> {
    let (false, Some(dir)) = (args.list, &args.dir) else {
        output::print(&with::list()?)?;
        return Ok(ExitCode::SUCCESS);
    };
    let ready = with::named(&args.with)?;
    let top = prepare(dir)?;
    let settings = settings_of(&top)?;
    let known = settings.as_ref().and_then(|settings| settings.repository.clone());
    let known = known.filter(|_| args.target.is_none());
    let said = args.repository.clone().or_else(|| known.clone());
    let repository = said.map_or_else(repository_of_environment, Ok)?;
    if args.target.as_ref() == Some(&repository) {
        bail!(
            "`{repository}` is the catalog, and a target is another repository: leave out --target, or name that"
        );
    }
    if let Some(other) = known.filter(|known| *known != repository) {
        bail!("the catalog in `{}` says that it is `{other}`, not `{repository}`", top.display());
    }
    let is_new = !top.join(Root::default().settings_path().as_str()).exists();
    let words = Words {
        owners: args.owners.clone().unwrap_or_else(|| format!("@{}/platform", repository.owner())),
        repository,
        app: args.app.clone(),
        branch: args.branch.clone(),
        release: Release::from_options(args.action.clone(), args.sha256.clone()),
        folders: settings.map(|settings| settings.folders).unwrap_or_default(),
    };
    if let Some(target) = &args.target {
        let with = with::of_target(&ready, target)?;
        let mut followed = workflows::started(&with);
        followed.extend(args.workflow.iter().cloned());
        let mut files = in_bytes(workflows::of_target(&words, &followed)?);
        files.extend(with);
        write_all(&top, &files)?;
        output::print(&next(args, &words))?;
        return Ok(ExitCode::SUCCESS);
    }
    let files = match (is_new, ready.is_empty()) {
        (true, false) => {
            let mut files = of_catalog(&top, &words, args.app_id)?;
            // The definitions to begin with are these actions.
            let settings = Root::default().settings_path();
            let starter = texts(&STARTER)?;
            files.retain(|path, _| *path == settings || !starter.contains_key(path));
            files
        }
        (_, true) => of_catalog(&top, &words, args.app_id)?,
        (false, false) => BTreeMap::new(),
    };
    let mut files = in_bytes(files);
    let mut left = Vec::new();
    left.extend(follow(&top, &mut files, &args.workflow)?);
    if !ready.is_empty() {
        let Some(added) = with_actions(&top, &ready, &files, &words)? else {
            return Ok(ExitCode::from(crate::cli::PROBLEMS));
        };
        left = added.next;
        left.extend(hand_on(&top, &mut files, &added.secrets)?);
        for (path, (bytes, is_there)) in added.write {
            if is_there && !files.contains_key(&path) {
                write_over(&top, &path, &bytes)?;
                output::print(&format!("added to: {path}\n"))?;
            } else {
                files.insert(path, bytes);
            }
        }
        for path in added.kept {
            output::print(&format!("kept: {path}\n"))?;
        }
    }
    write_all(&top, &files)?;
    if generate::write_forms(&top)? == generate::Forms::Mistakes {
        output::print("no issue forms: the catalog has mistakes; run `chandlery validate`\n")?;
    }
    if is_new || ready.is_empty() {
        output::print(&next(args, &words))?;
    }
    if !ready.is_empty() {
        left.push("`chandlery validate` and `chandlery test` say whether it fits; beside each action a text says what it needs and how to change it.".to_owned());
        output::print("\nFor these actions:\n")?;
    }
    for line in left {
        output::print(&format!("  - {line}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the acting workflow hand secrets on that steps need; says what people must do where that is not known how.
fn hand_on(top: &Path, files: &mut Files, names: &BTreeSet<String>) -> anyhow::Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    let with_secrets = |text: &str| workflows::with_secrets(text, names);
    amend(top, files, with_secrets, "have it hand those secrets on")
}

/// Has the end of these workflows of the catalog wake Chandlery; says what people must do where that is not known how.
fn follow(top: &Path, files: &mut Files, names: &[String]) -> anyhow::Result<Option<String>> {
    if names.is_empty() {
        return Ok(None);
    }
    let names = names.iter().cloned().collect();
    let with_followed = |text: &str| workflows::with_followed(text, &names);
    amend(top, files, with_followed, "name them in its `workflow_run`")
}

/// Changes the acting workflow, whether it is there or about to be written.
fn amend(
    top: &Path,
    files: &mut Files,
    change: impl FnOnce(&str) -> Option<String>,
    by_hand: &str,
) -> anyhow::Result<Option<String>> {
    let acting: RepoPath = workflows::ACTING.parse()?;
    let there = read_if_there(&top.join(acting.as_str()))?;
    let Some(old) = there.as_ref().or_else(|| files.get(&acting)) else { return Ok(None) };
    match change(&String::from_utf8_lossy(old)) {
        Some(new) if new.as_bytes() == old.as_ref() => {}
        Some(new) if there.is_some() => {
            write_over(top, &acting, new.as_bytes())?;
            output::print(&format!("added to: {acting}\n"))?;
        }
        Some(new) => drop(files.insert(acting, new.into_bytes().into())),
        None => {
            return Ok(Some(format!(
                "`{acting}` was changed by hand, so nothing was added to it: {by_hand}."
            )));
        }
    }
    Ok(None)
}

/// What the actions add to the catalog on disk, as far as it is about to be written; none, and told, where they would
/// write over something.
fn with_actions(
    top: &Path,
    ready: &[with::Ready],
    new: &Files,
    words: &Words,
) -> anyhow::Result<Option<with::Additions>> {
    let mut known = match new.is_empty() {
        true => files_of(top)?,
        false => new.clone(),
    };
    for path in with::own_paths(ready, &words.folders)? {
        if let Some(bytes) = read_if_there(&top.join(path.as_str()))? {
            known.insert(path, bytes);
        }
    }
    let added = with::add(ready, &known, &words.repository)?;
    if added.conflicts.is_empty() {
        return Ok(Some(added));
    }
    for path in &added.conflicts {
        output::complain(&format!("`{path}` is there with other content"));
    }
    output::complain("nothing was written: rename or remove what is there, or leave the action out");
    Ok(None)
}

/// The files of a catalog, by their path in it: what is above it does not matter here.
fn files_of(top: &Path) -> anyhow::Result<Files> {
    let whole = super::validate::files_of_work_tree(top, None)?;
    let Root(Some(folder)) = &whole.root else { return Ok(whole.files) };
    let inside = |(path, bytes): (RepoPath, Bytes)| Some((path.under(folder)?.parse().ok()?, bytes));
    Ok(whole.files.into_iter().filter_map(inside).collect())
}

fn in_bytes(files: BTreeMap<RepoPath, String>) -> Files {
    files.into_iter().map(|(path, text)| (path, text.into_bytes().into())).collect()
}

fn write_all(top: &Path, files: &Files) -> anyhow::Result<()> {
    for (path, bytes) in files {
        let kept = !write_new(top, path, bytes)?;
        output::print(&format!("{}: {path}\n", if kept { "kept" } else { "wrote" }))?;
    }
    Ok(())
}

fn repository_of_environment() -> anyhow::Result<RepoName> {
    let found =
        ["CHANDLERY_REPOSITORY", "GITHUB_REPOSITORY"].iter().find_map(|name| super::config::variable(name));
    match found {
        Some(name) => Ok(name.parse()?),
        None => bail!("no catalog is named; give --repository OWNER/NAME"),
    }
}

/// The folder, made if it is missing. Workflows are read at the top of a repository only.
fn prepare(dir: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(dir).with_context(|| format!("cannot make `{}`", dir.display()))?;
    let dir = dir.canonicalize()?;
    if !dir.join(".git").exists()
        && let Some(top) = dir.ancestors().find(|above| above.join(".git").exists())
    {
        bail!(
            "`{}` is a folder of the repository `{}`, and GitHub reads workflows at its top only; give that, or a folder outside",
            dir.display(),
            top.display()
        );
    }
    Ok(dir)
}

/// The settings of a catalog that is there already.
fn settings_of(top: &Path) -> anyhow::Result<Option<Settings>> {
    let root = Root::default();
    let bytes = read_if_there(&top.join(root.settings_path().as_str()))?;
    Ok(bytes.and_then(|bytes| load_settings(&root, Some(&bytes)).ok()))
}

#[expect(clippy::disallowed_methods, reason = "the work tree is read here")]
fn read_if_there(path: &Path) -> anyhow::Result<Option<Bytes>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

fn of_catalog(top: &Path, words: &Words, app: Option<u64>) -> anyhow::Result<BTreeMap<RepoPath, String>> {
    let mut files = workflows::of_catalog(words)?;
    if !top.join("chandlery.yaml").exists() {
        files.extend(workflows::filled(&STARTER, words)?);
    }
    for (path, text) in texts(&SCHEMAS)? {
        files.insert(format!("{SCHEMAS_FOLDER}/{path}").parse()?, text);
    }
    for (path, ruleset) in rulesets::all(app) {
        files.insert(path.parse()?, format!("{ruleset:#}\n"));
    }
    Ok(files)
}

/// All texts of a folder that is part of the program.
fn texts(folder: &'static Dir<'static>) -> anyhow::Result<BTreeMap<RepoPath, String>> {
    let text = |(path, bytes): (&str, &[u8])| {
        let text = std::str::from_utf8(bytes).context("a file of the program is no text")?;
        Ok((path.parse()?, text.to_owned()))
    };
    every_file(folder)?.into_iter().map(text).collect()
}

/// Every file below a folder that is part of the program, by its path there.
pub(super) fn every_file(
    folder: &'static Dir<'static>,
) -> anyhow::Result<Vec<(&'static str, &'static [u8])>> {
    let mut files = Vec::new();
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => files.extend(every_file(inner)?),
            DirEntry::File(file) => {
                let path = file.path().to_str().context("a file of the program has a strange name")?;
                files.push((path, file.contents()));
            }
        }
    }
    Ok(files)
}

/// Writes a file unless there is one.
fn write_new(top: &Path, path: &RepoPath, bytes: &[u8]) -> anyhow::Result<bool> {
    let disk = top.join(path.as_str());
    // Whatever is there counts, a link that leads nowhere too.
    if fs::symlink_metadata(&disk).is_ok() {
        return Ok(false);
    }
    put(top, path, &disk, bytes)?;
    Ok(true)
}

/// Writes a file that is there.
fn write_over(top: &Path, path: &RepoPath, bytes: &[u8]) -> anyhow::Result<()> {
    let disk = top.join(path.as_str());
    if fs::symlink_metadata(&disk).is_ok_and(|there| there.is_symlink()) {
        bail!("`{path}` is a link: nothing is written through it");
    }
    put(top, path, &disk, bytes)
}

#[expect(clippy::disallowed_methods, reason = "the work tree is written here")]
fn put(top: &Path, path: &RepoPath, disk: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = disk.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of `{path}`"))?;
        // A link on the way would lead elsewhere.
        if !folder.canonicalize()?.starts_with(top) {
            bail!("`{path}` would be written outside of `{}`: a folder on the way is a link", top.display());
        }
    }
    fs::write(disk, bytes).with_context(|| format!("cannot write `{path}`"))
}

/// What is left to people.
fn next(args: &InitArgs, words: &Words) -> String {
    let repository = &words.repository;
    if let Some(target) = &args.target {
        return format!(
            "
Next, in {target}:
  1. Make an environment `{wake}` that only the default branch may use, with the secret CHANDLERY_WAKE_TOKEN:
     a fine-grained token for {repository} alone with the permission Actions: write.
  2. Commit the workflow to the default branch.
",
            wake = workflows::WAKE_ENVIRONMENT
        );
    }
    let mut text = String::from("\nNext:\n");
    let mut steps = vec![
        format!("Commit this, and push it as {repository}."),
        format!(
            "Create the App: `chandlery app manifest --org {} --name {}` prints the link. Install it on {repository} and on the targets.",
            repository.owner(),
            words.app
        ),
        format!(
            "Make an environment `{}` that only `{}` may use, with the variable CHANDLERY_APP_ID and the secret CHANDLERY_APP_KEY.",
            workflows::ENVIRONMENT,
            words.branch
        ),
        format!(
            "Definitions are reviewed by {}: give it write access to {repository}, or name others with --owners.",
            words.owners
        ),
        format!("Import the rulesets in `{}` (Settings, Rules).", rulesets::FOLDER),
        format!(
            "`chandlery doctor --repository {repository}` tells what is missing, and with --fix does what it may."
        ),
    ];
    if !words.release.is_known() {
        steps.insert(
            0,
            "Name the release in the workflows: this program was built by hand, so it cannot (or give --action and --sha256)."
                .to_owned(),
        );
    }
    for (index, step) in steps.iter().enumerate() {
        text.push_str(&format!("  {}. {step}\n", index + 1));
    }
    text
}
