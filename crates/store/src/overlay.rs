//! Decides what a batch will do, without doing it.
//!
//! A batch is stored as a whole or not at all, so every change is judged first: against what the store
//! holds, what earlier batches of the same group will do, and what earlier changes of this batch will do.

use std::collections::HashMap as StdHashMap;
use std::sync::Arc;

use statlas_core::{Address, BlobId, EntityHead, check_new_version};
use xxhash_rust::xxh3::Xxh3Builder;

use crate::batch::{Batch, EntityChange, Expected, Operation, RecordKey};
use crate::engine::{Commit, StoredEntity};
use crate::error::{Error, ErrorKind, Result};

/// Keys are SHA-256 or come from a user who can only slow down a batch of his own.
type HashMap<K, V> = StdHashMap<K, V, Xxh3Builder>;

/// What an engine holds, as far as rules look at it.
pub(crate) trait Holdings {
    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>>;
    fn has_entity(&self, address: &Address) -> Result<bool>;
    /// The addresses of an id in the order of their commits.
    fn versions(&self, id: &str) -> Result<Vec<Address>>;
    /// The last of the addresses of an id.
    fn head(&self, id: &str) -> Result<Option<Address>>;
    fn has_blob(&self, id: &BlobId) -> Result<bool>;
    fn record_revision(&self, key: &RecordKey) -> Result<Option<u64>>;
}

/// What will have changed when the batches that were judged so far are stored.
#[derive(Default)]
pub(crate) struct Overlay {
    /// Entities added (with their head) or removed.
    entities: HashMap<Address, Option<Arc<EntityHead<'static>>>>,
    /// The versions added to each id, in order; some may have been removed again.
    added: HashMap<Box<str>, Vec<Address>>,
    /// Whether an entity was removed: only then can a stored head be none.
    removes_entities: bool,
    blobs: HashMap<BlobId, bool>,
    records: HashMap<RecordKey, Option<u64>>,
}

impl Overlay {
    /// Takes over what a batch that was judged with this overlay beneath it will change.
    pub(crate) fn absorb(&mut self, batch: Self) {
        extend(&mut self.entities, batch.entities);
        extend(&mut self.blobs, batch.blobs);
        extend(&mut self.records, batch.records);
        self.removes_entities |= batch.removes_entities;
        if self.added.is_empty() {
            self.added = batch.added;
        } else {
            for (id, versions) in batch.added {
                self.added.entry(id).or_default().extend(versions);
            }
        }
    }
}

/// Most groups are of one batch: its maps are moved as they are.
fn extend<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>, more: HashMap<K, V>) {
    if map.is_empty() { *map = more } else { map.extend(more) }
}

/// What a batch will do.
#[derive(Default)]
pub(crate) struct Plan {
    /// For each operation whether it changes anything.
    pub(crate) changes: Vec<bool>,
    /// The counts; the revision is set when the batch is stored.
    pub(crate) commit: Commit,
}

/// Judges a batch that will be stored as `revision`.
pub(crate) fn judge(
    holdings: &dyn Holdings,
    below: &Overlay,
    batch: &Batch,
    revision: u64,
) -> Result<(Plan, Overlay)> {
    let mut judge = Judge { holdings, below, above: Overlay::default(), plan: Plan::default(), revision };
    judge.plan.changes.reserve(batch.len());
    for (index, operation) in batch.operations().iter().enumerate() {
        let changes = judge.operation(operation).map_err(|error| error.for_operation(index))?;
        judge.plan.changes.push(changes);
    }
    Ok((judge.plan, judge.above))
}

struct Judge<'a> {
    holdings: &'a dyn Holdings,
    below: &'a Overlay,
    above: Overlay,
    plan: Plan,
    revision: u64,
}

