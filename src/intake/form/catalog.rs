//! Are the entities that a request names in the catalog, and among those that the action allows?

use std::sync::Arc;

use serde_json::Value;

use super::{Chosen, Lookup, Review, Searched, key};
use crate::{
    catalog::{form::points_to, values::Segment},
    domain::{BlueprintId, Diagnostic, Entity, EntityId, Format, Property, Search},
};

impl Review<'_> {
    /// Whether the action can be run on this entity.
    pub(super) fn condition(&mut self, entity: Option<&Entity>) {
        let action = self.action;
        let (Some(condition), Some(entity)) = (&action.form.condition, entity) else { return };
        let rules = match condition["rules"].as_array() {
            Some(rules) if condition["combinator"] != "or" => rules.clone(),
            _ => vec![condition.clone()],
        };
        let search = Search {
            blueprint: entity.blueprint.clone(),
            queries: rules.iter().map(Value::to_string).collect(),
            sort: None,
            now: None,
            changes: Vec::new(),
        };
        let at = [key("entity")];
        let (place, _) = self.place(&at);
        let found = match (self.search)(search) {
            Searched::Found(found) => found,
            Searched::Pending => {
                self.pending = true;
                return;
            }
            Searched::Unknown(why) => {
                let message = format!(
                    "whether `{}` can be run on `{}` could not be learnt: {why}",
                    action.identifier,
                    entity.id()
                );
                self.problem(
                    Diagnostic::error("condition-not-met", place, message)
                        .help("it is tried again on the next pass"),
                );
                return;
            }
        };
        let failing: Vec<String> = rules
            .iter()
            .zip(found.iter())
            .filter(|(_, found)| !found.contains(&entity.identifier))
            .map(|(rule, _)| in_words(rule))
            .collect();
        if !failing.is_empty() {
            let message = format!(
                "`{}` cannot be run on `{}`: it needs {}",
                action.identifier,
                entity.id(),
                failing.join(", and ")
            );
            let help = match found.iter().flatten().find(|one| found.iter().all(|found| found.contains(one)))
            {
                Some(other) => format!("name another `{}`, such as `{other}`", action.blueprint),
                None => format!("there is no `{}` at present that it can be run on", action.blueprint),
            };
            self.problem(Diagnostic::error("condition-not-met", place, message).help(help));
        }
    }

    /// Looks up what a value names; gives the entities of an input of the format `entity`.
    pub(super) fn pointers(
        &mut self,
        name: &str,
        property: &Property,
        value: &Value,
        at: &[Segment],
    ) -> Option<Chosen> {
        let (named, values) = match (property.items.as_deref(), value) {
            (Some(items), Value::Array(values)) => (items, values.as_slice()),
            _ => (property, std::slice::from_ref(value)),
        };
        let blueprint = points_to(named)?;
        let many = value.is_array();
        let place = |index: usize| -> Vec<Segment> {
            at.iter().cloned().chain(many.then_some(Segment::Index(index))).collect()
        };
        let found: Vec<Option<Arc<Entity>>> = values
            .iter()
            .enumerate()
            .map(|(index, value)| self.find(blueprint.clone(), value.as_str()?, &place(index)))
            .collect();
        self.dataset(name, &blueprint, &found, &place);
        if named.format != Some(Format::Entity) {
            return None;
        }
        let mut found = found.into_iter().collect::<Option<Vec<_>>>()?;
        if many { Some(Chosen::Many(found)) } else { found.pop().map(Chosen::One) }
    }

    /// Whether the entities of an input are among those that its dataset allows.
    fn dataset(
        &mut self,
        name: &str,
        blueprint: &BlueprintId,
        found: &[Option<Arc<Entity>>],
        place: &dyn Fn(usize) -> Vec<Segment>,
    ) {
        let behaviour = self.action.form.inputs.get(name);
        let Some(query) = behaviour.and_then(|behaviour| behaviour.dataset.as_ref()?.query.as_ref()) else {
            return;
        };
        let resolved = self.known.resolved(name, query);
        let Some(query) = self.answered(resolved, &[key("inputs"), key(name)]) else { return };
        let search = Search {
            blueprint: blueprint.clone(),
            queries: vec![query.to_string()],
            sort: None,
            now: None,
            changes: Vec::new(),
        };
        let allowed = match (self.search)(search) {
            Searched::Pending => {
                self.pending = true;
                return;
            }
            Searched::Unknown(why) => {
                let (place, field) = self.place(&[key("inputs"), key(name)]);
                let message = format!("which entities `{field}` can name could not be learnt: {why}");
                return self.problem(
                    Diagnostic::error("not-in-dataset", place, message)
                        .help("it is tried again on the next pass"),
                );
            }
            Searched::Found(found) => found,
        };
        let allowed = allowed.first().map_or(&[][..], Vec::as_slice);
        for (index, entity) in found.iter().enumerate() {
            let Some(entity) = entity.as_ref().filter(|entity| !allowed.contains(&entity.identifier)) else {
                continue;
            };
            let (place, field) = self.place(&place(index));
            let message =
                format!("`{field}` cannot be `{}`: it needs {}", entity.identifier, in_words(&query));
            let help = match allowed {
                [] => format!("there is no `{blueprint}` at present that can be chosen"),
                few @ [..] => {
                    let names: Vec<String> = few.iter().take(12).map(|name| format!("`{name}`")).collect();
                    let more = few.len().saturating_sub(12);
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    format!("it can be {}{more}", names.join(", "))
                }
            };
            self.problem(Diagnostic::error("not-in-dataset", place, message).help(help));
        }
    }

    pub(super) fn find(
        &mut self,
        blueprint: BlueprintId,
        identifier: &str,
        at: &[Segment],
    ) -> Option<Arc<Entity>> {
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
            Lookup::Unusable(why) => {
                let (place, _) = self.place(at);
                let problem = Diagnostic::error("unknown-entity", place, why);
                self.problem(problem.help("mend it first: `chandlery validate` says where it is wrong"));
                None
            }
            Lookup::Absent { nearest } => {
                let (place, _) = self.place(at);
                let help = match nearest {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("name a `{blueprint}` that is in the catalog, or add it first"),
                };
                self.problem(
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
}

/// A query as people read it.
fn in_words(query: &Value) -> String {
    let list = ["rules", "conditions"].iter().find_map(|key| query[*key].as_array());
    if let Some(rules) = list {
        let word = if query["combinator"] == "or" { " or " } else { " and " };
        return match rules.as_slice() {
            [] => "nothing".to_owned(),
            [one] => in_words(one),
            many => many.iter().map(|rule| format!("({})", in_words(rule))).collect::<Vec<_>>().join(word),
        };
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let what = if query["property"].is_null() { &query["blueprint"] } else { &query["property"] };
    let value = if query["value"].is_null() { String::new() } else { format!(" {}", text(&query["value"])) };
    format!("`{} {}{value}`", text(what), text(&query["operator"]))
}
