//! Is this whole catalog sound?
//!
//! Looks at everything in one go: settings, definitions, entities, what they point at, and the
//! requests that are still open.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use super::{
    Definitions, Editors, Files, Root,
    declared::Declarations,
    document::join,
    entity::{Stored, each_reference, entity_at, examine, examine_form, references, store_entity},
    load::{
        actions_below, documents_below, duplicate, examine_action, identified, load_definitions,
        load_settings,
    },
    mend, request, secret, template,
    values::{Segment, Wrong, did_you_mean, trail},
};
use crate::domain::{
    Action, Approval, BlueprintId, Bytes, Code, Diagnostic, Entity, EntityId, Execute, Identifier, Operation,
    Place, RepoPath, RequestFile, RequestId, TeamSlug, counted,
};

/// How much was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Counts {
    /// Blueprint files.
    pub blueprints: usize,
    /// Entity files.
    pub entities: usize,
    /// Action files.
    pub actions: usize,
    /// Template folders.
    pub templates: usize,
    /// Request files.
    pub requests: usize,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Report {
    /// Everything, by file and place.
    pub diagnostics: Vec<Diagnostic>,
    /// How much was looked at.
    pub counts: Counts,
}

/// Looks at everything and never stops at the first mistake.
pub fn check_all(root: &Root, files: &Files) -> Report {
    let settings = match load_settings(root, files.get(&root.settings_path())) {
        Ok(settings) => settings,
        Err(diagnostics) => return Report { diagnostics: in_order(diagnostics), counts: Counts::default() },
    };
    let (definitions, mut diagnostics) = load_definitions(root, settings, files);
    let folders = &definitions.settings.folders;
    let known = Named::new(&definitions, files);
    let checked = Checked::new(&definitions, files, &known);
    let mut counts = Counts::of_definitions(&definitions, files);
    for (path, bytes) in documents_below(files, &folders.entities) {
        counts.entities += 1;
        diagnostics.extend(checked.entity_file(path, bytes));
    }
    let of_blueprint = known.paths.iter().map(|(name, paths)| (name, paths.values().map(Vec::len).sum()));
    diagnostics.extend(checked.without_blueprint(of_blueprint));
    diagnostics.extend(checked.teams());
    for (path, bytes) in requests(&definitions, files) {
        counts.requests += 1;
        diagnostics.extend(checked.request_file(path, bytes));
    }
    Report { diagnostics: in_order(diagnostics), counts }
}

impl Counts {
    /// How many definitions these files hold.
    pub fn of_definitions(definitions: &Definitions, files: &Files) -> Self {
        let folders = &definitions.settings.folders;
        Self {
            blueprints: documents_below(files, &folders.blueprints).count(),
            actions: actions_below(files, &folders.actions).count(),
            templates: template::folders(&folders.templates, files).len(),
            entities: 0,
            requests: 0,
        }
    }
}

/// By file and place, each once.
pub fn in_order(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    diagnostics.sort_by(|a, b| {
        (&a.place, a.severity, a.code, &a.message).cmp(&(&b.place, b.severity, b.code, &b.message))
    });
    diagnostics.dedup();
    mend::drop_rivals(&mut diagnostics);
    diagnostics
}

/// What is wrong after a change that was not before it, wherever in its file it stood.
pub fn newly(before: &[Diagnostic], after: &[Diagnostic]) -> Vec<Diagnostic> {
    fn key(one: &Diagnostic) -> (&str, Code, &str) {
        (&one.place.source, one.code, &one.message)
    }
    let mut known: HashMap<_, usize> = HashMap::new();
    for one in before {
        *known.entry(key(one)).or_default() += 1;
    }
    let mut new = Vec::new();
    for one in after {
        match known.get_mut(&key(one)).filter(|left| **left > 0) {
            Some(left) => *left -= 1,
            None => new.push(one.clone()),
        }
    }
    new
}

/// Which entities there are, going by the paths of their files: one with mistakes is still there to point at.
pub trait Known {
    /// Whether there is such an entity.
    fn has(&self, id: &EntityId) -> bool {
        self.first(id).is_some()
    }

    /// The first of the files that hold it, by path.
    fn first(&self, id: &EntityId) -> Option<RepoPath>;

