//! What a strategy brings, in plain words.

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

    /// Adds a figure.
    pub(crate) fn add(&mut self, what: &str, on: f64, off: f64, better: Better) {
        let ratio = on / off;
        if !ratio.is_finite() || (ratio - 1.0).abs() < NOISE {
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
