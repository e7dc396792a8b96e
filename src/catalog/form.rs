//! What do the expressions of a form speak of, and in which order are its inputs computed?
//!
//! An input is computed after those that its expressions speak of, and an expression is shown no others:
//! what it answers cannot depend on the order.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::Regex;
use serde_json::Value;

use super::{
    Definitions,
    asked::Asked,
    derived::{alike, has},
    document::{Reader, join, query::loose_query},
    past::DATED,
    values::{Segment, Wrong, list, trail},
    view::asked_for,
};
use crate::{
    domain::{
        Action, Behaviour, BlueprintId, Dynamic, Format, Operation, Operator, Property, Query, Scorecard,
    },
    expr::Expression,
};

/// What an expression speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mentions<'a> {
    /// The inputs that it is shown.
    pub inputs: BTreeSet<&'a str>,
    /// Names below `.form` that are no inputs.
    pub unknown: BTreeSet<String>,
    /// Whether it speaks of whoever asks.
    pub user: bool,
    /// Whether it speaks of the entity that the action is run on.
    pub entity: bool,
}

/// What an expression speaks of. One that takes the form as a whole is shown every input but `of`, whose it is.
pub fn mentions<'a>(action: &'a Action, text: &str, of: Option<&str>) -> Mentions<'a> {
    static FORM: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r#"\.\s*(?:form\b|\[?\s*["']form["']\s*\]?)(?:\s*\.?\s*\[\s*["']([^"']+)["']\s*\]|\s*\.\s*["']([^"']+)["']|\s*\.\s*([A-Za-z_]\w*))?"#,
        )
        .expect("it is a pattern")
    });
    static ROOT: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(?:^|[^\w\]\)"'.])\.\s*(user|entity)\b"#).expect("it is a pattern"));
    let mut found = Mentions::default();
    for said in FORM.captures_iter(text) {
        match said.iter().skip(1).flatten().next() {
            Some(name) => match action.inputs.iter().find(|(input, _)| input == name.as_str()) {
                Some((input, _)) => drop(found.inputs.insert(input)),
                None => drop(found.unknown.insert(name.as_str().to_owned())),
            },
            None => found.inputs.extend(
                action.inputs.iter().map(|(input, _)| input.as_str()).filter(|input| Some(*input) != of),
            ),
        }
    }
    for said in ROOT.captures_iter(text) {
        match &said[1] {
            "user" => found.user = true,
            _ => found.entity = true,
        }
    }
    found
}

/// The step of the form that an input is in.
pub fn step_of<'a>(action: &'a Action, input: &str) -> Option<(usize, &'a crate::domain::FormStep)> {
    action.form.steps.iter().enumerate().find(|(_, step)| step.order.iter().any(|name| name == input))
}

/// Every expression that decides about an input, with where it stands below `userInputs`.
fn expressions<'a>(action: &'a Action, input: &str) -> Vec<(Vec<Segment>, &'a str)> {
    let mut found = Vec::new();
    let path = trail!["properties", input];
    if let Some(behaviour) = action.form.inputs.get(input) {
        let Behaviour { visible, disabled, read_only, computed, computed_items, dataset, depends_on: _ } =
            behaviour;
        for (key, said) in [("visible", visible), ("disabled", disabled), ("readOnly", read_only)] {
            if let Dynamic::Computed(text) = said {
                found.push((join(&path, key), text.as_str()));
            }
        }
        found.extend(computed.iter().map(|(key, text)| (join(&path, key.as_str()), text.as_str())));
        let items = join(&path, "items");
        found.extend(computed_items.iter().map(|(key, text)| (join(&items, key.as_str()), text.as_str())));
        let of_items = action.input(input).is_some_and(|property| property.items.is_some());
        let place = join(if of_items { &items } else { &path }, "dataset");
        if let Some(query) = dataset.as_ref().and_then(|dataset| dataset.query.as_ref()) {
            computed_in(query, &place, &mut found);
        }
    }
    if let Some((index, step)) = step_of(action, input)
        && let Dynamic::Computed(text) = &step.visible
    {
        found.push((trail!["steps", index, "visible"].to_vec(), text.as_str()));
    }
    found
}

/// The program of `{ jqQuery: … }`.
pub fn program(value: &Value) -> Option<&str> {
    value.as_object().filter(|entries| entries.len() == 1)?.get("jqQuery")?.as_str()
}

