//! `chandlery verify`: does the history of a catalog follow from what it says?

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{
    config::clock,
    history::{Clone, Line},
    output::{self, Format, plain},
    rounds,
};
use crate::{
    cli,
    domain::{ObjectId, Timestamp, counted},
    git::objects::ReadError,
    plan::{
        audit::{self, Finding, Kind, Landed, Ledger, Signature, Weight},
        build::Site,
        facts::{Answer, Facts, Here, Looker, Pending, Question},
    },
    reconcile::Reader,
};

/// What Git alone cannot say.
const UNSEEN: &str = "what the branch was before it was forced elsewhere: keep the last commit you verified, and verify from it";
const UNKNOWN: &str =
    "who was in which team of the forge, and whether reviews were given: the forge's own log tells that";
const UNSIGNED: &str = "signatures: name the keys of Chandlery with --signer FILE";

/// Recompute the history of a catalog, and name the first commit that does not follow
///
/// For each commit that touches requests or entities: its trailers against the records, the records against the
/// requests and their plans, the plans against their keys and what they are pinned to, the entities against the plans.
/// What people changed round Chandlery is listed. Everything is read from the local clone.
///
/// Exit codes: 0 everything follows, 1 something does not, 2 wrong usage, 3 the history could not be read.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The commits to verify, as A..B or up to B; A itself is taken as good [default: all up to HEAD]
    #[arg(value_name = "RANGE", default_value = "HEAD", hide_default_value = true)]
    range: String,
    #[command(flatten)]
    clone: Clone,
    /// Who signs Chandlery's commits: a file of allowed signers, as ssh-keygen and git read it
    #[arg(long, value_name = "FILE")]
    signer: Option<PathBuf>,
    /// Count entities that were changed round Chandlery as faults
    #[arg(long)]
    strict: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What came of it.
struct Verified {
    /// The commits that were held against what was before them.
    commits: usize,
    requests: usize,
    ended: usize,
    /// In the order of the history.
    findings: Vec<(Finding, Option<Landed>)>,
    unchecked: Vec<&'static str>,
}

/// Runs the command.
///
/// # Errors
/// When the history cannot be read.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    if let Some(signers) = args.signer.as_ref().filter(|file| !file.is_file()) {
        bail!("there is no file `{}`", signers.display());
    }
    let (from, to) = match args.range.split_once("..") {
        Some((from, to)) => (Some(from), if to.is_empty() { "HEAD" } else { to }),
        None => (None, args.range.as_str()),
    };
    let line = args.clone.line(to)?;
    let from =
        from.map(|rev| line.objects.commit_named(rev, Timestamp::from_seconds(clock()))).transpose()?;
    let verified = verify(&line, from, args)?;
    let is_fault = |finding: &Finding| match finding.kind.weight() {
        Weight::Fault => true,
        Weight::Hand => args.strict,
        Weight::Note => false,
    };
    let first = verified.findings.iter().find(|(finding, _)| is_fault(finding)).map(|(finding, _)| finding);
    output::print(&match args.format {
        Format::Text => text(&verified, first),
        Format::Json => format!("{:#}\n", as_json(&verified, first)),
    })?;
    Ok(ExitCode::from(if first.is_none() { cli::CLEAN } else { cli::PROBLEMS }))
}

fn verify(line: &Line, from: Option<ObjectId>, args: &VerifyArgs) -> anyhow::Result<Verified> {
    let mut verified = Verified {
        commits: 0,
        requests: 0,
        ended: 0,
        findings: Vec::new(),
        unchecked: args.signer.is_none().then_some(UNSIGNED).into_iter().chain([UNSEEN, UNKNOWN]).collect(),
    };
    let start = match from {
        None => 0,
        Some(from) => match line.all.iter().position(|commit| *commit == from) {
            Some(at) => at + 1,
            None => {
                let message = format!(
                    "{} does not lead to {}: the branch was forced elsewhere since",
                    from.short(),
                    line.all.last().map_or_else(String::new, ObjectId::short)
                );
                let (kind, request, files) = (Kind::Rewritten, None, Vec::new());
                verified.findings.push((Finding { commit: from, kind, message, request, files }, None));
                0
            }
        },
    };
    let range: BTreeSet<ObjectId> = line.all[start..].iter().copied().collect();
    let mut ledger = Ledger::new(&line.all);
    let mut reader = Reader::new(line.root.clone());
    let mut found = Vec::new();
    for landed in &line.landed {
        let is_asked = range.contains(&landed.commit);
        let mut landed = landed.clone();
        if let Some(signers) = args.signer.as_ref().filter(|_| is_asked)
            && landed.records(&line.settings.folders).any(|(_, _, entry)| entry.after.is_some())
        {
            let signed = line.objects.signature(landed.merged.unwrap_or(landed.commit), signers);
            landed.signature = match (signed, landed.merged) {
                // What a forge signs is the merge itself.
                (Signature::Bad(why), Some(_)) => match line.objects.signature(landed.commit, signers) {
                    Signature::Good => Signature::Good,
                    Signature::Bad(_) | Signature::NotAsked => Signature::Bad(why),
                },
                (signed, _) => signed,
            };
        }
        let findings = examined(line, &mut reader, &ledger, &landed)?.enter(&mut ledger);
        verified.commits += usize::from(is_asked);
        found.extend(findings);
    }
    found.extend(ledger.doubts().cloned());
    let place = |commit: ObjectId| line.all.iter().position(|known| *known == commit);
    let mut found: Vec<(Option<usize>, Finding)> =
        found.into_iter().map(|finding| (place(finding.commit), finding)).collect();
    found.retain(|(_, finding)| range.contains(&finding.commit));
    found.sort_by_key(|(place, _)| *place);
    let landed = |commit| line.landed.iter().find(|landed| landed.commit == commit).cloned();
    verified.findings.extend(found.into_iter().map(|(_, finding)| (finding.clone(), landed(finding.commit))));
    (verified.requests, verified.ended) = ledger.counts();
    Ok(verified)
}

