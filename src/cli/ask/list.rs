//! `chandlery list`: the entities of a blueprint, those that a question picks, in the columns wanted.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{
    Asked,
    print::{As, Table},
};
use crate::{
    catalog::{
        META, misfits,
        view::{in_words, parse_query},
    },
    cli::{
        misuse::{misuse, unknown_of_many},
        output,
    },
    domain::{BlueprintId, EntityId, Query, counted},
    expr::Expression,
};

/// How many columns a table has if nothing is said.
const USUAL_COLUMNS: usize = 6;

/// List the entities of a blueprint
///
/// QUERY is one in Port's language, as YAML or JSON: a rule such as `{property: tier, operator: "=", value: gold}`, or a
/// group of rules with a combinator.
///
/// Exit codes: 0 listed, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// The blueprint
    kind: String,
    /// Only those for which this query holds
    #[arg(long = "where", value_name = "QUERY")]
    query: Option<String>,
    /// Only those for which this jq expression is true
    #[arg(long, value_name = "EXPR")]
    jq: Option<String>,
    /// Sort by this property; with - in front, from the greatest down
    #[arg(long, value_name = "PROPERTY", allow_hyphen_values = true)]
    sort: Option<String>,
    /// What to show: properties, relations, $title and the like, with commas between; '' for identifiers alone
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    /// How to print
    #[arg(long, value_enum, default_value_t = As::Table)]
    format: As,
}

/// Runs the command.
///
/// # Errors
/// When the question makes no sense or the catalog cannot be read.
pub fn run(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let blueprint = read.blueprint(&args.kind)?;
    let view = read.view();
    let query = match &args.query {
        Some(text) => {
            let value: Value =
                serde_yaml::from_str(text).map_err(|why| misuse(format!("the query is no YAML: {why}")))?;
            if !value.is_object() {
                return Err(misuse(
                    "the query is no mapping: it is written like '{combinator: and, rules: [{property: $identifier, operator: contains, value: shop}]}'; \
                     a condition in jq goes with --jq",
                ));
            }
            let query = parse_query(&value).and_then(|query| {
                let found = misfits(&read.definitions, blueprint, &query, &value);
                if found.is_empty() { Ok(query) } else { Err(in_words(&found)) }
            });
            match query {
                Ok(query) => Some(query),
                Err(problems) => {
                    return Err(misuse(format!("the query cannot be asked: {}", problems.join("; "))));
                }
            }
        }
        None => None,
    };
    if let Some(query) = &query {
        for (blueprint, identifiers) in related_to(query) {
            for identifier in identifiers {
                read.entity(&view, blueprint.as_str(), identifier)?;
            }
        }
    }
    let expression = match &args.jq {
        Some(text) => match Expression::typed(text) {
            Ok(expression) => Some(expression),
            Err(refusal) => {
                let help = refusal.help.map(|help| format!(": {help}")).unwrap_or_default();
                return Err(misuse(format!("the expression {}{help}", refusal.message)));
            }
        },
        None => None,
    };
    let known: Vec<String> = view
        .columns(blueprint)
        .into_iter()
        .chain(blueprint.relations.keys().cloned())
        .chain(META.map(str::to_owned))
        .collect();
    let sort = args.sort.as_deref().map(|name| match name.strip_prefix('-') {
        Some(name) => (name, true),
        None => (name, false),
    });
    let wanted = args.columns.iter().filter(|name| !name.is_empty());
    for name in wanted.clone().map(String::as_str).chain(sort.map(|(name, _)| name)) {
        if !known.iter().any(|known| known == name) {
            let what = format!("a `{}` has no `{name}`", blueprint.identifier);
            let all = format!("it has {}", known.join(", "));
            return Err(unknown_of_many(&what, name, known.iter().map(String::as_str), &all));
        }
    }
    let mut ids: Vec<EntityId> = Vec::new();
    let (mut failed, mut answered) = (Vec::new(), 0_usize);
    for entity in view.of(&blueprint.identifier) {
        let id = entity.id();
        if query.as_ref().is_some_and(|query| !view.matches(query, &id)) {
            continue;
        }
        if let Some(expression) = &expression {
            match expression.holds(&view.as_input(entity, blueprint, expression)) {
                Ok(true) => answered += 1,
                Ok(false) => {
                    answered += 1;
                    continue;
                }
                Err(why) => {
                    failed.push((id, why));
                    continue;
                }
            }
        }
        ids.push(id);
    }
    if let Some((id, why)) = failed.first() {
        // Some entities lack what others have; where it fails for all, it is the question that is wrong.
        if answered == 0 {
            let what = format!("the expression cannot be asked of `{id}`, nor of any other: {why}");
            return Err(misuse(what));
        }
        let others = match failed.len() - 1 {
            0 => String::new(),
            others => format!(", nor of {}", counted(others, "other", "others")),
        };
        output::complain(&format!(
            "the expression cannot be asked of `{id}`{others}, which are left out: {why}"
        ));
    }
    if let Some((name, descending)) = sort {
        view.sort(&mut ids, name, descending);
    }
    let mut columns: Vec<String> = wanted.clone().cloned().collect();
    if args.columns.is_empty() {
        columns.extend(view.columns(blueprint));
        columns.extend(blueprint.relations.keys().cloned());
        if args.format == As::Table {
            columns.truncate(USUAL_COLUMNS);
        }
    }
    let cell =
        |id: &EntityId, name: &String| match view.entity(id).and_then(|entity| entity.relations.get(name)) {
            Some(related) => related.clone(),
            None if blueprint.relations.contains_key(name) => Value::Null,
            None => view.value(id, name).value,
        };
    let row = |id: &EntityId| {
        let identifier: Value = id.identifier.as_str().into();
        std::iter::once(identifier).chain(columns.iter().map(|name| cell(id, name))).collect()
    };
    let rows: Vec<Vec<Value>> = ids.iter().map(row).collect();
    if rows.is_empty() && args.format == As::Table {
        let which =
            if query.is_some() || expression.is_some() { " is like that" } else { " is in the catalog" };
        output::complain(&format!("no `{}`{which}", blueprint.identifier));
    }
    let columns = std::iter::once("identifier".to_owned()).chain(columns.iter().cloned()).collect();
    output::print(&Table { columns, rows }.print(args.format)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The entities that a query names, by their blueprints.
fn related_to(query: &Query) -> Vec<(&BlueprintId, &[String])> {
    match query {
        Query::All(queries) | Query::Any(queries) => queries.iter().flat_map(related_to).collect(),
        Query::RelatedTo { blueprint, identifiers, .. } => vec![(blueprint, identifiers)],
        Query::Compare { .. } | Query::Along { .. } | Query::AnyOfType { .. } => Vec::new(),
    }
}
