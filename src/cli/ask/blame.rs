//! `chandlery blame`: to whom does each value of an entity go back?

use std::{collections::BTreeMap, process::ExitCode};

use clap::Args;
use serde_json::Value;

use super::{
    Asked,
    history::by,
    past::{Change, Kind, changes},
    print::{As, Table},
};
use crate::cli::output;

/// Show for each value of an entity which change it goes back to
///
/// Exit codes: 0 shown, 2 wrong usage, 3 it is not there, or the history could not be read.
#[derive(Debug, Args)]
pub struct BlameArgs {
    /// Its blueprint
    kind: String,
    /// Its identifier
    id: String,
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
    let id = read.entity(&read.view(), &args.kind, &args.id)?;
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
