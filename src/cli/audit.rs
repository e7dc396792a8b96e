//! `chandlery audit`: who asked, who approved which bytes, and what was done? From Git alone.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{
    ask::print::{As, Table},
    config::clock,
    history::{Clone, Line},
    output::{self, plain},
};
use crate::{
    catalog::entity_at,
    domain::{EntityId, Login, ObjectId, RequestId, Run, Timestamp},
    plan::{audit::Landed, plan_file, reference},
};

/// How to print it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Printed {
    /// Columns, for people
    Table,
    /// Everything, for programs
    Json,
    /// Comma-separated values (RFC 4180)
    Csv,
}

/// List what was done to a catalog: who asked, who approved which plan, what changed
///
/// One row for each run whose end is recorded, and one for each commit that changed entities round Chandlery, newest
/// first, as the history says; whether it follows from itself is what `chandlery verify` tells.
///
/// Exit codes: 0 listed, 2 wrong usage, 3 the history could not be read.
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(flatten)]
    clone: Clone,
    /// From this commit on, or this day such as 2026-11-24; the commit itself is left out
    #[arg(long, value_name = "REV|DATE")]
    since: Option<String>,
    /// Only what changed this entity
    #[arg(long, value_name = "BLUEPRINT/IDENTIFIER")]
    entity: Option<EntityId>,
    /// Only what this person asked for, approved, or did round Chandlery
    #[arg(long, value_name = "LOGIN")]
    actor: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Printed::Table)]
    format: Printed,
}

/// A thing that was done.
struct Done {
    at: Timestamp,
    commit: ObjectId,
    what: What,
}

