//! Which files are made from the catalog? Written into the work tree, or only compared with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{
    output,
    validate::{Location, files_of_work_tree, locate},
};
use crate::catalog::{Definitions, Files, entity_at, load_definitions, load_settings, search};
use crate::domain::{BlueprintId, Diagnostic, Identifier, RepoPath, Severity, counted};
use crate::intake::{
    issue_form::{self, Listed},
    request_schema,
};

/// Write what is made from the catalog
///
/// Exit codes: 0 done (with --check: up to date), 1 the catalog has mistakes, a file is in the way, or (with
/// --check) files differ, 2 wrong usage, 3 the files could not be read or written.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a GitHub issue form for each action, in .github/ISSUE_TEMPLATE
    IssueForms(FilesArgs),
    /// Make the JSON Schema of request files, .chandlery/request.schema.json, by which editors complete inputs
    RequestSchema(FilesArgs),
}

/// What both ask.
#[derive(Debug, Args)]
struct FilesArgs {
    /// The folder of the catalog
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The folder of the repository that holds the catalog, instead of PATH itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// Where to write, instead of the top of the repository
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
    /// Write nothing; say which files differ
    #[arg(long)]
    check: bool,
}

/// Makes the files.
///
/// # Errors
/// When files cannot be read or written.
pub fn run(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::IssueForms(args) => make(Kind::Forms, args),
        What::RequestSchema(args) => make(Kind::Schema, args),
    }
}

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Forms,
    Schema,
}

impl Kind {
    /// How a file of ours begins.
    fn header(self) -> &'static str {
        match self {
            Self::Forms => issue_form::HEADER,
            Self::Schema => request_schema::HEADER,
        }
    }
}

fn make(kind: Kind, args: &FilesArgs) -> anyhow::Result<ExitCode> {
    let Location { top, .. } = locate(&args.path, args.root.as_ref())?;
    let forms = match texts_of(kind, &args.path, args.root.as_ref())? {
        Ok(forms) => forms,
        Err(problems) => return refuse(&problems),
    };
    // The folder above may stand for a repository when reading; nothing is written there.
    let is_repository = top.join(".git").exists();
    let folder = args.into.clone().unwrap_or(if is_repository { top } else { args.path.clone() });
    let changes = changes(kind, &folder, &forms)?;
    let in_the_way: Vec<_> = changes.iter().filter(|change| matches!(change, Change::InTheWay(_))).collect();
    if args.check || !in_the_way.is_empty() {
        let told = if args.check { changes.iter().collect() } else { in_the_way };
        told.iter().try_for_each(|change| output::print(&format!("{change}\n")))?;
        return Ok(if told.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) });
    }
    carry_out(&changes, &folder, &forms)?;
    Ok(ExitCode::SUCCESS)
}

/// What came of making forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forms {
    Written,
    /// The catalog has mistakes, so there are none.
    Mistakes,
}

/// Makes the forms and the schema of the catalog at the top of a repository; what somebody else wrote is kept.
pub(super) fn write_forms(top: &Path) -> anyhow::Result<Forms> {
    for kind in [Kind::Forms, Kind::Schema] {
        let Ok(texts) = texts_of(kind, top, None)? else { return Ok(Forms::Mistakes) };
        carry_out(&changes(kind, top, &texts)?, top, &texts)?;
    }
    Ok(Forms::Written)
}

type Texts = BTreeMap<RepoPath, String>;

/// The files that a catalog on disk should have, or its mistakes.
fn texts_of(
    kind: Kind,
    path: &Path,
    root: Option<&RepoPath>,
) -> anyhow::Result<Result<Texts, Vec<Diagnostic>>> {
    let found = files_of_work_tree(path, root)?;
    let settings = match load_settings(&found.root, found.files.get(&found.root.settings_path())) {
        Ok(settings) => settings,
        Err(problems) => return Ok(Err(problems)),
    };
    let (definitions, problems) = load_definitions(&found.root, settings, &found.files);
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Ok(Err(problems));
    }
    let listed = listed(&definitions, &found.files);
    Ok(Ok(match kind {
        Kind::Forms => issue_form::generate(&definitions, &listed),
        Kind::Schema => {
            [(request_schema::PATH.parse()?, request_schema::generate(&definitions, &listed))].into()
        }
    }))
}

