//! Opening a log: takes over what sidecars know, reads the segments that have none, and tells a torn tail
//! from damage.
//!
//! A crash leaves at most one kind of trace: bytes behind the last place that is known to be synced that
//! are not a whole batch. Those were never acknowledged as synced and are cut off. Anything wrong before
//! that place was acknowledged once: it is reported, and everything around it is served.

use std::sync::Arc;

use statlas_core::{Address, BlobId};

use super::active::Active;
use super::damaged::{Damaged, describe};
use super::derive::{derive_removed, derive_removed_blobs, derive_superseded};
use super::files::{FoundFile, end_missing, find_files, missing_segments};
use super::format::{Kind, Location, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentId};
use super::indexes::Indexes;
use super::kept_batches::{keep_batches, kept_batches};
use super::log::{Log, LogFile};
use super::lookup::place_of;
use super::records::count_records;
use super::scan::{Change, Damage, Depth, Placed, ScannedBatch, ScannedSegment, Seems, scan_in_order};
use super::seal::{keep_sidecar, keep_sidecar_for_now, open_sidecar, remove_sidecar};
use super::sidecar::{Identity, Sidecar, TableId};
use super::storage::Storage;
use super::suspects::Suspects;
use super::tables::{AppliedBatch, Tables};
use super::takeover::Takeover;
use super::texts::Texts;
use super::view::{Sealed, Segment, View};
use crate::budget::Budget;
use crate::columns::RowLists;
use crate::error::{Error, ErrorKind, Result};

/// A log that was read.
pub(super) struct Recovered {
    pub(super) log: Log,
    pub(super) tables: Tables,
    pub(super) last: Arc<LogFile>,
    pub(super) end: u64,
    pub(super) revision: u64,
    pub(super) chain: [u8; 32],
    /// Where the log was closed in order, if nothing follows.
    pub(super) closed_at: Option<Location>,
    /// What is wrong with the log.
    pub(super) damage: Vec<String>,
    /// Whether something is damaged whose key is not known.
    pub(super) is_lossy: bool,
    /// A line for each piece that was cut off and is kept.
    pub(super) kept: Vec<String>,
}

/// A segment on its way into the store.
struct Source {
    found: FoundFile,
    /// What its sidecar knows; without one it is read.
    sidecar: Option<Sidecar>,
    /// The last revision that may stand in it, if a file behind it tells that.
    last_revision: Option<u64>,
}

/// Reads the log of a store.
pub(super) fn recover(
    storage: &dyn Storage,
    store_id: [u8; 16],
    segment_bytes: u64,
    budget: &Arc<Budget>,
) -> Result<Recovered> {
    match recover_with(storage, store_id, segment_bytes, budget, true) {
        // Nothing is lost with a damaged sidecar: all that it knows stands in the segments too.
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            recover_with(storage, store_id, segment_bytes, budget, false)
        }
        recovered => recovered,
    }
}

/// Reads the log of a store, from sidecars where it has them and they are to be used.
fn recover_with(
    storage: &dyn Storage,
    store_id: [u8; 16],
    segment_bytes: u64,
    budget: &Arc<Budget>,
    use_sidecars: bool,
) -> Result<Recovered> {
    let found = find_files(storage, store_id, segment_bytes)?;
    let Some(last) = found.len().checked_sub(1) else {
        let message = "the log is gone: the folder log holds no segment; put the files back";
        return Err(Error::new(ErrorKind::Corrupt, message));
    };
    let with_sidecar = |(at, found): (usize, FoundFile)| {
        let identity = Identity { store_id, segment: found.log.id.0, log_bytes: found.log.written() };
        let complete = use_sidecars && at < last && found.header.is_ok() && !found.is_foreign;
        let sidecar = if complete { open_sidecar(storage, &identity).ok() } else { None };
        Source { found, sidecar, last_revision: None }
    };
    let mut sources: Vec<Source> = found.into_iter().enumerate().map(with_sidecar).collect();
    let mut last_revision = None;
    for source in sources.iter_mut().rev() {
        source.last_revision = last_revision;
        let header = source.found.header.ok().filter(|_| !source.found.is_foreign);
        last_revision = header.map(|header| header.first_revision.saturating_sub(1)).or(last_revision);
    }
    let to_scan: Vec<_> = sources
        .iter()
        .filter(|source| source.sidecar.is_none())
        .map(|source| (Arc::clone(&source.found.log), source.found.log.written()))
        .collect();
    let mut recovery = Recovery::new(storage, store_id, Texts::new(budget))?;
    recovery.is_compacted = sources.iter().any(|source| source.found.log.id.is_compacted());
    let mut sources = sources.into_iter();
    scan_in_order(&to_scan, Depth::Rows, |scanned| {
        for source in sources.by_ref() {
            let Source { found, sidecar, last_revision } = source;
            match sidecar {
                Some(sidecar) => recovery.take_over(found, sidecar)?,
                None => return recovery.read(found, scanned, last_revision),
            }
        }
        Ok(())
    })?;
    recovery.finish(segment_bytes)
}

