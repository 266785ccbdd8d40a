//! The bytes on disk, written and read in this one place. `docs/FORMAT.md` describes them.
//!
//! Everything is little-endian; every length is bounded before it is believed.

mod entity;

use sha2::{Digest, Sha256};

pub(super) use self::entity::{TEXT_LENGTH_BYTES, Text, is_compressed};
pub(super) use super::place::{Location, OFFSET_MAX, SegmentId};
use crate::batch::{BlobForm, RecordKey};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{PAYLOAD_BYTES_MAX, RECORD_KEY_BYTES_MAX};

/// The format that this release writes, and the newest that it reads.
pub(super) const VERSION: u32 = 1;
pub(super) const STORE_HEADER_BYTES: usize = 64;
pub(super) const SEGMENT_HEADER_BYTES: usize = 96;
pub(super) const FRAME_HEADER_BYTES: usize = 16;
/// Frames begin at multiples of this many bytes.
pub(super) const ALIGNMENT: usize = 8;
const STORE_MAGIC: &[u8; 8] = b"STATLAS\0";
const SEGMENT_MAGIC: &[u8; 8] = b"STATSEG\0";
const COMMIT_PAYLOAD_BYTES: usize = 64;
const KEY_BYTES_MAX: usize = 2 + 255 + RECORD_KEY_BYTES_MAX;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The end of a batch: all its frames stand before it.
    Commit = 1,
    /// The log was closed in order; everything before it is synced.
    Close = 2,
    /// The segment was ended in order, and the next one is there.
    Continued = 3,
    /// What the hash chain covers of a frame whose content was compacted away.
    Husk = 4,
    /// The end of a batch that lost frames without husks, or follows one that did: the hash chain is known
    /// behind it and can't be proved before it.
    Reduced = 5,
    /// What the compressed texts of the segment were made with.
    Dictionary = 6,
    Entity = 16,
    Blob = 17,
    Record = 18,
    EntityRemoved = 32,
    BlobRemoved = 33,
    RecordRemoved = 34,
}

impl Kind {
    /// Whether such a frame ends a batch, a segment or the log, and holds nothing that is stored.
    pub(super) fn ends_batch(self) -> bool {
        matches!(self, Self::Commit | Self::Reduced | Self::Close | Self::Continued)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [
            Self::Commit,
            Self::Close,
            Self::Continued,
            Self::Husk,
            Self::Reduced,
            Self::Dictionary,
            Self::Entity,
            Self::Blob,
            Self::Record,
            Self::EntityRemoved,
            Self::BlobRemoved,
            Self::RecordRemoved,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// An entity's payload begins with a token of 64 bytes.
pub(super) const FLAG_TOKEN: u8 = 1;
/// An entity's payload goes on with a blob's SHA-256.
pub(super) const FLAG_BLOB: u8 = 2;
/// A blob's payload is a manifest.
pub(super) const FLAG_MANIFEST: u8 = 4;
/// An entity's text is compressed.
pub(super) const FLAG_COMPRESSED: u8 = 8;
/// Reserved: a record's payload begins with a lease.
pub(super) const FLAG_LEASE: u8 = 16;
/// A blob is a chunk of a file, and lives as long as a manifest names it.
pub(super) const FLAG_CHUNK: u8 = 32;
const FLAGS_READ: u8 = FLAG_TOKEN | FLAG_BLOB | FLAG_MANIFEST | FLAG_CHUNK | FLAG_COMPRESSED;
/// Written by a later release of the same version; refused by this one with a clear message.
const FLAGS_RESERVED: u8 = FLAG_LEASE;

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().unwrap_or([0; N])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array(bytes, at))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array(bytes, at))
}

/// What the file `STATLAS` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StoreHeader {
    pub(super) store_id: [u8; 16],
}

