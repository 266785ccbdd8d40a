//! Every test that the older systems were known by, done for real.
//!
//! A [`Scenario`](scenarios) does what one of the published tests claimed to do, on each engine in turn, several times, and
//! looks whether what it was answered is right. Its figures stand beside those that were published, with the bounds that
//! hold here. What can't be measured is absent, and a note says why.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use crate::environment::{Environment, now};
use crate::error::{Error, Result};
use crate::quantity::Unit;
use crate::report::{Better, Figure, Kind, Report, SCHEMA};
use crate::runner::Watcher;
use crate::threshold::Bound;

mod addresses;
mod child;
mod clock;
mod closed_loop;
mod concurrency;
mod draft;
mod engine;
mod engines;
mod estimate;
mod files;
mod held_memory;
mod loaded;
mod lookups;
mod nodes;
mod originals;
mod others;
mod room;
mod session;
mod sizes;
mod store_memory;
mod together;
mod tokens;

pub use child::{ChildProgram, answer_child};
pub use estimate::Estimate;
pub use sizes::StressSize;

use engine::Engine;
use estimate::Cost;
use others::ProcessorTime;
use session::Session;
use sizes::Sizes;

/// What is flat may become slower by as much as two rounds on one machine may differ, and is flat still.
const FLAT_MIN: f64 = 0.8;
/// What scales reaches so much more for each processor.
const SCALING_MIN: f64 = 0.75;

/// What a run of `stress` does.
#[derive(Debug, Clone, PartialEq)]
pub struct StressOptions {
    /// How much is measured.
    pub size: StressSize,
    /// Numbers of entities in place of those of the size, the smallest first; those of the size if there are none.
    pub entities: Vec<u64>,
    /// The engines: `memory:`, and `disk:` for temporary stores.
    pub engines: Vec<String>,
    /// Where temporary stores and files are made. Figures of engines on disk are about this file system.
    pub folder: PathBuf,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Only scenarios with these numbers, or below them: `1.2`, or `3` for all of section 3. All if there are none.
    pub scenarios: Vec<String>,
    /// What measures memory in a process of its own; in this one if there is none.
    pub child: Option<ChildProgram>,
}

/// What one of the published tests claimed to do.
struct Scenario {
    /// Its number in the requirements.
    id: &'static str,
    /// What it is about: the heading of its figures.
    name: &'static str,
    run: fn(&mut Session<'_, '_>) -> Result<()>,
    cost: fn(&Sizes, &[Engine]) -> Cost,
}

macro_rules! scenario {
    ($id:literal, $name:literal, $($module:ident)::+) => {
        Scenario { id: $id, name: $name, run: $($module)::+::run, cost: $($module)::+::cost }
    };
}

const SCENARIOS: [Scenario; 22] = [
    scenario!("1.1", "Addresses", addresses),
    scenario!("1.2", "Lookups by address", lookups),
    scenario!("1.3", "Readers and writers at the same time", concurrency),
    scenario!("1.4", "Memory for an entity", held_memory),
    scenario!("1.5", "Engines side by side", engines),
    scenario!("1.6", "Files", files),
    scenario!("2.1", "A million tokens made", tokens::creation),
    scenario!("2.2", "Tokens in memory that is asked for first", tokens::capacity),
    scenario!("2.3", "Tokens made by several threads", tokens::threads),
    scenario!("2.4", "Tokens read", tokens::reads),
    scenario!("2.5", "What tokens take", tokens::footprint),
    scenario!("2.6", "Tokens cloned, and all of it", tokens::copies),
    scenario!("2.8", "The nearest tokens", tokens::search),
    scenario!("3.1", "Nodes in batches", nodes::batches),
    scenario!("3.2", "Single durable inserts", nodes::inserts),
    scenario!("3.3", "Reads of nodes", nodes::reads),
    scenario!("3.4", "Sustained writes", nodes::writes),
    scenario!("3.5", "Reads beside writes", nodes::mixture),
    scenario!("3.6", "Cache", nodes::cache),
    scenario!("3.7", "Memory for a node", nodes::memory),
    scenario!("3.9", "Backup, restore, check", nodes::backup),
    scenario!("3.10", "Revisions", nodes::revisions),
];

