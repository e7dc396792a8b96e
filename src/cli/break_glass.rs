//! `chandlery approve-break-glass`: an administrator has carried out what was merged past the rules.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;

use crate::{
    catalog::Mode,
    cli::{
        self,
        config::ForgeSettings,
        on_forge::{definitions, done, one},
        output,
    },
    domain::{Permission, PullState, RequestId},
    plan::{
        facts::{Answer, Question},
        step::{Act, Call},
    },
    reconcile::Hands,
};

/// Have a request carried out that was merged past the rules, as an administrator and with a token of one's own
///
/// It leaves a comment `/break-glass REASON` on the request's pull request, which the next pass believes if its author is
/// an administrator of the catalog, nobody edited it, and it was written in the time that `breakGlass` in
/// chandlery.yaml gives. Who did it and why stands in the record, in its trailer, on the pull request, in what follows from
/// it and in notifications.
///
/// Exit codes: 0 the comment was written, 2 wrong usage, 3 it may not be, or the forge could not be reached.
#[derive(Debug, Args)]
pub struct BreakGlassArgs {
    /// The request, such as 2026/11/issue-42
    request: RequestId,
    /// Why it cannot wait for approvals, on one line
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    forge: ForgeSettings,
}

/// Runs the command.
///
/// # Errors
/// When the request is not one that waits for this, whoever runs it is no administrator, or the forge cannot be reached.
pub fn run(args: &BreakGlassArgs) -> anyhow::Result<ExitCode> {
    let request = &args.request;
    let reason = args.reason.split_whitespace().collect::<Vec<_>>().join(" ");
    if reason.is_empty() {
        bail!("say why: the reason is what others will read");
    }
    let settings = args.forge.settings()?;
    let catalog = settings.catalog.clone();
    let said = cli::runtime()?.block_on(async {
        let mut hands = Hands::new(settings)?;
        let (here, head, definitions) = definitions(&mut hands, &catalog).await?;
        if definitions.settings.mode != Mode::On {
            bail!("`{catalog}` carries nothing out while chandlery.yaml does not say `mode: on`");
        }
        if definitions.settings.break_glass.is_none() {
            bail!("`{catalog}` allows nobody to do this: `breakGlass: {{ within: 1d }}` in chandlery.yaml would");
        }
        let me = here.me.clone();
        let permission = one(&mut hands, Question::Permission(catalog.clone(), me.clone())).await?;
        if !matches!(permission, Answer::Permission(Permission::Admin)) || me.is_app() {
            bail!("`{me}` is no administrator of `{catalog}`, and only such a person may do this");
        }
        let folder = &definitions.settings.folders.requests;
        let record = folder.join(&format!("{request}/run.yaml"))?;
        if let Answer::File(Some(_)) = one(&mut hands, Question::File(catalog.clone(), head, record)).await? {
            bail!("`{request}` is carried out already, or has ended: `chandlery audit` tells how");
        }
        let path = folder.join(&format!("{request}/request.yaml"))?;
        let Answer::Appearances(appeared) = one(&mut hands, Question::Appearances(head, path)).await? else {
            bail!("the history of `{catalog}` could not be read");
        };
        let Some(appeared) = appeared.first() else {
            bail!("`{request}` is not on the default branch of `{catalog}`: what is not merged cannot be carried out");
        };
        let Answer::Pulls(pulls) = one(&mut hands, Question::PullsOf(appeared.commit)).await? else {
            bail!("which pull request brought `{request}` could not be learnt");
        };
        let Some(pull) = pulls.iter().find(|pull| pull.state == PullState::Merged) else {
            bail!("no pull request brought `{request}`: what was pushed past the door is never carried out");
        };
        let body = format!("/break-glass {reason}\n");
        let (repository, number) = (catalog.clone(), pull.number);
        let say = Call::Say { repository, number, body, comment: None };
        done(hands.act(&Act::Call(say)).await)?;
        Ok(format!(
            "said on {catalog}#{number} as `{me}`: the next pass carries it out, if it was merged past the rules and may still be released\n"
        ))
    })?;
    output::print(&said)?;
    Ok(ExitCode::from(cli::CLEAN))
}
