//! Rows of every entity in memory: versions of ids, and one column per dimension for queries.
//!
//! Used by the engines that keep their own index (memory and disk). A row stands for one stored entity
//! and knows where it lies; rows are in the order of commits and never move. Nothing here reads the
//! entity's bytes: where a hash is not proof enough, the caller's `matches` reads them.

mod block;
mod draft;
mod near;
mod scan;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use statlas_core::Identifier;
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use self::block::Row;
use self::block::{BLOCK_ROWS, Block, NO_ROW};
pub(crate) use self::draft::Draft;
use crate::error::{Error, ErrorKind, Result};
use crate::index::Index;
use crate::query::Cursor;

/// Rows, ids and names.
pub(crate) struct Catalogue {
    blocks: Vec<Block>,
    names: Names,
    /// From the hash of an id to its newest row, plus one.
    ids: Index,
    /// The first row of each revision that stored entities.
    commits: Vec<(u32, u64)>,
    rows: u32,
    live: u64,
    ids_live: u64,
}

/// Identifiers as small numbers.
#[derive(Default)]
struct Names {
    codes: HashMap<Identifier, u32, BuildHasherDefault<NameHasher>>,
    identifiers: Vec<Identifier>,
}

/// A hash of a few multiplications: four names are looked up for every row.
#[derive(Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    fn finish(&self) -> u64 {
        // The high bits of a product are the good ones, and tables look at both ends.
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, _length: usize) {}

    fn write_u64(&mut self, value: u64) {
        // An odd constant without a pattern: the golden ratio in 64 bits.
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Names {
    fn code(&mut self, name: Identifier) -> u32 {
        *self.codes.entry(name).or_insert_with(|| {
            self.identifiers.push(name);
            // Fewer names than rows, and those fit.
            self.identifiers.len() as u32 - 1
        })
    }
}

/// Tells whether the entity at a location has an id; reads it.
pub(crate) type HasId<'a> = &'a dyn Fn(u64, &str) -> Result<bool>;

/// A row of an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) location: u64,
    pub(crate) cursor: Cursor,
}

impl Catalogue {
    pub(crate) fn new() -> Self {
        Self {
            blocks: Vec::new(),
            names: Names::default(),
            ids: Index::new(),
            commits: Vec::new(),
            rows: 0,
            live: 0,
            ids_live: 0,
        }
    }

    /// Makes room for about `rows` rows in all.
    pub(crate) fn reserve(&self, rows: u64) {
        self.ids.reserve(rows);
    }

