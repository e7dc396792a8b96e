//! What do questions in jq see of a request? The same for policies and for rules of approval.
//!
//! `.action`, `.inputs`, `.entity`, `.entities`, `.requester`, `.reason` and `.plan`: what would be done, as data. Where several
//! people ask, the question is asked for each. What is known only later stands there as people read it, and secrets nowhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    catalog,
    domain::{Action, BlueprintId, Entity, EntityId, Format, Login, Property, Request, later},
    intake::{Accepted, Chosen, form::entity_value},
    plan::{
        admit,
        build::{self, Site},
        facts::{Looked, Pending},
        plan_file::{Does, EntityOperation, FileChange, Plan, PlannedEntity, PlannedStep},
        read,
    },
};

/// A request and what it would do.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a> {
    /// What is asked for.
    pub(super) action: &'a Action,
    /// With which inputs.
    pub(super) accepted: &'a Accepted,
    /// Who asks; nobody where a plan is only shown.
    pub(super) people: &'a BTreeSet<Login>,
    /// What would be done.
    pub(super) steps: &'a [PlannedStep],
    /// The entities that would change.
    pub(super) entities: &'a [PlannedEntity],
}

/// What is asked about, once for each requester; `with_teams` where a question speaks of their teams, all of which must be
/// read for it.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what could not be learnt.
pub(super) fn contexts(
    site: &Site<'_>,
    asking: &Asking<'_>,
    with_teams: bool,
) -> Looked<Result<Vec<Value>, String>> {
    let (mut pending, mut unknown) = (false, None);
    let mut requesters = Vec::new();
    for login in asking.people {
        match admit::user(site, login, with_teams) {
            Err(Pending) => pending = true,
            Ok(Ok(user)) => requesters.push(user),
            Ok(Err(why)) => unknown = Some(why),
        }
    }
    if requesters.is_empty() {
        requesters.push(Value::Null);
    }
    let entities = match changed(site, asking.entities) {
        Err(Pending) => return Err(Pending),
        Ok(entities) => entities,
    };
    if pending {
        return Err(Pending);
    }
    let entities = match (entities, unknown) {
        (Ok(entities), None) => entities,
        (Err(why), _) | (_, Some(why)) => return Ok(Err(why)),
    };
    let Asking { action, accepted, steps, .. } = asking;
    let (mut names, _) = build::names(action, accepted);
    names.shift_remove("request");
    names.insert(
        "action".into(),
        json!({
            "identifier": action.identifier,
            "title": action.title,
            "operation": action.operation.name(),
            "blueprint": action.blueprint,
        }),
    );
    names.insert("reason".into(), json!(accepted.request.reason));
    names.insert("onBehalfOf".into(), json!(accepted.request.on_behalf_of));
    names.insert(
        "plan".into(),
        json!({
            "repositories": repositories(steps),
            "files": files(steps),
            "entities": entities,
            "steps": steps.iter().map(|step| json!({ "id": step.id, "kind": kind(step) })).collect::<Vec<_>>(),
        }),
    );
    let with = |requester: Value| {
        let mut names = names.clone();
        names.insert("requester".into(), requester);
        Value::Object(names)
    };
    Ok(Ok(requesters.into_iter().map(with).collect()))
}

/// What was asked when a plan was made: its inputs as they were, the entities as they are now.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what could not be read.
pub(super) fn accepted(site: &Site<'_>, action: &Action, plan: &Plan) -> Looked<Result<Accepted, String>> {
    let (mut pending, mut unknown) = (false, None);
    let mut read = |blueprint: &BlueprintId, identifier: &str| {
        let id = EntityId { blueprint: blueprint.clone(), identifier: identifier.parse().ok()? };
        match read::entity(site.look, site.definitions, site.catalog, &id) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => unknown = Some(why),
            Ok(Ok(entity)) => return entity,
        }
        None
    };
    let asked = &plan.asked;
    let entity = asked.entity.as_ref().and_then(|id| read(&action.blueprint, id.as_str()));
    let mut entities = BTreeMap::new();
    for (name, input) in &action.inputs {
        let of = |input: &Property| input.blueprint.clone().filter(|_| input.format == Some(Format::Entity));
        let many = input.items.as_deref().and_then(of);
        let chosen = match (of(input), many, asked.inputs.get(name)) {
            (Some(blueprint), _, Some(Value::String(one))) => read(&blueprint, one).map(Chosen::One),
            (None, Some(blueprint), Some(Value::Array(all))) => {
                let all = all.iter().filter_map(Value::as_str);
                Some(Chosen::Many(all.filter_map(|one| read(&blueprint, one)).collect()))
            }
            _ => None,
        };
        entities.extend(chosen.map(|chosen| (name.clone(), chosen)));
    }
    if pending {
        return Err(Pending);
    }
    let request = Request {
        id: plan.request.clone(),
        action: asked.action.clone(),
        entity: asked.entity.clone(),
        inputs: asked.inputs.clone(),
        reason: asked.reason.clone(),
        on_behalf_of: asked.on_behalf_of.clone(),
    };
    Ok(unknown.map_or(Ok(Accepted { request, entity, entities }), Err))
}

