//! Two reports side by side, and whether the later one is worse.
//!
//! A figure is worse or better only if it differs by more than the noise that was allowed, and all rounds of one side
//! lie beyond all rounds of the other. What was not made under the same conditions is refused.

mod conditions;
mod text;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::latencies::PERCENTILES;
use crate::quantity::Unit;
use crate::report::{Better, Figure, Report, median};
use crate::run::Run;
use crate::threshold::{Metric, OperationMetric, Verdict};

/// How reports are compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CompareOptions {
    /// Two values are the same if the larger one is no more above the smaller one than this share of it.
    pub noise: f64,
    /// Whether reports that were not made under the same conditions are compared all the same, with warnings.
    pub anyway: bool,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self { noise: 0.1, anyway: false }
    }
}

/// Two reports side by side.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// The first one.
    pub before: Side,
    /// The second one, which is judged.
    pub after: Side,
    /// The noise that was allowed.
    pub noise: f64,
    /// What differs in the conditions of the two, if they were compared all the same.
    pub warnings: Vec<String>,
    /// What at least one of them measured.
    pub rows: Vec<Compared>,
    /// Fails if anything is worse.
    pub verdict: Verdict,
}

/// What a report is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What it is about.
    pub title: String,
    /// When it was begun, in UTC.
    pub begun: String,
    /// The release of the program that made it.
    pub version: String,
    /// The commit of that.
    pub commit: String,
}

/// A figure of two reports.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The section of a figure, or the workload of a run.
    pub section: String,
    /// What it is called: the id of a figure, or a metric as thresholds name it.
    pub id: String,
    /// What was measured, in words.
    pub name: String,
    /// The engine that it was measured on; `None` if it is about none.
    pub engine: Option<String>,
    /// What it counts.
    pub unit: Unit,
    /// Which direction is better.
    pub better: Better,
    /// The first value; `None` if there is none.
    pub before: Option<f64>,
    /// The second value; `None` if there is none.
    pub after: Option<f64>,
    /// What became of it.
    pub change: Change,
}

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is the same, or as good as that: within the noise, or within what rounds differ by.
    Same,
    /// It is better.
    Better,
    /// It is worse.
    Worse,
    /// It differs, and no direction is better.
    Differs,
    /// Only the first report has it.
    OnlyBefore,
    /// Only the second report has it.
    OnlyAfter,
}

impl Compared {
    /// How many times the first value the second one is; `None` if one is missing or the first is not above 0.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let before = self.before.filter(|before| *before > 0.0)?;
        Some(self.after? / before).filter(|ratio| ratio.is_finite())
    }
}

/// Puts two reports side by side: figures by id and engine, runs by workload and engine.
///
/// # Errors
///
/// [`Error::Incomparable`] if they were not made under the same conditions (machine, command, data, durability and
/// other settings, a program with optimisation), unless `options.anyway` says that it does not matter; and in any
/// case if they have nothing in common. [`Error::Invalid`] if the noise is below 0 or no number.
pub fn compare(before: &Report, after: &Report, options: &CompareOptions) -> Result<Comparison> {
    let noise = options.noise;
    if !(noise.is_finite() && noise >= 0.0) {
        return Err(Error::Invalid(format!("noise: found {noise}; allowed: 0 and more, such as 0.1")));
    }
    let runs = conditions::matched(before, after);
    let warnings = conditions::differences(before, after, &runs);
    if !(warnings.is_empty() || options.anyway) {
        let message = format!(
            "the two results can't be compared, because they differ in more than what is judged (ask for it if they \
             shall be compared anyway):\n  {}",
            warnings.join("\n  ")
        );
        return Err(Error::Incomparable(message));
    }
    let mut rows = figures(before, after, noise);
    for pair in &runs {
        rows.extend(metrics(pair, noise));
    }
    if !rows.iter().any(|row| row.before.is_some() && row.after.is_some()) {
        let message = "the two results have no figure and no run in common: there is nothing to compare";
        return Err(Error::Incomparable(message.to_owned()));
    }
    let verdict = Verdict::of(rows.iter().all(|row| row.change != Change::Worse));
    Ok(Comparison { before: Side::of(before), after: Side::of(after), noise, warnings, rows, verdict })
}

impl Side {
    fn of(report: &Report) -> Self {
        Self {
            title: report.title.clone(),
            begun: report.begun.clone(),
            version: report.environment.version.clone(),
            commit: report.environment.commit.clone(),
        }
    }
}

/// Runs of the same workload on the same engine: the rounds of the first report, and those of the second.
struct Pair<'a> {
    name: String,
    engine: &'a str,
    before: Vec<&'a Run>,
    after: Vec<&'a Run>,
}

