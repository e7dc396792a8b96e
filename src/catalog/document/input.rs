//! What may the definition of one input say? What that of a property says, some of it computed, and what only a form has.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Reader, join,
    property::{Home, PropertyDocument, check_name},
    query::loose_query,
};
use crate::{
    catalog::{
        form::{check_program, points_to, program, sample},
        values::{Segment, Wrong},
    },
    domain::{Behaviour, Dataset, Dynamic, Property, PropertyType},
};

/// The keys of a definition that may be computed, with the type that each is about; of `default` and `enum` it is any.
const COMPUTED: [(&str, Option<PropertyType>); 12] = [
    ("default", None),
    ("enum", None),
    ("pattern", Some(PropertyType::String)),
    ("minLength", Some(PropertyType::String)),
    ("maxLength", Some(PropertyType::String)),
    ("minimum", Some(PropertyType::Number)),
    ("maximum", Some(PropertyType::Number)),
    ("exclusiveMinimum", Some(PropertyType::Number)),
    ("exclusiveMaximum", Some(PropertyType::Number)),
    ("multipleOf", Some(PropertyType::Number)),
    ("minItems", Some(PropertyType::Array)),
    ("maxItems", Some(PropertyType::Array)),
];

/// A program instead of a value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ComputedDocument {
    /// jq over `.form`, `.entity` and `.user`.
    pub(super) jq_query: String,
}

/// By which property the entities of a form are sorted.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SortDocument {
    /// The property.
    property: String,
    /// The greatest last (`ASC`), as if not said, or first (`DESC`).
    #[serde(default)]
    order: OrderDocument,
}

#[derive(Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
enum OrderDocument {
    #[default]
    #[serde(rename = "ASC")]
    Ascending,
    #[serde(rename = "DESC")]
    Descending,
}

/// What only a form has.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExtrasDocument {
    /// Whether it is asked; what is hidden has its default.
    #[serde(default)]
    #[schemars(schema_with = "flag")]
    visible: Option<Value>,
    /// Whether it cannot be answered; it has its default.
    #[serde(default)]
    #[schemars(schema_with = "flag")]
    disabled: Option<Value>,
    /// Whether it has its default and no other value.
    #[serde(default)]
    #[schemars(schema_with = "flag")]
    read_only: Option<Value>,
    /// It is disabled until all of these have a value.
    depends_on: Option<Vec<String>>,
    /// A query for the entities that can be chosen; values may be computed.
    dataset: Option<Map<String, Value>>,
    /// The order of the entities in the form.
    sort: Option<SortDocument>,
}

/// The definition of an input, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct InputDocument(Map<String, Value>);

impl JsonSchema for InputDocument {
    fn schema_name() -> Cow<'static, str> {
        "InputDocument".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = PropertyDocument::json_schema(generator).to_value();
        // Its items are inputs, and nothing else names it.
        generator.definitions_mut().shift_remove("PropertyDocument");
        let extras = ExtrasDocument::json_schema(generator).to_value();
        let computed = generator.subschema_for::<ComputedDocument>().to_value();
        let items = generator.subschema_for::<Self>().to_value();
        schema["description"] =
            "What an input may be: as a property, and some of it computed from what was given so far.".into();
        if let Some(properties) = schema["properties"].as_object_mut() {
            for (key, _) in COMPUTED {
                let Some(Value::Object(mut one)) = properties.get(key).cloned() else { continue };
                // Whatever a default is, it may be this as well.
                if key == "default" {
                    continue;
                }
                let description = one.shift_remove("description").unwrap_or_default();
                properties
                    .insert(key.to_owned(), json!({ "description": description, "anyOf": [one, computed] }));
            }
            let described = properties["items"]["description"].clone();
            properties.insert(
                "items".to_owned(),
                json!({ "description": described, "anyOf": [items, { "type": "null" }] }),
            );
            properties.extend(extras["properties"].as_object().cloned().unwrap_or_default());
        }
        schema.try_into().unwrap_or_default()
    }
}

