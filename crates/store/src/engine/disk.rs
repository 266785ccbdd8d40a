//! The default engine: an append-only log with an index in memory.
//!
//! It promises that an acknowledged batch is whole or, below its durability level, gone; that no byte is
//! returned whose checksum is wrong; that reads by address wait for no writer; that one process at a time
//! has the store. It leaves to later releases: taking back the space of what was removed.

mod check;
mod encode;
mod format;
mod log;
mod recovery;
mod scan;
pub(crate) mod storage;
mod tables;
mod writer;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use statlas_core::{Address, AddressPrefix, BlobId, Coordinates};

use self::format::{Frame, Kind, Location, SEGMENT_HEADER_BYTES, SegmentHeader, StoreHeader};
use self::log::{Log, Segment};
use self::recovery::{Recovered, recover, segment_numbers};
use self::storage::{Directory, ProcessLock, Storage};
use self::tables::{RecordPlace, Tables, read_by_key, read_entity, stored_entity};
use self::writer::{Request, SEGMENT_ROOM_BYTES, Writer};
use crate::batch::{Batch, RecordKey};
use crate::engine::{
    CheckReport, Commit, Durability, Engine, Neighbour, Page, ProgressFn, Record, Stats, StoredBlob,
    StoredEntity,
};
use crate::error::{Error, ErrorKind, Result};
use crate::index::{Index, key_of};
use crate::overlay::Holdings;
use crate::query::{Filter, Query};
use crate::store::Options;

const HEADER_NAME: &str = "STATLAS";
/// Lookups whose memory accesses are made together.
const READ_TOGETHER: usize = 64;
const LOCK_NAME: &str = "LOCK";

/// A store in a directory.
pub(crate) struct DiskEngine {
    path: PathBuf,
    storage: Box<dyn Storage>,
    store_id: [u8; 16],
    segment_bytes: u64,
    log: Log,
    tables: Tables,
    /// Entities and blobs behind this place are not visible yet.
    published: AtomicU64,
    /// The newest revision that is visible.
    revision: AtomicU64,
    queue: Mutex<Vec<std::sync::Arc<Request>>>,
    writer: Mutex<Writer>,
    /// Why no more writes are taken.
    poisoned: Mutex<Option<String>>,
    closed: AtomicBool,
    closed_at: Mutex<Option<Location>>,
    syncs: AtomicU64,
    damage: Vec<String>,
    /// Whether something is damaged whose key is not known.
    is_lossy: bool,
    lock: Mutex<Option<ProcessLock>>,
}

impl DiskEngine {
    /// Opens or makes the store in a directory.
    pub(crate) fn open(path: &Path, options: &Options) -> Result<Self> {
        let place = path.display().to_string();
        prepare_directory(path, &place, options.create)?;
        let lock = ProcessLock::take(&path.join(LOCK_NAME))
            .map_err(|error| {
                Error::io(
                    format!(
                        "{place}: locking the store failed; even reading needs a store that can be written"
                    ),
                    error,
                )
            })?
            .map_err(|holder| {
                let holder = if holder.is_empty() { String::new() } else { format!(" (process {holder})") };
                let message =
                    format!("{place}: the store is open in another process{holder}; close that first");
                Error::new(ErrorKind::Busy, message)
            })?;
        Self::on(Box::new(Directory::new(path)), path, Some(lock), options)
    }

