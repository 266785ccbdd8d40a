//! What is lost of a damaged store, and what may be out of date.
//!
//! A damaged frame counts for what its own header and key say it was, which is not verified. Whether anything
//! is lost by it shows later: what is stored again or removed behind it is not missed.

use std::collections::HashMap;

use statlas_core::{Address, BlobId};

use super::source::Source;
use crate::batch::RecordKey;
use crate::engine::disk::DiskEngine;
use crate::engine::disk::damaged::describe;
use crate::engine::disk::format::{FRAME_HEADER_BYTES, FrameHeader, Kind, Location};
use crate::engine::disk::scan::{Change, Damage, ScannedSegment, Seems, Window};
use crate::engine::{Engine, RepairReport};
use crate::error::{ErrorKind, Result};

/// What a frame is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    Entity([u8; 32]),
    Blob([u8; 32]),
    Record(RecordKey),
}

impl Subject {
    /// The subject of a whole frame.
    pub(super) fn of(change: &Change) -> Option<Self> {
        match change {
            Change::Entity { address: Address(key), .. } | Change::EntityRemoved(Address(key)) => {
                Some(Self::Entity(*key))
            }
            Change::Blob(BlobId(key)) | Change::BlobRemoved(BlobId(key)) => Some(Self::Blob(*key)),
            Change::Record(key) | Change::RecordRemoved(key) => Some(Self::Record(key.clone())),
            Change::Husk => None,
        }
    }

    fn is_in(&self, engine: &DiskEngine) -> Result<bool> {
        let is_there = match self {
            Self::Entity(key) => engine.entity(&Address(*key)).map(|found| found.is_some()),
            Self::Blob(key) => engine.has_blob(&BlobId(*key)),
            Self::Record(key) => engine.record(key).map(|found| found.is_some()),
        };
        match is_there {
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(false),
            other => other,
        }
    }
}

/// What a damaged frame seems to have done, and where.
struct Pending {
    line: String,
    is_removal: bool,
}

#[derive(Default)]
pub(super) struct Losses {
    lost: Vec<String>,
    outdated: Vec<String>,
    notes: Vec<String>,
    pending: HashMap<Subject, Vec<Pending>>,
    /// Subjects with something pending, in the order in which they were met.
    order: Vec<Subject>,
}

impl Losses {
    pub(super) fn lose(&mut self, line: String) {
        self.lost.push(line);
    }

    pub(super) fn note(&mut self, line: String) {
        self.notes.push(line);
    }

    pub(super) fn outdate(&mut self, line: String) {
        self.outdated.push(line);
    }

    /// Takes a damaged place; `kind` is what the frame says it is, if it says anything.
    pub(super) fn damage(&mut self, place: &Damage, kind: Option<Kind>) {
        let line = describe(place);
        let subject = match &place.seems {
            Some(Seems::Entity(key)) => Subject::Entity(*key),
            Some(Seems::Blob(key)) => Subject::Blob(*key),
            Some(Seems::Record(key)) => Subject::Record(key.clone()),
            Some(Seems::Dictionary) => {
                self.notes
                    .push(format!("{line}; texts that need it are listed themselves if there is no other"));
                return;
            }
            None => {
                match kind {
                    Some(kind) if kind.ends_batch() => {
                        self.notes.push(format!("{line}; it only ended a batch, whose frames were saved"));
                    }
                    Some(Kind::Husk) => {
                        self.notes.push(format!("{line}; it only was a trace of the history"))
                    }
                    _ => self.lost.push(line),
                }
                return;
            }
        };
        let is_removal = matches!(kind, Some(Kind::EntityRemoved | Kind::BlobRemoved | Kind::RecordRemoved));
        if !self.pending.contains_key(&subject) {
            self.order.push(subject.clone());
        }
        self.pending.entry(subject).or_default().push(Pending { line, is_removal });
    }

    /// A whole frame about a subject says what has become of it, whatever was damaged before.
    pub(super) fn settle(&mut self, subject: &Subject) {
        if self.pending.is_empty() {
            return;
        }
        for pending in self.pending.remove(subject).into_iter().flatten() {
            self.notes
                .push(format!("{}; a later frame about it is whole, so that nothing is lost", pending.line));
        }
        self.order.retain(|other| self.pending.contains_key(other));
    }

