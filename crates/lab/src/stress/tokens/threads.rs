//! Scenario 2.3: tokens made by several threads.

use rayon::prelude::*;
use statlas_core::Token;
use statlas_tokens::TokenVec;

use super::{check_created, failed, same_for_all};
use crate::error::{Error, Result};
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;

const PUBLISHED: &str = "9.97M/s";
const THREADS: [usize; 3] = [1, 2, 4];
/// Bytes that one thread sets before it takes others.
const PART: usize = 256 << 10;

pub(in crate::stress) fn cost(sizes: &Sizes, _: &[Engine]) -> Cost {
    super::cost(sizes, 2, 70.0)
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let count = session.sizes.tokens;
    let pool = |threads: usize| {
        let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        built.map_err(|error| Error::io("starting threads", std::io::Error::other(error)))
    };
    let pools =
        THREADS.into_iter().map(|threads| Ok((threads, pool(threads)?))).collect::<Result<Vec<_>>>()?;
    let mut bytes = vec![1_u8; count * Token::BYTES];
    let mut tokens = TokenVec::with_capacity(count);
    tokens.create(count, &same_for_all()).map_err(failed)?;
    for round in 0..session.sizes.token_rounds {
        for (threads, pool) in &pools {
            session.step(&format!("{threads} threads"))?;
            let byte = round as u8 | 1;
            let (memset, ()) =
                timed(|| pool.install(|| bytes.par_chunks_mut(PART).for_each(|part| part.fill(byte))));
            std::hint::black_box(&bytes);
            tokens.clear();
            let (seconds, made) = timed(|| pool.install(|| tokens.par_create(count, &same_for_all())));
            made.map_err(failed)?;
            check_created(session, &tokens, count);
            add(session, *threads, count, seconds, memset);
        }
    }
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    for threads in THREADS.into_iter().filter(|threads| *threads > 1) {
        let rates = session.value("rate.1", None).zip(session.value(&format!("rate.{threads}"), None));
        if let Some((one, many)) = rates {
            let definition = format!("Both rates as measured, on {processors} processors.");
            let name = format!("tokens made, {threads} threads to one");
            let draft = Draft::ratio(format!("scaling.{threads}"), name, Better::Higher);
            session.sample(draft.by(definition), many / one);
        }
    }
    Ok(())
}

fn add(session: &mut Session<'_, '_>, threads: usize, count: usize, seconds: f64, memset: f64) {
    let words = if threads == 1 { "1 thread".to_owned() } else { format!("{threads} threads") };
    let name = format!("create {} tokens, {words}", counted(count as u64));
    let definition = format!(
        "One call of TokenVec::par_create in a pool of {words}, into memory that was written before."
    );
    let draft = Draft::rate(format!("rate.{threads}"), &*name).by(&*definition);
    session.sample(if threads == 4 { draft.published(PUBLISHED) } else { draft }, count as f64 / seconds);
    let definition = format!(
        "{definition} By memset of as many bytes in the same pool just before: what the memory can do."
    );
    let draft =
        Draft::ratio(format!("memset.{threads}"), format!("{name}, to memset by as many"), Better::Lower);
    session.sample(draft.by(definition), seconds / memset);
}
