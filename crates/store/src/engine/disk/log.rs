//! The segments of the log as readers see them, and the tail that is not written yet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

use super::format::{FRAME_HEADER_BYTES, Frame, FrameHeader, Location};
use super::storage::{Mapping, StorageFile};
use crate::error::{Error, ErrorKind, Result};

/// One file of the log.
pub(super) struct Segment {
    pub(super) number: u32,
    pub(super) file: Box<dyn StorageFile>,
    map: Box<dyn Mapping>,
    /// Bytes that may be read through the mapping.
    written: AtomicU64,
}

impl Segment {
    pub(super) fn new(number: u32, file: Box<dyn StorageFile>, map: Box<dyn Mapping>, written: u64) -> Self {
        Self { number, file, map, written: AtomicU64::new(written) }
    }

    pub(super) fn name(number: u32) -> String {
        format!("log/{number:08}.seg")
    }

    fn read_at(&self, offset: u64, bytes: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.resize(bytes, 0);
        let failed = |error| Error::io(format!("reading {} failed", Self::name(self.number)), error);
        self.file.read_at(offset, buffer).map_err(failed)
    }

    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    pub(super) fn set_written(&self, bytes: u64) {
        self.written.store(bytes, Ordering::Release);
    }
}

/// Bytes that are acknowledged or about to be, but not handed to the operating system yet.
#[derive(Default)]
pub(super) struct Tail {
    /// Where the bytes will stand.
    pub(super) segment: u32,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

/// Segments in a chunk of the list of segments, and chunks in the list.
const CHUNK: usize = 4096;

/// The log for reading. Finding a segment is two plain loads.
pub(super) struct Log {
    /// By number, the first is number 1; a missing file leaves a gap.
    chunks: Places<Places<Arc<Segment>>>,
    pub(super) tail: RwLock<Tail>,
}

/// Places that are filled one by one and never emptied.
type Places<T> = Box<[OnceLock<T>]>;

fn places<T>() -> Places<T> {
    std::iter::repeat_with(OnceLock::new).take(CHUNK).collect()
}

impl Log {
    pub(super) fn new() -> Self {
        Self { chunks: places(), tail: RwLock::default() }
    }

    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        let chunks = self.chunks.iter().filter_map(OnceLock::get);
        chunks.flat_map(|chunk| chunk.iter().filter_map(OnceLock::get)).cloned().collect()
    }

    /// Adds a segment, whose number is new.
    pub(super) fn push(&self, segment: Arc<Segment>) {
        let number = segment.number as usize;
        let chunk = self.chunks[number / CHUNK].get_or_init(places);
        let added = chunk[number % CHUNK].set(segment);
        debug_assert!(added.is_ok(), "a segment was added twice");
    }

    #[inline]
    fn segment(&self, location: Location) -> Result<&Segment> {
        let number = location.segment() as usize;
        let segment = self.chunks.get(number / CHUNK).and_then(OnceLock::get);
        let segment = segment.and_then(|chunk| chunk[number % CHUNK].get());
        segment.map(|segment| &**segment).ok_or_else(|| corrupt(location, "the segment is missing"))
    }

    /// Copies the frame at a location into `buffer` and verifies it.
    #[inline]
    pub(super) fn read<'a>(&self, location: Location, buffer: &'a mut Vec<u8>) -> Result<Frame<'a>> {
        self.copy(location, buffer)?;
        Frame::decode(buffer).map_err(|reason| corrupt(location, reason))
    }

    /// The key of the frame at a location, unverified: enough to tell that it is another one's.
    pub(super) fn read_key(&self, location: Location) -> Result<[u8; 32]> {
        let mut buffer = Vec::new();
        let segment = self.segment(location)?;
        let start = location.offset() as usize + FRAME_HEADER_BYTES;
        if start as u64 + 32 > segment.written() {
            return Ok(self.read(location, &mut buffer)?.sha256());
        }
        segment.map.read(start, 32, &mut buffer);
        Ok(buffer.try_into().unwrap_or_default())
    }

    /// Brings the frame at a location into the cache, if it is written and not too large.
    pub(super) fn touch(&self, location: Location) {
        if let Ok(segment) = self.segment(location) {
            let rest = segment.written().saturating_sub(location.offset());
            let bytes = location.bytes_to_fetch().min(rest as usize);
            segment.map.touch(location.offset() as usize, bytes);
        }
    }

    /// Copies at least the frame at a location into `buffer`, unverified.
    #[inline]
    pub(super) fn copy(&self, location: Location, buffer: &mut Vec<u8>) -> Result<()> {
        let segment = self.segment(location)?;
        let start = location.offset() as usize;
        // A batch is written as a whole: if the frame's first byte is there, all of it is.
        let rest = (segment.written() as usize).saturating_sub(start);
        if rest < FRAME_HEADER_BYTES {
            return self.copy_from_tail(location, buffer);
        }
        let fetch = location.bytes_to_fetch();
        if fetch > 0 {
            segment.map.read(start, fetch.min(rest), buffer);
            return Ok(());
        }
        // A large frame is read with system calls: through the mapping it would stay in this process's
        // memory, and what a call costs is little beside its bytes.
        segment.read_at(location.offset(), FRAME_HEADER_BYTES, buffer)?;
        let frame = buffer.first_chunk().ok_or("the frame is cut short").and_then(FrameHeader::decode);
        let frame_bytes = frame.map_err(|reason| corrupt(location, reason))?.frame_bytes();
        if frame_bytes > rest {
            return Err(corrupt(location, "the frame reaches behind the end of its segment"));
        }
        segment.read_at(location.offset(), frame_bytes, buffer)?;
        Ok(())
    }

    #[cold]
    fn copy_from_tail(&self, location: Location, buffer: &mut Vec<u8>) -> Result<()> {
        {
            let tail = self.tail.read();
            let start =
                location.offset().checked_sub(tail.offset).filter(|_| tail.segment == location.segment());
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
        // Written meanwhile: then the segment has it.
        if location.offset() < self.segment(location)?.written() {
            return self.copy(location, buffer);
        }
        Err(corrupt(location, "the place lies behind the end of the log"))
    }
}

#[cold]
pub(super) fn corrupt(location: Location, reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{location}: {reason}"))
}
