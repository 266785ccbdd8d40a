//! Statlas, with entities of its generator: for information, because no peer stores such a thing.

use std::path::Path;

use anyhow::{Context, Result};
use statlas_core::Address;
use statlas_store::{Batch, Durability, Query, Store};

use super::statlas::{check_store, durability, load, open_store};
use super::{Engine, Reader, Settings, View};
use crate::data::{Key, Row};

pub(crate) const SETTINGS: &str = "as statlas; entities of about 300 bytes of canonical text, made before the timed \
                                   part; canonical form, SHA-256 and the catalogue's row are made in it";

/// Rows in a page of a scan.
const PAGE: usize = 10_000;

pub(crate) struct Entities {
    store: Store,
    durability: Durability,
}

impl Entities {
    pub(crate) fn open(directory: &Path, settings: &Settings) -> Result<Self> {
        Ok(Self { store: open_store(directory, settings)?, durability: durability(settings.level) })
    }
}

fn batch_of(rows: &mut [Row]) -> Result<Batch> {
    let mut batch = Batch::new();
    for row in rows {
        batch.put_entity(*row.entity.take().context("a row without its entity")?);
    }
    Ok(batch)
}

impl Engine for Entities {
    fn commit(&self, rows: &mut [Row]) -> Result<()> {
        self.store.commit(batch_of(rows)?, self.durability)?;
        Ok(())
    }

    fn load(&self, rows: &mut [Row], batch: usize) -> Result<()> {
        load(&self.store, self.durability, rows.chunks_mut(batch).map(batch_of))
    }

    fn read(&self, _: View, work: &mut dyn FnMut(&mut dyn Reader) -> Result<()>) -> Result<()> {
        work(&mut ByAddress { store: &self.store })
    }

    fn scan(&self, see: &mut dyn FnMut(&Key, &[u8])) -> Result<bool> {
        let mut query = Query { limit: PAGE, ..Query::default() };
        loop {
            let page = self.store.engine().find(&query)?;
            page.entities.iter().for_each(|entity| see(&entity.address().0, entity.canonical()));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return Ok(true),
            }
        }
    }

    fn check(&self) -> Result<Option<u64>> {
        check_store(&self.store)
    }

    fn close(self: Box<Self>) -> Result<()> {
        Ok(self.store.close()?)
    }
}

struct ByAddress<'a> {
    store: &'a Store,
}

impl Reader for ByAddress<'_> {
    fn get(&mut self, key: &Key, see: &mut dyn FnMut(&[u8])) -> Result<bool> {
        let entity = self.store.get(&Address(*key))?;
        if let Some(entity) = &entity {
            see(entity.canonical());
        }
        Ok(entity.is_some())
    }
}
