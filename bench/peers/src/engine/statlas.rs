//! Statlas, with every value as a blob.

use std::path::Path;

use anyhow::{Result, ensure};
use statlas_core::BlobId;
use statlas_store::{Batch, Durability, Location, Options, Store};

use super::{Engine, Level, Reader, Settings, View};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "commits Synced or Written; memory budget of the size of the others' caches and write \
                                   buffers together; all else by default; put_blob computes the SHA-256 in the \
                                   timed part";

pub(crate) struct Statlas {
    store: Store,
    durability: Durability,
}

/// Opens a store of Statlas the way this program always does.
pub(super) fn open_store(directory: &Path, settings: &Settings) -> Result<Store> {
    // As much memory as others have for cache and write buffers.
    let memory_bytes = settings.cache_bytes + settings.write_buffer_bytes;
    let options = Options { memory_bytes_max: Some(memory_bytes as u64), ..Options::default() };
    Ok(Store::open(&Location::Disk(directory.join("statlas.store")), &options)?)
}

/// What Statlas calls a level.
pub(super) fn durability(level: Level) -> Durability {
    match level {
        Level::Synced => Durability::Synced,
        Level::Written => Durability::Written,
    }
}

/// Reads and verifies everything; the number of entities and blobs.
pub(super) fn check_store(store: &Store) -> Result<Option<u64>> {
    let report = store.engine().check(&mut |_, _| {})?;
    ensure!(report.damage.is_empty(), "damage: {}", report.damage.join("; "));
    Ok(Some(report.entities + report.blobs))
}

impl Statlas {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        Ok(Self { store: open_store(directory, settings)?, durability: durability(settings.level) })
    }
}

/// Stores batches, the next one made while one is on its way to the device.
pub(super) fn load(
    store: &Store,
    durability: Durability,
    batches: impl Iterator<Item = Result<Batch>>,
) -> Result<()> {
    let mut loader = store.loader(durability)?;
    for batch in batches {
        loader.commit(batch?)?;
    }
    loader.finish()?;
    Ok(())
}

fn batch_of(rows: &mut [Row]) -> Batch {
    let mut batch = Batch::new();
    for row in rows {
        batch.put_blob(std::mem::take(&mut row.value));
    }
    batch
}

impl Engine for Statlas {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        self.store.commit(batch_of(rows), self.durability)?;
        Ok(())
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        load(&self.store, self.durability, rows.chunks_mut(batch).map(|rows| Ok(batch_of(rows))))
    }

    fn read(&self, _: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        work(&mut Blobs { store: &self.store })
    }

    fn scan(&self, _: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        Ok(false)
    }

    fn check(&self) -> Result<Option<u64>> {
        check_store(&self.store)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.store.close()?)
    }
}

struct Blobs<'a> {
    store: &'a Store,
}

impl Reader for Blobs<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let blob = self.store.engine().blob(&BlobId(*key))?;
        if let Some(blob) = &blob {
            see(&blob.bytes);
        }
        Ok(blob.is_some())
    }
}