    /// The identifiers of a blueprint's entities, in order.
    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier>;

    /// The identifiers of its blueprint that differ from its own in nothing but case, itself among them, in order.
    fn alike(&self, id: &EntityId) -> Vec<Identifier>;

    /// The bytes of a file of an entity.
    fn read(&self, path: &RepoPath) -> Option<Bytes>;
}

fn help(known: &dyn Known, id: &EntityId) -> Option<String> {
    let known = known.identifiers(&id.blueprint);
    did_you_mean(id.identifier.as_str(), known.iter().map(Identifier::as_str))
}

/// What is known of files in memory.
struct Named<'a> {
    files: &'a Files,
    paths: BTreeMap<BlueprintId, BTreeMap<Identifier, Vec<RepoPath>>>,
    /// Identifiers by their blueprint and how they are in lower case.
    alike: BTreeMap<(BlueprintId, String), BTreeSet<Identifier>>,
}

impl<'a> Named<'a> {
    fn new(definitions: &Definitions, files: &'a Files) -> Self {
        let mut paths: BTreeMap<BlueprintId, BTreeMap<Identifier, Vec<RepoPath>>> = BTreeMap::new();
        let mut alike: BTreeMap<(BlueprintId, String), BTreeSet<Identifier>> = BTreeMap::new();
        for (path, _) in documents_below(files, &definitions.settings.folders.entities) {
            if let Some(EntityId { blueprint, identifier }) = entity_at(&definitions.settings, path) {
                let folded = (blueprint.clone(), identifier.as_str().to_lowercase());
                alike.entry(folded).or_default().insert(identifier.clone());
                paths.entry(blueprint).or_default().entry(identifier).or_default().push(path.clone());
            }
        }
        Self { files, paths, alike }
    }
}

impl Known for Named<'_> {
    fn first(&self, id: &EntityId) -> Option<RepoPath> {
        self.paths.get(&id.blueprint)?.get(&id.identifier)?.first().cloned()
    }

    fn identifiers(&self, blueprint: &BlueprintId) -> Vec<Identifier> {
        self.paths.get(blueprint).into_iter().flat_map(BTreeMap::keys).cloned().collect()
    }

    fn alike(&self, id: &EntityId) -> Vec<Identifier> {
        let folded = (id.blueprint.clone(), id.identifier.as_str().to_lowercase());
        self.alike.get(&folded).into_iter().flatten().cloned().collect()
    }

    fn read(&self, path: &RepoPath) -> Option<Bytes> {
        self.files.get(path).cloned()
    }
}

/// What single files are held against: the definitions, and the entities that there are.
pub struct Checked<'a> {
    definitions: &'a Definitions,
    /// The files of the definitions.
    files: &'a Files,
    declared: Declarations<'a>,
    /// What could have been meant by what is not there: of one target many speak, and it is looked for among thousands.
    meant: RefCell<HashMap<EntityId, Option<String>>>,
    identifiers: RefCell<HashMap<BlueprintId, Rc<[Identifier]>>>,
    known: &'a dyn Known,
}

impl<'a> Checked<'a> {
    /// Of `files` only those of the definitions are looked at.
    pub fn new(definitions: &'a Definitions, files: &'a Files, known: &'a dyn Known) -> Self {
        let declared = Declarations::new(definitions, files);
        let (meant, identifiers) = (RefCell::default(), RefCell::default());
        Self { definitions, files, declared, meant, identifiers, known }
    }

    fn help(&self, id: &EntityId) -> Option<String> {
        if let Some(help) = self.meant.borrow().get(id) {
            return help.clone();
        }
        let mut identifiers = self.identifiers.borrow_mut();
        let known = identifiers
            .entry(id.blueprint.clone())
            .or_insert_with(|| self.known.identifiers(&id.blueprint).into());
        let help = did_you_mean(id.identifier.as_str(), known.iter().map(Identifier::as_str));
        self.meant.borrow_mut().insert(id.clone(), help.clone());
        help
    }

