//! Does what a catalog derives come to its end over all its entities, with little time and memory?
//!
//! It is derived in a process of its own, this program started again, which first of all limits itself and then is told
//! the files. It says which one it begins, so that whoever waits for it knows which one it died of.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, bail};
use clap::Args;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::output;
use crate::{
    catalog::{
        Deed, Definitions, Files, Life, Past, Root, entity_at, load_definitions, load_settings,
        try_out::{Outcome, Trial, trials},
        view::{OTHER_KIND, View},
    },
    domain::{Bytes, Diagnostic, Place, Timestamp},
    index::Whole,
};

/// What may be computed for in all, besides what the size of the catalog needs.
const SECONDS: u64 = 10;
/// So many entities are read, and so many values derived, within a second by the slowest machine.
const A_SECOND: usize = 1_000;
/// How long one expression may take on a clock, whoever else computes there.
const PATIENCE: Duration = Duration::from_secs(120);
/// The memory for it, besides what the size of the catalog needs.
const MEMORY: u64 = 1 << 30;
/// How much memory a byte of a catalog may need, as it is read, kept and derived from.
const PER_BYTE: u64 = 32;
/// So many deaths are looked into; then the rest is left untried.
const DEATHS: usize = 5;

/// Derive what is asked on the standard input, within limits
#[derive(Debug, Args)]
pub struct TryOutArgs {
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    memory: u64,
}

/// What the process is asked: a catalog, and which of its trials.
#[derive(Serialize, Deserialize)]
struct Asked {
    root: Option<String>,
    now: i64,
    files: BTreeMap<String, String>,
    only: Vec<usize>,
}

/// What it says, one line each.
#[derive(Serialize, Deserialize)]
enum Said {
    Begins(usize),
    Ended(usize, Outcome),
}

