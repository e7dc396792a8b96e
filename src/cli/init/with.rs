//! Which actions does this program bring along, and how do they get into a catalog?
//!
//! Each is a folder of `action-templates/`. What is its own (actions, templates, examples, scripts) is written as it is, or
//! not at all where the catalog says something else; what it rests on (blueprints, teams) is added where it is missing.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use include_dir::{Dir, include_dir};
use serde_json::Value;

use super::every_file;
use crate::{
    catalog::{
        self, Files, Folders, Root, Settings, entity_at, is_document, load_settings, origin, read_action,
    },
    cli::misuse::unknown,
    domain::{
        Action, Bytes, Diagnostic, DocumentPlace, EditChange, EditTarget, RepoName, RepoPath, StepKind,
    },
    render::edit,
};

static READY: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/action-templates");

/// Whom the repositories belong to in what we bring along.
const OWNER: &str = "acme/";
/// The file of a folder that holds the action of its name.
const ACTION: &str = "action.yaml";
/// What of it is for people. In a catalog it lies beside the action, and is theirs to change.
const README: &str = "README.md";
/// Where scripts are looked for.
const SCRIPTS: &str = "scripts";
/// Whom scripts run as where nothing is said.
const SCRIPTS_AS: &str = "nobody";

/// An action that this program brings along, with all that belongs to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    name: &'static str,
    folder: &'static Dir<'static>,
}

/// What becomes of a catalog.
#[derive(Debug, Default)]
pub(super) struct Additions {
    /// Files to write, and which of them are there already.
    pub(super) write: BTreeMap<RepoPath, (Bytes, bool)>,
    /// Files that are as they would be written, or that something else in the catalog stands for.
    pub(super) kept: Vec<RepoPath>,
    /// Files with other content.
    pub(super) conflicts: Vec<RepoPath>,
    /// The secrets that whoever carries requests out must have, by the names that definitions give them.
    pub(super) secrets: BTreeSet<String>,
    /// What is left to people.
    pub(super) next: Vec<String>,
}

/// All of them, by name.
fn all() -> Vec<Ready> {
    let name = |folder: &'static Dir<'static>| folder.path().to_str();
    let mut all: Vec<Ready> =
        READY.dirs().filter_map(|folder| Some(Ready { name: name(folder)?, folder })).collect();
    all.sort_by_key(|ready| ready.name);
    all
}

/// Those of these names.
pub(super) fn named(names: &[String]) -> anyhow::Result<Vec<Ready>> {
    let all = all();
    let one = |name: &String| {
        let Some(ready) = all.iter().find(|ready| ready.name == name) else {
            let what = format!("no action `{name}` comes with chandlery");
            return Err(unknown(&what, name, all.iter().map(|ready| ready.name)));
        };
        Ok(*ready)
    };
    names.iter().map(one).collect()
}

