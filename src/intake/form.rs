//! What do the inputs of a request mean? The one answer for every door: request files and issue forms.

mod compute;
mod catalog;
mod filling;
mod whole;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::{Map, Value, json};

pub use self::filling::{Filling, Input, fill};

use self::compute::{Failed, Known, Standing};
use crate::catalog::{
    Secrets, form,
    values::{Segment, check_value},
};
use crate::domain::{
    Action, Behaviour, Diagnostic, Entity, EntityId, Identifier, Operation, Place, Property, Request,
    RequestFile, RequestId, Search, SecretRef,
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
    /// It is there and cannot be used; why.
    Unusable(String),
    /// Not known yet.
    Pending,
}

/// What is known about the entities that queries ask for.
#[derive(Debug, Clone)]
pub enum Searched {
    /// Those that each query asks for.
    Found(Arc<Vec<Vec<Identifier>>>),
    /// It cannot be learnt, and why.
    Unknown(String),
    /// Not known yet.
    Pending,
}

/// What is known about how far an entity has come by scorecards.
#[derive(Debug, Clone)]
pub enum Levels {
    /// By the name of each scorecard, as expressions see it.
    Known(Value),
    /// It cannot be learnt, and why.
    Unknown(String),
    /// Not known yet.
    Pending,
}

/// Where what a request says is looked up.
pub struct Sources<'a> {
    /// Whoever asks, as expressions see them; nobody where no expression speaks of them.
    pub user: Option<&'a Value>,
    /// An entity.
    pub entity: &'a mut dyn FnMut(&EntityId) -> Lookup,
    /// The entities that queries ask for.
    pub search: &'a mut dyn FnMut(Search) -> Searched,
    /// How far an entity has come by scorecards; asked only where an expression speaks of them.
    pub levels: &'a mut dyn FnMut(&EntityId) -> Levels,
    /// The secrets that may be named.
    pub secrets: &'a Secrets,
}

/// The entities that an input names.
#[derive(Debug, Clone, PartialEq)]
pub enum Chosen {
    /// One.
    One(Arc<Entity>),
    /// Those of a list, in its order.
    Many(Vec<Arc<Entity>>),
}

impl Chosen {
    /// As expressions and templates see them.
    pub fn value(&self) -> Value {
        match self {
            Self::One(entity) => entity_value(entity),
            Self::Many(entities) => entities.iter().map(|entity| entity_value(entity)).collect(),
        }
    }
}

/// An entity as expressions and templates see it; what is empty is there, too.
pub fn entity_value(entity: &Entity) -> Value {
    let mut value = json!(entity);
    if let Value::Object(fields) = &mut value {
        for empty in ["properties", "relations"] {
            fields.entry(empty).or_insert_with(|| json!({}));
        }
    }
    value
}

/// A request that holds against its action.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// What is asked, with defaults.
    pub request: Request,
    /// The entity that it is about, for DAY-2 and DELETE.
    pub entity: Option<Arc<Entity>>,
    /// The entities that inputs of the format `entity` name, by input.
    pub entities: BTreeMap<String, Chosen>,
}

/// Holds a request against its action. `place` tells where a value stands in what the requester wrote
/// (`inputs`, then the name). Whatever can be looked up is before this returns, so that it can be asked together;
/// `None` while an answer is pending.
///
/// # Errors
/// Everything that is wrong with the request.
pub fn accept(
    action: &Action,
    id: RequestId,
    file: &RequestFile,
    place: &dyn Fn(&[Segment]) -> Place,
    sources: &mut Sources<'_>,
) -> Result<Option<Accepted>, Vec<Diagnostic>> {
    let Examined { pending, problems, mut inputs, entity, entities, .. } =
        examine(action, file, place, sources)?;
    if pending {
        return Ok(None);
    }
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|(_, problem)| problem).collect());
    }
    let inputs = action.inputs.iter().filter_map(|(name, _)| inputs.remove_entry(name)).collect();
    let (action, reason) = (action.identifier.clone(), file.reason.clone());
    let on_behalf_of = file.on_behalf_of.clone();
    let request = Request { id, action, entity: file.entity.clone(), inputs, reason, on_behalf_of };
    Ok(Some(Accepted { request, entity, entities }))
}

/// What was found about a request.
struct Examined {
    pending: bool,
    /// In the order of the form; each with the number of the input that it is about, from 1.
    problems: Vec<(usize, Diagnostic)>,
    inputs: Map<String, Value>,
    entity: Option<Arc<Entity>>,
    entities: BTreeMap<String, Chosen>,
    states: Vec<filling::Input>,
    required: Vec<String>,
}

