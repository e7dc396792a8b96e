//! `chandlery request` and `rerun`: how does a person ask from a terminal? By the same pull request as with a file.

mod given;
mod origin;
mod submit;
mod wizard;
mod prompt;

use std::{
    io::{IsTerminal, stderr, stdin},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use inquire::InquireError;
use sha2::{Digest, Sha256};

pub(super) use given::{Given, inputs};
pub(super) use origin::of_clone;

use self::{given::Draft, submit::submit, wizard::Wizard};
use super::{
    config::{ForgeSettings, clock},
    misuse::{misuse, unknown, unknown_of_many},
    output,
    plan::{Target, World},
    validate::{files_of_work_tree, locate, no_catalog},
};
use crate::{
    catalog::{self, Definitions, Files, Mode, load_definitions, load_settings, report},
    cli,
    domain::{
        Action, ActionId, Bytes, Diagnostic, Identifier, Login, RepoPath, RequestFile, RequestId, Timestamp,
    },
    git::objects::Objects,
    plan,
};

/// Ask for something: fill in a form, see the plan, open the pull request
///
/// In a terminal it asks for what is not given, as the form of the action says; with --yes, or where there is no terminal,
/// what is missing is told. Started in a clone of the catalog; the pull request is opened with your own token.
///
/// Exit codes: 0 asked, 1 it has mistakes, or was not asked after all, 2 wrong usage, 3 something could not be read or done.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// What to ask for
    #[arg(value_name = "ACTION")]
    action: Option<String>,
    /// Take everything from this file that is not said here: a request, or inputs alone
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    road: RoadArgs,
}

/// Ask again for what was asked before
///
/// Takes a past request from the newest commit, with other inputs where they are given, and goes on like `request`.
///
/// Exit codes: 0 asked, 1 it has mistakes, or was not asked after all, 2 wrong usage, 3 something could not be read or done.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// The request to repeat, such as 2026/11/issue-42
    #[arg(value_name = "ID")]
    past: RequestId,
    #[command(flatten)]
    road: RoadArgs,
}

/// What both say.
#[derive(Debug, Args)]
struct RoadArgs {
    /// The value of an input; of a list, one of its items. May be given several times. Never give a secret here
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<Given>,
    /// The value of an input is the text of this file, as it is. May be given several times. Never give a secret here
    #[arg(long = "input-file", value_name = "NAME=FILE")]
    input_files: Vec<Given>,
    /// The entity that it is about
    #[arg(long, value_name = "ID")]
    entity: Option<Identifier>,
    /// Why, for those who approve
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// The person it is for, where the action lets people ask for others
    #[arg(long, value_name = "LOGIN")]
    on_behalf_of: Option<Login>,
    /// The name of the request [default: made from the month and the action]
    #[arg(long, value_name = "NAME")]
    id: Option<RequestId>,
    /// Print the request file, and do nothing else; no forge is asked
    #[arg(long)]
    print_only: bool,
    /// Ask nothing, and open the pull request at once
    #[arg(long)]
    yes: bool,
    /// Who asks [default: the owner of the token]
    #[arg(long = "as", value_name = "LOGIN")]
    requester: Option<Login>,
    /// A local repository that stands for one on the forge, read at its HEAD; may be given several times
    #[arg(long = "target", value_name = "OWNER/NAME=FOLDER")]
    targets: Vec<Target>,
    /// The folder of the catalog
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    #[command(flatten)]
    forge: ForgeSettings,
}

/// Asks.
///
/// # Errors
/// When something cannot be read or done.
pub fn run(args: &RequestArgs) -> anyhow::Result<ExitCode> {
    let mut draft = args.file.as_deref().map(Draft::read).transpose()?.unwrap_or_default();
    draft.action = args.action.clone().or(draft.action);
    told(ask(draft, &args.road))
}

