//! What is wrong with a folder of templates whatever it is filled with?

use std::collections::BTreeSet;

use super::Treatment;
use crate::{
    domain::{Delimiters, Diagnostic, Place, Template, nearest},
    render::{
        edit,
        engine::{self, Dialect, Partials},
    },
};

/// Files whose reader is a shell; there is no telling from the outside what one reads.
const SHELL: [&str; 4] = [".sh", ".bash", ".zsh", ".ksh"];

/// What a template sees.
const ROOTS: [&str; 5] = ["inputs", "entities", "entity", "request", "action"];

/// Everything that is wrong with a template; `folder` is where it lies.
pub fn check(template: &Template, folder: &str) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let partials = Partials::new(&template.partials, template.manifest.delimiters.as_ref());
    for (name, content) in &template.partials {
        let dialect =
            Dialect { delimiters: template.manifest.delimiters.as_ref(), partials: &Partials::default() };
        let place = Place::file(format!("{folder}/partials/{name}"));
        let source = std::str::from_utf8(content).unwrap_or_default();
        problems.extend(engine::check(source, dialect, &place));
    }
    // What is wrong with a partial would be wrong in each file again.
    let partials = if problems.is_empty() { partials } else { Partials::default() };
    for (name, file) in &template.files {
        let place = Place::file(format!("{folder}/files/{name}"));
        // A file's name has no lines that a place could be in.
        let of_name = engine::check(name, Dialect::PLAIN, &place);
        problems.extend(of_name.map(|mut problem| {
            problem.place.span = None;
            problem
        }));
        let treatment = Treatment::of(template, name, file);
        let Some(source) = std::str::from_utf8(&file.bytes).ok().filter(|_| !treatment.copy) else {
            continue;
        };
        let dialect = Dialect { delimiters: treatment.delimiters, partials: &partials };
        problems.extend(engine::check(source, dialect, &place));
        if !treatment.raw && SHELL.iter().any(|ending| name.ends_with(ending)) {
            problems.extend(
                unquoted(source, treatment.delimiters).map(|written| unquoted_shell(written, &place)),
            );
        }
    }
    let manifest = Place::file(format!("{folder}/template.yaml"));
    let rules = template.manifest.rules.iter().flat_map(|rule| rule.when.iter().chain(&rule.for_each));
    let of_edits = template.manifest.edits.iter();
    let expressions = rules.chain(of_edits.clone().flat_map(|edit| edit.when.iter().chain(&edit.for_each)));
    problems.extend(expressions.filter_map(|source| {
        engine::check_expression(source, &Place { field: Some(source.clone()), ..manifest.clone() })
    }));
    problems.extend(of_edits.filter_map(|written| edit::check_change(&written.change, &manifest)));
    problems
}

/// The expressions of a text that end in no filter which quotes for a shell.
fn unquoted<'a>(source: &'a str, delimiters: Option<&'a Delimiters>) -> impl Iterator<Item = &'a str> {
    let (open, close) =
        delimiters.map_or(("{{", "}}"), |said| (said.variable.0.as_str(), said.variable.1.as_str()));
    source
        .split(open)
        .skip(1)
        .filter_map(move |rest| rest.split_once(close))
        .map(|(inside, _)| inside)
        .filter(|inside| {
            let filter = inside.rsplit_once('|').map(|(_, filter)| filter.trim_matches([' ', '-', '\n']));
            !matches!(filter, Some("shell" | "raw" | "slug"))
        })
}

fn unquoted_shell(written: &str, place: &Place) -> Diagnostic {
    let message = format!("`{}` is written into a script without quoting it", written.trim());
    Diagnostic::warning("unquoted-shell", place.clone(), message).help(format!(
        "write `{} | shell`, without quotes around it; or `| raw` if that is what is meant",
        written.trim()
    ))
}

/// The input names of an action that a template is filled by.
#[derive(Debug)]
pub struct Inputs<'a> {
    /// All of them.
    pub known: BTreeSet<&'a str>,
    /// Those that may have no value.
    pub optional: BTreeSet<&'a str>,
}

