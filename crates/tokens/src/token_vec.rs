//! Tokens in one piece of memory.

use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};

use rayon::prelude::*;
use statlas_core::{AXES, RawCoordinates, SPACES, Space, Token};
use zerocopy::IntoBytes;

use crate::batch::{BatchError, TokenBatch, create, par_create, read};
use crate::column::{coordinates, decoded, decoded_in, values};
use crate::field::{Condition, Field, filter, order, select, take};

/// Tokens one behind the other, 64 bytes each. It is a slice of them: iterate over it, on many threads with rayon's
/// `par_iter`, index it, search it.
///
/// ```
/// use rayon::prelude::*;
/// use statlas_core::Token;
/// use statlas_tokens::{TokenBatch, TokenVec};
///
/// let mut tokens = TokenVec::new();
/// tokens.create(100_000, &TokenBatch::now())?;
/// // Map in place, filter into other tokens, fold into one value: each on all threads.
/// tokens.par_iter_mut().enumerate().for_each(|(at, token)| token.set_timestamp(at as u32 / 2));
/// let even: TokenVec = tokens.par_iter().filter(|token| token.local_id() % 2 == 0).copied().collect();
/// let latest = even.par_iter().fold(|| 0, |latest, token| latest.max(token.timestamp())).max();
/// assert_eq!((even.len(), latest), (50_000, Some(49_999)));
/// # Ok::<(), statlas_tokens::BatchError>(())
/// ```
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

    /// Makes room for more, or says that there is no memory for them. Nothing that appends so many fails then.
    ///
    /// # Errors
    ///
    /// That there is no memory; the tokens are as they were.
    pub fn try_reserve(&mut self, more: usize) -> Result<(), TryReserveError> {
        // With room for as many again, if there is that much.
        self.0.try_reserve(more).or_else(|_| self.0.try_reserve_exact(more))
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

    /// As [`TokenVec::create`], on all threads of rayon's pool: the same tokens, or the same error.
    ///
    /// # Errors
    ///
    /// As [`TokenVec::create`].
    pub fn par_create(&mut self, count: usize, batch: &TokenBatch<'_>) -> Result<(), BatchError> {
        par_create(&mut self.0, count, batch)
    }

    /// Tokens whose bytes [`TokenVec::as_bytes`] gave, each checked as [`Token::from_bytes`] does.
    ///
    /// # Errors
    ///
    /// [`BatchError::Bytes`] unless these are whole tokens, and [`BatchError::Value`] for the first one that breaks a rule.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BatchError> {
        read(bytes, Token::from_bytes).map(Self)
    }

    /// Tokens whose bytes the reference wrote, each converted as [`Token::from_reference_bytes`] does.
    ///
    /// # Errors
    ///
    /// As [`TokenVec::from_bytes`].
    pub fn from_reference_bytes(bytes: &[u8]) -> Result<Self, BatchError> {
        read(bytes, Token::from_reference_bytes).map(Self)
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
        values(self, Field::Axis(space, axis))
    }

    /// The values of some axes of all tokens, a column for each; see [`TokenVec::axis`].
    ///
    /// # Panics
    ///
    /// If an axis is 3 or more.
    #[must_use]
    pub fn axes(&self, axes: &[(Space, usize)]) -> Vec<Vec<f64>> {
        axes.iter().map(|(space, axis)| self.axis(*space, *axis)).collect()
    }

    /// The values of a field of all tokens; see [`values`].
    ///
    /// # Panics
    ///
    /// If the axis of a field is 3 or more.
    #[must_use]
    pub fn values(&self, field: Field) -> Vec<f64> {
        values(self, field)
    }

    /// The raw values of all axes; see [`coordinates`].
    #[must_use]
    pub fn coordinates(&self) -> Vec<RawCoordinates> {
        coordinates(self)
    }

    /// The values of the axes of one space; see [`decoded_in`].
    #[must_use]
    pub fn decoded_in(&self, space: Space) -> Vec<[f64; AXES]> {
        decoded_in(self, space)
    }

    /// The values of all axes; see [`decoded`].
    #[must_use]
    pub fn decoded(&self) -> Vec<[[f64; AXES]; SPACES]> {
        decoded(self)
    }

    /// The numbers of the tokens that meet all conditions; see [`select`].
    #[must_use]
    pub fn select(&self, conditions: &[Condition]) -> Vec<usize> {
        select(self, conditions)
    }

    /// The tokens that meet all conditions, in their order; see [`filter`].
    #[must_use]
    pub fn filter(&self, conditions: &[Condition]) -> Self {
        filter(self, conditions)
    }

    /// The tokens with some numbers, in their order; see [`take`].
    ///
    /// # Panics
    ///
    /// If there is no token with one of them.
    #[must_use]
    pub fn take(&self, numbers: &[usize]) -> Self {
        take(self, numbers)
    }

    /// Puts the tokens in the order of a field; see [`order`].
    pub fn sort_by(&mut self, field: Field, descending: bool) {
        *self = take(self, &order(self, field, descending));
    }

    /// All tokens as they stand in memory and in files.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl AsRef<[Token]> for TokenVec {
    fn as_ref(&self) -> &[Token] {
        &self.0
    }
}

impl From<&[Token]> for TokenVec {
    fn from(tokens: &[Token]) -> Self {
        Self(tokens.to_vec())
    }
}

impl FromParallelIterator<Token> for TokenVec {
    fn from_par_iter<I: IntoParallelIterator<Item = Token>>(tokens: I) -> Self {
        Self(tokens.into_par_iter().collect())
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
