//! `chandlery explain`: why does a request stand as it does, or why did it come out so?

use std::{collections::BTreeSet, fmt::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};

use super::{
    config::ForgeSettings,
    history::{Clone, Line},
    misuse::misuse,
    offline::{Offline, Past},
    output::{self, Format, plain},
    plan::Copies,
    rounds,
};
use crate::{
    catalog::report,
    cli,
    domain::{Diagnostic, Login, ObjectId, RepoPath, RequestId, ReviewState, Run, Timestamp, nearest},
    plan::{
        explain::{self, Account, Evidence, Of, Opened, Verdict},
        facts::{Answer, Facts, Question},
        plan_file::{self, Plan},
    },
    reconcile::{Hands, Reader, Settings},
};

/// What only the forge can say.
const UNSEEN: &str = "when each review was given, who had write access, and who approved an exception from a freeze: the forge's own log tells that; that the approvals counted is what the record says";

/// Say why a request stands or came out as it did: each policy, each rule, and who counts for it
///
/// Of a merged request everything is read from the local clone: the request, its plan and its record at HEAD, the teams
/// and policies as of the commit that merged it. An open one is judged with what the forge knows of its pull request
/// now, as `chandlery reconcile` does, and so is one that HEAD holds without a record, where a forge is named; nothing
/// is written.
///
/// Exit codes: 0 explained, 2 wrong usage, 3 the history could not be read, or only a forge
/// that was not named knows of it.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The request
    #[arg(value_name = "REQUEST")]
    id: RequestId,
    /// The folder of the catalog, in a clone of its repository
    #[arg(long, value_name = "DIR", default_value = ".")]
    catalog: PathBuf,
    #[command(flatten)]
    forge: ForgeSettings,
    /// Tell of this person, too: whether they could have asked for it, or approved it
    #[arg(long = "as", value_name = "LOGIN")]
    login: Option<Login>,
    /// Judge as of this moment instead of the merge, or, of an open request, instead of now: what was said later does not count
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// What Git says of a request.
struct Recorded {
    /// The commit that brought it to the default branch, and when.
    merge: ObjectId,
    merged_at: Timestamp,
    plan: Option<Arc<Plan>>,
    run: Option<Run>,
    trailer: Option<String>,
}

/// Somebody in particular.
struct About {
    login: Login,
    /// Why they could have asked, or why not.
    asks: Result<String, Vec<Diagnostic>>,
    /// By rule: nothing if their approval would have counted.
    rules: Vec<(String, Option<String>)>,
}

