//! The sections that load a store, and those that read the stores which were loaded.

use std::path::PathBuf;

use anyhow::Result;

use super::{Campaign, Title, all_of, remove};
use crate::child::{self, Exit};
use crate::data::Stride;
use crate::engine::Name;
use crate::section::Section;
use crate::spread::figure;
use crate::task::Work;

/// Sections that read what was loaded, in this order: the last one adds rows.
const READERS: [Section; 4] = [Section::Get, Section::Absent, Section::Scan, Section::Reopen];

/// A store that was loaded and verified.
#[derive(Clone)]
pub(super) struct Loaded {
    pub(super) engine: Name,
    pub(super) directory: PathBuf,
    pub(super) value_bytes: usize,
    pub(super) rows: u64,
}

impl Campaign {
    /// Everything about stores with values of one size.
    pub(super) fn stores(&mut self, value_bytes: usize) -> Result<()> {
        let is_read = READERS.into_iter().any(|section| self.wants(section));
        let mut loaded = Vec::new();
        if self.wants(Section::Load) {
            for batch in self.sizes.load_batches {
                remove(loaded.drain(..).map(|store: Loaded| store.directory))?;
                loaded = self.load(value_bytes, batch)?;
            }
        } else if is_read {
            loaded = self.prepare(value_bytes)?;
        }
        for section in READERS {
            if self.wants(section) {
                for store in self.in_turn(section, &loaded) {
                    match section {
                        Section::Get | Section::Absent => self.look_up(section, &store)?,
                        Section::Scan => self.scan(&store)?,
                        _ => self.reopen(&store)?,
                    }
                }
            }
        }
        remove(loaded.into_iter().map(|store| store.directory))
    }

    /// The stores in the order of the engines.
    fn in_turn(&self, section: Section, loaded: &[Loaded]) -> Vec<Loaded> {
        let Some(value_bytes) = loaded.first().map(|store| store.value_bytes) else { return Vec::new() };
        let engines = self.engines(section, value_bytes).into_iter();
        engines.filter_map(|engine| loaded.iter().find(|store| store.engine == engine)).cloned().collect()
    }

    fn new_store(&self, engine: Name, value_bytes: usize) -> Loaded {
        let directory = self.place(engine, &format!("{value_bytes}"));
        Loaded { engine, directory, value_bytes, rows: self.sizes.rows_of(value_bytes) }
    }

    fn load(&mut self, value_bytes: usize, batch: u64) -> Result<Vec<Loaded>> {
        let case = format!("{value_bytes} B, batches of {}", figure(batch as f64));
        let mut loaded = Vec::new();
        for engine in self.engines(Section::Load, value_bytes) {
            let store = self.new_store(engine, value_bytes);
            let work = Work::Load { rows: store.rows, batch: usize::try_from(batch)? };
            let task = self.task(engine, store.directory.clone(), value_bytes, work);
            let title = Title { section: Section::Load, case: &case, engine };
            // A bare file can't be read, so there is nothing to verify.
            let can_read = engine != Name::BareAppend;
            let stored = |_: &_| can_read.then(|| all_of(vec![Stride::first(store.rows)]));
            if self.measure(&title, &task, stored)? && can_read {
                loaded.push(store);
            } else {
                remove([store.directory])?;
            }
        }
        Ok(loaded)
    }

    /// Stores to be read, where loading is not asked for.
    fn prepare(&mut self, value_bytes: usize) -> Result<Vec<Loaded>> {
        let mut loaded = Vec::new();
        for engine in self.engines(Section::Get, value_bytes) {
            let store = self.new_store(engine, value_bytes);
            if self.fill(engine, &store.directory, value_bytes, store.rows)? {
                loaded.push(store);
            }
        }
        Ok(loaded)
    }

    /// Loads a store outside of what is measured; whether that went well.
    pub(super) fn fill(
        &self,
        engine: Name,
        directory: &std::path::Path,
        value_bytes: usize,
        rows: u64,
    ) -> Result<bool> {
        const BATCH: usize = 10_000;
        let work = Work::Load { rows, batch: BATCH };
        let report = child::run(&self.task(engine, directory.to_owned(), value_bytes, work))?;
        if report.exit != Exit::Done {
            eprintln!("peers: {} could not be loaded: {:?}", engine.as_str(), report.exit);
        }
        Ok(report.exit == Exit::Done)
    }

    fn look_up(&mut self, section: Section, store: &Loaded) -> Result<()> {
        let threads = self.sizes.get_threads.to_vec();
        let work = Work::Lookup { rows: store.rows, absent: section == Section::Absent, threads };
        self.measure_store(section, store, work)
    }

    fn scan(&mut self, store: &Loaded) -> Result<()> {
        self.measure_store(Section::Scan, store, Work::Scan { rows: store.rows })
    }

    fn measure_store(&mut self, section: Section, store: &Loaded, work: Work) -> Result<()> {
        let task = self.task(store.engine, store.directory.clone(), store.value_bytes, work);
        let case = format!("{} B", store.value_bytes);
        let title = Title { section, case: &case, engine: store.engine };
        self.measure(&title, &task, |_| None)?;
        Ok(())
    }
}
