//! Tokens in one piece of memory.

use std::ops::{Deref, DerefMut};

use statlas_core::{Space, Token};
use zerocopy::IntoBytes;

use crate::batch::{BatchError, TokenBatch, create};

/// Tokens one behind the other, 64 bytes each. It is a slice of them: iterate over it, on many threads with rayon's
/// `par_iter`, index it, search it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TokenVec(Vec<Token>);

impl TokenVec {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// None yet, with memory for so many.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self(Vec::with_capacity(capacity))
    }

    /// How many there is memory for.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Bytes of memory: 64 for each token that there is room for, and the constant size of this.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.0.capacity() * Token::BYTES + size_of::<Self>()
    }

    /// Appends one.
    pub fn push(&mut self, token: Token) {
        self.0.push(token);
    }

    /// Appends as many as `batch` describes, all or none. Needs one pass over the new memory, a block at a time, whatever
    /// columns there are.
    ///
    /// # Errors
    ///
    /// What is wrong with which column or which token.
    pub fn create(&mut self, count: usize, batch: &TokenBatch<'_>) -> Result<(), BatchError> {
        create(&mut self.0, count, batch)
    }

    /// Keeps the first ones.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Takes all away and keeps the memory.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The values of an axis of all tokens, NaN where not defined.
    ///
    /// # Panics
    ///
    /// If `axis` is 3 or more.
    #[must_use]
    pub fn axis(&self, space: Space, axis: usize) -> Vec<f64> {
        self.0.iter().map(|token| token.decoded_axis(space, axis).unwrap_or(f64::NAN)).collect()
    }

    /// All tokens as they stand in memory and in files.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Deref for TokenVec {
    type Target = [Token];

    fn deref(&self) -> &[Token] {
        &self.0
    }
}

impl DerefMut for TokenVec {
    fn deref_mut(&mut self) -> &mut [Token] {
        &mut self.0
    }
}

impl From<Vec<Token>> for TokenVec {
    fn from(tokens: Vec<Token>) -> Self {
        Self(tokens)
    }
}

impl From<TokenVec> for Vec<Token> {
    fn from(tokens: TokenVec) -> Self {
        tokens.0
    }
}

impl FromIterator<Token> for TokenVec {
    fn from_iter<I: IntoIterator<Item = Token>>(tokens: I) -> Self {
        Self(tokens.into_iter().collect())
    }
}

impl Extend<Token> for TokenVec {
    fn extend<I: IntoIterator<Item = Token>>(&mut self, tokens: I) {
        self.0.extend(tokens);
    }
}

impl<'a> IntoIterator for &'a TokenVec {
    type Item = &'a Token;
    type IntoIter = std::slice::Iter<'a, Token>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for TokenVec {
    type Item = Token;
    type IntoIter = std::vec::IntoIter<Token>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
