//! What becomes of those that point at entities that end? They end, too, or point there no longer, or hold it up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::{
    catalog::{self, values::Segment},
    domain::{Bytes, Diagnostic, Entity, EntityId, OnDelete, Place, RepoPath},
    plan::{
        build::Site,
        diff,
        facts::{Looked, Pending},
        plan_file::{EntityOperation, PlannedEntity},
    },
    render,
};

/// The most entities that change because of others; a plan with more would be read by nobody.
const MOST: usize = 100;
/// So many are named in a refusal.
const NAMED: usize = 10;

/// Entities that change because others end, with their files.
#[derive(Default)]
pub(super) struct Following {
    pub(super) entities: Vec<PlannedEntity>,
    pub(super) files: BTreeMap<RepoPath, diff::Versions>,
}

/// Finds what follows when the entities in `ends` end; those in `touched` are changed by the request itself, and what they
/// point at then is judged with them.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what holds it up.
pub(super) fn following(
    site: &Site<'_>,
    ends: &BTreeMap<EntityId, OnDelete>,
    touched: &BTreeSet<EntityId>,
    source: &str,
) -> Looked<Result<Following, Vec<Diagnostic>>> {
    let tell = Tell { source };
    let mut ended = ends.clone();
    // Who changes, and which of those that end it points at.
    let mut causes: BTreeMap<EntityId, BTreeSet<EntityId>> = BTreeMap::new();
    let mut held: BTreeMap<EntityId, BTreeSet<EntityId>> = BTreeMap::new();
    let mut wave: Vec<(EntityId, OnDelete)> = ends.iter().map(|(id, mode)| (id.clone(), *mode)).collect();
    while !wave.is_empty() {
        let mut next = Vec::new();
        let mut pending = false;
        for (id, mode) in wave {
            let pointing = match site.look.pointing(site.catalog, &id) {
                Err(Pending) => {
                    pending = true;
                    continue;
                }
                Ok(Ok(pointing)) => pointing,
                Ok(Err(why)) => {
                    let problem = tell.problem(
                        "entity-unreadable",
                        &id,
                        format!("what points at `{id}` could not be read: {why}"),
                    );
                    return Ok(Err(vec![problem.help("it is tried again on the next pass")]));
                }
            };
            for from in pointing.iter().filter(|from| **from != id && !touched.contains(*from)) {
                match mode {
                    OnDelete::Restrict => drop(held.entry(id.clone()).or_default().insert(from.clone())),
                    OnDelete::Nullify => drop(causes.entry(from.clone()).or_default().insert(id.clone())),
                    OnDelete::Cascade => {
                        causes.entry(from.clone()).or_default().insert(id.clone());
                        if !ended.contains_key(from) {
                            ended.insert(from.clone(), mode);
                            next.push((from.clone(), mode));
                        }
                    }
                }
            }
        }
        if pending {
            return Err(Pending);
        }
        if causes.len() > MOST {
            let first = ends.keys().next().map_or_else(String::new, ToString::to_string);
            let message = format!("more than {MOST} entities would change because they point at `{first}`");
            let mut place = Place::file(source);
            place.field = Some(first);
            let problem = Diagnostic::error("cascade-too-large", place, message);
            return Ok(Err(vec![
                problem.help("remove or change some of them first, with requests of their own"),
            ]));
        }
        wave = next;
    }
    let mut problems = Vec::new();
    for (id, from) in held {
        let from: BTreeSet<EntityId> = from.into_iter().filter(|from| !ended.contains_key(from)).collect();
        if !from.is_empty() {
            problems.push(tell.in_use(&id, &from));
        }
    }
    if !problems.is_empty() {
        return Ok(Err(problems));
    }
    let mut found = Following::default();
    let mut pending = false;
    for (from, causes) in causes.iter().filter(|(from, _)| !ends.contains_key(from)) {
        let (path, old) = match site.look.entity(site.catalog, from) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Ok(Some(file))) => file.clone(),
            Ok(Ok(None)) => continue,
            Ok(Err(why)) => {
                let problem =
                    tell.problem("entity-unreadable", from, format!("`{from}` could not be read: {why}"));
                problems.push(problem.help("it is tried again on the next pass"));
                continue;
            }
        };
        let follows = causes.iter().map(ToString::to_string).collect();
        let mut planned = PlannedEntity {
            change: EntityOperation::Delete,
            entity: from.to_string(),
            fields: Map::new(),
            on_delete: OnDelete::Restrict,
            follows,
        };
        let mut new = None;
        if !ended.contains_key(from) {
            match without(site, &tell, &path, &old, (from, causes)) {
                Ok((fields, bytes)) => {
                    planned.change = EntityOperation::Update;
                    planned.fields = fields;
                    new = Some(bytes);
                }
                Err(more) => {
                    problems.extend(more);
                    continue;
                }
            }
        }
        found.files.insert(path, diff::Versions::of(Some(old), new));
        found.entities.push(planned);
    }
    if pending {
        return Err(Pending);
    }
    Ok(if problems.is_empty() { Ok(found) } else { Err(problems) })
}

