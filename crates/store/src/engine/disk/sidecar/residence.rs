//! What of a sidecar is in memory beside the pages of its file.

use super::contents::TableId;
use super::reader::Sidecar;

impl Sidecar {
    /// Bytes that the filters take in memory, once they are loaded.
    pub(crate) fn filter_bytes(&self) -> u64 {
        let fingerprints: u64 = TableId::ALL.into_iter().map(|table| self.entries_of(table)).sum();
        // A fingerprint has 2 bytes, and there are an eighth more of them than keys, or a few more in small
        // filters.
        fingerprints * 9 / 4
    }

    /// Whether the filters are in memory.
    pub(crate) fn has_filters_loaded(&self) -> bool {
        self.filters.get().is_some()
    }
}
