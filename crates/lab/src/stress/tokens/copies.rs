//! Scenario 2.6: all tokens cloned, and everything one after another.

use statlas_core::Token;
use statlas_tokens::TokenVec;

use super::{failed, random_tokens, same_for_all};
use crate::error::Result;
use crate::random::SplitMix64;
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "54 ms, 739 ms";

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 4, 230.0)
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let tokens = random_tokens(session)?;
    let size = counted(tokens.len() as u64);
    let mut order: Vec<u32> = (0..u32::try_from(tokens.len()).unwrap_or(u32::MAX)).collect();
    SplitMix64::new(session.options.seed ^ 0x5e9).shuffle(&mut order);
    for _ in 0..session.sizes.token_rounds {
        session.step("")?;
        let (copied, bytes) = timed(|| tokens.as_bytes().to_vec());
        drop(bytes);
        let (cloned, clone) = timed(|| tokens.clone());
        session.check(None, clone == tokens, || "the clone is another one".to_owned());
        drop(clone);
        let definition = "TokenVec::clone, one thread, into memory as the allocator has it.";
        let draft = Draft::time("clone", format!("clone {size} tokens")).by(definition);
        session.sample(draft.published(PUBLISHED), cloned);
        let definition = "By copying as many bytes just before.";
        let draft =
            Draft::ratio("clone.ratio", format!("clone {size} tokens, to copying the bytes"), Better::Lower);
        session.sample(draft.by(definition), cloned / copied);
        let (seconds, sums) = timed(|| all_of_it(&order));
        let (in_order, in_disorder, cloned) = sums?;
        session.check(None, in_order == in_disorder && in_order == cloned, || {
            "other tokens were read".to_owned()
        });
        let definition = "One after another, one thread: create, read a field of each in order, read it in random order, clone, read \
                          the clone, give all memory back.";
        let draft = Draft::time("combined", format!("create, read, read at random and clone {size} tokens"));
        session.sample(draft.by(definition).published(PUBLISHED), seconds);
    }
    Ok(())
}

/// Everything that is done with tokens; what was read.
fn all_of_it(order: &[u32]) -> Result<(u64, u64, u64)> {
    let sum = |sum: u64, token: &Token| sum + u64::from(token.local_id());
    let mut tokens = TokenVec::with_capacity(order.len());
    tokens.create(order.len(), &same_for_all()).map_err(failed)?;
    let in_order = tokens.iter().fold(0, sum);
    let in_disorder = order.iter().map(|at| &tokens[*at as usize]).fold(0, sum);
    let clone = tokens.clone();
    Ok((in_order, in_disorder, clone.iter().fold(0, sum)))
}
