//! Scenario 2.2: what it gains to ask for all the memory first.

use statlas_core::{Token, TokenParts, TokenType};
use statlas_tokens::{LocalIds, TokenBatch, TokenVec};

use super::{check_created, failed, same_for_all};
use crate::error::{Error, Result};
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "\"4 times faster\" [an artefact; 1.0 times in release]";
/// Tokens of a call.
const PART: usize = 10_000;

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 3, 220.0)
}

/// A way to fill memory.
type Fill = fn(TokenVec, usize) -> Result<TokenVec>;

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let count = session.sizes.tokens;
    let ways: [(&str, &str, Fill); 2] =
        [("push", "one by one", one_by_one), ("parts", "10,000 a call", in_parts)];
    for _ in 0..session.sizes.token_rounds {
        for (id, words, fill) in ways {
            session.step(words)?;
            let (grown, made) = timed(|| fill(TokenVec::new(), count));
            check_created(session, &made?, count);
            let (reserved, made) = timed(|| fill(TokenVec::with_capacity(count), count));
            check_created(session, &made?, count);
            add(session, id, words, count, grown, reserved);
        }
    }
    Ok(())
}

fn add(session: &mut Session<'_, '_>, id: &str, words: &str, count: usize, grown: f64, reserved: f64) {
    let name = format!("create {} tokens, {words}", counted(count as u64));
    let definition = "One thread. Memory that grows is copied each time that it doubles; memory from with_capacity is there. Both \
                      from the program's allocator, as it has it, alternating.";
    for (kind, what, seconds) in
        [("grown", "in memory that grows", grown), ("reserved", "in memory from with_capacity", reserved)]
    {
        session
            .sample(Draft::time(format!("{id}.{kind}"), format!("{name}, {what}")).by(definition), seconds);
    }
    let draft = Draft::ratio(format!("{id}.gain"), format!("{name}, with_capacity gains"), Better::Neither);
    session.sample(draft.by(definition).published(PUBLISHED), grown / reserved);
}

/// Token after token, as the older system did, but with one call of the clock.
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
