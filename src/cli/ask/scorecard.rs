//! `chandlery scorecard`: how far have entities come, and what is missing?

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::{
    Asked,
    print::{As, Table},
};
use crate::cli::{misuse::unknown, output};

/// Show which level entities reach, and which rules they miss
///
/// Exit codes: 0 shown, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct ScorecardArgs {
    /// The scorecard; all if not said
    scorecard: Option<String>,
    #[command(flatten)]
    asked: Asked,
    /// How to print
    #[arg(long, value_enum, default_value_t = As::Table)]
    format: As,
}

/// Runs the command.
///
/// # Errors
/// When there is no such scorecard or the catalog cannot be read.
pub fn run(args: &ScorecardArgs) -> anyhow::Result<ExitCode> {
    let read = args.asked.read()?;
    let view = read.view();
    let scorecards = &read.definitions.scorecards;
    if let Some(name) = &args.scorecard
        && !scorecards.contains_key(name)
    {
        let known = scorecards.keys().map(String::as_str);
        return Err(unknown(&format!("there is no scorecard `{name}`"), name, known));
    }
    let mut rows = Vec::new();
    for scorecard in scorecards.values() {
        if args.scorecard.as_ref().is_some_and(|name| *name != scorecard.identifier) {
            continue;
        }
        for entity in view.of(&scorecard.blueprint) {
            let Some(standing) = view.standing(scorecard, &entity.id()) else { continue };
            let missing: Vec<Value> = standing
                .rules
                .iter()
                .filter(|(.., holds)| !holds)
                .map(|(rule, level, _)| format!("{rule} ({level})").into())
                .collect();
            rows.push(vec![
                scorecard.identifier.as_str().into(),
                entity.id().to_string().into(),
                standing.level.into(),
                missing.into(),
            ]);
        }
    }
    let columns = ["scorecard", "entity", "level", "missing"].map(str::to_owned).into();
    output::print(&Table { columns, rows }.print(args.format)?)?;
    Ok(ExitCode::SUCCESS)
}
