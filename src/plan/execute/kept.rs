//! Where does it stand what a run has begun, where records reach the default branch by pull requests only?
//!
//! On a branch of ours, one for each run: a claim there lands at once, whatever is required of pull requests, and as on the
//! default branch only one of two passes can make it. What ended is recorded on the default branch as ever. Once a run has
//! such a branch, it is asked and written whatever the settings say since. It goes when the end is recorded on the default
//! branch.
//!
//! Assumptions: nobody else writes to the branch. If somebody did, or took it away, it is not known what was begun, and
//! nothing more is.

use crate::{
    catalog::RecordBy,
    domain::{Activity, ActivityKind, Branch, ObjectId, RequestId, Run},
    plan::{
        build::Site,
        facts::Looked,
        plan_file, read,
        step::{Call, CatalogChange, Commit, Step},
    },
};

/// What is remembered of a run in progress besides what the default branch says.
pub(super) enum Kept {
    /// Nothing: the default branch says it all.
    OnDefault,
    /// This, on the branch of the run, which is here.
    OnBranch(Option<ObjectId>, Option<Box<Run>>),
    /// It cannot be believed, and why.
    Spoilt(String),
}

/// The branch that remembers a run.
pub fn branch(id: &RequestId) -> Branch {
    format!("chandlery/run/{}", id.slug()).parse().expect("an identifier makes a branch")
}

/// What is remembered of a run.
///
/// # Errors
/// `Pending` while an answer is awaited; inside, why it is not known.
pub(super) fn kept(site: &Site<'_>, id: &RequestId) -> Looked<Result<Kept, String>> {
    let (catalog, branch) = (&site.here.catalog, branch(id));
    let is_usual = site.definitions.settings.state == RecordBy::PullRequest;
    let head = match site.look.head(catalog, &branch)? {
        Ok(head) => head,
        Err(why) => return Ok(Err(format!("`{branch}` could not be looked at: {why}"))),
    };
    if head.is_none() && !is_usual {
        return Ok(Ok(Kept::OnDefault));
    }
    let path = read::request_path(site.definitions, id, "run.yaml");
    let file = match head {
        None => None,
        Some(head) => match site.look.file(catalog, head, &path)? {
            Ok(file) => file,
            Err(why) => return Ok(Err(format!("`{path}` on `{branch}` could not be read: {why}"))),
        },
    };
    let record = file.map(|file| plan_file::read_run(&file.bytes)).transpose();
    let record = record.map_err(|why| format!("`{path}` on `{branch}` cannot be read: {why}"));
    // Nobody else knows what this pass is called.
    let pass = site.look.pass()?.unwrap_or_default();
    let is_of_this_pass = |run: &Run| run.progress.iter().any(|step| step.claim.as_deref() == Some(pass));
    if let Ok(Some(run)) = &record
        && !pass.is_empty()
        && is_of_this_pass(run)
    {
        return Ok(Ok(Kept::OnBranch(head, Some(Box::new(run.clone())))));
    }
    let pushed = match site.look.activity(catalog, &branch)? {
        Ok(pushed) => pushed,
        Err(why) => return Ok(Err(format!("who pushed to `{branch}` could not be learnt: {why}"))),
    };
    // We take it away when the record has landed: whoever sees only the first has looked too early.
    let is_swept =
        |push: &Activity| push.kind == ActivityKind::Deleted && push.actor.as_ref() == Some(&site.here.me);
    if head.is_none() && pushed.iter().any(is_swept) {
        return Ok(Err(format!("`{branch}` went with the record of its run, which is not seen yet")));
    }
    let is_ours = |kind: ActivityKind| matches!(kind, ActivityKind::Created | ActivityKind::Pushed);
    let foreign =
        pushed.iter().find(|push| push.actor.as_ref() != Some(&site.here.me) || !is_ours(push.kind));
    if let Some(push) = foreign {
        let by = push.actor.as_ref().map_or_else(|| "somebody".to_owned(), |login| format!("`{login}`"));
        return Ok(Ok(Kept::Spoilt(format!(
            "{by} changed or deleted the branch `{branch}`, on which Chandlery keeps what it has begun: what was done is not known"
        ))));
    }
    if head.is_some() && pushed.is_empty() {
        return Ok(Err(format!("the forge does not say yet who pushed to `{branch}`")));
    }
    Ok(record.map(|record| Kept::OnBranch(head, record.map(Box::new))))
}

/// What takes the branch of a run away whose end is recorded on the default branch.
pub(super) fn sweep(site: &Site<'_>, id: &RequestId) -> Looked<Option<Step>> {
    let (repository, branch) = (site.here.catalog.clone(), branch(id));
    let is_there = matches!(site.look.head(&repository, &branch)?, Ok(Some(_)));
    Ok(is_there.then_some(Step::Call(Call::DropBranch { repository, branch })))
}

/// The commit that remembers what changes of a run in progress, if its branch is still where it was.
pub(super) fn commit(
    site: &Site<'_>,
    id: &RequestId,
    head: Option<ObjectId>,
    change: CatalogChange,
) -> Commit {
    Commit {
        repository: site.here.catalog.clone(),
        branch: branch(id),
        expect: head,
        parent: Some(head.unwrap_or(site.catalog)),
        changes: change.changes,
        message: format!("{}\n", change.summary),
        at: change.at,
    }
}
