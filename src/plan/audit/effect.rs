//! Does what people read and approved follow from what it was made from? The diff against the plan, the files that templates write
//! whole against the pinned templates, and the entities against the pinned action and the catalog of then.
//!
//! Targets are elsewhere, so of what a plan changes inside files that were there only the ends of the diff are held against the plan.

use std::collections::{BTreeMap, BTreeSet};

use super::{Kind, bench::Bench};
use crate::{
    catalog::{self, form, values::Segment},
    domain::{Diagnostic, ObjectId, Place, RepoPath, Request, RequestFile, RequestId},
    plan::{
        admit, asking,
        build::{self, Site},
        diff,
        execute::pinned,
        facts::{Looked, Pending},
        plan_file::{FileChange, Plan},
        writeback,
    },
    render,
};

/// A plan is made at a commit of the default branch that was there shortly before its merge; so many are tried.
const CANDIDATES: usize = 50;

/// What does not follow.
pub(super) type Doubts = Vec<(Kind, String)>;

/// What a plan would do, as its pinned parts say it at one commit of the catalog.
struct Made {
    /// Whether the same was asked.
    asked: bool,
    /// Whether the same entities would change.
    entities: bool,
    /// The diff of the catalog's entities.
    diff: String,
    /// The files that its templates write whole.
    whole: BTreeMap<(String, RepoPath), Vec<u8>>,
}

/// Holds a plan and its diff against what they were made from.
pub(super) fn doubts(bench: &Bench<'_>, id: &RequestId, plan: &Plan, diff: Option<&[u8]>) -> Looked<Doubts> {
    let Some(diff) = diff else {
        return Ok(vec![(Kind::DiffDiffers, format!("the plan of `{id}` has no plan.diff"))]);
    };
    let shown = diff::entries(&String::from_utf8_lossy(diff));
    let mut found = Doubts::new();
    if let Some(why) = against_plan(bench, plan, &shown)? {
        found.push((Kind::DiffDiffers, format!("the diff of `{id}` is not what its plan changes: {why}")));
    }
    let Ok(pinned) = pinned::pinned(bench.site, plan)? else { return Ok(found) };
    let path = bench.path(id, "request.yaml");
    let request = bench.bytes(Some(bench.landed.commit), &path)?;
    let request = request.and_then(|file| catalog::read_request(&path, &file.bytes).ok());
    let Some((request, _)) = request else { return Ok(found) };
    let catalog: String =
        shown.iter().filter(|entry| entry.repository == "catalog").map(|entry| entry.text.as_str()).collect();
    let (mut first, mut unmade, mut pending) = (None, None, false);
    for (tried, commit) in bench.ledger.before(bench.landed.commit).take(CANDIDATES).enumerate() {
        let site = Site { catalog: commit, ..*bench.site };
        let made = match make(&site, &pinned, plan, &request) {
            Ok(Ok(made)) => made,
            Ok(Err(why)) => {
                unmade.get_or_insert(why);
                continue;
            }
            // As a rule the first will do. If it does not, all others are asked together, or there would be no end of rounds.
            Err(Pending) if tried == 0 => return Err(Pending),
            Err(Pending) => {
                pending = true;
                continue;
            }
        };
        match wrong(plan, &shown, &catalog, &made) {
            None => return Ok(found),
            Some(why) => drop(first.get_or_insert(why)),
        }
    }
    if pending {
        return Err(Pending);
    }
    found.extend(match (first, unmade) {
        (Some((kind, why)), _) => {
            Some((kind, format!("the plan of `{id}` does not follow from what it was made from: {why}")))
        }
        (None, Some(why)) => {
            Some((Kind::NotRecomputed, format!("the plan of `{id}` cannot be made anew: {why}")))
        }
        (None, None) => None,
    });
    Ok(found)
}

/// The files that a plan changes in targets, each with its repository.
fn changes(plan: &Plan) -> impl Iterator<Item = (String, &FileChange)> {
    let pulls = plan.steps.iter().filter_map(|step| step.pull_request.as_ref());
    pulls.flat_map(|pull| pull.changes.iter().map(|change| (pull.repository.to_string(), change)))
}

/// What a diff shows otherwise than its plan says.
fn against_plan(bench: &Bench<'_>, plan: &Plan, shown: &[diff::Entry]) -> Looked<Option<String>> {
    let changes: Vec<(String, &FileChange)> = changes(plan).collect();
    let of_targets: Vec<&diff::Entry> = shown.iter().filter(|entry| entry.repository != "catalog").collect();
    if changes.len() != of_targets.len() {
        return Ok(Some(format!(
            "it shows {} files, and the plan changes {}",
            of_targets.len(),
            changes.len()
        )));
    }
    let mut pending = false;
    for ((repository, change), entry) in changes.iter().zip(&of_targets) {
        let named = format!("`{}` in {repository}", change.path);
        if entry.repository != *repository || entry.path != change.path.as_str() {
            return Ok(Some(format!("it does not show {named}")));
        }
        match ends(bench, change, entry) {
            Err(Pending) => pending = true,
            Ok(true) => {}
            Ok(false) => return Ok(Some(format!("it shows {named} otherwise"))),
        }
    }
    if pending { Err(Pending) } else { Ok(None) }
}