/// Rows of the requirements that no scenario is about, and why.
const ELSEWHERE: [(&str, &str); 5] = [
    ("1.7", "the stress runner is this command itself"),
    ("1.8", "capacity for one's own numbers is what `statlas plan` computes from measurements"),
    (
        "1.9",
        "batches that are stored as a whole or not at all are in 3.1, backup, restore and check in 3.9; access control and \
         distribution come later",
    ),
    ("2.7", "the Python package has benchmarks of its own, beside NumPy and beside Rust"),
    (
        "3.8",
        "a pool of connections belongs to the SQLite and PostgreSQL engines, which this release does not have: there is no figure",
    ),
];

/// The scenarios in their order: number and heading.
pub fn scenarios() -> impl Iterator<Item = (&'static str, &'static str)> {
    SCENARIOS.iter().map(|scenario| (scenario.id, scenario.name))
}

/// Whether a number is one that was asked for, or below it.
fn is_meant(id: &str, asked: &[String]) -> bool {
    let is_below = |asked: &String| {
        id.strip_prefix(asked.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    asked.is_empty() || asked.iter().any(is_below)
}

/// The scenarios that are asked for.
fn chosen(options: &StressOptions) -> Result<Vec<&'static Scenario>> {
    for asked in &options.scenarios {
        if !SCENARIOS.iter().any(|scenario| is_meant(scenario.id, std::slice::from_ref(asked))) {
            let ids: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.id).collect();
            let message = format!("scenario: found {asked:?}; allowed: {}, or 1, 2 or 3", ids.join(", "));
            return Err(Error::Invalid(message));
        }
    }
    Ok(SCENARIOS.iter().filter(|scenario| is_meant(scenario.id, &options.scenarios)).collect())
}

fn sizes(options: &StressOptions) -> Result<Sizes> {
    let mut sizes = Sizes::of(options.size);
    if !options.entities.is_empty() {
        let is_legal = options.entities[0] > 0 && options.entities.is_sorted_by(|a, b| a < b);
        if !is_legal {
            let message = format!(
                "entities: found {:?}; allowed: numbers above 0, each larger than the one before",
                options.entities
            );
            return Err(Error::Invalid(message));
        }
        sizes.entities.clone_from(&options.entities);
    }
    Ok(sizes)
}

/// How long a run takes, and what it needs, about.
///
/// # Errors
///
/// [`Error::Invalid`] for an engine, a scenario or numbers of entities that there are not.
pub fn estimate(options: &StressOptions) -> Result<Estimate> {
    let (sizes, engines) = (sizes(options)?, Engine::all(&options.engines)?);
    let scenarios = chosen(options)?;
    Ok(Estimate::of(scenarios.into_iter().map(|scenario| (scenario.cost)(&sizes, &engines))))
}

