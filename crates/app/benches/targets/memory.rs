//! Section `memory`: what each strategy for little memory brings, switched on and off.
//!
//! Every piece of work is done by a process of its own. What it may use is limited by the system, pages of files
//! included, so that the store is larger than the memory. The files are taken out of the page cache before.

mod group;
mod judgement;
mod task;

use std::path::{Path, PathBuf};

use anyhow::Result;

use self::group::Limit;
use self::judgement::{Better, Judgement};
pub(crate) use self::task::measure_if_asked;
use self::task::{Keys, Outcome, Switches, Task};
use crate::Bench;
use crate::report::Target;

const SECTION: &str = "memory";
/// What the program takes beside the store: code, the benchmark's own lists, a batch that is being made.
const PROGRAM_BYTES: u64 = 32 << 20;
/// The part of the rest that the store takes for itself; what is left then is for pages of files.
const BUDGET_PART: u64 = 2;

/// All strategies as they are switched unless they are what is measured.
const USUAL: Switches = Switches { compression: false, cache: true, pool: false, preload: false };

/// A piece of work, told apart by its name.
struct Case {
    name: &'static str,
    switches: Switches,
    is_limited: bool,
    /// `None` to load the store.
    keys: Option<Keys>,
    scans: bool,
}

impl Case {
    const fn new(name: &'static str, switches: Switches, keys: Option<Keys>) -> Self {
        Self { name, switches, is_limited: true, keys, scans: false }
    }

    const fn unlimited(self) -> Self {
        Self { is_limited: false, ..self }
    }

    const fn with_scan(self) -> Self {
        Self { scans: true, ..self }
    }

    /// The name of the store that it works on; what loads one for the others goes by the switches of these.
    fn store(&self) -> &'static str {
        match (self.keys, self.switches.compression) {
            (_, true) => "compressed",
            (None, false) if !self.is_limited || self.switches.pool => "discarded",
            (_, false) => "plain",
        }
    }
}

const COMPRESSED: Switches = Switches { compression: true, ..USUAL };
const WITHOUT_CACHE: Switches = Switches { cache: false, ..USUAL };
const POOLED: Switches = Switches { pool: true, ..USUAL };
const PRELOADED: Switches = Switches { preload: true, ..USUAL };
const UNIFORM: Option<Keys> = Some(Keys::Uniform);
const ZIPFIAN: Option<Keys> = Some(Keys::Zipfian);

/// Loads come before what reads their stores.
const CASES: [Case; 17] = [
    Case::new("load", USUAL, None),
    Case::new("load, compression on", COMPRESSED, None),
    Case::new("load, pool on", POOLED, None),
    Case::new("load, unlimited", USUAL, None).unlimited(),
    Case::new("uniform", USUAL, UNIFORM),
    Case::new("uniform, compression on", COMPRESSED, UNIFORM),
    Case::new("uniform, cache off", WITHOUT_CACHE, UNIFORM),
    Case::new("zipfian", USUAL, ZIPFIAN),
    Case::new("zipfian, compression on", COMPRESSED, ZIPFIAN),
    Case::new("zipfian, cache off", WITHOUT_CACHE, ZIPFIAN),
    Case::new("zipfian, pool on", POOLED, ZIPFIAN),
    Case::new("zipfian, preload on", PRELOADED, ZIPFIAN),
    Case::new("zipfian beside a scan", USUAL, ZIPFIAN).with_scan(),
    Case::new("zipfian beside a scan, cache off", WITHOUT_CACHE, ZIPFIAN).with_scan(),
    Case::new("uniform, unlimited", USUAL, UNIFORM).unlimited(),
    Case::new("uniform, unlimited, compression on", COMPRESSED, UNIFORM).unlimited(),
    Case::new("uniform, unlimited, cache off", WITHOUT_CACHE, UNIFORM).unlimited(),
];

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let directory = bench.directory.join("memory");
    std::fs::create_dir_all(&directory)?;
    let limit = Limit::new(bench.sizes.memory_bytes);
    let (entities, lookups) = (bench.sizes.memory_entities, bench.sizes.memory_lookups);
    bench
        .report
        .note(SECTION, format!("limit: {} MiB by {}", bench.sizes.memory_bytes >> 20, limit.describe()));
    bench.report.note(
        SECTION,
        format!(
            "{entities} entities, {lookups} lookups of which the first quarter is not timed; the store's own budget \
             is half of the limit less 32 MiB, in unlimited runs twice the limit and at least 1 GiB; cache on: a quarter of it"
        ),
    );
    let mut all: Vec<Vec<Outcome>> = CASES.iter().map(|_| Vec::new()).collect();
    for repetition in 0..bench.sizes.memory_repetitions {
        for (case, outcomes) in CASES.iter().zip(&mut all) {
            let store = directory.join(case.store());
            if case.keys.is_none() {
                remove(&store)?;
            }
            prepare_pages(&store, case.is_limited)?;
            let task = task(bench, case, &limit, store);
            let outcome = task.run(&bench.directory)?;
            println!("  {:2} {:40} {:>12.0} a second", repetition + 1, case.name, outcome.rate);
            outcomes.push(outcome);
        }
    }
    let outcomes = Outcomes { entities: entities as f64, all };
    outcomes.table().into_iter().for_each(|line| bench.report.note(SECTION, line));
    match bench.sizes.memory_repetitions {
        1 => bench.report.note(SECTION, "what the strategies bring is told of repeated runs only"),
        _ => outcomes.judgements().into_iter().for_each(|line| bench.report.note(SECTION, line)),
    }
    let large = if bench.sizes.is_memory_large { " --large" } else { "" };
    bench.report.note(SECTION, format!("again: cargo xtask bench{large} memory"));
    for (case, runs) in CASES.iter().zip(&outcomes.all) {
        let rates = runs.iter().map(|outcome| outcome.rate).collect();
        bench.report.row(SECTION, case.name, "a second", rates, Target::None);
    }
    drop(limit);
    remove(&directory)
}

