//! Do the definitions fit together?
//!
//! What a broken or missing definition would make wrong elsewhere is not told again.

pub(super) mod rule;
mod step;

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value};

use self::step::{Later, Secrets};
use super::{
    Definitions,
    asked::Asked,
    document::{Reader, action::change_path, is_template, join},
    load::unknown_blueprint,
    secret,
    values::{Segment, Wrong, check_value, trail},
};
use crate::domain::{
    Action, Blueprint, BlueprintId, ChangeKind, EntityChange, Format, Operation, Ownership, Property,
    RepoName, Scorecard, Step, StepKind, TemplateName,
};

/// Notes everything in which an action does not fit the other definitions.
pub(super) fn check_action(definitions: &Definitions, action: &Action, reader: &mut Reader) {
    if reader.document.value().pointer("/trigger/blueprintIdentifier").is_some() {
        blueprint(definitions, &action.blueprint, &trail!["trigger", "blueprintIdentifier"], reader);
    }
    for (name, input) in &action.inputs {
        let path = trail!["trigger", "userInputs", "properties", name.as_str()].to_vec();
        for (path, input) in [(path.clone(), Some(input)), (join(&path, "items"), input.items.as_deref())] {
            if let Some(target) = input.and_then(|input| input.blueprint.as_ref()) {
                blueprint(definitions, target, &join(&path, "blueprint"), reader);
            }
        }
    }
    let secrets = secret::inputs(action);
    for (index, step) in action.steps.iter().enumerate() {
        step::check_step(definitions, step, reader);
        let StepKind::PullRequest(pull) = &step.does else { continue };
        let written =
            definitions.templates.get(&pull.template).map(|template| secret::written(template, &secrets));
        for (name, file) in written.into_iter().flatten() {
            let message =
                format!("renders `{}`, which writes the secret `inputs.{name}` in `{file}`", pull.template);
            reader.wrong(secret_in_file(&trail!["steps", index, "pullRequest", "template"], message));
        }
    }
    for (index, change) in action.entities.iter().enumerate() {
        entity_change(definitions, change, &change_path(index, change), reader);
    }
    operation(action, reader);
    rule::check(definitions, action, reader);
    ttl(definitions, action, reader);
    super::form::check(definitions, action, reader);
    expressions(action, reader);
}

/// What Chandlery asks for itself must be askable: a timer of the blueprint, one action for it, nothing that must be filled in.
fn ttl(definitions: &Definitions, action: &Action, reader: &mut Reader) {
    let Some(ttl) = &action.ttl else { return };
    let path = trail!["ttl", "property"];
    if let Some(of) = definitions.blueprints.get(&action.blueprint) {
        match of.property(&ttl.property) {
            Some(property) if property.format == Some(Format::Timer) => {}
            Some(_) => {
                let message = format!("names `{}`, which is not of the format `timer`", ttl.property);
                reader.wrong(Wrong::new("ttl", &path, message).help("give the property `format: timer`"));
            }
            None => {
                let message = format!("names `{}`, which `{}` does not have", ttl.property, of.identifier);
                let known = of.properties.iter().map(|(name, _)| name.as_str());
                reader
                    .wrong(Wrong::new("unknown-property", &path, message).did_you_mean(&ttl.property, known));
            }
        }
    }
    let same = |other: &Action| {
        other.identifier != action.identifier
            && other.blueprint == action.blueprint
            && other.ttl.as_ref().is_some_and(|other| other.property == ttl.property)
    };
    if let Some(other) = definitions.actions.values().map(|other| &other.value).find(|other| same(other)) {
        let message = format!("is said by `{}` of the same property, too", other.identifier);
        reader.wrong(Wrong::new("ttl", &trail!["ttl"], message).help("keep one of the two"));
    }
    for name in &action.required {
        let has_default = action.input(name).is_some_and(|input| input.default.is_some())
            || action
                .form
                .inputs
                .get(name)
                .is_some_and(|behaviour| behaviour.computed.contains_key("default"));
        if !has_default {
            let message =
                format!("cannot be asked for: `{name}` must be filled in, and nobody is there to do so");
            reader.wrong(Wrong::new("ttl", &trail!["ttl"], message).help("give the input a default"));
        }
    }
}

/// Notes everything in which a scorecard does not fit the blueprints.
pub(super) fn check_scorecard(definitions: &Definitions, scorecard: &Scorecard, reader: &mut Reader) {
    let Some(of) = blueprint(definitions, &scorecard.blueprint, &trail!["blueprint"], reader) else { return };
    let rules = scorecard.rules.iter().enumerate();
    let queries = rules.map(|(index, rule)| (trail!["rules", index, "query"].to_vec(), &rule.query));
    let filter = scorecard.filter.iter().map(|query| (trail!["filter"].to_vec(), query));
    for (path, query) in filter.chain(queries) {
        let written = reader.mapping(&path).into();
        for wrong in Asked::among(definitions, of).misfits(query, &written, &path) {
            reader.wrong(wrong);
        }
    }
}