fn figures(before: &Report, after: &Report, noise: f64) -> Vec<Compared> {
    let is_same = |one: &Figure, other: &Figure| {
        (&one.id, &one.engine, one.unit) == (&other.id, &other.engine, other.unit)
    };
    let in_both = before.figures.iter().map(|one| {
        let other = after.figures.iter().find(|other| is_same(one, other));
        (one, one.samples.as_slice(), other.map_or(&[][..], |other| &other.samples))
    });
    let only_after =
        after.figures.iter().filter(|other| !before.figures.iter().any(|one| is_same(one, other)));
    let all = in_both.chain(only_after.map(|other| (other, &[][..], other.samples.as_slice())));
    let rows = all.filter_map(|(figure, before, after)| {
        let what = What {
            section: &figure.section,
            id: figure.id.clone(),
            name: figure.name.clone(),
            engine: figure.engine.as_deref(),
            unit: figure.unit,
            better: figure.better,
        };
        what.compared(before, after, noise)
    });
    rows.collect()
}

fn metrics(pair: &Pair<'_>, noise: f64) -> Vec<Compared> {
    let operations: Vec<_> = crate::operation::Operation::ALL
        .into_iter()
        .filter(|operation| {
            let runs = pair.before.iter().chain(&pair.after);
            runs.flat_map(|run| &run.operations).any(|done| done.operation == *operation)
        })
        .collect();
    let of_all = [
        (Metric::Throughput, Better::Higher),
        (Metric::RateReached, Better::Higher),
        (Metric::Errors, Better::Lower),
        (Metric::Lost, Better::Lower),
    ];
    let percentiles = PERCENTILES.map(OperationMetric::Percentile);
    let of_each = operations.into_iter().flat_map(|operation| {
        let metrics = [OperationMetric::Mean].into_iter().chain(percentiles);
        metrics.map(move |metric| (Metric::Of(operation, metric), Better::Lower))
    });
    let rows = of_all.into_iter().chain(of_each).filter_map(|(metric, better)| {
        let samples = |runs: &[&Run]| -> Option<Vec<f64>> { runs.iter().map(|run| metric.of(run)).collect() };
        let (before, after) =
            (samples(&pair.before).unwrap_or_default(), samples(&pair.after).unwrap_or_default());
        let is_percentile = matches!(metric, Metric::Of(_, OperationMetric::Percentile(_)));
        if is_percentile && (before.is_empty() || after.is_empty()) {
            // One of them has too few operations for it.
            return None;
        }
        let what = What {
            section: &pair.name,
            id: metric.to_string(),
            name: metric.to_string(),
            engine: Some(pair.engine),
            unit: metric.unit(),
            better,
        };
        what.compared(&before, &after, noise)
    });
    rows.collect()
}

/// What is compared.
struct What<'a> {
    section: &'a str,
    id: String,
    name: String,
    engine: Option<&'a str>,
    unit: Unit,
    better: Better,
}

impl What<'_> {
    /// The row; `None` if neither side has a value.
    fn compared(self, before: &[f64], after: &[f64], noise: f64) -> Option<Compared> {
        let value = |samples| median(samples).filter(|value| value.is_finite());
        let change = match (value(before), value(after)) {
            (None, None) => return None,
            (Some(_), None) => Change::OnlyBefore,
            (None, Some(_)) => Change::OnlyAfter,
            (Some(one), Some(other)) if !differ(one, other, noise) || overlap(before, after) => Change::Same,
            (Some(one), Some(other)) => match self.better {
                Better::Neither => Change::Differs,
                Better::Lower if other < one => Change::Better,
                Better::Higher if other > one => Change::Better,
                Better::Lower | Better::Higher => Change::Worse,
            },
        };
        Some(Compared {
            section: self.section.to_owned(),
            id: self.id,
            name: self.name,
            engine: self.engine.map(str::to_owned),
            unit: self.unit,
            better: self.better,
            before: value(before),
            after: value(after),
            change,
        })
    }
}

/// Whether the larger value is above the smaller one by more than the noise.
fn differ(one: f64, other: f64, noise: f64) -> bool {
    (one - other).abs() > noise * one.abs().min(other.abs())
}

/// Whether rounds of one side lie among those of the other.
fn overlap(before: &[f64], after: &[f64]) -> bool {
    let range = |samples: &[f64]| {
        let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
        (least, samples.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    };
    let (before, after) = (range(before), range(after));
    before.0 <= after.1 && after.0 <= before.1
}