/// Holds one commit against its parent, answering from the clone what that needs.
fn examined(
    line: &Line,
    reader: &mut Reader,
    ledger: &Ledger,
    landed: &Landed,
) -> anyhow::Result<audit::Examined> {
    let before = landed.parent.unwrap_or(landed.commit);
    let definitions = reader.answer(&line.objects, vec![Question::Definitions(before)]).pop();
    let definitions = match definitions.map(|(_, answer)| answer) {
        Some(Ok(Answer::Definitions(Ok(definitions)))) => definitions,
        Some(Err(error)) => return Err(error.into()),
        // Settings with mistakes: nothing is recorded on top of such a commit, so those of the newest will do.
        _ => {
            match line.all.last().map(|head| reader.answer(&line.objects, vec![Question::Definitions(*head)]))
            {
                Some(mut answers) => match answers.pop() {
                    Some((_, Ok(Answer::Definitions(Ok(definitions))))) => definitions,
                    _ => bail!("the definitions of {} cannot be read", before.short()),
                },
                None => bail!("there are no commits"),
            }
        }
    };
    let here =
        Here { catalog: "local/catalog".parse()?, branch: "main".parse()?, me: "chandlery[bot]".parse()? };
    let mut facts = Facts::default();
    let mut examine = |facts: &Facts| {
        let look = Looker::new(facts);
        let site = Site::new(&look, &here, &definitions, before);
        audit::examine(&site, &line.settings.folders, ledger, landed).map_err(|Pending| look.missing())
    };
    let mut answer = |questions: &BTreeSet<Question>| {
        let answers = reader.answer(&line.objects, questions.iter().cloned().collect());
        let known = |(question, answer): (Question, Result<Answer, _>)| {
            let unknown = |error: ReadError| Answer::Unknown(Arc::from(error.to_string()));
            (question, answer.unwrap_or_else(unknown))
        };
        Ok(answers.into_iter().map(known).collect())
    };
    rounds::until(&mut facts, &mut examine, &mut answer)
        .with_context(|| format!("cannot examine {}", landed.commit))
}

fn text(verified: &Verified, first: Option<&Finding>) -> String {
    let mut text = String::new();
    for (finding, landed) in &verified.findings {
        let word = match finding.kind.weight() {
            Weight::Fault => "error",
            Weight::Hand => "by hand",
            Weight::Note => "note",
        };
        let when =
            landed.as_ref().map_or_else(String::new, |landed| format!(" ({}, {})", landed.at, landed.author));
        let _ = writeln!(
            text,
            "{word}[{}]: {}{}\n  {}",
            finding.kind.name(),
            finding.commit.short(),
            plain(&when).replace('\n', " "),
            plain(&finding.message).replace('\n', " ")
        );
    }
    let Verified { commits, requests, ended, .. } = verified;
    let commits = counted(*commits, "commit", "commits");
    let requests = counted(*requests, "request", "requests");
    let _ = writeln!(text, "{commits} looked at; {requests}, {ended} of them with a recorded end");
    for what in &verified.unchecked {
        let _ = writeln!(text, "not checked: {what}");
    }
    let _ = match first {
        None => writeln!(text, "every commit follows from what was before it"),
        Some(finding) => writeln!(text, "the first commit that does not follow: {}", finding.commit),
    };
    text
}

fn as_json(verified: &Verified, first: Option<&Finding>) -> Value {
    let findings = verified.findings.iter().map(|(finding, landed)| {
        json!({
            "commit": finding.commit.to_string(),
            "kind": finding.kind.name(),
            "weight": match finding.kind.weight() {
                Weight::Fault => "error",
                Weight::Hand => "byHand",
                Weight::Note => "note",
            },
            "message": finding.message,
            "request": finding.request,
            "files": finding.files,
            "at": landed.as_ref().map(|landed| landed.at),
            "author": landed.as_ref().map(|landed| &landed.author),
        })
    });
    json!({
        "follows": first.is_none(),
        "first": first.map(|finding| finding.commit.to_string()),
        "commits": verified.commits,
        "requests": verified.requests,
        "ended": verified.ended,
        "findings": findings.collect::<Vec<_>>(),
        "notChecked": verified.unchecked,
    })
}
