//! `chandlery report`: a backend says how a step of a request stands.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::{
    cli::{
        self,
        config::ForgeSettings,
        on_forge::{definitions, done, one},
        output,
    },
    domain::{ObjectId, RepoName, RepoPath, RequestId, Run, StepId, StepState},
    plan::{
        branch_of_run,
        facts::{Answer, Question},
        log, plan_file,
        report::{self, Report, Status},
        step::{Act, Call},
    },
    reconcile::Hands,
};

/// As records call the steps that may wait for a report.
const WEBHOOK: &str = "webhook";

/// Report how a step with `callback: true` stands, with a token of one's own
///
/// The report is a comment on the request's pull request. It counts if its author may write to the catalog and nobody
/// edited it; the first that says `success` or `failure` ends the step.
///
/// Exit codes: 0 reported, 2 wrong usage, 3 the step does not wait for a report, or the forge could not be reached.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The request, such as 2026/11/issue-42
    request: RequestId,
    /// The step of its action
    step: StepId,
    /// How it stands
    #[arg(long, value_enum)]
    status: StatusArg,
    /// What it gave, for later steps and for the catalog
    #[arg(long = "output", value_name = "NAME=VALUE", value_parser = read_output)]
    outputs: Vec<(String, String)>,
    /// Where people can look
    #[arg(long = "link", value_name = "TITLE=URL", value_parser = read_link)]
    links: Vec<(String, String)>,
    /// In words
    #[arg(long)]
    message: Option<String>,
    #[command(flatten)]
    forge: ForgeSettings,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StatusArg {
    Success,
    Failure,
    Progress,
}

/// Runs the command.
///
/// # Errors
/// When the request is not in progress, or the forge cannot be reached.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let (request, step) = (&args.request, &args.step);
    let report = Report {
        status: match args.status {
            StatusArg::Success => Status::Success,
            StatusArg::Failure => Status::Failure,
            StatusArg::Progress => Status::Progress,
        },
        outputs: args.outputs.iter().cloned().map(|(name, value)| (name, value.into())).collect(),
        links: args.links.iter().cloned().collect(),
        message: args.message.clone(),
    };
    let settings = args.forge.settings()?;
    let catalog = settings.catalog.clone();
    let said = cli::runtime()?.block_on(async {
        let mut hands = Hands::new(settings)?;
        let (_, head, definitions) = definitions(&mut hands, &catalog).await?;
        let path = definitions.settings.folders.requests.join(&format!("{request}/run.yaml"))?;
        let run = record(&mut hands, &catalog, head, request, &path).await?;
        awaits(&run, step)?;
        let number = run.pull_request.context("the run has no pull request")?.number;
        let body = report::write(request, step, &report);
        let say = Call::Say { repository: catalog.clone(), number, body, comment: None };
        done(hands.act(&Act::Call(say)).await)?;
        anyhow::Ok(format!("reported on {catalog}#{number}\n"))
    })?;
    output::print(&said)?;
    Ok(ExitCode::from(cli::CLEAN))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("`{text}` has no `=`"))?;
    Ok((name.to_owned(), value.to_owned()))
}

/// An output as it is kept; another would be left out when the report is read.
fn read_output(text: &str) -> Result<(String, String), String> {
    let (name, value) = pair(text)?;
    if !log::is_name(&name) {
        return Err(format!("`{name}` is no name: letters, digits and `_`, at most 60, no digit first"));
    }
    if serde_json::Value::from(value.as_str()).to_string().len() > report::LONGEST {
        return Err(format!("`{name}` is longer than {} bytes as JSON", report::LONGEST));
    }
    Ok((name, value))
}

fn read_link(text: &str) -> Result<(String, String), String> {
    let (title, url) = pair(text)?;
    match log::link(&url) {
        Some(url) => Ok((title, url)),
        None => Err(format!(
            "`{url}` is no address: it begins with https:// or http://, without blanks and quotes"
        )),
    }
}

/// What is known of a run in progress: where records come by pull requests it stands on a branch of its own.
async fn record(
    hands: &mut Hands,
    catalog: &RepoName,
    head: ObjectId,
    request: &RequestId,
    path: &RepoPath,
) -> anyhow::Result<Run> {
    let own = Question::Head(catalog.clone(), branch_of_run(request));
    let Answer::Head(own) = one(hands, own).await? else {
        bail!("the forge does not say which branches there are")
    };
    let mut found = None;
    for commit in [Some(head), own].into_iter().flatten() {
        let Answer::File(file) = one(hands, Question::File(catalog.clone(), commit, path.clone())).await?
        else {
            bail!("`{path}` could not be looked at");
        };
        let Some(file) = file else { continue };
        let run = plan_file::read_run(&file.bytes).context("the record of the run cannot be read")?;
        if run.status.is_end() {
            bail!("`{request}` has ended as {}", run.status);
        }
        found = Some(run);
    }
    found.with_context(|| {
        format!("no step of `{request}` was begun: either no request is called so, or it is not merged yet")
    })
}

/// Whether somebody waits for this report.
fn awaits(run: &Run, step: &StepId) -> anyhow::Result<()> {
    let begun = |kind: &str| {
        let known = run.progress.iter().filter(|known| known.kind == kind);
        known.map(|known| format!("`{}`", known.step)).collect::<Vec<_>>().join(", ")
    };
    let Some(found) = run.progress.iter().find(|known| known.step == *step) else {
        match begun(WEBHOOK).as_str() {
            "" => bail!(
                "the step `{step}` of `{}` was not begun, and none that waits for a report was",
                run.request
            ),
            known => bail!("the step `{step}` of `{}` was not begun; {known} was", run.request),
        }
    };
    if found.kind != WEBHOOK {
        bail!("the step `{step}` of `{}` is a {}, which waits for no report", run.request, found.kind);
    }
    match found.state {
        StepState::Started | StepState::Waiting => Ok(()),
        state => bail!(
            "the step `{step}` of `{}` has ended as {}: a report changes nothing unless somebody says `/retry` before",
            run.request,
            state.name()
        ),
    }
}
