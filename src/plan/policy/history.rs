//! Which requests came before this one? What was merged counts, whatever became of it, in the order in which it came to the
//! default branch: of two that are merged at once one came first, and only the other counts it.

use std::{collections::BTreeSet, sync::Arc};

use super::{Case, Moment};
use crate::{
    domain::{ActionId, BlueprintId, Login, Pull, PullState, RequestId, Timestamp},
    plan::{
        admit,
        build::Site,
        facts::{Arrival, Looked, Pending, Queued, all},
        plan_file::{self, Plan},
        read,
    },
};

/// How far back is looked for requests that have not ended, in seconds: ninety days. What came before counts in any case.
const LONGEST_RUN: i64 = 90 * 24 * 3600;
/// Questions about the history are about whole days, so that they are seldom asked anew.
const DAY: i64 = 24 * 3600;

/// Asks early what is needed of the history, as far as it can be asked: the longest time that requests are counted over, in
/// seconds.
pub(super) fn ask_early(site: &Site<'_>, within: i64) -> Looked<()> {
    let unfinished = site.look.unfinished(site.catalog).and_then(|unfinished| match unfinished {
        Ok(unfinished) => all(unfinished.iter().map(|id| plan(site, id))),
        Err(_) => Ok(()),
    });
    all([arrivals(site, within).map(drop), arrivals(site, 0).map(drop), unfinished])
}

/// What is known of a request that was merged.
pub(super) struct Before {
    pub(super) request: RequestId,
    pub(super) action: Option<ActionId>,
    pub(super) blueprint: Option<BlueprintId>,
    /// Who asked; nobody where it was pushed past a pull request.
    pub(super) people: BTreeSet<Login>,
}

/// The requests that came to the default branch within so many seconds, up to this one.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what could not be learnt.
pub(super) fn merged_within(case: &Case<'_>, within: i64) -> Looked<Result<Vec<Before>, String>> {
    let (arrivals, now) = match arrivals(case.site, within)? {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let own = arrivals.iter().position(|arrival| arrival.request == *case.id);
    let (earlier, until) = match (case.moment, own) {
        (Moment::Merged, Some(at)) => (&arrivals[..at], arrivals[at].at),
        (Moment::Merged, None) => {
            return Ok(Err("the commit that brought this request was not found".into()));
        }
        (Moment::Planned, _) => (arrivals, now),
    };
    let (mut found, mut pending, mut unknown) = (Vec::new(), false, None);
    let counts =
        |arrival: &&Arrival| until.seconds() - arrival.at.seconds() < within && arrival.request != *case.id;
    for arrival in earlier.iter().filter(counts) {
        match before(case, arrival) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => unknown = Some(why),
            Ok(Ok(one)) => found.push(one),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(found), Err))
}

/// Everything that came to the default branch in at least so many seconds, oldest first, and the time.
fn arrivals<'a>(site: &Site<'a>, within: i64) -> Looked<Result<(&'a [Arrival], Timestamp), String>> {
    let now = match super::now(site)? {
        Ok(now) => now,
        Err(why) => return Ok(Err(why)),
    };
    // The merge that is looked at may be older than now.
    let since = now.seconds() - within.max(LONGEST_RUN) - LONGEST_RUN;
    let since = Timestamp::from_seconds(since - since.rem_euclid(DAY));
    Ok(match site.look.arrivals(site.catalog, since)? {
        Ok(arrivals) => Ok((arrivals, now)),
        Err(why) => Err(format!("the catalog's history could not be read: {why}")),
    })
}

