//! What may a blueprint say?

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Reader, join, kind,
    property::{Home, PropertyDocument, TypeDocument, check_listed, check_name, properties},
    query::query,
};
use crate::{
    catalog::values::{Segment, Wrong, trail},
    domain::{Aggregation, Blueprint, Calculation, Hop, Measure, Mirror, Over, Ownership, Period, Relation},
    expr::Expression,
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
    /// Properties of related entities, shown here.
    mirror_properties: Option<BTreeMap<String, MirrorDocument>>,
    /// Properties computed from others of the same entity.
    calculation_properties: Option<BTreeMap<String, CalculationDocument>>,
    /// Properties computed over related entities.
    aggregation_properties: Option<BTreeMap<String, AggregationDocument>>,
}

kind!(BlueprintDocument, "blueprint", definition: true);

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

/// A property of a related entity, shown here.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MirrorDocument {
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// The name of a picture; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    icon: Option<String>,
    /// Relations and at last a property, joined by dots, such as `system.domain` or `system.$title`.
    path: String,
}

/// A property computed in jq from the others of its entity.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CalculationDocument {
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// The name of a picture; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    icon: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    kind: TypeDocument,
    /// What computes it, in jq, from the entity: `.identifier`, `.properties.tier`, `.relations.system`.
    calculation: String,
    /// How its text is shown; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    format: Option<String>,
    /// What kind of specification it is; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    spec: Option<String>,
    /// What the items of a list are; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    items: Option<Map<String, Value>>,
    /// Whether it is shown in colours; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    colorized: Option<bool>,
    /// Which; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    colors: Option<BTreeMap<String, String>>,
    /// How a date is shown; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    date_format: Option<String>,
}

/// A number computed over related entities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AggregationDocument {
    /// The name that people read.
    title: Option<String>,
    /// One sentence for people.
    #[expect(dead_code, reason = "read by other programs")]
    description: Option<String>,
    /// The name of a picture; kept for other programs.
    #[expect(dead_code, reason = "read by other programs")]
    icon: Option<String>,
    /// Always `number`.
    #[serde(rename = "type")]
    #[expect(dead_code, reason = "it is always a number")]
    kind: Option<String>,
    /// The blueprint of the related entities.
    target: String,
    /// What is computed.
    calculation_spec: SpecDocument,
    /// Which of them count, as a query.
    query: Option<Value>,
    /// The way to them; any if not said.
    #[schemars(length(max = 1))]
    path_filter: Option<Vec<WayDocument>>,
}

/// What is computed over entities.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpecDocument {
    /// `entities` counts them, `property` goes over numbers that they hold.
    calculation_by: ByDocument,
    /// `count` of entities, or the `average` number of them in a period; `sum`, `min`, `max`, `median` or `average` of a property.
    func: FunctionDocument,
    /// The property.
    property: Option<String>,
    /// Of an average: the period. That of a property is taken over all of them (`total`) if not said.
    average_of: Option<AverageOfDocument>,
    /// Of an average over periods: the date of the target that says when it was, `$createdAt` if not said.
    measure_time_by: Option<String>,
}

/// What an average is taken over: stretches of the calendar in UTC, weeks from Monday, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum AverageOfDocument {
    Hour,
    Day,
    Week,
    Month,
    Total,
}

/// What is gone over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum ByDocument {
    Entities,
    Property,
}

/// What is made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum FunctionDocument {
    Count,
    Sum,
    Min,
    Max,
    Median,
    Average,
}

/// A way along relations.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct WayDocument {
    /// The relations, one after the other.
    path: Vec<String>,
    /// The blueprint at which the way begins, if not this one.
    from_blueprint: Option<String>,
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
            mirrors: mirrors(self.mirror_properties.unwrap_or_default(), reader),
            calculations: calculations(self.calculation_properties.unwrap_or_default(), reader),
            aggregations: aggregations(self.aggregation_properties.unwrap_or_default(), reader),
        })
    }
}

fn mirrors(documents: BTreeMap<String, MirrorDocument>, reader: &mut Reader) -> BTreeMap<String, Mirror> {
    let mut made = BTreeMap::new();
    for (name, document) in documents {
        let path = trail!["mirrorProperties", name.as_str()];
        check_name(&name, &path, reader);
        let mut steps: Vec<String> = document.path.split('.').map(str::to_owned).collect();
        let property = steps.pop().unwrap_or_default();
        if steps.is_empty() || property.is_empty() || steps.iter().any(String::is_empty) {
            let wrong =
                Wrong::new("invalid-path", &join(&path, "path"), "must lead over a relation to a property");
            reader.wrong(wrong.help("write relations and a property, joined by dots: `system.domain`"));
            continue;
        }
        made.insert(name, Mirror { title: document.title, path: steps, property });
    }
    made
}

