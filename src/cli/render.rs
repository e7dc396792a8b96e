//! `chandlery render`: what does a template write? For people who write one; nobody is asked and no plan is made.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    misuse::unknown,
    output,
    validate::{files_below, files_of_work_tree},
};
use crate::{
    catalog::{load_definitions, load_settings, read_template, report},
    cli,
    domain::{Diagnostic, Place, RepoPath, Severity, Template},
    index::Whole,
    render,
};

/// Render a template into a folder
///
/// Files that are not there are written, edits are made in what is there. Nothing outside the folder is touched, no
/// link is followed, and nothing at all is written when anything is wrong.
///
/// Exit codes: 0 rendered, 1 mistakes that were named, 2 wrong usage, 3 something could not be read or written.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// A template of the catalog by its name, or the folder of one
    #[arg(value_name = "TEMPLATE")]
    template: String,
    /// What it is filled with: a YAML file of the inputs (or a request file, or
    /// with `inputs`, `entity`, `entities`, `request`, `action`),
    /// or one input, whose value is read as YAML; may be given several times
    #[arg(long = "input", value_name = "FILE|NAME=VALUE")]
    inputs: Vec<Input>,
    /// The folder that stands for the target repository; made if it is not there
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The folder of the catalog that the template is in
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    catalog: PathBuf,
    /// Write over files that are there with other content
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Clone)]
enum Input {
    File(PathBuf),
    One(String, Value),
}

impl FromStr for Input {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
        match text.split_once('=').filter(|(name, _)| is_name(name)) {
            None => Ok(Self::File(text.into())),
            Some((name, value)) => match serde_yaml::from_str(value) {
                Ok(read) => Ok(Self::One(name.to_owned(), read)),
                Err(_) => Ok(Self::One(name.to_owned(), value.into())),
            },
        }
    }
}

/// Renders the template.
///
/// # Errors
/// When something cannot be read or written.
pub fn run(args: &RenderArgs) -> anyhow::Result<ExitCode> {
    let (template, folder, sources) = match found(args)? {
        Ok(found) => found,
        Err((problems, sources)) => return refuse(&problems, &sources),
    };
    let context = context(args, &template)?;
    let out = Out::new(&args.out)?;
    let (mut written, mut problems) = (BTreeMap::new(), render::check(&template, &folder));
    let has_errors = problems.iter().any(|problem| problem.severity == Severity::Error);
    let above = folder.rsplit_once('/').map_or("", |(above, _)| above);
    let rendered = if has_errors { Ok(BTreeMap::new()) } else { render::files(&template, above, &context) };
    match rendered {
        Err(found) => problems.extend(found),
        Ok(files) => {
            for (path, file) in files {
                let before = out.read(&path)?;
                let differs = before.as_ref().is_some_and(|before| before[..] != file.bytes[..]);
                if differs && !args.overwrite && !template.manifest.overwrite {
                    problems.push(exists(&path, &args.out));
                }
                written.insert(path, (before, Some(file)));
            }
        }
    }
    match render::edits(&template, above, &context) {
        _ if has_errors => {}
        Err(found) => problems.extend(found),
        Ok(edits) => {
            for render::Edit { path, change } in edits {
                if !written.contains_key(&path) {
                    written.insert(path.clone(), (out.read(&path)?, None));
                }
                let Some((before, file)) = written.get_mut(&path) else { continue };
                let old = file.as_ref().map(|file| file.bytes.to_vec()).or_else(|| before.clone());
                let executable = file.as_ref().is_some_and(|file| file.executable);
                match render::edit::apply(&path, old.as_deref(), &change) {
                    Ok(Some(new)) => *file = Some(render::Rendered { bytes: new.into(), executable }),
                    Ok(None) => *file = None,
                    Err(problem) => problems.push(problem),
                }
            }
        }
    }
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return refuse(&problems, &sources);
    }
    output::print(&report::text(&problems, &sources))?;
    for (path, (before, file)) in written {
        let Some(file) = file else {
            if before.is_some() {
                out.remove(&path)?;
                output::print(&format!("{:<10}{}\n", "removed", output::plain(path.as_str())))?;
            }
            continue;
        };
        let said = match before {
            Some(before) if before[..] == file.bytes[..] => "unchanged",
            Some(_) => "changed",
            None => "new",
        };
        out.write(&path, &file)?;
        output::print(&format!("{said:<10}{}\n", output::plain(path.as_str())))?;
    }
    Ok(ExitCode::from(cli::CLEAN))
}

