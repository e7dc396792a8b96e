//! What is known of a catalog without a forge? Files, commits, local copies; the rest is taken for granted, and told.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{
    plan::{Copies, WORK_TREE, can_start, of_catalog},
    rounds,
};
use crate::{
    catalog::{self, Definitions, Files},
    domain::{EntityId, Login, ObjectId, Permission, RepoName, Timestamp},
    git::objects::Objects,
    plan::facts::{Answer, Facts, Here, Question, Repository},
    reconcile::Reader,
};

/// The history of a catalog in a clone.
pub(super) struct Past {
    pub(super) objects: Objects,
    pub(super) reader: Reader,
    /// The commit that is the catalog's newest.
    pub(super) commit: ObjectId,
}

impl Past {
    /// The definitions as of a commit, which is called `rev`.
    pub(super) fn definitions(&mut self, commit: ObjectId, rev: &str) -> anyhow::Result<Arc<Definitions>> {
        let answer = self.reader.answer(&self.objects, vec![Question::Definitions(commit)]).pop();
        match answer.context("nothing was answered")?.1? {
            Answer::Definitions(Ok(definitions)) => Ok(definitions),
            _ => bail!("`{rev}` holds no catalog that can be read: run `chandlery validate --at {rev}`"),
        }
    }
}

/// Whatever answers questions without a forge.
pub(super) struct Offline<'a> {
    pub(super) definitions: &'a Definitions,
    /// The files on disk, where those are asked rather than a commit.
    pub(super) files: Option<&'a Files>,
    pub(super) past: Option<Past>,
    pub(super) targets: Copies,
    pub(super) now: Timestamp,
    pub(super) here: Arc<Here>,
    facts: Facts,
    assumed: BTreeSet<String>,
}

impl<'a> Offline<'a> {
    pub(super) fn new(
        definitions: &'a Definitions,
        files: Option<&'a Files>,
        past: Option<Past>,
        targets: Copies,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let catalog: RepoName = match &definitions.settings.repository {
            Some(name) => name.clone(),
            None => "local/catalog".parse()?,
        };
        let here = Arc::new(Here { catalog, branch: "main".parse()?, me: "chandlery[bot]".parse()? });
        let (facts, assumed) = (Facts::default(), BTreeSet::new());
        Ok(Self { definitions, files, past, targets, now, here, facts, assumed })
    }

    /// What stands for the catalog in questions.
    pub(super) fn catalog(&self) -> ObjectId {
        match (&self.past, self.files) {
            (Some(past), None) => past.commit,
            _ => WORK_TREE,
        }
    }

    /// What was taken for granted.
    pub(super) fn assumed(&self) -> Vec<String> {
        self.assumed.iter().cloned().collect()
    }

    /// Answers what `ask` wants to know until it knows enough.
    pub(super) fn until<T>(
        &mut self,
        ask: &mut dyn FnMut(&Facts) -> Result<T, BTreeSet<Question>>,
    ) -> anyhow::Result<T> {
        let mut facts = std::mem::take(&mut self.facts);
        let mut answer = |questions: &BTreeSet<Question>| {
            questions.iter().map(|question| Ok((question.clone(), self.answer(question)?))).collect()
        };
        let known = rounds::until(&mut facts, ask, &mut answer);
        self.facts = facts;
        known
    }

    fn answer(&mut self, question: &Question) -> anyhow::Result<Answer> {
        if let Some(files) = self.files
            && let Some(answer) = of_catalog(self.definitions, files, question)
        {
            return Ok(answer);
        }
        if let Some(answer) = self.targets.answer(question)? {
            return Ok(answer);
        }
        Ok(match question {
            Question::Here => Answer::Here(Arc::clone(&self.here)),
            // The time that is asked about is believed, whatever commits say.
            Question::Now | Question::CommittedAt(_) => Answer::Now(self.now),
            Question::Permission(repository, login) => {
                let catalog = repository == &self.here.catalog;
                let place = if catalog { "the catalog".to_owned() } else { format!("`{repository}`") };
                self.assumed.insert(format!("`{login}` has write access to {place}; no forge was asked"));
                Answer::Permission(Permission::Write)
            }
            Question::Members(team) => self.members(team)?,
            Question::Workflow(name, file, on) => {
                self.assumed.insert(can_start(name, file, on.as_ref()));
                Answer::Workflow(Arc::default())
            }
            Question::Barred(..) => Answer::Barred(None),
            Question::Repository(name) => match &self.past {
                Some(past) if name == &self.here.catalog => {
                    let default_branch = Some((self.here.branch.clone(), past.commit));
                    Answer::Repository(Some(Arc::new(Repository {
                        default_branch,
                        archived: false,
                        renamed: None,
                    })))
                }
                _ => {
                    bail!("the repository `{name}` is needed: give a local copy with --target {name}=FOLDER")
                }
            },
            Question::Unfinished(_) | Question::Arrivals(..) if self.past.is_none() => {
                self.assumed.insert(
                    "no other request is under way, and none was merged lately; there is no history"
                        .to_owned(),
                );
                match question {
                    Question::Unfinished(_) => Answer::Requests(Arc::default()),
                    _ => Answer::Arrivals(Arc::default()),
                }
            }
            question if question.is_content() => self.of_past(question),
            _ => Answer::Unknown("no forge was asked".into()),
        })
    }

    /// What the clone tells; of the files on disk the history is that of the commit they come from.
    fn of_past(&mut self, question: &Question) -> Answer {
        let Some(Past { objects, reader, commit }) = &mut self.past else {
            return Answer::Unknown("there is no history here".into());
        };
        let asked = match question {
            Question::Unfinished(known) if *known == WORK_TREE => Question::Unfinished(*commit),
            Question::Arrivals(known, since) if *known == WORK_TREE => Question::Arrivals(*commit, *since),
            other => other.clone(),
        };
        match reader.answer(objects, vec![asked]).pop() {
            Some((_, Ok(answer))) => answer,
            Some((_, Err(error))) => Answer::Unknown(error.to_string().into()),
            None => Answer::Unknown("nothing was answered".into()),
        }
    }

    /// The members of a team of the forge: those that the catalog gives the team that names it, if it names any.
    fn members(&mut self, team: &str) -> anyhow::Result<Answer> {
        let blueprint = "_team".parse()?;
        let teams = match self.answer(&Question::Entities(self.catalog(), blueprint))? {
            Answer::Entities(teams) => teams,
            _ => Arc::default(),
        };
        let mut members: BTreeSet<Login> = BTreeSet::new();
        for identifier in teams.iter() {
            let id = EntityId { blueprint: "_team".parse()?, identifier: identifier.clone() };
            let Answer::Entity(Some((path, bytes))) = self.answer(&Question::Entity(self.catalog(), id))?
            else {
                continue;
            };
            let Ok(entity) = catalog::read_entity(&path, &bytes, self.definitions) else { continue };
            if entity.properties.get("github").and_then(Value::as_str) == Some(team) {
                let logins = entity.related("members").into_iter().filter_map(|login| login.parse().ok());
                members.extend(logins);
            }
        }
        if members.is_empty() {
            let why = format!("no forge was asked who is in `{team}`, and the catalog names nobody");
            return Ok(Answer::Unknown(why.into()));
        }
        self.assumed.insert(format!("the members of `{team}` are those that the catalog gives that team"));
        Ok(Answer::Members(Arc::new(members)))
    }
}