enum What {
    Run(Box<Run>),
    /// A record that this program cannot read: who wrote the commit, of which request, and why.
    Unreadable(String, RequestId, String),
    /// Entities changed by hand: who wrote the commit, and what became of them.
    Hand(String, Vec<(&'static str, String)>),
}

/// Runs the command.
///
/// # Errors
/// When the history cannot be read.
pub fn run(args: &AuditArgs) -> anyhow::Result<ExitCode> {
    let line = args.clone.line("HEAD")?;
    let since = args.since.as_deref().map(|rev| begin(&line, rev)).transpose()?.unwrap_or(0);
    let mut done = Vec::new();
    for landed in &line.landed {
        if line.all.iter().position(|commit| *commit == landed.commit).is_some_and(|at| at >= since) {
            done.extend(told(&line, landed)?);
        }
    }
    let entity = args.entity.as_ref().map(EntityId::to_string);
    done.retain(|done| entity.as_ref().is_none_or(|entity| done.touches(entity)));
    done.retain(|done| args.actor.as_ref().is_none_or(|actor| done.is_by(actor)));
    done.reverse();
    output::print(&match args.format {
        Printed::Json => format!("{:#}\n", Value::Array(done.iter().map(as_json).collect())),
        Printed::Table => table(&done).print(As::Table)?,
        Printed::Csv => table(&done).print(As::Csv)?,
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The place in the line from which on is asked.
fn begin(line: &Line, rev: &str) -> anyhow::Result<usize> {
    let day = || format!("{rev}T00:00:00Z").parse::<Timestamp>().or_else(|_| rev.parse());
    if let Ok(moment) = day() {
        let at = |commit: &ObjectId| line.objects.made(*commit).map(|made| made.at);
        for (place, commit) in line.all.iter().enumerate() {
            if at(commit)? >= moment {
                return Ok(place);
            }
        }
        return Ok(line.all.len());
    }
    let commit = line.objects.commit_named(rev, Timestamp::from_seconds(clock()))?;
    let place = line.all.iter().position(|known| *known == commit);
    place.map(|at| at + 1).with_context(|| format!("`{rev}` is not on the line that leads to HEAD"))
}

/// What one commit did.
fn told(line: &Line, landed: &Landed) -> anyhow::Result<Vec<Done>> {
    let (at, commit) = (landed.at, landed.commit);
    let mut done = Vec::new();
    for (request, _, entry) in landed.records(&line.settings.folders) {
        let Some(after) = entry.after else { continue };
        let read = |id| line.objects.blob(id).map(|bytes| plan_file::read_run(&bytes));
        let was_ended = match entry.before {
            Some(before) => read(before.id)?.is_ok_and(|run| run.status.is_end()),
            None => false,
        };
        let what = match read(after.id)? {
            Err(why) => What::Unreadable(landed.author.clone(), request, why.to_string()),
            Ok(run) if run.status.is_end() && !was_ended => What::Run(Box::new(run)),
            Ok(_) => continue,
        };
        done.push(Done { at, commit, what });
    }
    let entities = landed.changes.iter().filter_map(|(path, entry)| {
        let id = entity_at(&line.settings, path)?;
        let word = match (entry.before, entry.after) {
            (None, _) => "create",
            (_, None) => "delete",
            _ => "update",
        };
        Some((word, id.to_string()))
    });
    let entities: Vec<_> = entities.collect();
    if done.is_empty() && !entities.is_empty() {
        done.push(Done { at, commit, what: What::Hand(landed.author.clone(), entities) });
    }
    Ok(done)
}

impl Done {
    fn touches(&self, entity: &str) -> bool {
        match &self.what {
            What::Run(run) => run.entities.iter().any(|known| known.entity == entity),
            What::Unreadable(..) => false,
            What::Hand(_, entities) => entities.iter().any(|(_, known)| known == entity),
        }
    }

    fn is_by(&self, actor: &str) -> bool {
        match &self.what {
            What::Run(run) => {
                let broken = run.break_glass.iter().map(|broken| &broken.by);
                let mut people = run.requesters.iter().chain(&run.approved_by).chain(broken);
                people.any(|login| login.as_str().eq_ignore_ascii_case(actor))
            }
            What::Unreadable(author, ..) | What::Hand(author, _) => author.eq_ignore_ascii_case(actor),
        }
    }
}

fn logins(people: &[Login]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn table(done: &[Done]) -> Table {
    let columns = [
        "at",
        "commit",
        "request",
        "action",
        "status",
        "asked",
        "approved",
        "changed",
        "plan",
        "pull requests",
    ];
    let rows = done.iter().map(|done| {
        let (at, commit) = (done.at.to_string(), done.commit.short());
        let cells = match &done.what {
            What::Run(run) => {
                let mut status = run.status.to_string();
                if let Some(broken) = &run.break_glass {
                    let _ = write!(status, " BREAK-GLASS by {}", broken.by);
                }
                let changed =
                    run.entities.iter().map(|entity| format!("{} {}", entity.change, entity.entity));
                let pulls = run.pull_request.iter().chain(&run.steps);
                let pulls = pulls.map(|pull| reference(&pull.repository, pull.number));
                [
                    at,
                    commit,
                    run.request.to_string(),
                    run.action.as_ref().map(ToString::to_string).unwrap_or_default(),
                    status,
                    logins(&run.requesters),
                    logins(&run.approved_by),
                    changed.collect::<Vec<_>>().join(", "),
                    run.plan.as_deref().map_or("", |key| key.get(..12).unwrap_or(key)).to_owned(),
                    pulls.collect::<Vec<_>>().join(", "),
                ]
            }
            What::Unreadable(author, request, why) => {
                let mut cells = [const { String::new() }; 10];
                (cells[0], cells[1], cells[2]) = (at, commit, request.to_string());
                (cells[4], cells[5]) = (format!("unreadable: {why}"), author.clone());
                cells
            }
            What::Hand(author, entities) => {
                let changed = entities.iter().map(|(word, entity)| format!("{word} {entity}"));
                [
                    at,
                    commit,
                    String::new(),
                    String::new(),
                    "by hand".to_owned(),
                    author.clone(),
                    String::new(),
                    changed.collect::<Vec<_>>().join(", "),
                    String::new(),
                    String::new(),
                ]
            }
        };
        cells.map(|cell| Value::String(plain(&cell))).into()
    });
    Table { columns: columns.map(str::to_owned).into(), rows: rows.collect() }
}

fn as_json(done: &Done) -> Value {
    let mut value = json!({ "at": done.at, "commit": done.commit.to_string() });
    match &done.what {
        What::Run(run) => {
            value["kind"] = "run".into();
            value["run"] = json!(run);
        }
        What::Unreadable(author, request, why) => {
            value["kind"] = "unreadable".into();
            value["author"] = author.as_str().into();
            value["request"] = request.as_str().into();
            value["why"] = why.as_str().into();
        }
        What::Hand(author, entities) => {
            value["kind"] = "byHand".into();
            value["author"] = author.as_str().into();
            let entities =
                entities.iter().map(|(change, entity)| json!({ "change": change, "entity": entity }));
            value["entities"] = entities.collect();
        }
    }
    value
}
