//! Scenario 1.3: readers and writers at the same time, at every size.

use std::collections::HashMap;
use std::hint::black_box;
use std::thread;

use statlas_core::Address;
use statlas_store::{Durability, Store};

use super::closed_loop::{ClosedLoop, Until};
use super::draft::{Draft, counted};
use super::engine::Engine;
use super::estimate::Cost;
use super::loaded::Loaded;
use super::session::Session;
use super::sizes::Sizes;
use super::together::together;
use super::{FLAT_MIN, SCALING_MIN};
use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::random::SplitMix64;
use crate::report::Better;
use crate::threshold::Metric;
use crate::workload::{Data, StoreUnderTest};

const PUBLISHED: &str = "13.6K/s at 10K, 404/s at 100K, \"lock contention\" [the harness slept and copied all keys in \
                         its timed loop; there is no such fall]";
/// Threads that read and write.
const THREADS: [usize; 2] = [4, 8];
/// Of a hundred operations so many look an entity up; the others store a new one.
const READS: f64 = 80.0;
/// Most threads that read for the scaling.
const READERS_MAX: usize = 8;

pub(super) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let of_size = |entities: &u64| {
        let rounds = sizes.rounds_of(*entities) as f64;
        let mixed = THREADS.len() as f64 * rounds * (*entities as f64 * 9e-6 + 0.8);
        engines.len() as f64 * (mixed + *entities as f64 * 8e-6 + rounds * sizes.lookups as f64 * 2e-6)
    };
    // The map that the stores are compared with.
    let map = sizes.largest() * 450;
    let mut cost = Cost::of_stores(sizes.largest(), engines);
    cost.memory_bytes += map;
    Cost { seconds: sizes.entities.iter().map(of_size).sum(), ..cost }
}

pub(super) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let sizes = session.sizes.entities.clone();
    for round in 0..session.sizes.rounds {
        for entities in &sizes {
            if round < session.sizes.rounds_of(*entities) {
                read_and_write(session, *entities)?;
            }
        }
    }
    for entities in &sizes {
        read_on_more_threads(session, *entities)?;
    }
    for engine in session.engines.clone() {
        compare_sizes(session, &engine);
    }
    Ok(())
}

/// A run of each number of threads on each engine.
fn read_and_write(session: &mut Session<'_, '_>, entities: u64) -> Result<()> {
    for threads in THREADS {
        let workload = ClosedLoop {
            name: format!("1.3-{threads}-threads-{entities}"),
            description: "Lookups by address, and new entities one by one",
            seed: session.options.seed,
            data: Data { entities, ..Data::default() },
            mix: &[(Operation::Get, READS), (Operation::Put, 100.0 - READS)],
            threads,
            // New ones make a store at most half as large again.
            until: Until::Operations((entities * 5 / 2).min(session.sizes.concurrent_operations)),
            store: StoreUnderTest { durability: Durability::Written, ..StoreUnderTest::default() },
            keys: Distribution::Uniform,
        }
        .workload();
        for engine in session.engines.clone() {
            let run = session.run(&workload, &engine)?;
            let size = counted(entities);
            let definition = format!(
                "A closed loop of {threads} threads on a store of its own: {READS} of 100 operations look up an entity \
                 that is there, any as often as any other, the others store a new one in a commit of its own, which \
                 survives a killed process and no power cut. The time in which the laboratory chooses keys and makes \
                 entities is in it. Afterwards everything is read again."
            );
            let draft = |id: &str, name: &str| {
                let id = format!("{id}.{threads}.{entities}");
                (id, format!("{name}, {threads} threads, {size} entities"))
            };
            let (id, name) = draft("rate", "reads and writes");
            session.sample(
                Draft::rate(id, name).by(&*definition).published(PUBLISHED).on(&engine),
                run.throughput(),
            );
            let (id, name) = draft("laboratory", "reads and writes, the share of the laboratory");
            let share = Draft::new(id, name, Unit::Share, Better::Neither).by(&*definition).on(&engine);
            session.sample_if(share, run.harness_share);
            for (operation, words) in [(Operation::Get, "a read"), (Operation::Put, "a write")] {
                let metric = format!("{operation}.p99");
                let p99 = metric.parse::<Metric>().ok().and_then(|metric| metric.of(&run));
                let (id, name) = draft(&format!("{operation}.p99"), &format!("p99 of {words}"));
                session.sample_if(Draft::time(id, name).by(&*definition).on(&engine), p99);
            }
        }
    }
    Ok(())
}