fn computed_in<'a>(value: &'a Value, path: &[Segment], found: &mut Vec<(Vec<Segment>, &'a str)>) {
    match (program(value), value) {
        (Some(text), _) => found.push((path.to_vec(), text)),
        (None, Value::Object(entries)) => {
            entries.iter().for_each(|(key, value)| computed_in(value, &join(path, key.as_str()), found));
        }
        (None, Value::Array(items)) => {
            items.iter().enumerate().for_each(|(index, value)| computed_in(value, &join(path, index), found));
        }
        (None, _) => {}
    }
}

/// A query with `change` made of each program in it: the program, and the operator that its value is for.
pub fn resolved<E>(
    value: &Value,
    change: &mut dyn FnMut(&str, &str) -> Result<Value, E>,
) -> Result<Value, E> {
    let Value::Object(entries) = value else {
        return match value {
            Value::Array(items) => items.iter().map(|item| resolved(item, change)).collect(),
            other => Ok(other.clone()),
        };
    };
    let operator = entries.get("operator").and_then(Value::as_str).unwrap_or_default();
    let mut made = serde_json::Map::new();
    for (key, value) in entries {
        let value = match program(value) {
            Some(text) => change(text, operator)?,
            None => resolved(value, change)?,
        };
        made.insert(key.clone(), value);
    }
    Ok(made.into())
}

/// A query in which every rule that only a request or the clock can answer holds: what a form can show.
pub fn relaxed(value: &Value) -> Value {
    match value {
        Value::Object(entries) if entries.contains_key("operator") => {
            let mut found = Vec::new();
            computed_in(value, &[], &mut found);
            if found.is_empty() && !is_timely(value) {
                value.clone()
            } else {
                serde_json::json!({ "combinator": "and", "rules": [] })
            }
        }
        Value::Object(entries) => entries.iter().map(|(key, value)| (key.clone(), relaxed(value))).collect(),
        Value::Array(items) => items.iter().map(relaxed).collect(),
        other => other.clone(),
    }
}

/// Whether the answer of a query depends on when it is asked.
pub fn is_timely(value: &Value) -> bool {
    match value {
        Value::Object(entries) => {
            entries.contains_key("preset")
                || entries.get("operator").is_some_and(|name| name == "isExpired" || name == "isNotExpired")
                || entries.values().any(is_timely)
        }
        Value::Array(items) => items.iter().any(is_timely),
        _ => false,
    }
}

/// The inputs that one is computed after.
pub fn needs<'a>(action: &'a Action, input: &str) -> BTreeSet<&'a str> {
    let listed = action.form.inputs.get(input).into_iter().flat_map(|behaviour| &behaviour.depends_on);
    let listed = listed.filter_map(|name| action.inputs.iter().find(|(input, _)| input == name));
    let spoken = expressions(action, input)
        .into_iter()
        .flat_map(|(_, text)| mentions(action, text, Some(input)).inputs);
    listed.map(|(name, _)| name.as_str()).chain(spoken).collect()
}

/// The inputs, each after those that it is computed from.
///
/// # Errors
/// A circle of inputs that wait for each other.
pub fn order(action: &Action) -> Result<Vec<&str>, Vec<&str>> {
    let mut done = Vec::new();
    for (name, _) in &action.inputs {
        visit(action, name, &mut Vec::new(), &mut done)?;
    }
    Ok(done)
}

fn visit<'a>(
    action: &'a Action,
    name: &'a str,
    way: &mut Vec<&'a str>,
    done: &mut Vec<&'a str>,
) -> Result<(), Vec<&'a str>> {
    if done.contains(&name) {
        return Ok(());
    }
    if let Some(at) = way.iter().position(|before| *before == name) {
        return Err(way[at..].iter().copied().chain([name]).collect());
    }
    way.push(name);
    for next in needs(action, name) {
        visit(action, next, way, done)?;
    }
    way.pop();
    done.push(name);
    Ok(())
}

