//! Section `load`: rows in batches, each durable before the next.

use std::time::Instant;

use anyhow::Result;

use super::{Task, tell};
use crate::{process, syncs};

/// The rows are made before the clock starts, so that it runs through without a pause in which an engine could
/// tidy up unseen.
pub(super) fn perform(task: &Task, rows: u64, batch: usize) -> Result<()> {
    let mut rows = task.data().rows(0..rows)?;
    let value_bytes: usize = rows.iter().map(|row| row.value.len()).sum();
    let key_bytes: usize = rows.iter().map(|row| row.key.len()).sum();
    let engine = task.open()?;
    let (written_before, syncs_before) = (process::written_bytes()?, syncs::count());
    let (started, processor) = (Instant::now(), process::process_time());
    engine.load(&mut rows, batch)?;
    let seconds = started.elapsed().as_secs_f64();
    let processor = process::process_time() - processor;
    let syncs = syncs::count() - syncs_before;
    let closing = Instant::now();
    engine.close()?;
    let close_seconds = closing.elapsed().as_secs_f64();
    let written = (process::written_bytes()? - written_before) as f64;
    let on_disk = process::disk_bytes(&task.directory)? as f64;
    tell("rows_per_second", rows.len() as f64 / seconds);
    tell("seconds", seconds);
    tell("cpu_us_per_row", processor.as_secs_f64() * 1e6 / rows.len() as f64);
    tell("close_seconds", close_seconds);
    tell("commits", rows.len().div_ceil(batch) as f64);
    tell("syncs", syncs as f64);
    tell("payload_bytes", value_bytes as f64);
    tell("key_bytes", key_bytes as f64);
    tell("written_bytes", written);
    tell("written_per_payload", written / value_bytes as f64);
    tell("written_per_key_and_value", written / (key_bytes + value_bytes) as f64);
    tell("disk_bytes", on_disk);
    tell("disk_per_payload", on_disk / value_bytes as f64);
    Ok(())
}
