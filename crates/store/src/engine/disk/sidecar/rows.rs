//! The rows of a sidecar, read in place.

use statlas_core::Token;
use zerocopy::FromBytes;

use super::layout::{COLUMNS, Section};
use super::reader::Sidecar;
use crate::columns::{Bits, Column, ColumnId, Extent, Names, Rows};
use crate::error::{Error, ErrorKind, Result};

impl Rows for Sidecar {
    fn len(&self) -> usize {
        // Rows are numbered with 32 bits.
        self.header.counts.rows() as usize
    }

    fn names(&self) -> &Names {
        &self.names
    }

    fn bits(&self) -> &Bits {
        &self.bits
    }

    fn extent(&self, block: usize, column: ColumnId) -> Extent {
        self.directory.extent(block, column).unwrap_or(Extent { min: i64::MIN, max: i64::MAX })
    }

    fn column(&self, block: usize, column: ColumnId) -> Result<Column<'_>> {
        self.check_block(block)?;
        let at = block * COLUMNS + column as usize;
        let bytes = self.chunk(Section::Columns, at)?;
        self.packed(block, column, bytes)
            .ok_or_else(|| self.corrupt(Section::Columns, at, "its length is impossible"))
    }

    fn neighbours(&self, block: usize) -> Result<&[u64]> {
        self.check_block(block)?;
        <[u64]>::ref_from_bytes(self.chunk(Section::Neighbours, block)?)
            .map_err(|_| self.corrupt(Section::Neighbours, block, "its length is impossible"))
    }

    fn tokens(&self, block: usize) -> Result<&[Token]> {
        self.check_block(block)?;
        <[Token]>::ref_from_bytes(self.chunk(Section::Tokens, block)?)
            .map_err(|_| self.corrupt(Section::Tokens, block, "its length is impossible"))
    }
}

impl Sidecar {
    /// A number of a row that came from elsewhere may be wrong, and with it the number of its block.
    fn check_block(&self, block: usize) -> Result<()> {
        if block < self.blocks() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Corrupt, self.message(&format!("there is no block {block}"))))
    }
}
