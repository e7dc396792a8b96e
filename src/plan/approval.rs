//! Is this plan approved?
//!
//! An approval counts if it was submitted after our check for the present plan appeared on the
//! plan commit that the head contains, if no force-push of the branch came later than it, and if
//! since the plan commit nothing came but clean merges of the base. The commit that a review
//! names proves nothing: forges re-point approvals to new heads. Who counts is judged now:
//! people named by a rule, with access, neither requester nor contributor. Whatever cannot be
//! learnt counts against.

mod quorum;

use std::collections::{BTreeMap, BTreeSet};

use quorum::Standing;

use crate::{
    catalog::Definitions,
    domain::{
        Activity, ActivityKind, Attribution, Known, Login, ObjectId, Permission, Pull, Review, ReviewState,
        Timestamp,
    },
    plan::{
        facts::{ChainCommit, ChainKind, Here, Looked, Looker},
        people,
        plan_file::PlannedRule,
    },
};

/// What is judged.
pub struct Case<'a> {
    /// The rules that must all hold; none needs no approval.
    pub rules: &'a [PlannedRule],
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
    /// Those of them who only spoke at another time: once more, and it counts.
    pub stale: BTreeSet<Login>,
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
    /// Whether whoever counts for it counts for no other rule that says the same.
    pub distinct: bool,
    /// Until when it holds by those who approved; none where that does not run out.
    pub until: Option<Timestamp>,
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