/// Runs the command.
///
/// # Errors
/// When there is no such request, or the history cannot be read.
pub fn run(args: &ExplainArgs) -> anyhow::Result<ExitCode> {
    let line = Clone::at(args.catalog.clone(), args.forge.root.clone()).line("HEAD")?;
    let Some(recorded) = read(&line, &args.id)? else { return open(args, &line) };
    // What has no record may stand on the branch that asks for it, and nowhere else.
    let mut taken = Vec::new();
    if recorded.run.is_none() {
        match args.forge.settings() {
            Ok(settings) => {
                if let Some(opened) = look(args, settings)? {
                    return tell(args, &opened);
                }
            }
            Err(_) => {
                taken.push(format!("`{}` was merged, since HEAD holds it; no forge was asked", args.id));
            }
        }
    }
    let Line { objects, root, .. } = line;
    let mut past = Past { objects, reader: Reader::new(root), commit: recorded.merge };
    let definitions = past.definitions(recorded.merge, &recorded.merge.short())?;
    let now = args.at.unwrap_or(recorded.merged_at);
    let mut world = Offline::new(&definitions, None, Some(past), Copies::default(), now)?;
    let (mut account, mut about) = (None, None);
    if let Some(plan) = &recorded.plan {
        let run = recorded.run.as_ref();
        let people: BTreeSet<Login> = run.iter().flat_map(|run| run.requesters.iter().cloned()).collect();
        let approved: Vec<Login> = run.iter().flat_map(|run| run.approved_by.iter().cloned()).collect();
        let judged = |world: &mut Offline<'_>, approved: &[Login]| {
            let said: Vec<_> = approved.iter().map(|login| (login.clone(), ReviewState::Approved)).collect();
            let until = recorded.merged_at;
            let evidence = Evidence::made_up(&world.here, plan, &people, until, Some(until), &said);
            // At another moment it is as if it were asked then.
            let of = Of { plan, people: &people, evidence: &evidence, is_merged: args.at.is_none() };
            let found =
                world.until(&mut |facts| explain::account(&definitions, facts, recorded.merge, &of))?;
            found.map_err(|problems| anyhow::anyhow!("{}", first(&problems)))
        };
        account = Some(judged(&mut world, &approved)?);
        if let Some(login) = &args.login {
            let asks = world
                .until(&mut |facts| explain::may_ask(&definitions, facts, recorded.merge, plan, login))?;
            let with: Vec<Login> = approved.iter().chain([login]).cloned().collect();
            let rules = judged(&mut world, &with)?.rules.into_iter();
            let of = |rule: explain::RuleTold| {
                let person = rule.people.into_iter().find(|person| person.login == *login);
                (rule.name, person.and_then(|person| person.void))
            };
            about = Some(About { login: login.clone(), asks, rules: rules.map(of).collect() });
        }
    }
    taken.extend(world.assumed());
    let assumed = taken;
    output::print(&match args.format {
        Format::Text => plain(&text(&args.id, &recorded, account.as_ref(), about.as_ref(), &assumed)),
        Format::Json => {
            format!("{:#}\n", as_json(&args.id, &recorded, account.as_ref(), about.as_ref(), &assumed))
        }
    })?;
    Ok(ExitCode::from(cli::CLEAN))
}

fn first(problems: &[Diagnostic]) -> &str {
    problems.first().map_or("the definitions cannot be read", |problem| &problem.message)
}

/// Explains a request that was not merged.
fn open(args: &ExplainArgs, line: &Line) -> anyhow::Result<ExitCode> {
    let folder = &line.settings.folders.requests;
    let request = |path: &RepoPath| Some(path.under(folder)?.strip_suffix("/request.yaml")?.to_owned());
    let known: BTreeSet<String> =
        line.landed.iter().flat_map(|landed| landed.changes.keys()).filter_map(request).collect();
    let near = nearest(args.id.as_str(), known.iter().map(String::as_str));
    let meant = near.map(|near| format!(" (did you mean `{near}`?)")).unwrap_or_default();
    let unmerged = format!("`{}` was never merged, as far as this clone knows{meant}", args.id);
    let settings = match args.forge.settings() {
        Ok(settings) => settings,
        Err(why) => bail!(
            "{unmerged}; how an open request stands, and who reviewed it, only the forge knows: {why:#}"
        ),
    };
    match look(args, settings)? {
        Some(opened) => tell(args, &opened),
        None => Err(misuse(format!("{unmerged}, and no open pull request brings it"))),
    }
}

fn tell(args: &ExplainArgs, opened: &Opened) -> anyhow::Result<ExitCode> {
    output::print(&match args.format {
        Format::Text => plain(&of_open(args, opened)),
        Format::Json => format!("{:#}\n", open_as_json(args, opened)),
    })?;
    Ok(ExitCode::from(cli::CLEAN))
}

/// Asks the forge for an open request; the questions are those of a pass of `reconcile`. With somebody else's token it is
/// seen as by the account that planned it.
fn look(args: &ExplainArgs, mut settings: Settings) -> anyhow::Result<Option<Opened>> {
    let opened = look_once(args, settings.clone())?;
    let Some(planner) = opened.as_ref().and_then(|opened| opened.planned_by.clone()) else {
        return Ok(opened);
    };
    settings.manners.seen_as = Some(planner.clone());
    let seen = look_once(args, settings)?;
    Ok(seen.map(|opened| Opened { planned_by: Some(planner), ..opened }))
}

