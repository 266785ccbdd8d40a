//! What scenarios are given, and where their figures go.

use std::time::Instant;

use super::draft::{Draft, counted};
use super::engine::Engine;
use super::sizes::Sizes;
use super::{Scenario, StressOptions};
use crate::error::{Error, Result};
use crate::execute::run_workload;
use crate::latencies::Latencies;
use crate::report::{Better, Figure, Plot, median};
use crate::run::Run;
use crate::runner::{Progress, Watcher};
use crate::threshold::Verdict;
use crate::workload::Workload;

/// The percentiles that figures are made of: their names and shares.
pub(super) const PERCENTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("p99.99", 0.9999)];
/// So many wrong answers of a scenario are told.
const MESSAGES_MAX: usize = 5;

/// A run of all scenarios.
pub(super) struct Session<'a, 'w> {
    pub(super) options: &'a StressOptions,
    pub(super) sizes: &'a Sizes,
    pub(super) engines: Vec<Engine>,
    watcher: &'a mut Watcher<'w>,
    begun: Instant,
    /// How long all of it takes, about.
    seconds_expected: f64,
    scenario: &'static str,
    heading: String,
    /// Figures of the scenario that is at work.
    current: Vec<Figure>,
    checks: Vec<Check>,
    pub(super) collected: Collected,
}

/// What came of the scenarios.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) figures: Vec<Figure>,
    pub(super) runs: Vec<Run>,
    pub(super) plots: Vec<Plot>,
    pub(super) notes: Vec<String>,
    /// How long each scenario took, in seconds.
    pub(super) seconds: Vec<(&'static str, f64)>,
}

/// How many answers of an engine were compared with what they must be, and how many were wrong.
struct Check {
    engine: Option<Engine>,
    checked: u64,
    wrong: u64,
    messages: Vec<String>,
}

impl<'a, 'w> Session<'a, 'w> {
    pub(super) fn new(
        options: &'a StressOptions,
        sizes: &'a Sizes,
        seconds_expected: f64,
        watcher: &'a mut Watcher<'w>,
    ) -> Result<Self> {
        Ok(Self {
            options,
            sizes,
            engines: Engine::all(&options.engines)?,
            watcher,
            begun: Instant::now(),
            seconds_expected,
            scenario: "",
            heading: String::new(),
            current: Vec::new(),
            checks: Vec::new(),
            collected: Collected::default(),
        })
    }

    /// Runs one scenario, and takes what it measured, also if it does not come to its end.
    pub(super) fn perform(&mut self, scenario: &Scenario) -> Result<()> {
        self.scenario = scenario.id;
        self.heading = format!("{} {}", scenario.id, scenario.name);
        let begun = Instant::now();
        let done = self.goes_on().and_then(|()| {
            self.say("");
            (scenario.run)(self)
        });
        self.collected.seconds.push((scenario.id, begun.elapsed().as_secs_f64()));
        self.gather();
        done
    }

    /// Puts the figures of the scenario in order: those of one id side by side, and what was wrong at the end.
    fn gather(&mut self) {
        let mut current = std::mem::take(&mut self.current);
        while let Some(first) = current.first() {
            let id = first.id.clone();
            let (same, others) = current.into_iter().partition(|figure| figure.id == id);
            self.collected.figures.extend::<Vec<_>>(same);
            current = others;
        }
        for check in std::mem::take(&mut self.checks) {
            let name = "answers that were wrong, and what was lost";
            let definition =
                format!("Of {} that were compared with what they must be.", counted(check.checked));
            let mut draft =
                Draft::new("wrong", name, crate::Unit::Count, Better::Lower).by(definition).at_most(0.0);
            if let Some(engine) = &check.engine {
                draft = draft.on(engine);
            }
            let mut figure = self.figure(draft);
            figure.samples.push(check.wrong as f64);
            self.collected.figures.push(figure);
            let engine =
                check.engine.as_ref().map_or(String::new(), |engine| format!(" on {}", engine.name()));
            let told = check.messages.iter().map(|message| format!("{}{engine}: {message}", self.scenario));
            self.collected.notes.extend(told);
        }
    }

    fn figure(&self, draft: Draft) -> Figure {
        let mut figure = draft.0;
        figure.id = format!("{}.{}", self.scenario, figure.id);
        figure.section.clone_from(&self.heading);
        figure
    }

    /// Fails if somebody asked for an end.
    pub(super) fn goes_on(&self) -> Result<()> {
        if (self.watcher.goes_on)() { Ok(()) } else { Err(Error::Interrupted) }
    }

    /// Whether it shall go on, for those who ask often.
    pub(super) fn asks(&self) -> &'a (dyn Fn() -> bool + Sync)
    where
        'w: 'a,
    {
        self.watcher.goes_on
    }

    /// Tells whoever watches what is being done.
    pub(super) fn say(&mut self, what: &str) {
        let what = if what.is_empty() { self.heading.clone() } else { format!("{}: {what}", self.heading) };
        let progress = Progress {
            seconds: self.begun.elapsed().as_secs_f64(),
            seconds_in_all: Some(self.seconds_expected),
            ..Progress::default()
        };
        (self.watcher.progress)(&what, progress);
    }

    /// Tells what is being done, and fails if somebody asked for an end.
    pub(super) fn step(&mut self, what: &str) -> Result<()> {
        self.say(what);
        self.goes_on()
    }

