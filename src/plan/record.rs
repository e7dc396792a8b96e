//! How do records reach the default branch where its rules want a pull request?
//!
//! Through one of our own, from a branch named after what it records, opened and merged by us. While it is open the
//! runs in it count as carried: they are not recorded twice, even if the default branch moves on or other rules
//! keep it waiting. What the world makes of it (closed by somebody, changed, in conflict) is told, not forced.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::{
    Decision,
    build::Site,
    facts::{DiffEntry, Facts, Here, Looked, Looker, Pending, Question},
    review,
    step::{Call, CatalogChange, Commit, Step},
};
use crate::domain::{Branch, Change, Conclusion, ObjectId, Pull, PullState, RepoPath};

/// What the branches of records begin with.
const BRANCHES: &str = "chandlery/state/";

/// What the check of such a pull request is about.
const CHECK_KEY: &str = "record";

const SUMMARY: &str = "Written by Chandlery from runs that have ended: entities, and the record of each run.";

/// What is to be done about some changes.
#[derive(Debug, Default)]
pub struct Delivery {
    /// Which of the changes the steps are about, by their place.
    pub about: Vec<usize>,
    /// The steps.
    pub steps: Vec<Step>,
    /// What people must know.
    pub waits: Vec<String>,
}

/// Whether a branch of the catalog is one of records.
pub fn is_branch(branch: &Branch) -> bool {
    branch.as_str().starts_with(BRANCHES)
}

fn is_ours(here: &Here, pull: &Pull) -> bool {
    pull.author.as_ref() == Some(&here.me)
        && pull.head_repository.as_ref() == Some(&here.catalog)
        && pull.base_branch == here.branch
        && pull.head_branch.as_ref().is_some_and(is_branch)
}

/// Brings these changes, all made on one commit and disjoint, to the default branch by a pull request.
/// `commit` makes the commit for some of them; `is_entity` says which paths are those of entities.
///
/// # Errors
/// What must be known first.
pub fn deliver(
    facts: &Facts,
    here: &Here,
    changes: &[&CatalogChange],
    is_entity: &dyn Fn(&RepoPath) -> bool,
    commit: &dyn Fn(&[&CatalogChange]) -> Commit,
) -> Result<Delivery, BTreeSet<Question>> {
    let look = Looker::new(facts);
    delivery(&look, here, changes, is_entity, commit).map_err(|Pending| look.missing())
}

/// Whether one side removes an entity while the other touches some: what is written may point at what goes. A record that is
/// on its way was decided without the other, so they must come one after the other.
fn meets(
    change: &CatalogChange,
    diff: &BTreeMap<RepoPath, DiffEntry>,
    is_entity: &dyn Fn(&RepoPath) -> bool,
) -> bool {
    let ours = || change.changes.iter().filter(|(path, _)| is_entity(path));
    let theirs = || diff.iter().filter(|(path, _)| is_entity(path));
    let (ends, ended) = (
        ours().any(|(_, change)| *change == Change::Delete),
        theirs().any(|(_, entry)| entry.after.is_none()),
    );
    ended && ours().next().is_some() || ends && theirs().next().is_some()
}

