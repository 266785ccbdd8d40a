//! Figures, their targets, and what came of them.

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// What a figure has to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
    /// Nothing: it is told because it explains others.
    None,
}

/// One figure, measured several times.
#[derive(Debug)]
struct Row {
    section: &'static str,
    name: String,
    unit: &'static str,
    values: Vec<f64>,
    target: Target,
}

/// Times of single operations, in ns.
#[derive(Debug)]
struct Distribution {
    section: &'static str,
    name: String,
    histogram: Histogram<u64>,
}

/// Everything that a run found.
#[derive(Debug)]
pub(crate) struct Report {
    environment: Vec<(&'static str, String)>,
    supports_verdicts: bool,
    rows: Vec<Row>,
    distributions: Vec<Distribution>,
    notes: Vec<(&'static str, String)>,
    printed: (usize, usize, usize),
}

/// The quantiles that are printed, with their names.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];

impl Report {
    /// An empty report. Small sizes and slow builds support no verdict.
    pub(crate) fn new(environment: Vec<(&'static str, String)>, supports_verdicts: bool) -> Self {
        Self {
            environment,
            supports_verdicts,
            rows: Vec::new(),
            distributions: Vec::new(),
            notes: Vec::new(),
            printed: (0, 0, 0),
        }
    }

    /// Adds a figure; `values` are its repetitions.
    pub(crate) fn row(
        &mut self,
        section: &'static str,
        name: impl Into<String>,
        unit: &'static str,
        values: Vec<f64>,
        target: Target,
    ) {
        assert!(!values.is_empty(), "a figure without a measurement");
        self.rows.push(Row { section, name: name.into(), unit, values, target });
    }

    /// Adds the times of single operations.
    pub(crate) fn distribution(
        &mut self,
        section: &'static str,
        name: impl Into<String>,
        histogram: Histogram<u64>,
    ) {
        self.distributions.push(Distribution { section, name: name.into(), histogram });
    }

    /// Adds a sentence that a reader needs to understand the figures.
    pub(crate) fn note(&mut self, section: &'static str, text: impl Into<String>) {
        self.notes.push((section, text.into()));
    }

    pub(crate) fn print_environment(&self) {
        self.environment.iter().for_each(|(name, value)| println!("{name:12} {value}"));
    }

    /// Prints what was added since the last time.
    pub(crate) fn print_new(&mut self) {
        let (rows, distributions, notes) = self.printed;
        self.notes[notes..].iter().for_each(|(_, text)| println!("  {text}"));
        println!("  {:56} {:>12} {:>25}  {:<18} verdict", "figure", "median", "min .. max", "target");
        for row in &self.rows[rows..] {
            let (min, median, max) = row.spread();
            let spread = format!("{} .. {}", figure(min), figure(max));
            let name = format!("{}, {}", row.name, row.unit);
            let target = row.target.describe();
            let (median, verdict) = (figure(median), self.verdict(row));
            let line = format!("  {name:56} {median:>12} {spread:>25}  {target:<18} {verdict}");
            println!("{}", line.trim_end());
        }
        if distributions < self.distributions.len() {
            let names: String = QUANTILES.iter().map(|(name, _)| format!("{name:>9}")).collect();
            println!("  {:43} {:>9}{names}{:>11}", "distribution, ns", "count", "max");
        }
        for Distribution { name, histogram, .. } in &self.distributions[distributions..] {
            let values = QUANTILES.map(|(_, at)| format!("{:>9}", histogram.value_at_quantile(at)));
            println!("  {name:43} {:>9}{}{:>11}", histogram.len(), values.concat(), histogram.max());
        }
        self.printed = (self.rows.len(), self.distributions.len(), self.notes.len());
    }

    /// How many targets were met.
    pub(crate) fn summary(&self) -> String {
        if !self.supports_verdicts {
            return "targets: no verdict, a smoke run or a debug build measures nothing".to_owned();
        }
        let (met, missed): (Vec<&Row>, Vec<&Row>) =
            self.rows.iter().filter(|row| !matches!(row.target, Target::None)).partition(|row| row.is_met());
        let names: Vec<&str> = missed.iter().map(|row| row.name.as_str()).collect();
        match names.len() {
            0 => format!("targets: all {} met", met.len()),
            count => format!("targets: {} met, {count} MISSED: {}", met.len(), names.join("; ")),
        }
    }

    /// Everything, with each repetition.
    pub(crate) fn to_json(&self) -> Value {
        let environment: serde_json::Map<String, Value> =
            self.environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let rows = self.rows.iter().map(|row| {
            let (min, median, max) = row.spread();
            json!({
                "section": row.section, "name": row.name, "unit": row.unit, "values": row.values, "min": min,
                "median": median, "max": max, "target": row.target.describe(), "verdict": self.verdict(row),
            })
        });
        let distributions = self.distributions.iter().map(|Distribution { section, name, histogram }| {
            let quantiles: serde_json::Map<String, Value> = QUANTILES
                .iter()
                .map(|(name, at)| ((*name).to_owned(), json!(histogram.value_at_quantile(*at))))
                .collect();
            let buckets: Vec<_> = histogram
                .iter_recorded()
                .map(|step| json!([step.value_iterated_to(), step.count_since_last_iteration()]))
                .collect();
            json!({
                "section": section, "name": name, "unit": "ns", "count": histogram.len(), "mean": histogram.mean(),
                "quantiles": quantiles, "max": histogram.max(), "buckets": buckets,
            })
        });
        let notes = self.notes.iter().map(|(section, text)| json!({"section": section, "text": text}));
        json!({
            "environment": environment,
            "notes": notes.collect::<Vec<_>>(),
            "rows": rows.collect::<Vec<_>>(),
            "distributions": distributions.collect::<Vec<_>>(),
        })
    }

    fn verdict(&self, row: &Row) -> &'static str {
        match row.target {
            Target::None => "",
            _ if !self.supports_verdicts => "none",
            _ if row.is_met() => "met",
            _ => "MISSED",
        }
    }
}

impl Target {
    fn describe(self) -> String {
        match self {
            Self::AtMost(bound) => format!("at most {}", figure(bound)),
            Self::AtLeast(bound) => format!("at least {}", figure(bound)),
            Self::None => String::new(),
        }
    }
}

impl Row {
    /// The smallest value, the median and the largest.
    fn spread(&self) -> (f64, f64, f64) {
        let mut sorted = self.values.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        (sorted[0], median, sorted[sorted.len() - 1])
    }

    fn is_met(&self) -> bool {
        let (_, median, _) = self.spread();
        match self.target {
            Target::AtMost(bound) => median <= bound,
            Target::AtLeast(bound) => median >= bound,
            Target::None => true,
        }
    }
}

/// A number with three digits that matter, and thousands apart from the rest.
fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 1.0 => format!("{value:.3}"),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 100.0 => format!("{value:.1}"),
        _ => {
            let digits = format!("{value:.0}");
            let groups: Vec<&[u8]> = digits.as_bytes().rchunks(3).rev().collect();
            String::from_utf8_lossy(&groups.join(&b'_')).into_owned()
        }
    }
}
