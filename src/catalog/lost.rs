//! Which derived values and levels does a change lose? What failed before, and what no entity had, is nobody's fault here.

use super::{Deed, Definitions, Files, Life, Past, entity_at, view::View};
use crate::domain::{EntityId, Scorecard, Timestamp};

/// Over more entities than this nothing is tried: each of them costs.
pub const MOST_TRIED: usize = 1_000;

/// What is derived is not tried: there are so many entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany(pub usize);

/// What a catalog is before and after a change.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its definitions.
    pub definitions: &'a Definitions,
    /// The files of its entities.
    pub files: &'a Files,
}

/// The calculated properties that fail for entities for which they did not fail before, or which they are new to, and the
/// scorecards by which entities lose a level: a line each.
///
/// # Errors
/// When there are too many entities.
pub fn lost(before: Side<'_>, after: Side<'_>, now: Timestamp) -> Result<Vec<String>, TooMany> {
    let entities = before.files.len().max(after.files.len());
    if entities > MOST_TRIED {
        return Err(TooMany(entities));
    }
    let [was, is] = [before, after]
        .map(|side| View::new(side.definitions, side.files, now, move |_| some_past(side, now)));
    let mut lines = Vec::new();
    for (id, blueprint) in &after.definitions.blueprints {
        for name in blueprint.calculations.keys() {
            let fails = |entity: &EntityId| {
                let why = is.value(entity, name).problem?;
                let had = before
                    .definitions
                    .blueprints
                    .get(id)
                    .is_some_and(|old| old.calculations.contains_key(name));
                let failed = had && was.entity(entity).is_some() && was.value(entity, name).problem.is_some();
                (!failed).then_some(why)
            };
            let (mut all, mut failed) = (0, Vec::new());
            for entity in is.of(id).map(|entity| entity.id()) {
                all += 1;
                failed.extend(fails(&entity).map(|why| (entity, why)));
            }
            if let Some((first, why)) = failed.first() {
                lines.push(format!(
                    "`{name}` of `{id}` would have no value for {} of {all} entities: {why}, in `{first}`",
                    failed.len()
                ));
            }
        }
    }
    for (name, scorecard) in &after.definitions.scorecards {
        let Some(old) = before.definitions.scorecards.get(name) else { continue };
        let level = |view: &View<'_>, scorecard: &Scorecard, id: &EntityId| {
            let title = view.standing(scorecard, id)?.level;
            Some((scorecard.levels.iter().position(|level| *level == title)?, title))
        };
        let (mut all, mut fell) = (0, Vec::new());
        for id in is.of(&scorecard.blueprint).map(|entity| entity.id()) {
            let (Some(was), is) = (level(&was, old, &id), level(&is, scorecard, &id)) else { continue };
            all += 1;
            match is {
                Some(is) if is.0 < was.0 => fell.push((id, was.1, format!("`{}`", is.1))),
                None => fell.push((id, was.1, "none".to_owned())),
                Some(_) => {}
            }
        }
        if let Some((first, was, is)) = fell.first() {
            lines.push(format!(
                "by the scorecard `{name}` {} of {all} entities would lose a level: `{first}` goes from `{was}` to {is}",
                fell.len()
            ));
        }
    }
    Ok(lines)
}

/// The history is not looked at: all entities came and changed at one moment, before and after alike.
fn some_past(side: Side<'_>, now: Timestamp) -> Past {
    let deed = Deed { at: now, by: vec!["somebody".to_owned()] };
    let life = Life { created: Some(deed.clone()), updated: Some(deed) };
    let ids = side.files.keys().filter_map(|path| entity_at(&side.definitions.settings, path));
    Past::Told { lives: ids.map(|id| (id, life.clone())).collect(), is_cut: false }
}
