//! The default engine: an append-only log, with as much of its index in memory as the budget allows.
//!
//! It promises that an acknowledged batch is whole or, below its durability level, gone; that no byte is
//! returned whose checksum is wrong; that what is there is read by address without waiting for a writer; that one
//! process has the store.

mod active;
pub(crate) mod backup;
mod buffers;
mod cache;
mod changes;
mod check;
mod compact;
mod coverage;
mod creation;
mod damaged;
mod derive;
mod dictionary;
mod encode;
mod files;
mod format;
mod free;
mod history;
mod indexes;
mod judging;
mod kept_batches;
mod log;
mod lookup;
mod opening;
#[cfg(feature = "faults")]
mod parse;
mod place;
mod queries;
mod queue;
mod records;
mod recovery;
mod repair;
mod scan;
mod scrub;
mod seal;
mod sidecar;
pub(crate) mod storage;
mod suspects;
mod tables;
mod takeover;
mod texts;
mod training;
mod upkeep;
mod view;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use statlas_core::{Address, AddressPrefix, BlobId, Coordinates};

use self::buffers::Buffers;
use self::cache::EntityCache;
pub(crate) use self::encode::EncodedBatch;
use self::format::{Frame, FrameHeader, Kind, Location, OFFSET_MAX};
use self::free::Freeing;
use self::log::{Log, Reader};
use self::lookup::{addresses_of, place_of, read_by_key, stored_entity, versions_of};
use self::queue::Queue;
pub use self::repair::repair;
use self::scrub::Scrubber;
use self::sidecar::TableId;
use self::storage::{ProcessLock, Storage};
use self::tables::{Inner, Tables};
use self::texts::Encoder;
use self::upkeep::Upkeep;
use self::writer::{SEGMENT_ROOM_BYTES, Writer};
use crate::batch::{Batch, BlobForm, RecordKey};
use crate::budget::{Budget, MemoryUse, Reservation};
use crate::change::Changes;
use crate::engine::waiting::Waiting;
use crate::engine::{BackupOptions, BackupReport, FreeOptions, FreeReport, Pins};
use crate::engine::{
    CheckReport, Commit, CompactOptions, CompactReport, Durability, Engine, HistoryReport, MemoryHeld,
    NearToken, Neighbour, NotedHead, Page, Prepared, PreparedForm, ProgressFn, Record, ScrubOptions,
    ScrubReport, Stats, StoredBlob, StoredEntity,
};
use crate::error::{Error, ErrorKind, Result};
use crate::index::key_of;
use crate::owner::Owner;
use crate::query::{Filter, Query, TokenQuery};

#[cfg(feature = "faults")]
pub(crate) use self::parse::{read_segment, read_store_header, use_sidecar};

const HEADER_NAME: &str = "STATLAS";
const LOCK_NAME: &str = "LOCK";
/// A batch that begins before this size ends before places run out of bits.
const SEGMENT_BYTES_MAX: u64 = OFFSET_MAX - SEGMENT_ROOM_BYTES;
/// Lookups whose memory accesses are made together.
const READ_TOGETHER: usize = 64;