    /// Adds a sample to a figure.
    pub(super) fn sample(&mut self, draft: Draft, value: f64) {
        self.samples(draft, &[value]);
    }

    /// Adds a sample, if it could be measured: what has a bound and could not be fails.
    pub(super) fn sample_if(&mut self, draft: Draft, value: Option<f64>) {
        if value.is_some() || draft.0.bound.is_some() {
            self.samples(draft, value.as_slice());
        }
    }

    fn samples(&mut self, draft: Draft, values: &[f64]) {
        let figure = self.figure(draft);
        let is_it = |known: &&mut Figure| known.id == figure.id && known.engine == figure.engine;
        match self.current.iter_mut().find(is_it) {
            Some(known) => known.samples.extend_from_slice(values),
            None => self.current.push(Figure { samples: values.to_vec(), ..figure }),
        }
    }

    /// Adds the percentiles of latencies that enough of them support, and the largest; `{}` stands for its name in the id
    /// and the name of the draft. `decorate` adds what one of them has and others have not.
    pub(super) fn percentiles(
        &mut self,
        draft: &Draft,
        latencies: &Latencies,
        decorate: impl Fn(Draft, &str) -> Draft,
    ) {
        for (name, share) in PERCENTILES {
            self.sample_if(decorate(draft.for_percentile(name), name), latencies.percentile(share));
        }
        self.sample_if(decorate(draft.for_percentile("max"), "max"), latencies.max());
    }

    /// The median of the samples that a figure of this scenario has until now.
    pub(super) fn value(&self, id: &str, engine: Option<&Engine>) -> Option<f64> {
        let id = format!("{}.{id}", self.scenario);
        let name = engine.map(Engine::name);
        let figure =
            self.current.iter().find(|figure| figure.id == id && figure.engine.as_deref() == name)?;
        median(&figure.samples)
    }

    /// Notes that so many answers were compared with what they must be, and what was wrong with some.
    pub(super) fn checked(&mut self, engine: Option<&Engine>, checked: u64, wrong: u64, messages: &[String]) {
        let at = match self.checks.iter().position(|check| check.engine.as_ref() == engine) {
            Some(at) => at,
            None => {
                let check = Check { engine: engine.cloned(), checked: 0, wrong: 0, messages: Vec::new() };
                self.checks.push(check);
                self.checks.len() - 1
            }
        };
        let check = &mut self.checks[at];
        (check.checked, check.wrong) = (check.checked + checked, check.wrong + wrong);
        let room = MESSAGES_MAX.saturating_sub(check.messages.len());
        check.messages.extend(messages.iter().take(room).cloned());
    }

    /// Notes that one thing was looked at which must be so; `told` says what it is if it is not.
    pub(super) fn check(&mut self, engine: Option<&Engine>, is_so: bool, told: impl FnOnce() -> String) {
        let messages: Vec<String> = (!is_so).then(told).into_iter().collect();
        self.checked(engine, 1, messages.len() as u64, &messages);
    }

    /// What a reader must know.
    pub(super) fn note(&mut self, text: impl AsRef<str>) {
        let text = format!("{}: {}", self.scenario, text.as_ref());
        if !self.collected.notes.contains(&text) {
            self.collected.notes.push(text);
        }
    }

    pub(super) fn plot(&mut self, plot: Plot) {
        self.collected.plots.push(plot);
    }

    /// Runs a workload on a store of its own. The last run of each name and engine is kept for the report, and every one
    /// that is not as it must be.
    pub(super) fn run(&mut self, workload: &Workload, engine: &Engine) -> Result<Run> {
        self.goes_on()?;
        let mut workload = workload.clone();
        engine.url().clone_into(&mut workload.store.engine);
        let (begun, expected) = (self.begun, self.seconds_expected);
        let label = format!("{}: {} on {}", self.heading, workload.name, engine.name());
        let watching = &mut *self.watcher.progress;
        let mut progress = |_: &str, progress: Progress| {
            let seconds = begun.elapsed().as_secs_f64();
            watching(&label, Progress { seconds, seconds_in_all: Some(expected), ..progress });
        };
        let mut watcher = Watcher { goes_on: self.watcher.goes_on, progress: &mut progress };
        let run = run_workload(&workload, &self.options.folder, &mut watcher)?;
        self.account(&run, engine);
        let kept = &mut self.collected.runs;
        let is_before = |before: &Run| {
            before.workload.name == run.workload.name
                && before.engine == run.engine
                && before.verdict() == Verdict::Pass
        };
        kept.retain(|before| !is_before(before));
        kept.push(run.clone());
        if run.is_interrupted { Err(Error::Interrupted) } else { Ok(run) }
    }

    /// Counts what a run found wrong while it ran and afterwards.
    fn account(&mut self, run: &Run, engine: &Engine) {
        let done: u64 = run.operations.iter().map(|done| done.latencies.count() + done.failures).sum();
        let messages =
            run.operations.iter().flat_map(|done| done.wrong_messages.iter().chain(&done.failure_messages));
        let mut messages: Vec<String> = messages.cloned().collect();
        let (mut checked, mut wrong) = (done, run.failures());
        if let Some(audit) = &run.audit {
            checked += audit.entities + audit.removed + audit.records + audit.files;
            wrong += audit.problems;
            messages.extend(audit.messages.iter().cloned());
        }
        self.checked(Some(engine), checked, wrong, &messages);
    }
}
