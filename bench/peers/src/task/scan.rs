//! Section `scan`: every row once, in the order that suits the engine.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Task, tell};
use crate::data::{Data, Wanted, fold};
use crate::engine::Engine;

/// The second of two scans is timed, so that all begin with warm caches. The folds of all values, added up, show
/// that each row came once with its own bytes.
pub(super) fn perform(task: &Task, rows: u64) -> Result<()> {
    let folds = task.data().map(0..rows, |data: &Data, number| Wanted::of(data, number).fold)?;
    let expected = folds.into_iter().fold(0, u64::wrapping_add);
    let engine = task.open()?;
    if scan(&*engine, rows, expected)?.is_some()
        && let Some(seconds) = scan(&*engine, rows, expected)?
    {
        tell("rows_per_second", rows as f64 / seconds);
    }
    let started = Instant::now();
    if let Some(checked) = engine.check()? {
        ensure!(checked == rows, "{checked} rows were checked, {rows} are stored");
        tell("checked_rows_per_second", rows as f64 / started.elapsed().as_secs_f64());
    }
    engine.close()
}

/// How long it took, if the engine can do it.
fn scan(engine: &dyn Engine, rows: u64, expected: u64) -> Result<Option<f64>> {
    let (mut seen, mut sum) = (0_u64, 0_u64);
    let started = Instant::now();
    let is_offered = engine.scan(&mut |_, value| {
        seen += 1;
        sum = sum.wrapping_add(fold(value));
    })?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(!is_offered || seen == rows, "{seen} rows were seen, {rows} are stored");
    ensure!(!is_offered || sum == expected, "the rows that were seen have other bytes");
    Ok(is_offered.then_some(seconds))
}
