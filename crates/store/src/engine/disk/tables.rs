//! What is where: the indexes that lead from names to places in the log.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;
use statlas_core::{Address, BlobId};

use super::format::{FRAME_HEADER_BYTES, Frame, Kind, Location};
use super::log::{Log, corrupt};
use super::scan::{Change, Placed};
use crate::batch::RecordKey;
use crate::catalogue::{Catalogue, Draft, Row};
use crate::engine::StoredEntity;
use crate::error::Result;
use crate::index::{Index, key_of};

/// Changes whose index entries are brought into the cache together; they fit its second level.
const TOUCHED: usize = 2048;

/// The indexes. Only the thread that holds the commit lock changes them.
pub(super) struct Tables {
    /// From addresses to entities, read without a lock.
    pub(super) entities: Index,
    /// From SHA-256 to blobs, chunks and manifests, read without a lock.
    pub(super) blobs: Index,
    /// All that must be seen to change at once.
    pub(super) inner: RwLock<Inner>,
}

pub(super) struct Inner {
    pub(super) catalogue: Catalogue,
    pub(super) records: BTreeMap<RecordKey, RecordPlace>,
    /// Entities and blobs whose frames were damaged when the log was read.
    pub(super) damaged: HashMap<[u8; 32], Location>,
}

/// The changes of a batch in their order, and the neighbours of its rows.
#[derive(Clone, Copy)]
pub(super) struct AppliedBatch<'a> {
    pub(super) revision: u64,
    pub(super) changes: &'a [Placed],
    pub(super) neighbours: &'a [u64],
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RecordPlace {
    pub(super) location: Location,
    pub(super) revision: u64,
}

impl Inner {
    /// Whether a damaged frame about a key stands behind a place.
    fn is_outdated(&self, key: &[u8; 32], location: Location) -> bool {
        !self.damaged.is_empty() && self.damaged.get(key).is_some_and(|place| *place > location)
    }

    /// A key that is stored again or removed is no longer damaged; returns where its damaged frame stands.
    fn mend(&mut self, key: &[u8; 32], location: Location) -> Option<Location> {
        let is_earlier =
            !self.damaged.is_empty() && self.damaged.get(key).is_some_and(|place| *place < location);
        if is_earlier { self.damaged.remove(key) } else { None }
    }
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            entities: Index::new(),
            blobs: Index::new(),
            inner: RwLock::new(Inner {
                catalogue: Catalogue::new(),
                records: BTreeMap::new(),
                damaged: HashMap::new(),
            }),
        }
    }

    /// Makes a batch visible; `publish` is called when all of it is in place, before anybody can see it.
    pub(super) fn apply(&self, log: &Log, batch: &AppliedBatch<'_>, publish: impl FnOnce()) -> Result<()> {
        let AppliedBatch { revision, changes, neighbours } = *batch;
        // A batch becomes visible to queries in one step, so the lock is held for all of it.
        let mut inner = self.inner.write();
        for chunk in changes.chunks(TOUCHED) {
            self.touch(&inner.catalogue, chunk.iter().map(|placed| &placed.change));
            for placed in chunk {
                self.apply_one(log, &mut inner, revision, placed, neighbours)?;
            }
        }
        // Who sees anything of the batch from here on sees all of it.
        publish();
        Ok(())
    }

    fn touch<'a>(&self, catalogue: &Catalogue, changes: impl Iterator<Item = &'a Change> + Clone) {
        let entities = changes.filter_map(|change| match change {
            Change::Entity { address, draft } => Some((address, draft)),
            _ => None,
        });
        self.touch_entities(catalogue, entities);
    }

    /// Brings what the indexes know of entities into the cache.
    pub(super) fn touch_entities<'a>(
        &self,
        catalogue: &Catalogue,
        entities: impl Iterator<Item = (&'a Address, &'a Draft)> + Clone,
    ) {
        self.entities.touch(entities.clone().map(|(address, _)| key_of(&address.0)));
        catalogue.touch(entities.map(|(_, draft)| draft));
    }

    fn apply_one(
        &self,
        log: &Log,
        inner: &mut Inner,
        revision: u64,
        placed: &Placed,
        neighbours: &[u64],
    ) -> Result<()> {
        let Placed { change, location, ordinal } = placed;
        let (location, ordinal) = (*location, *ordinal);
        let has_id = |location: u64, id: &str| Ok(read_entity(log, Location(location))?.head()?.id == id);
        match change {
            // A later frame about it is damaged: what it says is not known, but this one is out of date.
            Change::Entity { address: Address(key), .. } | Change::Blob(BlobId(key))
                if inner.is_outdated(key, location) => {}
            Change::Record(key) if inner.records.get(key).is_some_and(|place| place.location > location) => {}
            Change::Entity { address, draft } => {
                let mended = inner.mend(&address.0, location);
                self.entities.insert(key_of(&address.0), location.0);
                let row =
                    Row { location: location.0, revision, ordinal, mended: mended.map(|place| place.0) };
                inner.catalogue.push(draft, neighbours, row, |other| {
                    has_id(other, &read_entity(log, location)?.head()?.id)
                })?;
            }
            Change::Blob(id) => {
                inner.mend(&id.0, location);
                self.blobs.insert(key_of(&id.0), location.0);
            }
            Change::Record(key) => {
                inner.records.insert(key.clone(), RecordPlace { location, revision });
            }
            Change::EntityRemoved(address) => {
                inner.mend(&address.0, location);
                if let Some(place) = self.place(&self.entities, log, &address.0, u64::MAX)? {
                    let id = read_entity(log, place)?;
                    inner.catalogue.remove(&id.head()?.id, place.0, &has_id)?;
                    self.entities.remove(key_of(&address.0), place.0);
                }
            }
            Change::BlobRemoved(id) => {
                inner.mend(&id.0, location);
                if let Some(place) = self.place(&self.blobs, log, &id.0, u64::MAX)? {
                    self.blobs.remove(key_of(&id.0), place.0);
                }
            }
            Change::RecordRemoved(key) => {
                if inner.records.get(key).is_some_and(|place| place.location < location) {
                    inner.records.remove(key);
                }
            }
        }
        Ok(())
    }

    /// Where the frame with a key stands, of those before `end`.
    pub(super) fn place(
        &self,
        index: &Index,
        log: &Log,
        key: &[u8; 32],
        end: u64,
    ) -> Result<Option<Location>> {
        let found = index.find(key_of(key), |value| {
            if value >= end {
                return None;
            }
            match log.read_key(Location(value)) {
                Ok(found) if found == *key => Some(Ok(Location(value))),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            }
        });
        found.transpose()
    }
}

