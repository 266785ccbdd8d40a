//! Two threads that load: one makes batches ready, the other commits them.

use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::{Result, anyhow};

use crate::data::Row;

/// Commits what `prepare` makes of batches of rows, in their order. At most three are under way: one that is
/// committed, one that waits, and one that is made ready.
///
/// # Errors
///
/// The first of `commit`, else that of `prepare`.
pub(super) fn load<'a, P: Send>(
    rows: &'a mut [Row],
    batch: usize,
    prepare: impl Fn(&'a mut [Row]) -> P + Send,
    mut commit: impl FnMut(P) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        let (sender, ready) = sync_channel(1);
        let preparing = scope.spawn(move || {
            // A receiver that is gone has stopped at an error.
            rows.chunks_mut(batch).map(prepare).try_for_each(|batch| sender.send(batch)).ok();
        });
        ready.into_iter().try_for_each(&mut commit)?;
        preparing.join().map_err(|_| anyhow!("the thread that makes batches ready died"))
    })
}

/// Rows in the order of their keys.
pub(super) fn sorted(rows: &mut [Row]) -> &[Row] {
    rows.sort_unstable_by_key(|row| row.key);
    rows
}