    /// Everything that is wrong with the file of an entity, seen among the others.
    pub fn entity_file(&self, path: &RepoPath, bytes: &[u8]) -> Vec<Diagnostic> {
        let Self { definitions, known, .. } = self;
        let Some(id) = entity_at(&definitions.settings, path) else {
            return vec![unplaced(definitions, path)];
        };
        let mut found = Vec::new();
        match known.first(&id).filter(|first| first != path) {
            Some(first) => {
                found.push(duplicate("entity", &id.to_string(), &|path| known.read(path), &first, path));
            }
            None => {
                let others = known.alike(&id).into_iter().filter(|other| *other < id.identifier);
                found.extend(others.last().map(|identifier| {
                    let other = EntityId { identifier, blueprint: id.blueprint.clone() };
                    collision(&id, &other, path, *known)
                }));
            }
        }
        if !definitions.blueprints.contains_key(&id.blueprint) {
            found.extend(match examine_form(path, bytes, definitions) {
                Ok((_, reader)) => reader.found,
                Err(wrong) => wrong,
            });
            return found;
        }
        // Nearly all are sound, and that is found out sooner than what is wrong.
        let Stored { entity, sound } = store_entity(path, bytes, definitions);
        if entity.is_some_and(|entity| sound && !self.dangles(&entity)) {
            return found;
        }
        match examine(path, bytes, definitions) {
            Ok((entity, reader)) => {
                let explained = |wrong| self.declared.explain(wrong, &entity.blueprint);
                found.extend(reader.found.into_iter().map(explained));
                for (at, target) in references(definitions, &entity) {
                    if definitions.blueprints.contains_key(&target.blueprint) && !known.has(&target) {
                        found.push(explained(dangle(
                            &id,
                            reader.document.place(&at),
                            &target,
                            self.help(&target),
                        )));
                    }
                }
            }
            Err(wrong) => found.extend(wrong),
        }
        found
    }

    /// Whether it points at anything that is not there.
    fn dangles(&self, entity: &Entity) -> bool {
        let mut found = false;
        each_reference(self.definitions, entity, &mut |_, _, blueprint, name| {
            let is_there = || {
                let identifier = name.parse().ok()?;
                Some(self.known.has(&EntityId { blueprint: blueprint.clone(), identifier }))
            };
            found |= self.definitions.blueprints.contains_key(blueprint) && is_there() == Some(false);
        });
        found
    }

