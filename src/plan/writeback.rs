//! What does a finished run change in the catalog? Entities, and the run's record.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{
    catalog,
    domain::{
        Action, Bytes, Change, ChangeKind, Changes, Diagnostic, Entity, EntityChange, EntityId, Identifier,
        ObjectId, OnDelete, Place, RepoPath, Run, RunEntity, RunPull, StepId, Timestamp,
        later::{self, Piece},
        nearest,
    },
    plan::{
        build::Site,
        diff,
        facts::{Draft, Looked, Pending},
        following::{Following, following, new_since},
        plan_file::{EntityOperation, PlannedEntity},
        read,
    },
    render,
};

/// The entities that an action changes, with the files that would.
pub struct Planned {
    /// The changes as data.
    pub entities: Vec<PlannedEntity>,
    /// Each file before and after.
    pub files: BTreeMap<RepoPath, diff::Versions>,
    /// What was asked of entities, whether it changes anything or not.
    pub asked: Vec<(EntityOperation, EntityId)>,
}

/// Plans the entity changes of an action.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what is wrong.
pub fn plan_entities(
    site: &Site<'_>,
    action: &Action,
    context: &render::Context,
) -> Looked<Result<Planned, Vec<Diagnostic>>> {
    let source = format!("{}/{}.yaml", site.definitions.settings.folders.actions, action.identifier);
    let entities = site.kept(Draft::Changes, || Ok(asked_of_entities(action, &source, context)))?;
    let entities = match &*entities {
        Ok(entities) => entities,
        Err(problems) => return Ok(Err(problems.clone())),
    };
    let own: Vec<&PlannedEntity> = entities.iter().collect();
    Ok(match work_out(site, &own, &source)? {
        Ok(Following { entities: following, files }) => {
            let asked =
                entities.iter().filter_map(|planned| Some((planned.change, entity_id(&planned.entity)?)));
            let asked = asked.collect();
            // An update that changes nothing is no change.
            let entities = entities.iter().filter(|planned| is_effective(site, planned, &files)).cloned();
            let entities = entities.chain(following).collect();
            Ok(Planned { entities, files, asked })
        }
        Err(problems) => Err(problems),
    })
}

/// What an action asks of entities, as data.
fn asked_of_entities(
    action: &Action,
    source: &str,
    context: &render::Context,
) -> Result<Vec<PlannedEntity>, Vec<Diagnostic>> {
    let mut entities = Vec::new();
    let mut problems = Vec::new();
    for (index, change) in action.entities.iter().enumerate() {
        let mut place = Place::file(source);
        place.field = Some(format!("entities[{index}]"));
        let contexts = match &change.for_each {
            None => vec![context.clone()],
            Some(list) => match render::each(list, &place, context) {
                Ok(contexts) => contexts,
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            },
        };
        for context in contexts {
            match plan_entity(change, &place, &context) {
                Ok(planned) => entities.push(planned),
                Err(problem) => problems.push(problem),
            }
        }
    }
    if problems.is_empty() { Ok(entities) } else { Err(problems) }
}

fn is_effective(
    site: &Site<'_>,
    planned: &PlannedEntity,
    files: &BTreeMap<RepoPath, diff::Versions>,
) -> bool {
    matches!(planned.change, EntityOperation::Create | EntityOperation::Delete)
        || files.iter().any(|(path, versions)| {
            versions.before != versions.after
                && catalog::entity_at(&site.definitions.settings, path)
                    .is_some_and(|id| id.to_string() == planned.entity)
        })
}

