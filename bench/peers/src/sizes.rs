//! How much is measured, and how often.

use serde::Serialize;

/// The sizes of one run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Sizes {
    /// How often everything is repeated.
    pub(crate) runs: usize,
    /// Rows of a store, where that is not less because the values are large.
    pub(crate) rows: u64,
    /// Most bytes of values in a store, so that it fits into the cache of every engine.
    pub(crate) payload_bytes_max: u64,
    pub(crate) load_batches: [u64; 2],
    pub(crate) single_threads: [u64; 2],
    pub(crate) single_seconds: f64,
    pub(crate) get_threads: [u64; 2],
    /// Rows in the store before the mixed operations begin.
    pub(crate) mixed_rows: [u64; 2],
    pub(crate) mixed_threads: u64,
    pub(crate) mixed_operations: u64,
    /// Durable batches of a thousand rows between opening and the kill.
    pub(crate) crash_batches: u64,
    /// Cache of an engine, and the write buffers beside it.
    pub(crate) cache_bytes: usize,
    pub(crate) write_buffer_bytes: usize,
    /// How often the section `memory` is repeated; it takes longer than all others together.
    pub(crate) scarce_runs: usize,
    pub(crate) scarce_rows: u64,
    pub(crate) scarce_memory_bytes: u64,
    pub(crate) scarce_cache_bytes: usize,
    pub(crate) scarce_write_buffer_bytes: usize,
    pub(crate) scarce_gets: u64,
    pub(crate) scarce_load_seconds_max: f64,
    /// Of the rows of that section each so-manieth is verified afterwards.
    pub(crate) scarce_verify_every: u64,
}

impl Sizes {
    /// The sizes that the targets are about.
    pub(crate) const FULL: Self = Self {
        runs: 3,
        rows: 1_000_000,
        payload_bytes_max: 512 << 20,
        load_batches: [1_000, 10_000],
        single_threads: [1, 8],
        single_seconds: 5.0,
        get_threads: [1, 2],
        mixed_rows: [100_000, 1_000_000],
        mixed_threads: 4,
        mixed_operations: 1_000_000,
        crash_batches: 20,
        cache_bytes: 1 << 30,
        write_buffer_bytes: 256 << 20,
        scarce_runs: 1,
        scarce_rows: 10_000_000,
        scarce_memory_bytes: 256 << 20,
        scarce_cache_bytes: 64 << 20,
        scarce_write_buffer_bytes: 64 << 20,
        scarce_gets: 20_000,
        scarce_load_seconds_max: 300.0,
        scarce_verify_every: 50,
    };

    /// Enough to run every line.
    pub(crate) const QUICK: Self = Self {
        runs: 1,
        rows: 10_000,
        payload_bytes_max: 8 << 20,
        single_seconds: 0.2,
        mixed_rows: [1_000, 10_000],
        mixed_operations: 8_000,
        crash_batches: 3,
        scarce_rows: 200_000,
        scarce_memory_bytes: 64 << 20,
        scarce_cache_bytes: 16 << 20,
        scarce_write_buffer_bytes: 16 << 20,
        scarce_gets: 1_000,
        scarce_load_seconds_max: 3.0,
        scarce_verify_every: 20,
        ..Self::FULL
    };

    /// The same with another number of rows: that of the larger mixed store, and a tenth of that of the section
    /// `memory`.
    pub(crate) fn with_rows(self, rows: u64) -> Self {
        Self { rows, mixed_rows: [(rows / 10).max(1), rows], scarce_rows: rows * 10, ..self }
    }

    /// Rows of a store with values of a size.
    pub(crate) fn rows_of(&self, value_bytes: usize) -> u64 {
        self.rows.min(self.payload_bytes_max / value_bytes.max(1) as u64).max(1)
    }
}
