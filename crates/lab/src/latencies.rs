//! Latencies, counted in a histogram.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::quantity::nanoseconds;

/// A percentile is printed only if so many values lie above it: of fewer, one more or less would move it far.
pub const SAMPLES_ABOVE_MIN: u64 = 10;

/// The percentiles that results have, as shares.
pub const PERCENTILES: [f64; 6] = [0.5, 0.9, 0.95, 0.99, 0.999, 0.9999];

/// Digits of a value that its bucket keeps: values that share one differ by less than a thousandth.
const SIGNIFICANT_DIGITS: u8 = 3;

/// The latencies of many operations, in nanoseconds, each known to a thousandth; smallest, largest and sum exactly.
///
/// In results it is an object with `count`, `min_ns`, `max_ns`, `sum_ns` and `buckets`: pairs of a value and how many
/// latencies were counted with it, in rising order, the value being the largest of its bucket.
#[derive(Clone)]
pub struct Latencies {
    buckets: Histogram<u64>,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
}

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Latencies({} of {:?} to {:?} s)",
            self.count(),
            nanoseconds(self.min_ns.min(self.max_ns)),
            self.max()
        )
    }
}

impl Default for Latencies {
    fn default() -> Self {
        Self::new()
    }
}

impl Latencies {
    /// None yet.
    ///
    /// # Panics
    ///
    /// Never: the number of digits is one that a histogram can have.
    #[must_use]
    pub fn new() -> Self {
        let buckets = Histogram::new(SIGNIFICANT_DIGITS).expect("between 0 and 5 digits");
        Self { buckets, min_ns: u64::MAX, max_ns: 0, sum_ns: 0 }
    }

    /// Counts one.
    pub fn record(&mut self, latency: Duration) {
        // 584 years are enough.
        self.record_ns(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX), 1);
    }

    fn record_ns(&mut self, ns: u64, count: u64) {
        // Fails only beyond what a resizing histogram can have, which is all of u64.
        let _never = self.buckets.record_n(ns, count);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
        self.sum_ns += u128::from(ns) * u128::from(count);
    }

    /// Adds those of another thread, or of another run.
    pub fn merge(&mut self, other: &Self) {
        let _never = self.buckets.add(&other.buckets);
        self.min_ns = self.min_ns.min(other.min_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
        self.sum_ns += other.sum_ns;
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.len()
    }

    /// The mean in seconds; `None` without any.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count() > 0).then(|| self.sum_ns as f64 / self.count() as f64 * 1e-9)
    }

    /// The largest in seconds; `None` without any.
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        (self.count() > 0).then(|| nanoseconds(self.max_ns))
    }

    /// The value in seconds that a share of the latencies does not exceed; `None` if fewer than
    /// [`SAMPLES_ABOVE_MIN`] lie above it, so that it would be little more than chance.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let above = self.count() as f64 * (1.0 - share);
        // A share such as 0.99 is not exact in binary.
        (above + 1e-6 >= SAMPLES_ABOVE_MIN as f64).then(|| self.at(share))
    }

    /// As [`percentile`](Self::percentile), whatever lies above it: for plots, which say how many there are.
    #[must_use]
    pub fn at(&self, share: f64) -> f64 {
        nanoseconds(self.buckets.value_at_quantile(share).min(self.max_ns))
    }

    /// Shares and the latencies in seconds that they do not exceed, for a plot over the number of nines; up to
    /// the last percentile that is supported.
    #[must_use]
    pub fn curve(&self) -> Vec<(f64, f64)> {
        let mut points = Vec::new();
        for step in 0.. {
            // Twelve steps for each nine.
            let share = 1.0 - 10.0_f64.powf(-f64::from(step) / 12.0);
            match self.percentile(share) {
                Some(value) => points.push((share, value)),
                None => break,
            }
        }
        points
    }

    fn pairs(&self) -> Vec<(u64, u64)> {
        self.buckets
            .iter_recorded()
            .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value()))
            .collect()
    }
}

/// How it stands in results.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    count: u64,
    min_ns: u64,
    max_ns: u64,
    sum_ns: u128,
    buckets: Vec<(u64, u64)>,
}

impl Serialize for Latencies {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { min_ns, max_ns, sum_ns, .. } = *self;
        let (count, min_ns) = (self.count(), min_ns.min(max_ns));
        Written { count, min_ns, max_ns, sum_ns, buckets: self.pairs() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Latencies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Written::deserialize(deserializer)?;
        let mut latencies = Self::new();
        for (value, count) in written.buckets {
            latencies.record_ns(value, count);
        }
        if latencies.count() != written.count {
            let message =
                format!("the buckets hold {} latencies and not {}", latencies.count(), written.count);
            return Err(serde::de::Error::custom(message));
        }
        if written.count > 0 {
            let Written { min_ns, max_ns, sum_ns, .. } = written;
            (latencies.min_ns, latencies.max_ns, latencies.sum_ns) = (min_ns, max_ns, sum_ns);
        }
        Ok(latencies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(count: u64) -> Latencies {
        let mut latencies = Latencies::new();
        (1..=count).for_each(|n| latencies.record(Duration::from_micros(n)));
        latencies
    }

    #[test]
    fn a_percentile_needs_ten_values_above_it() {
        let thousand = up_to(1000);
        let p99 = thousand.percentile(0.99).expect("ten values are above it");
        assert!((p99 - 990e-6).abs() < 1e-6, "{p99}");
        assert_eq!(thousand.percentile(0.999), None);
        assert_eq!(up_to(999).percentile(0.99), None);
        assert_eq!((up_to(19).percentile(0.5), up_to(0).percentile(0.5)), (None, None));
        assert!(up_to(20).percentile(0.5).is_some());
        assert_eq!((up_to(0).mean(), up_to(0).max()), (None, None));
        assert!(thousand.mean().is_some_and(|mean| (mean - 500.5e-6).abs() < 1e-9));
        assert_eq!(thousand.max(), Some(1e-3));
    }

    #[test]
    fn a_curve_ends_where_percentiles_do() {
        let curve = up_to(10_000).curve();
        let (last, value) = *curve.last().expect("it has points");
        assert!((last - 0.999).abs() < 1e-9 && (value - 9.99e-3).abs() < 2e-5, "{last} {value}");
        assert!(curve.is_sorted());
    }

    #[test]
    fn results_hold_every_bucket() {
        let mut both = up_to(5000);
        both.merge(&up_to(70_000));
        let text = serde_json::to_string(&both).expect("it can be written");
        let read: Latencies = serde_json::from_str(&text).expect("it can be read");
        assert_eq!((read.count(), read.mean(), read.max()), (both.count(), both.mean(), both.max()));
        assert_eq!(
            PERCENTILES.map(|share| read.percentile(share)),
            PERCENTILES.map(|share| both.percentile(share))
        );
        assert_eq!(serde_json::to_string(&read).expect("it can be written"), text);
        let wrong = text.replacen("\"count\":75000", "\"count\":75001", 1);
        assert!(serde_json::from_str::<Latencies>(&wrong).is_err());
    }
}
