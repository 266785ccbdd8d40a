//! Whether two reports were made under the same conditions.

use serde_json::Value;

use crate::compare::Pair;
use crate::report::Report;
use crate::run::Run;

/// Parameters of reports that change no figure.
const HARMLESS: [&str; 4] = ["out", "engine", "engines", "rounds"];

/// What of a workload decides about its figures.
fn settings(run: &Run) -> Value {
    let workload = &run.workload;
    let mut settings = serde_json::to_value(workload).unwrap_or_default();
    if let Value::Object(fields) = &mut settings {
        for harmless in ["name", "description", "thresholds"] {
            fields.remove(harmless);
        }
        // Files and directories may hold something else than they did.
        if let Some(loaded) = &run.loaded {
            let counts = [
                ("entities", loaded.entities),
                ("records", loaded.records),
                ("files", loaded.files),
                ("file_bytes", loaded.file_bytes),
            ];
            let counts = counts.into_iter().map(|(name, count)| (name.to_owned(), Value::from(count)));
            fields.insert("loaded".to_owned(), Value::Object(counts.collect()));
        }
    }
    settings
}

/// Runs of one report that are rounds of each other.
struct Rounds<'a> {
    settings: Value,
    runs: Vec<&'a Run>,
}

impl Rounds<'_> {
    fn is_of(&self, run: &Run) -> bool {
        self.runs.first().is_some_and(|first| is_same_workload(first, run))
    }
}

fn is_same_workload(one: &Run, other: &Run) -> bool {
    one.workload.name == other.workload.name && one.engine == other.engine
}

fn rounds(report: &Report) -> Vec<Rounds<'_>> {
    let mut all: Vec<Rounds<'_>> = Vec::new();
    for run in &report.runs {
        let settings = settings(run);
        match all.iter_mut().find(|rounds| rounds.is_of(run) && rounds.settings == settings) {
            Some(rounds) => rounds.runs.push(run),
            None => all.push(Rounds { settings, runs: vec![run] }),
        }
    }
    all
}

/// The runs of two reports in pairs: those with the same settings first, and of the others those of one workload.
pub(super) fn matched<'a>(before: &'a Report, after: &'a Report) -> Vec<Pair<'a>> {
    let (before, mut after) = (rounds(before), rounds(after));
    let mut partners: Vec<Option<Rounds<'a>>> = before.iter().map(|_| None).collect();
    for is_exact in [true, false] {
        for (one, partner) in before.iter().zip(&mut partners).filter(|(_, partner)| partner.is_none()) {
            let is_partner = |other: &Rounds<'_>| {
                let is_same = one.runs.first().is_some_and(|run| other.is_of(run));
                is_same && (!is_exact || one.settings == other.settings)
            };
            *partner = after.iter().position(is_partner).map(|at| after.remove(at));
        }
    }
    let paired =
        before.into_iter().zip(partners).map(|(one, other)| (one.runs, other.map_or(Vec::new(), |o| o.runs)));
    let all: Vec<_> = paired.chain(after.into_iter().map(|other| (Vec::new(), other.runs))).collect();
    let first = |(before, after): &(Vec<&'a Run>, Vec<&'a Run>)| before.first().or(after.first()).copied();
    let runs: Vec<&Run> = all.iter().filter_map(first).collect();
    let name = |at: usize| {
        let same =
            |upto: usize| runs[..upto].iter().filter(|other| is_same_workload(runs[at], other)).count();
        match same(runs.len()) {
            1 => runs[at].workload.name.clone(),
            several => format!("{}, {} of {several}", runs[at].workload.name, same(at + 1)),
        }
    };
    let pair = |(at, (before, after))| Pair { name: name(at), engine: &runs[at].engine, before, after };
    all.into_iter().enumerate().map(pair).collect()
}

/// Why two reports can't be compared, in sentences; empty if they can.
pub(super) fn differences(before: &Report, after: &Report, runs: &[Pair<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    for (report, which) in [(before, "first"), (after, "second")] {
        if !report.environment.is_optimised {
            found.push(format!("the {which} one was made by a program without optimisation"));
        }
    }
    let machine = before.environment.differences(&after.environment);
    // That one of them has no optimisation is said already.
    found.extend(machine.into_iter().filter(|difference| !difference.starts_with("optimised:")));
    if before.kind != after.kind {
        let [one, other] = [before, after].map(|report| crate::report::kind_text(report.kind).to_lowercase());
        found.push(format!("command: {one} and {other}"));
    }
    if before.seed != after.seed {
        found.push(format!("seed: {} and {}", before.seed, after.seed));
    }
    let parameters = |report: &Report| {
        let kept = report.parameters.iter().filter(|(name, _)| !HARMLESS.contains(&name.as_str()));
        Value::Object(kept.map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect())
    };
    differing("parameter ", &parameters(before), &parameters(after), &mut found);
    for pair in runs {
        let name = format!("{} on {}", pair.name, pair.engine);
        for (rounds, which) in [(&pair.before, "first"), (&pair.after, "second")] {
            if rounds.iter().any(|run| run.is_interrupted) {
                found.push(format!("{name}: the {which} one was ended before its end"));
            }
        }
        if let (Some(one), Some(other)) = (pair.before.first(), pair.after.first()) {
            differing(&format!("{name}: "), &settings(one), &settings(other), &mut found);
        }
    }
    found
}

/// Notes what differs in two objects, with the names of the fields that lead there.
fn differing(path: &str, one: &Value, other: &Value, found: &mut Vec<String>) {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let only_other = others.keys().filter(|name| !fields.contains_key(*name));
            for name in fields.keys().chain(only_other) {
                let [one, other] = [fields, others].map(|fields| fields.get(name).unwrap_or(&Value::Null));
                let separator = if path.ends_with(' ') { "" } else { "." };
                differing(&format!("{path}{separator}{name}"), one, other, found);
            }
        }
        _ if one == other => {}
        _ => {
            let text = |value: &Value| match value {
                Value::Null => "none".to_owned(),
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            found.push(format!("{path}: {} and {}", text(one), text(other)));
        }
    }
}
