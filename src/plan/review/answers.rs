//! What are commands on a merged pull request answered with? Those about breaking the glass have a file of their own.

use std::collections::BTreeSet;

use super::spoken_of;
use crate::{
    domain::{Pull, RequestId, Stage},
    plan::{admit, build::Site, execute, facts::Looked, react, step::Step},
};

/// The answers that are not given yet.
pub(super) fn answers(site: &Site<'_>, pull: &Pull) -> Looked<Vec<Step>> {
    let Some(merged_at) = pull.merged_at.filter(|_| !pull.remarks.is_empty()) else { return Ok(Vec::new()) };
    let Pull { number, remarks, comments, .. } = pull;
    let spoken = react::Spoken { number: *number, remarks, comments, merged_at, pull: None };
    let ids: Vec<RequestId> = spoken_of(pull).into_keys().collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // Where several were asked together, what is said is about those that go on.
    let mut ended = Some((merged_at, Stage::Cancelled));
    for id in &ids {
        ended = match execute::recorded(site, id)? {
            Some(Ok(run)) => ended.max(run.finished_at.map(|at| (at, run.status))),
            Some(Err(_)) | None => None,
        };
        if ended.is_none() {
            break;
        }
    }
    let requesters = || {
        let mut all = BTreeSet::new();
        for id in &ids {
            all.extend(admit::requesters(site, pull, id)?.unwrap_or_default());
        }
        Ok(all)
    };
    react::answers(site, &spoken, ended, &requesters)
}