/// Whether something that it needs is there and cannot be used.
pub(super) fn rests_on_unusable(definitions: &Definitions, action: &Action) -> bool {
    let changed = action.entities.iter().map(|change| &change.blueprint);
    let chosen = action.inputs.iter().flat_map(|(_, input)| {
        input.blueprint.iter().chain(input.items.as_ref().and_then(|items| items.blueprint.as_ref()))
    });
    let unusable = &definitions.unusable;
    [&action.blueprint]
        .into_iter()
        .chain(changed)
        .chain(chosen)
        .any(|name| unusable.blueprints.contains(name))
        || action
            .steps
            .iter()
            .filter_map(Step::pull_request)
            .any(|pull| unusable.templates.contains(&pull.template))
}

/// Looks a blueprint up; says so if nobody defined it.
fn blueprint<'a>(
    definitions: &'a Definitions,
    name: &BlueprintId,
    path: &[Segment],
    reader: &mut Reader,
) -> Option<&'a Blueprint> {
    let found = definitions.blueprints.get(name);
    if found.is_none() && !definitions.unusable.blueprints.contains(name) {
        let known: BTreeSet<&BlueprintId> = definitions.blueprints.keys().collect();
        reader.wrong(unknown_blueprint(path, name, &known));
    }
    found
}

/// Files, titles and entities are read by everybody who can read a repository.
fn secret_in_file(path: &[Segment], message: String) -> Wrong {
    Wrong::new("secret-in-file", path, message)
        .help("leave it out: whoever needs the secret is told where it is, and fetches it there")
}

fn template(definitions: &Definitions, name: &TemplateName, path: &[Segment], reader: &mut Reader) {
    if definitions.templates.contains_key(name) || definitions.unusable.templates.contains(name) {
        return;
    }
    let folder = &definitions.settings.folders.templates;
    let message = format!("names the template `{name}`, and there is no folder `{folder}/{name}`");
    let known = definitions.templates.keys().map(TemplateName::as_str);
    reader.wrong(Wrong::new("unknown-template", path, message).did_you_mean(name.as_str(), known));
}

fn repository(definitions: &Definitions, name: &str, path: &[Segment], reader: &mut Reader) {
    let known = &definitions.settings.repositories;
    let is_name = name.parse::<RepoName>().is_ok();
    if !is_name || known.keys().any(|known| known.as_str() == name) {
        return;
    }
    let message = format!("is `{name}`, which is not among the `repositories` of the settings");
    let wrong = Wrong::new("unknown-repository", path, message);
    let near = crate::domain::nearest(name, known.keys().map(RepoName::as_str));
    reader.wrong(match near {
        Some(near) => wrong.help(format!("did you mean `{near}`?")),
        None => wrong.help(format!("add it to `repositories` in `{}`", definitions.root.settings_path())),
    });
}

/// CREATE creates, DAY-2 updates and DELETE deletes an entity of the action's blueprint.
fn operation(action: &Action, reader: &mut Reader) {
    let fits = |change: &EntityChange| {
        action.operation.is_done_by(change.kind) && change.blueprint == action.blueprint
    };
    let unread = reader.found.iter().any(|found| found.code.0 == "one-change");
    if unread || action.entities.iter().any(fits) {
        return;
    }
    let word = match action.operation {
        Operation::Create => "create",
        Operation::Day2 => "update",
        Operation::Delete => "delete",
    };
    let message = format!(
        "is {}, and no `{word}` of a `{}` is among `entities`",
        action.operation.name(),
        action.blueprint
    );
    let identifier = match action.operation {
        Operation::Create => "{{ inputs.name }}",
        Operation::Day2 | Operation::Delete => "{{ entity.identifier }}",
    };
    let help = format!(
        "add to `entities`: `- {word}: {{ blueprint: {}, identifier: \"{identifier}\" }}`",
        action.blueprint
    );
    reader.wrong(Wrong::new("operation-without-change", &trail!["trigger", "operation"], message).help(help));
}

