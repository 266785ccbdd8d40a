//! How much is measured, and how often.

/// The sizes of one run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    /// Entities whose addresses are computed; few enough to stay in the processor's caches.
    pub(crate) address_entities: usize,
    /// Passes over them for one figure.
    pub(crate) address_passes: usize,
    pub(crate) address_repetitions: usize,
    /// Entities in the store that is loaded, opened, read and queried.
    pub(crate) load_entities: usize,
    pub(crate) load_repetitions: usize,
    pub(crate) open_repetitions: usize,
    pub(crate) lookup_repetitions: usize,
    pub(crate) query_repetitions: usize,
    /// Files that are imported.
    pub(crate) import_files: usize,
    pub(crate) import_repetitions: usize,
    /// Bytes of the large file.
    pub(crate) large_bytes: u64,
    pub(crate) large_repetitions: usize,
    /// Entities in the stores that are larger than the memory.
    pub(crate) memory_entities: u64,
    /// What processes may use that work on them.
    pub(crate) memory_bytes: u64,
    pub(crate) memory_lookups: u64,
    pub(crate) memory_repetitions: usize,
    pub(crate) is_memory_large: bool,
    /// Tokens in memory.
    pub(crate) tokens: usize,
    /// Tokens in a file.
    pub(crate) tokens_in_file: usize,
    pub(crate) tokens_repetitions: usize,
}

impl Sizes {
    /// The sizes that the targets are about.
    pub(crate) const FULL: Self = Self {
        address_entities: 10_000,
        address_passes: 10,
        address_repetitions: 15,
        load_entities: 1_000_000,
        load_repetitions: 3,
        open_repetitions: 7,
        lookup_repetitions: 5,
        query_repetitions: 21,
        import_files: 20_000,
        import_repetitions: 5,
        large_bytes: 4 << 30,
        large_repetitions: 1,
        memory_entities: 1_000_000,
        memory_bytes: 64 << 20,
        memory_lookups: 200_000,
        memory_repetitions: 3,
        is_memory_large: false,
        tokens: 1_000_000,
        tokens_in_file: 10_000_000,
        tokens_repetitions: 15,
    };

    /// The same with stores that take minutes to load, and the section that uses them measured once.
    pub(crate) const LARGE: Self = Self {
        memory_entities: 10_000_000,
        memory_bytes: 256 << 20,
        memory_lookups: 500_000,
        memory_repetitions: 1,
        is_memory_large: true,
        ..Self::FULL
    };

    /// Enough to run every line.
    pub(crate) const SMOKE: Self = Self {
        address_entities: 1_000,
        address_passes: 2,
        address_repetitions: 3,
        load_entities: 20_000,
        load_repetitions: 2,
        open_repetitions: 2,
        lookup_repetitions: 2,
        query_repetitions: 3,
        import_files: 300,
        import_repetitions: 2,
        large_bytes: 64 << 20,
        large_repetitions: 1,
        memory_entities: 5_000,
        memory_bytes: 64 << 20,
        memory_lookups: 2_000,
        memory_repetitions: 1,
        is_memory_large: false,
        tokens: 20_000,
        tokens_in_file: 70_000,
        tokens_repetitions: 2,
    };

    /// One line for the report.
    pub(crate) fn describe(&self) -> String {
        let Self { address_entities, load_entities, import_files, large_bytes, .. } = self;
        let (memory_entities, memory_mib) = (self.memory_entities, self.memory_bytes >> 20);
        format!(
            "addresses of {address_entities} entities, {load_entities} entities in the store, \
             {import_files} small files, a large file of {} MiB, {memory_entities} entities in {memory_mib} MiB of \
             memory, {} tokens in memory and {} in a file",
            large_bytes >> 20,
            self.tokens,
            self.tokens_in_file
        )
    }

    /// One line for the report.
    pub(crate) fn describe_repetitions(&self) -> String {
        format!(
            "address {} of {} passes, load {}, open {}, lookup {}, query {}, import {}, large {}, memory {}, tokens {}",
            self.address_repetitions,
            self.address_passes,
            self.load_repetitions,
            self.open_repetitions,
            self.lookup_repetitions,
            self.query_repetitions,
            self.import_repetitions,
            self.large_repetitions,
            self.memory_repetitions,
            self.tokens_repetitions
        )
    }
}