impl Judge<'_> {
    /// Whether the operation changes anything.
    fn operation(&mut self, operation: &Operation) -> Result<bool> {
        match operation {
            Operation::PutEntity(change) => self.put_entity(change),
            Operation::RemoveEntity(address) => self.remove_entity(*address),
            Operation::PutBlob { id, .. } => {
                let new = !self.has_blob(id)?;
                if new {
                    self.above.blobs.insert(*id, true);
                    self.plan.commit.blobs_new += 1;
                }
                Ok(new)
            }
            Operation::RemoveBlob(id) => {
                let there = self.has_blob(id)?;
                if there {
                    self.above.blobs.insert(*id, false);
                    self.plan.commit.others += 1;
                }
                Ok(there)
            }
            Operation::PutRecord { key, expected, .. } => {
                self.expect(key, *expected)?;
                self.above.records.insert(key.clone(), Some(self.revision));
                self.plan.commit.others += 1;
                Ok(true)
            }
            Operation::RemoveRecord { key, expected } => {
                let there = self.expect(key, *expected)?.is_some();
                if there {
                    self.above.records.insert(key.clone(), None);
                    self.plan.commit.others += 1;
                }
                Ok(there)
            }
        }
    }

    fn put_entity(&mut self, change: &EntityChange) -> Result<bool> {
        let present = match self.overlaid(&change.address) {
            Some(state) => state.is_some(),
            None => self.holdings.has_entity(&change.address)?,
        };
        if present {
            self.plan.commit.entities_present += 1;
            return Ok(false);
        }
        if let Some(head) = self.head(&change.head.id)? {
            check_new_version(&head, &change.head)?;
        }
        self.above
            .added
            .entry((&*change.head.id).into())
            .or_insert_with(|| Vec::with_capacity(1))
            .push(change.address);
        self.above.entities.insert(change.address, Some(Arc::clone(&change.head)));
        self.plan.commit.entities_new += 1;
        Ok(true)
    }

    /// What will have become of an entity, if anything: its head, or `None` once it is removed.
    fn overlaid(&self, address: &Address) -> Option<&Option<Arc<EntityHead<'static>>>> {
        self.above.entities.get(address).or_else(|| self.below.entities.get(address))
    }

    fn remove_entity(&mut self, address: Address) -> Result<bool> {
        let there = match self.overlaid(&address) {
            Some(state) => state.is_some(),
            None => self.holdings.has_entity(&address)?,
        };
        if there {
            self.above.entities.insert(address, None);
            self.above.removes_entities = true;
            self.plan.commit.others += 1;
        }
        Ok(there)
    }

    /// The newest version of an id: the last one added, else the last stored, that is not removed.
    fn head(&self, id: &str) -> Result<Option<Arc<EntityHead<'static>>>> {
        for overlay in [&self.above, self.below] {
            let versions = overlay.added.get(id).map_or(&[][..], |versions| &versions[..]);
            if let Some(head) = versions.iter().rev().find_map(|address| self.overlaid(address)?.as_ref()) {
                return Ok(Some(Arc::clone(head)));
            }
        }
        let address = if self.above.removes_entities || self.below.removes_entities {
            let kept = |address: &Address| !matches!(self.overlaid(address), Some(None));
            self.holdings.versions(id)?.into_iter().rfind(kept)
        } else {
            self.holdings.head(id)?
        };
        let Some(address) = address else { return Ok(None) };
        let Some(entity) = self.holdings.entity(&address)? else { return Ok(None) };
        Ok(Some(Arc::new(entity.head()?.into_owned())))
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        match self.above.blobs.get(id).or_else(|| self.below.blobs.get(id)) {
            Some(present) => Ok(*present),
            None => self.holdings.has_blob(id),
        }
    }

    /// The record's revision, if it is what the operation expects.
    fn expect(&self, key: &RecordKey, expected: Expected) -> Result<Option<u64>> {
        let revision = match self.above.records.get(key).or_else(|| self.below.records.get(key)) {
            Some(revision) => *revision,
            None => self.holdings.record_revision(key)?,
        };
        let wanted = match expected {
            Expected::Any => return Ok(revision),
            Expected::Absent => None,
            Expected::Revision(revision) => Some(revision),
        };
        if revision == wanted {
            return Ok(revision);
        }
        let describe =
            |revision: Option<u64>| revision.map_or("absent".to_owned(), |n| format!("at revision {n}"));
        let message = format!(
            "record {:?} in collection {:?}: found it {}; expected it {}",
            key.key(),
            key.collection(),
            describe(revision),
            describe(wanted),
        );
        Err(Error::new(ErrorKind::Conflict, message))
    }
}
