//! A store in memory: the same promises but durability, and the model that other engines are held to.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use statlas_core::{Address, AddressPrefix, BlobId, Coordinates};

use crate::batch::{Batch, Operation, RecordKey, collection_range};
use crate::catalogue::{Catalogue, Row};
use crate::engine::{
    CheckReport, Commit, Durability, Engine, Neighbour, Page, ProgressFn, Record, Stats, StoredBlob,
    StoredEntity,
};
use crate::error::{Error, ErrorKind, Result};
use crate::overlay::{Holdings, Overlay, judge};
use crate::query::{Filter, Query};

/// A store in memory.
pub(crate) struct MemoryEngine {
    /// `None` once it is closed.
    held: RwLock<Option<Held>>,
}

struct Held {
    revision: u64,
    addresses: BTreeMap<Address, u64>,
    /// By location, which is the place in this list plus one. Removed ones stay: rows need their ids.
    entities: Vec<StoredEntity>,
    blobs: HashMap<BlobId, StoredBlob>,
    records: BTreeMap<RecordKey, (Vec<u8>, u64)>,
    catalogue: Catalogue,
}

impl MemoryEngine {
    pub(crate) fn new() -> Self {
        let held = Held {
            revision: 0,
            addresses: BTreeMap::new(),
            entities: Vec::new(),
            blobs: HashMap::new(),
            records: BTreeMap::new(),
            catalogue: Catalogue::new(),
        };
        Self { held: RwLock::new(Some(held)) }
    }

    fn with<T>(&self, read: impl FnOnce(&Held) -> Result<T>) -> Result<T> {
        read(self.held.read().as_ref().ok_or_else(closed)?)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the store in memory is closed")
}

impl Held {
    fn at(&self, location: u64) -> Option<&StoredEntity> {
        self.entities.get(location as usize - 1)
    }

    fn has_id(&self) -> impl Fn(u64, &str) -> Result<bool> + '_ {
        |location, id| match self.at(location) {
            Some(entity) => Ok(entity.head()?.id == id),
            None => Ok(false),
        }
    }

    fn has_neighbours<'a>(&'a self, filter: &'a Filter) -> impl FnMut(u64) -> Result<bool> + 'a {
        |location| {
            let Some(entity) = self.at(location) else { return Ok(false) };
            let adjacency = entity.head()?.coordinates.adjacency;
            Ok(filter.adjacent.iter().all(|id| adjacency.contains(id)))
        }
    }

    fn apply(&mut self, batch: Batch, changes: &[bool]) -> Result<()> {
        let (operations, neighbours) = batch.into_parts();
        for (index, operation) in operations.into_iter().enumerate() {
            if changes[index] {
                // A batch has at most 2^20 operations.
                self.apply_one(operation, index as u32, &neighbours)?;
            }
        }
        Ok(())
    }

    fn apply_one(&mut self, operation: Operation, ordinal: u32, neighbours: &[u64]) -> Result<()> {
        match operation {
            Operation::PutEntity(change) => {
                let (address, canonical) = (change.address, 0..change.canonical.len());
                let (bytes, token, blob) = (change.canonical, change.token.map(Box::new), change.blob);
                self.entities.push(StoredEntity { address, bytes, canonical, token, blob });
                let location = self.entities.len() as u64;
                self.addresses.insert(address, location);
                let row = Row { location, revision: self.revision, ordinal, mended: None };
                let entities = &self.entities;
                self.catalogue.push(&change.draft, neighbours, row, |location| {
                    Ok(entities[location as usize - 1].head()?.id == change.head.id)
                })
            }
            Operation::RemoveEntity(address) => {
                let Some(location) = self.addresses.remove(&address) else { return Ok(()) };
                let entities = &self.entities;
                let has_id = |location: u64, id: &str| Ok(entities[location as usize - 1].head()?.id == id);
                let id = entities[location as usize - 1].head()?.id;
                self.catalogue.remove(&id, location, &has_id)
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
        Ok(self.addresses.get(address).and_then(|location| self.at(*location)).cloned())
    }

    fn has_entity(&self, address: &Address) -> Result<bool> {
        Ok(self.addresses.contains_key(address))
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        let mut locations = self.catalogue.versions(id, &self.has_id())?;
        locations.reverse();
        Ok(locations.iter().filter_map(|location| self.at(*location)).map(|entity| entity.address).collect())
    }

    fn head(&self, id: &str) -> Result<Option<Address>> {
        let location = self.catalogue.head(id, &self.has_id())?;
        Ok(location.and_then(|location| self.at(location)).map(|entity| entity.address))
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        Ok(self.blobs.contains_key(id))
    }

    fn record_revision(&self, key: &RecordKey) -> Result<Option<u64>> {
        Ok(self.records.get(key).map(|(_, revision)| *revision))
    }
}

impl Engine for MemoryEngine {
    fn commit(&self, batch: Batch, _durability: Durability) -> Result<Commit> {
        batch.check()?;
        let mut guard = self.held.write();
        let held = guard.as_mut().ok_or_else(closed)?;
        let (plan, _) = judge(held, &Overlay::default(), &batch, held.revision + 1)?;
        if plan.changes.contains(&true) {
            held.revision += 1;
            held.apply(batch, &plan.changes)?;
        }
        Ok(Commit { revision: held.revision, ..plan.commit })
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
            let (hits, more) = held.catalogue.find(query, &mut held.has_neighbours(&query.filter))?;
            let next = hits.last().filter(|_| more).map(|hit| query.cursor(hit.cursor));
            Ok(Page {
                entities: hits.iter().filter_map(|hit| held.at(hit.location)).cloned().collect(),
                next,
            })
        })
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.with(|held| held.catalogue.count(filter, &mut held.has_neighbours(filter)))
    }

    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>> {
        self.with(|held| {
            let except = except.and_then(|address| held.addresses.get(address)).copied();
            let found = held.catalogue.near(position, k, except).into_iter();
            let neighbour =
                |(similarity, location)| Some(Neighbour { similarity, entity: held.at(location)?.clone() });
            Ok(found.filter_map(neighbour).collect())
        })
    }

    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>> {
        self.with(|held| Ok(held.blobs.get(id).cloned()))
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        self.with(|held| Holdings::has_blob(held, id))
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

    fn stats(&self) -> Stats {
        let guard = self.held.read();
        let Some(held) = guard.as_ref() else { return Stats { engine: "memory", ..Stats::default() } };
        Stats {
            engine: "memory",
            revision: held.revision,
            entities: held.catalogue.live(),
            ids: held.catalogue.ids(),
            blobs: held.blobs.len() as u64,
            records: held.records.len() as u64,
            catalogue_bytes: held.catalogue.bytes(),
            ..Stats::default()
        }
    }

    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.with(|held| {
            let mut report = CheckReport { records: held.records.len() as u64, ..CheckReport::default() };
            for entity in held.addresses.values().filter_map(|location| held.at(*location)) {
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
        Ok(())
    }
}
