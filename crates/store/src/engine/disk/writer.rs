//! Group commit: one thread at a time judges, writes and syncs for all that wait.
//!
//! A writer puts its batch into the queue. Whoever commits takes the commit lock and the whole queue, judges each
//! batch in turn, writes all that hold with one write, syncs once if anybody asked for it, makes them visible and
//! leaves each its answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::DiskEngine;
use super::coverage::Growth;
use super::encode::EncodedBatch;
use super::format::{
    COMMIT_FRAME_BYTES, CommitPayload, Kind, Label, Location, Salt, SegmentHeader, write_frame,
};
use super::judging::Judging;
use super::log::{LogFile, Tail};
use super::queue::Request;
use super::scan::{Change, Placed, next_chain};
use super::suspects::Suspects;
use super::tables::{AppliedBatch, enter_new};
use crate::batch::{Batch, Operation};
use crate::budget::{MEMORY_BYTES_MIN, Reservation};
use crate::columns::RowLists;
use crate::engine::{Commit, Durability};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX};
use crate::overlay::{Overlay, Plan, judge};

/// Buffered bytes are handed to the operating system when there are this many.
const TAIL_BYTES_MAX: usize = 1 << 20;
/// A segment is mapped with room for the largest batch behind the size at which a new one is begun.
pub(super) const SEGMENT_ROOM_BYTES: u64 =
    (BATCH_BYTES_MAX + BATCH_OPERATIONS_MAX * 80 + COMMIT_FRAME_BYTES) as u64;

/// A segment of which more is in memory is sealed when the store is closed.
const UNSEALED_BYTES_MAX: u64 = MEMORY_BYTES_MIN / 4;

/// What only the holder of the commit lock touches.
pub(super) struct Writer {
    pub(super) segment: Arc<LogFile>,
    /// Behind the last frame, those in the tail counted.
    pub(super) end: u64,
    /// The newest revision that was judged good.
    pub(super) revision: u64,
    pub(super) chain: [u8; 32],
    /// Everything before this place is synced.
    pub(super) synced: Location,
}

/// The batches that are committed together.
#[derive(Default)]
struct Group {
    judged: Vec<Judged>,
    overlay: Overlay,
    /// What will be held of the batches that were judged.
    growth: Growth,
}

/// A batch that was judged good.
struct Judged {
    request: Arc<Request>,
    appended: Appended,
}

/// A batch whose frames stand in the tail.
#[derive(Default)]
struct Appended {
    commit: Commit,
    changes: Vec<Placed>,
    suspects: Suspects,
    /// For each change whether the indexes have it already.
    entered: Vec<bool>,
    /// The location behind the commit frame.
    end: u64,
}

/// A group that is being committed. If a panic ends that, some of its batches are in the log and in the indexes, and
/// nothing may be published behind them.
struct Unfinished<'a> {
    engine: &'a DiskEngine,
    is_finished: bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            let reason = || "a bug ended the thread that was committing".to_owned();
            self.engine.poisoned.lock().get_or_insert_with(reason);
        }
    }
}

impl DiskEngine {
    /// Encodes a batch, and holds the memory for it.
    pub(super) fn encode_ahead(&self, batch: Batch) -> Result<(EncodedBatch, Reservation)> {
        batch.check()?;
        self.check_usable()?;
        let memory = self.reserve_for(&batch)?;
        Ok((self.encode(batch), memory))
    }

    /// Commits a batch, together with others that wait.
    pub(super) fn group_commit(
        &self,
        (encoded, _memory): (EncodedBatch, Reservation),
        durability: Durability,
    ) -> Result<Commit> {
        self.check_usable()?;
        let request = Request::new(encoded, durability);
        self.queue.commit(&request, &self.writer, |writer, waiting| self.commit_group(writer, waiting))
    }

    /// Commits a small batch for somebody who holds the commit lock.
    pub(super) fn commit_under_lock(
        &self,
        writer: &mut Writer,
        batch: Batch,
        durability: Durability,
    ) -> Result<Commit> {
        batch.check()?;
        let request = Request::new(self.encode(batch), durability);
        self.commit_group(writer, std::slice::from_ref(&request));
        request.take_answer()
    }

