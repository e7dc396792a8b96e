//! How is a GraphQL query answered?
//!
//! Parse it, check it against `schema.graphql` (a part of GitHub's own), weigh it, then walk it:
//! `resolve` says what each field of each thing is. Mistakes are answered as GitHub does: with
//! status 200 and a list of `errors`.

mod change;
mod check;
mod resolve;
mod issues;
mod queue;

use std::cell::RefCell;
use std::collections::BTreeMap;

use graphql_parser::query::{Definition, Field, OperationDefinition, Selection, SelectionSet, TypeCondition};
use serde_json::{Map, Value, json};

use super::reply::{Answer, Call, ok, refuse};
use super::rest::pulls;
use resolve::{Found, Thing};

pub(crate) type Arguments = BTreeMap<String, Value>;
type Fields<'a> = SelectionSet<'a, String>;

/// A mistake in a query, or a thing that is not there.
pub(crate) struct Mistake {
    message: String,
    details: Value,
}

impl Mistake {
    fn new(message: impl Into<String>, details: Value) -> Self {
        Self { message: message.into(), details }
    }

    fn not_found(message: impl Into<String>) -> Self {
        Self::new(message, json!({"type": "NOT_FOUND"}))
    }
}

/// One query on its way through the things it names.
struct Walk<'a> {
    call: &'a Call<'a>,
    fragments: &'a BTreeMap<String, Fields<'a>>,
    variables: &'a Value,
    cost: check::Cost,
    errors: RefCell<Vec<Value>>,
    /// Pull requests whose mergeability was asked for before it was known.
    asked: RefCell<Vec<(String, u64)>>,
}

/// Whether a call may change something.
pub(crate) fn changes(body: &[u8]) -> bool {
    let word = b"mutation";
    body.windows(word.len()).any(|part| part == word)
}

pub(crate) fn answer(call: &mut Call<'_>) -> Answer {
    if call.actor.is_none() {
        return Err(refuse(401, "This endpoint requires you to be authenticated."));
    }
    let Some(query) = call.text("query").map(str::to_owned) else {
        return Err(refuse(400, "A query attribute must be specified and must be a string."));
    };
    let variables = call.body.get("variables").cloned().unwrap_or_default();
    let document = match graphql_parser::parse_query::<String>(&query) {
        Ok(document) => document,
        Err(error) => return ok(json!({"errors": [{"message": error.to_string()}]})),
    };
    let (mut operation, mut changes) = (None, false);
    let mut fragments = BTreeMap::new();
    let mut defaults = Map::new();
    for definition in document.definitions {
        match definition {
            Definition::Operation(OperationDefinition::Query(query)) => {
                for variable in &query.variable_definitions {
                    if let Some(value) = &variable.default_value {
                        defaults.insert(variable.name.clone(), plain(value, &Value::Null));
                    }
                }
                operation = Some(query.selection_set);
            }
            Definition::Operation(OperationDefinition::SelectionSet(fields)) => operation = Some(fields),
            Definition::Operation(OperationDefinition::Mutation(mutation)) => {
                for variable in &mutation.variable_definitions {
                    if let Some(value) = &variable.default_value {
                        defaults.insert(variable.name.clone(), plain(value, &Value::Null));
                    }
                }
                (operation, changes) = (Some(mutation.selection_set), true);
            }
            Definition::Operation(OperationDefinition::Subscription(_)) => {
                return ok(json!({"errors": [{"message": "GitHub has no subscriptions"}]}));
            }
            Definition::Fragment(fragment) => drop(fragments.insert(fragment.name, fragment.selection_set)),
        }
    }
    let Some(operation) = operation else {
        return ok(
            json!({"errors": [{"message": "A query attribute must be specified and must be a string."}]}),
        );
    };
    if let Value::Object(given) = variables {
        defaults.extend(given);
    }
    let variables = Value::Object(defaults);
    let mut checker = check::Checker::new(&fragments, &variables);
    let (kind, root) = if changes { ("Mutation", "mutation") } else { ("Query", "query") };
    checker.check(kind, &operation, &mut vec![root.to_owned()], 1);
    let (cost, errors) = checker.finish();
    if !errors.is_empty() {
        return ok(json!({"errors": errors}));
    }
    let mut root = Thing::Query;
    if changes {
        match change::make(call, &operation, &variables) {
            Ok(changed) => root = Thing::Mutation(changed),
            Err(mistake) => {
                let mut error = mistake.details;
                error["message"] = mistake.message.into();
                return ok(json!({ "data": null, "errors": [error] }));
            }
        }
    }
    let (data, errors, asked) = {
        let walk = Walk {
            call,
            fragments: &fragments,
            variables: &variables,
            cost,
            errors: RefCell::default(),
            asked: RefCell::default(),
        };
        let data = walk.object(&root, &operation, &mut Vec::new());
        (data, walk.errors.into_inner(), walk.asked.into_inner())
    };
    // GitHub computes in the background what was asked, and knows it at the next look.
    for (key, number) in asked {
        drop(pulls::mergeable(call, &key, number));
    }
    ok(if errors.is_empty() { json!({"data": data}) } else { json!({"data": data, "errors": errors}) })
}