/// Asks again.
///
/// # Errors
/// As [`run`].
pub fn rerun(args: &RerunArgs) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::read(&args.road.catalog, args.road.forge.root.as_ref())?;
    let objects = Objects::open(&catalog.top)
        .with_context(|| format!("`{}` is not in a Git repository", catalog.top.display()))?;
    let head = objects.commit_named("HEAD", Timestamp::from_seconds(clock()))?;
    let path = catalog.request_path(&args.past)?;
    let Some(file) = objects.file(head, &path)? else {
        let folder = &catalog.definitions.settings.folders.requests;
        let known = catalog.files.keys().filter_map(|path| path.under(folder)?.strip_suffix("/request.yaml"));
        return Err(unknown_of_many(
            &format!("the newest commit here holds no `{path}`"),
            args.past.as_str(),
            known,
            "`git pull`, or name a request that was merged: `chandlery audit` lists them",
        ));
    };
    match catalog::read_request(&path, &file.bytes) {
        Ok((past, _)) => told(ask(Draft::from(past), &args.road)),
        Err(problems) => refuse(&problems, &path, &file.bytes, false),
    }
}

/// Whoever leaves the form asked nothing.
fn told(asked: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let left = |error: &anyhow::Error| {
        matches!(
            error.downcast_ref(),
            Some(InquireError::OperationCanceled | InquireError::OperationInterrupted)
        )
    };
    match asked {
        Err(error) if left(&error) => {
            output::complain("nothing was asked");
            Ok(ExitCode::from(cli::PROBLEMS))
        }
        asked => asked,
    }
}

/// The catalog that is asked, as it is on disk.
pub(super) struct Catalog {
    pub(super) top: PathBuf,
    pub(super) files: Files,
    pub(super) definitions: Definitions,
}

impl Catalog {
    pub(super) fn read(folder: &Path, root: Option<&RepoPath>) -> anyhow::Result<Self> {
        let top = locate(folder, root)?.top;
        let found = files_of_work_tree(folder, root)?;
        let Ok(settings) = load_settings(&found.root, found.files.get(&found.root.settings_path())) else {
            return Err(no_catalog(&found, folder));
        };
        // What is wrong with other definitions is for `validate` to say.
        let (definitions, _) = load_definitions(&found.root, settings, &found.files);
        Ok(Self { top, files: found.files, definitions })
    }

    /// The action of this name.
    pub(super) fn action(&self, name: &str) -> anyhow::Result<&Action> {
        let actions = &self.definitions.actions;
        if let Some(found) = name.parse::<ActionId>().ok().and_then(|id| actions.get(&id)) {
            return Ok(&found.value);
        }
        if self.definitions.broken.keys().any(|id| id.as_str() == name) {
            bail!("the definition of `{name}` has mistakes: run `chandlery validate`");
        }
        Err(unknown(&format!("there is no action `{name}`"), name, actions.keys().map(ActionId::as_str)))
    }

    fn request_path(&self, id: &RequestId) -> anyhow::Result<RepoPath> {
        Ok(self.definitions.settings.folders.requests.join(&format!("{id}/request.yaml"))?)
    }
}