fn plan_entity(
    change: &EntityChange,
    place: &Place,
    context: &render::Context,
) -> Result<PlannedEntity, Diagnostic> {
    let EntityChange { for_each: _, kind, blueprint, identifier, fields } = change;
    let (operation, on_delete) = match *kind {
        ChangeKind::Create => (EntityOperation::Create, OnDelete::Restrict),
        ChangeKind::Update => (EntityOperation::Update, OnDelete::Restrict),
        ChangeKind::Upsert => (EntityOperation::Upsert, OnDelete::Restrict),
        ChangeKind::Delete(on_delete) => (EntityOperation::Delete, on_delete),
    };
    let identifier = render::text(identifier, place, context)?;
    let identifier: Identifier = identifier.parse().map_err(|problem: crate::domain::InvalidId| {
        Diagnostic::error("bad-identifier", place.clone(), problem.to_string())
    })?;
    let rendered = fields.iter().map(|(name, value)| {
        // What is known later may stand in titles and properties.
        let value = match name.as_str() {
            "title" | "properties" => render::payload(value, place, context)?,
            _ => render::value(value, place, context)?,
        };
        Ok((name.clone(), value))
    });
    let fields = rendered.collect::<Result<Map<_, _>, Diagnostic>>()?;
    Ok(PlannedEntity {
        change: operation,
        entity: EntityId { blueprint: blueprint.clone(), identifier }.to_string(),
        fields: if operation == EntityOperation::Create { without_nulls(fields) } else { fields },
        on_delete,
        follows: BTreeSet::new(),
    })
}

/// In a new entity null means that there is nothing.
fn without_nulls(fields: Map<String, Value>) -> Map<String, Value> {
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| match value {
            Value::Object(inner) if key == "properties" || key == "relations" => {
                (key, Value::Object(inner.into_iter().filter(|(_, value)| !value.is_null()).collect()))
            }
            value => (key, value),
        })
        .collect()
}

/// What a plan changes in the catalog as it is now.
pub struct Applied {
    /// Each file before and after.
    pub files: BTreeMap<RepoPath, diff::Versions>,
    /// The entities that change.
    pub entities: Vec<RunEntity>,
}

/// The files of the catalog that a plan's changes write, each before and after, against the site's commit. What follows from
/// the end of others is found anew: what no longer points there stays as it is, and what has come to is refused.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why the catalog does not allow it.
pub fn apply(
    site: &Site<'_>,
    entities: &[PlannedEntity],
    source: &str,
) -> Looked<Result<Applied, Vec<Diagnostic>>> {
    let (own, agreed): (Vec<_>, Vec<_>) = entities.iter().partition(|planned| planned.follows.is_empty());
    let Following { entities: present, files } = match work_out(site, &own, source)? {
        Ok(following) => following,
        Err(problems) => return Ok(Err(problems)),
    };
    let problems = new_since(&agreed, &present, source);
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let entities = own.into_iter().chain(&present).map(named).collect();
    Ok(Ok(Applied { files, entities }))
}

