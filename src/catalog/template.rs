//! What does a folder of templates hold?

use std::collections::BTreeMap;

use super::{
    Definitions, Files,
    document::{read, template::TemplateDocument},
};
use crate::domain::{
    Bytes, Diagnostic, ObjectId, Pin, Place, RepoPath, Template, TemplateFile, TemplateManifest,
    TemplateName, nearest,
};

/// The manifest's name.
const MANIFEST: &str = "template.yaml";

/// Reads a folder of templates; the paths are inside it.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_template(
    name: &TemplateName,
    files: &BTreeMap<RepoPath, Bytes>,
) -> Result<Template, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut manifest = TemplateManifest::default();
    let mut rendered = BTreeMap::new();
    let mut partials = BTreeMap::new();
    for (path, bytes) in files {
        if path.as_str() == MANIFEST {
            match read::<TemplateDocument>(MANIFEST, bytes) {
                Ok((document, mut reader)) => {
                    manifest = document.into_domain(&mut reader);
                    found.append(&mut reader.found);
                }
                Err(wrong) => found.extend(wrong),
            }
        } else if let Some(target) = path.as_str().strip_prefix("files/") {
            rendered.insert(target.to_owned(), TemplateFile { bytes: bytes.clone(), executable: false });
        } else if let Some(partial) = path.as_str().strip_prefix("partials/") {
            match std::str::from_utf8(bytes) {
                Ok(_) => drop(partials.insert(partial.to_owned(), bytes.clone())),
                Err(_) => {
                    let message = format!("`{path}` is not UTF-8 text, so no file can include it");
                    found.push(
                        Diagnostic::error("stray-file", Place::file(path.as_str()), message)
                            .help(format!("move it to `files/{partial}` to copy it, or remove it")),
                    );
                }
            }
        } else if !path.file_name().to_ascii_lowercase().starts_with("readme") {
            let message = format!(
                "`{path}` is neither `{MANIFEST}` nor below `files/` or `partials/`, so it is not used"
            );
            let help = format!("move it to `files/{path}` to render it, or remove it");
            found.push(Diagnostic::error("stray-file", Place::file(path.as_str()), message).help(help));
        }
    }
    for rule in &manifest.rules {
        if !rendered.keys().any(|name| rule.matches(name)) {
            found.push(unused_rule(&rule.path, rendered.keys()));
        }
    }
    if found.is_empty() && rendered.is_empty() && manifest.edits.is_empty() {
        let message = format!("the template `{name}` changes nothing");
        let help = format!("put files below `files/`, or write `set` or `edits` in `{MANIFEST}`");
        found.push(Diagnostic::error("empty-template", Place::file(MANIFEST), message).help(help));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let pin = |bytes| Pin { id: ObjectId::of_blob(bytes), executable: false };
    let pins = files.iter().map(|(path, bytes)| (path.clone(), pin(bytes))).collect();
    Ok(Template { name: name.clone(), manifest, files: rendered, partials, pins })
}

/// A rule for files that are not there does nothing, and was meant to do something.
fn unused_rule<'a>(pattern: &str, files: impl Iterator<Item = &'a String>) -> Diagnostic {
    let mut place = Place::file(MANIFEST);
    place.field = Some("files".to_owned());
    let message = format!("no file below `files/` has a path like `{pattern}`");
    let found = Diagnostic::error("unused-rule", place, message);
    match nearest(pattern, files.map(String::as_str)) {
        Some(near) => found.help(format!("did you mean `{near}`?")),
        None => found.help("write the path as it is below `files/`, expressions included; `*` is any part of a name, `**` any folders"),
    }
}

/// Reads every folder of templates.
pub(super) fn load(definitions: &mut Definitions, files: &Files) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (folder, files) in folders(&definitions.settings.folders.templates, files) {
        let Ok(name) = folder.file_name().parse::<TemplateName>() else {
            let message = format!("`{}` is not a name that a template can have", folder.file_name());
            found.push(
                Diagnostic::error("invalid-name", Place::file(folder.as_str()), message)
                    .help("use letters, digits and @ _ . - for the folder"),
            );
            continue;
        };
        match read_template(&name, &files) {
            Ok(template) => drop(definitions.templates.insert(name, template)),
            Err(wrong) => {
                found.extend(wrong.into_iter().map(|mut wrong| {
                    wrong.place.source = format!("{folder}/{}", wrong.place.source);
                    wrong
                }));
                definitions.unusable.templates.insert(name);
            }
        }
    }
    found
}

/// The files of each folder of templates, by their path inside it.
pub(super) fn folders(parent: &RepoPath, files: &Files) -> BTreeMap<RepoPath, BTreeMap<RepoPath, Bytes>> {
    let mut folders: BTreeMap<RepoPath, BTreeMap<RepoPath, Bytes>> = BTreeMap::new();
    for (path, bytes) in files {
        let Some((name, inside)) = path.under(parent).and_then(|below| below.split_once('/')) else {
            continue;
        };
        if let (Ok(folder), Ok(inside)) = (parent.join(name), inside.parse()) {
            folders.entry(folder).or_default().insert(inside, bytes.clone());
        }
    }
    folders
}
