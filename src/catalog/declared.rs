//! Where does a blueprint declare something?
//!
//! Definitions do not remember it: it is looked up in the blueprint's file when a diagnostic is to point there,
//! which is seldom.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    Definitions, Files,
    load::{documents_below, stem},
    values::trail,
    yaml::{self, Document},
};
use crate::domain::{BlueprintId, Diagnostic, RepoPath};

/// The files of the blueprints, each read once if at all.
pub(super) struct Declarations<'a> {
    files: &'a Files,
    folder: &'a RepoPath,
    read: RefCell<BTreeMap<BlueprintId, Option<Document>>>,
}

impl<'a> Declarations<'a> {
    pub(super) fn new(definitions: &'a Definitions, files: &'a Files) -> Self {
        Self { files, folder: &definitions.settings.folders.blueprints, read: RefCell::default() }
    }

    /// A diagnostic about an entity, with where its blueprint declares the property or relation concerned.
    pub(super) fn explain(&self, diagnostic: Diagnostic, blueprint: &BlueprintId) -> Diagnostic {
        let field = diagnostic.place.field.clone().unwrap_or_default();
        let mut names = field.split(['.', '[']);
        let (path, what) = match (names.next(), names.next()) {
            (Some("properties"), Some(name)) => (trail!["schema", "properties", name].to_vec(), name),
            (Some("relations"), Some(name)) => (trail!["relations", name].to_vec(), name),
            _ => return diagnostic,
        };
        let mut read = self.read.borrow_mut();
        let document = read.entry(blueprint.clone()).or_insert_with(|| self.document(blueprint));
        match document.as_ref().filter(|document| document.has(&path)) {
            Some(document) => {
                let message = format!("`{what}` of the blueprint `{blueprint}`");
                let place = document.place(&path);
                diagnostic.related(place, message)
            }
            // What is built in, or not declared at all.
            None => diagnostic,
        }
    }

    /// A blueprint's file is called like it.
    fn document(&self, blueprint: &BlueprintId) -> Option<Document> {
        let mut files = documents_below(self.files, self.folder);
        let (path, bytes) = files.find(|(path, _)| stem(path) == blueprint.as_str())?;
        yaml::parse(path.as_str(), bytes).ok()
    }
}
