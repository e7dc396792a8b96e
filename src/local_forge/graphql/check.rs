//! Is a query one that GitHub's schema allows, and what does it cost?
//!
//! Unknown fields and arguments are refused before anything is looked up, and so are queries
//! that ask for more than GitHub gives at once.
//! <https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api>

use std::collections::BTreeMap;
use std::sync::LazyLock;

use graphql_parser::query::{Field, Selection, TypeCondition};
use graphql_parser::schema::{Definition, Document, Field as SchemaField, Type, TypeDefinition};
use serde_json::{Value, json};

use super::{Fields, arguments};

/// The most nodes that one query may ask for.
const MOST_NODES: u64 = 500_000;

/// The most entries of one connection.
const LARGEST_PAGE: u64 = 100;

static SCHEMA: LazyLock<Document<'static, String>> = LazyLock::new(|| {
    graphql_parser::parse_schema(include_str!("schema.graphql")).expect("the schema is well-formed")
});

static TYPES: LazyLock<BTreeMap<&'static str, &'static TypeDefinition<'static, String>>> =
    LazyLock::new(|| {
        let definitions = SCHEMA.definitions.iter().filter_map(|definition| match definition {
            Definition::TypeDefinition(definition) => Some((name(definition), definition)),
            _ => None,
        });
        definitions.collect()
    });

fn name<'a>(definition: &'a TypeDefinition<'static, String>) -> &'a str {
    match definition {
        TypeDefinition::Scalar(found) => &found.name,
        TypeDefinition::Object(found) => &found.name,
        TypeDefinition::Interface(found) => &found.name,
        TypeDefinition::Union(found) => &found.name,
        TypeDefinition::Enum(found) => &found.name,
        TypeDefinition::InputObject(found) => &found.name,
    }
}

fn field_of(type_name: &str, field: &str) -> Option<&'static SchemaField<'static, String>> {
    let fields = match TYPES.get(type_name)? {
        TypeDefinition::Object(found) => &found.fields,
        TypeDefinition::Interface(found) => &found.fields,
        _ => return None,
    };
    fields.iter().find(|known| known.name == field)
}

fn inner<'a>(kind: &'a Type<'static, String>) -> &'a str {
    match kind {
        Type::NamedType(name) => name,
        Type::ListType(kind) | Type::NonNullType(kind) => inner(kind),
    }
}

/// Whether a thing of this type answers to a fragment on that type.
pub(super) fn is_a(type_name: &str, condition: &str) -> bool {
    type_name == condition
        || match TYPES.get(condition) {
            Some(TypeDefinition::Union(found)) => found.types.iter().any(|member| member == type_name),
            Some(TypeDefinition::Interface(_)) => match TYPES.get(type_name) {
                Some(TypeDefinition::Object(found)) => {
                    found.implements_interfaces.iter().any(|name| name == condition)
                }
                _ => false,
            },
            _ => false,
        }
}

/// What a query asks for at most.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    requests: u64,
    pub(super) nodes: u64,
}

impl Cost {
    /// GitHub charges a hundredth of the requests that the connections take, at least one.
    pub(super) fn points(self) -> u64 {
        ((self.requests + 50) / 100).max(1)
    }
}

pub(super) struct Checker<'a> {
    fragments: &'a BTreeMap<String, Fields<'a>>,
    variables: &'a Value,
    errors: Vec<Value>,
    cost: Cost,
    depth: usize,
}

/// Fragments may name each other; a circle ends here.
const DEEPEST: usize = 64;

impl<'a> Checker<'a> {
    pub(super) fn new(fragments: &'a BTreeMap<String, Fields<'a>>, variables: &'a Value) -> Self {
        Self { fragments, variables, errors: Vec::new(), cost: Cost::default(), depth: 0 }
    }

    pub(super) fn finish(mut self) -> (Cost, Vec<Value>) {
        if self.cost.nodes > MOST_NODES {
            let message = format!(
                "This query requests up to {} possible nodes which exceeds the maximum limit of {MOST_NODES}.",
                self.cost.nodes
            );
            self.errors.push(json!({"type": "MAX_NODE_LIMIT_EXCEEDED", "message": message}));
        }
        (self.cost, self.errors)
    }

