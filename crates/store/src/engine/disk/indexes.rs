//! The indexes in memory.

use std::sync::Arc;

use super::sidecar::TableId;
use crate::error::Result;
use crate::index::Index;

/// Indexes of the segments that a view says they cover. They may lead to others, too.
pub(super) struct Indexes {
    /// From addresses to entities.
    pub(super) entities: Arc<Index>,
    /// From SHA-256 to blobs, chunks and manifests.
    pub(super) blobs: Arc<Index>,
    /// From hashes of ids to their newest entities.
    pub(super) ids: Arc<Index>,
}

/// A change of one entry: the value it had, if any, and the value it gets, if any.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexChange {
    pub(super) table: TableId,
    pub(super) key: u64,
    pub(super) old: Option<u64>,
    pub(super) new: Option<u64>,
}

impl Indexes {
    pub(super) fn new() -> Self {
        let new = || Arc::new(Index::new());
        Self { entities: new(), blobs: new(), ids: new() }
    }

    /// What those take that are worn.
    pub(super) fn worn_bytes(&self) -> u64 {
        let worn = [&self.entities, &self.blobs, &self.ids].into_iter().filter(|index| index.is_worn());
        worn.map(|index| index.bytes()).sum()
    }

    /// The same indexes, with others of the same entries in the place of those that are worn; `None` if there is no memory
    /// for them.
    pub(super) fn renewed(&self) -> Option<Self> {
        let renew = |index: &Arc<Index>| {
            if index.is_worn() { index.renewed().map(Arc::new) } else { Some(Arc::clone(index)) }
        };
        Some(Self { entities: renew(&self.entities)?, blobs: renew(&self.blobs)?, ids: renew(&self.ids)? })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.entities.bytes() + self.blobs.bytes() + self.ids.bytes()
    }

    pub(super) fn of(&self, table: TableId) -> &Index {
        match table {
            TableId::Entities => &self.entities,
            TableId::Blobs => &self.blobs,
            TableId::Ids => &self.ids,
            TableId::Records => unreachable!("records are found through sidecars"),
        }
    }

    /// Brings what there is to be known of many keys into the cache, several at a time, before each is looked at in
    /// turn.
    pub(super) fn touch(&self, keys: impl Iterator<Item = (TableId, u64)>) {
        std::hint::black_box(keys.fold(0, |all, (table, key)| all ^ self.of(table).touch(key)));
    }

    /// Makes a change. An old value that is not there stands in a segment that is not covered.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NoMemory`](crate::ErrorKind::NoMemory) if there is none for a new entry.
    pub(super) fn change(&self, change: &IndexChange) -> Result<()> {
        let IndexChange { table, key, old, new } = *change;
        let index = self.of(table);
        match (old, new) {
            (Some(old), Some(new)) if index.replace(key, old, new) => {}
            (_, Some(new)) => index.insert(key, new)?,
            (Some(old), None) => {
                index.remove(key, old);
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// Makes a change that may have been seen already when these indexes were built.
    ///
    /// # Errors
    ///
    /// As [`Indexes::change`].
    pub(super) fn repeat(&self, change: &IndexChange) -> Result<()> {
        let IndexChange { table, key, old, new } = *change;
        let is_there = |value| self.of(table).find(key, |found| (found == value).then_some(())).is_some();
        match (old, new) {
            (Some(old), Some(new)) if is_there(new) => {
                self.of(table).remove(key, old);
                Ok(())
            }
            (None, Some(new)) if is_there(new) => Ok(()),
            _ => self.change(change),
        }
    }
}
