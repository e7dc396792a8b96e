//! What should happen next? START HERE.
//!
//! [`decide`] is a pure function: what a platform team wrote ([`Definitions`]), what Git and the
//! forge said ([`Facts`]) and what it is about ([`Key`]) give the stage of each request and the
//! steps to take, or the questions that must be answered first. The same facts give the same
//! answer, and more facts never undo one.
//!
//! * `issue`: an issue form becomes a pull request of ours, and hears how it ended; `fork`: so does a pull request
//!   from a fork; `adopt`: what both have in common;
//! * `ttl`: an entity whose time is over becomes a pull request of ours, too;
//! * `review`: an open pull request is checked, planned, explained and, when everybody agrees, green;
//! * `execute`: a merged request is judged once more, carried out (`ordered`: step by step) and recorded;
//! * `build`: the plan, step by step (`target`, `backend`) and as a file (`plan_file`);
//! * `approval`, `writeback` (`following`: what changes because others end): the consent, the record; `forms`: the issue forms
//!   that follow it; `record`: the pull request for records, where rules want one; `audit`: whether a history follows from
//!   what it says;
//! * `policy`: what holds of every request, whatever its action says; `asking`: what questions in jq see of one;
//! * `rules`: who may ask for this and who must approve it (`people`, `code_owners`: who is meant);
//! * `labels`: the stage at a glance; `notice`: who else hears of it;
//! * `postponed`: what is said where the forge takes no more calls, or refuses them;
//! * `preview`: the plan of a request that nobody has asked yet; `explain`: why one stands as it does;
//! * `command`, `report`, `log`: what people ask for in comments, what backends report there and in their logs;
//! * `message`: every sentence that we say.

pub mod facts;
pub mod step;
pub mod approval;
pub mod plan_file;
pub mod build;
mod target;
mod backend;
pub mod diff;
pub mod writeback;
mod following;
pub mod record;
pub mod audit;
pub mod forms;
pub mod message;
mod labels;
mod notice;
mod postponed;
mod preview;
pub mod explain;
mod read;
pub mod command;
mod react;
pub mod log;
pub mod report;
mod admit;
mod asking;
pub mod code_owners;
mod people;
mod rules;
mod policy;
mod adopt;
mod issue;
mod fork;
mod ttl;
mod review;
mod execute;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::{Definitions, Mode},
    domain::{Comment, RepoName, RequestId, Stage},
    plan::{
        build::Site,
        facts::{Facts, Looked, Looker, Pending, Question},
        step::{Call, Step},
    },
};

pub use execute::branch_of_run;
pub use issue::request_bytes;
pub use postponed::{postponed, refused};
pub use preview::{Form, Freezes, Preview, approvers, form, freezes, may_ask, preview};
pub use read::reference;

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An issue of the catalog.
    Issue(u64),
    /// A pull request of the catalog.
    Pull(u64),
    /// A request on the default branch.
    Request(RequestId),
    /// The entities whose time is over, or soon will be.
    Timers,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Issue(number) => write!(f, "issue #{number}"),
            Self::Pull(number) => write!(f, "pull request #{number}"),
            Self::Request(id) => write!(f, "request {id}"),
            Self::Timers => f.write_str("timers"),
        }
    }
}

/// What is to be done, or what must be known first.
#[must_use]
#[derive(Debug, Clone)]
pub enum Verdict {
    /// These questions must be answered.
    Ask(BTreeSet<Question>),
    /// This is how it stands and what to do.
    Settled(Decision),
}

impl Verdict {
    /// Whether it is what `anew` says, which nothing was kept for: that asks again what others have asked early.
    pub fn agrees_with(&self, anew: &Self) -> bool {
        match (self, anew) {
            (Self::Ask(these), Self::Ask(all)) => these.is_subset(all),
            (Self::Settled(one), Self::Settled(other)) => one == other,
            (Self::Ask(_), Self::Settled(_)) | (Self::Settled(_), Self::Ask(_)) => false,
        }
    }
}

/// How it stands and what to do.
#[must_use]
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Decision {
    /// Each request concerned.
    pub stages: BTreeMap<RequestId, Stage>,
    /// What to do, in order; where a step fails, those behind it wait for the next look.
    pub steps: Vec<Step>,
    /// What could not be decided because the world did not answer; the next pass tries again.
    pub waits: Vec<String>,
}

impl Decision {
    fn nothing() -> Self {
        Self::default()
    }

    /// This, and then that.
    fn extend(&mut self, more: Self) {
        let Self { stages, steps, waits } = more;
        self.stages.extend(stages);
        self.steps.extend(steps);
        self.waits.extend(waits);
    }

    fn waiting(why: impl Into<String>) -> Self {
        Self { waits: vec![why.into()], ..Self::default() }
    }
}

/// Decides what should happen next about `key`.
pub fn decide(definitions: &Definitions, facts: &Facts, key: &Key) -> Verdict {
    let look = Looker::new(facts);
    let decided = decide_with(definitions, &look, key);
    match decided {
        Ok(decision) => Verdict::Settled(decision),
        Err(Pending) => Verdict::Ask(look.missing()),
    }
}

fn decide_with(definitions: &Definitions, look: &Looker<'_>, key: &Key) -> Looked<Decision> {
    let here = match look.here()? {
        Ok(here) => here,
        Err(why) => return Ok(Decision::waiting(&*why)),
    };
    let catalog = match look.head(&here.catalog, &here.branch)? {
        Ok(Some(head)) => head,
        Ok(None) => {
            return Ok(Decision::waiting(format!("`{}` has no branch `{}`", here.catalog, here.branch)));
        }
        Err(why) => return Ok(Decision::waiting(&*why)),
    };
    let site = Site::new(look, here, definitions, catalog);
    if definitions.settings.mode == Mode::Off {
        return Ok(Decision::nothing());
    }
    let mut decision = match key {
        Key::Issue(number) => issue::decide(&site, *number),
        Key::Pull(number) => review::decide(&site, *number),
        Key::Request(id) => execute::decide(&site, id),
        Key::Timers => ttl::decide(&site),
    }?;
    if definitions.settings.mode == Mode::Observe {
        decision.steps.retain(Step::only_speaks);
    }
    Ok(decision)
}

/// The step that makes our comment of one purpose say `body`, and those that remove its doubles.
fn say(repository: &RepoName, number: u64, comments: &[Comment], body: String) -> Vec<Step> {
    let marker = message::marker_of(&body).to_owned();
    let mut ours = comments.iter().filter(|comment| message::marker_of(&comment.body) == marker);
    let kept = ours.next();
    let mut steps = Vec::new();
    if kept.is_none_or(|comment| comment.body.trim_end() != body.trim_end()) {
        let comment = kept.map(|comment| comment.id);
        steps.push(Step::Call(Call::Say { repository: repository.clone(), number, body, comment }));
    }
    for double in ours {
        steps.push(Step::Call(Call::Unsay { repository: repository.clone(), comment: double.id }));
    }
    steps
}
