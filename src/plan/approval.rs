//! Is this plan approved?
//!
//! An approval counts if it was submitted after our check for the present plan appeared on the
//! plan commit that the head contains, if no force-push of the branch came later than it, and if
//! since the plan commit nothing came but clean merges of the base. The commit that a review
//! names proves nothing: forges re-point approvals to new heads. Who counts is judged now:
//! people named by a rule, with access, neither requester nor contributor. Whatever cannot be
//! learnt counts against.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    catalog::Definitions,
    domain::{
        Activity, ActivityKind, Attribution, EntityId, Known, Login, ObjectId, Permission, Pull, Quorum,
        Review, ReviewState, Rule, TeamSlug, Timestamp,
    },
    plan::{
        facts::{ChainCommit, ChainKind, Here, Looked, Looker},
        read,
    },
};

/// What is judged.
pub struct Case<'a> {
    /// The rules that must all hold; none needs no approval.
    pub rules: &'a [Rule],
    /// Who asked: none of them counts.
    pub requesters: &'a BTreeSet<Login>,
    /// The pull request that is reviewed.
    pub pull: &'a Pull,
    /// What was pushed to its branch.
    pub activity: &'a [Activity],
    /// Its first-parent chain, newest first, down to the base.
    pub chain: &'a [ChainCommit],
    /// The key that our check must name.
    pub key: &'a str,
    /// Judge as of this moment (the merge); none judges now.
    pub until: Option<Timestamp>,
    /// The catalog commit whose teams are asked.
    pub catalog: ObjectId,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Each rule, in the order written.
    pub rules: Vec<RuleState>,
    /// Who asked for changes and has not lifted it.
    pub refused_by: BTreeSet<Login>,
    /// Why nobody's approval can count, in words.
    pub blocked: Vec<String>,
    /// Whose approval does not count, and why.
    pub void: BTreeMap<Login, String>,
}

/// How one rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleState {
    /// Its name.
    pub name: String,
    /// Whose approval counts for it.
    pub given: BTreeSet<Login>,
    /// How many are still needed.
    pub missing: usize,
    /// Who could still give one; none means anybody with write access.
    pub candidates: Option<BTreeSet<Login>>,
    /// Why it cannot be satisfied as things are.
    pub problem: Option<String>,
}

impl Judgement {
    /// Whether everything that is needed is there.
    pub fn is_given(&self) -> bool {
        self.blocked.is_empty() && self.refused_by.is_empty() && self.rules.iter().all(RuleState::holds)
    }

    /// Everybody whose approval counts.
    pub fn approved_by(&self) -> BTreeSet<Login> {
        self.rules.iter().flat_map(|rule| rule.given.iter().cloned()).collect()
    }
}

impl RuleState {
    /// Whether the rule is satisfied.
    pub fn holds(&self) -> bool {
        self.missing == 0 && self.problem.is_none()
    }
}

/// Judges the case.
///
/// # Errors
/// `Pending` while answers are awaited.
pub fn judge(
    look: &Looker<'_>,
    here: &Here,
    definitions: &Definitions,
    case: &Case<'_>,
) -> Looked<Judgement> {
    let mut blocked = Vec::new();
    let merged_by_us = case.pull.merged_by.as_ref() == Some(&here.me);
    let in_time = |at: Timestamp| case.until.is_none_or(|until| at < until || (merged_by_us && at == until));
    let reviews = match &case.pull.reviews {
        Known::Yes(reviews) => reviews.iter().filter(|review| in_time(review.submitted_at)).collect(),
        Known::Unknown(why) => {
            blocked.push(format!("the reviews could not be read: {why}"));
            Vec::new()
        }
    };
    let latest = latest_per_person(&reviews, case.until);
    let plan_commit = plan_commit(case, &here.me);
    if let Err(why) = &plan_commit {
        blocked.push(why.clone());
    }
    let contributors = contributors(case, &here.me, &mut blocked);

    // Refusals: by somebody with write access, or named by a rule.
    let named = named(look, definitions, case);
    let mut refused_by = BTreeSet::new();
    let mut pending = false;
    for (login, review) in &latest {
        if state_at(review, case.until) != ReviewState::ChangesRequested {
            continue;
        }
        let is_named = named.as_ref().is_ok_and(|rules| {
            rules.iter().any(|people| people.as_ref().is_ok_and(|people| people.contains(*login)))
        });
        match look.permission(&case.pull.repository, login) {
            Ok(Ok(permission)) if permission >= Permission::Write || is_named => {
                refused_by.insert((*login).clone());
            }
            Ok(Ok(_)) => {}
            // Not known: it counts as a refusal.
            Ok(Err(_)) => {
                refused_by.insert((*login).clone());
            }
            Err(_) => pending = true,
        }
    }
    let named = named?;

    // Approvals that count, whatever the rule.
    let mut counting = BTreeMap::new();
    let mut void = BTreeMap::new();
    for (login, review) in &latest {
        if state_at(review, case.until) != ReviewState::Approved {
            continue;
        }
        let login = *login;
        match why_void(case, login, review, plan_commit.as_ref().ok().copied(), &contributors, in_time) {
            Some(why) => {
                void.insert(login.clone(), why);
            }
            None => match look.permission(&case.pull.repository, login) {
                Ok(Ok(Permission::None)) => {
                    void.insert(login.clone(), "has no access to the repository".into());
                }
                Ok(Ok(permission)) => {
                    counting.insert(login.clone(), permission);
                }
                Ok(Err(why)) => {
                    void.insert(login.clone(), format!("may have no access: {why}"));
                }
                Err(_) => pending = true,
            },
        }
    }
    if pending {
        return Err(crate::plan::facts::Pending);
    }

    let excluded =
        |login: &Login| case.requesters.contains(login) || contributors.contains(login) || login.is_app();
    let rules = case
        .rules
        .iter()
        .zip(named)
        .map(|(rule, people)| rule_state(rule, people, &counting, &excluded))
        .collect();
    Ok(Judgement { rules, refused_by, blocked, void })
}

