//! The files of the log as readers see them, and the tail that is not written yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::RwLock;

use super::format::{
    FRAME_HEADER_BYTES, Frame, FrameHeader, Location, Salt, SegmentHeader, SegmentId, is_compressed,
};
use super::storage::{Mapping, StorageFile};
use super::texts::{DictionarySlot, Texts};
use super::view::View;
use crate::error::{Error, ErrorKind, Result};

/// One file of the log.
pub(super) struct LogFile {
    pub(super) id: SegmentId,
    /// The files that writers made and that this one stands for, the last included.
    pub(super) first: u32,
    pub(super) last: u32,
    /// The newest revision of which something was compacted away without a trace; 0 for none.
    pub(super) forgotten: u64,
    /// The head of the hash chain before it.
    pub(super) chain: [u8; 32],
    pub(super) salt: Salt,
    /// Where the batches begin, behind the dictionary.
    pub(super) data_start: u64,
    pub(super) dictionary: DictionarySlot,
    pub(super) file: Box<dyn StorageFile>,
    map: Box<dyn Mapping>,
    /// Bytes that may be read through the mapping.
    written: AtomicU64,
    /// Whether something in it or in its sidecar is known to be damaged: the next opening is to read it.
    damaged: AtomicBool,
}

impl LogFile {
    /// The file with a header.
    pub(super) fn new(
        header: &SegmentHeader,
        file: Box<dyn StorageFile>,
        map: Box<dyn Mapping>,
        written: u64,
    ) -> Self {
        let SegmentHeader { id, first, last, forgotten, chain, store_id, .. } = *header;
        let (salt, data_start) = (Salt::of(&store_id, id), header.data_start());
        let (dictionary, written) = (DictionarySlot::new(), AtomicU64::new(written));
        let damaged = AtomicBool::new(false);
        Self { id, first, last, forgotten, chain, salt, data_start, dictionary, file, map, written, damaged }
    }

    fn read_at(&self, offset: u64, bytes: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(bytes, 0);
        let failed = |error| Error::io(format!("reading {} failed", self.id.file_name()), error);
        self.file.read_at(offset, buffer).map_err(failed)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    pub(super) fn set_damaged(&self) {
        self.damaged.store(true, Ordering::Release);
    }

    pub(super) fn set_written(&self, bytes: u64) {
        self.written.store(bytes, Ordering::Release);
    }
}

/// Bytes that are acknowledged or about to be, but not handed to the operating system yet.
#[derive(Default)]
pub(super) struct Tail {
    /// Where the bytes will stand.
    pub(super) segment: Option<SegmentId>,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// The log for reading.
pub(super) struct Log {
    /// What the log is made of now. Who reads takes it once and keeps it: files that were compacted away
    /// stay open as long as anybody looks at them.
    pub(super) view: ArcSwap<View>,
    pub(super) tail: RwLock<Tail>,
    /// What compressed texts are read with.
    pub(super) texts: Texts,
}

impl Log {
    pub(super) fn new(view: View, texts: Texts) -> Self {
        Self { view: ArcSwap::from_pointee(view), tail: RwLock::default(), texts }
    }

    /// What `read` finds in the view of now, looked for again if the view changed meanwhile and it found
    /// nothing.
    #[inline]
    pub(super) fn read<T>(&self, mut read: impl FnMut(Reader<'_>) -> Result<Option<T>>) -> Result<Option<T>> {
        loop {
            let view = self.view.load();
            let found = read(self.reader(&view));
            // What was found was there; what was not may just have moved to a file that this view lacks.
            if matches!(found, Ok(Some(_))) || Arc::ptr_eq(&view, &self.view.load()) {
                return found;
            }
        }
    }

    /// Puts renewed indexes in the place of worn ones, if `allow` has the bytes that they take as long as somebody reads in
    /// the old ones. Only the holder of the commit lock may do this.
    pub(super) fn renew_indexes(&self, allow: impl FnOnce(u64) -> bool) {
        let view = self.view.load();
        let worn = view.indexes.worn_bytes();
        if worn > 0
            && allow(worn)
            && let Some(renewed) = view.indexes.renewed()
        {
            self.view.store(Arc::new(view.with_indexes(Arc::new(renewed), view.covered_from)));
        }
    }

    /// A reader of a view that its caller holds.
    pub(super) fn reader<'a>(&'a self, view: &'a View) -> Reader<'a> {
        Reader { view, tail: &self.tail, texts: &self.texts }
    }

    /// As [`Log::read`], for what is never absent.
    pub(super) fn read_all<T>(&self, mut read: impl FnMut(Reader<'_>) -> Result<T>) -> Result<T> {
        loop {
            let view = self.view.load();
            let found = read(self.reader(&view));
            if found.is_ok() || Arc::ptr_eq(&view, &self.view.load()) {
                return found;
            }
        }
    }
}

/// A view of the log, and the tail behind it.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) view: &'a View,
    tail: &'a RwLock<Tail>,
    texts: &'a Texts,
}

impl Reader<'_> {
    #[inline]
    fn file(&self, location: Location) -> Result<&LogFile> {
        self.view.file(location.segment()).ok_or_else(|| corrupt(location, "the segment is missing"))
    }

