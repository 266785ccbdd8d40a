//! Opens a store: takes its lock, reads its log, and accounts for the memory that it holds.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;

use super::buffers::Buffers;
use super::cache::EntityCache;
use super::creation::{prepare_directory, read_or_create_header};
use super::format::{COMMIT_FRAME_BYTES, Location};
use super::free::Freeing;
use super::queue::Queue;
use super::recovery::{Recovered, recover};
use super::scrub::Scrubber;
use super::storage::{Directory, ProcessLock, Storage};
use super::upkeep::Upkeep;
use super::writer::Writer;
use super::{DiskEngine, LOCK_NAME, SEGMENT_BYTES_MAX};
use crate::budget::{Budget, MemoryUse};
use crate::engine::waiting::Waiting;
use crate::error::{Error, ErrorKind, Result};
use crate::owner::Owner;
use crate::store::Options;

/// A segment has room for its header and a batch of some size.
const SEGMENT_BYTES_MIN: u64 = 1 << 10;

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
        let budget = Budget::new(Budget::bytes_for(options.memory_bytes_max)?);
        Self::with_budget(storage, path, lock, options, budget)
    }

    /// As [`DiskEngine::on`], within a budget.
    pub(crate) fn with_budget(
        storage: Box<dyn Storage>,
        path: &Path,
        lock: Option<ProcessLock>,
        options: &Options,
        budget: Arc<Budget>,
    ) -> Result<Self> {
        let place = path.display().to_string();
        let segment_bytes = options.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let store_id = read_or_create_header(&*storage, &place, segment_bytes)?;
        let recovered = recover(&*storage, store_id, segment_bytes, &budget)?;
        let Recovered { log, tables, last, end, revision, chain, closed_at, mut damage, is_lossy, kept } =
            recovered;
        let is_damaged = !damage.is_empty();
        damage.extend(kept);
        let published = Location::new(last.id, end);
        // Of the frame that closed it nobody knows whether it is safe.
        let mark = COMMIT_FRAME_BYTES as u64;
        let closed_at = closed_at.filter(|place| place.segment() == last.id);
        let synced = closed_at.map_or(last.data_start, |place| place.offset() - mark);
        let synced = Location::new(last.id, synced);
        let encoder = ArcSwapOption::new(log.texts.encoder_of(&last, options.compression)?);
        let writer = Writer { segment: last, end, revision, chain, synced };
        let held = |user| Mutex::new(budget.hold(user, 0));
        let engine = Self {
            path: path.to_owned(),
            storage,
            store_id,
            segment_bytes,
            log,
            tables,
            index_memory: held(MemoryUse::Index),
            filter_memory: held(MemoryUse::Filters),
            column_memory: held(MemoryUse::Columns),
            active_memory: held(MemoryUse::Columns),
            record_memory: held(MemoryUse::Records),
            cache: EntityCache::new(&budget, options.cache_bytes_max),
            buffers: Buffers::new(&budget, options.buffer_pool_bytes_max),
            budget,
            compresses: options.compression,
            encoder,
            published: AtomicU64::new(published.0),
            revision: AtomicU64::new(revision),
            waiting: Waiting::default(),
            queue: Queue::default(),
            writer: Mutex::new(writer),
            poisoned: Mutex::default(),
            closed: AtomicBool::new(false),
            closed_at: Mutex::new(closed_at),
            syncs: AtomicU64::new(0),
            damage,
            is_damaged,
            is_lossy,
            may_cover_more: AtomicBool::new(true),
            compacting: Mutex::new(()),
            compacted_last: AtomicU32::new(0),
            history_revisions: options.history_revisions,
            scrubber: Scrubber::default(),
            upkeep: Upkeep::default(),
            pins: Arc::default(),
            freeing: Freeing::default(),
            scrub_bytes_per_second: options.scrub_bytes_per_second,
            lock: Mutex::new(lock),
            owner: Owner::this_process(),
        };
        engine.account_columns();
        let view = engine.log.view.load();
        engine.index_memory.lock().resize(view.indexes.bytes());
        let is_scarce = view.covered_from > 0 && engine.plan_coverage(&view).is_none_or(|plan| plan.from > 0);
        if is_scarce {
            engine.load_filters(&view);
        }
        engine.cache.adapt(&engine.budget, is_scarce);
        drop(view);
        if options.preload {
            engine.preload()?;
        }
        Ok(engine)
    }
}
