//! Which keys of a batch need more than the indexes.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;

use super::log::Reader;
use super::scan::{Change, Placed};
use super::sidecar::TableId;
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

/// The keys of a batch, for each table.
#[derive(Default)]
struct Keys([Vec<u64>; TableId::ALL.len()]);

impl Keys {
    fn add(&mut self, table: TableId, key: u64) {
        self.0[table as usize].push(key);
    }
}

impl Suspects {
    pub(super) fn of_batch(reader: &Reader<'_>, batch: &Batch) -> Result<Self> {
        if reader.view.covered_from == 0 {
            return Ok(Self::default());
        }
        let mut keys = Keys::default();
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
                Operation::PutRecord { .. } | Operation::RemoveRecord { .. } => {}
            }
        }
        Self::of_keys(reader, &keys)
    }

    pub(super) fn of_changes(reader: &Reader<'_>, changes: &[Placed]) -> Result<Self> {
        if reader.view.covered_from == 0 {
            return Ok(Self::default());
        }
        let mut keys = Keys::default();
        for placed in changes {
            match &placed.change {
                Change::Entity { address, draft } => {
                    keys.add(TableId::Entities, key_of(&address.0));
                    keys.add(TableId::Ids, draft.id_hash());
                }
                Change::EntityRemoved(address) => keys.add(TableId::Entities, key_of(&address.0)),
                Change::Blob(id) | Change::BlobRemoved(id) => keys.add(TableId::Blobs, key_of(&id.0)),
                Change::Record(_) | Change::RecordRemoved(_) | Change::Husk => {}
            }
        }
        Self::of_keys(reader, &keys)
    }

    fn of_keys(reader: &Reader<'_>, keys: &Keys) -> Result<Self> {
        let mut suspects = Self::default();
        for table in TableId::ALL {
            let (keys, found) = (&keys.0[table as usize], &mut suspects.found[table as usize]);
            if keys.is_empty() {
                continue;
            }
            for (_, sealed) in reader.view.uncovered() {
                sealed.sidecar.may_hold_many(table, keys, |at| {
                    found.insert(keys[at]);
                })?;
            }
        }
        Ok(suspects)
    }

    /// Whether a key of the batch may be held by a segment that the indexes do not cover.
    pub(super) fn may_hold(&self, table: TableId, key: u64) -> bool {
        let found = &self.found[table as usize];
        !found.is_empty() && found.contains(&key)
    }
}
