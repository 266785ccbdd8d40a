//! One column per dimension of every entity, for queries that no index answers.
//!
//! Rows come in parts: one part grows, the others never change. A part is cut into blocks of 65,536 rows,
//! and a block holds each column packed into as few bytes a value as its smallest and largest value allow.
//! What can change about a row of a part that no longer grows (that it was removed, that a newer version
//! of its id is there) stands beside the columns, in bits. Nothing here reads an entity: where a column is
//! not proof enough, the caller's functions do.

mod bits;
mod codes;
mod column;
mod conditions;
mod draft;
mod find;
mod growing;
mod lists;
mod names;
mod near;
mod near_token;
mod selection;
#[cfg(test)]
mod tests;

use statlas_core::Token;

pub(crate) use self::bits::{Bit, Bits};
pub(crate) use self::column::{Column, Extent, PackedColumn};
pub(crate) use self::draft::Draft;
#[allow(unused_imports, reason = "the engine on disk names them")]
pub(crate) use self::find::{HasNeighbours, Hit, count, find};
#[allow(unused_imports, reason = "the writer of parts on disk names them")]
pub(crate) use self::growing::{GrowingRows, PackedBlock, RowPlace};
pub(crate) use self::lists::RowLists;
pub(crate) use self::names::Names;
pub(crate) use self::near::{Near, near};
pub(crate) use self::near_token::{TokenNear, near_token};
use crate::error::{Error, ErrorKind, Result};

/// Rows in a block. A condition is evaluated for a block at a time, into a bitmap that fits the cache.
pub(crate) const BLOCK_ROWS: usize = 1 << 16;

/// What a column holds. A dimension that the row's profile lacks holds 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum ColumnId {
    /// Where the entity lies, in the units of whoever has the part.
    Place,
    /// The revision that stored it. With the ordinal, the order of rows.
    Revision,
    /// Which change of its batch it was.
    Ordinal,
    Profile,
    /// The realm of the coordinates, as the code of a name, like the three that follow.
    Realm,
    /// The realm of the entity itself.
    EntityRealm,
    Horizon,
    EntityType,
    Polarity,
    Alignment,
    Lineage,
    Dimensionality,
    /// In hundred-millionths, like the three that follow.
    Resonance,
    Velocity,
    Density,
    Luminosity,
    /// Milliseconds since 1970.
    CreatedAt,
    /// Members of the adjacency, duplicates counted.
    AdjacencyLen,
    /// Where the row's neighbours end in its block's list; they begin where those of the row before end.
    NeighboursEnd,
    /// Where the row's token ends in its block's list; one without a token ends where the row before does.
    TokensEnd,
}

impl ColumnId {
    /// Every column, in the order of their numbers.
    pub(crate) const ALL: [Self; 20] = [
        Self::Place,
        Self::Revision,
        Self::Ordinal,
        Self::Profile,
        Self::Realm,
        Self::EntityRealm,
        Self::Horizon,
        Self::EntityType,
        Self::Polarity,
        Self::Alignment,
        Self::Lineage,
        Self::Dimensionality,
        Self::Resonance,
        Self::Velocity,
        Self::Density,
        Self::Luminosity,
        Self::CreatedAt,
        Self::AdjacencyLen,
        Self::NeighboursEnd,
        Self::TokensEnd,
    ];
}

/// A row of several parts: which part, and which of its rows. They sort in the order of their commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowId {
    pub(crate) part: usize,
    pub(crate) row: usize,
}

/// A part: rows in the order of their commits.
pub(crate) trait Rows: Send + Sync {
    /// How many rows there are.
    fn len(&self) -> usize;

    /// The names whose codes stand in the columns.
    fn names(&self) -> &Names;

    /// What may change about the rows.
    fn bits(&self) -> &Bits;

    /// The smallest and the largest value of a column in a block, or wider ends where that is not known.
    fn extent(&self, block: usize, column: ColumnId) -> Extent;

    /// A column of a block. An error if the stored bytes of it are damaged.
    fn column(&self, block: usize, column: ColumnId) -> Result<Column<'_>>;

    /// The hashes of the distinct neighbours of each row of a block, one row after another, sorted within
    /// each.
    fn neighbours(&self, block: usize) -> Result<&[u64]>;

    /// The tokens of those rows of a block that have one, in the order of the rows.
    fn tokens(&self, block: usize) -> Result<&[Token]>;

    /// How many blocks there are.
    fn blocks(&self) -> usize {
        self.len().div_ceil(BLOCK_ROWS)
    }

    /// How many rows a block has.
    fn block_rows(&self, block: usize) -> usize {
        self.len().saturating_sub(block * BLOCK_ROWS).min(BLOCK_ROWS)
    }

    /// A value of a column, by the number of its row.
    fn value(&self, row: usize, column: ColumnId) -> Result<i64> {
        Ok(self.column(row / BLOCK_ROWS, column)?.get(row % BLOCK_ROWS))
    }
}

/// A column with a value for every row of its block.
fn whole_column(rows: &dyn Rows, block: usize, column: ColumnId) -> Result<Column<'_>> {
    let values = rows.column(block, column)?;
    if values.len() < rows.block_rows(block) {
        let message = format!("block {block} of the columns: {column:?} lacks values");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok(values)
}

/// The neighbours of the rows of a block.
struct Neighbours<'a> {
    ends: Column<'a>,
    hashes: &'a [u64],
}

impl<'a> Neighbours<'a> {
    fn of(rows: &'a dyn Rows, block: usize) -> Result<Self> {
        let ends = whole_column(rows, block, ColumnId::NeighboursEnd)?;
        Ok(Self { ends, hashes: rows.neighbours(block)? })
    }

    /// The hashes of a row's neighbours, sorted; none if it is not known where they stand.
    fn get(&self, at: usize) -> &'a [u64] {
        let end = |at: usize| usize::try_from(self.ends.get(at)).unwrap_or(usize::MAX);
        let start = at.checked_sub(1).map_or(0, end);
        self.hashes.get(start..end(at)).unwrap_or_default()
    }
}