    /// Opens or makes the store in a storage, which is called `path` in messages.
    pub(crate) fn on(
        storage: Box<dyn Storage>,
        path: &Path,
        lock: Option<ProcessLock>,
        options: &Options,
    ) -> Result<Self> {
        let place = path.display().to_string();
        let store_id = read_or_create_header(&*storage, &place, options.segment_bytes)?;
        let recovered = recover(&*storage, store_id, options.segment_bytes)?;
        let Recovered { log, tables, last, end, revision, chain, closed_at, damage, is_lossy } = recovered;
        let published = Location::new(last.number, end);
        let synced = closed_at.unwrap_or(Location::new(last.number, SEGMENT_HEADER_BYTES as u64));
        let writer = Writer { segment: last, end, revision, chain, synced };
        Ok(Self {
            path: path.to_owned(),
            storage,
            store_id,
            segment_bytes: options.segment_bytes,
            log,
            tables,
            published: AtomicU64::new(published.0),
            revision: AtomicU64::new(revision),
            queue: Mutex::default(),
            writer: Mutex::new(writer),
            poisoned: Mutex::default(),
            closed: AtomicBool::new(false),
            closed_at: Mutex::new(closed_at),
            syncs: AtomicU64::new(0),
            damage,
            is_lossy,
            lock: Mutex::new(lock),
        })
    }

    fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::Closed,
                format!("{}: the store is closed", self.path.display()),
            ));
        }
        Ok(())
    }

    fn check_usable(&self) -> Result<()> {
        self.check_open()?;
        match &*self.poisoned.lock() {
            None => Ok(()),
            Some(reason) => {
                let place = self.path.display();
                let message =
                    format!("{place}: writes are refused since one failed ({reason}); open the store again");
                Err(Error::new(ErrorKind::Poisoned, message))
            }
        }
    }

    /// Reads a visible entity or blob.
    #[inline]
    fn read_visible<T>(
        &self,
        index: &Index,
        key: &[u8; 32],
        use_frame: impl FnMut(Location, &mut Vec<u8>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        let published = self.published.load(Ordering::Acquire);
        let found = read_by_key(index, &self.log, key, published, use_frame)?;
        if found.is_none() {
            self.check_undamaged(key)?;
        }
        Ok(found)
    }

    /// Where a visible entity or blob stands.
    fn visible(&self, index: &Index, key: &[u8; 32]) -> Result<Option<Location>> {
        self.check_open()?;
        let place = self.tables.place(index, &self.log, key, self.published.load(Ordering::Acquire))?;
        if place.is_none() {
            self.check_undamaged(key)?;
        }
        Ok(place)
    }

    /// An entity or blob that is known to be damaged is not absent.
    fn check_undamaged(&self, key: &[u8; 32]) -> Result<()> {
        if self.damage.is_empty() {
            return Ok(());
        }
        match self.tables.inner.read().damaged.get(key) {
            Some(place) => Err(log::corrupt(*place, &format!("{} is damaged", hex(key)))),
            None => Ok(()),
        }
    }

    fn read_record(&self, key: RecordKey, place: RecordPlace) -> Result<Record> {
        let mut bytes = Vec::new();
        let frame = self.log.read(place.location, &mut bytes)?;
        if frame.record_key().as_ref() != Some(&key) {
            return Err(log::corrupt(place.location, "the frame holds another record"));
        }
        Ok(Record { key, value: frame.payload().to_vec(), revision: place.revision })
    }

    /// Tells whether an entity has an id; reads it.
    fn has_id(&self) -> impl Fn(u64, &str) -> Result<bool> + '_ {
        |location, id| Ok(read_entity(&self.log, Location(location))?.head()?.id == id)
    }

    /// Tells whether an entity has every neighbour that a filter asks for; reads it.
    fn has_neighbours<'a>(&'a self, filter: &'a Filter) -> impl FnMut(u64) -> Result<bool> + 'a {
        |location| {
            let entity = read_entity(&self.log, Location(location))?;
            let adjacency = entity.head()?.coordinates.adjacency;
            Ok(filter.adjacent.iter().all(|id| adjacency.contains(id)))
        }
    }
}

