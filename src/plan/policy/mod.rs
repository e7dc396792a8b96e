//! What do the policies say of a request? The same when it is planned and when it was merged; they can only tighten what its
//! action says.
//!
//! Each effect of each policy is looked at by itself, and everything that is found is told. What cannot be learnt, and a
//! program that fails, refuses: at planning with words, at the merge by waiting where time may mend it. A freeze is no part
//! of a plan (`freeze`): it says when, not whether.

mod cost;
mod freeze;
mod history;
mod limit;
mod place;
mod removal;
mod ttl;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    admit,
    asking::{self, Asking},
    build::Site,
    facts::{Looked, Pending, all},
    plan_file::PlannedRule,
    rules,
};
use crate::{
    domain::{
        BlueprintId, Counted, Diagnostic, EntityId, Login, Place, Policy, PolicyId, RequestId, Rule,
        Timestamp,
    },
    expr::{Expression, Input},
};

pub(super) use freeze::{Frozen, frozen};
pub(super) use history::plan;
pub(super) use place::not_granted;

/// When policies are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// While a request is planned.
    Planned,
    /// When it was merged, before anything is done.
    Merged,
}

/// What policies say.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Ruling {
    /// Why it is refused.
    pub(super) refusals: Vec<Diagnostic>,
    /// Who must approve, too, each named after its policy.
    pub(super) rules: Vec<PlannedRule>,
    /// Why it cannot be said yet; only once it was merged.
    pub(super) waits: Vec<String>,
}

/// What one effect of a policy comes to.
enum Finding {
    /// Refused.
    Refused(Diagnostic),
    /// Refused as things are, and perhaps not for long.
    Unclear(Diagnostic),
    /// Somebody must approve.
    Approval(PlannedRule),
    /// It does not object; what it saw, for whoever asks why.
    Noted(String),
}

/// What one policy says of a request, for whoever asks why.
#[derive(Debug)]
pub(super) enum Says {
    /// It is about other requests.
    OfOthers,
    /// Its `when` does not hold.
    NotWhen,
    /// What follows from it; freezes are told by [`frozen`].
    Follows(Ruling, Vec<String>),
}

/// One policy, asked of one request.
#[derive(Clone, Copy)]
struct Case<'a> {
    site: &'a Site<'a>,
    id: &'a RequestId,
    asking: &'a Asking<'a>,
    policy: &'a Policy,
    /// What is asked about, for each requester whom it concerns.
    contexts: &'a [Input],
    moment: Moment,
}

/// Asks early what policies will need to know of those who ask.
pub(super) fn ask_of_people_early(site: &Site<'_>, people: &BTreeSet<Login>) -> Looked<()> {
    if site.definitions.policies.is_empty() {
        return Ok(());
    }
    let with_teams = site.definitions.policies.values().flat_map(programs).any(asks_teams);
    all(people.iter().map(|login| admit::user(site, login, with_teams)))
}

/// Asks early what policies that count will need, so that it is answered together with the rest.
pub(super) fn ask_early(site: &Site<'_>) -> Looked<()> {
    let asked = |policy: &Policy| match policy.effects.limit.as_ref().map(|limit| &limit.of) {
        Some(Counted::Requests { within, .. }) => history::ask_early(site, *within),
        Some(Counted::Entities { .. }) => history::ask_early(site, 0),
        None if policy.effects.cost.is_some() => history::ask_early(site, 0),
        None => Ok(()),
    };
    all(site.definitions.policies.values().map(asked))
}

/// Asks every policy that concerns a request.
///
/// # Errors
/// `Pending` while answers are awaited.
pub(super) fn judge(site: &Site<'_>, id: &RequestId, asking: &Asking<'_>, moment: Moment) -> Looked<Ruling> {
    let found = findings(site, id, asking, moment)?;
    Ok(ruling(found.into_iter().flat_map(|(_, found)| found), moment).0)
}

