//! SQLite, with one table of keys and values.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Result, anyhow};
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::{Engine, Level, Reader, Settings, View, ahead};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "WAL, synchronous = FULL (NORMAL in `mixed`); WITHOUT ROWID table in pages of 8 KiB, \
                                   for values of 1 KiB and more a table with an index on the key in pages of 16 KiB; \
                                   prepared statements; one writing connection, one reading per thread; cache_size \
                                   shared by the connections, mmap_size 64 GiB, a checkpoint when the log has the \
                                   size of the write buffers; keys of a batch inserted in order";

/// How rows are laid out.
struct Layout {
    page_bytes: usize,
    /// What stands behind the columns of the table.
    suffix: &'static str,
}

impl Layout {
    /// For rows that are small beside a page, and for those that are too large for a table without row ids.
    fn of(value_bytes: usize) -> Self {
        const LARGE_VALUE_BYTES: usize = 1024;
        if value_bytes < LARGE_VALUE_BYTES {
            Self { page_bytes: 8 << 10, suffix: "WITHOUT ROWID" }
        } else {
            Self { page_bytes: 16 << 10, suffix: "" }
        }
    }
}

/// Connections that share the cache's memory: one writes, four read.
const CONNECTIONS: usize = 5;
const MAP_BYTES: u64 = 64 << 30;

const GET: &str = "SELECT value FROM rows WHERE key = ?1";
const PUT: &str = "INSERT INTO rows (key, value) VALUES (?1, ?2)";

pub(crate) struct Sqlite {
    file: PathBuf,
    settings: Settings,
    writer: Mutex<Connection>,
}

impl Sqlite {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        let file = directory.join("rows.sqlite");
        let writer = connect(&file, settings)?;
        let suffix = Layout::of(settings.value_bytes).suffix;
        writer.execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY NOT NULL, value BLOB NOT NULL) {suffix}"
        ))?;
        Ok(Self { file, settings: *settings, writer: Mutex::new(writer) })
    }
}

fn connect(file: &Path, settings: &Settings) -> Result<Connection> {
    let connection = Connection::open(file)?;
    let synchronous = match settings.level {
        Level::Synced => "FULL",
        Level::Written => "NORMAL",
    };
    let cache_kib = (settings.cache_bytes + settings.write_buffer_bytes) / CONNECTIONS / 1024;
    let page_bytes = Layout::of(settings.value_bytes).page_bytes;
    let checkpoint_pages = settings.write_buffer_bytes / page_bytes;
    connection.execute_batch(&format!(
        "PRAGMA page_size = {page_bytes};
         PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA cache_size = -{cache_kib};
         PRAGMA mmap_size = {MAP_BYTES};
         PRAGMA wal_autocheckpoint = {checkpoint_pages};"
    ))?;
    Ok(connection)
}

impl Sqlite {
    fn commit_sorted(&self, rows: &[Row]) -> Result<()> {
        // SQLite lets one connection write at a time; a lock in the process wakes the next one sooner than
        // SQLite's own waiting, which sleeps and tries again.
        let mut writer = self.writer.lock().map_err(|_| anyhow!("another thread failed"))?;
        let transaction = writer.transaction()?;
        let mut put = transaction.prepare_cached(PUT)?;
        for row in rows {
            put.execute((&row.key, &row.value))?;
        }
        drop(put);
        Ok(transaction.commit()?)
    }
}

impl Engine for Sqlite {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        self.commit_sorted(ahead::sorted(rows))
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        ahead::load(rows, batch, ahead::sorted, |rows| self.commit_sorted(rows))
    }

    fn read(&self, view: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        let connection = connect(&self.file, &self.settings)?;
        // Outside of a transaction every statement begins one of its own.
        let fixed = if view == View::Fixed { Some(connection.unchecked_transaction()?) } else { None };
        work(&mut Statement(connection.prepare_cached(GET)?))?;
        fixed.map_or(Ok(()), rusqlite::Transaction::commit)?;
        Ok(())
    }

    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        let connection = connect(&self.file, &self.settings)?;
        let mut statement = connection.prepare("SELECT key, value FROM rows")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            see(row.get_ref(0)?.as_blob()?.try_into()?, row.get_ref(1)?.as_blob()?);
        }
        Ok(true)
    }

    fn close(self: Box<Self>) -> Result<()> {
        let writer = self.writer.into_inner().map_err(|_| anyhow!("another thread failed"))?;
        writer.close().map_err(|(_, error)| error.into())
    }
}

struct Statement<'a>(CachedStatement<'a>);

impl Reader for Statement<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let found = self.0.query_row((key,), |row| {
            see(row.get_ref(0)?.as_blob()?);
            Ok(())
        });
        Ok(found.optional()?.is_some())
    }
}
