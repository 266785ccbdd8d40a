//! Copying what is still needed of a run of segments.

use std::collections::HashSet;

use statlas_core::Address;

use super::output::Output;
use crate::columns::{Bit, ColumnId, Draft, RowLists, Rows};
use crate::engine::disk::DiskEngine;
use crate::engine::disk::active::Active;
use crate::engine::disk::dictionary::{DICTIONARY_DAMAGED, PlainTexts};
use crate::engine::disk::format::{
    CommitPayload, Frame, Kind, Location, SEGMENT_HEADER_BYTES, Salt, SegmentHeader, SegmentId,
};
use crate::engine::disk::log::{LogFile, corrupt};
use crate::engine::disk::records::{newest_record, record_hash};
use crate::engine::disk::scan::{WINDOW_BYTES, Window};
use crate::engine::disk::sidecar::{EffectKind, Removal, RemovalKind, TableId};
use crate::engine::disk::view::{Sealed, Segment, View, complete};
use crate::error::{Error, Result};
use crate::index::key_of;

/// Where a row of the new segment comes from, and where it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub(super) input: u32,
    pub(super) row: u32,
    pub(super) old_place: u32,
    pub(super) place: u32,
    pub(super) key: u64,
    pub(super) id_hash: u64,
}

/// A blob that moved.
#[derive(Debug, Clone, Copy)]
pub(super) struct MovedBlob {
    pub(super) input: u32,
    pub(super) key: u64,
    pub(super) old: u32,
    pub(super) new: u32,
}

/// A run of segments, copied.
pub(super) struct Copied {
    pub(super) log: std::sync::Arc<LogFile>,
    pub(super) tables: Active,
    pub(super) chain: [u8; 32],
    /// By input and old row.
    pub(super) rows: Vec<Origin>,
    /// By input and old place.
    pub(super) blobs: Vec<MovedBlob>,
    /// Records that the store has behind the segment.
    pub(super) records_live: u64,
    /// The last segment that was complete when the copy was begun.
    pub(super) known: SegmentId,
}

/// A copy that is being made.
pub(super) struct Copying<'a> {
    engine: &'a DiskEngine,
    inputs: &'a [Segment],
    /// All segments when the copy was begun.
    segments: &'a [Segment],
    /// The segments before the inputs.
    earlier: &'a [Segment],
    id: SegmentId,
    output: Output,
    tables: Active,
    rows: Vec<Origin>,
    blobs: Vec<MovedBlob>,
    removed_lately: RemovedLately,
    batch: OutputBatch,
    /// Whether frames or batches were dropped without a husk since the last commit frame.
    has_gap: bool,
    forgotten: u64,
    last: Option<CommitPayload>,
    /// The head of the hash chain so far.
    chain: [u8; 32],
    husk_bytes: u64,
}

/// What the segment that is being written has removed, as far as somebody asked. All of it is copied: after a crash
/// the removals are read again, and must find what they removed.
#[derive(Default)]
struct RemovedLately {
    segment: Option<SegmentId>,
    /// So many of its effects are noted.
    noted: usize,
    removed: HashSet<(u32, u32, EffectKind)>,
}

impl RemovedLately {
    /// Whether the segment that is being written removed this; what it removes goes on while others are copied.
    fn has(&mut self, active: &Active, target: (u32, u32, EffectKind)) -> bool {
        if self.segment != Some(active.id) {
            *self = Self { segment: Some(active.id), ..Self::default() };
        }
        let effects = active.effects();
        let new = effects.get(self.noted..).unwrap_or_default();
        self.removed.extend(new.iter().map(|effect| (effect.segment, effect.target, effect.kind)));
        self.noted = effects.len();
        self.removed.contains(&target)
    }
}

/// The frames since the last commit frame.
#[derive(Default)]
struct OutputBatch {
    start: u64,
    frames: u32,
    crcs: u32,
}

impl OutputBatch {
    fn add(&mut self, crc: u32) {
        self.frames += 1;
        self.crcs = crc32c::crc32c_append(self.crcs, &crc.to_le_bytes());
    }
}

/// What becomes of a frame.
enum Fate {
    Kept,
    Dropped,
}