fn rule_state(
    rule: &Rule,
    people: Result<BTreeSet<Login>, String>,
    counting: &BTreeMap<Login, Permission>,
    excluded: &dyn Fn(&Login) -> bool,
) -> RuleState {
    let name = rule.name.clone();
    let people = match people {
        Ok(people) => people,
        Err(why) => {
            return RuleState {
                name,
                given: BTreeSet::new(),
                missing: 1,
                candidates: Some(BTreeSet::new()),
                problem: Some(why),
            };
        }
    };
    let eligible: BTreeSet<Login> = people.into_iter().filter(|login| !excluded(login)).collect();
    let given: BTreeSet<Login> = counting
        .iter()
        .filter(|(login, permission)| {
            eligible.contains(*login)
                || (rule.writers && **permission >= Permission::Write && !excluded(login))
        })
        .map(|(login, _)| login.clone())
        .collect();
    let needed = match rule.quorum {
        Quorum::Count(count) => count.max(1) as usize,
        Quorum::All => eligible.len().max(1),
    };
    let problem = (!rule.writers && eligible.len() < needed).then(|| {
        let who = if eligible.len() == 1 { "person" } else { "people" };
        format!("it needs {needed}, and only {} {who} named by it may approve this request", eligible.len())
    });
    let candidates = (!rule.writers).then(|| eligible.difference(&given).cloned().collect());
    RuleState { name, missing: needed.saturating_sub(given.len()), given, candidates, problem }
}

/// The people whom each rule names, or why that cannot be told.
fn named(
    look: &Looker<'_>,
    definitions: &Definitions,
    case: &Case<'_>,
) -> Looked<Vec<Result<BTreeSet<Login>, String>>> {
    let states: Vec<_> = case
        .rules
        .iter()
        .map(|rule| {
            let mut people: BTreeSet<Login> = rule.users.iter().cloned().collect();
            let mut pending = false;
            for team in &rule.teams {
                match members(look, definitions, case.catalog, team) {
                    Ok(Ok(members)) => people.extend(members),
                    Ok(Err(why)) => return Ok(Err(why)),
                    Err(_) => pending = true,
                }
            }
            if pending { Err(crate::plan::facts::Pending) } else { Ok(Ok(people)) }
        })
        .collect();
    states.into_iter().collect()
}

/// The members of a team: those of the `_team` entity, or, where that names a team of the forge, of that.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why the team is not known.
pub fn members(
    look: &Looker<'_>,
    definitions: &Definitions,
    commit: ObjectId,
    team: &TeamSlug,
) -> Looked<Result<BTreeSet<Login>, String>> {
    let id = EntityId {
        blueprint: "_team".parse().expect("a built-in blueprint has a proper name"),
        identifier: match team.as_str().parse() {
            Ok(identifier) => identifier,
            Err(_) => return Ok(Err(format!("the team `{team}` is not in the catalog"))),
        },
    };
    let entity = match read::entity(look, definitions, commit, &id)? {
        Ok(Some(entity)) => entity,
        Ok(None) => return Ok(Err(format!("the team `{team}` is not in the catalog"))),
        Err(why) => return Ok(Err(why)),
    };
    if let Some(github) = entity.properties.get("github").and_then(|value| value.as_str()) {
        return Ok(match look.members(github)? {
            Ok(members) => Ok(members.clone()),
            Err(why) => Err(format!("the members of the team `{github}` could not be read: {why}")),
        });
    }
    Ok(Ok(entity.related("members").into_iter().filter_map(|login| login.parse().ok()).collect()))
}

/// Per person the latest of approval, refusal and dismissal; older ones never revive.
fn latest_per_person<'a>(
    reviews: &[&'a Review],
    until: Option<Timestamp>,
) -> BTreeMap<&'a Login, &'a Review> {
    let mut latest: BTreeMap<&Login, &Review> = BTreeMap::new();
    for review in reviews {
        let Some(author) = &review.author else { continue };
        match state_at(review, until) {
            ReviewState::Approved | ReviewState::ChangesRequested | ReviewState::Dismissed => {}
            ReviewState::Commented | ReviewState::Other => continue,
        }
        let newer = latest
            .get(author)
            .is_none_or(|known| (known.submitted_at, known.id) < (review.submitted_at, review.id));
        if newer {
            latest.insert(author, review);
        }
    }
    latest
}

