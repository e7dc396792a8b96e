//! May a pull request be merged after those that wait before it in a merge queue?
//!
//! The forge makes a commit of the base, of all that waits before it and of the pull request, and wants our check on that commit: then
//! the base moves there. So everything is judged once more, as if what goes before it had been merged: what was reviewed must be
//! what is merged, the plan must come out the same on the files that it meets, and everybody must still agree. What fails leaves
//! the queue; its pull request stays open and says what is missing.
//!
//! Assumptions: GitHub's own queue was never asked. That an entry's base is the head of the one before it is checked, and
//! while it is not so nothing is said.

use std::collections::BTreeSet;

use super::{
    Agreed, IN_COMMENT, NO_REQUEST, PlanOnBranch, agreed, by_hand, check_on, check_text, combined_key, group,
    judge_all, plan_commit,
};
use crate::{
    catalog::Mode,
    domain::{CheckRun, Conclusion, Pull, RepoName, RepoPath},
    plan::{
        Decision,
        approval::Judgement,
        build::{Built, Site},
        facts::{Group, Looked, Looker, Pending, Queued},
        plan_file::Plan,
        policy, record,
        step::{Call, Step},
    },
};

/// What our check says of a commit.
struct Said {
    key: String,
    title: String,
    conclusion: Option<Conclusion>,
}

impl Said {
    fn fails(key: &str, title: impl Into<String>) -> Self {
        Self { key: key.to_owned(), title: title.into(), conclusion: Some(Conclusion::Failure) }
    }
}

/// What is said of a pull request that waits in the queue, on the commit that the forge made to try it.
pub(super) fn decide(site: &Site<'_>, pull: &Pull) -> Looked<Decision> {
    let Ok(Some(queue)) = site.look.queue(&site.here.catalog, &site.here.branch)? else {
        return Ok(Decision::nothing());
    };
    let queued = queue.iter().find(|queued| queued.number == pull.number);
    let Some(group) = queued.and_then(|queued| queued.group.as_ref()) else { return Ok(Decision::nothing()) };
    let waits = |why: String| Ok(Decision::waiting(format!("#{} in the merge queue: {why}", pull.number)));
    let said = match judge(site, pull, group)? {
        Ok(said) => said,
        Err(why) => return waits(why),
    };
    if said.conclusion == Some(Conclusion::Success) && group.base != site.catalog {
        let before = queue.iter().find(|other| other.group.as_ref().is_some_and(|it| it.head == group.base));
        let last = |before: &Queued| {
            before.group.as_ref().and_then(|group| group.checks.last()).and_then(|check| check.conclusion)
        };
        match before.map(|before| (before.number, last(before))) {
            Some((_, Some(Conclusion::Success))) => {}
            Some((number, _)) => return waits(format!("#{number}, which goes before it, is not settled")),
            None => return waits("its commit is not made of the default branch as it is now".to_owned()),
        }
    }
    let on: (_, &[CheckRun]) = (group.head, &group.checks);
    let check = check_on(site, on, &said.key, said.conclusion, (&said.title, IN_COMMENT));
    Ok(Decision { steps: check.into_iter().collect(), ..Decision::nothing() })
}

