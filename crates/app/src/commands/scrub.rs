//! `scrub`: reads what is stored and verifies its checksums, slowly and in pieces.

use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use serde_json::json;
use statlas_store::{ByteSize, ScrubOptions, ScrubReport};

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::output::{bytes, duration, plural, printable};
use crate::progress::Unit;
use crate::session::Session;
use crate::time_span::TimeSpan;

const EXAMPLES: &str = "\
Examples:
  statlas scrub                                  (the rest of the pass, at 32 MiB a second)
  statlas scrub --rate 8MiB --for 10m            (from a timer; goes on there the next time)
  statlas scrub --rate 0 --bytes 10GiB           (as fast as it goes)";

/// Read what is stored at a limited rate, and find damage early
///
/// Reads everything that was in the store when the pass began and verifies its checksums, so that damage is
/// known while there still is a copy elsewhere. Goes on where the last run stopped; `statlas stats` shows how
/// far it is. `statlas check` verifies more, all at once.
///
/// Lists each damaged place that it finds, and ends with code 4 if there is one.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Most bytes that are read a second; 0 for as fast as it goes
    #[arg(long, value_name = "BYTES", default_value = "32MiB")]
    rate: ByteSize,
    /// Stop after this time, such as `90s`, `10m`, `2h` or `1d`
    #[arg(long = "for", value_name = "DURATION")]
    time: Option<TimeSpan>,
    /// Stop after about so many bytes
    #[arg(long, value_name = "BYTES", conflicts_with = "time")]
    bytes: Option<ByteSize>,
}

pub(crate) fn run(arguments: &Arguments, session: &Session) -> Result<()> {
    if arguments.bytes.is_some_and(|bytes| bytes.0 == 0) {
        return Err(Failure::usage("--bytes: expected a size above 0; leave it out to read all").into());
    }
    if arguments.time.is_some_and(|time| time.0.is_zero()) {
        return Err(Failure::usage("--for: expected a time above 0; leave it out to read all").into());
    }
    let interrupt = Interrupt::install()?;
    let store = session.open_unannounced()?;
    let begun = Instant::now();
    let bar = session.output().progress("scrubbing", Some(0), Unit::Bytes);
    let is_late = || arguments.time.is_some_and(|time| begun.elapsed() >= time.0);
    let options = ScrubOptions {
        bytes_per_second: arguments.rate.0,
        bytes_max: arguments.bytes.map_or(0, |bytes| bytes.0),
        goes_on: &|| !interrupt.is_set() && !is_late(),
    };
    let done = store.engine().scrub(&options, &mut |read, total| {
        bar.set_length(total);
        bar.set_position(read);
    })?;
    bar.finish_and_clear();
    print(&done, begun.elapsed(), session)?;
    if interrupt.is_set() && !done.is_pass_complete {
        return Err(Failure::interrupted("stopped; the same command goes on from there").into());
    }
    if done.damage.is_empty() {
        return Ok(());
    }
    let places = plural(done.damage.len() as u64, "place is", "places are");
    Err(Failure::integrity(format!("{places} damaged"))
        .hint("`statlas check` names all that is damaged; `statlas repair` saves the rest into a fresh store")
        .into())
}

fn print(done: &ScrubReport, time: Duration, session: &Session) -> Result<()> {
    let stats = done.stats;
    if session.output().json() {
        return session.output().print_json(&json!({
            "bytes": done.bytes, "seconds": time.as_secs_f64(), "pass_complete": done.is_pass_complete,
            "position_percent": stats.position_percent, "pass_begun_ms": stats.pass_begun_ms,
            "last_pass_ended_ms": stats.last_pass_ended(), "damage_in_pass": stats.damage, "damage": done.damage,
        }));
    }
    let listed: String = done.damage.iter().map(|place| format!("{}\n", printable(place))).collect();
    let state = match done.is_pass_complete {
        true => "the pass is complete".to_owned(),
        false => format!("{} % of the pass is done", stats.position_percent),
    };
    session.output().print(format!("{listed}read {} in {}; {state}", bytes(done.bytes), duration(time)))
}
