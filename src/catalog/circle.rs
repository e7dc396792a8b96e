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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::{
        catalog::{Files, Past, Root, load_definitions, load_settings, view::View},
        domain::{Bytes, Timestamp},
    };

    const NAMES: [&str; 6] = ["m0", "m1", "m2", "c0", "c1", "c2"];

    proptest! {
        /// Two blueprints whose mirrors and calculations look at each other's, and entities that point at each other.
        #[test]
        fn a_value_is_the_same_whichever_is_asked_for_first(
            mirrored in prop::collection::vec(0..NAMES.len(), 6),
            calculated in prop::collection::vec((0..NAMES.len(), 0..NAMES.len()), 6),
            pointed in prop::collection::vec(0..3, 6),
            order in Just((0..36).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let mut texts = vec![("chandlery.yaml".to_owned(), "version: 1\n".to_owned())];
            for (number, (own, other)) in [("a", "b"), ("b", "a")].into_iter().enumerate() {
                let mut text = format!("identifier: {own}\nrelations: {{ to: {{ target: {other} }} }}\nmirrorProperties:\n");
                for mirror in 0..3 {
                    let shown = NAMES[mirrored[number * 3 + mirror]];
                    text.push_str(&format!("  m{mirror}: {{ path: to.{shown} }}\n"));
                }
                text.push_str("calculationProperties:\n");
                for calculation in 0..3 {
                    // Of calculations only those before it: a circle within a blueprint is refused as such.
                    let (one, two) = calculated[number * 3 + calculation];
                    let [one, two] = [one, two].map(|at| NAMES[at.min(2 + calculation)]);
                    text.push_str(&format!(
                        "  c{calculation}: {{ type: array, calculation: '[.properties.{one}, .properties.{two}, .identifier]' }}\n"
                    ));
                }
                texts.push((format!("blueprints/{own}.yaml"), text));
                for entity in 0..3 {
                    let text = format!(
                        "identifier: e{entity}\nblueprint: {own}\nrelations: {{ to: e{} }}\n", pointed[number * 3 + entity]
                    );
                    texts.push((format!("entities/{own}/e{entity}.yaml"), text));
                }
            }
            let files: Files =
                texts.iter().map(|(path, text)| (path.parse().unwrap(), Bytes::from(text.as_bytes()))).collect();
            let root = Root(None);
            let settings = load_settings(&root, files.get(&root.settings_path())).unwrap();
            let (definitions, problems) = load_definitions(&root, settings, &files);
            prop_assert_eq!(problems, []);
            let view = || {
                View::new(&definitions, &files, Timestamp::from_seconds(0), |_| Past::Silent(String::new()))
            };
            let asked: Vec<_> =
                view().all().flat_map(|entity| NAMES.map(|name| (entity.id(), name))).collect();
            let shuffled = view();
            for at in order {
                let (id, name) = &asked[at];
                let (value, alone): (Value, Value) = (shuffled.value(id, name).value, view().value(id, name).value);
                prop_assert_eq!(value, alone, "{} of {}", name, id);
            }
        }
    }
}
