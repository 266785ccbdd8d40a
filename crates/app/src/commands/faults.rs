//! `faults`: crashes, failures and damage tried on a copy of the store.

use anyhow::Result;
use clap::Args;
use statlas_lab::{FaultOptions, try_faults};
use statlas_store::Location;

use crate::failure::Failure;
use crate::laboratory::{Results, command_line, watched};
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  statlas faults
  statlas --store DIR faults --states 5000 --seed 7

The store is copied into memory, onto a simulated disk that loses, tears and refuses what a real one may: nothing is ever
written to the store itself. A state that fails is named with its number; the same seed tries the same states.";

/// Try crashes and damage on a copy of the store
///
/// Tries power cuts at any moment of a load, calls to the file system that fail, and bytes that rot, on a copy of the store
/// in memory, and looks each time whether the store keeps its word: it opens, has everything that was acknowledged and no
/// batch in part, returns nothing wrong, and tells what is damaged.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many states of each kind are tried
    #[arg(long, value_name = "COUNT", default_value = "500", value_parser = clap::value_parser!(u64).range(1..))]
    states: u64,
    /// Where all randomness comes from
    #[arg(long, value_name = "NUMBER", default_value = "42")]
    seed: u64,
    #[command(flatten)]
    results: Results,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let Location::Disk(path) = session.location() else {
        let failure = Failure::usage("a store in memory is gone with its process: there is nothing to try");
        return Err(failure.hint("--store names a store on disk").into());
    };
    // It says what is wrong with a store that can't be opened.
    session.open()?.close()?;
    let options = FaultOptions {
        store: path.clone(),
        options: session.options(),
        states: arguments.states,
        seed: arguments.seed,
        command: command_line(),
    };
    let report = watched(session.output(), |watcher| try_faults(&options, watcher))?;
    arguments.results.finish(&report, session)
}
