//! Section `single`.

use anyhow::Result;

use super::{Campaign, Title, all_of, remove, strides};
use crate::section::Section;
use crate::task::Work;

impl Campaign {
    /// Single durable inserts into new stores.
    pub(super) fn single(&mut self) -> Result<()> {
        if !self.wants(Section::Single) {
            return Ok(());
        }
        for threads in self.sizes.single_threads {
            let case = format!("{threads} thread{}", if threads == 1 { "" } else { "s" });
            for engine in self.engines(Section::Single, self.main_value) {
                let directory = self.place(engine, "single");
                let work = Work::Single { threads, seconds: self.sizes.single_seconds };
                let task = self.task(engine, directory.clone(), self.main_value, work);
                let title = Title { section: Section::Single, case: &case, engine };
                self.measure(&title, &task, |sample| Some(all_of(strides(sample, 0, threads))))?;
                remove([directory])?;
            }
        }
        Ok(())
    }
}
