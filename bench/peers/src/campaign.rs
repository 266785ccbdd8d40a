//! A whole run: which children do what, in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::arguments::Arguments;
use crate::child::{self, Exit};
use crate::data::{Kind, Source, Stride};
use crate::engine::{Level, Name, Settings};
use crate::sample::{Ending, Sample};
use crate::section::Section;
use crate::sizes::Sizes;
use crate::task::{Limit, Task, Work};

mod memory;
mod mixed;
mod reopen;
mod single;
mod stores;

/// Keys that are looked for in vain after every load.
const ABSENT: u64 = 1_000;

/// Makes all samples.
pub(crate) struct Campaign {
    engines: Vec<Name>,
    sections: Vec<Section>,
    values: Vec<usize>,
    main_value: usize,
    sizes: Sizes,
    seed: u64,
    directory: PathBuf,
    run: usize,
    samples: Vec<Sample>,
}

/// What a sample is of.
struct Title<'a> {
    section: Section,
    case: &'a str,
    engine: Name,
}

impl Title<'_> {
    fn sample(&self, run: usize, ending: Ending, figures: BTreeMap<String, f64>) -> Sample {
        let Self { section, case, engine } = *self;
        Sample { section, case: case.to_owned(), engine, run, ending, figures }
    }
}

impl Campaign {
    /// Makes a directory for the stores.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().context("the program lies in no directory")?;
        let parent = arguments.dir.as_deref().unwrap_or(beside);
        let directory = parent.join(format!("peers-data-{}", std::process::id()));
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        Ok(Self {
            engines: arguments.engines(),
            sections: arguments.sections(),
            values: arguments.values(),
            main_value: arguments.main_value(),
            sizes: arguments.sizes(),
            seed: arguments.seed,
            directory,
            run: 0,
            samples: Vec::new(),
        })
    }

    /// Where the stores are.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs everything that is wanted, and returns all samples, also if it could not go on to the end because this
    /// program can't do its part. An engine that fails is a sample.
    pub(crate) fn run(mut self) -> (Vec<Sample>, Result<()>) {
        let result = self.run_all();
        (std::mem::take(&mut self.samples), result)
    }

    fn run_all(&mut self) -> Result<()> {
        for run in 0..self.sizes.runs {
            self.run = run;
            for value_bytes in self.values.clone() {
                self.stores(value_bytes)?;
            }
            self.single()?;
            self.mixed()?;
            if run < self.sizes.scarce_runs {
                self.memory()?;
            }
        }
        Ok(())
    }

    fn wants(&self, section: Section) -> bool {
        self.sections.contains(&section)
    }

    /// The engines that take part, each run another one first. Entities belong to the main size of values.
    fn engines(&self, section: Section, value_bytes: usize) -> Vec<Name> {
        let mut engines: Vec<Name> = self
            .engines
            .iter()
            .copied()
            .filter(|engine| engine.takes_part(section))
            .filter(|engine| *engine != Name::StatlasEntities || value_bytes == self.main_value)
            .collect();
        let first = self.run % engines.len().max(1);
        engines.rotate_left(first);
        engines
    }

    fn task(&self, engine: Name, directory: PathBuf, value_bytes: usize, work: Work) -> Task {
        let kind = match engine {
            Name::StatlasEntities => Kind::Entities,
            _ => Kind::Values { bytes: value_bytes },
        };
        let settings = Settings {
            level: Level::Synced,
            value_bytes,
            cache_bytes: self.sizes.cache_bytes,
            write_buffer_bytes: self.sizes.write_buffer_bytes,
            memory_is_scarce: false,
        };
        Task {
            engine,
            directory,
            source: Source { seed: self.seed, kind },
            settings,
            limit: Limit::None,
            work,
        }
    }

    /// A directory that no other store of this run has.
    fn place(&self, engine: Name, purpose: &str) -> PathBuf {
        self.directory.join(format!("{}-{purpose}", engine.as_str()))
    }

    /// Runs a task and keeps what came of it. What it stored is verified by another process, if `stored` says
    /// what that is. Whether all went well.
    fn measure(
        &mut self,
        title: &Title<'_>,
        task: &Task,
        stored: impl FnOnce(&Sample) -> Option<Work>,
    ) -> Result<bool> {
        let report = child::run(task)?;
        let ending = match report.exit {
            Exit::Done => Ending::Done,
            Exit::Killed => Ending::Failed("killed".to_owned()),
            Exit::Failed(reason) => Ending::Failed(reason),
        };
        let mut sample = title.sample(self.run, ending, report.figures);
        if sample.ending == Ending::Done
            && let Some(work) = stored(&sample)
        {
            self.verify(task, work, &mut sample)?;
        }
        let went_well = sample.ending == Ending::Done;
        self.keep(sample);
        Ok(went_well)
    }

    /// Has another process read what a task stored, without limits.
    fn verify(&self, task: &Task, work: Work, sample: &mut Sample) -> Result<()> {
        let mut task = Task { limit: Limit::None, work, ..task.clone() };
        // The writer's level is no matter of a reader.
        task.settings.level = Level::Synced;
        let report = child::run(&task)?;
        let figures = report.figures.into_iter().filter(|(name, _)| name.starts_with("verified"));
        sample.figures.extend(figures);
        match report.exit {
            Exit::Done => {}
            Exit::Killed => sample.ending = Ending::Failed("killed while it was verified".to_owned()),
            Exit::Failed(reason) => sample.ending = Ending::Failed(format!("verification: {reason}")),
        }
        Ok(())
    }

    fn keep(&mut self, sample: Sample) {
        let Sample { section, case, engine, run, ending, figures } = &sample;
        let result = match ending {
            Ending::Done => crate::report::headline(*section, figures),
            Ending::OutOfMemory => "killed: out of memory".to_owned(),
            Ending::Failed(reason) => format!("FAILED: {reason}"),
        };
        let (section, engine) = (section.as_str(), engine.as_str());
        eprintln!("run {} of {}  {section:6}  {case:44}  {engine:16}  {result}", run + 1, self.sizes.runs);
        self.samples.push(sample);
    }
}

/// All of some rows, and keys that are not there.
fn all_of(stored: Vec<Stride>) -> Work {
    Work::Verify { stored, every: 1, absent: ABSENT }
}

/// The rows that threads stored between them, starting with row `first`, as the sample says.
fn strides(sample: &Sample, first: u64, threads: u64) -> Vec<Stride> {
    let count = |thread: u64| {
        // Counts of rows are exact in a float.
        sample.figures.get(&format!("thread_{thread}_rows")).map_or(0, |count| *count as u64)
    };
    (0..threads).map(|thread| Stride { start: first + thread, step: threads, count: count(thread) }).collect()
}

fn remove(directories: impl IntoIterator<Item = PathBuf>) -> Result<()> {
    let directories: BTreeSet<PathBuf> = directories.into_iter().collect();
    for directory in directories.iter().filter(|directory| directory.exists()) {
        fs::remove_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    Ok(())
}

impl Drop for Campaign {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            eprintln!("peers: {}: {error}", self.directory.display());
        }
    }
}
