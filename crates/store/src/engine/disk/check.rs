//! Reads and verifies everything in the log, beside whatever else the store does.
//!
//! A batch that was compacted so far that its hash can't be computed says so itself; the chain is taken from it
//! then and not compared. A complete segment that is found damaged loses the file of its sidecar, so that from
//! the next opening on the segment is read, its damage reported, and answers that may lack something say so.

mod quick;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use statlas_core::{Address, BlobId};

use super::damaged::describe;
use super::files::{end_missing, missing_segments, segment_ids};
use super::format::{
    CommitPayload, Kind, Location, SEGMENT_HEADER_BYTES, STORE_HEADER_BYTES, SegmentHeader, SegmentId,
    StoreHeader,
};
use super::kept_batches::kept_batches;
use super::log::{LogFile, Reader};
use super::lookup::place_of;
use super::scan::{Change, Depth, ScannedBatch, ScannedSegment, next_chain, scan_in_order};
use super::seal::remove_sidecar;
use super::sidecar::TableId;
use super::view::{Sealed, Segment, View};
use super::{DiskEngine, HEADER_NAME};
use crate::batch::RecordKey;
use crate::engine::{CheckReport, Durability, ProgressFn};
use crate::error::{ErrorKind, Result};
use crate::index::key_of;

const IS_FOREIGN: &str = "the file belongs to another place or store";

impl DiskEngine {
    /// What stands in the log now, handed to the operating system.
    pub(super) fn extent(&self) -> Result<Extent> {
        self.check_open()?;
        // Segments may be begun and compacted meanwhile: the view is kept, and only what stands before `end` is read. Under
        // the lock no segment is ended between the two.
        let (end, view) = {
            let mut writer = self.writer.lock();
            if self.poisoned.lock().is_none() {
                self.reach(&mut writer, Durability::Written)?;
            }
            (Location(self.published.load(Ordering::Acquire)), self.log.view.load_full())
        };
        // A complete segment goes on behind its last batch: it says that another follows.
        let extent = |segment: &Segment| match segment.sealed {
            None if segment.log.id == end.segment() => end.offset(),
            _ => segment.log.written(),
        };
        let segments = view
            .segments
            .iter()
            .filter(|segment| segment.log.id <= end.segment())
            .map(|segment| (Arc::clone(&segment.log), extent(segment)))
            .collect();
        Ok(Extent { view, segments, end })
    }

    /// Takes the file of the sidecar of a damaged segment away, or sees to it that it gets none: the next opening then reads
    /// the segment, and knows what is damaged. It can be made again, so nothing is lost by that.
    pub(super) fn forget_sidecar(&self, view: &View, id: SegmentId) {
        if let Some(log) = view.file(id) {
            log.set_damaged();
        }
        // One that is being written, or that was damaged before, has none.
        if self.owner.is_here() {
            remove_sidecar(&*self.storage, id);
        }
    }

    /// Takes the files of damaged sidecars away, so that the next opening makes them anew.
    pub(super) fn forget_damaged_sidecars(&self) {
        for segment in &self.log.view.load().segments {
            if segment.sealed.as_ref().is_some_and(|sealed| sealed.sidecar.is_damaged()) {
                // Whoever needs it is told again.
                remove_sidecar(&*self.storage, segment.log.id);
            }
        }
    }

    /// What is wrong with the file STATLAS, which nobody reads again while the store is open.
    fn header_damage(&self) -> Option<String> {
        let place = self.path.display().to_string();
        let read = self
            .storage
            .read(HEADER_NAME, STORE_HEADER_BYTES)
            .map_err(|error| format!("the file STATLAS can't be read: {error}"));
        let decoded =
            read.and_then(|bytes| StoreHeader::decode(&bytes, &place).map_err(|error| error.to_string()));
        match decoded {
            Ok(header) if header.store_id == self.store_id => None,
            Ok(_) => Some("the file STATLAS belongs to another store".to_owned()),
            Err(reason) => Some(reason),
        }
    }

    pub(super) fn check_log(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        let Extent { view, segments, end } = self.extent()?;
        let total = segments.iter().map(|(_, bytes)| bytes).sum();
        let mut check = Check::new(self, &view)?;
        check.report.damage.extend(kept_batches(&*self.storage)?);
        check.report.damage.extend(self.header_damage());
        scan_in_order(&segments, Depth::Hashes, |scanned| {
            check.segment(scanned)?;
            progress(check.report.bytes, total);
            Ok(())
        })?;
        check.finish_index(end);
        for segment in &view.segments {
            check.sidecar(segment);
        }
        check.report.chain_head = super::hex(&check.chain.unwrap_or_default());
        Ok(check.report)
    }
}

/// What stands in the log at one moment.
pub(super) struct Extent {
    pub(super) view: Arc<View>,
    /// The segments, and how many bytes of each are to be read.
    pub(super) segments: Vec<(Arc<LogFile>, u64)>,
    pub(super) end: Location,
}