    fn encode(&self, batch: Batch) -> EncodedBatch {
        EncodedBatch::new(batch, self.encoder.load_full(), &self.log.texts, &self.buffers)
    }

    /// Encodes a batch again if the segment that it was encoded for was ended and the next one has another
    /// dictionary.
    fn encode_for_segment(&self, encoded: &mut EncodedBatch) {
        if !encoded.fits(self.encoder.load().as_ref()) {
            *encoded = self.encode(std::mem::take(&mut encoded.batch));
        }
    }

    fn commit_group(&self, writer: &mut Writer, waiting: &[Arc<Request>]) {
        let mut unfinished = Unfinished { engine: self, is_finished: false };
        let mut group = Group::default();
        for request in waiting {
            let Some(mut encoded) = request.encoded.lock().take() else { continue };
            let outcome = self
                .check_usable()
                .and_then(|()| self.make_room(writer, &mut group, &mut encoded))
                .and_then(|()| self.judge_and_append(writer, &mut group.overlay, &encoded));
            if outcome.is_ok() {
                group.growth = group.growth + Growth::of(&encoded.batch);
            }
            // Its owner frees it, in a thread that holds no lock.
            *request.encoded.lock() = Some(encoded);
            match outcome {
                Ok(appended) => group.judged.push(Judged { request: Arc::clone(request), appended }),
                Err(error) => request.answer(Err(error)),
            }
        }
        self.finish_group(writer, &mut group);
        unfinished.is_finished = true;
    }

    /// Brings the batches that were judged good up to their durability, makes them visible, and answers.
    fn finish_group(&self, writer: &mut Writer, group: &mut Group) {
        let Group { judged, .. } = std::mem::take(group);
        let durability = judged.iter().map(|judged| judged.request.durability).max();
        // After a failed roll nothing more may be written, not even for the batches judged before it.
        let stored = durability
            .map_or(Ok(()), |durability| self.check_usable().and_then(|()| self.reach(writer, durability)));
        for Judged { request, appended } in judged {
            let answer = match (&stored, self.check_usable()) {
                (Ok(()), Ok(())) => self.publish(appended, &request),
                (Err(error), _) => Err(Error::new(error.kind(), error.to_string())),
                // One before it could not be made visible.
                (Ok(()), Err(error)) => {
                    let message = format!("{error}; whether this batch was stored will be known then");
                    Err(Error::new(error.kind(), message))
                }
            };
            request.answer(answer);
        }
    }

    /// Begins a new segment if the batch does not fit this one any more, and sees to it that there is
    /// memory for what the indexes will hold of it.
    fn make_room(&self, writer: &mut Writer, group: &mut Group, encoded: &mut EncodedBatch) -> Result<()> {
        self.encode_for_segment(encoded);
        if writer.end + encoded.bytes_max() as u64 > self.segment_bytes || self.is_active_large() {
            self.end_segment(writer, group, encoded)?;
        }
        let growth = Growth::of(&encoded.batch);
        if self.has_room(&growth, &group.growth) {
            return Ok(());
        }
        // Whatever was judged by these indexes must be visible before others take their place.
        self.finish_group(writer, group);
        self.check_usable()?;
        let has_room = || self.has_room(&growth, &Growth::default());
        if has_room() {
            return Ok(());
        }
        self.cover_less()?;
        if has_room() {
            return Ok(());
        }
        self.end_segment(writer, group, encoded)?;
        self.cover_less()?;
        if has_room() {
            return Ok(());
        }
        Err(self.no_memory("what is kept in memory of a batch", growth.bytes()))
    }

    /// Begins a new segment, unless nothing stands in this one.
    fn end_segment(&self, writer: &mut Writer, group: &mut Group, encoded: &mut EncodedBatch) -> Result<()> {
        if writer.end > writer.segment.data_start {
            // What stands in a segment must be visible before the segment is sealed.
            self.finish_group(writer, group);
            self.check_usable()?;
            self.roll(writer)?;
            self.encode_for_segment(encoded);
        }
        Ok(())
    }