type Sources = Box<dyn Fn(&str) -> Option<crate::domain::Bytes>>;
type Refused = (Vec<Diagnostic>, Sources);

/// The template, where it lies, and what its files hold.
fn found(args: &RenderArgs) -> anyhow::Result<Result<(Template, String, Sources), Refused>> {
    let disk = Path::new(&args.template);
    let in_folder = |name: &str| disk.join(name).exists();
    if in_folder("files") || in_folder("template.yaml") {
        let name =
            disk.canonicalize()?.file_name().and_then(|name| name.to_str()).unwrap_or("template").to_owned();
        let name =
            name.parse().with_context(|| format!("`{name}` is not a name that a template can have"))?;
        let top: RepoPath = "template".parse()?;
        let Whole { files, executables, .. } = files_below(disk, &top)?;
        let inside = |path: &RepoPath| path.under(&top).and_then(|path| path.parse::<RepoPath>().ok());
        let below: BTreeMap<RepoPath, _> =
            files.iter().filter_map(|(path, bytes)| Some((inside(path)?, bytes.clone()))).collect();
        let folder = args.template.trim_end_matches('/').to_owned();
        let prefix = format!("{folder}/");
        let kept = below.clone();
        let sources: Sources = Box::new(move |path| {
            kept.get(&path.strip_prefix(&prefix).unwrap_or(path).parse().ok()?).cloned()
        });
        return Ok(match read_template(&name, &below) {
            Ok(mut template) => {
                executables.iter().filter_map(inside).for_each(|path| template.mark_executable(&path));
                Ok((template, folder, sources))
            }
            Err(mut problems) => {
                problems
                    .iter_mut()
                    .for_each(|one| one.place.source = format!("{folder}/{}", one.place.source));
                Err((problems, sources))
            }
        });
    }
    let whole = files_of_work_tree(&args.catalog, None)?;
    let files = whole.files.clone();
    let sources: Sources = Box::new(move |path| files.get(&path.parse().ok()?).cloned());
    let settings = match load_settings(&whole.root, whole.files.get(&whole.root.settings_path())) {
        Ok(settings) => settings,
        Err(problems) => return Ok(Err((problems, sources))),
    };
    let (mut definitions, problems) = load_definitions(&whole.root, settings, &whole.files);
    definitions.mark_executables(&whole.executables);
    let folder = format!("{}/{}", definitions.settings.folders.templates, args.template);
    let name = args.template.parse().ok();
    if let Some(template) = name.as_ref().and_then(|name| definitions.templates.get(name)) {
        return Ok(Ok((template.clone(), folder, sources)));
    }
    let of_it: Vec<_> = problems
        .into_iter()
        .filter(|problem| problem.place.source.starts_with(&format!("{folder}/")))
        .collect();
    if of_it.is_empty() {
        let known = definitions.templates.keys().map(crate::domain::TemplateName::as_str);
        return Err(unknown(&format!("there is no template `{}`", args.template), &args.template, known));
    }
    Ok(Err((of_it, sources)))
}

fn refuse(problems: &[Diagnostic], sources: &Sources) -> anyhow::Result<ExitCode> {
    output::print(&report::text(problems, sources))?;
    Ok(ExitCode::from(cli::PROBLEMS))
}

fn exists(path: &RepoPath, out: &Path) -> Diagnostic {
    let message = format!("`{path}` exists in `{}` with other content", out.display());
    Diagnostic::error("file-exists", Place::file(path.as_str()), message)
        .help("render into an empty folder, or give --overwrite; in a plan, what exists is never overwritten")
}

