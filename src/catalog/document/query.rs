//! What may a query say? Port has two words for the same list: searches have `rules`, scorecards `conditions`.

use serde_json::{Map, Value};

use super::{Reader, join};
use crate::{
    catalog::values::{Segment, Wrong, show},
    domain::{
        BlueprintId, Direction, Format, Hop, Operator, PRESETS, PropertySchema, PropertyType, Query, nearest,
    },
};

/// How deep groups may be nested.
const DEEPEST: usize = 20;
/// How often one relation may be followed.
const MOST_HOPS: u64 = 15;

/// Reads a group of rules; notes everything that is wrong with it.
pub(in crate::catalog) fn query(value: &Value, path: &[Segment], reader: &mut Reader) -> Option<Query> {
    let before = reader.found.len();
    let query = read(value, path, 0, &mut |wrong| reader.wrong(wrong));
    query.filter(|_| reader.found.len() == before)
}

/// As [`query`], for one that stands in no file.
pub(in crate::catalog) fn loose_query(value: &Value) -> Result<Query, Vec<Wrong>> {
    let mut found = Vec::new();
    match read(value, &[], 0, &mut |wrong| found.push(wrong)) {
        Some(query) if found.is_empty() => Ok(query),
        _ => Err(found),
    }
}

fn read(value: &Value, path: &[Segment], depth: usize, wrong: &mut dyn FnMut(Wrong)) -> Option<Query> {
    let Some(entries) = value.as_object() else {
        wrong(Wrong::new("wrong-type", path, "must be a mapping"));
        return None;
    };
    if depth > DEEPEST {
        wrong(Wrong::new("invalid-query", path, "is nested too deeply"));
        return None;
    }
    if entries.contains_key("combinator")
        || entries.contains_key("rules")
        || entries.contains_key("conditions")
    {
        return group(entries, path, depth, wrong);
    }
    rule(entries, path, wrong)
}

fn group(
    entries: &Map<String, Value>,
    path: &[Segment],
    depth: usize,
    wrong: &mut dyn FnMut(Wrong),
) -> Option<Query> {
    only(entries, &["combinator", "rules", "conditions", "type"], path, wrong);
    let word = if entries.contains_key("conditions") { "conditions" } else { "rules" };
    let Some(rules) = entries.get(word).and_then(Value::as_array) else {
        wrong(
            Wrong::new("missing-key", &join(path, word), "is missing").help("list the rules that must hold"),
        );
        return None;
    };
    let below = join(path, word);
    let made: Vec<Option<Query>> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| read(rule, &join(&below, index), depth + 1, wrong))
        .collect();
    let made: Vec<Query> = made.into_iter().collect::<Option<_>>()?;
    match entries.get("combinator").and_then(Value::as_str) {
        Some("and") | None => Some(Query::All(made)),
        Some("or") => Some(Query::Any(made)),
        Some(other) => {
            let message = format!("cannot be `{other}`");
            wrong(
                Wrong::new("not-a-choice", &join(path, "combinator"), message)
                    .help("it can be `and` or `or`"),
            );
            None
        }
    }
}

fn rule(entries: &Map<String, Value>, path: &[Segment], wrong: &mut dyn FnMut(Wrong)) -> Option<Query> {
    let Some(name) = entries.get("operator").and_then(Value::as_str) else {
        let missing = Wrong::new("missing-key", &join(path, "operator"), "is missing");
        wrong(missing.help("a rule is such as `{ property: tier, operator: \"=\", value: gold }`"));
        return None;
    };
    match name {
        "relatedTo" => related_to(entries, path, wrong),
        "matchAny" => along(entries, path, wrong),
        _ => compare(name, entries, path, wrong),
    }
}

