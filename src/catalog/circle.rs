//! Which values wait for themselves?
//!
//! What goes in a circle has no value, whichever of the circle is asked for first; so all of a circle are told (they are
//! the strongly connected components that Tarjan's algorithm finds), and what only leads to one is none of them.

use std::collections::HashMap;

use crate::domain::EntityId;

/// A value of an entity, by its name.
pub(super) type Key = (EntityId, String);

/// The values that are being computed, each for the one before it.
#[derive(Default)]
pub(super) struct Line {
    waiting: Vec<Waiting>,
    /// Values of circles that are still walked through, and the first in line that each waits for.
    circling: HashMap<Key, usize>,
}

struct Waiting {
    key: Key,
    /// The first in line that it waits for; if that is itself or one before it, they go in a circle.
    lowest: usize,
}

impl Line {
    /// How many values wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the last in line would wait for itself if it waited for this.
    pub(super) fn goes_round(&mut self, key: &Key) -> bool {
        let known = self.circling.get(key).copied();
        let place = known.or_else(|| self.waiting.iter().position(|waiting| waiting.key == *key));
        place.is_some_and(|place| {
            self.lower(place);
            true
        })
    }

    /// This one is computed next.
    pub(super) fn begin(&mut self, key: Key) {
        self.waiting.push(Waiting { key, lowest: usize::MAX });
    }

    /// The last in line is computed: which one it is, and whether it is one of a circle.
    pub(super) fn end(&mut self) -> Option<(Key, bool)> {
        let Waiting { key, lowest } = self.waiting.pop()?;
        let place = self.waiting.len();
        if lowest < place {
            // Who waits for this one waits for what it waits for.
            self.circling.values_mut().filter(|one| **one >= place).for_each(|one| *one = lowest);
            self.circling.insert(key.clone(), lowest);
            self.lower(lowest);
        } else {
            self.circling.retain(|_, one| *one < place);
        }
        Some((key, lowest <= place))
    }

    fn lower(&mut self, place: usize) {
        if let Some(last) = self.waiting.last_mut() {
            last.lowest = last.lowest.min(place);
        }
    }
}
