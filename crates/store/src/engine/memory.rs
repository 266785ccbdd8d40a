//! A store in memory: the same promises but durability, and the model that other engines are held to.

mod free;
mod history;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use statlas_core::{Address, AddressPrefix, BlobId, Coordinates};

use self::history::History;
use crate::batch::{Batch, BlobForm, Operation, RecordKey, collection_range};
use crate::change::Changes;
use crate::columns::{
    Bit, GrowingRows, Near, RowId, RowLists, RowPlace, Rows, TokenNear, count, find, near, near_token,
};
use crate::engine::waiting::Waiting;
use crate::engine::{
    CheckReport, Commit, Durability, Engine, NearToken, Neighbour, Page, ProgressFn, Record, Stats,
    StoredBlob, StoredEntity,
};
use crate::engine::{FreeOptions, FreeReport, Pins};
use crate::error::{Error, ErrorKind, Result};
use crate::overlay::{Holdings, Overlay, judge};
use crate::query::{Filter, Query, TokenQuery};

/// A store in memory.
pub(crate) struct MemoryEngine {
    /// `None` once it is closed.
    held: RwLock<Option<Held>>,
    waiting: Waiting,
    pins: Arc<Pins>,
}

struct Held {
    revision: u64,
    /// The rows of the entities.
    addresses: BTreeMap<Address, usize>,
    /// By row; `None` for those that were removed.
    entities: Vec<Option<StoredEntity>>,
    ids: HashMap<Box<str>, Versions>,
    /// The columns of the entities. The place of a row is its number.
    rows: GrowingRows,
    blobs: HashMap<BlobId, StoredBlob>,
    /// The blobs that removed entities named.
    named_once: HashSet<BlobId>,
    records: BTreeMap<RecordKey, (Vec<u8>, u64)>,
    history: History,
}

/// The rows of an id that are not removed.
struct Versions {
    newest: usize,
    /// The others, in the order of their commits. Few ids have any.
    older: Vec<usize>,
}

impl MemoryEngine {
    pub(crate) fn new() -> Self {
        let held = Held {
            revision: 0,
            addresses: BTreeMap::new(),
            entities: Vec::new(),
            ids: HashMap::new(),
            rows: GrowingRows::new(),
            blobs: HashMap::new(),
            named_once: HashSet::new(),
            records: BTreeMap::new(),
            history: History::default(),
        };
        Self { held: RwLock::new(Some(held)), waiting: Waiting::default(), pins: Arc::default() }
    }

    fn with<T>(&self, read: impl FnOnce(&Held) -> Result<T>) -> Result<T> {
        read(self.held.read().as_ref().ok_or_else(closed)?)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store in memory is closed")
}

impl Versions {
    /// All rows in the order of their commits.
    fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.older.iter().copied().chain([self.newest])
    }
}

impl Held {
    fn at(&self, row: usize) -> Option<&StoredEntity> {
        self.entities.get(row)?.as_ref()
    }

    /// The row of an entity, if it is there.
    fn row_of(&self, address: Option<&Address>) -> Option<RowId> {
        Some(RowId { part: 0, row: *self.addresses.get(address?)? })
    }

    fn has_neighbours<'a>(&'a self, filter: &'a Filter) -> impl FnMut(RowId) -> Result<bool> + 'a {
        |row| {
            let Some(entity) = self.at(row.row) else { return Ok(false) };
            let adjacency = entity.head()?.coordinates.adjacency;
            Ok(filter.adjacent.iter().all(|id| adjacency.contains(id)))
        }
    }

    /// Adds a row as the newest version of its id.
    fn add_version(&mut self, id: &str, row: usize) {
        match self.ids.entry(id.into()) {
            Entry::Vacant(entry) => {
                entry.insert(Versions { newest: row, older: Vec::new() });
            }
            Entry::Occupied(mut entry) => {
                let versions = entry.get_mut();
                let before = std::mem::replace(&mut versions.newest, row);
                versions.older.push(before);
                self.rows.bits().set(before, Bit::Superseded, true);
            }
        }
    }

    /// Removes a row; if it is the newest version of its id, the one before takes its place.
    fn remove_version(&mut self, id: &str, row: usize) {
        self.rows.bits().set(row, Bit::Removed, true);
        let Some(versions) = self.ids.get_mut(id) else { return };
        if versions.newest != row {
            versions.older.retain(|older| *older != row);
        } else if let Some(before) = versions.older.pop() {
            versions.newest = before;
            self.rows.bits().set(before, Bit::Superseded, false);
        } else {
            self.ids.remove(id);
        }
    }

