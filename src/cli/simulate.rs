//! `chandlery simulate`: what would come of a request? No forge is asked, and nothing is written.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr,
};

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use super::{
    config::clock,
    offline::{Offline, Past},
    output::{self, Format, plain},
    plan::{Asked, Copies, Target, refuse},
};
use crate::{
    catalog::{Definitions, report},
    cli,
    domain::{Diagnostic, Login, MergeMode, RepoPath, ReviewState, Timestamp},
    git::objects::Objects,
    plan::{
        Preview,
        build::Built,
        explain::{self, Account, Evidence, Of},
        preview,
    },
    reconcile::Reader,
};

/// Say what would come of a request, and what approvals would change; asks no forge, and writes nothing
///
/// The request is planned and judged by what decides on the forge: who may ask, what each policy says, who must
/// approve. Whoever is not known to have no access is taken to have it; what was taken for granted is told.
///
/// Exit codes: 0 it would go through, 1 it is refused or waits for somebody, 2 wrong usage, 3 something could not be
/// read.
#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The request file
    #[arg(value_name = "REQUEST.YAML")]
    path: PathBuf,
    /// Who asks
    #[arg(long = "as", value_name = "LOGIN")]
    requester: Login,
    /// Ask the catalog at this commit instead of the files on disk: a branch, a tag, an object id, or a day
    #[arg(long, value_name = "REV|DATE")]
    at: Option<String>,
    /// What somebody says then: "LOGIN approves" or "LOGIN requests changes"; may be given several times
    #[arg(long = "if", value_name = "WHAT")]
    said: Vec<Said>,
    /// When it happens, instead of now
    #[arg(long, value_name = "TIME")]
    time: Option<Timestamp>,
    /// A local repository that stands for one on the forge, read at its HEAD; may be given several times
    #[arg(long = "target", value_name = "OWNER/NAME=FOLDER")]
    targets: Vec<Target>,
    /// The folder of the repository that holds the catalog
    #[arg(long, value_name = "FOLDER")]
    root: Option<RepoPath>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What a reviewer says.
#[derive(Debug, Clone)]
struct Said(Login, ReviewState);

impl FromStr for Said {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let forms = "write \"LOGIN approves\" or \"LOGIN requests changes\"";
        let words: Vec<&str> = text.split_whitespace().collect();
        let (login, state) = match words[..] {
            [login, "approves"] => (login, ReviewState::Approved),
            [login, "requests", "changes"] => (login, ReviewState::ChangesRequested),
            _ => return Err(forms.to_owned()),
        };
        Ok(Self(login.parse().map_err(|error| format!("{error}; {forms}"))?, state))
    }
}

/// What would come of it.
struct Simulated {
    title: String,
    /// Why the requester may ask, as far as that was reached.
    may: Option<String>,
    refusals: Vec<Diagnostic>,
    account: Option<Account>,
    end: End,
    assumed: Vec<String>,
}

enum End {
    Refused(Vec<String>),
    Waits(Vec<String>),
    /// Who would merge it, and what is done then.
    Goes(&'static str, Vec<String>),
}

impl End {
    fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Waits(_) => "waits",
            Self::Goes(..) => "goesThrough",
        }
    }
}

/// Runs the command.
///
/// # Errors
/// When something cannot be read.
pub fn run(args: &SimulateArgs) -> anyhow::Result<ExitCode> {
    let asked = match Asked::read(&args.path, args.root.as_ref())? {
        Ok(asked) => asked,
        Err(mistakes) => return refuse(&mistakes.problems, &mistakes.files),
    };
    let now = args.time.unwrap_or_else(|| Timestamp::from_seconds(clock()));
    let mut past = past(&asked.top, &asked.root, args.at.as_deref())?;
    let of_commit = match (&args.at, &mut past) {
        (Some(rev), Some(past)) => Some(past.definitions(past.commit, rev)?),
        (Some(_), None) => bail!("`{}` is not in a Git repository", asked.top.display()),
        (None, _) => None,
    };
    let (definitions, files) = match &of_commit {
        Some(definitions) => (&**definitions, None),
        None => (&asked.definitions, Some(&asked.files)),
    };
    let world = Offline::new(definitions, files, past, Copies::open(&args.targets)?, now)?;
    let simulated = simulate(world, definitions, &asked, args)?;
    output::print(&match args.format {
        Format::Text => plain(&text(&simulated, &args.requester, &asked)),
        Format::Json => format!("{:#}\n", as_json(&simulated, &args.requester, &asked)),
    })?;
    Ok(ExitCode::from(match simulated.end {
        End::Goes(..) => cli::CLEAN,
        End::Refused(_) | End::Waits(_) => cli::PROBLEMS,
    }))
}

/// The history of the repository at `top`; none where there is no repository, or nothing in it.
fn past(top: &Path, root: &crate::catalog::Root, rev: Option<&str>) -> anyhow::Result<Option<Past>> {
    let Ok(objects) = Objects::open(top) else { return Ok(None) };
    let commit = match objects.commit_named(rev.unwrap_or("HEAD"), Timestamp::from_seconds(clock())) {
        Ok(commit) => commit,
        Err(_) if rev.is_none() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Past { objects, reader: Reader::new(root.clone()), commit }))
}

