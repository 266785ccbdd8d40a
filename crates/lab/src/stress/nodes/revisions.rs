//! Scenario 3.10: compare-and-swap by many at once, and watching from any revision on.

use statlas_store::limits::PAGE_CHANGES_MAX;
use statlas_store::{Batch, Durability, Expected, Store};

use super::VALUE_BYTES;
use super::reads::store_of_nodes;
use crate::distribution::Distribution;
use crate::error::{Error, Result};
use crate::operation::Operation;
use crate::quantity::Unit;
use crate::report::Better;
use crate::stress::clock::timed;
use crate::stress::closed_loop::{ClosedLoop, Until};
use crate::stress::draft::{Draft, counted};
use crate::stress::engine::Engine;
use crate::stress::estimate::Cost;
use crate::stress::session::Session;
use crate::stress::sizes::Sizes;
use crate::workload::{Bytes, Data};

const THREADS: usize = 8;
/// Records that all threads change.
const CONTENDED: u64 = 16;
/// Commits that are watched, and changes of each.
const COMMITS: u64 = 100;
const CHANGES: u64 = 50;

pub(in crate::stress) fn cost(sizes: &Sizes, engines: &[Engine]) -> Cost {
    let runs = (sizes.node_rounds * engines.len()) as f64;
    let seconds = runs * (sizes.node_time.as_secs_f64() * 1.3 + 0.5);
    Cost { seconds, memory_bytes: 128 << 20, disk_bytes: 128 << 20 }
}

pub(in crate::stress) fn run(session: &mut Session<'_, '_>) -> Result<()> {
    for _ in 0..session.sizes.node_rounds {
        for engine in session.engines.clone() {
            contend(session, &engine)?;
            watch(session, &engine)?;
        }
    }
    session.note(
        "leases that expire, heartbeats that do not become history, and the import of an old SQLite file are not in this release",
    );
    Ok(())
}

/// Many change few records by compare-and-swap; the audit counts whether a change was lost.
fn contend(session: &mut Session<'_, '_>, engine: &Engine) -> Result<()> {
    let workload = ClosedLoop {
        name: "3.10-swap".to_owned(),
        description: "Few records changed by many threads, each change by compare-and-swap until it is done",
        seed: session.options.seed,
        data: Data { records: CONTENDED, record_bytes: Bytes(VALUE_BYTES), ..Data::default() },
        mix: &[(Operation::UpdateRecord, 1.0)],
        threads: THREADS,
        until: Until::Time(session.sizes.node_time),
        store: engine.store(),
        keys: Distribution::Uniform,
    }
    .workload();
    let run = session.run(&workload, engine)?;
    let level = if engine.is_lasting() { "synced" } else { "which this engine can't sync" };
    let definition = format!(
        "A closed loop of {THREADS} threads on {CONTENDED} records: each reads one, counts on, and writes it if nobody else did \
         meanwhile, {level}, else again. Afterwards the counters must show every change that was acknowledged, and no other."
    );
    let name = format!("changes by compare-and-swap, {THREADS} threads on {CONTENDED} records");
    session.sample(Draft::rate("swap.rate", name).by(&*definition).on(engine), run.throughput());
    let (done, retries) = run
        .operations
        .iter()
        .fold((0, 0), |(done, retries), each| (done + each.latencies.count(), retries + each.retries));
    let draft = Draft::new("swap.retries", "times that one was begun again", Unit::Count, Better::Neither);
    session.sample(draft.by(definition).on(engine), retries as f64 / done.max(1) as f64);
    Ok(())
}

/// Reads all changes behind a revision, in pages, and again from the middle: what comes must be what was committed.
fn watch(session: &mut Session<'_, '_>, engine: &Engine) -> Result<()> {
    session.step(&format!("watching on {}", engine.name()))?;
    let failed = || Error::store("watching a store");
    let (_subject, store) = store_of_nodes(session, engine, session.sizes.nodes)?;
    let first = store.engine().stats().revision;
    for commit in 0..COMMITS {
        let mut batch = Batch::new();
        for change in 0..CHANGES {
            let number = (commit * CHANGES + change) % session.sizes.nodes;
            super::Node::new(session.options.seed ^ 1, number).put(&mut batch, Expected::Any);
        }
        store.commit(batch, Durability::Buffered).map_err(failed())?;
    }
    let (seconds, seen) = timed(|| count_changes(&store, first));
    let seen = seen.map_err(failed())?;
    let half = count_changes(&store, first + COMMITS / 2).map_err(failed())?;
    let all = COMMITS * CHANGES;
    session.check(Some(engine), seen == (all, COMMITS) && half == (all / 2, COMMITS / 2), || {
        format!(
            "{seen:?} changes and revisions of {all} and {COMMITS} are seen, and {half:?} from the middle on"
        )
    });
    let definition = format!(
        "Engine::changes from a revision on, in pages, one thread: {} revisions of {CHANGES} changes each; and once more from the \
         middle on, where half of them must come.",
        counted(COMMITS)
    );
    session
        .sample(Draft::rate("watch.rate", "changes watched").by(definition).on(engine), all as f64 / seconds);
    Ok(())
}

/// How many changes and revisions are behind a revision.
fn count_changes(store: &Store, mut after: u64) -> statlas_store::Result<(u64, u64)> {
    let (mut changes, begun) = (0, after);
    loop {
        let page = store.engine().changes(after, PAGE_CHANGES_MAX)?;
        if page.changes.is_empty() {
            return Ok((changes, after - begun));
        }
        changes += page.changes.len() as u64;
        after = page.revision;
    }
}