fn look_once(args: &ExplainArgs, settings: Settings) -> anyhow::Result<Option<Opened>> {
    let runtime = cli::runtime()?;
    let mut hands = runtime.block_on(async { Hands::new(settings) })?;
    let mut facts = Facts::default();
    let mut one = |facts: &mut Facts, question: Question| {
        for (question, answer) in runtime.block_on(hands.look(&[question.clone()].into())) {
            facts.insert(question, answer);
        }
        match facts.get(&question) {
            Some(Answer::Unknown(why)) => bail!("{why}"),
            Some(answer) => Ok(answer.clone()),
            None => bail!("the forge did not answer"),
        }
    };
    let Answer::Here(here) = one(&mut facts, Question::Here)? else {
        bail!("the forge did not say who we are")
    };
    let head = Question::Head(here.catalog.clone(), here.branch.clone());
    let Answer::Head(Some(commit)) = one(&mut facts, head)? else {
        bail!("`{}` has no branch `{}`", here.catalog, here.branch);
    };
    let Answer::Definitions(Ok(definitions)) = one(&mut facts, Question::Definitions(commit))? else {
        bail!("`{}` holds no catalog that can be read: run `chandlery validate`", here.catalog);
    };
    let opened = rounds::until(
        &mut facts,
        &mut |facts| explain::open(&definitions, facts, commit, &args.id, args.login.as_ref(), args.at),
        &mut |questions| Ok(runtime.block_on(hands.look(questions))),
    )?;
    opened.map_err(|why| anyhow::anyhow!(why))
}

/// An open request, for people.
fn of_open(args: &ExplainArgs, opened: &Opened) -> String {
    let mut text = format!("{}: open, {}\n  asked by {}\n", args.id, opened.pull.url, names(&opened.people));
    if let Some(planner) = &opened.planned_by {
        let _ = writeln!(text, "  as seen by {planner}, who planned it; this token is somebody else's");
    }
    if let Some(at) = args.at {
        let _ =
            writeln!(text, "  as of {at}: the time, and what was said until then; the rest is as it is now");
    }
    if let Err(problems) = &*opened.plan {
        text.push_str("  it cannot be planned:\n");
        text.push_str(&report::text(problems, &|_| None));
    }
    if let Some(account) = &opened.account {
        text.push_str(&in_words(account));
    }
    if let (Some(login), Some(asks)) = (&args.login, &opened.asks) {
        let _ = match asks {
            Ok(why) => writeln!(text, "{login} may ask for it: {why}"),
            Err(problems) => writeln!(text, "{login} may not ask for it: {}", first(problems)),
        };
        text.push_str(&approves(login, &opened.approves));
    }
    let waits = opened.account.iter().flat_map(|account| account.missing.iter().chain(&account.frozen));
    let waits: Vec<&str> = waits.map(String::as_str).collect();
    let _ = match (&*opened.plan, &waits[..]) {
        (Err(_), _) => writeln!(text, "=> waits to be mended"),
        (Ok(built), _) if built.is_noop() => writeln!(text, "=> nothing would change"),
        (Ok(_), []) => writeln!(text, "=> may be merged"),
        (Ok(_), waits) => writeln!(text, "=> waits for: {}", waits.join("; ")),
    };
    text
}

fn open_as_json(args: &ExplainArgs, opened: &Opened) -> Value {
    let problems = Result::as_ref(&opened.plan).err().into_iter().flatten();
    let asks = opened.asks.as_ref().map(|asks| match asks {
        Ok(why) => {
            json!({ "login": args.login, "asks": true, "why": why, "rules": of_rules(&opened.approves) })
        }
        Err(problems) => json!({
            "login": args.login, "asks": false, "why": first(problems), "rules": of_rules(&opened.approves),
        }),
    });
    json!({
        "request": args.id,
        "pullRequest": opened.pull.url,
        "requesters": opened.people,
        "at": args.at,
        "plan": Result::as_ref(&opened.plan).ok().map(|built| &built.plan.key),
        "problems": problems.map(|one| json!({ "code": one.code.0, "message": one.message })).collect::<Vec<_>>(),
        "account": opened.account,
        "about": asks,
        "seenAs": opened.planned_by,
    })
}

