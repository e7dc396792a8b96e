//! What do the inputs of a request mean? The one answer for every door: request files and issue forms.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use crate::catalog::values::{Segment, check_value};
use crate::domain::{
    Action, BlueprintId, Diagnostic, Entity, EntityId, Format, Operation, Place, Property, Request,
    RequestFile, RequestId, nearest,
};

/// What is known about an entity that a request names.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It is there.
    Found(Arc<Entity>),
    /// It is not; perhaps this one is meant.
    Absent {
        /// The identifier that looks most like it.
        nearest: Option<String>,
    },
    /// Not known yet.
    Pending,
}

/// A request that holds against its action.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// What is asked, with defaults.
    pub request: Request,
    /// The entity that it is about, for DAY-2 and DELETE.
    pub entity: Option<Arc<Entity>>,
    /// The entities that inputs of the format `entity` name, by input.
    pub entities: BTreeMap<String, Arc<Entity>>,
}

/// Holds a request against its action. `place` tells where a value stands in what the requester wrote
/// (`inputs`, then the name). Everything is looked up before this returns, so that it can be asked together;
/// `None` while an answer is pending.
///
/// # Errors
/// Everything that is wrong with the request.
pub fn accept(
    action: &Action,
    id: RequestId,
    file: &RequestFile,
    place: &dyn Fn(&[Segment]) -> Place,
    look: &mut dyn FnMut(&EntityId) -> Lookup,
) -> Result<Option<Accepted>, Vec<Diagnostic>> {
    let mut review = Review { place, look, problems: Vec::new(), pending: false };
    review.unknown_inputs(action, &file.inputs);
    let entity = review.entity(action, file);
    let mut inputs = Map::new();
    let mut entities = BTreeMap::new();
    for (name, property) in &action.inputs {
        let at = vec![key("inputs"), key(name)];
        let given = file.inputs.get(name).filter(|value| !value.is_null());
        let Some(value) = given.or(property.default.as_ref()) else {
            if action.required.contains(name) {
                review.missing(name, property, &at);
            }
            continue;
        };
        if review.value(property, value, &at)
            && let Some(entity) = review.pointers(property, value, &at)
        {
            entities.insert(name.clone(), entity);
        }
        inputs.insert(name.clone(), plain(value));
    }
    match review {
        Review { pending: true, .. } => Ok(None),
        Review { problems, .. } if !problems.is_empty() => Err(problems),
        Review { .. } => {
            let request = Request {
                id,
                action: action.identifier.clone(),
                entity: file.entity.clone(),
                inputs,
                reason: file.reason.clone(),
            };
            Ok(Some(Accepted { request, entity, entities }))
        }
    }
}

/// A value as it is worked with: `5.0` is the number 5, and is written so wherever it goes.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9e15 => {
                Value::from(float as i64)
            }
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(plain).collect(),
        other => other.clone(),
    }
}

fn key(name: &str) -> Segment {
    Segment::Key(name.to_owned())
}

/// The look at one request: what was found so far.
struct Review<'a> {
    place: &'a dyn Fn(&[Segment]) -> Place,
    look: &'a mut dyn FnMut(&EntityId) -> Lookup,
    problems: Vec<Diagnostic>,
    pending: bool,
}