    fn judge_and_append(
        &self,
        writer: &mut Writer,
        overlay: &mut Overlay,
        encoded: &EncodedBatch,
    ) -> Result<Appended> {
        let batch = &encoded.batch;
        let view = self.log.view.load();
        let reader = self.log.reader(&view);
        let suspects = Suspects::of_batch(&reader, batch)?;
        let judging = Judging { engine: self, reader, suspects: &suspects };
        let (plan, above) = judge(&judging, overlay, batch, writer.revision + 1)?;
        overlay.absorb(above);
        self.freeing.noted.note(batch);
        let appended = self.append(writer, encoded, &plan)?;
        let entered =
            enter_new(&reader, &appended.changes, &suspects).map_err(|error| self.poison(writer, error))?;
        Ok(Appended { suspects, entered, ..appended })
    }

    /// Puts the frames of a judged batch behind the tail.
    fn append(&self, writer: &mut Writer, encoded: &EncodedBatch, plan: &Plan) -> Result<Appended> {
        let mut commit = plan.commit;
        commit.revision = writer.revision;
        if !plan.changes.contains(&true) {
            return Ok(Appended { commit, ..Appended::default() });
        }
        let mut tail = self.log.tail.write();
        let (id, salt) = (writer.segment.id, writer.segment.salt);
        (tail.segment, tail.offset) = (Some(id), writer.end - tail.bytes.len() as u64);
        let (base, start) = (tail.offset, tail.bytes.len());
        let mut places = Vec::with_capacity(plan.changes.len());
        let sums = encoded.append(plan, &mut tail.bytes, |index, at| {
            let offset = base + at.start as u64;
            places.push((index, Location::of_frame(id, offset, at.len())));
            salt.at(offset)
        });
        writer.revision += 1;
        writer.chain = next_chain(&writer.chain, writer.revision, &sums.digest);
        commit.revision = writer.revision;
        let payload = CommitPayload {
            revision: writer.revision,
            frames: sums.frames,
            // A batch is bounded by its limits.
            batch_bytes: (tail.bytes.len() - start) as u32,
            frames_crc: sums.frames_crc,
            synced: writer.synced,
            chain: writer.chain,
        };
        write_mark(&mut tail, salt, Kind::Commit, &payload);
        writer.end = base + tail.bytes.len() as u64;
        drop(tail);
        let changes = place_changes(encoded, &places);
        let end = Location::new(id, writer.end).0;
        Ok(Appended { commit, changes, end, ..Appended::default() })
    }

    /// Brings everything up to a level of durability.
    pub(super) fn reach(&self, writer: &mut Writer, durability: Durability) -> Result<()> {
        // Who waited for the commit lock may find that somebody else failed meanwhile.
        self.check_usable()?;
        let buffered = self.log.tail.read().bytes.len();
        if durability > Durability::Buffered || buffered > TAIL_BYTES_MAX {
            self.flush(writer)?;
        }
        if durability == Durability::Synced {
            self.sync_segment(writer)?;
        }
        Ok(())
    }

    /// Hands the tail to the operating system with one write.
    fn flush(&self, writer: &mut Writer) -> Result<()> {
        let mut tail = self.log.tail.write();
        if tail.bytes.is_empty() {
            return Ok(());
        }
        self.take_close_mark(writer, &mut tail)?;
        let name = writer.segment.id.file_name();
        if let Err(error) = writer.segment.file.write_at(tail.offset, &tail.bytes) {
            drop(tail);
            return Err(self.poison(writer, Error::io(format!("writing {name} failed"), error)));
        }
        writer.segment.set_written(writer.end);
        tail.offset = writer.end;
        tail.bytes.clear();
        tail.bytes.shrink_to(TAIL_BYTES_MAX * 4);
        Ok(())
    }

