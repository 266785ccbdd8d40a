//! How much of the log the indexes in memory cover: as much as the budget allows.
//!
//! Opening covers only the segment that is being written; then the rest is brought in beside whatever else
//! the store does. When memory runs short everything but that segment is let go of again, and lookups go
//! through filters and sidecars.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::DiskEngine;
use super::active::Active;
use super::format::Location;
use super::indexes::Indexes;
use super::sidecar::TableId;
use super::view::{Sealed, View, is_head, row_place};
use crate::batch::{Batch, Operation};
use crate::budget::{MemoryUse, Reservation};
use crate::error::{Error, ErrorKind, Result};

/// The segment that is written is sealed early when it holds this part of the budget.
const ACTIVE_PART: u64 = 4;
/// What an operation takes on its way into the log beside its bytes: a frame's header and key, its row before
/// it has a place, and the judgement.
const OPERATION_BYTES: u64 = 320;
/// How long to wait for other batches before looking again.
const WAIT: Duration = Duration::from_millis(50);
/// What an entry of the index takes while and after it is built, at most.
const ENTRY_BYTES: u64 = 32;
/// Indexes are not brought in again if less than this part of the budget would be left.
const SPARE_PART: u64 = 4;

impl DiskEngine {
    /// Whether the segment that is being written holds so much memory that it should be sealed.
    pub(super) fn is_active_large(&self) -> bool {
        self.tables.inner.read().active.bytes() > self.budget.bytes_max() / ACTIVE_PART
    }

    /// Sees to it that the indexes have room for what a batch adds. Only the holder of the commit lock may
    /// do this.
    pub(super) fn make_index_room(&self, batch: &Batch) -> Result<()> {
        let (mut entities, mut blobs) = (0, 0);
        for operation in batch.operations() {
            match operation {
                Operation::PutEntity(_) => entities += 1,
                Operation::PutBlob { .. } => blobs += 1,
                _ => {}
            }
        }
        let has_room = |view: &View| {
            let mut reservation = self.index_memory.lock();
            let indexes = &view.indexes;
            let mut allow = |bytes: u64| reservation.try_resize(indexes.bytes() + bytes);
            let has_room = indexes.entities.make_room(entities, &mut allow)
                && indexes.ids.make_room(entities, &mut allow)
                && indexes.blobs.make_room(blobs, &mut allow);
            reservation.resize(indexes.bytes());
            has_room
        };
        if has_room(&self.log.view.load())
            || ((self.buffers.let_go() | self.cache.let_go()) && has_room(&self.log.view.load()))
        {
            return Ok(());
        }
        self.cover_less()?;
        if has_room(&self.log.view.load()) {
            return Ok(());
        }
        Err(self.no_memory("the index of a batch", (entities + blobs) as u64 * ENTRY_BYTES))
    }

    /// Reserves what a batch takes on its way into the log; waits for other batches if it must.
    pub(super) fn reserve_for(&self, batch: &Batch) -> Result<Reservation> {
        let bytes = batch.bytes() as u64 + batch.len() as u64 * OPERATION_BYTES;
        loop {
            if let Some(reservation) = self.budget.reserve(MemoryUse::Writes, bytes) {
                return Ok(reservation);
            }
            if self.let_go()? {
                continue;
            }
            if self.budget.held(MemoryUse::Writes) == 0 {
                return Err(self.no_memory("a batch", bytes));
            }
            self.budget.wait(WAIT);
        }
    }

    /// Lets go of memory that only makes things faster; whether there was any.
    fn let_go(&self) -> Result<bool> {
        if self.buffers.let_go() || self.cache.let_go() {
            return Ok(true);
        }
        let _writer = self.writer.lock();
        self.check_usable()?;
        let view = self.log.view.load();
        let covers_more = view.covered_from + 1 < view.segments.len();
        if covers_more {
            self.cover_less()?;
        }
        Ok(covers_more)
    }

    /// The error that there is no memory left for something.
    pub(super) fn no_memory(&self, what: &str, bytes: u64) -> Error {
        let (held, max) = (self.budget.total(), self.budget.bytes_max());
        let message = format!(
            "{}: {what} needs about {bytes} bytes; {held} of the {max} bytes of memory_bytes_max are held; \
             raise it or use smaller batches",
            self.path.display()
        );
        Error::new(ErrorKind::NoMemory, message)
    }

    /// Lets go of the indexes of all segments but the one that is being written. Only the holder of the
    /// commit lock may do this.
    pub(super) fn cover_less(&self) -> Result<()> {
        self.may_cover_more.store(false, Ordering::Release);
        let view = self.log.view.load();
        let indexes = Indexes::new();
        self.tables.inner.read().active.index(&indexes)?;
        let covered_from = view.segments.len() - 1;
        let next = view.with_indexes(Arc::new(indexes), covered_from);
        self.load_filters(&next);
        self.index_memory.lock().resize(next.indexes.bytes());
        self.log.view.store(Arc::new(next));
        self.cache.adapt(&self.budget, covered_from > 0);
        Ok(())
    }

