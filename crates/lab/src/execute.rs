//! Runs a workload from an empty store to the audit.

use std::path::Path;

use crate::audit::Audit;
use crate::data::load;
use crate::error::Result;
use crate::run::{Run, StoreFigures};
use crate::runner::{self, Measured, Plan, Watcher};
use crate::store_target::StoreTarget;
use crate::subject::Subject;
use crate::workload::Workload;

/// Runs a workload on a store of its own, which is made in `folder` if it is one on disk, and gone afterwards: stores
/// its data, runs it, opens the store again if it outlives that, and looks whether everything is there.
///
/// # Errors
///
/// That its data can't be stored, or the store not be made or opened. Operations that fail are in the result.
pub fn run_workload(workload: &Workload, folder: &Path, watcher: &mut Watcher<'_>) -> Result<Run> {
    let subject = Subject::new(&workload.store, folder)?;
    let mut store = subject.open()?;
    let (keys, loaded) = load(&store, workload, watcher.goes_on)?;
    let syncs_before = store.engine().stats().syncs;
    let engine = store.engine().stats().engine.to_owned();
    let target_store = store.clone();
    let target = StoreTarget::new(&target_store, workload, keys);
    let cache = || {
        let stats = target_store.engine().stats();
        Some((stats.cache_hits, stats.cache_misses))
    };
    let plan = Plan { mix: &workload.mix, load: &workload.load, seed: workload.seed, cache: &cache };
    let measured = runner::run(&target, &plan, &workload.name, watcher);
    let stats = store.engine().stats();
    let acknowledged = target.acknowledged();
    drop(target);
    if subject.is_lasting() {
        store.close().map_err(crate::error::Error::store("closing the store behind a run"))?;
        drop(target_store);
        store = subject.open()?;
    }
    let audit = Audit::of(&store, &acknowledged, subject.is_lasting());
    let Measured { seconds, operations, harness_share, lateness, series, is_interrupted } = measured;
    let mut run = Run {
        workload: workload.clone(),
        engine,
        seconds,
        operations,
        harness_share,
        lateness,
        series,
        loaded: Some(loaded),
        audit: Some(audit),
        syncs: subject.is_lasting().then(|| stats.syncs - syncs_before),
        store: Some(StoreFigures::from(&stats)),
        thresholds: Vec::new(),
        is_interrupted,
    };
    run.thresholds = workload.thresholds.iter().filter_map(|threshold| threshold.judge(&run)).collect();
    Ok(run)
}
