//! Section `near`: the entities with the nearest tokens, beside the nearest of the same tokens in one piece of memory.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use statlas_core::{AXES, Address, SPACES, Space, SpaceSet, Token, TokenType};
use statlas_lab::SplitMix64;
use statlas_store::{Batch, Durability, Location, Metric, NearToken, Options, Store, TokenQuery};
use statlas_tokens::{Near, nearest};

use crate::report::Target;
use crate::{Bench, load};

const SECTION: &str = "near";
const K: usize = 10;
const BATCH_ENTITIES: usize = 4096;
/// Which spaces are asked for, and how the distance is measured.
const QUESTIONS: [(&str, Spaces, Metric); 3] = [
    ("all spaces", || SpaceSet::ALL, Metric::Euclidean),
    ("one space", || Space::Physical.into(), Metric::Euclidean),
    ("cosine", || SpaceSet::ALL, Metric::Cosine),
];

type Spaces = fn() -> SpaceSet;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let mut random = SplitMix64::new(bench.seed);
    let (path, mut tokens, mut addresses) = (bench.directory.join("tokens"), Vec::new(), Vec::new());
    load(bench, &path, &mut random, &mut tokens, &mut addresses)?;
    let options = Options { create: false, ..Options::default() };
    let store = Store::open(&Location::Disk(path.clone()), &options)?;
    let started = Instant::now();
    let first = store.engine().near_token(&TokenQuery::new(token(&mut random, 0)?, K))?;
    let first_ms = started.elapsed().as_secs_f64() * 1e3;
    ensure!(first.len() == K.min(tokens.len()), "rows are missing");
    bench.report.note(
        SECTION,
        format!(
            "{} entities with a token of {SPACES} spaces each, the {K} nearest; one thread",
            tokens.len()
        ),
    );
    bench.report.row(SECTION, "first search after opening", "ms", vec![first_ms], Target::None);
    for (name, spaces, metric) in QUESTIONS {
        let (mut in_store, mut in_memory) = (vec![], vec![]);
        for _ in 0..bench.sizes.query_repetitions {
            let query = TokenQuery { spaces: spaces(), metric, ..TokenQuery::new(token(&mut random, 0)?, K) };
            let started = Instant::now();
            let found = store.engine().near_token(&query)?;
            in_store.push(started.elapsed().as_secs_f64() * 1e3);
            let started = Instant::now();
            let expected = black_box(nearest(&tokens, &query.token, K, query.spaces, metric));
            in_memory.push(started.elapsed().as_secs_f64() * 1e3);
            check(&found, &expected, &addresses)?;
        }
        bench.report.row(SECTION, format!("near by token, {name}"), "ms", in_store, Target::None);
        bench.report.row(SECTION, format!("in one piece of memory, {name}"), "ms", in_memory, Target::None);
    }
    drop(store);
    std::fs::remove_dir_all(&path).context("the store can be removed")
}

/// Loads the entities of the other sections, each with a token.
fn load(
    bench: &Bench,
    path: &std::path::Path,
    random: &mut SplitMix64,
    tokens: &mut Vec<Token>,
    addresses: &mut Vec<Address>,
) -> Result<()> {
    let store = Store::open(&Location::Disk(path.to_owned()), &Options::default())?;
    let mut loader = store.loader(Durability::Written)?;
    let mut batch = Batch::new();
    for (number, entity) in (0..).zip(load::entities(bench)) {
        let token = token(random, number)?;
        tokens.push(token);
        addresses.push(batch.put_entity(entity.with_attachments(Some(token), None)));
        if batch.len() == BATCH_ENTITIES {
            loader.commit(std::mem::take(&mut batch))?;
        }
    }
    loader.commit(batch)?;
    loader.finish()?;
    Ok(store.close()?)
}

/// A token somewhere in all spaces.
fn token(random: &mut SplitMix64, number: u32) -> Result<Token> {
    let mut token = Token::EMPTY;
    token.set_local_id(number & Token::LOCAL_ID_MAX)?;
    token.set_entity_type(TokenType::Concept);
    // Shifted from 16 bits without the one that stands for nothing.
    token.set_coordinates(
        &[[0; AXES]; SPACES].map(|axes| axes.map(|_| (random.below(65_535) as i32 - 32_767) as i16)),
    );
    Ok(token)
}

fn check(found: &[NearToken], expected: &[Near], addresses: &[Address]) -> Result<()> {
    let found: Vec<(f64, Address)> =
        found.iter().map(|near| (near.distance, near.entity.address())).collect();
    let expected: Vec<(f64, Address)> =
        expected.iter().map(|near| (near.distance, addresses[near.index])).collect();
    ensure!(found == expected, "found {found:?}; in memory: {expected:?}");
    Ok(())
}