    /// Bytes allocated for the columns and the ids. Costs a walk over all ids.
    fn catalogue_bytes(&self) -> u64 {
        // A table has a byte of its own for each entry.
        let entries = self.ids.capacity() * (size_of::<(Box<str>, Versions)>() + 1);
        let texts: usize = self.ids.keys().map(|id| id.len()).sum();
        let older: usize = self.ids.values().map(|versions| versions.older.capacity()).sum();
        self.rows.bytes() + (entries + texts + older * size_of::<usize>()) as u64
    }

    fn commit(&mut self, batch: Batch) -> Result<Commit> {
        let (plan, _) = judge(self, &Overlay::default(), &batch, self.revision + 1)?;
        if plan.changes.contains(&true) {
            self.revision += 1;
            self.history.add(self.revision, batch.operations(), &plan.changes);
            self.apply(batch, &plan.changes)?;
        }
        Ok(Commit { revision: self.revision, ..plan.commit })
    }

    fn apply(&mut self, batch: Batch, changes: &[bool]) -> Result<()> {
        let (operations, lists) = batch.into_parts();
        for (index, operation) in operations.into_iter().enumerate() {
            if changes[index] {
                // A batch has at most 2^20 operations.
                self.apply_one(operation, index as u32, &lists)?;
            }
        }
        Ok(())
    }

    fn apply_one(&mut self, operation: Operation, ordinal: u32, lists: &RowLists) -> Result<()> {
        match operation {
            Operation::PutEntity(change) => {
                let (address, canonical) = (change.address, 0..change.canonical.len());
                let (bytes, token, blob) = (change.canonical, change.token.map(Box::new), change.blob);
                let place = RowPlace { place: self.entities.len() as i64, revision: self.revision, ordinal };
                let row = self.rows.push(&change.draft, lists, place);
                self.entities.push(Some(StoredEntity { address, bytes, canonical, token, blob }));
                self.addresses.insert(address, row);
                self.add_version(&change.head.id, row);
                Ok(())
            }
            Operation::RemoveEntity(address) => {
                let Some(row) = self.addresses.remove(&address) else { return Ok(()) };
                let Some(entity) = self.entities[row].take() else { return Ok(()) };
                self.named_once.extend(entity.blob);
                self.remove_version(&entity.head()?.id, row);
                Ok(())
            }
            Operation::PutBlob { id, form, bytes } => {
                self.blobs.insert(id, StoredBlob { form, bytes });
                Ok(())
            }
            Operation::RemoveBlob(id) => {
                self.blobs.remove(&id);
                Ok(())
            }
            Operation::PutRecord { key, value, .. } => {
                self.records.insert(key, (value, self.revision));
                Ok(())
            }
            Operation::RemoveRecord { key, .. } => {
                self.records.remove(&key);
                Ok(())
            }
        }
    }
}

impl Holdings for Held {
    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        Ok(self.addresses.get(address).and_then(|row| self.at(*row)).cloned())
    }

    fn has_entity(&self, address: &Address) -> Result<bool> {
        Ok(self.addresses.contains_key(address))
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        let rows = self.ids.get(id).into_iter().flat_map(Versions::rows);
        Ok(rows.filter_map(|row| self.at(row)).map(|entity| entity.address).collect())
    }

    fn head(&self, id: &str) -> Result<Option<Address>> {
        let newest = self.ids.get(id).and_then(|versions| self.at(versions.newest));
        Ok(newest.map(|entity| entity.address))
    }

    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>> {
        Ok(self.blobs.get(id).map(|blob| blob.form))
    }

    fn record_revision(&self, key: &RecordKey) -> Result<Option<u64>> {
        Ok(self.records.get(key).map(|(_, revision)| *revision))
    }
}

impl Engine for MemoryEngine {
    fn commit(&self, batch: Batch, _durability: Durability) -> Result<Commit> {
        batch.check()?;
        let commit = self.held.write().as_mut().ok_or_else(closed)?.commit(batch)?;
        self.waiting.wake();
        Ok(commit)
    }