/// Every expression of an action's form, with where it stands below `trigger`.
fn all_expressions(action: &Action) -> Vec<(Vec<Segment>, &str, Option<&str>)> {
    let inputs = trail!["userInputs"];
    let below = |path: &[Segment]| inputs.iter().chain(path).cloned().collect::<Vec<_>>();
    let mut found: Vec<_> = action
        .inputs
        .iter()
        .flat_map(|(name, _)| {
            expressions(action, name).into_iter().map(move |(path, text)| (path, text, Some(name.as_str())))
        })
        .map(|(path, text, of)| (below(&path), text, of))
        .collect();
    let form = &action.form;
    found.extend(form.required.iter().map(|text| (below(&trail!["required"]), text.as_str(), None)));
    for (name, heading) in &form.titles {
        if let Dynamic::Computed(text) = &heading.visible {
            found.push((below(&trail!["titles", name.as_str(), "visible"]), text, None));
        }
    }
    for (index, validation) in form.validations.iter().enumerate() {
        found.push((below(&trail!["validations", index, "jqQuery"]), &validation.holds, None));
    }
    // Those of a step come with each of its inputs.
    let mut seen = BTreeSet::new();
    found.retain(|(path, ..)| seen.insert(path.clone()));
    found
}

/// Whether what a request means depends on who asks; and whether on their teams.
pub fn asks_who(action: &Action) -> (bool, bool) {
    let of_user: Vec<&str> = all_expressions(action)
        .into_iter()
        .map(|(_, text, _)| text)
        .filter(|text| mentions(action, text, None).user)
        .collect();
    (!of_user.is_empty(), of_user.iter().any(|text| text.contains("teams")))
}

/// Whether an expression speaks of how far the entity has come by scorecards.
fn asks_levels(action: &Action, text: &str) -> bool {
    text.contains("scorecards") && mentions(action, text, None).entity
}

/// Whether what a request means depends on how far its entity has come by scorecards.
pub fn asks_scorecards(action: &Action) -> bool {
    all_expressions(action).into_iter().any(|(_, text, _)| asks_levels(action, text))
}

/// Whether what the scorecards of a blueprint tell depends on when they are asked.
pub fn have_timely_scorecards(definitions: &Definitions, blueprint: &BlueprintId) -> bool {
    scorecards_of(definitions, blueprint).any(|scorecard| queries_of(scorecard).any(is_timely_query))
}

fn scorecards_of<'a>(
    definitions: &'a Definitions,
    blueprint: &'a BlueprintId,
) -> impl Iterator<Item = &'a Scorecard> {
    definitions.scorecards.values().filter(move |scorecard| scorecard.blueprint == *blueprint)
}

fn queries_of(scorecard: &Scorecard) -> impl Iterator<Item = &Query> {
    scorecard.filter.iter().chain(scorecard.rules.iter().map(|rule| &rule.query))
}

fn is_timely_query(query: &Query) -> bool {
    match query {
        Query::All(queries) | Query::Any(queries) => queries.iter().any(is_timely_query),
        Query::Compare { operator, value, .. } | Query::AnyOfType { operator, value, .. } => {
            matches!(operator, Operator::IsExpired | Operator::IsNotExpired) || is_timely(value)
        }
        Query::RelatedTo { .. } | Query::Along { .. } => false,
    }
}

/// The blueprint whose entities a value of this property names.
pub fn points_to(property: &Property) -> Option<BlueprintId> {
    match property.format? {
        Format::Entity => property.blueprint.clone(),
        Format::User => "_user".parse().ok(),
        Format::Team => "_team".parse().ok(),
        Format::Url
        | Format::Email
        | Format::IdnEmail
        | Format::DateTime
        | Format::Ipv4
        | Format::Ipv6
        | Format::Markdown
        | Format::Yaml
        | Format::Proto
        | Format::LabeledUrl
        | Format::Blueprints
        | Format::Timer
        | Format::Duration
        | Format::Secret
        | Format::MultiLine => None,
    }
}

