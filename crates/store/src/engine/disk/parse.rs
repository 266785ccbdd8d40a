//! The parsers of this engine's files, for those who give them any bytes.

use super::format::{SegmentId, StoreHeader};
use super::scan::{Depth, Window, scan};
use super::storage::StorageFile;

/// Reads the file `STATLAS`.
pub(crate) fn read_store_header(bytes: &[u8]) {
    drop(StoreHeader::decode(bytes, "fuzzed"));
}

/// Reads a segment from end to end.
pub(crate) fn read_segment(file: &dyn StorageFile, bytes: u64) {
    let mut buffer = Vec::new();
    drop(scan(SegmentId::written(1), &mut Window::new(file, bytes, &mut buffer), Depth::Hashes));
}

/// Opens a sidecar and uses everything in it.
pub(crate) fn use_sidecar(bytes: &[u8]) {
    super::sidecar::exercise(bytes);
}