impl StoreHeader {
    pub(super) fn encode(&self) -> [u8; STORE_HEADER_BYTES] {
        let mut bytes = [0; STORE_HEADER_BYTES];
        bytes[0..8].copy_from_slice(STORE_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store_id);
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads the header of the store at `place`.
    pub(super) fn decode(bytes: &[u8], place: &str) -> Result<Self> {
        if bytes.len() < 12 || !bytes.starts_with(STORE_MAGIC) {
            let message = format!("{place}: not a Statlas store: its file STATLAS has another content");
            return Err(Error::new(ErrorKind::NotAStore, message));
        }
        let version = u32_at(bytes, 8);
        if version > VERSION {
            let message = format!(
                "{place}: the store has format {version}; this release reads up to {VERSION}. Use a newer release"
            );
            return Err(Error::new(ErrorKind::NewerFormat, message));
        }
        if bytes.len() != STORE_HEADER_BYTES || u32_at(bytes, 60) != crc32c::crc32c(&bytes[..60]) {
            let message = format!("{place}: the store's file STATLAS is damaged: its checksum is wrong");
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Self { store_id: array(bytes, 16) })
    }
}

/// No store has seen so many batches; there is room to count on.
const REVISION_MAX: u64 = 1 << 62;
/// Two frames with the largest dictionary.
const DICTIONARY_FRAMES_BYTES_MAX: u32 = 2 * ((1 << 20) + 48);

/// What the first bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: SegmentId,
    /// The files that writers made and that this one stands for, the last included: itself, if it is one.
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) store_id: [u8; 16],
    /// The first revision that may stand in the segment.
    pub(super) first_revision: u64,
    /// The head of the hash chain before it.
    pub(super) chain: [u8; 32],
    /// The newest revision of which something was compacted away without a trace; 0 for none.
    pub(super) forgotten: u64,
    /// Bytes of the dictionary's frames, which stand right behind the header: two copies, or none.
    pub(super) dictionary_bytes: u32,
}

impl SegmentHeader {
    /// The header of a file that a writer makes.
    pub(super) fn written(number: u32, store_id: [u8; 16], first_revision: u64, chain: [u8; 32]) -> Self {
        let id = SegmentId::written(number);
        Self {
            id,
            first: number,
            last: number,
            store_id,
            first_revision,
            chain,
            forgotten: 0,
            dictionary_bytes: 0,
        }
    }

    /// Where the batches begin.
    pub(super) fn data_start(&self) -> u64 {
        SEGMENT_HEADER_BYTES as u64 + u64::from(self.dictionary_bytes)
    }

    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[0..8].copy_from_slice(SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.id.0.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.store_id);
        bytes[32..40].copy_from_slice(&self.first_revision.to_le_bytes());
        bytes[40..72].copy_from_slice(&self.chain);
        bytes[72..76].copy_from_slice(&self.first.to_le_bytes());
        bytes[76..80].copy_from_slice(&self.last.to_le_bytes());
        bytes[80..88].copy_from_slice(&self.forgotten.to_le_bytes());
        bytes[88..92].copy_from_slice(&self.dictionary_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..92]);
        bytes[92..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header, or what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> std::result::Result<Self, &'static str> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else { return Err("the header is cut short") };
        if u32_at(bytes, 92) != crc32c::crc32c(&bytes[..92]) || !bytes.starts_with(SEGMENT_MAGIC) {
            return Err("the header's checksum is wrong");
        }
        let (id, first, last) = (SegmentId(u32_at(bytes, 12)), u32_at(bytes, 72), u32_at(bytes, 76));
        if !id.may_stand_for(first, last) {
            return Err("the header names segments that it can't stand for");
        }
        let (forgotten, first_revision) = (u64_at(bytes, 80), u64_at(bytes, 32));
        if forgotten > REVISION_MAX || first_revision > REVISION_MAX {
            return Err("the header has an impossible revision");
        }
        let dictionary_bytes = u32_at(bytes, 88);
        if dictionary_bytes > DICTIONARY_FRAMES_BYTES_MAX
            || !dictionary_bytes.is_multiple_of(ALIGNMENT as u32)
        {
            return Err("the header has an impossible dictionary");
        }
        Ok(Self {
            id,
            first,
            last,
            forgotten,
            dictionary_bytes,
            store_id: array(bytes, 16),
            first_revision,
            chain: array(bytes, 40),
        })
    }
}

