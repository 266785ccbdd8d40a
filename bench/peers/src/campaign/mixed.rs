//! Section `mixed`.

use anyhow::Result;

use super::{Campaign, Title, all_of, remove, strides};
use crate::data::Stride;
use crate::engine::Level;
use crate::section::Section;
use crate::spread::figure;
use crate::task::Work;

impl Campaign {
    /// Gets and puts in stores that were loaded, closed and opened again.
    pub(super) fn mixed(&mut self) -> Result<()> {
        if !self.wants(Section::Mixed) {
            return Ok(());
        }
        for rows in self.sizes.mixed_rows {
            let case = format!("{} rows before", figure(rows as f64));
            for engine in self.engines(Section::Mixed, self.main_value) {
                let directory = self.place(engine, "mixed");
                if self.fill(engine, &directory, self.main_value, rows)? {
                    let threads = self.sizes.mixed_threads;
                    let work = Work::Mixed { rows, threads, operations: self.sizes.mixed_operations };
                    let mut task = self.task(engine, directory.clone(), self.main_value, work);
                    task.settings.level = Level::Written;
                    let title = Title { section: Section::Mixed, case: &case, engine };
                    self.measure(&title, &task, |sample| {
                        let mut stored = strides(sample, rows, threads);
                        stored.push(Stride::first(rows));
                        Some(all_of(stored))
                    })?;
                }
                remove([directory])?;
            }
        }
        Ok(())
    }
}
