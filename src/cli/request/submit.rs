//! How does a request become a pull request? Its file on a branch of its own, pushed and opened with one's own token.

use anyhow::{Context, bail};

use crate::{
    catalog::CommitBy,
    cli::{
        self,
        on_forge::{done, one},
    },
    domain::{
        Action, Branch, Bytes, Change, Changes, Login, PullState, RepoPath, RequestFile, RequestId, Timestamp,
    },
    plan::{
        facts::{Answer, Question},
        step::{Act, Call, Commit},
    },
    reconcile::{Hands, Settings},
};

/// A request that is to be asked.
pub(super) struct Asking {
    pub(super) id: RequestId,
    pub(super) path: RepoPath,
    pub(super) text: Bytes,
    pub(super) file: RequestFile,
    pub(super) at: Timestamp,
}

/// Whose the token is.
pub(super) fn owner(settings: &Settings) -> anyhow::Result<Login> {
    cli::runtime()?.block_on(async {
        let mut hands = Hands::new(settings.clone())?;
        match one(&mut hands, Question::Here).await? {
            Answer::Here(here) => Ok(here.me.clone()),
            other => bail!("the forge tells not who we are: {other:?}"),
        }
    })
}

/// Pushes the file and opens the pull request; its address. What was done before is not done again.
pub(super) fn submit(settings: &Settings, action: &Action, asking: &Asking) -> anyhow::Result<String> {
    cli::runtime()?.block_on(async {
        let mut hands = Hands::new(settings.clone())?;
        let repository = settings.catalog.clone();
        let Answer::Here(here) = one(&mut hands, Question::Here).await? else {
            bail!("the forge tells not which branch is the catalog's");
        };
        let Answer::Head(Some(base)) =
            one(&mut hands, Question::Head(repository.clone(), here.branch.clone())).await?
        else {
            bail!("`{repository}` has no branch `{}`", here.branch);
        };
        let at_base = Question::File(repository.clone(), base, asking.path.clone());
        if let Answer::File(Some(_)) = one(&mut hands, at_base).await? {
            bail!("`{repository}` has a request `{}` already: give another name with --id", asking.id);
        }
        let branch: Branch = format!("request/{}", asking.id.slug()).parse()?;
        match one(&mut hands, Question::Head(repository.clone(), branch.clone())).await? {
            Answer::Head(Some(there)) => {
                let file = Question::File(repository.clone(), there, asking.path.clone());
                let is_ours = matches!(one(&mut hands, file).await?, Answer::File(Some(file)) if file.bytes == asking.text);
                if !is_ours {
                    bail!("`{repository}` has a branch `{branch}` already: give another name with --id");
                }
            }
            _ => push(&mut hands, asking, settings, branch.clone(), base).await?,
        }
        let open = Act::Call(Call::OpenPull {
            repository: repository.clone(),
            branch: branch.clone(),
            base: here.branch.clone(),
            title: title(action, asking),
            body: format!(
                "Asked with `chandlery request`. This request is `{}`.\n\nThe comment below will say what would change and who must approve.\n",
                asking.id
            ),
            draft: false,
        });
        done(hands.act(&open).await)
            .with_context(|| format!("the request is on the branch `{branch}`, and its pull request could not be opened"))?;
        let Answer::Pulls(pulls) = one(&mut hands, Question::PullsFrom(repository.clone(), branch)).await? else {
            bail!("the pull request is open, and the forge does not tell its number");
        };
        let number = pulls.iter().rfind(|pull| pull.state == PullState::Open).map(|pull| pull.number);
        let number = number.context("the pull request is gone again")?;
        Ok(format!("{}/{repository}/pull/{number}", settings.git_url))
    })
}

async fn push(
    hands: &mut Hands,
    asking: &Asking,
    settings: &Settings,
    branch: Branch,
    base: crate::domain::ObjectId,
) -> anyhow::Result<()> {
    let changes: Changes = [(asking.path.clone(), Change::Put(asking.text.clone()))].into();
    let commit = Commit {
        repository: settings.catalog.clone(),
        branch: branch.clone(),
        expect: None,
        parent: Some(base),
        changes,
        message: format!("Ask for {}\n\nRequest: {}\n", asking.file.action, asking.id),
        at: asking.at,
    };
    let push = Act::Push { repository: settings.catalog.clone(), commits: vec![commit], by: CommitBy::Push };
    done(hands.act(&push).await).with_context(|| {
        format!(
            "the branch `{branch}` could not be pushed to `{}`; without write access there, commit what --print-only prints to a fork, and open a pull request from it",
            settings.catalog
        )
    })
}

/// What the pull request is called: the action, and what it is about.
fn title(action: &Action, asking: &Asking) -> String {
    let RequestFile { entity, inputs, .. } = &asking.file;
    let secret = crate::catalog::secret::inputs(action);
    let first = || {
        let texts = inputs.iter().filter(|(name, _)| !secret.contains(name.as_str()));
        texts.filter_map(|(_, value)| value.as_str()).find(|text| !text.contains('\n')).map(str::to_owned)
    };
    let about = entity.as_ref().map(ToString::to_string).or_else(first);
    let about = about.unwrap_or_else(|| asking.id.to_string());
    let about: String = about.chars().filter(|c| !c.is_control() && *c != '@').take(80).collect();
    format!("{}: {about}", action.title)
}