/// A store in a directory.
pub(crate) struct DiskEngine {
    path: PathBuf,
    storage: Box<dyn Storage>,
    store_id: [u8; 16],
    segment_bytes: u64,
    log: Log,
    tables: Tables,
    budget: Arc<Budget>,
    cache: EntityCache,
    /// Whether texts are compressed where that makes them smaller.
    compresses: bool,
    /// What the texts of the segment that is being written are compressed with.
    encoder: ArcSwapOption<Encoder>,
    buffers: Arc<Buffers>,
    index_memory: Mutex<Reservation>,
    filter_memory: Mutex<Reservation>,
    column_memory: Mutex<Reservation>,
    active_memory: Mutex<Reservation>,
    record_memory: Mutex<Reservation>,
    /// Entities and blobs behind this place are not visible yet.
    published: AtomicU64,
    /// The newest revision that is visible.
    revision: AtomicU64,
    /// Those who wait for a newer one.
    waiting: Waiting,
    queue: Queue,
    writer: Mutex<Writer>,
    /// Why no more writes are taken.
    poisoned: Mutex<Option<String>>,
    closed: AtomicBool,
    closed_at: Mutex<Option<Location>>,
    syncs: AtomicU64,
    damage: Vec<String>,
    /// Whether something was wrong with the log when it was opened.
    is_damaged: bool,
    /// Whether something is damaged whose key is not known.
    is_lossy: bool,
    /// Whether the indexes may cover more than they do: not after memory ran short, until there is more.
    may_cover_more: AtomicBool,
    /// Held by the one who compacts.
    compacting: Mutex<()>,
    /// The largest number that a compacted file ever had.
    compacted_last: AtomicU32,
    /// So many of the newest revisions keep their whole history when segments are compacted.
    history_revisions: u64,
    scrubber: Scrubber,
    upkeep: Upkeep,
    pins: Arc<Pins>,
    freeing: Freeing,
    /// How fast the store scrubs by itself; 0 for not at all.
    scrub_bytes_per_second: u64,
    lock: Mutex<Option<ProcessLock>>,
    /// The process that may write to it, and close it.
    owner: Owner,
}

impl DiskEngine {
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
        self.check_process()?;
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

    /// Whether this is the process that opened the store, and not one that was forked from it.
    fn check_process(&self) -> Result<()> {
        if self.owner.is_here() {
            return Ok(());
        }
        let (place, process) = (self.path.display(), self.owner.process());
        let message = format!(
            "{place}: process {process} opened the store, and this one was forked from it and can only read what was \
             there then; to write, open the store here once the other one has closed it"
        );
        Err(Error::new(ErrorKind::Busy, message))
    }

    /// Reads a visible entity or blob.
    #[inline]
    fn read_visible<T>(
        &self,
        table: TableId,
        key: &[u8; 32],
        mut use_frame: impl FnMut(Location, &mut Vec<u8>) -> Result<T>,
    ) -> Result<Option<T>> {
        self.check_open()?;
        let mut find = || {
            self.find_visible(table, |reader, published| {
                read_by_key(reader, table, key, published, &mut use_frame)
            })
        };
        let found = find()?;
        if found.is_some() || !self.is_damaged {
            return Ok(found);
        }
        self.check_undamaged_in(&self.tables.inner.read(), table, key)?;
        // It may have been damaged until now, and stored again meanwhile.
        find()
    }

    /// What `find` finds of what is visible, which ends at the place that it is told.
    #[inline]
    fn find_visible<T>(
        &self,
        table: TableId,
        mut find: impl FnMut(&Reader<'_>, u64) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.tables.find(|| {
            let published = self.published.load(Ordering::Acquire);
            let found = self.log.read(|reader| find(&reader, published))?;
            if found.is_none() && table == TableId::Blobs {
                // A blob may have taken the place of a chunk meanwhile, behind the end that was looked up to.
                let now = self.published.load(Ordering::Acquire);
                if now != published {
                    return self.log.read(|reader| find(&reader, now));
                }
            }
            Ok(found)
        })
    }

    /// An entity or blob that is known to be damaged is not absent.
    fn check_undamaged_in(&self, inner: &Inner, table: TableId, key: &[u8; 32]) -> Result<()> {
        match inner.damaged.get(&(table, *key)) {
            Some(damaged) => Err(log::corrupt(damaged.location, &format!("{} is damaged", hex(key)))),
            None => Ok(()),
        }
    }

    /// The header of the frame of a visible blob, not verified.
    fn blob_header(&self, id: &BlobId) -> Result<Option<FrameHeader>> {
        self.find_visible(TableId::Blobs, |reader, end| {
            let place = place_of(reader, TableId::Blobs, &id.0, end)?;
            place.map(|place| reader.header(place)).transpose()
        })
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    Address(*bytes).to_string()
}

impl Engine for DiskEngine {
    fn commit(&self, batch: Batch, durability: Durability) -> Result<Commit> {
        self.group_commit(self.encode_ahead(batch)?, durability)
    }

