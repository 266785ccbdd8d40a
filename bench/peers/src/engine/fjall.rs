//! fjall, an LSM tree in Rust.

use std::path::Path;

use anyhow::Result;
use fjall::config::{
    BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, HashRatioPolicy, PinningPolicy,
};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, OwnedWriteBatch, PersistMode};

use super::{Engine, Level, Reader, Settings, View, ahead};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "one batch per commit, PersistMode::SyncData (Buffer in `mixed`); shared cache size; \
                                   Bloom filters of 10 bits, pinned indexes and filters; no compression; key-value \
                                   separation for values of 1 KiB and more";

/// Values of this size and more are kept apart from their keys, as the documentation advises for large values.
const LARGE_VALUE_BYTES: usize = 1024;
/// The smallest journal that fjall allows.
const JOURNAL_BYTES_MIN: u64 = 64 << 20;
/// The default size of a memtable.
const MEMTABLE_BYTES_MAX: u64 = 64 << 20;

pub(crate) struct Fjall {
    database: Database,
    rows: Keyspace,
    mode: PersistMode,
}

impl Fjall {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        let mut builder = Database::builder(directory).cache_size(settings.cache_bytes as u64);
        if settings.memory_is_scarce {
            builder = builder.max_journaling_size(JOURNAL_BYTES_MIN);
        }
        let database = builder.open()?;
        let rows = database.keyspace("rows", || options(settings))?;
        let mode = match settings.level {
            Level::Synced => PersistMode::SyncData,
            Level::Written => PersistMode::Buffer,
        };
        Ok(Self { database, rows, mode })
    }
}

fn options(settings: &Settings) -> KeyspaceCreateOptions {
    let bloom = FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0));
    // Two memtables can be alive: one that is filled and one that is flushed.
    let memtable_bytes = (settings.write_buffer_bytes as u64 / 2).min(MEMTABLE_BYTES_MAX);
    let large = settings.value_bytes >= LARGE_VALUE_BYTES;
    let options = KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .filter_policy(FilterPolicy::all(bloom))
        .data_block_hash_ratio_policy(HashRatioPolicy::all(0.75))
        .with_kv_separation(large.then(KvSeparationOptions::default));
    if settings.memory_is_scarce {
        return options;
    }
    options
        .index_block_pinning_policy(PinningPolicy::all(true))
        .filter_block_pinning_policy(PinningPolicy::all(true))
}

impl Fjall {
    fn batch_of(&self, rows: &[Row]) -> OwnedWriteBatch {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for row in rows {
            batch.insert(&self.rows, row.key.as_slice(), row.value.as_slice());
        }
        batch
    }
}

impl Engine for Fjall {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        Ok(self.batch_of(rows).commit()?)
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        ahead::load(rows, batch, |rows| self.batch_of(rows), |batch| Ok(batch.commit()?))
    }

    fn read(&self, _: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        work(&mut Rows(&self.rows))
    }

    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        for entry in self.rows.iter() {
            let (key, value) = entry.into_inner()?;
            see(&key.as_ref().try_into()?, &value);
        }
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        // Dropping it stops its threads and syncs the journal.
        drop(self);
        Ok(())
    }
}

struct Rows<'a>(&'a Keyspace);

impl Reader for Rows<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.0.get(key)?;
        if let Some(value) = &value {
            see(value);
        }
        Ok(value.is_some())
    }
}