/// Looks at everything that a request says.
fn examine(
    action: &Action,
    file: &RequestFile,
    place: &dyn Fn(&[Segment]) -> Place,
    sources: &mut Sources<'_>,
) -> Result<Examined, Vec<Diagnostic>> {
    let Sources { user, entity, search, levels, secrets } = sources;
    let known = Known::new(action, *user);
    let (problems, states) = (Vec::new(), Vec::new());
    let mut review =
        Review { action, known, place, look: *entity, search: *search, problems, at: 0, pending: false };
    let leaked = review.leaks(action, secrets, file);
    review.unknown_inputs(action, &file.inputs);
    let entity = review.entity(action, file);
    review.condition(entity.as_deref());
    review.known.entity(entity.as_deref());
    if let Some(entity) = entity.as_ref().filter(|_| form::asks_scorecards(action)) {
        review.levels(levels(&entity.id()));
    }
    let order = match form::order(action) {
        Ok(order) => order,
        Err(circle) => {
            let (place, _) = review.place(&[key("action")]);
            let message =
                format!("the inputs of `{}` wait for each other: {}", action.identifier, circle.join(", "));
            return Err(vec![
                Diagnostic::error("input-cycle", place, message)
                    .help("the platform team must mend the action"),
            ]);
        }
    };
    let (inputs, entities) = (Map::new(), BTreeMap::new());
    let mut found = Examined {
        pending: false,
        problems: Vec::new(),
        inputs,
        entity,
        entities,
        states,
        required: Vec::new(),
    };
    let mut silent: BTreeSet<&str> = BTreeSet::new();
    for name in order {
        let Some(index) = action.inputs.iter().position(|(other, _)| other == name) else { continue };
        if leaked.contains(name) {
            review.known.note(name, None, false);
            continue;
        }
        review.at = index + 1;
        let before = review.problems.len();
        let others_pend = std::mem::take(&mut review.pending);
        let given = file.inputs.get(name).filter(|value| !value.is_null());
        let Asked { property, value, standing, default, is_clear } =
            review.asked(name, &action.inputs[index].1, given);
        if standing.as_ref().is_none_or(Standing::is_silent) {
            silent.insert(name);
        }
        let mut seen = None;
        if let Some(value) = value {
            let at = [key("inputs"), key(name)];
            let mut chosen = None;
            if review.value(&property, &value, &at) {
                chosen = review.pointers(name, &property, &value, &at);
            }
            seen = Some(chosen.as_ref().map_or_else(|| plain(&value), Chosen::value));
            found.entities.extend(chosen.map(|chosen| (name.to_owned(), chosen)));
            found.inputs.insert(name.to_owned(), plain(&value));
        }
        found.states.push(filling::Input {
            name: name.to_owned(),
            search: review.listing(name, &property),
            property: property.into_owned(),
            default,
            is_asked: standing.as_ref().is_some_and(|standing| !standing.is_silent()),
        });
        let is_clear = is_clear && review.problems.len() == before && !review.pending;
        review.known.note(name, seen, is_clear);
        review.pending |= others_pend;
    }
    found.required = review.required(&found.inputs, &silent);
    review.validations();
    found.pending = review.pending;
    found.problems = review.problems;
    // In the order of the form, whatever was computed first.
    found.problems.sort_by_key(|(at, _)| *at);
    Ok(found)
}

/// What an input turned out to be.
struct Asked<'a> {
    /// Its definition, with everything that was computed.
    property: std::borrow::Cow<'a, Property>,
    /// What was given, or its default.
    value: Option<Value>,
    /// Whether it can be answered, if that is known.
    standing: Option<Standing>,
    default: Option<Value>,
    /// Whether everything that decides about it is known.
    is_clear: bool,
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
    action: &'a Action,
    known: Known<'a>,
    place: &'a dyn Fn(&[Segment]) -> Place,
    look: &'a mut dyn FnMut(&EntityId) -> Lookup,
    search: &'a mut dyn FnMut(Search) -> Searched,
    /// Each with the number of the input that it is about, from 1.
    problems: Vec<(usize, Diagnostic)>,
    /// The input that is looked at.
    at: usize,
    pending: bool,
}

impl<'a> Review<'a> {
    fn problem(&mut self, problem: Diagnostic) {
        self.problems.push((self.at, problem));
    }

