//! `chandlery link`: which address opens a form that is filled in already?

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, bail};
use clap::Args;

use super::{
    config::ForgeSettings,
    misuse::unknown_of_many,
    output,
    request::{Catalog, Given, inputs, of_clone},
};
use crate::{
    catalog::secret,
    domain::{Identifier, RequestFile},
    intake::issue_form,
};

/// Print the address of an action's issue form with answers in it
///
/// What is not given is left to whoever opens it. No forge is asked.
/// Exit codes: 0 printed, 2 wrong usage, 3 the catalog could not be read, or it cannot be asked
/// for like this.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// What to ask for
    #[arg(value_name = "ACTION")]
    action: String,
    /// The value of an input; of a list, one of its items. May be given several times
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<Given>,
    /// The entity that it is about
    #[arg(long, value_name = "ID")]
    entity: Option<Identifier>,
    /// The folder of the catalog
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    #[command(flatten)]
    forge: ForgeSettings,
}

/// Prints the address.
///
/// # Errors
/// When the catalog cannot be read, or the action cannot be asked for like this.
pub fn run(args: &LinkArgs) -> anyhow::Result<ExitCode> {
    let catalog = Catalog::read(&args.catalog, args.forge.root.as_ref())?;
    let action = catalog.action(&args.action)?;
    let inputs = inputs(action, &args.inputs);
    if let Some(name) = inputs.keys().find(|name| action.input(name).is_none()) {
        let known = action.inputs.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        let what = format!("`{}` has no input `{}`", action.identifier, crate::domain::masked(name));
        let all = format!("its inputs are {}", known.join(", "));
        return Err(unknown_of_many(&what, name, known, &all));
    }
    let settings = &catalog.definitions.settings;
    let file = RequestFile {
        action: action.identifier.clone(),
        entity: args.entity.clone(),
        inputs: inputs.clone(),
        reason: None,
        on_behalf_of: None,
    };
    if let Some(wrong) = secret::leaks(Some(action), &settings.secrets, &file).into_iter().next() {
        let wrong = wrong.at(crate::domain::Place::file("link"), &args.action);
        bail!("an input holds what must not stand in an address: {}", wrong.help.unwrap_or(wrong.message));
    }
    let (repository, server) = of_clone(&args.forge, &catalog.top, settings).page()?;
    let query = issue_form::link(action, args.entity.as_ref(), &inputs).with_context(|| {
        format!("`{}` has no issue form: its name is none that a file can have", args.action)
    })?;
    output::print(&format!("{server}/{repository}{query}\n"))?;
    Ok(ExitCode::SUCCESS)
}
