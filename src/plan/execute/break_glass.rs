//! Was a request that was merged past the rules released by an administrator?
//!
//! Where the settings allow it, such a request waits for a while. What releases it is a comment on its pull request,
//! `/break-glass REASON`, that nobody edited, written after the merge and in time by a person who is an administrator
//! of the catalog by then. It stands in for approvals, and for nothing else: what was merged must be the very plan
//! that our check was about.

use super::Job;
use crate::{
    domain::{BreakGlass, Permission, Pull, Timestamp},
    plan::{
        Decision,
        approval::Judgement,
        command::{self, BREAK_GLASS},
        facts::{Looked, Pending},
        message, ttl,
    },
};

/// What becomes of a request that was merged past the rules.
pub(super) enum Broken {
    /// It is carried out.
    Yes(BreakGlass),
    /// Somebody may still release it, until then.
    Waits(Timestamp),
    /// It ends.
    No,
    Unclear(String),
}

pub(super) fn broken(job: &Job<'_>, pull: &Pull, judgement: &Judgement) -> Looked<Broken> {
    let site = job.site;
    let (Some(within), Some(merged_at)) = (site.definitions.settings.break_glass, pull.merged_at) else {
        return Ok(Broken::No);
    };
    // Nobody can say that this is what was planned.
    if !judgement.blocked.is_empty() {
        return Ok(Broken::No);
    }
    let until = Timestamp::from_seconds(merged_at.seconds() + within);
    let mut pending = false;
    let mut unclear = None;
    for command in command::commands(&pull.remarks) {
        let in_time = command.at >= merged_at && command.at <= until;
        if command.word != BREAK_GLASS || command.rest.is_empty() || !in_time || command.by.is_app() {
            continue;
        }
        match site.look.permission(&site.here.catalog, command.by) {
            Err(Pending) => pending = true,
            Ok(Ok(Permission::Admin)) => {
                return Ok(Broken::Yes(BreakGlass {
                    by: command.by.clone(),
                    reason: message::shortened(command.rest),
                }));
            }
            Ok(Ok(_)) => {}
            Ok(Err(why)) => {
                unclear = Some(format!("what `{}` may do could not be learnt: {why}", command.by));
            }
        }
    }
    if pending {
        return Err(Pending);
    }
    if let Some(why) = unclear {
        return Ok(Broken::Unclear(why));
    }
    Ok(match ttl::now(site)? {
        Ok(now) if now <= until => Broken::Waits(until),
        Ok(_) => Broken::No,
        Err(why) => Broken::Unclear(why),
    })
}

/// Denied, but for an administrator who says otherwise: said, and not recorded yet.
pub(super) fn wait(job: &Job<'_>, pull: &Pull, why: &str, until: Timestamp) -> Decision {
    let reason = format!("It was merged past the rules and nothing is executed: {why}");
    let next = format!(
        "nothing happens by itself. An administrator of this repository can have it carried out all the same until {until}: `chandlery approve-break-glass {} --reason …`, or a comment `/{BREAK_GLASS} REASON`. After that it ends as denied.",
        job.id
    );
    Decision {
        stages: [(job.id.clone(), crate::domain::Stage::Denied)].into(),
        steps: job.speak(pull, crate::domain::Stage::Denied, &[], Some(&reason), &next),
        ..Decision::nothing()
    }
}
