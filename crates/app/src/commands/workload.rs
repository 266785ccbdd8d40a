//! `workload`: one workload on one engine or several.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde_json::json;
use statlas_lab::{Bytes, Environment, Kind, Rate, Report, SCHEMA, Span, Unit, Workload, now, run_workload};

use crate::args::DurabilityArgument;
use crate::failure::Failure;
use crate::laboratory::{Results, command_line, failure, warn_if_unfit, watched};
use crate::session::Session;
use crate::table::{Align, Table};
use crate::time_span::TimeSpan;

const EXAMPLES: &str = "\
Examples:
  statlas workload list
  statlas workload ycsb-a
  statlas workload ycsb-a --print > mine.toml          (a workload to begin with)
  statlas workload mine.toml --engine memory: --engine disk:
  statlas workload mixed --rate 20000/s --duration 60s --out results

A workload is a file that says what is stored, what is done to it, how fast, and what must come out. With a rate the
times at which operations begin are fixed in advance, and a latency counts from there: what waits behind a stall is slow,
too. Without one each thread begins the next operation when the last one has ended, which measures capacity.
Afterwards the store is opened again and everything that was acknowledged is looked for.";

/// Run a workload and measure it
///
/// Runs a workload on a store of its own, which is gone afterwards, and writes what was measured: a table, a file with
/// everything, and a page with plots.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The name of a workload that comes with the program, the path of one of your own, or `list`
    #[arg(value_name = "NAME|FILE|list")]
    what: String,
    /// Print the workload instead of running it
    #[arg(long)]
    print: bool,
    /// The engine to run on: `memory:`, or `disk:` for a temporary store; several are put side by side
    #[arg(long, value_name = "URL")]
    engine: Vec<String>,
    /// When a write counts as stored
    #[arg(long, value_name = "LEVEL")]
    durability: Option<DurabilityArgument>,
    /// How many threads work at the same time
    #[arg(long, value_name = "COUNT")]
    threads: Option<usize>,
    /// Operations a second, at times that are fixed in advance, such as 5000/s
    #[arg(long, value_name = "RATE", value_parser = rate)]
    rate: Option<f64>,
    /// How long it is measured
    #[arg(long, value_name = "DURATION")]
    duration: Option<TimeSpan>,
    /// Where all randomness comes from
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    #[command(flatten)]
    results: Results,
}

fn rate(text: &str) -> Result<f64, String> {
    Unit::PerSecond.parse(text)
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    if arguments.what == "list" {
        return list(session);
    }
    let mut workload = find(&arguments.what)?;
    if arguments.print {
        return print(&arguments.what, session);
    }
    arguments.change(&mut workload, session);
    workload.check().map_err(failure)?;
    let folder = arguments.results.folder()?;
    let environment = Environment::of(folder);
    warn_if_unfit(&environment, session.output());
    let (begun, started) = (now(), Instant::now());
    let mut runs = Vec::new();
    let engines = match &*arguments.engine {
        [] => vec![workload.store.engine.clone()],
        engines => engines.to_vec(),
    };
    for engine in engines {
        workload.store.engine = engine;
        let run = watched(session.output(), |watcher| run_workload(&workload, folder, watcher))?;
        let is_interrupted = run.is_interrupted;
        runs.push(run);
        if is_interrupted {
            break;
        }
    }
    let report = Report {
        schema: SCHEMA,
        kind: Kind::Workload,
        title: format!("Workload {}", workload.name),
        command: command_line(),
        parameters: std::collections::BTreeMap::new(),
        seed: workload.seed,
        begun,
        seconds: started.elapsed().as_secs_f64(),
        environment,
        figures: Vec::new(),
        runs,
        plots: Vec::new(),
        notes: vec![workload.description.clone()],
    };
    arguments.results.finish(&report, session)
}

impl Arguments {
    /// Puts what the command line says into a workload.
    fn change(&self, workload: &mut Workload, session: &Session) {
        let (load, store) = (&mut workload.load, &mut workload.store);
        if let Some(threads) = self.threads {
            load.threads = threads;
        }
        if let Some(rate) = self.rate {
            load.rate = Some(Rate(rate));
        }
        if let Some(TimeSpan(duration)) = self.duration {
            (load.duration, load.operations) = (Some(Span(duration)), None);
            // A short run has a short warm-up.
            load.warm_up = Span(load.warm_up.0.min(duration / 5).max(Duration::ZERO));
        }
        if let Some(durability) = self.durability {
            store.durability = durability.into();
        }
        if let Some(seed) = self.seed {
            workload.seed = seed;
        }
        let options = session.options();
        store.memory = options.memory_bytes_max.map(Bytes).or(store.memory);
        store.cache = options.cache_bytes_max.map(Bytes).or(store.cache);
        store.compression |= options.compression;
    }
}

/// The workload of a name or of a path.
fn find(what: &str) -> Result<Workload> {
    let path = Path::new(what);
    if let Some(shipped) = Workload::shipped(what).filter(|_| !path.exists()) {
        return Ok(shipped);
    }
    if !path.exists() {
        let names: Vec<String> =
            Workload::all_shipped().into_iter().map(|(workload, _)| workload.name).collect();
        let failure = Failure::not_found(format!("no workload is named {what:?}, and no file is there"));
        return Err(failure.hint(format!("there are {}, and files of your own", names.join(", "))).into());
    }
    Workload::read(path).map_err(failure)
}

fn print(what: &str, session: &Session) -> Result<()> {
    let shipped = Workload::all_shipped().into_iter().find(|(workload, _)| workload.name == what);
    let text = match shipped.filter(|_| !Path::new(what).exists()) {
        Some((_, text)) => text.to_owned(),
        None => std::fs::read_to_string(what).with_context(|| format!("cannot read {what}"))?,
    };
    session.output().print(text.trim_end())
}

fn list(session: &Session) -> Result<()> {
    let mut table = Table::new(&[("name", Align::Left), ("what it does", Align::Left)]);
    for (workload, _) in Workload::all_shipped() {
        if session.output().json() {
            session
                .output()
                .print_json(&json!({"name": workload.name, "description": workload.description}))?;
        }
        table.row(vec![workload.name, workload.description]);
    }
    if !session.output().json() {
        let mut stdout = session.output().stdout();
        table.write(session.output(), &mut stdout).context("cannot write to standard output")?;
    }
    Ok(())
}
