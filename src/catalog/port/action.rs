//! Actions: what their forms ask is kept, and what they start as far as it has a like here.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{
    Porter, Spot, Thing, form, is_computed,
    step::{Inputs, reference},
    text,
};
use crate::domain::ActionId;

impl Porter<'_> {
    pub(super) fn action(&mut self, thing: &Thing<'_>) {
        let (entries, spot) = (thing.entries, &thing.spot);
        let Some(identifier) = text(entries, "identifier") else {
            return self.left_out(spot, "an action without an identifier", "give it one");
        };
        if let Err(problem) = identifier.parse::<ActionId>() {
            let message = format!("the action `{identifier}`: {}", problem.rule);
            return self.left_out(spot, message, "rename it in the export");
        }
        let apart =
            ["trigger", "userInputs", "invocationMethod", "requiredApproval", "permissions", "blueprint"];
        let kept: Vec<&str> =
            ["identifier", "title", "icon", "description"].into_iter().chain(apart).collect();
        let dropped = [
            ("approvalNotification", "the forge tells people of reviews that are wanted"),
            ("publish", "an action that is in the catalog can be asked for"),
            ("allowAnyoneToViewRuns", "whoever can read the catalog can read its requests"),
        ];
        let mut said = self.keep(entries, spot, &kept, &dropped);
        let Some(mut trigger) = self.trigger(&said, thing) else { return };
        let operation = text(&trigger, "operation").unwrap_or("CREATE").to_owned();
        let blueprint =
            text(&trigger, "blueprintIdentifier").or(upserted(&said)).unwrap_or_default().to_owned();
        let asked = trigger.remove("userInputs").or_else(|| said.remove("userInputs"));
        let at =
            if said.get("trigger").is_some_and(Value::is_object) { spot.at("trigger") } else { spot.clone() };
        let inputs = self.inputs(asked.as_ref().and_then(Value::as_object), &at.at("userInputs"));
        let names: Vec<String> = inputs
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(Map::keys)
            .cloned()
            .collect();
        if !names.is_empty() {
            trigger.insert("userInputs".to_owned(), inputs.clone().into());
        }
        let (step, entities) = self.starts(&said, &operation, &blueprint, &inputs, spot);
        let permissions = said.remove("permissions").unwrap_or_default();
        let (execute, approval) = self.rights(&said, &permissions, identifier, spot);
        let mut made: Map<String, Value> =
            said.into_iter().filter(|(key, _)| !apart.contains(&key.as_str())).collect();
        made.insert("trigger".to_owned(), trigger.into());
        made.extend(execute.map(|execute| ("execute".to_owned(), execute)));
        made.extend(approval.map(|approval| ("approval".to_owned(), approval)));
        made.extend(step.map(|step| ("steps".to_owned(), json!([step]))));
        made.insert("entities".to_owned(), entities);
        let folder = self.known.settings.folders.actions.clone();
        self.put_definition(&folder, identifier, made, spot);
    }

    /// What starts an action. Port had a word for it in older exports, and has an object now.
    fn trigger(&mut self, said: &Map<String, Value>, thing: &Thing<'_>) -> Option<Map<String, Value>> {
        let (spot, identifier) = (&thing.spot.at("trigger"), text(said, "identifier").unwrap_or_default());
        let mut trigger = match said.get("trigger") {
            Some(Value::Object(trigger)) if text(trigger, "type") == Some("automation") => {
                let help = "write a workflow of the catalog's repository that is started by a push";
                self.left_out(
                    spot,
                    format!("`{identifier}` is an automation, which a catalog does not have"),
                    help,
                );
                return None;
            }
            Some(Value::Object(trigger)) => {
                let kept = ["type", "operation", "blueprintIdentifier", "userInputs", "condition"];
                let dropped = [
                    ("actionCardButtonText", "there are no buttons"),
                    ("executeActionButtonText", "there are no buttons"),
                ];
                let mut kept = self.keep(trigger, spot, &kept, &dropped);
                kept.shift_remove("type");
                self.condition(&mut kept, spot);
                kept
            }
            Some(Value::String(word)) => {
                [("operation".to_owned(), word.as_str().into())].into_iter().collect()
            }
            _ => Map::new(),
        };
        let blueprint = text(said, "blueprint").or(thing.blueprint.as_deref());
        if let Some(blueprint) = blueprint {
            trigger.entry("blueprintIdentifier").or_insert_with(|| blueprint.into());
        }
        // An action of Port that is about no blueprint has no entity; what it makes tells what it is about.
        let makes = text(&trigger, "operation") == Some("CREATE") && upserted(said).is_some();
        if text(&trigger, "operation").is_none() || text(&trigger, "blueprintIdentifier").is_none() && !makes
        {
            let help = "every request changes the catalog: add `operation` to its trigger in the export, and as `blueprintIdentifier` what it makes, such as a blueprint for its runs";
            self.left_out(spot, format!("`{identifier}` is about no blueprint, and makes no entity"), help);
            return None;
        }
        Some(trigger)
    }

    fn inputs(&mut self, said: Option<&Map<String, Value>>, spot: &Spot) -> Map<String, Value> {
        let Some(said) = said else { return Map::new() };
        let mut made = self.keep(said, spot, &["properties", "required", "order", "steps", "titles"], &[]);
        let mut asked = made.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let secrets: Vec<String> = asked
            .iter()
            .filter(|(_, input)| input.get("encryption").is_some())
            .map(|(name, _)| name.clone())
            .collect();
        for name in secrets {
            let spot = spot.at("properties").at(&name);
            let is_asked = asked
                .get_mut(&name)
                .and_then(Value::as_object_mut)
                .is_some_and(|input| self.secret(&name, input, &spot));
            if !is_asked {
                asked.shift_remove(&name);
            }
        }
        let properties = self.properties(Some(&asked.into()), true, &spot.at("properties"));
        match made.get("required").filter(|said| is_computed(said)).and_then(form::refusal) {
            Some(why) => {
                made.shift_remove("required");
                let message = format!(
                    "`required` is computed by jq in a way that is not known here, and is left out: {why}"
                );
                self.not_kept(&spot.at("required"), message, "list the inputs that must always be given");
            }
            None if made.get("required").is_some_and(is_computed) => {}
            None => self.required(&mut made, &properties, spot),
        }
        self.layout(&mut made, &properties, spot);
        made.insert("properties".to_owned(), properties.into());
        made
    }

    /// The step that it starts, and how the catalog changes: what `UPSERT_ENTITY` maps is kept; otherwise inputs that are
    /// called as properties are set.
    fn starts(
        &mut self,
        said: &Map<String, Value>,
        operation: &str,
        blueprint: &str,
        inputs: &Map<String, Value>,
        spot: &Spot,
    ) -> (Option<Value>, Value) {
        let word = match operation {
            "CREATE" => "create",
            "DELETE" => "delete",
            _ => "update",
        };
        let method = said.get("invocationMethod").and_then(Value::as_object).cloned().unwrap_or_default();
        let spot = spot.at("invocationMethod");
        let properties = inputs.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let named = Inputs::of(&properties, inputs);
        let kind = text(&method, "type").unwrap_or("nothing").to_owned();
        if kind == "UPSERT_ENTITY" && word != "delete" {
            let target = text(&method, "blueprintIdentifier").unwrap_or(blueprint).to_owned();
            let mapping = method.get("mapping").and_then(Value::as_object).cloned().unwrap_or_default();
            let mut fields = Map::from_iter([("blueprint".to_owned(), target.into())]);
            for key in ["identifier", "title", "team", "properties", "relations"] {
                let Some(value) = mapping.get(key) else { continue };
                let value = self.template(value, &named, &spot.at("mapping").at(key));
                fields.extend(value.map(|value| (key.to_owned(), value)));
            }
            if word == "update" {
                fields.entry("identifier").or_insert_with(|| "{{ entity.identifier }}".into());
            }
            if fields.contains_key("identifier") {
                return (None, json!([{ "upsert": fields }]));
            }
        }
        let step = self.step(&method, &named, &spot);
        let is_secret = |name: &str| properties[name]["format"] == "secret";
        let set: Map<String, Value> = properties
            .keys()
            .filter(|name| !is_secret(name))
            .filter(|name| self.shapes.get(blueprint).is_some_and(|shape| shape.properties.contains(*name)))
            .map(|name| (name.clone(), reference(name).into()))
            .collect();
        let identifier = match word {
            "create" => {
                let names = ["identifier", "name", "id"].into_iter().map(str::to_owned);
                let names = names.chain(properties.keys().cloned());
                let is_text = |name: &String| {
                    properties
                        .get(name)
                        .is_some_and(|input| input["type"] == "string" && input["format"] != "secret")
                };
                names.into_iter().find(is_text).map_or_else(|| "new".to_owned(), |name| reference(&name))
            }
            _ => "{{ entity.identifier }}".to_owned(),
        };
        let started = started(&method, &kind);
        if step.is_some() {
            let message = format!(
                "the action starts `{started}`, which tells Port how the catalog changes; here the action says so"
            );
            let help = format!(
                "look at `entities`: `{word}` with the inputs that are called as properties is a guess"
            );
            self.changed(&spot, message, &help);
        } else {
            let message = format!("what the action starts (`{started}`) is not kept");
            let help = format!(
                "describe it as `steps`, and look at `entities`: `{word}` with the inputs that are called as properties is a guess"
            );
            self.not_kept(&spot, message, &help);
        }
        let mut fields = Map::from_iter([
            ("blueprint".to_owned(), blueprint.into()),
            ("identifier".to_owned(), identifier.into()),
        ]);
        if !set.is_empty() && word != "delete" {
            fields.insert("properties".to_owned(), set.into());
        }
        (step, json!([{ word: fields }]))
    }

    /// Who may ask, and who must approve.
    fn rights(
        &mut self,
        said: &Map<String, Value>,
        permissions: &Value,
        identifier: &str,
        spot: &Spot,
    ) -> (Option<Value>, Option<Value>) {
        let mut people = |key: &str| {
            let spot = spot.at("permissions").at(key);
            let list = |name: &str| permissions[key][name].as_array().cloned().unwrap_or_default();
            let teams: BTreeSet<String> = list("teams")
                .iter()
                .filter_map(Value::as_str)
                .filter_map(|name| self.team_named(name, &spot.at("teams")))
                .collect();
            let users: BTreeSet<String> = list("users")
                .iter()
                .filter_map(Value::as_str)
                .filter_map(|name| self.user_named(name, &spot.at("users")))
                .collect();
            for word in ["roles", "policy", "ownedByTeam"] {
                let value = &permissions[key][word];
                if !value.is_null()
                    && *value != Value::Bool(false)
                    && value.as_array().is_none_or(|list| !list.is_empty())
                {
                    self.not_kept(
                        &spot.at(word),
                        format!("`{word}` is not kept"),
                        "name teams and users in the action",
                    );
                }
            }
            let mut named = Map::new();
            for (key, names) in [("users", users), ("teams", teams)] {
                if !names.is_empty() {
                    named.insert(key.to_owned(), names.into_iter().collect());
                }
            }
            (!named.is_empty()).then_some(named)
        };
        let execute = people("execute").map(Value::from);
        let approvers = people("approve");
        let spot = spot.at("requiredApproval");
        let required = said.get("requiredApproval").unwrap_or(&Value::Null);
        let is_wanted = required.is_object() || *required == Value::Bool(true);
        match approvers {
            Some(named) if is_wanted => {
                let mut rule = Map::from_iter([("name".to_owned(), "approvers".into())]);
                rule.extend(named);
                if required["type"] == "ALL" {
                    rule.insert("all".to_owned(), true.into());
                }
                (execute, Some(json!({ "rules": [rule] })))
            }
            _ if is_wanted => {
                let help = "name them under `approval`; until then one person with write access must approve";
                self.not_kept(&spot, format!("who must approve `{identifier}` is not in the export"), help);
                (execute, None)
            }
            _ => {
                let message = format!(
                    "`{identifier}` needs no approval in Port; here one person with write access must approve"
                );
                self.changed(&spot, message, "write `approval: none` if it shall need none");
                (execute, None)
            }
        }
    }
}

/// The blueprint of the entity that an action says it makes.
fn upserted(said: &Map<String, Value>) -> Option<&str> {
    let method = said.get("invocationMethod")?.as_object()?;
    let makes = text(method, "type") == Some("UPSERT_ENTITY")
        && method.get("mapping")?.as_object()?.contains_key("identifier");
    text(method, "blueprintIdentifier").filter(|_| makes)
}

/// What an action starts, in a few words.
fn started(method: &Map<String, Value>, kind: &str) -> String {
    let inner =
        method.get("integrationActionExecutionProperties").and_then(Value::as_object).unwrap_or(method);
    let words = ["org", "repo", "workflow", "url", "groupName", "projectName", "blueprintIdentifier"];
    std::iter::once(kind).chain(words.iter().filter_map(|key| text(inner, key))).collect::<Vec<_>>().join(" ")
}
