//! Do the rules of an action find whom they speak of?

use std::sync::LazyLock;

use regex::Regex;

use super::super::{
    Definitions,
    asked::Asked,
    derived::walk,
    document::{Reader, join},
    form::{points_to, sample},
    values::{Segment, Wrong, trail},
    view::parse_query,
};
use crate::domain::{Action, Approval, BlueprintId, Execute, Operation, Property, Rule, Way};

/// Notes every way to owners that leads nowhere, and every program that speaks of what is not there: what such a one says of it
/// is nothing, and a rule would not be asked, or refuse everybody.
pub(super) fn check(definitions: &Definitions, action: &Action, reader: &mut Reader) {
    if let Execute::Named(askers) = &action.execute {
        let path = trail!["execute"];
        for wrong in ways(definitions, action, &askers.owners, &join(&path, "owners")) {
            reader.wrong(wrong);
        }
        if let Some(text) = &askers.condition {
            let path = join(&path, "condition");
            for wrong in inputs(action, text, &path) {
                reader.wrong(wrong);
            }
            for name in named(&RESULTS, text).filter(|name| !askers.queries.contains_key(*name)) {
                let message = format!("speaks of `.results.{name}`, which is not one of the queries");
                let wrong = Wrong::new("unknown-name", &path, message);
                reader.wrong(wrong.did_you_mean(name, askers.queries.keys().map(String::as_str)));
            }
        }
        for (name, asked) in &askers.queries {
            let path = join(&join(&path, "queries"), name.as_str());
            let Some(of) = super::blueprint(definitions, &asked.blueprint, &join(&path, "blueprint"), reader)
            else {
                continue;
            };
            // What it is made of was judged when the document was read.
            let Ok(query) = parse_query(&sample(&asked.query)) else { continue };
            for wrong in Asked::among(definitions, of).misfits(&query, &asked.query, &path) {
                reader.wrong(wrong);
            }
        }
    }
    if let Approval::Rules(rules) = &action.approval {
        let path = trail!["approval", "rules"];
        for (index, rule) in rules.iter().enumerate() {
            for wrong in misfits(definitions, action, rule, &join(&path, index)) {
                reader.wrong(wrong);
            }
        }
    }
}

/// Everything in which a rule of approval does not fit an action.
pub(in crate::catalog) fn misfits(
    definitions: &Definitions,
    action: &Action,
    rule: &Rule,
    path: &[Segment],
) -> Vec<Wrong> {
    let mut found = ways(definitions, action, &rule.owners, &join(path, "owners"));
    for (program, key) in [(&rule.when, "when"), (&rule.approvers, "approvers")] {
        if let Some(text) = program {
            found.extend(inputs(action, text, &join(path, key)));
        }
    }
    let opens_pulls = action.steps.iter().any(|step| step.pull_request().is_some());
    if rule.code_owners && !opens_pulls {
        let wrong = Wrong::new(
            "misplaced-key",
            &join(path, "codeOwners"),
            "has no effect: no step opens a pull request",
        );
        found.push(wrong.about_key().help("name teams, or owners of what is asked about"));
    }
    found
}

static INPUTS: LazyLock<Regex> = LazyLock::new(|| below("inputs"));
static RESULTS: LazyLock<Regex> = LazyLock::new(|| below("results"));

/// What a program says below a name at its root: `.inputs.size`, `.inputs["size"]`.
fn below(root: &str) -> Regex {
    let pattern = format!(
        r#"(?:^|[^\w\]\)"'])\.\s*{root}(?:\s*\.?\s*\[\s*["']([^"']+)["']\s*\]|\s*\.\s*["']([^"']+)["']|\s*\.\s*([A-Za-z_]\w*))"#
    );
    Regex::new(&pattern).expect("it is a pattern")
}

fn named<'a>(pattern: &'static Regex, text: &'a str) -> impl Iterator<Item = &'a str> {
    pattern
        .captures_iter(text)
        .filter_map(|said| said.iter().skip(1).flatten().next())
        .map(|name| name.as_str())
}

fn inputs(action: &Action, text: &str, path: &[Segment]) -> Vec<Wrong> {
    let unknown = named(&INPUTS, text).filter(|name| action.input(name).is_none());
    let wrong = unknown.map(|name| {
        let message = format!("speaks of `.inputs.{name}`, which is not an input of the action");
        let known = action.inputs.iter().map(|(name, _)| name.as_str());
        Wrong::new("unknown-input", path, message).did_you_mean(name, known)
    });
    wrong.collect()
}

fn ways(definitions: &Definitions, action: &Action, ways: &[Way], path: &[Segment]) -> Vec<Wrong> {
    let (all, unusable) = (&definitions.blueprints, &definitions.unusable.blueprints);
    let wrong = ways.iter().filter_map(|way| {
        let start = match start(action, way, path) {
            Ok(start) => start,
            Err(wrong) => return Some(wrong),
        };
        walk(definitions.blueprints.get(&start)?, &way.relations, path, all, unusable).err()
    });
    wrong.collect()
}

/// The blueprint that a way begins at.
fn start(action: &Action, way: &Way, path: &[Segment]) -> Result<BlueprintId, Wrong> {
    let input = action.input(&way.start);
    let of_items = |input: &Property| input.items.as_deref().and_then(points_to);
    let target = input.and_then(|input| points_to(input).or_else(|| of_items(input)));
    if let Some(target) = target {
        return Ok(target);
    }
    if way.is_of_entity() && action.operation != Operation::Create && input.is_none() {
        return Ok(action.blueprint.clone());
    }
    let name = &way.start;
    let (message, help) = match (input, way.is_of_entity()) {
        (Some(_), _) => (
            format!("begins at the input `{name}`, which names no entity"),
            "give the input the format `entity`, `team` or `user`",
        ),
        (None, true) => (
            "begins at the entity, and a CREATE is asked about none".to_owned(),
            "begin at an input of the format `entity`",
        ),
        (None, false) => (
            format!("begins at `{name}`, which is not an input of the action"),
            "begin at `entity`, or at an input of the format `entity`",
        ),
    };
    Err(Wrong::new("invalid-path", path, message).help(help))
}
