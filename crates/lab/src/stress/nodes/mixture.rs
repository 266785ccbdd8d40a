//! Scenario 3.5: reads beside writes, and ten readers at once.

use std::hint::black_box;

use statlas_store::{Durability, RecordKey, Store};

use super::reads::store_of_nodes;
use super::{VALUE_BYTES, node_key};
use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::random::SplitMix64;
use crate::report::median;
use crate::stress::closed_loop::{ClosedLoop, Until};
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::stress::together::together;
use crate::workload::{Bytes, Data, StoreUnderTest};

const PUBLISHED: &str = "4,335 and 8,031 ops/s";
/// Ten times what was published, of each.
const MIXED_MIN: f64 = 43_350.0;
const READS_MIN: f64 = 80_310.0;
/// Threads of both.
const THREADS: usize = 10;
/// Reads of a thread.
const READS: usize = 100;
/// Times that ten threads read in a round: once takes less than the system needs to wake them.
const TIMES: usize = 51;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let lasting = engines.iter().filter(|engine| engine.is_lasting()).count();
    let runs = ((engines.len() + lasting) * sizes.node_rounds) as f64;
    let seconds = runs * (sizes.node_time.as_secs_f64() * 1.4 + 0.4);
    Cost { seconds, memory_bytes: 128 << 20, disk_bytes: (sizes.node_time.as_secs_f64() * 1e8) as u64 }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for _ in 0..session.sizes.node_rounds {
        for (durability, level) in [(Durability::Written, "written"), (Durability::Synced, "synced")] {
            for engine in session.engines.clone() {
                // Memory has one level.
                if engine.is_lasting() || durability == Durability::Written {
                    mix(session, &engine, durability, level)?;
                }
            }
        }
    }
    let mut stores = Vec::new();
    for engine in session.engines.clone() {
        stores.push((engine.clone(), store_of_nodes(session, &engine, session.sizes.nodes)?));
    }
    for round in 0..session.sizes.node_rounds {
        for (engine, (_, store)) in &stores {
            session.step(&format!("{THREADS} readers on {}", engine.name()))?;
            read(session, engine, store, round as u64)?;
        }
    }
    Ok(())
}

fn mix(session: &mut Session<'_, '_>, engine: &Engine, durability: Durability, level: &str) -> Result<()> {
    let workload = ClosedLoop {
        name: format!("3.5-mixed-{level}"),
        description: "Reads and changes of records by ten threads",
        seed: session.options.seed,
        data: Data { records: session.sizes.nodes, record_bytes: Bytes(VALUE_BYTES), ..Data::default() },
        mix: &[(Operation::ReadRecord, 70.0), (Operation::WriteRecord, 30.0)],
        threads: THREADS,
        until: Until::Time(session.sizes.node_time),
        store: StoreUnderTest { durability, ..engine.store() },
        keys: Distribution::Uniform,
    }
    .workload();
    let run = session.run(&workload, engine)?;
    let what = match (engine.is_lasting(), durability) {
        (false, _) => "in memory",
        (true, Durability::Synced) => {
            "on the device when it is acknowledged, which the published figure was not: its bound is about the other level"
        }
        (true, _) => {
            "with the system when it is acknowledged, as in the published figure, so that it survives a killed process"
        }
    };
    let syncs = run.syncs.map_or(String::new(), |syncs| format!(" {} syncs of the device.", counted(syncs)));
    let definition = format!(
        "A closed loop of {THREADS} threads on {} records as long as a node: 70 of 100 operations read one, 30 write one, {what}. The \
         time in which the laboratory chooses keys and makes values is in it.{syncs}",
        counted(session.sizes.nodes)
    );
    let draft = Draft::rate(format!("mixed.{level}"), format!("70 reads and 30 writes, {level}"));
    let draft = draft.by(definition).published(PUBLISHED).on(engine);
    let has_bound = durability == Durability::Written;
    session.sample(if has_bound { draft.at_least(MIXED_MIN) } else { draft }, run.throughput());
    Ok(())
}

/// Ten threads, a hundred reads each, from when the first one begins to when the last one has ended; many times.
fn read(session: &mut Session<'_, '_>, engine: &Engine, store: &Store, round: u64) -> Result<()> {
    let nodes = session.sizes.nodes;
    let mut random = SplitMix64::new(SplitMix64::nth(session.options.seed ^ 0x35, round));
    let (mut times, mut found) = (Vec::new(), 0);
    for _ in 0..TIMES {
        let keys: Vec<RecordKey> = (0..THREADS * READS).map(|_| node_key(random.below(nodes))).collect();
        let (seconds, some) = read_once(store, &keys)?;
        times.push(seconds);
        found += some;
    }
    let asked = (TIMES * THREADS * READS) as u64;
    let messages: Vec<String> =
        (found != asked).then(|| format!("{found} of {asked} nodes are found")).into_iter().collect();
    session.checked(Some(engine), asked, asked - found, &messages);
    let definition = format!(
        "{THREADS} threads read {READS} of {} nodes each, from when the first one begins to when the last one has ended; the median of \
         {TIMES} times. Threads are made before.",
        counted(nodes)
    );
    let draft = Draft::rate("reads", format!("{THREADS} threads with {READS} reads each"));
    let draft = draft.by(definition).published(PUBLISHED).at_least(READS_MIN).on(engine);
    session.sample_if(draft, median(&times).map(|seconds| (THREADS * READS) as f64 / seconds));
    Ok(())
}

fn read_once(store: &Store, keys: &[RecordKey]) -> Result<(f64, u64)> {
    let (seconds, found) = together(THREADS, |thread| {
        let mut found = 0;
        for key in &keys[thread * READS..][..READS] {
            found += u64::from(black_box(store.engine().record(key))?.is_some());
        }
        Ok::<_, statlas_store::Error>(found)
    });
    let found: statlas_store::Result<Vec<u64>> = found.into_iter().collect();
    Ok((seconds, found.map_err(Error::store("reading a node"))?.into_iter().sum()))
}
