//! How many may there be? Entities are counted as they will be, with what requests that came before will bring; requests as
//! they came to the default branch.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{
    super::{
        asking::{self, Asking},
        facts::{Looked, Pending},
        writeback,
    },
    Case, Finding, history,
};
use crate::{
    catalog::{self, form},
    domain::{
        BlueprintId, Bytes, Counted, Entity, Identifier, Limit, Login, Ownership, Per, RepoPath, Search,
        TeamSlug, Timestamp,
        later::{self, Piece},
    },
    expr::Expression,
    plan::{
        people,
        plan_file::{EntityOperation, PlannedEntity},
    },
};

/// Of so many requests that came before `when` is asked; more cannot be judged.
const MOST_ASKED: usize = 200;

/// The limit of a policy.
pub(super) fn judge(case: &Case<'_>) -> Looked<Vec<Finding>> {
    let Some(limit) = &case.policy.effects.limit else { return Ok(Vec::new()) };
    match &limit.of {
        Counted::Entities { blueprint, query, per_team } => {
            entities(case, limit, blueprint, query.as_deref(), *per_team)
        }
        Counted::Requests { within, per, matching } => requests(case, limit, *within, *per, *matching),
    }
}

fn entities(
    case: &Case<'_>,
    limit: &Limit,
    blueprint: &BlueprintId,
    query: Option<&str>,
    per_team: bool,
) -> Looked<Vec<Finding>> {
    let touches = |planned: &PlannedEntity| {
        super::entity_id(&planned.entity).is_some_and(|id| id.blueprint == *blueprint)
    };
    if !case.asking.entities.iter().any(touches) {
        return Ok(Vec::new());
    }
    // What can be asked is asked together: each answer that is awaited costs a look at the world.
    let under_way = history::under_way(case);
    let now = match super::now(case.site)? {
        Ok(now) => now,
        Err(why) => return Ok(vec![case.unknown("limit", &why)]),
    };
    let (own, groups) = (Coming::read(case, case.asking.entities, now), groups(case, blueprint, per_team));
    let (own, groups) = match (own?, groups?) {
        (Ok(own), Ok(groups)) => (own, groups),
        (Err(why), _) | (_, Err(why)) => return Ok(vec![case.unknown("limit", &why)]),
    };
    let search = Search {
        blueprint: blueprint.clone(),
        queries: queries(&groups, query),
        sort: None,
        now: query.filter(|text| is_timely(text)).map(|_| now),
        changes: Vec::new(),
    };
    let before = counts(case, &search, &groups, &[]);
    let after = counts(case, &search, &groups, &[&own]);
    let under_way = match under_way? {
        Ok(under_way) => under_way,
        Err(why) => return Ok(vec![case.unknown("limit", &why)]),
    };
    let others: Vec<_> = under_way.iter().map(|(_, plan)| Coming::read(case, &plan.entities, now)).collect();
    // What the catalog does not allow will not come to be.
    let others: Vec<Coming> = others.into_iter().collect::<Looked<Vec<_>>>()?.into_iter().flatten().collect();
    let coming: Vec<&Coming> = others.iter().chain([&own]).collect();
    let all = if others.is_empty() { Ok(Ok(Vec::new())) } else { counts(case, &search, &groups, &coming) };
    let (before, after, all) = match (before?, after?, all?) {
        (Ok(before), Ok(after), Ok(all)) => (before, after, all),
        (Err(why), ..) | (_, Err(why), _) | (_, _, Err(why)) => return Ok(vec![case.unknown("limit", &why)]),
    };
    let most = limit.count as usize;
    let mut findings = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let count = |counts: &[usize]| counts.get(index).copied().unwrap_or_default();
        let (before, after, all) = (count(&before), count(&after), count(&all));
        if after <= before {
            continue;
        }
        let of = match group {
            Group::All => String::new(),
            Group::Team(team) => format!(" of the team `{team}`"),
            Group::NoTeam => " without a team".to_owned(),
        };
        let help = "remove one that is not needed any more, or ask the platform team for more";
        if after > most {
            let message = format!("allows {most} of `{blueprint}`{of}, and this would be number {after}");
            findings.push(Finding::Refused(case.refusal("policy-limit", "limit", &message, help)));
        } else if all > most {
            let message = format!(
                "allows {most} of `{blueprint}`{of}, and this may be one too many: {} came before and {} under way",
                history::names(&under_way),
                if under_way.len() == 1 { "is" } else { "are" }
            );
            let help = "wait for their end";
            findings.push(Finding::Unclear(case.refusal("policy-limit", "limit", &message, help)));
        } else {
            let number = all.max(after);
            findings
                .push(Finding::Noted(format!("this would be number {number} of {most} `{blueprint}`{of}")));
        }
    }
    Ok(findings)
}