/// What the checksums of a segment's frames are mixed with: a frame is one only where it was written. A copy of
/// a log that is stored as a file is not mistaken for the log around it, and a piece that the device put in
/// another place is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Salt(u32);

impl Salt {
    /// That of a segment of a store.
    pub(super) fn of(store_id: &[u8; 16], id: SegmentId) -> Self {
        Self(crc32c::crc32c_append(crc32c::crc32c(store_id), &id.0.to_le_bytes()))
    }

    /// The one under which the bytes of a frame are whole at an offset.
    pub(super) fn that_explains(frame: &[u8], offset: u64) -> Self {
        let mark =
            frame.first_chunk().map_or(0, |crc| u32::from_le_bytes(*crc)) ^ crc32c::crc32c(&frame[4..]);
        Self(Self(mark).at(offset).0)
    }

    /// The mark of frames that begin at an offset.
    #[inline]
    pub(super) fn at(self, offset: u64) -> Mark {
        // Offsets stay below 2^35, and the factor is odd: no two of a segment have the same mark.
        Mark(self.0 ^ ((offset / ALIGNMENT as u64) as u32).wrapping_mul(0x9e37_79b1))
    }
}

/// What the checksum of the frames at one place is mixed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark(u32);

impl Mark {
    /// That of frames that have no place yet.
    #[cfg(test)]
    pub(super) const NONE: Self = Self(0);

    /// Marks the frame that `bytes` begin with, which has no mark yet.
    pub(super) fn put_on(self, bytes: &mut [u8]) {
        if let Some(crc) = bytes.first_chunk_mut::<4>() {
            *crc = (u32::from_le_bytes(*crc) ^ self.0).to_le_bytes();
        }
    }
}

/// The header of a frame, its lengths bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// CRC-32C of the frame; in a header that was not verified, with the mark of its place.
    pub(super) crc: u32,
    pub(super) payload_bytes: usize,
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) key_bytes: usize,
    pub(super) ordinal: u32,
}

impl FrameHeader {
    /// The header, or what is wrong with it.
    pub(super) fn decode(bytes: &[u8; FRAME_HEADER_BYTES]) -> std::result::Result<Self, &'static str> {
        let header = Self {
            crc: u32_at(bytes, 0),
            payload_bytes: u32_at(bytes, 4) as usize,
            kind: Kind::from_byte(bytes[8]).ok_or("the frame's kind is unknown")?,
            flags: bytes[9],
            key_bytes: usize::from(u16::from_le_bytes([bytes[10], bytes[11]])),
            ordinal: u32_at(bytes, 12),
        };
        let key_fits = match header.kind {
            Kind::Commit | Kind::Close | Kind::Continued | Kind::Reduced => {
                header.key_bytes == 0 && header.payload_bytes == COMMIT_PAYLOAD_BYTES
            }
            Kind::Husk => header.key_bytes == 0 && header.payload_bytes >= FRAME_HEADER_BYTES,
            Kind::Record | Kind::RecordRemoved => (4..=KEY_BYTES_MAX).contains(&header.key_bytes),
            Kind::Dictionary | Kind::Entity | Kind::Blob | Kind::EntityRemoved | Kind::BlobRemoved => {
                header.key_bytes == 32
            }
        };
        if !key_fits || header.payload_bytes > PAYLOAD_BYTES_MAX {
            return Err("the frame's lengths are impossible");
        }
        Ok(header)
    }

    /// How the bytes of a blob are stored.
    pub(super) fn blob_form(&self) -> BlobForm {
        match self.flags & (FLAG_MANIFEST | FLAG_CHUNK) {
            0 => BlobForm::Whole,
            FLAG_CHUNK => BlobForm::Chunk,
            _ => BlobForm::Manifest,
        }
    }

    /// Bytes of the whole frame, padding counted.
    pub(super) fn frame_bytes(&self) -> usize {
        (FRAME_HEADER_BYTES + self.key_bytes + self.payload_bytes).next_multiple_of(ALIGNMENT)
    }
}

