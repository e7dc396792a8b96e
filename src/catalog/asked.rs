//! Does a query fit the entities of which it is asked?
//!
//! One that speaks of what is not there would be answered all the same, with nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Definitions,
    derived::{alike, has, walk},
    document::{is_template, join},
    load::unknown_blueprint,
    values::{Segment, Wrong, bare, describe},
};
use crate::domain::{Blueprint, BlueprintId, Hop, Operator, Property, PropertyType, Query};

/// The entities of which it is asked, and the blueprints around theirs.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) of: &'a Blueprint,
    pub(super) all: &'a BTreeMap<BlueprintId, Blueprint>,
    /// Those with mistakes of their own, of which nothing is said.
    pub(super) unusable: &'a BTreeSet<BlueprintId>,
}

/// Everything in which a query does not fit the entities of a blueprint.
pub fn misfits(definitions: &Definitions, of: &Blueprint, query: &Query, written: &Value) -> Vec<Wrong> {
    Asked::among(definitions, of).misfits(query, written, &[])
}

impl<'a> Asked<'a> {
    pub(super) fn among(definitions: &'a Definitions, of: &'a Blueprint) -> Self {
        Self { of, all: &definitions.blueprints, unusable: &definitions.unusable.blueprints }
    }

    /// Everything in which a query does not fit. `written` is what stands at `path`, with programs that are still to be asked.
    pub(super) fn misfits(&self, query: &Query, written: &Value, path: &[Segment]) -> Vec<Wrong> {
        match query {
            Query::All(rules) | Query::Any(rules) => {
                let word = if written.get("conditions").is_some() { "conditions" } else { "rules" };
                let path = join(path, word);
                let one = |(index, rule)| self.misfits(rule, &written[word][index], &join(&path, index));
                rules.iter().enumerate().flat_map(one).collect()
            }
            Query::Compare { property, operator, .. } => self.compared(property, *operator, written, path),
            Query::RelatedTo { blueprint, .. } => {
                self.blueprint(blueprint, &join(path, "blueprint")).err().into_iter().collect()
            }
            Query::Along { path: hops, from, .. } => {
                self.along(hops, from.as_ref(), written, path).err().into_iter().collect()
            }
            Query::AnyOfType { .. } => Vec::new(),
        }
    }

    fn compared(&self, name: &str, operator: Operator, written: &Value, path: &[Segment]) -> Vec<Wrong> {
        if !has(self.of, name) {
            let message =
                format!("is `{name}`, which is not a property of the blueprint `{}`", self.of.identifier);
            let wrong = Wrong::new("unknown-property", &join(path, "property"), message);
            return vec![match self.of.relations.contains_key(name) {
                true => wrong.help(format!(
                    "it is a relation: `{{ property: {{ path: [{name}] }}, operator: matchAny, value: … }}`"
                )),
                false => wrong.did_you_mean(name, alike(self.of, name)),
            }];
        }
        let exact = [Operator::Equal, Operator::NotEqual, Operator::In, Operator::NotIn].contains(&operator);
        let Some(property) = self.of.property(name).filter(|_| exact) else { return Vec::new() };
        let place = join(path, "value");
        match written.get("value") {
            Some(Value::Array(items)) => {
                let one = |(index, item)| never(name, property, item, &join(&place, index));
                items.iter().enumerate().filter_map(one).collect()
            }
            value => value.and_then(|value| never(name, property, value, &place)).into_iter().collect(),
        }
    }

    fn along(
        &self,
        hops: &[Hop],
        from: Option<&BlueprintId>,
        written: &Value,
        path: &[Segment],
    ) -> Result<(), Wrong> {
        let way = join(path, "property");
        let start = match from {
            Some(name) => self.blueprint(name, &join(&way, "fromBlueprint"))?,
            None => Some(self.of),
        };
        let Some(start) = start else { return Ok(()) };
        let place = |index: usize| {
            let place = join(&join(&way, "path"), index);
            let is_named = written["property"]["path"][index].is_object();
            if is_named { join(&place, "relation") } else { place }
        };
        let relations = hops.iter().map(|hop| hop.relation.as_str());
        let end = self.follow(start, relations, &place)?;
        match end.filter(|end| from.is_some() && end.identifier != self.of.identifier) {
            Some(end) => Err(ends_elsewhere(&join(&way, "path"), end, &self.of.identifier)),
            None => Ok(()),
        }
    }

    /// Where relations lead to; none if a blueprint on the way has mistakes of its own.
    pub(super) fn follow<'r>(
        &self,
        start: &'a Blueprint,
        relations: impl Iterator<Item = &'r str>,
        place: &dyn Fn(usize) -> Vec<Segment>,
    ) -> Result<Option<&'a Blueprint>, Wrong> {
        let mut at = start;
        for (index, relation) in relations.enumerate() {
            match walk(at, &[relation.to_owned()], &place(index), self.all, self.unusable)? {
                Some(next) => at = next,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    /// The blueprint of this name; none if it has mistakes of its own.
    pub(super) fn blueprint(
        &self,
        name: &BlueprintId,
        path: &[Segment],
    ) -> Result<Option<&'a Blueprint>, Wrong> {
        match self.all.get(name) {
            _ if self.unusable.contains(name) => Ok(None),
            Some(found) => Ok(Some(found)),
            None => Err(unknown_blueprint(path, name, &self.all.keys().collect())),
        }
    }
}

/// A way that leads to other entities than it should.
pub(super) fn ends_elsewhere(path: &[Segment], end: &Blueprint, wanted: &BlueprintId) -> Wrong {
    let message = format!("leads to `{}`, and should lead to `{wanted}`", end.identifier);
    Wrong::new("invalid-path", path, message)
        .help("name the relations in order, each one of the blueprint before")
}

/// Why no property of this definition ever has this value. What is computed when it is asked may be anything.
fn never(name: &str, property: &Property, value: &Value, path: &[Segment]) -> Option<Wrong> {
    let (holds, help) = match (property.kind, value) {
        (PropertyType::Array | PropertyType::Object, _) => return None,
        (_, Value::Null | Value::Array(_) | Value::Object(_)) => return None,
        (_, Value::String(text)) if is_template(text) => return None,
        (PropertyType::String, Value::String(_))
        | (PropertyType::Number, Value::Number(_))
        | (PropertyType::Boolean, Value::Bool(_)) => return unchosen(name, property, value, path),
        (PropertyType::String, _) => ("holds text", "write it in quotes"),
        (PropertyType::Number, Value::String(_)) => ("holds numbers", "write it without quotes"),
        (PropertyType::Number, _) => ("holds numbers", "write a number"),
        (PropertyType::Boolean, _) => ("is true or false", "write `true` or `false`, without quotes"),
    };
    let message = format!("is {}, and `{name}` {holds}", describe(value));
    Some(Wrong::new("wrong-type", path, message).help(help))
}

/// A value that is not among the choices.
fn unchosen(name: &str, property: &Property, value: &Value, path: &[Segment]) -> Option<Wrong> {
    let same = |choice: &Value| choice == value || choice.is_number() && choice.as_f64() == value.as_f64();
    if property.choices.is_empty() || property.choices.iter().any(same) {
        return None;
    }
    let choices: Vec<String> = property.choices.iter().map(bare).collect();
    let wrong = Wrong::new("not-a-choice", path, format!("is `{}`, which `{name}` never is", bare(value)));
    Some(wrong.did_you_mean(&bare(value), choices.iter().map(String::as_str)))
}
