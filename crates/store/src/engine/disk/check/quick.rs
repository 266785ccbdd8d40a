//! The check that does not read what is stored in complete segments.
//!
//! It finds files that are missing, cut, mixed up or not the ones that their sidecars describe, damaged sidecars,
//! and anything wrong in the segment that is being written. It does not find a bit that flipped inside a frame of
//! a complete segment: reading those is most of the work, and the report says how many bytes that is.

use std::collections::HashSet;

use super::{Check, Extent};
use crate::engine::disk::DiskEngine;
use crate::engine::disk::format::{
    COMMIT_FRAME_BYTES, CommitPayload, Frame, Location, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::engine::disk::kept_batches::kept_batches;
use crate::engine::disk::log::LogFile;
use crate::engine::disk::scan::{Depth, scan_in_order};
use crate::engine::disk::view::Sealed;
use crate::engine::{CheckReport, ProgressFn};
use crate::error::Result;

/// What is read of a complete segment: its header and the frame at its end.
const ENDS_BYTES: u64 = (SEGMENT_HEADER_BYTES + COMMIT_FRAME_BYTES) as u64;

impl DiskEngine {
    pub(in crate::engine::disk) fn check_log_quickly(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        let Extent { view, segments, end } = self.extent()?;
        let mut check = Check::new(self, &view)?;
        // What the opening found is known without reading it again.
        check.report.damage.clone_from(&self.damage);
        let sealed = |at: usize| view.segments[at].sealed.as_deref();
        let to_read = |(at, (_, bytes)): (usize, &(_, u64))| {
            sealed(at).map_or(*bytes, |sealed| sealed.sidecar.bytes() + ENDS_BYTES)
        };
        let total = segments.iter().enumerate().map(to_read).sum();
        for (at, (log, bytes)) in segments.iter().enumerate() {
            match sealed(at) {
                Some(sealed) => check.sealed(log, sealed),
                None => {
                    let segment = [(std::sync::Arc::clone(log), *bytes)];
                    scan_in_order(&segment, Depth::Hashes, |scanned| check.segment(scanned))?;
                }
            }
            progress(check.report.bytes, total);
        }
        check.finish_index(end);
        for segment in &view.segments {
            check.sidecar(segment);
        }
        let kept = kept_batches(&*self.storage)?;
        check.report.damage.extend(kept.into_iter().chain(self.header_damage()));
        // Some of what is known since the opening is found again.
        let mut seen = HashSet::new();
        check.report.damage.retain(|line| seen.insert(line.clone()));
        check.report.chain_head = crate::engine::disk::hex(&check.chain.unwrap_or_default());
        Ok(check.report)
    }
}

impl Check<'_> {
    /// Compares a complete segment with what its sidecar says of it.
    fn sealed(&mut self, log: &LogFile, sealed: &Sealed) {
        let id = log.id;
        self.number(log.first, log.last);
        let known = sealed.sidecar.identity().log_bytes;
        self.report.bytes += sealed.sidecar.bytes() + ENDS_BYTES;
        self.report.bytes_unread += known.saturating_sub(ENDS_BYTES);
        match log.file.len() {
            Ok(found) if found == known => {}
            Ok(found) => {
                self.report.damage.push(format!("{id}: found {found} bytes in the file; expected {known}"))
            }
            Err(error) => {
                self.report.damage.push(format!("{id}: the file can't be asked for its length: {error}"))
            }
        }
        self.header_of(id, read_header(log));
        let mark = read_mark(log, known);
        let summary = sealed.sidecar.summary();
        match mark {
            Ok(mark) if mark.chain == summary.chain && mark.revision >= summary.last_revision => {}
            Ok(mark) => {
                self.report.damage.push(format!(
                    "{id}: it ends with revision {}, where its sidecar knows of revision {}, or with another chain",
                    mark.revision, summary.last_revision
                ));
                self.engine.forget_sidecar(self.reader.view, id);
            }
            Err(reason) => {
                let place = Location::new(id, known.saturating_sub(COMMIT_FRAME_BYTES as u64));
                self.report
                    .damage
                    .push(format!("{place}: the last frame of the segment is damaged: {reason}"));
                self.engine.forget_sidecar(self.reader.view, id);
            }
        }
        self.chain = mark.ok().map(|mark| mark.chain);
        self.revision = summary.last_revision;
    }
}

fn read_header(log: &LogFile) -> std::result::Result<SegmentHeader, &'static str> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    log.file.read_at(0, &mut bytes).map_err(|_| "the header can't be read")?;
    SegmentHeader::decode(&bytes)
}

/// The frame that ends a segment: of its last batch, or of the segment itself.
fn read_mark(log: &LogFile, end: u64) -> std::result::Result<CommitPayload, &'static str> {
    let mut bytes = [0; COMMIT_FRAME_BYTES];
    let at = end.checked_sub(COMMIT_FRAME_BYTES as u64).ok_or("the segment is too short")?;
    log.file.read_at(at, &mut bytes).map_err(|_| "it can't be read")?;
    let frame = Frame::decode(&bytes, log.salt.at(at))?;
    if frame.header.kind.ends_batch() { Ok(frame.commit()) } else { Err("it does not end a batch") }
}
