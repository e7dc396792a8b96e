//! What may an entity say, whatever its blueprint?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Reader, kind, text_or_list};
use crate::{
    catalog::values::trail,
    domain::{Entity, TeamSlug},
};

/// One thing of a kind, `entities/<blueprint>/**/<identifier>.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct EntityDocument {
    /// Its identifier, which is the name of its file too.
    identifier: String,
    /// Its blueprint, which is the folder it lies in too.
    blueprint: String,
    /// The name that people read.
    title: Option<String>,
    /// The name of a picture.
    icon: Option<String>,
    /// The team that owns it, or a list of teams.
    #[serde(default)]
    #[schemars(schema_with = "text_or_list")]
    team: Option<Value>,
    /// What it says; its blueprint knows what may stand here.
    properties: Option<Map<String, Value>>,
    /// What it points at: an identifier or a list of them.
    relations: Option<BTreeMap<String, Value>>,
}

kind!(EntityDocument, "entity", definition: false);

impl EntityDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<Entity> {
        let identifier = reader.name(&trail!["identifier"], &self.identifier);
        let blueprint = reader.name(&trail!["blueprint"], &self.blueprint);
        let team = team(self.team);
        for (index, name) in team.iter().enumerate() {
            reader.name::<TeamSlug>(&trail!["team", index], name);
        }
        Some(Entity {
            identifier: identifier?,
            blueprint: blueprint?,
            title: self.title,
            icon: self.icon,
            team,
            properties: self.properties.unwrap_or_default(),
            relations: self.relations.unwrap_or_default(),
        })
    }
}

fn team(said: Option<Value>) -> Vec<String> {
    match said {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}
