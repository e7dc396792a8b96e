//! What was pushed to the branches that are asked about? Each branch has a list of its own at the forge, and each list costs a
//! call. The repository's log names every branch that moved, in a single call: what did not move is not read again.
//! <https://docs.github.com/en/rest/repos/repos#list-repository-activities>
//!
//! Consent rests on these lists, so a kept one is used only while all of this holds:
//! - the log is read now, and goes on, entry by entry, from how it ended before the list was read;
//! - nothing in it since then is about the branch, but what the list holds already;
//! - the list held all that the log showed of the branch when it was read, and was about no other branch.
//!
//! Where one does not, the list is read, as it is where nothing is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    answers::read_activity,
    client::{ForgeError, Reader, encode},
    look::{Known, at_once, unknown},
};
use crate::{
    domain::{Activity, Branch, RepoName},
    plan::facts::{Answer, Question},
};

/// So many of the log's newest entries must be as they were. What the forge would add to its log below this many newer
/// entries is not noticed until its branch moves again.
const WINDOW: usize = 50;
/// A log that went on for more pages of a hundred than this is not followed; the branches are read.
const MOST_LOG_PAGES: usize = 3;
/// So many branches of a repository are kept, each with so many entries.
const MOST_BRANCHES: usize = 2_000;
const MOST_ENTRIES: usize = 300;

/// The lists of one repository's branches, and how its log ended before any of them was read.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// The newest entries of the log, newest first.
    newest: Vec<Value>,
    /// By full name, newest first.
    branches: BTreeMap<String, Vec<Value>>,
}

impl Moves {
    /// How many entries of the log are newer than all that were known; none if it is not seen to go on from those.
    fn fresh(&self, log: &[Value]) -> Option<usize> {
        let last = self.newest.first()?;
        let fresh = log.iter().position(|entry| entry == last)?;
        log[fresh..].starts_with(&self.newest).then_some(fresh)
    }

    /// Forgets every list that may have grown; the log begins with its newest entry.
    pub fn follow(&mut self, mut log: Vec<Value>) {
        let names_all = log.iter().all(|entry| entry["ref"].is_string());
        match self.fresh(&log).filter(|_| names_all) {
            Some(fresh) => {
                let news = &log[..fresh];
                self.branches.retain(|branch, list| {
                    news.iter().all(|entry| entry["ref"] != branch.as_str() || list.contains(entry))
                });
            }
            None => self.branches.clear(),
        }
        log.truncate(WINDOW);
        self.newest = log;
    }

    /// Keeps the list of a branch that was read after the log was, if it can be followed from here.
    pub fn learn(&mut self, branch: &str, list: &[Value]) {
        let is_its_own = !list.is_empty() && list.iter().all(|entry| entry["ref"] == branch);
        // Lists lag behind what happened, and not all by the same.
        let mut shown = self.newest.iter().filter(|entry| entry["ref"] == branch);
        if is_its_own && list.len() <= MOST_ENTRIES && shown.all(|entry| list.contains(entry)) {
            self.branches.insert(branch.to_owned(), list.to_vec());
        }
    }

    /// The list of a branch, newest first, if it is as it was.
    pub fn list(&self, branch: &str) -> Option<&[Value]> {
        self.branches.get(branch).map(Vec::as_slice)
    }
}

/// What is kept of an entry: what is read of it, and what tells it from others.
fn entry(item: &Value) -> Value {
    json!({
        "id": item["id"], "ref": item["ref"], "activity_type": item["activity_type"], "timestamp": item["timestamp"],
        "before": item["before"], "after": item["after"], "actor": { "login": item["actor"]["login"] },
    })
}

fn answer(list: &[Value]) -> Answer {
    let activity: Known<Vec<Activity>> = list.iter().rev().map(read_activity).collect();
    activity.map_or_else(|why| unknown(&why), |activity| Answer::Activity(activity.into()))
}

