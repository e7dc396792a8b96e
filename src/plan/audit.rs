//! Does a history follow from what it says? Each commit of the default branch is recomputed from what was before it:
//! the trailers against the records, the records against the plans, the plans against their keys and pins, the entities
//! against the plans.
//!
//! Only Git is asked. It cannot tell what a branch was before it was forced elsewhere, nor who was in which team of
//! the forge.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use super::{
    build::Site,
    diff::Versions,
    facts::{DiffEntry, Looked, Pending},
    plan_file::{self, Plan},
    writeback,
};
use crate::{
    catalog::{self, Folders},
    domain::{MergeMode, ObjectId, RepoPath, RequestId, Run, Stage, StepId, StepState, Timestamp, TreeEntry},
};

/// What a trailer of ours begins with.
const TRAILER: &str = "Chandlery-Run: ";

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
    /// The trailers that name runs: those of the last paragraph. What stands elsewhere is people's text.
    fn trailers(&self) -> Vec<&str> {
        let last = |message: &str| message.trim_end().rfind("\n\n").unwrap_or(0);
        let last_paragraphs = self.messages.iter().map(|message| &message[last(message)..]);
        last_paragraphs.flat_map(|text| text.lines().filter_map(|line| line.strip_prefix(TRAILER))).collect()
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
    line: HashMap<ObjectId, usize>,
    requests: BTreeMap<RequestId, Standing>,
}

#[derive(Debug, Default, Clone)]
struct Standing {
    /// The commits that wrote the request or its plan.
    written: Vec<ObjectId>,
    is_gone: bool,
    has_record: bool,
    has_ended: bool,
    /// What is wrong with its plan, if it was not denied.
    doubts: Vec<Finding>,
}

