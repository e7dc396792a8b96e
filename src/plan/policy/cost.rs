//! What may it cost? A program says what a request adds; what is spent already is a property of entities. What requests that
//! came before will bring is counted with it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    super::{
        asking::{self, Changed},
        facts::{Looked, Pending},
        plan_file::EntityOperation,
    },
    Case, Finding, MEND, history,
};
use crate::{
    domain::{BlueprintId, Cost, Search, Spent},
    expr::{Expression, Input},
};

/// The ceiling of a policy.
pub(super) fn judge(case: &Case<'_>) -> Looked<Vec<Finding>> {
    let Some(cost) = &case.policy.effects.cost else { return Ok(Vec::new()) };
    let mut added: f64 = 0.0;
    for context in case.contexts {
        match estimate(cost, context) {
            Ok(estimate) => added = added.max(estimate),
            Err(why) => {
                let message =
                    format!("`cost.estimate` of the policy `{}` fails: {why}", case.policy.identifier);
                return Ok(vec![Finding::Refused(
                    case.diagnostic("policy-failed", "cost.estimate", message).help(MEND),
                )]);
            }
        }
    }
    if added <= 0.0 {
        return Ok(Vec::new());
    }
    let teams = match teams(case, cost)? {
        Ok(teams) => teams,
        Err(finding) => return Ok(vec![finding]),
    };
    let under_way = history::under_way(case);
    let mut spent = Vec::new();
    let mut pending = false;
    for team in &teams {
        match cost.spent.as_ref().map_or(Ok(Ok(0.0)), |said| already(case, said, team.as_deref())) {
            Err(Pending) => pending = true,
            Ok(sum) => spent.push(sum),
        }
    }
    let under_way = match under_way? {
        Ok(under_way) => under_way,
        Err(why) => return Ok(vec![case.unknown("cost", &why)]),
    };
    let mut coming = Vec::new();
    for (_, plan) in &under_way {
        match asking::entities(case.site, &plan.entities) {
            Err(Pending) => pending = true,
            Ok(Ok(changed)) => coming.extend(changed),
            Ok(Err(why)) => return Ok(vec![case.unknown("cost", &why)]),
        }
    }
    if pending {
        return Err(Pending);
    }
    let mut findings = Vec::new();
    for (team, spent) in teams.iter().zip(spent) {
        let spent = match spent {
            Ok(spent) => spent,
            Err(why) => return Ok(vec![case.unknown("cost.spent", &why)]),
        };
        let more = cost.spent.as_ref().map_or(0.0, |said| {
            coming.iter().map(|one| difference(one, said, team.as_deref())).sum::<f64>().max(0.0)
        });
        let whose = team.as_ref().map_or_else(String::new, |team| format!(" for the team `{team}`"));
        let help = "ask for something cheaper, give up something else, or ask the platform team to raise the ceiling";
        let ceiling = cost.ceiling;
        if spent + added > ceiling {
            let message = format!(
                "has a ceiling of {ceiling}{whose}: {} are spent, and this adds {}",
                amount(spent),
                amount(added)
            );
            findings.push(Finding::Refused(case.refusal("policy-cost", "cost", &message, help)));
        } else if spent + more + added > ceiling {
            let message = format!(
                "has a ceiling of {ceiling}{whose}: {} are spent, this adds {}, and {} may add {} before it",
                amount(spent),
                amount(added),
                history::names(&under_way),
                amount(more)
            );
            findings.push(Finding::Unclear(case.refusal(
                "policy-cost",
                "cost",
                &message,
                "wait for their end",
            )));
        } else {
            let (spent, added) = (amount(spent + more), amount(added));
            let noted = format!("{spent} of {ceiling}{whose} are spent, and this adds {added}");
            findings.push(Finding::Noted(noted));
        }
    }
    Ok(findings)
}

fn amount(number: f64) -> String {
    let rounded = (number * 100.0).round() / 100.0;
    rounded.to_string()
}

