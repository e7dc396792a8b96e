//! Can what a blueprint derives be computed? Ways must lead somewhere, and calculations must not wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    asked::{Asked, ends_elsewhere},
    document::join,
    values::{Segment, Wrong, trail},
};
use crate::{
    domain::{Aggregation, Blueprint, BlueprintId, Format, Measure, Mirror, Ownership, PropertyType},
    expr::Expression,
};

type Blueprints = BTreeMap<BlueprintId, Blueprint>;

/// The meta-properties that every entity has.
pub const META: [&str; 9] = [
    "$identifier",
    "$title",
    "$icon",
    "$team",
    "$blueprint",
    "$createdAt",
    "$createdBy",
    "$updatedAt",
    "$updatedBy",
];

/// Everything that is wrong with what a blueprint derives, `written` being its document. What a broken blueprint would make
/// wrong is not told.
pub(super) fn check(
    blueprint: &Blueprint,
    written: &Value,
    all: &Blueprints,
    unusable: &BTreeSet<BlueprintId>,
) -> Vec<Wrong> {
    let mut found = Vec::new();
    found.extend(ownership_problem(blueprint, all, unusable));
    for (name, mirror) in &blueprint.mirrors {
        found.extend(mirror_problem(blueprint, name, mirror, all, unusable));
    }
    for (name, aggregation) in &blueprint.aggregations {
        let written = &written["aggregationProperties"][name];
        found.extend(aggregation_problems(blueprint, name, aggregation, written, all, unusable));
    }
    let names = [
        ("schema", blueprint.properties.iter().map(|(name, _)| name).collect::<Vec<_>>()),
        ("mirrorProperties", blueprint.mirrors.keys().collect()),
        ("calculationProperties", blueprint.calculations.keys().collect()),
        ("aggregationProperties", blueprint.aggregations.keys().collect()),
    ];
    let mut seen: BTreeMap<&String, &str> = BTreeMap::new();
    for (place, names) in names {
        for name in names {
            if let Some(first) = seen.insert(name, place) {
                let message = format!("is defined in `{first}` already");
                let wrong = Wrong::new("repeated-item", &trail![place, name.as_str()], message).about_key();
                found.push(wrong.help("give it another name"));
            }
        }
    }
    found.extend(circle(blueprint));
    found
}

/// Walks relations from a blueprint; none if a blueprint on the way has mistakes of its own.
pub(super) fn walk<'a>(
    from: &'a Blueprint,
    steps: &[String],
    path: &[Segment],
    all: &'a Blueprints,
    unusable: &BTreeSet<BlueprintId>,
) -> Result<Option<&'a Blueprint>, Wrong> {
    let mut at = from;
    for step in steps {
        let Some(relation) = at.relations.get(step) else {
            let message =
                format!("leads over `{step}`, which is not a relation of the blueprint `{}`", at.identifier);
            let known = at.relations.keys().map(String::as_str);
            return Err(Wrong::new("invalid-path", path, message).did_you_mean(step, known));
        };
        match all.get(&relation.target) {
            Some(next) if !unusable.contains(&relation.target) => at = next,
            // Told where the relation is.
            _ => return Ok(None),
        }
    }
    Ok(Some(at))
}

pub(super) fn has(blueprint: &Blueprint, name: &str) -> bool {
    blueprint.property(name).is_some()
        || blueprint.mirrors.contains_key(name)
        || blueprint.calculations.contains_key(name)
        || blueprint.aggregations.contains_key(name)
        || META.contains(&name)
}

/// The names among which one that is not there was probably meant.
pub(super) fn alike<'a>(blueprint: &'a Blueprint, name: &str) -> Vec<&'a str> {
    let is_meta = name.starts_with('$') || META.iter().any(|known| &known[1..] == name);
    if is_meta { META.to_vec() } else { names(blueprint) }
}

pub(super) fn names(blueprint: &Blueprint) -> Vec<&str> {
    let stored = blueprint.properties.iter().map(|(name, _)| name.as_str());
    let derived =
        blueprint.mirrors.keys().chain(blueprint.calculations.keys()).chain(blueprint.aggregations.keys());
    stored.chain(derived.map(String::as_str)).collect()
}