/// The same, policy by policy; a policy that cannot be read goes by its path.
///
/// # Errors
/// `Pending` while answers are awaited.
pub(super) fn told(
    site: &Site<'_>,
    id: &RequestId,
    asking: &Asking<'_>,
    moment: Moment,
) -> Looked<BTreeMap<String, Says>> {
    let mut found: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for (policy, findings) in findings(site, id, asking, moment)? {
        found.entry(policy).or_default().extend(findings);
    }
    let follows = |findings: Vec<Finding>| {
        let (ruling, noted) = ruling(findings, moment);
        Says::Follows(ruling, noted)
    };
    let mut all: BTreeMap<String, Says> =
        found.into_iter().map(|(policy, findings)| (policy, follows(findings))).collect();
    let touched = touched(asking);
    for policy in site.definitions.policies.values() {
        let covers = policy.concerns.covers(&asking.action.identifier, touched.iter());
        all.entry(policy.identifier.to_string()).or_insert(if covers {
            Says::NotWhen
        } else {
            Says::OfOthers
        });
    }
    Ok(all)
}

fn ruling(found: impl IntoIterator<Item = Finding>, moment: Moment) -> (Ruling, Vec<String>) {
    let (mut ruling, mut noted) = (Ruling::default(), Vec::new());
    for finding in found {
        match finding {
            Finding::Refused(diagnostic) => ruling.refusals.push(diagnostic),
            Finding::Unclear(diagnostic) => match moment {
                Moment::Planned => ruling.refusals.push(diagnostic),
                Moment::Merged => ruling.waits.push(diagnostic.message),
            },
            Finding::Approval(rule) if !ruling.rules.contains(&rule) => ruling.rules.push(rule),
            Finding::Approval(_) => {}
            Finding::Noted(what) => noted.push(what),
        }
    }
    (ruling, noted)
}

/// What is found, by policy: first those that cannot be read or asked, then all that concern the request, though nothing
/// may follow from some.
fn findings(
    site: &Site<'_>,
    id: &RequestId,
    asking: &Asking<'_>,
    moment: Moment,
) -> Looked<Vec<(String, Vec<Finding>)>> {
    let mut all = broken(site, asking);
    let (mut pending, mut failed) = (false, Vec::new());
    let concerning = concerning(site, asking, &mut pending, &mut failed);
    all.extend(failed.into_iter().map(|(policy, finding)| (policy.to_string(), vec![finding])));
    for (policy, contexts) in concerning {
        let mut found = Vec::new();
        let case = Case { site, id, asking, policy, contexts: &contexts, moment };
        let effects = &policy.effects;
        if let Some(message) = &effects.deny {
            let why = format!("the policy `{}` does not allow it: {message}", policy.identifier);
            let help = case.help("ask for something else, or ask the platform team for an exception");
            found.push(Finding::Refused(case.diagnostic("policy-denied", "deny", why).help(help)));
        }
        match applied(site, asking, policy, &effects.approval) {
            Err(Pending) => pending = true,
            Ok(Ok(rules)) => found.extend(rules.into_iter().map(Finding::Approval)),
            Ok(Err(problems)) => found.extend(problems.into_iter().map(Finding::Unclear)),
        }
        found.extend(place::judge(&case));
        for family in [removal::judge, ttl::judge, limit::judge, cost::judge] {
            match family(&case) {
                Ok(findings) => found.extend(findings),
                Err(Pending) => pending = true,
            }
        }
        all.push((policy.identifier.to_string(), found));
    }
    if pending { Err(Pending) } else { Ok(all) }
}

/// A policy that cannot be read might refuse whatever it concerns, so it does.
fn broken(site: &Site<'_>, asking: &Asking<'_>) -> Vec<(String, Vec<Finding>)> {
    let touched = touched(asking);
    let concerns = |broken: &&crate::catalog::BrokenPolicy| {
        let concerns = broken.concerns.as_ref();
        concerns.is_none_or(|concerns| concerns.covers(&asking.action.identifier, touched.iter()))
    };
    let told = |broken: &crate::catalog::BrokenPolicy| {
        let message =
            format!("the policy in `{}` has mistakes, so nothing that it may concern is done", broken.path);
        let problem = Diagnostic::error("broken-policy", Place::file(broken.path.as_str()), message)
            .help("the platform team must mend it; `chandlery validate` names them");
        (broken.path.to_string(), vec![Finding::Unclear(problem)])
    };
    site.definitions.broken_policies.iter().filter(concerns).map(told).collect()
}

