//! Are there enough approvals for each rule? Where rules want people of their own, each person stands for one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::RuleState;
use crate::{domain::Login, plan::plan_file::PlannedRule};

/// A rule, who may approve for it and who has.
pub(super) struct Standing<'a> {
    pub(super) rule: &'a PlannedRule,
    /// Those it names who may approve this request.
    pub(super) eligible: BTreeSet<Login>,
    /// Those whose approval counts for it.
    pub(super) given: BTreeSet<Login>,
    /// Why it cannot be told who may.
    pub(super) problem: Option<String>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(rule: &'a PlannedRule) -> Self {
        Self { rule, eligible: BTreeSet::new(), given: BTreeSet::new(), problem: None }
    }

    fn needed(&self) -> usize {
        self.rule.count.map_or_else(|| self.eligible.len().max(1), |count| count.max(1) as usize)
    }

    fn state(self, assigned: Option<BTreeSet<Login>>, apart: Option<String>) -> RuleState {
        let needed = self.needed();
        let (name, distinct) = (self.rule.name.clone(), self.rule.distinct);
        if self.problem.is_some() {
            let (given, candidates) = (BTreeSet::new(), Some(BTreeSet::new()));
            return RuleState { name, given, missing: 1, candidates, distinct, problem: self.problem };
        }
        let few = (!self.rule.writers && self.eligible.len() < needed).then(|| {
            let who = if self.eligible.len() == 1 { "person" } else { "people" };
            let count = self.eligible.len();
            format!("it needs {needed}, and only {count} {who} named by it may approve this request")
        });
        // Whoever approved and stands for another rule is no candidate for this one.
        let all_given = self.given;
        let candidates =
            (!self.rule.writers).then(|| self.eligible.difference(&all_given).cloned().collect());
        let given = assigned.unwrap_or(all_given);
        let missing = needed.saturating_sub(given.len());
        RuleState { name, missing, given, candidates, distinct, problem: few.or(apart) }
    }
}

/// How each rule stands.
pub(super) fn hold(rules: Vec<Standing<'_>>) -> Vec<RuleState> {
    let mut assigned = assign(&rules, |rule| &rule.given);
    let apart = together(&rules);
    let state = |(index, rule): (usize, Standing<'_>)| {
        let own = rule.rule.distinct.then(|| assigned.remove(&index).unwrap_or_default());
        let apart = apart.clone().filter(|_| rule.rule.distinct);
        rule.state(own, apart)
    };
    rules.into_iter().enumerate().map(state).collect()
}

/// Why rules that want people of their own cannot all be satisfied, whoever approves.
fn together(rules: &[Standing<'_>]) -> Option<String> {
    let apart: Vec<&Standing<'_>> =
        rules.iter().filter(|rule| rule.rule.distinct && rule.problem.is_none()).collect();
    // Everybody with write access is more than can be counted here.
    if apart.iter().any(|rule| rule.rule.writers) {
        return None;
    }
    let needed: usize = apart.iter().map(|rule| rule.needed()).sum();
    let found: usize = assign(rules, |rule| &rule.eligible).values().map(BTreeSet::len).sum();
    (found < needed).then(|| {
        format!(
            "the rules need {needed} different people, and those named can stand for {found} of them only"
        )
    })
}

/// Gives as many places of the rules that want people of their own as can be filled to one person each; by the number
/// of the rule.
fn assign<'a>(
    rules: &'a [Standing<'_>],
    people: impl Fn(&'a Standing<'a>) -> &'a BTreeSet<Login>,
) -> BTreeMap<usize, BTreeSet<Login>> {
    let mut place_of: BTreeMap<&Login, usize> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.rule.distinct) {
        for _ in 0..rule.needed() {
            if !place(index, rules, &people, &mut place_of, &mut BTreeSet::new()) {
                break;
            }
        }
    }
    let mut assigned: BTreeMap<usize, BTreeSet<Login>> = BTreeMap::new();
    for (login, index) in place_of {
        assigned.entry(index).or_default().insert(login.clone());
    }
    assigned
}

/// Finds somebody for one more place of a rule; whoever stands for another rule may move if that finds somebody else.
fn place<'a>(
    index: usize,
    rules: &'a [Standing<'_>],
    people: &impl Fn(&'a Standing<'a>) -> &'a BTreeSet<Login>,
    place_of: &mut BTreeMap<&'a Login, usize>,
    seen: &mut BTreeSet<&'a Login>,
) -> bool {
    for login in people(&rules[index]) {
        if place_of.get(login) == Some(&index) || !seen.insert(login) {
            continue;
        }
        let is_free = match place_of.get(login).copied() {
            None => true,
            Some(other) => place(other, rules, people, place_of, seen),
        };
        if is_free {
            place_of.insert(login, index);
            return true;
        }
    }
    false
}