fn mirror_problem(
    blueprint: &Blueprint,
    name: &str,
    mirror: &Mirror,
    all: &Blueprints,
    unusable: &BTreeSet<BlueprintId>,
) -> Option<Wrong> {
    let path = trail!["mirrorProperties", name, "path"];
    match walk(blueprint, &mirror.path, &path, all, unusable) {
        Err(wrong) => Some(wrong),
        Ok(None) => None,
        Ok(Some(end)) if has(end, &mirror.property) => None,
        Ok(Some(end)) => {
            let message = format!(
                "ends in `{}`, which is not a property of the blueprint `{}`",
                mirror.property, end.identifier
            );
            let wrong = Wrong::new("unknown-property", &path, message);
            Some(wrong.did_you_mean(&mirror.property, alike(end, &mirror.property)))
        }
    }
}

/// Whoever owns an entity is asked: a way that leads to nobody would leave it to nobody.
fn ownership_problem(
    blueprint: &Blueprint,
    all: &Blueprints,
    unusable: &BTreeSet<BlueprintId>,
) -> Option<Wrong> {
    let Some(Ownership::Inherited { path: way }) = &blueprint.ownership else { return None };
    let path = trail!["ownership", "path"];
    let steps: Vec<String> = way.split('.').map(str::to_owned).collect();
    let end = match walk(blueprint, &steps, &path, all, unusable) {
        Ok(end) => end?,
        Err(wrong) => return Some(wrong),
    };
    let wrong = |message: String| Wrong::new("invalid-path", &path, message);
    match &end.ownership {
        Some(Ownership::Inherited { path: further }) => {
            let message = format!("ends at `{}`, which inherits its owner too", end.identifier);
            Some(wrong(message).help(format!("go on to where it is said: `{way}.{further}`")))
        }
        _ if ["_team", "_user"].contains(&end.identifier.as_str()) => {
            let message = format!("ends at `{}`, and nobody owns one", end.identifier);
            Some(wrong(message).help("end at an entity that says its `team`"))
        }
        Some(Ownership::Direct) | None => None,
    }
}

fn aggregation_problems(
    blueprint: &Blueprint,
    name: &str,
    aggregation: &Aggregation,
    written: &Value,
    all: &Blueprints,
    unusable: &BTreeSet<BlueprintId>,
) -> Vec<Wrong> {
    let path = trail!["aggregationProperties", name];
    let here = Asked { of: blueprint, all, unusable };
    let target = match here.blueprint(&aggregation.target, &join(&path, "target")) {
        Ok(Some(target)) => target,
        Ok(None) => return Vec::new(),
        Err(wrong) => return vec![wrong],
    };
    let mut found = Vec::new();
    if let Measure::Of { property, .. } = &aggregation.measure {
        let place = join(&join(&path, "calculationSpec"), "property");
        found.extend(measure_problem(target, property, &place));
    }
    if let Some(over) = aggregation.measure.over() {
        let place = join(&join(&path, "calculationSpec"), "measureTimeBy");
        found.extend(time_problem(target, &over.by, &place));
    }
    if let Some(query) = &aggregation.query {
        let there = Asked { of: target, ..here };
        found.extend(there.misfits(query, &written["query"], &join(&path, "query")));
    }
    if let Some((hops, is_from_target)) = &aggregation.path {
        let way = join(&join(&path, "pathFilter"), 0);
        let (start, end) = if *is_from_target { (target, blueprint) } else { (blueprint, target) };
        let from = written["pathFilter"][0]["fromBlueprint"].as_str();
        if from.is_some_and(|from| from != start.identifier.as_str()) {
            let (place, identifier) = (join(&way, "fromBlueprint"), &blueprint.identifier);
            let message =
                format!("must be `{}` or `{identifier}`, between which the way leads", target.identifier);
            found.push(Wrong::new("wrong-value", &place, message).help("leave it out to begin here"));
            return found;
        }
        let place = |index: usize| join(&join(&way, "path"), index);
        match here.follow(start, hops.iter().map(|hop| hop.relation.as_str()), &place) {
            Ok(Some(at)) if at.identifier != end.identifier => {
                found.push(ends_elsewhere(&join(&way, "path"), at, &end.identifier));
            }
            Ok(_) => {}
            Err(wrong) => found.push(wrong),
        }
    }
    found
}

