//! `chandlery plan`: what would a request do? The same plan as on a pull request, here and now; nothing is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
    sync::Arc,
};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    config::{ForgeSettings, clock},
    output, rounds,
    validate::{files_of_work_tree, locate, repo_path},
};
use crate::{
    catalog::{self, Definitions, Files, Root, entity_at, load_definitions, load_settings, report},
    cli,
    domain::{
        Branch, Bytes, Diagnostic, EntityId, FileMode, InvalidId, Login, ObjectId, Permission, Place,
        RepoName, RepoPath, RequestId, Timestamp,
    },
    git::objects::Objects,
    plan::{
        Preview,
        facts::{Answer, Facts, File, Here, Question, Repository},
        message, preview,
    },
    reconcile::{Hands, Settings},
};

/// Show what a request would do; changes nothing
///
/// The catalog is the one around the request file, as it is on disk. The repositories that the request
/// would change are read from local copies (--target), or else from the forge, if one is named.
///
/// Exit codes: 0 it may be asked, 1 it has mistakes, 2 wrong usage, 3 something could not be read.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The request file
    #[arg(value_name = "REQUEST.YAML")]
    path: PathBuf,
    /// A local repository that stands for one on the forge, read at its HEAD; may be given several times
    #[arg(long = "target", value_name = "OWNER/NAME=FOLDER")]
    targets: Vec<Target>,
    /// Look at whether this person may ask, too
    #[arg(long = "as", value_name = "LOGIN")]
    requester: Option<Login>,
    #[command(flatten)]
    forge: ForgeSettings,
}

/// What stands for a repository.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) name: RepoName,
    pub(super) folder: PathBuf,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((name, folder)) = text.split_once('=') else {
            return Err("write OWNER/NAME=FOLDER".to_owned());
        };
        Ok(Self { name: name.parse().map_err(|error| format!("{error}"))?, folder: folder.into() })
    }
}

/// Shows the plan.
///
/// # Errors
/// When something cannot be read.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let asked = match Asked::read(&args.path, args.forge.root.as_ref())? {
        Ok(asked) => asked,
        Err(Mistakes { problems, files }) => return refuse(&problems, &files),
    };
    let mut world = World::new(&args.targets, args.forge.settings(), &asked.definitions, &asked.files)?;
    let Asked { id, path, bytes, files, .. } = &asked;
    match world.plan(id, path, bytes, args.requester.as_ref())? {
        Ok(shown) => {
            output::print(&shown)?;
            Ok(ExitCode::from(cli::CLEAN))
        }
        Err(problems) => refuse(&problems, files),
    }
}

/// Shows what a request file would do, with the local copies that stand for targets.
pub(super) fn show(path: PathBuf, targets: &[Target]) -> anyhow::Result<()> {
    let targets = targets.to_vec();
    run(&PlanArgs { path, targets, requester: None, forge: ForgeSettings::default() }).map(drop)
}

pub(super) fn refuse(problems: &[Diagnostic], files: &Files) -> anyhow::Result<ExitCode> {
    let source = |path: &str| files.get(&path.parse().ok()?).cloned();
    output::print(&report::text(problems, &source))?;
    Ok(ExitCode::from(cli::PROBLEMS))
}

/// What is asked, and of which catalog.
pub(super) struct Asked {
    /// The repository on disk.
    pub(super) top: PathBuf,
    pub(super) root: Root,
    pub(super) files: Files,
    pub(super) definitions: Definitions,
    pub(super) id: RequestId,
    pub(super) path: RepoPath,
    pub(super) bytes: Bytes,
}

/// Why the catalog cannot be used.
pub(super) struct Mistakes {
    pub(super) problems: Vec<Diagnostic>,
    pub(super) files: Files,
}

