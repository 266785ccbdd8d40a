//! What a child process does under a limit, and what it says of it.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use statlas_core::Address;
use statlas_lab::{Generator, SplitMix64};
use statlas_store::{Batch, Durability, Location, Options, Store};

use super::group;

/// The first argument of such a process.
const MEASURE: &str = "measure-in-memory";
const BATCH_ENTITIES: u64 = 1_000;
/// What the pool of buffers may keep.
const POOL_BYTES: u64 = 8 << 20;
/// The exponent of the distribution in which some keys are asked for much more often than others.
const ZIPF_EXPONENT: f64 = 0.99;

/// What is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Switches {
    pub(crate) compression: bool,
    pub(crate) cache: bool,
    pub(crate) pool: bool,
    pub(crate) preload: bool,
}

/// Which keys are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    Uniform,
    Zipfian,
}

/// One piece of work.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) store: PathBuf,
    /// The word of the limit.
    pub(crate) limit: String,
    /// The store's own budget.
    pub(crate) budget_bytes: u64,
    pub(crate) seed: u64,
    pub(crate) entities: u64,
    pub(crate) switches: Switches,
    /// Loads the store; otherwise looks so many keys up.
    pub(crate) lookups: Option<(u64, Keys)>,
    /// Whether another thread reads everything meanwhile.
    pub(crate) scans: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) seconds: f64,
    pub(crate) open_seconds: f64,
    /// The first lookup of all.
    pub(crate) first_ns: f64,
    /// Lookups or entities a second.
    pub(crate) rate: f64,
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
    pub(crate) p999_ns: f64,
    /// Memory that the store held in the end.
    pub(crate) held_bytes: f64,
    pub(crate) disk_bytes: f64,
    /// Entities that the other thread read.
    pub(crate) scanned: f64,
}

impl Outcome {
    fn fields(&mut self) -> [(&'static str, &mut f64); 10] {
        [
            ("seconds", &mut self.seconds),
            ("open_seconds", &mut self.open_seconds),
            ("first_ns", &mut self.first_ns),
            ("rate", &mut self.rate),
            ("p50_ns", &mut self.p50_ns),
            ("p99_ns", &mut self.p99_ns),
            ("p999_ns", &mut self.p999_ns),
            ("held_bytes", &mut self.held_bytes),
            ("disk_bytes", &mut self.disk_bytes),
            ("scanned", &mut self.scanned),
        ]
    }
}

impl Task {
    /// Does it in a process of its own.
    pub(crate) fn run(&self, scratch: &Path) -> Result<Outcome> {
        let notes = scratch.join("memory.json");
        crate::child::settle();
        let output = Command::new(std::env::current_exe()?)
            .arg(MEASURE)
            .arg(&notes)
            .arg(self.to_json().to_string())
            .stdin(Stdio::null())
            .output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{self:?} failed ({}):\n{errors}", output.status);
        let found: Value = serde_json::from_slice(&std::fs::read(&notes)?)?;
        let mut outcome = Outcome::default();
        for (name, field) in outcome.fields() {
            *field = found[name].as_f64().with_context(|| format!("{name} is missing"))?;
        }
        Ok(outcome)
    }

    fn to_json(&self) -> Value {
        let Switches { compression, cache, pool, preload } = self.switches;
        json!({
            "store": self.store, "limit": self.limit, "budget": self.budget_bytes, "seed": self.seed,
            "entities": self.entities, "switches": [compression, cache, pool, preload],
            "lookups": self.lookups.map(|(count, _)| count),
            "zipfian": self.lookups.is_some_and(|(_, keys)| keys == Keys::Zipfian), "scans": self.scans,
        })
    }

    fn from_json(value: &Value) -> Option<Self> {
        let switch = |at: usize| value["switches"][at].as_bool();
        let keys = if value["zipfian"].as_bool()? { Keys::Zipfian } else { Keys::Uniform };
        Some(Self {
            store: value["store"].as_str()?.into(),
            limit: value["limit"].as_str()?.to_owned(),
            budget_bytes: value["budget"].as_u64()?,
            seed: value["seed"].as_u64()?,
            entities: value["entities"].as_u64()?,
            switches: Switches {
                compression: switch(0)?,
                cache: switch(1)?,
                pool: switch(2)?,
                preload: switch(3)?,
            },
            lookups: value["lookups"].as_u64().map(|count| (count, keys)),
            scans: value["scans"].as_bool()?,
        })
    }

    fn options(&self) -> Options {
        let Switches { compression, cache, pool, preload } = self.switches;
        Options {
            compression,
            // Without a wish the store decides: it keeps some while its index does not fit into memory.
            cache_bytes_max: if cache { Some(self.budget_bytes / 4) } else { Some(0) },
            buffer_pool_bytes_max: if pool { POOL_BYTES } else { 0 },
            preload,
            memory_bytes_max: Some(self.budget_bytes),
            ..Options::default()
        }
    }

    fn work(&self) -> Result<Outcome> {
        group::enter(&self.limit)?;
        let started = Instant::now();
        let store = Store::open(&Location::Disk(self.store.clone()), &self.options())?;
        let mut outcome = Outcome { open_seconds: started.elapsed().as_secs_f64(), ..Outcome::default() };
        let started = Instant::now();
        match self.lookups {
            None => self.load(&store)?,
            Some((count, keys)) => self.look_up(&store, count, keys, &mut outcome)?,
        }
        if self.lookups.is_none() {
            outcome.seconds = started.elapsed().as_secs_f64();
            outcome.rate = self.entities as f64 / outcome.seconds;
        }
        let stats = store.engine().stats();
        ensure!(stats.entities == self.entities, "{} entities are in the store", stats.entities);
        outcome.held_bytes = stats.memory.iter().map(|held| held.bytes).sum::<u64>() as f64;
        outcome.disk_bytes = stats.disk_bytes as f64;
        store.close()?;
        Ok(outcome)
    }

