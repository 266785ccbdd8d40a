//! Opening a log: reads every segment, several at a time, and tells a torn tail from damage.
//!
//! A crash leaves at most one kind of trace: bytes behind the last place that is known to be synced that
//! are not a whole batch. Those were never acknowledged as synced and are cut off. Anything wrong before
//! that place was acknowledged once: it is reported, and everything around it is served.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use super::format::{Kind, Location, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::log::{Log, Segment};
use super::scan::{Change, Damage, Depth, Placed, ScannedBatch, ScannedSegment, Seems, Window, scan};
use super::storage::Storage;
use super::tables::{AppliedBatch, RecordPlace, Tables};
use super::writer::SEGMENT_ROOM_BYTES;
use crate::error::{Error, ErrorKind, Result};

/// A log that was read.
pub(super) struct Recovered {
    pub(super) log: Log,
    pub(super) tables: Tables,
    pub(super) last: Arc<Segment>,
    pub(super) end: u64,
    pub(super) revision: u64,
    pub(super) chain: [u8; 32],
    /// Where the log was closed in order, if nothing follows.
    pub(super) closed_at: Option<Location>,
    pub(super) damage: Vec<String>,
    /// Whether something is damaged whose key is not known.
    pub(super) is_lossy: bool,
}

/// The numbers of the segments in a store, in order.
pub(super) fn segment_numbers(storage: &dyn Storage) -> Result<Vec<u32>> {
    let names = storage.list("log").map_err(|error| Error::io("listing the folder log failed", error))?;
    let number = |name: &String| name.strip_suffix(".seg").filter(|stem| stem.len() == 8)?.parse().ok();
    let mut numbers: Vec<u32> = names.iter().filter_map(number).filter(|number| *number > 0).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads a segment from its file, not through its mapping, so that its pages need not stay in memory.
fn scan_file(segment: &Segment, bytes: u64, depth: Depth, buffer: &mut Vec<u8>) -> Result<ScannedSegment> {
    let failed = |error| Error::io(format!("reading {} failed", Segment::name(segment.number)), error);
    scan(segment.number, &mut Window::new(&*segment.file, bytes, buffer), depth).map_err(failed)
}

/// Scans segments in parallel and hands the results over in order. At most one a thread waits.
pub(super) fn scan_in_order(
    segments: &[(Arc<Segment>, u64)],
    depth: Depth,
    mut take: impl FnMut(ScannedSegment) -> Result<()>,
) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(segments.len());
    let (senders, receivers): (Vec<_>, Vec<_>) = segments.iter().map(|_| mpsc::sync_channel(0)).unzip();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((segment, bytes)) = segments.get(at) else { break };
                    // A receiver that is gone has stopped at an error.
                    if senders[at].send(scan_file(segment, *bytes, depth, &mut buffer)).is_err() {
                        break;
                    }
                }
            });
        }
        // Moved in, so that an early return lets the threads end.
        for receiver in receivers {
            let scanned =
                receiver.recv().map_err(|_| Error::new(ErrorKind::Io, "a thread that read the log died"))?;
            take(scanned?)?;
        }
        Ok(())
    })
}

