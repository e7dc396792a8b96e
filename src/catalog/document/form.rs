//! What may the form of an action say: its inputs, their order, headings and pages, and what must hold of them together?

use std::collections::{BTreeMap, BTreeSet};

use schemars::{JsonSchema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reader,
    input::{ComputedDocument, InputDocument, dynamic_flag, flag, inputs},
    join,
    property::check_listed,
};
use crate::{
    catalog::{
        form::{check_program, program},
        values::{Segment, Wrong, trail},
    },
    domain::{Form, FormStep, Heading, Property, Validation},
};

/// What a form asks.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InputsDocument {
    /// The inputs by name.
    #[serde(default)]
    properties: BTreeMap<String, InputDocument>,
    /// The inputs that must be given; of those that are hidden or disabled, none.
    #[serde(default)]
    #[schemars(schema_with = "required")]
    required: Option<Value>,
    /// The order in the form, of inputs and titles; inputs not named here follow as they are written.
    order: Option<Vec<String>>,
    /// Headings among the inputs, by the name that they have in an order.
    #[serde(default)]
    titles: BTreeMap<String, TitleDocument>,
    /// The pages of the form, instead of an order.
    steps: Option<Vec<FormStepDocument>>,
    /// What must hold of several inputs together.
    #[serde(default)]
    validations: Vec<ValidationDocument>,
}

/// A heading among inputs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct TitleDocument {
    /// What it says.
    #[schemars(length(min = 1, max = 140))]
    title: String,
    /// A sentence below it.
    #[schemars(length(max = 1000))]
    description: Option<String>,
    /// Whether it is shown.
    #[serde(default)]
    #[schemars(schema_with = "flag")]
    visible: Option<Value>,
}

/// A page of a form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FormStepDocument {
    /// Its name.
    #[schemars(length(min = 1, max = 140))]
    title: String,
    /// Its inputs and titles.
    order: Vec<String>,
    /// Whether it is shown; the inputs of a page that is not are hidden.
    #[serde(default)]
    #[schemars(schema_with = "flag")]
    visible: Option<Value>,
}

/// What must hold of several inputs together.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ValidationDocument {
    /// What people are told if it does not hold.
    #[schemars(length(min = 1, max = 1000))]
    message: String,
    /// jq over `.form`, `.entity` and `.user`: it holds where that is neither false nor null.
    jq_query: String,
}

fn required(generator: &mut SchemaGenerator) -> schemars::Schema {
    let computed = generator.subschema_for::<ComputedDocument>();
    let names = json!({ "type": "array", "items": { "type": "string" } });
    json!({ "anyOf": [names, computed, { "type": "null" }] }).try_into().unwrap_or_default()
}

/// The inputs in the order shown, those that must be given, and the rest of the form.
pub(super) fn form(
    document: InputsDocument,
    reader: &mut Reader,
) -> (Vec<(String, Property)>, Vec<String>, Form) {
    let path = trail!["trigger", "userInputs"];
    let at = |key: &str| join(&path, key);
    let names = reader.keys(&at("properties"));
    let (mut made, behaviours) = inputs(document.properties, &at("properties"), reader);
    let computed = document.required.as_ref().and_then(program).map(str::to_owned);
    let required: Vec<String> =
        document.required.and_then(|said| serde_json::from_value(said).ok()).unwrap_or_default();
    match &computed {
        Some(text) => check_program(text, &at("required"), reader),
        None => check_listed(&required, &names, &at("required"), "unknown-input", reader),
    }
    let titles = document.titles.into_iter().map(|(name, title)| {
        let place = join(&at("titles"), name.as_str());
        if names.contains(&name) {
            let wrong = Wrong::new("repeated-item", &place, "is the name of an input, too").about_key();
            reader.wrong(wrong.help("give the title another name"));
        }
        let visible = dynamic_flag(title.visible.as_ref(), true, &join(&place, "visible"), reader);
        (name, Heading { title: title.title, description: title.description, visible })
    });
    let titles: BTreeMap<String, Heading> = titles.collect();
    let known: Vec<String> = names.iter().chain(titles.keys()).cloned().collect();
    if let Some(order) = &document.order {
        check_listed(order, &known, &at("order"), "unknown-input", reader);
    }
    let steps = steps(document.steps, &names, &known, &at("steps"), reader);
    if document.order.is_some() && !steps.is_empty() {
        let wrong = Wrong::new("misplaced-key", &at("order"), "cannot go with `steps`").about_key();
        reader.wrong(wrong.help("each step has an order of its own"));
    }
    let order: Vec<String> = match document.order {
        Some(order) => order,
        None => steps.iter().flat_map(|step| step.order.clone()).collect(),
    };
    let validations = document.validations.into_iter().enumerate().map(|(index, validation)| {
        check_program(&validation.jq_query, &join(&join(&at("validations"), index), "jqQuery"), reader);
        Validation { message: validation.message, holds: validation.jq_query }
    });
    let validations = validations.collect();
    // Stable: what is not named stays as written, behind what is.
    made.sort_by_key(|(name, _)| order.iter().position(|named| named == name).unwrap_or(usize::MAX));
    let form =
        Form { inputs: behaviours, required: computed, order, titles, steps, validations, condition: None };
    (made, required, form)
}

fn steps(
    documents: Option<Vec<FormStepDocument>>,
    names: &[String],
    known: &[String],
    path: &[Segment],
    reader: &mut Reader,
) -> Vec<FormStep> {
    let Some(documents) = documents else { return Vec::new() };
    let mut made = Vec::new();
    let mut placed: BTreeSet<String> = BTreeSet::new();
    for (index, document) in documents.into_iter().enumerate() {
        let place = join(path, index);
        check_listed(&document.order, known, &join(&place, "order"), "unknown-input", reader);
        for (at, name) in document.order.iter().enumerate() {
            if !placed.insert(name.clone())
                && document.order.iter().position(|other| other == name) == Some(at)
            {
                let wrong = Wrong::new(
                    "repeated-item",
                    &join(&join(&place, "order"), at),
                    format!("repeats `{name}`, which is in an earlier step"),
                );
                reader.wrong(wrong.help("leave it in one of the two"));
            }
        }
        let visible = dynamic_flag(document.visible.as_ref(), true, &join(&place, "visible"), reader);
        made.push(FormStep { title: document.title, visible, order: document.order });
    }
    let missing: Vec<String> =
        names.iter().filter(|name| !placed.contains(*name)).map(|name| format!("`{name}`")).collect();
    if !missing.is_empty() {
        let message = format!("leave out {}", crate::catalog::values::list(&missing, "and"));
        reader.wrong(
            Wrong::new("unplaced-input", path, message).help("put each input into the order of one step"),
        );
    }
    made
}