fn is_timely(query: &str) -> bool {
    serde_json::from_str::<Value>(query).is_ok_and(|query| form::is_timely(&query))
}

/// What a plan brings.
struct Coming {
    files: Vec<(RepoPath, Option<Bytes>)>,
    new: Vec<Entity>,
}

impl Coming {
    /// What entities would say, as far as it is known: a time after the merge is seen from now.
    fn read(case: &Case<'_>, planned: &[PlannedEntity], now: Timestamp) -> Looked<Result<Self, String>> {
        let known: Vec<PlannedEntity> = planned
            .iter()
            .map(|one| PlannedEntity { fields: known(&one.fields, now), ..one.clone() })
            .collect();
        let source = case.site.definitions.settings.folders.entities.as_str();
        let (files, changed) =
            (writeback::apply(case.site, &known, source), asking::entities(case.site, planned));
        let files = match files? {
            Ok(applied) => applied.files.into_iter().map(|(path, versions)| (path, versions.after)).collect(),
            // What is required may be known only later: it is counted all the same.
            Err(problems) if problems.iter().all(|one| one.code.0 == "missing-key") => Vec::new(),
            Err(problems) => {
                return Ok(Err(problems.first().map_or_else(String::new, |problem| problem.message.clone())));
            }
        };
        let is_new = |one: &asking::Changed| one.change == EntityOperation::Create;
        Ok(changed?.map(|changed| {
            let new = changed.into_iter().filter(is_new).map(|one| one.entity).collect();
            Self { files, new }
        }))
    }
}

/// The fields without what only steps will tell.
fn known(fields: &Map<String, Value>, now: Timestamp) -> Map<String, Value> {
    let value = |value: &Value| {
        let filled = later::filled(value, &mut |piece| {
            Ok::<_, String>(match piece {
                Piece::Merged(amount) => now.after(amount).map(|at| at.to_string().into()),
                Piece::Text(_) | Piece::Output(..) | Piece::Secret(_) => None,
            })
        });
        filled.ok().filter(|value| !later::needs_outputs(value))
    };
    let one = |(name, said): (&String, &Value)| match said {
        Value::Object(properties) if name == "properties" => {
            let known = properties.iter().filter_map(|(name, said)| Some((name.clone(), value(said)?)));
            Some((name.clone(), Value::Object(known.collect())))
        }
        said => Some((name.clone(), value(said)?)),
    };
    fields.iter().filter_map(one).collect()
}

/// How many each group would have. What cannot be read as it is planned, since something required is not known yet, counts
/// whatever the query asks for.
fn counts(
    case: &Case<'_>,
    search: &Search,
    groups: &[Group],
    coming: &[&Coming],
) -> Looked<Result<Vec<usize>, String>> {
    let site = case.site;
    let changes: BTreeMap<RepoPath, Option<Bytes>> =
        coming.iter().flat_map(|one| one.files.iter().cloned()).collect();
    // Where each entity's own file tells, the catalog is asked once for all requests, and only what they change is looked at.
    let by_each = catalog::is_told_by_each(site.definitions, search);
    let asked = match by_each {
        true => search.clone(),
        false => Search { changes: changes.clone().into_iter().collect(), ..search.clone() },
    };
    let found = match site.look.search(site.catalog, asked)? {
        Ok(found) => found,
        Err(why) => return Ok(Err(format!("the entities could not be counted: {why}"))),
    };
    let (mut gone, mut come) = (BTreeSet::new(), Vec::new());
    if by_each && !changes.is_empty() {
        let ids = changes.keys().filter_map(|path| catalog::entity_at(&site.definitions.settings, path));
        gone = ids.filter(|id| id.blueprint == search.blueprint).map(|id| id.identifier).collect();
        let files = changes.into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
        come = match catalog::search(site.definitions, &files, search) {
            Ok(come) => come,
            Err(why) => return Ok(Err(format!("the entities could not be counted: {why}"))),
        };
    }
    // What is found is in the order of identifiers.
    let has = |list: Option<&Vec<Identifier>>, id: &Identifier| {
        list.is_some_and(|list| list.binary_search(id).is_ok())
    };
    let is_readable = |id: &Identifier| has(come.last(), id) || has(found.last(), id) && !gone.contains(id);
    let new = coming.iter().flat_map(|one| &one.new).filter(|entity| entity.blueprint == search.blueprint);
    let unread: Vec<&Entity> = new.filter(|entity| !is_readable(&entity.identifier)).collect();
    let count = |index: usize| {
        let ends = gone.iter().filter(|id| has(found.get(index), id)).count();
        found.get(index).map_or(0, Vec::len) - ends + come.get(index).map_or(0, Vec::len)
    };
    let of = |(index, group): (usize, &Group)| {
        let belongs = |entity: &&&Entity| match group {
            Group::All => true,
            Group::Team(team) => entity.team.is_empty() || entity.team.contains(team),
            Group::NoTeam => entity.team.is_empty(),
        };
        count(index) + unread.iter().filter(belongs).count()
    };
    Ok(Ok(groups.iter().enumerate().map(of).collect()))
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    All,
    Team(String),
    NoTeam,
}

