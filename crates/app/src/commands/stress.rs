//! `stress`: every published test of the older systems, done for real, beside what was published.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{ArgGroup, Args};
use serde_json::json;
use statlas_lab::{
    ChildProgram, Error, StressOptions, StressSize, Unit, Watcher, answer_child, estimate, run_stress,
    scenarios,
};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::laboratory;
use crate::output::duration;
use crate::session::Session;
use crate::table::{Align, Table};

const EXAMPLES: &str = "\
Examples:
  statlas stress --quick                                   (everything, small: under three minutes on two cores)
  statlas stress --quick --out results                     (keep the result, with every round and every histogram)
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
    /// The directory that the result is written into, as `stress-<UTC time>.json`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Where temporary stores are made: figures are about the disk below it. The directory of the result, or the current
    /// one, unless said
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
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
    let expected = estimate(&options).map_err(laboratory::refused)?;
    laboratory::prepare(arguments.out.as_deref())?;
    let time = duration(std::time::Duration::from_secs_f64(expected.seconds));
    let format = |bytes: u64| Unit::Bytes.format(bytes as f64);
    session.output().note(format!(
        "this takes about {time}, {} of memory, and {} of storage in {}",
        format(expected.memory_bytes),
        format(expected.disk_bytes),
        options.folder.display()
    ));
    let interrupt = Interrupt::install()?;
    let line = session.output().live_line();
    let goes_on = || !interrupt.is_set();
    let mut progress = |what: &str, progress| laboratory::show(&line, what, progress);
    let report = run_stress(&options, &mut Watcher { goes_on: &goes_on, progress: &mut progress });
    drop(line);
    let mut report = report.map_err(|error| match error {
        Error::Insufficient(message) => {
            let hint = "--only, --engine and --entities ask for less; --dir names another disk";
            Failure::unmet(message).hint(hint).into()
        }
        error => laboratory::refused(error),
    })?;
    report.command = command_line();
    let file = laboratory::deliver(&report, arguments.out.as_deref(), session)?;
    if interrupt.is_set() {
        let left = match file {
            Some(file) => format!("what was measured until then is in {}", file.display()),
            None => "what was measured until then was printed".to_owned(),
        };
        return Err(Failure::interrupted(left).into());
    }
    laboratory::judge(&report)
}

fn options(arguments: &Arguments) -> Result<StressOptions> {
    let size = match arguments {
        Arguments { full: true, .. } => StressSize::Full,
        Arguments { smoke: true, .. } => StressSize::Smoke,
        _ => StressSize::Quick,
    };
    let here = || PathBuf::from(".");
    let folder = arguments.dir.clone().or_else(|| arguments.out.clone()).unwrap_or_else(here);
    laboratory::prepare(Some(&folder))?;
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
        folder,
        seed: arguments.seed,
        scenarios: arguments.only.clone(),
        child: Some(child),
    })
}

/// The command line as it was given.
fn command_line() -> String {
    let words = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    std::iter::once("statlas".to_owned()).chain(words).collect::<Vec<_>>().join(" ")
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
