//! Who is meant? Members of teams, and owners of entities.

use std::collections::BTreeSet;

use crate::{
    catalog::{Definitions, form::points_to},
    domain::{Action, EntityId, Identifier, Login, ObjectId, Ownership, TeamSlug, Way},
    intake::Accepted,
    plan::{
        build::Site,
        facts::{Looked, Looker, Pending},
        read,
    },
};

/// The most entities that ways to owners may lead to.
const MOST: usize = 100;

/// The members of a team: those of the `_team` entity, or, where that names a team of the forge, of that.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why the team is not known.
pub(super) fn members(
    look: &Looker<'_>,
    definitions: &Definitions,
    commit: ObjectId,
    team: &TeamSlug,
) -> Looked<Result<BTreeSet<Login>, String>> {
    let id = match team.as_str().parse() {
        Ok(identifier) => EntityId { blueprint: built_in("_team"), identifier },
        Err(_) => return Ok(Err(format!("the team `{team}` is not in the catalog"))),
    };
    let entity = match read::entity(look, definitions, commit, &id)? {
        Ok(Some(entity)) => entity,
        Ok(None) => return Ok(Err(format!("the team `{team}` is not in the catalog"))),
        Err(why) => return Ok(Err(why)),
    };
    if let Some(github) = entity.properties.get("github").and_then(|value| value.as_str()) {
        return of_forge(look, github);
    }
    Ok(Ok(entity.related("members").into_iter().filter_map(|login| login.parse().ok()).collect()))
}

/// The members of a team of the forge, `organisation/slug`.
///
/// # Errors
/// `Pending` while the answer is awaited; inside, why they are not known.
pub(super) fn of_forge(look: &Looker<'_>, team: &str) -> Looked<Result<BTreeSet<Login>, String>> {
    Ok(match look.members(team)? {
        Ok(members) => Ok(members.clone()),
        Err(why) => Err(format!("the members of the team `{team}` could not be read: {why}")),
    })
}

/// Whoever owns an entity: the members of its teams, or of those at the end of its blueprint's path. A person owns
/// themselves, and a team is its members.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why nobody does.
pub(super) fn owners(
    look: &Looker<'_>,
    definitions: &Definitions,
    commit: ObjectId,
    id: &EntityId,
) -> Looked<Result<BTreeSet<Login>, String>> {
    match id.blueprint.as_str() {
        "_user" => {
            return Ok(id
                .identifier
                .as_str()
                .parse()
                .map(|login| [login].into())
                .map_err(|_| format!("`{id}` is no login")));
        }
        "_team" => {
            return match id.identifier.as_str().parse() {
                Ok(team) => members(look, definitions, commit, &team),
                Err(_) => Ok(Err(format!("`{id}` is no team"))),
            };
        }
        _ => {}
    }
    let teams = match owning_teams(look, definitions, commit, id)? {
        Ok(teams) => teams,
        Err(why) => return Ok(Err(why)),
    };
    let (mut people, mut pending) = (BTreeSet::new(), false);
    for team in teams {
        let Ok(team) = team.parse() else {
            return Ok(Err(format!("`{id}` is owned by `{team}`, which is no team")));
        };
        match members(look, definitions, commit, &team) {
            Err(Pending) => pending = true,
            Ok(Ok(members)) => people.extend(members),
            Ok(Err(why)) => return Ok(Err(why)),
        }
    }
    if pending { Err(Pending) } else { Ok(Ok(people)) }
}

