//! What every engine must do here, and which engines there are.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::data::{Key, Row};
use crate::section::Section;

mod ahead;
mod append;
mod entities;
mod fjall;
mod lmdb;
mod redb;
mod rocksdb;
mod sqlite;
mod statlas;

/// An engine that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// Blobs of Statlas.
    Statlas,
    /// Entities of Statlas: for information, they are other data and more work.
    StatlasEntities,
    /// A file to which the bytes of Statlas's log are appended: the bound of any log.
    BareAppend,
    /// An LSM tree in Rust.
    Fjall,
    /// A copy-on-write B-tree in Rust.
    Redb,
    /// An LSM tree in C++.
    Rocksdb,
    /// A memory-mapped B+ tree in C.
    Lmdb,
    /// A database of tables in C.
    Sqlite,
}

impl Name {
    /// All of them, in the order of the tables.
    pub(crate) const ALL: [Self; 8] = [
        Self::Statlas,
        Self::StatlasEntities,
        Self::BareAppend,
        Self::Fjall,
        Self::Redb,
        Self::Rocksdb,
        Self::Lmdb,
        Self::Sqlite,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Statlas => "statlas",
            Self::StatlasEntities => "statlas-entities",
            Self::BareAppend => "bare-append",
            Self::Fjall => "fjall",
            Self::Redb => "redb",
            Self::Rocksdb => "rocksdb",
            Self::Lmdb => "lmdb",
            Self::Sqlite => "sqlite",
        }
    }

    /// Whether it is somebody else's engine, to be compared with Statlas.
    pub(crate) fn is_peer(self) -> bool {
        !matches!(self, Self::Statlas | Self::StatlasEntities | Self::BareAppend)
    }

    /// Whether it can do what a section asks for.
    pub(crate) fn takes_part(self, section: Section) -> bool {
        match self {
            Self::BareAppend => section == Section::Load,
            _ => true,
        }
    }

    /// How it is set up, for the report.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Statlas => statlas::SETTINGS,
            Self::StatlasEntities => entities::SETTINGS,
            Self::BareAppend => append::SETTINGS,
            Self::Fjall => fjall::SETTINGS,
            Self::Redb => redb::SETTINGS,
            Self::Rocksdb => rocksdb::SETTINGS,
            Self::Lmdb => lmdb::SETTINGS,
            Self::Sqlite => sqlite::SETTINGS,
        }
    }

    /// Opens it in a directory of its own, which is made if there is none.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    pub(crate) fn open(self, directory: &Path, settings: &Settings) -> Result<Box<dyn Engine>> {
        std::fs::create_dir_all(directory)?;
        Ok(match self {
            Self::Statlas => Box::new(statlas::Statlas::open(directory, settings)?),
            Self::StatlasEntities => Box::new(entities::Entities::open(directory, settings)?),
            Self::BareAppend => Box::new(append::Append::open(directory, settings)?),
            Self::Fjall => Box::new(fjall::Fjall::open(directory, settings)?),
            Self::Redb => Box::new(redb::Redb::open(directory, settings)?),
            Self::Rocksdb => Box::new(rocksdb::Rocks::open(directory, settings)?),
            Self::Lmdb => Box::new(lmdb::Lmdb::open(directory, settings)?),
            Self::Sqlite => Box::new(sqlite::Sqlite::open(directory, settings)?),
        })
    }
}

/// When a commit is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Level {
    /// When the device has it: it survives a power cut.
    Synced,
    /// When the operating system has it, as nearly as the engine can: it survives a killed process.
    Written,
}

/// What an engine may know and use.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) level: Level,
    /// Size of a value, or about that.
    pub(crate) value_bytes: usize,
    /// For the cache of an engine that has one.
    pub(crate) cache_bytes: usize,
    /// For all write buffers of an engine that has them, together.
    pub(crate) write_buffer_bytes: usize,
    /// The data are larger than the memory.
    pub(crate) memory_is_scarce: bool,
}

/// What a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// What was committed when it was made: nobody writes meanwhile.
    Fixed,
    /// With each get everything that is committed by then.
    Latest,
}

/// An open store of some engine, used by many threads.
pub(crate) trait Engine: Send + Sync {
    /// Stores rows together and returns at the level that the engine was opened with. It may take the values and
    /// the entities out of the rows.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn commit(&self, rows: &mut [Row]) -> Result<()>;

    /// Stores rows in batches, each committed by itself as [`Engine::commit`] does it and before the next one is,
    /// while another thread makes the next one ready, if there is anything to make ready.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        rows.chunks_mut(batch).try_for_each(|rows| self.commit(rows))
    }

    /// Hands a reader of the calling thread to `work`.
    ///
    /// # Errors
    ///
    /// Those of the engine and those of `work`.
    fn read(&self, view: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()>;

    /// Hands every key and value to `see`; whether its public interface offers that.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool>;

    /// Reads and verifies everything without handing it out, if the engine can; the number of rows.
    ///
    /// # Errors
    ///
    /// Those of the engine; that something is damaged.
    fn check(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Closes it in order.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn close(self: Box<Self>) -> Result<()>;
}

/// Reads by key.
pub(crate) trait Reader {
    /// Hands the value of a key to `see`, and says whether there is one.
    ///
    /// # Errors
    ///
    /// Those of the engine.
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool>;
}
