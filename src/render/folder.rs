//! Which files does a folder of templates give?
//!
//! Each file below `files/` gives one, none (`when`) or several (`forEach`); what of them a reader of ours knows
//! is read again, and no input may have added structure to it.

mod check;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::domain::{
    Bytes, Delimiters, Diagnostic, EditChange, FileRule, Place, RepoPath, Template, TemplateFile, TextEdit,
};

use super::{
    Context,
    engine::{self, Dialect, Partials},
    inspect, template,
};

pub use check::{Inputs, check, check_names};

/// The most bytes that all files of one template may give together: a pull request beyond this is not read by people.
const MAX_OUTPUT: usize = 4 << 20;
/// The most files that one file may become.
const MAX_ITEMS: usize = 500;

/// A file that a template gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What it holds.
    pub bytes: Bytes,
    /// Whether it may be executed.
    pub executable: bool,
}

/// What holds for one file, of all rules that meet it.
#[derive(Debug)]
struct Treatment<'a> {
    when: Vec<&'a str>,
    for_each: Option<&'a str>,
    executable: bool,
    copy: bool,
    raw: bool,
    delimiters: Option<&'a Delimiters>,
}

impl<'a> Treatment<'a> {
    fn of(template: &'a Template, name: &str, file: &TemplateFile) -> Self {
        let mut treatment = Self {
            when: Vec::new(),
            for_each: None,
            executable: file.executable,
            copy: std::str::from_utf8(&file.bytes).map_or(true, |text| text.contains('\0')),
            raw: false,
            delimiters: template.manifest.delimiters.as_ref(),
        };
        for rule in template.manifest.rules.iter().filter(|rule| rule.matches(name)) {
            let FileRule { path: _, when, for_each, executable, copy, raw, delimiters } = rule;
            treatment.when.extend(when.as_deref());
            treatment.for_each = for_each.as_deref().or(treatment.for_each);
            treatment.executable = executable.unwrap_or(treatment.executable);
            treatment.copy |= copy.unwrap_or(false);
            treatment.raw = raw.unwrap_or(treatment.raw);
            treatment.delimiters = delimiters.as_ref().or(treatment.delimiters);
        }
        treatment
    }
}

/// Whether what a file of a template becomes is not to be read again.
pub fn is_raw(template: &Template, name: &str) -> bool {
    template.files.get(name).is_some_and(|file| {
        let treatment = Treatment::of(template, name, file);
        treatment.raw || treatment.copy
    })
}

/// The files that a template gives; `folder` is where templates lie.
///
/// # Errors
/// Everything that is wrong with it on this data.
pub fn files(
    template: &Template,
    folder: &str,
    context: &Context,
) -> Result<BTreeMap<RepoPath, Rendered>, Vec<Diagnostic>> {
    let partials = Partials::new(&template.partials, template.manifest.delimiters.as_ref());
    let mut given =
        Given { template, files: BTreeMap::new(), spellings: BTreeSet::new(), problems: Vec::new() };
    for (name, file) in &template.files {
        let treatment = Treatment::of(template, name, file);
        let place = Place::file(below(template, folder, &format!("files/{name}")));
        match contexts(&treatment.when, treatment.for_each, &manifest_place(template, folder), context) {
            Err(problem) => given.problems.push(problem),
            Ok(contexts) => {
                for context in contexts {
                    given.add(name, file, &treatment, &partials, &place, &context);
                }
            }
        }
    }
    let Given { files, mut problems, .. } = given;
    let size: usize = files.values().map(|file: &Rendered| file.bytes.len()).sum();
    if size > MAX_OUTPUT {
        problems.push(
            Diagnostic::error(
                "template-too-large",
                Place::file(below(template, folder, "files")),
                format!("the files of the template `{}` have {size} bytes together, at most {MAX_OUTPUT} are allowed", template.name),
            )
            .help("split the action, or render less"),
        );
    }
    if problems.is_empty() { Ok(files) } else { Err(problems) }
}

/// What was given so far.
struct Given<'a> {
    template: &'a Template,
    files: BTreeMap<RepoPath, Rendered>,
    /// Their paths in lower case.
    spellings: BTreeSet<String>,
    problems: Vec<Diagnostic>,
}