impl<'a> Copying<'a> {
    /// Makes ready to copy. `reached` is the input that is being read, for when that fails.
    pub(super) fn new(
        engine: &'a DiskEngine,
        view: &'a View,
        inputs: &'a [Segment],
        id: SegmentId,
        reached: &mut SegmentId,
    ) -> Result<Self> {
        let start = view.segments.iter().position(|segment| segment.log.id == inputs[0].log.id).unwrap_or(0);
        let summaries = || inputs.iter().filter_map(|input| Some(input.sealed.as_ref()?.sidecar.summary()));
        let first_revision = summaries().map(|summary| summary.first_revision).next().unwrap_or(1);
        let mut tables = Active::new(id, first_revision.saturating_sub(1));
        let ids: HashSet<u32> = inputs.iter().map(|input| input.log.id.0).collect();
        for (input, sealed) in inputs.iter().filter_map(|input| Some((input, input.sealed.as_ref()?))) {
            *reached = input.log.id;
            let outside =
                sealed.sidecar.effects()?.into_iter().filter(|effect| !ids.contains(&effect.segment));
            outside.for_each(|effect| tables.push_effect(effect));
        }
        // Files with different dictionaries are not compacted together.
        let mut dictionary = None;
        for input in inputs {
            *reached = input.log.id;
            let start = SEGMENT_HEADER_BYTES as u64;
            let found = engine.log.texts.dictionary_of(&input.log)?;
            if found.is_none() && input.log.data_start > start {
                return Err(corrupt(Location::new(input.log.id, start), DICTIONARY_DAMAGED));
            }
            dictionary = found.or(dictionary);
        }
        let salt = Salt::of(&engine.store_id, id);
        let output = Output::create(&*engine.storage, id, salt, dictionary.as_deref())?;
        Ok(Self {
            engine,
            inputs,
            segments: &view.segments,
            earlier: &view.segments[..start],
            id,
            batch: OutputBatch { start: output.end(), ..OutputBatch::default() },
            output,
            tables,
            rows: Vec::new(),
            blobs: Vec::new(),
            removed_lately: RemovedLately::default(),
            has_gap: false,
            forgotten: 0,
            last: None,
            chain: inputs[0].log.chain,
            husk_bytes: 0,
        })
    }

    /// Copies everything; `pace` is told of bytes that were read, and may stop the copy. `reached` is the input that
    /// is being read, for when that fails.
    pub(super) fn run(
        mut self,
        reached: &mut SegmentId,
        mut pace: impl FnMut(u64) -> Result<()>,
    ) -> Result<Copied> {
        let inputs = self.inputs;
        for (number, input) in (0_u32..).zip(inputs) {
            let Some(sealed) = &input.sealed else { continue };
            *reached = input.log.id;
            self.forgotten = self.forgotten.max(input.log.forgotten);
            let failed = |error| Error::io(format!("reading {} failed", input.log.id.file_name()), error);
            let texts =
                PlainTexts::of(&*input.log.file, input.log.written(), input.log.salt).map_err(failed)?;
            let mut cursor = InputCursor { number, input, sealed, row: 0, texts };
            let mut buffer = self.engine.buffers.take(WINDOW_BYTES);
            let mut window = Window::new(&*input.log.file, input.log.written(), input.log.salt, &mut buffer);
            let (mut at, mut last) = (SEGMENT_HEADER_BYTES as u64, None);
            while at < input.log.written() {
                let place = Location::new(input.log.id, at);
                let frame = window.frame(at).map_err(failed)?.map_err(|reason| corrupt(place, reason))?;
                last = Some(frame.header.kind);
                let bytes = frame.header.frame_bytes() as u64;
                self.frame(&mut cursor, at, &frame)?;
                at += bytes;
                pace(bytes)?;
            }
            if last != Some(Kind::Continued) {
                // What is missing must stay known.
                return Err(corrupt(Location::new(input.log.id, at), "the end of the file is missing"));
            }
        }
        self.finish()
    }

    fn frame(&mut self, cursor: &mut InputCursor<'_>, at: u64, frame: &Frame<'_>) -> Result<()> {
        let keeps_history = cursor.sealed.sidecar.summary().last_revision > self.engine.history_end();
        let old = Location::of_frame(cursor.input.log.id, at, frame.header.frame_bytes());
        let new = Location::of_frame(self.id, self.output.end(), frame.header.frame_bytes());
        let fate = match frame.header.kind {
            Kind::Commit | Kind::Reduced | Kind::Close | Kind::Continued => return self.commit(frame),
            Kind::Dictionary => return Ok(()),
            Kind::Husk if keeps_history => {
                self.husk_bytes += frame.header.frame_bytes() as u64;
                Fate::Kept
            }
            Kind::Husk => Fate::Dropped,
            Kind::Entity => self.entity(cursor, frame, old, new)?,
            Kind::Blob => self.blob(cursor, frame, old, new)?,
            Kind::Record => self.record(frame, old, new)?,
            Kind::EntityRemoved | Kind::BlobRemoved | Kind::RecordRemoved => {
                self.removal(frame, new, keeps_history)?
            }
        };
        match fate {
            Fate::Kept => {
                self.batch.add(frame.header.crc);
                self.output.copy(frame)
            }
            // What was a husk already leaves none.
            Fate::Dropped if keeps_history && frame.header.kind != Kind::Husk => {
                let before = self.output.end();
                let crc = self.output.husk(frame)?;
                self.husk_bytes += self.output.end() - before;
                self.batch.add(crc);
                Ok(())
            }
            Fate::Dropped => {
                self.has_gap = true;
                Ok(())
            }
        }
    }

