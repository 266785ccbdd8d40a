//! Scenario 2.1: a million tokens made at once.

use statlas_core::{RawCoordinates, Token};
use statlas_tokens::{Column, TokenBatch, TokenCoordinates, TokenVec};

use super::fresh::{TokenRequest, Way};
use super::{check_created, failed, random_coordinates, same_for_all};
use crate::error::Result;
use crate::random::SplitMix64;
use crate::report::Better;
use crate::stress::child::fill_with_tokens;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "1.48M/s [release 17M/s; half of it a clock call per token]";
/// How many times as long as writing the bytes it may take.
const TIMES_MEMSET_MAX: f64 = 1.5;

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 5, 140.0)
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let count = session.sizes.tokens;
    fresh(session, count)?;
    reused(session, count)
}

/// Into memory that is new from the system, each time in a process that has just begun.
fn fresh(session: &mut Session<'_, '_>, count: usize) -> Result<()> {
    let mut stale = 0;
    for _ in 0..session.sizes.token_rounds {
        session.step("in fresh memory")?;
        let mut times = [0.0; 2];
        let mut is_fresh = true;
        for (time, way) in times.iter_mut().zip([Way::Bytes, Way::AtOnce]) {
            let request = TokenRequest { way, count, is_reserved: true };
            let filled = fill_with_tokens(session.options.child.as_ref(), request, session.asks())?;
            session.checked(None, count as u64, filled.wrong, &[]);
            is_fresh &= filled.is_fresh != Some(false);
            *time = filled.seconds;
        }
        if is_fresh {
            add(session, "fresh", "fresh memory", count, times[1], times[0]);
        } else {
            stale += 1;
        }
    }
    if stale > 0 {
        session.note(format!(
            "{stale} of {} samples in fresh memory were left out, since the allocator had some of it from before",
            session.sizes.token_rounds
        ));
    }
    Ok(())
}

/// Into memory that was written before, which costs no more than the writing.
fn reused(session: &mut Session<'_, '_>, count: usize) -> Result<()> {
    let mut random = SplitMix64::new(session.options.seed ^ 0x70c3);
    let coordinates: Vec<RawCoordinates> = (0..count).map(|_| random_coordinates(&mut random)).collect();
    let weights: Vec<f32> = (0..count).map(|_| (random.unit() * 100.0) as f32).collect();
    let columns = TokenBatch {
        coordinates: TokenCoordinates::Raw(&coordinates),
        weight: Column::Each(&weights),
        ..same_for_all()
    };
    let mut bytes = vec![1_u8; count * Token::BYTES];
    let mut tokens = TokenVec::with_capacity(count);
    tokens.create(count, &columns).map_err(failed)?;
    for round in 0..session.sizes.token_rounds {
        session.step("in memory that was used before")?;
        let (memset, ()) = timed(|| bytes.fill(round as u8 | 1));
        std::hint::black_box(&bytes);
        tokens.clear();
        let (seconds, made) = timed(|| tokens.create(count, &same_for_all()));
        made.map_err(failed)?;
        check_created(session, &tokens, count);
        add(session, "reused", "reused memory", count, seconds, memset);
        tokens.clear();
        let (seconds, made) = timed(|| tokens.create(count, &columns));
        made.map_err(failed)?;
        let wrong =
            tokens.iter().zip(&coordinates).filter(|(token, raws)| token.coordinates() != **raws).count();
        session.checked(None, count as u64, wrong as u64, &[]);
        let name =
            format!("create {} tokens with 24 axes and a weight each, reused memory", counted(count as u64));
        let definition = "Coordinates and weights come from columns, a value for each token; one thread.";
        session.sample(Draft::time("columns", name).by(definition), seconds);
    }
    Ok(())
}

fn add(session: &mut Session<'_, '_>, id: &str, words: &str, count: usize, seconds: f64, memset: f64) {
    let size = counted(count as u64);
    let memory = match id {
        "fresh" => {
            "in a process that has just begun, into memory that is new from the system: what the process has must grow by it"
        }
        _ => "into memory that was written before",
    };
    let definition = format!(
        "One call of TokenVec::create, one thread, one call of the clock for the batch, {memory}. All fields are written; ids \
         ascend, the others are the same for all."
    );
    let name = format!("create {size} tokens, {words}");
    session.sample(Draft::time(format!("{id}.time"), &*name).by(&*definition), seconds);
    let rate = Draft::rate(format!("{id}.rate"), format!("{name}, a second")).by(&*definition);
    session.sample(rate.published(PUBLISHED), count as f64 / seconds);
    let name_memset = format!("memset of as many bytes, {words}");
    let definition_memset =
        format!("All bytes are set to the same value, {memory}; alternating with the creation.");
    session.sample(Draft::time(format!("{id}.memset"), name_memset).by(definition_memset), memset);
    let ratio = Draft::ratio(format!("{id}.ratio"), format!("{name}, to memset"), Better::Lower);
    let definition = format!("{definition} By memset of as many bytes just before.");
    session.sample(ratio.by(definition).at_most(TIMES_MEMSET_MAX).published(PUBLISHED), seconds / memset);
}