impl Given<'_> {
    fn add(
        &mut self,
        name: &str,
        file: &TemplateFile,
        treatment: &Treatment<'_>,
        partials: &Partials<'_>,
        place: &Place,
        context: &Context,
    ) {
        let path = match template::path(name, place, context) {
            Ok(path) => path,
            Err(problem) => return self.problems.push(problem),
        };
        if !self.spellings.insert(path.as_str().to_lowercase()) {
            let name = &self.template.name;
            let message = format!("two files of the template `{name}` have the path `{path}`");
            return self.problems.push(Diagnostic::error("template-conflict", place.clone(), message).help(
                "give each file a path of its own; paths that differ in case only are the same on some disks",
            ));
        }
        let dialect = Dialect { delimiters: treatment.delimiters, partials };
        let bytes = match std::str::from_utf8(&file.bytes) {
            Ok(source) if !treatment.copy => {
                match text(&path, source, dialect, place, context, treatment.raw) {
                    Ok(text) => text.into_bytes().into(),
                    Err(problem) => return self.problems.push(problem),
                }
            }
            _ => file.bytes.clone(),
        };
        self.files.insert(path, Rendered { bytes, executable: treatment.executable });
    }
}

fn text(
    path: &RepoPath,
    source: &str,
    dialect: Dialect<'_>,
    place: &Place,
    context: &Context,
    is_raw: bool,
) -> Result<String, Diagnostic> {
    let language = inspect::Language::of(path).filter(|_| !is_raw);
    let written = engine::render(source, dialect, place, context.value(), language.is_some())?;
    let Some(language) = language else { return Ok(written.text) };
    match inspect::written(path, language, &written) {
        Some(problem) => Err(Diagnostic {
            help: problem.help.or_else(|| Some(format!("mend the template's file `{}`", place.source))),
            ..problem
        }),
        None => Ok(written.text),
    }
}

/// One context for each `item` of a list; its expression may have braces.
///
/// # Errors
/// When it gives no list, or a long one, or fails on this data.
pub fn each(source: &str, place: &Place, context: &Context) -> Result<Vec<Context>, Diagnostic> {
    let expression = template::whole_expression(source.trim()).unwrap_or(source);
    match template::expression(expression, place, context)? {
        Value::Array(items) if items.len() <= MAX_ITEMS => {
            Ok(items.into_iter().map(|item| context.with("item", item)).collect())
        }
        Value::Array(items) => {
            let message = format!("`{source}` gives {} items, at most {MAX_ITEMS} are allowed", items.len());
            Err(Diagnostic::error("template-too-large", place.clone(), message)
                .help("bound the list, as with `maxItems` of an input"))
        }
        other => {
            let message = format!("`forEach: {source}` gives {other}, which is no list");
            Err(Diagnostic::error("template-failed", place.clone(), message)
                .help("name a list, such as an input of `type: array`"))
        }
    }
}

/// One context for each time that something is done: none where a condition does not hold.
fn contexts(
    when: &[&str],
    for_each: Option<&str>,
    place: &Place,
    context: &Context,
) -> Result<Vec<Context>, Diagnostic> {
    let said = |key: &str, source: &str| Place { field: Some(format!("{key}: {source}")), ..place.clone() };
    let mut contexts = match for_each {
        None => vec![context.clone()],
        Some(source) => each(source, &said("forEach", source), context)?,
    };
    for source in when {
        let place = said("when", source);
        let mut kept = Vec::new();
        for context in contexts {
            if template::holds(source, &place, &context)? {
                kept.push(context);
            }
        }
        contexts = kept;
    }
    Ok(contexts)
}

/// A change of a file with nothing left to render.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// The file.
    pub path: RepoPath,
    /// What changes in it.
    pub change: EditChange,
}

/// The changes of files that exist, in order.
///
/// # Errors
/// Everything that is wrong with them on this data.
pub fn edits(template: &Template, folder: &str, context: &Context) -> Result<Vec<Edit>, Vec<Diagnostic>> {
    let manifest = manifest_place(template, folder);
    let (mut edits, mut problems) = (Vec::new(), Vec::new());
    for TextEdit { path, when, for_each, change } in &template.manifest.edits {
        let place = Place { field: Some(format!("path: {path}")), ..manifest.clone() };
        let when: Vec<&str> = when.iter().map(String::as_str).collect();
        let contexts = match contexts(&when, for_each.as_deref(), &place, context) {
            Ok(contexts) => contexts,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        for context in contexts {
            let path = template::path(path, &place, &context);
            let change = super::edit::rendered(change, &place, &context);
            match (path, change) {
                (Ok(path), Ok(change)) => edits.push(Edit { path, change }),
                (path, change) => problems.extend([path.err(), change.err()].into_iter().flatten()),
            }
        }
    }
    if problems.is_empty() { Ok(edits) } else { Err(problems) }
}

fn manifest_place(template: &Template, folder: &str) -> Place {
    Place::file(below(template, folder, "template.yaml"))
}

/// The path of what belongs to a template.
fn below(template: &Template, folder: &str, path: &str) -> String {
    let slash = if folder.is_empty() { "" } else { "/" };
    format!("{folder}{slash}{}/{path}", template.name)
}

#[cfg(test)]
mod tests;