struct Check<'a> {
    engine: &'a DiskEngine,
    reader: Reader<'a>,
    /// The head of the chain so far; `None` at the start and behind damage.
    chain: Option<[u8; 32]>,
    /// The revision of the batch before.
    revision: u64,
    /// The newest revision of which the segment lacks something.
    forgotten: u64,
    report: CheckReport,
    next_number: u32,
    /// The numbers of files that are there and that the opening left out, since they belong elsewhere.
    left_out: BTreeSet<u32>,
    /// Entities and blobs that the index does not lead to; removed ones leave when their tombstone is read.
    unindexed: HashMap<(TableId, [u8; 32]), Location>,
}

impl<'a> Check<'a> {
    fn new(engine: &'a DiskEngine, view: &'a View) -> Result<Self> {
        let written = segment_ids(&*engine.storage)?.into_iter().filter(|id| !id.is_compacted());
        let left_out = written.filter(|id| view.file(*id).is_none()).map(SegmentId::number).collect();
        Ok(Self {
            left_out,
            engine,
            reader: engine.log.reader(view),
            chain: None,
            revision: 0,
            forgotten: 0,
            report: CheckReport::default(),
            next_number: 1,
            unindexed: HashMap::new(),
        })
    }
}

impl Check<'_> {
    /// Notes which files are missing before those that a segment stands for.
    fn number(&mut self, first: u32, last: u32) {
        let mut next = self.next_number;
        let left_out = self.left_out.range(next..first.max(next)).map(|number| (*number, true));
        for (number, is_left_out) in left_out.chain([(first, false)]) {
            self.report.damage.extend(missing_segments(next..number));
            if is_left_out {
                let id = SegmentId::written(number);
                self.report.damage.push(format!("{id}: {IS_FOREIGN}; it was left out"));
            }
            (self.chain, next) = (self.chain.filter(|_| next >= number && !is_left_out), number + 1);
        }
        self.next_number = last + 1;
    }

    /// Takes the header of a segment, or what is wrong with it.
    fn header_of(&mut self, id: SegmentId, header: std::result::Result<SegmentHeader, &'static str>) {
        self.forgotten = u64::MAX;
        let damage = &mut self.report.damage;
        match header {
            Err(reason) => damage.push(format!("{id} offset 0: {reason}")),
            Ok(header) if header.id != id || header.store_id != self.engine.store_id => {
                damage.push(format!("{id}: {IS_FOREIGN}"));
            }
            Ok(header) => {
                if self.chain.is_some_and(|chain| chain != header.chain) {
                    damage.push(format!(
                        "{id} offset 0: the hash chain does not go on from the segment before"
                    ));
                }
                self.chain = Some(header.chain);
                self.forgotten = header.forgotten;
            }
        }
    }

    /// What stands in the log and was not found through an index.
    fn finish_index(&mut self, end: Location) {
        // What was removed while the log was read is no longer in the index, and its tombstone was not read.
        if self.engine.published.load(Ordering::Acquire) == end.0 {
            // A compaction leads the indexes to other files meanwhile, which only the view of now has.
            let view = self.engine.log.view.load();
            let reader = self.engine.log.reader(&view);
            // What is wrong with a sidecar is told when all of it is verified.
            let is_lost = |table, key: &[u8; 32]| matches!(place_of(&reader, table, key, u64::MAX), Ok(None));
            let lost = self.unindexed.iter().filter(|((table, key), _)| is_lost(*table, key));
            self.report.damage.extend(lost.map(|((_, key), place)| {
                format!("{place}: {} is in the log but not in the index", super::hex(key))
            }));
        }
    }

    /// Verifies a sidecar. The file of a damaged one is taken away, since the next opening makes it again.
    fn sidecar(&mut self, segment: &Segment) {
        let Some(sealed) = &segment.sealed else { return };
        let found = sealed.sidecar.verify(Location::offset_of_place);
        if !found.is_empty() {
            self.engine.forget_sidecar(self.reader.view, segment.log.id);
        }
        self.report.damage.extend(found);
    }

    fn segment(&mut self, scanned: ScannedSegment) -> Result<()> {
        let id = scanned.id;
        let (first, last) = self.reader.view.range(id);
        self.number(first, last);
        let damage_before = self.report.damage.len();
        self.report.bytes += scanned.bytes;
        self.header_of(id, scanned.header);
        let damage = &mut self.report.damage;
        damage.extend(scanned.damage.iter().map(describe));
        let end = scanned.end.max(SEGMENT_HEADER_BYTES as u64);
        if scanned.bytes > end {
            let place = Location::new(id, end);
            damage.push(format!("{place}: {} bytes behind the last batch are damaged", scanned.bytes - end));
        }
        let is_complete = self.reader.view.sealed(id).is_some();
        let is_cut = scanned.bytes > end || (is_complete && !scanned.ends_in_order());
        let places: Vec<Location> = scanned.damage.iter().map(|place| place.start).collect();
        scanned.batches.into_iter().try_for_each(|batch| self.batch(batch, &places))?;
        if is_cut {
            self.chain = None;
            if self.report.damage.len() == damage_before {
                self.report.damage.push(end_missing(id, end));
            }
        }
        if self.report.damage.len() > damage_before {
            self.engine.forget_sidecar(self.reader.view, id);
        }
        Ok(())
    }

    /// Takes a batch of a segment in which some places are damaged.
    fn batch(&mut self, batch: ScannedBatch, damaged: &[Location]) -> Result<()> {
        let revision = batch.commit.revision;
        // What is told already does not count twice.
        let is_told = damaged.iter().any(|place| batch.holds(*place));
        if batch.is_damaged && !is_told {
            self.report.damage.push(format!("{}: the batch of revision {revision} is damaged", batch.start));
        }
        self.link(&batch);
        let sealed = self.reader.view.sealed(batch.start.segment());
        for placed in &batch.changes {
            match &placed.change {
                Change::Entity { address, .. } => {
                    self.report.entities += 1;
                    self.look_up(TableId::Entities, address.0, placed.location)?;
                }
                Change::Blob(id) => {
                    self.report.blobs += 1;
                    // A chunk whose place this blob took need not be found any more.
                    self.unindexed.remove(&(TableId::Blobs, id.0));
                    self.look_up(TableId::Blobs, id.0, placed.location)?;
                }
                Change::Record(key) => {
                    self.report.records += 1;
                    self.look_up_record(sealed, key, placed.location)?;
                }
                Change::RecordRemoved(key) => self.look_up_record(sealed, key, placed.location)?,
                Change::EntityRemoved(Address(key)) => {
                    self.unindexed.remove(&(TableId::Entities, *key));
                }
                Change::BlobRemoved(BlobId(key)) => {
                    self.unindexed.remove(&(TableId::Blobs, *key));
                }
                Change::Husk => {}
            }
        }
        Ok(())
    }

    /// Compares the head of the chain that a frame names with what it must be, where that is known.
    fn link(&mut self, batch: &ScannedBatch) {
        let CommitPayload { revision, chain, .. } = batch.commit;
        let is_broken = match batch.kind {
            Kind::Commit => {
                self.report.commits += 1;
                let next =
                    self.chain.zip(batch.digest).map(|(chain, digest)| next_chain(&chain, revision, &digest));
                next.is_some_and(|next| next != chain)
            }
            // Its hash can't be computed, and its segment knows that.
            Kind::Reduced => {
                self.report.commits += 1;
                revision > self.forgotten
            }
            // It ends the log or the segment, and names the batch before, unless nothing is left of that.
            _ if batch.is_damaged || (revision > self.revision && revision <= self.forgotten) => false,
            _ => self.chain.is_some_and(|before| before != chain),
        };
        if is_broken {
            let place = batch.start;
            self.report.damage.push(format!("{place}: the hash chain is broken at revision {revision}"));
        }
        self.chain = Some(chain);
        self.revision = revision;
    }

    /// The sidecar of a complete segment must know of a record's change, or of a later one.
    fn look_up_record(&mut self, sealed: Option<&Sealed>, key: &RecordKey, location: Location) -> Result<()> {
        let Some(sealed) = sealed else { return Ok(()) };
        let is_found = match sealed.sidecar.find_record(key.collection(), key.key()) {
            // What is wrong with the sidecar is told when all of it is verified.
            Err(error) if error.kind() == ErrorKind::Corrupt => true,
            found => found?.is_some_and(|entry| Location::offset_of_place(entry.place) >= location.offset()),
        };
        if !is_found {
            let (collection, key) = (key.collection(), key.key());
            self.report.damage.push(format!(
                "{location}: record {key:?} in collection {collection:?} is in the log but not in the index"
            ));
        }
        Ok(())
    }

    /// What stands in the log and is not removed later must be found through an index or a sidecar.
    fn look_up(&mut self, table: TableId, key: [u8; 32], location: Location) -> Result<()> {
        let is_same = |found: Location| (found == location).then_some(());
        let index = self.reader.view.indexes.of(table);
        let is_found = index.find(key_of(&key), |value| is_same(Location(value))).is_some()
            || match self.reader.view.find_uncovered(table, key_of(&key), is_same) {
                // What is wrong with the sidecar is told when all of it is verified.
                Err(error) if error.kind() == ErrorKind::Corrupt => true,
                found => found?.is_some(),
            };
        if !is_found {
            self.unindexed.insert((table, key), location);
        }
        Ok(())
    }
}