/// `true`, `false`, or a program.
pub(super) fn flag(generator: &mut SchemaGenerator) -> Schema {
    let computed = generator.subschema_for::<ComputedDocument>();
    json!({ "anyOf": [{ "type": "boolean" }, computed, { "type": "null" }] }).try_into().unwrap_or_default()
}

/// What [`flag`] allows.
pub(super) fn dynamic_flag(
    said: Option<&Value>,
    otherwise: bool,
    path: &[Segment],
    reader: &mut Reader,
) -> Dynamic<bool> {
    match (said.and_then(program), said) {
        (Some(text), _) => {
            check_program(text, path, reader);
            Dynamic::Computed(text.to_owned())
        }
        (None, Some(Value::Bool(said))) => Dynamic::Fixed(*said),
        (None, _) => Dynamic::Fixed(otherwise),
    }
}

/// The inputs in the order written, with what they do.
pub(super) fn inputs(
    mut documents: BTreeMap<String, InputDocument>,
    path: &[Segment],
    reader: &mut Reader,
) -> (Vec<(String, Property)>, BTreeMap<String, Behaviour>) {
    let (mut made, mut behaviours) = (Vec::new(), BTreeMap::new());
    let names = reader.keys(path);
    for name in &names {
        let Some(document) = documents.remove(name) else { continue };
        let place = join(path, name.as_str());
        check_name(name, &place, reader);
        let Some((property, behaviour)) = document.into_domain(&place, &names, reader) else { continue };
        made.push((name.clone(), property));
        if behaviour != Behaviour::default() {
            behaviours.insert(name.clone(), behaviour);
        }
    }
    (made, behaviours)
}

impl InputDocument {
    fn into_domain(
        self,
        path: &[Segment],
        names: &[String],
        reader: &mut Reader,
    ) -> Option<(Property, Behaviour)> {
        let Self(mut entries) = self;
        let items_path = join(path, "items");
        let mut items = entries.get("items").and_then(Value::as_object).cloned();
        let computed = computed(&mut entries, path, reader);
        let computed_items =
            items.as_mut().map(|items| computed_of(items, &items_path, reader)).unwrap_or_default();
        let extras = take_extras(&mut entries);
        let of_items = items.as_mut().map(take_extras).unwrap_or_default();
        if let Some(items) = items {
            entries.insert("items".to_owned(), items.into());
        }
        for (key, said) in [
            ("visible", of_items.visible.is_some()),
            ("disabled", of_items.disabled.is_some()),
            ("readOnly", of_items.read_only.is_some()),
            ("dependsOn", of_items.depends_on.is_some()),
        ] {
            if said {
                let wrong = Wrong::new("misplaced-key", &join(&items_path, key), "has no effect on items");
                reader.wrong(wrong.about_key().help(format!("write `{key}` beside `items`")));
            }
        }
        let document: PropertyDocument = match serde_json::from_value(Value::Object(entries)) {
            Ok(document) => document,
            Err(error) => {
                reader.wrong(Wrong::new("wrong-value", path, format!("cannot be read: {error}")));
                return None;
            }
        };
        let property = document.into_domain(path, Home::Action, reader);
        let depends_on = extras.depends_on.unwrap_or_default();
        super::property::check_listed(&depends_on, names, &join(path, "dependsOn"), "unknown-input", reader);
        let (visible, disabled, read_only) = (&extras.visible, &extras.disabled, &extras.read_only);
        let mut behaviour = Behaviour {
            visible: dynamic_flag(visible.as_ref(), true, &join(path, "visible"), reader),
            disabled: dynamic_flag(disabled.as_ref(), false, &join(path, "disabled"), reader),
            read_only: dynamic_flag(read_only.as_ref(), false, &join(path, "readOnly"), reader),
            depends_on,
            computed,
            computed_items,
            dataset: None,
        };
        let property = property?;
        for (place, dataset, sort, chosen) in [
            (path, extras.dataset, extras.sort, Some(&property)),
            (&items_path, of_items.dataset, of_items.sort, property.items.as_deref()),
        ] {
            if dataset.is_none() && sort.is_none() {
                continue;
            }
            let key = if dataset.is_some() { "dataset" } else { "sort" };
            if chosen.and_then(points_to).is_none() {
                let wrong = Wrong::new("misplaced-key", &join(place, key), "has no effect here").about_key();
                reader.wrong(
                    wrong.help("it goes with `format: entity`, `user` or `team`; of a list, below `items`"),
                );
                continue;
            }
            let query = dataset.map(Value::Object);
            if let Some(query) = &query {
                check_dataset(query, &join(place, "dataset"), reader);
            }
            let sort = sort.map(|sort| (sort.property, sort.order == OrderDocument::Descending));
            behaviour.dataset = Some(Dataset { query, sort });
        }
        let keys = behaviour.computed.keys().map(|key| (path, key, Some(&property)));
        let of_items = behaviour
            .computed_items
            .keys()
            .map(|key| (items_path.as_slice(), key, property.items.as_deref()));
        for (place, key, property) in keys.chain(of_items) {
            let wanted = COMPUTED.iter().find(|(name, _)| name == key).and_then(|(_, wanted)| *wanted);
            if let (Some(wanted), Some(property)) = (wanted, property)
                && wanted != property.kind
            {
                let message = format!("has no effect on `type: {}`", property.kind.name());
                let wrong = Wrong::new("misplaced-key", &join(place, key.as_str()), message).about_key();
                reader.wrong(wrong.help(format!("remove it, or use `type: {}`", wanted.name())));
            }
        }
        Some((property, behaviour))
    }
}