impl Ledger {
    /// For a line of commits, oldest first.
    pub fn new(line: &[ObjectId]) -> Self {
        let line = line.iter().enumerate().map(|(at, commit)| (*commit, at)).collect();
        Self { line, requests: BTreeMap::new() }
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

/// One commit under examination.
struct Bench<'a> {
    site: &'a Site<'a>,
    folders: &'a Folders,
    ledger: &'a Ledger,
    landed: &'a Landed,
    found: Vec<Finding>,
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
        match bench.request(id, files, &mut standing) {
            Err(Pending) => pending = true,
            Ok(()) => {}
        }
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

impl Bench<'_> {
    fn note(&mut self, kind: Kind, request: Option<&RequestId>, message: String) {
        self.found.push(Finding {
            commit: self.landed.commit,
            kind,
            message,
            request: request.cloned(),
            files: Vec::new(),
        });
    }

    fn path(&self, id: &RequestId, file: &str) -> RepoPath {
        self.folders.requests.join(&format!("{id}/{file}")).expect("a request's identifier makes a path")
    }

    /// A file at a commit; none where there is none or no commit.
    fn bytes(&self, commit: Option<ObjectId>, path: &RepoPath) -> Looked<Option<super::facts::File>> {
        let Some(commit) = commit else { return Ok(None) };
        Ok(self.site.look.file(&self.site.here.catalog, commit, path)?.ok().flatten().cloned())
    }

    /// The request and its plan.
    fn request(
        &mut self,
        id: &RequestId,
        files: &BTreeMap<&str, DiffEntry>,
        standing: &mut Standing,
    ) -> Looked<()> {
        let name = |file: &str| self.path(id, file);
        let paths: Vec<RepoPath> = files.keys().map(|file| name(file)).collect();
        let here = self.landed.commit;
        let request_there = self.bytes(Some(here), &name("request.yaml"));
        let plan = files.get("plan.yaml").filter(|entry| entry.after.is_some());
        let plan = plan.map(|_| self.plan(id)).transpose();
        let (request_there, doubts) = (request_there?.is_some(), plan?);

        let is_old = !standing.written.is_empty() || standing.has_record;
        let came_back =
            files.get("request.yaml").is_some_and(|entry| entry.before.is_none()) && standing.is_gone;
        if came_back {
            self.note(Kind::Replayed, Some(id), format!("`{id}` was used before"));
        }
        let is_written = |entry: &DiffEntry| entry.after.is_some();
        let gone: Vec<&str> =
            files.iter().filter(|(_, entry)| entry.after.is_none()).map(|(file, _)| *file).collect();
        if !gone.is_empty() {
            self.note(Kind::Removed, Some(id), format!("{} of `{id}` went away", gone.join(", ")));
            standing.is_gone |= gone.contains(&"request.yaml");
        }
        let written: Vec<&str> =
            files.iter().filter(|(_, entry)| is_written(entry)).map(|(file, _)| *file).collect();
        if standing.has_ended && !written.is_empty() && !came_back {
            let message = format!("{} of `{id}` was written after its end was recorded", written.join(", "));
            self.note(Kind::Changed, Some(id), message);
        }
        if !request_there && !written.is_empty() && !is_old {
            self.note(
                Kind::NoRequest,
                Some(id),
                format!("{} of `{id}` without a request", written.join(", ")),
            );
        }
        if let Some(finding) = self.found.last_mut().filter(|finding| finding.request.as_ref() == Some(id)) {
            finding.files.clone_from(&paths);
        }
        if files.iter().any(|(file, entry)| *file != "run.yaml" && is_written(entry)) {
            standing.written.push(here);
        }
        if let Some(doubts) = doubts {
            standing.doubts = doubts;
        }
        Ok(())
    }

    /// What is wrong with the plan that this commit holds.
    fn plan(&self, id: &RequestId) -> Looked<Vec<Finding>> {
        let doubt = |kind, message: String| Finding {
            commit: self.landed.commit,
            kind,
            message,
            request: Some(id.clone()),
            files: vec![self.path(id, "plan.yaml")],
        };
        let Some(file) = self.bytes(Some(self.landed.commit), &self.path(id, "plan.yaml"))? else {
            return Ok(Vec::new());
        };
        let plan = match plan_file::read_plan(&file) {
            Ok(plan) => plan,
            Err(why) => {
                return Ok(vec![doubt(Kind::Unreadable, format!("the plan of `{id}` cannot be read: {why}"))]);
            }
        };
        let catalog = &self.site.here.catalog;
        let action_path = format!("{}/{}.yaml", self.folders.actions, plan.asked.action).parse::<RepoPath>();
        let action = self.site.look.blob(catalog, plan.pins.action);
        let mut pins = Vec::new();
        if let Ok(path) = &action_path {
            pins.push((path.clone(), plan.pins.action));
        }
        for (name, files) in &plan.pins.templates {
            for (path, pin) in files {
                if let Ok(path) = self.folders.templates.join(&format!("{name}/{path}")) {
                    pins.push((path, pin.id));
                }
            }
        }
        let mut missing = Vec::new();
        let mut pending = false;
        for (path, blob) in pins {
            match self.was_there(&path, blob) {
                Err(Pending) => pending = true,
                Ok(true) => {}
                Ok(false) => missing.push(path),
            }
        }
        if pending {
            return Err(Pending);
        }
        let mut doubts = Vec::new();
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(RepoPath::as_str).collect();
            let message = format!(
                "the plan of `{id}` names versions of {} that were never in the catalog",
                names.join(", ")
            );
            doubts.push(doubt(Kind::PinMissing, message));
        }
        let merges = match (action?, action_path) {
            (Ok(Some(bytes)), Ok(path)) => {
                catalog::read_action(&path, bytes).ok().map(|action| action.merge == MergeMode::Auto)
            }
            _ => None,
        };
        if plan.request != *id {
            doubts
                .push(doubt(Kind::PlanDiffers, format!("the plan of `{id}` is that of `{}`", plan.request)));
        } else if plan.version == plan_file::FORMAT {
            let follows = match merges {
                Some(merges) => plan.key == plan.key_of(merges),
                None => plan.key == plan.key_of(true) || plan.key == plan.key_of(false),
            };
            if !follows {
                let message =
                    format!("the key of the plan of `{id}` does not follow from what the plan says");
                doubts.push(doubt(Kind::PlanDiffers, message));
            }
        }
        Ok(doubts)
    }

    /// Whether a file was ever this blob, up to what was before this commit.
    fn was_there(&self, path: &RepoPath, blob: ObjectId) -> Looked<bool> {
        let Some(parent) = self.landed.parent else { return Ok(false) };
        if let Ok(Some(file)) = self.site.look.file(&self.site.here.catalog, parent, path)?
            && file.id == blob
        {
            return Ok(true);
        }
        Ok(self.site.look.versions(parent, path)?.is_ok_and(|versions| versions.contains(&blob)))
    }

