//! `chandlery diff`: what happened to the catalog between two commits or days?

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode};

use clap::Args;
use serde_json::{Map, Value, json};

use super::{
    Asked,
    past::{Differing, Values, differences},
    print::words,
};
use crate::{
    catalog::{Definitions, view::View},
    cli::{
        config::clock,
        output::{self, Format, plain},
    },
    domain::{Entity, EntityId, Query, RepoPath, Scorecard, Timestamp},
};

/// Show what changed between two commits or days: entities, relations that broke, levels gained and lost
///
/// Exit codes: 0 nothing changed, 1 something did, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// From where to where; without an end up to the files on disk
    #[arg(value_name = "A..B")]
    range: String,
    /// The folder of the catalog
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    /// The folder of the repository that holds the catalog, instead of DIR itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Everything that differs.
#[derive(Default)]
struct Differences {
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<(String, Vec<Differing>)>,
    /// Entities that are still there, but have mistakes now, of their own or of their blueprint.
    unusable: Vec<String>,
    /// Those that had mistakes before.
    usable: Vec<String>,
    broken: Vec<String>,
    mended: Vec<String>,
    levels: Vec<(String, String, Option<String>, Option<String>)>,
}

/// Runs the command.
///
/// # Errors
/// When one of the two cannot be read.
pub fn run(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let (from, to) = args.range.split_once("..").unwrap_or((&args.range, ""));
    let now = Some(Timestamp::from_seconds(clock()));
    let asked = |rev: &str| Asked {
        catalog: args.catalog.clone(),
        at: (!rev.is_empty()).then(|| rev.to_owned()),
        now,
        root: args.root.clone(),
    };
    let (before, after) = (asked(from).read()?, asked(to).read()?);
    let touched = after.touched_since(&before)?;
    let differences = compare(&before.view(), &after.view(), &before, &after, touched);
    output::print(&match args.format {
        Format::Text => text(&differences),
        Format::Json => format!("{:#}\n", as_json(&differences)),
    })?;
    let is_same = differences.added.is_empty()
        && differences.removed.is_empty()
        && differences.changed.is_empty()
        && differences.unusable.is_empty()
        && differences.usable.is_empty()
        && differences.broken.is_empty()
        && differences.mended.is_empty()
        && differences.levels.is_empty();
    Ok(if is_same { ExitCode::SUCCESS } else { ExitCode::from(crate::cli::PROBLEMS) })
}

/// Compares what is touched, and whatever follows from it; everything where it is not known what is.
fn compare(
    before: &View<'_>,
    after: &View<'_>,
    old: &super::Read,
    new: &super::Read,
    touched: Option<BTreeSet<EntityId>>,
) -> Differences {
    let ids = |view: &View<'_>| -> BTreeSet<EntityId> {
        match &touched {
            Some(touched) => touched.iter().filter(|id| view.entity(id).is_some()).cloned().collect(),
            None => view.all().map(Entity::id).collect(),
        }
    };
    let (were, are) = (ids(before), ids(after));
    // What has mistakes is left out, which does not mean that it came or went.
    let (usable, unusable) = (before.unusable(are.difference(&were)), after.unusable(were.difference(&are)));
    let came_or_went = |one: &BTreeSet<EntityId>, other: &BTreeSet<EntityId>, stayed: &BTreeSet<EntityId>| {
        one.difference(other).filter(|id| !stayed.contains(*id)).map(ToString::to_string).collect()
    };
    let mut found = Differences {
        added: came_or_went(&are, &were, &usable),
        removed: came_or_went(&were, &are, &unusable),
        unusable: unusable.iter().map(ToString::to_string).collect(),
        usable: usable.iter().map(ToString::to_string).collect(),
        ..Differences::default()
    };
    for id in were.intersection(&are) {
        let (Some(one), Some(other)) = (before.entity(id), after.entity(id)) else { continue };
        let values = differences(&values(one), &values(other));
        if !values.is_empty() {
            found.changed.push((id.to_string(), values));
        }
    }
    // An arrow breaks or is mended where it changes, or where what it points at comes or goes.
    let mut sources: BTreeSet<EntityId> = were.union(&are).cloned().collect();
    if touched.is_some() {
        for id in were.symmetric_difference(&are) {
            for view in [before, after] {
                sources.extend(view.pointed_at_by(id).iter().map(|(from, _)| from.clone()));
            }
        }
    }
    sources.retain(|id| !usable.contains(id) && !unusable.contains(id));
    let dangling = |view: &View<'_>| -> BTreeSet<String> {
        let edges = sources.iter().flat_map(|id| {
            let to = view.points_at(id).into_iter().filter(|(_, to)| view.entity(to).is_none());
            to.map(|(relation, to)| (format!("{id}: {relation} -> {to}"), to)).collect::<Vec<_>>()
        });
        let edges: Vec<(String, EntityId)> = edges.collect();
        let there = view.unusable(edges.iter().map(|(_, to)| to));
        edges.into_iter().filter(|(_, to)| !there.contains(to)).map(|(edge, _)| edge).collect()
    };
    let (was_broken, is_broken) = (dangling(before), dangling(after));
    found.broken = is_broken.difference(&was_broken).cloned().collect();
    found.mended = was_broken.difference(&is_broken).cloned().collect();
    for (name, scorecard) in &new.definitions.scorecards {
        let is_local = touched.is_some() && looks_at_itself(scorecard, &new.definitions);
        let judged: Vec<EntityId> = if is_local {
            are.iter().filter(|id| id.blueprint == scorecard.blueprint).cloned().collect()
        } else {
            after.of(&scorecard.blueprint).map(Entity::id).collect()
        };
        for id in judged.iter().filter(|id| before.entity(id).is_some()) {
            let level =
                |view: &View<'_>, scorecard| view.standing(scorecard, id).map(|standing| standing.level);
            let was = old.definitions.scorecards.get(name).and_then(|scorecard| level(before, scorecard));
            let is = level(after, scorecard);
            if was != is {
                found.levels.push((name.clone(), id.to_string(), was, is));
            }
        }
    }
    found
}