    /// What an expression answered; a failure is told at the input that needs it.
    fn answered<T>(&mut self, answer: Result<T, Failed>, at: &[Segment]) -> Option<T> {
        match answer {
            Ok(answer) => Some(answer),
            Err(Failed::Unclear) => None,
            Err(Failed::Because(why)) => {
                let (place, field) = self.place(at);
                let message = format!("`{field}` cannot be judged: {why}");
                let help = format!("the platform team must mend the action `{}`", self.action.identifier);
                self.problem(Diagnostic::error("expression-failed", place, message).help(help));
                None
            }
        }
    }

    /// What an input is once everything that decides about it is computed.
    fn asked(&mut self, name: &str, property: &'a Property, given: Option<&Value>) -> Asked<'a> {
        use std::borrow::Cow;
        let at = [key("inputs"), key(name)];
        let Some(behaviour) = self.action.form.inputs.get(name).map_or_else(
            || form::step_of(self.action, name).map(|_| Cow::Owned(Behaviour::default())),
            |behaviour| Some(Cow::Borrowed(behaviour)),
        ) else {
            let default = property.default.clone();
            let value = given.cloned().or_else(|| default.clone());
            let standing = Some(Standing::Open);
            return Asked { property: Cow::Borrowed(property), value, standing, default, is_clear: true };
        };
        let unclear = |given: Option<&Value>| Asked {
            property: Cow::Borrowed(property),
            value: given.cloned(),
            standing: None,
            default: None,
            is_clear: false,
        };
        let standing = self.known.standing(name, &behaviour);
        let Some(standing) = self.answered(standing, &at) else { return unclear(given) };
        let made = self.known.made(name, property, &behaviour);
        let Some((property, default)) = self.answered(made, &at) else { return unclear(given) };
        let default_words = match &default {
            Some(value) => format!("it is {}", shown(value)),
            None => "it has no value".to_owned(),
        };
        let (place, field) = self.place(&at);
        if let Some(given) = given
            && let Some(mut wrong) = standing.refusal(default.as_ref().map(plain).as_ref(), &plain(given))
        {
            wrong.message = format!("{}, and is given as {}", wrong.message, shown(given));
            self.problem(wrong.help(format!("leave it out: {default_words}")).at(place, &field));
            let property = Cow::Owned(property);
            return Asked { property, value: None, standing: Some(standing), default, is_clear: false };
        }
        let value = given.cloned().or_else(|| default.clone());
        Asked { property: Cow::Owned(property), value, standing: Some(standing), default, is_clear: true }
    }

    /// Takes in how far the entity has come by scorecards.
    fn levels(&mut self, levels: Levels) {
        match levels {
            Levels::Known(levels) => return self.known.levels(levels),
            Levels::Pending => self.pending = true,
            Levels::Unknown(why) => {
                let (place, field) = self.place(&[key("entity")]);
                let message = format!("how far `{field}` has come by scorecards could not be learnt: {why}");
                let problem = Diagnostic::error("expression-failed", place, message);
                self.problem(problem.help("it is tried again on the next pass"));
            }
        }
        self.known.entity(None);
    }

    /// The place of a value, with a name for it.
    fn place(&self, at: &[Segment]) -> (Place, String) {
        let mut place = (self.place)(at);
        let field = place.field.get_or_insert_with(|| crate::catalog::values::field_name(at)).clone();
        (place, field)
    }

    /// Whether the value is what its definition allows.
    fn value(&mut self, property: &Property, value: &Value, at: &[Segment]) -> bool {
        let wrongs = check_value(property, value);
        let good = wrongs.is_empty();
        for wrong in wrongs {
            let at: Vec<_> = at.iter().chain(&wrong.path).cloned().collect();
            let (place, field) = self.place(&at);
            self.problem(wrong.at(place, &field));
        }
        good
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
                self.problem(Diagnostic::error("unexpected-entity", place, message).help("remove `entity`"));
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
                self.problem(Diagnostic::error("missing-entity", place, message).help(help));
                None
            }
        }
    }
}

/// A value in a message.
fn shown(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned).replace(['\n', '\r'], "↵");
    let text = match text.parse::<SecretRef>() {
        Ok(secret) => secret.shown(),
        Err(_) => text,
    };
    if text.chars().count() <= MOST {
        format!("`{text}`")
    } else {
        format!("`{}…`", text.chars().take(MOST).collect::<String>())
    }
}

#[cfg(test)]
mod tests;
