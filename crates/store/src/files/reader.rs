//! Reading a stored file back, from any place in it.

use std::io::{self, Read, Seek, SeekFrom};

use statlas_core::BlobId;

use super::manifest::{self, Chunk};
use crate::batch::BlobForm;
use crate::engine::{Engine, StoredBlob};
use crate::error::{Error, ErrorKind, Result};

/// A stored file, open for reading. Keeps one chunk in memory, at most 1 MiB.
///
/// What goes wrong while reading is an [`io::Error`] around an [`Error`], of kind
/// [`io::ErrorKind::InvalidData`] if stored bytes are damaged or missing. [`io::Error::downcast`] gives the
/// store's error back:
///
/// ```
/// use statlas_store::{Error, ErrorKind};
///
/// let error = std::io::Error::from(Error::new(ErrorKind::Corrupt, "chunk 3 is missing"));
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
/// assert_eq!(error.downcast::<Error>().expect("an error of the store").kind(), ErrorKind::Corrupt);
/// ```
pub struct FileReader<'a> {
    engine: &'a dyn Engine,
    id: BlobId,
    /// A small file is one chunk with the id of the file.
    chunks: Vec<Chunk>,
    /// The chunk in memory, by its place in `chunks`.
    loaded: Option<(usize, Vec<u8>)>,
    position: u64,
}

impl<'a> FileReader<'a> {
    pub(super) fn new(engine: &'a dyn Engine, id: BlobId, blob: StoredBlob) -> Result<Self> {
        let (chunks, loaded) = match blob.form {
            BlobForm::Manifest => (manifest::parse(&id, &blob.bytes)?, None),
            // That a chunk has the same bytes as a small file makes no difference to who asks for the file.
            BlobForm::Whole | BlobForm::Chunk => {
                if BlobId::of(&blob.bytes) != id {
                    let message = format!("file {id}: its bytes have another SHA-256");
                    return Err(Error::new(ErrorKind::Corrupt, message));
                }
                (vec![Chunk { id, end: blob.bytes.len() as u64 }], Some((0, blob.bytes)))
            }
        };
        Ok(Self { engine, id, chunks, loaded, position: 0 })
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.chunks.last().map_or(0, |chunk| chunk.end)
    }

    /// Whether the file has no byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Up to `bytes` bytes from `offset` on.
    pub(super) fn range(&mut self, offset: u64, bytes: usize) -> Result<Vec<u8>> {
        let rest = usize::try_from(self.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut range = vec![0; bytes.min(rest)];
        self.position = offset;
        let mut filled = 0;
        while filled < range.len() {
            let read = self.read_some(&mut range[filled..])?;
            assert!(read > 0, "the range ends with the file");
            filled += read;
        }
        Ok(range)
    }

    /// Where a chunk begins in the file.
    fn start(&self, at: usize) -> u64 {
        at.checked_sub(1).map_or(0, |before| self.chunks[before].end)
    }

    /// Reads at least one byte unless the file is at its end or `buffer` is empty.
    fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.position >= self.len() || buffer.is_empty() {
            return Ok(0);
        }
        let at = match self.loaded {
            Some((at, _)) if (self.start(at)..self.chunks[at].end).contains(&self.position) => at,
            _ => self.chunks.partition_point(|chunk| chunk.end <= self.position),
        };
        // Less than the length of a chunk.
        let from = (self.position - self.start(at)) as usize;
        let chunk = self.load(at)?;
        let bytes = buffer.len().min(chunk.len() - from);
        buffer[..bytes].copy_from_slice(&chunk[from..from + bytes]);
        self.position += bytes as u64;
        Ok(bytes)
    }

    /// The bytes of a chunk, from memory or from the store.
    fn load(&mut self, at: usize) -> Result<&[u8]> {
        let loaded = match self.loaded.take() {
            Some(loaded) if loaded.0 == at => loaded,
            _ => (at, self.fetch(at)?),
        };
        Ok(&self.loaded.insert(loaded).1)
    }

    fn fetch(&self, at: usize) -> Result<Vec<u8>> {
        let chunk = self.chunks[at];
        let corrupt = |what: &str| {
            let (file, number, count, id) = (self.id, at + 1, self.chunks.len(), chunk.id);
            Error::new(ErrorKind::Corrupt, format!("file {file}: chunk {number} of {count}, {id}: {what}"))
        };
        let blob = match self.engine.blob(&chunk.id) {
            Ok(Some(blob)) => blob,
            Ok(None) => return Err(corrupt("it is missing")),
            Err(error) if error.kind() == ErrorKind::Corrupt => return Err(corrupt(&error.to_string())),
            Err(error) => return Err(error),
        };
        if blob.form == BlobForm::Manifest || blob.bytes.len() as u64 != chunk.end - self.start(at) {
            return Err(corrupt("it has another length than the manifest says"));
        }
        if BlobId::of(&blob.bytes) != chunk.id {
            return Err(corrupt("its bytes have another SHA-256"));
        }
        Ok(blob.bytes)
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_some(buffer)?)
    }
}

impl Seek for FileReader<'_> {
    /// A place behind the end is legal; nothing is read there.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (from, by) = match to {
            SeekFrom::Start(position) => (position, 0),
            SeekFrom::Current(by) => (self.position, by),
            SeekFrom::End(by) => (self.len(), by),
        };
        let position = from.checked_add_signed(by);
        self.position = position.ok_or_else(|| {
            let message = format!("file {}: cannot seek by {by} from byte {from}", self.id);
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        Ok(self.position)
    }
}

impl From<Error> for io::Error {
    /// Wraps an error of the store so that [`Read`] can return it; [`io::Error::downcast`] unwraps it.
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Corrupt => io::ErrorKind::InvalidData,
            ErrorKind::NoSpace => io::ErrorKind::StorageFull,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
