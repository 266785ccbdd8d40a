//! What is wrong with the files of a log, found by reading them in order, without a store around them.

use crate::engine::disk::damaged::describe;
use crate::engine::disk::files::missing_segments;
use crate::engine::disk::format::{Kind, Location, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentId};
use crate::engine::disk::scan::{Change, ScannedBatch, ScannedSegment, next_chain};

/// What was read and found so far.
pub(super) struct Audit {
    store_id: [u8; 16],
    next_number: u32,
    /// The head of the chain; `None` where it is not known.
    pub(super) chain: Option<[u8; 32]>,
    /// The newest revision that was read.
    pub(super) revision: u64,
    pub(super) commits: u64,
    pub(super) entities: u64,
    pub(super) blobs: u64,
    pub(super) records: u64,
    pub(super) damage: Vec<String>,
}

impl Audit {
    pub(super) fn new(store_id: [u8; 16]) -> Self {
        Self {
            store_id,
            next_number: 1,
            chain: None,
            revision: 0,
            commits: 0,
            entities: 0,
            blobs: 0,
            records: 0,
            damage: Vec::new(),
        }
    }

    /// Takes note of the next file: the first and the last of the files that writers made and that it stands
    /// for.
    pub(super) fn place(&mut self, first: u32, last: u32) {
        if let Some(missing) = missing_segments(self.next_number..first) {
            self.damage.push(missing);
            self.chain = None;
        }
        self.next_number = last + 1;
    }

    /// Goes on behind a file that is not read.
    pub(super) fn skip(&mut self) {
        self.chain = None;
    }

    /// Takes note of what is in the next file.
    pub(super) fn content(&mut self, scanned: &ScannedSegment) {
        let id = scanned.id;
        self.header(id, scanned.header);
        self.damage.extend(scanned.damage.iter().map(describe));
        let end = scanned.end.max(SEGMENT_HEADER_BYTES as u64);
        if scanned.bytes > end {
            let (place, bytes) = (Location::new(id, end), scanned.bytes - end);
            self.damage.push(format!("{place}: {bytes} bytes behind the last batch are damaged"));
        }
        for batch in &scanned.batches {
            // What is told already does not count twice.
            let is_told = scanned.damage.iter().any(|place| batch.holds(place.start));
            self.batch(batch, is_told);
        }
    }

    fn header(&mut self, id: SegmentId, header: Result<SegmentHeader, &'static str>) {
        match header {
            Err(reason) => self.damage.push(format!("{id} offset 0: {reason}")),
            Ok(header) if header.id != id || header.store_id != self.store_id => {
                self.damage.push(format!("{id}: the file belongs to another place or store"));
            }
            Ok(header) => {
                if self.chain.is_some_and(|chain| chain != header.chain) {
                    let what = "the hash chain does not go on from the segment before";
                    self.damage.push(format!("{id} offset 0: {what}"));
                }
                self.chain = Some(header.chain);
                self.revision = self.revision.max(header.first_revision.saturating_sub(1));
            }
        }
    }

    fn batch(&mut self, batch: &ScannedBatch, is_told: bool) {
        let (revision, place) = (batch.commit.revision, batch.start);
        if batch.is_damaged && !is_told {
            self.damage.push(format!("{place}: the batch of revision {revision} is damaged"));
        }
        if batch.kind == Kind::Commit {
            self.commits += 1;
            if let (Some(chain), Some(digest)) = (self.chain, batch.digest)
                && next_chain(&chain, revision, &digest) != batch.commit.chain
            {
                self.damage.push(format!("{place}: the hash chain is broken at revision {revision}"));
            }
        }
        self.chain = Some(batch.commit.chain);
        self.revision = self.revision.max(revision);
        for placed in &batch.changes {
            match placed.change {
                Change::Entity { .. } => self.entities += 1,
                Change::Blob(_) => self.blobs += 1,
                Change::Record(_) => self.records += 1,
                Change::EntityRemoved(_)
                | Change::BlobRemoved(_)
                | Change::RecordRemoved(_)
                | Change::Husk => {}
            }
        }
    }
}
