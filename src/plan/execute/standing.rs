//! Does what was merged still stand, as things are now? Whoever asked must still be allowed to. The policies of the moment are asked
//! before anything is done, and can only tighten: a refusal ends the run as denied, and so does a rule of approval that the plan did not have, unless those whom it names
//! approved before the merge all the same. What time may mend, and a freeze, lets it wait in the open.

use super::{Job, consent::consent, why_not};
use crate::{
    catalog::{values::Segment, yaml::Document},
    domain::{Action, ObjectId, Pull, RequestFile, Rule, Timestamp},
    plan::{
        admit,
        asking::{self, Asking},
        build::Site,
        facts::Looked,
        plan_file::{Plan, PlannedRule},
        policy::{self, Moment},
        rules,
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
    asked: (&RequestFile, &Document),
    merged_at: Timestamp,
) -> Looked<Standing> {
    let site = job.site;
    if let Err(why) = may_still_ask(job, plan, action, asked)? {
        return Ok(Standing::Denied(why));
    }
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
    let added = match applied(site, &asking, &ruling.rules)? {
        Ok(rules) => rules.into_iter().filter(|rule| !plan.approval.contains(rule)).collect::<Vec<_>>(),
        Err(why) => return Ok(Standing::Waits(why)),
    };
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
            let unless = match applied(site, &asking, &freeze.unless)? {
                Ok(rules) => rules,
                Err(why) => return Ok(Standing::Waits(why)),
            };
            match consent(site, job, pull, before, plan, &unless, merged_at)? {
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

/// The rules of policies that apply, or why that cannot be told.
fn applied(site: &Site<'_>, asking: &Asking<'_>, said: &[Rule]) -> Looked<Result<Vec<PlannedRule>, String>> {
    let found = rules::apply(site, asking, said, &rules::action_place(site, asking))?;
    Ok(found.map_err(|problems| {
        problems.into_iter().map(|problem| problem.message).collect::<Vec<_>>().join("; ")
    }))
}

/// Whether those who asked may ask for this, as things are now: what was asked is as the action was, and who may is as it is.
fn may_still_ask(
    job: &Job<'_>,
    plan: &Plan,
    pinned: &Action,
    (file, document): (&RequestFile, &Document),
) -> Looked<Result<(), String>> {
    let site = job.site;
    let place = |path: &[Segment]| document.place(path);
    let whole = place(&[Segment::Key("action".into())]);
    let present = site.definitions.actions.get(&plan.asked.action).map(|action| &action.value);
    let action = Action { execute: present.unwrap_or(pinned).execute.clone(), ..pinned.clone() };
    let allowed = admit::may_ask(site, &action, &job.requesters, &whole);
    let accepted = admit::accept(site, &action, job.id, file, &job.requesters, &place);
    if let Err(problem) = allowed? {
        return Ok(Err(problem.message));
    }
    // What does not hold of the request itself is told where it begins.
    let Ok(accepted) = accepted? else { return Ok(Ok(())) };
    let (steps, entities) = (&plan.steps, &plan.entities);
    let asking = Asking { action: &action, accepted: &accepted, people: &job.requesters, steps, entities };
    Ok(rules::may_ask_this(site, &asking, &whole)?.map_err(|problem| problem.message))
}
