//! Puts a target under load, and measures.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::latencies::Latencies;
use crate::operation::Operation;
use crate::process::Usage;
use crate::random::SplitMix64;
use crate::run::{Done, Second};
use crate::schedule::{Schedule, wait_until};
use crate::target::{Outcome, Target};
use crate::workload::{Load, Rate};

/// So many messages of failures, and of wrong answers, are kept of each operation.
const MESSAGES_MAX: usize = 5;
/// How often somebody who watches is told how it goes.
const TICK: Duration = Duration::from_millis(100);
/// Seconds that are so long past are condensed: the histogram of each takes a hundred kilobytes.
const CONDENSED_AFTER: u32 = 10;

/// How a run goes, for whoever watches it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Seconds since its beginning, warm-up included.
    pub seconds: f64,
    /// Seconds that it will take in all, if that is known.
    pub seconds_in_all: Option<f64>,
    /// Operations that ended in the last whole second.
    pub operations_last_second: Option<u64>,
    /// The latency that 99 of 100 of them did not exceed.
    pub p99_last_second: Option<f64>,
}

/// Who watches a run, and may end it.
pub struct Watcher<'a> {
    /// Whether it shall go on.
    pub goes_on: &'a (dyn Fn() -> bool + Sync),
    /// Told several times a second how it goes.
    pub progress: &'a mut dyn FnMut(&str, Progress),
}

/// What was measured.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) seconds: f64,
    pub(crate) operations: Vec<Done>,
    pub(crate) harness_share: Option<f64>,
    pub(crate) lateness: Option<Latencies>,
    pub(crate) series: Vec<Second>,
    pub(crate) is_interrupted: bool,
}

/// What is done, how, and by whom it is watched.
pub(crate) struct Plan<'a> {
    /// The shares of the operations.
    pub(crate) mix: &'a BTreeMap<Operation, f64>,
    pub(crate) load: &'a Load,
    pub(crate) seed: u64,
    /// Hits and misses of the target's cache until now.
    pub(crate) cache: &'a (dyn Fn() -> Option<(u64, u64)> + Sync),
}

/// Runs operations on a target as a plan says.
pub(crate) fn run(target: &dyn Target, plan: &Plan<'_>, name: &str, watcher: &mut Watcher<'_>) -> Measured {
    let load = plan.load;
    let begun = Instant::now();
    let counted_from = begun + load.warm_up.0;
    let schedule = load.rate.zip(load.length()).map(|(Rate(rate), length)| {
        Schedule::new(rate, load.arrival, length, SplitMix64::nth(plan.seed, u64::MAX))
    });
    let shared = Shared {
        plan,
        begun,
        counted_from,
        deadline: load.duration.map(|length| counted_from + length.0),
        schedule,
        is_ended: AtomicBool::new(false),
        goes_on: watcher.goes_on,
        series: Mutex::default(),
        running: AtomicUsize::new(load.threads),
    };
    let workers = thread::scope(|scope| {
        let start = |number| {
            let shared = &shared;
            scope.spawn(move || {
                // It counts as ended even if it panics.
                let _running = Running(shared);
                work(target, shared, number)
            })
        };
        let threads: Vec<_> = (0..load.threads).map(start).collect();
        watch(&shared, name, watcher);
        let join = |thread: thread::ScopedJoinHandle<'_, Counted>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        threads.into_iter().map(join).collect::<Vec<_>>()
    });
    shared.sum(workers)
}

/// What the threads of a run share.
struct Shared<'a> {
    plan: &'a Plan<'a>,
    begun: Instant,
    counted_from: Instant,
    deadline: Option<Instant>,
    schedule: Option<Schedule>,
    is_ended: AtomicBool,
    goes_on: &'a (dyn Fn() -> bool + Sync),
    series: Mutex<Series>,
    running: AtomicUsize,
}

/// A thread that works.
struct Running<'a, 'b>(&'a Shared<'b>);

impl Drop for Running<'_, '_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Release);
    }
}

/// What one thread counted.
struct Counted {
    operations: BTreeMap<Operation, Done>,
    lateness: Latencies,
    /// Time spent in operations.
    busy: Duration,
    last_end: Instant,
}

