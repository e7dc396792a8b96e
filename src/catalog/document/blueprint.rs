//! What may a blueprint say?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Reader, join, kind,
    property::{Home, PropertyDocument, check_listed, check_name, properties},
};
use crate::{
    catalog::values::{Wrong, trail},
    domain::{Blueprint, Diagnostic, Ownership, Relation},
};

/// A kind of thing, `blueprints/<identifier>.yaml`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::catalog) struct BlueprintDocument {
    /// Its identifier, which is the name of its file too.
    identifier: String,
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// The name of a picture; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    icon: Option<String>,
    /// What its entities may say.
    schema: Option<SchemaDocument>,
    /// What its entities may point at.
    relations: Option<BTreeMap<String, RelationDocument>>,
    /// Where the owning team comes from.
    ownership: Option<OwnershipDocument>,
    /// Properties of related entities, shown here; read, and not computed yet.
    mirror_properties: Option<Map<String, Value>>,
    /// Properties computed from others; read, and not computed yet.
    calculation_properties: Option<Map<String, Value>>,
    /// Properties computed over related entities; read, and not computed yet.
    aggregation_properties: Option<Map<String, Value>>,
}

kind!(BlueprintDocument, "blueprint");

/// What entities may say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SchemaDocument {
    /// The properties by name.
    #[serde(default)]
    properties: BTreeMap<String, PropertyDocument>,
    /// The properties that every entity must have.
    #[serde(default)]
    required: Vec<String>,
}

/// A pointer to entities of another blueprint.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RelationDocument {
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// The blueprint that it points at.
    target: String,
    /// Whether every entity must have it.
    #[serde(default)]
    required: bool,
    /// Whether it is a list.
    #[serde(default)]
    many: bool,
}

/// Who owns an entity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OwnershipDocument {
    /// `Direct`: its own `team`; `Inherited`: that of the entity at the end of `path`.
    #[serde(rename = "type")]
    kind: OwnershipKind,
    /// Relations, joined by dots.
    path: Option<String>,
    /// The name that people read.
    #[expect(dead_code, reason = "read by other programs")]
    title: Option<String>,
}

/// Where the team comes from.
#[derive(Debug, Deserialize, JsonSchema)]
enum OwnershipKind {
    Direct,
    Inherited,
}

impl BlueprintDocument {
    pub(in crate::catalog) fn into_domain(self, reader: &mut Reader) -> Option<Blueprint> {
        let identifier = reader.name(&trail!["identifier"], &self.identifier);
        let schema = self.schema.unwrap_or_default();
        let path = trail!["schema", "properties"];
        let names = reader.keys(&path);
        let properties = properties(schema.properties, &path, Home::Blueprint, reader);
        check_listed(&schema.required, &names, &trail!["schema", "required"], "unknown-property", reader);
        let relations = relations(self.relations.unwrap_or_default(), reader);
        let ownership = match self.ownership {
            None => None,
            Some(OwnershipDocument { kind: OwnershipKind::Direct, .. }) => Some(Ownership::Direct),
            Some(OwnershipDocument { kind: OwnershipKind::Inherited, path: Some(path), .. }) => {
                Some(Ownership::Inherited { path })
            }
            Some(OwnershipDocument { kind: OwnershipKind::Inherited, path: None, .. }) => {
                let wrong = Wrong::new("missing-key", &trail!["ownership", "path"], "is missing");
                reader.wrong(
                    wrong.help("name the relations that lead to the owner, such as `path: system.domain`"),
                );
                None
            }
        };
        Some(Blueprint {
            identifier: identifier?,
            title: self.title.unwrap_or(self.identifier),
            properties,
            required: schema.required,
            relations,
            ownership,
        })
    }

    /// What is read and does nothing yet.
    pub(in crate::catalog) fn warnings(&self, reader: &Reader) -> Vec<Diagnostic> {
        let kinds = [
            ("mirrorProperties", &self.mirror_properties),
            ("calculationProperties", &self.calculation_properties),
            ("aggregationProperties", &self.aggregation_properties),
        ];
        let said = kinds.into_iter().filter(|(_, said)| said.as_ref().is_some_and(|said| !said.is_empty()));
        let warn = |(name, _): (&str, _)| {
            let place = reader.document.place_of_key(&trail![name]);
            Diagnostic::warning("not-computed", place, format!("`{name}` is read, and not computed yet"))
                .help("it can stay; entities do not have these values")
        };
        said.map(warn).collect()
    }
}

fn relations(
    documents: BTreeMap<String, RelationDocument>,
    reader: &mut Reader,
) -> BTreeMap<String, Relation> {
    let mut made = BTreeMap::new();
    for (name, document) in documents {
        let path = join(&trail!["relations"], name.as_str());
        check_name(&name, &path, reader);
        if document.many && document.required {
            let wrong =
                Wrong::new("relation-many-required", &join(&path, "required"), "cannot go with `many: true`");
            reader.wrong(wrong.help("a list may be empty: remove `required` or `many`"));
        }
        let Some(target) = reader.name(&join(&path, "target"), &document.target) else { continue };
        let RelationDocument { title, required, many, .. } = document;
        made.insert(name, Relation { title, target, required, many });
    }
    made
}