/// All files that these changes write, and the entities that change because others end.
fn work_out(
    site: &Site<'_>,
    own: &[&PlannedEntity],
    source: &str,
) -> Looked<Result<Following, Vec<Diagnostic>>> {
    let mut scope = Scope::default();
    for planned in own {
        let Some(id) = entity_id(&planned.entity) else { continue };
        match planned.change {
            EntityOperation::Delete => drop(scope.ends.insert(id, planned.on_delete)),
            EntityOperation::Create | EntityOperation::Update | EntityOperation::Upsert => {
                scope.touched.insert(id);
            }
        }
    }
    let mut files: BTreeMap<RepoPath, diff::Versions> = BTreeMap::new();
    let mut problems = Vec::new();
    let mut pending = false;
    for planned in own {
        match apply_one(site, planned, &scope, source) {
            Err(Pending) => pending = true,
            Ok(Err(found)) => problems.extend(found),
            Ok(Ok((path, versions))) => {
                if files.insert(path.clone(), versions).is_some() {
                    problems.push(Diagnostic::error(
                        "entity-twice",
                        Place::file(source),
                        format!("`{}` is changed twice by one request", planned.entity),
                    ));
                }
            }
        }
    }
    let found = following(site, &scope.ends, &scope.touched, source);
    if pending {
        return Err(Pending);
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    Ok(found?.map(|found| Following { files: files.into_iter().chain(found.files).collect(), ..found }))
}

/// What else one request does to the catalog.
#[derive(Default)]
struct Scope {
    /// Entities that end.
    ends: BTreeMap<EntityId, OnDelete>,
    /// Entities that it makes or changes, all of which are there afterwards.
    touched: BTreeSet<EntityId>,
}

fn apply_one(
    site: &Site<'_>,
    planned: &PlannedEntity,
    scope: &Scope,
    source: &str,
) -> Looked<Result<(RepoPath, diff::Versions), Vec<Diagnostic>>> {
    let problem = |code, message: String, help: String| {
        let mut place = Place::file(source);
        place.field = Some(planned.entity.clone());
        Ok(Err(vec![Diagnostic::error(code, place, message).help(help)]))
    };
    let Some(id) = entity_id(&planned.entity) else {
        return problem(
            "bad-identifier",
            format!("`{}` is not an entity", planned.entity),
            "the platform team must mend the action".into(),
        );
    };
    let Some(blueprint) = site.definitions.blueprints.get(&id.blueprint) else {
        return problem(
            "unknown-blueprint",
            format!("there is no blueprint `{}`", id.blueprint),
            "the platform team must mend the action".into(),
        );
    };
    let nothing = BTreeSet::new();
    // Both are asked for before either is awaited.
    let known = match planned.change {
        EntityOperation::Create | EntityOperation::Upsert => site.look.alike(site.catalog, &id),
        EntityOperation::Update | EntityOperation::Delete => Ok(Ok(&nothing)),
    };
    let existing = match site.look.entity(site.catalog, &id)? {
        Ok(existing) => existing.cloned(),
        Err(why) => {
            return problem(
                "entity-unreadable",
                format!("`{id}` could not be read: {why}"),
                "it is tried again on the next pass".into(),
            );
        }
    };
    let (shown, certain, unknown) = as_known(&planned.fields);
    match (planned.change, existing) {
        (EntityOperation::Create, Some(_)) => problem(
            "entity-exists",
            format!("`{id}` is in the catalog already"),
            "choose another name".into(),
        ),
        (EntityOperation::Create | EntityOperation::Upsert, None) => {
            let entity = from_fields(&id, &without_nulls(shown));
            let entity = catalog::with_defaults(blueprint, entity);
            let Ok(path) = catalog::entity_path(&site.definitions.settings, &id) else {
                return problem(
                    "bad-identifier",
                    format!("`{}` is too long to be the name of a file", id.identifier),
                    "choose a shorter name".into(),
                );
            };
            let known = match known? {
                Ok(known) => known,
                Err(why) => {
                    return problem(
                        "entity-unreadable",
                        format!("the names of other entities could not be read: {why}"),
                        "it is tried again on the next pass".into(),
                    );
                }
            };
            if let Some(other) = known.first() {
                return problem(
                    "case-collision",
                    format!("`{id}` and `{other}`, which is in the catalog, differ in nothing but case"),
                    "choose another name".into(),
                );
            }
            match known_to_fit(checked(site, &entity, scope, source)?, &id, &unknown) {
                Ok(()) => Ok(Ok((path, diff::Versions::of(None, Some(render::edit::new_entity(&entity)))))),
                Err(problems) => Ok(Err(problems)),
            }
        }
        (EntityOperation::Update | EntityOperation::Upsert, Some((path, old))) => {
            let merge = |fields| render::edit::merge_entity(&path, &old, fields).map(Bytes::from);
            let (new, certain) = match (merge(&shown), merge(&certain)) {
                (Ok(new), Ok(certain)) => (new, certain),
                (Err(found), _) | (_, Err(found)) => return Ok(Err(vec![found])),
            };
            let entity = match catalog::read_entity(&path, &certain, site.definitions) {
                Ok(entity) => entity,
                Err(problems) => return Ok(Err(problems)),
            };
            match checked(site, &entity, scope, source)? {
                Ok(()) => Ok(Ok((path, diff::Versions::of(Some(old), Some(new))))),
                Err(problems) => Ok(Err(problems)),
            }
        }
        (EntityOperation::Delete, Some((path, old))) => Ok(Ok((path, diff::Versions::of(Some(old), None)))),
        (EntityOperation::Update | EntityOperation::Delete, None) => {
            let known = match site.look.entities(site.catalog, &id.blueprint)? {
                Ok(known) => nearest(id.identifier.as_str(), known.iter().map(Identifier::as_str)),
                Err(_) => None,
            };
            let help = known.map_or_else(
                || "check its name in the catalog".into(),
                |near| format!("did you mean `{near}`?"),
            );
            problem("unknown-entity", format!("`{id}` is not in the catalog"), help)
        }
    }
}

/// The fields as people read them, those of them that are known, and the names of the others.
fn as_known(fields: &Map<String, Value>) -> (Map<String, Value>, Map<String, Value>, BTreeSet<String>) {
    let (mut shown, mut certain, mut unknown) = (Map::new(), Map::new(), BTreeSet::new());
    for (name, value) in fields {
        shown.insert(name.clone(), later::shown(value));
        match value {
            Value::Object(inner) if name == "properties" => {
                let mut kept = inner.clone();
                kept.retain(|key, value| {
                    let is_known = !later::needs_outputs(value);
                    if !is_known {
                        unknown.insert(format!("properties.{key}"));
                    }
                    is_known
                });
                certain.insert(name.clone(), kept.into());
            }
            value if later::needs_outputs(value) => drop(unknown.insert(name.clone())),
            value => drop(certain.insert(name.clone(), value.clone())),
        }
    }
    (shown, certain, unknown)
}

/// What is wrong with fields that are known only later is said when they are.
fn known_to_fit(
    checked: Result<(), Vec<Diagnostic>>,
    id: &EntityId,
    unknown: &BTreeSet<String>,
) -> Result<(), Vec<Diagnostic>> {
    let Err(mut problems) = checked else { return Ok(()) };
    problems.retain(|problem| {
        let field = problem.place.field.as_deref().unwrap_or_default();
        let field = field.strip_prefix(&format!("{id}: ")).unwrap_or(field);
        !unknown.iter().any(|name| field == name || field.starts_with(&format!("{name}.")))
    });
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Whether the catalog would still be valid with this entity in it.
fn checked(
    site: &Site<'_>,
    entity: &Entity,
    scope: &Scope,
    source: &str,
) -> Looked<Result<(), Vec<Diagnostic>>> {
    let name = entity.id().to_string();
    let place = |path: &[catalog::values::Segment]| {
        let mut place = Place::file(source);
        place.field = Some(format!("{name}: {}", catalog::values::field_name(path)));
        place
    };
    let mut problems = catalog::check_entity(site.definitions, entity, &place);
    let mut pending = false;
    for (path, target) in catalog::references(site.definitions, entity) {
        if target == entity.id() || scope.touched.contains(&target) {
            continue;
        }
        if scope.ends.contains_key(&target) {
            let message = format!("points at `{target}`, which the same request removes");
            let problem = Diagnostic::error("entity-in-use", place(&path), message);
            problems.push(problem.help("the platform team must mend `entities` of the action"));
            continue;
        }
        match site.look.entity(site.catalog, &target) {
            Err(Pending) => pending = true,
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => problems.push(
                Diagnostic::error(
                    "unknown-relation-target",
                    place(&path),
                    format!("`{target}` is not in the catalog"),
                )
                .help("name something that is there"),
            ),
            Ok(Err(why)) => problems.push(Diagnostic::error(
                "entity-unreadable",
                place(&path),
                format!("`{target}` could not be read: {why}"),
            )),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(if problems.is_empty() { Ok(()) } else { Err(problems) })
}

fn entity_id(text: &str) -> Option<EntityId> {
    let (blueprint, identifier) = text.split_once('/')?;
    Some(EntityId { blueprint: blueprint.parse().ok()?, identifier: identifier.parse().ok()? })
}

fn from_fields(id: &EntityId, fields: &Map<String, Value>) -> Entity {
    let object = |name: &str| match fields.get(name) {
        Some(Value::Object(inner)) => inner.clone(),
        _ => Map::new(),
    };
    let team = match fields.get("team") {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(many)) => many.iter().filter_map(|team| team.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    Entity {
        identifier: id.identifier.clone(),
        blueprint: id.blueprint.clone(),
        title: fields.get("title").and_then(Value::as_str).map(str::to_owned),
        icon: None,
        team,
        properties: object("properties"),
        relations: object("relations").into_iter().collect(),
    }
}

/// What a merged pull request gives to what comes after it.
pub fn outputs_of(pull: &RunPull) -> Map<String, Value> {
    let RunPull { repository, number, merge_commit, .. } = pull;
    let outputs = json!({ "repository": repository, "number": number, "mergeCommit": merge_commit });
    outputs.as_object().cloned().unwrap_or_default()
}

/// A value with what is known only now put into it: outputs of steps, and when the request was merged.
///
/// # Errors
/// What is not known, in words.
pub fn filled(
    value: &Value,
    given: &dyn Fn(&StepId, &str) -> Option<Value>,
    merged_at: Option<Timestamp>,
) -> Result<Value, String> {
    later::filled(value, &mut |piece| match piece {
        Piece::Output(step, name) => match given(step, name) {
            Some(value) if later::is_mistakable(&value) => {
                Err(format!("the output `{name}` of the step `{step}` cannot be used"))
            }
            Some(value) => Ok(Some(value)),
            None => Err(format!("the step `{step}` gave no output `{name}`")),
        },
        Piece::Merged(later) => match merged_at.and_then(|at| at.after(later)) {
            Some(at) => Ok(Some(at.to_string().into())),
            None => Err(format!("`{later}` is no amount of time")),
        },
        Piece::Text(_) | Piece::Secret(_) => Ok(None),
    })
}

/// Entity changes with what is known only now put into them.
///
/// # Errors
/// What is not known, in words.
pub fn entities_filled(
    entities: &[PlannedEntity],
    given: &dyn Fn(&StepId, &str) -> Option<Value>,
    merged_at: Option<Timestamp>,
) -> Result<Vec<PlannedEntity>, String> {
    let one = |planned: &PlannedEntity| {
        let fields = planned.fields.iter();
        let fields = fields.map(|(name, value)| Ok((name.clone(), filled(value, given, merged_at)?)));
        Ok(PlannedEntity { fields: fields.collect::<Result<_, String>>()?, ..planned.clone() })
    };
    entities.iter().map(one).collect()
}

/// An entity of a plan, as a record names it.
fn named(planned: &PlannedEntity) -> RunEntity {
    RunEntity { change: planned.change.name().to_owned(), entity: planned.entity.clone() }
}

/// The changes of the catalog for these files and this record.
pub fn changes(site: &Site<'_>, files: &BTreeMap<RepoPath, diff::Versions>, run: &Run) -> Changes {
    let mut changes: Changes =
        files.iter().filter_map(|(path, versions)| Some((path.clone(), versions.change()?))).collect();
    let path = read::request_path(site.definitions, &run.request, "run.yaml");
    changes.insert(path, Change::Put(run_file(run)));
    changes
}

/// The bytes of `run.yaml`.
pub fn run_file(run: &Run) -> Bytes {
    const HEADER: &str = "# Written by Chandlery: what became of this request.\n";
    let yaml = serde_yaml::to_string(run).expect("a run is plain data");
    format!("{HEADER}{yaml}").into_bytes().into()
}

/// The trailer that names a run in the catalog's log, without its key.
pub fn trailer(run: &Run, action: Option<ObjectId>) -> String {
    let people = |people: &[crate::domain::Login]| {
        if people.is_empty() {
            "-".to_owned()
        } else {
            people.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
    };
    let for_whom = run.on_behalf_of.as_ref().map_or_else(String::new, |login| format!(" for={login}"));
    let broken =
        run.break_glass.as_ref().map_or_else(String::new, |broken| format!(" break-glass={}", broken.by));
    format!(
        "{} action={}@{} plan={} by={} approved={}{for_whom}{broken}",
        run.request,
        run.action.as_ref().map_or("-", |action| action.as_str()),
        action.map_or_else(|| "-".to_owned(), |id| id.to_string()),
        run.plan.as_deref().unwrap_or("-"),
        people(&run.requesters),
        people(&run.approved_by),
    )
}
