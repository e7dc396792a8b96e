//! How did a branch come to its head, and in which commits did a path appear?

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use git2::{Commit, MergeOptions, ObjectType, Oid, Sort, Tree};

use super::objects::{Node, Objects, Read, ReadError, from_git, to_git};
use crate::{
    domain::{ObjectId, RepoPath, RequestId, Timestamp},
    plan::facts::{Appearance, Arrival, ChainCommit, ChainKind},
};

/// A branch under review with more commits than this is not judged.
const LONGEST_CHAIN: usize = 5_000;

/// How many versions of a file are looked for, and in how many commits.
const MOST_VERSIONS: usize = 50;
const MOST_COMMITS: usize = 20_000;

/// So many commits that are older than what is asked for end the walk: clocks differ, and a single one may be wrong.
const OLDER_COMMITS: usize = 50;

/// How many folders are kept at hand while walking the history.
const FOLDERS_AT_HAND: usize = 4_096;

/// What was found out about the history before, so that the next look goes only through what is
/// new: for each path, up to which commit it is known, and its appearances from there on.
pub type Remembered = HashMap<RepoPath, (ObjectId, Vec<Appearance>)>;

impl Objects {
    /// The first-parent chain from a head down to the first commit that the base contains (which
    /// is left out), newest first.
    ///
    /// # Errors
    /// When a commit is missing, the chain is too long, or a path cannot be named.
    pub fn chain(&self, head: ObjectId, base: ObjectId) -> Read<Vec<ChainCommit>> {
        for id in [head, base] {
            self.root(id)?;
        }
        let beyond = self.beyond(head, base)?;
        let mut chain = Vec::new();
        let mut next = Some(to_git(head));
        while let Some(id) = next.filter(|id| beyond.contains(id)) {
            if chain.len() == LONGEST_CHAIN {
                return Err(ReadError::Strange(format!(
                    "the branch has more than {LONGEST_CHAIN} commits; make it anew"
                )));
            }
            let commit = self.commit(id)?;
            let parent = commit.parent_id(0).ok();
            let before = parent.map(|parent| self.root(from_git(parent))).transpose()?;
            let changes = self.changes(before, from_git(commit.tree_id()))?;
            chain.push(ChainCommit {
                id: from_git(id),
                kind: self.kind(&commit, &beyond)?,
                paths: changes.into_keys().collect(),
            });
            next = parent;
        }
        Ok(chain)
    }

    /// The commits that the base does not contain.
    fn beyond(&self, head: ObjectId, base: ObjectId) -> Read<HashSet<Oid>> {
        let walk = || -> Result<HashSet<Oid>, git2::Error> {
            let mut walk = self.repository.revwalk()?;
            walk.set_sorting(Sort::NONE)?;
            walk.push(to_git(head))?;
            walk.hide(to_git(base))?;
            walk.collect()
        };
        walk().map_err(|error| ReadError::broken(&error))
    }

    fn kind(&self, commit: &Commit<'_>, beyond: &HashSet<Oid>) -> Read<ChainKind> {
        let parents: Vec<Oid> = commit.parent_ids().collect();
        let [ours, theirs] = parents[..] else {
            return Ok(if parents.len() < 2 { ChainKind::Ordinary } else { ChainKind::OtherMerge });
        };
        let of_base = !beyond.contains(&theirs);
        if of_base && self.merges_cleanly(ours, theirs, commit.tree_id())? {
            return Ok(ChainKind::CleanMergeOfBase);
        }
        Ok(ChainKind::OtherMerge)
    }

    /// Whether merging anew gives exactly this tree. libgit2 is asked first, being quick; forges
    /// merge as the git program does, which follows renames further, so it has the last word.
    fn merges_cleanly(&self, ours: Oid, theirs: Oid, tree: Oid) -> Read<bool> {
        if self.merge(ours, theirs)? == Some(tree) {
            return Ok(true);
        }
        let merged = self.git.merge_tree(from_git(ours), from_git(theirs));
        merged
            .map(|merged| merged == Some(from_git(tree)))
            .map_err(|error| ReadError::Broken(error.to_string()))
    }

