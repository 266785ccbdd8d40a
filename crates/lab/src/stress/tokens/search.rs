//! Scenario 2.8: the nearest of a million tokens, exactly.

use statlas_core::{Space, SpaceSet, Token};
use statlas_tokens::{Metric, Near, nearest};

use super::{random_coordinates, random_tokens};
use crate::error::Result;
use crate::random::SplitMix64;
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "grid scan, 92 ms at 1M in most spaces";
/// Neighbours.
const K: usize = 10;
/// Most that a search among a million may take.
const SECONDS_MAX: f64 = 15e-3;

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 3, 60.0)
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let tokens = random_tokens(session)?;
    let mut random = SplitMix64::new(session.options.seed ^ 0x9ea);
    let size = counted(tokens.len() as u64);
    let pair: SpaceSet = [Space::ALL[0], Space::ALL[Space::ALL.len() - 1]].into_iter().collect();
    let mut subsets = vec![("all".to_owned(), "all spaces".to_owned(), SpaceSet::ALL)];
    subsets.push((
        "two".to_owned(),
        format!("{} and {}", Space::ALL[0], Space::ALL[Space::ALL.len() - 1]),
        pair,
    ));
    subsets.extend(Space::ALL.map(|space| (space.to_string(), space.to_string(), SpaceSet::from(space))));
    for round in 0..session.sizes.token_rounds {
        session.step("")?;
        let mut query = Token::EMPTY;
        query.set_coordinates(&random_coordinates(&mut random));
        let (reading, sum) = timed(|| sum_of(tokens.as_bytes()));
        std::hint::black_box(sum);
        let draft = Draft::time("reading", format!("reading the bytes of {size} tokens"));
        session.sample(draft.by("All bytes are summed up, eight at a time, one thread."), reading);
        for (id, words, spaces) in &subsets {
            let (seconds, found) = timed(|| nearest(&tokens, &query, K, *spaces, Metric::Euclidean));
            if round == 0 {
                let is_right = is_nearest(&tokens, &query, *spaces, &found);
                session.check(None, is_right, || format!("others are nearest in {words}"));
            }
            let definition = format!(
                "Exact, one thread: a random token against {size} of random coordinates. In the first round what is found is \
                 compared with what comes of comparing all of them."
            );
            let draft = Draft::time(format!("near.{id}"), format!("nearest {K} of {size} tokens, {words}"));
            session.sample(draft.by(definition).published(PUBLISHED).at_most(SECONDS_MAX), seconds);
            if spaces.iter().count() == 1 {
                let name = format!("nearest in {words}, to reading the bytes");
                let draft = Draft::ratio(format!("near.{id}.ratio"), name, Better::Lower);
                session.sample(
                    draft.by("By reading all bytes of the tokens in the same round."),
                    seconds / reading,
                );
            }
        }
    }
    Ok(())
}

/// Sums up all bytes, eight at a time: the least that whoever looks at all of them does.
fn sum_of(bytes: &[u8]) -> u64 {
    let words = bytes.as_chunks::<8>().0;
    words.iter().fold(0, |sum: u64, word| sum.wrapping_add(u64::from_le_bytes(*word)))
}

/// Whether these are the nearest, by comparing all.
fn is_nearest(tokens: &[Token], query: &Token, spaces: SpaceSet, found: &[Near]) -> bool {
    let distances =
        tokens.iter().enumerate().filter_map(|(at, token)| Some((query.distance(token, spaces)?, at)));
    let mut all: Vec<(f64, usize)> = distances.collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(K);
    all.into_iter().eq(found.iter().map(|near| (near.distance, near.index)))
}
