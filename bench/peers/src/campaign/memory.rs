//! Section `memory`.

use std::path::PathBuf;

use anyhow::Result;

use super::{ABSENT, Campaign, Title, remove};
use crate::child::{self, Exit};
use crate::data::Stride;
use crate::engine::Name;
use crate::group::Group;
use crate::sample::Ending;
use crate::section::Section;
use crate::spread::figure;
use crate::task::{Limit, Scarce, Task, Work};

/// Rows in a batch.
const BATCH: u64 = 10_000;

impl Campaign {
    /// Loads more than fits into memory, and gets some of it.
    pub(super) fn memory(&mut self) -> Result<()> {
        if !self.wants(Section::Memory) {
            return Ok(());
        }
        for engine in self.engines(Section::Memory, self.main_value) {
            self.in_little_memory(engine)?;
        }
        Ok(())
    }

    fn in_little_memory(&mut self, engine: Name) -> Result<()> {
        let directory = self.place(engine, "memory");
        let mut task = self.scarce_task(engine, directory.clone());
        let bytes = self.sizes.scarce_memory_bytes;
        let group = Group::new(bytes);
        let means = match &group {
            Ok(group) => {
                task.limit = Limit::Group(group.processes());
                "all of it"
            }
            Err(error) => {
                eprintln!("peers: {error:#}; only private memory is limited");
                task.limit = Limit::Data(bytes);
                "private memory alone"
            }
        };
        let report = child::run(&task)?;
        let ending = ending(report.exit, group.ok().and_then(|group| group.kills()));
        let rows = figure(self.sizes.scarce_rows as f64);
        let case = format!("{rows} rows in {} MiB, {means}", bytes >> 20);
        let title = Title { section: Section::Memory, case: &case, engine };
        let mut sample = title.sample(self.run, ending, report.figures);
        if sample.ending == Ending::Done {
            // A count of rows is exact in a float.
            let stored = sample.figures.get("rows").map_or(0, |rows| *rows as u64);
            let (stored, every) = (vec![Stride::first(stored)], self.sizes.scarce_verify_every);
            self.verify(&task, Work::Verify { stored, every, absent: ABSENT }, &mut sample)?;
        }
        self.keep(sample);
        remove([directory])
    }

    fn scarce_task(&self, engine: Name, directory: PathBuf) -> Task {
        let sizes = &self.sizes;
        let scarce = Scarce {
            rows: sizes.scarce_rows,
            batch: BATCH,
            gets: sizes.scarce_gets,
            load_seconds_max: sizes.scarce_load_seconds_max,
        };
        let mut task = self.task(engine, directory, self.main_value, Work::Scarce(scarce));
        task.settings.cache_bytes = sizes.scarce_cache_bytes;
        task.settings.write_buffer_bytes = sizes.scarce_write_buffer_bytes;
        task.settings.memory_is_scarce = true;
        task
    }
}

/// How it ended, if the system killed so many processes of the group for want of memory.
fn ending(exit: Exit, kills: Option<u64>) -> Ending {
    match exit {
        Exit::Done => Ending::Done,
        Exit::Killed if kills != Some(0) => Ending::OutOfMemory,
        Exit::Killed => Ending::Failed("killed".to_owned()),
        Exit::Failed(reason) => Ending::Failed(reason),
    }
}
