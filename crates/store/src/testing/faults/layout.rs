//! Which bytes of a log are about what, read from `docs/FORMAT.md` a second time: the engine's own reader is
//! what is being tested.

use std::ops::Range;

use statlas_core::{Address, BlobId};

use crate::batch::RecordKey;
use crate::testing::auditor::Hit;

const SEGMENT_HEADER_BYTES: usize = 96;
const FRAME_HEADER_BYTES: usize = 16;

/// A piece of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) bytes: Range<usize>,
    pub(super) subject: Subject,
}

/// What a piece is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The header of the segment.
    Header,
    /// The end of a batch.
    Commit,
    /// What is left of a frame that was compacted away.
    Husk,
    /// The end of the log, or of a segment.
    Mark,
    /// One of two copies of what texts were compressed with.
    Dictionary,
    Entity(Address),
    Blob(BlobId),
    Record(RecordKey),
}

impl Subject {
    /// What is hit when the piece is damaged.
    pub(super) fn hit(&self) -> Hit {
        let mut hit = Hit::default();
        match self {
            Self::Header | Self::Commit | Self::Husk | Self::Mark | Self::Dictionary => {}
            Self::Entity(address) => drop(hit.entities.insert(*address)),
            Self::Blob(id) => drop(hit.blobs.insert(*id)),
            Self::Record(key) => drop(hit.records.insert(key.clone())),
        }
        hit
    }
}

/// The pieces of a sound segment, in order and without gaps.
pub(super) fn pieces(segment: &[u8]) -> Vec<Piece> {
    let mut pieces = vec![Piece { bytes: 0..SEGMENT_HEADER_BYTES, subject: Subject::Header }];
    let mut at = SEGMENT_HEADER_BYTES;
    while at < segment.len() {
        let frame = &segment[at..];
        let bytes = frame_bytes(frame).expect("the log is sound");
        let subject = subject(frame).expect("the log is sound");
        pieces.push(Piece { bytes: at..at + bytes, subject });
        at += bytes;
    }
    pieces
}

fn frame_bytes(frame: &[u8]) -> Option<usize> {
    let payload_bytes = u32::from_le_bytes(array(frame.get(4..8)?)?) as usize;
    let key_bytes = usize::from(u16::from_le_bytes(array(frame.get(10..12)?)?));
    Some((FRAME_HEADER_BYTES + key_bytes + payload_bytes).next_multiple_of(8))
}

/// What a frame says that it is about, whether it is sound or not.
pub(super) fn subject(frame: &[u8]) -> Option<Subject> {
    let key_bytes = usize::from(u16::from_le_bytes(array(frame.get(10..12)?)?));
    let key = frame.get(FRAME_HEADER_BYTES..)?.get(..key_bytes)?;
    Some(match frame[8] {
        1 | 5 => Subject::Commit,
        2 | 3 => Subject::Mark,
        4 => Subject::Husk,
        6 => Subject::Dictionary,
        16 | 32 => Subject::Entity(Address(array(key)?)),
        17 | 33 => Subject::Blob(BlobId(array(key)?)),
        18 | 34 => Subject::Record(record_key(key)?),
        _ => return None,
    })
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

fn record_key(key: &[u8]) -> Option<RecordKey> {
    let (len, names) = key.split_first_chunk()?;
    let (collection, key) = names.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
    RecordKey::new(std::str::from_utf8(collection).ok()?, std::str::from_utf8(key).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::at_rest::AtRest;
    use super::{Subject, subject};

    #[test]
    fn the_pieces_cover_every_byte_of_a_log_and_know_all_that_is_stored() {
        let store = AtRest::make(1, 60 << 10).expect("nothing is in the way");
        let mut subjects = Vec::new();
        for file in store.segments() {
            let mut end = 0;
            for piece in &file.pieces {
                assert_eq!(piece.bytes.start, end);
                end = piece.bytes.end;
                subjects.push(piece.subject.clone());
            }
            assert_eq!(end, file.bytes.len());
            assert_eq!(file.pieces[0].subject, Subject::Header);
        }
        let model = store.auditor.model();
        let all = model.entities().map(|entity| Subject::Entity(entity.address()));
        let all = all.chain(model.blobs().map(|(id, _)| Subject::Blob(*id)));
        let all = all.chain(model.all_records().map(|record| Subject::Record(record.key.clone())));
        all.for_each(|stored| assert!(subjects.contains(&stored), "{stored:?} is in no piece"));
        assert_eq!(subjects.last(), Some(&Subject::Mark), "it was closed");
        assert_eq!(subject(&[0; 40]), None);
    }
}
