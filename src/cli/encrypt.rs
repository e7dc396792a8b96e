//! `chandlery encrypt`: how does a secret get into a request without being in it?

use std::{
    io::{IsTerminal, Read, stderr, stdin},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context, bail};
use clap::Args;

use super::{output, validate::files_of_work_tree};
use crate::{
    catalog::load_settings,
    domain::{RepoPath, Secret},
    seal::seal,
};

/// Encrypt a secret for whoever carries requests out
///
/// Reads it from standard input, or asks for it without showing it, and prints what an input of the format `secret` takes.
/// Space and line ends around it are not part of it.
/// Exit codes: 0 printed, 2 wrong usage, 3 there is nothing to encrypt, or nobody to encrypt it for.
#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// Encrypt for this public key of age instead of the `ageRecipients` of the catalog; may be given several times
    #[arg(long = "recipient", value_name = "age1…")]
    recipients: Vec<String>,
    /// The folder of the catalog
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    /// The folder of the repository that holds the catalog, instead of DIR itself
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
}

/// Prints the encrypted secret.
///
/// # Errors
/// When there is nothing to encrypt, or nobody to encrypt it for.
pub fn run(args: &EncryptArgs) -> anyhow::Result<ExitCode> {
    let recipients = if args.recipients.is_empty() { of_catalog(args)? } else { args.recipients.clone() };
    let secret = if stdin().is_terminal() && stderr().is_terminal() {
        Secret::new(&inquire::Password::new("The secret:").without_confirmation().prompt()?)
    } else {
        let mut text = String::new();
        stdin().read_to_string(&mut text).context("the secret is no text")?;
        Secret::new(&text)
    };
    if secret.expose().is_empty() {
        bail!("there is nothing to encrypt: give the secret on standard input");
    }
    output::print(&format!("{}\n", seal(&recipients, &secret)?))?;
    Ok(ExitCode::SUCCESS)
}

fn of_catalog(args: &EncryptArgs) -> anyhow::Result<Vec<String>> {
    let found = files_of_work_tree(&args.catalog, args.root.as_ref())?;
    let Ok(settings) = load_settings(&found.root, found.files.get(&found.root.settings_path())) else {
        bail!(
            "`{}` is no catalog that can be read: name a public key with --recipient",
            args.catalog.display()
        );
    };
    if settings.secrets.recipients.is_empty() {
        bail!("the catalog names no `ageRecipients`: name a public key with --recipient");
    }
    Ok(settings.secrets.recipients)
}