/// A whole frame whose checksum is right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) header: FrameHeader,
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame that `bytes` begin with and that stands in a place, or what is wrong with it.
    pub(super) fn decode(bytes: &'a [u8], mark: Mark) -> std::result::Result<Self, &'static str> {
        let header = bytes.first_chunk().ok_or("the frame is cut short")?;
        let mut header = FrameHeader::decode(header)?;
        header.crc ^= mark.0;
        let bytes = bytes.get(..header.frame_bytes()).ok_or("the frame is cut short")?;
        if crc32c::crc32c(&bytes[4..]) != header.crc {
            return Err("the frame's checksum is wrong");
        }
        if header.flags & FLAGS_RESERVED != 0 {
            return Err("the frame uses a feature of a later release");
        }
        if header.flags & !FLAGS_READ != 0 || !header.is_flagged_rightly() {
            return Err("the frame's flags are unknown");
        }
        let frame = Self { header, bytes };
        if header.kind.ends_batch() && frame.commit().revision > REVISION_MAX {
            return Err("the frame's revision is impossible");
        }
        Ok(frame)
    }

    /// A frame of which at least header and key are there; its payload must not be asked for.
    pub(super) fn unverified(header: FrameHeader, bytes: &'a [u8]) -> Option<Self> {
        (bytes.len() >= FRAME_HEADER_BYTES + header.key_bytes).then_some(Self { header, bytes })
    }

    /// The frame that `bytes` begin with, if its checksum was verified before.
    pub(super) fn decode_verified(bytes: &'a [u8]) -> Option<Self> {
        let header = FrameHeader::decode(bytes.first_chunk()?).ok()?;
        Some(Self { header, bytes: bytes.get(..header.frame_bytes())? })
    }

    pub(super) fn key(&self) -> &'a [u8] {
        &self.bytes[FRAME_HEADER_BYTES..][..self.header.key_bytes]
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        &self.bytes[FRAME_HEADER_BYTES + self.header.key_bytes..][..self.header.payload_bytes]
    }

    /// The key of an entity or a blob.
    pub(super) fn sha256(&self) -> [u8; 32] {
        self.key().try_into().unwrap_or([0; 32])
    }

    pub(super) fn record_key(&self) -> Option<RecordKey> {
        let (len, names) = self.key().split_first_chunk()?;
        let (collection, key) = names.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        RecordKey::new(std::str::from_utf8(collection).ok()?, std::str::from_utf8(key).ok()?).ok()
    }

    pub(super) fn blob_form(&self) -> BlobForm {
        self.header.blob_form()
    }

    /// The bytes that the hash chain covers: header, key, what is attached to an entity, and the SHA-256 of
    /// any other content that the key does not cover already.
    pub(super) fn chain(&self, mut update: impl FnMut(&[u8])) {
        match self.header.kind {
            Kind::Husk => return update(self.payload()),
            Kind::Entity => return self.chain_entity(update),
            _ => {}
        }
        update(&self.header.crc.to_le_bytes());
        update(&self.bytes[4..FRAME_HEADER_BYTES + self.header.key_bytes]);
        match self.header.kind {
            Kind::Blob if self.header.flags & FLAG_MANIFEST == 0 => {}
            Kind::Blob | Kind::Record => update(&Sha256::digest(self.payload())),
            _ => {}
        }
    }

    /// The key under which the indexes have an entity or a blob.
    pub(super) fn index_key(&self) -> u64 {
        crate::index::key_of(&self.sha256())
    }

    /// Appends the whole frame, for another place.
    pub(super) fn copy_to(&self, out: &mut Vec<u8>, mark: Mark) {
        let start = out.len();
        out.extend_from_slice(&self.header.crc.to_le_bytes());
        out.extend_from_slice(&self.bytes[4..]);
        mark.put_on(&mut out[start..]);
    }

    /// The header and the key of the frame that a husk stands for.
    pub(super) fn husk_of(&self) -> Option<Frame<'a>> {
        let payload = self.payload();
        let header = FrameHeader::decode(payload.first_chunk()?).ok()?;
        Frame::unverified(header, payload)
    }

    pub(super) fn commit(&self) -> CommitPayload {
        let payload = self.payload();
        CommitPayload {
            revision: u64_at(payload, 0),
            frames: u32_at(payload, 8),
            batch_bytes: u32_at(payload, 12),
            frames_crc: u32_at(payload, 16),
            synced: Location::new(
                SegmentId(u32_at(payload, 20) & 0xff_ffff),
                u64_at(payload, 24) & 0x7_ffff_ffff,
            ),
            chain: array(payload, 32),
        }
    }
}

