//! What compressed texts are made with and read with: bytes that are typical of the texts of a segment.
//!
//! A dictionary stands twice at the beginning of its segment, so that no single damaged place takes the texts
//! of a whole segment with it.

use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use zstd_safe::{DCtx, DDict};

use super::format::{
    FRAME_HEADER_BYTES, Frame, FrameHeader, Kind, Label, SEGMENT_HEADER_BYTES, Salt, SegmentHeader, Text,
    write_frame,
};
use super::storage::StorageFile;
use crate::budget::Reservation;

/// No dictionary is longer.
const DICTIONARY_BYTES_MAX: usize = 1 << 20;
/// How often it stands in its segment.
const COPIES: u32 = 2;
/// Why a text can't be read.
pub(super) const DICTIONARY_DAMAGED: &str = "both copies of the segment's dictionary are damaged";
const TEXT_DAMAGED: &str = "the compressed text does not fit the segment's dictionary";

/// A dictionary, ready to read with.
pub(super) struct Dictionary {
    /// SHA-256 of the bytes.
    pub(super) key: [u8; 32],
    pub(super) bytes: Box<[u8]>,
    prepared: DDict<'static>,
    /// Of those that stay as long as their segments.
    _memory: Option<Reservation>,
}

impl Dictionary {
    /// Makes it ready; `None` if zstd refuses the bytes. `reserve` is told how much memory that takes.
    pub(super) fn new(bytes: Vec<u8>, reserve: impl FnOnce(u64) -> Option<Reservation>) -> Option<Arc<Self>> {
        let prepared = DDict::try_create(&bytes)?;
        let memory = reserve((prepared.sizeof() + bytes.len()) as u64);
        let key = Sha256::digest(&bytes).into();
        Some(Arc::new(Self { key, bytes: bytes.into(), prepared, _memory: memory }))
    }

    /// Appends the frames that stand behind the header of a segment.
    pub(super) fn write(&self, salt: Salt, out: &mut Vec<u8>) {
        for _ in 0..COPIES {
            let start = out.len();
            let label = Label { kind: Kind::Dictionary, flags: 0, ordinal: 0 };
            write_frame(out, label, &[&self.key], &[&self.bytes]);
            salt.at(start as u64).put_on(&mut out[start..]);
        }
    }

    /// Bytes of those frames.
    pub(super) fn frames_bytes(&self) -> u32 {
        let frame = (FRAME_HEADER_BYTES + self.key.len() + self.bytes.len()).next_multiple_of(8);
        // A dictionary is bounded.
        frame as u32 * COPIES
    }

    /// Makes a text plain, whose length says how much room there is for it.
    pub(super) fn expand(
        &self,
        context: &mut DCtx<'static>,
        compressed: &[u8],
        text: &mut [u8],
    ) -> Result<(), &'static str> {
        match context.decompress_using_ddict(text, compressed, &self.prepared) {
            Ok(bytes) if bytes == text.len() => Ok(()),
            _ => Err(TEXT_DAMAGED),
        }
    }
}

/// The bytes of the dictionary of a segment, `None` if it has none; an inner error says that none can be read.
pub(super) fn read_dictionary(
    file: &dyn StorageFile,
    total: u64,
    salt: Salt,
) -> io::Result<Option<Result<Vec<u8>, &'static str>>> {
    let mut bytes = vec![0; (SEGMENT_HEADER_BYTES as u64).min(total) as usize];
    file.read_at(0, &mut bytes)?;
    let header = SegmentHeader::decode(&bytes).ok();
    if header.is_some_and(|header| header.dictionary_bytes == 0) {
        return Ok(None);
    }
    let first = SEGMENT_HEADER_BYTES as u64;
    let second = header.map(|header| first + u64::from(header.dictionary_bytes / COPIES));
    for start in [Some(first), second].into_iter().flatten() {
        if let Some(found) = read_copy(file, total, salt, start)? {
            return Ok(Some(Ok(found)));
        }
    }
    Ok(header.map(|_| Err(DICTIONARY_DAMAGED)))
}

/// The copy of a dictionary at an offset, if it is whole.
fn read_copy(file: &dyn StorageFile, total: u64, salt: Salt, start: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; FRAME_HEADER_BYTES];
    if start + FRAME_HEADER_BYTES as u64 > total {
        return Ok(None);
    }
    file.read_at(start, &mut bytes)?;
    let header = bytes.first_chunk().and_then(|header| FrameHeader::decode(header).ok());
    let is_dictionary = |header: &FrameHeader| {
        header.kind == Kind::Dictionary && header.payload_bytes <= DICTIONARY_BYTES_MAX
    };
    let Some(header) = header.filter(is_dictionary) else { return Ok(None) };
    if start + header.frame_bytes() as u64 > total {
        return Ok(None);
    }
    bytes.resize(header.frame_bytes(), 0);
    file.read_at(start, &mut bytes)?;
    let frame = Frame::decode(&bytes, salt.at(start)).ok();
    let is_itself = |frame: &Frame<'_>| Sha256::digest(frame.payload())[..] == *frame.key();
    Ok(frame.filter(is_itself).map(|frame| frame.payload().to_vec()))
}

/// Makes the texts of one file plain while it is read from end to end.
#[derive(Default)]
pub(super) struct PlainTexts {
    dictionary: Option<Arc<Dictionary>>,
    context: Option<DCtx<'static>>,
    text: Vec<u8>,
}

impl PlainTexts {
    /// Those of a segment, as long as it is so far.
    pub(super) fn of(file: &dyn StorageFile, total: u64, salt: Salt) -> io::Result<Self> {
        let dictionary = match read_dictionary(file, total, salt)? {
            Some(Ok(bytes)) => Dictionary::new(bytes, |_| None),
            Some(Err(_)) | None => None,
        };
        Ok(Self { dictionary, context: None, text: Vec::new() })
    }

    /// A text as it is when it is plain.
    pub(super) fn text<'a>(&'a mut self, text: Text<'a>) -> Result<&'a [u8], &'static str> {
        let (bytes, frame) = match text {
            Text::Plain(text) => return Ok(text),
            Text::Compressed { bytes, frame } => (bytes, frame),
        };
        let dictionary = self.dictionary.as_ref().ok_or(DICTIONARY_DAMAGED)?;
        let context = self.context.get_or_insert_with(DCtx::create);
        self.text.resize(bytes, 0);
        dictionary.expand(context, frame, &mut self.text)?;
        Ok(&self.text)
    }
}