impl Review<'_> {
    /// The place of a value, with a name for it.
    fn place(&self, at: &[Segment]) -> (Place, String) {
        let mut place = (self.place)(at);
        let field = place.field.get_or_insert_with(|| crate::catalog::values::field_name(at)).clone();
        (place, field)
    }

    fn unknown_inputs(&mut self, action: &Action, given: &Map<String, Value>) {
        for name in given.keys().filter(|name| action.input(name).is_none()) {
            let (place, _) = self.place(&[key("inputs"), key(name)]);
            let known: Vec<_> = action.inputs.iter().map(|(name, _)| name.as_str()).collect();
            let help = match (nearest(name, known.iter().copied()), known.is_empty()) {
                (Some(near), _) => format!("did you mean `{near}`?"),
                (None, true) => "remove it: this action asks nothing".to_owned(),
                (None, false) => format!("remove it; the inputs are `{}`", known.join("`, `")),
            };
            self.problems.push(
                Diagnostic::error(
                    "unknown-input",
                    place,
                    format!("`{}` has no input `{name}`", action.identifier),
                )
                .label("not asked by the action")
                .help(help),
            );
        }
    }

    fn missing(&mut self, name: &str, property: &Property, at: &[Segment]) {
        let (place, field) = self.place(at);
        let help = match &property.description {
            Some(description) => format!("fill in `{name}`: {description}"),
            None => format!("fill in `{name}`, a value of the type {}", property.kind.name()),
        };
        self.problems.push(
            Diagnostic::error("missing-input", place, format!("`{field}` is required and not given"))
                .help(help),
        );
    }

    /// Whether the value is what its definition allows.
    fn value(&mut self, property: &Property, value: &Value, at: &[Segment]) -> bool {
        let wrongs = check_value(property, value);
        let good = wrongs.is_empty();
        for wrong in wrongs {
            let at: Vec<_> = at.iter().chain(&wrong.path).cloned().collect();
            let (place, field) = self.place(&at);
            self.problems.push(wrong.at(place, &field));
        }
        good
    }

    /// Looks up what a value names; gives the entity of a single input of the format `entity`.
    fn pointers(&mut self, property: &Property, value: &Value, at: &[Segment]) -> Option<Arc<Entity>> {
        if let (Some(items), Value::Array(values)) = (property.items.as_deref(), value) {
            for (index, value) in values.iter().enumerate() {
                let at: Vec<_> = at.iter().cloned().chain([Segment::Index(index)]).collect();
                self.pointers(items, value, &at);
            }
            return None;
        }
        let blueprint = points_to(property)?;
        let entity = self.find(blueprint, value.as_str()?, at)?;
        (property.format == Some(Format::Entity)).then_some(entity)
    }

    fn find(&mut self, blueprint: BlueprintId, identifier: &str, at: &[Segment]) -> Option<Arc<Entity>> {
        let found = match identifier.parse() {
            Ok(identifier) => (self.look)(&EntityId { blueprint: blueprint.clone(), identifier }),
            Err(_) => Lookup::Absent { nearest: None },
        };
        match found {
            Lookup::Found(entity) => Some(entity),
            Lookup::Pending => {
                self.pending = true;
                None
            }
            Lookup::Absent { nearest } => {
                let (place, _) = self.place(at);
                let help = match nearest {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("name a `{blueprint}` that is in the catalog, or add it first"),
                };
                self.problems.push(
                    Diagnostic::error(
                        "unknown-entity",
                        place,
                        format!("`{blueprint}/{identifier}` is not in the catalog"),
                    )
                    .label(format!("no `{blueprint}` has this identifier"))
                    .help(help),
                );
                None
            }
        }
    }

    fn entity(&mut self, action: &Action, file: &RequestFile) -> Option<Arc<Entity>> {
        let at = [key("entity")];
        match (action.operation, &file.entity) {
            (Operation::Create, None) => None,
            (Operation::Create, Some(_)) => {
                let (place, _) = self.place(&at);
                let message = format!(
                    "`{}` makes a new `{}`, so its request names no entity",
                    action.identifier, action.blueprint
                );
                self.problems
                    .push(Diagnostic::error("unexpected-entity", place, message).help("remove `entity`"));
                None
            }
            (Operation::Day2 | Operation::Delete, Some(identifier)) => {
                self.find(action.blueprint.clone(), identifier.as_str(), &at)
            }
            (Operation::Day2 | Operation::Delete, None) => {
                let (place, field) = self.place(&at);
                let message = format!(
                    "`{field}` is missing: `{}` is about an existing `{}`",
                    action.identifier, action.blueprint
                );
                let help = format!("name the `{}` with `entity: <identifier>`", action.blueprint);
                self.problems.push(Diagnostic::error("missing-entity", place, message).help(help));
                None
            }
        }
    }
}

/// The blueprint whose entities a value of this property names.
pub(super) fn points_to(property: &Property) -> Option<BlueprintId> {
    match property.format? {
        Format::Entity => property.blueprint.clone(),
        Format::User => "_user".parse().ok(),
        Format::Team => "_team".parse().ok(),
        Format::Url
        | Format::Email
        | Format::IdnEmail
        | Format::DateTime
        | Format::Ipv4
        | Format::Ipv6
        | Format::Markdown
        | Format::Yaml
        | Format::Proto
        | Format::LabeledUrl
        | Format::Blueprints
        | Format::Timer
        | Format::MultiLine => None,
    }
}

#[cfg(test)]
mod tests;