/// What was recovered so far.
struct Recovery<'a> {
    storage: &'a dyn Storage,
    store_id: [u8; 16],
    /// Complete segments.
    segments: Vec<Segment>,
    log: Log,
    tables: Tables,
    revision: u64,
    chain: [u8; 32],
    next_number: u32,
    closed_at: Option<Location>,
    /// Whether the last frame says that another segment follows.
    continued: bool,
    /// The last segment and where it ends, unless nothing may be written behind it.
    last: Option<(Arc<LogFile>, u64)>,
    damage: Vec<String>,
    is_lossy: bool,
    kept: Vec<String>,
    /// Segments without a sidecar of which later ones don't say what became of them.
    underived: Vec<SegmentId>,
    /// Whether there are compacted files: they know what happened later, wherever they stand.
    is_compacted: bool,
    /// Whether a complete segment had no sidecar.
    has_read_complete: bool,
    /// Damaged segments: they have other rows than when later segments noted what they did to them.
    shifted: Vec<SegmentId>,
}

impl<'a> Recovery<'a> {
    fn new(storage: &'a dyn Storage, store_id: [u8; 16], texts: Texts) -> Result<Self> {
        let kept = kept_batches(storage)?;
        Ok(Self {
            storage,
            store_id,
            segments: Vec::new(),
            log: Log::new(View::empty(), texts),
            tables: Tables::new(SegmentId::written(0), 0),
            revision: 0,
            chain: [0; 32],
            next_number: 1,
            closed_at: None,
            continued: false,
            last: None,
            damage: Vec::new(),
            is_lossy: false,
            kept,
            underived: Vec::new(),
            is_compacted: false,
            has_read_complete: false,
            shifted: Vec::new(),
        })
    }

    /// Notes which files are missing before one.
    fn number(&mut self, log: &LogFile) {
        let missing = missing_segments(self.next_number..log.first);
        self.is_lossy |= missing.is_some();
        self.damage.extend(missing);
        self.next_number = log.last + 1;
        self.continued = false;
        self.closed_at = None;
    }

    /// Takes over a complete segment from its sidecar.
    fn take_over(&mut self, found: FoundFile, sidecar: Sidecar) -> Result<()> {
        self.number(&found.log);
        let (summary, forgotten) = (*sidecar.summary(), found.log.forgotten);
        let segment = Segment { log: found.log, sealed: Some(Arc::new(Sealed::new(sidecar))) };
        let mut inner = self.tables.inner.write();
        let (segments, shifted) = (&self.segments, &self.shifted);
        let taken = Takeover { segments, shifted, inner: &mut inner }.take(&segment);
        if taken.is_err() {
            // The log is read without sidecars then, and made again is only what is missing.
            let sealed =
                |segment: &&Segment| segment.sealed.as_ref().is_some_and(|it| it.sidecar.is_damaged());
            let damaged = self.segments.iter().chain([&segment]).filter(sealed);
            damaged.for_each(|segment| remove_sidecar(self.storage, segment.log.id));
        }
        taken?;
        if let Some(sealed) = &segment.sealed {
            // A later segment that is read may remove what this one holds. The true count is taken at the end.
            inner.entities_live += sealed.entities_live();
            inner.blobs_live += sealed.blobs_live();
            inner.ids_live += sealed.heads();
        }
        inner.records_live = summary.records_live;
        drop(inner);
        self.segments.push(segment);
        // Of the last batches of a compacted segment nothing may be left, but their numbers were given.
        self.revision = self.revision.max(summary.last_revision).max(forgotten);
        self.chain = summary.chain;
        // Only a segment that was ended in order gets a sidecar.
        self.continued = true;
        Ok(())
    }

