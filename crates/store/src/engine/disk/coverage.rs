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
use crate::budget::{MEMORY_BYTES_MIN, MemoryUse, Reservation};
use crate::error::{Error, ErrorKind, Result};

/// The segment that is written is sealed early when it holds this part of the budget.
const ACTIVE_PART: u64 = 4;
/// What an operation takes on its way into the log beside its bytes: a frame's header and key, its row before
/// it has a place, and the judgement.
const OPERATION_BYTES: u64 = 320;
/// When nothing else is left to be let go of, it is sealed if it holds this part.
const ACTIVE_PART_LAST: u64 = 64;
/// What an entity takes in the columns and lists of the segment that is being written, before a block of rows is
/// packed; a blob; and a record or a removal beside its name.
const ROW_BYTES: u64 = 248;
const BLOB_BYTES: u64 = 24;
const NOTE_BYTES: u64 = 96;
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

    /// Changes the budget, and lets go of what is beyond a smaller one.
    pub(super) fn change_memory_bytes_max(&self, bytes: u64) -> Result<()> {
        self.budget.set_bytes_max(bytes);
        // What a poisoned store holds of its last segment it keeps.
        if self.check_usable().is_ok() {
            self.seal_if_large()?;
        }
        let _writer = self.writer.lock();
        if self.budget.total() > self.budget.bytes_max() || bytes < MEMORY_BYTES_MIN {
            self.cover_less()?;
        } else {
            self.may_cover_more.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Whether there is memory for what indexes and columns will hold of a batch, which is taken for it then, behind
    /// those that were judged and are not visible yet. Only the holder of the commit lock may do this.
    pub(super) fn has_room(&self, growth: &Growth, judged: &Growth) -> bool {
        self.has_room_now(growth, judged)
            || ((self.buffers.let_go() | self.cache.let_go()) && self.has_room_now(growth, judged))
    }

    fn has_room_now(&self, growth: &Growth, judged: &Growth) -> bool {
        let active = self.tables.inner.read().active.bytes() + judged.active_bytes;
        if !self.active_memory.lock().try_resize(active + growth.active_bytes) {
            return false;
        }
        let mut reservation = self.index_memory.lock();
        let held = reservation.bytes();
        self.log.renew_indexes(|bytes| reservation.try_resize(held + bytes));
        let indexes = &self.log.view.load().indexes;
        let mut allow = |bytes: u64| reservation.try_resize(indexes.bytes() + bytes);
        let (entities, blobs) = (growth.entities + judged.entities, growth.blobs + judged.blobs);
        let has_room = indexes.entities.make_room(entities, &mut allow)
            && indexes.ids.make_room(entities, &mut allow)
            && indexes.blobs.make_room(blobs, &mut allow);
        reservation.resize(indexes.bytes());
        has_room
    }

    /// Reserves what a batch takes on its way into the log; waits for other batches if it must.
    pub(super) fn reserve_for(&self, batch: &Batch) -> Result<Reservation> {
        let lists = batch.lists().bytes();
        let bytes = batch.bytes() as u64 + lists + batch.len() as u64 * OPERATION_BYTES;
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

    /// Lets go of memory that only makes things faster, and at last of what is held of the segment that is being
    /// written; whether there was any.
    fn let_go(&self) -> Result<bool> {
        if self.buffers.let_go() || self.cache.let_go() {
            return Ok(true);
        }
        let mut writer = self.writer.lock();
        self.check_usable()?;
        let covers_more = {
            let view = self.log.view.load();
            view.covered_from + 1 < view.segments.len()
        };
        if covers_more {
            self.cover_less()?;
            return Ok(true);
        }
        let held = self.tables.inner.read().active.bytes();
        let is_worthwhile = held > self.budget.bytes_max() / ACTIVE_PART_LAST;
        if is_worthwhile {
            self.roll(&mut writer)?;
            self.cover_less()?;
        }
        Ok(is_worthwhile)
    }

    /// Seals the segment that is being written if too much memory is held of it; whether it did.
    pub(super) fn seal_if_large(&self) -> Result<bool> {
        if !self.is_active_large() {
            return Ok(false);
        }
        let mut writer = self.writer.lock();
        self.check_usable()?;
        let is_large = self.is_active_large();
        if is_large {
            self.roll(&mut writer)?;
        }
        Ok(is_large)
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
        // Where most of the memory is free, a single large batch wanted it, and the next may not.
        let is_scarce = self.budget.total() > self.budget.bytes_max() / 2;
        self.may_cover_more.store(!is_scarce, Ordering::Release);
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
        changes.iter().try_for_each(|change| indexes.repeat(change))?;
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
            let entries: u64 = TableId::INDEXED.iter().map(|table| sealed.sidecar.entries_of(*table)).sum();
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
        self.column_memory.lock().resize(sidecars.saturating_sub(filters));
        let records = inner.active.record_bytes();
        self.active_memory.lock().resize(inner.active.bytes() - records);
        self.record_memory.lock().resize(records);
    }
}

/// What will be held in memory of batches, at most.
#[derive(Default, Clone, Copy)]
pub(super) struct Growth {
    entities: usize,
    blobs: usize,
    /// In the columns and lists of the segment that is being written.
    active_bytes: u64,
}

impl std::ops::Add for Growth {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            entities: self.entities + other.entities,
            blobs: self.blobs + other.blobs,
            active_bytes: self.active_bytes + other.active_bytes,
        }
    }
}

