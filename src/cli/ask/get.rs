//! `chandlery get`: everything about one entity.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    Asked, Meant,
    past::{Kind, changes},
    print::{As, Table, words},
};
use crate::{
    catalog::{
        Definitions,
        view::{View, parse_query},
    },
    cli::{config::ForgeSettings, output},
    domain::{Action, Blueprint, Entity, EntityId, Operation},
    intake::issue_form,
};

/// Show one entity, with all that is derived from it
///
/// Exit codes: 0 shown, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    asked: Asked,
    /// How to print it
    #[arg(long, value_enum, default_value_t = As::Yaml)]
    format: As,
}

/// Runs the command.
///
/// # Errors
/// When the entity is not there or the catalog cannot be read.
pub fn run(args: &GetArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let (kind, identifier) = args.meant.names(&read)?;
    let view = read.view();
    let id = read.entity(&view, kind, identifier)?;
    let blueprint = read.blueprint(kind)?;
    let mut whole = whole(&view, blueprint, &id, &read.definitions.scorecards.values().collect::<Vec<_>>());
    // Where there is no history, or none of it yet, there is nothing to say.
    if let Ok(changes) = changes(&read, &id) {
        let dated = [
            ("created", changes.last().filter(|last| last.kind == Kind::Added)),
            ("updated", changes.first()),
        ];
        for (name, change) in dated {
            let Some(change) = change else { continue };
            whole[format!("{name}At")] = change.at.to_string().into();
            whole[format!("{name}By")] = change.people().join(", ").into();
        }
    }
    let offered = offered(&read.definitions, &view, &id);
    if !offered.is_empty() {
        whole["actions"] = offered.into();
    }
    match args.format {
        As::Yaml => output::print(&serde_yaml::to_string(&whole)?)?,
        As::Json => output::print(&format!("{whole:#}\n"))?,
        As::Table | As::Csv => {
            let rows = flat(&whole, "").into_iter().map(|(name, value)| vec![name.into(), value.into()]);
            let table =
                Table { columns: vec!["property".to_owned(), "value".to_owned()], rows: rows.collect() };
            output::print(&table.print(args.format)?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An entity with everything that is derived, and why what is missing is.
fn whole(
    view: &View<'_>,
    blueprint: &Blueprint,
    id: &EntityId,
    scorecards: &[&crate::domain::Scorecard],
) -> Value {
    let entity: &Entity = view.entity(id).expect("it was just found");
    let mut properties = Map::new();
    let mut problems = Map::new();
    for name in view.columns(blueprint) {
        let derived = view.value(id, &name);
        if let Some(problem) = derived.problem {
            problems.insert(name.clone(), problem.into());
        }
        if !derived.value.is_null() {
            properties.insert(name, derived.value);
        }
    }
    let mut whole = json!({
        "identifier": entity.identifier.as_str(),
        "blueprint": entity.blueprint.as_str(),
        "title": view.value(id, "$title").value,
        "team": view.value(id, "$team").value,
        "properties": properties,
        "relations": entity.relations,
    });
    if let Some(icon) = &entity.icon {
        whole["icon"] = icon.as_str().into();
    }
    let mut related: std::collections::BTreeMap<String, Vec<String>> = std::collections::BTreeMap::new();
    for (from, relation) in view.pointed_at_by(id).iter() {
        related
            .entry(format!("{} ({relation})", from.blueprint))
            .or_default()
            .push(from.identifier.to_string());
    }
    let standings: Map<String, Value> = scorecards
        .iter()
        .filter_map(|scorecard| {
            let standing = view.standing(scorecard, id)?;
            let failed: Vec<&str> =
                standing.rules.iter().filter(|(.., holds)| !holds).map(|(name, ..)| name.as_str()).collect();
            Some((scorecard.identifier.clone(), json!({ "level": standing.level, "missing": failed })))
        })
        .collect();
    for (name, part) in
        [("related", json!(related)), ("scorecards", standings.into()), ("notComputed", problems.into())]
    {
        if part.as_object().is_some_and(|part| !part.is_empty()) {
            whole[name] = part;
        }
    }
    whole
}

/// The actions that can be run on an entity, each with the ways to ask for it.
fn offered(definitions: &Definitions, view: &View<'_>, id: &EntityId) -> Map<String, Value> {
    let actions = definitions.actions.values().map(|action| &action.value);
    let fitting = actions.filter(|action| {
        let holds = |query: &Value| parse_query(query).is_ok_and(|query| view.matches(&query, id));
        action.blueprint == id.blueprint
            && action.operation != Operation::Create
            && action.form.condition.as_ref().is_none_or(holds)
    });
    let repository = definitions.settings.repository.as_ref().map(ToString::to_string);
    let page = ForgeSettings { repository, ..ForgeSettings::default() }.page().ok();
    let of = |action: &Action| {
        let quoted =
            |text: &str| match text.chars().all(|c| c.is_ascii_alphanumeric() || "_-./@+:=".contains(c)) {
                true => text.to_owned(),
                false => format!("'{text}'"),
            };
        let ask =
            format!("chandlery request {} --entity {}", action.identifier, quoted(id.identifier.as_str()));
        let mut ways = json!({ "title": action.title, "ask": ask });
        let query = issue_form::link(action, Some(&id.identifier), &Map::new());
        if let (Some((repository, server)), Some(query)) = (&page, query) {
            ways["form"] = format!("{server}/{repository}{query}").into();
        }
        (action.identifier.to_string(), ways)
    };
    fitting.map(of).collect()
}

/// Every value with its path.
fn flat(value: &Value, path: &str) -> Vec<(String, String)> {
    match value {
        Value::Object(entries) => entries
            .iter()
            .flat_map(|(name, value)| {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flat(value, &path)
            })
            .collect(),
        value => vec![(path.to_owned(), words(value))],
    }
}
