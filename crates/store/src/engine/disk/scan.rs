//! Reads a segment from end to end: whole batches, damaged places, and where the log stops.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use sha2::{Digest, Sha256};
use statlas_core::{Address, BlobId};

use super::dictionary::PlainTexts;
use super::format::{
    ALIGNMENT, CommitPayload, FRAME_HEADER_BYTES, Frame, FrameHeader, Kind, Location, SEGMENT_HEADER_BYTES,
    Salt, SegmentHeader, SegmentId,
};
use super::log::LogFile;
use super::storage::StorageFile;
use crate::batch::RecordKey;
use crate::columns::{Draft, RowLists};
use crate::error::{Error, ErrorKind, Result as StoreResult};

/// What a frame does when its batch is applied.
pub(super) enum Change {
    /// Neighbours and token of the row stand in the lists that go with the changes. Without a row it can't be applied.
    Entity {
        address: Address,
        draft: Option<Arc<Draft>>,
    },
    Blob(BlobId),
    Record(RecordKey),
    EntityRemoved(Address),
    BlobRemoved(BlobId),
    RecordRemoved(RecordKey),
    /// The content is gone, and was out of date when it went.
    Husk,
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
    /// A commit, or one of the kinds that end the log or a segment: those are no batch at all.
    pub(super) kind: Kind,
    pub(super) changes: Vec<Placed>,
    /// Whether frames of the batch are damaged or missing.
    pub(super) is_damaged: bool,
    /// Whether part of it never reached the device, by the look of it.
    pub(super) is_torn: bool,
    /// SHA-256 over what the chain covers, if that was asked for and nothing is damaged.
    pub(super) digest: Option<[u8; 32]>,
}

impl ScannedBatch {
    /// Whether a place lies between its first frame and the end of its commit frame.
    pub(super) fn holds(&self, place: Location) -> bool {
        (self.start.offset()..self.end).contains(&place.offset())
    }
}

/// A stretch of bytes that is no frame.
pub(super) struct Damage {
    pub(super) start: Location,
    pub(super) bytes: u64,
    pub(super) reason: String,
    /// What the damaged frame seems to have been about, as far as its own header and key tell.
    pub(super) seems: Option<Seems>,
}

/// The subject of a damaged frame, not verified.
pub(super) enum Seems {
    Entity([u8; 32]),
    Blob([u8; 32]),
    Record(RecordKey),
    /// Only a copy of the dictionary of its segment.
    Dictionary,
}

/// A segment, read.
pub(super) struct ScannedSegment {
    pub(super) id: SegmentId,
    pub(super) header: Result<SegmentHeader, &'static str>,
    pub(super) bytes: u64,
    /// Where the batches begin, behind the dictionary.
    pub(super) data_start: u64,
    pub(super) batches: Vec<ScannedBatch>,
    pub(super) damage: Vec<Damage>,
    /// Neighbours and tokens of all the rows.
    pub(super) lists: RowLists,
    /// Frames that follow the last commit frame.
    pub(super) uncommitted: Vec<Placed>,
    /// Behind the last commit frame.
    pub(super) end: u64,
}

impl ScannedSegment {
    /// Whether its last frame says that another segment follows.
    pub(super) fn ends_in_order(&self) -> bool {
        self.end == self.bytes && self.batches.last().is_some_and(|batch| batch.kind == Kind::Continued)
    }

    /// The place before which everything is synced, as far as its batches tell.
    pub(super) fn synced_end(&self) -> u64 {
        let synced = self.batches.iter().map(|batch| batch.commit.synced);
        let own = synced.filter(|synced| synced.segment() == self.id).map(Location::offset);
        own.max().unwrap_or(0).min(self.end)
    }

    /// How many entities and blobs there are.
    pub(super) fn count(&self) -> (u64, u64) {
        let (mut entities, mut blobs) = (0, 0);
        for placed in self.batches.iter().flat_map(|batch| &batch.changes) {
            match placed.change {
                Change::Entity { .. } => entities += 1,
                Change::Blob(_) => blobs += 1,
                _ => {}
            }
        }
        (entities, blobs)
    }
}