/// The teams that own an entity: its own, or those of the entities at the end of its blueprint's path.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why none does.
pub(super) fn owning_teams(
    look: &Looker<'_>,
    definitions: &Definitions,
    commit: ObjectId,
    id: &EntityId,
) -> Looked<Result<BTreeSet<String>, String>> {
    let inherits =
        match definitions.blueprints.get(&id.blueprint).and_then(|blueprint| blueprint.ownership.as_ref()) {
            Some(Ownership::Inherited { path }) => path.split('.').map(str::to_owned).collect(),
            Some(Ownership::Direct) | None => Vec::new(),
        };
    let ends = match follow(look, definitions, commit, vec![id.clone()], &inherits)? {
        Ok(ends) => ends,
        Err(why) => return Ok(Err(why)),
    };
    let mut teams = BTreeSet::new();
    let mut pending = false;
    for end in &ends {
        match read::entity(look, definitions, commit, end) {
            Err(Pending) => pending = true,
            Ok(Ok(Some(entity))) => teams.extend(entity.team.iter().cloned()),
            Ok(Ok(None)) => return Ok(Err(format!("`{end}` is not in the catalog"))),
            Ok(Err(why)) => return Ok(Err(why)),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(if teams.is_empty() { Err(format!("`{id}` is owned by no team")) } else { Ok(teams) })
}

/// The entities that a way leads to from what was asked.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why it leads nowhere.
pub(super) fn reached(
    site: &Site<'_>,
    action: &Action,
    accepted: &Accepted,
    way: &Way,
) -> Looked<Result<Vec<EntityId>, String>> {
    let mut start = Vec::new();
    match action.input(&way.start) {
        Some(input) => {
            let of_items = || input.items.as_deref().and_then(points_to);
            let Some(blueprint) = points_to(input).or_else(of_items) else {
                return Ok(Err(format!("the input `{}` names no entity", way.start)));
            };
            let said = accepted.request.inputs.get(&way.start);
            let names = match said {
                Some(serde_json::Value::Array(items)) => items.iter().collect(),
                said => said.into_iter().collect::<Vec<_>>(),
            };
            for name in names.into_iter().filter_map(|name| name.as_str()?.parse::<Identifier>().ok()) {
                start.push(EntityId { blueprint: blueprint.clone(), identifier: name });
            }
        }
        None if way.is_of_entity() => start.extend(accepted.entity.as_ref().map(|entity| entity.id())),
        None => return Ok(Err(format!("`{}` is no input", way.start))),
    }
    if start.is_empty() {
        return Ok(Err(format!("the input `{}` has no value", way.start)));
    }
    let ends = match follow(site.look, site.definitions, site.catalog, start, &way.relations)? {
        Ok(ends) => ends,
        Err(why) => return Ok(Err(why)),
    };
    Ok(if ends.is_empty() { Err(format!("`{way}` leads to nothing")) } else { Ok(ends) })
}

fn follow(
    look: &Looker<'_>,
    definitions: &Definitions,
    commit: ObjectId,
    start: Vec<EntityId>,
    relations: &[String],
) -> Looked<Result<Vec<EntityId>, String>> {
    let mut at = start;
    for name in relations {
        let mut next = BTreeSet::new();
        let mut pending = false;
        for id in &at {
            let entity = match read::entity(look, definitions, commit, id) {
                Err(Pending) => {
                    pending = true;
                    continue;
                }
                Ok(Ok(Some(entity))) => entity,
                Ok(Ok(None)) => return Ok(Err(format!("`{id}` is not in the catalog"))),
                Ok(Err(why)) => return Ok(Err(why)),
            };
            let blueprint = definitions.blueprints.get(&id.blueprint);
            let Some(relation) = blueprint.and_then(|blueprint| blueprint.relations.get(name)) else {
                return Ok(Err(format!("a `{}` has no relation `{name}`", id.blueprint)));
            };
            let targets = entity.related(name).into_iter().filter_map(|target| target.parse().ok());
            next.extend(
                targets.map(|identifier| EntityId { blueprint: relation.target.clone(), identifier }),
            );
        }
        if pending {
            return Err(Pending);
        }
        if next.len() > MOST {
            return Ok(Err(format!("`{name}` leads to more than {MOST} entities")));
        }
        at = next.into_iter().collect();
    }
    Ok(Ok(at))
}

pub(super) fn built_in(name: &str) -> crate::domain::BlueprintId {
    name.parse().expect("a built-in blueprint has a proper name")
}