fn delivery(
    look: &Looker<'_>,
    here: &Here,
    changes: &[&CatalogChange],
    is_entity: &dyn Fn(&RepoPath) -> bool,
    commit: &dyn Fn(&[&CatalogChange]) -> Commit,
) -> Looked<Delivery> {
    let base = changes.first().expect("there is a change").base;
    let mut delivery = Delivery::default();
    let mut left: Vec<usize> = (0..changes.len()).collect();
    for pull in on_their_way(look, here)? {
        let pull = match pull {
            Ok(pull) => pull,
            Err(why) => return Ok(Delivery { waits: vec![why], ..delivery }),
        };
        let diff = match look.diff(&here.catalog, base, pull.head)? {
            Ok(diff) => diff,
            Err(why) => {
                let why = format!("the records of #{} could not be read: {why}", pull.number);
                return Ok(Delivery { waits: vec![why], ..delivery });
            }
        };
        let touches = |change: &CatalogChange| change.changes.keys().any(|path| diff.contains_key(path));
        let carries = |change: &CatalogChange| {
            change.changes.iter().all(|(path, change)| is_made(diff.get(path), change))
        };
        if changes.iter().any(|change| touches(change) && !carries(change)) {
            // It says something else of the same run or entity; what is true is written anew.
            let (repository, number) = (here.catalog.clone(), pull.number);
            delivery.steps.push(Step::Call(Call::ClosePull { repository, number }));
        } else {
            left.retain(|index| !carries(changes[*index]));
            let before = left.len();
            left.retain(|index| !meets(changes[*index], diff, is_entity));
            if left.len() < before {
                delivery.waits.push(format!(
                    "#{} is merged first: it or what waits for it removes an entity that the other may point at",
                    pull.number
                ));
            }
        }
    }
    if left.is_empty() {
        return Ok(delivery);
    }
    let wanted: Vec<&CatalogChange> = left.iter().map(|index| changes[*index]).collect();
    let mut commit = commit(&wanted);
    commit.branch = branch_of(&wanted);
    let head = look.head(&here.catalog, &commit.branch);
    let pulls = look.pulls_from(&here.catalog, &commit.branch);
    delivery.about = left;
    match (head?, pulls?) {
        (Err(why), _) | (_, Err(why)) => {
            delivery.waits.push(format!("what became of `{}` could not be learnt: {why}", commit.branch));
        }
        (Ok(None), _) => {
            commit.expect = None;
            delivery.steps.push(Step::Commit(commit));
        }
        (Ok(Some(_)), Ok([])) => delivery.steps.push(open(here, commit, &wanted)),
        (Ok(Some(_)), Ok(pulls)) => {
            delivery.waits.extend(pulls.last().map(|pull| stuck(pull, &commit.branch)));
        }
    }
    Ok(delivery)
}

/// Our open pull requests with records.
fn on_their_way<'a>(look: &Looker<'a>, here: &Here) -> Looked<Vec<Result<&'a Pull, String>>> {
    let open = match look.open()? {
        Ok(open) => open,
        Err(why) => return Ok(vec![Err(format!("what is open could not be learnt: {why}"))]),
    };
    let mut pulls = Vec::new();
    let mut pending = false;
    for number in &open.pulls {
        match look.pull(*number) {
            Err(Pending) => pending = true,
            Ok(Ok(Some(pull))) if pull.state == PullState::Open && is_ours(here, pull) => {
                pulls.push(Ok(pull));
            }
            Ok(Ok(_)) => {}
            Ok(Err(why)) => pulls.push(Err(format!("pull request #{number} could not be read: {why}"))),
        }
    }
    if pending { Err(Pending) } else { Ok(pulls) }
}

fn is_made(entry: Option<&DiffEntry>, change: &Change) -> bool {
    entry.is_some_and(|entry| {
        entry.after.map(|after| after.id) == change.bytes().map(|bytes| ObjectId::of_blob(bytes))
    })
}

/// The branch for these changes: the same changes on the same commit, the same branch.
fn branch_of(changes: &[&CatalogChange]) -> Branch {
    let mut digest = Sha256::new();
    for change in changes {
        digest.update(change.base.to_string());
        for (path, change) in &change.changes {
            let path: &RepoPath = path;
            let blob =
                change.bytes().map_or_else(|| "-".to_owned(), |bytes| ObjectId::of_blob(bytes).to_string());
            digest.update(format!("\n{path} {blob}"));
        }
    }
    let name = hex::encode(digest.finalize());
    format!("{BRANCHES}{}", &name[..16]).parse().expect("letters and digits make a branch")
}

fn open(here: &Here, commit: Commit, changes: &[&CatalogChange]) -> Step {
    let title = commit.message.lines().next().unwrap_or("Record runs").to_owned();
    let mut body = String::from(
        "What became of these requests, for the catalog. The rules of the default branch want a pull request; Chandlery merges it.\n\n",
    );
    for change in changes {
        body.push_str(&format!("- {}\n", change.summary));
    }
    Step::Call(Call::OpenPull {
        repository: here.catalog.clone(),
        branch: commit.branch,
        base: here.branch.clone(),
        title,
        body,
        draft: false,
    })
}