fn calculations(
    documents: BTreeMap<String, CalculationDocument>,
    reader: &mut Reader,
) -> BTreeMap<String, Calculation> {
    let mut made = BTreeMap::new();
    for (name, document) in documents {
        let path = trail!["calculationProperties", name.as_str()];
        check_name(&name, &path, reader);
        let text = document.calculation;
        if let Err(refusal) = Expression::parse(&text) {
            let wrong = Wrong::new("invalid-expression", &join(&path, "calculation"), refusal.message);
            reader.wrong(match refusal.help {
                Some(help) => wrong.help(help),
                None => wrong,
            });
            continue;
        }
        made.insert(name, Calculation { title: document.title, kind: document.kind.into_domain(), text });
    }
    made
}

fn aggregations(
    documents: BTreeMap<String, AggregationDocument>,
    reader: &mut Reader,
) -> BTreeMap<String, Aggregation> {
    let mut made = BTreeMap::new();
    for (name, document) in documents {
        let path = trail!["aggregationProperties", name.as_str()];
        check_name(&name, &path, reader);
        let target = reader.name(&join(&path, "target"), &document.target);
        let measure = measure(document.calculation_spec, &join(&path, "calculationSpec"), reader);
        let query = match &document.query {
            Some(value) => match query(value, &join(&path, "query"), reader) {
                Some(query) => Some(query),
                None => continue,
            },
            None => None,
        };
        let way = document.path_filter.unwrap_or_default().into_iter().next().map(|way| {
            let hops = way.path.into_iter().map(|relation| Hop { relation, most: 1 }).collect();
            (hops, way.from_blueprint.is_some_and(|from| from == document.target))
        });
        let (Some(target), Some(measure)) = (target, measure) else { continue };
        made.insert(name, Aggregation { title: document.title, target, measure, query, path: way });
    }
    made
}

fn measure(spec: SpecDocument, path: &[Segment], reader: &mut Reader) -> Option<Measure> {
    let given = [("averageOf", spec.average_of.is_some()), ("measureTimeBy", spec.measure_time_by.is_some())];
    let other = given.iter().find(|(_, is_given)| *is_given && spec.func != FunctionDocument::Average);
    if let Some((key, _)) = other {
        let wrong = Wrong::new("wrong-value", &join(path, *key), "goes with `func: average` only");
        reader.wrong(wrong.help("leave it out"));
        return None;
    }
    let period = match spec.average_of {
        Some(AverageOfDocument::Hour) => Some(Period::Hour),
        Some(AverageOfDocument::Day) => Some(Period::Day),
        Some(AverageOfDocument::Week) => Some(Period::Week),
        Some(AverageOfDocument::Month) => Some(Period::Month),
        Some(AverageOfDocument::Total) | None => None,
    };
    let over = period
        .map(|period| Over { period, by: spec.measure_time_by.unwrap_or_else(|| "$createdAt".to_owned()) });
    let function = match (spec.calculation_by, spec.func) {
        (ByDocument::Entities, FunctionDocument::Count) => return Some(Measure::Count),
        (ByDocument::Entities, FunctionDocument::Average) => {
            if over.is_none() {
                let wrong = Wrong::new("missing-key", &join(path, "averageOf"), "must say over which time");
                reader
                    .wrong(wrong.help("use `hour`, `day`, `week` or `month`; `func: count` counts them all"));
            }
            return over.map(Measure::Frequency);
        }
        (ByDocument::Entities, _) | (ByDocument::Property, FunctionDocument::Count) => {
            let wrong = Wrong::new("not-a-choice", &join(path, "func"), "does not go with `calculationBy`");
            reader.wrong(wrong.help(
                "entities have `count` and `average`; numbers have `sum`, `min`, `max`, `median`, `average`",
            ));
            return None;
        }
        (ByDocument::Property, FunctionDocument::Sum) => "sum",
        (ByDocument::Property, FunctionDocument::Min) => "min",
        (ByDocument::Property, FunctionDocument::Max) => "max",
        (ByDocument::Property, FunctionDocument::Median) => "median",
        (ByDocument::Property, FunctionDocument::Average) => "average",
    };
    let Some(property) = spec.property else {
        let wrong = Wrong::new("missing-key", &join(path, "property"), "is missing");
        reader.wrong(wrong.help("name a property of the target that holds numbers"));
        return None;
    };
    Some(Measure::Of { function: function.to_owned(), property, over })
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
