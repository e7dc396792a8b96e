//! `chandlery reconcile`: one pass over everything that is open.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use crate::{
    catalog::report,
    cli::{
        self,
        config::{self, ForgeSettings},
        output::{self, Format},
    },
    domain::{RepoName, counted},
    plan::{Key, message},
    reconcile::{Counts, Hands, Report, Stopped, drive},
};

/// Look at everything open, act until nothing is left to do, and exit
///
/// Exit codes: 0 nothing is left to do, 1 the settings of the catalog have mistakes, 2 wrong usage, 3 something is left to the
/// next pass, or the forge could not be reached.
#[derive(Debug, Args)]
#[command(
    after_help = "Secrets that steps may use are in the environment: CHANDLERY_SECRET_NAME is `env:NAME`."
)]
pub struct ReconcileArgs {
    #[command(flatten)]
    forge: ForgeSettings,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
///
/// # Errors
/// When the settings make no sense or the forge cannot be reached.
pub fn run(args: &ReconcileArgs) -> anyhow::Result<ExitCode> {
    let settings = args.forge.settings()?;
    let woken_by = event().map(|event| keys_of(&event, &settings.catalog)).unwrap_or_default();
    let lacks = settings.credentials.lacks();
    let (report, counts) = cli::runtime()?.block_on(async {
        let mut hands = Hands::new(settings)?;
        let mut report = drive(&mut hands, woken_by).await;
        report.waits.extend(lacks.map(str::to_owned));
        anyhow::Ok((report, hands.counts()))
    })?;
    if let Some(file) = summary_file() {
        append(&file, &summary(&report, counts))?;
    }
    match args.format {
        Format::Text => output::print(&text(&report, counts))?,
        Format::Json => output::print(&format!("{}\n", as_json(&report, counts)))?,
    }
    Ok(match &report.stopped {
        Some(Stopped::World(why)) => anyhow::bail!("{why}"),
        Some(Stopped::Settings(problems)) => {
            output::complain(&report::text(problems, &|_| None));
            ExitCode::from(cli::PROBLEMS)
        }
        None if !report.left.is_empty() => ExitCode::from(cli::WORLD_FAILED),
        None => ExitCode::from(cli::CLEAN),
    })
}

/// What a pass did, for people.
pub(super) fn text(report: &Report, counts: Counts) -> String {
    let mut text = String::new();
    for (id, stage) in &report.stages {
        let _ = writeln!(text, "{id}: {stage}");
    }
    for why in &report.waits {
        let _ = writeln!(text, "waits: {}", output::plain(why));
    }
    for (key, why) in &report.left {
        let _ = writeln!(text, "left to the next pass: {key}: {}", output::plain(why));
    }
    for why in &report.untold {
        let _ = writeln!(text, "not delivered: {}", output::plain(why));
    }
    let _ = writeln!(
        text,
        "{}; {} ({} of them writes, {} unchanged), {} spared, {}, {}",
        counted(report.acts, "act", "acts"),
        counted(counts.calls, "API call", "API calls"),
        counts.writes,
        counts.unchanged,
        counted(counts.spared, "look", "looks"),
        counted(counts.pushes, "push", "pushes"),
        counted(counts.fetches, "fetch", "fetches")
    );
    text
}

/// The event that started this job of GitHub Actions. It only wakes: what cannot be read is as good as none.
#[expect(clippy::disallowed_methods, reason = "the event of a job is a file")]
fn event() -> Option<Value> {
    let file = config::variable("GITHUB_EVENT_PATH")?;
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// What an event of the catalog is about.
fn keys_of(event: &Value, catalog: &RepoName) -> BTreeSet<Key> {
    if event["repository"]["full_name"].as_str() != Some(catalog.as_str()) {
        return BTreeSet::new();
    }
    let key = |number: &Value, key: fn(u64) -> Key| number.as_u64().map(key);
    let issue = &event["issue"];
    let of_issue = if issue["pull_request"].is_null() { Key::Issue } else { Key::Pull };
    key(&issue["number"], of_issue)
        .into_iter()
        .chain(key(&event["pull_request"]["number"], Key::Pull))
        .collect()
}

/// Where a job of GitHub Actions writes what people read of it.
fn summary_file() -> Option<PathBuf> {
    std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

fn append(file: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = File::options()
        .create(true)
        .append(true)
        .open(file)
        .with_context(|| format!("cannot write the job's summary `{}`", file.display()))?;
    file.write_all(text.as_bytes()).context("cannot write the job's summary")
}

/// What a pass did, as Markdown.
fn summary(report: &Report, counts: Counts) -> String {
    let mut text = String::from("### Chandlery\n\n");
    if report.stages.is_empty() {
        text.push_str("Nothing is open.\n");
    } else {
        text.push_str("| request | stage |\n| --- | --- |\n");
        for (id, stage) in &report.stages {
            let _ = writeln!(text, "| `{id}` | {stage} |");
        }
    }
    let said = |why: &str| message::quoted(&output::plain(why));
    let stopped = match &report.stopped {
        None => None,
        Some(Stopped::World(why)) => Some(said(why)),
        Some(Stopped::Settings(problems)) => {
            Some(format!("chandlery.yaml has {} mistakes: run `chandlery validate`", problems.len()))
        }
    };
    if let Some(why) = stopped {
        let _ = writeln!(text, "\n**Stopped:** {why}");
    }
    for why in &report.waits {
        let _ = writeln!(text, "- waits: {}", said(why));
    }
    for (key, why) in &report.left {
        let _ = writeln!(text, "- left to the next pass: {key}: {}", said(why));
    }
    for why in &report.untold {
        let _ = writeln!(text, "- not delivered: {}", said(why));
    }
    let Counts { calls, unchanged, spared, writes, points, pushes, fetches } = counts;
    let _ = writeln!(
        text,
        "\n{}; {} ({writes} of them writes, {unchanged} unchanged and free, {}), {} spared because nothing had moved, {}, {}\n",
        counted(report.acts, "act", "acts"),
        counted(calls, "API call", "API calls"),
        counted(points, "GraphQL point", "GraphQL points"),
        counted(spared, "look", "looks"),
        counted(pushes, "push", "pushes"),
        counted(fetches, "fetch", "fetches")
    );
    text
}

fn as_json(report: &Report, counts: Counts) -> Value {
    let left: serde_json::Map<String, Value> =
        report.left.iter().map(|(key, why)| (key.to_string(), why.clone().into())).collect();
    json!({
        "requests": report.stages,
        "acts": report.acts,
        "waits": report.waits,
        "left": left,
        "notDelivered": report.untold,
        "calls": counts.calls,
        "unchanged": counts.unchanged,
        "spared": counts.spared,
        "writes": counts.writes,
        "points": counts.points,
        "pushes": counts.pushes,
        "fetches": counts.fetches,
    })
}
