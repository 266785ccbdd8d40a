//! The parsers of this engine's files, for those who give them any bytes.

use super::format::{Salt, SegmentId, StoreHeader};
use super::scan::{Depth, Window, scan};
use super::storage::StorageFile;

/// Reads the file `STATLAS`.
pub(crate) fn read_store_header(bytes: &[u8]) {
    drop(StoreHeader::decode(bytes, "fuzzed"));
}

/// Reads a segment from end to end.
pub(crate) fn read_segment(file: &dyn StorageFile, bytes: u64) {
    let (id, mut buffer) = (SegmentId::written(1), Vec::new());
    let mut window = Window::new(file, bytes, Salt::of(&[0; 16], id), &mut buffer);
    drop(scan(id, &mut window, Depth::Hashes));
}

/// Opens a sidecar and uses everything in it.
pub(crate) fn use_sidecar(bytes: &[u8]) {
    super::sidecar::exercise(bytes);
}
