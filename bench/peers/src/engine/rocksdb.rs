//! RocksDB, an LSM tree in C++.

use std::path::Path;
use std::thread;

use anyhow::Result;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, DataBlockIndexType, Options, ReadOptions, WriteBatch,
    WriteOptions,
};

use super::{Engine, Level, Reader, Settings, View, ahead};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "one WriteBatch per commit, sync = true (false in `mixed`); point-lookup options: hash \
                                   index in data blocks, Bloom filter of 10 bits, filter in the memtable; \
                                   HyperClockCache of the shared size, indexes and filters in it where memory is scarce; compaction \
                                   with dynamic levels, as many background jobs as processors; no compression; \
                                   blob files for values of 1 KiB and more; get_pinned";

/// Values of this size and more go to blob files.
const LARGE_VALUE_BYTES: usize = 1024;
/// Write buffers that may be alive at once: one is filled, the others are flushed.
const WRITE_BUFFERS: usize = 4;

pub(crate) struct Rocks {
    database: DB,
    write: WriteOptions,
}

impl Rocks {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        let mut write = WriteOptions::default();
        write.set_sync(settings.level == Level::Synced);
        Ok(Self { database: DB::open(&options(settings)?, directory)?, write })
    }
}

fn options(settings: &Settings) -> Result<Options> {
    let cache = Cache::new_hyper_clock_cache(settings.cache_bytes, 0);
    let mut options = Options::default();
    options.create_if_missing(true);
    let processors = thread::available_parallelism().map_or(1, |processors| processors.get());
    options.increase_parallelism(i32::try_from(processors.max(2))?);
    options.set_compression_type(DBCompressionType::None);
    options.set_level_compaction_dynamic_level_bytes(true);
    options.set_bytes_per_sync(1 << 20);
    options.set_write_buffer_size(settings.write_buffer_bytes / WRITE_BUFFERS);
    options.set_max_write_buffer_number(i32::try_from(WRITE_BUFFERS)?);
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(0.02);
    if settings.value_bytes >= LARGE_VALUE_BYTES {
        options.set_enable_blob_files(true);
        options.set_min_blob_size(LARGE_VALUE_BYTES as u64);
        options.set_blob_cache(&cache);
    }
    options.set_block_based_table_factory(&table(&cache, settings));
    Ok(options)
}

fn table(cache: &Cache, settings: &Settings) -> BlockBasedOptions {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_bloom_filter(10.0, false);
    table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    table.set_data_block_hash_ratio(0.75);
    // Outside of the cache they are found sooner, but take memory that nobody limits.
    table.set_cache_index_and_filter_blocks(settings.memory_is_scarce);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table
}

fn batch_of(rows: &[Row]) -> WriteBatch {
    let mut batch = WriteBatch::default();
    for row in rows {
        batch.put(row.key, &row.value);
    }
    batch
}

impl Engine for Rocks {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        Ok(self.database.write_opt(batch_of(rows), &self.write)?)
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        ahead::load(
            rows,
            batch,
            |rows| batch_of(rows),
            |batch| Ok(self.database.write_opt(batch, &self.write)?),
        )
    }

    fn read(&self, _: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        work(&mut Pinned { database: &self.database, options: ReadOptions::default() })
    }

    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        let mut options = ReadOptions::default();
        // A scan reads ahead and leaves the cache to the gets.
        options.set_readahead_size(2 << 20);
        options.fill_cache(false);
        let mut rows = self.database.raw_iterator_opt(options);
        rows.seek_to_first();
        while let Some((key, value)) = rows.item() {
            see(key.try_into()?, value);
            rows.next();
        }
        rows.status()?;
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.database.cancel_all_background_work(true);
        drop(self);
        Ok(())
    }
}

struct Pinned<'a> {
    database: &'a DB,
    options: ReadOptions,
}

impl Reader for Pinned<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.database.get_pinned_opt(key, &self.options)?;
        if let Some(value) = &value {
            see(value);
        }
        Ok(value.is_some())
    }
}
