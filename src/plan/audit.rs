//! Does a history follow from what it says? Each commit of the default branch is recomputed from what was before it:
//! the trailers against the records, the records against the plans, the plans against their keys and pins, the entities
//! against the plans.
//!
//! Only Git is asked. It cannot tell what a branch was before it was forced elsewhere, nor who was in which team of
//! the forge.

mod bench;
mod effect;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bench::Bench;

use super::{
    build::Site,
    diff::Versions,
    facts::{DiffEntry, Looked, Pending},
};
use crate::{
    catalog::Folders,
    domain::{ObjectId, RUN_TRAILER as TRAILER, RepoPath, RequestId, Timestamp, trailers},
};

/// A commit of the default branch, as far as the catalog's folders go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Landed {
    /// Which.
    pub commit: ObjectId,
    /// What was before it.
    pub parent: Option<ObjectId>,
    /// What it merged.
    pub merged: Option<ObjectId>,
    /// When, as it says.
    pub at: Timestamp,
    /// Who wrote it, as it says.
    pub author: String,
    /// Its message, and that of what it merged.
    pub messages: Vec<String>,
    /// The files below the folders that differ from what was before.
    pub changes: BTreeMap<RepoPath, DiffEntry>,
    /// Why there are changes that cannot be named.
    pub unreadable: Option<String>,
    /// Whether it, or what it merged, is signed by us.
    pub signature: Signature,
}

/// What is known of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signature {
    /// Nobody said whose would be good.
    NotAsked,
    /// It is by one of those who may.
    Good,
    /// Why it is not.
    Bad(String),
}

impl Landed {
    /// The trailers that name runs. What stands elsewhere in a message is people's text.
    fn trailers(&self) -> Vec<&str> {
        self.messages.iter().flat_map(|message| trailers(message, TRAILER)).collect()
    }

    /// The requests of which it writes a record.
    pub fn records<'a>(
        &'a self,
        folders: &'a Folders,
    ) -> impl Iterator<Item = (RequestId, &'a RepoPath, DiffEntry)> {
        self.changes.iter().filter_map(|(path, entry)| {
            let below = path.under(&folders.requests)?.strip_suffix("/run.yaml")?;
            Some((below.parse().ok()?, path, *entry))
        })
    }
}

/// How a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Worth knowing.
    Note,
    /// People changed entities without asking Chandlery, as they may.
    Hand,
    /// It does not follow.
    Fault,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident, $word:literal, $weight:ident;)*) => {
        /// What was found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its word, for programs.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How it weighs.
            pub fn weight(self) -> Weight {
                match self { $(Self::$name => Weight::$weight,)* }
            }
        }
    };
}

kinds! {
    /// The commit that was to come before is not before it.
    Rewritten, "history-rewritten", Fault;
    /// A file that must be read cannot be.
    Unreadable, "unreadable", Fault;
    /// A trailer names a run that the commit does not record.
    ForgedTrailer, "forged-trailer", Fault;
    /// A record without its trailer.
    MissingTrailer, "missing-trailer", Fault;
    /// The trailer says something else than the record.
    TrailerDiffers, "trailer-differs", Fault;
    /// The record does not follow from the request and its plan.
    RecordDiffers, "record-differs", Fault;
    /// A file of a request was changed after its merge, or after its end.
    Changed, "changed-afterwards", Fault;
    /// A file of a request went away.
    Removed, "removed", Fault;
    /// An identifier was used a second time.
    Replayed, "replayed", Fault;
    /// A plan or a record without a request.
    NoRequest, "no-request", Fault;
    /// The key of a plan does not follow from what it says.
    PlanDiffers, "plan-differs", Fault;
    /// The diff that people read is not that of the plan.
    DiffDiffers, "diff-differs", Fault;
    /// What a plan was made from was never in the catalog.
    PinMissing, "pin-missing", Fault;
    /// Somebody approved what they asked for.
    SelfApproval, "self-approval", Fault;
    /// Entities were changed otherwise than planned by a commit that records runs.
    EntitiesDiffer, "entities-differ", Fault;
    /// A commit that brings a request changes entities, too.
    Mixed, "mixed-change", Fault;
    /// A record that is not signed by us.
    BadSignature, "bad-signature", Fault;
    /// Entities were changed round Chandlery.
    Round, "changed-round-chandlery", Hand;
    /// It was carried out although it was merged past the rules.
    BreakGlass, "break-glass", Note;
    /// Fewer approvals are recorded than a rule wants: who agreed may have left since.
    FewApprovals, "few-approvals", Note;
    /// Not everything could be recomputed.
    NotRecomputed, "not-recomputed", Note;
    /// It was merged past the rules, and nothing was executed.
    Denied, "denied", Note;
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// In which commit.
    pub commit: ObjectId,
    /// What.
    pub kind: Kind,
    /// In words.
    pub message: String,
    /// About which request.
    pub request: Option<RequestId>,
    /// About which files.
    pub files: Vec<RepoPath>,
}