fn ask(draft: Draft, args: &RoadArgs) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::read(&args.catalog, args.forge.root.as_ref())?;
    let Catalog { definitions, files, top } = &catalog;
    let forge = origin::of_clone(&args.forge, top, &definitions.settings);
    let is_interactive = !args.yes && stdin().is_terminal() && stderr().is_terminal();
    if draft.action.is_none() && !is_interactive {
        let known: Vec<String> = definitions.actions.keys().map(|id| format!("`{id}`")).collect();
        return Err(misuse(format!("say what to ask for: {}", known.join(", "))));
    }
    // A name that is none is told before anything is asked for that only a real request needs.
    if let Some(name) = &draft.action {
        let _known = catalog.action(name)?;
    }
    let settings = if args.print_only {
        Err(anyhow::anyhow!("with --print-only no forge is asked"))
    } else {
        forge.settings()
    };
    let requester = match (&args.requester, &settings) {
        (Some(login), _) => Some(login.clone()),
        (None, Ok(settings)) => Some(submit::owner(settings)?),
        (None, Err(_)) if args.print_only => None,
        (None, Err(why)) => bail!("{why:#}"),
    };
    let asking = settings.as_ref().ok().cloned();
    let mut world = World::new(&args.targets, settings, definitions, files)?;
    let mut wizard = Wizard { definitions, world: &mut world, requester: requester.clone() };

    let entity = args.entity.clone().or(draft.entity);
    let action = match &draft.action {
        Some(name) => catalog.action(name)?,
        None if is_interactive => wizard.action(entity.is_some())?,
        None => bail!("say what to ask for"),
    };
    let mut inputs = draft.inputs;
    inputs.extend(given::inputs(action, &[&args.inputs[..], &given::of_files(&args.input_files)?].concat()));
    let reason = args.reason.clone().or(draft.reason);
    let on_behalf_of = args.on_behalf_of.clone().or(draft.on_behalf_of);
    let mut file = RequestFile { action: action.identifier.clone(), entity, inputs, reason, on_behalf_of };
    if is_interactive {
        wizard.fill(action, &mut file)?;
    }
    let text: Bytes = plan::request_bytes(&file).into();
    let now = Timestamp::from_seconds(clock());
    let id = args.id.clone().map_or_else(|| name_of(&file, requester.as_ref(), now), Ok)?;
    let path = catalog.request_path(&id)?;
    if files.contains_key(&path) {
        bail!("there is a request `{id}` already: give another name with --id");
    }
    if args.print_only {
        let (read, document) = match catalog::read_request(&path, &text) {
            Ok(read) => read,
            Err(problems) => return refuse(&problems, &path, &text, true),
        };
        let found = wizard.stands(&read, &|path| document.place(path))?;
        let problems: Vec<Diagnostic> = match found {
            Ok(filling) => filling.problems.into_iter().map(|(_, problem)| problem).collect(),
            Err(problems) => problems,
        };
        if !problems.is_empty() {
            return refuse(&problems, &path, &text, true);
        }
        output::print(&String::from_utf8_lossy(&text))?;
        return Ok(ExitCode::from(cli::CLEAN));
    }
    match world.plan(&id, &path, &text, requester.as_ref())? {
        Ok(shown) => output::print(&shown)?,
        Err(problems) => return refuse(&problems, &path, &text, false),
    }
    let settings = asking.context("no forge is named")?;
    if is_interactive && !inquire::Confirm::new("Ask for this?").with_default(true).prompt()? {
        output::complain("nothing was asked");
        return Ok(ExitCode::from(cli::PROBLEMS));
    }
    let url = submit(&settings, action, &submit::Asking { id, path, text, file, at: now })?;
    output::print(&format!("\nAsked: {url}\n"))?;
    match definitions.settings.mode {
        Mode::On => {}
        Mode::Observe => output::complain(
            "the catalog only observes (`mode: observe`): it answers, and carries nothing out",
        ),
        Mode::Off => {
            output::complain("the catalog is switched off (`mode: off`): it answers once that is over");
        }
    }
    Ok(ExitCode::from(cli::CLEAN))
}

/// A name that says when and what for; different for whatever differs.
fn name_of(file: &RequestFile, requester: Option<&Login>, now: Timestamp) -> anyhow::Result<RequestId> {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let action: String = file.action.as_str().chars().map(plain).take(40).collect();
    let what = format!("{requester:?} {now} {}", String::from_utf8_lossy(&plan::request_bytes(file)));
    let mut digest = hex::encode(Sha256::digest(what));
    digest.truncate(7);
    let words: Vec<&str> = action.split('-').filter(|word| !word.is_empty()).collect();
    Ok(format!("{}/{}-{digest}", now.year_and_month(), words.join("-")).parse()?)
}

/// Tells what is wrong; with `aside` not where the request file goes.
fn refuse(problems: &[Diagnostic], path: &RepoPath, text: &Bytes, aside: bool) -> anyhow::Result<ExitCode> {
    let source = |source: &str| (source == path.as_str()).then(|| Bytes::clone(text));
    let report = report::text(problems, &source);
    if aside {
        output::complain(&report);
    } else {
        output::print(&report)?;
    }
    Ok(ExitCode::from(cli::PROBLEMS))
}
