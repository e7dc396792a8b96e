//! Is this entity what its blueprint wants?

use super::{Definitions, Settings, values::Segment};
use crate::domain::{Blueprint, Diagnostic, Entity, EntityId, Place, RepoPath};

/// The entity that the file at this path must hold; none if entities do not lie there.
pub fn entity_at(_settings: &Settings, _path: &RepoPath) -> Option<EntityId> {
    todo!()
}

/// Reads an entity and holds it against its blueprint. What it points at is not looked up.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read_entity(
    _path: &RepoPath,
    _bytes: &[u8],
    _definitions: &Definitions,
) -> Result<Entity, Vec<Diagnostic>> {
    todo!()
}

/// Everything that is wrong with an entity that has no file yet.
pub fn check_entity(
    _definitions: &Definitions,
    _entity: &Entity,
    _place: &dyn Fn(&[Segment]) -> Place,
) -> Vec<Diagnostic> {
    todo!()
}

/// Everything that an entity points at, with the place in it.
pub fn references(_definitions: &Definitions, _entity: &Entity) -> Vec<(Vec<Segment>, EntityId)> {
    todo!()
}

/// The entity with the defaults of its blueprint where it says nothing.
pub fn with_defaults(_blueprint: &Blueprint, _entity: Entity) -> Entity {
    todo!()
}
