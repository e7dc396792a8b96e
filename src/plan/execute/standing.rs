//! Does what was merged still stand, as things are now? Whoever asked must still be allowed to. The policies of the moment are asked
//! before anything is done, and so is what the action asks for by now; both can only tighten: a refusal ends the run as denied, and so does a rule of approval that the plan did not have, unless those whom it names
//! approved before the merge all the same. What time may mend, and a freeze, lets it wait in the open.

use std::collections::BTreeSet;

use super::{Job, consent::consent, why_not};
use crate::{
    catalog::{values::Segment, yaml::Document},
    domain::{Action, Login, ObjectId, Pull, RequestFile, Timestamp},
    intake::Accepted,
    plan::{
        Decision, admit,
        approval::Judgement,
        asking::{self, Asking},
        facts::Looked,
        plan_file::{Plan, PlannedRule},
        policy::{self, Moment},
        rules,
        step::{Call, Step},
        ttl,
    },
};

/// How a merged request stands to the policies.
pub(super) enum Standing {
    /// Nothing is against it; these approved what a policy wants by now.
    Free(BTreeSet<Login>),
    /// It is refused, and why.
    Denied(String),
    /// It waits, and for what.
    Waits(String),
}

/// A merged request, as policies see it.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    job: &'a Job<'a>,
    pull: &'a Pull,
    /// The commit that it was merged onto.
    before: Option<ObjectId>,
    action: &'a Action,
    plan: &'a Plan,
    at: Timestamp,
}

impl<'a> Seen<'a> {
    /// A request that was merged onto a commit at a moment.
    pub(super) fn new(
        job: &'a Job<'a>,
        pull: &'a Pull,
        before: Option<ObjectId>,
        action: &'a Action,
        plan: &'a Plan,
        at: Timestamp,
    ) -> Self {
        Self { job, pull, before, action, plan, at }
    }

    fn asking(&self, accepted: &'a Accepted) -> Asking<'a> {
        let Self { job, action, plan, .. } = *self;
        Asking { action, accepted, people: &job.requesters, steps: &plan.steps, entities: &plan.entities }
    }

    fn consent(&self, rules: &[PlannedRule]) -> Looked<Result<Judgement, String>> {
        consent(self.job.site, self.job, self.pull, self.before, self.plan, rules, self.at)
    }

    /// Asks the policies about a request that was not begun.
    pub(super) fn stand(&self, file: &RequestFile, document: &Document) -> Looked<Standing> {
        let site = self.job.site;
        if let Err(why) = may_still_ask(self.job, self.plan, self.action, (file, document))? {
            return Ok(Standing::Denied(why));
        }
        let present = site.definitions.actions.get(&self.plan.asked.action).map(|action| &action.value);
        let tightened = present.filter(|present| present.approval != self.action.approval);
        let no_policies = site.definitions.policies.is_empty() && site.definitions.broken_policies.is_empty();
        if no_policies && tightened.is_none() {
            return Ok(Standing::Free(BTreeSet::new()));
        }
        let accepted = match asking::accepted(site, self.action, self.plan)? {
            Ok(accepted) => accepted,
            Err(why) => return Ok(Standing::Waits(format!("policies could not be asked: {why}"))),
        };
        let asking = self.asking(&accepted);
        let ruling = policy::judge(site, self.job.id, &asking, Moment::Merged);
        let frozen = self.frozen(&asking);
        // What the action asks for by now, of what was asked as the action was.
        let by_now =
            tightened.map(|present| Action { approval: present.approval.clone(), ..self.action.clone() });
        let of_action = match &by_now {
            Some(action) => rules::of_action(site, &Asking { action, ..asking }, Vec::new()),
            None => Ok(Ok(Vec::new())),
        };
        let ruling = ruling?;
        if let Some(refusal) = ruling.refusals.first() {
            return Ok(Standing::Denied(refusal.message.clone()));
        }
        let of_action = match of_action? {
            Ok(rules) => rules,
            Err(problems) => {
                let why = problems.first().map_or("", |problem| problem.message.as_str());
                return Ok(Standing::Denied(format!("who must approve it by now cannot be told: {why}")));
            }
        };
        let mut approved = BTreeSet::new();
        for (who, rules) in [("a policy", &ruling.rules), ("the action", &of_action)] {
            let is_new = |rule: &&PlannedRule| !self.plan.approval.contains(rule);
            let added: Vec<PlannedRule> = rules.iter().filter(is_new).cloned().collect();
            if added.is_empty() {
                continue;
            }
            match self.consent(&added)? {
                Err(why) => return Ok(Standing::Waits(why)),
                Ok(judgement) if judgement.is_given() => approved.extend(judgement.approved_by()),
                Ok(judgement) => {
                    return Ok(Standing::Denied(format!(
                        "{who} asks for more approvals than it did when this was planned: {}",
                        why_not(&judgement)
                    )));
                }
            }
        }
        if let Some(why) = ruling.waits.first() {
            return Ok(Standing::Waits(why.clone()));
        }
        Ok(match frozen? {
            Ok(exceptions) => {
                approved.extend(exceptions);
                Standing::Free(approved)
            }
            Err(why) => Standing::Waits(why),
        })
    }

    /// Whether a freeze holds now from which nobody made an exception: what for it waits, or who did.
    fn frozen(&self, asking: &Asking<'_>) -> Looked<Result<BTreeSet<Login>, String>> {
        let frozen = match policy::frozen(self.job.site, asking)? {
            Ok(frozen) => frozen,
            Err(why) => return Ok(Err(why)),
        };
        let mut approved = BTreeSet::new();
        for freeze in frozen {
            if !freeze.unless.is_empty() {
                match self.consent(&freeze.unless)? {
                    Ok(judgement) if judgement.is_given() => {
                        approved.extend(judgement.approved_by());
                        continue;
                    }
                    Ok(_) => {}
                    Err(why) => return Ok(Err(why)),
                }
            }
            return Ok(Err(format!("the policy `{}` freezes it {}", freeze.policy, freeze.until())));
        }
        Ok(Ok(approved))
    }

    /// What is begun goes on to its end in a freeze; only Chandlery itself merges nothing.
    pub(super) fn without_merges(&self, mut decision: Decision) -> Looked<Decision> {
        let merges = |step: &Step| matches!(step, Step::Call(Call::Merge { .. } | Call::Enqueue { .. }));
        if !decision.steps.iter().any(merges) || self.job.site.definitions.policies.is_empty() {
            return Ok(decision);
        }
        let is_free = match asking::accepted(self.job.site, self.action, self.plan)? {
            Ok(accepted) => self.frozen(&self.asking(&accepted))?.is_ok(),
            Err(_) => false,
        };
        if !is_free {
            decision.steps.retain(|step| !merges(step));
        }
        Ok(decision)
    }
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
    let allowed = match ttl::asks(site, job.id, &job.requesters) {
        true => Ok(Ok(())),
        false => admit::may_ask(site, &action, &job.requesters, &whole),
    };
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