/// What is gone over must be there, and be numbers. What a mirror shows is known when it is asked.
fn measure_problem(target: &Blueprint, name: &str, path: &[Segment]) -> Option<Wrong> {
    let kind = match (target.property(name), target.calculations.get(name)) {
        (Some(property), _) => property.kind,
        (None, Some(calculation)) => calculation.kind,
        (None, None) if META.contains(&name) => PropertyType::String,
        (None, None) if has(target, name) => return None,
        (None, None) => return Some(is_unknown(target, name, path)),
    };
    let message = format!("is `{name}`, which is a {} and no number", kind.name());
    (kind != PropertyType::Number).then(|| {
        let wrong = Wrong::new("wrong-type", path, message);
        wrong.help(format!("name a property of `{}` with `type: number`", target.identifier))
    })
}

/// What says when something was must be there, and be a date. What a mirror shows is known when it is asked.
fn time_problem(target: &Blueprint, name: &str, path: &[Segment]) -> Option<Wrong> {
    let is_date = match (target.property(name), target.calculations.get(name)) {
        (Some(property), _) => matches!(property.format, Some(Format::DateTime | Format::Timer)),
        (None, Some(calculation)) => calculation.kind == PropertyType::String,
        (None, None) if META.contains(&name) => name.ends_with("At"),
        (None, None) if has(target, name) => return None,
        (None, None) => return Some(is_unknown(target, name, path)),
    };
    let wrong = Wrong::new("wrong-type", path, format!("is `{name}`, which is no date"));
    let help = format!(
        "name a property of `{}` with `format: date-time` or `timer`, `$createdAt` or `$updatedAt`",
        target.identifier
    );
    (!is_date).then(|| wrong.help(help))
}

fn is_unknown(target: &Blueprint, name: &str, path: &[Segment]) -> Wrong {
    let message = format!("is `{name}`, which is not a property of the blueprint `{}`", target.identifier);
    Wrong::new("unknown-property", path, message).did_you_mean(name, alike(target, name))
}

/// The calculations that one of these names needs first.
pub(super) fn needs<'a>(blueprint: &'a Blueprint, text: &str) -> Vec<&'a str> {
    let Ok(expression) = Expression::parse(text) else { return Vec::new() };
    blueprint.calculations.keys().map(String::as_str).filter(|name| expression.mentions(name)).collect()
}

/// What is derived of an entity and seen by an expression: mirrors and aggregations, unless it only looks at others, and
/// the calculations that it names.
pub(super) fn sees<'a>(blueprint: &'a Blueprint, expression: &Expression) -> Vec<&'a str> {
    let found = blueprint.mirrors.keys().chain(blueprint.aggregations.keys());
    let found = found.filter(|name| expression.looks_at_all() || expression.mentions(name));
    let named = blueprint.calculations.keys().filter(|name| expression.mentions(name));
    found.chain(named).map(String::as_str).collect()
}

/// Calculations that wait for each other.
fn circle(blueprint: &Blueprint) -> Option<Wrong> {
    for start in blueprint.calculations.keys() {
        let mut way = vec![start.as_str()];
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        let mut open: Vec<(&str, usize)> = vec![(start, 1)];
        while let Some((name, depth)) = open.pop() {
            way.truncate(depth - 1);
            way.push(name);
            for next in needs(blueprint, &blueprint.calculations[name].text) {
                if next == start {
                    let way: Vec<String> =
                        way.iter().chain([&next]).map(|name| format!("`{name}`")).collect();
                    let path = trail!["calculationProperties", start.as_str(), "calculation"];
                    let message = format!("waits for itself: {}", way.join(" needs "));
                    let wrong = Wrong::new("calculation-cycle", &path, message);
                    return Some(wrong.help("compute one of them from what is stored"));
                }
                if seen.insert(next) {
                    open.push((next, depth + 1));
                }
            }
        }
    }
    None
}