/// What is done with each frame beside reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Checksums.
    Checksums,
    /// Also rows, which take much memory.
    Rows,
    /// Checksums, and also SHA-256 of entities and blobs, and what the hash chain covers.
    Hashes,
}

/// Bytes that are read at once; a larger frame is read as a whole.
pub(super) const WINDOW_BYTES: usize = 4 << 20;
/// How often the bytes of a segment may be read in search of a whole frame.
const TRIED_TIMES_MAX: u64 = 32;
/// What a device writes as a whole or not at all.
const SECTOR_BYTES: u64 = 512;

/// The part of a file that is in memory.
pub(super) struct Window<'a> {
    file: &'a dyn StorageFile,
    total: u64,
    salt: Salt,
    base: u64,
    buffer: &'a mut Vec<u8>,
}

impl<'a> Window<'a> {
    /// A window on the first `total` bytes of a segment; `buffer` is used for it and may come from another.
    pub(super) fn new(file: &'a dyn StorageFile, total: u64, salt: Salt, buffer: &'a mut Vec<u8>) -> Self {
        buffer.clear();
        Self { file, total, salt, base: 0, buffer }
    }

    /// The bytes from `at` on: at least `wanted`, unless the file ends before.
    pub(super) fn at(&mut self, at: u64, wanted: usize) -> io::Result<&[u8]> {
        let wanted = wanted.min(self.total.saturating_sub(at) as usize);
        let held = self.base..self.base + self.buffer.len() as u64;
        if at < held.start || at + wanted as u64 > held.end {
            let bytes = wanted.max(WINDOW_BYTES).min(self.total.saturating_sub(at) as usize);
            self.buffer.resize(bytes, 0);
            self.base = at;
            self.file.read_at(at, self.buffer)?;
        }
        Ok(&self.buffer[(at - self.base) as usize..])
    }

    fn header(&mut self, at: u64) -> io::Result<Option<FrameHeader>> {
        let header = self.at(at, FRAME_HEADER_BYTES)?.first_chunk();
        Ok(header.and_then(|header| FrameHeader::decode(header).ok()))
    }

    /// The frame at an offset, or what is wrong there.
    pub(super) fn frame(&mut self, at: u64) -> io::Result<Result<Frame<'_>, &'static str>> {
        let wanted = self.header(at)?.map_or(FRAME_HEADER_BYTES, |header| header.frame_bytes());
        let mark = self.salt.at(at);
        Ok(Frame::decode(self.at(at, wanted)?, mark))
    }

    /// The revision of the first batch whose commit frame is whole.
    pub(super) fn first_revision(&mut self) -> io::Result<Option<u64>> {
        let mut at = SEGMENT_HEADER_BYTES as u64;
        while at < self.total {
            let next = match self.frame(at)? {
                Ok(frame) if matches!(frame.header.kind, Kind::Commit | Kind::Reduced) => {
                    return Ok(Some(frame.commit().revision));
                }
                Ok(frame) => Some(at + frame.header.frame_bytes() as u64),
                Err(_) => self.next_frame(at)?,
            };
            let Some(next) = next else { break };
            at = next;
        }
        Ok(None)
    }

    /// The salt under which a frame would stand at an offset, and where it would end.
    pub(super) fn salt_of_frame(&mut self, at: u64) -> io::Result<Option<(Salt, u64)>> {
        let Some(header) = self.header(at)? else { return Ok(None) };
        let frame = self.at(at, header.frame_bytes())?.get(..header.frame_bytes());
        Ok(frame.map(|frame| (Salt::that_explains(frame, at), at + frame.len() as u64)))
    }

