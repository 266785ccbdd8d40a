//! Section `single`: one row per commit, each durable before its thread goes on.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::threads::together;
use super::{Task, tell};
use crate::syncs;

/// Thread `t` of `n` stores the rows `t`, `t + n`, and so on. A row is made between two commits: it takes less than
/// a hundredth of the sync that follows, and the same for every engine.
pub(super) fn perform(task: &Task, threads: u64, seconds: f64) -> Result<()> {
    let data = task.data();
    let engine = task.open()?;
    let syncs_before = syncs::count();
    let (wall, counts) = together(threads, |thread, wait| {
        wait();
        let end = Instant::now() + Duration::from_secs_f64(seconds);
        let mut count = 0_u64;
        while Instant::now() < end {
            engine.commit(&mut [data.row(thread + count * threads)])?;
            count += 1;
        }
        Ok(count)
    })?;
    let syncs = syncs::count() - syncs_before;
    engine.close()?;
    let inserts: u64 = counts.iter().sum();
    tell("inserts_per_second", inserts as f64 / wall.as_secs_f64());
    tell("inserts", inserts as f64);
    tell("syncs", syncs as f64);
    tell("syncs_per_insert", syncs as f64 / inserts.max(1) as f64);
    for (thread, count) in counts.iter().enumerate() {
        tell(&format!("thread_{thread}_rows"), *count as f64);
    }
    Ok(())
}