impl<'a> Walk<'a> {
    fn object(&self, thing: &Thing<'a>, fields: &Fields<'_>, path: &mut Vec<Value>) -> Value {
        let mut object = Map::new();
        self.collect(thing, fields, path, &mut object);
        Value::Object(object)
    }

    fn collect(
        &self,
        thing: &Thing<'a>,
        fields: &Fields<'_>,
        path: &mut Vec<Value>,
        object: &mut Map<String, Value>,
    ) {
        for selection in &fields.items {
            match selection {
                Selection::Field(field) => {
                    if included(&field.directives, self.variables) {
                        let shown = field.alias.as_ref().unwrap_or(&field.name).clone();
                        path.push(shown.clone().into());
                        let value = self.field(thing, field, path);
                        path.pop();
                        merge(object, shown, value);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let fits = match &fragment.type_condition {
                        Some(TypeCondition::On(name)) => check::is_a(thing.type_name(), name),
                        None => true,
                    };
                    if fits && included(&fragment.directives, self.variables) {
                        self.collect(thing, &fragment.selection_set, path, object);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fields) = self.fragments.get(&spread.fragment_name) {
                        self.collect(thing, fields, path, object);
                    }
                }
            }
        }
    }

    fn field(&self, thing: &Thing<'a>, field: &Field<'_, String>, path: &mut Vec<Value>) -> Value {
        if field.name == "__typename" {
            return thing.type_name().into();
        }
        let arguments = arguments(field, self.variables);
        match resolve::field(self, thing, &field.name, &arguments) {
            Ok(Found::Leaf(value)) => value,
            Ok(Found::One(next)) => self.object(&next, &field.selection_set, path),
            Ok(Found::Many(things)) => {
                let mut list = Vec::with_capacity(things.len());
                for (at, next) in things.iter().enumerate() {
                    path.push(at.into());
                    list.push(self.object(next, &field.selection_set, path));
                    path.pop();
                }
                list.into()
            }
            Err(mistake) => {
                let mut error = mistake.details;
                error["path"] = path.clone().into();
                error["locations"] = json!([{"line": field.position.line, "column": field.position.column}]);
                error["message"] = mistake.message.into();
                self.errors.borrow_mut().push(error);
                Value::Null
            }
        }
    }
}

/// The same field may be selected twice, by two fragments; its parts are joined.
fn merge(object: &mut Map<String, Value>, name: String, value: Value) {
    match (object.get_mut(&name), value) {
        (Some(Value::Object(known)), Value::Object(more)) => {
            for (name, value) in more {
                merge(known, name, value);
            }
        }
        (Some(Value::Array(known)), Value::Array(more)) if known.len() == more.len() => {
            for (known, more) in known.iter_mut().zip(more) {
                match (known, more) {
                    (Value::Object(known), Value::Object(more)) => {
                        for (name, value) in more {
                            merge(known, name, value);
                        }
                    }
                    (known, more) => *known = more,
                }
            }
        }
        (_, value) => drop(object.insert(name, value)),
    }
}

fn included(directives: &[graphql_parser::query::Directive<'_, String>], variables: &Value) -> bool {
    directives.iter().all(|directive| {
        let condition = directive.arguments.iter().find(|(name, _)| name == "if");
        let holds = condition.is_none_or(|(_, value)| plain(value, variables) == Value::Bool(true));
        match directive.name.as_str() {
            "include" => holds,
            "skip" => !holds,
            _ => true,
        }
    })
}

fn arguments(field: &Field<'_, String>, variables: &Value) -> Arguments {
    let given = field.arguments.iter().map(|(name, value)| (name.clone(), plain(value, variables)));
    given.filter(|(_, value)| !value.is_null()).collect()
}

/// A GraphQL value as JSON, with variables put in.
fn plain(value: &graphql_parser::query::Value<'_, String>, variables: &Value) -> Value {
    use graphql_parser::query::Value as Given;
    match value {
        Given::Variable(name) => variables.get(name).cloned().unwrap_or_default(),
        Given::Int(number) => number.as_i64().into(),
        Given::Float(number) => (*number).into(),
        Given::String(text) | Given::Enum(text) => text.clone().into(),
        Given::Boolean(flag) => (*flag).into(),
        Given::Null => Value::Null,
        Given::List(items) => items.iter().map(|item| plain(item, variables)).collect(),
        Given::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), plain(value, variables)))
            .collect::<Map<_, _>>()
            .into(),
    }
}
