//! Which keys of a batch need more than the indexes.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use super::log::Reader;
use super::records::record_hash;
use super::scan::{Change, Placed};
use super::sidecar::TableId;
use super::view::Sealed;
use crate::batch::{Batch, Operation};
use crate::error::Result;
use crate::index::key_of;
use crate::overlay::UniformHasher;

/// The keys of a batch that segments may hold which the indexes do not cover. Their filters are asked about
/// all keys at once, one segment after another, so that each filter is in the cache while it is asked.
#[derive(Default)]
pub(super) struct Suspects {
    found: [HashSet<u64, BuildHasherDefault<UniformHasher>>; TableId::ALL.len()],
}

/// The keys of a batch, for each table that has to be asked.
struct Keys {
    keys: [Vec<u64>; TableId::ALL.len()],
    /// Whether the indexes cover everything but records.
    are_covered: bool,
}

impl Keys {
    fn for_view(reader: &Reader<'_>) -> Self {
        Self { keys: Default::default(), are_covered: reader.view.covered_from == 0 }
    }

    fn add(&mut self, table: TableId, key: u64) {
        if !self.are_covered || table == TableId::Records {
            self.keys[table as usize].push(key);
        }
    }
}

impl Suspects {
    pub(super) fn of_batch(reader: &Reader<'_>, batch: &Batch) -> Result<Self> {
        if reader.view.segments.len() < 2 {
            return Ok(Self::default());
        }
        let mut keys = Keys::for_view(reader);
        for operation in batch.operations() {
            match operation {
                Operation::PutEntity(change) => {
                    keys.add(TableId::Entities, key_of(&change.address.0));
                    keys.add(TableId::Ids, change.draft.id_hash());
                }
                Operation::RemoveEntity(address) => keys.add(TableId::Entities, key_of(&address.0)),
                Operation::PutBlob { id, .. } | Operation::RemoveBlob(id) => {
                    keys.add(TableId::Blobs, key_of(&id.0));
                }
                Operation::PutRecord { key, .. } | Operation::RemoveRecord { key, .. } => {
                    keys.add(TableId::Records, record_hash(key));
                }
            }
        }
        Self::of_keys(reader, &keys)
    }

    pub(super) fn of_changes(reader: &Reader<'_>, changes: &[Placed]) -> Result<Self> {
        if reader.view.segments.len() < 2 {
            return Ok(Self::default());
        }
        let mut keys = Keys::for_view(reader);
        for placed in changes {
            match &placed.change {
                Change::Entity { address, draft } => {
                    keys.add(TableId::Entities, key_of(&address.0));
                    draft.iter().for_each(|draft| keys.add(TableId::Ids, draft.id_hash()));
                }
                Change::EntityRemoved(address) => keys.add(TableId::Entities, key_of(&address.0)),
                Change::Blob(id) | Change::BlobRemoved(id) => keys.add(TableId::Blobs, key_of(&id.0)),
                Change::Record(key) | Change::RecordRemoved(key) => {
                    keys.add(TableId::Records, record_hash(key));
                }
                Change::Husk => {}
            }
        }
        Self::of_keys(reader, &keys)
    }

    fn of_keys(reader: &Reader<'_>, keys: &Keys) -> Result<Self> {
        let mut suspects = Self::default();
        for table in TableId::ALL {
            let (keys, found) = (&keys.keys[table as usize], &mut suspects.found[table as usize]);
            if keys.is_empty() {
                continue;
            }
            let mut ask = |sealed: &Sealed| -> Result<()> {
                let mut held = Vec::new();
                sealed.sidecar.may_hold_many(table, keys, |at| held.push(keys[at]));
                if table != TableId::Records {
                    // When the batch is made visible they are asked again, and nothing may fail then.
                    let read = |key: &u64| sealed.sidecar.find(table, *key, Some).map(drop);
                    held.iter().try_for_each(read)?;
                }
                found.extend(held);
                Ok(())
            };
            match table {
                // No index covers records.
                TableId::Records => reader.view.complete().try_for_each(|(_, sealed)| ask(sealed))?,
                _ => reader.view.uncovered().try_for_each(|(_, sealed)| ask(sealed))?,
            }
        }
        Ok(suspects)
    }

    /// Whether a key of the batch may be held by a segment that the indexes do not cover; they cover no records.
    pub(super) fn may_hold(&self, table: TableId, key: u64) -> bool {
        let found = &self.found[table as usize];
        !found.is_empty() && found.contains(&key)
    }
}