/// Judges a pull request as it would be merged onto the base of its group.
fn judge(site: &Site<'_>, pull: &Pull, at: &Group) -> Looked<Result<Said, String>> {
    let catalog = &site.here.catalog;
    let definitions = site.look.definitions(at.base);
    let reviewed = site.look.diff(catalog, at.base, pull.head);
    let merged = site.look.diff(catalog, at.base, at.head);
    let chain = site.look.chain(catalog, pull.head, at.base);
    let is_fork = pull.head_repository.as_ref() != Some(catalog);
    let activity = match &pull.head_branch {
        Some(branch) if !is_fork => site.look.activity(catalog, branch),
        _ => Ok(Ok(&[][..])),
    };
    let record = record::judge(site, pull);
    let definitions = match definitions? {
        Ok(Ok(definitions)) => definitions,
        Ok(Err(_)) => return Ok(Ok(Said::fails("settings", "what goes before it breaks chandlery.yaml"))),
        Err(why) => return Ok(Err(format!("the definitions could not be read: {why}"))),
    };
    let (reviewed, merged) = match (reviewed?, merged?) {
        (Ok(reviewed), Ok(merged)) => (reviewed, merged),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(format!("what it changes could not be read: {why}"))),
    };
    let site = &Site::new(site.look, site.here, definitions, at.base);
    let differs = || Ok(Ok(Said::fails("differs", "what would be merged is not what was reviewed")));
    if let Some(judged) = record? {
        return match judged {
            Err(why) => Ok(Err(why)),
            Ok(_) if reviewed != merged => differs(),
            Ok((conclusion, title)) => Ok(Ok(Said {
                key: "record".to_owned(),
                title: title.to_owned(),
                conclusion: Some(conclusion),
            })),
        };
    }
    let (groups, others) = group(site, merged);
    if groups.is_empty() && by_hand::touches_catalog(site, merged) {
        let judged = by_hand::of_group(site, pull, at.head, merged, chain, activity)?;
        return Ok(judged.map(|(key, conclusion, title)| Said {
            key: key.to_owned(),
            title,
            conclusion: Some(conclusion),
        }));
    }
    if groups.is_empty() && group(site, reviewed).0.is_empty() {
        let conclusion = Some(Conclusion::Success);
        return Ok(Ok(Said { key: "no request".to_owned(), title: NO_REQUEST.to_owned(), conclusion }));
    }
    if reviewed != merged {
        return differs();
    }
    if is_fork {
        return Ok(Ok(Said::fails("fork", "a request from a fork is not merged: Chandlery opens its own")));
    }
    let asked = judge_all(site, pull, &groups, &others)?;
    let (chain, activity) = match (chain?, activity?) {
        (Ok(chain), Ok(activity)) => (chain, activity),
        (Err(why), _) | (_, Err(why)) => return Ok(Err(format!("its history could not be read: {why}"))),
    };
    let key = combined_key(&asked);
    let on_branch = plan_commit(site, pull, &asked, chain, activity);
    let agreed = agreed(site, pull, &asked, &key, (chain, activity));
    let before = before(site, asked.iter().filter_map(|request| request.plan().ok()));
    let (on_branch, Agreed { judgements, held }, before) = (on_branch?, agreed?, before?);
    let is_good = |built: &Built| !built.is_noop();
    let all_good = asked.iter().all(|request| request.plan().is_ok_and(is_good));
    let given = all_good && !pull.draft && judgements.values().all(Judgement::is_given);
    let frozen = held.values().flatten().next();
    let (title, conclusion) = check_text(&asked, &judgements, pull.draft, given, frozen);
    if all_good {
        match on_branch {
            PlanOnBranch::There => {}
            PlanOnBranch::Unclear(why) => return Ok(Err(why)),
            PlanOnBranch::Push(_) => {
                return Ok(Ok(Said::fails(
                    &key,
                    "its plan comes out otherwise on what it would be merged onto",
                )));
            }
        }
        match before {
            Ok(None) => {}
            Ok(Some(why)) => return Ok(Ok(Said::fails(&key, why))),
            Err(why) => return Ok(Err(why)),
        }
    }
    let conclusion = match site.definitions.settings.mode {
        Mode::On => conclusion.or(Some(Conclusion::Failure)),
        Mode::Observe | Mode::Off => None,
    };
    Ok(Ok(Said { key, title, conclusion }))
}

/// What a request that was merged before these, or goes before them in the queue, changes of what they change: when it has ended, their
/// plans are others.
fn before<'a>(
    site: &Site<'_>,
    plans: impl Iterator<Item = &'a Built>,
) -> Looked<Result<Option<String>, String>> {
    let unfinished = match site.look.unfinished(site.catalog)? {
        Ok(unfinished) => unfinished,
        Err(why) => return Ok(Err(format!("what goes before it could not be learnt: {why}"))),
    };
    let touched: BTreeSet<Touched> = plans.flat_map(|built| touches(&built.plan)).collect();
    let (mut found, mut pending) = (Ok(None), false);
    for id in unfinished {
        match policy::plan(site, id) {
            Err(Pending) => pending = true,
            Ok(Err(why)) => found = Err(why),
            Ok(Ok(None)) => {}
            Ok(Ok(Some(plan))) => {
                if let Some(both) = touches(&plan).find(|one| touched.contains(one)) {
                    found = found.map(|found| {
                        found.or_else(|| {
                            Some(format!(
                                "`{id}`, which goes before it and has not ended, changes {both}, too"
                            ))
                        })
                    });
                }
            }
        }
    }
    if pending { Err(Pending) } else { Ok(found) }
}

/// Something that a plan changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    Entity(String),
    File(RepoName, RepoPath),
}