    fn prepare(&self, batch: Batch) -> Result<Prepared> {
        Ok(Prepared(PreparedForm::Encoded(Box::new(self.encode_ahead(batch)?))))
    }

    fn commit_prepared(&self, prepared: Prepared, durability: Durability) -> Result<Commit> {
        match prepared.0 {
            PreparedForm::Batch(batch) => self.commit(batch, durability),
            PreparedForm::Encoded(encoded) => self.group_commit(*encoded, durability),
        }
    }

    fn sync(&self) -> Result<()> {
        self.check_usable()?;
        self.reach(&mut self.writer.lock(), Durability::Synced)
    }

    fn entity(&self, address: &Address) -> Result<Option<StoredEntity>> {
        let read = || self.read_visible(TableId::Entities, &address.0, stored_entity);
        if self.cache.is_on() {
            self.check_open()?;
            return self.cache.get_or_read(address, read);
        }
        read()
    }

    /// Works in steps over a group of addresses, so that the processor waits for many memory accesses at
    /// once instead of for one after another.
    fn entities(&self, addresses: &[Address]) -> Result<Vec<Option<StoredEntity>>> {
        self.check_open()?;
        let published = self.published.load(Ordering::Acquire);
        let view = self.log.view.load();
        let reader = self.log.reader(&view);
        let index = &view.indexes.entities;
        let (mut places, mut buffer) = (Vec::with_capacity(READ_TOGETHER), Vec::new());
        let mut found = Vec::with_capacity(addresses.len());
        for group in addresses.chunks(READ_TOGETHER) {
            view.indexes.touch(group.iter().map(|address| (TableId::Entities, key_of(&address.0))));
            let place = |address: &Address| {
                index.find(key_of(&address.0), |place| (place < published).then_some(Location(place)))
            };
            places.clear();
            places.extend(group.iter().map(place));
            places.iter().flatten().for_each(|place| reader.touch(*place));
            for (address, place) in group.iter().zip(&places) {
                found.push(match place {
                    Some(place) if reader.frame(*place, &mut buffer).is_ok_and(|f| f.key() == address.0) => {
                        Some(stored_entity(*place, &mut buffer)?)
                    }
                    // Absent, damaged, not covered by the index, or behind another address that begins with
                    // the same eight bytes.
                    _ => Engine::entity(self, address)?,
                });
            }
        }
        Ok(found)
    }

    fn addresses(&self, prefix: &AddressPrefix, limit: usize) -> Result<Vec<Address>> {
        self.check_open()?;
        self.tables.list(|| self.log.read_all(|reader| self.addresses_with(&reader, prefix, limit)))
    }

    fn versions(&self, id: &str) -> Result<Vec<Address>> {
        self.check_open()?;
        // The lock comes first: under it, rows do not move from the active segment into a sidecar.
        let inner = self.tables.inner.read();
        let view = self.log.view.load_full();
        let reader = self.log.reader(&view);
        addresses_of(&reader, &versions_of(&reader, &inner.active, id)?)
    }

    fn find(&self, query: &Query) -> Result<Page> {
        self.find_rows(query)
    }

    fn count(&self, filter: &Filter) -> Result<u64> {
        self.count_rows(filter)
    }

    fn near(&self, position: &Coordinates, k: usize, except: Option<&Address>) -> Result<Vec<Neighbour>> {
        self.near_rows(position, k, except)
    }

    fn near_token(&self, query: &TokenQuery) -> Result<Vec<NearToken>> {
        self.near_token_rows(query)
    }

    fn may_miss_entities(&self) -> bool {
        self.is_damaged && (self.is_lossy || !self.tables.inner.read().damaged.is_empty())
    }