    /// Takes over a segment that was read.
    fn read(&mut self, found: FoundFile, scanned: ScannedSegment, last_revision: Option<u64>) -> Result<()> {
        let FoundFile { log, header, is_last, is_foreign } = found;
        // Batches follow a dictionary only when that is safe, so one that is cut lacks whatever stood behind. What is written
        // to another file leaves it as it is, for the next opening to see.
        let is_last = is_last && scanned.bytes >= log.data_start;
        self.number(&log);
        self.last = None;
        if let Err(reason) = header {
            log.set_damaged();
            self.damage.push(format!("{} offset 0: {reason}", log.id));
            self.is_lossy = true;
        }
        if is_foreign {
            self.damage
                .push(format!("{}: the file belongs to another place or store; it was left out", log.id));
            self.is_lossy = true;
            return Ok(());
        }
        if let Ok(header) = header
            && header.first_revision > self.revision
        {
            (self.revision, self.chain) = (header.first_revision - 1, header.chain);
        }
        let damage_before = self.damage.len();
        let mut segments = self.segments.clone();
        segments.push(Segment { log: Arc::clone(&log), sealed: None });
        self.log.view.store(Arc::new(View::new(segments, Indexes::new())));
        self.tables.inner.write().active = Active::new(log.id, self.revision);
        self.reserve(&scanned);
        if is_last {
            self.derive_states()?;
            self.count_live()?;
        }
        let bytes = scanned.bytes;
        let synced = scanned.synced_end();
        let end = self.segment(scanned, is_last, header.is_ok(), last_revision)?;
        if self.damage.len() > damage_before {
            log.set_damaged();
        }
        if is_last {
            self.cut(&log, end, bytes)?;
            self.write_again(&log, synced, end)?;
            self.last = Some((log, end));
            return Ok(());
        }
        self.has_read_complete = true;
        if !self.continued {
            // Nobody knows what stood behind its last batch.
            self.is_lossy = true;
            if self.damage.len() == damage_before {
                self.damage.push(end_missing(log.id, end));
            }
        }
        let is_damaged = self.damage.len() > damage_before;
        let is_whole = !is_damaged && !self.is_compacted;
        if !is_whole {
            self.underived.push(log.id);
        }
        if is_damaged {
            self.shifted.push(log.id);
            // If it has one that is sound, that would hide the damage from the next opening.
            remove_sidecar(self.storage, log.id);
        }
        let sidecar = self.make_sidecar(&log, bytes, is_whole)?;
        self.segments.push(Segment { log, sealed: Some(Arc::new(Sealed::new(sidecar))) });
        Ok(())
    }

    /// Finds out what became of the entities of segments without a sidecar.
    fn derive_states(&mut self) -> Result<()> {
        if self.underived.is_empty() && !self.is_lossy {
            return Ok(());
        }
        let view = self.log.view.load_full();
        let inner = &mut *self.tables.inner.write();
        let reader = self.log.reader(&view);
        for id in &self.underived {
            derive_removed(&reader, &self.segments, *id)?;
            derive_removed_blobs(&reader, &self.segments, *id)?;
        }
        // Only now it is known which versions are left.
        derive_superseded(&reader, &self.segments, &self.underived, &mut inner.active)?;
        self.underived.clear();
        Ok(())
    }

    /// Counts what the complete segments hold, so that the last one goes on from there.
    fn count_live(&self) -> Result<()> {
        let inner = &mut *self.tables.inner.write();
        let sealed = || self.segments.iter().filter_map(|segment| segment.sealed.as_deref());
        inner.entities_live = sealed().map(Sealed::entities_live).sum();
        inner.blobs_live = sealed().map(Sealed::blobs_live).sum();
        inner.ids_live = sealed().map(Sealed::heads).sum();
        // The last sidecar knows how many records there are. But one that was made just now may be wrong: what is read
        // again is less than what was written, where something is damaged or was compacted away since.
        if self.has_read_complete || self.is_lossy || !self.damage.is_empty() {
            inner.records_live = count_records(&self.segments)?;
        }
        Ok(())
    }

