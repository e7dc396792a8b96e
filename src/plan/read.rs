//! What do the files of a commit say? Questions of the catalog, read into nouns.

use std::sync::Arc;

use crate::{
    catalog::{self, Definitions},
    domain::{Diagnostic, Entity, EntityId, ObjectId, RepoName, RepoPath, RequestId},
    plan::facts::{Looked, Looker, Part},
};

/// An entity of the catalog as of a commit; none when it is not there.
///
/// # Errors
/// `Pending` while the answer is awaited; inside, why it cannot be read.
pub(super) fn entity(
    look: &Looker<'_>,
    definitions: &Definitions,
    commit: ObjectId,
    id: &EntityId,
) -> Looked<Result<Option<Arc<Entity>>, String>> {
    let (path, bytes) = match look.entity(commit, id)? {
        Ok(None) => return Ok(Ok(None)),
        Ok(Some(file)) => file,
        Err(why) => return Ok(Err(format!("`{id}` could not be read: {why}"))),
    };
    let read = || match catalog::read_entity(path, bytes, definitions) {
        Ok(entity) => Ok(Ok(Some(Arc::new(entity)))),
        Err(problems) => Ok(Err(format!("`{id}` has mistakes of its own: {}", first(&problems)))),
    };
    look.kept(definitions, Part::Entity(commit, id.clone()), read).map(|known| Result::clone(&known))
}

fn first(problems: &[Diagnostic]) -> &str {
    problems.first().map_or("", |problem| &problem.message)
}

/// The file of a request.
pub(super) fn request_path(definitions: &Definitions, id: &RequestId, name: &str) -> RepoPath {
    definitions
        .settings
        .folders
        .requests
        .join(&format!("{id}/{name}"))
        .expect("a request's identifier makes a path")
}

/// The request that a file under `requests/` belongs to, and the file's name.
pub(super) fn request_of(definitions: &Definitions, path: &RepoPath) -> Option<(String, String)> {
    let below = path.under(&definitions.settings.folders.requests)?;
    let (id, name) = below.rsplit_once('/')?;
    Some((id.to_owned(), name.to_owned()))
}

/// How people write a pull request or issue so that forges make a link of it.
pub fn reference(repository: &RepoName, number: u64) -> String {
    format!("{repository}#{number}")
}