    pub(super) fn check(&mut self, type_name: &str, fields: &Fields<'_>, path: &mut Vec<String>, times: u64) {
        self.depth += 1;
        if self.depth > DEEPEST {
            self.errors.push(json!({"message": "the query is nested too deeply"}));
            return;
        }
        for selection in &fields.items {
            match selection {
                Selection::Field(field) => self.check_field(type_name, field, path, times),
                Selection::InlineFragment(fragment) => {
                    let condition = match &fragment.type_condition {
                        Some(TypeCondition::On(name)) => name.as_str(),
                        None => type_name,
                    };
                    if !TYPES.contains_key(condition) {
                        let message =
                            format!("No such type {condition}, so it can't be a fragment condition");
                        self.errors.push(json!({"path": path, "message": message}));
                        continue;
                    }
                    path.push(format!("... on {condition}"));
                    self.check(condition, &fragment.selection_set, path, times);
                    path.pop();
                }
                Selection::FragmentSpread(spread) => match self.fragments.get(&spread.fragment_name) {
                    Some(fields) => self.check(type_name, fields, path, times),
                    None => {
                        let message = format!("Fragment {} was used, but not defined", spread.fragment_name);
                        self.errors.push(json!({"path": path, "message": message}));
                    }
                },
            }
        }
        self.depth -= 1;
    }

    fn check_field(
        &mut self,
        type_name: &str,
        field: &Field<'_, String>,
        path: &mut Vec<String>,
        times: u64,
    ) {
        if field.name == "__typename" {
            return;
        }
        path.push(field.alias.as_ref().unwrap_or(&field.name).clone());
        let locations = json!([{"line": field.position.line, "column": field.position.column}]);
        let mut fail = |message: String, extensions: Value| {
            let error =
                json!({"path": path, "extensions": extensions, "locations": locations, "message": message});
            self.errors.push(error);
        };
        let Some(known) = field_of(type_name, &field.name) else {
            fail(
                format!("Field '{}' doesn't exist on type '{type_name}'", field.name),
                json!({"code": "undefinedField", "typeName": type_name, "fieldName": field.name}),
            );
            path.pop();
            return;
        };
        for (argument, _) in &field.arguments {
            if !known.arguments.iter().any(|known| &known.name == argument) {
                fail(
                    format!("Field '{}' doesn't accept argument '{argument}'", field.name),
                    json!({"code": "argumentNotAccepted", "name": field.name, "argumentName": argument}),
                );
            }
        }
        let given = arguments(field, self.variables);
        for needed in &known.arguments {
            if matches!(needed.value_type, Type::NonNullType(_)) && !given.contains_key(&needed.name) {
                fail(
                    format!("Field '{}' is missing required arguments: {}", field.name, needed.name),
                    json!({"code": "missingRequiredArguments", "name": field.name, "arguments": needed.name}),
                );
            }
        }
        let next = inner(&known.field_type);
        let leaf =
            matches!(TYPES.get(next), None | Some(TypeDefinition::Scalar(_) | TypeDefinition::Enum(_)));
        if leaf == field.selection_set.items.is_empty() {
            let mut below = times;
            if next.ends_with("Connection") {
                let size = given.get("first").or_else(|| given.get("last")).and_then(Value::as_u64);
                let lists = field
                    .selection_set
                    .items
                    .iter()
                    .any(|item| !matches!(item, Selection::Field(field) if field.name == "totalCount"));
                match size {
                    None if lists => fail(
                        format!(
                            "You must provide a `first` or `last` value to properly paginate the `{}` connection.",
                            field.name
                        ),
                        json!({"type": "MISSING_PAGINATION_BOUNDARIES"}),
                    ),
                    Some(size) if size > LARGEST_PAGE => fail(
                        format!(
                            "Requesting {size} records on the `{}` connection exceeds the `first` limit of {LARGEST_PAGE} records.",
                            field.name
                        ),
                        json!({"type": "EXCESSIVE_PAGINATION"}),
                    ),
                    _ => {}
                }
                below = times.saturating_mul(size.unwrap_or(0).max(1));
                self.cost.requests = self.cost.requests.saturating_add(times);
                self.cost.nodes = self.cost.nodes.saturating_add(below);
            }
            if !leaf {
                self.check(next, &field.selection_set, path, below);
            }
        } else {
            let message = if leaf {
                format!("Selections can't be made on scalars (field '{}' returns {next})", field.name)
            } else {
                format!(
                    "Field must have selections (field '{}' returns {next} but has no selections)",
                    field.name
                )
            };
            fail(message, json!({"code": "selectionMismatch", "typeName": next}));
        }
        path.pop();
    }
}