/// Reads the log of a store.
pub(super) fn recover(storage: &dyn Storage, store_id: [u8; 16], segment_bytes: u64) -> Result<Recovered> {
    let numbers = drop_unborn_segment(storage, segment_numbers(storage)?)?;
    let mut segments = Vec::new();
    for number in numbers {
        segments.push(open_segment(storage, number, segment_bytes)?);
    }
    if segments.is_empty() {
        let message = "the log is gone: the folder log holds no segment; put the files back";
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    let log = Log::new();
    segments.iter().for_each(|(segment, _)| log.push(Arc::clone(segment)));
    let mut recovery = Recovery {
        log,
        tables: Tables::new(),
        store_id,
        revision: 0,
        chain: [0; 32],
        next_number: 1,
        closed_at: None,
        continued: false,
        foreign: false,
        damage: kept_batches(storage),
        is_lossy: false,
    };
    let last = segments.len() - 1;
    let mut end = SEGMENT_HEADER_BYTES as u64;
    let mut at = 0;
    let log_bytes: u64 = segments.iter().map(|(_, bytes)| bytes).sum();
    scan_in_order(&segments, Depth::Checksums, |scanned| {
        if at == 0 {
            recovery.reserve(&scanned, log_bytes);
        }
        let is_last = at == last;
        at += 1;
        end = recovery.segment(storage, scanned, is_last)?;
        Ok(())
    })?;
    let (last, bytes) = segments.swap_remove(last);
    if end < bytes {
        last.set_written(end);
        let cut = last.file.set_len(end).and_then(|()| last.file.sync());
        cut.map_err(|error| {
            Error::io(format!("cutting the torn tail of {} failed", Segment::name(last.number)), error)
        })?;
    }
    let Recovery {
        log, tables, revision, chain, closed_at, continued, foreign, mut damage, is_lossy, ..
    } = recovery;
    let missing = last.number + 1;
    if continued {
        damage.push(format!("segment {missing} is missing"));
    }
    let (last, end) = if continued || foreign {
        // The number of a missing one stays free, so that every later opening reports it too.
        let number = missing + u32::from(continued);
        let header = SegmentHeader { number, store_id, first_revision: revision + 1, chain };
        let segment = Arc::new(super::create_segment(storage, &header, segment_bytes)?);
        log.push(Arc::clone(&segment));
        (segment, SEGMENT_HEADER_BYTES as u64)
    } else {
        (last, end)
    };
    let is_lossy = is_lossy || continued;
    Ok(Recovered { log, tables, last, end, revision, chain, closed_at, damage, is_lossy })
}

/// A crash while a segment was made leaves a last file without a whole header, and so without a batch.
fn drop_unborn_segment(storage: &dyn Storage, mut numbers: Vec<u32>) -> Result<Vec<u32>> {
    // The first segment is older than the store itself, so it was whole once.
    let [_, .., last] = *numbers else { return Ok(numbers) };
    let name = Segment::name(last);
    let failed = |error| Error::io(format!("opening {name} failed"), error);
    let bytes = storage.open(&name, false).and_then(|file| file.len()).map_err(failed)?;
    if bytes <= SEGMENT_HEADER_BYTES as u64 {
        let content = storage.read(&name).map_err(failed)?;
        if SegmentHeader::decode(&content).is_err() {
            storage
                .remove(&name)
                .map_err(|error| Error::io(format!("removing the unfinished {name} failed"), error))?;
            numbers.pop();
        }
    }
    Ok(numbers)
}

fn open_segment(storage: &dyn Storage, number: u32, segment_bytes: u64) -> Result<(Arc<Segment>, u64)> {
    let name = Segment::name(number);
    let failed = |error| Error::io(format!("opening {name} failed"), error);
    let file = storage.open(&name, false).map_err(failed)?;
    let bytes = file.len().map_err(failed)?;
    let room = (segment_bytes + SEGMENT_ROOM_BYTES).max(bytes);
    let map = file.map(room as usize).map_err(failed)?;
    Ok((Arc::new(Segment::new(number, file, map, bytes)), bytes))
}

struct Recovery {
    log: Log,
    tables: Tables,
    store_id: [u8; 16],
    revision: u64,
    chain: [u8; 32],
    next_number: u32,
    closed_at: Option<Location>,
    /// Whether the last frame says that another segment follows.
    continued: bool,
    /// Whether the last segment is none of this store's, so that nothing may be written behind it.
    foreign: bool,
    damage: Vec<String>,
    is_lossy: bool,
}

impl Recovery {
    /// Makes room for what the whole log holds, judged by its first segment: growing is half the cost of
    /// filling an index.
    fn reserve(&self, first: &ScannedSegment, log_bytes: u64) {
        let (mut entities, mut blobs) = (0, 0);
        for placed in first.batches.iter().flat_map(|batch| &batch.changes) {
            match placed.change {
                Change::Entity { .. } => entities += 1,
                Change::Blob(_) => blobs += 1,
                _ => {}
            }
        }
        let scaled =
            |count: u64| (u128::from(count) * u128::from(log_bytes) / u128::from(first.bytes.max(1))) as u64;
        self.tables.entities.reserve(scaled(entities));
        self.tables.blobs.reserve(scaled(blobs));
        self.tables.inner.write().catalogue.reserve(scaled(entities));
    }

    /// Takes over a segment, and returns where it ends.
    fn segment(&mut self, storage: &dyn Storage, scanned: ScannedSegment, is_last: bool) -> Result<u64> {
        let ScannedSegment { number, header, bytes, batches, damage, neighbours, uncommitted, end } = scanned;
        self.is_lossy |= self.next_number < number || header.is_err();
        for missing in self.next_number..number {
            self.damage.push(format!("segment {missing} is missing"));
        }
        self.next_number = number + 1;
        (self.continued, self.foreign) = (false, false);
        match header {
            Err(reason) => self.damage.push(format!("segment {number} offset 0: {reason}")),
            Ok(header) if header.number != number || header.store_id != self.store_id => {
                self.damage.push(format!(
                    "segment {number}: the file belongs to another place or store; it was left out"
                ));
                (self.foreign, self.is_lossy) = (true, true);
                return Ok(if is_last { bytes } else { end });
            }
            Ok(_) => {}
        }
        // What a later frame says was synced before it, was.
        let synced = batches.iter().map(|batch| batch.commit.synced).max();
        let synced = if is_last { synced } else { Some(Location(u64::MAX)) };
        let is_synced = |place: Location| synced.is_some_and(|synced| place < synced);
        let is_cut = |batch: &ScannedBatch| batch.is_torn && !is_synced(batch.start);
        let whole = batches.iter().position(is_cut).unwrap_or(batches.len());
        let valid_end = whole.checked_sub(1).map_or(SEGMENT_HEADER_BYTES as u64, |last| batches[last].end);
        for place in damage.iter().filter(|place| is_synced(place.start) || place.start.offset() < valid_end)
        {
            self.report(place);
        }
        for batch in batches.into_iter().take(whole) {
            self.batch(number, batch, &neighbours)?;
        }
        let lost_commit = !is_last && !uncommitted.is_empty();
        if lost_commit {
            let first = uncommitted.first().map_or(Location::new(number, end), |placed| placed.location);
            self.damage.push(format!("{first}: the commit frame of the last batch is missing"));
            self.apply(self.revision + 1, &uncommitted, &neighbours)?;
        }
        if !is_last {
            if bytes > end && !lost_commit {
                let place = Location::new(number, end);
                self.damage.push(format!("{place}: {} bytes behind the last batch are damaged", bytes - end));
            }
            return Ok(end);
        }
        self.keep_cut_batches(storage, number, valid_end..end)?;
        Ok(valid_end)
    }

    fn batch(&mut self, number: u32, batch: ScannedBatch, neighbours: &[u64]) -> Result<()> {
        let ScannedBatch { commit, start, end, kind, mut changes, is_damaged, .. } = batch;
        self.closed_at = (kind == Kind::Close).then(|| Location::new(number, end));
        self.continued = kind == Kind::Continued;
        let frames_start = Location::new(
            number,
            (end - super::format::COMMIT_FRAME_BYTES as u64).saturating_sub(commit.batch_bytes.into()),
        );
        if is_damaged {
            self.damage.push(format!("{start}: the batch of revision {} is damaged", commit.revision));
            // Frames before the batch's own belong to one whose commit frame is damaged.
            let own = changes.partition_point(|placed| placed.location < frames_start);
            let rest = changes.split_off(own);
            let earlier = std::mem::replace(&mut changes, rest);
            if !earlier.is_empty() {
                self.apply(commit.revision.saturating_sub(1), &earlier, neighbours)?;
            }
        }
        self.apply(commit.revision, &changes, neighbours)?;
        self.revision = self.revision.max(commit.revision);
        self.chain = commit.chain;
        Ok(())
    }

    fn apply(&mut self, revision: u64, changes: &[Placed], neighbours: &[u64]) -> Result<()> {
        self.revision = self.revision.max(revision);
        self.tables.apply(&self.log, &AppliedBatch { revision, changes, neighbours }, || ())
    }

    fn report(&mut self, place: &Damage) {
        self.damage.push(describe(place));
        let mut inner = self.tables.inner.write();
        match &place.seems {
            Some(Seems::Entity(key) | Seems::Blob(key)) => {
                inner.damaged.insert(*key, place.start);
            }
            // What it was before is out of date; reading it says that it is damaged.
            Some(Seems::Record(key)) => {
                inner.records.insert(key.clone(), RecordPlace { location: place.start, revision: 0 });
            }
            None => self.is_lossy = true,
        }
    }

    /// Whole batches behind the first broken one are cut off with it, but not thrown away.
    fn keep_cut_batches(&mut self, storage: &dyn Storage, number: u32, cut: Range<u64>) -> Result<()> {
        if cut.is_empty() {
            return Ok(());
        }
        let failed = |error| Error::io("keeping the cut tail of the log failed", error);
        let file = storage.open(&Segment::name(number), false).map_err(failed)?;
        let mut bytes = vec![0; (cut.end - cut.start) as usize];
        file.read_at(cut.start, &mut bytes).map_err(failed)?;
        storage.create_folder(CUT_FOLDER).map_err(failed)?;
        let name = format!("{number:08}-{}.frames", cut.start);
        storage.write(&format!("{CUT_FOLDER}/{name}"), &bytes).map_err(failed)?;
        // They must be safe before the log is cut.
        storage.sync_folder(CUT_FOLDER).and_then(|()| storage.sync_folder(".")).map_err(failed)?;
        self.damage.push(kept_batch(&name));
        Ok(())
    }
}

/// Where whole batches are kept that stood behind a broken one.
const CUT_FOLDER: &str = "cut";

fn kept_batch(name: &str) -> String {
    format!("{CUT_FOLDER}/{name}: batches behind one that was not whole were cut off and are kept here")
}

/// A line for each piece that was cut off, now or when the store was opened before.
pub(super) fn kept_batches(storage: &dyn Storage) -> Vec<String> {
    let mut names = storage.list(CUT_FOLDER).unwrap_or_default();
    names.sort_unstable();
    names.iter().map(|name| kept_batch(name)).collect()
}

/// A damaged place in words.
pub(super) fn describe(place: &Damage) -> String {
    let Damage { start, bytes, reason, seems } = place;
    let what = match seems {
        Some(Seems::Entity(key)) => format!(", it seems to be about entity {}", statlas_core::Address(*key)),
        Some(Seems::Blob(key)) => format!(", it seems to be about blob {}", statlas_core::BlobId(*key)),
        Some(Seems::Record(key)) => {
            format!(", it seems to be about record {:?} in collection {:?}", key.key(), key.collection())
        }
        None => String::new(),
    };
    format!("{start}: {bytes} bytes are damaged: {reason}{what}")
}
