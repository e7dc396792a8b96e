//! Which entities answer a form's queries?

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Definitions, Files,
    entity::{entity_at, references, store_entity},
    past::Past,
    store::{InFiles, Store},
    view::{View, parse_query},
};
use crate::domain::{Entity, EntityId, Identifier, Ownership, Query, Search, Timestamp};

/// The entities that each query of a search asks for, in its order. `files` are those of the entities.
///
/// # Errors
/// What is wrong with a query.
pub fn search(
    definitions: &Definitions,
    files: &Files,
    search: &Search,
) -> Result<Vec<Vec<Identifier>>, String> {
    let mut changed;
    let files = if search.changes.is_empty() {
        files
    } else {
        changed = files.clone();
        for (path, bytes) in &search.changes {
            match bytes {
                Some(bytes) => changed.insert(path.clone(), bytes.clone()),
                None => changed.remove(path),
            };
        }
        &changed
    };
    search_in(definitions, &InFiles::new(definitions, files), search)
}

/// Whether what is searched for is told by each entity's own file, whatever else there is.
pub fn is_told_by_each(definitions: &Definitions, search: &Search) -> bool {
    let Some(blueprint) = definitions.blueprints.get(&search.blueprint) else { return false };
    let is_own = |property: &str| match property {
        "$identifier" | "$blueprint" | "$title" | "$icon" => true,
        "$team" => !matches!(blueprint.ownership, Some(Ownership::Inherited { .. })),
        name => blueprint.property(name).is_some(),
    };
    let query = |text: &String| parse_query(&serde_json::from_str(text).ok()?).ok();
    search.queries.iter().all(|text| query(text).is_some_and(|query| tells(&query, &is_own)))
}

fn tells(query: &Query, is_own: &dyn Fn(&str) -> bool) -> bool {
    match query {
        Query::All(queries) | Query::Any(queries) => queries.iter().all(|query| tells(query, is_own)),
        Query::Compare { property, .. } => is_own(property),
        Query::AnyOfType { .. } => true,
        Query::RelatedTo { .. } | Query::Along { .. } => false,
    }
}

/// The entities in these files that point at one by any field.
pub fn pointing(definitions: &Definitions, files: &Files, id: &EntityId) -> BTreeSet<EntityId> {
    let mut found = BTreeSet::new();
    for (path, bytes) in files {
        let Some(from) = entity_at(&definitions.settings, path) else { continue };
        let Some(entity) = store_entity(path, bytes, definitions).entity else { continue };
        if references(definitions, &entity).iter().any(|(_, target)| target == id) {
            found.insert(from);
        }
    }
    found
}

/// The same of entities wherever they are; the changes of the search are among them already.
///
/// # Errors
/// What is wrong with a query.
pub fn search_in(
    definitions: &Definitions,
    entities: &dyn Store,
    search: &Search,
) -> Result<Vec<Vec<Identifier>>, String> {
    let view = view(definitions, entities, search.now);
    let found = search.queries.iter().map(|text| {
        let query = read_query(text)?;
        let ids = view.of(&search.blueprint).map(Entity::id);
        let mut found: Vec<EntityId> = ids.filter(|id| view.matches(&query, id)).collect();
        if let Some((property, descending)) = &search.sort {
            view.sort(&mut found, property, *descending);
        }
        Ok(found.into_iter().map(|id| id.identifier).collect())
    });
    found.collect()
}

/// How far an entity has come by each scorecard that is about it, as expressions see it, in Port's words.
pub fn levels(definitions: &Definitions, files: &Files, id: &EntityId, now: Option<Timestamp>) -> Value {
    levels_in(definitions, &InFiles::new(definitions, files), id, now)
}