/// Limits itself, reads and derives.
///
/// # Errors
/// When it cannot be limited or what it is asked makes no sense.
pub fn run(args: &TryOutArgs) -> anyhow::Result<ExitCode> {
    for (resource, limit) in [(Resource::Cpu, args.seconds), (Resource::As, args.memory), (Resource::Core, 0)]
    {
        let limit = Some(limit);
        setrlimit(resource, Rlimit { current: limit, maximum: limit }).context("cannot be limited")?;
    }
    let asked: Asked = serde_json::from_reader(std::io::stdin().lock())?;
    let root = Root(asked.root.as_deref().map(str::parse).transpose()?);
    let files =
        asked.files.into_iter().map(|(path, text)| Ok((path.parse()?, Bytes::from(text.into_bytes()))));
    let files = files.collect::<anyhow::Result<_>>()?;
    let Ok(settings) = load_settings(&root, files_settings(&root, &files)) else { bail!("no settings") };
    let (definitions, _) = load_definitions(&root, settings, &files);
    let trials = trials(&definitions, None);
    let now = Timestamp::from_seconds(asked.now);
    let view = View::new(&definitions, &files, now, |_| some_past(&definitions, &files, now));
    for index in asked.only {
        let trial = trials.get(index).context("is asked for what is not there")?;
        say(&Said::Begins(index))?;
        say(&Said::Ended(index, trial.run(&definitions, &view)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The history is not here. Any past does for finding out what an expression costs, and whether it can be asked.
fn some_past(definitions: &Definitions, files: &Files, now: Timestamp) -> Past {
    let deed = Deed { at: now, by: vec!["somebody".to_owned()] };
    let life = Life { created: Some(deed.clone()), updated: Some(deed) };
    let ids = files.keys().filter_map(|path| entity_at(&definitions.settings, path));
    Past::Told { lives: ids.map(|id| (id, life.clone())).collect(), is_cut: false }
}

fn files_settings<'a>(root: &Root, files: &'a Files) -> Option<&'a Bytes> {
    files.get(&root.settings_path())
}

fn say(said: &Said) -> anyhow::Result<()> {
    output::print(&format!("{}\n", serde_json::to_string(said)?))
}

/// Tries what is derived, or what of it is new since `before`; says what failed, and what did not come to its end.
///
/// # Errors
/// When no process can be had for it.
pub(super) fn try_out(
    found: &Whole,
    before: Option<&Definitions>,
    now: i64,
) -> anyhow::Result<Vec<Diagnostic>> {
    let Ok(settings) = load_settings(&found.root, files_settings(&found.root, &found.files)) else {
        return Ok(Vec::new());
    };
    let (definitions, _) = load_definitions(&found.root, settings, &found.files);
    let all = trials(&definitions, None);
    let wanted = trials(&definitions, before);
    let mut open: Vec<usize> = (0..all.len()).filter(|index| wanted.contains(&all[*index])).collect();
    let mut told: Vec<Diagnostic> =
        wanted.iter().flat_map(|trial| unknown(trial, &definitions, found)).collect();
    let limits = Limits::of(found, open.len());
    for _ in 0..DEATHS {
        if open.is_empty() {
            break;
        }
        let files = found.files.iter().filter_map(|(path, bytes)| {
            // What is not UTF-8 holds nothing that can be read.
            Some((path.as_str().to_owned(), std::str::from_utf8(bytes).ok()?.to_owned()))
        });
        let root = found.root.0.as_ref().map(|folder| folder.as_str().to_owned());
        let asked = Asked { root, now, files: files.collect(), only: open.clone() };
        let (outcomes, end) = ask(&asked, &limits)?;
        open.retain(|index| !outcomes.contains_key(index));
        for (index, outcome) in &outcomes {
            told.extend(
                failure(&all[*index], outcome)
                    .map(|failure| located(&all[*index], failure, &definitions, found)),
            );
        }
        let Some(Death { during, cause }) = end else { break };
        let Some(during) = during else {
            bail!("a process that tries what is derived {cause} before it began")
        };
        told.push(located(&all[during], death(&all[during], &cause), &definitions, found));
        open.retain(|index| *index != during);
    }
    Ok(told)
}

fn located(trial: &Trial, diagnostic: Diagnostic, definitions: &Definitions, found: &Whole) -> Diagnostic {
    Diagnostic { place: trial.place(definitions, &found.files), ..diagnostic }
}

fn unknown(trial: &Trial, definitions: &Definitions, found: &Whole) -> Vec<Diagnostic> {
    let one = |(asked, help): (String, Option<String>)| {
        let message = format!("{} asks for `.{asked}`, which no entity has", trial.name());
        let diagnostic =
            Diagnostic { help, ..Diagnostic::warning("unknown-property", Place::file(""), message) };
        located(trial, diagnostic, definitions, found)
    };
    trial.unknown(definitions).into_iter().map(one).collect()
}

fn failure(trial: &Trial, outcome: &Outcome) -> Option<Diagnostic> {
    let (first, why) = outcome.first.as_ref()?;
    let Outcome { entities, failed, .. } = outcome;
    let message =
        format!("{} has no value for {failed} of {entities} entities: {why}, in `{first}`", trial.name());
    let nowhere = Place::file("");
    let diagnostic = Diagnostic::warning("expression-fails", nowhere, message);
    let help = match why.starts_with(OTHER_KIND) {
        true => "give it the `type` that it makes, or make another with `tostring` or `tonumber`",
        false => "say what they get instead, such as `(.properties.cost // 0)`; the catalog is valid without",
    };
    Some(diagnostic.help(help))
}

fn death(trial: &Trial, cause: &str) -> Diagnostic {
    let message = format!("{} does not come to its end over all entities: it {cause}", trial.name());
    let nowhere = Place::file("");
    Diagnostic::error("expression-too-costly", nowhere, message)
        .help("go over fewer things at a time (`select` before `map`, no list over a list), or divide it")
}

/// What a process is given.
struct Limits {
    seconds: u64,
    memory: u64,
}

impl Limits {
    fn of(found: &Whole, trials: usize) -> Self {
        let steps = found.files.len().saturating_mul(trials + 1) / A_SECOND;
        let bytes: usize = found.files.values().map(|bytes| bytes.len()).sum();
        let as_u64 = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        Self {
            seconds: SECONDS.saturating_add(as_u64(steps)),
            memory: MEMORY.saturating_add(as_u64(bytes).saturating_mul(PER_BYTE)),
        }
    }
}

/// How a process came to its end too early.
struct Death {
    during: Option<usize>,
    cause: String,
}

fn ask(asked: &Asked, limits: &Limits) -> anyhow::Result<(BTreeMap<usize, Outcome>, Option<Death>)> {
    let mut child = start(limits).context("cannot start this program again to try what is derived")?;
    let mut input = child.stdin.take().context("it has no input")?;
    let printed = BufReader::new(child.stdout.take().context("it has no output")?);
    let text = serde_json::to_vec(asked)?;
    // It may die while it is told, and say much meanwhile: neither waits for the other.
    let writer = std::thread::spawn(move || drop(input.write_all(&text)));
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in printed.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut outcomes = BTreeMap::new();
    let mut during = None;
    let mut late = false;
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => match serde_json::from_str(&line)? {
                Said::Begins(index) => during = Some(index),
                Said::Ended(index, outcome) => {
                    during = None;
                    outcomes.insert(index, outcome);
                }
            },
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                late = true;
                child.kill().context("cannot end a process that takes too long")?;
                break;
            }
        }
    }
    let status = child.wait()?;
    let joined = writer.join().and(reader.join());
    if joined.is_err() {
        bail!("talking to the process that tries what is derived failed");
    }
    let death = (late || !status.success()).then(|| Death { during, cause: cause(status, late, limits) });
    Ok((outcomes, death))
}

#[expect(
    clippy::disallowed_methods,
    reason = "this program is started again, and is given nothing of our environment"
)]
fn start(limits: &Limits) -> std::io::Result<Child> {
    /// KiB: what is put by counts as memory, and else that would be as much as is allowed.
    const PUT_BY: &str = "65536";
    Command::new(std::env::current_exe()?)
        .args(["try-out", "--seconds", &limits.seconds.to_string(), "--memory", &limits.memory.to_string()])
        .env_clear()
        .env("MIMALLOC_ARENA_RESERVE", PUT_BY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

fn cause(status: ExitStatus, late: bool, limits: &Limits) -> String {
    /// The signals of a limit on computing, and of a program that gives up.
    const COMPUTED: [i32; 2] = [24, 9];
    const ABORTED: [i32; 2] = [6, 11];
    match status.signal() {
        _ if late => format!("took more than {} seconds", PATIENCE.as_secs()),
        Some(signal) if COMPUTED.contains(&signal) => {
            format!("computed for more than {} seconds", limits.seconds)
        }
        Some(signal) if ABORTED.contains(&signal) => {
            format!("needed more than {} MiB of memory", limits.memory >> 20)
        }
        _ => format!("ended with {status}"),
    }
}
