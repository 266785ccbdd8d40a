//! The check of a store by a process that did not write it.

use anyhow::{Result, ensure};

use super::{Task, tell};
use crate::data::Stride;
use crate::engine::View;

/// Reads each `every`-th of the stored rows and compares all bytes; looks for keys that are not there.
pub(super) fn perform(task: &Task, stored: &[Stride], every: u64, absent: u64) -> Result<()> {
    let data = task.data();
    let engine = task.open()?;
    let mut verified = 0_u64;
    engine.read(View::Fixed, &mut |reader| {
        let step = usize::try_from(every)?;
        for number in stored.iter().flat_map(|stride| stride.numbers()).step_by(step) {
            let row = data.row(number);
            let mut same = false;
            let found = reader.get(&row.key, &mut |value| same = value == row.value)?;
            ensure!(found, "row {number} is missing");
            ensure!(same, "row {number} has other bytes");
            verified += 1;
        }
        for number in 0..absent {
            let found = reader.get(&data.absent(number), &mut |_| {})?;
            ensure!(!found, "key {number} of those that were never stored was found");
        }
        Ok(())
    })?;
    engine.close()?;
    tell("verified_rows", verified as f64);
    tell("verified_absent", absent as f64);
    Ok(())
}
