//! How does a request stand that is still open? What decides about its pull request, without what is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Account, Evidence, Of, may, stands};
use crate::{
    catalog::Definitions,
    domain::{Diagnostic, Login, ObjectId, Pull, RequestId, Timestamp},
    plan::{
        build::{Planned, Site},
        facts::{Facts, Looked, Looker, Pending, Question, Then},
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
        let (account, asks) = match &*standing.plan {
            Err(_) => (None, None),
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
                (Some(stands(site, &of)?), asks.transpose()?)
            }
        };
        let (people, plan) = (standing.people, standing.plan);
        return Ok(Ok(Some(Opened { pull: Arc::new(pull.clone()), people, plan, account, asks })));
    }
    if pending {
        return Err(Pending);
    }
    Ok(unknown.map_or(Ok(None), Err))
}