impl Growth {
    pub(super) fn of(batch: &Batch) -> Self {
        let mut growth = Self { active_bytes: batch.lists().bytes(), ..Self::default() };
        for operation in batch.operations() {
            growth.active_bytes += match operation {
                Operation::PutEntity(_) => {
                    growth.entities += 1;
                    ROW_BYTES
                }
                Operation::PutBlob { .. } => {
                    growth.blobs += 1;
                    BLOB_BYTES
                }
                Operation::RemoveEntity(_) | Operation::RemoveBlob(_) => NOTE_BYTES,
                Operation::PutRecord { key, .. } | Operation::RemoveRecord { key, .. } => {
                    NOTE_BYTES + (key.collection().len() + key.key().len()) as u64
                }
            };
        }
        growth
    }

    pub(super) fn bytes(&self) -> u64 {
        self.active_bytes + (self.entities * 2 + self.blobs) as u64 * ENTRY_BYTES
    }
}

/// How far back indexes will reach, and what they will take.
pub(super) struct Plan {
    pub(super) from: usize,
    bytes: u64,
}

/// Puts what a complete segment holds into indexes.
fn index_sealed(sealed: &Sealed, locate: impl Fn(u32) -> Location, indexes: &Indexes) -> Result<()> {
    let mut done = Ok(());
    for (table, index) in [(TableId::Entities, &indexes.entities), (TableId::Blobs, &indexes.blobs)] {
        sealed.sidecar.entries(table, |keys, places| {
            let mut entries = keys.iter().zip(places).filter(|(_, place)| !sealed.is_removed(**place));
            if done.is_ok() {
                done = entries.try_for_each(|(key, place)| index.insert(*key, locate(*place).0));
            }
        })?;
    }
    sealed.sidecar.entries(TableId::Ids, |hashes, rows| {
        let mut heads = hashes.iter().zip(rows).filter(|(_, row)| is_head(&sealed.sidecar, **row as usize));
        if done.is_ok() {
            done = heads.try_for_each(|(hash, row)| {
                let place = row_place(&sealed.sidecar, *row as usize)?;
                indexes.ids.insert(*hash, locate(place).0)
            });
        }
    })?;
    done
}