    /// Brings the filters of segments that are not covered into memory, as far as the budget has it.
    pub(super) fn load_filters(&self, view: &View) {
        let mut reservation = self.filter_memory.lock();
        for (_, sealed) in view.uncovered() {
            let bytes = sealed.sidecar.filter_bytes();
            let held = reservation.bytes();
            if bytes > 0 && !sealed.sidecar.has_filters_loaded() && reservation.try_resize(held + bytes) {
                // One that can't be read is reported by whoever needs it.
                drop(sealed.sidecar.load_filters());
            }
        }
    }

    /// Covers as many of the newest segments as the budget has room for; returns whether anything changed.
    pub(crate) fn cover_more(&self) -> Result<bool> {
        self.check_open()?;
        let may = self.may_cover_more.load(Ordering::Acquire);
        if !may || self.plan_coverage(&self.log.view.load()).is_none() {
            return Ok(false);
        }
        // Segments must not be compacted while their places are copied.
        let Some(_no_compaction) = self.compacting.try_lock() else { return Ok(false) };
        let (view, plan, indexes, mut reservation) = {
            let _writer = self.writer.lock();
            self.check_open()?;
            let view = self.log.view.load_full();
            let Some(plan) = self.plan_coverage(&view) else { return Ok(false) };
            let Some(reservation) = self.budget.reserve(MemoryUse::Index, plan.bytes) else {
                return Ok(false);
            };
            let indexes = Indexes::new();
            let mut inner = self.tables.inner.write();
            inner.active.index(&indexes)?;
            // What changes from here on is done to the new indexes, too, before they are used.
            inner.shadow = Some(Vec::new());
            (view, plan, indexes, reservation)
        };
        let built = self.build_indexes(&view, plan.from, &indexes);
        let _writer = self.writer.lock();
        let changes = self.tables.inner.write().shadow.take();
        let (true, Some(changes)) = (built?, changes) else { return Ok(false) };
        changes.iter().for_each(|change| indexes.repeat(change));
        let current = self.log.view.load();
        reservation.resize(0);
        self.index_memory.lock().resize(indexes.bytes());
        let next = current.with_indexes(Arc::new(indexes), plan.from);
        self.log.view.store(Arc::new(next));
        self.cache.adapt(&self.budget, plan.from > 0);
        Ok(true)
    }