/// The same of entities wherever they are.
pub fn levels_in(
    definitions: &Definitions,
    entities: &dyn Store,
    id: &EntityId,
    now: Option<Timestamp>,
) -> Value {
    let view = view(definitions, entities, now);
    let scorecards = definitions.scorecards.values().filter_map(|scorecard| {
        let standing = view.standing(scorecard, id)?;
        let rule = |(identifier, level, holds): &(String, String, bool)| {
            json!({ "identifier": identifier, "level": level, "status": if *holds { "SUCCESS" } else { "FAILURE" } })
        };
        let rules: Vec<Value> = standing.rules.iter().map(rule).collect();
        Some((scorecard.identifier.clone(), json!({ "level": standing.level, "rules": rules })))
    });
    Value::Object(scorecards.collect())
}

/// The sum of a property over the entities that the queries of a search ask for, each for itself; what is no number adds nothing.
///
/// # Errors
/// What is wrong with a query.
pub fn sums_in(
    definitions: &Definitions,
    entities: &dyn Store,
    search: &Search,
    property: &str,
) -> Result<Vec<f64>, String> {
    let view = view(definitions, entities, search.now);
    let sum = |text: &String| {
        let query = read_query(text)?;
        let found = view.of(&search.blueprint).filter(|entity| view.matches(&query, &entity.id()));
        Ok(found.filter_map(|entity| entity.properties.get(property)?.as_f64()).sum())
    };
    search.queries.iter().map(sum).collect()
}

/// The same of the entities in these files.
///
/// # Errors
/// What is wrong with a query.
pub fn sums(
    definitions: &Definitions,
    files: &Files,
    search: &Search,
    property: &str,
) -> Result<Vec<f64>, String> {
    sums_in(definitions, &InFiles::new(definitions, files), search, property)
}

fn view<'a>(definitions: &'a Definitions, entities: &'a dyn Store, now: Option<Timestamp>) -> View<'a> {
    let now = now.unwrap_or(Timestamp::from_seconds(0));
    View::over(definitions, entities, now, |_| Past::Silent("the history is not read here".to_owned()))
}

fn read_query(text: &str) -> Result<Query, String> {
    let query: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    parse_query(&query).map_err(|problems| problems.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        catalog::{Root, load_definitions, load_settings},
        domain::Bytes,
    };

    #[test]
    fn what_other_entities_tell_is_not_told_by_each() {
        let files: Files = [
            ("chandlery.yaml", "version: 1\n"),
            ("blueprints/system.yaml", "identifier: system\nownership: { type: Direct }\n"),
            (
                "blueprints/service.yaml",
                "identifier: service\nschema: { properties: { tier: { type: string } } }\nrelations: { system: { target: system } }\n\
                 mirrorProperties: { owner: { path: system.$title } }\ncalculationProperties: { url: { type: string, calculation: .identifier } }\n\
                 ownership: { type: Inherited, path: system }\n",
            ),
        ]
        .map(|(path, text)| (path.parse().unwrap(), Bytes::from(text.as_bytes())))
        .into();
        let root = Root::default();
        let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
        let (definitions, _) = load_definitions(&root, settings, &files);
        let told = |blueprint: &str, rule: Value| {
            let search = Search {
                blueprint: blueprint.parse().unwrap(),
                queries: vec![json!({ "combinator": "and", "rules": [rule] }).to_string()],
                sort: None,
                now: None,
                changes: Vec::new(),
            };
            is_told_by_each(&definitions, &search)
        };
        let is = |property: &str| json!({ "property": property, "operator": "=", "value": "a" });
        for own in ["tier", "$identifier", "$title"] {
            assert!(told("service", is(own)), "{own}");
        }
        for other in ["owner", "url", "$createdAt", "nothing"] {
            assert!(!told("service", is(other)), "{other}");
        }
        let team = json!({ "property": "$team", "operator": "contains", "value": "a" });
        assert!(told("system", team.clone()) && !told("service", team));
        assert!(!told("none", is("$title")));
        assert!(!told("service", json!({ "operator": "relatedTo", "blueprint": "system", "value": "a" })));
    }
}
