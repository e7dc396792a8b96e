//! How does one request of an open pull request stand? The facts that [`super::open`] decides by, for whoever asks why.

use std::{collections::BTreeSet, sync::Arc};

use super::{Asked, group, judge_all};
use crate::{
    domain::{Activity, Login, Pull, PullState, RequestId},
    plan::{
        build::{Planned, Site},
        facts::{ChainCommit, Looked},
        plan_file,
    },
};

/// One request of an open pull request, and what is known of that.
pub(in crate::plan) struct Standing<'a> {
    pub(in crate::plan) people: BTreeSet<Login>,
    pub(in crate::plan) plan: Arc<Planned>,
    pub(in crate::plan) activity: &'a [Activity],
    pub(in crate::plan) chain: &'a [ChainCommit],
    /// The key that our check must name.
    pub(in crate::plan) key: String,
}

/// A request of a pull request; none where that is another, not open, or from a fork.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what could not be learnt.
pub(in crate::plan) fn standing<'a>(
    site: &Site<'a>,
    pull: &Pull,
    id: &RequestId,
) -> Looked<Result<Option<Standing<'a>>, String>> {
    let catalog = &site.here.catalog;
    let is_ours = pull.state == PullState::Open
        && pull.base_branch == site.here.branch
        && pull.head_repository.as_ref() == Some(catalog);
    let Some(branch) = pull.head_branch.as_ref().filter(|_| is_ours) else { return Ok(Ok(None)) };
    let unread = |what: &str, why: &str| format!("{what} of #{} could not be read: {why}", pull.number);
    let diff = match site.look.diff(catalog, site.catalog, pull.head)? {
        Ok(diff) => diff,
        Err(why) => return Ok(Err(unread("the changes", &why))),
    };
    let (groups, others) = group(site, diff);
    if !groups.contains_key(id.as_str()) {
        return Ok(Ok(None));
    }
    let chain = site.look.chain(catalog, pull.head, site.catalog);
    let activity = site.look.activity(catalog, branch);
    let asked = judge_all(site, pull, &groups, &others)?;
    let (chain, activity) = match (chain?, activity?) {
        (Ok(chain), Ok(activity)) => (chain, activity),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(unread("the history", &why))),
    };
    let key = combined_key(&asked);
    let one = asked.into_iter().find(|request| request.name == id.as_str());
    Ok(Ok(one.map(|request| Standing {
        people: request.requesters,
        plan: request.planned,
        activity,
        chain,
        key,
    })))
}

/// The key that our check must name, over all requests of a pull request.
pub(super) fn combined_key(asked: &[Asked]) -> String {
    let keys: Vec<(&str, &str)> = asked
        .iter()
        .map(|request| {
            (request.name.as_str(), request.plan().map_or("invalid", |built| built.plan.key.as_str()))
        })
        .collect();
    plan_file::combine(&keys)
}
