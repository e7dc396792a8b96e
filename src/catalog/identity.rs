//! Which definitions are these, whatever they say?

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

/// What tells definitions from all others, whatever they say: a copy is another, since it may be changed.
#[derive(Debug, Default)]
pub(super) struct Identity(Arc<()>);

impl Identity {
    pub(super) fn key(&self) -> DefinitionsKey {
        DefinitionsKey(Arc::clone(&self.0))
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Definitions are equal that say the same.
impl PartialEq for Identity {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Stands for the definitions that it was made of, and for no others while it is there.
#[derive(Debug, Clone)]
pub struct DefinitionsKey(Arc<()>);

impl PartialEq for DefinitionsKey {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for DefinitionsKey {}

impl Hash for DefinitionsKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}
