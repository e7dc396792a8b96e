//! How does a command ask the forge a single question, or do a single thing there?

use std::sync::Arc;

use anyhow::bail;

use crate::{
    catalog::Definitions,
    domain::{ObjectId, RepoName},
    plan::{
        facts::{Answer, Here, Question},
        step::Acted,
    },
    reconcile::Hands,
};

/// One answer.
pub(super) async fn one(hands: &mut Hands, question: Question) -> anyhow::Result<Answer> {
    let answers = hands.look(&[question].into()).await;
    match answers.into_iter().next().map(|(_, answer)| answer) {
        Some(Answer::Unknown(why)) => bail!("{why}"),
        Some(answer) => Ok(answer),
        None => bail!("the forge did not answer"),
    }
}

/// That something was done, or why not.
pub(super) fn done(acted: Acted) -> anyhow::Result<()> {
    match acted {
        Acted::Done | Acted::Told(_) => Ok(()),
        Acted::Refused(why) | Acted::Failed(why) | Acted::Untold(why) => bail!("{why}"),
        Acted::Postponed { seconds } => {
            bail!("the forge takes no more calls for {seconds} seconds: try again then")
        }
    }
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
