//! Scenarios of section 2: a million tokens of 64 bytes, beside what the memory can do with the same bytes.

use statlas_core::{AXES, RawCoordinates, SPACES, Token, TokenType};
use statlas_tokens::{BatchError, Column, TokenBatch, TokenCoordinates, TokenVec};

use super::estimate::Cost;
use super::session::Session;
use super::sizes::Sizes;
use crate::error::{Error, Result};
use crate::random::SplitMix64;

pub(super) mod capacity;
pub(super) mod copies;
pub(super) mod creation;
pub(super) mod footprint;
pub(super) mod fresh;
pub(super) mod reads;
pub(super) mod search;
pub(super) mod threads;

/// What a scenario of tokens takes: so many times all of them in memory, and so much time for each of them in a round.
fn cost(sizes: &Sizes, times_in_memory: usize, nanoseconds: f64) -> Cost {
    let tokens = sizes.tokens as f64;
    Cost {
        seconds: tokens * sizes.token_rounds as f64 * nanoseconds * 1e-9 + tokens * 2e-7,
        memory_bytes: (sizes.tokens * Token::BYTES * times_in_memory) as u64,
        disk_bytes: 0,
    }
}

/// Coordinates of a random token. No space is without values, so that every axis is compared.
fn random_coordinates(random: &mut SplitMix64) -> RawCoordinates {
    [(); SPACES].map(|()| [(); AXES].map(|()| (random.next_u64() as i16).max(-i16::MAX)))
}

/// All fields are the same for all but the ids, which ascend; the clock is called once.
fn same_for_all<'a>() -> TokenBatch<'a> {
    TokenBatch { entity_type: Column::One(TokenType::Object), weight: Column::One(1.0), ..TokenBatch::now() }
}

fn failed(error: BatchError) -> Error {
    Error::Invalid(format!("tokens that must be legal: {error}"))
}

/// As many tokens as the sizes say, of random coordinates.
fn random_tokens(session: &Session<'_, '_>) -> Result<TokenVec> {
    let mut random = SplitMix64::new(session.options.seed ^ 0x70c3);
    let count = session.sizes.tokens;
    let coordinates: Vec<RawCoordinates> = (0..count).map(|_| random_coordinates(&mut random)).collect();
    let mut tokens = TokenVec::with_capacity(count);
    let batch = TokenBatch { coordinates: TokenCoordinates::Raw(&coordinates), ..same_for_all() };
    tokens.create(count, &batch).map_err(failed)?;
    Ok(tokens)
}

/// How many of so many tokens are not those that [`same_for_all`] describes.
fn wrong_tokens(tokens: &[Token], count: usize) -> u64 {
    let is_right = |(at, token): &(usize, &Token)| {
        token.local_id() as usize == *at && token.entity_type() == TokenType::Object && token.timestamp() > 0
    };
    let right = tokens.iter().enumerate().filter(is_right).count();
    count.abs_diff(right).max(tokens.len() - right) as u64
}

/// Notes that so many tokens were made, and how many are others.
fn check_created(session: &mut Session<'_, '_>, tokens: &[Token], count: usize) {
    let wrong = wrong_tokens(tokens, count);
    let messages: Vec<String> = (wrong > 0)
        .then(|| format!("{wrong} of {count} tokens are not those that were made"))
        .into_iter()
        .collect();
    session.checked(None, count as u64, wrong, &messages);
}