    /// The commit that merging `head` into `base` gives, for looking at and nothing else: no branch leads to it. The same
    /// two give the same commit; none where they conflict.
    ///
    /// # Errors
    /// When an object is missing, or the two have no history in common.
    pub fn merged(&self, base: ObjectId, head: ObjectId) -> Read<Option<ObjectId>> {
        let fork = self.fork(base, head)?;
        if fork == base || fork == head {
            return Ok(Some(if fork == base { head } else { base }));
        }
        let tree = match self.merge(to_git(base), to_git(head))? {
            Some(tree) => Some(from_git(tree)),
            None => {
                let merged = self.git.merge_tree(base, head);
                merged.map_err(|error| ReadError::Broken(error.to_string()))?
            }
        };
        let Some(tree) = tree else { return Ok(None) };
        let at = self.made(base)?.at.max(self.made(head)?.at).seconds();
        let text = format!(
            "tree {tree}\nparent {base}\nparent {head}\nauthor Chandlery <> {at} +0000\ncommitter Chandlery <> {at} +0000\n\nWhat merging would give\n"
        );
        self.store(ObjectType::Commit, text.as_bytes()).map(Some)
    }

    fn merge(&self, ours: Oid, theirs: Oid) -> Read<Option<Oid>> {
        let (ours, theirs) = (self.commit(ours)?, self.commit(theirs)?);
        let merge = || {
            let mut index = self.repository.merge_commits(&ours, &theirs, Some(&MergeOptions::new()))?;
            if index.has_conflicts() {
                return Ok(None);
            }
            index.write_tree_to(&self.repository).map(Some)
        };
        merge().map_err(|error: git2::Error| ReadError::broken(&error))
    }

    /// The commits on the first-parent chain of `head` in which each path appeared, newest first.
    /// A path that went away and came back has appeared twice, so the walk goes to the very
    /// beginning, or to where it came the last time.
    ///
    /// # Errors
    /// When a commit or folder is missing.
    pub fn appearances(
        &self,
        head: ObjectId,
        paths: &BTreeSet<RepoPath>,
        remembered: &mut Remembered,
    ) -> Read<BTreeMap<RepoPath, Vec<Appearance>>> {
        self.root(head)?;
        let mut found: BTreeMap<&RepoPath, Vec<Appearance>> =
            paths.iter().map(|path| (path, Vec::new())).collect();
        let mut open: BTreeMap<&RepoPath, bool> = paths.iter().map(|path| (path, false)).collect();
        let mut folders = HashMap::new();
        let mut child: Option<(ObjectId, Timestamp)> = None;
        let mut next = Some(to_git(head));
        while let Some(id) = next.filter(|_| !open.is_empty()) {
            let commit = self.commit(id)?;
            let here = from_git(id);
            let mut settled = Vec::new();
            for (path, present_in_child) in &mut open {
                let present = self.is_present(commit.tree_id(), path, &mut folders)?;
                let appearances = found.get_mut(path).expect("every path has a list");
                if let Some((commit, at)) = child.filter(|_| *present_in_child && !present) {
                    appearances.push(Appearance { commit, parent: Some(here), at });
                }
                *present_in_child = present;
                if let Some((known, older)) = remembered.get(*path)
                    && *known == here
                {
                    appearances.extend(older);
                    settled.push(*path);
                }
            }
            for path in settled {
                open.remove(path);
            }
            child = Some((here, Timestamp::from_seconds(commit.time().seconds())));
            next = commit.parent_id(0).ok();
        }
        for (path, present) in open {
            if let Some((commit, at)) = child.filter(|_| present) {
                found.entry(path).or_default().push(Appearance { commit, parent: None, at });
            }
        }
        let found: BTreeMap<RepoPath, Vec<Appearance>> =
            found.into_iter().map(|(path, appearances)| (path.clone(), appearances)).collect();
        remembered
            .extend(found.iter().map(|(path, appearances)| (path.clone(), (head, appearances.clone()))));
        Ok(found)
    }

