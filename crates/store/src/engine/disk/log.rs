//! The segments of the log as readers see them, and the tail that is not written yet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
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

/// The log for reading.
pub(super) struct Log {
    /// By number, the first is number 1; a missing file leaves a gap.
    segments: ArcSwap<Vec<Option<Arc<Segment>>>>,
    pub(super) tail: RwLock<Tail>,
}

impl Log {
    pub(super) fn new(segments: Vec<Option<Arc<Segment>>>) -> Self {
        Self { segments: ArcSwap::from_pointee(segments), tail: RwLock::default() }
    }

    pub(super) fn segments(&self) -> Vec<Arc<Segment>> {
        self.segments.load().iter().flatten().cloned().collect()
    }

    pub(super) fn push(&self, segment: Arc<Segment>) {
        let mut segments = Vec::clone(&self.segments.load());
        segments.resize(segment.number as usize - 1, None);
        segments.push(Some(segment));
        self.segments.store(Arc::new(segments));
    }

    pub(super) fn clear(&self) {
        self.segments.store(Arc::default());
    }

    /// Copies the frame at a location into `buffer` and verifies it.
    pub(super) fn read<'a>(&self, location: Location, buffer: &'a mut Vec<u8>) -> Result<Frame<'a>> {
        self.copy(location, buffer)?;
        Frame::decode(buffer).map_err(|reason| corrupt(location, reason))
    }

    /// Copies the key of the frame at a location, unverified: enough to tell that it is another one's.
    pub(super) fn read_key(&self, location: Location) -> Result<[u8; 32]> {
        let segments = self.segments.load();
        let segment = segment_of(&segments, location)?;
        let start = location.offset() as usize + FRAME_HEADER_BYTES;
        let mut key = [0; 32];
        if start as u64 + 32 <= segment.written() {
            segment.map.read(start, &mut key);
            return Ok(key);
        }
        let mut buffer = Vec::new();
        drop(segments);
        Ok(self.read(location, &mut buffer)?.sha256())
    }

    fn copy(&self, location: Location, buffer: &mut Vec<u8>) -> Result<()> {
        let segments = self.segments.load();
        let segment = segment_of(&segments, location)?;
        let start = location.offset() as usize;
        let written = segment.written() as usize;
        let mut header = [0; FRAME_HEADER_BYTES];
        if start + FRAME_HEADER_BYTES > written {
            return self.copy_from_tail(location, buffer);
        }
        segment.map.read(start, &mut header);
        let frame = FrameHeader::decode(&header).map_err(|reason| corrupt(location, reason))?;
        if start + frame.frame_bytes() > written {
            return Err(corrupt(location, "the frame reaches behind the end of its segment"));
        }
        buffer.resize(frame.frame_bytes(), 0);
        segment.map.read(start, buffer);
        Ok(())
    }

    #[cold]
    fn copy_from_tail(&self, location: Location, buffer: &mut Vec<u8>) -> Result<()> {
        {
            let tail = self.tail.read();
            let start = location.offset().checked_sub(tail.offset).filter(|_| tail.segment == location.segment());
            if let Some(bytes) = start.and_then(|start| tail.bytes.get(start as usize..)).filter(|b| !b.is_empty()) {
                let frame = bytes.first_chunk().ok_or("the frame is cut short").and_then(FrameHeader::decode);
                let frame = frame.map_err(|reason| corrupt(location, reason))?;
                buffer.clear();
                buffer.extend_from_slice(bytes.get(..frame.frame_bytes()).unwrap_or_default());
                return Ok(());
            }
        }
        // Written meanwhile: then the segment has it.
        let segments = self.segments.load();
        if location.offset() < segment_of(&segments, location)?.written() {
            return self.copy(location, buffer);
        }
        Err(corrupt(location, "the place lies behind the end of the log"))
    }
}

fn segment_of(segments: &[Option<Arc<Segment>>], location: Location) -> Result<&Segment> {
    let number = location.segment() as usize;
    match number.checked_sub(1).and_then(|at| segments.get(at)) {
        Some(Some(segment)) => Ok(segment),
        _ if segments.is_empty() => Err(Error::new(ErrorKind::Closed, "the store is closed")),
        _ => Err(corrupt(location, "the segment is missing")),
    }
}

#[cold]
pub(super) fn corrupt(location: Location, reason: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("{location}: {reason}"))
}