/// What lies in Git of a request; nothing where it was never merged.
fn read(line: &Line, id: &RequestId) -> anyhow::Result<Option<Recorded>> {
    let folder = &line.settings.folders.requests;
    let head = *line.all.last().context("there are no commits")?;
    let path = |name: &str| folder.join(&format!("{id}/{name}"));
    let request = path("request.yaml")?;
    let brought = line
        .landed
        .iter()
        .find(|landed| landed.changes.get(&request).is_some_and(|entry| entry.before.is_none()));
    let Some(brought) = brought else { return Ok(None) };
    let record = path("run.yaml")?;
    let run = match line.objects.file(head, &record)? {
        Some(file) => {
            Some(plan_file::read_run(&file.bytes).with_context(|| format!("`{record}` cannot be read"))?)
        }
        None => None,
    };
    let plan = match line.objects.file(brought.commit, &path("plan.yaml")?)? {
        Some(file) => Some(plan_file::read_plan(&file).with_context(|| format!("the plan of `{id}`"))?),
        None => None,
    };
    let merged_at = run.as_ref().and_then(|run| run.merged_at).unwrap_or(brought.at);
    let trailer = line.landed.iter().find_map(|landed| explain::trailer(&landed.messages, id));
    let (merge, trailer) = (brought.commit, trailer);
    Ok(Some(Recorded { merge, merged_at, plan, run, trailer }))
}

