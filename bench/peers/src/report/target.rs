//! What Statlas has to reach beside the others, and what came of it.

use serde_json::{Value, json};

use super::table::{Better, Column, aligned};
use crate::engine::Name;
use crate::sample::Sample;
use crate::section::Section;
use crate::spread::{Spread, figure};

/// A ratio that has a bound.
pub(super) struct Target {
    name: String,
    /// Whom Statlas is compared with.
    rival: &'static str,
    /// Of the medians, and of each run.
    ratio: f64,
    runs: Spread,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// Whom Statlas is compared with.
#[derive(Clone, Copy)]
enum Rival {
    BestPeer,
    One(Name),
}

/// All targets that the samples say something about.
pub(super) fn all(samples: &[Sample], main_value: usize) -> Vec<Target> {
    let mut targets = Vec::new();
    let column = |section, case: &str, figure, better| Column {
        title: String::new(),
        section,
        case: case.to_owned(),
        figure,
        better,
    };
    let cases = |section| {
        let mut cases: Vec<&str> = Vec::new();
        for sample in samples.iter().filter(|sample| sample.section == section) {
            if !cases.contains(&sample.case.as_str()) {
                cases.push(&sample.case);
            }
        }
        cases
    };
    for case in cases(Section::Load) {
        let column = column(Section::Load, case, "rows_per_second", Better::High);
        let name = format!("durable load, {case}");
        targets.extend(beside(&name, &column, samples, Rival::BestPeer, Bound::AtLeast(3.0)));
        targets.extend(beside(&name, &column, samples, Rival::One(Name::BareAppend), Bound::AtLeast(0.6)));
    }
    for case in cases(Section::Get) {
        let column = column(Section::Get, case, "cpu_ns_1", Better::Low);
        let name = format!("time of a warm get, {case}");
        targets.extend(beside(&name, &column, samples, Rival::One(Name::Lmdb), Bound::AtMost(0.25)));
    }
    for case in cases(Section::Single).into_iter().filter(|case| case.starts_with('8')) {
        let column = column(Section::Single, case, "inserts_per_second", Better::High);
        let name = format!("single durable inserts, {case}");
        targets.extend(beside(&name, &column, samples, Rival::One(Name::Rocksdb), Bound::AtLeast(1.0)));
    }
    for case in cases(Section::Mixed) {
        let column = column(Section::Mixed, case, "operations_per_second", Better::High);
        let name = format!("mixed, {case}");
        targets.extend(beside(&name, &column, samples, Rival::BestPeer, Bound::AtLeast(2.5)));
    }
    for case in cases(Section::Load).into_iter().filter(|case| case.starts_with(&format!("{main_value} B"))) {
        let column = column(Section::Load, case, "written_per_payload", Better::Low);
        targets.extend(alone(&format!("bytes written, {case}"), &column, samples, Bound::AtMost(1.3)));
    }
    targets
}

/// Statlas's figure as a multiple of another's.
fn beside(name: &str, column: &Column, samples: &[Sample], rival: Rival, bound: Bound) -> Option<Target> {
    let (rival, rival_name) = match rival {
        Rival::BestPeer => (column.best(&Name::ALL, samples)?, "the best peer"),
        Rival::One(name) => (name, ""),
    };
    let figure = |engine| {
        samples.iter().filter(move |sample| {
            sample.engine == engine && sample.section == column.section && sample.case == column.case
        })
    };
    let ratios = figure(Name::Statlas).filter_map(|ours| {
        let theirs = figure(rival).find(|theirs| theirs.run == ours.run)?;
        Some(ours.figure(column.figure)? / theirs.figure(column.figure)?)
    });
    let runs = Spread::of(ratios)?;
    let ours = column.spread(Name::Statlas, samples)?.median;
    let theirs = column.spread(rival, samples)?.median;
    let whom = if rival_name.is_empty() { rival.as_str() } else { rival_name };
    let name = format!("{name}, to {whom}");
    Some(Target { name, rival: rival.as_str(), ratio: ours / theirs, runs, bound })
}

/// Statlas's figure as it is.
fn alone(name: &str, column: &Column, samples: &[Sample], bound: Bound) -> Option<Target> {
    let runs = column.spread(Name::Statlas, samples)?;
    Some(Target { name: format!("{name}, to payload"), rival: "", ratio: runs.median, runs, bound })
}

impl Target {
    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => self.ratio >= bound,
            Bound::AtMost(bound) => self.ratio <= bound,
        }
    }

    fn verdict(&self, supports_verdicts: bool) -> &'static str {
        match (supports_verdicts, self.is_met()) {
            (false, _) => "none",
            (true, true) => "met",
            (true, false) => "**missed**",
        }
    }

    fn describe_bound(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound) => format!("at least {}", figure(bound)),
            Bound::AtMost(bound) => format!("at most {}", figure(bound)),
        }
    }

    pub(super) fn to_json(&self, supports_verdicts: bool) -> Value {
        json!({
            "name": self.name,
            "rival": self.rival,
            "ratio": self.ratio,
            "ratio_min": self.runs.min,
            "ratio_max": self.runs.max,
            "bound": self.describe_bound(),
            "verdict": self.verdict(supports_verdicts).trim_matches('*'),
        })
    }
}

/// All targets in a table.
pub(super) fn table(targets: &[Target], supports_verdicts: bool) -> String {
    let head = ["ratio", "beside", "of medians", "of runs", "target", "verdict"].map(str::to_owned);
    let row = |target: &Target| {
        let runs = format!("{}–{}", figure(target.runs.min), figure(target.runs.max));
        vec![
            target.name.clone(),
            target.rival.to_owned(),
            figure(target.ratio),
            runs,
            target.describe_bound(),
            target.verdict(supports_verdicts).to_owned(),
        ]
    };
    let rows: Vec<_> = targets.iter().map(row).collect();
    let words = match supports_verdicts {
        _ if targets.is_empty() => return "None of the sections that were run has one.\n".to_owned(),
        true => "",
        false => "No verdicts: these sizes measure nothing that the targets are about.\n\n",
    };
    format!("{words}{}", aligned(&head, &rows))
}