    /// Has the frame that closed the log written once more, with what follows it first: its sync may have failed, and then
    /// a system may show it and never write it to the device.
    fn take_close_mark(&self, writer: &Writer, tail: &mut Tail) -> Result<()> {
        let mut closed_at = self.closed_at.lock();
        if closed_at.take_if(|place| *place == Location::new(writer.segment.id, tail.offset)).is_none() {
            return Ok(());
        }
        let start = tail.offset - COMMIT_FRAME_BYTES as u64;
        let mut mark = vec![0; COMMIT_FRAME_BYTES];
        if let Err(error) = writer.segment.file.read_at(start, &mut mark) {
            let name = writer.segment.id.file_name();
            return Err(self.poison(writer, Error::io(format!("reading {name} failed"), error)));
        }
        tail.bytes.splice(0..0, mark);
        tail.offset = start;
        Ok(())
    }

    fn sync_segment(&self, writer: &mut Writer) -> Result<()> {
        let end = Location::new(writer.segment.id, writer.end);
        if writer.synced == end || *self.closed_at.lock() == Some(end) {
            return Ok(());
        }
        if let Err(error) = writer.segment.file.sync() {
            let name = writer.segment.id.file_name();
            return Err(self.poison(writer, Error::io(format!("syncing {name} failed"), error)));
        }
        self.syncs.fetch_add(1, Ordering::Relaxed);
        writer.synced = end;
        Ok(())
    }

    /// Ends the segment and begins the next. What stands in an ended segment is synced.
    pub(super) fn roll(&self, writer: &mut Writer) -> Result<()> {
        self.check_usable()?;
        self.flush(writer)?;
        self.sync_segment(writer)?;
        let number = writer.segment.last + 1;
        let header = SegmentHeader::written(number, self.store_id, writer.revision + 1, writer.chain);
        let encoder = self.next_encoder(writer.segment.id);
        let dictionary = encoder.as_ref().map(|encoder| &encoder.dictionary);
        let segment =
            match super::creation::create_segment(&*self.storage, header, self.segment_bytes, dictionary) {
                Ok(segment) => Arc::new(segment),
                Err(error) => return Err(self.poison(writer, error)),
            };
        // From here on the loss of the new segment would be noticed.
        self.append_mark(writer, Kind::Continued);
        self.flush(writer)?;
        self.sync_segment(writer)?;
        self.seal(&writer.segment, writer.end, writer.chain, Arc::clone(&segment))?;
        self.encoder.store(encoder);
        writer.end = segment.data_start;
        writer.synced = Location::new(segment.id, writer.end);
        writer.segment = segment;
        Ok(())
    }

    /// Refuses all further writes. What the failed write left in the file is cut off again if that can be
    /// done, so that a batch whose failure was reported does not come back.
    pub(super) fn poison(&self, writer: &Writer, error: Error) -> Error {
        let source = std::error::Error::source(&error).map_or(String::new(), |source| format!(": {source}"));
        let published = Location(self.published.load(Ordering::Acquire));
        let in_segment = published.segment() == writer.segment.id;
        // Buffered bytes that are published but not written yet must not become zeros.
        let file = &writer.segment.file;
        let cut = || {
            file.set_len(published.offset().min(file.len()?))?;
            // Else a power cut might bring back what was cut off.
            file.sync()
        };
        let cut = in_segment && cut().is_ok();
        let outcome = if cut {
            "the batch was not stored"
        } else {
            "whether the batch was stored will be known when the store is opened again"
        };
        let message = format!("{error}{source}; {outcome}");
        self.poisoned.lock().get_or_insert_with(|| message.clone());
        Error::new(error.kind(), format!("{}: {message}", self.path.display()))
    }

    /// Makes a batch visible that has reached its level.
    fn publish(&self, appended: Appended, request: &Request) -> Result<Commit> {
        let Appended { commit, changes, suspects, entered, end } = appended;
        if changes.is_empty() {
            return Ok(commit);
        }
        let encoded = request.encoded.lock();
        let none = RowLists::default();
        let lists = encoded.as_ref().map_or(&none, |encoded| encoded.batch.lists());
        let (revision, suspects, entered) = (commit.revision, &suspects, &entered);
        let batch = AppliedBatch { revision, changes: &changes, lists, suspects, entered };
        let publish = || {
            for placed in &changes {
                if let Change::EntityRemoved(address) = &placed.change {
                    self.cache.forget(address);
                }
            }
            self.published.store(end, Ordering::Release);
            self.revision.store(commit.revision, Ordering::Release);
        };
        if let Err(error) = self.tables.apply(&self.log, &batch, publish) {
            // It is in the log, but not visible as a whole: only opening the store again mends that.
            let message = format!("making revision {} visible failed: {error}", commit.revision);
            self.poisoned.lock().get_or_insert_with(|| message.clone());
            let message = format!("{}: {message}; opening the store again shows it", self.path.display());
            return Err(Error::new(ErrorKind::Poisoned, message));
        }
        self.waiting.wake();
        Ok(commit)
    }

