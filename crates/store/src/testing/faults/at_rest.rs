//! A store that was written in order and closed, for campaigns that damage its files.

use std::collections::BTreeSet;

use super::layout::{Piece, Subject, pieces};
use super::run::Run;
use crate::batch::RecordKey;
use crate::store::Options;
use crate::testing::auditor::{Auditor, Outcome};
use crate::testing::simulated_disk::{Aside, Crash, SimulatedDisk};
use crate::testing::{Failure, Random};

/// A store at rest.
pub(super) struct AtRest {
    pub(super) options: Options,
    /// What it holds.
    pub(super) auditor: Auditor,
    pub(super) files: Vec<FileAtRest>,
    /// With everything synced.
    disk: SimulatedDisk,
}

/// One of its files.
pub(super) struct FileAtRest {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    /// None unless it is a segment.
    pub(super) pieces: Vec<Piece>,
}

impl FileAtRest {
    /// What the segment is called in messages.
    pub(super) fn segment(&self) -> Option<String> {
        let stem = self.name.strip_prefix("log/")?.strip_suffix(".seg")?;
        let (kind, digits) = stem.strip_prefix('c').map_or(("", stem), |digits| ("c", digits));
        Some(format!("segment {kind}{}", digits.parse::<u32>().ok()?))
    }

    /// Records of the batch that a place is in, those before it, if their revision is lost with the end of the batch: only
    /// writers leave no revision out.
    pub(super) fn undated(&self, place: usize) -> BTreeSet<RecordKey> {
        if self.number().is_some() {
            return BTreeSet::new();
        }
        let before = self.pieces.iter().rev().skip_while(|piece| piece.bytes.end > place);
        let of_batch = before
            .take_while(|piece| !matches!(piece.subject, Subject::Header | Subject::Commit | Subject::Mark));
        of_batch.flat_map(|piece| piece.subject.hit().records).collect()
    }

    /// The number of the segment, if a writer made it and no compaction.
    pub(super) fn number(&self) -> Option<u32> {
        self.name.strip_prefix("log/")?.strip_suffix(".seg")?.parse().ok()
    }

    /// Whether it says which store it is.
    pub(super) fn is_header(&self) -> bool {
        self.name == "STATLAS"
    }

    /// Whether the store can make it again from the others: whatever becomes of it, all answers stay right.
    pub(super) fn is_derived(&self) -> bool {
        !self.is_header() && self.segment().is_none()
    }
}

impl AtRest {
    /// Works until the files have about so many bytes.
    pub(super) fn make(seed: u64, bytes: usize) -> Result<Self, Failure> {
        let (mut run, opened) = Run::begin(SimulatedDisk::new(), seed);
        expect_done(opened?)?;
        let of_store = |name: &String| !Aside::has(name);
        loop {
            expect_done(run.step()?.1)?;
            let names = run.disk.names().into_iter().filter(of_store);
            let used: usize = names.filter_map(|name| run.disk.content(&name)).map(|file| file.len()).sum();
            if used >= bytes {
                break;
            }
        }
        expect_done(run.auditor.close(run.store.as_ref().ok_or("the store is open")?)?)?;
        let Run { disk, options, auditor, store, .. } = run;
        drop(store);
        let read = |name: String| {
            let bytes = disk.content(&name).unwrap_or_default();
            let pieces = if name.ends_with(".seg") { pieces(&bytes) } else { Vec::new() };
            FileAtRest { name, bytes, pieces }
        };
        let files = disk.names().into_iter().filter(of_store).map(read).collect();
        Ok(Self { options, auditor, files, disk: disk.crash(Crash::Everything, &mut Random::new(0)) })
    }

    /// A disk with the store on it.
    pub(super) fn disk(&self) -> SimulatedDisk {
        self.disk.crash(Crash::Everything, &mut Random::new(0))
    }

    /// The segments.
    pub(super) fn segments(&self) -> impl Iterator<Item = &FileAtRest> {
        self.files.iter().filter(|file| file.segment().is_some())
    }

    /// The one that was written to last.
    pub(super) fn last_segment(&self) -> &str {
        let last = self.files.iter().max_by_key(|file| file.number());
        last.map_or("", |file| &file.name)
    }
}

pub(super) fn expect_done(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Done => Ok(()),
        Outcome::Failed(error) => Err(error.into()),
    }
}