    /// Everything that is wrong with the file of an open request, as far as it can be said without planning it.
    pub fn request_file(&self, path: &RepoPath, bytes: &[u8]) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let below = path.under(&self.definitions.settings.folders.requests);
        let id = below.and_then(|below| below.strip_suffix("/request.yaml")).unwrap_or_default();
        if let Err(error) = id.parse::<RequestId>() {
            let message = format!("`{id}` is not {}", error.what);
            let wrong = Diagnostic::error("invalid-name", Place::file(path.as_str()), message);
            found.push(wrong.help(error.rule));
        }
        match request::examine(path, bytes) {
            Ok((request, mut reader)) => {
                for wrong in against_action(self.definitions, self.known, &request) {
                    reader.wrong(wrong);
                }
                found.extend(reader.found);
            }
            Err(wrong) => found.extend(wrong),
        }
        found
    }

    /// What the settings say of writing entities by hand is of blueprints and teams that are there.
    fn by_hand(&self) -> Vec<Diagnostic> {
        let Self { definitions: Definitions { settings, blueprints, unusable, root, .. }, known, .. } = self;
        let mut found = Vec::new();
        for (blueprint, by_hand) in &settings.entities {
            let mut place = Place::file(root.settings_path().as_str());
            place.field = Some(format!("entities.{blueprint}"));
            if !blueprints.contains_key(blueprint) && !unusable.blueprints.contains(blueprint) {
                let message = format!("`{blueprint}` is not a blueprint of this catalog");
                let mut wrong = Diagnostic::error("unknown-blueprint", place.clone(), message);
                wrong.help = did_you_mean(blueprint.as_str(), blueprints.keys().map(BlueprintId::as_str));
                found.push(wrong);
            }
            for editors in [&by_hand.create, &by_hand.change, &by_hand.delete] {
                let Editors::Named { teams, .. } = editors else { continue };
                for team in teams {
                    let (Ok(of_teams), Ok(identifier)) = ("_team".parse(), team.as_str().parse()) else {
                        continue;
                    };
                    let id = EntityId { blueprint: of_teams, identifier };
                    if !known.has(&id) {
                        let message = format!("names the team `{team}`, which is not in the catalog");
                        let mut wrong = Diagnostic::error("unknown-team", place.clone(), message);
                        wrong.help = self.help(&id);
                        found.push(wrong);
                    }
                }
            }
        }
        found
    }

    /// The teams that actions, policies and settings name must be there: nobody can be found in a team that is not.
    pub fn teams(&self) -> Vec<Diagnostic> {
        let mut found = self.by_hand();
        for (path, bytes) in actions_below(self.files, &self.definitions.settings.folders.actions) {
            let Ok((action, reader)) = examine_action(path, bytes) else { continue };
            for (at, team) in teams_of(&action) {
                let (Ok(blueprint), Ok(identifier)) = ("_team".parse(), team.as_str().parse()) else {
                    continue;
                };
                let id = EntityId { blueprint, identifier };
                if self.known.has(&id) {
                    continue;
                }
                let message =
                    format!("`{}` names the team `{team}`, which is not in the catalog", action.identifier);
                let mut diagnostic = Diagnostic::error("unknown-team", reader.document.place(&at), message);
                diagnostic.help = self.help(&id);
                found.push(diagnostic);
            }
        }
        for (place, policy, team) in super::policy::teams(self.definitions, self.files) {
            let (Ok(blueprint), Ok(identifier)) = ("_team".parse(), team.as_str().parse()) else { continue };
            let id = EntityId { blueprint, identifier };
            if !self.known.has(&id) {
                let message = format!("`{policy}` names the team `{team}`, which is not in the catalog");
                let mut diagnostic = Diagnostic::error("unknown-team", place, message);
                diagnostic.help = self.help(&id);
                found.push(diagnostic);
            }
        }
        found
    }

    /// Entities of blueprints that are not there, each of which is told once, by how many entities each has.
    pub fn without_blueprint<'b>(
        &self,
        of_blueprint: impl IntoIterator<Item = (&'b BlueprintId, usize)>,
    ) -> Vec<Diagnostic> {
        let Definitions { blueprints, unusable, settings, .. } = self.definitions;
        let folder = &settings.folders.entities;
        let mut found = Vec::new();
        for (name, count) in of_blueprint {
            if count == 0 || blueprints.contains_key(name) || unusable.blueprints.contains(name) {
                continue;
            }
            let message = format!(
                "`{folder}/{name}` holds {} of a blueprint that is not defined",
                counted(count, "entity", "entities")
            );
            let mut diagnostic =
                Diagnostic::error("unknown-blueprint", Place::file(format!("{folder}/{name}")), message);
            diagnostic.help = did_you_mean(name.as_str(), blueprints.keys().map(BlueprintId::as_str));
            found.push(diagnostic);
        }
        found
    }
}

fn unplaced(definitions: &Definitions, path: &RepoPath) -> Diagnostic {
    let folder = &definitions.settings.folders.entities;
    let message = format!("`{path}` does not lie where an entity lies");
    Diagnostic::error("wrong-folder", Place::file(path.as_str()), message)
        .help(format!("an entity is `{folder}/<blueprint>/<identifier>.yaml`"))
}

/// Where the file system takes no notice of case, the files of the two are one.
fn collision(id: &EntityId, other: &EntityId, path: &RepoPath, known: &dyn Known) -> Diagnostic {
    let message = format!("`{}` and `{}` differ in nothing but case", id.identifier, other.identifier);
    let place = |path: &RepoPath| identified(path, &|path| known.read(path));
    let mut wrong = Diagnostic::error("case-collision", place(path), message);
    if let Some(first) = known.first(other) {
        wrong = wrong.related(place(&first), "the other is here");
    }
    wrong.help("rename one of the two: on some systems their files would be the same")
}

