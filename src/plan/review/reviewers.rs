//! Whom do we ask for a review? As few people as can satisfy the rules, and of those the ones who are asked for the fewest others.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    domain::{Login, Pull, PullState},
    plan::{
        approval::{Judgement, RuleState},
        build::Site,
        facts::{Looked, Pending},
        step::{Call, Step},
    },
};

/// The most people that one request asks for a review.
const MOST: usize = 15;

/// The most ways in which rules may stand that are weighed against each other; beyond that everybody is asked.
const MOST_STATES: usize = 1_000;

/// Asks for the reviews that are missing; whoever was asked already is asked first of all, and not told twice.
pub(super) fn ask<'a>(
    site: &Site<'_>,
    pull: &Pull,
    judgements: impl Iterator<Item = &'a Judgement>,
) -> Looked<Option<Step>> {
    let rules: Vec<&RuleState> =
        judgements.flat_map(|judgement| &judgement.rules).filter(|rule| rule.missing > 0).collect();
    let may_be_asked = |login: &Login| Some(login) != pull.author.as_ref();
    let mut people: BTreeMap<&Login, Vec<usize>> = BTreeMap::new();
    for (index, rule) in rules.iter().enumerate() {
        for login in rule.candidates.iter().flatten().filter(|login| may_be_asked(login)) {
            people.entry(login).or_default().push(index);
        }
    }
    let missing: Vec<usize> = rules.iter().map(|rule| rule.missing).collect();
    let distinct: Vec<bool> = rules.iter().map(|rule| rule.distinct).collect();
    if people.is_empty() {
        return Ok(None);
    }
    let load = open_reviews(site, pull)?;
    let mut wanted = fewest(&people, &missing, &distinct, &load, &pull.requested);
    wanted.retain(|login| !is_asked(pull, login));
    Ok(ask_them(site, pull, wanted.into_iter().cloned()))
}

/// Whether somebody's review is asked for now.
fn is_asked(pull: &Pull, login: &Login) -> bool {
    pull.requested.iter().any(|name| name == login.as_str())
}

fn ask_them(site: &Site<'_>, pull: &Pull, people: impl Iterator<Item = Login>) -> Option<Step> {
    let users: Vec<Login> = people.take(MOST).collect();
    if users.is_empty() {
        return None;
    }
    let (repository, number) = (site.here.catalog.clone(), pull.number);
    Some(Step::Call(Call::AskReviewers { repository, number, users, teams: Vec::new() }))
}

/// Asks those once more whose approval does not count because of when it was given, where it is missing.
pub(super) fn ask_again<'a>(
    site: &Site<'_>,
    pull: &Pull,
    judgements: impl Iterator<Item = &'a Judgement>,
) -> Option<Step> {
    let mut users = BTreeSet::new();
    for judgement in judgements {
        let missing = || judgement.rules.iter().filter(|rule| rule.missing > 0);
        let helps = |login: &&Login| {
            missing().any(|rule| rule.candidates.as_ref().is_none_or(|people| people.contains(*login)))
        };
        users.extend(judgement.stale.iter().filter(helps).cloned());
    }
    users.retain(|login| Some(login) != pull.author.as_ref() && !is_asked(pull, login));
    ask_them(site, pull, users.into_iter())
}

/// How many other open pull requests of the catalog wait for each.
fn open_reviews(site: &Site<'_>, own: &Pull) -> Looked<BTreeMap<String, usize>> {
    let mut load = BTreeMap::new();
    // What cannot be learnt makes nobody less able to review.
    let Ok(open) = site.look.open()? else { return Ok(load) };
    let mut pending = false;
    for number in open.pulls.iter().filter(|number| **number != own.number) {
        match site.look.pull(*number) {
            Err(Pending) => pending = true,
            Ok(Ok(Some(pull))) if pull.state == PullState::Open => {
                pull.requested.iter().for_each(|login| *load.entry(login.clone()).or_default() += 1);
            }
            Ok(_) => {}
        }
    }
    if pending { Err(Pending) } else { Ok(load) }
}

/// How many reviews are still missing for each rule.
type Missing = Vec<usize>;

