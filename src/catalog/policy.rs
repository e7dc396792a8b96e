//! Which policies do these files hold, and do they fit the other definitions?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    BrokenPolicy, Definitions, Files,
    asked::Asked,
    cross::rule,
    document::{Reader, join, policy::PolicyDocument, read},
    load::{TESTS, check_file_name, documents_below, duplicate, unknown_blueprint},
    values::{Segment, Wrong, did_you_mean, trail},
    view, yaml,
};
use crate::domain::{
    Action, ActionId, BlueprintId, Bytes, Concerns, Counted, Diagnostic, Glob, Place, Policy, PolicyId,
    PropertyType, RepoName, RepoPath, Rule, TeamSlug,
};

/// The files that hold a policy: what is below `<policy>.tests/` is about it.
pub fn files<'a>(
    definitions: &'a Definitions,
    files: &'a Files,
) -> impl Iterator<Item = (&'a RepoPath, &'a Bytes)> + use<'a> {
    documents_below(files, &definitions.settings.folders.policies)
        .filter(|(path, _)| !path.as_str().contains(TESTS))
}

/// Reads every policy; notes those that cannot be used with everything else that they may concern.
pub(super) fn load(definitions: &mut Definitions, all: &Files) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut first: BTreeMap<PolicyId, RepoPath> = BTreeMap::new();
    let (mut usable, mut broken) = (BTreeMap::new(), Vec::new());
    for (path, bytes) in files(definitions, all) {
        let problems = match examine(path, bytes) {
            Err(problems) => problems,
            Ok((policy, mut reader)) => {
                check(definitions, &policy, &mut reader);
                if let Some(first) = first.get(&policy.identifier) {
                    let read = |path: &RepoPath| all.get(path).cloned();
                    reader.found.push(duplicate("policy", policy.identifier.as_str(), &read, first, path));
                } else {
                    first.insert(policy.identifier.clone(), path.clone());
                }
                if reader.found.is_empty() {
                    usable.insert(policy.identifier.clone(), policy);
                    continue;
                }
                reader.found
            }
        };
        broken.push(BrokenPolicy {
            path: path.clone(),
            concerns: concerns(path, bytes),
            problems: problems.clone(),
        });
        found.extend(problems);
    }
    definitions.policies = usable;
    definitions.broken_policies = broken;
    found
}

fn examine(path: &RepoPath, bytes: &[u8]) -> Result<(Policy, Reader), Vec<Diagnostic>> {
    let (document, mut reader) = read::<PolicyDocument>(path.as_str(), bytes)?;
    let Some(policy) = document.into_domain(&mut reader) else { return Err(reader.found) };
    check_file_name(policy.identifier.as_str(), path, &mut reader);
    Ok((policy, reader))
}

/// Which requests a broken policy concerns, if that much of it can be read.
fn concerns(path: &RepoPath, bytes: &[u8]) -> Option<Concerns> {
    let document = yaml::parse(path.as_str(), bytes).ok()?.value();
    let mut lists = [Vec::new(), Vec::new()];
    for (list, key) in lists.iter_mut().zip(["actions", "blueprints"]) {
        match document.as_object()?.get(key) {
            None => {}
            Some(value) => *list = serde_json::from_value::<Vec<String>>(value.clone()).ok()?,
        }
    }
    let [actions, blueprints] = lists;
    Some(Concerns {
        actions: actions.iter().map(|name| name.parse()).collect::<Result<_, _>>().ok()?,
        blueprints: blueprints.iter().map(|name| name.parse()).collect::<Result<_, _>>().ok()?,
    })
}

/// The teams that rules of policies name, with where.
pub(super) fn teams(definitions: &Definitions, all: &Files) -> Vec<(Place, PolicyId, TeamSlug)> {
    let mut found = Vec::new();
    for (path, bytes) in files(definitions, all) {
        let Ok((policy, reader)) = examine(path, bytes) else { continue };
        for (rules, path) in lists(&policy) {
            for (index, rule) in rules.iter().enumerate() {
                for (at, team) in rule.teams.iter().enumerate() {
                    let path = join(&join(&join(&path, index), "teams"), at);
                    found.push((reader.document.place(&path), policy.identifier.clone(), team.clone()));
                }
            }
        }
    }
    found
}

/// The rules of approval that a policy has, each list with where it lies.
fn lists(policy: &Policy) -> [(&[Rule], Vec<Segment>); 3] {
    let effects = &policy.effects;
    [
        (&effects.approval, trail!["requireApproval", "rules"].to_vec()),
        (
            effects.freeze.as_ref().map_or(&[], |freeze| &freeze.unless),
            trail!["freeze", "unless", "rules"].to_vec(),
        ),
        (
            effects.removals.as_ref().map_or(&[], |removals| &removals.unless),
            trail!["removals", "unless", "rules"].to_vec(),
        ),
    ]
}

/// Notes every rule that does not fit what it is asked of: each action that the policy names, and, where it names none or `when`
/// says which requests are meant, at least one of those that it may concern.
fn rules(definitions: &Definitions, policy: &Policy, reader: &mut Reader) {
    let touched = |action: &Action| {
        let changed = action.entities.iter().map(|change| change.blueprint.clone());
        changed.chain([action.blueprint.clone()]).collect::<Vec<_>>()
    };
    let all = definitions.actions.values().map(|defined| &defined.value);
    let concerned: Vec<&Action> =
        all.filter(|action| policy.concerns.covers(&action.identifier, touched(action).iter())).collect();
    let each =
        policy.when.is_none() && policy.concerns.blueprints.is_empty() && !policy.concerns.actions.is_empty();
    for (list, path) in lists(policy) {
        for (index, rule) in list.iter().enumerate() {
            let path = join(&path, index);
            let of = |action: &&Action| {
                (action.identifier.clone(), rule::misfits(definitions, action, rule, &path))
            };
            let misfits: Vec<_> = concerned.iter().map(of).collect();
            if !each && misfits.iter().any(|(_, wrong)| wrong.is_empty()) {
                continue;
            }
            let Some((id, wrong)) = misfits.into_iter().find(|(_, wrong)| !wrong.is_empty()) else {
                continue;
            };
            for mut one in wrong {
                one.message = format!("{}, when `{id}` is asked for", one.message);
                reader.wrong(one);
            }
        }
    }
}