/// An entity points at something that is not there.
fn dangle(id: &EntityId, place: Place, target: &EntityId, help: Option<String>) -> Diagnostic {
    let (code, message) = match target.blueprint.as_str() {
        "_user" => (
            "unknown-user",
            format!("`{id}` names the user `{}`, who is not in the catalog", target.identifier),
        ),
        "_team" => (
            "unknown-team",
            format!("`{id}` names the team `{}`, which is not in the catalog", target.identifier),
        ),
        _ => ("unknown-relation-target", format!("`{id}` points at `{target}`, which is not in the catalog")),
    };
    let mut diagnostic = Diagnostic::error(code, place, message)
        .label(format!("no `{}` has this identifier", target.blueprint));
    diagnostic.help = help;
    diagnostic
}

fn teams_of(action: &Action) -> Vec<(Vec<Segment>, &TeamSlug)> {
    fn listed<'a>(path: &[Segment], teams: &'a [TeamSlug]) -> Vec<(Vec<Segment>, &'a TeamSlug)> {
        teams.iter().enumerate().map(|(index, team)| (join(path, index), team)).collect()
    }
    let mut found = Vec::new();
    if let Execute::Named(askers) = &action.execute {
        found.extend(listed(&trail!["execute", "teams"], &askers.teams));
        let others = askers.on_behalf.iter().flat_map(|people| &people.teams).collect::<Vec<_>>();
        let path = trail!["execute", "onBehalf", "teams"];
        found.extend(others.into_iter().enumerate().map(|(index, team)| (join(&path, index), team)));
    }
    if let Approval::Rules(rules) = &action.approval {
        for (rule, one) in rules.iter().enumerate() {
            found.extend(listed(&trail!["approval", "rules", rule, "teams"], &one.teams));
        }
    }
    found
}

/// The requests that are not over; what was recorded is history and may speak of what is gone.
fn requests<'a>(
    definitions: &'a Definitions,
    files: &'a Files,
) -> impl Iterator<Item = (&'a RepoPath, &'a Bytes)> {
    let folder = &definitions.settings.folders.requests;
    files.iter().filter(move |(path, _)| {
        let id = path.under(folder).and_then(|below| below.strip_suffix("/request.yaml"));
        let record = id.and_then(|id| folder.join(&format!("{id}/run.yaml")).ok());
        record.is_some_and(|record| !files.contains_key(&record))
    })
}

/// What can be said about a request without planning it.
fn against_action(definitions: &Definitions, known: &dyn Known, request: &RequestFile) -> Vec<Wrong> {
    let action = definitions.actions.get(&request.action).map(|defined| &defined.value);
    let mut found = secret::leaks(action, &definitions.settings.secrets, request);
    let Some(action) = action else {
        if !definitions.broken.contains_key(&request.action) {
            let message = format!("is `{}`, which is not an action of this catalog", request.action);
            let actions: BTreeSet<&str> = definitions
                .actions
                .keys()
                .chain(definitions.broken.keys())
                .map(|name| name.as_str())
                .collect();
            let wrong = Wrong::new("unknown-action", &trail!["action"], message);
            found.push(wrong.did_you_mean(request.action.as_str(), actions));
        }
        return found;
    };
    for name in request.inputs.keys().filter(|name| action.input(name).is_none()) {
        let message = format!("is not an input of `{}`", action.identifier);
        let wrong = Wrong::new("unknown-input", &trail!["inputs", name.as_str()], message).about_key();
        found.push(wrong.did_you_mean(name, action.inputs.iter().map(|(name, _)| name.as_str())));
    }
    match (action.operation, &request.entity) {
        (Operation::Create, Some(_)) => {
            let wrong =
                Wrong::new("misplaced-key", &trail!["entity"], "has no place here: the action creates one");
            found.push(wrong.about_key().help("remove it"));
        }
        (Operation::Day2 | Operation::Delete, None) => {
            let wrong = Wrong::new("missing-key", &trail!["entity"], "is missing");
            found.push(wrong.help(format!("name the `{}` that the request is about", action.blueprint)));
        }
        (Operation::Day2 | Operation::Delete, Some(entity)) => {
            let id = EntityId { blueprint: action.blueprint.clone(), identifier: entity.clone() };
            if !known.has(&id) {
                let message = format!("is `{entity}`, and no `{}` has this identifier", action.blueprint);
                let mut wrong = Wrong::new("unknown-entity", &trail!["entity"], message);
                wrong.help = help(known, &id);
                found.push(wrong);
            }
        }
        (Operation::Create, None) => {}
    }
    found
}
