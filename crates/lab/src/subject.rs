//! The stores that runs are made on: made for them, and gone afterwards.

use std::path::Path;

use statlas_store::{Location, Options, Stats, Store};
use tempfile::TempDir;

use crate::error::{Error, Result};
use crate::run::StoreFigures;
use crate::workload::{Bytes, StoreUnderTest};

/// A store that a run is made on. It is made empty, and removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Subject {
    location: Location,
    options: Options,
    /// The directory of a temporary store.
    _directory: Option<TempDir>,
}

impl Subject {
    /// Makes room for a store of an engine: `memory:`, or `disk:` for a temporary one in `folder`.
    pub(crate) fn new(under_test: &StoreUnderTest, folder: &Path) -> Result<Self> {
        let bytes = |bytes: &Option<Bytes>| bytes.map(|Bytes(bytes)| bytes);
        let options = Options {
            durability: under_test.durability,
            memory_bytes_max: bytes(&under_test.memory),
            cache_bytes_max: bytes(&under_test.cache),
            compression: under_test.compression,
            ..Options::default()
        };
        let (location, directory) = match under_test.engine.as_str() {
            "memory:" => (Location::Memory, None),
            "disk:" => {
                let failed = |error| Error::io(format!("making a folder in {}", folder.display()), error);
                let directory =
                    tempfile::Builder::new().prefix("statlas-lab-").tempdir_in(folder).map_err(failed)?;
                (Location::Disk(directory.path().join("store")), Some(directory))
            }
            other => {
                let message = format!(
                    "store.engine: found {other:?}; allowed: \"memory:\", or \"disk:\" for a temporary store on disk"
                );
                return Err(Error::Invalid(message));
            }
        };
        Ok(Self { location, options, _directory: directory })
    }

    pub(crate) fn open(&self) -> Result<Store> {
        Store::open(&self.location, &self.options).map_err(Error::store("opening a store to run on"))
    }

    /// Whether what is stored outlives the store's being open.
    pub(crate) fn is_lasting(&self) -> bool {
        self.location != Location::Memory
    }
}

impl From<&Stats> for StoreFigures {
    fn from(stats: &Stats) -> Self {
        Self {
            entities: stats.entities,
            blobs: stats.blobs,
            records: stats.records,
            disk_bytes: stats.disk_bytes,
            index_bytes: stats.index_bytes,
            catalogue_bytes: stats.catalogue_bytes,
            memory_bytes_max: stats.memory_bytes_max,
            memory_bytes: stats.memory.iter().map(|held| held.bytes).sum(),
        }
    }
}