/// The groups that the entities of this request may belong to.
fn groups(case: &Case<'_>, blueprint: &BlueprintId, per_team: bool) -> Looked<Result<Vec<Group>, String>> {
    if !per_team {
        return Ok(Ok(vec![Group::All]));
    }
    let site = case.site;
    let of = site.definitions.blueprints.get(blueprint).and_then(|of| of.ownership.as_ref());
    let mut groups = BTreeSet::new();
    match of {
        // Who inherits it is known only to the whole catalog.
        Some(Ownership::Inherited { .. }) => {
            let teams = "_team".parse().expect("a built-in blueprint has a proper name");
            match site.look.entities(site.catalog, &teams)? {
                Ok(teams) => groups.extend(teams.iter().map(|team| Group::Team(team.as_str().to_owned()))),
                Err(why) => return Ok(Err(why.to_string())),
            }
            groups.insert(Group::NoTeam);
        }
        _ => match asking::entities(site, case.asking.entities)? {
            Err(why) => return Ok(Err(why)),
            Ok(changed) => {
                for one in changed.iter().filter(|one| one.entity.blueprint == *blueprint) {
                    groups.extend(one.entity.team.iter().cloned().map(Group::Team));
                    if one.entity.team.is_empty() {
                        groups.insert(Group::NoTeam);
                    }
                }
            }
        },
    }
    Ok(Ok(groups.into_iter().collect()))
}

fn queries(groups: &[Group], query: Option<&str>) -> Vec<String> {
    let own = query.and_then(|text| serde_json::from_str::<Value>(text).ok());
    let of = |group: &Group| {
        let team = match group {
            Group::All => None,
            Group::Team(team) => Some(json!({ "property": "$team", "operator": "contains", "value": team })),
            Group::NoTeam => Some(json!({ "property": "$team", "operator": "=", "value": [] })),
        };
        let rules: Vec<Value> = own.iter().cloned().chain(team).collect();
        json!({ "combinator": "and", "rules": rules }).to_string()
    };
    let everything = json!({ "combinator": "and", "rules": [] }).to_string();
    groups.iter().map(of).chain([everything]).collect()
}