impl Asked {
    /// Reads a request file and the catalog around it; `root` is the catalog's folder in its repository, if it is told.
    pub(super) fn read(path: &Path, root: Option<&RepoPath>) -> anyhow::Result<Result<Self, Mistakes>> {
        let file = path;
        let cannot_read = || format!("cannot read `{}`", file.display());
        #[expect(clippy::disallowed_methods, reason = "the request is a file that the user names")]
        let bytes: Bytes = std::fs::read(file).with_context(cannot_read)?.into();
        let disk = file.canonicalize().with_context(cannot_read)?;
        let above = disk.parent().with_context(cannot_read)?;
        // With --root the repository is looked for from here; without it, the nearest catalog above.
        let start = match root {
            Some(_) => above,
            None => match above.ancestors().find(|folder| folder.join("chandlery.yaml").is_file()) {
                Some(catalog) => catalog,
                None => bail!(
                    "`{}` lies in no catalog: no folder above it holds a chandlery.yaml; put it below the folder of the catalog, or, where that has no such file, name the folder in its repository with --root",
                    file.display()
                ),
            },
        };
        let top = locate(start, root)?.top;
        let found = files_of_work_tree(start, root)?;
        let (root, mut files) = (found.root, found.files);
        let path = disk.strip_prefix(&top).ok().map(repo_path).transpose()?.flatten();
        let path =
            path.with_context(|| format!("`{}` lies outside the catalog's repository", file.display()))?;
        files.insert(path.clone(), Arc::clone(&bytes));
        let settings = match load_settings(&root, files.get(&root.settings_path())) {
            Ok(settings) => settings,
            Err(problems) => return Ok(Err(Mistakes { problems, files })),
        };
        // What is wrong with other definitions is for `validate` to say.
        let (mut definitions, _) = load_definitions(&root, settings, &files);
        definitions.mark_executables(&found.executables);
        let id = match request_id(&definitions, &path, &files) {
            Ok(id) => id,
            Err(problem) => return Ok(Err(Mistakes { problems: vec![problem], files })),
        };
        Ok(Ok(Self { top, root, files, definitions, id, path, bytes }))
    }
}

/// The name that a request has by where its file lies, or would have; among the requests of the catalog it must be one that is
/// taken when it is asked. What has a plan there is Chandlery's, and was.
fn request_id(definitions: &Definitions, path: &RepoPath, files: &Files) -> Result<RequestId, Diagnostic> {
    let below = path.under(&definitions.settings.folders.requests);
    let Some((name, _)) = below.and_then(|below| below.rsplit_once('/')) else {
        let folder = path.as_str().rsplit('/').nth(1).and_then(|name| name.parse().ok());
        return Ok(folder.unwrap_or_else(|| "draft".parse().expect("a word is an identifier")));
    };
    let place = || Place::file(path.as_str());
    let id: RequestId = name.parse().map_err(|problem: InvalidId| {
        Diagnostic::error("bad-request-id", place(), problem.to_string()).help("rename the folder")
    })?;
    let is_planned = || {
        let plan = definitions.settings.folders.requests.join(&format!("{id}/plan.yaml"));
        plan.is_ok_and(|plan| files.contains_key(&plan))
    };
    if id.is_reserved() && !is_planned() {
        let message = format!("`{id}` is a name for requests that Chandlery itself opens");
        return Err(Diagnostic::error("reserved-request-id", place(), message).help("rename the folder"));
    }
    Ok(id)
}

/// What these files of a catalog answer by themselves.
pub(super) fn of_catalog(definitions: &Definitions, files: &Files, question: &Question) -> Option<Answer> {
    let entities = || {
        let placed = |(path, bytes)| Some((entity_at(&definitions.settings, path)?, path, bytes));
        files.iter().filter_map(placed)
    };
    Some(match question {
        Question::Entity(_, wanted) => {
            let found = entities().find(|(id, ..)| id == wanted);
            Answer::Entity(found.map(|(_, path, bytes)| (path.clone(), Arc::clone(bytes))))
        }
        Question::Entities(_, blueprint) => {
            let known = entities().filter(|(id, ..)| id.blueprint == *blueprint);
            Answer::Entities(Arc::new(known.map(|(id, ..)| id.identifier).collect()))
        }
        Question::Alike(_, wanted) => {
            let folded = |id: &EntityId| (id.blueprint.clone(), id.identifier.as_str().to_lowercase());
            let alike = entities().filter(|(id, ..)| folded(id) == folded(wanted));
            Answer::Entities(Arc::new(alike.map(|(id, ..)| id.identifier).collect()))
        }
        Question::Pointing(_, id) => Answer::Pointing(Arc::new(catalog::pointing(definitions, files, id))),
        Question::Search(_, search) => match catalog::search(definitions, files, search) {
            Ok(found) => Answer::Found(Arc::new(found)),
            Err(why) => Answer::Unknown(why.into()),
        },
        Question::Levels(_, id, now) => {
            Answer::Levels(Arc::new(catalog::levels(definitions, files, id, *now)))
        }
        Question::Sums(_, search, property) => match catalog::sums(definitions, files, search, property) {
            Ok(sums) => Answer::Sums(Arc::new(sums)),
            Err(why) => Answer::Unknown(why.into()),
        },
        Question::File(_, commit, path) if *commit == WORK_TREE => {
            Answer::File(files.get(path).map(|bytes| File {
                mode: FileMode::File,
                id: ObjectId::of_blob(bytes),
                bytes: Arc::clone(bytes),
            }))
        }
        _ => return None,
    })
}

