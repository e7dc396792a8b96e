//! Which entities answer a form's queries?

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    Definitions, Files,
    entity::{entity_at, references, store_entity},
    past::Past,
    store::{InFiles, Store},
    view::{View, parse_query},
};
use crate::domain::{EntityId, Identifier, Search, Timestamp};

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
    let now = search.now.unwrap_or(Timestamp::from_seconds(0));
    let view =
        View::over(definitions, entities, now, || Past::Silent("the history is not read here".to_owned()));
    let found = search.queries.iter().map(|text| {
        let query: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let query = parse_query(&query).map_err(|problems| problems.join("; "))?;
        let ids = view.of(&search.blueprint).map(crate::domain::Entity::id);
        let mut found: Vec<EntityId> = ids.filter(|id| view.matches(&query, id)).collect();
        if let Some((property, descending)) = &search.sort {
            view.sort(&mut found, property, *descending);
        }
        Ok(found.into_iter().map(|id| id.identifier).collect())
    });
    found.collect()
}
