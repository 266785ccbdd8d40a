//! Which version of a file's entity comes next.

use anyhow::{Context, Result};
use serde_json::Value;
use statlas_core::{Address, BlobId, Entity, EntityError, Timestamp, check_new_version};
use statlas_store::Store;

/// The key of the state that names the version before. Only a version that would be the same as an earlier
/// one has it: the content went back to what it was, but the store's newest version must be this one.
pub(super) const AFTER: &str = "after";

/// What is to be stored of a file.
pub(super) enum Next {
    /// The first version.
    New(Entity),
    /// Another version.
    Changed(Entity),
    /// Nothing: the newest version says all of it.
    Same(Address),
    /// Nothing: a rule forbids it.
    Refused(EntityError),
}

/// Decides by the versions that are stored. `build` makes the entity with a time of creation, which all
/// versions share, and the address of the version before, for those that need it.
pub(super) fn next(
    store: &Store,
    id: &str,
    blob: BlobId,
    created_at: Timestamp,
    build: impl Fn(Timestamp, Option<Address>) -> Result<Entity, EntityError>,
) -> Result<Next> {
    let versions = store.engine().versions(id)?;
    let Some(head) = versions.last().copied() else {
        return Ok(build(created_at, None).map_or_else(Next::Refused, Next::New));
    };
    let stored =
        store.get(&head)?.with_context(|| format!("version {head} of {id:?} is not in the store"))?;
    let has_file = stored.blob() == Some(blob);
    let stored = stored.entity()?;
    let build = |after| build(stored.created_at(), after);
    let plain = match build(None) {
        Ok(entity) => entity,
        Err(error) => return Ok(Next::Refused(error)),
    };
    let address = plain.address();
    if has_file && (address == head || after(&stored).is_some_and(|after| same(build(Some(after)), head))) {
        return Ok(Next::Same(head));
    }
    let entity = if versions.contains(&address) { build(Some(head)) } else { Ok(plain) };
    Ok(entity
        .and_then(|entity| {
            check_new_version(&stored.into_head(), &entity.clone().into_head()).map(|()| entity)
        })
        .map_or_else(Next::Refused, Next::Changed))
}

fn after(entity: &Entity) -> Option<Address> {
    let state: Value = serde_json::from_str(entity.state().as_str()).ok()?;
    state[AFTER].as_str()?.parse().ok()
}

fn same(entity: Result<Entity, EntityError>, address: Address) -> bool {
    entity.is_ok_and(|entity| entity.address() == address)
}