fn entity_change(definitions: &Definitions, change: &EntityChange, path: &[Segment], reader: &mut Reader) {
    let Some(blueprint) = blueprint(definitions, &change.blueprint, &join(path, "blueprint"), reader) else {
        return;
    };
    let fields = &change.fields;
    let part = |name: &str| fields.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
    let (properties, relations) = (part("properties"), part("relations"));
    for (name, value) in &properties {
        let path = join(&join(path, "properties"), name.as_str());
        match blueprint.property(name) {
            None => reader.wrong(unknown_property(blueprint, name, &path)),
            Some(property) => literal(property, value, &path, reader),
        }
    }
    if fields.get("team").is_some_and(|team| !team.is_null())
        && let Some(wrong) = team_without_effect(blueprint, &join(path, "team"))
    {
        reader.wrong(wrong);
    }
    for name in relations.keys().filter(|name| !blueprint.relations.contains_key(*name)) {
        reader.wrong(unknown_relation(blueprint, name, &join(&join(path, "relations"), name.as_str())));
    }
    if change.kind == ChangeKind::Create {
        required(blueprint, &properties, &relations, path, reader);
    }
}

/// A property that the blueprint does not have.
pub(super) fn unknown_property(blueprint: &Blueprint, name: &str, path: &[Segment]) -> Wrong {
    if super::derived::has(blueprint, name) {
        let message =
            format!("is computed, as the blueprint `{}` says, and is never written", blueprint.identifier);
        return Wrong::new("unknown-property", path, message).about_key().help("remove it");
    }
    let known = blueprint.properties.iter().map(|(name, _)| name.as_str());
    Wrong::new(
        "unknown-property",
        path,
        format!("is not a property of the blueprint `{}`", blueprint.identifier),
    )
    .about_key()
    .did_you_mean(name, known)
}

/// A team that nobody looks at, as another entity's counts.
pub(super) fn team_without_effect(blueprint: &Blueprint, path: &[Segment]) -> Option<Wrong> {
    let Some(Ownership::Inherited { path: way }) = &blueprint.ownership else { return None };
    let message = format!("has no effect: who owns a `{}` is found along `{way}`", blueprint.identifier);
    let wrong = Wrong::new("misplaced-key", path, message).about_key();
    Some(wrong.help("remove it, or give the blueprint `ownership: { type: Direct }`"))
}

/// A relation that the blueprint does not have.
pub(super) fn unknown_relation(blueprint: &Blueprint, name: &str, path: &[Segment]) -> Wrong {
    let known = blueprint.relations.keys().map(String::as_str);
    Wrong::new(
        "unknown-relation",
        path,
        format!("is not a relation of the blueprint `{}`", blueprint.identifier),
    )
    .about_key()
    .did_you_mean(name, known)
}

/// Judges what is already known before anything is rendered.
fn literal(property: &Property, value: &Value, path: &[Segment], reader: &mut Reader) {
    if !value.is_null() && !has_template(value) {
        for wrong in check_value(property, value) {
            reader.wrong(wrong.below(path));
        }
    }
}

fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => is_template(text),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(entries) => entries.iter().any(|(key, value)| is_template(key) || has_template(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn required(
    blueprint: &Blueprint,
    properties: &Map<String, Value>,
    relations: &Map<String, Value>,
    path: &[Segment],
    reader: &mut Reader,
) {
    for name in &blueprint.required {
        let has_default = blueprint.property(name).is_some_and(|property| property.default.is_some());
        if !properties.contains_key(name) && !has_default {
            let path = join(&join(path, "properties"), name.as_str());
            let message = format!("is missing, and the blueprint `{}` requires it", blueprint.identifier);
            reader.wrong(Wrong::new("missing-key", &path, message).help(format!("add `{name}`")));
        }
    }
    for (name, relation) in &blueprint.relations {
        if relation.required && !relations.contains_key(name) {
            let path = join(&join(path, "relations"), name.as_str());
            let message = format!("is missing, and the blueprint `{}` requires it", blueprint.identifier);
            reader.wrong(Wrong::new("missing-key", &path, message).help(format!("add `{name}`")));
        }
    }
}

/// Reads every text of an action that is a template: is it one, and are its names known?
fn expressions(action: &Action, reader: &mut Reader) {
    let written = written_inputs(reader);
    let names = Names::of(action, &written);
    step::expressions(action, &names, reader);
    let later = Later {
        before: action.steps.iter().map(|step| step.id.as_str()).collect(),
        secrets: Secrets::Refused,
    };
    let with_item = Names::of(action, &written).with_item();
    for (index, change) in action.entities.iter().enumerate() {
        let path = change_path(index, change);
        if let Some(list) = &change.for_each {
            let text = if is_template(list) { list.clone() } else { format!("{{{{ {list} }}}}") };
            names.check(&text, &trail!["entities", index, "forEach"], reader);
        }
        let names = if change.for_each.is_some() { &with_item } else { &names };
        names.check(&change.identifier, &join(&path, "identifier"), reader);
        for (name, value) in &change.fields {
            let path = join(&path, name.as_str());
            match name.as_str() {
                "title" | "properties" => later.check(names, value, &path, reader),
                _ => names.check_all(value, &path, reader),
            }
        }
    }
}

/// The names of the inputs that stand in an action's file, good or not.
fn written_inputs(reader: &Reader) -> BTreeSet<String> {
    let document = reader.document.value();
    let inputs = document.pointer("/trigger/userInputs/properties").and_then(Value::as_object);
    inputs.into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// What a template of an action may speak of.
struct Names<'a> {
    environment: Environment<'static>,
    known: BTreeMap<&'static str, Option<Vec<&'a str>>>,
    secrets: BTreeSet<&'a str>,
}

impl<'a> Names<'a> {
    /// `written` are the inputs as written: what is wrong with one is said where it is, not wherever it is used.
    fn of(action: &'a Action, written: &'a BTreeSet<String>) -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let inputs = written.iter().map(String::as_str).collect();
        let is_entity = |(name, input): &'a (String, Property)| {
            let format = input.items.as_ref().map_or(input.format, |items| items.format);
            (format == Some(Format::Entity)).then_some(name.as_str())
        };
        let mut known = BTreeMap::from([
            ("inputs", Some(inputs)),
            ("entities", Some(action.inputs.iter().filter_map(is_entity).collect())),
            ("request", Some(vec!["id", "requester"])),
            ("action", Some(vec!["identifier", "title"])),
        ]);
        if action.operation != Operation::Create {
            let fields = vec!["identifier", "title", "blueprint", "team", "properties", "relations"];
            known.insert("entity", Some(fields));
        }
        for global in environment.globals().map(|(name, _)| name) {
            if let Some(name) = ["range", "dict", "namespace"].into_iter().find(|known| *known == global) {
                known.insert(name, None);
            }
        }
        Self { environment, known, secrets: secret::inputs(action) }
    }

    /// The same where something is done for each `item` of a list.
    fn with_item(mut self) -> Self {
        self.known.insert("item", None);
        self
    }

    /// Whether an input says where a secret is.
    fn is_secret(&self, input: &str) -> bool {
        self.secrets.contains(input)
    }

    fn check_all(&self, value: &Value, path: &[Segment], reader: &mut Reader) {
        match value {
            Value::String(text) => self.check(text, path, reader),
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, item)| self.check_all(item, &join(path, index), reader));
            }
            Value::Object(entries) => {
                entries
                    .iter()
                    .for_each(|(key, value)| self.check_all(value, &join(path, key.as_str()), reader));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn check(&self, text: &str, path: &[Segment], reader: &mut Reader) {
        if !is_template(text) {
            return;
        }
        let template = match self.environment.template_from_str(text) {
            Ok(template) => template,
            Err(error) => {
                let why = error.detail().unwrap_or("it cannot be read").to_owned();
                let wrong = Wrong::new("invalid-template", path, format!("is not a template: {why}"));
                return reader.wrong(wrong.help("expressions are written `{{ inputs.name }}`"));
            }
        };
        for name in
            secret::named_in(&template, text).iter().filter(|name| self.secrets.contains(name.as_str()))
        {
            let message = format!("writes the secret `inputs.{name}` where everybody reads it");
            reader.wrong(secret_in_file(path, message));
        }
        let used: BTreeSet<String> = template.undeclared_variables(true).into_iter().collect();
        for name in used {
            let mut parts = name.split('.');
            let (first, second) = (parts.next().unwrap_or(""), parts.next());
            match (self.known.get(first), second) {
                (None, _) if first == "entity" => {
                    let wrong =
                        Wrong::new("unknown-name", path, "speaks of `entity`, and a CREATE has none yet");
                    reader.wrong(wrong.help("use `inputs`"));
                }
                (None, _) if let Some(wrong) = step::out_of_place(first, text, path) => reader.wrong(wrong),
                (None, _) => {
                    let wrong =
                        Wrong::new("unknown-name", path, format!("speaks of `{first}`, which is not known"));
                    reader.wrong(wrong.did_you_mean(first, self.known.keys().copied()));
                }
                (Some(_), Some("mergedAt")) if first == "request" => {
                    reader.wrong(step::not_merged_yet(text, path));
                }
                (Some(Some(fields)), Some(field)) if !fields.contains(&field) => {
                    let message = format!("speaks of `{first}.{field}`, which is not known");
                    let wrong = Wrong::new("unknown-name", path, message);
                    reader.wrong(wrong.did_you_mean(field, fields.iter().copied()));
                }
                _ => {}
            }
        }
    }
}
