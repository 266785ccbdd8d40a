//! The file that a compaction writes.

use crate::engine::disk::dictionary::Dictionary;
use crate::engine::disk::format::{
    Frame, Kind, Label, Mark, SEGMENT_HEADER_BYTES, Salt, SegmentId, write_frame,
};
use crate::engine::disk::storage::{Storage, StorageFile};
use crate::error::{Error, Result};

/// Bytes that are written at once.
const BUFFER_BYTES: usize = 1 << 20;

/// A file that grows at its end, under a temporary name.
pub(super) struct Output {
    file: Box<dyn StorageFile>,
    name: String,
    salt: Salt,
    buffer: Vec<u8>,
    /// Where the buffer will stand.
    offset: u64,
    /// Bytes of the dictionary's frames behind the header.
    pub(super) dictionary_bytes: u32,
}

impl Output {
    /// An empty one with room for its header, and a dictionary behind that.
    pub(super) fn create(
        storage: &dyn Storage,
        id: SegmentId,
        salt: Salt,
        dictionary: Option<&Dictionary>,
    ) -> Result<Self> {
        let name = format!("{}.new", id.file_name());
        let create = || {
            let file = storage.open(&name, true)?;
            file.set_len(0)?;
            Ok(file)
        };
        let file = create().map_err(|error| Error::io(format!("making {name} failed"), error))?;
        let mut buffer = Vec::with_capacity(BUFFER_BYTES * 2);
        if let Some(dictionary) = dictionary {
            // Where it stands is counted from the beginning of the file.
            buffer.resize(SEGMENT_HEADER_BYTES, 0);
            dictionary.write(salt, &mut buffer);
            buffer.drain(..SEGMENT_HEADER_BYTES);
        }
        let dictionary_bytes = dictionary.map_or(0, Dictionary::frames_bytes);
        Ok(Self { file, name, salt, buffer, offset: SEGMENT_HEADER_BYTES as u64, dictionary_bytes })
    }

    /// Where the next frame will stand.
    pub(super) fn end(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    fn next_mark(&self) -> Mark {
        self.salt.at(self.end())
    }

    /// Appends a frame with all that it holds.
    pub(super) fn copy(&mut self, frame: &Frame<'_>) -> Result<()> {
        let mark = self.next_mark();
        frame.copy_to(&mut self.buffer, mark);
        self.flush_if_full()
    }

    /// Appends the husk of a frame, and returns its checksum.
    pub(super) fn husk(&mut self, frame: &Frame<'_>) -> Result<u32> {
        let (start, mark) = (self.buffer.len(), self.next_mark());
        let mut chained = Vec::new();
        frame.chain(|bytes| chained.extend_from_slice(bytes));
        let label = Label { kind: Kind::Husk, flags: 0, ordinal: frame.header.ordinal };
        write_frame(&mut self.buffer, label, &[], &[&chained]);
        let crc = self.buffer[start..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        mark.put_on(&mut self.buffer[start..]);
        self.flush_if_full()?;
        Ok(crc)
    }

    /// Appends a frame that ends a batch or the segment.
    pub(super) fn mark(&mut self, kind: Kind, payload: &[u8]) -> Result<()> {
        let (start, mark) = (self.buffer.len(), self.next_mark());
        write_frame(&mut self.buffer, Label { kind, flags: 0, ordinal: 0 }, &[], &[payload]);
        mark.put_on(&mut self.buffer[start..]);
        self.flush_if_full()
    }

    fn flush_if_full(&mut self) -> Result<()> {
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.write(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        let failed = |error| Error::io(format!("writing {} failed", self.name), error);
        self.file.write_at(offset, bytes).map_err(failed)
    }

    /// Writes what is left and the header, and makes all of it survive a power cut.
    pub(super) fn finish(mut self, header: &[u8]) -> Result<(Box<dyn StorageFile>, u64)> {
        self.flush()?;
        self.write(0, header)?;
        self.file.sync().map_err(|error| Error::io(format!("syncing {} failed", self.name), error))?;
        Ok((self.file, self.offset))
    }
}
