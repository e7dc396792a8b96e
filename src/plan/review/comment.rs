//! What does our comment on a pull request say of one of its requests?

use std::collections::{BTreeMap, BTreeSet};

use super::{
    freeze::Held,
    request::{Asked, stage_of},
};
use crate::{
    catalog::Mode,
    domain::{MergeMode, Pull, Stage},
    plan::{
        approval::Judgement,
        build::{Built, Site},
        message, notice,
        step::Step,
    },
};

/// What is told of a pull request that has left the merge queue.
fn queue_note(says: &Result<(), String>) -> String {
    match says {
        Ok(()) => "It has left the merge queue. Put there now, it would get through.".to_owned(),
        Err(why) => format!("It has left the merge queue, and put there now it would leave it again: {why}."),
    }
}

/// Has our comment about a request say where it stands.
pub(super) fn comment(
    site: &Site<'_>,
    pull: &Pull,
    request: &Asked,
    judgement: Option<&Judgement>,
    given: bool,
    (held, queue): (&[Held], Option<&Result<(), String>>),
) -> Vec<Step> {
    let action =
        |built: &Built| site.definitions.actions.get(&built.plan.asked.action).map(|defined| &defined.value);
    match request.plan() {
        Err(problems) => {
            let about = message::About {
                id: &request.name,
                action: None,
                requesters: &request.requesters,
                stage: Stage::Invalid,
            };
            let contact = site.definitions.settings.contact.as_deref();
            notice::tell(site, pull, &about, None, message::mistakes(&about, problems, contact))
        }
        Ok(built) => {
            let about = message::About {
                id: &request.name,
                action: action(built),
                requesters: &request.requesters,
                stage: stage_of(request),
            };
            let nothing = Judgement {
                rules: Vec::new(),
                refused_by: BTreeSet::new(),
                blocked: Vec::new(),
                void: BTreeMap::new(),
                stale: BTreeSet::new(),
            };
            let mut judgement = judgement.unwrap_or(&nothing).clone();
            if site.definitions.settings.mode == Mode::Observe {
                // No plan was committed that an approval could be about.
                judgement.blocked.clear();
                judgement.void.clear();
            }
            let auto = action(built).is_some_and(|action| action.merge == MergeMode::Auto);
            let mut notes: Vec<String> = held.iter().map(|held| held.note.clone()).collect();
            notes.extend(queue.map(queue_note));
            let observes = site.definitions.settings.mode == Mode::Observe;
            if pull.author.as_ref() != Some(&site.here.me) && !built.is_noop() && !observes {
                notes.push(
                    "The plan was committed to your branch: `git pull --rebase` before you push again."
                        .to_owned(),
                );
            }
            let next = if site.definitions.settings.mode == Mode::Observe {
                message::OBSERVES
            } else if built.is_noop() {
                "nothing would change: it is as asked already. Close this, or ask for something else."
            } else if pull.draft {
                "this is a draft. Mark it as ready for review to have it approved."
            } else if given && !held.is_empty() && auto {
                "approved, and frozen. When the freeze ends, Chandlery merges it."
            } else if given && !held.is_empty() {
                "approved, and frozen. When the freeze ends, it may be merged."
            } else if given && queue.is_some_and(|says| says.is_err()) {
                "approved. It does not get through the merge queue yet."
            } else if given && auto {
                "approved. Chandlery merges it."
            } else if given {
                "approved. Merge it, and Chandlery carries it out."
            } else if judgement.is_given() {
                "approved; the other requests of this pull request are not."
            } else {
                "approve by reviewing this pull request."
            };
            let body = message::planned(&about, built, &judgement, &notes, next);
            notice::tell(site, pull, &about, None, body)
        }
    }
}
