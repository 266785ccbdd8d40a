//! redb, a copy-on-write B-tree in Rust.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use redb::{
    Builder, Database, Durability, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition,
    TableError,
};

use super::{Engine, Level, Reader, Settings, View, ahead};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "one write transaction per commit, Durability::Immediate (in `mixed` None, with \
                                   Immediate each 1,000th time); keys of fixed width; shared cache size; keys of a \
                                   batch inserted in order";

const ROWS: TableDefinition<'_, &Key, &[u8]> = TableDefinition::new("rows");

/// How often a commit is durable where commits need not be: pages that others free are reused only then.
const DURABLE_EVERY: u64 = 1_000;

pub(crate) struct Redb {
    database: Database,
    level: Level,
    commits: AtomicU64,
}

impl Redb {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        // The write buffer is a part of the cache.
        let bytes = settings.cache_bytes + settings.write_buffer_bytes;
        let database = Builder::new().set_cache_size(bytes).create(directory.join("rows.redb"))?;
        if let Err(TableError::TableDoesNotExist(_)) = database.begin_read()?.open_table(ROWS) {
            let transaction = database.begin_write()?;
            transaction.open_table(ROWS)?;
            transaction.commit()?;
        }
        Ok(Self { database, level: settings.level, commits: AtomicU64::new(0) })
    }

    fn durability(&self) -> Durability {
        let durable = self.commits.fetch_add(1, Ordering::Relaxed) % DURABLE_EVERY == DURABLE_EVERY - 1;
        if self.level == Level::Synced || durable { Durability::Immediate } else { Durability::None }
    }

    fn table(&self) -> Result<ReadOnlyTable<&'static Key, &'static [u8]>> {
        Ok(self.database.begin_read()?.open_table(ROWS)?)
    }
}

impl Redb {
    fn commit_sorted(&self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(self.durability())?;
        let mut table = transaction.open_table(ROWS)?;
        for row in rows {
            table.insert(&row.key, row.value.as_slice())?;
        }
        drop(table);
        Ok(transaction.commit()?)
    }
}

impl Engine for Redb {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        self.commit_sorted(ahead::sorted(rows))
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        ahead::load(rows, batch, ahead::sorted, |rows| self.commit_sorted(rows))
    }

    fn read(&self, view: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        match view {
            View::Fixed => work(&mut Fixed(self.table()?)),
            View::Latest => work(&mut Latest(self)),
        }
    }

    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        for entry in self.table()?.iter()? {
            let (key, value) = entry?;
            see(key.value(), value.value());
        }
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        if self.level == Level::Written {
            // Commits without durability are lost unless a durable one follows.
            self.database.begin_write()?.commit()?;
        }
        // Dropping it writes what it needs to open without a repair.
        drop(self);
        Ok(())
    }
}

struct Fixed(ReadOnlyTable<&'static Key, &'static [u8]>);

impl Reader for Fixed {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.0.get(key)?;
        if let Some(value) = &value {
            see(value.value());
        }
        Ok(value.is_some())
    }
}

struct Latest<'a>(&'a Redb);

impl Reader for Latest<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Fixed(self.0.table()?).get(key, see)
    }
}