/// Notes everything in which the form of an action cannot be worked with.
pub(super) fn check(definitions: &Definitions, action: &Action, reader: &mut Reader) {
    let trigger = trail!["trigger"];
    let below = |path: &[Segment]| trigger.iter().chain(path).cloned().collect::<Vec<_>>();
    for (path, text, of) in all_expressions(action) {
        let path = below(&path);
        let said = mentions(action, text, of);
        for name in &said.unknown {
            let wrong =
                Wrong::new("unknown-name", &path, format!("speaks of `.form.{name}`, which is not an input"));
            reader.wrong(wrong.did_you_mean(name, action.inputs.iter().map(|(name, _)| name.as_str())));
        }
        if said.entity && action.operation == Operation::Create {
            let wrong = Wrong::new("unknown-name", &path, "speaks of `.entity`, and a CREATE has none yet");
            reader.wrong(wrong.help("use `.form` or `.user`"));
        } else if asks_levels(action, text) {
            check_levels(definitions, action, text, &path, reader);
        }
        if let Some(word) = rights(text) {
            let wrong = Wrong::new("unknown-name", &path, format!("speaks of `.user.{word}`, {NO_ROLES}"));
            reader.wrong(wrong.help(TEAMS_INSTEAD));
        }
    }
    if let Err(circle) = order(action) {
        let way: Vec<String> = circle.iter().map(|name| format!("`{name}`")).collect();
        let path = below(&trail!["userInputs", "properties", circle[0]]);
        let wrong = Wrong::new("input-cycle", &path, format!("waits for itself: {}", way.join(" needs ")));
        reader.wrong(wrong.about_key().help("let one of them not speak of the others; an expression that uses `.form` as a whole speaks of every input, so write `.form.NAME`"));
    }
    for (name, property) in &action.inputs {
        let Some(dataset) = action.form.inputs.get(name).and_then(|behaviour| behaviour.dataset.as_ref())
        else {
            continue;
        };
        let (key, chosen) = match &property.items {
            Some(items) => (trail!["userInputs", "properties", name.as_str(), "items"].to_vec(), &**items),
            None => (trail!["userInputs", "properties", name.as_str()].to_vec(), property),
        };
        let Some(blueprint) = points_to(chosen) else { continue };
        if let Some(query) = &dataset.query {
            check_query(definitions, &blueprint, query, &below(&join(&key, "dataset")), reader);
        }
        if let Some((by, _)) = &dataset.sort {
            let place = below(&join(&join(&key, "sort"), "property"));
            check_property(definitions, &blueprint, by, &place, reader);
        }
    }
    if let Some(condition) = &action.form.condition {
        check_query(definitions, &action.blueprint, condition, &below(&trail!["condition"]), reader);
    }
}

/// What is said of roles.
pub(super) const NO_ROLES: &str = "and nobody has a role here: rights are those of teams, and of the forge";
pub(super) const TEAMS_INSTEAD: &str = "ask for teams, as `.user.teamsIdentifiers | contains([\"platform\"])`; who may ask is said under `execute`";

/// The word for a role of whoever asks, as Port has it, if an expression speaks of one.
pub(super) fn rights(text: &str) -> Option<&str> {
    static RIGHTS: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?:^|[^\w.])\.\s*user\s*\.\s*(roles|mainRole)\b").expect("it is a pattern")
    });
    RIGHTS.captures(text).and_then(|found| found.get(1)).map(|word| word.as_str())
}

/// An expression that asks for levels must find some, and find them without the history.
fn check_levels(
    definitions: &Definitions,
    action: &Action,
    text: &str,
    path: &[Segment],
    reader: &mut Reader,
) {
    static NAMED: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"scorecards\s*\.?\s*(?:\[\s*"([^"]+)"\s*\]|"([^"]+)"|([A-Za-z_]\w*))"#)
            .expect("it is a pattern")
    });
    let known: Vec<&Scorecard> = scorecards_of(definitions, &action.blueprint).collect();
    let names = || known.iter().map(|scorecard| scorecard.identifier.as_str());
    let named: Vec<&str> = NAMED
        .captures_iter(text)
        .filter_map(|found| found.iter().skip(1).flatten().next())
        .map(|name| name.as_str())
        .collect();
    for name in named.iter().filter(|name| !names().any(|known| known == **name)) {
        let message = format!(
            "speaks of the scorecard `{name}`, and none of that name is about `{}`",
            action.blueprint
        );
        reader.wrong(Wrong::new("unknown-name", path, message).did_you_mean(name, names()));
    }
    if known.is_empty() && named.is_empty() {
        let message = format!("speaks of scorecards, and none is about `{}`", action.blueprint);
        reader.wrong(Wrong::new("unknown-name", path, message).help("define one in `scorecards/`"));
    }
    for scorecard in
        known.iter().filter(|scorecard| named.is_empty() || named.contains(&scorecard.identifier.as_str()))
    {
        queries_of(scorecard).for_each(|query| dated(query, path, reader));
    }
}