fn simulate(
    mut world: Offline<'_>,
    definitions: &Definitions,
    asked: &Asked,
    args: &SimulateArgs,
) -> anyhow::Result<Simulated> {
    let requester = &args.requester;
    let catalog = world.catalog();
    let plan = |world: &mut Offline<'_>, definitions: &Definitions| {
        world.until(&mut |facts| {
            let Asked { id, path, bytes, .. } = asked;
            match preview(definitions, facts, catalog, id, path, bytes, Some(requester)) {
                Preview::Ask(questions) => Err(questions),
                Preview::Planned(built) => Ok(Ok(built)),
                Preview::Wrong(problems) => Ok(Err(problems)),
            }
        })
    };
    let (built, refusals): (Option<Box<Built>>, Vec<Diagnostic>) = match plan(&mut world, definitions)? {
        Ok(built) => (Some(built), Vec::new()),
        // What the policies say is told all the same, of what would be done without them.
        Err(refusals) => {
            let mut without = definitions.clone();
            without.policies.clear();
            without.broken_policies.clear();
            (plan(&mut world, &without)?.ok(), refusals)
        }
    };
    let title = |built: &Built| {
        let action = &built.plan.asked.action;
        let defined = definitions.actions.get(action);
        defined.map_or_else(|| action.to_string(), |defined| defined.value.title.clone())
    };
    let mut simulated = Simulated {
        title: built.as_ref().map_or_else(|| "A request".to_owned(), |built| title(built)),
        may: None,
        account: None,
        end: End::Refused(refusals.iter().map(|refusal| refusal.message.clone()).collect()),
        refusals,
        assumed: Vec::new(),
    };
    if let Some(built) = &built {
        let people = BTreeSet::from([requester.clone()]);
        let said: Vec<_> = args.said.iter().map(|Said(login, state)| (login.clone(), *state)).collect();
        let now = world.now;
        let evidence = Evidence::made_up(&world.here, &built.plan, &people, now, None, &said);
        let of = Of { plan: &built.plan, people: &people, evidence: &evidence, is_merged: false };
        let may = world
            .until(&mut |facts| explain::may_ask(definitions, facts, catalog, &built.plan, requester))?;
        simulated.may = may.ok();
        let account = world.until(&mut |facts| explain::account(definitions, facts, catalog, &of))?;
        match account {
            Ok(account) if simulated.refusals.is_empty() => {
                simulated.end = end(definitions, built, &account);
                simulated.account = Some(account);
            }
            // Without what the policies add the rules are not those of the request.
            Ok(account) => {
                simulated.account =
                    Some(Account { rules: Vec::new(), approved: false, missing: None, ..account });
            }
            Err(problems) => simulated.refusals.extend(problems),
        }
    }
    simulated.assumed = world.assumed();
    Ok(simulated)
}

fn end(definitions: &Definitions, built: &Built, account: &Account) -> End {
    if built.is_noop() {
        return End::Refused(vec!["nothing would change: it is as asked already".to_owned()]);
    }
    let mut waits: Vec<String> = account.missing.iter().cloned().collect();
    waits.extend(account.frozen.iter().cloned());
    if !waits.is_empty() {
        return End::Waits(waits);
    }
    let action = definitions.actions.get(&built.plan.asked.action);
    let by = match action.map(|action| action.value.merge) {
        Some(MergeMode::Auto) => "by Chandlery",
        _ => "by anybody with write access",
    };
    End::Goes(by, explain::deeds(&built.plan))
}

fn text(simulated: &Simulated, requester: &Login, asked: &Asked) -> String {
    let mut text = format!("{} (request {}), asked by `{requester}`\n", simulated.title, asked.id);
    if let Some(why) = &simulated.may {
        let _ = writeln!(text, "`{requester}` may ask: {why}");
    }
    if let Some(account) = &simulated.account {
        text.push_str(&super::explain::in_words(account));
    }
    if !simulated.refusals.is_empty() {
        let source = |path: &str| asked.files.get(&path.parse().ok()?).cloned();
        text.push_str(&report::text(&simulated.refusals, &source));
    }
    for what in &simulated.assumed {
        let _ = writeln!(text, "Assumed: {what}.");
    }
    let _ = match &simulated.end {
        End::Refused(why) => writeln!(text, "=> refused: {}", why.join("; ")),
        End::Waits(what) => writeln!(text, "=> would wait for: {}", what.join("; ")),
        End::Goes(by, deeds) => writeln!(text, "=> would be merged ({by}) and: {}", deeds.join(", ")),
    };
    text
}

fn as_json(simulated: &Simulated, requester: &Login, asked: &Asked) -> Value {
    let refusals = simulated
        .refusals
        .iter()
        .map(|refusal| json!({ "code": refusal.code.0, "message": refusal.message, "help": refusal.help }));
    let (merged_by, deeds, waits) = match &simulated.end {
        End::Refused(_) => (None, &[][..], &[][..]),
        End::Waits(what) => (None, &[][..], &what[..]),
        End::Goes(by, deeds) => (Some(*by), &deeds[..], &[][..]),
    };
    json!({
        "request": asked.id,
        "requester": requester,
        "end": simulated.end.word(),
        "mayAsk": simulated.may,
        "refusals": refusals.collect::<Vec<_>>(),
        "waitsFor": waits,
        "merged": merged_by,
        "does": deeds,
        "account": simulated.account,
        "assumed": simulated.assumed,
    })
}
