//! What an action of Port starts, as a step: a workflow of GitHub Actions, or a call of a server.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value, json};

use super::{Porter, Spot, text};
use crate::{catalog::document::step::origin, domain::RepoName};

/// What expressions of an action may name.
pub(super) struct Inputs<'a> {
    /// The inputs as they are here.
    pub(super) properties: &'a Map<String, Value>,
    /// Those that always have a value.
    pub(super) given: Vec<String>,
    /// Whether secrets may stand there.
    pub(super) is_payload: bool,
}

impl<'a> Inputs<'a> {
    /// Those of an action's `userInputs`.
    pub(super) fn of(properties: &'a Map<String, Value>, form: &Map<String, Value>) -> Self {
        let listed = form.get("required").and_then(Value::as_array).into_iter().flatten();
        let mut given: Vec<String> = listed.filter_map(Value::as_str).map(str::to_owned).collect();
        let has_default = |input: &Value| input.get("default").is_some_and(|default| !default.is_null());
        given.extend(properties.iter().filter(|(_, input)| has_default(input)).map(|(name, _)| name.clone()));
        Self { properties, given, is_payload: false }
    }
}

impl Porter<'_> {
    /// The step that does what an action starts; none if there is no like here, which is told elsewhere.
    pub(super) fn step(
        &mut self,
        method: &Map<String, Value>,
        inputs: &Inputs<'_>,
        spot: &Spot,
    ) -> Option<Value> {
        let inner = "integrationActionExecutionProperties";
        match text(method, "type")? {
            "GITHUB" => self.workflow(method, inputs, spot),
            "INTEGRATION_ACTION" if text(method, "integrationActionType") == Some("dispatch_workflow") => {
                self.workflow(method.get(inner)?.as_object()?, inputs, &spot.at(inner))
            }
            "WEBHOOK" => self.webhook(method, inputs, spot),
            _ => None,
        }
    }

    fn workflow(&mut self, method: &Map<String, Value>, inputs: &Inputs<'_>, spot: &Spot) -> Option<Value> {
        let (owner, name) = (text(method, "org")?, text(method, "repo")?);
        let repository = format!("{owner}/{name}").parse::<RepoName>().ok()?;
        let file = text(method, "workflow")
            .filter(|file| !file.contains('/') && (file.ends_with(".yml") || file.ends_with(".yaml")))?;
        let mut made = Map::new();
        made.insert("repository".to_owned(), repository.as_str().into());
        made.insert("workflow".to_owned(), file.into());
        if let Some(said) = method.get("workflowInputs").filter(|said| !said.is_null()) {
            let spot = spot.at("workflowInputs");
            if let Some(Value::Object(mut sent)) = self.payload(said, inputs, &spot) {
                // What Port takes for the branch is no input.
                if let Some(Value::String(branch)) = sent.shift_remove("ref") {
                    made.insert("ref".to_owned(), branch.into());
                }
                if !sent.is_empty() {
                    made.insert("inputs".to_owned(), sent.into());
                }
            }
        }
        if method.get("reportWorkflowStatus") == Some(&Value::Bool(false)) {
            let message = "the workflow reports to Port itself; here its run is followed to its end";
            self.changed(&spot.at("reportWorkflowStatus"), message, "take the report out of the workflow");
        }
        self.repositories.insert(repository.to_string());
        Some(json!({ "id": "run", "workflow": made }))
    }

    fn webhook(&mut self, method: &Map<String, Value>, inputs: &Inputs<'_>, spot: &Spot) -> Option<Value> {
        let url = translated(text(method, "url")?, inputs)?;
        let server = origin(&url)?;
        let mut made = Map::new();
        made.insert("url".to_owned(), url.into());
        if let Some(word) = text(method, "method").filter(|word| *word != "POST") {
            made.insert("method".to_owned(), word.into());
        }
        for key in ["headers", "body"] {
            let Some(said) = method.get(key).filter(|said| !said.is_null()) else { continue };
            made.extend(self.payload(said, inputs, &spot.at(key)).map(|value| (key.to_owned(), value)));
        }
        if is_true(method.get("agent")) {
            let message = "Port's agent calls this server; here Chandlery does";
            self.changed(&spot.at("agent"), message, "let Chandlery run where the server can be reached");
        }
        if !is_true(method.get("synchronized")) {
            made.insert("callback".to_owned(), true.into());
            let message =
                "the server reports to Port how it went; here the step waits for `chandlery report`";
            let help =
                "have the server run it (docs/steps.md), or take `callback` out if its answer says all";
            self.changed(&spot.at("synchronized"), message, help);
        }
        self.webhooks.insert(server);
        Some(json!({ "id": "call", "webhook": made }))
    }

    /// What is sent somewhere.
    fn payload(&mut self, said: &Value, inputs: &Inputs<'_>, spot: &Spot) -> Option<Value> {
        let inputs = Inputs { properties: inputs.properties, given: inputs.given.clone(), is_payload: true };
        self.template(said, &inputs, spot)
    }

    /// A value in which Port's jq between braces is a name of ours; none if it cannot be one.
    pub(super) fn template(&mut self, value: &Value, inputs: &Inputs<'_>, spot: &Spot) -> Option<Value> {
        match value {
            Value::String(text) => match translated(text, inputs) {
                Some(text) => Some(text.into()),
                None => {
                    let message = format!("`{text}` is more than a name, and is left out");
                    self.not_kept(spot, message, "write it as a template, such as `{{ inputs.name }}`");
                    None
                }
            },
            Value::Object(entries) => {
                let mut kept = Map::new();
                for (key, value) in entries {
                    // All inputs next to each other.
                    let spreads = key.contains("spreadValue()") && value.as_str() == Some("{{ .inputs }}");
                    if spreads && inputs.is_payload {
                        let names = inputs.properties.keys();
                        kept.extend(names.map(|name| (name.clone(), expression(name, inputs).into())));
                        continue;
                    }
                    if key.contains("{{") {
                        let message = format!("the key `{key}` is computed, and is left out");
                        self.not_kept(&spot.at(key), message, "write the key out");
                        continue;
                    }
                    kept.extend(
                        self.template(value, inputs, &spot.at(key)).map(|value| (key.clone(), value)),
                    );
                }
                (!kept.is_empty()).then(|| kept.into())
            }
            Value::Array(items) => {
                let mut kept = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    kept.extend(self.template(item, inputs, &spot.at(index)));
                }
                Some(kept.into())
            }
            other => Some(other.clone()),
        }
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| *value == Value::Bool(true) || *value == "true")
}