    fn was_removed_lately(&mut self, cursor: &InputCursor<'_>, target: u32, kind: EffectKind) -> bool {
        let inner = self.engine.tables.inner.read();
        self.removed_lately.has(&inner.active, (cursor.input.log.id.0, target, kind))
    }

    fn entity(
        &mut self,
        cursor: &mut InputCursor<'_>,
        frame: &Frame<'_>,
        old: Location,
        new: Location,
    ) -> Result<Fate> {
        let Some(row) = cursor.take_row(old.place())? else { return Ok(Fate::Dropped) };
        let is_removed = cursor.sealed.sidecar.bits().get(row, Bit::Removed);
        if is_removed && !self.was_removed_lately(cursor, row as u32, EffectKind::EntityRemoved) {
            return Ok(Fate::Dropped);
        }
        let parts =
            frame.entity_parts().ok_or_else(|| corrupt(old, "the entity's attachments are damaged"))?;
        let mut lists = RowLists::default();
        let text = cursor.texts.text(parts.text).map_err(|reason| corrupt(old, reason))?;
        let draft = Draft::read(text, parts.token.as_ref(), &mut lists)
            .map_err(|error| corrupt(old, &error.to_string()))?;
        let address = Address(frame.sha256());
        let revision = cursor.sealed.sidecar.value(row, ColumnId::Revision)?.cast_unsigned();
        let age = (revision, frame.header.ordinal);
        let new_row = self.tables.add_entity(&address, &draft, &lists, new, age);
        let mended = cursor.sealed.sidecar.mended()?;
        if let Some(mended) = mended.iter().find(|mended| mended.row as usize == row) {
            self.tables.add_mended(new_row, (mended.revision, mended.ordinal));
        }
        self.rows.push(Origin {
            input: cursor.number,
            row: row as u32,
            old_place: old.place(),
            place: new.place(),
            key: key_of(&address.0),
            id_hash: draft.id_hash(),
        });
        Ok(Fate::Kept)
    }

    fn blob(
        &mut self,
        cursor: &InputCursor<'_>,
        frame: &Frame<'_>,
        old: Location,
        new: Location,
    ) -> Result<Fate> {
        let (key, sealed) = (frame.index_key(), cursor.sealed);
        let is_there =
            sealed.sidecar.find(TableId::Blobs, key, |place| (place == old.place()).then_some(()))?;
        let is_removed = sealed.is_removed(old.place())
            && !self.was_removed_lately(cursor, old.place(), EffectKind::BlobRemoved);
        if is_there.is_none() || is_removed {
            return Ok(Fate::Dropped);
        }
        self.tables.add_blob(key, new);
        self.blobs.push(MovedBlob { input: cursor.number, key, old: old.place(), new: new.place() });
        Ok(Fate::Kept)
    }

    fn record(&mut self, frame: &Frame<'_>, old: Location, new: Location) -> Result<Fate> {
        let key = frame.record_key().ok_or_else(|| corrupt(old, "the record's key is damaged"))?;
        // What the segment that is being written changed since stays until that one is sealed: read again, it has to
        // find how many records there were.
        let newest = newest_record(complete(self.segments), &key)?;
        let Some(place) = newest.filter(|place| place.location == old) else { return Ok(Fate::Dropped) };
        self.tables.add_record(&key, new, place.revision, false);
        Ok(Fate::Kept)
    }

    /// A removal is needed as long as what it removes may stand in an earlier segment, and for the history.
    fn removal(&mut self, frame: &Frame<'_>, new: Location, keeps_history: bool) -> Result<Fate> {
        // The revision stands in the commit frame.
        let revision = 0;
        let is_needed = keeps_history || self.is_earlier(frame)?;
        if !is_needed {
            return Ok(Fate::Dropped);
        }
        match frame.header.kind {
            Kind::RecordRemoved => {
                let key = frame.record_key().ok_or_else(|| corrupt(new, "the record's key is damaged"))?;
                self.tables.add_unstamped_removal(key, new);
            }
            Kind::EntityRemoved => {
                let removal = Removal { kind: RemovalKind::Entity, key: frame.sha256(), revision };
                self.tables.add_removal(removal);
            }
            _ => {
                let removal = Removal { kind: RemovalKind::Blob, key: frame.sha256(), revision };
                self.tables.add_removal(removal);
            }
        }
        Ok(Fate::Kept)
    }