    fn load(&self, store: &Store) -> Result<()> {
        let mut generator = Generator::new(self.seed, None);
        let mut left = self.entities;
        while left > 0 {
            let mut batch = Batch::new();
            let count = left.min(BATCH_ENTITIES);
            for _ in 0..count {
                batch.put_entity(generator.next().context("a generator never ends")?);
            }
            left -= count;
            let durability = if left == 0 { Durability::Synced } else { Durability::Written };
            store.commit(batch, durability)?;
        }
        Ok(())
    }

    fn look_up(&self, store: &Store, count: u64, keys: Keys, outcome: &mut Outcome) -> Result<()> {
        let generator = Generator::new(self.seed, None);
        let mut random = SplitMix64::new(self.seed ^ 0x6e6d);
        let zipf = (keys == Keys::Zipfian).then(|| Zipf::new(self.entities));
        let addresses: Vec<Address> = (0..count)
            .map(|_| {
                let number = match &zipf {
                    None => random.below(self.entities),
                    // Those that are asked for most are anywhere in the log.
                    Some(zipf) => SplitMix64::nth(self.seed, zipf.rank(&mut random)) % self.entities,
                };
                generator.entity(number).address()
            })
            .collect();
        let (done, scanned) = (AtomicBool::new(false), AtomicU64::new(0));
        let times = std::thread::scope(|scope| {
            if self.scans {
                scope.spawn(|| self.scan(store, &done, &scanned));
            }
            let times = self.timed(store, &addresses, outcome);
            done.store(true, Ordering::Release);
            times
        })?;
        let quantile = |at: f64| times.value_at_quantile(at) as f64;
        (outcome.p50_ns, outcome.p99_ns, outcome.p999_ns) = (quantile(0.5), quantile(0.99), quantile(0.999));
        outcome.scanned = scanned.load(Ordering::Relaxed) as f64;
        Ok(())
    }

    fn timed(&self, store: &Store, addresses: &[Address], outcome: &mut Outcome) -> Result<Histogram<u64>> {
        let mut times = Histogram::new_with_bounds(1, 60_000_000_000, 3)?;
        // The first part brings into memory what stays there, and is not measured.
        let warm = addresses.len() / 4;
        let mut begun = Instant::now();
        for (at, address) in addresses.iter().enumerate() {
            if at == warm {
                begun = Instant::now();
            }
            let started = Instant::now();
            let found = black_box(store.get(address)?);
            let ns = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let entity = found.with_context(|| format!("{address} was loaded and is not found"))?;
            ensure!(at % 64 != 0 || Address::of(entity.canonical()) == *address, "{address}: another text");
            match at {
                0 => outcome.first_ns = ns as f64,
                _ if at >= warm => times.saturating_record(ns),
                _ => {}
            }
        }
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome.rate = (addresses.len() - warm) as f64 / outcome.seconds;
        Ok(times)
    }

    /// Reads one entity after another by its address, all of them again and again, until it is told to stop.
    fn scan(&self, store: &Store, done: &AtomicBool, scanned: &AtomicU64) -> Result<()> {
        let generator = Generator::new(self.seed, None);
        for number in (0..self.entities).cycle() {
            if done.load(Ordering::Acquire) {
                break;
            }
            black_box(store.get(&generator.entity(number).address())?);
            scanned.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Does the work of such a process, if that is what this one was started for.
pub(crate) fn measure_if_asked(words: &[String]) -> Option<ExitCode> {
    let [first, notes, task] = words else { return None };
    if first != MEASURE {
        return None;
    }
    let work = || -> Result<()> {
        let value = serde_json::from_str(task)?;
        let mut outcome = Task::from_json(&value).context("a task that is not whole")?.work()?;
        let found: serde_json::Map<String, Value> =
            outcome.fields().into_iter().map(|(name, field)| (name.to_owned(), json!(*field))).collect();
        Ok(std::fs::write(notes, Value::Object(found).to_string())?)
    };
    Some(match work() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// Ranks from 0 on, the first asked for most (Gray and others, "Quickly generating billion-record synthetic
/// databases", 1994).
struct Zipf {
    count: f64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

impl Zipf {
    fn new(count: u64) -> Self {
        let zeta_of = |count: u64| (1..=count).map(|rank| (rank as f64).powf(-ZIPF_EXPONENT)).sum::<f64>();
        let (zeta, zeta_two) = (zeta_of(count), zeta_of(2));
        let count = count as f64;
        let eta = (1.0 - (2.0 / count).powf(1.0 - ZIPF_EXPONENT)) / (1.0 - zeta_two / zeta);
        Self { count, zeta, alpha: 1.0 / (1.0 - ZIPF_EXPONENT), eta }
    }

    fn rank(&self, random: &mut SplitMix64) -> u64 {
        let unit = random.unit();
        let scaled = unit * self.zeta;
        if scaled < 1.0 {
            return 0;
        }
        if scaled < 1.0 + 0.5_f64.powf(ZIPF_EXPONENT) {
            return 1;
        }
        let rank = self.count * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.count as u64 - 1)
    }
}