fn compare(
    name: &str,
    entries: &Map<String, Value>,
    path: &[Segment],
    wrong: &mut dyn FnMut(Wrong),
) -> Option<Query> {
    if let Some(key) = ["relation", "scorecard"].into_iter().find(|key| entries.contains_key(*key)) {
        let unknown =
            Wrong::new("unknown-key", &join(path, key), "is not what a rule asks for here").about_key();
        wrong(unknown.help(match key {
            "relation" => "write `property: { path: [RELATION] }` with `operator: matchAny`",
            _ => "`chandlery scorecard` tells who reaches which level",
        }));
        return None;
    }
    only(entries, &["property", "propertySchema", "operator", "value"], path, wrong);
    let Some(operator) = Operator::named(name) else {
        let known = Operator::NAMES.iter().map(|(name, _)| *name).chain(["relatedTo", "matchAny"]);
        let unknown = Wrong::new("not-a-choice", &join(path, "operator"), format!("cannot be `{name}`"));
        let known: Vec<&str> = known.collect();
        let meant = OTHER_WORDS.iter().find(|(word, _)| *word == name).map(|(_, meant)| *meant);
        wrong(match meant.or_else(|| nearest(name, known.iter().copied())) {
            Some(near) => unknown.help(format!("did you mean `{near}`?")),
            None => unknown.help(format!("it can be {}", known.join(" "))),
        });
        return None;
    };
    if !operator.takes_no_value() && !entries.contains_key("value") {
        let missing = Wrong::new("missing-key", &join(path, "value"), "is missing");
        wrong(missing.help("say what it is compared with; for what is not there, write `operator: isEmpty`"));
        return None;
    }
    let value = entries.get("value").cloned().unwrap_or(Value::Null);
    operand(operator, &value, &join(path, "value"), wrong);
    if let Some(schema) = entries.get("propertySchema").and_then(Value::as_object) {
        let path = join(path, "propertySchema");
        if !schema.contains_key("type") {
            wrong(Wrong::new("missing-key", &join(&path, "type"), "is missing"));
            return None;
        }
        return Some(Query::AnyOfType { schema: property_schema(schema, &path, wrong)?, operator, value });
    }
    match entries.get("property") {
        Some(Value::String(property)) if property == TEAM && value.is_string() && !is_of_a_list(operator) => {
            let negated = matches!(
                operator,
                Operator::NotEqual | Operator::DoesNotBeginWith | Operator::DoesNotEndWith
            );
            let fitting = if negated { "doesNotContains" } else { "contains" };
            let problem = Wrong::new(
                "invalid-query",
                &join(path, "operator"),
                "compares a text with `$team`, which is a list",
            );
            wrong(problem.help(format!("write `operator: {fitting}`")));
            None
        }
        Some(Value::String(property)) => Some(Query::Compare { property: property.clone(), operator, value }),
        Some(_) => {
            wrong(Wrong::new("wrong-type", &join(path, "property"), "must be the name of a property"));
            None
        }
        None => {
            let missing = Wrong::new("missing-key", &join(path, "property"), "is missing");
            wrong(
                missing
                    .help("name a property, or `$identifier`, `$title`, `$team`, `$createdAt` and the like"),
            );
            None
        }
    }
}

/// What other languages call an operator.
const OTHER_WORDS: [(&str, &str); 10] = [
    ("==", "="),
    ("eq", "="),
    ("equals", "="),
    ("is", "="),
    ("<>", "!="),
    ("ne", "!="),
    ("isNot", "!="),
    ("notEquals", "!="),
    ("startsWith", "beginsWith"),
    ("exists", "isNotEmpty"),
];

/// An entity may have several teams.
const TEAM: &str = "$team";

/// Whether an operator asks for an item of a list.
fn is_of_a_list(operator: Operator) -> bool {
    matches!(operator, Operator::Contains | Operator::DoesNotContain)
}

/// What an operator compares with.
fn operand(operator: Operator, value: &Value, path: &[Segment], wrong: &mut dyn FnMut(Wrong)) {
    if let Some(name) = value["preset"].as_str().filter(|name| !PRESETS.contains(name)) {
        let unknown = Wrong::new("not-a-choice", &join(path, "preset"), format!("cannot be `{name}`"));
        wrong(unknown.did_you_mean(name, PRESETS));
        return;
    }
    let a_list = "must be a list, such as `[gold, silver]`";
    let a_span = "must be `{ from: …, to: … }` with two moments such as 2026-11-23T08:30:00Z or two numbers, or \
                  `{ preset: lastWeek }` and the like";
    let problem = match operator {
        _ if operator.takes_no_value() => None,
        Operator::In | Operator::NotIn | Operator::ContainsAny => (!value.is_array()).then_some(a_list),
        Operator::Between | Operator::NotBetween => (!is_span(value)).then_some(a_span),
        Operator::Equal if value.is_object() => (!is_span(value)).then_some(a_span),
        _ => value.is_object().then_some("must be a value"),
    };
    if let Some(problem) = problem {
        wrong(Wrong::new("wrong-type", path, problem));
    }
}

fn is_span(value: &Value) -> bool {
    let date =
        |key: &str| value[key].as_str().is_some_and(|text| text.parse::<crate::domain::Timestamp>().is_ok());
    value["preset"].as_str().is_some_and(|name| PRESETS.contains(&name))
        || date("from") && date("to")
        || value["from"].is_number() && value["to"].is_number()
}

fn related_to(entries: &Map<String, Value>, path: &[Segment], wrong: &mut dyn FnMut(Wrong)) -> Option<Query> {
    only(entries, &["operator", "blueprint", "value", "direction", "required"], path, wrong);
    let direction = match entries.get("direction").and_then(Value::as_str) {
        None => None,
        Some("upstream") => Some(Direction::Upstream),
        Some("downstream") => Some(Direction::Downstream),
        Some(other) => {
            let message = format!("cannot be `{other}`");
            let unknown = Wrong::new("not-a-choice", &join(path, "direction"), message);
            wrong(unknown.help("it can be `upstream` or `downstream`"));
            return None;
        }
    };
    let blueprint = blueprint_at("blueprint", entries, path, wrong)?;
    let identifiers = identifiers(entries, path, wrong)?;
    let required = entries.get("required").and_then(Value::as_bool);
    Some(Query::RelatedTo { blueprint, identifiers, direction, required })
}