    /// Reads index, filters and columns now instead of when somebody asks for them, as far as there is room.
    pub(super) fn preload(&self) -> Result<()> {
        while self.cover_more()? {}
        let view = self.log.view.load_full();
        self.load_filters(&view);
        for sealed in view.segments.iter().filter_map(|segment| segment.sealed.as_ref()) {
            match sealed.sidecar.preload() {
                // What is damaged is told to whoever asks for it.
                Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// How far back the indexes could reach, if that is further than now.
    pub(super) fn plan_coverage(&self, view: &View) -> Option<Plan> {
        let spare = self.budget.bytes_max() / SPARE_PART;
        let room = (self.budget.left() + self.budget.held(MemoryUse::Filters)).saturating_sub(spare);
        let (mut bytes, mut from) = (view.indexes.bytes() * 2, view.segments.len() - 1);
        for (at, segment) in view.segments.iter().enumerate().rev().skip(1) {
            let Some(sealed) = &segment.sealed else { break };
            let entries: u64 = TableId::ALL.iter().map(|table| sealed.sidecar.entries_of(*table)).sum();
            if bytes + entries * ENTRY_BYTES > room {
                break;
            }
            bytes += entries * ENTRY_BYTES;
            from = at;
        }
        (from < view.covered_from).then_some(Plan { from, bytes })
    }

    /// Fills indexes with what complete segments hold; returns whether the store stayed open.
    fn build_indexes(&self, view: &View, from: usize, indexes: &Indexes) -> Result<bool> {
        let segments = &view.segments[from..];
        let entries = |table: TableId| -> u64 {
            let sealed = segments.iter().filter_map(|segment| segment.sealed.as_ref());
            sealed.map(|sealed| sealed.sidecar.entries_of(table)).sum()
        };
        indexes.entities.reserve(entries(TableId::Entities));
        indexes.blobs.reserve(entries(TableId::Blobs));
        indexes.ids.reserve(entries(TableId::Ids));
        for segment in segments {
            if self.check_open().is_err() {
                return Ok(false);
            }
            if let Some(sealed) = &segment.sealed {
                index_sealed(sealed, |place| Location::at(segment.log.id, place), indexes)?;
            }
        }
        Ok(true)
    }

    /// Counts the memory of rows and lists as it is now.
    pub(super) fn account_columns(&self) {
        let sidecars: u64 = {
            let view = self.log.view.load();
            let sealed = view.segments.iter().filter_map(|segment| segment.sealed.as_ref());
            sealed.map(|sealed| sealed.sidecar.heap_bytes()).sum()
        };
        let inner = self.tables.inner.read();
        // Filters are counted where they are loaded.
        let filters = self.filter_memory.lock().bytes();
        self.column_memory.lock().resize(sidecars.saturating_sub(filters) + inner.active.bytes());
        self.record_memory.lock().resize(inner.record_bytes());
    }
}

/// How far back indexes will reach, and what they will take.
pub(super) struct Plan {
    pub(super) from: usize,
    bytes: u64,
}

/// Puts what a complete segment holds into indexes.
fn index_sealed(sealed: &Sealed, locate: impl Fn(u32) -> Location, indexes: &Indexes) -> Result<()> {
    for (table, index) in [(TableId::Entities, &indexes.entities), (TableId::Blobs, &indexes.blobs)] {
        sealed.sidecar.entries(table, |keys, places| {
            for (key, place) in keys.iter().zip(places) {
                if !sealed.is_removed(*place) {
                    index.insert(*key, locate(*place).0);
                }
            }
        })?;
    }
    let mut failed = Ok(());
    sealed.sidecar.entries(TableId::Ids, |hashes, rows| {
        for (hash, row) in hashes.iter().zip(rows) {
            if is_head(&sealed.sidecar, *row as usize) {
                match row_place(&sealed.sidecar, *row as usize) {
                    Ok(place) => indexes.ids.insert(*hash, locate(place).0),
                    Err(error) => failed = Err(error),
                }
            }
        }
    })?;
    failed
}

impl Active {
    /// Puts what this segment holds into indexes.
    pub(super) fn index(&self, indexes: &Indexes) -> Result<()> {
        for (key, place) in self.live_entities() {
            indexes.entities.insert(key, Location::at(self.id, place).0);
        }
        for (key, place) in self.live_blobs() {
            indexes.blobs.insert(key, Location::at(self.id, place).0);
        }
        for (row, hash) in self.id_hashes().iter().enumerate() {
            if is_head(&self.rows, row) {
                let place = row_place(&self.rows, row)?;
                indexes.ids.insert(*hash, Location::at(self.id, place).0);
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use crate::batch::Batch;
    use crate::engine::disk::DiskEngine;
    use crate::engine::{Durability, Engine};
    use crate::error::ErrorKind;
    use crate::store::Options;
    use crate::testing::crowd;

    /// Puts entities in batches; of those that are refused nothing may be there, and they must be taken the
    /// second time. Returns how many were.
    fn put_all(engine: &DiskEngine, seed: u64) -> u32 {
        let mut refused = 0;
        for entities in crowd(seed, 120).chunks(10) {
            let batch = || {
                let mut batch = Batch::new();
                for entity in entities {
                    batch.put_entity(entity.clone());
                }
                batch
            };
            let revision = engine.stats().revision;
            if let Err(error) = engine.commit(batch(), Durability::Written) {
                assert_eq!(error.kind(), ErrorKind::NoMemory, "{error}");
                refused += 1;
                assert_eq!(engine.stats().revision, revision);
                engine.commit(batch(), Durability::Written).expect("there is memory the second time");
            }
            for entity in entities {
                assert!(engine.entity(&entity.address()).expect("it is sound").is_some());
            }
        }
        refused
    }

    #[test]
    fn a_reservation_that_is_refused_refuses_a_batch_and_nothing_else() {
        let mut refused = 0;
        for count in 0..60_u32 {
            let folder = tempfile::tempdir().expect("a temporary folder can be made");
            let options = Options { segment_bytes: 8192, ..Options::default() };
            let path = folder.path().join("store");
            let engine = DiskEngine::open(&path, &options).expect("it opens");
            engine.budget.refusals().refuse_after(count.into(), 0);
            refused += put_all(&engine, u64::from(count));
            drop(engine);
            let engine = DiskEngine::open(&path, &options).expect("it opens");
            assert_eq!(engine.stats().entities, 120);
            engine.budget.refusals().refuse_after(u64::from(count % 5), 0);
            drop(engine.cover_more());
            let report = engine.check(&mut |_, _| {}).expect("it can be checked");
            assert_eq!(report.damage, Vec::<String>::new());
        }
        assert!(refused > 0, "no batch was refused: the test itself is at fault");
    }
}
