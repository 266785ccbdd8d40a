//! Reads and verifies everything in the log, beside whatever else the store does.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use statlas_core::{Address, BlobId};

use super::DiskEngine;
use super::format::{Kind, Location, SEGMENT_HEADER_BYTES};
use super::recovery::{describe, kept_batches, scan_in_order};
use super::scan::{Change, Depth, ScannedSegment, next_chain};
use crate::engine::{CheckReport, Durability, ProgressFn};
use crate::error::Result;
use crate::index::{Index, key_of};

impl DiskEngine {
    pub(super) fn check_log(&self, progress: ProgressFn<'_>) -> Result<CheckReport> {
        self.check_open()?;
        let end = {
            let mut writer = self.writer.lock();
            if self.poisoned.lock().is_none() {
                self.reach(&mut writer, Durability::Written)?;
            }
            Location(self.published.load(Ordering::Acquire))
        };
        // Segments may be begun meanwhile: only what stands before `end` is read.
        let extent = |number: u32, written: u64| if number == end.segment() { end.offset() } else { written };
        let segments: Vec<_> =
            self.log.segments().into_iter().filter(|segment| segment.number <= end.segment()).collect();
        let segments: Vec<_> = segments
            .into_iter()
            .map(|segment| {
                let bytes = extent(segment.number, segment.written());
                (segment, bytes)
            })
            .collect();
        let total = segments.iter().map(|(_, bytes)| bytes).sum();
        let report = CheckReport::default();
        let mut check =
            Check { engine: self, chain: None, report, next_number: 1, unindexed: HashMap::new() };
        check.report.damage.extend(kept_batches(&*self.storage));
        scan_in_order(&segments, Depth::Hashes, |scanned| {
            check.segment(scanned);
            progress(check.report.bytes, total);
            Ok(())
        })?;
        // What was removed while the log was read is no longer in the index, and its tombstone was not read.
        if self.published.load(Ordering::Acquire) == end.0 {
            let lost = |(key, place): (&[u8; 32], &Location)| {
                format!("{place}: {} is in the log but not in the index", super::hex(key))
            };
            check.report.damage.extend(check.unindexed.iter().map(lost));
        }
        check.report.chain_head = super::hex(&check.chain.unwrap_or_default());
        Ok(check.report)
    }
}

struct Check<'a> {
    engine: &'a DiskEngine,
    /// The head of the chain so far; `None` at the start and behind damage.
    chain: Option<[u8; 32]>,
    report: CheckReport,
    next_number: u32,
    /// Entities and blobs that the index does not lead to; removed ones leave when their tombstone is read.
    unindexed: HashMap<[u8; 32], Location>,
}

impl Check<'_> {
    fn segment(&mut self, scanned: ScannedSegment) {
        let number = scanned.number;
        let damage = &mut self.report.damage;
        damage.extend((self.next_number..number).map(|missing| format!("segment {missing} is missing")));
        if self.next_number < number {
            self.chain = None;
        }
        self.next_number = number + 1;
        self.report.bytes += scanned.bytes;
        match scanned.header {
            Err(reason) => damage.push(format!("segment {number} offset 0: {reason}")),
            Ok(header) if header.number != number || header.store_id != self.engine.store_id => {
                damage.push(format!("segment {number}: the file belongs to another place or store"));
            }
            Ok(header) => {
                if self.chain.is_some_and(|chain| chain != header.chain) {
                    damage.push(format!(
                        "segment {number} offset 0: the hash chain does not go on from the segment before"
                    ));
                }
                self.chain = Some(header.chain);
            }
        }
        damage.extend(scanned.damage.iter().map(describe));
        let end = scanned.end.max(SEGMENT_HEADER_BYTES as u64);
        if scanned.bytes > end {
            let place = Location::new(number, end);
            damage.push(format!("{place}: {} bytes behind the last batch are damaged", scanned.bytes - end));
        }
        for batch in scanned.batches {
            self.batch(batch);
        }
    }

    fn batch(&mut self, batch: super::scan::ScannedBatch) {
        let revision = batch.commit.revision;
        if batch.is_damaged {
            self.report.damage.push(format!("{}: the batch of revision {revision} is damaged", batch.start));
        }
        if batch.kind == Kind::Commit {
            self.report.commits += 1;
            if let (Some(chain), Some(digest)) = (self.chain, batch.digest)
                && next_chain(&chain, revision, &digest) != batch.commit.chain
            {
                let place = batch.start;
                self.report.damage.push(format!("{place}: the hash chain is broken at revision {revision}"));
            }
        }
        self.chain = Some(batch.commit.chain);
        for placed in &batch.changes {
            let tables = &self.engine.tables;
            match &placed.change {
                Change::Entity { address, .. } => {
                    self.report.entities += 1;
                    self.look_up(&tables.entities, address.0, placed.location);
                }
                Change::Blob(id) => {
                    self.report.blobs += 1;
                    self.look_up(&tables.blobs, id.0, placed.location);
                }
                Change::Record(_) => self.report.records += 1,
                Change::EntityRemoved(Address(key)) | Change::BlobRemoved(BlobId(key)) => {
                    self.unindexed.remove(key);
                }
                Change::RecordRemoved(_) => {}
            }
        }
    }

    /// What stands in the log and is not removed later must be found through the index.
    fn look_up(&mut self, index: &Index, key: [u8; 32], location: Location) {
        if index.find(key_of(&key), |value| (value == location.0).then_some(())).is_none() {
            self.unindexed.insert(key, location);
        }
    }
}
