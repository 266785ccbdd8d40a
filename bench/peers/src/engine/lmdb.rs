//! LMDB, a memory-mapped B+ tree in C, through heed.

use std::path::Path;

use anyhow::Result;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithTls};

use super::{Engine, Level, Reader, Settings, View, ahead};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "one write transaction per commit, synced by default (MDB_NOSYNC in `mixed`); the page \
                                   cache is its cache; MDB_NOMEMINIT; MDB_NORDAHEAD where memory is scarce; keys of \
                                   a batch inserted in order; reads straight from the map";

/// Address space for the map, more than any section needs; the file grows as it is used.
const MAP_BYTES: usize = 64 << 30;

pub(crate) struct Lmdb {
    environment: Env,
    rows: Database<'static, Bytes, Bytes>,
}

impl Lmdb {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        let mut flags = EnvFlags::NO_MEM_INIT;
        if settings.level == Level::Written {
            flags |= EnvFlags::NO_SYNC;
        }
        if settings.memory_is_scarce {
            flags |= EnvFlags::NO_READ_AHEAD;
        }
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        // SAFETY: without a writable map the flags endanger what is on disk after a power cut at most; this
        // process has the directory to itself, so nobody else changes the file under the map.
        let environment = unsafe { options.flags(flags).open(directory)? };
        let transaction = environment.write_txn()?;
        let created = environment.create_databases_and_commit(transaction, |opener, transaction| {
            let rows = opener.create_database::<Bytes, Bytes>(transaction, None)?;
            Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(rows))
        })?;
        let rows = created.unwrap_commit();
        Ok(Self { environment, rows })
    }
}

impl Lmdb {
    fn commit_sorted(&self, rows: &[Row]) -> Result<()> {
        let mut transaction = self.environment.write_txn()?;
        for row in rows {
            self.rows.put(&mut transaction, &row.key, &row.value)?;
        }
        Ok(transaction.commit()?)
    }
}

impl Engine for Lmdb {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        self.commit_sorted(ahead::sorted(rows))
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        ahead::load(rows, batch, ahead::sorted, |rows| self.commit_sorted(rows))
    }

    fn read(&self, view: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        match view {
            View::Fixed => work(&mut Fixed { rows: self.rows, transaction: self.environment.read_txn()? }),
            View::Latest => work(&mut Latest(self)),
        }
    }

    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        let transaction = self.environment.read_txn()?;
        for entry in self.rows.iter(&transaction)? {
            let (key, value) = entry?;
            see(key.try_into()?, value);
        }
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        self.environment.prepare_for_closing().wait();
        Ok(())
    }
}

struct Fixed<'a> {
    rows: Database<'static, Bytes, Bytes>,
    transaction: RoTxn<'a, WithTls>,
}

impl Reader for Fixed<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let value = self.rows.get(&self.transaction, key)?;
        if let Some(value) = value {
            see(value);
        }
        Ok(value.is_some())
    }
}

struct Latest<'a>(&'a Lmdb);

impl Reader for Latest<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        Fixed { rows: self.0.rows, transaction: self.0.environment.read_txn()? }.get(key, see)
    }
}