/// Policies, rules and freezes, for people.
pub(super) fn in_words(account: &Account) -> String {
    let mut text = String::new();
    if !account.policies.is_empty() {
        text.push_str("\nPolicies\n");
    }
    for told in &account.policies {
        let says = told.says.join("; ");
        let colon = if says.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "  {} {}{colon}{says}", told.policy, told.verdict.in_words());
    }
    let is_refused = account.policies.iter().any(|told| told.verdict == Verdict::Refuses);
    if !account.rules.is_empty() {
        text.push_str("\nWho must approve\n");
    } else if account.approved && !is_refused {
        text.push_str("\nNobody must approve: the action needs no approval\n");
    }
    for rule in &account.rules {
        let unknown = rule.named.iter().any(|group| group.unknown.is_some());
        let mark = match rule.holds {
            true => "holds",
            false if unknown => "not known",
            false => "does not hold",
        };
        let _ = writeln!(text, "  {} [{mark}]", rule.says);
        for group in &rule.named {
            let people = match &group.unknown {
                Some(why) => format!("not known: {why}"),
                None => names(&group.people),
            };
            let _ = writeln!(text, "    {}: {people}", group.group);
        }
        match &rule.could {
            Some(_) if unknown => {}
            None => text.push_str("    anybody with write access could approve who took no part in it\n"),
            Some(people) => {
                let _ = writeln!(text, "    could approve: {}", names(people));
            }
        }
        for person in &rule.people {
            let _ = match &person.void {
                None => writeln!(text, "    {} counts", person.login),
                Some(why) => writeln!(text, "    {} does not count: {why}", person.login),
            };
        }
        match &rule.problem {
            Some(_) if unknown => {}
            Some(problem) => {
                let _ = writeln!(text, "    it cannot hold: {problem}");
            }
            None if rule.missing > 0 => {
                let _ = writeln!(text, "    {} missing", rule.missing);
            }
            None => {}
        }
    }
    for login in &account.refused_by {
        let _ = writeln!(text, "  {login} asks for changes");
    }
    for why in account.blocked.iter().chain(&account.frozen) {
        let _ = writeln!(text, "  {why}");
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// For which rules somebody could approve, and why not for the others.
fn approves(login: &Login, rules: &[(String, Option<String>)]) -> String {
    let mut text = String::new();
    for (rule, void) in rules {
        let _ = match void {
            None => writeln!(text, "{login} could approve for {rule}"),
            Some(why) => writeln!(text, "{login} could not approve for {rule}: {why}"),
        };
    }
    text
}

fn of_rules(rules: &[(String, Option<String>)]) -> Vec<Value> {
    rules.iter().map(|(rule, void)| json!({ "rule": rule, "void": void })).collect()
}

fn names(people: &BTreeSet<Login>) -> String {
    if people.is_empty() {
        return "nobody".to_owned();
    }
    people.iter().map(Login::as_str).collect::<Vec<_>>().join(", ")
}

fn text(
    id: &RequestId,
    recorded: &Recorded,
    account: Option<&Account>,
    about: Option<&About>,
    assumed: &[String],
) -> String {
    let Recorded { merge, merged_at, plan, run, trailer } = recorded;
    let mut text = format!("{id}: merged with {} at {merged_at}\n", merge.short());
    if let Some(plan) = plan {
        let _ = writeln!(text, "  it asks for {}", plan.asked.action);
    }
    match run {
        Some(run) => {
            let list = |people: &[Login]| names(&people.iter().cloned().collect());
            let _ = match (&run.pull_request, &run.requesters[..]) {
                (None, []) => writeln!(
                    text,
                    "  pushed straight to the default branch, so no pull request says who asked, and nobody could approve it"
                ),
                (Some(_), []) => {
                    writeln!(text, "  who asked is not known, approved by {}", list(&run.approved_by))
                }
                (_, people) => {
                    writeln!(text, "  asked by {}, approved by {}", list(people), list(&run.approved_by))
                }
            };
            let why = run.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            let stands = if run.status.is_end() { "it ended as" } else { "it has not ended:" };
            let _ = writeln!(text, "  {stands} {}{why}", run.status);
            if let Some(broken) = &run.break_glass {
                let _ = writeln!(text, "  carried out past the rules by {}: {}", broken.by, broken.reason);
            }
        }
        None => text.push_str("  it has no record yet, so who asked and who approved is not in Git\n"),
    }
    if let Some(trailer) = trailer {
        let _ = writeln!(text, "  {trailer}");
    }
    match account {
        Some(account) => text.push_str(&in_words(account)),
        None => {
            text.push_str("  it came without a plan, so there are no rules that it could be held against\n");
        }
    }
    if let Some(About { login, asks, rules }) = about {
        let _ = match asks {
            Ok(why) => writeln!(text, "{login} could have asked: {why}"),
            Err(problems) => writeln!(text, "{login} could not have asked: {}", first(problems)),
        };
        text.push_str(&approves(login, rules));
    }
    for what in assumed {
        let _ = writeln!(text, "Assumed: {what}.");
    }
    let _ = writeln!(text, "Not in Git: {UNSEEN}.");
    text
}

fn as_json(
    id: &RequestId,
    recorded: &Recorded,
    account: Option<&Account>,
    about: Option<&About>,
    assumed: &[String],
) -> Value {
    let Recorded { merge, merged_at, plan, run, trailer } = recorded;
    let about = about.map(|About { login, asks, rules }| {
        json!({
            "login": login,
            "asks": asks.is_ok(),
            "why": match asks { Ok(why) => why.as_str(), Err(problems) => first(problems) },
            "rules": of_rules(rules),
        })
    });
    json!({
        "request": id,
        "merge": merge.to_string(),
        "mergedAt": merged_at,
        "plan": plan.as_ref().map(|plan| &plan.key),
        "run": run,
        "trailer": trailer,
        "account": account,
        "about": about,
        "assumed": assumed,
        "notInGit": UNSEEN,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_team_that_only_the_forge_knows_is_not_said_to_have_refused() {
        let group = explain::Group {
            group: "team platform".to_owned(),
            people: BTreeSet::new(),
            unknown: Some("only the forge knows".to_owned()),
        };
        let rule = explain::RuleTold {
            name: "platform".to_owned(),
            says: "platform: 1 of the team platform".to_owned(),
            named: vec![group],
            could: Some(BTreeSet::new()),
            people: Vec::new(),
            missing: 1,
            holds: false,
            problem: Some("only the forge knows".to_owned()),
        };
        let account = Account {
            policies: Vec::new(),
            rules: vec![rule],
            refused_by: BTreeSet::new(),
            blocked: Vec::new(),
            frozen: Vec::new(),
            approved: false,
            missing: None,
        };
        assert_eq!(
            in_words(&account),
            "\nWho must approve\n  platform: 1 of the team platform [not known]\n    team platform: not known: only the forge knows\n\n"
        );
    }
}
