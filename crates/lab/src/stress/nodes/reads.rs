//! Scenario 3.3: how long reading one of 5,000 nodes takes.

use std::hint::black_box;
use std::time::Instant;

use statlas_store::{Batch, Durability, Expected, RecordKey, Store};

use super::{Node, node_key};
use crate::error::{Error, Result};
use crate::latencies::Latencies;
use crate::random::SplitMix64;
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::subject::Subject;

const PUBLISHED: &str = "avg 0.074, p95 0.286, p99 1.206, max 4.156 ms";
/// Most that 99 of 100 reads take.
const P99_SECONDS_MAX: f64 = 5e-6;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let reads = (sizes.node_reads * sizes.node_rounds * engines.len()) as f64;
    Cost { seconds: reads * 1.4e-6 + 0.5, memory_bytes: sizes.nodes * 2000, disk_bytes: sizes.nodes * 1000 }
}

/// Stores the first nodes of a seed, synced, and opens the store again if it outlives that.
pub(super) fn store_of_nodes(
    session: &Session<'_, '_>,
    engine: &Engine,
    nodes: u64,
) -> Result<(Subject, Store)> {
    let subject = Subject::new(&engine.store(), &session.options.folder)?;
    let mut store = subject.open()?;
    let mut batch = Batch::new();
    for number in 0..nodes {
        Node::new(session.options.seed, number).put(&mut batch, Expected::Absent);
    }
    store.commit(batch, Durability::Synced).map_err(Error::store("storing nodes"))?;
    if subject.is_lasting() {
        store.close().map_err(Error::store("closing a store of nodes"))?;
        drop(store);
        store = subject.open()?;
    }
    Ok((subject, store))
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    let nodes = session.sizes.nodes;
    let mut stores = Vec::new();
    for engine in session.engines.clone() {
        stores.push((engine.clone(), store_of_nodes(session, &engine, nodes)?));
    }
    for round in 0..session.sizes.node_rounds {
        for (engine, (_, store)) in &stores {
            session.step(engine.name())?;
            check_all(session, engine, store, nodes)?;
            let mut random = SplitMix64::new(SplitMix64::nth(session.options.seed ^ 0x33, round as u64));
            let keys: Vec<RecordKey> = (0..nodes).map(node_key).collect();
            let mut latencies = Latencies::new();
            for _ in 0..session.sizes.node_reads {
                let key = &keys[random.index(keys.len())];
                let begun = Instant::now();
                let found = black_box(store.engine().record(key));
                latencies.record(begun.elapsed());
                if found.map_err(Error::store("reading a node"))?.is_none() {
                    session.checked(Some(engine), 0, 1, &[format!("{} is not found", key.key())]);
                }
            }
            session.checked(Some(engine), latencies.count(), 0, &[]);
            add(session, engine, nodes, &latencies);
        }
    }
    Ok(())
}

/// Every node is there, and is what was stored.
fn check_all(session: &mut Session<'_, '_>, engine: &Engine, store: &Store, nodes: u64) -> Result<()> {
    for number in 0..nodes {
        let node = Node::new(session.options.seed, number);
        let found = store.engine().record(&node.key).map_err(Error::store("reading a node"))?;
        let is_it = found.is_some_and(|record| record.value == node.value);
        session.check(Some(engine), is_it, || format!("{} is not what was stored", node.key.key()));
    }
    Ok(())
}

fn add(session: &mut Session<'_, '_>, engine: &Engine, nodes: u64, latencies: &Latencies) {
    let definition = "One thread, in process, nodes in random order, every one read before; a clock around each read. What is \
                      returned is the value, its checksum verified.";
    let draft =
        Draft::time("{}", format!("read one of {} nodes, {{}}", counted(nodes))).by(definition).on(engine);
    let mean = draft.for_percentile("mean");
    session.sample_if(mean.published(PUBLISHED), latencies.mean());
    session.sample_if(draft.for_percentile("p95").published(PUBLISHED), latencies.percentile(0.95));
    session.percentiles(&draft, latencies, |draft, name| match name {
        "p99" => draft.published(PUBLISHED).at_most(P99_SECONDS_MAX),
        "max" => draft.published(PUBLISHED),
        _ => draft,
    });
}
