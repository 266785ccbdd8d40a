//! Scrubbing: everything that is stored is read now and then and its checksums verified, slowly and in pieces,
//! so that damage is known while there still is a copy elsewhere.
//!
//! A pass covers what was in the log when it began. It goes on where the last piece stopped, also after the
//! store was opened again: the file SCRUB remembers how far it is. Segments that are compacted away meanwhile
//! are skipped, since compaction has read them and written what took their place. What is left out: addresses
//! and the hash chain, which a check verifies.

mod state;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use self::state::State;
use super::DiskEngine;
use super::check::Extent;
use super::compact::Throttle;
use super::damaged::describe;
use super::files::{end_missing, ends_in_order};
use super::format::{Location, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::log::LogFile;
use super::scan::{Depth, Window, scan};
use super::view::View;
use crate::engine::{ProgressFn, ScrubOptions, ScrubReport, ScrubStats};
use crate::error::{Error, Result};

const FILE: &str = "SCRUB";
/// How far it is is noted when so much was read since the last time: a killed process reads that again.
const NOTED_BYTES: u64 = 64 << 20;
/// How long the store by itself waits from the end of a pass to the beginning of the next.
const PAUSE: Duration = Duration::from_hours(24);

/// The scrubbing of a store.
#[derive(Default)]
pub(super) struct Scrubber {
    /// Held by the one who reads.
    running: Mutex<()>,
    /// What the file says; `None` until it was read.
    state: Mutex<Option<Option<State>>>,
}

impl DiskEngine {
    fn scrub_state(&self) -> Option<State> {
        // A file that is not there or damaged means starting over.
        let read = || self.storage.read(FILE, state::BYTES).ok().and_then(|bytes| State::decode(&bytes));
        *self.scrubber.state.lock().get_or_insert_with(read)
    }

    fn note_scrub_state(&self, state: &State) -> Result<()> {
        *self.scrubber.state.lock() = Some(Some(*state));
        let write = || {
            self.storage.write(FILE, &state.encode())?;
            self.storage.sync_folder(".")
        };
        write().map_err(|error| Error::io(format!("writing the file {FILE} failed"), error))
    }

    pub(super) fn scrub_stats(&self) -> Option<ScrubStats> {
        self.scrub_state().map(|state| state.stats())
    }

    pub(super) fn scrub_log(
        &self,
        options: &ScrubOptions<'_>,
        progress: ProgressFn<'_>,
    ) -> Result<ScrubReport> {
        self.check_open()?;
        let _one_at_a_time = self.scrubber.running.lock();
        let Extent { view, segments, end } = self.extent()?;
        let before = self.scrub_state();
        let state = match before {
            Some(state) if state.is_under_way => state,
            _ => State {
                is_under_way: true,
                begun_ms: now_ms(),
                ended_ms: before.map_or(0, |state| state.ended_ms),
                end,
                compacted_last: self.newest_compacted(&view),
                total: segments.iter().map(|(_, bytes)| bytes).sum(),
                ..State::default()
            },
        };
        let mut piece = Piece {
            engine: self,
            view: &view,
            state,
            throttle: Throttle::new(options.bytes_per_second),
            bytes_max: if options.bytes_max == 0 { u64::MAX } else { options.bytes_max },
            goes_on: options.goes_on,
            noted: 0,
            report: ScrubReport::default(),
            progress,
        };
        piece.note()?;
        for (log, bytes) in &segments {
            if piece.state.covers(log) && !piece.segment(log, *bytes)? {
                return piece.finish(false);
            }
        }
        piece.finish(true)
    }

    /// Scrubs for about a second if the options want that and it is time; whether it goes on at once.
    pub(super) fn scrub_by_itself(&self) -> Result<bool> {
        let rate = self.scrub_bytes_per_second;
        let is_resting = |state: State| {
            !state.is_under_way && now_ms().saturating_sub(state.ended_ms) < PAUSE.as_millis() as u64
        };
        if rate == 0 || self.scrub_state().is_some_and(is_resting) {
            return Ok(false);
        }
        let options = ScrubOptions { bytes_per_second: rate, bytes_max: rate, ..ScrubOptions::default() };
        Ok(!self.scrub_log(&options, &mut |_, _| {})?.is_pass_complete)
    }
}

/// A piece of a pass.
struct Piece<'a> {
    engine: &'a DiskEngine,
    view: &'a View,
    state: State,
    throttle: Throttle,
    bytes_max: u64,
    goes_on: &'a (dyn Fn() -> bool + Sync),
    /// How many bytes of the piece had been read when the state was noted.
    noted: u64,
    report: ScrubReport,
    progress: ProgressFn<'a>,
}