/// What is known of the requests so far, in the order of the history.
#[derive(Debug, Default)]
pub struct Ledger {
    all: Vec<ObjectId>,
    line: HashMap<ObjectId, usize>,
    requests: BTreeMap<RequestId, Standing>,
}

#[derive(Debug, Default, Clone)]
struct Standing {
    /// The commits that wrote the request or its plan.
    written: Vec<ObjectId>,
    is_gone: bool,
    /// Whether its record went away, or it came back: nothing may be carried out any more.
    is_spent: bool,
    has_record: bool,
    has_ended: bool,
    /// What is wrong with its plan, if it was not denied.
    doubts: Vec<Finding>,
}

impl Ledger {
    /// For a line of commits, oldest first.
    pub fn new(line: &[ObjectId]) -> Self {
        let all = line.to_vec();
        let line = line.iter().enumerate().map(|(at, commit)| (*commit, at)).collect();
        Self { all, line, requests: BTreeMap::new() }
    }

    /// The commits of the line that came before one, newest first.
    pub(super) fn before(&self, commit: ObjectId) -> impl Iterator<Item = ObjectId> {
        let at = self.line.get(&commit).copied().unwrap_or_default();
        self.all[..at].iter().rev().copied()
    }

    /// How many requests there are, and of how many of them the end is recorded.
    pub fn counts(&self) -> (usize, usize) {
        (self.requests.len(), self.requests.values().filter(|standing| standing.has_ended).count())
    }

    /// What is wrong with the plans of requests that have no end yet.
    pub fn doubts(&self) -> impl Iterator<Item = &Finding> {
        self.requests.values().flat_map(|standing| &standing.doubts)
    }
}

/// What one commit is found to be.
#[derive(Debug, Default)]
pub struct Examined {
    /// What was found.
    pub findings: Vec<Finding>,
    standings: BTreeMap<RequestId, Standing>,
}

impl Examined {
    /// Goes on from it.
    pub fn enter(self, ledger: &mut Ledger) -> Vec<Finding> {
        ledger.requests.extend(self.standings);
        self.findings
    }
}

/// Holds a commit against what was before it. The site is that of its parent.
///
/// # Errors
/// `Pending` while answers are awaited.
pub fn examine(site: &Site<'_>, folders: &Folders, ledger: &Ledger, landed: &Landed) -> Looked<Examined> {
    let mut bench = Bench { site, folders, ledger, landed, found: Vec::new() };
    let mut requests: BTreeMap<RequestId, BTreeMap<&str, DiffEntry>> = BTreeMap::new();
    let mut entities: BTreeMap<&RepoPath, DiffEntry> = BTreeMap::new();
    for (path, entry) in &landed.changes {
        if let Some(below) = path.under(&folders.requests) {
            let Some((name, file)) = below.rsplit_once('/') else { continue };
            if let Ok(id) = name.parse() {
                requests.entry(id).or_default().insert(file, *entry);
            }
        } else if path.under(&folders.entities).is_some() && path.extension().as_deref() == Some("yaml") {
            entities.insert(path, *entry);
        }
    }
    if let Some(why) = &landed.unreadable {
        bench.note(Kind::Unreadable, None, format!("what it changes cannot be read: {why}"));
    }

    let mut standings = BTreeMap::new();
    let mut recorded: BTreeSet<RequestId> = BTreeSet::new();
    let mut expected: Result<BTreeMap<RepoPath, Versions>, String> = Ok(BTreeMap::new());
    let (mut pending, mut asks) = (false, false);
    for (id, files) in &requests {
        let mut standing = ledger.requests.get(id).cloned().unwrap_or_default();
        asks |= files.iter().any(|(name, entry)| *name != "run.yaml" && entry.after.is_some());
        pending |= bench.request(id, files, &mut standing).is_err();
        if let Some(entry) = files.get("run.yaml") {
            match bench.record(id, *entry, &mut standing) {
                Err(Pending) => pending = true,
                Ok(None) => {}
                Ok(Some(files)) => {
                    recorded.insert(id.clone());
                    match (&mut expected, files) {
                        (Ok(all), Ok(files)) => all.extend(files),
                        (Ok(_), Err(why)) => expected = Err(why),
                        (Err(_), _) => {}
                    }
                }
            }
        }
        standings.insert(id.clone(), standing);
    }
    if pending {
        return Err(Pending);
    }
    for trailer in landed.trailers() {
        let name = trailer.split(' ').next().unwrap_or_default();
        if !recorded.iter().any(|id| id.as_str() == name) {
            let message = format!("its trailer names the run of `{name}`, which it does not record");
            bench.note(Kind::ForgedTrailer, name.parse().ok().as_ref(), message);
        }
    }
    bench.entities(&entities, &recorded, expected, asks);
    if let Signature::Bad(why) = &landed.signature {
        bench.note(
            Kind::BadSignature,
            recorded.first(),
            format!("it writes a record and is not signed by us: {why}"),
        );
    }
    Ok(Examined { findings: bench.found, standings })
}