fn task(bench: &Bench, case: &Case, limit: &Limit, store: PathBuf) -> Task {
    let sizes = &bench.sizes;
    let unlimited = (sizes.memory_bytes * 2).max(1 << 30);
    Task {
        store,
        limit: if case.is_limited { limit.to_word() } else { Limit::None.to_word() },
        budget_bytes: if case.is_limited {
            (sizes.memory_bytes - PROGRAM_BYTES) / BUDGET_PART
        } else {
            unlimited
        },
        seed: bench.seed,
        entities: sizes.memory_entities,
        switches: case.switches,
        lookups: case.keys.map(|keys| (sizes.memory_lookups, keys)),
        scans: case.scans,
    }
}

fn remove(directory: &Path) -> Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Takes the files of a store out of the page cache, where the system lets one; or brings them in.
fn prepare_pages(store: &Path, are_dropped: bool) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(store.join("log")) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if are_dropped {
            drop_pages(&std::fs::File::open(&path)?)?;
        } else {
            std::io::copy(&mut std::fs::File::open(&path)?, &mut std::io::sink())?;
        }
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn drop_pages(file: &std::fs::File) -> Result<()> {
    use std::os::fd::AsRawFd;

    // Pages that wait to be written can't be dropped.
    file.sync_all()?;
    // SAFETY: the call takes numbers only, and the descriptor is open as long as `file` lives.
    let result = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    anyhow::ensure!(result == 0, "dropping pages failed with error {result}");
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn drop_pages(_file: &std::fs::File) -> Result<()> {
    Ok(())
}

/// The run in the middle, by rate.
fn median(runs: &[Outcome]) -> Outcome {
    let mut sorted: Vec<&Outcome> = runs.iter().collect();
    sorted.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    sorted.get(sorted.len() / 2).copied().cloned().unwrap_or_default()
}

/// The outcomes of each case.
struct Outcomes {
    entities: f64,
    all: Vec<Vec<Outcome>>,
}

impl Outcomes {
    fn of(&self, name: &str) -> &[Outcome] {
        let at = CASES.iter().position(|case| case.name == name);
        &self.all[at.expect("every case that is asked for is in the list")]
    }

    fn table(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "{:36} {:>9} {:>9} {:>11} {:>9} {:>9} {:>9} {:>8} {:>9}",
            "medians",
            "disk B",
            "memory B",
            "a second",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "open ms",
            "scanned/s"
        )];
        for (case, runs) in CASES.iter().zip(&self.all) {
            let outcome = &median(runs);
            let us = |ns: f64| if case.keys.is_some() { format!("{:.1}", ns / 1e3) } else { String::new() };
            let scanned =
                if case.scans { format!("{:.0}", outcome.scanned / outcome.seconds) } else { String::new() };
            lines.push(format!(
                "{:36} {:>9.1} {:>9.1} {:>11.0} {:>9} {:>9} {:>9} {:>8.1} {:>9}",
                case.name,
                outcome.disk_bytes / self.entities,
                outcome.held_bytes / self.entities,
                outcome.rate,
                us(outcome.p50_ns),
                us(outcome.p99_ns),
                us(outcome.p999_ns),
                outcome.open_seconds * 1e3,
                scanned,
            ));
        }
        lines.push(
            "disk B and memory B: bytes for an entity, in files and held by the store in the end".to_owned(),
        );
        lines
    }

    /// What the strategies bring, in words.
    fn judgements(&self) -> Vec<String> {
        vec![self.compression(), self.eviction(), self.pooling(), self.lazy_loading()]
    }

    fn compare(&self, judgement: &mut Judgement, workload: &str, on: &str, off: &str) {
        let (on, off) = (self.of(on), self.of(off));
        judgement.add(&format!("{workload} a second"), Better::More, on, off, |outcome| outcome.rate);
        judgement.add(&format!("p99 of {workload}"), Better::Less, on, off, |outcome| outcome.p99_ns);
        judgement.add(&format!("p99.9 of {workload}"), Better::Less, on, off, |outcome| outcome.p999_ns);
    }

    fn compression(&self) -> String {
        let mut judgement = Judgement::new("compression");
        let (on, off) = (self.of("load, compression on"), self.of("load"));
        judgement.add("bytes on disk", Better::Less, on, off, |outcome| outcome.disk_bytes);
        judgement.add("entities loaded a second", Better::More, on, off, |outcome| outcome.rate);
        self.compare(&mut judgement, "uniform lookups", "uniform, compression on", "uniform");
        self.compare(&mut judgement, "zipfian lookups", "zipfian, compression on", "zipfian");
        let unlimited = "uniform, unlimited";
        self.compare(&mut judgement, "unlimited lookups", "uniform, unlimited, compression on", unlimited);
        judgement.sentence()
    }

    fn eviction(&self) -> String {
        let mut judgement = Judgement::new("eviction (the cache of entities)");
        let (on, off) = (self.of("zipfian"), self.of("zipfian, cache off"));
        judgement.add("bytes of memory", Better::Less, on, off, |outcome| outcome.held_bytes);
        self.compare(&mut judgement, "uniform lookups", "uniform", "uniform, cache off");
        self.compare(&mut judgement, "zipfian lookups", "zipfian", "zipfian, cache off");
        let name = "zipfian lookups beside a scan";
        self.compare(&mut judgement, name, "zipfian beside a scan", "zipfian beside a scan, cache off");
        let unlimited = "uniform, unlimited";
        self.compare(&mut judgement, "unlimited lookups", unlimited, "uniform, unlimited, cache off");
        judgement.sentence()
    }

    fn pooling(&self) -> String {
        let mut judgement = Judgement::new("buffer pooling");
        let (on, off) = (self.of("load, pool on"), self.of("load"));
        judgement.add("entities loaded a second", Better::More, on, off, |outcome| outcome.rate);
        judgement.add("bytes of memory", Better::Less, on, off, |outcome| outcome.held_bytes);
        self.compare(&mut judgement, "zipfian lookups", "zipfian, pool on", "zipfian");
        judgement.sentence()
    }

    fn lazy_loading(&self) -> String {
        let mut judgement = Judgement::new("lazy loading");
        let (on, off) = (self.of("zipfian"), self.of("zipfian, preload on"));
        judgement.add("time to open", Better::Less, on, off, |outcome| outcome.open_seconds);
        judgement.add("bytes of memory", Better::Less, on, off, |outcome| outcome.held_bytes);
        judgement.add("time of the first lookup", Better::Less, on, off, |outcome| outcome.first_ns);
        self.compare(&mut judgement, "zipfian lookups", "zipfian", "zipfian, preload on");
        judgement.sentence()
    }
}
