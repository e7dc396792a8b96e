//! `chandlery search`: where does a text stand in the catalog?

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{
    Asked,
    print::{As, Table, words},
};
use crate::cli::output;

/// Find entities in which a text stands, whatever its case
///
/// Exit codes: 0 something was found, 1 nothing was, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// The text
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    text: String,
    #[command(flatten)]
    asked: Asked,
    /// How to print
    #[arg(long, value_enum, default_value_t = As::Table)]
    format: As,
}

/// Runs the command.
///
/// # Errors
/// When the catalog cannot be read.
pub fn run(args: &SearchArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let view = read.view();
    let wanted = args.text.to_lowercase();
    let mut found: Vec<(u8, Vec<Value>)> = Vec::new();
    let suspects = view.suspects(&args.text);
    for entity in suspects.iter().filter_map(|id| view.entity(id)) {
        let identifier = entity.identifier.as_str();
        let title = entity.title.as_deref().unwrap_or_default();
        let named = [("identifier", identifier.to_owned()), ("title", title.to_owned())];
        let said = entity.properties.iter().map(|(name, value)| (name.as_str(), words(value)));
        let Some((place, text)) =
            named.into_iter().chain(said).find(|(_, text)| text.to_lowercase().contains(&wanted))
        else {
            continue;
        };
        // A name that is meant comes before a text that mentions it.
        let rank = match (place, text.to_lowercase() == wanted) {
            ("identifier" | "title", true) => 0,
            ("identifier" | "title", false) => 1,
            _ => 2,
        };
        let row = [entity.blueprint.as_str(), identifier, title, place, &text].map(Value::from);
        found.push((rank, row.into()));
    }
    found.sort_by_key(|(rank, _)| *rank);
    if found.is_empty() && args.format == As::Table {
        output::complain(&format!("no entity holds `{}`", output::plain(&args.text)));
    }
    let code = if found.is_empty() { ExitCode::from(crate::cli::PROBLEMS) } else { ExitCode::SUCCESS };
    let columns = ["blueprint", "identifier", "title", "in", "text"].map(str::to_owned).into();
    let rows = found.into_iter().map(|(_, row)| row).collect();
    output::print(&Table { columns, rows }.print(args.format)?)?;
    Ok(code)
}