/// A query, as far as it is known before a request is there.
pub(super) fn check_dataset(query: &Value, path: &[Segment], reader: &mut Reader) {
    for wrong in loose_query(&sample(query)).err().into_iter().flatten() {
        reader.wrong(wrong.below(path));
    }
    programs_in(query, path, reader);
}

fn programs_in(value: &Value, path: &[Segment], reader: &mut Reader) {
    match (program(value), value) {
        (Some(text), _) => check_program(text, path, reader),
        (None, Value::Object(entries)) => {
            entries.iter().for_each(|(key, value)| programs_in(value, &join(path, key.as_str()), reader));
        }
        (None, Value::Array(items)) => {
            items
                .iter()
                .enumerate()
                .for_each(|(index, value)| programs_in(value, &join(path, index), reader));
        }
        (None, _) => {}
    }
}

/// Takes what is computed out of a definition.
fn computed(
    entries: &mut Map<String, Value>,
    path: &[Segment],
    reader: &mut Reader,
) -> BTreeMap<String, String> {
    let mut made = BTreeMap::new();
    for (key, _) in COMPUTED {
        if let Some(text) = entries.get(key).and_then(program).map(str::to_owned) {
            check_program(&text, &join(path, key), reader);
            entries.shift_remove(key);
            made.insert(key.to_owned(), text);
        }
    }
    made
}

/// As [`computed`], for items, which have no default.
fn computed_of(
    items: &mut Map<String, Value>,
    path: &[Segment],
    reader: &mut Reader,
) -> BTreeMap<String, String> {
    let mut made = computed(items, path, reader);
    if made.remove("default").is_some() {
        let wrong = Wrong::new("misplaced-key", &join(path, "default"), "has no effect on items").about_key();
        reader.wrong(wrong.help("write `default` beside `items`"));
    }
    made
}

/// Takes what only a form has out of a definition. Its shape was judged by the schema.
fn take_extras(entries: &mut Map<String, Value>) -> ExtrasDocument {
    const KEYS: [&str; 6] = ["visible", "disabled", "readOnly", "dependsOn", "dataset", "sort"];
    let taken: Map<String, Value> =
        KEYS.into_iter().filter_map(|key| entries.shift_remove_entry(key)).collect();
    serde_json::from_value(Value::Object(taken)).unwrap_or_default()
}