    /// Copies the frame at a location into `buffer` and verifies it. A compressed text is made plain: what is in
    /// the buffer then is the frame as it is without compression, and has no checksum.
    #[inline]
    pub(super) fn frame<'b>(&self, location: Location, buffer: &'b mut Vec<u8>) -> Result<Frame<'b>> {
        let file = self.file(location)?;
        self.copy(file, location, buffer)?;
        if is_compressed(buffer) {
            return self.plain_frame(file, location, buffer);
        }
        Frame::decode(buffer, file.salt.at(location.offset())).map_err(|reason| corrupt(location, reason))
    }

    fn plain_frame<'b>(
        &self,
        file: &LogFile,
        location: Location,
        buffer: &'b mut Vec<u8>,
    ) -> Result<Frame<'b>> {
        let mark = file.salt.at(location.offset());
        let frame = Frame::decode(buffer, mark).map_err(|reason| corrupt(location, reason))?;
        let mut plain = Vec::new();
        if !self.texts.expand(file, location, &frame, &mut plain)? {
            return Err(corrupt(location, "the entity's attachments are damaged"));
        }
        *buffer = plain;
        Frame::decode_verified(buffer).ok_or_else(|| corrupt(location, "the text is too long"))
    }

    /// The key of the frame at a location, unverified: enough to tell that it is another one's.
    pub(super) fn key(&self, location: Location) -> Result<[u8; 32]> {
        let mut buffer = Vec::new();
        let file = self.file(location)?;
        let start = location.offset() as usize + FRAME_HEADER_BYTES;
        if start as u64 + 32 > file.written() {
            return Ok(self.frame(location, &mut buffer)?.sha256());
        }
        file.map.read(start, 32, &mut buffer);
        Ok(buffer.try_into().unwrap_or_default())
    }

    /// How long the frame at a location is; its lengths are read, not its content.
    pub(super) fn frame_bytes(&self, location: Location) -> Result<u64> {
        Ok(self.header(location)?.frame_bytes() as u64)
    }

    /// The header of the frame at a location; its content is not read, and so the header is not verified.
    pub(super) fn header(&self, location: Location) -> Result<FrameHeader> {
        let file = self.file(location)?;
        let mut buffer = Vec::new();
        if location.offset() + FRAME_HEADER_BYTES as u64 > file.written() {
            self.copy_from_tail(file, location, &mut buffer)?;
        } else {
            file.map.read(location.offset() as usize, FRAME_HEADER_BYTES, &mut buffer);
        }
        let header = buffer.first_chunk().ok_or("the frame is cut short").and_then(FrameHeader::decode);
        header.map_err(|reason| corrupt(location, reason))
    }

    /// Brings the frame at a location into the cache, if it is written and not too large.
    pub(super) fn touch(&self, location: Location) {
        if let Ok(file) = self.file(location) {
            let rest = file.written().saturating_sub(location.offset());
            let bytes = location.bytes_to_fetch().min(rest as usize);
            file.map.touch(location.offset() as usize, bytes);
        }
    }

    /// Copies at least the frame at a location into `buffer`, unverified.
    #[inline]
    fn copy(&self, file: &LogFile, location: Location, buffer: &mut Vec<u8>) -> Result<()> {
        let start = location.offset() as usize;
        // A batch is written as a whole: if the frame's first byte is there, all of it is.
        let rest = (file.written() as usize).saturating_sub(start);
        if rest < FRAME_HEADER_BYTES {
            return self.copy_from_tail(file, location, buffer);
        }
        let fetch = location.bytes_to_fetch();
        if fetch > 0 {
            file.map.read(start, fetch.min(rest), buffer);
            return Ok(());
        }
        // A large frame is read with system calls: through the mapping it would stay in this process's
        // memory, and what a call costs is little beside its bytes.
        file.read_at(location.offset(), FRAME_HEADER_BYTES, buffer)?;
        let frame = buffer.first_chunk().ok_or("the frame is cut short").and_then(FrameHeader::decode);
        let frame_bytes = frame.map_err(|reason| corrupt(location, reason))?.frame_bytes();
        if frame_bytes > rest {
            return Err(corrupt(location, "the frame reaches behind the end of its segment"));
        }
        file.read_at(location.offset(), frame_bytes, buffer)
    }

    #[cold]
    fn copy_from_tail(&self, file: &LogFile, location: Location, buffer: &mut Vec<u8>) -> Result<()> {
        {
            let tail = self.tail.read();
            let start = location
                .offset()
                .checked_sub(tail.offset)
                .filter(|_| tail.segment == Some(location.segment()));
            if let Some(bytes) =
                start.and_then(|start| tail.bytes.get(start as usize..)).filter(|b| !b.is_empty())
            {
                let frame = bytes.first_chunk().ok_or("the frame is cut short").and_then(FrameHeader::decode);
                let frame = frame.map_err(|reason| corrupt(location, reason))?;
                buffer.clear();
                buffer.extend_from_slice(bytes.get(..frame.frame_bytes()).unwrap_or_default());
                return Ok(());
            }
        }
        // Written meanwhile: then the file has it.
        if location.offset() < file.written() {
            return self.copy(file, location, buffer);
        }
        Err(corrupt(location, "the place lies behind the end of the log"))
    }
}

#[cold]
pub(super) fn corrupt(location: Location, reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{location}: {reason}"))
}