/// The inputs that a template speaks of and an action does not ask, and those that may have no value where the
/// template needs one. Where a file asks whether there is one, nothing is said about it.
pub fn check_names(template: &Template, folder: &str, action: &str, inputs: &Inputs<'_>) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    let partials = Partials::new(&template.partials, template.manifest.delimiters.as_ref());
    let mut texts = Vec::new();
    for (name, file) in &template.files {
        let treatment = Treatment::of(template, name, file);
        let guards = treatment.when.join("\n");
        let source = std::str::from_utf8(&file.bytes).ok().filter(|_| !treatment.copy).unwrap_or_default();
        let dialect = Dialect { delimiters: treatment.delimiters, partials: &partials };
        let mut names = engine::names_in(source, dialect);
        names.extend(engine::names_in(name, Dialect::PLAIN));
        let text = format!("{guards}\n{source}\n{name}");
        texts.push((format!("{folder}/files/{name}"), text, names, treatment.for_each.is_some()));
    }
    let manifest = format!("{folder}/template.yaml");
    for rule in &template.manifest.rules {
        for source in rule.when.iter().chain(&rule.for_each) {
            let names = engine::names_in_expression(source);
            texts.push((manifest.clone(), source.clone(), names, rule.for_each.is_some()));
        }
    }
    for edit in &template.manifest.edits {
        let has_items = edit.for_each.is_some();
        for source in edit.when.iter().chain(&edit.for_each) {
            texts.push((manifest.clone(), source.clone(), engine::names_in_expression(source), has_items));
        }
        let written = edit::texts_of(&edit.change).into_iter().chain([edit.path.as_str()]);
        let guards = edit.when.as_deref().unwrap_or_default();
        for source in written {
            let names = engine::names_in(source, Dialect::PLAIN);
            texts.push((manifest.clone(), format!("{guards}\n{source}"), names, has_items));
        }
    }
    for (source, text, names, has_items) in texts {
        let roots: BTreeSet<&str> = names.iter().map(|name| name.split('.').next().unwrap_or(name)).collect();
        for root in roots {
            let is_known = ROOTS.contains(&root) || root == "item" && has_items || engine::is_global(root);
            if is_known || asks_for(&text, root) {
                continue;
            }
            let place = Place { field: Some(root.to_owned()), ..Place::file(source.clone()) };
            let message = format!("`{source}` speaks of `{root}`, which is not known");
            let found = Diagnostic::error("unknown-name", place, message);
            problems.push(match nearest(root, ROOTS) {
                Some(near) => found.help(format!("did you mean `{near}`?")),
                None => found.help("a template sees `inputs`, `entities`, `entity`, `request` and `action`, and with `forEach` `item`"),
            });
        }
        let spoken: BTreeSet<&str> = names.iter().filter_map(|name| name.strip_prefix("inputs.")).collect();
        for name in spoken.into_iter().map(|name| name.split('.').next().unwrap_or(name)) {
            if asks_for(&text, &format!("inputs.{name}")) {
                continue;
            }
            let place = Place { field: Some(format!("inputs.{name}")), ..Place::file(source.clone()) };
            if !inputs.known.contains(name) {
                let message =
                    format!("`{source}` speaks of `inputs.{name}`, which the action `{action}` does not ask");
                let found = Diagnostic::error("unknown-name", place, message);
                problems.push(match nearest(name, inputs.known.iter().copied()) {
                    Some(near) => found.help(format!("did you mean `inputs.{near}`?")),
                    None => found.help(format!(
                        "add the input to the action, or write `{{% if inputs.{name} is defined %}}`"
                    )),
                });
            } else if inputs.optional.contains(name) {
                let message = format!(
                    "`inputs.{name}` may have no value: the action `{action}` does not require it, and gives no default"
                );
                problems.push(
                    Diagnostic::warning("optional-input", place, message)
                        .help(format!("write `inputs.{name} | default(…)` or `{{% if inputs.{name} is defined %}}`, require the input, or give it a default")),
                );
            }
        }
    }
    problems.sort();
    problems.dedup();
    problems
}

/// Whether a text deals with a name that may have no value.
fn asks_for(text: &str, spelled: &str) -> bool {
    text.match_indices(spelled).any(|(at, _)| {
        let rest = text[at + spelled.len()..].trim_start();
        let filter = rest.strip_prefix('|').map(str::trim_start);
        rest.starts_with("is ")
            || filter.is_some_and(|filter| filter.starts_with("default") || filter.starts_with("d("))
    })
}
