//! Tests of the instrument: on targets whose latencies are known, it must measure what is true.
//!
//! What a target really did is counted by the target itself, so that a machine that is busy with something else changes
//! the truth and not whether it is measured.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::latencies::Latencies;
use crate::operation::Operation;
use crate::runner::{Measured, Plan, Progress, Watcher, run};
use crate::target::{Outcome, Target, Worker};
use crate::workload::{Load, Rate, Span, Workload};

/// A target that takes a known time for each operation, and for some a long one.
struct Delays {
    usual: Duration,
    /// Every so many operations one takes this long.
    stall_every: u64,
    stall: Duration,
    /// What each took.
    done: Mutex<Vec<Duration>>,
}

struct DelayWorker<'a>(&'a Delays);

impl Target for Delays {
    fn worker(&self, _thread: usize) -> Box<dyn Worker + '_> {
        Box::new(DelayWorker(self))
    }
}

impl Worker for DelayWorker<'_> {
    fn prepare(&mut self, _operation: Operation) {}

    fn perform(&mut self) -> Outcome {
        let begun = Instant::now();
        let mut done = self.0.done.lock().expect("nobody panics");
        let number = done.len() as u64 + 1;
        let length = if number.is_multiple_of(self.0.stall_every) { self.0.stall } else { self.0.usual };
        // It is at work all the time: sleeping would take as long as the system likes.
        while begun.elapsed() < length {
            std::hint::spin_loop();
        }
        done.push(begun.elapsed());
        Outcome::Done { retries: 0 }
    }

    fn settle(&mut self) -> Option<String> {
        None
    }
}

fn measure(target: &Delays, rate: Option<f64>, length: Duration) -> Measured {
    let load = Load {
        threads: 1,
        rate: rate.map(Rate),
        arrival: crate::schedule::Arrival::Constant,
        duration: Some(Span(length)),
        operations: None,
        warm_up: Span(Duration::ZERO),
        batch: 1,
        scan_length: 1,
    };
    let mix = BTreeMap::from([(Operation::Get, 1.0)]);
    let plan = Plan { mix: &mix, load: &load, seed: 1, cache: &|| None };
    let mut watcher = Watcher { goes_on: &|| true, progress: &mut |_, _: Progress| {} };
    run(target, &plan, "self-test", &mut watcher)
}

fn delays(usual: Duration, stall_every: u64, stall: Duration) -> Delays {
    Delays { usual, stall_every, stall, done: Mutex::default() }
}

fn near(found: Option<f64>, truth: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what} was not measured"));
    assert!((found / truth - 1.0).abs() < 0.05, "{what}: {found} was measured and {truth} is true");
}

#[test]
fn a_closed_loop_measures_what_each_operation_takes() {
    let target = delays(Duration::from_micros(200), 100, Duration::from_millis(5));
    let measured = measure(&target, None, Duration::from_secs(3));
    let lengths = target.done.into_inner().expect("nobody panics");
    let (mut truth, count) = (Latencies::new(), lengths.len() as u64);
    lengths.into_iter().for_each(|length| truth.record(length));
    let found = &measured.operations[0].latencies;
    assert_eq!(found.count(), count);
    for share in [0.5, 0.9, 0.95, 0.99] {
        near(found.percentile(share), truth.at(share), "a percentile");
    }
    near(found.mean(), truth.mean().expect("there are some"), "the mean");
    assert!(found.max() >= truth.max() && measured.seconds >= 3.0, "{measured:?}");
    // What operations did not take of the time, the harness took.
    let busy = count as f64 * found.mean().expect("there are some") / measured.seconds;
    near(measured.harness_share.map(|share| 1.0 - share), busy, "the share of the operations");
    let per_second: u64 = measured.series.iter().map(|second| second.operations).sum();
    assert_eq!(per_second, count);
}

/// What operations that come at fixed times wait for and take in all, if each takes what it is given, one after another.
fn queue(interval: Duration, lengths: &[Duration]) -> Latencies {
    let (mut latencies, mut free) = (Latencies::new(), Duration::ZERO);
    for (number, length) in (0_u32..).zip(lengths) {
        let meant = interval * number;
        free = free.max(meant) + *length;
        latencies.record(free - meant);
    }
    latencies
}

#[test]
fn an_open_loop_counts_what_a_stall_makes_others_wait_and_a_closed_one_hides_it() {
    // 500 operations a second; every 500th takes 400 ms, while 200 others are due: four in ten wait.
    let (usual, stall, interval) =
        (Duration::from_micros(300), Duration::from_millis(400), Duration::from_millis(2));
    let length = Duration::from_secs(4);
    let target = delays(usual, 500, stall);
    let measured = measure(&target, Some(500.0), length);
    let truth = queue(interval, &target.done.into_inner().expect("nobody panics"));
    let found = &measured.operations[0].latencies;
    assert_eq!(found.count(), 2000);
    for share in [0.8, 0.9, 0.95, 0.99] {
        near(found.percentile(share), truth.at(share), "a percentile of an open loop");
    }
    near(found.max(), truth.max().expect("there are some"), "the largest of an open loop");
    near(found.mean(), truth.mean().expect("there are some"), "the mean of an open loop");
    // The same target in a closed loop: one in 500 operations is slow, and nobody waits for it.
    let closed = measure(&delays(usual, 500, stall), None, length);
    let hidden = closed.operations[0].latencies.percentile(0.99).expect("there are enough");
    assert!(hidden * 5.0 < truth.at(0.99), "{hidden}");
}

#[test]
fn a_rate_that_can_not_be_reached_is_told() {
    let target = delays(Duration::from_millis(2), u64::MAX, Duration::ZERO);
    let measured = measure(&target, Some(1000.0), Duration::from_secs(1));
    // Nothing that was due is left out: it is done late.
    assert_eq!(measured.operations[0].latencies.count(), 1000);
    let lengths = target.done.into_inner().expect("nobody panics");
    let all: Duration = lengths.iter().sum();
    near(Some(measured.seconds), all.as_secs_f64(), "the time");
    let last = *lengths.last().expect("there are some");
    let truth = (all - last).as_secs_f64() - 0.999;
    let late = measured.lateness.and_then(|late| late.max()).expect("an open loop tells");
    near(Some(late), truth, "the lateness");
}

#[test]
fn somebody_who_watches_can_end_it() {
    let target = delays(Duration::from_micros(100), u64::MAX, Duration::ZERO);
    let workload = Workload::shipped("mixed").expect("it is shipped");
    let load = Load { duration: Some(Span(Duration::from_secs(3600))), ..workload.load };
    let begun = Instant::now();
    let goes_on = || begun.elapsed() < Duration::from_millis(300);
    let plan = Plan { mix: &workload.mix, load: &load, seed: 1, cache: &|| None };
    let mut told = 0;
    let mut watcher = Watcher { goes_on: &goes_on, progress: &mut |_, _| told += 1 };
    let measured = run(&target, &plan, "endless", &mut watcher);
    assert!(measured.is_interrupted && begun.elapsed() < Duration::from_secs(60));
    assert!(told > 0);
}