impl Piece<'_> {
    /// Reads a segment, from where the last piece stopped; whether there is time for another one.
    fn segment(&mut self, log: &LogFile, bytes: u64) -> Result<bool> {
        let failed = |error| Error::io(format!("reading {} failed", log.id.file_name()), error);
        let damage_before = self.report.damage.len();
        let mut buffer = Vec::new();
        let mut window = Window::new(&*log.file, bytes, log.salt, &mut buffer);
        let mut at = if self.state.segment == log.id { self.state.offset } else { 0 };
        self.state.segment = log.id;
        if at > bytes {
            at = 0;
        }
        let end = if log.id == self.state.end.segment() { self.state.end.offset().min(bytes) } else { bytes };
        while at < end {
            if self.report.bytes >= self.bytes_max || !(self.goes_on)() {
                self.state.offset = at;
                return Ok(false);
            }
            let next = if at == 0 {
                let header = SegmentHeader::decode(window.at(0, SEGMENT_HEADER_BYTES).map_err(failed)?);
                if let Err(reason) = header {
                    self.damaged(log, vec![format!("{} offset 0: {reason}", log.id)]);
                }
                SEGMENT_HEADER_BYTES as u64
            } else {
                match window.frame(at).map_err(failed)? {
                    Ok(frame) => at + frame.header.frame_bytes() as u64,
                    Err(_) => {
                        let found = damage_from(log, bytes, at).map_err(failed)?;
                        if !found.is_empty() {
                            self.damaged(log, found);
                        }
                        end
                    }
                }
            };
            self.read(next - at)?;
            at = next;
        }
        // Cut behind a batch, a complete segment has no damaged frame.
        let looks_whole = self.view.sealed(log.id).is_some() && self.report.damage.len() == damage_before;
        if looks_whole && !ends_in_order(&*log.file, log.salt, bytes).map_err(failed)? {
            self.damaged(log, vec![end_missing(log.id, bytes)]);
        }
        self.sidecar(log);
        (self.state.done, self.state.offset) = (log.last, 0);
        if self.report.bytes - self.noted >= NOTED_BYTES {
            self.note()?;
        }
        Ok(true)
    }

    /// Verifies the sidecar of a segment that was read to its end.
    fn sidecar(&mut self, log: &LogFile) {
        let Some(sealed) = self.view.sealed(log.id) else { return };
        let found = sealed.sidecar.verify(Location::offset_of_place);
        self.wait(sealed.sidecar.bytes());
        if !found.is_empty() {
            self.damaged(log, found);
        }
    }

    fn read(&mut self, bytes: u64) -> Result<()> {
        self.report.bytes += bytes;
        // A file SCRUB that something else wrote may say anything.
        self.state.bytes = self.state.bytes.saturating_add(bytes);
        (self.progress)(self.state.bytes.min(self.state.total), self.state.total);
        self.wait(bytes);
        self.engine.check_open()
    }

    /// Keeps to the rate, as long as the work is wanted.
    fn wait(&mut self, bytes: u64) {
        let Self { engine, goes_on, throttle, .. } = self;
        throttle.wait(bytes, &mut || goes_on() && engine.check_open().is_ok());
    }

    fn damaged(&mut self, log: &LogFile, found: Vec<String>) {
        self.engine.forget_sidecar(self.view, log.id);
        self.state.damage = self.state.damage.saturating_add(found.len() as u64);
        self.report.damage.extend(found);
    }

    fn note(&mut self) -> Result<()> {
        self.noted = self.report.bytes;
        self.engine.note_scrub_state(&self.state)
    }

    fn finish(mut self, is_pass_complete: bool) -> Result<ScrubReport> {
        if is_pass_complete {
            (self.state.is_under_way, self.state.ended_ms) = (false, now_ms());
        }
        self.note()?;
        let (waited, stats) = (self.throttle.waited, self.state.stats());
        Ok(ScrubReport { waited, is_pass_complete, stats, ..self.report })
    }
}

/// What is damaged in a segment from an offset on, where no frame begins. That is nothing if the whole segment
/// is sound: the offset came from a file SCRUB of something else.
fn damage_from(log: &LogFile, bytes: u64, at: u64) -> std::io::Result<Vec<String>> {
    let mut buffer = Vec::new();
    let scanned = scan(log.id, &mut Window::new(&*log.file, bytes, log.salt, &mut buffer), Depth::Checksums)?;
    let behind = scanned.damage.iter().filter(|place| place.start.offset() >= at);
    let mut found: Vec<String> = behind.map(describe).collect();
    let is_sound = scanned.damage.is_empty() && scanned.end == bytes && scanned.uncommitted.is_empty();
    if found.is_empty() && !is_sound {
        // No whole frame follows, so that the scan ended there.
        found.push(format!(
            "{}: {} bytes at the end of the segment are damaged",
            Location::new(log.id, at),
            bytes - at
        ));
    }
    Ok(found)
}

fn now_ms() -> u64 {
    // A clock before 1970 is no clock.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
