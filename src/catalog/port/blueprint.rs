//! Blueprints, what their properties may be, and scorecards.

use serde_json::{Map, Value};

use super::{Porter, Shape, Spot, Thing, form, is_computed, text};
use crate::{
    catalog::{
        document::query::loose_query,
        values::{bare, field_name},
    },
    domain::{BlueprintId, Format},
    expr::Expression,
};

/// What the definition of a property keeps.
const PROPERTY: [&str; 27] = [
    "type",
    "format",
    "title",
    "description",
    "icon",
    "default",
    "enum",
    "enumColors",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "items",
    "minItems",
    "maxItems",
    "uniqueItems",
    "blueprint",
    "properties",
    "patternProperties",
    "additionalProperties",
    "required",
    "spec",
    "dateFormat",
];

/// What has no like here.
const DROPPED: [(&str, &str); 2] = [
    ("specAuthentication", "nothing is shown from other pages here"),
    ("encryption", "what is written in a request can be read by all who can read the catalog"),
];

impl Porter<'_> {
    pub(super) fn blueprint(&mut self, thing: &Thing<'_>) {
        let (entries, spot) = (thing.entries, &thing.spot);
        let Some(identifier) = text(entries, "identifier") else {
            return self.left_out(spot, "a blueprint without an identifier", "give it one");
        };
        let is_built_in = ["_user", "_team"].contains(&identifier);
        if identifier.starts_with('_') && !is_built_in {
            let help = "scorecards are computed here, and runs are files in `requests/`";
            return self.not_kept(
                spot,
                format!("the blueprint `{identifier}` of Port's own is not imported"),
                help,
            );
        }
        if let Err(problem) = identifier.parse::<BlueprintId>() {
            let help = "rename it in the export, and wherever it is named (`blueprint`, `target`, `blueprintIdentifier`)";
            return self.left_out(spot, format!("the blueprint `{identifier}`: {}", problem.rule), help);
        }
        let kept = [
            "identifier",
            "title",
            "description",
            "icon",
            "schema",
            "relations",
            "ownership",
            "mirrorProperties",
            "calculationProperties",
            "aggregationProperties",
        ];
        let dropped = [
            ("changelogDestination", "the forge tells of changes by its own webhooks"),
            ("includeInGlobalSearch", "`chandlery search` looks at everything"),
            ("teamInheritance", ""),
            ("scorecards", ""),
            ("actions", ""),
            ("entities", ""),
        ];
        let apart: Vec<&str> =
            dropped.iter().filter(|(_, help)| help.is_empty()).map(|(key, _)| *key).collect();
        let own: Map<String, Value> = entries
            .iter()
            .filter(|(key, _)| !apart.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut made = self.keep(&own, spot, &kept, &dropped);
        if let Some(path) = entries.get("teamInheritance").and_then(|said| text(said.as_object()?, "path"))
            && !made.contains_key("ownership")
        {
            made.insert("ownership".to_owned(), serde_json::json!({ "type": "Inherited", "path": path }));
        }
        let mut shape = Shape::default();
        self.schema(&mut made, spot, &mut shape);
        self.relations(&mut made, spot, &mut shape);
        self.derived(&mut made, spot, &mut shape);
        shape.inherits = made.get("ownership").is_some_and(|said| said["type"] == "Inherited");
        self.shapes.insert(identifier.to_owned(), shape);
        for key in ["relations", "mirrorProperties", "calculationProperties", "aggregationProperties"] {
            made.retain(|name, value| {
                name != key || value.as_object().is_some_and(|entries| !entries.is_empty())
            });
        }
        let says_more = ["schema", "relations"].iter().any(|key| made.contains_key(*key));
        if !is_built_in || says_more {
            // What was worked on came last; it is written where people look for it.
            let made =
                kept.iter().filter_map(|key| Some(((*key).to_owned(), made.get(*key)?.clone()))).collect();
            let folder = self.known.settings.folders.blueprints.clone();
            self.put_definition(&folder, identifier, made, spot);
        }
    }

    fn schema(&mut self, made: &mut Map<String, Value>, spot: &Spot, shape: &mut Shape) {
        let Some(Value::Object(schema)) = made.remove("schema") else { return };
        let spot = spot.at("schema");
        let mut schema = self.keep(&schema, &spot, &["properties", "required"], &[]);
        let properties = self.properties(schema.get("properties"), false, &spot.at("properties"));
        for (name, property) in &properties {
            let format = property["format"].as_str().or_else(|| property["items"]["format"].as_str());
            if let Some(format) = format.filter(|format| ["user", "team"].contains(format)) {
                shape.formats.insert(name.clone(), format.to_owned());
            }
            shape.properties.insert(name.clone());
        }
        self.required(&mut schema, &properties, &spot);
        schema.insert("properties".to_owned(), properties.into());
        made.insert("schema".to_owned(), schema.into());
    }

    /// Which must be there, of those that are.
    pub(super) fn required(
        &mut self,
        schema: &mut Map<String, Value>,
        properties: &Map<String, Value>,
        spot: &Spot,
    ) {
        match schema.get_mut("required") {
            Some(Value::Array(names)) => {
                names.retain(|name| name.as_str().is_some_and(|name| properties.contains_key(name)));
                if names.is_empty() {
                    schema.shift_remove("required");
                }
            }
            Some(_) => {
                schema.shift_remove("required");
                let help = "list the inputs that must always be given under `required`";
                self.not_kept(&spot.at("required"), "`required` is computed by jq in Port", help);
            }
            None => {}
        }
    }

    /// Properties of a blueprint, or inputs.
    pub(super) fn properties(
        &mut self,
        said: Option<&Value>,
        is_input: bool,
        spot: &Spot,
    ) -> Map<String, Value> {
        let mut made = Map::new();
        for (name, definition) in said.and_then(Value::as_object).into_iter().flatten() {
            if let Some(property) = self.property(definition, is_input, &spot.at(name)) {
                made.insert(name.clone(), property);
            }
        }
        made
    }

    /// The definition of a property or an input; none if it cannot be one.
    fn property(&mut self, definition: &Value, is_input: bool, spot: &Spot) -> Option<Value> {
        let Some(entries) = definition.as_object().filter(|entries| text(entries, "type").is_some()) else {
            self.left_out(spot, "a property needs a `type`", "give it one, such as `string`");
            return None;
        };
        let own = if is_input { &form::KEYS[..] } else { &[] };
        let kept = [&PROPERTY[..], own].concat();
        let mut made = self.keep(entries, spot, &kept, &DROPPED);
        if is_input {
            self.computed(&mut made, spot);
        }
        let computed: Vec<String> =
            made.iter().filter(|(_, value)| is_computed(value)).map(|(key, _)| key.clone()).collect();
        for key in computed.into_iter().filter(|_| !is_input) {
            made.shift_remove(&key);
            let message = format!("`{key}` is computed by jq in Port, and is left out");
            self.not_kept(
                &spot.at(&key),
                message,
                "write a value that holds for all, or say in the description what is wanted",
            );
        }
        if let Some(format) =
            text(&made, "format").filter(|format| Format::named(format).is_none()).map(str::to_owned)
        {
            made.shift_remove("format");
            let message = format!("the format `{format}` is not known here, and is left out");
            self.not_kept(
                &spot.at("format"),
                message,
                "a `pattern`, or the `properties` of an object, can say something like it",
            );
        }
        if let Some(pattern) =
            text(&made, "pattern").filter(|pattern| regex::Regex::new(pattern).is_err()).map(str::to_owned)
        {
            made.shift_remove("pattern");
            let help =
                "patterns are matched in linear time: write it without look-around and references back";
            self.not_kept(
                &spot.at("pattern"),
                format!("the pattern `{pattern}` cannot be used, and is left out"),
                help,
            );
        }
        if let Some(choices) = made.get("enum").and_then(Value::as_array).cloned() {
            let is_choice = |name: &String| choices.iter().any(|choice| bare(choice) == *name);
            let colors = made.get_mut("enumColors").and_then(Value::as_object_mut);
            let others: Vec<String> = colors
                .iter()
                .flat_map(|colors| colors.keys())
                .filter(|name| !is_choice(name))
                .cloned()
                .collect();
            if let Some(colors) = colors {
                colors.retain(|name, _| is_choice(name));
            }
            for name in others {
                let message = format!("the colour of `{name}`, which is not in `enum`, is left out");
                self.not_kept(&spot.at("enumColors").at(&name), message, "add it to `enum` if it is one");
            }
        }
        if made.get("enum").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            made.shift_remove("enum");
        }
        if let Some(items) = made.remove("items")
            && let Some(items) = self.property(&items, is_input, &spot.at("items"))
        {
            made.insert("items".to_owned(), items);
        }
        Some(made.into())
    }

    fn relations(&mut self, made: &mut Map<String, Value>, spot: &Spot, shape: &mut Shape) {
        let Some(Value::Object(relations)) = made.get("relations").cloned() else { return };
        let spot = spot.at("relations");
        let mut kept = Map::new();
        for (name, relation) in &relations {
            let spot = spot.at(name);
            let Some(entries) = relation.as_object() else { continue };
            let dropped = [("type", "the target says what it is")];
            let mut relation =
                self.keep(entries, &spot, &["title", "description", "target", "required", "many"], &dropped);
            if relation.get("many") == Some(&true.into()) && relation.get("required") == Some(&true.into()) {
                relation.shift_remove("required");
                self.changed(
                    &spot.at("required"),
                    format!("`{name}` is a list, and is no longer required"),
                    "a list may be empty",
                );
            }
            let Some(target) = text(&relation, "target").map(str::to_owned) else {
                self.left_out(&spot, format!("the relation `{name}` has no target"), "name a blueprint");
                continue;
            };
            if target.starts_with('_') && !["_user", "_team"].contains(&target.as_str()) {
                let message = format!(
                    "the relation `{name}` points at `{target}`, which is Port's own, and is left out"
                );
                self.not_kept(
                    &spot,
                    message,
                    "scorecards are computed here, and runs are files in `requests/`",
                );
                continue;
            }
            shape.relations.insert(name.clone(), target);
            kept.insert(name.clone(), relation.into());
        }
        made.insert("relations".to_owned(), kept.into());
    }

    fn derived(&mut self, made: &mut Map<String, Value>, spot: &Spot, shape: &mut Shape) {
        let mirror = ["title", "description", "icon", "path"];
        let calculation = [
            "title",
            "description",
            "icon",
            "type",
            "calculation",
            "format",
            "spec",
            "items",
            "colorized",
            "colors",
            "dateFormat",
        ];
        let aggregation =
            ["title", "description", "icon", "type", "target", "calculationSpec", "query", "pathFilter"];
        let kinds: [(&str, &[&str]); 3] = [
            ("mirrorProperties", &mirror),
            ("calculationProperties", &calculation),
            ("aggregationProperties", &aggregation),
        ];
        for (kind, keys) in kinds {
            let Some(Value::Object(said)) = made.get(kind).cloned() else { continue };
            let mut kept = Map::new();
            for (name, definition) in &said {
                shape.computed.insert(name.clone());
                let spot = spot.at(kind).at(name);
                let Some(entries) = definition.as_object() else { continue };
                let mut definition = self.keep(entries, &spot, keys, &[]);
                definition.retain(|key, value| {
                    key != "pathFilter" || value.as_array().is_none_or(|ways| !ways.is_empty())
                });
                match cannot_compute(kind, &definition) {
                    Some(why) => {
                        let message = format!("`{name}` cannot be computed here, and is left out: {why}");
                        self.not_kept(
                            &spot,
                            message,
                            "write it anew: docs/asking.md tells what can be computed",
                        );
                    }
                    None => drop(kept.insert(name.clone(), definition.into())),
                }
            }
            made.insert(kind.to_owned(), kept.into());
        }
    }

    pub(super) fn scorecard(&mut self, thing: &Thing<'_>) {
        let (entries, spot) = (thing.entries, &thing.spot);
        let Some(identifier) = text(entries, "identifier") else {
            return self.left_out(spot, "a scorecard without an identifier", "give it one");
        };
        let kept = ["identifier", "title", "description", "blueprint", "filter", "levels", "rules"];
        let mut made = self.keep(entries, spot, &kept, &[]);
        if let Some(blueprint) = &thing.blueprint {
            made.entry("blueprint").or_insert_with(|| blueprint.as_str().into());
        }
        if text(&made, "blueprint").is_none() {
            return self.left_out(
                spot,
                format!("the scorecard `{identifier}` names no blueprint"),
                "name one",
            );
        }
        if let Some(why) = made.get("filter").and_then(problem_of) {
            let message = format!("the filter of the scorecard `{identifier}` cannot be asked: {why}");
            return self.left_out(
                &spot.at("filter"),
                message,
                "mend it in the export, or write the scorecard by hand",
            );
        }
        let mut rules = Vec::new();
        for (index, rule) in
            made.get("rules").and_then(Value::as_array).cloned().into_iter().flatten().enumerate()
        {
            let spot = spot.at("rules").at(index);
            let Some(entries) = rule.as_object() else { continue };
            let rule =
                self.keep(entries, &spot, &["identifier", "title", "description", "level", "query"], &[]);
            match rule.get("query").and_then(problem_of) {
                Some(why) => {
                    let message =
                        format!("this rule of `{identifier}` cannot be asked, and is left out: {why}");
                    self.left_out(
                        &spot.at("query"),
                        message,
                        "mend it in the export, or write the rule by hand",
                    );
                }
                None => rules.push(Value::Object(rule)),
            }
        }
        made.insert("rules".to_owned(), rules.into());
        let levels = made.get("levels").and_then(Value::as_array).cloned().unwrap_or_default();
        if !levels.is_empty() {
            let spot = spot.at("levels");
            let level = |(index, level): (usize, &Value)| {
                level
                    .as_object()
                    .map(|level| self.keep(level, &spot.at(index), &["title", "color"], &[]).into())
            };
            let levels: Vec<Value> = levels.iter().enumerate().filter_map(level).collect();
            made.insert("levels".to_owned(), levels.into());
        }
        let folder = self.known.settings.folders.scorecards.clone();
        self.put_definition(&folder, identifier, made, spot);
    }
}

/// Why a query cannot be asked.
fn problem_of(query: &Value) -> Option<String> {
    let wrong = loose_query(query).err()?.into_iter().next()?;
    Some(format!("`{}` {}", field_name(&wrong.path), wrong.message))
}

/// Why a value cannot be computed here.
fn cannot_compute(kind: &str, definition: &Map<String, Value>) -> Option<String> {
    match kind {
        "calculationProperties" => {
            let refusal = Expression::parse(text(definition, "calculation").unwrap_or_default()).err()?;
            Some(format!("the expression {}", refusal.message))
        }
        "aggregationProperties" => {
            let spec = definition.get("calculationSpec")?;
            let is_over_time = spec["func"] == "average"
                && ["hour", "day", "week", "month"].iter().any(|period| spec["averageOf"] == *period);
            if spec["calculationBy"] == "entities" && spec["func"] != "count" && !is_over_time {
                return Some(
                    "entities are counted, all of them or by the hour, day, week or month".to_owned(),
                );
            }
            definition.get("query").and_then(problem_of)
        }
        _ => None,
    }
}
