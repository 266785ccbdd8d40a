//! `stress`: every published test of the older systems, done for real, beside what was published.

use std::ffi::OsString;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use serde_json::json;
use statlas_lab::{
    ChildProgram, Environment, StressOptions, StressSize, Unit, answer_child, estimate, run_stress, scenarios,
};

use crate::laboratory::{Results, command_line, failure, warn_if_unfit, watched};
use crate::output::duration;
use crate::session::Session;
use crate::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  statlas stress --quick                                   (everything, small: under three minutes on two cores)
  statlas stress --quick --out results                     (results go there instead of statlas-results)
  statlas stress --quick --engine disk:                    (one engine; both, alternating, unless said)
  statlas stress --quick --only 1.2,3                      (single scenarios, or whole sections)
  statlas stress --full --only 1 --entities 100000,1000000 (other numbers of entities)
  statlas stress --full --out results --dir /mnt/disk      (to 10,000,000 entities and 100,000 files, on that disk)
  statlas stress --list";

/// What a child process does is asked for by this argument.
const CHILD: &str = "--measure-memory";
/// Freed memory goes back at once in a process whose memory is measured.
const CHILD_ENVIRONMENT: (&str, &str) = ("MIMALLOC_PURGE_DELAY", "0");

/// Measure everything that the older systems were known by, for real
///
/// Runs the tests that were published of the systems before this one, each doing what it claimed to do, on temporary stores
/// that are gone afterwards. Every figure stands beside the published one, with its bound, and every answer of a store is
/// compared with what it must be.
///
/// Engines alternate, round by round. Ends with code 6 if a figure is not within its bound. Ctrl-C ends it; what was
/// measured until then is printed and written.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
#[command(group(ArgGroup::new("what").required(true).args(["quick", "full", "smoke", "list", "child"])))]
pub(crate) struct Arguments {
    /// 10,000 and 100,000 entities, in less than three minutes
    #[arg(long)]
    quick: bool,
    /// Up to 10,000,000 entities; prints first how long that takes, and what it needs
    #[arg(long)]
    full: bool,
    /// So little that no figure means anything
    #[arg(long, hide = true)]
    smoke: bool,
    /// List the scenarios
    #[arg(long)]
    list: bool,
    /// An engine: `memory:`, or `disk:` for temporary stores; may be repeated
    #[arg(long = "engine", value_name = "URL", default_values_t = ["memory:".to_owned(), "disk:".to_owned()])]
    engines: Vec<String>,
    /// Only these scenarios, such as `1.2` or `3` for all of section 3
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    only: Vec<String>,
    /// Other numbers of entities, the smallest first
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    entities: Vec<u64>,
    /// Where all randomness comes from
    #[arg(long, default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    results: Results,
    /// Measure the memory of this process, as another one asks
    #[arg(long = "measure-memory", value_name = "REQUEST", hide = true)]
    child: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    if let Some(request) = &arguments.child {
        return session.output().print(answer_child(request)?);
    }
    if arguments.list {
        return list(session);
    }
    let options = options(arguments)?;
    let expected = estimate(&options).map_err(failure)?;
    let time = duration(std::time::Duration::from_secs_f64(expected.seconds));
    let format = |bytes: u64| Unit::Bytes.format(bytes as f64);
    session.output().note(format!(
        "this takes about {time}, {} of memory, and {} of storage in {}",
        format(expected.memory_bytes),
        format(expected.disk_bytes),
        options.folder.display()
    ));
    warn_if_unfit(&Environment::of(&options.folder), session.output());
    let mut report = watched(session.output(), |watcher| run_stress(&options, watcher))?;
    report.command = command_line();
    arguments.results.finish(&report, session)
}

fn options(arguments: &Arguments) -> Result<StressOptions> {
    let size = match arguments {
        Arguments { full: true, .. } => StressSize::Full,
        Arguments { smoke: true, .. } => StressSize::Smoke,
        _ => StressSize::Quick,
    };
    let program = std::env::current_exe().context("cannot tell where this program is")?;
    let child = ChildProgram {
        program,
        arguments: vec![OsString::from("stress"), OsString::from(CHILD)],
        environment: vec![(CHILD_ENVIRONMENT.0.into(), CHILD_ENVIRONMENT.1.into())],
    };
    Ok(StressOptions {
        size,
        entities: arguments.entities.clone(),
        engines: arguments.engines.clone(),
        folder: arguments.results.folder()?.to_owned(),
        seed: arguments.seed,
        scenarios: arguments.only.clone(),
        child: Some(child),
    })
}

fn list(session: &Session) -> Result<()> {
    let output = session.output();
    if output.json() {
        let all: Vec<_> = scenarios().map(|(id, name)| json!({"id": id, "name": name})).collect();
        return output.print_json(&json!(all));
    }
    let mut table = Table::new(&[("scenario", Align::Left), ("what it measures", Align::Left)]);
    scenarios().for_each(|(id, name)| table.row(vec![id.to_owned(), name.to_owned()]));
    let mut stdout = output.stdout();
    table.write(output, &mut stdout).context("cannot write to standard output")?;
    std::io::Write::flush(&mut stdout).context("cannot write to standard output")
}