/// Local repositories that stand for those on the forge.
#[derive(Default)]
pub(super) struct Copies(BTreeMap<RepoName, (PathBuf, Objects)>);

impl Copies {
    pub(super) fn open(copies: &[Target]) -> anyhow::Result<Self> {
        let mut targets = BTreeMap::new();
        for Target { name, folder } in copies {
            let objects = Objects::open(folder)
                .with_context(|| format!("`{}` is not in a Git repository", folder.display()))?;
            targets.insert(name.clone(), (folder.clone(), objects));
        }
        Ok(Self(targets))
    }

    fn has(&self, name: &RepoName) -> bool {
        self.0.contains_key(name)
    }

    /// What they answer by themselves.
    pub(super) fn answer(&self, question: &Question) -> anyhow::Result<Option<Answer>> {
        Ok(match question {
            Question::Repository(name) => match self.0.get(name) {
                None => None,
                Some((folder, objects)) => {
                    let default_branch = objects
                        .checked_out()
                        .with_context(|| format!("cannot read `{}`", folder.display()))?;
                    Some(Answer::Repository(Some(Arc::new(Repository {
                        default_branch,
                        archived: false,
                        renamed: None,
                    }))))
                }
            },
            Question::Head(name, branch) => match self.0.get(name) {
                None => None,
                Some((folder, objects)) => {
                    let head = objects
                        .checked_out()
                        .with_context(|| format!("cannot read `{}`", folder.display()))?;
                    Some(Answer::Head(head.filter(|(known, _)| known == branch).map(|(_, commit)| commit)))
                }
            },
            Question::File(name, commit, path) => match self.0.get(name) {
                None => None,
                Some((folder, objects)) => {
                    let cannot_read = || format!("cannot read `{path}` in `{}`", folder.display());
                    Some(Answer::File(objects.file(*commit, path).with_context(cannot_read)?))
                }
            },
            _ => None,
        })
    }
}

/// That a workflow can be started, where it is taken for granted.
pub(super) fn can_start(name: &RepoName, file: &str, on: Option<&Branch>) -> String {
    let on = on.map_or_else(String::new, |on| format!(" on `{on}`"));
    format!("the workflow `{file}` of `{name}` is switched on and can be started{on}; no forge was asked")
}

/// Names the work tree where a commit of the catalog is asked for.
pub(super) const WORK_TREE: ObjectId = ObjectId::from_bytes([0; 20]);

/// Whatever answers questions: the work tree, local repositories, the forge.
pub(super) struct World<'a> {
    definitions: &'a Definitions,
    files: &'a Files,
    facts: Facts,
    here: Arc<Here>,
    targets: Copies,
    forge: anyhow::Result<Settings>,
    hands: Option<(tokio::runtime::Runtime, Hands)>,
    /// What was taken for granted.
    assumed: BTreeSet<String>,
}

impl<'a> World<'a> {
    /// The work tree's files, local copies, and the forge, or why none is named.
    pub(super) fn new(
        copies: &[Target],
        forge: anyhow::Result<Settings>,
        definitions: &'a Definitions,
        files: &'a Files,
    ) -> anyhow::Result<Self> {
        let targets = Copies::open(copies)?;
        let here = Here {
            catalog: match &forge {
                Ok(settings) => settings.catalog.clone(),
                Err(_) => "local/catalog".parse()?,
            },
            branch: "main".parse()?,
            me: "chandlery[bot]".parse()?,
        };
        let (here, facts, assumed) = (Arc::new(here), Facts::default(), BTreeSet::new());
        Ok(Self { definitions, files, facts, here, targets, forge, hands: None, assumed })
    }

    /// Answers what `ask` wants to know until it knows enough.
    pub(super) fn until<T>(
        &mut self,
        ask: &mut dyn FnMut(&Facts) -> Result<T, BTreeSet<Question>>,
    ) -> anyhow::Result<T> {
        let mut facts = std::mem::take(&mut self.facts);
        let known = rounds::until(&mut facts, ask, &mut |questions| self.look(questions));
        self.facts = facts;
        known
    }