    /// Sorts out what is still pending, now that everything is in the new store.
    pub(super) fn finish(mut self, engine: &DiskEngine, report: &mut RepairReport) -> Result<()> {
        for subject in std::mem::take(&mut self.order) {
            let is_there = subject.is_in(engine)?;
            for Pending { line, is_removal } in self.pending.remove(&subject).into_iter().flatten() {
                match (&subject, is_removal, is_there) {
                    (_, true, true) => {
                        self.outdated.push(format!("{line}; it was a removal: what it removed is here"))
                    }
                    (_, true, false) => {
                        self.notes.push(format!("{line}; it was a removal of what is not here"))
                    }
                    (Subject::Record(_), false, true) => {
                        self.outdated.push(format!("{line}; the record has the value of before"));
                    }
                    (_, false, true) => self.notes.push(format!("{line}; it is stored elsewhere as well")),
                    (_, false, false) => self.lost.push(line),
                }
            }
        }
        report.lost.extend(self.lost);
        report.outdated.extend(self.outdated);
        report.notes.extend(self.notes);
        Ok(())
    }
}

/// What a damaged frame says it is, if its header makes sense and claims just the damaged bytes.
pub(super) fn claimed_kind(window: &mut Window<'_>, place: &Damage) -> std::io::Result<Option<Kind>> {
    let bytes = window.at(place.start.offset(), FRAME_HEADER_BYTES)?.first_chunk();
    let header = bytes.and_then(|bytes| FrameHeader::decode(bytes).ok());
    Ok(header.filter(|header| header.frame_bytes() as u64 == place.bytes).map(|header| header.kind))
}

/// The entities that damaged frames seem to have stored.
pub(super) fn damaged_entities(source: &Source, damage: &[Damage]) -> Result<Vec<[u8; 32]>> {
    let (mut buffer, mut found) = (Vec::new(), Vec::new());
    for place in damage {
        let Some(Seems::Entity(key)) = place.seems else { continue };
        let kind =
            claimed_kind(&mut source.window(&mut buffer), place).map_err(|error| source.failed(error))?;
        if kind == Some(Kind::Entity) {
            found.push(key);
        }
    }
    Ok(found)
}

/// The damaged bytes behind the last frame of a segment, which no scan lists, and what they begin with.
pub(super) fn damaged_tail(
    source: &Source,
    scanned: &ScannedSegment,
) -> Result<Option<(Damage, Option<Kind>)>> {
    let mut buffer = Vec::new();
    let mut window = source.window(&mut buffer);
    let failed = |error| source.failed(error);
    let mut start = scanned.end;
    if let Some(last) = scanned.uncommitted.last() {
        let at = last.location.offset();
        start = match window.frame(at).map_err(failed)? {
            Ok(frame) => at + frame.header.frame_bytes() as u64,
            Err(_) => at,
        };
    }
    for place in &scanned.damage {
        start = start.max(place.start.offset() + place.bytes);
    }
    if start >= source.bytes {
        return Ok(None);
    }
    let bytes = window.at(start, FRAME_HEADER_BYTES).map_err(failed)?.first_chunk();
    let header = bytes.and_then(|bytes| FrameHeader::decode(bytes).ok());
    let frame = match header {
        Some(header) => {
            let bytes = window.at(start, FRAME_HEADER_BYTES + header.key_bytes).map_err(failed)?;
            crate::engine::disk::format::Frame::unverified(header, bytes)
        }
        None => None,
    };
    let seems = frame.as_ref().and_then(crate::engine::disk::scan::seems);
    let reason = "no whole frame follows to the end of the file".to_owned();
    let damage =
        Damage { start: Location::new(source.id, start), bytes: source.bytes - start, reason, seems };
    // Whether more than one frame stood there is not known, unless it is as long as it says.
    let kind = header.filter(|header| header.frame_bytes() as u64 >= damage.bytes).map(|header| header.kind);
    Ok(Some((damage, kind)))
}
