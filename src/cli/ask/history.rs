//! `chandlery history`: what became of an entity, change by change?

use std::{fmt::Write as _, process::ExitCode};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Asked, Meant,
    past::{Change, changes},
    print::words,
};
use crate::{
    cli::{
        misuse::misuse,
        output::{self, Format, plain},
    },
    domain::{EntityId, InvalidId, Login},
};

/// Show every change of an entity: what, when, and who asked and approved
///
/// It is read from Git. An entity that is gone has a history, too.
///
/// Exit codes: 0 shown, 2 wrong usage, 3 the history could not be read.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    meant: Meant,
    #[command(flatten)]
    asked: Asked,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the history cannot be read.
pub fn run(args: &HistoryArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let (kind, identifier) = args.meant.names(&read)?;
    let blueprint = read.blueprint(kind)?.identifier.clone();
    let id = EntityId {
        blueprint,
        identifier: identifier.parse().map_err(|why: InvalidId| misuse(why.to_string()))?,
    };
    let changes = changes(&read, &id)?;
    output::print(&match args.format {
        Format::Text => changes.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => format!("{:#}\n", Value::Array(changes.iter().map(as_json).collect())),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn names(people: &[Login]) -> String {
    people.iter().map(Login::as_str).collect::<Vec<_>>().join(", ")
}

/// Who is to be named for a change.
pub(super) fn by(change: &Change) -> String {
    match &change.run {
        Some(run) if run.approved_by.is_empty() => format!("asked by {}", names(&run.requesters)),
        Some(run) => format!("asked by {}, approved by {}", names(&run.requesters), names(&run.approved_by)),
        None => format!("by hand, by {}", plain(&change.author)),
    }
}

fn text(change: &Change) -> String {
    let what = match &change.run {
        Some(run) => format!("request {}", run.request),
        None => format!("\"{}\"", plain(&change.subject)),
    };
    let mut text =
        format!("{}  {}  {}: {what}, {}\n", change.at, change.commit.short(), change.kind.word(), by(change));
    for (name, before, after) in &change.values {
        let line = match (before, after) {
            (Value::Null, after) => format!("{name}: {}", words(after)),
            (before, Value::Null) => format!("{name}: {} -> (nothing)", words(before)),
            (before, after) => format!("{name}: {} -> {}", words(before), words(after)),
        };
        let _ = writeln!(text, "    {}", plain(&line).replace('\n', " "));
    }
    text
}

fn as_json(change: &Change) -> Value {
    let values: serde_json::Map<String, Value> = change
        .values
        .iter()
        .map(|(name, before, after)| (name.clone(), json!({ "before": before, "after": after })))
        .collect();
    json!({
        "commit": change.commit.to_string(),
        "at": change.at.to_string(),
        "change": change.kind.word(),
        "author": change.author,
        "subject": change.subject,
        "request": change.run.as_ref().map(|run| run.request.to_string()),
        "action": change.run.as_ref().and_then(|run| run.action.as_ref()).map(ToString::to_string),
        "requesters": change.run.as_ref().map(|run| run.requesters.clone()),
        "approvedBy": change.run.as_ref().map(|run| run.approved_by.clone()),
        "values": values,
    })
}
