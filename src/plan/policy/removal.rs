//! How much is removed at once?

use super::{
    super::{asking, facts::Looked, plan_file::EntityOperation},
    Case, Finding, entity_id,
};
use crate::domain::BlueprintId;

/// The cap on what a plan removes: above it, named people must approve.
pub(super) fn judge(case: &Case<'_>) -> Looked<Vec<Finding>> {
    let Some(removals) = &case.policy.effects.removals else { return Ok(Vec::new()) };
    let gone = case.asking.entities.iter().filter(|planned| planned.change == EntityOperation::Delete);
    let gone = gone.filter(|planned| {
        let is_of = |of: &BlueprintId| entity_id(&planned.entity).is_none_or(|id| id.blueprint == *of);
        removals.of.as_ref().is_none_or(is_of)
    });
    let entities = gone.count();
    let pulls = case.asking.steps.iter().filter_map(|step| step.pull_request.as_ref());
    let deleted = pulls.flat_map(|pull| &pull.changes).filter(|change| asking::word(change) == "delete");
    let files = if removals.of.is_some() { 0 } else { deleted.count() };
    let what = match &removals.of {
        Some(of) => format!("{entities} of `{of}`"),
        None => format!(
            "{entities} {} and {files} {}",
            if entities == 1 { "entity" } else { "entities" },
            if files == 1 { "file" } else { "files" }
        ),
    };
    let mut over = Vec::new();
    if let Some(most) = removals.count.filter(|most| entities + files > *most as usize) {
        over.push(format!("at most {most} at once"));
    }
    if let (Some(share), Some(of)) = (removals.share, &removals.of)
        && entities > 0
    {
        match case.site.look.entities(case.site.catalog, of)? {
            Err(why) => return Ok(vec![case.unknown("removals", &why)]),
            Ok(all) => {
                let most = all.len() as f64 * share / 100.0;
                if entities as f64 > most {
                    over.push(format!("at most {share} of a hundred, and there are {}", all.len()));
                }
            }
        }
    }
    if over.is_empty() {
        return Ok(Vec::new());
    }
    if !removals.unless.is_empty() {
        match super::applied(case.site, case.asking, case.policy, &removals.unless)? {
            Ok(rules) if rules.is_empty() => {}
            Ok(rules) => return Ok(rules.into_iter().map(Finding::Approval).collect()),
            Err(problems) => return Ok(problems.into_iter().map(Finding::Unclear).collect()),
        }
    }
    let message = format!("allows {}, and this removes {what}", over.join(" and "));
    let help = "ask for less at a time";
    Ok(vec![Finding::Refused(case.refusal("policy-removals", "removals", &message, help))])
}
