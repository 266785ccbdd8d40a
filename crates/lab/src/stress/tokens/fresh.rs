//! Tokens made in memory that the system has just given, which costs more than the tokens do.

use std::hint::black_box;

use serde::{Deserialize, Serialize};
use statlas_core::{Token, TokenParts, TokenType};
use statlas_tokens::{LocalIds, TokenBatch, TokenVec};

use super::{failed, same_for_all, wrong_tokens};
use crate::error::{Error, Result};
use crate::process::Usage;
use crate::stress::clock::timed;

/// Tokens of a call, where there are many calls.
pub(super) const PART: usize = 10_000;

/// How memory is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::stress) enum Way {
    /// With as many bytes of one value.
    Bytes,
    /// By one call.
    AtOnce,
    /// Token after token, as an older system did, but with one call of the clock.
    OneByOne,
    /// By calls for [`PART`] of them.
    InParts,
}

/// What is to be filled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stress) struct TokenRequest {
    pub(super) way: Way,
    pub(super) count: usize,
    /// Whether all memory is asked for first, and does not grow.
    pub(super) is_reserved: bool,
}

/// How that went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(in crate::stress) struct Filled {
    pub(super) seconds: f64,
    /// Whether the memory came from the system, which is then part of what it took: the memory of the process has grown by
    /// it. `None` where the system does not tell.
    pub(super) is_fresh: Option<bool>,
    /// Tokens that are not what was made.
    pub(super) wrong: u64,
}

/// Fills memory as a request says, in this process.
pub(in crate::stress) fn fill(request: &TokenRequest) -> Result<Filled> {
    let (count, bytes) = (request.count, request.count * Token::BYTES);
    let capacity = if request.is_reserved { count } else { 0 };
    let before = Usage::now();
    let grown = |before: Usage, after: Usage| after.anonymous_bytes.saturating_sub(before.anonymous_bytes);
    let is_fresh =
        || before.zip(Usage::now()).map(|(before, after)| grown(before, after) >= bytes as u64 / 10 * 9);
    if request.way == Way::Bytes {
        let (seconds, written) = timed(|| vec![black_box(0x5a_u8); bytes]);
        return Ok(Filled { seconds, is_fresh: is_fresh(), wrong: u64::from(written.last() != Some(&0x5a)) });
    }
    let (seconds, made) = timed(|| {
        let tokens = TokenVec::with_capacity(capacity);
        match request.way {
            Way::OneByOne => one_by_one(tokens, count),
            Way::InParts => in_parts(tokens, count),
            Way::Bytes | Way::AtOnce => at_once(tokens, count),
        }
    });
    let made = made?;
    Ok(Filled { seconds, is_fresh: is_fresh(), wrong: wrong_tokens(&made, count) })
}

fn at_once(mut tokens: TokenVec, count: usize) -> Result<TokenVec> {
    tokens.create(count, &same_for_all()).map(|()| tokens).map_err(failed)
}

fn one_by_one(mut tokens: TokenVec, count: usize) -> Result<TokenVec> {
    let refused =
        |error: statlas_core::EntityError| Error::Invalid(format!("a token that must be legal: {error}"));
    let parts =
        TokenParts { entity_type: TokenType::Object, weight: 1.0, timestamp: 1, ..TokenParts::default() };
    let mut token = Token::new(parts).map_err(refused)?;
    for number in 0..count {
        token.set_local_id(u32::try_from(number).unwrap_or(u32::MAX)).map_err(refused)?;
        tokens.push(token);
    }
    Ok(tokens)
}

fn in_parts(mut tokens: TokenVec, count: usize) -> Result<TokenVec> {
    while tokens.len() < count {
        let first = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        let batch = TokenBatch { local_ids: LocalIds::From(first), ..same_for_all() };
        tokens.create(PART.min(count - tokens.len()), &batch).map_err(failed)?;
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_makes_the_tokens_that_are_asked_for() {
        for way in [Way::Bytes, Way::AtOnce, Way::OneByOne, Way::InParts] {
            for is_reserved in [false, true] {
                let filled = fill(&TokenRequest { way, count: 25_000, is_reserved }).expect("they are made");
                assert!(filled.wrong == 0 && filled.seconds > 0.0, "{way:?} {filled:?}");
            }
        }
        let made = in_parts(TokenVec::new(), 100).expect("they are made");
        assert_eq!(
            (wrong_tokens(&made, 100), wrong_tokens(&made, 101), wrong_tokens(&made[1..], 99)),
            (0, 1, 99)
        );
    }
}