/// The frame of one of the entries of a key, of those before `end`, that is this key's; `use_frame` makes
/// something of it while it is in the buffer.
#[inline]
pub(super) fn read_by_key<T>(
    index: &Index,
    log: &Log,
    key: &[u8; 32],
    end: u64,
    mut use_frame: impl FnMut(Location, &mut Vec<u8>) -> Result<T>,
) -> Result<Option<T>> {
    let mut buffer = Vec::new();
    let found = index.find(key_of(key), |value| {
        if value >= end {
            return None;
        }
        // A frame that is damaged is an error even where its key differs: the index says it is this one.
        match log.read(Location(value), &mut buffer).map(|frame| frame.key() == key) {
            Ok(true) => Some(use_frame(Location(value), &mut buffer)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    });
    found.transpose()
}

/// The entity whose frame stands at a location.
pub(super) fn read_entity(log: &Log, location: Location) -> Result<StoredEntity> {
    let mut bytes = Vec::new();
    log.read(location, &mut bytes)?;
    stored_entity(location, &mut bytes)
}

/// Makes an entity of a verified frame, and takes the buffer.
#[inline]
pub(super) fn stored_entity(location: Location, buffer: &mut Vec<u8>) -> Result<StoredEntity> {
    let frame = Frame::decode_verified(buffer).filter(|frame| frame.header.kind == Kind::Entity);
    let (frame, parts) = frame
        .and_then(|frame| Some((frame, frame.entity_parts()?)))
        .ok_or_else(|| corrupt(location, "the frame holds no entity"))?;
    let (address, token, blob) = (Address(frame.sha256()), parts.token.map(Box::new), parts.blob);
    let end = FRAME_HEADER_BYTES + frame.header.key_bytes + frame.header.payload_bytes;
    let canonical = end - parts.canonical.len()..end;
    Ok(StoredEntity { address, bytes: std::mem::take(buffer), canonical, token, blob })
}
