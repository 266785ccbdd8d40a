//! Reads a segment from end to end: whole batches, damaged places, and where the log stops.

use sha2::{Digest, Sha256};
use statlas_core::{Address, BlobId};

use super::format::{
    ALIGNMENT, CommitPayload, Frame, FrameHeader, Kind, Location, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::batch::RecordKey;
use crate::catalogue::Draft;

/// What a frame does when its batch is applied.
pub(super) enum Change {
    /// The neighbours of the row stand in the list that goes with the changes.
    Entity {
        address: Address,
        draft: Draft,
    },
    Blob(BlobId),
    Record(RecordKey),
    EntityRemoved(Address),
    BlobRemoved(BlobId),
    RecordRemoved(RecordKey),
}

/// A change and where its frame stands.
pub(super) struct Placed {
    pub(super) change: Change,
    pub(super) location: Location,
    pub(super) ordinal: u32,
}

/// A batch that is in the log.
pub(super) struct ScannedBatch {
    pub(super) commit: CommitPayload,
    /// The location of its first frame.
    pub(super) start: Location,
    /// Behind its commit frame.
    pub(super) end: u64,
    /// The log was closed here: no batch at all.
    pub(super) is_close: bool,
    pub(super) changes: Vec<Placed>,
    /// Whether frames of the batch are damaged or missing.
    pub(super) is_damaged: bool,
    /// SHA-256 over what the chain covers, if that was asked for and nothing is damaged.
    pub(super) digest: Option<[u8; 32]>,
}

/// A stretch of bytes that is no frame.
pub(super) struct Damage {
    pub(super) start: Location,
    pub(super) bytes: u64,
    pub(super) reason: String,
    /// What the damaged frame seems to have held, as far as its own header tells.
    pub(super) seems: Option<(Kind, [u8; 32])>,
}

/// A segment, read.
pub(super) struct ScannedSegment {
    pub(super) number: u32,
    pub(super) header: Result<SegmentHeader, &'static str>,
    pub(super) bytes: u64,
    pub(super) batches: Vec<ScannedBatch>,
    pub(super) damage: Vec<Damage>,
    /// The neighbours of all the rows.
    pub(super) neighbours: Vec<u64>,
    /// Frames that follow the last commit frame.
    pub(super) uncommitted: Vec<Placed>,
    /// Behind the last commit frame.
    pub(super) end: u64,
}

/// What is done with each frame beside reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Checksums.
    Checksums,
    /// Also SHA-256 of entities and blobs, and what the hash chain covers.
    Hashes,
}

/// Reads a segment whose whole content is given.
pub(super) fn scan(number: u32, bytes: &[u8], depth: Depth) -> ScannedSegment {
    let mut scanner = Scanner {
        bytes,
        depth,
        batch: OpenBatch::new(SEGMENT_HEADER_BYTES),
        segment: ScannedSegment {
            number,
            header: SegmentHeader::decode(bytes),
            bytes: bytes.len() as u64,
            batches: Vec::new(),
            damage: Vec::new(),
            neighbours: Vec::new(),
            uncommitted: Vec::new(),
            end: SEGMENT_HEADER_BYTES as u64,
        },
    };
    scanner.run();
    scanner.segment.uncommitted = scanner.batch.changes;
    scanner.segment
}

/// The frames since the last commit frame.
struct OpenBatch {
    start: usize,
    changes: Vec<Placed>,
    crcs: u32,
    frames: u32,
    is_damaged: bool,
    digest: Sha256,
}

impl OpenBatch {
    fn new(start: usize) -> Self {
        Self { start, changes: Vec::new(), crcs: 0, frames: 0, is_damaged: false, digest: Sha256::new() }
    }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    depth: Depth,
    batch: OpenBatch,
    segment: ScannedSegment,
}

impl<'a> Scanner<'a> {
    fn location(&self, at: usize) -> Location {
        Location::new(self.segment.number, at as u64)
    }

    fn run(&mut self) {
        let mut at = SEGMENT_HEADER_BYTES;
        while at < self.bytes.len() {
            match Frame::decode(&self.bytes[at..]) {
                Ok(frame) => {
                    self.frame(at, &frame);
                    at += frame.header.frame_bytes();
                }
                Err(reason) => {
                    let Some(next) = self.next_frame(at) else { break };
                    self.damage(at, next, reason.to_owned());
                    at = next;
                }
            }
        }
        if at < self.bytes.len() || self.batch.start < at {
            self.segment.end = self.segment.end.min(self.bytes.len() as u64);
        }
    }

