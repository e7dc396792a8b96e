//! Entities.

use serde_json::{Map, Value};

use super::{Kind, Porter, Spot, Thing, text};
use crate::domain::{BlueprintId, EntityId, Identifier};

impl Porter<'_> {
    pub(super) fn entity(&mut self, thing: &Thing<'_>) {
        let (entries, spot) = (thing.entries, &thing.spot);
        let blueprint = text(entries, "blueprint").or(thing.blueprint.as_deref());
        let kind = match blueprint {
            Some("_user") => Kind::User,
            Some("_team") => Kind::Team,
            _ => Kind::Entity,
        };
        if kind != Kind::Entity {
            let thing = Thing { kind, entries, spot: spot.clone(), blueprint: None };
            return if kind == Kind::User { self.user(&thing) } else { self.team(&thing) };
        }
        let (Some(blueprint), Some(identifier)) = (blueprint, text(entries, "identifier")) else {
            return self.left_out(spot, "an entity needs an `identifier` and a `blueprint`", "give it both");
        };
        if blueprint.starts_with('_') {
            let help = "scorecards are computed here, and runs are files in `requests/`";
            return self.not_kept(
                spot,
                format!("`{blueprint}/{identifier}` is Port's own, and is not imported"),
                help,
            );
        }
        let id = match (blueprint.parse::<BlueprintId>(), identifier.parse::<Identifier>()) {
            (Ok(blueprint), Ok(identifier)) => EntityId { blueprint, identifier },
            (Err(problem), _) | (_, Err(problem)) => {
                let message = format!("`{}` is not {}: {}", problem.text, problem.what, problem.rule);
                return self.left_out(spot, message, "rename it in the export, and wherever it is named");
            }
        };
        let kept = ["identifier", "blueprint", "title", "icon", "team", "properties", "relations"];
        // How far it has come by scorecards is computed, and so is a team that is inherited.
        let mut own = entries.clone();
        own.shift_remove("scorecards");
        if self.shapes.get(id.blueprint.as_str()).is_some_and(|shape| shape.inherits) {
            own.shift_remove("team");
        }
        let mut made = self.keep(&own, spot, &kept, &[]);
        made.insert("blueprint".to_owned(), blueprint.into());
        made.retain(|key, value| key != "title" || value.as_str() != Some(identifier));
        if let Some(team) = made.remove("team") {
            let teams = self.teams(&team, &spot.at("team"));
            if !teams.is_empty() {
                made.insert("team".to_owned(), teams.into());
            }
        }
        let properties = object(made.remove("properties"));
        let properties = self.stored(blueprint, properties, &spot.at("properties"));
        let relations = object(made.remove("relations"));
        let relations = self.related(blueprint, &relations, &spot.at("relations"));
        for (key, part) in [("properties", properties), ("relations", relations)] {
            if !part.is_empty() {
                made.insert(key.to_owned(), part.into());
            }
        }
        // An object remembers where its keys came first.
        let made: Map<String, Value> =
            kept.iter().filter_map(|key| Some(((*key).to_owned(), made.get(*key)?.clone()))).collect();
        self.put_entity(&id, made.into(), spot);
    }

    fn teams(&mut self, said: &Value, spot: &Spot) -> Vec<Value> {
        let names: Vec<&str> = match said {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => {
                self.not_kept(
                    spot,
                    "the team is looked for by a query in Port, and is left out",
                    "name the team",
                );
                Vec::new()
            }
        };
        names.into_iter().filter_map(|name| self.team_named(name, spot).map(Value::from)).collect()
    }

    /// The properties that are stored: without what is empty, and without what is computed.
    fn stored(&mut self, blueprint: &str, said: Map<String, Value>, spot: &Spot) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in said {
            let shape = self.shapes.get(blueprint);
            if value.is_null() || shape.is_some_and(|shape| shape.computed.contains(&name)) {
                continue;
            }
            let value = match shape.and_then(|shape| shape.formats.get(&name)).cloned() {
                Some(format) => self.named(&value, &format!("_{format}"), &spot.at(&name)),
                None => Some(value),
            };
            kept.extend(value.map(|value| (name, value)));
        }
        kept
    }

    /// The relations that point at something.
    pub(super) fn related(
        &mut self,
        blueprint: &str,
        said: &Map<String, Value>,
        spot: &Spot,
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in said {
            let spot = spot.at(name);
            if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
                continue;
            }
            if value.is_object() {
                let message = format!("`{name}` is looked for by a query in Port, and is left out");
                self.not_kept(&spot, message, "name the entity that it points at");
                continue;
            }
            let shape = self.shapes.get(blueprint);
            let target = shape.and_then(|shape| shape.relations.get(name)).cloned();
            let value = match target.as_deref() {
                Some(target @ ("_user" | "_team")) => self.named(value, target, &spot),
                // A relation of a blueprint of Port's own went with its definition.
                None if shape.is_some() && name.starts_with('_') => None,
                _ => Some(value.clone()),
            };
            kept.extend(value.map(|value| (name.clone(), value)));
        }
        kept
    }

    /// Users or teams by their names here; none if nobody is left.
    fn named(&mut self, value: &Value, blueprint: &str, spot: &Spot) -> Option<Value> {
        let one = |porter: &mut Self, name: &str, spot: &Spot| match blueprint {
            "_user" => porter.user_named(name, spot),
            _ => porter.team_named(name, spot),
        };
        match value {
            Value::String(name) => one(self, name, spot).map(Value::from),
            Value::Array(names) => {
                let names = names.iter().enumerate();
                let named: Vec<Value> = names
                    .filter_map(|(index, name)| one(self, name.as_str()?, &spot.at(index)).map(Value::from))
                    .collect();
                (!named.is_empty()).then(|| named.into())
            }
            other => Some(other.clone()),
        }
    }
}

fn object(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(entries)) => entries,
        _ => Map::new(),
    }
}