fn estimate(cost: &Cost, context: &Input) -> Result<f64, String> {
    let expression = Expression::parse(&cost.estimate).map_err(|refusal| refusal.message)?;
    let answer = expression.first(context)?;
    answer.as_f64().ok_or_else(|| format!("it gives `{answer}`, which is no number"))
}

/// Whose ceilings are concerned: the teams that own what is changed, or else those of the people who ask.
fn teams(case: &Case<'_>, cost: &Cost) -> Looked<Result<Vec<Option<String>>, Finding>> {
    if !cost.per_team {
        return Ok(Ok(vec![None]));
    }
    let mut teams: BTreeSet<String> = match asking::entities(case.site, case.asking.entities)? {
        Ok(changed) => changed.into_iter().flat_map(|one| one.entity.team).collect(),
        Err(why) => return Ok(Err(case.unknown("cost.per", &why))),
    };
    if teams.is_empty() {
        match super::limit::teams_of(case)? {
            Ok(found) => teams.extend(found.into_iter().map(|(team, _)| team.as_str().to_owned())),
            Err(why) => return Ok(Err(case.unknown("cost.per", &why))),
        }
    }
    if teams.is_empty() && case.asking.people.is_empty() {
        return Ok(Err(case.nobody_named("cost.per")));
    }
    if teams.is_empty() {
        let message =
            "has a ceiling for each team, and neither what is asked for nor whoever asks has a team";
        let help = "have a member of a team ask for it";
        return Ok(Err(Finding::Refused(case.refusal("policy-cost", "cost.per", message, help))));
    }
    Ok(Ok(teams.into_iter().map(Some).collect()))
}

/// The sum of the property over the entities of a team, or over all.
fn already(case: &Case<'_>, spent: &Spent, team: Option<&str>) -> Looked<Result<f64, String>> {
    let site = case.site;
    let has = |blueprint: &BlueprintId| {
        let of = site.definitions.blueprints.get(blueprint);
        of.is_some_and(|of| of.property(&spent.property).is_some())
    };
    let blueprints: BTreeSet<&BlueprintId> = if spent.blueprints.is_empty() {
        site.definitions.blueprints.keys().filter(|name| has(name)).collect()
    } else {
        spent.blueprints.iter().collect()
    };
    let rules: Vec<Value> = team
        .iter()
        .map(|team| json!({ "property": "$team", "operator": "contains", "value": team }))
        .chain([json!({ "property": spent.property, "operator": "isNotEmpty" })])
        .collect();
    let query = json!({ "combinator": "and", "rules": rules }).to_string();
    let (mut pending, mut unknown, mut sum) = (false, None, 0.0);
    for blueprint in blueprints {
        let search = Search {
            blueprint: blueprint.clone(),
            queries: vec![query.clone()],
            sort: None,
            now: None,
            changes: Vec::new(),
        };
        match site.look.sums(site.catalog, search, &spent.property) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => unknown = Some(format!("what is spent could not be learnt: {why}")),
            Ok(Ok(sums)) => sum += sums.iter().sum::<f64>(),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(sum), Err))
}

/// What a change that is not in the catalog yet adds.
fn difference(one: &Changed, spent: &Spent, team: Option<&str>) -> f64 {
    let of = |properties: &serde_json::Map<String, Value>| {
        properties.get(&spent.property).and_then(Value::as_f64).unwrap_or_default()
    };
    let counts = spent.blueprints.is_empty() || spent.blueprints.contains(&one.entity.blueprint);
    let is_theirs = |teams: &[String]| team.is_none_or(|team| teams.iter().any(|one| one == team));
    if !counts {
        return 0.0;
    }
    let before = one.before.as_ref().filter(|before| is_theirs(&before.team));
    let before = before.map_or(0.0, |before| of(&before.properties));
    let stays = one.change != EntityOperation::Delete && is_theirs(&one.entity.team);
    let after = if stays { of(&one.entity.properties) } else { 0.0 };
    after - before
}