/// Whether a scorecard judges by nothing but what stands in an entity's own file.
fn looks_at_itself(scorecard: &Scorecard, definitions: &Definitions) -> bool {
    let Some(blueprint) = definitions.blueprints.get(&scorecard.blueprint) else { return false };
    let queries = scorecard.filter.iter().chain(scorecard.rules.iter().map(|rule| &rule.query));
    let stored = |name: &str| {
        matches!(name, "$identifier" | "$title" | "$icon" | "$blueprint")
            || blueprint.properties.iter().any(|(known, _)| known.as_str() == name)
    };
    queries.into_iter().all(|query| is_of_stored(query, &stored))
}

fn is_of_stored(query: &Query, stored: &dyn Fn(&str) -> bool) -> bool {
    match query {
        Query::All(queries) | Query::Any(queries) => queries.iter().all(|query| is_of_stored(query, stored)),
        Query::Compare { property, .. } => stored(property),
        Query::RelatedTo { .. } | Query::Along { .. } | Query::AnyOfType { .. } => false,
    }
}

/// What an entity says, defaults among it.
fn values(entity: &Entity) -> Values {
    let mut all = Values::new();
    all.extend(entity.title.clone().map(|title| ("title".to_owned(), title.into())));
    all.extend(entity.icon.clone().map(|icon| ("icon".to_owned(), icon.into())));
    if !entity.team.is_empty() {
        all.insert("team".to_owned(), entity.team.clone().into());
    }
    all.extend(entity.properties.iter().map(|(name, value)| (format!("properties.{name}"), value.clone())));
    all.extend(entity.relations.iter().map(|(name, value)| (format!("relations.{name}"), value.clone())));
    all
}

fn text(differences: &Differences) -> String {
    let mut text = String::new();
    let shown = |value: &Value| {
        if value.is_null() { "(nothing)".to_owned() } else { plain(&words(value)).replace('\n', " ") }
    };
    for id in &differences.added {
        let _ = writeln!(text, "+ {id}");
    }
    for id in &differences.removed {
        let _ = writeln!(text, "- {id}");
    }
    for (id, values) in &differences.changed {
        let _ = writeln!(text, "~ {id}");
        for (name, before, after) in values {
            let _ = writeln!(text, "    {name}: {} -> {}", shown(before), shown(after));
        }
    }
    let lists = [
        ("has mistakes now", &differences.unusable),
        ("had mistakes", &differences.usable),
        ("broken", &differences.broken),
        ("mended", &differences.mended),
    ];
    for (word, list) in lists {
        for one in list {
            let _ = writeln!(text, "{word}: {one}");
        }
    }
    let level = |level: &Option<String>| level.clone().unwrap_or_else(|| "(not judged)".to_owned());
    for (scorecard, id, was, is) in &differences.levels {
        let _ = writeln!(text, "{scorecard}: {id}: {} -> {}", level(was), level(is));
    }
    text
}

fn as_json(differences: &Differences) -> Value {
    let changed: Map<String, Value> = differences
        .changed
        .iter()
        .map(|(id, values)| {
            let values: Map<String, Value> = values
                .iter()
                .map(|(name, before, after)| (name.clone(), json!({ "before": before, "after": after })))
                .collect();
            (id.clone(), values.into())
        })
        .collect();
    let levels: Vec<Value> = differences
        .levels
        .iter()
        .map(|(scorecard, id, was, is)| json!({ "scorecard": scorecard, "entity": id, "before": was, "after": is }))
        .collect();
    json!({
        "added": differences.added,
        "removed": differences.removed,
        "changed": changed,
        "unusable": differences.unusable,
        "usable": differences.usable,
        "broken": differences.broken,
        "mended": differences.mended,
        "levels": levels,
    })
}
