//! `chandlery report`: a backend says how a step of a request stands.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

use crate::{
    catalog::Definitions,
    cli::{self, config::ForgeSettings, output},
    domain::{ObjectId, RepoName, RequestId, StepId},
    plan::{
        facts::{Answer, Here, Question},
        plan_file,
        report::{self, Report, Status},
        step::{Act, Acted, Call},
    },
    reconcile::Hands,
};

/// Report how a step with `callback: true` stands, with a token of one's own
///
/// The report is a comment on the request's pull request. It counts if its author may write to the catalog and nobody
/// edited it; the first that says `success` or `failure` ends the step.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// The request, such as 2026/11/issue-42
    request: String,
    /// The step of its action
    step: String,
    /// How it stands
    #[arg(long, value_enum)]
    status: StatusArg,
    /// What it gave, for later steps and for the catalog
    #[arg(long = "output", value_name = "NAME=VALUE")]
    outputs: Vec<String>,
    /// Where people can look
    #[arg(long = "link", value_name = "TITLE=URL")]
    links: Vec<String>,
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
    let (request, step): (RequestId, StepId) = (args.request.parse()?, args.step.parse()?);
    let pairs = |said: &[String]| -> anyhow::Result<BTreeMap<String, String>> {
        let pair = |text: &String| {
            let (name, value) =
                text.split_once('=').with_context(|| format!("`{text}` is not NAME=VALUE"))?;
            Ok((name.to_owned(), value.to_owned()))
        };
        said.iter().map(pair).collect()
    };
    let report = Report {
        status: match args.status {
            StatusArg::Success => Status::Success,
            StatusArg::Failure => Status::Failure,
            StatusArg::Progress => Status::Progress,
        },
        outputs: pairs(&args.outputs)?.into_iter().map(|(name, value)| (name, value.into())).collect(),
        links: pairs(&args.links)?,
        message: args.message.clone(),
    };
    let settings = args.forge.settings()?;
    let catalog = settings.catalog.clone();
    let said = cli::runtime()?.block_on(async {
        let mut hands = Hands::new(settings)?;
        let (_, head, definitions) = definitions(&mut hands, &catalog).await?;
        let path = definitions.settings.folders.requests.join(&format!("{request}/run.yaml"))?;
        let Answer::File(Some(file)) = one(&mut hands, Question::File(catalog.clone(), head, path)).await?
        else {
            bail!("no step of `{request}` was begun");
        };
        let run = plan_file::read_run(&file.bytes).context("the record of the run cannot be read")?;
        if run.status.is_end() {
            bail!("`{request}` has ended as {}", run.status);
        }
        if !run.progress.iter().any(|known| known.step == step) {
            bail!("the step `{step}` of `{request}` was not begun");
        }
        let number = run.pull_request.context("the run has no pull request")?.number;
        let body = report::write(&request, &step, &report);
        let say = Call::Say { repository: catalog.clone(), number, body, comment: None };
        match hands.act(&Act::Call(say)).await {
            Acted::Done | Acted::Told(_) => Ok(format!("reported on {catalog}#{number}\n")),
            Acted::Refused(why) | Acted::Failed(why) | Acted::Untold(why) => bail!("{why}"),
            Acted::Postponed { seconds } => bail!("the forge takes no more calls for {seconds} seconds"),
        }
    })?;
    output::print(&said)?;
    Ok(ExitCode::from(cli::CLEAN))
}

/// Where we are, the newest commit there, and what the platform team wrote.
pub(super) async fn definitions(
    hands: &mut Hands,
    catalog: &RepoName,
) -> anyhow::Result<(Arc<Here>, ObjectId, Arc<Definitions>)> {
    let Answer::Here(here) = one(hands, Question::Here).await? else {
        bail!("the forge does not say where we are")
    };
    let Answer::Head(Some(head)) = one(hands, Question::Head(catalog.clone(), here.branch.clone())).await?
    else {
        bail!("`{catalog}` has no branch `{}`", here.branch);
    };
    let Answer::Definitions(Ok(definitions)) = one(hands, Question::Definitions(head)).await? else {
        bail!("the settings of `{catalog}` cannot be read: run `chandlery validate` in a clone of it");
    };
    Ok((here, head, definitions))
}

/// One answer.
pub(super) async fn one(hands: &mut Hands, question: Question) -> anyhow::Result<Answer> {
    let answers = hands.look(&[question].into()).await;
    match answers.into_iter().next().map(|(_, answer)| answer) {
        Some(Answer::Unknown(why)) => bail!("{why}"),
        Some(answer) => Ok(answer),
        None => bail!("it was not answered"),
    }
}
