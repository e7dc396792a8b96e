//! `chandlery test`: do the actions do what their examples say, and what becomes of anything else their forms let through?

mod folders;
mod fuzz;
mod judge;
pub(super) mod policy;
mod rehearsal;
mod report;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    misuse::unknown,
    output,
    validate::{files_of_work_tree, locate},
};
use crate::{
    catalog::{self, Case, Definitions, Files, TESTS, is_document, load_definitions, load_settings},
    cli,
    domain::{Action, ActionId, Diagnostic, RepoPath},
    index::Whole,
};
use judge::{Fault, Judge};
use rehearsal::Rehearsal;

/// Try the actions of a catalog: their examples, and inputs that are made up
///
/// The examples of an action are `actions/ACTION.tests/CASE.yaml`: a request, who asks, what is in the target
/// repositories, and what is expected: the diff in `CASE.diff` (--update writes it), errors, or who may approve.
/// Then inputs are made up from the form, the same ones each time: whatever it lets through must render, be
/// readable, stay in its paths, and change nothing when it is done twice. Nothing is asked of any forge.
///
/// Exit codes: 0 all is well, 1 something is not as expected, 2 wrong usage, 3 something could not be read.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Only these actions
    #[arg(value_name = "ACTION")]
    actions: Vec<ActionId>,
    /// The folder of the catalog
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    catalog: PathBuf,
    /// The folder of the repository that holds the catalog, instead of --catalog itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// Write the diffs as they are now; read them before they are committed
    #[arg(long)]
    update: bool,
    /// Write what the target repositories hold after each example below this folder, for readers of other programs
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How many inputs are made up for each action
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    inputs: usize,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = output::Format::Text)]
    format: output::Format,
}

/// What became of an action's examples and of what was made up.
#[derive(Debug, serde::Serialize)]
struct Tried {
    action: ActionId,
    cases: Vec<TriedCase>,
    fuzz: Fuzzed,
}

#[derive(Debug, serde::Serialize)]
struct TriedCase {
    name: String,
    description: Option<String>,
    path: RepoPath,
    /// Its diff was written.
    updated: bool,
    faults: Vec<Fault>,
}

/// What became of inputs that were made up.
#[derive(Debug, Default, serde::Serialize)]
struct Fuzzed {
    planned: usize,
    /// The form did not let them through, or what was asked for is not there.
    refused: usize,
    /// Something about the plan, or about why there is none, is wrong.
    failed: usize,
    faults: Vec<Fault>,
}

impl Tried {
    fn is_well(&self) -> bool {
        self.fuzz.faults.is_empty() && self.cases.iter().all(|case| case.faults.is_empty())
    }
}

/// Tries the actions and says how it went.
///
/// # Errors
/// When something cannot be read or written.
pub fn run(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let top = locate(&args.catalog, args.root.as_ref())?.top;
    let whole = files_of_work_tree(&args.catalog, args.root.as_ref())?;
    let (definitions, problems) = match definitions_of(&whole) {
        Ok(loaded) => loaded,
        Err(problems) => return refuse(&problems, &whole),
    };
    let chosen = chosen(args, &definitions, &whole)?;
    // What is broken cannot be tried; `validate` says the rest.
    if chosen.iter().any(|id| !definitions.actions.contains_key(id)) {
        return refuse(&problems, &whole);
    }
    let files = Arc::new(whole.files.clone());
    let mut tried = Vec::new();
    for id in &chosen {
        if let Some(action) = definitions.actions.get(id) {
            let stage = Stage { args, top: &top, whole: &whole, files: &files, definitions: &definitions };
            tried.push(stage.action(&action.value)?);
        }
    }
    match args.format {
        output::Format::Text => output::print(&output::plain(&report::text(&tried)))?,
        output::Format::Json => output::print(&format!("{}\n", report::json(&tried)))?,
    }
    let is_well = tried.iter().all(Tried::is_well);
    Ok(ExitCode::from(if is_well { cli::CLEAN } else { cli::PROBLEMS }))
}

/// The definitions of a work tree, and what is wrong with them; or what is wrong with its settings.
fn definitions_of(whole: &Whole) -> Result<(Definitions, Vec<Diagnostic>), Vec<Diagnostic>> {
    let settings = load_settings(&whole.root, whole.files.get(&whole.root.settings_path()))?;
    let (mut definitions, problems) = load_definitions(&whole.root, settings, &whole.files);
    definitions.mark_executables(&whole.executables);
    Ok((definitions, problems))
}

fn refuse(problems: &[Diagnostic], whole: &Whole) -> anyhow::Result<ExitCode> {
    let source = |path: &str| whole.files.get(&path.parse().ok()?).cloned();
    output::print(&catalog::report::text(problems, &source))?;
    Ok(ExitCode::from(cli::PROBLEMS))
}

/// The actions to try, broken ones among them.
fn chosen(args: &TestArgs, definitions: &Definitions, whole: &Whole) -> anyhow::Result<BTreeSet<ActionId>> {
    let all: BTreeSet<ActionId> =
        definitions.actions.keys().chain(definitions.broken.keys()).cloned().collect();
    for id in &args.actions {
        if !all.contains(id) {
            let known = all.iter().map(ActionId::as_str);
            return Err(unknown(&format!("there is no action `{id}`"), id.as_str(), known));
        }
    }
    for path in whole.files.keys().filter_map(|path| path.under(&definitions.settings.folders.actions)) {
        let owner = path.split_once(TESTS).map(|(owner, _)| owner.rsplit('/').next().unwrap_or(owner));
        if let Some(owner) = owner.filter(|owner| !all.iter().any(|id| id.as_str() == *owner)) {
            bail!("`{owner}{}` holds examples of an action that there is not", TESTS.trim_end_matches('/'));
        }
    }
    Ok(if args.actions.is_empty() { all } else { args.actions.iter().cloned().collect() })
}

