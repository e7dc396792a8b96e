//! What do the policies of the moment say of what was merged? They are asked before anything is done, and can only tighten: a
//! refusal ends the run as denied, and so does a rule of approval that the plan did not have, unless those whom it names
//! approved before the merge all the same. What time may mend, and a freeze, lets it wait in the open.

use super::{Job, consent::consent, why_not};
use crate::{
    domain::{Action, ObjectId, Pull, Rule, Timestamp},
    plan::{
        asking::{self, Asking},
        facts::Looked,
        plan_file::{Plan, PlannedRule},
        policy::{self, Moment},
    },
};

/// How a merged request stands to the policies.
pub(super) enum Standing {
    /// Nothing is against it.
    Free,
    /// It is refused, and why.
    Denied(String),
    /// It waits, and for what.
    Waits(String),
}

/// Asks the policies about a merged request that was not begun.
pub(super) fn stand(
    job: &Job<'_>,
    pull: &Pull,
    before: Option<ObjectId>,
    action: &Action,
    plan: &Plan,
    merged_at: Timestamp,
) -> Looked<Standing> {
    let site = job.site;
    if site.definitions.policies.is_empty() && site.definitions.broken_policies.is_empty() {
        return Ok(Standing::Free);
    }
    let accepted = match asking::accepted(site, action, plan)? {
        Ok(accepted) => accepted,
        Err(why) => return Ok(Standing::Waits(format!("policies could not be asked: {why}"))),
    };
    let asking = Asking {
        action,
        accepted: &accepted,
        people: &job.requesters,
        steps: &plan.steps,
        entities: &plan.entities,
    };
    let ruling = policy::judge(site, job.id, &asking, Moment::Merged);
    let frozen = policy::frozen(site, &asking);
    let ruling = ruling?;
    if let Some(refusal) = ruling.refusals.first() {
        return Ok(Standing::Denied(refusal.message.clone()));
    }
    let is_new = |rule: &&Rule| !plan.approval.contains(&PlannedRule::of(rule));
    let added: Vec<Rule> = ruling.rules.iter().filter(is_new).cloned().collect();
    if !added.is_empty() {
        match consent(site, job, pull, before, plan, &added, merged_at)? {
            Err(why) => return Ok(Standing::Waits(why)),
            Ok(judgement) if judgement.is_given() => {}
            Ok(judgement) => {
                return Ok(Standing::Denied(format!(
                    "a policy asks for more approvals than it did when this was planned: {}",
                    why_not(&judgement)
                )));
            }
        }
    }
    if let Some(why) = ruling.waits.first() {
        return Ok(Standing::Waits(why.clone()));
    }
    for freeze in match frozen? {
        Ok(frozen) => frozen,
        Err(why) => return Ok(Standing::Waits(why)),
    } {
        if !freeze.unless.is_empty() {
            match consent(site, job, pull, before, plan, &freeze.unless, merged_at)? {
                Ok(judgement) if judgement.is_given() => continue,
                Ok(_) => {}
                Err(why) => return Ok(Standing::Waits(why)),
            }
        }
        let (policy, until) = (&freeze.policy, freeze.until());
        return Ok(Standing::Waits(format!("the policy `{policy}` freezes it {until}")));
    }
    Ok(Standing::Free)
}