    /// The record of a run. Where its end is recorded: the files that it should have changed, or why that cannot be said.
    fn record(
        &mut self,
        id: &RequestId,
        entry: DiffEntry,
        standing: &mut Standing,
    ) -> Looked<Option<Result<BTreeMap<RepoPath, Versions>, String>>> {
        if entry.after.is_none() {
            return Ok(None);
        }
        let path = self.path(id, "run.yaml");
        let file = self.bytes(Some(self.landed.commit), &path);
        let plan = self.bytes(self.landed.parent, &self.path(id, "plan.yaml"));
        let (Some(file), plan) = (file?, plan?) else { return Ok(None) };
        let run: Run = match plan_file::read_versioned(&file.bytes) {
            Ok(run) => run,
            Err(why) => {
                self.note(Kind::Unreadable, Some(id), format!("the record of `{id}` cannot be read: {why}"));
                return Ok(None);
            }
        };
        let was_recorded = standing.has_ended;
        standing.has_record = true;
        if !run.status.is_end() {
            if run.request != *id {
                self.note(
                    Kind::RecordDiffers,
                    Some(id),
                    format!("the record of `{id}` is that of `{}`", run.request),
                );
            }
            return Ok(None);
        }
        standing.has_ended = true;
        if was_recorded {
            // That it was changed is said already, and what it says now is no end of ours.
            return Ok(None);
        }
        let plan = plan.map(|file| plan_file::read_plan(&file));
        let plan = plan.and_then(Result::ok).filter(|_| run.plan.is_some());
        self.trailer(id, &run, plan.as_deref());
        let doubts = std::mem::take(&mut standing.doubts);
        if run.status == Stage::Denied {
            self.note(
                Kind::Denied,
                Some(id),
                format!("`{id}` was merged past the rules; nothing was executed"),
            );
        } else {
            self.found.extend(doubts);
        }
        self.merged(id, &run, standing);
        self.against_plan(id, &run, plan.as_deref());
        if run.status != Stage::Success {
            return Ok(Some(Ok(BTreeMap::new())));
        }
        let Some(plan) = plan else { return Ok(Some(Err(format!("the plan of `{id}` cannot be read")))) };
        let planned = match writeback::entities_filled(&plan.entities, &given(&run), run.merged_at) {
            Ok(planned) => planned,
            Err(why) => return Ok(Some(Err(why))),
        };
        let files = writeback::apply(self.site, &planned, self.path(id, "request.yaml").as_str())?;
        Ok(Some(files.map_err(|problems| {
            problems.first().map_or_else(String::new, |problem| problem.message.clone())
        })))
    }

    fn trailer(&mut self, id: &RequestId, run: &Run, plan: Option<&Plan>) {
        let named: Vec<String> = self
            .landed
            .trailers()
            .into_iter()
            .filter(|trailer| trailer.split(' ').next() == Some(id.as_str()))
            .map(str::to_owned)
            .collect();
        let wanted = writeback::trailer(run, plan.map(|plan| plan.pins.action));
        match &named[..] {
            [] => self.note(Kind::MissingTrailer, Some(id), format!("it records `{id}` without a trailer")),
            [one] if *one == wanted => {}
            [one] => {
                let message = format!("its trailer says `{one}` where the record of `{id}` says `{wanted}`");
                self.note(Kind::TrailerDiffers, Some(id), message);
            }
            _ => self.note(Kind::TrailerDiffers, Some(id), format!("it has several trailers for `{id}`")),
        }
    }

    /// Whether the merge that a record names brought what was carried out.
    fn merged(&mut self, id: &RequestId, run: &Run, standing: &Standing) {
        let Some(pull) = &run.pull_request else { return };
        let Some(merge) = pull.merge_commit.as_ref().and_then(|text| text.parse::<ObjectId>().ok()) else {
            return;
        };
        let here = self.ledger.line.get(&self.landed.commit);
        let Some(at) = self.ledger.line.get(&merge).filter(|at| Some(*at) < here) else {
            let message = format!(
                "the record of `{id}` names the merge {}, which did not come before it",
                merge.short()
            );
            return self.note(Kind::RecordDiffers, Some(id), message);
        };
        for commit in &standing.written {
            if self.ledger.line.get(commit) > Some(at) {
                self.found.push(Finding {
                    commit: *commit,
                    kind: Kind::Changed,
                    message: format!(
                        "it writes the request or plan of `{id}` after its merge {}",
                        merge.short()
                    ),
                    request: Some(id.clone()),
                    files: vec![self.path(id, "plan.yaml")],
                });
            }
        }
    }

