//! `plan`: what a collection of some size would take on this machine.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use statlas_lab::{Bytes, Environment, PlanOptions, StoreUnderTest};

use crate::laboratory::{Results, command_line, warn_if_unfit, watched};
use crate::session::Session;
use crate::time_span::TimeSpan;

const EXAMPLES: &str = "\
Examples:
  statlas plan --entities 2000000
  statlas plan --entities 100000 --file-bytes 3MiB     (a hundred thousand pictures)
  statlas plan --entities 1000000 --verify             (and make such a store, to see whether it is so)

Each figure says whether it was measured or extrapolated, and by which model. Measuring makes temporary stores of up to a
million entities, half a gigabyte, in the directory of the results.";

/// Say what a collection of some size would take here
///
/// Measures stores of some sizes for about a minute and tells what one of the size that is asked for would take on this
/// machine, and stores of 10,000 to 10 million entities: set-up time, memory of the index, disk, latency of a lookup,
/// throughput.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many entities
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    entities: u64,
    /// The size of a file that each has attached, such as 3MiB; 0 for none
    #[arg(long, value_name = "BYTES", default_value = "0")]
    file_bytes: statlas_store::ByteSize,
    /// The engine: `memory:`, or `disk:`
    #[arg(long, value_name = "URL", default_value = "disk:")]
    engine: String,
    /// How long it may be measured
    #[arg(long, value_name = "DURATION", default_value = "1m")]
    time: TimeSpan,
    /// Make a store of the planned size as well, and compare
    #[arg(long)]
    verify: bool,
    /// Where all randomness comes from
    #[arg(long, value_name = "NUMBER", default_value = "42")]
    seed: u64,
    #[command(flatten)]
    results: Results,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    let folder = arguments.results.folder()?;
    warn_if_unfit(&Environment::of(folder), session.output());
    let settings = session.options();
    let store = StoreUnderTest {
        engine: arguments.engine.clone(),
        memory: settings.memory_bytes_max.map(Bytes),
        cache: settings.cache_bytes_max.map(Bytes),
        compression: settings.compression,
        ..StoreUnderTest::default()
    };
    let TimeSpan(time) = arguments.time;
    let options = PlanOptions {
        entities: arguments.entities,
        file_bytes: arguments.file_bytes.0,
        store,
        time: time.max(Duration::from_secs(1)),
        verify: arguments.verify,
        seed: arguments.seed,
        command: command_line(),
        ..PlanOptions::default()
    };
    let report = watched(session.output(), |watcher| statlas_lab::plan(&options, folder, watcher))?;
    arguments.results.finish(&report, session)
}
