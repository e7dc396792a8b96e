//! What do a template's edits say, once their expressions are rendered?

use serde_json::Value;

use super::{
    bad_place, hcl,
    place::{self, Step},
};
use crate::{
    domain::{Diagnostic, DocumentPlace, EditChange, EditTarget, Place},
    render::{Context, template},
};

/// A change with its expressions rendered. What an expression gives never adds a step to a place.
///
/// # Errors
/// When a place is none, or an expression fails.
pub(in crate::render) fn rendered(
    change: &EditChange,
    at: &Place,
    context: &Context,
) -> Result<EditChange, Diagnostic> {
    let value = |value: &Value| template::value(value, at, context);
    let place = |place: &DocumentPlace| rendered_place(place, at, context);
    Ok(match change {
        EditChange::Set { target: EditTarget::At(target), value: new } => {
            EditChange::Set { target: EditTarget::At(place(target)?), value: value(new)? }
        }
        EditChange::Set { target: EditTarget::Match(line), value: new } => {
            EditChange::Set { target: EditTarget::Match(line.clone()), value: value(new)? }
        }
        EditChange::Delete(gone) => EditChange::Delete(place(gone)?),
        EditChange::Absent => EditChange::Absent,
        EditChange::Remove { list, value: gone } => {
            EditChange::Remove { list: place(list)?, value: value(gone)? }
        }
        EditChange::Append { list, value: new } => {
            EditChange::Append { list: place(list)?, value: value(new)? }
        }
        EditChange::Insert { position, value: new } => {
            EditChange::Insert { position: place(position)?, value: value(new)? }
        }
        EditChange::Line { text, after } => {
            EditChange::Line { text: template::text(text, at, context)?, after: after.clone() }
        }
        EditChange::Block { header, value: new } => {
            EditChange::Block { header: hcl::rendered_header(header, at, context)?, value: value(new)? }
        }
    })
}

fn rendered_place(place: &DocumentPlace, at: &Place, context: &Context) -> Result<DocumentPlace, Diagnostic> {
    let DocumentPlace { at: written, document } = place;
    let render = |text: String| template::text(&text, at, context);
    let steps = place::read(written).map_err(|problem| bad_place(at.clone(), written, &problem))?;
    let steps = steps.into_iter().map(|step| {
        Ok(match step {
            Step::Key(key) => Step::Key(render(key)?),
            Step::Index(index) => Step::Index(index),
            Step::Where(key, value) => Step::Where(render(key)?, render(value)?),
        })
    });
    let steps: Vec<_> = steps.collect::<Result<_, Diagnostic>>()?;
    Ok(DocumentPlace { at: place::show(&steps), document: *document })
}

/// What is wrong with a change whatever it is filled with.
pub(in crate::render) fn check_change(change: &EditChange, at: &Place) -> Option<Diagnostic> {
    let place = match change {
        EditChange::Set { target: EditTarget::At(place), .. }
        | EditChange::Remove { list: place, .. }
        | EditChange::Append { list: place, .. } => place,
        EditChange::Delete(place) => {
            if matches!(place::read(&place.at).as_deref(), Ok([.., Step::Index(_)])) {
                let problem = "what is at a position is another item afterwards; name the item, as in `[name=web]`, or say its `value`";
                return Some(bad_place(at.clone(), &place.at, problem));
            }
            place
        }
        EditChange::Insert { position, .. } => {
            let is_position =
                matches!(place::read(&position.at).as_deref(), Ok([.., Step::Index(_)]) | Err(_));
            if !is_position {
                return Some(bad_place(at.clone(), &position.at, "it names no position of a list"));
            }
            position
        }
        EditChange::Set { target: EditTarget::Match(_), .. }
        | EditChange::Line { .. }
        | EditChange::Absent => return None,
        EditChange::Block { header, .. } => return hcl::check_header(header, at),
    };
    place::read(&place.at).err().map(|problem| bad_place(at.clone(), &place.at, &problem))
}

/// The texts of a change that are templates.
pub(in crate::render) fn texts_of(change: &EditChange) -> Vec<&str> {
    let (first, value) = match change {
        EditChange::Set { target: EditTarget::At(place), value }
        | EditChange::Remove { list: place, value }
        | EditChange::Append { list: place, value }
        | EditChange::Insert { position: place, value } => (Some(place.at.as_str()), Some(value)),
        EditChange::Set { target: EditTarget::Match(_), value } => (None, Some(value)),
        EditChange::Delete(place) => (Some(place.at.as_str()), None),
        EditChange::Line { text, .. } => (Some(text.as_str()), None),
        EditChange::Block { header, value } => (Some(header.as_str()), Some(value)),
        EditChange::Absent => (None, None),
    };
    let mut texts: Vec<&str> = first.into_iter().collect();
    let mut left: Vec<&Value> = value.into_iter().collect();
    while let Some(value) = left.pop() {
        match value {
            Value::String(text) => texts.push(text),
            Value::Array(items) => left.extend(items),
            Value::Object(fields) => left.extend(fields.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    texts
}