    /// Makes room for what the segment holds: growing is half the cost of filling an index.
    fn reserve(&self, scanned: &ScannedSegment) {
        let (entities, blobs) = scanned.count();
        let view = self.log.view.load();
        view.indexes.entities.reserve(entities);
        view.indexes.ids.reserve(entities);
        view.indexes.blobs.reserve(blobs);
    }

    /// The sidecar of a complete segment that had none. If that does not know all, the next opening reads the
    /// segment again, and reports the damage if there is some.
    fn make_sidecar(&self, log: &LogFile, bytes: u64, is_whole: bool) -> Result<Sidecar> {
        let identity = Identity { store_id: self.store_id, segment: log.id.0, log_bytes: bytes };
        let mut inner = self.tables.inner.write();
        inner.active.finish();
        let encoded = inner.active.encode(identity, self.chain, inner.records_live);
        // If damage goes away again, rows of earlier segments have other numbers than now.
        let keep = if is_whole && self.damage.is_empty() { keep_sidecar } else { keep_sidecar_for_now };
        keep(self.storage, log.id, encoded, &identity)
    }

    /// Applies the batches of a segment, and returns where it ends.
    fn segment(
        &mut self,
        scanned: ScannedSegment,
        is_last: bool,
        has_header: bool,
        last_revision: Option<u64>,
    ) -> Result<u64> {
        let ScannedSegment { id, bytes, batches, damage, lists, uncommitted, end, data_start, .. } = scanned;
        // What a later frame says was synced before it, was.
        let synced = batches.iter().map(|batch| batch.commit.synced).max();
        let synced = if is_last { synced } else { Some(Location(u64::MAX)) };
        let is_synced = |place: Location| synced.is_some_and(|synced| place < synced);
        let is_cut = |batch: &ScannedBatch| batch.is_torn && !is_synced(batch.start);
        let whole = batches.iter().position(is_cut).unwrap_or(batches.len());
        let valid_end = whole.checked_sub(1).map_or(data_start, |last| batches[last].end);
        for place in damage.iter().filter(|place| is_synced(place.start) || place.start.offset() < valid_end)
        {
            self.outdate(place)?;
            self.report(place, &batches)?;
        }
        // What is out of date is no batch that watchers could begin at.
        self.tables.inner.write().active.forget_marks();
        for batch in batches.into_iter().take(whole) {
            // What is told already does not count twice.
            let is_told = damage.iter().any(|place| batch.holds(place.start));
            self.batch(id, batch, &lists, is_told)?;
        }
        let is_whole = uncommitted.is_empty();
        if let (false, Some(first), Some(last)) = (is_last, uncommitted.first(), uncommitted.last()) {
            let first = first.location;
            self.damage.push(format!("{first}: the commit frame of the last batch is missing"));
            // A writer leaves no revision out. Behind something that is damaged another batch may have begun, and
            // without its header nobody knows what is missing before the segment.
            let is_next = has_header
                && !id.is_compacted()
                && damage.iter().all(|place| place.start.offset() < end || place.start > last.location);
            let last_revision = if is_next { Some(self.revision + 1) } else { last_revision };
            self.apply_without_commit(last_revision, uncommitted, &lists)?;
        }
        if !is_last {
            if bytes > end && is_whole {
                let place = Location::new(id, end);
                self.damage.push(format!("{place}: {} bytes behind the last batch are damaged", bytes - end));
            }
            return Ok(end);
        }
        self.kept.extend(keep_batches(self.storage, id, valid_end..end)?);
        Ok(valid_end)
    }

