//! Is now a time in which this request is not carried out? It is planned and may be approved all the same.

use std::collections::BTreeSet;

use crate::{
    domain::{Login, PolicyId},
    plan::{
        approval::Judgement,
        asking::{self, Asking},
        build::Site,
        facts::Looked,
        message,
        plan_file::{Plan, PlannedRule},
        policy::{self, Frozen},
    },
};

/// Why a request is held up.
pub(in crate::plan) struct Held {
    /// By which policy, if that is known.
    pub(in crate::plan) policy: Option<PolicyId>,
    /// Until when and by what, in a few words.
    pub(in crate::plan) short: String,
    /// The same in a sentence, with what would make an exception.
    pub(in crate::plan) note: String,
}

/// What holds a request up now; `judge` says whether the people of some rules agreed.
pub(in crate::plan) fn held(
    site: &Site<'_>,
    people: &BTreeSet<Login>,
    plan: &Plan,
    judge: &dyn Fn(&[PlannedRule]) -> Looked<Judgement>,
) -> Looked<Vec<Held>> {
    let action = site.definitions.actions.get(&plan.asked.action);
    let (Some(action), false) = (action, site.definitions.policies.is_empty()) else { return Ok(Vec::new()) };
    let unclear = |why: String| {
        let short = "it is not known whether it is frozen".to_owned();
        let note = format!("It cannot be said whether this is frozen: {why}");
        Ok(vec![Held { policy: None, note, short }])
    };
    let accepted = match asking::accepted(site, &action.value, plan)? {
        Ok(accepted) => accepted,
        Err(why) => return unclear(why),
    };
    let asking = Asking {
        action: &action.value,
        accepted: &accepted,
        people,
        steps: &plan.steps,
        entities: &plan.entities,
    };
    let frozen = match policy::frozen(site, &asking)? {
        Ok(frozen) => frozen,
        Err(why) => return unclear(why),
    };
    let mut held = Vec::new();
    for freeze in frozen {
        let exception = if freeze.unless.is_empty() { None } else { Some(judge(&freeze.unless)?) };
        if exception.as_ref().is_some_and(Judgement::is_given) {
            continue;
        }
        let note = note(&freeze, exception.as_ref(), !plan.approval.is_empty());
        held.push(Held { policy: Some(freeze.policy.clone()), short: short(&freeze), note });
    }
    Ok(held)
}

fn short(freeze: &Frozen) -> String {
    format!("frozen {} by {}", freeze.until(), freeze.policy)
}

fn note(freeze: &Frozen, exception: Option<&Judgement>, needs_approval: bool) -> String {
    let title = if freeze.title == freeze.policy.as_str() {
        String::new()
    } else {
        format!(" ({})", message::plain(&freeze.title))
    };
    let unless = exception
        .map_or_else(String::new, |judgement| format!(" Exception: {}.", message::missing(judgement)));
    let meanwhile = if needs_approval { "It can be approved meanwhile; what" } else { "What" };
    format!(
        "The policy `{}`{title} freezes it {}. {meanwhile} is merged before is carried out afterwards.{unless}",
        freeze.policy,
        freeze.until()
    )
}
