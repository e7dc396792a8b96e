//! `chandlery doctor`: is everything set up, and what is to be done where it is not?

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Args;
use serde_json::json;

use super::{
    config::{ForgeSettings, admin_token},
    output::{self, Format},
};
use crate::{
    cli,
    domain::{Severity, counted},
    forge::{
        client::{ForgeError, Manners, Writer, connect},
        identity::Credentials,
    },
};
use judge::{Finding, Judgement, Mend};
use look::Eyes;
use mend::Mended;

mod look;
mod judge;
mod mend;

/// What is said where an administrator would be needed.
const NO_ADMIN: &str =
    "only an administrator may see it: give a person's token in CHANDLERY_ADMIN_TOKEN or --admin-token-file";

/// Tell what is not set up as it should be, and what to do about it
///
/// Exit codes: 0 nothing is wrong (warnings may be), 1 errors were found, 2 wrong usage, 3 the forge could not be reached.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    forge: ForgeSettings,
    /// Put right what may be: rulesets of ours, the environment, Actions, issues, merge methods
    #[arg(long)]
    fix: bool,
    /// Read the token of a person who administers the catalog from this file, not from CHANDLERY_ADMIN_TOKEN
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
    /// How to print what is found
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the settings make no sense or the forge cannot be reached.
pub fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let settings = args.forge.settings()?;
    let admin = admin_token(args.admin_token_file.as_deref())?;
    if args.fix && admin.is_none() {
        bail!(
            "--fix changes settings, and neither the App nor its token may: give the token of a person who administers {} in \
             CHANDLERY_ADMIN_TOKEN or --admin-token-file",
            settings.catalog
        );
    }
    let folder = std::env::current_dir()?;
    let (judged, mended) = cli::runtime()?.block_on(async {
        let own =
            match connect(&settings.api_url, &settings.credentials, &settings.catalog, Manners::default()) {
                Ok((reader, _)) => reader,
                Err(error @ ForgeError::Key) => return Ok((unreadable_key(&error), Vec::new())),
                Err(error) => return Err(error.into()),
            };
        let (admin, writer) = match admin {
            Some(token) => {
                let token = Credentials::Token(token);
                let (reader, writer) =
                    connect(&settings.api_url, &token, &settings.catalog, Manners::default())?;
                (Ok(reader), Some(writer))
            }
            None => (Err(NO_ADMIN.to_owned()), None),
        };
        let eyes = Eyes { settings: &settings, own, admin, clock: &cli::config::clock, folder };
        examine(&eyes, writer.as_ref().filter(|_| args.fix)).await
    })?;
    match args.format {
        Format::Text => output::print(&text(&judged, &mended))?,
        Format::Json => output::print(&format!("{}\n", as_json(&judged, &mended)))?,
    }
    // What was not seen could not be put right either.
    let failed = judged.has_errors()
        || (args.fix && !judged.not_seen.is_empty())
        || mended.iter().any(|one| one.failed.is_some());
    Ok(ExitCode::from(if failed { cli::PROBLEMS } else { cli::CLEAN }))
}

/// Looks and judges; with a writer puts right what may be, and looks again.
async fn examine(eyes: &Eyes<'_>, writer: Option<&Writer>) -> anyhow::Result<(Judgement, Vec<Mended>)> {
    let facts = eyes.look().await?;
    let judged = judge::judge(&facts);
    let mends: BTreeSet<Mend> = judged.findings.iter().filter_map(|finding| finding.mend.clone()).collect();
    let Some(writer) = writer.filter(|_| !mends.is_empty()) else {
        return Ok((judged, Vec::new()));
    };
    let mended = mend::mend(writer, &facts, &mends).await;
    Ok((judge::judge(&eyes.look().await?), mended))
}

fn unreadable_key(error: &ForgeError) -> Judgement {
    let finding = Finding::error("key-refused", "the App's key", error.to_string())
        .cure("make a new private key on the App's page (Settings, Developer settings, GitHub Apps), and give the whole file");
    Judgement { findings: vec![finding], ..Judgement::default() }
}

fn text(judged: &Judgement, mended: &[Mended]) -> String {
    let mut text = String::new();
    for Mended { what, failed } in mended {
        let _ = match failed {
            None => writeln!(text, "mended: {what}"),
            Some(why) => writeln!(text, "not mended: {what}: {}", output::plain(why)),
        };
    }
    for Finding { code, severity, at, message, cure, mend } in &judged.findings {
        let word = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let by_us = if mend.is_some() { "; or `chandlery doctor --fix`" } else { "" };
        let _ = writeln!(
            text,
            "{word} {code}: {}: {}\n    cure: {}{by_us}",
            output::plain(at),
            output::plain(message),
            output::plain(cure)
        );
    }
    for unseen in &judged.not_seen {
        let _ = writeln!(
            text,
            "not seen: {} because {}",
            output::plain(&unseen.what),
            output::plain(&unseen.because)
        );
    }
    let count =
        |wanted: Severity| judged.findings.iter().filter(|finding| finding.severity == wanted).count();
    let _ = writeln!(
        text,
        "{}, {}, {} not seen",
        counted(count(Severity::Error), "error", "errors"),
        counted(count(Severity::Warning), "warning", "warnings"),
        counted(judged.not_seen.len(), "thing", "things")
    );
    text
}

fn as_json(judged: &Judgement, mended: &[Mended]) -> serde_json::Value {
    let mended: Vec<_> = mended.iter().map(|one| json!({ "what": one.what, "failed": one.failed })).collect();
    json!({ "findings": judged.findings, "notSeen": judged.not_seen, "mended": mended })
}