    fn batch(&mut self, id: SegmentId, batch: ScannedBatch, lists: &RowLists, is_told: bool) -> Result<()> {
        let ScannedBatch { commit, start, end, kind, mut changes, is_damaged, .. } = batch;
        self.closed_at = (kind == Kind::Close).then(|| Location::new(id, end));
        self.continued = kind == Kind::Continued;
        let frames_start = Location::new(
            id,
            (end - super::format::COMMIT_FRAME_BYTES as u64).saturating_sub(commit.batch_bytes.into()),
        );
        if is_damaged {
            if !is_told {
                self.is_lossy = true;
                self.damage.push(format!("{start}: the batch of revision {} is damaged", commit.revision));
            }
            // Frames before the batch's own belong to one whose commit frame is damaged.
            let own = changes.partition_point(|placed| placed.location < frames_start);
            let rest = changes.split_off(own);
            let earlier = std::mem::replace(&mut changes, rest);
            if !earlier.is_empty() {
                // A frame that ends the log or a segment names the batch before it.
                let is_mark = matches!(kind, Kind::Close | Kind::Continued);
                let revision = commit.revision.saturating_sub(u64::from(!is_mark));
                self.apply_without_commit(Some(revision), earlier, lists)?;
            }
        }
        self.apply(commit.revision, &changes, lists)?;
        self.revision = self.revision.max(commit.revision);
        self.chain = commit.chain;
        Ok(())
    }

    fn apply(&mut self, revision: u64, changes: &[Placed], lists: &RowLists) -> Result<()> {
        self.revision = self.revision.max(revision);
        self.apply_frames(revision, changes, lists)
    }

    /// Applies frames whose commit frame is lost, and with it their revision, of which at most the last one that it can
    /// be is known. Their order is kept; records tell a revision, and are damaged unless it can only be one.
    fn apply_without_commit(
        &mut self,
        last: Option<u64>,
        mut changes: Vec<Placed>,
        lists: &RowLists,
    ) -> Result<()> {
        let mut next = 0;
        for placed in &mut changes {
            // Of another batch they begin anew.
            placed.ordinal = placed.ordinal.max(next);
            next = placed.ordinal.saturating_add(1);
        }
        let first = self.revision + 1;
        self.apply(last.unwrap_or(first).max(first), &changes, lists)?;
        if last != Some(first) {
            let view = self.log.view.load();
            let inner = &mut *self.tables.inner.write();
            for placed in &changes {
                if let Change::Record(key) = &placed.change
                    && inner.active.record(key).is_some_and(|place| place.location == placed.location)
                {
                    inner.set_damaged_record(&view, key, placed.location)?;
                }
            }
        }
        Ok(())
    }

    fn apply_frames(&self, revision: u64, changes: &[Placed], lists: &RowLists) -> Result<()> {
        self.log.renew_indexes(|_| true);
        let view = self.log.view.load();
        let suspects = &Suspects::of_changes(&self.log.reader(&view), changes)?;
        let entered = &[];
        self.tables.apply(&self.log, &AppliedBatch { revision, changes, lists, suspects, entered }, || ())
    }

    /// What an earlier segment holds of something that a damaged frame seems to be about is out of date: nothing
    /// is stored twice, so the frame removed it.
    fn outdate(&self, place: &Damage) -> Result<()> {
        let (table, key, change) = match place.seems {
            Some(Seems::Entity(key)) => (TableId::Entities, key, Change::EntityRemoved(Address(key))),
            Some(Seems::Blob(key)) => (TableId::Blobs, key, Change::BlobRemoved(BlobId(key))),
            Some(Seems::Record(_) | Seems::Dictionary) | None => return Ok(()),
        };
        let removed = {
            let view = self.log.view.load();
            let reader = self.log.reader(&view);
            match place_of(&reader, table, &key, u64::MAX) {
                // One that is damaged itself is not served, and is mended by the frame if that stored it again.
                Ok(Some(found)) => reader.frame(found, &mut Vec::new()).map(drop),
                Ok(None) => return Ok(()),
                Err(error) => Err(error),
            }
        };
        let removal = [Placed { change, location: place.start, ordinal: 0 }];
        // It belongs to a batch behind those that were read.
        match removed.and_then(|()| self.apply_frames(self.revision + 1, &removal, &RowLists::default())) {
            Err(error) if error.kind() != ErrorKind::Corrupt => Err(error),
            _ => Ok(()),
        }
    }