/// Asks early what those may do who approved or refused, so that it is answered together with the rest.
pub(super) fn ask_early(look: &Looker<'_>, pull: &Pull) {
    let Known::Yes(reviews) = &pull.reviews else { return };
    for (login, review) in latest_per_person(&reviews.iter().collect::<Vec<_>>(), None) {
        if matches!(review.state, ReviewState::Approved | ReviewState::ChangesRequested) && !login.is_app() {
            drop(look.permission(&pull.repository, login));
        }
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
    let (mut void, mut stale) = (BTreeMap::new(), BTreeSet::new());
    let taken_part = |login: &Login| case.requesters.contains(login) || contributors.contains(login);
    for (login, review) in &latest {
        if state_at(review, case.until) != ReviewState::Approved {
            continue;
        }
        let login = *login;
        match why_void(case, login, review, plan_commit.as_ref().ok().copied(), &contributors, in_time) {
            Some(Void { why, is_stale }) => {
                void.insert(login.clone(), why);
                stale.extend((is_stale && !taken_part(login)).then(|| login.clone()));
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

    let at = match case.until {
        Some(until) => Some(until),
        None if case.rules.iter().any(|rule| rule.expires_after.is_some()) => match look.now()? {
            Ok(now) => Some(now),
            Err(why) => {
                blocked.push(format!("the time could not be learnt, and approvals expire: {why}"));
                None
            }
        },
        None => None,
    };
    let mut states = Vec::new();
    for (rule, people) in case.rules.iter().zip(named) {
        let people = match people {
            Ok(people) => people,
            Err(why) => {
                states.push(Standing { problem: Some(why), ..Standing::of(rule) });
                continue;
            }
        };
        let excluded = |login: &Login| login.is_app() || (!rule.self_approval && taken_part(login));
        let mut standing = Standing {
            eligible: people.into_iter().filter(|login| !excluded(login)).collect(),
            ..Standing::of(rule)
        };
        for (login, permission) in &counting {
            let writes = rule.writers && *permission >= Permission::Write && !excluded(login);
            if !writes && !standing.eligible.contains(login) {
                continue;
            }
            let submitted = latest[login].submitted_at.seconds();
            let expired = |length: i64| at.is_some_and(|at| at.seconds() - submitted >= length);
            if let Some(length) = rule.expires_after.filter(|length| expired(*length)) {
                void.insert(login.clone(), format!("it is older than {}", in_words(length)));
                stale.extend((!taken_part(login)).then(|| login.clone()));
                continue;
            }
            match rule.writes_to.as_ref().map(|repository| (repository, look.permission(repository, login))) {
                None => {}
                Some((_, Ok(Ok(permission)))) if permission >= Permission::Write => {}
                Some((repository, Ok(_))) => {
                    void.insert(login.clone(), format!("has no write access to `{repository}`"));
                    continue;
                }
                Some((_, Err(_))) => {
                    pending = true;
                    continue;
                }
            }
            standing.given.insert(login.clone());
            let until = rule.expires_after.map(|length| Timestamp::from_seconds(submitted + length));
            standing.until.extend(until.map(|until| (login.clone(), until)));
        }
        states.push(standing);
    }
    if pending {
        return Err(crate::plan::facts::Pending);
    }
    Ok(Judgement { rules: quorum::hold(states), refused_by, blocked, void, stale })
}

/// An amount of time, in days where it is whole days.
fn in_words(seconds: i64) -> String {
    let (count, unit) = match seconds {
        days if days % 86_400 == 0 => (days / 86_400, "day"),
        hours if hours % 3_600 == 0 => (hours / 3_600, "hour"),
        seconds => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The people whom each rule names, or why that cannot be told.
fn named(
    look: &Looker<'_>,
    definitions: &Definitions,
    case: &Case<'_>,
) -> Looked<Vec<Result<BTreeSet<Login>, String>>> {
    let states: Vec<_> =
        case.rules.iter().map(|rule| named_by(look, definitions, case.catalog, rule)).collect();
    states.into_iter().collect()
}

/// The people whom a rule names, other than all who may write.
///
/// # Errors
/// `Pending` while answers are awaited; inside, why that cannot be told.
pub(super) fn named_by(
    look: &Looker<'_>,
    definitions: &Definitions,
    catalog: ObjectId,
    rule: &PlannedRule,
) -> Looked<Result<BTreeSet<Login>, String>> {
    let teams = rule.teams.iter().map(|team| people::members(look, definitions, catalog, team));
    let forge = rule.forge_teams.iter().map(|team| people::of_forge(look, team));
    let owners = rule.owners.iter().map(|id| people::owners(look, definitions, catalog, id));
    let groups: Vec<_> = teams.chain(forge).chain(owners).collect();
    let mut people: BTreeSet<Login> = rule.users.iter().cloned().collect();
    for group in groups.into_iter().collect::<Looked<Vec<_>>>()? {
        match group {
            Ok(members) => people.extend(members),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(people))
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
pub(super) fn contributors(case: &Case<'_>, me: &Login, blocked: &mut Vec<String>) -> BTreeSet<Login> {
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

/// Why an approval does not count.
struct Void {
    why: String,
    /// Whether it would if it were given now.
    is_stale: bool,
}

fn why_void(
    case: &Case<'_>,
    login: &Login,
    review: &Review,
    plan: Option<PlanCommit>,
    contributors: &BTreeSet<Login>,
    in_time: impl Fn(Timestamp) -> bool,
) -> Option<Void> {
    let never = |why: &str| Some(Void { why: why.to_owned(), is_stale: false });
    let stale = |why: &str| Some(Void { why: why.to_owned(), is_stale: true });
    if login.is_app() {
        return never("is an App");
    }
    // Where a rule lets them, each rule says whether they count.
    let each_for_itself = case.rules.iter().any(|rule| rule.self_approval);
    if case.requesters.contains(login) && !each_for_itself {
        return never("asked for it");
    }
    if contributors.contains(login) && !each_for_itself {
        return never("contributed to the branch");
    }
    let Some(plan) = plan else {
        return never("there is no plan that it could be about");
    };
    if review.submitted_at <= plan.since {
        return stale("was given before the present plan could be seen");
    }
    let moved = case.activity.iter().any(|activity| {
        matches!(activity.kind, ActivityKind::Forced | ActivityKind::Created | ActivityKind::Deleted)
            && activity.at >= review.submitted_at
            && in_time(activity.at)
    });
    if moved { stale("was given before the branch was force-pushed") } else { None }
}
