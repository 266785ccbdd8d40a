//! Section `embedded`: entities that are in memory already into a new store, and out again one by one, by calls of the
//! library: what other languages add their own cost to.

use std::hint::black_box;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use statlas_core::{Address, Entity};
use statlas_lab::SplitMix64;
use statlas_store::{Batch, Durability, Location, Options, Store};

use crate::report::Target;
use crate::{Bench, child, load};

const SECTION: &str = "embedded";
/// Entities of a batch.
const BATCH: usize = 10_000;

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let entities: Vec<Entity> = load::entities(bench).collect();
    let mut addresses: Vec<Address> = entities.iter().map(Entity::address).collect();
    SplitMix64::new(bench.seed ^ 0xe3b).shuffle(&mut addresses);
    let path = bench.directory.join("embedded");
    let (mut rates, mut gets) = (Vec::new(), Vec::new());
    for _ in 0..bench.sizes.load_repetitions {
        child::settle();
        let store = Store::open(&Location::Disk(path.clone()), &Options::default())?;
        let started = Instant::now();
        put_many(&store, &entities)?;
        rates.push(entities.len() as f64 / started.elapsed().as_secs_f64());
        // The first pass warms caches up.
        for pass in 0..2 {
            let started = Instant::now();
            for address in &addresses {
                black_box(store.get(address)?.context("what was stored is not found")?);
            }
            if pass > 0 {
                gets.push(started.elapsed().as_secs_f64() * 1e9 / addresses.len() as f64);
            }
        }
        store.close()?;
        drop(store);
        std::fs::remove_dir_all(&path)?;
    }
    let note = format!(
        "{} entities, parsed before; batches of {BATCH} through Store::loader, each synced, until all are; then each once \
         through Store::get in shuffled order",
        entities.len()
    );
    bench.report.note(SECTION, note);
    bench.report.row(SECTION, "put, entities in memory", "entities/s", rates, Target::None);
    bench.report.row(SECTION, "get, mean", "ns", gets, Target::None);
    Ok(())
}

fn put_many(store: &Store, entities: &[Entity]) -> Result<()> {
    let mut loader = store.loader(Durability::Synced)?;
    for part in entities.chunks(BATCH) {
        let mut batch = Batch::new();
        for entity in part {
            batch.put_entity(entity.clone());
        }
        loader.commit(batch)?;
    }
    let stored = loader.finish()?;
    ensure!(
        stored.entities_new == entities.len() as u64,
        "{} of {} were new",
        stored.entities_new,
        entities.len()
    );
    Ok(())
}