/// What a commit frame says of its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommitPayload {
    pub(super) revision: u64,
    /// Frames of the batch before this one.
    pub(super) frames: u32,
    /// Bytes of those frames.
    pub(super) batch_bytes: u32,
    /// CRC-32C of the checksums of those frames, one after another.
    pub(super) frames_crc: u32,
    /// Everything before this place was synced when the frame was made.
    pub(super) synced: Location,
    /// SHA-256 of the chain before, the revision and the digest of the batch.
    pub(super) chain: [u8; 32],
}

impl CommitPayload {
    /// That of a log without batches.
    pub(super) fn nothing() -> Self {
        let synced = Location::new(SegmentId::written(0), 0);
        Self { revision: 0, frames: 0, batch_bytes: 0, frames_crc: 0, synced, chain: [0; 32] }
    }

    pub(super) fn encode(&self) -> [u8; COMMIT_PAYLOAD_BYTES] {
        let mut payload = [0; COMMIT_PAYLOAD_BYTES];
        payload[0..8].copy_from_slice(&self.revision.to_le_bytes());
        payload[8..12].copy_from_slice(&self.frames.to_le_bytes());
        payload[12..16].copy_from_slice(&self.batch_bytes.to_le_bytes());
        payload[16..20].copy_from_slice(&self.frames_crc.to_le_bytes());
        payload[20..24].copy_from_slice(&self.synced.segment().0.to_le_bytes());
        payload[24..32].copy_from_slice(&self.synced.offset().to_le_bytes());
        payload[32..64].copy_from_slice(&self.chain);
        payload
    }
}

/// Bytes of a whole commit frame.
pub(super) const COMMIT_FRAME_BYTES: usize = FRAME_HEADER_BYTES + COMMIT_PAYLOAD_BYTES;

/// What is put in front of a key and a payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) ordinal: u32,
}