/// The names that the template sees.
fn context(args: &RenderArgs, template: &Template) -> anyhow::Result<render::Context> {
    let mut names = Map::new();
    names.insert("inputs".into(), json!({}));
    names.insert("entities".into(), json!({}));
    names.insert("request".into(), json!({ "id": "draft", "reason": null }));
    names.insert("action".into(), json!({ "identifier": template.name, "title": template.name }));
    for input in &args.inputs {
        let given = match input {
            Input::One(name, value) => Map::from_iter([(name.clone(), value.clone())]),
            Input::File(path) => {
                #[expect(clippy::disallowed_methods, reason = "the inputs are a file that the user names")]
                let text =
                    fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
                let read = serde_yaml::from_str(&text)
                    .with_context(|| format!("`{}` is not a YAML mapping", path.display()))?;
                let Value::Object(mut given) = read else {
                    bail!("`{}` is not a YAML mapping", path.display());
                };
                let whole = matches!(given.get("inputs"), Some(Value::Object(_)));
                let inputs = if whole { given.shift_remove("inputs") } else { None };
                match inputs {
                    Some(Value::Object(inputs)) => {
                        for (name, value) in given {
                            match (name.as_str(), value) {
                                (_, value @ Value::Object(_)) => drop(names.insert(name, value)),
                                // A request file has these as texts.
                                ("action", Value::String(_)) => {}
                                ("entity", identifier @ Value::String(_)) => {
                                    names.insert(name, json!({ "identifier": identifier }));
                                }
                                ("reason", reason @ Value::String(_)) => {
                                    names
                                        .insert("request".into(), json!({ "id": "draft", "reason": reason }));
                                }
                                (name, _) => {
                                    bail!(
                                        "`{name}` in `{}` is not a mapping, as a template sees it",
                                        path.display()
                                    );
                                }
                            }
                        }
                        inputs
                    }
                    _ => given,
                }
            }
        };
        if let Some(Value::Object(inputs)) = names.get_mut("inputs") {
            inputs.extend(given);
        }
    }
    Ok(render::Context::new(names))
}

/// The folder that is written into.
struct Out {
    top: PathBuf,
}

#[expect(clippy::disallowed_methods, reason = "the folder that the user names is written here")]
impl Out {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("cannot make the folder `{}`", folder.display());
        fs::create_dir_all(folder).with_context(cannot)?;
        Ok(Self { top: folder.canonicalize().with_context(cannot)? })
    }

    /// The place of a file, with no link on the way and none there.
    fn place(&self, path: &RepoPath) -> anyhow::Result<PathBuf> {
        let mut disk = self.top.clone();
        for name in path.as_str().split('/') {
            disk.push(name);
            if fs::symlink_metadata(&disk).is_ok_and(|metadata| metadata.is_symlink()) {
                bail!("`{}` is a link: nothing is read or written through it", disk.display());
            }
        }
        Ok(disk)
    }

    fn read(&self, path: &RepoPath) -> anyhow::Result<Option<Vec<u8>>> {
        let disk = self.place(path)?;
        match fs::read(&disk) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", disk.display())),
        }
    }

    fn remove(&self, path: &RepoPath) -> anyhow::Result<()> {
        let disk = self.place(path)?;
        fs::remove_file(&disk).with_context(|| format!("cannot remove `{}`", disk.display()))
    }

    fn write(&self, path: &RepoPath, file: &render::Rendered) -> anyhow::Result<()> {
        let disk = self.place(path)?;
        let put = || {
            disk.parent().map_or(Ok(()), fs::create_dir_all)?;
            fs::write(&disk, &file.bytes)?;
            #[cfg(unix)]
            if file.executable {
                use std::os::unix::fs::PermissionsExt;
                let mode = fs::metadata(&disk)?.permissions().mode();
                fs::set_permissions(&disk, fs::Permissions::from_mode(mode | 0o111))?;
            }
            Ok::<_, std::io::Error>(())
        };
        put().with_context(|| format!("cannot write `{}`", disk.display()))
    }
}