    /// What a request would do, in words, or what is wrong with it.
    pub(super) fn plan(
        &mut self,
        id: &RequestId,
        path: &RepoPath,
        bytes: &Bytes,
        requester: Option<&Login>,
    ) -> anyhow::Result<Result<String, Vec<Diagnostic>>> {
        let definitions = self.definitions;
        let planned =
            self.until(
                &mut |facts| match preview(definitions, facts, WORK_TREE, id, path, bytes, requester) {
                    Preview::Ask(questions) => Err(questions),
                    Preview::Planned(built) => Ok(Ok(built)),
                    Preview::Wrong(problems) => Ok(Err(problems)),
                },
            )?;
        Ok(planned.map(|built| {
            let action = &built.plan.asked.action;
            let title = definitions.actions.get(action).map_or(action.as_str(), |action| &action.value.title);
            let mut shown = output::plain(&message::preview(title, &built));
            self.assumed.iter().for_each(|note| shown.push_str(&format!("\n{note}\n")));
            shown
        }))
    }

    /// Answers every question: what is at hand from there, the rest from the forge in one go.
    pub(super) fn look(&mut self, questions: &BTreeSet<Question>) -> anyhow::Result<Vec<(Question, Answer)>> {
        let mut answers = Vec::new();
        let mut others = BTreeSet::new();
        for question in questions {
            match self.at_hand(question)? {
                Some(answer) => answers.push((question.clone(), answer)),
                None => drop(others.insert(question.clone())),
            }
        }
        if !others.is_empty() {
            answers.extend(self.ask_forge(&others)?);
        }
        Ok(answers)
    }

    fn at_hand(&mut self, question: &Question) -> anyhow::Result<Option<Answer>> {
        let Self { files, definitions, .. } = *self;
        if let Some(answer) = of_catalog(definitions, files, question) {
            return Ok(Some(answer));
        }
        Ok(Some(match question {
            Question::Here => Answer::Here(Arc::clone(&self.here)),
            // What was not committed yet is as old as may be.
            Question::CommittedAt(commit) if *commit == WORK_TREE => Answer::Now(Timestamp::from_seconds(0)),
            Question::Unfinished(commit) | Question::Arrivals(commit, _) if *commit == WORK_TREE => {
                self.assumed.insert(
                    "Assumed: no other request is under way, and none was merged lately; the history was not read."
                        .to_owned(),
                );
                match question {
                    Question::Unfinished(_) => Answer::Requests(Arc::default()),
                    _ => Answer::Arrivals(Arc::default()),
                }
            }
            // It is Chandlery that makes branches, not whoever looks.
            Question::Barred(..) => Answer::Barred(None),
            Question::Workflow(name, file, on) if self.forge.is_err() || self.targets.has(name) => {
                self.assumed.insert(format!("Assumed: {}.", can_start(name, file, on.as_ref())));
                Answer::Workflow(Arc::default())
            }
            Question::Now if self.forge.is_err() => Answer::Now(Timestamp::from_seconds(clock())),
            Question::Permission(_, login) if self.forge.is_err() => {
                self.assumed.insert(format!(
                    "Assumed: `{login}` has write access to the catalog; no forge was asked."
                ));
                Answer::Permission(Permission::Write)
            }
            question => return self.targets.answer(question),
        }))
    }

    fn ask_forge(&mut self, questions: &BTreeSet<Question>) -> anyhow::Result<Vec<(Question, Answer)>> {
        let settings = match &self.forge {
            Ok(settings) => settings,
            Err(why) => bail!(missing(questions, why)),
        };
        let (runtime, hands) = match &mut self.hands {
            Some(hands) => hands,
            none => {
                let runtime = cli::runtime()?;
                let hands = runtime.block_on(async { Hands::new(settings.clone()) })?;
                none.insert((runtime, hands))
            }
        };
        Ok(runtime.block_on(hands.look(questions)))
    }
}

/// What is not at hand, and how to give it.
fn missing(questions: &BTreeSet<Question>, why: &anyhow::Error) -> String {
    let wanted: BTreeSet<String> = questions
        .iter()
        .map(|question| match question {
            Question::Repository(name) | Question::File(name, ..) => {
                format!("the repository `{name}` is needed: give a local copy with --target {name}=FOLDER")
            }
            Question::Members(team) => format!("the members of the forge's team `{team}` are needed"),
            other => format!("an answer of the forge is needed ({other:?})"),
        })
        .collect();
    let wanted: Vec<String> = wanted.into_iter().collect();
    format!("{}; or name the forge: {why:#}", wanted.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_name_and_a_folder() {
        let target: Target = "acme/infrastructure=../infrastructure".parse().unwrap();
        assert_eq!(
            (target.name.as_str(), target.folder.as_path()),
            ("acme/infrastructure", Path::new("../infrastructure"))
        );
        for text in ["acme/infrastructure", "infrastructure=x"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
