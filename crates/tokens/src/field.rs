//! Fields of tokens, for conditions and orders.

use std::ops::RangeInclusive;

use rayon::prelude::*;
use statlas_core::{Space, Token};

use crate::TokenVec;

/// A field of a token that has an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// See [`Token::local_id`].
    LocalId,
    /// The ordinal of [`Token::entity_type`].
    EntityType,
    /// See [`Token::domain`].
    Domain,
    /// See [`Token::flags`].
    Flags,
    /// See [`Token::weight`].
    Weight,
    /// See [`Token::field_radius`].
    FieldRadius,
    /// See [`Token::field_strength`].
    FieldStrength,
    /// See [`Token::timestamp`].
    Timestamp,
    /// The value on an axis of a space, which is 0, 1 or 2.
    Axis(Space, usize),
}

impl Field {
    /// The value of a token, which a float holds exactly; `None` where an axis is not defined.
    ///
    /// # Panics
    ///
    /// If an axis is 3 or more.
    #[must_use]
    pub fn of(self, token: &Token) -> Option<f64> {
        Some(match self {
            Self::LocalId => token.local_id().into(),
            Self::EntityType => token.entity_type().ordinal().into(),
            Self::Domain => token.domain().into(),
            Self::Flags => token.flags().into(),
            Self::Weight => token.weight().into(),
            Self::FieldRadius => token.field_radius(),
            Self::FieldStrength => token.field_strength(),
            Self::Timestamp => token.timestamp().into(),
            Self::Axis(space, axis) => return token.decoded_axis(space, axis),
        })
    }
}

/// What a token must meet.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The value of a field lies in a range, both ends included. One that is not defined lies in none.
    In(Field, RangeInclusive<f64>),
    /// These flags are set.
    Set(u16),
    /// These flags are not set.
    Clear(u16),
    /// At least one axis of the space is defined.
    Defined(Space),
}

impl Condition {
    /// Whether a token meets it.
    #[must_use]
    pub fn is_met(&self, token: &Token) -> bool {
        match self {
            Self::In(field, range) => field.of(token).is_some_and(|value| range.contains(&value)),
            Self::Set(flags) => token.flags() & flags == *flags,
            Self::Clear(flags) => token.flags() & flags == 0,
            Self::Defined(space) => token.decoded(*space).is_some(),
        }
    }
}

/// The numbers of the tokens that meet all conditions, ascending, found on all threads of rayon's pool.
#[must_use]
pub fn select(tokens: &[Token], conditions: &[Condition]) -> Vec<usize> {
    let is_met = |token: &Token| conditions.iter().all(|condition| condition.is_met(token));
    let found = tokens.par_iter().enumerate().filter(|(_, token)| is_met(token));
    found.map(|(at, _)| at).collect()
}

/// The numbers of all tokens in the order of a field, equal ones in the order in which they stand. Tokens where it is not
/// defined come last, whatever the direction.
#[must_use]
pub fn order(tokens: &[Token], field: Field, descending: bool) -> Vec<usize> {
    let key = |token: &Token| {
        let bits = |value: f64| {
            let bits = value.to_bits();
            // Ascending as an integer where the float is; the two zeros are equal.
            let bits = if value == 0.0 {
                1 << 63
            } else if bits >> 63 == 1 {
                !bits
            } else {
                bits | 1 << 63
            };
            if descending { !bits } else { bits }
        };
        (field.of(token).is_none(), field.of(token).map_or(0, bits))
    };
    let mut order: Vec<_> = tokens.par_iter().enumerate().map(|(at, token)| (key(token), at)).collect();
    order.par_sort_unstable();
    order.into_par_iter().map(|(_, at)| at).collect()
}

/// The tokens that meet all conditions, in their order, found and copied on all threads of rayon's pool.
#[must_use]
pub fn filter(tokens: &[Token], conditions: &[Condition]) -> TokenVec {
    take(tokens, &select(tokens, conditions))
}

/// The tokens with some numbers, in the order of the numbers.
///
/// # Panics
///
/// If there is no token with one of them.
#[must_use]
pub fn take(tokens: &[Token], numbers: &[usize]) -> TokenVec {
    numbers.par_iter().map(|number| tokens[*number]).collect()
}