fn carry_out(changes: &[Change], folder: &Path, forms: &Texts) -> anyhow::Result<()> {
    for change in changes {
        change.carry_out(folder, forms)?;
        output::print(&format!("{change}\n"))?;
    }
    Ok(())
}

fn refuse(problems: &[Diagnostic]) -> anyhow::Result<ExitCode> {
    output::print(&format!(
        "{} in the catalog: run `chandlery validate`, mend what it says, then generate again\n",
        counted(problems.len(), "problem", "problems")
    ))?;
    Ok(ExitCode::from(1))
}

/// The entities that a form lists. Where a query cannot be asked, as of a broken catalog, all of them are.
pub(super) fn listed<'a>(
    definitions: &'a Definitions,
    files: &'a Files,
) -> impl Fn(&Listed) -> Vec<(Identifier, Option<String>)> + 'a {
    let entities = entities(definitions, files);
    move |listed| {
        let found = listed
            .search
            .as_ref()
            .and_then(|wanted| search(definitions, files, wanted).ok()?.into_iter().next());
        match found {
            Some(found) => found.into_iter().map(|identifier| (identifier, None)).collect(),
            None => entities.get(&listed.blueprint).cloned().unwrap_or_default(),
        }
    }
}

/// The entities of the catalog, going by where their files are.
fn entities(
    definitions: &Definitions,
    files: &Files,
) -> BTreeMap<BlueprintId, Vec<(Identifier, Option<String>)>> {
    let known: BTreeSet<_> = files.keys().filter_map(|path| entity_at(&definitions.settings, path)).collect();
    let mut entities: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for id in known {
        entities.entry(id.blueprint).or_default().push((id.identifier, None));
    }
    entities
}

/// What is to be done with one file.
enum Change {
    Write(RepoPath),
    Remove(RepoPath),
    /// Somebody else's file has the name of a form.
    InTheWay(RepoPath),
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Write(path) => write!(f, "changed: {path}"),
            Self::Remove(path) => write!(f, "removed: {path}"),
            Self::InTheWay(path) => {
                write!(
                    f,
                    "`{path}` was not generated, and would be replaced: move it away, then generate again"
                )
            }
        }
    }
}

impl Change {
    #[expect(clippy::disallowed_methods, reason = "the work tree is written here")]
    fn carry_out(&self, top: &Path, forms: &BTreeMap<RepoPath, String>) -> anyhow::Result<()> {
        match self {
            Self::InTheWay(_) => Ok(()),
            Self::Remove(path) => {
                fs::remove_file(top.join(path.as_str())).with_context(|| format!("cannot remove `{path}`"))
            }
            Self::Write(path) => {
                let disk = top.join(path.as_str());
                if let Some(folder) = disk.parent() {
                    fs::create_dir_all(folder)
                        .with_context(|| format!("cannot make the folder of `{path}`"))?;
                }
                let text = forms.get(path).map_or("", String::as_str);
                fs::write(&disk, text).with_context(|| format!("cannot write `{path}`"))
            }
        }
    }
}

/// Every file that differs from what it should be. Only what was generated is ever replaced or removed.
fn changes(kind: Kind, top: &Path, forms: &BTreeMap<RepoPath, String>) -> anyhow::Result<Vec<Change>> {
    let mut changes = Vec::new();
    for (path, text) in forms {
        match read(&top.join(path.as_str()))? {
            Some(old) if old == *text => {}
            Some(old) if !old.starts_with(kind.header()) => changes.push(Change::InTheWay(path.clone())),
            Some(_) | None => changes.push(Change::Write(path.clone())),
        }
    }
    if kind != Kind::Forms {
        return Ok(changes);
    }
    let folder: RepoPath = issue_form::FOLDER.parse()?;
    let Ok(entries) = fs::read_dir(top.join(folder.as_str())) else { return Ok(changes) };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry?.file_name().to_str().and_then(|name| folder.join(name).ok()));
    }
    names.sort();
    for path in names.into_iter().filter(|path| !forms.contains_key(path)) {
        let disk = top.join(path.as_str());
        if disk.is_file() && read(&disk)?.is_some_and(|text| text.starts_with(issue_form::HEADER)) {
            changes.push(Change::Remove(path));
        }
    }
    Ok(changes)
}

#[expect(clippy::disallowed_methods, reason = "the work tree is read here")]
fn read(disk: &Path) -> anyhow::Result<Option<String>> {
    match fs::read(disk) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", disk.display())),
    }
}
