//! Values of many tokens as columns, for whoever works on numbers and not on tokens.
//!
//! All of them are made on the threads of rayon's pool. What is not defined is NaN; the columns of coordinates are those that
//! [`TokenCoordinates`](crate::TokenCoordinates) takes.

use rayon::prelude::*;
use statlas_core::{AXES, RawCoordinates, SPACES, Space, Token, UNDEFINED};

use crate::Field;

/// Fewer tokens are not worth another thread.
const TOKENS_MIN: usize = 1 << 13;

fn column<T: Send>(tokens: &[Token], value: impl Fn(&Token) -> T + Sync + Send) -> Vec<T> {
    tokens.par_iter().with_min_len(TOKENS_MIN).map(value).collect()
}

/// The value of a field of each token, NaN where not defined.
///
/// # Panics
///
/// If the axis of a field is 3 or more.
#[must_use]
pub fn values(tokens: &[Token], field: Field) -> Vec<f64> {
    column(tokens, |token| field.of(token).unwrap_or(f64::NAN))
}

/// The raw values of all axes of each token, [`UNDEFINED`] where not defined.
#[must_use]
pub fn coordinates(tokens: &[Token]) -> Vec<RawCoordinates> {
    column(tokens, Token::coordinates)
}

/// The values of the axes of one space of each token, NaN where not defined.
#[must_use]
pub fn decoded_in(tokens: &[Token], space: Space) -> Vec<[f64; AXES]> {
    column(tokens, |token| decode(space, &token.coordinates()[space.index()]))
}

/// The values of all axes of each token in the order of [`Space::ALL`], NaN where not defined.
#[must_use]
pub fn decoded(tokens: &[Token]) -> Vec<[[f64; AXES]; SPACES]> {
    column(tokens, |token| {
        let coordinates = token.coordinates();
        Space::ALL.map(|space| decode(space, &coordinates[space.index()]))
    })
}

fn decode(space: Space, raws: &[i16; AXES]) -> [f64; AXES] {
    std::array::from_fn(|axis| {
        let raw = raws[axis];
        if raw == UNDEFINED { f64::NAN } else { f64::from(raw) / space.scale(axis) }
    })
}
