//! Changes behind a revision, read from the log itself: what is kept there is all that can be watched.
//!
//! Nothing is locked while the log is read: whoever is slow holds up nobody. A batch that is reported was
//! verified, frames and commit frame; where one is damaged or missing, that is an error which names the place.

use std::sync::atomic::Ordering;
use std::time::Duration;

use statlas_core::{Address, BlobId};

use super::DiskEngine;
use super::format::{CommitPayload, Frame, Kind, Location, SEGMENT_HEADER_BYTES, SegmentId};
use super::log::{LogFile, corrupt};
use super::scan::{WINDOW_BYTES, Window};
use super::sidecar::Mark;
use crate::change::{Change, ChangeKind, Changes, check_after};
use crate::error::{Error, Result};

impl DiskEngine {
    pub(super) fn read_changes(&self, after: u64, limit: usize) -> Result<Changes> {
        self.check_open()?;
        let (newest, published, view, active, active_start) = {
            // Under the lock no batch is half visible, and marks do not move from the active segment into a sidecar.
            let inner = self.tables.inner.read();
            let newest = self.revision.load(Ordering::Acquire);
            let published = Location(self.published.load(Ordering::Acquire));
            let start = start_of(inner.active.marks(), after);
            (newest, published, self.log.view.load_full(), inner.active.id, start)
        };
        let forgotten = view.segments.iter().map(|segment| segment.log.forgotten).max();
        check_after(after, newest, forgotten.unwrap_or(0))?;
        let mut reading = Reading::new(after, newest, limit);
        let mut buffer = self.buffers.take(WINDOW_BYTES);
        for segment in &view.segments {
            let log = &*segment.log;
            match &segment.sealed {
                Some(sealed) if sealed.sidecar.summary().last_revision <= after => {}
                // A sidecar whose marks can't be read is no reason to give up: they save time and no more.
                Some(sealed) => {
                    let start = start_of(&sealed.sidecar.marks().unwrap_or_default(), after);
                    reading.file(log, start, log.written(), &mut buffer)?;
                }
                None if log.id == published.segment() => {
                    let start = if log.id == active { active_start } else { SEGMENT_HEADER_BYTES as u64 };
                    let (tail_start, tail) = self.unwritten(log, published.offset());
                    reading.file(log, start, tail_start, &mut buffer)?;
                    reading.bytes(log, tail_start, &tail)?;
                }
                // It was begun since, and nothing in it is of the revisions that are read.
                None => {}
            }
        }
        reading.finish()
    }

    pub(super) fn wait_for_revision(&self, after: u64, at_most: Duration) -> Result<u64> {
        let newest = || self.revision.load(Ordering::Acquire);
        self.check_process()?;
        let look = || match self.check_open() {
            Ok(()) => Some(newest()).filter(|newest| *newest > after).map(Ok),
            Err(error) => Some(Err(error)),
        };
        self.waiting.wait(at_most, look).unwrap_or_else(|| Ok(newest()))
    }

    /// What stands before `end` in a file and is not written yet, and where it will stand.
    fn unwritten(&self, log: &LogFile, end: u64) -> (u64, Vec<u8>) {
        if log.written() >= end {
            return (end, Vec::new());
        }
        let tail = self.log.tail.read();
        // Written meanwhile, which can't happen any more under the lock.
        if log.written() >= end || tail.segment != Some(log.id) {
            return (end, Vec::new());
        }
        let bytes = end.saturating_sub(tail.offset) as usize;
        (tail.offset, tail.bytes.get(..bytes).unwrap_or_default().to_vec())
    }
}

/// Where to begin reading for the changes behind a revision: at a mark, or at the first frame.
fn start_of(marks: &[Mark], after: u64) -> u64 {
    let before = marks.partition_point(|mark| mark.revision <= after.saturating_add(1));
    before.checked_sub(1).map_or(SEGMENT_HEADER_BYTES as u64, |last| marks[last].offset)
}

/// The changes that were read so far.
struct Reading {
    newest: u64,
    limit: usize,
    /// The last commit frame that was read.
    place: Location,
    found: Changes,
    /// Whether the next revision does not fit any more, or is not visible yet.
    is_done: bool,
    /// The frames since the last commit frame.
    frames: Vec<ReadFrame>,
    /// The last damage since the last whole batch: what is missing behind it, was there.
    damage: Option<(Location, &'static str)>,
}

struct ReadFrame {
    offset: u64,
    crc: u32,
    ordinal: u32,
    /// `None` if that can't be told.
    kind: Option<ChangeKind>,
}

impl Reading {
    fn new(after: u64, newest: u64, limit: usize) -> Self {
        let found = Changes { changes: Vec::new(), revision: after };
        let place = Location::new(SegmentId::written(1), SEGMENT_HEADER_BYTES as u64);
        Self { newest, limit, place, found, is_done: after == newest, frames: Vec::new(), damage: None }
    }

