//! Scenario 2.4: tokens read in order, and in an order that is truly random.

use statlas_core::Token;

use super::random_tokens;
use crate::error::Result;
use crate::random::SplitMix64;
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "18.6 and 53.4 ns [\"random\" was stride 10]";
/// Words of a token.
const WORDS: usize = Token::BYTES / 8;

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 3, 60.0)
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let tokens = random_tokens(session)?;
    let count = tokens.len();
    let mut order: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).collect();
    SplitMix64::new(session.options.seed ^ 0x5e9).shuffle(&mut order);
    // The same memory without tokens: a word of every line of 64 bytes.
    let plain: Vec<u64> = vec![1; count * WORDS];
    for _ in 0..session.sizes.token_rounds {
        session.step("")?;
        let (sequential, in_order) = timed(|| tokens.iter().fold(0, sum));
        let (random, in_disorder) = timed(|| order.iter().map(|at| &tokens[*at as usize]).fold(0, sum));
        session.check(None, in_order == in_disorder, || "other tokens were read in random order".to_owned());
        let (plain_sequential, one) = timed(|| plain.iter().step_by(WORDS).sum::<u64>());
        let (plain_random, other) = timed(|| order.iter().map(|at| plain[*at as usize * WORDS]).sum::<u64>());
        session.check(None, one == other, || "other words were read in random order".to_owned());
        for (id, words, seconds, plain) in [
            ("sequential", "in order", sequential, plain_sequential),
            ("random", "in random order", random, plain_random),
        ] {
            let definition = "A field of each of all tokens once, one thread; random is a permutation that comes from the seed.";
            let name = format!("read a field of {} tokens {words}, each", counted(count as u64));
            let draft = Draft::time(id, name).by(definition).published(PUBLISHED);
            session.sample(draft, seconds / count as f64);
            let definition = "By reading a word of each 64 bytes of plain memory of the same size in the same order: what the memory \
                              can do.";
            let name = format!("read a field of a token {words}, to plain memory");
            session.sample(
                Draft::ratio(format!("{id}.ratio"), name, Better::Lower).by(definition),
                seconds / plain,
            );
        }
    }
    Ok(())
}

fn sum(sum: u64, token: &Token) -> u64 {
    sum + u64::from(token.local_id())
}
