//! Scenario 3.2: single nodes stored durably, by one writer and by ten.

use super::VALUE_BYTES;
use crate::distribution::Distribution;
use crate::environment::sync_seconds;
use crate::error::Result;
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::report::Better;
use crate::stress::closed_loop::{ClosedLoop, Until};
use crate::stress::draft::Draft;
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::threshold::Metric;
use crate::workload::{Bytes, Data};

const PUBLISHED: &str = "0.7 ms [only without a sync; 4 ms of disk latency per sync here]";
const WRITERS: [usize; 2] = [1, 10];
/// What a sync must do for ten writers at least: half of them.
const SHARED_MIN: f64 = 5.0;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let runs = (WRITERS.len() * sizes.node_rounds * engines.len()) as f64;
    let seconds = runs * (sizes.node_time.as_secs_f64() * 1.7 + 0.3);
    // In memory a million a second.
    let bytes = (sizes.node_time.as_secs_f64() * 7e8) as u64;
    Cost { seconds, memory_bytes: bytes, disk_bytes: bytes / 4 }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for _ in 0..session.sizes.node_rounds {
        if session.engines.iter().any(Engine::is_lasting) {
            let definition = "Appending 4 KiB to a file on the same file system and syncing it, the median of 51, just before: what \
                              no durable insert can be faster than alone.";
            let draft = Draft::time("sync", "a sync of the device alone").by(definition);
            session.sample_if(draft, sync_seconds(&session.options.folder));
        }
        for writers in WRITERS {
            for engine in session.engines.clone() {
                measure(session, &engine, writers)?;
            }
        }
    }
    Ok(())
}

fn measure(session: &mut Session<'_, '_>, engine: &Engine, writers: usize) -> Result<()> {
    let workload = ClosedLoop {
        name: format!("3.2-{writers}-writers"),
        description: "New records one by one, each acknowledged when the device has it",
        seed: session.options.seed,
        data: Data { records: session.sizes.nodes, record_bytes: Bytes(VALUE_BYTES), ..Data::default() },
        mix: &[(Operation::InsertRecord, 1.0)],
        threads: writers,
        until: Until::Time(session.sizes.node_time),
        store: engine.store(),
        keys: Distribution::Uniform,
    }
    .workload();
    let run = session.run(&workload, engine)?;
    let level = if engine.is_lasting() { "synced" } else { "which this engine can't sync" };
    let words = if writers == 1 { "one writer".to_owned() } else { format!("{writers} writers") };
    let definition = format!(
        "A closed loop of {words}: records as long as a node, each in a commit of its own, {level}. Afterwards the store is \
         opened again and everything is read."
    );
    let draft = Draft::rate(format!("rate.{writers}"), format!("single inserts, {level}, {words}"));
    session.sample(draft.by(&*definition).on(engine), run.throughput());
    for (id, metric) in [("p50", "insert_record.p50"), ("p99", "insert_record.p99")] {
        let found = metric.parse::<Metric>().ok().and_then(|metric| metric.of(&run));
        let draft = Draft::time(format!("{id}.{writers}"), format!("single insert, {id}, {words}"));
        session.sample_if(draft.by(&*definition).published(PUBLISHED).on(engine), found);
    }
    let Some(syncs) = run.syncs.filter(|syncs| *syncs > 0) else { return Ok(()) };
    let draft = Draft::new(
        format!("syncs.{writers}"),
        format!("syncs a second, {words}"),
        Unit::PerSecond,
        Better::Neither,
    );
    // The warm-up syncs, too.
    let seconds = run.seconds + workload.load.warm_up.0.as_secs_f64();
    session.sample(draft.by(&*definition).on(engine), syncs as f64 / seconds);
    let inserted = run.throughput() * seconds;
    let definition = "Group commit: who waits is stored with the one sync. The rate by the syncs a second; with ten writers half \
                      of them are to share a sync at least.";
    let name = format!("inserts for a sync, {words}");
    let draft =
        Draft::new(format!("shared.{writers}"), name, Unit::Count, Better::Higher).by(definition).on(engine);
    let draft = if writers > 1 { draft.at_least(SHARED_MIN) } else { draft };
    session.sample(draft, inserted / syncs as f64);
    Ok(())
}