/// A line for each.
pub(super) fn list() -> anyhow::Result<String> {
    let all = all();
    let width = all.iter().map(|ready| ready.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for ready in &all {
        let file = ready.folder.get_file(ready.folder.path().join(ACTION));
        let action: Value = serde_yaml::from_slice(file.context("an action has no file")?.contents())?;
        let words = action["description"].as_str().unwrap_or_default();
        text.push_str(&format!("{:width$}  {words}\n", ready.name));
    }
    Ok(text)
}

/// What a file of a folder is to a catalog.
enum Part {
    /// Its own.
    Own(RepoPath),
    /// A blueprint that it rests on.
    Blueprint(RepoPath),
    /// An entity that it names.
    Entity(RepoPath),
    /// What people read of it.
    Readme(RepoPath),
    /// Something for people or for a target repository.
    Other,
}

impl Ready {
    fn part(self, path: &str, folders: &Folders) -> anyhow::Result<Part> {
        let below = |folder: &RepoPath, rest: &str| folder.join(rest);
        let Some((first, rest)) = path.split_once('/') else {
            return Ok(match path {
                ACTION => Part::Own(below(&folders.actions, &format!("{}.yaml", self.name))?),
                README => Part::Readme(below(&folders.actions, &format!("{}.md", self.name))?),
                other if other.ends_with(".yaml") => Part::Own(below(&folders.actions, other)?),
                _ => Part::Other,
            });
        };
        Ok(match first {
            "templates" => Part::Own(below(&folders.templates, rest)?),
            "scripts" => Part::Own(format!("{SCRIPTS}/{rest}").parse()?),
            "tests" => Part::Own(below(&folders.actions, &format!("{}.tests/{rest}", self.name))?),
            "blueprints" => Part::Blueprint(below(&folders.blueprints, rest)?),
            "entities" => Part::Entity(below(&folders.entities, rest)?),
            tests if tests.ends_with(".tests") => Part::Own(below(&folders.actions, path)?),
            _ => Part::Other,
        })
    }

    /// What people read of it, with its files as they lie in a catalog.
    fn as_in_a_catalog(self, readme: &[u8], folders: &Folders) -> Bytes {
        let text = String::from_utf8_lossy(readme);
        let action = format!("`{}/{}.yaml`", folders.actions, self.name);
        let text = text.replace(&format!("`{ACTION}`"), &action);
        let text = text.replace("`templates/", &format!("`{}/", folders.templates));
        text.replace("`blueprints/", &format!("`{}/", folders.blueprints)).into_bytes().into()
    }

    /// Its files by their path in its folder, for repositories of this owner.
    fn files(self, owner: &str) -> anyhow::Result<Vec<(String, Bytes)>> {
        let files = every_file(self.folder)?.into_iter();
        let prefix = format!("{}/", self.name);
        let file = |(path, bytes): (&str, &[u8])| {
            let path = path.strip_prefix(&prefix).unwrap_or(path).to_owned();
            let bytes = match std::str::from_utf8(bytes) {
                Ok(text) => text.replace(OWNER, &format!("{owner}/")).into_bytes().into(),
                Err(_) => bytes.into(),
            };
            (path, bytes)
        };
        Ok(files.map(file).collect())
    }
}

/// Where their own files lie in a catalog.
pub(super) fn own_paths(ready: &[Ready], folders: &Folders) -> anyhow::Result<Vec<RepoPath>> {
    let mut paths = Vec::new();
    for one in ready {
        for (path, _) in one.files("")? {
            if let Part::Own(path) | Part::Readme(path) = one.part(&path, folders)? {
                paths.push(path);
            }
        }
    }
    Ok(paths)
}

/// What these need in a target repository.
pub(super) fn of_target(ready: &[Ready], target: &RepoName) -> anyhow::Result<Files> {
    let mut found = Files::new();
    let folder = format!("targets/{}/", target.name());
    for one in ready {
        for (path, bytes) in one.files(target.owner())? {
            if let Some(path) = path.strip_prefix(&folder) {
                found.insert(path.parse()?, bytes);
            }
        }
    }
    Ok(found)
}

/// What these add to a catalog with these files, among them its settings.
///
/// # Errors
/// When the settings cannot be read.
pub(super) fn add(ready: &[Ready], files: &Files, catalog: &RepoName) -> anyhow::Result<Additions> {
    let owner = catalog.owner();
    let settings_path = Root::default().settings_path();
    let settings =
        load_settings(&Root::default(), files.get(&settings_path)).map_err(|found| told(&found))?;
    let mut additions = Additions::default();
    let mut actions = Vec::new();
    for one in ready {
        for (path, bytes) in one.files(owner)? {
            match one.part(&path, &settings.folders)? {
                Part::Own(path) => {
                    if !path.as_str().contains(catalog::TESTS)
                        && path.under(&settings.folders.actions).is_some()
                    {
                        actions.push(read_action(&path, &bytes).map_err(|found| told(&found))?);
                    }
                    additions.own(path, bytes, files);
                }
                Part::Blueprint(path) => additions.blueprint(path, &bytes, files, &settings.folders)?,
                Part::Entity(path) => additions.entity(path, bytes, files, &settings),
                Part::Readme(path) if files.contains_key(&path) => additions.kept.push(path),
                Part::Readme(path) => {
                    let text = one.as_in_a_catalog(&bytes, &settings.folders);
                    additions.write.insert(path, (text, false));
                }
                Part::Other => {}
            }
        }
    }
    additions.next.extend(left(ready, catalog)?);
    let old = files.get(&settings_path).cloned().unwrap_or_default();
    let new = settings_with(&settings_path, &old, &settings, &actions)?;
    if new != old {
        additions.write.insert(settings_path, (new, true));
    }
    let scripted: Vec<String> = actions
        .iter()
        .filter(|action| action.steps.iter().any(|step| matches!(step.does, StepKind::Script(_))))
        .map(|action| format!("`{}`", action.identifier))
        .collect();
    if !scripted.is_empty() {
        additions.next.push(format!(
            "A step of {} runs a script. That takes Chandlery as root, which it is not on GitHub's own runners: there the step fails \
             (docs/steps.md, script).",
            scripted.join(", ")
        ));
    }
    additions.secrets = secrets_of(&actions);
    for name in &additions.secrets {
        additions.next.push(format!(
            "Give whoever carries requests out the secret CHANDLERY_SECRET_{name}: it signs what is sent."
        ));
    }
    Ok(additions)
}

impl Additions {
    fn own(&mut self, path: RepoPath, bytes: Bytes, files: &Files) {
        match files.get(&path) {
            None => drop(self.write.insert(path, (bytes, false))),
            Some(known) if *known == bytes => self.kept.push(path),
            Some(_) => self.conflicts.push(path),
        }
    }

    /// Adds the blueprint, or what the one that is there lacks.
    fn blueprint(
        &mut self,
        path: RepoPath,
        bytes: &Bytes,
        files: &Files,
        folders: &Folders,
    ) -> anyhow::Result<()> {
        let wanted: Value = serde_yaml::from_slice(bytes)?;
        let is_it = |(path, bytes): &(&RepoPath, &Bytes)| {
            path.under(&folders.blueprints).is_some()
                && is_document(path)
                && serde_yaml::from_slice::<Value>(bytes)
                    .is_ok_and(|known| known["identifier"] == wanted["identifier"])
        };
        let Some((known_path, known)) = files.iter().find(is_it) else {
            self.write.insert(path, (bytes.clone(), false));
            return Ok(());
        };
        let before = self.write.get(known_path).map_or(known, |(bytes, _)| bytes).clone();
        let there: Value = serde_yaml::from_slice(&before)?;
        let mut after = before.clone();
        for at in [&["schema", "properties"][..], &["relations"]] {
            let inside = |value: &Value| at.iter().fold(value.clone(), |value, key| value[*key].clone());
            let known = inside(&there);
            let wanted_here = inside(&wanted);
            if known.is_null() && !wanted_here.is_null() {
                let target = EditTarget::At(place_of(&at.join(".")));
                after = changed(known_path, &after, &EditChange::Set { target, value: wanted_here })?;
                continue;
            }
            for (name, value) in inside(&wanted).as_object().into_iter().flatten() {
                if known.get(name).is_none() {
                    let place = place_of(&format!("{}.{name}", at.join(".")));
                    let change = EditChange::Set { target: EditTarget::At(place), value: value.clone() };
                    after = changed(known_path, &after, &change)?;
                }
            }
        }
        if after == before {
            self.kept.push(known_path.clone());
        } else {
            self.write.insert(known_path.clone(), (after, true));
        }
        Ok(())
    }

    fn entity(&mut self, path: RepoPath, bytes: Bytes, files: &Files, settings: &Settings) {
        let id = entity_at(settings, &path);
        match files.keys().find(|known| entity_at(settings, known) == id) {
            Some(known) => self.kept.push(known.clone()),
            None => drop(self.write.insert(path, (bytes, false))),
        }
    }
}

/// What target repositories need of them.
fn left(ready: &[Ready], catalog: &RepoName) -> anyhow::Result<Vec<String>> {
    let owner = catalog.owner();
    let mut targets: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for one in ready {
        for (path, _) in one.files(owner)? {
            let target = path.strip_prefix("targets/").and_then(|rest| rest.split_once('/'));
            let Some((target, _)) = target else { continue };
            let names = targets.entry(target.to_owned()).or_default();
            if !names.contains(&one.name) {
                names.push(one.name);
            }
        }
    }
    let line = |(target, names): (String, Vec<&str>)| {
        format!(
            "In a clone of {owner}/{target}: `chandlery init . --repository {catalog} --target {owner}/{target} --with {}` \
             writes what they need there.",
            names.join(" ")
        )
    };
    Ok(targets.into_iter().map(line).collect())
}

/// The secrets that whoever carries requests out must have.
fn secrets_of(actions: &[Action]) -> BTreeSet<String> {
    let steps = actions.iter().flat_map(|action| &action.steps);
    steps
        .filter_map(|step| match &step.does {
            StepKind::Webhook(webhook) => {
                Some(webhook.secret.as_ref()?.as_str().strip_prefix("env:")?.to_owned())
            }
            _ => None,
        })
        .collect()
}

/// The settings with what these actions need.
fn settings_with(
    path: &RepoPath,
    old: &Bytes,
    settings: &Settings,
    actions: &[Action],
) -> anyhow::Result<Bytes> {
    let mut text = old.clone();
    let append = |key: &str, value: &str| EditChange::Append { list: place_of(key), value: value.into() };
    let mut repositories: Vec<&str> = Vec::new();
    let mut origins: Vec<String> = Vec::new();
    let mut runs_scripts = false;
    for step in actions.iter().flat_map(|action| &action.steps) {
        match &step.does {
            StepKind::PullRequest(pull) => repositories.push(&pull.repository),
            StepKind::Workflow(workflow) => repositories.push(&workflow.repository),
            StepKind::Webhook(webhook) => origins.extend(origin(&webhook.url)),
            StepKind::Script(_) => runs_scripts = true,
        }
    }
    for name in repositories {
        if name.parse().is_ok_and(|name: RepoName| !settings.repositories.contains_key(&name)) {
            text = changed(path, &text, &append("repositories", name))?;
        }
    }
    for origin in origins {
        if !settings.webhooks.contains(&origin) {
            text = changed(path, &text, &append("webhooks", &origin))?;
        }
    }
    if runs_scripts && settings.scripts_as.is_none() {
        let target = EditTarget::At(place_of("scripts"));
        let value = serde_json::json!({ "as": SCRIPTS_AS });
        text = changed(path, &text, &EditChange::Set { target, value })?;
    }
    Ok(text)
}

fn place_of(at: &str) -> DocumentPlace {
    DocumentPlace { at: at.to_owned(), document: 0 }
}

fn changed(path: &RepoPath, old: &Bytes, change: &EditChange) -> anyhow::Result<Bytes> {
    let new = edit::apply(path, Some(old), change).map_err(|problem| told(&[problem]))?;
    Ok(new.unwrap_or_default().into())
}

fn told(problems: &[Diagnostic]) -> anyhow::Error {
    anyhow::anyhow!("{}", catalog::report::text(problems, &|_| None).trim_end())
}
