//! What the store holds, for judging one batch.

use statlas_core::{Address, BlobId};
use xxhash_rust::xxh3::xxh3_64;

use super::DiskEngine;
use super::format::{Frame, Location};
use super::log::{Reader, corrupt};
use super::lookup::{Version, addresses_of, entity_at, head_of_id, place_of, versions_kept};
use super::records::{RecordPlace, newest_record, record_hash};
use super::sidecar::TableId;
use super::suspects::Suspects;
use super::view::row_at;
use crate::batch::{BlobForm, Operation, RecordKey};
use crate::engine::StoredEntity;
use crate::error::{Error, ErrorKind, Result};
use crate::index::key_of;
use crate::overlay::Holdings;

/// The store while a batch is judged.
pub(super) struct Judging<'a> {
    pub(super) engine: &'a DiskEngine,
    pub(super) reader: Reader<'a>,
    /// Of the keys of the batch.
    pub(super) suspects: &'a Suspects,
}

impl Judging<'_> {
    fn place(&self, table: TableId, key: &[u8; 32]) -> Result<Option<Location>> {
        let index = self.reader.view.indexes.of(table);
        if !self.suspects.may_hold(table, key_of(key)) && index.find(key_of(key), Some).is_none() {
            return Ok(None);
        }
        place_of(&self.reader, table, key, u64::MAX)
    }

    /// An error if the row of an entity can't be read: it is changed when a batch is made visible, and nothing may fail then.
    fn check_row(&self, place: Location) -> Result<()> {
        let Some(sealed) = self.reader.view.sealed(place.segment()) else { return Ok(()) };
        row_at(&sealed.sidecar, place.place()).map(drop)
    }

    /// The versions of an id, with rows that can be read.
    fn versions_with_rows(&self, id: &str) -> Result<Vec<Version>> {
        let versions = versions_kept(&self.reader, &self.engine.tables.inner.read().active, id)?;
        versions.iter().try_for_each(|version| self.check_row(version.location))?;
        Ok(versions)
    }

    /// An error if a frame about something that is to be removed was found to be damaged on opening.
    fn check_removable(&self, table: TableId, key: &[u8; 32]) -> Result<()> {
        if self.engine.is_damaged
            && let Some(damaged) = self.engine.tables.inner.read().damaged.get(&(table, *key))
        {
            return Err(corrupt(damaged.location, "what a frame says about it is not known"));
        }
        Ok(())
    }

    /// Something of the frame of what has a key, if it is stored and sound: storing what is damaged again
    /// mends it.
    fn sound<T>(
        &self,
        table: TableId,
        key: &[u8; 32],
        of: impl FnOnce(&Frame<'_>) -> T,
    ) -> Result<Option<T>> {
        let Some(place) = self.place(table, key)? else { return Ok(None) };
        match self.reader.frame(place, &mut Vec::new()) {
            Ok(frame) => Ok(Some(of(&frame))),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Holdings for Judging<'_> {
    fn look_ahead(&self, operations: &[Operation]) {
        self.reader.view.indexes.touch(operations.iter().flat_map(|operation| {
            let (key, id) = match operation {
                Operation::PutEntity(change) => {
                    let id = (TableId::Ids, change.draft.id_hash());
                    (Some((TableId::Entities, key_of(&change.address.0))), Some(id))
                }
                Operation::PutBlob { id, .. } | Operation::RemoveBlob(id) => {
                    (Some((TableId::Blobs, key_of(&id.0))), None)
                }
                Operation::RemoveEntity(_) | Operation::PutRecord { .. } | Operation::RemoveRecord { .. } => {
                    (None, None)
                }
            };
            key.into_iter().chain(id)
        }));
    }

    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        let place = place_of(&self.reader, TableId::Entities, &address.0, u64::MAX)?;
        place.map(|place| entity_at(&self.reader, place)).transpose()
    }

    fn has_entity(&self, address: &Address) -> Result<bool> {
        Ok(self.sound(TableId::Entities, &address.0, |_| ())?.is_some())
    }

    fn is_damaged(&self, address: &Address) -> Result<bool> {
        let is_known = self.engine.is_damaged
            && self.engine.tables.inner.read().damaged.contains_key(&(TableId::Entities, address.0));
        let Some(place) = self.place(TableId::Entities, &address.0)? else { return Ok(is_known) };
        match self.reader.frame(place, &mut Vec::new()) {
            Err(error) if error.kind() == ErrorKind::Corrupt => self.check_row(place).map(|()| true),
            _ => Ok(is_known),
        }
    }

    fn is_removable(&self, address: &Address) -> Result<bool> {
        let unremovable = |error| unremovable(&format!("entity {address}"), error);
        self.check_removable(TableId::Entities, &address.0).map_err(unremovable)?;
        let Some(place) = self.place(TableId::Entities, &address.0)? else { return Ok(false) };
        let entity = entity_at(&self.reader, place).map_err(unremovable)?;
        self.check_versions(&entity.head().map_err(unremovable)?.id).map(|()| true)
    }

    fn is_removable_blob(&self, id: &BlobId) -> Result<bool> {
        let unremovable = |error| unremovable(&format!("blob {id}"), error);
        self.check_removable(TableId::Blobs, &id.0).map_err(unremovable)?;
        let Some(place) = self.place(TableId::Blobs, &id.0)? else { return Ok(false) };
        self.reader.frame(place, &mut Vec::new()).map(|_| true).map_err(unremovable)
    }

    fn check_versions(&self, id: &str) -> Result<()> {
        self.versions_with_rows(id).map(drop)
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        addresses_of(&self.reader, &self.versions_with_rows(id)?)
    }

    fn head(&self, id: &str) -> Result<Option<Address>> {
        let hash = xxh3_64(id.as_bytes());
        let index = &self.reader.view.indexes.ids;
        if !self.suspects.may_hold(TableId::Ids, hash) && index.find(hash, Some).is_none() {
            return Ok(None);
        }
        let place = head_of_id(&self.reader, id)?;
        place.map_or(Ok(()), |place| self.check_row(place))?;
        place.map(|place| self.reader.key(place).map(Address)).transpose()
    }

    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>> {
        self.sound(TableId::Blobs, &id.0, |frame| frame.blob_form())
    }

    fn record_revision(&self, key: &RecordKey) -> Result<Option<u64>> {
        let active = self.engine.tables.inner.read().active.record(key);
        let newest = match active {
            None if self.suspects.may_hold(TableId::Records, record_hash(key)) => {
                newest_record(self.reader.view.complete(), key)?
            }
            found => found,
        };
        Ok(newest.and_then(RecordPlace::live).map(|place| place.revision))
    }
}

/// An error about something that can't be removed since it is damaged.
fn unremovable(what: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Corrupt => Error::new(
            ErrorKind::Corrupt,
            format!(
                "{what} is damaged and can't be removed as it is: store it again, then remove it; {error}"
            ),
        ),
        _ => error,
    }
}
