//! Section `reopen`.

use anyhow::Result;

use super::stores::Loaded;
use super::{Campaign, Title, all_of};
use crate::child::{self, Exit};
use crate::data::Stride;
use crate::sample::Ending;
use crate::section::Section;
use crate::task::Work;

/// Rows in a batch that is stored before the kill.
const BATCH: u64 = 1_000;

impl Campaign {
    /// Opens a store that was closed in order, and again after its process was killed.
    pub(super) fn reopen(&mut self, store: &Loaded) -> Result<()> {
        let case = |after: &str| format!("{} B, after {after}", store.value_bytes);
        let open = |row| Work::Open { row };
        let title = Title { section: Section::Reopen, case: &case("a clean close"), engine: store.engine };
        let task = self.task(store.engine, store.directory.clone(), store.value_bytes, open(store.rows / 2));
        if !self.measure(&title, &task, |_| None)? {
            return Ok(());
        }
        let title = Title { section: Section::Reopen, case: &case("a kill"), engine: store.engine };
        let Some(rows) = self.kill(&title, store)? else { return Ok(()) };
        // The last row that was acknowledged before the kill.
        let task = self.task(store.engine, store.directory.clone(), store.value_bytes, open(rows - 1));
        self.measure(&title, &task, |_| Some(all_of(vec![Stride::first(rows)])))?;
        Ok(())
    }

    /// Adds rows in a process that dies without closing; how many rows there are now, if it came that far.
    fn kill(&mut self, title: &Title<'_>, store: &Loaded) -> Result<Option<u64>> {
        let work = Work::Crash { first: store.rows, batches: self.sizes.crash_batches, batch: BATCH };
        let task = self.task(store.engine, store.directory.clone(), store.value_bytes, work);
        let report = child::run(&task)?;
        let reason = match (report.exit, report.figures.get("rows")) {
            // A count of rows is exact in a float.
            (Exit::Killed, Some(added)) => return Ok(Some(store.rows + *added as u64)),
            (Exit::Failed(reason), _) => reason,
            (exit, _) => format!("it was to die after its commits, and ended otherwise: {exit:?}"),
        };
        self.keep(title.sample(self.run, Ending::Failed(reason), report.figures));
        Ok(None)
    }
}
