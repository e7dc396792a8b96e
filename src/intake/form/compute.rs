//! What do the expressions of a form answer, given what is known so far?

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::entity_value;
use crate::{
    catalog::{form, values::Wrong},
    domain::{Action, Behaviour, Dynamic, Entity, Format, Operation, Property},
    expr::Expression,
};

/// Why an expression has no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// What it speaks of has mistakes, which are told, or is not known yet.
    Unclear,
    /// It cannot be computed.
    Because(String),
}

/// Whether an input can be answered.
#[derive(Debug, Clone)]
pub(super) enum Standing {
    Open,
    Hidden,
    Disabled,
    Waiting(String),
    ReadOnly,
}

impl Standing {
    /// Whether nobody is asked for a value.
    pub(super) fn is_silent(&self) -> bool {
        matches!(self, Self::Hidden | Self::Disabled | Self::Waiting(_) | Self::ReadOnly)
    }

    /// Why this value cannot be given, if so.
    pub(super) fn refusal(&self, default: Option<&Value>, given: &Value) -> Option<Wrong> {
        match self {
            Self::Open => None,
            Self::Hidden => Some(Wrong::new("hidden-input", &[], "is hidden")),
            Self::Disabled => Some(Wrong::new("disabled-input", &[], "is disabled")),
            Self::Waiting(other) => {
                let message = format!("is disabled until `{other}` has a value");
                Some(Wrong::new("disabled-input", &[], message))
            }
            Self::ReadOnly if default == Some(given) => None,
            Self::ReadOnly => Some(Wrong::new("read-only-input", &[], "can only be read")),
        }
    }
}

/// What expressions may speak of, as far as it is known.
pub(super) struct Known<'a> {
    action: &'a Action,
    user: Option<&'a Value>,
    entity: Option<Value>,
    form: Map<String, Value>,
    unclear: BTreeSet<String>,
}

impl<'a> Known<'a> {
    pub(super) fn new(action: &'a Action, user: Option<&'a Value>) -> Self {
        Self { action, user, entity: None, form: Map::new(), unclear: BTreeSet::new() }
    }

    /// Notes the entity that the action is run on.
    pub(super) fn entity(&mut self, entity: Option<&Entity>) {
        self.entity = entity.map(entity_value);
    }

    /// Notes how far it has come by scorecards.
    pub(super) fn levels(&mut self, levels: Value) {
        if let Some(Value::Object(entity)) = &mut self.entity {
            entity.insert("scorecards".to_owned(), levels);
        }
    }

    /// Notes what an input is, and whether others may rest on it.
    pub(super) fn note(&mut self, name: &str, value: Option<Value>, is_clear: bool) {
        if let Some(value) = value {
            self.form.insert(name.to_owned(), value);
        }
        if !is_clear {
            self.unclear.insert(name.to_owned());
        }
    }