/// Makes the directory, or finds out that it is none of ours.
fn prepare_directory(path: &Path, place: &str, create: bool) -> Result<()> {
    let failed = |error| Error::io(format!("{place}: opening the store failed"), error);
    match path.join(HEADER_NAME).try_exists() {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        // What that means is told below.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {}
        Err(error) => return Err(failed(error)),
    }
    let not_a_store = |what: &str| Err(Error::new(ErrorKind::NotAStore, format!("{place}: {what}")));
    match std::fs::read_dir(path) {
        Ok(mut entries) => {
            // An interrupted creation leaves these behind.
            let ours = |name: &str| [LOCK_NAME, "log", "STATLAS.new"].contains(&name);
            let foreign = entries.any(|entry| entry.is_ok_and(|e| !ours(&e.file_name().to_string_lossy())));
            match (foreign, create) {
                (true, _) => {
                    not_a_store("not a Statlas store: the directory holds other files and no file STATLAS")
                }
                (false, false) if path.join("log").is_dir() => not_a_store(
                    "the store is not whole: the file STATLAS is missing beside its log; put it back",
                ),
                (false, false) => not_a_store("no store is here: the directory is empty"),
                (false, true) => Ok(()),
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && create => std::fs::create_dir_all(path)
            .map_err(|error| Error::io(format!("{place}: making the store failed"), error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            not_a_store("no store is here; make one by storing something, or name another with --store")
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            not_a_store("not a Statlas store: it is a file, and a store is a directory")
        }
        Err(error) => Err(failed(error)),
    }
}

/// Whether a log holds more than the first segment's header, which an interrupted creation leaves.
fn has_batches(storage: &dyn Storage) -> Result<bool> {
    let failed = |error| Error::io("reading the log failed", error);
    Ok(match segment_numbers(storage)?.as_slice() {
        [] => false,
        [1] => {
            let file = storage.open(&Segment::name(1), false).map_err(failed)?;
            file.len().map_err(failed)? > SEGMENT_HEADER_BYTES as u64
        }
        _ => true,
    })
}

fn read_or_create_header(storage: &dyn Storage, place: &str, segment_bytes: u64) -> Result<[u8; 16]> {
    match storage.read(HEADER_NAME) {
        Ok(bytes) => return StoreHeader::decode(&bytes, place).map(|header| header.store_id),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io(format!("{place}: reading the file STATLAS failed"), error)),
    }
    let failed = |error| Error::io(format!("{place}: making the store failed"), error);
    storage.create_folder("log").map_err(failed)?;
    if has_batches(storage)? {
        let message = format!("{place}: the file STATLAS is missing, but there is a log; put the file back");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    // The standard library seeds these from the operating system; the id need only differ between stores.
    let random = || RandomState::new().build_hasher().finish().to_le_bytes();
    let store_id: [u8; 16] = std::array::from_fn(|at| if at < 8 { random()[at] } else { random()[at - 8] });
    // The file STATLAS comes last: with it, the store is there.
    let header = SegmentHeader { number: 1, store_id, first_revision: 1, chain: [0; 32] };
    create_segment(storage, &header, segment_bytes)?;
    storage.write(HEADER_NAME, &StoreHeader { store_id }.encode()).map_err(failed)?;
    storage.sync_folder(".").map_err(failed)?;
    Ok(store_id)
}

/// Makes a segment whose header and name survive a power cut.
fn create_segment(storage: &dyn Storage, header: &SegmentHeader, segment_bytes: u64) -> Result<Segment> {
    let name = Segment::name(header.number);
    let create = || {
        let file = storage.open(&name, true)?;
        file.set_len(0)?;
        file.write_at(0, &header.encode())?;
        file.sync()?;
        storage.sync_folder("log")?;
        let map = file.map((segment_bytes + SEGMENT_ROOM_BYTES) as usize)?;
        Ok(Segment::new(header.number, file, map, SEGMENT_HEADER_BYTES as u64))
    };
    create().map_err(|error| Error::io(format!("making {name} failed"), error))
}

fn hex(bytes: &[u8; 32]) -> String {
    Address(*bytes).to_string()
}

impl Holdings for DiskEngine {
    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        let place = self.tables.place(&self.tables.entities, &self.log, &address.0, u64::MAX)?;
        place.map(|place| read_entity(&self.log, place)).transpose()
    }

    fn has_entity(&self, address: &Address) -> Result<bool> {
        Ok(self.tables.place(&self.tables.entities, &self.log, &address.0, u64::MAX)?.is_some())
    }

    fn is_damaged(&self, address: &Address) -> bool {
        !self.damage.is_empty() && self.tables.inner.read().damaged.contains_key(&address.0)
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        let mut places = self.tables.inner.read().catalogue.versions(id, &self.has_id())?;
        places.reverse();
        places.into_iter().map(|place| self.log.read_key(Location(place)).map(Address)).collect()
    }

    fn head(&self, id: &str) -> Result<Option<Address>> {
        let place = self.tables.inner.read().catalogue.head(id, &self.has_id())?;
        place.map(|place| self.log.read_key(Location(place)).map(Address)).transpose()
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        Ok(self.tables.place(&self.tables.blobs, &self.log, &id.0, u64::MAX)?.is_some())
    }

    fn record_revision(&self, key: &RecordKey) -> Result<Option<u64>> {
        Ok(self.tables.inner.read().records.get(key).map(|place| place.revision))
    }
}

impl Engine for DiskEngine {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Commit> {
        self.group_commit(batch, durability)
    }

    fn sync(&self) -> Result<()> {
        self.check_usable()?;
        self.reach(&mut self.writer.lock(), Durability::Synced)
    }

    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        self.read_visible(&self.tables.entities, &address.0, stored_entity)
    }

    /// Works in steps over a group of addresses, so that the processor waits for many memory accesses at
    /// once instead of for one after another.
    fn entities(&self, addresses: &[Address]) -> Result<Vec<Option<StoredEntity>>> {
        self.check_open()?;
        let published = self.published.load(Ordering::Acquire);
        let index = &self.tables.entities;
        let (mut places, mut buffer) = (Vec::with_capacity(READ_TOGETHER), Vec::new());
        let mut found = Vec::with_capacity(addresses.len());
        for group in addresses.chunks(READ_TOGETHER) {
            index.touch(group.iter().map(|address| key_of(&address.0)));
            let place = |address: &Address| {
                index.find(key_of(&address.0), |place| (place < published).then_some(Location(place)))
            };
            places.clear();
            places.extend(group.iter().map(place));
            places.iter().flatten().for_each(|place| self.log.touch(*place));
            for (address, place) in group.iter().zip(&places) {
                found.push(match place {
                    Some(place) if self.log.read(*place, &mut buffer).is_ok_and(|f| f.key() == address.0) => {
                        Some(stored_entity(*place, &mut buffer)?)
                    }
                    // Absent, damaged, or behind another address that begins with the same eight bytes.
                    _ => Engine::entity(self, address)?,
                });
            }
        }
        Ok(found)
    }

    fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Result<Vec<Address>> {
        self.check_open()?;
        let published = self.published.load(Ordering::Acquire);
        let (low, high) = (key_of(&prefix.low().0), key_of(&prefix.high().0));
        let mut places = self.tables.entities.range(low, high);
        places.retain(|(_, place)| *place < published);
        // Keys sort like addresses; where the first eight bytes are equal the whole is looked at.
        places.sort_unstable();
        let mut found = Vec::new();
        let mut last_key = None;
        for (key, place) in places {
            if found.len() >= limit && last_key != Some(key) {
                break;
            }
            let address = Address(self.log.read_key(Location(place))?);
            if prefix.matches(&address) {
                found.push(address);
                last_key = Some(key);
            }
        }
        found.sort_unstable();
        found.truncate(limit);
        Ok(found)
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        self.check_open()?;
        Holdings::versions(self, id)
    }

    fn find(&self, query: &Query) -> Result<Page> {
        query.check_cursor()?;
        self.check_open()?;
        let (hits, more) = {
            let inner = self.tables.inner.read();
            inner.catalogue.find(query, &mut self.has_neighbours(&query.filter))?
        };
        let next = hits.last().filter(|_| more).map(|hit| query.cursor(hit.cursor));
        let entities = hits.iter().map(|hit| read_entity(&self.log, Location(hit.location)));
        Ok(Page { entities: entities.collect::<Result<_>>()?, next })
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.check_open()?;
        self.tables.inner.read().catalogue.count(filter, &mut self.has_neighbours(filter))
    }

    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>> {
        self.check_open()?;
        let except = match except {
            Some(address) => self.visible(&self.tables.entities, &address.0)?.map(|place| place.0),
            None => None,
        };
        let found = self.tables.inner.read().catalogue.near(position, k, except);
        let neighbour = |(similarity, place)| {
            let entity = read_entity(&self.log, Location(place))?;
            Ok(Neighbour { similarity, entity })
        };
        found.into_iter().map(neighbour).collect()
    }

    fn may_miss_entities(&self) -> bool {
        !self.damage.is_empty() && (self.is_lossy || !self.tables.inner.read().damaged.is_empty())
    }

    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>> {
        self.read_visible(&self.tables.blobs, &id.0, |place, buffer| {
            let frame = Frame::decode_verified(buffer).filter(|frame| frame.header.kind == Kind::Blob);
            let frame = frame.ok_or_else(|| log::corrupt(place, "the frame holds no blob"))?;
            let form = frame.blob_form();
            let start = format::FRAME_HEADER_BYTES + frame.header.key_bytes;
            let end = start + frame.header.payload_bytes;
            let mut bytes = std::mem::take(buffer);
            bytes.truncate(end);
            bytes.drain(..start);
            Ok(StoredBlob { form, bytes })
        })
    }

    fn has_blob(&self, id: &BlobId) -> Result<bool> {
        self.check_open()?;
        let published = self.published.load(Ordering::Acquire);
        Ok(self.tables.place(&self.tables.blobs, &self.log, &id.0, published)?.is_some())
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.check_open()?;
        let place = self.tables.inner.read().records.get(key).copied();
        place.map(|place| self.read_record(key.clone(), place)).transpose()
    }

    fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>> {
        self.check_open()?;
        let places = {
            let inner = self.tables.inner.read();
            crate::batch::collection_range(&inner.records, collection, after, limit)
        };
        places.into_iter().map(|(key, place)| self.read_record(key, place)).collect()
    }

    fn stats(&self) -> Stats {
        let segments = self.log.segments();
        let (chain, disk_bytes) = {
            let writer = self.writer.lock();
            (writer.chain, segments.iter().map(|segment| segment.written()).sum::<u64>() + 64)
        };
        let inner = self.tables.inner.read();
        Stats {
            engine: "disk",
            revision: self.revision.load(Ordering::Acquire),
            entities: inner.catalogue.live(),
            ids: inner.catalogue.ids(),
            blobs: self.tables.blobs.len(),
            records: inner.records.len() as u64,
            disk_bytes,
            segments: segments.len() as u64,
            index_bytes: self.tables.entities.bytes() + self.tables.blobs.bytes(),
            catalogue_bytes: inner.catalogue.bytes(),
            syncs: self.syncs.load(Ordering::Relaxed),
            damage: self.damage.clone(),
            chain_head: hex(&chain),
        }
    }

    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.check_log(progress)
    }

    fn close(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut writer = self.writer.lock();
        let closed = if self.poisoned.lock().is_some() { Ok(()) } else { self.close_log(&mut writer) };
        self.closed.store(true, Ordering::Release);
        *self.lock.lock() = None;
        closed
    }
}

impl Drop for DiskEngine {
    fn drop(&mut self) {
        // Who wants to know whether it worked calls `close`.
        drop(self.close());
    }
}
