//! The rows whose tokens are nearest to one: one pass over the tokens of all parts.

use statlas_core::Token;
use statlas_tokens::Nearest;

use super::{BLOCK_ROWS, Bit, Column, ColumnId, RowId, Rows, whole_column};
use crate::error::{Error, ErrorKind, Result};
use crate::query::TokenQuery;

/// A row and how far its token is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenNear {
    pub(crate) distance: f64,
    pub(crate) row: RowId,
    pub(crate) place: i64,
}

/// The rows that a query about tokens asks for, the nearest first, ties in the order of commits. The row `except` is left
/// out. The oldest part comes first.
pub(crate) fn near_token(
    parts: &[&dyn Rows],
    query: &TokenQuery,
    except: Option<RowId>,
) -> Result<Vec<TokenNear>> {
    let mut nearest = Nearest::new(&query.token, query.k, query.spaces, query.metric)
        .within(query.radius.unwrap_or(f64::INFINITY));
    // Tokens are numbered through all blocks.
    let (mut blocks, mut first) = (Vec::new(), 0);
    for (part, rows) in parts.iter().enumerate() {
        for block in 0..rows.blocks() {
            if rows.extent(block, ColumnId::TokensEnd).max == 0 {
                continue;
            }
            let tokens = Tokens::of(*rows, block)?;
            nearest.look_at(tokens.tokens, first, |at| {
                let row = RowId { part, row: block * BLOCK_ROWS + tokens.row(at) };
                except != Some(row) && !rows.bits().get(row.row, Bit::Removed)
            });
            blocks.push((first, part, block));
            first += tokens.tokens.len();
        }
    }
    let near = |near: statlas_tokens::Near| {
        let of_block = blocks.partition_point(|(first, ..)| *first <= near.index) - 1;
        let (first, part, block) = blocks[of_block];
        let tokens = Tokens::of(parts[part], block)?;
        let row = RowId { part, row: block * BLOCK_ROWS + tokens.row(near.index - first) };
        let place = parts[part].value(row.row, ColumnId::Place)?;
        Ok(TokenNear { distance: near.distance, row, place })
    };
    nearest.into_sorted().into_iter().map(near).collect()
}

/// The tokens of the rows of a block.
struct Tokens<'a> {
    ends: Column<'a>,
    rows: usize,
    tokens: &'a [Token],
}

impl<'a> Tokens<'a> {
    /// An error unless each of them is the token of a row.
    fn of(rows: &'a dyn Rows, block: usize) -> Result<Self> {
        let ends = whole_column(rows, block, ColumnId::TokensEnd)?;
        let (rows, tokens) = (rows.block_rows(block), rows.tokens(block)?);
        let last = rows.checked_sub(1).map_or(0, |last| ends.get(last));
        if usize::try_from(last).ok() != Some(tokens.len()) {
            let message =
                format!("block {block} of the columns: {last} tokens where there are {}", tokens.len());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        Ok(Self { ends, rows, tokens })
    }

    /// The row of the token number `at`.
    fn row(&self, at: usize) -> usize {
        if self.tokens.len() == self.rows {
            return at;
        }
        // The ends ascend, and the last of them is behind every token.
        let (mut low, mut high) = (0, self.rows - 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.ends.get(middle) as usize <= at { low = middle + 1 } else { high = middle }
        }
        low
    }
}