    fn report(&mut self, place: &Damage, batches: &[ScannedBatch]) -> Result<()> {
        self.damage.push(describe(place));
        let mut inner = self.tables.inner.write();
        match &place.seems {
            Some(Seems::Entity(key)) => {
                inner.damaged.insert((TableId::Entities, *key), Damaged::new(place, batches));
            }
            Some(Seems::Blob(key)) => {
                inner.damaged.insert((TableId::Blobs, *key), Damaged::new(place, batches));
            }
            // What it was before is out of date; reading it says that it is damaged.
            Some(Seems::Record(key)) => {
                let view = self.log.view.load();
                inner.set_damaged_record(&view, key, place.start)?;
            }
            // It stands twice, and texts that can't be read without it are reported themselves.
            Some(Seems::Dictionary) => {}
            None => self.is_lossy = true,
        }
        Ok(())
    }

    /// Cuts a torn tail off.
    fn cut(&self, log: &LogFile, end: u64, bytes: u64) -> Result<()> {
        if end != bytes {
            log.set_written(end);
            let name = log.id.file_name();
            let failed = |error| Error::io(format!("cutting the torn tail of {name} failed"), error);
            log.file.set_len(end).and_then(|()| log.file.sync()).map_err(failed)?;
        }
        Ok(())
    }

    /// Writes what no batch says was synced once more, and syncs it. After a failed sync a system may show bytes
    /// that it will never write to the device again unless they are changed.
    fn write_again(&self, log: &LogFile, synced: u64, end: u64) -> Result<()> {
        if self.closed_at == Some(Location::new(log.id, end)) {
            return Ok(());
        }
        let name = log.id.file_name();
        let failed = |error| Error::io(format!("making {name} safe failed"), error);
        let mut piece = Vec::new();
        for start in (synced..end).step_by(PIECE_BYTES) {
            piece.resize((end - start).min(PIECE_BYTES as u64) as usize, 0);
            log.file
                .read_at(start, &mut piece)
                .and_then(|()| log.file.write_at(start, &piece))
                .map_err(failed)?;
        }
        log.file.sync().map_err(failed)
    }

    fn finish(mut self, segment_bytes: u64) -> Result<Recovered> {
        let missing = self.next_number;
        if self.continued {
            self.damage.push(format!("segment {missing} is missing"));
        }
        let is_lossy = self.is_lossy || self.continued;
        let (last, end) = match self.last.take() {
            Some(last) if !self.continued => last,
            ended => {
                // The number of a missing one stays free, so that every later opening reports it too.
                let number = missing + u32::from(self.continued);
                self.begin_segment(number, ended, segment_bytes)?
            }
        };
        let Self { log, tables, revision, chain, closed_at, damage, kept, .. } = self;
        Ok(Recovered { log, tables, last, end, revision, chain, closed_at, damage, is_lossy, kept })
    }

    /// Makes a segment behind one that nothing may be written to.
    fn begin_segment(
        &mut self,
        number: u32,
        ended: Option<(Arc<LogFile>, u64)>,
        segment_bytes: u64,
    ) -> Result<(Arc<LogFile>, u64)> {
        let is_derived = ended.is_some();
        if let Some((log, end)) = ended {
            let sidecar = self.make_sidecar(&log, end, false)?;
            self.segments.push(Segment { log, sealed: Some(Arc::new(Sealed::new(sidecar))) });
        }
        let header = SegmentHeader::written(number, self.store_id, self.revision + 1, self.chain);
        let log = Arc::new(super::creation::create_segment(self.storage, header, segment_bytes, None)?);
        let mut segments = self.segments.clone();
        segments.push(Segment { log: Arc::clone(&log), sealed: None });
        self.log.view.store(Arc::new(View::new(segments, Indexes::new())));
        self.tables.inner.write().active = Active::new(log.id, self.revision);
        if !is_derived {
            self.derive_states()?;
            self.count_live()?;
        }
        Ok((log, SEGMENT_HEADER_BYTES as u64))
    }
}

/// Bytes that are written again at once.
const PIECE_BYTES: usize = 1 << 20;
