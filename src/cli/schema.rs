//! `chandlery schema`: what may the requests of an action say, for editors and programs?

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::{generate::listed, output, request::Catalog};
use crate::{domain::RepoPath, intake::request_schema};

/// Print the JSON Schema of an action's requests, or of all
///
/// Exit codes: 0 printed, 2 wrong usage, 3 the catalog could not be read.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// The action; all of them if not said
    #[arg(value_name = "ACTION")]
    action: Option<String>,
    /// The folder of the catalog
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    /// The folder of the repository that holds the catalog, instead of DIR itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
}

/// Prints the schema.
///
/// # Errors
/// When the catalog cannot be read, or has no such action.
pub fn run(args: &SchemaArgs) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::read(&args.catalog, args.root.as_ref())?;
    let Catalog { definitions, files, .. } = &catalog;
    let listed = listed(definitions, files);
    output::print(&match &args.action {
        Some(name) => {
            request_schema::of_action(catalog.action(name)?, &definitions.settings.secrets, &listed)
        }
        None => request_schema::generate(definitions, &listed),
    })?;
    Ok(ExitCode::SUCCESS)
}