    /// Brings what is known of the ids of many rows into the cache.
    pub(crate) fn touch<'a>(&self, drafts: impl Iterator<Item = &'a Draft>) {
        self.ids.touch(drafts.map(|draft| draft.id_hash));
    }

    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    pub(crate) fn ids(&self) -> u64 {
        self.ids_live
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.ids.bytes() + self.blocks.iter().map(Block::bytes).sum::<u64>()
    }

    fn block(&self, row: u32) -> (&Block, usize) {
        (&self.blocks[row as usize / BLOCK_ROWS], row as usize % BLOCK_ROWS)
    }

    fn block_mut(&mut self, row: u32) -> (&mut Block, usize) {
        (&mut self.blocks[row as usize / BLOCK_ROWS], row as usize % BLOCK_ROWS)
    }

    fn location(&self, row: u32) -> u64 {
        let (block, at) = self.block(row);
        block.location[at]
    }

    /// The newest row, removed ones counted, of the id that `is_same` knows when it reads a location.
    fn newest_row(&self, id_hash: u64, is_same: impl Fn(u64) -> Result<bool>) -> Result<Option<u32>> {
        let found = self.ids.find(id_hash, |value| {
            let row = (value - 1) as u32;
            match is_same(self.location(row)) {
                Ok(true) => Some(Ok(row)),
                Ok(false) => None,
                Err(error) => Some(Err(error)),
            }
        });
        found.transpose()
    }

    /// The newest row of an id, removed ones counted.
    fn newest_row_of(&self, id: &str, has_id: HasId<'_>) -> Result<Option<u32>> {
        self.newest_row(xxh3_64(id.as_bytes()), |location| has_id(location, id))
    }

    /// Adds a row. `neighbours` is the list that the draft's own were put into, and `is_same` tells whether
    /// the entity at another location has the same id.
    pub(crate) fn push(
        &mut self,
        draft: &Draft,
        neighbours: &[u64],
        row: Row,
        is_same: impl Fn(u64) -> Result<bool>,
    ) -> Result<()> {
        if self.rows == NO_ROW - 1 {
            return Err(Error::new(ErrorKind::Invalid, "the store is full: it holds 4,294,967,294 entities"));
        }
        let newest = self.newest_row(draft.id_hash, is_same)?;
        let head_before = newest.and_then(|newest| self.live_from(newest));
        let number = self.rows;
        let (newest, previous) = self.link(draft.id_hash, newest, row);
        if self.commits.last().is_none_or(|(_, revision)| *revision != row.revision) {
            self.commits.push((number, row.revision));
        }
        if (number as usize).is_multiple_of(BLOCK_ROWS) {
            self.blocks.push(Block::default());
        }
        let codes = draft.names.map(|name| self.names.code(name));
        let (block, _) = self.block_mut(number);
        block.push(draft, &neighbours[draft.neighbours.clone()], codes, row, previous.unwrap_or(NO_ROW));
        self.rows += 1;
        self.live += 1;
        self.ids_live += u64::from(head_before.is_none());
        let head = self.live_from(newest).unwrap_or(number);
        for row in head_before.into_iter().chain([number]) {
            self.set_superseded(row, row != head);
        }
        Ok(())
    }

    /// Puts the next row into the chain of its id, and returns the newest row then and the one before the
    /// next row. A version that replaces a damaged one takes its place; any other is the newest.
    fn link(&mut self, id_hash: u64, newest: Option<u32>, row: Row) -> (u32, Option<u32>) {
        let (number, value) = (self.rows, u64::from(self.rows) + 1);
        let age = row.mended.unwrap_or(row.location);
        let newer = |newest| self.chain(newest).take_while(|row| self.location(*row) > age).last();
        match (newest, newest.and_then(newer)) {
            (Some(newest), Some(newer)) => {
                let (block, at) = self.block_mut(newer);
                let previous = std::mem::replace(&mut block.previous[at], number);
                (newest, Some(previous).filter(|row| *row != NO_ROW))
            }
            (Some(newest), None) => {
                self.ids.replace(id_hash, u64::from(newest) + 1, value);
                (number, Some(newest))
            }
            (None, _) => {
                self.ids.insert(id_hash, value);
                (number, None)
            }
        }
    }

    /// Marks the row of a removed entity.
    pub(crate) fn remove(&mut self, id: &str, location: u64, has_id: HasId<'_>) -> Result<()> {
        let Some(newest) = self.newest_row_of(id, has_id)? else { return Ok(()) };
        let Some(row) = self.chain(newest).find(|row| self.location(*row) == location) else { return Ok(()) };
        let (block, at) = self.block_mut(row);
        if std::mem::replace(&mut block.removed[at], true) {
            return Ok(());
        }
        self.live -= 1;
        match self.live_from(newest) {
            Some(head) => self.set_superseded(head, false),
            None => self.ids_live -= 1,
        }
        Ok(())
    }

    fn set_superseded(&mut self, row: u32, superseded: bool) {
        let (block, at) = self.block_mut(row);
        block.superseded[at] = superseded;
    }

    /// The rows of an id from `newest` back to the first, removed ones counted.
    fn chain(&self, newest: u32) -> impl Iterator<Item = u32> + '_ {
        std::iter::successors(Some(newest), |row| {
            let (block, at) = self.block(*row);
            Some(block.previous[at]).filter(|previous| *previous != NO_ROW)
        })
    }

    /// The newest row that is not removed, from `newest` back.
    fn live_from(&self, newest: u32) -> Option<u32> {
        self.chain(newest).find(|row| {
            let (block, at) = self.block(*row);
            !block.removed[at]
        })
    }

    /// Where the versions of an id lie, the newest first.
    pub(crate) fn versions(&self, id: &str, has_id: HasId<'_>) -> Result<Vec<u64>> {
        let newest = self.newest_row_of(id, has_id)?;
        let rows = newest.into_iter().flat_map(|newest| self.chain(newest));
        let live = rows.filter(|row| {
            let (block, at) = self.block(*row);
            !block.removed[at]
        });
        Ok(live.map(|row| self.location(row)).collect())
    }

    /// Where the newest version of an id lies.
    pub(crate) fn head(&self, id: &str, has_id: HasId<'_>) -> Result<Option<u64>> {
        let newest = self.newest_row_of(id, has_id)?;
        Ok(newest.and_then(|newest| self.live_from(newest)).map(|row| self.location(row)))
    }
}
