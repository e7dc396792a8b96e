//! What does a form ask next, given what was answered so far? For whoever fills it in step by step: the same look as at a
//! whole request, so that no answer can mean anything else.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::{Examined, Review, Sources, examine};
use crate::{
    catalog::{
        form::{needs, points_to},
        values::Segment,
    },
    domain::{Action, Diagnostic, Entity, Place, Property, RequestFile, Search},
};

/// An input as it is for what was answered so far.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Its definition, with everything that was computed.
    pub property: Property,
    /// What it is if nothing is answered.
    pub default: Option<Value>,
    /// Whether it can be answered; one that is hidden, disabled or can only be read has its default.
    pub is_asked: bool,
    /// Where it names entities: those that can be named, in their order.
    pub search: Option<Search>,
}

/// A form that is being filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Filling {
    /// The entity that the action is run on.
    pub entity: Option<Arc<Entity>>,
    /// The inputs in the order shown.
    pub inputs: Vec<Input>,
    /// Those that must be given, as far as it is known.
    pub required: Vec<String>,
    /// What is wrong so far, each with the name of the input that it is about.
    pub problems: Vec<(Option<String>, Diagnostic)>,
}

/// Looks at what was answered so far; `None` while an answer is pending.
///
/// # Errors
/// Why the form cannot be worked with.
pub fn fill(
    action: &Action,
    file: &RequestFile,
    place: &dyn Fn(&[Segment]) -> Place,
    sources: &mut Sources<'_>,
) -> Result<Option<Filling>, Vec<Diagnostic>> {
    let Examined { pending, problems, entity, mut states, required, .. } =
        examine(action, file, place, sources)?;
    if pending {
        return Ok(None);
    }
    let position = |input: &Input| action.inputs.iter().position(|(name, _)| *name == input.name);
    states.sort_by_key(position);
    let named = |at: usize| Some(action.inputs.get(at.checked_sub(1)?)?.0.clone());
    let problems = problems.into_iter().map(|(at, problem)| (named(at), problem)).collect();
    Ok(Some(Filling { entity, inputs: states, required, problems }))
}

impl Filling {
    /// The first input in the order shown that can be answered, was not yet, and rests on none that is still to be
    /// answered.
    pub fn next(&self, action: &Action, answered: &BTreeSet<String>) -> Option<&Input> {
        let is_open = |name: &str| {
            !answered.contains(name) && self.inputs.iter().any(|input| input.name == name && input.is_asked)
        };
        let rests_on_open = |name: &str| {
            let (mut seen, mut left) = (BTreeSet::new(), needs(action, name).into_iter().collect::<Vec<_>>());
            while let Some(other) = left.pop() {
                if is_open(other) {
                    return true;
                }
                if seen.insert(other) {
                    left.extend(needs(action, other));
                }
            }
            false
        };
        self.inputs.iter().find(|input| is_open(&input.name) && !rests_on_open(&input.name))
    }
}

impl Review<'_> {
    /// The entities that an input can name.
    pub(super) fn listing(&mut self, name: &str, property: &Property) -> Option<Search> {
        let blueprint = points_to(property.items.as_deref().unwrap_or(property))?;
        let dataset = self.action.form.inputs.get(name).and_then(|behaviour| behaviour.dataset.as_ref());
        let query = match dataset.and_then(|dataset| dataset.query.as_ref()) {
            Some(query) => self.known.resolved(name, query).ok()?,
            None => json!({ "combinator": "and", "rules": [] }),
        };
        let sort = dataset.and_then(|dataset| dataset.sort.clone());
        let queries = vec![query.to_string()];
        Some(Search { blueprint, queries, sort, now: None, changes: Vec::new() })
    }
}
