//! What must come out of a run, and whether it did.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::operation::Operation;
use crate::quantity::Unit;
use crate::run::Run;
use crate::workload::Workload;

/// Whether something is as it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is.
    Pass,
    /// It is not, or it could not be measured.
    Fail,
}

impl Verdict {
    /// Pass if it is so.
    #[must_use]
    pub fn of(is_so: bool) -> Self {
        if is_so { Self::Pass } else { Self::Fail }
    }

    /// Fails if one of them does; nothing fails nothing.
    #[must_use]
    pub fn all(verdicts: impl IntoIterator<Item = Self>) -> Self {
        Self::of(verdicts.into_iter().all(|verdict| verdict == Self::Pass))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Self::Pass { "PASS" } else { "FAIL" })
    }
}

/// A bound for a figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// It is no more than this.
    AtMost(f64),
    /// It is no less than this.
    AtLeast(f64),
}

impl Bound {
    /// Whether a figure is within it. What was not measured is not, and neither is what is no number.
    #[must_use]
    pub fn judge(self, found: Option<f64>) -> Verdict {
        Verdict::of(found.is_some_and(|found| match self {
            Self::AtMost(bound) => found <= bound,
            Self::AtLeast(bound) => found >= bound,
        }))
    }

    /// The bound with its unit: `at most 5.00 us`.
    #[must_use]
    pub fn format(self, unit: Unit) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {}", unit.format(bound)),
            Self::AtLeast(bound) => format!("at least {}", unit.format(bound)),
        }
    }
}

/// A bound for a metric of a workload's run, as it is written in the workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// What is judged: `throughput`, or `get.p99`; what is wrong is answered with all that there are.
    pub metric: String,
    /// The most that it may be, with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<String>,
    /// The least that it may be, with its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<String>,
}

/// How a threshold was met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// What was judged.
    pub metric: String,
    /// What it counts.
    pub unit: Unit,
    /// What was asked for.
    pub bound: Bound,
    /// What came out; `None` if it could not be measured, which fails.
    pub found: Option<f64>,
    /// Whether it is so.
    pub verdict: Verdict,
}

impl Threshold {
    /// What is wrong with it in this workload, if anything is.
    pub(crate) fn complaint(&self, workload: &Workload) -> Option<String> {
        match self.read() {
            Err(complaint) => Some(complaint),
            Ok((Metric::Of(operation, _), _)) if !workload.operations().any(|each| each == operation) => {
                Some(format!("thresholds.metric: found {:?}, and the mix has no {operation}", self.metric))
            }
            Ok((Metric::RateReached, _)) if !workload.is_open() => {
                Some("thresholds.metric: found \"rate_reached\", and load.rate names no rate".to_owned())
            }
            Ok(_) => None,
        }
    }

    /// Judges a run of the workload that it stands in.
    pub(crate) fn judge(&self, run: &Run) -> Option<Judged> {
        let (metric, bound) = self.read().ok()?;
        let found = metric.of(run);
        let (metric, unit) = (self.metric.clone(), metric.unit());
        Some(Judged { metric, unit, bound, found, verdict: bound.judge(found) })
    }

    fn read(&self) -> Result<(Metric, Bound), String> {
        let metric: Metric = self.metric.parse()?;
        let number = |name: &str, text: &str| {
            metric
                .unit()
                .parse(text)
                .map_err(|error| format!("thresholds.{name} of {:?}: {error}", self.metric))
        };
        match (&self.at_most, &self.at_least) {
            (Some(text), None) => Ok((metric, Bound::AtMost(number("at_most", text)?))),
            (None, Some(text)) => Ok((metric, Bound::AtLeast(number("at_least", text)?))),
            _ => Err(format!("thresholds: {:?} needs one of at_most and at_least", self.metric)),
        }
    }
}

/// A figure that a run of a workload has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Metric {
    /// Operations a second of all kinds together.
    Throughput,
    /// Operations that failed, in all.
    Errors,
    /// What was wrong with the data afterwards, in all.
    Lost,
    /// The rate that was reached by the one that was asked for.
    RateReached,
    /// Most memory that the process had.
    ResidentMax,
    /// How many of the lookups the store's cache answered.
    CacheHits,
    /// A figure of one operation.
    Of(Operation, OperationMetric),
}

/// A figure of one operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum OperationMetric {
    /// Operations a second.
    Throughput,
    Mean,
    Max,
    /// The latency that this share does not exceed.
    Percentile(f64),
}

/// Names of percentiles, and their shares.
const PERCENTILE_NAMES: [(&str, f64); 6] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

