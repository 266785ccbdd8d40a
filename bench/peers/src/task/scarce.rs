//! Section `memory`: more data than memory.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::{Scarce, Task, tell, tell_peak};
use crate::data::{Wanted, fold};
use crate::engine::{Engine, View};
use crate::process;

/// Batches between two reports; what a killed process had reported is all that is known of it.
const REPORT_EVERY: u64 = 10;
/// Tells these random choices from others.
const GETS: u64 = 0x200;

/// Loads, gets random rows and closes, all in one process. Only a batch of rows is held at a time, so rows are made
/// while the clock is stopped: about a third of a microsecond for each.
pub(super) fn perform(task: &Task, scarce: &Scarce) -> Result<()> {
    let engine = task.open()?;
    let stored = load(task, &*engine, scarce)?;
    get(task, &*engine, stored, scarce.gets)?;
    engine.close()?;
    tell("written_bytes", process::written_bytes()? as f64);
    tell("disk_bytes", process::disk_bytes(&task.directory)? as f64);
    Ok(())
}

/// How many rows were stored before the time was up.
fn load(task: &Task, engine: &dyn Engine, scarce: &Scarce) -> Result<u64> {
    let Scarce { rows, batch, load_seconds_max, .. } = *scarce;
    let data = task.data();
    let (mut stored, mut time) = (0, Duration::ZERO);
    while stored < rows && time.as_secs_f64() < load_seconds_max {
        let end = (stored + batch).min(rows);
        let mut part: Vec<_> = (stored..end).map(|number| data.row(number)).collect();
        let started = Instant::now();
        engine.commit(&mut part)?;
        time += started.elapsed();
        stored = end;
        if stored == rows || (stored / batch).is_multiple_of(REPORT_EVERY) {
            tell("rows", stored as f64);
            tell("rows_per_second", stored as f64 / time.as_secs_f64());
            tell_peak()?;
        }
    }
    tell("rows", stored as f64);
    tell("rows_per_second", stored as f64 / time.as_secs_f64());
    Ok(stored)
}

fn get(task: &Task, engine: &dyn Engine, stored: u64, gets: u64) -> Result<()> {
    let data = task.data();
    let mut choices = data.choices(GETS);
    let wanted: Vec<_> = (0..gets).map(|_| Wanted::of(&data, choices.below(stored))).collect();
    let (mut found, mut wrong) = (0_u64, 0_u64);
    engine.read(View::Fixed, &mut |reader| {
        let (started, processor) = (Instant::now(), process::thread_time());
        for wanted in &wanted {
            let is_found = reader.get(&wanted.key, &mut |value| {
                wrong += u64::from(fold(value) != wanted.fold);
            })?;
            found += u64::from(is_found);
        }
        let seconds = started.elapsed().as_secs_f64();
        tell("gets_per_second", gets as f64 / seconds);
        tell("get_cpu_ns", (process::thread_time() - processor).as_secs_f64() * 1e9 / gets as f64);
        Ok(())
    })?;
    ensure!(found == gets && wrong == 0, "of {gets} rows {found} were found and {wrong} were wrong");
    Ok(())
}
