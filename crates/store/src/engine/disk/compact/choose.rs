//! Which segments to compact.

use crate::engine::disk::view::{Sealed, View};
use crate::engine::disk::{DiskEngine, SEGMENT_BYTES_MAX};
use crate::error::Result;

/// Neighbours with less content than this part of a full segment are compacted along with others.
const SMALL_PART: u64 = 4;

/// Complete segments next to each other, by their positions in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: usize,
    /// Behind the last.
    pub(super) end: usize,
}

/// What a segment would be without its garbage.
#[derive(Clone, Copy)]
struct Weight {
    bytes: u64,
    garbage: u64,
}

impl Weight {
    fn live(self) -> u64 {
        self.bytes.saturating_sub(self.garbage)
    }
}

impl DiskEngine {
    /// The run around the segment with most garbage, if that is at least `garbage_part` of it. Compacted files
    /// with numbers above `newest` belong to no run.
    ///
    /// # Errors
    ///
    /// What reading a dictionary can give: compressed texts are copied as they are, so that no two dictionaries may
    /// meet in a run.
    pub(super) fn choose_run(&self, view: &View, garbage_part: f64, newest: u32) -> Result<Option<Run>> {
        let weights: Vec<Option<Weight>> = view
            .segments
            .iter()
            .map(|segment| {
                let id = segment.log.id;
                let is_candidate =
                    (!id.is_compacted() || id.number() <= newest) && !self.upkeep.is_left_out(id);
                let sealed = segment.sealed.as_deref().filter(|_| is_candidate)?;
                let garbage = sealed.garbage() + self.forgettable(sealed);
                Some(Weight { bytes: segment.log.written(), garbage })
            })
            .collect();
        let part = |weight: Weight| weight.garbage as f64 / weight.bytes.max(1) as f64;
        let worst = |(at, weight): (usize, &Option<Weight>)| weight.map(|weight| (at, part(weight)));
        let candidates = weights.iter().enumerate().filter_map(worst);
        let worst = candidates
            .filter(|(_, part)| *part > 0.0 && *part >= garbage_part)
            .max_by(|(_, one), (_, other)| one.total_cmp(other));
        let Some((at, weight)) = worst.and_then(|(at, _)| Some((at, weights[at]?))) else { return Ok(None) };
        let mut run = Run { start: at, end: at + 1 };
        let dictionary_of = |at: usize| -> Result<Option<[u8; 32]>> {
            let log = &view.segments[at].log;
            let found = self.log.texts.dictionary_of(log);
            let found = found.inspect_err(|error| self.leave_out_damaged(view, log.id, error))?;
            Ok(found.map(|dictionary| dictionary.key))
        };
        let mut dictionary = dictionary_of(at)?;
        // The husks of what is garbage may be kept. None is longer than its frame, so that the file can't outgrow
        // what a place can tell.
        let (mut live, mut bytes) = (weight.live(), weight.bytes);
        // Segments on one side of what the indexes cover only, so that a run lies on one side, too.
        let same_side = |other: usize| (other < view.covered_from) == (at < view.covered_from);
        let mut takes = |at: usize| -> Result<bool> {
            Ok(match weights.get(at).copied().flatten() {
                Some(weight)
                    if same_side(at)
                        && live + weight.live() <= self.segment_bytes
                        && bytes + weight.bytes <= SEGMENT_BYTES_MAX =>
                {
                    let is_small = weight.live() < self.segment_bytes / SMALL_PART;
                    let joins = is_small || (part(weight) > 0.0 && part(weight) >= garbage_part);
                    let other = if joins { dictionary_of(at)? } else { None };
                    let joins = joins && (dictionary.is_none() || other.is_none() || other == dictionary);
                    if joins {
                        live += weight.live();
                        bytes += weight.bytes;
                        dictionary = dictionary.or(other);
                    }
                    joins
                }
                _ => false,
            })
        };
        while takes(run.end)? {
            run.end += 1;
        }
        while run.start > 0 && takes(run.start - 1)? {
            run.start -= 1;
        }
        Ok(Some(run))
    }

    /// Bytes of husks that a segment need not keep any longer.
    fn forgettable(&self, sealed: &Sealed) -> u64 {
        let summary = sealed.sidecar.summary();
        if summary.last_revision <= self.history_end() { summary.husk_bytes } else { 0 }
    }

    /// The newest revision whose history need not be kept.
    pub(in crate::engine::disk) fn history_end(&self) -> u64 {
        let revision = self.revision.load(std::sync::atomic::Ordering::Acquire);
        revision.saturating_sub(self.history_revisions)
    }
}