impl std::str::FromStr for Metric {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            let names = Operation::ALL.map(Operation::name).join(", ");
            format!(
                "thresholds.metric: found {text:?}; allowed: throughput, errors, lost, rate_reached, resident_max, \
                 cache_hits, or an operation with .throughput, .mean, .max, .p50, .p90, .p95, .p99, .p99.9 or .p99.99 \
                 behind it, such as get.p99; operations are {names}"
            )
        };
        Ok(match text {
            "throughput" => Self::Throughput,
            "errors" => Self::Errors,
            "lost" => Self::Lost,
            "rate_reached" => Self::RateReached,
            "resident_max" => Self::ResidentMax,
            "cache_hits" => Self::CacheHits,
            _ => {
                let (operation, figure) = text.split_once('.').ok_or_else(refused)?;
                let operation = Operation::named(operation).ok_or_else(refused)?;
                let figure = match figure {
                    "throughput" => OperationMetric::Throughput,
                    "mean" => OperationMetric::Mean,
                    "max" => OperationMetric::Max,
                    _ => {
                        let found = PERCENTILE_NAMES.iter().find(|(name, _)| *name == figure);
                        OperationMetric::Percentile(found.ok_or_else(refused)?.1)
                    }
                };
                Self::Of(operation, figure)
            }
        })
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Throughput => "throughput",
            Self::Errors => "errors",
            Self::Lost => "lost",
            Self::RateReached => "rate_reached",
            Self::ResidentMax => "resident_max",
            Self::CacheHits => "cache_hits",
            Self::Of(operation, figure) => {
                let figure = match figure {
                    OperationMetric::Throughput => "throughput",
                    OperationMetric::Mean => "mean",
                    OperationMetric::Max => "max",
                    OperationMetric::Percentile(share) => {
                        let found = PERCENTILE_NAMES.iter().find(|(_, each)| each == share);
                        found.map_or("percentile", |(name, _)| *name)
                    }
                };
                return write!(f, "{operation}.{figure}");
            }
        };
        f.write_str(name)
    }
}

impl Metric {
    pub(crate) fn unit(self) -> Unit {
        match self {
            Self::Throughput | Self::Of(_, OperationMetric::Throughput) => Unit::PerSecond,
            Self::Errors | Self::Lost => Unit::Count,
            Self::RateReached | Self::CacheHits => Unit::Share,
            Self::ResidentMax => Unit::Bytes,
            Self::Of(..) => Unit::Seconds,
        }
    }

    /// The figure of a run; `None` if it has none, or one that too few operations support.
    pub(crate) fn of(self, run: &Run) -> Option<f64> {
        match self {
            Self::Throughput => Some(run.throughput()),
            Self::Errors => Some(run.failures() as f64),
            Self::Lost => run.audit.as_ref().map(|audit| audit.problems as f64),
            Self::RateReached => run.rate_reached(),
            Self::ResidentMax => run.resident_max(),
            Self::CacheHits => run.cache_hits(),
            Self::Of(operation, figure) => {
                let done = run.operations.iter().find(|done| done.operation == operation)?;
                match figure {
                    OperationMetric::Throughput => Some(done.latencies.count() as f64 / run.seconds),
                    OperationMetric::Mean => done.latencies.mean(),
                    OperationMetric::Max => done.latencies.max(),
                    OperationMetric::Percentile(share) => done.latencies.percentile(share),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_fails() {
        assert_eq!(Bound::AtMost(5.0).judge(Some(5.0)), Verdict::Pass);
        assert_eq!(Bound::AtLeast(5.0).judge(Some(4.9)), Verdict::Fail);
        for bound in [Bound::AtMost(5.0), Bound::AtLeast(5.0)] {
            assert_eq!((bound.judge(None), bound.judge(Some(f64::NAN))), (Verdict::Fail, Verdict::Fail));
        }
        assert_eq!(Verdict::all([Verdict::Pass, Verdict::Fail]), Verdict::Fail);
    }

    #[test]
    fn metrics_have_names_and_units() {
        let cases = [
            ("throughput", Unit::PerSecond),
            ("get.p99.9", Unit::Seconds),
            ("put_batch.throughput", Unit::PerSecond),
            ("cache_hits", Unit::Share),
            ("resident_max", Unit::Bytes),
            ("lost", Unit::Count),
        ];
        for (name, unit) in cases {
            let metric = name.parse::<Metric>();
            assert_eq!(metric.as_ref().map(|metric| metric.unit()), Ok(unit));
            assert_eq!(metric.map(|metric| metric.to_string()).as_deref(), Ok(name));
        }
        for wrong in ["", "get", "get.p98", "fetch.p99", "p99"] {
            assert!(wrong.parse::<Metric>().is_err_and(|error| error.contains("allowed: ")), "{wrong}");
        }
    }

    #[test]
    fn a_threshold_has_one_bound_with_the_right_unit() {
        let threshold = |metric: &str, at_most: Option<&str>, at_least: Option<&str>| Threshold {
            metric: metric.to_owned(),
            at_most: at_most.map(str::to_owned),
            at_least: at_least.map(str::to_owned),
        };
        let read = threshold("get.p99", Some("5us"), None).read().expect("it is legal");
        assert!(matches!(read.1, Bound::AtMost(bound) if (bound - 5e-6).abs() < 1e-12));
        for (metric, at_most, at_least) in [
            ("get.p99", Some("5/s"), None),
            ("get.p99", None, None),
            ("throughput", Some("5/s"), Some("5/s")),
        ] {
            assert!(threshold(metric, at_most, at_least).read().is_err(), "{metric} {at_most:?}");
        }
    }
}
