//! How is a value set inside a file that people wrote, so that everything else stays byte for byte?
//!
//! Only the bytes of the value itself are replaced, where our parser says that they are. Then the whole
//! file is read again: if it does not say exactly what was intended, the edit is refused.

pub(super) mod tree;
pub(super) mod write;
mod place;
mod written;
mod deed;
mod splice;
mod lines;
mod assigned;
mod toml;
mod hcl;
mod entity;

use serde_json::Value;

use crate::domain::{Diagnostic, DocumentPlace, EditChange, EditTarget, Place, RepoPath};

use deed::{Deed, Refusal, Writer, intend, splices};
use place::Step;
use splice::{Source, Splice};
use tree::Node;

pub use entity::{merge_entity, new_entity};
pub(super) use written::{check_change, rendered, texts_of};

use super::inspect::Language;

/// The file `old` with a change in it; what is so already stays byte for byte. None: there is no such file.
///
/// # Errors
/// When there is no such place, or it cannot be changed without touching anything else.
pub fn apply(
    path: &RepoPath,
    old: Option<&[u8]>,
    change: &EditChange,
) -> Result<Option<Vec<u8>>, Diagnostic> {
    match change {
        EditChange::Absent => Ok(None),
        EditChange::Line { text, after } => {
            lines::add(path, text_of(path, old.unwrap_or_default())?, text, after.as_deref()).map(Some)
        }
        inside => applied_inside(path, old, inside).map(Some),
    }
}

fn applied_inside(path: &RepoPath, old: Option<&[u8]>, change: &EditChange) -> Result<Vec<u8>, Diagnostic> {
    let Some(old) = old else {
        let message = format!("`{path}` is not there, so nothing can be changed in it");
        return Err(Diagnostic::error("no-such-file", Place::file(path.as_str()), message)
            .help("check that what you ask to change exists"));
    };
    match change {
        EditChange::Set { target, value } => set(path, old, target, value),
        EditChange::Delete(place) => at_place(path, old, place, Deed::Delete),
        EditChange::Remove { list, value } => at_place(path, old, list, Deed::Remove(value)),
        EditChange::Append { list, value } => at_place(path, old, list, Deed::Append(value)),
        EditChange::Insert { position, value } => at_place(path, old, position, Deed::Insert(value)),
        EditChange::Block { header, value } => hcl::add_block(path, text_of(path, old)?, header, value),
        EditChange::Line { .. } | EditChange::Absent => Ok(old.to_vec()),
    }
}

/// The file `old` with `value` at `target`.
///
/// # Errors
/// As [`apply`].
pub fn set(path: &RepoPath, old: &[u8], target: &EditTarget, value: &Value) -> Result<Vec<u8>, Diagnostic> {
    match target {
        EditTarget::Match(pattern) => lines::set(path, text_of(path, old)?, pattern, value),
        EditTarget::At(place) => at_place(path, old, place, Deed::Set(value)),
    }
}

fn at_place(
    path: &RepoPath,
    old: &[u8],
    place: &DocumentPlace,
    deed: Deed<'_>,
) -> Result<Vec<u8>, Diagnostic> {
    let here = place_in(path, &place.at);
    let steps = place::read(&place.at).map_err(|problem| bad_place(here.clone(), &place.at, &problem))?;
    let text = text_of(path, old)?;
    let done = match Language::of(path) {
        Some(Language::Yaml | Language::Json) => in_tree(path, text, &steps, place.document, deed)?,
        Some(Language::Toml) => assigned::edit(text, &steps, deed, assigned::TOML),
        Some(Language::Hcl) => hcl::edit(text, &steps, deed),
        None => Err(Refusal::Unsupported(
            "a place is found in YAML, JSON, TOML and HCL files only; use `match` or `line`".to_owned(),
        )),
    };
    match done {
        Ok(new) => Ok(new.into_bytes()),
        Err(Refusal::Missing(problem)) => Err(missing(here, &problem)),
        Err(Refusal::Unsupported(problem)) => Err(unsupported(here, &problem)),
    }
}

fn in_tree(
    path: &RepoPath,
    text: &str,
    steps: &[Step],
    document: usize,
    deed: Deed<'_>,
) -> Result<Result<String, Refusal>, Diagnostic> {
    let source = Source::new(text, path);
    let documents = read(path, &source)?;
    let Some(root) = documents.get(document) else {
        let problem = format!("`{path}` has {} documents, so no document {document}", documents.len());
        return Ok(Err(Refusal::Missing(problem)));
    };
    let splices = match splices(&source, root, steps, deed) {
        Ok(Some(splices)) => splices,
        Ok(None) => return Ok(Ok(text.to_owned())),
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut intended: Vec<_> = documents.iter().map(Node::value).collect();
    intend(&mut intended[document], steps, deed);
    Ok(spliced(path, &source, splices, &intended))
}

fn place_in(path: &RepoPath, field: impl Into<String>) -> Place {
    Place { field: Some(field.into()), ..Place::file(path.as_str()) }
}

/// Applies the splices and reads the result again; only what was intended is let through.
fn spliced(
    path: &RepoPath,
    source: &Source<'_>,
    splices: Vec<Splice>,
    intended: &[Value],
) -> Result<String, Refusal> {
    let text = splice::apply(source.text, splices);
    let after = read(path, &Source::new(&text, path))
        .map(|documents| documents.iter().map(Node::value).collect::<Vec<_>>());
    match after {
        Ok(after) if after == intended => Ok(text),
        _ => Err(Refusal::Unsupported(UNTOUCHED.to_owned())),
    }
}

/// Why an edit is refused that would do more than was asked.
const UNTOUCHED: &str = "the value cannot be changed without touching what is around it";

fn read(path: &RepoPath, source: &Source<'_>) -> Result<Vec<Node>, Diagnostic> {
    let documents =
        if source.json { tree::json(source.text).map(|root| vec![root]) } else { tree::yaml(source.text) };
    documents.map_err(|problem| {
        let problem = super::inspect::unreadable(path, &problem);
        Diagnostic { help: Some(format!("mend `{path}` first; it must be YAML or JSON")), ..problem }
    })
}

fn text_of<'a>(path: &RepoPath, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    std::str::from_utf8(bytes).map_err(|_| unsupported(Place::file(path.as_str()), "it is not UTF-8 text"))
}

fn bad_place(here: Place, at: &str, problem: &str) -> Diagnostic {
    Diagnostic::error("edit-place", here, format!("`{at}` is no place in a document: {problem}")).help(
        "write keys joined by dots, such as `spec.containers[name=web].ports[0]`; quote keys that hold a dot",
    )
}

fn missing(here: Place, problem: &str) -> Diagnostic {
    let field = here.field.clone().unwrap_or_default();
    Diagnostic::error("edit-missing", here, format!("`{field}` cannot be changed: {problem}"))
        .help("add the missing part to the file first, or change the action's `at`")
}

fn unsupported(here: Place, problem: &str) -> Diagnostic {
    let source = here.source.clone();
    Diagnostic::error("edit-unsupported", here, format!("`{source}` cannot be edited in place: {problem}"))
        .help("write this part of the file in a plainer way (no anchors, aliases, tags or odd layout), then try again")
}

#[cfg(test)]
mod tests;
