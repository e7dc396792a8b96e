//! What was worked out before and depends on nothing else need not be worked out again.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{LazyLock, Mutex, PoisonError},
};

/// Results by what they were made from. A program that lives long meets much: when so many are
/// kept, all are forgotten.
pub(crate) struct Memo<K, V> {
    kept: LazyLock<Mutex<HashMap<K, V>>>,
    most: usize,
}

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    /// Nothing yet, and never more than `most`.
    pub(crate) const fn new(most: usize) -> Self {
        Self { kept: LazyLock::new(Mutex::default), most }
    }

    /// What was made from `key`, made now if it was not before. A failure is not kept.
    ///
    /// # Errors
    /// Those of `make`.
    pub(crate) fn get<Q, E>(&self, key: &Q, make: impl FnOnce() -> Result<V, E>) -> Result<V, E>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept().get(key) {
            return Ok(found.clone());
        }
        let made = make()?;
        let mut kept = kept();
        if kept.len() >= self.most {
            kept.clear();
        }
        kept.insert(key.to_owned(), made.clone());
        Ok(made)
    }
}