impl Reader {
    /// What was pushed to these branches.
    pub(super) async fn activity(
        &self,
        asked: BTreeMap<RepoName, BTreeSet<Branch>>,
    ) -> Vec<(Question, Answer)> {
        let (mut answers, mut unread, mut logs) = (Vec::new(), Vec::new(), BTreeMap::new());
        for (name, branches) in asked {
            // A single list costs no more than the log.
            let moves = if branches.len() > 1 { self.moves(&name).await } else { None };
            for branch in branches {
                match moves.as_ref().and_then(|moves| moves.list(&branch.full())) {
                    Some(list) => {
                        self.spared();
                        answers.push((Question::Activity(name.clone(), branch), answer(list)));
                    }
                    None => unread.push((name.clone(), branch)),
                }
            }
            logs.extend(moves.map(|moves| (name, moves)));
        }
        let calls = unread.into_iter().map(|(name, branch)| {
            let reader = self.clone();
            async move {
                let list = reader.list(&name, &branch).await;
                (name, branch, list)
            }
        });
        let mut learnt = BTreeMap::<RepoName, Vec<(String, Vec<Value>)>>::new();
        for (name, branch, list) in at_once(calls).await {
            let answer = list.as_ref().map_or_else(|error| unknown(&error.to_string()), |list| answer(list));
            if let Ok(list) = list {
                learnt.entry(name.clone()).or_default().push((branch.full(), list));
            }
            answers.push((Question::Activity(name, branch), answer));
        }
        for (name, mut moves) in logs {
            let lists = learnt.remove(&name).unwrap_or_default();
            if moves.branches.len() + lists.len() > MOST_BRANCHES {
                moves.branches.clear();
            }
            for (branch, list) in lists {
                moves.learn(&branch, &list);
            }
            self.kept().keep_moves(&name, moves);
        }
        answers
    }

    /// What is kept of a repository and true still; none when its log cannot be read.
    async fn moves(&self, name: &RepoName) -> Option<Moves> {
        let mut moves = self.kept().moves(name);
        let mut log = Vec::new();
        let mut next = Some(self.path(&format!("/repos/{name}/activity?per_page=100")));
        for _ in 0..MOST_LOG_PAGES {
            let Some(path) = next.take() else { break };
            let (page, more) = self.page(name, &path).await.ok()?;
            log.extend(page.iter().map(entry));
            if moves.newest.is_empty() || moves.fresh(&log).is_some() {
                break;
            }
            next = more;
        }
        moves.follow(log);
        Some(moves)
    }

    async fn list(&self, name: &RepoName, branch: &Branch) -> Result<Vec<Value>, ForgeError> {
        let reference = encode(&branch.full());
        let items = self.pages(name, &format!("/repos/{name}/activity?ref={reference}&per_page=100")).await?;
        Ok(items.iter().map(entry).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `4b 3a` is a log, newest first: an entry's number and the branch that it is about.
    fn log(text: &str) -> Vec<Value> {
        let entry = |word: &str| json!({ "id": word, "ref": &word[word.len() - 1..] });
        text.split_whitespace().map(entry).collect()
    }

    /// After the log `before` was read, and then these lists: which are used once the log is `now`?
    #[track_caller]
    fn check(before: &str, lists: &[&str], now: &str, used: &str) {
        let mut moves = Moves::default();
        moves.follow(log(before));
        for list in lists {
            let list = log(list);
            moves.learn(list[0]["ref"].as_str().unwrap(), &list);
        }
        moves.follow(log(now));
        let names: Vec<_> = moves.branches.keys().map(String::as_str).collect();
        assert_eq!(names.join(" "), used, "{before} | {lists:?} | {now}");
    }

    #[test]
    fn a_list_is_used_until_the_log_tells_of_its_branch() {
        check("3b 2a 1a", &["2a 1a", "3b"], "3b 2a 1a", "a b");
        check("3b 2a 1a", &["2a 1a", "3b"], "5c 4b 3b 2a 1a", "a");
        // Away and back: it points to where it did, and has moved twice.
        check("3b 2a 1a", &["2a 1a", "3b"], "5a 4a 3b 2a 1a", "b");
        // It moved between the two reads, so the list says it already.
        check("3b 2a 1a", &["4a 2a 1a", "3b"], "4a 3b 2a 1a", "a b");
    }

    #[test]
    fn nothing_is_used_where_the_log_does_not_go_on_from_what_was_known() {
        // Something came late, something is gone, all is new, nothing was known.
        check("3b 1a", &["1a", "3b"], "4c 3b 2a 1a", "");
        check("3b 2a 1a", &["2a 1a", "3b"], "4c 3b 1a", "");
        check("3b 2a 1a", &["2a 1a", "3b"], "6c 5c", "");
        check("", &["2a 1a"], "2a 1a", "");
    }

    #[test]
    fn a_list_that_lacks_what_the_log_shows_is_not_kept() {
        check("3b 2a 1a", &["1a", "3b"], "3b 2a 1a", "b");
    }

    #[test]
    fn a_list_that_is_about_another_branch_is_not_kept() {
        check("3b 2a 1a", &["2a 1b"], "3b 2a 1a", "");
    }
}