    fn blob(&self, id: &BlobId) -> Result<Option<StoredBlob>> {
        self.read_visible(TableId::Blobs, &id.0, |place, buffer| {
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
        let find = |reader: &Reader<'_>, end| place_of(reader, TableId::Blobs, &id.0, end);
        Ok(self.find_visible(TableId::Blobs, find)?.is_some())
    }

    fn blob_form(&self, id: &BlobId) -> Result<Option<BlobForm>> {
        self.check_open()?;
        match self.blob_header(id) {
            Ok(header) => Ok(header.map(|header| header.blob_form())),
            // Storing it again mends it.
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn record(&self, key: &RecordKey) -> Result<Option<Record>> {
        self.check_open()?;
        self.read_record(key)
    }

    fn records(&self, collection: &str, after: Option<&str>, limit: usize) -> Result<Vec<Record>> {
        self.check_open()?;
        self.list_records(collection, after, limit)
    }

    fn changes(&self, after: u64, limit: usize) -> Result<Changes> {
        self.read_changes(after, limit)
    }

    fn wait_for_change(&self, after: u64, at_most: Duration) -> Result<u64> {
        self.wait_for_revision(after, at_most)
    }

    fn stats(&self) -> Stats {
        // Both at once, so that they belong together.
        let (chain, revision) = {
            let writer = self.writer.lock();
            (writer.chain, self.revision.load(Ordering::Acquire))
        };
        self.account_columns();
        let view = self.log.view.load();
        let sidecars = view.segments.iter().filter_map(|segment| segment.sealed.as_ref());
        let log_bytes: u64 = view.segments.iter().map(|segment| segment.log.written()).sum();
        let (cache_hits, cache_misses) = self.cache.hits_and_misses();
        let inner = self.tables.inner.read();
        Stats {
            cache_hits,
            cache_misses,
            engine: "disk",
            revision,
            entities: inner.entities_live,
            ids: inner.ids_live,
            blobs: inner.blobs_live,
            records: inner.records_live,
            disk_bytes: format::STORE_HEADER_BYTES as u64
                + log_bytes
                + sidecars.map(|sealed| sealed.sidecar.bytes()).sum::<u64>(),
            segments: view.segments.len() as u64,
            index_bytes: view.indexes.bytes(),
            catalogue_bytes: self.budget.held(MemoryUse::Columns) + self.budget.held(MemoryUse::Records),
            memory_bytes_max: self.budget.bytes_max(),
            memory: MemoryUse::ALL
                .map(|user| MemoryHeld { user: user.as_str(), bytes: self.budget.held(user) })
                .to_vec(),
            segments_covered: (view.segments.len() - view.covered_from) as u64,
            syncs: self.syncs.load(Ordering::Relaxed),
            damage: self.damage.clone(),
            chain_head: hex(&chain),
            scrub: self.scrub_stats(),
            maintenance_error: self.upkeep.last_error(),
        }
    }

    fn set_memory_bytes_max(&self, bytes: u64) -> Result<()> {
        self.check_open()?;
        self.change_memory_bytes_max(bytes)
    }

    fn compact(&self, options: &CompactOptions, progress: ProgressFn<'_>) -> Result<CompactReport> {
        self.compact_all(options, progress)
    }

    fn pins(&self) -> Option<&Arc<Pins>> {
        Some(&self.pins)
    }

    fn free_blobs(&self, options: &FreeOptions, progress: ProgressFn<'_>) -> Result<FreeReport> {
        self.free(options, progress)
    }

    fn maintain(&self) -> Result<bool> {
        self.keep_up()
    }

    fn check(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.check_log(progress)
    }

    fn check_quick(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.check_log_quickly(progress)
    }

    fn scrub(&self, options: &ScrubOptions<'_>, progress: ProgressFn<'_>) -> Result<ScrubReport> {
        self.scrub_log(options, progress)
    }

    fn verify_history(&self, from: Option<NotedHead>, progress: ProgressFn<'_>) -> Result<HistoryReport> {
        self.prove_history(from, progress)
    }

    fn backup(
        &self,
        to: &Path,
        options: &BackupOptions<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<BackupReport> {
        self.backup_to_directory(to, options, progress)
    }

    fn close(&self) -> Result<()> {
        self.close_store()
    }
}

impl Drop for DiskEngine {
    fn drop(&mut self) {
        // Who wants to know whether it worked calls `close`.
        drop(self.close());
    }
}