fn stuck(pull: &Pull, branch: &Branch) -> String {
    let what = match pull.state {
        PullState::Open | PullState::Merged => {
            return format!("the forge does not show yet what #{} holds", pull.number);
        }
        PullState::Closed => "was closed without a merge",
    };
    format!(
        "#{}, which records what became of requests, {what}: delete its branch `{branch}`, and it is made anew",
        pull.number
    )
}

/// What to do about an open pull request with records; none if it is not one of those.
pub(super) fn decide(site: &Site<'_>, pull: &Pull) -> Looked<Option<Decision>> {
    let (conclusion, title) = match judge(site, pull)? {
        None => return Ok(None),
        Some(Err(why)) => return Ok(Some(Decision::waiting(why))),
        Some(Ok(judged)) => judged,
    };
    let check = review::check_step(site, pull, CHECK_KEY, Some(conclusion), (title, SUMMARY));
    let mut decision = Decision { steps: check.into_iter().collect(), ..Decision::nothing() };
    if conclusion == Conclusion::Success && decision.steps.is_empty() {
        match review::merge(site.look, pull)? {
            Ok(step) => decision.steps.extend(step),
            Err(why) => decision.waits.push(why),
        }
    }
    Ok(Some(decision))
}

/// What our check says of an open pull request with records, or why that is not known; none if it is not one of those.
pub(super) fn judge(
    site: &Site<'_>,
    pull: &Pull,
) -> Looked<Option<Result<(Conclusion, &'static str), String>>> {
    let Some(branch) = pull.head_branch.as_ref().filter(|_| is_ours(site.here, pull)) else {
        return Ok(None);
    };
    let pushed = match site.look.activity(&site.here.catalog, branch)? {
        Ok(pushed) => pushed,
        Err(why) => return Ok(Some(Err(format!("who pushed to `{branch}` could not be learnt: {why}")))),
    };
    let all_ours = pushed.iter().all(|push| push.actor.as_ref() == Some(&site.here.me));
    Ok(Some(if pushed.is_empty() {
        Err(format!("the forge does not say yet who pushed to `{branch}`"))
    } else if all_ours {
        Ok((Conclusion::Success, "what became of requests"))
    } else {
        Ok((Conclusion::Failure, "somebody else pushed to this branch: close it and delete the branch"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{FileMode, Timestamp, TreeEntry};

    #[test]
    fn a_removal_meets_what_may_point_at_it() {
        let change = |path: &str, change: Change| CatalogChange {
            request: "r".parse().unwrap(),
            base: ObjectId::of_blob(b"base"),
            changes: [(path.parse().unwrap(), change)].into(),
            summary: String::new(),
            trailer: None,
            at: Timestamp::from_seconds(0),
        };
        let diff = |path: &str, is_there: bool| {
            let after = is_there.then(|| TreeEntry { mode: FileMode::File, id: ObjectId::of_blob(b"x") });
            BTreeMap::from([(path.parse::<RepoPath>().unwrap(), DiffEntry { before: None, after })])
        };
        let is_entity = |path: &RepoPath| path.as_str().starts_with("entities/");
        let write = || Change::Put(b"x".as_slice().into());
        let met = |ours: CatalogChange, theirs| meets(&ours, &theirs, &is_entity);
        assert!(met(change("entities/b/x.yaml", write()), diff("entities/b/y.yaml", false)));
        assert!(met(change("entities/b/x.yaml", Change::Delete), diff("entities/b/y.yaml", true)));
        assert!(!met(change("entities/b/x.yaml", write()), diff("entities/b/y.yaml", true)));
        assert!(!met(change("requests/r/run.yaml", write()), diff("entities/b/y.yaml", false)));
        assert!(!met(change("entities/b/x.yaml", Change::Delete), diff("requests/r/run.yaml", true)));
    }
}