/// Appends a frame without a mark; key and payload are given in pieces.
pub(super) fn write_frame(out: &mut Vec<u8>, label: Label, key: &[&[u8]], payload: &[&[u8]]) {
    let start = out.len();
    let length = |pieces: &[&[u8]]| pieces.iter().map(|piece| piece.len()).sum::<usize>();
    // Batches are checked against their limits before they are encoded.
    let (key_bytes, payload_bytes) = (length(key) as u16, length(payload) as u32);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&payload_bytes.to_le_bytes());
    out.extend_from_slice(&[label.kind as u8, label.flags]);
    out.extend_from_slice(&key_bytes.to_le_bytes());
    out.extend_from_slice(&label.ordinal.to_le_bytes());
    key.iter().chain(payload).for_each(|piece| out.extend_from_slice(piece));
    out.resize(start + (out.len() - start).next_multiple_of(ALIGNMENT), 0);
    let crc = crc32c::crc32c(&out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit_payload() -> CommitPayload {
        CommitPayload {
            revision: 7,
            frames: 2,
            batch_bytes: 112,
            frames_crc: 0x1234_5678,
            synced: Location::new(SegmentId::written(3), 80),
            chain: [0xab; 32],
        }
    }

    #[test]
    fn headers_have_the_bytes_that_the_format_promises() {
        let store = StoreHeader { store_id: [1; 16] }.encode();
        assert_eq!(&store[..16], b"STATLAS\0\x01\0\0\0\0\0\0\0");
        assert_eq!(store[16..32], [1; 16]);
        assert_eq!(StoreHeader::decode(&store, "here").expect("a header"), StoreHeader { store_id: [1; 16] });
        let header = SegmentHeader::written(2, [1; 16], 9, [3; 32]);
        let bytes = header.encode();
        assert_eq!(&bytes[..16], b"STATSEG\0\x01\0\0\0\x02\0\x80\0");
        assert_eq!(bytes[32..40], 9_u64.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    }

    #[test]
    fn a_newer_store_is_told_apart_from_a_damaged_one_and_from_none() {
        let mut newer = StoreHeader { store_id: [1; 16] }.encode();
        newer[8] = 2;
        let kind = |bytes: &[u8]| StoreHeader::decode(bytes, "here").expect_err("refused").kind();
        assert_eq!(kind(&newer), ErrorKind::NewerFormat);
        let mut damaged = StoreHeader { store_id: [1; 16] }.encode();
        damaged[20] ^= 1;
        assert_eq!(kind(&damaged), ErrorKind::Corrupt);
        assert_eq!(kind(b"something else that is no store at all"), ErrorKind::NotAStore);
        assert_eq!(kind(b""), ErrorKind::NotAStore);
    }

    #[test]
    fn a_frame_has_the_bytes_that_the_format_promises() {
        let mut out = vec![9; 8];
        let label = Label { kind: Kind::Record, flags: 0, ordinal: 5 };
        write_frame(&mut out, label, &[&1_u16.to_le_bytes(), b"c", b"key"], &[b"value"]);
        let frame = &out[8..];
        assert_eq!(frame.len(), 32);
        assert_eq!(frame[4..16], [5, 0, 0, 0, 18, 0, 6, 0, 5, 0, 0, 0]);
        assert_eq!(&frame[16..], b"\x01\0ckeyvalue\0\0\0\0\0");
        assert_eq!(frame[..4], crc32c::crc32c(&frame[4..]).to_le_bytes());
        let decoded = Frame::decode(frame, Mark::NONE).expect("a frame");
        assert_eq!(decoded.payload(), b"value");
        assert_eq!(decoded.record_key(), RecordKey::new("c", "key").ok());
    }

    #[test]
    fn a_commit_frame_round_trips_and_has_80_bytes() {
        let mut out = Vec::new();
        let label = Label { kind: Kind::Commit, flags: 0, ordinal: 0 };
        write_frame(&mut out, label, &[], &[&commit_payload().encode()]);
        assert_eq!(out.len(), COMMIT_FRAME_BYTES);
        assert_eq!(Frame::decode(&out, Mark::NONE).expect("a frame").commit(), commit_payload());
    }

    #[test]
    fn no_flipped_bit_of_a_frame_goes_unnoticed() {
        let mut out = Vec::new();
        write_frame(&mut out, Label { kind: Kind::Blob, flags: 0, ordinal: 0 }, &[&[7; 32]], &[b"content"]);
        for bit in 0..out.len() * 8 {
            let mut damaged = out.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Frame::decode(&damaged, Mark::NONE).is_err(), "bit {bit}");
        }
        for len in 0..out.len() {
            assert!(Frame::decode(&out[..len], Mark::NONE).is_err(), "length {len}");
        }
    }
}