/// The seconds of a run.
#[derive(Default)]
struct Series {
    /// Those that threads may still add to.
    open: BTreeMap<u32, Latencies>,
    seconds: BTreeMap<u32, Second>,
    /// What the process had used, and what the cache had done, at the end of the last second.
    cache_before: Option<(u64, u64)>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What one thread does.
fn work(target: &dyn Target, shared: &Shared<'_>, number: usize) -> Counted {
    let Plan { mix, load, seed, .. } = *shared.plan;
    let mut worker = target.worker(number);
    let mut random = SplitMix64::new(SplitMix64::nth(seed, number as u64));
    let mix = Mix::new(mix);
    let mut counted = Counted {
        operations: BTreeMap::new(),
        lateness: Latencies::new(),
        busy: Duration::ZERO,
        last_end: shared.counted_from,
    };
    let mut interval = Interval::default();
    // Each thread of a closed loop does its part.
    let threads = load.threads as u64;
    let mut left = load.operations.map(|all| all / threads + u64::from((number as u64) < all % threads));
    while shared.goes_on() {
        let operation = mix.choose(&mut random);
        let intended = match &shared.schedule {
            Some(schedule) => match schedule.take() {
                Some(after) => Some(shared.begun + after),
                None => break,
            },
            None if left == Some(0) => break,
            None => None,
        };
        worker.prepare(operation);
        if let Some(intended) = intended
            && !wait_until(intended, || shared.goes_on())
        {
            break;
        }
        let begun = Instant::now();
        let start = intended.unwrap_or(begun);
        if intended.is_none() && shared.deadline.is_some_and(|deadline| begun >= deadline) {
            break;
        }
        let outcome = worker.perform();
        let end = Instant::now();
        let finding = worker.settle();
        if start < shared.counted_from {
            continue;
        }
        if let Some(left) = &mut left {
            *left = left.saturating_sub(1);
        }
        let latency = end - start;
        counted.busy += end - begun;
        counted.last_end = end;
        let done = counted.operations.entry(operation).or_insert_with(|| Done::none_of(operation));
        done.count(latency, outcome, finding);
        if intended.is_some() {
            counted.lateness.record(begun - start);
        }
        interval.count(shared, end, latency);
    }
    interval.hand_over(shared);
    counted
}

impl Done {
    fn none_of(operation: Operation) -> Self {
        Self {
            operation,
            latencies: Latencies::new(),
            failures: 0,
            failure_messages: Vec::new(),
            retries: 0,
            wrong: 0,
            wrong_messages: Vec::new(),
        }
    }

    fn count(&mut self, latency: Duration, outcome: Outcome, finding: Option<String>) {
        match outcome {
            Outcome::Done { retries } => {
                self.latencies.record(latency);
                self.retries += u64::from(retries);
            }
            Outcome::Failed(message) => {
                self.failures += 1;
                keep(&mut self.failure_messages, message);
            }
        }
        if let Some(message) = finding {
            self.wrong += 1;
            keep(&mut self.wrong_messages, message);
        }
    }

    fn add(&mut self, other: Self) {
        self.latencies.merge(&other.latencies);
        self.failures += other.failures;
        self.retries += other.retries;
        self.wrong += other.wrong;
        other.failure_messages.into_iter().for_each(|message| keep(&mut self.failure_messages, message));
        other.wrong_messages.into_iter().for_each(|message| keep(&mut self.wrong_messages, message));
    }
}

/// Keeps the first few messages, each once.
fn keep(messages: &mut Vec<String>, message: String) {
    if messages.len() < MESSAGES_MAX && !messages.contains(&message) {
        messages.push(message);
    }
}

/// The operations with their shares.
struct Mix(Vec<(f64, Operation)>);

impl Mix {
    fn new(shares: &BTreeMap<Operation, f64>) -> Self {
        let all: f64 = shares.values().sum();
        let mut up_to = 0.0;
        let cumulate = |(operation, share): (&Operation, &f64)| {
            up_to += share / all;
            (up_to, *operation)
        };
        Self(shares.iter().filter(|(_, share)| **share > 0.0).map(cumulate).collect())
    }

    fn choose(&self, random: &mut SplitMix64) -> Operation {
        let unit = random.unit();
        // The last one takes what rounding left.
        let last = self.0.len() - 1;
        self.0[self.0.iter().position(|(up_to, _)| unit < *up_to).unwrap_or(last)].1
    }
}

/// What one thread did in the second that is passing.
#[derive(Default)]
struct Interval {
    second: u32,
    latencies: Option<Latencies>,
}

impl Interval {
    fn count(&mut self, shared: &Shared<'_>, end: Instant, latency: Duration) {
        // 136 years fit.
        let second = end.saturating_duration_since(shared.counted_from).as_secs() as u32;
        if second != self.second {
            self.hand_over(shared);
            self.second = second;
        }
        self.latencies.get_or_insert_with(Latencies::new).record(latency);
    }

