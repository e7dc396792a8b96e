//! Can what a blueprint derives be computed? Ways must lead somewhere, and calculations must not wait for each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::join,
    load::unknown_blueprint,
    values::{Segment, Wrong, trail},
};
use crate::{
    domain::{Aggregation, Blueprint, BlueprintId, Measure, Mirror},
    expr::Expression,
};

type Blueprints = BTreeMap<BlueprintId, Blueprint>;

/// The meta-properties that every entity has.
pub const META: [&str; 8] =
    ["$identifier", "$title", "$team", "$blueprint", "$createdAt", "$createdBy", "$updatedAt", "$updatedBy"];

/// Everything that is wrong with what a blueprint derives. What a broken blueprint would make wrong is not told.
pub(super) fn check(blueprint: &Blueprint, all: &Blueprints, unusable: &BTreeSet<BlueprintId>) -> Vec<Wrong> {
    let mut found = Vec::new();
    for (name, mirror) in &blueprint.mirrors {
        found.extend(mirror_problem(blueprint, name, mirror, all, unusable));
    }
    for (name, aggregation) in &blueprint.aggregations {
        found.extend(aggregation_problem(name, aggregation, all, unusable));
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
            Some(wrong.did_you_mean(&mirror.property, names(end)))
        }
    }
}

fn aggregation_problem(
    name: &str,
    aggregation: &Aggregation,
    all: &Blueprints,
    unusable: &BTreeSet<BlueprintId>,
) -> Option<Wrong> {
    let path = trail!["aggregationProperties", name];
    if unusable.contains(&aggregation.target) {
        return None;
    }
    let Some(target) = all.get(&aggregation.target) else {
        let known = all.keys().collect();
        return Some(unknown_blueprint(&join(&path, "target"), &aggregation.target, &known));
    };
    match &aggregation.measure {
        Measure::Of { property, .. } if !has(target, property) => {
            let place = join(&join(&path, "calculationSpec"), "property");
            let message =
                format!("is `{property}`, which is not a property of the blueprint `{}`", target.identifier);
            Some(Wrong::new("unknown-property", &place, message).did_you_mean(property, names(target)))
        }
        Measure::Of { .. } | Measure::Count => None,
    }
}

/// The calculations that one of these names needs first.
pub(super) fn needs<'a>(blueprint: &'a Blueprint, text: &str) -> Vec<&'a str> {
    let Ok(expression) = Expression::parse(text) else { return Vec::new() };
    blueprint.calculations.keys().map(String::as_str).filter(|name| expression.mentions(name)).collect()
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