/// Everything that is needed to try one action.
struct Stage<'a> {
    args: &'a TestArgs,
    /// The top of the repository on disk.
    top: &'a Path,
    whole: &'a Whole,
    /// Its files.
    files: &'a Arc<Files>,
    definitions: &'a Definitions,
}

impl<'a> Stage<'a> {
    fn action(&self, action: &Action) -> anyhow::Result<Tried> {
        let mut cases = Vec::new();
        let mut examples = Vec::new();
        for path in self.cases(&action.identifier) {
            let name = path.file_name().rsplit_once('.').map_or("", |(name, _)| name).to_owned();
            let mut tried =
                TriedCase { name, description: None, path: path.clone(), updated: false, faults: Vec::new() };
            match catalog::read_case(&path, &self.whole.files[&path], &action.identifier) {
                Err(problems) => tried.faults.extend(problems.iter().map(Fault::unreadable)),
                Ok(case) if case.request.action != action.identifier => {
                    tried.faults.push(Fault::other_action(&case.request.action));
                }
                Ok(case) => {
                    tried.description.clone_from(&case.description);
                    let mut rehearsal = self.rehearsal(&path, &case)?;
                    let mut judge =
                        Judge { definitions: self.definitions, action, rehearsal: &mut rehearsal };
                    let golden = self.golden(&path, &case)?;
                    let expected =
                        golden.as_ref().filter(|_| !self.args.update).map(|(_, text)| text.as_deref());
                    let (faults, planned) = judge.case(&tried.name, &case, expected)?;
                    tried.faults = faults;
                    if let (Some((golden, _)), Some(planned)) = (golden, planned) {
                        if self.args.update {
                            write(&golden, &planned.diff)?;
                            tried.updated = true;
                        }
                        if let Some(out) = &self.args.out {
                            let out = out.join(action.identifier.as_str()).join(&tried.name);
                            folders::leave(&out, &planned.repositories)?;
                        }
                    }
                    if case.errors.is_empty() {
                        examples.push((case, rehearsal));
                    }
                }
            }
            cases.push(tried);
        }
        let fuzz = self.fuzz(action, examples)?;
        Ok(Tried { action: action.identifier.clone(), cases, fuzz })
    }

    /// The files of an action's examples.
    fn cases(&self, action: &ActionId) -> Vec<RepoPath> {
        let folder = format!("{}{}", action, TESTS.trim_end_matches('/'));
        let actions = &self.definitions.settings.folders.actions;
        let is_case = |path: &&RepoPath| {
            let below = path.under(actions).and_then(|below| below.rsplit_once('/'));
            is_document(path) && below.is_some_and(|(parent, _)| parent.rsplit('/').next() == Some(&folder))
        };
        self.whole.files.keys().filter(is_case).cloned().collect()
    }

    fn rehearsal(&self, path: &RepoPath, case: &Case) -> anyhow::Result<Rehearsal<'a>> {
        let example = self.top.join(path.as_str());
        let read = || {
            let files = folders::catalog(&example, case, self.files, &self.definitions.settings)?;
            Rehearsal::new(self.definitions, files, folders::targets(&example, case)?)
        };
        read().with_context(|| format!("cannot prepare `{path}`"))
    }

    /// The file with the diff that is expected, and what it holds.
    fn golden(&self, path: &RepoPath, case: &Case) -> anyhow::Result<Option<(PathBuf, Option<String>)>> {
        if !case.errors.is_empty() {
            return Ok(None);
        }
        let disk = self.top.join(path.as_str());
        let golden = match &case.diff {
            None => disk.with_extension("diff"),
            Some(named) => {
                let named: RepoPath = named.parse().with_context(|| {
                    format!("`expect.diff` of `{path}` must name a file beside or below it")
                })?;
                disk.parent().unwrap_or(self.top).join(named.as_str())
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the example's own file is read here")]
        match std::fs::read_to_string(&golden) {
            Ok(text) => Ok(Some((golden, Some(text)))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Some((golden, None))),
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", golden.display())),
        }
    }

    fn fuzz(&self, action: &Action, mut examples: Vec<(Case, Rehearsal<'a>)>) -> anyhow::Result<Fuzzed> {
        if examples.is_empty() {
            let rehearsal = Rehearsal::new(self.definitions, Arc::clone(self.files), BTreeMap::new())?;
            let request = judge::bare_request(action, &rehearsal.known());
            let case = Case {
                description: None,
                request,
                requester: None,
                targets: BTreeMap::new(),
                entities: None,
                diff: None,
                errors: Vec::new(),
                approvers: None,
            };
            examples.push((case, rehearsal));
        }
        let mut chance = fuzz::Chance::of(action.identifier.as_str());
        let known: Vec<_> = examples.iter().map(|(_, rehearsal)| rehearsal.known()).collect();
        let mut fuzzed = Fuzzed::default();
        for round in 0..self.args.inputs {
            let count = examples.len();
            let Some((case, rehearsal)) = examples.get_mut(round % count) else { break };
            let maker = fuzz::Maker { action, known: &known[round % count] };
            let mut judge = Judge { definitions: self.definitions, action, rehearsal };
            judge.made_up(case, &maker, &mut chance, &mut fuzzed)?;
        }
        Ok(fuzzed)
    }
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let is_link = std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    if is_link {
        bail!("`{}` is a link: nothing is written through it", path.display());
    }
    #[expect(clippy::disallowed_methods, reason = "the example's own file is written here")]
    std::fs::write(path, text).with_context(|| format!("cannot write `{}`", path.display()))
}