    fn sync(&self) -> Result<()> {
        self.with(|_| Ok(()))
    }

    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        self.with(|held| Holdings::entity(held, address))
    }

    fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Result<Vec<Address>> {
        self.with(|held| {
            Ok(held
                .addresses
                .range(prefix.low()..=prefix.high())
                .take(limit)
                .map(|(address, _)| *address)
                .collect())
        })
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        self.with(|held| Holdings::versions(held, id))
    }

    fn find(&self, query: &Query) -> Result<Page> {
        query.check_cursor()?;
        self.with(|held| {
            let (hits, more) = find(&[&held.rows], query, &mut held.has_neighbours(&query.filter))?;
            let next = hits.last().filter(|_| more).map(|hit| query.cursor(hit.cursor));
            Ok(Page { entities: hits.iter().filter_map(|hit| held.at(hit.row.row)).cloned().collect(), next })
        })
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.with(|held| count(&[&held.rows], filter, &mut held.has_neighbours(filter)))
    }

    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>> {
        self.with(|held| {
            let found = near(&[&held.rows], position, k, held.row_of(except))?.into_iter();
            let neighbour = |near: Near| {
                Some(Neighbour { similarity: near.similarity, entity: held.at(near.row.row)?.clone() })
            };
            Ok(found.filter_map(neighbour).collect())
        })
    }

    fn near_token(&self, query: &TokenQuery) -> Result<Vec<NearToken>> {
        query.check()?;
        self.with(|held| {
            let except = held.row_of(query.except.as_ref());
            let found = near_token(&[&held.rows], query, except)?.into_iter();
            let near = |near: TokenNear| {
                Some(NearToken { distance: near.distance, entity: held.at(near.row.row)?.clone() })
            };
            Ok(found.filter_map(near).collect())
        })
    }

    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>> {
        self.with(|held| Ok(held.blobs.get(id).cloned()))
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        self.with(|held| Ok(held.blobs.contains_key(id)))
    }

    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>> {
        self.with(|held| Holdings::blob_form(held, id))
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.with(|held| {
            let record = |(value, revision): &(Vec<u8>, u64)| Record {
                key: key.clone(),
                value: value.clone(),
                revision: *revision,
            };
            Ok(held.records.get(key).map(record))
        })
    }

    fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>> {
        self.with(|held| {
            let records = collection_range(&held.records, collection, after, limit).into_iter();
            Ok(records.map(|(key, (value, revision))| Record { key, value, revision }).collect())
        })
    }

    fn changes(&self, after: u64, limit: usize) -> Result<Changes> {
        self.with(|held| held.history.changes(after, held.revision, limit))
    }

    fn wait_for_change(&self, after: u64, at_most: Duration) -> Result<u64> {
        let newest = || self.with(|held| Ok(held.revision));
        let look = || Some(newest()).filter(|newest| newest.as_ref().map_or(true, |newest| *newest > after));
        self.waiting.wait(at_most, look).unwrap_or_else(newest)
    }

    fn stats(&self) -> Stats {
        let guard = self.held.read();
        let Some(held) = guard.as_ref() else { return Stats { engine: "memory", ..Stats::default() } };
        Stats {
            engine: "memory",
            revision: held.revision,
            entities: held.addresses.len() as u64,
            ids: held.ids.len() as u64,
            blobs: held.blobs.len() as u64,
            records: held.records.len() as u64,
            catalogue_bytes: held.catalogue_bytes(),
            ..Stats::default()
        }
    }

    fn pins(&self) -> Option<&Arc<Pins>> {
        Some(&self.pins)
    }

    fn free_blobs(&self, options: &FreeOptions, _progress: ProgressFn<'_>) -> Result<FreeReport> {
        let mut guard = self.held.write();
        let held = guard.as_mut().ok_or_else(closed)?;
        let report = held.free(options, &self.pins.lock())?;
        drop(guard);
        self.waiting.wake();
        Ok(report)
    }

    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.with(|held| {
            let mut report = CheckReport { records: held.records.len() as u64, ..CheckReport::default() };
            for entity in held.addresses.values().filter_map(|row| held.at(*row)) {
                report.entities += 1;
                report.bytes += entity.bytes.len() as u64;
                if let Err(error) = entity.entity() {
                    report.damage.push(error.to_string());
                }
            }
            report.blobs = held.blobs.len() as u64;
            report.bytes += held.blobs.values().map(|blob| blob.bytes.len() as u64).sum::<u64>();
            progress(report.bytes, report.bytes);
            Ok(report)
        })
    }

    fn close(&self) -> Result<()> {
        *self.held.write() = None;
        self.waiting.wake();
        Ok(())
    }
}