fn requests(case: &Case<'_>, limit: &Limit, within: i64, per: Per, matching: bool) -> Looked<Vec<Finding>> {
    let before = match history::merged_within(case, within)? {
        Ok(before) => before,
        Err(why) => return Ok(vec![case.unknown("limit", &why)]),
    };
    let mut concerned: Vec<&history::Before> = before
        .iter()
        .filter(|one| {
            let concerns = &case.policy.concerns;
            // What it was about is not known any more: it counts.
            one.action.as_ref().is_none_or(|action| concerns.covers(action, one.blueprint.iter()))
        })
        .collect();
    if matching {
        if concerned.len() > MOST_ASKED {
            let why = format!(
                "{} requests came in that time, and `when` is asked of {MOST_ASKED} at most",
                concerned.len()
            );
            return Ok(vec![case.unknown("limit", &why)]);
        }
        let asked: Vec<_> = concerned.iter().map(|one| is_like(case, one)).collect();
        match asked.into_iter().collect::<Looked<Result<Vec<bool>, String>>>()? {
            Err(why) => return Ok(vec![case.unknown("limit", &why)]),
            Ok(holds) => {
                let mut holds = holds.into_iter();
                concerned.retain(|_| holds.next().unwrap_or(true));
            }
        }
    }
    let (action, blueprint) = (&case.asking.action.identifier, &case.asking.action.blueprint);
    let mut counts: Vec<(String, usize)> = Vec::new();
    let count = |fits: &dyn Fn(&history::Before) -> bool| concerned.iter().filter(|one| fits(one)).count();
    match per {
        Per::All => counts.push((String::new(), concerned.len())),
        Per::Action => counts.push((
            format!(" for `{action}`"),
            count(&|one| one.action.as_ref().is_none_or(|other| other == action)),
        )),
        Per::Blueprint => counts.push((
            format!(" about `{blueprint}`"),
            count(&|one| one.blueprint.as_ref().is_none_or(|other| other == blueprint)),
        )),
        Per::User => {
            for login in case.asking.people {
                counts.push((format!(" of `{login}`"), count(&|one| one.people.contains(login))));
            }
        }
        Per::Team => match teams_of(case)? {
            Err(why) => return Ok(vec![case.unknown("limit", &why)]),
            Ok(teams) => {
                for (team, members) in teams {
                    let is_theirs = |one: &history::Before| !one.people.is_disjoint(&members);
                    counts.push((format!(" of the team `{team}`"), count(&is_theirs)));
                }
            }
        },
    }
    if counts.is_empty() && case.asking.people.is_empty() && !concerned.is_empty() {
        return Ok(vec![case.nobody_named("limit")]);
    }
    let most = limit.count as usize;
    let judged = counts.into_iter().map(|(of, count)| {
        let requests = if most == 1 { "request" } else { "requests" };
        if count < most {
            let message =
                format!("{count} came before this one, of {most} {requests}{of} in {}", in_words(within));
            return Finding::Noted(message);
        }
        let message =
            format!("allows {most} {requests}{of} in {}, and {count} came before this one", in_words(within));
        let help = "wait until fewer have come lately, or ask the platform team for more";
        Finding::Refused(case.refusal("policy-limit", "limit", &message, help))
    });
    Ok(judged.collect())
}

/// Whether the policy's `when` holds of a request that came before: of what was asked and planned then, by whom, and of people and
/// entities as they are now. Where that cannot be asked any more it counts.
fn is_like(case: &Case<'_>, before: &history::Before) -> Looked<Result<bool, String>> {
    let Some(text) = &case.policy.when else { return Ok(Ok(true)) };
    let site = case.site;
    let plan = match history::plan(site, &before.request)? {
        Ok(Some(plan)) => plan,
        Ok(None) => return Ok(Ok(true)),
        Err(why) => return Ok(Err(why)),
    };
    let Some(action) = site.definitions.actions.get(&plan.asked.action) else { return Ok(Ok(true)) };
    let accepted = match asking::accepted(site, &action.value, &plan)? {
        Ok(accepted) => accepted,
        Err(why) => return Ok(Err(why)),
    };
    let asking = Asking {
        action: &action.value,
        accepted: &accepted,
        people: &before.people,
        steps: &plan.steps,
        entities: &plan.entities,
    };
    let contexts = match asking::contexts(site, &asking, super::asks_teams(text))? {
        Ok(contexts) => contexts,
        Err(why) => return Ok(Err(why)),
    };
    let Ok(expression) = Expression::parse(text) else { return Ok(Ok(true)) };
    Ok(Ok(contexts.iter().any(|context| expression.holds(context).unwrap_or(true))))
}

/// Teams with their members.
type Teams = Vec<(TeamSlug, BTreeSet<Login>)>;

/// The teams of those who ask, with their members.
pub(super) fn teams_of(case: &Case<'_>) -> Looked<Result<Teams, String>> {
    let site = case.site;
    let teams = "_team".parse().expect("a built-in blueprint has a proper name");
    let known = match site.look.entities(site.catalog, &teams)? {
        Ok(known) => known,
        Err(why) => return Ok(Err(format!("the teams could not be read: {why}"))),
    };
    let (mut found, mut pending) = (Vec::new(), false);
    for team in known.iter().filter_map(|team| team.as_str().parse::<TeamSlug>().ok()) {
        match people::members(site.look, site.definitions, site.catalog, &team) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => return Ok(Err(why)),
            Ok(Ok(members)) if members.is_disjoint(case.asking.people) => {}
            Ok(Ok(members)) => found.push((team, members)),
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(found)) }
}

/// An amount of time, for people.
fn in_words(seconds: i64) -> String {
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let (length, word) = units.into_iter().find(|(length, _)| seconds % length == 0).unwrap_or((1, "second"));
    match seconds / length {
        1 => format!("one {word}"),
        many => format!("{many} {word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn amounts_of_time_are_told_in_their_largest_unit() {
        for (seconds, words) in
            [(86_400, "one day"), (604_800, "7 days"), (5_400, "90 minutes"), (61, "61 seconds")]
        {
            assert_eq!(in_words(seconds), words);
        }
    }
}
