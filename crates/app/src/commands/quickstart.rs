//! `quickstart`: the main job on real files, measured.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use statlas_store::{Durability, Store};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::Session;

mod generated;
mod lookups;
mod next;
mod read_back;
mod report;
mod sample;

use report::{Report, Step};
use sample::Sample;

const EXAMPLES: &str = "\
Examples:
  statlas quickstart
  statlas quickstart ~/Documents
  statlas --store memory: quickstart                   (without anything left on disk)";

/// See it all at work on real files, in one command
///
/// Imports a directory, adds generated entities, finds them again in every way there is, and prints what
/// it did and how long it took.
///
/// Everything it reports was measured and verified in this run: look-ups by comparing the SHA-256, queries
/// by testing each row against the conditions, files byte by byte against the originals. It can be run
/// again on the same store.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The directory to import; without it, the sources of the libraries that Cargo downloaded to build
    /// this program, or the current directory if there are none
    dir: Option<PathBuf>,
    /// How many entities to generate
    #[arg(long, default_value_t = 100_000, value_name = "COUNT")]
    entities: u64,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let dir = arguments.dir.clone().map_or_else(default_directory, Ok)?;
    if !dir.is_dir() {
        return Err(Failure::usage(format!("{} is no directory", dir.display())).into());
    }
    let interrupt = Interrupt::install()?;
    let store = session.open_or_create(Durability::Synced)?;
    let mut report = Report::default();
    let done = steps(&store, &dir, arguments.entities, &interrupt, session, &mut report);
    if done.is_ok() || !report.is_empty() {
        report.print(&dir, session)?;
    }
    done?;
    store.close()?;
    Ok(())
}

/// One way of finding entities, tried on a sample.
type LookUp = fn(&Store, &Sample, &Session) -> Result<Step>;

/// All steps in order; Ctrl-C ends them between two.
fn steps(
    store: &Store,
    dir: &Path,
    entities: u64,
    interrupt: &Interrupt,
    session: &Session,
    report: &mut Report,
) -> Result<()> {
    report.add(sample::import(store, dir, interrupt, session)?, interrupt)?;
    report.add(generated::load(store, entities, interrupt, session)?, interrupt)?;
    let sample = Sample::take(store, session)?;
    let lookups: [LookUp; 5] = [
        lookups::by_address,
        lookups::by_prefix,
        lookups::by_id,
        lookups::by_coordinates,
        lookups::by_similarity,
    ];
    for lookup in lookups {
        report.add(lookup(store, &sample, session)?, interrupt)?;
    }
    report.add(read_back::compare(store, dir, &sample, session)?, interrupt)?;
    report.next = next::commands(&sample, session);
    Ok(())
}

/// The sources of the build's own dependencies, which surely exist after a build; else where we are.
fn default_directory() -> Result<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| std::env::home_dir().map(|home| home.join(".cargo")));
    match home.map(|home| home.join("registry").join("src")).filter(|dir| dir.is_dir()) {
        Some(dir) => Ok(dir),
        None => std::env::current_dir().context("cannot tell the current directory"),
    }
}