    /// Where the next whole frame begins behind damaged bytes. The frame's own length is tried first.
    fn next_frame(&self, damaged: usize) -> Option<usize> {
        let header = self.bytes[damaged..].first_chunk().and_then(|header| FrameHeader::decode(header).ok());
        let claimed = header.map(|header| damaged + header.frame_bytes());
        let whole = |at: &usize| self.bytes.get(*at..).is_some_and(|bytes| Frame::decode(bytes).is_ok());
        claimed
            .filter(whole)
            .or_else(|| (damaged + ALIGNMENT..self.bytes.len()).step_by(ALIGNMENT).find(whole))
    }

    fn damage(&mut self, at: usize, next: usize, reason: String) {
        let header = self.bytes[at..].first_chunk().and_then(|header| FrameHeader::decode(header).ok());
        let whole = header.filter(|header| at + header.frame_bytes() == next && header.key_bytes == 32);
        let key = |header: FrameHeader| {
            let key = self.bytes.get(at + super::format::FRAME_HEADER_BYTES..)?.first_chunk::<32>()?;
            Some((header.kind, *key))
        };
        let seems = whole.and_then(key);
        let start = self.location(at);
        self.segment.damage.push(Damage { start, bytes: (next - at) as u64, reason, seems });
        self.batch.is_damaged = true;
        // A damaged entity stays findable by its address, so that reading it says what is wrong.
        self.batch.frames += 1;
    }

    fn frame(&mut self, at: usize, frame: &Frame<'a>) {
        if matches!(frame.header.kind, Kind::Commit | Kind::Close) {
            return self.commit(at, frame);
        }
        self.batch.frames += 1;
        self.batch.crcs = crc32c::crc32c_append(self.batch.crcs, &frame.header.crc.to_le_bytes());
        if self.depth == Depth::Hashes {
            frame.chained_bytes().iter().for_each(|bytes| self.batch.digest.update(bytes));
        }
        match self.change(frame) {
            Ok(change) => {
                let location = Location::of_frame(self.segment.number, at as u64, frame.header.frame_bytes());
                self.batch.changes.push(Placed { change, location, ordinal: frame.header.ordinal });
            }
            Err(reason) => self.damage(at, at + frame.header.frame_bytes(), reason),
        }
    }

    fn change(&mut self, frame: &Frame<'a>) -> Result<Change, String> {
        let sha256 = frame.sha256();
        Ok(match frame.header.kind {
            Kind::Entity => {
                let parts = frame.entity_parts().ok_or("the entity's attachments are damaged")?;
                let address = Address(sha256);
                if self.depth == Depth::Hashes && Address::of(parts.canonical) != address {
                    return Err(format!("the text of entity {address} has another SHA-256"));
                }
                let draft = Draft::read(parts.canonical, &mut self.segment.neighbours);
                Change::Entity { address, draft: draft.map_err(|error| error.to_string())? }
            }
            Kind::Blob => {
                let id = BlobId(sha256);
                let whole = frame.blob_form() == crate::batch::BlobForm::Whole;
                if self.depth == Depth::Hashes && whole && BlobId::of(frame.payload()) != id {
                    return Err(format!("the bytes of blob {id} have another SHA-256"));
                }
                Change::Blob(id)
            }
            Kind::EntityRemoved => Change::EntityRemoved(Address(sha256)),
            Kind::BlobRemoved => Change::BlobRemoved(BlobId(sha256)),
            Kind::Record => Change::Record(frame.record_key().ok_or("the record's key is damaged")?),
            Kind::RecordRemoved => {
                Change::RecordRemoved(frame.record_key().ok_or("the record's key is damaged")?)
            }
            Kind::Commit | Kind::Close => return Err("a commit frame inside a batch".to_owned()),
        })
    }

    fn commit(&mut self, at: usize, frame: &Frame<'a>) {
        let commit = frame.commit();
        let end = at + frame.header.frame_bytes();
        let batch = std::mem::replace(&mut self.batch, OpenBatch::new(end));
        let whole = !batch.is_damaged
            && commit.frames == batch.frames
            && commit.batch_bytes as usize == at - batch.start
            && commit.frames_crc == batch.crcs;
        self.segment.batches.push(ScannedBatch {
            commit,
            start: self.location(batch.start),
            end: end as u64,
            is_close: frame.header.kind == Kind::Close,
            changes: batch.changes,
            is_damaged: !whole,
            digest: (whole && self.depth == Depth::Hashes).then(|| batch.digest.finalize().into()),
        });
        self.segment.end = end as u64;
    }
}

/// The head of the hash chain after a batch.
pub(super) fn next_chain(previous: &[u8; 32], revision: u64, digest: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(revision.to_le_bytes());
    hash.update(digest);
    hash.finalize().into()
}
