//! What was worked out from the answers before?
//!
//! Each round of answers begins every decision anew. A part of it that was worked out once stays as it is, since more answers
//! never undo one; it is kept until an answer changes or the present is forgotten.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Looked, Looker};
use crate::{
    catalog::{Definitions, DefinitionsKey},
    domain::{EntityId, ObjectId, RequestId, StepId},
};

/// A part of decisions, by all that it is worked out from besides the answers and the definitions. Always of the same type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::plan) enum Part {
    /// An entity of a commit of the catalog.
    Entity(ObjectId, EntityId),
    /// What belongs to the plan of a request.
    Plan(PlanOf, Draft),
}

/// Whose plan it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::plan) struct PlanOf {
    /// The commit of the catalog.
    pub(in crate::plan) catalog: ObjectId,
    /// The commit that asks.
    pub(in crate::plan) head: ObjectId,
    /// Its pull request: several may ask with one commit.
    pub(in crate::plan) pull: u64,
    /// Its name: one commit may ask for several.
    pub(in crate::plan) id: RequestId,
}

/// A plan, and what is known for good while it still waits for answers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::plan) enum Draft {
    /// All of it.
    Whole,
    /// The request's file, read.
    File,
    /// That all has come which is asked for before it is needed.
    AskedEarly,
    /// What is asked, with defaults.
    Accepted,
    /// The names that templates may use.
    Context,
    /// The files that the template of a step gives.
    Files(StepId),
    /// What is asked of entities.
    Changes,
    /// The entities that it changes, with their files.
    Entities,
}

/// The parts that are known. Several threads may work out the same one at once; they come to the same.
#[derive(Debug, Default)]
pub(super) struct Kept(Mutex<HashMap<Key, Arc<dyn Any + Send + Sync>>>);

type Key = (DefinitionsKey, Part);

impl Kept {
    pub(super) fn forget(&mut self) {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn get<T: Send + Sync + 'static>(&self, key: &Key) -> Option<Arc<T>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).map(Arc::clone)?;
        Some(known.downcast().expect("a part is always of the same type"))
    }

    fn insert(&self, key: Key, part: Arc<dyn Any + Send + Sync>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, part);
    }
}

/// Whoever goes on with the same answers works it out again.
impl Clone for Kept {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl Looker<'_> {
    /// A part, worked out if it was not before. What is looked at as it was at another time is worked out each time.
    pub(in crate::plan) fn kept<T: Send + Sync + 'static>(
        &self,
        definitions: &Definitions,
        part: Part,
        work_out: impl FnOnce() -> Looked<T>,
    ) -> Looked<Arc<T>> {
        if self.is_of_then() {
            return work_out().map(Arc::new);
        }
        let key = (definitions.key(), part);
        if let Some(known) = self.facts.kept.get(&key) {
            return Ok(known);
        }
        let found = Arc::new(work_out()?);
        self.facts.kept.insert(key, Arc::clone(&found) as _);
        Ok(found)
    }
}