/// An entity that points at some others no longer: the patch of its fields, and its file.
fn without(
    site: &Site<'_>,
    tell: &Tell<'_>,
    path: &RepoPath,
    old: &Bytes,
    (id, gone): (&EntityId, &BTreeSet<EntityId>),
) -> Result<(Map<String, Value>, Bytes), Vec<Diagnostic>> {
    let entity = catalog::read_entity(path, old, site.definitions)?;
    let blueprint = site.definitions.blueprints.get(&id.blueprint);
    let mut references = catalog::references(site.definitions, &entity);
    references.retain(|(_, target)| gone.contains(target));
    if let Some((relation, target)) = references.iter().find_map(|(path, target)| match &path[..] {
        [Segment::Key(part), Segment::Key(name)] if part == "relations" => {
            let required = blueprint?.relations.get(name)?.required;
            required.then_some((name, target))
        }
        _ => None,
    }) {
        let message = format!("`{id}` must point at something by `{relation}`, and points at `{target}`");
        let problem = tell.problem("relation-required", id, message);
        return Err(vec![problem.help("let it point at something else first, with a request of its own")]);
    }
    let paths: Vec<Vec<Segment>> = references.into_iter().map(|(path, _)| path).collect();
    let fields = patch(&entity, paths);
    let new = render::edit::merge_entity(path, old, &fields).map_err(|problem| vec![problem])?;
    catalog::read_entity(path, &new, site.definitions)?;
    Ok((fields, new.into()))
}

/// The merge patch that takes what stands at these paths out of an entity.
fn patch(entity: &Entity, mut paths: Vec<Vec<Segment>>) -> Map<String, Value> {
    let mut whole = Map::new();
    whole.insert("team".into(), entity.team.clone().into());
    whole.insert("properties".into(), Value::Object(entity.properties.clone()));
    whole.insert("relations".into(), Value::Object(entity.relations.clone().into_iter().collect()));
    let mut whole = Value::Object(whole);
    // Items go from the last one on, so that the others keep their places.
    paths.sort_by(|a, b| b.cmp(a));
    let mut touched = BTreeSet::new();
    for path in &paths {
        let Some((last, before)) = path.split_last() else { continue };
        let parent = before.iter().try_fold(&mut whole, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key.as_str()),
            Segment::Index(index) => value.get_mut(*index),
        });
        match (parent, last) {
            (Some(Value::Array(items)), Segment::Index(index)) if *index < items.len() => {
                drop(items.remove(*index));
            }
            (Some(Value::Object(fields)), Segment::Key(key)) => {
                fields.insert(key.clone(), Value::Null);
            }
            _ => {}
        }
        let field = |segment: Option<&Segment>| match segment {
            Some(Segment::Key(key)) => Some(key.clone()),
            Some(Segment::Index(_)) | None => None,
        };
        touched.extend(field(path.first()).map(|part| (part, field(path.get(1)))));
    }
    let mut patch = Map::new();
    for (part, name) in touched {
        match name {
            // One team may stand without a list, and none is nothing.
            None => {
                let value = match whole[&part].as_array().map(Vec::as_slice) {
                    None | Some([]) => Value::Null,
                    Some([one]) => one.clone(),
                    Some(several) => several.into(),
                };
                patch.insert(part, value);
            }
            Some(name) => {
                let value = whole[&part][&name].clone();
                if let Value::Object(fields) = patch.entry(part).or_insert_with(|| Map::new().into()) {
                    fields.insert(name, value);
                }
            }
        }
    }
    patch
}