    /// Where the next whole frame begins behind damaged bytes: the first there is, since no content looks like a
    /// frame of its place. What the damaged frame says of its length is only asked if content that looks like
    /// headers makes the search too long.
    pub(super) fn next_frame(&mut self, damaged: u64) -> io::Result<Option<u64>> {
        let mut bytes_tried = 0;
        for at in (damaged + ALIGNMENT as u64..self.total).step_by(ALIGNMENT) {
            let Some(header) = self.header(at)? else { continue };
            if self.frame(at)?.is_ok() {
                return Ok(Some(at));
            }
            bytes_tried += header.frame_bytes() as u64;
            if bytes_tried > self.total.saturating_mul(TRIED_TIMES_MAX) {
                break;
            }
        }
        let Some(header) = self.header(damaged)? else { return Ok(None) };
        let claimed = damaged + header.frame_bytes() as u64;
        Ok(if claimed < self.total && self.frame(claimed)?.is_ok() { Some(claimed) } else { None })
    }

    /// Whether the piece of a sector in this range is all zeros, be it the 8 bytes with a checksum: a write that
    /// did not reach the device leaves that, and a damaged bit does not.
    fn has_lost_sector(&mut self, range: Range<u64>) -> io::Result<bool> {
        let mut at = range.start;
        while at < range.end {
            let end = (at / SECTOR_BYTES + 1).saturating_mul(SECTOR_BYTES).min(range.end);
            let len = (end - at) as usize;
            let piece = &self.at(at, len)?[..len];
            if piece.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            at = end;
        }
        Ok(false)
    }
}

/// Takes a batch, and what was damaged between the one before and its end; whether it wants more.
pub(super) type BatchVisitor<'a> = &'a mut dyn FnMut(ScannedBatch, Vec<Damage>) -> bool;

/// Reads a segment from end to end.
pub(super) fn scan(id: SegmentId, window: &mut Window<'_>, depth: Depth) -> io::Result<ScannedSegment> {
    scan_with(id, window, depth, None)
}

/// Reads a segment from end to end and hands its batches over one by one, so that only one is in memory. What is
/// returned lacks the batches, and the damage and the lists that were handed over with them.
pub(super) fn scan_batches(
    id: SegmentId,
    window: &mut Window<'_>,
    depth: Depth,
    visit: BatchVisitor<'_>,
) -> io::Result<ScannedSegment> {
    scan_with(id, window, depth, Some(visit))
}

fn scan_with(
    id: SegmentId,
    window: &mut Window<'_>,
    depth: Depth,
    visit: Option<BatchVisitor<'_>>,
) -> io::Result<ScannedSegment> {
    let header = SegmentHeader::decode(window.at(0, SEGMENT_HEADER_BYTES)?);
    let data_start = header.map_or(SEGMENT_HEADER_BYTES as u64, |header| header.data_start());
    let mut scanner = Scanner {
        depth,
        texts: PlainTexts::of(window.file, window.total, window.salt)?,
        batch: OpenBatch::new(data_start),
        visit,
        has_batches: false,
        is_stopped: false,
        segment: ScannedSegment {
            id,
            header,
            bytes: window.total,
            data_start,
            batches: Vec::new(),
            damage: Vec::new(),
            lists: RowLists::default(),
            uncommitted: Vec::new(),
            end: data_start,
        },
    };
    scanner.run(window)?;
    scanner.segment.uncommitted = scanner.batch.changes;
    Ok(scanner.segment)
}

/// The frames since the last commit frame.
struct OpenBatch {
    start: u64,
    changes: Vec<Placed>,
    crcs: u32,
    frames: u32,
    is_damaged: bool,
    is_torn: bool,
    digest: Sha256,
}

impl OpenBatch {
    fn new(start: u64) -> Self {
        Self {
            start,
            changes: Vec::new(),
            crcs: 0,
            frames: 0,
            is_damaged: false,
            is_torn: false,
            digest: Sha256::new(),
        }
    }
}

struct Scanner<'a> {
    depth: Depth,
    texts: PlainTexts,
    batch: OpenBatch,
    visit: Option<BatchVisitor<'a>>,
    has_batches: bool,
    /// Whether the visitor wants no more.
    is_stopped: bool,
    segment: ScannedSegment,
}

