//! What the store does by itself while it is open: it brings indexes into memory, compacts and scrubs.
//!
//! What failed is tried again later and later, so that a store that is full or damaged is not read and written for
//! ever. A segment that compaction found damaged is let alone until the store is opened again. The last error is
//! kept for whoever asks: nobody waits for this work who could be told.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::DiskEngine;
use super::format::SegmentId;
use super::view::View;
use crate::error::{Error, ErrorKind, Result};

/// How long what failed once is let alone; each further failure doubles that.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_mins(10);

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Sealing,
    Coverage,
    Compaction,
    Scrubbing,
}

impl Task {
    const ALL: [Self; 4] = [Self::Sealing, Self::Coverage, Self::Compaction, Self::Scrubbing];

    fn as_str(self) -> &'static str {
        match self {
            Self::Sealing => "sealing a segment",
            Self::Coverage => "bringing indexes into memory",
            Self::Compaction => "compacting",
            Self::Scrubbing => "scrubbing",
        }
    }
}

/// How the work goes.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    pauses: Mutex<[Pause; Task::ALL.len()]>,
    last_error: Mutex<Option<String>>,
    /// Segments that compaction found damaged.
    left_out: Mutex<HashSet<SegmentId>>,
}

/// The time after failures.
#[derive(Debug, Clone, Copy, Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
}

impl Pause {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    fn lengthen(&mut self, now: Instant) {
        let longer = 2_u32.saturating_pow(self.failures);
        self.failures = self.failures.saturating_add(1);
        // What can't be counted any more is never.
        self.until = now.checked_add(PAUSE_FIRST.saturating_mul(longer).min(PAUSE_MAX));
    }
}

impl Upkeep {
    /// The last error since the store was opened.
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().clone()
    }

    /// Whether compaction found a segment damaged.
    pub(super) fn is_left_out(&self, segment: SegmentId) -> bool {
        self.left_out.lock().contains(&segment)
    }

    /// How many segments compaction found damaged.
    pub(super) fn left_out(&self) -> usize {
        self.left_out.lock().len()
    }

    /// Lets compaction try all segments again.
    pub(super) fn leave_none_out(&self) {
        self.left_out.lock().clear();
    }

    fn is_due(&self, task: Task, now: Instant) -> bool {
        self.pauses.lock()[task as usize].is_over(now)
    }

    fn succeeded(&self, task: Task) {
        self.pauses.lock()[task as usize] = Pause::default();
    }

    fn failed(&self, task: Task, now: Instant, error: &Error) {
        self.pauses.lock()[task as usize].lengthen(now);
        let source = std::error::Error::source(error).map_or(String::new(), |source| format!(": {source}"));
        *self.last_error.lock() = Some(format!("{}: {error}{source}", task.as_str()));
    }
}

impl DiskEngine {
    /// Does one piece of work that is due; whether there was one. What fails keeps nothing else from being done.
    pub(super) fn keep_up(&self) -> Result<bool> {
        self.check_process()?;
        self.cache.revive(&self.budget, self.log.view.load().covered_from > 0);
        let mut outcome = Ok(false);
        for task in Task::ALL {
            if !self.upkeep.is_due(task, Instant::now()) {
                continue;
            }
            let done = match task {
                Task::Sealing => self.seal_if_large(),
                Task::Coverage => self.cover_more(),
                Task::Compaction => self.compact_if_worthwhile(),
                Task::Scrubbing => self.scrub_by_itself(),
            };
            match done {
                Ok(done) => {
                    self.upkeep.succeeded(task);
                    if done {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::Closed => return Err(error),
                Err(error) => {
                    self.upkeep.failed(task, Instant::now(), &error);
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    /// Takes note of damage that compaction met in a segment: that one is compacted no more, and the next opening
    /// reads it and knows what is damaged, as after a check that found it.
    pub(super) fn leave_out_damaged(&self, view: &View, segment: SegmentId, error: &Error) {
        if error.kind() == ErrorKind::Corrupt {
            self.upkeep.left_out.lock().insert(segment);
            self.forget_sidecar(view, segment);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_again_later_and_later_but_some_time() {
        let (upkeep, begun) = (Upkeep::default(), Instant::now());
        let error = Error::io("writing failed", std::io::ErrorKind::StorageFull.into());
        let (mut now, mut pauses) = (begun, Vec::new());
        for _ in 0..40 {
            assert!(upkeep.is_due(Task::Compaction, now));
            upkeep.failed(Task::Compaction, now, &error);
            assert!(!upkeep.is_due(Task::Compaction, now));
            assert!(upkeep.is_due(Task::Scrubbing, now), "other work goes on");
            let until = upkeep.pauses.lock()[Task::Compaction as usize].until.expect("it is tried again");
            pauses.push(until - now);
            now = until;
        }
        assert!(pauses.is_sorted() && pauses[0] == PAUSE_FIRST && pauses[39] == PAUSE_MAX, "{pauses:?}");
        let last = upkeep.last_error().expect("there was one");
        assert!(last.starts_with("compacting: writing failed: "), "{last}");
        upkeep.succeeded(Task::Compaction);
        assert!(upkeep.is_due(Task::Compaction, begun));
    }
}