/// The blueprints that a request is about or changes entities of.
fn touched(asking: &Asking<'_>) -> Vec<BlueprintId> {
    let said = asking.action.entities.iter().map(|change| change.blueprint.clone());
    let planned = asking.entities.iter().filter_map(|planned| Some(entity_id(&planned.entity)?.blueprint));
    let mut all: Vec<BlueprintId> = said.chain(planned).chain([asking.action.blueprint.clone()]).collect();
    all.sort();
    all.dedup();
    all
}

/// The policies that concern a request, each with what it is asked about.
fn concerning<'a>(
    site: &'a Site<'_>,
    asking: &Asking<'_>,
    pending: &mut bool,
    found: &mut Vec<(PolicyId, Finding)>,
) -> Vec<(&'a Policy, Vec<Input>)> {
    let touched = touched(asking);
    let covers = |policy: &&Policy| policy.concerns.covers(&asking.action.identifier, touched.iter());
    let policies: Vec<&Policy> = site.definitions.policies.values().filter(covers).collect();
    if policies.is_empty() {
        return Vec::new();
    }
    let with_teams = policies.iter().flat_map(|policy| programs(policy)).any(asks_teams);
    let contexts = match asking::contexts(site, asking, with_teams) {
        Err(Pending) => {
            *pending = true;
            return Vec::new();
        }
        Ok(Ok(contexts)) => contexts.iter().map(Input::from).collect::<Vec<_>>(),
        Ok(Err(why)) => {
            for policy in policies {
                let message = format!("the policy `{}` could not be asked: {why}", policy.identifier);
                let problem = failed(site, policy, message, "it is tried again on the next pass");
                found.push((policy.identifier.clone(), Finding::Unclear(problem)));
            }
            return Vec::new();
        }
    };
    let mut concerning = Vec::new();
    for policy in policies {
        if asking.people.is_empty() && programs(policy).any(|text| text.contains("requester")) {
            found.push((policy.identifier.clone(), Finding::Refused(nobody_named(site, policy, "when"))));
            continue;
        }
        let Some(text) = &policy.when else {
            concerning.push((policy, contexts.clone()));
            continue;
        };
        let mut holds = Vec::new();
        for context in &contexts {
            let answer = match Expression::parse(text) {
                Ok(expression) => expression.holds(context),
                Err(refusal) => Err(refusal.message),
            };
            match answer {
                Ok(true) => holds.push(context.clone()),
                Ok(false) => {}
                Err(why) => {
                    let message = format!("`when` of the policy `{}` fails: {why}", policy.identifier);
                    found.push((
                        policy.identifier.clone(),
                        Finding::Refused(failed(site, policy, message, MEND)),
                    ));
                    break;
                }
            }
        }
        if !holds.is_empty() {
            concerning.push((policy, holds));
        }
    }
    concerning
}

/// What is to be done about a program that fails.
const MEND: &str = "the platform team must mend the policy: a program that fails refuses";

fn failed(site: &Site<'_>, policy: &Policy, message: String, help: &str) -> Diagnostic {
    let file = format!("{}/{}.yaml", site.definitions.settings.folders.policies, policy.identifier);
    Diagnostic::error("policy-failed", Place::file(file), message).help(help)
}

/// A plan is shown for nobody, and the policy depends on who asks.
fn nobody_named(site: &Site<'_>, policy: &Policy, field: &str) -> Diagnostic {
    let mut place =
        Place::file(format!("{}/{}.yaml", site.definitions.settings.folders.policies, policy.identifier));
    place.field = Some(field.to_owned());
    let message =
        format!("what the policy `{}` says depends on who asks, and nobody is named", policy.identifier);
    Diagnostic::error("requester-unknown", place, message).help("name somebody with `--as LOGIN`")
}

