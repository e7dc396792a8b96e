//! `chandlery import port`: exports are read, files are written, and what could not be kept is said.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::Value;

use crate::{
    catalog::{
        Files, Report, Settings, entity_at, load_definitions, load_settings,
        port::{Imported, Known, import},
        report,
    },
    cli::{
        PROBLEMS,
        output::{self, Format},
        validate::{files_of_work_tree, locate},
    },
    domain::{Bytes, Diagnostic, EntityId, Login, Place, RepoPath, Severity, counted},
    index::Whole,
};

/// The settings of a catalog that had none.
const SETTINGS: &str = "version: 1\n";

/// Turn an export of Port into files of a catalog
///
/// It takes JSON in any of the shapes of Port's API: blueprints, entities, actions, scorecards, users and teams, one in a
/// file, in lists, or in an object with lists under these names. No file that is there is ever changed.
///
/// Exit codes: 0 everything was kept or has a warning, 1 something was left out or is not valid, 2 wrong usage, 3 the files
/// could not be read or written.
#[derive(Debug, Args)]
pub(super) struct PortArgs {
    /// The export: a JSON file, or a folder of them
    #[arg(value_name = "FILE_OR_DIR")]
    export: PathBuf,
    /// The folder of the catalog, which is made if it is not there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
    /// YAML with the login on the forge of each person: a line `ada@acme.example: ada` for each
    #[arg(long, value_name = "FILE")]
    logins: Option<PathBuf>,
    /// Write nothing; say what would be
    #[arg(long)]
    dry_run: bool,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When files cannot be read or written.
pub(super) fn run(args: &PortArgs) -> anyhow::Result<ExitCode> {
    let exports = exports(&args.export)?;
    let logins = match &args.logins {
        Some(file) => logins(file)?,
        None => BTreeMap::new(),
    };
    if !args.dry_run {
        fs::create_dir_all(&args.into).with_context(|| format!("cannot make `{}`", args.into.display()))?;
    }
    let (top, mut found, settings) = catalog(&args.into)?;
    let entities: BTreeSet<EntityId> =
        found.files.keys().filter_map(|path| entity_at(&settings, path)).collect();
    let (definitions, _) = load_definitions(&found.root, settings, &found.files);
    let known = Known {
        settings: &definitions.settings,
        logins: &logins,
        blueprints: &definitions.blueprints,
        entities: &entities,
    };
    let Imported { files, found: mut diagnostics, needed } = import(&known, &exports);
    let mut new: Files = Files::new();
    let settings_path = found.root.settings_path();
    if !found.files.contains_key(&settings_path) {
        let mut text = SETTINGS.to_owned();
        for (key, names) in ["repositories", "webhooks"].into_iter().zip(&needed) {
            if !names.is_empty() {
                text.push_str(&format!("{key}:\n"));
                names.iter().for_each(|name| text.push_str(&format!("  - {name}\n")));
            }
        }
        new.insert(settings_path, Bytes::from(text.into_bytes()));
    }
    for (path, value) in files {
        let text = serde_yaml::to_string(&value)?;
        match in_the_way(&top, &path, &found.files)? {
            None => drop(new.insert(path, Bytes::from(text.into_bytes()))),
            Some(there) if *there == *text.as_bytes() => {}
            Some(_) => diagnostics.push(
                Diagnostic::error(
                    "import-file-exists",
                    Place::file(path.as_str()),
                    "this file is there already, and says something else",
                )
                .help("move it away and import again, or take over by hand what you want of the export"),
            ),
        }
    }
    if !args.dry_run {
        for (path, bytes) in &new {
            write(&top, path, bytes)?;
        }
    }
    let written: Vec<RepoPath> = new.keys().cloned().collect();
    found.files.extend(new);
    let Report { diagnostics: mistakes, counts } = found.check();
    let sound = |list: &[Diagnostic]| list.iter().all(|one| one.severity == Severity::Warning);
    let code =
        if sound(&diagnostics) && sound(&mistakes) { ExitCode::SUCCESS } else { ExitCode::from(PROBLEMS) };
    match args.format {
        Format::Json => {
            let parse = |text: &str| serde_json::from_str::<Value>(text);
            let checked = parse(&report::json(&mistakes, &counts))?;
            let converted = parse(&report::json(&diagnostics, &counts))?["diagnostics"].take();
            let written: Vec<&str> = written.iter().map(RepoPath::as_str).collect();
            let whole =
                serde_json::json!({ "written": written, "notKept": converted, "validation": checked });
            output::print(&format!("{whole:#}\n"))?;
        }
        Format::Text => {
            let shown: Vec<Diagnostic> = diagnostics.into_iter().map(with_pointer).collect();
            output::print(&report::text(&shown, &|_| None))?;
            let source = |path: &str| found.files.get(&path.parse().ok()?).cloned();
            output::print(&report::text(&mistakes, &source))?;
            let word = if args.dry_run { "would write" } else { "wrote" };
            let files = counted(written.len(), "file", "files");
            output::print(&format!(
                "{word} {files} into {}\n{}{}\n",
                args.into.display(),
                by_folder(&written),
                report::summary(&mistakes, &counts)
            ))?;
        }
    }
    Ok(code)
}

/// How many files were written where, a folder a line.
fn by_folder(written: &[RepoPath]) -> String {
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for path in written {
        let folder = path.as_str().rsplit_once('/').map(|(folder, _)| format!("{folder}/"));
        *places.entry(folder.unwrap_or_else(|| path.to_string())).or_default() += 1;
    }
    let line = |(place, count): (&String, &usize)| match place.ends_with('/') {
        true => format!("  {place}: {}\n", counted(*count, "file", "files")),
        false => format!("  {place}\n"),
    };
    places.iter().map(line).collect()
}

/// The pointer is shown behind the file.
fn with_pointer(mut diagnostic: Diagnostic) -> Diagnostic {
    if let Some(pointer) = diagnostic.place.field.take() {
        diagnostic.place.source = format!("{}#{pointer}", diagnostic.place.source);
    }
    diagnostic
}

/// The catalog as it is, and where its files go.
fn catalog(into: &Path) -> anyhow::Result<(PathBuf, Whole, Settings)> {
    if !into.exists() {
        bail!("`{}` is not there; without --dry-run it is made", into.display());
    }
    let location = locate(into, None)?;
    let found = files_of_work_tree(into, None)?;
    let bytes = Bytes::from(SETTINGS.as_bytes());
    let settings =
        load_settings(&found.root, Some(found.files.get(&found.root.settings_path()).unwrap_or(&bytes)));
    match settings {
        Ok(settings) => Ok((location.top, found, settings)),
        Err(_) => {
            bail!("the settings of the catalog have mistakes: run `chandlery validate {}`", into.display())
        }
    }
}

/// What is on disk where a file would be written.
#[expect(clippy::disallowed_methods, reason = "the work tree is read here")]
fn in_the_way(top: &Path, path: &RepoPath, files: &Files) -> anyhow::Result<Option<Bytes>> {
    if let Some(bytes) = files.get(path) {
        return Ok(Some(Bytes::clone(bytes)));
    }
    match fs::read(top.join(path.as_str())) {
        Ok(bytes) => Ok(Some(bytes.into())),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot look at `{path}`")),
    }
}

fn write(top: &Path, path: &RepoPath, bytes: &[u8]) -> anyhow::Result<()> {
    let disk = top.join(path.as_str());
    if let Some(folder) = disk.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of `{path}`"))?;
        // A link on the way would lead elsewhere.
        if !folder.canonicalize()?.starts_with(top) {
            bail!("`{path}` would be written outside of `{}`: a folder on the way is a link", top.display());
        }
    }
    // Whoever made the file since it was looked for keeps it.
    let mut file = fs::File::create_new(&disk).with_context(|| format!("cannot write `{path}`"))?;
    std::io::Write::write_all(&mut file, bytes).with_context(|| format!("cannot write `{path}`"))
}