/// Whether the diff of a file leads from the one blob to the other, as far as their bytes are known.
fn ends(bench: &Bench<'_>, change: &FileChange, entry: &diff::Entry) -> Looked<bool> {
    let is =
        |bytes: Option<Vec<u8>>, blob: ObjectId| bytes.is_none_or(|bytes| ObjectId::of_blob(&bytes) == blob);
    Ok(match (change.before, change.after) {
        (None, Some(after)) => entry.creates() && is(entry.after(), after),
        (Some(before), None) => entry.deletes() && is(entry.before(b""), before),
        (Some(before), Some(after)) if before != after => {
            let known = bench.site.look.blob(&bench.site.here.catalog, after)?;
            let known = known.ok().flatten().map(|bytes| entry.before(bytes));
            !entry.creates() && !entry.deletes() && is(known.flatten(), before)
        }
        _ => true,
    })
}

/// What the pinned parts make at one commit of the catalog, or why that cannot be told.
fn make(
    site: &Site<'_>,
    pinned: &pinned::Pinned,
    plan: &Plan,
    request: &RequestFile,
) -> Looked<Result<Made, String>> {
    let action = &pinned.action;
    let first =
        |problems: Vec<Diagnostic>| problems.into_iter().next().map_or_else(String::new, |one| one.message);
    // What inputs mean to somebody, only who asks knows.
    let accepted = match form::asks_who(action).0 {
        true => asking::accepted(site, action, plan)?,
        false => {
            let place = Place::file("request.yaml");
            let nobody = BTreeSet::new();
            admit::accept(site, action, &plan.request, request, &nobody, &|_: &[Segment]| place.clone())?
                .map_err(first)
        }
    };
    let accepted = match accepted {
        Ok(accepted) => accepted,
        Err(why) => return Ok(Err(why)),
    };
    let Request { id: _, action: asked, entity, inputs, reason, on_behalf_of } = &accepted.request;
    let asked = (asked, entity, inputs, reason, on_behalf_of)
        == (
            &plan.asked.action,
            &plan.asked.entity,
            &plan.asked.inputs,
            &plan.asked.reason,
            &plan.asked.on_behalf_of,
        );
    let context = build::context(action, &accepted);
    let planned = match writeback::plan_entities(site, action, &context)? {
        Ok(planned) => planned,
        Err(problems) => return Ok(Err(first(problems))),
    };
    let recipe = pinned.recipe(plan);
    let mut whole = BTreeMap::new();
    for step in &plan.steps {
        let of_action = action.steps.iter().find(|known| known.id == step.id);
        let template = of_action.and_then(|step| recipe.templates.get(&step.pull_request()?.template));
        let (Some(pull), Some(template)) = (&step.pull_request, template) else { continue };
        let (files, edits) =
            match (render::files(template, "", &context), render::edits(template, "", &context)) {
                (Ok(files), Ok(edits)) => (files, edits),
                (Err(problems), _) | (_, Err(problems)) => return Ok(Err(first(problems))),
            };
        let edited: BTreeSet<&RepoPath> = edits.iter().map(|edit| &edit.path).collect();
        let untouched = files.into_iter().filter(|(path, _)| !edited.contains(path));
        whole
            .extend(untouched.map(|(path, file)| ((pull.repository.to_string(), path), file.bytes.to_vec())));
    }
    let entities = planned.entities == plan.entities;
    Ok(Ok(Made { asked, entities, diff: diff::of_repository("catalog", &planned.files), whole }))
}

fn wrong(plan: &Plan, shown: &[diff::Entry], catalog: &str, made: &Made) -> Option<(Kind, String)> {
    if !made.asked {
        return Some((Kind::PlanDiffers, "something else was asked".to_owned()));
    }
    if !made.entities {
        return Some((Kind::PlanDiffers, "it would change entities otherwise".to_owned()));
    }
    let again: String = diff::entries(&made.diff).into_iter().map(|entry| entry.text).collect();
    if again != catalog {
        return Some((Kind::DiffDiffers, "its diff shows entities otherwise".to_owned()));
    }
    for (repository, change) in changes(plan) {
        let file = (repository, change.path.clone());
        let Some(bytes) = made.whole.get(&file) else { continue };
        if change.after != Some(ObjectId::of_blob(bytes)) {
            return Some((Kind::PlanDiffers, format!("its template writes `{}` otherwise", file.1)));
        }
        let entry = shown.iter().find(|entry| entry.repository == file.0 && entry.path == file.1.as_str());
        // What the file was follows from what it is and the diff.
        let leads = entry.zip(change.before).and_then(|(entry, before)| Some((entry.before(bytes)?, before)));
        if let Some((was, before)) = leads
            && ObjectId::of_blob(&was) != before
        {
            return Some((Kind::DiffDiffers, format!("its diff shows `{}` otherwise", file.1)));
        }
    }
    None
}