/// The time, by a clock that is believed.
fn now(site: &Site<'_>) -> Looked<Result<Timestamp, String>> {
    super::ttl::now(site)
}

/// The programs of a policy.
fn programs(policy: &Policy) -> impl Iterator<Item = &str> {
    let estimate = policy.effects.cost.iter().map(|cost| cost.estimate.as_str());
    policy.when.as_deref().into_iter().chain(estimate)
}

/// Whether a program may speak of the requester's teams: unless it takes something else of them each time.
fn asks_teams(text: &str) -> bool {
    let others = [".login", ".identifier", ".name", ".email", ".properties", ".relations"];
    let takes_other = |at: usize| {
        let after = text[at + "requester".len()..].trim_start();
        others.iter().any(|field| after.starts_with(field))
    };
    text.match_indices("requester").any(|(at, _)| !takes_other(at))
}

impl Case<'_> {
    fn diagnostic(&self, code: &'static str, field: &str, message: String) -> Diagnostic {
        let folder = &self.site.definitions.settings.folders.policies;
        let mut place = Place::file(format!("{folder}/{}.yaml", self.policy.identifier));
        place.field = Some(field.to_owned());
        Diagnostic::error(code, place, message)
    }

    /// A refusal: `message` goes on after the policy's name.
    fn refusal(&self, code: &'static str, field: &str, message: &str, help: &str) -> Diagnostic {
        let title = match self.policy.title.as_str() {
            title if title == self.policy.identifier.as_str() => String::new(),
            title => format!(" ({title})"),
        };
        let message = format!("the policy `{}`{title} {message}", self.policy.identifier);
        self.diagnostic(code, field, message).help(self.help(help))
    }

    /// Something that could not be learnt.
    fn unknown(&self, field: &str, why: &str) -> Finding {
        let message = format!("the policy `{}` could not be asked: {why}", self.policy.identifier);
        Finding::Unclear(
            self.diagnostic("policy-failed", field, message).help("it is tried again on the next pass"),
        )
    }

    /// Nobody is known to ask, and it depends on that.
    fn nobody_named(&self, field: &str) -> Finding {
        Finding::Refused(nobody_named(self.site, self.policy, field))
    }

    /// What the policy says that people can do, or this.
    fn help(&self, usual: &str) -> String {
        self.policy.help.clone().unwrap_or_else(|| usual.to_owned())
    }
}

/// The rules of a policy that apply, under its name.
fn applied(
    site: &Site<'_>,
    asking: &Asking<'_>,
    policy: &Policy,
    rules: &[Rule],
) -> Looked<Result<Vec<PlannedRule>, Vec<Diagnostic>>> {
    let folder = &site.definitions.settings.folders.policies;
    let place = Place::file(format!("{folder}/{}.yaml", policy.identifier));
    let named = |rule: &Rule| Rule { name: format!("{}: {}", policy.identifier, rule.name), ..rule.clone() };
    let named: Vec<Rule> = rules.iter().map(named).collect();
    rules::apply(site, asking, &named, &place)
}

fn entity_id(text: &str) -> Option<EntityId> {
    let (blueprint, identifier) = text.split_once('/')?;
    Some(EntityId { blueprint: blueprint.parse().ok()?, identifier: identifier.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::asks_teams;

    #[test]
    fn teams_are_read_where_a_program_may_speak_of_them() {
        for text in [
            ".requester.teams | index(\"x\")",
            ".requester | .teams",
            ".requester[\"teams\"]",
            "[.requester]",
        ] {
            assert!(asks_teams(text), "{text}");
        }
        for text in [".inputs.size > 3", ".requester.login == \"ada\"", ".requester.properties.level"] {
            assert!(!asks_teams(text), "{text}");
        }
    }
}