/// Runs the scenarios, one after another. What was measured when somebody ends it is in the report, which says so; and
/// so is what the others measured when one of them fails.
///
/// # Errors
///
/// As [`estimate`]; [`Error::Insufficient`] if there is not enough memory or storage, before anything is done.
pub fn run_stress(options: &StressOptions, watcher: &mut Watcher<'_>) -> Result<Report> {
    let (begun, started) = (now(), Instant::now());
    let estimate = estimate(options)?;
    let environment = Environment::of(&options.folder);
    let lacks = estimate.lacks(room::memory_bytes(&environment), room::storage_bytes(&options.folder));
    if !lacks.is_empty() {
        let hint = "choose fewer scenarios, engines or entities";
        return Err(Error::Insufficient(format!("{}; {hint}", lacks.join("; "))));
    }
    let sizes = sizes(options)?;
    let scenarios = chosen(options)?;
    let mut session = Session::new(options, &sizes, estimate.seconds, watcher)?;
    let (mut finished, mut is_interrupted) = (0, false);
    let time_before = ProcessorTime::now();
    for scenario in &scenarios {
        match session.perform(scenario) {
            Ok(()) => finished += 1,
            Err(Error::Interrupted) => {
                is_interrupted = true;
                break;
            }
            Err(error) => session.note(format!("it failed: {error}")),
        }
    }
    let mut collected = session.collected;
    collected.figures.push(scenarios_finished(finished, scenarios.len()));
    if is_interrupted {
        let next = scenarios.get(finished).map_or("", |scenario| scenario.id);
        collected
            .notes
            .insert(0, format!("it was interrupted in {next}: what is behind that was not measured"));
    }
    let time = time_before.zip(ProcessorTime::now());
    if let Some(share) = time.and_then(|(before, after)| after.share_of_others_since(&before)) {
        collected.figures.push(share_of_others(share));
    }
    if !environment.is_optimised {
        collected
            .notes
            .insert(0, "the program was built without optimisation: no figure means anything".to_owned());
    }
    let elsewhere = ELSEWHERE.iter().filter(|(id, _)| is_meant(id, &options.scenarios));
    collected.notes.extend(elsewhere.map(|(id, why)| format!("{id}: {why}")));
    let mut parameters = parameters(options, &sizes, &estimate, is_interrupted);
    let took =
        collected.seconds.iter().map(|(id, seconds)| (format!("seconds in {id}"), format!("{seconds:.1}")));
    parameters.extend(took);
    Ok(Report {
        schema: SCHEMA,
        kind: Kind::Stress,
        title: title(options, is_interrupted),
        command: String::new(),
        parameters,
        seed: options.seed,
        begun,
        seconds: started.elapsed().as_secs_f64(),
        environment,
        figures: collected.figures,
        runs: collected.runs,
        plots: collected.plots,
        notes: collected.notes,
    })
}

/// What fails if not everything was measured.
fn scenarios_finished(finished: usize, asked: usize) -> Figure {
    Figure {
        id: "finished".to_owned(),
        section: "Scenarios".to_owned(),
        name: "scenarios that came to their end".to_owned(),
        engine: None,
        unit: Unit::Count,
        samples: vec![finished as f64],
        better: Better::Higher,
        published: None,
        bound: Some(Bound::AtLeast(asked as f64)),
        definition: "Of those that were asked for. Who is interrupted, or fails, does not come to its end."
            .to_owned(),
    }
}

/// What a reader must know who wonders why rounds differ.
fn share_of_others(share: f64) -> Figure {
    let definition = "What other processes had of the time of all processors while this ran. What they take is missing, and what they do \
                      with memory and disk slows down everything: figures are those of an idle machine only if this is small.";
    Figure {
        id: "others".to_owned(),
        name: "processor time that other processes took".to_owned(),
        unit: Unit::Share,
        samples: vec![share],
        better: Better::Lower,
        bound: None,
        definition: definition.to_owned(),
        ..scenarios_finished(0, 0)
    }
}

fn title(options: &StressOptions, is_interrupted: bool) -> String {
    let size = match options.size {
        StressSize::Smoke => "smoke",
        StressSize::Quick => "quick",
        StressSize::Full => "full",
    };
    let end = if is_interrupted { ", interrupted" } else { "" };
    format!("Stress, {size}, on {}{end}", options.engines.join(" and "))
}

fn parameters(
    options: &StressOptions,
    sizes: &Sizes,
    estimate: &Estimate,
    is_interrupted: bool,
) -> BTreeMap<String, String> {
    let entities: Vec<String> = sizes.entities.iter().map(u64::to_string).collect();
    let all = "all".to_owned();
    let scenarios = if options.scenarios.is_empty() { all } else { options.scenarios.join(", ") };
    BTreeMap::from([
        ("size".to_owned(), format!("{:?}", options.size).to_lowercase()),
        ("engines".to_owned(), options.engines.join(", ")),
        ("scenarios".to_owned(), scenarios),
        ("entities".to_owned(), entities.join(", ")),
        ("files".to_owned(), sizes.files.to_string()),
        ("tokens".to_owned(), sizes.tokens.to_string()),
        ("nodes".to_owned(), sizes.nodes.to_string()),
        ("rounds".to_owned(), sizes.rounds.to_string()),
        ("interrupted".to_owned(), is_interrupted.to_string()),
        ("seconds expected".to_owned(), format!("{:.0}", estimate.seconds)),
    ])
}

#[cfg(test)]
mod tests;