    /// Syncs, and notes in the log that it was closed in order.
    fn close_log(&self, writer: &mut Writer) -> Result<()> {
        // Opening reads a segment that was not sealed, with all the memory that this takes.
        if self.tables.inner.read().active.bytes() > UNSEALED_BYTES_MAX {
            self.roll(writer)?;
        }
        self.reach(writer, Durability::Synced)?;
        if *self.closed_at.lock() == Some(Location::new(writer.segment.id, writer.end)) {
            return Ok(());
        }
        self.append_mark(writer, Kind::Close);
        self.reach(writer, Durability::Synced)
    }
}

impl DiskEngine {
    /// Ends all use of the store, in order if that can be done.
    pub(super) fn close_store(&self) -> Result<()> {
        if self.closed.load(Ordering::Acquire) {
            return Ok(());
        }
        if !self.owner.is_here() {
            // Its log is another process's, and a lock may be held by a thread that is not here.
            self.closed.store(true, Ordering::Release);
            return Ok(());
        }
        let mut writer = self.writer.lock();
        let is_poisoned = self.poisoned.lock().is_some();
        let closed = match is_poisoned {
            false => self.close_log(&mut writer),
            true if writer.synced >= Location(self.published.load(Ordering::Acquire)) => Ok(()),
            true => self.check_usable(),
        };
        self.forget_damaged_sidecars();
        self.closed.store(true, Ordering::Release);
        self.waiting.wake();
        *self.lock.lock() = None;
        closed
    }

    /// Puts a frame behind the tail that ends the log or a segment. Everything before it is synced.
    fn append_mark(&self, writer: &mut Writer, kind: Kind) {
        let payload = CommitPayload {
            revision: writer.revision,
            frames: 0,
            batch_bytes: 0,
            frames_crc: 0,
            synced: Location::new(writer.segment.id, writer.end),
            chain: writer.chain,
        };
        let mut tail = self.log.tail.write();
        (tail.segment, tail.offset) = (Some(writer.segment.id), writer.end - tail.bytes.len() as u64);
        write_mark(&mut tail, writer.segment.salt, kind, &payload);
        writer.end = tail.offset + tail.bytes.len() as u64;
    }
}

/// Puts a frame behind the tail that ends a batch, a segment or the log.
fn write_mark(tail: &mut Tail, salt: Salt, kind: Kind, payload: &CommitPayload) {
    let start = tail.bytes.len();
    write_frame(&mut tail.bytes, Label { kind, flags: 0, ordinal: 0 }, &[], &[&payload.encode()]);
    salt.at(tail.offset + start as u64).put_on(&mut tail.bytes[start..]);
}

/// The changes of a batch with the places of their frames.
fn place_changes(encoded: &EncodedBatch, places: &[(usize, Location)]) -> Vec<Placed> {
    let place = |(index, location): &(usize, Location)| {
        let change = match &encoded.batch.operations()[*index] {
            Operation::PutEntity(change) => {
                Change::Entity { address: change.address, draft: Some(Arc::clone(&change.draft)) }
            }
            Operation::RemoveEntity(address) => Change::EntityRemoved(*address),
            Operation::PutBlob { id, .. } => Change::Blob(*id),
            Operation::RemoveBlob(id) => Change::BlobRemoved(*id),
            Operation::PutRecord { key, .. } => Change::Record(key.clone()),
            Operation::RemoveRecord { key, .. } => Change::RecordRemoved(key.clone()),
        };
        // A batch has at most 2^20 operations.
        Placed { change, location: *location, ordinal: *index as u32 }
    };
    places.iter().map(place).collect()
}

#[cfg(all(test, feature = "testing"))]
mod tests;