/// Notes everything in which a policy does not fit the other definitions.
fn check(definitions: &Definitions, policy: &Policy, reader: &mut Reader) {
    let actions: BTreeSet<&ActionId> = definitions.actions.keys().chain(definitions.broken.keys()).collect();
    let listed = reader.mapping(&[]);
    let position = |key: &str, name: &str| {
        let list = listed.get(key).and_then(Value::as_array);
        list.and_then(|list| list.iter().position(|one| one == name)).unwrap_or_default()
    };
    for name in policy.concerns.actions.iter().filter(|name| !actions.contains(name)) {
        let path = trail!["actions", position("actions", name.as_str())];
        let message = format!("is `{name}`, which is not an action of this catalog");
        let known = actions.iter().map(|name| name.as_str());
        reader.wrong(Wrong::new("unknown-action", &path, message).did_you_mean(name.as_str(), known));
    }
    let known = definitions.known_blueprints();
    let blueprint = |name: &BlueprintId, path: &[Segment], reader: &mut Reader| {
        if !known.contains(name) {
            reader.wrong(unknown_blueprint(path, name, &known));
        }
    };
    for name in &policy.concerns.blueprints {
        blueprint(name, &trail!["blueprints", position("blueprints", name.as_str())], reader);
    }
    rules(definitions, policy, reader);
    let effects = &policy.effects;
    if let Some(Counted::Entities { blueprint: name, query, .. }) =
        effects.limit.as_ref().map(|limit| &limit.of)
    {
        blueprint(name, &trail!["limit", "blueprint"], reader);
        let of = definitions.blueprints.get(name);
        let query = query.as_ref().and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let (Some(of), Some(query)) = (of, query.and_then(|query| view::parse_query(&query).ok())) {
            let path = trail!["limit", "query"];
            let written = reader.mapping(&path).into();
            for wrong in Asked::among(definitions, of).misfits(&query, &written, &path) {
                reader.wrong(wrong);
            }
        }
    }
    if let Some(Counted::Requests { matching: true, .. }) = effects.limit.as_ref().map(|limit| &limit.of)
        && policy.when.is_none()
    {
        let path = trail!["limit", "matching"];
        let wrong = Wrong::new("misplaced-key", &path, "has no effect: the policy has no `when`");
        reader.wrong(wrong.about_key().help("say under `when` which requests count"));
    }
    if let Some(name) = effects.removals.as_ref().and_then(|removals| removals.of.as_ref()) {
        blueprint(name, &trail!["removals", "of"], reader);
    }
    if let Some(spent) = effects.cost.as_ref().and_then(|cost| cost.spent.as_ref()) {
        let path = trail!["cost", "spent", "blueprints"];
        for name in &spent.blueprints {
            blueprint(name, &path, reader);
        }
        let is_number = |of: &BlueprintId| {
            let of = definitions.blueprints.get(of);
            of.and_then(|of| of.property(&spent.property))
                .is_some_and(|found| found.kind == PropertyType::Number)
        };
        let named = spent.blueprints.iter().filter(|name| definitions.blueprints.contains_key(*name));
        let lacking: Vec<&BlueprintId> = named.filter(|name| !is_number(name)).collect();
        if !lacking.is_empty() || spent.blueprints.is_empty() && !definitions.blueprints.keys().any(is_number)
        {
            let of = lacking
                .first()
                .map_or_else(|| "any blueprint".to_owned(), |name| format!("the blueprint `{name}`"));
            let message = format!("is `{}`, which is not a number of {of}", spent.property);
            let wrong = Wrong::new("unknown-property", &trail!["cost", "spent", "property"], message);
            let known: BTreeSet<&str> = definitions
                .blueprints
                .values()
                .flat_map(|of| &of.properties)
                .filter(|(_, property)| property.kind == PropertyType::Number)
                .map(|(name, _)| name.as_str())
                .collect();
            reader.wrong(wrong.did_you_mean(&spent.property, known.iter().copied()));
        }
    }
    for (index, glob) in effects.repositories.iter().enumerate() {
        repository(definitions, glob, &trail!["repositories", "allow", index], reader);
    }
    for (index, paths) in effects.paths.iter().enumerate() {
        if let Some(glob) = &paths.repository {
            repository(definitions, glob, &trail!["paths", index, "repository"], reader);
        }
    }
}

/// A pattern that fits no repository that could ever be written to is a slip.
fn repository(definitions: &Definitions, glob: &Glob, path: &[Segment], reader: &mut Reader) {
    let settings = &definitions.settings;
    let known: BTreeSet<&RepoName> = settings.repositories.keys().chain(&settings.repository).collect();
    if known.iter().any(|name| glob.matches(name.as_str())) {
        return;
    }
    let message = format!("is `{glob}`, and no repository of the settings is called so");
    let mut wrong = Wrong::new("unknown-repository", path, message);
    wrong.help = did_you_mean(glob.as_str(), known.iter().map(|name| name.as_str()));
    let add = || format!("add it to `repositories` in `{}`", definitions.root.settings_path());
    wrong.help = wrong.help.or_else(|| Some(add()));
    reader.wrong(wrong);
}
