//! Every limit of a store, each written once.

/// Longest name of a collection of records, in bytes of UTF-8.
pub const COLLECTION_BYTES_MAX: usize = 255;
/// Longest key of a record, in bytes of UTF-8.
pub const RECORD_KEY_BYTES_MAX: usize = 4096;
/// Longest value of a record, in bytes.
pub const RECORD_VALUE_BYTES_MAX: usize = 4 << 20;
/// Longest payload of one frame, in bytes: the largest is the manifest of a large file.
pub const PAYLOAD_BYTES_MAX: usize = 48 << 20;
/// Most bytes that one batch may carry.
pub const BATCH_BYTES_MAX: usize = 64 << 20;
/// Most operations in one batch.
pub const BATCH_OPERATIONS_MAX: usize = 1 << 20;
/// A file up to this size is one blob; a larger one is cut into chunks.
pub const BLOB_WHOLE_BYTES_MAX: usize = 1 << 20;
/// Smallest chunk of a large file, but for the last.
pub const CHUNK_BYTES_MIN: u32 = 64 << 10;
/// Average chunk of a large file.
pub const CHUNK_BYTES_AVERAGE: u32 = 256 << 10;
/// Largest chunk of a large file.
pub const CHUNK_BYTES_MAX: u32 = 1 << 20;
/// Most chunks of one file: a file of average chunks may have 256 GiB.
pub const CHUNKS_MAX: usize = 1 << 20;
/// Most changes of one page that is watched, unless one revision has more.
pub const PAGE_CHANGES_MAX: usize = 10_000;
/// Most changes that a store in memory keeps to be watched, unless the newest revision alone has more.
pub const MEMORY_CHANGES_MAX: usize = 100_000;
/// Most rows that one call returns.
pub const ROWS_MAX: usize = 1 << 20;
/// Smallest budget of memory, in bytes: a store can't do its work with less.
pub const MEMORY_BYTES_MIN: u64 = 16 << 20;