    fn against_plan(&mut self, id: &RequestId, run: &Run, plan: Option<&Plan>) {
        let mut wrong = Vec::new();
        if run.request != *id {
            wrong.push(format!("it is that of `{}`", run.request));
        }
        if let Some(plan) = plan {
            if run.plan.as_ref() != Some(&plan.key) {
                wrong.push("it names another plan".to_owned());
            }
            if run.action.as_ref() != Some(&plan.asked.action) {
                wrong.push("it names another action".to_owned());
            }
        }
        if run.status == Stage::Success {
            match plan {
                None => wrong.push("what was carried out had no plan".to_owned()),
                Some(plan) if writeback::named(&plan.entities) != run.entities => {
                    wrong.push("it names other entities than the plan".to_owned());
                }
                Some(_) => {}
            }
        } else if !run.entities.is_empty() {
            wrong.push(format!("it is {} and names entities that changed", run.status));
        }
        if !wrong.is_empty() {
            self.note(
                Kind::RecordDiffers,
                Some(id),
                format!("the record of `{id}` does not follow: {}", wrong.join("; ")),
            );
        }
        if let Some(broken) = &run.break_glass {
            let message =
                format!("`{id}` was carried out past the rules by `{}`: {}", broken.by, broken.reason);
            return self.note(Kind::BreakGlass, Some(id), message);
        }
        if run.status != Stage::Success {
            return;
        }
        for login in run.approved_by.iter().filter(|login| run.requesters.contains(login)) {
            self.note(
                Kind::SelfApproval,
                Some(id),
                format!("`{login}` asked for `{id}` and counts as having approved it"),
            );
        }
        for rule in plan.iter().flat_map(|plan| &plan.approval) {
            let wanted = rule.count.unwrap_or(1) as usize;
            let named = |login: &&crate::domain::Login| {
                rule.writers || !rule.teams.is_empty() || rule.users.contains(login)
            };
            let given = run.approved_by.iter().filter(named).count();
            if given < wanted {
                let message = format!(
                    "the record of `{id}` names {given} of {wanted} approvals for the rule `{}`; who agreed may have left since",
                    rule.name
                );
                self.note(Kind::FewApprovals, Some(id), message);
            }
        }
    }

    /// The entities that changed, against those that should have.
    fn entities(
        &mut self,
        changed: &BTreeMap<&RepoPath, DiffEntry>,
        recorded: &BTreeSet<RequestId>,
        expected: Result<BTreeMap<RepoPath, Versions>, String>,
        asks: bool,
    ) {
        let files = || changed.keys().map(|path| (*path).clone()).collect::<Vec<_>>();
        let names = |files: &[RepoPath]| files.iter().map(RepoPath::as_str).collect::<Vec<_>>().join(", ");
        let (kind, message, files) = if recorded.is_empty() {
            if changed.is_empty() {
                return;
            }
            let (files, author) = (files(), &self.landed.author);
            match asks {
                true => {
                    (Kind::Mixed, format!("it brings a request and changes {}, too", names(&files)), files)
                }
                false => (Kind::Round, format!("{author} changed {} round Chandlery", names(&files)), files),
            }
        } else {
            match expected {
                Err(why) if changed.is_empty() => (
                    Kind::NotRecomputed,
                    format!("what should have changed cannot be recomputed: {why}"),
                    Vec::new(),
                ),
                Err(why) => {
                    let files = files();
                    (
                        Kind::EntitiesDiffer,
                        format!("what it changes in {} cannot be recomputed: {why}", names(&files)),
                        files,
                    )
                }
                Ok(expected) => {
                    let is_so = |path: &RepoPath| {
                        let after = |entry: &DiffEntry| entry.after.map(|TreeEntry { id, .. }| id);
                        let is = changed.get(path).map(after);
                        let should = expected.get(path).filter(|versions| versions.before != versions.after);
                        is == should
                            .map(|versions| versions.after.as_ref().map(|bytes| ObjectId::of_blob(bytes)))
                    };
                    let all: BTreeSet<&RepoPath> = changed.keys().copied().chain(expected.keys()).collect();
                    let files: Vec<RepoPath> = all.into_iter().filter(|path| !is_so(path)).cloned().collect();
                    if files.is_empty() {
                        return;
                    }
                    (Kind::EntitiesDiffer, format!("{} changed otherwise than planned", names(&files)), files)
                }
            }
        };
        let request = recorded.first().cloned();
        self.found.push(Finding { commit: self.landed.commit, kind, message, request, files });
    }
}

/// What the steps of a run gave, as its record tells.
fn given(run: &Run) -> impl Fn(&StepId, &str) -> Option<Value> {
    move |step, name| {
        let of_step =
            run.progress.iter().find(|known| known.step == *step && known.state == StepState::Success);
        if let Some(value) = of_step.and_then(|known| known.outputs.get(name)) {
            return Some(value.clone());
        }
        let pull = run.steps.iter().find(|pull| pull.step.as_ref() == Some(step))?;
        writeback::outputs_of(pull).get(name).cloned()
    }
}
