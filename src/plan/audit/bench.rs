//! What is found of one request, its plan and its record in one commit?

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Finding, Kind, Landed, Ledger, Standing, effect};
use crate::{
    catalog::{self, Folders},
    domain::{MergeMode, ObjectId, RepoPath, RequestId, Run, Stage, StepId, StepState, TreeEntry},
    plan::{
        build::Site,
        diff::Versions,
        facts::{DiffEntry, File, Looked, Pending},
        plan_file::{self, Plan},
        writeback,
    },
};

/// So many files are named in a sentence; the rest is counted.
const MOST_NAMED: usize = 10;

/// One commit under examination.
pub(super) struct Bench<'a> {
    pub(super) site: &'a Site<'a>,
    pub(super) folders: &'a Folders,
    pub(super) ledger: &'a Ledger,
    pub(super) landed: &'a Landed,
    pub(super) found: Vec<Finding>,
}

impl Bench<'_> {
    pub(super) fn note(&mut self, kind: Kind, request: Option<&RequestId>, message: String) {
        self.found.push(Finding {
            commit: self.landed.commit,
            kind,
            message,
            request: request.cloned(),
            files: Vec::new(),
        });
    }

    pub(super) fn path(&self, id: &RequestId, file: &str) -> RepoPath {
        self.folders.requests.join(&format!("{id}/{file}")).expect("a request's identifier makes a path")
    }

    /// A file at a commit; none where there is none or no commit.
    pub(super) fn bytes(&self, commit: Option<ObjectId>, path: &RepoPath) -> Looked<Option<File>> {
        let Some(commit) = commit else { return Ok(None) };
        Ok(self.site.look.file(&self.site.here.catalog, commit, path)?.ok().flatten().cloned())
    }

    /// The request and its plan.
    pub(super) fn request(
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
            (standing.is_spent, standing.has_ended) = (true, false);
        }
        let is_written = |entry: &DiffEntry| entry.after.is_some();
        let gone: Vec<&str> =
            files.iter().filter(|(_, entry)| entry.after.is_none()).map(|(file, _)| *file).collect();
        if !gone.is_empty() {
            self.note(Kind::Removed, Some(id), format!("{} of `{id}` went away", gone.join(", ")));
            standing.is_gone |= gone.contains(&"request.yaml");
            standing.is_spent |= gone.contains(&"run.yaml");
            standing.has_ended &= !gone.contains(&"run.yaml");
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
        let diff = self.bytes(Some(self.landed.commit), &self.path(id, "plan.diff"));
        let Some(file) = self.bytes(Some(self.landed.commit), &self.path(id, "plan.yaml"))? else {
            return Ok(Vec::new());
        };
        let plan = match plan_file::read_plan(&file) {
            Ok(plan) => plan,
            Err(why) => {
                return Ok(vec![doubt(
                    Kind::Unreadable,
                    format!("the plan of `{id}` cannot be read: {why}"),
                )]);
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
            // What was planned in another version of the format is told as it was then.
            if doubts.is_empty() {
                let diff = diff?.map(|file| file.bytes);
                let found = effect::doubts(self, id, &plan, diff.as_deref())?;
                doubts.extend(found.into_iter().map(|(kind, message)| doubt(kind, message)));
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
    pub(super) fn record(
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
        let run = match plan_file::read_run(&file.bytes) {
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
        if standing.is_spent && run.status != Stage::Denied {
            self.note(
                Kind::Replayed,
                Some(id),
                format!("`{id}` was used before, and is recorded as {}", run.status),
            );
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
        Ok(Some(match writeback::apply(self.site, &planned, self.path(id, "request.yaml").as_str())? {
            Ok(applied) => {
                if applied.entities != run.entities {
                    let message = format!("the record of `{id}` names other entities than the plan changes");
                    self.note(Kind::RecordDiffers, Some(id), message);
                }
                Ok(applied.files)
            }
            Err(problems) => {
                Err(problems.first().map_or_else(String::new, |problem| problem.message.clone()))
            }
        }))
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
            if plan.is_none() {
                wrong.push("what was carried out had no plan".to_owned());
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
    pub(super) fn entities(
        &mut self,
        changed: &BTreeMap<&RepoPath, DiffEntry>,
        recorded: &BTreeSet<RequestId>,
        expected: Result<BTreeMap<RepoPath, Versions>, String>,
        asks: bool,
    ) {
        let files = || changed.keys().map(|path| (*path).clone()).collect::<Vec<_>>();
        let names = |files: &[RepoPath]| {
            let mut names: Vec<String> = files.iter().take(MOST_NAMED).map(ToString::to_string).collect();
            if let Some(others) = files.len().checked_sub(MOST_NAMED).filter(|others| *others > 0) {
                names.push(format!("and {others} more"));
            }
            names.join(", ")
        };
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
