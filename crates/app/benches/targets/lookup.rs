//! Section `lookup`: entities by address, those that are there and those that are not, in random order.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use statlas_core::Address;
use statlas_lab::SplitMix64;
use statlas_store::Store;

use crate::Bench;
use crate::report::Target;

const SECTION: &str = "lookup";
/// Longest time that is told apart from longer ones.
const NS_MAX: u64 = 60_000_000_000;
const THREADS: [usize; 2] = [1, 2];
/// Addresses in one call, where many are looked up together.
const BATCH: usize = 256;

/// How addresses are looked up.
#[derive(Clone, Copy)]
enum Way {
    /// One call of `Store::get` each.
    Single,
    /// One call of `Engine::entities` for [`BATCH`] of them.
    Batched,
}

/// Addresses to look up, and what must come of it.
struct Workload {
    name: &'static str,
    addresses: Vec<Address>,
    /// Bytes of all canonical texts that are found.
    bytes: u64,
    found: usize,
    target_ns: f64,
}

pub(crate) fn run(bench: &mut Bench) -> Result<()> {
    let (repetitions, seed) = (bench.sizes.lookup_repetitions, bench.seed);
    let loaded = bench.loaded()?;
    let store = loaded.open_warm()?;
    let mut random = SplitMix64::new(seed ^ 0x100c);
    let mut present = loaded.addresses.clone();
    random.shuffle(&mut present);
    let absent: Vec<Address> = present.iter().map(|_| random_address(&mut random)).collect();
    warm(&store, &present)?;
    let count = present.len();
    let workloads = [
        Workload {
            name: "hits",
            addresses: present,
            bytes: loaded.canonical_bytes,
            found: count,
            target_ns: 300.0,
        },
        Workload { name: "misses", addresses: absent, bytes: 0, found: 0, target_ns: 150.0 },
    ];
    bench.report.note(
        SECTION,
        format!(
            "{count} lookups of each sort in shuffled order, each address once; through Store::get, those with \
             {BATCH} a call through Engine::entities; the mean has no clock in its loop"
        ),
    );
    for threads in THREADS {
        // Everything alternates, so that what disturbs the machine disturbs all.
        let figures: Vec<(&Workload, Way)> = workloads
            .iter()
            .flat_map(|workload| [Way::Single, Way::Batched].map(|way| (workload, way)))
            .collect();
        let mut means = vec![Vec::new(); figures.len()];
        for _ in 0..repetitions {
            for ((workload, way), means) in figures.iter().zip(&mut means) {
                let wall = workload.timed(&store, threads, *way)?;
                means.push(wall.as_secs_f64() * 1e9 * threads as f64 / count as f64);
            }
        }
        for ((workload, way), means) in figures.into_iter().zip(means) {
            let name = format!("{}, {}", workload.name, counted(threads));
            let (name, target) = match way {
                Way::Single if threads == 1 => (name, Target::AtMost(workload.target_ns)),
                Way::Single => (name, Target::None),
                Way::Batched => (format!("{name}, {BATCH} a call"), Target::None),
            };
            let rates = means.iter().map(|ns| threads as f64 * 1e9 / ns).collect();
            bench.report.row(SECTION, format!("{name}, mean of a lookup"), "ns", means, target);
            bench.report.row(SECTION, format!("{name}, all together"), "lookups/s", rates, Target::None);
        }
    }
    bench.report.note(SECTION, "distributions have a clock around each lookup; its own cost is included");
    bench.report.distribution(SECTION, "the clock alone", clock_alone(count)?);
    for threads in THREADS {
        for workload in &workloads {
            let name = format!("{}, {}", workload.name, counted(threads));
            bench.report.distribution(SECTION, name, workload.recorded(&store, threads)?);
        }
    }
    Ok(())
}

fn counted(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn random_address(random: &mut SplitMix64) -> Address {
    let mut bytes = [0; 32];
    bytes.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.next_u64().to_le_bytes()));
    Address(bytes)
}

/// Reads everything once and checks it against its address.
fn warm(store: &Store, addresses: &[Address]) -> Result<()> {
    for address in addresses {
        let entity = store.get(address)?.with_context(|| format!("{address} was loaded and is not found"))?;
        ensure!(Address::of(entity.canonical()) == *address, "{address}: another text was returned");
    }
    Ok(())
}

impl Workload {
    /// Looks everything up, shared out among threads; the time from the start of all to the end of the last.
    fn timed(&self, store: &Store, threads: usize, way: Way) -> Result<Duration> {
        let (wall, parts) = in_threads(&self.addresses, threads, |part| match way {
            Way::Single => look_up(store, part),
            Way::Batched => look_up_batched(store, part),
        })?;
        let found = parts.iter().map(|(found, _)| found).sum::<usize>();
        let bytes = parts.iter().map(|(_, bytes)| bytes).sum::<u64>();
        ensure!((found, bytes) == (self.found, self.bytes), "{}: found {found} of {}", self.name, self.found);
        Ok(wall)
    }

    /// Looks everything up with a clock around each lookup.
    fn recorded(&self, store: &Store, threads: usize) -> Result<Histogram<u64>> {
        let (_, parts) = in_threads(&self.addresses, threads, |part| {
            let mut times = new_histogram()?;
            for address in part {
                let started = Instant::now();
                black_box(store.get(address)?);
                times.saturating_record(ns(started.elapsed()));
            }
            Ok(times)
        })?;
        let mut all = new_histogram()?;
        for times in parts {
            all.add(times)?;
        }
        ensure!(all.len() == self.addresses.len() as u64, "{}: lookups are missing", self.name);
        Ok(all)
    }
}

/// How many are found, and how many bytes of canonical text they have.
fn look_up(store: &Store, addresses: &[Address]) -> Result<(usize, u64)> {
    let (mut found, mut bytes) = (0, 0);
    for address in addresses {
        if let Some(entity) = black_box(store.get(address)?) {
            found += 1;
            bytes += entity.canonical().len() as u64;
        }
    }
    Ok((found, bytes))
}

/// The same with many addresses a call.
fn look_up_batched(store: &Store, addresses: &[Address]) -> Result<(usize, u64)> {
    let (mut found, mut bytes) = (0, 0);
    for batch in addresses.chunks(BATCH) {
        for entity in black_box(store.engine().entities(batch)?).iter().flatten() {
            found += 1;
            bytes += entity.canonical().len() as u64;
        }
    }
    Ok((found, bytes))
}

/// Shares `items` out among threads that start together; how long all of them took, and their results.
fn in_threads<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&[T]) -> Result<R> + Sync,
) -> Result<(Duration, Vec<R>)> {
    let (start, work) = (Barrier::new(threads + 1), &work);
    let (wall, results) = thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(threads).max(1));
        let workers: Vec<_> = parts
            .map(|part| {
                let start = &start;
                scope.spawn(move || {
                    start.wait();
                    work(part)
                })
            })
            .collect();
        start.wait();
        let started = Instant::now();
        let results: Vec<_> = workers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (started.elapsed(), results)
    });
    let results: Result<Vec<R>> =
        results.into_iter().map(|result| result.map_err(|_| anyhow::anyhow!("a thread panicked"))?).collect();
    Ok((wall, results?))
}

/// What the clock tells of nothing.
fn clock_alone(count: usize) -> Result<Histogram<u64>> {
    let mut times = new_histogram()?;
    for _ in 0..count {
        let started = Instant::now();
        times.saturating_record(ns(started.elapsed()));
    }
    Ok(times)
}

fn new_histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, NS_MAX, 3)?)
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).max(1)
}