impl Scanner<'_> {
    fn location(&self, at: u64) -> Location {
        Location::new(self.segment.id, at)
    }

    fn run(&mut self, window: &mut Window<'_>) -> io::Result<()> {
        let mut at = SEGMENT_HEADER_BYTES as u64;
        while at < window.total && !self.is_stopped {
            let (next, wrong) = match window.frame(at)? {
                Ok(frame) => (Some(at + frame.header.frame_bytes() as u64), self.frame(at, &frame).err()),
                Err(reason) => (None, Some(reason.to_owned())),
            };
            let next = match next {
                Some(next) => Some(next),
                None => window.next_frame(at)?,
            };
            let next = match self.segment.data_start {
                // The header says where the batches begin, whatever became of the dictionary.
                start if at < start => Some(next.unwrap_or(start).min(start).min(window.total)),
                _ => next,
            };
            let Some(next) = next else { break };
            if let Some(reason) = wrong {
                self.damage(at, next, reason, window)?;
            }
            at = next;
        }
        Ok(())
    }

    fn damage(&mut self, at: u64, next: u64, reason: String, window: &mut Window<'_>) -> io::Result<()> {
        let start = self.location(at);
        if at < self.segment.data_start {
            let seems = Some(Seems::Dictionary);
            self.segment.damage.push(Damage { start, bytes: next - at, reason, seems });
            return Ok(());
        }
        let header = window.header(at)?;
        let whole = header.filter(|header| at + header.frame_bytes() as u64 == next);
        let seems = match whole {
            Some(header) => {
                let bytes = window.at(at, FRAME_HEADER_BYTES + header.key_bytes)?;
                Frame::unverified(header, bytes).and_then(|frame| seems(&frame))
            }
            None => None,
        };
        self.segment.damage.push(Damage { start, bytes: next - at, reason, seems });
        self.batch.is_damaged = true;
        self.batch.is_torn |= window.has_lost_sector(at..next)?;
        Ok(())
    }

    /// Takes a frame, or tells what is wrong with its content.
    fn frame(&mut self, at: u64, frame: &Frame<'_>) -> Result<(), String> {
        if frame.header.kind == Kind::Dictionary {
            return self.dictionary(at, frame);
        }
        if at < self.segment.data_start {
            return Err("the frame stands in the place of a dictionary".to_owned());
        }
        if frame.header.kind.ends_batch() {
            self.commit(at, frame);
            return Ok(());
        }
        self.batch.frames += 1;
        self.batch.crcs = crc32c::crc32c_append(self.batch.crcs, &frame.header.crc.to_le_bytes());
        if self.depth == Depth::Hashes {
            frame.chain(|bytes| self.batch.digest.update(bytes));
        }
        let change = self.change(frame)?;
        let location = Location::of_frame(self.segment.id, at, frame.header.frame_bytes());
        self.batch.changes.push(Placed { change, location, ordinal: frame.header.ordinal });
        Ok(())
    }

    /// Passes over a copy of the dictionary, which stands before the batches.
    fn dictionary(&mut self, at: u64, frame: &Frame<'_>) -> Result<(), String> {
        let end = at + frame.header.frame_bytes() as u64;
        let is_first = !self.has_batches && self.batch.frames == 0;
        if self.segment.header.is_err() && is_first && !self.batch.is_damaged {
            self.segment.data_start = end;
            self.segment.end = end;
            self.batch = OpenBatch::new(end);
        }
        if end <= self.segment.data_start { Ok(()) } else { Err("a dictionary inside the log".to_owned()) }
    }

    fn change(&mut self, frame: &Frame<'_>) -> Result<Change, String> {
        let sha256 = frame.sha256();
        Ok(match frame.header.kind {
            Kind::Entity => {
                let parts = frame.entity_parts().ok_or("the entity's attachments are damaged")?;
                let address = Address(sha256);
                let text = self.texts.text(parts.text)?;
                if self.depth == Depth::Hashes && Address::of(text) != address {
                    return Err(format!("the text of entity {address} has another SHA-256"));
                }
                let lists = &mut self.segment.lists;
                let draft =
                    Draft::read(text, parts.token.as_ref(), lists).map_err(|error| error.to_string())?;
                if self.depth == Depth::Rows {
                    return Ok(Change::Entity { address, draft: Some(Arc::new(draft)) });
                }
                lists.clear();
                Change::Entity { address, draft: None }
            }
            Kind::Blob => {
                let id = BlobId(sha256);
                let whole = frame.blob_form() != crate::batch::BlobForm::Manifest;
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
            Kind::Husk => Change::Husk,
            Kind::Dictionary | Kind::Commit | Kind::Close | Kind::Continued | Kind::Reduced => {
                return Err("a commit frame inside a batch".to_owned());
            }
        })
    }

    fn commit(&mut self, at: u64, frame: &Frame<'_>) {
        let commit = frame.commit();
        let end = at + frame.header.frame_bytes() as u64;
        let batch = std::mem::replace(&mut self.batch, OpenBatch::new(end));
        let whole = !batch.is_damaged
            && commit.frames == batch.frames
            && u64::from(commit.batch_bytes) == at - batch.start
            && commit.frames_crc == batch.crcs;
        let batch = ScannedBatch {
            commit,
            start: self.location(batch.start),
            end,
            kind: frame.header.kind,
            changes: batch.changes,
            is_damaged: !whole,
            is_torn: batch.is_torn,
            digest: (whole && self.depth == Depth::Hashes).then(|| batch.digest.finalize().into()),
        };
        (self.segment.end, self.has_batches) = (end, true);
        match &mut self.visit {
            None => self.segment.batches.push(batch),
            Some(visit) => {
                self.segment.lists.clear();
                self.is_stopped = !visit(batch, std::mem::take(&mut self.segment.damage));
            }
        }
    }
}

