//! What does a new catalog need on GitHub, and what does a target repository?
//!
//! Files that are there already are kept: whoever sets up a catalog that grew by hand gets what is missing.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use include_dir::{Dir, DirEntry, include_dir};

use super::{generate, output};
use crate::{
    catalog::{Root, Settings, load_settings},
    domain::{RepoName, RepoPath},
};
use workflows::{Release, Words};

pub(super) mod workflows;
pub(super) mod rulesets;

/// Definitions to begin with, where there are none.
static STARTER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/src/cli/init/starter");
static SCHEMAS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/schemas");
/// Where editors find the schemas.
const SCHEMAS_FOLDER: &str = ".chandlery/schemas";

/// Write a catalog that is ready for GitHub, or the workflow of a target repository
///
/// Files that are there already are kept. Exit codes: 0 written, 2 wrong usage, 3 files could not be read or written.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The top of the repository; made when missing
    dir: PathBuf,
    /// The catalog's repository [env: CHANDLERY_REPOSITORY, GITHUB_REPOSITORY]
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<RepoName>,
    /// DIR is this target repository: write the workflow that tells the catalog when a follow-up was merged
    #[arg(long, value_name = "OWNER/NAME")]
    target: Option<RepoName>,
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
    let repository = args.repository.clone().map_or_else(repository_of_environment, Ok)?;
    if args.target.as_ref() == Some(&repository) {
        bail!(
            "`{repository}` is the catalog, and a target is another repository: leave out --target, or name that"
        );
    }
    let top = prepare(&args.dir)?;
    let settings = settings_of(&top)?;
    if let Some(other) = settings.as_ref().and_then(|settings| settings.repository.as_ref())
        && args.target.is_none()
        && *other != repository
    {
        bail!("the catalog in `{}` says that it is `{other}`, not `{repository}`", top.display());
    }
    let words = Words {
        owners: args.owners.clone().unwrap_or_else(|| format!("@{}/platform", repository.owner())),
        repository,
        app: args.app.clone(),
        branch: args.branch.clone(),
        release: Release::from_options(args.action.clone(), args.sha256.clone()),
        folders: settings.map(|settings| settings.folders).unwrap_or_default(),
    };
    let files = match &args.target {
        Some(_) => workflows::of_target(&words)?,
        None => of_catalog(&top, &words, args.app_id)?,
    };
    for (path, text) in &files {
        let kept = !write_new(&top, path, text)?;
        output::print(&format!("{}: {path}\n", if kept { "kept" } else { "wrote" }))?;
    }
    if args.target.is_none() && generate::write_forms(&top)? == generate::Forms::Mistakes {
        output::print("no issue forms: the catalog has mistakes; run `chandlery validate`\n")?;
    }
    output::print(&next(args, &words))?;
    Ok(ExitCode::SUCCESS)
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
#[expect(clippy::disallowed_methods, reason = "the work tree is read here")]
fn settings_of(top: &Path) -> anyhow::Result<Option<Settings>> {
    let root = Root::default();
    match fs::read(top.join(root.settings_path().as_str())) {
        Ok(bytes) => Ok(load_settings(&root, Some(&bytes.into())).ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("cannot read `chandlery.yaml`"),
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

/// All files of a folder that is part of the program.
fn texts(folder: &Dir<'_>) -> anyhow::Result<BTreeMap<RepoPath, String>> {
    let mut files = BTreeMap::new();
    for entry in folder.entries() {
        match entry {
            DirEntry::Dir(inner) => files.extend(texts(inner)?),
            DirEntry::File(file) => {
                let path =
                    file.path().to_str().context("a file of the program has a strange name")?.parse()?;
                files.insert(
                    path,
                    file.contents_utf8().context("a file of the program is no text")?.to_owned(),
                );
            }
        }
    }
    Ok(files)
}

/// Writes a file unless there is one.
#[expect(clippy::disallowed_methods, reason = "the work tree is written here")]
fn write_new(top: &Path, path: &RepoPath, text: &str) -> anyhow::Result<bool> {
    let disk = top.join(path.as_str());
    // Whatever is there counts, a link that leads nowhere too.
    if fs::symlink_metadata(&disk).is_ok() {
        return Ok(false);
    }
    if let Some(folder) = disk.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of `{path}`"))?;
        // A link on the way would lead elsewhere.
        if !folder.canonicalize()?.starts_with(top) {
            bail!("`{path}` would be written outside of `{}`: a folder on the way is a link", top.display());
        }
    }
    fs::write(&disk, text).with_context(|| format!("cannot write `{path}`"))?;
    Ok(true)
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