fn before(case: &Case<'_>, arrival: &Arrival) -> Looked<Result<Before, String>> {
    let site = case.site;
    let blueprint = |action: Option<&ActionId>| {
        let defined = action.and_then(|action| site.definitions.actions.get(action));
        defined.map(|defined| defined.value.blueprint.clone())
    };
    let path = read::request_path(site.definitions, &arrival.request, "run.yaml");
    match site.look.file(&site.here.catalog, site.catalog, &path)? {
        Err(why) => return Ok(Err(format!("`{path}` could not be read: {why}"))),
        Ok(Some(file)) => {
            return Ok(match plan_file::read_run(&file.bytes) {
                Err(why) => Err(format!("`{path}` cannot be read: {why}")),
                Ok(run) => Ok(Before {
                    request: arrival.request.clone(),
                    blueprint: blueprint(run.action.as_ref()),
                    action: run.action,
                    people: run.requesters.into_iter().collect(),
                }),
            });
        }
        Ok(None) => {}
    }
    // There is no record yet.
    let plan = plan(site, &arrival.request);
    let pulls = site.look.pulls_of(arrival.commit);
    let plan = match plan? {
        Ok(plan) => plan,
        Err(why) => return Ok(Err(why)),
    };
    let action = plan.map(|plan| plan.asked.action.clone());
    let pulls = match pulls? {
        Ok(pulls) => pulls,
        Err(why) => {
            return Ok(Err(format!(
                "which pull request brought `{}` could not be learnt: {why}",
                arrival.request
            )));
        }
    };
    let merged = pulls.iter().find(|pull| pull.state == PullState::Merged).map(AsRef::as_ref);
    let people = match merged.map_or_else(|| queued(site, arrival), |pull| Ok(Some(pull)))? {
        None => BTreeSet::new(),
        // Where that cannot be told, it is denied.
        Some(pull) => admit::requesters(site, pull, &arrival.request)?.unwrap_or_default(),
    };
    let request = arrival.request.clone();
    Ok(Ok(Before { request, blueprint: blueprint(action.as_ref()), action, people }))
}

/// The pull request that will have brought a request, where that goes before this one in the merge queue.
fn queued<'a>(site: &Site<'a>, arrival: &Arrival) -> Looked<Option<&'a Pull>> {
    let queue = site.look.queue(&site.here.catalog, &site.here.branch)?.ok().flatten().unwrap_or_default();
    let brings = |queued: &&Queued| queued.group.as_ref().is_some_and(|group| group.head == arrival.commit);
    match queue.iter().find(brings) {
        Some(queued) => Ok(site.look.pull(queued.number)?.ok().flatten()),
        None => Ok(None),
    }
}

/// The plan of a request on the default branch; none where it was merged without one, so that nothing will come of it.
pub(in crate::plan) fn plan(site: &Site<'_>, id: &RequestId) -> Looked<Result<Option<Arc<Plan>>, String>> {
    let path = read::request_path(site.definitions, id, "plan.yaml");
    Ok(match site.look.file(&site.here.catalog, site.catalog, &path)? {
        Ok(None) => Ok(None),
        Ok(Some(file)) => match plan_file::read_plan(file) {
            Ok(plan) => Ok(Some(plan)),
            Err(why) => Err(format!("`{path}` cannot be read: {why}")),
        },
        Err(why) => Err(format!("`{path}` could not be read: {why}")),
    })
}

/// Requests that have not ended, with their plans.
pub(super) type UnderWay = Vec<(RequestId, Arc<Plan>)>;

/// The plans of the requests that came before this one and have not ended: what they will change is not in the catalog yet.
///
/// # Errors
/// `Pending` while answers are awaited; inside, what could not be learnt.
pub(super) fn under_way(case: &Case<'_>) -> Looked<Result<UnderWay, String>> {
    let site = case.site;
    let unfinished = match site.look.unfinished(site.catalog)? {
        Ok(unfinished) => unfinished,
        Err(why) => return Ok(Err(format!("which requests are under way could not be learnt: {why}"))),
    };
    let others: BTreeSet<&RequestId> = unfinished.iter().filter(|id| *id != case.id).collect();
    if others.is_empty() {
        return Ok(Ok(Vec::new()));
    }
    let arrivals = match arrivals(case.site, 0)? {
        Ok((arrivals, _)) => arrivals,
        Err(why) => return Ok(Err(why)),
    };
    let place = |id: &RequestId| arrivals.iter().position(|arrival| arrival.request == *id);
    let own = place(case.id);
    let comes_before = |id: &RequestId| match (case.moment, own, place(id)) {
        (Moment::Merged, Some(own), Some(other)) => other < own,
        // What is not found came long ago.
        _ => true,
    };
    let (mut found, mut pending, mut unknown) = (Vec::new(), false, None);
    for id in others.into_iter().filter(|id| comes_before(id)) {
        match plan(site, id) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => unknown = Some(why),
            Ok(Ok(None)) => {}
            Ok(Ok(Some(plan))) => found.push((id.clone(), plan)),
        }
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(found), Err))
}

/// Their names, for people.
pub(super) fn names(under_way: &[(RequestId, Arc<Plan>)]) -> String {
    under_way.iter().map(|(id, _)| format!("`{id}`")).collect::<Vec<_>>().join(", ")
}
