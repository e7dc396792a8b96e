//! What a form of Port's decides while it is filled in: kept where it can be asked here, too.

use serde_json::{Map, Value, json};

use super::{Porter, Spot, is_computed, text};
use crate::{
    catalog::{
        document::query::loose_query,
        form::{NO_ROLES, TEAMS_INSTEAD, program, rights, sample},
        values::field_name,
    },
    expr::Expression,
};

/// What only an input has.
pub(super) const KEYS: [&str; 6] = ["visible", "disabled", "readOnly", "dependsOn", "dataset", "sort"];
/// What of an input may be computed.
const COMPUTED: [&str; 15] = [
    "default",
    "enum",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "visible",
    "disabled",
    "readOnly",
];

impl Porter<'_> {
    /// Takes out what is computed by what cannot be asked here, and tells so.
    pub(super) fn computed(&mut self, made: &mut Map<String, Value>, spot: &Spot) {
        let computed = made.iter().filter(|(_, value)| is_computed(value));
        let refused: Vec<(String, String)> = computed
            .filter_map(|(key, value)| {
                let why = match COMPUTED.contains(&key.as_str()) {
                    true => refusal(value)?,
                    false => "it has to be a value".to_owned(),
                };
                Some((key.clone(), why))
            })
            .collect();
        for (key, why) in refused {
            made.shift_remove(&key);
            let message =
                format!("`{key}` is computed by jq in a way that is not known here, and is left out: {why}");
            self.not_kept(
                &spot.at(&key),
                message,
                "write it anew: docs/actions.md tells what can be computed",
            );
        }
        if let Some(dataset) = made.get_mut("dataset") {
            contextual(dataset);
        }
        if let Some(why) = made.get("dataset").and_then(problem) {
            made.shift_remove("dataset");
            let message = format!("the dataset cannot be asked here, and is left out: {why}");
            self.not_kept(
                &spot.at("dataset"),
                message,
                "write it anew: docs/asking.md tells what can be asked",
            );
        }
    }

    /// What is secret says here where the secret is, if it can.
    pub(super) fn secret(&mut self, name: &str, input: &mut Map<String, Value>, spot: &Spot) -> bool {
        input.shift_remove("encryption");
        if text(input, "type") != Some("string") {
            let help = "ask each of its parts as a text of its own";
            self.left_out(spot, format!("`{name}` is a secret that is no text, and is not asked for"), help);
            return false;
        }
        let limits = ["default", "enum", "enumColors", "pattern", "minLength", "maxLength", "format"];
        input.retain(|key, _| !limits.contains(&key.as_str()));
        input.insert("format".to_owned(), "secret".into());
        let message = format!("`{name}` is a secret: it is asked for as a reference, or encrypted with age");
        self.changed(&spot.at("encryption"), message, "name `secrets` or `ageRecipients` in chandlery.yaml");
        true
    }

    /// Headings and pages, of inputs that are there.
    pub(super) fn layout(
        &mut self,
        made: &mut Map<String, Value>,
        properties: &Map<String, Value>,
        spot: &Spot,
    ) {
        let mut titles = Map::new();
        for (name, title) in made.get("titles").and_then(Value::as_object).cloned().into_iter().flatten() {
            let spot = spot.at("titles").at(&name);
            if let Some(entries) = title.as_object().filter(|_| !properties.contains_key(&name)) {
                let mut title = self.keep(entries, &spot, &["title", "description", "visible"], &[]);
                self.computed(&mut title, &spot);
                titles.insert(name, title.into());
            }
        }
        let is_there = |name: &Value| {
            name.as_str().is_some_and(|name| properties.contains_key(name) || titles.contains_key(name))
        };
        if let Some(order) = made.get_mut("order").and_then(Value::as_array_mut) {
            order.retain(is_there);
        }
        let mut steps = Vec::new();
        let said = made.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, step) in said.iter().enumerate() {
            let spot = spot.at("steps").at(index);
            let Some(entries) = step.as_object() else { continue };
            let mut step = self.keep(entries, &spot, &["title", "order", "visible"], &[]);
            self.computed(&mut step, &spot);
            if let Some(order) = step.get_mut("order").and_then(Value::as_array_mut) {
                order.retain(is_there);
                if !order.is_empty() {
                    steps.push(Value::Object(step));
                }
            }
        }
        for (key, is_empty, value) in
            [("titles", titles.is_empty(), titles.into()), ("steps", steps.is_empty(), Value::from(steps))]
        {
            made.shift_remove(key);
            if !is_empty {
                made.insert(key.to_owned(), value);
            }
        }
    }

    /// Which entities an action can be run on.
    pub(super) fn condition(&mut self, trigger: &mut Map<String, Value>, spot: &Spot) {
        let Some(Value::Object(mut condition)) = trigger.shift_remove("condition") else { return };
        condition.shift_remove("type");
        let is_empty = condition.get("rules").and_then(Value::as_array).is_some_and(Vec::is_empty);
        if is_empty || text(trigger, "operation") == Some("CREATE") {
            return;
        }
        let condition = Value::Object(condition);
        match problem(&condition) {
            Some(why) => {
                let message = format!("the condition cannot be asked here, and is left out: {why}");
                self.not_kept(
                    &spot.at("condition"),
                    message,
                    "the action is offered for every entity: write it anew",
                );
            }
            None => drop(trigger.insert("condition".to_owned(), condition)),
        }
    }
}

/// Has a dataset ask whoever asks by what expressions see of them. People are named by their login here.
fn contextual(query: &mut Value) {
    match query {
        Value::Object(entries) => {
            let context = entries.get("value").and_then(Value::as_object).filter(|value| value.len() == 2);
            let named = |key: &str| context.and_then(|value| text(value, key));
            let program = match (named("context"), named("property")) {
                (Some("user"), Some("$identifier")) => Some(".user.login".to_owned()),
                (Some("user"), Some(property)) if !property.starts_with('$') => {
                    Some(format!(".user.properties[{}]", Value::from(property)))
                }
                (Some("userTeams"), Some("$identifier")) => Some(".user.teamsIdentifiers".to_owned()),
                _ => None,
            };
            match program {
                Some(program) => {
                    entries.insert("value".to_owned(), json!({ "jqQuery": program }));
                }
                None => entries.values_mut().for_each(contextual),
            }
        }
        Value::Array(items) => items.iter_mut().for_each(contextual),
        _ => {}
    }
}

/// Why a computed value cannot be computed here.
pub(super) fn refusal(value: &Value) -> Option<String> {
    match program(value) {
        Some(text) => match rights(text) {
            Some(word) => Some(format!("it speaks of `.user.{word}`, {NO_ROLES}; {TEAMS_INSTEAD}")),
            None => {
                Expression::parse(text).err().map(|refusal| format!("the expression {}", refusal.message))
            }
        },
        None => Some("it is no `jqQuery` alone".to_owned()),
    }
}

/// Why a query, in which values may be computed, cannot be asked.
fn problem(query: &Value) -> Option<String> {
    fn programs(value: &Value) -> Option<String> {
        match value {
            value if is_computed(value) => refusal(value),
            Value::Object(entries) => entries.values().find_map(programs),
            Value::Array(items) => items.iter().find_map(programs),
            _ => None,
        }
    }
    let wrong = loose_query(&sample(query)).err().and_then(|wrong| wrong.into_iter().next());
    wrong.map(|wrong| format!("`{}` {}", field_name(&wrong.path), wrong.message)).or_else(|| programs(query))
}
