//! How does a request stand that is still open? What decides about its pull request, without what is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Account, Evidence, Of, RuleTold, may, stands};
use crate::{
    catalog::Definitions,
    domain::{Diagnostic, Known, Login, ObjectId, Pull, RequestId, Review, ReviewState, Timestamp},
    plan::{
        build::{Planned, Site},
        facts::{ChainKind, Facts, Looked, Looker, Pending, Question, Then},
        preview::with_site,
        review,
    },
};

/// An open request.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its pull request.
    pub pull: Arc<Pull>,
    /// Who asks.
    pub people: BTreeSet<Login>,
    /// What it would do, or what is wrong with it.
    pub plan: Arc<Planned>,
    /// How it stands, if it has a plan.
    pub account: Option<Account>,
    /// Why somebody who was named may ask for it, or why not.
    pub asks: Option<Result<String, Vec<Diagnostic>>>,
    /// Each rule, and why an approval of that person would not count for it now; nothing if it would.
    pub approves: Vec<(String, Option<String>)>,
    /// Who put the plan on its branch, where that was another account than ours: what Chandlery did is seen with its eyes only.
    pub planned_by: Option<Login>,
}

/// The open request of this name; none where no open pull request to the default branch brings it. `login` is somebody of
/// whom it is told whether they could have asked; `at` is another moment than now, and what was said after it does not count.
///
/// # Errors
/// What must be known first; inside, what could not be learnt.
pub fn open(
    definitions: &Definitions,
    facts: &Facts,
    catalog: ObjectId,
    id: &RequestId,
    login: Option<&Login>,
    at: Option<Timestamp>,
) -> Result<Result<Option<Opened>, String>, BTreeSet<Question>> {
    let look = Looker::new(facts);
    let found = match at {
        None => with_site(definitions, &look, catalog, |site| Ok(Ok(find(site, id, login, None)?))),
        Some(now) => {
            let then = look.as_of(Then { now, files: BTreeMap::new() });
            with_site(definitions, &then, catalog, |site| Ok(Ok(find(site, id, login, at)?)))
        }
    };
    match found {
        Err(Pending) => Err(look.missing()),
        Ok(Ok(found)) => Ok(found),
        Ok(Err(problems)) => Ok(Err(problems.first().map_or_else(String::new, |one| one.message.clone()))),
    }
}

fn find(
    site: &Site<'_>,
    id: &RequestId,
    login: Option<&Login>,
    until: Option<Timestamp>,
) -> Looked<Result<Option<Opened>, String>> {
    let open = match site.look.open()? {
        Ok(open) => open,
        Err(why) => return Ok(Err(format!("what is open could not be learnt: {why}"))),
    };
    let (mut pending, mut unknown) = (false, None);
    for number in &open.pulls {
        let pull = match site.look.pull(*number) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Ok(Some(pull))) => pull,
            Ok(Ok(None)) => continue,
            Ok(Err(why)) => {
                unknown = Some(format!("pull request #{number} could not be read: {why}"));
                continue;
            }
        };
        let standing = match review::standing(site, pull, id) {
            Err(Pending) => {
                pending = true;
                continue;
            }
            Ok(Err(why)) => {
                unknown = Some(why);
                continue;
            }
            Ok(Ok(None)) => continue,
            Ok(Ok(Some(standing))) => standing,
        };
        let planned_by = planner(&standing).filter(|login| *login != site.here.me);
        let (account, asks, approves) = match &*standing.plan {
            Err(_) => (None, None, Vec::new()),
            Ok(built) => {
                let evidence = Evidence {
                    pull: pull.clone(),
                    activity: standing.activity.to_vec(),
                    chain: standing.chain.to_vec(),
                    key: standing.key.clone(),
                    until,
                };
                let people = &standing.people;
                let of = Of { plan: &built.plan, people, evidence: &evidence, is_merged: false };
                let asks = login.map(|login| may(site, &built.plan, login));
                let approves = login.map(|login| would_approve(site, &of, login));
                let account = stands(site, &of)?;
                (Some(account), asks.transpose()?, approves.transpose()?.unwrap_or_default())
            }
        };
        let (people, plan, pull) = (standing.people, standing.plan, Arc::new(pull.clone()));
        return Ok(Ok(Some(Opened { pull, people, plan, account, asks, approves, planned_by })));
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(None), Err))
}

/// Who pushed the newest commit that is more than a merge of the base, if that brings a plan.
fn planner(standing: &review::Standing<'_>) -> Option<Login> {
    let newest = standing.chain.iter().find(|commit| commit.kind != ChainKind::CleanMergeOfBase)?;
    if !newest.paths.iter().any(|path| path.file_name() == "plan.yaml") {
        return None;
    }
    let pushes = standing.activity.iter().filter(|push| push.after == Some(newest.id));
    pushes.max_by_key(|push| push.at)?.actor.clone()
}

/// For each rule whether an approval that this person gave now would count, or why not: it is judged as if it were there.
fn would_approve(site: &Site<'_>, of: &Of<'_>, login: &Login) -> Looked<Vec<(String, Option<String>)>> {
    let now = match of.evidence.until {
        Some(until) => Timestamp::from_seconds(until.seconds() - 1),
        None => match site.look.now()? {
            Ok(now) => now,
            Err(_) => return Ok(Vec::new()),
        },
    };
    let mut evidence = of.evidence.clone();
    if let Known::Yes(reviews) = &mut evidence.pull.reviews {
        let id = reviews.iter().map(|review| review.id).max().unwrap_or_default() + 1;
        let (author, commit) = (Some(login.clone()), Some(evidence.pull.head));
        let state = ReviewState::Approved;
        reviews.push(Review { id, author, state, submitted_at: now, commit, dismissed: None });
    }
    let account = stands(site, &Of { evidence: &evidence, ..*of })?;
    let of_rule = |rule: RuleTold| {
        let person = rule.people.into_iter().find(|person| person.login == *login);
        (rule.name, person.and_then(|person| person.void))
    };
    Ok(account.rules.into_iter().map(of_rule).collect())
}