    fn ask(&self, text: &str, of: Option<&str>) -> Result<Value, Failed> {
        let said = form::mentions(self.action, text, of);
        let lacks_entity = said.entity && self.entity.is_none() && self.action.operation != Operation::Create;
        if lacks_entity || said.inputs.iter().any(|name| self.unclear.contains(*name)) {
            return Err(Failed::Unclear);
        }
        let form: Map<String, Value> = self
            .form
            .iter()
            .filter(|(name, _)| said.inputs.contains(name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let input = json!({ "form": form, "entity": self.entity, "user": self.user });
        let expression = Expression::parse(text)
            .map_err(|refusal| Failed::Because(format!("the expression {}", refusal.message)))?;
        expression.first(&input).map_err(|why| Failed::Because(format!("jq says of `{text}`: {why}")))
    }

    /// Whether an expression answers neither false nor null.
    pub(super) fn holds(&self, text: &str, of: Option<&str>) -> Result<bool, Failed> {
        Ok(!matches!(self.ask(text, of)?, Value::Null | Value::Bool(false)))
    }

    /// The names that an expression lists.
    pub(super) fn names(&self, text: &str) -> Result<Vec<String>, Failed> {
        let answer = self.ask(text, None)?;
        let names: Option<Vec<String>> = match &answer {
            Value::Null => Some(Vec::new()),
            Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let is_input = |name: &String| self.action.input(name).is_some();
        match names.filter(|names| names.iter().all(is_input)) {
            Some(names) => Ok(names),
            None => Err(Failed::Because(format!("`required` must be a list of inputs, and is {answer}"))),
        }
    }

    fn flag(&self, said: &Dynamic<bool>, of: &str) -> Result<bool, Failed> {
        match said {
            Dynamic::Fixed(said) => Ok(*said),
            Dynamic::Computed(text) => self.holds(text, Some(of)),
        }
    }

    /// Whether an input can be answered.
    pub(super) fn standing(&self, name: &str, behaviour: &Behaviour) -> Result<Standing, Failed> {
        let step = form::step_of(self.action, name).map(|(_, step)| &step.visible);
        if step.is_some_and(|said| matches!(said, Dynamic::Fixed(false)))
            || !self.flag(&behaviour.visible, name)?
            || step.map(|said| self.flag(said, name)).transpose()? == Some(false)
        {
            return Ok(Standing::Hidden);
        }
        if self.flag(&behaviour.disabled, name)? {
            return Ok(Standing::Disabled);
        }
        for other in &behaviour.depends_on {
            if self.unclear.contains(other) {
                return Err(Failed::Unclear);
            }
            if !self.form.contains_key(other) {
                return Ok(Standing::Waiting(other.clone()));
            }
        }
        Ok(if self.flag(&behaviour.read_only, name)? { Standing::ReadOnly } else { Standing::Open })
    }

    /// The definition of an input with everything that is computed, and its default.
    pub(super) fn made(
        &self,
        name: &str,
        property: &Property,
        behaviour: &Behaviour,
    ) -> Result<(Property, Option<Value>), Failed> {
        let mut made = property.clone();
        for (key, text) in &behaviour.computed {
            set(&mut made, key, self.ask(text, Some(name))?)?;
        }
        for (key, text) in &behaviour.computed_items {
            let answer = self.ask(text, Some(name))?;
            if let Some(items) = made.items.as_deref_mut() {
                set(items, key, answer)?;
            }
        }
        let default = made.default.take();
        Ok((made, default))
    }

    /// The query of a dataset with everything that is computed.
    pub(super) fn resolved(&self, name: &str, query: &Value) -> Result<Value, Failed> {
        form::resolved(query, &mut |text, operator| {
            let value = self.ask(text, Some(name))?;
            Ok(match (operator, value) {
                ("in" | "notIn" | "containsAny" | "relatedTo" | "matchAny", Value::Null) => json!([]),
                (_, value) => value,
            })
        })
    }
}

/// Puts what was computed in its place; null is as if nothing were said.
fn set(property: &mut Property, key: &str, value: Value) -> Result<(), Failed> {
    let unfit = |wanted: &str, value: &Value| {
        Err(Failed::Because(format!("`{key}` must be {wanted}, and is {value}")))
    };
    if value.is_null() {
        return Ok(());
    }
    match (key, value) {
        ("default", value) => property.default = Some(identified(property, value)),
        // A pattern may be a list of what matches, too.
        ("enum" | "pattern", Value::Array(values)) => {
            let values: Vec<Value> = values.into_iter().map(|value| identified(property, value)).collect();
            if values.is_empty() {
                // No schema allows nothing at all by its choices.
                property.keywords.insert("not".to_owned(), json!({}));
            }
            property.choices = values;
        }
        ("pattern", Value::String(text)) => drop(property.keywords.insert(key.to_owned(), text.into())),
        ("enum", value) => return unfit("a list", &value),
        ("pattern", value) => return unfit("a regular expression", &value),
        ("minLength" | "maxLength" | "minItems" | "maxItems", value) => match value.as_f64() {
            Some(number) if number >= 0.0 && number.fract() == 0.0 && number < 1e15 => {
                property.keywords.insert(key.to_owned(), (number as u64).into());
            }
            _ => return unfit("a whole number", &value),
        },
        (_, value) if value.is_number() => drop(property.keywords.insert(key.to_owned(), value)),
        (_, value) => return unfit("a number", &value),
    }
    Ok(())
}

/// An entity stands in a form as a mapping, and is named by its identifier.
fn identified(property: &Property, value: Value) -> Value {
    let format = property.items.as_ref().map_or(property.format, |items| items.format);
    match value {
        Value::Array(items) if format == Some(Format::Entity) => {
            items.into_iter().map(|item| identified(property, item)).collect()
        }
        Value::Object(mut entity) if format == Some(Format::Entity) => {
            entity.remove("identifier").unwrap_or(Value::Object(entity))
        }
        value => value,
    }
}