/// A query as it is before anything is asked: each program stands for a value that fits its operator.
pub(super) fn sample(query: &Value) -> Value {
    let fitting = |_: &str, operator: &str| -> Result<Value, ()> {
        Ok(match operator {
            "in" | "notIn" | "containsAny" | "relatedTo" | "matchAny" => Value::Array(Vec::new()),
            "between" | "notBetween" => serde_json::json!({ "preset": "today" }),
            _ => Value::Null,
        })
    };
    resolved(query, &mut { fitting }).unwrap_or_default()
}

fn check_query(
    definitions: &Definitions,
    blueprint: &BlueprintId,
    query: &Value,
    path: &[Segment],
    reader: &mut Reader,
) {
    // What it is made of was judged when the document was read.
    let Ok(made) = loose_query(&sample(query)) else { return };
    let of = definitions.blueprints.get(blueprint);
    for wrong in of.iter().flat_map(|of| Asked::among(definitions, of).misfits(&made, query, path)) {
        reader.wrong(wrong);
    }
    dated(&made, path, reader);
}

fn dated(query: &Query, path: &[Segment], reader: &mut Reader) {
    let names: Vec<String> = asked_for(query)
        .into_iter()
        .filter(|name| DATED.contains(name))
        .map(|name| format!("`{name}`"))
        .collect();
    if !names.is_empty() {
        let message = format!(
            "asks for {}, which the history tells, and a form does not read that",
            list(&names, "and")
        );
        reader
            .wrong(Wrong::new("invalid-query", path, message).help("ask for a property that entities hold"));
    }
}

fn check_property(
    definitions: &Definitions,
    blueprint: &BlueprintId,
    name: &str,
    path: &[Segment],
    reader: &mut Reader,
) {
    let Some(of) = definitions.blueprints.get(blueprint) else { return };
    if !has(of, name) {
        let message = format!("asks for `{name}`, which is not a property of the blueprint `{blueprint}`");
        reader.wrong(Wrong::new("unknown-property", path, message).did_you_mean(name, alike(of, name)));
    }
}

/// Notes why a program may not be asked.
pub(super) fn check_program(text: &str, path: &[Segment], reader: &mut Reader) {
    if let Err(refusal) = Expression::parse(text) {
        let wrong = Wrong::new("invalid-expression", path, refusal.message);
        reader.wrong(match refusal.help {
            Some(help) => wrong.help(help),
            None => wrong,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{catalog::read_action, domain::RepoPath};

    fn action(properties: &str) -> Action {
        let text = format!(
            "identifier: ask\ntrigger: {{ operation: DAY-2, blueprintIdentifier: x, userInputs: {{ properties: {{ {properties} }} }} }}\n"
        );
        read_action(&"actions/ask.yaml".parse::<RepoPath>().unwrap(), text.as_bytes()).unwrap()
    }

    #[test]
    fn an_expression_speaks_of_what_it_names() {
        let action = action("a: { type: string }, b-c: { type: string }, d: { type: string }");
        for (text, inputs, unknown, user, entity) in [
            (".form.a", &["a"][..], &[][..], false, false),
            (".form[\"b-c\"] + .form.'a' | .form . d", &["a", "b-c", "d"], &[], false, false),
            (". as $all | $all.form.a", &["a"], &[], false, false),
            (".[\"form\"].a + .entity.properties.a", &["a"], &[], false, true),
            (".form.e // .user.email", &[], &["e"], true, false),
            (".form | keys", &["a", "d"], &[], false, false),
            ("[.user, .entity] | .[0].entity", &[], &[], true, true),
        ] {
            let said = mentions(&action, text, Some("b-c"));
            assert_eq!(said.inputs.into_iter().collect::<Vec<_>>(), inputs, "{text}");
            assert_eq!(said.unknown.into_iter().collect::<Vec<_>>(), unknown, "{text}");
            assert_eq!((said.user, said.entity), (user, entity), "{text}");
        }
    }

    #[test]
    fn inputs_come_after_those_that_they_need() {
        let sound = action(
            "a: { type: string, default: { jqQuery: .form.c } }, b: { type: string, dependsOn: [a] }, c: { type: string }",
        );
        assert_eq!(order(&sound), Ok(vec!["c", "a", "b"]));
        let circle = action(
            "a: { type: string, visible: { jqQuery: .form.b } }, b: { type: string, enum: { jqQuery: \".form | keys\" } }",
        );
        assert_eq!(order(&circle), Err(vec!["a", "b", "a"]));
    }
}
