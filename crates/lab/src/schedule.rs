//! When operations are meant to start.
//!
//! A closed loop starts an operation when the one before has ended, so one that stalls keeps others from being
//! started, and what they would have waited is never counted: coordinated omission. It measures capacity. An open loop
//! fixes the times at which operations start before the first one does, and counts each latency from there, whether
//! somebody was free to start it or not.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::random::SplitMix64;

/// How arrivals are spread over time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrival {
    /// One after another at equal intervals.
    #[default]
    Constant,
    /// Independent of each other, as those of many users are: exponential intervals.
    Poisson,
}

/// The intended start times of an open loop, which depend on its parameters and nothing else.
#[derive(Debug)]
pub(crate) struct Schedule {
    interval: f64,
    arrival: Arrival,
    /// Those that follow.
    next: Mutex<Next>,
    end: f64,
}

#[derive(Debug)]
struct Next {
    number: u64,
    seconds: f64,
    random: SplitMix64,
}

impl Schedule {
    /// `rate` operations a second for `length`.
    pub(crate) fn new(rate: f64, arrival: Arrival, length: Duration, seed: u64) -> Self {
        let next = Next { number: 0, seconds: 0.0, random: SplitMix64::new(seed) };
        Self { interval: 1.0 / rate, arrival, next: Mutex::new(next), end: length.as_secs_f64() }
    }

    /// Takes the next start, which nobody else gets then: so long after the beginning. `None` at the end.
    pub(crate) fn take(&self) -> Option<Duration> {
        let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let seconds = match self.arrival {
            // No sum of roundings.
            Arrival::Constant => next.number as f64 * self.interval,
            Arrival::Poisson => next.seconds,
        };
        if seconds >= self.end {
            return None;
        }
        next.number += 1;
        // 1 - unit is above 0.
        let gap = -(1.0 - next.random.unit()).ln() * self.interval;
        next.seconds += gap;
        Some(Duration::from_secs_f64(seconds))
    }
}

/// How long before a time a thread stops sleeping and begins to look at the clock: longer than a system with nothing
/// else to do wakes it too late.
const SPIN: Duration = Duration::from_micros(200);
/// A sleep that somebody may want to end is no longer.
const NAP: Duration = Duration::from_millis(50);

/// Waits until a time, and returns false if `goes_on` says no meanwhile.
pub(crate) fn wait_until(time: Instant, goes_on: impl Fn() -> bool) -> bool {
    loop {
        let left = time.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if left > SPIN {
            thread::sleep((left - SPIN).min(NAP));
            if !goes_on() {
                return false;
            }
        } else {
            std::hint::spin_loop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(schedule: &Schedule) -> Vec<f64> {
        std::iter::from_fn(|| schedule.take()).map(|time| time.as_secs_f64()).collect()
    }

    #[test]
    fn constant_arrivals_have_equal_intervals_and_an_end() {
        let times = all(&Schedule::new(1000.0, Arrival::Constant, Duration::from_secs(3), 1));
        assert_eq!(times.len(), 3000);
        assert!(times.iter().enumerate().all(|(n, time)| (time - n as f64 / 1000.0).abs() < 1e-9));
    }

    #[test]
    fn independent_arrivals_are_known_in_advance_and_vary_as_they_should() {
        let schedule = || Schedule::new(1000.0, Arrival::Poisson, Duration::from_secs(20), 7);
        let times = all(&schedule());
        assert_eq!(times, all(&schedule()));
        assert!((times.len() as f64 - 20_000.0).abs() < 600.0, "{}", times.len());
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.05);
    }

    #[test]
    fn waiting_ends_at_its_time_or_when_it_is_told_to() {
        let begun = Instant::now();
        assert!(wait_until(begun, || false));
        assert!(wait_until(begun + Duration::from_millis(3), || true) && begun.elapsed().as_millis() >= 3);
        assert!(!wait_until(begun + Duration::from_secs(3600), || false));
    }
}