    /// Reads a file, or the part of it between two places at which batches begin.
    fn file(&mut self, log: &LogFile, start: u64, end: u64, buffer: &mut Vec<u8>) -> Result<()> {
        let failed = |error| Error::io(format!("reading {} failed", log.id.file_name()), error);
        self.frames.clear();
        let mut window = Window::new(&*log.file, end, log.salt, buffer);
        let mut at = start;
        while at < end && !self.is_done {
            let place = Location::new(log.id, at);
            let wrong = match window.frame(at).map_err(failed)? {
                Ok(frame) => {
                    self.frame(place, &frame)?;
                    at += frame.header.frame_bytes() as u64;
                    continue;
                }
                Err(reason) => reason,
            };
            // It may be damage of a batch that was worked through long ago.
            self.damage = Some((place, wrong));
            match window.next_frame(at).map_err(failed)? {
                Some(next) => at = next,
                None => break,
            }
        }
        Ok(())
    }

    /// Reads what will stand in a file from an offset on.
    fn bytes(&mut self, log: &LogFile, start: u64, bytes: &[u8]) -> Result<()> {
        let mut at = 0;
        while at < bytes.len() && !self.is_done {
            let place = Location::new(log.id, start + at as u64);
            let mark = log.salt.at(place.offset());
            let frame = Frame::decode(&bytes[at..], mark).map_err(|reason| corrupt(place, reason))?;
            self.frame(place, &frame)?;
            at += frame.header.frame_bytes();
        }
        Ok(())
    }

    fn frame(&mut self, place: Location, frame: &Frame<'_>) -> Result<()> {
        match frame.header.kind {
            Kind::Commit | Kind::Reduced => self.commit(place, frame.header.kind, &frame.commit()),
            // They end no batch.
            Kind::Close | Kind::Continued | Kind::Dictionary => Ok(()),
            _ => {
                let (crc, ordinal) = (frame.header.crc, frame.header.ordinal);
                self.frames.push(ReadFrame { offset: place.offset(), crc, ordinal, kind: kind_of(frame) });
                Ok(())
            }
        }
    }

    fn commit(&mut self, place: Location, kind: Kind, commit: &CommitPayload) -> Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        self.place = place;
        let revision = commit.revision;
        if revision <= self.found.revision {
            self.damage = None;
            return Ok(());
        }
        if revision > self.newest {
            self.is_done = true;
            return Ok(());
        }
        if revision != self.found.revision + 1 {
            return Err(self.missing(place));
        }
        // Frames before the batch's own are of one whose commit frame is damaged.
        let start = place.offset().saturating_sub(commit.batch_bytes.into());
        frames.drain(..frames.partition_point(|frame| frame.offset < start));
        let crcs = |crcs, frame: &ReadFrame| crc32c::crc32c_append(crcs, &frame.crc.to_le_bytes());
        // A batch that lost frames without a trace belongs to a history that is not kept.
        let is_whole = kind == Kind::Commit
            && frames.len() as u64 == u64::from(commit.frames)
            && frames.iter().fold(0, crcs) == commit.frames_crc
            && frames.iter().all(|frame| frame.kind.is_some());
        if !is_whole {
            return Err(self.missing(Location::new(place.segment(), start)));
        }
        let found = &mut self.found;
        if !found.changes.is_empty() && found.changes.len() + frames.len() > self.limit {
            self.is_done = true;
            return Ok(());
        }
        let change = |frame: ReadFrame| Some(Change { revision, ordinal: frame.ordinal, kind: frame.kind? });
        found.changes.extend(frames.into_iter().filter_map(change));
        found.revision = revision;
        self.is_done = revision == self.newest || found.changes.len() >= self.limit;
        self.damage = None;
        Ok(())
    }

    /// The error that says that the next revision can't be read, which shows at a place or behind damage.
    fn missing(&self, place: Location) -> Error {
        let revision = self.found.revision + 1;
        match self.damage {
            Some((place, reason)) => {
                corrupt(place, &format!("{reason}; the changes of revision {revision} can't be read"))
            }
            None => corrupt(place, &format!("the changes of revision {revision} are missing or damaged")),
        }
    }

    fn finish(self) -> Result<Changes> {
        if self.is_done {
            return Ok(self.found);
        }
        Err(self.missing(self.place))
    }
}

/// What a frame of a batch did; of a husk, what the frame did that it stands for.
fn kind_of(frame: &Frame<'_>) -> Option<ChangeKind> {
    Some(match frame.header.kind {
        Kind::Entity => ChangeKind::EntityPut(Address(frame.sha256())),
        Kind::Blob => ChangeKind::BlobPut(BlobId(frame.sha256())),
        Kind::Record => ChangeKind::RecordPut(frame.record_key()?),
        Kind::EntityRemoved => ChangeKind::EntityRemoved(Address(frame.sha256())),
        Kind::BlobRemoved => ChangeKind::BlobRemoved(BlobId(frame.sha256())),
        Kind::RecordRemoved => ChangeKind::RecordRemoved(frame.record_key()?),
        // Husks are made of frames with content only.
        Kind::Husk => kind_of(&frame.husk_of().filter(|frame| frame.header.kind != Kind::Husk)?)?,
        Kind::Dictionary | Kind::Commit | Kind::Close | Kind::Continued | Kind::Reduced => return None,
    })
}
