//! `chandlery blame`: to whom does each value of an entity go back?

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;

use super::{
    Asked,
    history::by,
    past::{Change, Kind, changes},
    print::{As, Table},
};
use crate::{
    cli::{misuse::unknown_of_many, output},
    domain::EntityId,
};

/// Show for each value of an entity which change it goes back to
///
/// Exit codes: 0 shown, 2 wrong usage, 3 the history could not be read.
#[derive(Debug, Args)]
pub struct BlameArgs {
    /// The entity, as BLUEPRINT/IDENTIFIER or with a space between them (its identifier alone where no other has the same), and
    /// perhaps some of its values, such as `properties.tier`, `relations.system` or `title`; of properties the name is enough
    #[arg(value_names = ["ENTITY", "VALUE"], required = true, num_args = 1..)]
    words: Vec<String>,
    #[command(flatten)]
    asked: Asked,
    /// How to print it
    #[arg(long, value_enum, default_value_t = As::Table)]
    format: As,
}

/// Runs the command.
///
/// # Errors
/// When the entity is not there or the history cannot be read.
pub fn run(args: &BlameArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let (kind, identifier, values) = read.named(&args.words)?;
    let id = read.entity(&read.view(), kind, identifier)?;
    let changes = changes(&read, &id)?;
    let mut last: BTreeMap<&str, (&Value, &Change)> = BTreeMap::new();
    for change in &changes {
        for (name, _, after) in &change.values {
            last.entry(name).or_insert((after, change));
        }
        if change.kind == Kind::Added {
            break;
        }
    }
    last.retain(|_, (value, _)| !value.is_null());
    if !values.is_empty() {
        let mut wanted = BTreeSet::new();
        for value in values {
            wanted.insert(full_name(value, &id, &last.keys().copied().collect::<Vec<_>>())?);
        }
        last.retain(|name, _| wanted.contains(*name));
    }
    let rows = last
        .into_iter()
        .map(|(name, (value, change))| {
            let request = change.run.as_ref().map_or(Value::Null, |run| run.request.to_string().into());
            let commit = change.commit.short().to_string();
            vec![
                name.into(),
                value.clone(),
                change.at.to_string().into(),
                commit.into(),
                request,
                by(change).into(),
            ]
        })
        .collect();
    let columns = ["value", "is", "since", "commit", "request", "who"].map(str::to_owned).into();
    output::print(&Table { columns, rows }.print(args.format)?)?;
    Ok(ExitCode::SUCCESS)
}

/// The name of a value that an entity has.
fn full_name(asked: &str, id: &EntityId, known: &[&str]) -> anyhow::Result<String> {
    let ways = [asked.to_owned(), format!("properties.{asked}"), format!("relations.{asked}")];
    if let Some(name) = ways.into_iter().find(|name| known.contains(&name.as_str())) {
        return Ok(name);
    }
    let bare = known.iter().map(|name| name.split_once('.').map_or(*name, |(_, name)| name));
    let all = format!("it says {}", known.join(", "));
    Err(unknown_of_many(&format!("`{id}` says no `{asked}`"), asked, known.iter().copied().chain(bare), &all))
}
