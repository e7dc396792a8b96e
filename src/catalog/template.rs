//! What does a folder of templates hold?

use std::collections::BTreeMap;

use super::{
    Definitions, Files,
    document::{read, template::TemplateDocument},
};
use crate::domain::{Bytes, Diagnostic, ObjectId, Place, RepoPath, Template, TemplateManifest, TemplateName};

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
            rendered.insert(target.to_owned(), bytes.clone());
        } else if !path.file_name().to_ascii_lowercase().starts_with("readme") {
            let message = format!("`{path}` is neither `{MANIFEST}` nor below `files/`, so it is not used");
            let help = format!("move it to `files/{path}` to render it, or remove it");
            found.push(Diagnostic::error("stray-file", Place::file(path.as_str()), message).help(help));
        }
    }
    if found.is_empty() && rendered.is_empty() && manifest.set.is_empty() {
        let message = format!("the template `{name}` changes nothing");
        let help = format!("put files below `files/`, or write `set` in `{MANIFEST}`");
        found.push(Diagnostic::error("empty-template", Place::file(MANIFEST), message).help(help));
    }
    if !found.is_empty() {
        return Err(found);
    }
    let pins = files.iter().map(|(path, bytes)| (path.clone(), ObjectId::of_blob(bytes))).collect();
    Ok(Template { name: name.clone(), manifest, files: rendered, pins })
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