fn along(entries: &Map<String, Value>, path: &[Segment], wrong: &mut dyn FnMut(Wrong)) -> Option<Query> {
    only(entries, &["operator", "property", "value"], path, wrong);
    let place = join(path, "property");
    let way = entries.get("property").and_then(Value::as_object);
    let Some(hops) = way.and_then(|way| way.get("path")).and_then(Value::as_array) else {
        let missing = Wrong::new("missing-key", &join(&place, "path"), "is missing");
        wrong(missing.help("list relations, such as `property: { path: [system, domain] }`"));
        return None;
    };
    let mut made = Vec::new();
    for (index, hop) in hops.iter().enumerate() {
        let most = hop["maxHops"].as_u64().unwrap_or(1);
        let name = hop.as_str().or_else(|| hop["relation"].as_str());
        match name {
            Some(name) if (1..=MOST_HOPS).contains(&most) => {
                made.push(Hop { relation: name.to_owned(), most: usize::try_from(most).unwrap_or(1) });
            }
            _ => {
                let place = join(&join(&place, "path"), index);
                let message = format!(
                    "must be a relation, or `{{ relation: …, maxHops: 1 }}` with at most {MOST_HOPS}"
                );
                wrong(Wrong::new("wrong-type", &place, message));
                return None;
            }
        }
    }
    let from = match way.filter(|way| way.contains_key("fromBlueprint")) {
        Some(way) => Some(blueprint_at("fromBlueprint", way, &place, wrong)?),
        None => None,
    };
    Some(Query::Along { path: made, from, identifiers: identifiers(entries, path, wrong)? })
}

fn blueprint_at(
    key: &str,
    entries: &Map<String, Value>,
    path: &[Segment],
    wrong: &mut dyn FnMut(Wrong),
) -> Option<BlueprintId> {
    let place = join(path, key);
    match entries.get(key).and_then(Value::as_str).map(str::parse) {
        Some(Ok(name)) => Some(name),
        Some(Err(_)) => {
            wrong(Wrong::new("invalid-name", &place, "must be a blueprint"));
            None
        }
        None => {
            wrong(Wrong::new("missing-key", &place, "is missing").help("name a blueprint"));
            None
        }
    }
}

fn identifiers(
    entries: &Map<String, Value>,
    path: &[Segment],
    wrong: &mut dyn FnMut(Wrong),
) -> Option<Vec<String>> {
    let list = match entries.get("value") {
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(many)) => many.iter().map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    if list.is_none() {
        wrong(Wrong::new("wrong-type", &join(path, "value"), "must be an identifier, or a list of them"));
    }
    list
}

/// Which properties a rule asks: their type, their format, and what the items of lists are.
fn property_schema(
    schema: &Map<String, Value>,
    path: &[Segment],
    wrong: &mut dyn FnMut(Wrong),
) -> Option<PropertySchema> {
    only(schema, &["type", "format", "items"], path, wrong);
    let mut is_known = true;
    let mut unknown = |key: &str, known: &[&str]| {
        is_known = false;
        let value = &schema[key];
        let found = Wrong::new("not-a-choice", &join(path, key), format!("cannot be {}", show(value)));
        wrong(found.did_you_mean(value.as_str().unwrap_or_default(), known.iter().copied()));
    };
    let kind = schema.get("type").and_then(|kind| {
        let found = PropertyType::ALL.into_iter().find(|known| kind.as_str() == Some(known.name()));
        found.or_else(|| {
            unknown("type", &PropertyType::ALL.map(PropertyType::name));
            None
        })
    });
    let format = schema.get("format").and_then(|format| {
        format.as_str().and_then(Format::named).or_else(|| {
            unknown("format", &Format::ALL.map(Format::name));
            None
        })
    });
    let items = match schema.get("items") {
        Some(Value::Object(items)) => Some(Box::new(property_schema(items, &join(path, "items"), wrong)?)),
        Some(_) => {
            wrong(Wrong::new("wrong-type", &join(path, "items"), "must be a mapping"));
            return None;
        }
        None => None,
    };
    is_known.then_some(PropertySchema { kind, format, items })
}

fn only(entries: &Map<String, Value>, known: &[&str], path: &[Segment], wrong: &mut dyn FnMut(Wrong)) {
    for key in entries.keys().filter(|key| !known.contains(&key.as_str())) {
        let unknown = Wrong::new("unknown-key", &join(path, key.as_str()), "is not a key that is known here");
        wrong(unknown.about_key().did_you_mean(key, known.iter().copied()));
    }
}
