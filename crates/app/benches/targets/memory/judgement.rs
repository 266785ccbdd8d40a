//! What a strategy brings, in plain words.

use super::task::Outcome;

/// Smaller differences are those between two runs of the same.
const NOISE: f64 = 0.1;

/// Which way a figure should go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// The figures of a strategy that is on, compared with those without it.
#[derive(Debug)]
pub(crate) struct Judgement {
    name: &'static str,
    better: Vec<String>,
    worse: Vec<String>,
    same: Vec<String>,
}

impl Judgement {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, better: Vec::new(), worse: Vec::new(), same: Vec::new() }
    }

    /// Adds a figure. There is a difference if the medians differ by more than the noise, and every run with the
    /// strategy is on the same side of every run without it.
    pub(crate) fn add(
        &mut self,
        what: &str,
        better: Better,
        on: &[Outcome],
        off: &[Outcome],
        figure: impl Fn(&Outcome) -> f64,
    ) {
        let spread = |runs: &[Outcome]| {
            let mut values: Vec<f64> = runs.iter().map(&figure).collect();
            values.sort_by(f64::total_cmp);
            (values[0], values[values.len() / 2], values[values.len() - 1])
        };
        let ((on_min, on, on_max), (off_min, off, off_max)) = (spread(on), spread(off));
        let ratio = on / off;
        let overlap = on_min <= off_max && off_min <= on_max;
        if overlap || !ratio.is_finite() || (ratio - 1.0).abs() < NOISE {
            self.same.push(what.to_owned());
            return;
        }
        let words = format!("{ratio:.2} times the {what}");
        let is_better = (ratio > 1.0) == (better == Better::More);
        if is_better { self.better.push(words) } else { self.worse.push(words) }
    }

    /// All of it, what it brings first.
    pub(crate) fn sentence(&self) -> String {
        let list = |title: &str, of: &[String]| match of {
            [] => String::new(),
            of => format!("; {title}: {}", of.join(", ")),
        };
        let brings = match &self.better[..] {
            [] => "brings nothing here".to_owned(),
            better => format!("brings {}", better.join(", ")),
        };
        let (costs, same) = (list("it costs", &self.worse), list("no difference", &self.same));
        format!("{} {brings}{costs}{same}", self.name)
    }
}