impl Active {
    /// Puts what this segment holds into indexes.
    pub(super) fn index(&self, indexes: &Indexes) -> Result<()> {
        for (key, place) in self.live_entities() {
            indexes.entities.insert(key, Location::at(self.id, place).0)?;
        }
        for (key, place) in self.live_blobs() {
            indexes.blobs.insert(key, Location::at(self.id, place).0)?;
        }
        for (row, hash) in self.id_hashes().iter().enumerate() {
            if is_head(&self.rows, row) {
                let place = row_place(&self.rows, row)?;
                indexes.ids.insert(*hash, Location::at(self.id, place).0)?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::path::Path;

    use statlas_core::Entity;

    use crate::batch::Batch;
    use crate::budget::MEMORY_BYTES_MIN;
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

    /// An entity of which much is in memory, and its text: it has many neighbours.
    fn much_in_memory(number: usize) -> Entity {
        let neighbours: Vec<String> = (0..60_000).map(|at| format!("\"{number}-{at}\"")).collect();
        let text = format!(
            r#"{{"profile": "stat7", "id": "hub-{number}", "entity_type": "concept", "realm": "data",
            "coordinates": {{"realm": "data", "lineage": 1, "adjacency": [{}], "horizon": "genesis",
            "resonance": 0.5, "velocity": 0.25, "density": 0.75}},
            "created_at": "2025-01-01T00:00:00.000Z", "state": {{}}}}"#,
            neighbours.join(",")
        );
        Entity::from_json(text.as_bytes()).expect("it is an entity")
    }

    fn put(engine: &DiskEngine, entity: Entity) {
        let mut batch = Batch::new();
        batch.put_entity(entity);
        engine.commit(batch, Durability::Written).expect("it is taken");
    }

    /// A store in which twice the smallest budget is held of the last segment, after a crash if asked for.
    fn crammed(path: &Path, crash: bool) -> DiskEngine {
        let options = Options { memory_bytes_max: Some(1 << 30), maintenance: false, ..Options::default() };
        let engine = DiskEngine::open(path, &options).expect("it opens");
        (0..70).for_each(|number| put(&engine, much_in_memory(number)));
        assert!(engine.tables.inner.read().active.bytes() > 2 * MEMORY_BYTES_MIN);
        if crash {
            let copy = path.with_extension("copy");
            let log = copy.join("log");
            std::fs::create_dir_all(&log).expect("it can be made");
            std::fs::copy(path.join("STATLAS"), copy.join("STATLAS")).expect("it can be copied");
            for file in std::fs::read_dir(path.join("log")).expect("it is there") {
                let file = file.expect("it is there");
                std::fs::copy(file.path(), log.join(file.file_name())).expect("it can be copied");
            }
            return DiskEngine::open(&copy, &small()).expect("it opens in a smaller budget");
        }
        engine
    }

    fn small() -> Options {
        Options { memory_bytes_max: Some(MEMORY_BYTES_MIN), maintenance: false, ..Options::default() }
    }

    fn is_within_budget(engine: &DiskEngine) -> bool {
        let stats = engine.stats();
        stats.memory.iter().map(|held| held.bytes).sum::<u64>() <= stats.memory_bytes_max
    }

    #[test]
    fn a_budget_that_is_smaller_than_before_is_kept_and_writes_go_on() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("store");
        let engine = crammed(&path, false);
        engine.set_memory_bytes_max(MEMORY_BYTES_MIN).expect("it can be changed");
        assert!(is_within_budget(&engine));
        put(&engine, much_in_memory(70));
        engine.close().expect("it closes");
        let engine = DiskEngine::open(&path, &small()).expect("it opens");
        assert!(is_within_budget(&engine));
        put(&engine, much_in_memory(71));
        assert_eq!(engine.stats().entities, 72);
    }

    #[test]
    fn what_is_sealed_when_a_store_is_closed_takes_little_when_it_is_opened() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("store");
        crammed(&path, false).close().expect("it closes");
        let engine = DiskEngine::open(&path, &small()).expect("it opens");
        assert!(is_within_budget(&engine));
        assert_eq!(engine.stats().entities, 70);
    }

    #[test]
    fn after_a_crash_a_store_can_be_written_to_in_a_smaller_budget() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let engine = crammed(&folder.path().join("store"), true);
        put(&engine, much_in_memory(70));
        assert!(is_within_budget(&engine));
        assert_eq!(engine.stats().entities, 71);
    }
}
