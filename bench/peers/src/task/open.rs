//! Section `reopen`: how long it takes until an engine answers, and the killing that comes before.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::{Result, ensure};

use super::{Task, tell, tell_peak};
use crate::engine::View;
use crate::process;

/// Opens the store and gets one row; files are in the page cache.
pub(super) fn perform(task: &Task, row: u64) -> Result<()> {
    let row = task.data().row(row);
    let started = Instant::now();
    let engine = task.open()?;
    let (mut same, mut found) = (false, false);
    engine.read(View::Fixed, &mut |reader| {
        found = reader.get(&row.key, &mut |value| same = value == row.value)?;
        Ok(())
    })?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(found, "the row is missing");
    ensure!(same, "the row has other bytes");
    tell("open_ms", seconds * 1e3);
    engine.close()
}

/// Stores rows from `first` on, each batch durable, and dies without closing.
pub(super) fn crash(task: &Task, first: u64, batches: u64, batch: u64) -> Result<()> {
    let mut rows = task.data().rows(first..first + batches * batch)?;
    let engine = task.open()?;
    for batch in rows.chunks_mut(usize::try_from(batch)?) {
        engine.commit(batch)?;
    }
    tell("rows", rows.len() as f64);
    tell_peak()?;
    io::stdout().flush()?;
    process::die()
}