    /// The blobs that a path has been on the first-parent chain of `head`, newest first, each once.
    /// Looks no further than some twenty thousand commits or fifty versions back.
    ///
    /// # Errors
    /// When a commit or folder is missing.
    pub fn versions(&self, head: ObjectId, path: &RepoPath) -> Read<Vec<ObjectId>> {
        self.root(head)?;
        let mut versions = Vec::new();
        let mut next = Some(to_git(head));
        for _ in 0..MOST_COMMITS {
            let Some(id) = next.filter(|_| versions.len() < MOST_VERSIONS) else { break };
            if let Some(Node::File(entry)) = self.at(from_git(id), path)?
                && !versions.contains(&entry.id)
            {
                versions.push(entry.id);
            }
            next = self.commit(id)?.parent_id(0).ok();
        }
        Ok(versions)
    }

    /// The requests below a folder that came to the first-parent chain of `head` since then, oldest first. A commit that
    /// says an earlier time than one before it came when that one did.
    ///
    /// # Errors
    /// When a commit or folder is missing, or the history goes too far back.
    pub fn arrivals(&self, head: ObjectId, folder: &RepoPath, since: Timestamp) -> Read<Vec<Arrival>> {
        let root = self.root(head)?;
        let below = |tree: ObjectId| -> Read<Option<ObjectId>> {
            Ok(match self.find(tree, folder.as_str())? {
                Some(Node::Folder(id)) => Some(id),
                Some(Node::File(_)) | None => None,
            })
        };
        let mut found: Vec<(Timestamp, ObjectId, Vec<RequestId>)> = Vec::new();
        let (mut next, mut here) = (Some(to_git(head)), below(root)?);
        let (mut older, mut walked) = (0, 0);
        while let Some(id) = next.filter(|_| older < OLDER_COMMITS) {
            walked += 1;
            if walked > MOST_COMMITS {
                return Err(ReadError::Strange(format!(
                    "more than {MOST_COMMITS} commits would have to be read"
                )));
            }
            let commit = self.commit(id)?;
            let at = Timestamp::from_seconds(commit.time().seconds());
            older = if at < since { older + 1 } else { 0 };
            next = commit.parent_id(0).ok();
            let before = match next {
                Some(parent) => below(self.root(from_git(parent))?)?,
                None => None,
            };
            let mut new = Vec::new();
            if let Some(tree) = here.filter(|tree| Some(*tree) != before) {
                for (path, entry) in self.changes(before, tree)? {
                    let id = path.as_str().strip_suffix("/request.yaml").and_then(|id| id.parse().ok());
                    if entry.before.is_none() {
                        new.extend(id);
                    }
                }
            }
            found.push((at, from_git(id), new));
            here = before;
        }
        let mut latest = Timestamp::from_seconds(i64::MIN);
        let mut arrivals = Vec::new();
        for (at, commit, requests) in found.into_iter().rev() {
            latest = latest.max(at);
            let arrived = requests.into_iter().map(|request| Arrival { request, commit, at: latest });
            arrivals.extend(arrived.filter(|arrival| arrival.at >= since));
        }
        Ok(arrivals)
    }