/// The exports with the names of their files, in order.
fn exports(path: &Path) -> anyhow::Result<Vec<(String, Value)>> {
    let mut files = Vec::new();
    if path.is_dir() {
        json_files(path, &mut files)?;
        if files.is_empty() {
            bail!("there is no JSON file below `{}`", path.display());
        }
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    files.iter().map(|file| Ok((file.display().to_string(), read(file)?))).collect()
}

#[expect(clippy::disallowed_methods, reason = "the export is read here")]
fn read(file: &Path) -> anyhow::Result<Value> {
    let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    serde_json::from_slice(bytes).with_context(|| format!("`{}` is no JSON", file.display()))
}

fn json_files(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let cannot = || format!("cannot read the folder `{}`", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(cannot)?);
        if kind.is_dir() {
            json_files(&path, files)?;
        } else if kind.is_file() && path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
        {
            files.push(path);
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the list of logins is read here")]
fn logins(file: &Path) -> anyhow::Result<BTreeMap<String, Login>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let lines: BTreeMap<String, String> = serde_yaml::from_slice(&bytes)
        .with_context(|| format!("`{}` must have lines such as `ada@acme.example: ada`", file.display()))?;
    lines.into_iter().map(|(email, login)| Ok((email.to_lowercase(), login.parse()?))).collect()
}