/// What a review said at a moment: a later dismissal does not reach back behind a merge.
fn state_at(review: &Review, until: Option<Timestamp>) -> ReviewState {
    match (until, &review.dismissed) {
        (Some(until), Some(dismissal)) if review.state == ReviewState::Dismissed && dismissal.at >= until => {
            dismissal.was
        }
        _ => review.state,
    }
}

/// The commit that carries the plan, and since when our check for it has been there.
#[derive(Debug, Clone, Copy)]
struct PlanCommit {
    since: Timestamp,
}

fn plan_commit(case: &Case<'_>, me: &Login) -> Result<PlanCommit, String> {
    let Some(commit) = case.chain.iter().find(|commit| commit.kind != ChainKind::CleanMergeOfBase) else {
        return Err("the branch has no commit with the plan yet".into());
    };
    if commit.kind == ChainKind::OtherMerge {
        return Err(format!("the merge {} is not a clean merge of the base", commit.id.short()));
    }
    let Some(pushed) = pushed_by(case, me, commit.id) else {
        return Err(format!("commit {} came after the plan and is not ours", commit.id.short()));
    };
    let since = match &case.pull.commits {
        Known::Yes(commits) => commits
            .iter()
            .filter(|candidate| candidate.id == commit.id)
            .flat_map(|candidate| &candidate.checks)
            .filter(|check| check.external_id == case.key)
            .map(|check| check.started_at)
            .min(),
        Known::Unknown(why) => return Err(format!("the commits could not be read: {why}")),
    };
    since
        .map(|since| PlanCommit { since: since.max(pushed) })
        .ok_or_else(|| "our check for this plan has not appeared yet".into())
}

/// When the forge last saw this account push this very commit. A branch that was moved away and back carries
/// its plan, and the old check with it, only since then.
fn pushed_by(case: &Case<'_>, login: &Login, commit: ObjectId) -> Option<Timestamp> {
    case.activity
        .iter()
        .filter(|activity| {
            activity.actor.as_ref() == Some(login)
                && activity.after == Some(commit)
                && matches!(activity.kind, ActivityKind::Created | ActivityKind::Pushed)
        })
        .map(|activity| activity.at)
        .max()
}

/// Everybody who put something on the branch.
fn contributors(case: &Case<'_>, me: &Login, blocked: &mut Vec<String>) -> BTreeSet<Login> {
    let clean: BTreeSet<ObjectId> = case
        .chain
        .iter()
        .filter(|commit| commit.kind == ChainKind::CleanMergeOfBase)
        .map(|commit| commit.id)
        .collect();
    let mut people = BTreeSet::new();
    for activity in case.activity {
        if activity.after.is_some_and(|after| clean.contains(&after)) && activity.kind == ActivityKind::Pushed
        {
            continue;
        }
        if matches!(activity.kind, ActivityKind::Deleted | ActivityKind::Merged) {
            continue;
        }
        match &activity.actor {
            Some(actor) if actor != me => {
                people.insert(actor.clone());
            }
            Some(_) => {}
            None => blocked.push("somebody whose account is gone pushed to the branch".into()),
        }
    }
    match &case.pull.commits {
        Known::Yes(commits) => {
            for commit in commits {
                if clean.contains(&commit.id) || pushed_by(case, me, commit.id).is_some() {
                    continue;
                }
                let mut known = false;
                for person in &commit.people {
                    match person {
                        Attribution::Account(login) => {
                            known = true;
                            people.insert(login.clone());
                        }
                        Attribution::Forge => {}
                        Attribution::Unknown(mail) => {
                            blocked.push(format!(
                                "commit {} names `{mail}`, whom the forge does not know",
                                commit.id.short()
                            ));
                            known = true;
                        }
                    }
                }
                if !known {
                    blocked.push(format!("commit {} has no author that the forge knows", commit.id.short()));
                }
            }
        }
        Known::Unknown(why) => blocked.push(format!("the commits could not be read: {why}")),
    }
    blocked.sort();
    blocked.dedup();
    people
}

fn why_void(
    case: &Case<'_>,
    login: &Login,
    review: &Review,
    plan: Option<PlanCommit>,
    contributors: &BTreeSet<Login>,
    in_time: impl Fn(Timestamp) -> bool,
) -> Option<String> {
    if login.is_app() {
        return Some("is an App".into());
    }
    if case.requesters.contains(login) {
        return Some("asked for it".into());
    }
    if contributors.contains(login) {
        return Some("contributed to the branch".into());
    }
    let Some(plan) = plan else {
        return Some("there is no plan that it could be about".into());
    };
    if review.submitted_at <= plan.since {
        return Some("was given before the present plan could be seen".into());
    }
    let moved = case.activity.iter().any(|activity| {
        matches!(activity.kind, ActivityKind::Forced | ActivityKind::Created | ActivityKind::Deleted)
            && activity.at >= review.submitted_at
            && in_time(activity.at)
    });
    moved.then(|| "was given before the branch was force-pushed".into())
}