/// Reads on one thread, and on as many as there are processors; and in a map, for what a size costs everybody.
fn read_on_more_threads(session: &mut Session<'_, '_>, entities: u64) -> Result<()> {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get).min(READERS_MAX);
    let numbers: Vec<usize> =
        [1, 2, 4, READERS_MAX].into_iter().filter(|threads| *threads <= processors).collect();
    if processors < 2 {
        session.note("this machine has one processor, so how reads scale could not be measured");
    }
    let mut stores = Vec::new();
    for engine in session.engines.clone() {
        stores.push(Loaded::new(session, &engine, entities)?);
    }
    let map = Map::of(&stores[0])?;
    for round in 0..session.sizes.rounds_of(entities) {
        session.step(&format!("reads of {} entities", counted(entities)))?;
        let mut random = SplitMix64::new(SplitMix64::nth(session.options.seed ^ 0x5ca1e, round as u64));
        let all = &stores[0].addresses;
        let keys: Vec<Address> = (0..session.sizes.lookups).map(|_| all[random.index(all.len())]).collect();
        let name = format!("a map of the same keys and texts, one thread, {} entities", counted(entities));
        let definition = "A HashMap of the standard library in place of a store: what reads cost when nothing but the \
                          caches of the processor stands between. A text that is found is copied, as a store does.";
        let (seconds, found) = super::clock::timed(|| map.count(&keys));
        session.check(None, found == keys.len(), || format!("{found} of {} are in the map", keys.len()));
        session
            .sample(Draft::rate(format!("map.{entities}"), name).by(definition), keys.len() as f64 / seconds);
        for loaded in &stores {
            for threads in &numbers {
                let rate = read(&loaded.store, &keys, *threads)?;
                let words = if *threads == 1 {
                    "one thread".to_owned()
                } else {
                    format!("{threads} threads together")
                };
                let name = format!("reads, {words}, {} entities", counted(entities));
                let definition = "Lookups of addresses that are there, in random order, shared out among threads, from loops \
                                  without a clock.";
                let draft = Draft::rate(format!("reads.{threads}.{entities}"), name);
                session.sample(draft.by(definition).on(&loaded.engine), rate);
            }
        }
    }
    for loaded in &stores {
        scaling(session, &loaded.engine, entities, &numbers);
    }
    Ok(())
}

/// How many times as much more threads do.
fn scaling(session: &mut Session<'_, '_>, engine: &Engine, entities: u64, numbers: &[usize]) {
    let one = session.value(&format!("reads.1.{entities}"), Some(engine));
    for threads in numbers.iter().filter(|threads| **threads > 1) {
        let many = session.value(&format!("reads.{threads}.{entities}"), Some(engine));
        let Some((one, many)) = one.zip(many) else { continue };
        let name = format!("reads, {threads} threads to one, {} entities", counted(entities));
        let definition = format!(
            "Both rates as measured. To scale is to reach {SCALING_MIN} for each processor that has a thread: they share \
             caches and memory."
        );
        let draft = Draft::ratio(format!("scaling.{threads}.{entities}"), name, Better::Higher);
        let draft = draft.by(definition).at_least(SCALING_MIN * *threads as f64).on(engine);
        session.sample(draft, many / one);
    }
}

/// What a size costs, by what it costs a map.
fn compare_sizes(session: &mut Session<'_, '_>, engine: &Engine) {
    let (first, last) = (session.sizes.smallest(), session.sizes.largest());
    let ratio = |session: &Session<'_, '_>, id: &str, engine: Option<&Engine>| {
        let value = |entities: u64| session.value(&format!("{id}.{entities}"), engine);
        Some(value(last)? / value(first)?).filter(|_| first < last)
    };
    let map = ratio(session, "map", None);
    for threads in THREADS {
        let Some(fall) = ratio(session, &format!("rate.{threads}"), Some(engine)) else { continue };
        let definition = format!("The rate at {} entities by the rate at {}.", counted(last), counted(first));
        let name = format!("reads and writes, {threads} threads, the largest size to the smallest");
        let draft = Draft::ratio(format!("fall.{threads}"), name, Better::Higher);
        session.sample(draft.by(&*definition).published(PUBLISHED).on(engine), fall);
        let Some(map) = map else { continue };
        let name = format!("the same by what caches alone cost, {threads} threads");
        let definition = format!(
            "{definition} That by the same ratio of reads in a map of the same keys and texts, which slows down for want of \
             cache alone. Below {FLAT_MIN} it falls beyond cache effects: by so much rounds on one machine may differ."
        );
        let draft = Draft::ratio(format!("beyond_cache.{threads}"), name, Better::Higher);
        session.sample(draft.by(definition).at_least(FLAT_MIN).on(engine), fall / map);
    }
}

/// Reads keys on so many threads; how many a second all of them together.
fn read(store: &Store, keys: &[Address], threads: usize) -> Result<f64> {
    let (seconds, found) = together(threads, |part| {
        // Each asks for as many as there are, from another place on.
        let (before, from) = keys.split_at(keys.len() / threads * part);
        let mut found = 0;
        for address in from.iter().chain(before) {
            found += usize::from(black_box(store.get(address))?.is_some());
        }
        Ok::<_, statlas_store::Error>(found)
    });
    let (asked, mut all) = (keys.len() * threads, 0);
    for found in found {
        all += found.map_err(Error::store("looking up an entity"))?;
    }
    if all != asked {
        return Err(Error::Invalid(format!("{all} of {asked} entities that were stored are found")));
    }
    Ok(asked as f64 / seconds)
}

/// Keys and texts in a map of the standard library.
struct Map(HashMap<Address, Box<[u8]>>);

impl Map {
    fn of(loaded: &Loaded) -> Result<Self> {
        let mut texts = HashMap::with_capacity(loaded.addresses.len());
        for address in &loaded.addresses {
            let found = loaded.store.get(address).map_err(Error::store("reading an entity"))?;
            texts.extend(found.map(|entity| (*address, Box::from(entity.canonical()))));
        }
        Ok(Self(texts))
    }

    fn count(&self, keys: &[Address]) -> usize {
        let mut found = 0;
        for key in keys {
            found += usize::from(black_box(self.0.get(key).map(|text| text.to_vec())).is_some());
        }
        found
    }
}
