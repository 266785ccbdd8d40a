//! Every parser of bytes that come from a disk, to be given any bytes at all: for fuzzing.
//!
//! None of these may panic, hang or take memory that the input does not justify, whatever it is given.

use std::io;

use statlas_core::BlobId;

use crate::engine::disk::storage::{Mapping, StorageFile};
use crate::engine::disk::{read_segment, read_store_header, use_sidecar};

/// The file `STATLAS`.
pub fn parse_store_header(bytes: &[u8]) {
    read_store_header(bytes);
}

/// A segment of the log: its header, frames, batches and what is wrong with them.
pub fn parse_segment(bytes: &[u8]) {
    read_segment(&Bytes(bytes.to_vec()), bytes.len() as u64);
}

/// A sidecar: opened, and everything in it used; then again with its checksums made right, so that what stands
/// behind them is reached.
pub fn parse_sidecar(bytes: &[u8]) {
    use_sidecar(bytes);
}

/// The manifest of a large file.
pub fn parse_manifest(bytes: &[u8]) {
    drop(crate::files::parse_manifest(&BlobId::of(bytes), bytes));
}

/// A file in memory that nobody writes to.
struct Bytes(Vec<u8>);

impl StorageFile for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn pwrite(&self, _offset: u64, _bytes: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn pread(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|start| self.0.get(start..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, _bytes: usize) -> io::Result<Box<dyn Mapping>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::proptest;

    use super::{parse_manifest, parse_segment, parse_sidecar, parse_store_header};

    proptest! {
        #[test]
        fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            parse_store_header(&bytes);
            parse_segment(&bytes);
            parse_sidecar(&bytes);
            parse_manifest(&bytes);
        }
    }
}