    fn is_present<'a>(
        &'a self,
        root: Oid,
        path: &RepoPath,
        folders: &mut HashMap<Oid, Tree<'a>>,
    ) -> Read<bool> {
        if folders.len() > FOLDERS_AT_HAND {
            folders.clear();
        }
        let mut folder = Some(root);
        for segment in path.as_str().split('/') {
            let Some(id) = folder else {
                return Ok(false);
            };
            let tree = match folders.entry(id) {
                std::collections::hash_map::Entry::Occupied(slot) => slot.into_mut(),
                std::collections::hash_map::Entry::Vacant(slot) => slot.insert(self.tree(from_git(id))?),
            };
            let Some(entry) = tree.get_name(segment) else {
                return Ok(false);
            };
            folder = (entry.filemode() == 0o040_000).then(|| entry.id());
        }
        Ok(true)
    }

    pub(super) fn commit(&self, id: Oid) -> Read<Commit<'_>> {
        self.repository.find_commit(id).map_err(|error| ReadError::broken(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::fixture::Fixture;

    #[test]
    fn a_merge_of_the_base_is_clean_only_if_merging_anew_gives_the_same() {
        let repo = Fixture::new();
        let fork = repo.commit(&[], "shared a|b|c|d|e\nother x");
        let base = repo.commit(&[fork], "shared a|b|c|d|E\nnew y");
        let work = repo.commit(&[fork], "shared A|b|c|d|e\nrequests/r/request.yaml q");
        let honest = repo.commit(&[work, base], "shared A|b|c|d|E\nnew y");
        let doctored = repo.commit(&[work, base], "shared A|b|c|d|E\nnew y\nrequests/r/request.yaml evil");
        let stranger = repo.commit(&[fork], "foreign z");
        let foreign = repo.commit(&[work, stranger], "foreign z");
        let kinds = |head| -> Vec<ChainKind> {
            repo.objects.chain(head, base).unwrap().into_iter().map(|commit| commit.kind).collect()
        };
        assert_eq!(kinds(honest), [ChainKind::CleanMergeOfBase, ChainKind::Ordinary]);
        assert_eq!(kinds(doctored), [ChainKind::OtherMerge, ChainKind::Ordinary]);
        assert_eq!(kinds(foreign), [ChainKind::OtherMerge, ChainKind::Ordinary]);
        assert_eq!(kinds(base), []);
        let paths = &repo.objects.chain(honest, base).unwrap()[1].paths;
        assert_eq!(
            paths.iter().map(RepoPath::as_str).collect::<Vec<_>>(),
            ["requests/r/request.yaml", "shared"]
        );
    }

    #[test]
    fn a_merge_is_made_for_looking_at() {
        let repo = Fixture::new();
        let fork = repo.commit(&[], "a 1\nb 1");
        let base = repo.commit(&[fork], "a 2");
        let head = repo.commit(&[fork], "b 2");
        let merged = repo.objects.merged(base, head).unwrap().unwrap();
        assert_eq!(repo.objects.merged(base, head).unwrap(), Some(merged));
        assert_eq!(repo.objects.fork(merged, head).unwrap(), head);
        let read = |path: &str| repo.objects.file(merged, &path.parse().unwrap()).unwrap().unwrap().bytes;
        assert_eq!((&*read("a"), &*read("b")), (&b"2\n"[..], &b"2\n"[..]));
        assert_eq!(repo.objects.merged(fork, head).unwrap(), Some(head));
        assert_eq!(repo.objects.merged(base, fork).unwrap(), Some(base));
        let other = repo.commit(&[fork], "a 3");
        assert_eq!(repo.objects.merged(base, other).unwrap(), None);
    }

    #[test]
    fn libgit2_and_git_merge_alike() {
        let repo = Fixture::new();
        let fork = repo.commit(&[], "a 1|2|3|4|5|6\nb 1|2|3\nd/c x\nd/e y|z|y|z|y|z|y");
        for (ours, theirs, clean) in [
            ("a 0|2|3|4|5|6", "a 1|2|3|4|5|9", true),
            ("a 0|2|3|4|5|6", "a 9|2|3|4|5|6", false),
            ("-b", "a 7|2|3|4|5|6", true),
            ("-b", "b 1|2|4", false),
            ("new same", "new same", true),
            ("new one", "new two", false),
            ("-d/e\nd/f y|z|y|z|y|z|y", "d/e y|z|y|z|y|z|w", true),
            ("d/c/x y\n-d/c", "a 7|2|3|4|5|6", true),
        ] {
            let (ours, theirs) = match ours.strip_prefix("d/c/x y\n") {
                Some(delete) => {
                    (repo.commit(&[repo.commit(&[fork], delete)], "d/c/x y"), repo.commit(&[fork], theirs))
                }
                None => (repo.commit(&[fork], ours), repo.commit(&[fork], theirs)),
            };
            let libgit2 = repo.objects.merge(to_git(ours), to_git(theirs)).unwrap().map(from_git);
            let git = repo.objects.git.merge_tree(ours, theirs).unwrap();
            assert_eq!(libgit2, git);
            assert_eq!(git.is_some(), clean);
        }
    }

    #[test]
    fn requests_arrive_in_the_order_of_the_branch_whatever_their_commits_say() {
        let repo = Fixture::new();
        let folder: RepoPath = "requests".parse().unwrap();
        let first = repo.commit_at(&[], "requests/old/request.yaml a\nother x", 100);
        let two =
            repo.commit_at(&[first], "requests/2026/01/b/request.yaml b\nrequests/a/request.yaml a", 200);
        let side = repo.commit_at(&[first], "requests/side/request.yaml s", 150);
        let merged = repo.commit_at(&[two, side], "requests/side/request.yaml s", 300);
        // By a clock that is wrong, or that somebody set back.
        let backdated = repo.commit_at(&[merged], "requests/late/request.yaml l", 1);
        let head = repo.commit_at(&[backdated], "requests/a/run.yaml r\n-requests/old/request.yaml", 400);
        let told = |since: i64| -> Vec<(String, ObjectId, i64)> {
            let found = repo.objects.arrivals(head, &folder, Timestamp::from_seconds(since)).unwrap();
            found.into_iter().map(|one| (one.request.to_string(), one.commit, one.at.seconds())).collect()
        };
        let all = [
            ("old".to_owned(), first, 100),
            ("2026/01/b".to_owned(), two, 200),
            ("a".to_owned(), two, 200),
            ("side".to_owned(), merged, 300),
            ("late".to_owned(), backdated, 300),
        ];
        assert_eq!(told(0), all);
        assert_eq!(told(250), all[3..]);
        assert_eq!(told(301), []);
        // So many commits that are older end the walk.
        let mut head = repo.commit_at(&[], "requests/before/request.yaml b", 500);
        for number in 0..60 {
            head = repo.commit_at(&[head], &format!("other {number}"), 10);
        }
        assert_eq!(repo.objects.arrivals(head, &folder, Timestamp::from_seconds(400)).unwrap(), []);
        assert_eq!(repo.objects.arrivals(head, &folder, Timestamp::from_seconds(5)).unwrap().len(), 1);
    }

    #[test]
    fn a_path_that_came_back_has_appeared_twice() {
        let repo = Fixture::new();
        let first = repo.commit(&[], "requests/r/request.yaml a\nother x");
        let deleted = repo.commit(&[first], "-requests/r/request.yaml");
        let side = repo.commit(&[deleted], "requests/s/request.yaml s");
        let quiet = repo.commit(&[deleted], "other y");
        let merged = repo.commit(&[quiet, side], "requests/s/request.yaml s");
        let again = repo.commit(&[merged], "requests/r/request.yaml b");
        let head = repo.commit(&[again], "other z");
        let paths: BTreeSet<RepoPath> =
            ["requests/r", "requests/s", "requests/none"].map(|path| path.parse().unwrap()).into();
        let shown = |found: BTreeMap<RepoPath, Vec<Appearance>>| -> Vec<Vec<(ObjectId, Option<ObjectId>)>> {
            found
                .into_values()
                .map(|list| list.iter().map(|one| (one.commit, one.parent)).collect())
                .collect()
        };
        let expected = [vec![], vec![(again, Some(merged)), (first, None)], vec![(merged, Some(quiet))]];
        let mut remembered = Remembered::new();
        assert_eq!(shown(repo.objects.appearances(head, &paths, &mut remembered).unwrap()), expected);

        let blobs = |path: &str| repo.objects.versions(head, &path.parse().unwrap()).unwrap();
        let blob = |text: &str| ObjectId::of_blob(format!("{text}\n").as_bytes());
        assert_eq!(blobs("other"), [blob("z"), blob("y"), blob("x")]);
        assert_eq!(blobs("requests/r/request.yaml"), [blob("b"), blob("a")]);
        assert_eq!(blobs("requests/none"), []);

        // From where it came the last time, only what is new is walked; the answer is the same.
        let gone = repo.commit(&[head], "-requests/s/request.yaml");
        let last = repo.commit(&[gone], "requests/s/request.yaml t");
        let known = shown(repo.objects.appearances(last, &paths, &mut remembered).unwrap());
        assert_eq!(known, shown(repo.objects.appearances(last, &paths, &mut Remembered::new()).unwrap()));
        assert_eq!(known[2], [(last, Some(gone)), (merged, Some(quiet))]);
    }
}