    fn is_earlier(&self, frame: &Frame<'_>) -> Result<bool> {
        let table = match frame.header.kind {
            Kind::EntityRemoved => TableId::Entities,
            Kind::BlobRemoved => TableId::Blobs,
            _ => return self.is_record_earlier(frame),
        };
        for segment in self.earlier {
            let Some(sealed) = &segment.sealed else { continue };
            // A compacted file may hold what no table leads to, since it was removed while it was copied: without
            // its sidecar only the removal tells that.
            let may_hide = segment.log.id.is_compacted() && sealed.sidecar.summary().garbage_bytes > 0;
            if may_hide || sealed.sidecar.may_hold(table, frame.index_key()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_record_earlier(&self, frame: &Frame<'_>) -> Result<bool> {
        let Some(hash) = frame.record_key().map(|key| record_hash(&key)) else { return Ok(true) };
        for (_, sealed) in complete(self.earlier) {
            if sealed.sidecar.may_hold(TableId::Records, hash) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn commit(&mut self, frame: &Frame<'_>) -> Result<()> {
        let commit = frame.commit();
        self.last = Some(commit);
        let chain_before = std::mem::replace(&mut self.chain, commit.chain);
        if matches!(frame.header.kind, Kind::Close | Kind::Continued) {
            // Batches at the end of a compacted input may have gone without a trace.
            self.has_gap |= chain_before != commit.chain;
            return Ok(());
        }
        if self.batch.frames == 0 {
            // Nothing of the batch is left.
            self.has_gap = true;
        } else {
            let is_whole = frame.header.kind == Kind::Commit && !self.has_gap;
            if !is_whole {
                self.forgotten = self.forgotten.max(commit.revision);
            }
            let start = self.batch.start;
            let payload = CommitPayload {
                frames: self.batch.frames,
                // A batch does not grow.
                batch_bytes: (self.output.end() - start) as u32,
                frames_crc: self.batch.crcs,
                synced: Location::new(self.id, start),
                ..commit
            };
            self.tables.stamp(commit.revision);
            self.tables.begin_batch(commit.revision, start);
            self.output.mark(if is_whole { Kind::Commit } else { Kind::Reduced }, &payload.encode())?;
            self.has_gap = false;
        }
        self.batch = OutputBatch { start: self.output.end(), ..OutputBatch::default() };
        Ok(())
    }

    fn finish(mut self) -> Result<Copied> {
        let (first, last) = (&self.inputs[0].log, &self.inputs[self.inputs.len() - 1].log);
        let end = self.last.unwrap_or_else(CommitPayload::nothing);
        if self.has_gap {
            self.forgotten = self.forgotten.max(end.revision);
        }
        let place = Location::new(self.id, self.output.end());
        let mark = CommitPayload { frames: 0, batch_bytes: 0, frames_crc: 0, synced: place, ..end };
        self.output.mark(Kind::Continued, &mark.encode())?;
        let header = SegmentHeader {
            id: self.id,
            first: first.first,
            last: last.last,
            store_id: self.engine.store_id,
            first_revision: self.tables.first_revision(),
            chain: first.chain,
            forgotten: self.forgotten,
            dictionary_bytes: self.output.dictionary_bytes,
        };
        self.tables.husk_bytes = self.husk_bytes;
        self.tables.finish();
        let (file, bytes) = self.output.finish(&header.encode())?;
        let failed = |error| Error::io(format!("mapping {} failed", self.id.file_name()), error);
        let map = file.map(bytes as usize).map_err(failed)?;
        let log = std::sync::Arc::new(LogFile::new(&header, file, map, bytes));
        let live = |input: &Segment| Some(input.sealed.as_ref()?.sidecar.summary().records_live);
        let records_live = self.inputs.last().and_then(live).unwrap_or(0);
        let known = complete(self.segments).next().map_or(self.id, |(id, _)| id);
        let Self { tables, rows, blobs, .. } = self;
        Ok(Copied { log, tables, chain: end.chain, rows, blobs, records_live, known })
    }
}

/// A segment that is being copied.
struct InputCursor<'a> {
    number: u32,
    input: &'a Segment,
    sealed: &'a Sealed,
    /// The row of the next entity.
    row: usize,
    texts: PlainTexts,
}

impl InputCursor<'_> {
    /// The row of the entity at a place; each is asked for once, in order.
    fn take_row(&mut self, place: u32) -> Result<Option<usize>> {
        let rows = &self.sealed.sidecar;
        if self.row < rows.len() && rows.value(self.row, ColumnId::Place)? == i64::from(place) {
            self.row += 1;
            return Ok(Some(self.row - 1));
        }
        Ok(None)
    }
}