    fn hand_over(&mut self, shared: &Shared<'_>) {
        if let Some(latencies) = self.latencies.take() {
            lock(&shared.series).add(self.second, &latencies);
        }
    }
}

impl Series {
    fn add(&mut self, second: u32, latencies: &Latencies) {
        match self.seconds.get_mut(&second).filter(|known| known.operations > 0) {
            // Condensed already: somebody stalled that long.
            Some(known) if !self.open.contains_key(&second) => {
                known.operations += latencies.count();
                known.max = larger(known.max, latencies.max());
            }
            _ => self.open.entry(second).or_default().merge(latencies),
        }
    }

    /// Writes down what was seen in the seconds before this one, and lets go of their histograms.
    fn condense(&mut self, before: u32) {
        let later = self.open.split_off(&before);
        for (second, latencies) in std::mem::replace(&mut self.open, later) {
            let known = self.seconds.entry(second).or_default();
            known.second = second;
            known.operations += latencies.count();
            (known.p50, known.p99) = (latencies.percentile(0.5), latencies.percentile(0.99));
            known.max = larger(known.max, latencies.max());
        }
    }
}

/// The larger of two latencies, if there is one.
fn larger(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).reduce(f64::max)
}

impl Shared<'_> {
    fn goes_on(&self) -> bool {
        !self.is_ended.load(Ordering::Relaxed)
    }

    fn sum(self, workers: Vec<Counted>) -> Measured {
        let last_end = workers.iter().map(|counted| counted.last_end).max().unwrap_or(self.counted_from);
        let elapsed = last_end.saturating_duration_since(self.counted_from);
        // An open loop that kept up took as long as it was meant to, though nothing happened at its end.
        let meant = self.plan.load.length().map(|length| length.saturating_sub(self.plan.load.warm_up.0));
        let is_interrupted = self.is_ended.load(Ordering::Relaxed);
        let seconds = match meant {
            Some(meant) if self.schedule.is_some() && !is_interrupted => elapsed.max(meant),
            _ => elapsed,
        }
        .as_secs_f64();
        let busy: Duration = workers.iter().map(|counted| counted.busy).sum();
        let time = seconds * workers.len() as f64;
        let is_open = self.schedule.is_some();
        let mut lateness = Latencies::new();
        let mut operations: BTreeMap<Operation, Done> = BTreeMap::new();
        for counted in workers {
            lateness.merge(&counted.lateness);
            for (operation, done) in counted.operations {
                operations.entry(operation).or_insert_with(|| Done::none_of(operation)).add(done);
            }
        }
        let mut series = self.series.into_inner().unwrap_or_else(PoisonError::into_inner);
        series.condense(u32::MAX);
        Measured {
            seconds,
            operations: operations.into_values().collect(),
            harness_share: (!is_open && time > 0.0).then(|| (1.0 - busy.as_secs_f64() / time).max(0.0)),
            lateness: is_open.then_some(lateness),
            series: series.seconds.into_values().collect(),
            is_interrupted,
        }
    }
}

/// Looks at the process every second, tells the watcher how it goes, and ends the run if that one says so; returns when
/// all threads have ended.
fn watch(shared: &Shared<'_>, name: &str, watcher: &mut Watcher<'_>) {
    let mut sampled: Option<u32> = None;
    let mut progress = Progress {
        seconds_in_all: shared.plan.load.length().map(|length| length.as_secs_f64()),
        ..Progress::default()
    };
    while shared.running.load(Ordering::Acquire) > 0 {
        thread::sleep(TICK);
        if !(shared.goes_on)() {
            shared.is_ended.store(true, Ordering::Relaxed);
        }
        let now = Instant::now();
        progress.seconds = (now - shared.begun).as_secs_f64();
        if now >= shared.counted_from {
            let second = (now - shared.counted_from).as_secs() as u32;
            if sampled != Some(second) {
                sampled = Some(second);
                let mut series = lock(&shared.series);
                series.sample(second, (shared.plan.cache)());
                if let Some(last) = second.checked_sub(2).and_then(|last| series.open.get(&last)) {
                    progress.operations_last_second = Some(last.count());
                    progress.p99_last_second = last.percentile(0.99);
                }
                series.condense(second.saturating_sub(CONDENSED_AFTER));
            }
        }
        (watcher.progress)(name, progress);
    }
}

impl Series {
    /// Notes what the process has at the beginning of a second.
    fn sample(&mut self, second: u32, cache: Option<(u64, u64)>) {
        let known = self.seconds.entry(second).or_default();
        known.second = second;
        known.usage = Usage::now();
        if let (Some(now), Some(before)) = (cache, self.cache_before) {
            known.cache_hits = Some(now.0.saturating_sub(before.0));
            known.cache_misses = Some(now.1.saturating_sub(before.1));
        }
        self.cache_before = cache;
    }
}