/// What of these changes nobody has agreed to, since it points there only since then.
pub(super) fn new_since(
    agreed: &[&PlannedEntity],
    present: &[PlannedEntity],
    source: &str,
) -> Vec<Diagnostic> {
    let names = |planned: &PlannedEntity| -> BTreeSet<(String, String)> {
        let parts = planned.fields.iter().flat_map(|(part, value)| match value {
            Value::Object(fields) => fields.keys().map(|name| (part.clone(), name.clone())).collect(),
            _ => vec![(part.clone(), String::new())],
        });
        parts.collect()
    };
    let is_agreed = |planned: &PlannedEntity| {
        agreed.iter().any(|agreed| {
            (agreed.change, &agreed.entity) == (planned.change, &planned.entity)
                && names(planned).is_subset(&names(agreed))
        })
    };
    let tell = |planned: &PlannedEntity| {
        let follows: Vec<String> = planned.follows.iter().map(|id| format!("`{id}`")).collect();
        let mut place = Place::file(source);
        place.field = Some(planned.entity.clone());
        let message =
            format!("`{}` points at {} only since the plan was made", planned.entity, follows.join(" and "));
        Diagnostic::error("entity-in-use", place, message)
            .help("ask again under another name: the plan will show it")
    };
    present.iter().filter(|planned| !is_agreed(planned)).map(tell).collect()
}

struct Tell<'a> {
    source: &'a str,
}

impl Tell<'_> {
    fn problem(&self, code: &'static str, about: &EntityId, message: String) -> Diagnostic {
        let mut place = Place::file(self.source);
        place.field = Some(about.to_string());
        Diagnostic::error(code, place, message)
    }

    fn in_use(&self, id: &EntityId, from: &BTreeSet<EntityId>) -> Diagnostic {
        let mut names: Vec<String> = from.iter().take(NAMED).map(|from| format!("`{from}`")).collect();
        if from.len() > NAMED {
            names.push(format!("{} more", from.len() - NAMED));
        }
        let (last, firsts) =
            names.split_last().map_or(("", &[][..]), |(last, firsts)| (last.as_str(), firsts));
        let who =
            if firsts.is_empty() { last.to_owned() } else { format!("{} and {last}", firsts.join(", ")) };
        let point = if from.len() == 1 { "points" } else { "point" };
        self.problem("entity-in-use", id, format!("`{id}` cannot be removed: {who} {point} at it")).help(
            "change or remove them first; the platform team may say with `onDelete` what becomes of them",
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_points_at_what_ends_is_taken_out_and_nothing_else() {
        let entity = Entity {
            identifier: "a".parse().unwrap(),
            blueprint: "service".parse().unwrap(),
            title: None,
            icon: None,
            team: vec!["one".into(), "two".into()],
            properties: json!({ "leads": [["ada", "bo"], ["ada"]], "contact": "ada", "size": 1 })
                .as_object()
                .cloned()
                .unwrap(),
            relations: [("needs".to_owned(), json!(["x", "y", "z"])), ("of".to_owned(), json!("x"))].into(),
        };
        let key = |names: &[&str], indices: &[usize]| -> Vec<Segment> {
            let names = names.iter().map(|name| Segment::from(*name));
            names.chain(indices.iter().map(|index| Segment::from(*index))).collect()
        };
        let paths = vec![
            key(&["team"], &[0]),
            key(&["properties", "leads"], &[0, 0]),
            key(&["properties", "leads"], &[1, 0]),
            key(&["properties", "contact"], &[]),
            key(&["relations", "needs"], &[0]),
            key(&["relations", "needs"], &[1]),
            key(&["relations", "of"], &[]),
        ];
        assert_eq!(
            Value::Object(patch(&entity, paths)),
            json!({
                "team": "two",
                "properties": { "contact": null, "leads": [["bo"], []] },
                "relations": { "needs": ["z"], "of": null },
            })
        );
    }
}
