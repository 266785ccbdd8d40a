//! What some rows have and others lack, in lists that go with the drafts of many rows.

use statlas_core::Token;

/// The lists of any number of rows; each draft knows where its own part stands.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowLists {
    /// The hashes of the distinct neighbours of each row, sorted within each.
    pub(crate) neighbours: Vec<u64>,
    /// The tokens of the rows that have one.
    pub(crate) tokens: Vec<Token>,
}

impl RowLists {
    /// Forgets everything and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.neighbours.clear();
        self.tokens.clear();
    }

    /// Bytes allocated.
    pub(crate) fn allocated(&self) -> u64 {
        (self.neighbours.capacity() * size_of::<u64>() + self.tokens.capacity() * Token::BYTES) as u64
    }

    /// Bytes of what stands in them.
    pub(crate) fn bytes(&self) -> u64 {
        (size_of_val(&*self.neighbours) + size_of_val(&*self.tokens)) as u64
    }
}