impl std::fmt::Display for Touched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Entity(id) => write!(f, "`{id}`"),
            Self::File(repository, path) => write!(f, "`{path}` in {repository}"),
        }
    }
}

fn touches(plan: &Plan) -> impl Iterator<Item = Touched> + '_ {
    let entities = plan.entities.iter().map(|entity| Touched::Entity(entity.entity.clone()));
    let pulls = plan.steps.iter().filter_map(|step| step.pull_request.as_ref());
    let files = pulls.flat_map(|pull| {
        pull.changes.iter().map(|change| Touched::File(pull.repository.clone(), change.path.clone()))
    });
    entities.chain(files)
}

/// Whether a pull request that has left the queue would get through by now, or why not; nothing where it has not left it.
pub(super) fn again(site: &Site<'_>, pull: &Pull) -> Looked<Option<Result<(), String>>> {
    if pull.left_queue.is_none() {
        return Ok(None);
    }
    let queue = match site.look.queue(&site.here.catalog, &site.here.branch)? {
        Ok(Some(queue)) if queue.iter().all(|queued| queued.number != pull.number) => queue,
        _ => return Ok(None),
    };
    let base = match queue.last() {
        None => site.catalog,
        Some(Queued { group: Some(group), .. }) => group.head,
        Some(_) => return Ok(None),
    };
    let after = Group { base, head: pull.head, checks: Vec::new() };
    Ok(match judge(site, pull, &after)? {
        Ok(said) if said.conclusion == Some(Conclusion::Success) => Some(Ok(())),
        Ok(Said { title: why, .. }) => Some(Err(why)),
        // What cannot be learnt now is told when it can.
        Err(_) => None,
    })
}

/// The step that merges a pull request of the catalog, whose requests must hold after what waits in the queue already.
pub(super) fn merge_of_catalog(site: &Site<'_>, pull: &Pull) -> Looked<Result<Option<Step>, String>> {
    let step = match merge(site.look, pull)? {
        Ok(Some(step @ Step::Call(Call::Enqueue { .. }))) => step,
        other => return Ok(other),
    };
    let queue = site.look.queue(&site.here.catalog, &site.here.branch)?;
    let base = match queue.ok().flatten().and_then(<[Queued]>::last) {
        None => site.catalog,
        Some(Queued { group: Some(group), .. }) => group.head,
        Some(last) => {
            let (number, last) = (pull.number, last.number);
            return Ok(Err(format!("#{number} goes to the merge queue when the forge has made up #{last}")));
        }
    };
    let after = Group { base, head: pull.head, checks: Vec::new() };
    Ok(match judge(site, pull, &after)? {
        Ok(said) if said.conclusion == Some(Conclusion::Success) => Ok(Some(step)),
        Ok(Said { title: why, .. }) | Err(why) => {
            Err(format!("#{} does not go to the merge queue yet: {why}", pull.number))
        }
    })
}

/// The step that merges a pull request: at once, or by the queue of its base; none while it waits there. What has left a queue is put
/// there again when the base or its branch has moved since; else it would be thrown out again.
pub(in crate::plan) fn merge(look: &Looker<'_>, pull: &Pull) -> Looked<Result<Option<Step>, String>> {
    let (repository, number, head) = (pull.repository.clone(), pull.number, pull.head);
    let queue = match look.queue(&repository, &pull.base_branch)? {
        // Where we may not see queues, one that is there refuses what is merged at once.
        Ok(None) | Err(_) => return Ok(Ok(Some(Step::Call(Call::Merge { repository, number, head })))),
        Ok(Some(queue)) => queue,
    };
    if queue.iter().any(|queued| queued.number == number) {
        return Ok(Ok(None));
    }
    if let Some(left) = pull.left_queue {
        let base = look.activity(&repository, &pull.base_branch);
        let own = pull.head_branch.as_ref().map(|branch| look.activity(&repository, branch));
        let mut moved = false;
        for branch in [Some(base), own].into_iter().flatten() {
            match branch? {
                Ok(activity) => moved |= activity.iter().any(|one| one.at > left),
                Err(why) => {
                    return Ok(Err(format!("what happened in `{repository}` could not be learnt: {why}")));
                }
            }
        }
        if !moved {
            return Ok(Err(format!(
                "#{number} has left the merge queue: it is put there again when its branch or the default branch moves, or by anybody who may write"
            )));
        }
    }
    Ok(Ok(Some(Step::Call(Call::Enqueue { repository, number, head }))))
}