/// The repositories that a plan writes to or starts workflows in, each once.
pub(super) fn repositories(steps: &[PlannedStep]) -> BTreeSet<&str> {
    steps
        .iter()
        .filter_map(|step| match (&step.pull_request, &step.workflow) {
            (Some(pull), _) if !pull.changes.is_empty() => Some(pull.repository.as_str()),
            (_, Some(workflow)) => Some(workflow.repository.as_str()),
            _ => None,
        })
        .collect()
}

/// How a file changes.
pub(super) fn word(change: &FileChange) -> &'static str {
    match (change.before, change.after) {
        (None, _) => "create",
        (Some(_), Some(_)) => "update",
        (Some(_), None) => "delete",
    }
}

fn files(steps: &[PlannedStep]) -> Vec<Value> {
    let pulls = steps.iter().filter_map(|step| step.pull_request.as_ref());
    let of = |(repository, change): (&str, &FileChange)| json!({ "repository": repository, "path": change.path, "change": word(change) });
    pulls
        .flat_map(|pull| pull.changes.iter().map(|change| (pull.repository.as_str(), change)))
        .map(of)
        .collect()
}

fn kind(step: &PlannedStep) -> Option<&'static str> {
    step.does().map(|does| match does {
        Does::Pull(_) => "pullRequest",
        Does::Workflow(_) => "workflow",
        Does::Webhook(_) => "webhook",
        Does::Script(_) => "script",
    })
}

/// An entity that a plan changes: as it will be, or, where it ends, as it is.
pub(super) struct Changed {
    pub(super) change: EntityOperation,
    pub(super) entity: Entity,
    /// As it is; none where it begins.
    pub(super) before: Option<Entity>,
    /// Values of properties that are known only later, as the plan has them.
    pub(super) later: Map<String, Value>,
}

fn changed(site: &Site<'_>, planned: &[PlannedEntity]) -> Looked<Result<Vec<Value>, String>> {
    let all = match entities(site, planned)? {
        Ok(all) => all,
        Err(why) => return Ok(Err(why)),
    };
    let shown = |one: Changed| {
        let mut value = entity_value(&one.entity);
        if let Value::Object(fields) = &mut value {
            fields.insert("change".into(), one.change.name().into());
        }
        value
    };
    Ok(Ok(all.into_iter().map(shown).collect()))
}

/// Every entity that a plan changes.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what could not be read.
pub(super) fn entities(site: &Site<'_>, planned: &[PlannedEntity]) -> Looked<Result<Vec<Changed>, String>> {
    let (mut found, mut pending, mut unknown) = (Vec::new(), false, None);
    for one in planned {
        let Some((blueprint, identifier)) = one.entity.split_once('/') else { continue };
        let (Ok(blueprint), Ok(identifier)) = (blueprint.parse(), identifier.parse()) else { continue };
        let id = EntityId { blueprint, identifier };
        let known = match one.change {
            EntityOperation::Create => Ok(Ok(None)),
            EntityOperation::Update | EntityOperation::Upsert | EntityOperation::Delete => {
                read::entity(site.look, site.definitions, site.catalog, &id)
            }
        };
        match known {
            Err(Pending) => pending = true,
            Ok(Err(why)) => unknown = Some(why),
            Ok(Ok(before)) => {
                let before = before.map(|entity| Entity::clone(&entity));
                found.push(after(site, one, &id, before));
            }
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(found), Err))
}

/// The fields of a plan laid over what is there; null clears.
fn after(site: &Site<'_>, planned: &PlannedEntity, id: &EntityId, before: Option<Entity>) -> Changed {
    let mut entity = before.clone().unwrap_or_else(|| Entity {
        identifier: id.identifier.clone(),
        blueprint: id.blueprint.clone(),
        title: None,
        icon: None,
        team: Vec::new(),
        properties: Map::new(),
        relations: BTreeMap::new(),
    });
    let mut later_values = Map::new();
    for (name, value) in &planned.fields {
        let shown = later::shown(value);
        match (name.as_str(), &shown) {
            ("title", title) => entity.title = title.as_str().map(str::to_owned),
            ("team", Value::String(team)) => entity.team = vec![team.clone()],
            ("team", Value::Array(teams)) => {
                entity.team = teams.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            }
            ("team", _) => entity.team = Vec::new(),
            ("properties", Value::Object(properties)) => {
                for (name, shown) in properties {
                    match shown {
                        Value::Null => drop(entity.properties.shift_remove(name)),
                        shown => drop(entity.properties.insert(name.clone(), shown.clone())),
                    }
                    let planned = &value[name.as_str()];
                    if later::needs_outputs(planned) {
                        later_values.insert(name.clone(), planned.clone());
                    }
                }
            }
            ("relations", Value::Object(relations)) => {
                for (name, value) in relations {
                    match value {
                        Value::Null => drop(entity.relations.remove(name)),
                        value => drop(entity.relations.insert(name.clone(), value.clone())),
                    }
                }
            }
            _ => {}
        }
    }
    if before.is_none()
        && let Some(blueprint) = site.definitions.blueprints.get(&id.blueprint)
    {
        entity = catalog::with_defaults(blueprint, entity);
    }
    let change = match planned.change {
        EntityOperation::Upsert if before.is_none() => EntityOperation::Create,
        EntityOperation::Upsert => EntityOperation::Update,
        other => other,
    };
    Changed { change, entity, before, later: later_values }
}