/// An input in a template.
pub(super) fn reference(name: &str) -> String {
    format!("{{{{ {} }}}}", way(name))
}

fn way(name: &str) -> String {
    let is_word = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !name.starts_with(|c: char| c.is_ascii_digit());
    if is_word { format!("inputs.{name}") } else { format!("inputs['{name}']") }
}

/// An input that may have no value is nothing then.
fn expression(name: &str, inputs: &Inputs<'_>) -> String {
    let is_secret = inputs.properties.get(name).is_some_and(|input| input["format"] == "secret");
    if is_secret || inputs.given.iter().any(|given| given == name) {
        return reference(name);
    }
    format!("{{{{ {} | default(none) }}}}", way(name))
}

/// A text of Port's as a template of ours: every expression must be the way to an input or to the entity, or, where something is
/// sent, to a secret.
pub(super) fn translated(text: &str, inputs: &Inputs<'_>) -> Option<String> {
    static EXPRESSION: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"\{\{\s*(.*?)\s*\}\}").expect("it is a pattern"));
    static WAY: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"^\.(?:inputs\.(?P<input>\w+)(?P<part>\.identifier)?|inputs\["(?P<quoted>[\w-]+)"\]|(?P<entity>entity\.(?:identifier|title|properties\.\w+|relations\.\w+))|run\.(?P<run>id)|(?P<action>action\.identifier)|secrets(?:\.(?P<secret>[A-Z][A-Z0-9_]*)|\["(?P<named>[A-Z][A-Z0-9_]*)"\]))$"#)
            .expect("it is a pattern")
    });
    let mut made = String::new();
    let mut rest = 0;
    for found in EXPRESSION.captures_iter(text) {
        let (whole, inside) = (found.get(0)?, found.get(1)?.as_str());
        let way = WAY.captures(inside)?;
        made.push_str(&text[rest..whole.start()]);
        rest = whole.end();
        if let Some(known) = way.name("entity").or(way.name("action")) {
            made.push_str(&format!("{{{{ {} }}}}", known.as_str()));
        } else if way.name("run").is_some() {
            made.push_str("{{ request.id }}");
        } else if let Some(secret) = way.name("secret").or(way.name("named")) {
            if !inputs.is_payload {
                return None;
            }
            made.push_str(&format!("{{{{ secrets.{} }}}}", secret.as_str()));
        } else {
            let name = way.name("input").or(way.name("quoted"))?.as_str();
            let input = inputs.properties.get(name)?;
            // An entity that was chosen is an object in Port, and its identifier here.
            let is_entity = input["format"] == "entity";
            let is_secret = input["format"] == "secret";
            if is_entity != way.name("part").is_some() || is_secret && !inputs.is_payload {
                return None;
            }
            let is_all = whole.start() == 0 && whole.end() == text.len();
            made.push_str(&if is_all { expression(name, inputs) } else { reference(name) });
        }
    }
    made.push_str(&text[rest..]);
    Some(made)
}
