//! The proof of the history: the hash chain is computed again from what is stored.
//!
//! The proof begins with a head that somebody noted elsewhere, or without one with the beginning, and ends with
//! the present head. It says "proved" only if every batch between them is there, whole, in its order and with
//! the digest that the chain covers; who can write files can't make a chain that ends in a head noted before.
//! Where history was compacted away the chain begins anew, and nothing is said about what came before.

use std::ops::RangeInclusive;
use std::sync::atomic::Ordering;

use super::DiskEngine;
use super::check::Extent;
use super::format::{CommitPayload, Kind};
use super::scan::{Depth, ScannedBatch, ScannedSegment, next_chain, scan_in_order};
use crate::engine::{HistoryOutcome, HistoryReport, NotedHead, ProgressFn};
use crate::error::Result;

impl DiskEngine {
    pub(super) fn prove_history(
        &self,
        from: Option<NotedHead>,
        progress: ProgressFn<'_>,
    ) -> Result<HistoryReport> {
        self.check_open()?;
        let (newest, chain) = {
            let writer = self.writer.lock();
            (self.revision.load(Ordering::Acquire), writer.chain)
        };
        let mut proof = Proof::new(from, NotedHead { revision: newest, chain });
        let Extent { view: _view, segments, .. } = self.extent()?;
        let total = segments.iter().map(|(_, bytes)| bytes).sum();
        scan_in_order(&segments, Depth::Hashes, |scanned| {
            proof.segment(scanned);
            progress(proof.bytes, total);
            Ok(())
        })?;
        Ok(proof.finish())
    }
}

/// A proof on its way through the log.
struct Proof {
    noted: Option<NotedHead>,
    /// The present head, which the log must lead to; batches that come behind it are not looked at.
    present: NotedHead,
    /// The newest revision that was reached, and the head behind it.
    reached: NotedHead,
    /// The revision from which on every link was computed.
    from: u64,
    /// Whether the noted head was met.
    is_noted_met: bool,
    /// The newest revision of which something is gone.
    forgotten: u64,
    refuted: Option<(u64, String)>,
    bytes: u64,
    commits: u64,
}

impl Proof {
    fn new(noted: Option<NotedHead>, present: NotedHead) -> Self {
        let mut proof = Self {
            noted,
            present,
            reached: NotedHead { revision: 0, chain: [0; 32] },
            from: 0,
            is_noted_met: false,
            forgotten: 0,
            refuted: None,
            bytes: 0,
            commits: 0,
        };
        proof.meet();
        proof
    }

    fn segment(&mut self, scanned: ScannedSegment) {
        self.bytes += scanned.bytes;
        for batch in scanned.batches {
            self.batch(&batch);
        }
    }

    /// Notes the first thing that speaks against the history. What lies before a noted head is not asked for.
    fn refute(&mut self, revisions: RangeInclusive<u64>, reason: impl Into<String>) {
        let is_asked = self.noted.is_none_or(|noted| *revisions.end() > noted.revision);
        if is_asked && self.refuted.is_none() {
            self.refuted = Some((*revisions.start(), reason.into()));
        }
    }

    /// Compares the head that was reached with the noted one, if that is of the same revision.
    fn meet(&mut self) {
        let Some(noted) = self.noted.filter(|noted| noted.revision == self.reached.revision) else { return };
        if noted.chain == self.reached.chain {
            // What came before is vouched for by whoever noted it.
            (self.is_noted_met, self.from) = (true, noted.revision);
        } else if self.refuted.is_none() {
            let reason = "the noted head is not the head of this store's chain at its revision";
            self.refuted = Some((noted.revision, reason.to_owned()));
        }
    }

    fn batch(&mut self, batch: &ScannedBatch) {
        let CommitPayload { revision, chain, .. } = batch.commit;
        if revision > self.present.revision {
            return;
        }
        let is_batch = matches!(batch.kind, Kind::Commit | Kind::Reduced);
        let before = self.reached;
        if is_batch {
            self.commits += u64::from(batch.digest.is_some() && batch.kind == Kind::Commit);
            if batch.kind == Kind::Reduced {
                self.begin_anew(revision);
            } else {
                self.link(batch, &before);
            }
        } else if revision == before.revision {
            if chain != before.chain {
                self.refute(
                    revision..=revision,
                    format!("{}: a mark names another head than its batch", batch.start),
                );
            }
            return;
        } else {
            // Of the batches before the mark nothing is left.
            self.begin_anew(revision);
        }
        self.reached = NotedHead { revision, chain };
        self.meet();
    }

    /// Something of a revision was compacted away: links from here on say nothing about what came before.
    fn begin_anew(&mut self, revision: u64) {
        self.forgotten = self.forgotten.max(revision);
        self.from = revision;
    }

    fn link(&mut self, batch: &ScannedBatch, before: &NotedHead) {
        let CommitPayload { revision, chain, .. } = batch.commit;
        let next = before.revision + 1;
        if revision != next {
            let reason = match revision.checked_sub(next) {
                Some(missing) if missing > 1 => format!("revisions {next} to {} are missing", revision - 1),
                Some(_) => format!("revision {next} is missing"),
                None => format!("{}: revision {revision} comes twice", batch.start),
            };
            self.refute(next.min(revision)..=revision, reason);
            return;
        }
        match batch.digest {
            None => self.refute(revision..=revision, format!("{}: the batch is damaged", batch.start)),
            Some(digest) if next_chain(&before.chain, revision, &digest) != chain => {
                self.refute(
                    revision..=revision,
                    format!("{}: the batch does not fit the chain", batch.start),
                );
            }
            Some(_) => {}
        }
    }

    fn finish(mut self) -> HistoryReport {
        let reached = self.reached;
        if let Some(noted) = self.noted.filter(|noted| noted.revision > self.present.revision) {
            let newest = self.present.revision;
            self.refuted = Some((
                newest + 1,
                format!("the store ends at revision {newest}, before the noted one ({})", noted.revision),
            ));
        } else if reached != self.present {
            self.refute(reached.revision + 1..=u64::MAX, "the log does not lead to the present head");
        }
        let outcome = match self.refuted {
            Some((revision, reason)) => HistoryOutcome::Refuted { revision, reason },
            None if self.noted.is_some_and(|noted| !self.is_noted_met || self.forgotten > noted.revision) => {
                HistoryOutcome::NotProvable { forgotten: self.forgotten }
            }
            None => HistoryOutcome::Proved { from: self.from, to: reached.revision },
        };
        let Self { bytes, commits, forgotten, present, .. } = self;
        HistoryReport { bytes, commits, forgotten, head: present, outcome }
    }
}