/// The fewest people who can give what is missing, not counting those who are asked already; of several such groups the one with the
/// fewest open reviews, then the first by name. Each person stands for all rules that name them, but for one only of those that want people of their own.
fn fewest<'a>(
    people: &BTreeMap<&'a Login, Vec<usize>>,
    missing: &[usize],
    distinct: &[bool],
    load: &BTreeMap<String, usize>,
    asked: &[String],
) -> BTreeSet<&'a Login> {
    let states = missing.iter().fold(1_usize, |states, count| states.saturating_mul(count + 1));
    if states > MOST_STATES {
        return people.keys().copied().collect();
    }
    // For each way in which the rules may still stand: the best group so far.
    let start: Missing = missing.to_vec();
    let mut best: BTreeMap<Missing, (usize, usize, BTreeSet<&Login>)> =
        [(start, (0, 0, BTreeSet::new()))].into();
    for (login, rules) in people {
        let is_new = !asked.iter().any(|name| name == login.as_str());
        let weight = load.get(login.as_str()).filter(|_| is_new).copied().unwrap_or_default();
        let (alone, shared): (Vec<usize>, Vec<usize>) = rules.iter().partition(|rule| distinct[**rule]);
        let choices: Vec<Vec<usize>> = if alone.is_empty() {
            vec![shared]
        } else {
            alone.iter().map(|rule| shared.iter().chain([rule]).copied().collect()).collect()
        };
        for (state, (count, total, group)) in best.clone() {
            for choice in &choices {
                let mut next = state.clone();
                for rule in choice {
                    next[*rule] = next[*rule].saturating_sub(1);
                }
                if next == state {
                    continue;
                }
                let mut group = group.clone();
                group.insert(*login);
                let found = (count + usize::from(is_new), total + weight, group);
                if best.get(&next).is_none_or(|known| found < *known) {
                    best.insert(next, found);
                }
            }
        }
    }
    // Where the rules cannot all be satisfied, as much as can be.
    let left = |state: &Missing| state.iter().sum::<usize>();
    let found = best.into_iter().min_by_key(|(state, group)| (left(state), group.clone()));
    found.map(|(_, (.., group))| group).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(rules: &[(&[&str], usize, bool)], load: &[(&str, usize)]) -> Vec<String> {
        with(&[], rules, load)
    }

    fn with(already: &[&str], rules: &[(&[&str], usize, bool)], load: &[(&str, usize)]) -> Vec<String> {
        let already: Vec<String> = already.iter().map(ToString::to_string).collect();
        let logins: BTreeSet<Login> =
            rules.iter().flat_map(|(people, ..)| people.iter().map(|login| login.parse().unwrap())).collect();
        let mut people: BTreeMap<&Login, Vec<usize>> = BTreeMap::new();
        for login in &logins {
            let named = |(index, (people, ..)): (usize, &(&[&str], usize, bool))| {
                people.contains(&login.as_str()).then_some(index)
            };
            people.insert(login, rules.iter().enumerate().filter_map(named).collect());
        }
        let missing: Vec<usize> = rules.iter().map(|(_, count, _)| *count).collect();
        let distinct: Vec<bool> = rules.iter().map(|(.., distinct)| *distinct).collect();
        let load = load.iter().map(|(login, count)| ((*login).to_owned(), *count)).collect();
        fewest(&people, &missing, &distinct, &load, &already).into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn as_few_people_as_can_satisfy_the_rules_are_asked() {
        let (a, b): (&[&str], &[&str]) = (&["ann", "bo", "cy"], &["bo", "dan"]);
        assert_eq!(asked(&[(a, 1, false), (b, 1, false)], &[]), ["bo"]);
        assert_eq!(asked(&[(a, 1, true), (b, 1, true)], &[]), ["ann", "bo"]);
        assert_eq!(asked(&[(a, 1, false)], &[("ann", 2), ("bo", 1)]), ["cy"]);
        // One person with much to do rather than two with nothing.
        assert_eq!(asked(&[(a, 1, false), (b, 1, false)], &[("bo", 9)]), ["bo"]);
        assert_eq!(asked(&[(a, 2, false), (b, 1, false)], &[]), ["ann", "bo"]);
        assert_eq!(asked(&[(b, 3, false)], &[]), ["bo", "dan"]);
        assert_eq!(asked(&[(b, 2, true), (&["bo"], 1, true)], &[]), ["bo", "dan"]);
        // Whoever is asked already is not passed over for somebody with less to do.
        assert_eq!(with(&["cy"], &[(a, 1, false)], &[("cy", 9)]), ["cy"]);
        assert_eq!(with(&["cy"], &[(a, 2, false), (b, 1, false)], &[]), ["bo", "cy"]);
    }
}
