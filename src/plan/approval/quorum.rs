//! Are there enough approvals for each rule? Where rules want people of their own, each person stands for one of them.

use std::collections::{BTreeMap, BTreeSet};

use super::RuleState;
use crate::{
    domain::{Login, Timestamp},
    plan::plan_file::PlannedRule,
};

/// A rule, who may approve for it and who has.
pub(super) struct Standing<'a> {
    pub(super) rule: &'a PlannedRule,
    /// Those it names who may approve this request.
    pub(super) eligible: BTreeSet<Login>,
    /// Those whose approval counts for it.
    pub(super) given: BTreeSet<Login>,
    /// Until when each of these counts, where that runs out.
    pub(super) until: BTreeMap<Login, Timestamp>,
    /// Why it cannot be told who may.
    pub(super) problem: Option<String>,
}

impl<'a> Standing<'a> {
    pub(super) fn of(rule: &'a PlannedRule) -> Self {
        let (eligible, given, until) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { rule, eligible, given, until, problem: None }
    }

    /// Until when there are enough of those who approved, if there are now.
    fn runs_out(&self, given: &BTreeSet<Login>) -> Option<Timestamp> {
        let mut ends: Vec<Timestamp> =
            given.iter().filter_map(|login| self.until.get(login)).copied().collect();
        ends.sort_unstable_by(|one, other| other.cmp(one));
        ends.get(self.needed().checked_sub(1)?).copied()
    }

    fn needed(&self) -> usize {
        self.rule.count.map_or_else(|| self.eligible.len().max(1), |count| count.max(1) as usize)
    }

    fn state(self, apart: Option<Apart>) -> RuleState {
        let needed = self.needed();
        let (name, distinct) = (self.rule.name.clone(), self.rule.distinct);
        if self.problem.is_some() {
            let (given, candidates) = (BTreeSet::new(), Some(BTreeSet::new()));
            let (missing, until) = (1, None);
            return RuleState { name, given, missing, candidates, distinct, until, problem: self.problem };
        }
        let few = (!self.rule.writers && self.eligible.len() < needed).then(|| {
            let who = if self.eligible.len() == 1 { "person" } else { "people" };
            let count = self.eligible.len();
            format!("it needs {needed}, and only {count} {who} named by it may approve this request")
        });
        let Some(Apart { given, useful, problem }) = apart else {
            let candidates = self.eligible.difference(&self.given).cloned().collect();
            let missing = needed.saturating_sub(self.given.len());
            let candidates = (!self.rule.writers).then_some(candidates);
            let until = self.runs_out(&self.given);
            return RuleState { name, missing, given: self.given, candidates, distinct, until, problem: few };
        };
        let missing = needed.saturating_sub(given.len());
        let candidates = (!self.rule.writers).then_some(useful);
        let until = self.runs_out(&given);
        RuleState { name, missing, given, candidates, distinct, until, problem: few.or(problem) }
    }
}

/// How a rule stands that wants people of its own.
struct Apart {
    /// Who stands for it.
    given: BTreeSet<Login>,
    /// Whose approval would bring the rules further: somebody whom it names, or else somebody who frees one of those.
    useful: BTreeSet<Login>,
    /// Why not all such rules can be satisfied.
    problem: Option<String>,
}

/// How each rule stands.
pub(super) fn hold(rules: Vec<Standing<'_>>) -> Vec<RuleState> {
    let sets = |of: &dyn Fn(&Standing<'_>) -> BTreeSet<Login>| rules.iter().map(of).collect::<Vec<_>>();
    let given = sets(&|rule| rule.given.clone());
    let mut assigned = assign(&rules, &given);
    let filled = places(&assigned);
    let all: BTreeSet<&Login> =
        rules.iter().filter(|rule| rule.rule.distinct).flat_map(|rule| &rule.eligible).collect();
    let helps = |login: &&&Login| {
        let with = sets(&|rule| {
            let more = rule.eligible.get(**login).cloned();
            rule.given.iter().cloned().chain(more).collect()
        });
        places(&assign(&rules, &with)) > filled
    };
    let useful: BTreeSet<Login> = all.iter().filter(helps).map(|login| (*login).clone()).collect();
    let problem = together(&rules);
    let apart: Vec<Option<Apart>> = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let given = assigned.remove(&index).unwrap_or_default();
            let named: BTreeSet<Login> = rule.eligible.intersection(&useful).cloned().collect();
            let useful = if named.is_empty() { useful.clone() } else { named };
            rule.rule.distinct.then(|| Apart { given, useful, problem: problem.clone() })
        })
        .collect();
    rules.into_iter().zip(apart).map(|(rule, apart)| rule.state(apart)).collect()
}

fn places(assigned: &BTreeMap<usize, BTreeSet<Login>>) -> usize {
    assigned.values().map(BTreeSet::len).sum()
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
    let eligible: Vec<BTreeSet<Login>> = rules.iter().map(|rule| rule.eligible.clone()).collect();
    let found = places(&assign(rules, &eligible));
    (found < needed).then(|| {
        format!(
            "the rules need {needed} different people, and those named can stand for {found} of them only"
        )
    })
}

/// Gives as many places of the rules that want people of their own as can be filled to one of these people each; by the
/// number of the rule.
fn assign(rules: &[Standing<'_>], people: &[BTreeSet<Login>]) -> BTreeMap<usize, BTreeSet<Login>> {
    let mut place_of: BTreeMap<&Login, usize> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.rule.distinct) {
        for _ in 0..rule.needed() {
            if !place(index, people, &mut place_of, &mut BTreeSet::new()) {
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
    people: &'a [BTreeSet<Login>],
    place_of: &mut BTreeMap<&'a Login, usize>,
    seen: &mut BTreeSet<&'a Login>,
) -> bool {
    for login in &people[index] {
        if place_of.get(login) == Some(&index) || !seen.insert(login) {
            continue;
        }
        let is_free = match place_of.get(login).copied() {
            None => true,
            Some(other) => place(other, people, place_of, seen),
        };
        if is_free {
            place_of.insert(login, index);
            return true;
        }
    }
    false
}