pub(super) fn seems(frame: &Frame<'_>) -> Option<Seems> {
    match frame.header.kind {
        Kind::Entity | Kind::EntityRemoved => Some(Seems::Entity(frame.sha256())),
        Kind::Blob | Kind::BlobRemoved => Some(Seems::Blob(frame.sha256())),
        Kind::Record | Kind::RecordRemoved => frame.record_key().map(Seems::Record),
        Kind::Dictionary => Some(Seems::Dictionary),
        Kind::Commit | Kind::Close | Kind::Continued | Kind::Husk | Kind::Reduced => None,
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

/// Reads a segment from its file, not through its mapping, so that its pages need not stay in memory.
fn scan_file(
    segment: &LogFile,
    bytes: u64,
    depth: Depth,
    buffer: &mut Vec<u8>,
) -> StoreResult<ScannedSegment> {
    let failed = |error| Error::io(format!("reading {} failed", segment.id.file_name()), error);
    scan(segment.id, &mut Window::new(&*segment.file, bytes, segment.salt, buffer), depth).map_err(failed)
}

/// So many bytes are read before threads have begun.
const READ_ALONE_BYTES: u64 = 1 << 20;

/// Scans segments, in parallel if there is much to read, and hands the results over in order. At most one a thread
/// waits.
pub(super) fn scan_in_order(
    segments: &[(Arc<LogFile>, u64)],
    depth: Depth,
    mut take: impl FnMut(ScannedSegment) -> StoreResult<()>,
) -> StoreResult<()> {
    if segments.iter().map(|(_, bytes)| bytes).sum::<u64>() <= READ_ALONE_BYTES {
        let mut buffer = Vec::new();
        return segments
            .iter()
            .try_for_each(|(segment, bytes)| take(scan_file(segment, *bytes, depth, &mut buffer)?));
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(segments.len());
    let (senders, receivers): (Vec<_>, Vec<_>) = segments.iter().map(|_| mpsc::sync_channel(0)).unzip();
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut buffer = Vec::new();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((segment, bytes)) = segments.get(at) else { break };
                    // A receiver that is gone has stopped at an error.
                    if senders[at].send(scan_file(segment, *bytes, depth, &mut buffer)).is_err() {
                        break;
                    }
                }
            });
        }
        // Moved in, so that an early return lets the threads end.
        for receiver in receivers {
            let scanned =
                receiver.recv().map_err(|_| Error::new(ErrorKind::Io, "a thread that read the log died"))?;
            take(scanned?)?;
        }
        Ok(())
    })
}
